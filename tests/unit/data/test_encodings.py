"""Encodings and splits."""

from __future__ import annotations

import numpy as np
import pytest

from neurodeploy.data.dataset import Dataset, split
from neurodeploy.data.encodings import Frame, direct, rate
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
