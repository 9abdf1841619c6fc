"""``SynapseFormat``: one way to lay synapses out in a core's memory, as a chip file describes it."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from neurodeploy.chip.numbers import Count, Counts, Table


class SynapseFormat(Table):
    """One way to lay synapses out in a core's memory. ``rule`` names a row of ``rules.RULES``."""

    name: str
    rule: str
    split: str | None = None
    """The split that alone uses this format; absent where every other split may choose it."""
    connection: Literal["list", "shared"] = "list"
    """``list``: a matrix, one list a source neuron; ``shared``: a convolution's kernels."""
    stores_zeros: bool = False
    header_bits: Count | None = None
    row_bits: Count | None = None
    """Bits that a source takes on a core, whatever it holds there: one row of a crossbar."""
    index_bits: Counts | None = None
    """Smallest and largest width of an index."""
    skip_bits: Counts | None = None
    """Smallest and largest width of a run length."""
    list_max: Count | None = None
    """Synapses of one list entry."""
    axon_words_max: Count | None = None
    """Words of one axon."""

    @model_validator(mode="after")
    def _bands_rise(self) -> SynapseFormat:
        for name in ("index_bits", "skip_bits"):
            band = getattr(self, name)
            if band is not None and (len(band.value) != 2 or band.value[0] > band.value[1]):
                raise ValueError(f"{name} must be [smallest, largest], got {list(band.value)}")
        return self
