"""Files and folders of users, and arrays and torch data sets in memory, as samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.binning import binned
from neurodeploy.data.dense import of_dense
from neurodeploy.data.fields import Lists, Understood, Values, understood, whole
from neurodeploy.data.files import suffix_of
from neurodeploy.data.readers import EVENT_FILES, read_events
from neurodeploy.data.reading import Own, Reading, Wanted
from neurodeploy.data.recording import EventFile
from neurodeploy.data.tables import TABLES, read_table
from neurodeploy.errors import DataError

SUFFIXES = (*EVENT_FILES, *TABLES)
"""Suffixes of the files that are read here; all but ``.npz`` and ``.npy`` also with ``.gz`` behind."""


def is_table(path: Path) -> bool:
    """Return whether a file holds arrays with names, by its name."""
    return suffix_of(path) in TABLES


def is_own(path: Path) -> bool:
    """Return whether a file or folder can be read here, by its name."""
    return path.is_dir() or suffix_of(path) in SUFFIXES


def read_own(
    path: Path, reading: Reading, wanted: Wanted | None, *, labels: str | None = None, classes: tuple[str, ...] = ()
) -> Own:
    """Return the samples in a file of events or arrays, or in a folder of such files, one folder a class.

    Args:
        labels: ``none`` to leave labels out, a whole number for all samples, or a file of labels.
        classes: names of the folders, in the order of their classes; by default those that are there, sorted.

    Raises:
        DataError: for damaged files, and for what neither the files nor the options tell.
    """
    given, with_labels = _given_labels(labels)
    if path.is_dir():
        return _folder(path, reading, wanted, given, with_labels, classes)
    if suffix_of(path) in EVENT_FILES:
        event_file = read_events(path, reading.camera)
        return binned([(path, event_file)], None, reading, wanted, str(path), all_labels=given)
    if not is_table(path):
        raise DataError(f"data: {path} is of no kind that is read: {', '.join(SUFFIXES)}, or a folder of events")
    each, every = (given, None) if given is not None and given.ndim else (None, given)
    meant = understand(path, reading, labels=each, with_labels=with_labels)
    return of_understood(meant, str(path), reading, wanted, every)


def _given_labels(labels: str | None) -> tuple[NDArray[Any] | None, bool]:
    """Return labels in place of those that the files tell, and whether these are read."""
    if labels is None or labels == "none":
        return None, labels is None
    if labels.isdecimal():
        return np.array(int(labels)), True
    path = Path(labels)
    if not path.is_file() or suffix_of(path) not in TABLES:
        raise DataError(f"data: labels are 'none', a whole number, or a file of {', '.join(TABLES)}; not '{labels}'")
    table = read_table(path)
    named = {name.rpartition("/")[2].lower(): array for name, array in table.items()}
    array = named.get("labels", named.get("label", next(iter(table.values())) if len(table) == 1 else None))
    if not isinstance(array, np.ndarray):
        raise DataError(f"data: {path} holds {', '.join(table)}; call the labels 'labels'")
    return np.atleast_1d(array), True


def understand(
    path: Path, reading: Reading, *, labels: NDArray[Any] | None = None, with_labels: bool = True
) -> Understood:
    """Return what a file of arrays holds; arguments as ``fields.understood``."""
    return understood(
        read_table(path),
        str(path),
        labels=labels,
        time_unit=reading.time_unit,
        axes=reading.axes,
        with_labels=with_labels,
    )


def of_understood(
    meant: Understood, where: str, reading: Reading, wanted: Wanted | None, all_labels: NDArray[Any] | None = None
) -> Own:
    """Return samples of spikes or of lists of events."""
    if isinstance(meant, Values):
        raise DataError(
            f"data: {where} holds values, which an encoding turns into spikes: name it in a recipe (data.path, "
            "data.encoding) and give the recipe"
        )
    if isinstance(meant, Lists):
        return of_lists(meant, where, reading, wanted, all_labels)
    samples = of_dense(meant, where, wanted)
    if all_labels is not None:
        samples = replace(samples, labels=np.full(samples.n_samples, all_labels))
    return Own(samples=samples)


def of_lists(
    meant: Lists, where: str, reading: Reading, wanted: Wanted | None, all_labels: NDArray[Any] | None = None
) -> Own:
    """Return samples of recordings in memory, whose times may be steps."""
    rows = [(where, recording) for recording in meant.recordings]
    if meant.n_steps is None:
        return binned(rows, meant.labels, reading, wanted, where, all_labels=all_labels)
    last = max((int(r.time_us.max()) for r in meant.recordings if r.time_us.size), default=-1)
    n_steps = reading.n_steps or meant.n_steps or last + 1
    if last >= n_steps or n_steps < 1:
        raise DataError(f"data: {where}: an event lies in step {last}, samples have {n_steps} steps")
    if reading.dt_s or reading.duration_s or reading.window_s:
        raise DataError(
            f"data: {where} tells steps, not times; leave out the length of a step, the duration and the window"
        )
    as_times = replace(reading, n_steps=n_steps, duration_s=n_steps / 1e6)
    return binned(rows, meant.labels, as_times, wanted, where, all_labels=all_labels)


def _folder(
    folder: Path,
    reading: Reading,
    wanted: Wanted | None,
    labels: NDArray[Any] | None,
    with_labels: bool,
    classes: tuple[str, ...],
) -> Own:
    """Return the samples of all files of events below a folder, one folder a class, or all without labels."""
    names = class_folders(folder)
    loose = _event_files(folder, deep=False)
    if names and loose:
        raise DataError(
            f"data: {folder} holds both folders and files of events ({loose[0].name}); keep one kind, one folder a class"
        )
    if not names and not loose:
        known = ", ".join(EVENT_FILES)
        raise DataError(f"data: {folder} holds no file of events ({known}), nor folders with such files, one a class")
    classes = classes or names
    if unknown := [name for name in names if name not in classes]:
        raise DataError(
            f"data: {folder} holds the class '{unknown[0]}', the training part does not; it has {', '.join(classes)}"
        )
    files = [(path, None) for path in loose]
    files += [(path, classes.index(name)) for name in names for path in _event_files(folder / name, deep=True)]  # type: ignore[misc]
    own = [label for _, label in files]
    each: Any = (
        labels if labels is not None and labels.ndim else own if names and with_labels and labels is None else None
    )
    rows = ((path, read_events(path, reading.camera)) for path, _ in files)
    given = None if each is None else whole(np.asarray(each), f"{folder}: labels")
    if given is not None and len(given) != len(files):
        raise DataError(f"data: {len(given)} labels for the {len(files)} files in {folder}")
    shared = labels if labels is not None and not labels.ndim else None
    made = binned(rows, given, reading, wanted, str(folder), all_labels=shared)
    return replace(made, classes=classes if names else ())


def recordings_in(folder: Path) -> Iterator[EventFile]:
    """Yield the recordings in all files of events below a folder."""
    return (read_events(path, None) for path in _event_files(folder, deep=True))


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders with files of events, numbers in their order."""
    names = [path.name for path in folder.iterdir() if path.is_dir() and _event_files(path, deep=True)]
    return tuple(sorted(names, key=lambda name: (0, int(name), "") if name.isdecimal() else (1, 0, name)))


def _event_files(folder: Path, *, deep: bool) -> list[Path]:
    paths = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in paths if path.is_file() and suffix_of(path) in EVENT_FILES)
