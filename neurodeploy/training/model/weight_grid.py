"""Quantiser of a layer's weights, with a straight-through gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from neurodeploy.network import WEIGHT_MAX, WEIGHT_MIN
from neurodeploy.training.model.fused import WEIGHT_SCALE


@dataclass(frozen=True, slots=True)
class Grid:
    """Whole multiples of ``step`` in -256..255, times ``2**exponent``, in weight units.

    ``value`` is what a payload of 1 stands for: latent weights are those of the value 1, so that they have the size of other
    layers' and learn at their rate.

    Called with latent weights in slayer's float units, it gives those of the forward pass in the same units; with
    ``descale`` in chip units before the exponent. With step 2 and exponent 0 it is slayer's own 8-bit quantiser, bit for
    bit. The gradient passes where a weight is in range (as in ``quantize_8bit`` of lava-dl 0.6.0).
    """

    step: int = 2
    exponent: int = 0
    value: float = 1.0

    def __call__(self, weight: torch.Tensor, descale: bool = False) -> torch.Tensor:
        """Return the quantised weights."""
        unit = 2.0**self.exponent / WEIGHT_SCALE
        low, high = WEIGHT_MIN * unit, (WEIGHT_MAX // self.step * self.step) * unit
        if self.value != 1:
            weight = weight * self.value
        whole: torch.Tensor = _Round.apply(weight, self.step * unit)
        rounded = whole.clamp(low, high)
        return rounded / unit if descale else rounded

    def latent(self, weight: torch.Tensor) -> torch.Tensor:
        """Return latent weights, in slayer's float units, for whole weights in chip units before the exponent."""
        return weight * (2.0**self.exponent / WEIGHT_SCALE / self.value)

    def whole_sums(self, drive: torch.Tensor) -> torch.Tensor:
        """Return the sums of weights that reach the neurons; a negative exponent rounds them down to whole weight units."""
        if self.exponent >= 0:
            return drive
        floored: torch.Tensor = _Floor.apply(drive)
        return floored


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, weight: torch.Tensor, step: float) -> torch.Tensor:  # noqa: ARG004
        return torch.round(weight / step) * step

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ARG004
        return gradient, None


class _Floor(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, drive: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return torch.floor(drive * WEIGHT_SCALE) / WEIGHT_SCALE

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return gradient
