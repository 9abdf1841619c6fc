"""``python tests/fuzz/kills.py [--n 100] [--seed 0]``: commands killed at random moments, then begun again.

After each kill nothing of the command may live on, in processes or shared memory; after the command was begun again its
files are those of an unbroken run, and no unfinished file is left.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
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


def start(words: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "neurodeploy", *words.split()], cwd=folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def living(session: int) -> list[int]:
    """Return the processes of a session that live, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, own = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if own == str(session) and state != "Z":
                found.append(int(entry.name))
    return found


def unused(names: set[str]) -> list[str]:
    """Return the names of shared memory that no living process has: ours are dead, others may have begun meanwhile."""
    maps = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                maps.append((entry / "maps").read_text(errors="replace"))
    return sorted(n for n in names if (Path("/dev/shm") / n).exists() and not any(f"/dev/shm/{n}" in m for m in maps))


def content(path: Path) -> list[str] | bytes:
    """Return the content of a file; of a report all lines but the command, which beginning again changes."""
    if path.suffix != ".md":
        return path.read_bytes()
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("| command ")]


def killed(name: str, folder: Path, rng: np.random.Generator, longest_s: float) -> Iterator[str]:
    """Kill a command at a random moment, begin it again, and yield what is wrong then."""
    command, again = COMMANDS[name]
    shared = set(os.listdir("/dev/shm"))
    process = start(command, folder)
    time.sleep(rng.uniform(0, longest_s))
    process.send_signal(signal.SIGKILL if rng.random() < 0.7 else signal.SIGTERM)
    process.wait()
    end = time.monotonic() + 15
    while living(process.pid) and time.monotonic() < end:
        time.sleep(0.1)
    if left := living(process.pid):
        yield f"{name}: processes {left} live on"
        os.killpg(process.pid, signal.SIGKILL)
    if more := unused(set(os.listdir("/dev/shm")) - shared):
        yield f"{name}: shared memory {more} is left"
    begun = (folder / "run/state.safetensors").exists() if name == "train" else True
    words = command if not begun else again if again.startswith(name) else f"{command} {again}"
    redo = start(words, folder)
    _, told = redo.communicate()
    if redo.returncode != 0:
        yield f"{name}: beginning again ends with {redo.returncode}: {told.decode(errors='replace')[-300:]}"
    if parts := [str(path.relative_to(folder)) for path in folder.rglob("*.part")]:
        yield f"{name}: unfinished files {parts} are left"


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
                problems = [f"{name}: {SAME[name]} differs from that of an unbroken run"]
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
        process = start(command, folder)
        _, told = process.communicate()
        assert process.returncode == 0, told.decode(errors="replace")
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
