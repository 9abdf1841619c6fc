"""What the program says on standard error while a command works: a line soon, then one every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

SOON_S = 1.5
"""Silence in seconds before the first line: what is done by then needs none."""
EVERY_S = 5.0
"""Seconds between lines after the first."""


@dataclass(slots=True)
class Work:
    """What the command is at; ``text`` is empty until a stage has told more than its name."""

    command: str
    quiet: bool = False
    text: str = ""
    barred: bool = False
    """A bar on a terminal shows it already."""
    started: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """Return the line that says what is being done, and for how long already."""
        text = self.text.removeprefix(f"{self.command}: ") or "at work"
        return f"{self.command}: {text}; {time.monotonic() - self.started:.0f} s so far"


work: ContextVar[Work | None] = ContextVar("work", default=None)


def is_quiet() -> bool:
    """Return whether the user asked for no word but results, warnings and errors (``--quiet``)."""
    now = work.get()
    return now is not None and now.quiet


def note(text: str) -> None:
    """Keep what the command is at for the next line."""
    now = work.get()
    if now is not None:
        now.text = text


@contextmanager
def working(command: str, *, quiet: bool) -> Iterator[Work]:
    """Context in which the program says what it is at, on a terminal or not, unless it is to be quiet."""
    now = Work(command=command, quiet=quiet)
    token = work.set(now)
    done = threading.Event()
    speaker = threading.Thread(target=_speak, args=(now, done), daemon=True)
    if not quiet:
        speaker.start()
    try:
        yield now
    finally:
        done.set()
        if not quiet:
            speaker.join(EVERY_S)
        work.reset(token)


def _speak(now: Work, done: threading.Event) -> None:
    pause = SOON_S
    while not done.wait(pause):
        pause = EVERY_S
        if not now.barred:
            try:
                print(now.line(), file=sys.stderr, flush=True)
            except (OSError, ValueError):  # nobody reads on
                return
