"""The command line on networks with graded messages, and on states that leave 24 bits."""

import json

import h5py
import numpy as np
import pytest

from neurodeploy.network.activity import Events, Samples, save_samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sigma-delta network of two layers as lava-dl writes it, samples for it, and samples that drive it out of 24 bits."""
    folder = tmp_path_factory.mktemp("kinds")
    neuron = {"type": "SDNN", "activation": "relu", "vThMant": 0}
    layers = [
        {"type": "input", "shape": [3], "neuron": neuron},
        {"type": "dense", "shape": [2], "weight": np.array([[8.0, 0, 4], [-6, 2, 2]]), "neuron": neuron},
        {"type": "dense", "shape": [2], "weight": np.eye(2) * 64, "neuron": neuron | {"sigma_output": True}},
    ]
    with h5py.File(folder / "small.net", "w") as file:
        for i, given in enumerate(layers):
            group = file.create_group(f"layer/{i}")
            group.create_dataset("type", (1,), "S10", [given["type"].encode()])
            group["shape"] = given["shape"]
            for key, value in given["neuron"].items():
                group[f"neuron/{key}"] = value
            if "weight" in given:
                group["weight"] = given["weight"]
    values = np.array([[[5, 0, 1], [5, 3, 1], [0, 3, 1]]])
    for name, scale in (("samples", 1), ("loud", 2000)):
        events = Events.from_dense(values * scale, graded=True)
        save_samples(Samples(inputs={"input": events}, labels=[1]), folder / f"{name}.npz")
    return folder


def test_a_sigma_delta_network_is_simulated_and_decoded_by_its_last_message(run_cli, folder):
    for engine in ("event", "reference"):
        done = run_cli("simulate", "small.net", "samples.npz", "--engine", engine, "--json", cwd=folder)
        summary = json.loads(done.stdout)
        assert summary["spikes"] == {
            "input": 7, "layer0_input": 6, "layer1_dense": 5, "layer2_dense": 4
        }  # fmt: skip
        assert summary["accuracy"] == 1.0
        assert not any(summary["overflow"].values())


def test_engines_are_verified_on_graded_messages(run_cli, folder):
    done = run_cli("verify", "small.net", "samples.npz", "--engines", "reference,event", "--samples", "1", cwd=folder)
    assert done.returncode == 0
    assert "reference, event: equal" in done.stdout


@pytest.mark.parametrize(
    ("choice", "code", "message"),
    [
        ("error", 9, "a state left 24 bits (+-2**23) in 'layer0_input' (4 times)"),
        ("saturate", 2, "on_overflow is 'saturate'; known: report, error, wrap, clip"),
    ],
)
def test_overflow_is_refused_on_request(run_cli, folder, choice, code, message):
    done = run_cli("simulate", "small.net", "loud.npz", "--on-overflow", choice, cwd=folder)
    assert done.returncode == code
    assert message in " ".join(done.stderr.split())


def test_overflow_is_reported(run_cli, folder):
    done = run_cli("simulate", "small.net", "loud.npz", "--on-overflow", "clip", "--json", cwd=folder)
    assert json.loads(done.stdout)["overflow"] == {"layer0_input": 4, "layer1_dense": 0, "layer2_dense": 0}


def test_lava_does_not_offer_what_it_does_not_compute(run_cli, folder):
    done = run_cli("simulate", "small.net", "loud.npz", "--engine", "lava", "--on-overflow", "clip", cwd=folder)
    assert done.returncode == 2
    assert "engine 'lava' computes what Lava computes" in done.stderr


def test_mapping_refuses_sigma_delta_neurons(run_cli, folder):
    done = run_cli("map", "small.net", "--chip", "loihi2", cwd=folder)
    assert done.returncode == 7
    assert "map: population 'layer0_input' has delta neurons" in done.stderr
