"""Metrics as TensorBoard curves (optional: extra ``train`` brings tensorboard)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodeploy.errors import MissingPackageError, install_hint
from neurodeploy.training.metrics import EpochMetrics


class Board:
    """Writer of TensorBoard curves below ``folder``; call ``close`` at the end.

    Raises:
        MissingPackageError: if tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise MissingPackageError(
                f"train: tensorboard is not installed: {install_hint('train')}, or train without --tensorboard"
            ) from error
        self._writer = SummaryWriter(str(folder))

    def write(self, metrics: EpochMetrics) -> None:
        """Add a point to every curve. Names are those of ``metrics.jsonl``; metrics by layer are ``<metric>/<layer>``."""
        for name, value in _numbers(asdict(metrics)):
            self._writer.add_scalar(name, value, metrics.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _numbers(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{name}/")
        elif name != "epoch":
            yield prefix + name, float(value)
