"""Faults: each does what it says, by count, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import chain, connect, engines, every_kind, one_layer, samples, spikes, wired

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.faults import (
    DEAD_BEHIND_KERNELS,
    FAULTS,
    STUCK,
    dead_core,
    left_whole,
    measure_robustness,
    with_states,
)
from neurodeploy.engines.reference import run_reference
from neurodeploy.engines.table import simulate
from neurodeploy.errors import NetworkError, SimulationError, UsageError
from neurodeploy.network import (
    Conv,
    Cuba,
    Delta,
    LeakyIntegrator,
    Network,
    Pool,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    Sparse,
)
from neurodeploy.network.activity import Events, Samples
from neurodeploy.network.neurons import NEURON_KINDS

HERE = engines(lambda engine: engine.seconds is None)


@pytest.fixture(autouse=True)
def _of_lava(request):
    engine = request.node.callspec.params.get("engine", "") if hasattr(request.node, "callspec") else ""
    if engine == "lava-in-process":
        pytest.importorskip("lava.magma", reason="this Python has no lava-nc")


def _network() -> Network:
    """Four classes, each neuron driven by its own five channels."""
    weights = np.zeros((4, 20), int)
    for neuron in range(4):
        weights[neuron, 5 * neuron : 5 * neuron + 5] = 60
    return one_layer(weights, Cuba(current_decay=4096, voltage_decay=400, threshold=100), target="a")


def _samples() -> Samples:
    labels = np.arange(40) % 4
    rate = np.full((40, 1, 20), 0.05)
    for sample, label in enumerate(labels):
        rate[sample, :, 5 * label : 5 * label + 5] = 0.5
    raster = np.random.default_rng(0).random((40, 15, 20)) < rate
    return samples(raster, labels=labels)


def _apply(fault: str, rate: float):
    return FAULTS[fault](_network(), _samples(), rate, np.random.default_rng(1))


def test_rate_zero_changes_nothing():
    sound = _samples().inputs["in"].to_dense()
    for fault in FAULTS:
        network, samples = _apply(fault, 0.0)
        assert network.fingerprint == _network().fingerprint, fault
        assert np.array_equal(samples.inputs["in"].to_dense(), sound), fault


def test_dropped_spikes_are_a_subset_of_the_expected_size():
    sound, faulty = _samples().inputs["in"].to_dense(), _apply("drop", 0.3)[1].inputs["in"].to_dense()
    assert not np.any(faulty & ~sound)
    assert 0.65 < faulty.sum() / sound.sum() < 0.75


def test_extra_spikes_keep_all_others():
    sound, faulty = _samples().inputs["in"].to_dense(), _apply("extra", 0.1)[1].inputs["in"].to_dense()
    assert not np.any(sound & ~faulty)
    assert 0.08 < (faulty.sum() - sound.sum()) / (sound == 0).sum() < 0.11


def test_jitter_moves_spikes_by_at_most_its_steps_within_a_channel():
    raster = np.zeros((1, 15, 20), int)
    raster[0, 7, :] = 1
    given = samples(raster, labels=[0])
    moved = FAULTS["jitter"](_network(), given, 2, np.random.default_rng(1))[1].inputs["in"]
    assert sorted(moved.neuron) == list(range(20))
    assert set(moved.step) == {5, 6, 7, 8, 9}


def test_hot_pixels_fire_in_every_step():
    faulty = _apply("hot-pixels", 0.1)[1].inputs["in"].to_dense()
    assert int(faulty.all(axis=(0, 1)).sum()) == 2


def test_dead_and_stuck_synapses_change_the_asked_number_of_stored_weights():
    sound = _network().projections[0].synapses.weights
    for fault, value in (("dead-synapses", {0}), ("stuck-synapses", {-60, 60})):
        weights = _apply(fault, 0.25)[0].projections[0].synapses.weights
        assert not weights[sound == 0].any()
        hit = weights != sound
        assert set(weights[hit]) <= value
        assert int(hit.sum()) == 5 if fault == "dead-synapses" else int(hit.sum()) <= 5


@pytest.mark.parametrize("run", [run_reference, run_event])
def test_dead_neurons_never_fire_and_stuck_ones_always(run):
    network, samples = _network(), _samples()
    dead = run(with_states(network, {"a": np.array([1])}, "dead"), samples).spikes["a"].to_dense()
    stuck = run(with_states(network, {"a": np.array([1])}, "stuck"), samples).spikes["a"].to_dense()
    sound = run(network, samples).spikes["a"].to_dense()
    assert sound[..., 1].any()
    assert not dead[..., 1].any()
    assert stuck[:, 1:, 1].all()
    for raster in (dead, stuck):
        assert np.array_equal(raster[..., [0, 2, 3]], sound[..., [0, 2, 3]])


def test_a_dead_core_silences_its_neurons_alone():
    labels = {"a": np.array([0, 0, 1, 1], np.int32)}
    raster = run_reference(dead_core(_network(), labels, 1), _samples()).spikes["a"].to_dense()
    assert raster[..., :2].any()
    assert not raster[..., 2:].any()


def test_accuracy_falls_with_the_rate_and_the_same_seed_gives_the_same_rows():
    def rows():
        return list(
            measure_robustness(
                _network(),
                _samples(),
                fault="dead-neurons",
                rates=[0.0, 0.5, 1.0],
                run=run_reference,
                repeats=2,
                seed=4,
            )
        )

    sound, half, none = rows()
    assert (sound.accuracy, sound.repeats) == (1.0, 1)
    assert half.lowest <= half.accuracy < 1.0
    assert none.accuracy == 0.25  # nothing fires: the tie goes to class 0, a quarter of the samples
    assert rows() == [sound, half, none]


@pytest.mark.parametrize(
    ("fault", "rate", "message"),
    [
        ("rust", 0.1, "unknown fault 'rust'; known: drop"),
        ("drop", 1.5, "rate 1.5 of 'drop'"),
        ("jitter", -1, "rate -1 of 'jitter' must be a whole number of steps"),
        ("jitter", 0.5, "rate 0.5 of 'jitter' must be a whole number of steps"),
    ],
)
def test_unknown_faults_and_rates_out_of_range_are_refused(fault, rate, message):
    with pytest.raises(UsageError, match=message):
        list(measure_robustness(_network(), _samples(), fault=fault, rates=[rate], run=run_reference))


def test_samples_without_labels_are_refused_before_anything_runs():
    unlabelled = replace(_samples(), labels=None, name="noise")
    with pytest.raises(SimulationError, match="^faults: samples 'noise' carry no labels, so there is no accuracy"):
        next(measure_robustness(_network(), unlabelled, fault="drop", rates=[0.0], run=pytest.fail))


SIGNED = np.array([[[-9, 0, 4], [0, 0, 4], [7, 0, 0], [0, -2, 0]], [[0, 0, 1], [0, 5, 0], [-9, 0, 0], [0, 0, 7]]])
"""Payloads from -9 to 7 of three channels, in two samples of four steps."""


def _graded(raster=SIGNED) -> tuple[Network, Samples]:
    """A graded image beside plain dots."""
    network = wired(
        {"in": 3, "dots": 2},
        {"a": (2, Cuba(current_decay=4096, voltage_decay=0, threshold=9))},
        [connect("in", "a", [[2, 4, 6], [6, 4, 2]]), connect("dots", "a", [[2, 2], [2, 2]])],
        graded=["in"],
    )
    dots = spikes((2, 4, 2), source="dots").inputs
    given = Samples(
        inputs={**samples(raster, graded=True).inputs, **dots}, labels=np.array([0, 1]), shapes={"in": (3,)}
    )
    return network, given


def _broken(fault: str, rate: float, raster=SIGNED, seed: int = 0) -> Samples:
    network, given = _graded(raster)
    same, broken = FAULTS[fault](network, given, rate, np.random.default_rng(seed))
    assert same is network
    assert broken.inputs["dots"].payload is None
    assert (dict(broken.shapes), broken.labels.tolist()) == ({"in": (3,)}, [0, 1])
    simulate(network, broken)
    return broken


def _payloads(fault: str, rate: float, raster=SIGNED, seed: int = 0) -> np.ndarray:
    return _broken(fault, rate, raster, seed).inputs["in"].to_dense()


class TestPayloads:
    @pytest.mark.parametrize("fault", ["drop", "extra", "jitter", "hot-pixels"])
    def test_at_rate_zero_every_payload_stays(self, fault):
        assert np.array_equal(_payloads(fault, 0), SIGNED)

    def test_a_dropped_event_is_lost_with_its_payload(self):
        for seed in range(5):
            left = _payloads("drop", 0.5, seed=seed)
            assert set(left[left != SIGNED]) <= {0}
        assert not _payloads("drop", 1.0).any()

    def test_extra_events_have_payloads_of_the_range_in_the_samples_and_never_0(self):
        seen = set()
        for seed in range(40):
            more = _payloads("extra", 0.9, seed=seed)
            assert np.array_equal(more[SIGNED != 0], SIGNED[SIGNED != 0])
            seen |= set(more[(SIGNED == 0) & (more != 0)].tolist())
        assert seen == set(range(-9, 8)) - {0}

    @pytest.mark.parametrize(
        ("payload", "known"), [([3, 5], {3, 4, 5}), ([-4, -2], {-4, -3, -2}), ([-1, 1], {-1, 1}), ([6, 6], {6})]
    )
    def test_payloads_of_one_sign_get_extra_events_of_that_sign(self, payload, known):
        raster = np.zeros((2, 4, 3), int)
        raster[0, 0, :2] = payload
        drawn = [_payloads("extra", 0.9, raster, seed)[1] for seed in range(20)]
        assert set(np.ravel(drawn).tolist()) - {0} == known

    def test_an_input_without_events_gets_extra_events_of_1(self):
        assert set(np.ravel(_payloads("extra", 0.8, np.zeros_like(SIGNED))).tolist()) == {0, 1}

    def test_a_payload_moves_with_its_event(self):
        """Three channels of one event each: each payload turns up once, in its channel."""
        raster = np.zeros((2, 4, 3), int)
        raster[0, 2], raster[1, 0] = [5, -6, 7], [1, 2, 3]
        steps = set()
        for seed in range(10):
            moved = _payloads("jitter", 2, raster, seed)
            assert np.array_equal(moved.sum(axis=1), raster.sum(axis=1))
            assert np.array_equal(np.abs(moved).sum(axis=1), np.abs(raster).sum(axis=1))
            steps |= set(np.nonzero(moved[0])[0].tolist())
        assert steps == {0, 1, 2, 3}

    def test_where_events_meet_the_one_that_was_sent_first_stays(self):
        """Wherever one of two events is missing, the payload that is left is the first one, 5."""
        raster = np.zeros((2, 4, 3), int)
        raster[0, 1, 0], raster[0, 2, 0] = 5, 9
        left = [_payloads("jitter", 1, raster, seed)[0, :, 0] for seed in range(30)]
        met = [row[row != 0].tolist() for row in left if np.count_nonzero(row) == 1]
        assert met
        assert all(row == [5] for row in met)

    def test_a_hot_channel_sends_one_payload_all_the_time_in_place_of_its_own(self):
        seen = set()
        for seed in range(20):
            hot = _payloads("hot-pixels", 0.34, seed=seed)
            (channel,) = np.flatnonzero((hot != SIGNED).any(axis=(0, 1)))
            (payload,) = set(hot[..., channel].ravel().tolist())
            seen.add((int(channel), payload))
            assert payload != 0
            others = np.delete(np.arange(3), channel)
            assert np.array_equal(hot[..., others], SIGNED[..., others])
        assert {c for c, _ in seen} == {0, 1, 2}
        assert len({p for _, p in seen}) > 5

    def test_payloads_stay_within_the_bits_of_their_input(self):
        """Otherwise the run would refuse them."""
        network = one_layer([[1, 1]], graded=3)
        given = samples([[[7, 1], [3, 0]]], graded=True, labels=[0])
        for fault in ("drop", "extra", "jitter", "hot-pixels"):
            for seed in range(10):
                simulate(*FAULTS[fault](network, given, 1, np.random.default_rng(seed)))


class TestSynapses:
    def test_each_component_of_complex_weights_fails_by_itself(self):
        weights = np.arange(2, 42, 2).reshape(4, 5)
        model = ResonateAndFire(sin_decay=900, cos_decay=3800, threshold=8)
        projections = [connect("in", "a", weights, part, component=part) for part in ("real", "imag")]
        network = wired({"in": 5}, {"a": (4, model)}, projections)
        dead, _ = FAULTS["dead-synapses"](network, spikes((1, 1, 5)), 0.3, np.random.default_rng(0))
        real, imag = (p.synapses.weights == 0 for p in dead.projections)
        assert real.sum() == imag.sum() == 6
        assert (real != imag).any()

    def test_pools_stay_whole_and_are_named(self):
        pool = Pool(input_shape=(1, 4, 4), kernel=(2, 2), stride=(2, 2))
        network = chain([pool, np.full((2, 4), 8)], shape=(1, 4, 4))
        for fault in ("dead-synapses", "stuck-synapses"):
            broken, _ = FAULTS[fault](network, spikes((1, 1, 16)), 1.0, np.random.default_rng(0))
            assert broken.projections[0].synapses == pool
            assert left_whole(network, fault) == ("w1",)
        assert left_whole(network, "dead-neurons") == ()

    def test_a_network_of_pools_alone_has_no_synapses_to_break(self):
        pool = Pool(input_shape=(1, 4, 4), kernel=(2, 2), stride=(2, 2))
        given = spikes((1, 1, 16))
        with pytest.raises(NetworkError, match="'dead-synapses' finds no stored weights that are not 0"):
            next(measure_robustness(one_layer(pool), given, fault="dead-synapses", rates=[0.1], run=pytest.fail))

    @pytest.mark.parametrize(("weights", "expected"), [([[-256, 8]], {-256, 254}), ([[-255, 8]], {-255, 255})])
    def test_stuck_weights_of_even_matrices_stay_even(self, weights, expected):
        seen = set()
        for seed in range(20):
            broken, _ = FAULTS["stuck-synapses"](
                one_layer(weights), spikes((1, 1, 2)), 1.0, np.random.default_rng(seed)
            )
            seen |= set(broken.projections[0].synapses.weights.ravel().tolist())
        assert seen == expected


IMAGE = Conv(weights=2 * np.random.default_rng(3).integers(-30, 60, (2, 1, 2, 2)), input_shape=(1, 4, 4))
"""Kernels that lead to 18 neurons."""
BEHIND = {
    "cuba": Cuba(current_decay=900, voltage_decay=100, threshold=4),
    "subtracting": Cuba(current_decay=900, voltage_decay=100, threshold=0, bias=500, reset="subtract"),
    "rf": ResonateAndFire(sin_decay=2600, cos_decay=2900, threshold=60),
    "rf_iz": ResonateAndFire(sin_decay=-1500, cos_decay=3500, threshold=80, reset=True),
    "delta": Delta(threshold=3, spike_exponent=1),
    "sigma_delta": SigmaDelta(threshold=5, bias=40),
    "cumulative": SigmaDelta(threshold=5, bias=40, cumulative=True),
    "linear": SigmaDelta(threshold=5, bias=-40, activation="none"),
}


def _behind_a_convolution(model) -> tuple[Network, Samples]:
    network = one_layer(IMAGE, model, target="a", graded=model.graded)
    if isinstance(model, ResonateAndFire):
        other = connect("in", "a", IMAGE, "imag", component="imag")
        network = replace(network, projections=(*network.projections, other))
    rng = np.random.default_rng(4)
    raster = rng.integers(1, 9, (2, 20, 16)) * (rng.random((2, 20, 16)) < 0.4)
    return network, samples(raster if model.graded else raster > 0, graded=model.graded, labels=[0, 1])


def _sent(engine: str, network: Network, given: Samples, name: str = "a") -> np.ndarray:
    return simulate(network, given, engine=engine).spikes[name].to_dense()


@pytest.mark.parametrize("engine", HERE)
class TestDead:
    @pytest.mark.parametrize("state", [2, 4])
    def test_neurons_of_every_kind_send_nothing_and_stay_at_0(self, engine, state):
        """One neuron of each population dies, in a network where all kinds reach each other through matrices."""
        network, given, probe = every_kind()
        sound = simulate(network, given, engine="reference")
        alive = {p.name: set(sound.spikes[p.name].neuron.tolist()) for p in network.populations}
        dying = {p.name: np.array([state]) for p in network.populations}
        done = simulate(with_states(network, dying, "dead"), given, engine=engine, probe=probe)
        for name, neurons in dying.items():
            left = set(done.spikes[name].neuron.tolist())
            assert state not in left
            assert left or len(alive[name]) < 3, f"all of {name} died"
            for key in (key for key in probe if key[0] == name):
                assert not done.states[key][..., neurons].any(), key
        assert sum(state in neurons for neurons in alive.values()) > 4

    def test_all_neurons_dead_leave_silence(self, engine):
        network, given, _ = every_kind()
        every = {p.name: np.arange(p.size) for p in network.populations}
        done = simulate(with_states(network, every, "dead"), given, engine=engine)
        assert all(len(done.spikes[name]) == 0 for name in every)

    @pytest.mark.parametrize("kind", BEHIND)
    def test_behind_a_convolution_they_send_nothing_and_others_are_as_before(self, engine, kind):
        if kind == "subtracting" and engine.startswith("lava"):
            pytest.skip("Lava does not subtract")
        network, given = _behind_a_convolution(BEHIND[kind])
        dying = np.array([0, 5, 11])
        sound, done = (_sent(engine, n, given) for n in (network, with_states(network, {"a": dying}, "dead")))
        assert sound[..., dying].any(axis=(0, 1)).all()
        assert not done[..., dying].any()
        others = np.delete(np.arange(18), dying)
        assert np.array_equal(done[..., others], sound[..., others])

    def test_currents_at_the_end_of_24_bits_do_not_wake_them(self, engine):
        """A current of ``2**23 - 64``, the highest multiple of 64, in every step."""
        strong = Conv(weights=[[[[1]]]], input_shape=(1, 1, 1))
        model = Cuba(current_decay=4096, voltage_decay=0, threshold=0)
        network = with_states(one_layer(strong, model, target="a", graded=True), {"a": np.array([0])}, "dead")
        given = samples(np.full((1, 50, 1), 2**17 - 1), graded=True)
        assert not _sent(engine, network, given).any()

    def test_a_sparse_synapse_and_a_loop_reach_them_no_more(self, engine):
        ring = Sparse(n_target=3, start=[0, 1, 2, 3], target=[1, 2, 0], weights=[40, 40, 40])
        model = Cuba(current_decay=4096, voltage_decay=4096, threshold=9)
        network = one_layer([[40], [0], [0]], model, target="a", extra=[connect("a", "a", ring)])
        given = samples([[[1], [0], [0], [0], [0]]])
        assert _sent(engine, network, given)[0].any(axis=0).tolist() == [True, True, True]
        dead = with_states(network, {"a": np.array([2])}, "dead")
        assert _sent(engine, dead, given)[0].sum(axis=0).tolist() == [1, 1, 0]

    def test_a_dead_read_out_gives_0(self, engine):
        network = one_layer([[4], [6]], LeakyIntegrator(current_decay=0, voltage_decay=0, bias=-500), target="a")
        dead = with_states(network, {"a": np.array([1])}, "dead")
        voltage = simulate(dead, samples([[[1], [1]]]), engine=engine, probe=[("a", "v")]).states["a", "v"][0]
        assert voltage.tolist() == [[0, 0], [256 - 500, 0], [256 + 512 - 1000, 0]]


@pytest.mark.parametrize("engine", HERE)
class TestStuck:
    @pytest.mark.parametrize("reset", ["zero", "subtract"])
    @pytest.mark.parametrize("shared", [False, True], ids=["matrix", "convolution"])
    def test_spiking_neurons_fire_in_every_step(self, engine, reset, shared):
        if reset == "subtract" and engine.startswith("lava"):
            pytest.skip("Lava does not subtract")
        weights = -2 * np.ones((18, 16), int)
        synapses = Conv(weights=-2 * np.ones((2, 1, 2, 2), int), input_shape=(1, 4, 4)) if shared else weights
        model = Cuba(current_decay=100, voltage_decay=50, threshold=900, reset=reset)
        network = one_layer(synapses, model, target="a", shape=(1, 4, 4) if shared else (16,))
        given = spikes((2, 30, 16), 0.5)
        done = _sent(engine, with_states(network, {"a": np.array([3, 7])}, "stuck"), given)
        assert done[:, 1:, [3, 7]].all()
        assert done.sum() == 2 * 2 * 30

    def test_a_stuck_read_out_has_the_highest_voltage(self, engine):
        network = one_layer([[200], [-200], [60]], LeakyIntegrator(current_decay=0, voltage_decay=0), target="a")
        stuck = with_states(network, {"a": np.array([1])}, "stuck")
        states = simulate(stuck, samples(np.ones((1, 9, 1), int)), engine=engine, probe=[("a", "v")]).states["a", "v"]
        assert (states[0, 1:, 1] == 2**23 - 2**8).all()
        assert (states[0, 1:, [0, 2]] < 2**20).all()

    @pytest.mark.parametrize("cumulative", [False, True])
    def test_a_sigma_delta_neuron_holds_the_highest_activation(self, engine, cumulative):
        model = SigmaDelta(threshold=99, bias=-5, state_exponent=6, cumulative=cumulative)
        network = one_layer([[2], [4]], model, target="a", graded=True)
        stuck = with_states(network, {"a": np.array([1])}, "stuck")
        given = samples([[[50], [0], [-90]]], graded=True)
        done = simulate(stuck, given, engine=engine, probe=[("a", "act")])
        assert done.states["a", "act"][0, 1:, 1].tolist() == [2**23 - 1] * 3
        assert done.spikes["a"].to_dense()[0, :, 1].tolist() == [0, (2**23 - 1) >> 6, 0, 0]


def test_every_kind_of_neuron_has_its_states():
    assert set(STUCK) == set(DEAD_BEHIND_KERNELS) == set(NEURON_KINDS.values())


MATRIX = 2 * np.ones((18, 16), int)


@pytest.mark.parametrize(
    ("fault", "model", "synapses", "message"),
    [
        ("stuck-neurons", BEHIND["rf"], MATRIX, "resonate-and-fire neurons, as in population 'a', cannot be stuck: they "
         "have no bias that could drive them. Use dead-neurons, or a fault of inputs or synapses"),
        ("stuck-neurons", BEHIND["rf_iz"], MATRIX, "resonate-and-fire neurons, .* cannot be stuck: they have no bias"),
        ("stuck-neurons", Sigma(), MATRIX, "sigma neurons, .* cannot be stuck: they have no bias, so that nothing but"),
        ("stuck-neurons", BEHIND["delta"], MATRIX, "delta neurons, .* cannot be stuck: they have no bias, and send changes"),
        ("stuck-neurons", BEHIND["linear"], IMAGE, "sigma-delta neurons, .* cannot be stuck: a convolution or a pool leads "
         "to them, whose weights they share, and moves their sum. Use dead-neurons"),
        ("dead-neurons", Sigma(), IMAGE, "sigma neurons, .* cannot be dead: a convolution or a pool leads to them, whose "
         "weights they share, and a Sigma sends whatever it has summed up. Use a fault of inputs or synapses"),
        ("dead-neurons", LeakyIntegrator(current_decay=1, voltage_decay=1), IMAGE, "leaky-integrator neurons, .* cannot "
         "be dead: .* a read-out has no threshold"),
        ("dead-neurons", Delta(threshold=1, cumulative=True), IMAGE, "delta neurons, .* errors add up past any threshold"),
    ],
)  # fmt: skip
def test_states_that_a_kind_cannot_have_are_refused_before_anything_runs(fault, model, synapses, message):
    network = one_layer(synapses, model, target="a", shape=(1, 4, 4), graded=model.graded)
    given = Samples(inputs={"in": Events.from_dense(np.ones((1, 1, 16), int))}, labels=[0])
    with pytest.raises(NetworkError, match=f"^faults: {message}"):
        next(measure_robustness(network, given, fault=fault, rates=[0.0, 0.1], run=pytest.fail))
    with pytest.raises(NetworkError, match=f"^faults: {message}"):
        with_states(network, {"a": np.array([0])}, fault.split("-")[0])
    assert with_states(network, {"a": np.array([], int)}, fault.split("-")[0]).fingerprint == network.fingerprint


def test_a_dead_core_of_sigma_delta_neurons_sends_nothing():
    network, given = _behind_a_convolution(BEHIND["sigma_delta"])
    core = np.arange(18) // 6
    sound = _sent("event", network, given)
    done = _sent("event", dead_core(network, {"a": core}, 1), given)
    assert sound[..., core == 1].any()
    assert not done[..., core == 1].any()
    assert np.array_equal(done[..., core != 1], sound[..., core != 1])


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "stuck-neurons"])
def test_robustness_of_a_sigma_delta_network_is_measured(fault):
    """Four classes of values; at the highest rate nothing is left of them, whatever the fault."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 4
    raster = np.zeros((24, 8, 8), int)
    for sample, label in enumerate(labels):
        raster[sample, :, 2 * label : 2 * label + 2] = rng.integers(3, 9, 2)
    hidden, reader = np.repeat(np.eye(8, dtype=int) * 20, 2, axis=0), np.zeros((4, 16), int)
    for neuron in range(4):
        reader[neuron, 4 * neuron : 4 * neuron + 4] = 20
    models = {"code": Delta(threshold=1), "a": SigmaDelta(threshold=3), "out": SigmaDelta(threshold=3)}
    layers = {"code": np.eye(8, dtype=int), "a": hidden, "out": reader}
    network = chain(layers, models, graded=True, decoding="sum")
    given = samples(raster, graded=True, labels=labels)
    rates = [0.0, 8 if fault == "jitter" else 1.0]
    sound, broken = measure_robustness(network, given, fault=fault, rates=rates, run=run_event)
    assert sound.accuracy == 1.0
    assert broken.accuracy < 1.0 if fault != "jitter" else broken.accuracy == 1.0
    assert (sound.repeats, broken.repeats) == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fault": "drop", "rates": [0.1], "seed": -1}, "seed is -1, must be 0 or more"),
        (
            {"fault": "jitter", "rates": [1e20]},
            "rate 1e.20 of 'jitter' must be a whole number of steps, 0 to 536,870,912",
        ),
        ({"fault": "jitter", "rates": [float("nan")]}, "rate nan of 'jitter' must be a whole number of steps"),
        ({"fault": "jitter", "rates": [float("inf")]}, "rate inf of 'jitter' must be a whole number of steps"),
    ],
)
def test_seeds_and_rates_that_no_draw_takes_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        next(measure_robustness(_network(), _samples(), run=pytest.fail, **options))
