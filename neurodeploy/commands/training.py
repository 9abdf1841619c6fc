"""Commands that train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import load_start
from neurodeploy.errors import FileError
from neurodeploy.recipe.files import find_recipe, parse_recipe, starting_from
from neurodeploy.recipe.record import Recipe


def training_recipe(
    recipe: str | Path, *, start: Path | None = None, weight_bits: int | None = None, dt: float | None = None
) -> tuple[str, Recipe]:
    """Return the text and the records of a recipe, with a network to start from put in where one is given.

    Raises:
        RecipeError: for a bad recipe, or one that names a network to start from itself.
        UsageError: for ``weight_bits`` or ``dt`` without ``start``.
    """
    text = find_recipe(recipe).read_text(encoding="utf-8")
    text = starting_from(text, start, weight_bits=weight_bits, dt=dt, where=str(recipe))
    return text, parse_recipe(text, where=str(recipe))


def train(
    recipe: str | Path,
    *,
    start: Path | None = None,
    weight_bits: int | None = None,
    dt: float | None = None,
    out: Path | None = None,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    on_epoch: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Train a recipe (a file or the name of a shipped one) into the folder ``out``, by default ``runs/<its name>``.

    Args:
        start: a network to go on from: a NIR file or a run's folder; as the recipe's ``[start]`` table.
        weight_bits: bits of its weights from the first step on, 3 to 8.
        dt: length of a step in seconds, for files that do not tell.
        force: replace the results of an earlier run there.
        resume: go on with the run there; it ends with the same weights as an unbroken one.
        tensorboard: write curves for TensorBoard as well.
        on_epoch: called with the metrics of each epoch.

    Returns:
        What ``neurodeploy.training.loop.TrainingResult`` holds, as plain values.
    """
    text, checked = training_recipe(recipe, start=start, weight_bits=weight_bits, dt=dt)
    network = load_start(checked.start) if checked.start else None
    loop = import_module("neurodeploy.training.loop")
    result = loop.train(
        checked,
        out or Path("runs") / checked.name,
        recipe_text=text,
        start=network,
        force=force,
        resume=resume,
        tensorboard=tensorboard,
        on_epoch=on_epoch,
    )
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(result).items()}


def bench_methods(
    folder: Path = Path("runs/methods"),
    *,
    methods: Sequence[str] = (),
    densities: Sequence[float] = (0.1, 0.015),
    seeds: Sequence[int] = (0, 1, 2, 3),
    recipe: str | Path = "digits-bench",
    data_root: Path | None = None,
    jobs: int = 1,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Train rewiring methods on a recipe and return one row each; finished rows in ``folder`` are not trained again.

    Args:
        folder: rows and runs are kept here, one folder each (``neurodeploy.bench.methods.run``).
        methods: names of rows, by default all.
        densities: of all weights; methods that start dense and lose connections by their own rule have no use for them.
        seeds: one row each.
        recipe: a file, or the name of a shipped recipe: the data, the network and the optimiser of all rows.
        data_root: folder with the data sets.
        jobs: rows trained at the same time.
        on_row: called with each row as soon as it is there.

    Returns:
        The rows, without the answers to single samples (``correct``), which stand in the files.
    """
    bench = import_module("neurodeploy.bench.methods.run")
    chosen = {"methods": tuple(methods)} if methods else {}
    rows = bench.bench_methods(
        folder,
        densities=densities,
        seeds=seeds,
        recipe=recipe,
        data_root=data_root,
        jobs=jobs,
        on_row=on_row,
        **chosen,
    )
    return [{key: value for key, value in row.items() if key != "correct"} for row in rows]


def methods_table(folder: Path, path: Path) -> dict[str, Any]:
    """Write the page with the results of all rows in ``folder``, of whatever recipes, and its pictures; train nothing.

    Returns:
        ``page`` and ``rows`` (their number), and ``verdicts``: claim, recipe, what was measured, seeds, and whether each bar
        is met (None: no rows yet).

    Raises:
        FileError: where ``folder`` holds no rows, a row is damaged, or the folder of ``path`` does not exist.
    """
    collected = import_module("neurodeploy.bench.methods.claims")
    rows, metrics = collected.collect(folder)
    if not path.parent.is_dir():
        raise FileError(f"bench: {path.parent} is no folder; make it, or give --table another place")
    import_module("neurodeploy.bench.methods.page").write_page(rows, metrics, path)
    verdicts = [
        {"claim": v.bar.claim, "recipe": v.bar.recipe, "measured": v.measured, "seeds": v.seeds, "met": v.met}
        for v in collected.judge(rows)
    ]
    return {"page": str(path), "rows": len(rows), "verdicts": verdicts}
