"""Folders for files that live only as long as a computation; those of killed processes are removed by the next one."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neurodeploy.errors import FileError
from neurodeploy.files.writing import is_living

_PREFIX = "neurodeploy-"


@contextmanager
def temporary_folder(what: str) -> Iterator[Path]:
    """Context with a new folder in ``TMPDIR``, which is removed at its end.

    Its name carries ``what`` it is for and our process, which holds a lock on it (``flock``, so that a process that another
    container does not see is not taken for one that is no more).

    Raises:
        FileError: if there is no place for temporary files.
    """
    try:
        place = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise FileError("files: no folder for temporary files can be written into; name one with TMPDIR") from error
    remove_left(place)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{what}-{os.getpid()}-", dir=place) as name:
        handle = _lock(name)
        try:
            yield Path(name)
        finally:
            if handle is not None:
                os.close(handle)


def remove_left(place: Path) -> None:
    """Remove the temporary folders of this user's processes that are no more."""
    for left in place.glob(f"{_PREFIX}*-*-*"):
        number = left.name.split("-")[-2]
        if not number.isdigit() or is_living(int(number)):
            continue
        with suppress(OSError):  # another process removed it meanwhile
            found = left.lstat()
            own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if own and (handle := _lock(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(handle)


def _lock(folder: str | Path) -> int | None:
    """Return a handle of a folder that holds its lock, None where another process holds it or there are no locks."""
    try:
        import fcntl  # Windows does not have it
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
