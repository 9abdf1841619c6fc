"""The plan of a sweep: ``sweep.toml`` as checked records, and the points of its grid in a fixed order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from neurodeploy.chip import load_chip
from neurodeploy.errors import ChipError, RecipeError, SweepError
from neurodeploy.files.checked import Record, all_problems
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.files.toml import TomlError, parse_toml, to_toml
from neurodeploy.files.unreadable import reason
from neurodeploy.mapping import PLACEMENTS
from neurodeploy.mapping.mapper import SPLITS
from neurodeploy.recipe.files import method_recipe, parse_recipe, recipe_values
from neurodeploy.recipe.sparse import METHODS, takes_density

MOST_POINTS = 10_000
"""Points of a sweep."""


class Grid(Record):
    """The values of each axis; every combination is a point. An axis that is left out has one value."""

    method: Annotated[tuple[str | dict[str, Any], ...], Field(min_length=1)]
    """Names of rewiring methods, or tables of a method and its settings: `{ method = "pq", gamma = 3.0 }`."""
    density: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (0.1,)
    """Densities of all weights at the end of training; methods without a density are trained once."""
    seed: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    """Seeds of weights, masks, rewiring and the order of samples."""
    weight_bits: Annotated[tuple[Annotated[int, Field(ge=1, le=8)], ...], Field(min_length=1)] = (8,)
    """Bits of a stored weight; weights are rounded to this width after training."""
    chip: Annotated[tuple[str, ...], Field(min_length=1)] = ("loihi2",)
    """Names of chips, or chip files."""
    split: Annotated[tuple[str, ...], Field(min_length=1)] = ("overlap",)
    """Ways to cut layers into parts, as `map --split`."""
    placement: Annotated[tuple[str, ...], Field(min_length=1)] = ("traffic",)
    """Ways to give parts to cores: `traffic` or `order`."""

    @field_validator("method")
    @classmethod
    def _known_method(cls, methods: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        for one in methods:
            name = one if isinstance(one, str) else one.get("method")
            if name not in METHODS:
                raise ValueError(f"unknown method {name!r}; known: {', '.join(METHODS)}")
        return methods

    @field_validator("split", "placement")
    @classmethod
    def _known_name(cls, names: tuple[str, ...], info: Any) -> tuple[str, ...]:
        known = SPLITS if info.field_name == "split" else PLACEMENTS
        for name in names:
            if name not in known:
                raise ValueError(f"unknown {info.field_name} '{name}'; known: {', '.join(known)}")
        return names


class Plan(Record):
    """A sweep: base recipe, grid, and changes to the recipe for all points."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the sweep and of its folder."""
    recipe: str
    """Name of a recipe, or a path relative to the sweep file."""
    samples: Annotated[int, Field(ge=1)] | None = None
    """Number of test samples to run; by default all."""
    grid: Grid
    """The axes."""
    changes: dict[str, dict[str, Any]] = Field(default={})
    """Changes to the recipe for all points: table, key, value."""


class Point(Record):
    """A point of the grid: its settings, the chip's name or file, and the recipe that trains it (TOML text)."""

    method: str
    density: float | None
    seed: int
    weight_bits: int
    chip: str
    split: str
    placement: str
    chip_file: str
    recipe_text: str

    def settings(self) -> dict[str, Any]:
        """Return the settings with the keys and values of the sweep file."""
        return self.model_dump(exclude={"recipe_text", "chip_file"})


def load_plan(path: str | Path) -> tuple[Plan, tuple[Point, ...]]:
    """Return the plan in a TOML file and its points; every recipe and chip is checked.

    Raises:
        SweepError: for bad TOML, an unknown key (lists the known ones), an empty axis or a value out of range.
    """
    path = as_path(path)
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SweepError(f"sweep: {path} cannot be read: {reason(error)}") from error
    return parse_plan(text, where=str(path), folder=path.parent)


def parse_plan(text: str, *, where: str, folder: Path = Path()) -> tuple[Plan, tuple[Point, ...]]:
    """Return the plan in a TOML text and its points; ``where`` names it in errors, ``folder`` holds its files."""
    try:
        plan = Plan.model_validate(parse_toml(text))
    except TomlError as error:
        raise SweepError(f"sweep: {where} is not valid TOML: {error}") from error
    except ValidationError as error:
        problem = all_problems(error, Plan, key_name="key '{}'".format)
        raise SweepError(f"sweep: {where}: {problem}") from error
    _check_size(plan, where)
    try:
        for name in plan.grid.chip:
            load_chip(_beside(name, folder))
        return plan, tuple(_points(plan, folder))
    except ChipError as error:
        raise SweepError(f"sweep: {where}: key 'grid.chip': {error}") from error
    except RecipeError as error:
        raise SweepError(f"sweep: {where}: {error}") from error


def _check_size(plan: Plan, where: str) -> None:
    axes = plan.grid.model_dump()
    n_points = math.prod(map(len, axes.values()))
    if n_points > MOST_POINTS:
        sizes = ", ".join(f"{len(values)} of {name}" for name, values in axes.items() if len(values) > 1)
        raise SweepError(
            f"sweep: {where}: {n_points:,} points ({sizes}), at most {MOST_POINTS:,}; cut it into several sweeps"
        )


def _points(plan: Plan, folder: Path) -> Iterator[Point]:
    grid = plan.grid
    base = recipe_values(_beside(plan.recipe, folder), plan.changes)
    axes = (grid.seed, grid.weight_bits, grid.chip, grid.split, grid.placement)
    for one in grid.method:
        wanted = {"method": one} if isinstance(one, str) else one
        densities = grid.density if takes_density(wanted["method"]) else (None,)
        for density, seed, bits, chip, split, placement in itertools.product(densities, *axes):
            text = to_toml(method_recipe(base, wanted, density, seed))
            parse_recipe(text, where=f"recipe of {label(wanted)} at density {density}")
            yield Point(
                method=label(wanted),
                density=density,
                seed=seed,
                weight_bits=bits,
                chip=chip,
                split=split,
                placement=placement,
                chip_file=_beside(chip, folder),
                recipe_text=text,
            )


def label(wanted: Mapping[str, Any]) -> str:
    """Return a method with its settings as a short text.

    >>> label({"method": "pq", "gamma": 3.0})
    'pq gamma=3.0'
    """
    settings = [f"{key}={value}" for key, value in wanted.items() if key != "method"]
    return " ".join([str(wanted["method"]), *settings])


def _beside(name: str, folder: Path) -> str:
    """Return the path of a file relative to the sweep file if it exists there, else the name as it is."""
    beside = folder / name
    return str(beside) if beside.is_file() else name
