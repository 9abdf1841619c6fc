"""The command line as a user meets it: what it prints, its exit codes, and one clear message for each bad input."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import time

import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import save_samples
from neurodeploy.recipe.files import find_recipe


def _network(n_in: int, n_out: int, density: float = 0.5) -> Network:
    rng = np.random.default_rng(0)
    weights = 2 * rng.integers(-100, 100, (n_out, n_in)) * (rng.random((n_out, n_in)) < density)
    return one_layer(
        weights,
        Cuba(current_decay=2048, voltage_decay=512, threshold=200),
        source="input",
        target="output",
        wire="input_to_output",
        output="class",
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a small network, samples for it, and a network too large for any core count."""
    folder = tmp_path_factory.mktemp("files")
    to_nir(_network(12, 5), folder / "small.nir")
    to_nir(_network(20_000, 4, density=1.0), folder / "large.nir")
    raster = np.random.default_rng(1).random((6, 10, 12)) < 0.4
    given = samples(raster, "input", labels=np.arange(6) % 5, name="random")
    save_samples(given, folder / "samples.npz")
    return folder


def _one_message(done, code: int) -> str:
    """A failure prints one message on standard error, nothing on standard output, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sum(line.startswith("neurodeploy: ") for line in done.stderr.splitlines()) == 1
    return done.stderr


def test_help_names_every_command_and_each_has_an_example(run_cli):
    top = run_cli("--help").stdout
    for command in [
        "demo",
        "train",
        "export",
        "check",
        "map",
        "simulate",
        "verify",
        "estimate",
        "report",
        "sweep",
        "compare",
        "diff",
        "faults",
        "chips",
        "doctor",
    ]:
        assert f" {command} " in top
        arguments = [command, "list"] if command == "chips" else [command]
        shown = run_cli(*arguments, "--help")
        assert shown.returncode == 0
        assert "Example:" in shown.stdout
        assert "--json" in shown.stdout


def test_chips_list_as_json_names_both_loihis(run_cli):
    names = {chip["name"] for chip in json.loads(run_cli("chips", "list", "--json").stdout)}
    assert {"loihi1", "loihi2"} <= names


def test_chips_show_gives_every_number_with_unit_source_and_grade(run_cli):
    rows = json.loads(run_cli("chips", "show", "loihi1", "--json").stdout)
    assert {"cores.neurons", "cores.synapse_words"} <= {row["key"] for row in rows}
    words = {"cores.resets", "cores.neuron_kinds"}
    assert all(row["source"] and row["grade"] and bool(row["unit"]) == (row["key"] not in words) for row in rows)


def test_data_list_says_which_sets_are_there(run_cli, tmp_path):
    rows = json.loads(run_cli("data", "list", "--root", tmp_path, "--json").stdout)
    present = {row["name"]: row["present"] for row in rows}
    assert {"mnist", "nmnist", "shd", "braille"} <= set(present)
    assert not present["mnist"]


def test_map_says_cores_bytes_and_format_of_each_layer(run_cli, files):
    found = json.loads(run_cli("map", files / "small.nir", "--chip", "loihi2", "--json").stdout)
    assert found["fits"] is True
    assert found["cores"] == 1
    assert found["layers"][0]["name"] == "output"
    assert found["synaptic_bytes"] == sum(layer["synaptic_bytes"] for layer in found["layers"]) > 0


def test_simulate_estimate_and_verify_read_the_same_files(run_cli, files, tmp_path):
    network, samples = files / "small.nir", files / "samples.npz"
    summary = json.loads(run_cli("simulate", network, samples, "--out", tmp_path / "a.npz", "--json").stdout)
    assert summary["samples"] == 6
    assert summary["spikes"]["output"] > 0
    by_data = json.loads(run_cli("estimate", network, "--chip", "loihi1", "--data", samples, "--json").stdout)
    by_file = run_cli("estimate", network, "--chip", "loihi1", "--activity", tmp_path / "a.npz", "--json")
    assert by_data["counts"]["effective_synops"] == json.loads(by_file.stdout)["counts"]["effective_synops"] > 0
    assert by_data["memory"]["n_cores"] == 1


@pytest.mark.lava
def test_verify_a_file_against_lava_is_equal(run_cli, files):
    done = run_cli(
        "verify", files / "small.nir", files / "samples.npz", "--engines", "reference,lava", "--samples", "6", "--json"
    )
    found = json.loads(done.stdout)
    assert (done.returncode, found["equal"], found["spikes_different"]) == (0, True, 0)
    assert found["spikes_compared"] > 0


def test_a_network_goes_to_lava_dls_file_format_and_back(run_cli, files, tmp_path):
    """The .net file names layers by number, so the weights are compared and not the names."""
    there = run_cli("export", files / "small.nir", "--out", tmp_path / "small.net", "--json")
    back = run_cli("export", tmp_path / "small.net", "--out", tmp_path / "back.nir", "--json")
    facts = [json.loads(done.stdout) for done in (there, back)]
    assert facts[0]["fingerprint"] == facts[1]["fingerprint"]
    weights = [from_nir(path).projections[0].synapses.weights for path in (files / "small.nir", tmp_path / "back.nir")]
    assert np.array_equal(*weights)


def test_diff_is_empty_for_equal_graphs_and_names_what_differs(run_cli, files):
    same = run_cli("diff", files / "small.nir", files / "small.nir", "--json")
    assert (same.returncode, json.loads(same.stdout)) == (0, [])
    other = run_cli("diff", files / "small.nir", files / "large.nir", "--no-metadata", "--json")
    assert other.returncode == 12
    assert {"input_to_output.weight", "input.shape"} <= {found["where"] for found in json.loads(other.stdout)}


def test_check_draws_the_graph(run_cli, files, tmp_path):
    assert run_cli("check", files / "small.nir", "--draw", tmp_path / "g.svg").returncode == 0
    drawing = (tmp_path / "g.svg").read_text(encoding="utf-8")
    assert drawing.startswith("<svg")
    assert all(name in drawing for name in ("input", "CubaLIF", "Linear"))
    assert "--force" in _one_message(run_cli("check", files / "small.nir", "--draw", tmp_path / "g.svg"), 3)


def test_a_proof_is_written_once_and_checked_again_later(run_cli, files, tmp_path):
    network, samples, proof = files / "small.nir", files / "samples.npz", tmp_path / "proof.json"
    common = ("--engines", "reference,event", "--samples", "6")
    assert run_cli("verify", network, samples, *common, "--out", proof).returncode == 0
    assert "--force" in _one_message(run_cli("verify", network, samples, *common, "--out", proof), 3)
    assert run_cli("verify", network, samples, *common, "--against", proof).returncode == 0
    other = run_cli("verify", network, samples, "--engines", "reference,event", "--samples", "5", "--against", proof)
    assert other.returncode == 12
    assert "no longer holds: the samples are others" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "nowhere.toml"], 4, "nowhere.toml; recipes that come with neurodeploy: braille-recurrent, digits-bench"),
        (["map", "nowhere.nir", "--chip", "loihi1"], 3, "there is no file nowhere.nir"),
        (["map", "damaged.nir", "--chip", "loihi1"], 3, "damaged.nir"),
        (["map", "small.nir"], 2, "name a chip: --chip NAME"),
        (["simulate", "small.nir", "samples.npz", "--timeout", "5"], 2, "--timeout: '5' needs a number and a unit"),
        (["check", "damaged.nir"], 3, "damaged.nir"),
        (["check", "text.nir"], 3, "text.nir"),
        (["map", "small.nir", "--chip", "loihi9"], 5, "loihi9"),
        (["map", "large.nir", "--chip", "loihi1"], 8, "layer 'output'"),
        (["simulate", "small.nir", "nowhere.npz"], 3, "there is no file nowhere.npz"),
        (["simulate", "small.nir", "text.npz"], 3, "text.npz is damaged"),
        (["simulate", "small.nir", "samples.npz", "--samples", "7"], 14, "asked for 7 samples, samples.npz has 6"),
        (["simulate", "small.nir", "samples.npz", "--engine", "gpu"], 2, "unknown engine 'gpu'"),
        (["simulate", "large.nir", "samples.npz"], 9, "has 20000 channels, its events are for 12"),
        (
            ["verify", "small.nir", "samples.npz", "--engines", "native,event"],
            2,
            "engine 'native' runs a checkpoint, but small.nir is not",
        ),
        (["verify", "small.nir", "--engines", "reference,lava"], 2, "say which samples to run"),
        (["verify", "small.nir", "samples.npz", "--engines", "reference", "--samples", "6"], 2, "at least two engines"),
        (["data", "verify", "nothing"], 2, "there is no data set 'nothing'; known: digits, mnist"),
        (["data", "verify", "mnist", "--root", "."], 14, "mnist"),
        (["bench", "simulate", "--network", "9-9"], 2, "unknown network '9-9'; known: 2312-512-512-11"),
        (["export", "small.nir"], 2, "small.nir would replace itself; name another file with --out"),
        (["diff", "small.nir", "nowhere.nir"], 3, "there is no file nowhere.nir"),
        (["faults", "small.nir", "samples.npz", "--fault", "rust"], 2, "unknown fault 'rust'"),
        (["faults", "small.nir", "samples.npz", "--fault", "drop", "--rates", "a"], 2, "--rates 'a' is no list of numbers"),
        (["estimate", "small.nir", "--chip", "loihi1", "--data", "samples.npz", "--deadline", "10"], 2, "--deadline: '10'"),
    ],
)  # fmt: skip
def test_bad_input_gives_one_clear_message_and_its_own_exit_code(run_cli, files, tmp_path, arguments, code, message):
    for name in ("small.nir", "large.nir", "samples.npz"):
        shutil.copy(files / name, tmp_path / name)
    whole = (files / "small.nir").read_bytes()
    (tmp_path / "damaged.nir").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nir").write_text("not HDF5", encoding="utf-8")
    (tmp_path / "text.npz").write_text("not a zip", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    assert message in _one_message(run_cli(*arguments, cwd=tmp_path), code)
    assert sorted(tmp_path.iterdir()) == before


def test_unknown_key_in_a_recipe_lists_the_known_ones(run_cli, tmp_path):
    text = find_recipe("digits-mlp").read_text(encoding="utf-8").replace("batch_size", "batchsize")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    printed = _one_message(run_cli("train", "mine.toml", cwd=tmp_path), 4)
    assert "unknown key 'training.batchsize'; known keys there: backend, batch_size, epochs" in printed
    assert [p.name for p in tmp_path.iterdir()] == ["mine.toml"]


def test_fit_error_names_layer_resource_value_limit_and_a_next_step(run_cli, files):
    printed = _one_message(run_cli("map", files / "large.nir", "--chip", "loihi1"), 8)
    n_sources = int(np.any(_network(20_000, 4, density=1.0).projections[0].synapses.weights, axis=0).sum())
    assert n_sources > 4096
    for part in ("layer 'output'", "input axons", "4096", "hardware/loihi1.toml: cores.input_axons", "another chip"):
        assert part in printed


def test_a_network_that_does_not_fit_says_what_binds_and_offers_remedies_that_were_mapped(run_cli, files):
    done = run_cli("map", files / "large.nir", "--chip", "loihi1", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["fits"], found["layers"]) == (8, False, [])
    assert {"layer", "core", "resource", "used", "limit"} <= set(found["binding"])
    assert found["binding"]["used"] > found["binding"]["limit"]
    assert found["remedies"]
    assert all(remedy["cores"] >= 1 and remedy["what"] for remedy in found["remedies"])


def test_search_finds_the_smallest_chip_and_the_highest_density(run_cli, files):
    small = json.loads(run_cli("map", files / "small.nir", "--search", "--json").stdout)
    assert small["smallest_chip"]["cores"] == 1
    whole = json.loads(run_cli("map", files / "small.nir", "--search", "--chip", "loihi1", "--json").stdout)
    assert whole["share_of_weights"] == 1.0
    part = json.loads(run_cli("map", files / "large.nir", "--search", "--chip", "loihi1", "--json").stdout)
    assert 0 < part["share_of_weights"] < 1


def test_a_new_chip_file_is_valid_and_can_be_mapped_onto(run_cli, files, tmp_path):
    assert run_cli("chips", "new", "mine", cwd=tmp_path).returncode == 0
    assert run_cli("chips", "validate", tmp_path / "mine.toml").returncode == 0
    assert run_cli("map", files / "small.nir", "--chip", tmp_path / "mine.toml").returncode == 0
    assert "--force" in _one_message(run_cli("chips", "new", "mine", cwd=tmp_path), 3)
    (tmp_path / "bad.toml").write_text('extends = "loihi2"\n[cores]\nneurones = 3\n', encoding="utf-8")
    assert "neurones" in _one_message(run_cli("chips", "validate", tmp_path / "bad.toml"), 5)


def test_check_repairs_only_with_fix(run_cli, files, tmp_path):
    done = run_cli("check", files / "small.nir", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (0, True)
    assert {node["verdict"] for node in found["nodes"]} == {"faithful"}
    assert run_cli("check", files / "small.nir", "--fix", tmp_path / "fixed.nir").returncode == 0
    assert json.loads(run_cli("check", tmp_path / "fixed.nir", "--json").stdout)["ok"]


def test_mapping_is_written_with_out_and_not_when_it_does_not_fit(run_cli, files, tmp_path):
    assert run_cli("map", files / "small.nir", "--chip", "loihi1", "--out", tmp_path / "m.json").returncode == 0
    assert (tmp_path / "m.json").is_file()
    assert run_cli("map", files / "large.nir", "--chip", "loihi1", "--out", tmp_path / "l.json").returncode == 8
    assert not (tmp_path / "l.json").exists()


def test_a_worker_interpreter_without_lava_is_named(run_cli, files):
    env = {**os.environ, "NEURODEPLOY_LAVA_PYTHON": "/nonexistent/python3.10"}
    printed = _one_message(
        run_cli("simulate", files / "small.nir", files / "samples.npz", "--engine", "lava", env=env), 10
    )
    assert "/nonexistent/python3.10" in printed


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="shared memory is not visible as files here")
def test_a_lava_worker_that_dies_gives_one_error_and_leaves_nothing(run_cli, files, tmp_path):
    """The worker's interpreter is a script that ends at once, as a crashed Python would."""
    fake = tmp_path / "python3.10"
    script = f"""\
        #!{sys.executable}
        import os, sys
        if "-c" in sys.argv:  # the backend asks whether Lava is there
            sys.exit(0)
        os.kill(os.getpid(), 9)
        """
    fake.write_text(textwrap.dedent(script), encoding="utf-8")
    fake.chmod(0o755)
    before = set(os.listdir("/dev/shm"))
    env = {**os.environ, "NEURODEPLOY_LAVA_PYTHON": str(fake)}
    started = time.monotonic()
    _one_message(run_cli("simulate", files / "small.nir", files / "samples.npz", "--engine", "lava", env=env), 10)
    assert time.monotonic() - started < 60
    assert set(os.listdir("/dev/shm")) <= before


