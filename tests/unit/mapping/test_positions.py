"""Cuts of images by position, where a spike then reaches fewer cores."""

import numpy as np
import pytest
from building import connect, neuron, wired

from neurodeploy.chip import Chip, load_chip
from neurodeploy.mapping.cuts.positions import by_position, position_cut
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.places.traffic import count_traffic
from neurodeploy.network import Conv, Network

PIXELS = 16
CHANNELS = 8


def limited(**limits: int) -> Chip:
    chip = load_chip("loihi1")
    counts = {name: getattr(chip.cores, name).model_copy(update={"value": value}) for name, value in limits.items()}
    return chip.model_copy(update={"cores": chip.cores.model_copy(update=counts)})


def depthwise_then_pointwise() -> Network:
    """Each channel by itself, then all channels of a pixel together: the two layers of a MobileNet's block."""
    shape = (CHANNELS, 4, 4)
    first = Conv(weights=np.full((CHANNELS, 1, 1, 1), 3), input_shape=shape, groups=CHANNELS)
    weights = np.arange(1, CHANNELS**2 + 1).reshape(CHANNELS, CHANNELS, 1, 1)
    second = Conv(weights=weights, input_shape=shape)
    populations = {"depthwise": (shape, neuron(), 1), "pointwise": (shape, neuron(), 2)}
    return wired(
        {"in": shape}, populations, [connect("in", "depthwise", first), connect("depthwise", "pointwise", second)]
    )


def test_parts_are_runs_of_positions_times_blocks_of_channels() -> None:
    cut = by_position((4, 2, 3), 4, 2)
    first = [0, 0, 0, 0, 1, 1]
    assert cut.labels.reshape(4, 6).tolist() == [first, first, [2, 2, 2, 2, 3, 3], [2, 2, 2, 2, 3, 3]]
    assert (cut.n_parts, cut.sizes.tolist()) == (4, [8, 4, 8, 4])


def test_pointwise_layers_cut_by_position_receive_each_spike_on_one_core() -> None:
    """Cores of 32 neurons: four either way. By channels each of the 128 neurons below sends to four, by position to one."""
    network, chip = depthwise_then_pointwise(), limited(neurons=32)
    default, equal = map_network(network, chip), map_network(network, chip, split="equal")
    assert len(default.cores) == len(equal.cores) == 8
    sent = [int(count_traffic(network, mapping).matrix.sum()) for mapping in (default, equal)]
    assert sent == [PIXELS * CHANNELS, 4 * PIXELS * CHANNELS]


def test_output_axons_that_a_cut_by_channels_overfills_do_not_bind_by_position() -> None:
    """Two entries for each neuron and core: 4 cores by channels are 8 a neuron, and 64 entries hold 8 neurons."""
    network, chip = depthwise_then_pointwise(), limited(neurons=32, output_axons=64)
    default, equal = map_network(network, chip), map_network(network, chip, split="equal")
    assert [len(default.layer_cores(name)) for name in default.sizes] == [4, 4]
    assert [len(equal.layer_cores(name)) for name in equal.sizes] == [16, 4]


def test_channels_are_cut_as_well_where_the_kernels_of_all_do_not_fit() -> None:
    """Each of 8 sources takes a word for up to three channels and two for four: 15 words hold two channels."""
    cut = position_cut(Layers(depthwise_then_pointwise(), limited(synapse_words=15)), "pointwise", {})
    assert cut.n_parts == 4
    assert cut.labels.reshape(CHANNELS, PIXELS)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("split", ["equal", "overlap"])
def test_a_population_behind_a_matrix_is_never_cut_by_position(split: str) -> None:
    shape = (4, 2, 2)
    network = wired({"in": 6}, {"p": (shape, neuron())}, [connect("in", "p", np.full((16, 6), 5))])
    mapping = map_network(network, limited(neurons=4), split=split)
    assert [load.neurons["p"].tolist() for load in mapping.cores] == [list(range(i, i + 4)) for i in (0, 4, 8, 12)]
