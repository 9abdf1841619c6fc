"""Evidence on the rewiring methods: the same network and data for each, one row a method, density and seed.

Rows are kept as files, so that a stopped bench goes on where it was, and a row is trained only once.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.activity import Activity, load_samples
from neurodeploy.errors import TrainingError
from neurodeploy.network import Dense, Network, n_masked, n_nonzero
from neurodeploy.recipe import find_recipe, parse_recipe, tomllib
from neurodeploy.simulate import simulate
from neurodeploy.simulate.decode import accuracy
from neurodeploy.sparse.options import METHOD_SETTINGS, WITHOUT_DENSITY
from neurodeploy.train.checkpoint import load_checkpoint
from neurodeploy.train.loop import METRICS_FILE, STATE_FILE, train
from neurodeploy.train.slayer import to_network

Row = dict[str, Any]

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "dense": {"method": "dense"},
    "static": {"method": "static"},
    "set": {"method": "set"},
    "rigl": {"method": "rigl"},
    "granet": {"method": "granet"},
    "srigl": {"method": "srigl"},
    "esl-random": {"method": "esl", "growth": "random"},
    "esl-gradient": {"method": "esl", "growth": "gradient"},
    "esl-unseen": {"method": "esl", "growth": "unseen"},
    "esl-momentum": {"method": "esl", "growth": "momentum"},
    "pq": {"method": "pq", "gamma": 3.0},
    "pq-neuron": {"method": "pq", "gamma": 3.0, "scope": "neuron"},
    "pq-fixed": {"method": "pq", "gamma": 3.0, "schedule": "fixed"},
    "pq-cosine": {"method": "pq", "gamma": 3.0, "schedule": "cosine"},
    "sdsnn": {"method": "sdsnn"},
    "rkd": {"method": "rkd"},
    "rkd-none": {"method": "esl", "growth": "gradient"},
    "rkd-smoothing": {"method": "esl", "growth": "gradient"},
    "rkd-normal": {"method": "rkd"},
}
"""Rows of the table by name; those of ``rkd`` share a loss without label smoothing, except ``rkd-smoothing``."""

DIGITS: Mapping[str, Mapping[str, Any]] = {
    "data": {"n_steps": 8},
    "training": {"epochs": 40, "batch_size": 64, "learning_rate": 5e-3},
    "sparse": {"every_steps": 10},
}
"""What the bench on digits changes in the recipe ``digits-mlp``: shorter samples, more rewirings."""

_START_DENSITY = 0.5
"""Density at which the methods begin that lose connections (``pq`` and ``granet``)."""


def bench_methods(
    folder: Path,
    *,
    methods: Sequence[str] = tuple(VARIANTS),
    densities: Sequence[float] = (0.1, 0.015),
    seeds: Sequence[int] = (0, 1, 2, 3),
    recipe: str | Path = "digits-mlp",
    changes: Mapping[str, Mapping[str, Any]] = DIGITS,
    on_row: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Train every method at every density with every seed and return one row for each.

    ``accuracy`` is that of the integer network on the test part, computed by the event engine; the best epoch is chosen on
    the validation part. ``dense`` and ``sdsnn`` have one row a seed, at ``density`` None.

    Args:
        folder: rows and runs are kept here; what is there already is not trained again.
        methods: names of ``VARIANTS``.
        densities: of all weights, above 0, at most 1; where ``pq`` and ``granet`` end.
        seeds: of weights, masks, rewiring and sample order; the split of the data stays.
        recipe: the recipe that gives data, network and optimiser.
        changes: keys to replace in the tables of the recipe.
        on_row: called with each row as soon as it is there.

    Raises:
        TrainingError: for an unknown method.
    """
    if unknown := sorted(set(methods) - set(VARIANTS)):
        raise TrainingError(f"bench: unknown method '{unknown[0]}'; known: {', '.join(VARIANTS)}")
    base = tomllib.loads(find_recipe(recipe).read_text(encoding="utf-8"))
    for table, values in changes.items():
        base[table] = {**base.get(table, {}), **values}
    rows: list[Row] = []
    for method in methods:
        has_density = VARIANTS[method]["method"] not in WITHOUT_DENSITY
        for density in densities if has_density else (None,):
            for seed in seeds:
                row = _row(folder, base, method, density, seed)
                rows.append(row)
                if on_row:
                    on_row(row)
    return rows


def summarise(rows: Iterable[Row]) -> list[Row]:
    """Return mean and standard deviation of the accuracies by method and density, and the mean gain over ``static``.

    The gain is that of the seeds that both have, in points; None where there is no ``static`` row.
    """
    groups: dict[tuple[str, float | None], dict[int, float]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["density"]), {})[row["seed"]] = 100 * row["accuracy"]
    table = []
    for (method, density), by_seed in groups.items():
        static = groups.get(("static", density), {})
        gains = [value - static[seed] for seed, value in by_seed.items() if seed in static]
        table.append(
            {
                "method": method,
                "density": density,
                "seeds": len(by_seed),
                "accuracy_mean": statistics.mean(by_seed.values()),
                "accuracy_sd": statistics.stdev(by_seed.values()) if len(by_seed) > 1 else None,
                "gain_over_static": statistics.mean(gains) if gains else None,
            }
        )
    return table


