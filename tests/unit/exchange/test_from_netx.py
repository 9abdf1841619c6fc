"""from_netx: lava-dl's .net files, written here by hand as slayer's export_hdf5 writes them."""

import warnings

import h5py
import numpy as np
import pytest

from neurodeploy.errors import FileError, NetworkError
from neurodeploy.exchange.netx.layers import whole_numbers
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.network import Cuba, LeakyIntegrator

NEURON = {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1, "gradedSpike": False}

RF = {"type": "RF_PHASE", "sinDecay": 2000, "cosDecay": -3000, "vThMant": 70, "gradedSpike": False}
SDNN = {"type": "SDNN", "activation": "relu", "vThMant": 5}


def layer(kind, shape, neuron=None, **fields):
    return {"type": kind, "shape": np.array(shape), "neuron": neuron, **fields}


def dense(n_out, n_in, neuron=NEURON, kind="dense", **fields):
    weights = (np.arange(n_out * n_in) * 2 - 10).reshape(n_out, n_in).astype(np.float32)
    return layer(kind, (n_out, 1, 1), neuron, weight=weights, inFeatures=n_in, outFeatures=n_out, **fields)


def write(path, *layers):
    with h5py.File(path, "w") as file:
        for i, given in enumerate(layers):
            group = file.create_group(f"layer/{i}")
            for name, value in given.items():
                if name == "type":
                    group.create_dataset("type", (1,), "S10", [value.encode()])
                elif name == "neuron":
                    for key, number in (value or {}).items():
                        group[f"neuron/{key}"] = number
                else:
                    group[name] = value
    return path


def test_dense_layers_become_a_chain_with_their_integers(tmp_path):
    path = write(tmp_path / "a.net", layer("input", (4, 1, 1)), dense(3, 4), dense(2, 3, NEURON | {"vThMant": 6}))
    network = from_netx(path)
    assert [p.shape for p in network.populations] == [(3,), (2,)]
    assert [p.first_step for p in network.populations] == [1, 2]
    model = network.populations[1].model
    assert (model.current_decay, model.voltage_decay, model.threshold) == (1024, 128, 6)
    assert network.projections[0].synapses.weights.tolist() == [[-10, -8, -6, -4], [-2, 0, 2, 4], [6, 8, 10, 12]]


def test_delay_of_a_layer_acts_on_its_outgoing_spikes(tmp_path):
    path = write(tmp_path / "a.net", layer("input", (4,)), dense(3, 4, delay=np.array([0.0, 2.7, 62.0])), dense(2, 3))
    first, second = from_netx(path).projections
    assert first.delay == 0
    assert second.delay.tolist() == [0, 2, 62]


def test_delay_of_the_last_layer_is_in_the_ledger(tmp_path):
    path = write(tmp_path / "a.net", layer("input", (4,)), dense(3, 4, delay=np.array([0.0, 2.0, 5.0])))
    (entry,) = from_netx(path).ledger
    assert "delay of the last layer" in entry.what
    assert "5 steps" in entry.size


def test_bias_is_in_state_units_one_a_channel(tmp_path):
    conv = layer(
        "conv",
        (2, 3, 3),
        NEURON,
        weight=np.full((2, 1, 2, 2, 1), 4.0),
        stride=np.array([1, 1]),
        padding=np.array([0, 0]),
        dilation=np.array([1, 1]),
        groups=1,
        bias=np.array([3.0, -2.0]),
    )
    network = from_netx(write(tmp_path / "a.net", layer("input", (1, 4, 4)), conv))
    bias = network.populations[0].model.bias
    assert bias.shape == (2, 3, 3)
    assert np.unique(bias[0]).tolist() == [192]
    assert np.unique(bias[1]).tolist() == [-128]


def test_recurrent_layer_gets_a_projection_onto_itself(tmp_path):
    path = write(tmp_path / "a.net", dense(3, 4, kind="dense_rec", weight_rec=np.eye(3, dtype=np.float32) * 8))
    recurrent = from_netx(path).projections[1]
    assert (recurrent.source, recurrent.target) == ("layer0_dense_rec", "layer0_dense_rec")
    assert recurrent.synapses.weights.tolist() == [[8, 0, 0], [0, 8, 0], [0, 0, 8]]


