"""Resets by subtraction and payloads in NIR files: exact there and back, kept through edits, never lost in silence."""

import dataclasses
import re
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from building import ROOT, chain, connect, neuron, wired

from neurodeploy.errors import NirError
from neurodeploy.exchange.doctor.check import check_nir
from neurodeploy.exchange.doctor.diff import diff_nir
from neurodeploy.exchange.nir.graph import load_graph
from neurodeploy.exchange.nir.node_metadata import LARGEST_INVERSE, exact_inverse
from neurodeploy.exchange.nir.own_metadata import description_of
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Conv, Pool, difference

SUBTRACTS = neuron(reset="subtract")


def graded(network, *, bits=8, signed=False, scale=1.0, name="in"):
    """Return the network with payloads at an input."""
    inputs = [
        dataclasses.replace(i, payload_bits=bits, signed=signed, scale=scale) if i.name == name else i
        for i in network.inputs
    ]
    return dataclasses.replace(network, inputs=inputs)


def layers(first=None, second=None):
    """Two layers from an input of 4; all weights of the first are different, even and odd."""
    return chain({"a": np.arange(-7, 5).reshape(3, 4) * 19, "b": [[3, -8, 20], [90, 7, 1]]}, {"a": first, "b": second})


def nested(graph):
    """Return a graph that holds this one as a single node."""
    nodes = {"input": nir.Input(np.array([4])), "net": graph, "output": nir.Output(np.array([2]))}
    return nir.NIRGraph(nodes, [("input", "net"), ("net", "output")], type_check=False)


