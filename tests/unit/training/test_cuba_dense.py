"""The layer for torch models of one's own: its forward pass computes with the chip's integers."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

import neurodeploy as nd
from neurodeploy.errors import NetworkError

NEURON = nd.Cuba(current_decay=2048, voltage_decay=512, threshold=64)
pytestmark = pytest.mark.train


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=4),
    decays=st.tuples(st.integers(0, 4096), st.integers(0, 4096)),
    threshold=st.integers(0, 200),
    reset=st.sampled_from(["zero", "subtract"]),
)
def test_layers_send_the_spikes_of_their_network(seed, sizes, decays, threshold, reset):
    """Depth ``d``: the chip's clock is ``d`` steps late, as each layer takes a step there."""
    neuron = nd.Cuba(current_decay=decays[0], voltage_decay=decays[1], threshold=threshold, reset=reset)
    torch.manual_seed(seed)
    layers = [nd.CubaDense(a, b, neuron, weight_scale=3.0) for a, b in zip(sizes, sizes[1:])]
    net, raster = torch.nn.Sequential(*layers), torch.rand(3, sizes[0], 9) < 0.5
    network, samples = nd.as_network(net), nd.as_samples(raster.numpy().transpose(0, 2, 1))
    given_spikes = raster.float()
    for depth, layer in enumerate(layers, start=1):
        given_spikes = layer(given_spikes)
        sent = nd.simulate(network, samples, engine="reference").spikes[f"layer{depth - 1}"].to_dense()
        assert np.array_equal(sent[:, depth:][:, :9], given_spikes.detach().numpy().transpose(0, 2, 1)[:, :9] > 0)


def test_weights_are_even_whole_numbers_of_64_a_unit():
    layer = nd.CubaDense(3, 2, NEURON)
    with torch.no_grad():
        layer.synapse.weight.copy_(torch.tensor([[1.0, -0.5, 0.02], [9.0, -9.0, 0.0]]).reshape(2, 3, 1, 1, 1))
    assert layer.whole_weights().tolist() == [[64, -32, 2], [254, -256, 0]]
    (projection,) = nd.as_network(layer).projections
    assert projection.mask.tolist() == [[True, True, True], [True, True, False]]


def test_the_gradient_passes_the_rounding_and_reaches_every_layer():
    torch.manual_seed(0)
    net = torch.nn.Sequential(nd.CubaDense(8, 16, NEURON, weight_scale=3.0), nd.CubaDense(16, 4, NEURON))
    net((torch.rand(5, 8, 10) < 0.5).float()).sum().backward()
    for weight in nd.find_weights(net).values():
        assert weight.grad.abs().sum() > 0


def test_layers_have_the_names_of_their_module():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nd.CubaDense(3, 5, NEURON)
            self.rest = torch.nn.Sequential(nd.CubaDense(5, 2, NEURON))

    assert [p.name for p in nd.as_network(Net(), dt=2e-3).populations] == ["first", "rest_0"]
    assert nd.as_network(Net(), dt=2e-3).dt == 2e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nd.CubaDense(0, 2, NEURON), "a layer from 0 to 2 neurons; it takes at least one of each"),
        (
            lambda: nd.as_network(torch.nn.Sequential(nd.CubaDense(3, 5, NEURON), nd.CubaDense(4, 2, NEURON))),
            "layer '1' takes 4 inputs, but layer0 sends 5; the layers of a model follow each other",
        ),
    ],
)
def test_what_is_no_chain_is_refused(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def test_weights_that_are_not_finite_are_refused():
    layer = nd.CubaDense(3, 2, NEURON)
    with torch.no_grad():
        layer.synapse.weight[0] = float("nan")
    with pytest.raises(NetworkError, match="'layer' has weights that are not finite"):
        nd.as_network(layer)


@pytest.mark.slayer
def test_layers_of_two_kinds_are_refused():
    slayer = pytest.importorskip("lava.lib.dl.slayer")
    neuron = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.125}
    net = torch.nn.Sequential(slayer.block.cuba.Dense(neuron, 3, 4), nd.CubaDense(4, 2, NEURON))
    with pytest.raises(NetworkError, match=r"CubaDense layers \(1\) and slayer blocks \(0\); build it of one kind"):
        nd.as_network(net)
