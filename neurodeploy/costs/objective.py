"""Mappings of one network for different objectives: least memory, least energy, or least time of a sample.

The mapper finds the fewest cores in the smallest formats. More cores, or lists without filled-in zeros, take more memory
but read fewer synapses in each spike, or read them side by side. The candidates are mappings in the smallest formats and in
those that read least, with once, twice, four and eight times the fewest cores of each layer; each is priced with the same
spikes, and the best by the objective is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from neurodeploy.chip import Chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.errors import FitError, UsageError
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events

Objective = Literal["memory", "energy", "latency"]
OBJECTIVES: tuple[Objective, ...] = ("memory", "energy", "latency")

ASSUMED_PERIOD = 20
"""Without recorded spikes every neuron and input is taken to fire once in so many steps (5 %), evenly spread."""
_TIMES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Choice:
    """A mapping with the nominal figures that objectives compare; None where the chip's file has no price for them.

    ``energy_j``: dynamic energy of the cores in a sample. Static power is left out: at a given rate it depends on the chips
    alone, and no candidate takes more chips than the default. ``sample_s``: time of a sample, management left out.
    """

    mapping: Mapping
    energy_j: float | None
    sample_s: float | None


def choose_mapping(
    network: Network, chip: Chip, *, activity: Activity | None = None, split: str = "overlap"
) -> dict[Objective, Choice]:
    """Return the best mapping by each objective; ``memory`` is the default, as ``map_network`` makes it.

    Ties go to fewer bytes, then fewer cores. Chips whose cores have a fixed role have one mapping.

    Args:
        network, chip, split: as for ``map_network``.
        activity: spikes of this network; without them the rate is assumed (``assumed_activity``).

    Raises:
        FitError: if the network does not fit.
        UsageError: for a chip without prices of energy and time.
    """
    if chip.latency is None and not chip.energy.model_dump(exclude_defaults=True):
        raise UsageError(
            f"map: an objective needs prices, but {chip.source_file} has neither [energy] nor [latency]; leave it out"
        )
    spikes = replace(activity, updated=None) if activity is not None else assumed_activity(network)
    found = [_priced(network, mapping, spikes) for mapping in _candidates(network, chip, split, activity)]

    def by_energy(choice: Choice) -> tuple[float, int, int]:
        return (choice.energy_j if choice.energy_j is not None else 0.0, *_size(choice))

    def by_time(choice: Choice) -> tuple[float, int, int]:
        return (choice.sample_s if choice.sample_s is not None else 0.0, *_size(choice))

    return {"memory": found[0], "energy": min(found, key=by_energy), "latency": min(found, key=by_time)}


def assumed_activity(network: Network) -> Activity:
    """Return one sample in which every neuron and input fires once in ``ASSUMED_PERIOD`` steps, as evenly as can be."""
    spikes = {}
    for name, size in network.sizes.items():
        neuron = np.arange(size, dtype=np.int32)
        step = neuron % ASSUMED_PERIOD
        order = np.lexsort((neuron, step))
        payload = np.ones(size, np.int32) if name in network.graded else None
        spikes[name] = Events(
            size=size,
            n_steps=ASSUMED_PERIOD,
            n_samples=1,
            sample=np.zeros(size, np.int32),
            step=step[order].astype(np.int32),
            neuron=neuron[order],
            payload=payload,
        )
    return Activity(engine="assumed rate", network="", n_steps=ASSUMED_PERIOD, spikes=spikes)


def _size(choice: Choice) -> tuple[int, int]:
    return choice.mapping.synaptic_bytes, len(choice.mapping.cores)


def _candidates(network: Network, chip: Chip, split: str, activity: Activity | None) -> Iterator[Mapping]:
    """Yield the default mapping first, then those with other formats and more cores that take no more chips."""
    first = map_network(network, chip, split=split, activity=activity)
    yield first
    if chip.recurrent_core is not None or chip.layer_core:
        return
    fewest = {name: len(first.layer_cores(name)) for name in first.sizes}
    for times in _TIMES:
        cores = {name: min(n * times, network.sizes[name]) for name, n in fewest.items()}
        for prefer in ("words", "reads"):
            if (times, prefer) != (1, "words"):
                try:
                    mapping = map_network(network, chip, split=split, activity=activity, cores=cores, prefer=prefer)
                except FitError:
                    continue
                if mapping.n_chips <= first.n_chips:
                    yield mapping


def _priced(network: Network, mapping: Mapping, spikes: Activity) -> Choice:
    cost = estimate(network, mapping, spikes)
    total = cost.energy.total_j if cost.energy else None
    return Choice(
        mapping=mapping,
        energy_j=total.nominal if total else None,
        sample_s=cost.latency.sample_s.mean.nominal if cost.latency else None,
    )
