"""TOML: the single import of a parser (``tomllib`` or ``tomli``), and a writer for plain values."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from neurodeploy.files.unreadable import plain_text, reason

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class TomlError(ValueError):
    """The text is no TOML that is read; the message says where and why, in one line."""


def parse_toml(text: str) -> dict[str, Any]:
    """Return the values in a TOML text.

    Raises:
        TomlError: for another text, one that nests too deep, and whole numbers of more than 64 bits, which TOML has not.
    """
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        why = "a number of more digits than are read" if "integer string conversion" in str(error) else reason(error)
        raise TomlError(why) from error
    _check_whole(values, "")
    return values


def _check_whole(value: Any, key: str) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise TomlError(f"{key} = {str(value)[:20]}... does not fit 64 bits")
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in named:
        _check_whole(part, f"{key}.{name}" if key else plain_text(str(name)))


def to_toml(values: Mapping[str, Any]) -> str:
    """Return plain values as TOML text, one line for each key; tables are written inline.

    >>> to_toml({"name": "a", "data": {"n_steps": 8, "crop": [2, 3]}})
    'name = "a"\\ndata = { n_steps = 8, crop = [2, 3] }\\n'
    """
    return "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return json.dumps(value)
