"""The split ``equal``: each population in the smallest number of contiguous, equal parts that satisfies every limit."""

from __future__ import annotations

import numpy as np

from neurodeploy.errors import FitError
from neurodeploy.mapping.formats import Ints, least_bits
from neurodeploy.mapping.parts import Cut, Layers
from neurodeploy.mapping.synapses import delay_bits, stored_bits


def equal_cuts(layers: Layers, at_least: dict[str, int]) -> dict[str, Cut]:
    """Return a cut of every population, from the outputs backwards, since a part's output axons depend on its targets.

    ``at_least`` gives numbers of parts to start from. Populations in a loop are cut again until nothing changes; parts
    only become more, so that this ends.

    Raises:
        FitError: if a single neuron of a population breaks a limit of a core.
    """
    order = sorted(layers.network.populations, key=lambda p: p.first_step, reverse=True)
    cuts: dict[str, Cut] = {}
    while True:
        before = dict(cuts)
        for p in order:
            now = cuts.get(p.name)
            if now is None or excess(layers, p.name, cuts):
                start = max(at_least.get(p.name, 1), now.n_parts if now else 1)
                cuts[p.name] = equal_cut(layers, p.name, cuts, start)
        if cuts == before:
            return cuts


def equal_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the cut of one population into the smallest number of equal blocks that satisfies every limit of a core.

    With ``k`` parts a block has ``ceil(n / k)`` neurons and the last one the rest.

    Raises:
        FitError: if even parts of one neuron break a limit.
    """
    n = layers.network.population(population).size
    start = min(n, max(at_least, least_parts(layers, population)))
    for size in block_sizes(n, start):
        cut = Cut.blocks(n, size)
        if not excess(layers, population, {**cuts, population: cut}):
            return cut
    raise excess_error(layers, population, {**cuts, population: Cut.blocks(n, 1)})


def block_sizes(n: int, least: int) -> list[int]:
    """Return the block sizes ``ceil(n / k)`` for ``k = least .. n``, falling, without repeats.

    >>> block_sizes(10, 3)
    [4, 3, 2, 1]
    """
    k = np.arange(least, n + 1)
    return [int(size) for size in np.unique(-(-n // k))[::-1]]


def least_parts(layers: Layers, population: str) -> int:
    """Return a number of parts below which the population cannot fit, from its neurons and its weights alone."""
    limits = layers.limits(population)
    n = layers.network.population(population).size
    parts = -(-n // limits["neurons"]) if "neurons" in limits else 1
    bits = 0
    for p in layers.network.into(population):
        if layers.shared(p) is None:
            matrix, delay = layers.matrix(p), delay_bits(p, layers.chip)
            formats = [f for f in layers.chip.synapse_format if f.connection == "list"]
            widths = [stored_bits(p, matrix.weight, f, layers.chip) + delay for f in formats]
            bits += matrix.weight.size * min(least_bits(f, w) for f, w in zip(formats, widths))
    if "synapse_words" in limits:
        parts = max(parts, -(-bits // (layers.word_bits * limits["synapse_words"])))
    return int(parts)


def excess(layers: Layers, population: str, cuts: dict[str, Cut]) -> dict[str, Ints]:
    """Return the registers that some part of a population overfills, with the amounts on each part; empty if it fits."""
    limits = layers.limits(population)
    used = layers.use(population, cuts)
    return {name: amount for name, amount in used.items() if amount.max() > limits[name]}


def excess_error(layers: Layers, population: str, cuts: dict[str, Cut]) -> FitError:
    """Return the error for a population that does not fit however it is cut."""
    over = excess(layers, population, cuts)
    limits, chip = layers.limits(population), layers.chip
    name, amount = max(over.items(), key=lambda item: item[1].max() / limits[item[0]])
    part, used, limit = int(amount.argmax()), int(amount.max()), limits[name]
    neurons = cuts[population].sizes[part]
    return FitError(
        f"map: layer '{population}' needs {used} {name.replace('_', ' ')} on its core {part}, which holds {neurons} of its "
        f"neurons, but a core of chip '{chip.name}' allows {limit} ({chip.source_file}: cores.{name}); no cut into more "
        "parts helps: lower the fan-in of its neurons, or map to another chip",
        {"layer": population, "core": part, "resource": name, "used": used, "limit": limit},
    )
