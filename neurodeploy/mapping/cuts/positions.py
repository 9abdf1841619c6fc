"""Cuts of convolutions by position: all channels of some pixels come together, so that a spike reaches few cores.

A part is a run of positions (row by row) times a block of channels. Where the next layer is pointwise, a neuron then sends
to the cores of its own position alone; cut channel by channel it would send to every core of that layer, and its output
axons would run out first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurodeploy.mapping.cuts.equal import equal_cut
from neurodeploy.mapping.cuts.search import excess
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.network import Shape


def has_positions(layers: Layers, population: str) -> bool:
    """Return whether a population is an image whose connections share their weights, and whose senders pay for each core.

    Where the chip needs no output axons (Loihi 2), a cut by position would only store the same kernels on more cores.
    """
    into = layers.network.into(population)
    image = len(layers.network.population(population).shape) == 3
    pays = layers.chip.axons is not None and layers.chip.axons.shared_out is not None
    return pays and image and bool(into) and all(layers.shared(p) is not None for p in into)


def better_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the equal cut or the one by position: fewest parts, then fewest pairs of a source neuron and a part.

    Raises:
        FitError: if parts of one neuron break a limit of a core.
    """
    equal = equal_cut(layers, population, cuts, at_least)
    if equal.n_parts == 1 or not has_positions(layers, population):
        return equal
    return min((equal, position_cut(layers, population, cuts, at_least)), key=lambda cut: cost(layers, population, cut))


def cost(layers: Layers, population: str, cut: Cut) -> tuple[int, int]:
    """Return the parts of a cut, and the messages to them if each source fires once."""
    return cut.n_parts, sum(int(layers.destinations(p, cut).sum()) for p in layers.network.into(population))


def position_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the cut of one population by position with the fewest parts, or its equal cut where it has no positions.

    The channels are halved, and for each number of blocks the longest runs of positions that fit are found by bisection,
    as if shorter runs always fit where longer ones do. Of cuts with as few parts, the one with fewest blocks wins.

    Raises:
        FitError: if parts of one neuron break a limit of a core.
    """
    shape = layers.network.population(population).shape
    if not has_positions(layers, population):
        return equal_cut(layers, population, cuts, at_least)
    best: Cut | None = None
    for blocks in _blocks(shape[0]):

        def fits(cut: Cut) -> bool:
            return not excess(layers, population, {**cuts, population: cut})

        found = _fewest(shape, blocks, at_least, best.n_parts if best is not None else None, fits)
        best = found or best
    return best if best is not None else equal_cut(layers, population, cuts, at_least)


def by_position(shape: Shape, run: int, block: int) -> Cut:
    """Return the cut of a ``(channels, height, width)`` population into runs of positions times blocks of channels.

    >>> by_position((2, 1, 3), 2, 1).labels
    array([0, 0, 1, 2, 2, 3], dtype=int32)
    """
    channels, positions = shape[0], shape[1] * shape[2]
    runs = -(-positions // run)
    labels = np.arange(channels)[:, None] // block * runs + np.arange(positions) // run
    return Cut(labels.ravel().astype(np.int32), -(-channels // block) * runs)


def _blocks(channels: int) -> list[int]:
    """Return numbers of channels in a block: all of them, and halved again and again (rounded up) down to one."""
    sizes = [channels]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def _fewest(shape: Shape, block: int, at_least: int, below: int | None, fits: Callable[[Cut], bool]) -> Cut | None:
    """Return the cut with the longest runs of positions that fits, None where it has not fewer parts than ``below``."""
    positions, n_blocks = shape[1] * shape[2], -(-shape[0] // block)
    counts = np.arange(-(-at_least // n_blocks) or 1, positions + 1)
    runs = np.unique(-(-positions // counts))[::-1] if counts.size else counts
    if below is not None:
        runs = runs[n_blocks * -(-positions // runs) < below]
    low, high, found = 0, runs.size, None
    while low < high:
        middle = (low + high) // 2
        cut = by_position(shape, int(runs[middle]), block)
        if fits(cut):
            high, found = middle, cut
        else:
            low = middle + 1
    return found
