"""Replay of a single population, by the arithmetic of ``engines/dynamics.py`` or by a rule that deviates from it.

The code does not use ``engines/dynamics.py``, because a rule can break the assumptions there: values are int64, cut to
32 bits where the definition computes in 32 bits, and floats where a rule rounds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    Cuba,
    Delta,
    LeakyIntegrator,
    Population,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    SpikingModel,
)
from neurodeploy.proofs.arrivals import Given

Values: TypeAlias = NDArray[Any]
Rounding = Literal["toward zero", "down", "nearest", "none"]
Bound = Literal["fold", "wrap", "clip", "none"]
"""Way to keep a value in 24 bits: ``fold`` moves it by ``2**24`` once, ``wrap`` until it fits, ``clip`` limits it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CubaRule:
    """Arithmetic of a CUBA neuron; the defaults are the definition."""

    rounding: Rounding = "toward zero"
    current: Bound = "fold"
    voltage: Bound = "clip"
    bound_after_reset: bool = False
    at_threshold: Literal["nothing", "spike", "reset"] = "nothing"
    reset: Literal["voltage", "both", "late", "repeated", "none"] = "voltage"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResonatorRule:
    """Arithmetic of a resonate-and-fire neuron; the defaults are the definition. ``reset`` concerns RF_IZ neurons."""

    rounding: Rounding = "toward zero"
    round_once: bool = False
    bound: Bound = "clip"
    above_threshold: bool = False
    phase: Literal["rises to 0", "rises from 0", "any"] = "rises to 0"
    reset: Literal["below threshold", "to threshold", "to zero", "none"] = "below threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmaRule:
    """Arithmetic of a sigma neuron's sum and its messages; the defaults are the definition."""

    bound: Bound = "none"
    forgets: bool = False
    sends_changes_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaRule:
    """Arithmetic of a delta or sigma-delta neuron; the defaults are the definition. ``sigma``: rule of sigma-delta's sum."""

    sigma: SigmaRule = SigmaRule()
    bound: Bound = "none"
    above_threshold: bool = False
    shift: Rounding = "down"
    residue: Literal["below threshold", "with lost bits", "always", "never"] = "below threshold"
    clears_error: bool = True


Rule: TypeAlias = CubaRule | ResonatorRule | SigmaRule | DeltaRule


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """The record of a replay: messages (1 for a spike), the values that decided them, and the states after the last step.

    For a read-out, which sends nothing, ``sent`` is its voltage. ``sent`` and each array of ``decided`` (states before a
    reset, the change ``delta``) have the shape ``(n_steps, size)``.
    """

    sent: Values
    decided: Mapping[str, Values]
    states: tuple[Values, ...]


_Stepped: TypeAlias = tuple[tuple[Values, ...], Values, dict[str, Values]]


def replay_model(
    population: Population,
    given: Given,
    rule: Rule | None = None,
    *,
    states: tuple[Values, ...] | None = None,
    n_steps: int | None = None,
) -> Replay:
    """Run a population on its summed input and return the record.

    Args:
        given: the real and the imaginary input, int32 ``(n_steps, size)`` each.
        rule: a rule for the population's neuron kind; by default the definition.
        states: initial states; by default 0.
        n_steps: number of steps; by default all.
    """
    (real, imag), model = (part[:n_steps] for part in given), population.model
    step, definition = _KINDS[type(model)]
    chosen = definition if rule is None else rule
    now = tuple(np.zeros(population.size, np.int64) for _ in model.states) if states is None else states
    sent, decided = np.zeros(real.shape, np.int64), []
    for t in range(population.first_step, len(real)):
        now, sent[t], seen = step(model, now, real[t].astype(np.int64), imag[t].astype(np.int64), chosen)
        decided.append(seen)
    silent = np.zeros((min(population.first_step, len(real)), population.size), np.int64)
    names = decided[0] if decided else {}
    columns = {name: np.concatenate([silent, [seen[name] for seen in decided]]) for name in names}
    return Replay(sent, columns, now)


