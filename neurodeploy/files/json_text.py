"""JSON: the one place where texts from files are read, and where values become text that is JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from neurodeploy.files.unreadable import reason

MOST_DIGITS = 40
"""Length of the longest whole number that is read; 128 bits take 39, as random generators have them."""


class JsonError(ValueError):
    """The text is no JSON that is read; the message says why."""


def parse_json(text: str | bytes) -> Any:
    """Return the values in a JSON text; numbers are finite, whole numbers have at most 40 digits.

    Raises:
        JsonError: for another text, or one that nests deeper than Python's reader goes.
    """
    try:
        return json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise JsonError(reason(error)) from error


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number of JSON, or larger than a float")
    return value


def to_json(value: Any, indent: int | None = None, *, sort_keys: bool = False) -> str:
    """Return plain values as JSON text; a float that is not finite, for which JSON has no word, becomes null.

    >>> to_json({"loss": float("nan"), "epoch": 1})
    '{"loss": null, "epoch": 1}'
    """
    try:
        return json.dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=False)
    except ValueError:
        return json.dumps(_without(value), indent=indent, sort_keys=sort_keys, allow_nan=False)


def _without(value: Any) -> Any:
    """Return values with None in place of floats that are not finite."""
    if isinstance(value, dict):
        return {key: _without(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
