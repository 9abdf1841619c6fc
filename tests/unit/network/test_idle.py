"""Neurons that can never fire or reach nothing: named exactly, and gone without a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from building import chain, connect, every_kind, neuron, one_layer, read, samples, wired
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neurodeploy.engines import simulate
from neurodeploy.network import (
    STATE_LIMIT,
    Conv,
    Cuba,
    Dense,
    LeakyIntegrator,
    Network,
    Output,
    Pool,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    Sparse,
)
from neurodeploy.network.idle import find_idle, idle_lines, ranges, removable, sources_of, without_neurons
from neurodeploy.network.unrolled import entries


def never(network: Network) -> dict[str, list[int]]:
    return find_idle(network).to_json()["never_fire"]


def unheard(network: Network) -> dict[str, list[int]]:
    return find_idle(network).to_json()["reach_nothing"]


FORGETS = Cuba(current_decay=4096, voltage_decay=4096, threshold=10)
"""Fires where the weights that arrive in one step are more than 10."""


class TestWhatCanNeverFire:
    def test_neurons_with_inhibition_alone(self):
        assert never(one_layer([[-1, -5], [-1, 20]], FORGETS)) == {"out": [0]}

    def test_the_bound_is_the_threshold_itself(self):
        """A neuron fires above its threshold, not at it."""
        assert never(one_layer([[5, 5], [5, 6]], FORGETS)) == {"out": [0]}

    def test_a_neuron_without_leak_adds_up_whatever_arrives(self):
        assert never(one_layer([[1], [-1]], Cuba(current_decay=4096, voltage_decay=0, threshold=1000))) == {"out": [1]}

    @pytest.mark.parametrize(("bias", "fires"), [(16, False), (17, True)])
    def test_rounding_towards_zero_is_part_of_the_bound(self, bias, fires):
        """With 16 a step and a decay of 1000/4096 a voltage would settle at 65.5, rounded at 63; it has to pass 64."""
        network = one_layer([[0]], Cuba(current_decay=4096, voltage_decay=1000, threshold=1, bias=bias))
        assert 16 * 4096 / 1000 > 64
        assert never(network) == ({} if fires else {"out": [0]})
        activity = simulate(network, samples(np.zeros((1, 400, 1), bool)), engine="reference")
        assert (len(activity.spikes["out"]) > 0) == fires

    def test_a_bias_drives_without_input(self):
        model = Cuba(current_decay=4096, voltage_decay=0, threshold=10, bias=np.array([1, 0, -1]))
        assert never(one_layer([[0], [0], [0]], model)) == {"out": [1, 2]}
        assert never(one_layer([[0], [0], [5]], model)) == {"out": [1]}

    def test_payloads_count_with_the_ends_of_their_range(self):
        network = one_layer([[1], [-1], [0]], FORGETS, graded=4)
        assert never(network) == {"out": [1, 2]}  # at most 15 > 10; with sign also the negative weight
        signed = wired({"in": 1}, {"out": (3, FORGETS)}, [connect("in", "out", [[1], [-1], [0]])], graded=["in"])
        assert never(signed) == {"out": [2]}

    def test_a_negative_exponent_rounds_the_sum_down(self):
        assert never(one_layer([[21], [22]], FORGETS, weight_exponent=-1)) == {"out": [0]}

    def test_inhibition_that_could_leave_24_bits_may_change_its_sign(self):
        """A current below -2**23 is folded back to a positive one, as on Lava; so nothing is certain."""
        endless = Cuba(current_decay=0, voltage_decay=4096, threshold=10)
        assert never(one_layer([[-1], [0]], endless)) == {"out": [1]}

    def test_what_lies_behind_neurons_that_never_fire(self):
        assert never(chain([[[-1], [20]], [[20, 0], [0, 20]]], FORGETS)) == {"p1": [0], "p2": [0]}

    def test_neurons_that_only_excite_each_other(self):
        loop = connect("p1", "p1", [[0, 20, 0], [20, 0, 0], [0, 0, 0]], "loop")
        assert never(chain([[[0], [0], [20]]], FORGETS, extra=[loop])) == {"p1": [0, 1]}

    def test_read_outs_are_not_meant(self):
        model = LeakyIntegrator(current_decay=4096, voltage_decay=0)
        assert never(one_layer([[0], [1]], model, decoding="last_voltage")) == {}

    @pytest.mark.parametrize(
        ("model", "silent"),
        [
            (ResonateAndFire(sin_decay=900, cos_decay=3800, threshold=8), [1]),
            (Sigma(), [1]),
            (neuron("delta"), [1]),
            (SigmaDelta(threshold=60), [1]),
            (SigmaDelta(threshold=60, bias=-500), [1]),
            (SigmaDelta(threshold=60, bias=-500, activation="none"), []),
            (SigmaDelta(threshold=60, bias=500), []),
        ],
    )
    def test_other_kinds_are_silent_where_nothing_moves_them(self, model, silent):
        decoding = "sum" if model.graded else "count"
        assert never(one_layer([[-1], [0]], model, decoding=decoding)).get("out", []) == silent

    def test_nothing_that_fired_in_a_run_of_all_kinds_is_named(self):
        network, given_samples, _ = every_kind()
        activity = simulate(network, given_samples, engine="reference")
        for name, numbers in never(network).items():
            assert not np.isin(activity.spikes[name].neuron, numbers).any()


class TestWhatReachesNothing:
    def test_only_paths_to_an_output_count(self):
        network = chain([[[20], [20], [20]], [[20, 0, 0]]], FORGETS)
        assert unheard(network) == {"p1": [1, 2]}

    def test_a_path_through_a_neuron_that_never_fires_is_none(self):
        network = chain([[[20], [20]], [[-1, 0], [0, 20]], [[20, 20]]], FORGETS)
        assert (never(network), unheard(network)) == ({"p2": [0]}, {"p1": [0]})

    def test_loops_and_side_branches_are_none(self):
        side = [connect("p1", "side", [[20, 20]]), connect("side", "side", [[20]], "again")]
        network = wired(
            {"in": 1},
            {"p1": (2, FORGETS, 1), "side": (1, FORGETS, 2), "out": (1, FORGETS, 2)},
            [connect("in", "p1", [[20], [20]]), *side, connect("p1", "out", [[20, 0]])],
        )
        assert unheard(network) == {"p1": [1], "side": [0]}

    def test_what_inhibits_an_output_is_heard(self):
        assert unheard(chain([[[20], [20]], [[20, -1]]], FORGETS)) == {}


KERNELS = [
    Conv(weights=np.arange(-8, 28).reshape(2, 2, 3, 3), input_shape=(2, 5, 4), padding=(1, 0), stride=(2, 1)),
    Conv(
        weights=np.arange(-6, 10).reshape(4, 1, 2, 2), input_shape=(2, 4, 5), groups=2, dilation=(2, 1), padding=(0, 1)
    ),
    Pool(input_shape=(3, 4, 4), kernel=(2, 2), stride=(2, 2), weight=3),
]


def as_matrix(synapses: Any) -> NDArray[np.int16]:
    network = one_layer(synapses)
    full = np.zeros((network.sizes["out"], network.sizes["in"]), np.int16)
    source, target, weight = entries(synapses)
    full[target, source] = weight
    return full


@pytest.mark.parametrize("synapses", KERNELS)
def test_kernels_are_judged_as_their_matrices(synapses):
    full, model = as_matrix(synapses), Cuba(current_decay=4096, voltage_decay=4096, threshold=40)
    assert never(one_layer(synapses, model)) == never(one_layer(full, model, shape=read(synapses)))
    rng = np.random.default_rng(0)
    for _ in range(5):
        targets = rng.random(len(full)) < 0.2
        assert np.array_equal(sources_of(synapses, targets), full[targets].any(axis=0))


weights = st.integers(-30, 30)
decays = st.sampled_from([0, 100, 2048, 4096])


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Return two or three layers of few neurons, with a loop, delays, sparse synapses and both resets."""
    sizes = [2, *draw(st.lists(st.integers(1, 5), min_size=2, max_size=3))]
    layers: list[Any] = []
    for n_source, n_target in zip(sizes, sizes[1:]):
        full = np.array(draw(st.lists(weights, min_size=n_source * n_target, max_size=n_source * n_target)))
        full = np.where(np.abs(full) < 12, 0, full).reshape(n_target, n_source).astype(np.int16)
        layers.append(sparse(full) if draw(st.booleans()) else Dense(weights=full))
    names = [f"p{i}" for i in range(1, len(sizes))]
    models = {
        name: Cuba(
            current_decay=draw(st.sampled_from([1024, 4096])),
            voltage_decay=draw(decays),
            threshold=np.array(draw(st.lists(st.integers(0, 90), min_size=n, max_size=n))),
            bias=draw(st.integers(-40, 40)),
            reset=draw(st.sampled_from(["zero", "subtract"])),
        )
        for name, n in zip(names, sizes[1:])
    }
    n = sizes[1]
    loop = np.array(draw(st.lists(weights, min_size=n * n, max_size=n * n))).reshape(n, n)
    delay = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    return chain(layers, models, extra=[connect("p1", "p1", loop, "loop", delay=delay)])


