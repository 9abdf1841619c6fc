"""Other frameworks, each in a process of ``worker.py`` in a Python that has it."""

from __future__ import annotations

import json
import os
import subprocess
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from neurodeploy.bench.pythons import python_with
from neurodeploy.errors import SimulationError

if TYPE_CHECKING:
    from neurodeploy.bench.training.cases import Case  # imports torch

OTHERS = ("snntorch", "norse", "spikingjelly")
VARIABLE = "NEURODEPLOY_TRAIN_PYTHONS"
_WORKER = Path(__file__).with_name("worker.py")


@lru_cache
def find_python(peer: str) -> str | None:
    """Return a Python that has the peer: this one, or one of those that ``VARIABLE`` names (separated as in PATH)."""
    return python_with(peer, filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))


def missing(peer: str) -> str | None:
    """Return why a peer cannot run here, or None."""
    if find_python(peer) is not None:
        return None
    return (
        f"no package '{peer}' in this Python nor in one that {VARIABLE} names; install it in an environment of its own "
        "and name its python there"
    )


class Other:
    """A peer's process with its masked network; use it in a ``with`` block."""

    def __init__(self, peer: str, case: Case, threads: int) -> None:
        self.peer, self.megabytes = peer, 0.0
        given = {"sizes": case.sizes, "density": case.density, "rate": case.rate}
        given |= {"n_steps": case.n_steps, "batch": case.batch, "threads": threads}
        python = find_python(peer)
        assert python is not None, "only peers that can run are started"
        count = str(threads)
        self._process = subprocess.Popen(
            [python, str(_WORKER), peer, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count},
        )

    def __enter__(self) -> Other:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def step(self) -> float:
        """Have it take a step; return the seconds, and keep its peak memory.

        Raises:
            SimulationError: if its process ended.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write("step\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = process.communicate()[1].strip().splitlines() or ["nothing"]
            raise SimulationError(f"bench: {self.peer} ended without an answer; it said: {said[-1]}")
        seconds, self.megabytes = map(float, line.split())
        return seconds
