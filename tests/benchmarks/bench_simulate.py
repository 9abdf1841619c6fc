"""Speed of the simulators, side by side: ``python tests/benchmarks/bench_simulate.py --out docs/bench_simulate.md``.

Adds to ``neurodeploy.simulate.bench`` what needs more than the package: slayer's forward pass (lava-dl, Python 3.10) and
the limits of this machine (a C compiler). A part that cannot run is left out, with the reason.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from numba import njit

from neurodeploy.activity import Activity, Events, Samples
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection, Sparse
from neurodeploy.simulate import kernels
from neurodeploy.simulate.bench import CASES, bench_simulate, default_peers, make_network, random_samples
from neurodeploy.simulate.event import run_event
from neurodeploy.simulate.vector import borrowed

SLAYER_BATCH = 64


def slayer_forward(network: Network, samples: Samples) -> tuple[float, Activity] | None:
    """Time slayer's forward pass without gradients, one thread, at batch 64, for a chain of matrices."""
    import torch
    from lava.lib.dl import slayer

    if not all(isinstance(p.synapses, Dense) for p in network.projections) or samples.n_samples < SLAYER_BATCH:
        return None
    if max(p.model.threshold for p in network.populations) >= 4096:
        return None  # slayer's threshold is exact below 64 only
    torch.set_num_threads(1)
    blocks = []
    for population, projection in zip(network.populations, network.projections):
        n_target, n_source = projection.synapses.weights.shape
        neuron = {
            "threshold": population.model.threshold / 64,
            "current_decay": population.model.current_decay / 4096,
            "voltage_decay": population.model.voltage_decay / 4096,
        }
        block = slayer.block.cuba.Dense(neuron, n_source, n_target, weight_norm=False, delay_shift=True)
        weights = torch.as_tensor(projection.synapses.weights.astype(np.float32) / 64)
        block.synapse.weight.data[:] = weights.reshape(block.synapse.weight.shape)
        blocks.append(block.eval())
    (events,) = samples.inputs.values()
    x = torch.as_tensor(events.to_dense().transpose(0, 2, 1).astype(np.float32))
    with torch.no_grad():
        begin = time.perf_counter()
        layers = []
        for block in blocks:
            layers.append(block(layers[-1] if layers else x))
        seconds = (time.perf_counter() - begin) / samples.n_samples
    first = (layer[:1].numpy().transpose(0, 2, 1).astype(np.int8) for layer in layers)
    spikes = {p.name: Events.from_dense(raster) for p, raster in zip(network.populations, first)}
    return seconds, Activity(engine="slayer", network=network.fingerprint, n_steps=events.n_steps, spikes=spikes)


@njit(cache=True)
def own_gather(weights, source, wire, columns, sums, times):
    weights, source, wire, sums = borrowed(weights), borrowed(source), borrowed(wire), borrowed(sums)
    for _ in range(times):
        kernels._add_dense(sums, 0, columns, 0, wire, weights, (source, 0, source.size))


@njit(cache=True)
def own_scatter(target, weights, start, source, wire, sums, times):
    target, weights, start = borrowed(target), borrowed(weights), borrowed(start)
    source, wire, sums = borrowed(source), borrowed(wire), borrowed(sums)
    for _ in range(times):
        kernels._add_sparse(sums, 0, target, weights, wire, 0, start, (source, 0, source.size))