def test_doctor_says_what_it_found(run_cli):
    done = run_cli("doctor", "--json")
    checks = {c["what"]: c for c in json.loads(done.stdout)["checks"]}
    assert checks["Python"]["state"] == "ok"
    assert checks["numpy"]["found"] == np.__version__
    assert {"torch", "lava-nc", "Lava worker"} <= set(checks)
    assert done.returncode == (13 if any(c["state"] == "broken" for c in checks.values()) else 0)


def test_doctor_names_a_lava_python_that_cannot_import_lava(run_cli, tmp_path):
    fake = tmp_path / "python3.10"
    fake.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    fake.chmod(0o755)
    done = run_cli("doctor", env={**os.environ, "NEURODEPLOY_LAVA_PYTHON": str(fake)})
    assert done.returncode == 13
    line = next(line for line in done.stdout.splitlines() if "Lava worker" in line)
    assert line.startswith("broken")


@pytest.mark.train
@pytest.mark.lava
def test_demo_as_json_holds_what_the_issue_of_a_newcomer_needs(run_cli, tmp_path):
    done = run_cli("demo", "--out", tmp_path / "demo", "--json", timeout=900)
    found = json.loads(done.stdout)
    assert found["test_accuracy"] >= 0.95
    assert found["connections"]["mask"] == round(0.1 * found["connections"]["weights"])
    assert found["density"] == found["connections"]["mask"] / found["connections"]["weights"]
    assert 0 < found["density_nonzero"] <= found["density"]
    assert found["spikes_different"] == 0
    assert found["spikes_compared"] > 10_000
    assert found["samples_compared"] >= 50
    for chip in ("loihi1", "loihi2"):
        facts = found["chips"][chip]
        assert facts["cores"] >= 1
        assert facts["synaptic_bytes"] > 0
        energy = facts["energy_per_sample_j"]
        assert 0 < energy["low"] <= energy["nominal"] <= energy["high"]
    for name in ("nir", "report_json", "report_html"):
        assert os.path.getsize(found["files"][name]) > 0
    again = run_cli("demo", "--out", tmp_path / "demo", "--json")
    assert "--force" in _one_message(again, 3)
