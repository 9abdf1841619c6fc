"""The event-driven engine where it is built differently from the reference: kernels, blocks, buffers, threads."""

import platform

import numpy as np
import pytest
from building import chain, connect, one_layer, spikes, wired
from numba import njit

from neurodeploy.engines.event import kernels, vector
from neurodeploy.engines.event import run as event
from neurodeploy.engines.event import weights as wires
from neurodeploy.engines.event.compile import compile_network
from neurodeploy.engines.event.run import batches, run_event, stream_event
from neurodeploy.engines.reference import cuba_step, run_reference
from neurodeploy.errors import SimulationError
from neurodeploy.network import Conv, Cuba, Dense, Pool, Sparse
from neurodeploy.network.activity import Events, Samples

LIMIT = 2**23


def network(synapses, n_source, shape, model=None, **projection):
    model = model or Cuba(current_decay=1000, voltage_decay=200, threshold=500)
    return one_layer(synapses, model, shape=(n_source,), target_shape=shape, **projection)


def samples(n_source, rate, n_steps=6, n_samples=2, seed=0):
    return spikes((n_samples, n_steps, n_source), rate, seed=seed)


def assert_same(net, given, kinds=None, **options):
    """Both engines give the same, and the plan uses the kernels that the test is about."""
    if kinds is not None:
        assert set(compile_network(net).wires[:, kernels.Q_KIND]) == set(kinds)
    options.setdefault("probe", [(p.name, state) for p in net.populations for state in "uv"])
    one, other = run_reference(net, given, **options), run_event(net, given, **options)
    for name, events in one.spikes.items():
        assert np.array_equal(events.to_dense(), other.spikes[name].to_dense())
        assert np.array_equal(events.neuron, other.spikes[name].neuron)
    for key, states in one.states.items():
        assert np.array_equal(states, other.states[key])
    assert dict(one.overflow) == dict(other.overflow)
    assert np.array_equal(one.updated, other.updated) or one.updated is None
    return one


def sparse(n_source, n_target, per_source, low, high, step, seed=1):
    rng = np.random.default_rng(seed)
    target = np.concatenate([np.sort(rng.choice(n_target, per_source, replace=False)) for _ in range(n_source)])
    weights = rng.integers(low, high, target.size) * step
    return Sparse(n_target=n_target, start=np.arange(n_source + 1) * per_source, target=target, weights=weights)


