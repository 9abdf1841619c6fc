"""Commands that run a network: simulate, verify, faults, and the simulators' benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.app import Data, Force, Json, NirFile, NSamples, app, bench_app
from neurodeploy.cli.show import print_json, progress, say, show, show_rows, table


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


@app.command(epilog="Example: neurodeploy verify runs/digits-mlp --engines slayer,reference,event,lava")
def verify(
    source: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run's folder, or a .nir file.")],
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Samples; by default the run's test part.")
    ] = None,
    engines: Annotated[
        str, typer.Option(help="Two or more of slayer, reference, event, lava, lava-in-process.")
    ] = "slayer,reference,event,lava",
    samples: Annotated[int, typer.Option("--samples", min=1, help="How many samples.")] = 64,
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
            engines=[e.strip() for e in engines.split(",") if e.strip()],
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
        print(f"{', '.join(proof['engines'])}: {'equal' if proof['equal'] else 'different'}")
    if not proof["equal"]:
        if not as_json:
            _explain(proof["first_difference"], proof["diagnosis"])
        raise typer.Exit(MismatchError.exit_code)


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
    samples: NSamples = None,
    repeats: Annotated[int, typer.Option(min=1, help="Draws a rate.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Accuracy against the rate of a fault: lost or extra spikes, jitter, broken synapses and neurons."""
    from neurodeploy import commands
    from neurodeploy.errors import UsageError

    try:
        numbers = [float(rate) for rate in rates.split(",")]
    except ValueError as error:
        raise UsageError(f"faults: --rates '{rates}' is no list of numbers, as in 0,0.1,0.3") from error
    rows = commands.faults(
        file, data, fault=fault, rates=numbers, engine=engine, n_samples=samples, repeats=repeats, seed=seed
    )
    if as_json:
        print_json(rows)
    else:
        shown = [
            (r["fault"], f"{r['rate']:g}", f"{r['accuracy']:.2%}", f"{r['lowest']:.2%}", r["repeats"]) for r in rows
        ]
        table("Fault|Rate|Accuracy|Lowest|Draws", shown)


def _explain(difference: dict[str, Any], diagnosis: dict[str, Any]) -> None:
    from neurodeploy.proofs.compare import Difference

    print(f"first difference: {Difference(**difference)}")
    print(f"cause: {diagnosis['cause']}: {diagnosis['departs']} departs from the definition: {diagnosis['why']}")
    if not diagnosis["decided_by"]:
        return
    known = {"summed input": diagnosis["summed_input"], "imaginary": diagnosis["summed_input_imag"]}
    known |= diagnosis["decided_by"] | {"threshold": diagnosis["threshold"]}
    print("in that step: " + ", ".join(f"{name} {value}" for name, value in known.items() if value is not None))
    arriving = diagnosis["arriving"]
    table("Arriving from|Neuron|Sent in step|Message|Weight", [tuple(s.values())[1:] for s in arriving[:20]])
    if len(arriving) > 20:
        print(f"and {len(arriving) - 20} more")


@bench_app.command("simulate", epilog="Example: neurodeploy bench simulate --network 784-256-10 --json")
def bench_simulate(
    network: Annotated[list[str] | None, typer.Option(help="Only this network; may be repeated.")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this peer; may be repeated: numba-scatter, lava, slayer, snntorch, spikingjelly, sanafe, nengo-loihi."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is timed.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the event-driven engine for batches.")] = 2,
    as_json: Json = False,
) -> None:
    """The event-driven engine beside Lava and other simulators: medians, ratios, and whether the spikes are equal.

    Peers that this Python lacks are looked for in the one that NEURODEPLOY_ORACLE_PYTHON names.
    """
    from neurodeploy import commands

    rows = commands.bench_simulate(
        rounds=rounds,
        threads=threads,
        networks=network or (),
        peers=peer or (),
        on_row=lambda r: say(_bench_line(r)),
        say=say,
    )
    show_rows(rows, as_json)


def _bench_line(row: dict[str, Any]) -> str:
    ratio = "different spikes" if row["ratio"] is None else f"{row['ratio']:.3g} times as fast"
    counts = " with counts" if row["counts"] else ""
    return (
        f"{row['network']} at {row['density']:.0%} density, {row['rate']:.0%} rate, batch {row['batch']}: "
        f"{row['ms']:.3g} ms a sample{counts}, {ratio} as {row['peer']}"
    )
