"""Data that users brought, with the right outcome of each case, and real data through ``as_samples`` and ``convert``."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from neurodeploy.commands import convert
from neurodeploy.commands.samples import as_samples
from neurodeploy.data.events import read_nmnist
from neurodeploy.network.activity import load_samples


@pytest.fixture(scope="module")
def bugs(shared):
    return shared / "cases" / "bugs"


@pytest.fixture(scope="module")
def data(shared):
    return shared / "data"


class TestCases:
    @pytest.mark.parametrize("version", ["ok", "aedat31_2pk", "aedat1", "wrap32"])
    def test_04_aedat_of_every_version_gives_its_400_events(self, bugs, run_cli, version):
        done = run_cli("data", "verify", "cifar10-dvs", "--root", bugs / "04-aedat-versions" / version)
        assert done.returncode == 0, done.stderr
        assert "events       4,000, 400 a sample" in done.stdout
        assert "left out     0 after the time that is read\n" in done.stdout

    def test_04_another_camera_is_refused_with_version_and_camera(self, bugs, run_cli):
        done = run_cli("data", "verify", "cifar10-dvs", "--root", bugs / "04-aedat-versions" / "davis346")
        assert done.returncode == 14
        assert "AEDAT 2.0 of the camera Davis346blue, 346x260" in done.stderr

    @pytest.mark.parametrize("command", ["verify", "train"])
    def test_05_times_in_milliseconds_are_refused_with_the_factor(self, bugs, run_cli, tmp_path, command):
        folder = bugs / "05-times-in-ms"
        if command == "train":
            pytest.importorskip("torch")
            done = run_cli("train", folder / "recipe.toml", "--out", tmp_path / "run", "--data-root", folder)
        else:
            done = run_cli("data", "verify", "shd", "--root", folder)
        assert done.returncode == 14
        for part in (
            "of 120 samples have no event",
            "99.9% of all events",
            "1,000 times too long",
            "is their unit right?",
        ):
            assert part in done.stderr
        assert not (tmp_path / "run" / "checkpoint.safetensors").exists()

    def test_06_marks_of_the_clock_are_read(self, bugs, run_cli):
        folder = bugs / "06-nmnist-overflow"
        done = run_cli("data", "verify", "nmnist", "--root", folder)
        assert done.returncode == 0
        assert "events       6,000, 300 a sample, the last at 0.299974 s" in done.stdout
        for path in folder.rglob("*.bin"):
            time_us, _, y, _ = read_nmnist(path)
            assert (len(time_us), int(y.max())) == (300, min(int(y.max()), 33))
            assert np.all(np.diff(time_us) >= 0)

    @pytest.mark.parametrize("name", ["labels_2p32", "labels_half", "labels_minus", "labels_nan"])
    def test_22_labels_that_are_none_are_refused(self, bugs, run_cli, name):
        folder = bugs / "22-labels-wrap"
        done = run_cli("simulate", folder / "net.nir", folder / f"{name}.npz")
        assert (done.returncode, done.stdout) == (3, "")
        assert f"{name}.npz" in done.stderr

    @pytest.mark.parametrize(
        "name",
        [
            *("claims_1e12", "complex", "deflate", "encrypted", "float_labels", "header_deep", "header_inputs"),
            *("header_shapes", "no_name", "samples_2e9", "span_scalar", "span_two", "steps_1e9", "text_events"),
        ],
    )
    def test_23_damaged_samples_are_refused_in_one_line(self, bugs, run_cli, name):
        folder = bugs / "23-npz-tracebacks"
        done = run_cli("simulate", folder / "net.nir", folder / f"{name}.npz")
        assert (done.returncode, done.stdout) == (3, "")
        assert len(done.stderr.splitlines()) == 1
        assert f"{name}.npz" in done.stderr

    @pytest.mark.parametrize("folder", ["22-labels-wrap", "23-npz-tracebacks"])
    def test_right_samples_are_taken(self, bugs, run_cli, folder):
        done = run_cli("simulate", bugs / folder / "net.nir", bugs / folder / "ok.npz", "--json")
        assert done.returncode == 0
        facts = json.loads(done.stdout)
        assert (facts["accuracy"], facts["outputs"]["output"]["classes"]) == (1.0, [2, 2])

    @pytest.mark.parametrize(
        ("name", "root"),
        [("fsdd", "wav_odd"), ("fsdd", "wav_riff"), ("shd", "shd_scalar"), ("dvs-gesture", "npy_header")],
    )
    def test_28_damaged_recordings_are_refused_with_the_file(self, bugs, run_cli, name, root):
        done = run_cli("data", "verify", name, "--root", bugs / "28-recordings-tracebacks" / root)
        assert (done.returncode, done.stdout) == (14, "")
        assert len(done.stderr.splitlines()) == 1
        assert "is damaged or of another format" in done.stderr
        assert str(bugs / "28-recordings-tracebacks" / root) in done.stderr


class TestRealData:
    def test_nmnist_as_a_folder_is_the_set_of_the_same_name(self, data, tmp_path):
        """The samples of the folder, binned by themselves, hold the bits of the loader of the set."""
        from neurodeploy.data.catalog import load_set
        from neurodeploy.recipe.data import DataRecipe

        made = convert(
            data / "NMNIST/Test", tmp_path / "a.npz", n_steps=17, duration_s=0.34, pool=2, sensor=(2, 34, 34)
        )
        assert (made["samples"], made["outside"], made["empty"]) == (150, 0, 0)
        assert made["events"] == sum(len(path.read_bytes()) // 5 for path in (data / "NMNIST/Test").glob("*/*.bin"))
        recipe = DataRecipe.model_validate({"name": "nmnist", "n_steps": 17, "pool": 2})
        test = load_set(recipe, data)[1]
        samples = load_samples(tmp_path / "a.npz")
        assert samples.labels.tolist() == test.labels.tolist()
        assert np.array_equal(samples.inputs["input"].to_dense(), test.raster(slice(None)))

    def test_gestures_are_cut_into_windows(self, data, tmp_path):
        made = convert(
            *(data / "DVSGesture10/0_hand_clapping.bs2", tmp_path / "a.npz"),
            window_s=0.1,
            dt_s=5e-3,
            pool=4,
            polarity="merged",
            sensor=(2, 128, 128),
            labels="0",
        )
        assert (made["samples"], made["steps"], made["shape"], made["per_class"]) == (14, 20, [1, 32, 32], [14])

    def test_touch_spikes_of_arrays_with_steps_last_are_told_by_the_size_of_the_network(self, data):
        from building import chain

        with zipfile.ZipFile(data / "EvTactile/Ev-Objects.zip") as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")][:20]
            rows = [(np.load(io.BytesIO(archive.read(n))), int(n.split("_label_")[1][:-4])) for n in names]
        with pytest.warns(UserWarning, match=r"20 samples of 250 steps, 39x2 channels \(NCT\)"):
            samples = as_samples(rows, network=chain([np.ones((36, 78), int)]))
        raster = np.stack([row for row, _ in rows]).transpose(0, 3, 1, 2).reshape(20, 250, 78)
        assert np.array_equal(samples.inputs["in"].to_dense(), raster)
        assert samples.labels.tolist() == [label for _, label in rows]

    def test_ecg_of_a_mat_file_is_read_as_scipy_reads_it(self, data, tmp_path):
        from scipy.io import loadmat

        made = convert(data / "ECG-QTDB/QTDB_test.mat", tmp_path / "a.npz", labels="none")
        assert (made["samples"], made["steps"], made["shape"], made["payloads"]) == (71, 1301, [4], [-1, 1])
        expected = loadmat(data / "ECG-QTDB/QTDB_test.mat")["x"]
        assert np.array_equal(load_samples(tmp_path / "a.npz").inputs["input"].to_dense(), expected)

    def test_yin_yang_points_are_values_of_a_recipe(self, data, tmp_path):
        from neurodeploy.data.parts import encode_lazily, load_splits
        from neurodeploy.recipe.data import DataRecipe

        values = np.load(data / "YinYang/train_samples.npy")
        labels = np.load(data / "YinYang/train_labels.npy")
        np.savez(tmp_path / "a.npz", values=values, labels=labels)
        recipe = DataRecipe.model_validate({"path": str(tmp_path / "a.npz"), "n_steps": 8, "encoding": "latency"})
        train, validation, test = load_splits(recipe)
        assert sum(len(part.labels) for part in (train, validation, test)) == len(values)
        spikes = encode_lazily(train, recipe, "train").raster(slice(None))
        assert np.array_equal(spikes.sum(1), (train.values > 0).astype(int))
