"""Neuron models in integers: one record for each kind, with the equations of Lava's fixed-point processes (lava-nc 0.10.0).

``tz(x)`` divides by ``2**12`` and rounds towards zero; ``a`` is the sum of the weights that arrive in a step. Each parameter
is one whole number, or an int32 array of the population's shape. ``states`` names the states that a run can record. A
``graded`` model sends whole numbers instead of spikes; a message of 0 is not sent.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError

DECAY_ONE = 4096
"""The decay that forgets everything in one step; decays are integers in ``0..DECAY_ONE``."""
STATE_SHIFT = 6
"""Number of bits by which weights, thresholds and summed inputs are shifted left to become state units."""
STATE_LIMIT = 2**23
"""One more than the largest current or voltage: both are 24-bit signed integers."""
THRESHOLD_MAX = 2**17 - 1
"""Largest threshold of Lava's LIF process, in weight units."""
EXPONENT_MAX = 12
"""Largest exponent of a message or a state: with more, one weight unit would leave 24 bits."""

Parameter: TypeAlias = int | NDArray[np.int32]


def frozen(array: object, dtype: type[np.generic], where: str) -> NDArray[Any]:
    """Return a read-only copy of ``array`` as ``dtype``, or the array itself where it is one of its own already.

    Raises:
        NetworkError: for values that are not whole numbers or do not fit ``dtype``.
    """
    given = np.asarray(array)
    if given.dtype == dtype and given.flags.owndata and not given.flags.writeable:
        return given
    own = given.astype(dtype) if given.dtype.kind in "iub" else None
    if own is None or not np.array_equal(own, given):
        raise NetworkError(f"network: {where} must hold whole numbers that fit {np.dtype(dtype).name}")
    own.setflags(write=False)
    return own


def parameter(value: object, low: int, high: int, where: str) -> Parameter:
    """Return the value as one whole number or a read-only int32 array, checked against ``low..high``."""
    own = frozen(value, np.int32, where)
    if own.size and (own.min() < low or own.max() > high):
        bad = int(own.min()) if own.min() < low else int(own.max())
        raise NetworkError(f"network: {where} is {bad}, outside {low}..{high}")
    return int(own) if own.ndim == 0 else own


def _set_parameters(model: object, **ranges: tuple[int, int]) -> None:
    """Check and freeze the integer parameters of a neuron model in place (called while it is being made)."""
    for name, (low, high) in ranges.items():
        object.__setattr__(model, name, parameter(getattr(model, name), low, high, name))


def _set_exponents(model: object, *names: str) -> None:
    """Check exponents: each must be one whole number for the whole population."""
    for name in names:
        given = parameter(getattr(model, name), 0, EXPONENT_MAX, name)
        if not isinstance(given, int):
            raise NetworkError(f"network: {name} must be one whole number, it is an array")
        object.__setattr__(model, name, given)


