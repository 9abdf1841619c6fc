"""Decoding of output activity to classes, the accuracy, and the samples in which the output decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    scores = _scores(activity, _choose(network, output))
    best: NDArray[np.int64] = np.argmax(scores, axis=1)
    return best


def _scores(activity: Activity, output: Output) -> NDArray[np.integer[Any]]:
    """Return what the rule of an output compares, ``(n_samples, n_neurons)``: the class is the highest."""
    if output.decoding == "last_voltage":
        return np.asarray(_voltages(activity, output)[:, -1])
    events = activity.spikes[output.population]
    if output.decoding in ("sum", "last_message"):
        raster = events.to_dense().astype(np.int64)
        return np.asarray(raster.sum(axis=1) if output.decoding == "sum" else raster[:, -1])
    if output.decoding == "count":
        return events.counts()
    first = np.full((events.n_samples, events.size), events.n_steps, np.int64)
    np.minimum.at(first, (events.sample, events.neuron), events.step)
    return -first


def _voltages(activity: Activity, output: Output) -> NDArray[np.int32]:
    key = (output.population, "v")
    if key not in activity.states:
        raise SimulationError(f"simulate: output '{output.name}' reads voltages; run with probe={key}")
    return activity.states[key]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Which samples an output does not decide by itself, bool ``(n_samples,)`` each.

    Attributes:
        tied: two or more neurons share the value that decides, so that the class is the lowest of their indices.
        silent: nothing decides: the output sent no event. For one that is read from voltages: nothing that is connected to
            it sent one, or its voltages stayed at 0.
    """

    tied: NDArray[np.bool_]
    silent: NDArray[np.bool_]

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the samples that are tied and silent, 0..1."""
        return {"tied": float(np.mean(self.tied)), "silent": float(np.mean(self.silent))}


def answers(network: Network, activity: Activity, output: str | None = None) -> Answers:
    """Return in which samples the class of ``decode``, whose arguments these are, is no answer of the network's.

    Raises:
        SimulationError: as ``decode``.
    """
    chosen = _choose(network, output)
    scores = _scores(activity, chosen)
    tied = np.count_nonzero(scores == scores.max(axis=1, keepdims=True), axis=1) > 1
    if chosen.decoding == "last_voltage":
        heard = np.zeros(activity.n_samples, np.bool_)
        for projection in network.into(chosen.population):
            if projection.source != chosen.population:
                heard[activity.spikes[projection.source].sample] = True
        silent = ~heard | ~_voltages(activity, chosen).any(axis=(1, 2))
    else:
        silent = np.ones(activity.n_samples, np.bool_)
        silent[activity.spikes[chosen.population].sample] = False
    return Answers(tied=tied, silent=silent)


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
