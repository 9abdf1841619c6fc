"""Peers of this machine: Lava's runtime (in its own worker), a plain numba loop, and the C code of the network."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np

from neurodeploy.errors import MissingPackageError, SimulationError
from neurodeploy.files.loops import compiled
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.network import STATE_LIMIT, Cuba, Dense, Network, Sparse, Synapses
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.tables import plan_tables
from neurodeploy.targets.c.code import library_texts
from neurodeploy.targets.c.host import build_driver, find_compiler, run_built, time_built


def lava_runtime(network: Network, samples: Samples) -> Generator[tuple[float, Activity], None, None]:
    """Yield timings of Lava's runtime. The first turn tries Dense and Sparse processes, later turns use the faster kind.

    The time is a third of the difference between a run of the first sample four times over and one of it alone, so that
    start and end cancel.
    """
    forms = list({p.synapses.kind: n for n in (as_sparse(network), network) for p in n.projections}.values())
    while True:
        turns = [(*_lava_seconds(form, samples), form) for form in forms]
        seconds, activity, fastest = min(turns, key=lambda turn: turn[0])
        forms = [fastest]
        yield seconds, activity


def _lava_seconds(network: Network, samples: Samples) -> tuple[float, Activity]:
    from neurodeploy.engines.lava import run_lava

    begin = time.perf_counter()
    activity = run_lava(network, samples.take(0, 1))
    middle = time.perf_counter()
    run_lava(network, _repeated(samples, 4))
    seconds = (time.perf_counter() - 2 * middle + begin) / 3
    if seconds <= 0:
        raise SimulationError(
            f"bench: lava took {1e3 * seconds:.0f} ms for a sample by the difference of two runs: other load on this "
            "machine hides it; run the bench again when the load is gone"
        )
    return seconds, activity


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


MOST_TABLE_BYTES = 2**22
"""Largest tables of a network that is compiled: compilers take minutes for more numbers."""


def c_code(network: Network, samples: Samples) -> Generator[tuple[float, Activity], None, None]:
    """Yield timings of the C code that ``export --target c`` writes, compiled for this machine.

    It runs one step after the other, as on a stream; nothing at all where its tables are larger than ``MOST_TABLE_BYTES``.
    """
    first = samples.take(0, 1)
    steps = first.n_steps + network.depth
    if plan_tables(network).flash_bytes > MOST_TABLE_BYTES:
        return
    with temporary_folder("c") as made:
        library, traced, plain = (made / name for name in ("library", "traced", "plain"))
        for folder in (library, traced, plain):
            folder.mkdir()
        for name, text in library_texts(network).items():
            (library / name).write_text(text, encoding="utf-8")
        activity = run_built(build_driver(library, traced), network, first)
        program = build_driver(library, plain, trace=False)
        while True:
            yield time_built(program, network, first, steps, 20), activity


def c_missing() -> str | None:
    """Return why no C code can be compiled here, or None."""
    try:
        find_compiler()
    except MissingPackageError as error:
        return str(error)
    return None


def numba_scatter(network: Network, samples: Samples) -> Generator[tuple[float, Activity], None, None]:
    """Yield timings of a plain numba loop on a chain of dense layers: it scatters 32-bit weights, one neuron at a time."""
    layers = [p.synapses for p in as_sparse(network).projections]
    if not all(isinstance(layer, Sparse) for layer in layers):
        return
    first = samples.take(0, 1)
    steps = first.n_steps + network.depth
    (events,) = first.inputs.values()
    inputs = np.zeros((steps, events.size), np.bool_)
    inputs[events.step, events.neuron] = True
    while True:
        raster, seconds = inputs, 0.0
        spikes: dict[str, Events] = {}
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
        yield seconds, Activity(engine="numba-scatter", network=network.fingerprint, n_steps=steps, spikes=spikes)


@compiled()
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
    """Return the spikes, bool ``(steps, size)``, of a layer without bias whose current stays within 24 bits."""
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
