"""A population cut into parts, and what each part takes of every memory of a core."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip, SynapseFormat
from neurodeploy.mapping.formats import LIST_RULES, Ints, Lists, lava_conv_words, words
from neurodeploy.mapping.synapses import Matrix, conv_of, delay_bits, matrix_of, stored_bits
from neurodeploy.network import Conv, Network, Projection

TOO_LONG = 2**40
"""Words charged for a list that is longer than its format allows, so that the format is not chosen."""


@dataclass(frozen=True, eq=False)
class Cut:
    """Part of each neuron of a population: int32 ``(n_neurons,)`` in ``0..n_parts - 1``."""

    labels: NDArray[np.int32]
    n_parts: int

    @staticmethod
    def blocks(n_neurons: int, size: int) -> Cut:
        """Return contiguous parts of ``size`` neurons; the last part holds the rest."""
        return Cut((np.arange(n_neurons) // size).astype(np.int32), -(-n_neurons // size))

    @cached_property
    def sizes(self) -> Ints:
        """Neurons of each part."""
        return np.bincount(self.labels, minlength=self.n_parts)

    @cached_property
    def contiguous(self) -> bool:
        """Whether the parts follow one another in the order of the neurons."""
        return bool(np.all(np.diff(self.labels) >= 0))

    @cached_property
    def local(self) -> Ints:
        """Number of each neuron within its part."""
        order = np.argsort(self.labels, kind="stable")
        local = np.empty(self.labels.size, np.int64)
        local[order] = np.arange(order.size) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        return local

    def members(self, part: int) -> NDArray[np.int32]:
        """Return the neurons of a part, rising."""
        return np.flatnonzero(self.labels == part).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Lists2D:
    """The lists of a matrix on a cut: one for each source neuron and part between which there is a synapse."""

    lists: Lists
    source: NDArray[np.int32]
    part: NDArray[np.int32]


def lists_on(matrix: Matrix, cut: Cut) -> Lists2D:
    """Return the lists that a matrix takes when its targets are cut into parts."""
    source, target = matrix.source, matrix.target
    part = cut.labels[target]
    local = cut.local[target]
    if not cut.contiguous:
        order = np.lexsort((local, part, source))
        source, part, local = source[order], part[order], local[order]
    new = np.ones(source.size, np.bool_)
    new[1:] = (source[1:] != source[:-1]) | (part[1:] != part[:-1])
    owner = np.cumsum(new) - 1
    return Lists2D(Lists(owner, local, int(new.sum())), source[new], part[new])


@dataclass(frozen=True, eq=False)
class ProjectionUse:
    """What a projection takes on each part of its target; arrays ``(n_parts,)``.

    ``formats`` holds the chosen format a part, ``weight_bits`` its width, ``stored`` the weights in memory, ``axons``
    the input axons.
    """

    words: Ints
    formats: list[str]
    weight_bits: list[int]
    stored: Ints
    axons: Ints


@dataclass(frozen=True, eq=False)
class Layers:
    """A network and a chip, with the synapses of each projection read once.

    ``zeros`` stores the zeros of matrices too, as Lava's ``Dense`` process does on Loihi 2.
    """

    network: Network
    chip: Chip
    zeros: bool = False
    _matrices: dict[str, Matrix] = field(default_factory=dict)
    _destinations: dict[tuple[str, Cut], Ints] = field(default_factory=dict)

    def matrix(self, projection: Projection) -> Matrix:
        """Return the stored synapses of a projection (convolutions unrolled)."""
        if projection.name not in self._matrices:
            zeros = self.zeros and conv_of(projection) is None
            self._matrices[projection.name] = matrix_of(projection, zeros=zeros)
        return self._matrices[projection.name]

    def shared(self, projection: Projection) -> SynapseFormat | None:
        """Return the format in which the chip shares the kernels of this projection, None where it does not."""
        if conv_of(projection) is None:
            return None
        return next((f for f in self.chip.synapse_format if f.connection == "shared"), None)

    def delay(self, population: str) -> int:
        """Return the widest delay of the projections into a population, in bits."""
        return max((delay_bits(p, self.chip) for p in self.network.into(population)), default=0)

    def limits(self, population: str) -> dict[str, int]:
        """Return the limits of a core that holds neurons of ``population``: those of the chip, fewer with delays."""
        limits = dict(self.chip.cores.limits)
        address, delay = self.chip.weights.delay_address_bits, self.delay(population)
        if address is not None and delay:
            limits["neurons"] = min(limits["neurons"], 1 << (address.value - delay))
        return limits

    def projection_use(self, projection: Projection, cut: Cut) -> ProjectionUse:
        """Return what a projection takes on each part of its target."""
        shared = self.shared(projection)
        if shared is not None:
            return self._shared_use(projection, shared, cut)
        return self._list_use(projection, cut)

    def _list_use(self, projection: Projection, cut: Cut) -> ProjectionUse:
        matrix = self.matrix(projection)
        on = lists_on(matrix, cut)
        formats = [f for f in self.chip.synapse_format if f.connection == "list"]
        delay = delay_bits(projection, self.chip)
        widths = [stored_bits(projection, matrix.weight, f, self.chip) for f in formats]
        per_format = [self._layout(on, width + delay, f, cut.n_parts) for f, width in zip(formats, widths)]
        all_words = np.stack([words for words, _ in per_format])
        best = np.argmin(all_words, axis=0)
        parts = np.arange(cut.n_parts)
        return ProjectionUse(
            words=all_words[best, parts],
            formats=[formats[i].name for i in best],
            weight_bits=[widths[i] for i in best],
            stored=np.stack([stored for _, stored in per_format])[best, parts],
            axons=np.bincount(on.part, minlength=cut.n_parts),
        )

    def _layout(self, on: Lists2D, width: int, fmt: SynapseFormat, n_parts: int) -> tuple[Ints, Ints]:
        """Return words and stored weights of one format on each part."""
        layout = LIST_RULES[fmt.rule](on.lists, width, fmt)
        per_list = words(fmt, layout.bits, self.word_bits)
        if fmt.axon_words_max is not None:
            per_list = np.where(per_list > fmt.axon_words_max.value, TOO_LONG, per_list)
        return _sum_by(on.part, per_list, n_parts), _sum_by(on.part, layout.stored, n_parts)

    def _shared_use(self, projection: Projection, fmt: SynapseFormat, cut: Cut) -> ProjectionUse:
        conv = conv_of(projection)
        assert conv is not None
        width = stored_bits(projection, np.unique(conv.weights), fmt, self.chip)
        delay = delay_bits(projection, self.chip)
        here = channels_on(conv, cut)
        taps = int(np.prod(conv.weights.shape[1:]))
        by_group = here.reshape(cut.n_parts, conv.groups, -1).sum(axis=2)
        one = np.array([lava_conv_words(c, width + delay, fmt, self.word_bits) for c in range(by_group.max() + 1)])
        shared_in = self.chip.axons.shared_in if self.chip.axons else None
        return ProjectionUse(
            words=taps * one[by_group].sum(axis=1),
            formats=[fmt.name] * cut.n_parts,
            weight_bits=[width] * cut.n_parts,
            stored=taps * here.sum(axis=1),
            axons=np.full(cut.n_parts, shared_in.value if shared_in else 0),
        )

    def lists(self, projection: Projection, target: Cut) -> Lists2D:
        """Return the lists of a projection (convolutions unrolled) on the parts of its target."""
        return lists_on(self.matrix(projection), target)

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
        count = self.chip.cores.word_bits
        return count.value if count else 8

    def use(self, population: str, cuts: dict[str, Cut]) -> dict[str, Ints]:
        """Return what each part of a population takes of each register; populations not in ``cuts`` are left out."""
        cut = cuts[population]
        into = [self.projection_use(p, cut) for p in self.network.into(population)]
        used = {
            "neurons": cut.sizes,
            "input_axons": sum((u.axons for u in into), np.zeros(cut.n_parts, np.int64)),
            "output_axons": self._output_axons(population, cuts),
            "axon_map": cut.sizes * self._entries("map_per_neuron"),
            "neuron_groups": np.ones(cut.n_parts, np.int64),
            "synapse_words": sum((u.words for u in into), np.zeros(cut.n_parts, np.int64)),
        }
        if self.chip.cores.pool_words is not None:
            pooled = ("input_axons", "neurons", "synapse_words", "axon_map", "output_axons")
            used["pool_words"] = sum((used[name] for name in pooled), np.zeros(cut.n_parts, np.int64))
        return {name: amount for name, amount in used.items() if name in self.chip.cores.limits}

    def _entries(self, name: str) -> int:
        count = getattr(self.chip.axons, name, None)
        return count.value if count is not None else 0

    def _output_axons(self, population: str, cuts: dict[str, Cut]) -> Ints:
        cut = cuts[population]
        total = np.zeros(cut.n_parts, np.int64)
        for p in self.network.projections:
            entries = self._entries("discrete_out" if self.shared(p) is None else "shared_out")
            if p.source == population and p.target in cuts and entries:
                total += entries * _sum_by(cut.labels, self.destinations(p, cuts[p.target]), cut.n_parts)
        return total


def channels_on(conv: Conv, cut: Cut) -> NDArray[np.bool_]:
    """Return which output channels of a convolution have a neuron on each part: bool ``(n_parts, c_out)``."""
    c_out, height, width = conv.output_shape
    present = np.zeros((cut.n_parts, c_out), np.bool_)
    present[cut.labels, np.repeat(np.arange(c_out), height * width)] = True
    return present


def _sum_by(label: NDArray[np.int32], values: Ints, n: int) -> Ints:
    """Add up whole numbers by label; sums stay far below 2**53, so that float64 holds them exactly."""
    return np.bincount(label, weights=values, minlength=n).astype(np.int64)
