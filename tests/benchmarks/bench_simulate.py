"""Speed of the simulators, side by side: one command writes the table of the documentation.

    python tests/benchmarks/bench_simulate.py --rounds 5 --out docs/bench_simulate.md --json bench_simulate.json

Adds to ``neurodeploy bench simulate`` the bars over Lava with AVX2 alone where this machine has AVX-512, the limits of
this machine (a C compiler), the cost of counting, a whole chip, and MNIST's test images (``NEURODEPLOY_DATA`` or
``--data``). A part that cannot run is left out, with the reason. Each result goes to the file of ``--json`` as soon as it
is there; ``--resume`` goes on with what is missing in it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from numba import njit

from neurodeploy.bench.speed.counts import core_events, core_fans, core_labels
from neurodeploy.bench.speed.networks import CONV_NET, make_network, random_samples
from neurodeploy.bench.speed.run import CASES, available_peers, bench_simulate
from neurodeploy.data.parts import encode_lazily, load_splits
from neurodeploy.engines.event import kernels
from neurodeploy.engines.event.every_kind import run_messages
from neurodeploy.engines.event.run import kernel_names, run_event, stream_event
from neurodeploy.engines.event.vector import borrowed
from neurodeploy.errors import DataError, NeurodeployError
from neurodeploy.files.loops import instruction_set
from neurodeploy.files.writing import write_text
from neurodeploy.network import Conv, Cuba, Dense, Input, Network, Output, Population, Projection, Sparse, synapse_shape
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.recipe.data import DataRecipe


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
        "kernel": kernel, "isa": instruction_set(), "peer": "C loop", "threads": 1,
        "per_ns": rate, "peer_per_ns": limit, "ratio": rate / limit,
        "equal": equal, "bar": bar, "met": equal and rate / limit >= bar,
    }  # fmt: skip


def bench_counts(rounds: int = 51) -> list[dict]:
    """Cost at batch 64 of counting updated neurons by core, and of the events of each core: at most 20 % more for both."""
    rows = []
    for name in ("784-256-10", "2312-512-512-11"):
        network = make_network(name, 0.1, 0.02)
        samples = random_samples(network, 64, 0.02, np.random.default_rng(1))
        labels, fans = core_labels(network), core_fans(network)
        spent: dict = {"plain": [], "counted": [], "with events of cores": []}
        for _ in range(rounds + 1):
            for what, seconds in spent.items():
                begin = time.process_time()
                activity = run_event(network, samples, threads=1, labels=None if what == "plain" else labels)
                if what == "with events of cores":
                    core_events(activity, fans)
                seconds.append(time.process_time() - begin)
        plain, counted, derived = (median(seconds[1:]) for seconds in spent.values())
        rows.append({
            "network": name, "isa": instruction_set(), "batch": 64, "threads": 1, "counted": counted / plain,
            "with_events_of_cores": derived / plain, "bar": 1.2, "met": derived / plain <= 1.2,
        })  # fmt: skip
    return rows


def chip_network(n_cores: int, per_core: int, fan_out: int, rate: float, rng: np.random.Generator) -> Network:
    """Cores of ``per_core`` neurons driven by their biases; each projects to random neurons of one other core."""

    def lists(n_source: int, fan: int) -> Sparse:
        step = per_core // fan
        target = np.arange(fan) * step + rng.integers(0, step, (n_source, fan))
        weights = 2 * rng.integers(-8, 9, n_source * fan, np.int16)  # small, so that the biases set the rate
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


def bench_chip(rounds: int = 3) -> list[dict]:
    """Time a step of a chip of 8192-neuron cores, fan-out 100, at three sizes; the largest has 1M neurons, 105M synapses.

    ``linear``: time for a synaptic event over that of the smallest size. Each size runs in a process of its own, so that its
    peak of memory is its own. CPU time stands beside wall time; under load only the first means something.
    """
    rows: list[dict] = []
    for rate in (0.01, 0.1):
        for n_cores in (32, 64, 128):
            code = f"import bench_simulate as b; b.print_chip({n_cores}, {rate}, {rounds})"
            folder = {"cwd": Path(__file__).parent, "env": {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}}
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **folder)
            if done.returncode:
                raise SystemExit(f"chip of {n_cores} cores: {done.stderr.strip().splitlines()[-1]}")
            row = json.loads(done.stdout.splitlines()[-1])
            first = next((r for r in rows if r["asked_rate"] == rate), row)
            row["linear"] = first["synapses_per_ns"] / row["synapses_per_ns"]
            largest = n_cores == 128
            row["bar_ms"] = {0.01: 8.0, 0.1: 25.0}[rate] if largest else None
            row["met"] = row["ms_per_step"] <= row["bar_ms"] and row["peak_gb"] < 2 if largest else None
            rows.append(row)
    return rows


def print_chip(n_cores: int, rate: float, rounds: int) -> None:
    network = chip_network(n_cores, 8192, 100, rate, np.random.default_rng(0))
    silent = Samples(inputs={"in": Events.from_dense(np.zeros((1, 1, 1), np.int8))})
    first, last = (100, 140) if rate < 0.05 else (20, 60)  # the first neurons fire after 1 / (2 * rate) steps
    spent: dict = {first: [], last: []}
    for _ in range(rounds + 1):
        for n_steps, seconds in spent.items():
            begin = time.perf_counter(), time.process_time()
            activity = run_event(network, silent, n_steps=n_steps, threads=1)
            seconds.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    fired = sum(int(np.count_nonzero(activity.spikes[p.name].step >= first)) for p in network.populations)
    wall, cpu = (
        (median(s[k] for s in spent[last][1:]) - median(s[k] for s in spent[first][1:])) / (last - first)
        for k in (0, 1)
    )
    spikes = fired / (last - first)
    row = {
        "network": f"chip of {n_cores} cores", "neurons": n_cores * 8192, "synapses": n_cores * 819200,
        "isa": instruction_set(), "threads": 1,
        "asked_rate": rate, "rate": spikes / (n_cores * 8192), "ms_per_step": 1e3 * wall, "cpu_ms_per_step": 1e3 * cpu,
        "synapses_per_ns": spikes * 100 / cpu / 1e9,
        "peak_gb": _peak_gb(),
    }  # fmt: skip
    print(json.dumps(row))


def bench_payloads(rounds: int = 7) -> list[dict]:
    """Images of 8-bit pixels, half of them 0, into two layers: on the compiled kernels and on the loop for every kind.

    A still image sends the same in each of its 16 steps, a moving one something new. They take turns; ``equal``: the spikes.
    """
    rng, rows, shapes = np.random.default_rng(0), [], {"784": (784,), "3x32x32": (3, 32, 32)}
    image = {"input_shape": (3, 32, 32), "padding": (1, 1)}
    layers = {
        "dense": ("784", Dense(weights=2 * rng.integers(-30, 40, (256, 784)))),
        "dense, 5 %": ("784", Dense(weights=2 * rng.integers(-30, 40, (256, 784)) * (rng.random((256, 784)) < 0.05))),
        "convolution": ("3x32x32", Conv(weights=2 * rng.integers(-30, 40, (32, 3, 3, 3)), **image)),
    }
    for name, (shape, synapses) in layers.items():
        network = _payload_network(shapes[shape], synapses, rng)
        for moves in (False, True):
            values = rng.integers(0, 256, (8, 16, *shapes[shape])).reshape(8, 16, -1)
            values *= rng.random(values.shape) < 0.5
            values = values if moves else np.repeat(values[:, :1], 16, axis=1)
            samples = Samples(inputs={"in": Events.from_dense(values, graded=True)})
            ours, theirs, equal = _payloads_in_turns(network, samples, rounds)
            rows.append({
                "input": shape, "layer": name, "image": "moving" if moves else "still", "steps": 16,
                "isa": instruction_set(),
                "kernel": "+".join(kernel_names(network)), "ms": ours, "every_kind_ms": theirs, "ratio": theirs / ours,
                "equal": equal, "bar": 3.0, "met": equal and theirs / ours >= 3.0,
            })  # fmt: skip
    return rows


def _payloads_in_turns(network: Network, samples: Samples, rounds: int) -> tuple[float, float, bool]:
    """Return milliseconds for a sample on the kernels and on the loop for every kind, and whether their spikes are equal."""
    calls = {
        "compiled": lambda: run_event(network, samples, threads=1),
        "every kind": lambda: run_messages(network, samples, steps=samples.n_steps + network.depth),
    }
    spent: dict = {what: [] for what in calls}
    for _ in range(rounds + 1):
        found = {}
        for what, call in calls.items():
            begin = time.process_time()
            found[what] = call()
            spent[what].append(time.process_time() - begin)
    ours, theirs = (1e3 * median(seconds[1:]) / samples.n_samples for seconds in spent.values())
    return ours, theirs, _same_spikes(*found.values())


def _payload_network(shape: tuple[int, ...], synapses: Dense | Conv, rng: np.random.Generator) -> Network:
    hidden = Cuba(current_decay=4096, voltage_decay=128, threshold=30000)
    last = Cuba(current_decay=1024, voltage_decay=128, threshold=300)
    size = synapse_shape(synapses)[0]
    reader = Dense(weights=2 * rng.integers(-30, 40, (10, size)))
    return Network(
        inputs=(Input(name="in", shape=shape, payload_bits=8),),
        populations=(
            Population(name="a", shape=(size,) if isinstance(synapses, Dense) else synapses.output_shape, model=hidden),
            Population(name="b", shape=(10,), model=last, first_step=2),
        ),
        projections=(
            Projection(name="in-a", source="in", target="a", synapses=synapses),
            Projection(name="a-b", source="a", target="b", synapses=reader),
        ),
        outputs=(Output(name="out", population="b"),),
    )


def _same_spikes(ours: Activity, theirs: Activity) -> bool:
    return all(np.array_equal(e.places(), theirs.spikes[name].places()) for name, e in ours.spikes.items())


def bench_mnist(root: Path | None, threads: int = 2) -> list[dict]:
    """Read, encode, simulate and count the first 5,000 MNIST test images on 784-512-10 at 10 % density, in batches."""
    rows = []
    for n_steps in (16, 100):
        recipe = DataRecipe(name="mnist", encoding="rate", n_steps=n_steps, validation_fraction=0.05, test_samples=5000)
        try:
            test = load_splits(recipe, root)[2]
        except DataError as error:
            print(f"MNIST: left out: {error}")
            return []
        network = make_network("784-512-10", 0.1, 0.1)
        run_event(network, random_samples(network, 1, 0.1, np.random.default_rng(0)))  # compiled before the clock runs
        begin, cpu, before = time.perf_counter(), time.process_time(), _peak_gb()
        test = load_splits(recipe, root)[2]
        counts, n_spikes = [], 0
        for activity in stream_event(
            network, _image_batches(encode_lazily(test, recipe, "test"), 250), threads=threads
        ):
            counts.append(activity.spikes["layer2"].counts())
            n_spikes += sum(len(events) for events in activity.spikes.values())
        seconds = time.perf_counter() - begin
        rows.append({
            "network": "784-512-10", "isa": instruction_set(),
            "images": len(np.concatenate(counts)), "steps": n_steps, "threads": threads,
            "spikes": n_spikes, "seconds": seconds, "cpu_seconds": time.process_time() - cpu,
            "more_gb": _peak_gb() - before, "bar_seconds": 10.0, "met": seconds < 10,
        })  # fmt: skip
    return rows


def _image_batches(images, size: int) -> Iterator[Samples]:
    for first in range(0, images.n_samples, size):
        yield Samples(inputs={"in": Events.from_dense(images.raster(slice(first, first + size)))})


def table(rows: list[dict]) -> str:
    """Return rows as a Markdown table, columns in the order of the first row."""
    if not rows:
        return "(left out)\n"

    def cell(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)

    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(cell(row.get(column)) for column in rows[0]) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _case_key(row: dict) -> tuple:
    return row["network"], row["density"], row["rate"]


def bench_peers(options: argparse.Namespace, done: list[dict], keep) -> list[dict]:
    """Give the rows of all chosen cases; those of a case that is in ``done`` already are kept as they are."""
    peers = available_peers(options.peers, say=print)
    places = {(case.network, case.density, case.rate): place for place, case in enumerate(CASES)}
    for number in options.cases if options.cases is not None else range(len(CASES)):
        case = CASES[number]
        if any(_case_key(row) == (case.network, case.density, case.rate) for row in done):
            continue
        done += bench_simulate(cases=[case], peers=peers, rounds=options.rounds, progress=_show, say=print)
        done.sort(key=lambda row: places.get(_case_key(row), len(places)))
        keep(done)
    return done


def bench_avx2(options: argparse.Namespace) -> list[dict]:
    """Give the rows of Lava, in the cases that have a bar over it, of another process that is restricted to AVX2."""
    if instruction_set() != "avx512":
        print("AVX2 alone: left out, the tables are those of " + instruction_set())
        return []
    numbers = [
        str(k) for k, case in enumerate(CASES) if any(case.bars.values()) and not case.only_lava and case.density < 1
    ]
    numbers += [str(k) for k, case in enumerate(CASES) if case.network == CONV_NET and any(case.bars.values())]
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, __file__, "--only", "peers", "--peers", "lava", "--rounds", str(options.rounds)]
        restricted = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
        environment = {**os.environ, **restricted}
        subprocess.run([*command, "--json", str(rows), "--cases", *numbers], check=True, env=environment)
        return list(json.loads(rows.read_text())["peers"])


def _show(row: dict) -> None:
    print(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()), flush=True)


def machine() -> str:
    """Return what the table was measured on."""
    model = next((ln.split(":")[1].strip() for ln in _lines("/proc/cpuinfo") if ln.startswith("model name")), "")
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    return (
        f"{model or platform.processor()}, {os.cpu_count()} processors, Python {platform.python_version()}, load {load}"
    )


def _peak_gb() -> float:
    """Return the most memory that this process had, in GB; what its parent had does not count, as ``getrusage`` lets it."""
    own = [line.split()[1] for line in _lines("/proc/self/status") if line.startswith("VmHWM")]
    return int(own[0]) / 1e6 if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def missed(results: dict) -> str:
    """Return a list of the bars that are missed, in words."""
    lines = []
    for name, rows in results.items():
        for row in rows:
            if row.get("met") is False:
                what = ", ".join(str(row[key]) for key in ("network", "kernel", "layer", "image") if key in row)
                more = [f"{key} {row[key]:g}" for key in ("density", "rate", "batch") if key in row]
                peer = f" over {row['peer']}" if "peer" in row else ""
                bar = next(row[key] for key in row if key.startswith("bar"))
                ratio = row.get("ratio")
                value = f": {ratio:.3g}{peer}, bar {bar:g}" if ratio is not None else f": bar {bar:g}{peer}"
                lines.append(f"- {name}, {row.get('isa', '')}: {', '.join([what, *more])}{value}")
    return "All bars are met.\n" if not lines else "Bars that are missed here:\n\n" + "\n".join(lines) + "\n"


def document(results: dict, rounds: int) -> str:
    titles = {
        "peers": "Beside other simulators: milliseconds for one sample of 100 steps, medians of turns",
        "avx2": "Beside Lava, restricted to AVX2",
        "limits": "Beside the same loops in C: additions a nanosecond",
        "counts": "Cost of counting, over a run without",
        "payloads": "Input with payloads: milliseconds for one image, beside the loop for every neuron kind",
        "chip": "A whole chip: milliseconds a step",
        "mnist": "5,000 MNIST test images, from the files to the counts",
    }
    parts = [f"## {titles[name]}\n\n{table(rows)}" for name, rows in results.items() if name in titles]
    command = f"`tests/benchmarks/bench_simulate.py --rounds {rounds}`"
    head = (
        f"# Speed of the simulators\n\nWritten by {command} on {machine()}. `isa`: the vector instructions that ran.\n"
    )
    return "\n".join([head, missed(results), *parts])


def main() -> None:
    names = ["peers", "avx2", "limits", "counts", "payloads", "chip", "mnist"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    parser.add_argument(
        "--cases", nargs="*", type=int, choices=range(len(CASES)), help="numbers of CASES; all by default"
    )
    parser.add_argument("--peers", nargs="*", default=[], help="names of peers; by default all that can run here")
    parser.add_argument("--data", type=Path, help="folder with the data sets")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--json", type=Path, help="JSON file to write, after each result")
    parser.add_argument("--resume", action="store_true", help="keep what the JSON file holds")
    options = parser.parse_args()
    results: dict = {}
    if options.resume and options.json is not None and options.json.exists():
        results = json.loads(options.json.read_text())

    def keep(name: str, rows: list[dict]) -> None:
        results[name] = rows
        if options.json is not None:
            write_text(json.dumps(results, indent=1) + "\n", options.json)

    parts = {
        "peers": lambda: bench_peers(options, results.get("peers", []), lambda rows: keep("peers", rows)),
        "avx2": lambda: bench_avx2(options),
        "limits": bench_limits,
        "counts": bench_counts,
        "payloads": bench_payloads,
        "chip": bench_chip,
        "mnist": lambda: bench_mnist(options.data),
    }
    for name in options.only:
        if name == "peers" or name not in results:
            keep(name, parts[name]())
        print(f"## {name}\n\n{table(results[name])}", flush=True)
    if options.out is not None:
        write_text(document({name: results[name] for name in names if name in results}, options.rounds), options.out)


if __name__ == "__main__":
    try:
        main()
    except NeurodeployError as error:
        sys.exit(f"bench_simulate: {error}")
