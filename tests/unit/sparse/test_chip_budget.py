"""Rewiring under a chip budget: no limit is ever exceeded, counts stay exact, and without limits it is plain rewiring."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import chain, neuron
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.chip import load_chip
from neurodeploy.errors import FitError, TrainingError
from neurodeploy.mapping.budget.limits import chip_budget
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.sparse.fitted import fit_masks
from neurodeploy.sparse.layers import SparseLayer
from neurodeploy.sparse.masks import initial_masks
from neurodeploy.sparse.methods import METHODS, RewiringSettings, start_rewiring
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.sparse.scores import GROWTH, by_list, growth_rule, prefer_reached
from neurodeploy.sparse.selection import Caps, admitted, ranked

MODEL = neuron()


def _weights(*sizes: int, seed: int = 0):
    """Weights of a chain of layers, as slayer shapes them."""
    generator = torch.Generator().manual_seed(seed)
    return {
        f"layer{i}": torch.nn.Parameter(torch.randn(n, n_sources, 1, 1, 1, generator=generator))
        for i, (n_sources, n) in enumerate(zip(sizes, sizes[1:]))
    }


def _numpy(masks):
    return {name: mask.numpy() for name, mask in masks.items()}


def _steps(rewirer, n: int, seed: int = 1):
    """Take optimiser steps on noise; yield after each."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        for weight in rewirer.weights.values():
            weight.grad = torch.randn(weight.shape, generator=generator)
        rewirer.before_step()
        rewirer._masked.optimizer.step()
        rewirer.after_step()
        yield


def _mapped_use(masks, budget, chip):
    """What the mapper counts for a network with a weight of 8 bits at every connection, on the cores of the budget."""
    rng = np.random.default_rng(0)
    flat = {name: mask.reshape(mask.shape[:2]) for name, mask in masks.items()}
    network = chain(
        {name: np.where(mask, rng.choice([-256, -2, 2, 254], mask.shape), 0) for name, mask in flat.items()}, MODEL
    )
    layers, cuts = Layers(network, chip), {layer.name: layer.cut for layer in budget.layers}
    used = {name: layers.use(name, cuts) for name in flat}
    sent = {name: layers.destinations(network.into(name)[0], cuts[name]) for name in flat}
    return used, sent


@st.composite
def cases(draw: st.DrawFn):
    """A chain of two layers on some cores, its density, and limits that hold from nearly nothing to everything."""
    sizes = [draw(st.integers(4, 20)) for _ in range(3)]
    density = draw(st.sampled_from([0.15, 0.4, 0.7]))
    caps = {"cores": {f"layer{i}": draw(st.integers(1, sizes[i + 1])) for i in (0, 1)}}
    for register, largest in (("synapse_words", 60), ("input_axons", 20), ("destinations", 6)):
        if draw(st.booleans()):
            caps[register] = draw(st.integers(1, largest))
    return sizes, density, caps


@settings(deadline=None, max_examples=40)
@given(
    cases(),
    st.sampled_from(["loihi1", "loihi2"]),
    st.sampled_from(sorted(GROWTH)),
    st.sampled_from([0.0, 3.0]),
    st.booleans(),
    st.booleans(),
)
def test_no_limit_is_exceeded_after_any_step_and_the_count_stays(case, name, growth, strength, whole_lists, regrow):
    """Recounted by the mapper on the same cores: equal on Loihi 2, at most as much on Loihi 1."""
    sizes, density, caps = case
    chip, weights = load_chip(name), _weights(*sizes)
    masks = initial_masks(weights, density=density, seed=2)
    names = list(weights)
    try:
        budget = chip_budget(chip, _numpy(masks), sources={"layer1": "layer0"}, **caps)
        masks = fit_masks(masks, budget, seed=2)
    except (FitError, TrainingError):
        return
    counts = {n: int(m.sum()) for n, m in masks.items()}
    rewirer = Rewirer(
        weights,
        masks,
        torch.optim.SGD(weights.values(), lr=0.1),
        growth=prefer_reached(growth, budget.reach, strength),
        drop=by_list("taylor", budget.lists) if whole_lists else "magnitude",
        caps=budget,
        every_steps=1,
        ratio=0.5,
        regrow=regrow,
    )
    for _ in _steps(rewirer, 4):
        used, sent = _mapped_use(_numpy(rewirer.masks), budget, chip)
        own = budget.usage(_numpy(rewirer.masks))
        for layer in names:
            assert int(rewirer.masks[layer].sum()) == counts[layer]
            words, axons = used[layer]["synapse_words"], used[layer]["input_axons"]
            assert (words <= caps.get("synapse_words", words)).all()
            assert (axons <= caps.get("input_axons", axons)).all()
            assert (sent[layer] <= caps.get("destinations", sent[layer])).all()
            assert own[layer]["input_axons"].tolist() == axons.tolist()
            if name == "loihi2":
                assert own[layer]["synapse_words"].tolist() == words.tolist()
            assert (own[layer]["synapse_words"] >= words).all()
    assert rewirer.n_rewirings == 4


