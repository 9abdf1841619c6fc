"""A sweep: every point of a grid trained, placed and priced."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurodeploy.errors import FileError, check_installed
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.files.writing import locked_folder, write_text

RESULTS_FILE = "results.json"


def sweep(
    file: str | Path,
    *,
    out: str | Path | None = None,
    jobs: int | None = None,
    ray: str | None = None,
    force: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Train, quantise, simulate, map and price every point of a grid; write results.json, results.md and sweep.html.

    Stages that an earlier run of the same folder finished are not done again; a training that was stopped goes on.

    Args:
        file: the sweep (TOML, ``neurodeploy.sweeps.plan``).
        out: folder to write, by default ``runs/<its name>``.
        jobs: processes, by default one for each core; never more than there are cores.
        ray: address of a Ray cluster, or ``local``, instead of processes.
        force: use a folder that holds the results of a sweep of another name, and replace these.
        progress: called with a stage, and the numbers of its tasks done and known so far.

    Returns:
        The sweep's object (``neurodeploy.sweeps.results``), with ``files``, the paths of what was written.

    Raises:
        SweepError: for a bad sweep file, or where a process ended without a word.
        FileError: where ``out`` holds the results of another sweep.
    """
    file, out = as_path(file), as_path(out)
    from neurodeploy.sweeps.plan import load_plan

    plan, points = load_plan(file)
    check_installed("sweep", "train", "torch", "safetensors")
    check_installed("sweep", "report", "plotly")
    from neurodeploy.sweeps.page import render_page
    from neurodeploy.sweeps.results import make_results, markdown
    from neurodeploy.sweeps.run import ray_workers, workers
    from neurodeploy.sweeps.run import sweep as run_sweep

    folder = out or Path("runs") / plan.name
    _refuse_another(folder, plan.name, force)
    with (
        locked_folder(folder, f"sweep: {folder}"),
        ray_workers(ray) if ray else workers(jobs or os.cpu_count() or 1) as submit,
    ):
        rows = run_sweep(
            points,
            folder / "stages",
            submit=submit,
            n_samples=plan.samples,
            train_here=ray is None,
            progress=progress,
        )
        results = make_results(plan, points, rows)
        paths = {"results": folder / RESULTS_FILE, "markdown": folder / "results.md", "page": folder / "sweep.html"}
        write_text(render_page(results), paths["page"])
        write_text(markdown(results), paths["markdown"])
        write_text(to_json(results, 1) + "\n", paths["results"])
    return {**results, "files": {key: str(path) for key, path in paths.items()}}


def _refuse_another(folder: Path, name: str, force: bool) -> None:
    path = folder / RESULTS_FILE
    if not path.exists() or force:
        return
    try:
        there = parse_json(read_text(path))["name"]
    except (OSError, ValueError, KeyError, TypeError):
        there = None
    if there != name:
        raise FileError(f"sweep: {path} holds another sweep ({there}); choose another --out, or --force to replace it")
