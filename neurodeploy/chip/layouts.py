"""Synaptic memory of given synapses, exact to the bit: one function for each layout rule of ``rules.py``.

A *list* holds the synapses of one source neuron on one core, in rising order of the target neuron's number on that core
(*local index*). A list is cut into *entries* of limited length.

Sources: Loihi 1: the public NxTF compiler (intel-nrc-ecosystem/models, ``dnn/src/synapse_compression.py`` and
``data_structures.py``). Loihi 2: the formula that reproduces the printed tables of the closed compiler in the lava-dl
notebooks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip.synapse_format import SynapseFormat

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """The synapses of one weight matrix, sorted into lists.

    ``owner``: number of the list of each synapse, rising, int64 ``(n_synapses,)`` in ``0..n_lists - 1``; ``local``: local
    index of the synapse's target, int64 ``(n_synapses,)``, rising within a list.
    """

    owner: Ints
    local: Ints
    n_lists: int

    def select(self, chosen: NDArray[np.bool_]) -> Lists:
        """Return the same lists with only the chosen synapses in them."""
        return Lists(self.owner[chosen], self.local[chosen], self.n_lists)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The bits of each list and the number of weights it stores (filled-in zeros included), both int64 ``(n_lists,)``."""

    bits: Ints
    stored: Ints


ListRule: TypeAlias = Callable[[Lists, int, SynapseFormat], Layout]
"""A layout rule: ``(lists, bits of a weight with its delay, format) -> Layout``."""


def bit_length(values: Ints) -> Ints:
    """Return the bits that each value >= 0 needs, 0 for 0: ``ceil(log2(value + 1))``."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def nxtf_sparse(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:
    """Return the layout with an index at every synapse: an entry takes ``header + n * (width + index)`` bits.

    ``index`` is the width that the largest index of the entry needs, within ``index_bits``.
    """
    first = _entries(lists, _new_list(lists), fmt)
    count = _lengths(first, lists.owner.size)
    index = _index_bits(lists.local[first + count - 1], fmt)
    bits = _bits(fmt.header_bits) + count * (width + index)
    return _layout(lists, lists.owner[first], bits, count)


def nxtf_runlength(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:
    """Return the run-length layout: an entry takes ``header + index(first) + n * (width + skip)`` bits.

    It stores the step from synapse to synapse, the difference of their local indices (1 for neighbours). A step that needs
    more than the largest ``skip_bits`` opens a new entry. ``skip`` is the width that the largest step of the entry needs.
    """
    skip_low, skip_high = _range(fmt, "skip_bits")
    step = np.diff(lists.local, prepend=0)
    first = _entries(lists, _new_list(lists) | (step >= 1 << skip_high), fmt)
    count = _lengths(first, lists.owner.size)
    inside = step.copy()
    inside[first] = 0
    skip = np.maximum(skip_low, bit_length(_max_of_each(inside, first)))
    bits = _bits(fmt.header_bits) + _index_bits(lists.local[first], fmt) + count * (width + skip)
    return _layout(lists, lists.owner[first], bits, count)


def nxtf_dense(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:
    """Return for each list the smaller of two layouts, in which an entry takes ``header + index(first) + n * width`` bits.

    ``nxtf_dense_broken`` opens a new entry at every gap, ``nxtf_dense_filled`` fills gaps inside an entry with zeros.
    """
    broken, filled = nxtf_dense_broken(lists, width, fmt), nxtf_dense_filled(lists, width, fmt)
    better = broken.bits < filled.bits
    return Layout(np.where(better, broken.bits, filled.bits), np.where(better, broken.stored, filled.stored))


def nxtf_dense_broken(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:
    """Return the layout without indices that opens a new entry at every gap."""
    first = _entries(lists, _new_list(lists) | (np.diff(lists.local, prepend=0) > 1), fmt)
    count = _lengths(first, lists.owner.size)
    bits = _bits(fmt.header_bits) + _index_bits(lists.local[first], fmt) + count * width
    return _layout(lists, lists.owner[first], bits, count)


def nxtf_dense_filled(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:
    """Return the layout without indices that fills gaps with zeros.

    An entry starts at a synapse and ends at the last synapse whose index is less than ``list_max`` further on.
    """
    total = lists.owner.size
    bits, stored = np.zeros(lists.n_lists, np.int64), np.zeros(lists.n_lists, np.int64)
    stride = int(lists.local.max(initial=0)) + _limit(fmt) + 1
    key = lists.owner * stride + lists.local
    at = np.flatnonzero(_new_list(lists))
    end = at + _lengths(at, total)
    while at.size:
        stop = np.minimum(np.searchsorted(key, key[at] + _limit(fmt)), end)
        span = lists.local[stop - 1] - lists.local[at] + 1
        np.add.at(stored, lists.owner[at], span)
        np.add.at(bits, lists.owner[at], _bits(fmt.header_bits) + _index_bits(lists.local[at], fmt) + span * width)
        more = stop < end
        at, end = stop[more], end[more]
    return Layout(bits, stored)


def indexed(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:
    """Return the layout of a Loihi 2 matrix: every list takes ``header + n * (width + index)`` bits, however long it is."""
    _, index = _range(fmt, "index_bits")
    count = np.bincount(lists.owner, minlength=lists.n_lists)
    return Layout(np.where(count > 0, _bits(fmt.header_bits) + count * (width + index), 0), count)


def bare(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:  # noqa: ARG001 (the rules share a signature)
    """Return the layout without header and index: ``n * width`` bits for a list, as in slayer2loihi's estimate."""
    count = np.bincount(lists.owner, minlength=lists.n_lists)
    return Layout(count * width, count)


