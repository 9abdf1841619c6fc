"""Supervision of the Lava worker: it runs in a separate process group under a time limit, and is cleaned up completely.

Lava waits for ever when a model raises, a child dies or ``stop()`` meets an error, so it is always ended from outside: the
worker's guard ends the group when its standard input closes; if that fails, the group gets SIGTERM, time, and SIGKILL. The
shared memory and the semaphores of the group have names with a known prefix and are removed last.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from neurodeploy.engines.checks import Progress
from neurodeploy.engines.workers import finished_samples, start_worker
from neurodeploy.errors import LavaError, LavaTimeoutError
from neurodeploy.files.json_text import parse_json

WORKER = Path(__file__).with_name("worker") / "run_job.py"
_POLL_S = 0.02
_GUARD_S = 4.0
"""Time that the guard gets to end its group; it takes about 0.1 s, or 2 s if a child ignores SIGTERM."""
_SHARED_MEMORY = Path("/dev/shm")
Job: TypeAlias = dict[str, Any]
Interrupted: TypeAlias = Callable[[], bool]


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupted]:
    """Context in which Ctrl-C only sets a flag; yields a function that returns it. KeyboardInterrupt is raised at the end.

    Otherwise an interrupt between any two instructions could lose a process just started, or stop the cleaning up. If the
    user has installed another handler, it stays in place.
    """
    seen: list[int] = []
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        yield lambda: bool(seen)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if seen:
            raise KeyboardInterrupt


def run_worker(
    job: Job,
    folder: Path,
    python: str,
    timeout_s: float,
    progress: Progress | None = None,
    interrupted: Interrupted = lambda: False,
) -> None:
    """Run a job in a worker process, which writes its results to ``folder``.

    Raises:
        LavaTimeoutError: if the worker ran longer than ``timeout_s`` seconds.
        LavaError: if the worker did not start, raised, or died; the message holds its last error.
        KeyboardInterrupt: as soon as ``interrupted()`` is true; the worker has ended by then.
    """
    prefix = _new_prefix()
    _save(job | {"shared_memory": prefix}, folder)
    with (folder / "output").open("wb") as output:
        worker = _start(python, folder, output)
        try:
            _wait(worker, folder, timeout_s, job["n_samples"], progress, interrupted)
        finally:
            _end(worker)
            _remove_shared_memory(prefix)
    _check_ending(worker, folder, python)


def _new_prefix() -> str:
    """Return a new prefix for the names of a worker's shared memory and semaphores."""
    return f"nd{secrets.token_hex(4)}_"


def _save(job: Job, folder: Path) -> None:
    arrays: dict[str, Any] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = f"a{len(arrays)}"
            arrays[name] = value
            return {"array": name}
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        return [plain(part) for part in value] if isinstance(value, list) else value

    text = json.dumps(plain(job))
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "job.json").write_text(text)


def _start(python: str, folder: Path, output: Any) -> subprocess.Popen[bytes]:
    try:
        return start_worker(python, WORKER, folder, output)
    except OSError as error:
        raise LavaError(
            f"lava: cannot start '{python}' ({error.strerror}); set NEURODEPLOY_LAVA_PYTHON to a Python with lava-nc"
        ) from error


def _wait(
    worker: subprocess.Popen[bytes],
    folder: Path,
    timeout_s: float,
    n_samples: int,
    progress: Progress | None,
    interrupted: Interrupted,
) -> None:
    """Wait until the worker has ended or is done, and pass on its progress."""
    end = time.monotonic() + timeout_s
    shown = 0
    while worker.poll() is None and not (folder / "done").exists():
        if interrupted():
            raise KeyboardInterrupt
        if time.monotonic() > end:
            raise LavaTimeoutError(
                f"lava: the worker ran past its time limit of {timeout_s:g} s, with {finished_samples(folder)} of "
                f"{n_samples} samples done, and was ended. Raise --timeout (in Python timeout_s), or run fewer samples"
            )
        finished = finished_samples(folder)
        if progress is not None and finished > shown:
            shown = finished
            progress(finished, n_samples)
        time.sleep(_POLL_S)
    if progress is not None and (folder / "done").exists() and shown < n_samples:
        progress(n_samples, n_samples)


def _check_ending(worker: subprocess.Popen[bytes], folder: Path, python: str) -> None:
    if (folder / "done").exists():
        return
    error = folder / "error.json"
    if error.exists():
        message = parse_json(error.read_text())["message"]
        if message.startswith(("ModuleNotFoundError", "ImportError")):
            raise LavaError(
                f"lava: '{python}' cannot run the worker: {message}. Install lava-nc==0.10.0 there (Python 3.10), or set "
                "NEURODEPLOY_LAVA_PYTHON to a Python that has it"
            )
        raise LavaError(
            f"lava: the worker failed: {message}. Run it again; if it fails again, engine 'reference' computes the same"
        )
    lines = (folder / "output").read_text(errors="replace").strip().splitlines()
    how = f"was ended by signal {-worker.returncode}" if worker.returncode < 0 else f"exited with {worker.returncode}"
    raise LavaError(
        f"lava: the worker {how} without a result; its last words: '{lines[-1] if lines else ''}'. "
        f"Check that '{python}' can import lava, and that memory suffices"
    )


def _end(worker: subprocess.Popen[bytes]) -> None:
    """End every process of the worker's group."""
    if worker.stdin is not None:
        worker.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(_GUARD_S)
    for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        if _group(worker.pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, number)
            _wait_until_gone(worker, seconds)
    worker.wait()


def _wait_until_gone(worker: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and (worker.poll() is None or _group(worker.pid)):
        time.sleep(_POLL_S)


def _group(number: int) -> list[int]:
    """Return the running processes of a process group, without zombies, which only wait for their parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == number and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


def _remove_shared_memory(prefix: str) -> None:
    for pattern in (f"{prefix}*", f"sem.{prefix}*"):
        for left in _SHARED_MEMORY.glob(pattern):
            left.unlink(missing_ok=True)
