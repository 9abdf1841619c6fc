"""Files of data sets: where they are sought, what is said when they are missing, and reading without running code."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import DataError

ROOT_VARIABLE = "NEURODEPLOY_DATA"


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds the data sets: ``root``, else what NEURODEPLOY_DATA says, else ``data``."""
    return Path(root or os.environ.get(ROOT_VARIABLE) or "data").expanduser()


def missing(name: str, what: str, sought: Sequence[Path]) -> DataError:
    """Return the error for absent files: what is missing, where it was sought, how to get it."""
    places = ", ".join(str(place) for place in sought)
    return DataError(
        f"data: '{name}' lacks {what}; sought in {places}. Say where it is with data.root in the recipe, --root or "
        f"{ROOT_VARIABLE}, or fetch it: neurodeploy data get {name}"
    )


def damaged(path: Path, why: object) -> DataError:
    """Return the error for a file that is not what its name says."""
    return DataError(f"data: {path} is damaged or of another format ({why}); remove it and fetch the set again")


def find_folder(name: str, root: Path, *candidates: str) -> Path:
    """Return the first of the folders below ``root`` that exists.

    Raises:
        DataError: where none does.
    """
    sought = [root / candidate for candidate in candidates]
    for folder in sought:
        if folder.is_dir():
            return folder
    raise missing(name, f"the folder {candidates[0]}", sought)


def find_file(name: str, folders: Sequence[Path], file: str) -> Path:
    """Return ``file`` or ``file.gz``, whichever lies in one of the folders.

    Raises:
        DataError: where there is neither.
    """
    for folder in folders:
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    raise missing(name, f"the file {file} (or {file}.gz)", folders)


def read_bytes(path: Path) -> bytes:
    """Return what a file holds, unpacked where its name ends in ``.gz``.

    Raises:
        DataError: where it cannot be read or unpacked.
    """
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, error) from error


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles lists, dictionaries, text, numbers and the names given; any other name is an error."""

    def __init__(self, data: bytes, allowed: Mapping[tuple[str, str], Callable[..., Any]]) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._allowed = allowed

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._allowed[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which is not loaded") from None


def _latin1(text: Any, encoding: Any) -> bytes:
    """Stand in for ``_codecs.encode``, by which pickles of protocol 2 made in Python 3 hold bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("it encodes text other than bytes")
    return text.encode("latin1")


_RECONSTRUCT: Any = np.empty(0).__reduce__()[0]

_ARRAYS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}


def unpickle_plain(path: Path, *, arrays: bool = False) -> Any:
    """Return the lists, dictionaries, text and numbers in a pickle, with numpy arrays if ``arrays``; text may be bytes.

    No code of the file runs: every other name in it is refused.

    Raises:
        DataError: where the file is no such pickle.
    """
    data = read_bytes(path)
    try:
        return _PlainUnpickler(data, _ARRAYS if arrays else {}).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise damaged(path, error) from error


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of bytes in an idx file (MNIST's format), plain or gzip'd.

    Raises:
        DataError: where the file is no idx file of bytes, or shorter or longer than it says.
    """
    data = read_bytes(path)
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise damaged(path, "no idx file of bytes")
    n_axes = data[3]
    shape = tuple(int(n) for n in np.frombuffer(data[4 : 4 + 4 * n_axes], ">u4"))
    if len(shape) != n_axes or len(data) != 4 + 4 * n_axes + int(np.prod(shape)):
        raise damaged(path, f"{len(data)} bytes do not hold an array of shape {shape}")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_axes).reshape(shape)
