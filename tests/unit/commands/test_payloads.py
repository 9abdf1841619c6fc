"""Samples with bad payloads from the command line, each with one clear message; and faults of networks with payloads."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from building import chain, samples
from typer.testing import CliRunner

from neurodeploy import commands
from neurodeploy.cli import app
from neurodeploy.engines.decoding import accuracy
from neurodeploy.engines.faults import FAULTS
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import NetworkError, NeurodeployError, SimulationError
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, Pool
from neurodeploy.network.activity import load_activity, load_samples, save_samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An input of 4 bits without sign before spiking neurons, a sigma-delta network of lava-dl, and samples for both."""
    folder = tmp_path_factory.mktemp("payloads")
    rng = np.random.default_rng(0)
    layers = {
        "a": Pool(input_shape=(2, 2, 2), kernel=(1, 2), stride=(1, 2), weight=16),
        "b": 2 * rng.integers(-9, 20, (4, 4)),
    }
    model = Cuba(current_decay=4096, voltage_decay=200, threshold=200, reset="subtract")
    to_nir(chain(layers, model, source="input", shape=(2, 2, 2), graded=4), folder / "nibbles.nir")
    _write_sdnn(folder / "sdnn.net", rng)
    values = rng.integers(1, 16, (6, 10, 8)) * (rng.random((6, 10, 8)) < 0.5)
    save_samples(samples(values, "input", graded=True, labels=rng.integers(0, 4, 6)), folder / "values.npz")
    save_samples(samples(values, "input", graded=True, name="noise"), folder / "unlabelled.npz")
    return folder


def _write_sdnn(path: Path, rng: np.random.Generator) -> None:
    neuron = {"type": "SDNN", "activation": "relu", "vThMant": 1}
    weights = {1: 2.0 * rng.integers(-20, 40, (6, 8)), 2: 2.0 * rng.integers(-20, 40, (4, 6))}
    with h5py.File(path, "w") as file:
        for i, (kind, size) in enumerate((("input", 8), ("dense", 6), ("dense", 4))):
            group = file.create_group(f"layer/{i}")
            group.create_dataset("type", (1,), "S10", [kind.encode()])
            group["shape"] = [size]
            for key, value in neuron.items():
                group[f"neuron/{key}"] = value
            if i in weights:
                group["weight"] = weights[i]


def rewritten(folder: Path, to: Path, payload: object) -> Path:
    """Samples with another payload, as a program of the user may write them; a function changes what is there."""
    with np.load(folder / "values.npz") as archive:
        arrays = dict(archive)
    arrays["payload0"] = payload(arrays["payload0"].copy()) if callable(payload) else payload
    np.savez(to, **arrays)
    return to


def first(value: int, dtype: type = np.int32):
    """Change the first payload."""

    def change(payload):
        payload = payload.astype(dtype)
        payload[0] = value
        return payload

    return change


BAD = {
    "beyond the bits": (first(16), "input 'input' takes payloads of 4 bits, 1..15, but channel"),
    "negative without a sign": (
        first(-1),
        "has -1 in step 0 of sample 0 (1 such events); give the input signed payloads",
    ),
    "fractional": (lambda p: p / 2, "event payloads must be whole numbers, they are float64; divide them by the scale"),
    "zero": (first(0), "event 0 has the payload 0, which stands for no event; leave such events out"),
    "beyond 32 bits": (first(2**40, np.int64), "an event has the payload 1099511627776, which does not fit 32 bits"),
    "too few": (lambda p: p[:-1], "event payload differs in length from the events"),
}


@pytest.mark.parametrize(
    "command",
    [["simulate"], ["verify", "--engines", "reference,event", "--samples", "6"], ["faults", "--fault", "drop"]],
)
@pytest.mark.parametrize("what", BAD)
def test_a_file_with_bad_payloads_is_refused_by_every_command(folder, tmp_path, what, command):
    change, message = BAD[what]
    path = rewritten(folder, tmp_path / "bad.npz", change)
    done = CliRunner().invoke(app, [command[0], str(folder / "nibbles.nir"), str(path), *command[1:]])
    assert isinstance(done.exception, NeurodeployError)
    of_the_input = what in ("beyond the bits", "negative without a sign")
    assert done.exception.exit_code == (9 if of_the_input else 3)
    assert message in str(done.exception)
    assert of_the_input or str(done.exception).startswith(f"read: {path}: ")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.npz"]


def test_a_bad_payload_ends_with_one_message_and_writes_nothing(run_cli, folder, tmp_path):
    path = rewritten(folder, tmp_path / "bad.npz", first(16))
    done = run_cli("simulate", folder / "nibbles.nir", path, "--out", tmp_path / "a.npz")
    assert (done.returncode, done.stdout) == (9, "")
    assert " ".join(done.stderr.split()).startswith(
        "neurodeploy: simulate: input 'input' takes payloads of 4 bits, 1..15"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["bad.npz"]


def test_payloads_for_a_network_of_plain_spikes_are_refused(folder, tmp_path):
    to_nir(chain([np.full((4, 8), 2)], source="input"), tmp_path / "plain.nir")
    with pytest.raises(SimulationError, match=r"events for input 'input' carry payloads.*payload_bits=8\)"):
        commands.simulate(tmp_path / "plain.nir", folder / "values.npz")


@pytest.mark.parametrize("file", ["nibbles.nir", "sdnn.net"])
def test_simulate_counts_and_decodes_samples_with_payloads(folder, tmp_path, file):
    out = tmp_path / "a.npz"
    _, facts = commands.simulate(folder / file, folder / "values.npz", out=out)
    network, given = commands.load_network(folder / file), load_samples(folder / "values.npz")
    definition = run_reference(network, given)
    assert facts["accuracy"] == accuracy(network, definition, given)
    assert facts["spikes"] == {name: len(events) for name, events in definition.spikes.items()}
    assert min(facts["spikes"].values()) > 5
    assert np.array_equal(load_activity(out).spikes["input"].payload, given.inputs["input"].payload)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("file", ["nibbles.nir", "sdnn.net"])
def test_faults_of_networks_with_payloads_are_measured(folder, file, fault):
    """The rate 0 gives the accuracy of the network as it is; what a sigma-delta network cannot have is refused."""
    rates = "0,2" if fault == "jitter" else "0,0.5"
    arguments = [str(folder / file), str(folder / "values.npz"), "--fault", fault, "--rates", rates, "--repeats", "2"]
    done = CliRunner().invoke(app, ["faults", *arguments, "--json"])
    if (file, fault) == ("sdnn.net", "stuck-neurons"):
        assert isinstance(done.exception, NetworkError)
        assert str(done.exception).startswith("faults: delta neurons, as in population 'layer0_input', cannot be stuck")
        return
    assert done.exit_code == 0, done.output
    network, given = commands.load_network(folder / file), load_samples(folder / "values.npz")
    sound, broken = json.loads(done.stdout)
    assert sound["accuracy"] == accuracy(network, run_reference(network, given), given)
    assert (broken["repeats"], broken["rate"]) == (2, float(rates[2:]))
    pools = "faults: pools have no stored weights and stay whole: "
    assert (pools in done.stderr) == (file == "nibbles.nir" and "synapses" in fault)


def test_faults_need_labels(folder):
    for file in ("nibbles.nir", "sdnn.net"):
        with pytest.raises(SimulationError, match="^faults: samples 'noise' carry no labels, so there is no accuracy"):
            commands.faults(folder / file, folder / "unlabelled.npz", fault="drop", rates=[0.0])
