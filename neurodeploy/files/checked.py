"""``Record``, the base of checked records that are read from files, and one-line messages for faults in them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError


class Record(BaseModel):
    """A frozen record with checked values; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def one_of(names: Collection[str]) -> AfterValidator:
    """Return the check that a value is one of ``names``, looked up at the time of the check, since tables may grow."""

    def check(value: str) -> str:
        if value not in names:
            *others, last = (f"'{name}'" for name in names)
            expected = f"{', '.join(others)} or {last}" if others else last
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return value

    return AfterValidator(check)


def first_problem(error: ValidationError, top: str = "") -> str:
    """Return ``key: problem`` for the first problem, and the number of further problems; ``top`` replaces a missing key."""
    first = error.errors()[0]
    key = _dotted(first["loc"]) or top
    at = f"{key}: " if key else ""
    return at + first["msg"].removeprefix("Value error, ") + _more(error)


def worst_problem(error: ValidationError, record: type[BaseModel], *, key_name: Callable[[str], str] = str) -> str:
    """Return the worst problem of a TOML file with its key: an unknown key first, with the known ones.

    Args:
        record: the record class that the file was read as.
        key_name: function that returns the text for a key.
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
    """Return the key at ``location``, and the record of the table that holds an unknown key.

    If a table is one of several kinds, pydantic includes the kind in the location; the returned key does not.
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
    """Return the record classes that occur in a type annotation."""
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [record for part in get_args(annotation) for record in _records(part)]
