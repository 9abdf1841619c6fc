"""``neurodeploy verify``: engines compared spike by spike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import Dt, Force, InputShape, Json, ReadingText, app, reading_of
from neurodeploy.cli.show import print_json, print_line, print_written, progress, table, tell_silence


@app.command(epilog="Example: neurodeploy verify runs/digits-mlp --engines native,reference,event,lava")
def verify(
    source: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run's folder, or a .nir, .nd5 or .net file.")],
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Samples; by default the run's test part.")
    ] = None,
    engines: Annotated[
        str | None,
        typer.Option(
            help="Two or more of native, slayer, reference, event, lava, lava-in-process, brian2-loihi, c (generated C "
            "on this machine), c:cortex-m4 (or another processor, emulated). By default for a run the backend "
            "that trained it, reference, event and lava (a native run where there is no Lava: without); for a file "
            "reference,event."
        ),
    ] = None,
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="At most so many samples.")] = 64,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the proof to, with hashes.")] = None,
    against: Annotated[Path | None, typer.Option(help="An earlier proof: does it still hold?")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run the same samples on several engines: equal to the last spike, or the first difference and its cause."""
    from neurodeploy import commands
    from neurodeploy.errors import MismatchError

    with progress() as bar:
        proof = commands.verify(
            source,
            data,
            engines=None if engines is None else [e.strip() for e in engines.split(",") if e.strip()],
            reading=reading_of(reading, dt, input_shape),
            n_samples=samples,
            out=out,
            against=against,
            force=force,
            progress=lambda n, of: bar("verify", n, of),
        )
    if as_json:
        print_json(proof)
    else:
        voltages = dict.fromkeys(proof["voltages_compared"], ", voltage")
        rows = [
            (p["name"] + voltages.get(p["name"], ""), p["places"], p["spikes"], p["different"])
            for p in proof["populations"]
        ]
        table("Population|Places|Spikes|Different", rows)
        own = proof["spikes_compared"] - proof["input_spikes_compared"]
        print_line(
            f"{', '.join(proof['engines'])}: {'equal' if proof['equal'] else 'different'}; {proof['spikes_different']:,} of "
            f"{proof['spikes_compared']:,} spikes differ; of the {proof['spikes_compared']:,}, the network sent {own:,}"
        )
    tell_silence(proof["silence"])
    if not as_json:
        if not proof["equal"]:
            _explain(proof["first_difference"], proof["diagnosis"])
        print_written(out)
    if not proof["equal"]:
        raise typer.Exit(MismatchError.exit_code)


def _explain(difference: dict[str, Any], diagnosis: dict[str, Any]) -> None:
    from neurodeploy.proofs.compare import Difference

    print_line(f"first difference: {Difference(**difference)}")
    print_line(f"cause: {diagnosis['cause']}: {diagnosis['departs']} departs from the definition: {diagnosis['why']}")
    if not diagnosis["decided_by"]:
        return
    known = {"summed input": diagnosis["summed_input"], "imaginary": diagnosis["summed_input_imag"]}
    known |= diagnosis["decided_by"] | {"threshold": diagnosis["threshold"]}
    print_line("in that step: " + ", ".join(f"{name} {value}" for name, value in known.items() if value is not None))
    arriving = diagnosis["arriving"]
    table("Arriving from|Neuron|Sent in step|Message|Weight", [tuple(s.values())[1:] for s in arriving[:20]])
    if len(arriving) > 20:
        print_line(f"and {len(arriving) - 20} more")
