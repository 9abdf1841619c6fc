"""``Chain``: layers in a row that train on batches of lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.training.lanes.layer import Driven, Gradients, Kept, Layer

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """Sums that reach a ``Driven`` layer, float32 ``(batch, neurons, steps)``; a single step stands for all ``n_steps``."""

    sums: Floats
    n_steps: int


class Chain:
    """Layers in a row; the first may be ``Driven``.

    ``delays``: steps by which the spikes of a layer reach the next one later, one number or one for each neuron. ``passes``
    counts the forward passes; the state of the last one is kept.
    """

    def __init__(
        self,
        layers: Sequence[Layer | Driven],
        delays: Sequence[int | NDArray[np.int32]] | None = None,
    ) -> None:
        self.layers = tuple(layers)
        self.delays = tuple(delays or [0] * len(layers))
        self.gradients: list[Gradients] = []
        self.passes = 0
        self._kept: Mapping[int, Kept] = {}

    def forward(self, given: Spikes | Drive, kept: Mapping[int, Kept] | None = None) -> Spikes:
        """Return the spikes of the last layer.

        Args:
            given: spikes that reach the first layer, or sums, if it is ``Driven``.
            kept: dropout after some layers by number, the last one excluded.
        """
        self.passes += 1
        self._kept, gain = kept or {}, 1.0
        for k, (layer, delay) in enumerate(zip(self.layers, self.delays)):
            if isinstance(layer, Driven):
                assert isinstance(given, Drive), "sums go into a driven layer"
                spikes = layer.forward(given.sums, given.n_steps)
            else:
                assert isinstance(given, Spikes), "spikes go into a layer with synapses"
                spikes = layer.forward(given, gain)
            gain = 1.0
            if k in self._kept:
                spikes, gain = spikes.kept(self._kept[k].stays), self._kept[k].gain
            if np.any(delay):
                spikes = spikes.delayed(delay)
            given = spikes
        return spikes

    def backward(self, gradient: Floats, more: Mapping[int, Floats] | None = None) -> None:
        """Compute the gradients of all layers from that of the last layer's spikes, float32 ``(batch, neurons, steps)``.

        ``more``: gradients of the spikes of other layers by number, for a loss that depends on them as well.
        """
        span, last = self.layers[-1].sent.span, self.layers[-1]
        behind: Floats | Layer = span.rows(last.size, np.float32)
        assert not isinstance(behind, Layer)
        span.samples_of(behind)[:] = gradient
        if np.any(self.delays[-1]):
            advance(behind, self.delays[-1], span.padded, span.lanes)
        self.gradients, own = [], more or {}
        for k in reversed(range(len(self.layers))):
            layer, delay, kept = self.layers[k], self.delays[k], self._kept.get(k)
            mixes = isinstance(layer, Layer) and layer.recurrent is not None
            if isinstance(behind, Layer) and (np.any(delay) or k in own or (kept is not None and mixes)):
                behind = behind.spread()
                if np.any(delay):
                    advance(behind, delay, span.padded, span.lanes)
                if kept is not None:
                    steps = behind[:, : span.lanes].reshape(len(behind), span.n_steps, span.padded)
                    steps[:, :, : span.batch] *= kept.stays.astype(np.float32)[:, None, :]
                    kept = None
                if k in own:
                    span.samples_of(behind)[:] += own[k]
            self.gradients.insert(0, layer.backward(behind, kept))
            if isinstance(layer, Layer):
                behind = layer


def advance(gradient: Floats, delay: int | NDArray[np.int32], padded: int, lanes: int) -> None:
    """Move the gradients of delayed spikes back to the step in which they were sent, in place."""
    for row, steps in zip(gradient, np.broadcast_to(delay, len(gradient)).tolist()):
        by = min(steps * padded, lanes)
        row[: lanes - by] = row[by:lanes].copy()
        row[lanes - by : lanes] = 0
