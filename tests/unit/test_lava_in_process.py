"""Lava's process models without its runtime: equal to the reference for every layer kind that Lava has."""

import numpy as np
import pytest

from neurodeploy.engines.lava import run_lava, run_lava_in_process
from neurodeploy.engines.lava.plan import make_job
from neurodeploy.engines.reference import run_reference
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
from neurodeploy.network.activity import Activity, Events, Samples

pytestmark = pytest.mark.lava
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module", autouse=True)
def _lava():
    pytest.importorskip("lava.magma", reason="this Python has no lava-nc")


def model(threshold: int = 60, **others: object) -> Cuba:
    return Cuba(**{"current_decay": 1500, "voltage_decay": 300, "threshold": threshold} | others)


def even(*shape: int, low: int = -50, high: int = 70) -> np.ndarray:
    return (RNG.integers(low, high, shape) * 2 * (RNG.random(shape) < 0.6)).astype(np.int16)


def any_sign(*shape: int, sign: int = 1) -> np.ndarray:
    return (sign * RNG.integers(0, 90, shape)).astype(np.int16)


def network(populations: list[Population], projections: list[Projection], **inputs: tuple[int, ...]) -> Network:
    return Network(
        inputs=tuple(Input(name=name, shape=shape) for name, shape in inputs.items()),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="out", population=populations[-1].name),),
    )


def pair(synapses: object, source: tuple[int, ...], target: tuple[int, ...], **others: object) -> Network:
    """One input, one population, one projection."""
    first_step = int(others.pop("first_step", 1))
    neurons = others.pop("model", model())
    return network(
        [Population(name="a", shape=target, model=neurons, first_step=first_step)],
        [Projection(name="p", source="in", target="a", synapses=synapses, **others)],
        **{"in": source},
    )


def drive(net: Network, n: int = 2, steps: int = 25, rate: float = 0.2) -> Samples:
    rng = np.random.default_rng(7)
    return Samples(inputs={i.name: Events.from_dense(rng.random((n, steps, i.size)) < rate) for i in net.inputs})


def assert_same(ours: Activity, reference: Activity) -> None:
    for name, events in reference.spikes.items():
        np.testing.assert_array_equal(ours.spikes[name].to_dense(), events.to_dense(), err_msg=name)
    for key, state in reference.states.items():
        np.testing.assert_array_equal(ours.states[key], state, err_msg=str(key))


def check(net: Network, process: str | None = None, **options: float) -> Activity:
    """Compare all spikes and states with the reference; ``process`` names the Lava process the first projection becomes."""
    given = drive(net, **options)
    probe = tuple((p.name, which) for p in net.populations for which in ("u", "v"))
    reference = run_reference(net, given, probe=probe)
    assert sum(len(reference.spikes[p.name]) for p in net.populations) > 0, "the case must have spikes to compare"
    if process is not None:
        assert make_job(net, given, 10)["projections"][0]["process"] == process
    assert_same(run_lava_in_process(net, given, probe=probe), reference)
    return reference


def sparse(matrix: np.ndarray) -> Sparse:
    source, target = np.nonzero(matrix.T)
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(matrix, axis=0))])
    return Sparse(n_target=len(matrix), start=start, target=target, weights=matrix[target, source])


