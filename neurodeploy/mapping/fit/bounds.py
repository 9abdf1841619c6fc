"""Bounds of the number of cores that a network takes, from its counts alone: seconds before a large network is mapped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurodeploy.chip import Chip
from neurodeploy.chip.layouts import Ints
from neurodeploy.chip.rules import RULES, UNUSABLE, least_bits, most_words
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.memory.synapses import delay_bits
from neurodeploy.network import Dense, Network, Projection, Sparse, n_nonzero


@dataclass(frozen=True, slots=True)
class CoreBounds:
    """At least ``low`` cores; at most ``high`` with the splits ``overlap`` and ``equal``, None where nothing bounds them."""

    low: int
    high: int | None


def core_bounds(network: Network, chip: Chip) -> CoreBounds:
    """Return bounds of the cores that a network takes on a chip whose cores have no fixed role in it.

    ``low``: neurons, and the fewest bits that the weights can take. ``high``: blocks of equal size whose lists are as long
    as the synapses of their neurons allow, in the worst order; only where all connections are matrices in lists.

    Raises:
        FitError: if no width of the chip holds the weights of a layer, or it stores no delays as long as theirs.
    """
    layers = Layers(network, chip)
    low = {p.name: _least(layers, p.name) for p in network.populations}
    high: dict[str, int] = {}
    for p in sorted(network.populations, key=lambda p: p.first_step, reverse=True):
        most = _most(layers, p.name, low[p.name], high)
        if most is None:
            return CoreBounds(sum(low.values()), None)
        high[p.name] = most
    return CoreBounds(sum(low.values()), sum(high.values()))


def least_cores(network: Network, chip: Chip) -> int:
    """Return ``core_bounds(network, chip).low``, which takes less time by itself.

    Raises:
        FitError: as ``core_bounds``.
    """
    layers = Layers(network, chip)
    return sum(_least(layers, p.name) for p in network.populations)


def _least(layers: Layers, population: str) -> int:
    limits, size = layers.limits(population), layers.network.sizes[population]
    parts = -(-size // limits["neurons"]) if "neurons" in limits else 1
    formats = [f for f in layers.chip.synapse_format if f.connection == "list" and RULES[f.rule].layout is not None]
    bits = 0
    for p in layers.network.into(population):
        if layers.shared(p) is None and formats:
            delay = delay_bits(p, layers.chip)
            bits += n_nonzero(p) * min(least_bits(f, layers.width(p, f) + delay) for f in formats)
    if "synapse_words" in limits:
        parts = max(parts, -(-bits // (layers.word_bits * limits["synapse_words"])))
    return int(parts)


def _most(layers: Layers, population: str, least: int, targets: dict[str, int]) -> int | None:
    """Return a number of equal blocks that surely fits, None where the counts say nothing about it."""
    network, chip = layers.network, layers.chip
    known = {"neurons", "input_axons", "output_axons", "axon_map", "neuron_groups", "synapse_words", "pool_words"}
    into, sent = network.into(population), network.out_of(population)
    plain = all(isinstance(p.synapses, Dense | Sparse) for p in (*into, *sent))
    bounded = all(RULES[f.rule].at_most is not None and not RULES[f.rule].packed for f in layers.list_formats)
    reached = {p.target for p in sent} - {population}
    if not plain or not bounded or set(chip.cores.limits) - known or reached - targets.keys():
        return None
    fan_in = [_fan_in(p) for p in into]
    n, low = network.sizes[population], least
    high = n + 1
    while low < high:
        middle = (low + high) // 2
        if _fits(layers, population, -(-n // middle), fan_in, targets):
            high = middle
        else:
            low = middle + 1
    return high if high <= n else None


def _fan_in(projection: Projection) -> Ints:
    """Return the synapses that are not 0 of each target neuron, int64 ``(n_target,)``."""
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        return np.asarray(np.count_nonzero(synapses.weights, axis=1), np.int64)
    assert isinstance(synapses, Sparse)
    return np.bincount(synapses.target[synapses.weights != 0], minlength=synapses.n_target)


def _fits(layers: Layers, population: str, size: int, fan_in: list[Ints], targets: dict[str, int]) -> bool:
    """Return whether blocks of ``size`` neurons surely keep every limit."""
    network, limits = layers.network, layers.limits(population)
    n = network.sizes[population]
    starts = np.arange(0, n, size)
    words, axons = np.zeros(starts.size, np.int64), np.zeros(starts.size, np.int64)
    for p, count in zip(network.into(population), fan_in):
        synapses = np.add.reduceat(count, starts)
        lists = np.minimum(synapses, network.sizes[p.source])
        axons += lists
        words += _words(layers, p, size, synapses, lists)
    entries = layers.chip.axons
    per_core = entries.discrete_out.value if entries and entries.discrete_out else 0
    if entries and entries.cross_chip_extra and layers.chip.n_chips > 1:
        per_core += entries.cross_chip_extra.value
    cores = [starts.size if p.target == population else targets[p.target] for p in network.out_of(population)]
    used = {
        "neurons": size,
        "input_axons": int(axons.max()),
        "output_axons": size * per_core * sum(cores),
        "axon_map": size * (entries.map_per_neuron.value if entries and entries.map_per_neuron else 0),
        "neuron_groups": 1,
        "synapse_words": int(words.max()),
    }
    used["pool_words"] = sum(amount for name, amount in used.items() if name != "neuron_groups")
    return all(used[name] <= limit for name, limit in limits.items())


def _words(layers: Layers, projection: Projection, size: int, synapses: Ints, lists: Ints) -> Ints:
    """Return the most words of each block in its best format: ``lists`` of together ``synapses``, none above ``size``."""
    delay, found = delay_bits(projection, layers.chip), []
    for fmt in layers.list_formats:
        table = most_words(size, layers.width(projection, fmt) + delay, fmt, layers.word_bits)
        slope = np.max((table[1:] - table[1]) / np.maximum(1, np.arange(size)))
        spread = np.ceil(synapses * slope + lists * max(0.0, float(table[1] - slope)))
        found.append(np.minimum(np.minimum(spread, UNUSABLE), lists * table[size]))
    return np.asarray(np.min(found, axis=0), np.int64)
