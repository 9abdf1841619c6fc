"""Counting of the memory that connections take on each core of a chip, list by list; made by ``limits.py``.

A list holds the synapses of one source neuron on one core. Synapse words are the upper bounds of ``chip/bounds.py``: the
finished network, which does not store weights of 0, never takes more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodeploy.chip import Chip
from neurodeploy.chip.layouts import Ints
from neurodeploy.errors import FitError
from neurodeploy.mapping.memory.cut import Cut


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedLayer:
    """A dense layer on its cores.

    ``n_sources``: number of neurons or inputs that may connect to the layer; ``source``: the layer of these neurons, None
    where the host sends their spikes; ``limits``: register -> limit of a core (of a source for ``destinations``).
    Positions, lists, cores and sources are numbered consecutively over all layers; ``first_position``, ``first_list``,
    ``first_core`` and ``first_source`` are the first numbers of this layer.
    """

    name: str
    cut: Cut
    n_sources: int
    source: str | None
    limits: Mapping[str, int]
    first_position: int
    first_list: int
    first_core: int
    first_source: int

    @property
    def n_positions(self) -> int:
        """Number of possible connections."""
        return self.cut.labels.size * self.n_sources


@dataclass(frozen=True, slots=True, eq=False)
class Meter:
    """The account of one register: each list is charged to a place, and the sum of a place has a limit.

    A place is a core, or a source for the register ``destinations``. ``key`` int64 ``(n_lists,)``: place of each list, -1
    if it is charged nowhere; ``limit`` int64 ``(n_places,)``; a list of ``w`` words costs ``per_word * w + per_list``.
    """

    register: str
    key: Ints
    per_word: int
    per_list: int
    limit: Ints

    def cost(self, words: Ints, opened: NDArray[np.bool_]) -> Ints:
        """Return the cost of lists that grow by ``words``; ``opened`` marks lists that are new."""
        return self.per_word * words + self.per_list * opened


@dataclass(frozen=True, kw_only=True, eq=False)
class ChipBudget:
    """Limits of a chip's cores for all connections of a network; made by ``chip_budget``.

    A position is a possible connection; positions run over the layers in order, each in C order of ``(neurons, sources)``.
    ``list_of`` int32 ``(n_positions,)``: list of each position; ``core`` int64 ``(n_lists,)``: core of each list; ``words``
    int64 ``(n_formats, n_cores, longest list + 1)``: words of a list by format, core and length.
    """

    chip: Chip
    layers: tuple[PlacedLayer, ...]
    formats: tuple[str, ...]
    list_of: NDArray[np.int32]
    core: Ints
    words: Ints
    meters: tuple[Meter, ...]

    def room(self, active: NDArray[np.bool_]) -> BudgetRoom:
        """Return the room that the limits leave for further connections.

        Args:
            active: the connections that are there, bool ``(n_positions,)``.

        Raises:
            FitError: if they break a limit; names layer, core, register, amount and limit.
        """
        count = self._lengths(active)
        words = self._best_words(count)
        used = self._used(count, words)
        for meter, amount in zip(self.meters, used):
            if (amount > meter.limit).any():
                raise self._excess(meter, amount)
        return BudgetRoom(self, count, words, [meter.limit - amount for meter, amount in zip(self.meters, used)])

    def lists(self, name: str) -> Ints:
        """Return the list of each position of a layer, int64 ``(n_positions,)`` in C order; its lists count from 0."""
        layer = self._layer(name)
        own = self.list_of[layer.first_position : layer.first_position + layer.n_positions]
        return own.astype(np.int64) - layer.first_list

    def reach(self, name: str, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return for each possible connection how many synapses its source has on that core, relative to that core's mean.

        0 where the source has no synapse on the core, 1 where it has as many as the mean over all sources; float32, with
        the shape of ``mask``.
        """
        layer, lists = self._layer(name), self.lists(name)
        n_lists = layer.cut.n_parts * layer.n_sources
        count = np.bincount(lists[mask.ravel()], minlength=n_lists).reshape(layer.cut.n_parts, -1)
        share = count / np.maximum(count.mean(axis=1, keepdims=True), 1 / layer.n_sources)
        by_position: NDArray[np.float32] = share.astype(np.float32).ravel()[lists]
        return by_position.reshape(mask.shape)

    def usage(self, masks: Mapping[str, ArrayLike]) -> dict[str, dict[str, Ints]]:
        """Return the amounts that masks take, layer -> register -> int64 ``(n_cores_of_layer,)``.

        The registers are ``synapse_words``, ``input_axons`` and ``destinations`` (of the sources with synapses on a core,
        the largest number of cores that one of them reaches).
        """
        count = self._lengths(self.join(masks))
        words = self._best_words(count)[self.core, count]
        found = {}
        for layer in self.layers:
            part = slice(layer.first_list, layer.first_list + layer.cut.n_parts * layer.n_sources)
            lengths = count[part].reshape(layer.cut.n_parts, -1)
            reached = (lengths > 0).sum(axis=0)
            found[layer.name] = {
                "synapse_words": words[part].reshape(lengths.shape).sum(axis=1),
                "input_axons": (lengths > 0).sum(axis=1),
                "destinations": np.where(lengths > 0, reached, 0).max(axis=1),
            }
        return found

    def join(self, masks: Mapping[str, ArrayLike]) -> NDArray[np.bool_]:
        """Return the masks of all layers as one array, bool ``(n_positions,)``."""
        return np.concatenate([np.asarray(masks[layer.name], np.bool_).ravel() for layer in self.layers])

    def _layer(self, name: str) -> PlacedLayer:
        return next(layer for layer in self.layers if layer.name == name)

    def _lengths(self, active: NDArray[np.bool_]) -> Ints:
        return np.bincount(self.list_of[active], minlength=self.core.size)

    def _best_words(self, count: Ints) -> Ints:
        """Return the words by core and length, ``(n_cores, longest + 1)``, in the format that is shortest on each core."""
        n_cores = self.words.shape[1]
        total = np.zeros((len(self.formats), n_cores), np.int64)
        for fmt, table in zip(total, self.words):
            np.add.at(fmt, self.core, table[self.core, count])
        chosen: Ints = self.words[total.argmin(axis=0), np.arange(n_cores)]
        return chosen

    def _used(self, count: Ints, words: Ints) -> list[Ints]:
        cost = words[self.core, count], count > 0
        return [add_up(meter.key, meter.cost(*cost), meter.limit.size) for meter in self.meters]

    def _excess(self, meter: Meter, amount: Ints) -> FitError:
        place = int((amount - meter.limit).argmax())
        used, limit = int(amount[place]), int(meter.limit[place])
        lists = np.flatnonzero(meter.key == place)
        layer = next(layer for layer in reversed(self.layers) if layer.first_list <= lists[0])
        core = int(self.core[lists[0]]) - layer.first_core
        where = f"source {place - layer.first_source}" if meter.register == "destinations" else f"core {core}"
        return FitError(
            f"budget: layer '{layer.name}' takes {used} {meter.register.replace('_', ' ')} on its {where}, but the limit is "
            f"{limit}; fit the masks to the budget first (neurodeploy.sparse.fitted)",
            {"layer": layer.name, "core": core, "resource": meter.register, "used": used, "limit": limit},
        )


