"""TOML: the single import of a parser (``tomllib`` or ``tomli``), and a writer for plain values."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TomlError = tomllib.TOMLDecodeError


def parse_toml(text: str) -> dict[str, Any]:
    """Return the values in a TOML text; raises ``TomlError``."""
    return tomllib.loads(text)


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
