"""Arrays of spikes or payloads as samples, whatever the order of their axes, as far as it can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.fields import Dense, of_samples
from neurodeploy.data.reading import ORDERS, Wanted, by, named_samples
from neurodeploy.data.window import tell
from neurodeploy.errors import DataError
from neurodeploy.network.activity import Events, Samples


def of_dense(meant: Dense, where: str, wanted: Wanted | None) -> Samples:
    """Return samples of spikes or payloads in an array.

    Raises:
        DataError: for an array of no size, where the order of the axes stays open, and where the channels are not those of
            the input.
    """
    if 0 in meant.spikes.shape:
        raise DataError(
            f"data: {where}: spikes have the shape {meant.spikes.shape}, so that there is none; give samples"
        )
    array = _in_order(meant, where, wanted)
    n_samples, n_steps, *shape = array.shape
    if meant.shape is not None:
        if np.prod(meant.shape) != np.prod(shape):
            raise DataError(
                f"data: {where}: 'shape' {meant.shape} has not the {int(np.prod(shape))} channels of the spikes"
            )
        shape = list(meant.shape)
    graded = wanted is not None and wanted.given.graded
    if array.dtype.kind != "b" and array.size and not graded:
        graded = bool(array.min() < 0 or array.max() > 1)
    if array.dtype.kind == "b" and graded:
        array = array.astype(np.int8)
    flat, labels = array.reshape(n_samples, n_steps, -1), of_samples(meant.labels, n_samples)
    return named_samples(Events.from_dense(flat, graded=graded), labels, where, tuple(shape), wanted)


def _in_order(meant: Dense, where: str, wanted: Wanted | None) -> NDArray[Any]:
    """Return the array with samples first, then steps, then channels."""
    array, size = meant.spikes, None if wanted is None else wanted.given.size
    if meant.axes is not None:
        if meant.axes not in ORDERS:
            raise DataError(f"data: {where}: the order of the axes is '{meant.axes}'; known: {', '.join(ORDERS)}")
        if array.ndim < 3:
            raise DataError(f"data: {where}: spikes have the shape {array.shape}, {meant.axes} needs 3 axes or more")
        orders = [meant.axes]
    else:
        if array.ndim < 3:
            raise DataError(
                f"data: {where}: spikes have the shape {array.shape}, but need three axes: samples, steps, channels. One "
                "sample: spikes[None]; values without steps are encoded by a recipe (array 'values', data.path)"
            )
        orders = list(ORDERS)
    labelled = None if meant.labels is None else meant.labels.shape
    fits = [order for order in orders if _fits(_ordered(array, order).shape, labelled, size)]
    if meant.axes is None and size is None:
        fits = [order for order in fits if order != "NCT"] if "NTC" not in fits else ["NTC"]
    if "NTC" in fits and "NCT" in fits and array.shape[1] == array.shape[-1]:
        raise DataError(
            f"data: {where}: spikes have the shape {array.shape}; which axis is that of the {size} channels? Say it: "
            "axes='NTC' (samples, steps, channels) or axes='NCT' (samples, channels, steps), or --axes"
        )
    if not fits:
        raise DataError(f"data: {where}: {_why_none_fits(array, orders, labelled, wanted)}")
    order = fits[0]
    if order != (meant.axes or "NTC"):
        n, t, *c = _ordered(array, order).shape
        tell(
            f"{where}: spikes of the shape {array.shape} are read as {n} samples of {t} steps, {by(c)} channels ({order})"
        )
    return _ordered(array, order)


def _ordered(array: NDArray[Any], order: str) -> NDArray[Any]:
    if order == "TNC":
        return np.moveaxis(array, 0, 1)
    return np.moveaxis(array, -1, 1) if order == "NCT" else array


def _fits(shape: tuple[int, ...], labelled: tuple[int, ...] | None, size: int | None) -> bool:
    """Return whether labels of the shape ``labelled``, one a sample or one a step, and the input's size fit spikes."""
    return labelled in (None, shape[:1], shape[:2], (1, shape[0])) and size in (None, int(np.prod(shape[2:])))


def _why_none_fits(
    array: NDArray[Any], orders: list[str], labelled: tuple[int, ...] | None, wanted: Wanted | None
) -> str:
    n, t, *c = _ordered(array, orders[0]).shape
    read = f"spikes of the shape {array.shape} are {n} samples of {t} steps and {by(c)} channels"
    lacks = []
    if labelled not in (None, (n,), (n, t), (1, n)):
        assert labelled is not None, "None is among them"
        by_step = f"labels for {labelled[0]} samples of {labelled[1]} steps" if len(labelled) == 2 else ""
        lacks.append(f"there are {by_step or f'{labelled[0]} labels'}")
    if wanted is not None and int(np.prod(c)) != wanted.given.size:
        lacks.append(f"the input '{wanted.given.name}' has {wanted.given.size} channels {wanted.given.shape}")
    return (
        f"{read}, but {' and '.join(lacks)}. The order is samples, steps, channels; for another say axes='TNC' (steps "
        "first) or axes='NCT' (steps last), or --axes"
    )
