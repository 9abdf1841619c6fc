"""Event sets: N-MNIST, DVS128 Gesture, CIFAR10-DVS and SHD in tonic's folder layouts; Braille letters and touched objects.

Each loader reads recordings as times in microseconds and places on the sensor, and bins them immediately
(``encodings.Frame``).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.aedat import read_aedat
from neurodeploy.data.dataset import Frames, checked_labels
from neurodeploy.data.encodings import Frame
from neurodeploy.data.files import damaged, find_file, find_folder, missing, unpickle_plain
from neurodeploy.data.hdf5 import read_hdf5
from neurodeploy.data.readers import read_bin
from neurodeploy.data.recording import EventFile, check_clock
from neurodeploy.data.window import Seen, check_window
from neurodeploy.errors import DataError
from neurodeploy.files.arrays import parse_npy, read_npy
from neurodeploy.files.unreadable import UNREADABLE, reason

Recording = tuple[NDArray[np.int64], ...]
"""Times in microseconds, then one array of places for each axis of the sensor's shape."""

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_MOST_US = 2**52
LETTERS = ("Space", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def load_nmnist(root: Path, frame: Frame) -> tuple[Frames, Frames]:
    """Return the train and test parts in ``root/NMNIST/{Train,Test}/{0..9}/*.bin``: sensor ``(2, 34, 34)``.

    Raises:
        DataError: for a missing folder, an empty one, or a damaged file.
    """
    folder = find_folder("nmnist", root, "NMNIST")
    parts = []
    for part in ("Train", "Test"):
        files = [(path, label) for label in range(10) for path in sorted((folder / part / str(label)).glob("*.bin"))]
        parts.append(_binned("nmnist", folder / part, files, read_bin, frame, 10))
    return parts[0], parts[1]


def read_nmnist(path: Path) -> Recording:
    """Return the events of an N-MNIST file (``readers.read_bin``): time, polarity, y, x."""
    found = read_bin(path)
    return found.time_us, *found.place


def load_dvs_gesture(root: Path, frame: Frame) -> tuple[Frames, Frames]:
    """Return both parts in ``root/DVSGesture/ibmGesture{Train,Test}/USER/LABEL.npy``: sensor ``(2, 128, 128)``, 11 classes.

    Raises:
        DataError: for a missing folder, an empty one, a damaged file, or a label outside 0..10.
    """
    folder = find_folder("dvs-gesture", root, "DVSGesture")
    parts = []
    for part in ("ibmGestureTrain", "ibmGestureTest"):
        files = [(path, _gesture(path)) for path in sorted((folder / part).glob("*/*.npy"))]
        parts.append(_binned("dvs-gesture", folder / part, files, read_gesture, frame, 11))
    return parts[0], parts[1]


def _gesture(path: Path) -> int:
    if not path.stem.isdecimal():
        raise damaged(path, "its name is no label")
    return int(path.stem)


def read_gesture(path: Path) -> Recording:
    """Return the events of a DVS128 Gesture file, an array ``(n, 4)`` of x, y, polarity and time in milliseconds."""
    columns = _columns(path)
    time_us = np.rint(columns[3] * 1000).astype(np.int64)
    check_clock(time_us, path)
    return time_us, *(columns[i].astype(np.int64) for i in (2, 1, 0))


def load_cifar10_dvs(root: Path, frame: Frame) -> Frames:
    """Return the set in ``root/CIFAR10DVS/CLASS/*``, ``.aedat`` (AEDAT) or ``.npy``: sensor ``(2, 128, 128)``.

    The set has no test part.

    Raises:
        DataError: for a missing folder, an empty one, or a damaged file; for ``.aedat4`` files that were not converted.
    """
    folder = find_folder("cifar10-dvs", root, "CIFAR10DVS", "CIFAR10DVS/CIFAR10DVS")
    nested = folder / "CIFAR10DVS"
    folder = nested if nested.is_dir() else folder
    files: list[tuple[Path, int]] = []
    for label, name in enumerate(CIFAR10_CLASSES):
        found = {path.stem: path for ending in ("*.aedat", "*.npy") for path in sorted((folder / name).glob(ending))}
        files += [(found[stem], label) for stem in sorted(found)]
    if not files and any(folder.glob("*/*.aedat4")):
        raise DataError(
            f"data: {folder} holds .aedat4 files, which are read once they are converted: neurodeploy data get cifar10-dvs"
        )
    return _binned("cifar10-dvs", folder, files, _cifar10_dvs, frame, 10)


def read_cifar10_dvs(path: Path) -> Recording:
    """Return the events of a CIFAR10-DVS file (time, polarity, y, x): AEDAT, or an array of x, y, polarity, microseconds."""
    found = _cifar10_dvs(path)
    return (found.time_us, *found.place) if isinstance(found, EventFile) else found


def _cifar10_dvs(path: Path) -> Recording | EventFile:
    if path.suffix != ".npy":
        return read_aedat(path, "DVS128")
    columns = _columns(path)
    time_us, polarity, y, x = (columns[i].astype(np.int64) for i in (3, 2, 1, 0))
    check_clock(time_us, path)
    return time_us - time_us[:1], polarity, y, x


def load_shd(root: Path, frame: Frame) -> tuple[Frames, Frames]:
    """Return both parts in ``root/SHD/shd_{train,test}.h5`` (or ``.h5.gz``): 700 channels, 20 classes.

    Raises:
        DataError: for a missing or damaged file, a label outside 0..19, or a unit outside 0..699.
    """
    folders = [root / "SHD", root / "hsd", root]
    train, test = (_shd_part(find_file("shd", folders, f"shd_{part}.h5"), frame) for part in ("train", "test"))
    return train, test


def _shd_part(path: Path, frame: Frame) -> Frames:
    wanted = ("labels", "spikes/times", "spikes/units")
    found = read_hdf5(path, wanted=lambda name: name in wanted)
    for name in wanted:
        if name not in found:
            raise damaged(path, f"there is no '{name}'")
    labels, times, units = (found[name] for name in wanted)
    if isinstance(labels, list) or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise damaged(path, "'labels' is no list of whole numbers")
    if not (isinstance(times, list) and isinstance(units, list)):
        raise damaged(path, "'spikes/times' and 'spikes/units' are no lists of one list a sample")
    if not len(labels) == len(times) == len(units):
        raise damaged(path, f"{len(labels)} labels for {len(times)} samples")
    for time, unit in zip(times, units):
        if time.size != unit.size or time.dtype.kind not in "iuf" or unit.dtype.kind not in "iu":
            raise damaged(
                path, f"a sample with {time.size} times of {time.dtype} and {unit.size} units of {unit.dtype}"
            )
    recordings = ((_to_us(time, path), unit.astype(np.int64)) for time, unit in zip(times, units))
    return as_frames("shd", [path] * len(labels), recordings, checked_labels(labels, 20, path), frame, 20)


def load_braille(root: Path, frame: Frame) -> tuple[Frames, Frames] | Frames:
    """Return the Braille letters in ``root/Braille/data_braille_letters_th*``: 24 channels, 27 classes (Space, A to Z).

    Channel ``2 k`` is ON of taxel ``k``, ``2 k + 1`` OFF. Files that end in ``_train`` and ``_test`` are the two parts; the
    published file has no test part.

    Raises:
        DataError: if there is no file with this name, there are files of several thresholds, or a file is damaged.
    """
    folder = find_folder("braille", root, "Braille", "braille")
    files = sorted(path for path in folder.glob("data_braille_letters_th*") if path.is_file())
    stems = {path.name.removesuffix("_train").removesuffix("_test") for path in files}
    if not files:
        raise missing("braille", "the file data_braille_letters_th10 (or ..._train and ..._test)", [folder])
    if len(stems) > 1:
        raise DataError(f"data: {folder} holds several thresholds ({', '.join(sorted(stems))}); keep one of them there")
    stem = stems.pop()
    if (folder / stem).is_file():
        return _braille_part(folder / stem, frame)
    return tuple(_braille_part(find_file("braille", [folder], f"{stem}_{p}"), frame) for p in ("train", "test"))  # type: ignore[return-value]


def _braille_part(path: Path, frame: Frame) -> Frames:
    samples = unpickle_plain(path)
    try:
        fields = [{_text(key): value for key, value in sample.items()} for sample in samples]
        labels = [LETTERS.index(_text(sample["letter"])) for sample in fields]
        recordings = [_taxels(sample["events"], path) for sample in fields]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"no list of letters and events: {error}") from error
    return as_frames("braille", [path] * len(labels), recordings, checked_labels(labels, 27, path), frame, 27)


