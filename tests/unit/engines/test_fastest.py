"""The engine ``event`` goes spike by spike or in lanes, by measured time, and its activities do not show which."""

from __future__ import annotations

import numpy as np
import pytest
from building import chain, neuron

from neurodeploy.engines import fastest
from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.fastest import Ways, run_fastest, ways_of
from neurodeploy.engines.fastest import settle as settle_now
from neurodeploy.engines.table import simulate
from neurodeploy.errors import SimulationError
from neurodeploy.network import Dense, Projection
from neurodeploy.network.activity import Events, Samples


def network(**options):
    rng = np.random.default_rng(0)
    return chain([rng.integers(-40, 60, (8, 20)), rng.integers(-40, 60, (3, 8))], neuron(threshold=90), **options)


def samples_of(n, rate=0.3, n_inputs=20):
    return Samples(inputs={"in": Events.from_dense(np.random.default_rng(1).random((n, 9, n_inputs)) < rate)})


def assert_same(ours, theirs):
    assert (ours.engine, ours.network, ours.n_steps) == ("event", theirs.network, theirs.n_steps)
    assert ours.overflow == theirs.overflow
    assert list(ours.spikes) == list(theirs.spikes)
    for name, spikes in theirs.spikes.items():
        own = ours.spikes[name]
        assert (own.size, own.n_steps, own.n_samples) == (spikes.size, spikes.n_steps, spikes.n_samples)
        assert np.array_equal(own.places(), spikes.places())


@pytest.fixture
def ran(monkeypatch):
    """Return the list of ways that were taken, with their numbers of samples."""
    taken = []

    def recorded(way, own):
        def run(net, samples, **options):
            taken.append((way, samples.n_samples))
            return own(net, samples, **options)

        monkeypatch.setattr(fastest, own.__name__, run)

    recorded("lanes", fastest.run_lanes)
    recorded("event", fastest.run_event)
    return taken


def settle(net, *, lanes_s, event_s, threads=None):
    ways = ways_of(net, threads)
    ways.spent_s, ways.tries, ways.lanes_s, ways.event_s = fastest.WORTH_S, 4, lanes_s, event_s


