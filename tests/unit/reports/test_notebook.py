"""How records show themselves: one line in a console, a table in a notebook, pictures and tables of pandas."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from building import chain, samples

import neurodeploy as nd
from neurodeploy import commands
from neurodeploy.errors import MissingPackageError, UsageError
from neurodeploy.files.shown import TrainingFacts
from neurodeploy.reports.record import checked


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    rng = np.random.default_rng(0)
    network = chain([rng.integers(-40, 80, (5, 6)), rng.integers(-40, 80, (3, 5))])
    given = samples(rng.random((4, 8, 6)) < 0.5, labels=np.arange(4) % 3)
    activity = nd.simulate(network, given)
    mapping = nd.map_network(network, nd.load_chip("loihi2"))
    found = (
        network,
        given,
        given.inputs["in"],
        activity,
        mapping,
        nd.estimate(network, mapping, activity),
        mapping.chip,
        *kept(network, given, tmp_path_factory.mktemp("run")),
    )
    return {type(thing).__name__: thing for thing in found}


def kept(network, given, folder):
    """What commands return: a proof, a report with its files, the report as its file holds it, and a training."""
    nd.to_nir(network, folder / "net.nir")
    proof = nd.verify(network, given, engines=["reference", "event"])
    written = commands.report(
        folder / "net.nir", data=given, engines=["reference", "event"], out=folder, chips=["loihi2"]
    )
    rows = [
        {"epoch": n, "loss": 1 / n, "validation_loss": 1 / n, "train_accuracy": 0.9, "density": {"a": 0.1}}
        for n in (1, 2, 3)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    facts = {"folder": str(folder), "best_epoch": 2, "epochs": 3, "validation_accuracy": 0.9, "seconds": 12.3}
    loaded = nd.load_report(folder / "report.json")
    return proof, written, loaded, checked(loaded), TrainingFacts(facts)


NAMES = ["Network", "Samples", "Events", "Activity", "Mapping", "Cost", "Chip"]
NAMES += ["ProofFacts", "WrittenReport", "ReportFacts", "Report", "TrainingFacts"]
PICTURES = ["Activity", "Mapping", "Cost", "TrainingFacts"]
TABLES = [*PICTURES, "Network", "Events", "ProofFacts", "WrittenReport", "ReportFacts", "Report"]


@pytest.mark.parametrize("name", NAMES)
def test_a_record_is_one_short_line(things, name):
    line = repr(things[name])
    assert line.startswith(f"<{name}: ")
    assert len(line) < 400
    assert "\n" not in line
    assert str(things[name]) == line


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_a_table(things, name):
    page = things[name]._repr_html_()
    assert page.startswith(f"<b>{name}</b><table>")
    assert page.count("<table>") == page.count("</table>")


def test_the_line_of_a_network_tells_its_layers(things):
    assert "layers 6 - 5 - 3" in repr(things["Network"])


def test_names_of_users_are_escaped():
    network = chain({"<b>p": np.ones((2, 2), int)})
    assert "&lt;b&gt;p" in network._repr_html_()
    assert "<b>p" not in network._repr_html_()


def test_long_tables_say_how_many_rows_are_left_out(things):
    n = len(things["Events"])
    assert f"<i>and {n - 20:,} more</i>" in things["Events"]._repr_html_()


def test_pictures_hold_what_ran(things):
    raster = things["Activity"].plot()
    fired = [len(events.take(0, 1)) for events in things["Activity"].spikes.values()]
    assert sorted(len(trace.x) for trace in raster.data) == sorted(fired)
    assert {trace.type for trace in things["Mapping"].plot().data} == {"heatmap"}
    assert len(things["Cost"].plot().data[0].x) > 0


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_a_figure_with_units_or_names_on_its_axes(things, name):
    go = pytest.importorskip("plotly.graph_objects")
    figure = things[name].plot()
    assert isinstance(figure, go.Figure)
    assert figure.data
    axes = [figure.layout[key] for key in figure.layout if key.startswith(("xaxis", "yaxis"))]
    bars = any(trace.type == "bar" for trace in figure.data)  # one axis has the names of the bars
    assert all(axis.title.text or axis.ticktext or bars or axis.visible is False for axis in axes)
    assert any(axis.title.text for axis in axes) or name == "Mapping"
    scales = [
        trace.colorbar.title.text for trace in figure.data if trace.type == "heatmap" and trace.showscale is not False
    ]
    assert all(scales)
    assert bool(scales) is (name == "Mapping")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_rows_and_columns(things, name):
    pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
    frame = things[name].to_pandas()
    assert len(frame) > 0
    assert len(frame.columns) > 1


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(TABLES)))
def test_what_is_no_table_says_what_is(things, name):
    with pytest.raises(UsageError, match=rf"{name} has no table; there is one of: Network, Events"):
        things[name].to_pandas()


def test_what_commands_return_are_plain_values_all_the_same(things):
    proof, written = things["ProofFacts"], things["WrittenReport"]
    assert json.loads(json.dumps(proof)) == proof
    assert isinstance(written, dict)
    assert written["report"] == things["ReportFacts"]
    assert repr(proof).startswith("<ProofFacts: engines reference, event, equal yes, spikes 0 of ")
    assert "report.html" in repr(written) or "report.json" in repr(written)


def test_the_curves_of_a_training_have_its_epochs(things):
    assert {tuple(trace.x) for trace in things["TrainingFacts"].plot().data} == {(1, 2, 3)}


@pytest.mark.train
def test_a_training_shows_the_same_as_a_record_and_as_what_train_returns(things):
    pytest.importorskip("torch")
    from neurodeploy.training.loop import TrainingResult

    facts = things["TrainingFacts"]
    record = TrainingResult(**facts, checkpoint=Path("c"), test_samples=Path("t"))
    assert repr(record) == repr(facts).replace("TrainingFacts", "TrainingResult")
    assert record._repr_html_() == facts._repr_html_().replace("TrainingFacts", "TrainingResult")


@pytest.mark.parametrize("name", ["Chip", "Samples"])
def test_what_has_no_picture_says_what_has_one(things, name):
    with pytest.raises(UsageError, match=rf"{name} has no picture; there is one of: Activity, Mapping"):
        things[name].plot()


def test_a_table_of_pandas_has_a_row_for_each_event(things):
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
    frame = things["Events"].to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    np.testing.assert_array_equal(frame["neuron"], things["Events"].neuron)
    assert len(things["Activity"].to_pandas()) == 3


def test_without_pandas_the_message_says_what_to_install(things, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackageError, match="pip install pandas"):
        things["Events"].to_pandas()
