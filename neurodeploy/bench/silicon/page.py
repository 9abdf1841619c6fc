"""The page ``docs/silicon.md``: every fact beside its estimate, and how many lie inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log
from textwrap import wrap

from neurodeploy.bench.silicon.rows import Range, SiliconRow
from neurodeploy.bench.silicon.spread import ABOVE, BELOW

_KINDS = ("energy", "time", "static", "cores")


def coverage_lines(rows: Sequence[SiliconRow]) -> list[str]:
    """Return in words measured over nominal and the coverage of each kind, and of all together."""
    lines = []
    for activity in ("recorded", "assumed"):
        for kind in (*_KINDS, "all"):
            own = [r for r in _judged(rows) if r.activity == activity and kind in (r.kind, "all")]
            if own:
                lines.append(f"{activity} activity, {kind}: {_coverage(own)}")
    return lines


def _judged(rows: Iterable[SiliconRow]) -> list[SiliconRow]:
    return [r for r in rows if r.role != "bound"]


def _coverage(rows: Sequence[SiliconRow]) -> str:
    n = len(rows)
    left, fitted = sum(r.inside_left_out for r in rows), sum(r.inside for r in rows)
    counts = f"inside {fitted} of {n} as fitted, {left} of {n} ({left / n:.0%}) left out"
    return f"measured over nominal {_ratios(rows)}; {counts}"


def _ratios(rows: Sequence[SiliconRow]) -> str:
    ratios = [r.ratio for r in rows if r.ratio is not None]
    if not ratios:
        return "-"
    middle = exp(sum(log(x) for x in ratios) / len(ratios))
    return f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def markdown(rows: Sequence[SiliconRow], ranges: Sequence[Range]) -> str:
    """Return the page."""
    return "\n".join([*_head(rows), *_ranges(ranges), *_tables(rows), *_origins(rows)]) + "\n"


def _head(rows: Sequence[SiliconRow]) -> list[str]:
    recorded = [r for r in _judged(rows) if r.activity == "recorded"]
    lines = [
        "# Estimates beside measurements of silicon",
        "",
        *_wrapped(
            "Written by `neurodeploy bench silicon --out docs/silicon.md --force`; every figure is computed when it runs, "
            "from the facts in `neurodeploy/bench/silicon/facts.toml`. [facts.md](facts.md) says how to try "
            "facts of your own."
        ),
        "",
        *_item(
            "*Boundary*: `cores` is the events in the cores, or their time; `chip` adds static power, embedded CPUs and "
            "management; `cpus` adds the embedded CPUs alone (or is their power); `board` "
            "adds the host, which injects the input."
        ),
        *_item(
            "*Validation*: nothing was fitted to it. *Calibration*: a number of the chip file was, and is replaced by what "
            "the other facts give where the fact is left out. *Bound*: the measurement holds more than the estimate, which "
            "has to stay below."
        ),
        *_item(
            "*Activity*: recorded where the spikes are those that ran, or do not matter; assumed where rates are guessed. "
            "Those stand in a table apart, because the guess decides most of them."
        ),
        "",
        "## How many lie inside",
        "",
        *_wrapped(
            "Facts with recorded activity, without bounds. *As fitted*: in the range that the chip file gives. *Left out*: "
            "in the range that the file would give had this workload never been measured."
        ),
        "",
        "| kind | facts | measured / nominal | inside, as fitted | inside, left out |",
        "|---|---|---|---|---|",
    ]
    for kind in (*_KINDS, "all"):
        own = [r for r in recorded if kind in (r.kind, "all")]
        if own:
            n, fitted, left = len(own), sum(r.inside for r in own), sum(r.inside_left_out for r in own)
            lines.append(f"| {kind} | {n} | {_ratios(own)} | {fitted} of {n} | {left} of {n} ({left / n:.0%}) |")
    return [*lines, "", *_verdict(recorded)]


def _verdict(recorded: Sequence[SiliconRow]) -> list[str]:
    """Say whether the aims are met: 80 % of all facts inside, left out, and 70 % of each kind."""
    shares = {"all kinds together": (recorded, 0.8)}
    shares |= {kind: ([r for r in recorded if r.kind == kind], 0.7) for kind in _KINDS}
    missed = [
        f"{name} ({sum(r.inside_left_out for r in own)} of {len(own)}, asked {asked:.0%})"
        for name, (own, asked) in shares.items()
        if own and sum(r.inside_left_out for r in own) < asked * len(own)
    ]
    if missed:
        return [f"**Missed aims**: {', '.join(missed)}.", ""]
    return ["The aims, left out: 80 % of all and 70 % of each kind. Both are met.", ""]


def _ranges(ranges: Sequence[Range]) -> list[str]:
    lines = [
        "## The ranges that follow",
        "",
        *_wrapped(
            f"Factors of the nominal figure below which {BELOW:.0%} and above which {ABOVE:.0%} of new measurements are "
            "expected, from the spread of all workloads, each counted once, and a prior "
            "(`neurodeploy/bench/silicon/spread.py`). The chip files take those of energy and time, rounded outwards. Facts "
            "with assumed activity count at their nominal rate. Cores are counted, not estimated: their range is the count "
            "itself."
        ),
        "",
        "| chip | figure | workloads | range | recorded facts inside, left out |",
        "|---|---|---|---|---|",
    ]
    for r in ranges:
        if r.kind != "cores":
            figure = f"{r.kind}, {r.boundary}" if r.boundary else r.kind
            factors = f"x{r.spread.low:.2f} to x{r.spread.high:.2f}"
            lines.append(f"| {r.chip} | {figure} | {r.spread.workloads} | {factors} | {r.inside} of {r.of} |")
    return [*lines, "", *_extremes(ranges), ""]


def _extremes(ranges: Sequence[Range]) -> list[str]:
    """Say how static power is printed, and how often that holds."""
    own = [r for r in ranges if r.kind == "static"]
    inside, n = sum(r.between or 0 for r in own), sum(r.of for r in own)
    if not n:
        return []
    return _wrapped(
        "**Static power is printed narrower than that**: the chip files go from the lowest to the highest that was "
        "measured, each with its source, as boards differ for reasons (voltage, clock, what is counted) that are no "
        f"chance. By that rule {inside} of {n} facts lie between the others: a new board may well lie outside, and the "
        "grade reads `guess`."
    )


def _wrapped(text: str) -> list[str]:
    return wrap(text, 120, break_on_hyphens=False, break_long_words=False)


def _item(text: str) -> list[str]:
    return wrap(text, 120, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def _tables(rows: Sequence[SiliconRow]) -> list[str]:
    lines = []
    parts = (
        ("Recorded activity", [r for r in _judged(rows) if r.activity == "recorded"]),
        ("Assumed activity", [r for r in _judged(rows) if r.activity == "assumed"]),
        ("Bounds", [r for r in rows if r.role == "bound"]),
    )
    for title, own in parts:
        if own:
            lines += [f"## {title}", "", *_table(own), ""]
    return lines


def _table(rows: Sequence[SiliconRow]) -> list[str]:
    lines = [
        "| workload | chip | quantity | kind, boundary | role | measured | estimate (low to high) | inside | left out |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        if r.error is not None:
            figures, inside, left = f"not run: {r.error}", "-", "-"
        else:
            figures = f"{_number(r.nominal)} ({_number(r.low)} to {_number(r.high)})"
            inside = _words(r, r.inside, r.low, r.high)
            left = _words(r, r.inside_left_out, r.low_left_out, r.high_left_out)
        lines.append(
            f"| {r.workload} | {r.chip} | {r.quantity} | {r.kind}, {r.boundary} | {r.role} | {r.measured:.4g} {r.unit} | "
            f"{figures} | {inside} | {left} |"
        )
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _words(row: SiliconRow, inside: bool, low: float | None, high: float | None) -> str:
    if inside:
        return "below" if row.role == "bound" else "yes"
    if low is None or high is None:
        return "-"
    end, bound = ("low", low) if row.measured < low else ("high", high)
    return f"NO: measured {row.measured / bound:.2f} times the {end} end"


def _origins(rows: Sequence[SiliconRow]) -> list[str]:
    lines = ["## Where each figure comes from", ""]
    for r in rows:
        note = f" {r.note}" if r.note else ""
        lines.append(f"- **{r.workload}, {r.quantity}**: {r.source}.{note}")
    return lines
