"""Sums over stored connections: the three ways give the dense integers, for matrices and convolutions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines.lanes.choice import Choices
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.summing import Summing
from neurodeploy.engines.lanes.team import Team
from neurodeploy.engines.lanes.wiring import Geometry, conv_wiring, into, matrix_wiring, out_of
from neurodeploy.errors import SimulationError
from neurodeploy.network import Conv
from neurodeploy.network.activity import Events
from neurodeploy.network.unrolled import entries

seeds = st.integers(0, 2**32 - 1)
WAYS = ("masks", "events", "rows")


def summed(wiring, weights, spikes, way):
    summing = Summing(wiring, choices=Choices(forced=frozenset([way])))
    summing.set(weights)
    return spikes.span.samples_of(summing.sums(spikes))


def dense_sums(dense, values):
    """Sums ``(batch, targets, steps)`` for numbers ``(batch, sources, steps)``."""
    return np.einsum("oi,bit->bot", dense.astype(np.int64), values.astype(np.int64))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 150)),
    st.tuples(st.integers(1, 70), st.integers(1, 12)),
    st.sampled_from([0.0, 0.02, 0.2, 1.0]),
    st.sampled_from([0.02, 0.4, 1.0]),
    st.sampled_from([127, 255]),
    seeds,
)
def test_every_way_gives_the_sums_of_the_matrix(shape, span, rate, density, largest, seed):
    rng = np.random.default_rng(seed)
    sources, (batch, n_steps) = shape[1], span
    kept = rng.random(shape) < density
    dense = rng.integers(-largest - 1, largest + 1, shape) * kept
    fired = rng.random((batch, sources, n_steps)) < rate
    position = np.flatnonzero(kept)
    weights = dense.ravel()[position].astype(np.int16)
    wanted = dense_sums(dense, fired)
    for given_as in (Spikes.of_raster(fired), Spikes.of_events(Events.from_dense(fired.transpose(0, 2, 1)))):
        for way in WAYS:
            assert np.array_equal(summed(matrix_wiring(shape, position), weights, given_as, way), wanted), way


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("largest", [127, 255])
def test_sums_beyond_16_bits_are_right(way, largest):
    """All weights at one end of their range, all sources active: the largest sums there are."""
    fired = np.ones((1, 700, 2), bool)
    spikes = Spikes.of_raster(fired)
    for weight in (largest, -largest - 1):
        whole = np.full(700 * 20, weight, np.int16)
        sums = summed(matrix_wiring((20, 700), np.arange(700 * 20)), whole, spikes, way)
        assert np.all(sums == 700 * weight)


@pytest.mark.parametrize("way", ["events", "rows"])
def test_payloads_multiply_the_weights(way):
    rng = np.random.default_rng(0)
    values = rng.integers(-1000, 1000, (3, 5, 40)) * (rng.random((3, 5, 40)) < 0.5)
    dense = rng.integers(-256, 256, (200, 40))
    spikes = Spikes.of_events(Events.from_dense(values, graded=True))
    wiring = matrix_wiring(dense.shape, np.arange(dense.size))
    sums = summed(wiring, dense.ravel().astype(np.int16), spikes, way)
    assert np.array_equal(sums, dense_sums(dense, values.transpose(0, 2, 1)))


def test_payloads_that_may_leave_32_bits_are_refused():
    spikes = Spikes.of_events(Events.from_dense(np.full((1, 1, 3), 2**24), graded=True))
    summing = Summing(matrix_wiring((1, 3), np.arange(3)))
    summing.set(np.full(3, 100, np.int16))
    with pytest.raises(
        SimulationError, match=r"lanes: payloads of up to 16777216 over 3 connections into a neuron may leave"
    ):
        summing.sums(spikes)


def test_another_number_of_channels_is_refused():
    summing = Summing(matrix_wiring((1, 3), np.arange(3)))
    with pytest.raises(SimulationError, match="lanes: 2 channels arrive at connections from 3"):
        summing.sums(Spikes.of_raster(np.zeros((1, 2, 1), bool)))


def test_an_index_that_does_not_fit_is_refused():
    with pytest.raises(
        SimulationError, match="lanes: a matrix of 2147483648 x 1 with 1 connections has indices that do not"
    ):
        matrix_wiring((2**31, 1), np.zeros(1, np.int64))


GEOMETRIES = [
    Geometry(taken=(2, 9, 8), kernels=(6, 2, 3, 3)),
    Geometry(taken=(2, 9, 8), kernels=(6, 2, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
    Geometry(taken=(4, 7, 5), kernels=(6, 2, 3, 3), groups=2, padding=(1, 1)),
    Geometry(taken=(4, 6, 8), kernels=(4, 1, 2, 2), stride=(2, 2), groups=4),
    Geometry(taken=(1, 5, 5), kernels=(3, 1, 5, 5), padding=(4, 4), stride=(3, 3)),
    Geometry(taken=(3, 1, 1), kernels=(2, 3, 1, 1)),
]


def unrolled(geometry, kernels):
    conv = Conv(
        weights=kernels.astype(np.int16),
        input_shape=geometry.taken,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
    assert conv.output_shape == geometry.given
    source, target, weights = entries(conv)
    dense = np.zeros((np.prod(conv.output_shape), np.prod(geometry.taken)), np.int64)
    dense[target, source] = weights
    return dense


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("way", ["masks", "events"])
def test_a_convolution_gives_the_sums_of_its_unrolled_matrix(geometry, way):
    rng = np.random.default_rng(1)
    kept = rng.random(geometry.kernels) < 0.6
    kernels = rng.integers(-256, 256, geometry.kernels) * kept
    fired = rng.random((5, int(np.prod(geometry.taken)), 7)) < 0.3
    position = np.flatnonzero(kept)
    sums = summed(
        conv_wiring(geometry, position), kernels.ravel()[position].astype(np.int16), Spikes.of_raster(fired), way
    )
    assert np.array_equal(sums, dense_sums(unrolled(geometry, kernels), fired))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_connections_by_target_and_by_source_are_those_of_the_unrolled_matrix(geometry):
    position = np.arange(int(np.prod(geometry.kernels)))
    wiring = conv_wiring(geometry, position)
    place = 1 + position.reshape(geometry.kernels)  # the weight tells the place of its tap
    dense = unrolled(geometry, np.minimum(place, 255)) if position.size < 255 else None
    other, carried = np.empty((2, max(wiring.most)), np.int32)
    for side, walk, shape in (
        (wiring.into, into, (wiring.n_targets, wiring.n_sources)),
        (wiring.out_of, out_of, (wiring.n_sources, wiring.n_targets)),
    ):
        found = np.zeros(shape, np.int64)
        for i in range(shape[0]):
            n = walk(side, i, other, carried)
            assert np.unique(other[:n]).size == n
            found[i, other[:n]] = 1 + carried[:n]
        if dense is not None:
            assert np.array_equal(found, dense if walk is into else dense.T)


def test_positions_of_a_matrix_come_back():
    position = np.array([1, 5, 6, 11])
    wiring = matrix_wiring((4, 3), position)
    assert np.array_equal(wiring.position, position)
    assert wiring.n_stored == wiring.n_connections == 4
    assert wiring.most == (1, 2)


def test_threads_give_the_same_sums():
    rng = np.random.default_rng(0)
    fired = rng.random((20, 50, 6)) < 0.2
    for way in WAYS:
        summing = Summing(matrix_wiring((700, 50), np.arange(700 * 50)), choices=Choices(forced=frozenset([way])))
        summing.set(rng.integers(-100, 100, 700 * 50).astype(np.int16))
        spikes = Spikes.of_raster(fired)
        assert np.array_equal(summing.sums(spikes), summing.sums(spikes, Team(3)))
