"""The compiled inner loops of the event-driven engine.

``run_samples`` runs a whole network, given as the flat tables of ``compile.py``, for a range of samples. In each step every
population is updated from its summed input, then the spikes of that step are added to the inputs of later steps. The array
``acc`` holds the summed inputs, one row for each step that a delay can reach; the rows are used as a ring.

The arithmetic of 64 neurons and of 128 columns of weights at a time is that of ``vector.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodeploy.engines.event.vector import (
    add_16,
    add_16_times,
    add_tile_64,
    add_tile_128,
    bit_count,
    borrowed,
    lowest_bit,
    prefetch,
    restored,
    subtract_each,
    towards_zero,
    update_each,
    update_equal,
    update_fitting,
)
from neurodeploy.files.loops import compiled

# Columns of the table of populations.
(P_SIZE, P_PADDED, P_STATE, P_FIRST, P_ROWS, P_ACC, P_VECTOR, P_PERM, P_CHANNELS, P_BIASED, P_WRAPS, P_FITS) = range(12)
P_SUBTRACTS, P_COLUMNS = 12, 13
# Columns of the table of wires (one row for each wire; a projection has one or several).
(Q_KIND, Q_SOURCE, Q_TARGET, Q_DELAY, Q_SCALE, Q_WEIGHT, Q_START, Q_INDEX, Q_STRIDE, Q_PRIVATE, Q_SHIFT, Q_WRAP) = (
    range(12)
)
Q_GROUP, Q_FAN, Q_DRIVE, Q_COLUMNS = 12, 13, 14, 15
# Kinds of wires; those from GRADED on carry payloads.
DENSE8, SEGMENTS, SPARSE_16_8, SPARSE_32_8, SPARSE_16_16, SPARSE_32_16, DELAYED = range(7)
GRADED = GRADED_SEGMENTS = 7
GRADED_SPARSE = 8

PAD = 64
"""Rows of states, inputs and dense weights are padded to a multiple of this, so that loops need no remainder."""
FEW = 4
"""Number of spikes of 64 neurons that ``_append`` writes in any case, before it looks at how many there are."""
BLOCK = 512
"""Number of neurons that are skipped together when all of them are at rest."""

_jit = compiled(nogil=True)
_inlined = compiled(nogil=True, forceinline=True)
"""Decorator that inlines the functions that every step calls. Passing their arrays, seven words each, took more time than
small layers (measured: half)."""


@_inlined
def _all_zero(acc: Any, first: Any, stop: Any) -> Any:
    seen = np.int32(0)
    for i in range(first, stop):
        seen |= acc[i]
    return seen == 0


@_inlined
def _append(mask: Any, first: Any, out: Any, n: Any) -> Any:
    """Append the neurons from ``first`` on whose bit is set; return the new end. ``out`` has room for ``FEW`` more.

    The first ``FEW`` entries are written in any case, because a branch on their number would be mispredicted.
    """
    end = n + bit_count(mask)
    for _ in range(FEW):
        out[n] = first + lowest_bit(mask)
        mask &= mask - np.uint64(1)
        n += 1
    while n < end:
        out[n] = first + lowest_bit(mask)
        mask &= mask - np.uint64(1)
        n += 1
    return end


@_jit
def _recount(now: Any, before: Any, first: Any, label: Any, counts: Any) -> None:
    """Update the counts per label for 64 neurons, given which were active before and which are now."""
    changed = now ^ before
    while changed:
        bit = lowest_bit(changed)
        changed &= changed - np.uint64(1)
        own = label[first + bit]
        if own >= 0:
            counts[own] += 1 if now >> np.uint64(bit) & np.uint64(1) else -1


@_inlined
def _add_dense(acc: Any, base: Any, size: Any, w: Any, wires: Any, weights: Any, spikes: Any) -> None:
    """Add the int8 rows of all sources, ``Q_GROUP`` at a time; an int16 sum can hold at most 256 rows."""
    (sources, begin, end) = spikes
    weight, stride, scale = wires[w, Q_WEIGHT], wires[w, Q_STRIDE], np.int32(wires[w, Q_SCALE])
    group, wide = wires[w, Q_GROUP], size & -128
    for first in range(begin, end, group):
        stop = min(end, first + group)
        for column in range(0, wide, 128):
            add_tile_128(acc, base + column, weights, weight + column, sources, stride, first, stop, scale)
        if wide < size:
            add_tile_64(acc, base + wide, weights, weight + wide, sources, stride, first, stop, scale)


@_jit
def _add_segment(acc: Any, at: Any, weights: Any, first: Any, length: Any) -> None:
    """``acc[at:at + length] += weights[first:first + length]``."""
    done = 0
    while done + 16 <= length:
        add_16(acc, at + done, weights, first + done)
        done += 16
    for k in range(done, length):
        acc[at + k] += np.int32(weights[first + k])


@_jit
def _add_segments(
    wires: Any, w: Any, acc: Any, base: Any, row: Any, size: Any, ring: Any, spikes: Any, net: Any
) -> None:
    """Add the segments of each source; ``Q_STRIDE`` is the place of the delays if they differ by source."""
    weights, start, segments, source_delay = net[1], net[4], net[5], net[7]
    (sources, begin, end) = spikes
    lists, delays, index, weight = wires[w, Q_START], wires[w, Q_STRIDE], wires[w, Q_INDEX], wires[w, Q_WEIGHT]
    for i in range(begin, end):
        source, at = np.int64(sources[i]), row
        if delays >= 0:
            at += source_delay[delays + source] * size
            at = at - ring if at >= ring else at
        for k in range(start[lists + source], start[lists + source + 1]):
            s = 3 * (index + k)
            to, first, length = np.int64(segments[s]), np.int64(segments[s + 1]), np.int64(segments[s + 2])
            _add_segment(acc, base + at + to, weights, weight + first, length)


@_jit
def _add_sparse(acc: Any, base: Any, target: Any, weights: Any, wires: Any, w: Any, start: Any, spikes: Any) -> None:
    """Add the stored synapses of each source to the row of ``acc`` at ``base``.

    If the lists exceed the cache, the list of the source that comes ``Q_STRIDE`` later is prefetched. If ``Q_FAN`` is not 0,
    all lists have this length, so that their starts need no look-up.
    """
    (sources, begin, end) = spikes
    first, index, weight, scale = wires[w, Q_START], wires[w, Q_INDEX], wires[w, Q_WEIGHT], np.int32(wires[w, Q_SCALE])
    row, ahead, fan = np.uintp(base), wires[w, Q_STRIDE], np.uintp(wires[w, Q_FAN])
    shift = np.uintp(weight - index)  # modulo 2**64: with unsigned numbers numba does not test for negative indices
    if fan > 0:
        for i in range(begin, end):
            own = np.uintp(index) + np.uintp(sources[i]) * fan
            for k in range(own, own + fan):
                acc[row + np.uintp(target[k])] += np.int32(weights[k + shift]) * scale
        return
    for i in range(begin, end):
        if ahead > 0 and i + ahead < end:
            source = first + sources[i + ahead]
            for k in range(start[source], start[source + 1], 32):
                prefetch(target, index + k)
                prefetch(weights, weight + k)
        source = first + sources[i]
        for k in range(np.uintp(index + start[source]), np.uintp(index + start[source + 1])):
            acc[row + np.uintp(target[k])] += np.int32(weights[k + shift]) * scale


@_jit
def _add_delayed(
    wires: Any, w: Any, acc: Any, base: Any, row: Any, size: Any, ring: Any, spikes: Any, net: Any
) -> None:
    """Add stored synapses, each to the row of its delay; the ring of rows begins at ``base``."""
    weights, target, start, delay = net[1], net[3], net[4], net[6]
    (sources, begin, end) = spikes
    lists, delays, index, weight = wires[w, Q_START], wires[w, Q_STRIDE], wires[w, Q_INDEX], wires[w, Q_WEIGHT]
    for i in range(begin, end):
        source = lists + sources[i]
        for k in range(start[source], start[source + 1]):
            at = row + np.int64(delay[delays + k]) * size
            at = at - ring if at >= ring else at
            acc[base + at + target[index + k]] += np.int32(weights[weight + k])


@_jit
def _merge(acc: Any, base: Any, size: Any, sums: Any, shift: Any, wraps: Any, flags: Any) -> None:
    """Shift private sums, wrap those of a convolution to 24 bits (and flag them), add them to ``acc``, clear them."""
    for i in range(size):
        part = sums[i]
        sums[i] = 0
        part = np.int32(part << shift) if shift >= 0 else np.int32(part >> -shift)
        if wraps:
            short = np.int32(np.int32(np.int32(part + np.int32(8388608)) & np.int32(16777215)) - np.int32(8388608))
            if short != part:
                flags[base + i] = 1
            part = short
        acc[base + i] += part


@_jit
def _sum_payloads(wires: Any, w: Any, sums: Any, base: Any, events: Any, net: Any) -> None:
    """Add weight times payload to ``sums`` from ``base`` on, for each synapse of each event; sums wrap at 32 bits."""
    weights, target, start, segments = net[1], net[3], net[4], net[5]
    (sources, payloads, begin, end) = events
    lists, index, weight = wires[w, Q_START], wires[w, Q_INDEX], wires[w, Q_WEIGHT]
    if wires[w, Q_KIND] == GRADED_SEGMENTS:
        for i in range(begin, end):
            source, payload = lists + np.int64(sources[i]), payloads[i]
            for k in range(start[source], start[source + 1]):
                s = 3 * (index + k)
                to, first, length = np.int64(segments[s]), np.int64(segments[s + 1]), np.int64(segments[s + 2])
                _add_segment_times(sums, base + to, weights, weight + first, length, payload)
        return
    row, shift = np.uintp(base), np.uintp(weight - index)  # unsigned and modulo 2**64, as in ``_add_sparse``
    for i in range(begin, end):
        source, payload = lists + np.int64(sources[i]), payloads[i]
        for k in range(np.uintp(index + start[source]), np.uintp(index + start[source + 1])):
            sums[row + np.uintp(target[k])] += np.int32(weights[k + shift] * payload)


@_jit
def _add_segment_times(acc: Any, at: Any, weights: Any, first: Any, length: Any, factor: Any) -> None:
    """``acc[at:at + length] += factor * weights[first:first + length]``."""
    done = 0
    while done + 16 <= length:
        add_16_times(acc, at + done, weights, first + done, factor)
        done += 16
    for k in range(done, length):
        acc[at + k] = np.int32(acc[at + k] + np.int32(weights[first + k] * factor))


@_jit
def _transmit_payloads(wires: Any, w: Any, t: Any, events: Any, again: Any, net: Any, work: Any, drives: Any) -> None:
    """Add the events that a graded input sends in step ``t`` over one wire to the inputs of its target.

    The sums of a wire are kept in ``drives``. If the input sends what it sent in the step before (``again``), they are used
    once more.
    """
    (acc_all, flags, populations) = work
    (sums, wrapped) = drives
    target, kept, wraps = wires[w, Q_TARGET], wires[w, Q_DRIVE], wires[w, Q_WRAP] != 0
    size, rows, begin = populations[target, P_PADDED], populations[target, P_ROWS], populations[target, P_ACC]
    if not again:
        sums[kept : kept + size] = 0
        wrapped[kept : kept + size] = 0
        _sum_payloads(wires, w, sums, kept, events, net)
        shift = wires[w, Q_SHIFT]
        for i in range(kept, kept + size):
            part = np.int32(sums[i] << shift) if shift >= 0 else np.int32(sums[i] >> -shift)
            if wraps:
                short = np.int32(np.int32(np.int32(part + np.int32(8388608)) & np.int32(16777215)) - np.int32(8388608))
                wrapped[i] = short != part
                part = short
            sums[i] = part
    base = begin + _row(t + 1 + wires[w, Q_DELAY], rows) * size
    for i in range(size):
        acc_all[base + i] = np.int32(acc_all[base + i] + sums[kept + i])
    if wraps:
        for i in range(size):
            flags[base + i] |= wrapped[kept + i]


@_inlined
def _transmit(wires: Any, w: Any, t: Any, spikes: Any, net: Any, work: Any) -> None:
    """Add the spikes sent in step ``t`` over one wire to the inputs of its target.

    ``spikes`` is a tuple: the array of source neurons, and begin and end of this step's spikes in it.
    """
    (w8, w16, t16, t32, start, _, _, _) = net
    (acc_all, sums, flags, populations) = work
    target, private, kind = wires[w, Q_TARGET], wires[w, Q_PRIVATE] != 0, wires[w, Q_KIND]
    size, rows, begin = populations[target, P_PADDED], populations[target, P_ROWS], populations[target, P_ACC]
    row = _row(t + 1 + wires[w, Q_DELAY], rows) * size
    acc, base = (sums, 0) if private else (acc_all, begin + row)
    if kind == DENSE8:
        _add_dense(acc, base, size, w, wires, w8, spikes)
    elif kind == SEGMENTS:
        if private:
            _add_segments(wires, w, sums, 0, 0, size, 0, spikes, net)
        else:
            _add_segments(wires, w, acc_all, begin, row, size, size * rows, spikes, net)
    elif kind == SPARSE_16_8:
        _add_sparse(acc, base, t16, w8, wires, w, start, spikes)
    elif kind == SPARSE_32_8:
        _add_sparse(acc, base, t32, w8, wires, w, start, spikes)
    elif kind == SPARSE_16_16:
        _add_sparse(acc, base, t16, w16, wires, w, start, spikes)
    elif kind == SPARSE_32_16:
        _add_sparse(acc, base, t32, w16, wires, w, start, spikes)
    else:
        _add_delayed(wires, w, acc_all, begin, row, size, size * rows, spikes, net)
    if private:
        _merge(acc_all, begin + row, size, sums, wires[w, Q_SHIFT], wires[w, Q_WRAP] != 0, flags)


@_inlined
def _update(
    table: Any, p: Any, t: Any, scalars: Any, each: Any, state: Any, counting: Any, until: Any, out: Any, begin: Any
) -> Any:
    """Update one population in step ``t``; write the neurons that fired to ``out`` from ``begin`` on.

    Returns the end of these neurons in ``out`` and the number of overflows. Where not all are at rest then, the population
    is updated in the next step as well (``until``).
    """
    (acc, u, v, active, flags) = state
    padded, at, size, biased, wraps = (
        table[p, P_PADDED],
        table[p, P_STATE],
        table[p, P_SIZE],
        table[p, P_BIASED],
        table[p, P_WRAPS],
    )
    counted, vector, fits = counting[0], table[p, P_VECTOR], table[p, P_FITS] != 0
    subtracts = table[p, P_SUBTRACTS] != 0
    keep_u, keep_v, limit, bias = scalars[p, 0], scalars[p, 1], scalars[p, 2], scalars[p, 3]
    base = table[p, P_ACC] + _row(t, table[p, P_ROWS]) * padded
    n, overs = begin, np.int64(0)
    if t < table[p, P_FIRST]:
        acc[base : base + padded] = 0
        if table[p, P_WRAPS]:
            flags[base : base + padded] = 0
        return n, overs
    for first in range(0, padded, BLOCK):
        stop = min(size, first + BLOCK)
        block = (at + first) >> 6
        must = active[block] or biased or wraps
        if not must and _all_zero(acc, base + first, base + min(padded, first + BLOCK)):
            continue
        awake = np.uint64(0)
        for i in range(first, stop, PAD):
            if subtracts:
                masks = subtract_each(acc, base + i, u, v, at + i, each[0], each[1], each[2], each[3], vector + i)
            elif vector >= 0:
                masks = update_each(acc, base + i, u, v, at + i, each[0], each[1], each[2], each[3], vector + i)
            elif fits:
                masks = update_fitting(acc, base + i, u, v, at + i, keep_u, keep_v, limit, bias)
            else:
                masks = update_equal(acc, base + i, u, v, at + i, keep_u, keep_v, limit, bias)
            fired, over, before, after = masks
            if size - i < PAD:
                inside = (np.uint64(1) << np.uint64(size - i)) - np.uint64(1)
                fired, before = fired & inside, before & inside
            n = _append(fired, i, out, n)
            awake |= after
            if counted:
                awake |= before  # so that the block is visited once more, and neurons now at rest leave the counts
                _count(before, (at + i) >> 6, counting)
            if wraps:
                over |= _take_flags(flags, base + i)
            overs += bit_count(over)
        active[block] = awake != 0
        if awake != 0 and until[p] <= t:
            until[p] = t + 1
    return n, overs


@_inlined
def _expect(target: Any, t: Any, populations: Any, until: Any) -> None:
    """Note that what was sent in step ``t`` arrives at a population within the steps that its sums are kept for."""
    until[target] = max(until[target], t + populations[target, P_ROWS])


@_inlined
def _row(t: Any, rows: Any) -> Any:
    """Return ``t`` modulo ``rows``, without a division for the usual single row, because division is slow."""
    return t % rows if rows > 1 else 0


@_inlined
def _count(now: Any, place: Any, counting: Any) -> None:
    (_, before, label, counts) = counting
    if now != before[place]:
        _recount(now, before[place], place * PAD, label, counts)
        before[place] = now


@_jit
def _take_flags(flags: Any, at: Any) -> Any:
    """Return the flags of 64 wrapped sums as bits, and clear them."""
    mask = np.uint64(0)
    for i in range(PAD):
        mask |= np.uint64(flags[at + i]) << np.uint64(i)
        flags[at + i] = 0
    return mask


@_jit
def _keep_state(table: Any, probe: Any, place: Any, u: Any, v: Any, populations: Any, order: Any, probed: Any) -> None:
    """Copy the state of one probe to row ``place`` (counted over samples and steps), in outer numbers."""
    p, source = table[probe, 0], u if table[probe, 1] == 0 else v
    at, size, own = populations[p, P_STATE], populations[p, P_SIZE], populations[p, P_PERM]
    to = table[probe, 2] + place * size
    for i in range(size):
        probed[to + (order[own + i] if own >= 0 else i)] = source[at + i]


@_jit
def run_samples(
    first: Any,
    stop: Any,
    n_steps: Any,
    populations: Any,
    scalars: Any,
    each: Any,
    wires: Any,
    net: Any,
    inputs: Any,
    state: Any,
    counting: Any,
    work: Any,
    probes: Any,
    drives: Any,
    results: Any,
) -> Any:
    """Run samples ``first`` to ``stop``; return the number of samples whose spikes fitted into the buffer.

    The first sample whose spikes do not fit is not counted; the caller makes room and starts again with it. Overflows and
    spike counts of the counted samples are added to the arrays that the caller passes.
    """
    rounding = towards_zero()
    populations, scalars, wires = borrowed(populations), borrowed(scalars), borrowed(wires)
    input_start, input_neuron = borrowed(inputs[0]), borrowed(inputs[1])
    input_payload, repeated = borrowed(inputs[2]), borrowed(inputs[3])
    drives_here = (borrowed(drives[0]), borrowed(drives[1]))
    acc_all, u_all, v_all = borrowed(state[0]), borrowed(state[1]), borrowed(state[2])
    active, flags = borrowed(state[3]), borrowed(state[4])
    sums = borrowed(work[0])
    fired_start, fired_stop, sample_over = borrowed(work[1]), borrowed(work[2]), borrowed(work[3])
    until = borrowed(work[4])  # last step in which a population that has no bias may change
    probed, probe_table, perm = borrowed(probes[0]), borrowed(probes[1]), borrowed(probes[2])
    spikes, counts, overflow, n_spikes, updated = (
        borrowed(results[0]),
        borrowed(results[1]),
        borrowed(results[2]),
        borrowed(results[3]),
        borrowed(results[4]),
    )
    counted, before, label, label_counts = (
        counting[0],
        borrowed(counting[1]),
        borrowed(counting[2]),
        borrowed(counting[3]),
    )
    each_here = (borrowed(each[0]), borrowed(each[1]), borrowed(each[2]), borrowed(each[3]))
    tables = (
        borrowed(net[0]),
        borrowed(net[1]),
        borrowed(net[2]),
        borrowed(net[3]),
        borrowed(net[4]),
        borrowed(net[5]),
        borrowed(net[6]),
        borrowed(net[7]),
    )
    state_here, counting_here = (acc_all, u_all, v_all, active, flags), (counted, before, label, label_counts)
    n_inputs, n_populations = input_start.shape[0], populations.shape[0]
    transmit_work = (acc_all, sums, flags, populations)
    used = np.int64(0)
    for sample in range(first, stop):
        acc_all[:] = 0
        u_all[:] = 0
        v_all[:] = 0
        active[:] = 0
        flags[:] = 0
        before[:] = 0
        label_counts[:] = 0
        sample_over[:] = 0
        for p in range(n_populations):
            until[p] = n_steps if populations[p, P_BIASED] or populations[p, P_WRAPS] else -1
        for t in range(n_steps):
            for p in range(n_populations):
                if t > until[p]:
                    fired_start[p], fired_stop[p] = used, used
                    counts[sample - first, t, p] = 0
                    continue
                if used + populations[p, P_SIZE] + FEW > spikes.size:
                    restored(rounding)
                    return sample - first
                end, over = _update(
                    populations, p, t, scalars, each_here, state_here, counting_here, until, spikes, used
                )
                fired_start[p], fired_stop[p] = used, end
                counts[sample - first, t, p] = end - used
                sample_over[p] += over
                used = end
            if counted:
                updated[sample - first, t] = label_counts
            for probe in range(probe_table.shape[0]):
                place = (sample - first) * n_steps + t
                _keep_state(probe_table, probe, place, u_all, v_all, populations, perm, probed)
            for w in range(wires.shape[0]):
                source = wires[w, Q_SOURCE]
                if wires[w, Q_KIND] >= GRADED:
                    place = sample * n_steps + t
                    begin, end = input_start[source, place], input_start[source, place + 1]
                    if begin < end:
                        events = (input_neuron, input_payload, begin, end)
                        _expect(wires[w, Q_TARGET], t, populations, until)
                        again = repeated[source, place] != 0
                        _transmit_payloads(
                            wires, w, t, events, again, tables, (acc_all, flags, populations), drives_here
                        )
                    continue
                if source < n_inputs:
                    place = sample * n_steps + t
                    fired = (input_neuron, input_start[source, place], input_start[source, place + 1])
                else:
                    fired = (spikes, fired_start[source - n_inputs], fired_stop[source - n_inputs])
                if fired[1] < fired[2]:
                    _expect(wires[w, Q_TARGET], t, populations, until)
                    _transmit(wires, w, t, fired, tables, transmit_work)
        overflow += sample_over
        for t in range(n_steps):
            for p in range(n_populations):
                n_spikes[p] += counts[sample - first, t, p]
    restored(rounding)
    return stop - first


@_jit
def index_steps(sample: Any, step: Any, n_samples: Any, n_steps: Any, first: Any, start: Any) -> None:
    """Write to ``start`` where the events of each sample and step start in a sorted list that begins at ``first``.

    ``start`` has ``n_samples * n_steps + 1`` entries.
    """
    start[:] = 0
    start[0] = first
    for i in range(sample.size):
        start[np.int64(sample[i]) * n_steps + step[i] + 1] += 1
    for i in range(n_samples * n_steps):
        start[i + 1] += start[i]


@_jit
def mark_repeated(start: Any, neuron: Any, payload: Any, n_samples: Any, n_steps: Any, repeated: Any) -> None:
    """Write to ``repeated`` for each sample and step whether an input sends the same events as in the step before.

    ``start`` is that of ``index_steps``; ``neuron`` and ``payload`` are the columns that it points into.
    """
    for sample in range(n_samples):
        for t in range(n_steps):
            place = sample * n_steps + t
            begin, end = start[place], start[place + 1]
            same = t > 0 and end - begin == begin - start[place - 1]
            if same:
                before = start[place - 1] - begin
                for i in range(begin, end):
                    if neuron[i] != neuron[i + before] or payload[i] != payload[i + before]:
                        same = False
                        break
            repeated[place] = same


@_jit
def collect_spikes(
    first: Any, spikes: Any, counts: Any, populations: Any, order: Any, place: Any, at: Any, columns: Any
) -> None:
    """Sort the common buffer of spikes into the columns sample, step and outer neuron, population after population.

    ``at`` holds the next free place of each population in ``columns`` (int32 ``(3, n)``) and is advanced; samples count from
    ``first``; ``place`` has room for the channels of a population whose inner and outer numbers differ.
    """
    begin = np.int64(0)
    sample, step, neuron = columns[0], columns[1], columns[2]
    for s in range(counts.shape[0]):
        for t in range(counts.shape[1]):
            for p in range(counts.shape[2]):
                size, to, perm = counts[s, t, p], at[p], populations[p, P_PERM]
                if size == 0:
                    continue
                sample[to : to + size] = first + s
                step[to : to + size] = t
                if perm >= 0:
                    own = order[perm : perm + populations[p, P_SIZE]]
                    channels = populations[p, P_CHANNELS]
                    _sorted_copy(spikes[begin : begin + size], own, place[:channels], neuron[to : to + size])
                else:
                    neuron[to : to + size] = spikes[begin : begin + size]
                at[p] = to + size
                begin += size


@_jit
def _sorted_copy(inner: Any, perm: Any, place: Any, neuron: Any) -> None:
    """Write ``perm[inner]`` to ``neuron`` in rising order; the pixels of each channel are in order already."""
    channels = np.uint32(place.size)
    place[:] = 0
    for i in inner:
        place[np.uint32(i) % channels] += 1
    n = np.int64(0)
    for channel in range(place.size):
        place[channel], n = n, n + place[channel]
    for i in inner:
        c = np.uint32(i) % channels
        neuron[place[c]] = perm[i]
        place[c] += 1
