"""The record of a mapping: the neurons on each core, and the contents of each core's memories."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip, chip_from_dict
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.errors import FileError
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.files.shown import Shown
from neurodeploy.files.unreadable import UNREADABLE, reason
from neurodeploy.files.writing import write_text

_FORMAT = "neurodeploy-mapping/1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoreLoad:
    """The neurons and the memory contents of one core.

    Args:
        chip: number of the chip, from 0.
        core: number of the core on its chip, from 0.
        tile, x, y: router of the core and its place on the chip's mesh; None where the chip file gives no mesh.
        neurons: population -> int32 indices of its neurons on this core, rising.
        words: projection -> words of synaptic memory that its synapses onto this core take.
        formats: projection -> name of the synapse format.
        weight_bits: projection -> stored bits of a weight (the delay's bits not included).
        stored: projection -> synapses stored on this core: list entries, filled-in zeros included, or kernel weights.
        used: register -> amount in use; the registers have the names in ``chip.PER_CORE``.
    """

    chip: int
    core: int
    tile: int | None
    x: int | None
    y: int | None
    neurons: ReadOnlyDict[str, NDArray[np.int32]]
    words: ReadOnlyDict[str, int]
    formats: ReadOnlyDict[str, str]
    weight_bits: ReadOnlyDict[str, int]
    stored: ReadOnlyDict[str, int]
    used: ReadOnlyDict[str, int]

    def __post_init__(self) -> None:
        own: dict[str, NDArray[np.int32]] = {}
        for population, indices in self.neurons.items():
            own[population] = np.array(indices, np.int32)
            own[population].setflags(write=False)
        object.__setattr__(self, "neurons", MappingProxyType(own))
        for name in ("words", "formats", "weight_bits", "stored", "used"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Mapping(Shown):
    """A network mapped onto a chip.

    Inputs of the network occupy no core and no output axons: the host injects their spikes.

    Args:
        chip: the target.
        network: fingerprint of the network.
        sizes: population -> number of neurons, in the network's order.
        targets: projection -> its target population; sources: projection -> its source population or input.
        cores: the cores in use, in order of chip and core.
        limits: register -> limit of one core.
        split: name of the split that cut the layers.
        inputs: sender of the spikes of the network's inputs: ``host``, or ``relay`` for relay neurons on cores.
        notes: remarks for a reader of the figures, for example that a layout is a guess.
    """

    chip: Chip
    network: str
    sizes: ReadOnlyDict[str, int]
    sources: ReadOnlyDict[str, str]
    targets: ReadOnlyDict[str, str]
    cores: tuple[CoreLoad, ...]
    limits: ReadOnlyDict[str, int]
    split: str
    inputs: str = "host"
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "cores", tuple(self.cores))
        for name in ("sizes", "sources", "targets", "limits"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def word_bits(self) -> int:
        """Bits of a word of synaptic memory."""
        return self.chip.cores.bits_per_word

    @property
    def n_chips(self) -> int:
        """Number of chips on which a core is used."""
        return len({load.chip for load in self.cores})

    @property
    def n_tiles(self) -> int | None:
        """Number of routers with a used core, over all chips; None where the chip file gives no mesh."""
        if any(load.tile is None for load in self.cores):
            return None
        return len({(load.chip, load.tile) for load in self.cores})

    @property
    def synaptic_bytes(self) -> int:
        """Synaptic memory in use, over all cores."""
        return sum(sum(load.words.values()) for load in self.cores) * self.word_bits // 8

    def core_bytes(self) -> list[int]:
        """Return the synaptic memory in use on each core, in bytes, in the order of ``cores``."""
        return [sum(load.words.values()) * self.word_bits // 8 for load in self.cores]

    def projection_bytes(self) -> dict[str, int]:
        """Return the synaptic memory of each projection, in bytes."""
        words = dict.fromkeys(self.targets, 0)
        for load in self.cores:
            for name, taken in load.words.items():
                words[name] += taken
        return {name: taken * self.word_bits // 8 for name, taken in words.items()}

    def layer_bytes(self) -> dict[str, int]:
        """Return the synaptic memory of all projections into each population, in bytes."""
        by_layer = dict.fromkeys(self.sizes, 0)
        for name, taken in self.projection_bytes().items():
            if self.targets[name] in by_layer:
                by_layer[self.targets[name]] += taken
        return by_layer

    def into(self, population: str) -> list[str]:
        """Return the projections that end at a population, in the network's order."""
        return list(self._projections_into.get(population, ()))

    @cached_property
    def _projections_into(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for projection, target in self.targets.items():
            found.setdefault(target, []).append(projection)
        return found

    def layer_cores(self, population: str) -> list[int]:
        """Return the indices into ``cores`` of the cores that hold neurons of ``population``."""
        return list(self._cores_of.get(population, ()))

    @cached_property
    def _cores_of(self) -> dict[str, list[int]]:
        held: dict[str, list[int]] = {}
        for i, load in enumerate(self.cores):
            for population in load.neurons:
                held.setdefault(population, []).append(i)
        return held

    def core_labels(self) -> dict[str, NDArray[np.int32]]:
        """Return, for each population, the index into ``cores`` of each neuron: int32, shape ``(size,)``."""
        labels = {name: np.full(size, -1, np.int32) for name, size in self.sizes.items()}
        for i, load in enumerate(self.cores):
            for population, indices in load.neurons.items():
                labels[population][indices] = i
        return labels


_LOAD_NUMBERS = ("chip", "core", "tile", "x", "y")
_LOAD_DICTS = ("words", "formats", "weight_bits", "stored", "used")
_MAPPING_DICTS = ("sizes", "sources", "targets", "limits")


def save_mapping(mapping: Mapping, path: str | Path) -> None:
    """Write a mapping to a JSON file; no partial file is left if writing fails."""
    path = as_path(path)
    data = {
        "format": _FORMAT,
        "chip": mapping.chip.model_dump(mode="json", exclude_none=True),
        "network": mapping.network,
        "split": mapping.split,
        "inputs": mapping.inputs,
        "notes": list(mapping.notes),
        **{name: dict(getattr(mapping, name)) for name in _MAPPING_DICTS},
        "cores": [_load_to_dict(load) for load in mapping.cores],
    }
    write_text(to_json(data), path)


def load_mapping(path: str | Path) -> Mapping:
    """Read a mapping from a JSON file made by ``save_mapping``.

    Raises:
        FileError: if the file is missing, damaged, or of another kind.
    """
    path = as_path(path)
    try:
        data = parse_json(read_text(path))
    except OSError as error:
        raise FileError(f"read: cannot read {path} ({error.strerror})") from error
    except ValueError as error:
        raise FileError(f"read: {path} is damaged or no mapping file ({error}); map the network again") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise FileError(f"read: {path} holds something else, expected {_FORMAT}; map the network again")
    try:
        return Mapping(
            chip=chip_from_dict(data["chip"]),
            network=data["network"],
            split=data["split"],
            inputs=data["inputs"],
            notes=tuple(data["notes"]),
            cores=tuple(_load_from_dict(entry) for entry in data["cores"]),
            **{name: data[name] for name in _MAPPING_DICTS},
        )
    except KeyError as error:
        raise FileError(f"read: {path} lacks {reason(error)}; map the network again") from error
    except UNREADABLE as error:
        raise FileError(f"read: {path} is damaged ({reason(error)}); map the network again") from error


def _load_to_dict(load: CoreLoad) -> dict[str, Any]:
    return {
        **{name: getattr(load, name) for name in _LOAD_NUMBERS},
        **{name: dict(getattr(load, name)) for name in _LOAD_DICTS},
        "neurons": {population: _runs(indices) for population, indices in load.neurons.items()},
    }


def _load_from_dict(data: dict[str, Any]) -> CoreLoad:
    neurons = {
        population: np.concatenate([np.arange(start, stop, dtype=np.int32) for start, stop in runs])
        for population, runs in data["neurons"].items()
    }
    return CoreLoad(**{name: data[name] for name in (*_LOAD_NUMBERS, *_LOAD_DICTS)}, neurons=neurons)


def _runs(indices: NDArray[np.int32]) -> list[list[int]]:
    """Return rising indices as ``[start, stop)`` runs."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    return [[int(part[0]), int(part[-1]) + 1] for part in np.split(indices, breaks)]
