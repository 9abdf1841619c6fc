"""CUBA neurons in one compiled loop over time, and pooling as plain sums, for training with either backend.

slayer (lava-dl 0.6.0) runs about 30 small tensor operations in each step. Here one loop computes current, voltage and spikes
of a few neurons side by side. Spikes and gradients equal those of slayer bit by bit while states fit 24 bits:
the float32 round trip of the current is kept, gradients are summed in slayer's order, and torch computes the surrogate.
slayer itself remains the reference: ``run_slayer`` runs slayer's neurons, not these.

Neurons that subtract their threshold when they fire (``Cuba.reset``), which slayer does not have, run in the same loop. As
with a reset to 0, the gradient of a voltage goes back in time through its decay alone, as if there had been no reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.files.loops import compiled
from neurodeploy.network import DECAY_ONE, STATE_SHIFT, Cuba

STATE_SCALE = 4096
"""State units per float unit in slayer (its ``s_scale``)."""
WEIGHT_SCALE = 64
"""Weight units per float unit in slayer (its ``w_scale``)."""
TAU_UNIT, SCALE_UNIT = 100, 0.1
"""Factors of slayer on ``tau_grad`` and ``scale_grad`` (``TAU_RHO_MULT``, ``SCALE_RHO_MULT`` of its ``neuron/cuba.py``)."""
_LANES = 16
Floats: TypeAlias = NDArray[np.float32]
Line: TypeAlias = NDArray[np.float64]
"""One number for all neurons, or one for each, ``(1,)`` or ``(n,)``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CubaSettings:
    """The CUBA neurons of a layer and their surrogate gradient.

    ``neuron``: their integers, one number for all neurons or one for each. The gradient of a spike is
    ``scale / (2 tau) * exp(-|v - threshold| / tau)``; ``tau`` and ``scale`` are in slayer's float units.
    """

    neuron: Cuba
    tau: float
    scale: float


def cuba_settings(neuron: Cuba, tau_grad: float, scale_grad: float) -> CubaSettings:
    """Return the settings of a layer with slayer's surrogate gradient, as wide as the neurons' mean threshold says.

    Args:
        neuron: the integers of the layer's neurons.
        tau_grad, scale_grad: width and height of the surrogate gradient, as in a recipe.
    """
    tau = tau_grad * (float(np.mean(neuron.threshold)) / WEIGHT_SCALE) * TAU_UNIT
    return CubaSettings(neuron=neuron, tau=tau, scale=scale_grad * SCALE_UNIT)


def cuba_spikes(drive: torch.Tensor, settings: CubaSettings) -> tuple[torch.Tensor, float]:
    """Return the spikes of a layer, and the largest current or voltage in it, in state units.

    Args:
        drive: sums of the arriving weights, in slayer's float units, float32 ``(batch, ..., steps)``, on the CPU.
        settings: neurons of the layer.

    Returns:
        Float32 spikes of 0 and 1 in the shape of ``drive``, differentiable; and a float.
    """
    spikes, peak = _Cuba.apply(drive, settings)
    return spikes, float(peak)


def recurrent_cuba_spikes(
    drive: torch.Tensor, recurrent: torch.Tensor, settings: CubaSettings
) -> tuple[torch.Tensor, float]:
    """Return spikes and largest state of a layer whose spikes return one step later through ``recurrent``.

    The gradient goes back in time through the recurrent weights only, not through the decaying states, as in slayer's
    recurrent blocks.

    Args:
        drive: float32 ``(batch, neurons, steps)``.
        recurrent: quantised weights, float32 ``(to, from)``.
        settings: shared by all neurons, without bias.
    """
    spikes, peak = _RecurrentCuba.apply(drive, recurrent, settings)
    return spikes, float(peak)


def window_sums(spikes: torch.Tensor, kernel: tuple[int, int], weight: float) -> torch.Tensor:
    """Return sums over adjacent windows, times ``weight``, equal to those of slayer's pooling synapse for spikes.

    slayer computes a convolution with one channel, whose backward pass takes longer than the rest of a small network.

    Args:
        spikes: ``(batch, channels, height, width, steps)``; the kernel divides height and width.
        kernel: ``(height, width)`` of a window.
        weight: in slayer's float units.
    """
    sums: torch.Tensor = _WindowSums.apply(spikes, kernel, weight)
    return sums


