"""The event-driven engine equals the reference for any network: every spike, state, count and overflow."""

from dataclasses import dataclass

import numpy as np
import pytest
from building import nonzero, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurodeploy.engines.event import run as event
from neurodeploy.engines.event.run import batches, run_event, stream_event
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
)
from neurodeploy.network.activity import Samples

SLOW = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
DECAYS = st.one_of(st.sampled_from([0, 1, 2048, 4095, 4096]), st.integers(0, 4096))
THRESHOLDS = st.one_of(st.sampled_from([0, 1, 64, 2**17 - 1]), st.integers(0, 2000))
BIASES = st.one_of(st.just(0), st.sampled_from([1, -1, 2**23 - 1, 1 - 2**23]), st.integers(-9999, 9999))
RATES = st.sampled_from([0.0, 0.02, 0.3, 1.0])


@dataclass
class Case:
    network: Network
    samples: Samples
    options: dict


def drawn_weights(draw, shape):
    """Weights of one kind: none, one sign, at the ends of the range, even, any; some of them missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["zero", "negative", "positive", "ends", "even", "any"]))
    low, high = {"negative": (-256, 0), "positive": (0, 256)}.get(kind, (-256, 256))
    weights = rng.integers(low, high, shape)
    if kind == "ends":
        weights = np.where(weights < 0, -256, draw(st.sampled_from([254, 255])))
    if kind == "even":
        weights &= -2
    return weights * (kind != "zero") * (rng.random(shape) < draw(st.sampled_from([0.1, 0.6, 1.0])))


def drawn_parameter(draw, values, shape):
    if not draw(st.booleans()):
        return draw(values)
    few = draw(st.lists(values, min_size=1, max_size=4))
    return np.random.default_rng(draw(st.integers(0, 99))).choice(few, shape)


def drawn_model(draw, shape):
    parts = {name: drawn_parameter(draw, DECAYS, shape) for name in ("current_decay", "voltage_decay")}
    parts["bias"] = drawn_parameter(draw, BIASES, shape) if draw(st.booleans()) else 0
    if draw(st.integers(0, 4)) == 0:
        return LeakyIntegrator(**parts)
    return Cuba(**parts, threshold=drawn_parameter(draw, THRESHOLDS, shape))


def drawn_matrix(draw, n_source, n_target):
    weights = drawn_weights(draw, (n_target, n_source))
    if draw(st.booleans()):
        return Dense(weights=weights)
    return nonzero(weights)


def drawn_image_synapses(draw, shape):
    """A convolution or a pooling that fits an image of ``shape``."""
    channels, height, width = shape
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    stride, padding = draw(pair), draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    kernel = [draw(st.integers(1, min(3, n + 2 * pad))) for n, pad in zip((height, width), padding)]
    if draw(st.integers(0, 2)) == 0:
        weight = draw(st.sampled_from([64, -256, 255, 0]))
        return Pool(input_shape=shape, kernel=tuple(kernel), stride=stride, padding=padding, weight=weight)
    dilation = [
        draw(st.integers(1, 2)) if d * (k - 1) + 1 <= n + 2 * p else 1
        for d, k, n, p in zip((2, 2), kernel, (height, width), padding)
    ]
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    out = groups * draw(st.integers(1, 6))
    return Conv(
        weights=drawn_weights(draw, (out, channels // groups, *kernel)),
        input_shape=shape, stride=stride, padding=padding, dilation=tuple(dilation), groups=groups,
    )  # fmt: skip


def drawn_delay(draw, synapses, n_source):
    kind = draw(st.sampled_from(["none", "none", "one", "source", "synapse"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind == "source":
        return rng.integers(0, draw(st.sampled_from([1, 5, 63])), n_source)
    if kind == "synapse" and isinstance(synapses, Dense):
        return rng.integers(0, 6, synapses.weights.shape)
    return draw(st.integers(0, 5)) if kind == "one" else 0


@st.composite
def cases(draw):
    shape = st.one_of(st.tuples(st.integers(1, 70)), st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    shapes = {f"in{i}": draw(shape) for i in range(draw(st.integers(1, 2)))}
    inputs = tuple(Input(name=name, shape=s) for name, s in shapes.items())
    populations, projections = [], []

    def connect(source, target, synapses):
        n_source = int(np.prod(shapes[source]))
        exponent = draw(st.one_of(st.just(0), st.integers(-8, 7)))
        projections.append(
            Projection(
                name=f"w{len(projections)}", source=source, target=target, synapses=synapses, weight_exponent=exponent,
                delay=drawn_delay(draw, synapses, n_source),
            )
        )  # fmt: skip

    for i in range(draw(st.integers(1, 3))):
        name, source = f"p{i}", draw(st.sampled_from(list(shapes)))
        if len(shapes[source]) == 3 and draw(st.integers(0, 3)):
            synapses = drawn_image_synapses(draw, shapes[source])
            shapes[name] = synapses.output_shape
        else:
            shapes[name] = draw(shape)
            synapses = drawn_matrix(draw, int(np.prod(shapes[source])), int(np.prod(shapes[name])))
        connect(source, name, synapses)
        model = drawn_model(draw, shapes[name])
        populations.append(Population(name=name, shape=shapes[name], model=model, first_step=draw(st.integers(0, 3))))
    for _ in range(draw(st.integers(0, 3))):
        source, target = draw(st.sampled_from(list(shapes))), draw(st.sampled_from([p.name for p in populations]))
        connect(source, target, drawn_matrix(draw, int(np.prod(shapes[source])), int(np.prod(shapes[target]))))
    network = Network(
        inputs=inputs,
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="out", population=populations[-1].name),),
    )
    return Case(network, drawn_samples(draw, inputs), drawn_options(draw, populations))


def drawn_samples(draw, inputs):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    span = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    rasters = {i.name: rng.random((*span, i.size)) < draw(RATES) for i in inputs}
    return samples(rasters)


def drawn_options(draw, populations):
    labelled = [p for p in populations if draw(st.booleans())]
    rng = np.random.default_rng(1)
    return {
        "n_steps": draw(st.one_of(st.none(), st.integers(1, 20))),
        "probe": [(p.name, state) for p in populations for state in ("u", "v")],
        "labels": {p.name: rng.integers(0, 3, p.size) for p in labelled} if draw(st.booleans()) else None,
    }


def assert_equal(one, other):
    assert one.n_steps == other.n_steps
    assert one.network == other.network
    assert list(one.spikes) == list(other.spikes)
    for name, events in one.spikes.items():
        for column in ("sample", "step", "neuron"):
            assert np.array_equal(getattr(events, column), getattr(other.spikes[name], column)), f"spikes of {name}"
        assert (events.size, events.n_steps, events.n_samples) == (
            other.spikes[name].size, other.spikes[name].n_steps, other.spikes[name].n_samples,
        )  # fmt: skip
    assert set(one.states) == set(other.states)
    for key, states in one.states.items():
        assert states.dtype == other.states[key].dtype == np.int32
        assert np.array_equal(states, other.states[key]), f"state {key}"
    assert (one.updated is None) == (other.updated is None)
    assert np.array_equal(one.updated, other.updated) or one.updated is None
    assert dict(one.overflow) == dict(other.overflow)


@SLOW
@given(cases())
def test_event_equals_reference_for_any_network(case):
    assert_equal(
        run_reference(case.network, case.samples, **case.options), run_event(case.network, case.samples, **case.options)
    )


@settings(SLOW, max_examples=15)
@given(cases(), st.integers(1, 3), st.integers(1, 4))
def test_threads_buffers_and_batches_do_not_change_the_result(case, threads, capacity):
    whole = run_reference(case.network, case.samples, **case.options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event, "_FIRST_SPIKES", capacity)
        patch.setattr(event, "_PART", 2)
        assert_equal(whole, run_event(case.network, case.samples, threads=threads, **case.options))
    parts = list(stream_event(case.network, batches(case.samples, 1), **case.options))
    assert len(parts) == case.samples.n_samples
    for i, part in enumerate(parts):
        assert_equal(run_reference(case.network, case.samples.take(i, i + 1), **case.options), part)
