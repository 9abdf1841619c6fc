"""Compiled conversions between bits over lanes, event lists, events and rasters.

A row of bits holds the lanes of one channel, 64 to a word, lowest bit first; lane ``step * padded + sample``. ``halves`` is
the same array as uint16. Lists of lanes are filled up to a multiple of ``GROUP`` with the lane ``width``, where sums and
errors are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.engines.event.vector import bit_count, lowest_bit
from neurodeploy.files.loops import compiled

GROUP = 4
"""Event lists are a multiple of this long, so that loops over them need no remainder."""
FEW = 4
"""Numbers that are written at the end of a list in any case."""

_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)
_ONE = np.uint64(1)


@_jit
def set_events(neuron: Any, first: Any, stop: Any, bits: Any) -> None:
    """Set the bits of events, a word of lanes at a time; ``first`` and ``stop`` say where those of each lane lie."""
    column = np.zeros(bits.shape[0], np.uint64)
    for w in range(bits.shape[1]):
        some = False
        for k in range(64):
            lane = (w << 6) + k
            some |= first[lane] < stop[lane]
            for i in range(first[lane], stop[lane]):
                column[neuron[i]] |= _ONE << np.uint64(k)
        if some:
            for c in range(column.size):
                bits[c, w] = column[c]
                column[c] = 0


@_jit
def set_raster(raster: Any, padded: Any, bits: Any) -> Any:
    """Set the bits of a raster ``(batch, channels, steps)``; return whether all its values are 0 or 1."""
    batch, channels, n_steps = raster.shape
    plain = True
    for b in range(batch):
        for c in range(channels):
            for t in range(n_steps):
                value = raster[b, c, t]
                if value != 0:
                    plain &= value == 1
                    lane = t * padded + b
                    bits[c, lane >> 6] |= _ONE << np.uint64(lane & 63)
    return plain


@_jit
def set_frames(frames: Any, padded: Any, bits: Any) -> Any:
    """Do as ``set_raster`` for ``(batch, steps, channels)``, read in this order."""
    batch, n_steps, channels = frames.shape
    plain = True
    for b in range(batch):
        for t in range(n_steps):
            lane = t * padded + b
            word, bit = lane >> 6, _ONE << np.uint64(lane & 63)
            for c in range(channels):
                value = frames[b, t, c]
                if value != 0:
                    plain &= value == 1
                    bits[c, word] |= bit
    return plain


@_jit
def set_packed(words: Any, channels: Any, n_steps: Any, padded: Any, bits: Any) -> None:
    """Set the bits of packed frames, uint64 ``(batch, words)``: ``(steps, channels)`` in rows, high bit of a byte first.

    What lies behind the last step is left out. Words of zeros, most of them where few spikes come in, cost one comparison.
    """
    for b in range(words.shape[0]):
        t, end = 0, channels  # end: number of the first place of the next step
        for w in range(words.shape[1]):
            left = words[b, w]
            while left:
                bit = lowest_bit(left)
                left &= left - _ONE
                # bytes lie in memory from the lowest on, and their bits from the highest
                place = (w << 6) + (bit & ~7) + 7 - (bit & 7)
                if place < end - channels:  # of an earlier step than the last of this byte
                    t, end = place // channels, (place // channels + 1) * channels
                while place >= end:
                    t, end = t + 1, end + channels
                if t < n_steps:
                    lane = t * padded + b
                    bits[place - end + channels, lane >> 6] |= _ONE << np.uint64(lane & 63)


@_jit
def set_bytes(flat: Any, words: Any, shape: Any, padded: Any, bits: Any) -> Any:
    """Do as ``set_raster`` or ``set_frames`` for a raster of bytes in one piece, eight at a time, most of which are 0.

    Args:
        flat: uint8, all values in order.
        words: the same memory as uint64, without the rest of up to seven.
        shape: samples, rows of a sample, values of a row; and whether a row is a step (else a channel).
        padded: lanes of a step.
        bits: set.
    """
    (_, rows, length, by_step) = shape
    whole, seen = words.size << 3, np.uint64(0)
    sample, row, end = 0, 0, length
    for k in range(words.size + flat.size - whole):
        inside = k < words.size
        at = k << 3 if inside else whole + k - words.size
        left = words[k] if inside else np.uint64(flat[at])
        seen |= left
        while left:
            byte = lowest_bit(left) >> 3
            left &= ~(np.uint64(0xFF) << np.uint64(byte << 3))
            while at + byte >= end:
                end += length
                row += 1
                if row == rows:
                    row, sample = 0, sample + 1
            column = at + byte - end + length
            lane = (row if by_step else column) * padded + sample
            bits[column if by_step else row, lane >> 6] |= _ONE << np.uint64(lane & 63)
    return seen & np.uint64(0xFEFEFEFEFEFEFEFE) == 0


@_jit
def clear_raster(bits: Any, padded: Any, raster: Any) -> None:
    """Write the spikes to ``raster`` ``(batch, channels, steps)``, 0 and 1."""
    raster[:] = 0
    for c in range(raster.shape[1]):
        for w in range(bits.shape[1]):
            left = bits[c, w]
            while left:
                lane = (w << 6) + lowest_bit(left)
                left &= left - _ONE
                raster[lane % padded, c, lane // padded] = 1


@_jit
def count_bits(bits: Any) -> Any:
    """Return the number of spikes."""
    n = np.int64(0)
    for c in range(bits.shape[0]):
        for w in range(bits.shape[1]):
            n += bit_count(bits[c, w])
    return n


@_jit
def count_rows(bits: Any, start: Any) -> None:
    """Write where the filled-up list of each row begins."""
    start[0] = 0
    for c in range(bits.shape[0]):
        own = np.int64(0)
        for w in range(bits.shape[1]):
            own += bit_count(bits[c, w])
        start[c + 1] = start[c] + (own + GROUP - 1) // GROUP * GROUP


@_jit
def list_rows(bits: Any, start: Any, lanes: Any) -> None:
    """Write the lanes of each row, rising, then the filling; there is room for ``FEW`` more."""
    width = bits.shape[1] << 6
    for c in range(bits.shape[0]):
        at = start[c]
        for w in range(bits.shape[1]):
            at = _append(bits[c, w], w << 6, lanes, at)
        while at < start[c + 1]:
            lanes[at] = width
            at += 1


@_jit
def list_lanes(bits: Any, start: Any, channels: Any) -> None:
    """Write where the list of channels of each lane begins, and the channels, rising; there is room for ``FEW`` more.

    64 channels and 64 lanes are transposed at a time, so that the bits of a lane lie side by side and lists are written in
    order.
    """
    n_channels, groups = bits.shape[0], (bits.shape[0] + 63) >> 6
    square, turned = np.zeros(64, np.uint64), np.zeros((64, groups), np.uint64)
    n = np.int64(0)
    start[0] = 0
    for w in range(bits.shape[1]):
        for g in range(groups):
            held = min(64, n_channels - (g << 6))
            for k in range(held):
                square[k] = bits[(g << 6) + k, w]
            square[held:] = 0
            _transpose(square)
            for k in range(64):
                turned[k, g] = square[k]
        for k in range(64):
            for g in range(groups):
                n = _append(turned[k, g], g << 6, channels, n)
            start[(w << 6) + k + 1] = n


@_inlined
def _append(left: Any, first: Any, channels: Any, n: Any) -> Any:
    """Append the numbers of the bits; the first ``FEW`` are written in any case, as a branch would be mispredicted."""
    end = n + bit_count(left)
    for _ in range(FEW):
        channels[np.uintp(n)] = first + lowest_bit(left)
        left &= left - _ONE
        n += 1
    while n < end:
        channels[np.uintp(n)] = first + lowest_bit(left)
        left &= left - _ONE
        n += 1
    return end


@_jit
def _transpose(square: Any) -> None:
    """Transpose 64 words of 64 bits: swap ever smaller blocks across the diagonal."""
    mask, size = np.uint64(0x00000000FFFFFFFF), 32
    while size:
        shift = np.uint64(size)
        k = 0
        while k < 64:
            for i in range(k, k + size):
                swap = (square[i] >> shift ^ square[i + size]) & mask
                square[i] ^= swap << shift
                square[i + size] ^= swap
            k += 2 * size
        size >>= 1
        mask ^= mask << np.uint64(size)


@_jit
def shift_rows(halves: Any, steps: Any, by: Any, n_steps: Any, later: Any) -> None:
    """Write each row moved by its number of steps to ``later``; a step is ``by`` numbers of 16 bits."""
    for c in range(halves.shape[0]):
        move = min(steps[c], n_steps) * by
        later[c, :move] = 0
        for k in range(move, n_steps * by):
            later[c, k] = halves[c, k - move]
        later[c, n_steps * by :] = 0


@_jit
def keep_samples(halves: Any, stays: Any, n_steps: Any, kept: Any) -> None:
    """Write the rows without the samples that do not stay; ``stays`` holds the bits of a step, ``(channels, by)``."""
    by = stays.shape[1]
    kept[:] = 0
    for c in range(halves.shape[0]):
        for t in range(n_steps):
            for k in range(by):
                kept[c, t * by + k] = halves[c, t * by + k] & stays[c, k]


@_jit
def count_samples(halves: Any, n_steps: Any, by: Any, counts: Any) -> None:
    """Add the spikes of each channel and sample to ``counts`` ``(channels, 16 * by)``."""
    for c in range(halves.shape[0]):
        for t in range(n_steps):
            for k in range(by):
                left = np.uint64(halves[c, t * by + k])
                while left:
                    counts[c, 16 * k + lowest_bit(left)] += 1
                    left &= left - _ONE


@_jit
def index_lanes(
    sample: Any, step: Any, origin: Any, delay: Any, padded: Any, n_steps: Any, first: Any, stop: Any
) -> None:
    """Write where the events of each lane begin and end; events are sorted by sample, then step.

    Samples count from ``origin``, steps are ``delay`` later; what comes after the last step is left out.
    """
    first[:] = 0
    stop[:] = 0
    i = np.int64(0)
    while i < sample.size:
        s, t, begin = sample[i], step[i], i
        while i < sample.size and step[i] == t and sample[i] == s:
            i += 1
        if t + delay < n_steps:
            lane = (np.int64(t) + delay) * padded + s - origin
            first[lane], stop[lane] = begin, i


@_jit
def count_channels(step: Any, neuron: Any, delay: Any, n_steps: Any, start: Any) -> None:
    """Write where the filled-up list of each channel begins; what comes after the last step is left out."""
    start[:] = 0
    for i in range(neuron.size):
        if step[i] + delay < n_steps:
            start[neuron[i] + 1] += 1
    for c in range(start.size - 1):
        start[c + 1] = start[c] + (start[c + 1] + GROUP - 1) // GROUP * GROUP


@_jit
def list_channels(neuron: Any, payload: Any, first: Any, stop: Any, start: Any, lanes: Any, value: Any) -> None:
    """Write the lanes of each channel, rising, with their payloads if there are any, then the filling."""
    place = start[:-1].copy()
    graded = payload.size > 0
    for lane in range(first.size):
        for i in range(first[lane], stop[lane]):
            at = place[neuron[i]]
            lanes[at] = lane
            if graded:
                value[at] = payload[i]
            place[neuron[i]] = at + 1
    for c in range(place.size):
        for at in range(place[c], start[c + 1]):
            lanes[at] = first.size
            if graded:
                value[at] = 0


@_jit
def list_arrivals(
    arrived: Any, origin: Any, delay: Any, padded: Any, n_steps: Any, width: Any, start: Any, lanes: Any
) -> Any:
    """List the events of each channel in the order in which they are given, filled up with ``width``; return the end.

    ``arrived``: columns sample, step and neuron; samples count from ``origin``, steps are ``delay`` later, and what comes
    after the last step is left out. ``lanes`` has room for all events and ``GROUP`` for each channel.
    """
    (sample, step, neuron) = arrived
    last = n_steps - delay
    place = np.zeros(start.size - 1, np.int32)
    for i in range(neuron.size):
        place[np.uintp(neuron[i])] += np.int32(step[i] < last)  # unsigned: numba tests for no index from the end
    n = np.int64(0)
    for c in range(place.size):
        start[c] = n
        end = n + place[c]
        place[c] = n
        n += (end - n + GROUP - 1) // GROUP * GROUP
        for at in range(end, n):
            lanes[at] = width
    start[place.size] = n
    for i in range(neuron.size):
        if step[i] < last:
            channel = np.uintp(neuron[i])
            lanes[np.uintp(place[channel])] = (step[i] + delay) * padded + sample[i] - origin
            place[channel] += np.int32(1)
    return n


@_jit
def sort_rows(rows: Any, span: Any, first: Any, stop: Any, columns: Any) -> Any:
    """Write sample, step and channel of every spike, sorted by them; return how many there are.

    Args:
        rows: start and lanes of the filled-up list of each channel.
        span: lanes of a step, steps, samples.
        first, stop: int64 by lane: where the channels of a lane lie in the third column; written.
        columns: int32 ``(3, n)`` with room for the filling.
    """
    (start, lanes) = rows
    (padded, n_steps, batch) = span
    place = np.zeros(first.size + 1, np.int32)  # one more for the filling
    for i in range(start[start.size - 1]):
        place[np.uintp(lanes[i])] += np.int32(1)
    first[:] = 0
    stop[:] = 0
    n = np.int64(0)
    for b in range(batch):
        for t in range(n_steps):
            lane = t * padded + b
            end = n + place[lane]
            first[lane], stop[lane], place[lane] = n, end, n
            for at in range(n, end):
                columns[0, at], columns[1, at] = b, t
            n = end
    place[first.size] = n
    channel = columns[2]
    for c in range(start.size - 1):
        for i in range(start[c], start[c + 1]):
            lane = np.uintp(lanes[i])
            channel[np.uintp(place[lane])] = c
            place[lane] += np.int32(1)
    return n
