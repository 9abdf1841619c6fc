"""Run SANA-FE on arch.yaml and net.yaml beside this file, and compare with expected.json.

Needs ``pip install sanafe==2.2.9``. Exit code 0 where all counts are equal, and energy and time to 9 digits; 1 where not.

    python run.py                            timing model simple
    python run.py --timing-model detailed    SANA-FE's event scheduler; its time differs and is only shown
    python run.py --json                     one JSON object
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

COUNTS = ("timesteps_executed", "spikes", "packets_sent", "neurons_updated", "neurons_fired", "hops")


def run(folder: Path, n_steps: int, timing_model: str) -> dict[str, Any]:
    """Return what SANA-FE gives, under the names of expected.json."""
    sanafe = import_module("sanafe")
    arch = sanafe.load_arch(folder / "arch.yaml")
    chip = sanafe.SpikingChip(arch)
    chip.load(sanafe.load_net(folder / "net.yaml", arch))
    done = chip.sim(timesteps=n_steps, timing_model=timing_model, perf_trace=True)
    trace = done["perf_trace"]
    return {
        **{name: int(done[name]) for name in COUNTS if name != "hops"},
        "hops": int(sum(trace["hops"])),
        "energy": float(done["energy"]["total"]),
        "sim_time": float(sum(trace["sim_time"])),
        "step_s": [float(t) for t in trace["sim_time"]],
    }


def differing(expected: dict[str, Any], found: dict[str, Any], timing_model: str) -> list[str]:
    """Return the names under which the two differ; times only count in the timing model simple."""
    names = [name for name in COUNTS if expected[name] != found[name]]
    figures = ("energy", "sim_time") if timing_model == "simple" else ("energy",)
    return names + [name for name in figures if abs(found[name] - expected[name]) > 1e-9 * abs(expected[name])]


def main() -> int:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timing-model", default="simple", choices=("simple", "detailed", "cycle"))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    folder = Path(__file__).resolve().parent
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    found = run(folder, expected["timesteps_executed"], options.timing_model)
    different = differing(expected, found, options.timing_model)
    if options.json:
        print(json.dumps({"equal": not different, "different": different, "expected": expected, "found": found}))
    else:
        print(f"{'':20}{'expected':>24}{'SANA-FE':>24}")
        for name in (*COUNTS, "energy", "sim_time"):
            print(f"{name:20}{expected[name]!r:>24}{found[name]!r:>24}{'  DIFFERENT' if name in different else ''}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
