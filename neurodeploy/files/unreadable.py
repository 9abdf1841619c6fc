"""What the readers of Python and its libraries raise on damaged files, and how it is said in one line."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib

from neurodeploy.errors import printable

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
    >>> reason(FileNotFoundError(2, "No such file or directory", "x"))
    'No such file or directory'
    """
    if isinstance(error, RecursionError):
        return "it nests too deep"
    said = error.strerror if isinstance(error, OSError) else None
    lines = str(said or error).splitlines()
    return plain_text(lines[0], 200) if lines else type(error).__name__


def plain_text(text: str, most: int = 120) -> str:
    """Return a text of a file as one line to print: control characters as escapes, at most ``most`` letters.

    >>> plain_text("a\\x1b[31mb\\n"), plain_text("long", 3)
    ('a\\\\x1b[31mb\\\\n', 'lon...')
    """
    own = printable(text[: most + 1])
    return own if len(text) <= most else f"{own[:most]}..."
