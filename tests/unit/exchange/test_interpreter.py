"""interpret: a NIR graph taken literally in floats, against closed forms and against the integer simulator."""

import dataclasses

import nir
import numpy as np
import pytest
from building import connect, samples, wired

from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba
from neurodeploy.network.activity import Events, Samples


def chain(*named, edges=None):
    """A graph of the given nodes one after the other, from an Input to an Output of size 1."""
    nodes = {"input": nir.Input(np.array([1])), **dict(named), "output": nir.Output(np.array([1]))}
    names = list(nodes)
    return nir.NIRGraph(nodes, edges or list(zip(names, names[1:])), type_check=False)


def one(value):
    return np.array([float(value)])


def test_current_and_voltage_follow_the_closed_form():
    """Decays 1/4 and 1/8, unit gains: after a 1 in step 0, I = 0.75**t and v is their convolution."""
    neuron = nir.CubaLI(tau_syn=one(4), w_in=one(4), tau_mem=one(8), r=one(8), v_leak=one(0))
    run = interpret(chain(("w", nir.Linear(one(1)[None])), ("li", neuron)), {"input": [[[1], [0], [0]]]})
    expected = [1.0, 0.75 + 0.875, 0.75**2 + 0.875 * 0.75 + 0.875**2]
    assert run.voltages["li"][0, :, 0] == pytest.approx(expected)
    assert run.dt == 1


@pytest.mark.parametrize(("reset", "expected"), [("zero", [0, 1, 0, 1]), ("subtract", [0, 1, 1, 0])])
def test_reset_to_zero_and_by_subtraction_differ(reset, expected):
    """Integrate 0.6 a step with threshold 1 (IF, r = 1): 0.6, 1.2 > 1, then 0 or 0.2 is left."""
    neuron = nir.IF(r=one(1), v_threshold=one(1))
    graph = chain(("w", nir.Linear(one(0.6)[None])), ("if", neuron))
    run = interpret(graph, {"input": np.ones((1, 4, 1)) * [[[1], [1], [1.5], [1]]]}, dt=1.0, reset=reset)
    assert run.spikes["if"][0, :, 0].tolist() == [bool(e) for e in expected]


def test_delay_holds_a_signal_for_its_steps():
    neuron = nir.CubaLI(tau_syn=one(1), w_in=one(1), tau_mem=one(1), r=one(1), v_leak=one(0))
    graph = chain(("wait", nir.Delay(one(2.0))), ("w", nir.Linear(one(3)[None])), ("li", neuron))
    run = interpret(graph, {"input": [[[1], [0], [0], [0]]]}, dt=1.0)
    assert run.voltages["li"][0, :, 0].tolist() == [0, 0, 3, 0]


def test_bias_of_a_node_with_two_sources_counts_once():
    neuron = nir.LIF(tau=one(1), r=one(1), v_leak=one(0), v_threshold=one(10))
    nodes = {
        "a": nir.Input(np.array([1])),
        "b": nir.Input(np.array([1])),
        "w": nir.Affine(one(2)[None], one(5)),
        "lif": neuron,
        "output": nir.Output(np.array([1])),
    }
    graph = nir.NIRGraph(nodes, [("a", "w"), ("b", "w"), ("w", "lif"), ("lif", "output")], type_check=False)
    run = interpret(graph, {"a": [[[1]]], "b": [[[1]]]}, dt=1.0)
    assert run.voltages["lif"][0, 0, 0] == 9
    assert from_nir(graph, dt=1.0).populations[0].model.bias == 5 * 4096


