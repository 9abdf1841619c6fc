"""``to_nir``: a ``Network`` becomes a NIR graph that loses nothing and that any NIR reader can load.

Everything that decides a spike lies in plain NIR (``nir.md``, section 4.2); ``description.py`` adds the rest as metadata.
A population is a CubaLIF or CubaLI node, a projection a Linear node, with a Flatten and a Delay before it where needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import FileError, MismatchError, NirError
from neurodeploy.exchange.description import KEY, describe
from neurodeploy.exchange.from_nir import from_nir
from neurodeploy.exchange.neurons import UNIT, Discretization, neuron_fields
from neurodeploy.network import Cuba, Dense, Network, Population, Projection, Sparse, difference

if TYPE_CHECKING:
    import nir

_NodeNames = Mapping[tuple[str, str], str]
_Dtype = Literal["float32", "float16"]


def to_nir(
    network: Network,
    path: Path | str | None = None,
    *,
    weights: _Dtype = "float32",
    delays: Literal["node", "error"] = "node",
    discretization: Discretization = "euler",
    metadata: bool = True,
    force: bool = False,
) -> nir.NIRGraph:
    """Return the network as a NIR graph, and write it to ``path`` if one is given.

    The file is written beside ``path``, read back with ``from_nir`` and compared; only then is it moved into place.

    Args:
        weights: float type of the weights; both hold them exactly, float16 files are smaller.
        delays: write delays as Delay nodes, which few other readers know, or refuse them.
        discretization: form of the time constants; most readers expect ``euler``.
        metadata: also record names, masks and decoding; without it only what decides the spikes is written.
        force: replace a file that exists.

    Raises:
        NirError: for what plain NIR cannot hold.
        FileError: if the file exists or cannot be written.
        MismatchError: if the file does not give the network back.
    """
    import nir

    if path is not None and Path(path).exists() and not force:
        raise FileError(f"export: {path} exists; choose another name or pass force (--force)")
    names = _node_names(network)
    nodes, edges = _nodes(network, names, weights, delays, discretization)
    graph = nir.NIRGraph(
        nodes=nodes, edges=edges, metadata={KEY: describe(network, names, discretization)} if metadata else {}
    )
    _check_same(network, from_nir(graph, dt=network.dt, discretization=discretization), metadata)
    if path is not None:
        _write(network, graph, Path(path), discretization, metadata)
    return graph


def _write(network: Network, graph: Any, path: Path, discretization: Discretization, metadata: bool) -> None:
    import nir

    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        nir.write(partial, graph)
        _check_same(network, from_nir(partial, dt=network.dt, discretization=discretization), metadata)
        partial.replace(path)
    except OSError as error:
        raise FileError(f"export: {path} cannot be written ({error}); check the folder and the free space") from error
    finally:
        partial.unlink(missing_ok=True)


def _check_same(network: Network, back: Network, metadata: bool) -> None:
    found = difference(network, back) if metadata else None
    if back.ledger:
        found = f"{back.ledger[0].where}: {back.ledger[0].what}, {back.ledger[0].size}"
    if found:
        raise MismatchError(
            f"export: the graph does not give the network back: {found}; this is an error of neurodeploy"
        )


def _nodes(
    network: Network, names: _NodeNames, dtype: _Dtype, delays: str, discretization: Discretization
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    import nir

    nodes: dict[str, Any] = {names["input", i.name]: nir.Input(input_type=np.array(i.shape)) for i in network.inputs}
    edges: list[tuple[str, str]] = []
    for population in network.populations:
        for projection in network.into(population.name):
            chain = dict(_chain(network, projection, names, dtype, delays))
            nodes.update(chain)
            way = [_node(network, names, projection.source), *chain, names["population", population.name]]
            edges += pairwise(way)
        nodes[names["population", population.name]] = _neuron(population, network.dt, discretization)
    for o in network.outputs:
        nodes[names["output", o.name]] = nir.Output(output_type=np.array([network.sizes[o.population]]))
        edges.append((names["population", o.population], names["output", o.name]))
    return nodes, edges


def _neuron(population: Population, dt: float, discretization: Discretization) -> Any:
    import nir

    own = neuron_fields(population.model, (population.size,), dt, discretization)
    return nir.CubaLIF(**own) if isinstance(population.model, Cuba) else nir.CubaLI(**own)


def _chain(
    network: Network, projection: Projection, names: _NodeNames, dtype: _Dtype, delays: str
) -> Iterator[tuple[str, Any]]:
    """Give the nodes from the source of a projection to its target, by name."""
    import nir

    name = names["projection", projection.name]
    steps = _nir_delay(network, projection)
    if np.any(steps):
        if delays == "error":
            raise NirError(
                f"export: projection '{projection.name}' has delays of up to {int(steps.max())} steps; few NIR readers know "
                "Delay nodes: pass delays='node' to write them"
            )
        delay = np.broadcast_to(steps, (network.sizes[projection.source],)) * network.dt
        yield f"{name}_delay", nir.Delay(delay=delay.reshape(network.shapes[projection.source]))
    if isinstance(projection.source, str) and len(_nir_shape(network, projection.source)) > 1:
        yield (
            f"{name}_flatten",
            nir.Flatten(input_type={"input": np.array(network.shapes[projection.source])}, start_dim=0),
        )
    yield name, nir.Linear(weight=_float_weights(projection, dtype))


def _float_weights(projection: Projection, dtype: _Dtype) -> NDArray[Any]:
    """Return ``weights * 2**exponent / 64``, which both float types hold exactly."""
    synapses = projection.synapses
    if isinstance(synapses, Sparse):
        weights = np.zeros((synapses.n_target, synapses.start.size - 1), np.int16)
        weights[synapses.target, np.repeat(np.arange(weights.shape[1]), np.diff(synapses.start))] = synapses.weights
    elif isinstance(synapses, Dense):
        weights = synapses.weights
    else:
        raise NirError(f"export: projection '{projection.name}' is {synapses.kind}, which is not written yet")
    given: NDArray[Any] = np.ldexp(weights.astype(dtype), projection.weight_exponent) / np.dtype(dtype).type(UNIT)
    return given


def _nir_delay(network: Network, projection: Projection) -> NDArray[np.int64]:
    """Return the delay in NIR's time, where a layer costs no step: the chip's delay less what the first steps leave.

    A recurrent projection costs its one step in NIR as well.
    """
    if np.ndim(projection.delay) == 2:
        raise NirError(f"export: projection '{projection.name}' has a delay for each synapse, which is not written yet")
    start = {i.name: 0 for i in network.inputs} | {p.name: p.first_step for p in network.populations}
    own = 0 if projection.source == projection.target else 1
    steps = np.asarray(projection.delay, np.int64) + own + start[projection.source] - start[projection.target]
    if np.any(steps < 0):
        raise NirError(
            f"export: projection '{projection.name}' reaches '{projection.target}' {-int(steps.min())} steps before its "
            f"first step {start[projection.target]}; NIR cannot say that: lengthen the delay or lower first_step"
        )
    return steps


def _nir_shape(network: Network, name: str) -> tuple[int, ...]:
    """Populations are written flat; inputs keep their shape."""
    return next((i.shape for i in network.inputs if i.name == name), (network.sizes[name],))


def _node(network: Network, names: _NodeNames, name: str) -> str:
    is_input = any(i.name == name for i in network.inputs)
    return names["input" if is_input else "population", name]


def _node_names(network: Network) -> dict[tuple[str, str], str]:
    """Return a name for each node that HDF5 and torch take: letters, digits, ``_`` and ``.``, no two alike.

    A population with a connection onto itself is ``<name>.lif``, that connection ``<name>.w_rec``: so snnTorch and the Lava
    scripts know a recurrent block.
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
        while {unique, f"{unique}_delay", f"{unique}_flatten"} & taken:
            unique, n = f"{safe}_{n}", n + 1
        names[key] = unique
        taken |= {unique, f"{unique}_delay", f"{unique}_flatten"}
    return names
