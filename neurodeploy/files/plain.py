"""Plain files: what users name is opened without waiting for a device or a pipe, and text is read up to a size."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from neurodeploy.files.budget import machine_bytes

MOST_TEXT = 2**28
"""Length of the longest text that is read whole, in bytes: 256 MiB."""


def open_plain(path: Path) -> io.BufferedReader:
    """Return a file open for reading.

    Raises:
        OSError: if it is not there, or a folder, a device or a pipe.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is a folder, a device or a pipe, no file", str(path))
    file = path.open("rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it changed meanwhile
        file.close()
        raise OSError(0, "it is no file any more", str(path))
    return file


def read_whole(path: Path) -> bytes:
    """Return the content of a file; errors as ``open_plain``, also for one larger than the memory of this machine."""
    with open_plain(path) as file:
        size, most = os.fstat(file.fileno()).st_size, machine_bytes()
        if size > most:
            raise OSError(0, f"it has {size:,} bytes, this machine {most:,} of memory", str(path))
        return file.read()


def read_text(path: Path) -> str:
    """Return the text of a file (UTF-8).

    Raises:
        OSError: if it is not there, a device or a pipe, or longer than ``MOST_TEXT``.
        UnicodeDecodeError: if it is no text.
    """
    with open_plain(path) as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise OSError(0, f"it has more than {MOST_TEXT:,} bytes, too many for a text", str(path))
    return content.decode("utf-8")
