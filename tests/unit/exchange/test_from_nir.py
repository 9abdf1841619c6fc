"""from_nir: what is taken over, what is refused, and that plain NIR without our metadata gives the same spikes."""

import h5py
import nir
import numpy as np
import pytest
from building import connect, samples, wired

from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import FileError, NirError
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, difference


def lif(n=2, **changed):
    """CubaLIF in steps of 1 ms with decays 1024 and 512 and unit gains."""
    fields = {
        "tau_syn": np.full(n, 4e-3),
        "w_in": np.full(n, 4.0),
        "tau_mem": np.full(n, 8e-3),
        "r": np.full(n, 8.0),
        "v_leak": np.zeros(n),
        "v_threshold": np.full(n, 1.25),
        "v_reset": np.zeros(n),
    }
    return nir.CubaLIF(**(fields | changed))


def graph(neuron=None, weight=((1.0, 0.5), (-0.5, 1.0)), extra=None, edges=None, type_check=True):
    nodes = {
        "input": nir.Input(np.array([2])),
        "w": nir.Linear(np.array(weight)),
        "lif": neuron if neuron is not None else lif(),
        "output": nir.Output(np.array([2])),
        **(extra or {}),
    }
    way = edges or [("input", "w"), ("w", "lif"), ("lif", "output")]
    return nir.NIRGraph(nodes, way, type_check=type_check)


def two_layers(rng):
    """A network of two layers, the first recurrent, with per-neuron parameters, axonal delays and biases."""
    models = {
        name: Cuba(
            current_decay=rng.integers(0, 4097, n),
            voltage_decay=rng.integers(0, 4097, n),
            threshold=rng.integers(10, 300, n),
            bias=rng.integers(-300, 300, n),
        )
        for name, n in (("first", 12), ("second", 5))
    }

    def projection(name, source, target, shape, **more):
        return connect(source, target, rng.integers(-128, 128, shape) * 2, name, **more)

    projections = (
        projection("a", "in", "first", (12, 8)),
        projection("back", "first", "first", (12, 12), delay=1),
        projection("b", "first", "second", (5, 12), delay=rng.integers(0, 9, 12), weight_exponent=1),
    )
    populations = {"first": (12, models["first"]), "second": (5, models["second"], 2)}
    return wired({"in": 8}, populations, projections, dt=5e-4)


def spikes(network, seed=0, n_steps=60):
    """Spikes by population for one random input, by order of the network."""
    raster = np.random.default_rng(seed).random((2, n_steps, network.inputs[0].size)) < 0.3
    given = samples(raster, network.inputs[0].name)
    activity = run_reference(network, given)
    return [activity.spikes[p.name].to_dense() for p in network.populations]


@pytest.mark.parametrize("seed", range(5))
def test_plain_nir_without_metadata_gives_the_same_spikes(tmp_path, seed):
    network = two_layers(np.random.default_rng(seed))
    to_nir(network, tmp_path / "a.nir", metadata=False)
    plain = from_nir(tmp_path / "a.nir")
    assert plain.ledger == ()
    assert plain.dt == network.dt
    for ours, theirs in zip(spikes(network), spikes(plain)):
        assert ours.sum() > 50
        assert np.array_equal(ours, theirs)


def test_metadata_gives_the_very_network_back(tmp_path):
    network = two_layers(np.random.default_rng(7))
    to_nir(network, tmp_path / "a.nir")
    assert difference(from_nir(tmp_path / "a.nir"), network) is None


def test_metadata_that_no_longer_fits_is_left_out_and_said(tmp_path):
    network = two_layers(np.random.default_rng(7))
    to_nir(network, tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "a") as file:
        threshold = file["node/nodes/second/v_threshold"]
        threshold[...] = threshold[...] * 2
        text = file["node/metadata/neurodeploy/network"]
        broken = text[()].decode().replace('"first_step": 2', '"first_step": "two"')
        del file["node/metadata/neurodeploy/network"]
        file["node/metadata/neurodeploy/network"] = broken
    back = from_nir(tmp_path / "a.nir")
    assert back.ledger[-1].where == "metadata"
    assert np.array_equal(back.population("second").model.threshold, 2 * network.population("second").model.threshold)


