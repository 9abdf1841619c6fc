"""The engine ``event``: spike by spike, or 64 samples side by side in lanes, whichever is measured faster; the same bits.

Which way is faster depends on the network, the rate of its spikes and the processor. So the first seconds of a network's
runs go spike by spike, then a few groups of samples run in lanes, and from then on all that fill a group go the faster way.
A run of less than that never pays for the compilation of the lanes' loops.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from neurodeploy.engines.checks import Labels, Progress, join_activities
from neurodeploy.engines.dynamics import Overflow
from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.lanes.run import AT_ONCE, bytes_a_step, refusal, run_lanes
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples

WORTH_S = 5.0
"""Seconds of a network's runs before lanes are tried: their loops load in 0.2 s, or are compiled in 12 s, once a machine."""
_TRIES = 4
"""Groups of samples that run in lanes before the ways are compared; the first, which loads the loops, is not timed."""
_MOST_BYTES = 2**28
"""Memory of a group in lanes, which grows with the steps; longer recordings run spike by spike."""
_UNTIMED = 512
"""Samples that run spike by spike before anything is known of their time."""


def run_fastest(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    labels: Labels | None = None,
    on_overflow: Overflow = "report",
    progress: Progress | None = None,
    threads: int | None = None,
) -> Activity:
    """Run the network on samples and return the activity, equal to that of ``run_event`` and ``run_reference``.

    Runs with probes or labels, of other neurons than CUBA, of recurrent networks and of fewer than 64 samples go spike by
    spike.

    Args:
        n_steps, probe, labels, on_overflow, progress, threads: as in ``run_event``.

    Raises:
        SimulationError: as in ``run_reference``.
    """
    options: dict[str, Any] = {"n_steps": n_steps, "on_overflow": on_overflow, "threads": threads}
    alone = probe or labels is not None or on_overflow not in ("report", "error")
    if alone or samples.n_samples < AT_ONCE or not takes_lanes(network, n_steps or samples.n_steps + network.depth):
        return run_event(network, samples, probe=probe, labels=labels, progress=progress, **options)
    ways = ways_of(network, threads)
    parts: list[Activity] = []
    done = 0

    def told(of_part: int, _: int) -> None:
        if progress is not None:
            progress(done + of_part, samples.n_samples)

    while done < samples.n_samples:
        way, n = ways.choose(samples.n_samples - done)
        part = samples if n == samples.n_samples else samples.take(done, done + n)
        run = run_lanes if way == "lanes" else run_event
        begin = time.perf_counter()
        parts.append(run(network, part, progress=told, **options))
        ways.note(way, n, time.perf_counter() - begin)
        done += n
    activity = parts[0] if len(parts) == 1 else join_activities(parts)
    return replace(activity, engine="event")


@dataclass(slots=True)
class Ways:
    """Measured seconds of a sample, by way, and the choice that follows from them.

    Attributes:
        event_s, lanes_s: seconds of a sample by each way: of the tries the least, from then on a moving mean, so that no
            single run beside other load moves a choice; infinite before the first that counts.
        spent_s: seconds of all runs spike by spike.
        tries: groups that ran in lanes, up to ``_TRIES``.
    """

    event_s: float = float("inf")
    lanes_s: float = float("inf")
    spent_s: float = 0.0
    tries: int = 0

    @property
    def settled(self) -> bool:
        """Whether both ways were measured."""
        return self.tries >= _TRIES

    def choose(self, n_samples: int) -> tuple[str, int]:
        """Return the way, ``event`` or ``lanes``, that the next of ``n_samples`` samples go, and how many of them."""
        groups = n_samples // AT_ONCE
        if groups == 0:
            return "event", n_samples
        if self.settled:
            return ("lanes", groups * AT_ONCE) if self.lanes_s < self.event_s else ("event", n_samples)
        left = WORTH_S - self.spent_s
        if left <= 0:
            return "lanes", AT_ONCE
        known = self.event_s < float("inf")
        n = max(_UNTIMED, int(left / self.event_s) // AT_ONCE * AT_ONCE) if known else _UNTIMED
        return "event", min(n, n_samples)

    def note(self, way: str, n_samples: int, seconds: float) -> None:
        """Take the time of a run."""
        own = seconds / n_samples
        if way == "event":
            self.event_s = _moved(self.event_s, own) if self.settled else min(self.event_s, own)
            self.spent_s += seconds
            return
        if self.settled:
            self.lanes_s = _moved(self.lanes_s, own)
        elif self.tries > 0:
            self.lanes_s = min(self.lanes_s, own)
        self.tries = min(self.tries + 1, _TRIES)


def _moved(mean: float, own: float) -> float:
    return own if mean == float("inf") else mean + (own - mean) / 4


_bytes_a_step: WeakKeyDictionary[Network, float] = WeakKeyDictionary()
_known: WeakKeyDictionary[Network, dict[int | None, Ways]] = WeakKeyDictionary()


def takes_lanes(network: Network, n_steps: int) -> bool:
    """Return whether lanes can run a network for so many steps, in memory that nobody misses."""
    if network not in _bytes_a_step:
        _bytes_a_step[network] = float("inf") if refusal(network) else bytes_a_step(network)
    return _bytes_a_step[network] * n_steps <= _MOST_BYTES


def ways_of(network: Network, threads: int | None) -> Ways:
    """Return what is known of a network's ways with so many threads; it is kept as long as the network exists."""
    return _known.setdefault(network, {}).setdefault(threads, Ways())


def settle(network: Network, samples: Samples, threads: int | None = None) -> Ways:
    """Measure both ways in turns on the samples, of which there are 64 at least, and return what is known of them."""
    ways = ways_of(network, threads)
    if samples.n_samples >= AT_ONCE and takes_lanes(network, samples.n_steps + network.depth):
        while not ways.settled:
            begin = time.perf_counter()
            run_event(network, samples, threads=threads)
            ways.note("event", samples.n_samples, time.perf_counter() - begin)
            ways.spent_s = max(ways.spent_s, WORTH_S)
            run_fastest(network, samples, threads=threads)
    return ways
