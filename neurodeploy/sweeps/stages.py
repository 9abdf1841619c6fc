"""The three stages of a sweep: functions from values to values, so that any process, local or on a cluster, can run them.

``train_stage`` returns a network file and its test samples, ``quantise_stage`` a network file with coarser weights and its
accuracy, ``price_stage`` the cost of the network on a chip. Files are passed as bytes, so a cluster needs no common folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodeploy.errors import FitError
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.run_folder import CHECKPOINT_FILE, METRICS_FILE, NETWORK_FILE, RECIPE_FILE, STATE_FILE, TEST_FILE

if TYPE_CHECKING:
    from neurodeploy.network import Network
    from neurodeploy.recipe.record import StartRecipe

KEPT_FILES = (NETWORK_FILE, TEST_FILE, CHECKPOINT_FILE, RECIPE_FILE, METRICS_FILE)
"""Files of a training that a sweep keeps; with them ``neurodeploy report`` accepts the folder as a run."""


def train_stage(recipe_text: str, folder: str | None) -> dict[str, Any]:
    """Train a recipe, export it, and return its files as bytes with ``validation_accuracy``, ``best_epoch``, ``seconds``.

    Args:
        recipe_text: the recipe (TOML).
        folder: folder of the training; a run that was stopped there is resumed. None: a temporary folder.
    """
    if folder is None:
        with temporary_folder("sweep") as made:
            return train_stage(recipe_text, str(made))
    from neurodeploy.exchange.nir.write import to_nir
    from neurodeploy.recipe.files import parse_recipe
    from neurodeploy.training.checkpoint import checkpoint_network
    from neurodeploy.training.loop import train

    run = Path(folder)
    recipe = parse_recipe(recipe_text, where="sweep")
    start = None if recipe.start is None else _start(recipe.start)
    result = train(recipe, run, recipe_text=recipe_text, start=start, resume=(run / STATE_FILE).exists())
    to_nir(checkpoint_network(run)[1], run / NETWORK_FILE, force=True)
    return {
        "validation_accuracy": result.validation_accuracy,
        "best_epoch": result.best_epoch,
        "seconds": result.seconds,
        "files": {name: (run / name).read_bytes() for name in KEPT_FILES},
    }


def _start(start: StartRecipe) -> Network:
    """Return the network that a training goes on from."""
    from neurodeploy.exchange.formats import read_network

    return read_network(_start_file(start), reading=start.reading, dt=start.dt, weight_bits=start.weight_bits)


def _start_file(start: StartRecipe) -> Path:
    path = Path(start.file)
    return path / NETWORK_FILE if path.is_dir() else path


def start_content(recipe_text: str) -> tuple[bytes, ...]:
    """Return the bytes of the file that a recipe starts from, nothing where it names none, or one that is not there."""
    from neurodeploy.recipe.files import parse_recipe

    start = parse_recipe(recipe_text, where="sweep").start
    if start is None or not _start_file(start).is_file():
        return ()
    return (_start_file(start).read_bytes(),)


def quantise_stage(nir: bytes, samples: bytes, bits: int, n_samples: int | None) -> dict[str, Any]:
    """Return a network with its weights in ``bits`` bits (in ``files``), its accuracy, densities and spikes per sample.

    ``tied`` and ``silent`` are the shares of samples that its output does not decide (``engines.decoding.Answers``).
    """
    from neurodeploy.engines.decoding import accuracy, answers, decoding_probes
    from neurodeploy.engines.table import simulate
    from neurodeploy.exchange.nir.write import to_nir
    from neurodeploy.mapping.fit.change import requantised
    from neurodeploy.network import n_masked, n_nonzero, n_parameters

    network, given = _loaded(nir, samples, n_samples)
    coarse = requantised(network, bits, frozenset(p.name for p in network.populations))
    activity = simulate(coarse, given, probe=decoding_probes(coarse))
    with temporary_folder("sweep") as made:
        to_nir(coarse, made / NETWORK_FILE)
        file = (made / NETWORK_FILE).read_bytes()
    possible = sum(map(n_parameters, network.projections))
    return {
        "accuracy": None if given.labels is None else accuracy(coarse, activity, given),
        **(answers(coarse, activity).shares if len(coarse.outputs) == 1 else {}),
        "samples": given.n_samples,
        "mask_density": sum(map(n_masked, network.projections)) / possible,
        "nonzero_density": sum(map(n_nonzero, coarse.projections)) / possible,
        "spikes_per_sample": sum(len(activity.spikes[p.name]) for p in coarse.populations) / given.n_samples,
        "files": {NETWORK_FILE: file},
    }


def price_stage(
    nir: bytes, samples: bytes, chip: Any, split: str, placement: str, n_samples: int | None
) -> dict[str, Any]:
    """Return the cost of a network on a chip; if it does not fit, ``fits`` is False and ``binding`` gives the limit.

    ``energy_j`` (cores, dynamic, per sample), ``total_energy_j`` (whole chip, free-running, per sample) and ``latency_s``
    (free-running, mean sample) are bands, or None without a price.
    """
    from neurodeploy.costs.pricing import estimate
    from neurodeploy.engines.table import simulate
    from neurodeploy.mapping.mapper import map_network

    network, given = _loaded(nir, samples, n_samples)
    try:
        mapping = map_network(network, chip, split=split, placement=placement)
    except FitError as error:
        return {"fits": False, "binding": error.binding, "error": str(error)}
    cost = estimate(network, mapping, simulate(network, given, labels=mapping.core_labels()))
    energy = cost.energy.total_j if cost.energy else None
    latency = cost.latency.sample_s if cost.latency else None
    total = cost.total("chip")
    return {
        "fits": True,
        "cores": cost.memory.n_cores,
        "chips": cost.memory.n_chips,
        "synaptic_bytes": cost.memory.synaptic_bytes,
        "energy_j": energy.model_dump() if energy else None,
        "total_energy_j": total.energy_j.model_dump() if total else None,
        "latency_s": latency.mean.model_dump() if latency else None,
        "worst_latency_s": latency.worst.model_dump() if latency else None,
    }


def _loaded(nir: bytes, samples: bytes, n_samples: int | None) -> tuple[Any, Any]:
    """Return the network and the first ``n_samples`` samples from two files given as bytes."""
    from neurodeploy.exchange.nir.read import from_nir
    from neurodeploy.network.activity import load_samples

    files: Mapping[str, bytes] = {NETWORK_FILE: nir, TEST_FILE: samples}
    with temporary_folder("sweep") as made:
        for name, content in files.items():
            (made / name).write_bytes(content)
        network, given = from_nir(made / NETWORK_FILE), load_samples(made / TEST_FILE)
    return network, given if n_samples is None else given.take(0, min(n_samples, given.n_samples))
