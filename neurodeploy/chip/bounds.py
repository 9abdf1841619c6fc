"""Upper bound on the bits of a list of n synapses, whatever their targets: one function for each rule with lists.

All functions take the lengths of lists (int64, rising from 0 to ``n_neurons``), the number of neurons on the core, the bits
of a weight and the format, and return the bits for each length.

``layouts.py`` gives the exact bits of given synapses. A bound is needed during training: a connection that training keeps
may end as a weight of 0, which is not stored, so a limit that must hold for the finished network has to hold for every
subset of a list. With the Loihi 2 rule the bits depend only on the length of a list, so the bounds are exact. With the
Loihi 1 rules no list of that length on a core of that size takes more. For random masks of 10 to 50 % density the bound
equals the mapper's words where the indexed format is the shortest; where the run-length format is the shortest it lies
12 to 19 % above them, because each step is charged at its largest width.
"""

from __future__ import annotations

import numpy as np

from neurodeploy.chip.layouts import Ints, bit_length
from neurodeploy.chip.synapse_format import SynapseFormat


def most_sparse(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """Return the bits with every entry full and every index as wide as that of the core's last neuron."""
    entries = -(-lengths // _value(fmt.list_max))
    return entries * _value(fmt.header_bits) + lengths * (width + _index(n_neurons, fmt))


def most_runlength(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """Return the bits with as many entries as possible and every step at its largest width.

    A gap that opens a new entry skips at least ``2**high`` neurons, so a core has room for few of these gaps.
    """
    low, high = _range(fmt.skip_bits)
    runs = np.minimum(lengths, 1 + (n_neurons - 1) // (1 << high))
    longest = _value(fmt.list_max)
    entries = np.minimum(lengths, (lengths + (longest - 1) * runs) // longest)
    skip = min(high, max(low, int(bit_length(np.array(n_neurons - 1)))))
    return entries * (_value(fmt.header_bits) + _index(n_neurons, fmt)) + lengths * (width + skip)


def most_dense(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:
    """Return the fewer bits of two layouts: one entry for each synapse, or entries that span the whole core."""
    longest = _value(fmt.list_max)
    entry = _value(fmt.header_bits) + _index(n_neurons, fmt)
    filled = np.minimum(lengths, -(-n_neurons // longest)) * entry + np.minimum(n_neurons, lengths * longest) * width
    return np.minimum(lengths * (entry + width), filled)


def most_indexed(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:  # noqa: ARG001
    """Return the exact bits, which depend on the length alone."""
    header = 0 if fmt.header_bits is None else fmt.header_bits.value
    return header + lengths * (width + _range(fmt.index_bits)[1])


def most_crossbar(lengths: Ints, n_neurons: int, width: int, fmt: SynapseFormat) -> Ints:  # noqa: ARG001
    """Return the exact bits: one row of the crossbar, whatever the length."""
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
