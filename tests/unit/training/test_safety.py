"""Trainings that must not go on: in a folder of another one, and with numbers that are none any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.errors import FileError, NetworkError, TrainingError
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training import loop
from neurodeploy.training.checkpoint import checkpoint_network, load_checkpoint, read_tensors, write_tensors

TEXT = """
name = "safe"
data = { name = "digits", n_steps = 4, test_fraction = 0.8, validation_fraction = 0.3 }
network = { layers = [{ neurons = 16 }, { neurons = 10 }], neuron = { threshold = 64, current_decay = 2048, \
voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.3, growth = "momentum", every_steps = 3 }
training = { epochs = 3, batch_size = 50, learning_rate = 1e-2, weight_scale = 0.7, logit_scale = 0.5 }
"""
HOLD = """
import sys
from pathlib import Path
from neurodeploy.files.writing import locked_folder
with locked_folder(Path(sys.argv[1]), "train: run"):
    print("held", flush=True)
    sys.stdin.read()
"""


def run(folder, **options):
    return loop.train(parse_recipe(TEXT, "test"), folder, recipe_text=TEXT, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safe")
    run(folder)
    return folder


def test_a_folder_in_which_another_training_runs_is_refused_and_left_as_it_is(tmp_path):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FileError, match=rf"train: .*run is being made by process {other.pid} "):
            run(folder)
        assert os.listdir(folder) == [".lock"]
        other.stdin.close()
    assert not folder.exists()


def test_nothing_of_the_lock_is_left(trained):
    assert sorted(os.listdir(trained)) == [
        *("checkpoint.safetensors", "metrics.jsonl", "recipe.toml", "state.safetensors", "test.npz"),
    ]


def test_weights_that_are_no_numbers_end_the_training_at_the_last_good_epoch(tmp_path, monkeypatch):
    """In epoch 2; what epoch 1 left can be exported and resumed."""
    honest = loop.Run.epoch

    def spoiled(self, *given):
        if self.epochs_done == 1:
            self.rewirer.end_epoch = lambda: next(iter(self.model.weights().values())).data.fill_(float("nan"))
        return honest(self, *given)

    monkeypatch.setattr(loop.Run, "epoch", spoiled)
    with pytest.raises(TrainingError, match="weights of layer 'hidden1' are no longer finite in epoch 2; .* is kept"):
        run(tmp_path / "run")
    monkeypatch.undo()
    assert len((tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    checkpoint_network(tmp_path / "run")
    assert run(tmp_path / "run", resume=True).epochs == 3


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_checkpoint_with_weights_that_are_none_is_not_exported(trained, tmp_path, bad):
    tensors, header = read_tensors(trained / "checkpoint.safetensors", "neurodeploy-checkpoint/1")
    tensors["weight/hidden1"][0, 0] = bad
    tensors["mask/hidden1"][0, 0] = 1
    path = tmp_path / "c.safetensors"
    write_tensors(path, "neurodeploy-checkpoint/1", tensors, header)
    with pytest.raises(NetworkError, match=f"export: layer 'hidden1' has the weight {bad}"):
        checkpoint_network(path)


def test_a_checkpoint_that_tells_of_more_than_it_holds_takes_no_memory(trained, tmp_path):
    tensors, header = read_tensors(trained / "checkpoint.safetensors", "neurodeploy-checkpoint/1")
    header["recipe"] = header["recipe"].replace("neurons = 16", "neurons = 1000000000")
    write_tensors(tmp_path / "c.safetensors", "neurodeploy-checkpoint/1", tensors, header)
    with pytest.raises(FileError, match="tells of 74,000,000,000 weights"):
        load_checkpoint(tmp_path / "c.safetensors")


@pytest.mark.parametrize("key", ["recipe", "inputs", "epoch", "validation_accuracy", "payload"])
def test_a_checkpoint_with_a_damaged_header_is_one_line(trained, tmp_path, key):
    tensors, header = read_tensors(trained / "checkpoint.safetensors", "neurodeploy-checkpoint/1")
    write_tensors(tmp_path / "c.safetensors", "neurodeploy-checkpoint/1", tensors, {**header, key: "[" * 9})
    with pytest.raises(Exception, match=r"c\.safetensors") as caught:
        load_checkpoint(tmp_path / "c.safetensors")
    assert "\n" not in str(caught.value)
    assert caught.type.__module__ == "neurodeploy.errors"


def test_every_line_of_metrics_is_json(trained):
    for line in (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=pytest.fail)
