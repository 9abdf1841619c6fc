"""The tutorials: every command and script on a page runs, in order, and prints what the page shows.

A ``console`` block has lines that begin with ``$ `` and what they print; a ``python`` block may be followed by a
``text`` block with what it prints. ``...`` stands for what differs from run to run. This file as a script, with names of
pages, runs the pages and writes what they print into them, where it is not what they show.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "tutorials"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md"))
_BLOCK = re.compile(r"```(console|python)\n(.*?)```\n(?:\n?```text\n(.*?)```\n)?", re.DOTALL)
_FILE = re.compile(r"<!-- (\S+) is (\S+) -->")
_MARK = re.compile(r"<!-- needs (\S+) -->")


def prepare(page: str, folder: Path) -> None:
    """Put the files of the repository that the page names into the folder."""
    for name, path in _FILE.findall(page):
        content = (ROOT / path).read_bytes()
        (folder / name).write_bytes(gzip.decompress(content) if path.endswith(".gz") else content)


def printed_by(words: list[str], folder: Path) -> str:
    """Return what a program prints, standard error after standard output; it must succeed."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "110"}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip()


def program(line: str) -> list[str]:
    """Return the words of a command line, with this Python for ``neurodeploy``."""
    words = shlex.split(line)
    return [sys.executable, "-m", "neurodeploy", *words[1:]] if words[0] == "neurodeploy" else words


def is_shown(shown: str, printed: str) -> bool:
    """Return whether a page shows what was printed; ``...`` stands for anything."""
    parts = (re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(".*?".join(parts), printed, re.DOTALL) is not None


def played(page: str, folder: Path, answer: Callable[[str, str, str], str]) -> str:
    """Return the page after all its blocks ran; ``answer(what, shown, printed)`` gives what it shows from now on."""
    prepare(page, folder)

    def play(match: re.Match[str]) -> str:
        kind, body, text = match.groups()
        if kind == "python":
            shown = answer(body, text or "", printed_by([sys.executable, "-c", body], folder))
            return f"```python\n{body}```\n" + (f"\n```text\n{shown}\n```\n" if shown else "")
        parts = re.split(r"^\$ (.*)\n", body, flags=re.MULTILINE)[1:]
        lines = [
            (line, answer(line, shown, printed_by(program(line), folder)))
            for line, shown in zip(parts[::2], parts[1::2])
        ]
        return "```console\n" + "\n".join(f"$ {line}\n{shown}".rstrip() for line, shown in lines) + "\n```\n"

    return _BLOCK.sub(play, page)


@pytest.mark.train
@pytest.mark.parametrize("name", PAGES)
def test_a_tutorial_prints_what_it_shows(name, tmp_path):
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for module in _MARK.findall(page):
        pytest.importorskip(module, reason=f"the tutorial needs {module}")

    def check(what: str, shown: str, printed: str) -> str:
        assert is_shown(shown, printed), f"{what}\nprints\n{printed}\nbut {name}.md shows\n{shown}"
        return shown.strip()

    played(page, tmp_path, check)


def test_dots_stand_for_anything():
    assert is_shown("in ... s, done\n", "in 12 s, done")
    assert not is_shown("in ... s, done", "in 12 s, failed")


def test_a_page_that_shows_something_else_is_found(tmp_path):
    page = "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n"
    found = []
    played(page, tmp_path, lambda _, shown, printed: found.append(is_shown(shown, printed)) or printed)
    assert found == [False]


if __name__ == "__main__":
    import tempfile

    for wanted in sys.argv[1:] or PAGES:
        with tempfile.TemporaryDirectory() as made:
            place = FOLDER / f"{wanted}.md"
            new = played(
                place.read_text(encoding="utf-8"),
                Path(made),
                lambda _, shown, printed: shown.strip() if shown and is_shown(shown, printed) else printed,
            )
            place.write_text(new, encoding="utf-8")
