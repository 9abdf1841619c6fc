"""``bench_simulate``: what its rows say, and that a contestant with other spikes gets no ratio."""

import numpy as np
import pytest

from neurodeploy.activity import Activity, Events
from neurodeploy.errors import UsageError
from neurodeploy.network import Dense, Sparse
from neurodeploy.simulate import bench
from neurodeploy.simulate.bench import Case, bench_simulate, make_network, numba_scatter, random_samples
from neurodeploy.simulate.event import run_event
from neurodeploy.simulate.reference import run_reference

CASE = Case("30-40-5", 0.5, 0.1, {1: 2.0, 3: None})


def network(name="30-40-5"):
    return make_network(name, 0.5, 0.1, np.random.default_rng(0))


def test_rows_name_network_kernel_peer_and_ratio():
    seen = []
    rows = bench_simulate(cases=[CASE], peers={"numba-scatter": numba_scatter}, rounds=1, progress=seen.append)
    assert seen == rows
    assert [(row["batch"], row["threads"], row["peer"], row["equal"]) for row in rows] == [
        (1, 1, "numba-scatter", True),
        (3, 2, "numba-scatter", True),
    ]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ms"])
        assert (row["network"], row["density"], row["rate"], row["kernel"]) == ("30-40-5", 0.5, 0.1, "dense")


def test_bar_counts_for_lava_alone():
    def slow(net, samples):
        return 1e6, run_reference(net, samples.take(0, 1))

    rows = bench_simulate(cases=[CASE], peers={"lava": slow, "other": slow}, rounds=1)
    assert [(row["peer"], row["batch"], row["bar"], row["met"]) for row in rows] == [
        ("lava", 1, 2.0, True),
        ("other", 1, None, None),
        ("lava", 3, None, None),
        ("other", 3, None, None),
    ]


def test_peer_with_other_spikes_has_no_ratio_and_misses_the_bar():
    def wrong(net, samples):
        right = run_event(net, samples.take(0, 1))
        last = right.spikes["layer2"]
        raster = last.to_dense()
        raster[0, 5, 0] ^= 1
        spikes = {**right.spikes, "layer2": Events.from_dense(raster)}
        return 1e6, Activity(engine="x", network="", n_steps=right.n_steps, spikes=spikes)

    row = bench_simulate(cases=[CASE], peers={"lava": wrong}, rounds=1)[0]
    assert (row["equal"], row["ratio"], row["met"]) == (False, None, False)


def test_peer_that_cannot_run_the_network_gives_no_row():
    assert bench_simulate(cases=[CASE], peers={"none": lambda _net, _samples: None}, rounds=1) == []


def test_populations_fire_at_about_the_rate_of_the_input():
    net = network("60-200-100")
    activity = run_event(net, random_samples(net, 5, 0.1, np.random.default_rng(3)))
    for name, events in activity.spikes.items():
        assert 0.05 < len(events) / (events.size * events.n_steps * events.n_samples) < 0.15, name


def test_plain_loop_gives_the_spikes_of_the_reference():
    net = network()
    samples = random_samples(net, 2, 0.1, np.random.default_rng(4))
    _, activity = numba_scatter(net, samples)
    assert bench._equal(run_reference(net, samples), activity)
    assert len(activity.spikes["layer1"]) > 100


def test_conv_net_has_34426_neurons_and_no_plain_loop():
    net = make_network("conv-34x34x2", 1.0, 0.02, np.random.default_rng(0))
    assert sum(p.size for p in net.populations) == 34426
    assert numba_scatter(net, random_samples(net, 1, 0.02, np.random.default_rng(0))) is None


def test_sparse_form_computes_the_same():
    net = network()
    form = bench.as_sparse(net)
    assert {type(p.synapses) for p in net.projections} == {Dense}
    assert {type(p.synapses) for p in form.projections} == {Sparse}
    samples = random_samples(net, 1, 0.2, np.random.default_rng(5))
    assert bench._equal(run_reference(net, samples), run_reference(form, samples))


def test_four_times_over_repeats_the_first_sample():
    samples = random_samples(network(), 2, 0.2, np.random.default_rng(6))
    long = bench._repeated(samples, 4).inputs["in"].to_dense()
    one = samples.inputs["in"].to_dense()[:1]
    assert np.array_equal(long, np.concatenate([one] * 4, axis=1))


def test_unknown_network_and_no_rounds():
    with pytest.raises(UsageError, match="there is no network 'resnet'"):
        network("resnet")
    with pytest.raises(UsageError, match="rounds is 0"):
        bench_simulate(cases=[CASE], peers={}, rounds=0)
