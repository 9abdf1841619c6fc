"""Recipes: the keys of the files that users write, new recipes, and checks of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from neurodeploy.chip import Chip
from neurodeploy.errors import UsageError
from neurodeploy.files.keys import Key, keys_of
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file, write_text
from neurodeploy.recipe.files import find_recipe, parse_recipe, recipe_names, recipe_text, recipe_values
from neurodeploy.recipe.layers import layer_shapes
from neurodeploy.recipe.pins import Pins
from neurodeploy.recipe.record import Recipe
from neurodeploy.recipe.template import HIDDEN, commented
from neurodeploy.reports.compare import Gate
from neurodeploy.sweeps.plan import Plan

FILES: dict[str, type[BaseModel]] = {"recipe": Recipe, "sweep": Plan, "gate": Gate, "pins": Pins, "chip": Chip}
"""Files that users write, and the records that check them."""
_FIRST = "digits-mlp"
_HIDDEN_NEURONS = 128
_WINDOW = 32
"""Steps that the class of a step looks back over, in a recipe for data with a label a step."""
_FAN_IN = 10
"""Inputs that a hidden neuron has at least on average in a recipe for data of few channels."""


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
    say: Callable[[str], None] | None = None,
) -> Path:
    """Write a commented recipe called ``name``, by default to ``NAME.toml`` in this folder, and return its path.

    Args:
        base: a recipe (name or file) that it starts from; by default the recipe ``name`` that comes with neurodeploy, or
            ``digits-mlp`` where none is called so.
        data: a file or folder of samples of one's own: they become the recipe's data, and give the number of output
            neurons. Where no base is named the network then has one hidden layer, and the more connections the fewer
            channels there are.
        say: called with a line when the file is there: how the data were read, or what the recipe starts from.

    Raises:
        FileError: if the file exists, unless ``force``, or if there are no data.
        DataError: for samples that cannot be read or have no labels.
        RecipeError: for a base that cannot be read, a name with other letters than those of files, or layers that do not fit
            the data.
    """
    path = as_path(out) or Path(f"{name}.toml")
    check_new_file("recipe", path, force=force)
    base = base or (name if name in recipe_names() else None)
    values: dict[str, Any] = {**recipe_values(base or _FIRST, {}), "name": name}
    told = f"{path} starts from the recipe {base or _FIRST}"
    if data is not None:
        values, told = _on_own_data(values, Path(data), str(path), plain=base is None)
    text = commented(values)
    parse_recipe(text, where=str(path))
    write_text(text, path)
    if say is not None:
        say(told)
    return path


def _on_own_data(values: Mapping[str, Any], path: Path, where: str, *, plain: bool) -> tuple[dict[str, Any], str]:
    """Return the tables of a recipe for samples of one's own, which are read as training reads them, and how they were read.

    Args:
        plain: whether layers and density are chosen by the data, too, and not those of ``values``.
    """
    from neurodeploy.data.own_keys import keys_of_own
    from neurodeploy.data.parts import load_splits

    keys, network = keys_of_own(path), dict(values["network"])
    if "duration_s" in keys:
        network["dt"] = round(keys["duration_s"] / keys["n_steps"], 9)
    given = parse_recipe(commented({**values, "data": keys, "network": network}), where)
    parts = load_splits(given.data)
    shape, n_classes = parts[0].shape, parts[0].n_classes
    by_step = parts[0].labels.ndim == 2
    words = _words(keys, sum(len(part.labels) for part in parts), shape, n_classes, by_step=by_step)
    network.pop("window", None)
    if by_step:
        network["window"] = min(_WINDOW, parts[0].labels.shape[1])
    sparse = dict(values.get("sparse", {}))
    if plain:
        network["layers"] = [{"neurons": _HIDDEN_NEURONS}, {"neurons": n_classes}]
        sparse["density"] = min(1.0, max(sparse["density"], round(_FAN_IN / math.prod(shape), 2)))
    else:
        network["layers"] = [*network["layers"][:-1], {**network["layers"][-1], "neurons": n_classes}]
        layer_shapes(given.network.layers, shape)
    return {**values, "data": keys, "network": network, "sparse": sparse}, f"{path}: {words}"


def _words(keys: Mapping[str, Any], n_samples: int, shape: tuple[int, ...], n_classes: int, *, by_step: bool) -> str:
    """Return in words how samples were read."""
    size, classes = "x".join(map(str, shape)), f"{n_classes} classes"
    if keys["encoding"] != "frames":
        return (
            f"{n_samples} samples of {size} values, {classes}; rates over {keys['n_steps']} steps stand for the values"
        )
    cut = f" over {keys['duration_s']:g} s" if "duration_s" in keys else ""
    counts = "; counts drive the network (images? call the array 'values')" if keys.get("frames") == "counts" else ""
    told = ", one in each step" if by_step else ""
    return f"{n_samples} samples of {keys['n_steps']} steps{cut}, {size} channels, {classes}{told}{counts}"


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
