"""A progress bar on standard error while a large file is read; silent if standard error is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neurodeploy.files.progress import reading

LARGE = 2**21
"""Count of numbers in a file from which on a bar is shown; smaller files are read too quickly for one."""
_WIDTH = 30
_CLEAR = "\r\x1b[K"


@contextmanager
def reading_bar() -> Iterator[None]:
    """Context that shows a bar for every large file that is read inside."""
    shown = sys.stderr.isatty()
    token = reading.set(_draw if shown else None)
    try:
        yield
    finally:
        reading.reset(token)
        if shown:  # the bar of a file that could not be read to its end is still there
            print(_CLEAR, end="", file=sys.stderr, flush=True)


def _draw(name: str, done: int, of: int) -> None:
    if of < LARGE:
        return
    full = _WIDTH * done // of
    bar = f"{_CLEAR}reading {Path(name).name} {'━' * full}{'╌' * (_WIDTH - full)} {100 * done // of} %"
    print(_CLEAR if done >= of else bar, end="", file=sys.stderr, flush=True)
