"""``Events``, ``Samples`` and ``Activity``: spikes that go into a network and spikes that come out of a run.

All three are tables of events, so that memory grows with spikes and not with neurons times steps. Files are ``.npz``
without pickled objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodeploy.errors import FileError, SimulationError
from neurodeploy.files.arrays import holds_array, read_npz, write_npz
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.shown import Shown
from neurodeploy.files.writing import replacing

_SAMPLES_FORMAT = "neurodeploy-samples/1"
_ACTIVITY_FORMAT = "neurodeploy-activity/1"
MOST_STEPS = 2**29
"""Steps of all samples together in a file; one count of 8 bytes a step takes 4 GiB then."""

SAMPLES_IN_THREE_LINES = """\
    spikes = np.zeros((n_samples, n_steps, n_channels), bool)  # True where a channel spikes in a step
    labels = np.zeros(n_samples, int)  # the class of each sample, counted from 0
    np.savez_compressed("samples.npz", spikes=spikes, labels=labels)"""
"""What makes a right file of samples, for messages about wrong ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Events(Shown):
    """Spikes of ``size`` neurons over ``n_samples`` samples of ``n_steps`` steps each, sorted by sample, step, neuron.

    ``sample``, ``step`` and ``neuron`` are int32 arrays of the same length. ``payload`` is None where every event is a
    plain spike, else int32 and not 0 (graded spikes). A neuron has at most one event in a step of a sample.

    Raises:
        SimulationError: for an event out of range or a repeated one, with its place.
    """

    size: int
    n_steps: int
    n_samples: int
    sample: NDArray[np.int32]
    step: NDArray[np.int32]
    neuron: NDArray[np.int32]
    payload: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        columns = {"sample": self.n_samples, "step": self.n_steps, "neuron": self.size}
        given = {name: np.asarray(getattr(self, name)) for name in columns}
        for name, limit in columns.items():
            _check_column(name, given[name], limit)
        if len({column.shape for column in given.values()}) != 1:
            raise SimulationError("simulate: event columns sample, step and neuron differ in length")
        key = (given["sample"].astype(np.int64) * self.n_steps + given["step"]) * self.size + given["neuron"]
        rising = bool(np.all(key[1:] > key[:-1]))
        order = slice(None) if rising else np.argsort(key, kind="stable")
        if not rising and np.any(np.diff(key[order]) == 0):
            twice = int(key[order][:-1][np.diff(key[order]) == 0][0])
            step, neuron = divmod(twice, self.size)
            raise SimulationError(
                f"simulate: neuron {neuron} has two events in step {step % self.n_steps} of sample {step // self.n_steps}"
            )
        for name in columns:
            object.__setattr__(self, name, _read_only(given[name][order], np.int32))
        if self.payload is not None:
            payload = np.asarray(self.payload)
            _check_payload(payload, given["step"].shape)
            object.__setattr__(self, "payload", _read_only(payload[order], np.int32))

    def __len__(self) -> int:
        return int(self.step.size)

    @staticmethod
    def from_dense(raster: ArrayLike, *, graded: bool = False) -> Events:
        """Return the events of a raster of 0 and 1, shape ``(n_samples, n_steps, size)``, bool or integer.

        With ``graded`` the values are payloads: any whole number of 32 bits, where 0 means no event.

        Raises:
            SimulationError: for another number of axes, a float type, or a value that an event cannot have.
        """
        array = np.asarray(raster)
        if array.ndim != 3:
            raise SimulationError(
                f"simulate: a raster has axes (sample, step, neuron), this one has shape {array.shape}"
            )
        if array.dtype.kind not in "iub":
            raise SimulationError(f"simulate: a raster holds 0 and 1 as bool or integers, this one is {array.dtype}")
        low, high = (-(2**31), 2**31 - 1) if graded else (0, 1)
        if array.dtype.kind != "b" and array.size and (array.min() < low or array.max() > high):
            allowed = "32-bit numbers" if graded else "0 and 1"
            hint = "" if graded else "; pass graded=True in Python where they are payloads"
            raise SimulationError(f"simulate: a raster holds {allowed}, this one {array.min()}..{array.max()}{hint}")
        sample, step, neuron = (index.astype(np.int32) for index in np.nonzero(array))
        n_samples, n_steps, size = array.shape
        payload = array[sample, step, neuron] if graded else None
        return Events(
            size=size, n_steps=n_steps, n_samples=n_samples, sample=sample, step=step, neuron=neuron, payload=payload
        )

    def to_dense(self) -> NDArray[np.int32]:
        """Return the raster ``(n_samples, n_steps, size)``, int32: payloads, or 1 for plain spikes."""
        raster = np.zeros((self.n_samples, self.n_steps, self.size), np.int32)
        raster[self.sample, self.step, self.neuron] = 1 if self.payload is None else self.payload
        return raster

    def places(self) -> NDArray[np.int64]:
        """Return the index of each event in the flattened raster ``(n_samples, n_steps, size)``, int64, rising."""
        return (self.sample.astype(np.int64) * self.n_steps + self.step) * self.size + self.neuron

    def counts(self) -> NDArray[np.int64]:
        """Return the number of events of each neuron in each sample, ``(n_samples, size)``."""
        flat = self.sample.astype(np.int64) * self.size + self.neuron
        return np.bincount(flat, minlength=self.n_samples * self.size).reshape(self.n_samples, self.size)

    def take(self, start: int, stop: int) -> Events:
        """Return samples ``start`` to ``stop`` (excluded), renumbered from 0."""
        stop = min(stop, self.n_samples)
        first, last = np.searchsorted(self.sample, [start, stop])
        part = slice(int(first), int(last))
        return Events(
            size=self.size,
            n_steps=self.n_steps,
            n_samples=max(stop - start, 0),
            sample=self.sample[part] - start,
            step=self.step[part],
            neuron=self.neuron[part],
            payload=None if self.payload is None else self.payload[part],
        )


