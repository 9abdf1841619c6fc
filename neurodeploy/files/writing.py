"""Atomic writing of files, so that a reader never finds a half-written file, and locks between processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neurodeploy.errors import FileError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context that yields a path next to ``path`` to write to; the file is moved to ``path``, or removed on failure."""
    partial = path.with_name(path.name + ".part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write a text file (UTF-8) atomically, replacing an existing file."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Context that keeps out other processes of this machine; ``path`` holds our process id and is removed at the end.

    The lock is ``flock``, which ends with the process, so the file of a killed process does not block.

    Raises:
        FileError: if a living process holds the lock; ``what`` begins the message.
    """
    import fcntl  # Windows does not have it

    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = os.path.samestat(os.fstat(file.fileno()), path.stat())  # else it was removed after we opened it
        except (BlockingIOError, FileNotFoundError):
            free = False
        if not free:
            file.seek(0)
            raise FileError(f"{what} is being made by process {file.read()} ({path}); wait for it, then start again")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
