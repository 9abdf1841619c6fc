"""Files of events in the layouts of cameras, written by the tests from plain lists, and a slow decoder of EVT 3.0.

Events are rows of time (microseconds), polarity, row, column.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Rows = Sequence[tuple[int, int, int, int]]


def some_rows(n: int = 200, *, shape: tuple[int, int] = (128, 128), seed: int = 0, longest_us: int = 2000) -> Rows:
    """Return ``n`` events in the order of their times."""
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.integers(0, longest_us, n))
    places = (rng.integers(0, 2, n), rng.integers(0, shape[0], n), rng.integers(0, shape[1], n))
    return [tuple(int(v) for v in row) for row in zip(time, *places)]


def from_first(rows: Rows) -> list[list[int]]:
    """Return the columns of events, with times from the first one on."""
    return [[row[0] - rows[0][0] for row in rows], *([row[i] for row in rows] for i in (1, 2, 3))]


def dvs128(rows: Rows, *, version: str = "2.0", chip: str | None = "DVS128", extra: Sequence[int] = ()) -> bytes:
    """AEDAT 1.0 or 2.0 of a DVS128; times are written modulo 2**32, ``extra`` are further addresses at time 0."""
    name = f"# AEChip: {chip}\r\n" if chip else ""
    kind = ">H" if version == "1.0" else ">I"
    content = b"".join(struct.pack(kind, address) + struct.pack(">I", 0) for address in extra)
    for time, on, row, column in rows:
        address = (127 - row) << 8 | (127 - column) << 1 | 1 - on
        content += struct.pack(kind, address) + struct.pack(">I", time % 2**32)
    return f"#!AER-DAT{version}\r\n# text\r\n{name}".encode() + content


def davis346(rows: Rows, *, extra: Sequence[int] = ()) -> bytes:
    """AEDAT 2.0 of a DAVIS346; ``extra`` are further addresses in front, at the time of the first event."""
    addresses = [(address, rows[0][0]) for address in extra]
    addresses += [((259 - row) << 22 | (345 - column) << 12 | on << 11, time) for time, on, row, column in rows]
    content = b"".join(struct.pack(">II", *pair) for pair in addresses)
    return b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346blue\r\n" + content


def aedat3(
    rows: Rows, *, version: str = "3.1", source: str = "DVS128", packet: int = 64, frames: int = 0, invalid: int = 0
) -> bytes:
    """AEDAT 3.0 or 3.1 in packets of ``packet`` events; behind each of them one of ``frames`` packets of two frames."""
    parts = [f"#!AER-DAT{version}\r\n#Format: RAW\r\n#Source 1: {source}\r\n#!END-HEADER\r\n".encode()]
    height = {"DVS128": 128, "DAVIS346": 260}[source]
    for start in range(0, len(rows), packet):
        some = rows[start : start + packet]
        turns = some[0][0] >> 31
        parts.append(struct.pack("<hhiiiiii", 1, 1, 8, 4, turns, len(some), len(some), len(some)))
        for i, (time, on, row, column) in enumerate(some):
            top = row if version == "3.1" else height - 1 - row
            valid = int(start + i >= invalid)
            parts.append(struct.pack("<II", column << 17 | top << 2 | on << 1 | valid, time - (turns << 31)))
        if start // packet < frames:
            parts.append(struct.pack("<hhiiiiii", 2, 1, 36, 12, 0, 2, 2, 2) + bytes(72))
    return b"".join(parts)


def evt2(rows: Rows, *, shape: tuple[int, int] = (480, 640), triggers: int = 0) -> bytes:
    """EVT 2.0, with triggers behind the first word."""
    words, high = [], -1
    for time, on, row, column in rows:
        if time >> 6 != high:
            high = time >> 6
            words.append(8 << 28 | high & 0xFFFFFFF)
        words.append(on << 28 | (time & 63) << 22 | column << 11 | row)
    words[1:1] = [10 << 28] * triggers
    head = f"% evt 2.0\n% format EVT2;height={shape[0]};width={shape[1]}\n% geometry {shape[1]}x{shape[0]}\n% end\n"
    return head.encode() + np.array(words, "<u4").tobytes()


def evt3(rows: Rows, *, shape: tuple[int, int] = (480, 640)) -> bytes:
    """EVT 3.0 with an event a word: the words set what changed, and the high part of the clock is repeated."""
    words: list[int] = []
    high, low, last = -1, -1, -1
    for i, (time, on, row, column) in enumerate(rows):
        if time >> 12 != high or i % 7 == 0:
            low = low if time >> 12 == high else -1
            high = time >> 12
            words.append(0x8000 | high & 0xFFF)
        if time & 0xFFF != low:
            low = time & 0xFFF
            words.append(0x6000 | low)
        if row != last:
            last = row
            words.append(row)
        words.append(0x2000 | on << 11 | column)
    return evt3_file(words, shape)


def evt3_file(words: Sequence[int], shape: tuple[int, int] = (480, 640)) -> bytes:
    """EVT 3.0 of given words."""
    head = f"% evt 3.0\n% format EVT3;height={shape[0]};width={shape[1]}\n% end\n"
    return head.encode() + np.array(words, "<u2").tobytes()


def slow_evt3(words: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return the events of words of EVT 3.0, one word after another, as the format is described."""
    rows = []
    high = low = turns = 0
    row = column = on = None
    timed = False
    for word in words:
        kind, rest = word >> 12, word & 0xFFF
        if kind == 0:
            row = rest & 0x7FF
        elif kind == 2 and timed and row is not None:
            rows.append((((turns << 12) + high << 12) + low, rest >> 11, row, rest & 0x7FF))
        elif kind == 3:
            on, column = rest >> 11, rest & 0x7FF
        elif kind in (4, 5) and column is not None:
            width = 12 if kind == 4 else 8
            if timed and row is not None:
                set_bits = [k for k in range(width) if rest >> k & 1]
                rows += [(((turns << 12) + high << 12) + low, on, row, column + k) for k in set_bits]
            column += width
        elif kind == 6:
            low = rest
        elif kind == 8:
            turns += timed and high - rest > 2048
            turns -= timed and rest - high > 2048
            low = low if timed and rest == high else 0
            high, timed = rest, True
    return rows


def dat(rows: Rows, *, version: str | None = "2", kind: int = 12) -> bytes:
    """A DAT file; times are written modulo 2**32."""
    head = (
        "% Data file containing CD events\n"
        + (f"% Version {version}\n" if version else "")
        + "% Width 640\n% Height 480\n"
    )
    content = b"".join(
        struct.pack("<II", time % 2**32, on << 28 | row << 14 | column) for time, on, row, column in rows
    )
    return head.encode() + bytes([kind, 8]) + content


def bin5(rows: Rows, *, turns: Sequence[int] = ()) -> bytes:
    """N-MNIST's layout; before the events at ``turns`` stands a mark of the clock, and later times lack 2**13 us each."""
    content, past = b"", 0
    for i, (time, on, row, column) in enumerate(rows):
        if i in turns:
            past += 1
            content += bytes([0, 240, 0, 0, 0])
        short = time - past * 2**13
        content += bytes([column, row, on << 7 | short >> 16 & 127, short >> 8 & 255, short & 255])
    return content


def write(path: Path, content: bytes) -> Path:
    """Write a file in a folder that is made where it is missing, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