class _WindowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spikes: torch.Tensor, kernel: tuple[int, int], weight: float) -> torch.Tensor:
        batch, channels, height, width, steps = spikes.shape
        high, wide = height // kernel[0], width // kernel[1]
        ctx.windows, ctx.weight = (batch, channels, high, kernel[0], wide, kernel[1], steps), weight
        windows = spikes.reshape(ctx.windows)
        total = torch.zeros(batch, channels, high, wide, steps)
        for y, x in np.ndindex(*kernel):
            total += windows[:, :, :, y, :, x]
        return total.mul_(weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        spread = (gradient * ctx.weight)[:, :, :, None, :, None].expand(ctx.windows)
        batch, channels, high, y, wide, x, steps = ctx.windows
        return spread.reshape(batch, channels, high * y, wide * x, steps), None, None


class _Cuba(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, drive: torch.Tensor, settings: CubaSettings) -> tuple[torch.Tensor, torch.Tensor]:
        given = drive.detach().contiguous()
        voltage, spikes = torch.empty_like(given), torch.empty_like(given)
        own = settings.neuron
        peak = _respond(_rows(given), _rows(voltage), _rows(spikes), *_by_neuron(own), own.reset == "subtract")
        ctx.settings = settings
        ctx.save_for_backward(voltage)
        top = torch.tensor(peak, dtype=torch.float64)
        ctx.mark_non_differentiable(top)
        return spikes, top

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, None]:
        (voltage,) = ctx.saved_tensors
        back = surrogate(voltage, ctx.settings).mul_(gradient)
        neuron = ctx.settings.neuron
        _leak_back(_rows(back), _float_keep(neuron.current_decay), _float_keep(neuron.voltage_decay))
        return back, None


class _RecurrentCuba(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive: torch.Tensor, recurrent: torch.Tensor, settings: CubaSettings
    ) -> tuple[torch.Tensor, torch.Tensor]:
        given = drive.detach().contiguous()
        voltage, spikes = torch.empty_like(given), torch.empty_like(given)
        from_to = recurrent.detach().t().contiguous().numpy()
        arrays = given.numpy(), voltage.numpy(), spikes.numpy()
        keep_u, keep_v, threshold, bias = _by_neuron(settings.neuron)
        assert max(map(len, (keep_u, keep_v, threshold))) == 1, "recurrent neurons of a layer are alike"
        assert not bias.any(), "recurrent neurons have no bias"
        subtract = settings.neuron.reset == "subtract"
        peak = _respond_recurrently(*arrays, from_to, keep_u[0], keep_v[0], threshold[0], subtract)
        ctx.settings = settings
        ctx.save_for_backward(voltage, spikes, recurrent)
        top = torch.tensor(peak, dtype=torch.float64)
        ctx.mark_non_differentiable(top)
        return spikes, top

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        voltage, spikes, recurrent = ctx.saved_tensors
        slope = surrogate(voltage, ctx.settings)
        back = torch.zeros_like(gradient)
        later: torch.Tensor | float = 0.0
        for step in reversed(range(gradient.shape[-1])):
            back[..., step] = slope[..., step] * (later + gradient[..., step])
            later = back[..., step] @ recurrent
        to = back[..., 1:].transpose(0, 1).reshape(back.shape[1], -1)
        origin = spikes[..., :-1].transpose(1, 2).reshape(-1, back.shape[1])
        return back, to @ origin, None


def raised_threshold(neuron: Cuba) -> NDArray[np.float64]:
    """Return the threshold in float units, raised so little that ``>=`` in float32 acts as ``>`` does on the chip.

    It is raised by slayer's ``threshold_eps``, or by half a state unit if float32 could not represent that.
    """
    level = np.asarray(neuron.threshold) / WEIGHT_SCALE
    return level + np.where(level < WEIGHT_SCALE, 0.01, 0.5) / STATE_SCALE


def surrogate(voltage: torch.Tensor, settings: CubaSettings) -> torch.Tensor:
    """Return the gradient of a spike by the voltage, in slayer's float units."""
    tau, scale = (torch.tensor(value, dtype=torch.float32) for value in (settings.tau, settings.scale))
    threshold = torch.from_numpy(np.asarray(raised_threshold(settings.neuron), np.float32))
    if threshold.ndim:
        threshold = threshold.reshape(voltage.shape[1:-1])[..., None]
    return (voltage - threshold).abs_().neg_().div_(tau).exp_().mul_(scale / 2 / tau)


def _rows(tensor: torch.Tensor) -> Floats:
    """Return a view with a row for each neuron of each sample and a column for each step."""
    rows: Floats = tensor.view(-1, tensor.shape[-1]).numpy()
    return rows


def _by_neuron(neuron: Cuba) -> tuple[Line, Line, Line, Line]:
    """Return the decay factors of current and voltage, and threshold and bias in state units, exact in float64.

    Each has one element, or one for each neuron.
    """
    current, voltage = (1 - _line(decay) / DECAY_ONE for decay in (neuron.current_decay, neuron.voltage_decay))
    return current, voltage, _line(neuron.threshold) * 2.0**STATE_SHIFT, _line(neuron.bias)


def _line(value: int | NDArray[np.int32]) -> Line:
    return np.array(value, np.float64).reshape(-1)


def _float_keep(decay: int | NDArray[np.int32]) -> Floats:
    return (1 - _line(decay) / DECAY_ONE).astype(np.float32)


