"""Number of connections of each layer: integers whose sum is exactly ``round(density * number of weights)``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from neurodeploy.errors import TrainingError

Shapes = Mapping[str, tuple[int, ...]]


def uniform_budgets(shapes: Shapes, density: float) -> dict[str, int]:
    """Return budgets with the same density in every layer; see ``erk_budgets`` for arguments and errors."""
    return _exact(shapes, density, dict.fromkeys(shapes, 1.0))


def erk_budgets(shapes: Shapes, density: float) -> dict[str, int]:
    """Return Erdos-Renyi-Kernel budgets: a layer's density is in proportion to ``sum(shape) / prod(shape)``.

    Small layers get higher densities. A layer that would pass density 1 becomes dense; the budgets of the other layers are
    then computed again.

    Args:
        shapes: weight shape by layer, ``(out, in)`` or ``(out, in, *kernel)``; axes of size 1 after the second are
            left out of the sum, so that slayer's ``(out, in, 1, 1, 1)`` counts as a matrix.
        density: density of all weights together, above 0, at most 1.

    Returns:
        Connections by layer. Their sum is ``round(density * total)`` exactly.

    Raises:
        TrainingError: for a density out of range or one that leaves a layer without a connection.

    Source: Mocanu et al. 2018 (SET); Evci et al. 2020 (RigL), ``sparse_utils.py`` of google-research/rigl. The rounding
    to an exact sum (largest remainders first) is ours.
    """
    scale = {name: _kernel_sum(shape) / math.prod(shape) for name, shape in shapes.items()}
    return _exact(shapes, density, scale)


def er_budgets(shapes: Shapes, density: float) -> dict[str, int]:
    """Return Erdos-Renyi budgets, ``(out + in) / (out * in)`` whatever the kernel; otherwise like ``erk_budgets``."""
    return _exact(shapes, density, {name: sum(shape[:2]) / math.prod(shape[:2]) for name, shape in shapes.items()})


def dense_budgets(shapes: Shapes, density: float) -> dict[str, int]:
    """Return budgets that keep every weight of every layer; ``density`` must be 1."""
    if density != 1:
        raise TrainingError(f"sparse: distribution 'dense' keeps everything, but density is {density}; set it to 1")
    return _exact(shapes, density, dict.fromkeys(shapes, 1.0))


def constant_fan_in(shape: Sequence[int], budget: int) -> int:
    """Return the equal fan-in of a layer's neurons, at least 1, whose sum comes nearest to ``budget``."""
    return min(max(round(budget / shape[0]), 1), math.prod(shape[1:]))


DISTRIBUTIONS: Mapping[str, Callable[[Shapes, float], dict[str, int]]] = {
    "erk": erk_budgets,
    "er": er_budgets,
    "uniform": uniform_budgets,
    "dense": dense_budgets,
}


def _kernel_sum(shape: tuple[int, ...]) -> int:
    return sum(shape[:2]) + sum(k for k in shape[2:] if k > 1)


def _exact(shapes: Shapes, density: float, scale: Mapping[str, float]) -> dict[str, int]:
    """Return budgets that sum to ``round(density * total)``, with densities in proportion to ``scale``, at most 1."""
    if not shapes:
        raise TrainingError("sparse: there is no layer to share connections among")
    if not 0 < density <= 1:
        raise TrainingError(f"sparse: density is {density}, must be above 0 and at most 1")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    total = round(density * sum(sizes.values()))
    full: set[str] = set()
    while True:
        left = total - sum(sizes[name] for name in full)
        free = [name for name in shapes if name not in full]
        epsilon = left / sum(scale[name] * sizes[name] for name in free) if free else 0.0
        over = {name for name in free if epsilon * scale[name] > 1}
        if not over:
            break
        full |= over
    wanted = {name: float(sizes[name]) if name in full else epsilon * scale[name] * sizes[name] for name in shapes}
    budgets = _largest_remainders(wanted, sizes, total)
    empty = [name for name, budget in budgets.items() if budget < 1]
    if empty:
        raise TrainingError(
            f"sparse: density {density} leaves layer '{empty[0]}' ({sizes[empty[0]]} weights) without a connection; raise it"
        )
    return budgets


def _largest_remainders(wanted: Mapping[str, float], sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Return ``wanted`` rounded to integers with sum ``total``: rounded up in the layers with the largest remainders."""
    budgets = {name: min(int(value), sizes[name]) for name, value in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: wanted[name] - int(wanted[name]), reverse=True)
    while (missing := total - sum(budgets.values())) > 0:
        for name in [n for n in by_remainder if budgets[n] < sizes[n]][:missing]:
            budgets[name] += 1
    return budgets
