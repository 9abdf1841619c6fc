"""``docs/nd5.md``: its code runs, and its tables and its header are those of the files."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from building import ROOT, chain

from neurodeploy.exchange.formats import write_network
from neurodeploy.exchange.nd5.layout import FORMAT, VERSION
from neurodeploy.exchange.nd5.values import KINDS, SECTIONS, types_of, values_of
from neurodeploy.network import Dense, Pool, Sparse

PAGE = (ROOT / "docs" / "nd5.md").read_text(encoding="utf-8")
WRITING, READING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
WEIGHTS = np.array([[4, 0, -6, 0, 0], [0, 0, 8, 2, 0], [1, 0, 0, 0, 9]])
KEPT = WEIGHTS + np.eye(3, 5, 1) != 0


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "docs/nd5.md", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_example_of_writing_runs(tmp_path):
    write_network(chain([WEIGHTS]), tmp_path / "network.nir")
    run(WRITING)
    assert (tmp_path / "copy.nd5").is_file()


def test_the_example_of_reading_reads_matrix_list_and_pooling(tmp_path):
    source, target = np.nonzero(WEIGHTS.T)
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=5))])
    sparse = Sparse(n_target=3, start=start, target=target, weights=WEIGHTS[target, source])
    path = tmp_path / "network.nd5"
    write_network(chain([Dense(weights=WEIGHTS)], more={"p1": {"mask": KEPT}}), path)
    found = run(READING)
    assert np.array_equal(found["weights"], WEIGHTS)
    assert np.array_equal(found["mask"], KEPT)
    write_network(chain([sparse], more={"p1": {"mask": [True] * 6}}), path, force=True)
    found = run(READING)
    assert found["weights"] == [(s, t, WEIGHTS[t, s]) for s, t in zip(source, target)]
    assert found["mask"].tolist() == [True] * 6
    write_network(chain([Pool(input_shape=(1, 2, 2), kernel=(2, 2), stride=(2, 2), weight=7)]), path, force=True)
    assert run(READING)["weights"] == 7


def test_the_example_of_a_header_is_one():
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    header = json.loads(text)
    assert list(header) == ["dt", *SECTIONS]
    for section, kind in SECTIONS.items():
        (entry,) = header[section]
        assert set(values_of(kind, entry, section).fields) == set(types_of(kind))


@pytest.mark.parametrize("inside", KINDS)
def test_the_tables_name_every_kind_with_every_field(inside):
    (table,) = re.findall(rf"\| `{inside}` \| fields \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    rows = {
        kind: re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", said))
        for kind, said in re.findall(r"\| `(\w+)` \| (.*) \|", table)
    }
    assert rows == {kind: [f.name for f in fields(record)] for kind, record in KINDS[inside].items()}


def test_the_page_names_format_and_version():
    assert f"| attribute `format` | text, `{FORMAT}` |" in PAGE
    assert f"| attribute `version` | whole number, {VERSION} |" in PAGE
