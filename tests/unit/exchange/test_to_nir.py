"""to_nir: a Network becomes a NIR file that any reader loads and that loses nothing."""

import dataclasses

import nir
import numpy as np
import pytest
from building import chain, connect, neuron, one_layer, wired

from neurodeploy.errors import FileError, NirError
from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import (
    Cuba,
    Dense,
    Input,
    LeakyIntegrator,
    Output,
    Population,
    Projection,
    Sparse,
    difference,
)


def layer(weights, *, model=None, exponent=0, **settings):
    """One layer from an input to a population."""
    names = {"source": "input", "target": "output", "output": "class"}
    return one_layer(weights, model or neuron(threshold=80), weight_exponent=exponent, **names, **settings)


def test_fields_follow_the_forward_euler_mapping():
    """nir.md 4.2 with numbers anyone can recompute: decays 1024 and 128, threshold 80, bias 3 weight units."""
    model = Cuba(current_decay=1024, voltage_decay=128, threshold=80, bias=192)
    graph = to_nir(layer([[64, -32]], model=model))
    lif = graph.nodes["output_neurons"]
    assert lif.tau_syn == pytest.approx(4e-3)
    assert lif.tau_mem == pytest.approx(32e-3)
    assert lif.w_in == 4
    assert lif.r == 32
    assert lif.v_threshold == 1.25
    assert lif.v_reset == 0
    assert lif.v_leak == 192 / 4096 * 32
    assert graph.nodes["w"].weight.tolist() == [[1.0, -0.5]]


def test_decay_zero_is_written_with_finite_time_constants(tmp_path):
    network = layer([[64]], model=Cuba(current_decay=0, voltage_decay=0, threshold=1, bias=5))
    lif = to_nir(network, tmp_path / "a.nir").nodes["output_neurons"]
    assert np.isfinite(lif.tau_mem).all()
    assert np.isfinite(lif.r).all()
    assert difference(from_nir(tmp_path / "a.nir"), network) is None


def test_file_loads_in_nir_with_type_check(tmp_path):
    to_nir(layer(np.eye(3, dtype=int) * 2, delay=2), tmp_path / "a.nir")
    graph = nir.read(tmp_path / "a.nir", type_check=True)
    assert sorted(graph.nodes) == ["input", "output", "output_neurons", "w", "w_delay"]


def test_kept_connection_of_weight_zero_stays_in_the_mask(tmp_path):
    mask = np.array([[True, True, False]])
    network = layer([[2, 0, 0]], mask=mask)
    to_nir(network, tmp_path / "a.nir")
    back = from_nir(tmp_path / "a.nir").projections[0].mask
    assert back.tolist() == mask.tolist()


@pytest.mark.parametrize("exponent", [-8, -1, 0, 3, 7])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_weight_is_exact_in_both_float_types(tmp_path, exponent, dtype):
    network = layer(np.arange(-256, 256).reshape(8, 64), exponent=exponent)
    to_nir(network, tmp_path / "a.nir", weights=dtype)
    assert nir.read(tmp_path / "a.nir").nodes["w"].weight.dtype == dtype
    assert difference(from_nir(tmp_path / "a.nir"), network) is None


def test_sparse_synapses_come_back_sparse_with_stored_zeros():
    network = layer([[2, 0, 0], [0, 4, 0]])
    synapses = Sparse(n_target=2, start=np.array([0, 2, 3, 3]), target=np.array([0, 1, 1]), weights=np.array([2, 0, 4]))
    projection = dataclasses.replace(network.projections[0], synapses=synapses, mask=np.array([True, False, True]))
    network = dataclasses.replace(network, projections=(projection,))
    assert difference(from_nir(to_nir(network)), network) is None


def test_read_out_is_a_leaky_integrator_node():
    network = layer([[2]], model=LeakyIntegrator(current_decay=4096, voltage_decay=12))
    graph = to_nir(network)
    assert isinstance(graph.nodes["output_neurons"], nir.CubaLI)
    assert difference(from_nir(graph), network) is None


