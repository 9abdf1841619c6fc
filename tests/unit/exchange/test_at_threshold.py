"""Neurons that fire at the threshold as well, as sinabs' do, with whole weights: exactly the spikes of its recurrence."""

import nir
import numpy as np
import pytest
from building import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy import from_nir, simulate, to_nir


def graph(weight, threshold):
    n_out, n_in = weight.shape
    one = np.ones(n_out, np.float32)
    nodes = {
        "input": nir.Input(np.array([n_in])),
        "fc": nir.Linear(weight.astype(np.float32)),
        "iaf": nir.IF(r=one, v_threshold=threshold * one, v_reset=0 * one),
        "output": nir.Output(np.array([n_out])),
    }
    return nir.NIRGraph(nodes, [("input", "fc"), ("fc", "iaf"), ("iaf", "output")])


def iaf(weight, threshold, x, reset):
    """One spike a step where ``v >= threshold``; then the voltage is 0, or the threshold is taken off."""
    v, out = np.zeros((len(x), len(weight))), []
    for t in range(x.shape[1]):
        v = v + x[:, t] @ weight.T
        fired = v >= threshold
        v = np.where(fired, v - threshold if reset == "subtract" else 0, v)
        out.append(fired)
    return np.stack(out, 1)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), threshold=st.integers(1, 8))
def test_spikes_are_those_of_the_framework_bit_for_bit(reset, seed, threshold):
    rng = np.random.default_rng(seed)
    weight, x = rng.integers(-3, 5, (3, 6)), (rng.random((4, 30, 6)) < 0.4).astype(np.uint8)
    network = from_nir(graph(weight, threshold), reading=f"sinabs,dt=1,reset={reset}")
    assert not any("fires above the threshold" in entry.what for entry in network.ledger)
    ran = simulate(network, samples({"input": x})).spikes["iaf"].to_dense()[:, 1:]
    assert np.array_equal(ran, iaf(weight, threshold, x.astype(int), reset))
    assert from_nir(to_nir(network)).fingerprint == network.fingerprint


def test_the_last_unit_of_a_subtraction_comes_off_in_the_next_step():
    network = from_nir(graph(np.array([[1, 2]]), 3), reading="sinabs,dt=1,reset=subtract")
    (loop,) = [p for p in network.projections if p.source == p.target]
    assert (loop.name, loop.synapses.weights.tolist(), loop.delay) == ("iaf.reset", [-1], 0)
