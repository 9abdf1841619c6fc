"""Recipe files: search by path or name, reading with checks, and changes to a recipe as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from neurodeploy.errors import RecipeError, UsageError
from neurodeploy.files.checked import all_problems
from neurodeploy.files.plain import read_text
from neurodeploy.files.shipped import resource_dir
from neurodeploy.files.toml import TomlError, parse_toml
from neurodeploy.files.unreadable import UNREADABLE, reason
from neurodeploy.recipe.record import Recipe
from neurodeploy.recipe.sparse import METHODS

START_DENSITY = 0.5
"""Starting density for methods whose density falls during training (pq, granet)."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that are shipped with neurodeploy."""
    return sorted(path.stem for path in resource_dir("models").glob("*.toml"))


def find_recipe(name_or_path: str | Path) -> Path:
    """Return the path of a recipe file, or of the shipped recipe of that name.

    Raises:
        RecipeError: if there is neither; lists the shipped recipes.
    """
    path = Path(name_or_path)
    shipped = resource_dir("models") / f"{name_or_path}.toml"
    if path.is_file():
        return path
    if shipped.is_file():
        return shipped
    known = ", ".join(recipe_names())
    raise RecipeError(f"recipe: there is no file {name_or_path}; recipes that come with neurodeploy: {known}")


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Return a recipe read from a TOML file or from the shipped recipe of that name.

    Raises:
        RecipeError: for a missing file, bad TOML, an unknown key (lists the known ones) or a value out of range.
    """
    return parse_recipe(recipe_text(name_or_path), where=str(name_or_path))


def recipe_text(name_or_path: str | Path) -> str:
    """Return the text of a recipe file, or of the shipped recipe of that name; one without a ``name`` has its file's.

    Raises:
        RecipeError: for a missing file, or one that is no text.
    """
    path = find_recipe(name_or_path)
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe: {path} cannot be read: {reason(error)}") from error
    try:
        named = "name" in parse_toml(text)
    except TomlError:
        return text  # where it is wrong is said when it is parsed
    return text if named else f"name = {json.dumps(path.stem)}\n{text}"


def starting_from(
    text: str,
    file: Path | None,
    *,
    weight_bits: int | None = None,
    reading: str | None = None,
    dt: float | None = None,
    where: str,
) -> str:
    """Return a recipe's text with a ``start`` table for ``file`` added as its first line; unchanged if ``file`` is None.

    Raises:
        UsageError: if ``weight_bits``, ``reading`` or ``dt`` is given without a file.
        RecipeError: if the recipe has a ``start`` table already, or is not TOML.
    """
    if file is None:
        if weight_bits is not None or reading is not None or dt is not None:
            raise UsageError(
                "train: --weight-bits and --dt say how the network of --from is read, as does --reading; name that, too"
            )
        return text
    if "start" in _toml(text, where):
        raise RecipeError(
            f"recipe: {where} names a network to start from itself; leave --from out, or take out 'start'"
        )
    table = {"file": str(file), "weight_bits": weight_bits, "reading": reading, "dt": dt}
    # JSON strings and numbers are valid TOML
    line = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None)
    return f"start = {{ {line} }}\n{text}"


def recipe_values(name_or_path: str | Path, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tables of a recipe as plain values, with the keys of ``changes`` replaced, table by table."""
    values = _toml(recipe_text(name_or_path), str(name_or_path))
    for table in (*changes, "sparse"):
        if not isinstance(values.get(table, {}), dict):
            raise RecipeError(f"recipe: {name_or_path}: {table} = {values[table]!r} is no table of keys")
    return {**values, **{table: {**values.get(table, {}), **own} for table, own in changes.items()}}


def method_recipe(
    values: Mapping[str, Any], wanted: Mapping[str, Any], density: float | None, seed: int
) -> dict[str, Any]:
    """Return the recipe ``values`` with another rewiring method, density and seed, as plain values.

    Settings of ``values`` stay if the new method has them, except growth and ratio, which choose a rule. Methods whose
    density falls (``pq``, ``granet``) begin at ``START_DENSITY``, or at ``density`` if that is higher, and end at
    ``density``. A table ``distillation`` is kept only for ``rkd``.

    Args:
        values: tables of a recipe.
        wanted: ``method`` and its settings.
        density: density of all weights at the end, None for methods without a density.
        seed: seed of weights, masks, rewiring and sample order.
    """
    settings = METHODS[wanted["method"]].settings
    kept = {key: value for key, value in values.get("sparse", {}).items() if key in settings - {"growth", "ratio"}}
    sparse = {**kept, **wanted}
    if density is not None:
        falls = "floor" in settings
        sparse["density"] = max(START_DENSITY, density) if falls else density
        sparse.update({"floor": density} if falls else {})
    others = {key: value for key, value in values.items() if key != "distillation" or wanted["method"] == "rkd"}
    return {**others, "seed": seed, "sparse": sparse}


def parse_recipe(text: str, where: str) -> Recipe:
    """Return the recipe in a TOML text; ``where`` names the origin of the text in errors."""
    try:
        return Recipe.model_validate(_toml(text, where))
    except ValidationError as error:
        raise RecipeError(f"recipe: {where}: {all_problems(error, Recipe)}") from error
    except UNREADABLE as error:
        raise RecipeError(
            f"recipe: {where} holds a value of another kind than its key takes ({reason(error)})"
        ) from error


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except TomlError as error:
        raise RecipeError(f"recipe: {where} is not valid TOML: {error}") from error
