"""``from_nir``: a NIR file or graph becomes a ``Network``, integers as they are where they lie on the chip's grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.description import KEY, restore
from neurodeploy.exchange.graph import Graph, load_graph
from neurodeploy.exchange.lowering import (
    SUPPORTED_KINDS,
    Connection,
    connection,
    find_paths,
    first_steps,
    hops,
    is_recurrent,
    node_shape,
)
from neurodeploy.exchange.neurons import NEURON_KINDS, SPIKING_KINDS, Discretization, FloatNeuron, find_dt, float_neuron
from neurodeploy.exchange.quantize import integers
from neurodeploy.network import (
    DELAY_MAX,
    Approximation,
    Dense,
    Input,
    Network,
    Output,
    Population,
    Projection,
)

if TYPE_CHECKING:
    import nir


def from_nir(
    source: Path | str | nir.NIRGraph | Graph,
    *,
    dt: float | None = None,
    discretization: Discretization = "euler",
    reset: Literal["zero", "subtract"] = "zero",
    weight_bits: int = 8,
    strict: bool = True,
) -> Network:
    """Return the network of a NIR file or graph in integers.

    A file made by ``to_nir`` gives the very network back; so does one whose weights, thresholds and decays lie on the
    chip's grid, but for names. What has to be rounded is in the ledger with its size.

    Args:
        source: path of a ``.nir`` file, or a graph.
        dt: length of a step in seconds; by default what the file tells (``tau_mem/r``, ``tau_syn/w_in``).
        discretization: how the file's time constants are meant, ``euler`` (``a = dt/tau``) or ``exponential``.
        reset: what a spike does to the voltage; NIR says "set to v_reset", and so do Loihi-style cores.
        weight_bits: bits for weights that have to be rounded, 2 to 8.
        strict: refuse what changes more than rounding does; if False, approximate it and list it in the ledger.

    Raises:
        FileError: if the file is missing or damaged.
        NirError: for what cannot be taken over, with node, field, value and remedy.
    """
    if reset != "zero":
        raise NirError(
            f"nir: reset='{reset}' is not possible: Loihi-style cores set the voltage to zero; use reset='zero'"
        )
    graph = load_graph(source)
    check_graph(graph)
    described = graph.metadata.get(KEY)
    described = described if isinstance(described, dict) else {}
    step = _step(graph, dt, discretization, described)
    plain = _network(graph, step, discretization, weight_bits, strict)
    return restore(plain, described) if described else plain


def check_graph(graph: Graph) -> None:
    """Refuse unknown nodes and edges that lead nowhere.

    Raises:
        NirError: naming the node or edge.
    """
    for node in graph.nodes.values():
        if node.kind not in SUPPORTED_KINDS:
            raise NirError(
                f"nir: {graph.origin}: node '{node.name}' has type '{node.kind}'; supported: {', '.join(SUPPORTED_KINDS)}"
            )
    for edge in graph.edges:
        for end in edge:
            if end not in graph.nodes:
                raise NirError(
                    f"nir: {graph.origin}: the edge {edge[0]} -> {edge[1]} names '{end}', which is no node; "
                    f"nodes: {', '.join(list(graph.nodes)[:20])}"
                )


def _step(graph: Graph, dt: float | None, discretization: Discretization, described: dict[str, object]) -> float:
    """Return the length of a step: the caller's, that of our metadata, or what the neurons tell."""
    recorded = described.get("discretization", discretization)
    if recorded != discretization:
        raise NirError(
            f"nir: {graph.origin} was written in the {recorded} form, but is read as {discretization}; "
            f"pass discretization='{recorded}'"
        )
    given = described.get("dt") if dt is None else dt
    if given is None:
        return find_dt(graph, discretization)
    if not isinstance(given, int | float | np.number) or not (np.isfinite(given) and given > 0):
        raise NirError(f"nir: dt is {given}, must be a positive number of seconds")
    return float(given)


def _network(graph: Graph, dt: float, discretization: Discretization, weight_bits: int, strict: bool) -> Network:
    """Return the network that the plain graph says, without our metadata."""
    shapes = {
        n.name: node_shape(n) for n in graph.nodes.values() if n.kind in ("Input", "Output") or n.kind in NEURON_KINDS
    }
    inputs = [n.name for n in graph.nodes.values() if n.kind == "Input"]
    neurons = [n.name for n in graph.nodes.values() if n.kind in NEURON_KINDS]
    found = {name: float_neuron(graph.nodes[name], dt, discretization) for name in neurons}
    connections = [
        connection(path, shapes[path.source], shapes[name], dt) for name in neurons for path in find_paths(graph, name)
    ]
    _check_connected(graph, connections, inputs, neurons)
    order = sorted(neurons, key=lambda name: (hops(connections, inputs)[name], name))
    ledger: list[Approximation] = []
    start = first_steps(connections, inputs)
    populations, projections = [], []
    for name in order:
        own = [c for c in connections if c.target == name]
        neuron = _with_currents(found[name], own, strict, ledger)
        whole = integers(name, neuron, [c.weights for c in own], weight_bits)
        ledger += whole.rounded
        populations.append(Population(name=name, shape=shapes[name], model=whole.model, first_step=start[name]))
        for c, (weights, exponent) in zip(own, whole.weights):
            delay = _delay(c, connections, hops(connections, inputs), start, strict, ledger)
            projections.append(
                Projection(
                    name=c.name,
                    source=c.source,
                    target=name,
                    synapses=Dense(weights=weights),
                    weight_exponent=exponent,
                    delay=delay,
                )
            )
    return Network(
        inputs=tuple(Input(name=name, shape=shapes[name]) for name in inputs),
        populations=tuple(populations),
        projections=tuple(_unique_names(projections)),
        outputs=tuple(_outputs(graph)),
        dt=dt,
        ledger=tuple(ledger),
    )


