"""``Dataset``: values and labels before they become spikes, and its split into train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """``values`` float32 ``(n_samples, n_channels)`` in 0..1, channels in C order of ``shape``; ``labels`` int32."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[np.float32]
    labels: NDArray[np.int32]
    n_classes: int

    def take(self, index: NDArray[np.int64]) -> Dataset:
        """Return the samples at ``index``, in that order."""
        return Dataset(
            name=self.name,
            shape=self.shape,
            values=self.values[index],
            labels=self.labels[index],
            n_classes=self.n_classes,
        )


def split(
    data: Dataset, *, test_fraction: float, validation_fraction: float, seed: int
) -> tuple[Dataset, Dataset, Dataset]:
    """Return disjoint train, validation and test parts, each class in the same proportion.

    ``validation_fraction`` is taken from what the test part leaves.

    Raises:
        DataError: where a part would lack a class.
    """
    rng = np.random.default_rng(seed)
    parts: tuple[list[NDArray[np.int64]], ...] = ([], [], [])
    for label in range(data.n_classes):
        index = rng.permutation(np.flatnonzero(data.labels == label))
        n_test = round(test_fraction * len(index))
        n_validation = round(validation_fraction * (len(index) - n_test))
        cuts = np.split(index, [n_test, n_test + n_validation])
        if min(len(c) for c in cuts) == 0:
            raise DataError(
                f"data: '{data.name}' has {len(index)} samples of class {label}, too few for a test part of "
                f"{test_fraction} and a validation part of {validation_fraction}"
            )
        for part, cut in zip(parts, (cuts[2], cuts[1], cuts[0])):
            part.append(cut)
    train, validation, test = (data.take(rng.permutation(np.concatenate(part))) for part in parts)
    return train, validation, test
