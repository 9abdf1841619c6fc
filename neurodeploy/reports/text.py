"""The report as terminal tables and as Markdown, made from the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table

from neurodeploy.chip import MESSAGE_KINDS, PLAIN_KINDS
from neurodeploy.costs.record import (
    Band,
    Baseline,
    Boundary,
    Cost,
    Coverage,
    Energy,
    HostInput,
    Latency,
    Program,
    Total,
    Verdict,
)
from neurodeploy.reports.figures import band, digits_of, hours, kib, nominal, percent, si
from neurodeploy.reports.record import Accuracy, NetworkFacts, NeuroBenchFacts, Report, Verification

COMPONENTS = {
    "synop": "synapses read",
    "synop_graded": "synapses read, payload times weight",
    "neuron_access": "neurons accessed",
    "neuron_update": "neurons updated",
    "neuron_update_of": "neurons updated",
    "updates_per_step": "passes of an update",
    "neuron_idle": "neurons idle",
    "spike_out": "neurons fired",
    "message_out": "messages sent",
    "hop_ew": "hops east and west",
    "hop_ns": "hops north and south",
    "host_input": "spikes from the host",
    "host_output": "spikes to the host",
    "chip_crossing": "messages between chips",
    "hops": "hops",
    "accumulate": "additions",
    "dense_mac": "multiplications and additions of a dense ANN",
    "multiply_accumulate": "multiplications and additions",
    "step": "steps",
    "population": "populations updated",
    "neuron": "neurons looked at",
    "updated": "neurons updated",
    "wide": "decays in 64 bits",
    "limited": "states kept inside 24 bits",
    "spike": "neurons fired",
    "event": "events sent along a projection",
    "tap": "taps of kernels",
    "summed": "sums handed on",
    "entry": "entries of tables read",
}
"""Component of the energy -> name for readers."""
_OF_MESSAGES = {
    "spike_out": "neurons that sent",
    "host_input": "messages from the host",
    "host_output": "messages to the host",
}
"""The same where messages carry payloads."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title; the first row of ``rows`` is the header; ``notes`` follow the table."""

    title: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def component_name(component: str, *, graded: bool = False) -> str:
    """Return the name of an energy component for readers; ``graded``: of a network whose messages carry payloads."""
    name, _, of = component.partition(".")
    words = COMPONENTS.get(name, name)
    if graded:
        words = _OF_MESSAGES.get(name, words)
    return f"{words} ({of if name.startswith(('synop', 'entry')) else of.replace('_', '-')})" if of else words


def sent_word(network: NetworkFacts) -> str:
    """Return what the neurons of a network send: spikes, or messages where some carry a payload."""
    graded = bool(network.payload_bits) or any(layer.model in MESSAGE_KINDS for layer in network.layers)
    return "messages" if graded else "spikes"


def verdict_lines(report: Report) -> list[str]:
    """Return one sentence for each chip and demand that says whether it is met; empty if there are no demands."""
    return [f"{cost.chip_title}: {verdict_line(v)}" for cost in report.targets for v in cost.verdicts]


def headline(report: Report) -> list[str]:
    """Return the main results as sentences: exactness, accuracy, then one sentence for each chip.

    What makes them worthless follows the accuracy, and samples and neurons that take no part the connections.
    """
    lines = []
    v, silence = report.verification, report.silence
    if v is not None:
        engines, sent = ", ".join(v.engines), sent_word(report.network)
        own = (
            f"; of the {v.spikes_compared:,}, the network sent {own_spikes(v):,}"
            if v.input_spikes_compared is not None
            else ""
        )
        lines.append(
            f"{v.spikes_different:,} of {v.spikes_compared:,} {sent} differ between {engines} ({v.n_samples} samples){own}."
        )
        different = first_difference(report)
        lines += [f"First difference: {different}"] if different else []
    if report.accuracy is not None:
        what = "test accuracy" if report.accuracy.held_out else "accuracy"
        on = counted(report.accuracy.n_samples, steps=report.accuracy.steps)
        lines.append(f"{percent(report.accuracy.test)} {what} on {on}{shares(report.accuracy)}.")
    lines += [f"WARNING: {line}." for line in silence.warnings] if silence else []
    n = report.network
    lines.append(
        f"{n.mask:,} of {n.weights:,} connections kept ({percent(n.density)}), "
        f"{n.nonzero:,} not zero ({percent(n.density_nonzero)})."
    )
    lines += [f"{line}." for line in silence.notes] if silence else []
    lines += [target_line(cost) for cost in report.targets]
    lines += [f"{chip.title} ({chip.chip}) is left out: {chip.reason}." for chip in report.left_out]
    return lines


