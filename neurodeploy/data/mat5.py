"""MATLAB's ``.mat`` files of level 5 (``save -v6`` and ``-v7``): arrays of numbers, texts, structs, cells of arrays.

Format: MathWorks, "MAT-File Format", chapter "Level 5 MAT-File Format". scipy reads more kinds, but a damaged file can end
the whole process there (1.15), so this reader is our own; every size is checked against the bytes that are there.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.files.budget import MOST_TIMES, most_unpacked

Variable = NDArray[Any] | list[NDArray[Any]]
"""An array, or a cell array of arrays."""

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_DEEPEST = 8
_MOST_PARTS = 2**20


class NotRead(ValueError):
    """A variable of a kind that is not read, as sparse arrays and objects."""


def parse_mat5(content: bytes) -> dict[str, Variable]:
    """Return the variables of a file by name, fields of structs as ``struct/field``; kinds that are not read are left out.

    Raises:
        ValueError: if the file is damaged or claims more than it holds; says what is wrong.
    """
    if len(content) < 128 or not content.startswith(b"MATLAB 5.0"):
        raise ValueError("a .mat file begins with 'MATLAB 5.0' or 'MATLAB 7.3'; save it with -v7 or -v7.3")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("its header tells no order of bytes")
    found: dict[str, Variable] = {}
    left = most_unpacked(len(content))
    for kind, data in _elements(content, 128, order):
        if kind == _COMPRESSED:
            data = _inflated(data, left)
            left -= len(data)
            inner = list(_elements(data, 0, order))
        else:
            inner = [(kind, data)]
        for inner_kind, inner_data in inner:
            if inner_kind == _MATRIX:
                _add(found, inner_data, order)
    return found


def _inflated(data: bytes, most: int) -> bytes:
    engine = zlib.decompressobj()
    try:
        content = engine.decompress(data, min(most, MOST_TIMES * len(data) + 1024))
    except zlib.error as error:
        raise ValueError(f"a packed variable cannot be unpacked ({error})") from error
    if not engine.eof:
        raise ValueError("a packed variable is cut short, or larger than is read")
    return content


def _elements(data: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of the elements from ``at`` on."""
    while at + 8 <= len(data):
        first, second = struct.unpack_from(f"{order}II", data, at)
        if first >> 16:  # of four bytes or less, in the tag itself
            kind, size, begin, end = first & 0xFFFF, first >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        else:
            kind, size, begin = first, second, at + 8
            end = begin + (size if kind == _COMPRESSED else (size + 7) // 8 * 8)
        if begin + size > len(data):
            raise ValueError(f"an element claims {size:,} bytes, {len(data) - begin:,} are there")
        yield kind, data[begin : begin + size]
        at = end


def _add(found: dict[str, Variable], data: bytes, order: str, prefix: str = "", depth: int = 0) -> None:
    """Add the variable in a matrix element."""
    try:
        name, value = _matrix(data, order, depth)
    except NotRead:
        return
    if isinstance(value, dict):
        found |= {f"{prefix}{name}/{field}" if name else f"{prefix}{field}": part for field, part in value.items()}
    else:
        found[prefix + name] = value


def _matrix(data: bytes, order: str, depth: int) -> tuple[str, Any]:
    """Return the name of a matrix element, and an array, a list of arrays (cells), or a dictionary (a struct)."""
    if depth > _DEEPEST:
        raise ValueError("structs in structs, deeper than is read")
    if not data:
        return "", np.empty((0, 0))
    parts = _elements(data, 0, order)
    flags = _numbers(*_next(parts), order)
    if flags.size < 1:
        raise ValueError("a variable without flags")
    kind, is_complex = int(flags[0]) & 0xFF, int(flags[0]) >> 11 & 1
    shape = tuple(int(n) for n in _numbers(*_next(parts), order))
    name = _next(parts)[1].decode("latin-1")
    if not shape or min(shape) < 0 or len(shape) > 32:
        raise ValueError(f"'{name}' has the impossible shape {shape[:8]}")
    if kind in _CLASSES and not is_complex:
        return name, _shaped(_numbers(*_next(parts), order), shape, name).astype(_CLASSES[kind])
    if kind == _CHAR:
        text_kind, text = _next(parts)
        codec = _TEXTS.get(text_kind, "latin-1")
        return name, np.array(
            text.decode(f"{codec}-le" if order == "<" and codec[-2:] in ("16", "32") else codec, "replace")
        )
    if kind == _CELL:
        return name, [_plain(_matrix(part, order, depth + 1)[1]) for _, part in _some(parts, math.prod(shape))]
    if kind == _STRUCT:
        return name, _struct(parts, shape, order, depth)
    raise NotRead(name)


def _struct(parts: Iterator[tuple[int, bytes]], shape: tuple[int, ...], order: str, depth: int) -> dict[str, Variable]:
    """Return the fields of a single struct."""
    widths = _numbers(*_next(parts), order)
    if widths.size != 1:
        raise ValueError("a struct whose names have no width")
    width, names = int(widths[0]), _next(parts)[1]
    if not 0 < width <= 2**10 or len(names) % width or math.prod(shape) != 1:
        raise NotRead("a struct array")
    fields: dict[str, Variable] = {}
    for at in range(0, len(names), width):
        field = names[at : at + width].split(b"\0")[0].decode("latin-1")
        try:
            value = _matrix(_next(parts)[1], order, depth + 1)[1]
        except NotRead:
            continue
        if isinstance(value, dict):
            fields |= {f"{field}/{inner}": part for inner, part in value.items()}
        else:
            fields[field] = value
    return fields


def _next(parts: Iterator[tuple[int, bytes]]) -> tuple[int, bytes]:
    try:
        return next(parts)
    except StopIteration:
        raise ValueError("a variable is cut short") from None


def _some(parts: Iterator[tuple[int, bytes]], n: int) -> Iterator[tuple[int, bytes]]:
    if n > _MOST_PARTS:
        raise ValueError(f"a cell array of {n:,} parts")
    for _ in range(n):
        yield _next(parts)


def _plain(value: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise NotRead("cells of structs or cells")
    return value


def _numbers(kind: int, data: bytes, order: str) -> NDArray[Any]:
    if kind not in _TYPES:
        raise ValueError(f"numbers of the unknown kind {kind}")
    dtype = np.dtype(order + _TYPES[kind])
    if len(data) % dtype.itemsize:
        raise ValueError(f"{len(data)} bytes are no numbers of {dtype.itemsize}")
    return np.frombuffer(data, dtype)


def _shaped(values: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    if math.prod(shape) != values.size:
        raise ValueError(f"'{name}' claims the shape {shape[:8]}, {values.size:,} numbers are there")
    return values.reshape(shape, order="F")
