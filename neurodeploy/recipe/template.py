"""A commented recipe as text: every key with its meaning, those with a default as comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from neurodeploy.files.keys import REQUIRED, Key, keys_of
from neurodeploy.files.toml import to_toml
from neurodeploy.recipe.record import Recipe
from neurodeploy.recipe.sparse import METHODS

HIDDEN = frozenset({"source_file"})
"""Fields of records that are no keys of a file."""
_OPTIONAL = ("distillation", "budget", "start", "mapping")
_COLUMN, _WIDTH = 40, 120


def commented(values: Mapping[str, Any]) -> str:
    """Return the recipe with these values (table, key, value) as TOML text with a comment behind every key.

    Keys that the values leave out stand as comments with their default. Of ``[sparse]`` only the keys of the method are
    there; tables that a recipe need not have are named at the end.
    """
    keys = [key for key in keys_of(Recipe, hidden=HIDDEN) if "[" not in key.name and "*" not in key.name]
    lines = [
        "# Keys that are commented out have the value that is shown. `neurodeploy recipe keys` tells the range of each."
    ]
    lines += _lines(keys, "", values)
    tables = [key for key in keys if "." not in key.name and key.value.startswith("table")]
    for table in tables:
        own = values.get(table.name, {})
        if table.name in _OPTIONAL and not own:
            lines += ["", f"# [{table.name}]  {table.meaning} `neurodeploy recipe keys {table.name}`"]
            continue
        lines += ["", f"[{table.name}]  # {table.meaning}"]
        lines += _lines(keys, f"{table.name}.", own)
    return "\n".join(lines) + "\n"


def _lines(keys: list[Key], prefix: str, values: Mapping[str, Any]) -> Iterator[str]:
    method = str(values.get("method", "esl"))
    for key in keys:
        name = key.name.removeprefix(prefix)
        if not key.name.startswith(prefix) or "." in name or (not prefix and key.value.startswith("table")):
            continue
        if prefix == "sparse." and name not in {"method", "density", *METHODS[method].settings}:
            continue
        if name in values:
            yield from _given(name, values[name], key.meaning)
        elif key.default != REQUIRED:
            shown = "" if key.default == "a table" else key.default
            yield from _explained(f"# {name} = {shown}".rstrip(), key.meaning)


def _given(name: str, value: Any, meaning: str) -> Iterator[str]:
    if name == "layers" and isinstance(value, list | tuple):
        yield from _explained("layers = [", meaning)
        yield from (f"    {to_toml({'x': layer}).removeprefix('x = ').rstrip()}," for layer in value)
        yield "]"
    else:
        yield from _explained(to_toml({name: value}).rstrip(), meaning)


def _explained(line: str, meaning: str) -> Iterator[str]:
    """Yield a line with its comment behind it, or above it where the line would be too long."""
    behind = f"{line:<{_COLUMN}} # {meaning}"
    if len(behind) <= _WIDTH:
        yield behind
    else:
        yield from textwrap.wrap(meaning, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        yield line
