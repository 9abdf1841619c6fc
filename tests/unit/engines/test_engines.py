"""One suite for all engines: every row of ``ENGINES`` holds the laws of the simulator, by hand or as the reference does.

An engine that another package adds to the table is tested by the same laws once its row is there. The runtime of Lava, which
takes seconds to start, is held to those of whole networks alone; ``test_overflow.py`` has the laws of states at the edge of
24 bits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import chain, connect, engines, every_kind, neuron, one_layer, samples, spikes, wired

from neurodeploy.engines.dynamics import OVERFLOWS
from neurodeploy.engines.lava.plan import make_job
from neurodeploy.engines.table import ENGINES, simulate
from neurodeploy.errors import SimulationError, UsageError
from neurodeploy.network import Conv, Cuba, Dense, LeakyIntegrator, Network, Output, Pool, Sparse
from neurodeploy.network.activity import Activity, Events, Samples

LIMIT = 2**23
KEEP = Cuba(current_decay=0, voltage_decay=0, threshold=2**17 - 1)

EVERY = engines()
HERE = engines(lambda engine: engine.seconds is None)
"""Those that start at once, without a process of their own."""
OTHERS = engines(lambda engine: engine.seconds is None and engine is not ENGINES["reference"])
OWN_PROCESS = engines(lambda engine: engine.seconds is not None)
FREE = engines(lambda engine: "wrap" not in engine.refused)
"""Those that are not bound to what Lava computes: any weights, any way to handle overflow."""
SEEING = engines(lambda engine: engine.sees_overflow)
COUNTING = engines(lambda engine: engine.counts_updates)


@pytest.fixture(autouse=True)
def _of_lava(request):
    """An engine of Lava needs its package; its runtime leaves no process, shared memory or folder behind."""
    engine = request.node.callspec.params.get("engine", "") if hasattr(request.node, "callspec") else ""
    if engine == "lava-in-process":
        pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    if engine == "lava":
        request.getfixturevalue("leaves_nothing")


def lif(threshold=1, **changes):
    return Cuba(**{"current_decay": 4096, "voltage_decay": 4096, "threshold": threshold, **changes})


def network(synapses, model=None, n_target=1, n_source=1, **settings):
    """One input 'in' into one population 'out'."""
    return one_layer(synapses, model or lif(), shape=(n_source,), target_shape=(n_target,), **settings)


def steps(*rows):
    """One sample; each row is a step and holds 0 or 1 per channel."""
    return samples(np.array([rows], np.int8))


def sent(activity, name="out"):
    """(step, neuron) of all spikes of one population in sample 0."""
    events = activity.spikes[name]
    return [(int(t), int(n)) for s, t, n in zip(events.sample, events.step, events.neuron) if s == 0]


def states(activity, state, name="out"):
    return activity.states[name, state][0].tolist()


def assert_same(ours: Activity, reference: Activity) -> None:
    assert set(ours.spikes) == set(reference.spikes)
    for name, events in reference.spikes.items():
        np.testing.assert_array_equal(ours.spikes[name].to_dense(), events.to_dense(), err_msg=name)
    assert set(ours.states) == set(reference.states)
    for key, state in reference.states.items():
        np.testing.assert_array_equal(ours.states[key], state, err_msg=str(key))


@pytest.mark.parametrize("engine", HERE)
class TestClock:
    def test_spike_arrives_one_step_after_it_was_sent(self, engine):
        activity = simulate(network(Dense(weights=[[2]])), steps([1], [0], [0]), engine=engine)
        assert (sent(activity, "in"), sent(activity)) == ([(0, 0)], [(1, 0)])

    def test_input_of_the_last_step_is_seen_because_the_depth_is_added(self, engine):
        activity = simulate(network(Dense(weights=[[2]])), steps([0], [1]), engine=engine)
        assert (activity.n_steps, sent(activity)) == (3, [(2, 0)])

    def test_n_steps_cuts_the_run_and_the_input(self, engine):
        activity = simulate(network(Dense(weights=[[2]])), steps([1], [0], [1]), n_steps=2, engine=engine)
        assert (activity.n_steps, sent(activity, "in"), sent(activity)) == (2, [(0, 0)], [(1, 0)])

    @pytest.mark.parametrize("delay", [0, 1, 5, 62])
    def test_delay_counts_beyond_the_one_step_of_every_spike(self, engine, delay):
        activity = simulate(network(Dense(weights=[[2]]), delay=delay), steps([1], [0]), n_steps=70, engine=engine)
        assert sent(activity) == [(1 + delay, 0)]

    def test_axonal_delay_belongs_to_the_source(self, engine):
        net = network(Dense(weights=[[2, 2]]), n_source=2, delay=np.array([0, 2]))
        assert sent(simulate(net, steps([1, 1], [0, 0]), n_steps=6, engine=engine)) == [(1, 0), (3, 0)]

    def test_axonal_delay_of_a_conv_projection(self, engine):
        conv = Conv(weights=np.full((1, 1, 1, 1), 2), input_shape=(1, 1, 2))
        net = network(conv, n_source=2, n_target=2, delay=np.array([1, 0]))
        assert sent(simulate(net, steps([1, 1]), n_steps=4, engine=engine)) == [(1, 1), (2, 0)]

    def test_synaptic_delay_belongs_to_one_weight(self, engine):
        net = network(Dense(weights=[[2], [2]]), n_target=2, delay=np.array([[3], [0]]))
        assert sent(simulate(net, steps([1]), n_steps=6, engine=engine)) == [(1, 1), (4, 0)]

    def test_bias_acts_from_the_first_step_on(self, engine):
        net = network(Dense(weights=[[0]]), lif(10**5, voltage_decay=0, bias=10), first_step=2)
        activity = simulate(net, steps([1], [1]), probe=[("out", "v")], engine=engine)
        assert states(activity, "v") == [[0], [0], [10], [20]]

    def test_input_before_the_first_step_is_lost(self, engine):
        net = network(Dense(weights=[[5]]), KEEP, first_step=2)
        activity = simulate(net, steps([1], [1]), probe=[("out", "u")], engine=engine)
        assert states(activity, "u") == [[0], [0], [320], [320]]

    def test_recurrent_spike_comes_back_after_one_step(self, engine):
        """Neuron 0 wakes neuron 1, which wakes neuron 0: a ring of two."""
        ring = connect("out", "out", [[0, 2], [2, 0]])
        net = network(Dense(weights=[[2], [0]]), n_target=2, extra=[ring])
        assert sent(simulate(net, steps([1]), n_steps=5, engine=engine)) == [(1, 0), (2, 1), (3, 0), (4, 1)]

    def test_each_sample_starts_from_rest(self, engine):
        raster = np.array([[[1], [1]], [[0], [1]]], np.int8)
        net = network(Dense(weights=[[2]]), KEEP)
        activity = simulate(net, samples(raster), probe=[("out", "u")], engine=engine)
        assert activity.states["out", "u"][:, :, 0].tolist() == [[0, 128, 256], [0, 0, 128]]


class TestSums:
    @pytest.mark.parametrize("engine", HERE)
    def test_positive_exponent_shifts_the_sum_left(self, engine):
        activity = simulate(
            network(Dense(weights=[[3]]), KEEP, weight_exponent=4), steps([1]), probe=[("out", "u")], engine=engine
        )
        assert states(activity, "u") == [[0], [3 * 16 * 64]]

    @pytest.mark.parametrize("engine", FREE)
    def test_negative_exponent_rounds_the_sum_of_one_step_down(self, engine):
        """-3 - 4 = -7 becomes -4, not -2 - 2; 5 becomes 2."""
        net = network(Dense(weights=[[-3, -4], [5, 0]]), KEEP, n_source=2, n_target=2, weight_exponent=-1)
        activity = simulate(net, steps([1, 1]), probe=[("out", "u")], engine=engine)
        assert states(activity, "u")[1] == [-4 * 64, 2 * 64]

    @pytest.mark.parametrize("engine", HERE)
    def test_negative_exponent_rounds_each_delay_apart(self, engine):
        """Sent in steps 0 and 1 with delays 1 and 0, both arrive in step 2; -1 and -1 become -1 and -1, not -1."""
        net = network(Dense(weights=[[-1, -1]]), KEEP, n_source=2, weight_exponent=-1, delay=np.array([1, 0]))
        activity = simulate(net, steps([1, 0], [0, 1]), probe=[("out", "u")], engine=engine)
        assert states(activity, "u") == [[0], [0], [-2 * 64]]

    @pytest.mark.parametrize("engine", HERE)
    def test_projections_are_shifted_before_they_are_added(self, engine):
        other = connect("in", "out", [[3]], weight_exponent=-1)
        net = network(Dense(weights=[[3]]), KEEP, weight_exponent=-1, extra=[other])
        assert states(simulate(net, steps([1]), probe=[("out", "u")], engine=engine), "u")[1] == [2 * 64]

    @pytest.mark.parametrize("engine", HERE)
    def test_sum_of_a_conv_wraps_at_24_bits_and_is_flagged(self, engine):
        """258 taps of 255 with exponent 7 are 2**23 + 32512, which becomes 32512 - 2**23; a dense sum stays."""
        weights = np.full((1, 258, 1, 1), 255)
        conv = Conv(weights=weights, input_shape=(258, 1, 1))
        dense = Dense(weights=weights.reshape(1, 258))
        for synapses, expected in ((conv, (32512 - LIMIT) * 64 + 2 * LIMIT), (dense, (32512 + LIMIT) * 64 - 2 * LIMIT)):
            net = network(synapses, KEEP, n_source=258, weight_exponent=7)
            activity = simulate(net, steps([1] * 258), probe=[("out", "u")], engine=engine)
            assert states(activity, "u")[1] == [expected]
            assert activity.overflow == {"out": 1}

    @pytest.mark.parametrize("engine", HERE)
    def test_wrapped_sum_of_a_conv_is_flagged_even_where_the_current_stays_small(self, engine):
        """512 taps of 256 with exponent 7 are 2**24, which becomes 0."""
        conv = Conv(weights=np.full((1, 512, 1, 1), -256), input_shape=(512, 1, 1))
        net = network(conv, KEEP, n_source=512, weight_exponent=7)
        activity = simulate(net, steps([1] * 512), probe=[("out", "u")], engine=engine)
        assert (states(activity, "u")[1], activity.overflow) == ([0], {"out": 1})

    @pytest.mark.parametrize("engine", HERE)
    def test_several_inputs_outputs_and_a_skip_connection(self, engine):
        """x -> a -> b and x -> b with delay 1, y -> b: all three arrive at b in step 2."""
        net = wired(
            {"x": 1, "y": 1},
            {"a": (1, lif(1)), "b": (1, KEEP, 2)},
            [
                connect("x", "a", [[2]]),
                connect("a", "b", [[10]]),
                connect("x", "b", [[100]], delay=1),
                connect("y", "b", [[-1]], delay=1),
            ],
            [Output(name="first", population="a"), Output(name="second", population="b")],
        )
        activity = simulate(net, samples({"x": [[[1]]], "y": [[[1]]]}), probe=[("b", "u")], engine=engine)
        assert states(activity, "u", "b") == [[0], [0], [109 * 64]]
        assert set(activity.spikes) == {"x", "y", "a", "b"}


class TestRecords:
    @pytest.mark.parametrize("engine", COUNTING)
    def test_updated_counts_neurons_not_at_rest_by_label(self, engine):
        """Step 1: input; step 2: only the current of neuron 0 is left; step 3: nothing but the bias of neuron 2."""
        model = Cuba(current_decay=2048, voltage_decay=4096, threshold=9, bias=np.array([0, 0, -1]))
        net = network(Dense(weights=[[1], [0], [0]]), model, n_target=3)
        activity = simulate(net, steps([1]), n_steps=10, labels={"out": np.array([0, 0, 1])}, engine=engine)
        assert activity.updated[0, :, 1].tolist() == [0] + [1] * 9
        assert activity.updated[0, :, 0].tolist() == [0] + [1] * 8 + [0]

    @pytest.mark.parametrize("engine", COUNTING)
    def test_populations_without_labels_are_not_counted(self, engine):
        assert simulate(network(Dense(weights=[[2]])), steps([1]), labels={}, engine=engine).updated.shape == (1, 2, 0)

    @pytest.mark.parametrize("engine", SEEING)
    def test_overflow_is_counted_and_can_be_refused(self, engine):
        net = network(Dense(weights=[[255]]), KEEP, weight_exponent=7)
        many = steps(*[[1]] * 6)
        assert simulate(net, many, engine=engine).overflow == {"out": 1}
        with pytest.raises(SimulationError, match=rf"left 24 bits .* in 'out' \(1 times\), engine '{engine}'; lower"):
            simulate(net, many, on_overflow="error", engine=engine)

    @pytest.mark.parametrize("engine", EVERY)
    def test_activity_names_engine_and_network(self, engine):
        net = network(Dense(weights=[[2]]))
        activity = simulate(net, steps([1]), engine=engine)
        assert (activity.engine, activity.network) == (engine, net.fingerprint)


@pytest.mark.parametrize("engine", EVERY)
class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"probe": [("in", "v")]},
                r"probe \('in', 'v'\) is not possible; give a population and one of its states \(out: u v\)",
            ),
            ({"probe": [("out", "w")]}, r"probe \('out', 'w'\) is not possible"),
            ({"labels": {"in": np.zeros(1, int)}}, "labels are given for 'in', which is no population"),
            ({"labels": {"out": np.zeros(2, int)}}, r"labels of 'out' must be 1 whole numbers from 0 on.*\(2,\)"),
            ({"labels": {"out": np.array([-1])}}, "labels of 'out' must be 1 whole numbers from 0 on"),
            (
                {"labels": {"out": np.array([0.5])}},
                "labels of 'out' must be 1 whole numbers from 0 on, they are float64",
            ),
            ({"n_steps": 0}, "n_steps is 0, must be at least 1"),
        ],
    )
    def test_impossible_options(self, engine, options, message):
        known = "labels" not in options or ENGINES[engine].counts_updates
        error, said = (SimulationError, message) if known else (UsageError, "counts no updated neurons")
        with pytest.raises(error, match=said):
            simulate(network(Dense(weights=[[2]])), steps([1]), **options, engine=engine)

    def test_samples_of_another_network(self, engine):
        net = network(Dense(weights=[[2]]))
        with pytest.raises(SimulationError, match=r"events for \['x'\], the network has the inputs \['in'\]"):
            simulate(net, samples([[[1]]], "x"), engine=engine)
        with pytest.raises(SimulationError, match="input 'in' has 1 channels, its events are for 2"):
            simulate(net, steps([1, 0]), engine=engine)

    def test_numbers_for_an_input_of_plain_spikes(self, engine):
        graded = Events(size=1, n_steps=1, n_samples=1, sample=[0], step=[0], neuron=[0], payload=[2])
        with pytest.raises(SimulationError, match=r"events for input 'in' carry payloads.*payload_bits=8"):
            simulate(network(Dense(weights=[[2]])), Samples(inputs={"in": graded}), engine=engine)

    def test_no_samples(self, engine):
        with pytest.raises(SimulationError, match="there are 0 samples of 3 steps"):
            simulate(network(Dense(weights=[[2]])), samples(np.zeros((0, 3, 1), int)), engine=engine)


def model(threshold: int = 60, **others: object) -> Cuba:
    return neuron("cuba", **{"current_decay": 1500, "voltage_decay": 300, "threshold": threshold} | others)


def even(rng: np.random.Generator, *shape: int, low: int = -50, high: int = 70) -> np.ndarray:
    return (rng.integers(low, high, shape) * 2 * (rng.random(shape) < 0.6)).astype(np.int16)


def any_sign(rng: np.random.Generator, *shape: int, sign: int = 1) -> np.ndarray:
    return (sign * rng.integers(0, 90, shape)).astype(np.int16)


def sparse(matrix: np.ndarray) -> Sparse:
    source, target = np.nonzero(matrix.T)
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(matrix, axis=0))])
    return Sparse(n_target=len(matrix), start=start, target=target, weights=matrix[target, source])


def pair(synapses: object, neurons: Cuba | LeakyIntegrator | None = None, **others: object) -> Network:
    """One input, one population, one projection."""
    return one_layer(synapses, neurons or model(), target="a", wire="p", **others)


def drive(net: Network, n: int = 2, steps: int = 25, rate: float = 0.2) -> Samples:
    rng = np.random.default_rng(7)
    return samples({i.name: rng.random((n, steps, i.size)) < rate for i in net.inputs})


def check(engine: str, net: Network, process: str | None = None, **options: float) -> Activity:
    """Compare spikes, states and overflow with the reference; the first projection becomes the ``process`` in Lava."""
    given = drive(net, **options)
    probe = tuple((p.name, which) for p in net.populations for which in ("u", "v"))
    reference, ours = (simulate(net, given, engine=name, probe=probe) for name in ("reference", engine))
    assert sum(len(reference.spikes[p.name]) for p in net.populations) > 0, "the case must have spikes to compare"
    if process is not None and engine.startswith("lava"):
        assert make_job(net, given, 10)["projections"][0]["process"] == process
    assert_same(ours, reference)
    if ENGINES[engine].sees_overflow:
        assert dict(ours.overflow) == dict(reference.overflow)
    return reference


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("engine", OTHERS)
class TestDenseAndSparse:
    @pytest.mark.parametrize("exponent", [-3, -1, 0, 1, 4])
    def test_exponent_shifts_the_sum(self, engine, rng, exponent):
        check(engine, pair(even(rng, 9, 7), model(30), weight_exponent=exponent), "Dense")
        check(engine, pair(sparse(even(rng, 9, 7)), model(30), weight_exponent=exponent), "Sparse")

    def test_odd_weights_of_one_sign(self, engine, rng):
        check(engine, pair(any_sign(rng, 9, 7)), "Dense")
        up, down = any_sign(rng, 9, 7), sparse(any_sign(rng, 9, 7, sign=-1))
        both = wired({"in": 7}, {"a": (9, model(20))}, [connect("in", "a", up, "up"), connect("in", "a", down, "down")])
        check(engine, both, "Dense")

    @pytest.mark.parametrize("delay", [1, 5, 62])
    def test_one_delay_for_all(self, engine, rng, delay):
        check(engine, pair(even(rng, 9, 7), delay=delay), "DelayDense", steps=70)
        check(engine, pair(sparse(even(rng, 9, 7)), delay=delay), "DelaySparse", steps=70)

    def test_delay_of_each_source_neuron(self, engine, rng):
        delay = np.array([0, 3, 1, 0, 7, 2, 2])
        check(engine, pair(even(rng, 9, 7), delay=delay, weight_exponent=-1), "DelayDense")
        check(engine, pair(sparse(even(rng, 9, 7)), delay=delay, weight_exponent=-1), "DelaySparse")

    def test_delay_of_each_synapse(self, engine, rng):
        delay = rng.integers(0, 9, (9, 7))
        check(engine, pair(even(rng, 9, 7), delay=delay, weight_exponent=-2), "DelayDense")

    def test_delay_of_sources_without_synapses_only(self, engine, rng):
        matrix = even(rng, 9, 7)
        matrix[:, 0] = 0
        check(engine, pair(sparse(matrix), delay=np.array([4, 0, 0, 0, 0, 0, 0])), "Sparse")

    def test_no_synapse_at_all_beside_one_that_works(self, engine, rng):
        nothing = np.zeros((9, 7), np.int16)
        projections = [
            connect("in", "a", sparse(nothing), "none", delay=3),
            connect("in", "a", nothing, "zero"),
            connect("in", "a", even(rng, 9, 7), "some"),
        ]
        check(engine, wired({"in": 7}, {"a": (9, model())}, projections), "Sparse")

    def test_extreme_weights_and_full_drive_wrap_the_current_as_in_the_reference(self, engine, rng):
        matrix = np.where(rng.random((6, 40)) < 0.5, -256, 254).astype(np.int16)
        matrix[0], matrix[1] = -256, 254
        net = pair(matrix, model(2**17 - 1, current_decay=0), weight_exponent=7)
        assert check(engine, net, "Dense", rate=0.9).overflow["a"] > 0


@pytest.mark.parametrize("engine", OTHERS)
class TestConvolution:
    @pytest.mark.parametrize(
        ("kernel", "options"),
        [
            ((3, 3), {"padding": (1, 1)}),
            ((3, 5), {"stride": (2, 1), "groups": 2}),
            ((2, 3), {"dilation": (2, 3), "padding": (1, 2)}),
            ((1, 1), {}),
            ((3, 2), {"stride": (1, 2), "padding": (2, 0), "dilation": (1, 2), "groups": 2}),
        ],
    )
    @pytest.mark.parametrize("exponent", [0, 2])
    def test_conv_with_every_option_on_a_field_that_is_not_square(self, engine, rng, kernel, options, exponent):
        weights = even(rng, 6, 4 // options.get("groups", 1), *kernel) + np.int16(1)
        conv = Conv(weights=weights, input_shape=(4, 7, 9), **options)
        check(engine, pair(conv, weight_exponent=exponent), "Conv", steps=8)

    @pytest.mark.parametrize(
        ("others", "process"),
        [
            ({"delay": 2}, "DelaySparse"),
            ({"delay": np.arange(140) % 5}, "DelaySparse"),
            ({"weight_exponent": -2}, "Sparse"),
            ({"delay": 1, "weight_exponent": 1}, "DelaySparse"),
        ],
    )
    def test_conv_that_lava_lacks_becomes_a_sparse_matrix(self, engine, rng, others, process):
        conv = Conv(weights=even(rng, 6, 2, 3, 2), input_shape=(4, 5, 7), stride=(2, 1), padding=(1, 0), groups=2)
        check(engine, pair(conv, **others), process, steps=12, rate=0.4)

    def test_pool_sums_each_channel(self, engine):
        pool = Pool(input_shape=(3, 6, 7), kernel=(2, 3), stride=(2, 2), padding=(0, 1), weight=40)
        check(engine, pair(pool), "Conv", steps=8)

    def test_more_groups_than_lava_counts_becomes_a_sparse_matrix(self, engine):
        pool = Pool(input_shape=(130, 2, 2), kernel=(2, 2), stride=(2, 2), weight=40)
        check(engine, pair(pool), "Sparse", steps=4)

    def test_conv_pool_conv_dense(self, engine, rng):
        first = Conv(weights=even(rng, 4, 2, 3, 3), input_shape=(2, 8, 6), padding=(1, 1))
        pool = Pool(input_shape=(4, 8, 6), kernel=(2, 2), stride=(2, 2))
        second = Conv(weights=even(rng, 3, 4, 3, 3), input_shape=(4, 4, 3), padding=(1, 1))
        check(engine, chain([first, pool, second, even(rng, 5, 36)], model()), "Conv", steps=10)


@pytest.mark.parametrize("engine", OTHERS)
class TestShapesOfNetworks:
    def test_recurrent_population(self, engine, rng):
        projections = [
            connect("x", "a", even(rng, 8, 6)),
            connect("a", "a", even(rng, 8, 8), "self"),
            connect("a", "a", sparse(even(rng, 8, 8)), "late self", delay=4),
            connect("b", "a", even(rng, 8, 4), "back"),
            connect("a", "b", even(rng, 4, 8), "on"),
        ]
        check(engine, wired({"x": 6}, {"a": (8, model()), "b": (4, model(), 2)}, projections))

    def test_two_inputs_skip_connection_and_biases(self, engine, rng):
        populations = {
            "a": (8, model(bias=np.arange(8) * 100)),
            "b": (4, model(bias=-50), 2),
            "c": (3, LeakyIntegrator(current_decay=9, voltage_decay=99, bias=7), 3),
        }
        projections = [
            connect("x", "a", even(rng, 8, 6)),
            connect("a", "b", even(rng, 4, 8)),
            connect("y", "b", even(rng, 4, 5), delay=1),
            connect("x", "b", sparse(even(rng, 4, 6))),
            connect("b", "c", even(rng, 3, 4)),
            connect("a", "c", even(rng, 3, 8), delay=1),
        ]
        check(engine, wired({"x": 6, "y": 5}, populations, projections))

    def test_a_late_population_forgets_what_arrived_before_its_first_step(self, engine, rng):
        check(engine, pair(even(rng, 9, 7, low=0), model(bias=4000), first_step=6), rate=0.5)

    def test_a_first_step_of_zero_lets_the_bias_begin_with_the_inputs(self, engine, rng):
        check(engine, pair(even(rng, 9, 7), model(bias=4000), first_step=0))

    def test_a_population_that_nothing_reaches(self, engine, rng):
        populations = {"a": (9, model()), "alone": (3, model(bias=900), 2)}
        net = wired({"in": 7, "unused": 2}, populations, [connect("in", "a", even(rng, 9, 7))])
        assert len(check(engine, net).spikes["alone"]) > 0

    def test_fewer_steps_than_the_depth(self, engine, rng):
        net = pair(even(rng, 9, 7), first_step=4)
        given = drive(net)
        assert_same(*(simulate(net, given, n_steps=3, engine=name) for name in (engine, "reference")))


def layers(*weights: np.ndarray, **parameters: object) -> Network:
    """A chain of dense layers of CUBA neurons."""
    named = {f"layer{i}": w for i, w in enumerate(weights, start=1)}
    return chain(named, neuron("cuba", **{"voltage_decay": 200} | parameters), wire="into {target}")


def side_by_side(models: list[Cuba], weights: list[np.ndarray]) -> tuple[Network, Samples, tuple[tuple[str, str], ...]]:
    """Populations that one input reaches, samples for them, and probes of all their states."""
    cases = {f"case{i}": (len(w), m) for i, (w, m) in enumerate(zip(weights, models))}
    projections = [connect("in", name, w) for name, w in zip(cases, weights)]
    n_in = weights[0].shape[1]
    return wired({"in": n_in}, cases, projections), noise(2, 20, n_in), tuple((n, s) for n in cases for s in "uv")


def halved(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Even weights of both signs, half of them zero."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-40, 60, shape) * 2 * (rng.random(shape) < 0.5)).astype(np.int16)


def noise(n: int, steps: int, size: int, rate: float = 0.15) -> Samples:
    return spikes((n, steps, size), rate, seed=1)


def assert_equal_to_reference(
    engine: str, net: Network, given: Samples, probe: tuple[tuple[str, str], ...] = ()
) -> None:
    assert_same(*(simulate(net, given, engine=name, probe=probe) for name in (engine, "reference")))


@pytest.mark.parametrize("engine", [*OTHERS, *OWN_PROCESS])
class TestRun:
    """Whole networks, also on an engine in a process of its own."""

    def test_two_layers_and_four_samples_equal_the_reference_in_spikes_and_states(self, engine):
        net = layers(halved((30, 20)), halved((10, 30), seed=2))
        assert_equal_to_reference(engine, net, noise(4, 40, 20), probe=(("layer1", "u"), ("layer2", "v")))

    def test_decays_at_the_ends_of_their_range(self, engine):
        decays = [(0, 0), (4096, 4096), (4096, 0), (1, 4095)]
        models = [Cuba(current_decay=u, voltage_decay=v, threshold=100) for u, v in decays]
        assert_equal_to_reference(engine, *side_by_side(models, [halved((12, 8))] * 4))

    def test_parameters_that_differ_between_neurons(self, engine):
        rng = np.random.default_rng(3)
        net = layers(
            halved((12, 8)),
            current_decay=rng.integers(0, 4097, 12),
            voltage_decay=rng.integers(0, 4097, 12),
            threshold=rng.integers(0, 300, 12),
        )
        assert_equal_to_reference(engine, net, noise(2, 20, 8))

    def test_matrices_of_one_value_keep_it(self, engine):
        """Left to itself, Lava takes a matrix without positive weights as inhibitory and makes -256 to -255."""
        matrices = [np.full((6, 8), weight, np.int16) for weight in (-256, -255, 255, 0)]
        models = [Cuba(current_decay=1024, voltage_decay=200, threshold=100)] * 4
        assert_equal_to_reference(engine, *side_by_side(models, matrices))

    @pytest.mark.parametrize("recurrent", [False, True], ids=["reset by LIFReset", "held down until the first step"])
    def test_biases_begin_at_the_first_step_of_each_layer(self, engine, recurrent):
        net = layers(halved((6, 8)), halved((5, 6)), bias=9000)
        if recurrent:
            net = replace(net, projections=(*net.projections, connect("layer2", "layer2", halved((5, 5)))))
        given = noise(3, 15, 8)
        if engine.startswith("lava"):
            reset = ["reset_interval" in p for p in make_job(net, given, 17)["populations"]]
            assert reset == [not recurrent] * 2
        assert_equal_to_reference(engine, net, given, probe=(("layer1", "v"), ("layer2", "v")))

    def test_what_arrives_before_the_first_step_is_forgotten(self, engine):
        net = layers(np.abs(halved((6, 8))), threshold=5)
        late, loop = replace(net.populations[0], first_step=6), connect("layer1", "layer1", halved((6, 6)))
        net = replace(net, populations=(late,), projections=(*net.projections, loop))
        assert_equal_to_reference(engine, net, noise(2, 15, 8, rate=0.5), probe=(("layer1", "v"),))

    def test_a_leaky_integrator_never_fires_at_the_upper_end_of_the_voltage(self, engine):
        full = LeakyIntegrator(current_decay=0, voltage_decay=0, bias=2**22)
        net = chain({"layer1": np.full((3, 8), 254, np.int16)}, full)
        given, probe = noise(1, 40, 8, rate=0.9), (("layer1", "v"),)
        assert_equal_to_reference(engine, net, given, probe=probe)
        reference = simulate(net, given, engine="reference", probe=probe)
        assert reference.states["layer1", "v"].max() == LIMIT - 1


@pytest.mark.parametrize("engine", EVERY)
def test_the_ends_of_24_bits_by_hand(engine):
    """The current is folded once: above 2**23 by -2**24, at -2**23 and below by +2**24; the voltage is clipped.

    Sixteen spikes of weight w and exponent 7 give ``16 * w * 2**7 * 64 = w * 2**17``.
    """
    weights = np.array([[64], [-64], [62], [-62], [66], [-66], [194]], np.int16)
    expected = {
        64: (2**23, 2**23 - 1),  # legal for the current
        -64: (2**23, 2**23 - 1),
        62: (62 * 2**17, 62 * 2**17),
        -62: (-62 * 2**17, -62 * 2**17),
        66: (66 * 2**17 - 2**24, 66 * 2**17 - 2**24),
        -66: (2**24 - 66 * 2**17, 2**24 - 66 * 2**17),
        194: (194 * 2**17 - 2**24, 2**23 - 1),  # more than one fold away: outside 24 bits, as in Lava
    }
    summing = LeakyIntegrator(current_decay=0, voltage_decay=0)
    net = pair(np.repeat(weights, 16, axis=1), summing, weight_exponent=7)
    activity = simulate(net, samples(np.ones((1, 1, 16), bool)), engine=engine, probe=(("a", "u"), ("a", "v")))
    assert activity.states["a", "u"][0, 1].tolist() == [u for u, _ in expected.values()]
    assert activity.states["a", "v"][0, 1].tolist() == [v for _, v in expected.values()]


@pytest.mark.parametrize("engine", OTHERS)
def test_every_kind_of_neuron_sends_and_holds_what_the_reference_does(engine):
    net, given, probe = every_kind()
    reference = simulate(net, given, engine="reference", probe=probe)
    assert all(len(reference.spikes[p.name]) >= 10 for p in net.populations), "each kind must send something to compare"
    assert_same(simulate(net, given, engine=engine, probe=probe), reference)


@pytest.mark.parametrize("choice", OVERFLOWS)
@pytest.mark.parametrize("engine", EVERY)
def test_an_engine_handles_overflow_as_the_reference_or_says_that_it_does_not(engine, choice, rng):
    """What is counted, wrapped or clipped is the same; a choice that it does not offer is refused before anything starts."""
    net = pair(any_sign(rng, 3, 40), model(2**17 - 1, current_decay=0), weight_exponent=7)
    given, probe = drive(net, rate=0.9), (("a", "u"), ("a", "v"))
    options = {"probe": probe, "on_overflow": choice}
    if choice in ENGINES[engine].refused:
        with pytest.raises(UsageError, match=f"engine '{engine}' .*so on_overflow '{choice}' is not possible"):
            simulate(net, given, engine=engine, **options)
    elif choice == "error":
        with pytest.raises(SimulationError, match=rf"left 24 bits .* in 'a' .*engine '{engine}'"):
            simulate(net, given, engine=engine, **options)
    else:
        ours, reference = (simulate(net, given, engine=name, **options) for name in (engine, "reference"))
        assert reference.overflow["a"] > 0
        assert_same(ours, reference)


@pytest.mark.parametrize("engine", COUNTING)
def test_updated_neurons_are_those_of_the_reference(engine, rng):
    net = chain([even(rng, 20, 7), even(rng, 5, 20)], model(bias=np.int32(0)))
    labels = {"p1": np.arange(20) % 3, "p2": np.arange(5) % 2}
    ours, reference = (simulate(net, drive(net), engine=name, labels=labels) for name in (engine, "reference"))
    assert reference.updated.sum() > 100
    np.testing.assert_array_equal(ours.updated, reference.updated)


@pytest.mark.parametrize("engine", engines())
def test_more_steps_than_memory_is_taken_for_are_refused_before_it_is_asked_for(engine):
    network, given = one_layer(np.ones((2, 2), np.int16)), spikes((6, 4, 2))
    with pytest.raises(SimulationError, match=r"6 samples of 1,000,000,000 steps are 6,000,000,000 steps; at most"):
        simulate(network, given, engine=engine, n_steps=10**9)
    with pytest.raises(SimulationError, match="at most 536,870,912 are run at once"):
        simulate(network, given, engine=engine, n_steps=10**30)
