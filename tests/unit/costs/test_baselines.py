"""What the same task costs otherwise, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from building import chain, one_layer, samples

from neurodeploy.chip import chip_from_dict, load_chip
from neurodeploy.costs.baselines import dense_macs, dense_twin, mac_price
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.reference import run_reference
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.synapses import matrix_of
from neurodeploy.network import Conv, Cuba, Network, n_nonzero
from neurodeploy.network.activity import Activity

MODEL = Cuba(current_decay=2048, voltage_decay=256, threshold=20)


def sparse_network() -> Network:
    rng = np.random.default_rng(0)
    shapes = {"a": (40, 30), "b": (10, 40)}
    weights = {name: (rng.random(s) < 0.15) * rng.integers(-30, 60, s) * 2 for name, s in shapes.items()}
    return chain(weights, MODEL)


def run(network: Network, labels: dict) -> Activity:
    raster = np.random.default_rng(1).random((4, 10, 30)) < 0.3
    return run_reference(network, samples(raster), labels=labels)


@pytest.fixture(scope="module")
def case() -> tuple:
    network = sparse_network()
    mapping = map_network(network, load_chip("loihi1"))
    activity = run(network, mapping.core_labels())
    return network, activity, estimate(network, mapping, activity, with_baselines=True)


def test_price_of_a_mac_spans_the_four_networks_of_mlperf_tiny() -> None:
    price = mac_price("STM32L4R5 (Cortex-M4)")
    four = sorted([294 / 0.264, 2833 / 2.66, 7019 / 12.5, 5618 / 7.49])  # pJ
    assert price.low == pytest.approx(four[0] * 1e-12)
    assert price.nominal == pytest.approx((four[1] + four[2]) / 2 * 1e-12)
    assert price.high == pytest.approx(four[3] * 1e-12)


def test_a_dense_ann_pays_every_connection_once_and_this_network_every_event(case: tuple) -> None:
    network, activity, cost = case
    price = mac_price("STM32L4R5 (Cortex-M4)").nominal
    ann, snn = (b for b in cost.baselines if "Cortex-M4" in b.what)
    assert ann.energy_j.nominal == pytest.approx((40 * 30 + 10 * 40) * price)
    fan_out = {"in": np.count_nonzero(network.projections[0].synapses.weights, axis=0)}
    fan_out["a"] = np.count_nonzero(network.projections[1].synapses.weights, axis=0)
    events = sum(int(fan_out[name][activity.spikes[name].neuron].sum()) for name in fan_out)
    assert snn.energy_j.nominal == pytest.approx(events / 4 * price)


def test_taps_outside_the_image_cost_no_mac() -> None:
    conv = Conv(weights=np.full((2, 1, 3, 3), 4, np.int16), input_shape=(1, 3, 3), padding=(1, 1))
    network = one_layer(conv, MODEL)
    mapping = map_network(network, load_chip("loihi2"))
    given = samples(np.ones((1, 2, 9), bool))
    activity = run_reference(network, given, labels=mapping.core_labels())
    cost = estimate(network, mapping, activity, with_baselines=True)
    taps = 2 * (4 * 4 + 4 * 6 + 9)  # corners, edges, centre
    assert f"{taps} MACs" in cost.baselines[1].what


def test_the_dense_twin_stores_every_connection_and_keeps_the_weights_there_were() -> None:
    network = sparse_network()
    for before, after in zip(network.projections, dense_twin(network).projections):
        assert n_nonzero(after) == after.synapses.weights.size
        there = before.synapses.weights != 0
        assert np.array_equal(after.synapses.weights[there], before.synapses.weights[there])
        assert np.all(after.synapses.weights % 2 == 0)  # the common power of two, and so the stored bits, stay


def test_dense_on_the_chip_reads_every_connection_of_each_spike(case: tuple) -> None:
    network, activity, cost = case
    dense = cost.baselines[0]
    placed = map_network(dense_twin(network), load_chip("loihi1"))
    prices = {"sparse": 33.6e-12, "runlength": 33.6e-12, "dense": 35.5e-12}
    price = {name: prices[fmt] for load in placed.cores for name, fmt in load.formats.items()}
    reads = len(activity.spikes["in"]) * 40 * price["w1"] + len(activity.spikes["a"]) * 10 * price["w2"]
    lines = {x.component: x.energy_j.nominal for x in cost.energy.lines}
    synapses = sum(v for name, v in lines.items() if name.startswith("synop."))
    sends = np.count_nonzero(network.projections[1].synapses.weights, axis=0) > 0
    more = int(np.count_nonzero(~sends[activity.spikes["a"].neuron]))  # neurons without synapses send no message
    others = cost.energy.total_j.nominal - synapses + more * 111e-12 / 4
    assert dense.energy_j.nominal == pytest.approx(others + reads / 4, rel=1e-9)
    assert "cores" in dense.note


def test_at_the_break_even_activity_the_chip_costs_as_much(case: tuple) -> None:
    cost = case[2]
    fixed = sum(x.energy_j.nominal for x in cost.energy.lines if x.component.startswith("neuron_"))
    for baseline in cost.baselines:
        events = cost.energy.total_j.nominal - fixed
        assert fixed + baseline.break_even_activity * events == pytest.approx(baseline.energy_j.nominal)


def test_at_the_break_even_density_the_chip_costs_as_much(case: tuple) -> None:
    network, _, cost = case
    synapses = sum(x.energy_j.nominal for x in cost.energy.lines if x.component.startswith("synop."))
    density = sum(n_nonzero(p) for p in network.projections) / 1600
    for baseline in cost.baselines:
        grown = synapses * baseline.break_even_density / density
        assert cost.energy.total_j.nominal - synapses + grown == pytest.approx(baseline.energy_j.nominal)


def test_a_microcontroller_is_set_against_the_whole_chip_and_a_mapping_against_the_cores(case: tuple) -> None:
    cost = case[2]
    dense, *others = cost.baselines
    assert (dense.boundary, dense.against_j) == ("cores", cost.energy.total_j)
    for other in others:
        assert (other.boundary, other.operation) == ("chip", "free-running")
        assert other.against_j == cost.total("chip").energy_j
        assert other.times.nominal == pytest.approx(other.energy_j.nominal / other.against_j.nominal)
        assert other.times.low == pytest.approx(other.energy_j.low / other.against_j.high)
        assert other.times.high == pytest.approx(other.energy_j.high / other.against_j.low)


def test_within_one_boundary_static_energy_is_fixed(case: tuple) -> None:
    cost = case[2]
    chip, dynamic = cost.total("chip").energy_j.nominal, cost.energy.total_j.nominal
    fixed = sum(x.energy_j.nominal for x in cost.energy.lines if x.component.startswith("neuron_"))
    below = [b for b in cost.baselines[1:] if b.energy_j.nominal < chip - dynamic + fixed]
    assert below
    assert {b.even_activity for b in below} == {0.0}
    dense = cost.baselines[0]
    assert dense.even_activity == dense.break_even_activity
    for other in (b for b in cost.baselines[1:] if b not in below):
        grown = chip - dynamic + fixed + other.even_activity * (dynamic - fixed)
        assert grown == pytest.approx(other.energy_j.nominal)


def test_a_rate_counts_what_the_chip_draws_while_it_waits(case: tuple) -> None:
    network, activity, free = case
    mapping = map_network(network, load_chip("loihi1"))
    cost = estimate(network, mapping, activity, rate_hz=10.0, with_baselines=True)
    assert cost.baselines[1].operation == "rate"
    assert cost.baselines[1].times.nominal < 0.01 * free.baselines[1].times.nominal


def test_a_baseline_below_the_fixed_energy_breaks_even_nowhere(case: tuple) -> None:
    network, activity, _ = case
    data = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
    data["energy"]["neuron_access"].update(low=1e9, nominal=1e9, high=1e9)
    mapping = map_network(network, chip_from_dict(data))
    cost = estimate(network, mapping, activity, with_baselines=True)
    assert cost.baselines[1].break_even_activity == 0.0


def test_a_dense_network_that_does_not_fit_is_said_with_the_reason(case: tuple) -> None:
    network, activity, _ = case
    data = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
    data["cores"]["count"]["value"] = 2
    data["cores"]["synapse_words"]["value"] = 90
    mapping = map_network(network, chip_from_dict(data))
    cost = estimate(network, mapping, activity, with_baselines=True)
    assert cost.baselines[0].energy_j is None
    assert cost.baselines[0].note.startswith("map: ")


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [((1, 1), (0, 0), (1, 1), 1), ((2, 3), (1, 2), (1, 1), 2), ((1, 2), (2, 0), (2, 1), 1)],
)
def test_macs_of_a_convolution_are_its_taps_inside_the_image(stride, padding, dilation, groups) -> None:
    weights = np.ones((4, 2 // groups, 3, 2), np.int16)
    conv = Conv(
        weights=weights, input_shape=(2, 9, 7), stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    net = one_layer(conv, MODEL)
    assert dense_macs(net) == matrix_of(net.projections[0], zeros=True).source.size
