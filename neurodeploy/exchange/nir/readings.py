"""Readings: what a NIR file leaves open, as the user says it or as names and parameters tell; one row of ``READINGS`` each.

NIR has differential equations, but no step, no discretisation and no choice of reset, and most exporters write parameters
that mean something else than what their framework computes. A row of ``READINGS`` holds what one of them means.
``converted`` turns a graph as it was written into one that, taken as NIR says (forward Euler, ``docs/notes/nir.md`` 4.2),
computes exactly what the framework does: with ``a`` the share of a state that is lost in a step, ``tau = dt/a``, and a gain
of ``g/a`` where a unit of input adds ``g``.

Measured with snnTorch 1.0.0, Norse 1.1.0, sinabs 3.1.3, rockpool 3.1.0, Spyx 1.0.0 and SpikingJelly 2.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from neurodeploy.errors import NirError, UsageError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.neurons import (
    NO_DECAY,
    SPIKING_KINDS,
    Discretization,
    Floats,
    neuron_shape,
    parameter,
    time_fields,
)
from neurodeploy.exchange.nir.node_metadata import KEY, RESETS, RESETTING_KINDS, REST, Reset, entry_of, reset_of
from neurodeploy.exchange.nir.own_metadata import NO_CHANGE, description_of
from neurodeploy.network import DECAY_ONE, Approximation, Shape

Gain: TypeAlias = Literal["file", "whole", "after decay"]
"""What a unit of input adds: ``a`` times the gain in the file, 1, or ``1 - a``."""
NORSE_FACTOR = 1e-3
"""What Norse's exporter multiplies time constants by, if nobody chose another ``dt`` there."""
SNNTORCH_DT = 1e-4
"""The length of a step that snnTorch's exporter writes; snnTorch itself knows none."""
_SAME = 1e-5
"""Relative distance of lengths of a step that count as equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the user says of a file that does not say it: of a NIR file, or of a ``.net`` file the shape of its input.

    Attributes:
        name: a row of ``READINGS``; "" to find it out where that is safe, and else to take the file as NIR says.
        dt: length of a step in seconds, where the file does not tell or tells another one than is meant.
        reset: what a spike does to the voltage: "zero" sets it to ``v_reset``, "subtract" takes the threshold off.
        input_shape: of a lava-dl ``.net`` file whose first layer does not tell it (``from_netx``).
    """

    name: str = ""
    dt: float | None = None
    reset: Reset | None = None
    input_shape: Shape | None = None

    def __str__(self) -> str:
        said = [self.name] if self.name else []
        said += [] if self.dt is None else [f"dt={self.dt!r}"]
        said += [] if self.reset is None else [f"reset={self.reset}"]
        return ",".join(said + ([] if self.input_shape is None else [f"input_shape={shape_text(self.input_shape)}"]))

    @property
    def of_nir(self) -> bool:
        """Whether anything is said that only a NIR file leaves open."""
        return self != Reading(input_shape=self.input_shape)


AnyReading: TypeAlias = Reading | str | None
"""A reading, or its text as on the command line: ``norse``, ``snntorch,reset=subtract``, ``dt=1e-3``."""


def shape_text(shape: Shape) -> str:
    """Return a shape as a reading says it: ``4x8x8``."""
    return "x".join(map(str, shape))


def as_reading(
    given: AnyReading, *, dt: float | None = None, reset: Reset | None = None, input_shape: Shape | None = None
) -> Reading:
    """Return the reading that a text says, together with what is given beside it.

    >>> as_reading("norse,dt=2e-3")
    Reading(name='norse', dt=0.002, reset=None, input_shape=None)

    Raises:
        UsageError: for a name or a key that is not known, and for two values of one thing.
    """
    said = given if isinstance(given, Reading) else _parsed(given or "")
    if said.name and said.name not in READINGS:
        raise UsageError(f"reading: '{said.name}' is not known; known: {', '.join(READINGS)}")
    beside: dict[str, Any] = {"dt": dt, "reset": reset, "input_shape": input_shape}
    for key, value in beside.items():
        own = getattr(said, key)
        if own is not None and value is not None and own != value:
            raise UsageError(f"reading: '{said}' says {key}={own}, but {key} is given as {value}; give it once")
    return replace(said, **{key: value for key, value in beside.items() if value is not None})


