"""``neurodeploy export``: a network as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurodeploy.cli.program import Dt, Force, InputShape, Json, NSamples, ReadingText, app, reading_of
from neurodeploy.cli.show import print_json, print_line, print_written, progress, show, table, tell_silence
from neurodeploy.targets.table import TARGETS


@app.command(
    epilog="Example: neurodeploy export runs/digits-mlp\n\n"
    "neurodeploy export trained-elsewhere.nir --data samples.npz --out integers.nir\n\n"
    "neurodeploy export lava-dl.net --out network.nd5\n\n"
    "neurodeploy export runs/digits-mlp --target c --out digits-c"
)
def export(
    source: Annotated[
        Path,
        typer.Argument(metavar="RUN|FILE", help="A run's folder, a checkpoint, or a file: .nir, .nd5 or .net."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write: .nir, .nd5 or .net; by default RUN/model.nir. For a target its folder or file."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Write for a target: " + "; ".join(f"{name} ({row.title})" for name, row in TARGETS.items())),
    ] = None,
    optimize: Annotated[
        str | None, typer.Option(help="Target c: balance (default), flash (smallest) or speed (fewest instructions).")
    ] = None,
    chip: Annotated[str | None, typer.Option(help="Target sanafe: name of a chip, or a chip file.")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="Target sanafe: what map --out wrote, instead of --chip.")
    ] = None,
    activity: Annotated[
        Path | None, typer.Option(help="Target sanafe: activity of an earlier run, instead of --data.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Samples on which a NIR file in floats gets its scales, or to run."),
    ] = None,
    samples: NSamples = None,
    reading: ReadingText = None,
    dt: Dt = None,
    weight_bits: Annotated[
        int, typer.Option("--weight-bits", min=2, max=8, help="Bits for weights that have to be rounded.")
    ] = 8,
    input_shape: InputShape = None,
    max_delay: Annotated[
        int | None,
        typer.Option(
            "--max-delay",
            metavar="STEPS",
            min=0,
            max=62,
            help="Longest delay of a synapse; longer ones go through relay neurons, which change no spike.",
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a network's integers as a file, read it back and compare; or write it for a target.

    The suffix of --out says how: .nir for NIR, .nd5 for neurodeploy's own format, which holds every network, .net for
    lava-dl. A NIR file in floats becomes one in integers. With --data the scale of each layer is chosen on samples, each
    approximation is measured on them, and the whole network is held against its floats.
    """
    from neurodeploy import commands

    with progress() as bar:
        result = commands.export(
            source,
            out=out,
            target=target,
            optimize=optimize,
            chip=chip,
            mapping=mapping,
            activity=activity,
            data=data,
            n_samples=samples,
            reading=reading_of(reading, dt, input_shape),
            weight_bits=weight_bits,
            max_delay=max_delay,
            force=force,
            progress=lambda n, of: bar("integers beside floats", n, of),
        )
    if as_json:
        print_json(result)
        return
    path = Path(result.pop("path"))
    if target is not None:
        layers = result.pop("layers", None)
        show(result, as_json=False)
        if layers:
            table("Projection|Format|Bytes", [(row["projection"], row["format"], row["bytes"]) for row in layers])
        print_written(path)
        return
    ledger, beside = result.pop("ledger"), result.pop("beside_floats", None)
    reset, silence = result.pop("reset", None), result.pop("silence", None)
    show(result, as_json=False)
    if ledger:
        table("Where|Approximation|Size", [(e["where"], e["what"], e["size"]) for e in ledger])
    if reset is not None:
        print_line(reset["line"])
    if beside is not None:
        differing = beside.pop("differing")
        if beside.get("silent") == 1:
            beside["same_class"] = "none: the output is silent on all samples"
        show({k: v for k, v in beside.items() if k != "neuron_steps"}, as_json=False)
        table("Layer|Neuron steps that differ", [(name, f"{share:.3%}") for name, share in differing.items()])
    if silence is not None:
        tell_silence(silence)
    print_written(path)
