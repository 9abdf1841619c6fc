"""Recipes: a ``models/*.toml`` file as checked records, which hold everything that decides a training run.

One module for each table of the file (``data.py``, ``layers.py``, ``sparse.py``, ``budget.py``, ``pins.py``), the whole
recipe in ``record.py``, reading and changing recipes in ``files.py``, layers of published networks in ``architectures.py``,
and the data sets that a recipe can name in ``data_sets.py``.
"""

from neurodeploy.recipe.files import (
    find_recipe,
    load_recipe,
    method_recipe,
    parse_recipe,
    recipe_names,
    recipe_values,
    starting_from,
)
from neurodeploy.recipe.record import Recipe

__all__ = [
    "Recipe",
    "find_recipe",
    "load_recipe",
    "method_recipe",
    "parse_recipe",
    "recipe_names",
    "recipe_values",
    "starting_from",
]
