"""The keys of files: each of them says what it means, in the words of the record that checks it."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from neurodeploy.commands.recipe import FILES
from neurodeploy.files.checked import OneOf, Record
from neurodeploy.files.keys import Key, keys_of, meanings

NAMES = ["a", "b"]


class Inner(Record):
    """A table."""

    width: Annotated[int, Field(ge=1, lt=9)] = 3
    """Width of it, in pixels."""


class Outer(Inner):
    """A file."""

    name: Annotated[str, OneOf(NAMES)]
    """Which one."""
    kind: Literal["x", "y"] = "x"
    inner: Inner | None = None
    """What is in it."""
    parts: dict[str, list[Inner]] = Field(default={})
    """Others."""


def test_a_key_has_its_meaning_range_and_default():
    keys = {key.name: key for key in keys_of(Outer)}
    assert keys["width"] == Key(
        name="width", meaning="Width of it, in pixels.", value="whole number, at least 1, below 9", default="3"
    )
    assert (keys["name"].value, keys["name"].default) == ('"a", "b"', "required")
    assert (keys["kind"].value, keys["kind"].default, keys["kind"].meaning) == ('"x", "y"', '"x"', "")
    assert keys["inner.width"].meaning == "Width of it, in pixels."
    assert keys["parts"].value == "table of: list of: table, as inner"


def test_names_that_are_added_to_a_table_later_are_shown():
    NAMES.append("c")
    try:
        assert next(key for key in keys_of(Outer) if key.name == "name").value == '"a", "b", "c"'
    finally:
        NAMES.pop()


def test_fields_can_be_left_out():
    assert "width" not in {key.name for key in keys_of(Outer, hidden=frozenset({"width"}))}


def test_a_record_has_the_meanings_of_the_one_it_extends():
    assert meanings(Outer)["width"] == "Width of it, in pixels."


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_key_of_a_file_that_users_write_says_what_it_means(name):
    keys = keys_of(FILES[name], hidden=frozenset({"source_file", "sha256"}))
    assert [key.name for key in keys if not key.meaning.endswith(".")] == []