@settings(deadline=None, max_examples=30)
@given(cases(), st.integers(0, 2**16))
def test_words_of_the_finished_network_stay_below_whatever_weights_end_as_zero(case, seed):
    """Loihi 1, whose lists may grow where a synapse falls out of them: never beyond what the mask was charged."""
    sizes, density, caps = case
    chip, weights = load_chip("loihi1"), _weights(*sizes)
    masks = _numpy(initial_masks(weights, density=density, seed=2))
    budget = chip_budget(chip, masks, cores=caps["cores"])
    charged = budget.usage(masks)
    rng = np.random.default_rng(seed)
    left = {name: mask & (rng.random(mask.shape) < 0.8) for name, mask in masks.items()}
    used, _ = _mapped_use(left, budget, chip)
    for name in masks:
        assert (used[name]["synapse_words"] <= charged[name]["synapse_words"]).all()


def _nothing(name, mask):  # noqa: ARG001
    return np.zeros(mask.shape, np.float32)


class TestPlain:
    """Without limits that bind, and without preference, nothing differs from plain rewiring."""

    @pytest.mark.parametrize("method", sorted(set(METHODS) - {"dense", "sdsnn"}))
    def test_a_budget_that_does_not_bind_leaves_every_method_as_it_is(self, method):
        results = []
        for budget in (None, lambda masks: chip_budget(load_chip("loihi2"), _numpy(masks))):
            weights = _weights(24, 32, 6)
            optimizer = torch.optim.SGD(weights.values(), lr=0.1, momentum=0.9)
            floor = {"floor": 0.1} if method == "granet" else {}
            rewirer = start_rewiring(
                method,
                weights,
                optimizer,
                RewiringSettings(end_step=30, density=0.3, every_steps=2, budget=budget, **floor),
            )
            list(_steps(rewirer, 24))
            results.append((rewirer.masks, weights))
        for name in results[0][0]:
            assert torch.equal(results[0][0][name], results[1][0][name])
            assert torch.equal(results[0][1][name], results[1][1][name])

    def test_strength_zero_is_the_rule_itself(self):
        for name in GROWTH:
            assert prefer_reached(name, _nothing, 0.0) is growth_rule(name)
        with pytest.raises(TrainingError, match="the preference has strength -1, must be 0 or more"):
            prefer_reached("random", _nothing, -1)
        with pytest.raises(TrainingError, match="strength nan"):
            prefer_reached("random", _nothing, float("nan"))

    def test_fitted_masks_that_keep_the_limits_come_back_unchanged(self):
        masks = initial_masks(_weights(24, 32, 6), density=0.3)
        budget = chip_budget(load_chip("loihi2"), _numpy(masks))
        for name, mask in fit_masks(masks, budget, seed=5).items():
            assert torch.equal(mask, masks[name])


def _layer(weight, mask) -> SparseLayer:
    return SparseLayer(
        name="layer0",
        weight=torch.nn.Parameter(weight),
        mask=mask,
        seen=mask,
        born=torch.zeros_like(mask),
        memory=torch.ones_like(weight),
        alive=torch.ones(len(mask), dtype=torch.bool),
    )


