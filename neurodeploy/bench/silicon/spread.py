"""Ranges from facts: how far measured figures lie from estimates, and the range that holds a new one.

The logarithm of measured over nominal is taken as normal, with a mean and a deviation that the facts show (each workload
counts once) and a prior from what is known without them: mean 0 with the weight of one workload, and a deviation with the
weight of two. A new figure then follows a Student distribution (Gelman et al., Bayesian Data Analysis, 3rd edition, section
3.3: posterior predictive of the normal model with conjugate prior). A range leaves out its lowest tenth and its highest
twentieth: an estimate that is too low misleads more than one that is too high.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

BELOW, ABOVE = 0.10, 0.05
"""Shares of new figures that may lie below and above a range."""
STEP = 0.05
"""Chip files take the factors of a range rounded outwards to multiples of this."""
_MEAN_WEIGHT, _DEVIATION_WEIGHT = 1.0, 2.0
"""Weights of the prior, in workloads."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Factors of the nominal figure between which a new measurement is expected, from ``workloads`` workloads."""

    low: float
    high: float
    workloads: int

    @property
    def rounded(self) -> tuple[float, float]:
        """The factors as chip files take them."""
        return round(math.floor(self.low / STEP) * STEP, 10), round(math.ceil(self.high / STEP) * STEP, 10)


def fit_spread(ratios: Iterable[tuple[str, float]], prior_factor: float) -> Spread:
    """Return the spread of pairs of workload and measured over nominal.

    Args:
        ratios: several of one workload count as one, their geometric mean.
        prior_factor: the logarithm of it is the deviation that is expected before any fact.

    >>> spread = fit_spread([("a", 1.1), ("b", 0.9)], prior_factor=1.12)
    >>> round(spread.low, 2), round(spread.high, 2)
    (0.77, 1.29)
    """
    logs: dict[str, list[float]] = defaultdict(list)
    for workload, ratio in ratios:
        logs[workload].append(math.log(ratio))
    means = [sum(own) / len(own) for own in logs.values()]
    weight, freedom = _MEAN_WEIGHT + len(means), _DEVIATION_WEIGHT + len(means)
    mean = sum(means) / weight
    squares = _DEVIATION_WEIGHT * math.log(prior_factor) ** 2 + sum(x * x for x in means) - weight * mean * mean
    scale = math.sqrt(squares / freedom * (1 + 1 / weight))
    low, high = (mean + scale * student_quantile(level, round(freedom)) for level in (BELOW, 1 - ABOVE))
    return Spread(math.exp(low), math.exp(high), len(means))


def student_quantile(level: float, freedom: int) -> float:
    """Return the number below which a share ``level``, between 0 and 1, of Student's distribution lies.

    By halving, from the closed forms that the distribution has for whole degrees of freedom, at least 1.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, equations 26.7.1, 26.7.3 and 26.7.4.

    >>> round(student_quantile(0.95, 2), 4)
    2.92
    """
    low, high = 0.0, math.pi / 2  # angles whose tangent is the number over the root of the freedom
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _between(middle, freedom) < abs(2 * level - 1) else (low, middle)
    return math.copysign(math.sqrt(freedom) * math.tan(low), level - 0.5)


def _between(angle: float, freedom: int) -> float:
    """Return the share between a number and its opposite, of the number with this angle."""
    odd, square = freedom % 2, math.cos(angle) ** 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= square * (k - 1) / k
    return (angle + math.sin(angle) * total) * 2 / math.pi if odd else math.sin(angle) * total
