"""Instructions, times and energies of a network on a microcontroller, from the tables of its C program and an activity.

``instructions of a step = sum over things of their number * chip.Work``; the numbers of things come from the layout
(``tables.plan_tables``) and the spikes, the constants from a fit to programs that were run and counted (``bench``). A step
takes ``instructions * cycles_per_instruction / clock``; energy is ``instructions * energy of an instruction``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip, Microcontroller, Quantity, Work
from neurodeploy.costs.energy import energy_line
from neurodeploy.costs.latency import LatencyBuilder, Steps
from neurodeploy.costs.operating import price_totals
from neurodeploy.costs.record import Band, Energy, Latency, Program, Total, Unpriced, weakest
from neurodeploy.mapping.memory.synapses import matrix_of
from neurodeploy.mapping.program import FLASH, RAM, layout_of
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Network, Pool
from neurodeploy.network.activity import Activity, Events
from neurodeploy.network.unrolled import entries
from neurodeploy.tables import Layout, WirePlan

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Things:
    """Numbers of the things of ``chip.Work`` in each step: component -> int64 ``(n_samples, n_steps)``; ``entry.FORMAT``
    for entries. ``low`` differs from ``most`` in ``updated`` alone, where no simulator counted it."""

    most: dict[str, Ints]
    low: dict[str, Ints]

    def totals(self) -> dict[str, int]:
        """Return the sums over samples and steps."""
        return {name: int(n.sum()) for name, n in self.most.items()}


def count_things(layout: Layout, activity: Activity) -> Things:
    """Return what a program does in each step of an activity."""
    network, shape = layout.network, (activity.n_samples, activity.n_steps)
    every = np.ones(shape, np.int64)
    found = {
        "step": every,
        "population": every * len(layout.populations),
        "neuron": every * sum(p.size for p in layout.populations),
        "spike": np.zeros(shape, np.int64),
        "event": np.zeros(shape, np.int64),
        "tap": np.zeros(shape, np.int64),
        "summed": every * sum(p.size for p in layout.populations if p.ring_rows),
    }
    for p in layout.populations:
        found["spike"] = found["spike"] + _by_step(activity.spikes[p.population])
    for wire in layout.wires:
        _add_wire(found, wire, activity.spikes[wire.source], network)
    fired, upper = found["spike"], np.zeros(shape, np.int64)
    if activity.updated is not None:
        upper = fired = activity.updated.sum(axis=2)
    else:
        for p in layout.populations:
            upper[:, p.first_step :] += p.size
    return Things(found | _updates(layout, upper), found | _updates(layout, fired))


def _updates(layout: Layout, updated: Ints) -> dict[str, Ints]:
    """Return the updated neurons, and their costly decays and limits: as many as in the mean over all neurons."""
    size = sum(p.size for p in layout.populations)
    wide = sum(p.size * ((p.current.kind == "long") + (p.voltage.kind == "long")) for p in layout.populations)
    limited = sum(p.size * (p.bounds.fold + p.bounds.clip) for p in layout.populations)
    return {"updated": updated, "wide": updated * wide // size, "limited": updated * limited // size}


def _by_step(events: Events, weights: Ints | None = None) -> Ints:
    """Return the sum of the weights of the events of each step, by default their number."""
    at = events.sample.astype(np.int64) * events.n_steps + events.step
    own = None if weights is None else weights[events.neuron]
    total = np.bincount(at, own, events.n_samples * events.n_steps)
    return total.astype(np.int64).reshape(events.n_samples, events.n_steps)


def _add_wire(found: dict[str, Ints], wire: WirePlan, events: Events, network: Network) -> None:
    sent = _by_step(events)
    found["event"] = found["event"] + sent
    key = f"entry.{wire.format or wire.kind}"
    found[key] = found.get(key, 0) + _by_step(events, wire.events)
    if wire.kind != "matrix":
        found["tap"] = found["tap"] + _by_step(events, _taps(wire.synapses))
    if wire.mode == "sum":
        size = network.sizes[wire.target] * max(1, len(wire.delays))
        found["summed"] = found["summed"] + (sent > 0) * size


def _taps(synapses: Conv | Pool) -> Ints:
    """Return how many taps of the kernel lead from each source into the output, int64 ``(n_source,)``."""
    conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
    source, _, _ = entries(conv, zeros=True)
    reached: Ints = np.bincount(source, minlength=int(np.prod(conv.input_shape)))
    return reached // (conv.weights.shape[0] // conv.groups)


def price_of(work: Work, component: str) -> Quantity | None:
    """Return the instructions for one thing, None where the core's file has none."""
    name, _, fmt = component.partition(".")
    found: dict[str, Quantity] | Quantity = getattr(work, name)
    return found.get(fmt) if isinstance(found, dict) else found


def total_instructions(work: Work, things: Things, level: int) -> NDArray[np.float64]:
    """Return the instructions of each step at a level (0 low, 1 nominal, 2 high), float ``(n_samples, n_steps)``."""
    numbers = things.low if level == 0 else things.most
    total = np.zeros(numbers["step"].shape)
    for component, n in numbers.items():
        price = price_of(work, component)
        if price is not None:
            total += n * price.si[level]
    return total


