"""``neurodeploy demo``: all stages on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Force, Json, app
from neurodeploy.cli.show import print_json, print_line, progress, say


@app.command(epilog="Example: neurodeploy demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo writes.")] = Path("runs/demo"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The whole path on real data: train, export, map, simulate on Lava, verify, estimate, report."""
    from neurodeploy import commands

    with progress() as bar:
        result = commands.demo(out=out, force=force, say=say if as_json else print_line, progress=bar)
    if as_json:
        print_json(result)
