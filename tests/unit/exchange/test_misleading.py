"""Faults of graphs that once ended in a traceback, or in words about something else: each names what is wrong."""

import dataclasses
import re

import h5py
import nir
import numpy as np
import pytest

from neurodeploy import NirError, check_nir, from_nir, interpret
from neurodeploy.exchange.nir.graph import load_graph
from neurodeploy.exchange.nir.repair import FIELDS
from neurodeploy.network import difference

N = 3


def lif(n=N, tau=5e-3, r=5.0):
    return nir.LIF(tau=np.full(n, tau), r=np.full(n, float(r)), v_leak=np.zeros(n), v_threshold=np.ones(n))


def cuba(tau_syn=2e-3, tau_mem=1e-2, r=10.0, w_in=2.0):
    own = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "w_in": w_in, "v_leak": 0.0, "v_threshold": 1.0}
    return nir.CubaLIF(**{name: np.full(N, float(value)) for name, value in own.items()})


def graph(neuron, weight=None, layer=None):
    weight = np.ones((N, 2)) if weight is None else weight
    nodes = {"input": nir.Input(np.array([2])), "fc": layer or nir.Linear(weight), "lif": neuron}
    nodes |= {"output": nir.Output(np.array([N]))}
    return nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")], type_check=False)


def everywhere(given, message, **options):
    """Import and float run refuse with the message, and check gives it as the reason of an unsupported node."""
    with pytest.raises(NirError, match=message):
        from_nir(given, **options)
    with pytest.raises(NirError, match=message):
        interpret(given, {"input": np.zeros((1, 2, 2))}, **options)
    report = check_nir(load_graph(given), **options)
    assert not report.ok
    assert sum(bool(re.search(message, node.reason)) for node in report.nodes) == 1


@pytest.mark.parametrize("r", [0.0, -1.0])
@pytest.mark.parametrize("neuron", [lif, cuba])
def test_gains_that_are_not_positive_are_named_where_no_other_tells_the_step(neuron, r):
    given = graph(neuron(r=r, **({"w_in": r} if neuron is cuba else {})))
    everywhere(
        given, rf"node 'lif' \((Cuba)?LIF\): r is {r:g}, a neuron needs a positive gain; put the sign into the weights"
    )


def test_a_counting_neuron_without_a_positive_gain_is_named():
    given = graph(nir.IF(r=np.full(N, -2.0), v_threshold=np.ones(N)))
    everywhere(given, r"node 'lif' \(IF\): r is -2, a neuron needs a positive gain")


@pytest.mark.parametrize("tau", [0.0, -1e-3])
@pytest.mark.parametrize(("neuron", "field"), [(lif, "tau"), (cuba, "tau_mem"), (cuba, "tau_syn")])
def test_a_time_constant_that_is_not_positive_is_no_contradiction_of_steps(neuron, field, tau):
    message = rf"node 'lif' \((Cuba)?LIF\): {field} is {tau:g}, a time constant must be positive; .*--reading snntorch"
    everywhere(graph(neuron(**{field: tau})), message)


@pytest.mark.parametrize("r", [0.5, 1.0])
def test_gains_of_one_and_less_tell_no_step_in_the_exponential_form(r):
    message = (
        r"does not tell the length of a step \(no gain is above 1\); say it with --dt SECONDS \(in Python pass dt="
    )
    for options in ({"discretization": "exponential"}, {"reading": "exponential"}):
        everywhere(graph(lif(r=r)), message, **options)
    assert from_nir(graph(lif(r=r)), reading="exponential", dt=1e-3).dt == 1e-3


@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
@pytest.mark.parametrize("layer", [nir.Linear, nir.Affine])
def test_a_weight_without_elements_is_refused(layer, shape):
    made = layer(np.ones(shape)) if layer is nir.Linear else layer(np.ones(shape), np.zeros(shape[0]))
    for n, message in (
        (N, r"\(0,\) arrives|weight has shape \(., 0\), but \(2,\) arrives"),
        (0, "so no neurons; remove"),
    ):
        everywhere(graph(lif(n), layer=made), message, dt=1e-3)


