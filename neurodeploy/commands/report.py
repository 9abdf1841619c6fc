"""The report of a network: proved, placed, priced, and written as pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neurodeploy.chip import Chip, load_chip
from neurodeploy.commands.estimate import check_prices
from neurodeploy.commands.export import export
from neurodeploy.commands.inputs import Progress, load_data, load_network, silent
from neurodeploy.commands.samples import AnySamples
from neurodeploy.commands.verify import check_engines, default_engines, run_engine
from neurodeploy.costs import pricing
from neurodeploy.costs.joint import joint_labels, updates_of
from neurodeploy.costs.record import Cost
from neurodeploy.engines.decoding import accuracy, check_labels, decoding_probes
from neurodeploy.engines.silence import find_silence
from neurodeploy.engines.table import simulate
from neurodeploy.errors import (
    ChipError,
    EstimateError,
    FileError,
    FitError,
    MismatchError,
    NeurodeployError,
    UsageError,
)
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.files.shown import WrittenReport
from neurodeploy.files.writing import locked_folder
from neurodeploy.mapping.abilities import find_lacks
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.mapping.summary import layer_summaries
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.proofs.proof import make_proof
from neurodeploy.reports.facts import file_hashes, network_facts, versions
from neurodeploy.reports.text import counted, target_line, verdict_line
from neurodeploy.run_folder import CHECKPOINT_FILE, NETWORK_FILE, TEST_FILE, recipe_pins, run_recipe
from neurodeploy.units import plural

DEMO_CHIPS = ("loihi1", "loihi2")
"""Chips of a report where none is named."""
VERIFICATION_KEYS = (
    *("equal", "engines", "n_samples", "n_steps"),
    *("spikes_compared", "input_spikes_compared", "spikes_different", "populations", "first_difference"),
)
_PROBE_BYTES = 2**28
"""Voltages are only recorded, for NeuroBench's membrane updates, where they take less."""
_LABEL_BYTES = 2**29
"""One run serves all chips only where its counts by label take less."""


