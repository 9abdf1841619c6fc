"""Size, time and memory of ``.nd5`` files of large sparse networks: ``python tests/benchmarks/bench_nd5.py [neurons ...]``.

One layer of ``neurons`` by ``neurons`` with a density of 0.1 %, by default 4096 and 65536. One line for each act, in a
process of its own: writing and reading the file, mapping its network onto boards, and up to 8192 neurons the same with NIR,
which holds the matrix in full, in floats. ``peak`` is the highest memory of the process, ``before`` that of the same process
just before the act. Not run by the tests; ``tests/unit/exchange/nd5/test_memory.py`` holds the peaks to bounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy import load_chip, map_network, read_network, write_network
from neurodeploy.errors import FitError
from neurodeploy.network import Cuba, Input, Network, Output, Population, Projection, Sparse

DENSITY = 0.001
LARGEST_NIR = 8192
"""Neurons up to which a NIR file is written too: of 65536, the matrix alone would take 17 GB."""
BOARDS = ("nahuku32", "loihi2")


def network(n: int) -> Network:
    """``n`` inputs and ``n`` neurons; every source draws its targets, and even weights of both signs."""
    rng = np.random.default_rng(0)
    count = rng.binomial(n, DENSITY, n)
    target = np.concatenate([np.sort(rng.choice(n, k, replace=False)) for k in count]).astype(np.int32)
    weights = (2 * rng.integers(1, 64, target.size) * rng.choice([-1, 1], target.size)).astype(np.int16)
    sparse = Sparse(n_target=n, start=np.concatenate([[0], np.cumsum(count)]), target=target, weights=weights)
    model = Cuba(current_decay=1024, voltage_decay=128, threshold=100)
    return Network(
        inputs=(Input(name="in", shape=(n,)),),
        populations=(Population(name="out", shape=(n,), model=model),),
        projections=(Projection(name="w", source="in", target="out", synapses=sparse),),
        outputs=(Output(name="class", population="out"),),
    )


def measure(act: str, path: Path, n: int) -> dict[str, Any]:
    """Write, read or map in this process, and return what it took; memory in MiB."""
    import h5py  # noqa: F401  (its import is not the reading)

    given = network(n) if act == "write" else None if act == "read" else read_network(path)
    before, start, cpu = _peak(), time.perf_counter(), time.process_time()
    found = ""
    if act == "write":
        write_network(given, path)
    elif act == "read":
        found = read_network(path).fingerprint[:8]
    else:
        found = _mapped(given, act)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "before": before, "peak": _peak(), "found": found}


def _mapped(net: Network, board: str) -> str:
    try:
        return f"{len(map_network(net, load_chip(board)).cores)} cores"
    except FitError as error:
        return f"does not fit: {error.binding['used'] if error.binding else '?'} cores"


def _peak() -> float:
    """Return the highest memory of this process in MiB (Linux; ``getrusage`` would count the process that started it)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def run(act: str, path: Path, n: int) -> dict[str, Any]:
    """Measure in a process of its own, which has the memory of this act alone."""
    command = [sys.executable, __file__, act, str(path), str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(sizes: list[int]) -> None:
    """Print a line for each size and act."""
    print("neurons,file,act,file_mb,seconds,cpu_seconds,before_mib,peak_mib,found")
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            for suffix in (".nd5", ".nir") if n <= LARGEST_NIR else (".nd5",):
                path = Path(folder) / f"{n}{suffix}"
                for act in ("write", "read", *(BOARDS if suffix == ".nd5" else ())):
                    found = run(act, path, n)
                    taken = (found["seconds"], found["cpu_seconds"], found["before"], found["peak"])
                    shown = ",".join(f"{x:.2f}" if x < 20 else f"{x:.0f}" for x in taken)
                    print(f"{n},{suffix},{act},{path.stat().st_size / 1e6:.2f},{shown},{found['found']}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 4 and not sys.argv[1].isdigit():
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main([int(a) for a in sys.argv[1:]] or [4096, 65536])
