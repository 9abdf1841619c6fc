"""Learned axonal delays and dropout of whole neurons, applied to the spikes between two layers in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


class AxonalDelay(torch.nn.Module):
    """Delays the spikes of each neuron, or of each channel of a convolution, by a learned number of steps, ``0..longest``.

    The parameter ``fraction`` (float, 0..1, for each neuron or channel) is the delay divided by ``longest``, so that an
    optimiser step means as much for long delays as for short ones. Forward and gradient are those of slayer's
    ``axon.Delay`` (lava-dl 0.6.0) with ``delay = fraction * longest``, without its loop over neurons. slayer starts with all
    delays in the first step; here they start spread over the whole range.
    """

    def __init__(self, n_channels: int, longest: int) -> None:
        super().__init__()
        self.longest = longest
        self.fraction = torch.nn.Parameter(torch.rand(n_channels))

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the delayed spikes ``(batch, channels, ..., steps)``; spikes delayed past the last step are lost."""
        with torch.no_grad():
            self.fraction.clamp_(0, 1)
        delayed: torch.Tensor = _Delayed.apply(spikes, self.fraction * self.longest)
        return delayed

    def steps(self) -> torch.Tensor:
        """Return the delay of each neuron or channel, int64."""
        return (self.fraction.detach().clamp(0, 1) * self.longest).floor().to(torch.int64)


class _Delayed(torch.autograd.Function):
    """Shift by ``floor(delay)``; the gradient of a delay is minus the slope of the delayed spikes in time."""

    @staticmethod
    def forward(ctx: Any, spikes: torch.Tensor, delay: torch.Tensor) -> torch.Tensor:
        steps = delay.detach().floor().to(torch.int64)
        later = _shifted(spikes, steps)
        ctx.save_for_backward(later, steps)
        return later

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        later, steps = ctx.saved_tensors
        slope = torch.nn.functional.pad(later, (1, 0))[..., :-1] - later
        return _shifted(gradient, -steps), (gradient * slope).transpose(0, 1).flatten(1).sum(1)


def _shifted(spikes: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return each channel shifted by ``steps`` (later if above 0) and filled with zeros."""
    n_steps = spikes.shape[-1]
    index = torch.arange(n_steps, device=spikes.device) - steps.reshape(-1, *[1] * (spikes.ndim - 2))
    inside = (index >= 0) & (index < n_steps)
    return spikes.gather(-1, index.clamp(0, n_steps - 1).expand_as(spikes)) * inside


class NeuronDropout(torch.nn.Module):
    """Dropout that silences neurons for whole samples in training; its draws depend on ``seed`` and ``turn`` alone.

    As in slayer's ``neuron.Dropout``, all steps of a neuron are dropped together, and the spikes that stay are divided by
    ``1 - chance``. ``turn`` has to be set to a new whole number for every pass (``ChainModel.set_turn``): the draws then
    follow from the number of steps done, in whichever process they are made.
    """

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance
        self.turn = 0
        self.register_buffer("seed", torch.randint(2**31, ()) + _OLD_SEEDS)

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the spikes ``(batch, ..., steps)`` with dropped neurons silent; in evaluation, all spikes unchanged."""
        if not self.training:
            return spikes
        stays = self.stays(spikes.shape[:-1])
        return spikes * (stays / (1 - self.chance)).to(spikes)[..., None]

    def stays(self, shape: torch.Size) -> torch.Tensor:
        """Return which neurons of which samples stay in this turn, bool of this shape."""
        random = torch.Generator().manual_seed(_seed_of(int(self.seed), self.turn))
        return torch.rand(shape, generator=random) >= self.chance

    @property
    def gain(self) -> float:
        """Factor on the spikes that stay."""
        return float(np.float32(1 / (1 - self.chance)))


_OLD_SEEDS = 2**31
"""Seeds below this are those of states that were saved before seeds were mixed; they draw as they did then."""


def _seed_of(seed: int, turn: int) -> int:
    """Return the seed of one pass, in 32 bits: torch's generator on the CPU reads no more of a larger one."""
    if seed < _OLD_SEEDS:
        return (seed << 31) + turn
    return int(np.random.SeedSequence((seed, turn)).generate_state(1)[0])