def sorted_events(
    span: tuple[int, int, int],
    sample: NDArray[np.int32],
    step: NDArray[np.int32],
    neuron: NDArray[np.int32],
    payload: NDArray[np.int32] | None = None,
) -> Events:
    """Return events without checking or copying the columns; ``span`` is ``(size, n_steps, n_samples)``.

    For simulators, whose int32 columns are in range and sorted by sample, step and neuron. The columns become read-only.
    """
    events = object.__new__(Events)
    for column in (sample, step, neuron):
        column.flags.writeable = False
    if payload is not None:
        payload.flags.writeable = False
    size, n_steps, n_samples = span
    values = (size, n_steps, n_samples, sample, step, neuron, payload)
    for name, value in zip(("size", "n_steps", "n_samples", "sample", "step", "neuron", "payload"), values):
        object.__setattr__(events, name, value)
    return events


def window(events: Events, first: int, n_steps: int) -> Events:
    """Return the events of steps ``first`` to ``first + n_steps`` (excluded), with steps counted from ``first``."""
    inside = (events.step >= first) & (events.step < first + n_steps)
    return Events(
        size=events.size,
        n_steps=n_steps,
        n_samples=events.n_samples,
        sample=events.sample[inside],
        step=events.step[inside] - np.int32(first),
        neuron=events.neuron[inside],
        payload=None if events.payload is None else events.payload[inside],
    )


