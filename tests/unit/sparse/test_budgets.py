"""Connection budgets: exact integers (T01, T08 of the notes on algorithms)."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.budgets import erk_budgets, uniform_budgets

DIGITS = {"hidden1": (256, 64, 1, 1, 1), "hidden2": (256, 256, 1, 1, 1), "output": (10, 256, 1, 1, 1)}


@pytest.mark.parametrize("density", [0.015, 0.03, 0.1, 0.37, 0.9, 1.0])
@pytest.mark.parametrize("budgets", [erk_budgets, uniform_budgets])
def test_t08_budgets_sum_to_the_rounded_density_exactly(budgets, density):
    total = sum(math.prod(s) for s in DIGITS.values())
    assert sum(budgets(DIGITS, density).values()) == round(density * total)


def test_t08_erk_gives_smaller_layers_a_higher_density_and_saturates_at_one():
    budgets = erk_budgets(DIGITS, 0.5)
    density = {name: budgets[name] / math.prod(shape) for name, shape in DIGITS.items()}
    assert density["output"] == 1.0
    assert density["hidden2"] < density["hidden1"] < 1.0


def test_t08_erk_agrees_with_an_independent_solver():
    """Bisection on epsilon of sum(min(1, eps * s) * N) = d * N; before rounding the shares must be these."""
    sizes = {n: math.prod(s) for n, s in DIGITS.items()}
    scale = {n: (s[0] + s[1]) / math.prod(s) for n, s in DIGITS.items()}
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        kept = sum(min(1, middle * scale[n]) * sizes[n] for n in sizes)
        low, high = (middle, high) if kept < 0.1 * sum(sizes.values()) else (low, middle)
    budgets = erk_budgets(DIGITS, 0.1)
    assert all(abs(budgets[n] - min(1, low * scale[n]) * sizes[n]) < 1 for n in sizes)


@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5),
    density=st.floats(0.05, 1.0),
)
def test_budgets_are_exact_and_within_every_layer_for_any_shapes(shapes, density):
    named = {f"l{i}": shape for i, shape in enumerate(shapes)}
    try:
        budgets = erk_budgets(named, density)
    except TrainingError:
        assume(False)
    assert sum(budgets.values()) == round(density * sum(math.prod(s) for s in shapes))
    assert all(1 <= budgets[n] <= math.prod(s) for n, s in named.items())


@pytest.mark.parametrize("density", [0.0, -0.1, 1.1, math.nan])
def test_density_out_of_range_is_refused(density):
    with pytest.raises(TrainingError, match="must be above 0 and at most 1"):
        erk_budgets(DIGITS, density)


def test_density_that_empties_a_layer_is_refused():
    with pytest.raises(TrainingError, match="leaves layer 'b' .* without a connection; raise it"):
        uniform_budgets({"a": (100, 100), "b": (2, 2)}, 0.01)


def test_cosine_ratio_falls_from_its_start_to_zero_and_stays_there():
    pytest.importorskip("torch", reason="needs torch (extra train)")
    from neurodeploy.sparse.schedules import cosine_ratio

    ratios = [cosine_ratio(s, 0.3, 50) for s in range(60)]
    assert ratios[0] == 0.3
    assert all(a >= b for a, b in zip(ratios, ratios[1:]))
    assert ratios[50:] == [0.0] * 10
