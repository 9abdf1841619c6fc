"""Threads that share the parts of a computation; each part is the same whichever thread computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")


class Team:
    """``threads`` threads. With one, parts are computed in the caller's own."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def each(self, work: Callable[[Part], None], parts: Sequence[Part]) -> None:
        """Call ``work`` with every part, in any order."""
        if self._pool is None or len(parts) < 2:
            for part in parts:
                work(part)
            return
        for _ in self._pool.map(work, parts):
            pass


ALONE = Team()
"""The caller's own thread."""