class TestScores:
    def test_preference_multiplies_the_score_by_what_already_reaches_the_core(self):
        mask = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)
        budget = chip_budget(load_chip("loihi2"), {"layer0": mask.numpy()}, cores=2)
        rule = prefer_reached("momentum", budget.reach, 2.0)
        assert rule.gathers == "average"
        found = rule.score(_layer(torch.zeros(4, 3), mask), torch.Generator())
        assert found.tolist() == [[5, 3, 1], [5, 3, 1], [1, 1, 7], [1, 1, 7]]

    def test_connections_of_a_list_share_the_mean_of_those_that_exist(self):
        """Four neurons on two cores: source 0 has weights 1 and 3 on the first, source 2 has 5 on the second."""
        weight = torch.tensor([[1.0, 9, 9], [-3, 2, 9], [9, 9, -5], [9, 9, 9]])
        mask = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)
        budget = chip_budget(load_chip("loihi2"), {"layer0": mask.numpy()}, cores=2)
        found = by_list("magnitude", budget.lists)(_layer(weight, mask), torch.Generator())
        assert found.tolist() == [[2, 2, 0], [2, 2, 0], [0, 0, 5], [0, 0, 5]]

    def test_growth_with_preference_opens_fewer_lists(self):
        axons = []
        for strength in (0.0, 10.0):
            weights = _weights(60, 40, 10)
            masks = initial_masks(weights, density=0.05)
            budget = chip_budget(load_chip("loihi2"), _numpy(masks), cores={"layer0": 4})
            growth = prefer_reached("random", budget.reach, strength)
            optimizer = torch.optim.SGD(weights.values(), lr=0.1)
            rewirer = Rewirer(weights, masks, optimizer, growth=growth, caps=budget, every_steps=1)
            list(_steps(rewirer, 30))
            axons.append(int(budget.usage(_numpy(rewirer.masks))["layer0"]["input_axons"].sum()))
        assert axons[1] < 0.8 * axons[0]

    def test_whole_lists_let_other_sources_onto_a_core_whose_axons_are_taken(self):
        """Six of twenty sources may reach the core; single drops leave the same six, whole lists do not."""
        reached = []
        for whole in (False, True):
            weights = _weights(20, 40, 10)
            masks = initial_masks(weights, density=0.1, distribution="uniform")
            budget = chip_budget(load_chip("loihi2"), _numpy(masks), cores=1, input_axons={"layer0": 6})
            drop = by_list("taylor", budget.lists) if whole else "magnitude"
            optimizer = torch.optim.SGD(weights.values(), lr=0.1)
            first = fit_masks(masks, budget)
            rewirer = Rewirer(
                weights, first, optimizer, drop=drop, caps=budget, ratio=0.5, growth="gradient", every_steps=1
            )
            list(_steps(rewirer, 20))
            seen = rewirer._masked.layers["layer0"].seen.flatten(1).any(0)
            reached.append(int(seen.sum()))
            assert int(rewirer.masks["layer0"].flatten(1).any(0).sum()) <= 6
        assert reached[0] == 6 < reached[1]


class TestState:
    def test_a_state_taken_under_a_budget_goes_on_bit_identically(self):
        def begin():
            weights = _weights(24, 32, 6)
            budget = {"cores": {"layer0": 4}, "input_axons": {"layer0": 12}}
            settings_ = RewiringSettings(
                end_step=100,
                density=0.2,
                every_steps=3,
                growth="gradient",
                preference=2.0,
                whole_lists=True,
                budget=lambda masks: chip_budget(load_chip("loihi1"), _numpy(masks), **budget),
            )
            optimizer = torch.optim.SGD(weights.values(), lr=0.1, momentum=0.9)
            return weights, start_rewiring("esl", weights, optimizer, settings_)

        weights, rewirer = begin()
        list(_steps(rewirer, 7))
        saved = copy.deepcopy(
            (
                {n: w.detach() for n, w in weights.items()},
                rewirer._masked.optimizer.state_dict(),
                rewirer.state_dict(),
            )
        )
        list(_steps(rewirer, 14, seed=5))
        others, resumed = begin()
        with torch.no_grad():
            for name, weight in others.items():
                weight.copy_(saved[0][name])
        resumed._masked.optimizer.load_state_dict(saved[1])
        resumed.load_state_dict(saved[2])
        list(_steps(resumed, 14, seed=5))
        assert rewirer.n_rewirings == 7
        for name in weights:
            assert torch.equal(rewirer.masks[name], resumed.masks[name])
            assert torch.equal(weights[name], others[name])

    def test_masks_over_the_budget_are_refused_before_anything_is_trained(self):
        weights = _weights(24, 32, 6)
        masks = initial_masks(weights, density=0.3)
        budget = chip_budget(load_chip("loihi2"), _numpy(masks), cores=1, input_axons={"layer0": 20})
        optimizer = torch.optim.SGD(weights.values(), lr=0.1)
        with pytest.raises(FitError, match="layer 'layer0' takes 24 input axons on its core 0, but the limit is 20"):
            Rewirer(weights, masks, optimizer, caps=budget)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"dense", "sdsnn"}))
