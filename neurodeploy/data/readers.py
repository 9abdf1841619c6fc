"""Files of events by suffix, and N-MNIST's ``.bin`` files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from neurodeploy.data.aedat import read_aedat
from neurodeploy.data.files import damaged, read_bytes, suffix_of
from neurodeploy.data.prophesee import read_dat, read_raw
from neurodeploy.data.recording import EventFile, check_clock, counted

_CLOCK_ROW = 240
_CLOCK_US = 2**13


def read_bin(path: Path) -> EventFile:
    """Return the events of a file of 5 bytes an event, as N-MNIST and N-Caltech101 have them.

    An event is x, y, polarity (1 is ON) and 23 bits of time in microseconds (Orchard et al., 2015). One with y = 240 is no
    pixel: the clock ran over, and 2^13 us are added to the times from there on (``Read_Ndataset.m`` of the set's authors).

    Raises:
        DataError: for a damaged file, or a clock that starts anew.
    """
    data = read_bytes(path)
    if len(data) % 5:
        raise damaged(path, f"{len(data)} bytes are no multiple of 5")
    rows = np.frombuffer(data, np.uint8).reshape(-1, 5)
    high = rows[:, 2].astype(np.int64)
    time_us = (high & 127) << 16 | rows[:, 3].astype(np.int64) << 8 | rows[:, 4]
    polarity, y, x = (high >> 7), rows[:, 1].astype(np.int64), rows[:, 0].astype(np.int64)
    marker = y == _CLOCK_ROW
    if marker.any():
        time_us += np.cumsum(marker) * _CLOCK_US
        time_us, polarity, y, x = (array[~marker] for array in (time_us, polarity, y, x))
    check_clock(time_us, path)
    return EventFile(
        time_us=time_us,
        place=(polarity, y, x),
        shape=None,
        camera="events of 5 bytes",
        dropped=counted(marks_of_the_clock=int(marker.sum())),
    )


def read_events(path: Path, camera: str | None = None) -> EventFile:
    """Return the events of a file of a suffix of ``EVENT_FILES``, also packed as ``.gz``.

    Args:
        camera: for AEDAT files that name none.

    Raises:
        DataError: for a damaged file, or one of another format.
    """
    read = EVENT_FILES[suffix_of(path)]
    return read_aedat(path, camera) if read is read_aedat else read(path)


EVENT_FILES: dict[str, Callable[[Path], EventFile]] = {
    ".aedat": read_aedat,
    ".aedat4": read_aedat,
    ".raw": read_raw,
    ".dat": read_dat,
    ".bin": read_bin,
    ".bs2": read_bin,
}
"""Readers by suffix."""
