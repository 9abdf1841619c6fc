"""Files of Prophesee's cameras: RAW (EVT 2.0 and EVT 3.0) and DAT, decoded with numpy alone.

Formats: docs.prophesee.ai, "EVT 2.0 Format", "EVT 3.0 Format", "DAT File Format", "RAW File Format". The clock of EVT 3.0
follows OpenEB's decoder: the low bits are 0 from a new high part until the next low part.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.files import damaged, read_bytes
from neurodeploy.data.recording import EventFile, check_clock, counted, from_first, unwrapped

_SIZE = 2**11
"""Rows and columns have 11 bits in EVT 2 and EVT 3."""


def read_raw(path: Path) -> EventFile:
    """Return the events of a RAW file of the format that its header names.

    Raises:
        DataError: for a damaged file, another format, or a clock that starts anew.
    """
    data = read_bytes(path)
    lines, start = _header(data)
    layout, options = _layout(lines)
    if layout not in ("EVT2", "EVT3"):
        known = "known are EVT2 and EVT3; Metavision's metavision_file_to_dat writes the others as DAT"
        raise damaged(path, f"a RAW file of the format {layout or 'that its header does not name'}; {known}")
    if options.get("endianness", "little") != "little":
        raise damaged(path, f"{layout} in {options['endianness']}-endian words, known is little")
    content = data[start:]
    width = 4 if layout == "EVT2" else 2
    if len(content) % width:
        raise damaged(
            path, f"{len(content)} bytes after its header are no multiple of {width}, the size of a word of {layout}"
        )
    words = np.frombuffer(content, f"<u{width}")
    decoded = _evt2(words) if layout == "EVT2" else _evt3(words)
    return _event_file(path, layout, _geometry(lines, options), *decoded)


def read_dat(path: Path) -> EventFile:
    """Return the events of a DAT file, version 2: 32 bits of microseconds, then column (14 bits), row (14) and polarity (4).

    Raises:
        DataError: for a damaged file, another version, other events than those of pixels, or a clock that starts anew.
    """
    data = read_bytes(path)
    lines, start = _header(data)
    version = lines.get("version", "").strip()
    if version != "2":
        raise damaged(path, f"a DAT file of version {version or 'unknown'}, known is 2 (line '% Version 2')")
    if start + 2 > len(data):
        raise damaged(path, "a DAT file without the two bytes of kind and size after its header")
    kind, size = data[start], data[start + 1]
    if kind not in (0, 12) or size != 8:
        raise damaged(
            path, f"a DAT file with events of kind {kind} and {size} bytes, known are the kinds 0 and 12 of 8 bytes"
        )
    content = data[start + 2 :]
    if len(content) % 8:
        raise damaged(path, f"{len(content)} bytes after its header are no multiple of 8, the size of an event")
    words = np.frombuffer(content, "<u4").reshape(-1, 2)
    where = words[:, 1].copy()
    place = (where >> 28 != 0).view(np.uint8), where >> 14 & 0x3FFF, where & 0x3FFF
    return _event_file(path, "DAT", _geometry(lines, {}), unwrapped(words[:, 0], 32), place, {})


def _event_file(
    path: Path,
    layout: str,
    size: tuple[int, int] | None,
    time_us: NDArray[np.int64],
    place: tuple[NDArray[Any], ...],
    dropped: dict[str, int],
) -> EventFile:
    said = f"{layout}, {size[1]}x{size[0]}" if size else layout
    for name, axis, limit in zip(("row", "column"), place[1:], size or ()):
        if axis.size and axis.max() >= limit:
            raise damaged(path, f"an event at {name} {axis.max()}, its header says {said}")
    check_clock(time_us, path)
    polarity, row, column = (axis.astype(np.int32) for axis in place)
    return EventFile(
        time_us=from_first(time_us),
        place=(polarity, row, column),
        shape=(2, *size) if size else None,
        camera=said,
        dropped=dropped,
    )


def _header(data: bytes) -> tuple[dict[str, str], int]:
    """Return the words of the lines that begin with ``%``, by the lower case of the first, and the place behind them."""
    lines: dict[str, str] = {}
    at = 0
    while data[at : at + 2] == b"% ":
        end = data.find(b"\n", at, at + 2**16)
        if end < 0 or not data[at:end].rstrip(b"\r").isascii():
            break
        key, _, value = data[at + 2 : end].decode("ascii").strip().partition(" ")
        at = end + 1
        if key.lower() == "end":
            break
        lines[key.lower()] = value.strip()
    return lines, at


def _layout(lines: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the format that the header names, as ``EVT3``, and its options."""
    name, *options = lines.get("format", "").split(";")
    if not name and "evt" in lines:
        name = f"EVT{lines['evt'].removesuffix('.0')}"
    pairs = (option.partition("=") for option in options)
    return name.strip().upper(), {key.strip().lower(): value.strip().lower() for key, _, value in pairs}


def _geometry(lines: dict[str, str], options: dict[str, str]) -> tuple[int, int] | None:
    """Return height and width of the sensor, None where the header does not tell."""
    stated = re.fullmatch(r"(\d+)x(\d+)", lines.get("geometry", "").strip())
    if stated:
        return int(stated[2]), int(stated[1])
    for source in (options, lines):
        width, height = source.get("width", ""), source.get("height", "")
        if width.isdecimal() and height.isdecimal():
            return int(height), int(width)
    return None


_Decoded = tuple[NDArray[np.int64], tuple[NDArray[Any], ...], dict[str, int]]


