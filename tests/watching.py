"""What a test leaves running or lying about: processes by their command line, and the shared memory that they use."""

from __future__ import annotations

import contextlib
from pathlib import Path


def processes_with(text: str) -> list[Path]:
    """Return folders in /proc of the running processes whose command line holds the text."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in command.read_bytes():
                found.append(command.parent)
    return found


def shared_memory_of(processes: list[Path]) -> set[str]:
    """Return names of the files in /dev/shm that the processes have mapped."""
    lines = [line for process in processes for line in (process / "maps").read_text().splitlines()]
    return {line.split("/dev/shm/")[1].split()[0] for line in lines if "/dev/shm/" in line}
