"""A training that is killed (SIGKILL) at any moment and resumed ends with the bytes of an unbroken one."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.errors import FileError
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.sparse.layers import MaskedWeights
from neurodeploy.training import loop

TEXT = """
name = "killed"
data = { name = "digits", n_steps = 4, test_fraction = 0.8, validation_fraction = 0.3 }
network = { layers = [{ neurons = 16, dropout = 0.2, delay = 3 }, { neurons = 10 }], neuron = { threshold = 64, \
current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 } }
sparse = { method = "esl", density = 0.3, growth = "momentum", every_steps = 3 }
training = { epochs = 3, batch_size = 50, learning_rate = 1e-2, weight_scale = 0.7, logit_scale = 0.5 }
"""


def run(folder, *, resume=False):
    return loop.train(parse_recipe(TEXT, "test"), folder, recipe_text=TEXT, resume=resume)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    run(folder)
    return folder


def contents(folder):
    """The bytes of all results, but for the seconds that training took."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found = {p.name: p.read_bytes() for p in folder.iterdir() if p.name in ("checkpoint.safetensors", "test.npz")}
    return {**found, "metrics": [line.split('"seconds"')[0] for line in lines], "names": sorted(os.listdir(folder))}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_child(folder, arrange):
    """Train in a process of its own that ``arrange`` lets die; return whether a signal ended it."""
    child = os.fork()
    if child == 0:
        arrange()
        run(folder)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def at_call(owner, name, number, *, after=False):
    """Let the process die at the ``number``-th call of a method: before it, or after it was done."""

    def arrange():
        original, calls = getattr(owner, name), []

        def counted(*args, **kwargs):
            calls.append(name)
            if len(calls) == number and not after:
                die()
            result = original(*args, **kwargs)
            if len(calls) == number:
                die()
            return result

        setattr(owner, name, counted)

    return arrange


def half_written(number):
    """Let it die when half of a file is written, as a full disk or a power cut would."""

    def arrange():
        original, calls = Path.write_bytes, []

        def half(path, data):
            calls.append(path)
            if len(calls) < number:
                return original(path, data)
            original(path, data[: len(data) // 2])
            die()

        Path.write_bytes = half

    return arrange


# in each epoch the metrics, then the checkpoint where it is the best, then the state; one state before the first epoch
MOMENTS = {
    "before the first state has its name": at_call(loop, "save_state", 1),
    "in the first epoch": at_call(torch.optim.AdamW, "step", 3),
    "in a later epoch": at_call(torch.optim.AdamW, "step", 11),
    "within a rewiring, one of two layers moved": at_call(MaskedWeights, "move", 3, after=True),
    "right after a rewiring": at_call(MaskedWeights, "move", 4, after=True),
    "between metrics and checkpoint": at_call(loop, "save_checkpoint", 1),
    "between checkpoint and state": at_call(loop, "save_checkpoint", 2, after=True),
    "with half of the first state": half_written(1),
    "with half of the first checkpoint": half_written(2),
    "with half of a later file": half_written(4),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(moment, unbroken, tmp_path):
    torch.set_num_threads(1)
    assert in_a_child(tmp_path, MOMENTS[moment]), "it was to die"
    run(tmp_path, resume=(tmp_path / "state.safetensors").exists())
    left, wanted = contents(tmp_path), contents(unbroken)
    left["names"] = [name for name in left["names"] if not name.endswith(".part")]
    assert left == wanted


def test_equal_runs_give_equal_bytes(unbroken, tmp_path):
    run(tmp_path)
    assert contents(tmp_path) == contents(unbroken)


@pytest.mark.parametrize("line", ["[" * 50_000, '{"epoch": NaN}', '{"tied": 1}', "5", "\udcff"])
def test_a_damaged_log_is_told_before_a_run_goes_on(line, unbroken, tmp_path):
    shutil.copytree(unbroken, tmp_path / "run")
    log = tmp_path / "run" / "metrics.jsonl"
    kept = log.read_bytes()
    log.write_bytes(kept + line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(FileError, match=r"train: .*metrics\.jsonl is damaged \(.*train again: --force"):
        run(tmp_path / "run", resume=True)
    log.write_bytes(kept)
    run(tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == contents(unbroken)
