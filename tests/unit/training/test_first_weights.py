"""First weights that are fitted to their neurons, and the method that asks for them."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.data.parts import encode_lazily, load_splits
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.first_weights import fit_to_thresholds
from neurodeploy.training.run import Run

TEXT = """
name = "fitted"
data = { name = "digits", encoding = "rate", n_steps = 8 }
network = { layers = LAYERS, neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "METHOD", density = DENSITY }
training = { epochs = 1, batch_size = 64, learning_rate = 1e-2 }
"""
LAYERS = {
    "dense": "[{ neurons = 48 }, { neurons = 40 }, { neurons = 10 }]",
    "convolution": "[{ kind = 'conv', channels = 6, kernel = 3 }, { kind = 'pool', kernel = 2 }, { neurons = 10 }]",
    "recurrent": "[{ neurons = 40, recurrent = true }, { neurons = 10 }]",
}


@pytest.fixture(autouse=True)
def _dense_layers(monkeypatch):
    """Weights are measured before a run stores connections alone; here they stay dense, to be measured again."""
    monkeypatch.setattr("neurodeploy.training.run.layers_on_lanes", lambda *_, **__: [])


def run_of(name, method="chsnn", density=0.2, text=TEXT):
    text = text.replace("LAYERS", LAYERS[name]).replace("METHOD", method).replace("DENSITY", str(density))
    recipe = parse_recipe(text, "test")
    return Run(recipe, encode_lazily(load_splits(recipe.data)[0], recipe.data, "train"))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("density", [0.1, 0.5])
def test_voltages_of_a_batch_are_as_wide_as_the_threshold(name, density):
    run = run_of(name, density=density)
    again = fit_to_thresholds(run.model, run.spikes[torch.arange(256)])
    assert set(again) == {layer for layer in run.model.taken if run.model.recipes[layer].kind != "pool"}
    for factor in again.values():
        assert 0.7 < 1 / factor < 1.4  # rounding to whole weights and spikes of later batches move it a little
    for weight, mask in zip(run.model.weights().values(), run.rewirer.masks.values()):
        assert not weight[~mask].any()


def test_the_formula_alone_misses_them_with_decaying_currents():
    """Without the fit the voltages of the default decays are several times as wide: the reason why they are measured."""
    run = run_of("dense", density=0.1)
    factors = fit_to_thresholds(run.model, run.spikes[torch.arange(256)])
    with torch.no_grad():
        for weight, mask in zip(run.model.weights().values(), run.rewirer.masks.values()):
            fan_in = float(mask.sum()) / len(weight)
            weight.mul_((2.066 / fan_in) ** 0.5 / weight[mask].std())
    plain = fit_to_thresholds(run.model, run.spikes[torch.arange(256)])
    assert 0.7 < 1 / factors["hidden1"] < 1.4
    assert plain["hidden1"] < 1 / 1.4


def test_other_methods_keep_their_weights():
    run = run_of("dense", method="static")
    assert run.settings.inputs is None
    factors = fit_to_thresholds(run.model, run.spikes[torch.arange(256)])
    assert any(abs(factor - 1) > 0.1 for factor in factors.values())


def test_correlations_of_direct_coding_are_those_of_one_step():
    text = TEXT.replace('encoding = "rate"', 'encoding = "direct", scale = 0.0625')
    run = run_of("dense", text=text)
    assert run.settings.inputs.shape == (1000, 64)
    assert run_of("dense").settings.inputs.shape == (8000, 64)
    assert run_of("convolution").settings.inputs is None
