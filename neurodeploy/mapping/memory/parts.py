"""Use of each memory of a core by each part of a population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip, SynapseFormat
from neurodeploy.chip.layouts import Ints, packed_words
from neurodeploy.chip.rules import RULES, list_rule, words
from neurodeploy.mapping.memory.cut import Cut, Lists2D, lists_on, sum_by
from neurodeploy.mapping.memory.kernels import map_entries, shared_memory
from neurodeploy.mapping.memory.synapses import (
    ByTarget,
    Matrix,
    conv_of,
    delay_bits,
    matrix_of,
    stored_bits,
    weights_of,
)
from neurodeploy.network import Network, Projection

__all__ = ["Cut", "Layers", "ProjectionUse", "lists_on"]

TOO_LONG = 2**40
"""Words charged for a list that is longer than its format allows, so that the format is not chosen."""


@dataclass(frozen=True, eq=False)
class ProjectionUse:
    """The memory of a projection on each part of its target; arrays and lists of length ``n_parts``.

    ``words``: words of synaptic memory; ``formats``: the chosen format; ``weight_bits``: stored bits of a weight in that
    format; ``stored``: weights in memory; ``axons``: input axons.
    """

    words: Ints
    formats: list[str]
    weight_bits: list[int]
    stored: Ints
    axons: Ints


def list_memory(
    on: Lists2D, width: int, fmt: SynapseFormat, n_parts: int, word_bits: int, most_words: int | None = None
) -> tuple[Ints, Ints]:
    """Return words and stored weights of a matrix in one list format on each part, int64 ``(n_parts,)``.

    Args:
        on: the synapses as lists, by part and source.
        width: bits of a weight with its delay.
        word_bits: bits of a word of memory.
        most_words: a list of more words than this is charged ``TOO_LONG``.
    """
    layout = list_rule(fmt)(on.lists, width, fmt)
    stored = sum_by(on.part, layout.stored, n_parts)
    if RULES[fmt.rule].packed:
        return packed_words(stored, width, word_bits), stored
    per_list = words(fmt, layout.bits, word_bits)
    if most_words is not None:
        per_list = np.where(per_list > most_words, TOO_LONG, per_list)
    return sum_by(on.part, per_list, n_parts), stored


def _most_words(fmt: SynapseFormat) -> int | None:
    return None if fmt.axon_words_max is None else fmt.axon_words_max.value


@dataclass(frozen=True, eq=False)
class Layers:
    """A network and a chip, with caches for the synapses and the memory of each projection.

    Args:
        zeros: store the zeros of matrices too, as Lava's ``Dense`` process does on Loihi 2.
        spikes: number of spikes of each neuron by population and input, if known, so that busy neurons weigh more.
        split: name of the split, for synapse formats that are reserved for one.
        bits: weight width by population where the user pins a wider one than the weights need.
    """

    network: Network
    chip: Chip
    zeros: bool = False
    spikes: Mapping[str, Ints] | None = None
    split: str = ""
    bits: Mapping[str, int] = field(default_factory=dict)
    _matrices: dict[str, Matrix] = field(default_factory=dict)
    _widths: dict[tuple[str, str], int] = field(default_factory=dict)
    _destinations: dict[tuple[str, Cut], Ints] = field(default_factory=dict)
    _uses: dict[tuple[str, Cut], ProjectionUse] = field(default_factory=dict)
    _by_target: dict[str, ByTarget] = field(default_factory=dict)
    _last_lists: dict[str, tuple[Cut, Lists2D]] = field(default_factory=dict)

    def matrix(self, projection: Projection) -> Matrix:
        """Return the stored synapses of a projection (convolutions unrolled)."""
        if projection.name not in self._matrices:
            whole = self.zeros or any(RULES[f.rule].whole_matrix for f in self.list_formats)
            zeros = whole and conv_of(projection) is None
            self._matrices[projection.name] = matrix_of(projection, zeros=zeros)
        return self._matrices[projection.name]

    def shared(self, projection: Projection) -> SynapseFormat | None:
        """Return the format in which the chip stores the shared kernels of this projection, None if it shares none."""
        if conv_of(projection) is None or any(f.split is not None for f in self.list_formats):
            return None
        return next((f for f in self.chip.synapse_format if f.connection == "shared"), None)

    def delay(self, population: str) -> int:
        """Return the bits of the longest delay of all projections into a population."""
        return max((delay_bits(p, self.chip) for p in self.network.into(population)), default=0)

    def limits(self, population: str) -> dict[str, int]:
        """Return the limits of a core that holds neurons of ``population``; with delays it can hold fewer neurons."""
        limits = dict(self.chip.cores.limits)
        address, delay = self.chip.weights.delay_address_bits, self.delay(population)
        if address is not None and delay:
            limits["neurons"] = min(limits["neurons"], 1 << (address.value - delay))
        return limits

    def projection_use(self, projection: Projection, cut: Cut) -> ProjectionUse:
        """Return the memory of a projection on each part of its target."""
        key = (projection.name, cut)
        if key not in self._uses:
            shared = self.shared(projection)
            if shared is None:
                self._uses[key] = self._list_use(projection, self.lists(projection, cut), cut.n_parts)
            else:
                self._uses[key] = self._shared_use(projection, shared, cut)
        return self._uses[key]

    @property
    def list_formats(self) -> list[SynapseFormat]:
        """The formats in which the chip can store a matrix with this split."""
        own = [f for f in self.chip.synapse_format if f.split is not None and f.split == self.split]
        return own or [f for f in self.chip.synapse_format if f.connection == "list" and f.split is None]

    def width(self, projection: Projection, fmt: SynapseFormat) -> int:
        """Return the stored bits of a weight of a projection in a list format."""
        key = (projection.name, fmt.name if RULES[fmt.rule].own_bits is not None else "")
        if key not in self._widths:
            self._widths[key] = self._stored_bits(projection, weights_of(projection), fmt)
        return self._widths[key]

    def _stored_bits(self, projection: Projection, weights: NDArray[np.int16], fmt: SynapseFormat) -> int:
        return stored_bits(self.network, projection, weights, fmt, self.chip, self.bits.get(projection.target))

    def first_axons(self, population: str) -> Ints:
        """Return the input axons of the first 1, 2, .. neurons of a population together, int64 ``(n_neurons,)``.

        Axons of connections with shared weights are left out.
        """
        n = self.network.population(population).size
        first = np.zeros(n, np.int64)
        for p in self.network.into(population):
            if self.shared(p) is None:
                matrix = self.matrix(p)
                starts = np.flatnonzero(np.diff(matrix.source, prepend=-1))
                first += np.bincount(matrix.target[starts], minlength=n)
        return np.cumsum(first)

    def block_overflows(self, population: str, start: int, size: int) -> bool:
        """Return whether the incoming synapses of ``size`` neurons from ``start`` on overfill a core.

        Looks at these synapses only, so that a split can skip many sizes quickly. False where weights are shared.
        """
        limits, into = self.limits(population), self.network.into(population)
        if any(self.shared(p) is not None for p in into):
            return False
        stop = min(start + size, self.network.population(population).size)
        words, axons, block = 0, 0, Cut.blocks(stop - start, stop - start)
        for p in into:
            on = lists_on(self.matrix(p).onto(self.by_target(p), start, stop), block)
            axons += on.lists.n_lists
            if axons > limits.get("input_axons", axons):
                return True
            words += int(self._list_use(p, on, 1).words[0])
        return words > limits.get("synapse_words", words)

    def by_target(self, projection: Projection) -> ByTarget:
        """Return the synapses of a projection by target."""
        if projection.name not in self._by_target:
            self._by_target[projection.name] = ByTarget.of(self.matrix(projection))
        return self._by_target[projection.name]

    def _list_use(self, projection: Projection, on: Lists2D, n_parts: int) -> ProjectionUse:
        formats = self.list_formats
        delay = delay_bits(projection, self.chip)
        widths = [self.width(projection, f) for f in formats]
        per_format = [
            list_memory(on, width + delay, f, n_parts, self.word_bits, _most_words(f))
            for f, width in zip(formats, widths)
        ]
        all_words = np.stack([words for words, _ in per_format])
        best = np.argmin(all_words, axis=0)
        parts = np.arange(n_parts)
        return ProjectionUse(
            words=all_words[best, parts],
            formats=[formats[i].name for i in best],
            weight_bits=[widths[i] for i in best],
            stored=np.stack([stored for _, stored in per_format])[best, parts],
            axons=np.bincount(on.part, minlength=n_parts),
        )

    def _shared_use(self, projection: Projection, fmt: SynapseFormat, cut: Cut) -> ProjectionUse:
        conv = conv_of(projection)
        assert conv is not None
        bits = self._stored_bits(projection, np.unique(conv.weights), fmt)
        width = bits + delay_bits(projection, self.chip)
        run = self.chip.run_channels
        words, stored, lists = shared_memory(conv, self.lists(projection, cut), cut, width, fmt, self.word_bits, run)
        return ProjectionUse(
            words=words,
            formats=[fmt.name] * cut.n_parts,
            weight_bits=[bits] * cut.n_parts,
            stored=stored,
            axons=lists * self._entries("shared_in"),
        )

    def lists(self, projection: Projection, target: Cut) -> Lists2D:
        """Return the lists of a projection (convolutions unrolled) on the parts of its target; caches the last result."""
        if projection.name not in self._last_lists or self._last_lists[projection.name][0] is not target:
            self._last_lists[projection.name] = (target, lists_on(self.matrix(projection), target))
        return self._last_lists[projection.name][1]

    def destinations(self, projection: Projection, target: Cut) -> Ints:
        """Return the number of parts of the target that each source neuron sends to, int64 ``(n_source,)``."""
        key = (projection.name, target)
        if key not in self._destinations:
            n_source = self.matrix(projection).n_source
            self._destinations[key] = np.bincount(self.lists(projection, target).source, minlength=n_source)
        return self._destinations[key]

    @property
    def word_bits(self) -> int:
        """Bits of a word of synaptic memory."""
        return self.chip.cores.bits_per_word

    def use(self, population: str, cuts: dict[str, Cut]) -> dict[str, Ints]:
        """Return register -> amount that each part of a population takes; targets that are not in ``cuts`` are left out."""
        cut = cuts[population]
        into = [self.projection_use(p, cut) for p in self.network.into(population)]
        used = {
            "neurons": cut.sizes,
            "input_axons": sum((u.axons for u in into), np.zeros(cut.n_parts, np.int64)),
            "output_axons": self.output_axons(population, cuts),
            "axon_map": self._axon_map(population, cut),
            "neuron_groups": np.ones(cut.n_parts, np.int64),
            "synapse_words": sum((u.words for u in into), np.zeros(cut.n_parts, np.int64)),
        }
        if self.chip.cores.pool_words is not None:
            pooled = ("input_axons", "neurons", "synapse_words", "axon_map", "output_axons")
            used["pool_words"] = sum((used[name] for name in pooled), np.zeros(cut.n_parts, np.int64))
        if self.chip.cores.destinations is not None:
            used["destinations"] = _max_by(cut, self._destinations_of(population, cuts))
        if self.chip.cores.weight_values is not None:
            used["weight_values"] = _max_by(cut, self._weight_values(population))
        return {name: amount for name, amount in used.items() if name in self.chip.cores.limits}

    def _destinations_of(self, population: str, cuts: dict[str, Cut]) -> Ints:
        """Return the number of cores that each neuron of a population sends to."""
        total = np.zeros(self.network.population(population).size, np.int64)
        for p in self.network.out_of(population):
            if p.target in cuts:
                total += self.destinations(p, cuts[p.target])
        return total

    def _weight_values(self, population: str) -> Ints:
        """Return the number of different weights other than 0 that each neuron of a population receives."""
        n = self.network.population(population).size
        found = [m.target * np.int64(1 << 16) + m.weight for m in map(self.matrix, self.network.into(population))]
        different = np.unique(np.concatenate([np.zeros(0, np.int64), *found])) + (1 << 15)
        target, weight = different >> 16, (different & 0xFFFF) - (1 << 15)
        return np.bincount(target[weight != 0], minlength=n)

    def _entries(self, name: str) -> int:
        count = getattr(self.chip.axons, name, None)
        return count.value if count is not None else 0

    def _axon_map(self, population: str, cut: Cut) -> Ints:
        """Return the axon map entries of each part: one a neuron, or fewer where it only feeds convolutions."""
        entries, run = self._entries("map_per_neuron"), self.chip.run_channels
        sent = self.network.out_of(population)
        convs = [conv_of(p) for p in sent if self.shared(p) is not None]
        if run is None or not sent or len(convs) < len(sent):
            return cut.sizes * entries
        shared: Ints = np.max([map_entries(conv, cut, run) for conv in convs if conv is not None], axis=0)
        return entries * shared

    def output_axons(self, population: str, cuts: dict[str, Cut]) -> Ints:
        """Return the output entries that each part of a population takes for the parts of populations in ``cuts``."""
        cut = cuts[population]
        total = np.zeros(cut.n_parts, np.int64)
        for p in self.network.out_of(population):
            entries = self._entries("discrete_out" if self.shared(p) is None else "shared_out")
            if p.target in cuts and entries:
                total += entries * sum_by(cut.labels, self.destinations(p, cuts[p.target]), cut.n_parts)
        return total


def _max_by(cut: Cut, values: Ints) -> Ints:
    """Return the largest value of each part."""
    largest = np.zeros(cut.n_parts, np.int64)
    np.maximum.at(largest, cut.labels, values)
    return largest
