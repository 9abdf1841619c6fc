"""Threads that share the parts of a computation; each part is the same whichever thread computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from neurodeploy.engines.event.threads import shared_pool

Part = TypeVar("Part")


class Team:
    """``threads`` threads: the caller's own, and others that all teams share."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads

    def each(self, work: Callable[[Part], None], parts: Sequence[Part]) -> None:
        """Call ``work`` with every part, in any order."""
        left, others = iter(parts), min(self.threads, len(parts)) - 1

        def some() -> None:
            for part in left:  # an iterator of a list or a range gives each part once, whichever thread asks
                work(part)

        if others < 1:
            some()
            return
        pool = shared_pool(self.threads - 1)
        helpers = [pool.submit(some) for _ in range(others)]
        try:
            some()
        finally:
            running = [helper for helper in helpers if not helper.cancel()]
            for helper in running:
                helper.result()


ALONE = Team()
"""The caller's own thread."""