def _parsed(text: str) -> Reading:
    values: dict[str, Any] = {}
    for part in (p.strip() for p in text.split(",") if text):
        key, equals, value = (p.strip() for p in part.partition("="))
        key = key if equals else "name"
        if key not in ("name", "dt", "reset", "input_shape") or key in values or not part:
            raise UsageError(
                f"reading: '{text}' is no reading; write NAME[,dt=SECONDS][,reset=zero|subtract], NAME one of "
                f"{', '.join(READINGS)}"
            )
        values[key] = value if equals else part.lower().replace("_", "-")
    if values.get("reset", RESETS[0]) not in RESETS:
        raise UsageError(f"reading: reset={values['reset']} is not possible; choose reset={' or reset='.join(RESETS)}")
    if "dt" in values:
        values["dt"] = _seconds(values["dt"], text)
    if "input_shape" in values:
        values["input_shape"] = as_shape(values["input_shape"])
    return Reading(**values)


def as_shape(text: str) -> Shape:
    """Return the shape that a text says: ``4,8,8`` or ``4x8x8``.

    Raises:
        UsageError: for anything but one to three whole numbers of at least 1.
    """
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**31 for part in parts):
        raise UsageError(f"reading: the shape of the input is '{text}', expected whole numbers as 4,8,8")
    return tuple(int(part) for part in parts)


