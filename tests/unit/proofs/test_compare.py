"""Comparison of engines: equal, or the first difference; and classes read from activity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy.engines.decoding import accuracy, decode
from neurodeploy.engines.table import simulate
from neurodeploy.errors import SimulationError, UsageError
from neurodeploy.network import Cuba, LeakyIntegrator, Network, Population
from neurodeploy.network.activity import Activity, Events
from neurodeploy.proofs.compare import compare_activities, readouts


def _activity(engine: str, raster, other=None, network: str = "n") -> Activity:
    rasters = {"a": np.asarray(raster)} | ({} if other is None else {"b": np.asarray(other)})
    spikes = {name: Events.from_dense(r) for name, r in rasters.items()}
    return Activity(engine=engine, network=network, n_steps=rasters["a"].shape[1], spikes=spikes)


def _network(decoding: str) -> Network:
    return one_layer(
        [[90, 0], [0, 60]],
        Cuba(current_decay=4096, voltage_decay=0, threshold=100),
        target="a",
        wire="p",
        output="class",
        decoding=decoding,
    )


def test_equal_runs_are_equal_and_their_spikes_are_counted():
    raster = np.random.default_rng(0).random((3, 5, 4)) < 0.4
    result = compare_activities([_activity("x", raster), _activity("y", raster), _activity("z", raster)])
    assert result.equal
    assert (result.spikes_compared, result.spikes_different) == (int(raster.sum()), 0)
    assert result.populations[0].places == 60


@pytest.mark.parametrize("value", [0, 1])
def test_first_difference_names_population_neuron_step_sample_and_both_values(value):
    a = np.full((2, 4, 3), 1 - value)
    b = a.copy()
    b[1, 2, 1] = b[1, 3, 0] = value
    result = compare_activities([_activity("slayer", a), _activity("lava", b)])
    found = result.first_difference
    assert (found.population, found.neuron, found.step, found.sample) == ("a", 1, 2, 1)
    assert (found.engines, found.values) == (("slayer", "lava"), (1 - value, value))
    assert result.spikes_different == 2
    assert f"slayer has {1 - value}, lava has {value}" in str(found)
    assert result.to_json()["first_difference"]["neuron"] == 1


def test_first_difference_is_the_earliest_of_all_populations_and_engines():
    zero = np.zeros((1, 4, 2), int)
    late, early = zero.copy(), zero.copy()
    late[0, 3, 0], early[0, 1, 1] = 1, 1
    result = compare_activities([_activity("x", zero, zero), _activity("y", late, zero), _activity("z", zero, early)])
    assert (result.first_difference.population, result.first_difference.step) == ("b", 1)
    assert result.spikes_different == 2


def test_graded_payloads_are_compared():
    def graded(engine, payload):
        events = Events(size=2, n_steps=3, n_samples=1, sample=[0, 0], step=[0, 2], neuron=[1, 0], payload=payload)
        return Activity(engine=engine, network="n", n_steps=3, spikes={"a": events})

    result = compare_activities([graded("x", [5, 7]), graded("y", [5, 8])])
    assert result.first_difference.values == (7, 8)


def test_voltages_are_compared_where_all_recorded_them():
    """The voltage differs before the spike does, in the same population."""
    raster = np.zeros((2, 3, 2), int)
    voltage = np.arange(12, dtype=np.int32).reshape(2, 3, 2)
    other, late = voltage.copy(), raster.copy()
    other[1, 1, 0] = -7
    late[1, 2, 1] = 1
    x, y = (
        replace(_activity(name, r), states={("a", "v"): v})
        for name, r, v in (("x", raster, voltage), ("y", late, other))
    )
    assert compare_activities([x, replace(x, engine="z")], [("a", "v")]).equal
    result = compare_activities([x, y], [("a", "v")])
    found = result.first_difference
    assert (found.neuron, found.step, found.sample, found.of, found.values) == (0, 1, 1, "v", (8, -7))
    assert "x has v = 8, y has v = -7" in str(found)
    assert (result.voltages_compared, result.spikes_different) == (("a",), 2)
    without = compare_activities([x, _activity("y", late)], [("a", "v")])
    assert (without.voltages_compared, without.first_difference.of, without.spikes_different) == ((), "message", 1)


def test_readouts_are_the_voltages_of_leaky_integrators():
    network = _network("count")
    silent = Population(name="b", shape=(2,), model=LeakyIntegrator(current_decay=1, voltage_decay=1))
    assert readouts(network) == []
    assert readouts(replace(network, populations=(*network.populations, silent))) == [("b", "v")]


def test_runs_that_cannot_be_compared_are_refused():
    raster = np.zeros((1, 2, 2), int)
    with pytest.raises(UsageError, match="at least two engines"):
        compare_activities([_activity("x", raster)])
    with pytest.raises(SimulationError, match="x and y did not run the same network"):
        compare_activities([_activity("x", raster), _activity("y", raster, network="m")])
    with pytest.raises(SimulationError, match="x ran 1 samples of 2 steps, y 1 of 3"):
        compare_activities([_activity("x", raster), _activity("y", np.zeros((1, 3, 2), int))])


def test_unknown_engine_lists_the_known_ones():
    given = samples(np.zeros((1, 2, 2), int))
    with pytest.raises(UsageError, match="unknown engine 'gpu'; known: reference"):
        simulate(_network("count"), given, engine="gpu")


@pytest.mark.parametrize(("decoding", "classes"), [("count", [0, 1, 0]), ("first_spike", [0, 1, 0])])
def test_classes_are_read_from_spikes(decoding, classes):
    """Weight 90 with threshold 100 fires at every second spike, weight 60 at every second one too."""
    raster = np.zeros((3, 6, 2), int)
    raster[0, :, 0] = 1
    raster[1, :, 1] = 1
    given = samples(raster, labels=[0, 1, 1])
    network = _network(decoding)
    activity = simulate(network, given)
    assert decode(network, activity).tolist() == classes
    assert accuracy(network, activity, given) == pytest.approx(2 / 3)


def test_class_by_voltage_needs_the_probe_and_takes_the_last_step():
    network = _network("last_voltage")
    raster = np.zeros((1, 1, 2), int)
    raster[0, 0, 1] = 1
    given = samples(raster)
    with pytest.raises(SimulationError, match="run with probe"):
        decode(network, simulate(network, given))
    assert decode(network, simulate(network, given, probe=[("a", "v")])).tolist() == [1]


def test_accuracy_without_labels_is_refused():
    given = samples(np.zeros((1, 2, 2), int), name="s")
    with pytest.raises(SimulationError, match="'s' carry no labels"):
        accuracy(_network("count"), simulate(_network("count"), given), given)
