"""Comparison on data of the whole integer network with the float NIR file that it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.decoding import correct, decode, decoding_probes, trailing_sums
from neurodeploy.engines.table import simulate
from neurodeploy.exchange.nir.graph import Graph, load_graph
from neurodeploy.exchange.nir.interpreter import Interpretation, interpret
from neurodeploy.exchange.nir.prepare import choose_reading
from neurodeploy.exchange.nir.readings import READINGS, AnyReading, Reading, as_reading
from neurodeploy.network import DECAY_ONE, Cuba, Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.network.relays import is_relay

_CHUNK = 64


def beside_floats(
    path: Path,
    network: Network,
    samples: Samples,
    progress: Callable[[int, int], None] | None = None,
    *,
    reading: AnyReading = None,
    dt: float | None = None,
) -> dict[str, Any] | None:
    """Compare the integer network with the float NIR file it came from. None if their population names differ.

    The floats get payloads times the scale of their input, and reset as the network does.

    Args:
        reading, dt: as the network was read with.

    Returns:
        ``samples``; ``same_class``, the share of samples for which both give the same class (None with several outputs);
        ``accuracy_floats`` and ``accuracy`` if there are labels; ``differing``: by population the share of
        (neuron, step) pairs in which the spike differs, with the total number of each.
    """
    samples = renamed(samples, network)
    graph = load_graph(path)
    said = _read_like(network, _with_step(graph, as_reading(reading, dt=dt), network.dt))
    ours, theirs = [], []
    scales = {i.name: i.scale for i in network.inputs}
    differing = dict.fromkeys((p.name for p in network.populations if not is_relay(p)), 0)
    for first in range(0, samples.n_samples, _CHUNK):
        part = samples.take(first, min(first + _CHUNK, samples.n_samples))
        values = {name: events.to_dense() * scales[name] for name, events in part.inputs.items()}
        run = interpret(graph, values, reading=said)
        if not differing.keys() <= run.spikes.keys():
            return None
        activity = simulate(network, part, engine="event", probe=decoding_probes(network))
        for name in differing:
            differing[name] += _differing(network, activity, run, name)
        if len(network.outputs) == 1:
            ours.append(decode(network, activity))
            theirs.append(_classes(network, run))
        if progress is not None:
            progress(first + part.n_samples, samples.n_samples)
    return _facts(network, samples, differing, ours, theirs)


def renamed(samples: Samples, network: Network) -> Samples:
    """Return the samples with the input's name; a single input takes samples under any name, as in ``from_nir``."""
    if samples.inputs.keys() == {i.name for i in network.inputs}:
        return samples
    (events,), (given,) = samples.inputs.values(), network.inputs
    return replace(samples, inputs={given.name: events}, shapes={})


def _with_step(graph: Graph, reading: Reading, dt: float) -> Reading:
    """Return the reading with its name, and with the network's step where the file itself may not tell it."""
    chosen = choose_reading(graph, reading, None)
    literal = READINGS[chosen.name].literal and chosen.dt is None
    return replace(chosen, dt=dt) if literal else chosen


def _read_like(network: Network, reading: Reading) -> Reading:
    """Return the reading with a reset by subtraction, if the network has one that was chosen on import.

    A voltage that is forgotten in one step is left out: no reset has an effect on it.
    """
    models = [p.model for p in network.populations if isinstance(p.model, Cuba)]
    resets = {m.reset for m in models if np.any(np.not_equal(m.voltage_decay, DECAY_ONE))}
    return replace(reading, reset="subtract") if resets == {"subtract"} else reading


def _differing(network: Network, activity: Activity, run: Interpretation, name: str) -> int:
    """Count (neuron, step) pairs whose spikes differ, after removing the one-step lag per layer that the floats lack."""
    theirs = run.spikes[name].reshape(*run.spikes[name].shape[:2], -1)
    first = network.population(name).first_step
    ours = activity.spikes[name].to_dense()[:, first : first + theirs.shape[1]]
    return int(np.count_nonzero((ours != 0) != theirs[:, : ours.shape[1]]))


def _classes(network: Network, run: Interpretation) -> NDArray[np.int64]:
    (output,) = network.outputs
    if output.window is not None:
        sent = run.spikes[output.population]
        counts = trailing_sums(sent.reshape(*sent.shape[:2], -1), output.window)
        steps: NDArray[np.int64] = np.argmax(counts, axis=-1)
        return steps
    if output.decoding == "last_voltage":
        values = run.voltages[output.population][:, -1]
    else:
        values = run.spikes[output.population].sum(axis=1)
    best: NDArray[np.int64] = np.argmax(values.reshape(len(values), -1), axis=1)
    return best


def _facts(
    network: Network,
    samples: Samples,
    differing: dict[str, int],
    ours: list[NDArray[np.int64]],
    theirs: list[NDArray[np.int64]],
) -> dict[str, Any]:
    facts: dict[str, Any] = {"samples": samples.n_samples, "same_class": None}
    if ours:
        integers, floats = np.concatenate(ours), np.concatenate(theirs)
        facts["same_class"] = float(np.mean(integers == floats))
        if samples.labels is not None:
            facts["accuracy_floats"] = float(np.mean(correct(floats, samples)))
            facts["accuracy"] = float(np.mean(correct(integers, samples)))
    steps = samples.n_samples * samples.n_steps
    facts["differing"] = {name: n / (steps * network.sizes[name]) for name, n in differing.items()}
    facts["neuron_steps"] = {name: steps * network.sizes[name] for name in differing}
    return facts
