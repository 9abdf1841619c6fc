"""Export of a ``Network`` as a NIR graph that loses nothing and that any NIR reader can load.

Everything that decides a spike is written in plain NIR (``docs/notes/nir.md`` 4.2), but for resets by subtraction and the
payloads of graded inputs, which stand in the metadata of their nodes (``node_metadata.py``; notes 4.6). ``own_metadata.py``
adds the rest as metadata of the graph.
A population is a CubaLIF or CubaLI node. A projection is a Linear, Conv2d or SumPool2d node, with a Delay and a Flatten
before it and a Scale after it where needed; synapses with several delays are one Linear for each delay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import MismatchError, NirError
from neurodeploy.exchange.nir.lowering import depth_of, recurrent_pairs
from neurodeploy.exchange.nir.neurons import UNIT, Discretization, neuron_fields
from neurodeploy.exchange.nir.node_metadata import KEY, LARGEST_INVERSE, exact_inverse, input_entry, neuron_entry
from neurodeploy.exchange.nir.objects import nir_graph, write_nir
from neurodeploy.exchange.nir.own_metadata import NO_CHANGE, describe
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.network import (
    DECAY_ONE,
    STATE_SHIFT,
    Conv,
    Cuba,
    Dense,
    Input,
    Network,
    Pool,
    Population,
    Projection,
    Shape,
    Sparse,
    SpikingModel,
    difference,
    spiking_model,
)
from neurodeploy.network.unrolled import full_matrix

if TYPE_CHECKING:
    import nir

NodeNames = Mapping[tuple[str, str], str]
WeightType = Literal["float32", "float16"]
InFloats: TypeAlias = Callable[[NDArray[np.int16]], NDArray[Any]]
"""Function that turns the weights of a projection into those of the file."""
_PARTS = ("_delay", "_flatten", "_scale")


def to_nir(
    network: Network,
    path: Path | str | None = None,
    *,
    weights: WeightType = "float32",
    delays: Literal["node", "error"] = "node",
    discretization: Discretization = "euler",
    dt: float | None = None,
    metadata: bool = True,
    force: bool = False,
) -> nir.NIRGraph:
    """Return the network as a NIR graph, and write it to ``path`` if one is given.

    The file is written next to ``path``, read back with ``from_nir`` and compared; only then is it moved to ``path``.

    Args:
        weights: float type of the weights; both hold them exactly, float16 files are smaller.
        delays: ``node`` writes delays as Delay nodes, which few other readers support; ``error`` refuses delays.
        discretization: form of the time constants; most readers expect ``euler``.
        dt: length of a step in seconds that the graph speaks of, by default the network's. No spike depends on it, but some
            readers have a step of their own (snnTorch: 1e-4).
        metadata: also record names, masks and decoding; if False, only what plain NIR can say is written, and a reset by
            subtraction or the scale of a graded input is refused.
        force: replace a file that exists.

    Raises:
        NirError: for features that NIR cannot hold.
        NetworkError: for resonate-and-fire and sigma-delta neurons, for which NIR has no node.
        FileError: if the file exists or cannot be written.
        MismatchError: if reading the file back gives another network.
    """
    if weights not in ("float32", "float16"):
        raise NirError(f"export: weights='{weights}' is not possible; choose float32 or float16")
    network = network if dt is None else replace(network, dt=dt)
    for population in network.populations:
        spiking_model(population, "export")
    if not metadata:
        _refuse_unsaid(network)
    shapes = _nir_shapes(network)
    names = _node_names(network)
    nodes, edges = _nodes(network, shapes, names, weights, discretization, metadata)
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


def _refuse_unsaid(network: Network) -> None:
    """Refuse to write without metadata what readers would take for something else."""
    for p in network.populations:
        if neuron_entry(p):
            raise NirError(
                f"export: population '{p.name}' resets by subtraction, which plain NIR cannot say: a reader would set its "
                "voltage to 0; keep the metadata (in Python metadata=True), or write a .nd5 file"
            )
    for i in network.inputs:
        if i.scale != 1:
            raise NirError(
                f"export: input '{i.name}' has the scale {i.scale:g}, without which the weights of the file do not give the "
                "integers back; keep the metadata (in Python metadata=True), set the scale to 1, or write a .nd5 file"
            )


def _nodes(
    network: Network,
    shapes: Mapping[str, Shape],
    names: NodeNames,
    dtype: WeightType,
    discretization: Discretization,
    metadata: bool,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    import nir

    nodes: dict[str, Any] = {}
    per_value = dict.fromkeys(network.sizes, 1.0)
    for i in network.inputs:
        per_value[i.name] = _payloads_of_one(i)
        nodes[names["input", i.name]] = nir.Input(
            np.array(shapes[i.name]), metadata=_under_key(input_entry(i), metadata)
        )
    edges: list[tuple[str, str]] = []
    recurrent = _recurrent(network)
    for population in network.populations:
        own = names["population", population.name]
        bearer = _bias_bearer(network, population, recurrent)
        for projection in network.into(population.name):
            closing = (projection.source, projection.target) in recurrent
            kind = "float64" if isinstance(projection.synapses, Pool) else dtype
            floats = partial(_floats, projection=projection, dtype=kind, per_value=per_value[projection.source])
            for chain in _chains(network, shapes, projection, closing, names["projection", projection.name], floats):
                if projection is bearer:
                    chain, bearer = _with_bias(chain, population), None
                nodes.update(chain)
                edges += pairwise([_source_node(network, names, projection.source), *chain, own])
        entry = _under_key(neuron_entry(population), metadata)
        model = spiking_model(population, "export")
        if _bias_bearer(network, population, recurrent) is not None:
            model = replace(model, bias=0)
        nodes[own] = _neuron(population, model, shapes[population.name], network.dt, discretization, entry)
    for o in network.outputs:
        nodes[names["output", o.name]] = nir.Output(np.array(shapes[o.population]))
        edges.append((names["population", o.population], names["output", o.name]))
    return nodes, edges


def _under_key(entry: dict[str, Any], metadata: bool) -> dict[str, Any]:
    """Return the metadata of a node."""
    return {KEY: entry} if entry and metadata else {}


def _payloads_of_one(given: Input) -> float:
    """Return the payload that the value 1 of an input is coded as: ``1/scale``, exactly."""
    inverse = exact_inverse(given.scale)
    if inverse is None:
        raise NirError(
            f"export: input '{given.name}' has the scale {given.scale:g}; weights divided by it are no exact floats: choose "
            f"a power of two, or one over a whole number up to {LARGEST_INVERSE}, or write a .nd5 file"
        )
    return inverse


def _bias_bearer(network: Network, population: Population, recurrent: frozenset[tuple[str, str]]) -> Projection | None:
    """Return the projection whose Linear node can hold the bias of a population, as Affine, or None.

    Neurons whose current is gone after a step get the same from a constant current, which more readers take than a
    ``v_leak``. A recurrent connection brings nothing in step 0, and a kernel has one bias a channel.
    """
    model = spiking_model(population, "export")
    if not np.any(model.bias) or np.any(np.not_equal(model.current_decay, DECAY_ONE)):
        return None
    for p in network.into(population.name):
        if isinstance(p.synapses, Dense | Sparse) and (p.source, p.target) not in recurrent:
            return p
    return None


def _with_bias(chain: dict[str, Any], population: Population) -> dict[str, Any]:
    """Return the nodes of a projection with the bias of its target: the current that adds it to the voltage in each step."""
    import nir

    model = spiking_model(population, "export")
    bias = np.broadcast_to(np.asarray(model.bias, np.float64), population.shape).reshape(-1) / 2**STATE_SHIFT / UNIT
    return {
        name: nir.Affine(node.weight, bias) if isinstance(node, nir.Linear) else node for name, node in chain.items()
    }


def _neuron(
    population: Population,
    model: SpikingModel,
    shape: Shape,
    dt: float,
    discretization: Discretization,
    metadata: dict[str, Any],
) -> Any:
    import nir

    own = neuron_fields(model, population.shape, dt, discretization)
    own = {name: value.reshape(shape) for name, value in own.items()}
    return nir.CubaLIF(**own, metadata=metadata) if isinstance(model, Cuba) else nir.CubaLI(**own)


def _chains(
    network: Network, shapes: Mapping[str, Shape], projection: Projection, recurrent: bool, name: str, floats: InFloats
) -> Iterator[dict[str, Any]]:
    """Yield the nodes from the source of a projection to its target, by name: one chain for each synaptic delay."""
    steps = _nir_delay(network, projection, recurrent)
    if steps.ndim < 2:
        yield _chain(network, shapes, projection, name, steps, _synapse_nodes(projection, name, floats))
        return
    weights = full_matrix(projection.synapses)
    used = np.unique(steps[weights != 0])
    for n in used if used.size else steps.flat[:1]:
        part, own = np.where(steps == n, weights, 0), f"{name}_d{n}"
        nodes = _linear(part, own, floats)
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


def _synapse_nodes(projection: Projection, name: str, floats: InFloats) -> dict[str, Any]:
    synapses = projection.synapses
    if isinstance(synapses, Conv):
        return {name: _conv(synapses, floats)}
    if isinstance(synapses, Pool):
        return _pool(synapses, name, floats)
    return _linear(full_matrix(synapses), name, floats)


def _linear(weights: NDArray[np.int16], name: str, floats: InFloats) -> dict[str, Any]:
    import nir

    return {name: nir.Linear(floats(weights))}


def _conv(conv: Conv, floats: InFloats) -> Any:
    """Return the Conv2d node; grouped kernels become full kernels with zeros, because nir 1.0.8 ignores ``groups``."""
    import nir

    per_group = conv.weights.shape[1]
    full = np.zeros((len(conv.weights), conv.input_shape[0], *conv.weights.shape[2:]), np.int16)
    for out, kernel in enumerate(conv.weights):
        first = out // (len(conv.weights) // conv.groups) * per_group
        full[out, first : first + per_group] = kernel
    return nir.Conv2d(
        input_shape=conv.input_shape[1:],
        weight=floats(full),
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=1,
        bias=np.zeros(len(full)),
    )


def _pool(pool: Pool, name: str, floats: InFloats) -> dict[str, Any]:
    import nir

    node = nir.SumPool2d(np.array(pool.kernel), np.array(pool.stride), np.array(pool.padding))
    weight = float(floats(np.array([pool.weight], np.int16))[0])
    scale = {f"{name}_scale": nir.Scale(np.full(pool.output_shape, weight))} if weight != 1 else {}
    return {name: node, **scale}


def _floats(weights: NDArray[np.int16], *, projection: Projection, dtype: str, per_value: float) -> NDArray[Any]:
    """Return ``weights * 2**weight_exponent / 64 * per_value``, exactly; both float types hold it where ``per_value`` is 1.

    Raises:
        NirError: if the float type does not hold them.
    """
    exponent = projection.weight_exponent
    if per_value == 1:
        plain: NDArray[Any] = np.ldexp(weights.astype(dtype), exponent) / np.dtype(dtype).type(UNIT)
        return plain
    exact = np.ldexp(weights * per_value, exponent) / UNIT
    with np.errstate(over="ignore"):
        given: NDArray[Any] = exact.astype(dtype)
    if not np.array_equal(given, exact):
        other = "in Python pass weights='float32', " if dtype == "float16" else ""
        raise NirError(
            f"export: the weights of '{projection.name}', divided by the scale {1 / per_value:g} of its input "
            f"'{projection.source}', are no exact numbers of {dtype}; {other}choose a scale that is a power of two or one "
            f"over a whole number up to {LARGEST_INVERSE}, or write a .nd5 file"
        )
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
                "readers know Delay nodes: in Python pass delays='node' to write them"
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

    The only input is named ``input`` and the only output ``output``, because chain readers (snnTorch, Norse, SpikingJelly,
    snn-mlir) look for these names; the metadata keep the network's own. A population with a connection onto itself is named
    ``<name>.lif`` and that connection ``<name>.w_rec``, by which snnTorch and the Lava scripts recognise a recurrent block.
    """
    ends = [*(("input", i.name) for i in network.inputs)] if len(network.inputs) == 1 else []
    ends += [("output", o.name) for o in network.outputs] if len(network.outputs) == 1 else []
    wanted: list[tuple[tuple[str, str], str]] = [(end, end[0]) for end in ends]
    wanted += [(("input", i.name), i.name) for i in network.inputs if ("input", i.name) not in ends]
    reserved, recurrent = {kind for kind, _ in ends}, {p.source for p in network.projections if p.source == p.target}
    for population in network.populations:
        own = f"{population.name}_neurons" if population.name in reserved else population.name
        wanted.append((("population", population.name), own + ".lif" * (population.name in recurrent)))
    wanted += [(("output", o.name), o.name) for o in network.outputs if ("output", o.name) not in ends]
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
