"""``neurodeploy report``: the report of a run or a NIR file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import Dt, FailOnMissed, Force, InputShape, Json, NirFile, ReadingText, app, reading_of
from neurodeploy.cli.show import check_demanded, fail_if_missed, print_json, print_line, progress, say, warn


@app.command(
    epilog="Example: neurodeploy report runs/digits-mlp --chip loihi1 --chip loihi2 --deadline 10ms   or   "
    "neurodeploy report net.nir --data test.npz --out runs/net"
)
def report(
    source: NirFile,
    data: Annotated[
        str | None,
        typer.Option(help="Samples: an .npz file, a run's folder, or a recipe. By default those of the run."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; by default that of the run.")] = None,
    chip: Annotated[
        list[str] | None,
        typer.Option(
            help="Chips; may be repeated. By default loihi1 and loihi2, where they can do the kinds of neurons."
        ),
    ] = None,
    engines: Annotated[
        str | None,
        typer.Option(
            help="Engines to compare. By default as for verify: for a run its backend, reference, event and lava."
        ),
    ] = None,
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="On how many samples to compare them.")] = 64,
    period: Annotated[str | None, typer.Option(help="Real time: length of a step, as in 1ms.")] = None,
    deadline: Annotated[str | None, typer.Option(help="Time allowed for a sample, as in 10ms.")] = None,
    rate: Annotated[str | None, typer.Option(help="Samples a second that must be done, as in 200Hz.")] = None,
    battery: Annotated[str | None, typer.Option(help="Say how long a battery lasts, as in 1000mWh.")] = None,
    fail_on_missed: FailOnMissed = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write report.json, .md, .txt and .html of a run or a NIR file: verdict, exactness, memory, energy, latency."""
    from neurodeploy import commands
    from neurodeploy.units import parse_battery, parse_hertz, parse_seconds

    demands = {
        "step_period_s": parse_seconds(period, "--period") if period else None,
        "deadline_s": parse_seconds(deadline, "--deadline") if deadline else None,
        "rate_hz": parse_hertz(rate, "--rate") if rate else None,
        "battery_j": parse_battery(battery, "--battery") if battery else None,
    }
    check_demanded("report", fail_on_missed, *(demands[key] for key in ("step_period_s", "deadline_s", "rate_hz")))
    with progress() as bar:
        result = commands.report(
            source,
            data=data,
            out=out,
            force=force,
            chips=chip or None,
            engines=[e.strip() for e in engines.split(",") if e.strip()] if engines else None,
            reading=reading_of(reading, dt, input_shape),
            n_samples=samples,
            command=shlex.join(["neurodeploy", *sys.argv[1:]]),
            say=say,
            warn=warn,
            progress=lambda n, of: bar("simulate", n, of),
            **demands,
        )
    if as_json:
        print_json(result["report"])
    else:
        _show_screen(result)
    if fail_on_missed:
        from neurodeploy.costs.record import Cost

        fail_if_missed("report", [Cost.from_json(target) for target in result["report"]["targets"]])


def _show_screen(result: dict[str, Any]) -> None:
    """Print the main results, and last where all of it stands."""
    from neurodeploy.reports.record import checked
    from neurodeploy.reports.text import headline, verdict_lines

    report = checked(result["report"])
    for line in (report.title, *verdict_lines(report), *headline(report)):
        print_line(line)
    paths = [Path(path) for path in result["files"].values()]
    page, *others = sorted(paths, key=lambda path: (path.suffix != ".html", path.suffix != ".txt"))
    print_line(f"{page}, and beside it {', '.join(path.name for path in others)} with every table")