def sparse(full: NDArray[np.int16]) -> Sparse:
    source, target = np.nonzero(full.T)
    start = np.searchsorted(source, np.arange(full.shape[1] + 1))
    return Sparse(n_target=len(full), start=start, target=target.astype(np.int32), weights=full[target, source])


@given(networks(), st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.7, 1.0]))
@settings(max_examples=150, deadline=None)
def test_no_input_makes_them_fire_and_without_them_the_output_is_the_same(network, seed, rate):
    given_samples = samples(np.random.default_rng(seed).random((3, 25, 2)) < rate)
    whole = simulate(network, given_samples, engine="reference")
    idle = find_idle(network)
    for name, numbers in idle.never_fire.items():
        assert not np.isin(whole.spikes[name].neuron, numbers).any()
    gone, _ = removable(network, idle)
    less = simulate(without_neurons(network, gone), given_samples, engine="reference")
    out = network.outputs[0].population
    assert np.array_equal(whole.spikes[out].places(), less.spikes[out].places())
    assert whole.n_steps == less.n_steps


@given(st.lists(st.integers(0, 20), min_size=3, max_size=3), st.integers(1, 60), st.sampled_from([512, 2048, 4096]))
@settings(max_examples=60, deadline=None)
def test_what_is_not_named_fires_under_the_strongest_input(own, threshold, decay):
    """The bound is no estimate: of a single layer, a neuron that is not named does fire when all its sources do."""
    network = one_layer([own], Cuba(current_decay=decay, voltage_decay=decay, threshold=threshold))
    activity = simulate(network, samples(np.ones((1, 200, 3), bool)), engine="reference")
    assert (never(network) == {}) == (len(activity.spikes["out"]) > 0)


