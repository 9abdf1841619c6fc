"""Counts of the messages between cores: their number, their hops, and the crossings to other chips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip.layouts import Ints
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.errors import EstimateError
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """Messages of a mapped network if each neuron fires once, or as often as in an activity.

    ``matrix`` int64 ``(n_cores, n_cores)``: messages from core (row) to core (column), in the order of
    ``Mapping.cores``; the diagonal counts messages within a core. ``host`` int64 ``(n_cores,)``: messages from the host.
    ``spikes``: spikes of all populations. ``hops``: steps from router to router along x and y, over all messages (None
    where the chip file gives no mesh). ``crossings``: messages to another chip, which count no hops.
    """

    matrix: Ints
    host: Ints
    spikes: int
    hops: int | None
    crossings: int

    @property
    def messages(self) -> int:
        """Messages between different cores."""
        return int(self.matrix.sum() - np.trace(self.matrix))

    @property
    def per_spike(self) -> float:
        """Messages between different cores divided by ``spikes``; 0.0 without spikes."""
        return self.messages / self.spikes if self.spikes else 0.0


def count_traffic(network: Network, mapping: Mapping, activity: Activity | None = None) -> Traffic:
    """Return the messages of a mapped network if each neuron fires once, or as often as in ``activity``."""
    layers = Layers(network, mapping.chip)
    spikes = None if activity is None else spike_counts(network, activity)
    labels = mapping.core_labels()
    n = len(mapping.cores)
    cuts = {name: Cut(label, n) for name, label in labels.items()}
    matrix, host = messages_between(layers, cuts, spikes, n)
    populations = [p.name for p in network.populations]
    fired = sum(network.sizes[name] if spikes is None else int(spikes[name].sum()) for name in populations)
    chip = np.array([load.chip for load in mapping.cores])
    same = chip[:, None] == chip[None, :]
    return Traffic(
        matrix=matrix,
        host=host,
        spikes=fired,
        hops=_hops(mapping, matrix * same),
        crossings=int(matrix[~same].sum()),
    )


def spike_counts(network: Network, activity: Activity) -> dict[str, Ints]:
    """Return the spikes of each neuron over a whole activity, by population and input.

    Raises:
        EstimateError: for an activity of another network; for spikes recorded elsewhere only the sizes can be checked.
    """
    if activity.network not in ("", network.fingerprint):
        raise EstimateError(
            f"map: the activity ('{activity.engine}') is of network {activity.network[:12]}, not of this one "
            f"({network.fingerprint[:12]}); simulate this network again"
        )
    for name, size in network.sizes.items():
        found = activity.spikes[name].size if name in activity.spikes else "no"
        if found != size:
            raise EstimateError(f"map: '{name}' has {size} neurons, the activity holds {found}; simulate again")
    return {
        name: np.bincount(activity.spikes[name].neuron, minlength=size).astype(np.int64)
        for name, size in network.sizes.items()
    }


def messages_between(
    layers: Layers, cuts: dict[str, Cut], spikes: ReadOnlyDict[str, Ints] | None, n: int
) -> tuple[Ints, Ints]:
    """Return the messages between ``n`` cores and the messages from the host; the labels of ``cuts`` are core numbers.

    A spike goes to a core once, whatever the number of projections.
    """
    network = layers.network
    matrix, host = np.zeros((n, n), np.int64), np.zeros(n, np.int64)
    for source, target in dict.fromkeys((p.source, p.target) for p in network.projections):
        lists = [layers.lists(p, cuts[target]) for p in network.into(target) if p.source == source]
        reached = np.concatenate([on.source.astype(np.int64) * n + on.part for on in lists])
        if len(lists) > 1:
            reached = np.unique(reached)
        neuron, core = np.divmod(reached, n)
        times = np.ones(neuron.size, np.int64) if spikes is None else spikes[source][neuron]
        if source in cuts:
            np.add.at(matrix, (cuts[source].labels[neuron], core), times)
        else:
            np.add.at(host, core, times)
    return matrix, host


def _hops(mapping: Mapping, matrix: Ints) -> int | None:
    places = [(load.x, load.y) for load in mapping.cores if load.x is not None and load.y is not None]
    if len(places) < len(mapping.cores):
        return None
    return int((matrix * distances(np.array(places))).sum())


def distances(places: NDArray[np.int64]) -> Ints:
    """Return the hops between each two places on a mesh, ``(n, 2)`` to int64 ``(n, n)``."""
    hops: Ints = np.abs(places[:, None, :] - places[None, :, :]).sum(axis=2)
    return hops
