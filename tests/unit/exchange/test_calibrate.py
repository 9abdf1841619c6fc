"""from_nir(data=...): the scale of a population is chosen on data, and every approximation is measured on it."""

import dataclasses

import nir
import numpy as np
import pytest
from building import one_layer
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.commands import export
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import DataError, NirError, UsageError
from neurodeploy.exchange.nir import calibrate
from neurodeploy.exchange.nir.calibrate import float_run, integer_run, observe, trial_of, with_payloads
from neurodeploy.exchange.nir.graph import load_graph
from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.neurons import float_neuron
from neurodeploy.exchange.nir.prepare import prepared, with_reset
from neurodeploy.exchange.nir.read import Choices, connections_into, from_nir
from neurodeploy.exchange.nir.repair import repaired
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, difference
from neurodeploy.network.activity import Events, Samples, save_samples
from neurodeploy.proofs.floats import beside_floats

N_IN, N_HIDDEN, N_OUT = 10, 14, 5


def lif(n, decay=1024, threshold=1.0):
    """CubaLIF in steps of 1 ms with a current decay of 2048 and unit gains."""
    fields = {"tau_syn": 2.0, "w_in": 2.0, "tau_mem": 4096 / decay, "r": 4096 / decay, "v_threshold": threshold}
    scaled = {k: np.full(n, v * (1e-3 if k.startswith("tau") else 1)) for k, v in fields.items()}
    return nir.CubaLIF(**scaled, v_leak=np.zeros(n))


def floats(seed=0, *, outliers=True, bias=0.1):
    """A recurrent layer and one after it with random floats; one recurrent weight a neuron is far larger than the rest."""
    rng = np.random.default_rng(seed)
    recurrent = rng.normal(0, 0.05, (N_HIDDEN, N_HIDDEN))
    if outliers:
        recurrent[np.arange(N_HIDDEN), (np.arange(N_HIDDEN) + 1) % N_HIDDEN] = -20.0
    nodes = {
        "input": nir.Input(np.array([N_IN])),
        "w": nir.Affine(rng.normal(0.1, 0.4, (N_HIDDEN, N_IN)), rng.normal(0, bias, N_HIDDEN)),
        "lif": lif(N_HIDDEN),
        "w_rec": nir.Linear(recurrent),
        "w_out": nir.Linear(rng.normal(0.1, 0.4, (N_OUT, N_HIDDEN))),
        "out": lif(N_OUT, decay=700, threshold=1.37),
        "output": nir.Output(np.array([N_OUT])),
    }
    edges = [("input", "w"), ("w", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "w_out"), ("w_out", "out")]
    return nir.NIRGraph(nodes, [*edges, ("out", "output")])


def samples(seed=1, n=6, name="noise", size=N_IN, n_steps=40):
    raster = np.random.default_rng(seed).random((n, n_steps, size)) < 0.3
    return Samples(inputs={"x": Events.from_dense(raster)}, name=name)


def pixels(seed=1, *, most=255, low=0, n=6, size=N_IN, n_steps=40):
    """Samples whose events carry payloads from ``low`` to ``most``, both of which occur."""
    rng = np.random.default_rng(seed)
    payloads = rng.integers(low, most + 1, (n, n_steps, size)) * (rng.random((n, n_steps, size)) < 0.4)
    payloads[0, 0, :2] = low, most
    return Samples(inputs={"x": Events.from_dense(payloads, graded=True)}, name="pixels")


def differing(graph, network, data, *, reset=None):
    """Neuron steps in which the spikes of the whole network differ from those of the floats."""
    raster = data.inputs["x"].to_dense() * network.inputs[0].scale
    theirs = interpret(graph, {"input": raster}, reset=reset).spikes
    ours = run_reference(network, Samples(inputs={"input": data.inputs["x"]})).spikes
    total = 0
    for p in network.populations:
        own = ours[p.name].to_dense()[:, p.first_step :][:, : raster.shape[1]]
        total += np.count_nonzero(own != theirs[p.name][:, : own.shape[1]])
    return total


