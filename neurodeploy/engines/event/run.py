"""The event-driven engine: spikes and states of ``engines/reference.py``, at a cost in proportion to spikes times fan-out.

A network is compiled once to flat tables (``compile.py``), which are kept as long as the network exists; a run of samples is
one call of a compiled loop (``kernels.py``) for each thread. Memory grows with the stored synapses and the spikes of the
run; ``stream_event`` yields the activity batch by batch, so that a data set of any length runs in bounded memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import Labels, Progress, check_overflow, check_run, input_events, n_labels
from neurodeploy.engines.dynamics import Overflow
from neurodeploy.engines.event import kernels as k
from neurodeploy.engines.event.compile import Plan, compile_network
from neurodeploy.engines.event.every_kind import run_messages
from neurodeploy.engines.event.storage import aligned
from neurodeploy.engines.event.threads import in_order
from neurodeploy.errors import SimulationError
from neurodeploy.network import Network, sends_spikes_only
from neurodeploy.network.activity import Activity, Events, Samples, sorted_events

_PART = 256
"""Largest number of samples in one call of the compiled loop."""
_PART_COUNTS = 2**24
"""Counts of spikes (one for each sample, step and population) that a call may keep: 64 MiB."""
_FIRST_SPIKES = 2**18
"""Initial size of the spike buffer of a call; it grows eightfold when one sample needs more."""

_KEPT_SPIKES = 2**22
"""A spike buffer longer than this is not kept for the next call."""


def run_event(
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
    """Run the network on samples and return the activity; every spike and state equals that of ``run_reference``.

    Args:
        n_steps, probe, labels, on_overflow, progress: as in ``run_reference``.
        threads: number of threads that share the samples; by default one for each processor. Networks with other neurons
            than CUBA, and the choices ``"wrap"`` and ``"clip"``, run on one (``every_kind.py``).

    Raises:
        SimulationError: as in ``run_reference``.
    """
    steps = check_run(network, samples, n_steps, probe, labels, on_overflow)
    if threads is not None and threads < 1:
        raise SimulationError(f"simulate: threads is {threads}, must be at least 1")
    if on_overflow in ("wrap", "clip") or not sends_spikes_only(network):
        return run_messages(
            network, samples, steps=steps, probe=probe, labels=labels, on_overflow=on_overflow, progress=progress
        )
    run = _Run.of(network, samples, steps, probe, labels)
    threads = min(threads or processors(), samples.n_samples)
    parts: list[_Part] = []
    for part in _all_parts(run, samples.n_samples, threads):
        parts.append(part)
        if on_overflow == "error":
            check_overflow("event", run.overflow([part]))
        if progress is not None:
            progress(sum(p.n_samples for p in parts), samples.n_samples)
    return run.activity(parts)


def stream_event(
    network: Network, batches: Iterable[Samples], *, threads: int | None = None, **options: Any
) -> Iterator[Activity]:
    """Yield the activity of each batch of samples in turn; ``options`` are passed to ``run_event``.

    Nothing of a batch is kept when the next one is requested.
    """
    for batch in batches:
        yield run_event(network, batch, threads=threads, **options)


def batches(samples: Samples, size: int) -> Iterator[Samples]:
    """Yield the samples in batches of ``size``; the last batch may be smaller."""
    for first in range(0, samples.n_samples, size):
        yield samples.take(first, min(first + size, samples.n_samples))


_Columns: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


def kernel_names(network: Network) -> tuple[str, ...]:
    """Return the names of the kernels that the network's projections run on, each once."""
    names = {k.DENSE8: "dense", k.SEGMENTS: "runs", k.DELAYED: "delayed"}
    names |= {k.GRADED_SEGMENTS: "graded runs", k.GRADED_SPARSE: "graded sparse"}
    return tuple(
        dict.fromkeys(names.get(kind, "sparse") for kind in _compiled(network).plan.wires[:, k.Q_KIND].tolist())
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Result of one call for ``n_samples`` samples: spike columns by population, and overflows."""

    n_samples: int
    columns: list[_Columns]
    overflow: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """One run: the plan, the indexed input, and the arrays for the results."""

    network: Network
    plan: Plan
    free: list[_Work]
    steps: int
    n_samples: int
    inputs: dict[str, Events]
    input_start: NDArray[np.int64]
    input_neuron: NDArray[np.int32]
    input_payload: NDArray[np.int32]
    repeated: NDArray[np.uint8]
    label: NDArray[np.int32] | None
    updated: NDArray[np.int64]
    probe_table: NDArray[np.int64]
    probed: NDArray[np.int32]

    @staticmethod
    def of(
        network: Network, samples: Samples, steps: int, probe: Sequence[tuple[str, str]], labels: Labels | None
    ) -> _Run:
        compiled = _compiled(network)
        plan = compiled.plan
        inputs = _inputs(network, samples, steps)
        n = samples.n_samples
        start = np.empty((len(inputs), n * steps + 1), np.int64)
        at = 0
        for row, events in zip(start, inputs.values()):
            k.index_steps(events.sample, events.step, n, steps, at, row)
            at += len(events)
        neuron = _joined([events.neuron for events in inputs.values()])
        payload, repeated = _payloads(network, inputs, start, neuron, (n, steps))
        probe_table, n_probed = _probe_table(plan, probe, n * steps)
        return _Run(
            network=network,
            plan=plan,
            free=compiled.free,
            steps=steps,
            n_samples=n,
            inputs=inputs,
            input_start=start,
            input_neuron=neuron,
            input_payload=payload,
            repeated=repeated,
            label=None if labels is None else _inner_labels(plan, labels),
            updated=np.zeros((n, steps, 0 if labels is None else n_labels(labels)), np.int64),
            probe_table=probe_table,
            probed=np.zeros(n_probed, np.int32),
        )

    def overflow(self, parts: list[_Part]) -> dict[str, int]:
        """Return the overflows by population."""
        total = parts[0].overflow if len(parts) == 1 else np.sum([part.overflow for part in parts], axis=0)
        return dict(zip(self._populations, total.tolist()))

    def activity(self, parts: list[_Part]) -> Activity:
        """Return the activity of the whole run, from its parts in order."""
        spikes = dict(self.inputs)
        sizes = self.plan.populations[:, k.P_SIZE].tolist()
        for p, (name, size) in enumerate(zip(self._populations, sizes)):
            columns = [part.columns[p] for part in parts]
            joined = columns[0] if len(columns) == 1 else tuple(np.concatenate(c) for c in zip(*columns))
            spikes[name] = sorted_events((size, self.steps, self.n_samples), *joined)
        return Activity(
            engine="event",
            network=self.network.fingerprint,
            n_steps=self.steps,
            spikes=spikes,
            states=self._states(),
            updated=None if self.label is None else self.updated,
            overflow=self.overflow(parts),
        )

    @property
    def _populations(self) -> tuple[str, ...]:
        return self.plan.names[len(self.inputs) :]

    def _states(self) -> dict[tuple[str, str], NDArray[np.int32]]:
        states = {}
        for p, which, at in self.probe_table.tolist():
            size = self.network.populations[p].size
            shape = (self.n_samples, self.steps, size)
            states[self._populations[p], "uv"[which]] = self.probed[at : at + int(np.prod(shape))].reshape(shape)
        return states


class _Work:
    """The arrays that a call writes to (states, sums and spikes), which are reused by later calls."""

    def __init__(self, plan: Plan) -> None:
        n = plan.n_states
        self.spikes = np.empty(_FIRST_SPIKES, np.int32)
        self.state = (
            aligned(plan.n_sums, np.int32),
            aligned(n, np.int32),
            aligned(n, np.int32),
            np.zeros(n // k.PAD, np.bool_),
            np.zeros(plan.n_flags, np.uint8),
        )
        self.work = (
            aligned(int(plan.populations[:, k.P_PADDED].max()), np.int32),
            *(np.zeros(len(plan.populations), np.int64) for _ in range(4)),
        )
        self.drives = (aligned(plan.n_drives, np.int32), np.zeros(plan.n_drives, np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class _Compiled:
    """The plan of a network, and the arrays of finished calls (``free``) for reuse."""

    plan: Plan
    free: list[_Work]


_compiled_networks: WeakKeyDictionary[Network, _Compiled] = WeakKeyDictionary()


def _compiled(network: Network) -> _Compiled:
    compiled = _compiled_networks.get(network)
    if compiled is None:
        compiled = _compiled_networks[network] = _Compiled(compile_network(network), [])
    return compiled


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _inputs(network: Network, samples: Samples, steps: int) -> dict[str, Events]:
    """Return the input events of the run; they are not copied if all of them lie within its steps."""
    if steps < samples.n_steps:
        return input_events(network, samples, steps)
    found = {}
    for i in network.inputs:
        e = samples.inputs[i.name]
        payload = e.payload if i.graded else None
        found[i.name] = sorted_events((e.size, steps, e.n_samples), e.sample, e.step, e.neuron, payload)
    return found


def _joined(columns: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(columns) if len(columns) > 1 else columns[0].copy()


def _payloads(
    network: Network,
    inputs: dict[str, Events],
    start: NDArray[np.int64],
    neuron: NDArray[np.int32],
    span: tuple[int, int],
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return the payload of each input event, and by input, sample and step whether the step repeats the one before.

    Both are empty if no input of the network is graded.
    """
    if not network.graded:
        return np.zeros(0, np.int32), np.zeros((0, 0), np.uint8)
    ones = (np.ones(len(events), np.int32) if events.payload is None else events.payload for events in inputs.values())
    payload = _joined(list(ones))
    repeated = np.zeros((len(inputs), span[0] * span[1]), np.uint8)
    for row, begins, i in zip(repeated, start, network.inputs):
        if i.graded:
            k.mark_repeated(begins, neuron, payload, *span, row)
    return payload, repeated


def _probe_table(plan: Plan, probe: Sequence[tuple[str, str]], n: int) -> tuple[NDArray[np.int64], int]:
    """Return a table with population, state (0 for u) and place of each probe, and the total number of recorded values."""
    if not probe:
        return np.zeros((0, 3), np.int64), 0
    names = plan.names[len(plan.names) - len(plan.populations) :]
    rows, at = [], 0
    for name, which in dict.fromkeys(tuple(p) for p in probe):
        p = names.index(name)
        rows.append([p, "uv".index(which), at])
        at += n * int(plan.populations[p, k.P_SIZE])
    return np.array(rows, np.int64).reshape(-1, 3), at


def _inner_labels(plan: Plan, labels: Labels) -> NDArray[np.int32]:
    """Return the label of each padded inner neuron, -1 for neurons without a label."""
    whole = np.full(plan.n_states, -1, np.int32)
    names = plan.names[len(plan.names) - len(plan.populations) :]
    for row, name in zip(plan.populations, names):
        if name in labels:
            at, size = row[k.P_STATE], row[k.P_SIZE]
            whole[at : at + size] = np.asarray(labels[name])[plan.orders.get(name, slice(None))]
    return whole


def _all_parts(run: _Run, n_samples: int, threads: int) -> Iterator[_Part]:
    """Run all samples, divided among threads, and yield the parts in order."""
    fitting = max(1, _PART_COUNTS // (run.steps * len(run.plan.populations)))
    size = min(_PART, fitting, -(-n_samples // threads))
    ranges = [(first, min(first + size, n_samples)) for first in range(0, n_samples, size)]
    if len(ranges) == 1:
        yield from _run_range(run, *ranges[0])
        return
    for parts in in_order(lambda r: list(_run_range(run, *r)), ranges, threads):
        yield from parts


def _run_range(run: _Run, first: int, stop: int) -> Iterator[_Part]:
    """Run samples ``first`` to ``stop`` and yield the parts; several calls if the spike buffer is too small for one."""
    plan, counting = run.plan, _counting(run)
    work = _free_work(run.free) or _Work(plan)
    counts = np.zeros((stop - first, run.steps, len(plan.populations)), np.int32)
    while first < stop:
        overflow, n_spikes = np.zeros((2, len(plan.populations)), np.int64)
        done = k.run_samples(
            first,
            stop,
            run.steps,
            plan.populations,
            plan.scalars,
            plan.each,
            plan.wires,
            plan.tables,
            (run.input_start, run.input_neuron, run.input_payload, run.repeated),
            work.state,
            counting,
            work.work,
            (run.probed, _places(run, first), plan.order),
            work.drives,
            (work.spikes, counts, overflow, n_spikes, run.updated[first:stop]),
        )
        if done == 0:
            work.spikes = np.empty(8 * work.spikes.size, np.int32)
            continue
        yield _Part(done, _columns(plan, first, work.spikes, counts[:done], n_spikes), overflow)
        first += done
    if work.spikes.size <= _KEPT_SPIKES:
        run.free.append(work)


def _counting(run: _Run) -> tuple[bool, NDArray[np.uint64], NDArray[np.int32], NDArray[np.int64]]:
    """Return the four buffers for counting updates: on/off, active bits, label of each neuron, counts per label."""
    n_counted = 0 if run.label is None else run.plan.n_states
    label = np.zeros(0, np.int32) if run.label is None else run.label
    return n_counted > 0, np.zeros(n_counted // k.PAD, np.uint64), label, np.zeros(run.updated.shape[2], np.int64)


def _free_work(free: list[_Work]) -> _Work | None:
    """Return arrays that no call uses at the moment, or None; threads may call this at the same time."""
    try:
        return free.pop()
    except IndexError:
        return None


def _places(run: _Run, first: int) -> NDArray[np.int64]:
    """Return the table of probes for a call that begins with sample ``first``."""
    if not run.probe_table.size:
        return run.probe_table
    table = run.probe_table.copy()
    table[:, 2] += first * run.steps * run.plan.populations[table[:, 0], k.P_SIZE]
    return table


def _columns(
    plan: Plan, first: int, spikes: NDArray[np.int32], counts: NDArray[np.int32], n_spikes: NDArray[np.int64]
) -> list[_Columns]:
    """Return the columns sample, step and outer neuron of all spikes, by population; ``n_spikes`` are their numbers."""
    stop = n_spikes.cumsum()
    columns = np.empty((3, stop[-1]), np.int32)
    begin = stop - n_spikes
    ranges = list(zip(begin.tolist(), stop.tolist()))
    place = np.zeros(plan.max_channels, np.int64)
    k.collect_spikes(first, spikes, counts, plan.populations, plan.order, place, begin, columns)
    return [(columns[0, a:b], columns[1, a:b], columns[2, a:b]) for a, b in ranges]