def _seconds(value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"reading: dt={value} in '{text}' is no number of seconds, as in dt=1e-3") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """What one framework, or one form of the equations, means by the numbers in a file.

    Attributes:
        title: its name, for messages.
        says: in words what it does with the numbers.
        discretization: what a time constant means: a share ``a = dt/tau`` of a state is lost in a step, or
            ``1 - exp(-dt/tau)``.
        literal: the numbers mean what NIR says of them, so that the step is found as in any file.
        dt: length of a step in seconds where neither the user nor the file says it.
        told: returns the step that gains and time constants of all nodes speak of, in the unit of these time constants, or
            None.
        unit: returns the step in the unit of the file's time constants, for a step in seconds; by default what the file
            tells, else the step in seconds.
        current, voltage: what a unit of input adds to the current, and a unit of current to the voltage; ``of_if`` and
            ``of_li`` to the voltage of an IF and of an LI.
        clipped: shares beyond 0..1 count as 0 or 1.
        fires_at: neurons fire at the threshold as well, not only above it.
        reset: the only reset that the framework has, or None.
        usual: the reset that its neurons have if nobody chose one.
        after_leak: kinds of nodes whose voltage leaks first and loses the threshold then, in the step after the spike.
        rewired: changes the graph where nodes or edges mean something else than they say.
        known_by: says from all nodes by name whether the framework wrote them; None where that is never safe.
        with_dt: whether it may be recognised where the user gave a length of a step as well.
    """

    title: str
    says: str
    discretization: Discretization = "euler"
    literal: bool = False
    dt: float | None = None
    told: Callable[[Iterable[Node]], float | None] = lambda _: None
    unit: Callable[[Graph, float], float] | None = None
    current: Gain = "file"
    voltage: Gain = "file"
    of_if: Gain = "whole"
    of_li: Gain = "file"
    clipped: bool = False
    fires_at: bool = False
    reset: Reset | None = None
    usual: Reset = "zero"
    after_leak: tuple[str, ...] = ()
    rewired: Callable[[Graph], Graph] = lambda graph: graph
    known_by: Callable[[Mapping[str, Node]], bool] | None = None
    with_dt: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A flat graph that means what NIR says of it, in steps of ``dt`` seconds; ``notes`` for the ledger."""

    graph: Graph
    dt: float
    notes: tuple[Approximation, ...] = ()


def recognised(graph: Graph, *, with_dt: bool = False) -> str:
    """Return the name of the reading of a graph as it was written, "" where names and parameters do not tell it safely.

    Args:
        with_dt: only readings whose meaning does not change with a length of a step that the user gave.
    """
    nodes = dict(_all_nodes(graph, ""))
    try:
        for name, row in READINGS.items():
            if row.known_by is not None and (row.with_dt or not with_dt) and row.known_by(nodes):
                return name
    except NirError:  # a parameter that no reading could take; whoever reads it says so
        pass
    return ""


def _all_nodes(graph: Graph, prefix: str) -> Iterator[tuple[str, Node]]:
    for node in graph.nodes.values():
        if node.graph is None:
            yield prefix + node.name, node
        else:
            yield from _all_nodes(node.graph, f"{prefix}{node.name}.")


def converted(flat: Graph, reading: Reading) -> Read:
    """Return a flat, repaired graph as the framework means it that the reading names; its row is not literal.

    Raises:
        NirError: for parameters that the framework cannot have written.
    """
    row = READINGS[reading.name]
    told = row.told(flat.nodes.values())
    dt = next(float(s) for s in (reading.dt, told, row.dt) if s is not None)
    if not (np.isfinite(dt) and dt > 0):
        raise NirError(f"nir: dt is {dt}, must be a positive number of seconds")
    unit = row.unit(flat, dt) if row.unit is not None else (told or dt)
    notes = tuple(_differing_steps(row, told, dt))
    return Read(as_euler(row.rewired(flat), row, unit, dt), dt, notes)


def as_euler(graph: Graph, row: Convention, unit: float, dt: float) -> Graph:
    """Return a graph whose parameters mean in Euler steps of ``dt`` what ``row`` says they do in the graph.

    Args:
        unit: length of a step in the unit of the graph's time constants.
    """
    return replace(graph, nodes={n.name: _as_euler(n, row, unit, dt) for n in graph.nodes.values()})


def _differing_steps(row: Convention, told: float | None, dt: float) -> Iterator[Approximation]:
    if told is not None and row.unit is None and abs(dt / told - 1) > _SAME:
        what = f"steps of {dt:g} s, where the file was written for {told:.6g}: decays stay, times scale along"
        yield Approximation(where="graph", what=what, size=NO_CHANGE)


def with_late_resets(graph: Graph, reading: Reading, dt: float) -> Read:
    """Return the graph with the rest of each subtraction that its framework does after the leak.

    Taking the threshold off at once, and then leaking, leaves ``a`` times the threshold too much. A connection of each
    neuron to itself takes that off in the next step: ``(1 - a) (v - theta) - a theta = (1 - a) v - theta``. Where a current
    filter lies between, a second connection a step later takes back what the filter keeps of the first.
    """
    kinds = READINGS[reading.name].after_leak
    nodes, edges = dict(graph.nodes), list(graph.edges)
    notes: list[Approximation] = []
    for node in graph.nodes.values():
        if node.kind not in kinds or reset_of(node) != "subtract":
            continue
        step, tau = _rest_of_reset(node, dt)
        if not np.any(step):
            continue
        own = _free_name(nodes, f"{node.name}.reset")
        nodes[own] = Node(name=own, kind="Scale", fields={"scale": -step}, metadata=REST)
        edges += [(node.name, own), (own, node.name)]
        if tau is not None:
            wait, back = _free_name(nodes, f"{own}_wait"), _free_name(nodes, f"{own}_back")
            nodes[wait] = Node(name=wait, kind="Delay", fields={"delay": np.full(step.shape, dt)})
            nodes[back] = Node(name=back, kind="Scale", fields={"scale": (1 - dt / tau) * step}, metadata=REST)
            edges += [(node.name, wait), (wait, back), (back, node.name)]
        what = (
            f"{READINGS[reading.name].title} takes the threshold off after the leak; what that adds to a reset at once "
            f"comes through connections of each neuron to itself ('{own}')"
        )
        notes.append(Approximation(where=node.name, what=what, size=NO_CHANGE))
    return Read(replace(graph, nodes=nodes, edges=tuple(edges)), dt, tuple(notes))


def _rest_of_reset(node: Node, dt: float) -> tuple[Floats, Floats | None]:
    """Return what a spike has to take off besides, in units of input, and the time constant of a current filter."""
    cuba = node.kind == "CubaLIF"
    tau, gain = (parameter(node, name) for name in (("tau_mem", "r") if cuba else ("tau", "r")))
    per_input = gain * dt / tau
    if cuba:
        per_input = per_input * parameter(node, "w_in", 1.0) * dt / parameter(node, "tau_syn")
    threshold = parameter(node, "v_threshold") - parameter(node, "v_reset", 0.0)
    leak = np.where(dt / tau < 2 / (DECAY_ONE * NO_DECAY), 0.0, dt / tau)
    return leak * threshold / per_input, parameter(node, "tau_syn") if cuba else None


def _free_name(nodes: Mapping[str, Node], wanted: str) -> str:
    return next(n for n in (wanted, *(f"{wanted}_{i}" for i in range(2, len(nodes) + 3))) if n not in nodes)


def _as_euler(node: Node, row: Convention, unit: float, dt: float) -> Node:
    """Return a node with parameters that mean in Euler steps of ``dt`` what the framework does with those in the file."""
    own: dict[str, Any] = {}
    for tau, gain in time_fields(node):
        share = _share(node, tau, row, unit)
        how = row.current if gain == "w_in" else row.of_li if node.kind == "LI" else row.voltage
        added = _added(node, gain, how, share)
        own |= _euler_fields(tau, gain, share, added, dt)
    if node.kind in ("IF", "I"):
        r = parameter(node, "r")
        own["r"] = np.ones(r.shape) if row.of_if == "whole" else r * unit / dt
    metadata = node.metadata
    if row.fires_at and node.kind in SPIKING_KINDS:
        metadata = {**metadata, KEY: {**entry_of(node), "fires": "at"}}
    return replace(node, fields={**node.fields, **own}, metadata=metadata)


def _share(node: Node, name: str, row: Convention, unit: float) -> Floats:
    """Return the share ``a`` of a state that the framework loses in a step."""
    tau = _lasting(node, name)
    where = f"nir: node '{node.name}' ({node.kind}): {name}"
    if row.clipped:
        with np.errstate(divide="ignore"):
            ratio: Floats = np.where(tau == 0, np.inf, unit / np.where(tau == 0, 1.0, tau))
        return np.clip(ratio, 0.0, 1.0)
    if np.any(tau <= 0):
        raise NirError(f"{where} is {tau.min():g}, a time constant must be positive")
    if row.discretization == "exponential":
        return np.asarray(-np.expm1(-unit / tau))
    share = unit / tau
    if np.any(share > 1 + 0.5 / DECAY_ONE):
        raise NirError(
            f"{where} {tau.min():g} is shorter than a step of {unit:g}, which {row.title} cannot have; is it the right "
            "--reading?"
        )
    return np.minimum(share, 1.0)


def _lasting(node: Node, name: str) -> Floats:
    """Return a time constant as float64 of the node's shape; it may be infinite."""
    value = np.asarray(node.fields.get(name))
    if value.dtype.kind == "f" and not np.isnan(value).any() and value.shape == neuron_shape(node):
        return value.astype(np.float64)
    return parameter(node, name)


