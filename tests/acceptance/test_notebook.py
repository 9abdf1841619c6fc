"""The notebook in examples/: its cells run one after the other, and show what is kept in it."""

from __future__ import annotations

import ast
import json
import re

import pytest
from building import ROOT

NOTEBOOK = json.loads((ROOT / "examples" / "first_look.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def run_cell(source, names):
    """Run a cell as Jupyter does; return the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), f"the last line shows nothing: {source}"
    exec(compile(tree, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


def without_numbers(text):
    """Times differ from run to run, and trainings from processor to processor."""
    return re.sub(r"\d[\d,.]*( (?:n|µ|m)?[JsW]\b)?", "#", text)


@pytest.mark.train
def test_every_cell_runs_and_shows_what_is_kept(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    plotly = pytest.importorskip("plotly.graph_objects")
    monkeypatch.chdir(tmp_path)
    names, pictures = {}, 0
    for cell in CELLS:
        shown = run_cell("".join(cell["source"]), names)
        if not cell["outputs"]:
            assert isinstance(shown, plotly.Figure)
            pictures += 1
            continue
        (kept,) = cell["outputs"]
        (text,) = kept["data"]["text/plain"]
        assert without_numbers(repr(shown)) == without_numbers(text)
        assert len(repr(shown)) < 400
        assert isinstance(shown, str) or shown._repr_html_().startswith("<b>")
    assert pictures == 4
    assert names["report"]["report"]["verification"]["spikes_different"] == 0
    assert names["report"]["report"]["accuracy"]["test"] > 0.95
    assert (tmp_path / "runs" / "first_look" / "report.html").is_file()


def test_the_notebook_is_one():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    assert all(cell["execution_count"] is None for cell in CELLS)
