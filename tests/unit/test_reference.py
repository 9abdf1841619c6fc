"""The reference simulator, against numbers that anyone can recompute by hand."""

import numpy as np
import pytest

from neurodeploy.engines.reference import cuba_step, run_reference
from neurodeploy.engines.sums import synaptic_sum
from neurodeploy.errors import SimulationError
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    Output,
    Pool,
    Population,
    Projection,
    Sparse,
)
from neurodeploy.network.activity import Events, Samples

LIMIT = 2**23
KEEP = Cuba(current_decay=0, voltage_decay=0, threshold=2**17 - 1)


def lif(threshold=1, **changes):
    return Cuba(**{"current_decay": 4096, "voltage_decay": 4096, "threshold": threshold, **changes})


def network(synapses, model=None, n_target=1, **projection):
    """One input 'in' into one population 'out'."""
    n_source = projection.pop("n_source", 1)
    return Network(
        inputs=(Input(name="in", shape=(n_source,)),),
        populations=(Population(name="out", shape=(n_target,), model=model or lif()),),
        projections=(Projection(name="w", source="in", target="out", synapses=synapses, **projection),),
        outputs=(Output(name="answer", population="out"),),
    )


def samples(*rows):
    """One sample; each row is a step and holds 0 or 1 per channel."""
    return Samples(inputs={"in": Events.from_dense(np.array([rows], np.int8))})


def one_step(model, u=0, v=0, a=0):
    """u, v, fired, overflow of one neuron after one step."""
    return tuple(int(x[0]) for x in cuba_step(model, *(np.array([x], np.int32) for x in (u, v, a))))


def sent(activity, name="out"):
    """(step, neuron) of all spikes of one population in sample 0."""
    events = activity.spikes[name]
    return [(int(t), int(n)) for s, t, n in zip(events.sample, events.step, events.neuron) if s == 0]


def states(activity, state, name="out"):
    return activity.states[name, state][0].tolist()


