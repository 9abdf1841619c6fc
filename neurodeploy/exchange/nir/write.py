"""Export of a ``Network`` as a NIR graph that loses nothing and that any NIR reader can load.

Everything that decides a spike is written in plain NIR (``docs/notes/nir.md`` 4.2); ``own_metadata.py`` adds the rest as
metadata.
A population is a CubaLIF or CubaLI node. A projection is a Linear, Conv2d or SumPool2d node, with a Delay and a Flatten
before it and a Scale after it where needed; synapses with several delays are one Linear for each delay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import MismatchError, NirError
from neurodeploy.exchange.nir.lowering import depth_of, recurrent_pairs
from neurodeploy.exchange.nir.neurons import UNIT, Discretization, neuron_fields
from neurodeploy.exchange.nir.objects import nir_graph, write_nir
from neurodeploy.exchange.nir.own_metadata import KEY, NO_CHANGE, describe
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.network import (
    Conv,
    Cuba,
    Network,
    Pool,
    Population,
    Projection,
    Shape,
    difference,
    require_spiking,
    spiking_model,
)
from neurodeploy.network.unrolled import full_matrix

if TYPE_CHECKING:
    import nir

NodeNames = Mapping[tuple[str, str], str]
WeightType = Literal["float32", "float16"]
_PARTS = ("_delay", "_flatten", "_scale")


def to_nir(
    network: Network,
    path: Path | str | None = None,
    *,
    weights: WeightType = "float32",
    delays: Literal["node", "error"] = "node",
    discretization: Discretization = "euler",
    metadata: bool = True,
    force: bool = False,
) -> nir.NIRGraph:
    """Return the network as a NIR graph, and write it to ``path`` if one is given.

    The file is written next to ``path``, read back with ``from_nir`` and compared; only then is it moved to ``path``.

    Args:
        weights: float type of the weights; both hold them exactly, float16 files are smaller.
        delays: ``node`` writes delays as Delay nodes, which few other readers support; ``error`` refuses delays.
        discretization: form of the time constants; most readers expect ``euler``.
        metadata: also record names, masks and decoding; if False, only the values that decide the spikes are written.
        force: replace a file that exists.

    Raises:
        NirError: for features that plain NIR cannot hold.
        NetworkError: for resonate-and-fire and sigma-delta neurons and graded inputs, for which NIR has no node.
        FileError: if the file exists or cannot be written.
        MismatchError: if reading the file back gives another network.
    """
    if weights not in ("float32", "float16"):
        raise NirError(f"export: weights='{weights}' is not possible; choose float32 or float16")
    require_spiking(network, "export")
    shapes = _nir_shapes(network)
    names = _node_names(network)
    nodes, edges = _nodes(network, shapes, names, weights, discretization)
    if delays == "error":
        _refuse_delays(nodes)
    own = {KEY: describe(network, names, discretization)} if metadata else {}
    graph = nir_graph(nodes, edges, own)

    def check(source: Path | nir.NIRGraph) -> None:
        back = from_nir(source, dt=network.dt, discretization=discretization)
        changes = "; ".join(f"{e.where}: {e.what}, {e.size}" for e in back.ledger if e.size != NO_CHANGE)
        found = (difference(network, back) if metadata else None) or changes
        if found:
            raise MismatchError(
                f"export: the graph does not give the network back: {found}; this is our error, report it"
            )

    if path is None:
        check(graph)
    else:
        write_nir(graph, Path(path), force=force, check=check)
    return graph


def _nodes(
    network: Network, shapes: Mapping[str, Shape], names: NodeNames, dtype: WeightType, discretization: Discretization
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    import nir

    nodes: dict[str, Any] = {names["input", i.name]: nir.Input(np.array(shapes[i.name])) for i in network.inputs}
    edges: list[tuple[str, str]] = []
    recurrent = _recurrent(network)
    for population in network.populations:
        own = names["population", population.name]
        for projection in network.into(population.name):
            closing = (projection.source, projection.target) in recurrent
            for chain in _chains(network, shapes, projection, closing, names["projection", projection.name], dtype):
                nodes.update(chain)
                edges += pairwise([_source_node(network, names, projection.source), *chain, own])
        nodes[own] = _neuron(population, shapes[population.name], network.dt, discretization)
    for o in network.outputs:
        nodes[names["output", o.name]] = nir.Output(np.array(shapes[o.population]))
        edges.append((names["population", o.population], names["output", o.name]))
    return nodes, edges


def _neuron(population: Population, shape: Shape, dt: float, discretization: Discretization) -> Any:
    import nir

    model = spiking_model(population, "export")
    own = neuron_fields(model, population.shape, dt, discretization)
    own = {name: value.reshape(shape) for name, value in own.items()}
    return nir.CubaLIF(**own) if isinstance(model, Cuba) else nir.CubaLI(**own)


def _chains(
    network: Network, shapes: Mapping[str, Shape], projection: Projection, recurrent: bool, name: str, dtype: WeightType
) -> Iterator[dict[str, Any]]:
    """Yield the nodes from the source of a projection to its target, by name: one chain for each synaptic delay."""
    steps = _nir_delay(network, projection, recurrent)
    if steps.ndim < 2:
        yield _chain(network, shapes, projection, name, steps, _synapse_nodes(projection, name, dtype))
        return
    weights = full_matrix(projection.synapses)
    used = np.unique(steps[weights != 0])
    for n in used if used.size else steps.flat[:1]:
        part, own = np.where(steps == n, weights, 0), f"{name}_d{n}"
        nodes = _linear(part, projection.weight_exponent, own, dtype)
        yield _chain(network, shapes, projection, own, np.asarray(n), nodes)


def _chain(
    network: Network,
    shapes: Mapping[str, Shape],
    projection: Projection,
    name: str,
    steps: NDArray[np.int64],
    synapse_nodes: dict[str, Any],
) -> dict[str, Any]:
    import nir

    shape = shapes[projection.source]
    nodes: dict[str, Any] = {}
    if np.any(steps):
        delay = np.broadcast_to(steps, (network.sizes[projection.source],)) * network.dt
        nodes[f"{name}_delay"] = nir.Delay(delay.reshape(shape))
    if len(shape) > 1 and not isinstance(projection.synapses, Conv | Pool):
        nodes[f"{name}_flatten"] = nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=len(shape) - 1)
    return nodes | synapse_nodes


def _synapse_nodes(projection: Projection, name: str, dtype: WeightType) -> dict[str, Any]:
    synapses, exponent = projection.synapses, projection.weight_exponent
    if isinstance(synapses, Conv):
        return {name: _conv(synapses, exponent, dtype)}
    if isinstance(synapses, Pool):
        return _pool(synapses, exponent, name)
    return _linear(full_matrix(synapses), exponent, name, dtype)


def _linear(weights: NDArray[np.int16], exponent: int, name: str, dtype: WeightType) -> dict[str, Any]:
    import nir

    return {name: nir.Linear(_floats(weights, exponent, dtype))}


def _conv(conv: Conv, exponent: int, dtype: WeightType) -> Any:
    """Return the Conv2d node; grouped kernels become full kernels with zeros, because nir 1.0.8 ignores ``groups``."""
    import nir

    per_group = conv.weights.shape[1]
    full = np.zeros((len(conv.weights), conv.input_shape[0], *conv.weights.shape[2:]), np.int16)
    for out, kernel in enumerate(conv.weights):
        first = out // (len(conv.weights) // conv.groups) * per_group
        full[out, first : first + per_group] = kernel
    return nir.Conv2d(
        input_shape=conv.input_shape[1:],
        weight=_floats(full, exponent, dtype),
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=1,
        bias=np.zeros(len(full)),
    )


def _pool(pool: Pool, exponent: int, name: str) -> dict[str, Any]:
    import nir

    node = nir.SumPool2d(np.array(pool.kernel), np.array(pool.stride), np.array(pool.padding))
    weight = float(np.ldexp(float(pool.weight), exponent)) / UNIT
    scale = {f"{name}_scale": nir.Scale(np.full(pool.output_shape, weight))} if weight != 1 else {}
    return {name: node, **scale}


def _floats(weights: NDArray[np.int16], exponent: int, dtype: WeightType) -> NDArray[Any]:
    """Return ``weights * 2**exponent / 64``, which both float types hold exactly."""
    given: NDArray[Any] = np.ldexp(weights.astype(dtype), exponent) / np.dtype(dtype).type(UNIT)
    return given


def _nir_delay(network: Network, projection: Projection, recurrent: bool) -> NDArray[np.int64]:
    """Return the delay in NIR's time, where a layer takes no step: the chip's delay minus the difference in first steps.

    The one step that every spike takes on the chip is counted, too; a recurrent connection (onto the same population, or
    back inside a cycle) takes it in NIR as well.
    """
    start = {i.name: 0 for i in network.inputs} | {p.name: p.first_step for p in network.populations}
    own = 0 if recurrent else 1
    steps = np.asarray(projection.delay, np.int64) + own + start[projection.source] - start[projection.target]
    if np.any(steps < 0):
        raise NirError(
            f"export: projection '{projection.name}' reaches '{projection.target}' {-int(steps.min())} steps before its "
            f"first step {start[projection.target]}; NIR cannot say that: lengthen the delay or lower first_step"
        )
    return steps


def _recurrent(network: Network) -> frozenset[tuple[str, str]]:
    """Return the pairs of populations whose projection closes a cycle, as ``from_nir`` will see them."""
    pairs = [(p.source, p.target) for p in network.projections]
    reached = {b for a, b in pairs if a != b}
    roots = {i.name: 0 for i in network.inputs} | {p.name: 1 for p in network.populations if p.name not in reached}
    return recurrent_pairs(pairs, depth_of(pairs, roots))


def _refuse_delays(nodes: Mapping[str, Any]) -> None:
    for name, node in nodes.items():
        if type(node).__name__ == "Delay":
            raise NirError(
                f"export: '{name.removesuffix('_delay')}' has delays of up to {float(node.delay.max()):g} s; few NIR "
                "readers know Delay nodes: pass delays='node' to write them"
            )


def _nir_shapes(network: Network) -> dict[str, Shape]:
    """Return the shape of each node in the graph: as windows need it, else flat for populations and unchanged for inputs.

    Raises:
        NirError: if a window needs a shape that the node does not have; NIR has no node that undoes a Flatten.
    """
    made: dict[str, set[Shape]] = {name: set() for name in network.sizes}
    taken: dict[str, set[Shape]] = {name: set() for name in network.sizes}
    for p in network.projections:
        if isinstance(p.synapses, Conv | Pool):
            made[p.target].add(p.synapses.output_shape)
            taken[p.source].add(p.synapses.input_shape)
        else:
            made[p.target].add((network.sizes[p.target],))
    shapes = {}
    for name, own in made.items():
        is_input = any(i.name == name for i in network.inputs)
        wanted = own | taken[name]
        if len(wanted) > 1:
            raise NirError(
                f"export: '{name}' would need the shapes {', '.join(map(str, sorted(wanted)))} at once; NIR has no node "
                "that gives a flat signal its shape back, so let a population have either dense or conv and pool projections"
            )
        shapes[name] = next(iter(wanted)) if wanted else network.shapes[name] if is_input else (network.sizes[name],)
    return shapes


def _source_node(network: Network, names: NodeNames, name: str) -> str:
    is_input = any(i.name == name for i in network.inputs)
    return names["input" if is_input else "population", name]


def _node_names(network: Network) -> dict[tuple[str, str], str]:
    """Return a unique name for each node that HDF5 and torch accept: letters, digits, ``_`` and ``.``.

    A population with a connection onto itself is named ``<name>.lif`` and that connection ``<name>.w_rec``, because snnTorch
    and the Lava scripts recognise a recurrent block by these names.
    """
    wanted: list[tuple[tuple[str, str], str]] = [(("input", i.name), i.name) for i in network.inputs]
    recurrent = {p.source for p in network.projections if p.source == p.target}
    wanted += [(("population", p.name), p.name + ".lif" * (p.name in recurrent)) for p in network.populations]
    wanted += [(("output", o.name), o.name) for o in network.outputs]
    for p in network.projections:
        wanted.append((("projection", p.name), f"{p.source}.w_rec" if p.source == p.target else p.name))
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for key, name in wanted:
        safe = re.sub(r"[^A-Za-z0-9_.]", "_", name).strip(".") or key[0]
        unique, n = safe, 2
        while unique in taken or any(f"{unique}{part}" in taken for part in _PARTS):
            unique, n = f"{safe}_{n}", n + 1
        names[key] = unique
        taken |= {unique, *(f"{unique}{part}" for part in _PARTS)}
    return names
