"""The NIR doctor ``check_nir``: a verdict for each node of a graph, with the reason and the size of the change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from neurodeploy.errors import MismatchError, NirError
from neurodeploy.exchange.doctor.resets import cost_of
from neurodeploy.exchange.nir.graph import EMPTY, Graph, load_graph
from neurodeploy.exchange.nir.lowering import Connection
from neurodeploy.exchange.nir.neurons import NEURON_KINDS, Discretization, float_neuron
from neurodeploy.exchange.nir.node_metadata import KEY, Reset
from neurodeploy.exchange.nir.objects import nir_objects, write_nir
from neurodeploy.exchange.nir.own_metadata import NO_CHANGE, description_of
from neurodeploy.exchange.nir.prepare import (
    SUPPORTED_KINDS,
    Opened,
    choose_reading,
    empty_words,
    flattened,
    prepared,
    reading_words,
    understood,
)
from neurodeploy.exchange.nir.pruning import prune
from neurodeploy.exchange.nir.read import NEVER_FIRES, Choices, connections_into, from_nir, network_of
from neurodeploy.exchange.nir.readings import READINGS, AnyReading, Reading, as_reading
from neurodeploy.exchange.nir.repair import Repair
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.files.json_text import to_json as json_text
from neurodeploy.network import Approximation, Network, difference
from neurodeploy.network.activity import Samples
from neurodeploy.network.idle import find_idle, removable, without_neurons

Verdict = Literal["faithful", "approximate", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVerdict:
    """The verdict on a node; ``reason`` says why it is not exact or what was repaired, ``size`` how large the change is."""

    name: str
    type: str
    verdict: Verdict
    reason: str = ""
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A feature that a target lacks or computes differently; ``where``: a population, a projection, or ``graph`` for all."""

    where: str
    verdict: Literal["approximate", "unsupported"]
    reason: str
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Verdicts on all nodes of a graph; nodes of nested graphs are named ``outer.inner``, ``graph`` is the whole graph.

    ``dt`` is the length of a step in seconds, or None if unknown. ``repairs`` lists the faults that ``fix`` repairs.
    ``chip`` names the chip whose restrictions are among the reasons, if any. ``reading`` says in words how the numbers were
    read, where the user or the file itself spoke for a framework. ``reset`` says what hangs on the reset of the neurons
    (``resets.ResetCost``), where neurodeploy did not record it. ``never_fire`` and ``reach_nothing`` hold the neurons that
    take no part, by population (``network.idle``); ``removed`` those that ``fix`` left out, and ``kept`` why others stayed.
    """

    source: str
    nir_version: str
    dt: float | None
    nodes: tuple[NodeVerdict, ...]
    repairs: tuple[str, ...] = ()
    chip: str = ""
    reading: str = ""
    reset: dict[str, Any] | None = None
    never_fire: dict[str, list[int]] = field(default_factory=dict)
    reach_nothing: dict[str, list[int]] = field(default_factory=dict)
    removed: dict[str, list[int]] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if no node is unsupported."""
        return all(node.verdict != "unsupported" for node in self.nodes)

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json_text({"ok": self.ok, **asdict(self)}, 2)


@dataclass(frozen=True, slots=True)
class _Problem:
    node: str
    text: str


