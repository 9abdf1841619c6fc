"""Fit and memory verdicts for chips other than the Loihis, by hand."""

import numpy as np
import pytest
from building import chain, connect, neuron

from neurodeploy.chip import load_chip
from neurodeploy.errors import FitError
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Dense, Network, Pool, Shape, Synapses

MODEL = neuron()


def row(first: Shape, *layers: tuple[Shape, Synapses], loop: Synapses | None = None, delay: int = 0) -> Network:
    """Layers in a row: populations p1, p2 and so on; ``loop`` connects p1 to itself."""
    names = [f"p{i}" for i in range(1, len(layers) + 1)]
    return chain(
        [synapses for _, synapses in layers],
        MODEL,
        source="input",
        shape=first,
        shapes={name: shape for name, (shape, _) in zip(names, layers)},
        more={name: {"delay": delay} for name in names},
        extra=[] if loop is None else [connect("p1", "p1", loop, "loop")],
    )


def ones(n_target: int, n_source: int, weight: int = 3) -> tuple[Shape, Synapses]:
    return (n_target,), Dense(weights=np.full((n_target, n_source), weight, np.int16))


def conv(c_out: int, source: tuple[int, int, int], kernel: int, stride: int = 1) -> tuple[Shape, Conv]:
    made = Conv(
        weights=np.ones((c_out, source[0], kernel, kernel), np.int16), input_shape=source, stride=(stride, stride)
    )
    return made.output_shape, made


def binding(network: Network, chip: str) -> tuple[object, object, object]:
    with pytest.raises(FitError) as caught:
        map_network(network, load_chip(chip))
    found = caught.value.binding
    assert found is not None
    assert f"hardware/{chip}.toml" in str(caught.value) or "chip file" in str(caught.value)
    return found["resource"], found["used"], found["limit"]


def mapped(network: Network, chip: str) -> Mapping:
    return map_network(network, load_chip(chip))


class TestTrueNorth:
    def test_each_source_takes_a_row_of_256_bits_however_sparse(self) -> None:
        weights = np.zeros((200, 100), np.int16)
        weights[0] = 5
        for dense in (weights, np.full((200, 100), 5, np.int16)):
            core = mapped(row((100,), ((200,), Dense(weights=dense))), "truenorth").cores[0]
            assert core.words["w1"] == 100 * 256 // 64

    def test_fan_in_above_256_does_not_fit(self) -> None:
        assert binding(row((257,), ones(3, 257)), "truenorth") == ("input_axons", 257, 256)

    def test_neuron_with_five_different_weights_does_not_fit(self) -> None:
        weights = np.array([[1, 2, 3, 4, 5]], np.int16)
        assert binding(row((5,), ((1,), Dense(weights=weights))), "truenorth") == ("weight_values", 5, 4)
        assert len(mapped(row((4,), ((1,), Dense(weights=weights[:, :4]))), "truenorth").cores) == 1

    def test_neuron_reaches_one_core_only(self) -> None:
        assert binding(row((4,), ones(10, 4), ones(300, 10)), "truenorth") == ("destinations", 2, 1)


class TestSpinnaker2:
    def test_a_synapse_takes_one_word_of_32_bits(self) -> None:
        mapping = mapped(row((50,), ones(20, 50)), "spinnaker2")
        assert mapping.synaptic_bytes == 20 * 50 * 4

    def test_layer_larger_than_a_core_is_cut(self) -> None:
        mapping = mapped(row((1000,), ones(100, 1000)), "spinnaker2")
        assert [load.used["synapse_words"] for load in mapping.cores] == [25000] * 4

    def test_unknown_layout_of_delays_is_said(self) -> None:
        with pytest.raises(FitError, match=r"does not say how chip 'spinnaker2' stores delays \(weights\.delay_bits"):
            mapped(row((5,), ones(2, 5), delay=3), "spinnaker2")