def update_loop(update):
    """Compile a function that gives what ``update`` does to all neurons.

    It returns of each neuron (fired, overflow, not at rest before), and of each 64 (any not at rest now).
    """

    @njit
    def run(acc, u, v, keep_u, keep_v, limit, bias):
        bits, awake = np.zeros((acc.size, 3), np.bool_), np.zeros(acc.size // 64, np.bool_)
        before = vector.towards_zero()
        for i in range(0, acc.size, 64):
            words = update(acc, i, u, v, i, keep_u, keep_v, limit, bias)
            awake[i // 64] = words[3] != 0
            for lane in range(64):
                for k in range(3):
                    bits[i + lane, k] = words[k] >> np.uint64(lane) & np.uint64(1)
        vector.restored(before)
        return bits, awake

    return run


@pytest.fixture(params=["machine's own", "thread", ""], ids=["machine's own", "rounding of a thread", "whole numbers"])
def any_machine(request, monkeypatch):
    """All ways to decay a state: that of this machine, that of other x86 machines, and that which every machine has."""
    if request.param != "machine's own":
        if request.param and platform.machine() not in ("x86_64", "AMD64"):
            pytest.skip("the rounding of a thread is set on x86 alone")
        monkeypatch.setattr(vector, "_rounding", lambda _: request.param)
        monkeypatch.setattr(vector, "has_control", lambda _: bool(request.param))


class TestNeuronLoop:
    @pytest.mark.usefixtures("any_machine")
    @pytest.mark.parametrize("decays", [(0, 0), (1, 4095), (2048, 1), (4096, 4096), (4095, 17)])
    def test_any_32_bit_state_and_input_gives_what_the_reference_gives(self, decays):
        """Currents after a fold lie within +-(2**31 - 2**24); inputs are any 32-bit number."""
        rng, n, far = np.random.default_rng(7), 64 * 64, 2**31 - 2**24
        edge = np.array([0, 1, -1, LIMIT, -LIMIT, LIMIT + 1, -LIMIT - 1, 4095, 4096, -4096, far, -far])
        u = np.where(rng.random(n) < 0.5, rng.choice(edge, n), rng.integers(-far, far, n)).astype(np.int32)
        v = np.clip(np.where(rng.random(n) < 0.5, rng.choice(edge, n), u // 200), 1 - LIMIT, LIMIT - 1).astype(np.int32)
        a = rng.choice(np.r_[edge, rng.integers(-(2**31), 2**31, 20), 2**25, -(2**25), 2**25 - 1, 131072], n)
        a = a.astype(np.int32)
        model = Cuba(current_decay=decays[0], voltage_decay=decays[1], threshold=131071, bias=-5)
        expected = cuba_step(model, u[None], v[None], a[None])
        acc, now_u, now_v = a.copy(), u.copy(), v.copy()
        keep = [np.int32(4096 - d) for d in decays]
        bits, awake = update_loop(vector.update_equal)(acc, now_u, now_v, *keep, np.int32(131071 * 64), np.int32(-5))
        assert np.array_equal(now_u, expected[0][0])
        assert np.array_equal(now_v, expected[1][0])
        assert np.array_equal(bits[:, 0], expected[2][0])
        assert np.array_equal(bits[:, 1], expected[3][0])
        assert expected[3].sum() > 100
        assert bits[:, 2].all()
        assert np.array_equal(awake, ((now_u | now_v) != 0).reshape(-1, 64).any(axis=1))
        assert not acc.any()

    @pytest.mark.usefixtures("any_machine")
    def test_currents_within_24_bits_decay_exactly_by_any_decay(self):
        """The last bits of ``state * keep`` decide: 24 bits times 12, near whole multiples of 4096 too."""
        rng, n = np.random.default_rng(8), 64 * 64
        edge = np.array([0, 1, -1, 4095, -4095, LIMIT - 1, 1 - LIMIT, LIMIT // 2, LIMIT // 2 + 1, 4177919])
        update_all = update_loop(vector.update_fitting)
        for decay in [0, 1, 2, 17, 128, 1024, 2048, 3071, 4094, 4095, 4096, *rng.integers(0, 4097, 20)]:
            u = np.where(rng.random(n) < 0.3, rng.choice(edge, n), rng.integers(1 - LIMIT, LIMIT, n)).astype(np.int32)
            v, acc = rng.permutation(u), np.zeros(n, np.int32)
            model = Cuba(current_decay=int(decay), voltage_decay=int(4096 - decay), threshold=131071)
            expected = cuba_step(model, u[None], v[None], acc[None])
            keep = [np.int32(4096 - decay), np.int32(decay)]
            bits, _ = update_all(acc, u, v, *keep, np.int32(131071 * 64), np.int32(0))
            assert np.array_equal(u, expected[0][0])
            assert np.array_equal(v, expected[1][0])
            assert np.array_equal(bits[:, 0], expected[2][0])
            assert not bits[:, 1].any()

    def test_neurons_at_rest_are_told_from_others(self):
        """One neuron of 64 with a voltage, one with a current, one that falls to rest in this step."""
        update_all = update_loop(vector.update_fitting)
        cases = [(0, 64, True, True), (64, 0, True, True), (1, 0, True, False), (0, 0, False, False)]
        for u, v, before, after in cases:
            us, vs, acc = np.zeros(64, np.int32), np.zeros(64, np.int32), np.zeros(64, np.int32)
            us[37], vs[37] = u, v
            keep = np.int32(2048), np.int32(4000)
            bits, awake = update_all(acc, us, vs, *keep, np.int32(2**20), np.int32(0))
            assert bits[37, 2] == before
            assert bits[:, 2].sum() == before
            assert awake[0] == after

    @pytest.mark.parametrize(("weight", "decay", "exponent", "fits"), [
        (128, 1024, 0, False), (127, 1024, 0, True), (-128, 1025, 0, True), (4, 1024, 5, False), (-256, 4096, -1, True),
        (255, 0, 0, False),
    ])  # fmt: skip
    def test_overflow_is_only_left_out_where_it_cannot_happen(self, weight, decay, exponent, fits):
        """256 inputs of size 128 at every step reach 64 * 32768 * 4096 / 1024 = 2**23."""
        model = Cuba(current_decay=decay, voltage_decay=100, threshold=2**17 - 1)
        net = network(Dense(weights=np.full((3, 256), weight)), 256, (3,), model, weight_exponent=exponent)
        assert bool(compile_network(net).populations[0, kernels.P_FITS]) == fits
        one = assert_same(net, samples(256, 1.0, n_steps=80, n_samples=1))
        assert fits <= (one.overflow["out"] == 0)

    def test_parameters_of_each_neuron(self):
        rng, n = np.random.default_rng(2), 700
        model = Cuba(
            current_decay=rng.integers(0, 4097, n),
            voltage_decay=rng.integers(0, 4097, n),
            threshold=rng.integers(0, 300, n),
            bias=rng.integers(-50, 50, n),
        )
        assert_same(network(sparse(40, n, 30, -100, 128, 2), 40, (n,), model), samples(40, 0.2, n_steps=30))

    def test_blocks_at_rest_wake_up_when_input_comes(self):
        """Of 2000 neurons only the last gets input, after 5 silent steps, and falls silent again."""
        weights = np.zeros((2000, 1), int)
        weights[-1] = 200
        model = Cuba(current_decay=2048, voltage_decay=2048, threshold=100)
        net = network(Dense(weights=weights), 1, (2000,), model)
        given = Samples(inputs={"in": Events.from_dense(np.array([[[0]] * 5 + [[1]] + [[0]] * 60 + [[1]]]))})
        one = assert_same(net, given, labels={"out": np.arange(2000) // 1999})
        assert one.spikes["out"].step.tolist() == [6, 67]
        assert one.updated[0, :6].sum() == one.updated[0, 40:67].sum() == 0
        assert one.updated[0, 6].tolist() == [0, 1]


class TestKernels:
    def test_dense_sums_of_more_rows_than_16_bits_hold(self):
        """600 rows of -256 with every spike: sums of int8 halves reach -76800."""
        weights = np.full((200, 600), -256)
        weights[::2] = 254
        net = network(Dense(weights=weights), 600, (200,), weight_exponent=0)
        assert_same(net, samples(600, 1.0), kinds=[kernels.DENSE8])

    @pytest.mark.parametrize("n_target", [3, 63, 64, 65, 128, 130, 193, 700])
    def test_dense_rows_of_any_width(self, n_target):
        weights = np.random.default_rng(3).integers(-128, 128, (n_target, 50)) * 2
        net = network(Dense(weights=weights), 50, (n_target,), weight_exponent=2)
        assert_same(net, samples(50, 0.3), kinds=[kernels.DENSE8])

    def test_rows_outside_the_cache_are_summed_few_at_a_time(self, monkeypatch):
        monkeypatch.setattr(wires, "_CACHED_BYTES", 1000)
        net = network(sparse(90, 200, 140, -60, 61, 2), 90, (200,))
        assert compile_network(net).wires[0, kernels.Q_GROUP] == 8
        assert_same(net, samples(90, 0.7), kinds=[kernels.DENSE8])

    def test_a_matrix_outside_the_cache_takes_at_most_four_times_the_memory_of_its_lists(self, monkeypatch):
        monkeypatch.setattr(wires, "_DENSE_FAR_PER_NS", 1e9)
        net = network(sparse(90, 200, 20, -60, 61, 2), 90, (200,))
        for cached, kind in ((2**24, kernels.DENSE8), (1000, kernels.SPARSE_16_8)):
            monkeypatch.setattr(wires, "_CACHED_BYTES", cached)
            assert compile_network(net).wires[0, kernels.Q_KIND] == kind

    @pytest.mark.parametrize(
        ("n_target", "low", "step", "kind"),
        [
            (900, -100, 2, kernels.SPARSE_16_8),
            (900, -100, 1, kernels.SPARSE_16_8),
            (900, 200, 1, kernels.SPARSE_16_16),
            (70000, -100, 2, kernels.SPARSE_32_8),
            (70000, 200, 1, kernels.SPARSE_32_16),
        ],
    )
    @pytest.mark.parametrize("per_source", [5, 12])
    def test_sparse_lists_of_each_width(self, n_target, low, step, kind, per_source):
        synapses = sparse(30, n_target, per_source, low, 128 if low < 0 else 256, step)
        net = network(synapses, 30, (n_target,), Cuba(current_decay=500, voltage_decay=500, threshold=30))
        assert_same(net, samples(30, 0.2), kinds=[kind], labels={"out": np.arange(n_target) % 3})

    @pytest.mark.parametrize(("fans", "filled"), [
        ([1, 1, 1, 0], 1), ([8, 7, 6, 8], 8), ([9, 9, 9, 9], 0), ([0, 0, 0, 0], 0), ([8, 1, 1, 1], 0), ([3, 0, 0, 3], 3),
    ])  # fmt: skip
    @pytest.mark.parametrize("delay", [0, 2, "axonal"])
    def test_short_lists_are_made_equally_long(self, fans, filled, delay):
        """By synapses of weight 0 where that at most doubles them; target 0 gets nothing from them."""
        rng, start = np.random.default_rng(11), np.r_[0, np.cumsum(fans)]
        target = np.concatenate([1 + np.arange(fan, dtype=np.int64) for fan in fans])
        weights = rng.integers(100, 250, target.size)
        delays = np.array([2, 0, 1, 1]) if delay == "axonal" else delay
        synapses = Sparse(n_target=300, start=start, target=target, weights=weights)
        net = network(synapses, 4, (300,), Cuba(current_decay=500, voltage_decay=500, threshold=90), delay=delays)
        own = compile_network(net).wires
        assert (own[:, kernels.Q_FAN] == (0 if delay == "axonal" else filled)).all()
        assert_same(net, samples(4, 0.4, n_steps=20))

    def test_a_pool_that_leaves_out_the_last_row_has_short_lists(self):
        pool = Pool(input_shape=(5, 17, 29), kernel=(2, 2), stride=(2, 2))
        net = network(pool, 2465, pool.output_shape, Cuba(current_decay=500, voltage_decay=500, threshold=2))
        assert compile_network(net).wires[0, kernels.Q_FAN] == 1
        assert_same(net, samples(2465, 0.3, n_steps=20))

    def test_dense_with_axonal_delays_uses_rows(self):
        rng = np.random.default_rng(4)
        net = network(
            Dense(weights=rng.integers(-256, 256, (37, 20))),
            20,
            (37,),
            weight_exponent=3,
            delay=rng.integers(0, 63, 20),
        )
        assert_same(net, samples(20, 0.2), kinds=[kernels.SEGMENTS], n_steps=80)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"stride": (2, 1), "padding": (1, 2)},
            {"dilation": (2, 2), "padding": (2, 2)},
            {"groups": 2},
            {"groups": 4},
            {"stride": (3, 3), "groups": 2, "padding": (1, 0)},
        ],
    )
    @pytest.mark.parametrize("delay", [0, 3, "axonal"])
    def test_convolutions(self, options, delay):
        rng = np.random.default_rng(6)
        weights = rng.integers(-128, 128, (20, 4 // options.get("groups", 1), 3, 3)) * 2
        conv = Conv(weights=weights, input_shape=(4, 9, 7), **options)
        delays = rng.integers(0, 9, 252) if delay == "axonal" else delay
        assert_same(network(conv, 252, conv.output_shape, delay=delays), samples(252, 0.05, n_steps=20))

    def test_layers_of_images_keep_the_outer_numbers(self):
        """conv -> pool -> conv -> dense, with a recurrent projection onto an image and a skip from it."""
        rng = np.random.default_rng(8)
        conv1 = Conv(weights=rng.integers(-60, 128, (6, 2, 3, 3)), input_shape=(2, 8, 9), padding=(1, 1))
        pool = Pool(input_shape=(6, 8, 9), kernel=(2, 2), stride=(2, 2))
        conv2 = Conv(weights=rng.integers(-60, 128, (5, 6, 3, 3)), input_shape=(6, 4, 4), padding=(1, 1))
        shapes = {"a": (6, 8, 9), "b": (6, 4, 4), "c": (5, 4, 4), "d": (10,)}
        model = Cuba(current_decay=1500, voltage_decay=300, threshold=150)
        synapses = {
            "in a": conv1,
            "a b": pool,
            "b c": conv2,
            "c d": Dense(weights=rng.integers(-60, 100, (10, 80))),
            "a a": sparse(432, 432, 3, -50, 50, 1),
            "a d": sparse(432, 10, 2, -50, 50, 1),
        }
        projections = [connect(*ends.split(), s) for ends, s in synapses.items()]
        net = wired({"in": (2, 8, 9)}, {name: (shape, model) for name, shape in shapes.items()}, projections)
        labels = {"a": np.arange(432) // 100, "c": np.arange(80) % 7}
        one = assert_same(net, samples(144, 0.1, n_steps=25), labels=labels)
        assert all(len(one.spikes[name]) > 20 for name in shapes)

    @pytest.mark.parametrize("taps", [257, 258, 512])
    def test_sums_of_a_convolution_wrap_at_24_bits(self, taps):
        weights = np.full((2, taps, 1, 1), 255)
        weights[1] = -256
        net = network(
            Conv(weights=weights, input_shape=(taps, 1, 1)), taps, (2,), Cuba(current_decay=0, voltage_decay=0, threshold=9),
            weight_exponent=7,
        )  # fmt: skip
        assert compile_network(net).wires[0, kernels.Q_WRAP]
        one = assert_same(net, samples(taps, 1.0, n_steps=3))
        assert one.overflow["out"] > 0


class TestRuns:
    def test_a_plan_is_made_once_for_each_network(self, monkeypatch):
        made = []
        monkeypatch.setattr(event, "compile_network", lambda net: made.append(net) or compile_network(net))
        nets = [network(Dense(weights=np.full((3, 4), 90)), 4, (3,)) for _ in range(2)]
        for net in (nets[0], nets[0], nets[1], nets[0]):
            run_event(net, samples(4, 0.5))
        assert made == nets

    @pytest.mark.parametrize("threads", [1, 2, 5])
    def test_threads_share_out_the_samples_in_order(self, threads):
        net, given = network(sparse(30, 90, 9, -99, 128, 2), 30, (90,)), samples(30, 0.3, n_samples=11)
        done = []
        one, other = (
            run_reference(net, given),
            run_event(net, given, threads=threads, progress=lambda *n: done.append(n)),
        )
        assert np.array_equal(one.spikes["out"].to_dense(), other.spikes["out"].to_dense())
        assert done[-1] == (11, 11)
        assert len(done) == -(-11 // -(-11 // threads))

    def test_small_buffers_of_spikes_grow(self, monkeypatch):
        net = network(
            Dense(weights=np.full((50, 4), 200)), 4, (50,), Cuba(current_decay=0, voltage_decay=0, threshold=1)
        )
        given = samples(4, 0.9, n_samples=5)
        monkeypatch.setattr(event, "_FIRST_SPIKES", 7)
        assert len(assert_same(net, given, labels={"out": np.zeros(50, int)}).spikes["out"]) > 500

    def test_counts_of_spikes_of_a_call_are_bounded_where_steps_or_layers_are_many(self, monkeypatch):
        net, given = network(sparse(30, 90, 9, -99, 128, 2), 30, (90,)), samples(30, 0.3, n_samples=11)
        steps, done = run_event(net, given).n_steps, []
        monkeypatch.setattr(event, "_PART_COUNTS", 3 * steps)
        one = run_event(net, given, threads=1, progress=lambda *n: done.append(n[0]))
        assert done == [3, 6, 9, 11]
        assert np.array_equal(one.spikes["out"].to_dense(), run_reference(net, given).spikes["out"].to_dense())

    @pytest.mark.parametrize("delay", [0, 1, 5])
    def test_populations_at_rest_wake_with_each_input_also_after_long_silence(self, delay):
        """Spikes before the first step of the target, while it still decays, after it came to rest, and none."""
        weights = {"a": np.full((70, 4), 200), "b": np.full((3, 70), 20), "c": np.full((2, 3), 250)}
        more = {"b": {"delay": delay}}
        net = chain(
            weights, Cuba(current_decay=2500, voltage_decay=1500, threshold=500), first_step={"b": 4}, more=more
        )
        raster = np.zeros((4, 90, 4), bool)
        for sample, steps in enumerate(([0], [0, 1, 40, 41, 43, 80], [70], [])):
            raster[sample, steps] = True
        labels = {p.name: np.arange(p.size) % 2 for p in net.populations}
        one = assert_same(net, Samples(inputs={"in": Events.from_dense(raster)}), labels=labels)
        assert [one.spikes["c"].counts()[sample].sum() > 0 for sample in range(4)] == [delay == 5, True, True, False]

    def test_a_stream_holds_one_batch_at_a_time(self):
        net, given = network(Dense(weights=np.full((3, 4), 90)), 4, (3,)), samples(4, 0.5, n_samples=5)
        asked = []

        def source():
            for batch in batches(given, 2):
                asked.append(batch.n_samples)
                yield batch

        stream = stream_event(net, source())
        first = next(stream)
        assert (asked, first.n_samples) == ([2], 2)
        whole = run_event(net, given)
        counts = [first.spikes["out"].counts(), *(part.spikes["out"].counts() for part in stream)]
        assert asked == [2, 2, 1]
        assert np.array_equal(np.concatenate(counts), whole.spikes["out"].counts())

    def test_refusals_are_those_of_the_reference(self):
        net = network(Dense(weights=[[2]]), 1, (1,))
        with pytest.raises(SimulationError, match=r"probe \('out', 'w'\) is not possible"):
            run_event(net, samples(1, 1.0), probe=[("out", "w")])
        with pytest.raises(SimulationError, match="threads is 0, must be at least 1"):
            run_event(net, samples(1, 1.0), threads=0)

    def test_arrays_of_a_call_serve_the_next_one_with_other_labels_or_none(self, monkeypatch):
        net, made = network(Dense(weights=np.full((70, 4), 90)), 4, (70,)), []
        work = event._Work
        monkeypatch.setattr(event, "_Work", lambda plan: made.append(plan) or work(plan))
        given = samples(4, 0.5, n_samples=3)
        for labels in ({"out": np.arange(70) % 7}, None, {"out": np.arange(70) // 60}):
            ours, theirs = run_event(net, given, labels=labels, threads=1), run_reference(net, given, labels=labels)
            assert np.array_equal(ours.updated, theirs.updated) if labels else ours.updated is None
        assert len(made) == 1

    def test_results_do_not_share_memory_with_the_next_run(self):
        net = network(Dense(weights=np.full((3, 4), 90)), 4, (3,))
        probe = [("out", "v")]
        one = run_event(net, samples(4, 0.9, seed=1), probe=probe)
        before = one.states["out", "v"].copy(), one.spikes["out"].to_dense()
        run_event(net, samples(4, 0.5, seed=2), probe=probe)
        assert np.array_equal(one.states["out", "v"], before[0])
        assert np.array_equal(one.spikes["out"].to_dense(), before[1])