def test_a_kernel_without_elements_is_refused():
    given = graph(lif(), layer=nir.Conv2d((4, 4), np.ones((0, 1, 3, 3)), 1, 0, 1, 1, np.zeros(0)))
    everywhere(given, r"node 'fc' \(Conv2d\): weight has shape \(0, 1, 3, 3\)", dt=1e-3)


def test_an_empty_node_of_a_graph_in_memory_names_the_module_that_the_exporter_did_not_know():
    """Norse 1.1.0 puts None where it does not know a module."""
    given = graph(lif())
    given.nodes["flat"] = None
    given.edges = [("input", "flat"), ("flat", "fc"), ("fc", "lif"), ("lif", "output")]
    everywhere(given, "node 'flat' is empty: the exporter did not know the module of this name .Norse 1.1.0")
    inner = graph(lif())
    inner.nodes["fc"] = given
    with pytest.raises(NirError, match="node 'flat' is empty"):
        from_nir(inner)
    assert [n.name for n in check_nir(load_graph(inner)).nodes if n.verdict == "unsupported"] == ["fc.flat"]


class TestHalfWritten:
    @pytest.fixture
    def path(self, tmp_path):
        nir.write(tmp_path / "a.nir", graph(lif()))
        return tmp_path / "a.nir"

    @pytest.mark.parametrize("left", [("tau", "r"), ()])
    def test_a_node_that_was_not_written_to_its_end_is_no_matter_of_names(self, path, left):
        with h5py.File(path, "a") as file:
            node = file["node/nodes/lif"]
            for name in [n for n in node if n not in left]:
                del node[name]
        held = ", ".join(sorted(left)) or "nothing"
        message = rf"node 'lif' has no type \(it holds {held}\); the file was not written to its end"
        for read in (from_nir, check_nir):
            with pytest.raises(NirError, match=message):
                read(path)

    def test_a_slash_in_a_name_still_is(self, path):
        with h5py.File(path, "a") as file:
            file.move("node/nodes/lif", "node/nodes/block/lif")
        with pytest.raises(NirError, match=r"node 'block' has no type \(it holds lif\); a name with '/' in it breaks"):
            from_nir(path)


def test_the_fields_of_each_kind_are_those_of_nir():
    own = {"input_type", "output_type", "metadata"}
    for kind, known in FIELDS.items():
        theirs = {f.name for f in dataclasses.fields(getattr(nir, kind))} - own
        assert set(known) - {"shape", "input_type"} == theirs, kind


def test_fields_that_a_node_does_not_have_are_left_out_and_listed(tmp_path):
    nir.write(tmp_path / "a.nir", graph(lif(), np.ones((N, 2)) / 2))
    with h5py.File(tmp_path / "a.nir", "a") as file:
        file["node/nodes/lif/kernel_size"] = 3
        file["node/nodes/fc/bias"] = np.ones(N)
    report = check_nir(tmp_path / "a.nir", fix=tmp_path / "b.nir")
    assert set(report.repairs) == {
        "lif: kernel_size left out, which LIF nodes do not have",
        "fc: bias left out, which Linear nodes do not have",
    }
    assert difference(from_nir(tmp_path / "b.nir"), from_nir(graph(lif(), np.ones((N, 2)) / 2))) is None
    nir.read(tmp_path / "b.nir")


def test_numbers_without_axes_are_written_in_a_form_that_nir_takes(tmp_path):
    """nir 1.0.8 writes no arrays without axes: a bias, a shape, a scale, sizes of a pool, and metadata."""
    conv = nir.Conv2d((6, 6), np.ones((1, 1, 3, 3)) / 2, 1, 0, 1, 1, np.zeros(1))
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    neuron = nir.IF(r=np.ones((1, 4, 4)), v_threshold=np.ones((1, 4, 4)))
    nodes = {"input": nir.Input(np.array([1, 6, 6])), "c": conv, "n": neuron, "p": pool}
    nodes |= {"f": nir.Flatten({"input": np.array([1, 2, 2])}, 0, -1), "s": nir.Scale(np.array([2.0]))}
    nodes |= {"fc": nir.Affine(np.ones((1, 4)) / 2, np.zeros(1)), "m": nir.IF(r=np.ones(1), v_threshold=np.ones(1))}
    nodes |= {"output": nir.Output(np.array([1]))}
    path = tmp_path / "a.nir"
    nir.write(path, nir.NIRGraph(nodes, list(zip(list(nodes)[:-1], list(nodes)[1:])), type_check=False))
    expected = from_nir(path)
    with h5py.File(path, "a") as file:
        for name in ("c/bias", "p/kernel_size", "p/stride", "p/padding", "s/scale", "fc/bias", "m/r", "output/shape"):
            values = file[f"node/nodes/{name}"][()]
            del file[f"node/nodes/{name}"]
            file[f"node/nodes/{name}"] = values.reshape(-1)[0]
        file["node/metadata/made"] = 3.5
    assert check_nir(path, fix=tmp_path / "b.nir").ok
    assert difference(from_nir(tmp_path / "b.nir"), expected) is None