@dataclass(slots=True, eq=False)
class BudgetRoom:
    """The room that a ``ChipBudget`` leaves for further connections (a ``sparse.selection.Room``).

    ``count``: synapses of each list, int64 ``(n_lists,)``; ``words``: words of a list by core and length; ``left``: for each
    meter the amount that is left at each place.
    """

    budget: ChipBudget
    count: Ints
    words: Ints
    left: list[Ints]

    def fits(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which positions could take a connection if it were the only new one, bool, shape of ``positions``."""
        core, longest = self.budget.core, self.words.shape[1] - 1
        longer = np.minimum(self.count + 1, longest)
        added, opened = self.words[core, longer] - self.words[core, self.count], self.count == 0
        possible = np.ones(core.size, np.bool_)
        for meter, left in zip(self.budget.meters, self.left):
            cost = meter.cost(added, opened)
            possible &= (cost == 0) | (meter.key < 0) | (left[meter.key] >= cost)
        found: NDArray[np.bool_] = possible[self.budget.list_of[positions]]
        return found

    def admit(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Add connections at these positions, in order, as far as all limits allow; return which were added.

        A position is charged together with all positions before it, even those that were refused.
        """
        lists = self.budget.list_of[positions].astype(np.int64)
        core = self.budget.core[lists]
        before = self.count[lists] + running(lists, np.ones_like(lists)) - 1
        added, opened = self.words[core, before + 1] - self.words[core, before], before == 0
        taken = np.ones(positions.size, np.bool_)
        for meter, left in zip(self.budget.meters, self.left):
            key, cost = meter.key[lists], meter.cost(added, opened)
            taken &= (cost == 0) | (key < 0) | (running(key, cost) <= left[key])
        # the price of a synapse assumes all synapses before it in its list, so it is refused if one of them is
        taken &= running(lists, (~taken).astype(np.int64)) == 0
        self.count += np.bincount(lists[taken], minlength=self.count.size)
        for meter, left in zip(self.budget.meters, self.left):
            left -= add_up(meter.key[lists[taken]], meter.cost(added[taken], opened[taken]), left.size)
        return taken


def running(key: Ints, values: Ints) -> Ints:
    """Return for each element the sum of the values with the same key up to and including this element."""
    order = np.argsort(key, kind="stable")
    total = np.cumsum(values[order])
    first = np.flatnonzero(np.diff(key[order], prepend=key[order][:1] - 1))
    before = np.repeat(total[first] - values[order][first], np.diff(first, append=key.size))
    found: Ints = np.empty(key.size, np.int64)
    found[order] = total - before
    return found


def add_up(key: Ints, values: Ints, n: int) -> Ints:
    """Return the sum of the values of each key in ``0..n - 1``; values with a key below 0 are ignored."""
    total = np.zeros(n, np.int64)
    np.add.at(total, key[key >= 0], values[key >= 0])
    return total