def _added(node: Node, gain: str, how: Gain, share: Floats) -> Floats:
    if how == "file":
        return share * parameter(node, gain, 1.0 if gain == "w_in" else None)
    return np.ones(share.shape) if how == "whole" else 1 - share


def _euler_fields(tau: str, gain: str, share: Floats, added: Floats, dt: float) -> dict[str, Floats]:
    """Return time constant and gain for a share that is lost in a step, and what a unit of input adds."""
    none = share == 0
    some = np.where(none, 1 / (DECAY_ONE * NO_DECAY), share)
    return {tau: dt / some, gain: added / some}


def _ratio(nodes: Iterable[Node]) -> float | None:
    """Return the step ``dt = tau/r = tau_syn/w_in``, of an IF ``1/r``, that all neurons agree on, or None."""
    return _agreed(_ratios(nodes))


def _ratios(nodes: Iterable[Node]) -> Iterator[Floats]:
    """Yield ``tau/r``, ``tau_syn/w_in`` and, of an IF, ``1/r``; gains of 1 tell nothing."""
    for node in nodes:
        if node.kind == "IF":
            r = parameter(node, "r")
            yield 1 / r[r > 1]
        for tau, gain in time_fields(node):
            yield from _finite(_lasting(node, tau), _gain(node, gain), lambda t, g: t / g)


def _beta(nodes: Iterable[Node]) -> float | None:
    """Return the step of ``r = 1 - dt/tau`` that all neurons agree on, or None."""
    return _agreed(_voltages(nodes, lambda tau, r: tau * (1 - r)))


