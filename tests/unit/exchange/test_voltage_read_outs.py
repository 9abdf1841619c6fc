"""Read-outs of a NIR graph that can never fire: they are read by their voltage, and that is said."""

import nir
import numpy as np
import pytest
from building import samples

from neurodeploy import check_nir, commands, decode, from_nir, simulate, to_nir
from neurodeploy.engines.decoding import decoding_probes
from neurodeploy.errors import NirError
from neurodeploy.network import Cuba, LeakyIntegrator

RNG = np.random.default_rng(4)
W1, W2 = RNG.normal(0.4, 0.5, (8, 6)), RNG.normal(0.1, 0.5, (3, 8))
X = (RNG.random((5, 30, 6)) < 0.5).astype(np.uint8)


def lif(n, threshold, kind="LIF"):
    own = {"r": np.full(n, 1.0), "v_threshold": np.full(n, threshold), "v_reset": np.zeros(n)}
    if kind == "IF":
        return nir.IF(**own)
    return nir.LIF(tau=np.full(n, 10e-3), v_leak=np.zeros(n), **(own | {"r": np.full(n, 10.0)}))


def graph(threshold, kind="LIF", more=None, edges=()):
    nodes = {
        "input": nir.Input(np.array([6])),
        "w1": nir.Linear(W1),
        "hidden": lif(8, 1.0),
        "w2": nir.Linear(W2),
        "out": lif(3, threshold, kind),
        "output": nir.Output(np.array([3])),
        **(more or {}),
    }
    way = list(nodes)[:6]
    return nir.NIRGraph(nodes, [*zip(way, way[1:]), *edges], type_check=False)


def reach() -> float:
    """The highest voltage of any output: all excitatory hidden neurons in every step, times the ten steps it remembers."""
    return float(np.maximum(W2, 0).sum(axis=1).max() * 10)


@pytest.mark.parametrize("threshold", [np.inf, 1e9, 1.01 * reach()])
def test_a_read_out_that_can_never_fire_is_read_by_its_voltage(threshold):
    network = from_nir(graph(threshold))
    assert isinstance(network.population("out").model, LeakyIntegrator)
    assert network.outputs[0].decoding == "last_voltage"
    (entry,) = [e for e in network.ledger if e.where == "out" and "can never fire" in e.what]
    assert entry.size == "no spike differs"
    assert ("its threshold is infinite" in entry.what) == np.isinf(threshold)
    plain = graph(1.0)
    plain.nodes["out"] = nir.LI(tau=np.full(3, 10e-3), r=np.full(3, 10.0), v_leak=np.zeros(3))
    given = samples({"input": X})
    answers = [decode(n, simulate(n, given, probe=decoding_probes(n))) for n in (network, from_nir(plain))]
    assert np.array_equal(*answers)


def test_a_read_out_that_could_fire_keeps_its_spikes():
    network = from_nir(graph(0.99 * reach()))
    assert isinstance(network.population("out").model, Cuba)
    assert network.outputs[0].decoding == "count"


def test_neurons_without_leak_could_always_fire():
    assert isinstance(from_nir(graph(1e3, "IF"), dt=1e-3).population("out").model, Cuba)


def test_a_read_out_that_other_neurons_hear_keeps_its_spikes():
    more = {"w3": nir.Linear(np.ones((8, 3)))}
    network = from_nir(graph(200.0, more=more, edges=[("out", "w3"), ("w3", "hidden")]), strict=False)
    assert isinstance(network.population("out").model, Cuba)


def test_connections_onto_itself_fall_away_with_the_spikes():
    more = {"w3": nir.Linear(np.ones((3, 3)))}
    network = from_nir(graph(np.inf, more=more, edges=[("out", "w3"), ("w3", "out")]))
    assert isinstance(network.population("out").model, LeakyIntegrator)
    assert [p.name for p in network.into("out")] == ["w2"]


def test_an_infinite_threshold_inside_the_network_is_refused_by_name():
    given = graph(1.0)
    given.nodes["hidden"] = lif(8, np.inf)
    with pytest.raises(NirError, match=r"node 'hidden' \(LIF\): v_threshold holds inf, so that neurons can never fire"):
        from_nir(given)
    assert [n.name for n in check_nir(given).nodes if n.verdict == "unsupported"] == ["hidden"]


def test_check_says_so_and_export_holds_it_against_the_floats(tmp_path):
    from neurodeploy import save_samples

    nir.write(tmp_path / "net.nir", graph(1e9))
    (out,) = [n for n in check_nir(tmp_path / "net.nir").nodes if n.name == "out"]
    assert out.reason.startswith("can never fire (its voltage stays below ")
    assert "so it is read by its voltage" in out.reason
    save_samples(samples({"input": X}), tmp_path / "x.npz")
    result = commands.export(tmp_path / "net.nir", out=tmp_path / "new.nir", data=tmp_path / "x.npz")
    assert result["beside_floats"]["same_class"] >= 0.8
    assert from_nir(tmp_path / "new.nir").outputs[0].decoding == "last_voltage"


def test_a_file_of_neurodeploy_comes_back_as_it_was():
    from building import one_layer

    network = one_layer(np.full((2, 3), 2), Cuba(current_decay=4096, voltage_decay=4096, threshold=100))
    assert from_nir(to_nir(network)).fingerprint == network.fingerprint


def test_an_endless_time_constant_names_the_readings_that_know_it():
    given = graph(1.0)
    given.nodes["out"].tau[:] = np.inf
    with pytest.raises(NirError, match=r"tau holds inf, .* no leak .* --reading, as snntorch or spyx"):
        from_nir(given, dt=1e-3)
