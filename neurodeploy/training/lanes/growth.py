"""Growth of connections without a dense matrix: the largest gradients of absent positions, and positions at random.

The dense gradient is computed for 16 neurons at a time; what is not among the largest so far is forgotten at once. The set
is the one that a dense gradient with a sort gives. Equal scores at the border are all kept, or drawn at random if they are
zeros, so that the choice among them stays as random as ``sparse.selection.ranked`` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.storage import aligned
from neurodeploy.engines.event.vector import lowest_bit
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.vectors import absolute, load_16, spread_16, store, word
from neurodeploy.errors import TrainingError
from neurodeploy.files.loops import compiled
from neurodeploy.training.lanes.gradients import BLOCK, fill_block

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_SPARE = 4
"""Candidates are gathered until there are this many times as many as wanted; then the smallest are forgotten."""
_LEAST = 2**14
_SMALLEST = np.float32(2.0**-149)
_jit = compiled(nogil=True)


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """What a dense gradient of a layer follows from: the spikes that came in and the errors, ``(targets, stride)``.

    ``weight`` multiplies the gradient in a sum of several passes; ``decay`` multiplies the sum of those before it.
    """

    spikes: Spikes
    errors: Floats
    weight: float = 1.0
    decay: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Absent positions, flat int64, and the size of their scores, float32; highest first."""

    position: Ints
    score: Floats


def largest_absent(
    passes: Sequence[Pass], stored: Ints, start: Ints, count: int, generator: np.random.Generator
) -> Candidates:
    """Return the ``count`` absent positions of a matrix with the largest gradients, and all that equal the last of them.

    If fewer positions have a gradient other than 0, the rest are drawn among the others, all alike.

    Args:
        passes: one for the gradient of a step (RigL); several, in order, for a running average or a sum: the result of
            each is ``decay * before + weight * gradient`` in float32, as a dense buffer would hold it.
        stored: flat positions of the connections that exist, rising.
        start: where those of each target begin, ``(targets + 1,)``.
        count: positions wanted, at most those that are absent.
        generator: draws among positions without a gradient.

    Raises:
        TrainingError: if more are wanted than are absent.
    """
    n_targets, n_sources = start.size - 1, passes[0].spikes.size
    size = n_targets * n_sources
    _check(count, size, stored)
    if count == 0:
        return Candidates(np.zeros(0, np.int64), np.zeros(0, np.float32))
    room = max(_SPARE * count, _LEAST)
    position, score = np.empty(room, np.int64), np.empty(room, np.float32)
    n, level = 0, np.float32(0)
    for first, held, total in _blocks(passes, n_targets):
        _leave_out(stored, start, first, held, n_sources, total)
        done = 0
        while done < n_sources:
            done, n = _above(total, held, first, n_sources, done, level, position, score, n)
            if done < n_sources:
                level, n = _forget(position, score, n, count)
                if n > len(position) // 2:
                    position, score = np.resize(position, 2 * len(position)), np.resize(score, 2 * len(score))
    level, n = _forget(position, score, n, count)
    return _filled(Candidates(position[:n], score[:n]), size, stored, count, generator)


def dense_gradient(passes: Sequence[Pass], n_targets: int) -> Floats:
    """Return the gradient at every position of a matrix, float32 ``(targets, sources)``, with ``largest_absent``'s sums."""
    n_sources = passes[0].spikes.size
    dense: Floats = np.empty((n_targets, n_sources), np.float32)
    for first, held, total in _blocks(passes, n_targets):
        dense[first : first + held] = total.reshape(n_sources, BLOCK)[:, :held].T
    return dense


def _blocks(passes: Sequence[Pass], n_targets: int) -> Iterator[tuple[int, int, Floats]]:
    """Yield the gradients of ``BLOCK`` targets at a time: the first one, how many there are, and their sums over the passes.

    The sums, float32 ``(sources * BLOCK,)``, are written over by the next block.
    """
    n_sources = passes[0].spikes.size
    side = aligned(max(one.spikes.span.stride for one in passes) * BLOCK, np.float32)
    block, total = aligned(n_sources * BLOCK, np.float32), aligned(n_sources * BLOCK, np.float32)
    wanted = np.ones(n_sources, np.uint8)
    for first in range(0, n_targets, BLOCK):
        held = min(BLOCK, n_targets - first)
        for k, one in enumerate(passes):
            rows = one.spikes.by_row
            events = rows.start, rows.lane, rows.value
            alone = k == 0 and one.weight == 1
            into = total if alone else block
            fill_block(one.errors.reshape(-1), one.spikes.span.stride, events, first, held, wanted, side, into)
            if not alone:
                _gathered(block, total, np.float32(one.decay), np.float32(one.weight), k == 0)
        yield first, held, total


def largest_of(score: Floats, stored: Ints, count: int, generator: np.random.Generator) -> Candidates:
    """Return the ``count`` absent positions with the largest of all scores, which are at least 0, as ``largest_absent``."""
    _check(count, score.size, stored)
    left = score.copy()
    left[stored] = 0
    position = np.flatnonzero(left)
    own = left[position]
    if 0 < count < position.size:
        level = np.partition(own, position.size - count)[position.size - count]
        position, own = position[own >= level], own[own >= level]
    return _filled(Candidates(position, own), score.size, stored, count, generator)


