"""Measured speed of the engine ``event`` compared with other simulators that compute the same integers.

Contestants take turns within each round, so that other load on the machine affects all of them alike. A row holds medians
over the rounds; it has a ratio only if the spikes are equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

import numpy as np

from neurodeploy.bench.speed.claims import CLAIMS, Case
from neurodeploy.bench.speed.counts import core_events, core_fans, core_labels
from neurodeploy.bench.speed.networks import MODEL, make_network, random_samples
from neurodeploy.bench.speed.peers import PEERS, Peer, Turns
from neurodeploy.engines.event.run import kernel_names, run_event
from neurodeploy.engines.fastest import run_fastest, settle, ways_of
from neurodeploy.errors import LavaError, SimulationError, UsageError
from neurodeploy.files.loops import instruction_set
from neurodeploy.network import (
    Cuba,
    Network,
)
from neurodeploy.network.activity import Activity, Samples

Row: TypeAlias = dict[str, Any]


CASES = tuple(table.case(instruction_set()) for table in CLAIMS.cases)
"""The cases of ``claims.toml``, whose results stand in the documentation."""
BAR_RATE = CLAIMS.bar_rate
"""Bars over peers other than Lava hold at this input rate, in spikes a channel and step."""
_OWN: dict[str, Cuba] = {"CUBA": MODEL, "IF": Cuba(current_decay=4096, voltage_decay=0, threshold=1)}


@dataclass(frozen=True, slots=True)
class _Ours:
    """A configuration of the engine ``event``: neuron kind, batch size, counts for energy on or off."""

    neuron: str
    batch: int
    counts: bool


def bench_simulate(
    *,
    cases: Sequence[Case] = CASES,
    peers: Mapping[str, Peer] | None = None,
    rounds: int = 3,
    threads: int = 2,
    progress: Callable[[Row], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Row]:
    """Return a row for each case, peer and batch size, with median times over the rounds for one sample.

    Columns: ``network``, ``density``, ``rate``, ``neuron``, ``batch``, ``threads``, ``isa``, ``kernel``, ``counts``, ``ms``,
    ``peer``, ``peer_batch``, ``peer_threads``, ``peer_ms``, ``ratio``, ``equal``, ``bar``, ``met``. A peer whose spikes
    differ has no ratio.

    Args:
        cases: cases to run; the documentation shows ``CASES``.
        peers: peers to run; by default those of ``PEERS`` that can run here.
        rounds: how often each contestant is timed.
        threads: threads of the event-driven engine for batches; a single sample always runs on one.
        progress: called with each row as soon as it is measured; all cases take some minutes.
        say: called with a line for each peer that is left out, and why.

    Raises:
        UsageError: for fewer than one round.
    """
    if rounds < 1:
        raise UsageError(f"bench: rounds is {rounds}, must be at least 1")
    say = say or (lambda _: None)
    peers = available_peers(say=say) if peers is None else peers
    rows = []
    for case in cases:
        for row in _rows(case, {n: p for n, p in peers.items() if case.rate <= p.most_rate}, rounds, threads, say):
            rows.append(row)
            if progress is not None:
                progress(row)
    return rows


def available_peers(names: Sequence[str] = (), *, say: Callable[[str], None] | None = None) -> dict[str, Peer]:
    """Return the peers of these names (by default all) that can run here; ``say`` is called for each that cannot.

    Raises:
        UsageError: for an unknown name.
    """
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise UsageError(f"bench: unknown peer '{unknown[0]}'; known: {', '.join(PEERS)}")
    found = {}
    for name, peer in PEERS.items():
        if names and name not in names:
            continue
        reason = peer.available()
        if reason is None:
            found[name] = peer
        elif say is not None:
            say(f"bench: peer {name} is left out: {reason}")
    return found


def _rows(case: Case, peers: Mapping[str, Peer], rounds: int, threads: int, say: Callable[[str], None]) -> list[Row]:
    if not peers:
        return []
    kinds = dict.fromkeys(peer.neuron for peer in peers.values())
    networks = {n: make_network(case.network, case.density, case.rate, model=_OWN[n]) for n in kinds}
    samples = random_samples(next(iter(networks.values())), max(case.bars), case.rate, np.random.default_rng(2))
    contest = _Contest(case, networks, samples, threads)
    pairs = [(name, ours) for name, peer in peers.items() for ours in _ours(case, peer)]
    own, others, equal = contest.run(peers, list(dict.fromkeys(ours for _, ours in pairs)), rounds, say)
    return [
        contest.row(ours, median(own[ours]))
        | _against(case, name, peers[name], ours.batch, median(own[ours]), median(others[name]), equal[name])
        for name, ours in pairs
        if name in equal
    ]


@dataclass(frozen=True, slots=True)
class _Contest:
    """One case: its network with each kind of neuron, the input that all of them get, and the threads of the engine."""

    case: Case
    networks: Mapping[str, Network]
    samples: Samples
    threads: int

    def run(
        self, peers: Mapping[str, Peer], variants: Sequence[_Ours], rounds: int, say: Callable[[str], None]
    ) -> tuple[dict[_Ours, list[float]], dict[str, list[float]], dict[str, bool]]:
        """Time the engine and the peers in turns; return their seconds per sample, and which peers gave equal spikes."""
        own: dict[_Ours, list[float]] = {ours: [] for ours in variants}
        others: dict[str, list[float]] = {name: [] for name in peers}
        equal: dict[str, bool] = {}
        first = {n: run_event(network, self.samples.take(0, 1)) for n, network in self.networks.items()}
        with ExitStack() as stack:
            turns = {
                name: stack.enter_context(closing(peer.start(self.networks[peer.neuron], self.samples)))
                for name, peer in peers.items()
            }
            for _ in range(rounds):
                for ours, times in own.items():
                    times.append(self.seconds(ours))
                for name in [name for name in turns if len(others[name]) < peers[name].most_turns]:
                    if (turn := _turn(turns[name], self.case, say)) is None:
                        del turns[name]
                        equal.pop(name, None)
                        continue
                    others[name].append(turn[0])
                    equal[name] = equal.get(name, True) and _equal(first[peers[name].neuron], turn[1])
        return own, others, equal

    def seconds(self, ours: _Ours) -> float:
        """Return the time of one configuration for one sample."""
        part = self.samples.take(0, ours.batch)
        return _seconds(self.networks[ours.neuron], part, min(self.threads, ours.batch), ours.counts)

    def row(self, ours: _Ours, seconds: float) -> Row:
        """Return the columns of a row that describe the engine: ``kernel`` is ``lanes`` where they were the faster way."""
        network, threads = self.networks[ours.neuron], min(self.threads, ours.batch)
        in_lanes = not ours.counts and ways_of(network, threads).choose(ours.batch)[0] == "lanes"
        return {
            "network": self.case.network,
            "density": self.case.density,
            "rate": self.case.rate,
            "neuron": ours.neuron,
            "batch": ours.batch,
            "threads": threads,
            "isa": instruction_set(),
            "kernel": "lanes" if in_lanes else "+".join(kernel_names(network)),
            "counts": ours.counts,
            "ms": 1e3 * seconds,
        }


def _turn(turns: Turns, case: Case, say: Callable[[str], None]) -> tuple[float, Activity] | None:
    """Return the next timing of a peer, or None where it cannot run the network or failed."""
    try:
        return next(turns, None)
    except (SimulationError, LavaError) as error:
        say(f"{error} ({case.network} at {case.density:.0%} density, {case.rate:.0%} rate)")
        return None


def _ours(case: Case, peer: Peer) -> list[_Ours]:
    """Return the configurations that a peer is compared with: a peer that counts, only with single samples."""
    batches = [b for b in case.bars if peer.batch in (None, b) and (b == 1 or not peer.counts)]
    return [_Ours(peer.neuron, batch, peer.counts) for batch in batches]


def _against(case: Case, name: str, peer: Peer, batch: int, ours: float, theirs: float, equal: bool) -> Row:
    holds = case.rate == BAR_RATE and not case.only_lava
    bar = case.bars[batch] if name == "lava" else peer.bar if holds else None
    ratio = theirs / ours if equal else None
    return {
        "peer": name,
        "peer_batch": peer.batch or 1,
        "peer_threads": 1,
        "peer_ms": 1e3 * theirs,
        "ratio": ratio,
        "equal": equal,
        "bar": bar,
        "met": None if bar is None else ratio is not None and ratio >= bar,
    }


def _seconds(network: Network, samples: Samples, threads: int, counts: bool) -> float:
    """Return the time of the engine for one sample, the median of as many runs as fill 50 ms."""
    labels, fans = (core_labels(network), core_fans(network)) if counts else (None, {})
    if not counts:
        settle(network, samples, threads)
    run_fastest(network, samples, threads=threads, labels=labels)
    taken: list[float] = []
    while sum(taken) < 0.05 or len(taken) < 3:
        begin = time.perf_counter()
        activity = run_fastest(network, samples, threads=threads, labels=labels)
        if counts:
            core_events(activity, fans)
        taken.append(time.perf_counter() - begin)
    return median(taken) / samples.n_samples


def _equal(whole: Activity, first: Activity) -> bool:
    """Return whether the first sample has the same spikes in both activities, over the steps that both have."""
    for name, events in first.spikes.items():
        ours, theirs = whole.spikes[name].take(0, 1), events.take(0, 1)
        n_steps = min(ours.n_steps, theirs.n_steps)
        if not np.array_equal(ours.to_dense()[:, :n_steps], theirs.to_dense()[:, :n_steps]):
            return False
    return True
