"""Counts of all events that have a price, per sample, step and core, from the spikes of any simulator and a mapping.

A spike counts in the step in which it is sent: the chip delivers it and reads its synapses within that step, and the sum
takes effect in the next step (or later, with delays). Messages with a payload count as spikes do; the synapses that they
read are counted apart, because the weight is multiplied there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import PLAIN_KINDS
from neurodeploy.costs.fanout import FanOut, fan_outs
from neurodeploy.costs.row_sums import sums_of_rows
from neurodeploy.errors import EstimateError
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events

_CHUNK_BYTES = 2**28

SEVERAL = "several"
"""Stands for the neurons of a core that holds several kinds, of which not all are CUBA neurons or leaky integrators."""


def is_graded(network: Network, name: str, activity: Activity) -> bool:
    """Return whether the messages of a population or input carry a payload: by the network, or as they were recorded."""
    payload = activity.spikes[name].payload
    return name in network.graded or (payload is not None and bool(np.any(payload != 1)))


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Counts of a chunk of samples; arrays are int64 ``(n_samples, n_steps, n_cores)`` unless stated.

    Args:
        first_sample: number of the first sample in the chunk.
        synops, synops_graded: synapse format -> synapses read because of spikes, and because of messages with a payload.
        fired: neurons that fired, or sent a message.
        updated_low, updated: lower and upper bound of the neurons that were updated; equal where a simulator counted them.
        kinds: what neurons each core holds: "" for CUBA neurons and leaky integrators, the kind if all are of another one,
            else ``SEVERAL``. Length ``n_cores``.
        messages_in, messages_out: messages received and sent; messages that the host injects count as received only.
        hops_ew, hops_ns: hops of the messages sent; None where the chip file gives no mesh.
        crossings: messages sent to another chip.
        neurons: neurons on each core, each accessed in every step, int64 ``(n_cores,)``.
        effective, graded: number of reads of a synapse with non-zero weight in the chunk, and how many of these reads
            messages with a payload caused.
        messages_graded: messages sent by neurons that carry a payload.
        host_in, host_out: spikes that the host injects (or passes to relays), and spikes of the outputs that it reads.
    """

    first_sample: int
    synops: dict[str, NDArray[np.int64]]
    synops_graded: dict[str, NDArray[np.int64]]
    fired: NDArray[np.int64]
    updated_low: NDArray[np.int64]
    updated: NDArray[np.int64]
    kinds: tuple[str, ...]
    messages_in: NDArray[np.int64]
    messages_out: NDArray[np.int64]
    hops_ew: NDArray[np.int64] | None
    hops_ns: NDArray[np.int64] | None
    crossings: NDArray[np.int64]
    neurons: NDArray[np.int64]
    effective: int
    graded: int
    messages_graded: int
    host_in: int
    host_out: int

    @property
    def accessed(self) -> int:
        """Number of neuron accesses: every mapped neuron in every step."""
        return int(self.neurons.sum()) * self.fired.shape[0] * self.fired.shape[1]


