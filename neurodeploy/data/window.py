"""Whether the events of recordings lie in the time that is read: samples without an event, and the likely unit of time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import DataError

MOST_EMPTY = 0.25
"""Share of samples without an event from which on they are an error, not a warning."""
_TOO_SHORT = 100
_FACTORS = ((1e3, "1,000 times too long"), (1e6, "1,000,000 times too long"), (1e-3, "1,000 times too short"),
            (1e-6, "1,000,000 times too short"))  # fmt: skip


class DataWarning(UserWarning):
    """Data that can be used, but are probably not what was meant."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What was in recordings, one number each: all events, those in the time that is read, and the microsecond of the last.

    ``dropped`` counts what is no event of a pixel, by kind, over all recordings.
    """

    events: NDArray[np.int64]
    inside: NDArray[np.int64]
    last_us: NDArray[np.int64]
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_empty(self) -> int:
        """Number of samples without an event in the time that is read."""
        return int(np.count_nonzero(self.inside == 0))


def tell(message: str) -> None:
    """Warn of data that can be used, but are probably not what was meant."""
    warnings.warn(f"data: {message}", DataWarning, stacklevel=3)


def check_window(name: object, seen: Seen, duration_us: int, how: str = "data.duration_s") -> None:
    """Warn of samples without an event, and of events that crowd the begin of the time that is read.

    Args:
        name: of the data set or file.
        seen: what was in its recordings.
        duration_us: the time that is read, from the begin of each recording.
        how: what sets this time, for messages.

    Raises:
        DataError: where more than ``MOST_EMPTY`` of the samples have no event; names the likely factor of their times.
    """
    n_samples, n_empty = len(seen.events), seen.n_empty
    if not n_samples:
        return
    filled = seen.last_us[seen.events > 0]
    if n_empty:
        lost = 1 - seen.inside.sum() / max(int(seen.events.sum()), 1)
        hollow = int(np.count_nonzero(seen.events == 0))
        said = (
            f"{name}: {n_empty} of {n_samples} samples have no event in the first {_seconds(duration_us)}"
            f"{f' ({hollow} hold none at all)' if hollow else ''}; {lost:.1%} of all events lie elsewhere"
            f"{_likely(filled, duration_us, how)}"
        )
        if n_empty > MOST_EMPTY * n_samples:
            raise DataError(f"data: {said}")
        tell(said)
    elif filled.size and np.median(filled) * _TOO_SHORT < duration_us and (factor := _factor(filled, duration_us)):
        tell(
            f"{name}: the last event of the median sample comes at {_seconds(float(np.median(filled)))}, of "
            f"{_seconds(duration_us)} that are read. The times are probably {factor}: is their unit right?"
        )


def _factor(last_us: NDArray[np.int64], duration_us: int) -> str | None:
    """Return in words by how much the times are probably too long, where a unit makes them about as long as what is read."""
    median = float(np.median(last_us))
    return next((words for by, words in _FACTORS if 0.05 * duration_us <= median / by <= 1.5 * duration_us), None)


def _likely(last_us: NDArray[np.int64], duration_us: int, how: str) -> str:
    """Return what is to be done, as the end of a message."""
    if not last_us.size:
        return "; is it the right file?"
    factor, median = _factor(last_us, duration_us), _seconds(float(np.median(last_us)))
    if factor:
        last = f"the last event of the median sample comes at {median}"
        return f". The times are probably {factor} ({last}): is their unit right?"
    return f"; the last event of the median sample comes at {median}: set {how} to what the recordings last"


def _seconds(time_us: float) -> str:
    return f"{time_us / 1e6:.6g} s"
