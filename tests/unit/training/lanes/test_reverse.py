"""The reverse pass of neurons over lanes against the compiled one of ``training/model/fused.py``."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines.lanes.neurons import neurons_of
from neurodeploy.engines.lanes.spikes import Span
from neurodeploy.network import Cuba
from neurodeploy.training.lanes.reverse import leak_back, leaks_of, slopes, surrogate_of
from neurodeploy.training.model.fused import CubaSettings, _leak_back, raised_threshold, surrogate

seeds = st.integers(0, 2**32 - 1)


def rows_of(span, values):
    rows = span.rows(values.shape[1], np.float32)
    span.samples_of(rows)[:] = values
    return rows


def voltages(rng, shape, width):
    """Voltages near and far from the threshold, on the grid of state units."""
    return (np.round(rng.normal(size=shape) * width * 4096) / 4096).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 6), st.integers(1, 20)),
    st.sampled_from([0.05, 1.0, 30.0]),
    st.integers(1, 5000),
    seeds,
)
def test_slopes_are_those_of_torch_to_the_last_bits(shape, tau, threshold, seed):
    rng = np.random.default_rng(seed)
    model = Cuba(current_decay=0, voltage_decay=0, threshold=threshold)
    span, neurons = Span(shape[2], shape[0]), neurons_of(model, shape[1])
    values = voltages(rng, shape, 10 * tau) + np.float32(threshold / 64)
    rows = rows_of(span, values)
    slopes(rows, surrogate_of(neurons, tau, 0.7), span, rows)
    ours = span.samples_of(rows)
    theirs = surrogate(torch.from_numpy(values), CubaSettings(neuron=model, tau=tau, scale=0.7)).numpy()
    distance = abs(values - raised_threshold(model).astype(np.float32)) / tau
    assert np.all(abs(ours - theirs) <= (distance + 3) * 2.0**-23 * theirs + 1e-38 / tau)
    assert theirs.max() > 0


def test_a_slope_far_from_the_threshold_is_as_good_as_zero():
    span, neurons = Span(1, 3), neurons_of(Cuba(current_decay=0, voltage_decay=0, threshold=64), 1)
    rows = rows_of(span, np.array([[[-2000.0]], [[2000.0]], [[90.0]]], np.float32))
    slopes(rows, surrogate_of(neurons, 1.0, 1.0), span, rows)
    assert np.all(span.samples_of(rows) >= 0)
    assert np.all(span.samples_of(rows) < 1e-37)


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 40), st.integers(1, 7), st.integers(1, 20)), seeds)
def test_errors_leak_back_in_the_order_of_slayer(shape, seed):
    """Given the slopes, every bit is that of ``fused.py``, which is slayer's."""
    rng = np.random.default_rng(seed)
    batch, n, n_steps = shape
    model = Cuba(
        current_decay=rng.integers(0, 4097, n),
        voltage_decay=rng.integers(0, 4097, n),
        threshold=rng.integers(1, 300, n),
    )
    span, neurons = Span(n_steps, batch), neurons_of(model, n)
    shown = surrogate_of(neurons, 1.0, 1.0)
    values, gradient = voltages(rng, shape, 4), rng.normal(size=shape).astype(np.float32)
    rows, slope = rows_of(span, values), rows_of(span, values)
    slopes(slope, shown, span, slope)
    wanted = np.ascontiguousarray(span.samples_of(slope) * gradient).reshape(batch * n, n_steps)
    keep = ((1 - decay / 4096).astype(np.float32) for decay in (model.current_decay, model.voltage_decay))
    _leak_back(wanted, *keep)
    lanes = span.stride, span.padded, span.n_steps
    leak_back(rows.reshape(-1), rows_of(span, gradient).reshape(-1), leaks_of(neurons, shown), lanes, 0, n, 0)
    assert np.array_equal(span.samples_of(rows), wanted.reshape(shape))
    assert not rows[:, span.lanes :].any()
