"""Writing files so that a reader finds the old one, the whole new one, or none: never half of one. And locks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neurodeploy.errors import FileError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; it is moved to ``path`` at the end, and removed where writing fails."""
    partial = path.with_name(path.name + ".part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write a text file (UTF-8), replacing an older one in one move."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Keep other processes of this machine out while the block runs: ``path`` holds our process id and is then removed.

    The lock is the system's own (``flock``), which ends with the process: what a killed one left behind is taken over.

    Raises:
        FileError: where a living process holds it; ``what`` begins the message.
    """
    import fcntl  # which Windows has not

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
