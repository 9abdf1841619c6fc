"""Writing of HDF5 files: HDF5 breaks the whole process where writing fails, as on a full disk, so it is not told of that."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class _Disk:
    """A file that keeps its first error for later."""

    def __init__(self, raw: io.FileIO) -> None:
        self.raw = raw
        self.error: OSError | None = None

    def write(self, data: memoryview) -> int:
        """Write all bytes, or none from the first error on."""
        left = memoryview(data)
        while left and self.error is None:
            left = left[self._tried(self.raw.write, left) or 0 :]
        return len(data)

    def truncate(self, size: int) -> None:
        """Set the length of the file, unless an error came before."""
        if self.error is None:
            self._tried(self.raw.truncate, size)

    def _tried(self, act: Callable[[Any], int | None], argument: Any) -> int | None:
        try:
            return act(argument)
        except OSError as error:
            self.error = error
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@contextmanager
def hdf5_disk(path: Path) -> Iterator[Any]:
    """Context with a new file for ``h5py.File(disk, "w")``; what went wrong on the disk is raised at its end."""
    with path.open("w+b", buffering=0) as raw:
        disk = _Disk(raw)
        try:
            yield disk
        finally:
            if disk.error is not None:
                raise disk.error


@contextmanager
def new_hdf5(path: Path) -> Iterator[Any]:
    """Context with a new HDF5 file; what went wrong on the disk is raised when HDF5 has closed it."""
    import h5py

    with hdf5_disk(path) as disk, h5py.File(disk, "w") as file:
        yield file