def _after_leak(nodes: Iterable[Node]) -> float | None:
    """Return the step of ``r = (tau/dt) exp(-dt/tau)`` that all neurons agree on, or None."""
    return _agreed(_voltages(nodes, lambda tau, r: tau * _lambert_w(1 / np.where(r > 0, r, np.nan))))


def _voltages(nodes: Iterable[Node], step: Callable[[Floats, Floats], Floats]) -> Iterator[Floats]:
    """Yield the steps that the time constants of voltages and the gains ``r`` of firing neurons speak of."""
    for node in nodes:
        if node.kind in ("CubaLIF", "LIF"):
            yield from _finite(_lasting(node, "tau_mem" if node.kind == "CubaLIF" else "tau"), _gain(node, "r"), step)


def _finite(tau: Floats, gain: Floats, step: Callable[[Floats, Floats], Floats]) -> Iterator[Floats]:
    with np.errstate(all="ignore"):
        steps = np.ravel(step(tau, gain))
    yield steps[np.isfinite(steps) & (np.ravel(gain) != 1)]


def _lambert_w(y: Floats) -> Floats:
    """Return ``x`` of ``x exp(x) = y`` for ``y > 0``, by Newton's method from above."""
    x = np.log1p(y)
    for _ in range(20):
        x = x - (x - y * np.exp(-x)) / (1 + x)
    return x


def _agreed(found: Iterable[Floats]) -> float | None:
    """Return the one positive number that all found ones are, rounded to the fewest digits; None if there is none."""
    steps = np.concatenate([np.zeros(0), *found])
    if not steps.size or not np.all(steps > 0) or np.ptp(steps) > _SAME * steps.max():
        return None
    middle = float(np.median(steps))
    candidates = (float(f"{middle:.{digits}g}") for digits in range(1, 18))
    return next((c for c in candidates if abs(c / middle - 1) < _SAME), middle)


def _gain(node: Node, name: str) -> Floats:
    """Return a gain as float64 of the node's shape; it may be infinite."""
    return _lasting(node, name) if name in node.fields else parameter(node, name, 1.0)


def _norse_unit(graph: Graph, dt: float) -> float:
    """Return Norse's step in the unit of a file: its ``to_nir(dt=1e-3)`` writes ``dt tau``, and ``tau`` itself with dt=1.

    A time constant below a step cannot be ``tau`` itself.
    """
    multiplied = np.any(_taus(graph.nodes.values()) < dt)
    return dt * NORSE_FACTOR if multiplied else dt


def _taus(nodes: Iterable[Node]) -> Floats:
    """Return all time constants, ``(n,)``."""
    found: Floats = np.concatenate(
        [np.zeros(0), *(np.ravel(_lasting(n, tau)) for n in nodes for tau, _ in time_fields(n))]
    )
    return found


def _of_spyx(graph: Graph) -> Graph:
    """Return the graph with the input of recurrent layers led to their neurons, and flattened images in NIR's order.

    Spyx draws the input through the recurrent weights but adds it beside them, and it flattens images channels last.
    """
    edges = list(graph.edges)
    for name in graph.nodes:
        lif = name.removesuffix("w_rec") + "lif"
        if name.endswith(".w_rec") and {(lif, name), (name, lif)} <= set(graph.edges):
            edges = [(a, lif if b == name and a != lif else b) for a, b in edges]
    nodes = dict(graph.nodes)
    for flatten in (n for n in graph.nodes.values() if n.kind == "Flatten"):
        shape = tuple(int(n) for n in np.ravel(np.asarray(flatten.fields.get("input_type", ()))))
        if len(shape) != 3:
            continue
        for after in (graph.nodes[b] for a, b in graph.edges if a == flatten.name and b in graph.nodes):
            if after.kind in ("Linear", "Affine"):
                nodes[after.name] = _channels_first(nodes[after.name], shape)
    return replace(graph, nodes=nodes, edges=tuple(edges))


def _channels_first(node: Node, shape: tuple[int, ...]) -> Node:
    channels, height, width = shape
    weight = np.asarray(node.fields["weight"])
    if weight.ndim != 2 or weight.shape[1] != channels * height * width:
        return node
    moved = weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(weight.shape)
    return replace(node, fields={**node.fields, "weight": moved})


