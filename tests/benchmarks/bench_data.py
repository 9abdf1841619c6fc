"""Speed of the readers of events: ``python tests/benchmarks/bench_data.py [million events] [runs]``.

One line a format: a recording of a 640x480 camera (128x128 for AEDAT 2.0, 34x34 for .bin) with that many events at random
pixels, read by us and by the peers that are installed (evio 0.1, evlib 0.13, aedat 2.3; none is needed), in turns, each in
this process; the fastest run, and the ratio of the peer's time to ours. ``same`` tells whether the peer gave the same
events. The last line bins a recording into steps of 10 ms. Not run by the tests.
"""

from __future__ import annotations

import struct
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.own import read_own
from neurodeploy.data.readers import read_events
from neurodeploy.data.reading import Reading

Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def recording(n: int, height: int, width: int) -> Columns:
    """Return time, polarity, row and column of ``n`` events in 10 s; rows rise within groups of 50, as cameras read them."""
    rng = np.random.default_rng(0)
    time_us = np.sort(rng.integers(0, 10_000_000, n))
    row = np.sort(rng.integers(0, height, n).reshape(-1, 50), axis=1).reshape(-1)
    return time_us, rng.integers(0, 2, n), row, rng.integers(0, width, n)


def evt2(events: Columns) -> bytes:
    """EVT 2.0."""
    time_us, on, row, column = events
    high = time_us >> 6
    fresh = np.flatnonzero(np.diff(high, prepend=-1) != 0)
    words = (on << 28 | (time_us & 63) << 22 | column << 11 | row).astype(np.uint32)
    words = np.insert(words, fresh, (8 << 28 | high[fresh]).astype(np.uint32))
    return b"% evt 2.0\n% format EVT2;height=480;width=640\n% geometry 640x480\n% end\n" + words.astype("<u4").tobytes()


def evt3(events: Columns) -> bytes:
    """EVT 3.0, an event a word."""
    time_us, on, row, column = events
    high, low = time_us >> 12, time_us & 4095
    new_high = np.diff(high, prepend=-1) != 0
    new_low = (np.diff(low, prepend=-1) != 0) | new_high
    new_row = np.diff(row, prepend=-1) != 0
    end = np.cumsum(new_high.astype(int) + new_low + new_row + 1)
    start = end - (new_high.astype(int) + new_low + new_row + 1)
    words = np.empty(end[-1], np.uint16)
    words[start[new_high]] = 0x8000 | high[new_high]
    words[(start + new_high)[new_low]] = 0x6000 | low[new_low]
    words[(start + new_high + new_low)[new_row]] = row[new_row]
    words[end - 1] = 0x2000 | on << 11 | column
    return b"% evt 3.0\n% format EVT3;height=480;width=640\n% geometry 640x480\n% end\n" + words.astype("<u2").tobytes()


def dat(events: Columns) -> bytes:
    """DAT."""
    time_us, on, row, column = events
    words = np.stack([time_us, on << 28 | row << 14 | column], axis=1).astype("<u4")
    return b"% Version 2\n% Width 640\n% Height 480\n\x0c\x08" + words.tobytes()


def aedat2(events: Columns) -> bytes:
    """AEDAT 2.0 of a DVS128."""
    time_us, on, row, column = events
    words = np.stack([127 - row << 8 | 127 - column << 1 | 1 - on, time_us], axis=1).astype(">u4")
    return b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n" + words.tobytes()


def aedat3(events: Columns) -> bytes:
    """AEDAT 3.1 of a camera without a known size, 5,000 events a packet."""
    time_us, on, row, column = events
    words = np.stack([column << 17 | row << 2 | on << 1 | 1, time_us], axis=1).astype("<u4")
    parts = [b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: File\r\n#!END-HEADER\r\n"]
    for at in range(0, len(words), 5000):
        some = words[at : at + 5000]
        parts += [struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, len(some), len(some), len(some)), some.tobytes()]
    return b"".join(parts)


