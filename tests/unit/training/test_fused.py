"""The fused CUBA neuron: spikes, states and gradients are slayer's, bit by bit."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on

from neurodeploy.network import STATE_LIMIT, Cuba
from neurodeploy.recipe.files import find_recipe, parse_recipe
from neurodeploy.training.model.backends import build
from neurodeploy.training.model.fused import CubaSettings, cuba_spikes

TEXT = find_recipe("digits-mlp").read_text(encoding="utf-8").replace("weight_scale = 0.7", "weight_scale = 2.0")
LAYERS = "layers = [{ neurons = 256 }, { neurons = 256 }, { neurons = 10 }]"
NEURON = "threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01"

NETWORKS = {
    "dense": ((30,), "[{ neurons = 33 }, { neurons = 10 }]"),
    "conv and pool": (
        (2, 8, 8),
        "[{ kind = 'conv', channels = 6, kernel = 3, delay = 4 }, { kind = 'pool', kernel = 2 }, { neurons = 10 }]",
    ),
    "pools of other shapes": (
        (2, 6, 12),
        "[{ kind = 'pool', kernel = [3, 2], weight = 40 }, { kind = 'conv', channels = 4, kernel = 1 }, "
        "{ kind = 'pool', kernel = [1, 3] }, { neurons = 10 }]",
    ),
    "recurrent": ((30,), "[{ neurons = 20, recurrent = true }, { neurons = 10, recurrent = true }]"),
    "delays": ((30,), "[{ neurons = 20, delay = 9 }, { neurons = 20, recurrent = true, delay = 5 }, { neurons = 10 }]"),
}


def passed(model, spikes, *, fused):
    """Spikes of all layers, and the gradient of every parameter of a random sum of the last one's."""
    from neurodeploy.training.model.slayer import own_neurons

    model.zero_grad()
    layers = model.layers(spikes, respond=None if fused else own_neurons(model))
    last = list(layers.values())[-1]
    (last * torch.randn(last.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    return layers, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def made(name, neuron=NEURON, n_samples=5, n_steps=25):
    shape, layers = NETWORKS[name]
    text = on("slayer", TEXT.replace(LAYERS, f"layers = {layers}").replace(NEURON, neuron))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = build(parse_recipe(text, "test"), shape)
        spikes = (torch.rand(n_samples, torch.Size(shape).numel(), n_steps) < 0.3).float()
    return model, spikes


def assert_the_same(model, spikes):
    (ours, our_gradients), (theirs, their_gradients) = (passed(model, spikes, fused=f) for f in (True, False))
    assert all(torch.equal(ours[name], layer) for name, layer in theirs.items())
    assert our_gradients.keys() == their_gradients.keys()
    assert all(torch.equal(our_gradients[name], gradient) for name, gradient in their_gradients.items())
    assert all(0 < layer.mean() < 1 for layer in ours.values())
    assert all(gradient.any() for gradient in our_gradients.values())


@pytest.mark.slayer
@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_and_gradients_are_those_of_slayer(name):
    assert_the_same(*made(name))


@pytest.mark.slayer
@pytest.mark.parametrize(
    ("threshold", "current_decay", "voltage_decay"),
    [(64, 0, 4096), (100, 4096, 0), (2, 1, 4095), (300, 1234, 567), (40, 4095, 1)],
)
@pytest.mark.parametrize("name", ["dense", "recurrent"])
def test_spikes_and_gradients_are_those_of_slayer_for_any_decay(name, threshold, current_decay, voltage_decay):
    values = (
        f"threshold = {threshold}, current_decay = {current_decay}, voltage_decay = {voltage_decay}, tau_grad = 0.1"
    )
    assert_the_same(*made(name, values))


@pytest.mark.slayer
@pytest.mark.parametrize(("n_samples", "n_steps"), [(1, 1), (1, 40), (7, 2)])
def test_any_number_of_samples_and_steps_is_possible(n_samples, n_steps):
    for name in NETWORKS:
        model, spikes = made(name, n_samples=n_samples, n_steps=n_steps)
        (ours, our_gradients), (theirs, their_gradients) = (passed(model, spikes, fused=f) for f in (True, False))
        assert all(torch.equal(ours[layer], given) for layer, given in theirs.items())
        assert all(torch.equal(our_gradients[key], gradient) for key, gradient in their_gradients.items())


SETTINGS = CubaSettings(neuron=Cuba(current_decay=4096, voltage_decay=0, threshold=64), tau=1.0, scale=1.0)


def test_neuron_fires_above_its_threshold_not_at_it():
    drive = torch.tensor([[[0.5, 0.5, 0.0, 1.0]], [[0.5, 0.53125, 0.0, 1.0]]])
    spikes, peak = cuba_spikes(drive, SETTINGS)
    assert spikes.tolist() == [[[0, 0, 0, 1]], [[0, 1, 0, 0]]]
    assert peak == 2 * 4096


def test_peak_is_exact_beyond_24_bits():
    drive = torch.full((1, 3, 5), -1000.0)
    assert cuba_spikes(drive, SETTINGS)[1] == 5 * 1000 * 4096 > STATE_LIMIT


def test_an_input_that_is_not_contiguous_is_read_in_its_own_order():
    drive = torch.randn(3, 9, 4).round(decimals=1)
    turned = drive.transpose(1, 2).contiguous().transpose(1, 2)
    assert not turned.is_contiguous()
    assert torch.equal(cuba_spikes(turned, SETTINGS)[0], cuba_spikes(drive, SETTINGS)[0])


def test_gradient_that_is_not_contiguous_is_read_in_its_own_order():
    gradients = []
    for turn in (False, True):
        drive = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        spikes = cuba_spikes(drive, SETTINGS)[0]
        weight = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(1))
        spikes.backward(weight.transpose(1, 2).contiguous().transpose(1, 2) if turn else weight)
        gradients.append(drive.grad)
    assert torch.equal(*gradients)