class TestRemoval:
    def test_parameters_delays_and_masks_go_with_the_neurons(self):
        model = Cuba(current_decay=4096, voltage_decay=4096, threshold=np.array([10, 11, 12]))
        mask = np.array([[1, 1], [0, 1], [1, 1]], bool)
        network = chain(
            {"h": [[20, 0], [0, -5], [0, 20]], "out": [[1, 2, 3]]},
            {"h": model, "out": FORGETS},
            more={"h": {"mask": mask, "delay": [[1, 2], [3, 4], [5, 6]]}, "out": {"delay": [7, 8, 9]}},
        )
        less = without_neurons(network, {"h": np.array([1])})
        assert less.population("h").model.threshold.tolist() == [10, 12]
        into, out = less.projections
        assert into.synapses.weights.tolist() == [[20, 0], [0, 20]]
        assert into.mask.tolist() == [[True, True], [True, True]]
        assert (into.delay.tolist(), out.delay.tolist()) == ([[1, 2], [5, 6]], [7, 9])
        assert out.synapses.weights.tolist() == [[1, 3]]

    def test_what_stays_is_said(self):
        network = chain([[[-1], [-1]], [[20, 20]]], FORGETS)
        gone, stays = removable(network, find_idle(network))
        assert {name: n.tolist() for name, n in gone.items()} == {"p1": [1]}
        assert stays == {
            "p1": "neuron 0, so that the layer and its step in time remain",
            "p2": "an output reads them, and their numbers are its classes",
        }

    def test_neurons_that_share_a_kernel_stay(self):
        pool = Pool(input_shape=(1, 2, 2), kernel=(1, 1), stride=(1, 1), weight=1)
        gone, stays = removable(network := chain([pool, np.ones((1, 4), np.int16)], FORGETS), find_idle(network))
        assert gone == {}
        assert stays["p1"] == "they share the kernel of 'w1' with other neurons"


def test_lines_name_the_neurons_in_ranges():
    assert ranges([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert ranges(range(0, 40, 2)) == "0, 2, 4, 6, 8, 10, 12, 14 and 12 more"
    assert list(idle_lines({"h": [3]}, {"h": [1, 2]})) == [
        "1 neuron of 'h' can never fire, whatever the input: 3",
        "2 neurons of 'h' reach no output: 1-2",
    ]


def test_two_outputs_keep_both_branches():
    network = wired(
        {"in": 1},
        {"a": (1, FORGETS), "b": (1, FORGETS)},
        [connect("in", "a", [[20]]), connect("in", "b", [[20]])],
        [Output(name="one", population="a"), Output(name="two", population="b")],
    )
    assert find_idle(network).all == {}
    assert STATE_LIMIT == 2**23
