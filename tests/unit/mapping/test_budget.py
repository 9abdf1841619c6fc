"""A chip budget on its own, without torch: places, limits, what fits, and errors that say the numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from building import chain, neuron

from neurodeploy.chip import load_chip
from neurodeploy.errors import ChipError, FitError, UsageError
from neurodeploy.mapping.budget.limits import chip_budget
from neurodeploy.mapping.budget.meters import running
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Network

MODEL = neuron()


def _masks(*shapes: tuple[int, int], density: float = 0.3, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"layer{i}": rng.random(shape) < density for i, shape in enumerate(shapes)}


def network_of(masks: dict[str, np.ndarray], seed: int = 0) -> Network:
    """A network with a weight of full width wherever a mask is set, so that no synapse is lost and 8 bits are stored."""
    rng = np.random.default_rng(seed)
    weights = {n: np.where(m, rng.choice([-256, -2, 2, 254], m.shape), 0) for n, m in masks.items()}
    return chain(weights, MODEL, source="input", wire="to {target}")


def _positions(budget, *places: tuple[int, int, int]) -> np.ndarray:
    return np.array([budget.layers[i].first_position + row * budget.layers[i].n_sources + j for i, row, j in places])


class TestCounts:
    def test_usage_of_masks_equals_what_the_mapper_counts_on_loihi_2(self):
        masks = _masks((60, 40), (30, 60))
        cores = {"layer0": 4, "layer1": 2}
        used = chip_budget(load_chip("loihi2"), masks, cores=cores).usage(masks)
        mapping = map_network(network_of(masks), load_chip("loihi2"), split="equal", placement="order", cores=cores)
        for name, register in [(n, r) for n in masks for r in ("synapse_words", "input_axons")]:
            loads = [mapping.cores[i] for i in mapping.layer_cores(name)]
            assert used[name][register].tolist() == [load.used[register] for load in loads]

    def test_destinations_of_a_core_are_those_of_its_busiest_source(self):
        """Source 0 reaches both cores, source 1 the first, source 2 none."""
        mask = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]], bool)
        used = chip_budget(load_chip("loihi2"), {"a": mask}, cores=2).usage({"a": mask})["a"]
        assert used["input_axons"].tolist() == [2, 1]
        assert used["destinations"].tolist() == [2, 2]

    def test_reach_is_the_list_of_a_position_by_the_mean_list_of_its_core(self):
        mask = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
        reach = chip_budget(load_chip("loihi2"), {"a": mask}, cores=2).reach("a", mask)
        assert reach.dtype == np.float32
        assert reach.tolist() == [[2, 1, 0], [2, 1, 0], [0, 0, 3], [0, 0, 3]]

    def test_reach_of_an_empty_core_is_zero(self):
        mask = np.zeros((4, 3), bool)
        assert not chip_budget(load_chip("loihi2"), {"a": mask}, cores=2).reach("a", mask).any()

    def test_labels_may_be_those_of_a_mapping(self):
        masks = _masks((60, 40), (30, 60))
        network = network_of(masks)
        mapping = map_network(network, load_chip("loihi2"), cores={"layer0": 3})
        budget = chip_budget(load_chip("loihi2"), masks, labels=mapping.core_labels())
        used = budget.usage(masks)
        for name in masks:
            loads = [mapping.cores[i] for i in mapping.layer_cores(name)]
            assert used[name]["input_axons"].tolist() == [load.used["input_axons"] for load in loads]
            assert used[name]["synapse_words"].tolist() == [load.used["synapse_words"] for load in loads]

    def test_by_default_a_layer_takes_the_fewest_cores_that_the_masks_fit(self):
        masks = _masks((512, 1024), density=0.3)
        budget = chip_budget(load_chip("loihi2"), masks)
        mapping = map_network(network_of(masks), load_chip("loihi2"), split="equal")
        assert budget.layers[0].cut.n_parts == len(mapping.cores) > 1


class TestRoom:
    def test_a_full_core_takes_what_costs_no_further_word_and_nothing_else(self):
        """One word holds two synapses of a list, so that the second one of source 0 is free and source 1 must stay out."""
        mask = np.zeros((4, 3), bool)
        mask[0, 0] = True
        budget = chip_budget(load_chip("loihi2"), {"a": mask}, cores=1, synapse_words=1)
        room = budget.room(mask.ravel())
        places = _positions(budget, (0, 1, 0), (0, 1, 1))
        assert room.fits(places).tolist() == [True, False]
        assert room.admit(places[:1]).tolist() == [True]
        assert room.fits(_positions(budget, (0, 2, 0), (0, 1, 1))).tolist() == [False, False]

    def test_input_axons_count_sources_and_not_synapses(self):
        budget = chip_budget(load_chip("loihi2"), {"a": np.zeros((4, 3), bool)}, cores=1, input_axons=2)
        room = budget.room(np.zeros(12, bool))
        places = _positions(budget, (0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 2), (0, 3, 1))
        assert room.admit(places).tolist() == [True, True, True, False, True]

    def test_a_synapse_is_not_taken_on_the_credit_of_one_in_its_list_that_was_refused(self):
        """The list of source 1 would be opened by the second position, which finds no axon; the third needs that list."""
        budget = chip_budget(load_chip("loihi2"), {"a": np.zeros((4, 3), bool)}, cores=1, input_axons=1)
        room = budget.room(np.zeros(12, bool))
        assert room.admit(_positions(budget, (0, 0, 0), (0, 0, 1), (0, 1, 1))).tolist() == [True, False, False]

    def test_destinations_limit_the_cores_of_a_source_over_the_cores(self):
        budget = chip_budget(load_chip("loihi2"), {"a": np.zeros((4, 2), bool)}, cores=4, destinations=2)
        room = budget.room(np.zeros(8, bool))
        places = _positions(budget, (0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 1))
        assert room.admit(places).tolist() == [True, True, False, True]

    def test_output_axons_are_charged_to_the_core_of_the_source(self):
        chip = load_chip("loihi1")
        axons = chip.cores.output_axons.model_copy(update={"value": 2})
        chip = chip.model_copy(update={"cores": chip.cores.model_copy(update={"output_axons": axons})})
        masks = {"a": np.zeros((4, 2), bool), "b": np.zeros((3, 4), bool)}
        budget = chip_budget(chip, masks, cores={"a": 2, "b": 3}, sources={"b": "a"})
        room = budget.room(budget.join(masks))
        # neurons 0 and 1 of layer a share a core with two entries, neuron 2 lies on the other
        places = _positions(budget, (1, 0, 0), (1, 1, 1), (1, 2, 0), (1, 2, 2))
        assert room.admit(places).tolist() == [True, True, False, True]

    def test_the_pool_of_a_loihi_2_core_holds_words_axons_and_neurons_together(self):
        chip = load_chip("loihi2")
        pool = chip.cores.pool_words.model_copy(update={"value": 4 + 4 + 2 * 2})
        chip = chip.model_copy(update={"cores": chip.cores.model_copy(update={"pool_words": pool})})
        budget = chip_budget(chip, {"a": np.zeros((4, 3), bool)}, cores=1)
        room = budget.room(np.zeros(12, bool))
        # four neurons with a map entry each leave four words: two lists of one word and one axon
        assert room.admit(_positions(budget, (0, 0, 0), (0, 0, 1), (0, 0, 2))).tolist() == [True, True, False]

    def test_running_sums_by_key_in_order(self):
        key, values = np.array([2, 0, 2, 2, 0]), np.array([1, 10, 2, 3, 20])
        assert running(key, values).tolist() == [1, 10, 3, 6, 30]
        assert running(key[:0], values[:0]).tolist() == []


class TestErrors:
    """What, where and what to do, with the numbers."""

    def test_more_connections_than_the_words_hold(self):
        mask = {"hidden1": np.random.default_rng(0).random((512, 2312)) < 0.1}
        with pytest.raises(FitError) as caught:
            chip_budget(load_chip("loihi2"), mask, cores=2)
        message = str(caught.value)
        assert f"budget: layer 'hidden1' has {mask['hidden1'].sum()} connections, but its 2 cores of chip" in message
        assert (
            "'loihi2' hold at most 102232 (16000 synapse words, 16000 input axons); lower its density to 0.0863"
            in message
        )
        assert caught.value.binding == {
            "layer": "hidden1", "core": 0, "resource": "connections", "used": int(mask["hidden1"].sum()), "limit": 102232,
        }  # fmt: skip

    def test_more_connections_than_the_axons_or_destinations_reach(self):
        mask = {"a": np.ones((8, 10), bool)}
        with pytest.raises(FitError, match="has 80 connections, but its 2 cores .* hold at most 24 .*3 input axons"):
            chip_budget(load_chip("loihi2"), mask, cores=2, input_axons=3)
        with pytest.raises(FitError, match="hold at most 40 .*1 destinations.*density to 0.5000"):
            chip_budget(load_chip("loihi2"), mask, cores=2, destinations=1)

    def test_masks_that_break_a_limit_are_named_with_core_amount_and_limit(self):
        mask = np.ones((4, 3), bool)
        budget = chip_budget(load_chip("loihi2"), {"a": mask[:, :1].repeat(3, 1) & False}, cores=2, input_axons=2)
        with pytest.raises(
            FitError, match="layer 'a' takes 3 input axons on its core 0, but the limit is 2; fit the masks"
        ):
            budget.room(mask.ravel())

    def test_too_many_cores_or_neurons(self):
        masks = {"a": np.zeros((512, 4), bool)}
        with pytest.raises(FitError, match="the layers lie on 256 cores, but chip 'loihi1' has 128 .*give fewer cores"):
            chip_budget(load_chip("loihi1"), masks, cores=256)
        with pytest.raises(FitError, match="layer 'b' has 2000 neurons on a core, .* allows 1024 .*at least 2 cores"):
            chip_budget(load_chip("loihi1"), {"b": np.zeros((2000, 4), bool)}, cores=1)
        with pytest.raises(UsageError, match="600 cores for layer 'a' of 512 neurons; give 1 to that many"):
            chip_budget(load_chip("loihi1"), masks, cores=600)

    @pytest.mark.parametrize("register", ["cores", "synapse_words", "input_axons", "destinations"])
    def test_zero_negative_and_unknown_layer(self, register):
        masks = {"a": np.zeros((8, 4), bool)}
        for amount in (0, -3):
            with pytest.raises(UsageError, match=f"budget: {register} of layer 'a' is {amount}, must be 1 or more"):
                chip_budget(load_chip("loihi1"), masks, **{register: amount})
        with pytest.raises(UsageError, match=f"budget: {register} for layer 'z', which is not there; there are: a"):
            chip_budget(load_chip("loihi1"), masks, **{register: {"z": 1}})

    def test_sources_and_labels_that_do_not_belong(self):
        masks = {"a": np.zeros((8, 4), bool), "b": np.zeros((3, 7), bool)}
        chip = load_chip("loihi1")
        with pytest.raises(UsageError, match="there is no layer 'z'; there are: a, b"):
            chip_budget(chip, masks, sources={"b": "z"})
        with pytest.raises(UsageError, match="layer 'b' has 7 sources, but 'a' has 8 neurons"):
            chip_budget(chip, masks, sources={"b": "a"})
        with pytest.raises(UsageError, match=r"labels of layer 'a' are int64 \(3,\), must be whole numbers \(8,\)"):
            chip_budget(chip, masks, labels={"a": np.arange(3)})

    def test_a_convolution_is_refused(self):
        with pytest.raises(UsageError, match=r"shape \(4, 2, 3, 3, 1\), but a budget is for dense layers"):
            chip_budget(load_chip("loihi2"), {"conv": np.zeros((4, 2, 3, 3, 1), bool)})

    @pytest.mark.parametrize("name", ["speck2f", "xylo_a2", "akida_akd1000"])
    def test_a_chip_without_lists_is_refused(self, name):
        with pytest.raises(ChipError, match=f"chip '{name}' .* stores no lists of synapses by core"):
            chip_budget(load_chip(name), {"a": np.zeros((8, 4), bool)})


def test_a_budget_needs_no_torch():
    code = "import neurodeploy.mapping.budget.limits, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
