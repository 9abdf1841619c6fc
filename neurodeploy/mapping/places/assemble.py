"""From cuts to a ``Mapping``: places of parts, output entries for targets on other chips, the load of each core."""

from __future__ import annotations

import numpy as np

from neurodeploy.chip.layouts import Ints
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.errors import FitError
from neurodeploy.mapping.abilities import ability_notes
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.places.spots import Spot, by_traffic, in_order, spot, with_pinned
from neurodeploy.mapping.places.traffic import messages_between
from neurodeploy.mapping.record import CoreLoad, Mapping

PLACEMENTS = ("order", "traffic")
"""Ways to give parts to cores: in the network's order, or close to the parts that they exchange messages with."""


def place_parts(
    layers: Layers, cuts: dict[str, Cut], placement: str, pinned: ReadOnlyDict[tuple[str, int], int] | None = None
) -> dict[str, list[Spot]]:
    """Return the core of each part; ``pinned`` is ``(population, part) -> core`` for some parts, counted over all chips.

    Raises:
        FitError: if there are more parts than cores.
    """
    check_cores(layers, cuts)
    order = [p.name for p in layers.network.populations]
    first = dict(zip(order, np.cumsum([0, *(cuts[name].n_parts for name in order)]).tolist()))
    total = sum(cuts[name].n_parts for name in order)
    numbers = in_order(total)
    if placement == "traffic" and layers.chip.cores.mesh is not None:
        running = {name: Cut(cuts[name].labels + np.int32(first[name]), total) for name in order}
        numbers = by_traffic(layers.chip, messages_between(layers, running, layers.spikes, total)[0])
    if pinned:
        numbers = with_pinned(layers.chip, numbers, {first[name] + part: core for (name, part), core in pinned.items()})
    return {
        name: [spot(layers.chip, numbers[first[name] + part]) for part in range(cuts[name].n_parts)] for name in order
    }


def check_cores(layers: Layers, cuts: dict[str, Cut]) -> None:
    """Refuse more parts than the target has cores.

    Raises:
        FitError: names the layer with the most parts.
    """
    chip, total = layers.chip, sum(cut.n_parts for cut in cuts.values())
    if total > chip.n_cores:
        largest = max(cuts, key=lambda name: cuts[name].n_parts)
        raise FitError(
            f"map: the network needs {total} cores, {cuts[largest].n_parts} of them for layer '{largest}', but chip "
            f"'{chip.name}' has {chip.n_cores} ({chip.source_file}: cores.count and system.chips); map to more chips, or "
            f"lower the density or the weight width of '{largest}'",
            {"layer": largest, "core": chip.n_cores, "resource": "cores", "used": total, "limit": chip.n_cores},
        )


def cross_chip(layers: Layers, population: str, cuts: dict[str, Cut], at: dict[str, list[Spot]]) -> Ints:
    """Return the additional output entries of each part for targets on other chips."""
    cut = cuts[population]
    total = np.zeros(cut.n_parts, np.int64)
    extra = layers.chip.axons.cross_chip_extra if layers.chip.axons else None
    if extra is None or layers.chip.n_chips == 1:
        return total
    home = np.array([s.chip for s in at[population]])[cut.labels]
    for p in layers.network.out_of(population):
        on = layers.lists(p, cuts[p.target])
        away = np.array([s.chip for s in at[p.target]])[on.part] != home[on.source]
        total += extra.value * np.bincount(cut.labels[on.source[away]], minlength=cut.n_parts)
    return total


def crowded(
    layers: Layers, cuts: dict[str, Cut], at: dict[str, list[Spot]], fixed: frozenset[str] = frozenset()
) -> dict[str, int]:
    """Return the populations that overfill their output axons because of targets on other chips, with parts to try next.

    The number to try next goes a quarter of the way to the parts that would share the entries evenly, because more parts
    also change how many targets lie on other chips.

    Raises:
        FitError: if the parts of a crowded population are single neurons already, or its cut is ``fixed``.
    """
    limit = layers.chip.cores.limits.get("output_axons")
    if limit is None or layers.chip.n_chips == 1:
        return {}
    next_parts = {}
    for name, cut in cuts.items():
        extra = cross_chip(layers, name, cuts, at)
        used = layers.output_axons(name, cuts) + extra
        most = int(used.max())
        if most > limit:
            if cut.n_parts == cut.labels.size or name in fixed:
                raise _crowded_error(layers, name, used, extra, limit)
            even = -(-cut.n_parts * most // limit)
            next_parts[name] = min(cut.labels.size, cut.n_parts + max(1, (even - cut.n_parts) // 4))
    return next_parts


def _crowded_error(layers: Layers, name: str, used: Ints, extra: Ints, limit: int) -> FitError:
    chip, core, most = layers.chip, int(used.argmax()), int(used.max())
    return FitError(
        f"map: layer '{name}' needs {most} output axons on its core {core}, {extra[core]} of them for targets on "
        f"other chips, but a core of chip '{chip.name}' allows {limit} ({chip.source_file}: cores.output_axons and "
        "axons.cross_chip_extra); no cut into more parts helps: lower the fan-out of its neurons",
        {"layer": name, "core": core, "resource": "output_axons", "used": most, "limit": limit},
    )


def assembled(
    layers: Layers, cuts: dict[str, Cut], at: dict[str, list[Spot]], split: str, notes: tuple[str, ...] = ()
) -> Mapping:
    """Return the mapping of parts at their places; ``notes`` are added to the notes of the mapping."""
    network, chip = layers.network, layers.chip
    loads = [load for p in network.populations for load in _loads(layers, p.name, cuts, at)]
    return Mapping(
        chip=chip,
        network=network.fingerprint,
        sizes={p.name: p.size for p in network.populations},
        sources={p.name: p.source for p in network.projections},
        targets={p.name: p.target for p in network.projections},
        cores=tuple(sorted(loads, key=lambda load: (load.chip, load.core))),
        limits=chip.cores.limits,
        split=split,
        notes=(*_notes(layers), *notes),
    )


def _notes(layers: Layers) -> tuple[str, ...]:
    """Return notes for the reader of the figures: features that the chip lacks, and layouts that are a guess."""
    about, delay = layers.chip.chip.excludes, layers.chip.weights.delay_bits
    notes = [*([] if about is None else [about]), *ability_notes(layers.network, layers.chip)]
    delayed = [p.name for p in layers.network.projections if p.max_delay]
    if delayed and delay is not None and delay.grade == "guess":
        notes.append(f"the layout of delays is a guess (weights.delay_bits): words of {', '.join(delayed)}")
    return tuple(notes)


def _loads(layers: Layers, population: str, cuts: dict[str, Cut], at: dict[str, list[Spot]]) -> list[CoreLoad]:
    cut = cuts[population]
    used = layers.use(population, cuts)
    if "output_axons" in used:
        used["output_axons"] = used["output_axons"] + cross_chip(layers, population, cuts, at)
    uses = {p.name: layers.projection_use(p, cut) for p in layers.network.into(population)}
    return [
        CoreLoad(
            chip=place.chip,
            core=place.core,
            tile=place.tile,
            x=place.x,
            y=place.y,
            neurons={population: cut.members(part)},
            words={name: int(use.words[part]) for name, use in uses.items()},
            formats={name: use.formats[part] for name, use in uses.items()},
            weight_bits={name: use.weight_bits[part] for name, use in uses.items()},
            stored={name: int(use.stored[part]) for name, use in uses.items()},
            used={name: int(amount[part]) for name, amount in used.items()},
        )
        for part, place in enumerate(at[population])
    ]
