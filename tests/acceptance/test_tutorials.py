"""Tutorials and explanations: what a page runs prints what the page shows, in order (``tests/pages.py``).

This file as a script, with names of pages, runs the pages and writes into them what they print where that differs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a script

from pages import ROOT, Machine, check, is_shown, needs, played

FOLDER = ROOT / "docs"
PAGES = sorted(f"{part}/{path.stem}" for part in ("tutorials", "explanation") for path in (FOLDER / part).glob("*.md"))


@pytest.mark.train
@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_what_it_shows(name, tmp_path):
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for module in needs(page):
        pytest.importorskip(module, reason=f"the page needs {module}")
    check(page, f"{name}.md", tmp_path, Machine())


def test_own_arrays_come_to_a_report_in_five_commands():
    """``test_a_page_prints_what_it_shows`` runs them; none may fail."""
    lines = re.findall(
        r"^\$ neurodeploy (.*)$", (FOLDER / "tutorials" / "own-data.md").read_text(encoding="utf-8"), re.M
    )
    first = [" ".join(line.split()[: 1 + line.startswith("recipe")]) for line in lines]
    assert first == ["recipe new", "recipe check", "recipe keys", "train", "report"]


def test_dots_stand_for_anything():
    assert is_shown("in ... s, done\n", "in 12 s, done")
    assert not is_shown("in ... s, done", "in 12 s, failed")


def test_a_page_that_shows_something_else_is_found(tmp_path):
    page = "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n"
    with pytest.raises(AssertionError, match="prints\n2\nbut wrong.md shows\n3"):
        check(page, "wrong.md", tmp_path, Machine())


def test_commands_that_are_set_in_run_too(tmp_path):
    with pytest.raises(AssertionError, match="no_such_file"):
        check("Do this:\n\n    neurodeploy check no_such_file.nir\n", "set_in.md", tmp_path, Machine())


if __name__ == "__main__":
    import tempfile

    for wanted in sys.argv[1:] or PAGES:
        with tempfile.TemporaryDirectory() as made:
            place = FOLDER / f"{wanted}.md"
            new = played(
                place.read_text(encoding="utf-8"),
                Path(made),
                lambda _, shown, printed: shown.strip() if shown and is_shown(shown, printed) else printed,
                Machine(),
            )
            place.write_text(new, encoding="utf-8")