def test_integers_are_taken_as_they_are():
    network = from_nir(graph())
    model = network.populations[0].model
    assert (model.current_decay, model.voltage_decay, model.threshold, model.bias) == (1024, 512, 80, 0)
    assert network.projections[0].synapses.weights.tolist() == [[64, 32], [-32, 64]]
    assert network.dt == 1e-3
    assert network.ledger == ()


def test_weights_beside_the_grid_are_rounded_and_listed_with_their_size():
    network = from_nir(graph(weight=((0.3, 0.1), (-0.2, 1.0))))
    entry = network.ledger[0]
    assert entry.where == "lif"
    assert "weights rounded" in entry.what
    weights = network.projections[0].synapses.weights
    assert weights.max() == 254
    scale = network.populations[0].model.threshold.reshape(-1, 1) / 1.25  # of each neuron
    assert np.abs(weights / scale - np.array([[0.3, 0.1], [-0.2, 1.0]])).max() <= 1 / 254


def test_general_gains_go_into_the_threshold():
    """nir.md 4.4: with gain G = g1 g2 the same spikes come from the threshold divided by G."""
    network = from_nir(graph(lif(r=np.full(2, 16.0))), dt=1e-3)
    assert network.populations[0].model.threshold == 40


def test_reset_value_shifts_threshold_and_bias():
    network = from_nir(graph(lif(v_reset=np.full(2, 0.25), v_leak=np.full(2, 0.25))))
    assert network.populations[0].model.threshold == 64
    assert network.populations[0].model.bias == 0


def test_contradictory_step_is_refused_with_both_values():
    with pytest.raises(NirError, match=r"node 'lif': tau_syn/w_in = 0\.0001 but .*tau_mem/r = 0\.001; pass dt="):
        from_nir(graph(lif(w_in=np.full(2, 40.0))))


def test_step_that_no_neuron_tells_is_refused():
    ones = np.ones(2)
    with pytest.raises(NirError, match=r"does not tell the length of a step.*pass dt="):
        from_nir(graph(lif(w_in=ones, r=ones)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"tau_syn": np.array([4e-3, 5e-5])},
            r"node 'lif' .*: tau_syn 5e-05 is shorter than dt 0.001.*exponential",
        ),
        ({"tau_mem": np.array([8e-3, -1.0])}, r"node 'lif' \(CubaLIF\): tau_mem is -1.*positive"),
        ({"v_threshold": np.array([1.0, np.nan])}, r"node 'lif' \(CubaLIF\): v_threshold holds nan"),
        ({"v_threshold": np.array([1.0, -1.0])}, r"node 'lif': v_threshold lies 1 below v_reset"),
        ({"r": np.array([8.0, -8.0])}, r"node 'lif': r and w_in give the gain -1"),
    ],
)
def test_neurons_out_of_range_are_refused_with_node_field_and_value(changed, message):
    with pytest.raises(NirError, match=message):
        from_nir(graph(lif(**changed)), dt=1e-3)


def test_reset_by_subtraction_is_taken_from_the_caller():
    assert from_nir(graph(), reset="subtract").populations[0].model.reset == "subtract"
    assert from_nir(graph()).populations[0].model.reset == "zero"


def test_reset_by_subtraction_of_a_neuron_with_a_reset_value_is_refused():
    with pytest.raises(
        NirError, match=r"node 'lif' \(CubaLIF\): v_reset is 0\.25, but the neuron resets by subtraction"
    ):
        from_nir(graph(lif(v_reset=np.full(2, 0.25))), reset="subtract")


def test_dangling_edge_is_refused_with_its_names():
    broken = graph(edges=[("input", "w"), ("w", "lif"), ("lif", "output")])
    broken.edges.append(("lif", "gone"))
    with pytest.raises(NirError, match="edge lif -> gone names 'gone', which is no node"):
        from_nir(broken)