class TestNeuron:
    @pytest.mark.parametrize(
        ("decay", "u", "expected"), [(2048, 3, 1), (2048, -3, -1), (1, -1, 0), (4096, 99, 0), (0, -7, -7)]
    )
    def test_decay_rounds_toward_zero_for_both_signs(self, decay, u, expected):
        assert one_step(Cuba(current_decay=decay, voltage_decay=4096, threshold=1000), u=u)[0] == expected

    def test_voltage_decay_rounds_toward_zero_for_negative_voltage(self):
        assert one_step(Cuba(current_decay=4096, voltage_decay=1024, threshold=9), v=-5)[1] == -3

    def test_input_counts_64_times_in_the_current_and_the_current_in_the_voltage(self):
        assert one_step(KEEP, u=10, v=5, a=-2)[:3] == (-118, -113, 0)

    def test_no_spike_at_the_threshold_and_a_spike_one_above(self):
        assert one_step(lif(3, bias=192))[1:3] == (192, 0)
        assert one_step(lif(3, bias=193))[1:3] == (0, 1)

    def test_spike_resets_the_voltage_and_leaves_the_current(self):
        assert one_step(Cuba(current_decay=0, voltage_decay=0, threshold=1), u=50, v=60, a=1)[:3] == (114, 0, 1)

    @pytest.mark.parametrize(
        ("before", "after", "overflow"),
        [
            (LIMIT - 1, LIMIT - 1, 0),
            (LIMIT, LIMIT, 1),
            (LIMIT + 1, 1 - LIMIT, 1),
            (1 - LIMIT, 1 - LIMIT, 0),
            (-LIMIT, LIMIT, 1),
            (-LIMIT - 1, LIMIT - 1, 1),
            (3 * LIMIT + 5, LIMIT + 5, 1),
        ],
    )
    def test_current_is_folded_once_at_24_bits(self, before, after, overflow):
        low = before % 64
        u, _, _, flag = one_step(KEEP, u=low, a=(before - low) // 64)
        assert (u, flag) == (after, overflow)

    def test_fold_as_measured_on_lava(self):
        """203200 passes of weight 1 gave -3772416 = -58944 * 64 in Lava."""
        assert one_step(KEEP, a=203200)[0] == -58944 * 64

    def test_current_wraps_at_32_bits_first(self):
        assert one_step(KEEP, a=2**26 + 1)[0] == 64

    @pytest.mark.parametrize(("v", "u", "expected"), [(LIMIT - 2, 1, LIMIT - 1), (LIMIT - 1, 64, LIMIT - 1)])
    def test_voltage_is_clipped_at_both_ends(self, v, u, expected):
        readout = LeakyIntegrator(current_decay=0, voltage_decay=0)
        assert one_step(readout, u=u, v=v)[1] == expected
        assert one_step(readout, u=-u, v=-v)[1] == -expected

    def test_readout_never_fires(self):
        readout = LeakyIntegrator(current_decay=0, voltage_decay=0)
        assert one_step(readout, v=LIMIT - 1, a=100)[1:3] == (LIMIT - 1, 0)

    def test_parameters_may_differ_per_neuron(self):
        model = Cuba(
            current_decay=np.array([0, 4096]),
            voltage_decay=np.array([4096, 0]),
            threshold=np.array([0, 5]),
            bias=np.array([1, -1]),
        )
        u, v, fired, _ = cuba_step(model, *(np.array([[64, 64]], np.int32),) * 2, np.zeros((1, 2), np.int32))
        assert (u.tolist(), v.tolist(), fired.tolist()) == ([[64, 0]], [[0, 63]], [[True, False]])


class TestSynapses:
    def test_dense_sums_the_columns_of_those_who_fired(self):
        dense = Dense(weights=np.array([[1, 20, -3], [4, 50, 6]]))
        assert synaptic_sum(dense, np.array([[True, False, True], [False] * 3])).tolist() == [[-2, 10], [0, 0]]

    def test_sparse_gives_what_the_same_matrix_gives_as_dense(self):
        """Source 0 reaches target 1 with -7; source 2 reaches targets 0 and 2 with 5 and 6."""
        sparse = Sparse(
            n_target=3, start=np.array([0, 1, 1, 3]), target=np.array([1, 0, 2]), weights=np.array([-7, 5, 6])
        )
        assert synaptic_sum(sparse, np.array([[True, True, True], [False, True, False]])).tolist() == [
            [5, -7, 6],
            [0, 0, 0],
        ]

    def test_conv_does_not_flip_the_kernel(self):
        conv = Conv(weights=np.array([[[[1, 2], [3, 4]]]]), input_shape=(1, 2, 3), padding=(0, 0))
        image = np.array([[[0, 1, 0], [0, 0, 1]]], np.bool_)
        assert synaptic_sum(conv, image.reshape(1, -1)).tolist() == [[2, 1 + 4]]

    def test_conv_with_stride_padding_dilation_and_groups(self):
        """Two groups of one channel; each output reads the pixels at distance 2 around positions 0 and 2 of a row of 3."""
        conv = Conv(
            weights=np.array([[[[1, 10, 100]]], [[[2, 20, 200]]]]),
            input_shape=(2, 1, 3),
            stride=(1, 2),
            padding=(0, 2),
            dilation=(1, 2),
            groups=2,
        )
        image = np.array([[[1, 0, 1]], [[0, 0, 1]]], np.bool_)
        assert synaptic_sum(conv, image.reshape(1, -1)).tolist() == [[110, 11, 200, 20]]

    def test_conv_equals_the_plain_sum_over_its_definition(self):
        rng = np.random.default_rng(5)
        conv = Conv(
            weights=rng.integers(-256, 256, (4, 3, 3, 2)),
            input_shape=(6, 7, 8),
            stride=(2, 1),
            padding=(1, 2),
            dilation=(1, 3),
            groups=2,
        )
        image = rng.random((6, 7, 8)) < 0.5
        _, height, width = conv.output_shape
        expected = np.zeros(conv.output_shape, int)
        for o, y, x, i, ky, kx in np.ndindex(4, height, width, 3, 3, 2):
            row, column = 2 * y - 1 + ky, x - 2 + 3 * kx
            if 0 <= row < 7 and 0 <= column < 8:
                expected[o, y, x] += conv.weights[o, i, ky, kx] * image[3 * (o // 2) + i, row, column]
        assert synaptic_sum(conv, image.reshape(1, -1)).tolist() == [expected.ravel().tolist()]

    def test_pool_sums_windows_of_each_channel(self):
        pool = Pool(input_shape=(1, 2, 4), kernel=(2, 2), stride=(2, 2), weight=-3)
        image = np.array([[[1, 1, 0, 0], [1, 0, 0, 1]]], np.bool_)
        assert synaptic_sum(pool, image.reshape(1, -1)).tolist() == [[-9, -3]]


class TestClock:
    def test_spike_arrives_one_step_after_it_was_sent(self):
        activity = run_reference(network(Dense(weights=[[2]])), samples([1], [0], [0]))
        assert (sent(activity, "in"), sent(activity)) == ([(0, 0)], [(1, 0)])

    def test_input_of_the_last_step_is_seen_because_the_depth_is_added(self):
        activity = run_reference(network(Dense(weights=[[2]])), samples([0], [1]))
        assert (activity.n_steps, sent(activity)) == (3, [(2, 0)])

    def test_n_steps_cuts_the_run_and_the_input(self):
        activity = run_reference(network(Dense(weights=[[2]])), samples([1], [0], [1]), n_steps=2)
        assert (activity.n_steps, sent(activity, "in"), sent(activity)) == (2, [(0, 0)], [(1, 0)])

    @pytest.mark.parametrize("delay", [0, 1, 5, 62])
    def test_delay_counts_beyond_the_one_step_of_every_spike(self, delay):
        activity = run_reference(network(Dense(weights=[[2]]), delay=delay), samples([1], [0]), n_steps=70)
        assert sent(activity) == [(1 + delay, 0)]

    def test_axonal_delay_belongs_to_the_source(self):
        net = network(Dense(weights=[[2, 2]]), n_source=2, delay=np.array([0, 2]))
        assert sent(run_reference(net, samples([1, 1], [0, 0]), n_steps=6)) == [(1, 0), (3, 0)]

    def test_axonal_delay_of_a_conv_projection(self):
        conv = Conv(weights=np.full((1, 1, 1, 1), 2), input_shape=(1, 1, 2))
        net = network(conv, n_source=2, n_target=2, delay=np.array([1, 0]))
        assert sent(run_reference(net, samples([1, 1]), n_steps=4)) == [(1, 1), (2, 0)]

    def test_synaptic_delay_belongs_to_one_weight(self):
        net = network(Dense(weights=[[2], [2]]), n_target=2, delay=np.array([[3], [0]]))
        assert sent(run_reference(net, samples([1]), n_steps=6)) == [(1, 1), (4, 0)]

    def test_bias_acts_from_the_first_step_on(self):
        net = network(Dense(weights=[[0]]), KEEP)
        late = Population(name="out", shape=(1,), model=lif(10**5, voltage_decay=0, bias=10), first_step=2)
        net = Network(inputs=net.inputs, populations=(late,), projections=net.projections, outputs=net.outputs)
        activity = run_reference(net, samples([1], [1]), probe=[("out", "v")])
        assert states(activity, "v") == [[0], [0], [10], [20]]

    def test_input_before_the_first_step_is_lost(self):
        net = network(Dense(weights=[[5]]), KEEP)
        late = Population(name="out", shape=(1,), model=KEEP, first_step=2)
        net = Network(inputs=net.inputs, populations=(late,), projections=net.projections, outputs=net.outputs)
        activity = run_reference(net, samples([1], [1]), probe=[("out", "u")])
        assert states(activity, "u") == [[0], [0], [320], [320]]

    def test_recurrent_spike_comes_back_after_one_step(self):
        """Neuron 0 wakes neuron 1, which wakes neuron 0: a ring of two."""
        ring = Projection(name="ring", source="out", target="out", synapses=Dense(weights=[[0, 2], [2, 0]]))
        net = network(Dense(weights=[[2], [0]]), n_target=2)
        net = Network(
            inputs=net.inputs, populations=net.populations, projections=(*net.projections, ring), outputs=net.outputs
        )
        assert sent(run_reference(net, samples([1]), n_steps=5)) == [(1, 0), (2, 1), (3, 0), (4, 1)]

    def test_each_sample_starts_from_rest(self):
        raster = np.array([[[1], [1]], [[0], [1]]], np.int8)
        net = network(Dense(weights=[[2]]), KEEP)
        activity = run_reference(net, Samples(inputs={"in": Events.from_dense(raster)}), probe=[("out", "u")])
        assert activity.states["out", "u"][:, :, 0].tolist() == [[0, 128, 256], [0, 0, 128]]


class TestSums:
    def test_positive_exponent_shifts_the_sum_left(self):
        activity = run_reference(
            network(Dense(weights=[[3]]), KEEP, weight_exponent=4), samples([1]), probe=[("out", "u")]
        )
        assert states(activity, "u") == [[0], [3 * 16 * 64]]

    def test_negative_exponent_rounds_the_sum_of_one_step_down(self):
        """-3 - 4 = -7 becomes -4, not -2 - 2; 5 becomes 2."""
        net = network(Dense(weights=[[-3, -4], [5, 0]]), KEEP, n_source=2, n_target=2, weight_exponent=-1)
        activity = run_reference(net, samples([1, 1]), probe=[("out", "u")])
        assert states(activity, "u")[1] == [-4 * 64, 2 * 64]

    def test_negative_exponent_rounds_each_delay_apart(self):
        """Sent in steps 0 and 1 with delays 1 and 0, both arrive in step 2; -1 and -1 become -1 and -1, not -1."""
        net = network(Dense(weights=[[-1, -1]]), KEEP, n_source=2, weight_exponent=-1, delay=np.array([1, 0]))
        activity = run_reference(net, samples([1, 0], [0, 1]), probe=[("out", "u")])
        assert states(activity, "u") == [[0], [0], [-2 * 64]]

    def test_projections_are_shifted_before_they_are_added(self):
        half = network(Dense(weights=[[3]]), KEEP, weight_exponent=-1)
        other = Projection(name="w2", source="in", target="out", synapses=Dense(weights=[[3]]), weight_exponent=-1)
        net = Network(
            inputs=half.inputs,
            populations=half.populations,
            projections=(*half.projections, other),
            outputs=half.outputs,
        )
        assert states(run_reference(net, samples([1]), probe=[("out", "u")]), "u")[1] == [2 * 64]

    def test_sum_of_a_conv_wraps_at_24_bits_and_is_flagged(self):
        """258 taps of 255 with exponent 7 are 2**23 + 32512, which becomes 32512 - 2**23; a dense sum stays."""
        weights = np.full((1, 258, 1, 1), 255)
        conv = Conv(weights=weights, input_shape=(258, 1, 1))
        dense = Dense(weights=weights.reshape(1, 258))
        for synapses, expected in ((conv, (32512 - LIMIT) * 64 + 2 * LIMIT), (dense, (32512 + LIMIT) * 64 - 2 * LIMIT)):
            net = network(synapses, KEEP, n_source=258, weight_exponent=7)
            activity = run_reference(net, samples([1] * 258), probe=[("out", "u")])
            assert states(activity, "u")[1] == [expected]
            assert activity.overflow == {"out": 1}

    def test_wrapped_sum_of_a_conv_is_flagged_even_where_the_current_stays_small(self):
        """512 taps of 256 with exponent 7 are 2**24, which becomes 0."""
        conv = Conv(weights=np.full((1, 512, 1, 1), -256), input_shape=(512, 1, 1))
        net = network(conv, KEEP, n_source=512, weight_exponent=7)
        activity = run_reference(net, samples([1] * 512), probe=[("out", "u")])
        assert (states(activity, "u")[1], activity.overflow) == ([0], {"out": 1})

    def test_several_inputs_outputs_and_a_skip_connection(self):
        """x -> a -> b and x -> b with delay 1, y -> b: all three arrive at b in step 2."""
        net = Network(
            inputs=(Input(name="x", shape=(1,)), Input(name="y", shape=(1,))),
            populations=(
                Population(name="a", shape=(1,), model=lif(1)),
                Population(name="b", shape=(1,), model=KEEP, first_step=2),
            ),
            projections=(
                Projection(name="xa", source="x", target="a", synapses=Dense(weights=[[2]])),
                Projection(name="ab", source="a", target="b", synapses=Dense(weights=[[10]])),
                Projection(name="xb", source="x", target="b", synapses=Dense(weights=[[100]]), delay=1),
                Projection(name="yb", source="y", target="b", synapses=Dense(weights=[[-1]]), delay=1),
            ),
            outputs=(Output(name="first", population="a"), Output(name="second", population="b")),
        )
        event = Events.from_dense([[[1]]])
        activity = run_reference(net, Samples(inputs={"x": event, "y": event}), probe=[("b", "u")])
        assert states(activity, "u", "b") == [[0], [0], [109 * 64]]
        assert set(activity.spikes) == {"x", "y", "a", "b"}


class TestRecords:
    def test_updated_counts_neurons_not_at_rest_by_label(self):
        """Step 1: input; step 2: only the current of neuron 0 is left; step 3: nothing but the bias of neuron 2."""
        model = Cuba(current_decay=2048, voltage_decay=4096, threshold=9, bias=np.array([0, 0, -1]))
        net = network(Dense(weights=[[1], [0], [0]]), model, n_target=3)
        activity = run_reference(net, samples([1]), n_steps=10, labels={"out": np.array([0, 0, 1])})
        assert activity.updated[0, :, 1].tolist() == [0] + [1] * 9
        assert activity.updated[0, :, 0].tolist() == [0] + [1] * 8 + [0]

    def test_populations_without_labels_are_not_counted(self):
        assert run_reference(network(Dense(weights=[[2]])), samples([1]), labels={}).updated.shape == (1, 2, 0)

    def test_overflow_is_counted_and_can_be_refused(self):
        net = network(Dense(weights=[[255]]), KEEP, weight_exponent=7)
        many = samples(*[[1]] * 6)
        assert run_reference(net, many).overflow == {"out": 1}
        with pytest.raises(SimulationError, match=r"left 24 bits .* in 'out' \(1 times\), engine 'reference'; lower"):
            run_reference(net, many, on_overflow="error")

    def test_activity_names_engine_and_network(self):
        net = network(Dense(weights=[[2]]))
        activity = run_reference(net, samples([1]))
        assert (activity.engine, activity.network) == ("reference", net.fingerprint)

    def test_chunks_give_what_one_run_gives(self, monkeypatch):
        rng = np.random.default_rng(3)
        net = network(Dense(weights=rng.integers(-9, 20, (3, 4))), lif(5), n_target=3, n_source=4)
        many = Samples(inputs={"in": Events.from_dense(rng.random((7, 9, 4)) < 0.3)})
        options = {"probe": [("out", "v")], "labels": {"out": np.array([0, 1, 1])}}
        whole, seen = run_reference(net, many, **options), []
        monkeypatch.setattr("neurodeploy.engines.reference._CHUNK_BYTES", 3 * 10 * 7)
        parts = run_reference(net, many, progress=lambda *done: seen.append(done), **options)
        assert seen == [(3, 7), (6, 7), (7, 7)]
        assert np.array_equal(whole.spikes["out"].to_dense(), parts.spikes["out"].to_dense())
        assert np.array_equal(whole.states["out", "v"], parts.states["out", "v"])
        assert np.array_equal(whole.updated, parts.updated)


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
    def test_impossible_options(self, options, message):
        with pytest.raises(SimulationError, match=message):
            run_reference(network(Dense(weights=[[2]])), samples([1]), **options)

    def test_samples_of_another_network(self):
        net = network(Dense(weights=[[2]]))
        with pytest.raises(SimulationError, match=r"events for \['x'\], the network has the inputs \['in'\]"):
            run_reference(net, Samples(inputs={"x": Events.from_dense([[[1]]])}))
        with pytest.raises(SimulationError, match="input 'in' has 1 channels, its events are for 2"):
            run_reference(net, samples([1, 0]))

    def test_numbers_for_an_input_of_plain_spikes(self):
        graded = Events(size=1, n_steps=1, n_samples=1, sample=[0], step=[0], neuron=[0], payload=[2])
        with pytest.raises(SimulationError, match=r"events for input 'in' carry numbers.*Input\(graded=True\)"):
            run_reference(network(Dense(weights=[[2]])), Samples(inputs={"in": graded}))

    def test_no_samples(self):
        with pytest.raises(SimulationError, match="there are 0 samples of 3 steps"):
            run_reference(
                network(Dense(weights=[[2]])), Samples(inputs={"in": Events.from_dense(np.zeros((0, 3, 1), int))})
            )
