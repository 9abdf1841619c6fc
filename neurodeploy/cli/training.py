"""Commands that train."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.app import Force, Json, app, bench_app
from neurodeploy.cli.show import progress, say, show, show_rows
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
        typer.Option(
            "--from", metavar="FILE.nir", help="Go on from this network: its layers, weights and connections."
        ),
    ] = None,
    weight_bits: Annotated[
        int | None, typer.Option("--weight-bits", min=3, max=8, help="Bits that its weights have from now on.")
    ] = None,
    dt: Annotated[float | None, typer.Option("--dt", help="Its step in seconds, where the file does not tell.")] = None,
    force: Force = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard as well.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network that is sparse from the first step, and keep its best checkpoint.

    With --from a network that was trained anywhere goes on from its own integers, pruned to the recipe's density first
    where that is lower. Under torchrun the processes share each batch.
    """
    from neurodeploy import commands
    from neurodeploy.commands.training import training_recipe

    with _leader_speaks(), progress() as bar:
        epochs = training_recipe(recipe, start=start, weight_bits=weight_bits, dt=dt)[1].training.epochs
        result = commands.train(
            recipe,
            start=start,
            weight_bits=weight_bits,
            dt=dt,
            out=out,
            force=force,
            resume=resume,
            tensorboard=tensorboard,
            on_epoch=lambda m: bar(_epoch_line(m), m.epoch, epochs),
        )
    if _leads():
        show(result if as_json else {key: value for key, value in result.items() if value is not None}, as_json)


def _leads() -> bool:
    """Whether this process is the only one, or the first of those that torchrun started."""
    return int(os.environ.get("RANK", 0)) == 0


@contextmanager
def _leader_speaks() -> Iterator[None]:
    """Under torchrun, let one process print an error that all of them meet, and end each with its code at once."""
    try:
        yield
    except NeurodeployError as error:
        if "RANK" not in os.environ:
            raise
        if _leads():
            say(f"neurodeploy: {error}")
        # after an exception gloo's destructors (torch 2.3) wait forever when the interpreter ends
        os._exit(error.exit_code)


@bench_app.command(
    "methods",
    epilog="Example: neurodeploy bench methods --recipe mnist-mlp --data-root data --method dense --method esl-random "
    "--densities 0.1 --seeds 0,1,2 --jobs 2 --json",
)
def bench_methods(
    out: Annotated[Path, typer.Option(help="Folder for rows and runs; finished rows are kept.")] = Path("runs/methods"),
    recipe: Annotated[
        str, typer.Option(help="A recipe file, or the name of a shipped recipe: data, network and optimiser.")
    ] = "digits-bench",
    data_root: Annotated[Path | None, typer.Option(help="Folder with the data sets.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated.")] = None,
    densities: Annotated[str, typer.Option(help="Densities, as in 0.1,0.015.")] = "0.1,0.015",
    seeds: Annotated[str, typer.Option(help="Seeds, as in 0,1,2,3.")] = "0,1,2,3",
    jobs: Annotated[int, typer.Option(min=1, help="Rows trained at the same time, one process each.")] = 1,
    table: Annotated[
        Path | None, typer.Option(help="Train nothing; write all rows in the folder as a page with pictures here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train rewiring methods on one recipe: accuracy of the exported integers, densities, operations, cores, seconds."""
    from neurodeploy import commands
    from neurodeploy.commands.training import methods_table
    from neurodeploy.errors import UsageError

    if table is not None:
        written = methods_table(out, table)
        verdicts = written.pop("verdicts")
        show({**written, "verdicts": verdicts} if as_json else written, as_json)
        if not as_json:
            show_rows(verdicts, as_json)
        return
    try:
        numbers, whole = [float(d) for d in densities.split(",")], [int(s) for s in seeds.split(",")]
    except ValueError as error:
        raise UsageError(f"bench: {error}; give lists as in --densities 0.1,0.015 --seeds 0,1,2,3") from error
    rows = commands.bench_methods(
        out,
        methods=method or (),
        densities=numbers,
        seeds=whole,
        recipe=recipe,
        data_root=data_root,
        jobs=jobs,
        on_row=lambda row: say(_row_line(row)),
    )
    shown = rows if as_json else [{key: row[key] for key in _SHOWN} for row in rows]
    show_rows(shown, as_json)


_SHOWN = (
    "data",
    "method",
    "density",
    "seed",
    "accuracy",
    "parameter_density",
    "nonzero_density",
    "synaptic_operations_per_sample",
    "cores_loihi2",
    "kib_loihi2",
    "seconds",
)
"""What of a row the table on a terminal has room for."""


def _row_line(row: dict[str, Any]) -> str:
    note = f" ({row['note']})" if row.get("note") else ""  # rows kept from earlier versions have none
    return f"{row['recipe']} {row['method']} {row['density']} seed {row['seed']}: {row['accuracy']:.4f}{note}"


def _epoch_line(metrics: Any) -> str:
    return f"train: loss {metrics.loss:.3f}, validation {metrics.validation_accuracy:.1%}"