def test_neurons_that_nothing_reaches_run_on_their_own_in_floats():
    given = graph(lif())
    given.nodes["lif"].v_leak = np.array([0.0, 30.0, 60.0])
    given.edges = [("input", "fc"), ("lif", "output")]
    run = interpret(given, {"input": np.ones((1, 9, 2))}, dt=1e-3)
    assert run.spikes["lif"].sum(axis=(0, 1)).tolist() == [0, 9, 9]


def test_signals_of_another_size_are_refused_in_floats_as_on_import():
    """Also from a neuron that no Input reaches, which no shape is followed through."""
    given = graph(lif())
    given.nodes["alone"] = lif(2)
    given.nodes["alone"].v_leak = np.full(2, 30.0)
    given.edges = [*given.edges, ("alone", "lif")]
    with pytest.raises(NirError, match=r"node 'alone' gives \(2,\), but 'lif' has 3 neurons"):
        interpret(given, {"input": np.ones((1, 3, 2))}, dt=1e-3)


def test_an_entry_that_is_no_reset_is_named_though_the_reading_says_another():
    given = graph(lif())
    given.nodes["lif"].metadata = {"neurodeploy": {"reset": np.ones(2)}}
    with pytest.raises(
        NirError, match=r"node 'lif' \(LIF\): its metadata 'neurodeploy': reset is array.*; known: zero, subtract"
    ):
        from_nir(given, reading="euler,reset=subtract")


@pytest.mark.parametrize(
    ("name", "value"), [("weight", np.ones(2)), ("weight", np.float64(1)), ("input_shape", np.array([np.inf, 6.0]))]
)
def test_a_graph_without_an_input_whose_first_node_tells_no_shape_is_refused(tmp_path, name, value):
    given = graph(lif(), layer=nir.Conv2d((6, 6), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1)))
    for path, made, node in ((tmp_path / "a.nir", graph(lif()), "fc"), (tmp_path / "b.nir", given, "fc")):
        if name == "input_shape" and path.name == "a.nir":
            continue
        nir.write(path, made)
        with h5py.File(path, "a") as file:
            del file["node/nodes/input"]
            file["node/edges"][...] = [[b"fc", b"lif"], [b"lif", b"output"], [b"lif", b"output"]]
            del file[f"node/nodes/{node}/{name}"]
            file[f"node/nodes/{node}/{name}"] = value
        with pytest.raises(
            NirError, match="node 'fc' .* at its start does not tell the shape of one; add an Input node"
        ):
            from_nir(path, dt=1e-3)


def test_an_input_shape_that_is_not_what_arrives_is_replaced_and_listed(tmp_path):
    conv = nir.Conv2d((6, 6), np.ones((1, 1, 3, 3)) / 2, 1, 0, 1, 1, np.zeros(1))
    neuron = nir.IF(r=np.ones((1, 4, 4)), v_threshold=np.ones((1, 4, 4)))
    nodes = {"input": nir.Input(np.array([1, 6, 6])), "c": conv, "n": neuron, "output": nir.Output(np.array([1, 4, 4]))}
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, [("input", "c"), ("c", "n"), ("n", "output")], type_check=False))
    expected = from_nir(tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "a") as file:
        del file["node/nodes/c/input_shape"]
        file["node/nodes/c/input_shape"] = [np.inf, 9.0]
    report = check_nir(tmp_path / "a.nir", fix=tmp_path / "b.nir")
    assert report.repairs == ("c: input_shape [inf 9.] set to (6, 6)",)
    assert difference(from_nir(tmp_path / "b.nir"), expected) is None
