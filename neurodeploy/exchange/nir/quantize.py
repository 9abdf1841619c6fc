"""Conversion of floats to the integers of the chip: exact where they lie on the chip's grid, else rounded and reported.

Each population can choose its unit: its incoming weights, threshold and bias may be multiplied by one number without a
change of any spike. If weights, threshold and bias are whole numbers in the unit of ``docs/notes/nir.md`` 4.5 (one NIR unit
is 64 weight units), this unit is used. If only threshold or bias are not whole, the unit is made finer by a power of two,
which leaves the weights exact. Otherwise it is the largest unit that keeps weights and threshold in range, or, if data is
given, the unit that ``calibrate.py`` chooses on the data.

Large arrays are processed in blocks, so that no second copy of a file's weights is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.neurons import STATE_UNIT, UNIT, FloatNeuron, Floats, model_of
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
"""Relative distance from a whole number up to which a value counts as whole (rounding of the file's floats)."""
_WHOLE_DECAY = 2e-3
"""Distance of a decay (0..4096) from a whole number up to which it counts as whole (rounding of the file's floats)."""
_BLOCK = 2**18
TOP = 254
"""Largest weight on the chip's grid for mixed signs."""

Weights: TypeAlias = NDArray[np.floating[Any]]
Measure: TypeAlias = Callable[[str, Any], str]
"""Function that is called with the name of a rounded value (``current_decay``, ..., or ``weights``) and its new value in NIR
units; it returns the effect of this rounding alone on data, in words to append, or ""."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A weight grid: ``64 * scale`` weight units to one NIR unit; array ``i`` has multiples of ``2**exponents[i]``."""

    scale: float
    exponents: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Integers:
    """A population in integers: neurons, ``(weights int16, exponent)`` for each weight array, and what was rounded."""

    model: NeuronModel
    weights: tuple[tuple[NDArray[np.int16], int], ...]
    rounded: tuple[Approximation, ...]


def integers(
    where: str,
    neuron: FloatNeuron,
    weights: Sequence[Weights],
    weight_bits: int,
    *,
    lowest: Sequence[int] | None = None,
    choose: Callable[[Floats, Grid], Grid] | None = None,
    measure: Measure | None = None,
) -> Integers:
    """Return the population in integers.

    Args:
        where: name of the neuron node.
        neuron: one step of the neurons.
        weights: all incoming weights, in NIR units, any shapes; a neuron's gain is folded into its threshold.
        weight_bits: 2 to 8 bits besides the sign for weights that do not lie on the grid.
        lowest: the lowest exponent of each weight array that does not lie on the grid; 0 by default.
        choose: function ``(gains, default grid) -> grid`` that chooses the grid for weights that do not lie on one.
        measure: function that returns the effect of each rounding on data.

    Raises:
        NirError: for a gain, threshold or bias that the chip cannot hold.
    """
    gain = checked_gain(where, neuron)
    said: Measure = measure or (lambda *_: "")
    grids = [on_grid(w, UNIT) for w in weights]
    scale, rounded = 1.0, []
    if any(g is None for g in grids):
        lowest = lowest or [0] * len(weights)
        grid = Grid(scale=_scale(where, neuron, gain, weights, weight_bits, lowest), exponents=tuple(lowest))
        grid = grid if choose is None else choose(gain, grid)
        scale, grids = grid.scale, list(on_chosen(weights, grid, weight_bits))
        _check_not_silent(where, weights, grids)
        rounded += list(_weight_changes(where, weights, grids, scale, said))
    elif not _whole_levels(neuron, gain):
        scale, grids = _finer(neuron, gain, weights)
    values = levels(neuron, gain, scale)
    _check_ranges(where, values)
    rounded += list(_level_changes(where, neuron, gain, scale, values, said))
    return Integers(
        model=model_of(neuron, {name: value.astype(np.int64) for name, value in values.items()}),
        weights=tuple(g for g in grids if g is not None),
        rounded=tuple(rounded),
    )


def levels(neuron: FloatNeuron, gain: Floats, scale: float) -> dict[str, Floats]:
    """Return decays, bias and threshold of a neuron, rounded to whole numbers (float64)."""
    return {name: np.rint(value) for name, value in _exact_levels(neuron, gain, scale).items()}


def _exact_levels(neuron: FloatNeuron, gain: Floats, scale: float) -> dict[str, Floats]:
    exact = {
        "current_decay": DECAY_ONE * neuron.current_factor,
        "voltage_decay": DECAY_ONE * neuron.voltage_factor,
        "bias": STATE_UNIT * scale * neuron.bias / gain,
    }
    return exact if neuron.threshold is None else exact | {"threshold": UNIT * scale * neuron.threshold / gain}


def on_chosen(weights: Sequence[Weights], grid: Grid, weight_bits: int) -> Iterator[tuple[NDArray[np.int16], int]]:
    """Yield the weights on a grid for mixed signs (even, -256..254; coarser for fewer bits), clipped at its ends."""
    step = 2 ** (9 - weight_bits)
    for w, exponent in zip(weights, grid.exponents):
        factor = UNIT * grid.scale / 2.0**exponent
        whole = np.empty(w.shape, np.int16)
        for block, out in _blocks(w, whole):
            out[...] = np.clip(np.rint(block * (factor / step)) * step, -256, 256 - step)
        yield whole, exponent


def _blocks(weights: Weights, *others: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield blocks of an array as float64, together with the same blocks of ``others``, which have the same shape."""
    flat = [a.reshape(-1) for a in (weights, *others)]
    for first in range(0, flat[0].size, _BLOCK):
        own, *rest = (a[first : first + _BLOCK] for a in flat)
        yield own.astype(np.float64), *rest


def largest_of(weights: Sequence[Weights]) -> float:
    """Return the largest absolute value of all weights, 0 if there are none."""
    return max((max(float(w.max(initial=0)), -float(w.min(initial=0))) for w in weights), default=0.0)


def on_grid(weights: Weights, unit: float = 1.0) -> tuple[NDArray[np.int16], int] | None:
    """Return integers and an exponent that represent ``weights * unit`` exactly, or None; exponent 0 is preferred.

    ``unit`` is a power of two.

    >>> on_grid(np.array([0.5, 3.0]))
    (array([1, 6], dtype=int16), -1)
    """
    low, high = float(weights.min(initial=0)) * unit, float(weights.max(initial=0)) * unit
    for exponent in (0, *range(-1, WEIGHT_EXPONENT_MIN - 1, -1), *range(1, WEIGHT_EXPONENT_MAX + 1)):
        factor = unit / 2.0**exponent
        if low / 2.0**exponent >= WEIGHT_MIN and high / 2.0**exponent <= WEIGHT_MAX and _all_whole(weights, factor):
            whole = np.empty(weights.shape, np.int16)
            for block, out in _blocks(weights, whole):
                out[...] = block * factor
            return whole, exponent
    return None


def _all_whole(weights: Weights, factor: float) -> bool:
    for (block,) in _blocks(weights):
        shifted = block * factor
        if not np.array_equal(shifted, np.rint(shifted)):
            return False
    return True


def checked_gain(where: str, neuron: FloatNeuron) -> Floats:
    """Return the gains of the neurons, set to 1 where they differ from 1 by rounding only.

    Raises:
        NirError: for a gain that is not positive, or a threshold below the reset value.
    """
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


def _scale(
    where: str,
    neuron: FloatNeuron,
    gain: Floats,
    weights: Sequence[Weights],
    weight_bits: int,
    lowest: Sequence[int],
) -> float:
    """Return the largest factor on the unit that keeps all weights within ``weight_bits`` and the threshold in range."""
    if not 2 <= weight_bits <= 8:
        raise NirError(f"nir: weight_bits is {weight_bits}, must be 2 to 8")
    largest = max((largest_of([w]) / 2.0**exponent for w, exponent in zip(weights, lowest)), default=0.0)
    limits = [] if largest == 0 else [TOP / (largest * UNIT)]
    limits.append(level_limit(neuron, gain))
    scale = min(limits)
    scale = scale if np.isfinite(scale) else 1.0
    if neuron.threshold is not None and np.any((neuron.threshold > 0) & (UNIT * scale * neuron.threshold / gain < 0.5)):
        smallest = float(np.min(neuron.threshold / gain))
        raise NirError(
            f"nir: node '{where}': a threshold of {smallest:g} rounds to 0 beside weights up to {largest:g}; the chip "
            "cannot hold both, scale the weights of this node down"
        )
    return scale


def level_limit(neuron: FloatNeuron, gain: Floats) -> float:
    """Return the factor on the unit with which the largest threshold or bias reaches an eighth of its range.

    The rest is headroom: voltages far below the threshold must not reach the limit of 24 bits either.
    """
    limits = [np.inf]
    if neuron.threshold is not None and np.any(neuron.threshold > 0):
        limits.append(THRESHOLD_MAX / 8 / (UNIT * float(np.max(neuron.threshold / gain))))
    if np.any(neuron.bias != 0):
        limits.append(STATE_LIMIT / 8 / (STATE_UNIT * float(np.max(np.abs(neuron.bias / gain)))))
    return min(limits)


def _finer(
    neuron: FloatNeuron, gain: Floats, weights: Sequence[Weights]
) -> tuple[float, list[tuple[NDArray[np.int16], int] | None]]:
    """Return the largest power of two, up to 128, with which the weights stay exact and the levels in range."""
    for power in range(7, 0, -1):
        scale = 2.0**power
        grids = [on_grid(w, UNIT * scale) for w in weights]
        if scale <= level_limit(neuron, gain) and all(g is not None for g in grids):
            return scale, grids
    return 1.0, [on_grid(w, UNIT) for w in weights]


def _check_not_silent(
    where: str, weights: Sequence[Weights], grids: Sequence[tuple[NDArray[np.int16], int] | None]
) -> None:
    largest = largest_of(weights)
    if largest > 0 and not any(np.any(g[0]) for g in grids if g is not None):
        raise NirError(
            f"nir: node '{where}': beside its threshold or bias all weights (at most {largest:g}) round to 0; is dt right? "
            "Some frameworks write time constants in steps: then pass dt=1"
        )


def _weight_changes(
    where: str,
    weights: Sequence[Weights],
    grids: Sequence[tuple[NDArray[np.int16], int] | None],
    scale: float,
    measure: Measure,
) -> Iterator[Approximation]:
    for i, (given, grid) in enumerate(zip(weights, grids)):
        if grid is None or not given.size:
            continue
        unit = 2.0 ** grid[1] / (UNIT * scale)
        change, lost = 0.0, 0
        for block, whole in _blocks(given, grid[0]):
            change = max(change, float(np.max(np.abs(whole * unit - block))))
            lost += int(np.count_nonzero((block != 0) & (whole == 0)))
        kept = f" in multiples of {2 ** grid[1]}" if grid[1] else ""
        yield Approximation(
            where=where,
            what=f"{given.size} weights rounded to the chip's grid, {64 * scale:.6g} weight units to one NIR unit{kept}",
            size=f"at most {change:.3g} of a largest weight of {largest_of([given]):.3g}; {lost} became 0"
            + measure("weights", (i, grid[0], unit)),
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
    where: str, neuron: FloatNeuron, gain: Floats, scale: float, values: dict[str, Any], measure: Measure
) -> Iterator[Approximation]:
    for name, given in _exact_levels(neuron, gain, scale).items():
        change = np.abs(values[name] - given)
        tolerance = _WHOLE_DECAY if name.endswith("decay") else _WHOLE * np.maximum(1, np.abs(given))
        if np.any(change > tolerance):
            at = int(np.argmax(change))
            unit = {"bias": gain / (STATE_UNIT * scale), "threshold": gain / (UNIT * scale)}.get(name, 1 / DECAY_ONE)
            yield Approximation(
                where=where,
                what=f"{name} rounded to a whole number",
                size=f"at most {change.flat[at]:.3g}, at {given.flat[at]:.6g} -> {values[name].flat[at]:.0f}"
                + measure(name, values[name] * unit),
            )
