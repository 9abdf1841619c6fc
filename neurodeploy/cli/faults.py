"""``neurodeploy faults``: accuracy under faults."""

from __future__ import annotations

from typing import Annotated

import typer

from neurodeploy.cli.program import Data, Dt, InputShape, Json, NirFile, NSamples, ReadingText, app, reading_of
from neurodeploy.cli.show import print_json, say, table, warn


@app.command(epilog="Example: neurodeploy faults runs/digits-mlp runs/digits-mlp --fault drop --rates 0,0.1,0.3")
def faults(
    file: NirFile,
    data: Data,
    fault: Annotated[
        str,
        typer.Option(
            help="drop, extra, jitter, hot-pixels, dead-synapses, stuck-synapses, dead-neurons, stuck-neurons."
        ),
    ],
    rates: Annotated[str, typer.Option(help="Rates, as in 0,0.1,0.3; steps for jitter.")] = "0,0.01,0.05,0.1,0.2",
    engine: Annotated[str, typer.Option(help="Which simulator runs.")] = "event",
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    samples: NSamples = None,
    repeats: Annotated[int, typer.Option(min=1, help="Draws a rate.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Accuracy against the rate of a fault: lost or extra events, jitter, hot pixels, broken synapses and neurons."""
    from neurodeploy import commands
    from neurodeploy.errors import UsageError

    try:
        numbers = [float(rate) for rate in rates.split(",")]
    except ValueError as error:
        raise UsageError(f"faults: --rates '{rates}' is no list of numbers, as in 0,0.1,0.3") from error
    rows = commands.faults(
        file,
        data,
        fault=fault,
        rates=numbers,
        engine=engine,
        reading=reading_of(reading, dt, input_shape),
        n_samples=samples,
        repeats=repeats,
        seed=seed,
        say=say,
        warn=lambda line: warn(line.removeprefix("faults: ")),
    )
    if as_json:
        print_json(rows)
    else:
        shown = [
            (
                *(r["fault"], f"{r['rate']:g}", f"{r['accuracy']:.2%}", f"{r['lowest']:.2%}"),
                *(f"{r['tied']:.2%}", f"{r['silent']:.2%}", r["repeats"]),
            )
            for r in rows
        ]
        table("Fault|Rate|Accuracy|Lowest|Tied|Silent|Draws", shown)
    dead = [f"{r['rate']:g}" for r in rows if r["silent"] == 1]
    if dead:
        warn(f"the output is silent on all samples at rate {', '.join(dead)}: what is decoded from it is no class")