def variant_recipe(base: Mapping[str, Any], method: str, density: float | None, seed: int) -> dict[str, Any]:
    """Return the recipe of one row as plain values."""
    wanted = dict(VARIANTS[method])
    settings = METHOD_SETTINGS[wanted["method"]]
    kept = {key: value for key, value in base["sparse"].items() if key in settings - {"growth", "ratio"}}
    sparse = {**kept, **wanted}
    if density is not None:
        falls = wanted["method"] in ("pq", "granet")
        sparse["density"] = max(_START_DENSITY, density) if falls else density
        sparse.update({"floor": density} if falls else {})
    recipe = {**base, "seed": seed, "sparse": sparse}
    if wanted["method"] == "sdsnn":
        # 18 of the paper's 600 epochs; pruning needs 2 C + 1 of them before it starts
        sparse["spine_constant"] = max(round(base["training"]["epochs"] * 18 / 600), 1)
    if method.startswith("rkd"):
        smoothing = 0.1 if method == "rkd-smoothing" else 0.0
        recipe["training"] = {**base["training"], "label_smoothing": smoothing}
    if wanted["method"] == "rkd":
        recipe["distillation"] = _teacher(base, method)
    return recipe


def to_toml(values: Mapping[str, Any]) -> str:
    """Return plain values as TOML text, one line a key, tables within a line."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _row(folder: Path, base: Mapping[str, Any], method: str, density: float | None, seed: int) -> Row:
    text = to_toml(variant_recipe(base, method, density, seed))
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    run = folder / f"{method}-{density}-{seed}-{digest}"
    cached = run / "row.json"
    if cached.exists():
        row: Row = json.loads(cached.read_text(encoding="utf-8"))
        return row
    recipe = parse_recipe(text, where=f"bench {method}")
    result = train(recipe, run, recipe_text=text, resume=(run / STATE_FILE).exists())
    checkpoint = load_checkpoint(result.checkpoint)
    network = to_network(checkpoint.model, checkpoint.masks, recipe.network.dt)
    samples = load_samples(result.test_samples)
    activity = simulate(network, samples)
    metrics = [json.loads(line) for line in (run / METRICS_FILE).read_text(encoding="utf-8").splitlines()]
    best = metrics[result.best_epoch - 1]
    row = {
        "data": recipe.data.name,
        "method": method,
        "density": density,
        "seed": seed,
        "accuracy": accuracy(network, activity, samples),
        "validation_accuracy": result.validation_accuracy,
        **_densities(network),
        "synaptic_operations_per_sample": _operations(network, activity) / samples.n_samples,
        "explored": best["explored"],
        "silent": best["silent"],
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "seconds": result.seconds,
    }
    partial = cached.with_name(cached.name + ".part")
    partial.write_text(json.dumps(row) + "\n", encoding="utf-8")
    partial.replace(cached)
    return row


def _densities(network: Network) -> Row:
    """Return the three densities, recounted from the network; of dense layers connections are parameters."""
    total = sum(projection.synapses.weights.size for projection in network.projections)
    kept = sum(n_masked(projection) for projection in network.projections) / total
    is_dense = all(isinstance(projection.synapses, Dense) for projection in network.projections)
    return {
        "parameter_density": kept,
        "connection_density": kept if is_dense else None,
        "nonzero_density": sum(n_nonzero(projection) for projection in network.projections) / total,
    }


def _operations(network: Network, activity: Activity) -> int:
    """Return the synapses read in all samples together: the non-zero fan-out of every spike."""
    total = 0
    for projection in network.projections:
        events = activity.spikes[projection.source]
        n_spikes = np.bincount(events.neuron, minlength=events.size)
        weights = projection.synapses.weights.reshape(-1, events.size)
        total += int(n_spikes @ np.count_nonzero(weights, axis=0))
    return total


def _teacher(base: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Return a teacher with a quarter of the hidden neurons and half the epochs, or twice and all for ``rkd-normal``."""
    *hidden, output = [layer["neurons"] for layer in base["network"]["layers"]]
    stronger = method == "rkd-normal"
    sizes = [max(n * 2 if stronger else n // 4, 1) for n in hidden]
    epochs = base["training"]["epochs"]
    return {
        "direction": "normal" if stronger else "reverse",
        "warmup_epochs": max(epochs // 8, 1),
        "teacher": {
            "layers": [{"neurons": n} for n in (*sizes, output)],
            "epochs": epochs if stronger else max(epochs // 2, 1),
        },
    }


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return json.dumps(value)