RESETS = ("zero", "subtract")
"""What a ``Cuba`` neuron does with its voltage when it fires."""
_DECAY = (0, DECAY_ONE)
_STATE = (1 - STATE_LIMIT, STATE_LIMIT - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cuba:
    """Current-based leaky integrate-and-fire neuron; LIF with ``current_decay = 4096``, IF with ``voltage_decay = 0``.

    ``u = tz(u * (4096 - current_decay)) + 64 * a``; ``v = clip(tz(v * (4096 - voltage_decay)) + u + bias)``; a spike where
    ``v > 64 * threshold``, at most one in a step, and then ``v = 0`` or, with ``reset="subtract"``,
    ``v = v - 64 * threshold``. Source: ``proc/lif/models.py``, ``PyLifModelBitAcc``, which resets to 0.
    """

    kind: ClassVar[str] = "cuba"
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    graded: ClassVar[bool] = False
    current_decay: Parameter
    voltage_decay: Parameter
    threshold: Parameter
    bias: Parameter = 0
    reset: Literal["zero", "subtract"] = "zero"

    def __post_init__(self) -> None:
        _set_parameters(self, current_decay=_DECAY, voltage_decay=_DECAY, threshold=(0, THRESHOLD_MAX), bias=_STATE)
        if self.reset not in RESETS:
            raise NetworkError(f"network: reset is '{self.reset}'; known: {', '.join(RESETS)}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakyIntegrator:
    """Read-out neuron: ``Cuba`` without a threshold. It never fires; its voltage is the result."""

    kind: ClassVar[str] = "leaky_integrator"
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    graded: ClassVar[bool] = False
    current_decay: Parameter
    voltage_decay: Parameter
    bias: Parameter = 0

    def __post_init__(self) -> None:
        _set_parameters(self, current_decay=_DECAY, voltage_decay=_DECAY, bias=_STATE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResonateAndFire:
    """Resonate-and-fire neuron: a complex state that rotates and decays; with ``reset`` it is Lava's ``RF_IZ``.

    ``real = clip(tz(cos_decay * real) - tz(sin_decay * imag) + (a_real << state_exponent))``,
    ``imag = clip(tz(sin_decay * real) + tz(cos_decay * imag) + (a_imag << state_exponent))``, where the right sides hold
    the states of the step before. Without ``reset`` (``RF``) it spikes where ``real >= threshold`` and ``imag`` rises
    from below 0 to 0 or more. With ``reset`` it spikes where ``imag >= threshold``, and then ``real = 0``,
    ``imag = threshold - 1``. Complex weights are two projections, one for each ``component``. Source:
    ``proc/rf/models.py`` and ``proc/rf_iz/models.py``.

    Args:
        sin_decay, cos_decay: sine and cosine of the rotation in one step, times the share of the state that is kept, in
            units of 1/4096.
        threshold: in state units, that is Lava's ``vth << state_exponent``.
        state_exponent: shift of the input (lava-dl: 6).
    """

    kind: ClassVar[str] = "resonate_and_fire"
    states: ClassVar[tuple[str, ...]] = ("real", "imag")
    graded: ClassVar[bool] = False
    sin_decay: Parameter
    cos_decay: Parameter
    threshold: Parameter
    state_exponent: int = STATE_SHIFT
    reset: bool = False

    def __post_init__(self) -> None:
        turn = (-DECAY_ONE, DECAY_ONE)
        _set_parameters(self, sin_decay=turn, cos_decay=turn, threshold=(1, STATE_LIMIT - 1))
        _set_exponents(self, "state_exponent")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sigma:
    """Sigma neuron: sums its input, ``sigma = sigma + a``; sends the sum in every step. Source: ``proc/sdn/models.py``."""

    kind: ClassVar[str] = "sigma"
    states: ClassVar[tuple[str, ...]] = ("sigma",)
    graded: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delta:
    """Delta neuron: sends the change of its input once it is ``threshold`` or more. Source: ``proc/sdn/models.py``.

    ``new = a << (spike_exponent + state_exponent)``; ``delta = new - act + residue``; ``act = new``;
    ``s = delta if |delta| >= threshold else 0``; ``residue = delta - s``; the message is ``s >> state_exponent``,
    rounded down.

    Args:
        threshold: in state units, that is Lava's ``vth << (spike_exponent + state_exponent)``.
        cumulative: compare the threshold with ``error``, the sum of all deltas since the last message, instead of with
            one delta.
    """

    kind: ClassVar[str] = "delta"
    states: ClassVar[tuple[str, ...]] = ("act", "residue", "error")
    graded: ClassVar[bool] = True
    threshold: Parameter
    spike_exponent: int = 0
    state_exponent: int = 0
    cumulative: bool = False

    def __post_init__(self) -> None:
        _set_parameters(self, threshold=(0, STATE_LIMIT - 1))
        _set_exponents(self, "spike_exponent", "state_exponent")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SigmaDelta:
    """Sigma-delta neuron: sums deltas, applies an activation, and sends the change of the activation.

    ``sigma = sigma + a``; ``new = f(sigma + bias)`` with ``f`` the identity or ``max(0, x)``; then as in ``Delta``.
    Source: ``proc/sdn/models.py``, ``PySigmaDeltaModelFixed``, which keeps 32-bit states.

    Args:
        threshold, bias: in state units, that is Lava's values ``<< (spike_exp + state_exp)``.
        activation: ``"none"`` (Lava's UNIT) or ``"relu"``.
        cumulative: as in ``Delta``.
    """

    kind: ClassVar[str] = "sigma_delta"
    states: ClassVar[tuple[str, ...]] = ("sigma", "act", "residue", "error")
    graded: ClassVar[bool] = True
    threshold: Parameter
    bias: Parameter = 0
    activation: Literal["none", "relu"] = "relu"
    state_exponent: int = 0
    cumulative: bool = False

    def __post_init__(self) -> None:
        _set_parameters(self, threshold=(0, STATE_LIMIT - 1), bias=_STATE)
        _set_exponents(self, "state_exponent")
        if self.activation not in ("none", "relu"):
            raise NetworkError(f"network: activation is '{self.activation}'; known: none, relu")


SpikingModel: TypeAlias = Cuba | LeakyIntegrator
"""The neuron models that NIR files, chips and cost estimates support: binary spikes, one real current."""
NeuronModel: TypeAlias = Cuba | LeakyIntegrator | ResonateAndFire | Sigma | Delta | SigmaDelta


def model_of(model: NeuronModel, neurons: NDArray[np.integer[Any]]) -> NeuronModel:
    """Return the model of some neurons of a population, by their numbers, as a flat population of its own."""
    values = {f.name: getattr(model, f.name) for f in fields(model)}
    own: dict[str, Any] = {n: value.ravel()[neurons] for n, value in values.items() if isinstance(value, np.ndarray)}
    return replace(model, **own)


NEURON_KINDS: dict[str, type[NeuronModel]] = {
    model.kind: model for model in (Cuba, LeakyIntegrator, ResonateAndFire, Sigma, Delta, SigmaDelta)
}
"""Models by their ``kind``. ``docs/growing.md`` names the tables of other stages that have a row for each."""