class TestAkida:
    def test_weights_above_four_bits_are_refused(self) -> None:
        with pytest.raises(FitError, match="needs 6 bits a weight, but chip 'akida_akd1000' stores at most 4"):
            mapped(row((5,), ones(2, 5, weight=27)), "akida_akd1000")

    def test_matrix_takes_all_its_weights_zeros_included(self) -> None:
        weights = np.zeros((10, 64), np.int16)
        weights[0, :2] = (7, -8)
        mapping = mapped(row((64,), ((10,), Dense(weights=weights))), "akida_akd1000")
        assert mapping.synaptic_bytes == 64 * (10 * 4 // 8)

    def test_mapping_notes_that_the_neurons_differ(self) -> None:
        assert "quantised ReLU" in mapped(row((5,), ones(2, 5, weight=1)), "akida_akd1000").notes[0]


class TestXylo:
    def test_small_recurrent_network_fits_one_core(self) -> None:
        loop = Dense(weights=np.eye(100, dtype=np.int16))
        mapping = mapped(row((16,), ones(100, 16), ones(8, 100), loop=loop), "xylo_a2")
        core = mapping.cores[0]
        assert core.used == {"inputs": 16, "hidden": 100, "outputs": 8, "recurrent_synapses": 100}
        assert mapping.synaptic_bytes == 16 * 100 + 100 + 100 * 8
        assert {name: label.tolist()[0] for name, label in mapping.core_labels().items()} == {"p1": 0, "p2": 0}

    @pytest.mark.parametrize(
        ("sizes", "found"),
        [
            ((17, 10, 2), ("inputs", 17, 16)),
            ((16, 1001, 2), ("hidden", 1001, 1000)),
            ((16, 10, 9), ("outputs", 9, 8)),
        ],
    )
    def test_each_limit_is_named(self, sizes: tuple[int, int, int], found: tuple[str, int, int]) -> None:
        inputs, hidden, outputs = sizes
        assert binding(row((inputs,), ones(hidden, inputs), ones(outputs, hidden)), "xylo_a2") == found

    def test_too_many_recurrent_synapses_are_named(self) -> None:
        network = row((2,), ones(300, 2), ones(2, 300), loop=Dense(weights=np.ones((300, 300), np.int16)))
        assert binding(network, "xylo_a2") == ("recurrent_synapses", 90000, 64000)

    def test_common_factor_is_that_of_all_weights_into_a_neuron(self) -> None:
        """The hidden neurons get 254 from the input; only with an even loop can both be halved."""
        for loop, fits in ((2, True), (3, False)):
            matrix = Dense(weights=np.array([[254, -254], [0, 2]]))
            network = row((2,), ((2,), matrix), ones(1, 2), loop=Dense(weights=np.full((2, 2), loop)))
            if fits:
                assert mapped(network, "xylo_a2").cores[0].weight_bits["w1"] == 8
            else:
                with pytest.raises(FitError, match="needs 9 bits a weight"):
                    mapped(network, "xylo_a2")

    def test_input_may_not_lead_to_an_output(self) -> None:
        with pytest.raises(FitError, match="leads from an input to an output"):
            mapped(row((4,), ones(2, 4)), "xylo_a2")


class TestSpeck:
    def test_kernel_and_neuron_words_are_those_of_padded_addresses(self) -> None:
        """2 input channels, 5 x 5 kernel (32), 12 output channels (16); 12 channels of 28 x 28 neurons (32 x 32)."""
        core = mapped(row((2, 32, 32), conv(12, (2, 32, 32), 5)), "speck2f").cores[0]
        assert core.used == {"kernel_words": 2 * 32 * 16, "neuron_words": 12 * 32 * 32}

    def test_matrix_is_a_kernel_as_large_as_its_input(self) -> None:
        matrix = Dense(weights=np.arange(10 * 4 * 16 * 16).reshape(10, -1) % 7 - 3)
        network = row((2, 16, 16), conv(4, (2, 16, 16), 1), ((10,), matrix))
        mapping = mapped(network, "speck2f")
        loads = {next(iter(load.neurons)): load for load in mapping.cores}
        assert loads["p2"].used == {"kernel_words": 4 * 256 * 16, "neuron_words": 10}

    def test_nmnist_mlp_does_not_map(self) -> None:
        network = row((2, 34, 34), ones(512, 2312), ones(10, 512))
        assert binding(network, "speck2f") == ("kernel pixels in a row", 34, 16)

    def test_layers_find_the_large_cores_even_if_placed_last(self) -> None:
        """Two layers of 64 Ki kernel words (only two cores have them) after seven small ones."""
        small = [((8, 1, 1), Conv(weights=np.ones((8, 8, 1, 1), np.int16), input_shape=(8, 1, 1))) for _ in range(7)]
        grow = ((256, 1, 1), Conv(weights=np.ones((256, 8, 1, 1), np.int16), input_shape=(8, 1, 1)))
        large = ((256, 1, 1), Conv(weights=np.ones((256, 256, 1, 1), np.int16), input_shape=(256, 1, 1)))
        mapping = mapped(row((8, 1, 1), *small[:6], grow, large), "speck2f")
        place = {next(iter(load.neurons)): load.core for load in mapping.cores}
        assert place["p8"] in (5, 6)
        assert len(set(place.values())) == 8

    def test_ten_layers_are_too_many(self) -> None:
        layer = ((1, 1, 1), Conv(weights=np.ones((1, 1, 1, 1), np.int16), input_shape=(1, 1, 1)))
        assert binding(row((1, 1, 1), *[layer] * 10), "speck2f") == ("cores", 10, 9)

    def test_stride_of_three_is_refused(self) -> None:
        with pytest.raises(FitError, match=r"has stride \(3, 3\), chip 'speck2f' allows \(1, 2, 4, 8\)"):
            mapped(row((1, 9, 9), conv(2, (1, 9, 9), 3, stride=3)), "speck2f")

    def test_pool_behind_a_layer_is_done_by_the_core_of_that_layer(self) -> None:
        """A kernel of 6 x 6 that repeats each tap 2 x 2 is one of 3 x 3 (16 words) on sums of 2 x 2; 4 channels to 8."""
        taps = np.arange(8 * 4 * 9).reshape(8, 4, 3, 3) % 11 - 5
        second = Conv(
            weights=taps.repeat(2, axis=2).repeat(2, axis=3), input_shape=(4, 16, 16), stride=(2, 2), padding=(2, 2)
        )
        mapping = mapped(row((2, 16, 16), conv(4, (2, 16, 16), 1), ((8, 8, 8), second)), "speck2f")
        loads = {next(iter(load.neurons)): load for load in mapping.cores}
        assert loads["p2"].used == {"kernel_words": 4 * 16 * 8, "neuron_words": 8 * 64}
        note = "the core of layer 'p1' pools its spikes for layer 'p2' (2 x 2), whose kernel is 3 x 3"
        assert note in mapping.notes

    def test_pool_of_the_input_stays_in_the_kernel(self) -> None:
        taps = np.arange(36).reshape(4, 1, 3, 3) % 11 - 5
        first = Conv(weights=taps.repeat(2, axis=2).repeat(2, axis=3), input_shape=(1, 16, 16), stride=(2, 2))
        assert mapped(row((1, 16, 16), ((4, 6, 6), first)), "speck2f").cores[0].used["kernel_words"] == 64 * 4

    def test_pool_before_a_matrix_makes_its_kernel_smaller(self) -> None:
        """17 x 17 neurons, summed by 4 to 4 x 4; the row and the column that are left over have no weights."""
        taps = np.arange(10 * 4 * 16).reshape(10, 4, 4, 4) % 11 - 5
        weights = np.zeros((10, 4, 17, 17), np.int16)
        weights[..., :16, :16] = taps.repeat(4, axis=2).repeat(4, axis=3)
        network = row((2, 17, 17), conv(4, (2, 17, 17), 1), ((10,), Dense(weights=weights.reshape(10, -1))))
        loads = {next(iter(load.neurons)): load for load in mapped(network, "speck2f").cores}
        assert loads["p2"].used["kernel_words"] == 4 * 16 * 16

    @pytest.mark.parametrize("largest", [128, 192, 254])
    def test_factor_common_to_weights_and_threshold_takes_no_bits(self, largest: int) -> None:
        weights = np.array([[-largest, 0, largest, largest // 2]], np.int16)
        mapping = mapped(
            row((4, 1, 1), ((1, 1, 1), Conv(weights=weights[..., None, None], input_shape=(4, 1, 1)))), "speck2f"
        )
        assert mapping.cores[0].weight_bits == {"w1": 8}

    def test_weights_of_nine_bits_without_a_common_factor_are_refused(self) -> None:
        weights = np.array([[-128, 0, 128, 1]], np.int16)[..., None, None]
        with pytest.raises(FitError, match=r"needs 9 bits a weight.*-128\.\.127 times a common factor: quantise"):
            mapped(row((4, 1, 1), ((1, 1, 1), Conv(weights=weights, input_shape=(4, 1, 1)))), "speck2f")

    def test_pool_is_a_layer_of_its_own(self) -> None:
        pool = Pool(input_shape=(2, 8, 8), kernel=(2, 2), stride=(2, 2))
        mapping = mapped(row((2, 8, 8), ((2, 4, 4), pool)), "speck2f")
        assert mapping.cores[0].used == {"kernel_words": 2 * 4 * 2, "neuron_words": 2 * 16}


def test_delays_on_loihi_2_are_noted_as_a_guess() -> None:
    notes = mapped(row((5,), ones(2, 5), delay=3), "loihi2").notes
    assert notes == ("the layout of delays is a guess (weights.delay_bits): words of w1",)
    assert mapped(row((5,), ones(2, 5)), "loihi2").notes == ()
