"""Pages that can be run: every command and script of a page in order, and whether it prints what the page shows.

A ``console`` block has lines that begin with ``$ `` and what they print; a ``python`` block may be followed by a ``text``
block with what it prints. ``...`` stands for what differs from run to run. Where a page has commands as lines that are set
in by four spaces, they run too, and show nothing. Needs nothing but Python, so that ``tools/fresh_machine.py`` can use it.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"```(console|python)\n(.*?)```\n(?:\n?```text\n(.*?)```\n)?|^    ((?:neurodeploy|cc) [^\n]*\n)", re.DOTALL | re.M
)
_FILE = re.compile(r"<!-- (\S+) is (\S+) -->")
_MARK = re.compile(r"<!-- needs (\S+) -->")


@dataclass(frozen=True)
class Machine:
    """What runs a page: a Python that has neurodeploy, and whether it is the checkout's or one that was installed."""

    python: str = sys.executable
    installed: bool = False

    def printed_by(self, words: list[str], folder: Path) -> str:
        """Return what a program prints on standard output; it must succeed."""
        environment = {**os.environ, "COLUMNS": "110"}
        environment.pop("PYTHONPATH", None)
        if not self.installed:
            environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=900
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip()

    def program(self, line: str) -> list[str]:
        """Return the words of a command line, with this Python for ``neurodeploy``."""
        words = shlex.split(line)
        return [self.python, "-m", "neurodeploy", *words[1:]] if words[0] == "neurodeploy" else words

    def has(self, module: str) -> bool:
        """Return whether a module can be imported there."""
        code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module.split('.')[0]!r}) is None)"
        return subprocess.run([self.python, "-c", code], check=False).returncode == 0


def needs(page: str) -> list[str]:
    """Return the modules that a page says it needs."""
    return _MARK.findall(page)


def prepare(page: str, folder: Path) -> None:
    """Put the files of the repository that the page names into the folder."""
    for name, path in _FILE.findall(page):
        content = (ROOT / path).read_bytes()
        (folder / name).write_bytes(gzip.decompress(content) if path.endswith(".gz") else content)


def is_shown(shown: str, printed: str) -> bool:
    """Return whether a page shows what was printed; ``...`` stands for anything."""
    parts = (re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(".*?".join(parts), printed, re.DOTALL) is not None


def played(page: str, folder: Path, answer: Callable[[str, str, str], str], machine: Machine) -> str:
    """Return the page after all its blocks ran; ``answer(what, shown, printed)`` gives what it shows from now on."""
    prepare(page, folder)

    def play(match: re.Match[str]) -> str:
        kind, body, text, line = match.groups()
        if line:
            machine.printed_by(machine.program(line), folder)
            return match.group(0)
        if kind == "python":
            shown = answer(body, text or "", machine.printed_by([machine.python, "-c", body], folder))
            return f"```python\n{body}```\n" + (f"\n```text\n{shown}\n```\n" if shown else "")
        parts = re.split(r"^\$ (.*)\n", body, flags=re.MULTILINE)[1:]
        lines = [
            (line, answer(line, shown, machine.printed_by(machine.program(line), folder)))
            for line, shown in zip(parts[::2], parts[1::2])
        ]
        return "```console\n" + "\n".join(f"$ {line}\n{shown}".rstrip() for line, shown in lines) + "\n```\n"

    return _BLOCK.sub(play, page)


def check(page: str, name: str, folder: Path, machine: Machine) -> None:
    """Run a page and hold what is printed against what it shows.

    Raises:
        AssertionError: where a block fails, or prints something else.
    """

    def same(what: str, shown: str, printed: str) -> str:
        assert is_shown(shown, printed), f"{what}\nprints\n{printed}\nbut {name} shows\n{shown}"
        return shown.strip()

    played(page, folder, same, machine)
