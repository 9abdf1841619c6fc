"""Measured speed of the event-driven engine beside other simulators of the same integers.

Contestants take turns within each round, so that the load of the machine meets all of them; a row holds medians over the
rounds, and nothing is timed before its spikes were found equal. Inputs are random spikes at a given rate; thresholds are
chosen so that every population fires at about that rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodeploy.activity import Activity, Events, Samples
from neurodeploy.errors import LavaError, UsageError
from neurodeploy.network import (
    STATE_LIMIT,
    THRESHOLD_MAX,
    Conv,
    Cuba,
    Dense,
    Input,
    Network,
    Output,
    Pool,
    Population,
    Projection,
    Sparse,
    Synapses,
)
from neurodeploy.simulate.event import kernel_names, run_event

Row: TypeAlias = dict[str, Any]
N_STEPS = 100
_MODEL = Cuba(current_decay=1024, voltage_decay=128, threshold=1)


@dataclass(frozen=True, slots=True)
class Case:
    """One network at one density and input rate, run in batches of some sizes.

    ``bars`` holds the ratio over Lava that is asked for each batch size, or None.
    """

    network: str
    density: float
    rate: float
    bars: Mapping[int, float | None]


CASES = (
    *(
        Case(network, density, rate, {1: 500.0 if (density, rate) == (0.1, 0.02) else None, 64: bar})
        for network in ("784-256-10", "2312-512-512-11")
        for density in (1.0, 0.1, 0.02)
        for rate, bar in ((0.02, 1000.0), (0.1, None))
    ),
    Case("conv-34x34x2", 1.0, 0.02, {1: 400.0, 16: 400.0}),
    Case("conv-34x34x2", 1.0, 0.1, {1: None, 16: None}),
    Case("8192-8192", 0.1, 0.02, {1: 100.0}),
)

Peer: TypeAlias = Callable[[Network, Samples], "tuple[float, Activity] | None"]
"""Takes a network and samples; returns the seconds for one sample, start-up left out, and the activity of the first one.

None where the peer cannot run the network.
"""


def bench_simulate(
    *,
    cases: Sequence[Case] = CASES,
    peers: Mapping[str, Peer] | None = None,
    rounds: int = 3,
    threads: int = 2,
    progress: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Return one row for each case, batch size and peer, with medians over the rounds for one sample.

    Columns: ``network``, ``density``, ``rate``, ``batch``, ``threads``, ``kernel``, ``ms``, ``peer``, ``peer_threads``,
    ``peer_ms``, ``ratio``, ``equal``, ``bar``, ``met``. A peer whose spikes differ has no ratio.

    Args:
        cases: what to run; ``CASES`` are those of the documentation.
        peers: by default a plain numba scatter loop, and Lava (the faster of its Dense and Sparse processes) where a Python
            with lava-nc is found. All of them run on one thread.
        rounds: how often each contestant is timed.
        threads: of the event-driven engine for batches; a single sample always runs on one.
        progress: called with each row as soon as it is there; all cases take some minutes.

    Raises:
        UsageError: for fewer than one round.
    """
    if rounds < 1:
        raise UsageError(f"bench: rounds is {rounds}, must be at least 1")
    peers = default_peers() if peers is None else peers
    rows = []
    for case in cases:
        for row in _rows(case, peers, rounds, threads):
            rows.append(row)
            if progress is not None:
                progress(row)
    return rows


def default_peers() -> dict[str, Peer]:
    """Return the peers that this installation can run."""
    from neurodeploy.simulate.lava import find_lava_python

    peers: dict[str, Peer] = {"numba-scatter": numba_scatter}
    try:
        find_lava_python()
    except LavaError:
        return peers
    return {**peers, "lava": lava_runtime}


def _rows(case: Case, peers: Mapping[str, Peer], rounds: int, threads: int) -> list[Row]:
    rng = np.random.default_rng(0)
    network = make_network(case.network, case.density, case.rate, rng)
    samples = random_samples(network, max(case.bars), case.rate, rng)
    first = run_event(network, samples.take(0, 1))
    own: dict[int, list[float]] = {batch: [] for batch in case.bars}
    others: dict[str, list[float]] = {name: [] for name in peers}
    equal: dict[str, bool] = {}
    for _ in range(rounds):
        for batch, times in own.items():
            part = samples.take(0, batch)
            times.append(_seconds(network, part, min(threads, batch)))
        for name, peer in peers.items():
            if (result := peer(network, samples)) is not None:
                others[name].append(result[0])
                equal[name] = equal.get(name, True) and _equal(first, result[1])
    base = {"network": case.network, "density": case.density, "rate": case.rate}
    kernel = "+".join(kernel_names(network))
    return [
        {**base, "batch": batch, "threads": min(threads, batch), "kernel": kernel, "ms": 1e3 * median(times)}
        | _against(name, median(others[name]) / median(times), equal[name], case.bars[batch])
        | {"peer_ms": 1e3 * median(others[name])}
        for batch, times in own.items()
        for name in equal
    ]


