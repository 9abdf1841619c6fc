"""Compiled conversions between bits over lanes, event lists, events and rasters.

A row of bits holds the lanes of one channel, 64 to a word, lowest bit first; lane ``step * padded + sample``. ``halves`` is
the same array as uint16. Lists of lanes are filled up to a multiple of ``GROUP`` with the lane ``width``, where sums and
errors are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.engines.event.vector import big_word, bit_count, lowest_bit
from neurodeploy.engines.lanes.vectors import high_of_8, load_8, low_of_8, spread_8, store
from neurodeploy.files.loops import compiled

GROUP = 4
"""Event lists are a multiple of this long, so that loops over them need no remainder."""
FEW = 4
"""Numbers that are written to a list at a time, so that there is room for as many behind its end."""

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
def set_packed(packed: Any, channels: Any, n_steps: Any, padded: Any, bits: Any) -> None:
    """Set the bits of packed frames, uint8 ``(batch, bytes)``: ``(steps, channels)`` in rows, high bit of a byte first.

    64 channels of 64 lanes are transposed at a time. What lies behind the last step is left out.
    """
    batch, n_bytes = packed.shape
    flat = packed.ravel()
    square, turned = np.zeros(64, np.uint64), np.zeros(64, np.uint64)
    for first in range(0, channels, 64):
        held = min(64, channels - first)
        for w in range(bits.shape[1]):
            t, b = (w << 6) // padded, (w << 6) % padded
            k, some = 0, np.uint64(0)
            while k < 64:
                run = min(64 - k, padded - b)
                n = min(run, max(batch - b, 0)) if t < n_steps else 0
                some |= _take_words(flat, b * n_bytes, n_bytes, t * channels + first, n, square, k)
                square[k + n : k + run] = 0
                k, t, b = k + run, t + 1, 0
            if some:
                _transpose(square, turned)
                for c in range(held):
                    bits[first + c, w] = turned[_turned(63 - c)]


@_inlined
def _take_words(flat: Any, row: Any, n_bytes: Any, place: Any, n: Any, words: Any, k: Any) -> Any:
    """Write 64 bits of ``n`` rows from a place on, the first of them highest, to ``words``; return all that are set."""
    at, shift, some = row + (place >> 3), np.uint64(place & 7), np.uint64(0)
    if at + (n - 1) * n_bytes + 9 <= flat.size:
        for i in range(n):
            word = big_word(flat, at) << shift | np.uint64(flat[at + 8]) >> (np.uint64(8) - shift)
            words[k + i] = word
            some |= word
            at += n_bytes
        return some
    for i in range(n):  # near the end of the array, byte by byte
        word = np.uint64(0)
        for j in range(min(9, flat.size - at)):
            byte, by = np.uint64(flat[at + j]), 56 - 8 * j + (place & 7)
            word |= byte << np.uint64(by) if by >= 0 else byte >> np.uint64(-by)
        words[k + i] = word
        some |= word
        at += n_bytes
    return some


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
        for w in range(0, bits.shape[1], 2):
            also = min(w + 1, bits.shape[1] - 1)
            if bits[c, w] | bits[c, also]:
                at = _append(bits[c, w], w << 6, lanes, at)
                if also > w:
                    at = _append(bits[c, also], also << 6, lanes, at)
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
    square, own, turned = np.zeros(64, np.uint64), np.zeros(64, np.uint64), np.zeros((64, groups), np.uint64)
    n = np.int64(0)
    start[0] = 0
    for w in range(bits.shape[1]):
        for g in range(groups):
            held = min(64, n_channels - (g << 6))
            for k in range(held):
                square[k] = bits[(g << 6) + k, w]
            square[held:] = 0
            _transpose(square, own)
            for k in range(64):
                turned[k, g] = own[_turned(k)]
        for k in range(64):
            for g in range(groups):
                n = _append(turned[k, g], g << 6, channels, n)
            start[(w << 6) + k + 1] = n


@_inlined
def _append(left: Any, first: Any, numbers: Any, n: Any) -> Any:
    """Append the numbers of the bits, ``FEW`` at a time whether there are that many or not: branches are mispredicted."""
    end = n + bit_count(left)
    while True:
        for _ in range(FEW):
            numbers[n] = first + lowest_bit(left)
            left &= left - _ONE
            n += 1
        if n >= end:
            return end


@_inlined
def _transpose(square: Any, turned: Any) -> None:
    """Write 64 words of 64 bits transposed to ``turned``, word ``8 a + b`` of the result at ``8 b + a``.

    Ever smaller blocks are swapped across the diagonal: those of eight words and more by whole vectors, the smaller ones
    after the words have been transposed as 8 x 8.
    """
    r0, r1, r2, r3 = load_8(square, 0), load_8(square, 8), load_8(square, 16), load_8(square, 24)
    r4, r5, r6, r7 = load_8(square, 32), load_8(square, 40), load_8(square, 48), load_8(square, 56)
    r0, r1, r2, r3, r4, r5, r6, r7 = _swapped(
        r0,
        r1,
        r2,
        r3,
        r4,
        r5,
        r6,
        r7,
        8,
        np.uint64(0xFFFFFFFF),
        np.uint64(0x0000FFFF0000FFFF),
        np.uint64(0x00FF00FF00FF00FF),
    )
    for _ in range(3):
        s0, s1, s2, s3 = low_of_8(r0, r4), high_of_8(r0, r4), low_of_8(r1, r5), high_of_8(r1, r5)
        s4, s5, s6, s7 = low_of_8(r2, r6), high_of_8(r2, r6), low_of_8(r3, r7), high_of_8(r3, r7)
        r0, r1, r2, r3, r4, r5, r6, r7 = s0, s1, s2, s3, s4, s5, s6, s7
    r0, r1, r2, r3, r4, r5, r6, r7 = _swapped(
        r0,
        r1,
        r2,
        r3,
        r4,
        r5,
        r6,
        r7,
        1,
        np.uint64(0x0F0F0F0F0F0F0F0F),
        np.uint64(0x3333333333333333),
        np.uint64(0x5555555555555555),
    )
    store(turned, 0, r0)
    store(turned, 8, r1)
    store(turned, 16, r2)
    store(turned, 24, r3)
    store(turned, 32, r4)
    store(turned, 40, r5)
    store(turned, 48, r6)
    store(turned, 56, r7)


@_inlined
def _turned(k: Any) -> Any:
    return (k & 7) << 3 | k >> 3


@_inlined
def _swapped(
    r0: Any, r1: Any, r2: Any, r3: Any, r4: Any, r5: Any, r6: Any, r7: Any, by: Any, far: Any, mid: Any, near: Any
) -> Any:
    """Return eight vectors after swaps between those four, two and one apart, by ``4 by``, ``2 by`` and ``by`` bits."""
    r0, r4 = _swap(r0, r4, 4 * by, far)
    r1, r5 = _swap(r1, r5, 4 * by, far)
    r2, r6 = _swap(r2, r6, 4 * by, far)
    r3, r7 = _swap(r3, r7, 4 * by, far)
    r0, r2 = _swap(r0, r2, 2 * by, mid)
    r1, r3 = _swap(r1, r3, 2 * by, mid)
    r4, r6 = _swap(r4, r6, 2 * by, mid)
    r5, r7 = _swap(r5, r7, 2 * by, mid)
    r0, r1 = _swap(r0, r1, by, near)
    r2, r3 = _swap(r2, r3, by, near)
    r4, r5 = _swap(r4, r5, by, near)
    r6, r7 = _swap(r6, r7, by, near)
    return r0, r1, r2, r3, r4, r5, r6, r7


@_inlined
def _swap(a: Any, b: Any, by: Any, mask: Any) -> Any:
    """Return two vectors after the high part of ``a`` under the mask has been swapped with the low part of ``b``."""
    shift = spread_8(np.uint64(by))
    swap = ((a >> shift) ^ b) & spread_8(mask)
    return a ^ (swap << shift), b ^ swap


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
def list_samples(first: Any, stop: Any, channel: Any, padded: Any, n_steps: Any, batch: Any, columns: Any) -> None:
    """Write sample, step and channel of every spike, sorted by them, to three rows of int32."""
    n = np.int64(0)
    for b in range(batch):
        for t in range(n_steps):
            lane = t * padded + b
            for i in range(first[lane], stop[lane]):
                columns[0, n], columns[1, n], columns[2, n] = b, t, channel[i]
                n += 1


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