def count_events(network: Network, mapping: Mapping, activity: Activity) -> Iterator[Counts]:
    """Yield the counts of all samples, in chunks of samples that fit in memory.

    Raises:
        EstimateError: if activity, mapping and network do not belong together.
    """
    check_belongs(network, mapping, activity)
    fans = fan_outs(network, mapping)
    arrays = 9 + len(mapping.chip.synapse_format) * (2 if network.graded else 1)
    chunk = max(1, _CHUNK_BYTES // (8 * arrays * activity.n_steps * len(mapping.cores)))
    for first in range(0, activity.n_samples, chunk):
        yield _count(network, mapping, activity, fans, first, min(first + chunk, activity.n_samples))


def check_belongs(network: Network, mapping: Mapping, activity: Activity | None) -> None:
    """Refuse a mapping or an activity of another network; for spikes recorded elsewhere only the sizes can be checked.

    Raises:
        EstimateError: names the part that does not belong to the network.
    """
    if mapping.network != network.fingerprint:
        raise EstimateError(
            f"estimate: the mapping is of network {mapping.network[:12]}, not of this one ({network.fingerprint[:12]}); "
            "map this network again"
        )
    if activity is None:
        return
    if activity.network not in ("", network.fingerprint):
        raise EstimateError(
            f"estimate: the activity ('{activity.engine}') is of network {activity.network[:12]}, not of this one "
            f"({network.fingerprint[:12]}); simulate this network again"
        )
    for name, size in network.sizes.items():
        if name not in activity.spikes or activity.spikes[name].size != size:
            found = activity.spikes[name].size if name in activity.spikes else "no"
            raise EstimateError(f"estimate: '{name}' has {size} neurons, the activity holds {found}; simulate again")
    if activity.updated is not None and activity.updated.shape[2] > len(mapping.cores):
        raise EstimateError(
            f"estimate: the activity counts updated neurons under {activity.updated.shape[2]} labels, the mapping has "
            f"{len(mapping.cores)} cores; simulate with labels=mapping.core_labels()"
        )


def _count(network: Network, mapping: Mapping, activity: Activity, fans: list[FanOut], first: int, stop: int) -> Counts:
    shape = (stop - first, activity.n_steps, len(mapping.cores))
    meshed = all(load.x is not None and load.y is not None for load in mapping.cores)
    total = _Sums(shape, meshed)
    for fan in fans:
        part = _part(activity.spikes[fan.source], first, stop)
        total.add(fan, part, graded=is_graded(network, fan.source, activity))
    low, high = _updated(network, mapping, activity, total.fired, first, stop)
    return Counts(
        first_sample=first,
        synops=total.synops[False],
        synops_graded=total.synops[True],
        fired=total.fired,
        updated_low=low,
        updated=high,
        kinds=core_kinds(network, mapping),
        messages_in=total.messages_in,
        messages_out=total.messages_out,
        hops_ew=total.hops_ew,
        hops_ns=total.hops_ns,
        crossings=total.crossings,
        neurons=np.array([sum(i.size for i in load.neurons.values()) for load in mapping.cores], np.int64),
        effective=total.effective,
        graded=total.graded,
        messages_graded=total.messages_graded,
        host_in=_number(activity, {i.name for i in network.inputs}, first, stop),
        host_out=_number(activity, {output.population for output in network.outputs}, first, stop),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Spikes:
    """Spikes of a chunk of samples in time order: start of each step (``n_samples * n_steps + 1`` entries), and neurons."""

    start: NDArray[np.int64]
    neuron: NDArray[np.int32]

    @property
    def bins(self) -> int:
        return self.start.size - 1


def _part(events: Events, first: int, stop: int) -> _Spikes:
    """Return the spikes of samples ``first`` to ``stop``; events come sorted by sample and step."""
    low, high = np.searchsorted(events.sample, [first, stop])
    at = (events.sample[low:high].astype(np.int64) - first) * events.n_steps + events.step[low:high]
    start = np.searchsorted(at, np.arange((stop - first) * events.n_steps + 1))
    return _Spikes(start.astype(np.int64), events.neuron[low:high])


def _number(activity: Activity, names: set[str], first: int, stop: int) -> int:
    """Return the number of spikes of the populations ``names`` in samples ``first`` to ``stop``."""
    bounds = [np.searchsorted(activity.spikes[name].sample, [first, stop]) for name in names]
    return sum(int(high - low) for low, high in bounds)


class _Sums:
    """Running sums over populations."""

    def __init__(self, shape: tuple[int, int, int], meshed: bool) -> None:
        self.shape = shape
        self.synops: dict[bool, dict[str, NDArray[np.int64]]] = {False: {}, True: {}}
        self.fired, self.messages_in, self.messages_out, self.crossings = (np.zeros(shape, np.int64) for _ in range(4))
        self.hops_ew = np.zeros(shape, np.int64) if meshed else None
        self.hops_ns = np.zeros(shape, np.int64) if meshed else None
        self.effective = self.graded = self.messages_graded = 0

    def add(self, fan: FanOut, spikes: _Spikes, *, graded: bool = False) -> None:
        """Add the events that the spikes of one population cause, at their destinations and at their origin."""
        there = _columns(fan.cores)
        self.messages_in[..., there] += self._at_destination(spikes, fan.reached)
        for fmt, reads in fan.reads.items():
            here = self.synops[graded].setdefault(fmt, np.zeros(self.shape, np.int64))
            here[..., there] += self._at_destination(spikes, reads)
        effective = int(fan.effective[spikes.neuron].sum())
        self.effective += effective
        self.graded += effective if graded else 0
        if fan.core is not None:
            self.messages_graded += int(fan.messages[spikes.neuron].sum()) if graded else 0
            self._add_origin(fan, fan.core, spikes)

    def _add_origin(self, fan: FanOut, core: NDArray[np.int32], spikes: _Spikes) -> None:
        cores, local = np.unique(core, return_inverse=True)
        here = _columns(cores.astype(np.int64))
        key = np.repeat(np.arange(spikes.bins, dtype=np.int64) * cores.size, np.diff(spikes.start))
        key += local[spikes.neuron]
        self.fired[..., here] += self._at_origin(key, None, cores.size)
        for total, per_spike in (
            (self.messages_out, fan.messages),
            (self.crossings, fan.crossings),
            (self.hops_ew, fan.hops_ew),
            (self.hops_ns, fan.hops_ns),
        ):
            if total is not None and per_spike is not None and per_spike.any():
                total[..., here] += self._at_origin(key, per_spike[spikes.neuron], cores.size)

    def _at_destination(self, spikes: _Spikes, per_spike: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the sums of the rows of ``per_spike`` that the spikes of each step choose."""
        sums = sums_of_rows(spikes.start, spikes.neuron, per_spike)
        return sums.reshape(*self.shape[:2], per_spike.shape[1])

    def _at_origin(self, key: NDArray[np.int64], weights: NDArray[np.int64] | None, columns: int) -> NDArray[np.int64]:
        shape = (*self.shape[:2], columns)
        return np.bincount(key, weights=weights, minlength=int(np.prod(shape))).astype(np.int64).reshape(shape)


def _columns(cores: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return rising indices as a slice if they are consecutive, because numpy adds to slices much faster."""
    if cores.size and cores[-1] - cores[0] + 1 == cores.size:
        return slice(int(cores[0]), int(cores[-1]) + 1)
    return cores


def core_kinds(network: Network, mapping: Mapping) -> tuple[str, ...]:
    """Return what neurons each core holds, as ``Counts.kinds``; relay neurons of inputs count as CUBA neurons."""
    of = {p.name: "" if p.model.kind in PLAIN_KINDS else p.model.kind for p in network.populations}
    found = [{of.get(name, "") for name in load.neurons} for load in mapping.cores]
    return tuple(SEVERAL if len(kinds) > 1 else min(kinds, default="") for kinds in found)


def _updated(
    network: Network, mapping: Mapping, activity: Activity, fired: NDArray[np.int64], first: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return lower and upper bound of the updated neurons; both are the simulator's count if there is one.

    Otherwise the lower bound counts the neurons that fired, the upper bound all neurons from the first step of their
    population on. A relay neuron is updated when it passes a spike on.
    """
    relays = _relayed(network, mapping, activity, first, stop)
    if activity.updated is not None:
        relays[..., : activity.updated.shape[2]] += activity.updated[first:stop]
        return relays, relays
    upper = relays.copy()
    for i, load in enumerate(mapping.cores):
        for population in network.populations:
            if population.name in load.neurons:
                upper[:, population.first_step :, i] += load.neurons[population.name].size
    return fired, upper


def _relayed(network: Network, mapping: Mapping, activity: Activity, first: int, stop: int) -> NDArray[np.int64]:
    """Return the spikes that relay neurons of mapped inputs pass on."""
    total = np.zeros((stop - first, activity.n_steps, len(mapping.cores)), np.int64)
    labels = mapping.core_labels()
    for source in network.inputs:
        if source.name in labels:
            spikes = _part(activity.spikes[source.name], first, stop)
            row = np.repeat(np.arange(spikes.bins, dtype=np.int64), np.diff(spikes.start))
            flat = row * total.shape[2] + labels[source.name][spikes.neuron]
            total += np.bincount(flat, minlength=total.size).reshape(total.shape)
    return total
