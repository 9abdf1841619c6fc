"""``EventFile``: the events of one recording as its file tells them, and clocks that run over or start anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import DataError

MOST_BACK_US = 10_000
"""Events of real files step back by some microseconds at most; a larger step is a clock that started anew."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventFile:
    """The events of one recording, in the order of the file.

    Attributes:
        time_us: microseconds, int64; of cameras from the first event on, of other files as they stand there.
        place: one int array for each axis of the sensor: polarity (1 is ON), row and column from the upper left corner of a
            camera, or the channel.
        shape: of the sensor, ``(2, height, width)`` or ``(channels,)``; None where the file does not tell.
        camera: format and camera in words, for messages.
        dropped: what the file holds besides events of pixels, by kind, and how many there are; left out here.
    """

    time_us: NDArray[np.int64]
    place: tuple[NDArray[np.signedinteger[Any]], ...]
    shape: tuple[int, ...] | None
    camera: str
    dropped: Mapping[str, int] = field(default_factory=dict)


def counted(**kinds: int) -> dict[str, int]:
    """Return the kinds that occurred, in words, with their numbers."""
    return {kind.replace("_", " "): n for kind, n in kinds.items() if n}


def unwrapped(time: NDArray[Any], bits: int) -> NDArray[np.int64]:
    """Return the times of a clock of ``bits`` bits as int64 that do not run over: each step is the one nearest to 0.

    >>> unwrapped(np.array([254, 255, 3, 2, 250]), 8).tolist()
    [254, 255, 259, 258, 250]
    """
    whole, half = time.astype(np.int64), 1 << (bits - 1)
    step = np.diff(whole)
    if step.size and (step.min() < -half or step.max() > half):
        turns = np.cumsum((step < -half).astype(np.int64) - (step > half))
        whole[1:] += turns << bits
    return whole


def check_clock(time_us: NDArray[np.int64], path: Path) -> None:
    """Refuse times that step back by more than ``MOST_BACK_US``, and times that lie too far apart for 64 bits.

    Raises:
        DataError: naming the event, and the times before and after.
    """
    if not time_us.size:
        return
    first, last = int(time_us.min()), int(time_us.max())
    if last - first >= 2**63:
        raise DataError(
            f"data: {path}: times of {first} and {last} us are further apart than 64 bits count; the file is damaged"
        )
    step = np.diff(time_us)
    if not step.size or step.min() >= -MOST_BACK_US:
        return
    at = int(np.flatnonzero(step < -MOST_BACK_US)[0])
    before, after = ((int(time_us[i]) - int(time_us[0])) / 1e6 for i in (at, at + 1))
    raise DataError(
        f"data: {path}: the clock starts anew at event {at + 1}, where {before:.6f} s after the first event are followed by "
        f"{after:.6f} s; cut the file there, each part is a recording of its own"
    )


def from_first(time_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return times counted from the first event."""
    return time_us - time_us[:1] if time_us.size and time_us[0] else time_us
