"""Spikes over lanes: bits, lists, events and rasters are the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines.lanes.bits import GROUP
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.errors import SimulationError
from neurodeploy.network.activity import Events, sorted_events

shapes = st.tuples(st.integers(1, 40), st.integers(1, 150), st.integers(1, 30))
seeds = st.integers(0, 2**32 - 1)
rates = st.sampled_from([0.0, 0.02, 0.3, 1.0])


def raster(shape, rate, seed):
    return np.random.default_rng(seed).random(shape) < rate


def both(fired):
    """The same spikes made of a raster and of events."""
    return Spikes.of_raster(fired), Spikes.of_events(Events.from_dense(fired.transpose(0, 2, 1)))


@settings(max_examples=60, deadline=None)
@given(shapes, rates, seeds)
def test_a_raster_comes_back_from_bits_and_from_events(shape, rate, seed):
    fired = raster(shape, rate, seed)
    for spikes in both(fired):
        assert np.array_equal(spikes.to_raster(), fired)
        events = sorted_events((spikes.size, spikes.span.n_steps, spikes.span.batch), *spikes.columns())
        assert np.array_equal(events.to_dense(), fired.transpose(0, 2, 1))
        assert spikes.n_spikes == fired.sum()
        assert np.array_equal(spikes.counts(), fired.sum(2))
        assert spikes.rate == pytest.approx(fired.mean())


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 20), st.one_of(st.integers(1, 9), st.integers(1, 150)), st.integers(1, 30)), rates, seeds
)
def test_packed_frames_give_the_bits_of_their_raster(shape, rate, seed):
    """Of any number of channels, also fewer than the bits of a byte, and places that fill no whole byte or word."""
    fired = raster(shape, rate, seed)
    packed = np.packbits(fired.transpose(0, 2, 1).reshape(len(fired), -1), axis=1)
    ours, theirs = Spikes.of_packed(packed, shape[2], shape[1]), Spikes.of_raster(fired)
    assert ours.span == theirs.span
    assert np.array_equal(ours.bits, theirs.bits)


@settings(max_examples=60, deadline=None)
@given(shapes, rates, seeds)
def test_lists_hold_the_lanes_of_each_channel_and_the_channels_of_each_lane(shape, rate, seed):
    fired = raster(shape, rate, seed)
    for spikes in both(fired):
        span, rows, lanes = spikes.span, spikes.by_row, spikes.by_lane
        wide = np.zeros((shape[1], span.width), bool)
        wide[:, : span.lanes].reshape(shape[1], shape[2], span.padded)[:, :, : shape[0]] = fired.transpose(1, 2, 0)
        for c in range(shape[1]):
            own = rows.lane[rows.start[c] : rows.start[c + 1]]
            assert own.size % GROUP == 0
            assert np.array_equal(own[own < span.width], np.flatnonzero(wide[c]))
            assert np.all(own[wide[c].sum() :] == span.width)
        for k in range(span.width):
            assert np.array_equal(lanes.channel[lanes.first[k] : lanes.stop[k]], np.flatnonzero(wide[:, k]))


@settings(max_examples=60, deadline=None)
@given(shapes, rates, seeds)
def test_columns_are_sorted_by_sample_step_and_channel_and_lists_by_lane_lie_in_them(shape, rate, seed):
    fired = raster(shape, rate, seed)
    for spikes in both(fired):
        wanted = np.nonzero(fired.transpose(0, 2, 1))
        assert all(np.array_equal(own, want) for own, want in zip(spikes.columns(), wanted))
        assert np.array_equal(spikes.columns(100)[0], wanted[0] + 100)
        assert all(column.dtype == np.int32 for column in spikes.columns(100))
        lanes, usual = spikes.by_lane_sorted, spikes.by_lane
        for k in range(spikes.span.width):
            own, want = ((of.channel[of.first[k] : of.stop[k]]) for of in (lanes, usual))
            assert np.array_equal(own, want)


@settings(max_examples=60, deadline=None)
@given(shapes, rates, seeds, st.integers(0, 9))
def test_lists_out_of_order_hold_the_same_lanes(shape, rate, seed, delay):
    events = Events.from_dense(raster(shape, rate, seed).transpose(0, 2, 1))
    spikes = Spikes.of_events(events, shape[0] // 2, delay=delay)
    ordered, own = spikes.by_row, spikes.by_row_unordered
    assert np.array_equal(own.start, ordered.start)
    assert own.lane.dtype == ordered.lane.dtype
    for begin, end in zip(own.start, own.start[1:]):
        assert np.array_equal(np.sort(own.lane[begin:end]), ordered.lane[begin:end])


def test_lanes_of_a_step_are_its_samples():
    fired = np.zeros((17, 2, 3), bool)
    fired[16, 1, 2] = True
    spikes = Spikes.of_raster(fired)
    assert spikes.span.padded == 32
    assert spikes.by_row.lane[0] == 2 * 32 + 16
    assert spikes.span.width == 128
    assert spikes.span.stride == 144


@settings(max_examples=40, deadline=None)
@given(shapes, seeds, st.data())
def test_delayed_spikes_come_that_many_steps_later(shape, seed, data):
    fired = raster(shape, 0.3, seed)
    steps = np.array(data.draw(st.lists(st.integers(0, 40), min_size=shape[1], max_size=shape[1])), np.int32)
    wanted = np.zeros_like(fired)
    for c, by in enumerate(steps):
        wanted[:, c, by:] = fired[:, c, : max(shape[2] - by, 0)]
    for spikes in both(fired):
        assert np.array_equal(spikes.delayed(steps).to_raster(), wanted)
    same = np.zeros_like(fired)
    same[..., 1:] = fired[..., :-1]
    assert np.array_equal(both(fired)[0].delayed(1).to_raster(), same)


@settings(max_examples=40, deadline=None)
@given(shapes, seeds)
def test_spikes_of_a_neuron_that_does_not_stay_are_gone_from_its_sample(shape, seed):
    fired = raster(shape, 0.3, seed)
    stays = raster((shape[1], shape[0]), 0.5, seed)
    kept = Spikes.of_raster(fired).kept(stays)
    assert np.array_equal(kept.to_raster(), fired & stays.T[:, :, None])


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 4), st.integers(1, 12))
def test_a_part_of_the_samples_is_read_where_it_lies(seed, delay, n_steps):
    fired = raster((9, 12, 7), 0.3, seed)
    part = Spikes.of_events(Events.from_dense(fired.transpose(0, 2, 1)), 3, 8, delay=delay, n_steps=n_steps)
    wanted = np.zeros((5, 12, n_steps), bool)
    until = max(0, min(7, n_steps - delay))
    wanted[:, :, delay : delay + until] = fired[3:8, :, :until]
    assert part.span == Span(n_steps, 5)
    assert np.array_equal(part.to_raster(), wanted)
    assert np.array_equal(np.diff(part.by_row.start) > 0, wanted.any((0, 2)))
    assert part.n_spikes == wanted.sum()


def test_payloads_follow_their_events_into_both_lists():
    rng = np.random.default_rng(0)
    values = (rng.integers(-9, 10, (5, 6, 8)) * (rng.random((5, 6, 8)) < 0.4)).astype(np.int32)
    spikes = Spikes.of_events(Events.from_dense(values, graded=True))
    assert spikes.graded
    assert spikes.largest_payload == abs(values).max()
    rows, lanes, padded = spikes.by_row, spikes.by_lane, spikes.span.padded
    for c in range(8):
        own = slice(rows.start[c], rows.start[c + 1])
        for lane, value in zip(rows.lane[own].tolist(), rows.value[own].tolist()):
            assert value == (0 if lane == spikes.span.width else values[lane % padded, lane // padded, c])
    for k in range(spikes.span.lanes):
        own = slice(lanes.first[k], lanes.stop[k])
        for c, value in zip(lanes.channel[own].tolist(), lanes.value[own].tolist()):
            assert value == values[k % padded, k // padded, c]


def test_values_other_than_0_and_1_are_refused():
    with pytest.raises(
        SimulationError, match=r"lanes: spikes are 0 or 1, one of these is 3; give whole numbers as events"
    ):
        Spikes.of_raster(np.array([[[0, 1, 3]]]))


def test_payloads_are_not_delayed_or_dropped():
    spikes = Spikes.of_events(Events.from_dense(np.full((1, 2, 3), 5), graded=True))
    with pytest.raises(SimulationError, match="lanes: spikes with payloads cannot be delayed"):
        spikes.delayed(1)
    with pytest.raises(SimulationError, match="lanes: spikes with payloads cannot be dropped"):
        spikes.kept(np.ones((3, 1), bool))


def test_a_span_whose_lanes_do_not_fit_is_refused():
    with pytest.raises(SimulationError, match=r"lanes: 0 steps of 4 samples, need at least 1 of each"):
        Span(0, 4)
    with pytest.raises(SimulationError, match=r"whose numbers do not fit 31 bits; run smaller batches"):
        Span(2**20, 2**12)


def test_many_lanes_have_long_numbers():
    """Lists of more than 2**16 lanes hold 32-bit numbers."""
    fired = np.zeros((16, 2, 4200), bool)
    fired[15, 1, 4199] = True
    spikes = Spikes.of_raster(fired)
    assert spikes.by_row.lane.dtype == np.int32
    assert spikes.by_row.lane[0] == 4199 * 16 + 15


@pytest.mark.parametrize("kind", [np.uint8, np.bool_, np.int8])
@pytest.mark.parametrize("shape", [(3, 5, 7), (32, 9, 100), (17, 33, 8), (1, 1, 3), (2, 1, 1)])
@pytest.mark.parametrize("rate", [0.02, 0.5, 1.0])
def test_rasters_of_bytes_in_either_order_give_the_bits_of_floats(kind, shape, rate):
    fired = raster(shape, rate, 3)
    wanted = Spikes.of_raster(fired.astype(np.float32)).bits
    frames = np.ascontiguousarray(fired.transpose(0, 2, 1)).astype(kind).transpose(0, 2, 1)
    assert np.array_equal(Spikes.of_raster(fired.astype(kind)).bits, wanted)
    assert np.array_equal(Spikes.of_raster(frames).bits, wanted)


@pytest.mark.parametrize("place", [0, 7, 8, 103, 104])
@pytest.mark.parametrize("value", [2, 255])
def test_a_byte_other_than_0_and_1_is_refused_wherever_it_stands(place, value):
    given = np.zeros(105, np.uint8)
    given[place] = value
    with pytest.raises(SimulationError, match=f"one of these is {value}"):
        Spikes.of_raster(given.reshape(3, 5, 7))
