"""Conversion of floats to the integers of the chip: exact where they lie on the chip's grid, else rounded and reported.

Each population can choose its unit: its incoming weights, threshold and bias may be multiplied by one number without a
change of any spike; so may those of each neuron (of each channel, where kernels are shared). If weights, threshold and bias
are whole numbers in the unit of ``docs/notes/nir.md`` 4.5 (one NIR unit is 64 weight units), this unit is used. If only
threshold or bias are not whole, the unit is made finer by a power of two, which leaves the weights exact. Otherwise it is
the largest unit that keeps weights and threshold in range, or, if data is given, the unit that ``calibrate.py`` chooses on
the data. Neurons whose weights are at most half as large as the largest then get a finer unit, by a power of two, so that
they keep their bits; read-outs, whose voltages are compared with each other, do not.

Large arrays are processed in blocks, so that no second copy of a file's weights is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
    Shape,
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
    """A weight grid: ``64 * scale`` weight units to one NIR unit; array ``i`` has multiples of ``2**exponents[i]``.

    Neuron ``k`` has ``rows[k]`` times as many, a power of two; float64 ``(n,)``, None where all have the same.
    """

    scale: float
    exponents: tuple[int, ...]
    rows: Floats | None = field(default=None, compare=False)

    def units(self, shape: Shape) -> Floats:
        """Return the factor on the unit of each neuron of a population."""
        return np.full(shape, self.scale) if self.rows is None else self.scale * self.rows.reshape(shape)

    def __str__(self) -> str:
        more = ""
        if self.rows is not None:
            n = int(np.count_nonzero(self.rows > 1))
            more = f" (up to {self.rows.max():g} times as many for {n} neurons with smaller weights)"
        return f"{64 * self.scale:.6g} weight units to one NIR unit{more}"


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
    units, rounded = np.ones(neuron.shape), []
    if any(g is None for g in grids):
        grid = _grid(where, neuron, gain, weights, weight_bits, lowest or [0] * len(weights))
        grid = grid if choose is None else choose(gain, grid)
        units, grids = grid.units(neuron.shape), list(on_chosen(weights, grid, weight_bits))
        _check_not_silent(where, weights, grids)
        rounded += list(_weight_changes(where, weights, grids, grid, said))
    elif not _whole_levels(neuron, gain):
        scale, grids = _finer(neuron, gain, weights)
        units = np.full(neuron.shape, scale)
    values = levels(neuron, gain, units)
    _check_ranges(where, values)
    rounded += list(_level_changes(where, neuron, gain, units, values, said))
    return Integers(
        model=model_of(neuron, {name: value.astype(np.int64) for name, value in values.items()}),
        weights=tuple(g for g in grids if g is not None),
        rounded=tuple(rounded),
    )


def levels(neuron: FloatNeuron, gain: Floats, units: Floats) -> dict[str, Floats]:
    """Return decays, bias and threshold of each neuron, rounded to whole numbers (float64); ``units`` as ``Grid.units``."""
    return {name: np.rint(value) for name, value in _exact_levels(neuron, gain, units).items()}


def _exact_levels(neuron: FloatNeuron, gain: Floats, units: Floats) -> dict[str, Floats]:
    exact = {
        "current_decay": DECAY_ONE * neuron.current_factor,
        "voltage_decay": DECAY_ONE * neuron.voltage_factor,
        "bias": STATE_UNIT * units * neuron.bias / gain,
    }
    return exact if neuron.threshold is None else exact | {"threshold": UNIT * units * neuron.threshold / gain}


def on_chosen(weights: Sequence[Weights], grid: Grid, weight_bits: int) -> Iterator[tuple[NDArray[np.int16], int]]:
    """Yield the weights on a grid for mixed signs (even, -256..254; coarser for fewer bits), clipped at its ends."""
    step = 2 ** (9 - weight_bits)
    for w, exponent in zip(weights, grid.exponents):
        factor = UNIT * grid.scale / 2.0**exponent / step * by_row(w, grid.rows)
        whole = np.empty(w.shape, np.int16)
        for block, own, out in _blocks_by_row(w, factor, whole):
            out[...] = np.clip(np.rint(block * own) * step, -256, 256 - step)
        yield whole, exponent


def _blocks(weights: Weights, *others: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield blocks of an array as float64, together with the same blocks of ``others``, which have the same shape."""
    flat = [a.reshape(-1) for a in (weights, *others)]
    for first in range(0, flat[0].size, _BLOCK):
        own, *rest = (a[first : first + _BLOCK] for a in flat)
        yield own.astype(np.float64), *rest


