"""Mapping small networks: every limit, every error, and the record on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import chain, connect, neuron, nonzero

from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import FileError, FitError, UsageError
from neurodeploy.mapping.cuts.equal import block_sizes
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.synapses import matrix_of, needed_bits
from neurodeploy.mapping.record import load_mapping, save_mapping
from neurodeploy.network import (
    Conv,
    Dense,
    Network,
    Pool,
    Projection,
    Synapses,
)
from neurodeploy.network.synapses import synapse_shape

MODEL = neuron()


def layered(*layers: Synapses, shape: tuple[int, ...] | None = None, delay: object = 0) -> Network:
    """A network of the given layers in a row; populations p1, p2 and so on, none of which is an image."""
    delays = {f"p{i}": {"delay": delay} for i in range(1, len(layers) + 1)}
    sizes = {f"p{i}": (synapse_shape(s)[0],) for i, s in enumerate(layers, start=1)}
    shape = shape or (synapse_shape(layers[0])[1],)
    return chain(layers, MODEL, source="input", shape=shape, shapes=sizes, more=delays)


def with_loop(network: Network, name: str) -> Network:
    """The network with synapses from every neuron of a population to all of it."""
    size = network.sizes[name]
    loop = Projection(name="loop", source=name, target=name, synapses=ones(size, size))
    return replace(network, projections=(*network.projections, loop))


def ones(n_target: int, n_source: int, weight: int = 2) -> Dense:
    return Dense(weights=np.full((n_target, n_source), weight, np.int16))


def limited(chip: Chip, **limits: int) -> Chip:
    counts = {name: getattr(chip.cores, name).model_copy(update={"value": value}) for name, value in limits.items()}
    return chip.model_copy(update={"cores": chip.cores.model_copy(update=counts)})


@pytest.mark.parametrize(
    ("resource", "limit", "cores"),
    [("neurons", 3, [4, 4]), ("input_axons", 4, [1, 3]), ("output_axons", 5, [2, 1]), ("synapse_words", 4, [1, 3])],
)
def test_layer_is_cut_by_whichever_limit_binds(resource: str, limit: int, cores: list[int]) -> None:
    """Ten neurons with four sources each, then ten with one each; every list fits one word."""
    network = layered(ones(10, 4), Dense(weights=np.eye(10, dtype=np.int16)))
    mapping = map_network(network, limited(load_chip("loihi1"), **{resource: limit}))
    assert [len(mapping.layer_cores(name)) for name in ("p1", "p2")] == cores
    assert max(load.used[resource] for load in mapping.cores) <= limit


def test_neuron_whose_lists_alone_exceed_a_core_is_refused() -> None:
    with pytest.raises(FitError, match=r"layer 'p1' needs 4 synapse words on its core 0, which holds 1 of its neurons"):
        map_network(layered(ones(10, 4)), limited(load_chip("loihi1"), synapse_words=3))


def test_output_axons_count_destination_cores() -> None:
    """The target of ten neurons lies on two cores, so that each source neuron takes two output entries."""
    network = layered(ones(4, 1), ones(10, 4))
    mapping = map_network(network, limited(load_chip("loihi1"), neurons=5))
    assert mapping.cores[0].used["output_axons"] == 4 * 2


def test_source_without_a_synapse_on_a_core_takes_no_axon_there() -> None:
    weights = np.zeros((10, 4), np.int16)
    weights[:5, 0] = weights[5:, 1:] = 2
    mapping = map_network(layered(ones(4, 1), Dense(weights=weights)), limited(load_chip("loihi1"), neurons=5))
    first, second, third = mapping.cores
    assert (second.used["input_axons"], third.used["input_axons"]) == (1, 3)
    assert first.used["output_axons"] == 1 + 3


def test_recurrent_layer_sends_to_all_its_own_parts() -> None:
    network = with_loop(layered(ones(6, 2)), "p1")
    mapping = map_network(network, limited(load_chip("loihi1"), neurons=2))
    assert [load.used["output_axons"] for load in mapping.cores] == [2 * 3] * 3
    assert [load.used["input_axons"] for load in mapping.cores] == [2 + 6] * 3


def test_error_of_an_overfull_core_names_layer_core_value_limit_and_key() -> None:
    with pytest.raises(FitError) as caught:
        map_network(layered(ones(3, 50)), limited(load_chip("loihi1"), input_axons=40))
    assert "layer 'p1' needs 50 input axons on its core 0" in str(caught.value)
    assert "allows 40 (hardware/loihi1.toml: cores.input_axons)" in str(caught.value)
    assert caught.value.binding == {"layer": "p1", "core": 0, "resource": "input_axons", "used": 50, "limit": 40}


def test_error_of_too_many_cores_names_the_largest_layer() -> None:
    with pytest.raises(
        FitError, match=r"needs 201 cores, 200 of them for layer 'p1', but chip 'loihi1' has 128"
    ) as caught:
        map_network(layered(ones(200, 2), ones(1, 200)), limited(load_chip("loihi1"), neurons=1))
    assert caught.value.binding is not None
    assert caught.value.binding["used"] == 201


def test_unknown_split_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match="split 'best' is not known; known splits: equal, overlap, mtkahypar, compiler"
    ):
        map_network(layered(ones(1, 1)), load_chip("loihi1"), split="best")


def test_layer_whose_weights_are_all_zero_is_refused() -> None:
    with pytest.raises(FitError, match=r"layer 'p2' receives no synapse: all weights of w2 are 0"):
        map_network(layered(ones(3, 2), ones(3, 3, 0)), load_chip("loihi2"))


def test_layer_driven_by_its_bias_takes_a_core_and_no_words() -> None:
    network = layered(ones(3, 2))
    silent = replace(network, projections=())
    mapping = map_network(silent, load_chip("loihi2"))
    assert mapping.synaptic_bytes == 0
    assert mapping.cores[0].used["neurons"] == 3


def test_sparse_and_dense_records_of_one_matrix_map_alike() -> None:
    rng = np.random.default_rng(5)
    weights = (rng.integers(-63, 64, (30, 40)) * (rng.random((30, 40)) < 0.3)).astype(np.int16)
    sparse = nonzero(weights)
    chip = load_chip("loihi1")
    of_dense, of_sparse = (map_network(layered(s), chip).cores[0] for s in (Dense(weights=weights), sparse))
    assert (of_dense.words, of_dense.formats, of_dense.used) == (of_sparse.words, of_sparse.formats, of_sparse.used)


def test_convolution_unrolls_to_the_matrix_of_its_definition() -> None:
    """Compared with the sum over taps written as plain loops, with stride, padding, dilation and groups."""
    rng = np.random.default_rng(3)
    conv = Conv(
        weights=rng.integers(1, 100, (4, 1, 2, 3)),
        input_shape=(2, 5, 6),
        stride=(2, 1),
        padding=(1, 2),
        dilation=(1, 2),
        groups=2,
    )
    matrix = matrix_of(Projection(name="c", source="a", target="b", synapses=conv))
    dense = np.zeros((matrix.n_target, matrix.n_source), int)
    dense[matrix.target, matrix.source] = matrix.weight
    expected = np.zeros_like(dense)
    for o, y, x in np.ndindex(conv.output_shape):
        for h, w in np.ndindex(2, 3):
            at = (y * 2 + h - 1, x + 2 * w - 2)
            if 0 <= at[0] < 5 and 0 <= at[1] < 6:
                row = np.ravel_multi_index((o, y, x), conv.output_shape)
                expected[row, np.ravel_multi_index((o // 2, *at), (2, 5, 6))] = conv.weights[o, 0, h, w]
    assert np.array_equal(dense, expected)


def test_loihi_2_stores_a_kernel_once_whatever_the_number_of_positions() -> None:
    kernel = np.full((4, 3, 3, 3), 5, np.int16)
    words = [
        map_network(layered(Conv(weights=kernel, input_shape=(3, n, n)), shape=(3, n, n)), load_chip("loihi2"))
        .cores[0]
        .words["w1"]
        for n in (4, 9)
    ]
    assert words == [3 * 3 * 3 * 1] * 2


def test_neurons_that_feed_a_convolution_share_the_axon_map_of_loihi_2_by_position_and_run() -> None:
    """36 channels in fours are 9, so two runs: 25 positions take 50 entries. The last layer takes one a neuron."""
    first, second = np.full((36, 1, 1, 1), 5, np.int16), np.full((2, 36, 3, 3), 5, np.int16)
    layers = (Conv(weights=first, input_shape=(1, 5, 5)), Conv(weights=second, input_shape=(36, 5, 5)))
    mapping = map_network(layered(*layers, shape=(1, 5, 5)), load_chip("loihi2"))
    used = [load.used for load in mapping.cores]
    assert [(u["axon_map"], u["input_axons"]) for u in used] == [(50, 2), (18, 1)]
    assert used[0]["pool_words"] == 50 + 2 + 900 + used[0]["synapse_words"]


def test_neurons_that_feed_a_matrix_as_well_have_an_axon_map_entry_each() -> None:
    first, second = np.full((36, 1, 1, 1), 5, np.int16), np.full((2, 36, 3, 3), 5, np.int16)
    network = layered(
        Conv(weights=first, input_shape=(1, 5, 5)), Conv(weights=second, input_shape=(36, 5, 5)), shape=(1, 5, 5)
    )
    beside = Projection(name="beside", source="p1", target="p2", synapses=ones(18, 900))
    mapping = map_network(replace(network, projections=(*network.projections, beside)), load_chip("loihi2"))
    loads = [load for load in mapping.cores if "p1" in load.neurons]
    assert sum(load.used["axon_map"] for load in loads) == 900


def test_pool_on_loihi_2_is_a_kernel_of_one_channel_each() -> None:
    pool = Pool(input_shape=(2, 4, 4), kernel=(2, 2), stride=(2, 2))
    mapping = map_network(layered(pool, shape=(2, 4, 4)), load_chip("loihi2"))
    assert mapping.cores[0].words["w1"] == 2 * 4


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        ([0], 1),
        ([1], 1),
        ([3, 0], 2),
        ([255], 8),
        ([-1], 1),
        ([-256, -1], 9),
        ([-255, -1], 8),
        ([-129, -1], 8),
        ([-7, 0], 3),
        ([-4, -1], 3),
        ([-8, -4], 2),
        ([-256], 1),
        ([-1, 0], 1),
        ([-1, 1], 2),
        ([-128, 127], 8),
        ([-256, 254], 8),
        ([-255, 254], 9),
        ([-1, 255], 9),
        ([-64, 64], 2),
        ([-6, 6], 3),
        ([-24, 42], 6),
        ([76], 5),
        ([-10, 8], 4),
    ],
)
def test_width_of_weights_by_hand(values: list[int], bits: int) -> None:
    assert needed_bits(np.array(values, np.int16), shared_sign=True, drops_common_power=True) == bits


def test_width_without_shared_sign_keeps_the_sign_bit() -> None:
    assert needed_bits(np.array([127], np.int16), shared_sign=False, drops_common_power=True) == 8
    assert needed_bits(np.array([126], np.int16), shared_sign=False, drops_common_power=False) == 8


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_inhibitory_weights_down_to_minus_255_are_stored_in_eight_bits_in_every_format(chip: str) -> None:
    """Formats that fill gaps with zeros need no more: zero is one of the values of an inhibitory list."""
    mapping = map_network(layered(Dense(weights=np.array([[-255, -1, -7]], np.int16))), load_chip(chip))
    assert mapping.cores[0].weight_bits["w1"] == 8
    with pytest.raises(FitError, match="needs 9 bits a weight"):
        map_network(layered(Dense(weights=np.array([[-256, -1]], np.int16))), load_chip(chip))


def test_seven_bits_are_stored_as_eight() -> None:
    mapping = map_network(layered(Dense(weights=np.array([[63, -64, 1]], np.int16))), load_chip("loihi1"))
    assert mapping.cores[0].weight_bits["w1"] == 8


def test_weights_wider_than_the_chip_stores_are_refused_with_the_range() -> None:
    with pytest.raises(FitError, match=r"'w1' needs 9 bits .* at most 8 .*weights\.bits.* hold -128\.\.127"):
        map_network(layered(Dense(weights=np.array([[255, -1]], np.int16))), load_chip("loihi1"))


def test_delays_widen_each_synapse_and_lower_the_addressable_neurons() -> None:
    plain, delayed = (map_network(layered(ones(200, 3), delay=d), load_chip("loihi1")) for d in (0, 62))
    assert (len(plain.cores), len(delayed.cores)) == (1, 2)
    assert delayed.cores[0].used["neurons"] == 100
    assert delayed.synaptic_bytes > plain.synaptic_bytes


def test_cores_fill_tiles_column_by_column_and_then_chips() -> None:
    mapping = map_network(layered(ones(40, 1)), limited(load_chip("loihi1"), neurons=1))
    assert [(load.core, load.tile, load.x, load.y) for load in mapping.cores[:6]] == [
        (0, 0, 0, 0),
        (1, 0, 0, 0),
        (2, 0, 0, 0),
        (3, 0, 0, 0),
        (4, 1, 0, 1),
        (5, 1, 0, 1),
    ]
    assert (mapping.cores[16].tile, mapping.cores[16].x, mapping.cores[16].y) == (4, 1, 0)
    assert mapping.n_tiles == 10


def test_core_labels_give_each_neuron_its_core() -> None:
    chip = limited(load_chip("loihi1"), neurons=2)
    labels = map_network(layered(ones(5, 1), ones(3, 5)), chip, placement="order").core_labels()
    assert labels["p1"].tolist() == [0, 0, 1, 1, 2]
    assert labels["p2"].tolist() == [3, 3, 4]


def test_targets_on_another_chip_take_further_output_entries() -> None:
    """Two chips of two cores each: the first layer fills the first chip, the second the other one."""
    board = limited(load_chip("nahuku32"), count=2, neurons=2)
    mapping = map_network(layered(ones(4, 1), ones(4, 4)), board)
    assert [(load.chip, load.core) for load in mapping.cores] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [load.used["output_axons"] for load in mapping.cores] == [2 * (2 + 2), 2 * (2 + 2), 0, 0]
    assert mapping.n_chips == 2


def test_layer_is_cut_further_when_entries_to_another_chip_overfill_it() -> None:
    board = limited(load_chip("nahuku32"), count=3, output_axons=3)
    network = layered(ones(2, 1), ones(2, 2))
    assert len(map_network(network, limited(board, neurons=2)).cores) == 2
    crowded = map_network(network, limited(board, neurons=2, count=1))
    assert [load.used["output_axons"] for load in crowded.cores] == [2, 2, 0]


def test_block_sizes_are_those_of_the_smallest_number_of_parts() -> None:
    assert block_sizes(512, 1)[:3] == [512, 256, 171]
    assert block_sizes(3, 3) == [1]


def test_mapping_is_written_and_read_back_the_same(tmp_path: Path) -> None:
    mapping = map_network(layered(ones(5, 1), ones(3, 5)), limited(load_chip("loihi1"), neurons=2))
    save_mapping(mapping, tmp_path / "m.json")
    again = load_mapping(tmp_path / "m.json")
    assert again.chip == mapping.chip
    assert (again.network, again.sizes, again.limits, again.split) == (
        mapping.network,
        mapping.sizes,
        mapping.limits,
        "overlap",
    )
    for a, b in zip(again.cores, mapping.cores):
        assert (a.chip, a.core, a.words, a.formats, a.used, a.stored) == (
            b.chip,
            b.core,
            b.words,
            b.formats,
            b.used,
            b.stored,
        )
        assert {k: v.tolist() for k, v in a.neurons.items()} == {k: v.tolist() for k, v in b.neurons.items()}
    assert list(tmp_path.iterdir()) == [tmp_path / "m.json"]


@pytest.mark.parametrize(("text", "message"), [("{", "damaged"), ("[]", "something else"), (None, "cannot read")])
def test_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "m.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FileError, match=message):
        load_mapping(path)


def conv_words_by_hand(positions: int) -> Network:
    """One kernel of three taps in a row over an image of one row: position x reaches targets x - 2 .. x."""
    conv = Conv(weights=np.array([[[[1, 2, 3]]]], np.int16), input_shape=(1, 1, positions))
    return layered(conv, shape=(1, 1, positions))


def test_loihi_1_stores_the_lists_of_a_convolution_once_for_all_equal_positions() -> None:
    """Ten positions: two at the left edge and two at the right edge have lists of their own, the six inside share one."""
    core = map_network(conv_words_by_hand(10), load_chip("loihi1")).cores[0]
    assert core.formats["w1"] == "shared"
    assert core.words["w1"] == 5
    assert core.used["input_axons"] == 5
    assert core.stored["w1"] == 1 + 2 + 3 + 2 + 1
    assert map_network(conv_words_by_hand(50), load_chip("loihi1")).cores[0].words == core.words


def test_shared_group_takes_the_words_of_its_largest_source_for_each_source() -> None:
    """Two input channels at one position: 60 weights (15 words) and one weight (1 word) are charged 15 words each."""
    kernel = np.zeros((60, 2, 1, 1), np.int16)
    kernel[:, 0], kernel[0, 1] = 127, 127
    kernel[1, 0] = -128
    core = map_network(
        layered(Conv(weights=kernel, input_shape=(2, 1, 1)), shape=(2, 1, 1)), load_chip("loihi1")
    ).cores[0]
    assert core.words["w1"] == 2 * -(-(10 + 60 * 14) // 64)


def test_shared_connection_takes_two_output_entries_for_each_core() -> None:
    network = layered(ones(10, 1), Conv(weights=np.ones((1, 1, 1, 1), np.int16), input_shape=(1, 1, 10)))
    assert map_network(network, load_chip("loihi1")).cores[0].used["output_axons"] == 2 * 10


def test_neuron_that_reaches_too_many_cores_of_other_chips_is_refused() -> None:
    """Cores of one neuron, one a chip: each of six neurons sends to five other chips, two entries each, and to itself."""
    board = limited(load_chip("nahuku32"), count=1, neurons=1, output_axons=10)
    network = with_loop(layered(ones(6, 1)), "p1")
    with pytest.raises(FitError, match=r"needs 11 output axons on its core 0, 5 of them for targets on other chips"):
        map_network(network, board)
    assert len(map_network(network, limited(board, output_axons=11)).cores) == 6


@pytest.mark.parametrize("split", ["equal", "overlap", "compiler"])
def test_two_populations_in_a_loop_are_cut_until_both_fit(split: str) -> None:
    """Each of eight neurons reaches every part of the other population; a part may send three entries."""
    back = connect("p2", "p1", ones(8, 8))
    network = chain([ones(8, 1), ones(8, 8)], MODEL, source="input", extra=[back])
    with pytest.raises(FitError, match="output axons"):
        map_network(network, limited(load_chip("loihi1"), output_axons=3), split=split)
    mapping = map_network(network, limited(load_chip("loihi1"), output_axons=8), split=split)
    assert all(load.used["output_axons"] <= 8 for load in mapping.cores)


def test_layer_takes_the_cores_that_were_asked_for() -> None:
    mapping = map_network(layered(ones(12, 4), ones(3, 12)), load_chip("loihi2"), cores={"p1": 3}, split="equal")
    assert [load.used["neurons"] for load in mapping.cores] == [4, 4, 4, 3]


@pytest.mark.parametrize(
    ("cores", "message"),
    [
        ({"p9": 2}, "layer 'p9', which is not known; known layers: p1"),
        ({"p1": 0}, "0 cores"),
        ({"p1": 13}, "give 1 to"),
    ],
)
def test_impossible_number_of_cores_is_refused(cores: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        map_network(layered(ones(12, 4)), load_chip("loihi2"), cores=cores)
