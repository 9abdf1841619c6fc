"""AEDAT files 1.0, 2.0, 3.0, 3.1 and 4.0 of iniVation's and inilabs' cameras, read by what their headers say.

Formats: docs.inivation.com, "AEDAT File Formats"; addresses of DVS128 and DAVIS as jAER reads them (``DVS128.java``,
``DavisBaseCamera.java``). Version 4.0, a format of its own, is in ``aedat4.py``. evlib (0.9, 0.13) finds no event in files
of 2.0 and 3.1 and mistakes 1.0 for 2.0, so these readers are our own.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.aedat4 import parse_aedat4
from neurodeploy.data.files import damaged, read_bytes
from neurodeploy.data.recording import EventFile, check_clock, counted, from_first, unwrapped
from neurodeploy.errors import DataError

_VERSION = re.compile(rb"#!AER-DAT(\d+\.\d+)")
_LINE_BYTES = 2**16

_DAVIS = {"128": (128, 128), "208": (192, 208), "240": (180, 240), "346": (260, 346), "640": (480, 640)}
_OTHERS = {"dvs128": (128, 128), "tmpdiff128": (128, 128), "edvs4337": (128, 128), "dvs132s": (104, 132)}
CAMERAS = ("DVS128", *(f"Davis{n}" for n in _DAVIS))
"""Cameras whose addresses are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The lines of a file's header: its version, the length in bytes, and the texts behind ``#``."""

    version: str
    length: int
    lines: tuple[str, ...]

    def value(self, key: str) -> str | None:
        """Return what the first line ``key: value`` says."""
        for line in self.lines:
            name, colon, value = line.partition(":")
            if colon and name.strip().lower() == key.lower():
                return value.strip()
        return None


def read_aedat(path: Path, camera: str | None = None) -> EventFile:
    """Return the events of an AEDAT file.

    Args:
        camera: a name of ``CAMERAS``, for files whose header names none.

    Raises:
        DataError: for a damaged file, an unknown version or camera, or a clock that starts anew.
        MissingPackageError: for packets of AEDAT 4 that are packed, where the package to unpack them is absent.
    """
    data = read_bytes(path)
    header = _header(data, path)
    version = header.version
    if version in ("1.0", "2.0"):
        return _addresses(data[header.length :], header, path, camera)
    if version in ("3.0", "3.1"):
        return _packets(data[header.length :], header, path)
    if version == "4.0":
        return parse_aedat4(data, path)
    raise damaged(path, f"AEDAT {version}, known are 1.0, 2.0, 3.0, 3.1 and 4.0")


def _header(data: bytes, path: Path) -> Header:
    """Return the header: lines of printable text that begin with ``#``, to the line that ends it or the first other one."""
    first = _VERSION.match(data)
    if first is None:
        raise damaged(path, "its first line is not #!AER-DAT with a version")
    at, lines = 0, []
    while data[at : at + 1] == b"#":
        end = data.find(b"\n", at, at + _LINE_BYTES)
        line = data[at:end].rstrip(b"\r") if end >= 0 else b"\0"
        if not all(byte == 9 or 32 <= byte < 127 for byte in line):
            break  # an event whose first byte is that of '#'
        at, text = end + 1, line[1:].decode("ascii").strip()
        lines.append(text)
        if text.upper() in ("!END-HEADER", "END OF ASCII HEADER"):
            break
    return Header(version=first.group(1).decode(), length=at, lines=tuple(lines))


def _size(camera: str) -> tuple[int, int] | None:
    """Return height and width of a camera, None where the name is unknown."""
    name = camera.rpartition(".")[2].strip().lower()
    davis = re.match(r"davis(?:[a-z]*)(\d{3})", name)
    return _DAVIS.get(davis.group(1)) if davis else _OTHERS.get(name)


def _addresses(events: bytes, header: Header, path: Path, camera: str | None) -> EventFile:
    """Return the events of AEDAT 1.0 (address of 16 bits) and 2.0 (32 bits), each followed by 32 bits of microseconds."""
    n_address = 2 if header.version == "1.0" else 4
    n_bytes = n_address + 4
    if len(events) % n_bytes:
        raise damaged(path, f"{len(events)} bytes after its header are no multiple of {n_bytes}, the size of an event of "
                            f"AEDAT {header.version}")  # fmt: skip
    named = header.value("AEChip") or camera
    if named is None:
        raise DataError(
            f"data: {path}: AEDAT {header.version}, whose header names no camera (line '# AEChip: ...'); say which one it "
            f"was, one of {', '.join(CAMERAS)}: --sensor DVS128"
        )
    size = _size(named)
    words = np.frombuffer(events, np.dtype([("address", f">u{n_address}"), ("time", ">u4")]))
    address = words["address"].astype(np.uint32)
    time_us = unwrapped(words["time"], 32)
    said = f"AEDAT {header.version} of the camera {named.rpartition('.')[2]}"
    if size is None:
        raise DataError(f"data: {path}: {said}, whose addresses are not known; known cameras: {', '.join(CAMERAS)}")
    if _size_key(named) == "davis":
        keep, place, dropped = _davis(address, size, path)
    else:
        keep, place, dropped = _dvs128(address, size, said, path)
    time_us = time_us[keep]
    check_clock(time_us, path)
    return EventFile(
        time_us=from_first(time_us),
        place=place,
        shape=(2, *size),
        camera=f"{said}, {size[1]}x{size[0]}",
        dropped=dropped,
    )


def _size_key(camera: str) -> str:
    return "davis" if camera.rpartition(".")[2].strip().lower().startswith("davis") else "dvs"