def test_pool_keeps_its_one_weight(tmp_path):
    pool = layer(
        "pool",
        (2, 2, 2),
        NEURON,
        weight=np.full((1, 1, 2, 2), 64.0),
        kernelSize=np.array([2, 2]),
        stride=np.array([2, 2]),
        padding=np.array([0, 0]),
        dilation=np.array([1, 1]),
    )
    synapses = from_netx(write(tmp_path / "a.net", layer("input", (2, 4, 4)), pool)).projections[0].synapses
    assert (synapses.kind, synapses.weight, synapses.kernel, synapses.stride) == ("pool", 64, (2, 2), (2, 2))


def test_dense_layer_without_neurons_is_a_read_out(tmp_path):
    network = from_netx(write(tmp_path / "a.net", dense(3, 4), dense(2, 3, neuron=None)))
    assert isinstance(network.populations[1].model, LeakyIntegrator)
    assert network.outputs[0].decoding == "last_voltage"


def test_parameters_of_single_neurons_are_kept(tmp_path):
    path = write(tmp_path / "a.net", dense(3, 4, NEURON | {"iDecay": np.array([1, 2, 4096])}))
    assert from_netx(path).populations[0].model.current_decay.tolist() == [1, 2, 4096]


def test_input_layer_with_neurons_is_driven_by_a_bias_on_request(tmp_path):
    path = write(tmp_path / "a.net", layer("input", (1, 2, 2), NEURON, weight=36.0, bias=34.0), dense(2, 4))
    assert [p.name for p in from_netx(path).populations] == ["layer1_dense"]
    network = from_netx(path, input_bias=np.array([[[1, 2], [3, 4]]]))
    driven = network.populations[0]
    assert isinstance(driven.model, Cuba)
    assert driven.model.bias.tolist() == [[[64, 128], [192, 256]]]
    assert network.populations[1].first_step == 2


def test_resonators_get_one_projection_for_each_component_of_their_weights(tmp_path):
    path = write(tmp_path / "a.net", dense(3, 4), layer("dense", (2, 1, 1), RF | {"type": "RF_IZHIKEVICH"}))
    with h5py.File(path, "r+") as file:
        file["layer/1/weight/real"] = np.array([[2.0, 4, 6], [8, 10, 12]])
        file["layer/1/weight/imag"] = np.array([[-2.0, 0, 2], [0, 2, 4]])
    network = from_netx(path)
    model = network.populations[1].model
    assert (model.sin_decay, model.cos_decay, model.threshold, model.reset) == (2000, -3000, 70 << 6, True)
    _, real, imag = network.projections
    assert [(p.source, p.target, p.component) for p in (real, imag)] == [
        ("layer0_dense", "layer1_dense", "real"),
        ("layer0_dense", "layer1_dense", "imag"),
    ]
    assert imag.synapses.weights.tolist() == [[-2, 0, 2], [0, 2, 4]]
    assert network.outputs[0].decoding == "count"


