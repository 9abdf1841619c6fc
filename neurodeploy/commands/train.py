"""A recipe to a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import load_start
from neurodeploy.errors import check_type, needing
from neurodeploy.exchange.nir.readings import AnyReading, as_reading
from neurodeploy.files.paths import as_path
from neurodeploy.files.shown import TrainingFacts
from neurodeploy.files.writing import check_new_folder
from neurodeploy.recipe.files import parse_recipe, recipe_text, starting_from
from neurodeploy.recipe.record import Recipe


def training_recipe(
    recipe: str | Path,
    *,
    start: str | Path | None = None,
    weight_bits: int | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
) -> tuple[str, Recipe]:
    """Return the text and the records of a recipe, with a network to start from put in where one is given.

    Raises:
        RecipeError: for a bad recipe, or one that names a network to start from itself.
        UsageError: for ``weight_bits``, ``reading`` or ``dt`` without ``start``.
    """
    start = as_path(start)
    said = None if reading is None else str(as_reading(reading))
    text = recipe_text(recipe)
    text = starting_from(text, start, weight_bits=weight_bits, reading=said, dt=dt, where=str(recipe))
    return text, parse_recipe(text, where=str(recipe))


def train(
    recipe: str | Path,
    *,
    start: str | Path | None = None,
    weight_bits: int | None = None,
    reading: AnyReading = None,
    dt: float | None = None,
    out: str | Path | None = None,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    backend: str | None = None,
    data_root: str | Path | None = None,
    on_epoch: Callable[[Any], None] | None = None,
) -> TrainingFacts:
    """Train a recipe (a file or the name of a shipped one) into the folder ``out``, by default ``runs/<its name>``.

    Args:
        start: a network to go on from: a NIR file or a run's folder; as the recipe's ``[start]`` table.
        weight_bits: bits of its weights from the first step on, 3 to 8.
        reading: what the framework that wrote the network to start from means by it (``from_nir``).
        dt: length of a step in seconds, for files that do not tell.
        force: replace the results of an earlier run there.
        resume: go on with the run there; it ends with the same weights as an unbroken one.
        tensorboard: write curves for TensorBoard as well.
        backend: ``native`` or ``slayer`` instead of the recipe's ``training.backend``, or of the run to resume.
        data_root: folder with the data sets, in place of the recipe's.
        on_epoch: called with the metrics of each epoch.

    Returns:
        What ``neurodeploy.training.loop.TrainingResult`` holds, as plain values.
    """
    check_type("train", "recipe", recipe, (str, Path), "give the name or the file of a recipe")
    check_type("train", "start", start, (str, Path, type(None)), "give the file of a network: to_nir(network, path)")
    start, out = as_path(start), as_path(out)
    text, checked = training_recipe(recipe, start=start, weight_bits=weight_bits, reading=reading, dt=dt)
    folder = out or Path("runs") / checked.name
    check_new_folder("train", folder)
    if data_root is not None:  # not in the text: a run is the same wherever the data lie
        checked = checked.model_copy(update={"data": checked.data.model_copy(update={"root": str(data_root)})})
    network = load_start(checked.start) if checked.start else None
    with needing("train", "train"):
        from neurodeploy.training import loop  # the recipe is checked before torch is needed

    result = loop.train(
        checked,
        folder,
        recipe_text=text,
        start=network,
        force=force,
        resume=resume,
        tensorboard=tensorboard,
        backend=backend,
        on_epoch=on_epoch,
    )
    values = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(result).items()}
    return TrainingFacts(values)
