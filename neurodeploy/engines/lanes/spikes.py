"""``Spikes``: the spikes of a layer in a batch as bits over lanes and as event lists; conversions stand at the edges only.

Step ``t`` of sample ``b`` is lane ``t * padded + b``, where ``padded`` is the batch rounded up to 16: the neurons of all
samples then lie side by side in vector registers, a delay is a move by whole numbers of 16 bits, and every stored weight
adds to one contiguous row. With 64 samples a mask word is one step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.storage import aligned
from neurodeploy.engines.lanes import bits as b
from neurodeploy.errors import SimulationError
from neurodeploy.network.activity import Events

Words = NDArray[np.uint64]
_SHORT = 2**16
_NONE = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Span:
    """The lanes of a batch: ``n_steps`` steps of ``batch`` samples.

    ``padded``: lanes of a step, the batch rounded up to a multiple of 16; ``lanes``: those of all steps; ``width``: bits of
    a row, the lanes rounded up to whole words of 64; ``stride``: numbers of a row of sums, voltages or errors, 16 more than
    ``width``, which stay 0 (the filling of event lists points there).
    """

    n_steps: int
    batch: int
    padded: int = field(init=False, compare=False)
    lanes: int = field(init=False, compare=False)
    width: int = field(init=False, compare=False)
    stride: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.n_steps < 1 or self.batch < 1:
            raise SimulationError(f"lanes: {self.n_steps} steps of {self.batch} samples, need at least 1 of each")
        padded = -(-self.batch // 16) * 16
        lanes = self.n_steps * padded
        width = -(-lanes // 64) * 64
        for name, value in (("padded", padded), ("lanes", lanes), ("width", width), ("stride", width + 16)):
            object.__setattr__(self, name, value)
        if self.stride >= 2**31:
            raise SimulationError(
                f"lanes: {self.n_steps} steps of {self.batch} samples are {lanes} lanes, whose numbers do not fit 31 bits; "
                "run smaller batches"
            )

    @property
    def lane_type(self) -> type[np.generic]:
        """The type of numbers of lanes in lists."""
        return np.uint16 if self.width < _SHORT else np.int32

    def rows(self, n: int, dtype: type[np.generic]) -> NDArray[Any]:
        """Return zeros ``(n, stride)`` at a cache line; one row more is allocated if ``n`` is odd."""
        even = n + n % 2
        return aligned(even * self.stride, dtype).reshape(even, self.stride)[:n]

    def bits_of_step(self, samples: NDArray[np.bool_]) -> NDArray[np.uint16]:
        """Return samples, bool ``(n, batch)``, as bits of one step, ``(n, padded / 16)``."""
        padded = np.zeros((len(samples), self.padded), np.bool_)
        padded[:, : self.batch] = samples
        return np.packbits(padded, axis=1, bitorder="little").view(np.uint16)

    def samples_of(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return a view ``(batch, n, steps)`` of rows ``(n, stride)``."""
        steps = rows[:, : self.lanes].reshape(len(rows), self.n_steps, self.padded)
        return steps[:, :, : self.batch].transpose(2, 0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class ByRow:
    """The spikes of channel ``c``: lanes ``lane[start[c]:start[c + 1]]``, rising, filled up with the lane ``width``.

    ``value``: int32 payload of each, 0 for the filling, or empty for plain spikes.
    """

    start: NDArray[np.int64]
    lane: NDArray[Any]
    value: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class ByLane:
    """The channels active in lane ``k``: ``channel[first[k]:stop[k]]``; ``value`` as in ``ByRow``."""

    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    channel: NDArray[np.int32]
    value: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """Columns of events, sorted by sample and step: samples count from ``origin``, steps are ``delay`` later."""

    sample: NDArray[np.int32]
    step: NDArray[np.int32]
    neuron: NDArray[np.int32]
    payload: NDArray[np.int32] | None
    origin: int
    delay: int


class Spikes:
    """The spikes of ``size`` channels, given as bits, or as events, of which everything else is made when it is needed.

    Args:
        span: the lanes.
        size: number of channels.
        bits: uint64 ``(size, width / 64)``, 0 outside the lanes of samples.
        arrived: events, which may carry payloads.
    """

    def __init__(self, span: Span, size: int, bits: Words | None = None, arrived: Arrived | None = None) -> None:
        assert (bits is None) != (arrived is None), "either bits or events"
        self.span, self.size, self.arrived = span, size, arrived
        self._bits = bits

    @staticmethod
    def of_events(
        events: Events, first: int = 0, stop: int | None = None, *, delay: int = 0, n_steps: int | None = None
    ) -> Spikes:
        """Return the events of samples ``first`` to ``stop``, without a copy; nothing of the size of a raster is made.

        Args:
            events: of any number of samples.
            delay: steps by which they are moved later; what comes after the last step is lost.
            n_steps: steps of the span, by default those of the events.
        """
        stop = events.n_samples if stop is None else stop
        begin, end = (0, len(events)) if (first, stop) == (0, events.n_samples) else _range(events.sample, first, stop)
        part = slice(begin, end)
        payload = None if events.payload is None else events.payload[part]
        columns = events.sample[part], events.step[part], events.neuron[part]
        span = Span(events.n_steps if n_steps is None else n_steps, stop - first)
        return Spikes(span, events.size, arrived=Arrived(*columns, payload, first, delay))

    @staticmethod
    def of_raster(raster: NDArray[Any]) -> Spikes:
        """Return the spikes of a raster of 0 and 1, ``(batch, channels, steps)``.

        Raises:
            SimulationError: for other values.
        """
        batch, channels, n_steps = raster.shape
        span = Span(n_steps, batch)
        bits = _words(span, channels)
        frames = raster.transpose(0, 2, 1)  # as data sets hold them: their order in memory is followed
        by_step = frames.flags.c_contiguous
        if raster.dtype.itemsize == 1 and (by_step or raster.flags.c_contiguous):
            flat = (frames if by_step else raster).reshape(-1).view(np.uint8)
            words, rows = (
                flat[: flat.size // 8 * 8].view(np.uint64),
                (n_steps, channels) if by_step else (channels, n_steps),
            )
            plain = b.set_bytes(flat, words, (batch, *rows, by_step), span.padded, bits)
        else:
            plain = b.set_frames(frames, span.padded, bits) if by_step else b.set_raster(raster, span.padded, bits)
        if not plain:
            odd = raster[(raster != 0) & (raster != 1)].flat[0]
            raise SimulationError(
                f"lanes: spikes are 0 or 1, one of these is {odd}; give whole numbers as events with payloads"
            )
        return Spikes(span, channels, bits)

    @staticmethod
    def of_packed(packed: NDArray[np.uint8], n_steps: int, channels: int) -> Spikes:
        """Return the spikes of frames as ``numpy.packbits`` packs each ``(n_steps, channels)``, uint8 ``(batch, bytes)``."""
        span = Span(n_steps, len(packed))
        bits = _words(span, channels)
        b.set_packed(np.ascontiguousarray(packed), channels, n_steps, span.padded, bits)
        return Spikes(span, channels, bits)

    def fresh(self) -> Spikes:
        """Return the same spikes without what was made of them."""
        return Spikes(self.span, self.size, None if self.arrived is not None else self._bits, self.arrived)

    @property
    def graded(self) -> bool:
        """Whether the spikes carry payloads."""
        return self.arrived is not None and self.arrived.payload is not None

    @property
    def bits(self) -> Words:
        """The spikes as bits (of payloads: whether there is one)."""
        if self._bits is None:
            assert self.arrived is not None
            lanes, bits = self.by_lane, _words(self.span, self.size)
            b.set_events(lanes.channel, lanes.first, lanes.stop, bits)
            self._bits = bits  # only when it is filled, as threads may share the spikes
        return self._bits

    @property
    def halves(self) -> NDArray[np.uint16]:
        """The bits as uint16, 16 lanes each."""
        return self.bits.view(np.uint16)

    @cached_property
    def n_spikes(self) -> int:
        """Number of spikes."""
        if self.arrived is None:
            return int(b.count_bits(self.bits))
        return int((self.by_lane.stop - self.by_lane.first).sum())

    @cached_property
    def largest_payload(self) -> int:
        """Largest absolute payload, 1 for plain spikes."""
        if self.arrived is None or self.arrived.payload is None:
            return 1
        payload = self.arrived.payload
        return max(int(payload.max(initial=0)), -int(payload.min(initial=0)))

    @property
    def rate(self) -> float:
        """Spikes a channel and step, 0..1."""
        return self.n_spikes / max(1, self.size * self.span.n_steps * self.span.batch)

    @cached_property
    def by_row(self) -> ByRow:
        """The spikes of each channel."""
        start = np.empty(self.size + 1, np.int64)
        kind = self.span.lane_type
        if (own := self.arrived) is None:
            b.count_rows(self.bits, start)
            lane = np.empty(int(start[-1]) + b.FEW, kind)
            b.list_rows(self.bits, start, lane)
            return ByRow(start, lane[: -b.FEW], _NONE)
        lanes = self.by_lane
        b.count_channels(own.step, own.neuron, own.delay, self.span.n_steps, start)
        lane = np.empty(int(start[-1]), kind)
        value = np.empty(lane.size if self.graded else 0, np.int32)
        b.list_channels(lanes.channel, lanes.value, lanes.first, lanes.stop, start, lane, value)
        return ByRow(start, lane, value)

    @cached_property
    def by_row_unordered(self) -> ByRow:
        """The spikes of each channel, of events in the order of the events: for sums of whole numbers, where none counts."""
        own, span = self.arrived, self.span
        if own is None or own.payload is not None:
            return self.by_row
        start = np.empty(self.size + 1, np.int64)
        lane = np.empty(own.neuron.size + b.GROUP * self.size, np.uint16 if span.width < _SHORT else np.int32)
        columns = own.sample, own.step, own.neuron
        n = b.list_arrivals(columns, own.origin, own.delay, span.padded, span.n_steps, span.width, start, lane)
        return ByRow(start, lane[:n], _NONE)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int32], ByLane]:
        """The columns sample, step and channel, sorted by them, and where those of each lane lie there."""
        span, rows = self.span, self.by_row_unordered
        first, stop = np.empty((2, span.width), np.int64)
        columns = np.empty((3, rows.lane.size), np.int32)
        shape = span.padded, span.n_steps, span.batch
        n = b.sort_rows((rows.start, rows.lane), shape, first, stop, columns)
        columns = columns[:, :n]
        return columns, ByLane(first, stop, columns[2], _NONE)

    @property
    def by_lane_sorted(self) -> ByLane:
        """``by_lane`` of plain spikes out of lists by channel, for those that have them, or go to events in any case."""
        return self._sorted[1]

    def columns(self, first: int = 0) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Return sample (from ``first`` on), step and channel of each spike, sorted by them, without payloads."""
        sample, step, channel = self._sorted[0]
        return sample + np.int32(first) if first else sample, step, channel

    @cached_property
    def by_lane(self) -> ByLane:
        """The channels active in each lane; those of events are used where they lie."""
        span, own = self.span, self.arrived
        if own is not None:
            first, stop = np.empty((2, span.width), np.int64)
            b.index_lanes(own.sample, own.step, own.origin, own.delay, span.padded, span.n_steps, first, stop)
            return ByLane(first, stop, own.neuron, _NONE if own.payload is None else own.payload)
        start = np.empty(span.width + 1, np.int64)
        channel = np.empty(self.n_spikes + b.FEW, np.int32)
        b.list_lanes(self.bits, start, channel)
        return ByLane(start[:-1], start[1:], channel, _NONE)

    def to_raster(self) -> NDArray[np.float32]:
        """Return the spikes as float32 of 0 and 1, ``(batch, channels, steps)``."""
        raster = np.empty((self.span.batch, self.size, self.span.n_steps), np.float32)
        b.clear_raster(self.bits, self.span.padded, raster)
        return raster

    def delayed(self, steps: int | NDArray[np.int32]) -> Spikes:
        """Return the spikes moved to later steps, by one number or one for each channel; those past the end are lost.

        Raises:
            SimulationError: for payloads, which cannot be moved here.
        """
        self._refuse_payloads("delayed")
        by_channel = np.broadcast_to(np.asarray(steps, np.int64), self.size)
        later = np.empty_like(self.bits)
        b.shift_rows(self.halves, by_channel, self.span.padded // 16, self.span.n_steps, later.view(np.uint16))
        return Spikes(self.span, self.size, later)

    def kept(self, stays: NDArray[np.bool_]) -> Spikes:
        """Return the spikes of the channels and samples that stay, bool ``(channels, batch)``."""
        self._refuse_payloads("dropped")
        kept = np.empty_like(self.bits)
        b.keep_samples(self.halves, self.span.bits_of_step(stays), self.span.n_steps, kept.view(np.uint16))
        return Spikes(self.span, self.size, kept)

    def counts(self) -> NDArray[np.int64]:
        """Return the number of spikes of each channel in each sample, ``(batch, channels)``."""
        counts = np.zeros((self.size, self.span.padded), np.int64)
        b.count_samples(self.halves, self.span.n_steps, self.span.padded // 16, counts)
        return counts[:, : self.span.batch].T

    def _refuse_payloads(self, what: str) -> None:
        if self.graded:
            raise SimulationError(f"lanes: spikes with payloads cannot be {what}; payloads enter the first layer only")


def _range(sample: NDArray[np.int32], first: int, stop: int) -> tuple[int, int]:
    begin, end = np.searchsorted(sample, np.array([first, stop], sample.dtype))  # another type would copy all of them
    return int(begin), int(end)


def _words(span: Span, n: int) -> Words:
    return np.zeros((n, span.width // 64), np.uint64)
