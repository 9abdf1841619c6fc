"""Every kind of layer on both backends: the same spikes as the exported integers give, on every layer."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on, samples

from neurodeploy.data.parts import encode, load_splits
from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Conv, Pool, difference
from neurodeploy.network.activity import load_samples
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.recipe.files import find_recipe, parse_recipe
from neurodeploy.training.checkpoint import load_checkpoint, save_checkpoint
from neurodeploy.training.loop import train
from neurodeploy.training.model.backends import build, run_trainer
from neurodeploy.training.model.chain import recurrent_name
from neurodeploy.training.model.integers import to_network
from neurodeploy.training.run import Run

TEXT = find_recipe("digits-mlp").read_text(encoding="utf-8")
DIGITS_LAYERS = "layers = [{ neurons = 256 }, { neurons = 256 }, { neurons = 10 }]"


def recipe_of(backend, *layers, weight_scale=2.0):
    text = on(backend, TEXT.replace(DIGITS_LAYERS, f"layers = [{', '.join(layers)}]"))
    return parse_recipe(text.replace("weight_scale = 0.7", f"weight_scale = {weight_scale}"), "test")


def made(recipe, shape, seed=3):
    """A model with random weights and the network exported from it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(recipe, shape)
    return model, exported(model)


def exported(model):
    return to_network(model, {name: torch.ones_like(w, dtype=torch.bool) for name, w in model.weights().items()}, 1e-3)


def noise(shape, *, n_samples=5, n_steps=20, density=0.3, seed=0):
    raster = np.random.default_rng(seed).random((n_samples, n_steps, int(np.prod(shape)))) < density
    return samples(raster, "input")


def assert_same_spikes(model, network, samples):
    """Backend, reference and event engine agree on all layers, each of which fires; the NIR file changes nothing."""
    activities = [run_trainer(model, network, samples)]
    activities += [run_reference(network, samples), run_event(network, samples)]
    for other in activities[1:]:
        result = compare_activities([activities[0], other])
        assert result.equal, str(result.first_difference)
    counts = {p.name: len(activities[0].spikes[p.name]) for p in network.populations}
    possible = {p.name: p.size * samples.n_samples * samples.n_steps for p in network.populations}
    assert all(0 < counts[name] < possible[name] for name in counts), f"{counts} of {possible} says little"
    assert difference(network, from_nir(to_nir(network))) is None


