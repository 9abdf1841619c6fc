"""Encodings and splits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.data.dataset import Dataset, split
from neurodeploy.data.encodings import Frame, direct, encode_changes, rate
from neurodeploy.errors import DataError


def _dataset(n_per_class: int, n_classes: int = 3) -> Dataset:
    n = n_per_class * n_classes
    values = np.arange(n, dtype=np.float32)[:, None] / n
    return Dataset(name="toy", shape=(1,), values=values, labels=np.arange(n) % n_classes, n_classes=n_classes)


@pytest.mark.parametrize("n_steps", [1, 7, 16])
def test_rate_code_gives_exactly_the_rounded_number_of_spikes(n_steps):
    values = np.linspace(0, 1, 33)[None]
    assert np.array_equal(rate(values, n_steps).sum(axis=1)[0], np.rint(values[0] * n_steps))


def test_rate_code_spaces_spikes_evenly():
    gaps = np.diff(np.flatnonzero(rate(np.array([[0.25]]), 16)[0, :, 0]))
    assert gaps.tolist() == [4, 4, 4]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=12), st.sampled_from([1, 2, 5]))
def test_a_signals_level_stays_within_a_step_or_comes_nearer_by_one(values, step):
    signal = np.array(values, float)
    rises, falls = encode_changes(signal[None, :, None], step)[0].T.astype(int)
    level = signal[0] + step * np.cumsum(rises - falls)
    assert not (rises & falls).any()
    for t in range(1, signal.size):
        off = signal[t] - level[t - 1]
        assert level[t] - level[t - 1] == (0 if abs(off) < step else step * np.sign(off))


def test_changes_of_each_channel_are_its_own_and_rises_stand_before_falls():
    signals = np.zeros((2, 4, 3))
    signals[0, 2:, 1] = 1
    signals[1, 1:, 2] = -1
    spikes = encode_changes(signals, 1)
    assert spikes.shape == (2, 4, 6)
    assert np.argwhere(spikes).tolist() == [[0, 2, 1], [1, 1, 5]]


@pytest.mark.parametrize(
    ("signals", "step", "said"),
    [
        (np.zeros((3, 4)), 1, r"have the shape \(3, 4\); give samples, steps, channels"),
        (np.full((1, 2, 1), np.nan), 1, "must be numbers"),
        (np.zeros((1, 2, 1)), 0, "the step 0 above 0"),
    ],
)
def test_signals_that_have_no_changes_to_encode_are_refused(signals, step, said):
    with pytest.raises(DataError, match=said):
        encode_changes(signals, step)


def test_split_parts_are_disjoint_complete_and_balanced():
    data = _dataset(100)
    parts = split(data, test_fraction=0.25, validation_fraction=0.2, seed=1)
    values = np.concatenate([p.values[:, 0] for p in parts])
    assert sorted(values) == sorted(data.values[:, 0])
    assert [np.bincount(p.labels).tolist() for p in parts] == [[60] * 3, [15] * 3, [25] * 3]


def test_split_depends_on_its_seed_alone():
    a, b, c = (split(_dataset(40), test_fraction=0.5, validation_fraction=0.5, seed=s)[2] for s in (0, 0, 1))
    assert np.array_equal(a.values, b.values)
    assert not np.array_equal(a.values, c.values)


def test_split_of_too_few_samples_is_refused():
    with pytest.raises(DataError, match="'toy' has 2 samples of class 0, too few"):
        split(_dataset(2), test_fraction=0.25, validation_fraction=0.2, seed=0)


@pytest.mark.train
def test_digits_are_the_1797_scans_with_values_in_0_to_1():
    from neurodeploy.data.digits import load_digits

    data = load_digits()
    assert data.values.shape == (1797, 64)
    assert (data.values.min(), data.values.max()) == (0.0, 1.0)
    assert np.bincount(data.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_direct_coding_repeats_whole_numbers_in_every_step():
    payloads = np.array([[0, 1, 255], [7, 0, 3]], np.uint8)
    raster = direct(payloads, 3)
    assert raster.dtype == np.uint8
    assert raster.shape == (2, 3, 3)
    assert all(np.array_equal(raster[:, t], payloads) for t in range(3))


class TestCounts:
    frame = Frame(n_steps=2, duration_us=20, shape=(1, 4, 4), pool=2, counts=True)

    def test_events_of_a_cell_add_up(self):
        time_us = np.array([0, 1, 9, 10, 19, 20])
        place = np.zeros(6, np.int64), np.array([0, 1, 3, 0, 0, 0]), np.array([0, 1, 3, 0, 1, 0])
        # two in the first square in step 0, one in the last; two in the first square in step 1; the last event is too late
        assert self.frame.numbers(time_us, *place).tolist() == [2, 0, 0, 1, 2, 0, 0, 0]
        assert np.array_equal(self.frame.numbers(time_us, *place) > 0, np.unpackbits(self.frame.bits(time_us, *place)))

    def test_more_than_a_payload_holds_is_refused(self):
        time_us = np.full(256, 12)
        place = np.zeros(256, np.int64), np.full(256, 3), np.zeros(256, np.int64)
        assert self.frame.numbers(time_us[:255], *(axis[:255] for axis in place)).max() == 255
        with pytest.raises(DataError, match=r"channel 2 has 256 events in step 1, a payload of 8 bits counts to 255"):
            self.frame.numbers(time_us, *place)
