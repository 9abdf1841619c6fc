"""Latency: the time of each step, the core that decides it, and the time of a sample.

Two rules, named by the chip file (``latency.model``):

- ``messages``: ``max(max over cores of sending, max over cores of receiving) + barrier``. Sending is the time for all
  neurons of the core plus the time for the messages it sends; receiving is the time for the arrival of messages plus the
  time for their synapses. This is the ``simple`` mode of SANA-FE 2.2.9.
- ``slowest-unit``: the largest of synapse time, neuron time and barrier over all cores (Intel's lava-dl YOLO-KP
  benchmark script), and of the time of the messages over the link of each chip, where it has one. Every neuron of a core is
  updated in every step. Of the terms of Intel's runtime model (Timcheck, Pierro and Shrestha, arXiv 2601.10035) reads of
  synaptic memory and links within a chip have no public constants.

The update of a neuron takes as many passes of microcode as ``latency.updates_per_step`` says for its kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import PLAIN_KINDS, Count, Grade, Quantity
from neurodeploy.chip import Latency as Times
from neurodeploy.costs.counts import Counts
from neurodeploy.costs.record import (
    TIE,
    Band,
    Binding,
    Coverage,
    HostInput,
    Latency,
    Resource,
    Spread,
    Trace,
    Unpriced,
    WorstStep,
    best_grade,
    weakest,
)
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network, NeuronModel, SigmaDelta

Floats: TypeAlias = NDArray[np.float64]
Level: TypeAlias = Literal[0, 1, 2]
"""Index of a price level: low, nominal or high."""


def passes_key(model: NeuronModel) -> str:
    """Return the key of ``latency.updates_per_step`` for a neuron model."""
    if model.kind in PLAIN_KINDS:
        return "lif"
    return f"sdn_{model.activation}" if isinstance(model, SigmaDelta) else model.kind


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Step times of a chunk of samples at one price level; ``time`` in seconds, ``(n_samples, n_steps)``.

    ``busy``: times of each core, of which the longest counts, each ``(n_samples, n_steps, n_cores)``; ``fixed``: the parts
    of these that do not depend on events, each ``(n_cores,)``; ``barrier`` is added to the longer time, or is its
    lower bound, depending on the rule.
    """

    time: Floats
    busy: tuple[Floats, ...]
    fixed: tuple[Floats, ...]
    barrier: float


class _Clock:
    """Prices of time at one level; a missing price counts 0 and is recorded with the number of events that needed it."""

    def __init__(self, times: Times, level: Level) -> None:
        self.times, self.level = times, level
        self.missing: dict[str, int] = {}
        self.grades: set[Grade] = set()

    def price(self, name: str, amount: int) -> float:
        """Return the seconds for one event, of which ``amount`` happened; ``name`` is a field, or ``synop.FORMAT``."""
        table, _, fmt = name.partition(".")
        found: dict[str, Quantity] | Quantity | None = getattr(self.times, table)
        return self.of(found.get(fmt) if isinstance(found, dict) else found, name, amount)

    def of(self, quantity: Quantity | None, name: str, amount: int) -> float:
        self._note(quantity, name, amount)
        return 0.0 if quantity is None else quantity.si[self.level]

    def passes(self, model: NeuronModel, amount: int) -> int:
        """Return the passes of one update; one where the file has none, which is recorded for kinds other than CUBA."""
        key = passes_key(model)
        count = self.times.updates_per_step.get(key)
        self._note(count, f"updates_per_step.{key}", 0 if model.kind in PLAIN_KINDS else amount)
        return 1 if count is None else count.value

    def _note(self, found: Quantity | Count | None, name: str, amount: int) -> None:
        """Record the grade of a figure that was needed, or that it is missing."""
        if amount and found is not None:
            self.grades.add(found.grade)
        elif amount:
            self.missing[name] = self.missing.get(name, 0) + amount