def join_samples(parts: Sequence[Events]) -> Events:
    """Return the samples of all parts in one table, in the order of the parts; sizes and step counts must agree."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0] + [p.n_samples for p in parts])
    return sorted_events(
        (parts[0].size, parts[0].n_steps, int(offsets[-1])),
        np.concatenate([p.sample + np.int32(o) for p, o in zip(parts, offsets)]),
        np.concatenate([p.step for p in parts]),
        np.concatenate([p.neuron for p in parts]),
        _joined_payloads(parts),
    )


def _joined_payloads(parts: Sequence[Events]) -> NDArray[np.int32] | None:
    """Return the payloads of all parts, 1 for plain spikes beside payloads; None if all spikes are plain."""
    if all(p.payload is None for p in parts):
        return None
    return np.concatenate([np.ones(len(p), np.int32) if p.payload is None else p.payload for p in parts])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Samples(Shown):
    """Input events by input name, for all samples, with labels where they are known.

    ``labels`` is int32 ``(n_samples,)``, or ``(n_samples, n_steps)`` where every step has one, or None; ``name`` says
    where the samples come from; ``shapes`` holds the shape of
    an input's channels, for example ``(channels, height, width)``, where it is known. ``outside``, int64 ``(n_samples,)``,
    says how many events of each recording came after the time that was read; None where that is not known.
    """

    inputs: Mapping[str, Events]
    labels: NDArray[np.int32] | None = None
    name: str = ""
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    outside: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))
        object.__setattr__(self, "shapes", MappingProxyType(dict(self.shapes)))
        for name, shape in self.shapes.items():
            if name not in self.inputs or int(np.prod(shape)) != self.inputs[name].size:
                raise SimulationError(f"simulate: no input '{name}' has the shape {shape}")
        spans = {(e.n_samples, e.n_steps) for e in self.inputs.values()}
        if len(spans) != 1:
            raise SimulationError("simulate: the inputs differ in number of samples or steps, or there is none")
        if self.labels is not None:
            object.__setattr__(self, "labels", _labels(np.asarray(self.labels), *spans.pop()))
        if self.outside is not None:
            outside = np.asarray(self.outside)
            if outside.shape != (self.n_samples,) or outside.dtype.kind not in "iu" or np.any(outside < 0):
                raise SimulationError(
                    f"simulate: 'outside' must hold one count of events for each of {self.n_samples} samples"
                )
            object.__setattr__(self, "outside", _read_only(outside, np.int64))

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return next(iter(self.inputs.values())).n_samples

    @property
    def n_steps(self) -> int:
        """Number of steps in which input events may lie."""
        return next(iter(self.inputs.values())).n_steps

    def take(self, start: int, stop: int) -> Samples:
        """Return samples ``start`` to ``stop`` (excluded)."""
        return Samples(
            inputs={name: events.take(start, stop) for name, events in self.inputs.items()},
            labels=None if self.labels is None else self.labels[start:stop],
            name=self.name,
            shapes=self.shapes,
            outside=None if self.outside is None else self.outside[start:stop],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Activity(Shown):
    """The record of one simulation run: spikes, and on request states and update counts.

    Args:
        engine: name of the simulator.
        network: fingerprint of the ``Network`` that ran, or "" for spikes recorded elsewhere.
        n_steps: steps run for each sample (input steps plus the network's depth, unless the caller chose otherwise).
        spikes: events by name, inputs included; a spike's step is the one in which it was sent.
        states: on request, ``(population, one of its model's states)`` -> int32 ``(n_samples, n_steps, size)`` after
            each step.
        updated: on request, int64 ``(n_samples, n_steps, n_labels)``: neurons updated per label and step, where a neuron
            is updated if its state could change. For CUBA neurons: u or v was not zero before, the summed input in
            that step is not zero, or the bias is not zero. For other neurons: ``busy`` in ``engines/dynamics.py``.
            Neurons before the first step of their population are not counted.
        overflow: by population, the number of (neuron, step) pairs in which a state, before it was wrapped or clipped
            (current, complex state, sigma, activation), or the sum of a convolution reached ``+-2**23``, that is, left
            24 bits. Empty where the engine cannot tell (``lava``).
    """

    engine: str
    network: str
    n_steps: int
    spikes: Mapping[str, Events]
    states: Mapping[tuple[str, str], NDArray[np.int32]] = field(default_factory=dict)
    updated: NDArray[np.int64] | None = None
    overflow: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("spikes", "states", "overflow"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return next(iter(self.spikes.values())).n_samples


def save_samples(samples: Samples, path: str | Path) -> None:
    """Write samples to an ``.npz`` file."""
    path = as_path(path)
    header = {
        "format": _SAMPLES_FORMAT,
        "name": samples.name,
        "inputs": list(samples.inputs),
        "shapes": {name: list(shape) for name, shape in samples.shapes.items()},
    }
    arrays = _event_arrays(list(samples.inputs.values()))
    if samples.labels is not None:
        arrays["labels"] = samples.labels
    if samples.outside is not None:
        arrays["outside"] = samples.outside
    _write(path, header, arrays)


def load_samples(path: str | Path) -> Samples:
    """Read samples from an ``.npz`` file made by ``save_samples``.

    Raises:
        FileError: if the file is missing, damaged, of another kind, or claims more steps than can be counted.
    """
    path = as_path(path)
    header, arrays = _read(path, _SAMPLES_FORMAT)
    names, shapes = _names(header, "inputs", path), header.get("shapes", {})
    if not isinstance(shapes, dict) or not all(_is_shape(shape) for shape in shapes.values()):
        raise _wrong_header(path, "shapes")
    events = _events_from(arrays, len(names), path)
    steps = max((e.n_samples * e.n_steps for e in events), default=0)
    if steps > MOST_STEPS:
        raise FileError(
            f"read: {path}: array 'span0' claims {events[0].n_samples:,} samples of {events[0].n_steps:,} steps, together "
            f"{steps:,}; at most {MOST_STEPS:,} are read (4 GiB for one count a step)"
        )
    try:
        return Samples(
            inputs=dict(zip(names, events)),
            labels=arrays.get("labels"),
            name=_text(header, "name", path),
            shapes={name: tuple(shape) for name, shape in shapes.items()},
            outside=arrays.get("outside"),
        )
    except SimulationError as error:
        raise FileError(f"read: {path}: {_why(error)}") from error


def is_samples_file(path: Path) -> bool:
    """Return whether a file claims to be one that ``save_samples`` wrote, by its names alone."""
    return holds_array(path, "header")


def save_activity(activity: Activity, path: str | Path) -> None:
    """Write an activity to an ``.npz`` file."""
    path = as_path(path)
    header = {
        "format": _ACTIVITY_FORMAT,
        "engine": activity.engine,
        "network": activity.network,
        "n_steps": activity.n_steps,
        "populations": list(activity.spikes),
        "states": [list(key) for key in activity.states],
        "overflow": dict(activity.overflow),
    }
    arrays = _event_arrays(list(activity.spikes.values()))
    arrays.update({f"state{i}": array for i, array in enumerate(activity.states.values())})
    if activity.updated is not None:
        arrays["updated"] = activity.updated
    _write(path, header, arrays)


def load_activity(path: str | Path) -> Activity:
    """Read an activity from an ``.npz`` file made by ``save_activity``.

    Raises:
        FileError: if the file is missing, damaged, or of another kind.
    """
    path = as_path(path)
    header, arrays = _read(path, _ACTIVITY_FORMAT)
    names = _names(header, "populations", path)
    n_steps, states, overflow = (header.get(key) for key in ("n_steps", "states", "overflow"))
    if not isinstance(n_steps, int) or not _is_count(n_steps):
        raise _wrong_header(path, "n_steps")
    if not isinstance(states, list) or not all(
        isinstance(key, list) and len(key) == 2 and all(isinstance(word, str) for word in key) for key in states
    ):
        raise _wrong_header(path, "states")
    if not isinstance(overflow, dict) or not all(_is_count(n) for n in overflow.values()):
        raise _wrong_header(path, "overflow")
    lacking = [f"state{i}" for i in range(len(states)) if f"state{i}" not in arrays]
    if lacking:
        raise FileError(f"read: {path} lacks the array '{lacking[0]}'; write it again")
    for name in [*(f"state{i}" for i in range(len(states))), *(["updated"] if "updated" in arrays else [])]:
        if arrays[name].ndim != 3 or arrays[name].dtype.kind not in "iu":
            raise FileError(f"read: {path}: array '{name}' must hold whole numbers by sample, step and place")
    return Activity(
        engine=_text(header, "engine", path),
        network=_text(header, "network", path),
        n_steps=n_steps,
        spikes=dict(zip(names, _events_from(arrays, len(names), path))),
        states={(p, s): arrays[f"state{i}"] for i, (p, s) in enumerate(states)},
        updated=arrays.get("updated"),
        overflow=overflow,
    )


def _labels(labels: NDArray[Any], n_samples: int, n_steps: int) -> NDArray[np.int32]:
    """Return labels as int32; whole numbers that would wrap or be cut are refused, as no class has such a number.

    Raises:
        SimulationError: naming the first label that is none.
    """
    if labels.ndim == 2 and labels.shape[0] == n_samples and labels.shape[1] != n_steps:
        raise SimulationError(
            f"simulate: labels for {labels.shape[1]} steps, but the samples have {n_steps}; a label a step has the shape "
            f"({n_samples}, {n_steps})"
        )
    if labels.shape not in ((n_samples,), (n_samples, n_steps)):
        shape = f" of shape {labels.shape}" if labels.ndim != 1 else ""
        raise SimulationError(f"simulate: {labels.size} labels{shape} for {n_samples} samples")
    if labels.dtype.kind not in "iu":
        raise SimulationError(
            f"simulate: labels must be whole numbers, the class of each sample counted from 0; these are {labels.dtype}"
        )
    bad = np.argwhere((labels < 0) | (labels > np.iinfo(np.int32).max))
    if len(bad):
        sample, *step = bad[0].tolist()
        at = f" in step {step[0]}" if step else ""
        raise SimulationError(
            f"simulate: sample {sample} has the label {labels[tuple(bad[0])]}{at} ({len(bad)} such); classes are counted "
            "from 0, and a file without labels has no array 'labels'"
        )
    checked: NDArray[np.int32] = _read_only(labels, np.int32)
    return checked


def _check_column(name: str, column: NDArray[Any], limit: int) -> None:
    if column.ndim != 1 or column.dtype.kind not in "iu":
        raise SimulationError(f"simulate: event column '{name}' must be a list of whole numbers, it is {column.dtype}")
    if column.size and (column.min() < 0 or column.max() >= limit):
        bad = int(column.min()) if column.min() < 0 else int(column.max())
        raise SimulationError(f"simulate: event column '{name}' holds {bad}, outside 0..{limit - 1}")


def _check_payload(payload: NDArray[Any], shape: tuple[int, ...]) -> None:
    if payload.shape != shape:
        raise SimulationError("simulate: event payload differs in length from the events")
    if payload.dtype.kind not in "iu":
        raise SimulationError(
            f"simulate: event payloads must be whole numbers, they are {payload.dtype}; divide them by the scale of their "
            "input and round them"
        )
    limits = np.iinfo(np.int32)
    if payload.size and (payload.min() < limits.min or payload.max() > limits.max):
        bad = int(payload.min()) if payload.min() < limits.min else int(payload.max())
        raise SimulationError(f"simulate: an event has the payload {bad}, which does not fit 32 bits")
    if not payload.all():
        raise SimulationError(
            f"simulate: event {int(np.flatnonzero(payload == 0)[0])} has the payload 0, which stands for no event; leave "
            "such events out"
        )


def _read_only(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    own = array.astype(dtype, copy=True)
    own.setflags(write=False)
    return own


def _event_arrays(events: Sequence[Events]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for i, e in enumerate(events):
        arrays[f"span{i}"] = np.array([e.size, e.n_steps, e.n_samples], np.int64)
        arrays.update({f"sample{i}": e.sample, f"step{i}": e.step, f"neuron{i}": e.neuron})
        if e.payload is not None:
            arrays[f"payload{i}"] = e.payload
    return arrays


def _events_from(arrays: dict[str, NDArray[Any]], n: int, path: Path) -> list[Events]:
    try:
        return [_events_of(arrays, i, path) for i in range(n)]
    except KeyError as missing:
        raise FileError(f"read: {path} lacks the array {missing}; write it again") from missing


def _events_of(arrays: dict[str, NDArray[Any]], i: int, path: Path) -> Events:
    """Return the events of the ``i``-th input or population."""
    span = arrays[f"span{i}"]
    if span.shape != (3,) or span.dtype.kind not in "iu" or span.min() < 0:
        raise FileError(f"read: {path}: array 'span{i}' must hold three whole numbers: channels, steps and samples")
    size, n_steps, n_samples = (int(n) for n in span)
    if size * n_steps * n_samples >= 2**63:
        raise FileError(
            f"read: {path}: array 'span{i}' claims {size} channels, {n_steps} steps and {n_samples} samples"
        )
    columns = {name: arrays[f"{name}{i}"] for name in ("sample", "step", "neuron")}
    payload = arrays.get(f"payload{i}")
    if payload is not None:
        try:
            _check_payload(payload, columns["step"].shape)
        except SimulationError as error:
            raise FileError(f"read: {path}: array 'payload{i}': {_why(error)}") from error
    try:
        return Events(size=size, n_steps=n_steps, n_samples=n_samples, payload=payload, **columns)
    except SimulationError as error:
        raise FileError(f"read: {path}: arrays {', '.join(f'{name}{i}' for name in columns)}: {_why(error)}") from error


def _why(error: SimulationError) -> str:
    return str(error).removeprefix("simulate: ")


def _names(header: dict[str, Any], key: str, path: Path) -> list[str]:
    names = header.get(key)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _wrong_header(path, key)
    return names


def _text(header: dict[str, Any], key: str, path: Path) -> str:
    value = header.get(key)
    if not isinstance(value, str):
        raise _wrong_header(path, key)
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and all(_is_count(size) for size in value)


def _wrong_header(path: Path, key: str) -> FileError:
    return FileError(f"read: {path}: array 'header' lacks '{key}', or holds something else there; write the file again")


def _write(path: Path, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write header and arrays to a file next to ``path``, then rename it, so that no half-written file is left."""
    with replacing(path) as partial:
        write_npz(partial, {"header": np.array(to_json(header)), **arrays})


def _read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if not path.is_file():
        raise FileError(f"read: there is no file {path}")
    how = f". What makes a right one:\n{SAMPLES_IN_THREE_LINES}" if kind == _SAMPLES_FORMAT else ""
    try:
        arrays = read_npz(path)
        header = parse_json(str(arrays.pop("header"))) if "header" in arrays else None
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"read: {path} is damaged or no neurodeploy .npz file ({error})") from error
    if not isinstance(header, dict) or header.get("format") != kind:
        found = str(header.get("format"))[:50] if isinstance(header, dict) else None
        raise FileError(f"read: {path} holds {found or 'something else'}, expected {kind}{how}")
    return header, arrays
