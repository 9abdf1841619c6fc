"""``Synapses``: the stored connections of a layer that learn; everything kept or computed is in proportion to them.

Latent weights are in slayer's float units. The forward pass uses whole multiples of a step (``Grid`` of
``training/model/weight_grid.py``), so that sums are whole numbers and equal those of the dense pass bit by bit. Connections
whose weight rounds to 0 take no time, but receive gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.storage import aligned
from neurodeploy.engines.lanes.choice import SHARED, Choices, Trial, size_class
from neurodeploy.engines.lanes.neurons import Neurons
from neurodeploy.engines.lanes.spikes import Span, Spikes, Words
from neurodeploy.engines.lanes.summing import Summing
from neurodeploy.engines.lanes.team import ALONE, Team
from neurodeploy.engines.lanes.wiring import Geometry, Side, Wiring, conv_wiring, listed, matrix_wiring, with_weights
from neurodeploy.errors import TrainingError
from neurodeploy.files.loops import compiled
from neurodeploy.network import WEIGHT_MAX, WEIGHT_MIN
from neurodeploy.training.lanes.gradients import (
    AT_ONCE,
    BLOCK,
    gather,
    gather_blocks,
    spread_dense,
    spread_rows,
    spread_sparse,
)
from neurodeploy.training.lanes.growth import Candidates, Pass, dense_gradient, largest_absent, largest_of
from neurodeploy.training.lanes.reverse import WEIGHT_SCALE, Leaks, leak_back
from neurodeploy.training.lanes.tiles import TILE, back_by_tiles

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_CACHED = 2**17
"""Errors that a tile of the dense product holds: 512 KB."""
_ROOM = 2**19
"""Gradients of spikes that are made before the layer before takes them: 2 MB."""
_LISTED = 2**22
"""Connections of a convolution that may be listed one by one: 32 MB."""
_IN_CACHE = 0.9
"""Single rows of gradients are used while they are in a core's cache, others are read again from beyond it."""
_jit = compiled(nogil=True)