class TestReset:
    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [(None, None, "zero"), (SUBTRACTS, None, "by node"), (SUBTRACTS, SUBTRACTS, "subtract")],
    )
    def test_comes_back_for_each_population_and_is_recorded_only_where_it_is_not_to_zero(
        self, tmp_path, first, second, said
    ):
        network = layers(first, second)
        graph = to_nir(network, tmp_path / "a.nir")
        assert difference(from_nir(tmp_path / "a.nir"), network) is None
        assert graph.metadata["neurodeploy"]["reset"] == said
        for name, model in (("a", first), ("b", second)):
            assert graph.nodes[name].metadata == ({"neurodeploy": {"reset": "subtract"}} if model else {})

    def test_is_refused_without_metadata_with_the_way_out(self):
        with pytest.raises(
            NirError, match=r"population 'b' resets by subtraction.*metadata=True\), or write a \.nd5 file"
        ):
            to_nir(layers(None, SUBTRACTS), metadata=False)

    def test_stays_at_a_node_that_is_renamed_and_changed(self):
        graph = to_nir(layers(SUBTRACTS))
        graph.nodes["other"] = graph.nodes.pop("a")
        graph.nodes["other"].v_threshold = graph.nodes["other"].v_threshold * 2
        graph.edges = [tuple("other" if end == "a" else end for end in edge) for edge in graph.edges]
        back = from_nir(graph)
        assert back.population("other").model.reset == "subtract"
        assert back.population("other").model.threshold == 200
        assert back.population("b").model.reset == "zero"
        assert "do not fit the graph" in back.ledger[-1].what

    def test_stays_at_a_node_of_a_nested_graph(self):
        back = from_nir(nested(to_nir(layers(SUBTRACTS))))
        assert [p.model.reset for p in back.populations] == ["subtract", "zero"]

    @pytest.mark.parametrize("read", [from_nir, check_nir, lambda g: from_nir(nested(g))])
    def test_of_a_node_that_was_replaced_is_not_lost_in_silence(self, read):
        graph = to_nir(layers(SUBTRACTS))
        old = graph.nodes["a"]
        fields = {f: getattr(old, f) for f in ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in")}
        graph.nodes["a"] = nir.CubaLIF(**fields)
        refused = (
            "metadata of the graph says that 'a' subtracts its threshold when it fires, but the metadata of this node"
        )
        if read is check_nir:
            report = check_nir(load_graph(graph))
            assert not report.ok
            assert refused in next(n.reason for n in report.nodes if n.name == "a")
        else:
            with pytest.raises(NirError, match=refused):
                read(graph)
        graph.metadata.clear()
        assert [p.model.reset for p in from_nir(graph).populations] == ["zero", "zero"]

    def test_may_be_chosen_by_the_caller_where_the_file_says_nothing(self):
        graph = to_nir(layers(), metadata=False)
        back = from_nir(graph, reset="subtract")
        assert [p.model.reset for p in back.populations] == ["subtract", "subtract"]
        assert difference(from_nir(to_nir(back)), back) is None
        assert difference(from_nir(graph, reset="zero"), from_nir(graph)) is None

    @pytest.mark.parametrize(
        ("network", "reset", "message"),
        [
            (
                layers(),
                "subtract",
                "node 'a' was written with reset 'zero', but is read with reset='subtract'; leave reset out",
            ),
            (
                layers(SUBTRACTS, SUBTRACTS),
                "zero",
                "node 'a' was written with reset 'subtract', but is read with reset='zero'",
            ),
            (
                layers(SUBTRACTS),
                "subtract",
                "node 'b' was written with reset 'zero', but is read with reset='subtract'",
            ),
            (layers(), "half", "reset='half' is not possible; choose zero or subtract"),
        ],
    )
    def test_other_than_the_recorded_one_is_refused(self, network, reset, message):
        with pytest.raises(NirError, match=message):
            from_nir(to_nir(network), reset=reset)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (
                lambda node: node.metadata.update(neurodeploy={"reset": "half"}),
                r"reset is 'half'; known: zero, subtract",
            ),
            (lambda node: node.metadata.update(neurodeploy={"reset": 3}), r"reset is 3; known"),
            (lambda node: node.metadata.update(neurodeploy="subtract"), "is no group of values"),
            (
                lambda node: node.metadata["neurodeploy"].update(leak=1),
                "holds leak; at this node only reset has a meaning",
            ),
            (
                lambda node: setattr(node, "v_reset", np.full(3, 0.5)),
                r"v_reset is 0\.5, but the neuron resets by subtraction",
            ),
        ],
    )
    def test_that_has_no_meaning_is_refused_with_node_and_value(self, spoil, message):
        graph = to_nir(layers(SUBTRACTS))
        spoil(graph.nodes["a"])
        with pytest.raises(NirError, match=rf"node 'a' \(CubaLIF\).*{message}"):
            from_nir(graph)

    def test_of_a_node_that_never_fires_is_refused(self):
        graph = to_nir(layers(None, neuron("leaky_integrator")))
        graph.nodes["b"].metadata["neurodeploy"] = {"reset": "subtract"}
        with pytest.raises(NirError, match=r"node 'b' \(CubaLI\).*but only CubaLIF, LIF, IF have a reset"):
            from_nir(graph)


EXACT = [1.0, 0.25, 2.0**-20, 4.0, 1 / 255, 2 / 255, 1 / 49, 1e-3, 1 / LARGEST_INVERSE]


