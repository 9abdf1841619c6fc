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

    Of an output with a window, the class of each step: ``(n_samples, n)``, where step ``t`` of the input is read
    ``first_step`` steps later and ``n`` are the input steps that the run leaves time for.

    ``count``: most spikes; ``first_spike``: earliest spike; ``last_voltage``: highest voltage in the last step (needs the
    probes of ``decoding_probes``); ``sum``: highest sum of all messages; ``last_message``: highest message in the last step.
    Ties go to the lowest index.

    Args:
        output: name of the output; may be left out if there is only one.

    Raises:
        SimulationError: for an unknown or ambiguous output, or a voltage that was not probed.
    """
    scores = _scores(network, activity, _choose(network, output))
    best: NDArray[np.int64] = np.argmax(scores, axis=-1)
    return best


def trailing_sums(raster: NDArray[Any], window: int) -> NDArray[np.int64]:
    """Return the sums over the last ``window`` steps, ``(n_samples, n_steps, n_neurons)`` as the raster is.

    >>> trailing_sums(np.array([[[1], [1], [0], [1]]]), 2).ravel().tolist()
    [1, 2, 1, 1]
    """
    sums: NDArray[np.int64] = np.cumsum(raster, axis=1, dtype=np.int64)
    sums[:, window:] -= sums[:, :-window].copy()
    return sums


def _in_windows(raster: NDArray[Any], first_step: int, window: int) -> NDArray[np.int64]:
    """Return the sums of the windows that belong to the input steps, ``(n_samples, n_steps - first_step, n_neurons)``."""
    return trailing_sums(raster, window)[:, first_step:]


def _scores(network: Network, activity: Activity, output: Output) -> NDArray[np.integer[Any]]:
    """Return what the rule of an output compares: the class is the highest.

    Shape: ``(n_samples, n_neurons)``, with a window ``(n_samples, n, n_neurons)``.
    """
    if output.window is not None:
        first = network.population(output.population).first_step
        return _in_windows(activity.spikes[output.population].to_dense(), first, output.window)
    if output.decoding == "last_voltage":
        return np.asarray(_voltages(activity, output)[:, -1])
    events = activity.spikes[output.population]
    if output.decoding in ("sum", "last_message"):
        raster = events.to_dense().astype(np.int64)
        return np.asarray(raster.sum(axis=1) if output.decoding == "sum" else raster[:, -1])
    if output.decoding == "count":
        return events.counts()
    earliest = np.full((events.n_samples, events.size), events.n_steps, np.int64)
    np.minimum.at(earliest, (events.sample, events.neuron), events.step)
    return -earliest


def _voltages(activity: Activity, output: Output) -> NDArray[np.int32]:
    key = (output.population, "v")
    if key not in activity.states:
        raise SimulationError(f"simulate: output '{output.name}' reads voltages; run with probe={key}")
    return activity.states[key]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Which samples an output does not decide by itself, bool ``(n_samples,)`` each; with a window, ``(n_samples, n)``.

    Attributes:
        tied: two or more neurons share the value that decides, so that the class is the lowest of their indices.
        silent: nothing decides: the output sent no event (of a window: none in it). For one that is read from voltages:
            nothing that is connected to it sent one, or its voltages stayed at 0.
    """

    tied: NDArray[np.bool_]
    silent: NDArray[np.bool_]

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the samples, or of their steps, that are tied and silent, 0..1."""
        return {"tied": float(np.mean(self.tied)), "silent": float(np.mean(self.silent))}


def answers(network: Network, activity: Activity, output: str | None = None) -> Answers:
    """Return in which samples the class of ``decode``, whose arguments these are, is no answer of the network's.

    Raises:
        SimulationError: as ``decode``.
    """
    chosen = _choose(network, output)
    scores = _scores(network, activity, chosen)
    tied = np.count_nonzero(scores == scores.max(axis=-1, keepdims=True), axis=-1) > 1
    if chosen.window is not None:
        first = network.population(chosen.population).first_step
        sent = activity.spikes[chosen.population].to_dense() != 0
        silent = ~_in_windows(sent, first, chosen.window).any(axis=-1)
    elif chosen.decoding == "last_voltage":
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
    """Return the fraction of samples whose decoded class is their label; with a label a step, the fraction of the steps.

    Raises:
        SimulationError: if the samples have no labels, or not as many as the output has classes.
    """
    return float(np.mean(correct(decode(network, activity, output), samples)))


def correct(classes: NDArray[np.int64], samples: Samples) -> NDArray[np.bool_]:
    """Return which classes are the labels, bool in the shape of both: ``(n_samples,)``, or ``(n_samples, n_steps)``.

    Raises:
        SimulationError: if the samples have no labels, one a sample where the output has a class a step, the other way
            round, or labels for other steps than were decoded.
    """
    if samples.labels is None:
        raise SimulationError(f"simulate: samples '{samples.name}' carry no labels, so there is no accuracy")
    check_labels(samples, by_step=classes.ndim == 2)
    if classes.shape != samples.labels.shape:
        raise SimulationError(
            f"simulate: samples '{samples.name}' have labels for {samples.labels.shape[1]} steps, the run was long enough "
            f"to decode {classes.shape[1]} of them; leave the number of steps out, so that it follows the samples"
        )
    right: NDArray[np.bool_] = classes == samples.labels
    return right


def check_labels(samples: Samples, *, by_step: bool) -> None:
    """Refuse one label a sample where classes are told ``by_step``, and labels of steps where one tells a sample's class.

    Raises:
        SimulationError: if they do not fit.
    """
    if samples.labels is None or (samples.labels.ndim == 2) == by_step:
        return
    if by_step:
        raise SimulationError(
            f"simulate: samples '{samples.name}' have one label each, but the output tells a class in every step; give "
            f"labels of the shape ({samples.n_samples}, {samples.n_steps}), samples by steps"
        )
    raise SimulationError(
        f"simulate: samples '{samples.name}' have a label for each of {samples.n_steps} steps, but the output tells one "
        "class a sample; give its Output a window (Output(..., window=32), in a recipe network.window)"
    )


def _choose(network: Network, name: str | None) -> Output:
    known = ", ".join(o.name for o in network.outputs)
    if name is None and len(network.outputs) > 1:
        raise SimulationError(f"simulate: the network has several outputs, name one of: {known}")
    found = [o for o in network.outputs if name in (None, o.name)]
    if not found:
        raise SimulationError(f"simulate: there is no output '{name}'; outputs: {known}")
    return found[0]
