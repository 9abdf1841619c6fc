"""Recordings as samples: each event falls into its step and channel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.encodings import Frame
from neurodeploy.data.reading import Own, Reading, Wanted, by, named_samples
from neurodeploy.data.recording import EventFile
from neurodeploy.data.window import Seen, check_window
from neurodeploy.errors import DataError
from neurodeploy.network.activity import MOST_STEPS, Events

_MOST_STEPS = 10**6
"""Steps of a sample; it also stands for a number that the recordings decide."""


def binned(
    recordings: Iterable[tuple[object, EventFile]],
    labels: NDArray[Any] | None,
    reading: Reading,
    wanted: Wanted | None,
    where: str,
    *,
    all_labels: NDArray[Any] | None = None,
) -> Own:
    """Return the samples of recordings, each event in its step and channel; several there are one spike, or a count.

    Args:
        recordings: pairs of a name for messages and the events.
        labels: one a recording.
        all_labels: one for all of them.

    Raises:
        DataError: for steps, sensors or channels that stay open or do not fit, and as ``check_window``.
    """
    n_steps, duration_us = _steps(reading, wanted, where)
    counts = reading.counts or (wanted is not None and wanted.given.graded)
    cells: list[NDArray[np.int64]] = []
    heights: list[NDArray[np.int64]] = []
    seen: list[tuple[int, int, int]] = []
    owner: list[int] = []
    late: list[int] = []
    dropped: dict[str, int] = {}
    cameras: dict[str, None] = {}
    frame: Frame | None = None
    for number, (name, event_file) in enumerate(recordings):
        for kind, n in event_file.dropped.items():
            dropped[kind] = dropped.get(kind, 0) + n
        cameras[event_file.camera] = None
        for piece in _pieces(event_file, reading, name):
            time_us, place, sensor = _on_sensor(piece, reading, wanted, name)
            if frame is None:
                frame = Frame(
                    n_steps=n_steps, duration_us=duration_us, shape=sensor, crop=reading.crop, pool=reading.pool
                )
                _check_channels(frame, wanted, name)
            elif frame.shape != sensor:
                raise DataError(
                    f"data: {name} has a sensor of {by(sensor)}, others in {where} one of {by(frame.shape)}"
                )
            hit, height = np.unique(frame.cells(time_us, *place), return_counts=True)
            cells.append(hit)
            heights.append(height)
            owner.append(number)
            late.append(int(np.count_nonzero(time_us >= duration_us)))
            seen.append((time_us.size, int(height.sum()), int(time_us.max()) if time_us.size else -1))
    if frame is None:
        raise DataError(f"data: {where} holds no recording that can be read with these options")
    columns = np.array(seen, np.int64).T
    found = Seen(events=columns[0], inside=columns[1], last_us=columns[2], dropped=dropped)
    size = int(np.prod(frame.out_shape))
    if n_steps == _MOST_STEPS:
        n_steps = 1 + max((int(hit[-1]) // size for hit in cells if hit.size), default=0)
        _check_length(found, duration_us, where)
    else:
        check_window(where, found, duration_us, "the duration")
    if len(cells) * n_steps > MOST_STEPS:
        raise DataError(
            f"data: {where}: {len(cells):,} samples of {n_steps:,} steps are more than {MOST_STEPS:,} steps; say longer "
            "steps (--dt) or read less (--duration)"
        )
    events = _events(cells, heights if counts else None, n_steps, size)
    given = np.full(len(cells), all_labels) if all_labels is not None else None if labels is None else labels[owner]
    samples = replace(named_samples(events, given, where, frame.out_shape, wanted), outside=np.array(late, np.int64))
    return Own(samples=samples, seen=found, cameras=tuple(cameras))


def _check_length(seen: Seen, duration_us: int, where: str) -> None:
    """Refuse recordings of more steps than are read, and those without an event."""
    if (seen.last_us >= duration_us).any():
        longest, dt_s = float(seen.last_us.max()) / 1e6, duration_us / _MOST_STEPS / 1e6
        raise DataError(
            f"data: {where}: a recording of {longest:.6g} s has {longest / dt_s:,.0f} steps of {dt_s:.6g} s, at most "
            f"{_MOST_STEPS:,} are read; is the unit of its times right? Else say longer steps (--dt) or --duration"
        )
    check_window(where, seen, max(int(seen.last_us.max()) + 1, 1), "the duration")


def _events(cells: list[NDArray[np.int64]], heights: list[NDArray[np.int64]] | None, n_steps: int, size: int) -> Events:
    cell = np.concatenate(cells)
    return Events(
        size=size,
        n_steps=n_steps,
        n_samples=len(cells),
        sample=np.repeat(np.arange(len(cells)), [len(hit) for hit in cells]),
        step=cell // size,
        neuron=cell % size,
        payload=None if heights is None else np.concatenate(heights),
    )


def _steps(reading: Reading, wanted: Wanted | None, where: str) -> tuple[int, int]:
    """Return the number of steps and the microseconds they cover; ``_MOST_STEPS`` steps where the recordings decide."""
    n_steps, dt_s = reading.n_steps, reading.dt_s
    duration_s = reading.duration_s or reading.window_s
    if n_steps and dt_s and duration_s and round(n_steps * dt_s * 1e6) != round(duration_s * 1e6):
        raise DataError(f"data: {n_steps} steps of {dt_s:g} s are not {duration_s:g} s; leave one of the three out")
    if dt_s is None and wanted is not None and not (n_steps and duration_s):
        dt_s = wanted.dt_s
    if n_steps and duration_s:
        duration_us = round(duration_s * 1e6)
    elif dt_s is None:
        raise DataError(
            f"data: {where}: how are its recordings cut into steps? Say two of --steps, --dt (the length of a step) and "
            "--duration, or --dt alone"
        )
    else:
        dt_us = round(dt_s * 1e6)
        if dt_us < 1 or abs(dt_s * 1e6 - dt_us) > 1e-6:
            raise DataError(
                f"data: a step of {dt_s:g} s is no whole number of microseconds; say another length: --dt 1ms"
            )
        if duration_s and n_steps is None:
            n_steps = max(round(duration_s * 1e6 / dt_us), 1)
        n_steps = n_steps or _MOST_STEPS
        duration_us = n_steps * dt_us
    if n_steps > _MOST_STEPS or duration_us < 1:
        raise DataError(f"data: {n_steps:,} steps in {duration_us / 1e6:g} s; at most {_MOST_STEPS:,} steps are read")
    return n_steps, duration_us


def _pieces(event_file: EventFile, reading: Reading, name: object) -> Iterator[EventFile]:
    """Yield a recording, or its pieces of the length ``window_s``, each with times from its begin."""
    if reading.window_s is None:
        yield event_file
        return
    window_us = round(reading.window_s * 1e6)
    if window_us < 1:
        raise DataError(f"data: a window of {reading.window_s:g} s is shorter than a microsecond")
    number = event_file.time_us // window_us
    n_pieces = int(event_file.time_us.max() + 1) // window_us if event_file.time_us.size else 0
    if n_pieces < 1:
        raise DataError(f"data: {name} is shorter than the window of {reading.window_s:g} s")
    if n_pieces > 2**20:
        raise DataError(
            f"data: {name}: {n_pieces:,} windows of {reading.window_s:g} s; is the unit of its times right?"
        )
    order = np.argsort(number, kind="stable")
    cuts = np.searchsorted(number[order], np.arange(n_pieces + 1))
    for i in range(n_pieces):
        part = order[cuts[i] : cuts[i + 1]]
        yield replace(
            event_file,
            time_us=event_file.time_us[part] - i * window_us,
            place=tuple(axis[part] for axis in event_file.place),
        )


def _on_sensor(
    piece: EventFile, reading: Reading, wanted: Wanted | None, name: object
) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...], tuple[int, ...]]:
    """Return times and places on the sensor, with the polarities that are read, and the shape of the sensor."""
    time_us, place = piece.time_us, piece.place
    camera = len(place) == 3
    if not camera and (reading.crop or reading.pool > 1 or reading.polarity != "separate"):
        raise DataError(f"data: {name}: crop, pool and polarity are for cameras; this has channels in a row")
    shape = piece.shape or reading.sensor or _sensor_of(wanted, place, reading)
    if shape is None or len(shape) != len(place):
        reach = ", ".join(f"{axis} to {int(a.max()) if a.size else 0}" for axis, a in zip(_AXES[len(place)], place))
        example = "2x34x34" if camera else "700"
        raise DataError(
            f"data: {name}: how large is the sensor ({'polarities, height, width' if camera else 'channels'})? Say it: "
            f"data.sensor in a recipe, or --sensor {example}. Its events reach {reach}"
        )
    if reading.sensor is not None and piece.shape not in (None, reading.sensor):
        raise DataError(
            f"data: {name}: {piece.camera} has a sensor of {by(piece.shape or ())}, not {by(reading.sensor)}"
        )
    for axis, size, what in zip(place, shape, _AXES[len(place)]):
        if axis.size and not 0 <= axis.min() <= axis.max() < size:
            bad = int(axis.max() if axis.min() >= 0 else axis.min())
            raise DataError(f"data: {name}: an event at {what} {bad}, the sensor has 0..{size - 1}")
    if camera and reading.polarity != "separate":
        if reading.polarity != "merged":
            keep = place[0] == (reading.polarity == "on")
            time_us, place = time_us[keep], tuple(axis[keep] for axis in place)
        place, shape = (np.zeros_like(place[0]), *place[1:]), (1, *shape[1:])
    return time_us, place, shape


_AXES = {1: ("channel",), 2: ("row", "column"), 3: ("polarity", "row", "column")}


def _sensor_of(wanted: Wanted | None, place: tuple[Any, ...], reading: Reading) -> tuple[int, ...] | None:
    """Return the shape of the input where it can only be that of the sensor."""
    if wanted is None or reading.crop or reading.pool > 1 or reading.polarity != "separate":
        return None
    if len(place) == 1:
        return (wanted.given.size,)
    shape = wanted.given.shape
    return shape if len(shape) == 3 and shape[0] in (1, 2) else None


def _check_channels(frame: Frame, wanted: Wanted | None, name: object) -> None:
    """Refuse recordings whose frames are not what the input takes; say what would make them fit."""
    if wanted is None or int(np.prod(frame.out_shape)) == wanted.given.size:
        return
    shape, target = frame.out_shape, wanted.given.shape
    hint = "say --crop, --pool or --polarity in data convert"
    if len(shape) == len(target) == 3 and shape[1] * target[2] == shape[2] * target[1] and shape[1] % target[1] == 0:
        parts = [f"--pool {frame.pool * (shape[1] // target[1])}"] if shape[1] != target[1] else []
        parts += ["--polarity merged"] if (shape[0], target[0]) == (2, 1) else []
        hint = f"neurodeploy data convert {name} {' '.join(parts)} makes them fit" if parts else hint
    raise DataError(f"data: {name} has {by(shape)} channels, the input '{wanted.given.name}' {by(target)}; {hint}")
