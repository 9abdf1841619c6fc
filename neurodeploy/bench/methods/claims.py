"""Statistics over benchmark rows: means, paired losses with bootstrap intervals, and whether each claim is met.

Rows of one recipe are tested on the same samples in the same order, so methods are compared sample by sample. This module
does not import torch.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from neurodeploy.bench.methods.variants import VARIANTS
from neurodeploy.errors import FileError, TrainingError
from neurodeploy.files.checked import OneOf, Record
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.toml import parse_toml
from neurodeploy.files.writing import write_text

Row = Mapping[str, Any]
Group = tuple[str, str, float | None]
"""Recipe, method and density; the rows of a group differ only in their seeds."""

ROWS_FOLDER = "rows"
"""Folder beside the page of results in which a repository keeps rows, answers included, so that new ones pair with them."""
N_RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Accuracy, in points, that one group of rows loses to another (negative: a gain).

    ``points`` is the mean over the seeds that both groups have, ``low`` and ``high`` are the ends of its bootstrap interval,
    and ``by_seed`` holds the loss of each seed. ``paired`` is False where answers to single samples are not at hand: the
    interval is then that of two independent accuracies, which is wider.
    """

    points: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    paired: bool = True


class Bar(Record):
    """A result that a method has to show on a recipe, worded in ``claim``; one ``[[bars]]`` table of ``claims.toml``.

    Accuracies and weights are means over the seeds in percent, losses and gains in points of accuracy.

    Attributes:
        density: of the rows that are judged; None where the method takes no density.
        at_least: lower bound of the accuracy.
        loss_below: bound that the upper end of the interval of the loss to the dense network must stay below.
        loss_within: upper bound of that loss itself.
        gain_at_least: lower bound of the gain over a static graph of the same density.
        gain_above: bound that the lower end of the interval of that gain must stay above.
        kept_within: upper bound of the weights that are kept.
    """

    claim: str
    recipe: str
    method: Annotated[str, OneOf(VARIANTS)]
    density: Annotated[float, Field(gt=0, le=1)] | None = None
    at_least: float | None = None
    loss_below: float | None = None
    loss_within: float | None = None
    gain_at_least: float | None = None
    gain_above: float | None = None
    kept_within: float | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Bar:
        if all(getattr(self, name) is None for name in _BOUNDS):
            raise ValueError(f"'{self.claim}' asks for nothing; give at least one of {', '.join(_BOUNDS)}")
        return self


_BOUNDS: Mapping[str, str] = {
    "at_least": "at least",
    "loss_below": "below",
    "loss_within": "at most",
    "gain_at_least": "at least",
    "gain_above": "above",
    "kept_within": "at most",
}
"""The keys that set a bound, with the word for it in a verdict."""


class Claims(Record):
    """The whole of ``claims.toml``."""

    bars: tuple[Bar, ...]


def load_bars(path: Path) -> tuple[Bar, ...]:
    """Return the checked bars of a TOML file; raises pydantic's ``ValidationError`` where a key or value is wrong."""
    return Claims.model_validate(parse_toml(path.read_text(encoding="utf-8"))).bars


BARS = load_bars(Path(__file__).with_name("claims.toml"))
"""Bars that the rows of the bench have to meet."""


