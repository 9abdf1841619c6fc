"""A layer of a simulation in one compiled call: neurons take their sums while these lie in a near cache.

The sums are those of ``sums.py`` in its three ways, the neurons those of ``neurons.py``; the way is chosen by measured time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.storage import aligned
from neurodeploy.engines.lanes.choice import Trial
from neurodeploy.engines.lanes.neurons import Neurons, arithmetic, run_neurons
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.summing import Summing
from neurodeploy.engines.lanes.sums import COLUMNS, sum_events, sum_masks, sum_rows
from neurodeploy.files.loops import compiled

_NO_VOLTAGE = np.zeros(0, np.float32)
_TRIED = 4 * COLUMNS
"""Neurons that a way runs on trial."""

_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)


class Room:
    """Arrays that a thread writes to. They grow with what is asked for, are used again, and hold what was left there."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, Any], NDArray[Any]] = {}

    def of(self, name: str, size: int, dtype: type[np.generic]) -> NDArray[Any]:
        """Return ``size`` numbers from a cache line on."""
        found = self._arrays.get((name, dtype))
        if found is None or found.size < size:
            found = self._arrays[name, dtype] = aligned(size, dtype)
        return found[:size]


def run_layer(
    summing: Summing, neurons: Neurons, spikes: Spikes, exponent: int, first_step: int, later: int, room: Room
) -> tuple[Spikes, float]:
    """Return the spikes of neurons into which one set of connections leads, and the largest current or voltage.

    A state of 24 bits or more says that the spikes mean nothing.

    Args:
        exponent, first_step: as for ``respond``.
        later: steps by which what the spikes bring arrives later, at most ``first_step``.
        room: arrays to work in.

    Raises:
        SimulationError: as ``Summing.each_block``.
    """
    summing.check(spikes)
    span, n = spikes.span, summing.wiring.n_targets
    bits = np.zeros((n, span.width // 64), np.uint64)
    out = _NO_VOLTAGE, bits.view(np.uint16).reshape(-1), 4 * bits.shape[1]
    times = span.stride, span.padded, span.batch, first_step, span.n_steps, later

    def run(way: str, given: Spikes, stop: int) -> float:
        layer = stop, times, neurons, arithmetic(exponent)
        return float(_LOOPS[way](summing.side, _arrived(way, summing, given, room), layer, out))

    def trial(way: str) -> Trial:
        def once() -> None:
            run(way, spikes if spikes.arrived is None else spikes.fresh(), min(n, _TRIED))

        return Trial(once)

    way = summing.choices.pick(("layer", *summing.key(spikes)), summing.ways(spikes), trial)
    peak = run(way, spikes, n)
    return Spikes(span, n, bits), peak


def _arrived(way: str, summing: Summing, spikes: Spikes, room: Room) -> tuple[Any, ...]:
    """Return spikes as the loop of a way reads them, with the arrays that it writes to."""
    wiring, stride = summing.wiring, spikes.span.stride
    lists = room.of("other", wiring.most[0], np.int32), room.of("carried", wiring.most[0], np.int16)
    if way == "rows":
        lanes = spikes.by_lane if spikes.arrived is not None else spikes.by_lane_sorted
        spread = room.of("spread", wiring.n_sources * COLUMNS, np.int8 if summing.bytes else np.int16)
        tile = room.of("tile", 64 * COLUMNS, np.int32 if spikes.graded else np.int16)
        sums = room.of("sums", COLUMNS * stride, np.int32)
        return (lanes.first, lanes.stop, lanes.channel, lanes.value), lists, spread, tile, sums
    sums = room.of("lines", 4 * stride, np.int32)
    if way == "masks":
        return spikes.bits.view(np.uint32), lists, sums
    rows = spikes.by_row_unordered
    return (rows.start, rows.lane, rows.value), lists, sums


@_inlined
def _respond(sums: Any, first: Any, n: Any, layer: Any, out: Any) -> Any:
    (_, (stride, padded, batch, first_step, n_steps, later), neurons, (factor, right)) = layer
    given = (sums, first, n, stride, padded, batch, first_step, n_steps, later)
    return run_neurons(given, neurons, factor, right, out)


@_inlined
def _together(layer: Any) -> Any:
    """Return how many neurons fill fours of 16 lanes."""
    parts = layer[1][1] // 16
    return 4 if parts % 2 else 2 if parts % 4 else 1


@_jit
def _by_events(side: Any, arrived: Any, layer: Any, out: Any) -> Any:
    (events, lists, sums) = arrived
    peak = np.float32(0)
    for first in range(0, layer[0], _together(layer)):
        stop = min(layer[0], first + _together(layer))
        sum_events(side, events, first, stop, layer[1][0], lists, sums)
        peak = max(peak, _respond(sums, first, stop - first, layer, out))
    return peak


@_jit
def _by_masks(side: Any, arrived: Any, layer: Any, out: Any) -> Any:
    (masks, lists, sums) = arrived
    peak = np.float32(0)
    for first in range(0, layer[0], _together(layer)):
        stop = min(layer[0], first + _together(layer))
        sum_masks(side, masks, first, stop, layer[1][0], lists, sums)
        peak = max(peak, _respond(sums, first, stop - first, layer, out))
    return peak


@_jit
def _by_rows(side: Any, arrived: Any, layer: Any, out: Any) -> Any:
    (active, lists, spread, tile, sums) = arrived
    peak = np.float32(0)
    for first in range(0, layer[0], COLUMNS):
        stop = min(layer[0], first + COLUMNS)
        sum_rows(side, active, first, stop, layer[1][0], lists, spread, tile, sums)
        peak = max(peak, _respond(sums, first, stop - first, layer, out))
    return peak


_LOOPS = {"events": _by_events, "masks": _by_masks, "rows": _by_rows}