def _against(peer: str, ratio: float, equal: bool, bar: float | None) -> Row:
    bar = bar if peer == "lava" else None
    met = None if bar is None else equal and ratio >= bar
    return {"peer": peer, "peer_threads": 1, "ratio": ratio if equal else None, "equal": equal, "bar": bar, "met": met}


def _seconds(network: Network, samples: Samples, threads: int) -> float:
    """Return the time of the event-driven engine for one sample, from as many runs as fill 50 ms."""
    n, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + 0.05 or n < 2:
        run_event(network, samples, threads=threads)
        n += 1
    return (time.perf_counter() - begin) / (n * samples.n_samples)


def _equal(whole: Activity, first: Activity) -> bool:
    """Return whether the activity of the first sample is that of the whole run, as far as it goes."""
    for name, events in first.spikes.items():
        ours, theirs = whole.spikes[name].take(0, 1), events.take(0, 1)
        n_steps = min(ours.n_steps, theirs.n_steps)
        if not np.array_equal(ours.to_dense()[:, :n_steps], theirs.to_dense()[:, :n_steps]):
            return False
    return True


def make_network(name: str, density: float, rate: float, rng: np.random.Generator) -> Network:
    """Return a network by name: sizes of layers (``784-256-10``), or ``conv-34x34x2``.

    Weights are even, as on the chip; ``density`` is the share of them that is not zero.

    Raises:
        UsageError: for another name.
    """
    shapes, synapses = _conv_net(rng) if name == "conv-34x34x2" else _perceptron(name, density, rng)
    thresholds: list[int] = []
    for i in range(len(synapses)):
        few = random_samples(_chain(shapes, synapses[:1], [1]), 2, rate, np.random.default_rng(1))
        thresholds.append(_threshold(shapes, synapses[: i + 1], thresholds, rate, few))
    return _chain(shapes, synapses, thresholds)


def random_samples(network: Network, n: int, rate: float, rng: np.random.Generator) -> Samples:
    """Return ``n`` samples of ``N_STEPS`` steps with independent spikes at a rate per channel and step."""
    inputs = {i.name: Events.from_dense(rng.random((n, N_STEPS, i.size)) < rate) for i in network.inputs}
    return Samples(inputs=inputs, name=f"random spikes, rate {rate}")


def _perceptron(name: str, density: float, rng: np.random.Generator) -> tuple[list[tuple[int, ...]], list[Synapses]]:
    try:
        sizes = [int(size) for size in name.split("-")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise UsageError(f"bench: there is no network '{name}'; give sizes such as 784-256-10, or conv-34x34x2")
    synapses: list[Synapses] = []
    for n_source, n_target in zip(sizes, sizes[1:]):
        kept = rng.random((n_target, n_source)) < density
        synapses.append(Dense(weights=2 * rng.integers(-64, 65, kept.shape, np.int16) * kept))
    return [(size,) for size in sizes], synapses


def _conv_net(rng: np.random.Generator) -> tuple[list[tuple[int, ...]], list[Synapses]]:
    """34x34x2 - conv 3x3x16 - pool 2 - conv 3x3x32 - pool 2 - dense 10."""

    def kernels(c_out: int, c_in: int) -> NDArray[np.int16]:
        return 2 * rng.integers(-64, 65, (c_out, c_in, 3, 3), np.int16)

    synapses: list[Synapses] = [
        Conv(weights=kernels(16, 2), input_shape=(2, 34, 34), padding=(1, 1)),
        Pool(input_shape=(16, 34, 34), kernel=(2, 2), stride=(2, 2)),
        Conv(weights=kernels(32, 16), input_shape=(16, 17, 17), padding=(1, 1)),
        Pool(input_shape=(32, 17, 17), kernel=(2, 2), stride=(2, 2)),
        Dense(weights=2 * rng.integers(-64, 65, (10, 2048), np.int16)),
    ]
    return [(2, 34, 34), (16, 34, 34), (16, 17, 17), (32, 17, 17), (32, 8, 8), (10,)], synapses


def _chain(shapes: Sequence[tuple[int, ...]], synapses: Sequence[Synapses], thresholds: Sequence[int]) -> Network:
    names = ["in", *(f"layer{i + 1}" for i in range(len(synapses)))]
    return Network(
        inputs=(Input(name="in", shape=shapes[0]),),
        populations=tuple(
            Population(name=name, shape=shape, model=replace(_MODEL, threshold=threshold), first_step=i + 1)
            for i, (name, shape, threshold) in enumerate(zip(names[1:], shapes[1:], thresholds))
        ),
        projections=tuple(
            Projection(name=f"to_{target}", source=source, target=target, synapses=s)
            for source, target, s in zip(names, names[1:], synapses)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def _threshold(
    shapes: Sequence[tuple[int, ...]], synapses: Sequence[Synapses], before: list[int], rate: float, samples: Samples
) -> int:
    """Return the lowest threshold of the last layer, to 5 %, at which it fires at most at ``rate``."""
    low, high = 0, THRESHOLD_MAX
    while high - low > max(1, low // 20):
        middle = (low + high) // 2 if high <= 2 * low else int(np.sqrt((low + 1.0) * high))
        network = _chain(shapes, synapses, [*before, middle])
        activity = run_event(network, samples)
        last = activity.spikes[network.populations[-1].name]
        above = len(last) > rate * last.size * last.n_steps * last.n_samples
        low, high = (middle, high) if above else (low, middle)
    return high


def lava_runtime(network: Network, samples: Samples) -> tuple[float, Activity]:
    """Time Lava's runtime, with Dense or Sparse processes, whichever is faster; see ``Peer``.

    The time is a third of the difference between a run of the first sample four times over and one of it alone, so that
    start and end cancel.
    """
    from neurodeploy.simulate.lava import run_lava

    alone, long = samples.take(0, 1), _repeated(samples, 4)
    runs = []
    for form in {p.synapses.kind: n for n in (as_sparse(network), network) for p in n.projections}.values():
        begin = time.perf_counter()
        activity = run_lava(form, alone)
        middle = time.perf_counter()
        run_lava(form, long)
        runs.append(((time.perf_counter() - 2 * middle + begin) / 3, activity))
    return min(runs, key=lambda run: run[0])


def _repeated(samples: Samples, times: int) -> Samples:
    """Return one sample that holds the steps of the first one several times over."""
    rasters = {name: np.tile(events.take(0, 1).to_dense(), (1, times, 1)) for name, events in samples.inputs.items()}
    return Samples(inputs={name: Events.from_dense(raster) for name, raster in rasters.items()})


def as_sparse(network: Network) -> Network:
    """Return the network with its matrices as lists of stored synapses."""
    return replace(network, projections=tuple(replace(p, synapses=_sparse(p.synapses)) for p in network.projections))


def _sparse(synapses: Synapses) -> Synapses:
    if not isinstance(synapses, Dense):
        return synapses
    source, target = np.nonzero(synapses.weights.T)
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=synapses.weights.shape[1]))])
    weights = synapses.weights[target, source]
    return Sparse(n_target=len(synapses.weights), start=start, target=target.astype(np.int32), weights=weights)


