"""Metadata of the graph for what plain NIR cannot hold: names, order, masks, decoding, and the form of parameters.

None of it influences a spike. ``restore`` changes a network that was read from the nodes only in ways that leave all
spikes the same. If the graph was edited and the metadata no longer fits, it gives up with an entry in the ledger. What
spikes depend on stands at the nodes (``node_metadata.py``); here is only noted at which, so that ``check_kept`` sees where
it was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError, NirError
from neurodeploy.exchange.nir.graph import Graph
from neurodeploy.exchange.nir.node_metadata import KEY, entry_of, input_entry, neuron_entry
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.network import (
    Approximation,
    Conv,
    Cuba,
    Dense,
    Input,
    Network,
    Output,
    Pool,
    Population,
    Projection,
    Sparse,
    SpikingModel,
    Synapses,
    spiking_model,
    synapse_shape,
)
from neurodeploy.network.relays import Delayed
from neurodeploy.network.unrolled import full_matrix, stored_matrix

PLAIN_FORMAT, FORMAT, WINDOW_FORMAT = 1, 2, 3
"""Format of the metadata: without resets by subtraction and payloads, with them, and of networks with a class a step.

Older readers know the lower numbers only."""
_UNFIT = (NetworkError, ArithmeticError, LookupError, ValueError, TypeError, StopIteration, AttributeError)
"""Errors of a description that does not fit its graph."""
NO_CHANGE = "no spike differs"
"""Size of a ledger entry for a difference that changes no spike."""


def description_of(graph: Graph) -> dict[str, Any]:
    """Return neurodeploy's entry in the metadata of a graph, or an empty dict."""
    found = graph.metadata.get(KEY)
    return dict(found) if isinstance(found, Mapping) else {}


def describe(network: Network, nodes: Mapping[tuple[str, str], str], discretization: str) -> dict[str, Any]:
    """Return the metadata that describes a network in a graph: a dict of text, numbers and arrays.

    Args:
        nodes: ``("input" | "population" | "projection" | "output", name)`` -> name of the node in the graph.
    """
    text = {
        "inputs": [_input_text(i, nodes["input", i.name]) for i in network.inputs],
        "populations": [_population_text(p, nodes["population", p.name]) for p in network.populations],
        "projections": [_projection_text(p, nodes["projection", p.name]) for p in network.projections],
        "outputs": [_output_text(o, nodes["output", o.name]) for o in network.outputs],
    }
    reset = _reset_text(network)
    newer = FORMAT if reset != "zero" or any(i.graded for i in network.inputs) else PLAIN_FORMAT
    own: dict[str, Any] = {
        "format": WINDOW_FORMAT if any(o.window for o in network.outputs) else newer,
        "dt": network.dt,
        "time_unit": "s",
        "discretization": discretization,
        "weight_units": 64,
        "reset": reset,
        "latency": "edges cost no step; on the chip each population costs one",
        "network": to_json(text),
    }
    arrays: dict[str, dict[str, NDArray[np.uint8]]] = {"masks": {}, "stored": {}, "delays": {}}
    for p in network.projections:
        node = nodes["projection", p.name]
        if p.mask is not None:
            arrays["masks"][node] = np.packbits(p.mask)
        if isinstance(p.synapses, Sparse) and np.any(p.synapses.weights == 0):
            arrays["stored"][node] = np.packbits(stored_matrix(p.synapses))
        if np.ndim(p.delay) == 2:
            arrays["delays"][node] = np.asarray(p.delay, np.uint8)
    return own | {name: found for name, found in arrays.items() if found}


def recorded_inputs(graph: Graph) -> dict[str, str]:
    """Return the node of each input by the name that the input had in the network, as far as the metadata say it."""
    try:
        text = parse_json(_text(description_of(graph)["network"]))
        return {str(entry["name"]): str(entry["node"]) for entry in text["inputs"]}
    except _UNFIT:
        return {}


def restore(plain: Network, delayed: Sequence[Delayed], described: Mapping[str, Any]) -> Network | Approximation:
    """Return the network with the names, order and forms that the metadata describes, or an entry for the ledger.

    Args:
        delayed: the projections of the plain network with their delays on the clock of the graph, where they may be longer
            than on that of the metadata.
    """
    try:
        number = np.asarray(described["format"])
        if number.ndim or number.dtype.kind not in "iuf" or number not in (PLAIN_FORMAT, FORMAT, WINDOW_FORMAT):
            raise ValueError(f"format {described['format']}, this version reads {PLAIN_FORMAT} to {WINDOW_FORMAT}")
        return _restored(plain, delayed, described, parse_json(_text(described["network"])))
    except _UNFIT as error:
        return Approximation(
            where="metadata",
            what=f"names, masks and decoding recorded by neurodeploy do not fit the graph and were left out ({error})",
            size=NO_CHANGE,
        )


