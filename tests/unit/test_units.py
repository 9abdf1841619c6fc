"""Durations and rates with units."""

from __future__ import annotations

import pytest

from neurodeploy.errors import UsageError
from neurodeploy.units import parse_hertz, parse_seconds


@pytest.mark.parametrize(("text", "seconds"), [("10ms", 1e-2), ("2 s", 2.0), ("1.5us", 1.5e-6), ("3e2ns", 3e-7)])
def test_durations_are_read_with_their_unit(text, seconds):
    assert parse_seconds(text, "deadline") == pytest.approx(seconds, rel=1e-12)


def test_rates_are_read_with_their_unit():
    assert parse_hertz("2kHz", "rate") == 2000.0


@pytest.mark.parametrize("text", ["10", "10 min", "ms", "", "10MS", "1,5ms"])
def test_missing_or_wrong_unit_is_named_with_the_known_ones(text):
    with pytest.raises(UsageError, match=r"deadline: .* needs a number and a unit of s, ms, us, ns, as in 10ms"):
        parse_seconds(text, "deadline")


@pytest.mark.parametrize("text", ["-1ms", "0s", "1e999s", "..ms"])
def test_durations_must_be_positive_numbers(text):
    with pytest.raises(UsageError, match="is no positive number"):
        parse_seconds(text, "deadline")
