"""The page of results, Markdown with pictures: this module writes ``models/README.md``, which is never edited by hand.

A page may be written again from the rows of some recipes alone: what it says of the others stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from neurodeploy.bench.methods.claims import Group, Loss, Row, bounds, grouped, judge, paired_loss, summarise
from neurodeploy.bench.methods.former import compared, former_of
from neurodeploy.bench.methods.plots import plot_accuracy, plot_explored
from neurodeploy.bench.methods.variants import NOTES, WITHOUT_DROPOUT
from neurodeploy.files.writing import write_text

COMPARISONS: tuple[tuple[str, str, str], ...] = (
    ("pq", "pq-fixed", "the PQ ratio against a fixed one of 0.155"),
    ("pq", "pq-cosine", "the PQ ratio against a cosine from 0.31 to 0"),
    ("rkd", "rkd-none", "a weaker teacher against none"),
    ("rkd", "rkd-smoothing", "a weaker teacher against label smoothing 0.1"),
    ("rkd", "rkd-normal", "a weaker teacher against a stronger one"),
    ("rkd", "rkd-t1", "a weaker teacher at temperature 4 against 1"),
    ("rkd", "rkd-t16", "a weaker teacher at temperature 4 against 16"),
    ("esl-random", "static", "rewiring at random against a graph that stays"),
    ("esl-gradient", "static", "rewiring by gradient against a graph that stays"),
)
"""Pairs of methods that differ in one mechanism, and what the gain of the first over the second shows."""

PAPERS: tuple[tuple[str, str, str, str], ...] = (
    ("esl", "DVS-CIFAR10, VGGSNN", "10 % density", "loses 0.28 points to dense (arXiv 2306.03693, abstract)"),
    ("pq", "DVS-CIFAR10, VGGSNN", "30 % of the weights", "gains 0.08 points on its own baseline (arXiv 2502.13572)"),
    ("sdsnn", "MNIST", "49.83 % removed", "99.51 %, gains 0.05 points on dense (arXiv 2211.12219, abstract)"),
    ("rkd", "CIFAR100, DVS-Gesture", "not known", "figures not found (arXiv 2304.09500, abstract only)"),
)
"""Method, data with network, density and result as published; the networks are larger than ours, the data differ."""

_COLUMNS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("method", lambda g: f"`{g['method']}`"),
    ("density asked", lambda g: "-" if g["density"] is None else f"{100 * g['density']:g} %"),
    ("seeds", lambda g: str(g["seeds"])),
    ("accuracy", lambda g: _spread(g["accuracy_mean"], g["accuracy_sd"])),
    ("loss to dense [95 %]", lambda g: _loss(g["loss_to_dense"])),
    ("tied", lambda g: _percent(g["tied_samples"])),
    ("weights kept", lambda g: _percent(g["parameter_density"])),
    ("connections kept", lambda g: _percent(g["connection_density"])),
    ("connections", lambda g: _count(g["connections"])),
    ("non-zero weights", lambda g: _percent(g["nonzero_density"])),
    ("synaptic operations", lambda g: _thousands(g["synaptic_operations_per_sample"])),
    ("spikes", lambda g: _thousands(g["spikes_per_sample"])),
    ("cores L1 / L2", lambda g: _pair(g, "cores")),
    ("KiB L1 / L2", lambda g: _pair(g, "kib")),
    ("energy L2 uJ", lambda g: _range(g["energy_uj_loihi2"])),
    ("differing spikes", lambda g: _differing(g["verified"])),
    ("training s", lambda g: f"{g['seconds']:.0f}"),
    ("peak MiB", lambda g: _count(g["peak_mib"])),
)
_FORMER: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("processor s", lambda g: _count(g["cpu_seconds"])),
    ("slayer: accuracy", lambda g: "-" if (row := former_of(g)) is None else _spread(row.accuracy, row.sd)),
    ("slayer: training s", lambda g: "-" if (row := former_of(g)) is None else f"{row.seconds:.0f}"),
)
"""Columns of a recipe whose rows the slayer backend had trained before."""


def write_page(rows: Sequence[Row], metrics: Mapping[Group, list[dict[str, Any]]], path: Path) -> None:
    """Write the page to ``path`` and its pictures (SVG) beside it; what it said of recipes without rows is kept.

    Args:
        rows: rows of any recipes.
        metrics: the epoch metrics of one run for each recipe and method, of one density, for the picture of the connections
            explored.
        path: file of the page; its folder must exist.
    """
    pictures = []
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        own = [row for row in rows if row["recipe"] == recipe]
        accuracy, explored = (path.parent / f"{recipe}-{what}.svg" for what in ("accuracy", "explored"))
        plot_accuracy(summarise(own), recipe, accuracy)
        pictures.append(f"![Accuracy over density, {recipe}]({accuracy.name})")
        runs = {method: epochs for (name, method, _), epochs in metrics.items() if name == recipe}
        density = next((density for name, _, density in metrics if name == recipe), None)
        if density and plot_explored(runs, f"{recipe}, {100 * density:g} % of the weights", explored):
            pictures.append(f"![Connections that have existed, {recipe}]({explored.name})")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(render_page(rows, pictures, before), path)


def render_page(rows: Sequence[Row], pictures: Sequence[str] = (), before: str = "") -> str:
    """Return the page as Markdown.

    Args:
        rows: rows of any recipes.
        pictures: the lines that show images.
        before: an earlier page, which gives what is known of recipes without rows.
    """
    recipes = {row["recipe"] for row in rows}
    earlier = _Earlier.of(before, recipes)
    sections = dict(earlier.sections)
    for recipe in recipes:
        sections[recipe] = "\n".join(_recipe(recipe, [row for row in rows if row["recipe"] == recipe]))
    parts = [_HEAD, _hours(sections.values()), "## What was to be shown\n", _bars(rows, earlier)]
    for recipe in sorted(sections):
        parts += [f"## {recipe}\n", sections[recipe]]
    parts += ["## What single mechanisms do\n", _comparisons(rows, earlier), "## The papers' own figures\n", _papers()]
    parts.append(_ROWS)
    if shown := sorted({*pictures, *earlier.pictures}):
        parts += ["## Pictures\n", "\n\n".join(shown) + "\n"]
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an earlier page says of recipes without rows: sections, lines of the two tables of all, and pictures."""

    sections: Mapping[str, str]
    bars: Sequence[Sequence[str]]
    comparisons: Sequence[Sequence[str]]
    pictures: Sequence[str]

    @staticmethod
    def of(page: str, measured: Collection[str]) -> _Earlier:
        """Read a page; recipes that are ``measured`` anew are left out."""
        found = dict(part.split("\n", 1) for part in page.split("\n## ")[1:] if "\n" in part)
        general = {title: found.pop(title, "") for title in _TITLES}
        return _Earlier(
            sections={name: text.strip("\n") + "\n" for name, text in found.items() if name not in measured},
            bars=[cells for cells in _cells(general["What was to be shown"]) if cells[1].strip("`") not in measured],
            comparisons=[
                cells for cells in _cells(general["What single mechanisms do"]) if cells[0].strip("`") not in measured
            ],
            pictures=[
                line
                for line in general["Pictures"].splitlines()
                if line.startswith("![") and not any(f", {name}]" in line for name in measured)
            ],
        )