CONV = "{ kind = 'conv', channels = 6, kernel = 3, padding = 1 }"
POOL = "{ kind = 'pool', kernel = 2 }"
LAST = "{ neurons = 7 }"
CHAINS = {
    "conv": ((2, 6, 6), [CONV]),
    "non-square input": ((2, 5, 9), [CONV]),
    "non-square kernel, stride and padding": (
        (2, 9, 8),
        ["{ kind = 'conv', channels = 4, kernel = [3, 5], stride = [2, 1], padding = [0, 2] }"],
    ),
    "stride 2 without padding": ((1, 9, 9), ["{ kind = 'conv', channels = 5, kernel = 3, stride = 2 }"]),
    "groups": ((4, 6, 6), ["{ kind = 'conv', channels = 6, kernel = 3, groups = 2 }"]),
    "one group a channel": ((3, 6, 6), ["{ kind = 'conv', channels = 6, kernel = 3, groups = 3 }"]),
    "dilation": ((2, 9, 9), ["{ kind = 'conv', channels = 4, kernel = 3, dilation = [2, 3], padding = [1, 2] }"]),
    "kernel 1": ((3, 4, 4), ["{ kind = 'conv', channels = 5, kernel = 1 }"]),
    "pool": ((2, 6, 6), [POOL]),
    "non-square pool": ((2, 6, 9), ["{ kind = 'pool', kernel = [2, 3], weight = 40 }"]),
    "conv-pool-conv": ((2, 8, 8), [CONV, POOL, "{ kind = 'conv', channels = 3, kernel = 2, groups = 3 }"]),
    "conv-pool-conv-pool": ((1, 8, 12), [CONV, POOL, CONV, "{ kind = 'pool', kernel = [4, 3] }"]),
    "conv-dense-dense": ((2, 6, 6), [CONV, "{ neurons = 20 }"]),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_convolutions_and_pools_give_the_same_spikes_everywhere(backend, chain):
    shape, layers = CHAINS[chain]
    model, network = made(recipe_of(backend, *layers, LAST), shape)
    assert network.inputs[0].shape == shape
    assert_same_spikes(model, network, noise(shape))


def test_convolution_is_exported_with_its_own_geometry(backend):
    layer = "{ kind = 'conv', channels = 4, kernel = [3, 5], stride = [2, 1], padding = [0, 2], groups = 2 }"
    _, network = made(recipe_of(backend, layer, POOL.replace("2", "[4, 8]"), LAST), (2, 9, 8))
    conv, pool = (p.synapses for p in network.projections[:2])
    assert isinstance(conv, Conv)
    assert isinstance(pool, Pool)
    assert conv.weights.shape == (4, 1, 3, 5)
    assert (conv.stride, conv.padding, conv.dilation, conv.groups) == ((2, 1), (0, 2), (1, 1), 2)
    assert (pool.kernel, pool.stride, pool.weight) == ((4, 8), (4, 8), 64)
    assert [p.shape for p in network.populations] == [(4, 4, 8), (4, 1, 1), (7,)]


def test_weights_of_a_pool_are_not_offered_for_rewiring(backend):
    model, network = made(recipe_of(backend, CONV, POOL, LAST), (2, 6, 6))
    assert list(model.weights()) == ["hidden1", "output"]
    assert network.projections[1].mask is None


def test_each_layer_may_have_its_own_neuron(backend):
    own = "neuron = { threshold = 20, voltage_decay = 4096 }"
    model, network = made(recipe_of(backend, "{ neurons = 30, " + own + " }", LAST), 20)
    first, last = (p.model for p in network.populations)
    assert (first.threshold, first.current_decay, first.voltage_decay) == (20, 2048, 4096)
    assert (last.threshold, last.voltage_decay) == (64, 512)
    assert_same_spikes(model, network, noise((20,)))


def test_recurrent_layer_is_equal_whatever_ran_before_it(backend):
    model, network = made(recipe_of(backend, "{ neurons = 25, recurrent = true }", LAST), 20)
    recurrent = next(p for p in network.projections if p.source == p.target)
    assert recurrent.synapses.weights.shape == (25, 25)
    assert list(model.weights()) == ["hidden1", recurrent_name("hidden1"), "output"]
    for n_samples in (4, 4, 1):  # equal batches would see each other's states if nothing reset them
        assert_same_spikes(model, network, noise((20,), n_samples=n_samples))
    assert not any("state" in key for key in model.state_dict())  # a saved one would not fit another batch


def test_recurrent_connections_decide_spikes(backend):
    model, network = made(recipe_of(backend, "{ neurons = 25, recurrent = true }", LAST), 20)
    before = run_trainer(model, network, noise((20,)))
    with torch.no_grad():
        model.weights()[recurrent_name("hidden1")].zero_()
    assert not compare_activities([before, run_trainer(model, network, noise((20,)))]).equal


RECURRENT = "{ neurons = 20, recurrent = true, delay = 9 }"
WITH_STATE = {
    "recurrent, then dense": ["{ neurons = 20, recurrent = true }", "{ neurons = 15 }"],
    "dense, then recurrent": ["{ neurons = 20 }", "{ neurons = 15, recurrent = true }"],
    "two recurrent": ["{ neurons = 20, recurrent = true }", "{ neurons = 15, recurrent = true }"],
    "delays": ["{ neurons = 20, delay = 5 }"],
    "longest delays": ["{ neurons = 20, delay = 62 }"],
    "delays on two layers": ["{ neurons = 20, delay = 3 }", "{ neurons = 20, delay = 12 }"],
    "recurrent with delay": [RECURRENT],
    "delay into recurrent": ["{ neurons = 20, delay = 5 }", RECURRENT, "{ neurons = 15, recurrent = true }"],
    "dropout": ["{ neurons = 20, dropout = 0.5 }", "{ neurons = 20, dropout = 0.3, delay = 4 }"],
    "recurrent output": [],
}


@pytest.mark.parametrize("chain", WITH_STATE)
def test_recurrent_delayed_and_dropped_layers_give_the_same_spikes_everywhere(backend, chain):
    last = LAST.replace("}", ", recurrent = true }") if chain == "recurrent output" else LAST
    model, network = made(recipe_of(backend, *WITH_STATE[chain], last), 30)
    assert_same_spikes(model, network, noise((30,), n_steps=80))


def test_convolutions_feed_recurrent_and_delayed_layers(backend):
    layers = [CONV, "{ kind = 'pool', kernel = 2 }", "{ neurons = 20, delay = 6 }", RECURRENT]
    model, network = made(recipe_of(backend, *layers, LAST), (2, 6, 6))
    assert_same_spikes(model, network, noise((2, 6, 6), n_steps=40))


@pytest.mark.parametrize("after", ["{ kind = 'conv', channels = 3, kernel = 2, groups = 3 }", POOL, "{ neurons = 15 }"])
def test_channels_of_a_convolution_have_delays_before_any_layer(backend, after):
    delayed = CONV.replace("}", ", delay = 11 }")
    model, network = made(recipe_of(backend, delayed, after, LAST), (2, 6, 6))
    steps = model.delays["hidden1"].steps()
    assert len(set(steps.tolist())) > 2
    assert np.array_equal(network.projections[1].delay, steps.repeat_interleave(36))
    assert_same_spikes(model, network, noise((2, 6, 6), n_steps=40))


def test_delays_lie_on_the_projection_that_reads_the_delayed_spikes(backend):
    model, network = made(recipe_of(backend, "{ neurons = 20, delay = 62 }", LAST), 10)
    into, out = network.projections
    assert into.delay == 0
    assert np.array_equal(out.delay, model.delays["hidden1"].steps())
    assert 0 <= out.delay.min() < 10 < 50 < out.delay.max() <= 62
    with torch.no_grad():
        model.delays["hidden1"].fraction.fill_(7.0)  # as an optimiser's step may
    assert exported(model).projections[1].delay == 62


MIXED = (
    "layers = [{ kind = 'conv', channels = 4, kernel = 3, stride = 2, dropout = 0.2 }, { neurons = 24, delay = 5 }, "
)
MIXED += "{ neurons = 16, recurrent = true }, { neurons = 10 }]"
SHORT = (
    TEXT.replace(DIGITS_LAYERS, MIXED).replace("epochs = 40", "epochs = 2").replace("density = 0.1", "density = 0.5")
)


@pytest.fixture(scope="module")
def run(backend, tmp_path_factory):
    return train(
        parse_recipe(on(backend, SHORT), "test"), tmp_path_factory.mktemp("mixed"), recipe_text=on(backend, SHORT)
    )


def test_trained_mixed_network_is_equal_after_its_checkpoint_is_read(run):
    checkpoint = load_checkpoint(run.checkpoint)
    network = to_network(checkpoint.model, checkpoint.masks, 1e-3)
    assert network.inputs[0].shape == (1, 8, 8)
    assert_same_spikes(checkpoint.model, network, load_samples(run.test_samples).take(0, 40))


def test_a_checkpoint_keeps_the_delays(backend, tmp_path):
    model, _ = made(parse_recipe(on(backend, SHORT), "test"), (1, 8, 8))
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in model.weights().items()}
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, model, masks, recipe_text=on(backend, SHORT), epoch=1, validation_accuracy=0.5)
    kept = load_checkpoint(path).model.delays["hidden2"].fraction
    assert torch.equal(kept, model.delays["hidden2"].fraction)


