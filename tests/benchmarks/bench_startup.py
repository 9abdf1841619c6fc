"""Start of the command line: ``python tests/benchmarks/bench_startup.py [runs [RUN]]``.

One line a command, each run a process of its own, in turns: median seconds, median CPU seconds (user and system, what other
programs disturb least) and the fastest run. With the folder of a run of the demo (``runs/demo``) also the commands of its
network. The first line is Python itself, the last the heaviest packages that the command
line loads. Not run by the tests.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

PROGRAM = [sys.executable, "-m", "neurodeploy"]
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import neurodeploy": [sys.executable, "-c", "import neurodeploy"],
    "neurodeploy --version": [*PROGRAM, "--version"],
    "neurodeploy --help": [*PROGRAM, "--help"],
    "neurodeploy chips list": [*PROGRAM, "chips", "list"],
    "neurodeploy chips show loihi1": [*PROGRAM, "chips", "show", "loihi1"],
    "import numpy and pydantic": [sys.executable, "-c", "import numpy, pydantic"],
}


def run(command: list[str]) -> tuple[float, float]:
    """Run a command and return its seconds and CPU seconds."""
    before, start = _cpu(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def commands_of(folder: str) -> dict[str, list[str]]:
    """Return the commands of a network that is there, as on a run of the demo."""
    file, chip = f"{folder}/model.nir", ["--chip", "loihi2"]
    return {
        "neurodeploy check": [*PROGRAM, "check", file],
        "neurodeploy map": [*PROGRAM, "map", file, *chip],
        "neurodeploy estimate": [*PROGRAM, "estimate", file, *chip],
        "neurodeploy estimate --data": [*PROGRAM, "estimate", file, *chip, "--data", f"{folder}/test.npz"],
    }


def main(n: int, folder: str | None) -> None:
    """Print a line for each command."""
    print("command,seconds,cpu_seconds,fastest_seconds")
    commands = COMMANDS | (commands_of(folder) if folder else {})
    runs = [{name: run(command) for name, command in commands.items()} for _ in range(n)]
    for name in commands:
        seconds, cpu = zip(*(turn[name] for turn in runs))
        print(f"{name},{statistics.median(seconds):.3f},{statistics.median(cpu):.3f},{min(seconds):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9, sys.argv[2] if len(sys.argv) > 2 else None)
