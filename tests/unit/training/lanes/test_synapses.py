"""Stored connections that learn: quantisation, ways with one result, moves, and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_chains import chain, part

from neurodeploy.engines.lanes.choice import Choices
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.engines.lanes.wiring import Geometry
from neurodeploy.errors import SimulationError, TrainingError
from neurodeploy.network import Cuba
from neurodeploy.training.lanes.layer import Layer
from neurodeploy.training.lanes.synapses import Synapses

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("step", [1, 2, 4, 64])
@pytest.mark.parametrize("exponent", [-3, 0, 2])
def test_weights_are_rounded_as_the_grid_rounds_them(step, exponent):
    torch = pytest.importorskip("torch", reason="needs torch (extra train)")
    from neurodeploy.training.model.weight_grid import Grid

    rng = np.random.default_rng(0)
    unit = step * 2.0**exponent / 64
    latent = np.concatenate([rng.normal(size=500) * 3 * 2.0**exponent, np.arange(-300, 300) * unit / 2])
    latent = torch.from_numpy(latent.astype(np.float32)).requires_grad_()
    whole = Grid(step, exponent)(latent, descale=True)
    whole.sum().backward()
    own = Synapses(
        (1, latent.numel()), np.arange(latent.numel()), latent.detach().numpy(), step=step, exponent=exponent
    )
    assert np.array_equal(own.whole * step, whole.detach().numpy())
    fired, errors = Spikes.of_raster(np.ones((1, latent.numel(), 1))), Span(1, 1).rows(1, np.float32)
    errors[0, 0] = 1
    assert np.array_equal(own.gradient(fired, errors) != 0, latent.grad.numpy() != 0)


def ways_of(p, spikes, errors, ways, threads=1):
    from neurodeploy.engines.lanes.team import Team

    own = p.synapses(Choices(forced=frozenset(ways)), Team(threads))
    out = spikes.span.rows(own.wiring.n_sources, np.float32)
    own.spread(errors, spikes.span, out)
    return own.sums(spikes), own.gradient(spikes, errors), out


def random_pass(rng, targets, sources, batch=20, n_steps=13, rate=0.2):
    spikes = Spikes.of_raster(rng.random((batch, sources, n_steps)) < rate)
    errors = spikes.span.rows(targets, np.float32)
    spikes.span.samples_of(errors)[:] = rng.normal(size=(batch, targets, n_steps))
    return spikes, errors


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.tuples(st.integers(1, 40), st.integers(1, 20)),
    st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    seeds,
)
def test_all_ways_and_any_number_of_threads_give_the_same_bits(shape, span, density, seed):
    rng = np.random.default_rng(seed)
    p = part(rng, shape, density)
    spikes, errors = random_pass(rng, *shape, *span)
    first = ways_of(p, spikes, errors, ["masks", "gather", "tiles"])
    for ways, threads in (
        (["events", "blocks", "dense"], 1),
        (["rows", "gather", "rows"], 3),
        (["blocks", "tiles"], 2),
    ):
        for ours, others in zip(first, ways_of(p, spikes, errors, ways, threads)):
            assert np.array_equal(ours, others)


@pytest.mark.parametrize("density", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(taken=(3, 9, 9), kernels=(7, 3, 3, 3), padding=(1, 1)),
        Geometry(taken=(2, 8, 7), kernels=(37, 2, 3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
        Geometry(taken=(4, 6, 6), kernels=(20, 2, 2, 2), stride=(2, 2), groups=2),
    ],
)
def test_all_ways_and_any_number_of_threads_give_the_same_bits_for_a_convolution(geometry, density):
    rng = np.random.default_rng(0)
    p = part(rng, geometry, density)
    spikes, errors = random_pass(rng, math.prod(geometry.given), math.prod(geometry.taken))
    first = ways_of(p, spikes, errors, ["masks", "gather", "rows"])
    for ways, threads in ((["events", "blocks", "tiles"], 1), (["masks", "blocks", "rows"], 3), (["tiles"], 3)):
        for ours, others in zip(first, ways_of(p, spikes, errors, ways, threads)):
            assert np.array_equal(ours, others)


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(1, 20), st.integers(1, 20)), st.sampled_from([0.1, 0.5, 0.9]), seeds)
def test_a_move_keeps_weights_and_gives_new_connections_zero(shape, density, seed):
    rng = np.random.default_rng(seed)
    p = part(rng, shape, density)
    own = p.synapses()
    before, latent = own.wiring.position, own.latent.copy()
    absent = np.setdiff1d(np.arange(p.mask.size), before)
    drop = rng.choice(before, rng.integers(0, before.size), replace=False)
    grow = rng.choice(absent, rng.integers(0, absent.size + 1), replace=False) if absent.size else absent
    place = own.move(drop, grow)
    dense, mask = p.latent.ravel().copy(), p.mask.ravel().copy()
    dense[drop], mask[drop], mask[grow] = 0, False, True
    after = own.wiring.position
    assert np.array_equal(after, np.flatnonzero(mask))
    assert np.array_equal(own.latent, dense[after])
    assert np.array_equal(own.latent[place >= 0], latent[place[place >= 0]])
    assert np.array_equal(after[place < 0], np.sort(grow))


def test_a_layer_computes_with_its_connections_after_a_move():
    rng = np.random.default_rng(0)
    p = part(rng, (9, 12), 0.4)
    own = p.synapses()
    drop, grow = own.wiring.position[:5], np.setdiff1d(np.arange(108), own.wiring.position)[:7]
    own.move(drop, grow)
    own.latent[:] = 1
    own.quantise()
    spikes = Spikes.of_raster(np.ones((1, 12, 1)))
    fan_in = np.bincount(own.wiring.position // 12, minlength=9)
    assert np.array_equal(spikes.span.samples_of(own.sums(spikes))[0, :, 0], 32 * fan_in)


def test_moves_that_make_no_sense_are_refused():
    own = part(np.random.default_rng(0), (3, 4), 0.5).synapses()
    stored, absent = own.wiring.position, np.setdiff1d(np.arange(12), own.wiring.position)
    none = np.zeros(0, np.int64)
    with pytest.raises(
        TrainingError, match=f"sparse: position {absent[0]} is dropped, but no connection is stored there"
    ):
        own.move(absent[:1], none)
    with pytest.raises(TrainingError, match=f"sparse: position {stored[1]} is grown, but a connection is stored there"):
        own.move(none, stored[1:2])
    with pytest.raises(TrainingError, match="sparse: the layer is left without a connection; raise its density"):
        own.move(stored, none)
    assert np.array_equal(own.wiring.position, stored)


def test_positions_that_do_not_rise_are_refused():
    for position in ([1, 1], [2, 1], [0, 12], [-1, 3]):
        with pytest.raises(TrainingError, match=r"sparse: 2 positions must rise within 0..11, one for each weight"):
            Synapses((3, 4), np.array(position), np.ones(2, np.float32))


def test_a_layer_without_connections_is_refused():
    with pytest.raises(TrainingError, match="sparse: the layer is left without a connection"):
        Synapses((3, 4), np.zeros(0, np.int64), np.zeros(0, np.float32))


def test_spikes_of_another_layer_are_refused():
    own = chain([part(np.random.default_rng(0), (3, 4), 0.5)])
    with pytest.raises(SimulationError, match="lanes: 5 channels arrive at connections from 4"):
        own.forward(Spikes.of_raster(np.zeros((1, 5, 2))))


def test_recurrent_connections_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    model = Cuba(current_decay=0, voltage_decay=0, threshold=1)
    into = part(rng, (3, 4), 0.5).synapses()
    with pytest.raises(
        TrainingError, match=r"lanes: the recurrent connections have shape \(4, 4\), the layer 3 neurons"
    ):
        Layer(into, model, recurrent=part(rng, (4, 4), 0.5).synapses())
    with pytest.raises(
        TrainingError, match="lanes: recurrent connections need the weight step and exponent of those into"
    ):
        Layer(into, model, recurrent=part(rng, (3, 3), 0.5, step=4).synapses())
