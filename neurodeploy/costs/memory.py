"""Memory by core and layer, taken from a mapping."""

from __future__ import annotations

from collections import Counter

from neurodeploy.costs.record import CoreMemory, LayerMemory, Memory
from neurodeploy.mapping.record import CoreLoad, Mapping


def count_memory(mapping: Mapping) -> Memory:
    """Return the memory that a mapping takes, by core and by layer."""
    core_bytes, layer_bytes = mapping.core_bytes(), mapping.layer_bytes()
    cores = mapping.chip.cores
    return Memory(
        n_cores=len(mapping.cores),
        cores_available=mapping.chip.n_cores,
        n_chips=mapping.n_chips,
        chips_available=mapping.chip.n_chips,
        cores_per_chip=cores.count.value,
        cores_per_tile=cores.per_tile.value if cores.per_tile else None,
        mesh=(cores.mesh.value[0], cores.mesh.value[1]) if cores.mesh else None,
        synaptic_bytes=mapping.synaptic_bytes,
        limits=dict(mapping.limits),
        cores=tuple(_core(i, load, core_bytes[i], mapping) for i, load in enumerate(mapping.cores)),
        layers=tuple(_layer(name, mapping, layer_bytes[name]) for name in mapping.sizes),
    )


def _core(index: int, load: CoreLoad, n_bytes: int, mapping: Mapping) -> CoreMemory:
    fill = {name: used / mapping.limits[name] for name, used in load.used.items() if mapping.limits.get(name)}
    fullest = max(fill, key=lambda name: fill[name], default=None)
    return CoreMemory(
        index=index,
        chip=load.chip,
        core=load.core,
        tile=load.tile,
        x=load.x,
        y=load.y,
        neurons={name: int(indices.size) for name, indices in load.neurons.items()},
        synaptic_bytes=n_bytes,
        used=dict(load.used),
        fullest=fullest,
        fill=fill[fullest] if fullest else 0.0,
    )


def _layer(name: str, mapping: Mapping, n_bytes: int) -> LayerMemory:
    held = [mapping.cores[i] for i in mapping.layer_cores(name)]
    pairs = [(load, p) for load in held for p in mapping.into(name) if p in load.formats]
    return LayerMemory(
        name=name,
        neurons=mapping.sizes[name],
        cores=len(mapping.layer_cores(name)),
        synaptic_bytes=n_bytes,
        stored=sum(load.stored[p] for load, p in pairs),
        formats=dict(sorted(Counter(load.formats[p] for load, p in pairs).items())),
        weight_bits=tuple(sorted({load.weight_bits[p] for load, p in pairs})),
    )
