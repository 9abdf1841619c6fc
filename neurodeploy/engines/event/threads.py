"""Threads that share the parts of a run. They are started once: starting one takes longer than a small network runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def shared_pool(threads: int) -> ThreadPoolExecutor:
    """Return a pool of so many threads, the same in every call of this process."""
    key = os.getpid(), threads  # a process that was forked off has none of them
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads)
    return _pools[key]


def in_order(work: Callable[[Part], Result], parts: Sequence[Part], threads: int) -> Iterator[Result]:
    """Yield ``work(part)`` for every part in order; ``threads`` threads work at once, the caller's is one of them.

    Each part is the same whichever thread computes it. Parts that nobody asks for any more are not begun.
    """
    helpers = min(threads, len(parts)) - 1
    if helpers < 1:
        yield from map(work, parts)
        return
    pool = shared_pool(helpers)
    waiting: dict[int, Future[Result]] = {k: pool.submit(work, parts[k]) for k in range(1, len(parts))}
    done: dict[int, Result] = {}
    try:
        done[0] = work(parts[0])
        for k in range(len(parts)):
            while k not in done and not waiting[k].done():
                free = next((j for j in reversed(waiting) if j not in done and waiting[j].cancel()), None)
                if free is None:
                    break
                done[free] = work(parts[free])
            yield done.pop(k) if k in done else waiting.pop(k).result()
    finally:
        for future in [future for future in waiting.values() if not future.cancel()]:
            future.exception()
