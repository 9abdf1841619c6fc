"""Commands that train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.app import Force, Json, app, bench_app
from neurodeploy.cli.show import progress, say, show, show_rows


@app.command(epilog="Example: neurodeploy train digits-mlp --out runs/digits-mlp")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped recipe.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default runs/NAME.")] = None,
    force: Force = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard as well.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network that is sparse from the first step, and keep its best checkpoint."""
    from neurodeploy import commands
    from neurodeploy.recipe import load_recipe

    epochs = load_recipe(recipe).training.epochs
    with progress() as bar:
        result = commands.train(
            recipe,
            out=out,
            force=force,
            resume=resume,
            tensorboard=tensorboard,
            on_epoch=lambda m: bar(_epoch_line(m), m.epoch, epochs),
        )
    show(result, as_json)


@bench_app.command("methods", epilog="Example: neurodeploy bench methods --method esl-random --method static --json")
def bench_methods(
    out: Annotated[Path, typer.Option(help="Folder for rows and runs; finished rows are kept.")] = Path("runs/methods"),
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated.")] = None,
    densities: Annotated[str, typer.Option(help="Densities, as in 0.1,0.015.")] = "0.1,0.015",
    seeds: Annotated[str, typer.Option(help="Seeds, as in 0,1,2,3.")] = "0,1,2,3",
    as_json: Json = False,
) -> None:
    """Train every rewiring method on digits: accuracy of the exported integers, densities, seconds."""
    from neurodeploy import commands
    from neurodeploy.errors import UsageError

    try:
        numbers, whole = [float(d) for d in densities.split(",")], [int(s) for s in seeds.split(",")]
    except ValueError as error:
        raise UsageError(f"bench: {error}; give lists as in --densities 0.1,0.015 --seeds 0,1,2,3") from error
    rows = commands.bench_methods(
        out,
        methods=method or (),
        densities=numbers,
        seeds=whole,
        on_row=lambda r: say(f"{r['method']} {r['density']} seed {r['seed']}: {r['accuracy']:.4f}"),
    )
    show_rows(rows, as_json)


def _epoch_line(metrics: Any) -> str:
    return f"train: loss {metrics.loss:.3f}, validation {metrics.validation_accuracy:.1%}"
