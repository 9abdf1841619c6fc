"""A population that is cut into parts, and the synapse lists of a matrix on these parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip.layouts import Ints, Lists
from neurodeploy.mapping.memory.synapses import Matrix


@dataclass(frozen=True, eq=False)
class Cut:
    """A cut of a population: ``labels`` is the part of each neuron, int32 ``(n_neurons,)`` in ``0..n_parts - 1``."""

    labels: NDArray[np.int32]
    n_parts: int

    @staticmethod
    def blocks(n_neurons: int, size: int) -> Cut:
        """Return contiguous parts of ``size`` neurons; the last part holds the rest."""
        return Cut((np.arange(n_neurons) // size).astype(np.int32), -(-n_neurons // size))

    @cached_property
    def sizes(self) -> Ints:
        """Number of neurons of each part."""
        return np.bincount(self.labels, minlength=self.n_parts)

    @cached_property
    def contiguous(self) -> bool:
        """Whether the parts follow one another in the order of the neurons."""
        return bool(np.all(np.diff(self.labels) >= 0))

    @cached_property
    def local(self) -> Ints:
        """Index of each neuron within its part, from 0."""
        order = np.argsort(self.labels, kind="stable")
        local = np.empty(self.labels.size, np.int64)
        local[order] = np.arange(order.size) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        return local

    def members(self, part: int) -> NDArray[np.int32]:
        """Return the neurons of a part in rising order."""
        return np.flatnonzero(self.labels == part).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Lists2D:
    """The lists of a matrix on a cut: one list for each pair of a source neuron and a part with a synapse between them.

    ``source`` and ``part`` int32 ``(n_lists,)``: the pair of each list; ``weight`` int16 ``(n_synapses,)``: weight of each
    synapse, in the order of ``lists``.
    """

    lists: Lists
    source: NDArray[np.int32]
    part: NDArray[np.int32]
    weight: NDArray[np.int16]


def lists_on(matrix: Matrix, cut: Cut) -> Lists2D:
    """Return the lists of a matrix whose targets are cut into parts, in no particular order."""
    source, weight = matrix.source, matrix.weight
    part, local = cut.labels[matrix.target], cut.local[matrix.target]
    if not cut.contiguous:
        # local indices rise with the target within a part, so that a stable sort by part is enough; numpy sorts 16-bit
        # keys by radix
        order = np.argsort(part.astype(np.uint16) if cut.n_parts <= 1 << 16 else part, kind="stable")
        source, weight, part, local = source[order], weight[order], part[order], local[order]
    new = np.ones(source.size, np.bool_)
    new[1:] = (source[1:] != source[:-1]) | (part[1:] != part[:-1])
    owner = np.cumsum(new) - 1
    return Lists2D(Lists(owner, local, int(new.sum())), source[new], part[new], weight)


def sum_by(label: NDArray[np.int32], values: Ints, n: int) -> Ints:
    """Return the sum of whole numbers for each label; sums stay far below 2**53, so float64 holds them exactly."""
    return np.bincount(label, weights=values, minlength=n).astype(np.int64)
