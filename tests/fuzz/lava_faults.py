"""``python tests/fuzz/lava_faults.py [--n 200] [--seed 0]``: runs of engine ``lava`` with a fault at a random moment.

Each run is a command of its own. However it ends, no process, shared memory, semaphore or file of it may be left, a result
must be the right one, an error one line, and the next run right. ``tests/acceptance/test_lava_stress.py`` strikes inside
Lava's models; here everything comes from outside.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from building import neuron, one_layer, spikes
from fuzz.kills import GONE_S, Run, files_in, left, living, shared
from fuzz.kills import start as start_marked

from neurodeploy.errors import LavaError, LavaTimeoutError
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network.activity import load_activity, save_samples

CLOSES = """
import threading
start = supervise._start
def started(*given):
    worker = start(*given)
    timer = threading.Timer({seconds}, worker.stdin.close)
    timer.daemon = True
    timer.start()
    return worker
supervise._start = started
"""
"""Code that closes the pipe to Lava's guard after some seconds."""
LIMIT_S = 120.0
"""Time limit of a command, which none reaches."""


def _below(run: Run) -> list[int]:
    """Return the processes that the command started: Lava's guard, worker and processes."""
    return [number for number in living(run) if number != run.process.pid]


def _kill_one(run: Run, rng: np.random.Generator) -> None:
    if found := _below(run):
        with suppress(ProcessLookupError):
            os.kill(int(rng.choice(found)), [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV][rng.integers(3)])


def _kill_command(run: Run, _: np.random.Generator) -> None:
    run.process.send_signal(signal.SIGKILL)


def _end_command(run: Run, rng: np.random.Generator) -> None:
    run.process.send_signal([signal.SIGTERM, signal.SIGINT][rng.integers(2)])


def _limit(which: int, value: int) -> Callable[[Run, np.random.Generator], None]:
    def strike(run: Run, _: np.random.Generator) -> None:
        for number in _below(run):
            with suppress(OSError):
                resource.prlimit(number, which, (value, value))

    return strike


def _remove_shared(run: Run, _: np.random.Generator) -> None:
    for name in shared(run):
        (Path("/dev/shm") / name).unlink(missing_ok=True)


def _nothing(_: Run, __: np.random.Generator) -> None:
    """Strike inside the command, which closes the pipe to the guard itself."""


FAULTS: dict[str, Callable[[Run, np.random.Generator], None]] = {
    "a process below killed": _kill_one,
    "command killed": _kill_command,
    "command asked to end": _end_command,
    "pipe to the guard closed": _nothing,
    "no room for shared memory and files": _limit(resource.RLIMIT_FSIZE, 512),
    "no more open files": _limit(resource.RLIMIT_NOFILE, 8),
    "shared memory removed": _remove_shared,
}
"""What strikes a run, by its name."""


def start(folder: Path, temporary: Path, closes_s: float | None = None) -> Run:
    """Start the command in a folder that holds the network and the samples."""
    words = f"simulate net.nir x.npz --engine lava --timeout {LIMIT_S:.0f}s --out out.npz --force"
    return start_marked(words, folder, temporary, "" if closes_s is None else CLOSES.format(seconds=closes_s))


def ended(run: Run, name: str) -> Iterator[str]:
    """Wait for the end of a run that was struck, and yield what is wrong then."""
    try:
        _, told = run.process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        yield f"did not end within {LIMIT_S:.0f} s"
        run.process.kill()
        _, told = run.process.communicate()
    code = run.process.returncode
    by_signal = name.startswith("command") and (code < 0 or code in (130, 143))
    if code != 0 and not by_signal:
        lines = [line for line in told.splitlines() if not line.startswith("simulate: ")]
        if code not in (LavaError.exit_code, LavaTimeoutError.exit_code) or not is_one_error(lines):
            yield f"ended with {code}: {told[-400:]}"
    yield from left(run, GONE_S)
    if more := sorted({*files_in(run.folder)} - {"net.nir", "x.npz", "out.npz"}):
        yield f"files {more} are left"


