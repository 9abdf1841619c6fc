"""Conversion of a ``Graph`` to ``nir`` objects, and writing of NIR files, which appear only when they are complete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.errors import FileError
from neurodeploy.exchange.nir.graph import Graph, Node
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
    """Return a flat graph as ``nir`` objects."""
    nodes = {name: _object(node) for name, node in graph.nodes.items()}
    return nir_graph(nodes, list(graph.edges), dict(graph.metadata))


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
            nir.write(partial, graph)
            check(partial)
    except OSError as error:
        raise FileError(f"export: {path} cannot be written ({error}); check the folder and the free space") from error


def _object(node: Node) -> Any:
    import nir

    own: dict[str, Any] = dict(node.fields)
    kind = getattr(nir, node.kind)
    if node.kind in ("Input", "Output"):
        return kind(np.asarray(own["shape"]), metadata=dict(node.metadata))
    if node.kind == "Flatten":
        own["input_type"] = {"input": np.asarray(own["input_type"])}
    if node.kind in ("Conv1d", "Conv2d"):
        own |= {
            name: _plain(own[name])
            for name in ("stride", "padding", "dilation", "groups", "input_shape")
            if name in own
        }
        own.setdefault("bias", np.zeros(len(own["weight"])))
        own |= {name: own.get(name, default) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))}
        own.setdefault("groups", 1)
    return kind(**own, metadata=dict(node.metadata))


def _plain(value: Any) -> Any:
    """Return numbers as an int or a tuple of ints, as nir's constructors expect them."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    return int(array) if array.ndim == 0 else tuple(int(n) for n in array)
