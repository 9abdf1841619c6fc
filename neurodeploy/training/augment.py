"""Random shifts of training images, different in every epoch, so that a network learns shapes and not pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.errors import TrainingError


class Shifts:
    """Random shifts of the training images: whole pixels along both axes, up to ``most``, drawn anew for each epoch.

    A shift depends on seed, epoch and sample alone, so that a resumed run, and every process that shares a batch, shifts a
    sample alike. Pixels shifted out of the image are lost, those that enter are silent.

    Args:
        most: largest shift in pixels, at least 0; 0 shifts nothing.
        shape: shape of the input, ``(channels, height, width)``.
        seed: seed of the run.
        n_samples: number of training samples.

    Raises:
        TrainingError: if the input is not an image, or not larger than ``most``.
    """

    def __init__(self, most: int, shape: tuple[int, ...], seed: int, n_samples: int) -> None:
        if most and (len(shape) != 3 or most >= min(shape[1:])):
            raise TrainingError(
                f"train: training.shift is {most}, but the input has the shape {shape}; only images (channels, height, "
                "width) larger than that can be moved. Set it to 0"
            )
        self._most, self._shape, self._seed, self._n_samples = most, shape, seed, n_samples
        self._epoch, self._by = -1, np.zeros((0, 2), np.int64)

    def of(self, epoch: int) -> NDArray[np.int64]:
        """Return the shift of each sample in an epoch, down and to the right, int64 ``(n_samples, 2)``."""
        if epoch != self._epoch:
            rng = np.random.default_rng((abs(self._seed), epoch))
            self._by = rng.integers(-self._most, self._most + 1, (self._n_samples, 2))
            self._epoch = epoch
        return self._by

    def moved(self, spikes: torch.Tensor, index: torch.Tensor, epoch: int) -> torch.Tensor:
        """Return the spikes ``(n, n_channels, n_steps)`` of the samples at ``index``, shifted as in an epoch."""
        if not self._most:
            return spikes
        if spikes.shape[-1] > 1 and spikes.stride(-1) == 0:  # the same in every step, and still so afterwards
            return self.moved(spikes[..., :1].contiguous(), index, epoch).expand_as(spikes)
        images = spikes.view(len(spikes), *self._shape, -1)
        result = torch.zeros_like(images)
        by = self.of(epoch)[index.numpy()]
        for down, right in np.unique(by, axis=0).tolist():
            own = torch.from_numpy(np.flatnonzero((by == (down, right)).all(axis=1)))
            (to_y, from_y), (to_x, from_x) = _overlap(down, self._shape[1]), _overlap(right, self._shape[2])
            result[own, :, to_y, to_x] = images[own, :, from_y, from_x]
        return result.view_as(spikes)


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    """Return the slices of an axis that a shift by ``by`` writes to and reads from."""
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size - max(by, 0))
