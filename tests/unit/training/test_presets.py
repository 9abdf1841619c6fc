"""Each network that a recipe may name trains, is exported, and gives the same spikes on every engine."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on, samples

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.architectures import ARCHITECTURES
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.model.backends import run_trainer
from neurodeploy.training.model.integers import to_network
from neurodeploy.training.run import Run

TEXT = """
name = "named"
data = { name = "digits", n_steps = 6 }
network = { layers = LAYERS, neuron = { threshold = 64, current_decay = 3072, voltage_decay = 256, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.5, growth = "gradient", every_steps = 1, end_fraction = 1.0 }
training = { epochs = 1, batch_size = 3, learning_rate = 1e-3, weight_scale = 10.0, logit_scale = 0.5 }
"""
SHAPES = {
    "6conv2fc": (3, 32, 32),
    "vggsnn": (2, 48, 48),
    "sdsnn-cifar10": (3, 32, 32),
    "sdsnn-gesture": (2, 32, 32),
    "sdsnn-mnist": (1, 28, 28),
}
WIDTH = 0.04


def noise(shape, n_samples, seed=0):
    raster = np.random.default_rng(seed).random((n_samples, 6, int(np.prod(shape)))) < 0.3
    labels = np.arange(n_samples, dtype=np.int32) % 5
    return samples(raster, "input", labels=labels, shapes={"input": shape})


def test_every_named_network_is_tested():
    assert set(SHAPES) == set(ARCHITECTURES)


@pytest.mark.parametrize("name", SHAPES)
def test_a_named_network_trains_and_gives_the_same_spikes_everywhere(backend, name):
    """In four hundredths of its width, with dropout, for 5 classes, over one tiny epoch with a rewiring."""
    layers = f'{{ name = "{name}", width = {WIDTH}, classes = 5, dropout = 0.1 }}'
    recipe = parse_recipe(on(backend, TEXT.replace("LAYERS", layers)), "test")
    shape = SHAPES[name]
    run = Run(recipe, noise(shape, 9))
    before = {n: w.detach().clone() for n, w in run.model.weights().items()}
    loss, _ = run.epoch()
    assert np.isfinite(loss)
    assert run.rewirer.n_rewirings == 2
    moved = [not torch.equal(w, before[n]) for n, w in run.model.weights().items()]
    assert sum(moved) > len(moved) / 2  # a layer of one or two channels may get no gradient

    network = to_network(run.model, run.rewirer.export_masks(), 1e-3)
    assert from_nir(to_nir(network)).fingerprint == network.fingerprint
    samples = noise(shape, 4, seed=1)
    activities = [
        run_trainer(run.model, network, samples),
        run_reference(network, samples),
        run_event(network, samples),
    ]
    for other in activities[1:]:
        result = compare_activities([activities[0], other])
        assert result.equal, str(result.first_difference)
    assert all(len(activities[0].spikes[p.name]) for p in network.populations), "a silent layer shows nothing"
    assert network.populations[-1].size == 5
