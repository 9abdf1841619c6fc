"""How records show themselves: one line in a console, a table in a notebook, pictures and tables of pandas."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from building import chain, samples

import neurodeploy as nd
from neurodeploy.errors import MissingPackageError, UsageError


@pytest.fixture(scope="module")
def things():
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
    )
    return {type(thing).__name__: thing for thing in found}


NAMES = ["Network", "Samples", "Events", "Activity", "Mapping", "Cost", "Chip"]


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
