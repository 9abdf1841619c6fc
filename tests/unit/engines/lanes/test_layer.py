"""A layer in one call gives the spikes of sums and neurons one after the other, in each of its ways."""

from __future__ import annotations

import numpy as np
import pytest
from building import neuron
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines.lanes.choice import Choices
from neurodeploy.engines.lanes.layer import Room, run_layer
from neurodeploy.engines.lanes.neurons import neurons_of, respond
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.summing import Summing
from neurodeploy.engines.lanes.wiring import Geometry, conv_wiring, matrix_wiring
from neurodeploy.errors import SimulationError
from neurodeploy.network.activity import Events

seeds = st.integers(0, 2**32 - 1)
WAYS = ("masks", "events", "rows")


def one_after_the_other(summing, neurons, spikes, exponent, first_step):
    n, span = summing.wiring.n_targets, spikes.span
    bits, nowhere = np.zeros((n, span.width // 64), np.uint64), np.zeros((0, span.stride), np.float32)
    peak = respond(summing.sums(spikes), neurons, span, 0, exponent, bits, nowhere, first_step, beyond=False)
    return bits, peak


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 60)),
    st.tuples(st.integers(1, 70), st.integers(1, 14)),
    st.tuples(st.integers(-3, 2), st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from(["zero", "subtract"]),
    st.sampled_from(WAYS),
    seeds,
)
def test_every_way_gives_the_spikes_of_sums_and_neurons_apart(shape, span, numbers, reset, way, seed):
    rng = np.random.default_rng(seed)
    (batch, n_steps), (exponent, later, more) = span, numbers
    dense = rng.integers(-128, 128, shape) * (rng.random(shape) < 0.3)
    summing = Summing(matrix_wiring(shape, np.flatnonzero(dense)), choices=Choices(forced=frozenset([way])))
    summing.set(dense.ravel()[np.flatnonzero(dense)].astype(np.int16))
    neurons = neurons_of(neuron(threshold=int(rng.integers(0, 90)), reset=reset, bias=-300), shape[0])
    fired = rng.random((batch, shape[1], n_steps)) < 0.2
    room, first_step = Room(), later + more
    for spikes in (Spikes.of_raster(fired), Spikes.of_events(Events.from_dense(fired.transpose(0, 2, 1)))):
        wanted, most = one_after_the_other(summing, neurons, spikes.delayed(later), exponent, first_step)
        found, peak = run_layer(summing, neurons, spikes, exponent, first_step, later, room)
        assert np.array_equal(found.bits, wanted)
        assert peak == most


@pytest.mark.parametrize("way", ["masks", "events"])
def test_taps_of_a_convolution_are_connections_too(way):
    rng = np.random.default_rng(0)
    geometry = Geometry(taken=(2, 7, 6), kernels=(5, 2, 3, 3), padding=(1, 1))
    wiring = conv_wiring(geometry, np.arange(90))
    summing = Summing(wiring, choices=Choices(forced=frozenset([way])))
    summing.set(rng.integers(-100, 101, 90).astype(np.int16))
    spikes, neurons = Spikes.of_raster(rng.random((20, 84, 9)) < 0.3), neurons_of(neuron(threshold=90), 210)
    wanted, _ = one_after_the_other(summing, neurons, spikes, 0, 1)
    found, _ = run_layer(summing, neurons, spikes, 0, 1, 0, Room())
    assert np.array_equal(found.bits, wanted)
    assert found.n_spikes


def test_payloads_go_by_events_and_by_rows():
    rng = np.random.default_rng(0)
    dense = rng.integers(-99, 100, (140, 30))
    values = rng.integers(-200, 200, (18, 7, 30)) * (rng.random((18, 7, 30)) < 0.3)
    spikes, neurons = Spikes.of_events(Events.from_dense(values, graded=True)), neurons_of(neuron(threshold=9000), 140)
    found = []
    for way in ("events", "rows"):
        summing = Summing(matrix_wiring(dense.shape, np.arange(dense.size)), choices=Choices(forced=frozenset([way])))
        summing.set(dense.ravel().astype(np.int16))
        wanted, _ = one_after_the_other(summing, neurons, spikes, 0, 1)
        found.append(run_layer(summing, neurons, spikes, 0, 1, 0, Room())[0].bits)
        assert np.array_equal(found[-1], wanted)
        assert found[-1].any()


def test_a_state_beyond_24_bits_shows_in_the_peak():
    summing = Summing(matrix_wiring((1, 600), np.arange(600)))
    summing.set(np.full(600, 255, np.int16))
    fires = Spikes.of_raster(np.ones((3, 600, 4)))
    neurons = neurons_of(neuron(current_decay=0, voltage_decay=0, threshold=100), 1)
    assert run_layer(summing, neurons, fires, 0, 0, 0, Room())[1] >= 2**23


def test_spikes_of_another_layer_are_refused():
    summing = Summing(matrix_wiring((3, 5), np.arange(15)))
    with pytest.raises(SimulationError, match="lanes: 4 channels arrive at connections from 5"):
        run_layer(summing, neurons_of(neuron(), 3), Spikes.of_raster(np.zeros((1, 4, 2))), 0, 1, 0, Room())


def test_a_room_hands_the_same_array_out_until_more_is_asked_for():
    room = Room()
    few = room.of("sums", 10, np.int32)
    assert few.ctypes.data % 64 == 0
    assert room.of("sums", 5, np.int32).ctypes.data == few.ctypes.data
    assert room.of("sums", 5, np.int16).ctypes.data != few.ctypes.data
    assert room.of("sums", 99, np.int32).size == 99