def numba_scatter(network: Network, samples: Samples) -> tuple[float, Activity] | None:
    """Time a plain numba loop (scatter of 32-bit weights, one neuron at a time) on a chain of matrices; see ``Peer``."""
    layers = [p.synapses for p in as_sparse(network).projections]
    if not all(isinstance(layer, Sparse) for layer in layers):
        return None
    first = samples.take(0, 1)
    steps = first.n_steps + network.depth
    (events,) = first.inputs.values()
    raster = np.zeros((steps, events.size), np.bool_)
    raster[events.step, events.neuron] = True
    spikes: dict[str, Events] = {}
    seconds = 0.0
    for population, layer in zip(network.populations, layers):
        assert isinstance(layer, Sparse)
        assert isinstance(population.model, Cuba)
        model = population.model
        arguments = (raster, layer.start, layer.target, layer.weights.astype(np.int32), population.size)
        parameters = (model.current_decay, model.voltage_decay, model.threshold, population.first_step)
        _plain_layer(*arguments, *parameters)
        begin = time.perf_counter()
        raster = _plain_layer(*arguments, *parameters)
        seconds += time.perf_counter() - begin
        spikes[population.name] = Events.from_dense(raster[None])
    return seconds, Activity(engine="numba-scatter", network=network.fingerprint, n_steps=steps, spikes=spikes)


@njit(cache=True)
def _plain_layer(
    raster: Any,
    start: Any,
    target: Any,
    weights: Any,
    size: Any,
    decay_u: Any,
    decay_v: Any,
    threshold: Any,
    first: Any,
) -> Any:
    """Return who fires when, bool ``(steps, size)``, for one layer without bias whose current stays within 24 bits."""
    fired = np.zeros((raster.shape[0], size), np.bool_)
    a, u, v = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for t in range(first, raster.shape[0]):
        a[:] = 0
        for j in range(raster.shape[1]):
            if raster[t - 1, j]:
                for k in range(start[j], start[j + 1]):
                    a[target[k]] += weights[k]
        for i in range(size):
            product = u[i] * (4096 - decay_u)
            u[i] = (product >> 12 if product >= 0 else -(-product >> 12)) + (a[i] << 6)
            product = v[i] * (4096 - decay_v)
            v[i] = (product >> 12 if product >= 0 else -(-product >> 12)) + u[i]
            v[i] = min(max(v[i], 1 - STATE_LIMIT), STATE_LIMIT - 1)
            if v[i] > threshold << 6:
                fired[t, i] = True
                v[i] = 0
    return fired
