"""The steps of the reference simulator, against numbers that anyone can recompute by hand. Runs: ``test_engines.py``."""

import numpy as np
import pytest
from building import one_layer

from neurodeploy.engines.reference import cuba_step, run_reference
from neurodeploy.engines.sums import synaptic_sum
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    LeakyIntegrator,
    Pool,
    Sparse,
)
from neurodeploy.network.activity import Events, Samples

LIMIT = 2**23
KEEP = Cuba(current_decay=0, voltage_decay=0, threshold=2**17 - 1)


def lif(threshold=1, **changes):
    return Cuba(**{"current_decay": 4096, "voltage_decay": 4096, "threshold": threshold, **changes})


def network(synapses, model=None, n_target=1, n_source=1, **settings):
    """One input 'in' into one population 'out'."""
    return one_layer(synapses, model or lif(), shape=(n_source,), target_shape=(n_target,), **settings)


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


class TestRecords:
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