def _check_connected(graph: Graph, connections: list[Connection], inputs: list[str], neurons: list[str]) -> None:
    if not inputs:
        raise NirError(f"nir: {graph.origin} has no Input node; check_nir(path, fix=...) can add one")
    if not any(n.kind == "Output" for n in graph.nodes.values()):
        raise NirError(f"nir: {graph.origin} has no Output node; check_nir(path, fix=...) can add one")
    if not neurons:
        raise NirError(f"nir: {graph.origin} has no neurons; supported: {', '.join(NEURON_KINDS)}")
    reached = hops(connections, inputs)
    for name in neurons:
        if name not in reached:
            raise NirError(f"nir: {graph.origin}: no path leads from an Input to node '{name}'; connect or remove it")


def _with_currents(
    neuron: FloatNeuron, own: list[Connection], strict: bool, ledger: list[Approximation]
) -> FloatNeuron:
    """Return the neuron with the constant currents of its Affine nodes in its bias."""
    for c in own:
        if c.bias is None:
            continue
        slow = np.any(neuron.current_factor != 1)
        if slow and strict:
            raise NirError(
                f"nir: node '{c.name}' (Affine): bias passes the current filter of '{c.target}' and so grows in over "
                "several steps; the chip adds a bias at once: move it to v_leak, or accept it with strict=False"
            )
        current = np.broadcast_to(c.bias.reshape(-1), (int(np.prod(neuron.shape)),)).reshape(neuron.shape)
        with np.errstate(divide="ignore"):
            settled = np.where(neuron.current_factor > 0, 1 / neuron.current_factor, 0.0)
        neuron = replace(neuron, bias=neuron.bias + current * neuron.gain * settled)
        if slow:
            steps = float(np.max(settled))
            ledger.append(
                Approximation(
                    where=c.name,
                    what="constant current taken as a bias of the voltage",
                    size=f"differs during about the first {steps:.0f} steps of a sample, then equal",
                )
            )
    return neuron


def _delay(
    c: Connection,
    connections: list[Connection],
    depth: dict[str, int],
    start: dict[str, int],
    strict: bool,
    ledger: list[Approximation],
) -> int | NDArray[np.int32]:
    """Return the delay on the chip's clock: what NIR says, less the steps that the depths already cost."""
    recurrent = is_recurrent(c, connections, depth)
    delay = c.delay + start[c.target] - start[c.source] - (0 if recurrent else 1)
    extra = int(delay.max(initial=0) - c.delay.max(initial=0))
    if delay.min() < 0:
        if strict:
            raise NirError(
                f"nir: node '{c.name}': the cycle from '{c.source}' back to '{c.target}' needs a Delay of at least "
                f"{-int(delay.min())} more steps, because each population costs one; add it, or pass strict=False"
            )
        ledger.append(
            Approximation(
                where=c.name, what="feedback arrives late", size=f"{-int(delay.min())} steps later than in NIR"
            )
        )
        delay = np.maximum(delay, 0)
    if delay.max() > DELAY_MAX:
        raise NirError(
            f"nir: node '{c.name}': a delay of {int(delay.max())} steps from '{c.source}' to '{c.target}', the limit is "
            f"{DELAY_MAX}; shorten it or use a larger dt"
        )
    if extra > 0 and not recurrent:
        ledger.append(
            Approximation(
                where=c.name, what="skip connection delayed to the depth of the others", size=f"{extra} steps"
            )
        )
    return int(delay.flat[0]) if np.all(delay == delay.flat[0]) else delay.astype(np.int32)


def _unique_names(projections: list[Projection]) -> list[Projection]:
    """A node on several paths gives several projections; their names get the source in front."""
    names = [p.name for p in projections]
    renamed = [
        p if names.count(p.name) == 1 else replace(p, name=f"{p.source}_{p.name}_{p.target}") for p in projections
    ]
    seen: dict[str, int] = {}
    for i, p in enumerate(renamed):
        seen[p.name] = seen.get(p.name, 0) + 1
        if seen[p.name] > 1:
            renamed[i] = replace(p, name=f"{p.name}_{seen[p.name]}")
    return renamed


def _outputs(graph: Graph) -> list[Output]:
    outputs = []
    for node in graph.nodes.values():
        if node.kind != "Output":
            continue
        before = [source for source, end in graph.edges if end == node.name]
        if len(before) != 1 or graph.nodes[before[0]].kind not in NEURON_KINDS:
            raise NirError(
                f"nir: {graph.origin}: Output '{node.name}' reads {before or 'nothing'}; it must read one neuron node"
            )
        kind = graph.nodes[before[0]].kind
        decoding: Literal["count", "last_voltage"] = "count" if kind in SPIKING_KINDS else "last_voltage"
        outputs.append(Output(name=node.name, population=before[0], decoding=decoding))
    return outputs
