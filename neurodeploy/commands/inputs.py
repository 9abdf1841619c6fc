"""Inputs of the commands: networks, and samples from files, run folders and recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurodeploy.errors import DataError, NirError
from neurodeploy.exchange.formats import read_network
from neurodeploy.files.paths import as_path
from neurodeploy.network import Network
from neurodeploy.network.activity import Samples, load_samples
from neurodeploy.recipe.files import load_recipe
from neurodeploy.recipe.record import StartRecipe
from neurodeploy.run_folder import NETWORK_FILE, TEST_FILE

Progress = Callable[[int, int], None]


def load_network(
    path: str | Path, *, data: Samples | None = None, dt: float | None = None, weight_bits: int = 8
) -> Network:
    """Return the network in a NIR file, in the ``model.nir`` of a run's folder, or in a ``.net`` file of lava-dl.

    Args:
        data, dt, weight_bits: for NIR files in floats, as in ``from_nir``.
    """
    path = as_path(path)
    return read_network(path / NETWORK_FILE if path.is_dir() else path, data=data, dt=dt, weight_bits=weight_bits)


def load_start(start: StartRecipe) -> Network:
    """Return the network that a training goes on from; weights of a NIR file in floats are rounded to ``weight_bits``.

    Raises:
        NirError: as ``from_nir``; where the file does not tell the length of a step, the message says how to give it.
    """
    try:
        return load_network(Path(start.file), dt=start.dt, weight_bits=start.weight_bits)
    except NirError as error:
        if start.dt is None and "pass dt=" in str(error):
            raise NirError(f"{error}; here: --dt SECONDS, or start.dt in the recipe") from error
        raise


def load_data(data: str | Path, *, n_samples: int | None = None) -> Samples:
    """Return samples from an ``.npz`` file, a run's folder (its test part), or a recipe (its test part, encoded anew).

    Args:
        n_samples: only so many, from the first on.

    Raises:
        DataError: where ``data`` is none of these, or holds fewer samples than asked for.
    """
    path = Path(data)
    if path.is_dir():
        samples = load_samples(path / TEST_FILE)
    elif path.suffix == ".npz":
        samples = load_samples(path)
    elif path.suffix == ".toml" or not path.exists():
        samples = _recipe_samples(data)
    else:
        raise DataError(f"data: {data} is neither an .npz file of samples, a run's folder nor a recipe")
    if n_samples is None:
        return samples
    if not 1 <= n_samples <= samples.n_samples:
        raise DataError(f"data: asked for {n_samples} samples, {data} has {samples.n_samples}")
    return samples.take(0, n_samples)


def _recipe_samples(recipe: str | Path) -> Samples:
    from neurodeploy.data.parts import encode, load_splits

    checked = load_recipe(recipe).data
    return encode(load_splits(checked)[2], checked, "test")


def silent(*_: Any) -> None:
    """Say and show nothing."""
