"""Where parts lie: chips, cores and routers, in order."""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.chip import Chip


@dataclass(frozen=True, slots=True)
class Spot:
    """A core: number of the chip, of the core on it, of its router, and the router's place on the chip's mesh."""

    chip: int
    core: int
    tile: int | None
    x: int | None
    y: int | None


def spot(chip: Chip, number: int) -> Spot:
    """Return the core of a target with the running number ``number``, counted chip by chip.

    Routers are numbered column by column, as in SANA-FE: router ``t`` of a mesh of height ``h`` lies at
    ``(t // h, t % h)``. Router and place are None where the chip file does not give them.
    """
    index, core = divmod(number, chip.cores.count.value)
    if chip.cores.per_tile is None or chip.cores.mesh is None:
        return Spot(index, core, None, None, None)
    tile = core // chip.cores.per_tile.value
    return Spot(index, core, tile, *divmod(tile, chip.cores.mesh.value[1]))
