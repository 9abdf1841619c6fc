"""``neurodeploy bench silicon``: the rows of a facts file, and the page made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurodeploy.bench.silicon.page import coverage_lines, markdown
from neurodeploy.bench.silicon.rows import measure, plain
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import write_text


def bench_silicon(
    *,
    facts: str | Path | None = None,
    out: str | Path | None = None,
    force: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each fact; those whose network is in lava-dl's wheel are left out where that is not installed.

    Args:
        facts: a facts file (``docs/facts.md``), by default that of the package.
        out: Markdown page to write; ``force`` replaces an older one.
        say: called with what is left out, and with the coverage at the end.

    Raises:
        FileError: for a facts file that breaks the layout, or an older page without ``force``.
    """
    rows, ranges = measure(facts, out=out, force=force, say=say)
    if say is not None:
        for line in coverage_lines(rows):
            say(line)
    if out is not None:
        write_text(markdown(rows, ranges), as_path(out))
    return [plain(row) for row in rows]
