"""Figures as text for a reader: three digits and an SI prefix."""

from __future__ import annotations

import math

from neurodeploy.costs.record import Band

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M"}


def si(value: float, unit: str) -> str:
    """Return a figure with three digits and an SI prefix.

    >>> si(0.0000123456, "J")
    '12.3 µJ'
    >>> si(0, "s")
    '0 s'
    """
    return f"{_scaled(value, _power(value))} {_PREFIXES[_power(value)]}{unit}"


def band(value: Band, unit: str) -> str:
    """Return a nominal figure with its range, all in the unit of the nominal figure."""
    power = _power(value.nominal)
    shown = f"{_scaled(value.nominal, power)} {_PREFIXES[power]}{unit}"
    if value.low == value.high:
        return shown
    return f"{shown} ({_scaled(value.low, power)} to {_scaled(value.high, power)})"


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


def _power(value: float) -> int:
    if value == 0 or not math.isfinite(value):
        return 0
    return min(6, max(-12, 3 * math.floor(math.log10(abs(value) * (1 + 5e-4)) / 3)))


def _scaled(value: float, power: int) -> str:
    figure = value / 10.0**power
    return f"{figure:.3g}" if abs(figure) < 999.5 else f"{figure:,.0f}"