def _blocks_by_row(weights: Weights, factor: Floats, *others: NDArray[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield as ``_blocks`` does, with the number of each weight's row (one for each row of the array) behind the weights."""
    first, row = 0, max(weights.size // factor.size, 1)
    for block, *rest in _blocks(weights, *others):
        yield block, factor[np.arange(first, first + block.size) // row], *rest
        first += block.size


def by_row(weights: Weights, rows: Floats | None) -> Floats:
    """Return the factors of the neurons for the rows of a matrix or the kernels of a convolution, float64 ``(n_rows,)``."""
    n_rows = len(weights) if weights.ndim else 1
    if rows is None or not n_rows:
        return np.ones(max(n_rows, 1))
    return np.asarray(rows.reshape(n_rows, -1)[:, 0])


def _along(weights: Weights, factor: Floats) -> Floats:
    """Return the number of each row in a shape that multiplies the array."""
    return factor.reshape(-1, *(1,) * (weights.ndim - 1)) if weights.ndim else factor.reshape(())


def _largest_by_row(weights: Weights) -> Floats:
    """Return the largest absolute value in each row, without a copy of the array."""
    if not weights.ndim:
        return np.abs(weights.astype(np.float64)).reshape(1)
    rest = tuple(range(1, weights.ndim))
    largest: Floats = np.maximum(weights.max(axis=rest, initial=0), -weights.min(axis=rest, initial=0)).astype(
        np.float64
    )
    return largest


def largest_scaled(weights: Weights, rows: Floats | None) -> float:
    """Return the largest absolute value of the weights times the factors of the neurons."""
    return float(np.max(_largest_by_row(weights) * by_row(weights, rows), initial=0.0))


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


def _grid(
    where: str,
    neuron: FloatNeuron,
    gain: Floats,
    weights: Sequence[Weights],
    weight_bits: int,
    lowest: Sequence[int],
) -> Grid:
    """Return the grid with the largest unit that keeps weights and levels in range, finer for neurons of small weights."""
    if not 2 <= weight_bits <= 8:
        raise NirError(f"nir: weight_bits is {weight_bits}, must be 2 to 8")
    largest = _largest_by_neuron(neuron, weights, lowest)
    limits = _level_limits(neuron, gain)
    with np.errstate(divide="ignore"):
        limits = _least_of_block(np.minimum(limits, TOP / (largest * UNIT)), weights)
    scale = float(limits.min())
    scale = scale if np.isfinite(scale) else 1.0
    rows = np.ones(limits.size)
    if neuron.threshold is not None:
        threshold = np.ravel(neuron.threshold / gain)
        silent = (largest == 0) & ((threshold == 0) | (UNIT * scale * threshold >= 0.5))
        chosen = np.isfinite(limits) & (_least_of_block(silent, weights) == 0)
        rows[chosen] = 2.0 ** np.floor(np.log2(limits[chosen] / scale))
        lost = np.flatnonzero((threshold > 0) & (UNIT * scale * rows * threshold < 0.5))
        if lost.size:
            raise NirError(
                f"nir: node '{where}': a threshold of {threshold[lost[0]]:g} rounds to 0 beside weights up to "
                f"{largest[lost[0]]:g} of neuron {lost[0]}; the chip cannot hold both, scale its weights down"
            )
    return Grid(scale=scale, exponents=tuple(lowest), rows=rows if np.any(rows != 1) else None)


def _largest_by_neuron(neuron: FloatNeuron, weights: Sequence[Weights], lowest: Sequence[int]) -> Floats:
    """Return the largest weight into each neuron, times what its lowest exponent lets it lose; ``(n,)``."""
    largest = np.zeros(neuron.bias.size)
    for w, exponent in zip(weights, lowest):
        own = _largest_by_row(w) / 2.0**exponent
        if own.size:
            largest = np.maximum(largest, np.repeat(own, largest.size // own.size))
    return largest


def _least_of_block(values: NDArray[Any], weights: Sequence[Weights]) -> NDArray[Any]:
    """Return for each neuron the least value of those that share weights with it: a channel, or all behind a pool."""
    block = 1
    for w in weights:
        if w.ndim != 2:
            block = int(np.lcm(block, values.size // (len(w) if w.ndim else 1)))
    return np.repeat(values.reshape(-1, block).min(axis=1), block)


def level_limit(neuron: FloatNeuron, gain: Floats, rows: Floats | None = None) -> float:
    """Return the factor on the unit with which the largest threshold or bias reaches an eighth of its range.

    The rest is headroom: voltages far below the threshold must not reach the limit of 24 bits either.

    Args:
        rows: ``Grid.rows``.
    """
    limits = _level_limits(neuron, gain)
    return float((limits if rows is None else limits / rows).min(initial=np.inf))


def _level_limits(neuron: FloatNeuron, gain: Floats) -> Floats:
    """Return the limit of ``level_limit`` for each neuron alone, ``(n,)``; infinity without threshold and bias."""
    with np.errstate(divide="ignore"):
        limits = STATE_LIMIT / 8 / (STATE_UNIT * np.abs(neuron.bias / gain))
        if neuron.threshold is not None:
            limits = np.minimum(limits, THRESHOLD_MAX / 8 / (UNIT * (neuron.threshold / gain)))
    return np.ravel(limits)


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
            "Some frameworks write time constants in steps: then --dt 1 (in Python pass dt=1), or --reading sinabs"
        )


def _weight_changes(
    where: str,
    weights: Sequence[Weights],
    grids: Sequence[tuple[NDArray[np.int16], int] | None],
    chosen: Grid,
    measure: Measure,
) -> Iterator[Approximation]:
    for i, (given, grid) in enumerate(zip(weights, grids)):
        if grid is None or not given.size:
            continue
        unit = 2.0 ** grid[1] / (UNIT * chosen.scale) / by_row(given, chosen.rows)
        change, lost = 0.0, 0
        for block, own, whole in _blocks_by_row(given, unit, grid[0]):
            change = max(change, float(np.max(np.abs(whole * own - block))))
            lost += int(np.count_nonzero((block != 0) & (whole == 0)))
        kept = f" in multiples of {2 ** grid[1]}" if grid[1] else ""
        yield Approximation(
            where=where,
            what=f"{given.size} weights rounded to the chip's grid, {chosen}{kept}",
            size=f"at most {change:.3g} of a largest weight of {largest_of([given]):.3g}; {lost} became 0"
            + measure("weights", (i, grid[0], _along(given, unit))),
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
    where: str, neuron: FloatNeuron, gain: Floats, units: Floats, values: dict[str, Any], measure: Measure
) -> Iterator[Approximation]:
    for name, given in _exact_levels(neuron, gain, units).items():
        change = np.abs(values[name] - given)
        tolerance = _WHOLE_DECAY if name.endswith("decay") else _WHOLE * np.maximum(1, np.abs(given))
        if np.any(change > tolerance):
            at = int(np.argmax(change))
            unit = {"bias": gain / (STATE_UNIT * units), "threshold": gain / (UNIT * units)}.get(name, 1 / DECAY_ONE)
            yield Approximation(
                where=where,
                what=f"{name} rounded to a whole number",
                size=f"at most {change.flat[at]:.3g}, at {given.flat[at]:.6g} -> {values[name].flat[at]:.0f}"
                + measure(name, values[name] * unit),
            )
