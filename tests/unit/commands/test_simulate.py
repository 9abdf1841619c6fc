"""``simulate`` decodes every output, from the command line and on every engine; ``faults`` and ``verify`` likewise."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from building import chain, connect, one_layer, wired
from typer.testing import CliRunner

from neurodeploy import commands
from neurodeploy.cli import app
from neurodeploy.cli.verify import _explain
from neurodeploy.engines.checks import lasting_steps
from neurodeploy.engines.decoding import decode, decoding_probes
from neurodeploy.engines.dynamics import Step, step
from neurodeploy.engines.event import every_kind as messages
from neurodeploy.engines.reference import run_reference
from neurodeploy.engines.table import simulate
from neurodeploy.errors import SimulationError
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import (
    Cuba,
    Delta,
    LeakyIntegrator,
    Network,
    Output,
    ResonateAndFire,
)
from neurodeploy.network.activity import Events, Samples, load_activity, save_samples

SPIKING = Cuba(current_decay=900, voltage_decay=300, threshold=300)
SILENT = LeakyIntegrator(current_decay=900, voltage_decay=300)
MODELS = {"count": SPIKING, "first_spike": SPIKING, "last_voltage": SILENT}
N_SAMPLES = 12


def _network(*outputs: tuple[str, str]) -> Network:
    """Two layers; ``outputs`` are pairs of a name and a decoding, each with a population of its own."""
    rng = np.random.default_rng(0)
    first = connect("input", "hidden", 2 * rng.integers(-60, 80, (10, 8)))
    read = [connect("hidden", f"at_{name}", 2 * rng.integers(-60, 80, (4, 10))) for name, _ in outputs]
    return wired(
        {"input": 8},
        {"hidden": (10, SPIKING), **{f"at_{name}": (4, MODELS[d], 2) for name, d in outputs}},
        [first, *read],
        [Output(name=name, population=f"at_{name}", decoding=d) for name, d in outputs],
    )


def _write_netx(path, *, sigma_output: bool) -> None:
    rng = np.random.default_rng(2)
    neuron = {"type": "SDNN", "activation": "relu", "vThMant": 1}
    dense = {"type": "dense", "shape": [4], "weight": 2.0 * rng.integers(-20, 40, (4, 8)), "neuron": neuron}
    out = {"type": "dense", "shape": [4], "weight": 2.0 * rng.integers(-20, 40, (4, 4)), "neuron": dict(neuron)}
    if sigma_output:
        out["neuron"]["sigma_output"] = True
    with h5py.File(path, "w") as file:
        for i, given in enumerate(({"type": "input", "shape": [8], "neuron": neuron}, dense, out)):
            group = file.create_group(f"layer/{i}")
            group.create_dataset("type", (1,), "S10", [given["type"].encode()])
            group["shape"] = given["shape"]
            for key, value in given["neuron"].items():
                group[f"neuron/{key}"] = value
            if "weight" in given:
                group["weight"] = given["weight"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decode")
    for decoding in MODELS:
        to_nir(_network(("class", decoding)), folder / f"{decoding}.nir")
    to_nir(_network(("class", "count"), ("value", "last_voltage")), folder / "two.nir")
    _write_netx(folder / "sum.net", sigma_output=False)
    _write_netx(folder / "last_message.net", sigma_output=True)
    rng = np.random.default_rng(1)
    spikes = Events.from_dense(rng.random((N_SAMPLES, 15, 8)) < 0.3)
    values = rng.integers(-9, 10, (N_SAMPLES, 15, 8)) * (rng.random((N_SAMPLES, 15, 8)) < 0.3)
    graded = Events.from_dense(values, graded=True)
    labels = rng.integers(0, 4, N_SAMPLES)
    for name, events in (("spikes", spikes), ("values", graded)):
        save_samples(Samples(inputs={"input": events}, labels=labels), folder / f"{name}.npz")
        save_samples(Samples(inputs={"input": events}), folder / f"{name}_unlabelled.npz")
    return folder


def _expected(folder, file, data) -> list[int]:
    """The classes of the only output, by its definition."""
    network = commands.load_network(folder / file)
    (output,) = network.outputs
    probe = [(output.population, "v")] if output.decoding == "last_voltage" else []
    samples = commands.load_data(folder / data)
    run = run_reference(network, samples, probe=probe)
    raster = run.spikes[output.population].to_dense()
    if output.decoding == "last_voltage":
        scores = run.states[output.population, "v"][:, -1]
    elif output.decoding == "first_spike":
        scores = -np.where(raster.any(axis=1), np.argmax(raster, axis=1), raster.shape[1])
    else:
        scores = raster[:, -1] if output.decoding == "last_message" else raster.sum(axis=1)
    return [int(np.flatnonzero(row == row.max())[0]) for row in scores]


DECODINGS = {
    "count": ("count.nir", "spikes.npz"),
    "first_spike": ("first_spike.nir", "spikes.npz"),
    "last_voltage": ("last_voltage.nir", "spikes.npz"),
    "sum": ("sum.net", "values.npz"),
    "last_message": ("last_message.net", "values.npz"),
}


def _check(summary: dict, folder, decoding: str) -> None:
    file, data = DECODINGS[decoding]
    classes = _expected(folder, file, data)
    labels = commands.load_data(folder / data).labels
    (output,) = summary["outputs"].values()
    assert (output["decoding"], output["classes"]) == (decoding, classes)
    assert summary["accuracy"] == output["accuracy"] == np.mean(np.array(classes) == labels)
    assert len(set(classes)) > 1, "a network that always gives one class shows nothing"


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("engine", ["event", "reference"])
def test_outputs_are_decoded_whichever_way_they_are_read(folder, decoding, engine):
    paths = [str(folder / name) for name in DECODINGS[decoding]]
    done = CliRunner().invoke(app, ["simulate", *paths, "--engine", engine, "--json"])
    assert done.exit_code == 0, done.output
    _check(json.loads(done.stdout), folder, decoding)


@pytest.mark.lava
@pytest.mark.parametrize(
    ("engine", "decoding"),
    [
        ("lava", "last_voltage"),
        ("lava-in-process", "last_voltage"),
        ("lava-in-process", "sum"),
        *(pytest.param("lava", d, marks=pytest.mark.slow) for d in DECODINGS if d != "last_voltage"),
        *(pytest.param("lava-in-process", d, marks=pytest.mark.slow) for d in ("count", "first_spike", "last_message")),
    ],
)
def test_outputs_are_decoded_on_lava(run_cli, folder, engine, decoding):
    if engine == "lava-in-process":
        pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    file, data = DECODINGS[decoding]
    done = run_cli("simulate", file, data, "--engine", engine, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    _check(json.loads(done.stdout), folder, decoding)


def test_classes_are_told_without_labels_and_printed(folder):
    done = CliRunner().invoke(
        app, ["simulate", str(folder / "last_voltage.nir"), str(folder / "spikes_unlabelled.npz")]
    )
    assert done.exit_code == 0, done.output
    classes = " ".join(map(str, _expected(folder, "last_voltage.nir", "spikes.npz")[:10]))
    assert f"output class last_voltage, classes {classes} ..." in " ".join(done.stdout.split())


def test_each_of_several_outputs_is_decoded_with_its_own_accuracy(folder):
    arguments = ["simulate", str(folder / "two.nir"), str(folder / "spikes.npz")]
    summary = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert summary["accuracy"] is None
    assert {name: o["decoding"] for name, o in summary["outputs"].items()} == {
        "class": "count",
        "value": "last_voltage",
    }
    labels = commands.load_data(folder / "spikes.npz").labels
    for output in summary["outputs"].values():
        assert output["accuracy"] == np.mean(np.array(output["classes"]) == labels)
    shown = " ".join(CliRunner().invoke(app, arguments).stdout.split())
    assert "output class count, accuracy" in shown
    assert "output value last_voltage, accuracy" in shown


def test_an_activity_that_was_kept_can_be_decoded_later(folder, tmp_path):
    network, out = folder / "last_voltage.nir", tmp_path / "a.npz"
    commands.simulate(network, folder / "spikes.npz", out=out)
    classes = decode(commands.load_network(network), load_activity(out))
    assert classes.tolist() == _expected(folder, "last_voltage.nir", "spikes.npz")


def test_faults_decode_voltages_too(folder):
    arguments = [str(folder / "last_voltage.nir"), str(folder / "spikes.npz")]
    done = CliRunner().invoke(
        app, ["faults", *arguments, "--fault", "drop", "--rates", "0", "--repeats", "1", "--json"]
    )
    assert done.exit_code == 0, done.output
    classes = np.array(_expected(folder, "last_voltage.nir", "spikes.npz"))
    assert json.loads(done.stdout)[0]["accuracy"] == np.mean(
        classes == commands.load_data(folder / "spikes.npz").labels
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ResonateAndFire(sin_decay=1, cos_decay=4000, threshold=9), "has resonate-and-fire neurons, whose states are real, "
         "imag; decode it by count or first_spike"),
        (Delta(threshold=9), "has delta neurons, whose states are act, residue, error; decode it by sum or last_message"),
    ],
)  # fmt: skip
def test_a_voltage_that_a_population_does_not_have_is_refused(model, message):
    network = one_layer([[1]], model, target="a", output="o", decoding="last_voltage")
    with pytest.raises(SimulationError, match=f"output 'o' is decoded by last_voltage, but 'a' {message}"):
        decoding_probes(network)


def test_outputs_of_one_population_share_a_probe():
    network = _network(("one", "last_voltage"))
    again = Output(name="two", population="at_one", decoding="last_voltage")
    network = replace(network, outputs=(*network.outputs, again, Output(name="three", population="hidden")))
    assert decoding_probes(network) == [("at_one", "v")]


@pytest.fixture
def departing(monkeypatch):
    """Let the event engine clip the messages of sigma-delta neurons to 8 bits."""

    def clipped(model, states, real, imag, **options):
        done = step(model, states, real, imag, **options)
        return Step(done.states, np.clip(done.sent, -128, 127), done.overflow) if model.kind == "sigma_delta" else done

    monkeypatch.setattr(messages, "step", clipped)


@pytest.mark.usefixtures("departing")
def test_verify_shows_both_payloads_and_the_cause_in_text_json_and_proof(folder, tmp_path):
    arguments = ["verify", str(folder / "sum.net"), str(folder / "values.npz"), "--engines", "reference,event"]
    options = ["--samples", "3"]
    text = CliRunner().invoke(app, [*arguments, *options, "--out", str(tmp_path / "proof.json")])
    shown = CliRunner().invoke(app, [*arguments, *options, "--json"])
    assert (text.exit_code, shown.exit_code) == (12, 12)
    proof = json.loads(shown.stdout)
    assert proof == json.loads((tmp_path / "proof.json").read_text(encoding="utf-8"))
    difference, diagnosis = proof["first_difference"], proof["diagnosis"]
    ours, theirs = difference["values"]
    assert abs(ours) > 127
    assert theirs == np.clip(ours, -128, 127)
    assert (diagnosis["cause"], diagnosis["departs"]) == ("range", "event")
    assert diagnosis["why"] == "its messages are clipped to 8 bits with a sign"
    assert diagnosis["decided_by"]["delta"] >> 6 == ours  # lava-dl's states have 6 bits more than its messages
    assert sum(a["message"] * a["weight"] for a in diagnosis["arriving"]) == diagnosis["summed_input"]
    printed = " ".join(text.stdout.split())
    assert f"reference has {ours}, event has {theirs}" in printed
    assert "cause: range: event departs from the definition: its messages are clipped to 8 bits with a sign" in printed
    assert (
        f"in that step: summed input {diagnosis['summed_input']}, sigma {diagnosis['decided_by']['sigma']}" in printed
    )
    first = diagnosis["arriving"][0]
    assert f"{first['neuron']} {first['sent_in_step']} {first['message']} {first['weight']}" in printed


def test_verify_compares_the_voltages_of_a_readout(folder, monkeypatch):
    """The other engine forgets a read-out's voltage faster by one 4096th, which no spike shows."""
    arguments = ["verify", str(folder / "last_voltage.nir"), str(folder / "spikes.npz"), "--engines", "reference,event"]
    equal = CliRunner().invoke(app, [*arguments, "--samples", "3"])
    assert equal.exit_code == 0, equal.output
    assert "at_class, voltage" in equal.stdout

    def faster(network, samples, *, engine, **options):
        if engine == "reference":
            return simulate(network, samples, engine=engine, **options)
        hidden, last = network.populations
        wrong = replace(network, populations=(hidden, replace(last, model=replace(last.model, voltage_decay=301))))
        return replace(simulate(wrong, samples, engine=engine, **options), network=network.fingerprint)

    monkeypatch.setattr(sys.modules["neurodeploy.commands.verify"], "simulate", faster)
    done = CliRunner().invoke(app, [*arguments, "--samples", "3"])
    assert done.exit_code == 12
    shown = " ".join(done.stdout.split())
    assert re.search(
        r"population 'at_class', neuron \d, step \d+ of sample 0: reference has v = -?\d+, event has v = ", shown
    )
    assert "cause: quantisation: event departs from the definition: the decay of the voltage is one larger" in shown


