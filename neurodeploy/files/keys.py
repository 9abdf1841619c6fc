"""The keys of a TOML file, read from the record that checks it: meaning, kind and range of the value, default."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from pydantic import BaseModel

Schema: TypeAlias = Mapping[str, Any]
REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a file.

    Attributes:
        name: with the tables around it (``training.epochs``); ``[]`` marks a list of tables, ``*`` names that users choose.
        meaning: in words, with the unit.
        value: kind and range of the value in words (``whole number, at least 1``).
        default: as it would stand in the file, ``""`` where the key may be absent, ``REQUIRED`` where it may not.
    """

    name: str
    meaning: str
    value: str
    default: str


def keys_of(record: type[BaseModel], *, hidden: frozenset[str] = frozenset()) -> tuple[Key, ...]:
    """Return the keys of a file that is read as ``record``, in the order of the record, tables before what is in them.

    Meanings are the strings below the fields of a record. A table that is one of several kinds has the keys of each, with
    the kind in the name (``layers[conv]``). A table that occurs again is shown once.

    Args:
        hidden: fields that are no keys.
    """
    schema = record.model_json_schema()
    records = {cls.__name__: cls for cls in _all_records(record)}
    return tuple(_Walk(schema.get("$defs", {}), records, hidden, {}).keys("", schema))


@cache
def meanings(record: type[BaseModel]) -> Mapping[str, str]:
    """Return the meaning of each field of a record: the string that stands below it, in the record or one it extends."""
    found: dict[str, str] = {}
    for cls in reversed(record.__mro__):
        if issubclass(cls, BaseModel) and cls is not BaseModel:
            (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
            assert isinstance(definition, ast.ClassDef)
            for field, below in zip(definition.body, definition.body[1:]):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(below, ast.Expr)
                ):
                    found[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return found


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk through a schema; ``seen`` holds where each table was shown first."""

    tables: Mapping[str, Schema]
    records: Mapping[str, type[BaseModel]]
    hidden: frozenset[str]
    seen: dict[str, str]

    def keys(self, prefix: str, schema: Schema) -> Iterator[Key]:
        told = meanings(self.records[schema["title"]])
        for name, value in schema["properties"].items():
            if name in self.hidden:
                continue
            full, inside = f"{prefix}{name}", list(_tables(value))
            default = REQUIRED if name in schema.get("required", ()) else _written(value.get("default"))
            known = [self.seen[table] for _, table in inside if table in self.seen]
            text = _value(value) + (f", as {known[0].partition('[')[0]}" if known else "")
            yield Key(name=full, meaning=told.get(name, ""), value=text, default=default)
            for marks, table in inside:
                if table not in self.seen:
                    inner = self.tables[table.rpartition("/")[2]]
                    kind = inner["properties"].get("kind", {}).get("const", "")
                    self.seen[table] = f"{full}{marks.replace('[]', f'[{kind}]')}"
                    yield from self.keys(f"{self.seen[table]}.", inner)


def _tables(value: Schema) -> Iterator[tuple[str, str]]:
    """Yield each table that a value may be, with what its keys bear behind the name of the value."""
    if "$ref" in value:
        yield "", value["$ref"]
    for one in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from _tables(one)
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(value.get(key), Mapping):
            yield from ((mark + marks, table) for marks, table in _tables(value[key]))


def _value(value: Schema) -> str:
    several = [_value(one) for one in (*value.get("anyOf", ()), *value.get("oneOf", ())) if one.get("type") != "null"]
    if several:
        return " or ".join(dict.fromkeys(several))
    if "$ref" in value:
        return "table"
    if "const" in value or "enum" in value:
        return ", ".join(_written(one) for one in value.get("enum", [value.get("const")]))
    kind = value.get("type")
    if kind == "array":
        parts = value.get("prefixItems")
        return f"[{', '.join(map(_value, parts))}]" if parts else f"list of: {_value(value.get('items', {}))}"
    if kind == "object":
        inner = value.get("additionalProperties")
        return f"table of: {_value(inner)}" if isinstance(inner, Mapping) else "table"
    word = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}.get(
        str(kind), "any value"
    )
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{text} {_number(value[key])}" for key, text in bounds.items() if key in value]
    more = [f"a multiple of {_number(value['multipleOf'])}"] if "multipleOf" in value else []
    return ", ".join([word, *limits, *more])


def _number(value: float) -> str:
    """Return a number as people write it: a large power of two as such.

    >>> _number(255), _number(0.5), _number(2**63)
    ('255', '0.5', '2^63')
    """
    power = int(value).bit_length() - 1
    return f"2^{power}" if power > 30 and value == 2**power else f"{value:g}"


def _written(value: Any) -> str:
    if value is None:
        return ""
    return "a table" if isinstance(value, Mapping) and value else json.dumps(value)


def _all_records(record: type[BaseModel]) -> set[type[BaseModel]]:
    found, waiting = {record}, [record]
    while waiting:
        for field in waiting.pop().model_fields.values():
            new = set(_records(field.annotation, field.metadata)) - found
            found |= new
            waiting += new
    return found


def _records(*annotations: Any) -> Iterator[type[BaseModel]]:
    for one in annotations:
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one
        yield from _records(*getattr(one, "__args__", ()))