@pytest.mark.parametrize(("bits", "most"), [(8, 0.85), (5, 0.6)])
def test_chosen_scale_leaves_fewer_spikes_that_differ_on_other_data(bits, most):
    graph, unseen = floats(bias=0), samples(seed=99, n=20)
    without = differing(graph, from_nir(graph, weight_bits=bits), unseen)
    network = from_nir(graph, weight_bits=bits, data=samples())
    assert 0 < differing(graph, network, unseen) < most * without
    assert len({p.weight_exponent for p in network.into("lif")}) == 2


def test_ledger_says_which_scale_by_what_criterion_and_the_measured_size_of_each_approximation():
    network = from_nir(floats(), data=samples())
    chosen = [e for e in network.ledger if "scale chosen on noise (6 samples of 40 steps)" in e.what]
    assert [e.where for e in chosen] == ["lif", "out"]
    assert "weight units to one NIR unit, of" in chosen[0].what
    assert "neuron steps (" in chosen[0].size
    assert "with the largest weight at the end)" in chosen[0].size
    rest = [e for e in network.ledger if e not in chosen]
    assert {e.what.split(" rounded")[0].split()[-1] for e in rest} >= {"weights", "threshold"}
    assert all("; on the data, by this alone, the spike differs in" in e.size for e in rest)


def test_same_data_give_the_same_network():
    assert difference(from_nir(floats(), data=samples()), from_nir(floats(), data=samples())) is None


def test_weights_on_the_grid_are_not_touched_by_data():
    graph = floats(bias=0)
    for name in ("w", "w_rec", "w_out"):
        graph.nodes[name].weight = np.rint(graph.nodes[name].weight * 8) / 8
    graph.nodes["w_rec"].weight[0, 1] = 0
    graph.nodes["out"].v_threshold[:] = 1.25
    network = from_nir(graph, data=samples())
    assert difference(network, from_nir(graph)) is None
    assert not any("chosen" in e.what for e in network.ledger)


