"""The cost estimate of a mapped network: memory, energy, latency and verdicts, from counts and the chip's prices."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodeploy.costs.baselines import dense_macs, price_baselines
from neurodeploy.costs.counts import check_belongs, count_events
from neurodeploy.costs.energy import arithmetic_ann, arithmetic_only, price_energy, price_static
from neurodeploy.costs.instructions import (
    build_latency,
    describe_program,
    price_program,
    price_program_totals,
    program_counts,
)
from neurodeploy.costs.latency import LatencyBuilder
from neurodeploy.costs.memory import count_memory
from neurodeploy.costs.operating import price_totals
from neurodeploy.costs.payloads import find_payloads, payload_notes
from neurodeploy.costs.record import (
    TIE,
    Band,
    Binding,
    Cost,
    Coverage,
    Latency,
    Verdict,
    WorstStep,
    fits_in,
)
from neurodeploy.costs.totals import events_of, totals_of
from neurodeploy.errors import EstimateError, check_type
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network, sends_spikes_only
from neurodeploy.network.activity import Activity


def estimate(
    network: Network,
    mapping: Mapping,
    activity: Activity | None = None,
    *,
    step_period_s: float | None = None,
    deadline_s: float | None = None,
    rate_hz: float | None = None,
    battery_j: float | None = None,
    with_baselines: bool = False,
) -> Cost:
    """Return the cost of a network on the chip of its mapping.

    Args:
        network: the network.
        mapping: its mapping, from ``map_network`` or by hand (``neurodeploy.mapping.manual.map_by_hand``).
        activity: the record of a run, from any simulator or recorded elsewhere (``Activity.network`` is then ""); without
            an activity the cost has only memory and limits.
        step_period_s: real time: each step takes at least this long; adds static energy and a verdict for real time.
        deadline_s: time allowed for a sample; adds a verdict on the slowest sample.
        rate_hz: samples per second, processed one after the other; adds a verdict on the mean sample, and totals at this
            rate.
        battery_j: energy of a battery; totals say how many hours it lasts.
        with_baselines: also price a dense ANN and this network on microcontrollers, and the dense network on the chip,
            which is mapped for this.

    Raises:
        EstimateError: if mapping or activity belong to another network, a demand is not a positive number, or there is a
            demand on a chip without times.
    """
    check_type("estimate", "network", network, Network, "give a Network: as_network(path)")
    check_type("estimate", "mapping", mapping, Mapping, "give the Mapping of map_network(network, chip)")
    check_type(
        "estimate", "activity", activity, (Activity, type(None)), "give the Activity of simulate(network, samples)"
    )
    asked = _Demands(step_period_s, deadline_s, rate_hz, battery_j)
    for name, value in asked._asdict().items():
        _check_demand(name, value, activity, mapping)
    check_belongs(network, mapping, activity)
    chip = mapping.chip
    cost = Cost(
        chip=chip.name,
        chip_title=chip.chip.title,
        chip_source=chip.source,
        evidence=chip.chip.evidence,
        network=network.fingerprint,
        engine=activity.engine if activity else None,
        n_samples=activity.n_samples if activity else 0,
        n_steps=activity.n_steps if activity else 0,
        memory=count_memory(mapping),
        notes=tuple(mapping.notes),
        coverage={kind: Coverage(**c.model_dump()) for kind, c in chip.coverage.items()},
    )
    if chip.microcontroller is not None:
        cost = cost.model_copy(update={"program": describe_program(mapping, None, dense_macs(network))})
    if activity is None:
        note = "Energy and latency are not available without an activity: simulate the network on samples first."
        return cost.model_copy(update={"notes": (*cost.notes, note)})
    add = _with_activity if chip.microcontroller is None else _with_program
    cost = add(cost, network, mapping, activity, asked)
    return (
        cost.model_copy(update={"baselines": price_baselines(network, mapping, activity, cost)})
        if with_baselines
        else cost
    )


class _Demands(NamedTuple):
    """What a run is to keep to, and the battery it is to last on; None where nothing is asked."""

    step_period_s: float | None
    deadline_s: float | None
    rate_hz: float | None
    battery_j: float | None


def _with_activity(cost: Cost, network: Network, mapping: Mapping, activity: Activity, asked: _Demands) -> Cost:
    chip, totals = mapping.chip, Counter[str]()
    injected = _injected(network, activity)
    builder = (
        LatencyBuilder(network, mapping, injected, cost.coverage.get("time"), asked.step_period_s)
        if chip.latency is not None
        else None
    )
    for counts in count_events(network, mapping, activity):
        totals.update(totals_of(counts))
        if builder is not None:
            builder.add(counts)
    events = events_of(totals, activity.n_samples)
    latency = builder.finish() if builder is not None else None
    payloads = find_payloads(network, activity, chip)
    energy = price_energy(events, chip.energy, chip.name, chip.source_file)
    if energy.total_j is not None:
        energy = energy.model_copy(update={"total_j": energy.total_j.read_by(cost.coverage.get("energy"))})
    opinions = [price_energy(events, p, name, chip.source_file) for name, p in chip.energy_alternative.items()]
    return cost.model_copy(
        update={
            "counts": dict(sorted(totals.items())),
            "energy": energy,
            "second_opinions": (*opinions, arithmetic_ann(dense_macs(network)), arithmetic_only(events)),
            "static": price_static(
                chip, mapping.n_chips, len(mapping.cores), _static_times(latency), cost.coverage.get("static")
            ),
            "latency": latency,
            "verdicts": _verdicts(latency, builder, totals["host_input"] / activity.n_samples, asked),
            "totals": price_totals(
                chip, mapping.n_chips, energy, latency, asked.rate_hz, asked.battery_j, cost.coverage.get("static")
            ),
            "battery_j": asked.battery_j,
            "payloads": payloads,
            "notes": (
                *cost.notes,
                *payload_notes(payloads, chip),
                *_notes(network, activity, chip.source_file, latency),
            ),
        }
    )


def _injected(network: Network, activity: Activity) -> NDArray[np.int64]:
    """Return the spikes of all inputs in each step, int64 ``(n_samples, n_steps)``."""
    total = np.zeros((activity.n_samples, activity.n_steps), np.int64)
    for source in network.inputs:
        events = activity.spikes[source.name]
        np.add.at(total, (events.sample, events.step), 1)
    return total


def _with_program(cost: Cost, network: Network, mapping: Mapping, activity: Activity, asked: _Demands) -> Cost:
    """Return the cost on a microcontroller: instructions take the place of events."""
    things, totals = program_counts(network, mapping, activity)
    builder = build_latency(network, mapping, things, _injected(network, activity), asked.step_period_s)
    latency, macs = builder.finish(), dense_macs(network)
    energy = price_program(mapping, things, activity.n_samples)
    inputs, where = totals["host_input"] / activity.n_samples, mapping.chip.source_file
    return cost.model_copy(
        update={
            "counts": dict(sorted(totals.items())),
            "program": describe_program(mapping, things, macs),
            "energy": energy,
            "second_opinions": (arithmetic_ann(macs),),
            "static": price_static(mapping.chip, 1, 1, _static_times(latency)),
            "latency": latency,
            "verdicts": _verdicts(latency, builder, inputs, asked),
            "totals": price_program_totals(mapping, energy, latency, asked.rate_hz, asked.battery_j),
            "battery_j": asked.battery_j,
            "payloads": find_payloads(network, activity, mapping.chip),
            "notes": (*cost.notes, *_notes(network, activity, where, latency)),
        }
    )


def _static_times(latency: Latency | None) -> dict[str, Band]:
    if latency is None:
        return {}
    times = {"free-running": latency.sample_s.mean}
    if latency.real_time_sample_s is not None:
        times["real-time"] = latency.real_time_sample_s.mean
    return times


def _verdicts(
    latency: Latency | None, builder: LatencyBuilder | None, input_spikes: float, asked: _Demands
) -> tuple[Verdict, ...]:
    """Return a verdict on each demand; ``input_spikes`` is the mean number of input spikes of a sample."""
    if latency is None or builder is None:
        return ()
    paced, period, steps = latency.real_time_sample_s, latency.step_period_s, latency.n_steps
    worst, in_period = latency.worst, _finite(builder.safe_factor)
    waits = paced is not None and latency.late_steps == 0
    most = Binding(core=None, resource="step period", steps=steps) if waits else latency.bindings[0]
    verdicts, hosted = [], builder.with_host()
    for demand, allowed in (("deadline", asked.deadline_s), ("rate", 1 / asked.rate_hz if asked.rate_hz else None)):
        if allowed is not None:
            slowest = demand == "deadline"
            free = _managed(latency.sample_s.worst if slowest else latency.sample_s.mean, latency, steps)
            needed = free if paced is None else paced.worst if slowest else paced.mean
            room = builder.safe_events(allowed, worst=slowest) if paced is None else in_period
            room = room if fits_in(needed.nominal, allowed) else None
            with_host = None if hosted is None else hosted[1].worst if slowest else hosted[1].mean
            verdicts.append(_verdict(demand, allowed, needed, with_host, most, room, input_spikes / allowed))
    if period is not None:
        needed = _managed(latency.step_s.worst, latency, 1)
        with_host = None if hosted is None else hosted[0].worst
        often = input_spikes / (steps * period)
        verdicts.append(_verdict("step period", period, needed, with_host, worst, in_period, often))
    return tuple(verdicts)


def _managed(time: Band, latency: Latency, steps: int) -> Band:
    """Return a time plus the management time of its steps."""
    total = Band.total([time] if latency.management_s is None else [time, latency.management_s.times(steps)])
    assert total is not None
    return total


def _verdict(
    demand: str,
    allowed: float,
    needed: Band,
    with_host: Band | None,
    binding: Binding | WorstStep,
    room: float | None,
    input_hz: float,
) -> Verdict:
    margin = 1 - needed.nominal / allowed
    return Verdict.model_validate(
        {
            "demand": demand,
            "allowed_s": allowed,
            "needed_s": needed,
            "met": fits_in(needed.nominal, allowed),
            "met_at_high": fits_in(needed.high, allowed),
            "margin": 0.0 if abs(margin) <= TIE else margin,
            "core": binding.core,
            "resource": binding.resource,
            "safe_event_factor": room,
            "safe_input_hz": None if room is None else room * input_hz,
            "needed_with_host_s": with_host,
            "met_with_host": None if with_host is None else fits_in(with_host.nominal, allowed),
        }
    )


def _finite(factor: float | None) -> float | None:
    return factor if factor is not None and np.isfinite(factor) and factor >= 0 else None


def _notes(network: Network, activity: Activity, where: str, latency: Latency | None) -> list[str]:
    notes = []
    if not activity.network:
        notes.append("The spikes were recorded elsewhere: that they are of this network was only checked by its sizes.")
    if activity.updated is None:
        notes.append(
            "Updated neurons were not counted by the simulator (labels=mapping.core_labels()): nominal and high take every "
            "neuron from the first step of its population, low those that fired."
        )
    if latency is None:
        notes.append(f"Latency and static energy are not available: {where} has no table [latency].")
    if any(activity.overflow.values()):
        what = "The current overflowed" if sends_spikes_only(network) else "A state left"
        notes.append(f"{what} 24 bits in {sum(activity.overflow.values())} places of the run.")
    return notes


def _check_demand(name: str, value: float | None, activity: Activity | None, mapping: Mapping) -> None:
    if value is None:
        return
    if not (np.isfinite(value) and value > 0):
        raise EstimateError(f"estimate: {name} is {value}, must be a positive number")
    if activity is None:
        raise EstimateError(f"estimate: {name} needs an activity; simulate the network on samples first")
    if mapping.chip.latency is None:
        raise EstimateError(
            f"estimate: {name} needs times, but {mapping.chip.source_file} has no table [latency]; add one, choose another "
            "chip, or leave the demand out"
        )
