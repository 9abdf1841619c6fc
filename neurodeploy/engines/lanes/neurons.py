"""CUBA neurons over lanes: currents and voltages of 32 lanes in registers for all steps, spikes written as bits.

States are whole numbers in float32, exact below 2**24; the largest state is returned, so that a caller can run the exact
loop of any size (``respond_exactly``) where it leaves 24 bits. Until then the numbers are those of slayer, of
``training/model/fused.py`` and of the chip, which differ from each other only beyond.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.lanes.spikes import Span, Words
from neurodeploy.engines.lanes.vectors import (
    absolute,
    decayed,
    fma,
    high_half,
    joined,
    larger,
    load_16,
    low_half,
    mask_32,
    select,
    spread_16,
    spread_32,
    store,
    to_float32,
    word,
)
from neurodeploy.files.loops import compiled
from neurodeploy.network import DECAY_ONE, STATE_LIMIT, STATE_SHIFT, Cuba, LeakyIntegrator

Line: TypeAlias = NDArray[np.float64]
_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)


class Neurons(NamedTuple):
    """Parameters of ``n`` neurons in state units, float64 ``(n,)``: shares that are kept, limit of the voltage, bias.

    ``subtracts``: whether a neuron that fires takes the limit off its voltage, instead of setting it to 0.
    """

    keep_u: Line
    keep_v: Line
    limit: Line
    bias: Line
    subtracts: bool


def neurons_of(model: Cuba | LeakyIntegrator, n: int) -> Neurons:
    """Return the parameters of ``n`` neurons of a model; a leaky integrator has an infinite limit."""
    keep_u, keep_v = (1 - _line(decay, n) / DECAY_ONE for decay in (model.current_decay, model.voltage_decay))
    bias = _line(model.bias, n)
    if not isinstance(model, Cuba):
        return Neurons(keep_u, keep_v, np.full(n, np.inf), bias, False)
    limit = _line(model.threshold, n) * 2.0**STATE_SHIFT
    return Neurons(keep_u, keep_v, limit, bias, model.reset == "subtract")


def _line(value: int | NDArray[np.int32], n: int) -> Line:
    return np.ascontiguousarray(np.broadcast_to(np.ravel(np.asarray(value, np.float64)), n))


def respond(
    sums: NDArray[np.int32],
    neurons: Neurons,
    span: Span,
    first: int,
    exponent: int,
    bits: Words,
    voltage: NDArray[np.float32],
    first_step: int = 0,
    *,
    beyond: bool = True,
    gain: float = 1.0,
) -> float:
    """Write voltages and spikes of the neurons from ``first`` on, and return the largest current or voltage.

    Args:
        sums: int32 ``(n, stride)``; ``2**exponent`` weight units each, rounded down to whole ones if negative.
        neurons: of the whole layer.
        span: the lanes.
        first: number of the first neuron.
        exponent: of the sums.
        bits: of the whole layer; written.
        voltage: in slayer's float units (4096 state units), float32 ``(layer, stride)``, written; or no rows at all.
        first_step: nothing happens before this step, and what arrives before it is lost.
        beyond: whether a block with a state beyond 24 bits is computed again by the exact loop; if not, its results are
            meaningless, and the returned number says so.
        gain: factor on the sums; a sum of 1 times it is a whole number of state units (``exact_gain``).
    """
    factor, right = scale_of(exponent, gain)
    given = (sums.ravel(), first, len(sums), span.stride, span.padded, span.batch, first_step, span.n_steps)
    out = voltage.ravel(), bits.view(np.uint16).ravel(), bits.shape[1] * 4
    peak = float(_respond(given, neurons, factor, right, out))
    if beyond and peak >= STATE_LIMIT:
        peak = float(_respond_exactly(given, neurons, factor, right, out))
    return peak


def scale_of(exponent: int, gain: float) -> tuple[float, int]:
    """Return the factor from sums, shifted right by some bits, to state units, and these bits."""
    return gain * 2.0 ** (STATE_SHIFT + max(exponent, 0)), max(-exponent, 0)


def exact_gain(gain: float, exponent: int) -> bool:
    """Return whether sums in units of ``2**exponent`` weight units times ``gain`` are whole numbers of state units."""
    return gain == 1 or (exponent >= 0 and float(gain * 2.0 ** (STATE_SHIFT + exponent)).is_integer())


@_inlined
def _two(values: Any, a: Any, b: Any) -> Any:
    """Return 16 lanes with the parameter of neuron ``a``, and 16 with that of ``b``."""
    return joined(spread_16(np.float32(values[a])), spread_16(np.float32(values[b])))


@_inlined
def _inside(sample: Any, batch: Any) -> Any:
    """Return which of the 16 samples from ``sample`` on there are, as bits."""
    return np.uint32(0xFFFF) if batch - sample >= 16 else np.uint32((1 << max(batch - sample, 0)) - 1)


@_jit
def respond_at_any_size(given: Any, neurons: Any, factor: Any, right: Any, out: Any) -> Any:
    """Do as ``respond`` within a compiled loop, with what it hands to the two loops below."""
    peak = np.float64(_respond(given, neurons, factor, right, out))
    if peak >= STATE_LIMIT:
        peak = np.float64(_respond_exactly(given, neurons, factor, right, out))
    return peak


@_jit
def _respond(given: Any, neurons: Any, factor: Any, right: Any, out: Any) -> Any:
    """Run the neurons in pairs of 16 lanes (two parts of a batch, or two neurons), so that one hides the other's latency.

    An odd last part is paired with itself.
    """
    (sums, first, n, stride, padded, batch, first_step, n_steps) = given
    (voltage, halves, words) = out
    (keep_u, keep_v, limit, bias, subtracts) = neurons
    parts = padded // 16
    kept = voltage.size > 0
    scale, zero = spread_32(np.float32(factor)), spread_32(np.float32(0))
    unit, shift = spread_32(np.float32(1 / 4096)), spread_32(np.int32(right))
    top = zero
    for q in range(0, n * parts, 2):
        other = min(q + 1, n * parts - 1)
        i, j = q // parts, other // parts
        x, y = q % parts * 16, other % parts * 16
        to, also = first + i, first + j
        share_u, share_v = _two(keep_u, to, also), _two(keep_v, to, also)
        level = _two(limit, to, also)
        valid = mask_32(np.uint32(_inside(x, batch) | _inside(y, batch) << np.uint32(16)))
        constant = select(valid, _two(bias, to, also), zero)
        u, v = zero, zero
        for t in range(first_step, n_steps):
            at, beside = i * stride + t * padded + x, j * stride + t * padded + y
            whole = joined(load_16(sums, at), load_16(sums, beside)) >> shift
            u = fma(to_float32(whole), scale, decayed(u, share_u))
            v = decayed(v, share_v) + u + constant
            top = larger(top, larger(absolute(u), absolute(v)))
            if kept:
                shown = v * unit
                store(voltage, at + first * stride, low_half(shown, shown))
                store(voltage, beside + first * stride, high_half(shown, shown))
            fires = v > level
            fired = word(fires)
            halves[to * words + (t * padded + x) // 16] = np.uint16(fired & np.uint32(0xFFFF))
            halves[also * words + (t * padded + y) // 16] = np.uint16(fired >> np.uint32(16))
            v = select(fires, v - level, v) if subtracts else select(fires, zero, v)
    last = np.empty(32, np.float32)
    store(last, 0, top)
    return last.max()


@_jit
def _respond_exactly(given: Any, neurons: Any, factor: Any, right: Any, out: Any) -> Any:
    """Do the same lane by lane in float64, exact below 2**41, with slayer's float32 round trip of the current."""
    (sums, first, n, stride, padded, batch, first_step, n_steps) = given
    (voltage, halves, words) = out
    (keep_u, keep_v, limit, bias, subtracts) = neurons
    peak = 0.0
    for i in range(n):
        to = first + i
        for t in range(n_steps):
            for half in range(padded // 16):
                halves[to * words + t * padded // 16 + half] = 0
        for b in range(batch):
            u, v = 0.0, 0.0
            for t in range(first_step, n_steps):
                at = i * stride + t * padded + b
                u = np.trunc(u * keep_u[to]) + np.float64(np.float32(sums[at] >> right)) * factor
                v = np.trunc(v * keep_v[to]) + np.float64(np.float32(u)) + bias[to]
                peak = max(peak, max(abs(u), abs(v)))
                if voltage.size > 0:
                    voltage[at + first * stride] = np.float32(v) / np.float32(4096)
                if v > limit[to]:
                    lane = t * padded + b
                    halves[to * words + lane // 16] |= np.uint16(1 << lane % 16)
                    v = v - limit[to] if subtracts else 0.0
    return peak
