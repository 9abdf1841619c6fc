"""The command line on networks with graded messages, from simulation to report, and on states that leave 24 bits."""

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


def test_a_chip_without_sigma_delta_neurons_is_refused_and_one_that_has_them_offered(run_cli, folder):
    done = run_cli("map", "small.net", "--chip", "loihi1", cwd=folder)
    said = " ".join(done.stderr.split())
    assert done.returncode == 8
    assert "map: layer 'layer0_input' has delta neurons, but chip 'loihi1' has CUBA and leaky-integrator" in said
    assert "map to Intel Loihi 2 (loihi2): 3 cores" in said
    assert not [p for p in folder.iterdir() if p.suffix not in (".net", ".npz")]


def test_loihi_2_has_them(run_cli, folder):
    done = run_cli("map", "small.net", "--chip", "loihi2", "--json", cwd=folder)
    found = json.loads(done.stdout)
    assert [layer["cores"] for layer in found["layers"]] == [1, 1, 1]
    assert "not public for delta, sigma-delta, sigma neurons" in found["notes"][0]


def test_they_are_priced_row_by_row(run_cli, folder):
    done = run_cli("estimate", "small.net", "--chip", "loihi2", "--data", "samples.npz", "--json", cwd=folder)
    cost = json.loads(done.stdout)
    rows = {line["component"]: line for line in cost["energy"]["lines"]}
    assert set(rows) == {
        "synop_graded.fc", "neuron_update_of.delta", "neuron_update_of.sigma", "neuron_update_of.sigma_delta"
    }  # fmt: skip
    assert all(row["price_j"]["grade"] == "guess" and row["energy_j"]["low"] > 0 for row in rows.values())
    assert {p["name"]: p["fits"] for p in cost["payloads"]} == dict.fromkeys(
        ("input", "layer0_input", "layer1_dense", "layer2_dense"), True
    )


def test_sanafe_is_refused_by_name_before_the_samples_are_read(run_cli, folder):
    arguments = ("--chip", "loihi2", "--data", "absent.npz", "--out", "out")
    done = run_cli("export", "small.net", "--target", "sanafe", *arguments, cwd=folder)
    assert done.returncode == 16
    assert "population 'layer0_input' has delta neurons, which SANA-FE does not have" in " ".join(done.stderr.split())
    assert not (folder / "out").exists()


def test_a_report_takes_the_default_chips_that_can_do_it_and_says_which_not(run_cli, folder, tmp_path):
    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    arguments = ("--data", "samples.npz", "--out", str(tmp_path / "report"))
    done = run_cli("report", "small.net", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "loihi1 is left out: layer 'layer0_input' has delta neurons" in said
    assert "0 of 22 messages different" in said
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert [cost["chip"] for cost in report["targets"]] == ["loihi2"]
    assert report["neurobench"]["effective_macs"] > 0 == report["neurobench"]["effective_acs"]
    assert report["accuracy"]["test"] == 1.0
    assert "Messages of sample 0" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    named = run_cli("report", "small.net", *arguments, "--force", "--chip", "loihi1", cwd=folder)
    assert named.returncode == 8
    assert "layer 'layer0_input' has delta neurons" in named.stderr