def own_spikes(verification: Verification) -> int:
    """Return how many of the spikes compared are those of neurons, not of inputs."""
    return verification.spikes_compared - (verification.input_spikes_compared or 0)


def counted(n_samples: int, *, steps: bool) -> str:
    """Return in words what an accuracy was measured on.

    >>> counted(71, steps=True)
    'the steps of 71 samples'
    """
    return f"{'the steps of ' if steps else ''}{n_samples} samples"


def shares(accuracy: Accuracy) -> str:
    """Return in words the shares of samples that the output does not decide; "" where they are not known."""
    if accuracy.tied is None or accuracy.silent is None:
        return ""
    return f", {percent(accuracy.tied)} tied, {percent(accuracy.silent)} silent"


def first_difference(report: Report) -> str | None:
    """Return in words where two engines first differ; None if they agree."""
    found = report.verification.first_difference if report.verification else None
    if found is None:
        return None
    where = f"population '{found.population}', neuron {found.neuron}, step {found.step} of sample {found.sample}"
    return f"{where}: {found.engines[0]} has {found.values[0]}, {found.engines[1]} has {found.values[1]}."


def target_line(cost: Cost) -> str:
    """Return one sentence about a chip: what a sample takes in total, and the part of the cores, each with its range."""
    m = cost.memory
    if cost.program is not None:
        return _program_line(cost, cost.program)
    parts = [f"{m.n_cores} of {m.cores_available} cores", f"{kib(m.synaptic_bytes)} of synapses"]
    parts += list(_total_words(cost))
    return f"{cost.chip_title}: {', '.join(parts)}."


def _total_words(cost: Cost) -> Iterator[str]:
    dynamic = cost.energy.total_j if cost.energy else None
    chip = cost.total("chip")
    if chip is not None:
        least = "at least " if chip.left_out else ""
        whole = "whole chip" if cost.memory.n_chips == 1 else f"{cost.memory.n_chips} whole chips"
        yield f"{least}{band(chip.energy_j, 'J')} a sample for the {whole} [{chip.energy_j.grade}]"
    if dynamic is not None:
        alone = "" if chip is not None else " a sample"
        grade = "" if chip is not None else f" [{dynamic.grade}]"
        yield f"{band(dynamic, 'J')}{alone} in the cores alone{grade}"
    elif cost.energy is not None:
        yield "energy not available"
    if chip is not None:
        yield f"{nominal(chip.time_s, 's')} per sample {operation_words(cost, chip)}"
        if chip.operation != "free-running":
            yield f"average power {band(chip.power_w, 'W')}"
        if chip.battery_h is not None and cost.battery_j is not None:
            yield f"{hours(chip.battery_h)} on {cost.battery_j / 3.6:,.4g} mWh"
    elif cost.latency is not None:
        yield f"{nominal(cost.latency.sample_s.mean, 's')} per sample"


def operation_words(cost: Cost, total: Total) -> str:
    """Return an operating point in words."""
    if total.operation == "rate":
        return f"at {si(1 / total.time_s.nominal, 'Hz')}"
    if total.operation == "period" and cost.latency is not None and cost.latency.step_period_s is not None:
        return f"with steps of {si(cost.latency.step_period_s, 's')}"
    return "free-running"


BOUNDARIES: dict[Boundary, str] = {
    "cores": "cores, dynamic",
    "chip": "chip: and static power, embedded CPUs, management",
    "board": "board: and what is known around the chip",
}
"""Boundary of a total -> its name for readers."""


