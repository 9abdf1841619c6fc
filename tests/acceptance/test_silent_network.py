"""Silence is not success: what the commands say of a network that never fires, and of one that does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from building import chain
from typer.testing import CliRunner

from neurodeploy import commands, save_samples, to_nir
from neurodeploy.cli import app
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import Events, Samples
from neurodeploy.reports.record import checked

ADDS = Cuba(current_decay=4096, voltage_decay=0, threshold=64)


pytestmark = pytest.mark.usefixtures("folder")


def network(sign: int) -> Network:
    rng = np.random.default_rng(8)
    layers = {"h": sign * rng.integers(8, 60, (6, 8)), "o": rng.integers(-20, 60, (3, 6))}
    return chain(layers, ADDS, source="input", output="class")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a dead and a living network and ten samples, six of class 0, one of them without an event."""
    raster = np.random.default_rng(5).random((10, 20, 8)) < 0.3
    raster[7] = False
    labels = np.array([0, 1, 0, 2, 0, 1, 0, 0, 2, 0])
    save_samples(Samples(inputs={"input": Events.from_dense(raster)}, labels=labels, name="ten"), tmp_path / "ten.npz")
    to_nir(network(-1), tmp_path / "dead.nir")
    to_nir(network(1), tmp_path / "alive.nir")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str) -> tuple[str, str]:
    done = CliRunner().invoke(app, line.split())
    assert done.exit_code == 0, done.output
    return done.stdout, " ".join(done.stderr.split())


SILENT = "warning: output 'class' is silent on all 10 samples: what is decoded from it is no class"
DEAD = "warning: no neuron fires on these samples in: h, o"
EMPTY = "1 of 10 samples have no input event"
NEVER = "6 neurons of 'h' can never fire, whatever the input: 0-5"


def test_simulate_says_that_there_is_no_class():
    printed, said = run("simulate dead.nir ten.npz")
    for line in (SILENT, DEAD, EMPTY, NEVER):
        assert line in said
    line = next(line for line in printed.splitlines() if line.startswith("output class"))
    assert "accuracy 60.00%, no classes: silent on all samples; tied 100.00%, silent 100.00%" in line
    found = json.loads(run("simulate dead.nir ten.npz --json")[0])
    assert (found["accuracy"], found["tied"], found["silent"]) == (0.6, 1.0, 1.0)
    assert found["outputs"]["class"]["classes"] == [0] * 10  # as before: the lowest index
    assert found["silence"]["never_fired"] == ["h", "o"]
    assert found["silence"]["empty_samples"] == 1


def test_warnings_are_red_on_a_terminal_and_notes_are_not(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = CliRunner().invoke(app, ["simulate", "dead.nir", "ten.npz"]).stderr.splitlines()
    red = [line for line in lines if "\x1b[1;31m" in line]
    assert len(red) == 2
    assert all("warning: " in line for line in red)
    assert any(EMPTY in line and line not in red for line in lines)


def test_verify_counts_the_network_s_own_spikes():
    n_input = len(commands.load_data("ten.npz").inputs["input"])
    printed, said = run("verify dead.nir ten.npz --samples 10 --out proof.json")
    end = f"equal; 0 of {n_input} spikes differ; of the {n_input}, the network sent 0"
    assert f"reference, event: {end}" in printed.splitlines()
    assert SILENT in said
    assert DEAD in said
    proof = json.loads(Path("proof.json").read_text(encoding="utf-8"))
    assert proof["spikes_compared"] == proof["input_spikes_compared"] == n_input
    assert proof["silence"]["never_fired"] == ["h", "o"]
    living = commands.verify("alive.nir", "ten.npz", n_samples=10)
    own = sum(p["spikes"] for p in living["populations"] if p["name"] != "input")
    assert living["input_spikes_compared"] == n_input
    assert living["spikes_compared"] - n_input == own > 0


def test_faults_estimate_and_export_say_it_too():
    rows, said = run("faults dead.nir ten.npz --fault drop --rates 0 --json")
    assert json.loads(rows)[0]["silent"] == json.loads(rows)[0]["tied"] == 1.0
    assert "without a fault, output 'class' is silent on all 10 samples" in said
    cost, said = run("estimate dead.nir --chip loihi1 --data ten.npz --json")
    assert SILENT in said
    assert json.loads(cost)["warnings"][1] == DEAD.removeprefix("warning: ")
    assert f"{NEVER}." in json.loads(cost)["notes"]
    printed, said = run("export dead.nir --data ten.npz --out again.nir")
    assert "same class none: the output is silent on all samples" in " ".join(printed.split())
    assert SILENT in said


def test_the_report_warns_in_all_its_forms():
    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    pytest.importorskip("jinja2", reason="needs jinja2 (extra report)")
    _, said = run("report dead.nir --data ten.npz --out report --chip loihi1")
    assert SILENT in said
    found = json.loads(Path("report/report.json").read_text(encoding="utf-8"))
    assert checked(found).accuracy is not None
    assert (found["accuracy"]["test"], found["accuracy"]["tied"], found["accuracy"]["silent"]) == (0.6, 1.0, 1.0)
    assert found["verification"]["input_spikes_compared"] == found["verification"]["spikes_compared"]
    assert found["silence"]["never_fired"] == ["h", "o"]
    text = " ".join(Path("report/report.txt").read_text(encoding="utf-8").split())
    assert "the network sent 0." in text
    assert "60 % accuracy on 10 samples, 100 % tied, 100 % silent." in text
    for line in (SILENT, DEAD):
        assert line.replace("warning", "WARNING") in text
    page = Path("report/report.html").read_text(encoding="utf-8")
    assert f'<p class="verdict bad">{DEAD.capitalize()}.</p>' in page
    assert "no class.</p>" in page


def test_a_network_that_answers_is_told_nothing():
    keep = commands.load_data("ten.npz").take(0, 7)
    save_samples(keep, "seven.npz")
    printed, said = run("simulate alive.nir seven.npz")
    assert said == ""
    assert "no classes" not in printed
    assert json.loads(run("simulate alive.nir seven.npz --json")[0])["silence"]["warnings"] == []


def test_check_fix_leaves_them_out():
    printed, _ = run("check dead.nir --fix fixed.nir")
    for line in (
        NEVER,
        "removed: 5 of them from 'h': 1-5; no other neuron changes",
        "stays in 'h': neuron 0, so that the layer and its step in time remain",
        "stays in 'o': an output reads them, and their numbers are its classes",
    ):
        assert line in printed
    before, after = (commands.simulate(name, "ten.npz", engine="reference")[0] for name in ("dead.nir", "fixed.nir"))
    assert after.spikes["h"].size == 1
    assert len(after.spikes["o"]) == len(before.spikes["o"]) == 0
