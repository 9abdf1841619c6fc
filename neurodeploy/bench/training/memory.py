"""Process that prints the peak memory of two training steps over that of the imports: ``python -m ... JSON``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from neurodeploy.bench.training.cases import Case, Contestant, run_of, with_own_neurons


def main(given: dict[str, Any]) -> None:
    """Run a small case, so that all loops are compiled, then build the run and take two steps under watch."""
    contestant: Contestant = given.pop("contestant")
    threads = given.pop("threads")
    torch.set_num_threads(threads)
    case = Case(**given)
    few = Case(network="784-512-10", density=case.density, rate=case.rate, n_steps=2, batch=16)
    small = run_of(few, contestant, threads)
    small.step(torch.arange(few.batch))
    del small
    before = _kilobytes("VmRSS")
    run = run_of(case, contestant, threads)
    if contestant == "slayer-masked":
        with_own_neurons(run)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew from here
    for _ in range(2):
        run.step(torch.arange(case.batch))
    print((_kilobytes("VmHWM") - before) / 1024)


def _kilobytes(what: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {what}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