def collect(folder: Path, kept: Path | None = None) -> tuple[list[dict[str, Any]], dict[Group, list[dict[str, Any]]]]:
    """Return all rows in a folder, and the epoch metrics of one run for each recipe and method, for a picture of them.

    These runs have one density, the one at which most methods were run (the lowest of several), and the first seed; methods
    without a density are left out.

    Args:
        folder: a folder for each run.
        kept: folder with rows alone, ``NAME.json``, of which those are added that ``folder`` lacks. Where ``folder`` has
            rows, they are added to its recipes only: of others a page knows more already, intervals by answers.

    Raises:
        FileError: if there is no row, or a file is damaged.
    """
    found = [(read_row(path), path) for path in folder.glob("*/row.json")]
    here, recipes = {path.parent.name for _, path in found}, {row["recipe"] for row, _ in found}
    if kept is not None:
        more = [(read_row(path), path) for path in kept.glob("*.json") if path.stem not in here]
        found += [(row, path) for row, path in more if not recipes or row["recipe"] in recipes]
    if not found:
        raise FileError(f"bench: there is no row in {folder}; train some first, or name their folder with --out")
    found.sort(key=lambda one: (one[0]["recipe"], _place(one[0]["method"]), one[0]["density"] or 0.0, one[0]["seed"]))
    _check_unique(found)
    runs: dict[Group, Path] = {}
    for row, path in found:
        if path.name == "row.json" and row["density"] is not None:
            runs.setdefault((row["recipe"], row["method"], row["density"]), path.parent / "metrics.jsonl")
    shown = {recipe: _commonest(density for name, _, density in runs if name == recipe) for recipe, *_ in runs}
    metrics: dict[Group, list[dict[str, Any]]] = {
        (recipe, method, density): [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for (recipe, method, density), path in runs.items()
        if density == shown[recipe]
    }
    return [row for row, _ in found], metrics


def _commonest(densities: Iterable[float | None]) -> float:
    """Return the density that occurs most often, the lowest of several."""
    counts = Counter(density for density in densities if density is not None)
    return min(counts, key=lambda density: (-counts[density], density))


def keep_rows(folder: Path, kept: Path) -> int:
    """Write the rows in a folder to ``kept``, ``NAME.json``; return how many there are."""
    paths = sorted(folder.glob("*/row.json"))
    for path in paths:
        kept.mkdir(exist_ok=True)
        write_text(to_json(read_row(path), indent=1) + "\n", kept / f"{path.parent.name}.json")
    return len(paths)


def read_row(path: Path) -> dict[str, Any]:
    """Return the row in a file; raises ``FileError`` if the file is damaged."""
    try:
        row: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"bench: {path} holds no row ({error}); remove it, and its row is made again") from error
    return row


def _check_unique(found: Iterable[tuple[Row, Path]]) -> None:
    """Refuse rows that come from two versions of a recipe, since a mean must not mix them."""
    seen: dict[tuple[str, str, float | None, int], Path] = {}
    for row, path in found:
        key = row["recipe"], row["method"], row["density"], row["seed"]
        if key in seen:
            recipe, method, density, seed = key
            raise FileError(
                f"bench: {_run(seen[key])} and {_run(path)} are both {recipe} {method} at density {density}, seed {seed}, "
                "of two versions of the recipe; remove the one that is out of date, or move it to another folder"
            )
        seen[key] = path


def _run(path: Path) -> Path:
    """Return the folder of a run, or the file of a row that is kept without one."""
    return path.parent if path.name == "row.json" else path


def _place(method: str) -> int:
    return list(VARIANTS).index(method) if method in VARIANTS else len(VARIANTS)


def grouped(rows: Iterable[Row]) -> dict[Group, dict[int, Row]]:
    """Return the rows grouped by recipe, method and density, and within each group by seed."""
    groups: dict[Group, dict[int, Row]] = {}
    for row in rows:
        groups.setdefault((row["recipe"], row["method"], row["density"]), {})[row["seed"]] = row
    return groups


def correct_of(row: Row) -> NDArray[np.float64]:
    """Return what share of each test sample a row classifies correctly, ``(n_test,)``: 0 or 1, or that of its steps."""
    packed, each = np.frombuffer(bytes.fromhex(row["correct"]), np.uint8), row.get("answers", 1)
    right = np.unpackbits(packed, count=row["n_test"] * each).reshape(row["n_test"], each)
    shares: NDArray[np.float64] = right.mean(axis=1)
    return shares


