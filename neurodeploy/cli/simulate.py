"""``neurodeploy simulate``: a network on samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import Data, Force, Json, NirFile, NSamples, app
from neurodeploy.cli.show import progress, say, show


@app.command(epilog="Example: neurodeploy simulate runs/digits-mlp runs/digits-mlp --engine event")
def simulate(
    file: NirFile,
    data: Data,
    engine: Annotated[str, typer.Option(help="event, reference, lava or lava-in-process: the same bits.")] = "event",
    samples: NSamples = None,
    timeout: Annotated[str | None, typer.Option(help="Time limit of engine lava, as in 60s.")] = None,
    on_overflow: Annotated[
        str,
        typer.Option(help="A state that leaves 24 bits: report (as Lava, counted), error, wrap or clip (not on Lava)."),
    ] = "report",
    out: Annotated[Path | None, typer.Option(help=".npz file to write the activity to.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a network on samples, count its spikes and decode its outputs."""
    from neurodeploy import commands
    from neurodeploy.units import parse_seconds

    with progress() as bar:
        summary = commands.simulate(
            file,
            data,
            engine=engine,
            n_samples=samples,
            timeout_s=parse_seconds(timeout, "--timeout") if timeout else None,
            on_overflow=on_overflow,
            out=out,
            force=force,
            say=say,
            progress=lambda n, of: bar(engine, n, of),
        )[1]
    if not as_json:
        outputs = summary.pop("outputs")
        summary |= {f"output {name}": _output_line(output) for name, output in outputs.items()}
    show(summary, as_json)


def _output_line(output: dict[str, Any]) -> str:
    first = " ".join(map(str, output["classes"][:10])) + (" ..." if len(output["classes"]) > 10 else "")
    right = "" if output["accuracy"] is None else f", accuracy {output['accuracy']:.2%}"
    return f"{output['decoding']}{right}, classes {first}"
