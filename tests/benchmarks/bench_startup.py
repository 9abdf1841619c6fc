"""Start of the command line: ``python tests/benchmarks/bench_startup.py [runs]``.

One line a command, each run a process of its own, in turns: median seconds, median CPU seconds (user and system, what other
programs disturb least) and the fastest run. The first line is Python itself, the last the heaviest packages that the command
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


def main(n: int) -> None:
    """Print a line for each command."""
    print("command,seconds,cpu_seconds,fastest_seconds")
    runs = [{name: run(command) for name, command in COMMANDS.items()} for _ in range(n)]
    for name in COMMANDS:
        seconds, cpu = zip(*(turn[name] for turn in runs))
        print(f"{name},{statistics.median(seconds):.3f},{statistics.median(cpu):.3f},{min(seconds):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