def check_kept(graph: Graph) -> None:
    """Refuse a graph, or one nested in it, that had a reset by subtraction or payloads at a node that lacks them now.

    So it is when a node was replaced by a new one and the metadata of the graph stayed.

    Raises:
        NirError: names the node.
    """
    for node in graph.nodes.values():
        if node.graph is not None:
            check_kept(node.graph)
    for name, key, words in _noted(graph):
        if name in graph.nodes and key not in entry_of(graph.nodes[name]):
            raise NirError(
                f"nir: {graph.origin}: the metadata of the graph says that '{name}' {words}, but the metadata of this node "
                f"does not (any more); put its entry '{KEY}' back ({key}=...), or remove '{KEY}' from the metadata of the "
                "graph, if that is no longer meant"
            )


def _noted(graph: Graph) -> list[tuple[str, str, str]]:
    """Return node, key and meaning of each entry that nodes of the graph had when it was written."""
    try:
        text = parse_json(_text(description_of(graph)["network"]))
        inputs = [e["node"] for e in text["inputs"] if e.get("graded")]
        neurons = [e["node"] for e in text["populations"] if e.get("reset", "zero") != "zero"]
    except _UNFIT:
        return []
    return [(str(name), "payload_bits", "takes payloads") for name in inputs] + [
        (str(name), "reset", "subtracts its threshold when it fires") for name in neurons
    ]


def _restored(
    plain: Network, delayed: Sequence[Delayed], described: Mapping[str, Any], text: dict[str, Any]
) -> Network:
    names = {entry["node"]: entry["name"] for kind in ("inputs", "populations") for entry in text[kind]}
    starts = {entry["node"]: int(entry["first_step"]) for entry in text["populations"]}
    later = {p.name: starts[p.name] - p.first_step for p in plain.populations}
    inputs, outputs = {i.name: i for i in plain.inputs}, {o.name: o for o in plain.outputs}
    projections = {d.projection.name: d for d in delayed}
    given = (
        tuple(_input(inputs.pop(e["node"]), e) for e in text["inputs"]),
        tuple(_population(plain.population(e["node"]), e) for e in text["populations"]),
        tuple(_projection(_parts(projections, e), e, described, names, later) for e in text["projections"]),
        tuple(_output(outputs.pop(e["node"]), e, names) for e in text["outputs"]),
    )
    if inputs or projections or outputs or len(given[1]) != len(plain.populations):
        raise ValueError(f"new nodes {sorted([*inputs, *projections, *outputs])}")
    ledger = tuple(entry for entry in plain.ledger if entry.size != NO_CHANGE)
    return replace(plain, inputs=given[0], populations=given[1], projections=given[2], outputs=given[3], ledger=ledger)


def _input(plain: Input, entry: dict[str, Any]) -> Input:
    shape = tuple(entry["shape"])
    if int(np.prod(shape)) != plain.size:
        raise ValueError(f"{entry['node']} has {plain.size} channels")
    return replace(plain, name=entry["name"], shape=shape)


def _parts(projections: dict[str, Delayed], entry: dict[str, Any]) -> list[Delayed]:
    """Remove the projections of one entry from the dict and return them: one, or one for each synaptic delay."""
    node = entry["node"]
    if entry["delays"] < 2:
        return [projections.pop(node)]
    prefix = f"{node}_d"
    own = [name for name in projections if name.startswith(prefix) and name[len(prefix) :].isdigit()]
    return [projections.pop(name) for name in own]


def _input_text(given: Input, node: str) -> dict[str, Any]:
    text: dict[str, Any] = {"name": given.name, "node": node, "shape": list(given.shape)}
    return text | ({"graded": True} if input_entry(given) else {})


def _reset_text(network: Network) -> str:
    """Return the reset of all neurons that fire, ``by node`` if they differ."""
    resets = {p.model.reset for p in network.populations if isinstance(p.model, Cuba)}
    return "by node" if len(resets) > 1 else next(iter(resets), "zero")


def _population_text(population: Population, node: str) -> dict[str, Any]:
    model = spiking_model(population, "export")
    text = {
        "name": population.name,
        "node": node,
        "shape": list(population.shape),
        "first_step": population.first_step,
        "arrays": [name for name in _parameter_names(model) if not isinstance(getattr(model, name), int)],
    }
    return text | neuron_entry(population)


def _population(plain: Population, entry: dict[str, Any]) -> Population:
    shape = tuple(entry["shape"])
    values: dict[str, Any] = {}
    own = spiking_model(plain, "import")
    for name in _parameter_names(own):
        value = getattr(own, name)
        wanted = name in entry["arrays"]
        if not wanted and not isinstance(value, int):
            raise ValueError(f"{name} of {entry['node']} is no longer one number")
        values[name] = np.broadcast_to(value, plain.shape).reshape(shape) if wanted else value
    return Population(
        name=entry["name"], shape=shape, model=replace(own, **values), first_step=int(entry["first_step"])
    )


def _parameter_names(model: SpikingModel) -> list[str]:
    names = ["current_decay", "voltage_decay", "bias", "threshold"]
    return [name for name in names if hasattr(model, name)]


