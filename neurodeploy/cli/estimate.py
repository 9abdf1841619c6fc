"""``neurodeploy estimate``: memory, energy and latency of a network on a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import (
    Dt,
    FailOnMissed,
    Force,
    InputShape,
    Json,
    NirFile,
    NSamples,
    ReadingText,
    app,
    reading_of,
)
from neurodeploy.cli.show import check_demanded, fail_if_missed, print_json, print_line, print_written, progress, warn


@app.command(
    epilog="Example: neurodeploy estimate runs/digits-mlp --chip loihi2 --data runs/digits-mlp --deadline 10ms"
)
def estimate(
    file: NirFile,
    chip: Annotated[str | None, typer.Option("--chip", help="Name of a chip, or a chip file.")] = None,
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    mapping: Annotated[Path | None, typer.Option(help="A mapping that map --out wrote, instead of --chip.")] = None,
    data: Annotated[str | None, typer.Option(help="Samples to run: an .npz file, a run's folder, or a recipe.")] = None,
    activity: Annotated[Path | None, typer.Option(help="Activity of an earlier run, instead of --data.")] = None,
    samples: NSamples = None,
    period: Annotated[str | None, typer.Option(help="Real time: length of a step, as in 1ms.")] = None,
    deadline: Annotated[str | None, typer.Option(help="Time allowed for a sample, as in 10ms.")] = None,
    rate: Annotated[str | None, typer.Option(help="Samples a second that must be done, as in 200Hz.")] = None,
    battery: Annotated[str | None, typer.Option(help="Say how long a battery lasts, as in 1000mWh.")] = None,
    fail_on_missed: FailOnMissed = False,
    sanafe: Annotated[Path | None, typer.Option(hidden=True)] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --chip all: file to write the table to, .md, .html or .json.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what a network costs on a chip: memory, cores, energy, latency. Without data: memory and cores.

    --chip all gives one table over all known chips: which fit, which meet the demands, what a sample costs there in all.
    """
    from neurodeploy import commands
    from neurodeploy.errors import UsageError
    from neurodeploy.reports.writing import text_cost
    from neurodeploy.units import parse_battery, parse_hertz, parse_seconds

    if sanafe is not None:
        where = f"--mapping {mapping}" if mapping else f"--chip {chip or 'NAME'}"
        spikes = f"--activity {activity}" if activity else f"--data {data or 'DATA'}"
        raise UsageError(
            f"estimate: --sanafe is a target of export now: neurodeploy export {file} --target sanafe --out {sanafe} "
            f"{where} {spikes}"
        )
    demands: dict[str, Any] = {
        "step_period_s": parse_seconds(period, "--period") if period else None,
        "deadline_s": parse_seconds(deadline, "--deadline") if deadline else None,
        "rate_hz": parse_hertz(rate, "--rate") if rate else None,
        "battery_j": parse_battery(battery, "--battery") if battery else None,
    }
    check_demanded("estimate", fail_on_missed, *(demands[key] for key in ("step_period_s", "deadline_s", "rate_hz")))
    given: dict[str, Any] = {"data": data, "reading": reading_of(reading, dt, input_shape), "n_samples": samples}
    if chip == "all":
        if mapping is not None or activity is not None:
            raise UsageError(
                "estimate: --chip all maps and runs the network itself: give --data, not --mapping or --activity"
            )
        _show_choice(file, as_json, fail_on_missed, out=out, force=force, **given, **demands)
        return
    if out is not None:
        raise UsageError("estimate: --out writes the table of --chip all; use --json for one chip")
    cost = commands.estimate(file, chip=chip, mapping=mapping, activity=activity, **given, **demands)
    if as_json:
        print_json(cost.to_json())
    else:
        print_line(text_cost(cost))
    for line in cost.warnings:
        warn(line)
    if fail_on_missed:
        fail_if_missed("estimate", [cost])


def _show_choice(file: Path, as_json: bool, fail_on_missed: bool, **options: Any) -> None:
    """Print the table of all chips; with ``fail_on_missed``, fail where none meets the demands."""
    from neurodeploy import commands
    from neurodeploy.errors import DemandError
    from neurodeploy.reports.choice import choice_text

    with progress() as bar:
        table = commands.choose_chip(file, tried=lambda target: bar(f"map: {target.name}", 0, 1), **options)
    if as_json:
        print_json(table.model_dump(mode="json"))
    else:
        print_line(choice_text(table))
        print_written(options["out"])
    if fail_on_missed and not any(row.fits and row.meets for row in table.rows):
        raise DemandError(f"estimate: no chip is known to meet the demands ({', '.join(table.demands)})")
