"""The verdict whether a network fits a chip, the resource that binds, and remedies that would make it fit.

A remedy is offered only if the changed network was mapped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from neurodeploy.chip import Chip, chip_names, load_chip
from neurodeploy.errors import ChipError, FitError
from neurodeploy.mapping.abilities import ABILITIES, can_run, states_abilities
from neurodeploy.mapping.fit.bounds import core_bounds, least_cores
from neurodeploy.mapping.fit.change import pruned, requantised
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network, n_nonzero, n_parameters

LARGE = 10**6
"""Synapses from which on a mapping takes seconds."""


class MapOne(Protocol):
    """A way to map a network, with its split and options fixed."""

    def __call__(self, network: Network, chip: Chip) -> Mapping:
        """Return the mapping; raises ``FitError``."""

    def quick(self) -> MapOne:
        """Return a way that maps large networks faster and fits no network that this way does not fit."""

    def other_ways(self) -> Iterator[tuple[str, str, MapOne]]:
        """Yield ways to map the unchanged network: kind of the remedy, its description in words, and the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The use of one resource on its fullest core; ``layer`` and ``core`` name the place.

    ``core`` counts over all chips of the target. For the resource ``cores`` it is None, and ``used`` counts all cores.
    """

    resource: str
    used: int
    limit: int
    core: int | None
    layer: str

    @property
    def headroom(self) -> int:
        """The amount that is left: ``limit - used``."""
        return self.limit - self.used

    @property
    def share(self) -> float:
        """Used share of the limit."""
        return self.used / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change with which the network fits: a description in words, its cost, and the cores and memory it then takes.

    ``kind`` is split, format, density, weight_bits, chips or chip; ``cost`` holds the figures for that kind.
    """

    kind: str
    what: str
    cost: dict[str, str | int | float]
    cores: int
    synaptic_bytes: int


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The verdict: the mapping with its loads, or the broken limit with remedies."""

    mapping: Mapping | None
    loads: tuple[Load, ...]
    error: str
    binding: dict[str, str | int] | None
    remedies: tuple[Remedy, ...]

    @property
    def fits(self) -> bool:
        """Whether the network was mapped."""
        return self.mapping is not None


def find_verdict(
    network: Network, chip: Chip, map_one: MapOne, *, remedies: bool = True, other_chips: bool = True
) -> Fit:
    """Return the verdict whether a network fits a chip; ``binding`` is the fullest resource or the broken limit.

    Args:
        network, chip: the network and the target.
        map_one: the function that maps a network, with split and options fixed.
        remedies: look for remedies if the network does not fit, which takes some twenty mappings.
        other_chips: whether another chip is a remedy.
    """
    try:
        mapping = map_one(network, chip)
    except FitError as error:
        found = tuple(find_remedies(network, chip, map_one, error, other_chips=other_chips)) if remedies else ()
        return Fit(mapping=None, loads=(), error=str(error), binding=error.binding, remedies=found)
    loads = tuple(loads_of(mapping))
    first = max(loads, key=lambda load: load.share)
    binding: dict[str, str | int] = {
        "layer": first.layer,
        "core": -1 if first.core is None else first.core,
        "resource": first.resource,
        "used": first.used,
        "limit": first.limit,
    }
    return Fit(mapping=mapping, loads=loads, error="", binding=binding, remedies=())


def loads_of(mapping: Mapping) -> Iterator[Load]:
    """Yield the load of each limited resource on its fullest core, and the number of cores in use."""
    per_chip = mapping.chip.cores.count.value
    for resource, limit in mapping.limits.items():
        used = [load.used.get(resource, 0) for load in mapping.cores]
        fullest = mapping.cores[int(np.argmax(used))]
        core = fullest.chip * per_chip + fullest.core
        yield Load(resource=resource, used=max(used), limit=limit, core=core, layer=next(iter(fullest.neurons)))
    most = max(mapping.sizes, key=lambda name: len(mapping.layer_cores(name)))
    yield Load(resource="cores", used=len(mapping.cores), limit=mapping.chip.n_cores, core=None, layer=most)


def find_remedies(
    network: Network, chip: Chip, map_one: MapOne, error: FitError, *, other_chips: bool = True
) -> Iterator[Remedy]:
    """Yield changes that make a network fit, each checked by mapping: split, format, density, weight width, chips.

    Where the chip lacks an ability, only chips whose file says that they have it are offered.
    """
    if error.binding is not None and error.binding["resource"] in ABILITIES:
        if other_chips:
            yield from _other_chips(network, chip, map_one, stated=True)
        return
    layers = remedied_layers(network, error)
    yield from _other_ways(network, chip, map_one)
    if error.binding is None or error.binding["resource"] not in ("weight_bits", "delay_bits"):
        yield from _density(network, chip, map_one, layers)
    yield from _weight_bits(network, chip, map_one, layers)
    yield from _more_chips(network, chip, map_one, error)
    if other_chips:
        yield from _other_chips(network, chip, map_one)


def remedied_layers(network: Network, error: FitError) -> frozenset[str]:
    """Return the layers whose weights a remedy may change: all if cores run out, else the layer that breaks a limit."""
    binding = error.binding
    if binding is None or binding["resource"] == "cores":
        return frozenset(p.name for p in network.populations)
    return frozenset([str(binding["layer"])])


def mapped(network: Network, chip: Chip, map_one: MapOne) -> Mapping | None:
    """Return the mapping, None where the network does not fit."""
    try:
        return map_one(network, chip) if may_fit(network, chip) else None
    except FitError:
        return None


def may_fit(network: Network, chip: Chip) -> bool:
    """Return whether the counts of a network leave room for it on a chip: False only where no mapping can fit.

    Raises:
        FitError: as ``core_bounds``.
    """
    return not _has_bounds(chip) or least_cores(network, chip) <= chip.n_cores


def _has_bounds(chip: Chip) -> bool:
    return chip.recurrent_core is None and not chip.layer_core and bool(chip.synapse_format)


def highest_kept(network: Network, chip: Chip, map_one: MapOne, layers: frozenset[str]) -> tuple[float, Mapping] | None:
    """Return the largest share of the weights into ``layers`` that fits, in steps of 1/128, and its mapping.

    Found by bisection; the smallest weights are removed first. Large networks are tried the quick way. None where even 1/128
    does not fit.
    """
    large = sum(map(n_nonzero, network.projections)) >= LARGE
    trial = map_one.quick() if large else map_one
    steps, low, found = 128, 0, None
    high, plain = 128, not any(True for _ in map_one.other_ways())
    while high - low > 1:
        middle = (low + high) // 2
        sparser = pruned(network, middle / steps, layers)
        fits, mapping = _fits(sparser, chip, trial, plain)
        if fits:
            low, found = middle, mapping
        else:
            high = middle
    if low and (found is None or large):
        found = map_one(pruned(network, low / steps, layers), chip)
    return None if found is None else (low / steps, found)


def _fits(network: Network, chip: Chip, map_one: MapOne, plain: bool) -> tuple[bool, Mapping | None]:
    """Return whether a network fits, with its mapping where that had to be made: not where the bounds of its cores tell.

    ``plain``: the network is mapped by one of the default splits and nothing else, which is what the upper bound holds for.
    """
    if plain and _has_bounds(chip):
        try:
            most = core_bounds(network, chip).high
        except FitError:
            return False, None
        if most is not None and most <= chip.n_cores:
            return True, None
    mapping = mapped(network, chip, map_one)
    return mapping is not None, mapping


def _other_ways(network: Network, chip: Chip, map_one: MapOne) -> Iterator[Remedy]:
    """Yield remedies by another split or format, which leave the network as it is."""
    for kind, what, other in map_one.other_ways():
        mapping = mapped(network, chip, other)
        if mapping is not None:
            cores, memory = len(mapping.cores), mapping.synaptic_bytes
            yield Remedy(kind=kind, what=what, cost={kind: mapping.split}, cores=cores, synaptic_bytes=memory)


def _density(network: Network, chip: Chip, map_one: MapOne, layers: frozenset[str]) -> Iterator[Remedy]:
    best = highest_kept(network, chip, map_one, layers)
    if best is None:
        return
    kept, mapping = best
    into = [p for p in network.projections if p.target in layers]
    nonzero, possible = sum(map(n_nonzero, into)), sum(map(n_parameters, into))
    density = kept * nonzero / possible
    yield Remedy(
        kind="density",
        what=f"keep the largest {kept:.1%} of the weights into {_names(layers)} (density {density:.4f})",
        cost={"density": density, "removed": nonzero - round(kept * nonzero)},
        cores=len(mapping.cores),
        synaptic_bytes=mapping.synaptic_bytes,
    )


def _weight_bits(network: Network, chip: Chip, map_one: MapOne, layers: frozenset[str]) -> Iterator[Remedy]:
    for bits in sorted(chip.weights.bits.value, reverse=True):
        coarse = requantised(network, bits, layers)
        mapping = mapped(coarse, chip, map_one)
        if mapping is not None:
            error = _largest_change(network, coarse)
            yield Remedy(
                kind="weight_bits",
                what=f"store the weights into {_names(layers)} in {bits} bits (largest change of a weight: {error})",
                cost={"bits": bits, "largest_change": error},
                cores=len(mapping.cores),
                synaptic_bytes=mapping.synaptic_bytes,
            )
            return


def _largest_change(before: Network, after: Network) -> int:
    changes = [0]
    for p, q in zip(before.projections, after.projections):
        if p.synapses is not q.synapses:
            was, now = (np.asarray(getattr(x.synapses, "weights", 0), np.int32) for x in (p, q))
            changes.append(int(np.abs(now - was).max(initial=0)))
    return max(changes)


def _more_chips(network: Network, chip: Chip, map_one: MapOne, error: FitError) -> Iterator[Remedy]:
    if error.binding is None or error.binding["resource"] != "cores":
        return
    chips = math.ceil(int(error.binding["used"]) / chip.cores.count.value)
    for n in (chips, chips + 1):
        mapping = mapped(network, with_chips(chip, n), map_one)
        if mapping is not None:
            yield Remedy(
                kind="chips",
                what=f"use {n} chips of this kind",
                cost={"chips": n},
                cores=len(mapping.cores),
                synaptic_bytes=mapping.synaptic_bytes,
            )
            return


def with_chips(chip: Chip, n: int) -> Chip:
    """Return the target with ``n`` chips."""
    count = chip.system.chips.model_copy(update={"value": n, "source": f"asked for: {n} chips", "grade": "guess"})
    return chip.model_copy(update={"system": chip.system.model_copy(update={"chips": count, "board": None})})


def _other_chips(network: Network, chip: Chip, map_one: MapOne, *, stated: bool = False) -> Iterator[Remedy]:
    """Yield other chips that fit the network and can run it; ``stated``: only those whose file says that they can."""
    for name in chip_names():
        if name == chip.name:
            continue
        try:
            other = load_chip(name)
            offered = can_run(network, other) and (not stated or states_abilities(network, other))
            mapping = mapped(network, other, map_one) if offered else None
        except ChipError:
            continue
        if mapping is not None:
            yield Remedy(
                kind="chip",
                what=f"map to {mapping.chip.chip.title} ({name})",
                cost={"chip": name, "chips": mapping.n_chips},
                cores=len(mapping.cores),
                synaptic_bytes=mapping.synaptic_bytes,
            )


def _names(layers: frozenset[str]) -> str:
    ordered = sorted(layers)
    return f"'{ordered[0]}'" if len(ordered) == 1 else f"all {len(ordered)} layers"
