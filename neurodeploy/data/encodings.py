"""Encodings of values and events as spikes or whole numbers: the same sample gives the same ones everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodeploy.errors import DataError


def rate(values: NDArray[np.floating[Any]], n_steps: int) -> NDArray[np.uint8]:
    """Return evenly spaced spikes, ``round(value * n_steps)`` of them in each channel.

    A channel with ``k`` spikes fires in step ``t`` where ``floor((t + 1) * k / n_steps) > floor(t * k / n_steps)``, so that
    its spikes are as far apart as possible.

    Args:
        values: float ``(n_samples, n_channels)`` in 0..1.
        n_steps: number of steps, at least 1.

    Returns:
        uint8 ``(n_samples, n_steps, n_channels)`` of 0 and 1.

    >>> rate(np.array([[0.5, 1.0, 0.0]]), 4)[0].T.tolist()
    [[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    """
    n_spikes, step = np.arange(n_steps + 1)[:, None], np.arange(n_steps)
    pattern = (step + 1) * n_spikes // n_steps > step * n_spikes // n_steps  # (number of spikes, step)
    spikes: NDArray[np.uint8] = pattern.astype(np.uint8)[np.rint(values * n_steps).astype(np.int64)]
    return spikes.transpose(0, 2, 1)


def latency(values: NDArray[np.floating[Any]], n_steps: int) -> NDArray[np.uint8]:
    """Return one spike for each channel, earlier for larger values: in step ``round((1 - value) * (n_steps - 1))``.

    A channel of value 0 stays silent.

    Args:
        values: float ``(n_samples, n_channels)`` in 0..1.
        n_steps: number of steps, at least 1.

    Returns:
        uint8 ``(n_samples, n_steps, n_channels)`` of 0 and 1.

    >>> latency(np.array([[1.0, 0.5, 0.01, 0.0]]), 3)[0].tolist()
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    """
    step = np.rint((1 - values) * (n_steps - 1)).astype(np.int64)[:, None, :]
    fires: NDArray[np.bool_] = (np.arange(n_steps)[None, :, None] == step) & (values > 0)[:, None, :]
    return fires.astype(np.uint8)


def encode_changes(signals: ArrayLike, step: float) -> NDArray[np.bool_]:
    """Return spikes where signals have risen or fallen by ``step`` since the last spike of their channel.

    A level for each channel begins at the first value. Where the signal is at least ``step`` away from it, there is a spike,
    and the level moves by ``step`` towards the signal; a faster change takes several time steps.

    Args:
        signals: ``(n_samples, n_steps, n_channels)``.
        step: above 0, in the unit of the signals; about a tenth of their range gives some ten spikes a swing.

    Returns:
        bool ``(n_samples, n_steps, 2 * n_channels)``: rises of all channels, then falls of all channels.

    Raises:
        DataError: for another number of axes, a value that is no number, or a step that is not above 0.

    Source: send-on-delta sampling (Miskowicz, Sensors 6, 2006).

    >>> encode_changes([[[0.0], [1.0], [2.0], [2.0], [0.5]]], 1.0)[0].T.tolist()
    [[False, True, True, False, False], [False, False, False, False, True]]
    """
    values = np.asarray(signals, np.float64)
    if values.ndim != 3 or 0 in values.shape:
        raise DataError(f"data: signals have the shape {values.shape}; give samples, steps, channels")
    if not (np.isfinite(values).all() and np.isfinite(step) and step > 0):
        raise DataError(f"data: signals must be numbers, and the step {step} above 0")
    n_channels = values.shape[2]
    spikes = np.zeros((*values.shape[:2], 2 * n_channels), np.bool_)
    level = values[:, 0].copy()
    for t in range(1, values.shape[1]):
        rises, falls = values[:, t] - level >= step, level - values[:, t] >= step
        spikes[:, t, :n_channels], spikes[:, t, n_channels:] = rises, falls
        level += step * rises - step * falls
    return spikes


def current(values: NDArray[np.floating[Any]], n_steps: int) -> NDArray[np.uint8]:
    """Return the spikes of integrate-and-fire neurons, one for each channel, that the values drive as constant currents.

    In each step the voltage of a neuron grows by the value; at 1 it fires and loses 1. After ``t`` steps it has fired
    ``floor(t * value)`` times: small values stay silent longest, whatever ``n_steps`` is. ``direct`` feeds the current
    itself into the network, as payloads.

    Args:
        values: float ``(n_samples, n_channels)`` in 0..1; used with 16 bits.
        n_steps: number of steps, at least 1.

    Returns:
        uint8 ``(n_samples, n_steps, n_channels)`` of 0 and 1.

    >>> current(np.array([[0.5, 1.0, 0.3]]), 4)[0].T.tolist()
    [[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1]]
    """
    step = np.rint(values * 2**16).astype(np.uint32)[:, None, :]
    voltage = np.arange(1, n_steps + 1, dtype=np.uint32)[:, None] * step
    voltage &= 2**16 - 1  # the rest after subtracting 1 is below one step exactly where 1 was subtracted
    fires: NDArray[np.bool_] = voltage < step
    return fires.astype(np.uint8)


def direct(payloads: NDArray[np.uint8], n_steps: int) -> NDArray[np.uint8]:
    """Return whole numbers, the same in every step: direct coding.

    A payload multiplies the weights, so that the first layer gets the value itself as a constant current. The analog input
    of Rueckauer et al. 2017 (Frontiers in Neuroscience 11:682), in whole numbers.

    Args:
        payloads: uint8 ``(n_samples, n_channels)``; 0 is no event.
        n_steps: number of steps, at least 1.

    Returns:
        uint8 ``(n_samples, n_steps, n_channels)``.

    >>> direct(np.array([[128, 255, 0]], np.uint8), 2)[0].T.tolist()
    [[128, 128], [255, 255], [0, 0]]
    """
    return np.repeat(payloads[:, None, :], n_steps, axis=1)


PAYLOAD_BITS, PAYLOAD_MAX = 8, 255
"""Bits and largest value of the payloads of ``direct`` and of counts in frames."""

ENCODINGS: Mapping[str, Callable[[NDArray[Any], int], NDArray[np.uint8]]] = {
    "rate": rate,
    "latency": latency,
    "current": current,
    "direct": direct,
}


Place = NDArray[np.signedinteger[Any]]
"""Where events lie along one axis of a sensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Settings for binning the events of a recording to ``n_steps`` frames.

    ``shape`` is the shape of the sensor, ``(polarities, height, width)`` or ``(n_channels,)``. With a crop the middle
    ``(height, width)`` is kept; then squares of ``pool`` by ``pool`` pixels become one pixel, with smaller ones in the last
    row and column if the size is not a multiple of ``pool``. The recording's first ``duration_us`` microseconds fill the
    frames; later events are left out. With ``counts`` a frame holds the number of events of each channel.
    """

    n_steps: int
    duration_us: int
    shape: tuple[int, ...]
    crop: tuple[int, int] | None = None
    pool: int = 1
    counts: bool = False

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of a frame after cropping and pooling."""
        if len(self.shape) != 3:
            return self.shape
        height, width = self.crop or self.shape[1:]
        return self.shape[0], -(-height // self.pool), -(-width // self.pool)

    def bits(self, time_us: NDArray[np.int64], *place: Place) -> NDArray[np.uint8]:
        """Return the frames of one recording, packed: an event sets the bit ``step * n_channels + channel``.

        Arguments and errors as ``cells``.
        """
        raster = np.zeros(self.n_cells, np.uint8)
        raster[self.cells(time_us, *place)] = 1
        return np.packbits(raster)

    def numbers(self, time_us: NDArray[np.int64], *place: Place) -> NDArray[np.uint8]:
        """Return the number of events of each cell, uint8 ``(n_steps * n_channels,)``.

        Arguments as ``cells``.

        Raises:
            DataError: as ``cells``, and for more than 255 events in a cell.
        """
        found = np.bincount(self.cells(time_us, *place), minlength=self.n_cells)
        if found.size and found.max() > PAYLOAD_MAX:
            step, channel = divmod(int(found.argmax()), self.n_cells // self.n_steps)
            raise DataError(
                f"data: channel {channel} has {found.max()} events in step {step}, a payload of {PAYLOAD_BITS} bits counts "
                f"to {PAYLOAD_MAX}; take more or shorter steps (data.n_steps), or frames = 'spikes'"
            )
        return found.astype(np.uint8)

    @property
    def n_cells(self) -> int:
        """Number of steps times number of channels."""
        return self.n_steps * int(np.prod(self.out_shape))

    def cells(self, time_us: NDArray[np.int64], *place: Place) -> NDArray[np.int64]:
        """Return ``step * n_channels + channel`` of each event that lies in the frames, in the order of the events.

        Args:
            time_us: microseconds from the start of the recording.
            place: one array for each axis of the sensor's shape, in range.

        Raises:
            DataError: if the crop is larger than the sensor.
        """
        inside = (time_us >= 0) & (time_us < self.duration_us)
        if len(self.shape) == 3:
            place, within = self._cropped(place)
            inside &= within
        if not inside.all():
            time_us, place = time_us[inside], tuple(axis[inside] for axis in place)
        cells: NDArray[np.int64] = time_us * self.n_steps // self.duration_us
        for axis, size in zip(place, self.out_shape):
            cells = cells * size + axis
        return cells

    def _cropped(self, place: tuple[Place, ...]) -> tuple[tuple[Place, ...], NDArray[np.bool_]]:
        polarity, y, x = place
        height, width = self.crop or self.shape[1:]
        if height > self.shape[1] or width > self.shape[2]:
            raise DataError(
                f"data: data.crop asks for {height}x{width} pixels, the sensor has {self.shape[1]}x{self.shape[2]}"
            )
        y, x = y - (self.shape[1] - height) // 2, x - (self.shape[2] - width) // 2
        within: NDArray[np.bool_] = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        return (polarity, y // self.pool, x // self.pool), within