def _filled(found: Candidates, size: int, stored: Ints, count: int, generator: np.random.Generator) -> Candidates:
    """Return candidates in order, with absent positions drawn at random where they are fewer than wanted."""
    order = _highest_first(found.score)
    position, score = found.position[order], found.score[order]
    missing = count - position.size
    if missing > 0:
        more = draw_absent(size, np.sort(np.concatenate([stored, position])), missing, generator)
        position, score = np.concatenate([position, more]), np.concatenate([score, np.zeros(missing, np.float32)])
    return Candidates(position, score)


def draw_absent(size: int, stored: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Return ``count`` different positions of ``0..size`` that are not stored, every set of them with the same chance.

    Args:
        size: number of positions.
        stored: those taken, int64, rising.
        count: positions wanted, at most those that are absent.
        generator: its state decides the draw.

    Raises:
        TrainingError: if more are wanted than are absent.
    """
    _check(count, size, stored)
    absent = size - stored.size
    rank = np.sort(_draw(absent, count, generator))
    # the absent position of rank r has as many stored ones before it as there are entries of (stored - index) up to r
    before = np.searchsorted(stored - np.arange(stored.size), rank, side="right")
    chosen: Ints = generator.permutation(rank + before)
    return chosen


def _draw(size: int, count: int, generator: np.random.Generator) -> Ints:
    """Return ``count`` different numbers of ``0..size`` in an order that means nothing, without an array of ``size``."""
    if 2 * count > size:
        chosen: Ints = generator.permutation(size)[:count]
        return chosen
    drawn = np.zeros(0, np.int64)
    while drawn.size < count:
        more = generator.integers(size, size=2 * (count - drawn.size) + 16)
        drawn = np.concatenate([drawn, more])
        _, first = np.unique(drawn, return_index=True)
        drawn = drawn[np.sort(first)]
    return drawn[:count]


def _check(count: int, size: int, stored: Ints) -> None:
    if count > size - stored.size:
        raise TrainingError(
            f"sparse: {count} connections are to grow, but only {size - stored.size} of {size} positions are absent"
        )


def _forget(position: Ints, score: Floats, n: int, count: int) -> tuple[np.float32, int]:
    """Keep the ``count`` largest scores and those equal to the last of them; return it and how many are kept.

    While there are fewer than ``count``, all stay and the level is 0.
    """
    if n < count:
        return np.float32(0), n
    some, higher = _around(score.view(np.int32), n, count)
    rank = some.size - (count - higher)
    level = np.partition(some, rank)[rank : rank + 1].view(np.float32)[0]
    return level, int(_keep(position, score, n, level))


def _highest_first(score: Floats) -> Ints:
    """Return the order of scores of at least 0 from the highest down, equal ones as they stand."""
    # the bits of such floats rise with them; numpy sorts words faster than it orders floats
    falling = (2**31 - 1 - score.view(np.int32).astype(np.int64)) << 32
    order: Ints = np.sort(falling | np.arange(score.size)) & (2**32 - 1)
    return order


@_jit
def _around(bits: Any, n: Any, count: Any) -> Any:
    """Return the bits of the scores in that sixteenth of an octave which holds the ``count``-th largest, and how many are
    higher.
    """
    held = np.zeros(4096, np.int64)
    for i in range(n):
        held[bits[i] >> 19] += 1
    place, higher = np.int64(4095), np.int64(0)
    while higher + held[place] < count:
        higher += held[place]
        place -= 1
    some = np.empty(held[place], np.int32)
    k = 0
    for i in range(n):
        if bits[i] >> 19 == place:
            some[k] = bits[i]
            k += 1
    return some, higher


@_jit
def _keep(position: Any, score: Any, n: Any, level: Any) -> Any:
    """Move the entries of at least ``level`` to the front, in order; return how many there are."""
    k = 0
    for i in range(n):
        position[k], score[k] = position[i], score[i]
        k += 1 if score[i] >= level else 0
    return k


@_jit
def _gathered(block: Any, total: Any, decay: Any, weight: Any, first: Any) -> None:
    for k in range(0, block.size, 16):
        part = load_16(block, k) * spread_16(weight)
        if not first:
            part = load_16(total, k) * spread_16(decay) + part
        store(total, k, part)


@_jit
def _leave_out(stored: Any, start: Any, first: Any, held: Any, n_sources: Any, total: Any) -> None:
    """Set the gradients of stored positions to 0."""
    for k in range(held):
        for i in range(start[first + k], start[first + k + 1]):
            total[(stored[i] - (first + k) * n_sources) * BLOCK + k] = 0


@_jit
def _above(
    total: Any, held: Any, first: Any, n_sources: Any, done: Any, level: Any, position: Any, score: Any, n: Any
) -> Any:
    """Append scores of at least ``level`` that are not 0, from source ``done`` on; return where it stopped, and the count.

    It stops when there might be no room for another source.
    """
    least = spread_16(max(level, _SMALLEST))
    for source in range(done, n_sources):
        found = word(absolute(load_16(total, source * BLOCK)) >= least)
        if found == 0:
            continue
        if n + BLOCK > score.size:
            return source, n
        left = np.uint64(found)
        while left:
            k = lowest_bit(left)
            left &= left - np.uint64(1)
            if k < held:
                position[n] = (first + k) * n_sources + source
                score[n] = abs(total[source * BLOCK + k])
                n += 1
    return n_sources, n
