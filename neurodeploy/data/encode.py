"""Values in 0..1 to spikes. Every encoding is deterministic: the same sample gives the same spikes everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rate(values: NDArray[np.floating[Any]], n_steps: int) -> NDArray[np.uint8]:
    """Return evenly spaced spikes, ``round(value * n_steps)`` of them in each channel.

    A channel fires in step ``t`` where ``floor((t + 1) * k / n_steps) > floor(t * k / n_steps)`` with ``k`` its number of
    spikes, so that the spikes of a channel are as far apart as can be.

    Args:
        values: float ``(n_samples, n_channels)`` in 0..1.
        n_steps: number of steps, at least 1.

    Returns:
        uint8 ``(n_samples, n_steps, n_channels)`` of 0 and 1.

    >>> rate(np.array([[0.5, 1.0, 0.0]]), 4)[0].T.tolist()
    [[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    """
    n_spikes = np.rint(values * n_steps).astype(np.int64)[:, None, :]
    step = np.arange(n_steps)[None, :, None]
    fires: NDArray[np.bool_] = (step + 1) * n_spikes // n_steps > step * n_spikes // n_steps
    return fires.astype(np.uint8)


ENCODINGS: Mapping[str, Callable[[NDArray[np.floating[Any]], int], NDArray[np.uint8]]] = {"rate": rate}
