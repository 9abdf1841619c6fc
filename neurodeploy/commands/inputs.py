"""Inputs of the commands: networks, and samples from files, run folders and recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurodeploy.commands.samples import AnySamples, as_samples
from neurodeploy.errors import NirError
from neurodeploy.exchange.formats import read_network
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.network import Network
from neurodeploy.network.activity import Samples
from neurodeploy.recipe.record import StartRecipe
from neurodeploy.run_folder import NETWORK_FILE

Progress = Callable[[int, int], None]


def load_network(
    path: str | Path,
    *,
    data: Samples | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
    weight_bits: int = 8,
    max_delay: int | None = None,
) -> Network:
    """Return the network in a ``.nir``, ``.nd5`` or ``.net`` file, or in the ``model.nir`` of a run's folder.

    Args:
        data, reading, dt, weight_bits: for NIR files in floats, as in ``from_nir``; an ``input_shape`` in ``reading`` is for
            ``.net`` files.
        max_delay: longer delays go through relay neurons, as in ``from_nir``.
    """
    path = as_path(path)
    file = path / NETWORK_FILE if path.is_dir() else path
    return read_network(file, data=data, reading=reading, dt=dt, weight_bits=weight_bits, max_delay=max_delay)


def load_start(start: StartRecipe) -> Network:
    """Return the network that a training goes on from; weights of a NIR file in floats are rounded to ``weight_bits``.

    Raises:
        NirError: as ``from_nir``; where the file does not tell the length of a step, the message says how to give it.
    """
    try:
        return load_network(Path(start.file), reading=start.reading, dt=start.dt, weight_bits=start.weight_bits)
    except NirError as error:
        if start.dt is None and "--dt SECONDS" in str(error):
            raise NirError(f"{error}; here: --dt SECONDS, or start.dt and start.reading in the recipe") from error
        raise


def load_data(data: AnySamples, *, n_samples: int | None = None, network: Network | None = None) -> Samples:
    """Return samples from a file, a folder, a run's folder (its test part), a recipe (its test part), arrays, or a data set.

    Args:
        data: as ``as_samples`` takes it.
        n_samples: only so many, from the first on.
        network: the network that they are for.

    Raises:
        DataError: where ``data`` is none of these, does not fit, or holds fewer samples than asked for.
    """
    return as_samples(data, n_samples=n_samples, network=network)


def silent(*_: Any) -> None:
    """Say and show nothing."""
