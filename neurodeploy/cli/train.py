"""``neurodeploy train``: trains the network of a recipe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import Dt, Force, InputShape, Json, ReadingText, app, reading_of
from neurodeploy.cli.show import progress, say, show, warn
from neurodeploy.errors import NeurodeployError


@app.command(
    epilog="Example: neurodeploy train digits-mlp --out runs/digits-mlp\n\n"
    "neurodeploy train digits-mlp --from trained-elsewhere.nir\n\n"
    "torchrun --nproc_per_node 2 -m neurodeploy train mnist-mlp"
)
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped recipe.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default runs/NAME.")] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Go on from this network: its layers, weights and connections."),
    ] = None,
    weight_bits: Annotated[
        int | None, typer.Option("--weight-bits", min=3, max=8, help="Bits that its weights have from now on.")
    ] = None,
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    force: Force = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    backend: Annotated[
        str | None,
        typer.Option(help="native or slayer, instead of the recipe's; with --resume instead of the run's own."),
    ] = None,
    data_root: Annotated[Path | None, typer.Option("--data-root", help="Folder with the data sets.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard as well.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network that is sparse from the first step, and keep its best checkpoint.

    With --from a network that was trained anywhere goes on from its own integers, pruned to the recipe's density first
    where that is lower. Under torchrun the processes share each batch.
    """
    from neurodeploy import commands
    from neurodeploy.commands.train import training_recipe

    with _leader_speaks(), progress() as bar:
        said = reading_of(reading, None, input_shape)
        checked = training_recipe(recipe, start=start, weight_bits=weight_bits, reading=said, dt=dt)[1]
        epochs = checked.training.epochs
        result = commands.train(
            recipe,
            start=start,
            weight_bits=weight_bits,
            reading=said,
            dt=dt,
            out=out,
            force=force,
            resume=resume,
            tensorboard=tensorboard,
            backend=backend,
            data_root=data_root,
            on_epoch=lambda m: bar(_epoch_line(m), m.epoch, epochs),
        )
    if _leads():
        show(result if as_json else {key: value for key, value in result.items() if value is not None}, as_json)
        if result["validation_silent"] == 1:
            warn("the output is silent on all validation samples: what is decoded from it is no class")


def _leads() -> bool:
    """Return whether this process is the only one, or the first (rank 0) of the processes that torchrun started."""
    return int(os.environ.get("RANK", 0)) == 0


@contextmanager
def _leader_speaks() -> Iterator[None]:
    """Under torchrun every process meets the same error: rank 0 prints it, then all exit with its code."""
    try:
        yield
    except NeurodeployError as error:
        if "RANK" not in os.environ:
            raise
        if _leads():
            say(f"neurodeploy: {error}")
        # exit at once: after an exception gloo's destructors (torch 2.3) wait forever when the interpreter ends
        os._exit(error.exit_code)


def _epoch_line(metrics: Any) -> str:
    return f"train: loss {metrics.loss:.3f}, validation {metrics.validation_accuracy:.1%}"
