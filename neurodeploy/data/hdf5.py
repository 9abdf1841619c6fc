"""Data sets in HDF5 files, read whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.files import damaged, read_bytes
from neurodeploy.errors import DataError, NeurodeployError
from neurodeploy.files.hdf5 import is_plain, open_hdf5
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
    try:
        with open_hdf5(path, "files of data", content, foreign=True) as file:
            found = list(_sets(file, wanted))
            _check_filters(found, path)
            return {name: _read(data) for name, data in found}
    except NeurodeployError:
        raise
    except UNREADABLE as error:
        raise damaged(path, f"HDF5: {reason(error)}") from error


def _sets(file: Any, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    """Yield the data sets below a file, each group entered once; soft links are left out."""
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


def _check_filters(found: list[tuple[str, Any]], path: Path) -> None:
    """Refuse data sets that need an absent plugin."""
    import h5py

    for name, data in found:
        packing = data.id.get_create_plist()
        for i in range(packing.get_nfilters()):
            code = packing.get_filter(i)[0]
            if not h5py.h5z.filter_avail(code):
                how = _ECF_HINT if code == _ECF else f"filter {code} of HDF5, whose plugin is not installed"
                raise DataError(f"data: {path}: '{name}' is packed with {how}")


def _read(data: Any) -> NDArray[Any] | Ragged:
    if not is_plain(data.dtype):
        raise ValueError(f"'{data.name}' holds references or lists of lists")
    values: NDArray[Any] = np.asarray(data[()])
    if values.dtype.hasobject and values.dtype.names is None:
        if values.ndim != 1:
            raise ValueError(f"'{data.name}' holds a table of lists")
        return [np.asarray(row) for row in values]
    return values
