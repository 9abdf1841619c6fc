"""What arrays with names mean: spikes by sample, step and channel, values to encode, or lists of events with times.

``understood`` tells them apart by their names (``NAMES``); what the names leave open is asked for, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.hdf5 import Ragged
from neurodeploy.data.recording import EventFile
from neurodeploy.errors import DataError
from neurodeploy.network.activity import SAMPLES_IN_THREE_LINES

NAMES: Mapping[str, tuple[str, ...]] = {
    "spikes": ("spikes", "raster", "data"),
    "values": ("values", "images"),
    "labels": ("labels", "label", "targets", "target", "classes"),
    "times": ("times", "time", "t", "ts", "timestamps", "timestamp"),
    "steps": ("steps", "step"),
    "units": ("units", "unit", "channels", "channel", "neurons", "neuron", "addresses"),
    "samples": ("samples", "sample", "trials", "trial"),
    "x": ("x", "xs", "columns"),
    "y": ("y", "ys", "rows"),
    "polarity": ("polarity", "polarities", "p", "ps", "pol", "on"),
    "n_steps": ("n_steps",),
    "shape": ("shape",),
    "axes": ("axes",),
    "time_unit": ("time_unit",),
}
"""Names that arrays may have, by what they hold; upper and lower case are the same, and of a path the last part counts."""

MICROSECONDS: Mapping[str, float] = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""Microseconds of a unit of time."""

_MOST_US = 2**52
_MOST_SAMPLES = 2**26


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense:
    """Spikes or payloads: whole numbers with the axes that ``axes`` says (``NTC``: samples, steps, channels), or not."""

    spikes: NDArray[Any]
    labels: NDArray[np.int32] | None
    axes: str | None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """Values by sample and channel that an encoding turns into spikes: 0..1, or grey levels 0..255 as bytes."""

    values: NDArray[Any]
    labels: NDArray[np.int32] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lists:
    """Recordings, one a sample; with ``n_steps`` their times are steps of which there are so many (0: not said)."""

    recordings: list[EventFile]
    labels: NDArray[np.int32] | None
    n_steps: int | None


Understood = Dense | Values | Lists


def understood(
    table: Mapping[str, NDArray[Any] | Ragged],
    where: str,
    *,
    labels: NDArray[Any] | None = None,
    time_unit: str | None = None,
    axes: str | None = None,
    with_labels: bool = True,
) -> Understood:
    """Return what arrays with names hold.

    Args:
        table: arrays by name.
        where: their file, for messages.
        labels: in place of those in ``table``.
        time_unit: of times, where the table does not tell: a key of ``MICROSECONDS``.
        axes: order of the axes of spikes, where the table does not tell.
        with_labels: whether labels are read.

    Raises:
        DataError: for arrays that do not belong together, and for what names and options leave open.
    """
    found, unit = _roles(table, where)
    if not with_labels:
        found.pop("labels", None)
    if labels is not None:
        found["labels"] = labels
    if time_unit is not None and time_unit not in MICROSECONDS:
        raise DataError(f"data: the unit of time is '{time_unit}'; known: {', '.join(MICROSECONDS)}")
    axes = axes or _word(found, "axes", where)
    if "spikes" not in found and "values" not in found and np.ndim(found.get("x", 0)) >= 3:
        found["spikes"] = found.pop("x")
        if with_labels and labels is None and "y" in found and "labels" not in found:
            found["labels"] = found.pop("y")
    if "spikes" not in found and "values" not in found and ("times" in found or "steps" in found):
        return _lists(found, time_unit or unit or _word(found, "time_unit", where), where)
    if "values" in found:
        values = _plain(found["values"], "values", where)
        if values.ndim < 2:
            raise DataError(
                f"data: {where}: values have the axes samples and channels, these have the shape {values.shape}"
            )
        labels_of_values = _for_samples(labels_in(found.get("labels"), where), len(values), where)
        if labels_of_values is not None and labels_of_values.ndim != 1:
            raise DataError(
                f"data: {where}: labels have the shape {labels_of_values.shape}; values have no steps: give one label a "
                "sample, or encode them yourself and call them 'spikes'"
            )
        return Values(values=values, labels=labels_of_values)
    if "spikes" not in found:
        held = ", ".join(f"'{name}'" for name in list(table)[:12]) or "nothing"
        raise DataError(
            f"data: {where} holds {held}, neither spikes nor times. What makes a right file:\n{SAMPLES_IN_THREE_LINES}\n"
            "or, of events: times, units, samples (of each event), labels (of each sample), time_unit='ms'\n"
            "or, of images, for training: values (of each sample; bytes, or 0 to 1), labels"
        )
    spikes = whole(_plain(found["spikes"], "spikes", where), f"{where}: spikes")
    shape = _shape(found, where)
    return Dense(spikes=spikes, labels=labels_in(found.get("labels"), where), axes=axes, shape=shape)


