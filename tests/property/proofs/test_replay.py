"""A replay of one population from recorded messages is the definition: for any network of every kind it never differs."""

from __future__ import annotations

import numpy as np
from drawing import MANY, cases
from hypothesis import given, settings

from neurodeploy.engines.reference import run_reference
from neurodeploy.network import LeakyIntegrator
from neurodeploy.proofs.arrivals import population_input, recorded
from neurodeploy.proofs.departures import candidates
from neurodeploy.proofs.replay import replay_model


@MANY
@given(cases())
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
@given(cases())
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
