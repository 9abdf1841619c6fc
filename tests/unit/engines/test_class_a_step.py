"""Outputs with a window: a class in every step, by hand, on every engine and through every file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import chain, engines, samples
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines import accuracy, answers, decode, simulate
from neurodeploy.engines.decoding import trailing_sums
from neurodeploy.errors import NetworkError, SimulationError
from neurodeploy.exchange.formats import read_network, write_network
from neurodeploy.network import Cuba, Network, Output
from neurodeploy.network.activity import load_samples, save_samples

COPIES = Cuba(current_decay=4096, voltage_decay=4096, threshold=1)
"""A neuron that forgets at once: it fires in each step in which a weight of 2 or more arrives."""


def network(window: int | None = 2, layers: int = 1) -> Network:
    """Return a network that repeats its three channels ``layers`` steps later."""
    made = chain([2 * np.eye(3, dtype=int)] * layers, COPIES)
    return replace(made, outputs=(replace(made.outputs[0], window=window),))


RASTER = np.array([[[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]])


class TestByHand:
    def test_the_class_of_a_step_is_that_of_most_spikes_in_the_window_when_the_step_has_come_through(self):
        activity = simulate(network(2), samples(RASTER))
        assert decode(network(2), activity).tolist() == [[0, 0, 1, 1, 0, 2]]

    def test_depth_does_not_move_the_classes(self):
        deep = network(2, layers=4)
        assert decode(deep, simulate(deep, samples(RASTER))).tolist() == [[0, 0, 1, 1, 0, 2]]

    def test_ties_and_silence_are_those_of_steps(self):
        found = answers(network(2), simulate(network(2), samples(RASTER)))
        assert found.tied.tolist() == [[False, True, False, False, True, False]]
        assert found.silent.tolist() == [[False, False, False, False, True, False]]
        assert found.shares == {"tied": 2 / 6, "silent": 1 / 6}

    def test_accuracy_is_the_share_of_the_steps(self):
        labelled = samples(RASTER, labels=[[0, 0, 1, 1, 1, 1]])
        assert accuracy(network(2), simulate(network(2), labelled), labelled) == 4 / 6

    def test_a_longer_run_changes_no_class(self):
        activity = simulate(network(2), samples(RASTER), n_steps=20)
        assert decode(network(2), activity)[:, :6].tolist() == [[0, 0, 1, 1, 0, 2]]


@given(seed=st.integers(0, 2**31), window=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_sums_of_windows_are_those_of_slices(seed, window):
    raster = np.random.default_rng(seed).integers(0, 2, (2, 12, 3))
    wanted = [[raster[i, max(0, t - window + 1) : t + 1].sum(axis=0) for t in range(12)] for i in range(2)]
    assert np.array_equal(trailing_sums(raster, window), wanted)


@pytest.mark.parametrize("engine", engines())
def test_every_engine_tells_the_same_classes(engine):
    rng = np.random.default_rng(3)
    given = samples(rng.random((3, 25, 3)) < 0.4)
    wanted = decode(network(5, 3), simulate(network(5, 3), given, engine="reference"))
    assert np.array_equal(decode(network(5, 3), simulate(network(5, 3), given, engine=engine)), wanted)


@pytest.mark.parametrize("suffix", ["nir", "nd5"])
def test_files_keep_the_window_and_the_fingerprint(suffix, tmp_path):
    write_network(network(7), tmp_path / f"a.{suffix}")
    back = read_network(tmp_path / f"a.{suffix}")
    assert back.outputs[0].window == 7
    assert back.fingerprint == network(7).fingerprint
    assert len({network(w).fingerprint for w in (None, 6, 7)}) == 3


def test_samples_keep_labels_of_steps_in_files_and_parts(tmp_path):
    labels = np.arange(18).reshape(3, 6) % 4
    save_samples(samples(np.repeat(RASTER, 3, axis=0), labels=labels), tmp_path / "a.npz")
    back = load_samples(tmp_path / "a.npz")
    assert np.array_equal(back.labels, labels)
    assert np.array_equal(back.take(1, 3).labels, labels[1:])


class TestRefused:
    @pytest.mark.parametrize("decoding", ["first_spike", "last_voltage", "last_message"])
    def test_a_window_needs_counts_or_sums(self, decoding):
        with pytest.raises(NetworkError, match=f"needs the decoding count or sum, not '{decoding}'"):
            Output(name="out", population="p", decoding=decoding, window=3)

    @pytest.mark.parametrize("window", [0, -1, 2**16])
    def test_a_window_has_a_length(self, window):
        with pytest.raises(NetworkError, match=f"window is {window}, outside 1..65535"):
            Output(name="out", population="p", window=window)

    def test_labels_for_another_number_of_steps(self):
        with pytest.raises(SimulationError, match=r"labels for 5 steps, but the samples have 6.*\(1, 6\)"):
            samples(RASTER, labels=[[0, 0, 1, 1, 1]])

    def test_a_label_that_is_no_class_says_where(self):
        with pytest.raises(SimulationError, match="sample 0 has the label -1 in step 3"):
            samples(RASTER, labels=[[0, 0, 1, -1, 1, 1]])

    def test_labels_of_samples_for_classes_of_steps_and_the_other_way_round(self):
        one, each = samples(RASTER, labels=[0]), samples(RASTER, labels=[[0] * 6])
        with pytest.raises(SimulationError, match=r"have one label each, .* give labels of the shape \(1, 6\)"):
            accuracy(network(2), simulate(network(2), one), one)
        with pytest.raises(SimulationError, match="label for each of 6 steps, but the output tells one class a sample"):
            accuracy(network(None), simulate(network(None), each), each)

    def test_a_run_too_short_to_decode_all_steps(self):
        each = samples(RASTER, labels=[[0] * 6])
        with pytest.raises(SimulationError, match="labels for 6 steps, the run was long enough to decode 3 of them"):
            accuracy(network(2), simulate(network(2), each, n_steps=4), each)
