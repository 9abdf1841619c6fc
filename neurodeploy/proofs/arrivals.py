"""The input of one population in one sample, recomputed from the messages that an engine recorded for its sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.dynamics import Ints
from neurodeploy.engines.sums import conv_24, shifted, synaptic_sum
from neurodeploy.network import Conv, Dense, Network, Pool, Projection, Sparse, Synapses
from neurodeploy.network.activity import Activity
from neurodeploy.network.unrolled import by_delay

Given: TypeAlias = tuple[Ints, Ints]
"""The real and the imaginary input of a population, int32 ``(n_steps, size)`` each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """A message that reached a neuron through one synapse in the step of the difference; a spike is a message of 1."""

    projection: str
    source: str
    neuron: int
    sent_in_step: int
    message: int
    weight: int


def recorded(run: Activity, name: str, sample: int) -> Ints:
    """Return the messages of an input or a population in one sample, int32 ``(n_steps, size)``; 1 for a spike."""
    dense: Ints = run.spikes[name].take(sample, sample + 1).to_dense()[0]
    return dense


def source_messages(network: Network, run: Activity, name: str, sample: int) -> dict[str, NDArray[Any]]:
    """Return the messages of each source of a population, ``(n_steps, size)``: int32 if the source is graded, else bool."""
    sources = {p.source: recorded(run, p.source, sample) for p in network.into(name)}
    return {source: sent if source in network.graded else sent != 0 for source, sent in sources.items()}


def synaptic_input(
    projection: Projection, messages: NDArray[Any], *, round_down: bool = True, wrap_conv: bool = True
) -> Ints:
    """Return the summed input of each target through a projection in each step, int32 ``(n_steps, n_target)``.

    Args:
        messages: messages of the projection's source, ``(n_steps, n_source)``.
        round_down: shift the sum by a negative exponent as the definition does, rounding down; else towards zero.
        wrap_conv: wrap the sums of a convolution or pooling to 24 bits, as the definition does.
    """
    parts = []
    for synapses, sources, delay in by_delay(projection):
        part = synaptic_sum(synapses, later(messages if sources is None else messages * sources, 1 + delay))
        exponent = projection.weight_exponent
        down = round_down or exponent >= 0
        part = shifted(part, exponent) if down else np.sign(part) * (np.abs(part) >> -exponent)
        parts.append(conv_24(part, "report") if wrap_conv and isinstance(synapses, Conv | Pool) else part)
    total: Ints = np.sum(parts, axis=0, dtype=np.int32)
    return total


def summed(into: Iterable[Projection], parts: Mapping[str, Ints], shape: tuple[int, int]) -> Given:
    """Return the real and the imaginary input ``(n_steps, size)``: sums of the ``parts`` of the projections ``into``."""
    real, imag = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for projection in into:
        total = real if projection.component == "real" else imag
        total += parts[projection.name]
    return real, imag


def population_input(network: Network, run: Activity, name: str, sample: int) -> Given:
    """Return the real and the imaginary input of a population in one sample, int32 ``(n_steps, size)``."""
    messages, into = source_messages(network, run, name, sample), network.into(name)
    parts = {p.name: synaptic_input(p, messages[p.source]) for p in into}
    return summed(into, parts, (run.n_steps, network.sizes[name]))


def later(rows: NDArray[Any], steps: int) -> NDArray[Any]:
    """Return the rows shifted by ``steps`` to later (to earlier if negative), filled up with zeros."""
    moved = np.zeros_like(rows)
    if steps >= 0:
        moved[steps:] = rows[: max(len(rows) - steps, 0)]
    else:
        moved[:steps] = rows[-steps:]
    return moved


def arriving(network: Network, run: Activity, name: str, sample: int, step: int, neuron: int) -> Iterator[Arriving]:
    """Yield the messages that reach one neuron in one step, each with its synapse."""
    messages = source_messages(network, run, name, sample)
    for projection in network.into(name):
        for synapses, sources, delay in by_delay(projection):
            at = step - 1 - delay
            if at < 0:
                continue
            sent = messages[projection.source][at].astype(np.int32)
            for source in np.flatnonzero(sent if sources is None else sent * sources):
                weight = _weight(synapses, int(source), neuron)
                if weight:
                    yield Arriving(
                        projection=projection.name,
                        source=projection.source,
                        neuron=int(source),
                        sent_in_step=at,
                        message=int(sent[source]),
                        weight=weight,
                    )


def _weight(synapses: Synapses, source: int, target: int) -> int:
    """Return the weight between two neurons, 0 where there is no synapse."""
    if isinstance(synapses, Dense):
        return int(synapses.weights[target, source])
    if isinstance(synapses, Sparse):
        own = slice(synapses.start[source], synapses.start[source + 1])
        return int(synapses.weights[own][synapses.target[own] == target].sum())
    one = np.zeros((1, int(np.prod(synapses.input_shape))), np.bool_)
    one[0, source] = True
    return int(synaptic_sum(synapses, one)[0, target])
