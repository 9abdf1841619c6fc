"""Comparison of the runs of engines: every spike, message and read-out voltage, and the place of the first difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import SimulationError, UsageError, check_type
from neurodeploy.network import LeakyIntegrator, Network
from neurodeploy.network.activity import Activity, Events


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A place where an engine's value differs from the first engine's value.

    ``of`` names the value: ``"message"`` (0: no spike, 1: spike, or the payload), or the state ``"v"`` of a read-out.
    """

    population: str
    neuron: int
    step: int
    sample: int
    engines: tuple[str, str]
    values: tuple[int, int]
    of: str = "message"

    def to_json(self) -> dict[str, Any]:
        """Return the difference as plain values; ``of`` is included only if it is not ``"message"``."""
        return {key: value for key, value in asdict(self).items() if (key, value) != ("of", "message")}

    def __str__(self) -> str:
        (a, b), (x, y), of = self.engines, self.values, "" if self.of == "message" else f"{self.of} = "
        return (
            f"population '{self.population}', neuron {self.neuron}, step {self.step} of sample {self.sample}: "
            f"{a} has {of}{x}, {b} has {of}{y}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationResult:
    """Counts of a population: places compared (neuron, step, sample), spikes of the first engine, places that differ."""

    name: str
    places: int
    spikes: int
    different: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome of a comparison of two or more engines on the same samples.

    ``voltages_compared`` names the populations whose voltage was compared as well, because all engines recorded it.
    """

    engines: tuple[str, ...]
    n_samples: int
    n_steps: int
    populations: tuple[PopulationResult, ...]
    first_difference: Difference | None
    voltages_compared: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether all engines agree."""
        return self.first_difference is None

    @property
    def spikes_compared(self) -> int:
        """Number of spikes of the first engine in all populations."""
        return sum(p.spikes for p in self.populations)

    def spikes_of(self, names: Iterable[str]) -> int:
        """Return the number of spikes of the first engine in the given inputs or populations."""
        wanted = set(names)
        return sum(p.spikes for p in self.populations if p.name in wanted)

    @property
    def spikes_different(self) -> int:
        """Number of places at which any engine differs from the first."""
        return sum(p.different for p in self.populations)

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as plain values."""
        return {
            "equal": self.equal,
            "engines": list(self.engines),
            "n_samples": self.n_samples,
            "n_steps": self.n_steps,
            "spikes_compared": self.spikes_compared,
            "spikes_different": self.spikes_different,
            "populations": [asdict(p) for p in self.populations],
            "first_difference": self.first_difference.to_json() if self.first_difference else None,
        }


def readouts(network: Network) -> list[tuple[str, str]]:
    """Return (population, ``"v"``) for each population of leaky integrators, whose only result is the voltage.

    For ``probe`` of a run and ``states`` of ``compare_activities``.
    """
    return [(p.name, "v") for p in network.populations if isinstance(p.model, LeakyIntegrator)]


def compare_activities(activities: Sequence[Activity], states: Sequence[tuple[str, str]] = ()) -> Verification:
    """Compare the spikes of all populations (inputs included) of two or more runs with the first run.

    Args:
        activities: the runs.
        states: pairs of a population and a state, for example from ``readouts``, to compare too if all runs recorded them.

    The first difference is the one in the lowest sample, then the earliest step, then the first population in the order
    of the network. Later differences may follow from it.

    Raises:
        UsageError: for fewer than two runs.
        SimulationError: if the runs have different networks, numbers of steps or numbers of samples.
    """
    check_type("verify", "activities", activities, Sequence, "give a list of activities")
    if len(activities) < 2:
        raise UsageError("verify: needs at least two engines to compare")
    first = activities[0]
    for other in activities[1:]:
        _check_comparable(first, other)
    results, found = [], []
    for order, name in enumerate(first.spikes):
        different: NDArray[np.int64] = np.zeros(0, np.int64)
        compared = ["message", *(state for population, state in states if population == name)]
        for other in activities[1:]:
            for of in compared:
                keys = _differing(first, other, name, of)
                different = np.union1d(different, keys)
                if keys.size:
                    found.append((_describe(name, of, int(keys[0]), first, other), order))
        events = first.spikes[name]
        places = events.size * events.n_steps * events.n_samples
        results.append(PopulationResult(name=name, places=places, spikes=len(events), different=int(different.size)))
    found.sort(key=lambda entry: (entry[0].sample, entry[0].step, entry[1]))
    return Verification(
        engines=tuple(a.engine for a in activities),
        n_samples=first.n_samples,
        n_steps=first.n_steps,
        populations=tuple(results),
        first_difference=found[0][0] if found else None,
        voltages_compared=tuple(name for name, state in states if _all_have(activities, (name, state))),
    )


def _check_comparable(a: Activity, b: Activity) -> None:
    if a.network != b.network:
        raise SimulationError(f"verify: {a.engine} and {b.engine} did not run the same network")
    if (a.n_samples, a.n_steps) != (b.n_samples, b.n_steps) or set(a.spikes) != set(b.spikes):
        raise SimulationError(
            f"verify: {a.engine} ran {a.n_samples} samples of {a.n_steps} steps, {b.engine} {b.n_samples} of {b.n_steps}, "
            "or their populations differ; run both on the same samples"
        )


def _all_have(activities: Sequence[Activity], key: tuple[str, str]) -> bool:
    return all(key in run.states for run in activities)


def _differing(first: Activity, other: Activity, name: str, of: str) -> NDArray[np.int64]:
    """Return the places, rising, where the messages or a recorded state of both runs differ."""
    if of == "message":
        return _differing_events(first.spikes[name], other.spikes[name])
    if not _all_have((first, other), (name, of)):
        return np.zeros(0, np.int64)
    return np.flatnonzero(first.states[name, of] != other.states[name, of])


def _differing_events(a: Events, b: Events) -> NDArray[np.int64]:
    """Return the places, rising, where only one run has an event or the payloads differ."""
    keys_a, keys_b = a.places(), b.places()
    alone = np.setxor1d(keys_a, keys_b, assume_unique=True)
    if a.payload is None and b.payload is None:
        return alone
    both, in_a, in_b = np.intersect1d(keys_a, keys_b, assume_unique=True, return_indices=True)
    unequal = both[_payload(a)[in_a] != _payload(b)[in_b]]
    return np.union1d(alone, unequal)


def _payload(events: Events) -> NDArray[np.int32]:
    return np.ones(len(events), np.int32) if events.payload is None else events.payload


def _describe(name: str, of: str, key: int, first: Activity, other: Activity) -> Difference:
    events = first.spikes[name]
    at, neuron = divmod(key, events.size)
    sample, step = divmod(at, events.n_steps)
    return Difference(
        population=name,
        neuron=neuron,
        step=step,
        sample=sample,
        engines=(first.engine, other.engine),
        values=(_value(first, name, of, key), _value(other, name, of, key)),
        of=of,
    )


def _value(run: Activity, name: str, of: str, key: int) -> int:
    if of != "message":
        return int(run.states[name, of].flat[key])
    events = run.spikes[name]
    place = np.flatnonzero(events.places() == key)
    return int(_payload(events)[place[0]]) if place.size else 0
