"""Readings: graphs as exporters write them, beside what their frameworks compute, in plain recurrences."""

import nir
import numpy as np
import pytest
from building import chain

from neurodeploy import Events, NirError, Samples, UsageError, check_nir, from_nir, interpret, simulate, to_nir
from neurodeploy.exchange.nir.graph import load_graph
from neurodeploy.exchange.nir.prepare import opened
from neurodeploy.exchange.nir.readings import READINGS, Reading, as_reading, recognised
from neurodeploy.network import Cuba, difference

N_IN, N = 8, 6
RNG = np.random.default_rng(3)
X = (RNG.random((5, 40, N_IN)) < 0.4).astype(np.float64)
W = RNG.normal(0.15, 0.5, (N, N_IN)).astype(np.float32)
BETA, ALPHA = RNG.uniform(0.7, 0.97, N), RNG.uniform(0.3, 0.7, N)


def graph(neuron, *, weight=W, shape=(N_IN,), out=(N,), names=("fc", "lif"), linear=nir.Linear, entry="input"):
    layer = linear(weight) if linear is nir.Linear else linear(weight, np.zeros(len(weight), np.float32))
    nodes = {entry: nir.Input(np.array(shape)), names[0]: layer, names[1]: neuron, "output": nir.Output(np.array(out))}
    edges = [(entry, names[0]), (names[0], names[1]), (names[1], "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def lif(tau, r, theta=1.0, dtype=np.float64):
    full = {"r": np.broadcast_to(r, N), "v_leak": np.zeros(N), "v_threshold": np.full(N, theta)}
    return nir.LIF(tau=np.asarray(tau, dtype), **{k: np.array(v, dtype) for k, v in full.items()})


def cuba(tau_syn, tau_mem, r, w_in=1.0, dtype=np.float64):
    full = {
        "r": np.broadcast_to(r, N),
        "w_in": np.broadcast_to(w_in, N),
        "v_leak": np.zeros(N),
        "v_threshold": np.ones(N),
    }
    own = {k: np.array(v, dtype) for k, v in full.items()}
    taus = {k: np.array(np.broadcast_to(v, N), dtype) for k, v in (("tau_syn", tau_syn), ("tau_mem", tau_mem))}
    return nir.CubaLIF(**taus, **own)


def floats(given, reading, name="lif"):
    return interpret(given, {next(n for n in given.nodes if n.startswith("input")): X}, reading=reading).spikes[name]


def recurrence(step, *, at=False, reset="zero", theta=1.0, weight=W):
    """Spikes of ``v, u = step(v, u, input)`` with a reset "zero", "subtract" (at once) or "late" (after the next step)."""
    v, u, fired = np.zeros((len(X), N)), np.zeros((len(X), N)), np.zeros((len(X), N), bool)
    spikes = []
    for x in X.transpose(1, 0, 2):
        v, u = step(v, u, x @ weight.astype(np.float64).T)
        if reset == "late":
            v = v - theta * fired
        fired = v >= theta if at else v > theta
        v = np.where(fired, 0.0, v) if reset == "zero" else v - theta * fired if reset == "subtract" else v
        spikes.append(fired)
    return np.stack(spikes, axis=1)


def leaky(keep, gain=1.0):
    return lambda v, u, s: (keep * v + gain * s, u)


def with_current(keep_u, keep_v, gain_u=1.0, gain_v=1.0):
    def step(v, u, s):
        u = keep_u * u + gain_u * s
        return keep_v * v + gain_v * u, u

    return step


def torch_like(dt=1e-4):
    return graph(lif(dt / (1 - BETA), 1 / (1 - BETA)))


CUBA_LIKE = graph(cuba(1e-4 / (1 - ALPHA), 1e-4 / (1 - BETA), 1 / (1 - BETA), 1 / (1 - ALPHA)))
TAU, TAU_SYN = RNG.uniform(4e-3, 2e-2, N), RNG.uniform(2e-3, 8e-3, N)
STEPS = RNG.uniform(3, 15, N)
ROCKPOOL_R = TAU / 1e-3 * np.exp(-1e-3 / TAU)
LATE_SPYX = graph(lif(1 / (1 - BETA), BETA), names=("layer_0", "layer_1"))

MEANINGS = {
    "snntorch": (torch_like(), "snntorch", recurrence(leaky(BETA))),
    "snntorch, subtracting after the leak": (
        torch_like(),
        "snntorch,reset=subtract",
        recurrence(leaky(BETA), reset="late"),
    ),
    "snntorch Synaptic": (CUBA_LIKE, "snntorch", recurrence(with_current(ALPHA, BETA))),
    "snntorch Synaptic, subtracting": (
        CUBA_LIKE,
        "snntorch,reset=subtract",
        recurrence(with_current(ALPHA, BETA), reset="late"),
    ),
    "snntorch with decays beyond 0..1": (
        graph(lif(1e-4 / (1 - np.r_[1.25, -0.25, BETA[2:]]), 1 / (1 - np.r_[1.25, -0.25, BETA[2:]]))),
        "snntorch",
        recurrence(leaky(np.r_[1.0, 0.0, BETA[2:]])),
    ),
    "norse LIFBoxCell": (
        graph(lif(1e-3 * TAU, 1, theta=0.3)),
        "norse",
        recurrence(leaky(1 - 1e-3 / TAU, 1e-3 / TAU), theta=0.3),
    ),
    "norse LIFCell": (
        graph(cuba(1e-3 * TAU_SYN, 1e-3 * TAU, 1)),
        "norse",
        recurrence(with_current(1 - 1e-3 / TAU_SYN, 1 - 1e-3 / TAU, 1.0, 1e-3 / TAU)),
    ),
    "norse with another step": (
        graph(cuba(1e-3 * TAU_SYN, 1e-3 * TAU, 1)),
        "norse,dt=2e-3",
        recurrence(with_current(1 - 2e-3 / TAU_SYN, 1 - 2e-3 / TAU, 1.0, 2e-3 / TAU)),
    ),
    "norse, its time constants as they are": (
        graph(cuba(TAU_SYN, TAU, 1)),
        "norse",
        recurrence(with_current(1 - 1e-3 / TAU_SYN, 1 - 1e-3 / TAU, 1.0, 1e-3 / TAU)),
    ),
    "sinabs": (
        graph(lif(STEPS, 1, theta=0.3)),
        "sinabs",
        recurrence(leaky(np.exp(-1 / STEPS), 1 - np.exp(-1 / STEPS)), at=True, theta=0.3),
    ),
    "sinabs, subtracting": (
        graph(lif(STEPS, 1, theta=0.3)),
        "sinabs,reset=subtract",
        recurrence(leaky(np.exp(-1 / STEPS), 1 - np.exp(-1 / STEPS)), at=True, theta=0.3, reset="subtract"),
    ),
    "rockpool": (
        graph(cuba(TAU_SYN, TAU, ROCKPOOL_R)),
        "rockpool",
        recurrence(
            with_current(np.exp(-1e-3 / TAU_SYN), np.exp(-1e-3 / TAU), np.exp(-1e-3 / TAU_SYN)),
            at=True,
            reset="subtract",
        ),
    ),
    "spyx": (LATE_SPYX, "spyx", recurrence(leaky(BETA), reset="late")),
    "spyx CuBaLIF": (
        graph(cuba(1 / (1 - ALPHA), 1 / (1 - BETA), BETA)),
        "spyx",
        recurrence(with_current(ALPHA, BETA), reset="subtract"),
    ),
    "spikingjelly": (
        graph(lif(np.full(N, 3e-4), 1, theta=0.4)),
        "spikingjelly",
        recurrence(leaky(2 / 3, 1 / 3), at=True, theta=0.4),
    ),
    "lava-dl": (
        graph(
            cuba(4096e-4 / 1024, np.r_[np.inf, np.full(N - 1, 4096e-4 / 128)], np.r_[np.inf, np.full(N - 1, 32.0)], 4.0)
        ),
        "lava-dl",
        recurrence(with_current(0.75, np.r_[1.0, np.full(N - 1, 1 - 128 / 4096)])),
    ),
    "euler": (graph(lif(TAU, 3.0)), "euler,dt=1e-3", recurrence(leaky(1 - 1e-3 / TAU, 3e-3 / TAU))),
    "exponential": (
        graph(lif(TAU, 3.0)),
        "exponential,dt=1e-3",
        recurrence(leaky(np.exp(-1e-3 / TAU), 3 * (1 - np.exp(-1e-3 / TAU)))),
    ),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_a_graph_read_as_its_framework_means_it_gives_the_spikes_of_the_framework(name):
    given, reading, expected = MEANINGS[name]
    found = floats(given, reading, "layer_1" if "layer_1" in given.nodes else "lif")
    assert 20 < expected.sum() < 0.9 * expected.size
    assert np.count_nonzero(found != expected) == 0


@pytest.mark.parametrize("name", MEANINGS)
def test_the_network_is_close_to_the_floats_of_the_framework(name):
    """Weights, decays and thresholds are rounded to 8, 12 and 17 bits; a wrong reading changes far more spikes."""
    given, reading, expected = MEANINGS[name]
    network = from_nir(given, reading=reading)
    events = Events.from_dense(X.astype(int))
    entry = network.inputs[0].name
    activity = simulate(network, Samples(inputs={entry: events}), n_steps=X.shape[1] + 1)
    found = activity.spikes[network.populations[0].name].to_dense()[:, 1:] != 0
    assert np.count_nonzero(found != expected) < 0.03 * expected.size


def test_every_reading_is_tested():
    assert {as_reading(reading).name for _, reading, _ in MEANINGS.values()} == set(READINGS)


class TestText:
    def test_name_step_and_reset(self):
        assert as_reading("snntorch,dt=1e-3,reset=subtract") == Reading(name="snntorch", dt=1e-3, reset="subtract")
        assert as_reading(" Lava_DL , dt = 2e-3 ") == Reading(name="lava-dl", dt=2e-3)
        assert as_reading("dt=1e-3") == Reading(dt=1e-3)
        assert as_reading(None) == as_reading("") == Reading()

    def test_a_reading_as_text_says_the_same(self):
        for reading in (Reading(), Reading(name="norse", dt=1 / 3), Reading(dt=1e-3, reset="zero")):
            assert as_reading(str(reading)) == reading

    def test_what_stands_beside_is_added(self):
        assert as_reading("norse", dt=1e-3, reset="zero") == Reading(name="norse", dt=1e-3, reset="zero")
        assert as_reading("norse,dt=1e-3", dt=1e-3).dt == 1e-3

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("nengo", "'nengo' is not known; known: snntorch, norse, sinabs, rockpool, spyx, spikingjelly, lava-dl"),
            ("norse,step=1", r"'norse,step=1' is no reading; write NAME\[,dt=SECONDS\]\[,reset=zero\|subtract\]"),
            ("norse,sinabs", "'norse,sinabs' is no reading"),
            ("norse,,", "is no reading"),
            ("norse,dt=1ms", "dt=1ms in 'norse,dt=1ms' is no number of seconds, as in dt=1e-3"),
            ("norse,reset=half", "reset=half is not possible; choose reset=zero or reset=subtract"),
        ],
    )
    def test_a_bad_text_is_refused_with_what_is_known(self, text, message):
        with pytest.raises(UsageError, match=message):
            as_reading(text)

    def test_two_values_of_one_thing_are_refused(self):
        with pytest.raises(UsageError, match="'norse,dt=0.001' says dt=0.001, but dt is given as 0.002; give it once"):
            as_reading("norse,dt=1e-3", dt=2e-3)


class TestRecognition:
    def test_rockpool_by_its_names_or_by_gains_of_several_time_constants(self):
        one = graph(cuba(TAU_SYN[0] * np.ones(N), TAU[0] * np.ones(N), ROCKPOOL_R[0]))
        named = graph(
            cuba(TAU_SYN[0] * np.ones(N), TAU[0] * np.ones(N), ROCKPOOL_R[0]), names=("0_LinearTorch", "1_LIFTorch")
        )
        assert name_of(named) == name_of(graph(cuba(TAU_SYN, TAU, ROCKPOOL_R))) == "rockpool"
        assert name_of(one) == ""
        with pytest.raises(NirError, match="the length of a step is contradictory.* or name the exporter"):
            from_nir(one)

    def test_spyx_by_names_and_gains(self):
        assert name_of(LATE_SPYX) == "spyx"
        assert name_of(graph(lif(1 / (1 - BETA), BETA))) == ""
        assert name_of(graph(lif(1 / (1 - BETA), 1 / (1 - BETA)), names=("layer_0", "layer_1"))) == ""

    def test_norse_by_gains_precision_time_constants_and_the_batch_axis(self):
        def made(tau=1e-3 * TAU, dtype=np.float32, shape=(1, N_IN), linear=nir.Affine):
            return graph(lif(tau, 1, dtype=dtype), shape=shape, out=(1, N), linear=linear)

        assert name_of(made()) == "norse"
        for other in (made(TAU), made(dtype=np.float64), made(shape=(N_IN,)), made(linear=nir.Linear)):
            assert name_of(other) == ""

    def test_sinabs_by_gains_steps_and_the_names_of_sequential(self):
        def made(tau=STEPS, names=("0", "1"), linear=nir.Affine):
            return graph(lif(tau, 1, dtype=np.float32), names=names, linear=linear)

        assert name_of(made()) == "sinabs"
        for other in (made(STEPS / 100), made(names=("fc", "lif")), made(linear=nir.Linear)):
            assert name_of(other) == ""

    def test_spikingjelly_where_the_file_tells_its_step(self):
        told = graph(lif(np.full(N, 3e-4), 3), names=("_0", "_1"), entry="input_1")
        untold = graph(lif(np.full(N, 3e-4), 1), names=("_0", "_1"), entry="input_1")
        assert (name_of(told), name_of(untold)) == ("spikingjelly", "")
        with pytest.raises(NirError, match=r"with --reading \(spikingjelly, by its looks; known: snntorch"):
            from_nir(untold)

    def test_snntorch_only_where_nir_means_nothing(self):
        beyond = MEANINGS["snntorch with decays beyond 0..1"][0]
        assert (name_of(beyond), name_of(torch_like())) == ("snntorch", "")

    def test_a_step_that_the_user_gives_keeps_readings_away_that_would_mean_it_otherwise(self):
        norse = graph(lif(1e-3 * TAU, 1, dtype=np.float32), shape=(1, N_IN), out=(1, N), linear=nir.Affine)
        assert from_nir(norse, dt=1e-6).dt == 1e-6
        assert from_nir(norse).dt == 1e-3
        expected = [round(4096 * 1e-3 / tau) for tau in TAU]
        for network in (from_nir(norse), from_nir(norse, dt=1e-6)):
            assert network.populations[0].model.voltage_decay.tolist() == expected
        assert "as Norse writes it" not in str(from_nir(norse, dt=1e-6).ledger)

    def test_what_was_found_out_is_said_in_the_ledger_and_by_check(self, tmp_path):
        given = graph(cuba(TAU_SYN, TAU, ROCKPOOL_R))
        (note,) = (e for e in from_nir(given).ledger if e.where == "graph")
        assert note.what.startswith("read as rockpool writes it, recognised by names and parameters: states decay")
        assert note.what.endswith("--reading euler takes it as NIR says")
        nir.write(tmp_path / "a.nir", given)
        report = check_nir(tmp_path / "a.nir")
        assert report.reading.startswith("rockpool: read as rockpool writes it, recognised")
        assert report.dt == 1e-3
        said = check_nir(tmp_path / "a.nir", reading="rockpool").reading
        assert "recognised" not in said
        assert check_nir(tmp_path / "a.nir", reading="euler,dt=1e-3").reading == ""

    def test_a_file_of_neurodeploy_is_never_taken_for_another(self):
        network = chain(
            {"layer_1": np.eye(3, dtype=int) * 64}, Cuba(current_decay=4096, voltage_decay=409, threshold=70)
        )
        written = to_nir(network)
        assert opened(written).reading.name == "euler"
        with pytest.raises(NirError, match="was written by neurodeploy, which records .*; leave --reading norse out"):
            from_nir(written, reading="norse")
        assert difference(from_nir(written, reading="euler"), network) is None


def name_of(given):
    return recognised(load_graph(given))


class TestSpyxGraphs:
    def test_the_input_of_a_recurrent_layer_goes_beside_its_recurrent_weights(self):
        back = RNG.normal(0, 0.3, (N, N))
        inner = nir.NIRGraph(
            {
                "layer_1.lif": lif(1 / (1 - BETA), BETA),
                "layer_1.w_rec": nir.Linear(back),
                "layer_1.input": nir.Input(np.array([N])),
                "layer_1.output": nir.Output(np.array([N])),
            },
            [
                ("layer_1.input", "layer_1.w_rec"),
                ("layer_1.w_rec", "layer_1.lif"),
                ("layer_1.lif", "layer_1.w_rec"),
                ("layer_1.lif", "layer_1.output"),
            ],
        )
        nodes = {"input": nir.Input(np.array([N_IN])), "layer_0": nir.Linear(W), "layer_1": inner}
        nodes |= {"output": nir.Output(np.array([N]))}
        edges = [("input", "layer_0"), ("layer_0", "layer_1"), ("layer_1", "output")]
        given = nir.NIRGraph(nodes, edges, type_check=False)
        assert name_of(given) == "spyx"
        v, fired, expected = np.zeros((5, N)), np.zeros((5, N)), []
        for x in X.transpose(1, 0, 2):
            v = BETA * v + x @ W.astype(np.float64).T + fired @ back.T - fired
            fired = (v > 1).astype(np.float64)
            expected.append(fired > 0)
        assert np.count_nonzero(floats(given, None, "layer_1.layer_1.lif") != np.stack(expected, axis=1)) == 0

    def test_images_are_flattened_channels_last(self):
        weight = RNG.normal(0.1, 0.4, (N, 12))
        image = nir.NIRGraph(
            {
                "input": nir.Input(np.array([3, 2, 2])),
                "layer_0": nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1),
                "layer_1": nir.Linear(weight),
                "layer_2": lif(1 / (1 - BETA), BETA),
                "output": nir.Output(np.array([N])),
            },
            [("input", "layer_0"), ("layer_0", "layer_1"), ("layer_1", "layer_2"), ("layer_2", "output")],
        )
        x = (RNG.random((5, 40, 3, 2, 2)) < 0.4).astype(float)
        flat = graph(lif(1 / (1 - BETA), BETA), weight=weight, shape=(12,), names=("layer_1", "layer_2"))
        expected = interpret(flat, {"input": np.moveaxis(x, 2, -1).reshape(5, 40, 12)}).spikes["layer_2"]
        assert np.count_nonzero(interpret(image, {"input": x}).spikes["layer_2"] != expected) == 0


