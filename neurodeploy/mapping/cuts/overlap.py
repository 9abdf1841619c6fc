"""The split ``overlap``: puts neurons that share sources on the same core, so that a spike is sent to fewer cores.

Parts grow greedily by the overlap of their sources, then pairs of neurons change places while that saves messages. The
result never takes more cores than ``equal``, and is kept only where it saves messages or cores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip.layouts import Ints
from neurodeploy.mapping.cuts.equal import equal_cut, least_parts
from neurodeploy.mapping.cuts.hypergraph import Hypergraph, build_hypergraph, fewest_messages, messages
from neurodeploy.mapping.cuts.positions import better_cut
from neurodeploy.mapping.cuts.search import excess
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers

Group: TypeAlias = Callable[[Hypergraph, int], NDArray[np.int32]]
"""A function ``(hypergraph, number of parts) -> part of each neuron``; part sizes differ by at most one neuron."""

WORTH = 0.01
"""A cut is searched only if it could save at least this share of the messages."""
PASSES = 4
"""Largest number of passes over all neurons in which pairs of neurons change places."""
LARGEST_WORK = 5 * 10**7
"""Largest number of entries that a pass of exchanges may look at.

Larger graphs keep the grown parts as they are, so that the time grows in proportion to the synapses.
"""


def overlap_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the cut of one population by overlap, or the equal cut if it is at least as good.

    Raises:
        FitError: if parts of one neuron break a limit of a core.
    """
    return grouped_cut(layers, population, cuts, at_least, grown_cut)


