"""What a run in lanes costs: connections, spikes and neurons, at speeds that are measured on this machine once.

The three ways of summing (``sums.py``) take a time in proportion to connections x lanes, to connections x spikes, and to
spikes x neurons; the fastest counts. With AVX-512 at 3.7 GHz: 6e10 masked additions, 2e9 additions at single lanes and 7e10
additions of rows a second, and 4e9 neurons updated; with AVX2 2e10, 2e9, 4e10 and 2e9. So masks pay below a density of about
half the rate (a fifth with AVX2), rows above, and events where both are low.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from neurodeploy.engines.lanes.choice import Choices
from neurodeploy.engines.lanes.neurons import neurons_of, respond
from neurodeploy.engines.lanes.run import AT_ONCE, plan_of
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.engines.lanes.summing import Summing
from neurodeploy.engines.lanes.wiring import matrix_wiring
from neurodeploy.network import Cuba, Network

_SOURCES, _TARGETS, _DENSITY, _RATE, _STEPS = 256, 128, 0.1, 0.05, 16
_ROUNDS = 5
_LAYER_S = 2e-4
"""Seconds of a layer beside its compiled loops, for each 64 samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Operations a second: additions of the three ways, and updates of a neuron in a lane; and seconds of a spike.

    ``spike_s``: to turn the bits of a layer into lists and events.
    """

    masks: float
    events: float
    rows: float
    neurons: float
    spike_s: float


@lru_cache(maxsize=1)
def speeds() -> Speeds:
    """Return the speeds of this machine, measured on a small layer at the first call (some milliseconds)."""
    rng = np.random.default_rng(0)
    span = Span(_STEPS, AT_ONCE)
    position = np.flatnonzero(rng.random((_TARGETS, _SOURCES)) < _DENSITY)
    given = Spikes.of_raster(rng.random((AT_ONCE, _SOURCES, _STEPS)) < _RATE)
    work = {
        "masks": position.size * span.width,
        "events": position.size * given.n_spikes / _SOURCES,
        "rows": _TARGETS * given.n_spikes,
    }
    taken = {}
    for way in work:
        summing = Summing(matrix_wiring((_TARGETS, _SOURCES), position), choices=Choices(forced=frozenset([way])))
        summing.set(rng.integers(1, 100, position.size).astype(np.int16))
        taken[way] = _seconds(lambda own=summing: own.each_block(given, lambda *_: None))  # type: ignore[misc]
    sums = summing.sums(given)
    neurons = neurons_of(Cuba(current_decay=1024, voltage_decay=128, threshold=200), _TARGETS)
    bits, nowhere = np.zeros((_TARGETS, span.width // 64), np.uint64), np.zeros((0, span.stride), np.float32)
    update = _seconds(lambda: respond(sums, neurons, span, 0, 0, bits, nowhere))
    listed = _seconds(lambda: given.fresh().to_events())
    return Speeds(
        **{way: n / taken[way] for way, n in work.items()},
        neurons=_TARGETS * span.width / update,
        spike_s=listed / given.n_spikes,
    )


def lanes_seconds(network: Network, n_samples: int, n_steps: int, rate: float, measured: Speeds | None = None) -> float:
    """Return how long ``run_lanes`` takes on one thread, about.

    Args:
        network: one that lanes take.
        n_samples, n_steps: of the run.
        rate: spikes a channel or neuron and step, 0..1.
        measured: speeds; by default those of this machine.
    """
    own = measured or speeds()
    plan = plan_of(network)
    spans = [Span(n_steps, min(AT_ONCE, n_samples - first)) for first in range(0, n_samples, AT_ONCE)]
    lanes = sum(span.width for span in spans)
    total = len(spans) * len(plan.order) * _LAYER_S
    for population in plan.order:
        for arrivals in plan.arrivals[population.name]:
            wiring = arrivals.summing.wiring
            connections = wiring.n_connections * lanes
            ways = [connections / own.masks, connections * rate / own.events]
            if wiring.geometry is None:
                ways.append(wiring.n_targets * wiring.n_sources * lanes * rate / own.rows)
            total += min(ways)
        total += population.size * lanes * (1 / own.neurons + rate * own.spike_s)
    return total


def _seconds(work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return min(taken)