def _roles(table: Mapping[str, NDArray[Any] | Ragged], where: str) -> tuple[dict[str, Any], str | None]:
    """Return the arrays by what they hold, and the unit of time that a name tells, as in ``t_us``."""
    role_of = {name: role for role, names in NAMES.items() for name in names}
    found: dict[str, Any] = {}
    unit = None
    for name, array in sorted(table.items(), key=lambda item: item[0].count("/")):
        last = name.rpartition("/")[2].lower()
        told = re.fullmatch(r"(.+?)[_ ]?[\[(]?(s|ms|us|ns)[\])]?", last)
        if last not in role_of and told and role_of.get(told[1]) == "times":
            last, unit = told[1], told[2]
        role = role_of.get(last)
        if role is None:
            continue
        if role in found:
            raise DataError(f"data: {where} holds several arrays of {role} (one is '{name}'); keep one of them")
        found[role] = array
        if unit is None and role == "times":
            unit = _unit_of(name, table)
    return found, unit


def _unit_of(name: str, table: Mapping[str, NDArray[Any] | Ragged]) -> str | None:
    """Return the unit of times in the layouts that state it: Prophesee's CD events, DSEC's events, and SHD."""
    folder = name.lower().rpartition("/")[0]
    if folder in ("cd/events", "events"):
        return "us"
    times = table[name]
    lists = isinstance(times, list) and all(row.dtype.kind == "f" for row in times[:8])
    return (
        "s" if folder == "spikes" and lists and {"spikes/units", "labels"} <= {key.lower() for key in table} else None
    )


def _word(found: dict[str, Any], role: str, where: str) -> str | None:
    if role not in found:
        return None
    given = np.asarray(found[role])
    if given.dtype.kind not in "US" or given.size != 1:
        raise DataError(f"data: {where}: '{role}' must be one word")
    word = given.reshape(-1)[0]
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)


def _plain(array: NDArray[Any] | Ragged, role: str, where: str) -> NDArray[Any]:
    if isinstance(array, list):
        raise DataError(f"data: {where}: '{role}' holds lists of different lengths; give one array of numbers")
    if array.dtype.kind not in "biuf":
        raise DataError(f"data: {where}: '{role}' holds {array.dtype}; give numbers")
    return array


