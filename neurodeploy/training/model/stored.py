"""Synapses whose passes a segment (``segments.py``) computes over lanes, for the native backend.

``StoredSynapses`` are those of a layer of which only the stored ones have a weight; ``WholeSynapses`` keep a weight and a
gradient for every one, which methods need that gather dense gradients. They take the place of ``DenseSynapses`` and
``ConvSynapses`` once a layer's first connections are known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.engines.lanes.team import ALONE, Team
from neurodeploy.engines.lanes.wiring import Geometry
from neurodeploy.training.lanes.growth import Pass, largest_of
from neurodeploy.training.lanes.synapses import Synapses
from neurodeploy.training.model.weight_grid import Grid


class StoredSynapses(torch.nn.Module):
    """The stored synapses of a layer.

    Args:
        weight: the layer's dense weight; it becomes the one-dimensional parameter of the stored ones, in C order.
        mask: which synapses exist, bool of its shape.
        where: the convolution, or None for a matrix.
        grid: the weights that the synapses may have.
        team: threads that share the work.
    """

    def __init__(
        self,
        weight: torch.nn.Parameter,
        mask: torch.Tensor,
        where: Geometry | None,
        grid: Grid,
        team: Team = ALONE,
    ) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        self.synapses = _synapses(weight, np.flatnonzero(mask.numpy()), where, grid, team)
        self.weight = weight
        self.add_to_all: Callable[[torch.Tensor], None] | None = None
        self._watched, self._passes = False, list[Pass]()
        self._bind()

    @property
    def position(self) -> NDArray[np.int64]:
        """Flat positions of the stored synapses, rising."""
        return self.synapses.wiring.position

    @property
    def watched(self) -> bool:
        """Whether passes are kept, from which gradients at absent positions follow; setting it forgets those before."""
        return self._watched

    @watched.setter
    def watched(self, wanted: bool) -> None:
        self._watched, self._passes = wanted, []

    def keep(self, made: Pass) -> None:
        """Keep a pass."""
        self._passes.append(made)

    def move(self, drop: NDArray[np.int64], grow: NDArray[np.int64]) -> NDArray[np.int64]:
        """Remove and add synapses at flat positions, new ones with weight 0; return for each its place before, or -1."""
        place = self.synapses.move(drop, grow)
        self._bind()
        return place

    def put(self, position: NDArray[np.int64]) -> None:
        """Store the synapses at these flat positions instead, with weights of 0."""
        self.synapses.put(position)
        self._bind()

    def gradient(self) -> torch.Tensor:
        """Return the dense gradient of the passes that were kept, in the dense shape; zeros if there was none."""
        found = self.synapses.dense_gradient(self._passes) if self._passes else np.zeros(self.shape, np.float32)
        dense = torch.from_numpy(found).reshape(self.shape)
        if self.add_to_all is not None:
            self.add_to_all(dense)
        return dense

    def largest(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the absent positions with the ``count`` largest gradients and those that equal the last, with sizes."""
        if self.add_to_all is not None or not self._passes:
            found = largest_of(self.gradient().abs().numpy().ravel(), self.position, count, rng)
        else:
            found = self.synapses.candidates(self._passes, count, rng)
        return found.position, found.score

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """Return a dense tensor with these values at the stored synapses and 0 elsewhere."""
        dense = torch.zeros(int(np.prod(self.shape)), dtype=values.dtype)
        dense[torch.from_numpy(self.position)] = values
        return dense.reshape(self.shape)

    def picked(self, dense: torch.Tensor) -> torch.Tensor:
        """Return the values of a dense tensor at the stored synapses."""
        return dense.flatten()[torch.from_numpy(self.position)]

    def _bind(self) -> None:
        """Make the parameter one of the memory of the latent weights."""
        self.weight.grad = None
        self.weight.data = torch.from_numpy(self.synapses.latent)


class WholeSynapses(torch.nn.Module):
    """All synapses of a layer, whose weight keeps its dense shape; where it is 0 it takes no time forward.

    Args:
        weight, where, grid, team: as of ``StoredSynapses``.
    """

    def __init__(self, weight: torch.nn.Parameter, where: Geometry | None, grid: Grid, team: Team = ALONE) -> None:
        super().__init__()
        self.synapses = _synapses(weight, np.arange(weight.numel()), where, grid, team)
        self.weight = weight
        weight.data = torch.from_numpy(self.synapses.latent).reshape(weight.shape)


HeldSynapses = StoredSynapses | WholeSynapses


def _synapses(
    weight: torch.Tensor, position: NDArray[np.int64], where: Geometry | None, grid: Grid, team: Team
) -> Synapses:
    """Return the synapses at flat positions of a dense weight."""
    lanes = (weight.shape[0], weight.shape[1]) if where is None else where
    latent = weight.detach().numpy().ravel()[position]
    return Synapses(lanes, position, latent, step=grid.step, exponent=grid.exponent, team=team)
