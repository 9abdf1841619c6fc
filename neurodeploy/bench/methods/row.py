"""One row of the methods bench: train, export, simulate and map a recipe, and keep the results in its folder."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.bench.methods.claims import read_row
from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.decoding import answers, correct, decode
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FitError, MissingPackageError
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.writing import locked, write_text
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.synapses import matrix_of
from neurodeploy.network import Conv, Dense, Network, Pool, Projection, n_masked, n_nonzero, n_parameters
from neurodeploy.network.activity import Activity, Samples, load_samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.recipe.record import Recipe
from neurodeploy.run_folder import METRICS_FILE, STATE_FILE, TEACHER_FILE
from neurodeploy.training.checkpoint import load_checkpoint
from neurodeploy.training.loop import TrainingResult, train
from neurodeploy.training.model.integers import to_network

Row = dict[str, Any]

ROW_FILE = "row.json"
PRICED = 100
"""Test samples whose energy is estimated."""
WITNESSED = 20
"""Test samples on which a row's network runs on other engines, too."""
CHIPS = ("loihi1", "loihi2")
"""Chips for which a row holds the cores and the synaptic memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A row to make: the recipe's TOML text, its method, density and seed, its folder, and the folder with the data sets.

    ``kept`` is the file in which a repository keeps the row, if it has it, with nothing else of the run.
    """

    text: str
    method: str
    density: float | None
    seed: int
    folder: Path
    data_root: Path | None = None
    kept: Path | None = None


def run_task(task: Task) -> Row:
    """Return the row kept in the folder of a task, or in the repository; else train it, resuming a run that was stopped.

    ``connections`` counts every kernel at all its positions, ``energy_uj_loihi2`` is dynamic energy with its range,
    ``peak_mib`` the memory that the process had at most, ``cpu_seconds`` the processor time of training, which other work
    on the machine does not lengthen (None for a run that was resumed). ``accuracy`` is that of the integer network on the
    test part, computed by the event engine; the best epoch is chosen on the validation part. ``correct`` says for every
    test sample, in the order of ``test.npz``, whether its class was found: ``numpy.packbits`` of the answers as hexadecimal
    digits. Where every step has a label, ``answers`` is the number of steps, and accuracy and ``correct`` are of the steps.
    ``tied_samples`` and ``silent_samples`` are the shares of test samples that the output does not decide
    (``engines.decoding.Answers``), ``verified`` is the result of ``verified``.

    Raises:
        FileError: if the row's file is not JSON, or another process is making the row.
        TrainingError, DataError, TrainingInterruptedError: as ``train``.
    """
    kept = task.folder / ROW_FILE
    if not task.folder.exists() and task.kept is not None and task.kept.is_file():
        return read_row(task.kept)
    if not kept.exists():
        task.folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(task.folder.with_name(task.folder.name + ".lock"), f"bench: row {task.folder.name}"):
            if not kept.exists():
                write_text(to_json(_made(task)) + "\n", kept)
    return read_row(kept)


def _made(task: Task) -> Row:
    recipe = parse_recipe(task.text, where=f"bench {task.method}")
    if task.data_root is not None:
        recipe = recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"root": str(task.data_root)})}
        )  # not in the text: rows of one recipe are alike wherever the data lie
    resume, begin = (task.folder / STATE_FILE).exists(), time.process_time()
    result = train(recipe, task.folder, recipe_text=task.text, resume=resume, force=True)
    return _row(task, recipe, result, None if resume else time.process_time() - begin)


