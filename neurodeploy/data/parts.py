"""The train, validation and test parts of a recipe's data set: loading, splitting and encoding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from neurodeploy.data.catalog import Loaded, load_set
from neurodeploy.data.dataset import Dataset, Frames, split, split_official
from neurodeploy.data.encoded_part import Encoded
from neurodeploy.data.files import data_root
from neurodeploy.data.own_parts import load_own
from neurodeploy.errors import DataError
from neurodeploy.network.activity import Samples
from neurodeploy.recipe.data import OWN, DataRecipe

AnyPart = Dataset | Frames


def load_splits(recipe: DataRecipe, root: str | Path | None = None) -> tuple[AnyPart, AnyPart, AnyPart]:
    """Return the train, validation and test parts of a recipe's data set.

    If the set has a test part, it is used; the validation part is drawn from the other samples by ``split_seed``.

    Args:
        recipe: the recipe's ``[data]`` table.
        root: folder with the data sets; takes precedence over the recipe's.

    Raises:
        DataError: if files are missing or damaged, a part would lack a class, or ``label_lag`` is set where samples, not
            steps, have labels.
        MissingPackageError: if the set comes with a package that is not installed.
    """
    if recipe.name == OWN:
        given = root or recipe.root
        loaded: Loaded = load_own(recipe, Path(given).expanduser() if given else None)
    else:
        loaded = load_set(recipe, data_root(root or recipe.root))
    seed, validation_fraction = recipe.split_seed, recipe.validation_fraction
    parts: tuple[AnyPart, AnyPart, AnyPart]
    if isinstance(loaded, tuple):
        parts = split_official(*loaded, validation_fraction=validation_fraction, seed=seed)
    else:
        parts = split(loaded, test_fraction=recipe.test_fraction, validation_fraction=validation_fraction, seed=seed)
    if recipe.label_lag:
        parts = tuple(_late(part, recipe.label_lag) for part in parts)  # type: ignore[assignment]
    train, validation, test = parts
    if recipe.test_samples is not None:
        test = test.take(np.arange(min(recipe.test_samples, len(test.labels))))
    return train, validation, test


def _late(part: AnyPart, lag: int) -> AnyPart:
    """Return the part with the labels of its steps ``lag`` steps later; before that a sample's first label holds."""
    if part.labels.ndim == 1:
        raise DataError(
            f"data: '{part.name}' has one label a sample; data.label_lag, here {lag}, is for labels of steps: leave it out"
        )
    n_steps = part.labels.shape[1]
    return replace(part, labels=part.labels[:, np.maximum(np.arange(n_steps) - lag, 0)])


def encode_lazily(data: AnyPart, recipe: DataRecipe, part: str) -> Encoded:
    """Return a part under a recipe's encoding, with spikes computed on request; ``part`` becomes part of the name."""
    encoding = "frames" if isinstance(data, Frames) else recipe.encoding
    name = f"{data.name}/{part}/{encoding}"
    return Encoded(data=data, encoding=encoding, n_steps=recipe.n_steps, name=name, scale=recipe.scale)


def encode(data: AnyPart, recipe: DataRecipe, part: str) -> Samples:
    """Return all spikes of a part as events; ``part`` becomes part of the name."""
    return encode_lazily(data, recipe, part).samples()