def paired_loss(
    rows: Mapping[int, Row], against: Mapping[int, Row], *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Loss | None:
    """Return the accuracy that ``rows`` lose to ``against``, paired by seed and sample; None if they share no seed.

    For each test sample the difference of the two answers (1 right, 0 wrong) is averaged over the seeds; the interval is
    the percentile bootstrap of its mean over samples. It says how far another draw of test samples would move the loss,
    not another draw of seeds: for those see ``by_seed``.

    Args:
        rows, against: rows of one recipe by seed, tested on the same samples.
        seed: seed of the resampling.
        n_resamples: number of resamples, at least 1.

    Raises:
        TrainingError: if the rows were not tested on equally many samples.

    Source: Efron and Tibshirani 1993, chapter 13 (percentile interval). A resample of ``n`` differences is drawn as the
    number of times that each of their few values occurs, which has the same law.
    """
    shared = sorted(set(rows) & set(against))
    if not shared:
        return None
    sizes = {row["n_test"] for side in (rows, against) for row in side.values()}
    if len(sizes) > 1:
        raise TrainingError(f"bench: rows to compare were tested on {sorted(sizes)} samples; make them with one recipe")
    if not all("correct" in side[s] for side in (rows, against) for s in shared):
        return _unpaired([against[s] for s in shared], [rows[s] for s in shared], seed, n_resamples)
    lost = [100.0 * correct_of(against[s]) - 100.0 * correct_of(rows[s]) for s in shared]
    values, counts = np.unique(np.mean(lost, axis=0), return_counts=True)
    n_test = int(counts.sum())
    drawn = np.random.default_rng(seed).multinomial(n_test, counts / n_test, size=n_resamples)
    low, high = np.percentile(drawn @ values / n_test, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return Loss(
        points=float(values @ counts / n_test),
        low=float(low),
        high=float(high),
        by_seed=tuple(float(one.mean()) for one in lost),
    )


def _unpaired(better: Sequence[Row], worse: Sequence[Row], seed: int, n_resamples: int) -> Loss:
    """Return the loss from accuracies alone: both are drawn anew, each from as many samples as it was tested on."""
    rng = np.random.default_rng(seed)
    n_test = int(better[0]["n_test"])
    means = [np.array([row["accuracy"] for row in rows]) for rows in (better, worse)]
    first, second = (rng.binomial(n_test, one.mean(), n_resamples) / n_test for one in means)
    low, high = np.percentile(100 * (first - second), [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    by_seed = 100 * (means[0] - means[1])
    return Loss(
        points=float(by_seed.mean()), low=float(low), high=float(high), by_seed=tuple(by_seed.tolist()), paired=False
    )


def summarise(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return an entry for each recipe, method and density: means over the seeds, spread, and loss to the dense network.

    ``accuracy_mean`` is in percent, ``accuracy_sd`` in points (None for one seed). ``loss_to_dense`` (``Loss`` or None) is
    the loss to the dense network of the recipe; ``gain_over_static`` the mean gain, in points, over the static graph of the
    same density, over the seeds that both have, or None.
    """
    groups = grouped(rows)
    table = []
    for (recipe, method, density), by_seed in groups.items():
        accuracies = [100 * row["accuracy"] for row in by_seed.values()]
        static = groups.get((recipe, "static", density), {})
        gains = [100 * (row["accuracy"] - static[s]["accuracy"]) for s, row in by_seed.items() if s in static]
        dense = groups.get((recipe, "dense", None), {})
        table.append(
            {
                "recipe": recipe,
                "method": method,
                "density": density,
                "seeds": len(by_seed),
                "accuracy_mean": statistics.mean(accuracies),
                "accuracy_sd": statistics.stdev(accuracies) if len(by_seed) > 1 else None,
                "gain_over_static": statistics.mean(gains) if gains else None,
                "loss_to_dense": paired_loss(by_seed, dense) if method != "dense" else None,
                **{name: _mean(by_seed.values(), name) for name in MEANS},
                "energy_uj_loihi2": _energy(by_seed.values()),
                "verified": [row["verified"] for row in by_seed.values() if row.get("verified")],
            }
        )
    return table


MEANS = (
    "parameter_density",
    "nonzero_density",
    "connection_density",
    "synaptic_operations_per_sample",
    "spikes_per_sample",
    "cores_loihi1",
    "kib_loihi1",
    "cores_loihi2",
    "kib_loihi2",
    "seconds",
    "cpu_seconds",
    "peak_mib",
    "tied_samples",
    "connections",
)
"""Figures of a row that are averaged over the seeds; the mean is None if a row has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one bar: the measured values in words, the number of seeds, and whether it is met.

    ``met`` is None if there are no rows yet.
    """

    bar: Bar
    measured: str
    seeds: int
    met: bool | None


def judge(rows: Iterable[Row], bars: Iterable[Bar] = BARS) -> list[Verdict]:
    """Return for each bar whether the rows meet it."""
    groups = grouped(rows)
    return [_verdict(bar, groups) for bar in bars]


def _verdict(bar: Bar, groups: Mapping[Group, Mapping[int, Row]]) -> Verdict:
    own = groups.get((bar.recipe, bar.method, bar.density), {})
    parts = list(_parts(bar, own, groups)) if own else []
    if not parts or any(met is None for _, met in parts):
        return Verdict(bar=bar, measured="no rows yet", seeds=0, met=None)
    said = ", ".join(what for what, _ in parts)
    return Verdict(bar=bar, measured=said, seeds=len(own), met=all(met for _, met in parts))


def bounds(bar: Bar) -> list[str]:
    """Return the bounds of a bar in the words of its verdict."""
    return [f"({word} {getattr(bar, name):g})" for name, word in _BOUNDS.items() if getattr(bar, name) is not None]


def _parts(
    bar: Bar, own: Mapping[int, Row], groups: Mapping[Group, Mapping[int, Row]]
) -> Iterator[tuple[str, bool | None]]:
    """Yield each bound of a bar with the measured value in words, and whether it is met (None: no rows to compare with)."""
    loss = paired_loss(own, groups.get((bar.recipe, "dense", None), {}))
    gain = paired_loss(groups.get((bar.recipe, "static", bar.density), {}), own)
    if bar.at_least is not None:
        accuracy = 100 * statistics.mean(row["accuracy"] for row in own.values())
        yield f"{accuracy:.2f} % (at least {bar.at_least:g})", accuracy >= bar.at_least
    if bar.loss_below is not None:
        upper = f"loss {loss.points:.2f}, upper bound {loss.high:.2f} points" if loss else ""
        yield f"{upper} (below {bar.loss_below:g})", loss.high < bar.loss_below if loss else None
    if bar.loss_within is not None:
        mean = f"loss {loss.points:.2f} points" if loss else ""
        yield f"{mean} (at most {bar.loss_within:g})", loss.points <= bar.loss_within if loss else None
    if bar.gain_at_least is not None:
        more = f"gain {gain.points:.2f} points" if gain else ""
        yield f"{more} (at least {bar.gain_at_least:g})", gain.points >= bar.gain_at_least if gain else None
    if bar.gain_above is not None:
        lower = f"gain {gain.points:.2f}, lower bound {gain.low:.2f} points" if gain else ""
        yield f"{lower} (above {bar.gain_above:g})", gain.low > bar.gain_above if gain else None
    if bar.kept_within is not None:
        kept = 100 * statistics.mean(row["parameter_density"] for row in own.values())
        # budgets are whole numbers of connections
        yield f"{kept:.2f} % of the weights kept (at most {bar.kept_within:g})", kept <= bar.kept_within + 0.005


def _mean(rows: Iterable[Row], name: str) -> float | None:
    values: list[Any] = [row.get(name) for row in rows]  # rows of earlier versions lack some
    return None if any(value is None for value in values) else statistics.mean(values)


def _energy(rows: Iterable[Row]) -> dict[str, float] | None:
    """Return low, nominal and high energy, means over the rows; None if one has none."""
    values: list[Any] = [row.get("energy_uj_loihi2") for row in rows]
    if any(value is None for value in values):
        return None
    return {name: statistics.mean(value[name] for value in values) for name in ("low", "nominal", "high")}
