"""The NIR doctor ``check_nir``: a verdict for each node of a graph, with the reason and the size of the change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from neurodeploy.errors import MismatchError, NirError
from neurodeploy.exchange.nir.graph import Graph, load_graph
from neurodeploy.exchange.nir.lowering import Connection
from neurodeploy.exchange.nir.neurons import NEURON_KINDS, Discretization, float_neuron
from neurodeploy.exchange.nir.objects import nir_objects, write_nir
from neurodeploy.exchange.nir.own_metadata import NO_CHANGE
from neurodeploy.exchange.nir.prepare import SUPPORTED_KINDS, flattened, prepared, step_of
from neurodeploy.exchange.nir.read import Choices, connections_into, from_nir, network_of
from neurodeploy.exchange.nir.repair import Repair
from neurodeploy.network import Approximation, Network, difference

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
    ``chip`` names the chip whose restrictions are among the reasons, if any.
    """

    source: str
    nir_version: str
    dt: float | None
    nodes: tuple[NodeVerdict, ...]
    repairs: tuple[str, ...] = ()
    chip: str = ""

    @property
    def ok(self) -> bool:
        """True if no node is unsupported."""
        return all(node.verdict != "unsupported" for node in self.nodes)

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps({"ok": self.ok, **asdict(self)}, indent=2)


@dataclass(frozen=True, slots=True)
class _Problem:
    node: str
    text: str


def check_nir(
    path: Path | str | Graph,
    *,
    fix: Path | str | None = None,
    dt: float | None = None,
    discretization: Discretization = "euler",
    weight_bits: int = 8,
    chip: str = "",
    restrictions: Callable[[Network], Iterable[Restriction]] = lambda _: (),
    force: bool = False,
) -> CheckReport:
    """Return a verdict for each node of a NIR file: whether and how exactly ``from_nir(strict=False)`` imports it.

    Args:
        fix: path to write the repaired graph to; nothing is written if a node is unsupported.
        dt, discretization, weight_bits: as in ``from_nir``.
        chip: name of the target that ``restrictions`` describes.
        restrictions: function from a network to the restrictions of a target, for example
            ``neurodeploy.mapping.fit.restrictions.find_restrictions`` with a fixed chip.
        force: replace the file ``fix`` if it exists.

    Raises:
        FileError: if the file is missing or damaged, or ``fix`` exists.
    """
    given = load_graph(path)
    flat, repairs, problems = _flat(given)
    step = None
    network = None
    if not problems:
        step, problems = _dt(flat, dt, discretization, given)
    if step is not None:
        choices = Choices(dt=step, discretization=discretization, weight_bits=weight_bits, strict=False)
        problems = list(_problems(flat, choices))
        network, more = _network(flat, choices, repairs) if not problems else (None, [])
        problems += more
    limits = [] if network is None else list(restrictions(network))
    problems += [_Problem(r.where, r.reason) for r in limits if r.verdict == "unsupported"]
    report = CheckReport(
        source=given.origin,
        nir_version=given.version,
        dt=step,
        nodes=tuple(_verdicts(flat, problems, network, [r for r in limits if r.verdict == "approximate"])),
        repairs=tuple(f"{r.node}: {r.what}" if r.node else r.what for r in repairs),
        chip=chip,
    )
    if fix is not None and report.ok and network is not None:
        _write_fixed(flat, network, Path(fix), discretization, weight_bits, force)
    return report


def _flat(given: Graph) -> tuple[Graph, tuple[Repair, ...], list[_Problem]]:
    """Return the flat, repaired graph, or the given graph with the reason why it cannot be repaired."""
    unknown = list(_unknown(given))
    if unknown:
        return given, (), unknown
    try:
        flat, repairs = flattened(given)
    except NirError as error:
        return given, (), [_problem(given, error)]
    return flat, repairs, []


def _unknown(graph: Graph, prefix: str = "") -> Iterator[_Problem]:
    for node in graph.nodes.values():
        if node.kind not in SUPPORTED_KINDS:
            text = f"nothing on the chip does what a {node.kind} node does; supported: {', '.join(SUPPORTED_KINDS)}"
            yield _Problem(prefix + node.name, text)
        if node.graph is not None:
            yield from _unknown(node.graph, f"{prefix}{node.name}.")


def _dt(
    flat: Graph, dt: float | None, discretization: Discretization, given: Graph
) -> tuple[float | None, list[_Problem]]:
    try:
        return step_of(flat, dt, discretization), []
    except NirError as error:
        return None, [_problem(given, error)]


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


def _network(flat: Graph, choices: Choices, repairs: tuple[Repair, ...]) -> tuple[Network | None, list[_Problem]]:
    try:
        return network_of(flat, choices, repairs), []
    except NirError as error:
        return None, [_problem(flat, error)]


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
        yield NodeVerdict(
            name=name,
            type=kind,
            verdict="approximate" if changed else "faithful",
            reason="; ".join(e.what for e in changed or noted),
            size="; ".join(e.size for e in changed or noted),
        )


def _write_fixed(
    flat: Graph, network: Network, path: Path, discretization: Discretization, weight_bits: int, force: bool
) -> None:
    """Write the repaired graph and check that it gives the same network when read back."""

    def check(written: Path) -> None:
        back = from_nir(
            replace(load_graph(written), metadata={}),
            dt=network.dt,
            discretization=discretization,
            weight_bits=weight_bits,
            strict=False,
        )
        found = difference(network, back)
        if found:
            raise MismatchError(
                f"check: the repaired file does not give the same network: {found}; nothing was written"
            )

    write_nir(nir_objects(flat), path, force=force, check=check)
