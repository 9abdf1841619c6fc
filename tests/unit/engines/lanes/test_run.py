"""A run in lanes: the spikes of the event-driven engine, bit for bit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from building import chain, neuron
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.lanes.run import AT_ONCE, refusal, run_lanes
from neurodeploy.errors import SimulationError
from neurodeploy.network import (
    Conv,
    Dense,
    Input,
    Network,
    Output,
    Pool,
    Population,
    Projection,
    Sparse,
)
from neurodeploy.network.activity import Events, Samples

seeds = st.integers(0, 2**32 - 1)


def samples_for(network, n, n_steps, rate, rng):
    inputs = {}
    for i in network.inputs:
        low, high = i.payload_range
        values = rng.integers(max(low, -1000), min(high, 1000) + 1, (n, n_steps, i.size))
        values = values * (rng.random(values.shape) < rate)
        inputs[i.name] = Events.from_dense(values, graded=i.graded)
    return Samples(inputs=inputs)


def assert_equal_to_event(network, samples, **options):
    assert refusal(network) is None
    lanes, event = run_lanes(network, samples, **options), run_event(network, samples, **options)
    assert lanes.spikes.keys() == event.spikes.keys()
    assert lanes.n_steps == event.n_steps
    assert lanes.overflow == event.overflow
    for name, spikes in event.spikes.items():
        own = lanes.spikes[name]
        assert (own.size, own.n_steps, own.n_samples) == (spikes.size, spikes.n_steps, spikes.n_samples)
        for column in ("sample", "step", "neuron"):
            assert np.array_equal(getattr(own, column), getattr(spikes, column)), (name, column)
    return event


def dense(rng, shape, density=0.4, largest=255):
    return rng.integers(-largest - 1, largest + 1, shape) * (rng.random(shape) < density)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=4),
    st.tuples(st.integers(1, 140), st.integers(1, 20)),
    st.sampled_from([0.0, 0.05, 0.4]),
    st.sampled_from(["zero", "subtract"]),
    st.sampled_from([0, -900, 700]),
    seeds,
)
def test_layers_in_a_row_fire_as_in_the_event_driven_engine(sizes, span, rate, reset, bias, seed):
    rng = np.random.default_rng(seed)
    weights = [dense(rng, (b, a)) for a, b in zip(sizes, sizes[1:])]
    network = chain(weights, neuron(threshold=int(rng.integers(0, 200)), bias=bias, reset=reset))
    assert_equal_to_event(network, samples_for(network, *span, rate, rng))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(-4, 3), st.sampled_from(["one", "source", "synapse"]))
def test_several_projections_with_delays_and_exponents_join(seed, exponent, kind):
    rng = np.random.default_rng(seed)
    delay = {"one": 2, "source": rng.integers(0, 6, 9), "synapse": rng.integers(0, 6, (12, 9))}[kind]
    network = Network(
        inputs=(Input(name="a", shape=(9,)), Input(name="b", shape=(5,))),
        populations=(
            Population(name="hidden", shape=(12,), model=neuron(threshold=60), first_step=2),
            Population(name="out", shape=(4,), model=neuron("leaky_integrator"), first_step=3),
            Population(name="side", shape=(4,), model=neuron(threshold=40), first_step=1),
        ),
        projections=(
            Projection(
                name="ah", source="a", target="hidden", synapses=Dense(weights=dense(rng, (12, 9))), delay=delay,
                weight_exponent=exponent,
            ),
            Projection(
                name="bh", source="b", target="hidden", synapses=Dense(weights=dense(rng, (12, 5))), delay=1,
                weight_exponent=-exponent,
            ),
            Projection(name="ho", source="hidden", target="out", synapses=Dense(weights=dense(rng, (4, 12)))),
            Projection(
                name="hs", source="hidden", target="side", synapses=Dense(weights=dense(rng, (4, 12))),
                delay=rng.integers(0, 9, 12),
            ),
            Projection(name="bs", source="b", target="side", synapses=Dense(weights=dense(rng, (4, 5)))),
        ),
        outputs=(Output(name="o", population="side"),),
    )  # fmt: skip
    event = assert_equal_to_event(network, samples_for(network, 30, 15, 0.3, rng))
    assert len(event.spikes["side"])


@pytest.mark.parametrize("payload_bits", [0, 8])
def test_convolutions_pools_and_stored_synapses_run(payload_bits):
    rng = np.random.default_rng(0)
    conv = Conv(weights=dense(rng, (6, 2, 3, 3), 0.7, 60), input_shape=(2, 8, 8), padding=(1, 1))
    pool = Pool(input_shape=(6, 8, 8), kernel=(2, 2), stride=(2, 2))
    start = np.arange(0, 97 * 3, 3)
    target = np.sort(rng.permuted(np.tile(np.arange(10), (96, 1)), axis=1)[:, :3], axis=1).ravel()
    last = Sparse(n_target=10, start=start, target=target, weights=rng.integers(-200, 200, target.size))
    model = neuron(threshold=1000 if payload_bits else 90)
    network = chain([conv, pool, last], model, shape=(2, 8, 8), graded=payload_bits)
    event = assert_equal_to_event(network, samples_for(network, 70, 12, 0.2, rng))
    assert all(len(event.spikes[p.name]) for p in network.populations)


def test_samples_with_a_state_beyond_24_bits_run_in_the_event_driven_engine():
    rng = np.random.default_rng(0)
    network = chain([np.full((5, 600), 255)], neuron(current_decay=4096, voltage_decay=0, threshold=4000))
    fired = rng.random((AT_ONCE + 10, 25, 600)) < 0.02
    fired[AT_ONCE + 3] = True  # the second part overflows, the first does not
    event = assert_equal_to_event(network, Samples(inputs={"in": Events.from_dense(fired)}))
    assert sum(event.overflow.values())


def test_fewer_steps_than_the_samples_have_may_be_run():
    rng = np.random.default_rng(0)
    network = chain([dense(rng, (8, 20)), dense(rng, (3, 8))])
    assert_equal_to_event(network, samples_for(network, 10, 20, 0.4, rng), n_steps=9)


def digest():
    """A hash over the spikes of layers that fire, in lanes, which those of the event-driven engine equal."""
    rng = np.random.default_rng(0)
    weights = [dense(rng, (150, 90), 0.2), dense(rng, (30, 150), 0.3), dense(rng, (5, 30))]
    event = assert_equal_to_event(chain(weights, neuron(threshold=300)), samples_for(chain(weights), 80, 25, 0.1, rng))
    columns = [np.stack([e.sample, e.step, e.neuron]) for e in event.spikes.values()]
    assert all(own.shape[1] > 100 for own in columns)
    return hashlib.sha256(np.concatenate(columns, axis=1).tobytes()).hexdigest()


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="instruction sets of x86-64")
@pytest.mark.slow
def test_spikes_are_the_same_on_every_instruction_set():
    """Kernels are compiled for AVX2 in another process (about 30 s)."""
    from building import ROOT

    environment = {**os.environ, "NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    code = "import sys; sys.path.insert(0, sys.argv[1]); from test_run import digest; print(digest())"
    command = [sys.executable, "-c", code, os.path.dirname(__file__)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest()


def test_many_parts_on_several_threads_equal_one_run():
    rng = np.random.default_rng(0)
    network = chain([dense(rng, (40, 30)), dense(rng, (6, 40))], neuron(threshold=90))
    samples = samples_for(network, 300, 11, 0.2, rng)
    assert_equal_to_event(network, samples, threads=3)
    seen = []
    run_lanes(network, samples, threads=3, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (300, 300)
    assert seen == sorted(seen)


def test_threads_give_the_same_spikes():
    rng = np.random.default_rng(0)
    network = chain([dense(rng, (300, 20)), dense(rng, (3, 300))])
    samples = samples_for(network, 20, 15, 0.4, rng)
    one, three = (run_lanes(network, samples, threads=n) for n in (1, 3))
    assert all(np.array_equal(one.spikes[k].places(), three.spikes[k].places()) for k in one.spikes)


def test_networks_that_lanes_do_not_take_are_named():
    rng = np.random.default_rng(0)
    loop = Projection(name="loop", source="p1", target="p1", synapses=Dense(weights=dense(rng, (4, 4))))
    recurrent = chain([dense(rng, (4, 6))], extra=[loop])
    assert refusal(recurrent) == "it has a cycle, and a layer runs over all steps at once"
    with pytest.raises(
        SimulationError, match="simulate: lanes cannot run this network: it has a cycle.*use the engine event"
    ):
        run_lanes(recurrent, samples_for(recurrent, 1, 3, 0.5, rng))
    assert "other than CUBA" in str(refusal(chain([dense(rng, (4, 6))], neuron("sigma_delta"))))
    large = Conv(weights=np.full((1, 60, 30, 30), 255), input_shape=(60, 30, 30))
    assert refusal(chain([large], shape=(60, 30, 30))) == "a sum of projection 'w1' may wrap at 24 bits"
