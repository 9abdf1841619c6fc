"""JSON from files: finite, of numbers that fit; and what we write is JSON for every reader."""

from __future__ import annotations

import json
import math

import pytest

from neurodeploy.files.json_text import JsonError, parse_json, to_json
from neurodeploy.files.toml import TomlError, parse_toml


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("[" * 100_000, "nests too deep", id="deep"),
        pytest.param("9" * 401, "a number of 401 digits", id="digits"),
        ("1e999", "is no number of JSON"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("-Infinity", "-Infinity is no number of JSON"),
        ("", "Expecting value"),
        ("{'a': 1}", "Expecting property name"),
    ],
)
def test_texts_that_are_refused_in_one_line(text, why):
    with pytest.raises(JsonError, match=why) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)


def test_numbers_of_random_generators_are_read():
    assert parse_json(str(2**128 - 1)) == 2**128 - 1


def test_values_that_are_no_numbers_become_null():
    values = {"a": [1.5, math.inf, (-math.inf, {"b": math.nan})], "c": True}
    assert json.loads(to_json(values), parse_constant=pytest.fail) == {"a": [1.5, None, [None, {"b": None}]], "c": True}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("a = " + "[" * 2000, "nest", id="deep"),
        pytest.param("a = " + "9" * 5000, "^a number of more digits than are read$", id="digits"),
        ("[t]\na = [1, 99999999999999999999]", "t.a.1 = 99999999999999999999"),
    ],
)
def test_toml_texts_that_are_refused_in_one_line(text, why):
    with pytest.raises(TomlError, match=why) as caught:
        parse_toml(text)
    assert "\n" not in str(caught.value)
