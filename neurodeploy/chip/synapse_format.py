"""The record of a synapse format, as a chip file describes it."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from neurodeploy.chip.numbers import Count, Counts, Table


class SynapseFormat(Table):
    """A way to lay out synapses in a core's memory: ``rule`` names an entry of ``rules.RULES``; then its numbers."""

    name: str
    """Name of the format."""
    rule: str
    """Rule that reckons the bits, a name in `chip/rules.py`."""
    split: str | None = None
    """Name of the split for which this format is reserved; if absent, every split without reserved formats may use it."""
    connection: Literal["list", "shared"] = "list"
    """``list``: stores a matrix, one list for each source neuron; ``shared``: stores a convolution's kernels."""
    stores_zeros: bool = False
    """Whether zeros of a matrix are stored."""
    header_bits: Count | None = None
    """Bits at the head of each entry of a list."""
    row_bits: Count | None = None
    """Bits of one row of a crossbar, which each source takes on a core, whatever it holds there."""
    index_bits: Counts | None = None
    """Smallest and largest width of an index."""
    skip_bits: Counts | None = None
    """Smallest and largest width of a run length."""
    list_max: Count | None = None
    """Largest number of synapses in one entry of a list."""
    axon_words_max: Count | None = None
    """Largest number of words of one axon, that is, of one list."""

    @model_validator(mode="after")
    def _bands_rise(self) -> SynapseFormat:
        for name in ("index_bits", "skip_bits"):
            band = getattr(self, name)
            if band is not None and (len(band.value) != 2 or band.value[0] > band.value[1]):
                raise ValueError(f"{name} must be [smallest, largest], got {list(band.value)}")
        return self