_SPYX_NAME = re.compile(r"(input|output|layer_\d+(_threshold)?|layer_\d+\.layer_\d+\.(input|output|lif|w_rec))$")
_ROCKPOOL_NAME = re.compile(r"(^|[_.\d])(LIFTorch|LIFNeuronTorch|LIFBitshiftTorch|ExpSynTorch|LinearTorch)$")
_TORCH_NAME = re.compile(r"\d+(\.\d+)*$")
_FX_NAME = re.compile(r"_\d+$")


def _by_spyx(nodes: Mapping[str, Node]) -> bool:
    """Nodes are ``layer_N``, and ``r = 1 - dt/tau`` with one ``dt``."""
    return all(_SPYX_NAME.match(name) for name in nodes) and _beta(nodes.values()) is not None


def _by_rockpool(nodes: Mapping[str, Node]) -> bool:
    """``r = (tau/dt) exp(-dt/tau)`` with one ``dt``; names of its modules, or a round ``dt`` for several time constants."""
    cuba = [n for n in nodes.values() if n.kind == "CubaLIF"]
    named = any(_ROCKPOOL_NAME.search(name) for name in nodes)
    if not (named or cuba) or any(np.any(parameter(n, "w_in", 1.0) != 1) for n in cuba):
        return False
    step = _after_leak(nodes.values())
    if named or step is None:
        return step is not None
    taus = np.concatenate([np.ravel(_lasting(n, "tau_mem")) for n in cuba])
    return np.unique(taus).size > 1 and step == float(f"{step:.2g}")


def _by_norse(nodes: Mapping[str, Node]) -> bool:
    """All gains are 1 in single precision, time constants far below a millisecond, and Input has a batch axis of 1."""
    inputs = [np.ravel(np.asarray(n.fields.get("shape", 0))) for n in nodes.values() if n.kind == "Input"]
    if not all(s.size in (2, 4) and s.dtype.kind in "iu" and s[0] == 1 for s in inputs):
        return False
    taus = _only_gains_of_one(nodes)
    return taus is not None and taus.size > 0 and bool(taus.min() > 0 and taus.max() < NORSE_FACTOR)


def _by_sinabs(nodes: Mapping[str, Node]) -> bool:
    """All gains are 1 in single precision, time constants are counted in steps, and names those of torch's Sequential."""
    named = all(_TORCH_NAME.match(name) or n.kind in ("Input", "Output") for name, n in nodes.items())
    if not named or any(n.kind.startswith("Cuba") for n in nodes.values()):
        return False
    taus = _only_gains_of_one(nodes)
    return taus is not None and taus.size > 0 and bool(taus.min() >= 1)


def _only_gains_of_one(nodes: Mapping[str, Node]) -> Floats | None:
    """Return all time constants if each gain is 1 in single precision and each dense layer an Affine, else None."""
    for node in nodes.values():
        if node.kind == "Linear":
            return None
        for _, gain in time_fields(node):
            if np.asarray(node.fields.get("r")).dtype != np.float32 or np.any(_gain(node, gain) != 1):
                return None
    return _taus(nodes.values())


def _by_spikingjelly(nodes: Mapping[str, Node]) -> bool:
    """Names are those of torch.fx, parameters in double precision, and gains tell the length of a step."""
    entries = [name for name, n in nodes.items() if n.kind == "Input"]
    named = all(_FX_NAME.match(name) for name, n in nodes.items() if n.kind not in ("Input", "Output"))
    firing = [n for n in nodes.values() if n.kind in RESETTING_KINDS]
    if entries != ["input_1"] or not named or not firing:
        return False
    double = all(np.asarray(n.fields.get("v_threshold")).dtype == np.float64 for n in firing)
    return double and _ratio(nodes.values()) is not None


def _by_snntorch(nodes: Mapping[str, Node]) -> bool:
    """``tau = 1e-4 r`` everywhere, with decays beyond 0..1, which NIR cannot mean and snnTorch clamps."""
    taus = _taus(nodes.values())
    beyond = np.any(np.isinf(taus) | (taus < SNNTORCH_DT * (1 - _SAME)))
    return bool(beyond) and _ratio(nodes.values()) == SNNTORCH_DT


