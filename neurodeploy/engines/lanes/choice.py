"""The fastest of several ways to one result, chosen by measured time and kept for the life of the process.

All ways give the same bits, so a choice changes nothing but time; a key names what the time depends on (what is computed,
sizes, spikes by powers of two). ``Choices.table`` can be read, and set before a run to fix it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """A way to be timed: ``run`` does ``share`` of the whole work, on the caller's thread.

    The processor time of the thread counts, which other load on the machine hardly moves.
    """

    run: Callable[[], None]
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Choices:
    """Table of the fastest ways. ``forced``: names that are taken wherever they are offered, without a measurement."""

    table: dict[Hashable, str] = field(default_factory=dict)
    forced: frozenset[str] = frozenset()

    def pick(self, key: Hashable, names: Sequence[str], trial: Callable[[str], Trial]) -> str:
        """Return the name of the fastest way; the first time for a key each trial runs a few times, the first uncounted."""
        offered = [name for name in names if name in self.forced] or list(names)
        if len(offered) == 1:
            return offered[0]
        if key not in self.table:
            times = {name: _seconds(trial(name)) for name in offered}
            self.table[key] = min(times, key=times.__getitem__)
        return self.table[key]


def _seconds(trial: Trial) -> float:
    trial.run()
    taken = []
    for _ in range(_ROUNDS):
        begin = time.thread_time()
        trial.run()
        taken.append(time.thread_time() - begin)
    return min(taken) / trial.share


SHARED = Choices()
"""The table of this process."""


def size_class(n: float) -> int:
    """Return the class of a count for a key: counts of one class differ by less than a factor of 1.5."""
    return round(2 * math.log2(max(n, 1)))