def build_latency(
    network: Network, mapping: Mapping, things: Things, injected: Ints, step_period_s: float | None
) -> LatencyBuilder:
    """Return the step times of a program, ready to finish; ``injected``: input events of each step."""
    part, work = _part(mapping.chip)
    levels = []
    for level in (0, 1, 2):
        seconds = part.cycles_per_instruction.si[level] / part.clock.si[level]
        time = total_instructions(work, things, level) * seconds
        busy = time[..., None]
        none = np.zeros(1)
        levels.append(Steps(time, (busy, np.zeros_like(busy)), (none, none), 0.0))
    builder = LatencyBuilder(network, mapping, injected, None, step_period_s)
    builder.add_steps(levels, weakest((work.step.grade, part.cycles_per_instruction.grade, part.clock.grade)))
    return builder


def price_program(mapping: Mapping, things: Things, n_samples: int) -> Energy:
    """Return the energy per sample: instructions of each kind of thing times the energy of an instruction."""
    part, work = _part(mapping.chip)
    lines, unpriced = [], []
    for component, n in things.most.items():
        amount, low = int(n.sum()), int(things.low[component].sum())
        price = price_of(work, component)
        if price is not None and part.instruction is not None:
            lines.append(energy_line(component, amount, low, _joules(price, part.instruction), n_samples))
        elif amount:
            key = f"work.{component}" if price is None else "microcontroller.instruction"
            reason = f"not available: {key} is not in {mapping.chip.source_file}"
            unpriced.append(Unpriced(component=component, events=amount, reason=reason))
    total = Band.total(line.energy_j for line in [x for x in lines if x.events] or lines)
    return Energy(
        prices=mapping.chip.name,
        lines=tuple(lines),
        total_j=total,
        unpriced=tuple(unpriced),
        notes=("Of the whole device while it computes; sleep between steps, input and output are not in it.",),
    )


def price_program_totals(
    mapping: Mapping, energy: Energy, latency: Latency, rate_hz: float | None, battery_j: float | None
) -> tuple[Total, ...]:
    """Return the totals of a sample: those of the whole chip, which is the boundary of a microcontroller's energy.

    At a step period or a rate the power between computations is left out where the part's file has none.
    """
    totals = price_totals(mapping.chip, 1, energy, latency, rate_hz, battery_j)
    return tuple(
        t.model_copy(update={"left_out": ()}) if t.operation == "free-running" else t
        for t in totals
        if t.boundary == "chip"
    )


def _joules(price: Quantity, instruction: Quantity) -> Quantity:
    low, nominal, high = (n * j for n, j in zip(price.si, instruction.si))
    count = f"{price.nominal:g} instructions ({price.source})"
    return Quantity(
        low=low,
        nominal=nominal,
        high=high,
        unit="J",
        source=f"{count}; {instruction.source}",
        grade=weakest((price.grade, instruction.grade)),
    )


def _part(chip: Chip) -> tuple[Microcontroller, Work]:
    assert chip.microcontroller is not None
    assert chip.work is not None
    return chip.microcontroller, chip.work


def describe_program(mapping: Mapping, things: Things | None, macs: int) -> Program:
    """Return flash and RAM and, with an activity, the instructions beside those of a dense ANN of the same shape.

    Args:
        things: what the program does in each step.
        macs: multiply-accumulates of the dense ANN.
    """
    part, work = _part(mapping.chip)
    used = mapping.cores[0].used
    neurons = sum(mapping.sizes.values())
    ann = Band.total([Band.of(part.dense_mac).times(macs), Band.of(part.dense_neuron).times(neurons)])
    assert ann is not None
    known = Program(
        core=part.core,
        flash_bytes=used[FLASH],
        flash_limit=mapping.limits[FLASH],
        ram_bytes=used[RAM],
        ram_limit=mapping.limits[RAM],
        dense_macs=macs,
        dense_instructions=ann,
    )
    if things is None:
        return known
    levels = [total_instructions(work, things, level) for level in (0, 1, 2)]
    mean, worst = (_band([float(take(n)) for n in levels], work) for take in (np.mean, np.max))
    return known.model_copy(
        update={
            "step_instructions": mean,
            "worst_step_instructions": worst,
            "sample_instructions": mean.times(levels[1].shape[1]),
            "break_even_steps": ann.nominal / mean.nominal,
        }
    )


def _band(values: list[float], work: Work) -> Band:
    return Band(low=values[0], nominal=values[1], high=values[2], grade=work.step.grade)


def effective_synops(network: Network, activity: Activity) -> int:
    """Return how often a synapse whose weight is not 0 was read."""
    total = 0
    for q in network.projections:
        matrix = matrix_of(q)
        fan_out = np.bincount(matrix.source[matrix.weight != 0], minlength=matrix.n_source)
        total += int(fan_out[activity.spikes[q.source].neuron].sum())
    return total


def program_counts(network: Network, mapping: Mapping, activity: Activity) -> tuple[Things, dict[str, int]]:
    """Return what the program does in each step, and its sums with those that every chip has (``Cost.counts``)."""
    things = count_things(layout_of(network, mapping), activity)
    n_out = sum(len(activity.spikes[output.population]) for output in network.outputs)
    return things, {
        **things.totals(),
        "updated_low": int(things.low["updated"].sum()),
        "host_input": sum(len(activity.spikes[i.name]) for i in network.inputs),
        "host_output": n_out,
        "effective_synops": effective_synops(network, activity),
    }
