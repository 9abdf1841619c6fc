"""The demo: the whole path on real data."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurodeploy.commands.export import export
from neurodeploy.commands.inputs import silent
from neurodeploy.commands.report import report
from neurodeploy.commands.train import train
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import locked_folder
from neurodeploy.recipe.files import load_recipe
from neurodeploy.reports.writing import chips_summary

DEMO_RECIPE = "digits-mlp"
_BEST_FIRST = ("report_html", "report_json", "report_text", "report_markdown")
DEMO_BACKEND = "slayer"
"""lava-dl's own blocks, so that the demo shows the way from slayer to Lava; it needs Lava, and so Python 3.10, anyway."""


def demo(
    *,
    out: str | Path = Path("runs/demo"),
    force: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the whole path on scikit-learn's digits: train, export, map, simulate on Lava, verify, estimate, report.

    Args:
        out: folder for everything that is written.
        force: replace an earlier demo there.
        say: called with a line for each stage that is done.
        progress: called with a text and the parts done and to do of the current stage.

    Returns:
        The figures measured, as plain values, and the paths of the files.
    """
    out = as_path(out)
    tell, advance = say or silent, progress or silent
    with locked_folder(out, f"demo: {out}"):
        started = time.perf_counter()
        epochs = load_recipe(DEMO_RECIPE).training.epochs
        trained = train(
            DEMO_RECIPE,
            out=out,
            force=force,
            backend=DEMO_BACKEND,
            on_epoch=lambda m: advance(f"train: {m.loss:.3f}", m.epoch, epochs),
        )
        tell(
            f"train     {DEMO_RECIPE}: {epochs} epochs in {trained['seconds']:.0f} s, best validation accuracy "
            f"{trained['validation_accuracy']:.2%} in epoch {trained['best_epoch']}"
        )
        exported = export(out, force=force)
        tell(
            f"export    {exported['path']}: {exported['mask']:,} of {exported['weights']:,} connections kept (density "
            f"{exported['density']:.4f}), {exported['nonzero']:,} not zero after quantisation "
            f"({exported['density_nonzero']:.4f})"
        )
        made = report(out, command="neurodeploy demo", say=tell, progress=lambda n, of: advance("verify", n, of))
        seconds = time.perf_counter() - started
        page, *others = (Path(made["files"][key]) for key in _BEST_FIRST if key in made["files"])
        beside = ", ".join(path.name for path in others)
        tell(f"report    {page}, and beside it {beside}; {seconds:.0f} s in all")
        found, proof = made["report"], made["report"]["verification"]
        return {
            "test_accuracy": found["accuracy"]["test"],
            "test_samples": found["accuracy"]["n_samples"],
            "density": exported["density"],
            "density_nonzero": exported["density_nonzero"],
            "connections": {key: exported[key] for key in ("weights", "mask", "nonzero")},
            "samples_compared": proof["n_samples"],
            "spikes_compared": proof["spikes_compared"],
            "spikes_different": proof["spikes_different"],
            "engines": proof["engines"],
            "chips": chips_summary(found),
            "seconds": seconds,
            "files": {"nir": exported["path"], "checkpoint": trained["checkpoint"], **made["files"]},
        }