class TestIntegers:
    def test_a_reset_after_the_leak_is_exact_where_all_numbers_lie_on_the_grid(self):
        """Decays of 1/2 and 1/4, weights of 1/64: the rest of the reset, 1/2 and 1/8 of the threshold, is exact as well."""
        weight = np.rint(W * 64) / 64
        for neuron in (
            lif(np.full(N, 2e-4), 2.0),
            cuba(np.full(N, 4e-4), np.full(N, 2e-4), 2.0, 4.0),
        ):
            given = graph(neuron, weight=weight)
            network = from_nir(given, reading="snntorch,reset=subtract")
            assert network.populations[0].model.reset == "subtract"
            loops = [p.name for p in network.projections if p.source == p.target]
            assert loops == (["lif.reset"] if isinstance(neuron, nir.LIF) else ["lif.reset", "lif.reset_back"])
            expected = floats(given, "snntorch,reset=subtract")
            activity = simulate(network, Samples(inputs={"input": Events.from_dense(X.astype(int))}), n_steps=41)
            found = activity.spikes["lif"].to_dense()[:, 1:] != 0
            if isinstance(neuron, nir.LIF):
                assert np.count_nonzero(found != expected) == 0
            assert all(e.size == "no spike differs" for e in network.ledger), network.ledger

    def test_without_a_leak_there_is_no_rest(self):
        kept = graph(lif(np.full(N, np.inf), np.inf), weight=W)
        network = from_nir(kept, reading="snntorch,reset=subtract")
        assert [p.name for p in network.projections] == ["fc"]
        assert network.populations[0].model.reset == "subtract"

    def test_firing_at_the_threshold_is_exact_for_counting_neurons(self):
        weight = np.rint(W * 8) / 8  # sums of eighths meet the threshold of 1 exactly
        neuron = nir.IF(r=np.full(N, 1e4), v_threshold=np.ones(N))
        given = graph(neuron, weight=weight, names=("_0", "_1"), entry="input_1")
        network = from_nir(given)
        expected = floats(given, None, "_1")
        above = floats(given, "euler", "_1")
        assert np.count_nonzero(expected != above) > 20
        activity = simulate(network, Samples(inputs={"input_1": Events.from_dense(X.astype(int))}), n_steps=41)
        assert np.count_nonzero((activity.spikes["_1"].to_dense()[:, 1:] != 0) != expected) == 0
        assert network.populations[0].model.threshold == 63
        other = from_nir(given, reset="subtract")
        assert other.populations[0].model.threshold == 63
        activity = simulate(other, Samples(inputs={"input_1": Events.from_dense(X.astype(int))}), n_steps=41)
        expected = interpret(given, {"input_1": X}, reset="subtract").spikes["_1"]
        assert np.count_nonzero((activity.spikes["_1"].to_dense()[:, 1:] != 0) != expected) == 0

    def test_leaking_neurons_fire_above_the_threshold_and_the_ledger_says_so(self):
        given = graph(lif(np.full(N, 10.0), np.ones(N)), names=("_0", "_1"), entry="input_1")
        other = from_nir(given, reading="sinabs,dt=1")
        entries = [e.what for e in other.ledger if e.size == "where a voltage is exactly the threshold"]
        assert entries == ["fires above the threshold, where the framework fires at it as well"]

    def test_the_rest_of_a_reset_leaves_the_other_weights_on_their_grid(self):
        weight = np.rint(W * 64) / 64
        network = from_nir(
            graph(lif(1e-4 / (1 - BETA), 1 / (1 - BETA)), weight=weight), reading="snntorch,reset=subtract"
        )
        (into,) = (p for p in network.projections if p.name == "fc")
        assert np.array_equal(into.synapses.weights * 2.0**into.weight_exponent, np.rint(weight * 64))
        (entry,) = (e for e in network.ledger if e.where == "lif.reset" and "rounded to 8 bits" in e.what)
        assert entry.size.startswith("at most ")


