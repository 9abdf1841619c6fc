"""Figures as text for a reader: an SI prefix, and three digits, or two where the range leaves no more."""

from __future__ import annotations

import math

from neurodeploy.costs.record import Band

_WIDE = 0.1
"""A range wider than this share of its figure leaves two digits."""
_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M"}


def si(value: float, unit: str, digits: int = 3) -> str:
    """Return a figure with its digits and an SI prefix.

    >>> si(0.0000123456, "J")
    '12.3 µJ'
    >>> si(0.0000123456, "J", 2)
    '12 µJ'
    >>> si(0, "s")
    '0 s'
    """
    power = _power(value, digits)
    return f"{_scaled(value, power, digits)} {_PREFIXES[power]}{unit}"


def digits_of(value: Band) -> int:
    """Return the digits worth printing: two where the range is wider than a tenth of the figure, else three."""
    return 2 if value.spread > _WIDE else 3


def nominal(value: Band, unit: str) -> str:
    """Return a nominal figure without its range, with the digits that the range allows."""
    return si(value.nominal, unit, digits_of(value))


def band(value: Band, unit: str, digits: int | None = None) -> str:
    """Return a nominal figure with its range, all in the unit of the nominal figure; with so many digits as it is worth."""
    digits = digits or digits_of(value)
    power = _power(value.nominal, digits)
    shown = f"{_scaled(value.nominal, power, digits)} {_PREFIXES[power]}{unit}"
    if value.low == value.high:
        return shown
    return f"{shown} ({_scaled(value.low, power, digits)} to {_scaled(value.high, power, digits)})"


def kib(n_bytes: int) -> str:
    """Return a size in KiB, or MiB from 10 MiB on.

    >>> kib(1536)
    '1.5 KiB'
    """
    return f"{n_bytes / 1024:,.1f} KiB" if n_bytes < 10 * 2**20 else f"{n_bytes / 2**20:,.1f} MiB"


def percent(share: float) -> str:
    """Return a share as per cent.

    >>> percent(0.1)
    '10 %'
    """
    return f"{100 * share:.4g} %"


def points(change: float) -> str:
    """Return a difference of two shares in percentage points.

    >>> points(-0.025), points(0.01)
    ('2.5 points', '1 point')
    """
    shown = f"{abs(100 * change):.4g}"
    return f"{shown} {'point' if shown == '1' else 'points'}"


def hours(value: Band) -> str:
    """Return a number of hours with its range; days from 100 hours on."""
    digits, days = digits_of(value), value.nominal >= 100
    low, mid, high = (_scaled(v / (24 if days else 1), 0, digits) for v in (value.low, value.nominal, value.high))
    return f"{mid} {'days' if days else 'h'} ({low} to {high})"


def _power(value: float, digits: int) -> int:
    if value == 0 or not math.isfinite(value):
        return 0
    rounded = abs(float(f"{value:.{digits - 1}e}"))
    return min(6, max(-12, 3 * math.floor(math.log10(rounded * (1 + 1e-9)) / 3)))


def _scaled(value: float, power: int, digits: int) -> str:
    figure = float(f"{value / 10.0**power:.{digits - 1}e}")
    if abs(figure) >= 10**digits:
        return f"{figure:,.0f}"
    return f"{figure:.{digits}g}"
