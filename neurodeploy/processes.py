"""Worker processes that end with the process that started them, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

GRACE_S = 5.0
"""Time that a worker has to save its state and end, before it is killed."""


@contextmanager
def worker_pool(n: int, start: Any) -> Iterator[ProcessPoolExecutor]:
    """Context with a pool of ``n`` spawned processes; where its block fails, they are asked to end, then killed.

    So they are where SIGTERM asks this process to end, which then exits with 143.

    Args:
        n: number of processes.
        start: function that each process calls first, by its name in a module.
    """
    pool = ProcessPoolExecutor(
        n, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(start,)
    )
    try:
        with _ending_by_exit():
            yield pool
    except BaseException:
        _end(pool)
        raise
    pool.shutdown(wait=True)


@contextmanager
def _ending_by_exit() -> Iterator[None]:
    """Context in which SIGTERM raises SystemExit, unless it is handled already, or this is no main thread."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _begin(start: Any) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()
    start()


def _watch(sentinel: int) -> None:
    """End this process when the parent is gone; a pool's worker would wait for work for ever."""
    wait([sentinel])
    os._exit(1)


def _end(pool: ProcessPoolExecutor) -> None:
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(GRACE_S)
        if process.is_alive():
            process.kill()
            process.join()