_Kept = tuple[Any, tuple[NDArray[np.int32], ...], dict[str, int]]


def _dvs128(address: NDArray[np.uint32], size: tuple[int, int], said: str, path: Path) -> _Kept:
    """Bit 15: a signal of another device; 8 to 14: row; 1 to 7: column; 0: 1 for OFF. Both axes from the far corner."""
    if size != (128, 128):
        raise DataError(f"data: {path}: {said}, whose addresses are not known; known cameras: {', '.join(CAMERAS)}")
    if address.size and address.max() >> 16:
        raise damaged(path, f"an address has more than 16 bits, but its header says {said}")
    special = address >> 15 != 0
    kept = address[~special].astype(np.int32)
    place = 1 - (kept & 1), 127 - (kept >> 8 & 127), 127 - (kept >> 1 & 127)
    return ~special, place, counted(signals_of_other_devices=int(special.sum()))


def _davis(address: NDArray[np.uint32], size: tuple[int, int], path: Path) -> _Kept:
    """Bit 31: a sample of a frame, or of the motion sensor (bits 10 and 11); 10: a signal; 22 to 30: row; 12 to 21: column.

    Bit 11 is 1 for ON. Both axes count from the far corner.
    """
    sampled = address >> 31 != 0
    motion = sampled & (address >> 10 & 3 == 3)
    special = ~sampled & (address >> 10 & 1 != 0)
    keep = ~(sampled | special)
    kept = address[keep].astype(np.int32)
    height, width = size
    row, column = height - 1 - (kept >> 22 & 511), width - 1 - (kept >> 12 & 1023)
    for name, axis, limit in (("row", row, height), ("column", column, width)):
        if axis.size and axis.min() < 0:
            raise damaged(path, f"an event at {name} {limit - 1 - axis.min()}, the camera has 0..{limit - 1}")
    dropped = counted(
        samples_of_frames=int((sampled & ~motion).sum()),
        samples_of_the_motion_sensor=int(motion.sum()),
        signals_of_other_devices=int(special.sum()),
    )
    return keep, (kept >> 11 & 1, row, column), dropped


_PACKET = struct.Struct("<hhiiiiii")
_TYPES = {0: "special events", 2: "frames", 3: "samples of the motion sensor", 4: "samples of the motion sensor"}


def _packets(data: bytes, header: Header, path: Path) -> EventFile:
    """Return the polarity events of AEDAT 3: packets, each with a header of 28 bytes, little-endian.

    An event is 32 bits (0: valid, 1: ON, 2 to 16: row, 17 to 31: column) and 31 bits of microseconds; the packet's header
    counts how often the clock ran over. Rows count from the top, in 3.0 from the bottom.
    """
    if (layout := header.value("Format")) not in (None, "RAW"):
        raise damaged(path, f"AEDAT {header.version} of the format {layout}, known is RAW")
    at, parts, dropped = 0, [], dict[str, int]()
    sources: set[int] = set()
    while at < len(data):
        if at + _PACKET.size > len(data):
            raise damaged(path, f"the packet at byte {header.length + at} is cut short")
        kind, source, size, offset, turns, _, n_events, _ = _PACKET.unpack_from(data, at)
        at += _PACKET.size
        if size < 8 or n_events < 0 or turns < 0 or at + size * n_events > len(data):
            raise damaged(path, f"the packet at byte {header.length + at - _PACKET.size} claims {n_events} events of {size} "
                                f"bytes, {len(data) - at} bytes are there")  # fmt: skip
        if kind == 1:
            if (size, offset) != (8, 4):
                raise damaged(path, f"polarity events of {size} bytes with the time at byte {offset}, expected 8 and 4")
            words = np.frombuffer(data, "<u4", 2 * n_events, at).reshape(-1, 2)
            parts.append((words[:, 0], words[:, 1].astype(np.int64) + (turns << 31)))
            sources.add(source)
        else:
            name = _TYPES.get(kind, "events of other kinds")
            dropped[name] = dropped.get(name, 0) + n_events
        at += size * n_events
    if len(sources) > 1:
        raise DataError(f"data: {path}: events of {len(sources)} cameras in one file; write one file for each")
    bits = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.uint32)
    time_us = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, np.int64)
    valid = bits & 1 != 0
    dropped |= counted(events_marked_invalid=int(bits.size - valid.sum()))
    if not valid.all():
        bits, time_us = bits[valid], time_us[valid]
    check_clock(time_us, path)
    named = header.value(f"Source {next(iter(sources), 0)}") or header.value("Source 0") or header.value("Source 1")
    size2 = _size(named) if named else None
    said = f"AEDAT {header.version} of the camera {named or 'without a name'}"
    row, column = (bits >> 2 & 0x7FFF).astype(np.int32), (bits >> 17).astype(np.int32)
    if header.version == "3.0":
        if size2 is None:
            raise DataError(f"data: {path}: {said}, whose height is not known, but rows count from the bottom")
        row = size2[0] - 1 - row
    for name, axis, limit in zip(("row", "column"), (row, column), size2 or ()):
        if axis.size and not 0 <= axis.min() <= axis.max() < limit:
            raise damaged(path, f"an event at {name} {axis.min()} or {axis.max()}, {said} has 0..{limit - 1}")
    return EventFile(
        time_us=from_first(time_us),
        place=((bits >> 1 & 1).astype(np.int32), row, column),
        shape=(2, *size2) if size2 else None,
        camera=said + (f", {size2[1]}x{size2[0]}" if size2 else ""),
        dropped=dropped,
    )