def check_nir(
    path: Path | str | Graph,
    *,
    fix: Path | str | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
    discretization: Discretization | None = None,
    reset: Reset | None = None,
    weight_bits: int = 8,
    chip: str = "",
    restrictions: Callable[[Network], Iterable[Restriction]] = lambda _: (),
    data: Samples | None = None,
    force: bool = False,
) -> CheckReport:
    """Return a verdict for each node of a NIR file: whether and how exactly ``from_nir``, and so every command, takes it.

    Args:
        fix: path to write the repaired graph to, in numbers that mean what NIR says, without the neurons that take no part,
            as far as all others stay as they are; nothing is written if a node is unsupported.
        reading, dt, discretization, reset, weight_bits: as in ``from_nir``.
        chip: name of the target that ``restrictions`` describes.
        restrictions: function from a network to the restrictions of a target, for example
            ``neurodeploy.mapping.fit.restrictions.find_restrictions`` with a fixed chip.
        data: samples on which is measured what hangs on the reset of the neurons.
        force: replace the file ``fix`` if it exists.

    Raises:
        DataError: if the data do not fit the inputs of the graph.
        FileError: if the file is missing or damaged, or ``fix`` exists.
        UsageError: for a reading that is not known.
    """
    given = load_graph(path)
    said = as_reading(reading, dt=dt, reset=reset)
    flat, repairs, meant, problems = _opened(given, said, discretization)
    network = None
    if meant is not None:
        flat = meant.flat
        choices = Choices(dt=meant.dt, discretization=meant.discretization, weight_bits=weight_bits)
        problems = list(_problems(flat, choices))
        network, more = _network(meant, choices) if not problems else (None, [])
        problems += more
    limits = [] if network is None else list(restrictions(network))
    problems += [_Problem(r.where, r.reason) for r in limits if r.verdict == "unsupported"]
    idle = {} if network is None else find_idle(network).to_json()
    report = CheckReport(
        source=given.origin,
        nir_version=given.version,
        dt=None if meant is None else meant.dt,
        nodes=tuple(_verdicts(flat, problems, network, [r for r in limits if r.verdict == "approximate"])),
        repairs=tuple(f"{r.node}: {r.what}" if r.node else r.what for r in repairs),
        chip=chip,
        reading=_reading(meant),
        reset=None if meant is None or problems else _reset(meant, data),
        never_fire=idle.get("never_fire", {}),
        reach_nothing=idle.get("reach_nothing", {}),
    )
    if fix is not None and report.ok and network is not None and meant is not None:
        return _fixed(report, meant, network, Path(fix), weight_bits, force)
    return report


def _fixed(
    report: CheckReport, meant: Opened, network: Network, path: Path, weight_bits: int, force: bool
) -> CheckReport:
    """Write the repaired graph without the neurons that take no part; return the report with what was left out."""
    if not (report.never_fire or report.reach_nothing):
        _write_fixed(meant, network, path, weight_bits, force)
        return report
    choices = Choices(dt=meant.dt, discretization=meant.discretization, weight_bits=weight_bits)
    if "network" in description_of(meant.given):
        own = from_nir(meant.given, reading=meant.reading)
        if all(entry.where != "metadata" for entry in own.ledger):
            gone, kept = removable(own, find_idle(own))
            to_nir(without_neurons(own, gone), path, discretization=meant.discretization, force=force)
            return replace(report, removed={name: n.tolist() for name, n in gone.items()}, kept=kept)
    less = prune(meant.flat, network, lambda graph: network_of(graph, choices))
    _write_fixed(replace(meant, flat=less.graph), less.network, path, weight_bits, force)
    return replace(report, removed=less.removed, kept=less.kept)


def _reading(meant: Opened | None) -> str:
    """Return in words how the numbers were read, "" where as in any NIR file."""
    if meant is None or meant.reading.name == "euler":
        return ""
    return f"{meant.reading.name}: {reading_words(meant.reading, found=meant.found)}"


def _reset(meant: Opened, data: Samples | None) -> dict[str, Any] | None:
    cost = cost_of(meant, data)
    return None if cost is None else cost.to_dict()


def _opened(
    given: Graph, said: Reading, discretization: Discretization | None
) -> tuple[Graph, tuple[Repair, ...], Opened | None, list[_Problem]]:
    """Return the graph as far as it could be opened: flat and repaired, and as its exporter means it, else the reason."""
    unknown = list(_unknown(given))
    if unknown:
        return given, (), None, unknown
    flat: Graph = given
    repairs: tuple[Repair, ...] = ()
    try:
        reading = choose_reading(given, said, discretization)
        flat, repairs = flattened(given, axes_go=not READINGS[reading.name].literal)
        found = reading.name != said.name and discretization is None
        return flat, repairs, understood(given, flat, repairs, reading, found=found), []
    except NirError as error:
        return flat, repairs, None, [_problem(flat, error)]