def message_steps(counts: Counts, clock: _Clock, mapping: Mapping, network: Network) -> Steps:
    """Return the steps of the ``messages`` rule."""
    updated = counts.updated_low if clock.level == 0 else counts.updated
    updated = updated * _most_passes(clock, updated, mapping, network)
    fixed = counts.neurons * clock.price("neuron_access", counts.accessed)
    send = np.broadcast_to(fixed, updated.shape).astype(np.float64)
    for name, amount in (("neuron_update", updated), ("spike_out", counts.fired), ("message_out", counts.messages_out)):
        send = send + amount * clock.price(name, int(amount.sum()))
    receive = counts.messages_in * clock.price("message_in", int(counts.messages_in.sum()))
    receive = _with_reads(receive, counts, clock)
    barrier = _barrier(clock, mapping, counts)
    time = np.maximum(send.max(axis=2), receive.max(axis=2)) + barrier
    return Steps(time, (send, receive), (fixed, np.zeros_like(fixed)), barrier)


def unit_steps(counts: Counts, clock: _Clock, mapping: Mapping, network: Network) -> Steps:
    """Return the steps of the ``slowest-unit`` rule."""
    synapses = _with_reads(np.zeros(counts.fired.shape), counts, clock)
    fixed = _passes(clock, counts, mapping, network) * clock.price("neuron_update", counts.accessed)
    barrier = _barrier(clock, mapping, counts)
    links = _links(clock, counts, mapping)
    time = np.maximum(np.maximum(synapses, links).max(axis=2), max(float(fixed.max()), barrier))
    if clock.level == 2 and clock.times.step_observed is not None:
        time = np.maximum(time, clock.of(clock.times.step_observed, "step_observed", 1))
    none = np.zeros_like(fixed)
    return Steps(time, (synapses, np.broadcast_to(fixed, synapses.shape), links), (none, fixed, none), barrier)


def _links(clock: _Clock, counts: Counts, mapping: Mapping) -> Floats:
    """Return the time of the messages that leave each chip, at its first core, ``(n_samples, n_steps, n_cores)``."""
    links = np.zeros(counts.fired.shape)
    crossings = int(counts.crossings.sum())
    if not crossings:
        return links
    graded = counts.messages_graded > 0 and clock.times.chip_link_graded is not None
    price = clock.price("chip_link_graded" if graded else "chip_link", crossings)
    chips = np.array([load.chip for load in mapping.cores])
    for chip in np.unique(chips):
        own = chips == chip
        links[..., int(np.argmax(own))] = counts.crossings[..., own].sum(axis=2) * price
    return links


RULES: dict[str, Callable[[Counts, _Clock, Mapping, Network], Steps]] = {
    "messages": message_steps,
    "slowest-unit": unit_steps,
}
_RESOURCES: dict[str, tuple[Resource, ...]] = {
    "messages": ("neurons and sending", "receiving and synapses"),
    "slowest-unit": ("synapses", "neurons", "link between chips"),
}


def _barrier(clock: _Clock, mapping: Mapping, counts: Counts) -> float:
    """Return the time of the barrier: the last row whose ``tiles`` is not above the tiles in use, as in SANA-FE 2.2.9.

    Over several chips ``barrier_multichip`` counts; if the chip file lacks it, the time of one chip is used and the lack is
    named.
    """
    steps = counts.fired.shape[0] * counts.fired.shape[1]
    if mapping.n_chips > 1:
        over_chips = clock.price("barrier_multichip", steps)
        if clock.times.barrier_multichip is not None:
            return over_chips
    tiles = mapping.n_tiles or 1
    rows = clock.times.barrier
    row = next((row for row in reversed(rows) if row.tiles <= tiles), rows[0] if rows else None)
    return clock.of(row.time if row else None, "barrier", steps)


def _with_reads(total: Floats, counts: Counts, clock: _Clock) -> Floats:
    """Return times plus those of the synapses that each core reads in each step."""
    for table, amounts in (("synop", counts.synops), ("synop_graded", counts.synops_graded)):
        for fmt, amount in amounts.items():
            total = total + amount * clock.price(f"{table}.{fmt}", int(amount.sum()))
    return total