def _cuba(model: SpikingModel, states: tuple[Values, ...], a: Values, _: Values, rule: CubaRule) -> _Stepped:
    u, before = states
    u = _decayed(u, model.current_decay, rule.rounding) + (a << STATE_SHIFT)
    u = u if rule.current == "none" else _bounded(_int32(u), rule.current)
    v = _decayed(before, model.voltage_decay, rule.rounding) + u + _own(model.bias)
    if isinstance(model, LeakyIntegrator):
        v = _kept(v, rule)
        return (u, v), v, {"u": u, "v": v}
    limit = _own(model.threshold) << STATE_SHIFT
    if rule.reset == "late":
        v = np.where(before > limit, _after_spike(model, v, limit, rule), v)
    v = v if rule.bound_after_reset else _kept(v, rule)
    seen = {"u": u, "v": v}
    sends = v >= limit if rule.at_threshold == "spike" else v > limit
    resets = sends if rule.at_threshold == "nothing" else v >= limit
    if rule.reset not in ("none", "late"):
        v = np.where(resets, _after_spike(model, v, limit, rule), v)
    if rule.reset == "both":
        u = np.where(resets, 0, u)
    return (u, _kept(v, rule) if rule.bound_after_reset else v), sends, seen


def _kept(voltage: Values, rule: CubaRule) -> Values:
    """Return a voltage within 24 bits, as the rule says."""
    return voltage if rule.voltage == "none" else _bounded(_int32(voltage), rule.voltage)


def _after_spike(model: Cuba, voltage: Values, limit: Values, rule: CubaRule) -> Values:
    """Return the voltage after the reset of neurons that fire; ``limit`` is the threshold in state units."""
    if model.reset == "zero":
        return np.zeros_like(voltage)
    times = (voltage - 1) // np.maximum(limit, 1) if rule.reset == "repeated" else 1
    after: Values = voltage - times * limit
    return after


def _resonate(
    model: ResonateAndFire, states: tuple[Values, ...], a: Values, b: Values, rule: ResonatorRule
) -> _Stepped:
    x, y = states
    sine, cosine, limit = _own(model.sin_decay), _own(model.cos_decay), _own(model.threshold)
    new_x = _bounded(_turned(cosine * x, sine * y, -1, rule) + _int32(a << model.state_exponent), rule.bound)
    new_y = _bounded(_turned(sine * x, cosine * y, 1, rule) + _int32(b << model.state_exponent), rule.bound)
    seen = {"real": new_x, "imag": new_y}
    deciding = new_y if model.reset else new_x
    sends = deciding > limit if rule.above_threshold else deciding >= limit
    if not model.reset:
        rises = (new_y >= 0) & (y < 0) if rule.phase == "rises to 0" else (new_y > 0) & (y <= 0)
        return (new_x, new_y), sends if rule.phase == "any" else sends & rises, seen
    if rule.reset != "none":
        after = {"below threshold": limit - 1, "to threshold": limit, "to zero": 0 * limit}
        new_x, new_y = np.where(sends, 0, new_x), np.where(sends, after[rule.reset], new_y)
    return (new_x, new_y), sends, seen


def _sigma(_: Sigma, states: tuple[Values, ...], a: Values, __: Values, rule: SigmaRule) -> _Stepped:
    total = _summed(states[0], a, rule)
    return (total,), np.where(a != 0, total, 0) if rule.sends_changes_only else total, {"sigma": total}


def _delta(model: Delta, states: tuple[Values, ...], a: Values, _: Values, rule: DeltaRule) -> _Stepped:
    act, residue, error = states
    new = _bounded(_int32(a << (model.spike_exponent + model.state_exponent)), rule.bound)
    sent, residue, error, seen = _encoded(model, _int32(new - act + residue), error, rule)
    return (new, residue, error), sent, {"act": new} | seen


