"""Time and memory of mapping large sparse networks onto boards: ``python tests/benchmarks/bench_mapping.py``.

Layers in a row, each neuron with 100 random sources; prints one line for each size, board and split. Not run by the tests.
CPU seconds count where other programs run beside it.
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import product

import numpy as np

from neurodeploy.chip import load_chip
from neurodeploy.errors import FitError
from neurodeploy.mapping.mapper import map_network
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


def row(net: Network, board: str, split: str) -> tuple[str, float]:
    """Map a network and return a line of what it took, with the CPU seconds."""
    start, start_cpu = time.perf_counter(), time.process_time()
    try:
        mapping = map_network(net, load_chip(board), split=split)
        taken = f"{len(mapping.cores)},{mapping.n_chips}"
    except FitError as error:
        taken = f"does not fit: {error.binding['used'] if error.binding else '?'},-"
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{board},{split},{taken},{seconds:.1f},{cpu:.1f},{peak:.0f}", cpu


def main(sizes: list[int], boards: list[str], splits: list[str]) -> None:
    """Map each size onto each board with each split; ``growth``: CPU time a synapse against the size before."""
    print("neurons,synapses,board,split,cores,chips,seconds,cpu_seconds,peak_mib,growth")
    before: dict[tuple[str, str], float] = {}
    for size in sizes:
        net = network(size)
        synapses = sum(p.synapses.weights.size for p in net.projections)
        for board, split in product(boards, splits):
            line, cpu = row(net, board, split)
            rate, last = cpu / synapses, before.get((board, split))
            before[board, split] = rate
            print(f"{size},{synapses},{line},{rate / last if last else 1:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", help="neurons; by default 10000 30000 100000")
    parser.add_argument("--board", action="append", help="by default kapoho_point and nahuku32")
    parser.add_argument("--split", action="append", help="by default equal and overlap")
    asked = parser.parse_args()
    main(
        asked.sizes or [10_000, 30_000, 100_000],
        asked.board or ["kapoho_point", "nahuku32"],
        asked.split or ["equal", "overlap"],
    )
