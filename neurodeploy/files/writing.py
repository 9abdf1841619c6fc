"""Atomic writing of files, checks before it, and locks between processes: a reader never finds a half-written file."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neurodeploy.errors import FileError

LOCK_FILE = ".lock"
"""In a folder that a process writes into."""
_held: set[tuple[int, Path]] = set()
"""Folders that this process holds, with its number, which a fork changes."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context that yields a path next to ``path`` to write to; the file is moved to ``path``, or removed on failure.

    The path carries our process, so that two that write the same file do not write into one; what a killed process left
    is removed.

    Raises:
        FileError: if a device, a pipe or a socket stands at ``path``, which would be lost.
    """
    _check_plain("files", path)
    _remove_left(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write a text file (UTF-8) atomically, replacing an existing file."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_new_file(stage: str, path: Path, *, force: bool, option: str = "--out") -> None:
    """Refuse a file that could not be written, or would replace one, before any work for it is done.

    Raises:
        FileError: says what is in the way, and what to give instead.
    """
    if path.is_dir():
        raise FileError(f"{stage}: {path} is a folder; name a file with {option}")
    _check_plain(stage, path)
    if path.exists() and not force:
        raise FileError(f"{stage}: {path} exists; choose another {option}, or --force to replace it")
    folder = path.parent
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "does not exist"
        raise FileError(f"{stage}: {path} cannot be written: {folder} {kind}; name a file in a folder that is there")
    _check_writable(stage, folder, option)


def _check_plain(stage: str, path: Path) -> None:
    """Refuse to replace what is there and no file, also behind a link: a device, a pipe or a socket."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise FileError(f"{stage}: {path} is a device or a pipe, which a file would replace; name a file")


def check_new_folder(stage: str, folder: Path, *, option: str = "--out") -> None:
    """Refuse a folder that cannot be made, or not be written into, before any work for it is done.

    Raises:
        FileError: names the file that is in the way, or the folder without permission.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists() or place.is_symlink())
    if not there.is_dir():
        raise FileError(f"{stage}: {there} is a file; name a folder with {option}")
    _check_writable(stage, there, option)


def _check_writable(stage: str, folder: Path, option: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{stage}: the folder {folder} cannot be written into; choose another {option}")


def _remove_left(path: Path) -> None:
    """Remove the unfinished files for ``path`` of processes that are no more."""
    with suppress(OSError):
        for left in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
            number = left.name[len(path.name) + 1 : -len(".part")]
            if number.isdigit() and not is_living(int(number)):
                left.unlink(missing_ok=True)


def is_living(process: int) -> bool:
    """Return whether a process of this machine lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True


@contextmanager
def locked_folder(folder: Path, what: str) -> Iterator[None]:
    """Context that keeps other processes from writing into a folder, which it makes; within itself it is free to enter.

    Raises:
        FileError: if a living process holds the folder, or it cannot be made; ``what`` begins the message.
    """
    check_new_folder(what.partition(":")[0], folder)
    own = folder.resolve()
    if (os.getpid(), own) in _held:
        yield
        return
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / LOCK_FILE, what):
            _held.add((os.getpid(), own))
            try:
                yield
            finally:
                _held.discard((os.getpid(), own))
    finally:
        if new:
            with suppress(OSError):
                folder.rmdir()  # where nothing was written


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
        try:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
        finally:
            path.unlink(missing_ok=True)
