#!/usr/bin/env python3
"""Does what a newcomer does, to the letter, on a Python that has nothing: ``tools/fresh_machine.py 3.10|3.12 [FOLDER]``.

Copies the checkout into FOLDER (by default a temporary one, removed at the end), installs it there as the README says, and
runs the README's commands and scripts and every tutorial. What they print must be what the pages show: of the demo's lines
the words and the number of different spikes, of a tutorial everything but its ``...``. On Python 3.10 the environment is
that of ``make demo``, on others that of ``pip install '.[train]'``; what needs a package that it has not is named as left
out. Prints a line for each step, with its seconds; ends with 1 where one failed. pip's own settings are honoured, and
PYTHON=/path/to/python names the interpreter.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "tests"))

from pages import Machine, check, needs  # noqa: E402

INSTALL = "pip install '.[train]'"
TRAIN = "neurodeploy train digits-mlp && neurodeploy report runs/digits-mlp"
C_TOOLS = ("cc", "arm-none-eabi-gcc", "qemu-system-arm")
_FAILED: list[str] = []


def main(version: str, folder: Path) -> int:
    """Do all steps in a folder; return the exit code."""
    checkout = folder / "checkout"
    copy_checkout(checkout)
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    if version == "3.10":
        with step("make demo"):
            shown = re.search(r"    \$ make demo\n((?:    .*\n)+)", readme)[1]
            compare_demo(shown, run(["make", "demo"], checkout))
        environment = checkout / ".venv"
    else:
        environment = folder / "venv"
        with step(INSTALL):
            assert INSTALL in readme, f"the README has no {INSTALL}"
            run([os.environ.get("PYTHON", f"python{version}"), "-m", "venv", str(environment)], checkout)
            run([f"{environment}/bin/{INSTALL}"], checkout, shell=True)
    used = sum(path.lstat().st_size for path in environment.rglob("*") if not path.is_dir())
    print(f"      {used / 1e6:,.0f} MB in {environment.name}", flush=True)
    machine = Machine(python=str(environment / "bin" / "python"), installed=True)
    follow(readme, checkout, folder, machine)
    print(f"{len(_FAILED)} of the steps failed{': ' * bool(_FAILED)}{', '.join(_FAILED)}", flush=True)
    return int(bool(_FAILED))


def follow(readme: str, checkout: Path, folder: Path, machine: Machine) -> None:
    """Run the commands and the script of the README, and all tutorials."""
    with step(TRAIN):
        assert TRAIN in readme, f"the README has no {TRAIN}"
        path = f"{Path(machine.python).parent}{os.pathsep}{os.environ['PATH']}"
        printed = run([TRAIN], new(folder, "train"), shell=True, path=path)
        assert re.search(r"^0 of [\d,]+ spikes differ", printed, re.MULTILINE), printed
    pages = {"README.md": "\n".join(re.findall(r"```python\n.*?```\n(?:\n```text\n.*?```\n)?", readme, re.DOTALL))}
    docs = checkout / "docs"
    tutorials = [*sorted(docs.glob("tutorials/*.md")), *sorted(docs.glob("explanation/*.md")), docs / "ten_minutes.md"]
    pages |= {page.name: page.read_text(encoding="utf-8") for page in tutorials}
    for name, page in pages.items():
        wanted = ["lava.lib.dl", "lava"] if name == "README.md" else needs(page)
        missing = [module for module in wanted if not machine.has(module)]
        missing += [tool for tool in C_TOOLS if name == "ten_minutes.md" and shutil.which(tool) is None]
        if missing:
            print(f"left  {name} needs {', '.join(missing)}", flush=True)
            continue
        with step(name):
            check(page, name, new(folder, name), machine)


def compare_demo(shown: str, printed: str) -> None:
    """Hold the demo's lines against those of the README: same words, and no spike different.

    Raises:
        AssertionError: with both lines, where they differ.
    """
    lines = [line[4:] for line in shown.splitlines()]
    results = [
        line
        for line in printed.splitlines()
        if re.match(r"(train|export|verify|simulate|map|estimate|report) {2}", line)
    ]
    tell_apart(lines, results, lambda line: re.sub(r"[#, ]*( and # more)?$", "", re.sub(r"\d[\d.,]*", "#", line)))
    (proof,) = (line for line in results if line.startswith("verify"))
    assert ": 0 of " in proof, proof


def tell_apart(shown: list[str], printed: list[str], words: Callable[[str], str]) -> None:
    """Raise an AssertionError that names the first line whose words differ."""
    for one, other in zip(shown, printed):
        assert words(one) == words(other), f"prints\n{other}\nbut the README shows\n{one}"
    assert len(shown) == len(printed), f"prints {len(printed)} lines, the README shows {len(shown)}"


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print whether a step succeeded, and its seconds; a failure is kept for the end."""
    start = time.perf_counter()
    try:
        yield
    except (AssertionError, subprocess.TimeoutExpired) as error:
        _FAILED.append(name)
        print(f"FAIL  {time.perf_counter() - start:6.0f} s  {name}\n{error}", flush=True)
    else:
        print(f"ok    {time.perf_counter() - start:6.0f} s  {name}", flush=True)


def run(words: list[str], folder: Path, *, shell: bool = False, path: str = os.environ["PATH"]) -> str:
    """Return what a program prints; it must succeed."""
    environment = {**os.environ, "PATH": path}
    environment.pop("PYTHONPATH", None)
    command = words[0] if shell else words
    done = subprocess.run(
        command, cwd=folder, shell=shell, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"{words} ends with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def new(folder: Path, name: str) -> Path:
    """Return a new, empty folder."""
    made = folder / f"work-{name}"
    made.mkdir()
    return made


def copy_checkout(to: Path) -> None:
    """Copy the files that git knows or would add, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HERE,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (HERE / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, to / name)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        Path(sys.argv[2]).mkdir(parents=True)
        sys.exit(main(sys.argv[1], Path(sys.argv[2]).resolve()))
    with tempfile.TemporaryDirectory() as made:
        sys.exit(main(sys.argv[1], Path(made)))
