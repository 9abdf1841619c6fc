"""Recordings whose events do not lie in the time that is read, and what verify tells of a set."""

from __future__ import annotations

import gzip
import hashlib

import h5py
import numpy as np
import pytest
from event_files import aedat3, davis346, dvs128, some_rows, write
from tiny_sets import nmnist_event, write_idx_set, write_nmnist, write_shd

from neurodeploy.data.catalog import load_set, verify_data_set
from neurodeploy.data.window import DataWarning, Seen, check_window
from neurodeploy.errors import DataError, UsageError
from neurodeploy.recipe.data import DataRecipe
from neurodeploy.recipe.data_sets import DATA_SETS, known_name


def _seen(last_s: list[float], inside: list[int]) -> Seen:
    """Return recordings of ten events each."""
    last_us = np.rint(np.array(last_s) * 1e6).astype(np.int64)
    return Seen(events=np.full(len(last_s), 10), inside=np.array(inside), last_us=last_us)


class TestCheckWindow:
    @pytest.mark.parametrize(
        ("last_s", "words"),
        [
            (900.0, "1,000 times too long"),
            (9e5, "1,000,000 times too long"),
            (5.0, "comes at 5 s: set data.duration_s"),
        ],
    )
    def test_many_samples_without_an_event_are_an_error_with_the_likely_factor(self, last_s, words):
        with pytest.raises(DataError, match=rf"'shd': 2 of 4 samples have no event in the first 1.4 s.*{words}"):
            check_window("'shd'", _seen([last_s] * 4, [0, 0, 1, 1]), 1_400_000)

    def test_few_samples_without_an_event_are_a_warning(self):
        with pytest.warns(DataWarning, match=r"1 of 4 samples have no event .*; 92.5% of all events lie elsewhere"):
            check_window("'shd'", _seen([5.0] * 4, [0, 1, 1, 1]), 1_400_000)

    def test_recordings_that_crowd_the_begin_are_a_warning_where_a_unit_explains_it(self):
        with pytest.warns(DataWarning, match=r"median sample comes at 0.001 s, of 1.4 s .*1,000 times too short"):
            check_window("'shd'", _seen([1e-3] * 4, [10] * 4), 1_400_000)
        check_window("'shd'", _seen([1e-5] * 4, [10] * 4), 1_400_000)
        check_window("'shd'", _seen([0.3] * 4, [10] * 4), 1_400_000)

    def test_recordings_without_an_event_at_all_are_told(self):
        seen = Seen(events=np.zeros(3, int), inside=np.zeros(3, int), last_us=np.full(3, -1))
        with pytest.raises(DataError, match=r"3 of 3 samples .*\(3 hold none at all\).*is it the right file"):
            check_window("x", seen, 1000)


