"""Size, time and memory of NIR files: ``python tests/benchmarks/bench_exchange.py [million weights ...]``.

One line a file: a square layer on the chip's 8-bit grid at 10 % density, the same with floats beside the grid, and what
``to_nir`` writes with names and mask. Writing is nir's, with its default compression. ``peak`` is the highest memory of a
process that only reads the file with ``from_nir``, ``before`` that of the same process before. Not run by the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection

DENSITY = 0.1


def network(n: int, *, mask: bool) -> Network:
    """``n`` inputs and ``n`` neurons, even weights of both signs."""
    rng = np.random.default_rng(0)
    kept = rng.random((n, n)) < DENSITY
    weights = 2 * rng.integers(-128, 128, (n, n)) * kept
    model = Cuba(current_decay=1024, voltage_decay=512, threshold=80)
    projection = Projection(
        name="w", source="in", target="out", synapses=Dense(weights=weights), mask=kept if mask else None
    )
    return Network(
        inputs=(Input(name="in", shape=(n,)),),
        populations=(Population(name="out", shape=(n,), model=model),),
        projections=(projection,),
        outputs=(Output(name="class", population="out"),),
    )


def write(kind: str, n: int, path: Path) -> None:
    """Write one file of a kind."""
    import nir

    from neurodeploy.exchange.nir.write import to_nir

    graph = to_nir(network(n, mask=kind == "mask"), metadata=kind == "mask")
    if kind == "floats":
        graph.nodes["w"].weight = np.random.default_rng(1).normal(0, 0.3, (n, n)).astype(np.float32)
    nir.write(path, graph)


def measure(path: Path) -> None:
    """Read a file in this process and print what it took as JSON."""
    import h5py  # noqa: F401  (its import is not the reading)
    import scipy.sparse.csgraph  # noqa: F401

    from neurodeploy.exchange.nir.read import from_nir

    before, start, cpu = _peak(), time.perf_counter(), time.process_time()
    from_nir(path)
    taken = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    print(json.dumps({**taken, "before": before, "peak": _peak()}))


def _peak() -> float:
    """Return the highest memory of this process in MiB (Linux; ``getrusage`` would count the process that started it)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main(millions: list[float]) -> None:
    """Print a line for each size and kind of file."""
    print("kind,weights,file_mb,floats_mb,seconds,cpu_seconds,before_mib,peak_mib")
    with tempfile.TemporaryDirectory() as folder:
        for million in millions:
            n = round((million * 1e6) ** 0.5)
            for kind in ("grid", "floats", "mask"):
                path = Path(folder) / f"{kind}.nir"
                write(kind, n, path)
                done = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, text=True, check=True)
                found = json.loads(done.stdout)
                numbers = (found["seconds"], found["cpu"], found["before"], found["peak"])
                shown = ",".join(f"{x:.2f}" if x < 20 else f"{x:.0f}" for x in numbers)
                print(f"{kind},{n * n},{path.stat().st_size / 1e6:.2f},{4 * n * n / 1e6:.1f},{shown}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].endswith(".nir"):
        measure(Path(sys.argv[1]))
    else:
        main([float(a) for a in sys.argv[1:]] or [1, 10, 40])
