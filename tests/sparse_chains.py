"""Sparse layers over lanes for tests, and the same layers as dense masked ones of torch, through ``training/model``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.lanes.choice import Choices
from neurodeploy.engines.lanes.team import ALONE, Team
from neurodeploy.engines.lanes.wiring import Geometry
from neurodeploy.network import Cuba
from neurodeploy.training.lanes.chain import Chain
from neurodeploy.training.lanes.layer import Layer
from neurodeploy.training.lanes.synapses import Synapses

NEURON = Cuba(current_decay=1024, voltage_decay=128, threshold=80)
TAU, SCALE = 1.0, 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A layer: the shape of its weights, their dense latent values and mask, its neurons, and what returns to it."""

    shape: tuple[int, int] | Geometry
    latent: NDArray[np.float32]
    mask: NDArray[np.bool_]
    model: Cuba = NEURON
    again: Part | None = None
    step: int = 2
    exponent: int = 0
    learns: bool = True

    @property
    def position(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.mask)

    def synapses(self, choices: Choices | None = None, team: Team = ALONE) -> Synapses:
        return Synapses(
            self.shape,
            self.position,
            self.latent.ravel()[self.position],
            step=self.step,
            exponent=self.exponent,
            choices=choices or Choices(),
            team=team,
        )

    def layer(self, choices: Choices | None = None, team: Team = ALONE) -> Layer:
        return Layer(
            self.synapses(choices, team),
            self.model,
            tau=TAU,
            scale=SCALE,
            recurrent=None if self.again is None else self.again.synapses(choices, team),
            learns=self.learns,
            team=team,
        )


def part(
    rng: np.random.Generator, shape: tuple[int, int] | Geometry, density: float, size: float = 0.6, **rest: Any
) -> Part:
    """Return a layer with random weights of about ``size`` at a density, at least one of them stored."""
    dense = shape.kernels if isinstance(shape, Geometry) else shape
    mask = rng.random(dense) < density
    mask.flat[rng.integers(mask.size)] = True
    latent = (rng.normal(size=dense) * size).astype(np.float32) * mask
    return Part(shape=shape, latent=latent, mask=mask, **rest)


def recurrent(rng: np.random.Generator, shape: tuple[int, int], density: float, size: float = 0.6, **rest: Any) -> Part:
    """Return a matrix layer whose neurons also reach each other."""
    own = part(rng, (shape[0], shape[0]), density, size, **rest)
    return replace(part(rng, shape, density, size, **rest), again=own)


def chain(parts: Sequence[Part], *, ways: Sequence[str] = (), threads: int = 1, **rest: Any) -> Chain:
    """Return the layers in a row; ``ways`` are taken wherever they are offered."""
    choices, team = Choices(forced=frozenset(ways)), Team(threads)
    return Chain([p.layer(choices, team) for p in parts], **rest)


def descend(own: Chain, rate: float = 0.02) -> None:
    """Change the weights of a chain by ``rate`` times the signs of their gradients, as Adam's first step does."""
    for layer, found in zip(own.layers, own.gradients):
        for synapses, gradient in ((layer.synapses, found.weights), (layer.recurrent, found.recurrent)):
            if synapses is not None and gradient is not None:
                synapses.latent -= np.float32(rate) * np.sign(gradient)
                synapses.quantise()


def masked(
    parts: Sequence[Part], spikes: Any, delays: Sequence[Any] | None = None
) -> tuple[list[Any], list[Any], list[float]]:
    """Return what the dense masked layers of torch give: spikes of every layer, dense weights, and largest states.

    Args:
        parts: the layers; weights are those of ``Part.latent``, as leaves that receive gradients.
        spikes: whole numbers, float32 ``(batch, channels, steps)``.
        delays: as of a ``Chain``.
    """
    import torch

    from neurodeploy.training.model.fused import CubaSettings, cuba_spikes, recurrent_cuba_spikes
    from neurodeploy.training.model.weight_grid import Grid

    fired, weights, peaks = [], [], []
    for k, own in enumerate(parts):
        grid = Grid(own.step, own.exponent)
        settings = CubaSettings(neuron=own.model, tau=TAU, scale=SCALE)
        weight = torch.from_numpy(own.latent.copy()).requires_grad_()
        drive = grid.whole_sums(_drive(own.shape, grid(weight), spikes))
        weights.append(weight)
        if own.again is None:
            spikes, peak = cuba_spikes(drive, settings)
        else:
            again = torch.from_numpy(own.again.latent.copy()).requires_grad_()
            spikes, peak = recurrent_cuba_spikes(drive, grid(again), settings)
            weights.append(again)
        fired.append(spikes)
        peaks.append(peak)
        if delays is not None:
            spikes = later(spikes, delays[k])
    return fired, weights, peaks


def later(spikes: Any, delay: int | NDArray[np.int32]) -> Any:
    """Return spikes moved to later steps, each channel by its own number, as a differentiable tensor."""
    import torch

    n_steps = spikes.shape[-1]
    rows = []
    for c, steps in enumerate(np.broadcast_to(delay, spikes.shape[1]).tolist()):
        by = min(steps, n_steps)
        rows.append(torch.nn.functional.pad(spikes[:, c, : n_steps - by], (by, 0)))
    return torch.stack(rows, 1)


def _drive(shape: tuple[int, int] | Geometry, weight: Any, spikes: Any) -> Any:
    import torch

    if not isinstance(shape, Geometry):
        return torch.einsum("oi,bit->bot", weight, spikes)
    batch, n_steps = spikes.shape[0], spikes.shape[2]
    frames = spikes.reshape(batch, *shape.taken, n_steps).permute(0, 4, 1, 2, 3).reshape(-1, *shape.taken)
    sums = torch.nn.functional.conv2d(frames, weight, None, shape.stride, shape.padding, shape.dilation, shape.groups)
    return sums.reshape(batch, n_steps, -1).permute(0, 2, 1).contiguous()
