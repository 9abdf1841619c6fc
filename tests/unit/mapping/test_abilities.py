"""Kinds of neurons, resets and payloads: what a chip lacks is refused with a way out, what it has is mapped and counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import chain, connect, every_kind, neuron, one_layer, wired

from neurodeploy.chip import Chip, chip_from_dict, load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FitError
from neurodeploy.mapping.abilities import ability_notes, check_abilities, find_lacks, states_abilities
from neurodeploy.mapping.fit.restrictions import find_restrictions
from neurodeploy.mapping.fit.search import find_highest_density, find_smallest_chip, fit
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.synapses import joins_encoder
from neurodeploy.mapping.percore import per_core
from neurodeploy.network import Cuba, Delta, Network, ResonateAndFire, SigmaDelta, Sparse
from neurodeploy.network.neurons import NEURON_KINDS

SUBTRACTING = Cuba(current_decay=1024, voltage_decay=128, threshold=100, reset="subtract")
WEIGHTS = [[2, 4], [6, 8]]


def small(model=None, *, graded: bool | int = False) -> Network:
    return chain({"hidden": WEIGHTS, "out": WEIGHTS}, {"hidden": model or neuron(), "out": neuron()}, graded=graded)


def stating(chip: Chip, **cores: object) -> Chip:
    """Return a chip whose file says something else of its cores; None takes a statement away."""
    data = chip.model_dump(mode="json", exclude_none=True)
    data["cores"] = {key: v for key, v in {**data["cores"], **cores}.items() if v is not None}
    return chip_from_dict(data)


def words(*value: str) -> dict[str, object]:
    return {"value": list(value), "source": "here", "grade": "guess"}


def bits(value: int) -> dict[str, object]:
    return {"value": value, "unit": "bits", "source": "here", "grade": "guess"}


def sdnn() -> Network:
    """Values, a delta encoder, a sigma-delta layer and a summing output, as lava-dl builds them."""
    one_each = Sparse(n_target=6, start=np.arange(7), target=np.arange(6), weights=np.ones(6, int))
    rng = np.random.default_rng(3)
    into, out = 2 * rng.integers(-20, 30, (5, 6)), 2 * rng.integers(-20, 30, (2, 5))
    models = {"encoder": Delta(threshold=3), "hidden": neuron("sigma_delta"), "out": neuron("sigma")}
    return chain({"encoder": one_each, "hidden": into, "out": out}, models, graded=8, decoding="last_message")


class TestRefusals:
    def test_a_reset_that_the_chip_lacks_names_layer_chip_file_key_and_both_ways_out(self) -> None:
        with pytest.raises(FitError) as caught:
            map_network(small(SUBTRACTING), load_chip("loihi1"))
        assert str(caught.value) == (
            "map: layer 'hidden' resets by subtracting the threshold, but neurons of chip 'loihi1' reset to zero only "
            '(hardware/loihi1.toml: cores.resets); map to a chip that has this reset, or train with reset = "zero"'
        )
        assert caught.value.binding == {
            "layer": "hidden", "core": 0, "resource": "resets", "used": "subtract", "limit": "zero"
        }  # fmt: skip
        assert caught.value.exit_code == 8

    @pytest.mark.parametrize("chip", ["loihi1", "nahuku32", "truenorth", "spinnaker2", "xylo_a2"])
    @pytest.mark.parametrize("kind", [kind for kind in NEURON_KINDS if kind not in ("cuba", "leaky_integrator")])
    def test_a_kind_that_the_chip_lacks_is_named(self, chip: str, kind: str) -> None:
        shown = kind.replace("_", "-")
        with pytest.raises(
            FitError, match=rf"^map: layer 'hidden' has {shown} neurons, but chip '{chip}' has CUBA and"
        ) as caught:
            map_network(small(neuron(kind)), load_chip(chip))
        assert f"(hardware/{chip}.toml: cores.neuron_kinds is not there)" in str(caught.value)

    def test_the_kinds_that_a_chip_states_are_listed(self) -> None:
        chip = stating(load_chip("loihi2"), neuron_kinds=words("cuba", "sigma", "sigma_delta"))
        with pytest.raises(FitError, match=r"has CUBA, sigma and sigma-delta neurons only \(.*: cores\.neuron_kinds\)"):
            map_network(small(neuron("delta")), chip)

    def test_payloads_of_an_input_where_the_chip_has_none_few_or_says_nothing(self) -> None:
        network, loihi = small(graded=8), load_chip("loihi1")
        with pytest.raises(
            FitError, match=r"^map: input 'in' carries payloads of 8 bits, but chip 'loihi1' takes plain spikes"
        ) as caught:
            map_network(network, loihi)
        assert "cores.graded_input_bits); encode the values as spikes or map to a chip that takes them" in str(
            caught.value
        )
        with pytest.raises(
            FitError, match=r"chip 'loihi1' takes payloads of 7 bits .* give the input at most 7 payload_bits"
        ):
            map_network(network, stating(loihi, graded_input_bits=bits(7)))
        with pytest.raises(
            FitError, match=r"the file of chip 'loihi1' does not say that it takes any \(.* is not there\)"
        ):
            map_network(network, stating(loihi, graded_input_bits=None))
        assert len(map_network(network, stating(loihi, graded_input_bits=bits(8))).cores) == 2

    def test_a_mapping_by_hand_keeps_to_what_neurons_can_do(self) -> None:
        cores = {"hidden": np.array([0, 1]), "out": np.array([0, 0])}
        with pytest.raises(FitError, match="layer 'hidden' has sigma neurons, but chip 'loihi1'"):
            map_by_hand(small(neuron("sigma")), load_chip("loihi1"), cores, formats="sparse")

    def test_no_density_helps_where_a_neuron_is_lacking(self) -> None:
        with pytest.raises(FitError, match="layer 'hidden' resets by subtracting"):
            find_highest_density(small(SUBTRACTING), load_chip("loihi1"))


class TestWaysOut:
    def test_chips_whose_file_states_the_reset_are_offered_and_no_density(self) -> None:
        """TrueNorth and SpiNNaker 2 would take its synapses, but their files do not say which reset they have."""
        found = fit(chain({"hidden": WEIGHTS, "out": WEIGHTS}, SUBTRACTING), load_chip("loihi1"))
        assert not found.fits
        assert {remedy.kind for remedy in found.remedies} == {"chip"}
        assert [r.cost["chip"] for r in found.remedies] == ["kapoho_point", "loihi2", "loihi2_2023", "xylo_a2"]
        both = fit(small(SUBTRACTING), load_chip("loihi1"))  # its output resets to zero, which Xylo does not
        assert [r.cost["chip"] for r in both.remedies] == ["kapoho_point", "loihi2", "loihi2_2023"]

    def test_chips_that_take_payloads_are_offered(self) -> None:
        found = fit(small(neuron(), graded=8), load_chip("loihi1"))
        assert [r.cost["chip"] for r in found.remedies] == ["kapoho_point", "loihi2", "loihi2_2023"]

    def test_the_smallest_chip_for_sigma_delta_neurons_has_them(self) -> None:
        mapping = find_smallest_chip(sdnn(), ["nahuku32", "xylo_a2", "kapoho_point", "loihi2"])
        assert mapping is not None
        assert mapping.chip.name == "loihi2"
        assert find_smallest_chip(sdnn(), ["nahuku32", "xylo_a2"]) is None

    def test_a_chip_that_says_nothing_of_resets_states_nothing(self) -> None:
        chip, network = load_chip("truenorth"), small(SUBTRACTING)
        assert not list(find_lacks(network, chip))
        assert not states_abilities(network, chip)
        assert states_abilities(network, load_chip("loihi2"))


class TestChipsOfWhichOnlyLimitsAreChecked:
    def test_a_reset_to_zero_maps_to_a_chip_that_subtracts_with_a_note(self) -> None:
        network = small()
        assert map_network(network, load_chip("xylo_a2")).notes == (
            "resets differ: to zero in the network (hidden, out), by subtracting the threshold on chip 'xylo_a2' "
            "(hardware/xylo_a2.toml: cores.resets); memory and limits only, the network's steps are not its own",
        )
        assert ability_notes(small(SUBTRACTING), load_chip("loihi2")) == ()

    def test_a_network_that_subtracts_like_the_chip_has_no_note(self) -> None:
        network = chain({"hidden": WEIGHTS, "out": WEIGHTS}, SUBTRACTING)
        assert map_network(network, load_chip("xylo_a2")).notes == ()

    def test_where_no_reset_is_known_none_is_checked(self) -> None:
        assert len(map_network(small(SUBTRACTING), load_chip("spinnaker2")).cores) == 2


class TestRestrictionsOfCheck:
    def test_every_population_and_input_that_the_chip_lacks_is_named(self) -> None:
        network = chain({"a": WEIGHTS, "b": WEIGHTS, "c": WEIGHTS}, {"a": SUBTRACTING, "b": neuron("sigma")}, graded=8)
        listed = list(find_restrictions(network, load_chip("loihi1")))
        assert [r.where for r in listed] == ["a", "b", "in"]
        found = {r.where: r for r in listed}
        assert all(r.verdict == "unsupported" for r in found.values())
        assert "cores.resets" in found["a"].reason
        assert "cores.neuron_kinds" in found["b"].reason
        assert "cores.graded_input_bits" in found["in"].reason

    def test_limits_of_the_other_layers_are_found_all_the_same(self) -> None:
        wide = np.arange(-255, 255, 2)[None].repeat(2, axis=0)
        network = one_layer(wide, graded=8)
        assert [(r.where, "weight" in r.reason) for r in find_restrictions(network, load_chip("loihi1"))] == [
            ("in", False), ("w", True)
        ]  # fmt: skip

    def test_there_are_none_on_a_chip_that_has_everything(self) -> None:
        assert list(find_restrictions(sdnn(), load_chip("loihi2"))) == []


class TestMappingOfOtherKinds:
    def test_complex_weights_are_two_lists_with_an_input_axon_each(self) -> None:
        rng = np.random.default_rng(0)
        real, imag = 2 * rng.integers(1, 60, (5, 7)), 2 * rng.integers(1, 60, (5, 7))
        real[:, 3] = 0
        network = wired(
            {"in": 7},
            {"rf": (5, neuron("resonate_and_fire"))},
            [connect("in", "rf", real, "real"), connect("in", "rf", imag, "imag", component="imag")],
        )
        core = map_network(network, load_chip("loihi2")).cores[0]
        assert core.used["input_axons"] == 6 + 7
        per_list = -(-(5 * (core.weight_bits["real"] + 12) + 8) // 64)
        assert core.words == {"real": 6 * per_list, "imag": 7 * per_list}

    def test_printed_words_of_an_axon_of_pilotnet_sdnn(self) -> None:
        """Rows fc1 and fc2 of the table of the lava-dl notebook: 100 neurons at 4 bits, 50 at 6 bits."""
        for n, width, printed in ((100, 4, 26), (50, 6, 15)):
            high = 2 ** (width - 1)
            weights = np.resize(np.r_[-high, 1, np.arange(2, high)], (n, 3))
            chip = load_chip("loihi2_2023")
            core = map_network(one_layer(weights, neuron("sigma_delta"), graded=8), chip, split="compiler").cores[0]
            assert core.weight_bits == {"w": width}
            assert core.used["synapse_words"] == 3 * printed

    @pytest.mark.parametrize("split", ["equal", "overlap", "compiler"])
    def test_a_network_cut_into_cores_sends_the_same_messages(self, split: str) -> None:
        network, given, _ = every_kind()
        names = [p.name for p in network.populations]
        mapping = map_network(network, load_chip("loihi2"), split=split, cores=dict.fromkeys(names, 2))
        assert len(mapping.cores) >= 2 * len(names)
        whole = simulate(network, given, engine="reference").spikes
        parts = simulate(per_core(network, mapping), given, engine="reference").spikes
        for name in names:
            sent = np.zeros_like(whole[name].to_dense())
            for i, load in enumerate(mapping.cores):
                if name in load.neurons:
                    sent[..., load.neurons[name]] = parts[f"{name}@{i}"].to_dense()
            np.testing.assert_array_equal(sent, whole[name].to_dense(), err_msg=name)

    def test_a_reset_by_subtraction_survives_the_cut(self) -> None:
        network = small(SUBTRACTING)
        parts = per_core(network, map_network(network, load_chip("loihi2"), cores={"hidden": 2}))
        assert [p.model.reset for p in parts.populations if p.name.startswith("hidden")] == ["subtract", "subtract"]

    def test_state_of_unknown_size_is_a_note(self) -> None:
        note = map_network(sdnn(), load_chip("loihi2")).notes[0]
        assert "not public for delta, sigma-delta, sigma neurons: each counts as one" in note
        assert note.endswith("(encoder, hidden, out)")
        assert map_network(small(), load_chip("loihi2")).notes == ()

    def test_messages_have_the_bits_that_the_file_states_or_the_kind_is_not_there(self) -> None:
        less = stating(load_chip("loihi2"), neuron_kinds=None, message_bits=None)
        with pytest.raises(FitError, match="has delta neurons"):
            check_abilities(sdnn(), less)

    def test_wires_are_told_from_weights(self) -> None:
        network = sdnn()
        assert [joins_encoder(network, p) for p in network.projections] == [True, False, False]
        twice = replace(network.projections[0], synapses=Sparse(
            n_target=6, start=np.r_[0, 2, np.arange(2, 7)], target=np.arange(6), weights=np.ones(6, int)
        ))  # fmt: skip
        assert not joins_encoder(network, twice)

    def test_a_mapping_by_hand_of_every_kind_can_be_priced(self) -> None:
        network, given, _ = every_kind()
        cores = {p.name: np.full(p.size, i) for i, p in enumerate(network.populations)}
        mapping = map_by_hand(network, load_chip("loihi2"), cores, formats="fc")
        activity = simulate(network, given, labels=mapping.core_labels())
        assert estimate(network, mapping, activity).energy.total_j.nominal > 0


def test_models_of_every_kind_are_spoken_of_by_name() -> None:
    """A kind without a word would be shown with its underscore."""
    for kind in NEURON_KINDS:
        lacks = list(find_lacks(one_layer(WEIGHTS, neuron(kind)), load_chip("loihi1")))
        assert all("_" not in lack.reason.split("(")[0] for lack in lacks)
    assert ResonateAndFire.kind in NEURON_KINDS
    assert SigmaDelta.kind in NEURON_KINDS