def _row(task: Task, recipe: Recipe, result: TrainingResult, cpu_seconds: float | None) -> Row:
    checkpoint = load_checkpoint(result.checkpoint)
    network = to_network(checkpoint.model, checkpoint.masks, recipe.network.dt)
    samples = load_samples(result.test_samples)
    assert samples.labels is not None, "the test part has labels"
    activity = simulate(network, samples)
    right = correct(decode(network, activity), samples)
    undecided = answers(network, activity).shares
    metrics = [parse_json(line) for line in (task.folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()]
    best = metrics[result.best_epoch - 1]
    return {
        "data": recipe.data.name,
        "recipe": recipe.name,
        "method": task.method,
        "density": task.density,
        "seed": task.seed,
        "accuracy": float(np.mean(right)),
        "tied_samples": undecided["tied"],
        "silent_samples": undecided["silent"],
        "validation_accuracy": result.validation_accuracy,
        **densities(network),
        "synaptic_operations_per_sample": operations(network, activity) / samples.n_samples,
        "spikes_per_sample": sum(len(activity.spikes[p.name]) for p in network.populations) / samples.n_samples,
        "connections": sum(_connections(p, kept=True) for p in network.projections if not isinstance(p.synapses, Pool)),
        **_chips(network),
        "energy_uj_loihi2": _energy(network, samples),
        "explored": best["explored"],
        "silent": best["silent"],
        "settings": _settings(recipe),
        "teacher_accuracy": _teacher_accuracy(task.folder / TEACHER_FILE),
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "n_steps": recipe.data.n_steps,
        "seconds": result.seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
        "note": result.note,
        "verified": verified(network, samples),
        "n_test": samples.n_samples,
        **({"answers": right.shape[1]} if right.ndim == 2 else {}),
        "correct": np.packbits(right).tobytes().hex(),
    }


def verified(network: Network, samples: Samples) -> Row:
    """Return how many spikes of the first samples differ between engines, and which engines ran: Lava where it is installed.

    ``spikes`` are those of the reference engine, inputs included.
    """
    shown = samples.take(0, min(samples.n_samples, WITNESSED))
    runs = [simulate(network, shown, engine=engine) for engine in ("reference", "event")]
    with suppress(MissingPackageError):
        runs.append(simulate(network, shown, engine="lava"))
    found = compare_activities(runs, readouts(network))
    return {
        "engines": list(found.engines),
        "samples": shown.n_samples,
        "spikes": found.spikes_compared,
        "different": found.spikes_different,
    }


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Return what the recipe says under ``[sparse]``, the method and its density first."""
    given = recipe.sparse.model_dump(exclude_unset=True)
    first = [name for name in ("method", "density", "distribution") if name in given]
    return {name: given[name] for name in dict.fromkeys([*first, *given])}


def densities(network: Network) -> Row:
    """Return the three densities, counted in the network; pooling layers learn no weights and are left out.

    ``parameter_density`` is the fraction of the weights that training keeps, ``nonzero_density`` the fraction that is not
    zero after quantisation, ``connection_density`` the fraction of the connections, with every kernel at all its positions.
    """
    weighted = [p for p in network.projections if not isinstance(p.synapses, Pool)]
    total = sum(n_parameters(p) for p in weighted)
    return {
        "parameter_density": sum(n_masked(p) for p in weighted) / total,
        "connection_density": sum(_connections(p, kept=True) for p in weighted)
        / sum(_connections(p, kept=False) for p in weighted),
        "nonzero_density": sum(n_nonzero(p) for p in weighted) / total,
    }


def operations(network: Network, activity: Activity) -> int:
    """Return the number of synapses read in all samples: the sum of every spike's non-zero fan-out, pools included."""
    total = 0
    for projection in network.projections:
        matrix = matrix_of(projection)
        fan_out = np.bincount(matrix.source, minlength=matrix.n_source)
        events = activity.spikes[projection.source]
        total += int(fan_out @ np.bincount(events.neuron, minlength=events.size))
    return total


def _connections(projection: Projection, *, kept: bool) -> int:
    """Return the number of connections of a layer, with every kernel at every position: those kept, or all possible ones."""
    synapses = projection.synapses
    assert isinstance(synapses, Dense | Conv), "training makes dense and convolutional layers"
    mask = synapses.weights != 0 if projection.mask is None else projection.mask
    chosen = mask if kept else np.ones_like(mask)
    ones = replace(projection, mask=None, synapses=replace(synapses, weights=chosen.astype(np.int16)))
    return matrix_of(ones).source.size


def _chips(network: Network) -> Row:
    """Return cores and synaptic KiB for each chip; None if the network does not fit it."""
    found: Row = {}
    for name in CHIPS:
        try:
            mapping = map_network(network, load_chip(name))
        except FitError:
            found.update({f"cores_{name}": None, f"kib_{name}": None})
            continue
        found.update({f"cores_{name}": len(mapping.cores), f"kib_{name}": mapping.synaptic_bytes / 1024})
    return found


def _energy(network: Network, samples: Samples) -> dict[str, float] | None:
    """Return low, nominal and high dynamic energy of a sample on Loihi 2 in microjoules; None if it does not fit.

    Of the first samples; components without a price are left out (``estimate`` lists them).
    """
    try:
        mapping = map_network(network, load_chip("loihi2"))
    except FitError:
        return None
    labels = mapping.core_labels()
    labels = {p.name: labels[p.name] for p in network.populations}
    activity = simulate(network, samples.take(0, min(samples.n_samples, PRICED)), labels=labels)
    energy = estimate(network, mapping, activity).energy
    total = None if energy is None else energy.total_j
    return None if total is None else {name: 1e6 * getattr(total, name) for name in ("low", "nominal", "high")}


def _teacher_accuracy(path: Path) -> float | None:
    if not path.exists():
        return None
    return float(parse_json(path.read_text(encoding="utf-8"))["validation_accuracy"])
