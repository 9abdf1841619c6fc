"""A part of a data set under an encoding, whose spikes are computed only for the samples that are requested."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.dataset import Dataset, Frames, payload_scale
from neurodeploy.data.encodings import ENCODINGS, PAYLOAD_BITS
from neurodeploy.errors import DataError
from neurodeploy.network import Input
from neurodeploy.network.activity import Events, Samples, join_samples

INPUT_NAME = "input"
"""Name of the input of every network that neurodeploy trains."""

_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """The samples of ``data`` under an encoding over ``n_steps`` steps; ``name`` describes them.

    Only values or packed frames are stored: 60,000 MNIST images take 47 MB, whatever the number of steps. ``scale`` is the
    value that a payload of 1 stands for under direct coding.
    """

    data: Dataset | Frames
    encoding: str
    n_steps: int
    name: str
    scale: float | None = None

    def __post_init__(self) -> None:
        if self.constant:
            assert isinstance(self.data, Dataset), "recordings are frames"
            object.__setattr__(self, "scale", payload_scale(self.data, self.scale))

    @property
    def constant(self) -> bool:
        """Whether the input is the same in every step."""
        return self.encoding == "direct"

    @property
    def entry(self) -> Input:
        """The input that the samples are for: with payloads of 8 bits under direct coding and for counts of events."""
        counts = isinstance(self.data, Frames) and self.data.counts
        graded = {"payload_bits": PAYLOAD_BITS, "scale": self.scale or 1.0} if self.constant or counts else {}
        return Input(name=INPUT_NAME, shape=self.data.shape, **graded)  # type: ignore[arg-type]

    @property
    def labels(self) -> NDArray[np.int32]:
        """The labels, int32 ``(n_samples,)``, or ``(n_samples, n_steps)`` where every step has one."""
        return self.data.labels

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of the single input, as in ``Samples``."""
        return {INPUT_NAME: self.data.shape}

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.data.labels)

    def raster(self, index: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Return the spikes or payloads of the samples at ``index``, uint8 ``(n, n_steps, n_channels)``."""
        if isinstance(self.data, Frames):
            return self.data.raster(index)
        values = self.levels(index) if self.constant else self.data.floats(index)
        return ENCODINGS[self.encoding](values, self.n_steps)

    def levels(self, index: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Return the payloads of the samples at ``index`` under direct coding, uint8 ``(n, n_channels)``."""
        assert isinstance(self.data, Dataset), "recordings are frames"
        return self.data.payloads(index, self.scale)

    def samples(self) -> Samples:
        """Return all samples as events, for later stages; memory grows with the number of spikes.

        Raises:
            DataError: if there are no samples.
        """
        if not self.n_samples:
            raise DataError(f"data: {self.name} holds no samples")
        starts = range(0, self.n_samples, _CHUNK)
        graded = self.entry.graded
        parts = [Events.from_dense(self.raster(slice(start, start + _CHUNK)), graded=graded) for start in starts]
        return Samples(
            inputs={INPUT_NAME: join_samples(parts)},
            labels=self.labels,
            name=self.name,
            shapes=self.shapes,
        )
