"""Time and memory of mapping large sparse networks onto boards: ``python tests/benchmarks/bench_mapping.py``.

Layers in a row, each neuron with 100 random sources; prints one line for each size, board and split. ``--dense`` maps
3,000 to 4,000 neurons with all 12 M synapses onto loihi1 and loihi2, with the bounds of the cores first and remedies where
it does not fit; ``--chain 100 500 2000`` maps and simulates so many layers of 16 neurons: time a layer should not grow with
their number. Not run by the tests. CPU seconds count where other programs run beside it.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from itertools import product
from statistics import median

import numpy as np

from neurodeploy.chip import load_chip
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FitError
from neurodeploy.mapping.fit.bounds import core_bounds
from neurodeploy.mapping.fit.search import fit
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection, Sparse, Synapses
from neurodeploy.network.activity import Events, Samples
from neurodeploy.network.synapses import synapse_shape

FAN_IN = 100
LAYERS = 10
MODEL = Cuba(current_decay=1024, voltage_decay=128, threshold=100)


def layer(rng: np.random.Generator, n: int) -> Sparse:
    """Each of ``n`` neurons draws 100 of ``n`` sources, repeats left out; 8-bit weights, none zero."""
    pairs = np.unique(rng.integers(n, size=n * FAN_IN) * n + np.repeat(np.arange(n), FAN_IN))
    start = np.concatenate([[0], np.cumsum(np.bincount(pairs // n, minlength=n))])
    weights = rng.integers(1, 128, pairs.size) * rng.choice([-1, 1], pairs.size)
    return Sparse(n_target=n, start=start, target=pairs % n, weights=weights)


def in_a_row(synapses: Sequence[Synapses], n_inputs: int, model: Cuba = MODEL) -> Network:
    """Return layers in a row, each of the size that its synapses reach."""
    names = ["input", *(f"layer{i}" for i in range(1, len(synapses) + 1))]
    return Network(
        inputs=(Input(name="input", shape=(n_inputs,)),),
        populations=tuple(
            Population(name=name, shape=(synapse_shape(s)[0],), model=model, first_step=i)
            for i, (name, s) in enumerate(zip(names[1:], synapses), 1)
        ),
        projections=tuple(
            Projection(name=f"w{i}", source=names[i - 1], target=names[i], synapses=s)
            for i, s in enumerate(synapses, 1)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def network(neurons: int) -> Network:
    """``neurons`` neurons in ten layers after an input of the size of a layer."""
    rng, n = np.random.default_rng(0), neurons // LAYERS
    return in_a_row([layer(rng, n) for _ in range(LAYERS)], n)


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


def dense() -> None:
    """Bounds and verdict for 12 M dense synapses on two chips."""
    rng = np.random.default_rng(0)
    net = in_a_row([Dense(weights=rng.integers(-127, 128, (4000, 3000)))], 3000)
    print("chip,cores_low,cores_high,bounds_seconds,fits,verdict_cpu_seconds,verdict_seconds")
    for name in ("loihi1", "loihi2"):
        chip, start = load_chip(name), time.perf_counter()
        bounds = core_bounds(net, chip)
        bounded, start_cpu = time.perf_counter(), time.process_time()
        verdict = fit(net, chip)
        cpu, end = time.process_time() - start_cpu, time.perf_counter()
        print(
            f"{name},{bounds.low},{bounds.high},{bounded - start:.1f},{verdict.fits},{cpu:.0f},{end - bounded:.0f}",
            flush=True,
        )


def chains(depths: list[int]) -> None:
    """Time of mapping and of simulating chains by their number of layers, each for one layer; medians of three turns.

    The simulated chain hands on each spike to one neuron of the next layer, so that its spikes grow as its layers do. The
    first run, with the making of the plan, is told from the next.
    """
    print("layers,spikes,map_ms_a_layer,first_simulate_ms_a_layer,next_simulate_ms_a_layer")
    _chain_row(20, turns=1)  # so that the kernels are compiled
    for depth in depths:
        spikes, *seconds = _chain_row(depth, turns=3)
        print(f"{depth},{spikes}," + ",".join(f"{1e3 * s / depth:.3f}" for s in seconds), flush=True)


def _chain_row(depth: int, turns: int) -> tuple[int, float, float, float]:
    rng, chip = np.random.default_rng(0), load_chip("nahuku32")
    given = Samples(inputs={"input": Events.from_dense(rng.random((4, 16, 16)) < 0.3)})
    hands_on = Cuba(current_decay=4096, voltage_decay=4096, threshold=100)
    mapped, first, again = [], [], []
    for _ in range(turns):
        full = in_a_row([Dense(weights=rng.integers(-20, 60, (16, 16))) for _ in range(depth)], 16)
        one = [Dense(weights=127 * np.eye(16, dtype=int)[rng.permutation(16)]) for _ in range(depth)]
        relays = in_a_row(one, 16, hands_on)
        mapped.append(_cpu_seconds(lambda net=full: map_network(net, chip)))
        first.append(_cpu_seconds(lambda net=relays: simulate(net, given)))
        again.append(_cpu_seconds(lambda net=relays: simulate(net, given)))
    spikes = sum(len(events) for events in simulate(relays, given).spikes.values())
    return spikes, median(mapped), median(first), median(again)


def _cpu_seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


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
    parser.add_argument("--dense", action="store_true", help="12 M dense synapses instead")
    parser.add_argument("--chain", type=int, nargs="+", help="chains of so many layers instead")
    asked = parser.parse_args()
    if asked.dense:
        dense()
    elif asked.chain:
        chains(asked.chain)
    else:
        main(
            asked.sizes or [10_000, 30_000, 100_000],
            asked.board or ["kapoho_point", "nahuku32"],
            asked.split or ["equal", "overlap"],
        )
