"""How arrays and recordings of users become samples: what the user says (``Reading``), and what the network (``Wanted``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from neurodeploy.data.window import Seen
from neurodeploy.errors import DataError
from neurodeploy.network.activity import Events, Samples
from neurodeploy.network.record import Input, Network

Polarity = Literal["separate", "merged", "on", "off"]
ORDERS = ("NTC", "TNC", "NCT")
"""Orders of the axes of spikes: N samples, T steps, C channels (one axis or more)."""

_MOST_STEPS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How recordings and arrays become samples; what is None is told by the file or the network, or else refused.

    Attributes:
        n_steps: steps of a sample.
        dt_s: length of a step in seconds.
        duration_s: read only the first part of each recording, so long.
        window_s: cut each recording into samples of this length; a last, shorter piece is left out.
        crop, pool: as in ``data.encodings.Frame``.
        polarity: of cameras: ``separate`` channels, ``merged``, or only those that turn ``on`` or ``off``.
        time_unit: of times in arrays: s, ms, us or ns.
        sensor: shape of the sensor, ``(channels,)`` or ``(polarities, height, width)``.
        camera: name of the camera, for AEDAT files that name none.
        axes: one of ``ORDERS``, for spikes in arrays.
        counts: payloads that count the events of a channel in a step, instead of plain spikes.
    """

    n_steps: int | None = None
    dt_s: float | None = None
    duration_s: float | None = None
    window_s: float | None = None
    crop: tuple[int, int] | None = None
    pool: int = 1
    polarity: Polarity = "separate"
    time_unit: str | None = None
    sensor: tuple[int, ...] | None = None
    camera: str | None = None
    axes: str | None = None
    counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The input that samples are for, and the length of its steps in seconds."""

    given: Input
    dt_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Own:
    """Samples, and what was seen in the recordings they come from (None for arrays); ``classes`` are names of folders."""

    samples: Samples
    seen: Seen | None = None
    classes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()


def wanted_by(network: Network | None) -> Wanted | None:
    """Return the input that a network wants events for.

    Raises:
        DataError: for a network of several inputs.
    """
    if network is None:
        return None
    if len(network.inputs) != 1:
        names = ", ".join(f"'{given.name}'" for given in network.inputs)
        raise DataError(
            f"data: the network has the inputs {names}; give Samples with events for each: "
            "Samples(inputs={name: Events.from_dense(raster)})"
        )
    return Wanted(given=network.inputs[0], dt_s=network.dt)


def named_samples(
    events: Events, labels: NDArray[Any] | None, where: str, shape: tuple[int, ...], wanted: Wanted | None
) -> Samples:
    """Return events of one input as samples, under the name of the input that they are for."""
    name = "input" if wanted is None else wanted.given.name
    return Samples(inputs={name: events}, labels=labels, name=where, shapes={name: shape})


def by(sizes: tuple[int, ...] | list[int]) -> str:
    """Return sizes as text, as ``2x34x34``."""
    return "x".join(map(str, sizes))
