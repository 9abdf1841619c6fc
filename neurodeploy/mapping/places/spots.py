"""Places of parts on chips, cores and routers: in order, or close to the parts that they exchange messages with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip
from neurodeploy.chip.layouts import Ints
from neurodeploy.dicts import ReadOnlyDict


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of a core: number of its chip, of the core on the chip, and of its router (``tile``), which lies at x, y."""

    chip: int
    core: int
    tile: int | None
    x: int | None
    y: int | None


def spot(chip: Chip, number: int) -> Spot:
    """Return the place of core ``number`` of the target, counted chip by chip.

    Routers are numbered column by column, as in SANA-FE: router ``t`` of a mesh of height ``h`` lies at
    ``(t // h, t % h)``. Router and place are None where the chip file does not give them.
    """
    index, core = divmod(number, chip.cores.count.value)
    if chip.cores.per_tile is None or chip.cores.mesh is None:
        return Spot(index, core, None, None, None)
    tile = core // chip.cores.per_tile.value
    return Spot(index, core, tile, *divmod(tile, chip.cores.mesh.value[1]))


def in_order(n_parts: int) -> list[int]:
    """Return the core of each part if parts fill the cores in order: 0, 1, 2, .."""
    return list(range(n_parts))


def by_traffic(chip: Chip, matrix: Ints) -> list[int]:
    """Return the core of each part, placed close to the parts that it exchanges messages with.

    Parts keep their chip. On each chip they are placed from the middle of the mesh outwards, router by router; the next
    part is the one with most messages to the parts already placed. If this does not lower the hops of a chip, its parts
    stay in order; so do the parts of a target without a known mesh.

    Args:
        chip: the target.
        matrix: messages between parts, int64 ``(n_parts, n_parts)``.
    """
    per_chip = chip.cores.count.value
    numbers = in_order(len(matrix))
    if chip.cores.per_tile is None or chip.cores.mesh is None:
        return numbers
    for first in range(0, len(matrix), per_chip):
        here = slice(first, min(first + per_chip, len(matrix)))
        both_ways = matrix[here, here] + matrix[here, here].T
        cores = _outwards(chip, both_ways)
        if _cost(chip, both_ways, cores) < _cost(chip, both_ways, in_order(len(cores))):
            numbers[here] = [first + core for core in cores]
    return numbers


def with_pinned(chip: Chip, numbers: list[int], pinned: ReadOnlyDict[int, int]) -> list[int]:
    """Put pinned parts on their cores and move whatever stood there to the nearest free core; return the core of each part.

    Nearest means on the same chip, then fewest hops (where the chip file gives a mesh), then lowest number.
    """
    taken = set(pinned.values())
    stay = {part: core for part, core in enumerate(numbers) if part not in pinned and core not in taken}
    free = sorted(set(range(chip.n_cores)) - taken - set(stay.values()))
    placed = {**stay, **pinned}
    for part in sorted(set(range(len(numbers))) - set(placed)):
        home = spot(chip, numbers[part])
        nearest = min(free, key=lambda core: (*_apart(spot(chip, core), home), core))
        free.remove(nearest)
        placed[part] = nearest
    return [placed[part] for part in range(len(numbers))]


def _apart(a: Spot, b: Spot) -> tuple[bool, int]:
    hops = 0 if None in (a.x, a.y, b.x, b.y) else abs(a.x - b.x) + abs(a.y - b.y)  # type: ignore[operator]
    return a.chip != b.chip, hops


def tile_distances(chip: Chip) -> Ints:
    """Return the hops between each two routers of a chip, int64 ``(n_tiles, n_tiles)``."""
    assert chip.cores.mesh is not None
    width, height = chip.cores.mesh.value
    x, y = np.divmod(np.arange(width * height), height)
    hops: Ints = np.abs(x[:, None] - x[None, :]) + np.abs(y[:, None] - y[None, :])
    return hops


def _cost(chip: Chip, both_ways: Ints, cores: list[int]) -> int:
    assert chip.cores.per_tile is not None
    tiles = np.array(cores) // chip.cores.per_tile.value
    return int((both_ways * tile_distances(chip)[np.ix_(tiles, tiles)]).sum())


def _outwards(chip: Chip, both_ways: Ints) -> list[int]:
    """Return the cores of the parts of one chip; a router is filled before the next one, so that few routers are in use."""
    assert chip.cores.per_tile is not None
    per_tile, distance = chip.cores.per_tile.value, tile_distances(chip)
    n_tiles = -(-chip.cores.count.value // per_tile)
    free = np.ones(n_tiles, np.bool_)
    tile_of = np.full(len(both_ways), -1)
    order: list[int] = []
    tile, members = -1, per_tile
    while len(order) < len(both_ways):
        if members == per_tile:
            part = _most_connected(both_ways, tile_of, both_ways[:, tile_of >= 0].sum(axis=1))
            tile, members = _best_tile(both_ways[part], tile_of, distance[:n_tiles, :n_tiles], free), 0
            free[tile] = False
        else:
            part = _most_connected(both_ways, tile_of, both_ways[:, tile_of == tile].sum(axis=1))
        tile_of[part] = tile
        members += 1
        order.append(part)
    return _numbers(tile_of, order, per_tile)


def _most_connected(both_ways: Ints, tile_of: NDArray[np.int64], messages: Ints) -> int:
    """Return the unplaced part with the largest value in ``messages``, then with most messages in all."""
    unplaced = np.flatnonzero(tile_of < 0)
    total = both_ways.sum(axis=1)
    return int(max(unplaced, key=lambda part: (messages[part], total[part], -part)))


def _best_tile(row: Ints, tile_of: NDArray[np.int64], distance: Ints, free: NDArray[np.bool_]) -> int:
    """Return the free router with the fewest hops to the placed parts, then the one nearest to the middle."""
    placed = tile_of >= 0
    hops = distance[:, tile_of[placed]] @ row[placed]
    middle = distance.sum(axis=1)
    return int(min(np.flatnonzero(free), key=lambda tile: (hops[tile], middle[tile], tile)))


def _numbers(tile_of: NDArray[np.int64], order: list[int], per_tile: int) -> list[int]:
    members: dict[int, int] = {}
    cores = [0] * len(order)
    for part in order:
        tile = int(tile_of[part])
        cores[part] = tile * per_tile + members.get(tile, 0)
        members[tile] = members.get(tile, 0) + 1
    return cores