def test_sigma_delta_layers_keep_their_encoder_and_scale_threshold_and_bias(tmp_path):
    last = dense(2, 3, SDNN | {"sigma_output": True})
    path = write(
        tmp_path / "a.net", layer("input", (4, 1, 1), SDNN), dense(3, 4, SDNN, bias=np.array([1.0, -2, 0])), last
    )
    network = from_netx(path, spike_exponent=2)
    encoder, hidden, out = network.populations
    assert network.inputs[0].graded
    assert [p.model.kind for p in network.populations] == ["delta", "sigma_delta", "sigma"]
    assert (encoder.model.threshold, encoder.model.spike_exponent, encoder.model.state_exponent) == (5 << 8, 2, 6)
    assert hidden.model.bias.tolist() == [1 << 8, -2 << 8, 0]
    assert network.projections[0].synapses.weights.tolist() == [1, 1, 1, 1]
    assert (out.first_step, network.outputs[0].decoding) == (3, "last_message")
    shorter = from_netx(path, encode_input=False)
    assert [p.first_step for p in shorter.populations] == [1, 2]
    assert shorter.inputs[0].graded
    assert "input layer left out" in shorter.ledger[0].what


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (layer("convT", (2,)), r"layer 1 has type 'convT'; supported: .*dense_rec"),
        (dense(2, 3, NEURON | {"type": "ADRF_PHASE"}), r"layer 1 \(dense\) has neurons of type 'ADRF_PHASE'"),
        (dense(2, 3, RF), r"layer 1 \(dense\) has resonate-and-fire neurons but no complex weights"),
        (dense(2, 3, RF, bias=np.array([1.0, 0.0])), r"layer 1 \(dense\): neurons of type RF_PHASE have a bias"),
        (dense(2, 3, SDNN | {"activation": "tanh"}), r"layer 1 \(dense\): activation is 'tanh', only relu"),
        (dense(2, 3, NEURON | {"gradedSpike": True}), r"layer 1 \(dense\): gradedSpike is True"),
        (dense(2, 3, NEURON | {"wgtExp": 2}), r"layer 1 \(dense\): wgtExp is 2"),
        (dense(2, 3, delay=np.array([70.0, 0.0])), r"layer 1 \(dense\) has a delay of 70 steps, the limit is 62"),
        (dense(2, 3, bias=np.array([0.5, 1.0])), r"layer 1 \(dense\): bias holds numbers that are not whole"),
        (dense(2, 3, bias=np.array([1.0, 2.0, 3.0])), r"layer 1 \(dense\): 3 biases for neurons of shape \(2,\)"),
        (layer("dense", (2,), NEURON), r"layer 1 \(dense\) has no weight"),
    ],
)
def test_what_a_network_cannot_hold_is_refused_with_its_layer(tmp_path, bad, message):
    with pytest.raises(NetworkError, match=message):
        from_netx(write(tmp_path / "a.net", dense(3, 4), bad))


def test_a_file_of_which_only_the_input_is_read_is_refused(tmp_path):
    path = write(tmp_path / "a.net", layer("input", (3,)), dense(2, 3))
    assert [p.name for p in from_netx(path).populations] == ["layer1_dense"]
    with pytest.raises(NetworkError, match=r"a\.net has no layer with neurons among those that are read"):
        from_netx(path, n_layers=1)


