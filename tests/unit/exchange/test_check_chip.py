"""check_nir with a chip: each node that the chip cannot hold, or computes otherwise, with the chip's own reason."""

import json

import nir
import numpy as np
import pytest

from neurodeploy.chip import load_chip
from neurodeploy.commands import check
from neurodeploy.errors import ChipError

ONE_MS = 1e-3


def lif(n, *, decay=512, bias=0.0):
    """CubaLIF in steps of 1 ms, current decay 1024; ``bias`` in state units of the chip."""
    r = 4096 / decay
    fields = {"tau_syn": 4 * ONE_MS, "w_in": 4.0, "tau_mem": r * ONE_MS, "r": r, "v_leak": bias * r / 4096}
    return nir.CubaLIF(**{k: np.full(n, v) for k, v in fields.items()}, v_threshold=np.full(n, 1.0))


def write(path, *, n_in=8, n_hidden=6, values=2, delay=0, **neuron):
    """Two layers; ``values`` different weights, ``delay`` steps before the second one."""
    rng = np.random.default_rng(0)

    def weights(n_out, n_from):
        return nir.Linear(rng.integers(1, values + 1, (n_out, n_from)) * 2 / 64)

    nodes = {
        "input": nir.Input(np.array([n_in])),
        "w1": weights(n_hidden, n_in),
        "hidden": lif(n_hidden, **neuron),
        "d": nir.Delay(np.full(n_hidden, delay * ONE_MS)),
        "w2": weights(3, n_hidden),
        "out": lif(3, **neuron),
        "output": nir.Output(np.array([3])),
    }
    names = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(zip(names, names[1:]))))
    return path


def verdicts(report):
    return {node.name: node.verdict for node in report.nodes}


def reason(report, name):
    return next(node.reason for node in report.nodes if node.name == name)


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_network_that_fits_a_chip_with_its_own_arithmetic_is_faithful(tmp_path, chip):
    report = check(write(tmp_path / "a.nir", delay=3), chip=chip)
    assert report.ok
    assert report.chip == chip
    assert set(verdicts(report).values()) == {"faithful"}


def test_every_layer_with_too_many_weight_values_is_named_with_value_limit_and_key(tmp_path):
    report = check(write(tmp_path / "a.nir", n_in=40, n_hidden=30, values=9), chip="truenorth")
    assert not report.ok
    assert verdicts(report)["hidden"] == verdicts(report)["out"] == "unsupported"
    assert "allows 4 (hardware/truenorth.toml: cores.weight_values)" in reason(report, "out")
    assert check(tmp_path / "a.nir").ok


def test_delays_that_a_chip_does_not_store_are_named_at_their_weights(tmp_path):
    report = check(write(tmp_path / "a.nir", delay=3), chip="truenorth")
    assert verdicts(report)["w2"] == "unsupported"
    assert "delays up to 3 steps" in reason(report, "w2")
    assert verdicts(report)["w1"] == "faithful"


def test_fan_in_beyond_the_axons_of_a_core_is_unsupported(tmp_path):
    report = check(write(tmp_path / "a.nir", n_in=4200, n_hidden=2), chip="loihi1")
    assert verdicts(report)["hidden"] == "unsupported"
    assert "4200 input axons" in reason(report, "hidden")
    assert "but a core of chip 'loihi1' allows 4096" in reason(report, "hidden")


def test_inputs_beyond_a_fixed_core_concern_the_whole_graph(tmp_path):
    report = check(write(tmp_path / "a.nir", n_in=17), chip="xylo_a2")
    assert "17 inputs, but chip 'xylo_a2' allows 16" in reason(report, "graph")


def test_neurons_of_another_kind_are_approximate_with_the_words_of_the_chip_file(tmp_path):
    report = check(write(tmp_path / "a.nir"), chip="akida_akd1000")
    assert report.ok
    assert verdicts(report)["hidden"] == "approximate"
    assert load_chip("akida_akd1000").chip.excludes in reason(report, "hidden")


@pytest.mark.parametrize(
    ("bias", "verdict", "size"),
    [(32767, "faithful", ""), (32768, "faithful", ""), (65535, "approximate", "at most 1 of 65535 state units")],
)
def test_bias_beyond_a_16_bit_mantissa_is_approximate(tmp_path, bias, verdict, size):
    report = check(write(tmp_path / "a.nir", bias=bias), chip="loihi2")
    node = next(n for n in report.nodes if n.name == "hidden")
    assert (node.verdict, node.size) == (verdict, size)
    assert set(verdicts(check(tmp_path / "a.nir")).values()) == {"faithful"}


def test_voltage_decay_beyond_the_register_is_approximate(tmp_path):
    report = check(write(tmp_path / "a.nir", decay=4096), chip="loihi2")
    assert "4095 is the largest in 12 bits" in reason(report, "out")
    assert report.ok


def test_weights_in_floats_are_rounded_to_the_widest_of_the_chip(tmp_path):
    """Akida stores 4 bits: 15 levels besides 0 from the largest to the smallest, so a 1/16 of the range is lost."""
    graph = nir.read(write(tmp_path / "a.nir"))
    graph.nodes["w1"].weight = np.linspace(-1, 1, 48).reshape(6, 8) * 0.7
    nir.write(tmp_path / "f.nir", graph)
    for chip, least, most in (("loihi2", 0.0, 0.006), ("akida_akd1000", 0.04, 0.1)):
        change = next(n.size for n in check(tmp_path / "f.nir", chip=chip).nodes if n.name == "hidden")
        assert least <= float(change.split("at most ")[1].split()[0]) <= most


def test_command_gives_the_chip_and_its_reasons_as_json_and_exit_code_6(run_cli, tmp_path):
    done = run_cli("check", write(tmp_path / "a.nir", delay=3), "--chip", "truenorth", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 6
    assert (report["ok"], report["chip"]) == (False, "truenorth")


def test_unknown_chip_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ChipError, match="'nowhere' is not known; known chips: .*loihi2"):
        check(write(tmp_path / "a.nir"), chip="nowhere")
