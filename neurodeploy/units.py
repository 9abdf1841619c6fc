"""Conversion of durations, rates and energies written with a unit, such as ``10ms``, to SI; numbers with a noun."""

from __future__ import annotations

import math
import re

from neurodeploy.errors import UsageError

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_HERTZ = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6}

_JOULES = {"Wh": 3600.0, "mWh": 3.6, "J": 1.0, "mJ": 1e-3}


def parse_seconds(text: str, what: str) -> float:
    """Return a duration in seconds.

    >>> parse_seconds("10ms", "deadline")
    0.01

    Raises:
        UsageError: for anything but a positive number and one of s, ms, us, ns.
    """
    return _parse(text, what, _SECONDS)


def parse_hertz(text: str, what: str) -> float:
    """Return a rate in 1/s, from a positive number and one of Hz, kHz, MHz; errors as ``parse_seconds``."""
    return _parse(text, what, _HERTZ)


def parse_battery(text: str, what: str) -> float:
    """Return the energy of a battery in joules, from a positive number and one of Wh, mWh, J, mJ.

    Errors as ``parse_seconds``.

    >>> parse_battery("500 mWh", "battery")
    1800.0
    """
    return _parse(text, what, _JOULES)


def plural(n: int, what: str) -> str:
    """Return a number with a noun in words.

    >>> plural(1, "core"), plural(1200, "core")
    ('1 core', '1,200 cores')
    """
    return f"{n:,} {what}{'s' * (n != 1)}"


def _parse(text: str, what: str, units: dict[str, float]) -> float:
    match = re.fullmatch(r"\s*([0-9.eE+-]+)\s*([A-Za-z]+)\s*", text)
    example = f"10{list(units)[1]}"
    if match is None or match[2] not in units:
        raise UsageError(f"{what}: '{text}' needs a number and a unit of {', '.join(units)}, as in {example}")
    try:
        value = float(match[1]) * units[match[2]]
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{what}: '{text}' is no positive number; give one, as in {example}")
    return value
