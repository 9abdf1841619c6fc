"""Networks of every neuron kind with graded messages, drawn by hypothesis, with samples and all states as probes.

Networks are chains and loops. Matrices of mixed sign have even weights, as Lava and the chip store them, so that Lava's own
process models can be the witness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from building import entry, nonzero
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from neurodeploy.network import (
    Conv,
    Cuba,
    Delta,
    Dense,
    LeakyIntegrator,
    Network,
    Output,
    Population,
    Projection,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    Sparse,
)
from neurodeploy.network.activity import Events, Samples

MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
ENDS = [-(2**23) + 1, -1, 0, 1, 2**23 - 1]


@dataclass
class Case:
    """A network, samples for it and all its states as probes."""

    network: Network
    samples: Samples
    probe: tuple[tuple[str, str], ...]


@st.composite
def cases(draw, *, lava: bool = False):
    """A network, samples for it and all its states as probes; with ``lava`` only what Lava's processes can express."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = {"spikes": (draw(st.integers(1, 6)),), "graded": (draw(st.integers(1, 2)), 3, 3)}
    inputs = tuple(entry(name, shape, name == "graded") for name, shape in shapes.items())
    populations, projections = [], []

    def connect(source, target, synapses, model):
        components = ("real", "imag") if isinstance(model, ResonateAndFire) else ("real",)
        for component in components:
            own = synapses if component == "real" else _again(synapses, rng)
            projections.append(
                Projection(
                    name=f"w{len(projections)}", source=source, target=target, synapses=own, component=component,
                    weight_exponent=draw(st.sampled_from([0, 2, 0 if lava and isinstance(own, Conv) else -3])),
                    delay=_delay(draw, own, rng, shapes[source]),
                )
            )  # fmt: skip

    for i in range(draw(st.integers(1, 3))):
        name, source = f"p{i}", draw(st.sampled_from(list(shapes)))
        synapses, shapes[name] = _synapses(draw, shapes[source], rng)
        model = _model(draw, shapes[name], rng, lava)
        # Lava's Sigma cannot be kept from sending before its first step
        first = 0 if lava and isinstance(model, Sigma) else draw(st.integers(0, 3))
        populations.append(Population(name=name, shape=shapes[name], model=model, first_step=first))
        connect(source, name, synapses, model)
    for _ in range(draw(st.integers(0, 2))):
        source, target = draw(st.sampled_from(list(shapes))), draw(st.sampled_from(populations))
        connect(source, target.name, _matrix(draw, int(np.prod(shapes[source])), target.size, rng), target.model)
    network = Network(
        inputs=inputs,
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="out", population=populations[-1].name),),
    )
    probe = tuple((p.name, state) for p in populations for state in p.model.states)
    return Case(network, _samples(draw, network, rng), probe)


def _again(synapses, rng):
    """Synapses of the same kind and shape with other weights of the same values."""
    if isinstance(synapses, Sparse):
        weights = rng.permutation(synapses.weights.copy())
        return Sparse(n_target=synapses.n_target, start=synapses.start, target=synapses.target, weights=weights)
    weights = rng.permutation(synapses.weights.flatten()).reshape(synapses.weights.shape)
    if isinstance(synapses, Dense):
        return Dense(weights=weights)
    return Conv(weights=weights, input_shape=synapses.input_shape, padding=synapses.padding)


def _weights(draw, shape, rng):
    low, high = draw(st.sampled_from([(-256, 255), (-40, 60), (0, 256), (-255, 1), (0, 1)]))
    weights = rng.integers(low, high, shape) * (rng.random(shape) < draw(st.sampled_from([0.3, 1.0])))
    return weights & -2 if low < 0 < high - 1 else weights


def _matrix(draw, n_source, n_target, rng):
    weights = _weights(draw, (n_target, n_source), rng)
    if draw(st.booleans()):
        return Dense(weights=weights)
    return nonzero(weights)


def _synapses(draw, shape, rng):
    if len(shape) == 3 and draw(st.booleans()):
        conv = Conv(
            weights=_weights(draw, (draw(st.integers(1, 3)), shape[0], 2, 2), rng),
            input_shape=shape,
            padding=draw(st.sampled_from([(0, 0), (1, 0)])) if min(shape[1:]) > 1 else (1, 1),
        )
        return conv, conv.output_shape
    n = draw(st.integers(1, 8))
    return _matrix(draw, int(np.prod(shape)), n, rng), (n,)


def _delay(draw, synapses, rng, source):
    if isinstance(synapses, Conv) or draw(st.booleans()):
        return 0
    return rng.integers(0, 4, int(np.prod(source))) if draw(st.booleans()) else draw(st.integers(0, 3))


def _values(draw, values, shape, rng):
    """One number, or one a neuron."""
    if not draw(st.booleans()):
        return draw(values)
    return rng.choice(draw(st.lists(values, min_size=1, max_size=3)), shape)


def _model(draw, shape, rng, lava):
    def some(values):
        return _values(draw, values, shape, rng)

    turn = st.one_of(st.sampled_from([-4096, 0, 4096]), st.integers(-4096, 4096))
    threshold = st.one_of(st.sampled_from([1, 2, 2**23 - 1]), st.integers(1, 90_000))
    decay, exponent = st.sampled_from([0, 500, 4096]), st.sampled_from([0, 3, 6])
    kind = draw(st.sampled_from(["cuba", "li", "rf", "rf", "sigma", "delta", "sigma_delta", "sigma_delta"]))
    if kind == "cuba":
        reset = draw(st.sampled_from(["zero", "zero" if lava else "subtract"]))
        threshold = draw(st.integers(0, 300))
        return Cuba(current_decay=some(decay), voltage_decay=some(decay), threshold=threshold, reset=reset)
    if kind == "li":
        return LeakyIntegrator(
            current_decay=some(decay), voltage_decay=some(decay), bias=draw(st.sampled_from([0, 70]))
        )
    if kind == "rf":
        return ResonateAndFire(
            sin_decay=some(turn), cos_decay=some(turn), threshold=some(threshold), state_exponent=draw(exponent),
            reset=draw(st.booleans()),
        )  # fmt: skip
    if kind == "sigma":
        return Sigma()
    own = {"threshold": some(st.one_of(threshold, st.just(0))), "state_exponent": draw(exponent)}
    own["cumulative"] = draw(st.booleans())
    if kind == "delta":
        return Delta(**own, spike_exponent=draw(exponent))
    bias = some(st.one_of(st.just(0), st.sampled_from(ENDS), st.integers(-9000, 9000)))
    return SigmaDelta(**own, bias=bias, activation=draw(st.sampled_from(["none", "relu"])))


def _samples(draw, network, rng):
    span = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    rate, high = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])), draw(st.sampled_from([3, 300, 2**20, 2**31 - 1]))
    inputs = {}
    for i in network.inputs:
        active = rng.random((*span, i.size)) < rate
        inputs[i.name] = Events.from_dense(
            rng.integers(-high, high, active.shape) * active if i.graded else active, graded=i.graded
        )
    return Samples(inputs=inputs)


def assert_same(ours, definition) -> None:
    """Every message of every population and every state is the same."""
    assert set(ours.spikes) == set(definition.spikes)
    for name, events in definition.spikes.items():
        np.testing.assert_array_equal(ours.spikes[name].to_dense(), events.to_dense(), err_msg=name)
        assert (ours.spikes[name].payload is None) == (events.payload is None)
    assert set(ours.states) == set(definition.states)
    for key, state in definition.states.items():
        np.testing.assert_array_equal(ours.states[key], state, err_msg=str(key))
