"""Conversion between neuron nodes of NIR and the integer neurons of the chip (``Cuba``, ``LeakyIntegrator``).

NIR is continuous in time. One step of length ``dt`` multiplies a state by ``1 - a`` and lets ``a`` times the drive in,
where ``a = dt/tau`` (forward Euler) or ``a = 1 - exp(-dt/tau)`` (exponential). A decay is ``4096 a``. With
``w_in = 1/a_syn`` and ``r = 1/a_mem`` all gains are 1, and the NIR neuron is the chip's neuron:

    I' = (1 - a_syn) I + a_syn w_in S        v' = (1 - a_mem) v + a_mem (v_leak + r I')

One NIR unit is 64 weight units, so 4096 state units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.node_metadata import Reset, fires_at, reset_of
from neurodeploy.network import DECAY_ONE, Cuba, LeakyIntegrator, Shape, SpikingModel

Floats: TypeAlias = NDArray[np.float64]
Discretization: TypeAlias = Literal["euler", "exponential"]

UNIT = 64
"""Weight units in one NIR unit (slayer's ``w_scale``)."""
STATE_UNIT = 4096
"""State units in one NIR unit."""
NO_DECAY = 2.0**20
"""Factor for writing a decay of 0: the time constant of decay 1 times this, which is finite and read back as decay 0."""
LI_THRESHOLD, READ_OUT = "LI+Threshold", "read-out"
"""Node kinds that NIR does not have: an LI whose only successor is a Threshold, and an Output that reads no neuron."""
NEURON_KINDS = ("CubaLIF", "CubaLI", "LIF", "LI", "IF", "I", "Threshold", LI_THRESHOLD, READ_OUT)
SPIKING_KINDS = ("CubaLIF", "LIF", "IF", "Threshold", LI_THRESHOLD)
_UNTOLD = {"euler": "no gain differs from 1", "exponential": "no gain is above 1"}
_SAME_DT = 1e-5
_FLOAT32, _FLOAT64 = 1e-6, 1e-12
"""Relative error of a time constant in a file of single or double precision."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FloatNeuron:
    """The update of a neuron node in one step of ``dt``: factors and levels, one per neuron (float64, shape of the node).

    ``u' = (1 - current_factor) u + current_gain S``; ``v' = (1 - voltage_factor) v + voltage_gain u' + bias``; a spike where
    ``v > threshold``, and then ``v = 0`` or, if ``reset`` is "subtract", ``v = v - threshold``. ``v`` is relative to
    ``v_reset``. ``threshold`` is None for a read-out. Neurons that fire ``at`` the threshold as well have the next smaller
    number for it.
    """

    current_factor: Floats
    voltage_factor: Floats
    current_gain: Floats
    voltage_gain: Floats
    bias: Floats
    threshold: Floats | None
    v_reset: Floats
    reset: Reset = "zero"
    at: bool = False

    @property
    def gain(self) -> Floats:
        """Amount that one unit of input adds to the voltage in the same step."""
        return self.current_gain * self.voltage_gain

    @property
    def shape(self) -> Shape:
        """Shape of the node."""
        return self.bias.shape


def neuron_fields(model: SpikingModel, shape: Shape, dt: float, discretization: Discretization) -> dict[str, Floats]:
    """Return the fields of the CubaLIF or CubaLI node that computes exactly ``model`` in steps of ``dt``.

    Raises:
        NirError: for a decay of 4096, which the exponential form cannot express.
    """
    tau_syn, w_in = _time_constant(model.current_decay, shape, dt, discretization, "current_decay")
    tau_mem, r = _time_constant(model.voltage_decay, shape, dt, discretization, "voltage_decay")
    bias = np.broadcast_to(np.asarray(model.bias, np.float64), shape) / STATE_UNIT
    own = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": bias * r, "w_in": w_in}
    if isinstance(model, Cuba):
        own["v_threshold"] = np.broadcast_to(np.asarray(model.threshold, np.float64), shape) / UNIT
        own["v_reset"] = np.zeros(shape)
    return own


def _time_constant(
    decay: int | NDArray[np.int32], shape: Shape, dt: float, discretization: Discretization, where: str
) -> tuple[Floats, Floats]:
    """Return the time constant of a decay and the gain ``1/a`` that belongs to it."""
    d = np.broadcast_to(np.asarray(decay, np.float64), shape).copy()
    if discretization == "exponential" and np.any(d == DECAY_ONE):
        raise NirError(
            f"nir: {where} is {DECAY_ONE}, which forgets everything in one step; the exponential form cannot express it, "
            "write the Euler form, in Python discretization='euler'"
        )
    none = d == 0
    d[none] = 1.0
    tau = DECAY_ONE * dt / d if discretization == "euler" else -dt / np.log1p(-d / DECAY_ONE)
    gain = DECAY_ONE / d
    tau[none] = DECAY_ONE * dt * NO_DECAY
    gain[none] = DECAY_ONE * NO_DECAY
    return tau, gain


def float_neuron(node: Node, dt: float, discretization: Discretization) -> FloatNeuron:
    """Return the update of a node's neurons in one step of ``dt``.

    Kinds with one state variable have a factor of 1 for the other variable. An LI followed by a Threshold is never reset,
    so there the current integrates and the voltage follows it. An IF or I with ``r = 1`` adds its input in each step as it
    is (as sinabs, Norse and the graphs of the NIR paper do); any other ``r`` is multiplied by ``dt``.

    Raises:
        NirError: if the node has no meaning in steps of ``dt``; names node, field and value.
    """
    zero = np.zeros(neuron_shape(node))
    one = zero + 1
    resets = node.kind in ("CubaLIF", "LIF", "IF")
    v_reset = parameter(node, "v_reset", 0.0) if resets else zero
    v_leak = parameter(node, "v_leak") if node.kind in ("CubaLIF", "CubaLI", "LIF", "LI", LI_THRESHOLD) else v_reset
    current, voltage = (one, one), (one, one)
    if node.kind.startswith("Cuba"):
        current = _filter(node, "tau_syn", "w_in", dt, discretization)
        voltage = _filter(node, "tau_mem", "r", dt, discretization)
    elif node.kind in ("LIF", "LI"):
        voltage = _filter(node, "tau", "r", dt, discretization)
    elif node.kind == LI_THRESHOLD:
        current = _filter(node, "tau", "r", dt, discretization)
    elif node.kind in ("IF", "I"):
        r = parameter(node, "r")
        voltage = (zero, r if np.all(r == 1) else r * dt)
    return FloatNeuron(
        current_factor=current[0],
        voltage_factor=voltage[0],
        current_gain=current[1],
        voltage_gain=voltage[1],
        bias=voltage[0] * (v_leak - v_reset),
        threshold=_threshold(node, v_reset),
        v_reset=v_reset,
        reset=reset_of(node),
        at=fires_at(node),
    )


def _filter(node: Node, tau: str, gain: str, dt: float, discretization: Discretization) -> tuple[Floats, Floats]:
    """Return the factor ``a`` of a leaky state and its gain ``a * r``."""
    factor = _factor(node, tau, dt, discretization)
    return factor, factor * parameter(node, gain, 1.0 if gain == "w_in" else None)


def highest_voltages(neuron: FloatNeuron, most: Floats) -> Floats:
    """Return the voltage that no neuron of a node passes, whatever the spikes, where each step brings at most ``most``.

    The currents of a step add up to at most ``most`` (0 or more) units of input. A state without leak has no bound, where
    anything drives it.
    """
    current = _bound(neuron.current_gain * most, neuron.current_factor)
    drive = np.maximum(neuron.voltage_gain, 0) * current + neuron.bias
    return _bound(np.maximum(drive, 0), neuron.voltage_factor)


def _bound(drive: Floats, factor: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(drive > 0, drive / factor, 0.0)


def after_reset(neuron: FloatNeuron, voltage: Floats, fired: NDArray[np.bool_], threshold: Floats) -> Floats:
    """Return the voltages after the reset of the neurons that fired; ``threshold`` has a shape that fits the voltages."""
    return np.where(fired, voltage - threshold if neuron.reset == "subtract" else 0.0, voltage)


def _threshold(node: Node, v_reset: Floats) -> Floats | None:
    if node.kind not in SPIKING_KINDS:
        return None
    name = "threshold" if "Threshold" in node.kind else "v_threshold"
    threshold = parameter(node, name, infinite=True) - v_reset
    return np.nextafter(threshold, -np.inf) if fires_at(node) else threshold


def neuron_shape(node: Node) -> Shape:
    """Return the shape of a neuron node, which is the shape of its largest parameter."""
    shapes = [np.shape(value) for value in node.fields.values() if not isinstance(value, str)]
    if not shapes:
        raise NirError(f"nir: node '{node.name}' ({node.kind}) has no parameters")
    shape = max(shapes, key=lambda s: (int(np.prod(s)), len(s)))
    if 0 in shape:
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}) has parameters of shape {shape}, so no neurons; remove the node, or "
            "give it one number a neuron"
        )
    return tuple(int(n) for n in shape) or (1,)


def parameter(node: Node, name: str, default: float | None = None, *, infinite: bool = False) -> Floats:
    """Return a field of a neuron node as float64 of the node's shape, finite, or with ``infinite`` up to infinity.

    Raises:
        NirError: if the field is missing, not numeric, not finite, or of another shape.
    """
    where = f"nir: node '{node.name}' ({node.kind}): {name}"
    value = node.fields.get(name, default)
    if value is None:
        raise NirError(f"{where} is missing")
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise NirError(f"{where} holds {array.dtype}, expected numbers")
    array = array.astype(np.float64)
    wrong = np.isnan(array) | np.isneginf(array) if infinite else ~np.isfinite(array)
    if np.any(wrong):
        leak = "; where it stands for no leak (a decay of 1), name the framework with --reading, as snntorch or spyx"
        endless = leak if name.startswith("tau") and np.isposinf(array[wrong].flat[0]) else ""
        raise NirError(f"{where} holds {array[wrong].flat[0]}, expected finite numbers{endless}")
    shape = neuron_shape(node)
    if array.shape != shape and array.size != 1:
        raise NirError(f"{where} has shape {array.shape}, the node {shape}; give one number a neuron")
    return np.broadcast_to(array.reshape(()) if array.size == 1 else array, shape).copy()


def _factor(node: Node, name: str, dt: float, discretization: Discretization) -> Floats:
    """Return the factor ``a`` of a time constant: the share of a state that is lost in one step."""
    tau = _positive(node, name)
    if discretization == "exponential":
        return np.asarray(-np.expm1(-dt / tau))
    factor = dt / tau
    if np.any(factor > 1 + 0.5 / DECAY_ONE):
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}): {name} {tau.min():g} is shorter than dt {dt:g}, so the decay would be "
            f"{DECAY_ONE * factor.max():.0f} of {DECAY_ONE}; say the step of the file with --dt SECONDS (in Python dt=), "
            "or, if it was written in the exponential form, --reading exponential (in Python discretization='exponential')"
        )
    return factor


def _positive(node: Node, name: str) -> Floats:
    """Return a time constant.

    Raises:
        NirError: if it is not positive.
    """
    tau = parameter(node, name)
    if np.any(tau <= 0):
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}): {name} is {tau.min():g}, a time constant must be positive; where an "
            "exporter clamps decays in use, as snnTorch does, read the file with --reading snntorch"
        )
    return tau


def find_dt(graph: Graph, discretization: Discretization, hint: str = "") -> float:
    """Return the length of a step that the neurons of a graph agree on: ``tau_mem/r`` and ``tau_syn/w_in``.

    Args:
        hint: words to add to the message where no neuron tells it.

    Raises:
        NirError: if the neurons disagree, none of them determines it (all gains are 1), or a time constant is not positive.
    """
    found: list[tuple[float, str]] = []
    telling, below = False, ""
    for node in graph.nodes.values():
        for tau, gain in time_fields(node):
            values, gains = _positive(node, tau), parameter(node, gain, 1.0)
            used = gains > (0 if discretization == "euler" else 1)
            below = below or _below_zero(node, gain, gains)
            telling |= bool(np.any(gains[used] != 1))
            steps = _step(values[used], gains[used], discretization)
            ends = (steps.min(), steps.max())[: steps.size] if steps.size else ()
            found += [(float(s), f"node '{node.name}': {tau}/{gain} = {s:.6g}") for s in ends]
        if node.kind == "IF":
            r = parameter(node, "r")
            below = below or _below_zero(node, "r", r)
            if np.all(r > 1):
                found += [(float(1 / n), f"node '{node.name}': 1/r = {1 / n:.6g}") for n in (r.min(), r.max())]
                telling = True
    if not telling:
        raise NirError(
            below
            or f"nir: {graph.origin} does not tell the length of a step ({_UNTOLD[discretization]}); say it with "
            f"--dt SECONDS (in Python pass dt=SECONDS){hint}"
        )
    low, high = min(found), max(found)
    if high[0] > low[0] * (1 + _SAME_DT):
        raise NirError(
            f"nir: the length of a step is contradictory: {low[1]} but {high[1]}; pass dt=SECONDS in Python, --dt SECONDS "
            "on the command line, or name the exporter, whose gains may mean something else: --reading NAME"
        )
    blur = _FLOAT32 if any(_has_float32(node) for node in graph.nodes.values()) else _FLOAT64
    return _roundest(low[0] * (1 - blur), high[0] * (1 + blur))


def _below_zero(node: Node, name: str, gains: Floats) -> str:
    if np.all(gains > 0):
        return ""
    return (
        f"nir: node '{node.name}' ({node.kind}): {name} is {gains.min():g}, a neuron needs a positive gain; put the sign "
        "into the weights"
    )


def _has_float32(node: Node) -> bool:
    names = {name for pair in time_fields(node) for name in pair}
    return any(np.asarray(node.fields[n]).dtype.itemsize < 8 for n in names if n in node.fields)


def _roundest(low: float, high: float) -> float:
    """Return the number with the fewest digits between ``low`` and ``high``: the intended dt before rounding of floats."""
    middle = (low + high) / 2
    candidates = (float(f"{middle:.{digits}g}") for digits in range(1, 17))
    return next((c for c in candidates if low <= c <= high), middle)


def needs_dt(graph: Graph) -> bool:
    """Return whether anything in the graph depends on the length of a step."""
    for node in graph.nodes.values():
        if node.kind == "Delay" or time_fields(node):
            return True
        if node.kind in ("IF", "I") and np.any(parameter(node, "r") != 1):
            return True
    return False


def time_fields(node: Node) -> list[tuple[str, str]]:
    """Return the names of each time constant of a node and of the gain that belongs to it."""
    if node.kind in ("CubaLIF", "CubaLI"):
        return [("tau_mem", "r"), ("tau_syn", "w_in")]
    return [("tau", "r")] if node.kind in ("LIF", "LI", LI_THRESHOLD) else []


def _step(tau: Floats, gain: Floats, discretization: Discretization) -> Floats:
    if discretization == "euler":
        return tau / gain
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-tau * np.log1p(-1 / gain))


def model_of(neuron: FloatNeuron, integers: dict[str, NDArray[np.int64]]) -> SpikingModel:
    """Return the integer neuron model; a parameter that is the same for all neurons becomes one number."""
    values: dict[str, Any] = {name: _collapsed(value) for name, value in integers.items()}
    return LeakyIntegrator(**values) if neuron.threshold is None else Cuba(**values, reset=neuron.reset)


def _collapsed(values: NDArray[np.int64]) -> int | NDArray[np.int64]:
    return int(values.flat[0]) if values.size and np.all(values == values.flat[0]) else values


def node_shape(node: Node) -> Shape:
    """Return the shape of an Input, an Output or a neuron."""
    if node.kind in NEURON_KINDS:
        return neuron_shape(node)
    value = node.fields.get("shape")
    sizes = np.asarray(value if value is not None else 0).reshape(-1)
    where = f"nir: node '{node.name}' ({node.kind}): shape is {brief(value)}"
    if sizes.dtype.kind not in "iuf" or sizes.size == 0 or np.any(sizes < 1) or np.any(sizes != np.rint(sizes)):
        raise NirError(f"{where}, expected sizes of at least 1")
    if sizes.astype(np.float64).prod() > 2**31:
        raise NirError(f"{where}, over 2**31 elements")
    return tuple(int(n) for n in sizes)


def brief(value: object) -> str:
    """Return a value as one line of text, shortened."""
    text = " ".join(str(value).split())
    return text if len(text) < 60 else text[:60] + "..."