def aedat4(events: Columns) -> bytes:
    """AEDAT 4.0 without packing, 5,000 events a packet."""
    time_us, on, row, column = events
    kind = np.dtype({"names": ["t", "x", "y", "on"], "formats": ["<i8", "<i2", "<i2", "u1"], "offsets": [0, 8, 10, 12],
                     "itemsize": 16})  # fmt: skip
    rows = np.zeros(len(time_us), kind)
    for name, values in (("t", time_us), ("x", column), ("y", row), ("on", on)):
        rows[name] = values
    xml = (
        b'<dv version="2.0"><node name="outInfo" path="/outInfo/"><node name="0" path="/outInfo/0/">'
        b'<attr key="compression" type="string">NONE</attr><attr key="typeIdentifier" type="string">EVTS</attr>'
        b'<node name="info" path="/outInfo/0/info/"><attr key="sizeX" type="int">640</attr>'
        b'<attr key="sizeY" type="int">480</attr></node></node></node></dv>'
    )
    vtable = struct.pack("<HHHHHxx", 10, 20, 0, 4, 16)
    fields = struct.pack("<iqxxxxI", 12, -1, 4) + struct.pack("<I", len(xml)) + xml + b"\0"
    table = struct.pack("<I4s", 20, b"IOHE") + vtable + fields
    parts = [b"#!AER-DAT4.0\r\n", struct.pack("<I", len(table)), table]
    for at in range(0, len(rows), 5000):
        some = rows[at : at + 5000].tobytes()
        body = struct.pack("<I4sHHHxxiI", 16, b"EVTS", 6, 8, 4, 8, 8) + struct.pack("<xxxxI", len(some) // 16) + some
        parts += [struct.pack("<iiI", 0, len(body) + 4, len(body)), body]
    return b"".join(parts)


def bin5(events: Columns) -> bytes:
    """N-MNIST's layout; times are modulo 2**23 us, so the recording is squeezed."""
    time_us, on, row, column = events
    short = time_us >> 1
    rows = np.stack([column, row, on << 7 | short >> 16, short >> 8 & 255, short & 255], axis=1).astype(np.uint8)
    return rows.tobytes()


def _evio(path: Path) -> list[NDArray[Any]]:
    events = import_module("evio").read(path)
    return [events[name] for name in ("t", "p", "y", "x")]


def _evlib(path: Path) -> list[NDArray[Any]]:
    frame = import_module("evlib").load_events(str(path)).collect()
    polars = import_module("polars")
    time_us = frame["t"].cast(polars.Int64).to_numpy()
    return [time_us, frame["polarity"].to_numpy() > 0, frame["y"].to_numpy(), frame["x"].to_numpy()]


def _aedat(path: Path) -> list[NDArray[Any]]:
    packets = [packet["events"] for packet in import_module("aedat").Decoder(str(path)) if "events" in packet]
    events = np.concatenate(packets)
    return [events[name] for name in ("t", "on", "y", "x")]


FORMATS: dict[str, tuple[str, Callable[[Columns], bytes], tuple[int, int], dict[str, Callable[[Path], Any]]]] = {
    "AEDAT 2.0": ("a.aedat", aedat2, (128, 128), {"evlib": _evlib}),
    "AEDAT 3.1": ("a.aedat", aedat3, (480, 640), {"evlib": _evlib}),
    "AEDAT 4.0": ("a.aedat4", aedat4, (480, 640), {"aedat": _aedat, "evlib": _evlib}),
    "EVT 2.0": ("a.raw", evt2, (480, 640), {"evlib": _evlib}),
    "EVT 3.0": ("a.raw", evt3, (480, 640), {"evlib": _evlib}),
    "DAT": ("a.dat", dat, (480, 640), {"evio": _evio}),
    ".bin": ("a.bin", bin5, (34, 34), {"evio": _evio}),
}


def fastest(work: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Return the seconds of the fastest run, and what it returned."""
    best, result = np.inf, None
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def main(millions: float, runs: int) -> None:
    """Print a line for each format and peer."""
    print("format,reader,million_events,seconds,times_ours,same")
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, make, shape, peers) in FORMATS.items():
            events = recording(int(millions * 1e6) // 50 * 50, *shape)
            path = Path(folder) / file
            path.write_bytes(make(events))
            own, found = fastest(lambda path=path: read_events(path), runs)
            print(f"{name},neurodeploy,{millions:g},{own:.3f},1.00,")
            for peer, read in peers.items():
                try:
                    seconds, columns = fastest(lambda read=read, path=path: read(path), runs)
                except ImportError:
                    continue
                except (OSError, ValueError, KeyError) as error:
                    print(f"{name},{peer},{millions:g},,,{type(error).__name__}")
                    continue
                ours = [_relative(column, i) for i, column in enumerate((found.time_us, *found.place))]
                same = all(
                    len(a) == len(b) and np.array_equal(_relative(a, i), b)
                    for i, (a, b) in enumerate(zip(columns, ours))
                )
                print(f"{name},{peer},{millions:g},{seconds:.3f},{seconds / own:.2f},{same}")
            path.unlink()
        path = Path(folder) / "a.dat"
        path.write_bytes(dat(recording(int(millions * 1e6) // 50 * 50, 480, 640)))
        seconds, _ = fastest(lambda: read_own(path, Reading(dt_s=1e-2, pool=4), None), 1)
        print(f"DAT to samples,neurodeploy,{millions:g},{seconds:.3f},,")


def _relative(column: NDArray[Any], i: int) -> NDArray[Any]:
    """Return times from the first event on, other columns as they are."""
    return column.astype(np.int64) - (int(column[0]) if i == 0 and len(column) else 0)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