def test_many_samples_are_thinned_out_evenly_and_the_ledger_says_so(monkeypatch):
    monkeypatch.setattr(calibrate, "MAX_STATES", 3 * 40 * (N_IN + N_HIDDEN + N_OUT))
    entries = [e.what for e in from_nir(floats(), data=samples(n=50)).ledger]
    assert any("noise (3 of 50 samples of 40 steps)" in what for what in entries)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (samples(size=N_IN + 1), r"data hold the inputs 'x' of 11, but the graph has 'input' of 10; give data"),
        (samples(n=0), r"0 samples of 40 steps; give at least one"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        from_nir(floats(), data=data)


def trials(graph, data, dt=1e-3, reset="zero"):
    flat, _ = repaired(load_graph(graph))
    flat = with_payloads(with_reset(flat, reset), data)
    ready, choices = prepared(flat), Choices(dt=dt)
    witness = observe(flat, data, dt, "euler")
    for name in witness.voltages:
        own = list(connections_into(ready, name, choices))
        lags = [c.delay + (1 if c.source == name else 0) for c in own]
        neuron = float_neuron(ready.nodes[name], dt, "euler")
        yield trial_of(witness, name, own, lags, neuron, neuron)


def windows():
    """A convolution with a bias, a pooling with delays, and a matrix."""
    rng = np.random.default_rng(4)
    conv = nir.Conv2d((6, 5), rng.normal(0, 0.6, (2, 1, 3, 3)), 1, 1, 1, 1, rng.normal(0, 0.2, 2))
    cuba = lif(60)
    shaped = {
        k: getattr(cuba, k).reshape(2, 6, 5) for k in ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "w_in")
    }
    nodes = {
        "input": nir.Input(np.array([1, 6, 5])),
        "conv": conv,
        "lif": nir.CubaLIF(**shaped),
        "delay": nir.Delay(rng.integers(0, 4, (2, 6, 5)) * 1e-3),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flatten": nir.Flatten({"input": np.array([2, 3, 2])}, 0, 2),
        "w": nir.Linear(rng.normal(0, 0.3, (4, 12))),
        "li": nir.LI(tau=np.full(4, 4e-3), r=np.full(4, 4.0), v_leak=np.zeros(4)),
        "output": nir.Output(np.array([4])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(zip(names, names[1:])), type_check=False)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("given", [samples, lambda size: pixels(size=size, most=3, low=-2)])
@pytest.mark.parametrize(("graph", "size"), [(floats(), N_IN), (windows(), 30)])
def test_population_fed_with_the_floats_spikes_does_what_the_interpreter_did(graph, size, given, reset):
    for trial in trials(graph, given(size=size), reset=reset):
        spikes, voltages = float_run(trial.neuron, trial.arriving + trial.constant)
        assert np.array_equal(spikes, trial.scored)
        assert voltages == pytest.approx(trial.witness.voltages[trial.where], abs=1e-9)
        assert np.abs(voltages).max() > 0.1


def test_scale_of_convolution_and_read_out_is_chosen_too():
    network = from_nir(windows(), data=samples(size=30), weight_bits=4)
    sizes = {e.where: e.size for e in network.ledger if "chosen" in e.what}
    assert "neuron steps" in sizes["lif"]
    assert sizes["li"].startswith("fed with the floats' spikes, the voltage by")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_integer_run_is_the_reference_simulator(data):
    """One population, any decays, thresholds, biases and weights below the limit of 24 bits."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = data.draw(st.integers(1, 4))
    levels = {
        "current_decay": rng.integers(300, 4097, n),
        "voltage_decay": rng.integers(300, 4097, n),
        "threshold": rng.integers(0, 900, n),
        "bias": rng.integers(-9999, 9999, n),
    }
    weights = rng.integers(-256, 256, (n, 3))
    reset = data.draw(st.sampled_from(["zero", "subtract"]))
    network = one_layer(weights, Cuba(**levels, reset=reset), target="p")
    raster = rng.random((2, 30, 3)) < 0.4
    expected = run_reference(network, Samples(inputs={"in": Events.from_dense(raster)})).spikes["p"].to_dense()[:, 1:]
    arriving = raster @ weights.T.astype(float)
    spikes, _, near = integer_run({k: v.astype(float) for k, v in levels.items()}, arriving, reset)
    assert not near
    assert np.array_equal(spikes, expected)


def test_export_writes_integers_chosen_on_data_and_holds_them_against_the_floats(tmp_path):
    nir.write(tmp_path / "float.nir", floats())
    given = samples(n=5)
    labelled = Samples(inputs=given.inputs, labels=np.zeros(5, np.int32), name="noise")
    save_samples(labelled, tmp_path / "data.npz")
    done = []
    result = export(
        tmp_path / "float.nir",
        out=tmp_path / "whole.nir",
        data=tmp_path / "data.npz",
        progress=lambda n, of: done.append((n, of)),
    )
    network = from_nir(tmp_path / "whole.nir")
    assert difference(network, from_nir(tmp_path / "float.nir", data=labelled)) is None
    assert network.ledger == ()
    beside = result["beside_floats"]
    raster = given.inputs["x"].to_dense()
    theirs = np.argmax(interpret(tmp_path / "float.nir", {"input": raster}).spikes["out"].sum(axis=1), axis=1)
    assert beside["accuracy_floats"] == np.mean(theirs == 0)
    steps = {"lif": 5 * 40 * N_HIDDEN, "out": 5 * 40 * N_OUT}
    assert beside["neuron_steps"] == steps
    total = sum(share * steps[name] for name, share in beside["differing"].items())
    assert round(total) == differing(floats(), network, given)
    assert done == [(5, 5)]
    assert any("scale chosen on noise" in entry["what"] for entry in result["ledger"])


def test_data_for_a_net_file_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"a.net holds integers and its own step; --data and --dt are for NIR files"):
        export(tmp_path / "a.net", data=tmp_path / "data.npz", out=tmp_path / "b.nir")


def one_float_layer(most=1.0, seed=0):
    """One layer without a loop for values of 0 to ``most``."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0.1, 0.5, (N_HIDDEN, N_IN)) / most
    nodes = {
        "input": nir.Input(np.array([N_IN])),
        "w": nir.Linear(weights),
        "lif": lif(N_HIDDEN),
        "output": nir.Output(np.array([N_HIDDEN])),
    }
    return nir.NIRGraph(nodes, [("input", "w"), ("w", "lif"), ("lif", "output")])


def measured(network):
    """The number of differing neuron steps that the ledger gives for the population of the one layer."""
    size = next(e.size for e in network.ledger if "scale chosen" in e.what)
    return int(size.split("differs in ")[1].split()[0])


class TestPayloads:
    @pytest.mark.parametrize(
        ("low", "most", "bits", "signed"),
        [
            (0, 2, 2, False),
            (0, 255, 8, False),
            (0, 256, 9, False),
            (-1, 1, 2, True),
            (-128, 100, 8, True),
            (-129, 3, 9, True),
        ],
    )
    def test_make_the_input_a_graded_one_with_the_fewest_bits_that_hold_them(self, low, most, bits, signed):
        network = from_nir(one_float_layer(max(most, -low)), data=pixels(low=low, most=most))
        given = network.inputs[0]
        assert (given.payload_bits, given.signed, given.scale) == (bits, signed, 1.0)
        said = next(e.what for e in network.ledger if e.where == "input")
        assert said.startswith(f"graded input: payloads of {bits} bits")

    def test_that_are_all_1_are_plain_spikes(self):
        graded, plain = pixels(most=1), samples()
        same = Samples(inputs={"x": Events.from_dense(graded.inputs["x"].to_dense())}, name="pixels")
        assert graded.inputs["x"].payload is not None
        assert difference(from_nir(one_float_layer(), data=graded), from_nir(one_float_layer(), data=same)) is None
        assert not from_nir(one_float_layer(), data=plain).inputs[0].graded

    @pytest.mark.parametrize("reset", ["zero", "subtract"])
    @pytest.mark.parametrize("most", [7, 255, 4095, 65535])
    def test_count_in_the_choice_of_the_scale_and_in_what_the_ledger_measures(self, most, reset):
        """One layer without a loop: what the ledger says of it alone is what the whole network does, spike by spike."""
        graph, data = one_float_layer(most), pixels(most=most)
        network = from_nir(graph, data=data, reset=reset)
        assert network.populations[0].model.reset == reset
        assert network.projections[0].weight_exponent < 0
        assert measured(network) == differing(graph, network, data, reset=reset)
        assert differing(graph, network, pixels(most=most, seed=9, n=20), reset=reset) < 0.06 * 20 * 40 * N_HIDDEN

    def test_use_the_whole_grid_beside_spikes_of_a_loop(self):
        graph = floats(bias=0, outliers=False)
        graph.nodes["w"].weight /= 255
        network = from_nir(graph, data=pixels())
        exponents = {p.name: p.weight_exponent for p in network.into("lif")}
        assert exponents["w"] < 0 <= exponents["w_rec"]
        assert all(np.abs(p.synapses.weights).max() > 127 for p in network.into("lif"))

    def test_with_a_scale_are_values_of_a_graph_that_was_trained_on_them(self):
        graph, data = one_float_layer(), pixels()
        network = from_nir(graph, data=data, payload_scale=1 / 255)
        assert network.inputs[0].scale == 1 / 255
        assert measured(network) == differing(graph, network, data)
        alike = from_nir(one_float_layer(255.0), data=data)
        assert np.array_equal(alike.projections[0].synapses.weights, network.projections[0].synapses.weights)
        assert difference(from_nir(to_nir(network)), network) is None

    def test_on_the_grid_leave_the_weights_as_they_are(self):
        graph = one_float_layer()
        graph.nodes["w"].weight = np.rint(graph.nodes["w"].weight * 8) / 8
        network = from_nir(graph, data=pixels(most=3))
        assert np.array_equal(network.projections[0].synapses.weights, graph.nodes["w"].weight * 64)
        assert network.inputs[0].payload_bits == 2

    def test_that_a_recorded_input_does_not_take_are_refused(self, tmp_path):
        to_nir(from_nir(one_float_layer(), data=pixels(most=15)), tmp_path / "a.nir")
        back = from_nir(tmp_path / "a.nir", data=pixels(most=9))
        assert back.inputs[0].payload_bits == 4
        with pytest.raises(
            DataError, match=r"payloads from 0 to 16, but the file says that input 'input' takes 1\.\.15"
        ):
            from_nir(tmp_path / "a.nir", data=pixels(most=16))
        with pytest.raises(DataError, match=r"payloads from -1 to 9, but the file says"):
            from_nir(tmp_path / "a.nir", data=pixels(most=9, low=-1))
        with pytest.raises(
            NirError, match=r"payload_scale is 0\.5, but the file says that a payload of 1 at input 'input' stands"
        ):
            from_nir(tmp_path / "a.nir", data=pixels(most=9), payload_scale=0.5)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"payload_scale": 0.5}, r"payload_scale is 0\.5, but there is no data whose payloads"),
            (
                {"payload_scale": 0.5, "data": samples()},
                r"payload_scale is 0\.5, but no event of the data has a payload",
            ),
            ({"payload_scale": -1.0, "data": pixels()}, r"payload_scale: .*scale is -1\.0, must be a positive number"),
        ],
    )
    def test_scale_without_a_meaning_is_refused(self, options, message):
        with pytest.raises(NirError, match=message):
            from_nir(one_float_layer(), **options)

    @pytest.mark.parametrize(
        ("options", "reset"), [({"payload_scale": 1 / 255}, None), ({"reset": "subtract"}, "subtract"), ({}, None)]
    )
    def test_and_resets_hold_where_the_integers_are_held_against_the_floats(self, tmp_path, options, reset):
        graph, data = one_float_layer(1.0 if "payload_scale" in options else 255.0), pixels()
        nir.write(tmp_path / "float.nir", graph)
        network = from_nir(tmp_path / "float.nir", data=data, **options)
        beside = beside_floats(tmp_path / "float.nir", network, data)
        assert round(beside["differing"]["lif"] * 6 * 40 * N_HIDDEN) == differing(graph, network, data, reset=reset)
        assert beside["differing"]["lif"] < 0.03

    def test_of_a_file_of_our_own_hold_there_too(self, tmp_path):
        """Decays of 4096 and numbers that are powers of two: nothing differs, with a reset that the file records."""
        weights = np.random.default_rng(2).integers(-60, 99, (5, N_IN))
        model = Cuba(current_decay=4096, voltage_decay=0, threshold=700, reset="subtract")
        network = one_layer(weights, model, source="x", graded=8)
        network = dataclasses.replace(network, inputs=(dataclasses.replace(network.inputs[0], scale=0.25),))
        to_nir(network, tmp_path / "a.nir")
        data = pixels(most=200)
        assert beside_floats(tmp_path / "a.nir", network, data)["differing"] == {"out": 0.0}
        other = dataclasses.replace(
            network,
            populations=[dataclasses.replace(network.populations[0], model=dataclasses.replace(model, reset="zero"))],
        )
        assert beside_floats(tmp_path / "a.nir", other, data)["differing"]["out"] > 0.01