class TestChoice:
    def test_the_first_seconds_go_spike_by_spike(self):
        ways = Ways()
        assert ways.choose(10) == ("event", 10)
        assert ways.choose(10_000) == ("event", 512)
        ways.note("event", 512, 0.512)  # a millisecond each
        left = int((fastest.WORTH_S - 0.512) * 1000)
        assert ways.choose(10_000) == ("event", left // 64 * 64)

    def test_then_lanes_are_tried_and_the_faster_way_is_kept(self):
        for lanes_s, way in ((0.5, ("lanes", 1984)), (2.0, ("event", 2000))):
            ways = Ways()
            ways.note("event", 10, 10.0)
            for seconds in (50.0, lanes_s * 64, lanes_s * 99, lanes_s * 64):  # the first loads the loops
                assert not ways.settled
                assert ways.choose(2000) == ("lanes", 64)
                ways.note("lanes", 64, seconds)
            assert ways.settled
            assert ways.choose(2000) == way

    def test_what_fills_no_group_goes_spike_by_spike(self):
        ways = Ways(event_s=1.0, lanes_s=0.1, spent_s=9.0, tries=4)
        assert ways.choose(63) == ("event", 63)
        assert ways.choose(130) == ("lanes", 128)

    def test_a_slow_way_is_left_when_its_samples_change(self):
        ways = Ways(event_s=1.0, lanes_s=0.1, spent_s=9.0, tries=4)
        ways.note("lanes", 64, 640.0)
        assert ways.choose(64) == ("event", 64)


class TestRuns:
    @pytest.mark.parametrize("n", [64, 150, 700])
    @pytest.mark.parametrize("options", [{}, {"n_steps": 5}, {"on_overflow": "error"}])
    def test_lanes_give_the_activity_of_the_event_driven_engine(self, n, options, ran):
        net = network()
        settle(net, lanes_s=1e-9, event_s=1.0)
        assert_same(run_fastest(net, samples_of(n), **options), run_event(net, samples_of(n), **options))
        assert ("lanes", n // 64 * 64) in ran

    def test_the_tries_are_part_of_the_run(self, ran):
        net, seen = network(), []
        ways_of(net, 1).note("event", 1, fastest.WORTH_S)
        activity = run_fastest(net, samples_of(300), threads=1, progress=lambda done, of: seen.append((done, of)))
        assert_same(activity, run_event(net, samples_of(300)))
        assert ran[:4] == [("lanes", 64)] * 4
        assert sum(n for _, n in ran) == 300
        assert ways_of(net, 1).settled
        assert seen[:2] == [(64, 300), (128, 300)]
        assert seen[-1] == (300, 300)

    @pytest.mark.parametrize("way", ["lanes", "event"])
    def test_long_parts_tell_how_far_they_are(self, way):
        net, seen = network(), []
        settle(net, lanes_s=1e-9 if way == "lanes" else 2.0, event_s=1.0, threads=1)
        run_fastest(net, samples_of(700), threads=1, progress=lambda done, of: seen.append((done, of)))
        assert len(seen) > 2
        assert seen == sorted(seen)
        assert seen[-1] == (700, 700)

    def test_overflows_are_counted_and_refused_as_before(self):
        net = chain([np.full((5, 600), 255)], neuron(current_decay=4096, voltage_decay=0, threshold=4000))
        samples = samples_of(70, 1.0, 600)
        settle(net, lanes_s=1e-9, event_s=1.0)
        activity = run_fastest(net, samples)
        assert sum(activity.overflow.values())
        assert_same(activity, run_event(net, samples))
        with pytest.raises(SimulationError, match="a state left 24 bits"):
            run_fastest(net, samples, on_overflow="error")

    def test_what_lanes_do_not_offer_goes_spike_by_spike(self, ran):
        rng = np.random.default_rng(0)
        loop = Projection(name="loop", source="p1", target="p1", synapses=Dense(weights=rng.integers(-9, 9, (8, 8))))
        recurrent, plain = network(extra=[loop]), network()
        for net in (recurrent, plain):
            settle(net, lanes_s=1e-9, event_s=1.0)
        run_fastest(recurrent, samples_of(64))
        activity = run_fastest(plain, samples_of(64), probe=[("p1", "v")], labels={"p1": np.zeros(8, int)})
        assert activity.states["p1", "v"].shape == (64, 11, 8)
        assert activity.updated is not None
        run_fastest(plain, samples_of(64), on_overflow="wrap")
        assert [way for way, _ in ran] == ["event"] * 3
        with pytest.raises(SimulationError, match="on_overflow is 'never'"):
            run_fastest(plain, samples_of(64), on_overflow="never")

    def test_long_recordings_go_spike_by_spike(self, ran):
        net = network()
        settle(net, lanes_s=1e-9, event_s=1.0)
        long = 200_000
        events = Events(size=20, n_steps=long, n_samples=64, sample=[0], step=[7], neuron=[3])
        run_fastest(net, Samples(inputs={"in": events}))
        run_fastest(net, Samples(inputs={"in": events}), n_steps=9)
        assert [way for way, _ in ran] == ["event", "lanes"]

    def test_a_bench_may_have_both_ways_measured_at_once(self):
        net = network()
        ways = settle_now(net, samples_of(64))
        assert ways.settled
        assert 0 < ways.event_s < float("inf") > ways.lanes_s > 0
        assert not settle_now(net, samples_of(10), 2).settled

    def test_the_engine_event_is_the_fastest(self, ran):
        net = network()
        settle(net, lanes_s=1e-9, event_s=1.0)
        assert_same(simulate(net, samples_of(64)), run_event(net, samples_of(64)))
        assert ran == [("lanes", 64)]
