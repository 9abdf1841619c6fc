"""Why engines differ: a run made under another rule is recognised, and the first difference is explained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurodeploy.activity import Activity, Events, Samples
from neurodeploy.network import Conv, Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.simulate.diagnose import RULES, Rule, _input, _replay, diagnose
from neurodeploy.simulate.reference import run_reference
from neurodeploy.simulate.verify import compare


def _network(model: Cuba, weights, shape=None, **options) -> Network:
    n_out, n_in = np.shape(weights)
    return Network(
        inputs=(Input(name="in", shape=shape or (n_in,)),),
        populations=(Population(name="a", shape=(n_out,), model=model),),
        projections=(
            Projection(name="p", source="in", target="a", synapses=Dense(weights=np.array(weights)), **options),
        ),
        outputs=(Output(name="o", population="a"),),
    )


def _samples(n_in: int, rate: float = 0.4, n_steps: int = 40, n_samples: int = 4) -> Samples:
    raster = np.random.default_rng(3).random((n_samples, n_steps, n_in)) < rate
    return Samples(inputs={"in": Events.from_dense(raster)})


def _other_engine(network: Network, lawful: Activity, raster: np.ndarray) -> Activity:
    """An activity that another engine might have recorded: the same inputs, another raster of population 'a'."""
    return Activity(
        engine="other",
        network=network.fingerprint,
        n_steps=lawful.n_steps,
        spikes={**lawful.spikes, "a": Events.from_dense(raster)},
    )


def _under(network: Network, lawful: Activity, rule: Rule) -> Activity:
    population = network.population("a")
    rasters = [
        _replay(population, _input(network.into("a"), network, lawful, "a", s), rule).spikes
        for s in range(lawful.n_samples)
    ]
    return _other_engine(network, lawful, np.stack(rasters))


def _explained(network: Network, lawful: Activity, other: Activity):
    difference = compare([lawful, other]).first_difference
    assert difference is not None
    return difference, diagnose(network, lawful, other, difference)


WEIGHTS = np.random.default_rng(0).integers(-120, 121, (6, 8)) * 2
BALANCED = np.random.default_rng(0).integers(-20, 21, (48, 8))
BALANCED[:, -1] -= BALANCED.sum(axis=1)
PLAIN = _network(Cuba(current_decay=1200, voltage_decay=300, threshold=260), WEIGHTS)
NETWORKS = {
    "range": _network(Cuba(current_decay=2, voltage_decay=1, threshold=131071), np.full((2, 8), 254)),
    # balanced weights and a long memory: neurons wander below zero and seldom fire, so that single units add up
    "rounding": _network(Cuba(current_decay=4096, voltage_decay=40, threshold=40), BALANCED),
    "reset": _network(Cuba(current_decay=4096, voltage_decay=0, threshold=64), WEIGHTS // 16 * 16),
}


@pytest.mark.parametrize(("cause", "why", "rule"), RULES, ids=[why for _, why, _ in RULES])
def test_a_run_under_another_rule_is_recognised(cause, why, rule):
    network = NETWORKS[cause]
    samples = _samples(8, rate=0.9 if cause == "range" else 0.4, n_steps=400)
    lawful = run_reference(network, samples)
    other = _under(network, lawful, rule)
    if compare([lawful, other]).equal:
        pytest.fail(f"the network does not tell the rule '{why}' from the definition")
    _, found = _explained(network, lawful, other)
    assert (found.cause, found.departs) == (cause, "other")
    assert found.why == why or cause == "range"  # wrapping and clipping may come to the same spikes


@pytest.mark.parametrize("late", [1, 2, -1])
def test_spikes_that_come_late_or_early_are_a_delay(late):
    network = PLAIN
    lawful = run_reference(network, _samples(8))
    raster = lawful.spikes["a"].to_dense()
    moved = np.zeros_like(raster)
    moved[:, max(late, 0) : raster.shape[1] + min(late, 0)] = raster[:, max(-late, 0) : raster.shape[1] - max(late, 0)]
    _, found = _explained(network, lawful, _other_engine(network, lawful, moved))
    assert found.cause == "delay"
    assert found.why == f"its spikes come {abs(late)} step{'s' * (abs(late) > 1)} {'late' if late > 0 else 'early'}"


def test_odd_weights_cut_to_even_ones_are_quantisation():
    network = _network(Cuba(current_decay=1500, voltage_decay=200, threshold=90), WEIGHTS // 4 + 1)
    cut = _network(Cuba(current_decay=1500, voltage_decay=200, threshold=90), (WEIGHTS // 4 + 1) & ~1)
    samples = _samples(8)
    lawful = run_reference(network, samples)
    other = _other_engine(network, lawful, run_reference(cut, samples).spikes["a"].to_dense())
    _, found = _explained(network, lawful, other)
    assert (found.cause, found.why) == ("quantisation", "odd weights are cut to even ones (mixed signs on 8 bits)")


def test_sources_numbered_in_another_order_of_axes_are_recognised():
    model = Cuba(current_decay=1500, voltage_decay=200, threshold=200)
    weights = np.random.default_rng(4).integers(-60, 120, (5, 12)) * 2
    order = np.arange(12).reshape(2, 3, 2).transpose(2, 1, 0).ravel()
    samples = _samples(12)
    network = _network(model, weights, shape=(2, 3, 2))
    lawful = run_reference(network, samples)
    wrong = run_reference(_network(model, weights[:, order], shape=(2, 3, 2)), samples)
    _, found = _explained(network, lawful, _other_engine(network, lawful, wrong.spikes["a"].to_dense()))
    assert (found.cause, found.why) == (
        "order of axes",
        "its sources are numbered with the axes in the order (2, 1, 0)",
    )


def test_flipped_kernels_are_an_order_of_axes():
    def network(kernel):
        conv = Conv(weights=kernel, input_shape=(1, 6, 6), padding=(1, 1))
        return Network(
            inputs=(Input(name="in", shape=(1, 6, 6)),),
            populations=(
                Population(name="a", shape=(2, 6, 6), model=Cuba(current_decay=3000, voltage_decay=900, threshold=200)),
            ),
            projections=(Projection(name="p", source="in", target="a", synapses=conv),),
            outputs=(Output(name="o", population="a"),),
        )

    kernel = np.random.default_rng(5).integers(-60, 100, (2, 1, 3, 3)) * 2
    samples = _samples(36)
    lawful = run_reference(network(kernel), samples)
    flipped = run_reference(network(kernel[..., ::-1, ::-1]), samples)
    _, found = _explained(
        network(kernel), lawful, _other_engine(network(kernel), lawful, flipped.spikes["a"].to_dense())
    )
    assert found.cause == "order of axes"
    assert "flipped" in found.why


def test_arriving_spikes_and_states_of_the_first_difference_can_be_recomputed_by_hand():
    """Weight 100 against threshold 150, no leak: the second spike takes the voltage to 12800 > 9600 in step 3."""
    model = Cuba(current_decay=4096, voltage_decay=0, threshold=150)
    network = _network(model, [[100, 60]], delay=np.array([1, 0]))
    raster = np.zeros((1, 4, 2), int)
    raster[0, 0, 0] = raster[0, 1, 0] = 1
    lawful = run_reference(network, Samples(inputs={"in": Events.from_dense(raster)}))
    assert lawful.spikes["a"].step.tolist() == [3]
    silent = _other_engine(network, lawful, np.zeros((1, lawful.n_steps, 1), int))
    difference, found = _explained(network, lawful, silent)
    assert (difference.step, found.departs, found.cause) == (3, "other", "unknown")
    assert (found.summed_input, found.current, found.voltage, found.threshold) == (100, 6400, 12800, 9600)
    assert [(a.source, a.neuron, a.sent_in_step, a.weight) for a in found.arriving] == [("in", 0, 1, 100)]


def test_different_inputs_are_named_as_such():
    network = PLAIN
    a = run_reference(network, _samples(8))
    b = replace(run_reference(network, _samples(8, rate=0.2)), engine="other")
    _, found = _explained(network, a, b)
    assert (found.cause, found.why) == ("input", "the engines were not given the same events for 'in'")
