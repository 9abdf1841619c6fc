"""A plain simulator of NIR files that says what a file leaves open, to find out what its exporter meant.

Independent of the package: it reads the file with h5py and computes in float64, step by step. A ``Convention`` holds every
choice that NIR does not make. ``KNOWN`` holds what the exporters of each framework mean; ``search`` tries all others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.special import lambertw

NEURONS = ("CubaLIF", "CubaLI", "LIF", "LI", "IF", "Threshold")
READ_OUTS = ("CubaLI", "LI")


@dataclass(frozen=True)
class Convention:
    """The choices that a NIR file leaves open.

    A neuron with ``a = dt/tau`` ("euler") or ``a = 1 - exp(-dt/tau)`` ("exponential") does in each step

        u = (1 - a_syn) u + c S,    v = (1 - a_mem) v + g u + a_mem v_leak,    fires,    is reset.

    Attributes:
        current: ``c`` is "file" (``a_syn w_in``), "whole" (1), or "decayed" (``1 - a_syn``).
        voltage: ``g`` is "file" (``a_mem r``, of an IF ``r dt``), "share" (``a_mem``), or "whole" (1).
        fires: "above" the threshold, or "at" it as well.
        reset: "zero" (to ``v_reset``), "subtract" (the threshold, at once), "late" (the threshold, in the next step, after
            the decay), "late, Cuba at once" ("subtract" for a CubaLIF, else "late"), "late zero" (as "zero", but the
            voltage of a CubaLIF, and of a LIF beside its ``w_rec``, is 0 in the next step as well), "subtract once" (as
            "subtract", but a neuron that is above the threshold after it fires again only above twice the threshold), or
            "none".
        clamped: shares ``a`` below 0 or above 1 are 0 or 1.
        many: several spikes in a step, one for each whole threshold.
        lag: steps by which a layer sends its spikes later.
        start: initial voltage is "v_reset" or "v_leak".
        v_reset: instead of the one in the file, where an exporter leaves it out.
        channels: order of the elements that a Flatten of ``(C, H, W)`` sends on, "first" (as NIR has it) or "last".
        back: input of a nested recurrent graph goes "through" its recurrent weights (as drawn), or "beside" them.
    """

    dt: float
    decay: str = "euler"
    current: str = "file"
    voltage: str = "file"
    fires: str = "above"
    reset: str = "zero"
    clamped: bool = False
    many: bool = False
    lag: int = 0
    start: str = "v_reset"
    v_reset: float | None = None
    channels: str = "first"
    back: str = "through"


@dataclass(frozen=True)
class File:
    """A NIR file, nested graphs dissolved: types and fields of the nodes by name, and edges."""

    types: Mapping[str, str]
    fields: Mapping[str, Mapping[str, Any]]
    edges: tuple[tuple[str, str], ...]
    nested: tuple[str, ...]

    def of(self, *kinds: str) -> list[str]:
        """Return the names of the nodes of some types."""
        return [name for name, kind in self.types.items() if kind in kinds]


def load(path: Path) -> File:
    """Return what a NIR file holds."""
    types: dict[str, str] = {}
    fields: dict[str, dict[str, Any]] = {}
    edges: list[tuple[str, str]] = []
    nested: list[str] = []

    def text(value: Any) -> str:
        return value.decode() if isinstance(value, bytes) else str(value)

    def graph(group: Any, prefix: str) -> None:
        for name, node in group["nodes"].items():
            full = prefix + name
            kind = text(node["type"][()])
            if kind == "NIRGraph":
                nested.append(full)
                graph(node, f"{full}.")
            else:
                types[full] = kind
                fields[full] = {k: v[()] for k, v in node.items() if k != "type" and isinstance(v, h5py.Dataset)}
        edges.extend((prefix + text(a), prefix + text(b)) for a, b in group["edges"][()])

    with h5py.File(path) as file:
        graph(file["node"], "")
    for outer in nested:
        edges = [
            (_inner(types, outer, "Output") if a == outer else a, _inner(types, outer, "Input") if b == outer else b)
            for a, b in edges
        ]
    return File(types, fields, tuple(dict.fromkeys(edges)), tuple(nested))


def _inner(types: Mapping[str, str], outer: str, kind: str) -> str:
    (name,) = (n for n, k in types.items() if k == kind and n.startswith(f"{outer}."))
    return name


def beside(file: File) -> File:
    """Return the file with the input of each nested graph led to its neurons instead of its recurrent weights."""
    edges = list(file.edges)
    for outer in file.nested:
        entry = _inner(file.types, outer, "Input")
        (neuron,) = (n for n in file.of(*NEURONS) if n.startswith(f"{outer}."))
        edges = [(a, neuron) if a == entry else (a, b) for a, b in edges]
    return replace(file, edges=tuple(edges))


def differing(
    file: File, x: Any, spikes: Mapping[str, Any], convention: Convention, *, stop: bool = False
) -> dict[str, int]:
    """Return for each recorded layer how many of its spike counts differ, over all samples and steps.

    Args:
        file: from ``load``.
        x: input, ``(n_samples, n_steps, *shape)``.
        spikes: recorded, by name of the node.
        stop: end at the first step with a difference (for a search).
    """
    wrong = dict.fromkeys(spikes, 0)
    for t, sent in enumerate(simulate(file, x, convention)):
        for name, expected in spikes.items():
            wrong[name] += int(np.count_nonzero(sent[name].reshape(expected[:, t].shape) != expected[:, t]))
        if stop and any(wrong.values()):
            break
    return wrong


def simulate(file: File, x: Any, convention: Convention) -> Iterator[dict[str, Any]]:
    """Yield what each neuron node sends in each step, float64 ``(n_samples, *shape)`` by name."""
    if convention.back == "beside":
        file = beside(file)
    before: dict[str, list[str]] = {name: [a for a, b in file.edges if b == name] for name in file.types}
    (entry,) = (n for n in file.of("Input") if not before[n])
    order = _order(file, entry)
    n_samples = len(x)
    cells = {name: _Cell(name, file, convention, n_samples) for name in order}
    for t in range(x.shape[1]):
        known: dict[str, Any] = {entry: x[:, t].astype(np.float64)}

        def value(name: str, known: dict[str, Any] = known) -> Any:
            if name in known:
                return known[name]
            if name in cells:  # not updated yet in this step, so the edge goes back
                return cells[name].last
            given = [value(source) for source in before[name]]
            whole = given[0]
            for other in given[1:]:
                whole = whole + other.reshape(whole.shape)
            if name in order:
                return whole
            return apply(file.types[name], file.fields[name], whole, convention)

        for name in order:
            whole = sum(np.atleast_1d(value(s)).reshape(cells[name].shape_of(value(s))) for s in before[name])
            known[name] = cells[name].step(whole)
        yield {name: known[name] for name in order}


def _order(file: File, entry: str) -> list[str]:
    """Return the neurons by their distance from the input."""
    distance = {entry: 0}
    waiting = [entry]
    while waiting:
        name = waiting.pop(0)
        for a, b in file.edges:
            if a == name and b not in distance:
                distance[b] = distance[a] + 1
                waiting.append(b)
    return sorted((n for n in file.of(*NEURONS) if n in distance), key=lambda n: distance[n])


class _Cell:
    """The neurons of one node."""

    def __init__(self, name: str, file: File, convention: Convention, n_samples: int) -> None:
        self.kind, self.fields, self.convention, self.n_samples = (
            file.types[name],
            file.fields[name],
            convention,
            n_samples,
        )
        self.u: Any = None
        c = convention
        at_once = c.reset == "late, Cuba at once" and self.kind == "CubaLIF"
        self.reset = "subtract" if at_once else c.reset.split(",")[0]
        self.a_syn, self.c = np.array(1.0), np.array(1.0)
        self.a_mem, self.g = np.array(1.0), np.array(1.0)
        if self.kind.startswith("Cuba"):
            self.a_syn, self.c = self._filter("tau_syn", "w_in", c.current)
            self.a_mem, self.g = self._filter("tau_mem", "r", c.voltage)
        elif self.kind in ("LIF", "LI"):
            self.a_mem, self.g = self._filter("tau", "r", c.voltage)
        elif self.kind == "IF":
            self.a_mem = np.array(0.0)
            self.g = self._field("r") * c.dt if c.voltage == "file" else np.array(1.0)
        self.v_leak, self.v_reset = self._field("v_leak", 0.0), self._field("v_reset", 0.0)
        if c.v_reset is not None:
            self.v_reset = np.full(self.v_reset.shape, c.v_reset)
        self.threshold = self._field("threshold" if self.kind == "Threshold" else "v_threshold", np.inf)
        self.held = self.kind == "CubaLIF" or any(a == f"{name[:-3]}w_rec" for a, b in file.edges if b == name)
        self.last = np.zeros((n_samples, *self.threshold.shape))  # what an edge back carries in the first step

    def _field(self, name: str, default: float | None = None) -> Any:
        return np.asarray(self.fields[name] if default is None or name in self.fields else default, np.float64)

    def _filter(self, tau: str, gain: str, how: str) -> tuple[Any, Any]:
        ratio = self.convention.dt / self._field(tau)
        a = ratio if self.convention.decay == "euler" else -np.expm1(-ratio)
        a = np.clip(a, 0.0, 1.0) if self.convention.clamped else a
        if how == "file":
            return a, a * self._field(gain, 1.0)
        return a, {"whole": np.ones_like(a), "share": a, "decayed": 1 - a}[how]

    def shape_of(self, given: Any) -> tuple[int, ...]:
        own = self.threshold.shape or self.a_mem.shape
        return (self.n_samples, *own) if int(np.prod(own)) > 1 else np.shape(given)

    def step(self, drive: Any) -> Any:
        c = self.convention
        if self.u is None:
            start = self.v_leak if c.start == "v_leak" else self.v_reset
            self.u, self.v = np.zeros(drive.shape), np.zeros(drive.shape) + start
            self.last = np.zeros(drive.shape)
            self.over = np.zeros(drive.shape)
        self.u = (1 - self.a_syn) * self.u + self.c * drive
        self.v = (1 - self.a_mem) * self.v + self.g * self.u + self.a_mem * self.v_leak
        if self.kind in READ_OUTS:
            self.last = self.v
            return self.v
        if self.reset == "late":
            self.v = self.v - self.threshold * self.last
        elif c.reset == "late zero" and self.held:
            self.v = np.where(self.last > 0, 0.0, self.v)
        elif c.reset == "subtract once":
            self.v = self.v - self.threshold * self.over
        fired = (self.v >= self.threshold if c.fires == "at" else self.v > self.threshold).astype(np.float64)
        if c.many:
            fired = fired * np.trunc(self.v / self.threshold)
        if (c.reset == "zero" or (c.reset == "late zero" and not self.held)) and self.kind != "Threshold":
            self.v = np.where(fired > 0, self.v_reset, self.v)
        elif self.reset == "subtract":
            self.v = self.v - fired * self.threshold
        elif c.reset == "subtract once":
            self.v = self.v - (fired - self.over) * self.threshold
            self.over = (self.v > self.threshold).astype(np.float64)
        before, self.last = self.last, fired
        return before if c.lag and self.kind != "Threshold" else fired


def apply(kind: str, fields: Mapping[str, Any], x: Any, convention: Convention) -> Any:
    """Return what a node without state gives for ``x``, ``(n_samples, *shape)``."""
    if kind in ("Input", "Output"):
        return x
    if kind == "Linear":
        return x.reshape(len(x), -1) @ fields["weight"].astype(np.float64).T
    if kind == "Affine":
        return x.reshape(len(x), -1) @ fields["weight"].astype(np.float64).T + fields["bias"]
    if kind == "Flatten":
        last = convention.channels == "last" and x.ndim == 4
        return (np.moveaxis(x, 1, -1) if last else x).reshape(len(x), -1)
    if kind == "Conv2d":
        bias = fields["bias"].astype(np.float64)[:, None, None]
        return np.einsum("nchwij,ocij->nohw", _windows(x, fields, fields["weight"].shape[2:]), fields["weight"]) + bias
    if kind in ("SumPool2d", "AvgPool2d"):
        size = tuple(int(k) for k in np.broadcast_to(fields["kernel_size"], 2))
        whole = _windows(x, fields, size).sum((-1, -2))
        return whole / np.prod(size) if kind == "AvgPool2d" else whole
    raise ValueError(f"unknown node type {kind}")


def _windows(x: Any, fields: Mapping[str, Any], size: tuple[int, ...]) -> Any:
    """Return the windows of a kernel, ``(n_samples, channels, height, width, *size)``."""
    padding = fields.get("padding", 0)
    if isinstance(padding, bytes | str):
        padding = [s // 2 if bytes(str(padding), "utf8").endswith((b"same", b"same'")) else 0 for s in size]
    p, q = (int(n) for n in np.broadcast_to(padding, 2))
    down, right = (int(n) for n in np.broadcast_to(fields.get("stride", 1), 2))
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    return np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))[:, :, ::down, ::right]


def steps_of(file: File) -> dict[str, float]:
    """Return the lengths of a step that the parameters of a file speak of, by the rule that gives them.

    "ratio": ``tau/r`` (snnTorch, SpikingJelly without ``decay_input``); "lambert": the ``dt`` of rockpool's
    ``r = (tau/dt) exp(-dt/tau)``; "beta": the ``dt`` of Spyx' ``r = 1 - dt/tau``; "IF": ``1/r``.
    """
    found: dict[str, list[Any]] = {"ratio": [], "lambert": [], "beta": [], "IF": []}
    for name in file.of("CubaLIF", "LIF", "IF"):
        fields = file.fields[name]
        r = np.atleast_1d(np.asarray(fields["r"], np.float64))
        if file.types[name] == "IF":
            found["IF"].append(1 / r)
            continue
        tau = np.atleast_1d(np.asarray(fields["tau_mem" if "tau_mem" in fields else "tau"], np.float64))
        found["ratio"].append(tau / r)
        found["lambert"].append(tau * lambertw(1 / r).real)
        with np.errstate(invalid="ignore"):  # Spyx writes an infinite tau for a beta of 1
            found["beta"].append(tau * (1 - r))
    agreed = {}
    for rule, values in found.items():
        if values:
            flat = np.concatenate([np.ravel(v) for v in values])
            if np.all(flat > 0) and np.ptp(flat) <= 1e-5 * flat.max():
                agreed[rule] = float(np.median(flat))
    return agreed


def known(framework: str, facts: Mapping[str, Any], file: File) -> Convention:
    """Return what the exporter of a framework means; ``facts`` are those that its file does not hold."""
    reset, late, many = facts["reset"], bool(facts.get("reset_delay")), facts.get("spikes") == "many"
    if framework == "snntorch":
        names = {"zero": "late zero", "subtract": "late"} if late else {"zero": "zero", "subtract": "subtract once"}
        return Convention(dt=1e-4, current="whole", voltage="whole", reset=names[reset], clamped=True)
    if framework == "norse":
        written = facts.get("exported_dt", 1e-3)  # to_nir's own argument, 1e-3 by default
        gain = "whole" if file.of("IF") else "file"
        return Convention(
            dt=facts["dt"] * written,
            current="whole",
            voltage=gain,
            reset=reset,
            start="v_leak",
            v_reset=facts.get("v_reset"),
        )
    if framework == "sinabs":
        whole = file.of("IF") or not facts.get("norm_input", True)
        return Convention(
            dt=1.0, decay="exponential", voltage="whole" if whole else "file", fires="at", reset=reset, many=many
        )
    if framework == "rockpool":
        return Convention(
            dt=facts["dt"], decay="exponential", current="decayed", voltage="whole", fires="at", reset=reset, many=many
        )
    if framework == "spyx":
        return Convention(
            dt=facts["dt"],
            current="whole",
            voltage="whole",
            lag=1,
            channels="last",
            back="beside",
            clamped=True,
            reset="none" if reset == "none" else "late, Cuba at once",
        )
    return Convention(dt=facts["dt"], fires="at", reset=reset)


def search(file: File, x: Any, spikes: Mapping[str, Any], steps: list[float]) -> list[Convention]:
    """Return all conventions under which no recorded spike differs."""
    cuba = bool(file.of("CubaLIF"))
    many = [True] if max(int(s.max()) for s in spikes.values()) > 1 else [False]
    flat = bool(file.of("Flatten"))
    choices: dict[str, list[Any]] = {
        "dt": steps,
        "decay": ["euler", "exponential"],
        "current": ["file", "whole", "decayed"] if cuba else ["file"],
        "voltage": ["file", "share", "whole"],
        "fires": ["above", "at"],
        "reset": ["zero", "subtract", "late", "late, Cuba at once", "late zero", "subtract once", "none"],
        "many": many,
        "lag": [0, 1],
        "start": ["v_reset", "v_leak"],
        "channels": ["first", "last"] if flat else ["first"],
        "back": ["through", "beside"] if file.nested else ["through"],
    }
    found = []
    for values in itertools.product(*choices.values()):
        convention = Convention(**dict(zip(choices, values)))
        with np.errstate(all="ignore"):
            if not any(differing(file, x, spikes, convention, stop=True).values()):
                found.append(convention)
    return found
