"""Most words that a list of so many synapses can take on a core, whichever neurons they reach.

``formats.py`` lays out given synapses. A connection that training keeps may end as a weight of 0, which is not stored, so
limits that must hold for the finished network have to hold for every part of a list. With the Loihi 2 rule the length of a
list alone decides its words, so that these bounds are exact; with the Loihi 1 rules they are words that no list of that
length on a core of that size exceeds: those of the mapper where the indexed format is the shortest, and 12 to 19 % more for
random masks of 10 to 50 % density, where run lengths are (each step is charged at its widest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from neurodeploy.chip import SynapseFormat
from neurodeploy.mapping.formats import Ints, bit_length, words

MostBits: TypeAlias = Callable[[Ints, int, int, SynapseFormat], Ints]
"""``(lengths, neurons on the core, bits of a weight, format) -> bits``; lengths rise from 0 to the neurons."""

UNUSABLE = 2**40
"""Words of a list that its format cannot hold."""


def most_words(n_neurons: int, width: int, fmt: SynapseFormat, word_bits: int) -> Ints:
    """Return the most words of lists of ``0..n_neurons`` synapses on a core of ``n_neurons``, int64 ``(n_neurons + 1,)``.

    Never falling; 0 for an empty list, ``UNUSABLE`` where the format may not hold the list.
    """
    lengths = np.arange(n_neurons + 1)
    bits = np.where(lengths > 0, MOST_BITS[fmt.rule](lengths, n_neurons, width, fmt), 0)
    taken = words(fmt, bits, word_bits)
    if fmt.axon_words_max is not None:
        taken = np.where(taken > fmt.axon_words_max.value, UNUSABLE, taken)
    return taken


def _sparse(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    entries = -(-lengths // _value(fmt.list_max))
    return entries * _value(fmt.header_bits) + lengths * (width + _index(n_neurons, fmt))


def _runlength(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """Every step wide enough to open an entry takes its width of the core's neurons, so there are only so many."""
    low, high = _range(fmt.skip_bits)
    runs = np.minimum(lengths, 1 + (n_neurons - 1) // (1 << high))
    longest = _value(fmt.list_max)
    entries = np.minimum(lengths, (lengths + (longest - 1) * runs) // longest)
    skip = min(high, max(low, int(bit_length(np.array(n_neurons - 1)))))
    return entries * (_value(fmt.header_bits) + _index(n_neurons, fmt)) + lengths * (width + skip)


def _dense(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """The cheaper of an entry a synapse, and entries that span the whole core."""
    longest = _value(fmt.list_max)
    entry = _value(fmt.header_bits) + _index(n_neurons, fmt)
    filled = np.minimum(lengths, -(-n_neurons // longest)) * entry + np.minimum(n_neurons, lengths * longest) * width
    return np.minimum(lengths * (entry + width), filled)


def _indexed(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:  # noqa: ARG001
    header = 0 if fmt.header_bits is None else fmt.header_bits.value
    return header + lengths * (width + _range(fmt.index_bits)[1])


def _crossbar(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:  # noqa: ARG001
    return np.full(lengths.shape, _value(fmt.row_bits))


MOST_BITS: Mapping[str, MostBits] = {
    "nxtf-sparse": _sparse,
    "nxtf-runlength": _runlength,
    "nxtf-dense": _dense,
    "lava-fc": _indexed,
    "indexed": _indexed,
    "crossbar": _crossbar,
}
"""By rule of ``formats.LIST_RULES``; rules that store whole matrices have no lists to keep short."""


def _index(n_neurons: int, fmt: SynapseFormat) -> int:
    return max(_range(fmt.index_bits)[0], int(bit_length(np.array(n_neurons - 1))))


def _value(count: object) -> int:
    value = getattr(count, "value", None)
    assert isinstance(value, int), "the chip file was checked for what its rules need"
    return value


def _range(counts: object) -> tuple[int, int]:
    value = getattr(counts, "value", None)
    assert isinstance(value, tuple | list), "the chip file was checked for what its rules need"
    return int(value[0]), int(value[-1])
