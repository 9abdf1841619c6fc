"""What from_nir takes over beside plain chains of Linear and CubaLIF, and what it refuses (nir.md 7.3 and 7.4)."""

import h5py
import nir
import numpy as np
import pytest

from neurodeploy.engines.sums import synaptic_sum
from neurodeploy.errors import NirError
from neurodeploy.exchange.doctor.check import check_nir
from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.network import Dense, LeakyIntegrator, Pool


def lif(*shape, threshold=1.0, **changed):
    """CubaLIF in steps of 1 ms with decays 1024 and 512 and unit gains."""
    fields = {
        "tau_syn": np.full(shape, 4e-3),
        "w_in": np.full(shape, 4.0),
        "tau_mem": np.full(shape, 8e-3),
        "r": np.full(shape, 8.0),
        "v_leak": np.zeros(shape),
        "v_threshold": np.full(shape, threshold),
    }
    return nir.CubaLIF(**(fields | changed))


def conv(weight, *, input_shape=None, **changed):
    weight = np.asarray(weight, np.float32)
    fields = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, "bias": np.zeros(len(weight))}
    return nir.Conv2d(input_shape=input_shape, weight=weight, **(fields | changed))


def graph(shape, *named, edges=None, out=1, ends=True):
    """The named nodes one after the other between an Input and an Output, without nir's own type check."""
    nodes = dict(named)
    if ends:
        nodes = {"input": nir.Input(np.array(shape)), **nodes, "output": nir.Output(np.atleast_1d(out))}
    names = list(nodes)
    return nir.NIRGraph(nodes, edges or list(zip(names, names[1:])), type_check=False)


def linear(n_out, n_in, value=1.0):
    return nir.Linear(np.full((n_out, n_in), value))


def repairs(given, **options):
    return " | ".join(check_nir(given, **options).repairs)


