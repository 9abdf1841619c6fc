"""Files of data sets: search, errors for missing and damaged files, and reading without running code from the files."""

from __future__ import annotations

import gzip
import io
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import DataError
from neurodeploy.files.budget import most_unpacked
from neurodeploy.files.plain import read_whole
from neurodeploy.files.unreadable import UNREADABLE, reason

ROOT_VARIABLE = "NEURODEPLOY_DATA"


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds the data sets: ``root``, else the folder in NEURODEPLOY_DATA, else ``data``."""
    return Path(root or os.environ.get(ROOT_VARIABLE) or "data").expanduser()


def missing(name: str, what: str, sought: Sequence[Path]) -> DataError:
    """Return the error for missing files: what is missing, the places searched, and how to get the files."""
    places = ", ".join(str(place) for place in sought)
    return DataError(
        f"data: '{name}' lacks {what}; sought in {places}. Say where it is with data.root in the recipe, --root or "
        f"{ROOT_VARIABLE}, or fetch it: neurodeploy data get {name}"
    )


def damaged(path: Path, why: object, remedy: str = "remove it and fetch the set again") -> DataError:
    """Return the error for a file whose content is not of the expected kind."""
    return DataError(f"data: {path} is damaged or of another format ({why}); {remedy}")


def find_folder(name: str, root: Path, *candidates: str) -> Path:
    """Return the first of the candidate folders below ``root`` that exists.

    Raises:
        DataError: if none exists.
    """
    sought = [root / candidate for candidate in candidates]
    for folder in sought:
        if folder.is_dir():
            return folder
    raise missing(name, f"the folder {candidates[0]}", sought)


def find_file(name: str, folders: Sequence[Path], file: str) -> Path:
    """Return the path of ``file`` or ``file.gz`` in one of the folders.

    Raises:
        DataError: if there is neither.
    """
    for folder in folders:
        for path in (folder / file, folder / f"{file}.gz"):
            if path.is_file():
                return path
    raise missing(name, f"the file {file} (or {file}.gz)", folders)


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in lower case; of a ``.gz`` the one before."""
    return (Path(path.stem) if path.suffix == ".gz" else path).suffix.lower()


_TIMES_GZ = 16
"""Times its size that a ``.gz`` file may take unpacked, beyond what any may; those of data sets take 2 to 8."""


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: if the file cannot be read or unpacked.
    """
    try:
        content = read_whole(path)
        if path.suffix != ".gz":
            return content
        most = most_unpacked(len(content), _TIMES_GZ)
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(most + 1)
    except UNREADABLE as error:
        raise damaged(path, reason(error)) from error
    if len(unpacked) > most:
        raise damaged(path, f"it takes more than {most:,} bytes unpacked")
    return unpacked


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler for lists, dictionaries, text, numbers and the allowed names; any other name is an error."""

    def __init__(self, data: bytes, allowed: Mapping[tuple[str, str], Callable[..., Any]]) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._allowed = allowed

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._allowed[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which is not loaded") from None


def _latin1(text: Any, encoding: Any) -> bytes:
    """Return the bytes of a text; replaces ``_codecs.encode``, which protocol 2 pickles of Python 3 use for bytes."""
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

    No code from the file runs: every other name in the pickle is refused.

    Raises:
        DataError: if the file is not a pickle, or refers to any other name.
    """
    data = read_bytes(path)
    try:
        return _PlainUnpickler(data, _ARRAYS if arrays else {}).load()
    except (pickle.UnpicklingError, *UNREADABLE) as error:
        raise damaged(path, reason(error)) from error


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of bytes in an idx file (MNIST's format), plain or gzip'd.

    Raises:
        DataError: if the file is not an idx file of bytes, or its length differs from its header.
    """
    data = read_bytes(path)
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise damaged(path, "no idx file of bytes")
    n_axes = data[3]
    shape = tuple(int(n) for n in np.frombuffer(data[4 : 4 + 4 * n_axes], ">u4"))
    if len(shape) != n_axes or len(data) != 4 + 4 * n_axes + int(np.prod(shape)):
        raise damaged(path, f"{len(data)} bytes do not hold an array of shape {shape}")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_axes).reshape(shape)
