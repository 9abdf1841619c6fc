"""Writing files so that a reader finds the old one, the whole new one, or none: never half of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; it is moved to ``path`` at the end, and removed where writing fails."""
    partial = path.with_name(path.name + ".part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write a text file (UTF-8), replacing an older one in one move."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
