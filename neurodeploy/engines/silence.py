"""What a run leaves unsaid: outputs that decide nothing, layers that never fire, samples without events, idle neurons.

An accuracy alone hides all of it, because a class is always decoded: of an output that is silent the lowest index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.decoding import answers
from neurodeploy.network import LeakyIntegrator, Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.network.idle import Neurons, find_idle, idle_lines, sources_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What a network left unsaid on some samples.

    Attributes:
        n_samples: how many samples ran.
        outputs: by output the shares of samples that are ``tied`` and ``silent`` (``decoding.Answers``); outputs that are
            read from voltages which were not recorded are left out.
        never_fired: populations of which no neuron sent anything on any sample; read-outs, which cannot, are left out.
        empty_samples: samples without an input event.
        cut_samples: samples that lose input events: those that lie behind the last step, or arrive behind it, and those of
            recordings that came after the time that was read, where the samples say so.
        never_fire, reach_nothing: neurons that take no part whatever the samples (``network.idle``), by population.
        graded: whether anything in the network sends messages with a payload.
    """

    n_samples: int
    outputs: Mapping[str, Mapping[str, float]]
    never_fired: tuple[str, ...]
    empty_samples: int
    cut_samples: int
    never_fire: Mapping[str, list[int]]
    reach_nothing: Mapping[str, list[int]]
    graded: bool = False

    @property
    def silent_outputs(self) -> tuple[str, ...]:
        """Outputs that are silent on all samples."""
        return tuple(name for name, shares in self.outputs.items() if shares["silent"] == 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what makes the answers of the network worthless, empty for a network that works."""
        return tuple(self._warnings())

    def _warnings(self) -> Iterator[str]:
        for name in self.silent_outputs:
            yield f"output '{name}' is silent on all {self.n_samples} samples: what is decoded from it is no class"
        for name, shares in self.outputs.items():
            if shares["tied"] == 1 and name not in self.silent_outputs:
                yield f"output '{name}' is tied on all {self.n_samples} samples: its classes are lowest indices"
        if self.never_fired:
            names = ", ".join(self.never_fired)
            yield f"no neuron {'sends' if self.graded else 'fires'} on these samples in: {names}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about samples and neurons that take no part, empty if there are none."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self.empty_samples:
            yield f"{self.empty_samples} of {self.n_samples} samples have no input event"
        if self.cut_samples:
            losing = f"{self.cut_samples} of {self.n_samples} samples lose input events"
            yield f"{losing}, which lie or arrive behind the last step"
        yield from idle_lines(self.never_fire, self.reach_nothing)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, with ``warnings`` and ``notes``."""
        plain = {name: value for name, value in asdict(self).items() if name != "graded"}
        return {
            **plain,
            "never_fired": list(self.never_fired),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


def find_silence(network: Network, activity: Activity, samples: Samples) -> Silence:
    """Return what a network left unsaid in a run on samples."""
    count = SilenceCount(network)
    count.add(activity, samples)
    return count.silence()


class SilenceCount:
    """What a network left unsaid, counted over runs on one block of samples after the other."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._n_samples = self._empty = self._cut = 0
        self._quiet = [p.name for p in network.populations if not isinstance(p.model, LeakyIntegrator)]
        self._undecided: dict[str, NDArray[np.float64]] = {}

    def add(self, activity: Activity, samples: Samples) -> None:
        """Count a run on a block of samples, which holds the states that decoding needs in all blocks or in none."""
        self._n_samples += activity.n_samples
        self._empty += empty_samples(samples)
        self._cut += _cut_samples(self._network, activity, samples)
        self._quiet = [name for name in self._quiet if not len(activity.spikes[name])]
        for name, counts in _undecided(self._network, activity).items():
            self._undecided[name] = self._undecided.get(name, np.zeros(2)) + counts

    def silence(self) -> Silence:
        """Return what was counted so far; ``add`` was called at least once."""
        idle = find_idle(self._network)
        shares = {name: (counts / self._n_samples).tolist() for name, counts in self._undecided.items()}
        return Silence(
            n_samples=self._n_samples,
            outputs={name: {"tied": tied, "silent": silent} for name, (tied, silent) in shares.items()},
            never_fired=tuple(self._quiet),
            empty_samples=self._empty,
            cut_samples=self._cut,
            never_fire=_plain(idle.never_fire),
            reach_nothing=_plain(idle.reach_nothing),
            graded=bool(self._network.graded),
        )


def empty_samples(samples: Samples) -> int:
    """Return the number of samples without an event at any input."""
    filled = np.zeros(samples.n_samples, np.bool_)
    for events in samples.inputs.values():
        filled[events.sample] = True
    return int(np.count_nonzero(~filled))


def _plain(neurons: Neurons) -> dict[str, list[int]]:
    return {name: numbers.tolist() for name, numbers in neurons.items()}


def _undecided(network: Network, activity: Activity) -> dict[str, NDArray[np.float64]]:
    """Return by output, of those that can be read, how many samples are tied and silent (parts of one, where steps are)."""
    recorded = activity.states.keys()
    readable = [o for o in network.outputs if o.decoding != "last_voltage" or (o.population, "v") in recorded]
    found = {o.name: answers(network, activity, o.name) for o in readable}
    return {name: np.array([_samples(a.tied), _samples(a.silent)]) for name, a in found.items()}


def _samples(undecided: NDArray[np.bool_]) -> float:
    """Return how many samples are undecided; of one whose steps are decided, their share counts."""
    return np.count_nonzero(undecided) / (undecided.shape[1] if undecided.ndim == 2 else 1)


def _cut_samples(network: Network, activity: Activity, samples: Samples) -> int:
    """Count the samples with an input event that no neuron gets in the steps of the run, though one is connected."""
    cut = np.zeros(samples.n_samples, np.bool_) if samples.outside is None else samples.outside > 0
    for given in network.inputs:
        events, soonest = samples.inputs[given.name], _soonest(network, given.name)
        own = soonest[events.neuron]
        late = (own >= 0) & (events.step.astype(np.int64) + 1 + own >= activity.n_steps)
        cut[events.sample[late | (events.step >= activity.n_steps)]] = True
    return int(np.count_nonzero(cut))


def _soonest(network: Network, name: str) -> NDArray[np.int64]:
    """Return the shortest delay of each channel of an input to any neuron, -1 where nothing is connected."""
    size, never = network.sizes[name], np.iinfo(np.int64).max
    found = np.full(size, never)
    for q in network.projections:
        if q.source != name:
            continue
        everyone = np.ones(network.sizes[q.target], np.bool_)
        used, delay = sources_of(q.synapses, everyone), np.asarray(q.delay, np.int64)
        if delay.ndim == 2:  # only a Dense has one for each weight
            weights: Any = getattr(q.synapses, "weights", None)
            own = np.where(weights != 0, delay, never).min(axis=0)
        else:
            own = np.where(used, np.broadcast_to(delay, (size,)), never)
        found = np.minimum(found, own)
    return np.where(found == never, -1, found)
