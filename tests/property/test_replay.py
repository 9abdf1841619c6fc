"""A replay of one population from recorded messages is the definition: for any network of every kind it never differs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings

from neurodeploy.engines.reference import run_reference
from neurodeploy.network import LeakyIntegrator
from neurodeploy.proofs.arrivals import population_input, recorded
from neurodeploy.proofs.departures import candidates
from neurodeploy.proofs.replay import replay_model

_SPEC = importlib.util.spec_from_file_location("neuron_kinds", Path(__file__).with_name("test_neuron_kinds.py"))
neuron_kinds = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = neuron_kinds  # where dataclasses looks for it
_SPEC.loader.exec_module(neuron_kinds)

MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@MANY
@given(neuron_kinds.cases())
def test_replay_of_each_population_sends_what_the_reference_sent(case):
    run = run_reference(case.network, case.samples, probe=case.probe)
    for population in case.network.populations:
        for sample in range(run.n_samples):
            done = replay_model(population, population_input(case.network, run, population.name, sample))
            sent = recorded(run, population.name, sample)
            if isinstance(population.model, LeakyIntegrator):
                sent = run.states[population.name, "v"][sample]
            np.testing.assert_array_equal(done.sent, sent, err_msg=population.name)
            for state, values in zip(population.model.states, done.states):
                last = run.states[population.name, state][sample, -1]
                if run.n_steps > population.first_step:
                    np.testing.assert_array_equal(values, last, err_msg=f"{population.name}: {state}")


@settings(MANY, max_examples=25)
@given(neuron_kinds.cases())
def test_every_departure_can_be_run_for_any_population(case):
    """Also where a parameter lies at the end of its range; names are unique, and the same for all samples."""
    run = run_reference(case.network, case.samples)
    for population in case.network.populations:
        names = []
        for sample in range(min(run.n_samples, 2)):
            found = list(candidates(case.network, run, population.name, sample))
            for candidate in found:
                assert candidate.sent(run.n_steps).shape == (run.n_steps, population.size)
            names.append([c.why for c in found])
        assert len(set(names[0])) == len(names[0])
        assert names[0] == names[-1]
