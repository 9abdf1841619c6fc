"""The command that proves, places and prices a run, and writes its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.app import Json, app
from neurodeploy.cli.show import print_json, progress, say


@app.command(epilog="Example: neurodeploy report runs/digits-mlp --chip loihi1 --chip loihi2")
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder with an exported network.")],
    chip: Annotated[
        list[str] | None, typer.Option(help="Chips; may be repeated. By default loihi1 and loihi2.")
    ] = None,
    engines: Annotated[str, typer.Option(help="Engines to verify with.")] = "slayer,reference,event,lava",
    samples: Annotated[int, typer.Option("--samples", min=1, help="How many samples to verify.")] = 64,
    as_json: Json = False,
) -> None:
    """Write report.json, report.md and report.html of a run: exactness, memory, cores, energy, latency."""
    from neurodeploy import commands

    with progress() as bar:
        result = commands.report(
            run,
            chips=chip or list(commands.DEMO_CHIPS),
            engines=[e.strip() for e in engines.split(",") if e.strip()],
            n_samples=samples,
            say=say,
            progress=lambda n, of: bar("verify", n, of),
        )
    if as_json:
        print_json(result["report"])
    else:
        print(Path(result["files"]["report_text"]).read_text(encoding="utf-8"))
