"""Layers over lanes against the masked dense layers of torch: the same spikes and states, gradients within 1e-5.

Spikes are equal bit by bit; gradients differ in the order of their sums.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_chains import NEURON, SCALE, TAU, chain, later, masked, part, recurrent

from neurodeploy.engines.lanes.choice import Choices
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.team import Team
from neurodeploy.engines.lanes.wiring import Geometry
from neurodeploy.network import Cuba
from neurodeploy.network.activity import Events
from neurodeploy.training.lanes.chain import Chain, Drive
from neurodeploy.training.lanes.layer import Driven

TOLERANCE = 1e-5
seeds = st.integers(0, 2**32 - 1)
spans = st.tuples(st.integers(1, 70), st.integers(1, 24))


def drawn(rng, batch, n, n_steps, rate):
    return rng.random((batch, n, n_steps)) < rate


def assert_close(ours, theirs):
    """Within 1e-5 of the largest gradient; below 1e-3 the terms, of about 0.05, cancel, and their rounding stays."""
    largest = abs(theirs).max(initial=0)
    assert ours.shape == theirs.shape
    assert abs(ours - theirs).max(initial=0) <= TOLERANCE * max(largest, 1e-3)


def stored(p, gradient):
    return gradient.numpy().ravel()[p.position]


def assert_equal_to_dense(parts, values, rng, *, own: Chain | None = None, delays=None, spikes: Spikes | None = None):
    """Compare forward and backward pass of the whole chain; return the spikes of every layer."""
    own = own or chain(parts, delays=delays)
    fired = own.forward(spikes or Spikes.of_raster(values))
    theirs, weights, peaks = masked(parts, torch.from_numpy(values.astype(np.float32)), delays)
    for layer, wanted, peak in zip(own.layers, theirs, peaks):
        assert np.array_equal(layer.sent.to_raster(), wanted.detach().numpy())
        assert layer.peak == peak
    last = theirs[-1] if delays is None else later(theirs[-1], delays[-1])
    assert np.array_equal(fired.to_raster(), last.detach().numpy())
    gradient = rng.normal(size=last.shape).astype(np.float32)
    last.backward(torch.from_numpy(gradient))
    own.backward(gradient)
    left = iter(weights)
    for p, found in zip(parts, own.gradients):
        wanted = next(left)
        if p.learns:
            assert_close(found.weights, stored(p, wanted.grad))
        else:
            assert found.weights is None
        if p.again is not None:
            assert_close(found.recurrent, stored(p.again, next(left).grad))
    return theirs


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=4),
    spans,
    st.sampled_from([0.0, 0.05, 0.5]),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from(["zero", "subtract"]),
    seeds,
)
def test_any_chain_of_matrices(sizes, span, rate, density, reset, seed):
    """Any widths, one neuron, empty rows (one connection at density 0), one step, batches that are no multiple of 16."""
    rng = np.random.default_rng(seed)
    model = Cuba(
        current_decay=int(rng.integers(4097)),
        voltage_decay=int(rng.integers(4097)),
        threshold=int(rng.integers(1, 200)),
        reset=reset,
    )
    parts = [part(rng, (b, a), density, model=model) for a, b in zip(sizes, sizes[1:])]
    values = drawn(rng, span[0], sizes[0], span[1], rate)
    assert_equal_to_dense(parts, values, rng)


def test_a_chain_that_fires_and_learns_in_every_layer():
    rng = np.random.default_rng(0)
    parts = [part(rng, (b, a), 0.3) for a, b in ((150, 90), (90, 70), (70, 11))]
    own = chain(parts)
    fired = assert_equal_to_dense(parts, drawn(rng, 20, 150, 30, 0.1), rng, own=own)
    assert all(0.02 < float(layer.mean()) < 0.9 for layer in fired)
    assert all((found.weights != 0).mean() > 0.9 for found in own.gradients)


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.integers(1, 150), st.integers(1, 9)), st.booleans(), st.sampled_from(["zero", "subtract"]), seeds)
@pytest.mark.parametrize("way", ["rows", "tiles"])
@pytest.mark.parametrize("threads", [1, 3])
def test_neurons_whose_sums_are_given_head_a_chain(way, threads, span, held, reset, seed):
    """Sums that are the same in every step too, and those of one neuron whose states pass 24 bits."""
    from neurodeploy.training.model.fused import CubaSettings, cuba_spikes

    rng = np.random.default_rng(seed)
    batch, n_steps = span
    model, n = Cuba(current_decay=1024, voltage_decay=128, threshold=80, reset=reset), int(rng.integers(1, 40)) + 36
    sums = rng.integers(-120, 200, (batch, n, 1 if held else n_steps)).astype(np.float32)
    sums[:, 0] *= 2.0**14
    drive = torch.from_numpy(sums / 64).requires_grad_()
    geometry = Geometry(taken=(1, 6, n // 6), kernels=(3, 1, 3, 2), padding=(1, 1))
    below = n - n // 6 * 6
    sent, peak = cuba_spikes(drive.expand(batch, n, n_steps), CubaSettings(neuron=model, tau=TAU, scale=SCALE))
    wide = part(rng, (n - below, n), 0.5)
    parts = [wide, part(rng, geometry, 0.7)]
    theirs, weights, _ = masked(parts, sent)
    team = Team(threads)
    layers = [p.layer(Choices(forced=frozenset([way])), team) for p in parts]
    own = Chain([Driven(n, model, tau=TAU, scale=SCALE, team=team), *layers])
    own.forward(Drive(drive.detach().numpy(), n_steps))
    head = own.layers[0]
    assert (head.peak, head.size) == (peak, n)
    assert np.array_equal(head.sent.to_raster(), sent.detach().numpy())
    for layer, wanted in zip(layers, theirs):
        assert np.array_equal(layer.sent.to_raster(), wanted.detach().numpy())
    gradient = rng.normal(size=theirs[-1].shape).astype(np.float32)
    theirs[-1].backward(torch.from_numpy(gradient))
    own.backward(gradient)
    assert own.gradients[0].weights is None
    assert_close(head.drive_gradient(), drive.grad.numpy())
    for p, found, wanted in zip(parts, own.gradients[1:], weights):
        assert_close(found.weights, stored(p, wanted.grad))


@pytest.mark.parametrize("way", ["masks", "events", "rows", "gather", "blocks", "tiles", "dense"])
def test_every_way_alone(way):
    rng = np.random.default_rng(1)
    parts = [part(rng, (b, a), 0.3) for a, b in ((150, 90), (90, 37), (37, 11))]
    assert_equal_to_dense(parts, drawn(rng, 20, 150, 30, 0.1), rng, own=chain(parts, ways=[way]))


@pytest.mark.parametrize(("step", "exponent"), [(1, 0), (2, 0), (8, 1), (64, -2), (1, -3), (4, 3)])
def test_every_grid_of_weights(step, exponent):
    rng = np.random.default_rng(2)
    size = 0.6 * 2.0**exponent * max(step / 8, 1)
    parts = [part(rng, (b, a), 0.5, size, step=step, exponent=exponent) for a, b in ((60, 40), (40, 9))]
    fired = assert_equal_to_dense(parts, drawn(rng, 7, 60, 20, 0.2), rng)
    assert all(layer.any() for layer in fired)


def test_weights_out_of_range_are_clamped_and_get_no_gradient():
    rng = np.random.default_rng(3)
    one = part(rng, (30, 40), 0.5, 3.0)
    assert (abs(one.latent) > 4).any()
    own = chain([one])
    assert_equal_to_dense([one], drawn(rng, 7, 40, 20, 0.1), rng, own=own)
    outside = abs(one.latent.ravel()[one.position]) > 4.02
    assert outside.any()
    assert not own.gradients[0].weights[outside].any()


def test_neurons_with_their_own_parameters_and_bias():
    rng = np.random.default_rng(4)
    model = Cuba(
        current_decay=rng.integers(0, 4097, 33),
        voltage_decay=rng.integers(0, 4097, 33),
        threshold=rng.integers(1, 300, 33),
        bias=rng.integers(-900, 900, 33),
        reset="subtract",
    )
    assert_equal_to_dense([part(rng, (33, 50), 0.4, model=model)], drawn(rng, 18, 50, 25, 0.2), rng)


def test_states_beyond_24_bits():
    rng = np.random.default_rng(5)
    model = replace(NEURON, current_decay=1, voltage_decay=0, threshold=50_000)
    one = part(rng, (9, 80), 1.0, 2.0, model=model, exponent=4)
    own = chain([one])
    assert_equal_to_dense([one], drawn(rng, 5, 80, 60, 0.9), rng, own=own)
    assert own.layers[0].peak > 2**23


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), spans, st.sampled_from([0.0, 0.3, 1.0]), seeds)
def test_recurrent_layers(sources, n, span, density, seed):
    rng = np.random.default_rng(seed)
    parts = [recurrent(rng, (n, sources), density), part(rng, (5, n), 0.7)]
    assert_equal_to_dense(parts, drawn(rng, span[0], sources, span[1], 0.3), rng)


def test_a_recurrent_layer_that_fires_and_learns():
    rng = np.random.default_rng(6)
    parts = [part(rng, (40, 50), 0.4), recurrent(rng, (33, 40), 0.4), recurrent(rng, (7, 33), 0.6)]
    own = chain(parts)
    fired = assert_equal_to_dense(parts, drawn(rng, 35, 50, 25, 0.2), rng, own=own)
    assert all(0.02 < float(layer.mean()) < 0.9 for layer in fired)
    assert all(found.recurrent.any() for found in own.gradients[1:])


def test_recurrent_states_beyond_24_bits():
    rng = np.random.default_rng(7)
    model = replace(NEURON, current_decay=1, voltage_decay=0, threshold=100_000, reset="subtract")
    one = recurrent(rng, (9, 80), 1.0, 3.0, model=model)
    own = chain([one])
    assert_equal_to_dense([one], drawn(rng, 5, 80, 80, 0.9), rng, own=own)
    assert own.layers[0].peak > 2**23


@settings(max_examples=20, deadline=None)
@given(seeds, spans)
def test_axonal_delays_of_each_source(seed, span):
    rng = np.random.default_rng(seed)
    parts = [part(rng, (20, 30), 0.4), recurrent(rng, (15, 20), 0.4), part(rng, (4, 15), 0.7)]
    delays = [rng.integers(0, 7, 20).astype(np.int32), 3, rng.integers(0, 3, 4).astype(np.int32)]
    assert_equal_to_dense(parts, drawn(rng, span[0], 30, span[1], 0.4), rng, delays=delays)


def pooled(shape, weight=1.0):
    channels, kernel = shape[0], (2, 2)
    geometry = Geometry(taken=shape, kernels=(channels, 1, *kernel), stride=kernel, groups=channels)
    rng = np.random.default_rng(0)
    ones = np.full(geometry.kernels, weight, np.float32)
    return replace(part(rng, geometry, 1.0), latent=ones, learns=False)


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(taken=(2, 9, 8), kernels=(6, 2, 3, 3)),
        Geometry(taken=(2, 9, 8), kernels=(6, 2, 3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        Geometry(taken=(4, 9, 8), kernels=(6, 2, 3, 3), groups=2, padding=(1, 1)),
        Geometry(taken=(1, 5, 5), kernels=(3, 1, 5, 5), padding=(4, 4), stride=(3, 3)),
        Geometry(taken=(3, 1, 1), kernels=(2, 3, 1, 1)),
    ],
)
@pytest.mark.parametrize(("batch", "n_steps"), [(5, 7), (16, 9), (33, 4), (1, 1)])
@pytest.mark.parametrize("density", [0.2, 1.0])
def test_convolutions_with_stored_taps(geometry, batch, n_steps, density):
    rng = np.random.default_rng(8)
    n = int(np.prod(geometry.given))
    parts = [part(rng, geometry, density, 0.9), part(rng, (5, n), 0.5, 1.5 / np.sqrt(n))]
    assert_equal_to_dense(parts, drawn(rng, batch, int(np.prod(geometry.taken)), n_steps, 0.2), rng)


def test_convolutions_and_pools_in_a_row():
    rng = np.random.default_rng(9)
    first = Geometry(taken=(2, 12, 12), kernels=(6, 2, 3, 3), padding=(1, 1))
    second = Geometry(taken=(6, 6, 6), kernels=(8, 6, 3, 3), padding=(1, 1))
    parts = [
        part(rng, first, 0.5),
        pooled((6, 12, 12)),
        part(rng, second, 0.3),
        pooled((8, 6, 6), 2.0),
        part(rng, (10, 72), 0.5, 0.3),
    ]
    own = chain(parts)
    fired = assert_equal_to_dense(parts, drawn(rng, 9, 288, 15, 0.2), rng, own=own)
    assert all(0.01 < float(layer.mean()) < 0.9 for layer in fired)


@pytest.mark.parametrize("way", ["events", "rows", "gather", "blocks"])
def test_payloads_into_the_first_layer(way):
    rng = np.random.default_rng(10)
    values = rng.integers(-20, 21, (18, 12, 30)) * (rng.random((18, 12, 30)) < 0.4)
    parts = [part(rng, (25, 30), 0.4, 0.1), part(rng, (6, 25), 0.6)]
    spikes = Spikes.of_events(Events.from_dense(values, graded=True))
    raster = values.transpose(0, 2, 1)
    fired = assert_equal_to_dense(parts, raster, rng, own=chain(parts, ways=[way]), spikes=spikes)
    assert fired[0].any()


def test_payloads_into_a_convolution():
    rng = np.random.default_rng(11)
    geometry = Geometry(taken=(2, 6, 5), kernels=(4, 2, 3, 3), padding=(1, 1))
    values = rng.integers(1, 21, (3, 8, 60)) * (rng.random((3, 8, 60)) < 0.3)
    one = part(rng, geometry, 0.6, 0.1)
    spikes = Spikes.of_events(Events.from_dense(values, graded=True))
    assert_equal_to_dense([one], values.transpose(0, 2, 1), rng, spikes=spikes)


def test_events_and_rasters_train_alike():
    rng = np.random.default_rng(12)
    parts = [part(rng, (30, 40), 0.4), part(rng, (6, 30), 0.6)]
    values = drawn(rng, 9, 40, 11, 0.2)
    gradient = rng.normal(size=(9, 6, 11)).astype(np.float32)
    found = []
    for spikes in (Spikes.of_raster(values), Spikes.of_events(Events.from_dense(values.transpose(0, 2, 1)))):
        own = chain(parts)
        own.forward(spikes)
        own.backward(gradient)
        found.append([g.weights for g in own.gradients])
    assert all(np.array_equal(a, b) for a, b in zip(*found))


def test_a_loss_on_the_spikes_of_a_hidden_layer_adds_its_gradient():
    rng = np.random.default_rng(13)
    parts = [part(rng, (30, 40), 0.4), part(rng, (6, 30), 0.6)]
    values = drawn(rng, 9, 40, 11, 0.2)
    own = chain(parts)
    own.forward(Spikes.of_raster(values))
    theirs, weights, _ = masked(parts, torch.from_numpy(values.astype(np.float32)))
    gradients = [rng.normal(size=layer.shape).astype(np.float32) for layer in theirs]
    sum((layer * torch.from_numpy(g)).sum() for layer, g in zip(theirs, gradients)).backward()
    own.backward(gradients[1], more={0: gradients[0]})
    for p, found, weight in zip(parts, own.gradients, weights):
        assert_close(found.weights, stored(p, weight.grad))
