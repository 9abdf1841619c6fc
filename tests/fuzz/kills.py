"""``python tests/fuzz/kills.py [--n 100] [--seed 0]``: commands killed at random moments, then begun again.

After each kill nothing of the command may live on, in processes or shared memory; after the command was begun again its
files are those of an unbroken run, and no unfinished or temporary file is left. A command is told from all that runs beside
it by its mark: a variable of its processes, the begin of the names of its shared memory, its folder of temporary files.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TEXT = """
name = "killed"
data = { name = "digits", n_steps = 4, test_fraction = 0.8, validation_fraction = 0.3 }
network = { layers = [{ neurons = 16 }, { neurons = 10 }], neuron = { threshold = 64, current_decay = 2048, \
voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.3, growth = "momentum", every_steps = 3 }
training = { epochs = 30, batch_size = 50, learning_rate = 1e-2, weight_scale = 0.7, logit_scale = 0.5 }
"""
SWEEP = """
name = "killed"
recipe = "recipe.toml"
samples = 50
[grid]
method = ["set"]
density = [0.2, 0.3]
chip = ["loihi2"]
"""
COMMANDS = {
    "train": ("train recipe.toml --out run", "train recipe.toml --out run --resume"),
    "export": ("export done --out net.nir", "export done --out net.nir --force"),
    "report": ("report done --out rep --chip loihi2 --engines reference,event", "--force"),
    "sweep": ("sweep sweep.toml --out sw --jobs 2", ""),
    "demo": ("demo --out demo", "--force"),
}
"""By name: the command, and what begins it again: another command, or words to add."""
SAME = {"train": "run/checkpoint.safetensors", "export": "net.nir", "report": "rep/report.md", "sweep": "sw/results.md",
        "demo": "demo/report.md"}  # fmt: skip
"""A file whose bytes do not hang on the time that the command took."""
GONE_S = 15.0
"""Time in which everything of a run has ended after the command has."""


MARK = "NEURODEPLOY_FAULT_RUN"
"""Variable that all processes of a command carry."""
MARKED = """
import multiprocessing, os, sys
from multiprocessing import shared_memory
from neurodeploy.engines.lava import supervise
mark = os.environ["NEURODEPLOY_FAULT_RUN"]
multiprocessing.current_process()._config["semprefix"] = "/" + mark
shared_memory._SHM_NAME_PREFIX = "/" + mark
supervise._new_prefix = lambda: mark
{more}
sys.argv[0] = "neurodeploy"
from neurodeploy.cli import main
main()
"""
"""A command whose shared memory and semaphores carry its mark."""


@dataclass(frozen=True, slots=True)
class Run:
    """A running command: its process, its mark, the folder that it works in, and that of its temporary files."""

    process: subprocess.Popen[str]
    mark: str
    folder: Path
    temporary: Path


def start(words: str, folder: Path, temporary: Path, more: str = "") -> Run:
    """Start a command in a session of its own; ``more`` is code that it runs before."""
    mark = f"ndf{secrets.token_hex(4)}_"
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", MARKED.format(more=more), *words.split()], cwd=folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        env={**os.environ, "PYTHONPATH": str(ROOT), MARK: mark, "TMPDIR": str(temporary)},
    )  # fmt: skip
    return Run(process, mark, folder, temporary)


def living(run: Run) -> list[int]:
    """Return the processes of a run that live, zombies left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={run.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(entry.name)] if state not in "ZX" else []
    return found


def shared(run: Run) -> list[str]:
    """Return the names of the shared memory and the semaphores of a run."""
    return sorted(name for name in os.listdir("/dev/shm") if name.startswith((run.mark, f"sem.{run.mark}")))


def left(run: Run, within_s: float) -> Iterator[str]:
    """Yield what of a run is left after its end, in processes and shared memory, some time given; end it."""
    end = time.monotonic() + within_s
    while (living(run) or shared(run)) and time.monotonic() < end:
        time.sleep(0.05)
    if found := living(run):
        yield f"processes {found} live on"
        for number in found:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    if names := shared(run):
        yield f"shared memory {names} is left"


def files_in(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def content(path: Path) -> list[str] | bytes:
    """Return the content of a file; of a report all lines but the command, which beginning again changes."""
    if path.suffix != ".md":
        return path.read_bytes()
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("| command ")]


def killed(name: str, folder: Path, rng: np.random.Generator, longest_s: float) -> Iterator[str]:
    """Kill a command at a random moment, begin it again, and yield what is wrong then."""
    command, again = COMMANDS[name]
    temporary = folder / "temporary"
    run = start(command, folder, temporary)
    time.sleep(rng.uniform(0, longest_s))
    run.process.send_signal(signal.SIGKILL if rng.random() < 0.7 else signal.SIGTERM)
    run.process.communicate()
    yield from left(run, GONE_S)
    begun = (folder / "run/state.safetensors").exists() if name == "train" else True
    words = command if not begun else again if again.startswith(name) else f"{command} {again}"
    redo = start(words, folder, temporary)
    _, told = redo.process.communicate()
    if redo.process.returncode != 0:
        yield f"beginning again ends with {redo.process.returncode}: {told[-300:]}"
    yield from left(redo, GONE_S)
    if parts := [str(path.relative_to(folder)) for path in folder.rglob("*.part")] + files_in(temporary):
        yield f"unfinished files {parts} are left"


def main() -> None:
    """Run the command."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--n", type=int, default=100)
    words.add_argument("--seed", type=int, default=0)
    given = words.parse_args()
    rng = np.random.default_rng(given.seed)
    wrong = 0
    with tempfile.TemporaryDirectory() as made:
        whole, seconds = prepared(Path(made) / "whole")
        names = list(COMMANDS)
        for i in range(given.n):
            name, folder = names[i % len(names)], Path(made) / str(i)
            folder.mkdir()
            write_inputs(folder, whole)
            problems = list(killed(name, folder, rng, seconds[name]))
            if not problems and content(folder / SAME[name]) != content(whole / SAME[name]):
                problems = [f"{SAME[name]} differs from that of an unbroken run"]
            wrong += bool(problems)
            print(f"{i} {name}: {'; '.join(problems) or 'as an unbroken run'}", flush=True)
    print(f"{given.n} kills, {wrong} wrong")
    sys.exit(1 if wrong else 0)


def prepared(folder: Path) -> tuple[Path, dict[str, float]]:
    """Run every command once, unbroken; return the folder and the seconds that each took."""
    folder.mkdir()
    write_inputs(folder, None)
    seconds = {}
    for name, (command, _) in COMMANDS.items():
        if name == "export":
            (folder / "done").symlink_to(folder / "run")
        started = time.monotonic()
        run = start(command, folder, folder / "temporary")
        _, told = run.process.communicate()
        assert run.process.returncode == 0, told
        seconds[name] = time.monotonic() - started
    return folder, seconds


def write_inputs(folder: Path, whole: Path | None) -> None:
    """Write the recipe and the sweep, and link the run that is done."""
    (folder / "recipe.toml").write_text(TEXT, encoding="utf-8")
    (folder / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    if whole is not None:
        (folder / "done").symlink_to(whole / "run")


if __name__ == "__main__":
    main()
