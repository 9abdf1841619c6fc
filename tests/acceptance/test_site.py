"""The documents as a site: every page, every link and the reference made from the code build without a warning."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from building import ROOT


def _mkdocs() -> list[str]:
    """Return how to call mkdocs: of this Python, or of the environment that ``make docs`` makes; skips where neither is."""
    if all(importlib.util.find_spec(name) for name in ("mkdocs", "mkdocstrings_handlers")):
        return [sys.executable, "-m", "mkdocs"]
    own = ROOT / ".venv-docs" / "bin" / "mkdocs"
    if not own.exists():
        pytest.skip("needs mkdocs and mkdocstrings (extra docs, or make docs)")
    return [str(own)]


@pytest.mark.slow
def test_the_site_builds_strictly_with_a_page_for_each_kind_of_file(tmp_path: Path):
    done = subprocess.run(
        [*_mkdocs(), "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("index.html")}
    assert "index.html" in pages
    written = [
        path.relative_to(ROOT / "docs").with_suffix("")
        for part in ("tutorials", "explanation")
        for path in (ROOT / "docs" / part).glob("*.md")
    ]
    assert {
        f"{page}/index.html" for page in (*written, "commands", "reference/recipe", "reference/exit-codes")
    } <= pages
