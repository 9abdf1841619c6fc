"""Fault injection: the accuracy of the integer network with noisy sensors, broken synapses, neurons and cores.

Each fault is a pure function of a network and samples. The result runs on any engine, so the accuracy is that of exactly the
integers that would be deployed. The table ``FAULTS`` gives the faults by name, with the meaning of their rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.decoding import accuracy
from neurodeploy.errors import UsageError
from neurodeploy.network import STATE_LIMIT, Cuba, Network, Pool, Population, require_spiking
from neurodeploy.network.activity import Events, Samples

Rng = np.random.Generator


def drop_spikes(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Remove each input spike with probability ``rate``."""
    return network, _each_input(samples, lambda e: _kept(e, rng.random(len(e)) >= rate))


def extra_spikes(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Add a spike to each channel in each step with probability ``rate``, except where there is a spike already."""

    def noisy(events: Events) -> Events:
        n_places = events.n_samples * events.n_steps * events.size
        extra = np.unique(rng.integers(0, n_places, rng.binomial(n_places, rate)))
        return _at(events, np.union1d(events.places(), extra))

    return network, _each_input(samples, noisy)


def jitter(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Move each input spike by a random whole number of steps from ``-rate`` to ``rate``, but not out of the sample."""

    def moved(events: Events) -> Events:
        by = rng.integers(-round(rate), round(rate) + 1, len(events))
        step = np.clip(events.step + by, 0, events.n_steps - 1)
        places = (events.sample.astype(np.int64) * events.n_steps + step) * events.size + events.neuron
        return _at(events, np.unique(places))

    return network, _each_input(samples, moved)


def hot_pixels(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Let a fraction ``rate`` of the input channels fire in every step."""

    def hot(events: Events) -> Events:
        channels = rng.choice(events.size, round(rate * events.size), replace=False)
        step = np.arange(events.n_samples * events.n_steps, dtype=np.int64)[:, None]
        return _at(events, np.union1d(events.places(), (step * events.size + channels).ravel()))

    return network, _each_input(samples, hot)


def dead_synapses(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Set a fraction ``rate`` of the stored weights of each projection to 0 (a shared weight fails at all positions)."""
    return _with_weights(network, rate, lambda _: 0, rng), samples


def stuck_synapses(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Set a fraction ``rate`` of the stored weights to the largest absolute value in their projection, with random signs."""

    def stuck(weights: NDArray[Any]) -> NDArray[Any]:
        largest = int(np.abs(weights).max(initial=0))
        high = min(largest, 255)
        return np.where(rng.random(weights.shape) < 0.5, -largest, high)

    return _with_weights(network, rate, stuck, rng), samples


def dead_neurons(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Silence a fraction ``rate`` of the neurons of each population permanently."""
    return with_states(network, _chosen(network, rate, rng), "dead"), samples


def stuck_neurons(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Let a fraction ``rate`` of the neurons of each population fire in every step."""
    return with_states(network, _chosen(network, rate, rng), "stuck"), samples


Fault = Callable[[Network, Samples, float, Rng], tuple[Network, Samples]]
FAULTS: Mapping[str, Fault] = {
    "drop": drop_spikes,
    "extra": extra_spikes,
    "jitter": jitter,
    "hot-pixels": hot_pixels,
    "dead-synapses": dead_synapses,
    "stuck-synapses": stuck_synapses,
    "dead-neurons": dead_neurons,
    "stuck-neurons": stuck_neurons,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """Accuracy under one fault at one rate: mean and minimum over ``repeats`` random draws of the parts that fail."""

    fault: str
    rate: float
    repeats: int
    accuracy: float
    lowest: float


def measure_robustness(
    network: Network,
    samples: Samples,
    *,
    fault: str,
    rates: Sequence[float],
    run: Callable[[Network, Samples], Any],
    repeats: int = 3,
    seed: int = 0,
) -> Iterator[FaultRow]:
    """Yield the accuracy at each rate of a fault.

    Args:
        network, samples: the network and the samples without faults; the samples have labels.
        fault: a name in ``FAULTS``.
        rates: rates of the fault, with the meaning given in ``FAULTS``; 0 is the network without faults.
        run: function that simulates a network on samples and returns the activity.
        repeats: number of random draws for each rate.
        seed: seed of the draws.

    Raises:
        UsageError: for an unknown fault, or a rate out of range (0..1; whole steps for jitter).
    """
    require_spiking(network, "faults")
    if fault not in FAULTS:
        raise UsageError(f"faults: unknown fault '{fault}'; known: {', '.join(FAULTS)}")
    for rate in rates:
        if fault == "jitter" and (rate < 0 or rate != round(rate)):
            raise UsageError(f"faults: rate {rate:g} of 'jitter' must be a whole number of steps, 0 or more")
        if fault != "jitter" and not 0 <= rate <= 1:
            raise UsageError(f"faults: rate {rate:g} of '{fault}' must lie in 0..1")
    for rate in rates:
        found = []
        for repeat in range(repeats if rate else 1):
            broken = FAULTS[fault](network, samples, rate, np.random.default_rng([seed, repeat]))
            found.append(accuracy(broken[0], run(*broken), broken[1]))
        yield FaultRow(fault=fault, rate=rate, repeats=len(found), accuracy=float(np.mean(found)), lowest=min(found))


def dead_core(network: Network, labels: Mapping[str, NDArray[np.int32]], core: int) -> Network:
    """Return the network with every neuron silenced whose label (for example its core) is ``core``."""
    return with_states(network, {name: np.flatnonzero(label == core) for name, label in labels.items()}, "dead")


def with_states(network: Network, neurons: Mapping[str, NDArray[Any]], state: Literal["dead", "stuck"]) -> Network:
    """Return the network with the given neurons never firing (``dead``) or firing in every step (``stuck``).

    A bias that no current can outweigh holds the voltage below or above the threshold, which is exact on every engine. The
    threshold of a dead neuron is raised to at least 1, that of a stuck neuron is lowered to 0.
    """
    changed = [_held(p, neurons[p.name], state) if len(neurons.get(p.name, ())) else p for p in network.populations]
    return replace(network, populations=tuple(changed))


def _held(population: Population, neurons: NDArray[Any], state: str) -> Population:
    model = population.model
    if not isinstance(model, Cuba):
        return population
    bias = np.array(np.broadcast_to(model.bias, population.shape), np.int32)
    threshold = np.array(np.broadcast_to(model.threshold, population.shape), np.int32)
    bias.ravel()[neurons] = STATE_LIMIT - 1 if state == "stuck" else 1 - STATE_LIMIT
    threshold.ravel()[neurons] = 0 if state == "stuck" else np.maximum(threshold.ravel()[neurons], 1)
    return replace(population, model=replace(model, bias=bias, threshold=threshold))


def _chosen(network: Network, rate: float, rng: Rng) -> dict[str, NDArray[Any]]:
    return {p.name: rng.choice(p.size, round(rate * p.size), replace=False) for p in network.populations}


def _with_weights(network: Network, rate: float, change: Callable[[NDArray[Any]], Any], rng: Rng) -> Network:
    changed = []
    for projection in network.projections:
        synapses = projection.synapses
        if isinstance(synapses, Pool):
            changed.append(projection)
            continue
        weights = np.array(synapses.weights)
        stored = np.flatnonzero(weights)
        hit = rng.choice(stored, round(rate * stored.size), replace=False)
        weights.ravel()[hit] = change(weights.ravel()[hit])
        changed.append(replace(projection, synapses=replace(synapses, weights=weights)))
    return replace(network, projections=tuple(changed))


def _each_input(samples: Samples, change: Callable[[Events], Events]) -> Samples:
    return Samples(
        inputs={name: change(events) for name, events in samples.inputs.items()},
        labels=samples.labels,
        name=samples.name,
    )


def _kept(events: Events, keep: NDArray[np.bool_]) -> Events:
    return _at(events, events.places()[keep])


def _at(like: Events, places: NDArray[np.int64]) -> Events:
    """Return plain spikes at the given places, which are indices as in ``Events.places``."""
    at, neuron = np.divmod(places, like.size)
    sample, step = np.divmod(at, like.n_steps)
    return Events(
        size=like.size, n_steps=like.n_steps, n_samples=like.n_samples, sample=sample, step=step, neuron=neuron
    )
