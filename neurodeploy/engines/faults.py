"""Fault injection: the accuracy of the integer network with noisy sensors, broken synapses, neurons and cores.

Each fault is a pure function of a network and samples. The result runs on any engine, so the accuracy is that of exactly the
integers that would be deployed. The table ``FAULTS`` gives the faults by name, with the meaning of their rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.decoding import accuracy, answers
from neurodeploy.errors import NetworkError, SimulationError, UsageError
from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    THRESHOLD_MAX,
    WEIGHT_MAX,
    Conv,
    Cuba,
    Delta,
    LeakyIntegrator,
    Network,
    NeuronModel,
    Pool,
    Population,
    Projection,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    Sparse,
    n_nonzero,
)
from neurodeploy.network.activity import MOST_STEPS, Events, Samples

Rng = np.random.Generator


def drop_spikes(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Remove each input event, with its payload, with probability ``rate``."""
    return network, _each_input(samples, lambda e: _kept(e, rng.random(len(e)) >= rate))


def extra_spikes(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Add an event to each channel in each step with probability ``rate``, except where there is one already.

    Its payload is drawn from the whole numbers between the smallest and the largest payload that the input has in these
    samples, 0 left out, each equally likely.
    """

    def noisy(events: Events) -> Events:
        n_places = events.n_samples * events.n_steps * events.size
        extra = np.unique(rng.integers(0, n_places, rng.binomial(n_places, rate)))
        return _joined(events, np.setdiff1d(extra, events.places(), assume_unique=True), rng)

    return network, _each_input(samples, noisy)


def jitter(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Move each input event by a random whole number of steps from ``-rate`` to ``rate``, but not out of the sample.

    A payload moves with its event. Where several events of a channel meet in one step, the one that was sent first stays.
    """

    def moved(events: Events) -> Events:
        by = rng.integers(-round(rate), round(rate) + 1, len(events))
        step = np.clip(events.step + by, 0, events.n_steps - 1)
        places = (events.sample.astype(np.int64) * events.n_steps + step) * events.size + events.neuron
        places, first = np.unique(places, return_index=True)
        return _at(events, places, None if events.payload is None else events.payload[first])

    return network, _each_input(samples, moved)


def hot_pixels(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Let a fraction ``rate`` of the input channels send in every step.

    A channel with payloads sends the same one all the time, in place of its own events; it is drawn as in ``extra_spikes``.
    """

    def hot(events: Events) -> Events:
        channels = rng.choice(events.size, round(rate * events.size), replace=False)
        step = np.arange(events.n_samples * events.n_steps, dtype=np.int64)[:, None]
        others = _kept(events, ~np.isin(events.neuron, channels))
        payload = None if events.payload is None else np.tile(_drawn(events.payload, channels.size, rng), len(step))
        return _both(others, (step * events.size + channels).ravel(), payload)

    return network, _each_input(samples, hot)


def dead_synapses(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Set a fraction ``rate`` of the stored weights of each projection to 0.

    A shared weight fails at all positions. Complex weights are two projections, and so two synapses that fail one by one.
    Pools have no stored weights and stay whole (``left_whole`` names them).
    """
    return _with_weights(network, rate, lambda _: 0, rng), samples


def stuck_synapses(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Set a fraction ``rate`` of the stored weights to the largest absolute value in their projection, with random signs.

    What fails is what fails in ``dead_synapses``. Even weights stay even.
    """

    def stuck(weights: NDArray[Any]) -> NDArray[Any]:
        largest = int(np.abs(weights).max(initial=0))
        high = min(largest, WEIGHT_MAX - (largest % 2 == 0))
        return np.where(rng.random(weights.shape) < 0.5, -largest, high)

    return _with_weights(network, rate, stuck, rng), samples


def dead_neurons(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Silence a fraction ``rate`` of the neurons of each population permanently (``with_states``)."""
    return with_states(network, _chosen(network, rate, rng), "dead"), samples


def stuck_neurons(network: Network, samples: Samples, rate: float, rng: Rng) -> tuple[Network, Samples]:
    """Let a fraction ``rate`` of the neurons of each population give the most that they can (``with_states``)."""
    return with_states(network, _chosen(network, rate, rng), "stuck"), samples


State: TypeAlias = Literal["dead", "stuck"]
Fault: TypeAlias = Callable[[Network, Samples, float, Rng], tuple[Network, Samples]]
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
_STATE: Mapping[str, State] = {"dead-neurons": "dead", "stuck-neurons": "stuck"}
_OF_SYNAPSES = ("dead-synapses", "stuck-synapses")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """Accuracy under one fault at one rate: mean and minimum over ``repeats`` random draws of the parts that fail.

    ``tied`` and ``silent`` are the shares of samples that the output does not decide (``decoding.Answers``), means as well.
    """

    fault: str
    rate: float
    repeats: int
    accuracy: float
    lowest: float
    tied: float
    silent: float


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
        UsageError: for an unknown fault, or a rate (0..1; whole steps for jitter) or a seed out of range.
        NetworkError: for a fault that the network cannot have (``with_states``; no stored weights).
        SimulationError: if the samples carry no labels.
    """
    _check(network, samples, fault, rates)
    if seed < 0:
        raise UsageError(f"faults: seed is {seed}, must be 0 or more")
    for rate in rates:
        found, undecided = [], []
        for repeat in range(repeats if rate else 1):
            broken = FAULTS[fault](network, samples, rate, np.random.default_rng([seed, repeat]))
            activity = run(*broken)
            found.append(accuracy(broken[0], activity, broken[1]))
            undecided.append(answers(broken[0], activity).shares)
        shares = {key: float(np.mean([own[key] for own in undecided])) for key in ("tied", "silent")}
        mean = float(np.mean(found))
        yield FaultRow(fault=fault, rate=rate, repeats=len(found), accuracy=mean, lowest=min(found), **shares)


def left_whole(network: Network, fault: str) -> tuple[str, ...]:
    """Return the names of the projections that a fault of synapses leaves whole: pools, which have no stored weights."""
    pools = (p.name for p in network.projections if isinstance(p.synapses, Pool))
    return tuple(pools) if fault in _OF_SYNAPSES else ()


def dead_core(network: Network, labels: Mapping[str, NDArray[np.int32]], core: int) -> Network:
    """Return the network with every neuron dead (``with_states``) whose label (for example its core) is ``core``."""
    return with_states(network, {name: np.flatnonzero(label == core) for name, label in labels.items()}, "dead")


def with_states(network: Network, neurons: Mapping[str, NDArray[Any]], state: State) -> Network:
    """Return the network with the given neurons dead or stuck, by population.

    Nothing reaches such a neuron: the weights of matrices and of sparse synapses that end at it are 0. What it does then
    follows from its parameters, so that it is the same on every engine:

    - a dead neuron has no bias, so that its states stay 0: it never sends, and a dead read-out gives 0;
    - a stuck ``Cuba`` neuron has the highest bias and the threshold 0, so that it fires in every step; a stuck read-out
      has the highest voltage; a stuck ``SigmaDelta`` neuron holds the activation ``2**23 - 1``, which it sends once, as a
      change.

    Weights of convolutions and pools are shared with other neurons and stay. Behind one, parameters hold the neuron down or
    up as long as its states do not overflow (of a current, as long as it stays ``2**8`` inside its 24 bits): the lowest
    bias or the highest, such a threshold, and no memory of the step before.

    Raises:
        NetworkError: for neurons that have no such state; names population, kind and reason.
    """
    neurons = {name: chosen for name, chosen in neurons.items() if len(chosen)}
    held = {p.name: _held(network, p, neurons[p.name], state) for p in network.populations if p.name in neurons}
    return replace(
        network,
        populations=tuple(held.get(p.name, p) for p in network.populations),
        projections=tuple(_cut_off(p, neurons[p.target]) if p.target in held else p for p in network.projections),
    )


_HIGHEST = STATE_LIMIT - 2**8
"""Highest bias that Lava holds exactly (a mantissa of 16 bits and an exponent), so that all engines run it."""
_Held: TypeAlias = dict[str, int] | str
"""The parameters of a dead or stuck neuron, or the reason why there are none."""


def _down(_: Cuba) -> _Held:
    return {"bias": -_HIGHEST, "threshold": THRESHOLD_MAX, "voltage_decay": DECAY_ONE}


def _no_message(model: Delta | SigmaDelta) -> _Held:
    if isinstance(model, SigmaDelta) and model.activation == "relu":
        return {"bias": 1 - STATE_LIMIT, "threshold": STATE_LIMIT - 1}
    return "their errors add up past any threshold" if model.cumulative else {"threshold": STATE_LIMIT - 1}


DEAD_BEHIND_KERNELS: Mapping[type[NeuronModel], Callable[[Any], _Held]] = {
    Cuba: _down,
    LeakyIntegrator: lambda _: "a read-out has no threshold that could hide its voltage",
    ResonateAndFire: lambda _: {"sin_decay": 0, "cos_decay": 0, "threshold": STATE_LIMIT - 1},
    Sigma: lambda _: "a Sigma sends whatever it has summed up",
    Delta: _no_message,
    SigmaDelta: _no_message,
}
"""By kind, how a neuron is dead that convolutions or pools lead to. Elsewhere it has no input and no bias."""

STUCK: Mapping[type[NeuronModel], Callable[[Any], _Held]] = {
    Cuba: lambda _: {"bias": _HIGHEST, "threshold": 0, "voltage_decay": DECAY_ONE},
    LeakyIntegrator: lambda _: {"bias": _HIGHEST, "voltage_decay": DECAY_ONE},
    ResonateAndFire: lambda _: "they have no bias that could drive them",
    Sigma: lambda _: "they have no bias, so that nothing but their input moves them",
    Delta: lambda _: "they have no bias, and send changes of their input alone",
    SigmaDelta: lambda _: {"bias": STATE_LIMIT - 1},
}
"""By kind, how a neuron is stuck."""


def _held(network: Network, population: Population, neurons: NDArray[Any], state: State) -> Population:
    changes = _parameters(network, population, state)
    if isinstance(changes, str):
        kind = population.model.kind.replace("_", "-")
        raise NetworkError(
            f"faults: {kind} neurons, as in population '{population.name}', cannot be {state}: {changes}. Use "
            f"{'dead-neurons, or ' if state == 'stuck' else ''}a fault of inputs or synapses"
        )
    model: Any = population.model
    own = {name: np.array(np.broadcast_to(getattr(model, name), population.shape), np.int32) for name in changes}
    for name, values in own.items():
        values.ravel()[neurons] = changes[name]
    return replace(population, model=replace(model, **own))


def _parameters(network: Network, population: Population, state: State) -> _Held:
    """Return the parameters of neurons of a population that are dead or stuck, or the reason why there are none."""
    model = population.model
    shared = any(isinstance(p.synapses, Conv | Pool) for p in network.into(population.name))
    if state == "stuck":
        if shared and isinstance(model, SigmaDelta):
            return "a convolution or a pool leads to them, whose weights they share, and moves their sum"
        return STUCK[type(model)](model)
    if not shared:
        return {"bias": 0} if hasattr(model, "bias") else {}
    held = DEAD_BEHIND_KERNELS[type(model)](model)
    shares = "a convolution or a pool leads to them, whose weights they share, and"
    return f"{shares} {held}" if isinstance(held, str) else held


def _cut_off(projection: Projection, neurons: NDArray[Any]) -> Projection:
    """Return the projection with weights of 0 onto the given neurons, unless its weights are shared."""
    synapses = projection.synapses
    if isinstance(synapses, Conv | Pool):
        return projection
    weights = np.array(synapses.weights)
    weights[np.isin(synapses.target, neurons) if isinstance(synapses, Sparse) else neurons] = 0
    return replace(projection, synapses=replace(synapses, weights=weights))


def _check(network: Network, samples: Samples, fault: str, rates: Sequence[float]) -> None:
    """Refuse what would end a measurement half-way."""
    if fault not in FAULTS:
        raise UsageError(f"faults: unknown fault '{fault}'; known: {', '.join(FAULTS)}")
    for rate in rates:
        if fault == "jitter" and not (0 <= rate <= MOST_STEPS and rate == round(rate)):
            raise UsageError(f"faults: rate {rate:g} of 'jitter' must be a whole number of steps, 0 to {MOST_STEPS:,}")
        if fault != "jitter" and not 0 <= rate <= 1:
            raise UsageError(f"faults: rate {rate:g} of '{fault}' must lie in 0..1")
    if fault in _STATE:
        for population in network.populations:
            _held(network, population, np.arange(0), _STATE[fault])
    if fault in _OF_SYNAPSES and not any(n_nonzero(p) for p in network.projections if not isinstance(p.synapses, Pool)):
        raise NetworkError(f"faults: '{fault}' finds no stored weights that are not 0 (a pool has none that it stores)")
    if samples.labels is None:
        raise SimulationError(
            f"faults: samples '{samples.name}' carry no labels, so there is no accuracy to measure; save them with labels: "
            "Samples(..., labels=...)"
        )


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
    return replace(samples, inputs={name: change(events) for name, events in samples.inputs.items()})


def _kept(events: Events, keep: NDArray[np.bool_]) -> Events:
    return _at(events, events.places()[keep], None if events.payload is None else events.payload[keep])


def _joined(events: Events, places: NDArray[np.int64], rng: Rng) -> Events:
    """Return the events, and further ones at the given places, with payloads drawn as in ``extra_spikes``."""
    return _both(events, places, None if events.payload is None else _drawn(events.payload, len(places), rng))


def _both(events: Events, places: NDArray[np.int64], payload: NDArray[np.int64] | None) -> Events:
    """Return the events, and further ones at other places."""
    all_places = np.concatenate([events.places(), places])
    if payload is None or events.payload is None:
        return _at(events, all_places)
    return _at(events, all_places, np.concatenate([events.payload, payload]))


def _drawn(payload: NDArray[np.int32], n: int, rng: Rng) -> NDArray[np.int64]:
    """Return ``n`` numbers between the smallest and the largest payload, never 0; 1 each where there is no payload."""
    low, high = (int(payload.min()), int(payload.max())) if payload.size else (1, 1)
    if low > 0 or high < 0:
        return rng.integers(low, high + 1, n)
    drawn = rng.integers(low, high, n)  # one number fewer: 0 has no event
    return drawn + (drawn >= 0)


def _at(like: Events, places: NDArray[np.int64], payload: NDArray[Any] | None = None) -> Events:
    """Return events at the given places, which are indices as in ``Events.places``; plain spikes without ``payload``."""
    at, neuron = np.divmod(places, like.size)
    sample, step = np.divmod(at, like.n_steps)
    return Events(
        size=like.size,
        n_steps=like.n_steps,
        n_samples=like.n_samples,
        sample=sample,
        step=step,
        neuron=neuron,
        payload=payload,
    )
