"""Recipes: the keys of the files that users write, new recipes, and checks of them."""

from __future__ import annotations

from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from neurodeploy.chip import Chip
from neurodeploy.commands.samples import as_samples
from neurodeploy.errors import UsageError
from neurodeploy.files.keys import Key, keys_of
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file, write_text
from neurodeploy.recipe.files import find_recipe, parse_recipe, recipe_text, recipe_values
from neurodeploy.recipe.pins import Pins
from neurodeploy.recipe.record import Recipe
from neurodeploy.recipe.template import HIDDEN, commented
from neurodeploy.reports.compare import Gate
from neurodeploy.sweeps.plan import Plan

FILES: dict[str, type[BaseModel]] = {"recipe": Recipe, "sweep": Plan, "gate": Gate, "pins": Pins, "chip": Chip}
"""Files that users write, and the records that check them."""
_FIRST = "digits-mlp"
_HIDDEN_NEURONS = 128


def file_keys(key: str | None = None, *, of: str = "recipe") -> tuple[Key, ...]:
    """Return the keys of a kind of file: all of them, or ``key`` and what is below it.

    Raises:
        UsageError: for an unknown kind of file or key; names the nearest keys.
    """
    if of not in FILES:
        raise UsageError(f"recipe: there are no keys of '{of}'; there are those of: {', '.join(FILES)}")
    keys = keys_of(FILES[of], hidden=HIDDEN | {"sha256"})
    if key is None:
        return keys
    found = tuple(
        k for k in keys if key in (k.name, k.name.rpartition(".")[2]) or k.name.startswith((f"{key}.", f"{key}["))
    )
    if not found:
        near = get_close_matches(key, [name for k in keys for name in (k.name, k.name.rpartition(".")[2])], n=3)
        hint = f"; near are: {', '.join(dict.fromkeys(near))}" if near else f"; see neurodeploy recipe keys --of {of}"
        raise UsageError(f"recipe: a {of} file has no key '{key}'{hint}")
    return found


def new_recipe(
    name: str,
    *,
    base: str | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Path:
    """Write a commented recipe called ``name``, by default to ``NAME.toml`` in this folder, and return its path.

    Args:
        base: a recipe (name or file) that it starts from.
        data: a file or folder of samples of one's own: they become the recipe's data, and give the number of steps and of
            output neurons. Without ``base`` the network then has one hidden layer.

    Raises:
        FileError: if the file exists, unless ``force``.
        DataError: for samples that cannot be read or have no labels.
        RecipeError: for a base that cannot be read, or a name with other letters than those of files.
    """
    path = as_path(out) or Path(f"{name}.toml")
    check_new_file("recipe", path, force=force)
    values: dict[str, Any] = {**recipe_values(base or _FIRST, {}), "name": name}
    if data is not None:
        own, neurons = _own_data(Path(data))
        network = values["network"]
        layers = [{"neurons": _HIDDEN_NEURONS}, {"neurons": neurons}] if base is None else network["layers"]
        values |= {"data": own, "network": {**network, "layers": layers}}
    text = commented(values)
    parse_recipe(text, where=str(path))
    write_text(text, path)
    return path


def _own_data(path: Path) -> tuple[dict[str, Any], int]:
    """Return the table ``[data]`` for samples of one's own, and the number of their classes."""
    samples = as_samples(path)
    if samples.labels is None:
        raise UsageError(f"recipe: {path} has no labels, and training needs one for each sample (docs/data.md)")
    return {"path": str(path), "n_steps": samples.n_steps, "encoding": "frames"}, int(np.max(samples.labels)) + 1


def check_recipe(recipe: str | Path) -> dict[str, Any]:
    """Return what a recipe trains: name, method, density, layers and their weights; every key is checked.

    Raises:
        RecipeError: with all wrong keys and values in one message.
    """
    checked = parse_recipe(recipe_text(recipe), where=str(find_recipe(recipe)))
    return {
        "ok": True,
        "name": checked.name,
        "data": checked.data.path or checked.data.name,
        "layers": [layer.model_dump(exclude_defaults=True) | {"kind": layer.kind} for layer in checked.network.layers],
        "method": checked.sparse.method,
        "density": checked.sparse.density,
        "epochs": checked.training.epochs,
    }


def key_rows(keys: tuple[Key, ...]) -> list[dict[str, str]]:
    """Return keys as plain values."""
    return [asdict(key) for key in keys]
