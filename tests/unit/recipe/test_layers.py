"""Layers in recipes: what is accepted, what the errors say, which shapes follow, and the papers' networks."""

from __future__ import annotations

import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import RecipeError, SimulationError
from neurodeploy.network import Cuba, Pool
from neurodeploy.network.activity import Events, Samples, load_samples, save_samples
from neurodeploy.recipe.architectures import ARCHITECTURES, max_pool, mean_pool
from neurodeploy.recipe.files import find_recipe, parse_recipe
from neurodeploy.recipe.layers import ConvLayer, DenseLayer, PoolLayer, layer_shapes, neuron_of

TEXT = find_recipe("digits-mlp").read_text(encoding="utf-8")
LAYERS = "layers = [{ neurons = 256 }, { neurons = 256 }, { neurons = 10 }]"


def parsed(layers):
    assert LAYERS in TEXT
    return parse_recipe(TEXT.replace(LAYERS, f"layers = {layers}"), "mine.toml")


def test_layers_are_dense_unless_they_say_otherwise():
    layers = parsed(
        "[{ kind = 'conv', channels = 8, kernel = 3 }, { kind = 'pool', kernel = [2, 1] }, { neurons = 10 }]"
    )
    assert layers.network.layers == (
        ConvLayer(channels=8, kernel=(3, 3)),
        PoolLayer(kernel=(2, 1)),
        DenseLayer(neurons=10),
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[{ neurons = 9, size = 3 }]", "unknown key 'network.layers.0.size'; known keys there: delay, dropout, kind"),
        (
            "[{ kind = 'conv', channels = 2, kernel = 3, recurrent = true }, { neurons = 9 }]",
            "unknown key 'network.layers.0.recurrent'; known keys there: channels, delay, dilation, dropout, groups, kernel",
        ),
        (
            "[{ kind = 'pool', kernel = 3, stride = 2 }, { neurons = 9 }]",
            "unknown key 'network.layers.0.stride'; known keys there: kernel, kind, neuron, weight",
        ),
        (
            "[{ neurons = 9, neuron = { theta = 3 } }]",
            "unknown key 'network.layers.0.neuron.theta'; known keys there: current_decay, reset, scale_grad, tau_grad, "
            "threshold",
        ),
        ("[{ neurons = 4 }, { kind = 'lstm' }]", "network.layers.1 is of kind 'lstm'; known: 'dense', 'conv', 'pool'"),
        ("[{ kind = 'conv', channels = 2 }, { neurons = 9 }]", "key 'network.layers.0.kernel' is missing"),
        (
            "[{ kind = 'conv', channels = 2, kernel = 0 }, { neurons = 9 }]",
            "network.layers.0.kernel.0 = 0: input should be",
        ),
        (
            "[{ neurons = 9, delay = 63 }, { neurons = 9 }]",
            "network.layers.0.delay = 63: input should be less than or equal",
        ),
        (
            "[{ neurons = 9, dropout = 1.0 }, { neurons = 9 }]",
            "network.layers.0.dropout = 1.0: input should be less than 1",
        ),
        (
            "[{ neurons = 9, neuron = { threshold = 4096 } }]",
            "network.layers.0.neuron.threshold = 4096: input should be less than 4096",
        ),
        (
            "[{ kind = 'pool', kernel = 2, weight = 7 }, { neurons = 9 }]",
            "network.layers.0.weight = 7: input should be a mul",
        ),
        (
            "[{ neurons = 9, delay = 3 }]",
            "network.layers: the last layer has a delay; its spikes are counted where they",
        ),
        ("[{ neurons = 9, dropout = 0.1 }]", "network.layers: the last layer has a dropout"),
        (
            "[{ kind = 'pool', kernel = 2 }]",
            "network.layers: the last layer is 'pool', must be dense: one neuron for each",
        ),
        ("'vgg'", "network.layers: there is no network 'vgg'; known: 6conv2fc, "),
        ("{ name = 'vgg' }", "network.layers: there is no network 'vgg'; known: 6conv2fc, "),
        (
            "{ name = 'vggsnn', depth = 3 }",
            "network.layers: a network by name has the keys name, width, classes, dropout, not name, depth",
        ),
        ("{ name = 'vggsnn', width = 'x' }", "network.layers: width = 'x': needs a number"),
        (
            "{ name = 'vggsnn', dropout = 1.0 }",
            "network.layers: network 'vggsnn' with width 1.0, classes None and drop",
        ),
        ("[]", "network.layers is empty; give at least one value"),
    ],
)
def test_layer_that_cannot_be_is_refused_with_its_key(layers, message):
    with pytest.raises(RecipeError) as caught:
        parsed(layers)
    assert f"recipe: mine.toml: {message}" in str(caught.value)


def test_spines_are_refused_on_recurrent_layers():
    text = TEXT.replace(LAYERS, "layers = [{ neurons = 9, recurrent = true }, { neurons = 10 }]")
    start, end = text.index("[sparse]"), text.index("[training]")
    with pytest.raises(RecipeError, match="method 'sdsnn' prunes neurons by what leads into them"):
        parse_recipe(text[:start] + "[sparse]\nmethod = 'sdsnn'\n" + text[end:], "mine.toml")


