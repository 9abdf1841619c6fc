"""The reverse pass of CUBA neurons over lanes: the surrogate gradient and the leaks, in place of the voltages.

As in slayer the gradient goes through the leaks alone, as if no neuron had been reset, and float32 operations come in
slayer's order. The exponential is computed here: for a distance of ``x`` widths from the threshold the slope differs from
torch's by at most ``(x + 3) * 2**-24`` of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.chebyshev import Chebyshev
from numpy.typing import NDArray

from neurodeploy.engines.lanes.neurons import Neurons
from neurodeploy.engines.lanes.spikes import Span
from neurodeploy.engines.lanes.vectors import (
    absolute,
    as_floats,
    as_ints,
    fma,
    high_half,
    joined,
    larger,
    load_16,
    low_half,
    mask_32,
    round_even,
    select,
    spread_16,
    spread_32,
    store,
    to_int32,
)
from neurodeploy.files.loops import compiled

Floats = NDArray[np.float32]
_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)
STATE_SCALE = 4096
"""State units per float unit in slayer (its ``s_scale``)."""
WEIGHT_SCALE = 64
"""Weight units per float unit in slayer (its ``w_scale``)."""
_LOWEST = np.float32(-126.0)


_TO_BINARY = -1 / np.log(2)


def _series() -> tuple[np.float32, ...]:
    """Return coefficients of ``2**x`` on +-1/2, from degree 0 to 5 (near the best polynomial: error below 1e-7)."""
    interpolate: Any = Chebyshev.interpolate
    best = interpolate(np.exp2, 5, domain=[-0.5, 0.5]).convert(kind=Polynomial)
    return tuple(np.float32(c) for c in best.coef)


_C0, _C1, _C2, _C3, _C4, _C5 = _series()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surrogate:
    """The gradient of a spike by the voltage, ``scale / (2 tau) * exp(-|v - threshold| / tau)`` in slayer's float units.

    ``threshold``: float32 ``(n,)``; float32 ``tau`` and ``peak`` = ``scale / (2 tau)``.
    """

    threshold: Floats
    tau: np.float32
    peak: np.float32


def surrogate_of(neurons: Neurons, tau: float, scale: float) -> Surrogate:
    """Return the surrogate of spiking neurons; ``tau`` and ``scale`` are slayer's, in float units.

    The threshold is raised as slayer raises it, so that ``>=`` in float32 acts as ``>``: by ``0.01 / 4096``, or by half a
    state unit from 64 on, where float32 cannot hold that.
    """
    level = neurons.limit / STATE_SCALE
    raised = level + np.where(level < WEIGHT_SCALE, 0.01, 0.5) / STATE_SCALE
    width, height = np.float32(tau), np.float32(scale)
    return Surrogate(threshold=raised.astype(np.float32), tau=width, peak=np.float32(height / np.float32(2) / width))


Leaks: TypeAlias = tuple[Floats, Floats, Floats, np.float32, np.float32, NDArray[np.uint16]]
"""Shares of current and voltage that are kept, thresholds, ``tau`` and ``peak``, as ``leak_back`` takes them; and which
samples of each neuron take part, as bits ``(n * padded / 16,)``, or nothing where all do."""


def leaks_of(neurons: Neurons, surrogate: Surrogate) -> Leaks:
    """Return what the reverse pass of neurons needs."""
    keep = neurons.keep_u.astype(np.float32), neurons.keep_v.astype(np.float32)
    return *keep, surrogate.threshold, surrogate.tau, surrogate.peak, np.zeros(0, np.uint16)


def dropped(leaks: Leaks, stays: NDArray[np.uint16], gain: float) -> Leaks:
    """Return what the reverse pass needs behind dropout: the samples that stay, whose spikes count ``gain`` times."""
    return *leaks[:4], np.float32(leaks[4] * np.float32(gain)), stays.reshape(-1)


def slopes(voltage: Floats, surrogate: Surrogate, span: Span, out: Floats) -> None:
    """Write the surrogate gradient at every voltage ``(layer, stride)`` to ``out``, which may be ``voltage`` itself."""
    shape = surrogate.threshold, surrogate.tau, surrogate.peak
    _slopes(voltage.reshape(-1), shape, len(voltage), span.stride, span.width, out.reshape(-1))


@_inlined
def _two(values: Any, a: Any, b: Any) -> Any:
    return joined(spread_16(np.float32(values[a])), spread_16(np.float32(values[b])))


@_inlined
def slope_32(voltage: Any, threshold: Any, tau: Any, peak: Any) -> Any:
    """Return the surrogate gradient at 32 voltages: a power of 2 of the distance to the threshold, which is split into a
    whole part, for the exponent of the float, and a rest within +-1/2, for a polynomial."""
    power = absolute(voltage - threshold) * spread_32(np.float32(_TO_BINARY / np.float64(tau)))
    power = larger(power, spread_32(_LOWEST))
    whole = round_even(power)
    rest = power - whole
    value = fma(spread_32(_C5), rest, spread_32(_C4))
    value = fma(value, rest, spread_32(_C3))
    value = fma(value, rest, spread_32(_C2))
    value = fma(value, rest, spread_32(_C1))
    value = fma(value, rest, spread_32(_C0))
    return as_floats((to_int32(whole) << spread_32(np.int32(23))) + as_ints(value)) * spread_32(peak)


@_inlined
def taking_part(stays: Any, a: Any, b: Any) -> Any:
    """Return which samples of two parts of 16 take part."""
    return mask_32(np.uint32(stays[a]) | np.uint32(stays[b]) << np.uint32(16))


@_jit
def leak_back(voltage: Any, gradient: Any, leaks: Any, lanes: Any, first: Any, stop: Any, origin: Any) -> None:
    """Replace the voltages of neurons ``first`` to ``stop`` by the gradients of their sums, in slayer's float units.

    Args:
        voltage: as ``respond`` wrote them, float32 ``(layer, stride)``, flat.
        gradient: of the spikes, float32 ``(rows, stride)``, flat, 0 where there is no sample; row 0 belongs to neuron
            ``origin``.
        leaks: of the layer's neurons.
        lanes: ``stride``, ``padded`` and ``n_steps`` of the span.
    """
    (stride, padded, n_steps) = lanes
    (keep_u, keep_v, threshold, tau, peak, stays) = leaks
    parts = padded // 16
    n, start = (stop - first) * parts, origin * stride
    for q in range(0, n, 2):
        other = min(q + 1, n - 1)
        i, j = first + q // parts, first + other // parts
        share_u, share_v, level = _two(keep_u, i, j), _two(keep_v, i, j), _two(threshold, i, j)
        u = spread_32(np.float32(0))
        v = u
        at, beside = i * stride + q % parts * 16, j * stride + other % parts * 16
        if stays.size > 0:
            whole = taking_part(stays, i * parts + q % parts, j * parts + other % parts)
        else:
            whole = mask_32(np.uint32(0xFFFFFFFF))
        for t in range(n_steps - 1, -1, -1):
            x, y = at + t * padded, beside + t * padded
            slope = slope_32(joined(load_16(voltage, x), load_16(voltage, y)), level, tau, peak)
            slope = select(whole, slope, spread_32(np.float32(0)))
            v = share_v * v + slope * joined(load_16(gradient, x - start), load_16(gradient, y - start))
            u = share_u * u + v
            store(voltage, x, low_half(u, u))
            store(voltage, y, high_half(u, u))


@_jit
def to_drive(errors: Any, lanes: Any, first: Any, stop: Any, n: Any, held: Any, out: Any) -> None:
    """Write the errors of neurons ``first`` to ``stop`` of ``n`` to ``out``, float32 ``(batch, n, steps)``, flat.

    ``errors``: of the layer, flat. ``lanes``: ``stride``, ``padded``, ``batch`` and ``n_steps``. ``held``: whether there is
    one step in ``out``, for the sums over all.
    """
    (stride, padded, batch, n_steps) = lanes
    part = np.empty(padded * 16, np.float32)
    for begin in range(first, stop, 16):
        end = min(stop, begin + 16)
        if not held:
            for sample in range(batch):
                for i in range(begin, end):
                    for t in range(n_steps):
                        out[(sample * n + i) * n_steps + t] = errors[i * stride + t * padded + sample]
            continue
        for i in range(begin, end):
            for lane in range(0, padded, 16):
                total = load_16(errors, i * stride + lane)
                for t in range(1, n_steps):
                    total = total + load_16(errors, i * stride + t * padded + lane)
                store(part, (i - begin) * padded + lane, total)
        for sample in range(batch):
            for k in range(end - begin):
                out[sample * n + begin + k] = part[k * padded + sample]


@_jit
def _slopes(voltage: Any, shape: Any, n: Any, stride: Any, width: Any, out: Any) -> None:
    (threshold, tau, peak) = shape
    for i in range(n):
        level = _two(threshold, i, i)
        for k in range(i * stride, i * stride + width, 32):
            slope = slope_32(joined(load_16(voltage, k), load_16(voltage, k + 16)), level, tau, peak)
            store(out, k, low_half(slope, slope))
            store(out, k + 16, high_half(slope, slope))