def report(
    source: str | Path,
    *,
    data: AnySamples = None,
    out: str | Path | None = None,
    force: bool = False,
    chips: Sequence[str] | None = None,
    engines: Sequence[str] | None = None,
    reading: AnyReading = None,
    n_samples: int = 64,
    step_period_s: float | None = None,
    deadline_s: float | None = None,
    rate_hz: float | None = None,
    battery_j: float | None = None,
    command: str | None = None,
    say: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> WrittenReport:
    """Prove, place and price a network, and write its report as JSON, text, Markdown and HTML.

    Accuracy and energy are measured on all samples, exactness on the first ``n_samples``. Each engine runs once.

    Args:
        source: a run's folder, whose network is exported first where it was not yet, or a NIR file.
        data: samples (see ``load_data``); by default the test part of the run.
        out: folder to write to; by default that of the run, whose older report is replaced.
        force: replace an older report in ``out``.
        chips: names of chips, or chip files; by default those of ``DEMO_CHIPS`` that can do the network's kinds of neurons,
            resets and payloads.
        engines: engines to compare; by default ``default_engines`` of ``verify``.
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        n_samples: compare the engines on so many samples.
        step_period_s, deadline_s, rate_hz, battery_j: demands and battery, see ``neurodeploy.estimate``; the report starts
            with verdicts.
        command: how to repeat it, for the report's provenance.
        say: called with a line for each stage that is done.
        warn: called with what makes the answers of the network worthless (``engines.silence.Silence``); else ``say`` is.

    Returns:
        The report's object (``report``) and the paths of what was written (``files``).

    Raises:
        UsageError: where ``data`` or ``out`` is missing for a file, no chip is named, or an engine cannot take part.
        FileError: where ``out`` holds a report and ``force`` is not set.
        FitError: where every chip lacks what the network needs, or has no room for it; one among others is left out.
        EstimateError: where no chip has prices, or times for the demands.
        MismatchError: where an engine gives another spike; nothing is written then.
    """
    source, out = as_path(source), as_path(out)
    from neurodeploy.costs.neurobench import neurobench_metrics
    from neurodeploy.reports.facts import raster_facts
    from neurodeploy.reports.writing import make_report, write_report

    tell = say or silent
    compared = tuple(engines or default_engines(source))
    folder = _check(source, data, out, force, DEMO_CHIPS if chips is None else chips, compared)
    with locked_folder(folder, f"report: {folder}"):
        if source.is_dir() and not (source / NETWORK_FILE).exists() and (source / CHECKPOINT_FILE).exists():
            tell(f"export    {export(source)['path']}")
        network = load_network(source, reading=reading)
        samples = load_data(source if data is None else data, network=network)
        by_step = network.outputs[0].window is not None
        if len(network.outputs) == 1:
            check_labels(samples, by_step=by_step)
        targets = _default_chips(network, tell) if chips is None else [load_chip(name) for name in chips]
        timed = any(value is not None for value in (step_period_s, deadline_s, rate_hz))
        mappings, left_out = _mapped(source, network, targets, timed, tell)
        done = _run_each_once(source, network, samples, mappings, compared, n_samples, progress)
        held_out = source.is_dir() and data is None
        _tell_proof(source, network, done.proof, held_out, tell)
        right = accuracy(network, done.whole, samples) if _has_accuracy(network, samples) else None
        silence = find_silence(network, done.whole, samples)
        undecided = next(iter(silence.outputs.values())) if right is not None else {}
        if right is not None:
            words = ("test accuracy", " never used to choose anything") if held_out else ("accuracy", "")
            beside = "".join(f", {share:.2%} {word}" for word, share in undecided.items() if share)
            on = counted(samples.n_samples, steps=by_step)
            tell(f"simulate  {words[0]} {right:.2%} on {on}{words[1]}{beside}")
        for line in silence.notes:
            tell(f"simulate  {line}")
        for line in silence.warnings:
            (warn or tell)(line if warn else f"simulate  warning: {line}")
        costs: list[Cost] = []
        for mapping, activity in zip(mappings, done.by_mapping):
            tell(f"map       {mapping.chip.name}: {plural(len(mapping.cores), 'core')}, {_formats(mapping)}")
            demands = {
                "step_period_s": step_period_s,
                "deadline_s": deadline_s,
                "rate_hz": rate_hz,
                "battery_j": battery_j,
            }
            costs.append(pricing.estimate(network, mapping, activity, with_baselines=True, **demands))
            for line in (*map(verdict_line, costs[-1].verdicts), target_line(costs[-1])):
                tell(f"estimate  {line}")
        made = make_report(
            title=run_recipe(source).name if source.is_dir() else source.stem,
            network=network_facts(network),
            costs=costs,
            left_out=left_out,
            accuracy=None
            if right is None
            else {"test": right, "n_samples": samples.n_samples, "held_out": held_out, "steps": by_step, **undecided},
            verification={key: done.proof[key] for key in VERIFICATION_KEYS},
            raster=raster_facts(network, done.whole),
            neurobench=neurobench_metrics(network, done.probed).to_json(),
            silence=silence.to_json(),
            provenance=_provenance(source, data, command),
        )
        files = write_report(made, folder, tell)
        return WrittenReport(report=made, files={key: str(path) for key, path in files.items()})


def _mapped(
    source: Path, network: Network, chips: Sequence[Chip], timed: bool, tell: Callable[[str], None]
) -> tuple[list[Mapping], list[dict[str, str]]]:
    """Return the mappings, and the chips without one or without the prices that the demands need, with the reason.

    Raises:
        FitError, EstimateError: if no chip is left.
    """
    found = [(chip, _mapping_or_error(source, network, chip, timed)) for chip in chips]
    mappings = [result for _, result in found if isinstance(result, Mapping)]
    left_out, errors = [], [(chip, result) for chip, result in found if not isinstance(result, Mapping)]
    for chip, error in errors:
        reason = str(error).partition(": ")[2]
        left_out.append({"chip": chip.name, "title": chip.chip.title, "reason": reason})
        tell(f"map       {chip.name} is left out: {reason}")
    if errors and not mappings:
        raise errors[0][1]
    return mappings, left_out


def _mapping_or_error(source: Path, network: Network, chip: Chip, timed: bool) -> Mapping | NeurodeployError:
    """Return the mapping onto a chip, or the error that says why a report has no figures for it."""
    try:
        mapping = map_network(network, chip, pins=recipe_pins(source, chip))
        check_prices(chip, timed=timed)
    except (ChipError, EstimateError, FitError) as error:
        return error
    return mapping


def _check(
    source: Path, data: AnySamples, out: Path | None, force: bool, chips: Sequence[str], engines: Sequence[str]
) -> Path:
    """Refuse what cannot become a report before anything runs; return the folder to write to."""
    from neurodeploy.reports.writing import REPORT_FILES

    if not source.is_dir() and (data is None or out is None):
        missing = "which samples to run: --data DATA" if data is None else "where to write: --out DIR"
        raise UsageError(f"report: {source} is a file; say {missing}")
    if not chips:
        raise UsageError("report: name at least one chip")
    if len(engines) < 2:
        raise UsageError(f"report: give at least two engines to compare, not {', '.join(engines)}")
    check_engines(source, data, engines)
    if out is not None and not force:
        older = [name for name in REPORT_FILES if (out / name).exists()]
        if older:
            raise FileError(f"report: {out / older[0]} exists; choose another --out, or --force to replace it")
    return source if out is None else out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Runs:
    """Results of the simulations: the proof, all samples, the same with counts for each mapping, voltages of the first."""

    proof: dict[str, Any]
    whole: Activity
    by_mapping: list[Activity]
    probed: Activity


def _run_each_once(
    source: Path,
    network: Network,
    samples: Samples,
    mappings: Sequence[Mapping],
    engines: Sequence[str],
    n_samples: int,
    progress: Progress | None,
) -> _Runs:
    """Run every engine once: ``event`` on all samples, the others on the first, of which it gives a part."""
    first = samples.take(0, min(n_samples, samples.n_samples))
    steps = first.n_steps + network.depth
    probes = [(p.name, "v") for p in network.populations if "v" in p.model.states]
    if 4 * first.n_samples * steps * sum(p.size for p in network.populations) > _PROBE_BYTES:
        probes = readouts(network)
    runs = {}
    for engine in engines:
        if engine == "reference":
            runs[engine] = simulate(network, first, engine=engine, probe=probes, progress=progress)
        elif engine != "event":
            runs[engine], _ = run_engine(engine, source, network, first, progress)
    by_mapping = run_for_mappings(network, samples, mappings, progress)
    whole = by_mapping[0]
    if "event" in engines:
        runs["event"] = _first(whole, first.n_samples)
    ordered = [runs[engine] for engine in engines]
    probed = runs["reference"] if "reference" in runs else simulate(network, first, probe=probes)
    return _Runs(
        proof=make_proof(network, first, ordered, compare_activities(ordered, readouts(network))),
        whole=whole,
        by_mapping=by_mapping,
        probed=probed,
    )


def run_for_mappings(
    network: Network, samples: Samples, mappings: Sequence[Mapping], progress: Progress | None
) -> list[Activity]:
    """Return the activity of all samples for each mapping, from one run unless its counts would take too much memory."""
    probe = decoding_probes(network)
    labels = joint_labels(network, mappings)
    n_labels = 1 + max(int(own.max()) for own in labels.values())
    n_bytes = 8 * n_labels * samples.n_samples * (samples.n_steps + network.depth)
    if len(mappings) > 1 and n_bytes > _LABEL_BYTES:
        return [simulate(network, samples, labels=m.core_labels(), probe=probe, progress=progress) for m in mappings]
    run = simulate(network, samples, labels=labels, probe=probe, progress=progress)
    assert run.updated is not None
    return [replace(run, updated=updates_of(mapping, labels, run.updated)) for mapping in mappings]


def _first(activity: Activity, n_samples: int) -> Activity:
    return replace(
        activity,
        spikes={name: events.take(0, n_samples) for name, events in activity.spikes.items()},
        states={key: values[:n_samples] for key, values in activity.states.items()},
        updated=None,
    )


def _has_accuracy(network: Network, samples: Samples) -> bool:
    return samples.labels is not None and len(network.outputs) == 1


def _default_chips(network: Network, tell: Callable[[str], None]) -> list[Chip]:
    """Return the chips of ``DEMO_CHIPS`` that can do what the network needs, and tell which are left out and why.

    Raises:
        FitError: if none can.
    """
    chips, lack = [], None
    for chip in map(load_chip, DEMO_CHIPS):
        found = next(find_lacks(network, chip), None)
        if found is None:
            chips.append(chip)
        else:
            lack = lack or found
            tell(f"map       {chip.name} is left out: {found.reason}")
    if not chips and lack is not None:
        raise lack.error()
    return chips


def _tell_proof(
    source: Path, network: Network, proof: dict[str, Any], held_out: bool, tell: Callable[[str], None]
) -> None:
    """Say that all engines agree.

    Raises:
        MismatchError: where they do not.
    """
    if not proof["equal"]:
        raise MismatchError(
            f"report: {source} is not bit-exact: {proof['first_difference']}; neurodeploy verify {source} says more"
        )
    what, sent = "test samples" if held_out else "samples", "messages" if network.graded else "spikes"
    own, layers = proof["spikes_compared"] - proof["input_spikes_compared"], len(proof["populations"]) - 1
    tell(
        f"verify    {', '.join(proof['engines'])}: {proof['spikes_different']} of {proof['spikes_compared']:,} {sent} "
        f"different ({own:,} the network's own), {'the layer' if layers == 1 else f'all {layers} layers'} and the input, "
        f"{proof['n_samples']} {what}"
    )


def _formats(mapping: Mapping) -> str:
    """Say the synapse format of each layer."""
    return ", ".join(f"{layer['name']} {layer['format']}" for layer in layer_summaries(mapping))


def _provenance(source: Path, data: AnySamples, command: str | None) -> dict[str, Any]:
    given = [Path(data)] if isinstance(data, str | Path) and Path(data).is_file() else []
    if source.is_dir():
        own = [source / name for name in (CHECKPOINT_FILE, NETWORK_FILE, *([] if data else [TEST_FILE]))]
        seed = run_recipe(source).seed
    else:
        own, seed = [source], None
    again = (
        f"neurodeploy report {source}"
        if source.is_dir()
        else f"neurodeploy report {source} --data {data if isinstance(data, str | Path) else 'DATA'} --out DIR"
    )
    return {
        "command": command or again,
        "seed": seed,
        "files": file_hashes([*own, *given]),
        "versions": versions(("neurodeploy", "numpy", "nir", "torch", "lava-dl", "lava-nc")),
    }