def test_the_ends_have_the_names_that_chain_readers_look_for_and_come_back_with_their_own():
    network = chain({"output": [[20, 4]], "input": [[30]]}, neuron(), source="pixels", output="class")
    graph = to_nir(network)
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    assert (kinds["input"], kinds["output"]) == ("Input", "Output")
    assert {name for name, kind in kinds.items() if kind == "CubaLIF"} == {"input_neurons", "output_neurons"}
    assert from_nir(graph).fingerprint == network.fingerprint
    values = np.ones((1, 4, 2))
    assert interpret(graph, {"pixels": values}).spikes.keys() == interpret(graph, {"input": values}).spikes.keys()


def test_several_ends_keep_their_names():
    projections = [connect("a", "p", [[2]], "w"), connect("b", "p", [[2]], "x")]
    graph = to_nir(wired({"a": 1, "b": 1}, {"p": (1, neuron())}, projections))
    assert {name for name, node in graph.nodes.items() if isinstance(node, nir.Input)} == {"a", "b"}


@pytest.mark.parametrize("bias", [320, np.array([-5, 0, 2**20])])
def test_a_bias_of_neurons_that_forget_their_current_is_a_constant_current(bias):
    """Readers that take no ``v_leak`` (snnTorch, SpikingJelly) take an Affine; one unit of it is 4096 state units."""
    model = Cuba(current_decay=4096, voltage_decay=100, threshold=90, bias=bias)
    network = layer([[2], [4], [6]], model=model)
    graph = to_nir(network)
    assert isinstance(graph.nodes["w"], nir.Affine)
    assert graph.nodes["w"].bias.tolist() == (np.broadcast_to(bias, (3,)) / 4096).tolist()
    assert not graph.nodes["output_neurons"].v_leak.any()
    assert from_nir(graph).fingerprint == network.fingerprint


def test_a_bias_behind_several_delays_is_counted_once():
    model = Cuba(current_decay=4096, voltage_decay=100, threshold=90, bias=320)
    network = layer([[2, 4], [6, 8]], model=model, delay=np.array([[0, 1], [2, 0]]))
    graph = to_nir(network)
    assert sum(isinstance(node, nir.Affine) for node in graph.nodes.values()) == 1
    assert from_nir(graph).fingerprint == network.fingerprint


def test_a_bias_of_neurons_with_a_filter_stays_where_it_was():
    graph = to_nir(layer([[2]], model=Cuba(current_decay=1024, voltage_decay=100, threshold=90, bias=320)))
    assert isinstance(graph.nodes["w"], nir.Linear)
    assert graph.nodes["output_neurons"].v_leak.item() == 320 / 4096 * graph.nodes["output_neurons"].r.item()


def test_the_step_can_be_that_of_the_reader():
    network = layer([[2]])
    graph = to_nir(network, dt=1e-4)
    assert graph.nodes["output_neurons"].tau_mem.item() == pytest.approx(
        to_nir(network).nodes["output_neurons"].tau_mem.item() * 1e-4 / network.dt
    )
    assert dataclasses.replace(from_nir(graph), dt=network.dt).fingerprint == network.fingerprint


def test_names_that_break_hdf5_are_replaced_and_come_back(tmp_path):
    network = layer([[2]])
    inputs = (Input(name="a/b", shape=(1,)),)
    projection = dataclasses.replace(network.projections[0], name="", source="a/b")
    network = dataclasses.replace(network, inputs=inputs, projections=(projection,))
    graph = to_nir(network, tmp_path / "a.nir")
    assert all("/" not in name and name for name in graph.nodes)
    assert difference(from_nir(tmp_path / "a.nir"), network) is None