def _program_line(cost: Cost, program: Program) -> str:
    """Return the sentence about a microcontroller; the dense ANN comes first, as a reader has to choose between the two."""
    parts = [
        f"{program.flash_bytes:,} of {program.flash_limit:,} bytes of flash",
        f"{program.ram_bytes:,} of {program.ram_limit:,} bytes of RAM",
    ]
    if program.sample_instructions is not None:
        parts.insert(0, against_ann(program))
        parts.append(f"{program.sample_instructions.nominal:,.0f} instructions per sample")
    if cost.energy is not None:
        total = cost.energy.total_j
        parts.append(f"{band(total, 'J')} per sample [{total.grade}]" if total else "energy not available")
    if cost.latency is not None:
        parts.append(f"{si(cost.latency.sample_s.mean.nominal, 's')} per sample")
    return f"{cost.chip_title}: {', '.join(parts)}."


def against_ann(program: Program) -> str:
    """Return in words how many instructions a sample takes beside one inference of a dense ANN of equal shape."""
    own, ann = program.sample_instructions, program.dense_instructions.nominal
    assert own is not None
    ratio = own.nominal / ann
    if round(max(ratio, 1 / ratio), 1) == 1.0:
        return "about as many instructions as a dense int8 ANN of equal shape"
    outcome = f"{ratio:.2g} times the instructions" if ratio >= 1 else f"{1 / ratio:.2g} times fewer instructions"
    return f"{outcome} {'of' if ratio >= 1 else 'than'} a dense int8 ANN of equal shape"


def _program_section(cost: Cost, program: Program) -> Section:
    """Return the comparison with a dense ANN on the same core, flash and RAM."""
    rows = [("what", "this network", "dense int8 ANN of equal shape", "limit of the part")]
    ann, step = program.dense_instructions, program.step_instructions
    if step is not None and program.worst_step_instructions is not None and program.sample_instructions is not None:
        per_step, worst = f"{step.nominal:,.0f}", f"{program.worst_step_instructions.nominal:,.0f}"
        rows.append(("instructions, mean step", per_step, "", ""))
        rows.append(("instructions, longest step", worst, "", ""))
        rows.append(
            (
                "instructions, sample",
                f"{program.sample_instructions.nominal:,.0f}",
                f"{ann.nominal:,.0f} [{ann.grade}]",
                "",
            )
        )
    rows.append(
        ("flash, bytes", f"{program.flash_bytes:,}", f"{program.dense_macs:,} of weights", f"{program.flash_limit:,}")
    )
    rows.append(("RAM, bytes", f"{program.ram_bytes:,}", "", f"{program.ram_limit:,}"))
    notes = []
    if program.break_even_steps is not None:
        n = program.break_even_steps
        wins = f"A decision of at most {int(n)} steps takes" if n >= 1 else "No decision takes"
        notes.append(
            f"{wins} fewer instructions than one inference of the dense ANN ({program.dense_macs:,} MACs); this run: "
            f"{cost.n_steps} steps a sample, {against_ann(program)}."
        )
    return Section(f"{cost.chip_title} ({program.core}): beside a dense ANN on the same core", rows, notes)


def sections(report: Report) -> Iterator[Section]:
    """Yield the tables of a report in reading order."""
    yield _network_section(report.network)
    if report.neurobench is not None:
        yield _neurobench_section(report.neurobench)
    for cost in report.targets:
        yield from cost_sections(cost)
    yield _provenance_section(report)


def cost_sections(cost: Cost) -> Iterator[Section]:
    """Yield the tables of one chip: totals, memory, payloads, energy, latency; of a microcontroller the dense ANN first."""
    if cost.program is not None:
        yield _program_section(cost, cost.program)
    if cost.totals:
        yield totals_section(cost)
    yield _memory_section(cost)
    if cost.payloads:
        yield _payloads_section(cost)
    if cost.energy is not None:
        yield energy_section(cost, cost.energy)
        yield _opinions_section(cost)
    if cost.static:
        yield _static_section(cost)
    if cost.baselines:
        yield _baselines_section(cost)
    if cost.latency is not None:
        yield _latency_section(cost, cost.latency)


