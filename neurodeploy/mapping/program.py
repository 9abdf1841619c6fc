"""Mapping onto a microcontroller: one core, whose flash holds tables and code of the generated C, and whose RAM the states.

Tables and states are those of ``tables.plan_tables``, so to the byte what the linker makes of them; the code is predicted
from constants that were fitted to measured programs (``chip.Code``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodeploy.chip import Amount, Chip, Code
from neurodeploy.errors import FitError
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import Network
from neurodeploy.tables import Layout, WirePlan, plan_tables

FLASH, RAM = "flash_bytes", "ram_bytes"
"""Resources of a microcontroller, as in ``CoreLoad.used`` and ``Mapping.limits``."""


def map_program(network: Network, chip: Chip) -> Mapping:
    """Return the mapping of a network onto a microcontroller; ``used`` has the bytes of flash and RAM.

    Formats are chosen for balance; where flash is short, the smallest of all.

    Raises:
        FitError: names the memory, the bytes, the limit, and the layer that takes most of it.
    """
    layouts = [plan_tables(network)]
    used = [program_bytes(layouts[0], chip)]
    limits = memory_limits(chip)
    if used[0][FLASH] > limits[FLASH]:
        layouts.append(plan_tables(network, "flash"))
        used.append(program_bytes(layouts[1], chip))
    layout, taken = min(zip(layouts, used), key=lambda pair: pair[1][FLASH])
    for resource, limit in limits.items():
        if taken[resource] > limit:
            raise _too_much(layout, chip, resource, taken[resource], limit)
    notes = ("the program around the network takes flash, RAM and a stack on top",)
    smaller = ("formats are the smallest, since faster ones do not fit the flash",) if len(layouts) > 1 else ()
    return Mapping(
        chip=chip,
        network=network.fingerprint,
        sizes={p.name: p.size for p in network.populations},
        sources={q.name: q.source for q in network.projections},
        targets={q.name: q.target for q in network.projections},
        cores=(_load(network, layout, taken),),
        limits=limits,
        split=layout.optimize,
        notes=notes + smaller,
    )


def memory_limits(chip: Chip) -> dict[str, int]:
    """Return the bytes of flash and RAM of a microcontroller."""
    part = chip.microcontroller
    assert part is not None
    return {FLASH: part.flash.value, RAM: part.ram.value}


def layout_of(network: Network, mapping: Mapping) -> Layout:
    """Return the layout that a mapping onto a microcontroller was made from."""
    return plan_tables(network, "flash" if mapping.split == "flash" else "balance")


def program_bytes(layout: Layout, chip: Chip) -> dict[str, int]:
    """Return the bytes of flash and RAM that the generated C of a layout takes."""
    assert chip.code is not None
    return {FLASH: layout.flash_bytes + code_bytes(layout, chip.code), RAM: layout.ram_bytes}


def code_features(layout: Layout) -> dict[str, float]:
    """Return what a layout has of the things that ``chip.Code`` gives bytes for; ``wire.FORMAT`` for projections.

    Layers whose functions have the same text share them: what is shared counts once (``update`` with ``odd``, ``wide`` and
    ``limited``, and ``add.FORMAT``). A function that adds indexed weights unrolls eight of them, or as many as a shorter
    table has.
    """
    updates = {
        (p.current, p.voltage, p.bounds.fold, p.bounds.clip, bool(p.ring_rows), len(p.tables), bool(p.size % _ROUND)): p
        for p in layout.populations
    }
    found: dict[str, float] = {
        "base": 1,
        "population": len(layout.populations),
        "update": len(updates),
        "odd": sum(p.size % _ROUND > 0 for p in updates.values()),
        "wide": sum((p.current.kind == "long") + (p.voltage.kind == "long") for p in updates.values()),
        "limited": sum(p.bounds.fold + p.bounds.clip for p in updates.values()),
    }
    adds = {(w.format or w.kind, w.mode, w.shift, w.weight, w.graded, _unrolled(w)) for w in layout.wires}
    for stored, *_, unrolled in adds:
        found[f"add.{stored}"] = found.get(f"add.{stored}", 0) + unrolled / _MOST_UNROLLED
    for name in (f"wire.conv_{w.format}" if w.kind == "conv" else f"wire.{w.kind}" for w in layout.wires):
        found[name] = found.get(name, 0) + 1
    found["summed"] = sum(w.mode == "sum" for w in layout.wires)
    return found


_MOST_UNROLLED, _ROUND = 8, 4
"""Entries that a function for indexed weights adds, and neurons that an update takes, in one round."""


def _unrolled(wire: WirePlan) -> int:
    if wire.format not in ("idx8", "idx16"):
        return _MOST_UNROLLED
    entries = next(t.values.size for t in wire.tables if t.name == f"{wire.name}_weight")
    return min(_MOST_UNROLLED, 1 << (max(1, entries).bit_length() - 1))


def code_bytes(layout: Layout, code: Code) -> int:
    """Return the predicted bytes of code of a layout; a format without a constant takes the most of all formats."""
    total = 0.0
    for name, n in code_features(layout).items():
        table, _, key = name.partition(".")
        known: dict[str, Amount] | Amount = getattr(code, table)
        if isinstance(known, dict):
            most = max((bytes_.value for bytes_ in known.values()), default=0)
            total += n * (known[key].value if key in known else most)
        else:
            total += n * known.value
    return round(total)


def flash_for_synapses(chip: Chip, shapes: Sequence[tuple[int, int]]) -> int:
    """Return the bytes of flash that are left for the synapses of dense layers, at least.

    Pointers to rows, delays of sources and code are taken off, each at its largest. Synapses are bound by two bytes each,
    as the format ``idx8`` stores them; ``plan_tables`` takes another one only where it is smaller. Weights take a byte.

    Args:
        shapes: neurons and sources of each layer.
    """
    code, left = chip.code, memory_limits(chip)[FLASH]
    assert code is not None
    add = max((n.value for n in code.add.values()), default=0)
    wire = code.wire["matrix"].value if "matrix" in code.wire else 0
    update = code.update.value + code.odd.value + 2 * code.wide.value + 2 * code.limited.value
    each = code.population.value + update + code.summed.value + add + wire
    for n_neurons, n_sources in shapes:
        pointers = n_sources * -(-n_neurons // 256) + 1
        left -= each + n_sources + pointers * (2 if n_neurons * n_sources < 2**16 else 4)
    return left - code.base.value


def check_neurons(chip: Chip, n_neurons: int) -> None:
    """Refuse more neurons than fit the RAM of a microcontroller, at 8 bytes each.

    Raises:
        FitError: with bytes, limit and key.
    """
    limit, used = memory_limits(chip)[RAM], 8 * n_neurons
    if used > limit:
        raise FitError(
            f"budget: {n_neurons:,} neurons take {used:,} bytes of RAM, but chip '{chip.name}' has {limit:,} "
            f"({chip.source_file}: microcontroller.ram); take fewer neurons, or another chip",
            {"layer": "the network", "core": 0, "resource": RAM, "used": used, "limit": limit},
        )


def _load(network: Network, layout: Layout, used: dict[str, int]) -> CoreLoad:
    words, stored, bits, formats = {}, {}, {}, {}
    for q in network.projections:
        own = [w for w in layout.wires if w.projection == q.name]
        if own:
            words[q.name] = sum(w.n_bytes for w in own)
            stored[q.name] = sum(int(w.events.sum()) for w in own)
            formats[q.name] = " ".join(dict.fromkeys(w.format or w.kind for w in own))
            bits[q.name] = max(8 if w.weight is None else 8 * w.weight.itemsize for w in own)
    return CoreLoad(
        chip=0,
        core=0,
        tile=None,
        x=None,
        y=None,
        neurons={p.name: np.arange(p.size, dtype=np.int32) for p in network.populations},
        words=words,
        formats=formats,
        weight_bits=bits,
        stored=stored,
        used=used,
    )


def _too_much(layout: Layout, chip: Chip, resource: str, used: int, limit: int) -> FitError:
    if resource == FLASH:
        by_layer = {
            p.population: sum(w.n_bytes for w in layout.wires if w.target == p.population) for p in layout.populations
        }
        rest = "lower its density, or store its weights in fewer bits"
    else:
        by_layer = {p.population: p.size for p in layout.populations}
        rest = "take fewer neurons or shorter delays"
    layer = max(by_layer, key=lambda name: by_layer[name])
    key = resource.removesuffix("_bytes")
    return FitError(
        f"map: the network needs {used:,} bytes of {key.upper() if key == 'ram' else key}, but chip '{chip.name}' has "
        f"{limit:,} ({chip.source_file}: microcontroller.{key}); layer '{layer}' takes most of it: "
        f"{rest}, or map to another chip",
        {"layer": layer, "core": 0, "resource": resource, "used": used, "limit": limit},
    )