class TestSteps:
    def test_a_step_names_the_length_where_decays_count_steps(self):
        for reading in ("sinabs,dt=2e-3", "spyx,dt=2e-3", "snntorch,dt=2e-3"):
            given = {"sinabs": graph(lif(STEPS, 1)), "spyx": LATE_SPYX, "snntorch": torch_like()}[reading.split(",")[0]]
            network, other = from_nir(given, reading=reading), from_nir(given, reading=reading.split(",")[0])
            assert network.dt == 2e-3
            decay = network.populations[0].model.voltage_decay
            assert np.array_equal(decay, other.populations[0].model.voltage_decay)
        told = [e.what for e in from_nir(torch_like(), reading="snntorch,dt=2e-3").ledger if e.where == "graph"]
        assert "steps of 0.002 s, where the file was written for 0.0001: decays stay, times scale along" in told

    def test_a_reading_fixes_the_file_for_every_reader(self, tmp_path):
        """The fixed file means what NIR says, and holds its step; only resets and ties stand in metadata."""
        for name, (given, reading, _) in MEANINGS.items():
            if name in ("euler", "snntorch with decays beyond 0..1", "lava-dl"):
                continue
            nir.write(tmp_path / "a.nir", given)
            report = check_nir(tmp_path / "a.nir", fix=tmp_path / "b.nir", reading=reading, force=True)
            assert report.ok, name
            again = tmp_path / "b.nir"
            if reading.startswith("exponential"):
                assert difference(from_nir(again, dt=1e-3), from_nir(given, reading=reading)) is None
                continue
            assert difference(from_nir(again), from_nir(given, reading=reading)) is None, name
            assert from_nir(again).dt == from_nir(given, reading=reading).dt

    def test_exponential_is_what_discretization_says(self):
        given = graph(lif(TAU, 3.0))
        one = from_nir(given, reading="exponential", dt=1e-3)
        assert difference(one, from_nir(given, discretization="exponential", dt=1e-3)) is None
        with pytest.raises(
            UsageError, match="reading=norse and discretization=exponential are given; give one of them"
        ):
            from_nir(given, reading="norse", discretization="exponential", dt=1e-3)

    def test_a_time_constant_below_a_step_asks_whether_the_reading_is_right(self):
        with pytest.raises(NirError, match="tau 2e-07 is shorter than a step of 1e-06, which Norse cannot have"):
            from_nir(graph(lif(np.full(N, 2e-7), 1)), reading="norse")


