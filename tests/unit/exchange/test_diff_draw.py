"""diff_nir names every difference of two graphs; draw_nir shows every node and edge."""

import xml.etree.ElementTree as ElementTree

import nir
import numpy as np

from neurodeploy.exchange.doctor.check import check_nir
from neurodeploy.exchange.doctor.diff import diff_nir
from neurodeploy.exchange.doctor.draw import draw_nir


def graph(weight=1.0, *, kind=nir.LIF, more=()):
    neuron = kind(tau=np.full(2, 4e-3), r=np.full(2, 4.0), v_leak=np.zeros(2), v_threshold=np.ones(2))
    nodes = {
        "input": nir.Input(np.array([2])),
        "w <1>": nir.Linear(np.full((2, 2), weight)),
        "lif": neuron,
        "w_rec": nir.Linear(np.eye(2)),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "w <1>"), ("w <1>", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output"), *more]
    return nir.NIRGraph(nodes, edges, type_check=False)


def found(a, b):
    return {d.where: d.what for d in diff_nir(a, b)}


def test_equal_graphs_do_not_differ(tmp_path):
    nir.write(tmp_path / "a.nir", graph())
    assert found(tmp_path / "a.nir", graph()) == {}


def test_float_type_of_equal_numbers_is_no_difference():
    other = graph()
    other.nodes["w_rec"].weight = other.nodes["w_rec"].weight.astype(np.float16)
    assert found(graph(), other) == {}


def test_changed_numbers_are_counted_with_the_largest_change():
    assert found(graph(), graph(1.5)) == {"w <1>.weight": "4 of 4 numbers differ, at most by 0.5"}


def test_added_edge_node_and_type_are_named():
    other = graph(more=[("input", "lif")])
    other.nodes["extra"] = nir.Linear(np.eye(2))
    other.nodes["lif"] = nir.Threshold(np.ones(2))
    assert found(graph(), other) == {
        "extra": "Linear only in the second",
        "lif": "type LIF -> Threshold",
        "input -> lif": "edge added",
    }


def test_changed_shape_and_metadata_are_named():
    other = graph()
    other.nodes["w_rec"].weight = np.ones((3, 2))
    other.metadata["dt"] = 1e-3
    assert found(graph(), other) == {"w_rec.weight": "shape (2, 2) -> (3, 2)", "metadata.dt": "only in the second"}


def test_picture_shows_each_node_each_edge_and_the_way_back():
    picture = ElementTree.fromstring(draw_nir(graph()))
    name = "{http://www.w3.org/2000/svg}"
    texts = [t.text for t in picture.iter(f"{name}text")]
    lines = [p for p in picture.iter(f"{name}path") if p.get("marker-end")]
    assert [t for t in texts if t in ("input", "w <1>", "lif", "w_rec", "output")] == texts[::2]
    assert "Linear 2x2" in texts
    assert len(lines) == 5
    assert len([p for p in lines if p.get("stroke-dasharray")]) == 1


def test_picture_colours_verdicts():
    given = graph()
    given.nodes["lif"].tau[:] = -1
    report = check_nir(given, dt=1e-3)
    picture = draw_nir(given, report)
    assert picture.count("#f4cccc") == 1
    assert "tau is -1" in picture
