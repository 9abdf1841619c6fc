"""Samples with labels, as values (``Dataset``) or binned events (``Frames``), and their split into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.window import Seen
from neurodeploy.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Samples of values that an encoding turns into spikes; ``labels`` int32 in 0..n_classes - 1.

    ``values`` is ``(n_samples, n_channels)``, channels in C order of ``shape``: float32 in 0..1, or uint8 grey levels, where
    255 stands for 1 (a quarter of the memory). ``scale`` is the value that a payload of 1 stands for under direct coding:
    1/255 for grey levels; values in floats have none but what the recipe says.
    """

    name: str
    shape: tuple[int, ...]
    values: NDArray[np.float32] | NDArray[np.uint8]
    labels: NDArray[np.int32]
    n_classes: int

    def take(self, index: NDArray[np.int64]) -> Dataset:
        """Return the samples at ``index``, in that order."""
        return replace(self, values=self.values[index], labels=self.labels[index])

    def floats(self, index: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Return the values of the samples at ``index``, float32 in 0..1."""
        values = self.values[index]
        floats: NDArray[np.float32] = values.astype(np.float32)
        return floats if values.dtype == np.float32 else floats / np.float32(255)

    def payloads(self, index: NDArray[np.int64] | slice, scale: float | None) -> NDArray[np.uint8]:
        """Return the values of the samples at ``index`` as whole numbers, each times ``scale`` the value, rounded.

        Args:
            index: samples.
            scale: ``payload_scale`` of the data.
        """
        values = self.values[index]
        if values.dtype == np.uint8:
            return values  # type: ignore[return-value]
        assert scale is not None, "payload_scale refuses floats without a scale"
        whole: NDArray[np.uint8] = np.rint(values.astype(np.float64) / scale).astype(np.uint8)
        return whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """Events binned to frames, binary ones eight to a byte; ``labels`` int32 in 0..n_classes - 1.

    ``labels`` is ``(n_samples,)``, or ``(n_samples, n_steps)`` where every step has one.
    ``bits`` is uint8 ``(n_samples, ceil(n_steps * n_channels / 8))`` as ``numpy.packbits`` packs a raster
    ``(n_steps, n_channels)``, channels in C order of ``shape``; with ``counts`` a byte is the number of events of a channel
    in a step, ``(n_samples, n_steps * n_channels)``. Memory depends on the size of the frames, not on the events.
    ``seen`` tells what was in the recordings of a part as loaded.
    """

    name: str
    shape: tuple[int, ...]
    n_steps: int
    bits: NDArray[np.uint8]
    labels: NDArray[np.int32]
    n_classes: int
    seen: Seen | None = None
    counts: bool = False

    def take(self, index: NDArray[np.int64]) -> Frames:
        """Return the samples at ``index``, in that order, without ``seen``."""
        return replace(self, bits=self.bits[index], labels=self.labels[index], seen=None)

    def raster(self, index: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Return the frames of the samples at ``index``, uint8 ``(n, n_steps, n_channels)``: 0 and 1, or counts."""
        bits = self.bits[index]
        n_channels = int(np.prod(self.shape))
        flat = bits if self.counts else np.unpackbits(bits, axis=1, count=self.n_steps * n_channels)
        return flat.reshape(len(bits), self.n_steps, n_channels)


def payload_scale(data: Dataset, scale: float | None) -> float:
    """Return the value that a payload of 1 stands for when ``data`` is coded directly.

    Raises:
        DataError: for values in floats without a scale, negative ones, those that need more than 8 bits, and grey levels
            with another scale than theirs.
    """
    if data.values.dtype == np.uint8:
        if scale not in (None, GREY):
            raise DataError(
                f"data: '{data.name}' holds grey levels, whose payloads stand for 1/255; leave data.scale out"
            )
        return GREY
    low, high = (float(data.values.min()), float(data.values.max())) if data.values.size else (0.0, 0.0)
    if scale is None:
        raise DataError(
            f"data: '{data.name}' holds floats ({low:g} to {high:g}), which direct coding sends as whole numbers of 0..255; "
            "say the value that 1 stands for: data.scale, for example 0.0625 for sixteen levels"
        )
    if low < 0:
        raise DataError(
            f"data: '{data.name}' holds a negative value ({low:g}); direct coding sends whole numbers of 0..255"
        )
    if np.rint(high / scale) > 255:
        raise DataError(
            f"data: '{data.name}' reaches {high:g}, with data.scale = {scale:g} a payload of {high / scale:.0f}, which has "
            f"more than 8 bits; the smallest scale is {high / 255:g}"
        )
    return scale


GREY = 1 / 255
"""The value that one grey level of 8 bits stands for."""

Part = TypeVar("Part", bound=Dataset | Frames)


def checked_labels(labels: Sequence[int] | NDArray[Any], n_classes: int, where: object) -> NDArray[np.int32]:
    """Return labels as int32.

    Raises:
        DataError: if a label is out of range; names the file and the sample.
    """
    given = np.asarray(labels, np.int64)
    bad = np.argwhere((given < 0) | (given >= n_classes))
    if len(bad):
        raise DataError(
            f"data: {where} labels sample {bad[0][0]} with {given[tuple(bad[0])]}, the classes are 0..{n_classes - 1}; "
            "the file is damaged or belongs to another set"
        )
    return given.astype(np.int32)


def split(data: Part, *, test_fraction: float, validation_fraction: float, seed: int) -> tuple[Part, Part, Part]:
    """Return disjoint train, validation and test parts, each class in the same proportion.

    Where steps have labels, samples are drawn at random. ``validation_fraction`` is the share of the samples that the test
    part leaves.

    Raises:
        DataError: if a part would lack a class.
    """
    rng = np.random.default_rng(seed)
    parts: tuple[list[NDArray[np.int64]], ...] = ([], [], [])
    kinds = _kinds(data.labels)
    for label in range(data.n_classes if data.labels.ndim == 1 else 1):
        index = rng.permutation(np.flatnonzero(kinds == label))
        n_test = round(test_fraction * len(index))
        n_validation = round(validation_fraction * (len(index) - n_test))
        cuts = np.split(index, [n_test, n_test + n_validation])
        if min(len(c) for c in cuts) == 0:
            raise DataError(
                f"data: '{data.name}' has {len(index)} samples{_of_class(data.labels, label)}, too few for a test part of "
                f"{test_fraction} and a validation part of {validation_fraction}"
            )
        for part, cut in zip(parts, (cuts[2], cuts[1], cuts[0])):
            part.append(cut)
    train, validation, test = (_take(data, rng.permutation(np.concatenate(part))) for part in parts)
    return train, validation, test


def split_official(train: Part, test: Part, *, validation_fraction: float, seed: int) -> tuple[Part, Part, Part]:
    """Return train, validation and test parts of a set that has a test part.

    The validation part is taken from ``train``, each class in the same proportion; at random where steps have
    labels. All parts are shuffled with ``seed``, so that the first samples of a part belong to all classes.

    Raises:
        DataError: if a part would lack a class of the training part, or is empty.
    """
    if not len(test.labels):
        raise DataError(f"data: '{test.name}' has no test samples")
    rng = np.random.default_rng(seed)
    parts: tuple[list[NDArray[np.int64]], ...] = ([], [])
    kinds = _kinds(train.labels)
    for label in np.unique(kinds):
        index = rng.permutation(np.flatnonzero(kinds == label))
        n_validation = round(validation_fraction * len(index))
        if not 0 < n_validation < len(index):
            raise DataError(
                f"data: '{train.name}' has {len(index)} training samples{_of_class(train.labels, label)}, too few for a "
                f"validation part of {validation_fraction}"
            )
        parts[0].append(index[n_validation:])
        parts[1].append(index[:n_validation])
    kept, validation = (_take(train, rng.permutation(np.concatenate(part))) for part in parts)
    return kept, validation, _take(test, rng.permutation(len(test.labels)))


def _kinds(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return what samples are told apart by when parts are drawn: their class, or nothing where steps have labels."""
    return labels if labels.ndim == 1 else np.zeros(len(labels), np.int32)


def _of_class(labels: NDArray[np.int32], label: int) -> str:
    return f" of class {label}" if labels.ndim == 1 else ""


def _take(data: Part, index: NDArray[np.int64]) -> Part:
    return cast(Part, data.take(index))