def test_verify_shows_the_complex_input_of_a_resonator(capsys):
    difference = {"population": "a", "neuron": 0, "step": 1, "sample": 0, "engines": ("x", "y"), "values": (1, 0)}
    diagnosis = {"cause": "unknown", "departs": "y", "why": "?", "arriving": [], "threshold": 9, "summed_input": 7}
    _explain(difference, diagnosis | {"summed_input_imag": -5, "decided_by": {"real": 14, "imag": -10}})
    shown = "in that step: summed input 7, imaginary -5, real 14, imag -10, threshold 9"
    assert shown in capsys.readouterr().out


def _delayed(delay: int) -> Network:
    """A neuron that fires for each spike of its input, after a delay."""
    return one_layer([[128]], Cuba(current_decay=4096, voltage_decay=4096, threshold=64), delay=delay)


def test_run_that_ends_before_delayed_spikes_arrive_says_so_and_how_long_they_need(tmp_path):
    to_nir(_delayed(62), tmp_path / "net.nir")
    save_samples(Samples(inputs={"in": Events.from_dense(np.ones((1, 20, 1), bool))}), tmp_path / "x.npz")
    told: list[str] = []
    _, short = commands.simulate(tmp_path / "net.nir", tmp_path / "x.npz", say=told.append)
    assert (short["steps"], short["steps_needed"], short["spikes"]["out"]) == (21, 83, 0)
    assert "ends before all delayed spikes arrive (delays of up to 62 steps)" in told[0]
    assert "--steps 83 (in Python n_steps=83)" in told[0]
    told.clear()
    _, whole = commands.simulate(tmp_path / "net.nir", tmp_path / "x.npz", n_steps=83, say=told.append)
    assert (whole["steps"], whole["spikes"]["out"], told) == (83, 20, [])
    assert commands.simulate(tmp_path / "net.nir", tmp_path / "x.npz", n_steps=82)[1]["spikes"]["out"] == 19


def test_run_without_delays_lasts_as_ever_and_says_nothing(tmp_path):
    to_nir(_delayed(0), tmp_path / "net.nir")
    save_samples(Samples(inputs={"in": Events.from_dense(np.ones((1, 20, 1), bool))}), tmp_path / "x.npz")
    told: list[str] = []
    _, facts = commands.simulate(tmp_path / "net.nir", tmp_path / "x.npz", say=told.append)
    assert (facts["steps"], "steps_needed" in facts, told) == (21, False, [])


def test_delays_behind_each_other_add_up_and_those_that_make_ways_equally_long_do_not() -> None:
    ones = np.ones((2, 2), np.int16)
    row = chain([ones, ones, ones], more={"p1": {"delay": 5}, "p3": {"delay": 7}})
    assert lasting_steps(row, 10) == 10 + 3 + 5 + 7
    skip = chain([ones, ones], extra=[connect("in", "p2", ones, "skip", delay=1)])
    assert lasting_steps(skip, 10) == 10 + 2
    loop = chain([ones], extra=[connect("p1", "p1", ones, "loop", delay=9)])
    assert lasting_steps(loop, 10) == 10 + 1
