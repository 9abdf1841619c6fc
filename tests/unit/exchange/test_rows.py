"""Quantisation with a factor for each neuron, or each channel: rows of unequal range keep their bits."""

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.network import LeakyIntegrator, difference
from neurodeploy.network.activity import Events, Samples

N_IN, N = 12, 6


def neurons(shape, factor=1.0, *, bias=0.0):
    """CubaLIF with unit gains whose threshold and leak are multiplied by a factor."""
    ones = np.ones(shape)
    fields = {"tau_syn": 2e-3, "w_in": 2.0, "tau_mem": 8e-3, "r": 8.0, "v_leak": 8.0 * bias, "v_threshold": 1.37}
    own = {k: v * ones for k, v in fields.items()}
    own["v_threshold"], own["v_leak"] = own["v_threshold"] * factor, own["v_leak"] * factor
    return nir.CubaLIF(**own)


def graph(factors, *, seed=0, recurrent=True, bias=0.01, read_out=False):
    """A layer of random floats, each neuron with its weights, threshold and bias times its factor."""
    rng, factors = np.random.default_rng(seed), np.asarray(factors, float)
    weight, loop = (rng.uniform(-0.8, 0.95, (N, n)) for n in (N_IN, N))
    weight[:, 0] = 0.97  # the same largest weight in each row
    neuron = neurons(N, factors, bias=bias)
    if read_out:
        neuron = nir.LI(tau=np.full(N, 8e-3), r=np.full(N, 8.0), v_leak=np.zeros(N))
    nodes = {
        "input": nir.Input(np.array([N_IN])),
        "w": nir.Linear(factors[:, None] * weight),
        "lif": neuron,
        "output": nir.Output(np.array([N])),
    }
    edges = [("input", "w"), ("w", "lif"), ("lif", "output")]
    if recurrent and not read_out:
        nodes["loop"] = nir.Linear(factors[:, None] * (loop / 4))
        edges += [("lif", "loop"), ("loop", "lif")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def channels(factors, *, pooled=False):
    """A convolution with its channels and the thresholds of its neurons times a factor, and a pool beside it."""
    rng, factors = np.random.default_rng(0), np.asarray(factors, float)
    c = len(factors)
    weight = rng.uniform(-0.95, 0.95, (c, c, 3, 3))
    weight[:, 0, 0, 0] = 0.99
    own = neurons((c, 4, 4), factors[:, None, None])
    nodes = {
        "input": nir.Input(np.array([c, 4, 4])),
        "w": nir.Conv2d(None, factors[:, None, None, None] * weight, 1, 1, 1, 1, np.zeros(c)),
        "lif": own,
        "output": nir.Output(np.array([c, 4, 4])),
    }
    edges = [("input", "w"), ("w", "lif"), ("lif", "output")]
    if pooled:
        nodes["p"] = nir.AvgPool2d(np.array([3, 3]), np.array([1, 1]), np.array([1, 1]))
        edges += [("input", "p"), ("p", "lif")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def noise(n=3, n_steps=30):
    raster = np.random.default_rng(5).random((n, n_steps, N_IN)) < 0.3
    return Samples(inputs={"x": Events.from_dense(raster)}, name="noise")


def weights_of(network):
    return [p.synapses.weights.tolist() for p in network.projections]


powers = st.lists(st.integers(-6, 0), min_size=N - 1, max_size=N - 1).map(lambda own: [1.0, *(2.0**k for k in own)])


@settings(max_examples=25, deadline=None)
@given(powers)
def test_neurons_times_powers_of_two_have_the_weights_that_they_have_without(factors):
    """The law: weights, threshold and bias of a neuron times one number are the same neuron."""
    assert weights_of(from_nir(graph(factors))) == weights_of(from_nir(graph(np.ones(N))))


@settings(max_examples=5, deadline=None)
@given(powers)
def test_data_choose_the_same_weights_as_without_factors(factors):
    found = from_nir(graph(factors, recurrent=False), data=noise())
    assert weights_of(found) == weights_of(from_nir(graph(np.ones(N), recurrent=False), data=noise()))


def test_threshold_and_bias_take_the_factor_of_their_neuron():
    plain, other = (from_nir(graph(f)).population("lif").model for f in (np.ones(N), [1, 0.001, 1, 0.1, 1, 1]))
    assert isinstance(plain.threshold, int)
    assert np.all(other.threshold[[0, 2, 4, 5]] == plain.threshold)
    assert np.all(np.abs(other.threshold / plain.threshold - [1, 0.512, 1, 0.8, 1, 1]) < 0.01)
    assert np.all(np.abs(other.bias / plain.bias - [1, 0.512, 1, 0.8, 1, 1]) < 0.01)


def test_every_neuron_uses_at_least_half_of_the_grid():
    network = from_nir(graph([10, 1, 0.1, 0.01, 0.001, 3]))
    largest = np.abs(network.projections[0].synapses.weights).max(axis=1)
    assert largest.min() > 254 / 2 - 2
    assert largest.max() == 254


def test_neurons_more_than_half_as_large_keep_the_unit_of_all():
    network = from_nir(graph([1, 0.9, 0.8, 0.7, 0.6, 0.55]))
    assert "as many" not in str(network.ledger)
    assert np.ptp(network.projections[0].synapses.weights[:, 0]) > 100


def test_ledger_says_how_many_neurons_have_a_finer_unit():
    what = next(e.what for e in from_nir(graph([1, 0.001, 1, 0.1, 1, 1])).ledger if "weights rounded" in e.what)
    assert "weight units to one NIR unit (up to 512 times as many for 2 neurons with smaller weights)" in what


def test_read_outs_keep_their_relative_scale():
    network = from_nir(graph([1, 0.25, 1, 0.5, 1, 1], read_out=True))
    assert isinstance(network.population("lif").model, LeakyIntegrator)
    assert network.projections[0].synapses.weights[:, 0].tolist() == [254, 64, 254, 128, 254, 254]


def test_values_on_the_grid_stay_as_they_are():
    given = graph(np.ones(N), bias=0)
    for name in ("w", "loop"):
        given.nodes[name].weight = (
            np.rint(given.nodes[name].weight * 64) / 64 * np.array([1, 0.125, 1, 0.25, 1, 1])[:, None]
        )
        given.nodes[name].weight = np.rint(given.nodes[name].weight * 64) / 64
    given.nodes["lif"].v_threshold = np.full(N, 2.0)
    network = from_nir(given)
    assert network.population("lif").model.threshold == 128
    assert network.into("lif")[0].synapses.weights.tolist() == (given.nodes["w"].weight * 64).tolist()


def test_convolution_has_a_factor_for_each_channel():
    network, plain = from_nir(channels([1, 0.01, 4])), from_nir(channels([1, 1, 1]))
    kernel = network.projections[0].synapses.weights
    assert np.abs(kernel).reshape(3, -1).max(axis=1).min() > 126
    threshold = network.population("lif").model.threshold
    assert np.all(threshold == threshold[:, :1, :1])
    assert len(np.unique(threshold)) > 1
    assert weights_of(from_nir(channels([1, 0.25, 0.5]))) == weights_of(plain)


def test_pool_beside_a_convolution_leaves_one_factor_for_all():
    model = from_nir(channels([1, 0.01, 4], pooled=True)).population("lif").model
    exact = np.array([1, 0.01, 4]) * model.threshold.max() / 4
    assert np.array_equal(model.threshold[:, 0, 0], np.rint(exact).astype(int))


@pytest.mark.parametrize("bits", [3, 8])
def test_neuron_that_cannot_fire_does_not_coarsen_the_others(bits):
    """A row of tiny weights beside an ordinary threshold is limited by the threshold's range alone."""
    given = graph(np.ones(N), recurrent=False, bias=0)
    given.nodes["w"].weight[2] *= 1e-9
    network, plain = (
        from_nir(given, weight_bits=bits),
        from_nir(graph(np.ones(N), recurrent=False, bias=0), weight_bits=bits),
    )
    others = [0, 1, 3, 4, 5]
    assert np.array_equal(
        network.projections[0].synapses.weights[others], plain.projections[0].synapses.weights[others]
    )
    assert difference(network, plain) is not None