class TestRepairs:
    """What can only be meant one way is put right, and said."""

    def test_nested_graph_is_put_into_the_outer_one(self):
        inner = graph(2, ("lif", lif(2)), ("w_rec", linear(2, 2)), out=2)
        inner.edges[:] = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
        outer = graph(3, ("w", linear(2, 3)), ("block", inner), out=2)
        network = from_nir(outer)
        assert [p.name for p in network.populations] == ["block.lif"]
        assert {(p.source, p.target) for p in network.projections} == {("input", "block.lif"), ("block.lif",) * 2}
        assert "block: nested graph put into the outer one" in repairs(outer)

    def test_doubly_nested_graph_is_flattened(self):
        inner = graph(2, ("lif", lif(2)), out=2)
        middle = graph(2, ("inner", inner), out=2)
        assert from_nir(graph(3, ("w", linear(2, 3)), ("m", middle), out=2)).populations[0].name == "m.inner.lif"

    def test_edge_to_the_port_of_a_node_is_resolved(self):
        given = graph(3, ("w", linear(2, 3)), ("lif", lif(2)), out=2)
        given.edges[1] = ("w", "lif.input")
        assert len(from_nir(given).projections) == 1
        assert "edge w -> lif.input read as w -> lif" in repairs(given)

    def test_edges_that_misspell_the_only_node_without_edges_are_read_as_that_node(self):
        """So the nested Braille graphs of the NIR paper's repository: the node is ``lif1``, the edges say ``lif``."""
        inner = graph(2, ("lif1", lif(2)), ("lin", linear(2, 2)), out=2)
        inner.edges[:] = [("input", "lif"), ("lif", "lin"), ("lin", "lif"), ("lif", "output")]
        given = graph(3, ("w", linear(2, 3)), ("lif1", inner), out=2)
        network = from_nir(given)
        assert {(p.source, p.target) for p in network.projections} == {("input", "lif1.lif1"), ("lif1.lif1",) * 2}
        assert "lif1: edges that name 'lif', which is no node, read as 'lif1'" in repairs(given)

    @pytest.mark.parametrize("extra", ["lif2", "other"])
    def test_edge_that_could_mean_two_nodes_or_none_is_refused(self, extra):
        given = graph(3, ("w", linear(2, 3)), ("lif1", lif(2)), out=2)
        given.edges[:] = [("input", "w"), ("w", "lif"), ("lif", "output")]
        given.nodes[extra] = given.nodes["lif1"]
        if extra == "other":
            del given.nodes["lif1"]
        with pytest.raises(NirError, match="names 'lif', which is no node"):
            from_nir(given)

    def test_edge_that_stands_twice_counts_once(self):
        given = graph(3, ("w", linear(2, 3)), ("lif", lif(2)), out=2)
        given.edges.append(("w", "lif"))
        assert len(from_nir(given).projections) == 1
        assert "stands twice" in repairs(given)

    def test_missing_input_and_output_are_added_at_the_ends(self):
        given = graph(None, ("w", linear(2, 3)), ("lif", lif(2)), ends=False)
        network = from_nir(given)
        assert network.inputs[0].shape == (3,)
        assert network.outputs[0].population == "lif"
        assert "Input of shape (3,) added before 'w'" in repairs(given)

    def test_one_number_for_all_neurons_takes_the_shape_that_arrives(self):
        given = graph(3, ("w", linear(2, 3)), ("lif", lif()), out=2)
        assert from_nir(given).populations[0].shape == (2,)
        assert "lif: one number for" in repairs(given)

    def test_missing_input_shape_of_a_convolution_is_inferred(self):
        given = graph((1, 4, 5), ("conv", conv(np.ones((2, 1, 3, 2)))), ("lif", lif(2, 2, 4)), out=(2, 2, 4))
        assert from_nir(given).projections[0].synapses.output_shape == (2, 2, 4)
        assert "conv: missing input_shape set to (4, 5)" in repairs(given)

    def test_flatten_written_for_a_batch_axis_takes_all_elements(self):
        flatten = nir.Flatten({"input": None}, start_dim=1)
        given = graph((2, 2, 2), ("flat", flatten), ("w", linear(3, 8)), ("lif", lif(3)), out=3)
        assert from_nir(given).projections[0].synapses.weights.shape == (3, 8)
        assert "start_dim set to 0" in repairs(given)

    def test_output_with_an_extra_unit_axis_is_read_without_it(self):
        given = graph((1, 3), ("w", linear(2, 3)), ("lif", lif(2)), out=(1, 2))
        assert from_nir(given).inputs[0].shape == (3,)
        assert "output: shape (1, 2) set to (2,)" in repairs(given)

    def test_repaired_file_opens_in_nir_with_type_check(self, tmp_path):
        inner = graph(2, ("lif", lif(2)), ("w_rec", linear(2, 2)), out=2)
        inner.edges[:] = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
        given = graph(
            (1, 4, 4), ("conv", conv(np.ones((2, 1, 3, 3)))), ("n", lif()), ("f", nir.Flatten({"input": None}))
        )
        given.nodes |= {"w": linear(2, 8), "block": inner}
        given.edges[:] = [("input", "conv"), ("conv", "n"), ("n", "f"), ("f", "w"), ("w", "block"), ("block", "output")]
        report = check_nir(given, fix=tmp_path / "fixed.nir")
        assert report.ok
        assert sorted(nir.read(tmp_path / "fixed.nir").nodes) == [
            "block.lif", "block.w_rec", "conv", "f", "input", "n", "output", "w"
        ]  # fmt: skip
        assert check_nir(tmp_path / "fixed.nir").repairs == ()

    def test_nothing_is_written_where_something_is_unsupported(self, tmp_path):
        given = graph(3, ("w", linear(2, 3)), ("lif", lif(2, tau_syn=np.full(2, -1.0))), out=2)
        assert not check_nir(given, fix=tmp_path / "fixed.nir", dt=1e-3).ok
        assert list(tmp_path.iterdir()) == []


