"""The rewiring ratio over training: which fraction of a layer's connections moves at a step."""

from __future__ import annotations

import math


def cosine_ratio(step: int, initial: float, end_step: int) -> float:
    """Return ``initial / 2 * (1 + cos(pi * step / end_step))``, and 0 from ``end_step`` on.

    Source: Evci et al. 2020 (RigL), update schedule.

    >>> cosine_ratio(0, 0.3, 100), round(cosine_ratio(50, 0.3, 100), 6), cosine_ratio(100, 0.3, 100)
    (0.3, 0.15, 0.0)
    """
    if step >= end_step:
        return 0.0
    return initial / 2 * (1 + math.cos(math.pi * step / end_step))
