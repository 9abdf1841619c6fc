"""Core counts and memory rows that the Loihi 2 compiler printed in the lava-dl notebooks."""

import numpy as np
import pytest
from building import connect, neuron, wired

from neurodeploy.chip import load_chip
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Dense, Network, Shape

MODEL = neuron()


def weights(shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Weights of both signs, none zero, that need exactly ``bits`` bits."""
    high = 2 ** (bits - 1)
    values = np.random.default_rng(0).integers(-high, high, shape)
    values[values == 0] = 1
    values.flat[0], values.flat[1] = -high, 1
    return values.astype(np.int16)


def layered(layers: list[tuple[str, Shape, object]], first: Shape, *, image: bool) -> Network:
    """Layers in a row; with ``image`` the input is a population of its own, driven by its bias."""
    names = ["image" if image else "input", *(name for name, _, _ in layers)]
    populations = {"image": (first, MODEL, 0)} if image else {}
    populations |= {name: (shape, MODEL, i) for i, (name, shape, _) in enumerate(layers, start=1)}
    projections = [connect(a, b, synapses, f"to-{b}") for a, b, (_, _, synapses) in zip(names, names[1:], layers)]
    return wired({"input": first}, populations, projections)


def conv(c_out: int, source: Shape, bits: int, stride: tuple[int, int], padding: tuple[int, int] = (0, 0)) -> Conv:
    return Conv(weights=weights((c_out, source[0], 3, 3), bits), input_shape=source, stride=stride, padding=padding)


def pilotnet(bits: dict[str, int], *, image: bool) -> Network:
    """PilotNet of the notebooks; ``bits`` are the widths of its shipped weights.

    LIF: 200 x 66 image, layer by layer. SDNN: the same without a core for the image.
    """
    shapes: dict[str, Shape] = {
        "conv1": (24, 32, 99),
        "conv2": (36, 15, 49),
        "conv3": (48, 7, 24),
        "conv4": (64, 4, 22),
        "conv5": (64, 2, 20),
    }
    first = (3, 66, 200)
    strides = {"conv4": (2, 1), "conv5": (1, 1)}
    padding = {"conv4": (1, 0)}
    layers: list[tuple[str, Shape, object]] = []
    source: Shape = first
    for name, shape in shapes.items():
        synapses = conv(shape[0], source, bits[name], strides.get(name, (2, 2)), padding.get(name, (0, 0)))
        assert synapses.output_shape == shape
        layers.append((name, shape, synapses))
        source = shape
    for name, n, m in (("fc1", 100, 2560), ("fc2", 50, 100), ("fc3", 10, 50), ("fc4", 1, 10)):
        layers.append((name, (n,), Dense(weights=weights((n, m), bits[name]))))
    return layered(layers, first, image=image)


LIF_BITS = {"conv1": 5, "conv2": 4, "conv3": 4, "conv4": 4, "conv5": 4, "fc1": 3, "fc2": 4, "fc3": 5, "fc4": 6}
SDNN_BITS = {"conv1": 6, "conv2": 5, "conv3": 4, "conv4": 5, "conv5": 4, "fc1": 4, "fc2": 6, "fc3": 5, "fc4": 4}


def cores(mapping: Mapping) -> list[int]:
    return [len(mapping.layer_cores(name)) for name in mapping.sizes]


def words_of(mapping: Mapping, layer: str) -> int:
    """Synapse words of a layer on a core, averaged and rounded down as printed."""
    loads = [mapping.cores[i] for i in mapping.layer_cores(layer)]
    return sum(load.used["synapse_words"] for load in loads) // len(loads)


@pytest.fixture(scope="module")
def lif() -> Mapping:
    return map_network(pilotnet(LIF_BITS, image=True), load_chip("loihi2_2023"), split="compiler")


@pytest.fixture(scope="module")
def sdnn() -> Mapping:
    return map_network(pilotnet(SDNN_BITS, image=False), load_chip("loihi2_2023"), split="compiler")


def test_pilotnet_lif_takes_the_printed_74_cores(lif: Mapping) -> None:
    assert cores(lif) == [13, 25, 13, 3, 3, 2, 12, 1, 1, 1]
    assert len(lif.cores) == 74


def test_pilotnet_sdnn_takes_the_printed_61_cores(sdnn: Mapping) -> None:
    assert cores(sdnn) == [25, 13, 3, 3, 2, 12, 1, 1, 1]
    assert len(sdnn.cores) == 61


def test_pilotnet_lif_takes_the_printed_synapse_words(lif: Mapping) -> None:
    printed = {"image": 0, "conv1": 81, "conv2": 864, "conv3": 1620, "conv4": 2160, "conv5": 2880}
    printed |= {"fc1": 7253, "fc2": 1300, "fc3": 150, "fc4": 10}
    assert {name: words_of(lif, name) for name in lif.sizes} == printed


def test_pilotnet_sdnn_takes_the_printed_synapse_words(sdnn: Mapping) -> None:
    printed = {"conv1": 81, "conv2": 864, "conv3": 1620, "conv4": 2592, "conv5": 2880}
    printed |= {"fc1": 7253, "fc2": 1500, "fc3": 150, "fc4": 10}
    assert {name: words_of(sdnn, name) for name in sdnn.sizes} == printed


def test_pilotnet_blocks_hold_the_printed_neurons(lif: Mapping) -> None:
    """Full blocks: 16 x 66 x 3, 4 x 32 x 24, 4 x 15 x 36, 8 x 7 x 48, 8 x 4 x 64 and 16 x 2 x 64."""
    printed = {"image": 3168, "conv1": 3072, "conv2": 2160, "conv3": 2688, "conv4": 2048, "conv5": 2048}
    assert {name: lif.cores[lif.layer_cores(name)[0]].used["neurons"] for name in printed} == printed


def test_first_matrix_of_pilotnet_is_cut_in_six_and_then_in_twelve(lif: Mapping) -> None:
    assert [lif.cores[i].used["neurons"] for i in lif.layer_cores("fc1")] == [9] * 11 + [1]


@pytest.mark.parametrize("chip", ["loihi2", "loihi2_2023"])
def test_mnist_mlp_takes_the_printed_5_cores(chip: str) -> None:
    sizes = [784, 128, 64, 10]
    layers = [(f"fc{i}", (n,), Dense(weights=weights((n, m), 8))) for i, (m, n) in enumerate(zip(sizes, sizes[1:]))]
    mapping = map_network(layered(layers, (784,), image=False), load_chip(chip), split="compiler")
    assert cores(mapping) == [3, 1, 1]
    output = mapping.cores[4].used
    assert (output["input_axons"], output["synapse_words"], output["pool_words"]) == (64, 256, 64 + 256 + 10 + 10)
    assert mapping.cores[3].used["pool_words"] == 128 + 64 + 128 * 21 + 64


def test_oxford_takes_four_cores_where_the_compiler_printed_five() -> None:
    """The known misfit: that compiler cut unevenly, so that its second layer took three cores."""
    layers = [
        ("fc0", (256,), Dense(weights=weights((256, 200), 8))),
        ("fc1", (200,), Dense(weights=weights((200, 256), 8))),
    ]
    mapping = map_network(layered(layers, (200,), image=False), load_chip("loihi2_2023"), split="compiler")
    assert cores(mapping) == [2, 2]
