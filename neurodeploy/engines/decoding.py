"""Decoding of output activity to classes, and the accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import SimulationError
from neurodeploy.network import Network, Output
from neurodeploy.network.activity import Activity, Samples


def decoding_probes(network: Network) -> list[tuple[str, str]]:
    """Return the states that decoding needs, for ``simulate(..., probe=...)``; outputs decoded from spikes need none.

    Raises:
        SimulationError: if an output is decoded from a voltage that its population does not have.
    """
    probes = []
    for output in network.outputs:
        if output.decoding == "last_voltage":
            model = network.population(output.population).model
            if "v" not in model.states:
                raise SimulationError(
                    f"simulate: output '{output.name}' is decoded by last_voltage, but '{output.population}' has "
                    f"{model.kind.replace('_', '-')} neurons, whose states are {', '.join(model.states)}; decode it by "
                    f"{'sum or last_message' if model.graded else 'count or first_spike'}"
                )
            probes.append((output.population, "v"))
    return list(dict.fromkeys(probes))


def decode(network: Network, activity: Activity, output: str | None = None) -> NDArray[np.int64]:
    """Return the class of each sample, int64 ``(n_samples,)``, decoded from an output by the rule in ``Output.decoding``.

    ``count``: most spikes; ``first_spike``: earliest spike; ``last_voltage``: highest voltage in the last step (needs the
    probes of ``decoding_probes``); ``sum``: highest sum of all messages; ``last_message``: highest message in the last step.
    Ties go to the lowest index.

    Args:
        output: name of the output; may be left out if there is only one.

    Raises:
        SimulationError: for an unknown or ambiguous output, or a voltage that was not probed.
    """
    chosen = _choose(network, output)
    if chosen.decoding == "last_voltage":
        key = (chosen.population, "v")
        if key not in activity.states:
            raise SimulationError(f"simulate: output '{chosen.name}' reads voltages; run with probe={key}")
        best: NDArray[np.int64] = np.argmax(activity.states[key][:, -1], axis=1)
        return best
    events = activity.spikes[chosen.population]
    if chosen.decoding in ("sum", "last_message"):
        raster = events.to_dense().astype(np.int64)
        best = np.argmax(raster.sum(axis=1) if chosen.decoding == "sum" else raster[:, -1], axis=1)
    elif chosen.decoding == "count":
        best = np.argmax(events.counts(), axis=1)
    else:
        first = np.full((events.n_samples, events.size), events.n_steps, np.int64)
        np.minimum.at(first, (events.sample, events.neuron), events.step)
        best = np.argmin(first, axis=1)
    return best


def accuracy(network: Network, activity: Activity, samples: Samples, output: str | None = None) -> float:
    """Return the fraction of samples whose decoded class is their label.

    Raises:
        SimulationError: if the samples have no labels.
    """
    if samples.labels is None:
        raise SimulationError(f"simulate: samples '{samples.name}' carry no labels, so there is no accuracy")
    return float(np.mean(decode(network, activity, output) == samples.labels))


def _choose(network: Network, name: str | None) -> Output:
    known = ", ".join(o.name for o in network.outputs)
    if name is None and len(network.outputs) > 1:
        raise SimulationError(f"simulate: the network has several outputs, name one of: {known}")
    found = [o for o in network.outputs if name in (None, o.name)]
    if not found:
        raise SimulationError(f"simulate: there is no output '{name}'; outputs: {known}")
    return found[0]
