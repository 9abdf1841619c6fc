"""Workers: programs by themselves, which run in a Python that may be another one and tell their progress in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import IO


def has_module(module: str) -> bool:
    """Return whether this Python has a module, without importing it (but for the packages around it)."""
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # the package around it is missing; it was ruled out in sys.modules
        return False


def time_limit(predicted_s: float) -> float:
    """Return the default time limit in seconds for a predicted time; the margin is large, as a loaded machine is slow."""
    return 60.0 + 20.0 * predicted_s


def start_worker(python: str, program: Path, folder: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start ``python program folder NUMBER`` in the folder and a process group of its own, on one thread.

    NUMBER is that of this process; standard input is a pipe that closes when it ends; ``output`` takes what is printed.

    Raises:
        OSError: if it cannot be started.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if python != sys.executable:
        environment.pop("PYTHONPATH", None)  # it belongs to this Python
    return subprocess.Popen(
        [python, "-u", str(program), str(folder), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )


def finished_samples(folder: Path) -> int:
    """Return how many samples a worker says it has finished."""
    try:
        return int((folder / "progress").read_text())
    except (OSError, ValueError):
        return 0
