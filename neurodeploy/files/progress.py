"""Where reading a large file tells how far it is: a function that the command line sets (``cli/reading.py``)."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

Reading: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a file, the numbers read so far, and all numbers in it."""

reading: ContextVar[Reading | None] = ContextVar("reading", default=None)
