"""Runs of the fuzz: damaged files through a loader, with limits of time and memory."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from fuzz.loaders import LOADERS

from neurodeploy.errors import NeurodeployError

ROOM = 2**30
"""Memory that a loader may ask for beyond what the process has."""
SLOWEST_S = 5.0
"""Processor time of a file, which counts as a hang beyond it; whole ones take milliseconds."""
BATCH = 500
"""Files that a process of its own takes."""
BATCH_S = 600.0
"""Time in which it must have ended."""


@dataclass(slots=True)
class Outcome:
    """Counts of the files that were read and refused, and what went wrong with others: number of the file, and how."""

    read: int = 0
    refused: int = 0
    wrong: dict[int, str] = field(default_factory=dict)
    slowest_s: float = 0.0


def fuzz(
    name: str,
    n: int,
    seed: int = 0,
    *,
    first: int = 0,
    keep: Path | None = None,
    begin: Callable[[tuple[int, Outcome]], object] = lambda _: None,
) -> Outcome:
    """Run ``n`` damaged files, from number ``first`` on, through a loader; the files of number i are always the same.

    Args:
        keep: folder for the files that went wrong, or that ended the process.
        begin: called before each file with its number and the outcome of those before.
    """
    outcome = Outcome()
    loader = LOADERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = loader.make(Path(folder))
        loader.read(path)  # the whole file
        content = path.read_bytes()
        with _limited():
            for number in range(first, first + n):
                rng = np.random.default_rng([seed, number])
                spoiled = loader.damage(content, rng)
                path.write_bytes(spoiled)
                kept = keep / f"{name.replace('/', '_')}.{number}" if keep is not None else None
                if kept is not None:
                    kept.write_bytes(spoiled)  # before it may end the process
                begin((number, outcome))
                _one(loader.read, path, number, outcome)
                if kept is not None and number not in outcome.wrong:
                    kept.unlink()
    return outcome


def _one(read: object, path: Path, number: int, outcome: Outcome) -> None:
    started = time.process_time()
    try:
        read(path)  # type: ignore[operator]
        outcome.read += 1
    except NeurodeployError as error:
        text = str(error)
        outcome.refused += 1
        if len(text) <= 20 or any(ord(letter) < 32 and letter != "\n" for letter in text):
            outcome.wrong[number] = f"says too little, or with control characters: {text!r}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        outcome.wrong[number] = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"[:300]
    spent = time.process_time() - started
    outcome.slowest_s = max(outcome.slowest_s, spent)
    if spent > SLOWEST_S:
        outcome.wrong[number] = f"took {spent:.1f} s"


@contextmanager
def _limited() -> Iterator[None]:
    """Let this process ask for no more than ``ROOM`` beside what it has, where the system tells how much that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _batch(answer: Connection, name: str, n: int, seed: int, first: int, keep: Path | None) -> None:
    answer.send((first + n, fuzz(name, n, seed, first=first, keep=keep, begin=answer.send)))


def run_apart(name: str, n: int, seed: int, first: int, keep: Path | None) -> Outcome:
    """Return the outcome of a batch in processes of its own: another one goes on after a file that ended one."""
    end, total = first + n, Outcome()
    while first < end:
        found, reached = _run_process(name, end - first, seed, first, keep)
        total.read, total.refused = total.read + found.read, total.refused + found.refused
        total.wrong |= found.wrong
        total.slowest_s = max(total.slowest_s, found.slowest_s)
        first = reached + 1
    return total


def _run_process(name: str, n: int, seed: int, first: int, keep: Path | None) -> tuple[Outcome, int]:
    """Run files in a process until one ends it; return their outcome, and the number of the last."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_batch, args=(theirs, name, n, seed, first, keep))
    process.start()
    theirs.close()
    reached, found, end = -1, Outcome(), time.monotonic() + BATCH_S
    try:
        while mine.poll(max(0.0, end - time.monotonic())):
            reached, found = mine.recv()
            if reached == first + n:
                return found, reached
        how = f"did not end within {BATCH_S:.0f} s"
    except EOFError:
        process.join()
        how = f"ended the process ({process.exitcode})"
    finally:
        process.kill()
        process.join()
    if reached < 0:
        raise RuntimeError(f"{name}: the whole file is not read: {how}")
    found.wrong[reached] = how
    return found, reached
