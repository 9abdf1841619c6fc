"""The rows of ``neurodeploy bench silicon``: facts beside estimates, as printed and with their own workload left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from neurodeploy.bench.silicon.facts import SCALE, SHIPPED, Activity, Fact, Facts, Kind, Role, Workload, load_facts
from neurodeploy.bench.silicon.spread import Spread, fit_spread
from neurodeploy.bench.silicon.workloads import MissingFileError, Run, run_workload
from neurodeploy.chip import Chip, chip_from_dict, chip_names, load_chip
from neurodeploy.costs.record import TIE, Cost
from neurodeploy.errors import EstimateError, FileError, NeurodeployError
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file

Three = tuple[float, float, float]
Group = tuple[str, str, str]
"""Chip whose prices are used, kind, and for static power the boundary: figures that share a range."""
_PRIOR = 2.0
"""Factor of a kind that no prior names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiliconRow:
    """One fact and its estimate; figures in ``unit``.

    ``low`` to ``high`` is what the chip file gives; ``*_left_out`` what it would give had the row's own workload never been
    measured. ``inside``: for a bound whether the estimate stays below it. Figures are None, with ``error``, where the
    workload does not run.
    """

    workload: str
    quantity: str
    kind: Kind
    boundary: str
    role: Role
    activity: Activity
    chip: str
    unit: str
    measured: float
    low: float | None
    nominal: float | None
    high: float | None
    inside: bool
    low_left_out: float | None
    nominal_left_out: float | None
    high_left_out: float | None
    inside_left_out: bool
    source: str
    note: str
    error: str | None = None

    @property
    def ratio(self) -> float | None:
        """Measured over nominal."""
        return self.measured / self.nominal if self.nominal else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The range of a group of figures, as fitted to all facts, and how many lie in it when they are left out."""

    chip: str
    kind: Kind
    boundary: str
    spread: Spread
    inside: int
    of: int
    between: int | None = None
    """For static power: how many lie between the lowest and the highest of the other workloads."""


@dataclass(frozen=True, slots=True)
class _Estimate:
    """An estimate in SI: as printed, and nominal prices at the three levels of activity without this fact.

    ``fixed``: the part of an energy beyond that of the cores, as printed; ``bare`` is then that of the cores.
    """

    fact: Fact
    chip: Chip
    group: Group
    printed: Three
    bare: Three
    fixed: Three = (0.0, 0.0, 0.0)


def measure(
    facts: str | Path | None = None,
    *,
    out: str | Path | None = None,
    force: bool = False,
    say: Callable[[str], None] | None = None,
) -> tuple[list[SiliconRow], list[Range]]:
    """Return the rows of a facts file, and the ranges that follow from them; as ``bench_silicon``."""
    if out is not None:
        check_new_file("bench", as_path(out), force=force)
    found = load_facts(facts)
    if facts is not None:  # priors that the file does not give are those of the package
        found = found.model_copy(update={"prior": (*found.prior, *load_facts().prior)})
    folder = SHIPPED.parent if facts is None else as_path(facts).parent
    estimates, failed = _estimates(found, folder, say or (lambda _: None))
    return _rows(found, estimates, failed)


def plain(row: SiliconRow) -> dict[str, Any]:
    """Return a row as plain values."""
    return asdict(row)


def _estimates(facts: Facts, folder: Path, say: Callable[[str], None]) -> tuple[dict[int, _Estimate], dict[int, str]]:
    """Return the estimates and the errors by number of the fact."""
    described = {w.name: w for w in facts.workload}
    runs: dict[str, Run | NeurodeployError | None] = {}
    estimates: dict[int, _Estimate] = {}
    failed: dict[int, str] = {}
    for i, fact in enumerate(facts.fact):
        workload = described.get(fact.workload)
        if workload is not None and fact.kind != "static" and fact.workload not in runs:
            runs[fact.workload] = _run(workload, folder, say)
        run = runs.get(fact.workload)
        try:
            if isinstance(run, NeurodeployError):
                raise run
            if fact.kind == "static" or run is not None:
                estimates[i] = _estimate(fact, workload, run, folder)
        except NeurodeployError as error:
            failed[i] = str(error)
            say(f"bench: '{fact.workload}', {fact.quantity}: {error}")
    return estimates, failed


def _run(workload: Workload, folder: Path, say: Callable[[str], None]) -> Run | NeurodeployError | None:
    try:
        return run_workload(workload, _chip(workload.chip, folder), folder)
    except MissingFileError as missing:
        say(f"bench: '{workload.name}' is left out: it needs {missing} in the wheel of lava-dl (extra train)")
        return None
    except NeurodeployError as error:
        return error


def _chip(name: str, folder: Path) -> Chip:
    beside = folder / name
    return load_chip(str(beside) if name.endswith(".toml") and beside.exists() else name)


def _estimate(fact: Fact, workload: Workload | None, run: Run | None, folder: Path) -> _Estimate:
    if run is None or fact.kind == "static":
        chip = _chip(fact.chip or (workload.chip if workload else ""), folder)
        quantity = chip.static.chip if fact.boundary == "chip" else chip.static.host
        if quantity is None:
            raise EstimateError(f"bench: {chip.source_file} has no static power of the {fact.boundary}")
        figures = _times(quantity.si, fact.chips)
        # A fact that is left out leaves the nominal figure to the others only where it says what they give.
        bare = fact.without.get(f"static.{'chip' if fact.boundary == 'chip' else 'host'}")
        scale = quantity.si[1] / quantity.nominal if quantity.nominal else 1.0
        nominal = figures[1] if bare is None else bare[1] * scale * fact.chips
        return _Estimate(fact, chip, _group(chip, fact), figures, (nominal, nominal, nominal))
    assert workload is not None
    chip = run.mapping.chip
    if fact.kind == "cores":
        n = float(len(run.mapping.cores))
        return _Estimate(fact, chip, _group(chip, fact), (n, n, n), (n, n, n))
    part = fact.model_copy(update={"boundary": "cores"}) if fact.kind == "energy" else fact
    costs, left = run.costs(chip), without(chip, fact.without)
    printed, own = (_at_levels(of, workload, costs, chip) for of in (fact, part))
    alone = [_figure(part, workload, cost, left)[1] for cost in run.costs(left)]
    fixed = (printed[0] - own[0], printed[1] - own[1], printed[2] - own[2])
    return _Estimate(fact, chip, _group(chip, fact), printed, (alone[0], alone[1], alone[2]), fixed)


def _at_levels(fact: Fact, workload: Workload, costs: Sequence[Cost], chip: Chip) -> Three:
    """Return the low figure at the low level of activity, the nominal one at the nominal level, the high one at the high."""
    low, nominal, high = (_figure(fact, workload, cost, chip)[level] for level, cost in enumerate(costs))
    return low, nominal, high


def _times(figures: Three, factor: float) -> Three:
    return figures[0] * factor, figures[1] * factor, figures[2] * factor


def _plus(a: Three, b: Three) -> Three:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def without(chip: Chip, numbers: dict[str, tuple[float, ...]]) -> Chip:
    """Return a chip with other numbers, by the path of each in the chip file.

    Raises:
        FileError: for a number that the chip file does not have.
    """
    if not numbers:
        return chip
    data = chip.model_dump(mode="json", exclude_none=True)
    for path, (low, nominal, high) in numbers.items():
        at: Any = data
        *tables, last = path.split(".")
        for table in tables:
            at = at.get(table, {})
        if last not in at:
            raise FileError(f'bench: without."{path}" is no number of {chip.source_file}')
        at[last] = {**at[last], "low": low, "nominal": nominal, "high": high}
    return chip_from_dict(data)


def _figure(fact: Fact, workload: Workload, cost: Cost, chip: Chip) -> Three:
    """Return the low, nominal and high figure of a fact, in SI.

    Raises:
        EstimateError: where the chip file lacks what it needs.
    """
    return _energy(fact, cost, chip) if fact.kind == "energy" else _time(fact, workload, cost, chip)


def _energy(fact: Fact, cost: Cost, chip: Chip) -> Three:
    if cost.energy is None or cost.energy.total_j is None:
        raise EstimateError(f"bench: {chip.source_file} has no prices of energy")
    total = cost.energy.total_j
    joules: Three = (total.low, total.nominal, total.high)
    seconds = None if fact.step_us is None else 1e-6 * fact.step_us * cost.n_steps
    powers = {"cores": (), "cpus": (chip.static.host,), "chip": (chip.static.chip, chip.static.host)}[fact.boundary]
    if powers:
        whole = cost.total("chip", "free-running")
        if whole is None or not any(powers):
            lacks = f"no times or no static power, so no energy of the {fact.boundary}"
            raise EstimateError(f"bench: {chip.source_file} has {lacks}")
        time = whole.time_s
        spans = (time.low, time.nominal, time.high) if seconds is None else (seconds, seconds, seconds)
        for power in powers:
            if power is not None:
                low, nominal, high = (cost.memory.n_chips * s * watts for s, watts in zip(spans, power.si))
                joules = _plus(joules, (low, nominal, high))
    if fact.unit.endswith("W"):
        if seconds is None:
            raise EstimateError("bench: power needs the measured time of a step: give step_us")
        return _times(joules, 1 / seconds)
    return _times(joules, 1 / cost.n_steps) if fact.per == "step" else joules


def _time(fact: Fact, workload: Workload, cost: Cost, chip: Chip) -> Three:
    latency = cost.latency
    if latency is None or latency.managed_step_s is None:
        raise EstimateError(f"bench: {chip.source_file} has no times")
    step = latency.step_s.mean if fact.boundary == "cores" else latency.managed_step_s.mean
    figures: Three = (step.low, step.nominal, step.high)
    if workload.chips > 1 and cost.memory.n_chips == 1:
        figures = _plus(figures, _more_barrier(chip, cost))
    host = latency.host_input
    if fact.boundary == "board" and host is not None and host.sample_s is not None:
        own = host.sample_s.mean
        figures = _plus(figures, _times((own.low, own.nominal, own.high), 1 / latency.n_steps))
    return _times(figures, latency.n_steps) if fact.per == "sample" else figures


def _more_barrier(chip: Chip, cost: Cost) -> Three:
    """Return how much longer the barrier between chips is than that between the tiles in use."""
    times = chip.latency
    if times is None or times.barrier_multichip is None or not times.barrier:
        raise EstimateError(f"bench: {chip.source_file} has no time of the barrier between chips")
    tiles = len({core.tile for core in cost.memory.cores if core.tile is not None}) or 1
    own = next((row.time.si for row in reversed(times.barrier) if row.tiles <= tiles), times.barrier[0].time.si)
    over = times.barrier_multichip.si
    return over[0] - own[0], over[1] - own[1], over[2] - own[2]


def _group(chip: Chip, fact: Fact) -> Group:
    """Return the group of a fact: chips with the same prices, as a board and its chip, are one."""
    return _family(_prices(chip), chip.name), fact.kind, fact.boundary if fact.kind == "static" else ""


def _prices(chip: Chip) -> str:
    return repr((chip.energy, chip.latency, chip.static))


@lru_cache(maxsize=64)
def _family(prices: str, name: str) -> str:
    """Return the shortest name of a shipped chip with these prices; ``name`` if there is none."""
    same = [known for known in chip_names() if _prices(load_chip(known)) == prices]
    return min(same, key=lambda known: (len(known), known), default=name)


def _rows(
    facts: Facts, estimates: dict[int, _Estimate], failed: dict[int, str]
) -> tuple[list[SiliconRow], list[Range]]:
    groups: dict[Group, list[_Estimate]] = {}
    for estimate in estimates.values():
        groups.setdefault(estimate.group, []).append(estimate)
    rows = []
    for i, fact in enumerate(facts.fact):
        if i in estimates:
            rows.append(_row(estimates[i], _left_out(facts, groups[estimates[i].group], fact.workload)))
        elif i in failed:
            rows.append(_failed(fact, facts, failed[i]))
    if not rows:
        raise FileError("bench: no fact of this file could be estimated; the lines above say why")
    return rows, [_range(facts, group, members, rows) for group, members in sorted(groups.items())]


def _left_out(facts: Facts, members: Sequence[_Estimate], workload: str | None) -> Spread | None:
    """Return the spread of a group without one workload (None: of all); None where figures are exact counts."""
    name, kind, boundary = members[0].group
    if kind == "cores":
        return None
    pairs = [(m.fact.workload, m.fact.si / m.bare[1]) for m in members if _fits(m.fact) and m.fact.workload != workload]
    prior = [p.factor for p in facts.prior if (p.chip, p.kind) == (name, kind) and p.boundary in (None, boundary)]
    return fit_spread(pairs, prior[0] if prior else _PRIOR)


def _fits(fact: Fact) -> bool:
    """Return whether a fact takes part in a spread: bounds do not, nor totals, which other kinds are part of."""
    return fact.role != "bound" and not (fact.kind == "energy" and fact.boundary != "cores")


def _row(estimate: _Estimate, spread: Spread | None) -> SiliconRow:
    fact, scale = estimate.fact, SCALE[estimate.fact.kind][estimate.fact.unit]
    low, nominal, high = (value / scale for value in estimate.printed)
    bare = [value / scale for value in estimate.bare]
    left = (bare[0] * spread.low, bare[1], bare[2] * spread.high) if spread is not None else (bare[0], bare[1], bare[2])
    left = _plus(left, _times(estimate.fixed, 1 / scale))
    return SiliconRow(
        **_taken(fact),
        chip=estimate.chip.name,
        low=low,
        nominal=nominal,
        high=high,
        inside=_inside(fact, low, high),
        low_left_out=left[0],
        nominal_left_out=left[1],
        high_left_out=left[2],
        inside_left_out=_inside(fact, left[0], left[2]),
    )


def _taken(fact: Fact) -> dict[str, Any]:
    """Return the fields of a row that are those of its fact."""
    names = ("workload", "quantity", "kind", "boundary", "role", "activity", "unit", "measured", "source", "note")
    return {name: getattr(fact, name) for name in names}


def _inside(fact: Fact, low: float, high: float) -> bool:
    if fact.role == "bound":
        return high <= fact.measured * (1 + TIE)
    return low * (1 - TIE) <= fact.measured <= high * (1 + TIE)


def _failed(fact: Fact, facts: Facts, error: str) -> SiliconRow:
    chip = fact.chip or next((w.chip for w in facts.workload if w.name == fact.workload), "")
    return SiliconRow(
        **_taken(fact),
        chip=chip,
        low=None,
        nominal=None,
        high=None,
        inside=False,
        low_left_out=None,
        nominal_left_out=None,
        high_left_out=None,
        inside_left_out=False,
        error=error,
    )


def _range(facts: Facts, group: Group, members: Sequence[_Estimate], rows: Sequence[SiliconRow]) -> Range:
    name, kind, boundary = group
    spread = _left_out(facts, members, None) or Spread(1.0, 1.0, len({m.fact.workload for m in members}))
    own = {
        (m.fact.workload, m.fact.quantity) for m in members if m.fact.role != "bound" and m.fact.activity == "recorded"
    }
    found = [r.inside_left_out for r in rows if (r.workload, r.quantity) in own and r.kind == kind]
    return Range(
        chip=name,
        kind=members[0].fact.kind,
        boundary=boundary,
        spread=spread,
        inside=sum(found),
        of=len(found),
        between=_between(members) if kind == "static" else None,
    )


def _between(members: Sequence[_Estimate]) -> int:
    """Return how many facts lie between the lowest and the highest of other workloads, per chip."""
    own = [(m.fact.workload, m.fact.si / m.fact.chips) for m in members]
    others = [(value, [v for name, v in own if name != workload]) for workload, value in own]
    return sum(bool(rest) and min(rest) <= value <= max(rest) for value, rest in others)
