"""The split ``slayer2loihi``: the number of neurons on each core that Intel's slayer2loihi chooses for Loihi 1.

Source: intel-nrc-ecosystem/models, ``spytorch2loihi/slayer_rec/src/s2lWrapper.py``. The tool keeps a small margin and
counts memory without headers, so it may accept parts that the exact word rules refuse.
"""

from __future__ import annotations

from neurodeploy.mapping.cuts.search import excess, excess_error
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.memory.synapses import delay_bits

HEADER_WORDS = 4
"""Words of the ``synapse_words + 1`` that slayer2loihi keeps free."""


def slayer2loihi_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the cut of one population into blocks of the size that slayer2loihi computes, smaller where a limit binds.

    Raises:
        FitError: if parts of one neuron break a limit of a core.
    """
    n = layers.network.population(population).size
    size = min(n, -(-n // at_least), neurons_per_core(layers, population))
    while True:
        cut = Cut.blocks(n, size)
        over = excess(layers, population, {**cuts, population: cut})
        if not over:
            return cut
        if size == 1:
            raise excess_error(layers, population, {**cuts, population: cut})
        limits = layers.limits(population)
        size = min(size - 1, size // max(-(-int(amount.max()) // limits[name]) for name, amount in over.items()))
        size = max(1, size)


def neurons_per_core(layers: Layers, population: str) -> int:
    """Return ``floor((1 - a) * floor(N / g) + a * floor(N * capacity / weights))``, the smallest over all projections.

    ``N`` is the number of neurons, ``capacity`` the number of synapses that fit a core, ``g = ceil(weights / capacity)`` and
    ``a = g - weights / capacity``. At least 1, at most the neurons of a core.
    """
    n = layers.network.population(population).size
    words = layers.chip.cores.limits["synapse_words"] + 1 - HEADER_WORDS
    sizes = [layers.limits(population)["neurons"]]
    for p in layers.network.into(population):
        width = layers.width(p, layers.list_formats[0]) + delay_bits(p, layers.chip)
        capacity, weights = words * (layers.word_bits // width), layers.matrix(p).weight.size
        if weights:
            groups = -(-weights // capacity)
            share = groups - weights / capacity
            sizes.append(int((1 - share) * (n // groups) + share * (n * capacity // weights)))
    return max(1, min(sizes))