READINGS: dict[str, Convention] = {
    "snntorch": Convention(
        title="snnTorch",
        says="decays are 1 - dt/tau, kept within 0..1, and inputs count whole",
        dt=SNNTORCH_DT,
        told=_ratio,
        current="whole",
        voltage="whole",
        of_li="whole",
        clipped=True,
        usual="subtract",
        after_leak=("LIF", "CubaLIF"),
        known_by=_by_snntorch,
        with_dt=True,
    ),
    "norse": Convention(
        title="Norse",
        says="time constants below a step are dt tau, written with dt = 1e-3; the current of a CubaLIF jumps by 1",
        dt=1e-3,
        unit=_norse_unit,
        current="whole",
        known_by=_by_norse,
    ),
    "sinabs": Convention(
        title="sinabs",
        says="time constants count steps and decay exponentially; neurons fire at the threshold as well",
        discretization="exponential",
        dt=1.0,
        unit=lambda _graph, _dt: 1.0,
        of_li="whole",
        fires_at=True,
        usual="subtract",
        known_by=_by_sinabs,
    ),
    "rockpool": Convention(
        title="rockpool",
        says="states decay exponentially and the input decays with the current; neurons fire at the threshold as well",
        discretization="exponential",
        dt=1e-3,
        told=_after_leak,
        current="after decay",
        voltage="whole",
        of_li="after decay",
        fires_at=True,
        reset="subtract",
        usual="subtract",
        known_by=_by_rockpool,
        with_dt=True,
    ),
    "spyx": Convention(
        title="Spyx",
        says="decays are 1 - dt/tau, kept within 0..1; inputs count whole, whatever r says; images flatten channels last",
        dt=1.0,
        told=_beta,
        current="whole",
        voltage="whole",
        of_li="whole",
        clipped=True,
        reset="subtract",
        usual="subtract",
        after_leak=("LIF",),
        rewired=_of_spyx,
        known_by=_by_spyx,
        with_dt=True,
    ),
    "spikingjelly": Convention(
        title="SpikingJelly",
        says="as NIR says; neurons fire at the threshold as well",
        dt=1e-4,
        told=_ratio,
        of_if="file",
        fires_at=True,
        known_by=_by_spikingjelly,
        with_dt=True,
    ),
    "lava-dl": Convention(
        title="lava-dl",
        says="decays are 1 - dt/tau, none where tau is infinite, and inputs count whole",
        dt=1e-4,
        told=_ratio,
        current="whole",
        voltage="whole",
        of_li="whole",
        clipped=True,
        reset="zero",
    ),
    "euler": Convention(title="NIR", says="as NIR says, in forward Euler steps", literal=True),
    "exponential": Convention(
        title="the exponential form",
        says="as NIR says, with states that decay by exp(-dt/tau)",
        discretization="exponential",
        of_if="file",
        literal=True,
    ),
}
"""The readings by name."""


def suggested(graph: Graph) -> str:
    """Return in words which readings there are for a graph that does not tell its step, and which one it looks like."""
    like = looks_like(graph)
    looks = f"{like}, by its looks; " if like else ""
    return f", or name the framework that wrote it with --reading ({looks}known: {', '.join(READINGS)})"


def looks_like(graph: Graph) -> str:
    """Return the reading that the names or time constants of a flat graph speak for, too weakly to be taken; "" for none."""
    inner = [name for name, n in graph.nodes.items() if n.kind not in ("Input", "Output")]
    if all(_SPYX_NAME.match(name) for name in inner):
        return "spyx"
    if all(_FX_NAME.match(name) for name in inner):
        return "spikingjelly"
    taus = _taus(graph.nodes.values())
    if not taus.size or taus.min() <= 0:
        return ""
    if _ratio(graph.nodes.values()) == SNNTORCH_DT:
        return "snntorch"
    return "norse" if taus.max() < NORSE_FACTOR else "sinabs" if taus.min() >= 1 else ""


def reset_is_said(given: Graph, flat: Graph, reading: Reading) -> bool:
    """Return whether file, framework or user say what a spike does to each voltage."""
    if reading.reset is not None or (reading.name and READINGS[reading.name].reset is not None):
        return True
    if isinstance(description_of(given).get("reset"), str):
        return True
    firing = [n for n in flat.nodes.values() if n.kind in RESETTING_KINDS]
    return all(isinstance(n.metadata.get(KEY), Mapping) and "reset" in n.metadata[KEY] for n in firing)
