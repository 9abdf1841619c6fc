"""Faults: each does what it says, by count, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.faults import FAULTS, dead_core, measure_robustness, with_states
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import UsageError
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import Samples


def _network() -> Network:
    """Four classes, each neuron driven by its own five channels."""
    weights = np.zeros((4, 20), int)
    for neuron in range(4):
        weights[neuron, 5 * neuron : 5 * neuron + 5] = 60
    return one_layer(weights, Cuba(current_decay=4096, voltage_decay=400, threshold=100), target="a")


def _samples() -> Samples:
    labels = np.arange(40) % 4
    rate = np.full((40, 1, 20), 0.05)
    for sample, label in enumerate(labels):
        rate[sample, :, 5 * label : 5 * label + 5] = 0.5
    raster = np.random.default_rng(0).random((40, 15, 20)) < rate
    return samples(raster, labels=labels)


def _apply(fault: str, rate: float):
    return FAULTS[fault](_network(), _samples(), rate, np.random.default_rng(1))


def test_rate_zero_changes_nothing():
    sound = _samples().inputs["in"].to_dense()
    for fault in FAULTS:
        network, samples = _apply(fault, 0.0)
        assert network.fingerprint == _network().fingerprint, fault
        assert np.array_equal(samples.inputs["in"].to_dense(), sound), fault


def test_dropped_spikes_are_a_subset_of_the_expected_size():
    sound, faulty = _samples().inputs["in"].to_dense(), _apply("drop", 0.3)[1].inputs["in"].to_dense()
    assert not np.any(faulty & ~sound)
    assert 0.65 < faulty.sum() / sound.sum() < 0.75


def test_extra_spikes_keep_all_others():
    sound, faulty = _samples().inputs["in"].to_dense(), _apply("extra", 0.1)[1].inputs["in"].to_dense()
    assert not np.any(sound & ~faulty)
    assert 0.08 < (faulty.sum() - sound.sum()) / (sound == 0).sum() < 0.11


def test_jitter_moves_spikes_by_at_most_its_steps_within_a_channel():
    raster = np.zeros((1, 15, 20), int)
    raster[0, 7, :] = 1
    given = samples(raster, labels=[0])
    moved = FAULTS["jitter"](_network(), given, 2, np.random.default_rng(1))[1].inputs["in"]
    assert sorted(moved.neuron) == list(range(20))
    assert set(moved.step) == {5, 6, 7, 8, 9}


def test_hot_pixels_fire_in_every_step():
    faulty = _apply("hot-pixels", 0.1)[1].inputs["in"].to_dense()
    assert int(faulty.all(axis=(0, 1)).sum()) == 2


def test_dead_and_stuck_synapses_change_the_asked_number_of_stored_weights():
    sound = _network().projections[0].synapses.weights
    for fault, value in (("dead-synapses", {0}), ("stuck-synapses", {-60, 60})):
        weights = _apply(fault, 0.25)[0].projections[0].synapses.weights
        assert not weights[sound == 0].any()
        hit = weights != sound
        assert set(weights[hit]) <= value
        assert int(hit.sum()) == 5 if fault == "dead-synapses" else int(hit.sum()) <= 5


@pytest.mark.parametrize("run", [run_reference, run_event])
def test_dead_neurons_never_fire_and_stuck_ones_always(run):
    network, samples = _network(), _samples()
    dead = run(with_states(network, {"a": np.array([1])}, "dead"), samples).spikes["a"].to_dense()
    stuck = run(with_states(network, {"a": np.array([1])}, "stuck"), samples).spikes["a"].to_dense()
    sound = run(network, samples).spikes["a"].to_dense()
    assert sound[..., 1].any()
    assert not dead[..., 1].any()
    assert stuck[:, 1:, 1].all()
    for raster in (dead, stuck):
        assert np.array_equal(raster[..., [0, 2, 3]], sound[..., [0, 2, 3]])


def test_a_dead_core_silences_its_neurons_alone():
    labels = {"a": np.array([0, 0, 1, 1], np.int32)}
    raster = run_reference(dead_core(_network(), labels, 1), _samples()).spikes["a"].to_dense()
    assert raster[..., :2].any()
    assert not raster[..., 2:].any()


def test_accuracy_falls_with_the_rate_and_the_same_seed_gives_the_same_rows():
    def rows():
        return list(
            measure_robustness(
                _network(),
                _samples(),
                fault="dead-neurons",
                rates=[0.0, 0.5, 1.0],
                run=run_reference,
                repeats=2,
                seed=4,
            )
        )

    sound, half, none = rows()
    assert (sound.accuracy, sound.repeats) == (1.0, 1)
    assert half.lowest <= half.accuracy < 1.0
    assert none.accuracy == 0.25  # nothing fires: the tie goes to class 0, a quarter of the samples
    assert rows() == [sound, half, none]


@pytest.mark.parametrize(
    ("fault", "rate", "message"),
    [
        ("rust", 0.1, "unknown fault 'rust'; known: drop"),
        ("drop", 1.5, "rate 1.5 of 'drop'"),
        ("jitter", -1, "rate -1 of 'jitter' must be a whole number of steps"),
        ("jitter", 0.5, "rate 0.5 of 'jitter' must be a whole number of steps"),
    ],
)
def test_unknown_faults_and_rates_out_of_range_are_refused(fault, rate, message):
    with pytest.raises(UsageError, match=message):
        list(measure_robustness(_network(), _samples(), fault=fault, rates=[rate], run=run_reference))
