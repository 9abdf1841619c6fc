"""Relay neurons change no spike and no voltage of a network, whatever its delays: one, one a source, one a synapse."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.engines.test_event import cases

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.network import Network
from neurodeploy.network.relays import with_relays

MANY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def same_behind(network: Network, relayed: Network, given, options) -> None:
    plain, other = run_reference(network, given, **options), run_event(relayed, given, **options)
    assert plain.n_steps == other.n_steps
    for name, events in plain.spikes.items():
        assert np.array_equal(events.to_dense(), other.spikes[name].to_dense()), f"spikes of {name}"
    for key, states in plain.states.items():
        assert np.array_equal(states, other.states[key]), f"state {key}"
    again = run_reference(relayed, given, **options)
    for name, events in again.spikes.items():
        assert np.array_equal(events.to_dense(), other.spikes[name].to_dense()), f"spikes of {name}"


@MANY
@given(cases(), st.integers(0, 8))
def test_no_spike_differs_behind_relays_for_any_network(case, max_delay):
    relayed = with_relays(case.network, max_delay)
    assert max(p.max_delay for p in relayed.projections) <= max_delay
    options = {key: case.options[key] for key in ("n_steps", "probe")}
    if any(run_reference(case.network, case.samples, **options).overflow.values()):
        return  # a kernel wraps its own sum, a list of the same synapses the sum of all
    same_behind(case.network, relayed, case.samples, options)
