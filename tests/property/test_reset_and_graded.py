"""Spiking neurons of both resets, driven by plain and graded inputs: all engines agree, and so does the replay of a proof.

Networks mix inputs, synapses, exponents and delays; samples repeat their events, change one channel, fall silent in between,
or carry payloads whose sums leave 24 and 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import drawing
import numpy as np
import pytest
from building import connect, nonzero
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.lava import run_lava, run_lava_in_process
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import LavaError, SimulationError
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
from neurodeploy.network.activity import Activity, Events, Samples, join_samples
from neurodeploy.proofs.arrivals import population_input, recorded
from neurodeploy.proofs.replay import replay_model

MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
LIMIT = 2**23


@dataclass
class Case:
    """A network, samples for it, and options of a run: all states as probes, labels, a number of steps."""

    network: Network
    samples: Samples
    options: dict[str, Any]

    def of(self, samples: Samples) -> Case:
        return Case(self.network, samples, self.options)


@st.composite
def cases(draw, *, lava: bool = False) -> Case:
    """A case; with ``lava`` it has the weights, biases and options that Lava can hold, whatever else it may refuse."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    resets = ["zero"] if lava and draw(st.integers(0, 3)) else ["zero", "subtract"]
    inputs = [_input(draw, f"in{i}") for i in range(draw(st.integers(1, 3)))]
    shapes = {i.name: i.shape for i in inputs}
    populations: list[Population] = []
    projections: list[Projection] = []

    def join(source: str, target: str, synapses: Any) -> None:
        exponent, delay = draw(st.integers(-2, 3)), _delay(draw, synapses, int(np.prod(shapes[source])), rng)
        number = f"w{len(projections)}"
        projections.append(connect(source, target, synapses, number, weight_exponent=exponent, delay=delay))

    for i in range(draw(st.integers(1, 3))):
        name, source = f"p{i}", draw(st.sampled_from(list(shapes)))
        synapses, shape = _synapses(draw, shapes[source], rng, lava)
        model = _model(draw, shape, rng, resets, lava)
        populations.append(Population(name=name, shape=shape, model=model, first_step=draw(st.integers(0, 3))))
        shapes[name] = shape
        join(source, name, synapses)
    # further inputs into a population, skip connections, loops
    pairs = st.tuples(st.sampled_from(list(shapes)), st.sampled_from([p.name for p in populations]))
    for source, target in draw(st.lists(pairs, max_size=4)):
        join(source, target, _matrix(draw, int(np.prod(shapes[source])), int(np.prod(shapes[target])), rng, lava))
    network = Network(
        inputs=inputs,
        populations=populations,
        projections=projections,
        outputs=[Output(name="out", population=populations[-1].name)],
    )
    span = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    samples = Samples(inputs={i.name: _events(draw, i, span, rng) for i in inputs})
    options: dict[str, Any] = {"probe": [(p.name, state) for p in populations for state in ("u", "v")]}
    options["n_steps"] = draw(st.sampled_from([None, None, span[1], 1, 16]))
    if not lava:
        options["labels"] = {p.name: rng.integers(0, 3, p.size) for p in populations if rng.random() < 0.8}
    return Case(network, samples, options)


def _input(draw, name: str) -> Input:
    """A plain input, or a graded one of few bits, seldom of many."""
    shape = draw(
        st.one_of(st.tuples(st.integers(1, 9)), st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)))
    )
    signed = draw(st.booleans())
    bits = draw(st.one_of(st.just(0), st.integers(1 + signed, 16), st.integers(1 + signed, 16), st.just(31 + signed)))
    return Input(name=name, shape=shape, payload_bits=bits, signed=signed and bits > 0)


def _events(draw, given: Input, span: tuple[int, int], rng: np.random.Generator) -> Events:
    """Events that are drawn anew in each step, or those of one step again and again, but for a channel or some steps."""
    kind = draw(st.sampled_from(["new", "still", "one channel", "interrupted", "moving"]))
    high = draw(st.sampled_from([3, 2**31]))
    low, high = (max(min(end, high), -high) for end in given.payload_range)
    rate = draw(st.sampled_from([0.1, 0.5, 1.0]))

    def drawn(*shape: int) -> np.ndarray:
        values = rng.choice([low, high], shape) if draw(st.booleans()) else rng.integers(low, high + 1, shape)
        return values * (rng.random(shape) < rate)

    n, steps = span
    raster = drawn(n, steps, given.size)
    if kind != "new":
        raster[:] = raster[:1, :1] if draw(st.booleans()) else raster[:, :1]
    if kind == "one channel":
        raster[:, :, rng.integers(given.size)] = drawn(n, steps)
    if kind == "interrupted":
        raster *= rng.random((n, steps, 1)) < 0.6
    if kind == "moving":  # the same payloads in other channels
        raster = np.where(rng.random((n, steps, 1)) < 0.5, np.roll(raster, 1, axis=2), raster)
    return Events.from_dense(raster, graded=given.graded)