def _projection_text(projection: Projection, node: str) -> dict[str, Any]:
    synapses = projection.synapses
    return {
        "name": projection.name,
        "node": node,
        "kind": synapses.kind,
        "groups": synapses.groups if isinstance(synapses, Conv) else 1,
        "exponent": projection.weight_exponent,
        "delays": np.ndim(projection.delay),
    }


def _projection(
    delayed: list[Delayed],
    entry: dict[str, Any],
    described: Mapping[str, Any],
    names: dict[str, str],
    later: dict[str, int],
) -> Projection:
    parts = [d.projection for d in delayed]
    plain, exponent = parts[0], int(entry["exponent"])
    delays = [d.delay + later[plain.target] - later.get(plain.source, 0) for d in delayed]
    synapses = _synapses(parts, entry, exponent, _bits(described, "stored", entry["node"]))
    delay = delays[0]
    if entry["delays"] == 1:
        delay = np.broadcast_to(delay, (synapse_shape(synapses)[1],))
    elif entry["delays"] == 2:
        delay = np.asarray(described["delays"][entry["node"]])
        for part, own in zip(parts, delays):
            if own.ndim or np.any(delay[full_matrix(part.synapses) != 0] != own):
                raise ValueError(f"delays of {part.name} changed")
    shape = np.shape(getattr(synapses, "weights", 0))
    mask = _bits(described, "masks", entry["node"], int(np.prod(shape)))
    return Projection(
        name=entry["name"],
        source=names[plain.source],
        target=names[plain.target],
        synapses=synapses,
        weight_exponent=exponent,
        delay=int(delay) if delay.ndim == 0 else delay,
        mask=None if mask is None else mask.reshape(shape),
    )


def _synapses(
    parts: list[Projection], entry: dict[str, Any], exponent: int, stored: NDArray[np.bool_] | None
) -> Synapses:
    """Return the synapses in the recorded form, with weights converted to ``exponent``."""
    plain = parts[0].synapses
    if isinstance(plain, Pool):
        return replace(plain, weight=int(_shifted(np.asarray(plain.weight), parts[0], exponent)))
    if isinstance(plain, Conv):
        return _grouped(replace(plain, weights=_shifted(plain.weights, parts[0], exponent)), int(entry["groups"]))
    weights = np.zeros(synapse_shape(plain), np.int16)
    for part in parts:
        weights = weights + _shifted(full_matrix(part.synapses), part, exponent)
    if entry["kind"] == "sparse":
        kept = weights != 0 if stored is None else stored[: weights.size].reshape(weights.shape)
        return _as_sparse(weights, kept)
    return Dense(weights=weights)


def _shifted(weights: NDArray[np.int16], plain: Projection, exponent: int) -> NDArray[np.int16]:
    if plain.weight_exponent == exponent:
        return weights
    moved = np.ldexp(weights.astype(np.float64), plain.weight_exponent - exponent)
    if not np.array_equal(moved, moved.astype(np.int16)):
        raise ValueError(f"weights of {plain.name} are not whole with exponent {exponent}")
    return moved.astype(np.int16)


def _grouped(conv: Conv, groups: int) -> Conv:
    """Return the convolution in grouped form, without the weights between groups (all 0)."""
    n_out, n_in = len(conv.weights) // groups, conv.input_shape[0] // groups
    own = np.stack([kernel[o // n_out * n_in :][:n_in] for o, kernel in enumerate(conv.weights)])
    if np.count_nonzero(own) != np.count_nonzero(conv.weights):
        raise ValueError(f"kernels do not fall into {groups} groups")
    return replace(conv, weights=own, groups=groups)


def _as_sparse(weights: NDArray[np.int16], stored: NDArray[np.bool_]) -> Sparse:
    if np.any(weights[~stored]):
        raise ValueError("a weight lies outside the recorded synapses")
    source, target = np.nonzero(stored.T)
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=weights.shape[1]))])
    return Sparse(n_target=len(weights), start=start, target=target.astype(np.int32), weights=weights[target, source])


def _bits(described: Mapping[str, Any], kind: str, node: str, n: int | None = None) -> NDArray[np.bool_] | None:
    packed = described.get(kind, {}).get(node)
    if packed is None:
        return None
    octets = np.asarray(packed)
    if octets.dtype != np.uint8 or octets.ndim != 1 or (n is not None and octets.size != -(-n // 8)):
        raise ValueError(f"{kind} of {node} holds {octets.dtype} {octets.shape}, not bytes for {n} bits")
    return np.unpackbits(octets, count=n).astype(np.bool_)


def _output_text(output: Output, node: str) -> dict[str, Any]:
    text = {"name": output.name, "node": node, "decoding": output.decoding}
    return text if output.window is None else {**text, "window": output.window}


def _output(plain: Output, entry: dict[str, Any], names: dict[str, str]) -> Output:
    return Output(
        name=entry["name"],
        population=names[plain.population],
        decoding=entry["decoding"],
        window=entry.get("window"),
    )


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