def _sigma_delta(model: SigmaDelta, states: tuple[Values, ...], a: Values, _: Values, rule: DeltaRule) -> _Stepped:
    total, act, residue, error = states
    total = _summed(total, a, rule.sigma)
    new = _int32(total + _own(model.bias))
    new = _bounded(np.maximum(new, 0) if model.activation == "relu" else new, rule.bound)
    sent, residue, error, seen = _encoded(model, _int32(new - act + residue), error, rule)
    return (total, new, residue, error), sent, {"sigma": total, "act": new} | seen


def _encoded(
    model: Delta | SigmaDelta, delta: Values, error: Values, rule: DeltaRule
) -> tuple[Values, Values, Values, dict[str, Values]]:
    """Return the message for the change ``delta``, the residue, the error, and the values that decided the message."""
    error = _int32(error + delta) if model.cumulative else error
    seen = {"delta": delta} | ({"error": error} if model.cumulative else {})
    size, limit = _magnitude(error if model.cumulative else delta), _own(model.threshold)
    part = np.where(size > limit if rule.above_threshold else size >= limit, delta, 0)
    sent = part if rule.shift == "none" else _divided(part, model.state_exponent, rule.shift)
    if model.cumulative and rule.clears_error:
        error = np.where(_magnitude(part) > 0, 0, error)
    taken = {"below threshold": part, "with lost bits": sent << model.state_exponent, "always": 0, "never": delta}
    return sent, _int32(delta - taken[rule.residue]), error, seen


_KINDS: Mapping[type, tuple[Callable[..., _Stepped], Rule]] = {
    Cuba: (_cuba, CubaRule()),
    LeakyIntegrator: (_cuba, CubaRule()),
    ResonateAndFire: (_resonate, ResonatorRule()),
    Sigma: (_sigma, SigmaRule()),
    Delta: (_delta, DeltaRule()),
    SigmaDelta: (_sigma_delta, DeltaRule()),
}


def _summed(total: Values, a: Values, rule: SigmaRule) -> Values:
    return _bounded(_int32(a if rule.forgets else total + a), rule.bound)


def _turned(one: Values, other: Values, sign: int, rule: ResonatorRule) -> Values:
    """Return ``(one + sign * other) / 4096``, rounded as the rule says."""
    if rule.round_once:
        return _divided(one + sign * other, 12, rule.rounding)
    first, second = _divided(one, 12, rule.rounding), _divided(other, 12, rule.rounding)
    return first + second if sign > 0 else first - second


def _decayed(state: Values, decay: int | NDArray[np.int32], rounding: Rounding) -> Values:
    return _divided(state * (DECAY_ONE - _own(decay)), 12, rounding)


def _divided(product: Values, bits: int, rounding: Rounding) -> Values:
    """Return ``product / 2**bits``, rounded as given."""
    if rounding == "none":
        result: Values = product / 2**bits
    elif rounding == "down":
        result = product >> bits
    elif rounding == "nearest":
        result = (product + (1 << bits >> 1)) >> bits
    else:
        result = np.sign(product) * (np.abs(product) >> bits)
    return result


def _bounded(wide: Values, bound: Bound) -> Values:
    if bound == "none":
        return wide
    if bound == "clip":
        return np.clip(wide, 1 - STATE_LIMIT, STATE_LIMIT - 1)
    if bound == "wrap":
        wrapped: Values = (wide + STATE_LIMIT) % (2 * STATE_LIMIT) - STATE_LIMIT
        return wrapped
    lowered = np.where(wide > STATE_LIMIT, wide - 2 * STATE_LIMIT, wide)
    return np.where(wide <= -STATE_LIMIT, wide + 2 * STATE_LIMIT, lowered)


def _int32(wide: Values) -> Values:
    """Return whole numbers wrapped to int32, as the definition computes; floats are returned as they are."""
    return wide if wide.dtype.kind == "f" else wide.astype(np.int32).astype(np.int64)


def _magnitude(value: Values) -> Values:
    """Return the absolute value in 32 bits, where the absolute value of ``-2**31`` is itself."""
    return _int32(np.abs(value))


def _own(parameter: int | NDArray[np.int32]) -> NDArray[np.int64]:
    return np.ravel(parameter).astype(np.int64)