def test_training_learns_delays(backend):
    recipe = parse_recipe(on(backend, SHORT), "test")
    run = Run(recipe, encode(load_splits(recipe.data)[0], recipe.data, "train").take(0, 128))
    before = run.model.delays["hidden2"].fraction.detach().clone()
    assert run.epoch() is not None
    assert (run.model.delays["hidden2"].fraction != before).float().mean() > 0.5


def test_mixed_recipe_gives_the_same_weights_again(backend, run, tmp_path):
    """Dropout draws from a state of its own, so that the global random state decides nothing."""
    torch.manual_seed(99)
    again = train(parse_recipe(on(backend, SHORT), "test"), tmp_path, recipe_text=on(backend, SHORT))
    a, b = (load_checkpoint(r.checkpoint).model for r in (run, again))
    assert all(torch.equal(a.weights()[name], weight) for name, weight in b.weights().items())
    assert torch.equal(a.delays["hidden2"].fraction, b.delays["hidden2"].fraction)


def test_interrupted_training_of_a_mixed_network_resumes_bit_identically(backend):
    recipe = parse_recipe(on(backend, SHORT), "test")
    samples = encode(load_splits(recipe.data)[0], recipe.data, "train").take(0, 256)
    whole, first = Run(recipe, samples), Run(recipe, samples)
    assert whole.epoch() is not None
    assert first.epoch(lambda: True) is None
    tensors, values = first.state_dict()
    second = Run(recipe, samples)
    second.load_state_dict(tensors, values)
    assert second.epoch() is not None
    after, expected = second.model.state_dict(), whole.model.state_dict()
    assert set(after) == set(expected)
    assert all(torch.equal(after[name], value) for name, value in expected.items())