def load_ev_objects(root: Path, frame: Frame) -> tuple[Frames, Frames]:
    """Return both parts of ``root/EvTactile/Ev-Objects.zip``: 78 channels, 36 objects.

    The file holds ``Ev-Objects/{train,test}/sample_N_label_C.npy``, 0 and 1 of the shape (39 taxels, 2 polarities, 250
    bins); channel ``2 k + p`` is polarity ``p`` of taxel ``k``. A bin is taken as 20 ms.

    Raises:
        DataError: if the file is missing or damaged, or a label is outside 0..35.
    """
    path = find_file("ev-objects", [root / "EvTactile", root], "Ev-Objects.zip")
    parts: dict[str, list[tuple[int, int, bytes]]] = {"train": [], "test": []}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if (named := _TOUCH.search(entry.filename)) is None:
                    continue
                if entry.file_size > _MOST_TOUCH:
                    raise damaged(path, f"{entry.filename} claims {entry.file_size:,} bytes")
                parts[named[1]].append((int(named[2]), int(named[3]), archive.read(entry)))
    except UNREADABLE as error:
        raise damaged(path, reason(error)) from error
    if not all(parts.values()):
        raise damaged(path, "no files Ev-Objects/{train,test}/sample_N_label_C.npy")
    made = []
    for samples in parts.values():
        samples.sort(key=lambda sample: sample[:2])
        labels = checked_labels([label for _, label, _ in samples], 36, path)
        recordings = (_touched(content, path) for _, _, content in samples)
        made.append(as_frames("ev-objects", [path] * len(samples), recordings, labels, frame, 36))
    return made[0], made[1]


