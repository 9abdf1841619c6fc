"""The split ``compiler``: cuts layers as Lava's closed Loihi 2 compiler does, inferred from the core tables that it prints.

A matrix layer is cut by the ceiling of its largest ratio of use to limit, again and again until it fits. A convolution is
cut into blocks of width, height and channels; each core keeps the whole kernels of its channels.
"""

from __future__ import annotations

import numpy as np

from neurodeploy.mapping.cuts.search import excess, excess_error
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.network import Shape


def compiler_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the cut of one population as the compiler makes it.

    Raises:
        FitError: if parts of one neuron break a limit of a core.
    """
    shape = layers.network.population(population).shape
    lists = any(layers.shared(p) is None for p in layers.network.into(population))
    if len(shape) == 3 and not lists and at_least == 1:
        cut = block_cut(layers, population, shape)
        if cut is not None and not excess(layers, population, {**cuts, population: cut}):
            return cut
    return ratio_cut(layers, population, cuts, at_least)


def ratio_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int) -> Cut:
    """Return the cut into ``k`` blocks of ``ceil(n / k)`` neurons; ``k`` grows by the largest ratio of use to limit."""
    n = layers.network.population(population).size
    limits = layers.limits(population)
    parts = min(n, at_least)
    while True:
        cut = Cut.blocks(n, -(-n // parts))
        over = excess(layers, population, {**cuts, population: cut})
        if not over:
            return cut
        if parts == n:
            raise excess_error(layers, population, {**cuts, population: cut})
        ratio = max(-(-int(amount.max()) // limits[name]) for name, amount in over.items())
        parts = min(n, parts * ratio)


def block_cut(layers: Layers, population: str, shape: Shape) -> Cut | None:
    """Return the cut of a ``(channels, height, width)`` population into blocks, None if no block fits.

    The channels of a block are halved until its kernels fit the synaptic memory. The width of a block is a power of two,
    its height a repeated halving of the whole height (rounded up), such that the neurons of the block and one more fit a
    core (that one more is needed is inferred). The block that takes the fewest cores wins; ties go to the greatest height.
    """
    channels, height, width = shape
    block = channels
    while excess(layers, population, {population: channel_cut(shape, block)}).keys() & {"synapse_words"}:
        if block == 1:
            return None
        block = -(-block // 2)
    limit = layers.limits(population).get("neurons")
    fitting = [(h, w) for h in halvings(height) for w in powers(width) if limit is None or h * w * block < limit]
    if not fitting:
        return None
    h, w = min(fitting, key=lambda size: (-(-height // size[0]) * -(-width // size[1]), -size[0], size[1]))
    c, y, x = np.ogrid[:channels, :height, :width]
    columns, rows = -(-width // w), -(-height // h)
    labels = ((c // block) * rows + y // h) * columns + x // w
    return Cut(labels.ravel().astype(np.int32), -(-channels // block) * rows * columns)


def channel_cut(shape: Shape, block: int) -> Cut:
    """Return the cut into blocks of whole channels."""
    return Cut.blocks(shape[0] * shape[1] * shape[2], block * shape[1] * shape[2])


def halvings(n: int) -> list[int]:
    """Return ``n`` halved again and again, rounded up: 66, 33, 17, 9, 5, 3, 2, 1."""
    return [n] if n == 1 else [n, *halvings(-(-n // 2))]


def powers(n: int) -> list[int]:
    """Return the powers of two from 1 up to the first that is ``n`` or more."""
    return [1 << i for i in range((n - 1).bit_length() + 1)]
