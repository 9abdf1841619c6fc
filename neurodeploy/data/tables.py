"""Files that hold arrays with names: ``.npz``, ``.npy``, HDF5, ``.mat`` and CSV, each read as a dictionary of arrays."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.files import damaged, read_bytes, suffix_of
from neurodeploy.data.hdf5 import Ragged, parse_hdf5
from neurodeploy.data.mat5 import parse_mat5
from neurodeploy.errors import DataError
from neurodeploy.files.arrays import MOST_BYTES, read_npy, read_npz

Table = dict[str, NDArray[Any] | Ragged]
"""Arrays by name; lists of different lengths, one a sample, as lists of arrays."""


def read_table(path: Path) -> Table:
    """Return the arrays in a file of a suffix of ``TABLES``; the array of an ``.npy`` file has the name ``spikes``.

    Raises:
        DataError: if the file is damaged, or claims more than it holds.
    """
    return TABLES[suffix_of(path)](path)


def _npz(path: Path) -> Table:
    try:
        return dict(read_npz(path))
    except (OSError, ValueError) as error:
        raise damaged(path, error, "write it again") from error


def _npy(path: Path) -> Table:
    try:
        array = read_npy(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error, "write it again") from error
    return {name: array[name] for name in array.dtype.names} if array.dtype.names else {"spikes": array}


def _hdf5(path: Path) -> Table:
    return _flat(parse_hdf5(read_bytes(path), path))


def _flat(found: Table) -> Table:
    """Return data sets with records taken apart, as ``CD/events/x``."""
    flat: Table = {}
    for name, data in found.items():
        if isinstance(data, np.ndarray) and data.dtype.names:
            flat |= {f"{name}/{field}": data[field] for field in data.dtype.names}
        else:
            flat[name] = data
    return flat


def _mat(path: Path) -> Table:
    """Return the variables of a MATLAB file; those of version 7.3 are HDF5 with the axes in reverse."""
    content = read_bytes(path)
    if content.startswith(b"MATLAB 7.3"):
        return {
            name: data.T if isinstance(data, np.ndarray) else data
            for name, data in _flat(parse_hdf5(content, path)).items()
        }
    try:
        found = parse_mat5(content)
    except (ValueError, RecursionError, MemoryError) as error:
        raise damaged(path, f"MATLAB: {error}", "write it again") from error
    return {name: [row.reshape(-1) for row in data] if isinstance(data, list) else data for name, data in found.items()}


_NUMBER = re.compile(r"[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+|nan|inf)$", re.IGNORECASE)


def _csv(path: Path) -> Table:
    """Return the columns of a text file whose first line names them; between them a comma, semicolon, tab or spaces."""
    content = read_bytes(path)
    if 16 * content.count(b",") + 16 * content.count(b"\n") > MOST_BYTES:
        raise damaged(path, "more numbers than are read at once; cut it into several files")
    head, _, rest = content.partition(b"\n")
    try:
        first = head.decode().strip().lstrip("\ufeff#% ").strip()
    except UnicodeDecodeError as error:
        raise damaged(path, "its first line is no text") from error
    mark = next((mark for mark in (",", ";", "\t") if mark in first), None)
    names = [name.strip().strip('"') for name in first.split(mark)]
    if not names or not all(names) or any(_NUMBER.match(name) for name in names) or len(set(names)) != len(names):
        raise DataError(
            f"data: {path}: the first line must name the columns, as in 't_us,x,y,p' or 'time_ms,unit,sample,label'; it is "
            f"'{first[:60]}'"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without lines
            rows = np.loadtxt(io.BytesIO(rest), delimiter=mark, ndmin=2, comments="#")
    except (ValueError, UnicodeDecodeError, MemoryError, OverflowError) as error:
        raise damaged(path, f"below its first line: {str(error)[:200]}") from error
    if not rows.size:
        rows = np.empty((0, len(names)))
    if rows.shape[1] != len(names):
        raise damaged(path, f"{rows.shape[1]} numbers in a line, its first line names {len(names)} columns")
    return {name: rows[:, i].copy() for i, name in enumerate(names)}


TABLES: dict[str, Callable[[Path], Table]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".mat": _mat,
    ".csv": _csv,
    ".txt": _csv,
}
"""Readers by suffix."""
