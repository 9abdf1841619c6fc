"""``neurodeploy check``: the verdict on a network file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Dt, Force, InputShape, Json, NirFile, NSamples, ReadingText, app, reading_of
from neurodeploy.cli.show import print_line, print_written, table


@app.command(epilog="Example: neurodeploy check runs/digits-mlp/model.nir")
def check(
    file: NirFile,
    chip: Annotated[
        str | None, typer.Option("--chip", help="Name of a chip, or a chip file: what it restricts counts too.")
    ] = None,
    fix: Annotated[Path | None, typer.Option(help="Write the repaired graph to this file.")] = None,
    draw: Annotated[Path | None, typer.Option(help="Write a drawing of the graph to this .svg file.")] = None,
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Samples that show what hangs on the reset of the neurons.")
    ] = None,
    samples: NSamples = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say of each node of a NIR file whether it can be taken over: faithful, approximate or unsupported.

    The exit code is 6 where anything is unsupported. With --chip the limits and the neurons of that chip count too. A file
    of integers (.nd5, .net) is faithful in itself: of it, this says what its ledger holds, and what the chip cannot do.
    """
    from neurodeploy import commands
    from neurodeploy.network.idle import idle_lines, ranges

    report = commands.check(
        file,
        chip=chip,
        fix=fix,
        draw=draw,
        reading=reading_of(reading, dt, input_shape),
        data=data,
        n_samples=samples,
        force=force,
    )
    if as_json:
        print_line(report.to_json())
    else:
        table("Node|Type|Verdict|Reason|Size", [(n.name, n.type, n.verdict, n.reason, n.size) for n in report.nodes])
        if report.reading:
            print_line(f"reading: {report.reading}")
        for repair in report.repairs:
            print_line(f"repair: {repair}")
        for line in idle_lines(report.never_fire, report.reach_nothing):
            print_line(line)
        for name, numbers in report.removed.items():
            print_line(f"removed: {len(numbers):,} of them from '{name}': {ranges(numbers)}; no other neuron changes")
        for name, why in report.kept.items():
            print_line(f"stays in '{name}': {why}")
        if report.reset is not None:
            print_line(report.reset["line"])
        print_written(fix, draw)
    if not report.ok:
        raise typer.Exit(6)
