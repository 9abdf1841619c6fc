"""CH-SNN: link prediction by paths, importance, removal of neurons, first masks, and the method that joins them."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.hebb import gumbel, importance, living, sources
from neurodeploy.sparse.methods import RewiringSettings, start_rewiring
from neurodeploy.sparse.paths import path_scores
from neurodeploy.sparse.topology import correlated_mask, correlations, even_mask

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8))


def graph(n_right: int, *rows: list[int]) -> np.ndarray:
    mask = np.zeros((len(rows), n_right), bool)
    for row, links in zip(mask, rows):
        row[np.array(links) - 1] = True
    return mask


def by_paths(mask: np.ndarray) -> np.ndarray:
    """CH3-L3 as it is defined, path by path."""
    left, right = [set(np.flatnonzero(row)) for row in mask], [set(np.flatnonzero(column)) for column in mask.T]
    scores = np.zeros(mask.shape)
    for u, v in zip(*np.nonzero(~mask)):
        for z1 in left[u]:
            for z2 in right[v] & right[z1]:
                outside = len(right[z1]) - 1 - len(right[z1] & right[v]), len(left[z2]) - 1 - len(left[z2] & left[u])
                scores[u, v] += 1 / np.sqrt((1 + outside[0]) * (1 + outside[1]))
    return scores


class TestPathScores:
    def test_hand_example_of_three_by_four(self):
        scores = path_scores(graph(4, [1, 2], [1, 3], [2, 3, 4]))
        expected = [[0, 0, 1.7071, 0.7071], [0, 1.7071, 0, 0.7071], [2, 0, 0, 0]]
        assert np.round(scores, 4).tolist() == expected

    def test_hand_example_in_which_path_and_node_form_rank_differently(self):
        scores = path_scores(graph(5, [1, 2, 3], [1, 2, 4], [2, 4, 5], [3, 5]))
        expected = np.zeros((4, 5))
        for u, v, value in (
            *((1, 4, 2.7071), (1, 5, 1.5), (2, 3, 1.7071), (2, 5, 1.7071), (3, 1, 2.7071)),
            *((3, 3, 1.5), (4, 1, 0.7071), (4, 2, 1.4142), (4, 4, 0.7071)),
        ):
            expected[u - 1, v - 1] = value
        assert np.array_equal(np.round(scores, 4), expected)
        assert scores[1, 2] > scores[0, 4]

    @settings(max_examples=60, deadline=None)
    @given(mask=MASKS)
    def test_scores_are_the_sums_over_paths(self, mask):
        scores = path_scores(mask)
        np.testing.assert_allclose(scores, by_paths(mask), rtol=0, atol=1e-12)
        x = mask.astype(int)
        assert np.array_equal(scores > 0, (x @ x.T @ x > 0) & ~mask)

    @settings(max_examples=30, deadline=None)
    @given(mask=MASKS, seed=st.integers(0, 99))
    def test_they_follow_permutations_and_transposition(self, mask, seed):
        rng = np.random.default_rng(seed)
        rows, columns = rng.permutation(len(mask)), rng.permutation(mask.shape[1])
        scores = path_scores(mask)
        np.testing.assert_allclose(path_scores(mask[rows][:, columns]), scores[rows][:, columns], rtol=1e-12)
        np.testing.assert_allclose(path_scores(mask.T.copy()), scores.T, rtol=1e-12)


class TestImportance:
    weight = torch.tensor([[0.9, 0.0, 0.1], [0.0, 0.2, 0.3]], dtype=torch.float64)

    def test_hand_example(self):
        found = importance(self.weight, self.weight != 0)
        expected = [[0.9237, 0, 0.1214], [0, 0.3, 0.4143]]
        assert np.round(found.numpy(), 4).tolist() == expected

    def test_small_weights_rank_by_size_and_large_ones_by_share(self):
        mask = self.weight != 0
        small, large = (importance(self.weight * factor, mask)[mask] for factor in (1e-4, 1e4))
        assert torch.argsort(small).tolist() == torch.argsort(self.weight[mask]).tolist()
        assert large[2] > large[3]  # 0.2 passes 0.3

    def test_absent_weights_do_not_count(self):
        mask = self.weight != 0
        other = torch.where(mask, self.weight, 7.0)
        assert torch.equal(importance(other, mask), importance(self.weight, mask))


class TestLiving:
    @staticmethod
    def of(*masks):
        named = {f"{i}": torch.tensor(mask, dtype=torch.bool) for i, mask in enumerate(masks)}
        alive = {name: torch.ones(len(mask), dtype=torch.bool) for name, mask in named.items()}
        return named, living(named, alive)

    def test_a_neuron_without_outputs_takes_those_before_it_along(self):
        _, alive = self.of([[1, 0], [0, 1]], [[1, 1], [0, 0]], [[1, 0], [1, 0]])
        assert alive["1"].tolist() == [True, False]
        assert alive["0"].tolist() == [True, True]
        _, alive = self.of([[1, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [1, 0]])
        assert [alive[name].tolist() for name in "012"] == [[True, False], [True, False], [True, True]]

    def test_a_neuron_without_inputs_takes_those_after_it_along_and_the_last_layer_stays(self):
        _, alive = self.of([[0, 0], [0, 1]], [[1, 0], [0, 1]], [[1, 0], [0, 1]])
        assert [alive[name].tolist() for name in "012"] == [[False, True], [False, True], [True, True]]

    def test_channels_stand_for_all_their_positions_and_layers_onto_themselves_for_none(self):
        kernels = torch.ones(2, 1, 3, 3, 1, dtype=torch.bool)
        dense = torch.zeros(4, 8, 1, 1, 1, dtype=torch.bool)
        dense[:, 6] = True  # a position of the second channel
        own = torch.zeros(4, 4, 1, 1, 1, dtype=torch.bool)
        masks = {"a": kernels, "b": dense, "b_recurrent": own, "c": torch.ones(3, 4, 1, 1, 1, dtype=torch.bool)}
        assert sources(masks) == {"b": "a", "c": "b"}
        alive = living(masks, {name: torch.ones(len(mask), dtype=torch.bool) for name, mask in masks.items()})
        assert alive["a"].tolist() == [False, True]
        assert all(alive[name].all() for name in ("b", "b_recurrent", "c"))

    @settings(max_examples=60, deadline=None)
    @given(
        sizes=st.lists(st.integers(1, 6), min_size=3, max_size=5), density=st.floats(0, 0.7), seed=st.integers(0, 99)
    )
    def test_one_pass_each_way_is_enough(self, sizes, density, seed):
        rng = np.random.default_rng(seed)
        masks = {
            str(i): torch.from_numpy(rng.random((b, a)) < density) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))
        }
        links = sources(masks)
        alive = living(masks, {name: torch.ones(len(mask), dtype=torch.bool) for name, mask in masks.items()})
        for name, source in links.items():
            masks[name] &= alive[source].repeat_interleave(masks[name].shape[1] // len(alive[source]))
        for name in masks:
            masks[name] &= alive[name][:, None]
        again = living(masks, alive)
        assert all(torch.equal(again[name], alive[name]) for name in masks)
        for name, source in links.items():
            own = masks[name].view(len(masks[name]), len(alive[source]), -1).any(2)
            assert own.any(0)[alive[source]].all()


class TestFirstMasks:
    def test_correlation_of_the_hand_example_and_of_a_constant(self):
        active = np.array([[1, 1, 0, 0, 1, 0, 1, 0], [1, 1, 0, 0, 0, 0, 1, 1], [1] * 8, [0] * 8], bool).T
        phi = correlations(active)
        assert phi[0, 1] == phi[1, 0] == 0.5
        assert not phi[2:].any()
        assert not phi[:, 2:].any()
        assert phi[0, 1] == pytest.approx(abs(np.corrcoef(active[:, 0], active[:, 1])[0, 1]), abs=1e-12)

    @pytest.mark.parametrize("density", [0.01, 0.1, 0.5])
    @pytest.mark.parametrize("n_target", [40, 100])
    def test_budget_is_exact_and_every_neuron_and_live_input_is_connected(self, density, n_target):
        rng = np.random.default_rng(0)
        active = np.repeat(rng.random((300, 20)) < 0.3, 4, axis=1) ^ (rng.random((300, 80)) < 0.1)
        active[:, :30] = False  # as the edge of an image
        budget = max(round(density * n_target * 80), n_target)
        mask = correlated_mask(active, n_target, budget, rng)
        assert mask.sum() == budget
        assert mask.any(axis=1).all()
        if budget >= n_target + 50:
            assert mask[:, 30:].any(axis=0).all()
        again = correlated_mask(active, n_target, budget, np.random.default_rng(1))
        assert (again == mask).mean() > 0.95  # all but ties

    def test_connections_join_inputs_that_fire_together(self):
        rng = np.random.default_rng(0)
        active = np.repeat(rng.random((500, 10)) < 0.4, 3, axis=1) ^ (rng.random((500, 30)) < 0.05)
        mask = correlated_mask(active, 30, 60, rng)
        # every neuron stands for one of 30 inputs, and its two best partners are those of the same three
        groups = [set(np.flatnonzero(row) // 3) for row in mask]
        assert sum(len(group) == 1 for group in groups) >= 28

    def test_too_small_a_budget_is_refused(self):
        with pytest.raises(
            TrainingError, match="chsnn gives the first layer 4 connections, but 5 neurons of 3 inputs need"
        ):
            correlated_mask(np.eye(3, dtype=bool), 5, 4, np.random.default_rng(0))

    @settings(max_examples=40, deadline=None)
    @given(n=st.integers(1, 12), m=st.integers(1, 12), share=st.floats(0, 1), seed=st.integers(0, 99))
    def test_degrees_are_even_on_both_sides(self, n, m, share, seed):
        budget = round(share * n * m)
        mask = even_mask(n, m, budget, np.random.default_rng(seed))
        assert mask.sum() == budget
        for axis in (0, 1):
            assert np.ptp(mask.sum(axis)) <= 1


def test_noise_draws_without_replacement_in_proportion():
    weights = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    keys = weights.log() + gumbel((200_000, 4), torch.Generator().manual_seed(0))
    drawn = torch.zeros(200_000, 4).scatter_(1, keys.topk(2, dim=1).indices, 1.0).mean(0)
    assert np.allclose(drawn.numpy(), [0.8095, 0.5714, 0.3095, 0.3095], atol=0.005)


class TestMethod:
    @staticmethod
    def begun(sizes=(30, 24, 16, 5), density=0.2, seed=0, rate=0.1, **keys):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            weights = {f"{i}": torch.nn.Parameter(torch.randn(b, a)) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))}
        optimizer = torch.optim.SGD(weights.values(), lr=rate)
        own = RewiringSettings(end_step=10_000, density=density, every_steps=1, seed=seed, **keys)
        return weights, optimizer, start_rewiring("chsnn", weights, optimizer, own)

    @staticmethod
    def step(weights, optimizer, rewirer, seed):
        generator = torch.Generator().manual_seed(seed)
        for weight in weights.values():
            weight.grad = torch.randn(weight.shape, generator=generator)
        rewirer.before_step()
        optimizer.step()
        rewirer.after_step()

    @pytest.mark.parametrize("density", [0.05, 0.2, 0.6])
    def test_counts_stay_exact_whether_scores_are_zero_or_not(self, density):
        weights, optimizer, rewirer = self.begun(density=density)
        counts = {name: int(mask.sum()) for name, mask in rewirer.masks.items()}
        assert sum(counts.values()) == round(density * sum(w.numel() for w in weights.values()))
        before = rewirer.export_masks()
        for i in range(8):
            self.step(weights, optimizer, rewirer, i)
            assert {name: int(mask.sum()) for name, mask in rewirer.masks.items()} == counts
            assert all(not w[~rewirer.masks[n]].any() for n, w in weights.items())
        assert any(not torch.equal(before[name], mask) for name, mask in rewirer.masks.items())

    def test_removed_neurons_never_come_back_and_their_connections_go_elsewhere(self):
        weights, optimizer, rewirer = self.begun(density=0.15)
        total = sum(int(mask.sum()) for mask in rewirer.masks.values())
        for name in rewirer.masks:
            assert rewirer.alive()[name].all()
        # cut a neuron of the second layer off from all it sends to
        layer = rewirer._masked.layers["2"]
        lost = layer.mask[:, 3].nonzero().squeeze(1)
        free = (~layer.mask).flatten().nonzero().squeeze(1)
        free = free[free % 16 != 3][: len(lost)]
        rewirer._masked.move("2", lost * 16 + 3, free, 0)
        gone = []
        for i in range(12):
            self.step(weights, optimizer, rewirer, i)
            gone.append(~rewirer.alive()["1"])
            assert sum(int(mask.sum()) for mask in rewirer.masks.values()) == total
        assert gone[0][3]
        assert all((later | ~earlier).all() for earlier, later in zip(gone, gone[1:]))
        assert not rewirer.masks["1"][3].any()
        assert not rewirer.masks["2"][:, 3].any()
        assert rewirer.alive()["2"].all()

    def test_gradients_and_signs_of_weights_play_no_part(self):
        masks = []
        for sign, seed in ((1.0, 0), (-1.0, 1)):
            weights, optimizer, rewirer = self.begun(rate=0.0)
            with torch.no_grad():
                for weight in weights.values():
                    weight.mul_(sign)
            before = rewirer.export_masks()
            self.step(weights, optimizer, rewirer, seed)
            masks.append(rewirer.export_masks())
        assert any(not torch.equal(masks[0][name], before[name]) for name in before)
        assert all(torch.equal(masks[0][name], masks[1][name]) for name in before)

    def test_same_seed_same_masks_and_another_seed_others(self):
        masks = []
        for seed in (0, 0, 1):
            weights, optimizer, rewirer = self.begun(seed=seed)
            for i in range(3):
                self.step(weights, optimizer, rewirer, i)
            masks.append(rewirer.export_masks())
        assert all(torch.equal(masks[0][n], masks[1][n]) for n in masks[0])
        assert any(not torch.equal(masks[0][n], masks[2][n]) for n in masks[0])

    def test_soft_growth_explores_and_overlaps_little(self):
        weights, optimizer, rewirer = self.begun(sizes=(60, 50, 40, 10), density=0.1)
        for i in range(30):
            self.step(weights, optimizer, rewirer, i)
        for name, explored in rewirer.explored().items():
            assert explored > min(2 * rewirer.density()[name], 0.9)
            assert rewirer.events[name].overlap < 0.9

    def test_a_first_layer_follows_the_inputs_that_were_seen(self):
        rng = np.random.default_rng(0)
        active = np.repeat(rng.random((500, 10)) < 0.4, 3, axis=1) ^ (rng.random((500, 30)) < 0.05)
        _, _, random = self.begun(sizes=(30, 24, 5))
        _, _, fitted = self.begun(sizes=(30, 24, 5), inputs=active)
        shares = []
        for rewirer in (random, fitted):
            mask = rewirer.masks["0"].numpy().reshape(24, 10, 3)
            shares.append((mask.sum(2) == 3).sum() / mask.any(2).sum())
        assert int(random.masks["0"].sum()) == int(fitted.masks["0"].sum())
        assert shares[1] > 2 * shares[0]