def _network_section(network: NetworkFacts) -> Section:
    rows = [("projection", "from", "to", "weights", "kept (mask)", "not zero")]
    for p in network.projections:
        if p.kind == "wires":
            rows.append((p.name, p.source, p.target, "wires", "-", "-"))
            continue
        kept, nonzero = f"{p.mask:,} ({percent(p.density)})", f"{p.nonzero:,} ({percent(p.density_nonzero)})"
        rows.append((p.name, p.source, p.target, f"{p.weights:,}", kept, nonzero))
    notes = [f"Input {name}: payloads of {bits} bits." for name, bits in network.payload_bits.items()]
    notes += [f"Neurons: {', '.join(_neurons(network))}."] if _special(network) else []
    notes += [f"Approximation: {a.where}: {a.what} ({a.size})." for a in network.ledger]
    return Section(f"Network: {network.neurons:,} neurons", rows, notes)


def _special(network: NetworkFacts) -> bool:
    """Return whether some layer is not of CUBA neurons that reset to zero, or leaky integrators."""
    return any(layer.model not in PLAIN_KINDS or layer.reset for layer in network.layers)


def _neurons(network: NetworkFacts) -> Iterator[str]:
    for layer in network.layers:
        reset = " with reset by subtraction" if layer.reset == "subtract" else ""
        yield f"{layer.name} {layer.model.replace('_', '-')}{reset}"


def _neurobench_section(metrics: NeuroBenchFacts) -> Section:
    rows = [("metric", "value"), ("footprint", f"{metrics.footprint_bytes:,} bytes")]
    rows += [("connection sparsity", f"{metrics.connection_sparsity:.4f}")]
    rows += [("activation sparsity", f"{metrics.activation_sparsity:.4f}")]
    rows += [("effective accumulates per sample", f"{metrics.effective_acs:,.1f}")]
    rows += [("effective multiply-accumulates per sample", f"{metrics.effective_macs:,.1f}")]
    rows += [("dense operations per sample", f"{metrics.dense_ops:,.1f}")]
    if metrics.membrane_updates is not None:
        rows.append(("membrane updates per sample", f"{metrics.membrane_updates:,.1f}"))
    return Section(f"Activity, with the definitions of NeuroBench ({metrics.n_steps} steps a sample)", rows)


def _memory_section(cost: Cost) -> Section:
    rows = [("layer", "neurons", "cores", "synapses stored", "memory", "format", "weight bits")]
    for layer in cost.memory.layers:
        formats, bits = ", ".join(layer.formats), ", ".join(map(str, layer.weight_bits))
        size = (f"{layer.neurons:,}", str(layer.cores), f"{layer.stored:,}", kib(layer.synaptic_bytes))
        rows.append((layer.name, *size, formats or "-", bits or "-"))
    fullest = max(cost.memory.cores, key=lambda core: core.fill, default=None)
    notes = list(cost.notes)
    if fullest is not None and fullest.fullest is not None:
        register = fullest.fullest
        notes.insert(
            0,
            f"Fullest: core {fullest.core} with {fullest.used[register]:,} of {cost.memory.limits[register]:,} "
            f"{register.replace('_', ' ')} ({percent(fullest.fill)}).",
        )
    total = f"{cost.memory.n_cores} of {cost.memory.cores_available} cores, {kib(cost.memory.synaptic_bytes)}"
    return Section(f"{cost.chip_title}: memory ({total})", rows, notes)


def _payloads_section(cost: Cost) -> Section:
    rows = [("sent by", "messages per sample", "payloads", "bits", "bits of the chip", "")]
    for sent in cost.payloads:
        known = "not known" if sent.chip_bits is None else str(sent.chip_bits)
        fits = "" if sent.fits is None else "fits" if sent.fits else "DOES NOT FIT"
        span = f"{sent.lowest:,} to {sent.highest:,}"
        rows.append((sent.name, f"{sent.messages / cost.n_samples:,.1f}", span, str(sent.bits), known, fits))
    return Section(f"{cost.chip_title}: payloads of messages, as sent in this run", rows)