def test_recurrent_connection_takes_one_step():
    neuron = nir.CubaLIF(tau_syn=one(1), w_in=one(1), tau_mem=one(1), r=one(1), v_leak=one(0), v_threshold=one(0.5))
    nodes = {
        "input": nir.Input(np.array([1])),
        "w": nir.Linear(one(1)[None]),
        "lif": neuron,
        "w_rec": nir.Linear(one(1)[None]),
        "output": nir.Output(np.array([1])),
    }
    edges = [("input", "w"), ("w", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    run = interpret(nir.NIRGraph(nodes, edges), {"input": [[[0], [1], [0], [0]]]}, dt=1.0)
    assert run.spikes["lif"][0, :, 0].tolist() == [False, True, True, True]


def test_inputs_that_do_not_fit_are_refused():
    graph = chain(("w", nir.Linear(one(1)[None])), ("if", nir.IF(r=one(1), v_threshold=one(1))))
    with pytest.raises(NirError, match=r"inputs are given for \['x'\], the graph has \['input'\]"):
        interpret(graph, {"x": np.zeros((1, 1, 1))}, dt=1.0)
    with pytest.raises(NirError, match=r"input 'input' has shape \(1, 1, 2\)"):
        interpret(graph, {"input": np.zeros((1, 1, 2))}, dt=1.0)


@pytest.mark.parametrize("seed", range(4))
def test_float_spikes_agree_with_integers_where_states_stay_whole(seed):
    """With decays 0 and 4096 nothing is rounded, so floats and the chip's integers must give the same spikes."""
    rng = np.random.default_rng(seed)
    n = [6, 8, 5]
    populations = {}
    for d in (1, 2):
        decay, bias = rng.choice([0, 4096], n[d]), rng.integers(0, 99, n[d])
        model = Cuba(current_decay=4096, voltage_decay=decay, threshold=40 * d, bias=bias)
        populations[f"p{d}"] = (n[d], model, d)
    pairs = [("in", "p1", 6, 8), ("p1", "p2", 8, 5), ("p1", "p1", 8, 8)]
    projections = [connect(a, b, rng.integers(-90, 99, (m, k)), delay=rng.integers(0, 4, k)) for a, b, k, m in pairs]
    network = wired({"in": 6}, populations, projections)
    raster = rng.random((3, 50, 6)) < 0.3
    floats = interpret(to_nir(network), {"in": raster})
    whole = run_reference(network, samples(raster))
    for population, node in zip(network.populations, ("p1.lif", "p2")):
        ours = whole.spikes[population.name].to_dense()[:, population.first_step :][:, :50]
        assert ours.sum() > 30
        assert np.array_equal(ours, floats.spikes[node][:, : ours.shape[1]])


def graded(seed, scale, resets=("subtract", "zero", "subtract")):
    """Three populations behind signed payloads and spikes; with decays of 0 and 4096 nothing is rounded."""
    rng = np.random.default_rng(seed)
    populations = {}
    for depth, reset in enumerate(resets, start=1):
        decay, bias = rng.choice([0, 4096], 7), rng.integers(0, 99, 7)
        model = Cuba(current_decay=4096, voltage_decay=decay, threshold=300, bias=bias, reset=reset)
        populations[f"p{depth}"] = (7, model, depth)
    pairs = [("pixels", "p1", 5), ("spikes", "p1", 4), ("p1", "p2", 7), ("p2", "p3", 7), ("p2", "p2", 7)]
    projections = [connect(a, b, rng.integers(-90, 130, (7, n)), delay=rng.integers(0, 4, n)) for a, b, n in pairs]
    projections.append(connect("pixels", "p2", rng.integers(-9, 20, (7, 5)), delay=1, weight_exponent=1))
    network = wired({"pixels": 5, "spikes": 4}, populations, projections)
    pixels = dataclasses.replace(network.inputs[0], payload_bits=5, signed=True, scale=scale)
    return dataclasses.replace(network, inputs=(pixels, network.inputs[1]))


def given_to(seed):
    rng = np.random.default_rng(seed)
    payloads = rng.integers(-16, 16, (3, 50, 5)) * (rng.random((3, 50, 5)) < 0.4)
    raster = rng.random((3, 50, 4)) < 0.3
    return {"pixels": Events.from_dense(payloads, graded=True), "spikes": Events.from_dense(raster)}


def same_spikes(network, run, given):
    """The number of spikes of all populations, which are those of the integers on the clock of the floats."""
    whole, total = run_reference(network, Samples(inputs=given)), 0
    for population in network.populations:
        node = population.name if population.name in run.spikes else f"{population.name}.lif"
        ours = whole.spikes[population.name].to_dense()[:, population.first_step :][:, :50]
        assert np.array_equal(ours, run.spikes[node][:, : ours.shape[1]])
        total += ours.sum()
    return total


@pytest.mark.parametrize("scale", [1.0, 0.125, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_float_spikes_agree_with_integers_under_recorded_resets_and_payloads(seed, scale, tmp_path):
    """All numbers are sums of powers of two, so floats are exact: what is read as events, or as values, gives the spikes."""
    network, given = graded(seed, scale), given_to(seed)
    to_nir(network, tmp_path / "a.nir")
    assert same_spikes(network, interpret(tmp_path / "a.nir", given), given) > 300
    values = {"pixels": given["pixels"].to_dense() * scale, "spikes": given["spikes"].to_dense()}
    assert same_spikes(network, interpret(tmp_path / "a.nir", values), given) > 300


def test_recorded_reset_and_scale_make_a_difference_to_the_floats(tmp_path):
    network, given = graded(0, 0.125), given_to(0)
    to_nir(network, tmp_path / "a.nir")
    to_nir(graded(0, 0.125, ("zero", "zero", "zero")), tmp_path / "zero.nir")
    one, other = (interpret(tmp_path / name, given).spikes for name in ("a.nir", "zero.nir"))
    assert np.any(one["p1"] != other["p1"])
    payloads_as_values = {name: events.to_dense() for name, events in given.items()}
    assert np.any(interpret(tmp_path / "a.nir", payloads_as_values).spikes["p1"] != one["p1"])


def test_reset_other_than_the_recorded_one_is_refused(tmp_path):
    to_nir(graded(0, 1.0), tmp_path / "a.nir")
    with pytest.raises(NirError, match="node 'p1' was written with reset 'subtract', but is read with reset='zero'"):
        interpret(tmp_path / "a.nir", given_to(0), reset="zero")
