"""Neurons over lanes: states and spikes of the reference's integers, below 24 bits and beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines.dynamics import step
from neurodeploy.engines.lanes.neurons import neurons_of, respond
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.network import STATE_LIMIT, Cuba, LeakyIntegrator

seeds = st.integers(0, 2**32 - 1)
decays = st.sampled_from([0, 1, 512, 2048, 4095, 4096])
models = st.one_of(
    st.builds(
        Cuba,
        current_decay=decays,
        voltage_decay=decays,
        threshold=st.integers(0, 3000),
        bias=st.sampled_from([0, -70, 3000]),
        reset=st.sampled_from(["zero", "subtract"]),
    ),
    st.builds(LeakyIntegrator, current_decay=decays, voltage_decay=decays, bias=st.sampled_from([0, 50])),
)


def rows_of(span, sums):
    """Rows over lanes for sums ``(batch, n, steps)``."""
    rows = span.rows(sums.shape[1], np.int32)
    span.samples_of(rows)[:] = sums
    return rows


def ours(model, sums, *, exponent=0, first_step=0, beyond=True):
    batch, n, n_steps = sums.shape
    span = Span(n_steps, batch)
    voltage, bits = span.rows(n, np.float32), np.zeros((n, span.width // 64), np.uint64)
    peak = respond(
        rows_of(span, sums), neurons_of(model, n), span, 0, exponent, bits, voltage, first_step, beyond=beyond
    )
    return Spikes(span, n, bits).to_raster() > 0, span.samples_of(voltage), peak


def expected(model, sums, first_step=0):
    """Spikes, voltages before the reset, and largest state, step by step from the reference."""
    batch, n, n_steps = sums.shape
    states = tuple(np.zeros((batch, n), np.int32) for _ in range(2))
    fired, voltage, peak = np.zeros(sums.shape, bool), np.zeros(sums.shape), 0
    plain = LeakyIntegrator(current_decay=model.current_decay, voltage_decay=model.voltage_decay, bias=model.bias)
    for t in range(first_step, n_steps):
        given_now = sums[..., t].astype(np.int32), np.zeros((batch, n), np.int32)
        before = step(plain, states, *given_now)
        after = step(model, states, *given_now)
        states, fired[..., t] = after.states, after.sent
        voltage[..., t] = before.states[1]
        peak = max(peak, *(int(abs(s).max()) for s in before.states))
    return fired, voltage, peak


@settings(max_examples=80, deadline=None)
@given(models, st.tuples(st.integers(1, 40), st.integers(1, 7), st.integers(1, 30)), st.integers(0, 4), seeds)
def test_spikes_and_states_are_those_of_the_reference(model, shape, first_step, seed):
    sums = np.random.default_rng(seed).integers(-300, 400, shape)
    fired, voltage, peak = ours(model, sums, first_step=first_step)
    wanted, state, largest = expected(model, sums, first_step)
    assert largest < STATE_LIMIT
    assert np.array_equal(fired, wanted)
    assert np.array_equal(voltage * 4096, state)
    assert peak == largest


def test_each_neuron_has_its_own_parameters():
    rng = np.random.default_rng(0)
    n = 33
    each = Cuba(
        current_decay=rng.integers(0, 4097, n),
        voltage_decay=rng.integers(0, 4097, n),
        threshold=rng.integers(0, 400, n),
        bias=rng.integers(-500, 500, n),
        reset="subtract",
    )
    sums = rng.integers(-300, 400, (5, n, 20))
    fired, voltage, _ = ours(each, sums)
    for k in range(n):
        names = ("current_decay", "voltage_decay", "threshold", "bias")
        one = replace(each, **{name: int(getattr(each, name)[k]) for name in names})
        alone = ours(one, sums[:, k : k + 1])
        assert np.array_equal(fired[:, k], alone[0][:, 0])
        assert np.array_equal(voltage[:, k], alone[1][:, 0])


@pytest.mark.parametrize("batch", [1, 15, 16, 17, 33])
def test_padded_samples_stay_silent_whatever_the_bias(batch):
    model = Cuba(current_decay=0, voltage_decay=0, threshold=1, bias=1000)
    span = Span(4, batch)
    bits = np.zeros((3, span.width // 64), np.uint64)
    nowhere = np.zeros((0, span.stride), np.float32)
    respond(span.rows(3, np.int32), neurons_of(model, 3), span, 0, 0, bits, nowhere)
    assert np.unpackbits(bits.view(np.uint8)).sum() == 3 * 4 * batch


@pytest.mark.parametrize("exponent", [-3, -1, 0, 2, 7])
def test_an_exponent_shifts_the_sum_and_rounds_down(exponent):
    model = Cuba(current_decay=512, voltage_decay=100, threshold=60)
    sums = np.random.default_rng(0).integers(-200, 300, (4, 5, 12))
    whole = sums << exponent if exponent >= 0 else sums >> -exponent
    for found, wanted in zip(ours(model, sums, exponent=exponent), ours(model, whole)):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("size", [2**12, 2**15, 2**20])
def test_states_beyond_24_bits_are_those_of_float64(reset, size):
    """Beyond 24 bits the numbers are slayer's: nothing folds, and the current makes a round trip through float32."""
    model = Cuba(current_decay=300, voltage_decay=40, threshold=100_000, reset=reset)
    sums = np.random.default_rng(0).integers(-size, 2 * size, (3, 2, 40))
    u, v, peak = np.zeros((3, 2)), np.zeros((3, 2)), 0.0
    fired, voltage, largest = ours(model, sums)
    for t in range(40):
        u = np.trunc(u * (1 - 300 / 4096)) + sums[..., t] * 64.0
        v = np.trunc(v * (1 - 40 / 4096)) + u.astype(np.float32)
        peak = max(peak, abs(u).max(), abs(v).max())
        assert np.array_equal(fired[..., t], v > 6_400_000)
        assert np.array_equal(voltage[..., t], v.astype(np.float32) / np.float32(4096))
        v = np.where(v > 6_400_000, v - 6_400_000 if reset == "subtract" else 0.0, v)
    assert largest == peak > STATE_LIMIT


def test_a_caller_may_ask_only_whether_states_stay_within_24_bits():
    model = Cuba(current_decay=0, voltage_decay=0, threshold=100)
    assert ours(model, np.full((1, 1, 9), 2**16), beyond=False)[2] >= STATE_LIMIT
