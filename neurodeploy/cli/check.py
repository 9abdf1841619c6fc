"""``neurodeploy check``: the verdict on a NIR file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Force, Json, NirFile, app
from neurodeploy.cli.show import table


@app.command(epilog="Example: neurodeploy check runs/digits-mlp/model.nir")
def check(
    file: NirFile,
    chip: Annotated[
        str | None, typer.Option("--chip", help="Name of a chip, or a chip file: what it restricts counts too.")
    ] = None,
    fix: Annotated[Path | None, typer.Option(help="Write the repaired graph to this file.")] = None,
    draw: Annotated[Path | None, typer.Option(help="Write a drawing of the graph to this .svg file.")] = None,
    dt: Annotated[float | None, typer.Option(help="Length of a step in seconds, where the file does not say.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say of each node of a NIR file whether it can be taken over: faithful, approximate or unsupported.

    The exit code is 6 where anything is unsupported. With --chip the limits and the neurons of that chip count too.
    """
    from neurodeploy import commands

    report = commands.check(file, chip=chip, fix=fix, draw=draw, dt=dt, force=force)
    if as_json:
        print(report.to_json())
    else:
        table("Node|Type|Verdict|Reason|Size", [(n.name, n.type, n.verdict, n.reason, n.size) for n in report.nodes])
        for repair in report.repairs:
            print(f"repair: {repair}")
    if not report.ok:
        raise typer.Exit(6)