_TOUCH = re.compile(r"(train|test)/sample_(\d{1,9})_label_(\d{1,9})\.npy$")
_MOST_TOUCH = 2**22
_BIN_US = 20_000


def _touched(content: bytes, path: Path) -> Recording:
    try:
        array = parse_npy(content)
    except ValueError as error:
        raise damaged(path, error) from error
    if array.shape != (39, 2, 250) or array.dtype.kind not in "fiub" or not np.isin(array, (0, 1)).all():
        raise damaged(path, f"an array {array.shape} of {array.dtype}, expected 0 and 1 of the shape (39, 2, 250)")
    taxel, polarity, step = np.nonzero(array)
    return step.astype(np.int64) * _BIN_US, (2 * taxel + polarity).astype(np.int64)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _taxels(events: Sequence[Sequence[Sequence[float]]], path: Path) -> Recording:
    """Return times and channels of one letter, from 12 taxels that each have a list of ON and of OFF times in seconds."""
    trains = [np.asarray(train, np.float64) for taxel in events for train in taxel]
    if len(trains) != 24:
        raise ValueError(f"{len(trains)} spike trains, expected 24")
    channel = np.repeat(np.arange(24), [len(train) for train in trains])
    return _to_us(np.concatenate(trains), path), channel


def _to_us(seconds: NDArray[Any], path: Path) -> NDArray[np.int64]:
    scaled = np.asarray(seconds, np.float64) * 1e6
    if scaled.size and not (np.abs(scaled) < _MOST_US).all():
        raise damaged(path, f"a time is {seconds[np.flatnonzero(~(np.abs(scaled) < _MOST_US))[0]]} s")
    time_us: NDArray[np.int64] = np.rint(scaled).astype(np.int64)
    return time_us