def _passes(clock: _Clock, counts: Counts, mapping: Mapping, network: Network) -> Floats:
    """Return the microcode passes of all neurons of each core in a step."""
    steps = counts.fired.shape[0] * counts.fired.shape[1]
    of = {p.name: clock.passes(p.model, p.size * steps) for p in network.populations}
    return np.array(
        [sum(n.size * of.get(name, 1) for name, n in load.neurons.items()) for load in mapping.cores], np.float64
    )


def _most_passes(clock: _Clock, updated: NDArray[np.int64], mapping: Mapping, network: Network) -> NDArray[np.int64]:
    """Return the passes of an update on each core, int64 ``(n_cores,)``: where kinds share a core, those of the longest.

    CUBA neurons and leaky integrators take one, as the times of this rule are theirs.
    """
    models = {p.name: p.model for p in network.populations if p.model.kind not in PLAIN_KINDS}
    most = np.ones(len(mapping.cores), np.int64)
    for i, load in enumerate(mapping.cores):
        for name in load.neurons:
            if name in models:
                most[i] = max(most[i], clock.passes(models[name], int(updated[..., i].sum())))
    return most


@dataclass(slots=True, eq=False)
class LatencyBuilder:
    """Builder of a ``Latency``: ``add`` collects the step times of chunks of samples, ``finish`` makes the record.

    Args:
        injected: spikes that the host injects in each step, int64 ``(n_samples, n_steps)``.
        coverage: that of the chip's times, which limits their grade.
    """

    network: Network
    mapping: Mapping
    injected: NDArray[np.int64]
    coverage: Coverage | None
    step_period_s: float | None = None
    times: list[list[Floats]] = field(default_factory=lambda: [[], [], []])
    cores: list[NDArray[np.int64]] = field(default_factory=list)
    kinds: list[NDArray[np.int64]] = field(default_factory=list)
    clocks: list[_Clock] = field(default_factory=list)
    tops: list[Floats] = field(default_factory=list)
    barrier: float = 0.0
    safe_factor: float | None = None

    def add(self, counts: Counts) -> None:
        """Add the samples of one chunk."""
        rule = self._times.model
        if not self.clocks:
            self.clocks = [_Clock(self._times, level) for level in (0, 1, 2)]
        for level, clock in enumerate(self.clocks):
            steps = RULES[rule](counts, clock, self.mapping, self.network)
            self.times[level].append(steps.time)
            if level == 1:
                core, kind = _binding(steps, floor=rule == "slowest-unit")
                self.cores.append(core)
                self.kinds.append(kind)
                self.tops.append(np.max([busy.max(axis=2) for busy in steps.busy], axis=0))
                self.barrier = steps.barrier
                self._tighten(steps, rule)

    @property
    def _times(self) -> Times:
        times = self.mapping.chip.latency
        assert times is not None
        return times

    def _tighten(self, steps: Steps, rule: str) -> None:
        """Lower ``safe_factor`` to the growth of all events at which one of these steps takes the step period."""
        if self.step_period_s is None:
            return
        room = self.step_period_s - self.management[1] - (steps.barrier if rule == "messages" else 0.0)
        for busy, fixed in zip(steps.busy, steps.fixed):
            variable = busy.max(axis=(0, 1)) - fixed
            factor = float(((room - fixed)[variable > 0] / variable[variable > 0]).min(initial=np.inf))
            self.safe_factor = factor if self.safe_factor is None else min(self.safe_factor, factor)

    @property
    def management(self) -> tuple[float, float, float]:
        """Time that an embedded processor adds to each step, at the three levels; 0 if the chip file gives none."""
        return self._times.management.si if self._times.management is not None else (0.0, 0.0, 0.0)

    def safe_events(self, allowed_s: float, *, worst: bool) -> float | None:
        """Return the factor by which events may grow so that a sample still takes at most ``allowed_s``; None if it is late.

        All times of the cores except the barrier are assumed to grow with the events, so this is a lower bound.

        Args:
            worst: use the slowest sample, else the mean over samples.
        """
        tops, rule = np.concatenate(self.tops), self._times.model

        def sample_time(factor: float) -> float:
            steps = tops * factor + self.barrier if rule == "messages" else np.maximum(tops * factor, self.barrier)
            times = (steps + self.management[1]).sum(axis=1)
            return float(times.max() if worst else times.mean())

        low, high = 1.0, 2.0
        if sample_time(low) > allowed_s or not tops.any():
            return None
        while sample_time(high) <= allowed_s:
            low, high = high, 2 * high
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if sample_time(middle) <= allowed_s else (low, middle)
        return low

    def finish(self) -> Latency:
        """Return the record of all samples added."""
        levels, whole = self._levels()
        core, kind = np.concatenate(self.cores), np.concatenate(self.kinds)
        nominal = levels[1]
        grade = self._grade
        paced = None if self.step_period_s is None else [np.maximum(t, self.step_period_s) for t in whole]
        management = self._times.management
        managed = grade if management is None else weakest((grade, management.grade))
        return Latency(
            model=self._times.model,
            n_steps=nominal.shape[1],
            step_s=_spread([t.ravel() for t in levels], grade),
            sample_s=_spread([t.sum(axis=1) for t in levels], grade),
            management_s=Band.of(management) if management is not None else None,
            step_period_s=self.step_period_s,
            real_time_sample_s=None if paced is None else self._real_time(paced, grade),
            late_steps=None
            if self.step_period_s is None
            else int(np.count_nonzero(~fits_in_all(whole[1], self.step_period_s))),
            bindings=tuple(_bindings(core, kind, self._resources)),
            worst=_worst(nominal, core, kind, self._resources),
            trace=_trace(nominal, core),
            unpriced=tuple(self._unpriced()),
            notes=tuple(self._notes()),
            managed_step_s=_spread([t.ravel() for t in whole], managed),
            managed_sample_s=_spread([t.sum(axis=1) for t in whole], managed),
            host_input=self._host_input(),
        )

    @property
    def _grade(self) -> Grade:
        """The grade of the weakest time that counted, and no better than what the coverage of times allows."""
        return weakest((*(self.clocks[1].grades or {"guess"}), best_grade(self.coverage)))

    def _levels(self) -> tuple[list[Floats], list[Floats]]:
        """Return the times of all steps at the three levels, and the same with the management of each step."""
        levels = [np.concatenate(parts) for parts in self.times]
        return levels, [t + extra for t, extra in zip(levels, self.management)]

    def _host_input(self) -> HostInput | None:
        if not self.injected.any():
            return None
        spikes, price = float(self.injected.sum(axis=1).mean()), self._times.host_input
        if price is None:
            return HostInput(spikes=spikes, sample_s=None)
        levels = [self.injected.sum(axis=1) * seconds for seconds in price.si]
        return HostInput(spikes=spikes, sample_s=_spread(levels, price.grade), source=price.source)

    def with_host(self) -> tuple[Spread, Spread] | None:
        """Return the times of a step and of a sample with management and with the host's injection of the input.

        Steps that have a period last at least that long. None where the chip file has no time for an injected spike.
        """
        price = self._times.host_input
        if price is None:
            return None
        grade = weakest((self._grade, price.grade))
        levels = [t + self.injected * seconds for t, seconds in zip(self._levels()[1], price.si)]
        paced = [np.maximum(t, self.step_period_s or 0.0) for t in levels]
        return _spread([t.ravel() for t in levels], grade), _spread([t.sum(axis=1) for t in paced], grade)

    def _real_time(self, paced: list[Floats], grade: Grade) -> Spread:
        """Return the times of a sample if each step lasts at least the step period; exact if no step can be late."""
        exact = float(paced[2].max()) <= (self.step_period_s or 0.0)
        return _spread([t.sum(axis=1) for t in paced], "measured" if exact else grade)

    @property
    def _resources(self) -> tuple[Resource, ...]:
        return (*_RESOURCES[self._times.model], "barrier")

    def _unpriced(self) -> Iterable[Unpriced]:
        where = self.mapping.chip.source_file
        for name, amount in self.clocks[1].missing.items():
            reason = f"not available: latency.{name} is not in {where}; the times are at least those given"
            yield Unpriced(component=name, events=amount, reason=reason)

    def _notes(self) -> Iterable[str]:
        observed = self._times.step_observed
        if observed is not None and self._times.model == "slowest-unit":
            seen = f"{observed.nominal:g} {observed.unit} ({observed.source})"
            yield f"The high figures take a whole step as observed: {seen}."
        if self._times.host_input is None:
            yield "The host's input and output take time that no chip file gives: it is not in the times above."
        else:
            yield "The host's injection of the input is a line of its own; the time to read the output has no price."
        if self._times.management is not None:
            yield "Management by an embedded processor is a line of its own: it counts in verdicts, not in the times above."


