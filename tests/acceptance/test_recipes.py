"""The network of every recipe in ``models/``, after a step of training: the same spikes on each backend and every engine."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.train, pytest.mark.lava]
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import samples

from neurodeploy.data.parts import encode, load_splits
from neurodeploy.engines.table import ENGINES, simulate
from neurodeploy.network.activity import Samples
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.data_sets import DATA_SETS
from neurodeploy.recipe.files import load_recipe, recipe_names
from neurodeploy.recipe.record import Recipe, on_backend
from neurodeploy.training.model.backends import run_trainer
from neurodeploy.training.model.integers import to_network
from neurodeploy.training.run import Run

EVERY = [name for name, engine in ENGINES.items() if not engine.partial]
"""Engines that run every network."""

N_TRAINED, N_STEPS = 8, 6


def a_batch(recipe: Recipe) -> Samples:
    """The first samples of scikit-learn's digits, or noise of the shape of a set whose files a test cannot count on."""
    if recipe.data.name == "digits":
        train = load_splits(recipe.data)[0]
        return encode(train.take(np.arange(N_TRAINED)), recipe.data, "train")
    shape = DATA_SETS[recipe.data.name].shape
    raster = np.random.default_rng(0).random((N_TRAINED, N_STEPS, int(np.prod(shape)))) < 0.3
    labels = np.arange(N_TRAINED, dtype=np.int32) % DATA_SETS[recipe.data.name].n_classes
    if recipe.network.window is not None:
        labels = np.repeat(labels[:, None], N_STEPS, axis=1)
    return samples(raster, "input", labels=labels, shapes={"input": shape})


@pytest.mark.parametrize("backend", ["native", pytest.param("slayer", marks=pytest.mark.slayer)])
@pytest.mark.parametrize("name", recipe_names())
def test_a_recipes_network_gives_the_same_spikes_in_training_and_on_every_engine(name, backend):
    """At the recipe's density, moved by one step from weights that are wide enough for every layer to spike."""
    recipe = on_backend(load_recipe(name), backend)
    wide = recipe.training.model_copy(update={"weight_scale": 8.0})
    recipe = recipe.model_copy(update={"training": wide})
    run = Run(recipe, a_batch(recipe))
    run.epoch()
    network = to_network(run.model, run.rewirer.export_masks(), recipe.network.dt)
    shown = a_batch(recipe).take(0, 2)
    activities = [run_trainer(run.model, network, shown)]
    activities += [simulate(network, shown, engine=engine) for engine in EVERY]
    for population in network.populations:
        assert len(activities[0].spikes[population.name]) > 0, f"{population.name} sends nothing that could differ"
    result = compare_activities(activities)
    assert result.equal, str(result.first_difference)
    assert sum(population.different for population in result.populations) == 0
    assert set(result.engines) == {backend, *EVERY}
