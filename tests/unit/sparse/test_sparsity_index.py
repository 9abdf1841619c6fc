"""The PQ index, its bound and its ratio (T20 to T24 of the notes on algorithms)."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.sparsity_index import PqSettings, bound_by_group, pq_bound, pq_index, pq_ratio, ratio_by_group

ORDERS = [(0.5, 1.0), (1.0, 2.0), (0.3, 0.7), (0.1, 2.0)]
WEIGHTS = st.lists(st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=60)


def _plain_index(weights, p: float, q: float) -> float:
    """The definition, written down a second time."""
    d = len(weights)
    norm_p = sum(abs(w) ** p for w in weights) ** (1 / p)
    norm_q = sum(abs(w) ** q for w in weights) ** (1 / q)
    return 1 - d ** (1 / q - 1 / p) * norm_p / norm_q if norm_q else 0.0


@pytest.mark.parametrize(("p", "q"), ORDERS)
class TestIndex:
    """T20, T21: bounds and invariances."""

    @settings(max_examples=50)
    @given(weights=WEIGHTS)
    def test_t20_index_is_the_definition_and_within_its_bounds(self, p, q, weights):
        index = pq_index(weights, p, q)
        assert index == pytest.approx(max(_plain_index(weights, p, q), 0), abs=1e-9)
        assert 0 <= index <= 1 - len(weights) ** (1 / q - 1 / p) + 1e-12

    def test_t20_equal_weights_give_zero_and_one_hot_the_upper_bound_with_one_weight_kept(self, p, q):
        assert pq_index([-3.0, 3.0, 3.0], p, q) == pytest.approx(0, abs=1e-12)
        one_hot = [0.0] * 9 + [7.0]
        assert pq_index(one_hot, p, q) == pytest.approx(1 - 10 ** (1 / q - 1 / p), abs=1e-12)
        assert pq_bound(one_hot, PqSettings(p=p, q=q, eta=0.0)) == 1

    def test_t21_scale_order_and_copies_do_not_matter(self, p, q):
        weights = torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        index = pq_index(weights, p, q)
        for same in (weights * 1e-30, weights * 1e6, weights.flip(0), -weights, torch.cat([weights] * 3)):
            assert pq_index(same, p, q) == pytest.approx(index, abs=1e-12)

    def test_t21_more_zeros_raise_the_index_and_an_added_constant_lowers_it(self, p, q):
        weights = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert pq_index(torch.cat([weights, torch.zeros(5)]), p, q) > pq_index(weights, p, q)
        assert pq_index(weights + 0.3, p, q) < pq_index(weights, p, q)

    @pytest.mark.parametrize("n_zero", [1, 3, 7])
    def test_t22_a_fraction_of_zeros_among_equal_weights_is_the_ratio(self, p, q, n_zero):
        weights = [0.2] * (10 - n_zero) + [0.0] * n_zero
        assert pq_ratio(weights, PqSettings(p=p, q=q, eta=0.0)) == pytest.approx(n_zero / 10, abs=1e-12)


def test_t22_for_half_and_one_the_ratio_is_the_index_up_to_one_weight():
    weights = torch.randn(10_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert pq_ratio(weights, PqSettings(eta=0.0)) == pytest.approx(pq_index(weights), abs=1e-4)


@pytest.mark.parametrize(("p", "q", "low", "high"), [(0.5, 1.0, 0.150, 0.156), (1.0, 2.0, 0.358, 0.368)])
def test_t23_the_ratio_of_a_gaussian_layer(p, q, low, high):
    weights = torch.randn(200_000, generator=torch.Generator().manual_seed(2))
    assert low <= pq_ratio(weights, PqSettings(p=p, q=q)) <= high


@settings(max_examples=80)
@given(weights=WEIGHTS, gamma=st.floats(0, 9), eta=st.floats(0, 1), beta=st.floats(0, 0.99))
def test_t24_ratio_is_within_0_and_beta_and_bound_within_1_and_d(weights, gamma, eta, beta):
    chosen = PqSettings(gamma=gamma, eta=eta, beta=beta)
    ratio = pq_ratio(weights, chosen)
    assert 0 <= ratio <= beta
    assert 1 <= pq_bound(weights, chosen) <= len(weights)
    more = PqSettings(gamma=gamma + 0.5, eta=eta + 0.1, beta=beta)
    assert pq_ratio(weights, more) >= ratio


def test_t24_all_zero_and_empty_groups_move_nothing_and_are_no_nan():
    sizes, group = torch.tensor([0.0, 0.0, 1.0, 0.0]), torch.tensor([0, 0, 2, 2])
    ratio = ratio_by_group(sizes, group, 3, PqSettings(eta=0.0))
    assert ratio.tolist() == [0.0, 0.0, 0.5]
    assert bound_by_group(sizes, group, 3, PqSettings()).tolist() == [2, 0, 1]


def test_groups_are_the_same_as_one_call_each():
    generator = torch.Generator().manual_seed(0)
    sizes, group = torch.rand(300, generator=generator), torch.randint(4, (300,), generator=generator)
    together = ratio_by_group(sizes, group, 4, PqSettings())
    assert together.tolist() == [pq_ratio(sizes[group == i]) for i in range(4)]


def test_small_weights_do_not_underflow_and_half_precision_does_not_overflow():
    assert pq_index([1e-200, 0.0]) == pytest.approx(0.5)
    assert math.isfinite(pq_index(torch.full((100_000,), 100.0, dtype=torch.float16)))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"p": 1.0, "q": 1.0}, "must satisfy 0 < p < q"),
        ({"gamma": -1.0}, "gamma=-1.0"),
        ({"beta": 1.0}, "beta=1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings_, message):
    with pytest.raises(TrainingError, match=message):
        PqSettings(**settings_)


def test_no_weights_have_no_index():
    with pytest.raises(TrainingError, match="the PQ index of no weights is not defined"):
        pq_index([])
