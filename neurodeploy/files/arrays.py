"""Arrays in ``.npy`` and ``.npz`` files, read without running code from them or asking for memory that they cannot fill.

``numpy.load`` believes what a header claims; a damaged one asks for terabytes, or ends in one of a dozen kinds of errors.
Here every size is compared with the bytes that are there first, and every fault is a ``ValueError`` of one line.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.budget import MOST_TIMES, most_unpacked
from neurodeploy.files.plain import open_plain
from neurodeploy.files.unreadable import UNREADABLE, plain_text, reason

MOST_BYTES = 2**33
"""Largest size of all arrays of a file together, unpacked: 8 GiB."""


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array in an ``.npy`` file.

    Raises:
        ValueError: if the file is damaged, holds Python objects, or claims more than it holds; says what is wrong.
        OSError: if it cannot be opened.
    """
    with open_plain(path) as file:
        return _array(file, path.stat().st_size, "it")


def parse_npy(content: bytes) -> NDArray[Any]:
    """Return the array in the content of an ``.npy`` file; raises ``ValueError`` as ``read_npy``."""
    return _array(io.BytesIO(content), len(content), "it")


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays in an ``.npz`` file by name; errors as ``read_npy``, which name the array."""
    with open_plain(path) as file:
        return parse_npz(file)


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays packed, with the bytes of ``numpy.savez_compressed``, which on a full disk leaves its file open.

    Raises:
        OSError: if there is no room.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)  # type: ignore[no-untyped-call]


def holds_array(path: Path, name: str) -> bool:
    """Return whether a file is an ``.npz`` file with an array of this name, by its names alone."""
    try:
        with open_plain(path) as file, zipfile.ZipFile(file) as archive:
            return f"{name}.npy" in archive.namelist()
    except UNREADABLE:
        return False


def parse_npz(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return the arrays in the open ``.npz`` file by name; errors as ``read_npy``."""
    try:
        archive = zipfile.ZipFile(file)
    except UNREADABLE as error:
        raise ValueError(f"it is no zip file of arrays: {reason(error)}") from error
    with archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        for info in members:
            _check_claim(info)
        needed = sum(info.file_size for info in members)
        most = min(MOST_BYTES, most_unpacked(file.seek(0, io.SEEK_END)))
        if needed > most:
            raise ValueError(
                f"its arrays take {needed:,} bytes unpacked; of a file of its size at most {most:,} are read"
            )
        return {info.filename.removesuffix(".npy"): _member(archive, info) for info in members}


def _check_claim(info: zipfile.ZipInfo) -> None:
    if info.file_size > MOST_TIMES * info.compress_size + 1024:
        name = f"array '{plain_text(info.filename.removesuffix('.npy'))}'"
        raise ValueError(
            f"{name} claims {info.file_size:,} bytes, which {info.compress_size:,} packed bytes cannot hold"
        )


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    name = f"array '{plain_text(info.filename.removesuffix('.npy'))}'"
    if info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted; write the file without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed in another way than numpy.savez_compressed does")
    try:
        with archive.open(info) as stream:
            return _array(stream, info.file_size, name)
    except ValueError as error:
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name} is damaged: {error}") from error
    except UNREADABLE as error:
        raise ValueError(f"{name} is damaged: {reason(error)}") from error


def _array(stream: IO[bytes], n_bytes: int, name: str) -> NDArray[Any]:
    """Return the array that begins here and takes ``n_bytes``, its header included."""
    shape, fortran, dtype, n_header = _header(stream, name)
    if dtype.hasobject:
        raise ValueError(
            f"{name} holds Python objects, which are not read; save numbers, lists of different length as one array"
        )
    count = 1
    for size in shape:
        count *= size
    if min(shape, default=0) < 0 or dtype.itemsize == 0:
        raise ValueError(f"{name} has the impossible shape {shape} of {dtype}")
    if count * dtype.itemsize != n_bytes - n_header:
        raise ValueError(
            f"{name} claims {count * dtype.itemsize:,} bytes (shape {_short(shape)} of {dtype}), "
            f"{n_bytes - n_header:,} are there"
        )
    try:
        content = stream.read(count * dtype.itemsize)
        flat: NDArray[Any] = np.frombuffer(content, dtype, count)
        return flat.reshape(shape, order="F" if fortran else "C")
    except UNREADABLE as error:
        raise ValueError(f"{name} is damaged: {reason(error)}") from error


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order (whether Fortran's), type and the length of the header."""
    of_numpy: Any = np.lib.format  # without types in numpy 1
    readers = {(1, 0): of_numpy.read_array_header_1_0, (2, 0): of_numpy.read_array_header_2_0}
    begin = stream.read(12)
    try:
        version = of_numpy.read_magic(io.BytesIO(begin))
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        n_length = 2 if version == (1, 0) else 4
        length = int.from_bytes(begin[8 : 8 + n_length], "little")
        if length > 2**16:
            raise ValueError(f"a header of {length:,} bytes")
        rest = stream.read(max(length + 8 + n_length - len(begin), 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged header may hold what Python warns of
            shape, fortran, dtype = readers[version](io.BytesIO((begin + rest)[8:]))
        return tuple(map(int, shape)), bool(fortran), dtype, 8 + n_length + length
    except UNREADABLE as error:
        raise ValueError(f"{name} has a damaged header: {reason(error)}") from error


def _short(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape[:5]))}{', ...' if len(shape) > 5 else ''})"
