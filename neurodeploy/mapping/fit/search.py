"""Searches over mappings: the verdict with remedies, and the highest density or smallest chip with which a network fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import check_type
from neurodeploy.mapping.abilities import can_run, check_abilities
from neurodeploy.mapping.fit.verdict import Fit, MapOne, find_verdict, highest_kept, mapped
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity
from neurodeploy.recipe.pins import Pins


@dataclass(frozen=True)
class _MapWith:
    """``map_network`` with all arguments but network and chip fixed; pins are kept only on the chip ``pinned_chip``."""

    split: str
    store_zeros: bool
    pins: Pins | None = None
    pinned_chip: str = ""
    activity: Activity | None = None
    tried: Callable[[Chip], None] | None = None

    def __call__(self, network: Network, chip: Chip) -> Mapping:
        if self.tried is not None:
            self.tried(chip)
        pins = self.pins if chip.name == self.pinned_chip else None
        return map_network(
            network, chip, split=self.split, store_zeros=self.store_zeros, activity=self.activity, pins=pins
        )

    def quick(self) -> MapOne:
        """Return the same with the split ``equal`` in place of those that never take more cores."""
        return replace(self, split="equal") if self.split in ("overlap", "mtkahypar") else self

    def other_ways(self) -> Iterator[tuple[str, str, MapOne]]:
        """Yield other ways to try: without pins, without stored zeros, with the default split."""
        if self.pins is not None and self.pins.layers:
            yield "split", f"leave out the pins of {self.pins.source_file}", replace(self, pins=None)
        if self.store_zeros:
            yield "format", "store no zeros (leave out --store-zeros)", replace(self, store_zeros=False)
        if self.split not in ("overlap", "equal", "mtkahypar"):
            yield "split", "cut layers by --split overlap", replace(self, split="overlap")


def fit(
    network: Network,
    chip: Chip,
    *,
    split: str = "overlap",
    store_zeros: bool = False,
    pins: Pins | None = None,
    activity: Activity | None = None,
    remedies: bool = True,
    other_chips: bool = True,
    tried: Callable[[Chip], None] | None = None,
) -> Fit:
    """Return the verdict whether a network fits a chip: loads against limits, or the broken limit and checked remedies.

    Args:
        network, chip, split, store_zeros, pins, activity: as for ``map_network``.
        remedies: look for remedies if the network does not fit.
        other_chips: whether another chip is a remedy.
        tried: called with the chip before each mapping; where remedies are looked for, there are some twenty.

    Raises:
        UsageError: for an unknown split.
    """
    check_type("map", "network", network, Network, "give a Network: as_network(path)")
    check_type("map", "chip", chip, Chip, "give a Chip: load_chip('loihi1')")
    map_one = _MapWith(split, store_zeros, pins, chip.name, activity, tried)
    return find_verdict(network, chip, map_one, remedies=remedies, other_chips=other_chips)


def find_highest_density(
    network: Network, chip: Chip, *, split: str = "overlap", store_zeros: bool = False
) -> tuple[float, Mapping] | None:
    """Return the largest share of the weights with which the network fits, and its mapping; small weights are removed first.

    1.0 where the network fits as it is; None where it does not fit even with 1/128 of the weights.

    Raises:
        FitError: where no density helps: the chip lacks a kind of neuron, a reset or payloads of inputs.
    """
    check_abilities(network, chip)
    map_one = _MapWith(split, store_zeros)
    whole = mapped(network, chip, map_one)
    if whole is not None:
        return 1.0, whole
    return highest_kept(network, chip, map_one, frozenset(p.name for p in network.populations))


def find_smallest_chip(network: Network, names: Sequence[str], *, split: str = "overlap") -> Mapping | None:
    """Return the mapping on the smallest of the named targets that fits: fewest chips, then fewest cores, then by name.

    None where the network fits none of them. Targets whose neurons cannot run the network are left out.
    """
    chips = [chip for chip in map(load_chip, names) if can_run(network, chip)]
    mappings = [mapped(network, chip, _MapWith(split, False)) for chip in chips]
    fitting = [m for m in mappings if m is not None]
    return min(fitting, key=lambda m: (m.chip.n_chips, m.chip.n_cores, m.chip.name), default=None)
