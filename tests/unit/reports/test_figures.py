"""Figures for readers: as many digits as their range leaves."""

from __future__ import annotations

import pytest

from neurodeploy.costs.record import Band
from neurodeploy.reports.figures import band, hours, nominal, si


def of(low: float, middle: float, high: float) -> Band:
    return Band(low=low, nominal=middle, high=high, grade="guess")


@pytest.mark.parametrize(
    ("low", "middle", "high", "shown"),
    [
        (1.234e-6, 1.234e-6, 1.234e-6, "1.23 µJ"),
        (1.2e-6, 1.234e-6, 1.3e-6, "1.23 µJ (1.2 to 1.3)"),
        (1.1e-6, 1.234e-6, 1.3e-6, "1.2 µJ (1.1 to 1.3)"),
        (1.04e-6, 152.8e-6, 2867e-6, "150 µJ (1 to 2,900)"),
        (90e-6, 996e-6, 2e-3, "1 mJ (0.09 to 2)"),
    ],
)
def test_two_digits_are_left_where_the_range_is_wider_than_a_tenth(low, middle, high, shown) -> None:
    assert band(of(low, middle, high), "J") == shown
    assert nominal(of(low, middle, high), "J") == shown.partition(" (")[0]


@pytest.mark.parametrize(
    ("value", "three", "two"),
    [
        (999.6e-6, "1 mJ", "1 mJ"),
        (994e-6, "994 µJ", "990 µJ"),
        (0.0, "0 J", "0 J"),
        (-4.44e-14, "-0.0444 pJ", "-0.044 pJ"),
    ],
)
def test_rounding_moves_to_the_next_prefix(value, three, two) -> None:
    assert (si(value, "J"), si(value, "J", 2)) == (three, two)


def test_long_lives_of_a_battery_are_in_days() -> None:
    assert hours(of(5, 12.3, 40)) == "12 h (5 to 40)"
    assert hours(of(48, 240, 480)) == "10 days (2 to 20)"
