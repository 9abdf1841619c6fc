"""CUBA neurons over lanes: currents and voltages of 32 lanes in registers for all steps, spikes written as bits.

States are whole numbers in float32, exact below 2**24; the largest state is returned, so that a caller can run the exact
loop of any size (``respond_exactly``) where it leaves 24 bits. Until then the numbers are those of slayer, of
``training/model/fused.py`` and of the chip, which differ from each other only beyond.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.vector import restored, towards_zero
from neurodeploy.engines.lanes.spikes import Span, Words
from neurodeploy.engines.lanes.vectors import (
    absolute,
    decayed_towards_zero,
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
    factor, right = arithmetic(exponent, gain)
    given = (sums.ravel(), first, len(sums), span.stride, span.padded, span.batch, first_step, span.n_steps, 0)
    out = voltage.ravel(), bits.view(np.uint16).ravel(), bits.shape[1] * 4
    peak = float(run_neurons(given, neurons, factor, right, out))
    if beyond and peak >= STATE_LIMIT:
        peak = float(_respond_exactly(given, neurons, factor, right, out))
    return peak


def arithmetic(exponent: int, gain: float = 1.0) -> tuple[float, int]:
    """Return the factor from sums in ``2**exponent`` weight units to state units, and how many bits are cut off first."""
    return gain * 2.0 ** (STATE_SHIFT + max(exponent, 0)), max(-exponent, 0)


def exact_gain(gain: float, exponent: int) -> bool:
    """Return whether sums in units of ``2**exponent`` weight units times ``gain`` are whole numbers of state units."""
    return gain == 1 or (exponent >= 0 and float(gain * 2.0 ** (STATE_SHIFT + exponent)).is_integer())


@_inlined
def _inside(sample: Any, batch: Any) -> Any:
    """Return which of the 16 samples from ``sample`` on there are, as bits."""
    return np.uint32(0xFFFF) if batch - sample >= 16 else np.uint32((1 << max(batch - sample, 0)) - 1)


@_jit
def respond_at_any_size(given: Any, neurons: Any, factor: Any, right: Any, out: Any) -> Any:
    """Do as ``respond`` within a compiled loop, with what it hands to the two loops below."""
    peak = np.float64(run_neurons(given, neurons, factor, right, out))
    if peak >= STATE_LIMIT:
        peak = np.float64(_respond_exactly(given, neurons, factor, right, out))
    return peak


@_jit
def run_neurons(given: Any, neurons: Any, factor: Any, right: Any, out: Any) -> Any:
    """Do the work of ``respond`` below 24 bits; return the largest current or voltage.

    The last of ``given`` is the number of steps by which sums arrive later, at most ``first_step``.
    """
    before = towards_zero()
    peak = _in_fours(given, neurons, factor, right, out)
    restored(before)
    return peak


@_jit
def _in_fours(given: Any, neurons: Any, factor: Any, right: Any, out: Any) -> Any:
    """Run the neurons in fours of 16 lanes (parts of a batch, or neurons), so that they hide each other's latency.

    The last four may hold the last part several times.
    """
    (sums, first, n, stride, padded, batch, first_step, n_steps, later) = given
    (voltage, halves, words) = out
    subtracts = neurons[4]
    parts = padded // 16
    kept = voltage.size > 0
    scale, shift = spread_32(np.float32(factor)), spread_32(np.int32(right))
    zero = spread_32(np.float32(0))
    top = zero
    for q in range(0, n * parts, 4):
        a, b = _place(q, given, words), _place(q + 1, given, words)
        c, d = _place(q + 2, given, words), _place(q + 3, given, words)
        keep_u_1, keep_v_1, limit_1, bias_1 = _parameters(a, b, neurons, batch)
        keep_u_2, keep_v_2, limit_2, bias_2 = _parameters(c, d, neurons, batch)
        u_1, v_1, u_2, v_2 = zero, zero, zero, zero
        for t in range(first_step, n_steps):
            lane, sent, step = t * padded, (t - later) * padded, t * parts
            u_1 = _current(u_1, keep_u_1, sums, a[1] + sent, b[1] + sent, shift, scale)
            u_2 = _current(u_2, keep_u_2, sums, c[1] + sent, d[1] + sent, shift, scale)
            v_1 = decayed_towards_zero(v_1, keep_v_1) + u_1 + bias_1
            v_2 = decayed_towards_zero(v_2, keep_v_2) + u_2 + bias_2
            top = larger(top, larger(absolute(u_1), absolute(v_1)))
            top = larger(top, larger(absolute(u_2), absolute(v_2)))
            if kept:
                _keep(voltage, v_1, a[1] + first * stride + lane, b[1] + first * stride + lane)
                _keep(voltage, v_2, c[1] + first * stride + lane, d[1] + first * stride + lane)
            fires_1, fires_2 = v_1 > limit_1, v_2 > limit_2
            _write(halves, word(fires_1), a[2] + step, b[2] + step)
            _write(halves, word(fires_2), c[2] + step, d[2] + step)
            v_1 = select(fires_1, v_1 - limit_1, v_1) if subtracts else select(fires_1, zero, v_1)
            v_2 = select(fires_2, v_2 - limit_2, v_2) if subtracts else select(fires_2, zero, v_2)
    last = np.empty(32, np.float32)
    store(last, 0, top)
    return last.max()


@_inlined
def _place(part: Any, given: Any, words: Any) -> Any:
    """Return the neuron of a part of 16 lanes, where its sums and its spikes begin, and its first sample."""
    (_, first, n, stride, padded, _, _, _, _) = given
    parts = padded // 16
    part = min(part, n * parts - 1)
    neuron, sample = part // parts, part % parts * 16
    return first + neuron, neuron * stride + sample, (first + neuron) * words + sample // 16, sample


@_inlined
def _parameters(a: Any, b: Any, neurons: Any, batch: Any) -> Any:
    """Return the parameters of two parts; the bias is 0 where there is no sample."""
    (keep_u, keep_v, limit, bias, _) = neurons
    valid = mask_32(np.uint32(_inside(a[3], batch) | _inside(b[3], batch) << np.uint32(16)))
    constant = select(valid, _two(bias, a[0], b[0]), spread_32(np.float32(0)))
    return _two(keep_u, a[0], b[0]), _two(keep_v, a[0], b[0]), _two(limit, a[0], b[0]), constant


@_inlined
def _two(values: Any, a: Any, b: Any) -> Any:
    """Return 16 lanes with the parameter of neuron ``a``, and 16 with that of ``b``."""
    return joined(spread_16(np.float32(values[a])), spread_16(np.float32(values[b])))


@_inlined
def _current(u: Any, keep: Any, sums: Any, a: Any, b: Any, shift: Any, scale: Any) -> Any:
    whole = joined(load_16(sums, a), load_16(sums, b)) >> shift
    return fma(to_float32(whole), scale, decayed_towards_zero(u, keep))


@_inlined
def _keep(voltage: Any, v: Any, a: Any, b: Any) -> None:
    shown = v * spread_32(np.float32(1 / 4096))
    store(voltage, a, low_half(shown, shown))
    store(voltage, b, high_half(shown, shown))


@_inlined
def _write(halves: Any, fired: Any, a: Any, b: Any) -> None:
    halves[np.uintp(a)] = np.uint16(fired & np.uint32(0xFFFF))
    halves[np.uintp(b)] = np.uint16(fired >> np.uint32(16))


@_jit
def _respond_exactly(given: Any, neurons: Any, factor: Any, right: Any, out: Any) -> Any:
    """Do the same lane by lane in float64, exact below 2**41, with slayer's float32 round trip of the current."""
    (sums, first, n, stride, padded, batch, first_step, n_steps, later) = given
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
                u = np.trunc(u * keep_u[to]) + np.float64(np.float32(sums[at - later * padded] >> right)) * factor
                v = np.trunc(v * keep_v[to]) + np.float64(np.float32(u)) + bias[to]
                peak = max(peak, max(abs(u), abs(v)))
                if voltage.size > 0:
                    voltage[at + first * stride] = np.float32(v) / np.float32(4096)
                if v > limit[to]:
                    lane = t * padded + b
                    halves[to * words + lane // 16] |= np.uint16(1 << lane % 16)
                    v = v - limit[to] if subtracts else 0.0
    return peak
