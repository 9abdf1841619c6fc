"""Input spikes of a data set as torch tensors, made a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.data.dataset import Frames
from neurodeploy.data.encoded_part import INPUT_NAME, Encoded
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.errors import TrainingError
from neurodeploy.network import Input
from neurodeploy.network.activity import Events, Samples

_AT_ONCE = 256
"""Samples that are packed at a time, so that no raster of all of them is made."""


class Inputs:
    """Input ``(n_samples, n_channels, n_steps)``, made from values or frames when indexed: spikes uint8, payloads float32.

    An input that is the same in every step has one column in memory (a stride of 0), from which ``ChainModel`` sees that one
    product is enough.

    Used in place of a tensor of that shape, which for 60,000 images of 784 pixels over 20 steps would take 0.9 GB.
    """

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded

    def __len__(self) -> int:
        return self._encoded.n_samples

    def __getitem__(self, index: torch.Tensor | slice) -> torch.Tensor:
        return self._tensor(index if isinstance(index, slice) else index.numpy())

    def bits(self, index: torch.Tensor) -> Spikes | None:
        """Return the spikes of samples as bits, of frames without unpacking them; None for payloads."""
        if self._encoded.entry.graded:
            return None
        data = self._encoded.data
        if isinstance(data, Frames):
            return Spikes.of_packed(data.bits[index.numpy()], data.n_steps, math.prod(data.shape))
        return Spikes.of_raster(self._encoded.raster(index.numpy()).transpose(0, 2, 1))

    def split(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Yield all samples in order, ``batch_size`` at a time."""
        for start in range(0, len(self), batch_size):
            yield self._tensor(slice(start, start + batch_size))

    def _tensor(self, index: NDArray[np.int64] | slice) -> torch.Tensor:
        if self._encoded.constant:
            levels = torch.from_numpy(self._encoded.levels(index).astype(np.float32))
            return levels[..., None].expand(-1, -1, self._encoded.n_steps)
        return torch.from_numpy(self._encoded.raster(index).transpose(0, 2, 1))


def to_tensors(samples: Samples | Encoded) -> tuple[torch.Tensor | Inputs, torch.Tensor]:
    """Return the input ``(n_samples, n_channels, n_steps)``, and the labels as int64.

    Spikes are uint8 of 0 and 1, packed eight to a byte until they are asked for; payloads are float32.
    """
    labels = torch.from_numpy(np.array(samples.labels, np.int64))
    if isinstance(samples, Encoded):
        return Inputs(samples), labels
    given = samples.inputs[INPUT_NAME]
    if given.payload is None:
        return Inputs(_packed(samples, given)), labels
    return torch.from_numpy(given.to_dense().astype(np.float32).transpose(0, 2, 1).copy()), labels


def _packed(samples: Samples, given: Events) -> Encoded:
    n, n_bytes = given.n_samples, -(-given.n_steps * given.size // 8)
    bits = np.empty((n, n_bytes), np.uint8)
    for first in range(0, n, _AT_ONCE):
        stop = min(first + _AT_ONCE, n)
        bits[first:stop] = np.packbits(given.take(first, stop).to_dense().reshape(stop - first, -1), axis=1)
    labels = np.zeros(n, np.int32) if samples.labels is None else samples.labels
    frames = Frames(
        name=samples.name,
        shape=input_shape(samples),
        n_steps=given.n_steps,
        bits=bits,
        labels=labels,
        n_classes=1 + int(labels.max(initial=0)),
    )
    return Encoded(data=frames, encoding="frames", n_steps=given.n_steps, name=samples.name)


def input_shape(samples: Samples | Encoded) -> tuple[int, ...]:
    """Return the shape of the input's channels, ``(size,)`` if the data give no other."""
    if isinstance(samples, Encoded):
        return samples.data.shape
    return samples.shapes.get(INPUT_NAME, (samples.inputs[INPUT_NAME].size,))


def check_payloads(samples: Samples | Encoded, entry: Input | None) -> None:
    """Refuse samples with payloads that the input does not take, or without those that it does; raises ``TrainingError``."""
    payload = None if isinstance(samples, Encoded) else samples.inputs[INPUT_NAME].payload
    graded = entry is not None and entry.graded
    carries = samples.entry.graded if isinstance(samples, Encoded) else payload is not None
    if graded != carries:
        what = ("plain spikes", "payloads") if graded else ("payloads", "plain spikes")
        raise TrainingError(
            f"train: the samples carry {what[0]}, but the input takes {what[1]}; give the input that fits"
        )
    if payload is None or entry is None or not payload.size:
        return
    low, high = entry.payload_range
    if payload.min() < low or payload.max() > high:
        raise TrainingError(
            f"train: the samples carry payloads from {payload.min()} to {payload.max()}, outside {low}..{high} of input "
            f"'{entry.name}' ({entry.payload_bits} bits, {'signed' if entry.signed else 'unsigned'}); give it more bits"
        )
