"""Commands on what a network costs: estimate and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.app import Force, Json, NirFile, NSamples, app, bench_app
from neurodeploy.cli.show import print_json, say, show_rows


@app.command(
    epilog="Example: neurodeploy estimate runs/digits-mlp --chip loihi2 --data runs/digits-mlp --deadline 10ms"
)
def estimate(
    file: NirFile,
    chip: Annotated[str | None, typer.Option("--chip", help="Name of a chip, or a chip file.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="A mapping that map --out wrote, instead of --chip.")] = None,
    data: Annotated[str | None, typer.Option(help="Samples to run: an .npz file, a run's folder, or a recipe.")] = None,
    activity: Annotated[Path | None, typer.Option(help="Activity of an earlier run, instead of --data.")] = None,
    samples: NSamples = None,
    period: Annotated[str | None, typer.Option(help="Real time: length of a step, as in 1ms.")] = None,
    deadline: Annotated[str | None, typer.Option(help="Time allowed for a sample, as in 10ms.")] = None,
    rate: Annotated[str | None, typer.Option(help="Samples a second that must be done, as in 200Hz.")] = None,
    sanafe: Annotated[
        Path | None, typer.Option(help="Folder for the mapping and the first sample as SANA-FE reads them.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what a network costs on a chip: memory, cores, energy, latency. Without data: memory and cores."""
    from neurodeploy import commands
    from neurodeploy.reports.writing import text_cost
    from neurodeploy.units import parse_hertz, parse_seconds

    cost = commands.estimate(
        file,
        chip=chip,
        mapping=mapping,
        data=data,
        activity=activity,
        n_samples=samples,
        step_period_s=parse_seconds(period, "--period") if period else None,
        deadline_s=parse_seconds(deadline, "--deadline") if deadline else None,
        rate_hz=parse_hertz(rate, "--rate") if rate else None,
        sanafe=sanafe,
        force=force,
    )
    if sanafe is not None:
        say(f"estimate: {sanafe} holds what SANA-FE 2.2.9 needs and has to answer; compare: python {sanafe / 'run.py'}")
    if as_json:
        print_json(cost.to_json())
    else:
        print(text_cost(cost))


@bench_app.command("silicon", epilog="Example: neurodeploy bench silicon --out docs/silicon.md --force")
def bench_silicon(
    out: Annotated[Path | None, typer.Option(help="Markdown file to write the table to.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Estimates beside measurements of Loihi 1 and 2, hits and misses alike; takes about a minute."""
    from neurodeploy.bench.silicon import bench_silicon

    def told(row: dict[str, Any]) -> None:
        figures = f"{row['nominal']:.3g} ({row['low']:.3g} to {row['high']:.3g}) {row['unit']}"
        say(f"{row['workload']}, {row['quantity']}: measured {row['measured']} {row['unit']}, estimate {figures}")

    rows = bench_silicon(out=out, force=force, on_row=told)
    columns = ("workload", "quantity", "unit", "measured", "low", "nominal", "high", "kind", "outcome")
    show_rows(rows if as_json else [{name: row[name] for name in columns} for row in rows], as_json)


@app.command(epilog="Example: neurodeploy compare old/report.json new/report.json --gate gate.toml")
def compare(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="The report to compare with.")],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="The report in question.")],
    gate: Annotated[Path | None, typer.Option(help="TOML file: what may get worse, and by how much.")] = None,
    as_json: Json = False,
) -> None:
    """Two reports side by side as Markdown; with a gate, an exit code for continuous integration."""
    from neurodeploy import commands
    from neurodeploy.errors import ReportError

    result = commands.compare_files(a, b, gate=gate)
    if as_json:
        print_json(result.to_json())
    else:
        print(result.markdown())
    if not result.ok:
        raise typer.Exit(ReportError.exit_code)
