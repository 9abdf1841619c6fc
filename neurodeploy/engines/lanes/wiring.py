"""Which stored connections reach a neuron, and which leave a channel: a list for a matrix, taps for a convolution.

``Wiring`` numbers its stored weights in C order of the dense array. A compiled loop asks ``into`` for the connections of a
target, or ``out_of`` for those of a source; those of a convolution are made from its stored taps on the way, so that
nothing is kept for a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import SimulationError
from neurodeploy.files.loops import compiled

Ints: TypeAlias = NDArray[np.int32]
Side: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], Ints, Ints, Ints, NDArray[Any]]
"""Geometry (empty for a matrix), and by target or source: start of its list, base, row and column of each entry, and what
belongs to it: the place of its weight (empty where places are the entries themselves), or the weight.

For a matrix the base is the index of the other end. For a convolution a list belongs to a channel; the other end is
``base + y * width + x``, where ``y`` and ``x`` follow from the pixel and the entry's row and column of the kernel.
"""
_NONE = np.zeros(0, np.int32)
_MOST = 2**31
# Fields of the geometry of a convolution, all pairs (vertical, horizontal), then a side's own and the other's size.
G_STRIDE, G_PADDING, G_OWN, G_OTHER = 0, 2, 4, 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Geometry:
    """A convolution in torch's convention: ``(channels, height, width)`` in, kernels ``(c_out, c_in / groups, y, x)``."""

    taken: tuple[int, int, int]
    kernels: tuple[int, int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def given(self) -> tuple[int, int, int]:
        """Shape ``(c_out, height, width)`` of the output."""
        height, width = (
            (size + 2 * pad - far * (k - 1) - 1) // step + 1
            for size, pad, far, k, step in zip(
                self.taken[1:], self.padding, self.dilation, self.kernels[2:], self.stride
            )
        )
        return self.kernels[0], height, width


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wiring:
    """Stored connections. ``shape``: that of the dense weights, ``(targets, sources)`` or a convolution's four axes.

    ``n_stored``: stored weights. ``n_targets``, ``n_sources``: neurons and channels. ``into``, ``out_of``: the connections
    by target and by source, for the compiled loops. ``most``: length of the longest list into a target and out of a source.
    ``taps``: positions of a convolution's weights.
    """

    shape: tuple[int, ...]
    n_stored: int
    n_targets: int
    n_sources: int
    into: Side
    out_of: Side
    most: tuple[int, int]
    geometry: Geometry | None = None
    taps: NDArray[np.int64] | None = None

    @property
    def position(self) -> NDArray[np.int64]:
        """Flat position of each stored weight in the dense array, int64, rising."""
        if self.taps is not None:
            return self.taps
        (_, start, source, _, _, _) = self.into
        return np.repeat(np.arange(self.n_targets, dtype=np.int64) * self.n_sources, np.diff(start)) + source

    @property
    def size(self) -> int:
        """Number of positions."""
        return math.prod(self.shape)

    @property
    def n_connections(self) -> int:
        """Number of connections, those of a convolution counted for every pixel, as if none lay in the padding."""
        geometry = self.geometry
        return self.n_stored * (1 if geometry is None else geometry.given[1] * geometry.given[2])


def matrix_wiring(shape: tuple[int, int], position: NDArray[np.int64]) -> Wiring:
    """Return the connections of a matrix ``(targets, sources)`` at flat positions, which rise.

    Raises:
        SimulationError: if an index would not fit 31 bits.
    """
    targets, sources = shape
    _check(max(targets, sources, position.size), f"a matrix of {targets} x {sources} with {position.size} connections")
    target, source = np.divmod(position, sources)
    start = np.searchsorted(position, np.arange(targets + 1, dtype=np.int64) * sources)
    by_source = np.argsort(source, kind="stable")
    out_start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=sources))]).astype(np.int64)
    none = np.zeros(0, np.int64)
    return Wiring(
        shape=shape,
        n_stored=int(position.size),
        n_targets=targets,
        n_sources=sources,
        into=(none, start, source.astype(np.int32), _NONE, _NONE, _NONE),
        out_of=(none, out_start, target[by_source].astype(np.int32), _NONE, _NONE, by_source.astype(np.int32)),
        most=_longest(start, out_start),
    )


def conv_wiring(geometry: Geometry, position: NDArray[np.int64]) -> Wiring:
    """Return the taps of a convolution at flat positions of its kernels, which rise.

    Raises:
        SimulationError: if an index would not fit 31 bits.
    """
    g = geometry
    n_targets, n_sources = math.prod(g.given), math.prod(g.taken)
    _check(max(n_targets, n_sources), f"a convolution from {n_sources} channels to {n_targets} neurons")
    c_out, inner, y, x = np.unravel_index(position, g.kernels)
    c_in = inner + c_out // (g.kernels[0] // g.groups) * g.kernels[1]
    down, across = (y * g.dilation[0]).astype(np.int32), (x * g.dilation[1]).astype(np.int32)
    pixels_in, pixels_out = g.taken[1] * g.taken[2], g.given[1] * g.given[2]
    sizes = [*g.stride, *g.padding]
    start = np.searchsorted(c_out, np.arange(g.kernels[0] + 1))
    order = np.argsort(c_in, kind="stable")
    out_start = np.concatenate([[0], np.cumsum(np.bincount(c_in, minlength=g.taken[0]))]).astype(np.int64)
    place = np.arange(position.size, dtype=np.int32)
    into = np.array([*sizes, *g.given[1:], *g.taken[1:]], np.int64)
    out_of = np.array([*sizes, *g.taken[1:], *g.given[1:]], np.int64)
    base, back = (c_in * pixels_in).astype(np.int32), (c_out * pixels_out).astype(np.int32)
    return Wiring(
        shape=g.kernels,
        n_stored=int(position.size),
        n_targets=n_targets,
        n_sources=n_sources,
        into=(into, start.astype(np.int64), base, down, across, place),
        out_of=(out_of, out_start, back[order], down[order], across[order], place[order]),
        most=_longest(start, out_start),
        geometry=g,
        taps=position,
    )