def conv(**given):
    return ConvLayer(**{"channels": 4, "kernel": 3, **given})


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (conv(), (2, 8, 9), (4, 6, 7)),
        (conv(padding=[1, 0], stride=[2, 1]), (2, 8, 9), (4, 4, 7)),
        (conv(dilation=2), (2, 8, 9), (4, 4, 5)),
        (PoolLayer(kernel=[4, 3]), (2, 8, 9), (2, 2, 3)),
        (DenseLayer(neurons=5), (2, 8, 9), (5,)),
    ],
)
def test_shape_of_a_layer_follows_from_its_input(layer, shape, expected):
    assert layer_shapes([layer], shape) == [expected]


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([conv()], (64,), r"layer 'output' \(conv\) needs channels, height and width, but gets the shape \(64,\)"),
        ([DenseLayer(neurons=5), PoolLayer(kernel=2)], (1, 8, 8), r"layer 'output' \(pool\) needs channels"),
        ([conv(groups=2)], (3, 8, 8), r"layer 'output' \(conv\) has 3 input channels, which 2 groups do not divide"),
        ([conv(groups=3)], (3, 8, 8), r"\(conv\) has 4 output channels, which 3 groups do not divide"),
        (
            [conv(kernel=9)],
            (1, 8, 8),
            r"with kernel \(9, 9\), dilation \(1, 1\) and padding \(0, 0\) is larger than its",
        ),
        (
            [conv(), PoolLayer(kernel=4)],
            (1, 9, 10),
            r"\(pool\) with kernel \(4, 4\) does not divide its input of 7 x 8",
        ),
    ],
)
def test_layer_that_cannot_take_its_input_is_named(layers, shape, message):
    with pytest.raises(RecipeError, match=message):
        layer_shapes(layers, shape)


def weights_of(layers, shape):
    counts = []
    for layer, made, given in zip(layers, layer_shapes(layers, shape), [shape, *layer_shapes(layers, shape)]):
        if isinstance(layer, ConvLayer):
            counts.append(made[0] * given[0] // layer.groups * layer.kernel[0] * layer.kernel[1])
        elif isinstance(layer, DenseLayer):
            counts.append(made[0] * int(np.prod(given)))
    return sum(counts)


@pytest.mark.parametrize(
    ("name", "shape", "weights", "neurons_before_the_first_dense"),
    [
        ("6conv2fc", (3, 32, 32), 36_530_944, 256 * 8 * 8),
        ("vggsnn", (2, 48, 48), 9_263_232, 512 * 3 * 3),
        ("sdsnn-cifar10", (3, 32, 32), 21_356_928, 512 * 8 * 8),
        ("sdsnn-mnist", (1, 28, 28), 467_488, 64 * 7 * 7),
        ("sdsnn-gesture", (2, 32, 32), 2_359_168, 128 * 8 * 8),
    ],
)
def test_named_networks_have_the_published_sizes(name, shape, weights, neurons_before_the_first_dense):
    """VGGSNN: 9.26 M weights with ten outputs. 6Conv2FC: 1.71 M published as 4.64 % are 36.9 M, with 100 outputs."""
    layers = parsed(f"'{name}'").network.layers
    assert layers == ARCHITECTURES[name]()
    assert weights_of(layers, shape) == weights
    first = next(i for i, layer in enumerate(layers) if isinstance(layer, DenseLayer))
    assert int(np.prod(layer_shapes(layers, shape)[first - 1])) == neurons_before_the_first_dense


def pooled(layer, raster):
    """Spikes of a pool layer of its own, by the reference simulator, ``(n_steps, n_windows)``."""
    neuron = neuron_of(layer, parsed("[{ neurons = 1 }]").network.neuron)
    model = Cuba(threshold=neuron.threshold, current_decay=neuron.current_decay, voltage_decay=neuron.voltage_decay)
    pool = Pool(input_shape=(1, 2, 4), kernel=layer.kernel, stride=layer.kernel, weight=layer.weight)
    return run_reference(one_layer(pool, model), samples(raster[None])).spikes["out"].to_dense()[0, 1:]


def test_maximum_pool_fires_exactly_when_an_input_of_its_window_does():
    raster = np.random.default_rng(0).random((50, 8)) < 0.2
    windows = raster.reshape(50, 2, 2, 2).transpose(0, 2, 1, 3).reshape(50, 2, 4)
    assert np.array_equal(pooled(max_pool(2), raster), windows.any(2))


def test_mean_pool_fires_once_for_four_spikes_of_its_window():
    raster = np.zeros((12, 8), bool)
    raster[:, 0] = True  # one of the four neurons of the first window, in every step
    assert np.flatnonzero(pooled(mean_pool(2), raster)[:, 0]).tolist() == [3, 7, 11]


def test_shapes_of_the_inputs_are_kept_with_the_samples(tmp_path):
    events = Events.from_dense(np.zeros((3, 2, 12), bool))
    samples = Samples(inputs={"input": events}, shapes={"input": (3, 2, 2)})
    save_samples(samples.take(0, 2), tmp_path / "samples.npz")
    assert dict(load_samples(tmp_path / "samples.npz").shapes) == {"input": (3, 2, 2)}
    with pytest.raises(SimulationError, match=r"no input 'input' has the shape \(3, 2, 3\)"):
        Samples(inputs={"input": events}, shapes={"input": (3, 2, 3)})
