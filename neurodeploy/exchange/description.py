"""What plain NIR has no place for, kept as metadata: names, order, masks, decoding, and the form of parameters.

Nothing here decides a spike. ``restore`` changes a network read from the plain graph only in ways that leave every spike as
it is, and gives up (with an entry in the ledger) where the metadata no longer fits a graph that was edited since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError
from neurodeploy.network import (
    Approximation,
    Dense,
    Input,
    Network,
    NeuronModel,
    Output,
    Population,
    Projection,
    Sparse,
)

KEY = "neurodeploy"
"""Name of our entry in the metadata of a graph."""
FORMAT = 1


def describe(network: Network, nodes: Mapping[tuple[str, str], str], discretization: str) -> dict[str, Any]:
    """Return the metadata of a graph: a dict of text, numbers and arrays.

    Args:
        nodes: name of the node by ``("input" | "population" | "projection" | "output", name)``.
    """
    text = {
        "inputs": [{"name": i.name, "node": nodes["input", i.name]} for i in network.inputs],
        "populations": [_population_text(p, nodes["population", p.name]) for p in network.populations],
        "projections": [_projection_text(p, nodes["projection", p.name]) for p in network.projections],
        "outputs": [{"name": o.name, "node": nodes["output", o.name], "decoding": o.decoding} for o in network.outputs],
    }
    own: dict[str, Any] = {
        "format": FORMAT,
        "dt": network.dt,
        "time_unit": "s",
        "discretization": discretization,
        "weight_units": 64,
        "reset": "zero",
        "latency": "edges cost no step; on the chip each population costs one",
        "network": json.dumps(text),
    }
    kept = {nodes["projection", p.name]: np.packbits(p.mask) for p in network.projections if p.mask is not None}
    stored = {
        nodes["projection", p.name]: np.packbits(_stored(p.synapses))
        for p in network.projections
        if isinstance(p.synapses, Sparse) and np.any(p.synapses.weights == 0)
    }
    return own | ({"masks": kept} if kept else {}) | ({"stored": stored} if stored else {})


def restore(plain: Network, described: Mapping[str, Any]) -> Network:
    """Return the network with the names, order and forms of the description.

    Where the description does not fit, the plain network comes back with an entry in its ledger.
    """
    try:
        if int(described["format"]) != FORMAT:
            raise ValueError(f"format {described['format']}, this version reads {FORMAT}")
        return _restored(plain, described, json.loads(_text(described["network"])))
    except (NetworkError, KeyError, ValueError, TypeError, IndexError, StopIteration, AttributeError) as error:
        note = Approximation(
            where="metadata",
            what="names, masks and decoding recorded by neurodeploy do not fit the graph and were left out",
            size=f"no spike differs ({error})",
        )
        return replace(plain, ledger=(*plain.ledger, note))


def _restored(plain: Network, described: Mapping[str, Any], text: dict[str, Any]) -> Network:
    names = {entry["node"]: entry["name"] for kind in ("inputs", "populations") for entry in text[kind]}
    starts = {entry["node"]: int(entry["first_step"]) for entry in text["populations"]}
    later = {p.name: starts[p.name] - p.first_step for p in plain.populations}
    inputs = {i.name: i for i in plain.inputs}
    projections = {p.name: p for p in plain.projections}
    outputs = {o.name: o for o in plain.outputs}
    given = (
        tuple(Input(name=e["name"], shape=inputs.pop(e["node"]).shape) for e in text["inputs"]),
        tuple(_population(plain.population(e["node"]), e) for e in text["populations"]),
        tuple(_projection(projections.pop(e["node"]), e, described, names, later) for e in text["projections"]),
        tuple(_output(outputs.pop(e["node"]), e, names) for e in text["outputs"]),
    )
    if inputs or projections or outputs or len(given[1]) != len(plain.populations):
        raise ValueError(f"new nodes {sorted([*inputs, *projections, *outputs])}")
    return replace(plain, inputs=given[0], populations=given[1], projections=given[2], outputs=given[3])


def _population_text(population: Population, node: str) -> dict[str, Any]:
    model = population.model
    return {
        "name": population.name,
        "node": node,
        "shape": list(population.shape),
        "first_step": population.first_step,
        "arrays": [name for name in _parameter_names(model) if not isinstance(getattr(model, name), int)],
    }


def _population(plain: Population, entry: dict[str, Any]) -> Population:
    shape = tuple(entry["shape"])
    values = {}
    for name in _parameter_names(plain.model):
        value = getattr(plain.model, name)
        wanted = name in entry["arrays"]
        if not wanted and not isinstance(value, int):
            raise ValueError(f"{name} of {entry['node']} is no longer one number")
        values[name] = np.broadcast_to(value, plain.shape).reshape(shape) if wanted else value
    model = type(plain.model)(**values)
    return Population(name=entry["name"], shape=shape, model=model, first_step=int(entry["first_step"]))


def _parameter_names(model: NeuronModel) -> list[str]:
    names = ["current_decay", "voltage_decay", "bias", "threshold"]
    return [name for name in names if hasattr(model, name)]


def _projection_text(projection: Projection, node: str) -> dict[str, Any]:
    return {
        "name": projection.name,
        "node": node,
        "kind": projection.synapses.kind,
        "exponent": projection.weight_exponent,
        "delays": np.ndim(projection.delay),
    }


def _projection(
    plain: Projection,
    entry: dict[str, Any],
    described: Mapping[str, Any],
    names: dict[str, str],
    later: dict[str, int],
) -> Projection:
    weights = _shifted_weights(plain, int(entry["exponent"]))
    delay = np.asarray(plain.delay) + later[plain.target] - later.get(plain.source, 0)
    if entry["delays"]:
        delay = np.broadcast_to(delay, (weights.shape[1],))
    stored = _bits(described, "stored", entry["node"], weights.shape)
    synapses: Dense | Sparse = Dense(weights=weights)
    if entry["kind"] == "sparse":
        synapses = _as_sparse(weights, weights != 0 if stored is None else stored)
    return Projection(
        name=entry["name"],
        source=names[plain.source],
        target=names[plain.target],
        synapses=synapses,
        weight_exponent=int(entry["exponent"]),
        delay=int(delay) if delay.ndim == 0 else delay,
        mask=_bits(described, "masks", entry["node"], synapses.weights.shape),
    )


def _shifted_weights(plain: Projection, exponent: int) -> NDArray[np.int16]:
    """Return the weights in the units of another exponent."""
    assert isinstance(plain.synapses, Dense)
    weights = np.ldexp(plain.synapses.weights.astype(np.float64), plain.weight_exponent - exponent)
    if not np.array_equal(weights, weights.astype(np.int16)):
        raise ValueError(f"weights of {plain.name} are not whole with exponent {exponent}")
    return weights.astype(np.int16)


def _stored(synapses: Sparse) -> NDArray[np.bool_]:
    """Return which entries of the full matrix ``(n_target, n_source)`` are stored."""
    full = np.zeros((synapses.n_target, synapses.start.size - 1), np.bool_)
    full[synapses.target, np.repeat(np.arange(full.shape[1]), np.diff(synapses.start))] = True
    return full


def _as_sparse(weights: NDArray[np.int16], stored: NDArray[np.bool_]) -> Sparse:
    if np.any(weights[~stored]):
        raise ValueError("a weight lies outside the recorded synapses")
    source, target = np.nonzero(stored.T)
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=weights.shape[1]))])
    return Sparse(n_target=len(weights), start=start, target=target.astype(np.int32), weights=weights[target, source])


def _bits(described: Mapping[str, Any], kind: str, node: str, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    packed = described.get(kind, {}).get(node)
    if packed is None:
        return None
    n = int(np.prod(shape))
    if len(packed) != -(-n // 8):
        raise ValueError(f"{kind} of {node} holds {len(packed)} bytes for {n} bits")
    return np.unpackbits(np.asarray(packed, np.uint8), count=n).astype(np.bool_).reshape(shape)


def _output(plain: Output, entry: dict[str, Any], names: dict[str, str]) -> Output:
    return Output(name=entry["name"], population=names[plain.population], decoding=entry["decoding"])


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
