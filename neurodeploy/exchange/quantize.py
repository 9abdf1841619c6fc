"""From floats to the integers of the chip: taken as they are where they lie on the grid, else rounded and reported.

A population with all its incoming weights has one free unit of its own: weights, threshold and bias may be multiplied by
one number without a change of any spike. Where weights and threshold are whole in the unit of nir.md 4.5 (one NIR unit is
64 weight units) that unit is used. Where only threshold or bias are not, a power of two makes them finer and leaves the
weights as they are. Otherwise it is the largest unit that keeps weights and threshold in range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.neurons import STATE_UNIT, UNIT, FloatNeuron, Floats, model_of
from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    THRESHOLD_MAX,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
    WEIGHT_MAX,
    WEIGHT_MIN,
    Approximation,
    NeuronModel,
)

_WHOLE = 1e-6
"""Relative distance from a whole number that counts as rounding of the file's floats."""
_WHOLE_DECAY = 2e-3
"""Distance of a decay (0..4096) from a whole number that counts as rounding of the file's floats."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Integers:
    """A population in integers: its neurons, one ``(weights int16, exponent)`` per given array, and what was rounded."""

    model: NeuronModel
    weights: tuple[tuple[NDArray[np.int16], int], ...]
    rounded: tuple[Approximation, ...]


def integers(where: str, neuron: FloatNeuron, weights: Sequence[Floats], weight_bits: int) -> Integers:
    """Return the population in integers.

    Args:
        where: name of the neuron node.
        neuron: one step of the neurons.
        weights: all weights that arrive, in NIR units, any shapes; a neuron's gain is folded into its threshold.
        weight_bits: 2 to 8 bits besides the sign for weights that do not lie on the grid.

    Raises:
        NirError: for a gain, threshold or bias that the chip cannot hold.
    """
    gain = _checked_gain(where, neuron)
    grids = [on_grid(w * UNIT) for w in weights]
    scale, rounded = 1.0, []
    if any(g is None for g in grids):
        scale = _scale(where, neuron, gain, weights, weight_bits)
        grids = [_rounded(w * UNIT * scale, weight_bits) for w in weights]
        _check_not_silent(where, weights, grids)
        rounded += list(_weight_changes(where, weights, grids, scale))
    elif not _whole_levels(neuron, gain):
        scale, grids = _finer(neuron, gain, weights)
    values = {
        "current_decay": np.rint(DECAY_ONE * neuron.current_factor),
        "voltage_decay": np.rint(DECAY_ONE * neuron.voltage_factor),
        "bias": np.rint(STATE_UNIT * scale * neuron.bias / gain),
    }
    if neuron.threshold is not None:
        values["threshold"] = np.rint(UNIT * scale * neuron.threshold / gain)
    _check_ranges(where, values)
    rounded += list(_level_changes(where, neuron, gain, scale, values))
    return Integers(
        model=model_of(neuron, {name: value.astype(np.int64) for name, value in values.items()}),
        weights=tuple(g for g in grids if g is not None),
        rounded=tuple(rounded),
    )


def on_grid(units: Floats) -> tuple[NDArray[np.int16], int] | None:
    """Return whole weights and the exponent that give ``units`` exactly, or None. Exponent 0 is preferred.

    >>> on_grid(np.array([0.5, 3.0]))
    (array([1, 6], dtype=int16), -1)
    """
    largest = max(float(units.max(initial=0.0)), -float(units.min(initial=0.0)))
    for exponent in (0, *range(-1, WEIGHT_EXPONENT_MIN - 1, -1), *range(1, WEIGHT_EXPONENT_MAX + 1)):
        if largest > 256 * 2.0**exponent:
            continue
        shifted = np.ldexp(units, -exponent)
        whole = np.rint(shifted)
        if np.array_equal(shifted, whole) and whole.max(initial=0) <= WEIGHT_MAX and whole.min(initial=0) >= WEIGHT_MIN:
            return whole.astype(np.int16), exponent
    return None


def _checked_gain(where: str, neuron: FloatNeuron) -> Floats:
    gain = neuron.gain
    if np.any(gain <= 0):
        raise NirError(
            f"nir: node '{where}': r and w_in give the gain {gain.min():g}, a neuron needs a positive one; "
            "put the sign into the weights"
        )
    if neuron.threshold is not None and np.any(neuron.threshold < 0):
        lowest = neuron.threshold.min()
        raise NirError(
            f"nir: node '{where}': v_threshold lies {-lowest:g} below v_reset, so the neuron fires without input; "
            "the chip needs a threshold of at least the reset value"
        )
    near_one = np.abs(gain - 1) < _WHOLE
    return np.where(near_one, 1.0, gain)


def _whole_levels(neuron: FloatNeuron, gain: Floats) -> bool:
    levels = [STATE_UNIT * neuron.bias / gain]
    if neuron.threshold is not None:
        levels.append(UNIT * neuron.threshold / gain)
    return all(bool(np.all(np.abs(x - np.rint(x)) <= _WHOLE * np.maximum(1, np.abs(x)))) for x in levels)


def _scale(where: str, neuron: FloatNeuron, gain: Floats, weights: Sequence[Floats], weight_bits: int) -> float:
    """Return the largest factor on the unit that keeps every weight in ``weight_bits`` and the threshold in its range."""
    if not 2 <= weight_bits <= 8:
        raise NirError(f"nir: weight_bits is {weight_bits}, must be 2 to 8")
    largest = max((float(np.max(np.abs(w), initial=0.0)) for w in weights), default=0.0)
    limits = [] if largest == 0 else [254 / (largest * UNIT)]
    limits.append(_level_limit(neuron, gain))
    scale = min(limits)
    scale = scale if np.isfinite(scale) else 1.0
    if neuron.threshold is not None and np.any((neuron.threshold > 0) & (UNIT * scale * neuron.threshold / gain < 0.5)):
        smallest = float(np.min(neuron.threshold / gain))
        raise NirError(
            f"nir: node '{where}': a threshold of {smallest:g} rounds to 0 beside weights up to {largest:g}; the chip "
            "cannot hold both, scale the weights of this node down"
        )
    return scale


def _rounded(units: Floats, weight_bits: int) -> tuple[NDArray[np.int16], int]:
    """Return weights on the chip's grid for mixed signs (even, -256..254), coarser for fewer bits."""
    step = 2 ** (9 - weight_bits)
    return np.clip(np.rint(units / step) * step, -256, 256 - step).astype(np.int16), 0