def _weights(draw, shape: tuple[int, ...], rng: np.random.Generator, lava: bool) -> np.ndarray:
    low, high = draw(st.sampled_from([(-256, 255), (-40, 60), (0, 255), (-255, 0)]))
    weights = rng.integers(low, high + 1, shape) * (rng.random(shape) < draw(st.sampled_from([0.3, 1.0])))
    return weights & -2 if lava and low < 0 < high else weights


def _matrix(draw, n_source: int, n_target: int, rng: np.random.Generator, lava: bool) -> Dense | Sparse:
    weights = _weights(draw, (n_target, n_source), rng, lava)
    if draw(st.booleans()):
        return Dense(weights=weights)
    return nonzero(weights)


def _synapses(draw, shape: tuple[int, ...], rng: np.random.Generator, lava: bool) -> tuple[Any, tuple[int, ...]]:
    """Synapses from neurons of a shape, and the shape that they lead to; from an image mostly a convolution or a pooling."""
    kind = draw(st.sampled_from(["matrix", "conv", "conv", "pool"])) if len(shape) == 3 else "matrix"
    if kind == "matrix":
        target = draw(st.one_of(st.tuples(st.integers(1, 20)), st.tuples(st.integers(1, 2), st.just(3), st.just(4))))
        return _matrix(draw, int(np.prod(shape)), int(np.prod(target)), rng, lava), target
    channels, *size = shape
    stride, padding = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.tuples(*[st.integers(0, 2)] * 2))
    kernel = tuple(draw(st.integers(1, min(3, n + 2 * pad))) for n, pad in zip(size, padding))
    if kind == "pool":
        weight = draw(st.sampled_from([64, -256, 255]))
        synapses: Any = Pool(input_shape=shape, kernel=kernel, stride=stride, padding=padding, weight=weight)
        return synapses, synapses.output_shape
    fits = [2 * (k - 1) < n + 2 * pad for k, n, pad in zip(kernel, size, padding)]
    dilation = tuple(draw(st.integers(1, 2)) if wide else 1 for wide in fits)
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    weights = _weights(draw, (groups * draw(st.integers(1, 3)), channels // groups, *kernel), rng, lava)
    synapses = Conv(
        weights=weights, input_shape=shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return synapses, synapses.output_shape


def _delay(draw, synapses: Any, n_source: int, rng: np.random.Generator) -> Any:
    kind = draw(st.sampled_from(["none", "none", "one", "source", "synapse"]))
    if kind == "synapse" and isinstance(synapses, Dense):
        return rng.integers(0, 5, synapses.weights.shape)
    if kind == "source":
        return rng.integers(0, draw(st.sampled_from([2, 7])), n_source)
    return draw(st.integers(1, 4)) if kind == "one" else 0


def _model(
    draw, shape: tuple[int, ...], rng: np.random.Generator, resets: list[str], lava: bool
) -> Cuba | LeakyIntegrator:
    """CUBA neurons of either reset, seldom integrators; each parameter is one number, or one a neuron."""

    def some(*values: int, high: int) -> Any:
        one = st.one_of(st.sampled_from(values), st.integers(0, high))
        return draw(one) if draw(st.booleans()) else rng.choice(draw(st.lists(one, min_size=1, max_size=3)), shape)

    decays = {name: some(0, 1, 2048, 4096, high=4096) for name in ("current_decay", "voltage_decay")}
    ends = (1 - LIMIT, LIMIT - 1) if not lava else (-9999, 9999)
    bias = some(*ends, -1, -700, high=900) if draw(st.booleans()) else 0
    if draw(st.integers(0, 5)) == 0:
        return LeakyIntegrator(**decays, bias=bias)
    threshold = some(0, 1, 2**17 - 1, high=draw(st.sampled_from([60, 3000])))
    return Cuba(**decays, bias=bias, threshold=threshold, reset=draw(st.sampled_from(resets)))


def assert_same(ours: Activity, definition: Activity) -> None:
    """Every spike, state, count of updated neurons and count of overflows is the same, where both record it."""
    assert (ours.n_steps, ours.network) == (definition.n_steps, definition.network)
    assert list(ours.spikes) == list(definition.spikes)
    drawing.assert_same(ours, definition)
    if ours.updated is not None:
        np.testing.assert_array_equal(ours.updated, definition.updated)
    if ours.overflow:
        assert dict(ours.overflow) == dict(definition.overflow)


def on(run, case: Case, **more: Any) -> Activity:
    return run(case.network, case.samples, **case.options, **more)


@MANY
@given(cases(), st.integers(1, 3))
def test_event_equals_the_reference_in_spikes_states_overflows_and_updates(case, threads):
    ours, definition = on(run_event, case, threads=threads), on(run_reference, case)
    assert ours.updated is not None
    assert set(ours.overflow) == {p.name for p in case.network.populations}
    assert_same(ours, definition)


@settings(MANY, max_examples=40)
@given(cases(), st.sampled_from(["wrap", "clip", "error"]))
def test_event_handles_overflow_as_the_reference_does(case, choice):
    if choice == "error" and any(on(run_reference, case).overflow.values()):
        for run in (run_reference, run_event):
            with pytest.raises(SimulationError, match=r"left 24 bits .* in 'p\d'"):
                on(run, case, on_overflow=choice)
    else:
        assert_same(*(on(run, case, on_overflow=choice) for run in (run_event, run_reference)))


@settings(MANY, max_examples=40)
@given(cases())
def test_a_sample_gives_the_same_whatever_ran_before_it(case):
    """Alone, after all others, and after itself; nothing that is kept for repeated events reaches another sample."""
    whole = on(run_reference, case)
    n = case.samples.n_samples
    order = [*range(n), *reversed(range(n))]
    shuffled = Samples(
        inputs={
            name: join_samples([events.take(i, i + 1) for i in order]) for name, events in case.samples.inputs.items()
        }
    )
    together = on(run_event, case.of(shuffled), threads=1)
    for at, i in enumerate(order):
        alone = on(run_event, case.of(case.samples.take(i, i + 1)), threads=1)
        for name, events in whole.spikes.items():
            expected = events.take(i, i + 1).to_dense()
            np.testing.assert_array_equal(alone.spikes[name].to_dense(), expected, err_msg=name)
            np.testing.assert_array_equal(together.spikes[name].take(at, at + 1).to_dense(), expected, err_msg=name)
        for key, states in whole.states.items():
            np.testing.assert_array_equal(alone.states[key][0], states[i], err_msg=str(key))
            np.testing.assert_array_equal(together.states[key][at], states[i], err_msg=str(key))
        np.testing.assert_array_equal(alone.updated[0], whole.updated[i])
        np.testing.assert_array_equal(together.updated[at], whole.updated[i])


@settings(MANY, max_examples=40)
@given(cases())
def test_replay_of_each_population_sends_and_holds_what_the_reference_does(case):
    run = on(run_reference, case)
    for population in case.network.populations:
        for sample in range(run.n_samples):
            done = replay_model(population, population_input(case.network, run, population.name, sample))
            sent = recorded(run, population.name, sample)
            if isinstance(population.model, LeakyIntegrator):
                sent = run.states[population.name, "v"][sample]
            np.testing.assert_array_equal(done.sent, sent, err_msg=population.name)
            if run.n_steps > population.first_step:
                for state, values in zip(("u", "v"), done.states):
                    np.testing.assert_array_equal(values, run.states[population.name, state][sample, -1])


def largest_sum(projection, network: Network) -> float:
    """What payloads of an input can add up to in a convolution or pool, beyond any bound for messages of neurons."""
    bits = {i.name: max(map(abs, i.payload_range)) for i in network.inputs}
    conv = projection.synapses.as_conv() if isinstance(projection.synapses, Pool) else projection.synapses
    rows = [sum(abs(int(w)) for w in kernel.ravel()) for kernel in conv.weights]
    return max(rows) * bits.get(projection.source, 2**60) * 2.0**projection.weight_exponent


def refusal(network: Network) -> str | None:
    """The reason for which Lava refuses a network, None where it runs it."""
    if any(getattr(p.model, "reset", "zero") == "subtract" for p in network.populations):
        return "subtracts its threshold when it fires, and Lava has no process that does"
    for p in network.projections:
        image = isinstance(p.synapses, Conv | Pool) and p.source in network.graded
        if image and (p.max_delay or p.weight_exponent < 0) and largest_sum(p, network) >= 2**23:
            return "is a convolution of graded messages with delays or a negative exponent"
    return None


TOO_LARGE = ("leave 32 bits", "invalid value encountered in cast", "before its first step")
"""Words of refusals that depend on the sums of a run: Lava's convolution is undefined, or its LIF cannot be held."""


def on_lava(run, case: Case) -> Activity | None:
    """Run the case on Lava, or check that it says why not; cases whose sums are too large for Lava are given up."""
    why = refusal(case.network)
    if why is not None:
        with pytest.raises(LavaError, match=why):
            on(run, case)
        return None
    try:
        return on(run, case)
    except LavaError as error:
        if not any(why in str(error) for why in TOO_LARGE):
            raise
        reject()


@pytest.mark.lava
@settings(MANY, max_examples=120)
@given(cases(lava=True))
def test_process_models_of_lava_equal_the_reference_or_say_why_not(case):
    pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    ours = on_lava(run_lava_in_process, case)
    if ours is not None:
        assert_same(ours, on(run_reference, case))


@pytest.mark.lava
@pytest.mark.slow
@settings(MANY, max_examples=25)
@given(cases(lava=True).filter(lambda case: refusal(case.network) is None))
def test_runtime_of_lava_equals_the_reference(case):
    ours = on_lava(run_lava, case)
    assert ours is not None
    assert_same(ours, on(run_reference, case))


@pytest.mark.lava
def test_runtime_of_lava_runs_payloads_of_two_graded_inputs_beside_a_plain_one():
    """An image of pixels into a convolution, signed counts and dots into the same neurons, and a loop of spikes."""
    rng = np.random.default_rng(1)
    inputs = [
        Input(name="pixels", shape=(2, 4, 5), payload_bits=8, scale=1 / 255),
        Input(name="counts", shape=(6,), payload_bits=5, signed=True),
        Input(name="dots", shape=(3,)),
    ]
    conv = Conv(weights=2 * rng.integers(-9, 10, (4, 1, 2, 2)), input_shape=(2, 4, 5), groups=2, stride=(1, 2))
    models = {"a": Cuba(current_decay=2000, voltage_decay=300, threshold=900, bias=-64)}
    models["b"] = Cuba(current_decay=4096, voltage_decay=0, threshold=[50, 90, 3000])
    shapes = {"a": conv.output_shape, "b": (3,)}
    size = int(np.prod(conv.output_shape))
    network = Network(
        inputs=inputs,
        populations=[Population(name=n, shape=shapes[n], model=m, first_step=1) for n, m in models.items()],
        projections=[
            connect("pixels", "a", conv, weight_exponent=1),
            connect("counts", "a", 2 * rng.integers(-9, 12, (size, 6)), delay=rng.integers(0, 3, 6)),
            connect("dots", "a", 2 * rng.integers(-60, 90, (size, 3))),
            connect("a", "b", 2 * rng.integers(-30, 50, (3, size)), weight_exponent=-1),
            connect("b", "a", 2 * rng.integers(-90, 90, (size, 3)), delay=2),
            connect("counts", "b", 2 * rng.integers(-9, 12, (3, 6)), weight_exponent=-2),
        ],
        outputs=[Output(name="out", population="b")],
    )
    still = np.repeat(rng.integers(0, 256, (2, 1, 40)), 8, axis=1)
    counts = rng.integers(-16, 16, (2, 8, 6)) * (rng.random((2, 8, 6)) < 0.5)
    rasters = {"pixels": (still, True), "counts": (counts, True), "dots": (rng.random((2, 8, 3)) < 0.3, False)}
    samples = Samples(inputs={name: Events.from_dense(r, graded=g) for name, (r, g) in rasters.items()})
    case = Case(network, samples, {"probe": [(p, state) for p in "ab" for state in "uv"]})
    definition = on(run_reference, case)
    assert all(20 < len(definition.spikes[p]) < 0.9 * definition.spikes[p].to_dense().size for p in "ab")
    assert_same(on(run_lava, case), definition)


@pytest.mark.lava
def test_process_models_of_lava_refuse_delayed_sums_beyond_32_bits():
    """Each product wraps at 32 bits, their sum does not in Lava: shifted right, it is 2**31 away from the definition's."""
    pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    network = Network(
        inputs=[Input(name="in", shape=(2,), payload_bits=31)],
        populations=[Population(name="p", shape=(1,), model=LeakyIntegrator(current_decay=0, voltage_decay=0))],
        projections=[connect("in", "p", np.array([[-155, -247]]), "late", weight_exponent=-1, delay=1)],
        outputs=[Output(name="out", population="p")],
    )
    raster = np.zeros((1, 4, 2), np.int64)
    raster[0, 0] = 2**31 - 1
    case = Case(network, Samples(inputs={"in": Events.from_dense(raster, graded=True)}), {"probe": [("p", "u")]})
    with pytest.raises(LavaError, match="sums of projection 'late' leave 32 bits"):
        on(run_lava_in_process, case)
    raster[0, 0, 0] = 0  # one product alone wraps as the definition's does
    case = case.of(Samples(inputs={"in": Events.from_dense(raster, graded=True)}))
    assert_same(on(run_lava_in_process, case), on(run_reference, case))
