"""Synapses of the native backend: modules that turn the spikes that reach a layer into the summed input of its neurons.

A block (``native.py``) has one such module for the spikes of the layer before it and, in a recurrent layer, one for its own.
The chain asks of a module only its ``weight`` and ``forward``, so that kernels for sparse weights fit in here. Weights have
the shapes and the initial values of slayer's (lava-dl 0.6.0), drawn in the same order: a seed starts both backends alike.
"""

from __future__ import annotations

import math

import torch

from neurodeploy.network import Shape
from neurodeploy.recipe.layers import ConvLayer
from neurodeploy.training.model.fused import WEIGHT_SCALE
from neurodeploy.training.model.weight_grid import Grid

_EXACT = 2**24
"""Whole numbers up to here are exact in float32."""


class DenseSynapses(torch.nn.Module):
    """Synapses from every neuron to every neuron.

    Args:
        n_source, n_target: numbers of neurons.
        scale: factor on the initial weights.
        grid: the weights that the synapses may have.
        largest: largest absolute number that arrives at a synapse in a step, 1 for spikes.
    """

    def __init__(self, n_source: int, n_target: int, scale: float, grid: Grid, largest: int = 1) -> None:
        super().__init__()
        self.weight = _drawn((n_target, n_source, 1, 1, 1), scale)
        self.grid, self.largest = grid, largest

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the sums ``(batch, targets, steps)`` in slayer's float units for spikes ``(batch, sources, steps)``."""
        weight = self.grid(self.weight).flatten(2)
        if may_round(weight, self.grid, self.largest):
            return torch.nn.functional.conv1d(spikes.double(), weight.double()).float()
        # a convolution over one step: as fast as the fastest product on large layers, and twice as fast on small ones
        return torch.nn.functional.conv1d(spikes, weight)


class ConvSynapses(torch.nn.Module):
    """Synapses of a convolution, the same for every step.

    Args:
        taken: shape of the input, ``(channels, height, width)``.
        layer: kernel, stride, padding, dilation and groups.
        scale: factor on the initial weights.
        grid, largest: as for ``DenseSynapses``.
    """

    def __init__(self, taken: Shape, layer: ConvLayer, scale: float, grid: Grid, largest: int = 1) -> None:
        super().__init__()
        self.weight = _drawn((layer.channels, taken[0] // layer.groups, *layer.kernel, 1), scale)
        self.grid, self.largest = grid, largest
        self.stride, self.padding, self.dilation = (*layer.stride, 1), (*layer.padding, 0), (*layer.dilation, 1)
        self.groups = layer.groups

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the sums ``(batch, channels, height, width, steps)`` for spikes ``(batch, *taken, steps)``."""
        weight = self.grid(self.weight)
        if may_round(weight, self.grid, self.largest):
            return self._convolved(spikes.double(), weight.double()).float()
        return self._convolved(spikes, weight)

    def _convolved(self, spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv3d(spikes, weight, None, self.stride, self.padding, self.dilation, self.groups)


def drawn_for_pool(kernel: tuple[int, int]) -> None:
    """Draw the numbers that slayer's pooling draws and does not use, so that later layers start alike."""
    _drawn((1, 1, *kernel, 1), 1.0)


def _drawn(shape: tuple[int, ...], scale: float) -> torch.nn.Parameter:
    """Return initial weights as torch draws them for a convolution, times ``scale``."""
    weight = torch.empty(shape)
    torch.nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    return torch.nn.Parameter(weight if scale == 1 else scale * weight)


def may_round(weight: torch.Tensor, grid: Grid, largest: int) -> bool:
    """Return whether the sums of payloads times quantised weights may be too large for float32 to hold them exactly."""
    if largest == 1:
        return False
    unit = 2.0 ** min(grid.exponent, 0) / WEIGHT_SCALE
    return bool(weight.detach().double().abs().flatten(1).sum(1).max() * largest >= _EXACT * unit)
