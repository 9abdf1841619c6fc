"""One step of each neuron model, in numpy integers, exactly as Lava's fixed-point process models compute it.

States are int32 arrays whose last axis counts neurons. With ``at``, an array of neuron numbers, states and inputs are given
for these neurons only, otherwise for all. Source: lava-nc 0.10.0, ``proc/{lif,rf,rf_iz,sdn}/models.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    Cuba,
    Delta,
    LeakyIntegrator,
    NeuronModel,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    SpikingModel,
)

Ints: TypeAlias = NDArray[np.int32]
States: TypeAlias = tuple[Ints, ...]
At: TypeAlias = NDArray[np.int64] | None
Overflow: TypeAlias = Literal["report", "error", "wrap", "clip"]

OVERFLOWS: tuple[Overflow, ...] = ("report", "error", "wrap", "clip")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The result of a step: states (in the order of ``model.states``), messages, and flags of neurons that left 24 bits.

    ``sent`` is bool for spikes and int32 for graded messages.
    """

    states: States
    sent: NDArray[Any]
    overflow: NDArray[np.bool_]


def step(
    model: NeuronModel, states: States, real: Ints, imag: Ints, *, at: At = None, on_overflow: Overflow = "report"
) -> Step:
    """Return the result of one step with the summed inputs ``real`` and, for resonators, ``imag`` (int32).

    ``on_overflow`` selects what happens to a summing state (the current, ``sigma``) that leaves 24 bits; see ``bounded``.
    """
    return DYNAMICS[type(model)].step(model, states, Arriving(real, imag, at, on_overflow))


def busy(model: NeuronModel, states: States, *, at: At = None) -> NDArray[np.bool_]:
    """Return for each neuron whether it can change its state or send in a step in which nothing arrives, bool.

    A neuron with only a residue does not change, because the residue lies below the threshold, unless errors add up
    (``cumulative``).
    """
    return _flags(DYNAMICS[type(model)].busy(model, states, at))


class Arriving(NamedTuple):
    """The inputs of a step, for the neurons ``at``, and what happens to a state that leaves 24 bits."""

    real: Ints
    imag: Ints
    at: At
    on_overflow: Overflow


def bounded(wide: NDArray[Any], on_overflow: Overflow) -> NDArray[Any]:
    """Return a current brought back into 24 bits.

    By default it is folded back once, as in Lava: above ``2**23`` by ``-2**24``, at ``-2**23`` and below by ``+2**24``. So
    ``2**23`` stays as it is, and values beyond ``3 * 2**23`` remain outside. ``wrap`` folds until the value lies in
    ``1 - 2**23..2**23``; ``clip`` limits it to ``+-(2**23 - 1)``.
    """
    if on_overflow == "wrap":
        return (wide + (STATE_LIMIT - 1)) % (2 * STATE_LIMIT) - (STATE_LIMIT - 1)
    if on_overflow == "clip":
        return np.clip(wide, 1 - STATE_LIMIT, STATE_LIMIT - 1)
    wide = wide.astype(np.int32)
    lowered = np.where(wide > STATE_LIMIT, wide - 2 * STATE_LIMIT, wide)
    return np.where(wide <= -STATE_LIMIT, wide + 2 * STATE_LIMIT, lowered)


def _cuba(model: SpikingModel, states: States, given: Arriving) -> Step:
    (u, v), (real, _, at, on_overflow) = states, given
    wide = _decayed(u, _own(model.current_decay, at)) + (real.astype(np.int64) << STATE_SHIFT)
    overflow = np.abs(wide) >= STATE_LIMIT
    u = bounded(wide, on_overflow).astype(np.int32)
    v = _decayed(v, _own(model.voltage_decay, at)).astype(np.int32) + u + _own(model.bias, at)
    v = np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1)
    if isinstance(model, LeakyIntegrator):
        return Step((u, v), np.zeros(v.shape, np.bool_), overflow)
    limit = _own(model.threshold, at) << STATE_SHIFT
    fired = v > limit
    after = v - limit if model.reset == "subtract" else 0
    return Step((u, np.where(fired, after, v).astype(np.int32)), fired, overflow)


def _resonate(model: ResonateAndFire, states: States, given: Arriving) -> Step:
    """Return one step of resonators; as in Lava, both states are clipped to 24 bits, whatever ``on_overflow`` says."""
    real, imag, at, _ = given
    sine, cosine, threshold = (_own(p, at) for p in (model.sin_decay, model.cos_decay, model.threshold))
    x, y = (state.astype(np.int64) for state in states)
    wide_x = _shrunk(cosine * x) - _shrunk(sine * y) + (real << model.state_exponent)
    wide_y = _shrunk(sine * x) + _shrunk(cosine * y) + (imag << model.state_exponent)
    overflow = (np.abs(wide_x) >= STATE_LIMIT) | (np.abs(wide_y) >= STATE_LIMIT)
    new_x, new_y = (np.clip(wide, 1 - STATE_LIMIT, STATE_LIMIT - 1) for wide in (wide_x, wide_y))
    if model.reset:
        fired = new_y >= threshold
        new_x, new_y = np.where(fired, 0, new_x), np.where(fired, threshold - 1, new_y)
    else:
        fired = (new_x >= threshold) & (new_y >= 0) & (y < 0)
    return Step((new_x.astype(np.int32), new_y.astype(np.int32)), fired, overflow)


