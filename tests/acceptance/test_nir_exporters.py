"""Files of today's exporters, read as their frameworks mean them, beside the spikes that the frameworks themselves computed.

``shared/cases/nir/05_exporters`` lies beside the project, ``tests/bridges/files`` in it (``tests/bridges/`` made them), and
``tests/acceptance/files/snntorch_digits.py`` says how the network on digits was made.
"""

import gzip
import json

import h5py
import numpy as np
import pytest
from building import ROOT

from neurodeploy import Events, Samples, accuracy, check_nir, commands, from_nir, interpret, simulate

EXPORTERS = {
    # reading, last node, steps that it sends late in the framework
    "snnb_conv": ("snntorch", "5", 0),
    "snnb_rleaky": ("snntorch", "3", 0),
    "snn_mlp_leaky_subtract_delay1": ("snntorch,reset=subtract", "3", 0),
    "sj_conv_if": ("spikingjelly", "_5", 0),
    "sj_mlp_cuba": ("spikingjelly", "_3", 0),
    "norse_mlp_lifbox": ("norse", "3", 0),
    "norse_mlp_lif_sized": ("norse", "3", 0),
    "sinabs_lif1_norm1": ("sinabs", "1", 0),
    "rockpool_default_sample": ("rockpool", "3_LIFTorch", 0),
    "spyx_cuba": ("spyx", "layer_3", 2),
}


def entry_of(path):
    with h5py.File(path) as file:
        return next(name for name in file["node/nodes"] if name.startswith(("input", "x")))


def differing(path, reading, spikes, x, late=0):
    """Count the bits that differ, over the layers in order, each of which sends ``late`` steps later than the one before."""
    run, wrong = interpret(path, {entry_of(path): x}, reading=reading), 0
    for depth, (name, values) in enumerate(spikes.items(), start=1):
        found = run.spikes[name if name in run.spikes else name.removesuffix("_threshold")]
        n_steps = x.shape[1] - late * depth
        theirs = values.reshape(*values.shape[:2], -1)[:, late * depth :]
        wrong += np.count_nonzero(found.reshape(*found.shape[:2], -1)[:, :n_steps] != theirs)
    return wrong