def test_every_method_keeps_limits_that_bind(method):
    """Nine of 24 inputs on each of four cores. Neurons that srigl ablates leave connections that may find no room."""
    weights = _weights(24, 32, 6)
    optimizer = torch.optim.SGD(weights.values(), lr=0.1, momentum=0.9)
    caps = {"cores": {"layer0": 4}, "input_axons": {"layer0": 9}, "synapse_words": {"layer0": 25}}
    rewirer = start_rewiring(
        method,
        weights,
        optimizer,
        RewiringSettings(
            end_step=30,
            density=0.3,
            every_steps=2,
            preference=1.0,
            budget=lambda masks: chip_budget(load_chip("loihi2"), _numpy(masks), **caps),
            **({"floor": 0.1} if method == "granet" else {}),
        ),
    )
    budget, first = rewirer._caps, {n: int(m.sum()) for n, m in rewirer.masks.items()}
    assert (budget.usage(_numpy(rewirer.masks))["layer0"]["input_axons"] == 9).all()
    for _ in _steps(rewirer, 24):
        used = budget.usage(_numpy(rewirer.masks))["layer0"]
        assert (used["input_axons"] <= 9).all()
        assert (used["synapse_words"] <= 25).all()
        counts = {n: int(m.sum()) for n, m in rewirer.masks.items()}
        assert counts == first or (method in ("granet", "pq", "srigl") and sum(counts.values()) < sum(first.values()))


class TestFitted:
    def test_connections_without_room_go_elsewhere_and_the_others_stay(self):
        """Four positions in two groups of two, one place in the first: one of its two connections moves."""
        mask = torch.tensor([[True, True], [False, False]])
        caps = Caps(group=torch.tensor([0, 0, 1, 1]), limits=torch.tensor([1, 2]))
        found = fit_masks({"w": mask}, caps)["w"]
        assert found.sum(1).tolist() == [1, 1]

    def test_limits_without_room_are_refused_with_the_numbers(self):
        caps = Caps(group=torch.zeros(4, dtype=torch.int64), limits=torch.tensor([2]))
        with pytest.raises(
            TrainingError, match="only 2 of 3 connections of layer 'w' find room under the limits, a density of 0.5"
        ):
            fit_masks({"w": torch.tensor([[True, True], [True, False]])}, caps)

    def test_every_group_gets_its_count_where_room_is_left(self):
        """The best candidate of group 1 is in the full cap, its next best is not."""
        group, score = torch.tensor([0, 0, 1, 1]), torch.tensor([4.0, 1.0, 3.0, 2.0])
        caps = Caps(group=torch.tensor([0, 1, 0, 1]), limits=torch.tensor([1, 1]))
        order = ranked(-score, group, torch.Generator().manual_seed(0))
        found = admitted(caps.room(np.zeros(4, bool)), order, group, score, torch.tensor([1, 1]))
        assert sorted(found.tolist()) == [0, 3]

    def test_constant_fan_in_is_kept(self):
        weights = _weights(24, 32, 6)
        masks = initial_masks(weights, density=0.3, scope="neuron")
        budget = chip_budget(load_chip("loihi2"), _numpy(masks), cores={"layer0": 4}, input_axons={"layer0": 12})
        found = fit_masks(masks, budget, scope="neuron")
        for name in masks:
            assert torch.equal(found[name].flatten(1).sum(1), masks[name].flatten(1).sum(1))
        assert (budget.usage(_numpy(found))["layer0"]["input_axons"] <= 12).all()


def test_cores_of_a_budget_are_contiguous_and_as_equal_as_they_can_be():
    budget = chip_budget(load_chip("loihi2"), {"a": np.zeros((10, 3), bool)}, cores=3)
    assert budget.layers[0].cut.labels.tolist() == Cut.blocks(10, 4).labels.tolist() == [0] * 4 + [1] * 4 + [2] * 2