@compiled(nogil=True, error_model="numpy")
def _respond(
    drive: Floats,
    voltage: Floats,
    spikes: Floats,
    keep_u: Line,
    keep_v: Line,
    threshold: Line,
    bias: Line,
    subtract: bool,
) -> float:
    """Fill voltages (before the reset) and spikes ``(batch * neurons, steps)``; return the largest state.

    States are whole numbers in float64, which holds their products with 12-bit factors exactly below 2**41. A few neurons
    at a time are transposed so that they lie side by side in memory; the loop then runs in vector registers, three times as
    fast.
    """
    n, n_steps = drive.shape
    scale = np.float32(STATE_SCALE)
    held, fired = np.empty((n_steps, _LANES), np.float32), np.empty((n_steps, _LANES), np.float32)
    u, v, top = np.empty(_LANES), np.empty(_LANES), np.zeros(_LANES)
    keeps_u, keeps_v, level, constant = np.zeros(_LANES), np.zeros(_LANES), np.zeros(_LANES), np.zeros(_LANES)
    for first in range(0, n, _LANES):
        lanes = min(_LANES, n - first)
        _spread(keeps_u, keep_u, first)
        _spread(keeps_v, keep_v, first)
        _spread(level, threshold, first)
        _spread(constant, bias, first)
        constant[lanes:] = 0
        for k in range(lanes):
            for t in range(n_steps):
                held[t, k] = drive[first + k, t]
        held[:, lanes:] = 0
        u[:] = 0
        v[:] = 0
        for t in range(n_steps):
            for k in range(_LANES):
                current = np.trunc(u[k] * keeps_u[k]) + np.trunc(np.float64(held[t, k] * scale))
                state = np.trunc(v[k] * keeps_v[k]) + np.float64(np.float32(current)) + constant[k]
                fires = state > level[k]
                held[t, k] = np.float32(state) / scale
                fired[t, k] = np.float32(1) if fires else np.float32(0)
                top[k] = max(top[k], max(abs(current), abs(state)))
                u[k] = current
                v[k] = (state - level[k] if subtract else 0.0) if fires else state
        for k in range(lanes):
            for t in range(n_steps):
                voltage[first + k, t] = held[t, k]
                spikes[first + k, t] = fired[t, k]
    return float(top.max())


@compiled(nogil=True, error_model="numpy")
def _respond_recurrently(
    drive: Floats,
    voltage: Floats,
    spikes: Floats,
    from_to: Floats,
    keep_u: float,
    keep_v: float,
    threshold: float,
    subtract: bool,
) -> float:
    """Do as ``_respond`` for ``(batch, neurons, steps)``, with a row of ``from_to`` added for each spike a step before."""
    n_batch, n, n_steps = drive.shape
    scale = np.float32(STATE_SCALE)
    peak = 0.0
    u, v, back = np.empty(n), np.empty(n), np.empty(n, np.float32)
    for sample in range(n_batch):
        u[:] = 0.0
        v[:] = 0.0
        for t in range(n_steps):
            back[:] = 0.0
            for source in range(n):
                if t > 0 and spikes[sample, source, t - 1] > 0:
                    back += from_to[source]
            for k in range(n):
                now = np.trunc(u[k] * keep_u) + np.trunc(np.float64((drive[sample, k, t] + back[k]) * scale))
                held = np.trunc(v[k] * keep_v) + np.float64(np.float32(now))
                fired = held > threshold
                voltage[sample, k, t] = np.float32(held) / scale
                spikes[sample, k, t] = np.float32(1.0) if fired else np.float32(0.0)
                peak = max(peak, abs(now), abs(held))
                u[k] = now
                v[k] = (held - threshold if subtract else 0.0) if fired else held
    return peak


@compiled(nogil=True, error_model="numpy")
def _leak_back(gradient: Floats, keep_u: Floats, keep_v: Floats) -> None:
    """Turn gradients of voltages ``(batch * neurons, steps)`` into those of the drive, in place, float32 as in slayer."""
    n, n_steps = gradient.shape
    u, v = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    keeps_u, keeps_v = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    for first in range(0, n, _LANES):
        lanes = min(_LANES, n - first)
        _spread(keeps_u, keep_u, first)
        _spread(keeps_v, keep_v, first)
        u[:] = 0.0
        v[:] = 0.0
        for t in range(n_steps - 1, -1, -1):
            for k in range(lanes):
                v[k] = keeps_v[k] * v[k] + gradient[first + k, t]
                u[k] = keeps_u[k] * u[k] + v[k]
                gradient[first + k, t] = u[k]


@compiled(nogil=True, error_model="numpy", inline="always")
def _spread(lanes: Floats | Line, values: Floats | Line, first: int) -> None:
    """Set each lane to the value of its neuron: row ``first + lane`` belongs to neuron ``row % len(values)``."""
    for k in range(len(lanes)):
        lanes[k] = values[(first + k) % len(values)]