class TestDenseAndSparse:
    @pytest.mark.parametrize("exponent", [-3, -1, 0, 1, 4])
    def test_exponent_shifts_the_sum(self, exponent):
        check(pair(Dense(weights=even(9, 7)), (7,), (9,), weight_exponent=exponent, model=model(30)), "Dense")
        check(pair(sparse(even(9, 7)), (7,), (9,), weight_exponent=exponent, model=model(30)), "Sparse")

    def test_odd_weights_of_one_sign(self):
        check(pair(Dense(weights=any_sign(9, 7)), (7,), (9,)), "Dense")
        both = network(
            [Population(name="a", shape=(9,), model=model(20))],
            [
                Projection(name="up", source="in", target="a", synapses=Dense(weights=any_sign(9, 7))),
                Projection(name="down", source="in", target="a", synapses=sparse(any_sign(9, 7, sign=-1))),
            ],
            **{"in": (7,)},
        )
        check(both, "Dense")

    @pytest.mark.parametrize("delay", [1, 5, 62])
    def test_one_delay_for_all(self, delay):
        check(pair(Dense(weights=even(9, 7)), (7,), (9,), delay=delay), "DelayDense", steps=70)
        check(pair(sparse(even(9, 7)), (7,), (9,), delay=delay), "DelaySparse", steps=70)

    def test_delay_of_each_source_neuron(self):
        delay = np.array([0, 3, 1, 0, 7, 2, 2])
        check(pair(Dense(weights=even(9, 7)), (7,), (9,), delay=delay, weight_exponent=-1), "DelayDense")
        check(pair(sparse(even(9, 7)), (7,), (9,), delay=delay, weight_exponent=-1), "DelaySparse")

    def test_delay_of_each_synapse(self):
        delay = RNG.integers(0, 9, (9, 7))
        check(pair(Dense(weights=even(9, 7)), (7,), (9,), delay=delay, weight_exponent=-2), "DelayDense")

    def test_delay_of_sources_without_synapses_only(self):
        matrix = even(9, 7)
        matrix[:, 0] = 0
        check(pair(sparse(matrix), (7,), (9,), delay=np.array([4, 0, 0, 0, 0, 0, 0])), "Sparse")

    def test_no_synapse_at_all_beside_one_that_works(self):
        nothing = np.zeros((9, 7), np.int16)
        net = network(
            [Population(name="a", shape=(9,), model=model())],
            [
                Projection(name="none", source="in", target="a", synapses=sparse(nothing), delay=3),
                Projection(name="zero", source="in", target="a", synapses=Dense(weights=nothing)),
                Projection(name="some", source="in", target="a", synapses=Dense(weights=even(9, 7))),
            ],
            **{"in": (7,)},
        )
        check(net, "Sparse")

    def test_extreme_weights_and_full_drive_wrap_the_current_as_in_the_reference(self):
        matrix = np.where(RNG.random((6, 40)) < 0.5, -256, 254).astype(np.int16)
        matrix[0], matrix[1] = -256, 254
        net = pair(Dense(weights=matrix), (40,), (6,), weight_exponent=7, model=model(2**17 - 1, current_decay=0))
        assert check(net, "Dense", rate=0.9).overflow["a"] > 0


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
    def test_conv_with_every_option_on_a_field_that_is_not_square(self, kernel, options, exponent):
        weights = even(6, 4 // options.get("groups", 1), *kernel) + np.int16(1)
        conv = Conv(weights=weights, input_shape=(4, 7, 9), **options)
        check(pair(conv, (4, 7, 9), conv.output_shape, weight_exponent=exponent), "Conv", steps=8)

    @pytest.mark.parametrize(
        ("others", "process"),
        [
            ({"delay": 2}, "DelaySparse"),
            ({"delay": np.arange(140) % 5}, "DelaySparse"),
            ({"weight_exponent": -2}, "Sparse"),
            ({"delay": 1, "weight_exponent": 1}, "DelaySparse"),
        ],
    )
    def test_conv_that_lava_lacks_becomes_a_sparse_matrix(self, others, process):
        conv = Conv(weights=even(6, 2, 3, 2), input_shape=(4, 5, 7), stride=(2, 1), padding=(1, 0), groups=2)
        check(pair(conv, (4, 5, 7), conv.output_shape, **others), process, steps=12, rate=0.4)

    def test_pool_sums_each_channel(self):
        pool = Pool(input_shape=(3, 6, 7), kernel=(2, 3), stride=(2, 2), padding=(0, 1), weight=40)
        check(pair(pool, (3, 6, 7), pool.output_shape), "Conv", steps=8)

    def test_more_groups_than_lava_counts_becomes_a_sparse_matrix(self):
        pool = Pool(input_shape=(130, 2, 2), kernel=(2, 2), stride=(2, 2), weight=40)
        check(pair(pool, (130, 2, 2), pool.output_shape), "Sparse", steps=4)

    def test_conv_pool_conv_dense(self):
        first = Conv(weights=even(4, 2, 3, 3), input_shape=(2, 8, 6), padding=(1, 1))
        pool = Pool(input_shape=(4, 8, 6), kernel=(2, 2), stride=(2, 2))
        second = Conv(weights=even(3, 4, 3, 3), input_shape=(4, 4, 3), padding=(1, 1))
        shapes = [first.output_shape, pool.output_shape, second.output_shape, (5,)]
        names = ["in", "one", "two", "three", "four"]
        kinds = [first, pool, second, Dense(weights=even(5, 36))]
        net = network(
            [
                Population(name=n, shape=s, model=model(), first_step=i + 1)
                for i, (n, s) in enumerate(zip(names[1:], shapes))
            ],
            [Projection(name=f"{a}{b}", source=a, target=b, synapses=k) for a, b, k in zip(names, names[1:], kinds)],
            **{"in": (2, 8, 6)},
        )
        check(net, "Conv", steps=10)


class TestShapesOfNetworks:
    def test_recurrent_population(self):
        net = network(
            [
                Population(name="a", shape=(8,), model=model()),
                Population(name="b", shape=(4,), model=model(), first_step=2),
            ],
            [
                Projection(name="in", source="x", target="a", synapses=Dense(weights=even(8, 6))),
                Projection(name="self", source="a", target="a", synapses=Dense(weights=even(8, 8))),
                Projection(name="late self", source="a", target="a", synapses=sparse(even(8, 8)), delay=4),
                Projection(name="back", source="b", target="a", synapses=Dense(weights=even(8, 4))),
                Projection(name="on", source="a", target="b", synapses=Dense(weights=even(4, 8))),
            ],
            x=(6,),
        )
        check(net)

    def test_two_inputs_skip_connection_and_biases(self):
        net = network(
            [
                Population(name="a", shape=(8,), model=model(bias=np.arange(8) * 100)),
                Population(name="b", shape=(4,), model=model(bias=-50), first_step=2),
                Population(
                    name="c", shape=(3,), model=LeakyIntegrator(current_decay=9, voltage_decay=99, bias=7), first_step=3
                ),
            ],
            [
                Projection(name="xa", source="x", target="a", synapses=Dense(weights=even(8, 6))),
                Projection(name="ab", source="a", target="b", synapses=Dense(weights=even(4, 8))),
                Projection(name="yb", source="y", target="b", synapses=Dense(weights=even(4, 5)), delay=1),
                Projection(name="xb", source="x", target="b", synapses=sparse(even(4, 6))),
                Projection(name="bc", source="b", target="c", synapses=Dense(weights=even(3, 4))),
                Projection(name="ac", source="a", target="c", synapses=Dense(weights=even(3, 8)), delay=1),
            ],
            x=(6,),
            y=(5,),
        )
        check(net)

    def test_a_late_population_forgets_what_arrived_before_its_first_step(self):
        check(pair(Dense(weights=even(9, 7, low=0)), (7,), (9,), first_step=6, model=model(bias=4000)), rate=0.5)

    def test_a_first_step_of_zero_lets_the_bias_begin_with_the_inputs(self):
        check(pair(Dense(weights=even(9, 7)), (7,), (9,), first_step=0, model=model(bias=4000)))

    def test_a_population_that_nothing_reaches(self):
        net = network(
            [
                Population(name="a", shape=(9,), model=model()),
                Population(name="alone", shape=(3,), model=model(bias=900), first_step=2),
            ],
            [Projection(name="p", source="in", target="a", synapses=Dense(weights=even(9, 7)))],
            **{"in": (7,), "unused": (2,)},
        )
        reference = check(net)
        assert len(reference.spikes["alone"]) > 0

    def test_fewer_steps_than_the_depth(self):
        net = pair(Dense(weights=even(9, 7)), (7,), (9,), first_step=4)
        given = drive(net)
        assert_same(run_lava_in_process(net, given, n_steps=3), run_reference(net, given, n_steps=3))


@pytest.mark.parametrize("engine", [run_reference, run_lava_in_process, run_lava])
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
    net = pair(
        Dense(weights=np.repeat(weights, 16, axis=1)),
        (16,),
        (7,),
        weight_exponent=7,
        model=LeakyIntegrator(current_decay=0, voltage_decay=0),
    )
    given = Samples(inputs={"in": Events.from_dense(np.ones((1, 1, 16), bool))})
    activity = engine(net, given, probe=(("a", "u"), ("a", "v")))
    assert activity.states["a", "u"][0, 1].tolist() == [u for u, _ in expected.values()]
    assert activity.states["a", "v"][0, 1].tolist() == [v for _, v in expected.values()]
