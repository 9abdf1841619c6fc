"""Upper bound on the bits of a list of n synapses, whatever their targets: one function for each rule with lists.

All take the lengths of lists (int64, rising from 0 to ``n_neurons``), the neurons on the core, the bits of a weight and
the format, and return the bits of each length.

``layouts.py`` lays out given synapses. A connection that training keeps may end as a weight of 0, which is not stored, so
limits that must hold for the finished network have to hold for every part of a list. With the Loihi 2 rule the length of a
list alone decides its words, so that these bounds are exact; with the Loihi 1 rules they are words that no list of that
length on a core of that size exceeds: those of the mapper where the indexed format is the shortest, and 12 to 19 % more for
random masks of 10 to 50 % density, where run lengths are (each step is charged at its widest).
"""

from __future__ import annotations

import numpy as np

from neurodeploy.chip.layouts import Ints, bit_length
from neurodeploy.chip.synapse_format import SynapseFormat


def most_sparse(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """Every entry full, every index as wide as the core's last neuron needs."""
    entries = -(-lengths // _value(fmt.list_max))
    return entries * _value(fmt.header_bits) + lengths * (width + _index(n_neurons, fmt))


def most_runlength(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """A gap that opens a new entry skips at least ``2**high`` neurons, so a core has room for few such gaps."""
    low, high = _range(fmt.skip_bits)
    runs = np.minimum(lengths, 1 + (n_neurons - 1) // (1 << high))
    longest = _value(fmt.list_max)
    entries = np.minimum(lengths, (lengths + (longest - 1) * runs) // longest)
    skip = min(high, max(low, int(bit_length(np.array(n_neurons - 1)))))
    return entries * (_value(fmt.header_bits) + _index(n_neurons, fmt)) + lengths * (width + skip)


def most_dense(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """The cheaper of one entry for each synapse, and entries that span the whole core."""
    longest = _value(fmt.list_max)
    entry = _value(fmt.header_bits) + _index(n_neurons, fmt)
    filled = np.minimum(lengths, -(-n_neurons // longest)) * entry + np.minimum(n_neurons, lengths * longest) * width
    return np.minimum(lengths * (entry + width), filled)


def most_indexed(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:  # noqa: ARG001
    """Exact: the length alone decides."""
    header = 0 if fmt.header_bits is None else fmt.header_bits.value
    return header + lengths * (width + _range(fmt.index_bits)[1])


def most_crossbar(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:  # noqa: ARG001
    """Exact: one row, whatever the length."""
    return np.full(lengths.shape, _value(fmt.row_bits))


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