_TITLES = (
    "What was to be shown",
    "What single mechanisms do",
    "The papers' own figures",
    "Where the rows are",
    "Pictures",
)


def _cells(text: str) -> list[list[str]]:
    """Return the cells of the table in a text, without those of its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


_HEAD = """# What the recipes reach

Written by `neurodeploy bench methods --table models/README.md` from the rows that `neurodeploy bench methods` trained; not
edited by hand. Accuracy is that of the exported integers, run by the event engine on the test part of the data; the epoch
was chosen on the validation part. Spreads are standard deviations over seeds (other weights, masks and order of samples).
Losses are in points of accuracy, against the dense network of the same seeds; their intervals are 95 % percentile
bootstraps over the test samples, 10,000 resamples. A negative loss is a gain. Operations and spikes are per sample, L1 and
L2 stand for `loihi1` and `loihi2`, KiB is synaptic memory; energy is the dynamic energy of a sample with its range, of 100
test samples; differing spikes are those of 20 test samples between the engines that are named. Unpaired intervals are of
older rows, kept without answers to single samples: wider than paired ones. Training seconds were taken while two rows were
trained at once on a machine with other work, so they compare nothing. The commands
find data sets by `--data-root DIR` or `NEURODEPLOY_DATA`.
"""

_BY_STEP = " with a label each (accuracies and ties are shares of all steps)"
_PARTS: Mapping[tuple[str, int], str] = {
    ("mnist", 5000): " (the first half of MNIST's test part, which is the harder one)",
    ("nmnist", 150): " (with 750 to train on, a subset of the set's 60,000 and 10,000)",
    ("ecg", 71): " (the first of the set's 141)",
}
"""Remark on the test samples, by data set and number of samples, if they are not the whole test part."""


_ROWS = """## Where the rows are