def _columns(path: Path) -> NDArray[np.float64]:
    try:
        array = read_npy(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "fiu":
        raise damaged(path, f"shape {array.shape} of {array.dtype}, expected (n, 4) numbers: x, y, polarity, time")
    columns: NDArray[np.float64] = array.T.astype(np.float64)
    if columns.size and not (np.abs(columns) < _MOST_US).all():
        raise damaged(path, "it holds numbers that are neither places nor times")
    return columns


def _binned(
    name: str,
    folder: Path,
    files: Sequence[tuple[Path, int]],
    read: Callable[[Path], Recording | EventFile],
    frame: Frame,
    n_classes: int,
) -> Frames:
    """Return the frames of all files below ``folder``."""
    if not files:
        raise missing(name, "recordings: none", [folder])
    paths = [path for path, _ in files]
    labels = checked_labels([label for _, label in files], n_classes, folder)
    return as_frames(name, paths, map(read, paths), labels, frame, n_classes)


def as_frames(
    name: str,
    paths: Sequence[Path],
    recordings: Iterable[Recording | EventFile],
    labels: NDArray[np.int32],
    frame: Frame,
    n_classes: int,
) -> Frames:
    """Return recordings of a set as frames, with what was seen in them.

    Args:
        paths: the file of each recording, for messages.
        labels: one a recording, or one for each of its steps.

    Raises:
        DataError: for an event outside the sensor, or recordings of another camera than the set's.
    """
    bits = np.zeros((len(labels), frame.n_cells if frame.counts else -(-frame.n_cells // 8)), np.uint8)
    counts = np.zeros((3, len(labels)), np.int64)
    dropped: dict[str, int] = {}
    for i, (path, recording) in enumerate(zip(paths, recordings)):
        time_us, *place = _of_set(recording, name, frame, path, dropped)
        for axis, size in zip(place, frame.shape):
            if axis.size and not 0 <= axis.min() <= axis.max() < size:
                raise damaged(path, f"an event at {axis.min()} or {axis.max()}, the sensor has 0..{size - 1}")
        bits[i] = _counted(frame, path, time_us, *place) if frame.counts else frame.bits(time_us, *place)
        inside = np.count_nonzero((time_us >= 0) & (time_us < frame.duration_us))
        counts[:, i] = time_us.size, inside, time_us.max() if time_us.size else -1
    seen = Seen(events=counts[0], inside=counts[1], last_us=counts[2], dropped=dropped)
    check_window(paths[0] if len(set(paths)) == 1 else f"'{name}'", seen, frame.duration_us)
    return Frames(
        name=name,
        shape=frame.out_shape,
        n_steps=frame.n_steps,
        bits=bits,
        labels=labels,
        n_classes=n_classes,
        seen=seen,
        counts=frame.counts,
    )


def _counted(frame: Frame, path: Path, *recording: NDArray[np.int64]) -> NDArray[np.uint8]:
    try:
        return frame.numbers(*recording)
    except DataError as error:
        raise DataError(f"{error} ({path})") from error


def _of_set(
    recording: Recording | EventFile, name: str, frame: Frame, path: Path, dropped: dict[str, int]
) -> Recording:
    """Return times and places; those of a file that names another sensor than the set's are refused."""
    if not isinstance(recording, EventFile):
        return recording
    if recording.shape not in (None, frame.shape):
        pixels = "x".join(map(str, frame.shape[:0:-1]))
        raise DataError(
            f"data: {path} is {recording.camera}; '{name}' was recorded with {pixels} pixels, so this file is not of that "
            "set. neurodeploy data convert reads it by itself"
        )
    for kind, n in recording.dropped.items():
        dropped[kind] = dropped.get(kind, 0) + n
    return recording.time_us, *recording.place
