"""A progress bar on standard error while a large file is read; without a terminal, a word for ``cli/working.py``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neurodeploy.cli.working import is_quiet, note
from neurodeploy.files.progress import compiling, reading

LARGE = 2**21
"""Count of numbers in a file from which on a bar is shown; smaller files are read too quickly for one."""
_WIDTH = 30
_CLEAR = "\r\x1b[K"


@contextmanager
def reading_bar() -> Iterator[None]:
    """Context that shows a bar for every large file that is read inside."""
    shown = sys.stderr.isatty() and not is_quiet()
    token = reading.set(_draw if shown else _note)
    try:
        yield
    finally:
        reading.reset(token)
        if shown:  # the bar of a file that could not be read to its end is still there
            print(_CLEAR, end="", file=sys.stderr, flush=True)


def _note(name: str, done: int, of: int) -> None:
    note(f"reading {Path(name).name}, {100 * done // of} %" if done < of else "")


def _draw(name: str, done: int, of: int) -> None:
    if of < LARGE:
        return
    full = _WIDTH * done // of
    bar = f"{_CLEAR}reading {Path(name).name} {'━' * full}{'╌' * (_WIDTH - full)} {100 * done // of} %"
    print(_CLEAR if done >= of else bar, end="", file=sys.stderr, flush=True)


@contextmanager
def telling_of_compilation() -> Iterator[None]:
    """Context in which the first loop that has to be compiled is told of on standard error, once."""
    told: list[str] = []

    def tell() -> None:
        if not told and not is_quiet():
            told.append("compiling loops for this machine, once: later runs take them from the cache")
            print(told[0], file=sys.stderr, flush=True)

    token = compiling.set(tell)
    try:
        yield
    finally:
        compiling.reset(token)
