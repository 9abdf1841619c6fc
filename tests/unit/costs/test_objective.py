"""Mappings for an objective: priced candidates, of which the best is taken."""

import json

import numpy as np
import pytest
from building import chain, connect, neuron, samples, wired

from neurodeploy import choose_mapping
from neurodeploy.chip import load_chip
from neurodeploy.costs.objective import assumed_activity
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.table import simulate
from neurodeploy.errors import UsageError
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Network


def mostly_full(density: float = 0.8) -> Network:
    """Lists at a density where filling the gaps with zeros takes the fewest words, but reads a fifth more synapses."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 128, (100, 200)) * (rng.random((100, 200)) < density)
    return wired({"in": 200}, {"p": (100, neuron())}, [connect("in", "p", weights)])


def test_formats_that_read_least_store_no_zeros_and_take_more_words() -> None:
    network, chip = mostly_full(), load_chip("loihi1")
    small, few = (map_network(network, chip, prefer=prefer) for prefer in ("words", "reads"))
    stored = [sum(sum(load.stored.values()) for load in m.cores) for m in (small, few)]
    assert stored[1] == np.count_nonzero(network.projections[0].synapses.weights) < stored[0]
    assert small.synaptic_bytes < few.synaptic_bytes
    with pytest.raises(UsageError, match="known: words, reads"):
        map_network(network, chip, prefer="best")


def test_each_objective_is_at_least_as_good_as_the_default_in_its_own_figure() -> None:
    network, chip = mostly_full(), load_chip("loihi1")
    found = choose_mapping(network, chip)
    default = map_network(network, chip)
    assert found["memory"].mapping.synaptic_bytes == default.synaptic_bytes
    assert found["energy"].energy_j < found["memory"].energy_j
    assert found["latency"].sample_s < found["memory"].sample_s
    assert len(found["latency"].mapping.cores) > len(default.cores)
    assert {load.formats["in-p"] for load in found["energy"].mapping.cores} == {"runlength"}
    again = estimate(network, found["energy"].mapping, assumed_activity(network))
    assert again.energy.total_j.nominal == found["energy"].energy_j


def test_recorded_spikes_decide_where_they_are_given() -> None:
    network, chip = mostly_full(), load_chip("loihi1")
    silent = simulate(network, samples(np.zeros((1, 5, 200), int), "in"))
    assumed, recorded = (choose_mapping(network, chip, activity=spikes)["memory"] for spikes in (None, silent))
    assert recorded.energy_j < assumed.energy_j


def test_assumed_spikes_are_one_in_twenty_steps_and_even() -> None:
    spikes = assumed_activity(mostly_full()).spikes["p"]
    assert np.bincount(spikes.step).tolist() == [5] * 20
    assert sorted(spikes.neuron.tolist()) == list(range(100))


def test_a_chip_without_prices_has_no_objective() -> None:
    with pytest.raises(UsageError, match="needs prices"):
        choose_mapping(chain([np.ones((3, 4), int)]), load_chip("spinnaker2"))


def test_map_says_what_each_objective_gives_and_takes_the_one_asked_for(tmp_path) -> None:
    from neurodeploy.commands import map as map_command
    from neurodeploy.exchange.formats import write_network

    write_network(mostly_full(), tmp_path / "net.nd5")
    default, energy = (
        map_command(tmp_path / "net.nd5", chip="loihi1", objective=objective)[1] for objective in (None, "energy")
    )
    assert (default["objective"], energy["objective"]) == ("memory", "energy")
    assert json.loads(json.dumps(default["objectives"])) == energy["objectives"]
    assert energy["synaptic_bytes"] == energy["objectives"]["energy"]["synaptic_bytes"] > default["synaptic_bytes"]
    with pytest.raises(UsageError, match="known: memory, energy, latency"):
        map_command(tmp_path / "net.nd5", chip="loihi1", objective="speed")