def is_one_error(lines: list[str]) -> bool:
    """Return whether lines are one error of Lava's, in one line."""
    return len(lines) == 1 and lines[0].startswith("neurodeploy: lava: ") and len(lines[0]) > 40


def _strike_later(run: Run, name: str, delay_s: float, rng: np.random.Generator, guarded: list[bool]) -> None:
    """Strike a run after a delay, which begins with Lava's first process where the fault is for those.

    Adds to ``guarded`` whether it had a guard then.
    """
    if not name.startswith("command"):
        while not _below(run) and run.process.poll() is None:
            time.sleep(0.02)
        delay_s *= 0.7
    end = time.monotonic() + delay_s
    while time.monotonic() < end and run.process.poll() is None:
        time.sleep(0.005)
    if run.process.poll() is None:
        guarded.append(bool(_below(run)))
        FAULTS[name](run, rng)


def struck(name: str, folder: Path, rng: np.random.Generator, longest_s: float, right: bytes) -> Iterator[str]:
    """Strike a run at a random moment, then run again, and yield what is wrong."""
    (folder / "out.npz").unlink(missing_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    delay = rng.uniform(0, longest_s)
    run = start(folder, temporary, delay * 0.7 if name == "pipe to the guard closed" else None)
    guarded: list[bool] = []
    striking = threading.Thread(target=_strike_later, args=(run, name, delay, rng, guarded))
    striking.start()
    yield from ended(run, name)
    striking.join()
    if (files := files_in(temporary)) and (name != "command killed" or any(guarded)):
        yield f"temporary files {files} are left"  # without a guard yet, the next run removes what a killed one left
    out = folder / "out.npz"
    if run.process.returncode == 0 and (not out.exists() or content(out) != right):
        yield "gives another result, and no error"
    elif out.exists() and content(out) != right:
        yield "leaves a wrong file"
    again = start(folder, temporary)
    yield from ended(again, "next run")
    if files := files_in(temporary):
        yield f"temporary files {files} are left after the next run"
    if again.process.returncode != 0 or content(out) != right:
        yield f"the next run is not right ({again.process.returncode})"


def content(path: Path) -> bytes:
    """Return all spikes in a file of an activity as bytes."""
    events = load_activity(path).spikes
    return b"".join(name.encode() + events[name].to_dense().tobytes() for name in sorted(events))


def prepared(folder: Path) -> tuple[bytes, float]:
    """Write network and samples, run once unbroken; return the right spikes and the seconds that a run takes."""
    weights = (2 * np.random.default_rng(0).integers(-20, 40, (6, 8))).astype(np.int16)
    to_nir(one_layer(weights, neuron(), target="a", wire="p"), folder / "net.nir")
    save_samples(spikes((3, 20, 8), seed=1), folder / "x.npz")
    started = time.monotonic()
    run = start(folder, folder.parent / "first")
    problems = list(ended(run, "first run"))
    assert run.process.returncode == 0, problems
    assert not problems, problems
    return content(folder / "out.npz"), time.monotonic() - started


def strike(n: int, seed: int, say: Callable[[str], None]) -> Counter[str]:
    """Strike ``n`` runs, the faults in turn; return the runs by the name of their fault, and how many went ``wrong``."""
    rng, names, counts = np.random.default_rng(seed), list(FAULTS), Counter[str]()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "work"
        folder.mkdir()
        right, seconds = prepared(folder)
        for i in range(n):
            name = names[(seed + i) % len(names)]
            problems = list(struck(name, folder, rng, seconds, right))
            counts[name] += 1
            counts["wrong"] += bool(problems)
            say(f"{i} {name}: {'; '.join(problems) or 'clean, and the next run right'}")
    return counts


def main() -> None:
    """Run the command."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--n", type=int, default=200)
    words.add_argument("--seed", type=int, default=0)
    given = words.parse_args()
    counts = strike(given.n, given.seed, lambda line: print(line, flush=True))
    print(f"{given.n} runs with a fault, {counts['wrong']} wrong")
    sys.exit(1 if counts["wrong"] else 0)


if __name__ == "__main__":
    main()
