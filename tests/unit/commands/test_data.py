"""``data convert`` and ``data verify`` as a user calls them, and the samples that other commands take."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from building import chain
from event_files import bin5, davis346, some_rows, write
from tiny_sets import nmnist_event, write_idx_set, write_nmnist

import neurodeploy
from neurodeploy import commands
from neurodeploy.cli import main
from neurodeploy.errors import DataError, FileError, UsageError
from neurodeploy.network.activity import load_samples
from neurodeploy.recipe.data_sets import DATA_SETS


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line here; return exit code, standard output and standard error."""

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["neurodeploy", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return run


class TestConvert:
    def test_recording_becomes_a_file_of_samples_and_what_was_left_out_is_told(self, tmp_path, run):
        rows = some_rows(100, shape=(260, 346), longest_us=100)
        source = write(tmp_path / "a.aedat", davis346(rows, extra=[1 << 31, 1 << 31]))
        out = tmp_path / "a.npz"
        code, text, _ = run("data", "convert", source, "--out", out, "--dt", "1ms", "--crop", "256x256", "--pool", "16")
        assert code == 0
        samples = load_samples(out)
        assert (samples.n_samples, samples.shapes["input"]) == (1, (2, 16, 16))
        inside = [row for row in rows if 2 <= row[2] < 258 and 45 <= row[3] < 301]
        lines = text.splitlines()
        assert lines[0].split() == f"samples 1 of {samples.n_steps} steps and 2x16x16 channels, in {out}".split()
        assert "read as      AEDAT 2.0 of the camera Davis346blue, 346x260" in lines
        assert f"events       100, of which {100 - len(inside)} lie outside the time or place that is read" in lines
        assert "left out     2 samples of frames" in lines
        assert lines[-1] == "labels       none"

    def test_folder_becomes_a_file_with_labels_and_the_names_of_classes(self, tmp_path, run):
        for name, n in (("cat", 3), ("dog", 2)):
            for i in range(n):
                write(tmp_path / "in" / name / f"{i}.bin", bin5([(0, 1, i, 2), (900, 0, 1, 1)]))
        options = ("--steps", "2", "--duration", "1ms", "--sensor", "4x4", "--polarity", "on")
        code, text, _ = run("data", "convert", tmp_path / "in", "--out", tmp_path / "a.npz", *options)
        assert code == 0
        assert "labels       2 classes, 2 to 3 samples each" in text
        assert "class 1      dog, 2 samples" in text
        samples = load_samples(tmp_path / "a.npz")
        assert samples.labels.tolist() == [0, 0, 0, 1, 1]
        assert np.argwhere(samples.inputs["input"].to_dense())[:, 1:].tolist() == [
            [0, 2],
            [0, 6],
            [0, 10],
            [0, 2],
            [0, 6],
        ]

    def test_json_tells_the_same(self, tmp_path, run):
        source = write(tmp_path / "a.bin", bin5([(0, 1, 0, 0), (1, 1, 0, 0), (1500, 1, 0, 0)]))
        options = ("--dt", "1ms", "--sensor", "1x1", "--counts", "--json", "--labels", "2")
        code, text, _ = run("data", "convert", source, "--out", tmp_path / "a.npz", *options)
        assert code == 0
        assert json.loads(text) == {
            "path": str(tmp_path / "a.npz"),
            "samples": 1,
            "steps": 2,
            "shape": [2, 1, 1],
            "per_class": [0, 0, 1],
            "labelled": "samples",
            "spikes": 2,
            "payloads": [1, 2],
            "classes": [],
            "cameras": ["events of 5 bytes"],
            "events": 3,
            "outside": 0,
            "empty": 0,
            "dropped": {},
        }

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (("--crop", "3"), 2, "--crop is '3'; give height and width, as in 32x32"),
            (("--polarity", "up"), 2, "--polarity is 'up'; known: separate, merged, on, off"),
            (("--dt", "1"), 2, "'1' needs a number and a unit"),
            (("--steps", "3"), 14, "how are its recordings cut into steps"),
            (("--dt", "1ms"), 14, "how large is the sensor"),
            (
                ("--dt", "1ms", "--sensor", "4x4", "--labels", "x.doc"),
                14,
                "labels are 'none', a whole number, or a file",
            ),
        ],
    )
    def test_options_that_cannot_be_end_in_one_message_and_write_nothing(self, tmp_path, run, options, code, message):
        source = write(tmp_path / "a.bin", bin5([(0, 1, 0, 0)]))
        found, text, error = run("data", "convert", source, "--out", tmp_path / "a.npz", *options)
        assert (found, text) == (code, "")
        assert message in error
        assert error.startswith("neurodeploy: ")
        assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]

    def test_nothing_is_replaced_without_force(self, tmp_path):
        source = write(tmp_path / "a.bin", bin5([(0, 1, 0, 0)]))
        out = write(tmp_path / "a.npz", b"mine")
        keys = {"dt_s": 1e-3, "sensor": (2, 1, 1)}
        with pytest.raises(FileError, match="exists; choose another --out, or --force"):
            commands.convert(source, out, **keys)
        commands.convert(source, out, force=True, **keys)
        assert load_samples(out).n_samples == 1
        with pytest.raises(UsageError, match=r"samples are written as .npz, not to .*a.h5"):
            commands.convert(source, tmp_path / "a.h5", **keys)
        with pytest.raises(DataError, match="is a file of samples already"):
            commands.convert(out, tmp_path / "b.npz")
        with pytest.raises(DataError, match="there is no file or folder"):
            commands.convert(tmp_path / "gone.raw", tmp_path / "b.npz")