class TestAxes:
    def test_axes_of_batch_and_time_go_where_a_framework_is_named(self):
        one = {
            name: np.array(value) for name, value in (("tau", 5.0), ("r", 1.0), ("v_leak", 0.0), ("v_threshold", 1.0))
        }
        given = graph(nir.LIF(**one), shape=(40, N_IN), out=(40, N))
        network = from_nir(given, reading="sinabs")
        assert (network.inputs[0].shape, network.populations[0].size) == ((N_IN,), N)

    def test_they_go_anyway_where_the_neurons_are_as_many_as_the_rows(self):
        given = graph(cuba(TAU_SYN, TAU, ROCKPOOL_R), shape=(1, 40, N_IN), out=(1, 40, N))
        network = from_nir(given)
        assert (network.inputs[0].shape, network.populations[0].size) == ((N_IN,), N)
        assert "shape (1, 40, 8) read as (8,)" in str(network.ledger)

    def test_a_batch_axis_before_a_convolution_goes(self):
        conv = nir.Conv2d((6, 6), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2))
        shape = (2, 4, 4)
        neuron = nir.IF(r=np.ones(shape), v_threshold=np.full(shape, 4.0))
        nodes = {
            "input": nir.Input(np.array([1, 1, 6, 6])),
            "c": conv,
            "n": neuron,
            "output": nir.Output(np.array(shape)),
        }
        network = from_nir(nir.NIRGraph(nodes, [("input", "c"), ("c", "n"), ("n", "output")], type_check=False))
        assert network.inputs[0].shape == (1, 6, 6)

    def test_elements_that_the_network_has_stay(self):
        """A dense layer over the last axis of (2, 8) is a layer of its own for each row."""
        neuron = nir.LIF(
            tau=np.full((2, N), 2e-3), r=np.full((2, N), 2.0), v_leak=np.zeros((2, N)), v_threshold=np.ones((2, N))
        )
        network = from_nir(graph(neuron, shape=(2, N_IN), out=(2, N)))
        assert (network.inputs[0].size, network.populations[0].size) == (2 * N_IN, 2 * N)