@pytest.mark.parametrize("name", EXPORTERS)
def test_no_bit_differs_from_the_framework(name, shared):
    reading, last, late = EXPORTERS[name]
    folder = shared / "cases" / "nir" / "05_exporters"
    with np.load(folder / f"{name}.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    assert y.sum() > 200
    wrong = interpret(folder / f"{name}.nir", {entry_of(folder / f"{name}.nir"): x}, reading=reading).spikes[last]
    assert np.count_nonzero(wrong.reshape(y.shape)[:, : len(y[0]) - late] != y[:, late:]) == 0


def test_what_hangs_on_the_reset_of_a_file_of_snntorch(shared):
    """NIR's reset gives 1,628 output spikes of 2,462; 992 of 2,880 output bits are wrong."""
    path = shared / "cases" / "nir" / "05_exporters" / "snn_mlp_leaky_subtract_delay1.nir"
    with np.load(path.with_suffix(".npz")) as arrays:
        x, y = arrays["x"], arrays["y"]
    samples = Samples(inputs={"input": Events.from_dense(x.astype(int))}, labels=y.sum(1).argmax(-1), name="case")
    assert interpret(path, {"input": x}).spikes["3"].sum() == 1628
    cost = check_nir(path, reading="snntorch,reset=subtract", data=samples).reset
    assert (cost["differing"], cost["bits"], cost["classes_changed"], cost["n_samples"]) == (992, 2880, 2, 12)
    assert cost["line"].endswith("reset zero changes 992 of 2,880 spikes (34.4%) and the class of 2 of 12 samples")
    line = check_nir(path).reset["line"]
    assert "the file cannot tell which was trained" in line
    assert "--reading snntorch,reset=subtract" in line


BRIDGES = ROOT / "tests" / "bridges" / "files"
LOST = {
    # what the exporter leaves out of its file, or what neither NIR nor the chip can do: no reading brings it back
    "norse_lifbox_leak": "v_reset, and a voltage that starts at v_leak",
    "rockpool_bias": "the bias of a neuron",
    "rockpool_recurrent": "recurrent weights",
    "sinabs_lif_min": "min_v_mem",
    "sinabs_lif_no_norm": "norm_input=False",
    "sinabs_lif_tau_syn": "tau_syn",
    "snntorch_leaky_subtract": "reset_delay=False with subtraction: no second spike before twice the threshold",
    "snntorch_synaptic_subtract": "the same",
    "snntorch_rleaky_zero_late": "reset_delay with a reset to zero, which takes the next step's current too",
    "snntorch_synaptic_zero_late": "the same",
    "snntorch_rsynaptic_zero_late": "the same",
    "spyx_if": "biases of the second layer, which begin a step before the spikes of the first arrive",
    "spyx_lif": "the same",
    "spyx_lif_dt": "the same",
    "spyx_lif_scalar": "the same",
    "spyx_cuba": "the same",
}
"""Files that are not exact, each with the reason."""


def bridges():
    for path in sorted(BRIDGES.glob("*.nir.gz")):
        with np.load(BRIDGES / f"{path.name[:-7]}.npz") as arrays:
            facts = json.loads(str(arrays["facts"]))
        if facts.get("spikes") != "many":  # several spikes of a neuron in a step: neither NIR nor the chip has them
            yield path.name[:-7]


@pytest.mark.parametrize("name", list(bridges()) or ["no files"])
def test_files_of_the_bridges_are_exact_or_lack_something(name, tmp_path):
    if name == "no files":
        pytest.skip("tests/bridges/files holds no files")
    path = tmp_path / f"{name}.nir"
    path.write_bytes(gzip.decompress((BRIDGES / f"{name}.nir.gz").read_bytes()))
    with np.load(BRIDGES / f"{name}.npz") as arrays:
        x, facts = arrays["x"], json.loads(str(arrays["facts"]))
        spikes = {key.removeprefix("spikes of "): arrays[key] for key in arrays.files if key.startswith("spikes of ")}
    reading = facts["framework"]
    if reading == "spikingjelly":
        reading += f",dt={facts['dt']}"
    if reading not in ("rockpool", "spyx"):
        reading += f",reset={facts['reset']}"
    wrong = differing(path, reading, spikes, x, late=int(facts.get("lag", 0)))
    assert (wrong > 0) == (name in LOST), f"{wrong} bits differ"


class TestDigits:
    """A network of snnTorch on scikit-learn's digits, with the reset that its neurons have unless told otherwise."""

    @pytest.fixture
    def path(self, tmp_path):
        folder = ROOT / "tests" / "acceptance" / "files"
        path = tmp_path / "digits.nir"
        path.write_bytes(gzip.decompress((folder / "snntorch_digits.nir.gz").read_bytes()))
        return path

    @pytest.fixture(scope="class")
    def spikes(self):
        with np.load(ROOT / "tests" / "acceptance" / "files" / "snntorch_digits.npz") as arrays:
            return arrays["spikes"]

    @pytest.fixture(scope="class")
    def samples(self):
        pytest.importorskip("sklearn", reason="needs scikit-learn (extra train)")
        return commands.inputs.load_data("digits-mlp")

    def test_no_bit_differs_from_snntorch_with_its_reset(self, path, spikes, samples):
        x = samples.inputs["input"].to_dense()
        found = interpret(path, {"input": x}, reading="snntorch,reset=subtract").spikes["lif2"]
        assert np.count_nonzero(found != spikes) == 0
        assert np.mean(spikes.sum(1).argmax(-1) == samples.labels) == pytest.approx(419 / 450)

    def test_the_other_reset_costs_six_points_and_check_says_so(self, path, spikes, samples):
        run = interpret(path, {"input": samples.inputs["input"].to_dense()}, reading="snntorch,reset=zero").spikes[
            "lif2"
        ]
        assert np.count_nonzero(run != spikes) == 12707
        assert np.mean(run.sum(1).argmax(-1) == samples.labels) == pytest.approx(392 / 450)
        line = check_nir(path, reading="snntorch", data=samples).reset["line"]
        assert line.endswith(
            "reset subtract changes 12,707 of 72,000 spikes (17.6%) and the class of 49 of 450 samples"
        )

    def test_eight_bits_and_the_right_reset_cost_nothing(self, path, samples):
        network = from_nir(path, reading="snntorch,reset=subtract", data=samples.take(0, 100))
        assert {p.model.reset for p in network.populations} == {"subtract"}
        assert accuracy(network, simulate(network, samples), samples) >= 419 / 450

    @pytest.mark.train
    @pytest.mark.parametrize(
        ("reading", "before", "after"),
        [("snntorch,reset=zero", 0.88, 0.94), ("euler,reset=subtract", 0.95, 0.95)],
    )
    def test_training_on_wins_the_loss_back(self, path, tmp_path, samples, reading, before, after):
        """Ten epochs from the very integers: 87.1 % with the wrong reset become 95 %, more than snnTorch's own 93.1 %."""
        pytest.importorskip("torch", reason="needs torch (extra train)")
        recipe = tmp_path / "won.toml"
        recipe.write_text(WON)
        start = from_nir(path, reading=reading)
        assert accuracy(start, simulate(start, samples), samples) < before
        commands.train(recipe, start=path, reading=reading, out=tmp_path / "run")
        commands.export(tmp_path / "run")
        network = commands.inputs.load_network(tmp_path / "run")
        assert {p.model.reset for p in network.populations} == {reading.split("=")[1]}
        assert accuracy(network, simulate(network, samples), samples) > after


WON = """
name = "won-back"
data = { name = "digits", encoding = "rate", n_steps = 16 }
sparse = { method = "static" }
network = { neuron = { threshold = 64, current_decay = 4096, voltage_decay = 205, tau_grad = 0.01 } }
training = { epochs = 10, batch_size = 32, learning_rate = 3e-3, logit_scale = 0.5, label_smoothing = 0.1 }
"""
