"""Static bounds: numbers that can be computed by hand, and the law that no run leaves them."""

from __future__ import annotations

import numpy as np
import pytest
from building import chain, connect, neuron, one_layer, samples
from random_networks import random_network

from neurodeploy.engines.reference import run_reference
from neurodeploy.network import Cuba, LeakyIntegrator
from neurodeploy.tables import plan_tables
from neurodeploy.tables.bounds import sum_range


def test_a_sum_reaches_all_positive_and_all_negative_weights():
    reach = sum_range(net := one_layer(np.array([[3, -5, 7], [0, -1, 0]])), net.projections[0])
    assert (reach.low.tolist(), reach.high.tolist()) == ([-5, -1], [10, 0])


def test_payloads_widen_it_on_both_sides_where_they_have_a_sign():
    network = one_layer(np.array([[3, -5]]), graded=4)  # 0 to 15
    reach = sum_range(network, network.projections[0])
    assert (reach.low.tolist(), reach.high.tolist()) == ([-75], [45])


def test_a_current_reaches_its_input_over_its_decay():
    plan = plan_tables(one_layer(np.array([[2, 2]]), neuron(current_decay=1024))).populations[0]
    assert 4 * 2 * 2 * 64 <= plan.bounds.current < 4 * 2 * 2 * 64 + 1
    assert not plan.bounds.fold


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        (Cuba(current_decay=4096, voltage_decay=0, threshold=9), True, False),
        (Cuba(current_decay=4096, voltage_decay=0, threshold=9, reset="subtract"), True, True),
        (LeakyIntegrator(current_decay=4096, voltage_decay=0), True, True),
        (LeakyIntegrator(current_decay=4096, voltage_decay=4096), False, False),
    ],
)
def test_a_voltage_without_decay_is_clipped_but_not_above_a_threshold_that_resets_it(model, low, high):
    bounds = plan_tables(one_layer(np.array([[2, -2]]), model)).populations[0].bounds
    assert (bounds.clip_low, bounds.clip_high) == (low, high)


@pytest.mark.parametrize("seed", range(20))
def test_no_state_of_a_run_lies_beyond_its_bound(seed):
    network, given = random_network(seed)
    run = run_reference(network, given, probe=[(p.name, s) for p in network.populations for s in ("u", "v")])
    for plan in plan_tables(network).populations:
        assert np.abs(run.states[plan.population, "u"].astype(np.int64)).max() <= plan.bounds.current
        assert np.abs(run.states[plan.population, "v"].astype(np.int64)).max() <= plan.bounds.voltage
        if not plan.bounds.fold:
            assert run.overflow[plan.population] == 0


class TestLayout:
    def test_targets_are_updated_before_their_sources_and_ways_back_are_held(self):
        back = connect("b", "a", [[1, 1]], "back")
        network = chain({"a": [[40, 40]], "b": [[40], [40]]}, extra=[back])
        layout = plan_tables(network)
        assert [p.population for p in layout.populations] == ["b", "a"]
        assert [(w.projection, w.held) for w in layout.wires] == [("w1", False), ("w2", False), ("back", True)]
        assert [p.held for p in layout.populations] == [True, False]

    def test_bytes_of_the_state_can_be_counted_by_hand(self):
        layout = plan_tables(chain({"a": np.ones((3, 2), int), "b": np.ones((5, 3), int)}))
        # 8 a neuron, 4 for each count of the output, 1 for each place of the list: 64 + 20 + 5, rounded up to words
        assert layout.ram_bytes == 92
        assert layout.flash_bytes == 6 + 15  # both matrices, a byte a weight
        assert run_reference(layout.network, samples(np.ones((1, 2, 2), bool))).n_steps == 4

    def test_delays_need_a_ring_of_one_row_more(self):
        layout = plan_tables(one_layer(np.ones((4, 3), int), delay=np.array([0, 2, 5])))
        ring = next(s for s in layout.states if s.name == "p0_ring")
        assert (ring.count, ring.type) == (6 * 4, "int16_t")