def grown_cut(graph: Hypergraph, parts: int) -> NDArray[np.int32]:
    """Return the part of each neuron, grown by overlap; part sizes differ by at most one neuron."""
    return grown(graph, [(graph.n + i) // parts for i in range(parts - 1, -1, -1)])


def grouped_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int, group: Group) -> Cut:
    """Return the cut found by ``group`` and exchanges of neurons, with as few parts as fit, or else the equal cut.

    A population whose connections share weights is cut into blocks, by channels or by position, because sharing needs
    neighbours on the same core.
    """
    if any(layers.shared(p) is not None for p in layers.network.into(population)):
        return better_cut(layers, population, cuts, at_least)
    equal = equal_cut(layers, population, cuts, at_least)
    if equal.n_parts == 1:
        return equal
    if not _worth_searching(layers, population, equal):
        return equal
    graph = build_hypergraph(layers, population, layers.spikes)
    best, cost = equal, messages(graph, equal)
    if cost - fewest_messages(graph, int(equal.sizes.max())) < WORTH * cost:
        return equal
    for parts in range(equal.n_parts, max(at_least, least_parts(layers, population)) - 1, -1):
        labels = group(graph, parts)
        improve(graph, labels, parts)
        found = Cut(labels, parts)
        no_gain = parts == equal.n_parts and messages(graph, found) >= cost
        if no_gain or excess(layers, population, {**cuts, population: found}):
            break
        best = found
        if not promising(layers, population, found):
            break
    return best


def _worth_searching(layers: Layers, population: str, cut: Cut) -> bool:
    """Return whether another cut could save messages, from the synapses of each source alone.

    The same numbers as those of the hypergraph, which takes longer to build; True where sources meet in several projections.
    """
    into = layers.network.into(population)
    if len({p.source for p in into} | {population}) <= len(into):
        return True
    cost, largest = 0, int(cut.sizes.max())
    saved = 0
    for p in into:
        rate = layers.spikes[p.source] if layers.spikes is not None else 1
        reached = layers.destinations(p, cut)
        fewest = -(-np.bincount(layers.matrix(p).source, minlength=reached.size) // largest)
        cost += int((reached * rate).sum())
        saved += int(((reached - fewest) * rate).sum())
    return saved >= WORTH * cost


def promising(layers: Layers, population: str, cut: Cut) -> bool:
    """Return whether the words of a cut, spread evenly, would fit into one part fewer."""
    limit = layers.limits(population).get("synapse_words")
    total = sum(int(layers.projection_use(p, cut).words.sum()) for p in layers.network.into(population))
    return limit is None or total <= limit * (cut.n_parts - 1)


def improve(graph: Hypergraph, labels: NDArray[np.int32], parts: int) -> None:
    """Exchange neurons between parts, pass after pass, while that saves messages."""
    if graph.pins.size * (parts + graph.n // parts) > LARGEST_WORK:
        return
    for _ in range(PASSES):
        if swap(graph, labels, parts) == 0:
            return


def grown(graph: Hypergraph, sizes: list[int]) -> NDArray[np.int32]:
    """Return the part of each neuron, grown part by part: the next neuron is the one that shares most sources with it.

    A part starts with the free neuron of the lowest number; ties go to the lowest number.
    """
    labels = np.full(graph.n, -1, np.int32)
    taken = -(1 << 60)
    score = np.zeros(graph.n, np.int64)
    for part, size in enumerate(sizes):
        score[labels < 0] = 0
        present = np.zeros(graph.n_edges, np.bool_)
        for _ in range(size):
            neuron = int(score.argmax())
            labels[neuron] = part
            score[neuron] = taken
            edges = graph.edges[graph.pin_start[neuron] : graph.pin_start[neuron + 1]]
            new = edges[~present[edges]]
            present[new] = True
            pins, edge = _pins_of(graph, new)
            np.add.at(score, pins, graph.weight[edge])
    return labels


def _pins_of(graph: Hypergraph, edges: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return all pins of some edges, and the edge of each."""
    start = graph.edge_start[edges]
    length = graph.edge_start[edges + 1] - start
    at = np.arange(length.sum()) + np.repeat(start - np.cumsum(length) + length, length)
    return graph.pins[at], np.repeat(edges, length)


def swap(graph: Hypergraph, labels: NDArray[np.int32], parts: int) -> int:
    """Exchange pairs of neurons between parts (in place in ``labels``) in one pass; return the messages saved.

    For each neuron that would save messages in another part, the partner is the neuron of that part that costs least to
    move back. An exchange is kept only if the exact count of messages falls.
    """
    edge = np.repeat(np.arange(graph.n_edges), np.diff(graph.edge_start))
    count = np.bincount(edge * parts + labels[graph.pins], minlength=graph.n_edges * parts).reshape(-1, parts)
    saved = 0
    for neuron in range(graph.n):
        home = int(labels[neuron])
        gain = _joining(graph, count, neuron, home)
        there = int(gain.argmax())
        if gain[there] <= 0:
            continue
        others = np.flatnonzero(labels == there)
        other = int(others[_moving(graph, count, others, there, home).argmax()])
        saved += _exchanged(graph, count, labels, neuron, other)
    return saved


def _edges(graph: Hypergraph, neuron: int) -> NDArray[np.int32]:
    return graph.edges[graph.pin_start[neuron] : graph.pin_start[neuron + 1]]


def _joining(graph: Hypergraph, count: Ints, neuron: int, home: int) -> Ints:
    """Return the messages saved if a neuron moves from its part ``home`` to each other part, int64 ``(n_parts,)``."""
    edges = _edges(graph, neuron)
    pins, weight = count[edges], graph.weight[edges]
    gain: Ints = weight[pins[:, home] == 1].sum() - weight @ (pins == 0)
    gain[home] = np.iinfo(np.int64).min
    return gain


def _moving(graph: Hypergraph, count: Ints, neurons: Ints, there: int, home: int) -> Ints:
    """Return the messages saved if one neuron moves from part ``there`` to part ``home``, for each of ``neurons``."""
    start = graph.pin_start[neurons]
    length = graph.pin_start[neurons + 1] - start
    at = np.arange(length.sum()) + np.repeat(start - np.cumsum(length) + length, length)
    edges = graph.edges[at]
    value = ((count[edges, there] == 1).astype(np.int64) - (count[edges, home] == 0)) * graph.weight[edges]
    total = np.concatenate([[0], np.cumsum(value)])
    end = np.cumsum(length)
    gain: Ints = total[end] - total[end - length]
    return gain


def _exchanged(graph: Hypergraph, count: Ints, labels: NDArray[np.int32], a: int, b: int) -> int:
    """Exchange the parts of two neurons if that saves messages; return the messages saved, or 0."""
    home, there = int(labels[a]), int(labels[b])
    edges = np.union1d(_edges(graph, a), _edges(graph, b))
    before = ((count[edges][:, [home, there]] > 0).sum(axis=1) * graph.weight[edges]).sum()
    _move(graph, count, a, home, there)
    _move(graph, count, b, there, home)
    after = ((count[edges][:, [home, there]] > 0).sum(axis=1) * graph.weight[edges]).sum()
    if after >= before:
        _move(graph, count, a, there, home)
        _move(graph, count, b, home, there)
        return 0
    labels[a], labels[b] = there, home
    return int(before - after)


def _move(graph: Hypergraph, count: Ints, neuron: int, source: int, target: int) -> None:
    edges = _edges(graph, neuron)
    count[edges, source] -= 1
    count[edges, target] += 1
