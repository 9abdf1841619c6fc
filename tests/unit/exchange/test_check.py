"""check_nir: one verdict a node, with reason and size."""

import json

import nir
import numpy as np
import pytest

from neurodeploy.errors import FileError
from neurodeploy.exchange.doctor.check import check_nir


def write(path, *, weight=((1.0, 0.5), (-0.5, 1.0)), tau_syn=4e-3, middle=None):
    n = 2
    neuron = nir.CubaLIF(
        tau_syn=np.full(n, tau_syn),
        w_in=np.full(n, 4.0),
        tau_mem=np.full(n, 8e-3),
        r=np.full(n, 8.0),
        v_leak=np.zeros(n),
        v_threshold=np.full(n, 1.25),
    )
    nodes = {
        "input": nir.Input(np.array([2])),
        "w": nir.Linear(np.array(weight)),
        "lif": neuron,
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "w"), ("w", "lif"), ("lif", "output")]
    if middle is not None:
        nodes["middle"] = middle
        edges[1:2] = [("w", "middle"), ("middle", "lif")]
    nir.write(path, nir.NIRGraph(nodes, edges))
    return path


def verdicts(report):
    return {node.name: node.verdict for node in report.nodes}


def test_network_on_the_grid_is_faithful(tmp_path):
    report = check_nir(write(tmp_path / "a.nir"))
    assert report.ok
    assert report.dt == 1e-3
    assert verdicts(report) == dict.fromkeys(("input", "w", "lif", "output"), "faithful")


def test_rounded_weights_are_approximate_with_their_size(tmp_path):
    report = check_nir(write(tmp_path / "a.nir", weight=((0.3, 0.1), (0.2, 1.0))))
    assert report.ok
    node = next(n for n in report.nodes if n.name == "lif")
    assert node.verdict == "approximate"
    assert "rounded" in node.reason
    assert node.size


def test_impossible_neuron_is_unsupported_with_the_reason(tmp_path):
    report = check_nir(write(tmp_path / "a.nir", tau_syn=-1.0), dt=1e-3)
    assert not report.ok
    node = next(n for n in report.nodes if n.name == "lif")
    assert node.verdict == "unsupported"
    assert "tau_syn is -1" in node.reason


def test_impossible_delay_is_unsupported_and_the_others_are_listed(tmp_path):
    report = check_nir(write(tmp_path / "a.nir", middle=nir.Delay(np.full(2, 5e-4))))
    assert not report.ok
    assert verdicts(report)["middle"] == "unsupported"
    assert len(report.nodes) == 5


def test_report_as_json_has_verdict_and_reason_for_each_node(tmp_path):
    report = json.loads(check_nir(write(tmp_path / "a.nir")).to_json())
    assert report["ok"] is True
    assert [set(node) >= {"name", "type", "verdict", "reason", "size"} for node in report["nodes"]] == [True] * 4


def test_missing_file_is_an_error_not_a_report(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        check_nir(tmp_path / "gone.nir")