def _sigma(_: Sigma, states: States, given: Arriving) -> Step:
    sigma, overflow = _summed(states[0], given.real, given.on_overflow)
    return Step((sigma,), sigma, overflow)


def _delta(model: Delta, states: States, given: Arriving) -> Step:
    act, residue, error = states
    new = given.real << (model.spike_exponent + model.state_exponent)
    sent, residue, error = _encoded(model, new - act + residue, error, given.at)
    return Step((new, residue, error), sent, np.abs(new.astype(np.int64)) >= STATE_LIMIT)


def _sigma_delta(model: SigmaDelta, states: States, given: Arriving) -> Step:
    sigma, act, residue, error = states
    sigma, overflow = _summed(sigma, given.real, given.on_overflow)
    new = _activated(model, sigma, given.at)
    sent, residue, error = _encoded(model, new - act + residue, error, given.at)
    return Step((sigma, new, residue, error), sent, overflow | (np.abs(new.astype(np.int64)) >= STATE_LIMIT))


def _summed(sigma: Ints, a: Ints, on_overflow: Overflow) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the new sum and the overflows; Lava keeps 32 bits, so only ``wrap`` and ``clip`` bring it into 24 bits."""
    wide = sigma.astype(np.int64) + a
    overflow = np.abs(wide) >= STATE_LIMIT
    if on_overflow in ("wrap", "clip"):
        wide = bounded(wide, on_overflow)
    return wide.astype(np.int32), overflow


def _activated(model: SigmaDelta, sigma: Ints, at: At) -> Ints:
    new = sigma + _own(model.bias, at)
    return np.maximum(new, np.int32(0)) if model.activation == "relu" else new


def _encoded(model: Delta | SigmaDelta, delta: Ints, error: Ints, at: At) -> tuple[Ints, Ints, Ints]:
    """Return the message for the change ``delta``, the residue, and the error since the last message."""
    error = error + delta if model.cumulative else error
    compared = error if model.cumulative else delta
    sent = np.where(np.abs(compared) >= _own(model.threshold, at), delta, np.int32(0))
    if model.cumulative:
        error = np.where(np.abs(sent) > 0, np.int32(0), error)
    return sent >> model.state_exponent, delta - sent, error


def _flags(given: object) -> NDArray[np.bool_]:
    return np.asarray(given, np.bool_)


def _own(parameter: int | Ints, at: At) -> Ints | np.int32:
    """Return a parameter for the neurons ``at``."""
    if isinstance(parameter, int):
        return np.int32(parameter)
    return np.ravel(parameter) if at is None else np.ravel(parameter)[at]


def _decayed(state: Ints, decay: Ints | np.int32) -> NDArray[np.int64]:
    """Return ``state * (4096 - decay) / 4096``, rounded towards zero."""
    return _shrunk(state.astype(np.int64) * (DECAY_ONE - np.int64(1) * decay))


def _shrunk(product: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``product / 4096``, rounded towards zero."""
    size: NDArray[np.int64] = np.abs(product) >> 12
    return np.sign(product) * size


def _moving(model: NeuronModel, states: States, at: At) -> NDArray[np.bool_]:  # noqa: ARG001 (all of them share a signature)
    moving: NDArray[np.bool_] = np.any([state != 0 for state in states], axis=0)
    return moving


def _driven(model: SpikingModel, states: States, at: At) -> object:
    return _moving(model, states, at) | (_own(model.bias, at) != 0)


def _changed(model: Delta, states: States, at: At) -> object:  # noqa: ARG001
    return _or_left_over(model, states, states[0] != 0)


def _sum_changed(model: SigmaDelta, states: States, at: At) -> object:
    return _or_left_over(model, states, states[1] != _activated(model, states[0], at))


def _or_left_over(model: Delta | SigmaDelta, states: States, changed: NDArray[np.bool_]) -> object:
    return changed | (states[model.states.index("residue")] != 0) if model.cumulative else changed


@dataclass(frozen=True, slots=True)
class Dynamics:
    """The functions of a neuron kind behind ``step`` and ``busy``."""

    step: Callable[[Any, States, Arriving], Step]
    busy: Callable[[Any, States, At], object]


DYNAMICS: Mapping[type[NeuronModel], Dynamics] = {
    Cuba: Dynamics(_cuba, _driven),
    LeakyIntegrator: Dynamics(_cuba, _driven),
    ResonateAndFire: Dynamics(_resonate, _moving),
    Sigma: Dynamics(_sigma, _moving),
    Delta: Dynamics(_delta, _changed),
    SigmaDelta: Dynamics(_sigma_delta, _sum_changed),
}
"""The dynamics of each neuron kind."""
