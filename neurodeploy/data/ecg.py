"""Electrocardiograms of the QT Database as events of two leads, with a label in every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.dataset import Frames, checked_labels
from neurodeploy.data.encodings import Frame
from neurodeploy.data.events import as_frames
from neurodeploy.data.files import damaged, find_file, read_bytes
from neurodeploy.data.mat5 import parse_mat5
from neurodeploy.data.recording import EventFile, counted

WAVES = 6
"""Classes: the waves of a heartbeat and what lies between them, in the order of the files' columns."""
_CHANNELS = 4
_STEP_US = 4000


def load_ecg(root: Path, frame: Frame) -> tuple[Frames, Frames]:
    """Return both parts of ``root/ECG-QTDB/QTDB_{train,test}.mat``: 4 channels, 6 classes, a label in every step.

    A file holds ``x (n, 1301, 4)``, where a lead that rises or falls by a level is an event in its channel, and
    ``y (n, 1301, 6)``, the class of each step as a row of one 1. Rows of ``y`` without a 1, before the first annotated wave,
    are of class 0, as in the code of the set's authors, who take the largest of a row. The value -1, which channel 0 has in
    the first step of every sample, is no event. A step is taken as 4 ms, the 250 Hz of the QT Database.

    Where a recipe has fewer steps, a step's label is that of the middle of the time it covers.

    Raises:
        DataError: if a file is missing or damaged.
    """
    paths = [find_file("ecg", [root / "ECG-QTDB", root], f"QTDB_{part}.mat") for part in ("train", "test")]
    train, test = (_part(path, frame) for path in paths)
    return train, test


def _part(path: Path, frame: Frame) -> Frames:
    try:
        held = parse_mat5(read_bytes(path))
        x, y = held["x"], held["y"]
    except (KeyError, ValueError) as error:
        raise damaged(path, f"no arrays x and y: {error}") from error
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.ndim == y.ndim == 3):
        raise damaged(path, "x and y are no arrays of samples, steps and channels")
    if x.shape[:2] != y.shape[:2] or x.shape[2] != _CHANNELS or y.shape[2] != WAVES or not x.size:
        raise damaged(path, f"x has the shape {x.shape}, y {y.shape}; expected (n, steps, 4) and (n, steps, 6)")
    if not (np.isin(x, (-1, 0, 1)).all() and np.isin(y, (0, 1)).all()):
        raise damaged(path, "x holds other numbers than -1, 0 and 1, or y others than 0 and 1")
    labels = _labels(checked_labels(y.argmax(axis=2), WAVES, path), frame)
    return as_frames("ecg", [path] * len(x), _recordings(x), labels, frame, WAVES)


def _labels(labels: NDArray[np.int32], frame: Frame) -> NDArray[np.int32]:
    """Return the label in the middle of each step of a frame, ``(n, frame.n_steps)``; after the end the last one."""
    middle_us = (np.arange(frame.n_steps) + 0.5) * frame.duration_us / frame.n_steps
    at = np.minimum((middle_us // _STEP_US).astype(np.int64), labels.shape[1] - 1)
    return labels[:, at]


def _recordings(x: NDArray[np.float64]) -> Iterator[EventFile]:
    for sample in x:
        step, channel = np.nonzero(sample == 1)
        yield EventFile(
            time_us=step.astype(np.int64) * _STEP_US,
            place=(channel,),
            shape=None,
            camera="two leads of an electrocardiogram",
            dropped=counted(values_of_minus_one=int((sample == -1).sum())),
        )