def fits_in_all(needed: Floats, allowed: float) -> NDArray[np.bool_]:
    """Return for each figure whether it is at most a limit, ties included (``record.fits_in``)."""
    return np.less_equal(needed, allowed * (1 + TIE))


def _binding(steps: Steps, *, floor: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the core and the resource that decide each step: its place in ``busy``, or one more and core -1: the barrier.

    With ``floor`` the barrier is a lower bound of the step; else it is added, and decides only if no core is busy.
    """
    longest = [busy.argmax(axis=2) for busy in steps.busy]
    tops = [np.take_along_axis(busy, at[..., None], axis=2)[..., 0] for busy, at in zip(steps.busy, longest)]
    kind = np.argmax(tops, axis=0)
    core, top = np.take_along_axis(np.array(longest), kind[None], axis=0)[0], np.max(tops, axis=0)
    barrier = top <= steps.barrier if floor else top <= 0
    return np.where(barrier, -1, core), np.where(barrier, len(tops), kind)


def _bindings(core: NDArray[np.int64], kind: NDArray[np.int64], names: tuple[Resource, ...]) -> Iterable[Binding]:
    found = Counter(zip(core.ravel().tolist(), kind.ravel().tolist()))
    for (at, resource), n in found.most_common():
        yield Binding(core=None if at < 0 else at, resource=names[resource], steps=n)


def _worst(time: Floats, core: NDArray[np.int64], kind: NDArray[np.int64], names: tuple[Resource, ...]) -> WorstStep:
    sample, step = (int(i) for i in np.unravel_index(int(time.argmax()), time.shape))
    at = int(core[sample, step])
    return WorstStep(
        sample=sample,
        step=step,
        core=None if at < 0 else at,
        resource=names[int(kind[sample, step])],
        time_s=float(time[sample, step]),
    )


def _trace(time: Floats, core: NDArray[np.int64]) -> Trace:
    slowest = int(time.sum(axis=1).argmax())
    return Trace(
        sample=slowest,
        step_s=tuple(time[slowest].tolist()),
        core=tuple(None if c < 0 else c for c in core[slowest].tolist()),
        mean_s=tuple(time.mean(axis=0).tolist()),
        worst_s=tuple(time.max(axis=0).tolist()),
    )


def _spread(levels: list[Floats], grade: Grade) -> Spread:
    """Return mean, 99th percentile (the smallest time that 99 % of the values do not exceed) and worst case."""
    return Spread(
        mean=_band([float(t.mean()) for t in levels], grade),
        p99=_band([float(np.quantile(t, 0.99, method="inverted_cdf")) for t in levels], grade),
        worst=_band([float(t.max()) for t in levels], grade),
    )


def _band(values: list[float], grade: Grade) -> Band:
    return Band(low=values[0], nominal=values[1], high=values[2], grade=grade)
