"""AEDAT 4.0 files of iniVation's DV: a FlatBuffer that names the streams, then packets of a FlatBuffer each, mostly packed.

The tables are ``IOHeader`` (compression, place of the index, an XML text) and ``EventPacket`` (events of 16 bytes: t int64,
x and y int16, on). Packed packets need ``lz4`` or ``zstandard`` (extra ``events``). The package aedat (2.3) reads the same
events, but a damaged file ends the whole process there, so this reader is our own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.files import damaged
from neurodeploy.data.recording import EventFile, check_clock, from_first
from neurodeploy.errors import DataError, MissingPackageError, install_hint

_PACKET_BYTES = 2**28
"""A packet of AEDAT 4 holds some thousand events of 16 bytes; more than 256 MiB unpacked is damage."""

_KINDS4 = {"FRME": "frames", "IMUS": "packets of the motion sensor", "TRIG": "packets of triggers"}
_COMPRESSIONS = ("none", "lz4", "lz4", "zstandard", "zstandard")
_EVENT4 = np.dtype({"names": ["t", "x", "y", "on"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12],
                    "itemsize": 16})  # fmt: skip


def parse_aedat4(data: bytes, path: Path) -> EventFile:
    """Return the events in the content of an AEDAT 4.0 file.

    Raises:
        DataError: for a damaged file, several cameras, or a clock that starts anew.
        MissingPackageError: for packed packets, where the package to unpack them is absent.
    """
    try:
        start, view = data.index(b"\r\n") + 2, memoryview(data)
        n_header = _u4(data, start)
        top = _Table(view[start + 4 : start + 4 + n_header], 0)
        packing = _COMPRESSIONS[top.number(0, "<i4", 0)]
        index, kinds = top.number(1, "<i8", -1), _kinds4(top.text(2))
        end = index if start < index <= len(data) else len(data)
        return _merged4(view, (start + 4 + n_header, end), packing, kinds, path)
    except (ValueError, IndexError, KeyError, struct.error, ElementTree.ParseError, UnicodeDecodeError) as error:
        raise damaged(path, f"AEDAT 4.0: {error}") from error


def _merged4(
    data: memoryview,
    span: tuple[int, int],
    packing: str,
    kinds: dict[int, tuple[str, tuple[int, int] | None]],
    path: Path,
) -> EventFile:
    parts, dropped = [], dict[str, int]()
    streams = {stream for stream, (kind, _) in kinds.items() if kind == "EVTS"}
    for stream, body in _bodies4(data, *span):
        kind = kinds[stream][0] if stream in kinds else "unknown"
        if kind == "EVTS":
            content = _unpacked(body, packing, path)
            parts.append((stream, _Table(content[4:], 0).vector(0, _EVENT4)))
        else:
            name = _KINDS4.get(kind, "packets of other kinds")
            dropped[name] = dropped.get(name, 0) + 1
    used = {stream for stream, events in parts if len(events)} or streams
    if len(used) > 1:
        raise DataError(f"data: {path}: AEDAT 4.0 with events of {len(used)} streams; write one file for each")
    events = np.concatenate([events for _, events in parts]) if parts else np.empty(0, _EVENT4)
    size = kinds[next(iter(used))][1] if used else None
    said = f"AEDAT 4.0{f', {size[1]}x{size[0]}' if size else ''}"
    x, y, time_us = events["x"].astype(np.int32), events["y"].astype(np.int32), events["t"].astype(np.int64)
    for name, axis, limit in zip(("row", "column"), (y, x), size or (2**15, 2**15)):
        if axis.size and not 0 <= axis.min() <= axis.max() < limit:
            raise damaged(path, f"an event at {name} {axis.min()} or {axis.max()}, {said} has 0..{limit - 1}")
    check_clock(time_us, path)
    return EventFile(
        time_us=from_first(time_us),
        place=((events["on"] != 0).astype(np.int32), y, x),
        shape=(2, *size) if size else None,
        camera=said,
        dropped=dropped,
    )


def _bodies4(data: memoryview, at: int, end: int) -> Iterator[tuple[int, memoryview]]:
    """Yield the stream and the content of each packet."""
    while at < end:
        stream, n_bytes = struct.unpack_from("<ii", data, at)
        if n_bytes < 0 or at + 8 + n_bytes > end:
            raise ValueError(f"the packet at byte {at} claims {n_bytes} bytes, {end - at - 8} are there")
        yield stream, data[at + 8 : at + 8 + n_bytes]
        at += 8 + n_bytes


def _kinds4(xml: str) -> dict[int, tuple[str, tuple[int, int] | None]]:
    """Return kind, and height and width where they are given, of each stream, from the XML text of the header."""
    if "<!" in xml:
        raise ValueError("its XML declares entities")
    streams = {}
    for node in ElementTree.fromstring(xml).iter("node"):
        said = {attr.get("key"): attr.text or "" for attr in node.findall("attr")}
        if "typeIdentifier" not in said:
            continue
        inner = {attr.get("key"): attr.text or "" for attr in node.iterfind("node/attr")}
        size = (int(inner["sizeY"]), int(inner["sizeX"])) if {"sizeX", "sizeY"} <= set(inner) else None
        if size and not all(0 < n <= 2**15 for n in size):
            raise ValueError(f"a sensor of {size[1]}x{size[0]} pixels")
        streams[int(node.get("name", ""))] = said["typeIdentifier"], size
    return streams


def _unpacked(body: memoryview, packing: str, path: Path) -> memoryview:
    if packing == "none":
        return body
    module: Any
    try:
        module = import_module("lz4.frame" if packing == "lz4" else "zstandard")
    except ImportError as error:
        raise MissingPackageError(
            f"data: {path} is packed with {packing}, which is not installed; {install_hint('events')}"
        ) from error
    try:
        if packing == "lz4":
            content: bytes = module.LZ4FrameDecompressor().decompress(body, max_length=_PACKET_BYTES)
        else:
            content = module.ZstdDecompressor().stream_reader(body).read(_PACKET_BYTES)
    except (RuntimeError, EOFError, MemoryError, getattr(module, "ZstdError", RuntimeError)) as error:
        raise ValueError(f"a packet cannot be unpacked: {error}") from error
    return memoryview(content)


def _u4(data: bytes | memoryview, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


class _Table:
    """The root table of a FlatBuffer (flatbuffers.dev, "Internals"); every read is inside ``data`` or an error."""

    def __init__(self, data: memoryview, root: int) -> None:
        self.data, self.at = data, _u4(data, root)
        vtable = self.at - struct.unpack_from("<i", data, self.at)[0]
        if vtable < 0:
            raise ValueError("a table outside its packet")
        n_bytes = struct.unpack_from("<H", data, vtable)[0]
        self.fields = struct.unpack_from(f"<{max(n_bytes - 4, 0) // 2}H", data, vtable + 4)

    def _place(self, field: int) -> int | None:
        return self.at + self.fields[field] if field < len(self.fields) and self.fields[field] else None

    def number(self, field: int, kind: str, default: int) -> int:
        """Return a number; where it is left out, the default."""
        place = self._place(field)
        return default if place is None else int(np.frombuffer(self.data, kind, 1, place)[0])

    def text(self, field: int) -> str:
        """Return a text; empty where it is left out."""
        return self.vector(field, np.dtype(np.uint8)).tobytes().decode()

    def vector(self, field: int, kind: np.dtype[Any]) -> NDArray[Any]:
        """Return a list of numbers or records; empty where it is left out."""
        place = self._place(field)
        if place is None:
            return np.empty(0, kind)
        place += _u4(self.data, place)
        count = _u4(self.data, place)
        if place + 4 + count * kind.itemsize > len(self.data):
            raise ValueError(f"a packet claims {count} events, {len(self.data)} bytes are there")
        return np.frombuffer(self.data, kind, count, place + 4)