def _longest(start: NDArray[np.int64], out_start: NDArray[np.int64]) -> tuple[int, int]:
    return int(np.diff(start).max(initial=0)), int(np.diff(out_start).max(initial=0))


def _check(largest: int, what: str) -> None:
    if largest >= _MOST:
        raise SimulationError(f"lanes: {what} has indices that do not fit 31 bits; split the layer")


def with_weights(side: Side, weights: NDArray[Any]) -> Side:
    """Return a side whose entries carry their weights, of ``weights`` by place; those whose weight is 0 are left out."""
    (geometry, start, base, _, _, _) = side
    n, conv = base.size, geometry.size > 0
    kept = np.empty(n, np.int32), *np.empty((2, n if conv else 0), np.int32), np.empty(n, weights.dtype)
    begin = np.empty_like(start)
    n = int(_kept(side, weights, begin, kept))
    return (geometry, begin, *(array[:n] for array in kept))


def listed(side: Side, n: int, most: int) -> Side:
    """Return the connections of a convolution's ``n`` sources, at most ``most``, one by one as those of a matrix are."""
    start, other, own = np.empty(n + 1, np.int64), np.empty(most, np.int32), np.empty(most, side[5].dtype)
    found = int(_list(side, n, start, other, own))
    return np.zeros(0, np.int64), start, other[:found], _NONE, _NONE, own[:found]


_jit = compiled(nogil=True)


@_jit
def _list(side: Any, n: Any, start: Any, other: Any, own: Any) -> Any:
    at = np.int64(0)
    start[0] = 0
    for source in range(n):
        at += out_of(side, source, other[at:], own[at:])
        start[source + 1] = at
    return at


@_jit
def _kept(side: Any, weights: Any, begin: Any, kept: Any) -> Any:
    (_, start, base, down, across, place) = side
    (to_base, to_down, to_across, to_weight) = kept
    n = np.int64(0)
    begin[0] = 0
    for i in range(start.size - 1):
        for k in range(start[i], start[i + 1]):
            weight = weights[place[k] if place.size > 0 else k]
            to_base[n], to_weight[n] = base[k], weight
            if down.size > 0:
                to_down[n], to_across[n] = down[k], across[k]
            n += 1 if weight != 0 else 0
        begin[i + 1] = n
    return n


@_jit
def _copied(start: Any, base: Any, own: Any, i: Any, other: Any, carried: Any) -> Any:
    first, n = start[i], start[i + 1] - start[i]
    for k in range(n):
        other[k] = base[first + k]
    if own.size > 0:
        for k in range(n):
            carried[k] = own[first + k]
    else:
        for k in range(n):
            carried[k] = first + k
    return n


@_jit
def into(side: Any, target: Any, other: Any, carried: Any) -> Any:
    """Write the sources of a target and what their entries carry; return how many there are."""
    (geometry, start, base, down, across, own) = side
    if geometry.size == 0:
        return _copied(start, base, own, target, other, carried)
    height, width = geometry[G_OTHER], geometry[G_OTHER + 1]
    pixels = geometry[G_OWN] * geometry[G_OWN + 1]
    channel, pixel = target // pixels, target % pixels
    top = pixel // geometry[G_OWN + 1] * geometry[G_STRIDE] - geometry[G_PADDING]
    left = pixel % geometry[G_OWN + 1] * geometry[G_STRIDE + 1] - geometry[G_PADDING + 1]
    n = 0
    for k in range(start[channel], start[channel + 1]):
        y, x = top + down[k], left + across[k]
        if 0 <= y < height and 0 <= x < width:
            other[n] = base[k] + y * width + x
            carried[n] = own[k]
            n += 1
    return n


@_jit
def out_of(side: Any, source: Any, other: Any, carried: Any) -> Any:
    """Write the targets of a source and what their entries carry; return how many there are."""
    (geometry, start, base, down, across, own) = side
    if geometry.size == 0:
        return _copied(start, base, own, source, other, carried)
    height, width = geometry[G_OTHER], geometry[G_OTHER + 1]
    pixels = geometry[G_OWN] * geometry[G_OWN + 1]
    channel, pixel = source // pixels, source % pixels
    bottom = pixel // geometry[G_OWN + 1] + geometry[G_PADDING]
    right = pixel % geometry[G_OWN + 1] + geometry[G_PADDING + 1]
    step_y, step_x = geometry[G_STRIDE], geometry[G_STRIDE + 1]
    n = 0
    for k in range(start[channel], start[channel + 1]):
        y, x = bottom - down[k], right - across[k]
        if y >= 0 and x >= 0 and y % step_y == 0 and x % step_x == 0 and y < height * step_y and x < width * step_x:
            other[n] = base[k] + y // step_y * width + x // step_x
            carried[n] = own[k]
            n += 1
    return n
