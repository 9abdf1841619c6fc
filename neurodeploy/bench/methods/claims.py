"""What the rows of the bench say together: means, paired losses with bootstrap intervals, and whether the bars are met.

Rows of one recipe are tested on the same samples in the same order, so methods are compared sample by sample. Without torch.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.bench.methods.variants import VARIANTS
from neurodeploy.errors import FileError, TrainingError

Row = Mapping[str, Any]
Group = tuple[str, str, float | None]
"""Recipe, method and density that rows of several seeds have in common."""

N_RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How many points of accuracy one group of rows loses to another (negative: gains).

    ``points`` is the mean over the seeds that both have, ``low`` and ``high`` bound its bootstrap interval, and ``by_seed``
    holds the loss of each seed.
    """

    points: float
    low: float
    high: float
    by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Something that a method must show on a recipe, said by ``claim``.

    ``at_least`` bounds the mean accuracy in percent from below, ``loss_below`` the upper end of the interval of the loss to
    the dense network, ``loss_within`` that loss itself, ``gain_at_least`` the gain over a static graph of the same density
    from below (all three in points), ``kept_within`` the mean density of the kept weights in percent.
    """

    claim: str
    recipe: str
    method: str
    density: float | None = None
    at_least: float | None = None
    loss_below: float | None = None
    loss_within: float | None = None
    gain_at_least: float | None = None
    kept_within: float | None = None


BARS: tuple[Bar, ...] = (
    Bar(claim="a dense MLP, accuracy of the exported integers", recipe="mnist-mlp", method="dense", at_least=97.3),
    Bar(claim="a convolutional network, dense", recipe="mnist-conv", method="dense", at_least=98.5),
    Bar(
        claim="`esl` at 10 %, upper bound of its loss",
        recipe="mnist-mlp",
        method="esl-random",
        density=0.1,
        loss_below=0.6,
    ),
    Bar(
        claim="`pq` down to 5 % (gamma 3), loss",
        recipe="mnist-mlp",
        method="pq",
        density=0.05,
        loss_within=1.0,
        kept_within=5.0,
    ),
    Bar(
        claim="`sdsnn` without 49.83 % of the synapses, upper bound of its loss",
        recipe="mnist-mlp",
        method="sdsnn",
        loss_below=0.5,
        kept_within=50.17,
    ),
    Bar(
        claim="a convolutional network on the 750 recordings at hand, 10 % dense",
        recipe="nmnist-conv",
        method="esl-random",
        density=0.1,
        at_least=90.0,
    ),
    *(
        Bar(
            claim=f"`{method}` at 1.5 % beats a static graph",
            recipe="digits-bench",
            method=method,
            density=0.015,
            gain_at_least=2.0,
        )
        for method in ("esl-random", "esl-gradient", "set", "rigl", "esl-momentum")
    ),
)
"""What the evidence must show. Where a bar names no density, the method takes none."""


def collect(folder: Path) -> tuple[list[dict[str, Any]], dict[tuple[str, str], list[dict[str, Any]]]]:
    """Return all rows below a folder, and the epochs' metrics of one run (lowest density, first seed) a recipe and method.

    Raises:
        FileError: where there is no row, or a file is damaged.
    """
    found = [(read_row(path), path) for path in folder.glob("*/row.json")]
    if not found:
        raise FileError(f"bench: there is no row in {folder}; train some first, or name their folder with --out")
    found.sort(key=lambda one: (one[0]["recipe"], _place(one[0]["method"]), one[0]["density"] or 0.0, one[0]["seed"]))
    _check_unique(found)
    metrics: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row, path in found:
        key = row["recipe"], row["method"]
        if key not in metrics:
            lines = (path.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            metrics[key] = [json.loads(line) for line in lines]
    return [row for row, _ in found], metrics


def read_row(path: Path) -> dict[str, Any]:
    """Return a row that was kept; raises ``FileError`` where the file is damaged."""
    try:
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"bench: {path} holds no row ({error}); remove it, and its row is made again") from error
    return row


def _check_unique(found: Iterable[tuple[Row, Path]]) -> None:
    """Refuse rows of two versions of a recipe, which no mean may mix."""
    seen: dict[tuple[str, str, float | None, int], Path] = {}
    for row, path in found:
        key = row["recipe"], row["method"], row["density"], row["seed"]
        if key in seen:
            recipe, method, density, seed = key
            raise FileError(
                f"bench: {seen[key].parent} and {path.parent} are both {recipe} {method} at density {density}, seed {seed}, "
                "of two versions of the recipe; remove the one that is out of date, or move it to another folder"
            )
        seen[key] = path


def _place(method: str) -> int:
    return list(VARIANTS).index(method) if method in VARIANTS else len(VARIANTS)


def grouped(rows: Iterable[Row]) -> dict[Group, dict[int, Row]]:
    """Return the rows of each recipe, method and density by seed."""
    groups: dict[Group, dict[int, Row]] = {}
    for row in rows:
        groups.setdefault((row["recipe"], row["method"], row["density"]), {})[row["seed"]] = row
    return groups


def correct_of(row: Row) -> NDArray[np.bool_]:
    """Return which test samples a row has right, ``(n_test,)``."""
    packed = np.frombuffer(bytes.fromhex(row["correct"]), np.uint8)
    return np.unpackbits(packed, count=row["n_test"]).astype(bool)


def paired_loss(
    rows: Mapping[int, Row], against: Mapping[int, Row], *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Loss | None:
    """Return what ``rows`` lose to ``against``, both by seed; None where no seed is in both.

    For each test sample the difference of the two answers (1 right, 0 wrong) is averaged over the seeds; the interval is
    the percentile bootstrap of its mean over samples. It says how far another draw of test samples would move the loss,
    not another draw of seeds: for those see ``by_seed``.

    Args:
        rows, against: rows of one recipe, tested on the same samples.
        seed: of the resampling.
        n_resamples: number of resamples, at least 1.

    Raises:
        TrainingError: where the rows were not tested on equally many samples.

    Source: Efron and Tibshirani 1993, chapter 13 (percentile interval). A resample of ``n`` differences is drawn as the
    number of times that each of their few values occurs, which has the same law.
    """
    shared = sorted(set(rows) & set(against))
    if not shared:
        return None
    sizes = {row["n_test"] for side in (rows, against) for row in side.values()}
    if len(sizes) > 1:
        raise TrainingError(f"bench: rows to compare were tested on {sorted(sizes)} samples; make them with one recipe")
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


def summarise(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return one entry a recipe, method and density: means over the seeds, the accuracies' spread, and what they lose.

    ``accuracy_mean`` and ``accuracy_sd`` are percent and points (None for one seed); ``loss_to_dense`` (``Loss`` or None)
    is against the dense network of the recipe; ``gain_over_static`` the mean gain in points over the static graph of the
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
)
"""Figures of a row that are averaged over the seeds; None where a row has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A bar, what was measured in words, the number of seeds, and whether it is met (None: no rows yet)."""

    bar: Bar
    measured: str
    seeds: int
    met: bool | None


def judge(rows: Iterable[Row], bars: Iterable[Bar] = BARS) -> list[Verdict]:
    """Return whether each bar is met by the rows."""
    groups = grouped(rows)
    return [_verdict(bar, groups) for bar in bars]


def _verdict(bar: Bar, groups: Mapping[Group, Mapping[int, Row]]) -> Verdict:
    own = groups.get((bar.recipe, bar.method, bar.density), {})
    parts = list(_parts(bar, own, groups)) if own else []
    if not parts or any(met is None for _, met in parts):
        return Verdict(bar=bar, measured="no rows yet", seeds=0, met=None)
    said = ", ".join(what for what, _ in parts)
    return Verdict(bar=bar, measured=said, seeds=len(own), met=all(met for _, met in parts))


def _parts(
    bar: Bar, own: Mapping[int, Row], groups: Mapping[Group, Mapping[int, Row]]
) -> Iterator[tuple[str, bool | None]]:
    """Give each thing that a bar asks for in words, and whether it is met (None: nothing to compare with yet)."""
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
    if bar.kept_within is not None:
        kept = 100 * statistics.mean(row["parameter_density"] for row in own.values())
        # budgets are whole numbers of connections
        yield f"{kept:.2f} % of the weights kept (at most {bar.kept_within:g})", kept <= bar.kept_within + 0.005


def _mean(rows: Iterable[Row], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if any(value is None for value in values) else statistics.mean(values)
