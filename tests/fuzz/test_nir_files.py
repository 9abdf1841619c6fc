"""NIR files of real exporters, changed at random: a network, a report or one of our errors comes out, in finite time.

Seeds are fixed: ``Case(seed)`` makes the file of a failure again. Files whose bytes are damaged: ``test_damage.py``.
"""

from __future__ import annotations

import gzip
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from building import ROOT

from neurodeploy import NeurodeployError, check_nir, from_nir, interpret
from neurodeploy.exchange.nir.graph import Graph, load_graph
from neurodeploy.exchange.nir.readings import READINGS

FEW, MANY = 300, 20_000
SECONDS = 20
"""Longest time for one file, on a loaded machine."""
FIXTURES = sorted((ROOT / "tests" / "bridges" / "files").glob("*.nir.gz"))
OWN = ROOT / "tests" / "golden" / "commands" / "digits.nir"
NUMBERS = (0.0, -1.0, 1e-30, 1e30, -1e300, np.nan, np.inf, -np.inf, 0.5, 2.0**40)
NAMES = ("x", "a/b", "ü", "1", "lif.w_rec", "layer_1", "0_LIFTorch", "input", "n" * 300)
TYPES = ("LIF", "CubaLIF", "IF", "LI", "I", "CubaLI", "Linear", "Affine", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d")
TYPES += ("Flatten", "Scale", "Delay", "Threshold", "Input", "Output", "NIRGraph", "Identity", "lif", "", "Foo")
DTYPES = ("f2", "f4", "f8", "i1", "i8", "u4", "c16", "?", "S3")
FIELDS = (
    "tau",
    "tau_mem",
    "tau_syn",
    "r",
    "w_in",
    "v_leak",
    "v_threshold",
    "v_reset",
    "weight",
    "bias",
    "scale",
    "delay",
)
FIELDS += ("threshold", "shape", "input_shape", "stride", "padding", "groups", "kernel_size", "start_dim", "type")


class Case:
    """A file of an exporter with one to four changes, and how it is read."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.base = self.choice([*FIXTURES, OWN])
        self.reading = self.choice(
            [None, None, None, *READINGS, "snntorch,reset=subtract", "sinabs,reset=subtract", "dt=1e-3"]
        )
        self.max_delay = self.choice([0, 3, 62])
        self.done: list[str] = []

    def choice(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def write(self, path: Path) -> None:
        """Write the changed file."""
        data = self.base.read_bytes()
        path.write_bytes(gzip.decompress(data) if self.base.suffix == ".gz" else data)
        for _ in range(int(self.rng.integers(1, 5))):
            change = self.choice(CHANGES)
            self.done.append(change.__name__)
            with h5py.File(path, "a") as file:
                change(self, file)
        if self.rng.random() < 0.05:
            content = path.read_bytes()
            path.write_bytes(content[: int(self.rng.integers(len(content)))])
            self.done.append("cut off")

    def dataset(self, file: Any, within: str = "node/nodes") -> str | None:
        names: list[str] = []
        if within in file:
            file[within].visititems(lambda name, found: names.append(name) if isinstance(found, h5py.Dataset) else None)
        return f"{within}/{self.choice(names)}" if names else None

    def node(self, file: Any) -> str | None:
        names = list(file.get("node/nodes", {}))
        return f"node/nodes/{self.choice(names)}" if names else None


def put(file: Any, name: str, value: Any) -> None:
    if name in file:
        del file[name]
    file[name] = value


def numbers(case: Case, file: Any) -> None:
    """Some or all numbers of a field become special ones, or change sign or size."""
    name = case.dataset(file)
    if name is None or file[name].dtype.kind not in "iuf":
        return
    values = np.array(file[name][()], np.float64)
    some = case.rng.random(values.shape) < case.choice([0.02, 0.5, 1.0])
    other = np.float64(case.choice(NUMBERS))
    with np.errstate(all="ignore"):
        values = np.where(some, values * -1e3 if case.rng.random() < 0.3 else other, values)
        put(file, name, values.astype(case.choice(["f4", "f8"])))


def shape(case: Case, file: Any) -> None:
    """A field gets another shape: axes more or less, elements more or less, none at all."""
    name = case.dataset(file)
    if name is None or file[name].dtype.kind not in "iuf":
        return
    values = np.asarray(file[name][()])
    how = int(case.rng.integers(8))
    flat = values.reshape(-1)
    changed = (
        values[None],
        values.T,
        flat,
        flat[: int(case.rng.integers(flat.size + 1))],
        np.concatenate([flat, flat]),
        flat[0] if flat.size else values,
        np.zeros((0, *values.shape), values.dtype),
        np.tile(values, (2,) * max(values.ndim, 1)),
    )[how]
    put(file, name, changed)


def dtype(case: Case, file: Any) -> None:
    """A field gets another type, text and complex numbers among them."""
    name = case.dataset(file)
    if name is None or file[name].dtype.kind not in "iuf":
        return
    with np.errstate(all="ignore"):
        values = np.nan_to_num(np.asarray(file[name][()], np.float64), posinf=9, neginf=-9)
        put(file, name, np.clip(values, -100, 100).astype(case.choice(DTYPES)))


def remove(case: Case, file: Any) -> None:
    """A field, a node, the edges or everything goes."""
    name = case.choice(
        [case.dataset(file), case.node(file), "node/edges", case.choice(["node/type", "version", "node/nodes"])]
    )
    if name and name in file:
        del file[name]


def kind(case: Case, file: Any) -> None:
    """A node gets another type."""
    node = case.node(file)
    if node is not None and isinstance(file[node], h5py.Group):
        put(file, f"{node}/type", case.choice(TYPES))


def more(case: Case, file: Any) -> None:
    """A node gets a field that it should not have, or one anew."""
    node = case.node(file)
    if node is not None and isinstance(file[node], h5py.Group):
        put(
            file,
            f"{node}/{case.choice(FIELDS)}",
            case.choice([1.0, np.ones(3), np.ones((2, 2)), "same", np.arange(4), -1]),
        )


def rename(case: Case, file: Any) -> None:
    """A node gets another name, in the edges as well or not."""
    node, name = case.node(file), case.choice(NAMES)
    if node is None or f"node/nodes/{name}" in file:
        return
    old = node.rpartition("/")[2]
    file.move(node, f"node/nodes/{name}")
    if case.rng.random() < 0.5 and "node/edges" in file:
        pairs = [[name if e == old else e for e in pair] for pair in edges_of(file)]
        put_edges(file, pairs)


def edges_of(file: Any) -> list[list[str]]:
    found = file["node/edges"][()] if "node/edges" in file else []
    return [
        [e.decode("utf-8", "replace") if isinstance(e, bytes) else str(e) for e in pair]
        for pair in np.asarray(found).reshape(-1, 2).tolist()
    ]


def put_edges(file: Any, pairs: list[list[str]]) -> None:
    put(file, "node/edges", np.array(pairs, dtype=h5py.string_dtype()).reshape(-1, 2))


def edges(case: Case, file: Any) -> None:
    """Edges go, come, turn round, stand twice, or lead elsewhere."""
    pairs, nodes = edges_of(file), [*file.get("node/nodes", {}), "gone"]
    how = int(case.rng.integers(5))
    at = int(case.rng.integers(len(pairs))) if pairs else 0
    if how == 0 or not pairs:
        pairs.append([case.choice(nodes), case.choice(nodes)])
    elif how == 1:
        del pairs[at]
    elif how == 2:
        pairs[at].reverse()
    elif how == 3:
        pairs.append(list(pairs[at]))
    else:
        pairs[at][int(case.rng.integers(2))] = case.choice(nodes)
    put_edges(file, pairs)


def metadata(case: Case, file: Any) -> None:
    """A node or the graph gets, or loses, an entry of neurodeploy's."""
    where = case.choice(["node", case.node(file)])
    if where is None or not isinstance(file.get(where), h5py.Group):
        return
    entry = case.choice(
        ["reset", "fires", "payload_bits", "signed", "scale", "dt", "discretization", "network", "format"]
    )
    value = case.choice(["subtract", "at", "zero", "exponential", 8, -1, 0.5, np.nan, "{}", np.ones(2), ""])
    path = f"{where}/metadata/neurodeploy"
    if path in file and case.rng.random() < 0.3:
        del file[path]
    elif not isinstance(file.get(path), h5py.Dataset):
        put(file, f"{path}/{entry}", value)


CHANGES: tuple[Callable[[Case, Any], None], ...] = (
    numbers,
    numbers,
    shape,
    shape,
    dtype,
    remove,
    kind,
    more,
    rename,
    edges,
    edges,
    metadata,
)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError where the main thread takes longer, on systems that have alarms."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: Any) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(case: Case, path: Path) -> str:
    """Read the file, and take the graph in four ways, with what check would fix; return "" or what went wrong."""
    fixed = path.with_name("fixed.nir")
    graphs: list[Graph] = []
    attempts: dict[str, Callable[[], object]] = {
        "reading": lambda: graphs.append(load_graph(path)),
        "import": lambda: from_nir(graphs[0], reading=case.reading),
        "relays": lambda: from_nir(graphs[0], reading=case.reading, max_delay=case.max_delay),
        "check": lambda: check_nir(graphs[0], reading=case.reading, fix=fixed),
        "float run": lambda: _run(graphs[0], case.reading),
        "the fixed file": lambda: fixed.exists() and load_graph(fixed),
    }
    for name, attempt in attempts.items():
        if wrong := _tried(name, attempt):
            return wrong
        if not graphs:
            break
    left = sorted(set(os.listdir(path.parent)) - {path.name, fixed.name})
    return f"left behind: {left}" if left else ""


def _tried(name: str, attempt: Callable[[], object]) -> str:
    try:
        with time_limit(SECONDS):
            attempt()
    except NeurodeployError as error:
        if name == "the fixed file" or len(str(error)) < 20 or "\n" in str(error):
            return f"{name}: {error}"
    except Exception as error:
        return f"{name}: {type(error).__name__}: {error}"
    return ""


def _run(graph: Graph, reading: Any) -> None:
    shapes = {n.name: n.fields.get("shape") for n in graph.nodes.values() if n.kind == "Input"}
    sizes = {name: int(np.prod(np.asarray(s))) if np.asarray(s).dtype.kind in "iu" else 1 for name, s in shapes.items()}
    if all(0 < size < 10_000 for size in sizes.values()):
        interpret(graph, {name: np.ones((1, 3, size)) for name, size in sizes.items()}, reading=reading)


def failures(seeds: range, folder: Path) -> list[str]:
    wrong = []
    for seed in seeds:
        case, path = Case(seed), folder / str(seed) / "a.nir"
        path.parent.mkdir()
        case.write(path)
        if found := outcome(case, path):
            wrong.append(f"Case({seed}) of {case.base.name} read as {case.reading}, {', '.join(case.done)}: {found}")
        for name in os.listdir(path.parent):
            (path.parent / name).unlink()
    return wrong


def test_changed_files_give_a_network_a_report_or_one_of_our_errors(tmp_path):
    assert failures(range(FEW), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MANY, 2_000))
def test_many_changed_files_do_so_as_well(first, tmp_path):
    assert failures(range(FEW + first, FEW + first + 2_000), tmp_path) == []
