"""Kinds of synapses: a matrix, a list of stored synapses, shared kernels and pooling, with integer weights in weight units.

``record.py`` says what a weight does to its target neuron.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError
from neurodeploy.network.neurons import frozen

WEIGHT_MIN, WEIGHT_MAX = -256, 255
"""Range of a weight before its exponent (8 bits and a sign)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense:
    """A matrix of weights, int16 ``(n_target, n_source)``; zeros are not synapses (but see ``Projection.mask``)."""

    kind: ClassVar[str] = "dense"
    weights: NDArray[np.int16]

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _checked_weights(self.weights, 2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sparse:
    """Stored synapses only, by source neuron: source ``j`` reaches ``target[start[j]:start[j + 1]]``, in rising order.

    ``start`` int64 ``(n_source + 1,)``, ``target`` int32 and ``weights`` int16 ``(n_synapses,)``.
    """

    kind: ClassVar[str] = "sparse"
    n_target: int
    start: NDArray[np.int64]
    target: NDArray[np.int32]
    weights: NDArray[np.int16]

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", frozen(self.start, np.int64, "sparse start"))
        object.__setattr__(self, "target", frozen(self.target, np.int32, "sparse target"))
        object.__setattr__(self, "weights", _checked_weights(self.weights, 1))
        start, target = self.start, self.target
        n = self.weights.size
        if start.ndim != 1 or start.size < 1 or start[0] != 0 or start[-1] != n or np.any(np.diff(start) < 0):
            raise NetworkError(f"network: sparse start must rise from 0 to the number of synapses {n}")
        if target.shape != (n,) or (n and (target.min() < 0 or target.max() >= self.n_target)):
            raise NetworkError(f"network: sparse target must hold {n} indices in 0..{self.n_target - 1}")
        first = np.zeros(n + 1, np.bool_)
        first[start] = True  # the first synapse of a source neuron
        if n > 1 and np.any((target[1:] <= target[:-1]) & ~first[1:n]):
            raise NetworkError("network: sparse target must rise within each source neuron, without repeats")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conv:
    """Shared kernels in torch's convention (cross-correlation): int16 ``(c_out, c_in / groups, kernel_h, kernel_w)``.

    ``input_shape`` is ``(c_in, height, width)``; ``stride``, ``padding`` and ``dilation`` are ``(vertical, horizontal)``.
    """

    kind: ClassVar[str] = "conv"
    weights: NDArray[np.int16]
    input_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _checked_weights(self.weights, 4))
        channels = self.input_shape[0]
        if len(self.input_shape) != 3 or self.groups < 1 or channels % self.groups or len(self.weights) % self.groups:
            raise NetworkError(
                f"network: conv input_shape {self.input_shape} and {len(self.weights)} kernels do not divide into "
                f"{self.groups} groups of channels"
            )
        if self.weights.shape[1] != channels // self.groups:
            raise NetworkError(
                f"network: conv weights have {self.weights.shape[1]} input channels a group, but input_shape "
                f"{self.input_shape} with {self.groups} groups needs {channels // self.groups}"
            )
        if min(self.stride) < 1 or min(self.dilation) < 1 or min(self.padding) < 0 or min(self.output_shape) < 1:
            raise NetworkError(
                f"network: conv with stride {self.stride}, padding {self.padding}, dilation {self.dilation} gives no "
                f"output for input_shape {self.input_shape}"
            )

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape ``(c_out, height, width)`` of the convolution's output."""
        kernel = self.weights.shape[2:]
        height, width = (
            (size + 2 * pad - dil * (k - 1) - 1) // step + 1
            for size, pad, dil, k, step in zip(self.input_shape[1:], self.padding, self.dilation, kernel, self.stride)
        )
        return len(self.weights), height, width


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """Sum pooling: sums over windows of each channel, times one weight; ``input_shape`` is ``(channels, height, width)``."""

    kind: ClassVar[str] = "pool"
    input_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    weight: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", int(_checked_weights(np.asarray(self.weight), 0)))
        self.as_conv()

    def as_conv(self) -> Conv:
        """Return a grouped convolution with a constant kernel that gives the same sums."""
        channels = self.input_shape[0]
        return Conv(
            weights=np.full((channels, 1, *self.kernel), self.weight, np.int16),
            input_shape=self.input_shape,
            stride=self.stride,
            padding=self.padding,
            groups=channels,
        )

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Shape ``(channels, height, width)`` of the pooling's output."""
        return self.as_conv().output_shape


Synapses: TypeAlias = Dense | Sparse | Conv | Pool


def synapse_shape(synapses: Synapses) -> tuple[int, int]:
    """Return ``(n_target, n_source)`` of the unrolled connection."""
    if isinstance(synapses, Dense):
        return synapses.weights.shape[0], synapses.weights.shape[1]
    if isinstance(synapses, Sparse):
        return synapses.n_target, synapses.start.size - 1
    return math.prod(synapses.output_shape), math.prod(synapses.input_shape)


def _checked_weights(weights: object, ndim: int) -> NDArray[np.int16]:
    own = frozen(weights, np.int16, "weights")
    if own.ndim != ndim:
        raise NetworkError(f"network: weights have {own.ndim} axes, need {ndim}")
    if own.size and (own.min() < WEIGHT_MIN or own.max() > WEIGHT_MAX):
        bad = int(own.min()) if own.min() < WEIGHT_MIN else int(own.max())
        raise NetworkError(
            f"network: a weight is {bad}, outside {WEIGHT_MIN}..{WEIGHT_MAX}; scale it down and use weight_exponent"
        )
    return own
