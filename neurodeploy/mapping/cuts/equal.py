"""The split ``equal``: each population in the smallest number of contiguous, equal parts that satisfies every limit."""

from __future__ import annotations

import numpy as np

from neurodeploy.chip.rules import least_bits
from neurodeploy.mapping.cuts.search import excess, excess_error
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.memory.synapses import delay_bits

PER_NEURON = frozenset({"destinations", "weight_values"})
"""Registers whose use is set by a single neuron, so that no cut lowers it."""


def equal_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the cut of one population into the smallest number of equal blocks that satisfies every limit of a core.

    With ``k`` parts a block has ``ceil(n / k)`` neurons; the last block has the rest.

    Raises:
        FitError: if even parts of one neuron break a limit.
    """
    n = layers.network.population(population).size
    start = min(n, max(at_least, least_parts(layers, population)))
    axons, crowded = layers.limits(population).get("input_axons"), 0
    first_axons = layers.first_axons(population)
    for size in block_sizes(n, start):
        cut = Cut.blocks(n, size)
        if (axons is not None and first_axons[size - 1] > axons) or _sends_too_much(layers, population, cut, cuts):
            continue
        if any(layers.block_overflows(population, at // size * size, size) for at in sorted({0, crowded})):
            continue
        over = excess(layers, population, {**cuts, population: cut})
        if not over:
            return cut
        if over.keys() & PER_NEURON:
            raise excess_error(layers, population, {**cuts, population: cut})
        crowded = size * int(max(over.values(), key=lambda amount: int(amount.max())).argmax())
    raise excess_error(layers, population, {**cuts, population: Cut.blocks(n, 1)})


def _sends_too_much(layers: Layers, population: str, cut: Cut, cuts: dict[str, Cut]) -> bool:
    limit = layers.limits(population).get("output_axons")
    return limit is not None and int(layers.output_axons(population, {**cuts, population: cut}).max()) > limit


def block_sizes(n: int, least: int) -> list[int]:
    """Return the block sizes ``ceil(n / k)`` for ``k = least .. n``, falling, without repeats.

    >>> block_sizes(10, 3)
    [4, 3, 2, 1]
    """
    k = np.arange(least, n + 1)
    return [int(size) for size in np.unique(-(-n // k))[::-1]]


def least_parts(layers: Layers, population: str) -> int:
    """Return a lower bound on the parts that the population needs, from its neurons and weights alone."""
    limits = layers.limits(population)
    n = layers.network.population(population).size
    parts = -(-n // limits["neurons"]) if "neurons" in limits else 1
    bits = 0
    for p in layers.network.into(population):
        if layers.shared(p) is None:
            delay = delay_bits(p, layers.chip)
            least = min(least_bits(f, layers.width(p, f) + delay) for f in layers.list_formats)
            bits += layers.matrix(p).weight.size * least
    if "synapse_words" in limits:
        parts = max(parts, -(-bits // (layers.word_bits * limits["synapse_words"])))
    return int(parts)