class TestPayloads:
    @pytest.mark.parametrize("scale", EXACT)
    def test_come_back_with_the_same_integers_whatever_the_scale(self, tmp_path, scale):
        weights = np.arange(-256, 256).reshape(32, 16)
        network = graded(chain({"a": weights}), bits=11, signed=True, scale=scale)
        to_nir(network, tmp_path / "a.nir")
        back = from_nir(tmp_path / "a.nir")
        assert difference(back, network) is None
        assert back.ledger == ()

    def test_stand_in_the_metadata_of_the_input_and_divide_its_weights_by_the_scale(self):
        """A float reader that feeds 0.25 for a payload of 1 gets 64 weight units from a weight of 64, as the integers do."""
        graph = to_nir(graded(chain({"a": [[64, -32]], "b": [[64]]}), bits=4, scale=0.25))
        assert graph.nodes["input"].metadata == {"neurodeploy": {"payload_bits": 4, "signed": False, "scale": 0.25}}
        assert graph.nodes["w1"].weight.tolist() == [[4.0, -2.0]]
        assert graph.nodes["w2"].weight.tolist() == [[1.0]]

    def test_of_two_inputs_and_several_projections_come_back(self, tmp_path):
        rng = np.random.default_rng(3)
        image = (2, 6, 5)
        conv = Conv(weights=rng.integers(-200, 200, (4, 1, 3, 3)), input_shape=image, groups=2)
        pool = Pool(input_shape=image, kernel=(2, 2), stride=(2, 2), weight=37)
        projections = [
            connect("pixels", "conv", conv, weight_exponent=-2),
            connect("pixels", "pool", pool, weight_exponent=1, delay=3),
            connect("pixels", "read", rng.integers(-99, 99, (2, 60))),
            connect("flags", "read", rng.integers(-99, 99, (2, 3)), weight_exponent=3),
        ]
        populations = {
            "conv": (conv.output_shape, SUBTRACTS),
            "pool": (pool.output_shape, neuron()),
            "read": (2, neuron("leaky_integrator")),
        }
        network = wired({"pixels": image, "flags": 3}, populations, projections)
        network = graded(graded(network, scale=1 / 255, name="pixels"), bits=3, scale=0.5, name="flags")
        to_nir(network, tmp_path / "a.nir")
        assert difference(from_nir(tmp_path / "a.nir"), network) is None

    def test_go_through_synaptic_and_axonal_delays(self):
        rng = np.random.default_rng(5)
        projections = [
            connect("in", "a", rng.integers(-256, 255, (3, 4)), "synaptic", delay=rng.integers(0, 3, (3, 4))),
            connect("in", "a", rng.integers(-256, 255, (3, 4)), "axonal", delay=rng.integers(0, 9, 4)),
            connect("spikes", "a", rng.integers(-256, 255, (3, 2)), "plain", weight_exponent=2),
        ]
        network = graded(wired({"in": 4, "spikes": 2}, {"a": (3, SUBTRACTS)}, projections), scale=1 / 100)
        back = from_nir(to_nir(network))
        assert difference(back, network) is None
        assert [i.graded for i in back.inputs] == [True, False]

    def test_survive_an_edit_that_the_other_metadata_does_not_fit(self):
        graph = to_nir(graded(layers(), scale=1 / 255))
        graph.nodes["more"] = nir.Output(np.array([3]))
        graph.edges.append(("a", "more"))
        back = from_nir(graph)
        assert "do not fit the graph" in back.ledger[-1].what
        assert (back.inputs[0].payload_bits, back.inputs[0].scale) == (8, 1 / 255)
        assert np.array_equal(back.projections[0].synapses.weights, layers().projections[0].synapses.weights)

    def test_of_an_input_that_was_replaced_are_not_lost_in_silence(self):
        graph = to_nir(graded(layers()))
        graph.nodes["input"] = nir.Input(np.array([4]))
        with pytest.raises(
            NirError, match=r"says that 'input' takes payloads, but the metadata of this node.*\(payload_bits=\.\.\.\)"
        ):
            from_nir(graph)

    def test_of_a_nested_graph_are_refused_with_the_way_out(self):
        with pytest.raises(
            NirError, match="Input of the nested graph 'net' takes payloads.*move the entry 'neurodeploy'"
        ):
            from_nir(nested(to_nir(graded(layers()))))

    def test_without_metadata_are_values_where_the_scale_is_1(self, tmp_path):
        network = graded(layers())
        to_nir(network, tmp_path / "a.nir", metadata=False)
        back = from_nir(tmp_path / "a.nir")
        assert not back.inputs[0].graded
        assert np.array_equal(back.projections[0].synapses.weights, network.projections[0].synapses.weights)

    def test_with_a_scale_are_refused_without_metadata(self):
        with pytest.raises(
            NirError, match=r"input 'in' has the scale 0\.25.*metadata=True\), set the scale to 1, or write a \.nd5"
        ):
            to_nir(graded(layers(), scale=0.25), metadata=False)

    @pytest.mark.parametrize("scale", [0.3, 1 / (LARGEST_INVERSE + 2), np.pi])
    def test_whose_scale_makes_no_exact_weights_are_refused_and_nothing_is_written(self, tmp_path, scale):
        network = graded(chain({"a": [[255, 1]]}), scale=scale)
        with pytest.raises(
            NirError, match=r"scale.*a power of two,? or one over a whole number up to 65793, or write a \.nd5"
        ):
            to_nir(network, tmp_path / "a.nir")
        assert list(tmp_path.iterdir()) == []

    def test_whose_weights_float16_cannot_hold_are_refused_with_float32_as_the_way_out(self):
        network = graded(chain({"a": [[255, 1]]}), scale=1 / 255)
        with pytest.raises(
            NirError, match=r"weights of 'w1', divided by the scale 0\.00392157 of its input 'in'.*weights='float32'"
        ):
            to_nir(network, weights="float16")
        pool = Pool(input_shape=(1, 4, 4), kernel=(2, 2), stride=(2, 2), weight=37)  # the Scale behind it is float64
        pooled = graded(chain([pool]), scale=1 / 255)
        assert difference(from_nir(to_nir(pooled, weights="float16")), pooled) is None
        few = graded(chain({"a": [[1, 2, -4]]}), scale=1 / 255)
        assert difference(from_nir(to_nir(few, weights="float16")), few) is None

    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            ({"payload_bits": 40}, "payload_bits is 40, outside 0..31"),
            ({"payload_bits": 2.5}, "payload_bits must hold whole numbers"),
            ({"payload_bits": 8, "scale": -1.0}, "scale is -1.0, must be a positive number"),
            ({"payload_bits": 8, "scale": "much"}, "scale 'much', expected a truth value and a number"),
            ({"payload_bits": 8, "signed": "no"}, "signed is 'no'"),
            ({"bits": 8}, "holds bits; at this node only payload_bits, signed, scale has a meaning"),
        ],
    )
    def test_that_have_no_meaning_are_refused_with_node_and_value(self, entry, message):
        graph = to_nir(layers())
        graph.nodes["input"].metadata["neurodeploy"] = entry
        with pytest.raises(NirError, match=rf"node 'input' \(Input\).*{message}"):
            from_nir(graph)

    def test_with_another_scale_in_the_file_change_the_integers(self):
        """An edit of the record is taken at its word: half the scale, half the weight of a payload."""
        graph = to_nir(graded(chain({"a": [[64, -32]]}), scale=0.25))
        graph.nodes["input"].metadata["neurodeploy"]["scale"] = 0.125
        back = from_nir(graph)
        assert np.ldexp(back.projections[0].synapses.weights, back.projections[0].weight_exponent).tolist() == [
            [32, -16]
        ]