def _evt2(words: NDArray[np.uint32]) -> _Decoded:
    """Words of 32 bits: kind (4: 0 OFF, 1 ON, 8 the high 28 bits of the clock), low 6 bits of the clock, column, row."""
    kind = (words >> 28).astype(np.uint8)
    is_high = kind == 8
    turn = unwrapped(words[is_high] & 0xFFFFFFF, 28)
    pixel = np.flatnonzero(kind <= 1)
    upper, _ = _last(is_high, pixel)
    early = int(np.count_nonzero(upper < 0))
    pixel, upper = pixel[early:], upper[early:]
    kept = words[pixel]
    time_us = (turn[upper] << 6) + (kept >> 22 & 63)
    place = kind[pixel], kept & (_SIZE - 1), kept >> 11 & (_SIZE - 1)
    n_kinds = np.bincount(kind, minlength=16)
    dropped = counted(
        events_before_the_first_time=early,
        signals_of_other_devices=int(n_kinds[10]),
        other_words=int(n_kinds.sum() - n_kinds[[0, 1, 8, 10]].sum()),
    )
    return time_us, place, dropped


def _evt3(words: NDArray[np.uint16]) -> _Decoded:
    """Words of 16 bits that set a state (row, column and polarity, clock), or give one event or up to 12 side by side.

    Kinds (4 bits): 0 row, 2 an event at a column, 3 the column where vectors begin, 4 and 5 vectors of 12 and 8 columns, 6
    and 8 the low and high 12 bits of the clock, 10 a signal of another device.
    """
    kind = (words >> 12).astype(np.uint8)
    low12: NDArray[np.uint16] = words & np.uint16(0xFFF)
    at = np.flatnonzero(_WITH_EVENTS[kind])
    own = kind[at]
    row_number, row = _last(kind == 0, at)
    time = _clock3(kind, low12, at)
    begin_number, column, polarity = _vectors3(kind, low12, at)
    known = (row_number >= 0) & (time >= 0) & ((own == 2) | (begin_number >= 0))
    early = int(at.size - np.count_nonzero(known))
    if early:
        at, own, row, time, column, polarity = (array[known] for array in (at, own, row, time, column, polarity))
    y = low12[row] & np.uint16(_SIZE - 1)
    place: tuple[NDArray[Any], ...] = (polarity, y, column)
    if (own != 2).any():
        time, place = _spread(time, place, own, low12[at])
    n_kinds = np.bincount(kind, minlength=16)
    dropped = counted(
        words_before_the_first_row_and_time=early,
        signals_of_other_devices=int(n_kinds[10]),
        other_words=int(n_kinds.sum() - n_kinds[[0, 2, 3, 4, 5, 6, 8, 10]].sum()),
    )
    return time, place, dropped


_WITH_EVENTS = np.isin(np.arange(16), (2, 4, 5))
_WIDTH = np.where(np.arange(16) == 4, 12, np.where(np.arange(16) == 5, 8, 0))
"""Columns of a vector, by the kind of its word."""


def _spread(
    time: NDArray[np.int64], place: tuple[NDArray[Any], ...], own: NDArray[np.uint8], low12: NDArray[np.uint16]
) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]:
    """Return the events of words of which vectors have one for each bit that is set; ``own`` are the kinds of the words."""
    vector = own != 2
    bits = np.where(own == 5, low12 & np.uint16(0xFF), low12)[vector]
    is_set = bits[:, None] >> np.arange(12, dtype=np.uint16) & np.uint16(1) != 0
    n_events = np.ones(own.size, np.int64)
    n_events[vector] = is_set.sum(axis=1)
    owner = np.repeat(np.arange(own.size), n_events)
    polarity, row, column = place
    columns = column[owner]
    columns[vector[owner]] += np.nonzero(is_set)[1]
    return time[owner], (polarity[owner], row[owner], columns)


def _last(which: NDArray[np.bool_], at: NDArray[np.intp]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Return for each place in ``at`` how many places of ``which`` lie at or before it, less 1, and the last of these."""
    number: NDArray[np.int32] = np.cumsum(which, dtype=np.int32)[at] - 1
    places = np.flatnonzero(which)
    return number, places[number] if places.size else np.zeros(at.size, np.intp)


def _clock3(kind: NDArray[np.uint8], low12: NDArray[np.uint16], at: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return microseconds at the words ``at``, -1 where no high part came before."""
    is_high = kind == 8
    high = np.flatnonzero(is_high)
    if not high.size:
        return np.full(at.size, -1, np.int64)
    turn = unwrapped(low12[high], 12)
    is_low = kind == 6
    is_low[high[np.diff(turn, prepend=turn[0] - 1) != 0]] = True
    _, place = _last(is_low, at)
    low = np.where(kind[place] == 6, low12[place], 0)
    number, _ = _last(is_high, at)
    return np.where(number >= 0, (turn[number] << 12) + low, -1)


def _vectors3(
    kind: NDArray[np.uint8], low12: NDArray[np.uint16], at: NDArray[np.intp]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
    """Return the number of the word that began the vectors (-1: none), first column and polarity at the words ``at``."""
    own = kind[at]
    if (own == 2).all():
        number, source = np.zeros(at.size, np.int32), at
        passed = np.zeros(0, np.int64)
    else:
        number, begin = _last(kind == 3, at)
        passed = np.cumsum(_WIDTH[kind], dtype=np.int64)  # columns of vectors, the word itself included
        source = np.where(own == 2, at, begin)
    stated = low12[source]
    column = (stated & np.uint16(_SIZE - 1)).astype(np.int32)
    if passed.size:
        column += np.where(own == 2, 0, passed[at] - _WIDTH[own] - passed[source]).astype(np.int32)
    return number, column, (stated >> 11).astype(np.uint8)
