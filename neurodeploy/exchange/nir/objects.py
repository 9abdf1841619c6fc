"""Conversion of a ``Graph`` to ``nir`` objects, and writing of NIR files, which appear only when they are complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.errors import FileError, NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.neurons import NEURON_KINDS, neuron_shape
from neurodeploy.files.disk import hdf5_disk
from neurodeploy.files.writing import replacing

if TYPE_CHECKING:
    import nir


def nir_graph(nodes: dict[str, Any], edges: list[tuple[str, str]], metadata: dict[str, Any]) -> nir.NIRGraph:
    """Return a ``nir.NIRGraph`` with inferred types and exactly the given nodes.

    nir 1.0.8 adds Inputs and Outputs to the dict that it is given, and computes wrong shapes for kernels that are not
    square. So types are inferred on a copy, and an error there is ignored.
    """
    import nir

    with suppress(ValueError):  # a kernel that is not square: the file opens with type_check=False
        nir.NIRGraph(dict(nodes), list(edges))
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def nir_objects(graph: Graph) -> nir.NIRGraph:
    """Return a flat graph as ``nir`` objects.

    Raises:
        NirError: for a node that ``nir`` does not take.
    """
    nodes = {name: _object(node) for name, node in graph.nodes.items()}
    return nir_graph(nodes, list(graph.edges), _writable(graph.metadata))


def write_nir(graph: nir.NIRGraph, path: Path, *, force: bool, check: Callable[[Path], None]) -> None:
    """Write to a file next to ``path``, pass it to ``check``, then move it to ``path``.

    Raises:
        FileError: if the file exists or cannot be written. Errors of ``check`` are passed on; then no file is left.
    """
    import nir

    if path.exists() and not force:
        raise FileError(f"export: {path} exists; choose another name or pass force (--force)")
    try:
        with replacing(path) as partial:
            with hdf5_disk(partial) as disk:
                nir.write(disk, graph)
            check(partial)
    except (OSError, RuntimeError) as error:
        raise FileError(f"export: {path} cannot be written ({error}); check the folder and the free space") from error


def _object(node: Node) -> Any:
    try:
        return _built(node)
    except (AssertionError, AttributeError, OverflowError, TypeError, ValueError) as error:
        raise NirError(
            f"nir: node '{node.name}' ({node.kind}) cannot be written by nir ({error}); mend its fields in the file"
        ) from error


def _built(node: Node) -> Any:
    import nir

    own: dict[str, Any] = dict(node.fields)
    kind, metadata = getattr(nir, node.kind), _writable(node.metadata)
    if node.kind in ("Input", "Output"):
        return kind(np.atleast_1d(own["shape"]), metadata=metadata)
    if node.kind in NEURON_KINDS:
        own = {name: _spread(value, neuron_shape(node)) for name, value in own.items()}
    elif node.kind in ("Scale", "Delay"):
        own = {name: np.atleast_1d(value) for name, value in own.items()}
    elif node.kind == "Affine":
        own["bias"] = _spread(own["bias"], np.shape(own["weight"])[-2:-1])
    elif node.kind in ("SumPool2d", "AvgPool2d"):
        own = {"stride": own["kernel_size"], "padding": 0} | own
        own = {name: _spread(value, (2,)) for name, value in own.items()}
    elif node.kind == "Flatten":
        dims: dict[str, Any] = {name: int(np.ravel(own[name])[0]) for name in ("start_dim", "end_dim") if name in own}
        own |= {"input_type": {"input": np.atleast_1d(own["input_type"])}, **dims}
    if node.kind in ("Conv1d", "Conv2d"):
        own |= {
            name: _plain(own[name])
            for name in ("stride", "padding", "dilation", "groups", "input_shape")
            if name in own
        }
        own["bias"] = _spread(own.get("bias", 0.0), (len(own["weight"]),))
        own |= {name: own.get(name, default) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))}
        own.setdefault("groups", 1)
    return kind(**own, metadata=metadata)


def _spread(value: Any, shape: tuple[int, ...]) -> Any:
    """Return one number as an array of it, and anything else as it is; nir 1.0.8 cannot write arrays without axes."""
    return np.full(shape, np.ravel(value)[0]) if np.size(value) == 1 else value


def _writable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata with plain numbers for arrays without axes, which nir 1.0.8 cannot write."""
    return {name: _writable(v) if isinstance(v, Mapping) else _number(v) for name, v in metadata.items()}


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0 else value


def _plain(value: Any) -> Any:
    """Return numbers as an int or a tuple of ints, as nir's constructors expect them."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    return int(array) if array.ndim == 0 else tuple(int(n) for n in array)
