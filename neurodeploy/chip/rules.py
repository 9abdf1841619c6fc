"""``RULES``: one row for each way to lay out synapses, read wherever memory is counted, bounded or searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip.bounds import most_crossbar, most_dense, most_indexed, most_runlength, most_sparse
from neurodeploy.chip.layouts import (
    Ints,
    ListRule,
    bare,
    crossbar,
    indexed,
    lava_conv_words,
    nxtf_dense,
    nxtf_runlength,
    nxtf_sparse,
    nxtf_words,
    plain_words,
    slayer_bits,
)
from neurodeploy.chip.synapse_format import SynapseFormat

MostBits: TypeAlias = Callable[[Ints, int, int, SynapseFormat], Ints]
"""``(lengths, neurons on the core, bits of a weight, format) -> bits``; lengths rise from 0 to the neurons."""

UNUSABLE = 2**40
"""Words of a list that its format cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a rule lays out synapses; ``needs`` are the numbers that a ``SynapseFormat`` of this rule must give.

    Attributes:
        needs: fields of ``SynapseFormat``.
        layout: bits and stored weights of lists; None where the rule stores kernels alone.
        at_most: bits of a list by its length, whatever it holds (``bounds.py``); None where no list can be kept short.
        words: words of lists that take so many bits, from the bits of each list and those of a word.
        beside: field with the bits stored beside each weight (its smallest counts in ``least_bits``); None: none.
        whole_rows: whether a source takes one whole row, whatever it holds.
        whole_matrix: whether the zeros of a matrix are stored, too.
        packed: whether the synapses of all lists of a core are packed into words, none of them over a word's end.
        own_bits: bits of a weight where the rule counts them its own way, and not by the chip's widths.
        kernel_words: words of one tap and input channel where a core keeps whole kernels, as ``lava_conv_words``.
    """

    needs: tuple[str, ...] = ()
    layout: ListRule | None = None
    at_most: MostBits | None = None
    words: Callable[[Ints, int], Ints] = plain_words
    beside: Literal["index_bits", "skip_bits"] | None = None
    whole_rows: bool = False
    whole_matrix: bool = False
    packed: bool = False
    own_bits: Callable[[NDArray[np.int16]], int] | None = None
    kernel_words: Callable[[int, int, SynapseFormat, int], int] | None = None


RULES: dict[str, Rule] = {
    "nxtf-sparse": Rule(
        needs=("header_bits", "index_bits", "list_max"),
        layout=nxtf_sparse,
        at_most=most_sparse,
        words=nxtf_words,
        beside="index_bits",
    ),
    "nxtf-runlength": Rule(
        needs=("header_bits", "index_bits", "skip_bits", "list_max"),
        layout=nxtf_runlength,
        at_most=most_runlength,
        words=nxtf_words,
        beside="skip_bits",
    ),
    "nxtf-dense": Rule(
        needs=("header_bits", "index_bits", "list_max"), layout=nxtf_dense, at_most=most_dense, words=nxtf_words
    ),
    "lava-fc": Rule(needs=("header_bits", "index_bits"), layout=indexed, at_most=most_indexed, beside="index_bits"),
    "lava-conv": Rule(needs=("header_bits",), kernel_words=lava_conv_words),
    "indexed": Rule(needs=("index_bits",), layout=indexed, at_most=most_indexed, beside="index_bits"),
    "crossbar": Rule(needs=("row_bits",), layout=crossbar, at_most=most_crossbar, whole_rows=True),
    "matrix": Rule(layout=bare, whole_matrix=True),
    "slayer2loihi": Rule(layout=bare, packed=True, own_bits=slayer_bits),
    "pow2-conv": Rule(),
}
"""Rules by the name that a chip file gives as ``rule``."""


def list_rule(fmt: SynapseFormat) -> ListRule:
    """Return the layout of the lists of a format."""
    layout = RULES[fmt.rule].layout
    assert layout is not None, f"rule '{fmt.rule}' stores no lists"
    return layout


def words(fmt: SynapseFormat, bits: Ints, word_bits: int) -> Ints:
    """Return the words of lists that take ``bits`` in the format ``fmt``."""
    return RULES[fmt.rule].words(bits, word_bits)


def least_bits(fmt: SynapseFormat, width: int) -> int:
    """Return the fewest bits that one stored synapse can take in a list format, headers left out."""
    rule = RULES[fmt.rule]
    if rule.whole_rows:
        return 0
    band = getattr(fmt, rule.beside) if rule.beside else None
    return width + (int(band.value[0]) if band is not None else 0)


def most_words(n_neurons: int, width: int, fmt: SynapseFormat, word_bits: int) -> Ints:
    """Return the most words of lists of ``0..n_neurons`` synapses on a core of ``n_neurons``, int64 ``(n_neurons + 1,)``.

    Never falling; 0 for an empty list, ``UNUSABLE`` where the format may not hold the list.
    """
    at_most = RULES[fmt.rule].at_most
    assert at_most is not None, f"rule '{fmt.rule}' has no lists to keep short"
    lengths = np.arange(n_neurons + 1)
    bits = np.where(lengths > 0, at_most(lengths, n_neurons, width, fmt), 0)
    taken = words(fmt, bits, word_bits)
    if fmt.axon_words_max is not None:
        taken = np.where(taken > fmt.axon_words_max.value, UNUSABLE, taken)
    return taken


def missing_number(fmt: SynapseFormat) -> str | None:
    """Return what is wrong with the rule of a format: not known, or a number of it left out; None where nothing is."""
    if fmt.rule not in RULES:
        return f"rule '{fmt.rule}' is not known; known rules: {', '.join(RULES)}"
    missing = [name for name in RULES[fmt.rule].needs if getattr(fmt, name) is None]
    return f"rule '{fmt.rule}' needs {missing[0]}" if missing else None
