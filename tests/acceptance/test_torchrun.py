"""``torchrun -m neurodeploy train``: two processes share each batch, and end with the bytes of one that adds two halves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from building import ROOT, on

pytestmark = [pytest.mark.train, pytest.mark.slow]
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

TEXT = """
name = "shared"
data = { name = "digits", n_steps = 4, test_fraction = 0.5, validation_fraction = 0.3 }
network = { layers = [{ neurons = 16, dropout = 0.2, delay = 3 }, { neurons = 10 }], neuron = { threshold = 64, \
current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.3, growth = "GROWTH", every_steps = 3 }
training = { epochs = EPOCHS, batch_size = 50, learning_rate = 1e-2, weight_scale = 0.7, logit_scale = 0.5, parts = PARTS }
"""
ALONE = [sys.executable]
TOGETHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def environment():
    given = {k: v for k, v in os.environ.items() if k not in ("WORLD_SIZE", "RANK", "LOCAL_RANK")}
    return {**given, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


BACKENDS = ["native", pytest.param("slayer", marks=pytest.mark.slayer)]


def command(launcher, folder, *more, growth="gradient", epochs=3, parts=2, backend="native"):
    recipe = folder.parent / f"{growth}-{epochs}-{parts}.toml"
    text = TEXT.replace("GROWTH", growth).replace("EPOCHS", str(epochs)).replace("PARTS", str(parts))
    recipe.write_text(on(backend, text), encoding="utf-8")
    return [*launcher, "-m", "neurodeploy", "train", str(recipe), "--out", str(folder), "--json", *more]


def trained(launcher, folder, *more, **settings):
    done = subprocess.run(
        command(launcher, folder, *more, **settings), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line.split('"seconds"')[0] for line in lines]


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_write_the_bytes_of_one_that_adds_two_halves_once(backend, tmp_path):
    """Growth by gradient: a mask that followed one process's half alone would differ."""
    one, two = tmp_path / "one", tmp_path / "two"
    facts = [trained(ALONE, one, backend=backend), trained(TOGETHER, two, backend=backend)]
    assert (one / "checkpoint.safetensors").read_bytes() == (two / "checkpoint.safetensors").read_bytes()
    assert metrics(one) == metrics(two)
    assert len(metrics(two)) == 3
    assert sorted(os.listdir(one)) == sorted(os.listdir(two))
    shared = ("best_epoch", "epochs", "validation_accuracy", "imported_accuracy")
    assert [facts[0][name] for name in shared] == [facts[1][name] for name in shared]


def test_processes_that_share_are_as_many_as_the_parts(tmp_path):
    done = subprocess.run(
        command(TOGETHER, tmp_path / "run", parts=3), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "training.parts is 3, but 2 processes train" in line]
    assert len(said) == 1, done.stderr


@pytest.mark.parametrize("launcher", [ALONE, TOGETHER], ids=["alone", "torchrun"])
def test_ctrl_c_saves_says_how_to_go_on_and_resumes_to_the_same_bytes(launcher, tmp_path):
    """SIGINT goes to all processes, as a terminal sends it."""
    epochs = 8
    folder = tmp_path / "run"
    whole = tmp_path / "whole"
    trained(ALONE, whole, epochs=epochs)
    process = subprocess.Popen(
        command(launcher, folder, epochs=epochs),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    waited = time.monotonic() + 300
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < waited:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    said = [line for line in errors.splitlines() if line.startswith("neurodeploy: train: interrupted in epoch")]
    assert len(said) == 1, errors
    assert said[0].endswith("To go on: the same command with --resume")
    if launcher is ALONE:
        assert process.returncode == 130
    assert 1 <= len(metrics(folder)) < epochs
    trained(launcher, folder, "--resume", epochs=epochs)
    assert (folder / "checkpoint.safetensors").read_bytes() == (whole / "checkpoint.safetensors").read_bytes()
    assert metrics(folder) == metrics(whole)


RANKS = """
import sys, torch
from neurodeploy.data.parts import encode, load_splits
from neurodeploy.recipe import parse_recipe
from neurodeploy.training.parallel import joined
from neurodeploy.training.run import Run

recipe = parse_recipe(open(sys.argv[1]).read(), "test")
torch.set_num_threads(1)
with joined() as world:
    run = Run(recipe, encode(load_splits(recipe.data)[0], recipe.data, "train"), world=world)
    for _ in range(3):
        run.epoch()
    assert run.rewirer.n_rewirings >= 3
    torch.save(run.state_dict()[0], sys.argv[2] + str(world.rank))
"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("growth", ["random", "momentum"])
def test_both_processes_end_in_the_same_state(growth, backend, tmp_path):
    """Weights, masks, moments, gathered gradients, delays, generators: everything that decides the next step."""
    command(ALONE, tmp_path / "x", growth=growth, backend=backend)
    script = tmp_path / "ranks.py"
    script.write_text(RANKS, encoding="utf-8")
    done = subprocess.run(
        [*TOGETHER, script, tmp_path / f"{growth}-3-2.toml", tmp_path / "rank"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # torch's global generator is each process's own, and nothing draws from it
    first, second = (torch.load(tmp_path / f"rank{n}", weights_only=True) for n in (0, 1))
    assert first.keys() == second.keys()
    assert len(first) > 20
    assert all(torch.equal(value, second[name]) for name, value in first.items() if name != "torch_generator")
