"""Static bounds: how far the sums and the states of a network can go, whatever its input, from weights and decays alone.

A bound holds for every step of every run. It proves that a state cannot leave 24 bits, so that nothing has to be folded or
clipped, and that a product fits 32 bits. Bounds are floats and lie on the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    Conv,
    LeakyIntegrator,
    Network,
    Pool,
    Projection,
    SpikingModel,
    synapse_shape,
)
from neurodeploy.network.unrolled import by_delay, entries

Floats = NDArray[np.float64]
_SAFE = 1 + 2**-40
"""Factor that makes up for the rounding of floats."""


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """Lowest and highest value of each neuron, ``low <= 0 <= high``, float ``(n_neurons,)``."""

    low: Floats
    high: Floats

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Range:
        """Return the range of that many times the value."""
        return Range(self.low * factor, self.high * factor)

    @property
    def size(self) -> float:
        """The largest distance from 0 of any neuron."""
        return float(max(self.high.max(initial=0.0), -self.low.min(initial=0.0)))


def payloads(network: Network, source: str) -> tuple[int, int]:
    """Return the lowest and the highest number that an event of a source carries."""
    return next((i.payload_range for i in network.inputs if i.name == source), (1, 1))


def sum_range(network: Network, projection: Projection) -> Range:
    """Return the range of the sum that a projection brings to each target in a step, in weight units before its exponent."""
    _, target, weight = entries(projection.synapses)
    low, high = payloads(network, projection.source)
    with_low, with_high = weight.astype(np.float64) * min(low, 0), weight.astype(np.float64) * max(high, 0)
    n = synapse_shape(projection.synapses)[0]
    least = np.bincount(target, np.minimum(with_low, with_high).clip(max=0), n)
    most = np.bincount(target, np.maximum(with_low, with_high).clip(min=0), n)
    return Range(least.astype(np.float64), most.astype(np.float64))


def shifted_range(projection: Projection, raw: Range) -> Range:
    """Return the range of what a projection adds to the summed input: after its exponent, and as convolutions wrap."""
    own = raw.times(2.0**projection.weight_exponent)
    parts = sum(1 for _ in by_delay(projection))
    if projection.weight_exponent < 0:  # each part is rounded down
        own = Range(own.low - parts, own.high)
    if wraps(projection, raw):
        limit = np.full(own.low.shape, float(STATE_LIMIT) * parts)
        return Range(-limit, limit)
    return own


def wraps(projection: Projection, raw: Range) -> bool:
    """Return whether the sum of a convolution may leave 24 bits, so that it wraps before it is added."""
    return (
        isinstance(projection.synapses, Conv | Pool)
        and raw.size * 2.0**projection.weight_exponent * _SAFE >= STATE_LIMIT
    )


@dataclass(frozen=True, slots=True, eq=False)
class StateBounds:
    """What the states of a population can reach.

    Attributes:
        fold: whether the current may leave 24 bits; if not, it never wraps.
        clip_low, clip_high: whether it is clipped on that side; above, a neuron that fires and is reset to 0 is not.
        current: largest size of the current after a step.
        voltage: largest size of the voltage after a step.
    """

    fold: bool
    clip_low: bool
    clip_high: bool
    current: float
    voltage: float

    @property
    def clip(self) -> bool:
        """Whether the voltage is clipped on either side."""
        return self.clip_low or self.clip_high


def _parameter(value: Any) -> Floats:
    return np.ravel(np.asarray(value, np.float64))


def _sustained(step: Floats, decay: Floats) -> Floats:
    """Return the size that a state reaches which gains ``step`` and then decays, infinite without decay."""
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = step * DECAY_ONE / decay
    return np.where(step == 0, 0.0, grown) * _SAFE


def state_bounds(model: SpikingModel, summed: Range) -> StateBounds:
    """Return the bounds of a population from the range of its summed inputs, in weight units."""
    given = summed.times(2.0**STATE_SHIFT)
    decay = _parameter(model.current_decay)
    low, high = _sustained(-given.low, decay), _sustained(given.high, decay)
    fold = bool(max(low.max(), high.max()) >= STATE_LIMIT)
    if fold:
        inside = given.size * _SAFE < 2 * STATE_LIMIT  # then folding once is enough
        low = high = np.full(low.shape, float(STATE_LIMIT if inside else 2**31))
    bias, leak = _parameter(model.bias), _parameter(model.voltage_decay)
    gain_low, gain_high = low + np.maximum(-bias, 0), high + np.maximum(bias, 0)
    least, most = _sustained(gain_low, leak), _sustained(gain_high, leak)
    after, reset = most, not isinstance(model, LeakyIntegrator) and model.reset == "zero"
    if not isinstance(model, LeakyIntegrator) and reset:
        threshold = _parameter(model.threshold) * 2**STATE_SHIFT
        most = np.minimum(most, (threshold * (DECAY_ONE - leak) / DECAY_ONE + gain_high) * _SAFE)
        after = np.minimum(most, threshold)
    clip_low, clip_high = bool(least.max() >= STATE_LIMIT), not reset and bool(most.max() >= STATE_LIMIT)
    voltage = min(STATE_LIMIT - 1.0, float(max(least.max(), after.max())))
    return StateBounds(fold, clip_low, clip_high, float(max(low.max(), high.max())), voltage)


def summed_ranges(network: Network, raw: Mapping[str, Range]) -> dict[str, Range]:
    """Return the range of the summed input of every population, from the raw ranges of all projections."""
    total = {p.name: Range(np.zeros(p.size), np.zeros(p.size)) for p in network.populations}
    for projection in network.projections:
        total[projection.target] += shifted_range(projection, raw[projection.name])
    return total