`neurodeploy bench methods` keeps each row in a folder `RECIPE-METHOD-DENSITY-SEED-HASH` below `--out` (`runs/methods`): the
run as `neurodeploy train` leaves it (`recipe.toml`, `checkpoint.safetensors`, `metrics.jsonl`, `state.safetensors`,
`test.npz`, `teacher.json` where there is a teacher) and `row.json`: every figure of this page and the answers to all test
samples. HASH is that of the recipe's text. The same command goes on where it was stopped, inside a begun row too.
`models/rows/` keeps these rows: `bench methods` takes them from there, so that a begun table goes on anywhere, and
`--table` adds those of `--out`. What the page says of recipes without rows there is that of an earlier one.
"""


def _hours(sections: Iterable[str]) -> str:
    """Return how long all rows of a page were trained, by what its sections say."""
    found = [float(hours) for text in sections for hours in re.findall(r"([\d.]+) hours of training in all", text)]
    return (
        f"All rows together: {sum(found):.1f} hours of training where sections tell theirs, half of that with two "
        "at once (`--jobs 2`).\n"
    )


def _bars(rows: Sequence[Row], earlier: _Earlier) -> str:
    said = {None: "not measured", True: "met", False: "**missed**"}
    lines: list[Sequence[str]] = []
    for v in judge(rows):
        own = v.bar.claim, f"`{v.bar.recipe}`"
        known = [
            cells for cells in earlier.bars if tuple(cells[:2]) == own and all(n in cells[2] for n in bounds(v.bar))
        ]
        verdict = said[v.met] + (", one seed" if v.seeds == 1 else "")
        lines.append(known[0] if known and v.met is None else (*own, v.measured, str(v.seeds), verdict))
    return _table(("claim", "recipe", "measured", "seeds", "verdict"), lines)


def _recipe(recipe: str, rows: Sequence[Row]) -> list[str]:
    first = rows[0]
    facts = (
        f"Data `{first['data']}`, {first['n_test']} test samples{_PARTS.get((first['data'], first['n_test']), '')}, "
        f"{first['n_steps']} steps{_BY_STEP if 'answers' in first else ''}, {first['epochs']} epochs; "
        f"{sum(row['seconds'] for row in rows) / 3600:.1f} hours of training in all.{_settings(rows)}\n"
    )
    groups = summarise(rows)
    columns = _COLUMNS + (_FORMER if any(former_of(group) for group in groups) else ())
    table = _table([name for name, _ in columns], [[show(group) for _, show in columns] for group in groups])
    then = [said] if (said := compared(groups)) else []
    return [facts, "```\n" + "\n".join(_commands(recipe, rows)) + "\n```\n", table, *then]


def _commands(recipe: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield the commands that train the rows; methods with the same densities and seeds share a command."""
    asked: dict[str, tuple[set[float], set[int]]] = {}
    for row in rows:
        densities, seeds = asked.setdefault(row["method"], (set(), set()))
        densities.update(() if row["density"] is None else (row["density"],))
        seeds.add(row["seed"])
    alike: dict[tuple[str, str], list[str]] = {}
    for method, (densities, seeds) in asked.items():
        key = ",".join(f"{d:g}" for d in sorted(densities)), ",".join(str(seed) for seed in sorted(seeds))
        alike.setdefault(key, []).append(f"--method {method}")
    for (densities_asked, seeds_asked), methods in alike.items():
        at = f" --densities {densities_asked}" if densities_asked else ""
        yield f"neurodeploy bench methods --recipe {recipe} --seeds {seeds_asked}{at} {' '.join(methods)} --jobs 2"


