"""Samples with a label in every step: from arrays of one's own to a class in every step, on every engine and in C."""

from __future__ import annotations

import json
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch", reason="needs torch (extra train)")

from typer.testing import CliRunner

from neurodeploy import accuracy, decode, load_samples, read_network, simulate
from neurodeploy.cli.entry import app
from neurodeploy.errors import NeurodeployError

N_STEPS, WINDOW = 60, 6
RECIPE = """
name = "own"
[data]
path = "own.npz"
encoding = "frames"
n_steps = 60
label_lag = 2
[network]
window = 6
layers = [{ neurons = 24, delay = 3 }, { neurons = 3 }]
neuron = { threshold = 64, current_decay = 3072, voltage_decay = 2048, tau_grad = 0.01 }
[sparse]
density = 0.8
[training]
epochs = 15
batch_size = 16
weight_scale = 2.0
learning_rate = 0.02
"""


def own() -> dict[str, np.ndarray]:
    """Three channels, of which in each stretch of ten steps one fires most: its number is the class of these steps."""
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 3, (80, N_STEPS // 10)), 10, axis=1)
    rates = np.where(labels[..., None] == np.arange(3), 0.8, 0.05)
    return {"spikes": rng.random((80, N_STEPS, 3)) < rates, "labels": labels}


def told_by(words: str) -> str:
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, f"{words}: {done.output}"
    return done.output


def refused(words: str) -> str:
    with pytest.raises(NeurodeployError) as error:
        CliRunner().invoke(app, words.split(), catch_exceptions=False)
    return str(error.value)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("steps")
        patch.chdir(folder)
        np.savez("own.npz", **own())
        (folder / "own.toml").write_text(RECIPE)
        told_by("train own.toml")
        told_by("export runs/own")
        yield SimpleNamespace(folder=folder, network=read_network("runs/own/model.nir"))


def test_training_and_the_exported_integers_have_the_same_accuracy_of_the_validation_steps(trained, monkeypatch):
    from neurodeploy.data.parts import encode, load_splits
    from neurodeploy.recipe.files import load_recipe

    monkeypatch.chdir(trained.folder)
    recipe = load_recipe("own.toml")
    validation = encode(load_splits(recipe.data)[1], recipe.data, "validation")
    log = (trained.folder / "runs/own/metrics.jsonl").read_text(encoding="utf-8")
    epochs = [json.loads(line) for line in log.splitlines()]
    best = max(epochs, key=lambda e: (e["settled"], e["validation_accuracy"], -e["validation_loss"]))
    activity = simulate(trained.network, validation, engine="reference")
    assert trained.network.outputs[0].window == WINDOW
    assert decode(trained.network, activity).shape == validation.labels.shape
    assert accuracy(trained.network, activity, validation) == pytest.approx(best["validation_accuracy"], abs=1e-12)
    assert best["validation_accuracy"] > 0.7  # of three classes


def test_engines_and_target_c_tell_the_same_class_in_every_step(trained):
    samples = load_samples(trained.folder / "runs/own/test.npz")
    classes = decode(trained.network, simulate(trained.network, samples, engine="reference"))
    assert np.array_equal(decode(trained.network, simulate(trained.network, samples, engine="event")), classes)
    assert len(np.unique(classes)) == 3


def test_simulate_and_report_tell_the_share_of_the_steps(trained, monkeypatch):
    monkeypatch.chdir(trained.folder)
    out = told_by("simulate runs/own/model.nir runs/own --json")
    told = json.loads(out[out.index("{") : out.rindex("}") + 1])
    samples = load_samples("runs/own/test.npz")
    assert told["accuracy"] == accuracy(trained.network, simulate(trained.network, samples), samples) > 0.7
    assert np.shape(told["outputs"]["class"]["classes"]) == samples.labels.shape
    line = " ".join(told_by("simulate runs/own/model.nir runs/own").split())
    assert "% of the steps, classes in the steps of sample 0: " in line
    out = told_by("report runs/own --engines native,reference,event")
    assert f"on the steps of {samples.n_samples} samples" in out
    report = json.loads((trained.folder / "runs/own/report.json").read_text())
    assert report["accuracy"]["steps"] is True
    assert report["accuracy"]["test"] == told["accuracy"]
    assert report["verification"]["spikes_different"] == 0
    assert "the steps of" in (trained.folder / "runs/own/report.html").read_text()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_c_program_tells_the_class_of_the_last_steps_whenever_it_is_asked(trained, tmp_path):
    """A C program asks after every step; the class is that of ``decode`` for the step that has just come through."""
    from neurodeploy.targets.c.write import write_c

    samples = load_samples(trained.folder / "runs/own/test.npz").take(0, 3)
    wanted = decode(trained.network, simulate(trained.network, samples, engine="reference"))
    raster = samples.inputs["input"].to_dense()
    write_c(trained.network, tmp_path / "c")
    depth = trained.network.depth
    rows = ",\n".join("{" + ", ".join(map(str, step)) + "}" for sample in raster for step in sample)
    (tmp_path / "ask.c").write_text(
        f"""
#include <stdio.h>
#include "network.h"
static const unsigned char raster[{3 * N_STEPS}][3] = {{ {rows} }};
static network net;
int main(void) {{
    for (int s = 0; s < 3; s++) {{
        network_reset(&net);
        for (int t = 0; t < {N_STEPS + depth}; t++) {{
            network_index events[3], spikes[NETWORK_OUTPUTS];
            uint32_t n = 0;
            for (int k = 0; t < {N_STEPS} && k < 3; k++)
                if (raster[s * {N_STEPS} + t][k]) events[n++] = (network_index)k;
            network_step(&net, events, 0, n, spikes);
            if (t >= {depth}) printf("%u ", (unsigned)network_classify(&net, 0));
        }}
    }}
    return 0;
}}
"""
    )
    sources = [str(p) for p in (tmp_path / "c").glob("*.c")]
    program = str(tmp_path / "ask")
    compile_it = [
        "gcc",
        "-std=c11",
        "-Wall",
        "-I",
        str(tmp_path / "c"),
        str(tmp_path / "ask.c"),
        *sources,
        "-o",
        program,
    ]
    subprocess.run(compile_it, check=True)
    told = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert np.array_equal(np.array(told.split(), int).reshape(3, N_STEPS), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("window = 6\n", ""), "have a label for each of 60 steps; say over how many steps"),
        (("epochs = 15", 'epochs = 15\nloss = "tet"'), "the loss 'tet' is for one class a sample"),
        (("n_steps = 60", "n_steps = 50"), "has samples of 60 steps; write data.n_steps = 60"),
    ],
)
def test_what_does_not_go_with_a_label_a_step_is_refused(change, message, trained, monkeypatch):
    monkeypatch.chdir(trained.folder)
    (trained.folder / "bad.toml").write_text(RECIPE.replace(*change))
    assert message in refused("train bad.toml --out bad")


def test_labels_of_samples_do_not_take_a_window(trained, monkeypatch):
    monkeypatch.chdir(trained.folder)
    np.savez("single.npz", **{**own(), "labels": own()["labels"][:, 0]})
    (trained.folder / "bad.toml").write_text(RECIPE.replace("own.npz", "single.npz").replace("label_lag = 2", ""))
    assert "network.window is 6, for a class in each step, but the samples have one label each" in refused(
        "train bad.toml --out bad"
    )
    assert "have one label each, but the output tells a class in every step" in refused(
        "simulate runs/own/model.nir single.npz"
    )
    (trained.folder / "bad.toml").write_text(RECIPE.replace("own.npz", "single.npz"))
    assert "data.label_lag, here 2, is for labels of steps" in refused("train bad.toml --out bad")


def test_a_recipe_for_own_arrays_gets_a_window(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", **own())
    assert "one in each step" in told_by("recipe new own --data own.npz")
    assert "window = 32" in (tmp_path / "own.toml").read_text()
    assert "3 classes, one in each step" in told_by("data convert own.npz --out samples.npz")
    assert load_samples("samples.npz").labels.shape == (80, N_STEPS)
