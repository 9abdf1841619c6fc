"""NIR graphs as plain records, read directly from HDF5 or taken from ``nir`` objects.

This module does not use ``nir.read`` (1.0.8), which type-checks nested graphs even when told not to, refuses old files, and
fails on a damaged file with arbitrary exceptions. Nothing is interpreted here: values stay as they are in the file.
File layout: ``/version``, ``/node/type``, ``/node/edges``, ``/node/nodes/<name>/{type, fields, metadata}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodeploy.errors import FileError, NirError
from neurodeploy.files.hdf5 import Refused, is_hdf5, open_hdf5
from neurodeploy.files.progress import Reading, reading
from neurodeploy.files.unreadable import UNREADABLE, plain_text

if TYPE_CHECKING:
    import h5py
    import nir

MAX_ELEMENTS = 2**28
"""Number of elements of the largest array that is read (268 million); a damaged header may claim any size."""
_BLOCK = 2**20
"""Numbers that are read in one block."""
EMPTY = "None"
"""Kind of a node of a graph in memory that is None, which exporters put where they do not know a module."""
MAX_NESTING = 16
"""Deepest nesting of graphs and metadata that is read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """A node: its NIR type, and its fields as numpy arrays, numbers or strings; ``graph`` holds a nested graph."""

    name: str
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    graph: Graph | None = None

    def __post_init__(self) -> None:
        for name in ("fields", "metadata"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """Nodes by name, and edges in the order of the file; ``origin`` says where the graph came from, for messages.

    ``before``: node -> the nodes from which an edge leads to it.
    """

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "graph"
    version: str = ""
    before: Mapping[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("nodes", "metadata"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        before: dict[str, list[str]] = {}
        for source, target in self.edges:
            before.setdefault(target, []).append(source)
        object.__setattr__(self, "before", MappingProxyType(before))


def load_graph(source: Path | str | nir.NIRGraph | Graph) -> Graph:
    """Return the graph of a file or of a ``nir.NIRGraph``; a ``Graph`` is returned as it is."""
    if isinstance(source, Graph):
        return source
    if isinstance(source, str | Path):
        return read_graph(Path(source))
    if hasattr(source, "nodes") and hasattr(source, "edges"):
        return _from_objects(source, "graph", 0)
    raise NirError(f"nir: expected a path or a nir.NIRGraph, got {type(source).__name__}")


def read_graph(path: Path) -> Graph:
    """Read a ``.nir`` file of any nir version.

    Raises:
        FileError: if the file is missing, damaged or not a NIR file.
        NirError: if a node in it has no type, or the edges are not pairs of names.
    """
    import h5py

    if not path.is_file():
        raise FileError(f"nir: there is no file {path}")
    if not is_hdf5(path):
        raise FileError(f"nir: {path} is no HDF5 file, so no NIR file; write it again with nir.write or to_nir")
    try:
        with open_hdf5(path, "NIR files") as file:
            root = file.get("node")
            if not isinstance(root, h5py.Group):
                raise FileError(f"nir: {path} is an HDF5 file without the group 'node', so no NIR file")
            version = _text(_value(file, "version", str(path))) if "version" in file else ""
            if "nodes" not in root:
                return _single_node(root, str(path))
            with _telling(root, str(path)):
                return _read_graph(root, str(path), version, 0)
    except Refused as error:
        raise FileError(f"nir: {path}: {error}; write it again") from error
    except UNREADABLE as error:
        raise FileError(f"nir: {path} is damaged ({_short(error)}); write it again") from error


@contextmanager
def _telling(root: h5py.Group, origin: str) -> Iterator[None]:
    """Report the progress of reading a file to the function in ``files.progress.reading``, if there is one."""
    import h5py

    told = reading.get()
    if told is None:
        yield
        return
    sizes: list[int] = []
    root.visititems(lambda _, found: sizes.append(found.size or 0) if isinstance(found, h5py.Dataset) else None)
    token = _far.set(_Far(origin, sum(sizes), told))
    try:
        yield
        told(origin, sum(sizes), sum(sizes))
    finally:
        _far.reset(token)


@dataclass(slots=True, eq=False)
class _Far:
    """Progress of reading a file: numbers read (``done``) of all numbers (``of``), and the function to report it to."""

    origin: str
    of: int
    told: Reading
    done: int = 0


_far: ContextVar[_Far | None] = ContextVar("far", default=None)


def _tell(n: int) -> None:
    far = _far.get()
    if far is not None:
        far.done = min(far.done + n, far.of)
        far.told(far.origin, far.done, far.of)


def _read_graph(group: h5py.Group, origin: str, version: str, level: int) -> Graph:
    import h5py

    if level > MAX_NESTING:
        raise FileError(f"nir: {origin} nests graphs deeper than {MAX_NESTING}; flatten it before writing")
    nodes = group.get("nodes")
    if not isinstance(nodes, h5py.Group):
        raise FileError(f"nir: {origin}: 'nodes' is no group; write the file again")
    return Graph(
        nodes={_name(name): _read_node(nodes, name, origin, version, level) for name in nodes},
        edges=_edges(_value(group, "edges", origin) if "edges" in group else [], origin),
        metadata=_metadata(group, origin),
        origin=origin,
        version=version,
    )


def _read_node(nodes: h5py.Group, name: str, origin: str, version: str, level: int) -> Node:
    import h5py

    group, name = nodes.get(name), _name(name)
    if not isinstance(group, h5py.Group):
        raise NirError(f"nir: {origin}: node '{name}' is no group; write the file again")
    if "type" not in group:
        raise NirError(f"nir: {origin}: node '{name}' has no type ({_without_type(group)}")
    kind = _text(_value(group, "type", origin))
    if kind == "NIRGraph":
        graph = _read_graph(group, origin, version, level + 1)
        return Node(name=name, kind=kind, metadata=graph.metadata, graph=graph)
    own = {key: _value(group, key, f"{origin}: node '{name}'") for key in group if key not in ("type", "metadata")}
    return Node(name=name, kind=kind, fields=own, metadata=_metadata(group, origin))


def _without_type(group: h5py.Group) -> str:
    """Return in words what a node without a type holds, and what has to be done."""
    import h5py

    inner = ", ".join(list(group)[:3]) or "nothing"
    if any(isinstance(group.get(name), h5py.Group) for name in group if name != "metadata"):
        return f"it holds {inner}); a name with '/' in it breaks a NIR file: rename the node and write the file again"
    return f"it holds {inner}); the file was not written to its end, or damaged since: write it again"


def _single_node(root: h5py.Group, origin: str) -> Graph:
    """Return a graph with the single node that a file holds."""
    if "type" not in root:
        raise FileError(f"nir: {origin} holds no graph: 'node' has neither 'nodes' nor 'type'")
    kind = _text(_value(root, "type", origin))
    own = {key: _value(root, key, origin) for key in root if key not in ("type", "metadata", "edges")}
    return Graph(nodes={kind.lower(): Node(name=kind.lower(), kind=kind, fields=own)}, edges=(), origin=origin)


def _value(group: h5py.Group, name: str, origin: str) -> Any:
    """Return the value of a dataset: an array, a number, or text."""
    import h5py

    found = group.get(name)
    if isinstance(found, h5py.Group):
        raise NirError(f"nir: {origin}: field '{name}' is a group, expected a value")
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise NirError(f"nir: {origin}: field '{name}' holds no value")
    if found.size > MAX_ELEMENTS:
        raise FileError(f"nir: {origin}: field '{name}' has shape {found.shape}, over {MAX_ELEMENTS} numbers")
    value = _in_blocks(found) if found.size > _BLOCK and found.dtype.kind in "iufb" else found[()]
    _tell(0 if found.size > _BLOCK else found.size)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _in_blocks(found: h5py.Dataset) -> Any:
    """Return a large array, read in whole rows of its chunks so that each chunk is unpacked once."""
    rows = max(1, _BLOCK * found.shape[0] // found.size)
    if found.chunks:
        rows = -(-rows // found.chunks[0]) * found.chunks[0]
    array = np.empty(found.shape, found.dtype)
    for first in range(0, found.shape[0], rows):
        part = np.s_[first : first + rows]
        found.read_direct(array, part, part)
        _tell(array[part].size)
    return array


def _metadata(group: h5py.Group, origin: str) -> dict[str, Any]:
    import h5py

    found = group.get("metadata") if "metadata" in group else None
    return _metadata_of(found, origin, 0) if isinstance(found, h5py.Group) else {}


def _metadata_of(group: h5py.Group, origin: str, level: int) -> dict[str, Any]:
    import h5py

    if level > MAX_NESTING:
        raise FileError(f"nir: {origin} nests metadata deeper than {MAX_NESTING}")
    children = {key: group.get(key) for key in group}
    return {
        key: _metadata_of(child, origin, level + 1) if isinstance(child, h5py.Group) else _value(group, key, origin)
        for key, child in children.items()
    }


def _edges(value: Any, origin: str) -> tuple[tuple[str, str], ...]:
    pairs = np.asarray(value)
    if pairs.size == 0:
        return ()
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise NirError(f"nir: {origin}: edges have shape {pairs.shape}, expected pairs of node names")
    return tuple((_name(_text(a)), _name(_text(b))) for a, b in pairs.tolist())


def _name(text: str) -> str:
    """Return the name of a node with escapes for control characters, since names are printed."""
    return plain_text(text, len(text))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise NirError(f"nir: expected a name, got {_short(value)}")
    return value


def _short(value: object) -> str:
    return plain_text(" ".join(str(value).split()))


def _from_objects(graph: Any, origin: str, level: int) -> Graph:
    """Return the records of a ``nir.NIRGraph``, without copying its arrays."""
    if level > MAX_NESTING:
        raise NirError(f"nir: {origin} nests graphs deeper than {MAX_NESTING}")
    nodes = {}
    for name, node in graph.nodes.items():
        if node is None:
            nodes[name] = Node(name=name, kind=EMPTY)
            continue
        kind = type(node).__name__
        metadata = node.metadata if isinstance(node.metadata, dict) else {}
        if kind == "NIRGraph":
            nodes[name] = Node(name=name, kind=kind, metadata=metadata, graph=_from_objects(node, origin, level + 1))
        else:
            nodes[name] = Node(name=name, kind=kind, fields=_object_fields(node, kind), metadata=metadata)
    return Graph(
        nodes=nodes,
        edges=tuple((str(a), str(b)) for a, b in graph.edges),
        metadata=graph.metadata if isinstance(graph.metadata, dict) else {},
        origin=origin,
    )


def _object_fields(node: Any, kind: str) -> dict[str, Any]:
    own = {f.name: getattr(node, f.name) for f in fields(node)}
    input_type, output_type = own.pop("input_type", None), own.pop("output_type", None)
    own.pop("metadata", None)
    if kind == "Input":
        own["shape"] = input_type["input"]
    elif kind == "Output":
        own["shape"] = output_type["output"]
    elif kind == "Flatten":
        own["input_type"] = input_type["input"]
    return {name: value for name, value in own.items() if value is not None}