def _settings(rows: Sequence[Row]) -> str:
    """Return, in words, the settings of ``pq`` and ``sdsnn`` that a reader needs to repeat or judge their rows."""
    bare = rows[0]["recipe"] in WITHOUT_DROPOUT
    said = ["Rows with a density train without dropout."] if bare else []
    for method in ("pq", "sdsnn"):
        found = next((row["settings"] for row in rows if row["method"] == method), None)
        if found:
            shown = {key: value for key, value in found.items() if key in _TOLD}
            note = f"; {NOTES[method]}" if method in NOTES and not bare else ""
            said.append(f"`{method}`: " + ", ".join(f"{key} {value}" for key, value in shown.items()) + note + ".")
    return (" " + " ".join(said)) if said else ""


_TOLD = ("density", "floor", "gamma", "iterations", "spine_constant", "spine_rate")


def _comparisons(rows: Sequence[Row], earlier: _Earlier) -> str:
    groups = grouped(rows)
    lines: list[Sequence[str]] = list(earlier.comparisons)
    for recipe, method, density in groups:
        for first, second, what in COMPARISONS:
            other = groups.get((recipe, second, density))
            if method != first or other is None:
                continue
            gain = paired_loss(other, groups[recipe, method, density])
            if gain:
                seeds = ", ".join(f"{value:+.2f}" for value in gain.by_seed)
                at = "-" if density is None else f"{100 * density:g} %"
                both = _kept(groups[recipe, method, density].values(), other.values())
                lines.append(
                    (f"`{recipe}`", at, f"`{first}` - `{second}`", what, both, _loss(gain), _says(gain), seeds)
                )
    lines.sort(key=lambda cells: cells[0])
    if not lines:
        return "No rows yet.\n"
    header = ("recipe", "density", "pair", "what it shows", "weights kept", "gain in points [95 %]", "says", "by seed")
    return _PAIRS + _table(header, lines)


_PAIRS = """Where the weights kept are not equal, the gain is that of more of them too. Where the interval of a pair holds 0,
nothing is shown: the mechanism may do as much harm as good.

"""


def _says(gain: Loss) -> str:
    """Return what an interval of a gain tells, in words."""
    if gain.low > 0:
        return "gains"
    return "loses" if gain.high < 0 else "nothing shown"


def _kept(first: Iterable[Row], second: Iterable[Row]) -> str:
    """Return the mean fractions of weights that two groups keep, in words, marked if they differ by more than 1 %."""
    one, other = (mean(row["parameter_density"] for row in rows) for rows in (first, second))
    return f"{_percent(one)} / {_percent(other)}" + (", **not equal**" if abs(one - other) > 0.01 * other else "")


def _papers() -> str:
    return _table(("method", "data and network", "density", "result"), [(f"`{m}`", *rest) for m, *rest in PAPERS])


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _spread(mean: float, sd: float | None) -> str:
    return f"{mean:.2f}" if sd is None else f"{mean:.2f} ± {sd:.2f}"


def _loss(loss: Loss | None) -> str:
    if loss is None:
        return "-"
    return f"{loss.points:+.2f} [{loss.low:+.2f}, {loss.high:+.2f}]" + ("" if loss.paired else " (unpaired)")


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.2f} %"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _differing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many spikes differ of all that were compared, and between which engines."""
    if not rows:
        return "-"
    engines = ", ".join(dict.fromkeys(name for row in rows for name in row["engines"]))
    return f"{sum(row['different'] for row in rows):,} of {sum(row['spikes'] for row in rows):,} ({engines})"


def _range(energy: Mapping[str, float] | None) -> str:
    return "-" if energy is None else f"{energy['nominal']:.3g} [{energy['low']:.3g}, {energy['high']:.3g}]"


def _thousands(count: float) -> str:
    return f"{count:,.0f}"


def _pair(group: Mapping[str, Any], what: str) -> str:
    shown = (group[f"{what}_loihi1"], group[f"{what}_loihi2"])
    return " / ".join("does not fit" if value is None else f"{value:.4g}" for value in shown)
