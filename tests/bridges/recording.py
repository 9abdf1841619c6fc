"""What all export scripts share: seeded weights and inputs, and the files that they leave behind.

This module runs in the environment of each framework. It needs numpy, h5py and nir alone and never imports neurodeploy.
Each network gives ``NAME.nir`` and ``NAME.npz``: the input ``x`` (0 or 1, ``(n_samples, n_steps, *shape)``), the spikes
of each layer by the name of its node (``spikes of NODE``, ``(n_samples, n_steps, *shape)``, numbers above 1 where the
framework lets a neuron fire several times in a step) and ``facts`` (JSON: how the network was made). What an exporter
refuses is listed in ``FRAMEWORK.json`` as well.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

N_SAMPLES, N_STEPS = 12, 40
N_IN, N_HIDDEN, N_OUT = 10, 12, 4
IMAGE = (2, 8, 8)


def raster(*shape: int, seed: int = 0, rate: float = 0.35) -> Any:
    """Return random input spikes, uint8 ``(N_SAMPLES, N_STEPS, *shape)``."""
    return (np.random.default_rng(seed).random((N_SAMPLES, N_STEPS, *shape)) < rate).astype(np.uint8)


def weights(*shape: int, seed: int, scale: float = 0.5, mean: float = 0.1) -> Any:
    """Return normal weights on a grid of 1/64, float32: sums of them are exact, and ties with a threshold do occur."""
    drawn = np.random.default_rng(seed).normal(mean, 1.0, shape) * scale
    return (np.clip(np.rint(drawn * 64), -127, 127) / 64).astype(np.float32)


def spread(n: int, low: float, high: float, seed: int) -> Any:
    """Return parameters of ``n`` neurons, evenly drawn from a range, float32."""
    return np.random.default_rng(seed).uniform(low, high, n).astype(np.float32)


@dataclass
class Recorder:
    """The networks of one framework, written into a folder."""

    framework: str
    folder: Path
    packages: tuple[str, ...]
    entries: list[dict[str, Any]] = field(default_factory=list)

    def network(self, name: str, title: str, **facts: Any) -> Callable[[Callable[[], Any]], None]:
        """Decorate a function that returns ``(graph, x, spikes by node)``; it is run and its result written at once.

        Args:
            name: of the files.
            title: of the network in a table.
            facts: what a reader of the file has to know, such as ``dt`` and ``reset``.
        """

        def run(make: Callable[[], Any]) -> None:
            entry = {"name": name, "title": title, **facts}
            print(f"{self.framework}: {name}", file=sys.stderr)
            said = io.StringIO()
            try:
                with contextlib.redirect_stdout(said), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    graph, x, spikes = make()
            except Exception as error:  # an exporter may fail in any way, and the table says how
                entry["refused"] = f"{type(error).__name__}: {error}".strip()
            else:
                entry |= self._write(name, graph, x, spikes, {**facts, "title": title})
            if said.getvalue().strip():
                entry["said"] = said.getvalue().strip()
            self.entries.append(entry)

        return run

    def _write(self, name: str, graph: Any, x: Any, spikes: Mapping[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        empty = sorted(n for n, node in graph.nodes.items() if node is None)
        told: dict[str, Any] = {"empty_nodes": empty} if empty else {}
        try:
            nir.write(self.folder / f"{name}.nir", graph)
        except Exception as error:
            told["not_written"] = f"{type(error).__name__}: {error}".strip()
            (self.folder / f"{name}.nir").unlink(missing_ok=True)
            if not empty:
                _write_plainly(self.folder / f"{name}.nir", graph)
        facts = {"framework": self.framework, **self.versions, **facts, **told}
        arrays = {f"spikes of {node}": _small(values) for node, values in spikes.items()}
        np.savez_compressed(
            self.folder / f"{name}.npz", x=_small(x), facts=np.array(json.dumps(facts, sort_keys=True)), **arrays
        )
        return told

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that matter, by name."""
        return {package: importlib.metadata.version(package) for package in self.packages}

    def close(self) -> None:
        """Write the list of all networks."""
        listed = {"framework": self.framework, "versions": self.versions, "networks": self.entries}
        (self.folder / f"{self.framework}.json").write_text(json.dumps(listed, indent=1) + "\n")


def _small(values: Any) -> Any:
    """Return spike counts as uint8; anything else is a mistake of the script."""
    counts = np.asarray(values)
    whole = np.rint(counts).astype(np.int64)
    if not np.array_equal(whole, counts) or whole.min() < 0 or whole.max() > 255:
        raise ValueError("not spikes")
    return whole.astype(np.uint8)


def _write_plainly(path: Path, graph: Any) -> None:
    """Write a graph without compression and without the fields that are None, both of which nir 1.0.8 stumbles over."""

    def put(group: Any, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, Mapping):
                put(group.create_group(name), value)
            elif name == "edges":
                group.create_dataset(name, data=[[str(a), str(b)] for a, b in value], dtype=h5py.string_dtype())
            elif value is not None:
                group.create_dataset(name, data=value.detach() if hasattr(value, "detach") else value)

    with h5py.File(path, "w") as file:
        file.create_dataset("version", data=nir.version)
        put(file.create_group("node"), graph.to_dict())


@contextlib.contextmanager
def recorder(framework: str, *packages: str) -> Iterator[Recorder]:
    """Give the recorder of a framework; its folder is the first argument of the script."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    own = Recorder(framework, folder, (*packages, "nir"))
    yield own
    own.close()


class Layers:
    """Spikes of torch modules, recorded in every step by forward hooks."""

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self.steps: dict[str, list[Any]] = {name: [] for name in modules}
        self.recording = False
        for name, module in modules.items():
            module.register_forward_hook(self._hook(name))

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(_module: Any, _given: Any, out: Any) -> None:
            if self.recording:
                self.steps[name].append((out[0] if isinstance(out, tuple) else out).detach().numpy().copy())

        return hook

    def stacked(self) -> dict[str, Any]:
        """Return the spikes of each module, ``(n_samples, n_steps, *shape)``."""
        return {name: np.stack(steps, axis=1) for name, steps in self.steps.items()}