def _unknown(graph: Graph, prefix: str = "") -> Iterator[_Problem]:
    for node in graph.nodes.values():
        if node.kind == EMPTY:
            yield _Problem(prefix + node.name, empty_words(node))
        elif node.kind not in SUPPORTED_KINDS:
            text = f"nothing on the chip does what a {node.kind} node does; supported: {', '.join(SUPPORTED_KINDS)}"
            yield _Problem(prefix + node.name, text)
        if node.graph is not None:
            yield from _unknown(node.graph, f"{prefix}{node.name}.")


def _problems(flat: Graph, choices: Choices) -> Iterator[_Problem]:
    """Yield a problem for each neuron and each path that cannot be imported, not only the first."""
    ready = prepared(flat)
    neurons = [n for n in ready.nodes.values() if n.kind in NEURON_KINDS]
    for node in neurons:
        yield from _caught(node.name, flat, partial(float_neuron, node, choices.dt, choices.discretization))
        yield from _caught(None, flat, partial(_paths_into, ready, node.name, choices))


def _paths_into(graph: Graph, name: str, choices: Choices) -> list[Connection]:
    return list(connections_into(graph, name, choices))


def _caught(name: str | None, graph: Graph, attempt: Callable[[], object]) -> Iterator[_Problem]:
    try:
        attempt()
    except NirError as error:
        yield _problem(graph, error) if name is None else _Problem(name, str(error))


def _network(meant: Opened, choices: Choices) -> tuple[Network | None, list[_Problem]]:
    try:
        return network_of(meant.flat, choices, meant.repairs, notes=meant.notes), []
    except NirError as error:
        return None, [_problem(meant.flat, error)]


def _problem(graph: Graph, error: NirError) -> _Problem:
    """Return the error as a problem of the node that its message names first, or of ``graph``."""
    text = str(error)
    named = [(text.index(f"'{name}'"), name) for name in graph.nodes if f"'{name}'" in text]
    return _Problem(min(named)[1] if named else "graph", text)


def _verdicts(
    graph: Graph, problems: list[_Problem], network: Network | None, limits: list[Restriction]
) -> Iterator[NodeVerdict]:
    ledger = [] if network is None else list(network.ledger)
    ledger += [Approximation(where=r.where, what=r.reason, size=r.size) for r in limits]
    named = {p.node for p in problems} | {e.where for e in ledger}
    for name in (*graph.nodes, *sorted(named - set(graph.nodes))):
        kind = graph.nodes[name].kind if name in graph.nodes else "NIRGraph"
        wrong = [p.text for p in problems if p.node == name]
        noted = [e for e in ledger if e.where == name]
        if wrong:
            yield NodeVerdict(name=name, type=kind, verdict="unsupported", reason="; ".join(wrong))
            continue
        changed = [e for e in noted if e.size != NO_CHANGE]
        told = [e for e in noted if e.size == NO_CHANGE and e.what.startswith(NEVER_FIRES)]
        shown = [*told, *changed] if changed else noted
        yield NodeVerdict(
            name=name,
            type=kind,
            verdict="approximate" if changed else "faithful",
            reason="; ".join(e.what for e in shown),
            size="; ".join(e.size for e in shown),
        )


def _write_fixed(meant: Opened, network: Network, path: Path, weight_bits: int, force: bool) -> None:
    """Write the repaired graph and check that it gives the same network when read back.

    Where a graph was not read as it stands (by a reading, or in steps that the user said), it says from now on what NIR
    says, and its metadata hold the step.
    """
    flat = meant.flat
    as_it_stands = meant.reading.name == "euler" and meant.reading.dt is None
    if not as_it_stands:
        step = {"dt": meant.dt, "discretization": meant.discretization}
        flat = replace(flat, metadata={**flat.metadata, KEY: {**description_of(flat), **step}})

    def check(written: Path) -> None:
        back = from_nir(
            replace(load_graph(written), metadata={}),
            dt=network.dt,
            discretization=meant.discretization,
            weight_bits=weight_bits,
        )
        found = difference(network, back)
        if found:
            raise MismatchError(
                f"check: the repaired file does not give the same network: {found}; nothing was written"
            )

    write_nir(nir_objects(flat), path, force=force, check=check)
