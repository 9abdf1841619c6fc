"""Progress of what is deep below a command: functions to report it to, which ``cli/reading.py`` sets."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

Reading: TypeAlias = Callable[[str, int, int], None]
"""Function that is called with the name of a file, the count of numbers read so far, and the count of all its numbers."""

reading: ContextVar[Reading | None] = ContextVar("reading", default=None)

compiling: ContextVar[Callable[[], None] | None] = ContextVar("compiling", default=None)
"""Function that is called before a loop is compiled, which no run on this machine has left in the cache."""