def _level_limit(neuron: FloatNeuron, gain: Floats) -> float:
    """Return the factor on the unit that takes the largest threshold or bias to an eighth of its range.

    The rest is headroom: voltages far below the threshold must not reach the limit of 24 bits either.
    """
    limits = [np.inf]
    if neuron.threshold is not None and np.any(neuron.threshold > 0):
        limits.append(THRESHOLD_MAX / 8 / (UNIT * float(np.max(neuron.threshold / gain))))
    if np.any(neuron.bias != 0):
        limits.append(STATE_LIMIT / 8 / (STATE_UNIT * float(np.max(np.abs(neuron.bias / gain)))))
    return min(limits)


def _finer(
    neuron: FloatNeuron, gain: Floats, weights: Sequence[Floats]
) -> tuple[float, list[tuple[NDArray[np.int16], int] | None]]:
    """Return the largest power of two, up to 128, under which the weights stay exact and the levels in range."""
    for power in range(7, 0, -1):
        scale = 2.0**power
        grids = [on_grid(w * UNIT * scale) for w in weights]
        if scale <= _level_limit(neuron, gain) and all(g is not None for g in grids):
            return scale, grids
    return 1.0, [on_grid(w * UNIT) for w in weights]


def _check_not_silent(
    where: str, weights: Sequence[Floats], grids: Sequence[tuple[NDArray[np.int16], int] | None]
) -> None:
    largest = max((float(np.max(np.abs(w), initial=0.0)) for w in weights), default=0.0)
    if largest > 0 and not any(np.any(g[0]) for g in grids if g is not None):
        raise NirError(
            f"nir: node '{where}': beside its threshold or bias all weights (at most {largest:g}) round to 0; is dt right? "
            "Some frameworks write time constants in steps: then pass dt=1"
        )


def _weight_changes(
    where: str, weights: Sequence[Floats], grids: Sequence[tuple[NDArray[np.int16], int] | None], scale: float
) -> Iterator[Approximation]:
    for given, grid in zip(weights, grids):
        if grid is None or not given.size:
            continue
        kept = grid[0].astype(np.float64) * 2.0 ** grid[1] / (UNIT * scale)
        change, largest = float(np.max(np.abs(kept - given))), float(np.max(np.abs(given)))
        lost = int(np.count_nonzero((given != 0) & (kept == 0)))
        yield Approximation(
            where=where,
            what=f"{given.size} weights rounded to the chip's grid, {64 * scale:.6g} weight units to one NIR unit",
            size=f"at most {change:.3g} of a largest weight of {largest:.3g}; {lost} became 0",
        )


def _check_ranges(where: str, values: dict[str, Any]) -> None:
    limits = {"threshold": THRESHOLD_MAX, "bias": STATE_LIMIT - 1}
    for name, limit in limits.items():
        largest = float(np.max(np.abs(values.get(name, np.zeros(1)))))
        if largest > limit:
            raise NirError(
                f"nir: node '{where}': {name} is {largest:.0f} on the chip's grid, the limit is {limit}; scale the "
                "weights and the threshold of this node down"
            )


def _level_changes(
    where: str, neuron: FloatNeuron, gain: Floats, scale: float, values: dict[str, Any]
) -> Iterator[Approximation]:
    exact = {
        "current_decay": DECAY_ONE * neuron.current_factor,
        "voltage_decay": DECAY_ONE * neuron.voltage_factor,
        "bias": STATE_UNIT * scale * neuron.bias / gain,
    }
    if neuron.threshold is not None:
        exact["threshold"] = UNIT * scale * neuron.threshold / gain
    for name, given in exact.items():
        change = np.abs(values[name] - given)
        tolerance = _WHOLE_DECAY if name.endswith("decay") else _WHOLE * np.maximum(1, np.abs(given))
        if np.any(change > tolerance):
            at = int(np.argmax(change))
            yield Approximation(
                where=where,
                what=f"{name} rounded to a whole number",
                size=f"at most {change.flat[at]:.3g}, at {given.flat[at]:.6g} -> {values[name].flat[at]:.0f}",
            )