def test_missing_damaged_and_foreign_files_say_so(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        from_netx(tmp_path / "gone.net")
    (tmp_path / "text.net").write_text("hello")
    with pytest.raises(FileError, match="damaged or no .net file"):
        from_netx(tmp_path / "text.net")
    with h5py.File(tmp_path / "other.net", "w") as file:
        file["x"] = 1
    with pytest.raises(FileError, match="no numbered layers"):
        from_netx(tmp_path / "other.net")


def conv_first(path, *, stride=2):
    weight = (np.arange(8 * 2 * 9) % 5 * 2).reshape(8, 2, 3, 3, 1).astype(np.float32)
    geometry = {"stride": [stride] * 2, "padding": [1, 1], "dilation": [1, 1], "kernelSize": [3, 3], "groups": 2}
    first = layer("conv", (8, 4, 4), NEURON, weight=weight, inChannels=4, outChannels=8, **geometry)
    return write(path, first, layer("flatten", (128, 1, 1)), dense(1, 128))


def test_convolution_that_comes_first_asks_for_the_shape_and_offers_those_that_fit(tmp_path):
    """4 outputs with stride 2, kernel 3 and padding 1 come from 7 or 8 pixels."""
    message = (
        r"say it with --input-shape \(in Python input_shape=\): 4,7,7 is the smallest that fits, 4,8,8 the largest"
    )
    with pytest.raises(NetworkError, match=message):
        from_netx(conv_first(tmp_path / "a.net"))
    with pytest.raises(NetworkError, match=r"4,4,4 is the smallest that fits$"):
        from_netx(conv_first(tmp_path / "b.net", stride=1))


def test_input_shape_of_a_convolution_is_taken_from_the_caller(tmp_path):
    network = from_netx(conv_first(tmp_path / "a.net"), input_shape=(4, 8, 8))
    assert network.inputs[0].shape == (4, 8, 8)
    assert network.projections[0].synapses.output_shape == (8, 4, 4)


@pytest.mark.parametrize("shape", [(4, 9, 8), (3, 8, 8), (256,)])
def test_input_shape_that_gives_another_output_is_refused(tmp_path, shape):
    with pytest.raises(NetworkError, match=r"does not give layer 0 \(conv\) its shape \(8, 4, 4\)"):
        from_netx(conv_first(tmp_path / "a.net"), input_shape=shape)


def test_input_shape_beside_an_input_layer_of_another_size_is_refused(tmp_path):
    path = write(tmp_path / "a.net", layer("input", (4, 1, 1)), dense(3, 4))
    with pytest.raises(NetworkError, match=r"input_shape is \(5,\), but layer 0 \(input\) takes \(4, 1, 1\)"):
        from_netx(path, input_shape=(5,))
    assert from_netx(path, input_shape=(4,)).inputs[0].shape == (4, 1, 1)


@pytest.mark.parametrize("kind", ["dense_rec", "recurrent"])
def test_a_recurrent_layer_has_a_projection_onto_itself(kind, tmp_path):
    own = (np.arange(9) - 4).reshape(3, 3).astype(np.float32)
    path = write(tmp_path / "a.net", dense(3, 4, kind=kind, weight_rec=own))
    _, back = from_netx(path).projections
    assert (back.source, back.target, back.delay) == ("layer0_dense_rec", "layer0_dense_rec", 0)
    assert back.synapses.weights.tolist() == own.tolist()


def test_a_recurrent_layer_without_its_weights_is_refused(tmp_path):
    with pytest.raises(NetworkError, match=r"layer 0 \(dense_rec\) has no weight_rec"):
        from_netx(write(tmp_path / "a.net", dense(3, 4, kind="recurrent")))


@pytest.mark.parametrize("value", [65537, -300, 2**40])
def test_weights_that_no_synapse_holds_are_refused_and_do_not_wrap(value, tmp_path):
    given = dense(3, 4)
    given["weight"] = np.where(given["weight"] == given["weight"].max(), float(value), given["weight"])
    with pytest.raises(
        NetworkError, match=rf"weight (is|holds) {value}(\.0)?, (outside -256\.\.255|which does not fit)"
    ):
        from_netx(write(tmp_path / "a.net", given))


def test_a_text_in_other_letters_is_named(tmp_path):
    path = write(tmp_path / "a.net", layer("input", (4,)), dense(3, 4, NEURON | {"type": np.array([b"CUB\xf3"])}))
    with pytest.raises(NetworkError, match="neurons of type 'CUB\N{REPLACEMENT CHARACTER}'; supported"):
        from_netx(path)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"shape": np.array([0])}, "layer1_dense"),
        ({"delay": np.array([])}, r"layer 1 \(dense\): a field is missing or of the wrong shape \(.+\); export"),
        ({"delay": np.array([1.0, 2.0])}, r"layer 1 \(dense\): a field is missing or of the wrong shape"),
        ({"weight": np.float32(3)}, "layer 1"),
        ({"neuron": {"type": "CUBA", "iDecay": np.arange(5), "vDecay": 1, "vThMant": 1}}, "layer"),
    ],
)
def test_fields_that_do_not_fit_are_one_line_with_the_layer(tmp_path, fields, told):
    path = write(tmp_path / "a.net", layer("input", (4,)), dense(3, 4) | fields, dense(2, 3))
    with pytest.raises(NetworkError, match=told) as caught:
        from_netx(path)
    assert "\n" not in str(caught.value)


def test_groups_and_features_are_one_whole_number(tmp_path):
    for given, told in (
        (1.5, "numbers that are not whole"),
        (np.array([1, 2]), "inFeatures is 2 numbers, expected one"),
    ):
        path = write(tmp_path / "a.net", dense(3, 4) | {"inFeatures": given})
        with pytest.raises(NetworkError, match=told):
            from_netx(path)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_whole_numbers_in_floats_of_any_width_are_read_without_a_warning(kind):
    """The limits of 32 bits lie beyond half precision, in which they would be infinite."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert whole_numbers(np.array([3, -2048], kind), "here").tolist() == [3, -2048]
        with pytest.raises(NetworkError, match="here holds -inf, which does not fit 32 bits"):
            whole_numbers(np.array([-np.inf], kind), "here")
