"""Time to read and map a pooled convolutional network as other frameworks write it.

    python tests/benchmarks/bench_pooled.py

N-MNIST's 34 x 34 x 2: conv, neuron, pool, conv, neuron, pool, dense, neuron. Prints one line for each chip; CPU seconds
count where other programs run beside it. Not run by the tests.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nir
import numpy as np

from neurodeploy.chip import load_chip
from neurodeploy.errors import FitError
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.mapping.mapper import map_network


def graph(channels: tuple[int, int], side: int = 34, n_classes: int = 10) -> nir.NIRGraph:
    """Return the network with weights on a grid of four bits."""
    rng, (a, b) = np.random.default_rng(0), channels
    half, quarter = side // 2, side // 4

    def conv(c_out: int, c_in: int, size: int) -> nir.Conv2d:
        weight = rng.integers(-7, 8, (c_out, c_in, 3, 3)) / 16
        return nir.Conv2d((size, size), weight, 1, 1, 1, 1, np.zeros(c_out))

    def neurons(*shape: int) -> nir.IF:
        return nir.IF(r=np.ones(shape), v_threshold=np.ones(shape), v_reset=np.zeros(shape))

    def pool() -> nir.SumPool2d:
        return nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))

    nodes = {
        "input": nir.Input(np.array([2, side, side])),
        "c1": conv(a, 2, side),
        "l1": neurons(a, side, side),
        "p1": pool(),
        "c2": conv(b, a, half),
        "l2": neurons(b, half, half),
        "p2": pool(),
        "flat": nir.Flatten({"input": np.array([b, quarter, quarter])}, 0, -1),
        "fc": nir.Linear(rng.integers(-7, 8, (n_classes, b * quarter**2)) / 16),
        "out": neurons(n_classes),
        "output": nir.Output(np.array([n_classes])),
    }
    return nir.NIRGraph(nodes, list(zip(list(nodes), list(nodes)[1:])), type_check=False)


def main(chips: list[str], channels: tuple[int, int]) -> None:
    """Print a line for each chip."""
    print("chip,cores,memory_kib,read_s,map_s,cpu_s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pooled.nir"
        nir.write(path, graph(channels))
        for name in chips:
            start, cpu = time.perf_counter(), time.process_time()
            network = from_nir(path)
            read = time.perf_counter()
            try:
                mapping = map_network(network, load_chip(name))
                found = f"{len(mapping.cores)},{mapping.synaptic_bytes / 1024:.1f}"
            except FitError as error:
                found = f"-,{str(error)[:60]}"
            done = time.perf_counter()
            print(f"{name},{found},{read - start:.2f},{done - read:.2f},{time.process_time() - cpu:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", nargs="*", default=["loihi1", "loihi2", "speck2f"])
    parser.add_argument("--channels", type=int, nargs=2, default=[16, 32])
    args = parser.parse_args()
    main(args.chips, (args.channels[0], args.channels[1]))
