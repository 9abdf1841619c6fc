"""Relay neurons: how many there are, where synapses leave them, and what stays as it was."""

import numpy as np
import pytest
from building import chain, connect, neuron, one_layer, samples

from neurodeploy.engines.table import simulate
from neurodeploy.errors import NetworkError
from neurodeploy.network import Conv, Cuba, Network, Pool, Sparse
from neurodeploy.network.relays import is_relay, with_relays

QUICK = Cuba(current_decay=4096, voltage_decay=4096, threshold=5)


def relays(network: Network) -> dict[str, int]:
    return {p.name: p.size for p in network.populations if is_relay(p)}


def wires(network: Network) -> dict[str, tuple[str, object]]:
    return {p.name: (p.source, p.delay if isinstance(p.delay, int) else p.delay.tolist()) for p in network.projections}


def test_a_network_whose_delays_are_short_enough_stays_as_it_is():
    network = one_layer(np.full((2, 3), 10), QUICK, delay=5)
    assert with_relays(network, 5).fingerprint == network.fingerprint


def test_a_chip_without_delays_gets_one_relay_a_step():
    found = with_relays(one_layer(np.full((2, 3), 10), QUICK, delay=2), 0)
    assert relays(found) == {"in_relay1": 3, "in_relay2": 3}
    assert wires(found) == {"in_relay1_in": ("in", 0), "in_relay2_in": ("in_relay1", 0), "w": ("in_relay2", 0)}
    (entry,) = found.ledger
    assert entry.where == "in"
    assert entry.what == "delays of up to 2 steps through 6 relay neurons in 2 populations (in_relay1, ...)"


def test_a_relay_costs_the_step_that_every_spike_takes():
    """Of a delay of 6 with at most 3 a synapse, one relay takes 3 + 1, and 2 are left."""
    found = with_relays(one_layer(np.full((2, 3), 10), QUICK, delay=6), 3)
    assert wires(found) == {"in_relay1_in": ("in", 3), "w": ("in_relay1", 2)}


def test_only_sources_with_a_long_delay_get_relays():
    found = with_relays(one_layer(np.full((2, 3), 10), QUICK, delay=[0, 4, 9]), 3)
    assert relays(found) == {"in_relay1": 2, "in_relay2": 1}
    assert wires(found)["w"] == ("in", 0)
    assert wires(found)["w_relay1"] == ("in_relay1", 0)
    assert wires(found)["w_relay2"] == ("in_relay2", 1)


def test_synapses_of_one_neuron_leave_from_different_relays():
    delay = np.array([[0, 1], [5, 2]])
    found = with_relays(one_layer(np.array([[10, 20], [30, 40]]), QUICK, delay=delay), 1)
    assert relays(found) == {"in_relay1": 2, "in_relay2": 1}
    parts = {p.name: p.synapses.weights.tolist() for p in found.projections if p.target == "out"}
    assert parts == {"w": [[10, 20], [0, 0]], "w_relay1": [[0, 0], [0, 40]], "w_relay2": [[0], [30]]}
    assert wires(found)["w_relay2"] == ("in_relay2", [[0], [1]])


def test_synapses_that_training_left_out_need_no_relay():
    mask = np.array([[True, True], [True, False]])
    delay = np.array([[0, 9], [1, 40]])
    network = one_layer(np.array([[10, 20], [30, 0]]), QUICK, delay=delay, mask=mask)
    found = with_relays(network, 3)
    assert relays(found) == {"in_relay1": 1, "in_relay2": 1}
    assert sum(int(p.mask.sum()) for p in found.projections if p.mask is not None) == 3


def test_projections_from_one_source_share_their_relays():
    network = chain(
        {"a": np.full((2, 3), 10), "b": np.full((2, 2), 10)},
        QUICK,
        more={"a": {"delay": 4}},
        extra=[connect("in", "b", np.full((2, 3), 10), "skip", delay=9)],
    )
    assert relays(with_relays(network, 3)) == {"in_relay1": 3, "in_relay2": 3}


def test_a_convolution_with_one_delay_stays_a_convolution():
    conv = Conv(weights=np.full((4, 2, 3, 3), 3), input_shape=(2, 5, 5))
    found = with_relays(one_layer(conv, QUICK, delay=7), 3)
    assert found.population("in_relay1").shape == (2, 5, 5)
    assert [p.synapses.kind for p in found.projections] == ["conv", "conv"]


def test_a_pool_whose_delays_differ_becomes_a_list_and_says_so():
    pool = Pool(input_shape=(1, 2, 2), kernel=(2, 2), stride=(2, 2), weight=8)
    found = with_relays(one_layer(pool, QUICK, delay=[0, 1, 2, 3]), 1)
    assert all(isinstance(p.synapses, Sparse) for p in found.projections)
    what = "pool as a list of 4 synapses, because its delays need unequal numbers of relays"
    assert what in [entry.what for entry in found.ledger]


def test_the_network_becomes_no_deeper():
    network = chain({"a": np.full((2, 3), 10), "b": np.full((1, 2), 10)}, QUICK, more={"b": {"delay": 30}})
    assert with_relays(network, 0).depth == network.depth == 2


def test_a_graded_input_is_refused_by_name():
    network = one_layer(np.full((2, 3), 10), QUICK, delay=9, graded=8)
    with pytest.raises(NetworkError, match=r"'in' sends messages with a payload, .* 'w' has delays of up to 9 steps"):
        with_relays(network, 3)
    assert with_relays(network, 9).fingerprint == network.fingerprint


@pytest.mark.parametrize("limit", [-1, 63])
def test_a_limit_that_no_synapse_has_is_refused(limit):
    with pytest.raises(NetworkError, match=rf"max_delay is {limit}, must be 0\.\.62 steps"):
        with_relays(one_layer(np.full((2, 3), 10), QUICK), limit)


def test_a_name_that_is_taken_gets_a_number():
    network = chain({"in_relay1": np.full((2, 3), 10)}, neuron(), more={"in_relay1": {"delay": 2}})
    assert set(relays(with_relays(network, 1))) == {"in_relay1_2"}


def test_spikes_come_as_late_as_before():
    network = one_layer(np.diag([10, 10, 10]), QUICK, delay=[0, 5, 11])
    raster = np.zeros((1, 20, 3), np.uint8)
    raster[0, 0] = 1
    ran = simulate(with_relays(network, 3), samples({"in": raster}))
    spikes = ran.spikes["out"]
    assert list(zip(spikes.neuron, spikes.step)) == [(0, 1), (1, 6), (2, 12)]


def test_delays_of_no_synapse_need_no_relay():
    delay = np.array([[9, 0], [9, 0]])
    found = with_relays(one_layer(np.array([[0, 20], [0, 40]]), QUICK, delay=delay), 3)
    assert relays(found) == {}
    assert wires(found) == {"w": ("in", [[0, 0], [0, 0]])}
    empty = with_relays(one_layer(np.zeros((2, 2), int), QUICK, delay=delay), 3)
    assert wires(empty) == {"w": ("in", 0)}


def test_delays_that_take_too_many_relays_are_refused_before_they_are_made():
    network = one_layer(np.full((2, 30_000), 10), QUICK, delay=62)
    message = r"from 'in' would take 1860000 relay neurons in 62 populations, the limits are 1048576 and 1024"
    with pytest.raises(NetworkError, match=message):
        with_relays(network, 0)
