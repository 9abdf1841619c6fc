"""Growth without a dense matrix: the set of a dense gradient with a sort, and fair draws."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse_chains import part

from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.wiring import Geometry
from neurodeploy.errors import TrainingError
from neurodeploy.training.lanes.growth import Pass, draw_absent, largest_of

seeds = st.integers(0, 2**32 - 1)


def random_passes(rng, shape, n, batch=9, n_steps=11, rate=0.3, errors_of=None):
    """Passes of random spikes and errors through a layer of ``shape``, ``(targets, sources)``."""
    passes = []
    for _ in range(n):
        spikes = Spikes.of_raster(rng.random((batch, shape[1], n_steps)) < rate)
        errors = spikes.span.rows(shape[0], np.float32)
        values = rng.normal(size=(batch, shape[0], n_steps)) if errors_of is None else errors_of(batch, n_steps)
        spikes.span.samples_of(errors)[:] = values
        passes.append((spikes, errors))
    return passes


def dense_gradient(p, spikes, errors):
    """The gradient of every position, each summed as a stored one is."""
    from dataclasses import replace

    everywhere = replace(p, mask=np.ones_like(p.mask))
    return everywhere.synapses().gradient(spikes, errors)


def absent_of(p):
    return np.setdiff1d(np.arange(p.mask.size), p.position)


def best(score, absent, count):
    """Scores at least as high as the ``count``-th of the absent positions, and their positions."""
    level = np.sort(score[absent])[::-1][count - 1]
    return absent[score[absent] >= level], level


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 90)), st.sampled_from([0.0, 0.2, 0.9]), st.data(), seeds)
def test_candidates_are_the_largest_of_the_dense_gradient(shape, density, data, seed):
    rng = np.random.default_rng(seed)
    p = part(rng, shape, density)
    absent = absent_of(p)
    ((spikes, errors),) = random_passes(rng, shape, 1)
    count = data.draw(st.integers(0, absent.size))
    found = p.synapses().candidates([Pass(spikes, errors)], count, rng)
    score = abs(dense_gradient(p, spikes, errors))
    assert np.array_equal(found.score, score[found.position])
    assert np.all(np.diff(found.score) <= 0)
    assert np.unique(found.position).size == found.position.size >= count
    assert np.all(np.isin(found.position, absent))
    if count:
        wanted, level = best(score, absent, count)
        if level > 0:
            assert set(found.position) == set(wanted)
        else:
            assert set(found.position) >= set(absent[score[absent] > 0])
            assert found.position.size == count


def test_a_large_layer_forgets_what_is_small_on_the_way():
    """More positions with a gradient than the candidates have room for."""
    rng = np.random.default_rng(0)
    shape = (300, 400)
    p = part(rng, shape, 0.1)
    ((spikes, errors),) = random_passes(rng, shape, 1)
    found = p.synapses().candidates([Pass(spikes, errors)], 1000, rng)
    score = abs(dense_gradient(p, spikes, errors))
    assert set(found.position) == set(best(score, absent_of(p), 1000)[0])


def test_equal_scores_at_the_border_are_all_candidates():
    """Sources that fire alike have equal gradients, so that a choice among them is left to chance."""
    rng = np.random.default_rng(1)
    p = part(rng, (4, 50), 0.0)
    spikes = Spikes.of_raster(np.repeat(rng.random((9, 1, 11)) < 0.3, 50, axis=1))
    errors = spikes.span.rows(4, np.float32)
    spikes.span.samples_of(errors)[:] = rng.normal(size=(9, 4, 11))
    found = p.synapses().candidates([Pass(spikes, errors)], 20, rng)
    largest = int(np.argmax(abs(dense_gradient(p, spikes, errors).reshape(4, 50)[:, 1])))
    assert set(found.position // 50) == {largest}
    assert found.position.size == 50 - np.sum(p.position // 50 == largest)


def test_without_a_gradient_all_positions_are_drawn_alike():
    rng = np.random.default_rng(2)
    p = part(rng, (5, 6), 0.2)
    spikes = Spikes.of_raster(np.zeros((2, 6, 3)))
    errors = spikes.span.rows(5, np.float32)
    absent = absent_of(p)
    count = np.zeros(30)
    for k in range(2000):
        found = p.synapses().candidates([Pass(spikes, errors)], 4, np.random.default_rng(k))
        count[found.position] += 1
    assert np.all(np.isin(np.flatnonzero(count), absent))
    mean = 4 * 2000 / absent.size
    assert np.all(abs(count[absent] - mean) < 6 * np.sqrt(mean))


@pytest.mark.parametrize("kind", ["average", "sum"])
def test_several_passes_give_what_a_dense_buffer_holds(kind):
    rng = np.random.default_rng(3)
    p = part(rng, (40, 70), 0.2)
    buffer, kept = np.zeros(40 * 70, np.float32), []
    passes = [*random_passes(rng, (40, 70), 4), *random_passes(rng, (40, 70), 1, batch=20)]
    for k, (spikes, errors) in enumerate(passes):
        if k >= 2:
            kept.append(Pass(spikes, errors, 1 - 0.9, 0.9) if kind == "average" else Pass(spikes, errors, 0.5))
            gradient = dense_gradient(p, spikes, errors)
            old = buffer if kind == "sum" else np.float32(0.9) * buffer
            buffer = old + gradient * np.float32(0.1 if kind == "average" else 0.5)
    found = p.synapses().candidates(kept, 100, rng)
    assert set(found.position) == set(best(abs(buffer), absent_of(p), 100)[0])
    assert np.array_equal(found.score, abs(buffer)[found.position])


def test_taps_of_a_convolution_are_candidates():
    rng = np.random.default_rng(5)
    geometry = Geometry(taken=(3, 7, 7), kernels=(5, 3, 3, 3), padding=(1, 1))
    p = part(rng, geometry, 0.3)
    ((spikes, errors),) = random_passes(rng, (5 * 49, 3 * 49), 1)
    found = p.synapses().candidates([Pass(spikes, errors)], 20, rng)
    score = abs(dense_gradient(p, spikes, errors))
    assert set(found.position) == set(best(score, absent_of(p), 20)[0])


def test_nothing_of_the_size_of_the_matrix_is_allocated():
    rng = np.random.default_rng(6)
    targets, sources = 4000, 3000
    position = draw_absent(targets * sources, np.zeros(0, np.int64), 20_000, rng)
    from neurodeploy.training.lanes.synapses import Synapses

    own = Synapses((targets, sources), np.sort(position), np.ones(20_000, np.float32))
    ((spikes, errors),) = random_passes(rng, (targets, sources), 1, batch=2, n_steps=3)
    own.candidates([Pass(spikes, errors)], 500, rng)
    tracemalloc.start()
    own.candidates([Pass(spikes, errors)], 500, rng)
    draw_absent(targets * sources, own.wiring.position, 500, rng)
    own.move(own.wiring.position[:500], draw_absent(targets * sources, own.wiring.position, 500, rng))
    own.sums(spikes)
    own.gradient(spikes, errors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < targets * sources / 2  # bytes: half a byte for each position


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.floats(0, 1), st.data(), seeds)
def test_drawn_positions_are_different_and_absent(size, density, data, seed):
    rng = np.random.default_rng(seed)
    stored = np.flatnonzero(rng.random(size) < density)
    count = data.draw(st.integers(0, size - stored.size))
    drawn = draw_absent(size, stored, count, np.random.default_rng(seed))
    assert drawn.size == np.unique(drawn).size == count
    assert not np.isin(drawn, stored).any()
    assert np.all((drawn >= 0) & (drawn < size))
    assert np.array_equal(drawn, draw_absent(size, stored, count, np.random.default_rng(seed)))


@pytest.mark.parametrize("count", [3, 12])
def test_every_absent_position_is_drawn_equally_often(count):
    """Both ways to draw: few of many, and most of them."""
    stored, rounds = np.array([0, 3, 4, 5, 11, 19]), 4000
    seen, first = np.zeros(20), np.zeros(20)
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        drawn = draw_absent(20, stored, count, rng)
        seen[drawn] += 1
        first[drawn[0]] += 1
    absent = np.setdiff1d(np.arange(20), stored)
    for found, mean in ((seen, rounds * count / 14), (first, rounds / 14)):
        assert np.all(found[stored] == 0)
        assert np.all(abs(found[absent] - mean) < 5 * np.sqrt(mean))


def test_more_than_are_absent_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(TrainingError, match="sparse: 9 connections are to grow, but only 8 of 10 positions are absent"):
        draw_absent(10, np.array([1, 4]), 9, rng)
    with pytest.raises(TrainingError, match="sparse: 3 connections are to grow, but only 2 of 3 positions are absent"):
        largest_of(np.ones(3, np.float32), np.array([1]), 3, rng)
