"""Training of the rows of the methods bench: the same network and data for every method, density and seed.

A row is kept in ``FOLDER/RECIPE-METHOD-DENSITY-SEED-HASH``: the files of its training run (``training.loop``) and
``row.json``. Rows of ``models/rows/`` (the same name, ``.json``) are taken as they are, so that a begun table goes on
anywhere. HASH is a hash of the recipe's text, so that a changed recipe makes new rows and never mixes with old ones. A
bench that was stopped is resumed where it was, also in the middle of a row; a row is trained only once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from pathlib import Path
from typing import Any

from neurodeploy.bench.methods.claims import ROWS_FOLDER
from neurodeploy.bench.methods.row import Row, Task, run_task
from neurodeploy.bench.methods.variants import VARIANTS, variant_recipe
from neurodeploy.errors import TrainingError, TrainingInterruptedError
from neurodeploy.files.shipped import resource_dir
from neurodeploy.files.toml import to_toml
from neurodeploy.plugins import load_plugins
from neurodeploy.processes import worker_pool
from neurodeploy.recipe.files import parse_recipe, recipe_values
from neurodeploy.recipe.sparse import takes_density


def bench_methods(
    folder: Path,
    *,
    methods: Sequence[str] = tuple(VARIANTS),
    densities: Sequence[float] = (0.1, 0.015),
    seeds: Sequence[int] = (0, 1, 2, 3),
    recipe: str | Path = "digits-bench",
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    data_root: Path | None = None,
    jobs: int = 1,
    on_row: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Train every method at every density with every seed and return a row for each (``row.run_task``).

    All rows of the first seed come first, so that a bench which is stopped early still compares all methods. ``dense`` and
    ``sdsnn`` take no density: they have one row for each seed, whose ``density`` is None.

    Args:
        folder: folder of the rows and runs; rows that are there already are not trained again.
        methods: names of ``VARIANTS``.
        densities: fractions of all weights, above 0, at most 1; ``pq`` and ``granet`` end there.
        seeds: seeds of weights, masks, rewiring and sample order; they do not change the split of the data.
        recipe: the recipe that gives data, network and optimiser: a file, or the name of a shipped one.
        changes: keys to replace in the tables of the recipe.
        data_root: folder with the data sets, in place of the one in the recipe.
        jobs: number of rows trained at the same time, each in a separate process; at least 1.
        on_row: called with each row as soon as it is finished.

    Returns:
        The rows by method, density and seed in the order asked for.

    Raises:
        TrainingError: for an unknown method, no method, no seed, or ``jobs`` below 1.
        RecipeError: if a method does not suit the recipe or a density is out of range; nothing is trained then.
        TrainingInterruptedError: after Ctrl-C; what was trained is kept.
    """
    _check(methods, seeds, jobs)
    base = recipe_values(recipe, changes or {})
    tasks = [
        _task(folder, base, method, density, seed, data_root)
        for method in methods
        for density in (densities if takes_density(VARIANTS[method]["method"]) else (None,))
        for seed in seeds
    ]
    rows: dict[Path, Row] = {}
    by_seed = sorted(tasks, key=lambda task: list(seeds).index(task.seed))
    for task, row in _in_parallel(by_seed, jobs) if jobs > 1 else _one_by_one(by_seed):
        rows[task.folder] = row
        if on_row:
            on_row(row)
    return [rows[task.folder] for task in tasks]


def _check(methods: Sequence[str], seeds: Sequence[int], jobs: int) -> None:
    if unknown := sorted(set(methods) - set(VARIANTS)):
        raise TrainingError(f"bench: unknown method '{unknown[0]}'; known: {', '.join(VARIANTS)}")
    if not methods or not seeds:
        raise TrainingError("bench: there is nothing to train; name at least one method and one seed")
    if jobs < 1:
        raise TrainingError(f"bench: jobs is {jobs}, must be at least 1")


def _task(
    folder: Path, base: Mapping[str, Any], method: str, density: float | None, seed: int, data_root: Path | None
) -> Task:
    text = to_toml(variant_recipe(base, method, density, seed))
    recipe = parse_recipe(text, where=f"bench {method}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    name = f"{recipe.name}-{method}-{density}-{seed}-{digest}"
    kept = resource_dir("models") / ROWS_FOLDER / f"{name}.json"
    return Task(
        text=text, method=method, density=density, seed=seed, folder=folder / name, data_root=data_root, kept=kept
    )


def _one_by_one(tasks: Sequence[Task]) -> Iterator[tuple[Task, Row]]:
    try:
        for task in tasks:
            yield task, run_task(task)
    except (KeyboardInterrupt, TrainingInterruptedError) as error:
        raise _interrupted() from error


def _in_parallel(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Row]]:
    """Yield each row when it is finished. Workers are spawned, since a fork of torch's threads may hang.

    No more rows are handed out than there are workers, so that no further row starts after Ctrl-C or an error.
    """
    left = iter(tasks)
    waiting: dict[Future[Row], Task] = {}
    with worker_pool(jobs, load_plugins) as pool:
        try:
            while True:
                waiting.update({pool.submit(run_task, task): task for task in islice(left, jobs - len(waiting))})
                if not waiting:
                    return
                for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(done), done.result()
        except (KeyboardInterrupt, TrainingInterruptedError) as error:
            raise _interrupted() from error


def _interrupted() -> TrainingInterruptedError:
    return TrainingInterruptedError(
        "bench: interrupted; finished rows and the state of those begun are kept. To go on: the same command"
    )
