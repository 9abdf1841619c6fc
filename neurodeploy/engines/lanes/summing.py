"""``Summing``: the sums of whole weights over stored connections, block by block, in the way that is fastest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.storage import aligned
from neurodeploy.engines.lanes.choice import SHARED, Choices, Trial, size_class
from neurodeploy.engines.lanes.neurons import Neurons, scale_of
from neurodeploy.engines.lanes.spikes import Spikes, Words
from neurodeploy.engines.lanes.sums import COLUMNS, sum_events, sum_masks, sum_rows
from neurodeploy.engines.lanes.team import ALONE, Team
from neurodeploy.engines.lanes.through import EVENTS, FEW, MASKS, ROWS, respond_to
from neurodeploy.engines.lanes.wiring import Side, Wiring, with_weights
from neurodeploy.errors import SimulationError

Sums = NDArray[np.int32]
_BLOCK_BYTES = 2**21
"""Sums that are made before the neurons take them; a call of a compiled loop costs 10 to 20 microseconds."""
_INT32 = 2**31


class Summing:
    """Sums over the connections of a ``Wiring``; ``set`` gives them their weights.

    Args:
        wiring: the connections.
        choices: table of the fastest ways: ``masks``, ``events`` or ``rows`` (``sums.py``).
    """

    def __init__(self, wiring: Wiring, *, choices: Choices = SHARED) -> None:
        self.wiring, self._choices = wiring, choices
        self.set(np.zeros(wiring.n_stored, np.int16))

    @property
    def side(self) -> Side:
        """The connections by target with whole weights other than 0, int16."""
        return self._side

    def set(self, whole: NDArray[np.int16]) -> None:
        """Take weights by place, -256..255; those of 0 cost no time."""
        self._side = with_weights(self.wiring.into, whole)
        low, high = int(whole.min(initial=0)), int(whole.max(initial=0))
        self._largest, self._bytes = max(high, -low), low >= -128 and high <= 127

    def sums(self, spikes: Spikes, team: Team = ALONE) -> Sums:
        """Return the sums of all neurons, int32 ``(targets, stride)``."""
        out: Sums = spikes.span.rows(self.wiring.n_targets, np.int32)

        def take(first: int, stop: int, sums: Sums) -> None:
            out[first:stop] = sums

        self.each_block(spikes, take, team)
        return out

    def each_block(self, spikes: Spikes, take: Callable[[int, int, Sums], None], team: Team = ALONE) -> None:
        """Call ``take(first, stop, sums)`` with the sums of neurons ``first`` to ``stop``, block by block.

        Blocks begin at even numbers. The array is used again for the next block of a thread. Results do not depend on the
        number of threads in the ``team``.

        Raises:
            SimulationError: for another number of channels, or payloads with which a sum might leave 32 bits.
        """
        self._check(spikes)
        way, size = self._way(spikes)
        n = self.wiring.n_targets
        rooms: list[_Room] = []

        def work(first: int) -> None:
            room = _pop(rooms) or _Room(self.wiring, spikes, size, way, self._bytes)
            stop = min(n, first + size)
            self._run(way, spikes, first, stop, room)
            take(first, stop, room.sums[: stop - first])
            rooms.append(room)

        team.each(work, range(0, n, size))

    def respond(
        self,
        spikes: Spikes,
        neurons: Neurons,
        exponent: int,
        bits: Words,
        voltage: NDArray[np.float32],
        *,
        gain: float = 1.0,
        team: Team = ALONE,
    ) -> float:
        """Run the neurons on the sums of ``spikes``, as ``neurons.respond`` does with those of ``each_block``.

        ``bits`` and ``voltage``, of the whole layer, are written; the largest current or voltage is returned.

        Raises:
            SimulationError: as ``each_block``.
        """
        self._check(spikes)
        way, _ = self._way(spikes)
        number = {"masks": MASKS, "events": EVENTS, "rows": ROWS}[way]
        given, span, n = _seen(spikes, number), spikes.span, self.wiring.n_targets
        lanes = span.stride, span.padded, span.batch, span.n_steps
        to = voltage.reshape(-1), bits.view(np.uint16).reshape(-1), bits.shape[1] * 4
        at_once = COLUMNS if number == ROWS else FEW
        size = -(-n // (team.threads * at_once)) * at_once
        peaks: list[float] = []

        def work(first: int) -> None:
            room = _Room(self.wiring, spikes, min(n, at_once), way, self._bytes)
            rooms = room.sums.reshape(-1), room.lists, room.spread, room.tile
            stop, scale = min(n, first + size), (neurons, *scale_of(exponent, gain))
            peaks.append(respond_to(number, self._side, given, first, stop, lanes, rooms, scale, to))

        team.each(work, range(0, n, size))
        return max(peaks)

    def _way(self, spikes: Spikes) -> tuple[str, int]:
        """Return the fastest way for these spikes and its number of neurons in a block."""
        n = self.wiring.n_targets
        many = max(COLUMNS, _BLOCK_BYTES // (8 * spikes.span.stride) * 2)
        sizes = {"masks": min(n, many), "events": min(n, many), "rows": min(n, COLUMNS)}
        if spikes.graded:
            del sizes["masks"]
        if self.wiring.geometry is not None:
            del sizes["rows"]
        few = min(n, 4 * COLUMNS)

        def trial(way: str) -> Trial:
            room = _Room(self.wiring, spikes, sizes[way], way, self._bytes)

            def run() -> None:
                seen = spikes.fresh() if way == "rows" else spikes  # its lists by lane are made for it alone
                for first in range(0, few, sizes[way]):
                    self._run(way, seen, first, min(few, first + sizes[way]), room)

            return Trial(run)

        way = self._choices.pick(self._key(spikes), tuple(sizes), trial)
        return way, sizes[way]

    def _key(self, spikes: Spikes) -> tuple[Any, ...]:
        stored = size_class(self._side[2].size)
        seen = size_class(spikes.n_spikes), spikes.arrived is None, spikes.graded
        return "sums", self.wiring.shape, stored, spikes.span, *seen

    def _run(self, way: str, spikes: Spikes, first: int, stop: int, room: _Room) -> None:
        side, stride, sums = self._side, spikes.span.stride, room.sums.reshape(-1)
        if way == "masks":
            sum_masks(side, spikes.bits.view(np.uint32), first, stop, stride, room.lists, sums)
        elif way == "events":
            rows = spikes.by_row
            sum_events(side, (rows.start, rows.lane, rows.value), first, stop, stride, room.lists, sums)
        else:
            lanes = spikes.by_lane
            active = lanes.first, lanes.stop, lanes.channel, lanes.value
            sum_rows(side, active, first, stop, stride, room.lists, room.spread, room.tile, sums)

    def _check(self, spikes: Spikes) -> None:
        if spikes.size != self.wiring.n_sources:
            raise SimulationError(
                f"lanes: {spikes.size} channels arrive at connections from {self.wiring.n_sources}; give spikes of that many"
            )
        most = spikes.largest_payload
        if most * self._largest * self.wiring.most[0] >= _INT32:
            raise SimulationError(
                f"lanes: payloads of up to {most} over {self.wiring.most[0]} connections into a neuron may leave 32 bits; "
                "scale the payloads down"
            )


class _Room:
    """Arrays that a thread writes to while it sums."""

    def __init__(self, wiring: Wiring, spikes: Spikes, size: int, way: str, fits: bool) -> None:
        most = wiring.most[0]
        self.sums: Sums = spikes.span.rows(size, np.int32)
        self.lists = np.empty(most, np.int32), np.empty(most, np.int16)
        columns = COLUMNS if way == "rows" else 0
        self.spread = aligned(wiring.n_sources * columns, np.int8 if fits else np.int16)
        self.tile = aligned(64 * columns, np.int32 if spikes.graded else np.int16)


def _seen(spikes: Spikes, way: int) -> tuple[Any, Any, Any]:
    """Return what ``respond_to`` reads of the spikes for a way, and empty arrays for the rest."""
    places, short = np.zeros(0, np.int64), np.zeros(0, np.int32)
    masks = spikes.bits.view(np.uint32) if way == MASKS else np.zeros((0, 2), np.uint32)
    rows = places, np.zeros(0, spikes.span.lane_type), short
    lanes = places, places, short, short
    if way == EVENTS:
        rows = spikes.by_row.start, spikes.by_row.lane, spikes.by_row.value
    elif way == ROWS:
        own = spikes.by_lane
        lanes = own.first, own.stop, own.channel, own.value
    return masks, rows, lanes


def _pop(rooms: list[_Room]) -> _Room | None:
    try:
        return rooms.pop()
    except IndexError:
        return None
