"""The table ``RULES`` of ways to lay out synapses; every stage that counts, bounds or searches memory reads it."""

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
"""A bound: ``(lengths, neurons on the core, bits of a weight, format) -> bits``; lengths rise from 0 to the neurons."""

UNUSABLE = 2**40
"""Number of words that stands for a list that its format cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A way to lay out synapses in the memory of a core.

    Attributes:
        needs: fields of ``SynapseFormat`` that a format with this rule must give.
        layout: function for the bits and stored weights of lists; None where the rule stores kernels only.
        at_most: function for the most bits of a list of a given length (``bounds.py``); None where a list's memory cannot
            be bounded by its length.
        words: function ``(bits of each list, bits of a word) -> words of each list``.
        beside: field with the range of bits stored beside each weight (``least_bits`` counts its lower end); None if
            there are no such bits.
        whole_rows: whether a source takes one whole row, whatever it holds.
        whole_matrix: whether the zeros of a matrix are stored, too.
        packed: whether the synapses of all lists of a core are packed into words; no synapse crosses a word boundary.
        own_bits: function for the bits of a weight, where the rule does not use the chip's weight widths.
        kernel_words: function for the words of one tap and input channel where a core keeps whole kernels, as
            ``lava_conv_words``.
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
"""The layout rules by name; the field ``rule`` of a ``SynapseFormat`` names one of them."""


def list_rule(fmt: SynapseFormat) -> ListRule:
    """Return the function that lays out the lists of a format."""
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
    """Return the most words that a list of 0, 1, .., ``n_neurons`` synapses can take on a core of ``n_neurons`` neurons.

    int64 ``(n_neurons + 1,)``, never falling; 0 for an empty list, ``UNUSABLE`` where the format may not hold the list.
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
    """Return the fault of a format in words (unknown rule, or a number that the rule needs is missing), or None."""
    if fmt.rule not in RULES:
        return f"rule '{fmt.rule}' is not known; known rules: {', '.join(RULES)}"
    missing = [name for name in RULES[fmt.rule].needs if getattr(fmt, name) is None]
    return f"rule '{fmt.rule}' needs {missing[0]}" if missing else None
