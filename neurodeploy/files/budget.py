"""How much a file, or what a user asks for, may take: compared with the size of the file and with this machine."""

from __future__ import annotations

import os
from pathlib import Path

MOST_TIMES = 1032
"""Deflate packs a run of equal bytes to no less than 1/1032 (zlib, ``zlib_tech.html``)."""
_FREE_BYTES = 2**29
"""What the arrays of any file may take unpacked, however small it is: 512 MiB."""
_TIMES = 128
"""What more the arrays of a file may take unpacked, as a multiple of its size."""


def most_unpacked(n_bytes: int, times: int = _TIMES) -> int:
    """Return the bytes that all arrays of a file of ``n_bytes`` may take together, unpacked: so many times more.

    >>> most_unpacked(0), most_unpacked(2**20) - most_unpacked(0)
    (536870912, 134217728)
    """
    return _FREE_BYTES + times * n_bytes


def machine_bytes() -> int:
    """Return the memory that processes of this machine may take: all of it, or the limit of our control group."""
    limits = [_physical_bytes()]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        limits += [int(text)] if text.isdigit() else []
    return min(limits)


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 2**62


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
