"""to_netx: a chain becomes a lava-dl .net file with the same integers, and Lava's own loader takes it."""

import dataclasses

import numpy as np
import pytest
from building import chain, connect, samples

from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import FileError, NetworkError
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.exchange.netx.write import to_netx
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    LeakyIntegrator,
    Pool,
    Projection,
    difference,
)


def even(rng, *shape):
    return rng.integers(-60, 100, shape) * 2


def layered(seed=0, *, pool=True, recurrent=True):
    """Convolution, pooling, two dense layers (one recurrent, with delays and per-neuron decays), biases."""
    rng = np.random.default_rng(seed)
    conv = Conv(weights=even(rng, 4, 1, 3, 2), input_shape=(2, 8, 7), stride=(2, 1), padding=(1, 0), groups=2)
    cuba = Cuba(current_decay=1024, voltage_decay=128, threshold=80)
    per_channel = np.broadcast_to(np.array([64, -128, 0, 640])[:, None, None], conv.output_shape)
    layers, models, more = {"c": conv}, {"c": dataclasses.replace(cuba, bias=per_channel)}, {}
    size = int(np.prod(conv.output_shape))
    if pool:
        layers["p"], models["p"] = Pool(input_shape=conv.output_shape, kernel=(2, 2), stride=(2, 2), weight=40), cuba
        size = int(np.prod(layers["p"].output_shape))
    for n in (9, 5):
        models[f"d{n}"] = Cuba(current_decay=rng.integers(1, 4097, n), voltage_decay=128, threshold=90, bias=64)
        more[f"d{n}"] = {"delay": rng.integers(0, 20, size) if n == 5 else 0}
        layers[f"d{n}"] = even(rng, n, size)
        size = n
    extra = [connect("d9", "d9", even(rng, 9, 9), "rec")] if recurrent else []
    return chain(layers, models, source="i", wire="{source}>{target}", more=more, extra=extra, output="o")


def spikes(network):
    raster = np.random.default_rng(5).random((2, 40, network.inputs[0].size)) < 0.2
    given = samples(raster, network.inputs[0].name)
    activity = run_reference(network, given)
    return [activity.spikes[p.name].to_dense() for p in network.populations]


@pytest.mark.parametrize("seed", range(3))
def test_file_gives_the_same_spikes_in_every_layer(tmp_path, seed):
    network = layered(seed)
    to_netx(network, tmp_path / "a.net")
    for ours, theirs in zip(spikes(network), spikes(from_netx(tmp_path / "a.net"))):
        assert ours.sum() > 20
        assert np.array_equal(ours, theirs)


def changed(network, index, **fields):
    projections = list(network.projections)
    projections[index] = dataclasses.replace(projections[index], **fields)
    return dataclasses.replace(network, projections=projections)


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda n: changed(n, 2, synapses=Dense(weights=np.full((9, 24), 3) * np.resize([1, -1], 24))), "odd weights"),
        (lambda n: changed(n, 2, weight_exponent=3), "exponent 3; a .net file holds"),
        (lambda n: changed(n, 2, synapses=Dense(weights=np.zeros((9, 24), int))), "only zeros"),
        (lambda n: changed(n, 0, delay=2), "'i>c' delays the input"),
        (lambda n: changed(n, 3, delay=np.ones((5, 9), int)), "'d9>d5' has a delay for each synapse"),
        (
            lambda n: dataclasses.replace(
                n,
                projections=[
                    *n.projections,
                    Projection(name="s", source="c", target="d5", synapses=Dense(weights=np.ones((5, 96), int))),
                ],
            ),
            "2 projections leave 'c'",
        ),
        (
            lambda n: dataclasses.replace(
                n,
                populations=[
                    *n.populations[:-1],
                    dataclasses.replace(n.populations[-1], model=LeakyIntegrator(current_decay=1, voltage_decay=1)),
                ],
            ),
            "'d5' has no threshold",
        ),
        (
            lambda n: dataclasses.replace(
                n,
                populations=[
                    *n.populations[:-1],
                    dataclasses.replace(n.populations[-1], model=dataclasses.replace(n.populations[-1].model, bias=3)),
                ],
            ),
            "'d5' has a bias that is no multiple of 64",
        ),
    ],
)
def test_what_the_file_cannot_hold_is_refused_and_nothing_is_written(tmp_path, spoiled, message):
    with pytest.raises(NetworkError, match=message):
        to_netx(spoiled(layered()), tmp_path / "a.net")
    assert list(tmp_path.iterdir()) == []


def with_reset(network, name):
    """The network with a population that subtracts its threshold."""
    populations = [
        dataclasses.replace(p, model=dataclasses.replace(p.model, reset="subtract")) if p.name == name else p
        for p in network.populations
    ]
    return dataclasses.replace(network, populations=populations)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            with_reset(layered(), "d9"),
            r"population 'd9' resets by subtraction.*voltage to 0; write a \.nd5 or \.nir file",
        ),
        (
            dataclasses.replace(
                layered(), inputs=[dataclasses.replace(layered().inputs[0], payload_bits=8, scale=1 / 255)]
            ),
            r"input 'i' is graded; netx knows binary spikes only.*Write a \.nd5 or \.nir file",
        ),
    ],
)
def test_resets_by_subtraction_and_payloads_are_refused_with_the_way_out_and_nothing_is_written(
    tmp_path, network, message
):
    with pytest.raises(NetworkError, match=message):
        to_netx(network, tmp_path / "a.net")
    assert list(tmp_path.iterdir()) == []
    assert difference(from_nir(to_nir(network)), network) is None


def test_existing_file_is_kept_without_force(tmp_path):
    (tmp_path / "a.net").write_text("mine")
    with pytest.raises(FileError, match=r"a\.net exists"):
        to_netx(layered(), tmp_path / "a.net")
    assert (tmp_path / "a.net").read_text() == "mine"


@pytest.mark.train
def test_lava_s_own_loader_takes_the_file_with_the_same_integers(tmp_path):
    netx = pytest.importorskip("lava.lib.dl.netx", reason="needs lava-dl")
    network = layered(pool=False, recurrent=False)
    to_netx(network, tmp_path / "a.net")
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(Warning)
        loaded = netx.hdf5.Network(net_config=str(tmp_path / "a.net"))
    conv, first, second = loaded.layers
    kernel = network.projections[0].synapses.weights
    assert np.array_equal(conv.synapse.weight.init[:, ::-1, ::-1].transpose(0, 3, 2, 1), kernel)
    shifted = [np.asarray(d.synapse.weights.init) << int(d.synapse.proc_params["weight_exp"]) for d in (first, second)]
    assert np.array_equal(shifted[0], network.projections[1].synapses.weights)
    assert np.array_equal(first.neuron.du.init, network.population("d9").model.current_decay - 1)
    assert np.array_equal(np.ravel(first.neuron.bias_mant.init), np.ones(9))