class Synapses:
    """Connections from the channels of a layer to the neurons of the next.

    Args:
        shape: of the dense weights, ``(targets, sources)``, or a ``Geometry``.
        position: flat positions of the stored weights, int64, rising.
        latent: their weights in slayer's float units, float32; changed in place by an optimiser.
        step, exponent: the grid of the forward pass: whole multiples of ``step`` (a power of two) in -256..255, times
            ``2**exponent``.
        choices: table of the fastest ways.
        team: threads that share the work; results do not depend on their number.

    Raises:
        TrainingError: if there is no connection, or positions do not rise within the dense array.
        SimulationError: if an index does not fit 31 bits.
    """

    def __init__(
        self,
        shape: tuple[int, int] | Geometry,
        position: Ints,
        latent: Floats,
        *,
        step: int = 2,
        exponent: int = 0,
        choices: Choices = SHARED,
        team: Team = ALONE,
    ) -> None:
        self._shape = shape
        self.step, self.exponent = step, exponent
        self._choices, self._team = choices, team
        self._out_of: Side | None = None
        self._listed: Side | None = None
        self._places: Side | None = None
        self._set(np.asarray(position, np.int64), np.array(latent, np.float32))

    @property
    def n_stored(self) -> int:
        """Number of stored connections (weights of a convolution)."""
        return self.wiring.n_stored

    @property
    def whole_side(self) -> Side:
        """The connections by target with whole weights other than 0, int16."""
        return self._summing.side

    @property
    def float_side(self) -> Side:
        """The connections by source with weights other than 0, float32 in slayer's float units."""
        if self._out_of is None:
            self._out_of = with_weights(self.wiring.out_of, self._floats)
        return self._out_of

    @property
    def _floats(self) -> Floats:
        """The weights of the forward pass in slayer's float units."""
        floats: Floats = self.whole.astype(np.float32) * np.float32(self.step * 2.0**self.exponent / WEIGHT_SCALE)
        return floats

    def side_of(self, way: str) -> Side:
        """Return the connections by source as a way of ``spread`` takes them: for tiles one by one, of a convolution too."""
        if way != "tiles" or self.wiring.geometry is None:
            return self.float_side
        if self._listed is None:
            if self._places is None:
                self._places = listed(self.wiring.out_of, self.wiring.n_sources, self.wiring.n_connections)
            self._listed = with_weights(self._places, self._floats)
        return self._listed

    def quantise(self) -> None:
        """Take the whole weights of the forward pass from the latent ones; call it after every change of ``latent``."""
        unit = 2.0**self.exponent / WEIGHT_SCALE
        whole = np.empty(self.n_stored, np.int16)
        passes = np.empty(self.n_stored, np.bool_)
        low, high = WEIGHT_MIN // self.step, WEIGHT_MAX // self.step
        _quantise(self.latent, np.float32(self.step * unit), low, high, whole, passes)
        self.whole, self._passes = whole, passes
        self._summing.set(whole)
        self._out_of = self._listed = None

    def respond(self, spikes: Spikes, neurons: Neurons, bits: Words, voltage: Floats, gain: float) -> float:
        """Run neurons on the sums of ``spikes``, each of which counts ``gain`` times, as ``Summing.respond``."""
        exponent = self.exponent + int(np.log2(self.step))
        return self._summing.respond(spikes, neurons, exponent, bits, voltage, gain=gain, team=self._team)

    def sums(self, spikes: Spikes) -> NDArray[np.int32]:
        """Return the sums of all neurons, int32 ``(targets, stride)``, in units of ``step * 2**exponent`` weight units."""
        return self._summing.sums(spikes, self._team)

    def gradient(self, spikes: Spikes, errors: Floats) -> Floats:
        """Return the gradient of the latent weights, 0 where a weight is out of range, float32 ``(n_stored,)``.

        Args:
            spikes: what came in.
            errors: gradient of the sums in slayer's float units, ``(targets, stride)``, 0 from ``width`` on.
        """
        way = self.way_of_gradient(spikes, errors)
        gradient = self.no_gradient()
        self._team.each(
            lambda part: self._gather(way, spikes, errors, gradient, part.start, part.stop),
            self.parts(self._team.threads),
        )
        return self.passed(gradient)

    def no_gradient(self) -> NDArray[Any]:
        """Return zeros for a gradient: float64 for a convolution, which adds over all pixels."""
        return np.zeros(self.n_stored, np.float32 if self.wiring.geometry is None else np.float64)

    def passed(self, gradient: NDArray[Any]) -> Floats:
        """Return a gradient with zeros where a weight is out of range; the array itself may be changed."""
        _pass(gradient, self._passes)
        return gradient.astype(np.float32, copy=False)

    def parts(self, threads: int) -> list[range]:
        """Return the neurons in parts that share no weight and begin at multiples of a block, one or more a thread."""
        n, geometry = self.wiring.n_targets, self.wiring.geometry
        size = -(-n // (threads * BLOCK)) * BLOCK
        if geometry is not None:
            size = n // geometry.given[0]  # the pixels of a channel share their weights
            size *= max(1, geometry.given[0] // threads)
        return [range(first, min(n, first + size)) for first in range(0, n, size)]

    def way_of_gradient(self, spikes: Spikes, errors: Floats) -> str:
        """Return the fastest way to the gradient of the weights, ``gather`` or ``blocks``."""
        geometry = self.wiring.geometry
        few = min(self.wiring.n_targets, 8 * BLOCK)
        if geometry is not None:  # whole channels, which blocks of a convolution hold side by side
            few = min(geometry.given[0], BLOCK) * math.prod(geometry.given[1:])

        def trial(way: str) -> Trial:
            gradient = self.no_gradient()
            return Trial(lambda: self._gather(way, spikes, errors, gradient, 0, few))

        return self._choices.pick(self._key("gradient", spikes), ("gather", "blocks"), trial)

    def way_of_spread(self, errors: Floats, span: Span) -> str:
        """Return the fastest way to the gradient of the spikes that came in: ``rows``, ``tiles`` or ``dense``."""
        n, stride, leaks = self.wiring.n_sources, span.stride, _no_leaks(self.wiring.n_sources)
        key = "spread", self.wiring.shape, size_class(self.n_stored), span

        def trial(way: str) -> Trial:
            few = {"rows": max(1, n // 8), "tiles": n, "dense": min(n, self.rows_at_once(span))}[way]
            lanes = span.width if way == "rows" else min(span.width, 8 * TILE)
            share = few / n * lanes / span.width / (_IN_CACHE if way == "rows" else 1)
            size = stride, span.padded, min(span.n_steps, max(1, lanes // span.padded))
            voltage = np.zeros(few * stride, np.float32)
            if way == "tiles":
                behind, rooms = (self.side_of(way), errors.reshape(-1), len(errors)), self.tile_rooms(span, n)
                return Trial(lambda: back_by_tiles(behind, voltage, leaks, size, lanes, 0, n, rooms), share)
            out = np.zeros((few, stride), np.float32)

            def run() -> None:
                self.spread_part(way, errors, span, range(few), out, lanes)
                leak_back(voltage, out.reshape(-1), leaks, size, 0, few, 0)

            return Trial(run, share)

        ways: tuple[str, ...] = "rows", "tiles", "dense"
        if self.wiring.geometry is not None:
            ways = ways[:2] if self.wiring.n_connections <= _LISTED else ways[:1]
        return self._choices.pick(key, ways, trial)

    def tile_rooms(self, span: Span, n: int) -> tuple[Floats, Floats]:
        """Return what ``back_by_tiles`` needs for ``n`` of the neurons before."""
        return aligned(self.wiring.n_targets * TILE, np.float32), aligned(n * 2 * span.padded, np.float32)

    def rows_at_once(self, span: Span) -> int:
        """Return how many rows of gradients are made together, a multiple of a block."""
        return max(1, _ROOM // (span.stride * BLOCK)) * BLOCK

    def spread(self, errors: Floats, span: Span, out: Floats) -> None:
        """Write the gradient of the spikes that came in to ``out``, float32 ``(sources, stride)``."""
        way, n, size = self.way_of_spread(errors, span), self.wiring.n_sources, self.rows_at_once(span)
        self._team.each(
            lambda part: self.spread_part(way, errors, span, part, out[part.start :]),
            [range(first, min(n, first + size)) for first in range(0, n, size)],
        )

    def spread_part(
        self, way: str, errors: Floats, span: Span, sources: range, out: Floats, lanes: int | None = None
    ) -> None:
        """Write the gradient of the spikes of some sources to the first rows of ``out``, for the first ``lanes`` of them."""
        n, flat, to = self.wiring.n_targets, errors.reshape(-1), out.reshape(-1)
        where = sources.start, sources.stop
        if way == "rows":
            most = self.wiring.most[1]
            lists = np.empty(most, np.int32), np.empty(most, np.float32)
            spread_rows(self.float_side, flat, span.stride, *where, lists, to)
            return
        end = span.width if lanes is None else lanes
        if way == "tiles":
            tile = aligned(n * TILE, np.float32)
            spread_sparse(self.side_of(way), flat, span.stride, n, *where, 0, end, tile, to)
            return
        tile = aligned(n * max(1, _CACHED // (n * TILE)) * TILE, np.float32)
        row = aligned(n * AT_ONCE, np.float32)
        spread_dense(self.float_side, flat, span.stride, n, *where, 0, end, tile, row, to)

    def _gather(self, way: str, spikes: Spikes, errors: Floats, gradient: NDArray[Any], first: int, stop: int) -> None:
        rows, stride, most = spikes.by_row, spikes.span.stride, self.wiring.most[0]
        events, flat = (rows.start, rows.lane, rows.value), errors.reshape(-1)
        lists = np.empty(most, np.int32), np.empty(most, np.int32)
        if way == "gather":
            gather(self.wiring.into, flat, stride, events, first, stop, lists, gradient)
            return
        beside, block = aligned(stride * BLOCK, np.float32), aligned(spikes.size * BLOCK, np.float32)
        gather_blocks(self.wiring.into, flat, stride, events, first, stop, lists, beside, block, gradient)

    def move(self, drop: Ints, grow: Ints) -> NDArray[np.int64]:
        """Remove and add connections at flat positions; weights of new ones are 0.

        Returns:
            For each connection afterwards its place before, or -1 for new ones, so that an optimiser's state can follow.

        Raises:
            TrainingError: for a drop that is not stored, a growth that is, or a layer left without connection.
        """
        before = self.wiring.position
        at = np.searchsorted(before, drop)
        stored = (at < before.size) & (before[np.minimum(at, before.size - 1)] == drop)
        if not np.all(stored):
            raise TrainingError(f"sparse: position {drop[~stored][0]} is dropped, but no connection is stored there")
        keep = np.ones(before.size, np.bool_)
        keep[at] = False
        position = np.concatenate([before[keep], grow])
        order = np.argsort(position, kind="stable")
        place: Ints = np.concatenate([np.flatnonzero(keep), np.full(grow.size, -1)])[order]
        position = position[order]
        twice = np.flatnonzero(np.diff(position) == 0)
        if twice.size:
            raise TrainingError(f"sparse: position {position[twice[0]]} is grown, but a connection is stored there")
        latent = np.where(place >= 0, self.latent[place], np.float32(0)).astype(np.float32)
        self._set(position, latent)
        return place

    def put(self, position: Ints) -> None:
        """Store the connections at these flat positions, rising, instead; their weights are 0."""
        self._set(position, np.zeros(position.size, np.float32))

    def candidates(self, passes: Sequence[Pass], count: int, generator: np.random.Generator) -> Candidates:
        """Return the absent positions with the largest gradients, as ``largest_absent`` does.

        The gradients of a convolution are computed for all taps of its kernels, whose number is small.
        """
        wiring = self.wiring
        if wiring.geometry is None:
            return largest_absent(passes, wiring.position, wiring.into[1], count, generator)
        return largest_of(np.abs(self.dense_gradient(passes)).ravel(), wiring.position, count, generator)

    def dense_gradient(self, passes: Sequence[Pass]) -> Floats:
        """Return the gradient at every position, stored or not, in the dense shape; made at once, in full."""
        wiring = self.wiring
        if wiring.geometry is None:
            return dense_gradient(passes, wiring.n_targets)
        every = Synapses(wiring.geometry, np.arange(wiring.size), np.zeros(wiring.size, np.float32), team=self._team)
        total = np.zeros(wiring.size, np.float32)
        for k, one in enumerate(passes):
            part = every.gradient(one.spikes, one.errors) * np.float32(one.weight)
            total = part if k == 0 else np.float32(one.decay) * total + part
        return total.reshape(wiring.shape)

    def _set(self, position: Ints, latent: Floats) -> None:
        size = int(np.prod(self._shape.kernels if isinstance(self._shape, Geometry) else self._shape, dtype=object))
        if not position.size:
            raise TrainingError("sparse: the layer is left without a connection; raise its density")
        if position.size != latent.size or position[0] < 0 or position[-1] >= size or np.any(np.diff(position) <= 0):
            raise TrainingError(
                f"sparse: {position.size} positions must rise within 0..{size - 1}, one for each weight"
            )
        make = conv_wiring if isinstance(self._shape, Geometry) else matrix_wiring
        self.wiring: Wiring = make(self._shape, position)  # type: ignore[arg-type]
        self._summing = Summing(self.wiring, choices=self._choices)
        self._places = None
        self.latent = latent
        self.quantise()

    def _key(self, what: str, spikes: Spikes) -> tuple[Any, ...]:
        return (
            what,
            self.wiring.shape,
            size_class(self.n_stored),
            spikes.span,
            size_class(spikes.n_spikes),
            spikes.arrived is None,
            spikes.graded,
            self._team.threads,
        )


def _no_leaks(n: int) -> Leaks:
    """Return leaks of ``n`` neurons for a trial, whose numbers do not matter."""
    zeros = np.zeros(n, np.float32)
    return zeros, zeros, zeros, np.float32(1), np.float32(1), np.zeros(0, np.uint16)


@_jit
def _pass(gradient: Any, passes: Any) -> None:
    for i in range(gradient.size):
        if not passes[i]:
            gradient[i] = 0


@_jit
def _quantise(latent: Any, step: Any, low: Any, high: Any, whole: Any, passes: Any) -> None:
    for i in range(latent.size):
        nearest = np.rint(latent[i] / step)
        passes[i] = low <= nearest <= high
        whole[i] = np.int16(min(max(nearest, np.float32(low)), np.float32(high)))