def crossbar(lists: Lists, width: int, fmt: SynapseFormat) -> Layout:  # noqa: ARG001 (the rules share a signature)
    """Return the layout of a crossbar: each source takes a whole row, so that sparsity saves no memory."""
    count = np.bincount(lists.owner, minlength=lists.n_lists)
    return Layout(np.where(count > 0, _bits(fmt.row_bits), 0), count)


def nxtf_words(bits: Ints, word_bits: int) -> Ints:
    """Return the words of each list as NxTF counts them: one extra word if the last one has fewer than 6 bits free."""
    rest = bits % word_bits
    more: NDArray[np.bool_] = (bits > 0) & ((rest == 0) | (rest >= word_bits - 5))
    return plain_words(bits, word_bits) + more.astype(np.int64)


def plain_words(bits: Ints, word_bits: int) -> Ints:
    """Return the bits rounded up to whole words."""
    return -(-bits // word_bits)


def packed_words(stored: Ints, width: int, word_bits: int) -> Ints:
    """Return the words of a core that packs ``word_bits // width`` whole synapses into each word, over all its lists."""
    return -(-stored // (word_bits // width))


def power_of_two_runs(n: int) -> list[int]:
    """Return the powers of two that add up to ``n``, largest first: 48 gives 32 and 16."""
    return [1 << i for i in range(n.bit_length() - 1, -1, -1) if n >> i & 1]


def channel_runs(channels: Ints, unit: int) -> Ints:
    """Return the power-of-two runs of numbers of channels, ``unit`` of them counted as one: 36 in fours are 9, so 2 runs."""
    n, runs = -(-np.asarray(channels, np.int64) // unit), np.zeros(np.shape(channels), np.int64)
    while np.any(n):
        runs += n & 1
        n >>= 1
    return runs


def lava_conv_words(channels: int, width: int, fmt: SynapseFormat, word_bits: int) -> int:
    """Return the words on a core for one kernel tap and one input channel, which feed ``channels`` output channels."""
    return sum(-(-(run * width + _bits(fmt.header_bits)) // word_bits) for run in power_of_two_runs(channels))


def slayer_bits(weights: NDArray[np.int16]) -> int:
    """Return the bits of a weight as slayer2loihi counts them: ``ceil(log2(2 * max|w|))``, at least 1.

    >>> slayer_bits(np.array([-64, 62], np.int16))
    7
    """
    largest = int(np.abs(weights.astype(np.int32)).max(initial=0))
    return max(1, (2 * largest - 1).bit_length())


def _bits(count: object) -> int:
    return int(getattr(count, "value", 0))


def _range(fmt: SynapseFormat, name: str) -> tuple[int, int]:
    given = getattr(fmt, name)
    if given is None:
        raise AssertionError(f"synapse format '{fmt.name}' lacks {name}")
    return given.value[0], given.value[-1]


def _limit(fmt: SynapseFormat) -> int:
    return fmt.list_max.value if fmt.list_max else 2**31


def _index_bits(index: Ints, fmt: SynapseFormat) -> Ints:
    return np.maximum(_range(fmt, "index_bits")[0], bit_length(index))


def _new_list(lists: Lists) -> NDArray[np.bool_]:
    new: NDArray[np.bool_] = np.diff(lists.owner, prepend=-1) != 0
    return new


def _entries(lists: Lists, breaks: NDArray[np.bool_], fmt: SynapseFormat) -> Ints:
    """Return the first synapse of each entry: entries start at each break and after ``list_max`` synapses."""
    first = np.flatnonzero(breaks)
    since = np.arange(lists.owner.size) - np.repeat(first, _lengths(first, lists.owner.size))
    return np.flatnonzero(since % _limit(fmt) == 0)


def _lengths(first: Ints, total: int) -> Ints:
    return np.diff(first, append=total)


def _max_of_each(values: Ints, first: Ints) -> Ints:
    return np.maximum.reduceat(values, first) if first.size else np.zeros(0, np.int64)


def _layout(lists: Lists, owner: Ints, bits: Ints, stored: Ints) -> Layout:
    """Return the layout of the lists from the bits and weights of their entries (``owner``: the list of each entry).

    The sums are whole numbers far below 2**53, so float64 holds them exactly.
    """
    return Layout(
        np.bincount(owner, weights=bits, minlength=lists.n_lists).astype(np.int64),
        np.bincount(owner, weights=stored, minlength=lists.n_lists).astype(np.int64),
    )
