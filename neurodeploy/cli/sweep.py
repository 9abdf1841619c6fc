"""``neurodeploy sweep``: a sweep over a grid of networks and chips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Force, Json, app
from neurodeploy.cli.show import print_json, print_line, progress, table


@app.command(epilog="Example: neurodeploy sweep examples/sweep.toml --out runs/sweep")
def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="What to vary: method, density, bits, chip, ...")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default runs/NAME.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster, or local; needs the extra sweep.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train, place and price a grid of settings: table, Pareto front and knee, and a page to look at. Resumable."""
    from neurodeploy import commands
    from neurodeploy.sweeps.results import HEADER
    from neurodeploy.sweeps.results import table as words

    with progress() as bar:
        results = commands.sweep(file, out=out, jobs=jobs, ray=ray, force=force, progress=bar)
    if as_json:
        print_json(results)
        return
    table("|".join(HEADER), list(words(results)))
    for row in results["rows"]:
        if row["error"]:
            print_line(f"{row['method']} {row['density']} {row['chip']}: {row['error'].splitlines()[0]}")
    print_line(f"{results['files']['page']} shows them")