def totals_section(cost: Cost) -> Section:
    """Return the totals at every operating point, the boundaries one below the other."""
    battery = [f"on {cost.battery_j / 3.6:,.4g} mWh"] if cost.battery_j is not None else []
    rows = [
        ("operating point", "boundary", "energy per sample", "average power", *battery, "grade", "no price is known of")
    ]
    for total in cost.totals:
        least = "at least " if total.left_out else ""
        figures = [f"{least}{band(total.energy_j, 'J')}", f"{least}{band(total.power_w, 'W')}"]
        figures += [hours(total.battery_h) if total.battery_h else "-"] if battery else []
        lacks = left_out_words(cost, total)
        where = f"{operation_words(cost, total)}, {nominal(total.time_s, 's')} a sample"
        rows.append((where, BOUNDARIES[total.boundary], *figures, total.energy_j.grade, lacks or "-"))
    host = cost.latency.host_input if cost.latency else None
    waits = [] if host is None else [_host_words(host)]
    notes = [*waits, *(covered_line(kind, coverage) for kind, coverage in cost.coverage.items() if kind != "cores")]
    return Section(f"{cost.chip_title}: energy of a sample in total", rows, notes)


def left_out_words(cost: Cost, total: Total) -> str:
    """Return in words what belongs to a total and has no price."""
    return ", ".join(component_name(name, graded=bool(cost.payloads)) for name in total.left_out)


def _host_words(host: HostInput) -> str:
    """Return in words what the host's injection of the input adds to the time of a sample."""
    if host.sample_s is None:
        return "The input is there when a sample starts; how long the host takes to inject it is not known."
    return (
        "The input is there when a sample starts: if the host injects it, that takes "
        f"{band(host.sample_s.mean, 's')} more a sample, in which the chip draws power as well."
    )


def covered_line(kind: str, coverage: Coverage) -> str:
    """Return in words how well the ranges of a kind of figure hold."""
    words = {"energy": "Energy of the cores", "time": "Times", "static": "Static and CPU power", "cores": "Cores"}
    return (
        f"{words.get(kind, kind)}: {coverage.inside} of {coverage.of} measured facts lie in the range that the others give "
        f"({coverage.source})."
    )


def energy_section(cost: Cost, energy: Energy) -> Section:
    """Return the components of one set of prices: events, price, energy, grade and source."""
    rows = [("component", "events per sample", "price", "energy per sample", "grade", "source of the price")]
    graded = bool(cost.payloads)
    for line in energy.lines:
        events = f"{line.events / cost.n_samples:,.1f}"
        price, total = band(line.price_j, "J", 3), band(line.energy_j, "J")
        name = component_name(line.component, graded=graded)
        rows.append((name, events, price, total, line.price_j.grade, line.source))
    if energy.total_j is not None:
        rows.append(("total", "", "", band(energy.total_j, "J"), energy.total_j.grade, "weakest grade of all"))
    notes = list(energy.notes)
    for item in energy.unpriced:
        count = f"{item.events / cost.n_samples:,.1f} per sample, " if item.events is not None else ""
        notes.append(f"Not in the total: {component_name(item.component, graded=graded)} ({count}{item.reason}).")
    return Section(f"{cost.chip_title}: dynamic energy per sample ({cost.n_samples} samples)", rows, notes)


def _static_section(cost: Cost) -> Section:
    rows = [("power of", "power", "basis", "time of a sample", "whole chips", "share of cores", "grade")]
    for line in cost.static:
        figures = (band(line.whole_j, "J"), f"{band(line.share_j, 'J')}, {percent(line.share)}", line.whole_j.grade)
        name = "embedded CPUs, awake" if line.component == "host" else line.component
        rows.append((name, band(line.power_w, "W", 3), line.basis, nominal(line.time_s, "s"), *figures))
    notes = ["Times here are those of the cores, without management; the totals above have both."]
    return Section(f"{cost.chip_title}: static energy per sample, not part of the dynamic energy", rows, notes)