def whole(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return numbers as whole ones.

    Raises:
        DataError: for a number that is not whole, or does not fit 64 bits.
    """
    if array.dtype.kind in "biu":
        if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() >= 2**63:
            raise DataError(f"data: {what}: {array.max()} does not fit 64 bits")
        return array
    if array.size:
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero(~((np.abs(array) < 2**52) & (np.rint(array) == array)))
        if wrong.size:
            raise DataError(
                f"data: {what} must be whole numbers, one of them is {array.reshape(-1)[wrong[0]]}; values between 0 and 1 "
                "are encoded by a recipe (array 'values' of data.path), signals over time by neurodeploy.encode_changes"
            )
    return array.astype(np.int64)


def labels_in(given: NDArray[Any] | Ragged | None, where: str) -> NDArray[np.int32] | None:
    """Return one label a sample ``(n_samples,)``, or one a step ``(n_samples, n_steps)``; None where none are given.

    Rows of one 1 among zeros, along the last axis, are the number of the place of that 1.

    Raises:
        DataError: for other shapes, and for numbers that are no class.
    """
    if given is None:
        return None
    labels = whole(_plain(given, "labels", where), f"{where}: labels")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels.reshape(-1)
    one_hot = labels.ndim in (2, 3) and labels.size and labels.min() == 0 and labels.max() == 1
    if one_hot and (labels.sum(axis=-1) == 1).all():
        labels = labels.argmax(axis=-1)
    if labels.ndim not in (1, 2):
        raise DataError(
            f"data: {where}: labels have the shape {labels.shape}; give one label a sample, or one a step: samples by steps "
            "(--labels none leaves them out)"
        )
    bad = np.argwhere((labels < 0) | (labels >= 2**31))
    if len(bad):
        sample, *step = bad[0].tolist()
        at = f" in step {step[0]}" if step else ""
        raise DataError(
            f"data: {where}: sample {sample} has the label {labels[tuple(bad[0])]}{at}; classes are counted from 0"
        )
    return labels.astype(np.int32)


def of_samples(labels: NDArray[np.int32] | None, n_samples: int) -> NDArray[np.int32] | None:
    """Return labels as they are; a single row of ``n_samples`` labels, as MATLAB has them, as one a sample.

    >>> of_samples(np.array([[2, 0, 1]], np.int32), 3).shape, of_samples(np.array([[2, 0, 1]], np.int32), 1).shape
    ((3,), (1, 3))
    """
    row = labels is not None and labels.shape == (1, n_samples)
    return labels if labels is None or not row or n_samples == 1 else labels.reshape(-1)


def _for_samples(labels: NDArray[np.int32] | None, n_samples: int, where: str) -> NDArray[np.int32] | None:
    """Return labels as ``of_samples`` does; refuse another number of them."""
    found = of_samples(labels, n_samples)
    if found is not None and len(found) != n_samples:
        raise DataError(f"data: {where}: {len(found)} labels for {n_samples} samples")
    return found


def _shape(found: dict[str, Any], where: str) -> tuple[int, ...] | None:
    if "shape" not in found:
        return None
    shape = whole(_plain(found["shape"], "shape", where), f"{where}: shape").reshape(-1)
    if not 1 <= shape.size <= 4 or shape.min() < 1 or shape.max() >= 2**31:
        raise DataError(f"data: {where}: shape is {shape.tolist()[:5]}; give channels, or channels, height and width")
    return tuple(int(n) for n in shape)


def _lists(found: dict[str, Any], unit: str | None, where: str) -> Lists:
    """Return events with times as recordings."""
    stepped = "steps" in found
    times = found["steps" if stepped else "times"]
    names: list[str] = [role for role in ("units", "polarity", "y", "x") if role in found]
    if names not in (["units"], ["polarity", "y", "x"], ["y", "x"]):
        raise DataError(
            f"data: {where}: events with times need the channel of each event ('units'), or column, row and polarity ('x', "
            f"'y', 'p'); it holds {', '.join(found)}"
        )
    if not stepped and unit is None:
        raise DataError(
            f"data: {where}: in which unit are the times? Say it: the name of the array, as in times_ms, time_unit='ms' in "
            "the file, or --unit ms where a command takes it"
        )
    if unit is not None and unit not in MICROSECONDS:
        raise DataError(f"data: {where}: the unit of time is '{unit}'; known: {', '.join(MICROSECONDS)}")
    columns = [times, *(found[name] for name in names)]
    ragged = [isinstance(column, list) for column in columns]
    if any(ragged):
        if not all(ragged) or len({len(column) for column in columns}) != 1:
            raise DataError(f"data: {where}: times and {', '.join(names)} must all be lists of as many samples")
        rows = [list(row) for row in zip(*columns)]
    else:
        rows = _by_sample([_plain(column, name, where).reshape(-1) for column, name in zip(columns, ["times", *names])],
                          found, where)  # fmt: skip
    shape = _shape(found, where)
    recordings = [
        _recording(row, names, 1.0 if stepped else MICROSECONDS[str(unit)], stepped, shape, where) for row in rows
    ]
    n_steps = None
    if stepped:
        stated = whole(np.asarray(found.get("n_steps", 0)), f"{where}: n_steps").reshape(-1)
        n_steps = int(stated[0]) if stated.size == 1 else 0
    return Lists(recordings=recordings, labels=_list_labels(found, len(rows), where), n_steps=n_steps)


def _list_labels(found: dict[str, Any], n_samples: int, where: str) -> NDArray[np.int32] | None:
    """Return labels of samples, also where each event bears that of its sample."""
    given, samples = found.get("labels"), found.get("samples")
    if (
        given is None
        or samples is None
        or isinstance(given, list)
        or np.size(given) not in {np.size(samples)} - {n_samples}
    ):
        return _for_samples(labels_in(given, where), n_samples, where)
    each = whole(np.asarray(given).reshape(-1), f"{where}: labels")
    index = whole(np.asarray(samples).reshape(-1), f"{where}: samples")
    first = np.full(n_samples, -1, np.int64)
    first[index[::-1]] = each[::-1]
    if (first[index] != each).any():
        at = int(index[np.flatnonzero(first[index] != each)[0]])
        raise DataError(f"data: {where}: the events of sample {at} bear different labels")
    if (first < 0).any():
        raise DataError(f"data: {where}: sample {int(np.flatnonzero(first < 0)[0])} has no event, and so no label")
    return labels_in(first, where)


def _by_sample(columns: list[NDArray[Any]], found: dict[str, Any], where: str) -> list[list[NDArray[Any]]]:
    """Return the columns of each sample, by the array ``samples``; without it all events are of one."""
    if len({column.size for column in columns}) != 1:
        raise DataError(f"data: {where}: times and places of events differ in length: {[c.size for c in columns]}")
    if "samples" not in found:
        return [columns]
    index = whole(_plain(found["samples"], "samples", where).reshape(-1), f"{where}: samples")
    if index.size != columns[0].size:
        raise DataError(
            f"data: {where}: 'samples' tells the sample of each event; {index.size} for {columns[0].size} events"
        )
    labels = found.get("labels")
    n_samples = int(index.max()) + 1 if index.size else 0
    if labels is not None and not isinstance(labels, list) and np.size(labels) != index.size:
        table = np.atleast_1d(labels)
        n_samples = max(n_samples, table.size if table.shape[0] == 1 else len(table))
    if n_samples > _MOST_SAMPLES or (index.size and index.min() < 0):
        raise DataError(f"data: {where}: 'samples' holds {index.min()} to {index.max()}; samples are counted from 0")
    order = np.argsort(index, kind="stable")
    cuts = np.searchsorted(index[order], np.arange(1, n_samples))
    parts = [np.split(column[order], cuts) for column in columns]
    return [list(row) for row in zip(*parts)]


def _recording(
    row: list[NDArray[Any]], names: list[str], factor: float, stepped: bool, shape: tuple[int, ...] | None, where: str
) -> EventFile:
    time, *place = (_plain(column, name, where).reshape(-1) for column, name in zip(row, ["times", *names]))
    if len({time.size, *(axis.size for axis in place)}) != 1:
        raise DataError(f"data: {where}: a sample with {time.size} times has {place[0].size} places")
    if stepped:
        time_us = whole(time, f"{where}: steps").astype(np.int64)
    else:
        scaled = time.astype(np.float64) * factor
        if time.size and not (np.abs(scaled) < _MOST_US).all():
            raise DataError(
                f"data: {where}: a time is {time[np.flatnonzero(~(np.abs(scaled) < _MOST_US))[0]]}, which is none"
            )
        time_us = (
            time.astype(np.int64) if factor == 1.0 and time.dtype.kind in "iu" else np.rint(scaled).astype(np.int64)
        )
    axes = [whole(axis, f"{where}: '{name}'").astype(np.int64) for axis, name in zip(place, names)]
    for axis, name in zip(axes, names):
        if axis.size and (axis.min() < (-1 if name == "polarity" else 0) or axis.max() >= 2**31):
            raise DataError(f"data: {where}: '{name}' holds {axis.min()} to {axis.max()}; channels are counted from 0")
    if names[0] == "polarity":
        if axes[0].size and axes[0].max() > 1:
            raise DataError(
                f"data: {where}: polarities are 0 and 1, or -1 and 1; there are {axes[0].min()} to {axes[0].max()}"
            )
        axes[0] = np.maximum(axes[0], 0)
    elif names[0] == "y":
        axes.insert(0, np.zeros(time_us.size, np.int64))
    return EventFile(time_us=time_us, place=tuple(axes), shape=shape, camera="events with times")
