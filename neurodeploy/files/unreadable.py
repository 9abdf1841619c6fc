"""What the readers of Python and its libraries raise on damaged files, and how it is said in one line."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib

UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError),
    *(SyntaxError, RecursionError, NotImplementedError, RuntimeError, AssertionError, SystemError),
    *(tokenize.TokenError, struct.error, zlib.error, zipfile.BadZipFile, zipfile.LargeZipFile),
)
"""What ``zipfile``, ``zlib``, ``wave``, h5py and numpy's reader of headers raise on damaged files."""


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, at most 200 letters of it; the name of an error that says nothing.

    >>> reason(ValueError("no array\\nin it")), reason(EOFError())
    ('no array', 'EOFError')
    """
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__
