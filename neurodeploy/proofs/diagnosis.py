"""Diagnosis of the first difference between two engines; its cause is searched by replaying one population.

Up to the first difference both engines agree, so the population with the difference can be replayed alone: its input follows
from the messages that an engine recorded for its sources. For an engine that deviates from the definition, the population
is replayed under one departure after the other (``departures.py``). A departure that gives exactly the engine's messages in
that sample names the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurodeploy.engines.dynamics import Ints
from neurodeploy.network import STATE_SHIFT, Cuba, Network, NeuronModel, ResonateAndFire
from neurodeploy.network.activity import Activity
from neurodeploy.proofs.arrivals import Arriving, arriving, population_input, recorded
from neurodeploy.proofs.compare import Difference
from neurodeploy.proofs.departures import Cause, candidates
from neurodeploy.proofs.replay import replay_model

_MORE_SAMPLES = 3
"""Number of further samples that decide if several departures explain the first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The explanation of the first difference.

    Args:
        cause, why: the class of cause, and in words what the engine computes differently.
        departs: the engine that deviates from the definition.
        arriving: the messages that reached the neuron in that step; a spike is a message of 1.
        summed_input, summed_input_imag: the sum of these messages; the imaginary part is None except for resonators.
        decided_by: the value that the definition compares with the threshold, before a reset, and the states it comes from:
            ``u`` and ``v``, ``real`` and ``imag``, ``sigma``, or ``act``, ``delta`` (change and residue) and ``error``.
        threshold: in the units of the states, None if the neuron kind has none.
    """

    cause: Cause
    why: str
    departs: str
    arriving: tuple[Arriving, ...] = ()
    summed_input: int = 0
    summed_input_imag: int | None = None
    decided_by: Mapping[str, int]
    threshold: int | None = None


def diagnose(network: Network, first: Activity, other: Activity, difference: Difference) -> Diagnosis:
    """Return the explanation of the first difference between two runs of one network.

    Args:
        network: the network of both runs.
        first, other: the two runs that differ, in the order of ``difference.engines``.
        difference: the first difference that ``compare_activities`` found.
    """
    name, sample = difference.population, difference.sample
    if name not in {p.name for p in network.populations}:
        why = f"the engines were not given the same events for '{name}'"
        return Diagnosis(cause="input", why=why, departs=other.engine, decided_by={})
    departs, cause, why = _departing(network, first, other, difference)
    at = (difference.step, difference.neuron)
    real, imag = population_input(network, first, name, sample)
    model = network.population(name).model
    decided = replay_model(network.population(name), (real, imag)).decided
    return Diagnosis(
        cause=cause,
        why=why,
        departs=departs,
        arriving=tuple(arriving(network, first, name, sample, *at)),
        summed_input=int(real[at]),
        summed_input_imag=int(imag[at]) if isinstance(model, ResonateAndFire) else None,
        decided_by={state: int(values[at]) for state, values in decided.items()},
        threshold=_threshold(model, difference.neuron),
    )


def _departing(network: Network, first: Activity, other: Activity, difference: Difference) -> tuple[str, Cause, str]:
    """Return the engine that deviates from the definition, cause and description; if both do, the one with a known cause."""
    runs = [run for run in (other, first) if not _is_lawful(network, run, difference)] or [other]
    found = [(run.engine, *_cause(network, run, difference)) for run in runs]
    return next((entry for entry in found if entry[1] != "unknown"), found[0])


def _cause(network: Network, run: Activity, difference: Difference) -> tuple[Cause, str]:
    """Return cause and description of the first departure that gives exactly the recorded messages.

    Many departures silence a population, so silence is explained only by one that gives the messages of another sample too.
    """
    name, sample = difference.population, difference.sample
    model = network.population(name).model
    given = _given(run, difference, sample)
    others = [s for s in range(run.n_samples) if s != sample][:_MORE_SAMPLES]
    silent = not given.any()
    if silent and not any(_given(run, difference, s).any() for s in others):
        return "unknown", "the population gives nothing at all in this sample"
    early = difference.step + 1
    first = [c for c in candidates(network, run, name, sample) if np.array_equal(c.sent(early), given[:early])]
    left = [c for c in first if np.array_equal(c.sent(run.n_steps), given)]
    for more in others:
        if len(left) < 2 and not silent:
            break
        given = _given(run, difference, more)
        again = {c.why: c.sent for c in candidates(network, run, name, more)}
        fitting = [c for c in left if np.array_equal(again[c.why](run.n_steps), given)]
        left = fitting if silent else fitting or left
    if left:
        return left[0].cause, left[0].why
    kind, states = model.kind.replace("_", "-"), ", ".join(model.states)
    return "unknown", f"no single known rule for {kind} neurons gives its values; probe {states} on both engines"


def _given(run: Activity, difference: Difference, sample: int) -> Ints:
    """Return the recorded messages of the population that differs, or its voltages if it is a read-out."""
    if difference.of == "message":
        return recorded(run, difference.population, sample)
    voltage: Ints = run.states[difference.population, difference.of][sample]
    return voltage


def _is_lawful(network: Network, run: Activity, difference: Difference) -> bool:
    name, sample = difference.population, difference.sample
    lawful = replay_model(network.population(name), population_input(network, run, name, sample)).sent
    return np.array_equal(lawful, _given(run, difference, sample))


def _threshold(model: NeuronModel, neuron: int) -> int | None:
    threshold = getattr(model, "threshold", None)
    if threshold is None:
        return None
    own = threshold if isinstance(threshold, int) else int(np.ravel(threshold)[neuron])
    return own << STATE_SHIFT if isinstance(model, Cuba) else own