@pytest.mark.parametrize("scale", EXACT)
def test_inverse_of_a_scale_is_exact(scale):
    found = exact_inverse(scale)
    assert 1 / found == scale
    mantissa = found / 2.0 ** np.floor(np.log2(found)) * 2**23
    assert mantissa == int(mantissa)


def test_inverse_of_other_scales_is_none():
    assert [exact_inverse(s) for s in (0.3, np.pi, 5e-324, 1 / (2**24 + 1))] == [None] * 4


ENDS = {"output": "output_neurons", "class": "output"}
"""Nodes of files from before, and what they are called now."""


class TestFilesFromBefore:
    def test_file_of_a_network_without_these_features_is_the_one_from_before(self, tmp_path):
        """``digits.nir`` was written before neurodeploy knew resets and payloads."""
        before = ROOT / "tests" / "golden" / "commands" / "digits.nir"
        to_nir(from_nir(before), tmp_path / "again.nir")
        assert from_nir(before).fingerprint == from_nir(tmp_path / "again.nir").fingerprint
        changed = {d.where for d in diff_nir(before, tmp_path / "again.nir", metadata=False)}
        ends = ("class", "output", "output_neurons")  # the names of the ends are all that changed
        assert all(any(end in where for end in ends) for where in changed), changed
        own = load_graph(tmp_path / "again.nir")
        assert description_of(own).keys() == description_of(load_graph(before)).keys()
        assert description_of(own)["format"] == 1
        old, new = members(before), members(tmp_path / "again.nir")
        moved = [re.sub(r"(?<=/nodes/)(output|class)\b", lambda m: ENDS[m[0]], name) for name in old]
        assert sorted(moved) == new

    @pytest.mark.parametrize("network", [layers(SUBTRACTS), graded(layers())])
    def test_file_with_them_says_that_readers_of_format_1_do_not_know_all_of_it(self, network):
        assert to_nir(network).metadata["neurodeploy"]["format"] == 2


