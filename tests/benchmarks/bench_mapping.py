"""Time and memory of mapping large sparse networks onto Loihi 2 boards: ``python tests/benchmarks/bench_mapping.py``.

Layers in a row, each neuron with 100 random sources; prints one line a size. Not run by the tests.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from neurodeploy.chip import load_chip
from neurodeploy.mapping import map_network
from neurodeploy.network import Cuba, Input, Network, Output, Population, Projection, Sparse

FAN_IN = 100
LAYERS = 10
MODEL = Cuba(current_decay=1024, voltage_decay=128, threshold=100)


def layer(rng: np.random.Generator, n: int) -> Sparse:
    """Each of ``n`` neurons draws 100 of ``n`` sources, repeats left out; 8-bit weights, none zero."""
    pairs = np.unique(rng.integers(n, size=n * FAN_IN) * n + np.repeat(np.arange(n), FAN_IN))
    start = np.concatenate([[0], np.cumsum(np.bincount(pairs // n, minlength=n))])
    weights = rng.integers(1, 128, pairs.size) * rng.choice([-1, 1], pairs.size)
    return Sparse(n_target=n, start=start, target=pairs % n, weights=weights)


def network(neurons: int) -> Network:
    """``neurons`` neurons in ten layers after an input of the size of a layer."""
    rng, n = np.random.default_rng(0), neurons // LAYERS
    names = ["input", *(f"layer{i}" for i in range(1, LAYERS + 1))]
    return Network(
        inputs=(Input(name="input", shape=(n,)),),
        populations=tuple(
            Population(name=name, shape=(n,), model=MODEL, first_step=i) for i, name in enumerate(names[1:], 1)
        ),
        projections=tuple(
            Projection(name=f"w{i}", source=names[i - 1], target=names[i], synapses=layer(rng, n))
            for i in range(1, LAYERS + 1)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def main(sizes: list[int]) -> None:
    """Map each size with each split and print what it took."""
    chip = load_chip("kapoho_point")
    print("neurons,synapses,split,cores,seconds,cpu_seconds,peak_mib")
    for size in sizes:
        net = network(size)
        synapses = sum(p.synapses.weights.size for p in net.projections)
        for split in ("equal", "overlap"):
            start, start_cpu = time.perf_counter(), time.process_time()
            mapping = map_network(net, chip, split=split)
            seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{size},{synapses},{split},{len(mapping.cores)},{seconds:.1f},{cpu:.1f},{peak:.0f}", flush=True)


if __name__ == "__main__":
    main([int(arg) for arg in sys.argv[1:]] or [10_000, 30_000, 100_000])
