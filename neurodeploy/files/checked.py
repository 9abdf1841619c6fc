"""``Record``: what is read from a file and checked; and what was found wrong with one, in a line for the user."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError


class Record(BaseModel):
    """Values that do not change; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def one_of(names: Collection[str]) -> AfterValidator:
    """Return the check that a value is one of ``names``, which are read when a value comes: a table may have grown."""

    def check(value: str) -> str:
        if value not in names:
            *others, last = (f"'{name}'" for name in names)
            expected = f"{', '.join(others)} or {last}" if others else last
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return value

    return AfterValidator(check)


def first_problem(error: ValidationError, top: str = "") -> str:
    """Return ``key: what is wrong`` for the first problem, and how many more there are; ``top`` stands for no key."""
    first = error.errors()[0]
    key = _dotted(first["loc"]) or top
    at = f"{key}: " if key else ""
    return at + first["msg"].removeprefix("Value error, ") + _more(error)


def worst_problem(error: ValidationError, record: type[BaseModel], *, key_name: Callable[[str], str] = str) -> str:
    """Return the worst problem of a TOML file with its key: an unknown key first, with the known ones.

    Args:
        record: what the file was read as.
        key_name: how a key is written before its value.
    """
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    key, table = _table(first["loc"], record)
    if first["type"] == "extra_forbidden":
        what = f"unknown key '{key}'; known keys there: {', '.join(sorted(table.model_fields))}"
    elif first["type"] == "missing":
        what = f"key '{key}' is missing"
    elif first["type"] == "union_tag_invalid":
        what = f"{key} is of kind '{first['ctx']['tag']}'; known: {first['ctx']['expected_tags']}"
    elif first["type"] == "value_error":
        what = f"{key_name(key) if key else record.__name__.lower()}: {first['ctx']['error']}"
    elif first["type"] == "too_short":
        what = f"{key_name(key)} is empty; give at least one value"
    else:
        what = f"{key_name(key)} = {first['input']!r}: {first['msg'].lower()}"
    return what + _more(error)


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _more(error: ValidationError) -> str:
    return f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""


def _table(location: tuple[int | str, ...], record: type[BaseModel]) -> tuple[str, type[BaseModel]]:
    """Return the key that ``location`` stands for, and the record of the table that an unknown key lies in.

    Where a table is one of several kinds, pydantic puts the kind into the location; the key has it not.
    """
    records = [record]
    key: list[int | str] = []
    for part in location:
        kinds = {str(one.model_fields["kind"].default): one for one in records if "kind" in one.model_fields}
        if len(records) > 1 and part in kinds:
            records = [kinds[str(part)]]
            continue
        key.append(part)
        if isinstance(part, str) and part in records[0].model_fields:
            records = _records(records[0].model_fields[part].annotation) or records
    return _dotted(tuple(key)), records[0]


def _records(annotation: Any) -> list[type[BaseModel]]:
    """Return the records that an annotation is made of."""
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [record for part in get_args(annotation) for record in _records(part)]
