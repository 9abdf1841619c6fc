"""Which chip: a network on every known chip, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from neurodeploy.chip import Chip, chip_names, load_chip
from neurodeploy.commands.inputs import load_data, load_network
from neurodeploy.commands.report import run_for_mappings
from neurodeploy.commands.samples import AnySamples
from neurodeploy.costs import pricing
from neurodeploy.errors import ChipError, UsageError
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file, write_text
from neurodeploy.mapping.fit.search import fit
from neurodeploy.mapping.fit.verdict import LARGE
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network, n_nonzero
from neurodeploy.network.activity import Activity
from neurodeploy.reports.choice import ChipRow, ChipTable, choice_markdown, choice_page, row_of, table_of
from neurodeploy.run_folder import recipe_pins

_WRITERS: dict[str, Callable[[ChipTable], str]] = {
    ".md": choice_markdown,
    ".html": choice_page,
    ".json": lambda table: table.model_dump_json(indent=1) + "\n",
}


def choose_chip(
    file: str | Path,
    *,
    data: AnySamples = None,
    chips: Sequence[str] | None = None,
    reading: AnyReading = None,
    n_samples: int | None = None,
    step_period_s: float | None = None,
    deadline_s: float | None = None,
    rate_hz: float | None = None,
    battery_j: float | None = None,
    out: str | Path | None = None,
    force: bool = False,
    tried: Callable[[Chip], None] | None = None,
) -> ChipTable:
    """Return a row for every chip: whether the network fits, meets the demands, and what a sample costs there in all.

    A chip that does not fit or has no price is a row with the reason. The network is simulated once.

    Args:
        file: a NIR file, or a run's folder.
        data: samples to run (see ``load_data``); without them the table has memory alone.
        chips: names of chips, or chip files; by default all known ones.
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        n_samples: only so many samples of ``data``.
        step_period_s, deadline_s, rate_hz, battery_j: demands and battery, see ``neurodeploy.estimate``.
        out: file to write the table to: ``.md``, ``.html`` or ``.json``.
        force: replace ``out`` if it exists.
        tried: called with the chip before each mapping.

    Raises:
        UsageError: for demands without samples, or another kind of ``out``.
        FileError: where ``out`` exists and ``force`` is not set.
    """
    file, out = as_path(file), as_path(out)
    demands = {"step_period_s": step_period_s, "deadline_s": deadline_s, "rate_hz": rate_hz}
    if out is not None and out.suffix not in _WRITERS:
        raise UsageError(f"estimate: --out {out} ends in '{out.suffix}'; give a name in {', '.join(_WRITERS)}")
    if out is not None:
        check_new_file("estimate", out, force=force)
    if data is None and (battery_j is not None or any(value is not None for value in demands.values())):
        raise UsageError("estimate: demands and --battery need samples to run: --data DATA")
    network = load_network(file, reading=reading)
    samples = None if data is None else load_data(data, n_samples=n_samples, network=network)
    found = [_placed(file, network, name, tried) for name in (chip_names() if chips is None else chips)]
    rows = [result for result in found if isinstance(result, ChipRow)]
    mappings = [result for result in found if isinstance(result, Mapping)]
    runs: Sequence[Activity | None] = [None] * len(mappings)
    if samples is not None and mappings:
        runs = run_for_mappings(network, samples, mappings, None)
    rows += [_priced(network, m, run, {**demands, "battery_j": battery_j}) for m, run in zip(mappings, runs)]
    table = table_of(
        file.stem if file.is_file() else file.name,
        samples.n_samples if samples is not None else 0,
        rows,
        demands=[*_words(step_period_s, deadline_s, rate_hz)],
        battery=battery_j is not None,
    )
    if out is not None:
        write_text(_WRITERS[out.suffix](table), out)
    return table


def _words(period: float | None, deadline: float | None, rate: float | None) -> Iterator[str]:
    if period is not None:
        yield f"a step in {period * 1e3:g} ms"
    if deadline is not None:
        yield f"a sample within {deadline * 1e3:g} ms"
    if rate is not None:
        yield f"{rate:g} samples a second"


def _placed(file: Path, network: Network, name: str, tried: Callable[[Chip], None] | None) -> Mapping | ChipRow:
    """Return the mapping onto a chip, or the row that says why there is none."""
    try:
        chip = load_chip(name)
    except ChipError as error:
        return ChipRow(chip=str(name), title=str(name), fits=False, reason=str(error))
    if chip.chip.limits_only:
        return ChipRow(chip=chip.name, title=chip.chip.title, fits=False, reason=chip.chip.excludes or "limits only")
    small = sum(map(n_nonzero, network.projections)) < LARGE
    try:
        found = fit(network, chip, pins=recipe_pins(file, chip), remedies=small, other_chips=False, tried=tried)
    except ChipError as error:
        return ChipRow(chip=chip.name, title=chip.chip.title, fits=False, reason=str(error))
    if found.mapping is not None:
        return found.mapping
    remedy = found.remedies[0].what if found.remedies else ""
    reason = found.error.removeprefix("map: ")
    return ChipRow(chip=chip.name, title=chip.chip.title, fits=False, reason=reason, remedy=remedy)


def _priced(network: Network, mapping: Mapping, activity: Activity | None, demands: dict[str, Any]) -> ChipRow:
    chip = mapping.chip
    if activity is None:
        return row_of(pricing.estimate(network, mapping))
    if chip.latency is not None:
        return row_of(pricing.estimate(network, mapping, activity, **demands))
    priced = bool(chip.energy.model_dump(exclude_defaults=True))
    lacks = "no times" if priced else "neither prices nor times"
    cost = pricing.estimate(network, mapping, activity)
    row = row_of(cost, f"{chip.source_file} has {lacks}")
    return row if priced else row.model_copy(update={"dynamic_j": None, "energy_j": None, "coverage": None})
