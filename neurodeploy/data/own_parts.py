"""Files and folders of users as the parts of a training: values to encode, or binary frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.dataset import Dataset, Frames
from neurodeploy.data.encodings import PAYLOAD_BITS, PAYLOAD_MAX
from neurodeploy.data.fields import Values
from neurodeploy.data.own import class_folders, is_table, of_understood, read_own, understand
from neurodeploy.data.reading import Reading
from neurodeploy.errors import DataError
from neurodeploy.network.activity import Samples, is_samples_file, load_samples
from neurodeploy.recipe.data import OWN, DataRecipe

AnyPart = Dataset | Frames


def load_own(recipe: DataRecipe, root: Path | None) -> AnyPart | tuple[Dataset, Dataset] | tuple[Frames, Frames]:
    """Return the samples that ``path`` and ``test_path`` of a recipe name; without a test part those of ``path`` alone.

    Raises:
        DataError: for files that are missing or damaged, samples without labels or with payloads, another number of steps
            than the recipe's, or parts of different shapes.
    """
    assert recipe.path is not None, "a recipe for own data has a path"
    path = _found(recipe.path, root)
    classes = class_folders(path) if path.is_dir() else ()
    train = _part(path, recipe, classes)
    if recipe.test_path is None:
        return train
    test = _part(_found(recipe.test_path, root), recipe, classes)
    if train.shape != test.shape or type(train) is not type(test):
        raise DataError(
            f"data: {recipe.path} has samples of the shape {train.shape}, {recipe.test_path} of {test.shape}"
        )
    n_classes = max(train.n_classes, test.n_classes)
    return replace(train, n_classes=n_classes), replace(test, n_classes=n_classes)  # type: ignore[return-value]


def _found(given: str, root: Path | None) -> Path:
    path = (root or Path()) / Path(given).expanduser()
    if not path.exists():
        raise DataError(
            f"data: there is no file or folder {path}; data.path is read from the working folder, or below data.root"
        )
    return path


def _part(path: Path, recipe: DataRecipe, classes: tuple[str, ...]) -> AnyPart:
    reading = Reading(
        n_steps=recipe.n_steps,
        duration_s=recipe.duration_s,
        crop=recipe.crop,
        pool=recipe.pool,
        time_unit=recipe.time_unit,
        sensor=recipe.sensor,
    )
    if path.suffix == ".npz" and is_samples_file(path):
        return _frames(load_samples(path), path, recipe)
    if not path.is_dir() and is_table(path):
        meant = understand(path, reading)
        if isinstance(meant, Values):
            return _values(meant, path, recipe)
        return _frames(of_understood(meant, str(path), reading, None).samples, path, recipe)
    if recipe.duration_s is None:
        raise DataError(f"data: {path} holds recordings; say how long they are: data.duration_s")
    return _frames(read_own(path, reading, None, classes=classes).samples, path, recipe)


def _n_classes(labels: NDArray[np.int32]) -> int:
    return int(labels.max()) + 1 if labels.size else 0


def _values(meant: Values, path: Path, recipe: DataRecipe) -> Dataset:
    values = meant.values
    if meant.labels is None:
        raise DataError(
            f"data: {path} has no labels, which training needs; np.savez('own.npz', values=values, labels=labels) has both"
        )
    if values.dtype != np.uint8:
        with np.errstate(invalid="ignore"):
            # direct coding checks values against their scale (dataset.payload_scale)
            most = np.inf if recipe.encoding == "direct" and recipe.scale is not None else 1
            if values.size and not ((values >= 0) & (values <= most) & np.isfinite(values)).all():
                raise DataError(
                    f"data: {path}: values lie between 0 and 1, or are grey levels as uint8"
                    f"{'' if most == 1 else ', or have a data.scale and none is negative'}; these reach from "
                    f"{values.min()} to {values.max()}: (v - v.min()) / (v.max() - v.min()) lies between 0 and 1"
                )
        values = values.astype(np.float32)
    n_samples, *shape = values.shape
    if len(shape) == 2:
        shape = [1, *shape]  # an image, as convolutions take them
    return Dataset(
        name=OWN,
        shape=tuple(shape),
        values=values.reshape(n_samples, -1),
        labels=meant.labels,
        n_classes=_n_classes(meant.labels),
    )


def _frames(samples: Samples, path: Path, recipe: DataRecipe) -> Frames:
    if samples.labels is None:
        raise DataError(
            f"data: {path} has no labels, which training needs; add an array 'labels' as np.savez writes them, or make one "
            "folder a class"
        )
    if len(samples.inputs) != 1:
        raise DataError(f"data: {path} has events for {', '.join(samples.inputs)}; training takes one input")
    name, events = next(iter(samples.inputs.items()))
    counts = recipe.frames == "counts"
    payload = np.ones(len(events), np.int32) if events.payload is None else events.payload
    if not counts and (payload != 1).any():
        raise DataError(
            f"data: {path} holds payloads ({payload.min()} to {payload.max()}), training takes plain spikes; "
            "spread them over steps, call them 'values' and let the recipe encode them, or write data.frames = \"counts\""
        )
    if payload.size and (payload.min() < 0 or payload.max() > PAYLOAD_MAX):
        raise DataError(
            f"data: {path} holds payloads from {payload.min()} to {payload.max()}; counts have {PAYLOAD_BITS} bits, "
            f"1..{PAYLOAD_MAX}"
        )
    if events.n_steps != recipe.n_steps:
        raise DataError(
            f"data: {path} has samples of {events.n_steps} steps; write data.n_steps = {events.n_steps} in the recipe"
        )
    n_cells = events.n_steps * events.size
    bits = np.zeros((events.n_samples, n_cells if counts else -(-n_cells // 8)), np.uint8)
    cuts = np.searchsorted(events.sample, np.arange(events.n_samples + 1))
    cell = events.step.astype(np.int64) * events.size + events.neuron
    for i in range(events.n_samples):
        raster = np.zeros(n_cells, np.uint8)
        own = slice(cuts[i], cuts[i + 1])
        raster[cell[own]] = payload[own]
        bits[i] = raster if counts else np.packbits(raster)
    return Frames(
        name=OWN,
        shape=samples.shapes.get(name, (events.size,)),
        n_steps=events.n_steps,
        bits=bits,
        labels=samples.labels,
        n_classes=_n_classes(samples.labels),
        counts=counts,
    )
