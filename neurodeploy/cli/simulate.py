"""``neurodeploy simulate``: a network on samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import Data, Dt, Force, InputShape, Json, NirFile, NSamples, ReadingText, app, reading_of
from neurodeploy.cli.show import print_written, progress, say, show, tell_silence


@app.command(epilog="Example: neurodeploy simulate runs/digits-mlp runs/digits-mlp --engine event")
def simulate(
    file: NirFile,
    data: Data,
    engine: Annotated[str, typer.Option(help="event, reference, lava, lava-in-process or c: the same bits.")] = "event",
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    samples: NSamples = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each sample; by default its own plus the depth of the network.")
    ] = None,
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

    asked: dict[str, Any] = {
        "engine": engine,
        "reading": reading_of(reading, dt, input_shape),
        "n_samples": samples,
        "n_steps": steps,
        "timeout_s": parse_seconds(timeout, "--timeout") if timeout else None,
        "on_overflow": on_overflow,
        "say": say,
    }
    with progress() as bar:
        asked["progress"] = lambda n, of: bar(engine, n, of)
        if out is None:
            summary = commands.simulate_facts(file, data, **asked)
        else:
            summary = commands.simulate(file, data, out=out, force=force, **asked)[1]
    silence = summary["silence"]
    if not as_json:
        outputs = summary.pop("outputs")
        del summary["silence"]
        summary |= {f"output {name}": _output_line(output) for name, output in outputs.items()}
    show(summary, as_json)
    tell_silence(silence)
    if not as_json:
        print_written(out)


def _output_line(output: dict[str, Any]) -> str:
    told = output["classes"]
    by_step = bool(told) and isinstance(told[0], list)
    shown = told[0] if by_step else told
    first = " ".join(map(str, shown[:10])) + (" ..." if len(shown) > 10 else "")
    right = "" if output["accuracy"] is None else f", accuracy {output['accuracy']:.2%}{' of the steps' * by_step}"
    where = "classes in the steps of sample 0:" if by_step else "classes"
    classes = f"{where} {first}" if output["silent"] < 1 else "no classes: silent on all samples"
    return f"{output['decoding']}{right}, {classes}; tied {output['tied']:.2%}, silent {output['silent']:.2%}"