class TestVerify:
    def test_subset_of_a_set_is_told_in_words_with_exit_code_0(self, tmp_path, run):
        write_nmnist(tmp_path)
        for path in (tmp_path / "NMNIST").rglob("*.bin"):
            path.write_bytes(nmnist_event(5, 6, 1, 8000) + bytes([0, 240, 0, 0, 0]) + nmnist_event(7, 8, 0, 200_000))
        code, text, error = run("data", "verify", "N-MNIST", "--root", tmp_path)
        assert (code, error) == (0, "")
        assert text.splitlines() == [
            f"nmnist       a subset, nothing wrong with it, in {tmp_path}",
            "samples      20 train of 60,000 and 10 test of 10,000",
            "shape        2x34x34",
            "classes      10 classes, 3 samples each",
            "events       60, 2 a sample, the last at 0.208192 s",
            "left out     0 after the time that is read; 30 marks of the clock",
        ]

    def test_other_files_than_published_end_in_exit_code_14(self, tmp_path, run, monkeypatch):
        from dataclasses import replace

        write_idx_set(tmp_path / "MNIST/raw")
        monkeypatch.setitem(DATA_SETS, "mnist", replace(DATA_SETS["mnist"], n_train=20, n_test=10))
        code, text, _ = run("data", "verify", "MNIST", "--root", tmp_path)
        assert code == 14
        assert "complete, but files differ from those published" in text
        assert "{" not in text

    def test_damaged_and_missing_files_end_in_exit_code_14_and_unknown_names_in_2(self, tmp_path, run):
        write_nmnist(tmp_path)
        (tmp_path / "NMNIST/Test/3/00000.bin").write_bytes(b"1234567")
        code, text, error = run("data", "verify", "nmnist", "--root", tmp_path)
        assert (code, text) == (14, "")
        assert "3/00000.bin is damaged" in error
        assert run("data", "verify", "SHD", "--root", tmp_path)[0] == 14
        assert run("data", "verify", "mnits", "--root", tmp_path)[0] == 2

    def test_json_keeps_its_keys(self, tmp_path, run):
        write_idx_set(tmp_path / "MNIST/raw")
        found = json.loads(run("data", "verify", "MNIST", "--root", tmp_path, "--json")[1])
        assert (found["train"], found["test"], found["complete"], found["events"], found["verdict"]) == (
            *(20, 10, False, None),
            "subset",
        )


class TestOtherCommands:
    @pytest.fixture
    def network(self, tmp_path):
        """Two output neurons that count the events of the upper and of the lower half of N-MNIST's camera."""
        weights = np.zeros((2, 2, 34, 34), int)
        weights[0, :, :17] = weights[1, :, 17:] = 100
        made = chain([weights.reshape(2, -1)], shape=(2, 34, 34))
        neurodeploy.to_nir(made, tmp_path / "net.nir")
        return tmp_path / "net.nir"

    def _folder(self, root):
        for label, row in ((0, 10), (1, 30)):
            for i in range(2):
                rows = [(400 * t, t % 2, row + i, t % 34) for t in range(40)]
                write(root / str(label) / f"{i}.bin", bin5(rows))
        return root

    def test_commands_take_a_folder_of_recordings_as_it_is(self, tmp_path, network, run):
        folder = self._folder(tmp_path / "in")
        code, text, _ = run("simulate", network, folder, "--json")
        facts = json.loads(text)
        assert (code, facts["accuracy"], facts["outputs"]["out"]["classes"]) == (0, 1.0, [0, 0, 1, 1])
        assert run("verify", network, folder, "--samples", "4", "--engines", "reference,event")[0] == 0
        cost = commands.estimate(network, chip="loihi2", data=folder)
        assert cost.to_json()
        rows = commands.faults(network, folder, fault="drop", rates=[0.0])
        assert rows[0]["accuracy"] == 1.0

    def test_commands_take_arrays(self, tmp_path, network):
        raster = np.zeros((2, 8, 2, 34, 34), bool)
        raster[0, :, 1, 3, :9] = raster[1, :, 0, 30, :9] = True
        facts = commands.simulate(network, {"spikes": raster, "labels": np.array([0, 1])})[1]
        assert facts["outputs"]["out"]["classes"] == [0, 1]
        assert neurodeploy.verify(network, raster)["equal"]
        report = commands.report(network, data=raster, out=tmp_path / "r", chips=["loihi2"])
        assert report["report"]["verification"]["equal"]

    def test_recording_of_another_size_is_refused_with_what_would_fit(self, tmp_path, network, run):
        source = write(tmp_path / "a.aedat", davis346(some_rows(5, shape=(260, 346))))
        code, _, error = run("simulate", network, source)
        assert code == 14
        assert "has 2x260x346 channels, the input 'in' 2x34x34; say --crop, --pool or --polarity" in error


@pytest.mark.train
def test_training_finds_its_data_where_the_option_says(tmp_path, run):
    folder = tmp_path / "data"
    folder.mkdir()
    raster = np.zeros((40, 6, 8), bool)
    raster[::2, :, :4] = raster[1::2, :, 4:] = True
    np.savez(folder / "mine.npz", spikes=raster, labels=np.arange(40) % 2)
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        """name = "mine"
[data]
path = "mine.npz"
n_steps = 6
[network]
layers = [{ neurons = 6 }, { neurons = 2 }]
neuron = { threshold = 64, current_decay = 4096, voltage_decay = 512, tau_grad = 0.1 }
[sparse]
method = "dense"
[training]
epochs = 1
""",
        encoding="utf-8",
    )
    code, _, error = run("train", recipe, "--out", tmp_path / "run")
    assert code == 14
    assert "no file or folder mine.npz" in error
    assert run("train", recipe, "--out", tmp_path / "run", "--data-root", folder)[0] == 0
    assert load_samples(tmp_path / "run" / "test.npz").n_samples == 10