def _opinions_section(cost: Cost) -> Section:
    rows = [("prices", "dynamic energy per sample", "grade", "events without a price")]
    for o in (cost.energy, *cost.second_opinions):
        if o is not None and o.total_j is not None:
            graded = bool(cost.payloads)
            without = ", ".join(component_name(item.component, graded=graded) for item in o.unpriced)
            name = f"{o.prices} (this estimate)" if o is cost.energy else o.prices
            rows.append((name, band(o.total_j, "J"), o.total_j.grade, without or "-"))
    lines = cost.energy.lines if cost.energy else ()
    known = sum("SANA-FE" in line.source for line in lines)
    notes = [f"{known} of {len(lines)} nominal prices of this estimate come from SANA-FE."] if known else []
    notes += [note for o in cost.second_opinions for note in o.notes]
    return Section(f"{cost.chip_title}: the same counts at other prices", rows, notes)


def _baselines_section(cost: Cost) -> Section:
    header = ("instead", "boundary", "energy per sample", f"{cost.chip_title}, same boundary", "times")
    rows: list[tuple[str, ...]] = [(*header, "even at activity times", "even at density", "grade")]
    for other in cost.baselines:
        what = other.what + (f" ({other.note})" if other.note else "")
        if other.energy_j is None:
            rows.append((what, "-", "not possible", "-", "-", "-", "-", ""))
            continue
        rows.append((what, other.boundary or "-", band(other.energy_j, "J"), *_against(other), other.energy_j.grade))
    notes = (
        "Times: the energy of the row divided by that of this chip within the same boundary, at "
        f"{_point_words(cost)}; above 1 this chip takes less.",
        "Even: where the nominal energy of this chip reaches that of the row, times and everything else held fixed.",
        "A microcontroller is a whole chip, so the whole chip is set against it; what it takes asleep is not counted.",
        "The grades differ from row to row; do not rank by nominal figures alone.",
    )
    return Section(f"{cost.chip_title}: what else the task could run on", rows, notes)


def _against(other: Baseline) -> tuple[str, str, str, str]:
    against = "-" if other.against_j is None else band(other.against_j, "J")
    times = "-" if other.times is None else _times(other.times)
    activity = (
        "-" if other.even_activity is None else "never" if not other.even_activity else _factor(other.even_activity)
    )
    density = "-" if other.even_density is None else "never" if not other.even_density else _density(other.even_density)
    return against, times, activity, density


def _times(ratio: Band) -> str:
    low, mid, high = (_factor(float(f"{v:.1e}")) for v in (ratio.low, ratio.nominal, ratio.high))
    return f"{mid} ({low} to {high})"


def _point_words(cost: Cost) -> str:
    chip = cost.total("chip")
    return "no operating point" if chip is None else f"the operating point '{operation_words(cost, chip)}'"


def _density(density: float) -> str:
    return percent(density) if density < 1 else "any"


def _latency_section(cost: Cost, latency: Latency) -> Section:
    rows: list[tuple[str, ...]] = [("time", "mean", "99 % below", "worst")]
    spreads = {"step, free-running": latency.step_s, "sample, free-running": latency.sample_s}
    if latency.real_time_sample_s is not None and latency.step_period_s is not None:
        spreads[f"sample, one step each {si(latency.step_period_s, 's')}"] = latency.real_time_sample_s
    for name, spread in spreads.items():
        rows.append((name, band(spread.mean, "s"), band(spread.p99, "s"), band(spread.worst, "s")))
    if latency.management_s is not None:
        rows.append(("management of a step, on top", band(latency.management_s, "s"), "", ""))
    if latency.managed_sample_s is not None and latency.management_s is not None:
        spread = latency.managed_sample_s
        rows.append(("sample with management", band(spread.mean, "s"), band(spread.p99, "s"), band(spread.worst, "s")))
    host = latency.host_input
    if host is not None:
        own, name = host.sample_s, f"host injects {host.spikes:,.1f} events a sample, on top"
        shown = ["no time is known"] * 3 if own is None else [band(s, "s") for s in (own.mean, own.p99, own.worst)]
        rows.append((name, *shown))
    first = latency.bindings[0]
    share = percent(first.steps / sum(b.steps for b in latency.bindings))
    notes = [f"What decides a step most often: {place(first.core)}{first.resource} ({share} of steps)."]
    notes += latency.notes
    notes += [f"Not in the times: {component_name(item.component)} ({item.reason})." for item in latency.unpriced]
    return Section(f"{cost.chip_title}: latency [{latency.step_s.mean.grade}]", rows, notes)


