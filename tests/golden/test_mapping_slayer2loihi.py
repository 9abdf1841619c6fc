"""Neurons a core that Intel's slayer2loihi printed for its tutorials."""

import numpy as np
import pytest
from building import chain, neuron

from neurodeploy.chip import load_chip
from neurodeploy.errors import UsageError
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Network

MODEL = neuron()


def network(sizes: list[int], largest: list[int], delays: list[int]) -> Network:
    """Dense layers in a row with weights in ``-largest .. largest`` and one delay a layer."""
    rng = np.random.default_rng(0)
    layers = []
    for n, before, high in zip(sizes[1:], sizes, largest):
        weights = rng.integers(-high, high + 1, (n, before))
        weights.flat[0] = high
        layers.append(weights)
    delayed = {f"p{i}": {"delay": delay} for i, delay in enumerate(delays, start=1)}
    return chain(layers, MODEL, source="input", more=delayed)


def neurons(net: Network, layer: str) -> list[int]:
    mapping = map_network(net, load_chip("loihi1"), split="slayer2loihi", placement="order")
    return [mapping.cores[i].used["neurons"] for i in mapping.layer_cores(layer)]


def test_nmnist_hidden_layer_takes_9_cores_of_62_neurons_at_7_bits() -> None:
    assert neurons(network([2312, 512, 10], [64, 64], [0, 0]), "p1") == [62] * 8 + [16]


def test_nmnist_hidden_layer_takes_10_cores_of_55_neurons_at_8_bits() -> None:
    assert neurons(network([2312, 512, 10], [127, 127], [0, 0]), "p1") == [55] * 9 + [17]


def test_gesture_layer_takes_46_neurons_a_core_at_6_bits_and_4_of_delay() -> None:
    assert neurons(network([2048, 512, 11], [32, 32], [15, 0]), "p1")[:-1] == [46] * 11


def test_ntidigits_layers_are_bound_by_the_addresses_that_delays_leave() -> None:
    net = network([64, 256, 256, 242], [254, 254, 176], [62, 62, 0])
    assert [neurons(net, name) for name in ("p1", "p2", "p3")] == [[128, 128], [128, 128], [242]]


def test_packed_words_hold_whole_synapses() -> None:
    """62 neurons with 2312 sources at 7 bits, 9 a word."""
    mapping = map_network(network([2312, 512, 10], [64, 64], [0, 0]), load_chip("loihi1"), split="slayer2loihi")
    assert max(load.words.get("w1", 0) for load in mapping.cores) == -(-62 * 2312 // 9)


def test_split_is_refused_on_another_chip() -> None:
    with pytest.raises(UsageError, match="'slayer2loihi' is one for Loihi 1, chip 'loihi2'"):
        map_network(network([4, 4], [1], [0]), load_chip("loihi2"), split="slayer2loihi")
