"""Every data set in a tiny copy of its layout: counts, labels, first values, and what is said when files are not right."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
from tiny_sets import (
    braille_letters,
    idx,
    nmnist_event,
    write,
    write_cifar10,
    write_idx_set,
    write_nmnist,
    write_shd,
    write_wav,
)

from neurodeploy.data.audio import accumulate, mel_levels
from neurodeploy.data.catalog import fetch_data_set, list_data_sets, load_set, verify_data_set
from neurodeploy.data.dataset import Dataset, split_official
from neurodeploy.data.encodings import Frame, current, latency
from neurodeploy.data.files import read_bytes, unpickle_plain
from neurodeploy.data.parts import encode_lazily, load_splits
from neurodeploy.errors import DataError, MissingPackageError, RecipeError, UsageError
from neurodeploy.recipe.data import DataRecipe
from neurodeploy.recipe.data_sets import DATA_SETS
from neurodeploy.recipe.files import parse_recipe

N_STEPS = 10


def _recipe(name: str, **keys) -> DataRecipe:
    return DataRecipe.model_validate({"name": name, "n_steps": N_STEPS, **keys})


def _load(name, root, **keys):
    return load_set(_recipe(name, **keys), root)


class TestImages:
    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw")])
    def test_idx_files_are_read_packed_or_plain_in_the_order_of_the_file(self, tmp_path, name, folder, packed):
        write_idx_set(tmp_path / folder, packed=packed)
        train, test = _load(name, tmp_path)
        assert (train.name, train.shape, train.n_classes) == (name, (1, 28, 28), 10)
        assert train.labels.tolist() == np.repeat(np.arange(10), 2).tolist()
        assert test.labels.tolist() == list(range(10))
        assert train.values[:, 0].tolist() == list(range(20))
        assert train.values[:, 1:].max() == 0

    @pytest.mark.parametrize("protocol", [2, 4])
    def test_cifar10_batches_are_joined_in_order(self, tmp_path, protocol):
        write_cifar10(tmp_path, protocol=protocol)
        train, test = _load("cifar10", tmp_path)
        assert train.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
        assert train.values[:, 7].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
        assert (test.labels.tolist(), test.shape) == ([5, 9], (3, 32, 32))

    def test_cifar100_takes_the_fine_labels(self, tmp_path):
        for file in ("train", "test"):
            batch = {"fine_labels": [99, 0], "coarse_labels": [1, 2], "data": np.zeros((2, 3072), np.uint8)}
            write(tmp_path / "cifar-100-python" / file, pickle.dumps(batch))
        train, test = _load("cifar100", tmp_path)
        assert train.labels.tolist() == test.labels.tolist() == [99, 0]

    def test_grey_levels_are_values_of_which_255_is_1(self):
        data = Dataset(
            name="x", shape=(2,), values=np.array([[255, 51]], np.uint8), labels=np.zeros(1, np.int32), n_classes=1
        )
        assert data.floats(slice(None)).tolist() == [[1.0, pytest.approx(0.2)]]
        recipe = _recipe("mnist")
        assert encode_lazily(data, recipe, "test").raster(slice(None)).sum(1).tolist() == [[10, 2]]


class TestEvents:
    def test_nmnist_events_lie_at_their_polarity_row_column_and_step(self, tmp_path):
        write_nmnist(tmp_path)
        train, test = _load("nmnist", tmp_path)
        assert train.labels.tolist() == np.repeat(np.arange(10), 2).tolist()
        assert len(test.labels) == 10
        raster = train.raster(slice(None)).reshape(20, N_STEPS, 2, 34, 34)
        assert raster[:, 0, 1, 2, 33].all()
        assert np.argwhere(raster[7]).tolist() == [[0, 1, 2, 33], [5, 0, 1, 3]]  # the event at 340 ms is too late

    def test_crop_and_pool_keep_the_middle_and_merge_pixels(self):
        frame = Frame(n_steps=2, duration_us=100, shape=(2, 6, 8), crop=(4, 4), pool=3)
        assert frame.out_shape == (2, 2, 2)
        time_us, polarity = np.array([0, 49, 50, 99, 100]), np.array([0, 1, 1, 1, 0])
        y, x = np.array([1, 4, 0, 1, 1]), np.array([2, 5, 2, 4, 2])
        bits = frame.bits(time_us, polarity, y, x)
        raster = np.unpackbits(bits, count=16).reshape(2, 2, 2, 2)
        assert np.argwhere(raster).tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [1, 1, 0, 0]]

    def test_crop_larger_than_the_sensor_is_refused(self, tmp_path):
        write_nmnist(tmp_path)
        with pytest.raises(DataError, match="data.crop asks for 40x34 pixels, the sensor has 34x34"):
            _load("nmnist", tmp_path, crop=(40, 34))

    def test_dvs_gesture_times_are_milliseconds_and_labels_file_names(self, tmp_path):
        rows = np.array([[127, 0, 1, 0.0], [3, 4, 0, 1499.0]], np.float32)
        for part in ("ibmGestureTrain", "ibmGestureTest"):
            for label in (0, 10):
                path = tmp_path / "DVSGesture" / part / "user01_led" / f"{label}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, rows)
        train, test = _load("dvs-gesture", tmp_path)
        assert train.labels.tolist() == test.labels.tolist() == [0, 10]
        raster = train.raster(slice(0, 1)).reshape(N_STEPS, 2, 128, 128)
        assert np.argwhere(raster).tolist() == [[0, 1, 0, 127], [9, 0, 4, 3]]

    def test_cifar10_dvs_reads_aedat_2_and_has_no_test_part_of_its_own(self, tmp_path):
        events = np.array([[5 << 8 | 3 << 1 | 1, 1000], [127 << 8 | 0 << 1, 651_000]], ">u4")
        for name in ("airplane", "truck"):
            write(tmp_path / "CIFAR10DVS" / name / "a_0.aedat", b"#!AER-DAT2.0\r\n# text\r\n" + events.tobytes())
        data = _load("cifar10-dvs", tmp_path)
        assert data.labels.tolist() == [0, 9]
        raster = data.raster(slice(0, 1)).reshape(N_STEPS, 2, 128, 128)
        assert np.argwhere(raster).tolist() == [[0, 0, 122, 124], [5, 1, 0, 127]]

    def test_cifar10_dvs_says_how_aedat4_files_are_converted(self, tmp_path):
        write(tmp_path / "CIFAR10DVS" / "cat" / "a_0.aedat4", b"#!AER-DAT4.0\r\n")
        with pytest.raises(DataError, match="converted: neurodeploy data get cifar10-dvs"):
            _load("cifar10-dvs", tmp_path)

    @pytest.mark.parametrize("packed", [True, False])
    def test_shd_spikes_lie_at_their_unit_and_step(self, tmp_path, packed):
        write_shd(tmp_path, packed=packed)
        train, test = _load("shd", tmp_path)
        assert (train.shape, train.labels.tolist()) == ((700,), [0, 19])
        assert np.argwhere(test.raster(slice(None))).tolist() == [[0, 0, 0], [0, 5, 699], [1, 9, 5]]

    def test_braille_channels_are_on_and_off_of_each_taxel(self, tmp_path):
        for part, letters in (("train", ["A", "Space", "Z"]), ("test", ["B"])):
            write(tmp_path / f"Braille/data_braille_letters_th10_{part}", pickle.dumps(braille_letters(letters)))
        train, test = _load("braille", tmp_path)
        assert (train.labels.tolist(), test.labels.tolist()) == ([1, 0, 26], [2])
        assert np.argwhere(train.raster(slice(0, 1))[0]).tolist() == [[0, 0], [9, 1]]

    @staticmethod
    def write_touch(
        path, names=("train/sample_3_label_35", "train/sample_2_label_0", "test/sample_0_label_1"), shape=(39, 2, 250)
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for k, name in enumerate(names):
                array = np.zeros(shape, np.float32)
                array[5, 1, 10 * k] = array[38, 0, 249] = 1
                content = io.BytesIO()
                np.save(content, array)
                archive.writestr(f"Ev-Objects/{name}.npy", content.getvalue())

    def test_channels_of_touched_objects_are_both_polarities_of_each_taxel(self, tmp_path):
        self.write_touch(tmp_path / "EvTactile/Ev-Objects.zip")
        train, test = _load("ev-objects", tmp_path)
        assert (train.labels.tolist(), test.labels.tolist(), train.shape) == ([0, 35], [1], (78,))
        # 25 bins a step; samples come by their number
        found = [np.argwhere(part.raster(slice(None))).tolist() for part in (train, test)]
        assert found == [[[0, 0, 11], [0, 9, 76], [1, 0, 11], [1, 9, 76]], [[0, 0, 11], [0, 9, 76]]]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"names": ("train/sample_0_label_36", "test/sample_0_label_0")}, "with 36, the classes are 0..35"),
            ({"names": ("train/sample_0_label_1",)}, "no files Ev-Objects/{train,test}/sample_N_label_C.npy"),
            ({"shape": (39, 2, 251)}, r"an array \(39, 2, 251\) of float32, expected 0 and 1 of the shape"),
        ],
    )
    def test_damaged_touched_objects_are_named(self, tmp_path, change, message):
        self.write_touch(tmp_path / "EvTactile/Ev-Objects.zip", **change)
        with pytest.raises(DataError, match=message):
            _load("ev-objects", tmp_path)
        (tmp_path / "EvTactile/Ev-Objects.zip").write_bytes(b"no zip file")
        with pytest.raises(DataError, match="Ev-Objects.zip is damaged"):
            _load("ev-objects", tmp_path)

    def test_braille_as_published_is_split_by_the_recipe(self, tmp_path):
        letters = ["Space", *map(chr, range(65, 91))] * 4
        write(tmp_path / "Braille/data_braille_letters_th1", pickle.dumps(braille_letters(letters)))
        recipe = _recipe("braille", root=str(tmp_path), test_fraction=0.25, validation_fraction=0.34)
        assert [np.bincount(p.labels).tolist() for p in load_splits(recipe)] == [[2] * 27, [1] * 27, [1] * 27]

    def test_braille_of_two_thresholds_is_ambiguous(self, tmp_path):
        for threshold in (1, 10):
            write(tmp_path / f"Braille/data_braille_letters_th{threshold}", pickle.dumps(braille_letters("A")))
        with pytest.raises(DataError, match="several thresholds .*th1, .*th10.*keep one"):
            _load("braille", tmp_path)


class TestSound:
    def test_five_lowest_recordings_of_each_digit_and_speaker_are_for_testing(self, tmp_path):
        for digit in (0, 7):
            for index in (4, 5, 10, 11, 12, 13, 14):
                write_wav(tmp_path / "FSDD/recordings" / f"{digit}_ann_{index}.wav", 100 * np.arange(400))
        train, test = _load("fsdd", tmp_path)
        assert (train.labels.tolist(), test.labels.tolist()) == ([0, 0, 7, 7], [0] * 5 + [7] * 5)

    def test_tone_has_its_highest_level_in_the_band_around_it_and_only_while_it_sounds(self):
        tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
        levels = mel_levels(tone, 20, 1_000_000)
        assert levels.shape == (20, 40)
        mel = 2595 * np.log10(1 + np.array([100, 1000, 3800]) / 700)
        band = round((mel[1] - mel[0]) / (mel[2] - mel[0]) * 41) - 1
        assert set(levels[1:9].argmax(1)) == {band}
        assert levels[12:].max() == 0
        assert mel_levels(np.zeros(10), 5, 1_000_000).max() == 0

    def test_spikes_count_the_sum_of_levels(self):
        levels = np.random.default_rng(0).random((50, 7))
        assert np.array_equal(accumulate(levels).sum(0), np.rint(levels * 1024).sum(0) // 1024)

    def test_wav_of_another_rate_is_refused(self, tmp_path):
        write_wav(tmp_path / "FSDD/recordings/0_ann_0.wav", [0, 1], rate=16000)
        with pytest.raises(DataError, match=r"0_ann_0.wav is damaged .*at 16000 Hz, expected .* 8000 Hz"):
            _load("fsdd", tmp_path)


class TestSplits:
    def test_official_test_part_is_kept_and_validation_comes_from_train_by_seed(self, tmp_path):
        write_idx_set(tmp_path / "MNIST/raw")
        keys = {"root": str(tmp_path), "validation_fraction": 0.5}
        train, validation, test = load_splits(_recipe("mnist", **keys))
        assert sorted(test.values[:, 0]) == list(range(10))
        both = np.concatenate([train.values[:, 0], validation.values[:, 0]])
        assert sorted(both) == list(range(20))
        assert sorted(train.labels) == sorted(validation.labels) == list(range(10))
        again, other = (load_splits(_recipe("mnist", **keys, split_seed=s))[0].values for s in (0, 1))
        assert np.array_equal(again, train.values)
        assert not np.array_equal(other, train.values)

    def test_test_part_holds_at_most_as_many_samples_as_the_recipe_says(self, tmp_path):
        write_idx_set(tmp_path / "MNIST/raw")
        keys = {"root": str(tmp_path), "validation_fraction": 0.5}
        whole = load_splits(_recipe("mnist", **keys))[2]
        few = load_splits(_recipe("mnist", **keys, test_samples=3))[2]
        assert few.labels.tolist() == whole.labels[:3].tolist()
        assert len(load_splits(_recipe("mnist", **keys, test_samples=99))[2].labels) == 10

    def test_too_few_for_a_validation_part_are_refused(self, tmp_path):
        write_idx_set(tmp_path / "MNIST/raw")
        train, test = _load("mnist", tmp_path)
        with pytest.raises(DataError, match="'mnist' has 2 training samples of class 0, too few"):
            split_official(train, test, validation_fraction=0.1, seed=0)


class TestEncoded:
    def test_samples_as_events_are_the_rasters_of_all_batches(self, tmp_path):
        write_nmnist(tmp_path)
        whole = encode_lazily(_load("nmnist", tmp_path)[0], _recipe("nmnist"), "train")
        samples = whole.samples()
        assert samples.name == "nmnist/train/frames"
        assert samples.shapes["input"] == (2, 34, 34)
        picked = np.array([3, 0, 19])
        assert np.array_equal(samples.inputs["input"].to_dense()[picked], whole.raster(picked))

    def test_latency_code_gives_one_spike_the_earlier_the_larger_the_value(self):
        values = np.linspace(0, 1, 11)[None]
        spikes = latency(values, 11)[0]
        assert spikes.sum(0).tolist() == [0] + [1] * 10
        assert spikes.argmax(0)[1:].tolist() == list(range(9, -1, -1))

    def test_direct_current_gives_the_spikes_of_integrate_and_fire_neurons(self):
        """Numbers of 16 bits after the point, so that the voltages of the model in floats are exact."""
        values = np.random.default_rng(0).integers(0, 2**16 + 1, (3, 40)) / 2**16
        spikes, voltage = current(values, 50), np.zeros((3, 40))
        for step in range(50):
            voltage += values
            assert np.array_equal(spikes[:, step], voltage >= 1)
            voltage -= voltage >= 1
        assert np.array_equal(current(values, 9), spikes[:, :9])

    def test_recipes_take_direct_current(self):
        pytest.importorskip("sklearn", reason="scikit-learn ships the digits")
        recipe = DataRecipe(name="digits", encoding="current", n_steps=5)
        train, _, test = load_splits(recipe)
        assert encode_lazily(test, recipe, "test").name == "digits/test/current"
        raster = encode_lazily(train, recipe, "train").raster(slice(0, 20))
        assert np.array_equal(raster, current(train.floats(slice(0, 20)), 5))

    def test_part_without_samples_is_refused(self, tmp_path):
        write_nmnist(tmp_path)
        none = _load("nmnist", tmp_path)[0].take(np.array([], np.int64))
        with pytest.raises(DataError, match="nmnist/test/frames holds no samples"):
            encode_lazily(none, _recipe("nmnist"), "test").samples()


class TestErrors:
    @pytest.mark.parametrize("name", [name for name in DATA_SETS if name != "digits"])
    def test_missing_set_says_what_where_and_how_to_get_it(self, tmp_path, name):
        with pytest.raises(DataError) as error:
            _load(name, tmp_path)
        for part in (f"'{name}' lacks", str(tmp_path), "NEURODEPLOY_DATA", f"neurodeploy data get {name}"):
            assert part in str(error.value)

    @pytest.mark.parametrize(
        ("name", "folder"),
        [
            ("nmnist", "NMNIST/Train/0"),
            ("dvs-gesture", "DVSGesture/ibmGestureTrain"),
            ("cifar10-dvs", "CIFAR10DVS/cat"),
            ("braille", "Braille"),
            ("fsdd", "FSDD/recordings"),
            ("mnist", "MNIST/raw"),
        ],
    )
    def test_empty_folder_is_named(self, tmp_path, name, folder):
        (tmp_path / folder).mkdir(parents=True)
        with pytest.raises(DataError, match=f"'{name}' lacks .*sought in {tmp_path}"):
            _load(name, tmp_path)

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda data: data[:-20], "t10k-images-idx3-ubyte.gz is damaged"),
            (lambda _: gzip.compress(b"\0\0\x08\x03\0\0\0\x01"), "8 bytes do not hold an array"),
            (lambda _: gzip.compress(b"hello"), "no idx file of bytes"),
            (lambda _: gzip.compress(idx(np.zeros((10, 8, 8), np.uint8))), r"images of shape \(8, 8\)"),
            (lambda _: gzip.compress(idx(np.zeros((9, 28, 28), np.uint8))), "10 labels for 9 images"),
        ],
    )
    def test_damaged_idx_file_is_named_with_the_reason(self, tmp_path, damage, message):
        write_idx_set(tmp_path / "MNIST/raw")
        path = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte.gz"
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(DataError, match=message):
            _load("mnist", tmp_path)

    def test_label_out_of_range_names_file_sample_and_classes(self, tmp_path):
        write_idx_set(tmp_path / "MNIST/raw", labels=[0, 10])
        with pytest.raises(
            DataError, match=r"train-labels-idx1-ubyte.gz labels sample 2 with 10, the classes are 0..9"
        ):
            _load("mnist", tmp_path)

    def test_labels_out_of_range_are_refused_in_cifar_shd_and_gestures(self, tmp_path):
        write_cifar10(tmp_path, label=10)
        write_shd(tmp_path, label=20)
        path = tmp_path / "DVSGesture/ibmGestureTrain/user01_led/11.npy"
        path.parent.mkdir(parents=True)
        np.save(path, np.zeros((1, 4), np.float32))
        for name, bad in (("cifar10", 10), ("shd", 20), ("dvs-gesture", 11)):
            with pytest.raises(DataError, match=f"with {bad}, the classes are 0..{bad - 1}"):
                _load(name, tmp_path)

    def test_event_outside_the_sensor_is_refused(self, tmp_path):
        write_nmnist(tmp_path)
        write(tmp_path / "NMNIST/Test/3/00000.bin", nmnist_event(34, 0, 0, 5))
        with pytest.raises(DataError, match=r"3/00000.bin is damaged .*an event at 34 .*0..33"):
            _load("nmnist", tmp_path)

    def test_recording_cut_short_is_refused(self, tmp_path):
        write_nmnist(tmp_path)
        write(tmp_path / "NMNIST/Test/3/00000.bin", b"1234567")
        with pytest.raises(DataError, match="7 bytes are no multiple of 5"):
            _load("nmnist", tmp_path)

    def test_pickle_that_would_run_code_is_refused_and_does_not_run(self, tmp_path):
        marker = tmp_path / "ran"

        class Evil:
            def __reduce__(self):
                return (open, (str(marker), "w"))

        write(tmp_path / "Braille/data_braille_letters_th10", pickle.dumps([Evil()]))
        with pytest.raises(DataError, match="damaged or of another format .*it asks for .*open, which is not loaded"):
            _load("braille", tmp_path)
        with pytest.raises(DataError, match="which is not loaded"):
            unpickle_plain(tmp_path / "Braille/data_braille_letters_th10", arrays=True)
        assert not marker.exists()

    def test_arrays_of_objects_in_a_pickle_are_refused(self, tmp_path):
        batch = {b"labels": [0, 1], b"data": np.array([[None] * 3072] * 2)}
        write_cifar10(tmp_path)
        write(tmp_path / "cifar-10-batches-py/test_batch", pickle.dumps(batch, protocol=2))
        with pytest.raises(DataError, match="test_batch is damaged .*no array 'data' of bytes"):
            _load("cifar10", tmp_path)

    def test_damaged_hdf5_is_named(self, tmp_path):
        write(tmp_path / "SHD/shd_train.h5", b"no hdf5")
        with pytest.raises(DataError, match="shd_train.h5 is damaged"):
            _load("shd", tmp_path)


class TestRecipe:
    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ('name = "nmnist"\nencoding = "rate"', "'nmnist' takes the encoding 'frames', not 'rate'"),
            (
                'name = "mnist"\nencoding = "frames"',
                "'mnist' takes the encoding 'rate', 'latency', 'current' or 'direct', not 'frames'",
            ),
            ('name = "mnist"\npool = 2', "'mnist' holds images"),
            ('name = "shd"\npool = 2', "'shd' has channels in a row"),
            ('name = "mnist"\ntest_samples = 0', "data.test_samples = 0"),
        ],
    )
    def test_settings_that_do_not_fit_the_set_are_refused(self, lines, message):
        from neurodeploy.recipe.files import find_recipe

        text = find_recipe("digits-mlp").read_text(encoding="utf-8")
        text = text.replace('name = "digits"\nencoding = "rate"', lines)
        with pytest.raises(RecipeError, match=message):
            parse_recipe(text, "mine.toml")

    def test_events_are_frames_without_saying_so(self):
        assert _recipe("shd").encoding == "frames"


class TestCatalog:
    def test_list_has_a_row_for_every_set_and_says_what_is_there(self, tmp_path):
        write_nmnist(tmp_path)
        rows = {row["name"]: row for row in list_data_sets(tmp_path)}
        assert set(rows) == set(DATA_SETS)
        assert [name for name, row in rows.items() if row["present"]] == ["digits", "nmnist"]
        assert rows["nmnist"]["folder"] == str(tmp_path / "NMNIST")

    def test_root_comes_from_the_environment_unless_given(self, tmp_path, monkeypatch):
        monkeypatch.setenv("NEURODEPLOY_DATA", str(tmp_path))
        write_nmnist(tmp_path)
        assert verify_data_set("nmnist")["train"] == 20
        with pytest.raises(DataError, match="lacks"):
            verify_data_set("nmnist", tmp_path / "elsewhere")

    def test_verify_counts_and_says_which_files_are_not_as_published(self, tmp_path):
        write_idx_set(tmp_path / "FashionMNIST/raw")
        found = verify_data_set("fashion-mnist", tmp_path)
        assert (found["train"], found["test"], found["complete"]) == (20, 10, False)
        assert found["per_class"] == [3] * 10
        assert set(found["hashes"].values()) == {"differs"}
        assert len(found["hashes"]) == 4

    def test_unknown_set_lists_the_known_ones(self):
        with pytest.raises(UsageError, match="no data set 'mnits'; known: digits, mnist"):
            verify_data_set("mnits")

    @pytest.mark.parametrize("name", ["braille", "fsdd"])
    def test_get_of_a_set_without_library_says_where_to_take_it(self, tmp_path, name):
        with pytest.raises(DataError, match=f"no library fetches '{name}'; take it from .* to {tmp_path}"):
            fetch_data_set(name, tmp_path)

    def test_get_without_the_library_names_the_extra(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "tonic.datasets", None)
        with pytest.raises(
            MissingPackageError, match=r"fetched through tonic, .*pip install 'neurodeploy-snn\[data\]'"
        ):
            fetch_data_set("nmnist", tmp_path)

    def test_get_asks_the_library_for_both_parts_and_verifies(self, tmp_path, monkeypatch):
        calls = []

        def fake(root, train):
            calls.append((root, train))
            write_nmnist(tmp_path)

        module = types.ModuleType("tonic.datasets")
        module.NMNIST = fake
        monkeypatch.setitem(sys.modules, "tonic", types.ModuleType("tonic"))
        monkeypatch.setitem(sys.modules, "tonic.datasets", module)
        assert fetch_data_set("nmnist", tmp_path)["train"] == 20
        assert calls == [(str(tmp_path), True), (str(tmp_path), False)]

    def test_failed_fetch_says_so_and_what_to_do(self, tmp_path, monkeypatch):
        def fake(_root, train, download):
            raise RuntimeError(f"server gone {train} {download}")

        module = types.ModuleType("torchvision.datasets")
        module.MNIST = fake
        monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
        monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
        with pytest.raises(DataError, match="fetching 'mnist' .*server gone True True.*MNIST/raw"):
            fetch_data_set("mnist", tmp_path)

    def test_get_converts_aedat4_recordings_to_arrays(self, tmp_path, monkeypatch):
        dtype = [("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", np.int8)]

        def fake(_root):
            write(tmp_path / "CIFAR10DVS/cat/a_0.aedat4", b"")

        for name, attribute, value in (
            ("tonic", None, None),
            ("tonic.datasets", "CIFAR10DVS", fake),
            ("tonic.io", "read_aedat4", lambda _path: np.array([(500, 1, 2, 0), (650_500, 3, 4, 1)], dtype)),
        ):
            module = types.ModuleType(name)
            if attribute:
                setattr(module, attribute, value)
            monkeypatch.setitem(sys.modules, name, module)
        assert fetch_data_set("cifar10-dvs", tmp_path)["per_class"] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        raster = _load("cifar10-dvs", tmp_path).raster(slice(None)).reshape(N_STEPS, 2, 128, 128)
        assert np.argwhere(raster).tolist() == [[0, 0, 2, 1], [5, 1, 4, 3]]


def test_a_packed_file_that_unpacks_to_far_more_than_its_size_is_refused_below_a_gigabyte(tmp_path, monkeypatch):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(200_000)))
    monkeypatch.setattr("neurodeploy.files.budget._FREE_BYTES", 190_000)
    with pytest.raises(DataError, match=r"a\.gz is damaged .*it takes more than 19\d,\d\d\d bytes unpacked"):
        read_bytes(path)
    monkeypatch.setattr("neurodeploy.files.budget._FREE_BYTES", 200_000)
    assert read_bytes(path) == bytes(200_000)