def members(path: Path) -> list[str]:
    found: list[str] = []
    with h5py.File(path) as file:
        file.visit(found.append)
    return sorted(found)


class TestCheckAndDiff:
    def test_check_names_neurons_that_subtract_and_inputs_with_payloads_as_faithful(self, tmp_path):
        to_nir(graded(layers(SUBTRACTS), bits=5, signed=True, scale=0.5), tmp_path / "a.nir")
        report = check_nir(tmp_path / "a.nir")
        reasons = {node.name: node.reason for node in report.nodes}
        assert {node.verdict for node in report.nodes} == {"faithful"}
        assert reasons["a"] == "reset by subtraction: a spike takes the threshold off the voltage"
        assert reasons["input"] == "graded input: payloads of 5 bits, -16..15; a payload of 1 is the value 0.5"
        assert reasons["b"] == reasons["w1"] == ""

    def test_check_repairs_such_a_file_without_losing_them(self, tmp_path):
        graph = to_nir(graded(layers(SUBTRACTS), scale=1 / 255))
        graph.edges.append(graph.edges[0])
        nir.write(tmp_path / "a.nir", graph)
        report = check_nir(tmp_path / "a.nir", fix=tmp_path / "b.nir")
        assert report.repairs
        back, given = from_nir(tmp_path / "b.nir"), graded(layers(SUBTRACTS), scale=1 / 255)
        for fixed, own in zip(back.inputs, given.inputs, strict=True):
            assert (fixed.payload_bits, fixed.signed, fixed.scale) == (own.payload_bits, own.signed, own.scale)
        resets = [[p.model.reset for p in network.populations] for network in (back, given)]
        assert resets[0] == resets[1]
        assert "subtract" in resets[0]

    @pytest.mark.parametrize("metadata", [True, False])
    def test_diff_shows_resets_and_payloads_like_fields(self, metadata):
        one = to_nir(graded(layers(SUBTRACTS), bits=8))
        other = to_nir(graded(layers(None, SUBTRACTS), bits=9, signed=True, scale=0.5))
        found = {d.where: d.what for d in diff_nir(one, other, metadata=metadata)}
        assert found["a.reset"] == "subtract -> zero"
        assert found["b.reset"] == "zero -> subtract"
        assert found["input.payload_bits"] == "8 -> 9"
        assert found["input.signed"] == "False -> True"
        assert found["input.scale"] == "1.0 -> 0.5"
        assert ("metadata.neurodeploy.network" in found) == metadata
        assert not any("metadata" in where for where in found if where.startswith(("a", "b", "input")))
        assert "input.payload_bits" in {d.where for d in diff_nir(to_nir(layers()), one)}


@pytest.mark.parametrize("value", [1 + 2j, 1.5, [1, 2], np.nan])
def test_a_format_that_is_no_number_of_one_is_not_cut_to_one(value, tmp_path):
    to_nir(chain([((2, 4),), ((3,),)]), tmp_path / "a.nir")
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        del file["node/metadata/neurodeploy/format"]
        file["node/metadata/neurodeploy/format"] = value
    assert "do not fit the graph" in from_nir(tmp_path / "a.nir").ledger[-1].what