def test_unknown_node_type_is_refused_with_the_known_ones(tmp_path):
    to_nir(from_nir(graph()), tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "a") as file:
        del file["node/nodes/lif/type"]
        file["node/nodes/lif/type"] = "Izhikevich"
    with pytest.raises(NirError, match=r"node 'lif' has type 'Izhikevich'; supported: .*CubaLIF"):
        from_nir(tmp_path / "a.nir")


def test_weights_with_nan_are_refused():
    with pytest.raises(NirError, match=r"node 'w' \(Linear\): weight holds nan"):
        from_nir(graph(weight=((1.0, np.nan), (0.0, 0.0))))


def test_neuron_that_no_input_reaches_is_refused():
    with pytest.raises(NirError, match="no path leads from an Input to node 'alone'"):
        from_nir(graph(extra={"alone": lif()}, type_check=False))


def test_cycle_without_a_neuron_is_refused_not_walked_for_ever():
    extra = {"x": nir.Linear(np.eye(2))}
    way = [("input", "w"), ("w", "x"), ("x", "w"), ("w", "lif"), ("lif", "output")]
    with pytest.raises(NirError, match=r"the cycle through '.' holds no neuron"):
        from_nir(graph(extra=extra, edges=way))


def test_missing_file_says_so(tmp_path):
    with pytest.raises(FileError, match=r"there is no file .*gone\.nir"):
        from_nir(tmp_path / "gone.nir")


def test_file_that_is_not_hdf5_says_so(tmp_path):
    (tmp_path / "a.nir").write_text("hello")
    with pytest.raises(FileError, match="no HDF5 file"):
        from_nir(tmp_path / "a.nir")


def test_hdf5_file_of_another_kind_says_so(tmp_path):
    with h5py.File(tmp_path / "a.nir", "w") as file:
        file["x"] = 1
    with pytest.raises(FileError, match="without the group 'node'"):
        from_nir(tmp_path / "a.nir")


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.99])
def test_truncated_file_gives_one_clear_error(tmp_path, kept):
    path = tmp_path / "a.nir"
    to_nir(two_layers(np.random.default_rng(1)), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(FileError, match=r"damaged|no HDF5"):
        from_nir(path)


def test_link_out_of_the_file_is_refused(tmp_path):
    path = tmp_path / "a.nir"
    to_nir(from_nir(graph()), path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        file["node/nodes/w/weight"] = h5py.ExternalLink("other.h5", "/secret")
    with pytest.raises(FileError, match="'node/nodes/w/weight' is a link"):
        from_nir(path)


def test_array_of_absurd_size_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.nir"
    to_nir(from_nir(graph()), path)
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        file["node/nodes/w"].create_dataset("weight", shape=(2**20, 2**20), dtype="f4", chunks=(64, 64))
    with pytest.raises(FileError, match=r"'node/nodes/w/weight' claims 4,398,046,511,104 bytes"):
        from_nir(path)


def test_node_name_with_a_slash_is_named(tmp_path):
    nodes = {"input": nir.Input(np.array([2])), "a/b": lif(), "output": nir.Output(np.array([2]))}
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, [("input", "a/b"), ("a/b", "output")], type_check=False))
    with pytest.raises(NirError, match=r"node 'a' has no type.*name with '/'"):
        from_nir(tmp_path / "a.nir")


def test_a_threshold_beyond_the_chip_is_refused_inside_the_network():
    edges = [("input", "w"), ("w", "lif"), ("lif", "w2"), ("w2", "lif2"), ("lif2", "output")]
    more = {"w2": nir.Linear(np.eye(2)), "lif2": lif()}
    given = graph(lif(v_threshold=np.full(2, 1e5)), extra=more, edges=edges)
    with pytest.raises(NirError, match=r"node 'lif': threshold is 6400000 on the chip's grid, the limit is 131071"):
        from_nir(given)
