"""The table ``[data]`` of a first recipe for files and folders of a user: what can be told from the samples themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.data.dense import of_dense
from neurodeploy.data.fields import Dense, Lists, Values
from neurodeploy.data.own import is_own, is_table, recordings_in, understand
from neurodeploy.data.readers import read_events
from neurodeploy.data.reading import Reading
from neurodeploy.data.recording import EventFile
from neurodeploy.errors import DataError, FileError
from neurodeploy.network.activity import SAMPLES_IN_THREE_LINES, Samples, is_samples_file, load_samples

_STEPS_OF_VALUES, _STEPS_OF_RECORDINGS = 16, 20
_SHORTEST_S, _LONGEST_S = 1e-3, 100.0
"""Range of ``data.duration_s``."""


def keys_of_own(path: Path) -> dict[str, Any]:
    """Return ``path``, ``encoding`` and ``n_steps``, and what else training needs to read samples of one's own.

    Values become spikes by their rate. Recordings are read to the end of the longest, cut into 20 steps; a sensor that no
    file tells ends at the last event.

    Raises:
        DataError: for what is neither a file of samples or events nor a folder of events, and for damaged files.
        FileError: if there is nothing at the path.
    """
    if not path.exists():
        raise FileError(f"recipe: there is no file or folder {path}")
    return {"path": str(path), **_keys(path)}


def _keys(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz" and is_samples_file(path):
        return _of_frames(load_samples(path))
    if not is_own(path):
        raise DataError(
            f"data: {path} is neither a file of samples or events nor a folder of events. What makes a file of samples:\n"
            f"{SAMPLES_IN_THREE_LINES}"
        )
    if path.is_dir():
        return _of_recordings(recordings_in(path))
    if not is_table(path):
        return _of_recordings([read_events(path, None)])
    meant = understand(path, Reading())
    if isinstance(meant, Values):
        return {"encoding": "rate", "n_steps": _STEPS_OF_VALUES}
    if isinstance(meant, Dense):
        return _of_frames(of_dense(meant, str(path), None))
    return _of_lists(meant)


def _of_frames(samples: Samples) -> dict[str, Any]:
    counts = any(e.payload is not None and (e.payload != 1).any() for e in samples.inputs.values())
    return {"encoding": "frames", **({"frames": "counts"} if counts else {}), "n_steps": samples.n_steps}


def _of_lists(meant: Lists) -> dict[str, Any]:
    found = _of_recordings(meant.recordings)
    if meant.n_steps is None:
        return found
    last = max((int(r.time_us.max()) for r in meant.recordings if r.time_us.size), default=0)
    del found["duration_s"]
    return {**found, "n_steps": meant.n_steps or last + 1}


def _of_recordings(recordings: Iterable[EventFile]) -> dict[str, Any]:
    last, reach, told = 0, [], False
    for recording in recordings:
        told = told or recording.shape is not None
        if recording.time_us.size:
            last = max(last, int(recording.time_us.max()))
            reach.append([int(axis.max()) + 1 for axis in recording.place])
    sensor = {} if told or not reach else {"sensor": np.max(reach, axis=0).tolist()}
    return {
        "encoding": "frames",
        "n_steps": _STEPS_OF_RECORDINGS,
        "duration_s": _rounded_up((last + 1) / 1e6),
        **sensor,
    }


def _rounded_up(seconds: float) -> float:
    """Return the next number of two digits from ``seconds`` on, within the range of ``data.duration_s``.

    >>> _rounded_up(0.4991), _rounded_up(1.23), _rounded_up(3e-5)
    (0.5, 1.3, 0.001)
    """
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return min(max(round(math.ceil(seconds / unit) * unit, 9), _SHORTEST_S), _LONGEST_S)
