"""``check --fix`` takes out neurons that take no part, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from building import chain, samples

from neurodeploy import commands, from_nir, simulate, to_nir
from neurodeploy.exchange.doctor.check import check_nir
from neurodeploy.exchange.nir.graph import load_graph
from neurodeploy.network import Cuba, Network
from neurodeploy.network.idle import find_idle

SPIKES = samples(np.random.default_rng(3).random((6, 30, 3)) < 0.5, "input")


def floats(path: Path, *, rows: Any, between: dict[str, Any] | None = None, bias: Any = None) -> Path:
    """Write input -> fc -> h (5) -> [between] -> fc2 -> o (2) -> output, with a loop at h."""
    neurons = {"r": np.ones(5), "v_threshold": np.full(5, 1.5), "v_reset": np.zeros(5)}
    out = {"r": np.ones(2), "v_threshold": np.full(2, 1.0), "v_reset": np.zeros(2)}
    rows = np.asarray(rows, np.float32)
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": nir.Linear(rows) if bias is None else nir.Affine(rows, np.asarray(bias, np.float32)),
        "h": nir.IF(**neurons),
        "again": nir.Linear(np.diag([0.5] * 4, 1).astype(np.float32)),
        **(between or {}),
        "fc2": nir.Linear(np.array([[1, 2, 0, 1, 1], [1, -1, 0, 2, 1]], np.float32)),
        "o": nir.IF(**out),
        "output": nir.Output(np.array([2])),
    }
    row = ["input", "fc", "h", *(between or {}), "fc2", "o", "output"]
    edges = [*zip(row, row[1:]), ("h", "again"), ("again", "h")]
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=edges))
    return path


ROWS = [[1, 0, 1], [0, 1, 0.5], [1, 1, 1], [-1, -2, -0.25], [-1, 0, 0]]
"""Neuron 2 reaches only neuron 1 by the loop ("again" goes from the next to the one before); 4 and so 3 never fire."""


def out(network: Network) -> Any:
    return simulate(network, SPIKES, engine="reference").spikes["o"].places()


def test_neurons_are_listed_without_fix(tmp_path):
    report = check_nir(floats(tmp_path / "a.nir", rows=ROWS))
    assert (report.never_fire, report.reach_nothing, report.removed) == ({"h": [3, 4]}, {}, {})
    plain = json.loads(report.to_json())
    assert (plain["never_fire"], plain["reach_nothing"]) == ({"h": [3, 4]}, {})


@pytest.mark.parametrize(
    "between",
    [
        {},
        {"late": nir.Delay(np.array([0.0, 1e-3, 2e-3, 3e-3, 0.0]))},
        {"scaled": nir.Scale(np.array([1.0, 2.0, 1.0, 0.5, 1.0]))},
    ],
    ids=["linear", "delay", "scale"],
)
def test_fix_takes_them_out_and_the_output_spikes_are_the_same(tmp_path, between):
    path = floats(tmp_path / "a.nir", rows=ROWS, between=between)
    report = check_nir(path, fix=tmp_path / "b.nir", dt=1e-3)
    assert (report.removed, report.kept) == ({"h": [3, 4]}, {})
    before, after = from_nir(path, dt=1e-3), from_nir(tmp_path / "b.nir", dt=1e-3)
    assert (before.sizes["h"], after.sizes["h"]) == (5, 3)
    assert out(before).size > 20
    assert np.array_equal(out(before), out(after))
    assert find_idle(after).all == {}
    nodes = load_graph(tmp_path / "b.nir").nodes
    assert np.shape(nodes["fc"].fields["weight"]) == (3, 3)
    assert np.shape(nodes["again"].fields["weight"]) == (3, 3)
    assert np.shape(nodes["fc2"].fields["weight"]) == (2, 3)


def test_biases_go_with_their_neurons(tmp_path):
    path = floats(tmp_path / "a.nir", rows=ROWS, bias=[0.25, 0, 0, -1, 0])
    report = check_nir(path, fix=tmp_path / "b.nir", dt=1e-3)
    assert report.removed == {"h": [3, 4]}
    before, after = (from_nir(p, dt=1e-3) for p in (path, tmp_path / "b.nir"))
    assert load_graph(tmp_path / "b.nir").nodes["fc"].fields["bias"].tolist() == [0.25, 0, 0]
    assert np.array_equal(out(before), out(after))


def test_what_decides_the_rounding_of_others_stays_and_is_said(tmp_path):
    """The large inhibition of neuron 3 sets the scale of the weights; without it all others would be rounded finer."""
    rows = [[0.3, 0.1, 0.7], [0.2, 0.9, 0.5], [0.11, 0.13, 0.17], [-40.3, -7.7, -0.25], [-1, 0, 0]]
    path = floats(tmp_path / "a.nir", rows=rows)
    report = check_nir(path, fix=tmp_path / "b.nir", dt=1e-3)
    before, after = (from_nir(p, dt=1e-3) for p in (path, tmp_path / "b.nir"))
    assert np.array_equal(out(before), out(after))
    assert report.removed == {}
    assert report.kept["h"].startswith("without them the others would be rounded differently (population 'h' threshold")
    assert after.fingerprint == before.fingerprint


def test_a_node_that_serves_others_too_is_left_alone(tmp_path):
    path = tmp_path / "a.nir"
    three = {"r": np.ones(3), "v_threshold": np.ones(3), "v_reset": np.zeros(3)}
    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.array([[1, 1], [-1, -1], [1, 0]], np.float32)),
        "a": nir.IF(**three),
        "b": nir.IF(**three),
        "fa": nir.Linear(np.eye(3, dtype=np.float32)),
        "fb": nir.Linear(np.eye(3, dtype=np.float32)),
        "o": nir.IF(**three),
        "output": nir.Output(np.array([3])),
    }
    edges = [
        ("input", "fc"),
        ("fc", "a"),
        ("fc", "b"),
        ("a", "fa"),
        ("b", "fb"),
        ("fa", "o"),
        ("fb", "o"),
        ("o", "output"),
    ]
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=edges))
    report = check_nir(path, fix=tmp_path / "b.nir", dt=1e-3)
    assert report.removed == {}
    assert report.kept["a"] == "'fc' (Linear) serves other nodes too"
    assert from_nir(tmp_path / "b.nir", dt=1e-3).fingerprint == from_nir(path, dt=1e-3).fingerprint


OWN = Cuba(current_decay=4096, voltage_decay=1024, threshold=np.array([30, 30, 31, 30]), bias=2)


def own(path: Path) -> Network:
    """Write a network of ours with a mask and delays: neuron 1 of h never fires, 3 reaches nothing."""
    weights = np.array([[20, 0, 30], [-9, -9, 0], [40, 10, 0], [40, 40, 40]])
    network = chain(
        {"h": weights, "o": [[30, 9, 20, 0], [10, 8, 40, 0]]},
        {"h": OWN, "o": Cuba(current_decay=4096, voltage_decay=4096, threshold=15, reset="subtract")},
        source="input",
        more={"h": {"mask": np.ones((4, 3), bool)}, "o": {"delay": [0, 1, 2, 3]}},
    )
    to_nir(network, path)
    return network


def test_files_of_ours_keep_names_masks_and_delays(tmp_path):
    network = own(tmp_path / "a.nir")
    report = check_nir(tmp_path / "a.nir", fix=tmp_path / "b.nir")
    assert (report.never_fire, report.reach_nothing) == ({"h": [1]}, {"h": [3]})
    assert (report.removed, report.kept) == ({"h": [1, 3]}, {})
    after = from_nir(tmp_path / "b.nir")
    assert [p.name for p in after.projections] == [p.name for p in network.projections]
    assert after.projections[0].mask.shape == (2, 3)
    assert after.projections[1].delay.tolist() == [0, 2]
    assert out(network).size > 20
    assert np.array_equal(out(network), out(after))


def test_files_of_integers_list_them_as_well(tmp_path):
    own(tmp_path / "a.nir")
    commands.export(tmp_path / "a.nir", out=tmp_path / "a.nd5")
    report = commands.check(tmp_path / "a.nd5")
    assert (report.never_fire, report.reach_nothing) == ({"h": [1]}, {"h": [3]})
