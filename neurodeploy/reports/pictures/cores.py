"""The cores of a target as squares on their mesh, coloured by load or by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from neurodeploy.chip import Chip
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.reports.figures import kib
from neurodeploy.reports.pictures.svg import EMPTY, MUTED, Piece, beside, kind_colour, ramp, rect, shade, text, title

FULLEST, LAYER = "fullest", "layer"
"""The views besides one for each limited resource: colour by the fullest resource, and colour by layer."""


def views(mapping: Mapping) -> list[str]:
    """Return the views that can colour the cores: the fullest resource, each resource that is in use, the layers."""
    used = [name for name in mapping.limits if any(load.used.get(name) for load in mapping.cores)]
    return [*([FULLEST] if len(used) > 1 else []), *used, LAYER]


def view_name(view: str) -> str:
    """Return the name of a view for readers."""
    return {FULLEST: "fullest resource", LAYER: "layers"}.get(view, view.replace("_", " "))


def share(load: CoreLoad, view: str, mapping: Mapping) -> float:
    """Return the used share of the resource ``view``, or of the fullest resource; 0..1."""
    names = mapping.limits if view == FULLEST else [view]
    return max((load.used.get(name, 0) / mapping.limits[name] for name in names), default=0.0)


def fills(mapping: Mapping, view: str) -> list[str]:
    """Return the colour of each core in use, in the order of ``Mapping.cores``."""
    if view == LAYER:
        number = {name: i for i, name in enumerate(mapping.sizes)}
        return [kind_colour(number[next(iter(load.neurons))]) for load in mapping.cores]
    colours = ramp()
    return [colours[shade(share(load, view, mapping))] for load in mapping.cores]


def core_words(load: CoreLoad, mapping: Mapping) -> str:
    """Return the contents of a core in words."""
    held = ", ".join(f"{neurons.size:,} of {name}" for name, neurons in load.neurons.items())
    place = f"chip {load.chip}, core {load.core}" + ("" if load.tile is None else f" (tile {load.tile})")
    resources = [
        f"{name.replace('_', ' ')} {load.used[name]:,} of {limit:,} ({load.used[name] / limit:.0%})"
        for name, limit in mapping.limits.items()
        if load.used.get(name)
    ]
    memory = kib(sum(load.words.values()) * mapping.word_bits // 8)
    return f"{place}: {held}; synapses {memory}; " + ", ".join(resources)


def core_places(chip: Chip) -> list[tuple[int, int, int, int]]:
    """Return the ``mesh_places`` of a chip."""
    count, per_tile, mesh = chip.cores.count, chip.cores.per_tile, chip.cores.mesh
    return mesh_places(count.value, per_tile.value if per_tile else None, mesh.value if mesh else None)


def mesh_places(count: int, per_tile: int | None, mesh: Sequence[int] | None) -> list[tuple[int, int, int, int]]:
    """Return column and row of each of ``count`` cores in a picture, and column and row of its router.

    On a mesh the cores of a router form a block that is as square as possible. Without a mesh all cores form a block that
    is twice as wide as high, and the router is that of the whole chip.
    """
    if mesh is None or per_tile is None:
        columns = max(1, round(math.sqrt(2 * count)))
        return [(core % columns, core // columns, 0, 0) for core in range(count)]
    height = mesh[1]
    wide = math.ceil(math.sqrt(per_tile))
    high = math.ceil(per_tile / wide)
    places = []
    for core in range(count):
        tile, inside = divmod(core, per_tile)
        x, y = divmod(tile, height)
        places.append((x * wide + inside % wide, y * high + inside // wide, x, y))
    return places


def chip_piece(mapping: Mapping, chip: int, colours: Sequence[str], size: float, *, words: bool) -> Piece:
    """Return the picture of a chip: a square of ``size`` for each core, cores in use with their colour in ``colours``.

    With ``words`` each core in use has a title, and its index in ``Mapping.cores`` as ``data-core``.
    """
    gap, tile_gap = size * 0.12, size * 0.18
    place = [(c * size + x * tile_gap, r * size + y * tile_gap) for c, r, x, y in core_places(mapping.chip)]
    side = f"{size - gap:.4g}"
    empty = "".join(f"M{x:.4g} {y:.4g}h{side}v{side}h-{side}z" for x, y in place)
    body = [f'<path d="{empty}" fill="{EMPTY}"/>']
    for i, load in enumerate(mapping.cores):
        if load.chip == chip:
            x, y = (round(at, 2) for at in place[load.core])
            inside, more = (title(core_words(load, mapping)), f' data-core="{i}"') if words else ("", "")
            body.append(rect(x, y, float(side), float(side), colours[i], inside, more))
    return Piece(max(x for x, _ in place) + size - gap, max(y for _, y in place) + size - gap, "".join(body))


def chips_in_use(mapping: Mapping) -> list[int]:
    """Return the numbers of the chips on which a core is in use."""
    return sorted({load.chip for load in mapping.cores})


def cores_piece(mapping: Mapping, view: str, width: float) -> Piece:
    """Return the chips in use with a heading, side by side and at most ``width`` wide."""
    chips = chips_in_use(mapping)
    columns = 1 + max(column for column, *_ in core_places(mapping.chip))
    in_row = min(len(chips), max(1, math.ceil(math.sqrt(2 * len(chips))))) if len(chips) > 1 else 1
    size = min(20.0, (width - 10 * (in_row - 1)) / in_row / (columns * 1.1))
    colours = fills(mapping, view)
    drawn = [chip_piece(mapping, chip, colours, size, words=view in (FULLEST, LAYER)) for chip in chips]
    cores = beside(drawn, in_row * (drawn[0].width + 10), gap=10)
    most = "" if view == LAYER else f", at most {max(share(load, view, mapping) for load in mapping.cores):.0%}"
    heading = text(0, 11, view_name(view)) + text(
        width, 11, most.removeprefix(", "), size=11, anchor="end", more=f'style="fill: {MUTED}"'
    )
    return Piece(width, cores.height + 20, f'{heading}<g transform="translate(0 20)">{cores.body}</g>')


def ramp_piece() -> Piece:
    """Return the legend of the loads."""
    colours = ramp()[:: len(ramp()) // 16]
    steps = "".join(rect(30 + 8 * i, 0, 8.2, 10, colour) for i, colour in enumerate(colours))
    right = 34 + 8 * len(colours)
    return Piece(
        right + 130,
        12,
        text(0, 10, "0%", size=11)
        + steps
        + text(right, 10, "100%", size=11)
        + rect(right + 44, 0, 10, 10, EMPTY)
        + text(right + 59, 10, "not used", size=11),
    )


def layers_piece(mapping: Mapping, width: float) -> Piece:
    """Return the legend of the layers, with the number of cores of each layer."""
    entries = []
    for i, name in enumerate(mapping.sizes):
        cores = len(mapping.layer_cores(name))
        words = f"{name} ({cores})"
        body = rect(0, 0, 10, 10, kind_colour(i)) + text(15, 10, words, size=11)
        entries.append(Piece(26 + 6.2 * len(words), 12, body))
    return beside(entries, width, gap=6)