def bench_limits(rounds: int = 7) -> list[dict]:
    """Compare the dense and the sparse kernel with the same loops in C: additions a nanosecond, in turns, medians."""
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        print("limits of the machine: left out, there is no C compiler")
        return []
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "limits.so"
        source = Path(__file__).with_name("bench_simulate_limits.c")
        command = [compiler, "-O3", "-march=native", "-Wno-psabi", "-shared", "-fPIC", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        limits = ctypes.CDLL(str(library))
        return [_dense_limit(limits, rounds), _sparse_limit(limits, rounds)]


def _dense_limit(limits: ctypes.CDLL, rounds: int) -> dict:
    """46 of 2312 rows of 512 weights, the first layer of 2312-512-512-11 at 2 % input."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-128, 128, 2312 * 512).astype(np.int8)
    source = rng.choice(2312, 46, replace=False).astype(np.int32)
    offsets = 512 * source.astype(np.int64)
    wire = np.zeros((1, kernels.Q_COLUMNS), np.int64)
    wire[0, [kernels.Q_STRIDE, kernels.Q_SCALE, kernels.Q_GROUP]] = 512, 1, 256
    ours, theirs, times = np.zeros(512, np.int32), np.zeros(512, np.int32), 2000
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (weights, offsets, theirs)]

    def c_code(n: int) -> None:
        limits.repeat_gather(pointers[0], pointers[1], 46, 512, pointers[2], n)

    return _in_turns(
        "dense", 46 * 512 * times, rounds, times, ours, theirs,
        lambda n: own_gather(weights, source, wire, 512, ours, n), c_code, 0.4,
    )  # fmt: skip


def _sparse_limit(limits: ctypes.CDLL, rounds: int) -> dict:
    """46 of 2312 lists of 51 targets among 512: the same layer at 10 % density, as lists."""
    rng = np.random.default_rng(0)
    target = np.concatenate([np.sort(rng.choice(512, 51, replace=False)) for _ in range(2312)]).astype(np.uint16)
    weights = rng.integers(-128, 128, target.size).astype(np.int8)
    start = np.arange(2313, dtype=np.int64) * 51
    source = rng.choice(2312, 46, replace=False).astype(np.int32)
    wire = np.zeros((1, kernels.Q_COLUMNS), np.int64)
    wire[0, kernels.Q_SCALE] = 2
    ours, theirs, times = np.zeros(512, np.int32), np.zeros(512, np.int32), 500
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (target, weights, start, source, theirs)]

    def c_code(n: int) -> None:
        limits.repeat_scatter(*pointers[:4], 46, pointers[4], n)

    return _in_turns(
        "sparse", 46 * 51 * times, rounds, times, ours, theirs,
        lambda n: own_scatter(target, weights, start, source, wire, ours, n), c_code, 0.8,
    )  # fmt: skip


def _in_turns(kernel, additions, rounds, times, ours, theirs, own, other, bar) -> dict:
    own(1)
    other(1)
    equal = bool(np.array_equal(ours, theirs)) and bool(ours.any())
    spent: dict = {own: [], other: []}
    for _ in range(rounds):
        for call, seconds in spent.items():
            begin = time.perf_counter()
            call(times)
            seconds.append(time.perf_counter() - begin)
    rate, limit = (additions / median(seconds) / 1e9 for seconds in spent.values())
    return {
        "kernel": kernel, "peer": "C loop", "threads": 1, "per_ns": rate, "peer_per_ns": limit, "ratio": rate / limit,
        "equal": equal, "bar": bar, "met": equal and rate / limit >= bar,
    }  # fmt: skip


def bench_counts(rounds: int = 5) -> list[dict]:
    """Cost of counting updated neurons by label (64 neurons a label) at batch 64: at most 20 % more."""
    rows = []
    for name in ("784-256-10", "2312-512-512-11"):
        network = make_network(name, 0.1, 0.02, np.random.default_rng(0))
        samples = random_samples(network, 64, 0.02, np.random.default_rng(1))
        labels = {p.name: np.arange(p.size) // 64 for p in network.populations}
        spent: dict = {False: [], True: []}
        for _ in range(rounds + 1):
            for counted, seconds in spent.items():
                begin = time.perf_counter()
                run_event(network, samples, threads=1, labels=labels if counted else None)
                seconds.append(time.perf_counter() - begin)
        ratio = median(spent[True][1:]) / median(spent[False][1:])
        rows.append({"network": name, "batch": 64, "threads": 1, "counted": ratio, "bar": 1.2, "met": ratio <= 1.2})
    return rows


def chip_network(n_cores: int, per_core: int, fan_out: int, rate: float, rng: np.random.Generator) -> Network:
    """Cores of ``per_core`` neurons driven by their biases; each projects to random neurons of one other core."""

    def lists(n_source: int, fan: int) -> Sparse:
        step = per_core // fan
        target = np.arange(fan) * step + rng.integers(0, step, (n_source, fan))
        weights = 2 * rng.integers(-64, 65, n_source * fan, np.int16)
        start = np.arange(n_source + 1, dtype=np.int64) * fan
        return Sparse(n_target=per_core, start=start, target=target.ravel().astype(np.int32), weights=weights)

    def core() -> Cuba:
        bias = rng.integers(1, int(128000 * rate), per_core)
        return Cuba(current_decay=2048, voltage_decay=0, threshold=1000, bias=bias)

    cores = [f"core{i}" for i in range(n_cores)]
    onward = [
        Projection(name=f"from_{c}", source=c, target=cores[(7 * i + 1) % n_cores], synapses=lists(per_core, fan_out))
        for i, c in enumerate(cores)
    ]
    return Network(
        inputs=(Input(name="in", shape=(1,)),),
        populations=tuple(Population(name=c, shape=(per_core,), model=core()) for c in cores),
        projections=(Projection(name="in", source="in", target="core0", synapses=lists(1, 10)), *onward),
        outputs=(Output(name="out", population="core0"),),
    )


def bench_chip(rates=(0.01, 0.1), cores=(32, 64, 128), rounds: int = 3) -> list[dict]:
    """Time a step of a chip of 8192-neuron cores, fan-out 100, at three sizes; the largest has 1M neurons, 105M synapses."""
    rows = []
    for rate in rates:
        for n_cores in cores:
            network = chip_network(n_cores, 8192, 100, rate, np.random.default_rng(0))
            silent = Samples(inputs={"in": Events.from_dense(np.zeros((1, 1, 1), np.int8))})
            spent: dict = {20: [], 60: []}
            for _ in range(rounds + 1):
                for n_steps, seconds in spent.items():
                    begin = time.perf_counter()
                    activity = run_event(network, silent, n_steps=n_steps, threads=1)
                    seconds.append(time.perf_counter() - begin)
            spikes = sum(int(np.count_nonzero(activity.spikes[p.name].step >= 20)) for p in network.populations) / 40
            step = (median(spent[60][1:]) - median(spent[20][1:])) / 40
            rows.append({
                "network": f"chip of {n_cores} cores", "neurons": n_cores * 8192, "synapses": n_cores * 819200,
                "threads": 1, "rate": spikes / (n_cores * 8192), "ms_per_step": 1e3 * step,
                "synapses_per_ns": spikes * 100 / step / 1e9,
                "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
            })  # fmt: skip
    return rows


def table(rows: list[dict]) -> str:
    """Return rows as a Markdown table, columns in the order of the first row."""
    if not rows:
        return "(left out)\n"

    def cell(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)

    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(cell(row.get(column)) for column in rows[0]) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["peers", "limits", "counts", "chip"])
    parser.add_argument("--cases", nargs="*", type=int, help="numbers of CASES; all by default")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    options = parser.parse_args()
    peers = default_peers()
    try:
        import lava.lib.dl.slayer  # noqa: F401

        peers["slayer"] = slayer_forward
    except ImportError:
        print("slayer: left out, lava-dl is not installed")
    cases = CASES if options.cases is None else [CASES[i] for i in options.cases]
    parts = {
        "peers": lambda: bench_simulate(cases=cases, peers=peers, rounds=options.rounds, progress=print),
        "limits": bench_limits,
        "counts": bench_counts,
        "chip": bench_chip,
    }
    results = {}
    for name in options.only:
        results[name] = parts[name]()
        print(f"## {name}\n\n{table(results[name])}", flush=True)
    if options.out is not None:
        options.out.write_text("".join(f"## {name}\n\n{table(rows)}\n" for name, rows in results.items()))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
