"""``Record``, the base of checked records that are read from files, and one-line messages for faults in them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Record(BaseModel):
    """A frozen record with checked values; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class OneOf:
    """The check that a value is one of ``names``, looked up at the time of the check, since tables may grow."""

    names: Collection[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "enum": list(self.names)}

    def _check(self, value: str) -> str:
        if value not in self.names:
            *others, last = (f"'{name}'" for name in self.names)
            expected = f"{', '.join(others)} or {last}" if others else last
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return value


def first_problem(error: ValidationError, top: str = "") -> str:
    """Return ``key: problem`` for the first problem, and the number of further problems; ``top`` replaces a missing key."""
    first = error.errors()[0]
    key = _dotted(first["loc"]) or top
    at = f"{key}: " if key else ""
    return at + first["msg"].removeprefix("Value error, ") + _more(error)


def all_problems(error: ValidationError, record: type[BaseModel], *, key_name: Callable[[str], str] = str) -> str:
    """Return the problems of a TOML file, each with its key: unknown keys first, with the nearest known one.

    All of them stand in one line. A list that is too short because of a wrong value in it is no problem of its own.

    Args:
        record: the record class that the file was read as.
        key_name: function that returns the text for a key.
    """
    found = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    inner = {problem["loc"][:-1] for problem in found}
    return "; ".join(
        _problem(one, record, key_name) for one in found if one["type"] != "too_short" or one["loc"] not in inner
    )


def unknown_key(key: str, known: Collection[str]) -> str:
    """Return the end of a message about an unknown key: the known ones, and the nearest if one is near.

    >>> unknown_key("densiti", ["density", "method"])
    "density, method; 'density' is the nearest"
    """
    near = get_close_matches(key.rpartition(".")[2], known, n=1)
    return ", ".join(known) + (f"; '{near[0]}' is the nearest" if near else "")


def _problem(problem: ErrorDetails, record: type[BaseModel], key_name: Callable[[str], str]) -> str:
    key, table = _table(problem["loc"], record)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'; known keys there: {unknown_key(key, sorted(table.model_fields))}"
    if problem["type"] == "missing":
        return f"key '{key}' is missing"
    if problem["type"] == "union_tag_invalid":
        return f"{key} is of kind '{problem['ctx']['tag']}'; known: {problem['ctx']['expected_tags']}"
    if problem["type"] == "value_error":
        return f"{key_name(key) if key else record.__name__.lower()}: {problem['ctx']['error']}"
    if problem["type"] == "too_short":
        return f"{key_name(key)} is empty; give at least one value"
    return f"{key_name(key)} = {problem['input']!r}: {problem['msg'].lower()}"


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
