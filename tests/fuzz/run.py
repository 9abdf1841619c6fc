"""Runs of the fuzz: damaged files through a loader, with limits of time and memory."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
import traceback
from collections.abc import Iterator
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


def fuzz(name: str, n: int, seed: int = 0, *, first: int = 0, keep: Path | None = None) -> Outcome:
    """Run ``n`` damaged files, from number ``first`` on, through a loader; the files of number i are always the same.

    Args:
        keep: folder for the files that went wrong.
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
                _one(loader.read, path, number, outcome)
                if number in outcome.wrong and keep is not None:
                    (keep / f"{name.replace('/', '_')}.{number}").write_bytes(spoiled)
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
    answer.send(fuzz(name, n, seed, first=first, keep=keep))


def run_apart(name: str, n: int, seed: int, first: int, keep: Path | None) -> Outcome:
    """Return the outcome of a batch in a process of its own."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_batch, args=(theirs, name, n, seed, first, keep))
    process.start()
    theirs.close()
    try:
        if mine.poll(BATCH_S):
            found: Outcome = mine.recv()
            return found
        return Outcome(wrong={first: f"did not end within {BATCH_S:.0f} s"})
    except EOFError:
        process.join()
        return Outcome(wrong={first: f"ended the process ({process.exitcode})"})
    finally:
        process.kill()
        process.join()
