"""What the readers of Python and its libraries raise on damaged files, and how it is said in one line."""

from __future__ import annotations

import re
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
    if isinstance(error, RecursionError):
        return "it nests too deep"
    lines = str(error).splitlines()
    return plain_text(lines[0], 200) if lines else type(error).__name__


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain_text(text: str, most: int = 120) -> str:
    """Return a text of a file as one line to print: control characters as escapes, at most ``most`` letters.

    >>> plain_text("a\\x1b[31mb\\n"), plain_text("long", 3)
    ('a\\\\x1b[31mb\\\\n', 'lon...')
    """
    own = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text[: most + 1])
    return own if len(text) <= most else f"{own[:most]}..."