def place(core: int | None) -> str:
    """Return ``core 3, `` or an empty text."""
    return "" if core is None else f"core {core}, "


def verdict_line(verdict: Verdict) -> str:
    """Return a verdict as a sentence: met or missed, with and without the host's injection of the input."""
    outcome = "met" if verdict.met else "MISSED"
    if verdict.met and not verdict.met_at_high:
        outcome = "met by the nominal figure, missed by the high one"
    if verdict.met and verdict.met_with_host is False:
        outcome = "met without host input, MISSED with it"
    allowed = si(verdict.allowed_s, "s")
    if verdict.demand == "rate":
        allowed = f"{si(1 / verdict.allowed_s, 'Hz')} ({allowed} a sample)"
    own = verdict.resource == "instructions"  # a program calls the step with its events: no host injects them
    alone = "" if own else " without host input"
    line = (
        f"{verdict.demand} of {allowed}: {outcome}; needs {band(verdict.needed_s, 's')}{alone}, margin "
        f"{percent(_worth(verdict.margin, verdict.needed_s))}, bound by {place(verdict.core)}{verdict.resource}."
    )
    if verdict.needed_with_host_s is not None and not own:
        hosted = "met" if verdict.met_with_host else "MISSED"
        line += f" With the input injected by the host: {hosted}; {band(verdict.needed_with_host_s, 's')}."
    if verdict.safe_event_factor is not None:
        line += f" At least {_factor(verdict.safe_event_factor)} times the events would fit"
        line += f": {si(verdict.safe_input_hz, 'Hz')} of input spikes." if verdict.safe_input_hz else "."
    return line[0].upper() + line[1:]


def _worth(share: float, of: Band) -> float:
    """Return a share that was made from the nominal figure of a band, with the digits that its range allows."""
    return float(f"{share:.1e}") if digits_of(of) == 2 else share


def _factor(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _provenance_section(report: Report) -> Section:
    p = report.provenance
    rows = [("what", "which"), ("network", report.network.fingerprint)]
    rows += [(f"file {name}", digest) for name, digest in p.files.items()]
    rows += [(f"chip {cost.chip}", cost.chip_source) for cost in report.targets]
    rows += [("versions", ", ".join(f"{name} {version}" for name, version in p.versions.items()))] if p.versions else []
    rows += [("seed", str(p.seed))] if p.seed is not None else []
    rows += [("command", p.command)] if p.command else []
    return Section("Provenance", rows)


def as_text(lines: Sequence[str], tables: Sequence[Section], width: int) -> str:
    """Return sentences and tables for a terminal of ``width`` columns, without colours."""
    out = StringIO()
    console = Console(file=out, width=width, color_system=None, highlight=False, emoji=False, markup=False)
    for line in lines:
        console.print(line)
    for section in tables:
        console.print(f"\n{section.title}")
        console.print(_rich_table(section))
        for note in section.notes:
            console.print(f"  {note}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _rich_table(section: Section) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in section.rows[0]:
        table.add_column(name, overflow="fold")
    for row in section.rows[1:]:
        table.add_row(*row)
    return table


def as_markdown(title: str, lines: Sequence[str], tables: Sequence[Section]) -> str:
    """Return sentences and tables as Markdown."""
    out = [f"# {_escaped(title)}", "", *(f"- {_escaped(line)}" for line in lines)]
    for section in tables:
        header, *rows = section.rows
        out += ["", f"## {_escaped(section.title)}", "", _markdown_row(header), _markdown_row(["---"] * len(header))]
        out += [_markdown_row(row) for row in rows]
        out += ["", *(f"- {_escaped(note)}" for note in section.notes)] if section.notes else []
    return "\n".join(out) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