def test_equal_names_of_population_output_and_projection_do_not_collide(tmp_path):
    network = layer([[2]])
    network = dataclasses.replace(
        network,
        projections=(dataclasses.replace(network.projections[0], name="output"),),
        outputs=(Output(name="output", population="output", decoding="first_spike"),),
    )
    to_nir(network, tmp_path / "a.nir")
    assert difference(from_nir(tmp_path / "a.nir"), network) is None


def test_existing_file_is_kept_without_force(tmp_path):
    path = tmp_path / "a.nir"
    path.write_text("mine")
    with pytest.raises(FileError, match=r"a\.nir exists.*force"):
        to_nir(layer([[2]]), path)
    assert path.read_text() == "mine"
    to_nir(layer([[2]]), path, force=True)
    assert difference(from_nir(path), layer([[2]])) is None


def test_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(FileError, match="cannot be written"):
        to_nir(layer([[2]]), tmp_path / "missing" / "a.nir")
    assert list(tmp_path.iterdir()) == []


def test_delays_are_refused_on_request():
    with pytest.raises(NirError, match=r"'w' has delays of up to 0.003 s.*delays='node'"):
        to_nir(layer([[2]], delay=3), delays="error")


def test_delays_are_written_in_seconds():
    graph = to_nir(layer([[2, 4]], delay=np.array([0, 62]), dt=1e-4))
    assert graph.nodes["w_delay"].delay == pytest.approx([0, 62e-4])


def test_exponential_form_refuses_decay_4096():
    model = Cuba(current_decay=4096, voltage_decay=1, threshold=1)
    with pytest.raises(NirError, match=r"4096.*cannot express.*euler"):
        to_nir(layer([[2]], model=model), discretization="exponential")


def test_file_in_the_exponential_form_is_not_read_as_euler():
    graph = to_nir(layer([[2]]), discretization="exponential")
    with pytest.raises(NirError, match="discretization='exponential'"):
        from_nir(graph)
    assert difference(from_nir(graph, discretization="exponential"), layer([[2]])) is None


def test_population_driven_by_its_bias_alone_comes_back(tmp_path):
    network = layer([[2]])
    clocked = Population(name="clock", shape=(2,), model=Cuba(current_decay=1, voltage_decay=1, threshold=9, bias=70))
    beat = Projection(name="beat", source="clock", target="output", synapses=Dense(weights=[[4, 6]]), delay=0)
    later = dataclasses.replace(network.populations[0], first_step=2)
    wait = dataclasses.replace(network.projections[0], delay=1)
    network = dataclasses.replace(network, populations=(clocked, later), projections=(wait, beat))
    to_nir(network, tmp_path / "a.nir")
    assert difference(from_nir(tmp_path / "a.nir"), network) is None


def test_population_that_starts_after_its_input_arrives_is_refused():
    network = layer([[2]])
    late = (dataclasses.replace(network.populations[0], first_step=3),)
    with pytest.raises(NirError, match=r"'w' reaches 'output' 2 steps before its first step 3"):
        to_nir(dataclasses.replace(network, populations=late))


@pytest.mark.parametrize(("dtype", "mask", "limit"), [("float32", False, 650e3), ("float16", False, 460e3)])
def test_ten_percent_dense_layer_of_a_million_weights_is_small(tmp_path, dtype, mask, limit):
    """Sizes of nir.md 7.5: 1024 x 1024 at 10 % density on the 8-bit grid."""
    rng = np.random.default_rng(1)
    kept = rng.random((1024, 1024)) < 0.1
    weights = np.where(kept, np.clip(np.rint(rng.normal(0, 40, kept.shape)) * 2, -256, 254), 0).astype(np.int16)
    path = tmp_path / "a.nir"
    to_nir(layer(weights, mask=kept if mask else None), path, weights=dtype)
    assert path.stat().st_size < limit
    to_nir(layer(weights, mask=kept), path, weights=dtype, force=True)
    assert path.stat().st_size < limit + 100e3
    assert difference(from_nir(path), layer(weights, mask=kept)) is None