class TestOldFiles:
    """Files of nir 0.1: no metadata, no v_reset, no w_in, no input_shape, edges as bytes."""

    def test_file_of_nir_0_1_is_read(self, tmp_path):
        path = tmp_path / "old.nir"
        with h5py.File(path, "w") as file:
            file["version"] = "0.1.1"
            file["node/type"] = "NIRGraph"
            file["node/edges"] = np.array([(b"in", b"c"), (b"c", b"lif"), (b"lif", b"out")])
            nodes = {
                "in": {"type": "Input", "shape": [1, 3, 3]},
                "c": {
                    "type": "Conv2d",
                    "weight": np.ones((1, 1, 2, 2)),
                    "stride": 1,
                    "padding": 0,
                    "dilation": 1,
                    "groups": 1,
                },
                "lif": {"type": "LIF", "tau": np.full((1, 2, 2), 4e-3), "r": np.full((1, 2, 2), 4.0)},
                "out": {"type": "Output", "shape": [1, 2, 2]},
            }
            nodes["c"] |= {"bias": np.zeros(1), "groups": 1}
            nodes["lif"] |= {"v_leak": np.zeros((1, 2, 2)), "v_threshold": np.ones((1, 2, 2))}
            for name, fields in nodes.items():
                for key, value in fields.items():
                    file[f"node/nodes/{name}/{key}"] = value
        network = from_nir(path)
        assert network.dt == 1e-3
        assert network.populations[0].model.voltage_decay == 1024
        assert check_nir(path).nir_version == "0.1.1"


