"""scikit-learn's 8x8 digits: 1797 real scans, 10 classes, shipped with scikit-learn (the UCI "optdigits" test set)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurodeploy.data.dataset import Dataset
from neurodeploy.errors import MissingPackageError, install_hint


def load_digits(_root: Path | None = None) -> Dataset:
    """Return the digits: values 0..1 (16 grey levels), shape ``(1, 8, 8)``, labels 0..9.

    Raises:
        MissingPackageError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as sklearn_digits
    except ImportError as error:
        raise MissingPackageError(
            f"data: 'digits' ships with scikit-learn, which is not installed; {install_hint('train')}"
        ) from error
    bunch = sklearn_digits()
    return Dataset(
        name="digits",
        shape=(1, 8, 8),
        values=(bunch.data / 16.0).astype(np.float32),
        labels=bunch.target.astype(np.int32),
        n_classes=10,
    )
