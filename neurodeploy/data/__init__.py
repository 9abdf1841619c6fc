"""Data sets to spike tensors and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from neurodeploy.activity import Events, Samples
from neurodeploy.data.dataset import Dataset, split
from neurodeploy.data.digits import load_digits
from neurodeploy.data.encode import ENCODINGS
from neurodeploy.recipe import DataRecipe

DATASETS: Mapping[str, Callable[[], Dataset]] = {"digits": load_digits}

INPUT_NAME = "input"
"""Name of the input of every network that neurodeploy trains."""


def load_splits(recipe: DataRecipe) -> tuple[Dataset, Dataset, Dataset]:
    """Return the train, validation and test parts that a recipe names."""
    return split(
        DATASETS[recipe.name](),
        test_fraction=recipe.test_fraction,
        validation_fraction=recipe.validation_fraction,
        seed=recipe.split_seed,
    )


def encode(data: Dataset, recipe: DataRecipe, part: str) -> Samples:
    """Return the spikes of a data set under a recipe's encoding; ``part`` goes into the name."""
    raster = ENCODINGS[recipe.encoding](data.values, recipe.n_steps)
    return Samples(
        inputs={INPUT_NAME: Events.from_dense(raster)},
        labels=data.labels,
        name=f"{data.name}/{part}/{recipe.encoding}",
        shapes={INPUT_NAME: data.shape},
    )