class TestNodesWithoutState:
    def test_convolution_keeps_groups_stride_padding_and_dilation(self):
        node = conv(np.ones((4, 1, 3, 2)), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
        shape = (4, 4, 4)  # (7 + 2 - 3) // 2 + 1 and 6 - 2
        synapses = from_nir(graph((2, 7, 6), ("c", node), ("lif", lif(*shape)), out=shape)).projections[0].synapses
        assert (synapses.groups, synapses.stride, synapses.padding, synapses.dilation) == (2, (2, 1), (1, 0), (1, 2))

    @pytest.mark.parametrize("kernel", [1, 2, 3, 4])
    def test_padding_same_gives_torch_s_alignment(self, kernel):
        """torch pads an even kernel by one more on the right: out[0] sees x[-(k-1)//2 ...]."""
        taps = np.arange(1, kernel + 1, dtype=float)
        weight = taps[None, None] / 4
        node = nir.Conv1d(
            input_shape=5, weight=weight, stride=1, padding="same", dilation=1, groups=1, bias=np.zeros(1)
        )
        network = from_nir(graph((1, 5), ("c", node), ("lif", lif(1, 5)), out=(1, 5)))
        synapses = network.projections[0].synapses
        left = (kernel - 1) // 2
        expected = np.array(
            [[taps[j - i + left] if 0 <= j - i + left < kernel else 0 for j in range(5)] for i in range(5)]
        )
        assert np.array_equal(synaptic_sum(synapses, np.eye(5, dtype=bool)).T, 16 * expected)

    def test_average_pooling_is_a_sum_with_a_smaller_weight(self):
        pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
        synapses = from_nir(graph((3, 4, 4), ("p", pool), ("lif", lif(3, 2, 2)), out=(3, 2, 2))).projections[0].synapses
        assert isinstance(synapses, Pool)
        assert synapses.weight == 16

    def test_scale_that_is_the_same_for_all_goes_into_the_weights(self):
        given = graph(3, ("s", nir.Scale(np.full(3, 0.5))), ("w", linear(2, 3)), ("lif", lif(2)), out=2)
        assert np.all(from_nir(given).projections[0].synapses.weights == 32)

    def test_scale_that_differs_and_two_linear_nodes_in_a_row_are_multiplied(self):
        scale = nir.Scale(np.array([1.0, 2.0, -1.0]))
        given = graph(3, ("a", linear(2, 3, 0.5)), ("b", linear(3, 2)), ("s", scale), ("lif", lif(3)), out=3)
        network = from_nir(given)
        assert network.projections[0].synapses.weights.tolist() == [[64] * 3, [128] * 3, [-64] * 3]
        assert "a, b, s multiplied into one matrix" in network.ledger[-1].what

    def test_edge_without_weights_becomes_one_to_one_synapses(self):
        given = graph(2, ("w", linear(2, 2)), ("l1", lif(2)), ("l2", lif(2)), out=2)
        network = from_nir(given)
        assert network.into("l2")[0].synapses.weights.tolist() == [[64, 0], [0, 64]]
        assert network.ledger[-1].what == "identity synapses inserted"

    def test_edge_without_weights_between_images_is_a_kernel_of_one_tap(self):
        shape = (3, 40, 40)
        network = from_nir(
            graph(shape, ("l1", lif(*shape)), ("s", nir.Scale(np.full(shape, 0.5))), ("l2", lif(*shape)), out=shape)
        )
        first, second = (network.into(name)[0].synapses for name in ("l1", "l2"))
        assert (first.weights.ravel().tolist(), second.weights.ravel().tolist()) == ([64] * 3, [32] * 3)
        assert first.groups == second.groups == 3

    def test_edges_that_meet_in_a_node_add_up(self):
        given = graph(3, ("w", linear(2, 3)), ("lif", lif(2)), out=2)
        given.nodes["more"] = linear(2, 3, 0.25)
        given.edges += [("input", "more"), ("more", "lif")]
        weights = {p.name: int(p.synapses.weights[0, 0]) for p in from_nir(given).projections}
        assert weights == {"w": 64, "more": 16}

    def test_delay_after_the_weights_becomes_a_delay_of_the_synapses(self):
        given = graph(3, ("w", linear(2, 3)), ("d", nir.Delay(np.array([0.0, 2e-3]))), ("lif", lif(2)), out=2)
        assert from_nir(given).projections[0].delay.tolist() == [[0] * 3, [2] * 3]

    def test_skip_connection_is_delayed_to_the_depth_of_the_others(self):
        given = graph(2, ("a", linear(2, 2)), ("l1", lif(2)), ("b", linear(2, 2)), ("l2", lif(2)), out=2)
        given.nodes["skip"] = linear(2, 2)
        given.edges += [("input", "skip"), ("skip", "l2")]
        network = from_nir(given)
        assert {p.name: p.delay for p in network.projections} == {"a": 0, "b": 0, "skip": 1}
        assert "skip connection delayed by 1 steps" in network.ledger[0].what


class TestNeurons:
    def test_linear_before_an_output_is_read_as_the_sum_of_a_step(self):
        given = graph(2, ("a", linear(3, 2)), ("l", lif(3)), ("read", linear(2, 3)), out=2)
        network = from_nir(given)
        model = network.population("output_sum").model
        assert isinstance(model, LeakyIntegrator)
        assert (model.current_decay, model.voltage_decay) == (4096, 4096)
        assert network.outputs[0].decoding == "last_voltage"

    def test_li_and_threshold_are_one_neuron_without_reset(self):
        """Spyx's pair. Closed form: LI with a = 1/4 and r = 4 after a 1 in each step is 1, 1.75, 2.31, 2.73, ..."""
        li = nir.LI(tau=np.full(1, 4e-3), r=np.full(1, 4.0), v_leak=np.zeros(1))
        given = graph(1, ("w", linear(1, 1)), ("li", li), ("t", nir.Threshold(np.full(1, 2.0))))
        network = from_nir(given)
        model = network.populations[0].model
        assert (model.current_decay, model.voltage_decay, model.threshold) == (1024, 4096, 128)
        run = interpret(given, {"input": np.ones((1, 5, 1))})
        assert run.spikes["li"][0, :, 0].tolist() == [False, False, True, True, True]

    def test_threshold_alone_has_no_memory(self):
        network = from_nir(graph(1, ("w", linear(1, 1)), ("t", nir.Threshold(np.full(1, 0.5)))))
        model = network.populations[0].model
        assert (model.current_decay, model.voltage_decay, model.threshold) == (4096, 4096, 32)

    def test_integrate_and_fire_with_r_1_takes_whole_inputs(self):
        network = from_nir(graph(1, ("w", linear(1, 1)), ("if", nir.IF(np.ones(1), np.ones(1)))))
        model = network.populations[0].model
        assert (model.current_decay, model.voltage_decay, model.threshold) == (4096, 0, 64)
        assert "r = 1" in network.ledger[0].what

    def test_integrate_and_fire_with_r_of_one_over_dt_tells_the_step(self):
        network = from_nir(graph(1, ("w", linear(1, 1)), ("if", nir.IF(np.full(1, 1e4), np.ones(1)))))
        assert network.dt == 1e-4
        assert network.populations[0].model.threshold == 64

    def test_threshold_beside_the_grid_leaves_weights_exact(self):
        network = from_nir(graph(2, ("w", linear(2, 2, 0.5)), ("lif", lif(2, threshold=0.3)), out=2))
        (projection,) = network.projections
        scale = int(projection.synapses.weights[0, 0]) * 2**projection.weight_exponent // 32
        assert scale > 1
        assert abs(network.populations[0].model.threshold / (64 * scale) - 0.3) <= 0.5 / (64 * scale)
        assert [e.what for e in network.ledger] == ["threshold rounded to a whole number"]

    def test_constant_current_is_a_bias_where_the_current_has_no_memory(self):
        fast = lif(2, tau_syn=np.full(2, 1e-3), w_in=np.ones(2))
        affine = nir.Affine(np.ones((2, 2)), np.array([0.25, -0.5]))
        network = from_nir(graph(2, ("w", affine), ("lif", fast), out=2))
        assert network.populations[0].model.bias.tolist() == [1024, -2048]

    def test_constant_current_through_a_filter_settles_at_the_bias_and_is_listed(self):
        """Current decay 1024: 1 settles at 4 units of current; the float run must get there."""
        neuron = lif(1, threshold=1e3)
        given = graph(1, ("w", nir.Affine(np.eye(1), np.ones(1))), ("lif", neuron))
        network = from_nir(given)
        assert network.populations[0].model.bias == 4 * 4096
        assert network.ledger[1].size == (
            "differs during about the first 4 steps of a sample: 4 times too strong in the first one, less than 1 % after 17"
        )
        voltage = interpret(given, {"input": np.zeros((1, 200, 1))}).voltages["lif"][0, -1, 0]
        assert voltage == pytest.approx(4 * 4096 / 512)

    def test_constant_current_that_never_settles_is_refused(self):
        endless = lif(1, tau_syn=np.full(1, 4096e-3 * 2**20), w_in=np.full(1, 4096.0 * 2**20))
        network = graph(1, ("w", nir.Affine(np.eye(1), np.ones(1))), ("lif", endless))
        with pytest.raises(NirError, match=r"bias.* is \d+ on the chip's grid|never decays"):
            from_nir(network)


class TestRefusals:
    """Each names the node, the field or value, and what to do."""

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (
                graph(2, ("w", linear(2, 2)), ("d", nir.Delay(np.full(2, 5e-4))), ("lif", lif(2)), out=2),
                r"node 'd' \(Delay\): delay 0.0005 is 0.5 steps of 0.001",
            ),
            (
                graph(2, ("d", nir.Delay(np.full(2, 70e-3))), ("w", linear(2, 2)), ("lif", lif(2)), out=2),
                r"node 'w': a delay of 70 steps from 'input' to 'lif', the limit is 62",
            ),
            (
                graph(3, ("w", linear(2, 4)), ("lif", lif(2)), out=2),
                r"node 'w' \(Linear\): weight has shape \(2, 4\), but \(3,\) arrives",
            ),
            (
                graph(3, ("w", linear(2, 3)), ("lif", lif(5)), out=5),
                r"node 'lif' \(CubaLIF\) has parameters of shape \(5,\), but \(2,\) arrives",
            ),
            (
                graph((2, 3, 3), ("c", conv(np.ones((2, 2, 4, 4)))), ("lif", lif(2, 1, 1)), out=(2, 1, 1)),
                r"node 'c' \(Conv2d\): kernel \(4, 4\).* give no output for an input of \(2, 3, 3\)",
            ),
            (
                graph((3, 3, 3), ("c", conv(np.ones((2, 2, 2, 2)))), ("lif", lif(2, 2, 2)), out=(2, 2, 2)),
                r"node 'c' \(Conv2d\): weight \(2, 2, 2, 2\) with 1 groups needs 2 input channels, 3 arrive",
            ),
        ],
    )
    def test_graph_is_refused_with_the_reason(self, given, message):
        with pytest.raises(NirError, match=message):
            from_nir(given)
        assert not check_nir(given).ok

    def test_voltage_into_another_neuron_is_refused(self):
        li = nir.LI(tau=np.full(2, 4e-3), r=np.full(2, 4.0), v_leak=np.zeros(2))
        given = graph(2, ("a", linear(2, 2)), ("li", li), ("b", linear(2, 2)), ("lif", lif(2)), out=2)
        with pytest.raises(NirError, match=r"node 'li' \(LI\) gives a voltage to 'lif'"):
            from_nir(given)

    @pytest.mark.parametrize("delay", [1e300, -1e-3])
    def test_a_delay_that_no_step_can_count_is_refused(self, delay):
        given = graph(2, ("w", linear(2, 2)), ("d", nir.Delay(np.full(2, delay))), ("lif", lif(2)), out=2)
        with pytest.raises(NirError, match=r"node 'd' \(Delay\): delay .* delays must be whole steps, 0 or more"):
            from_nir(given, dt=1e-3)

    def test_cycle_of_two_populations_without_delay_is_refused_or_listed(self):
        given = graph(2, ("a", linear(2, 2)), ("l1", lif(2)), ("b", linear(2, 2)), ("l2", lif(2)), out=2)
        given.nodes["back"] = linear(2, 2)
        given.edges += [("l2", "back"), ("back", "l1")]
        with pytest.raises(
            NirError, match=r"node 'back': the cycle from 'l2' back to 'l1' needs a Delay of at least 1 more"
        ):
            from_nir(given)
        assert not check_nir(given).ok
        assert from_nir(given, strict=False).ledger[0].size == "up to 1 steps later than in NIR"

    def test_time_constants_that_silence_every_weight_are_refused_with_the_remedy(self):
        steps = nir.LIF(tau=np.full(2, 20.0), r=np.ones(2), v_leak=np.zeros(2), v_threshold=np.full(2, 0.5))
        given = graph(2, ("w", linear(2, 2, 0.3)), ("lif", steps), out=2)
        with pytest.raises(NirError, match=r"all weights \(at most 0.3\) round to 0; is dt right\?.*pass dt=1"):
            from_nir(given, dt=1e-6)
        assert isinstance(from_nir(given, dt=1.0).projections[0].synapses, Dense)

    def test_nested_graph_with_two_inputs_is_refused(self):
        inner = graph(2, ("lif", lif(2)), out=2)
        inner.nodes["second"] = nir.Input(np.array([2]))
        with pytest.raises(NirError, match="nested graph 'block' has 2 Input nodes"):
            from_nir(graph(3, ("w", linear(2, 3)), ("block", inner), out=2))