class TestSets:
    def _load(self, name, root, **keys):
        return load_set(DataRecipe.model_validate({"name": name, "n_steps": 10, **keys}), root)

    def test_shd_in_milliseconds_is_refused_with_the_factor(self, tmp_path):
        write_shd(tmp_path)
        for part in ("train", "test"):
            with h5py.File(tmp_path / f"SHD/shd_{part}.h5", "r+") as file:
                for i in range(2):
                    file["spikes/times"][i] = np.array([300.0, 900.0], np.float16)
                    file["spikes/units"][i] = np.array([1, 2], np.uint16)
        with pytest.raises(DataError, match=r"shd_train.h5: 2 of 2 samples .* 1.4 s.*1,000 times too long"):
            self._load("shd", tmp_path)

    def test_gestures_in_microseconds_are_refused_with_the_factor(self, tmp_path):
        for part in ("ibmGestureTrain", "ibmGestureTest"):
            (tmp_path / "DVSGesture" / part / "user01").mkdir(parents=True)
            for label in (3, 4):
                path = tmp_path / "DVSGesture" / part / "user01" / f"{label}.npy"
                np.save(path, np.array([[1, 2, 0, 4e5], [3, 4, 1, 1.2e6]], np.float32))
        with pytest.raises(DataError, match="'dvs-gesture': 2 of 2 samples .* 1.5 s.*1,000 times too long"):
            self._load("dvs-gesture", tmp_path)

    def test_time_that_is_too_short_is_refused_with_the_key_to_change(self, tmp_path):
        write_nmnist(tmp_path)
        for path in (tmp_path / "NMNIST").rglob("*.bin"):
            path.write_bytes(nmnist_event(1, 2, 1, 200_000))
        with pytest.raises(DataError, match=r"20 of 20 samples have no event in the first 0.1 s.*set data.duration_s"):
            self._load("nmnist", tmp_path, duration_s=0.1)

    def test_nmnist_marks_of_the_clock_are_read_and_counted(self, tmp_path):
        write_nmnist(tmp_path)
        for path in (tmp_path / "NMNIST").rglob("*.bin"):
            path.write_bytes(nmnist_event(5, 6, 1, 8000) + bytes([0, 240, 0, 0, 0]) + nmnist_event(7, 8, 0, 1000))
        found = verify_data_set("nmnist", tmp_path)
        assert found["events"] == {
            "all": 60,
            "fewest": 2,
            "most": 2,
            "outside": 0,
            "empty": 0,
            "last_s": 0.009192,
            "dropped": {"marks of the clock": 30},
        }

    @pytest.mark.parametrize("make", [dvs128, lambda rows: dvs128(rows, version="1.0"), aedat3])
    def test_cifar10_dvs_is_read_in_every_version_of_its_camera(self, tmp_path, make):
        rows = some_rows(40, longest_us=20_000)
        write(tmp_path / "CIFAR10DVS/cat/a_0.aedat", make(rows))
        data = self._load("cifar10-dvs", tmp_path)
        raster = data.raster(slice(0, 1)).reshape(10, 2, 128, 128)
        expected = {((t - rows[0][0]) * 10 // 1_300_000, on, row, column) for t, on, row, column in rows}
        assert {tuple(place) for place in np.argwhere(raster).tolist()} == expected

    def test_cifar10_dvs_of_another_camera_is_refused_with_version_and_camera(self, tmp_path):
        path = write(tmp_path / "CIFAR10DVS/cat/a_0.aedat", davis346(some_rows(9, shape=(128, 128))))
        with pytest.raises(DataError) as caught:
            self._load("cifar10-dvs", tmp_path)
        for part in (str(path), "AEDAT 2.0", "Davis346blue, 346x260", "'cifar10-dvs' was recorded with 128x128 pixels"):
            assert part in str(caught.value)

    def test_damaged_shd_is_refused_with_the_data_set_that_is_wrong(self, tmp_path):
        write_shd(tmp_path)
        with h5py.File(tmp_path / "SHD/shd_test.h5", "r+") as file:
            del file["spikes/times"]
            file["spikes/times"] = 3.5
        with pytest.raises(DataError, match=r"shd_test.h5 is damaged .*no lists of one list a sample"):
            self._load("shd", tmp_path)


class TestVerdict:
    @pytest.mark.parametrize(
        ("written", "name"),
        [
            ("MNIST", "mnist"),
            ("N-MNIST", "nmnist"),
            ("n_mnist", "nmnist"),
            ("fashion_mnist", "fashion-mnist"),
            ("FashionMNIST", "fashion-mnist"),
            ("Fashion MNIST", "fashion-mnist"),
            ("CIFAR-10", "cifar10"),
            ("DVSGesture", "dvs-gesture"),
            ("DVS128 Gesture", "dvs-gesture"),
            ("CIFAR10DVS", "cifar10-dvs"),
            ("SHD", "shd"),
            ("Spiking Heidelberg Digits", "shd"),
            ("Braille", "braille"),
        ],
    )
    def test_names_are_known_as_people_write_them(self, written, name):
        assert known_name(written) == name
        assert DataRecipe.model_validate({"name": written, "n_steps": 1}).name == name

    def test_every_key_stands_for_itself(self):
        assert [known_name(name) for name in DATA_SETS] == list(DATA_SETS)

    def test_mistyped_name_suggests_the_right_one(self):
        with pytest.raises(UsageError, match=r"no data set 'mnits'; known: digits, .* Did you mean 'mnist'\?"):
            verify_data_set("mnits")

    def test_subset_is_told_from_the_complete_set_and_from_other_files(self, tmp_path, monkeypatch):
        from dataclasses import replace

        write_idx_set(tmp_path / "MNIST/raw")
        assert verify_data_set("MNIST", tmp_path)["verdict"] == "subset"
        tiny = replace(DATA_SETS["mnist"], n_train=20, n_test=10)
        monkeypatch.setitem(DATA_SETS, "mnist", tiny)
        assert verify_data_set("MNIST", tmp_path)["verdict"] == "differs"
        files = {file: gzip.decompress((tmp_path / f"{file}.gz").read_bytes()) for file in tiny.md5}
        hashes = {file: hashlib.md5(content).hexdigest() for file, content in files.items()}
        monkeypatch.setitem(DATA_SETS, "mnist", replace(tiny, md5=hashes))
        assert verify_data_set("MNIST", tmp_path)["verdict"] == "complete"
