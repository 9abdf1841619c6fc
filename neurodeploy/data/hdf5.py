"""Data sets in HDF5 files, read whole: their sizes are checked first, and nothing outside the file is read."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.files import damaged, read_bytes
from neurodeploy.errors import DataError, NeurodeployError
from neurodeploy.files.arrays import MOST_BYTES, MOST_TIMES
from neurodeploy.files.unreadable import UNREADABLE, reason

Ragged = list[NDArray[Any]]
"""A list of arrays of different lengths, one a sample."""

_ECF = 0x8ECF
"""Prophesee's own packing of events, a plugin of HDF5 (github.com/prophesee-ai/hdf5_ecf)."""
_ECF_HINT = (
    "Prophesee's ECF: install its plugin (github.com/prophesee-ai/hdf5_ecf) and name its folder in HDF5_PLUGIN_PATH, or "
    "write the recording as RAW or DAT"
)
_MOST_SETS = 1000


def read_hdf5(path: Path, *, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, NDArray[Any] | Ragged]:
    """Return the data sets of a file (or a ``.gz`` of it) by their paths; lists of different lengths as lists of arrays.

    Args:
        wanted: whether a data set of a path is read.

    Raises:
        DataError: if the file is damaged, claims more than it holds, or needs a plugin that HDF5 does not find.
    """
    return parse_hdf5(read_bytes(path), path, wanted=wanted)


def parse_hdf5(
    content: bytes, path: Path, *, wanted: Callable[[str], bool] = lambda _: True
) -> dict[str, NDArray[Any] | Ragged]:
    """Return the data sets in the content of a file, as ``read_hdf5`` does; ``path`` is for messages."""
    import h5py

    _check_heaps(content, path)
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            found = list(_sets(file, wanted))
            _check_sizes(found, len(content), path)
            return {name: _read(data) for name, data in found}
    except NeurodeployError:
        raise
    except UNREADABLE as error:
        raise damaged(path, f"HDF5: {reason(error)}") from error


def _sets(file: Any, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    """Yield the data sets below a file, each group entered once; links to elsewhere are left out."""
    import h5py

    left, seen, n_sets = [("", file)], set(), 0
    while left:
        where, group = left.pop(0)
        mark = h5py.h5o.get_info(group.id).addr
        if mark in seen:
            continue
        seen.add(mark)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            n_sets += 1
            if n_sets > _MOST_SETS:
                raise ValueError(f"more than {_MOST_SETS} data sets and groups")
            if isinstance(item, h5py.Group):
                left.append((f"{where}{name}/", item))
            elif isinstance(item, h5py.Dataset) and wanted(f"{where}{name}"):
                yield f"{where}{name}", item


def _check_sizes(found: list[tuple[str, Any]], n_bytes: int, path: Path) -> None:
    """Refuse data sets that lie elsewhere, that need an absent plugin, or that claim more than the file can hold."""
    import h5py

    total = 0
    for name, data in found:
        if data.is_virtual or data.external:
            raise damaged(path, f"'{name}' lies in another file; files of data hold them themselves")
        packing = data.id.get_create_plist()
        for i in range(packing.get_nfilters()):
            code = packing.get_filter(i)[0]
            if not h5py.h5z.filter_avail(code):
                how = _ECF_HINT if code == _ECF else f"filter {code} of HDF5, whose plugin is not installed"
                raise DataError(f"data: {path}: '{name}' is packed with {how}")
        claimed = data.size * data.dtype.itemsize if data.size else 0
        total += claimed
        if claimed > MOST_TIMES * max(data.id.get_storage_size(), n_bytes if data.size < 64 else 0) + 4096:
            raise damaged(path, f"'{name}' claims {claimed:,} bytes, its file of {n_bytes:,} cannot hold them")
        if total > MOST_BYTES:
            raise damaged(path, f"its data sets take {total:,} bytes, at most {MOST_BYTES:,} are read")


def _read(data: Any) -> NDArray[Any] | Ragged:
    values: NDArray[Any] = np.asarray(data[()])
    if values.dtype.hasobject and values.dtype.names is None:
        if values.ndim != 1:
            raise ValueError(f"'{data.name}' holds a table of lists")
        return [np.asarray(row) for row in values]
    return values


def _check_heaps(content: bytes, path: Path) -> None:
    """Refuse a heap of lists whose parts do not fill it: HDF5 (2.0) searches such a heap for ever.

    A global heap is ``GCOL``, a version, its size, then objects of number, count, and size, each padded to 8 bytes (HDF5
    File Format Specification 3.0, III.E).
    """
    at = content.find(b"GCOL\x01\0\0\0")
    while at >= 0:
        if at + 16 > len(content):
            raise damaged(path, "HDF5: a heap is cut short")
        size = struct.unpack_from("<Q", content, at + 8)[0]
        end, place = at + size, at + 16
        if not 16 <= size <= len(content) - at:
            raise damaged(path, f"HDF5: a heap claims {size:,} bytes")
        while place + 16 <= end:
            number, _, n_bytes = struct.unpack_from("<HHxxxxQ", content, place)
            if number == 0:  # the free rest, whose size includes its own 16 bytes
                if n_bytes != end - place:
                    raise damaged(path, f"HDF5: the free rest of a heap claims {n_bytes:,} of {end - place:,} bytes")
                break
            place += 16 + (n_bytes + 7) // 8 * 8
            if place > end:
                raise damaged(path, f"HDF5: an object in a heap claims {n_bytes:,} bytes")
        at = content.find(b"GCOL\x01\0\0\0", at + 8)
