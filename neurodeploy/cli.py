"""The command line: one command = one public function of ``neurodeploy.commands``. Nothing is computed here.

Results go to standard output (``--json``: as one JSON object), messages and progress to standard error. A failure is one
message and an exit code of its own (``neurodeploy.errors``), without a traceback.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.errors import NeurodeployError

app = typer.Typer(
    name="neurodeploy",
    help="Train sparse spiking networks, prove them bit-exact, and size them for a neuromorphic chip.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
chips_app = typer.Typer(no_args_is_help=True, help="Chips that networks can be mapped onto.")
app.add_typer(chips_app, name="chips")
data_app = typer.Typer(no_args_is_help=True, help="Data sets: which are known, which are there, and how to get them.")
app.add_typer(data_app, name="data")
bench_app = typer.Typer(no_args_is_help=True, help="Measurements on this machine, side by side with their peers.")
app.add_typer(bench_app, name="bench")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Replace results of an earlier run.")]
NirFile = Annotated[Path, typer.Argument(metavar="FILE", help="A .nir file, or a run's folder.")]
Data = Annotated[str, typer.Argument(metavar="DATA", help="An .npz file of samples, a run's folder, or a recipe.")]
ChipName = Annotated[str, typer.Option("--chip", help="Name of a chip, or a chip file.")]
NSamples = Annotated[int | None, typer.Option("--samples", min=1, help="Only so many samples.")]


def main() -> None:
    """Run the command line; the entry point of the program ``neurodeploy``."""
    try:
        app()
    except NeurodeployError as error:
        print(f"neurodeploy: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"neurodeploy: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        sys.exit(3)


@app.command(epilog="Example: neurodeploy demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo writes.")] = Path("runs/demo"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The whole path on real data: train, export, map, simulate on Lava, verify, estimate, report."""
    from neurodeploy import commands

    with _progress() as bar:
        result = commands.demo(out=out, force=force, say=_say if as_json else _print, progress=bar)
    if as_json:
        _print_json(result)


@app.command(epilog="Example: neurodeploy train digits-mlp --out runs/digits-mlp")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a shipped recipe.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default runs/NAME.")] = None,
    force: Force = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard as well.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network that is sparse from the first step, and keep its best checkpoint."""
    from neurodeploy import commands
    from neurodeploy.recipe import load_recipe

    epochs = load_recipe(recipe).training.epochs
    with _progress() as bar:
        result = commands.train(
            recipe,
            out=out,
            force=force,
            resume=resume,
            tensorboard=tensorboard,
            on_epoch=lambda m: bar(_epoch_line(m), m.epoch, epochs),
        )
    _show(result, as_json)


@app.command(epilog="Example: neurodeploy export runs/digits-mlp")
def export(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|FILE", help="A run's folder, a checkpoint, or a .net file of lava-dl.")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write, .nir or .net; by default RUN/model.nir.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a network's integers as a NIR file (or lava-dl's .net), read it back and compare."""
    from neurodeploy import commands

    _show(commands.export(source, out=out, force=force), as_json)


@app.command(epilog="Example: neurodeploy check runs/digits-mlp/model.nir")
def check(
    file: NirFile,
    fix: Annotated[Path | None, typer.Option(help="Write the repaired graph to this file.")] = None,
    draw: Annotated[Path | None, typer.Option(help="Write a drawing of the graph to this .svg file.")] = None,
    dt: Annotated[float | None, typer.Option(help="Length of a step in seconds, where the file does not say.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say of each node of a NIR file whether it can be taken over: faithful, approximate or unsupported."""
    from neurodeploy import commands

    report = commands.check(file, fix=fix, draw=draw, dt=dt, force=force)
    if as_json:
        print(report.to_json())
    else:
        _table("Node|Type|Verdict|Reason|Size", [(n.name, n.type, n.verdict, n.reason, n.size) for n in report.nodes])
        for repair in report.repairs:
            print(f"repair: {repair}")
    if not report.ok:
        raise typer.Exit(6)


@app.command(epilog="Example: neurodeploy diff old.nir new.nir")
def diff(
    a: Annotated[Path, typer.Argument(metavar="A.nir", help="A NIR file.")],
    b: Annotated[Path, typer.Argument(metavar="B.nir", help="Another one.")],
    metadata: Annotated[bool, typer.Option(help="Compare metadata too.")] = True,
    as_json: Json = False,
) -> None:
    """What differs between two NIR files, node by node; exit code 12 where anything does."""
    from neurodeploy import commands
    from neurodeploy.errors import MismatchError

    found = commands.diff(a, b, metadata=metadata)
    if as_json:
        _print_json(found)
    else:
        _table("Where|What", [(d["where"], d["what"]) for d in found])
    if found:
        raise typer.Exit(MismatchError.exit_code)


@app.command("map", epilog="Example: neurodeploy map runs/digits-mlp/model.nir --chip loihi2")
def map_(
    file: NirFile,
    chip: Annotated[str | None, typer.Option("--chip", help="Name of a chip, or a chip file.")] = None,
    split: Annotated[
        str, typer.Option(help="overlap, equal, mtkahypar, compiler or slayer2loihi: how layers are cut.")
    ] = "overlap",
    store_zeros: Annotated[
        bool, typer.Option("--store-zeros", help="Store the zeros of matrices, as Lava's Dense does on Loihi 2.")
    ] = False,
    search: Annotated[
        bool, typer.Option("--search", help="Find the smallest chip that fits; with --chip, the highest density.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the mapping to.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Does a network fit a chip, where does it lie, and if not: which limit binds, and what would make it fit."""
    from neurodeploy import commands
    from neurodeploy.errors import FitError, UsageError

    if search:
        _show_search(commands.search(file, chip=chip, split=split), as_json)
        return
    if chip is None:
        raise UsageError("map: name a chip: --chip NAME (see neurodeploy chips list), or --search for the smallest one")
    found, result = commands.map(file, chip=chip, split=split, store_zeros=store_zeros, out=out, force=force)
    if as_json:
        _print_json(result)
    elif found.fits:
        print(f"{file} fits {chip}: {result['cores']} cores, {_kib(result['synaptic_bytes'])}")
        layers = [
            (la["name"], la["cores"], _kib(la["synaptic_bytes"]), la["format"], la["bits_per_synapse"])
            for la in result["layers"]
        ]
        _table("Layer|Cores|Synaptic memory|Format|Bits a synapse", [tuple(_short(v) for v in row) for row in layers])
        rows = [(r.resource, r.used, r.limit, r.headroom, f"{r.share:.0%}", r.layer) for r in found.loads]
        _table("Resource of the fullest core|Used|Limit|Headroom|Share|Layer", rows)
        print(f"{result['messages_per_spike']:.2f} messages between cores a spike")
        for note in result["notes"]:
            print(note)
    if not found.fits and not as_json:
        remedies = [f"\n  {r.what}: {r.cores} cores, {_kib(r.synaptic_bytes)}" for r in found.remedies]
        raise FitError(found.error + ("\nremedies, each of them mapped:" + "".join(remedies) if remedies else ""))
    if not found.fits:
        raise typer.Exit(FitError.exit_code)


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
        _print_json(result.to_json())
    else:
        print(result.markdown())
    if not result.ok:
        raise typer.Exit(ReportError.exit_code)


@app.command(epilog="Example: neurodeploy simulate runs/digits-mlp runs/digits-mlp --engine event")
def simulate(
    file: NirFile,
    data: Data,
    engine: Annotated[str, typer.Option(help="event, reference, lava or lava-in-process: the same bits.")] = "event",
    samples: NSamples = None,
    timeout: Annotated[str | None, typer.Option(help="Time limit of engine lava, as in 60s.")] = None,
    out: Annotated[Path | None, typer.Option(help=".npz file to write the activity to.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a network on samples and count its spikes."""
    from neurodeploy import commands
    from neurodeploy.units import parse_seconds

    with _progress() as bar:
        summary = commands.simulate(
            file,
            data,
            engine=engine,
            n_samples=samples,
            timeout_s=parse_seconds(timeout, "--timeout") if timeout else None,
            out=out,
            force=force,
            say=_say,
            progress=lambda n, of: bar(engine, n, of),
        )[1]
    _show(summary, as_json)


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

    with _progress() as bar:
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
        _print_json(proof)
    else:
        rows = [(p["name"], p["places"], p["spikes"], p["different"]) for p in proof["populations"]]
        _table("Population|Places|Spikes|Different", rows)
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
        _print_json(rows)
    else:
        shown = [
            (r["fault"], f"{r['rate']:g}", f"{r['accuracy']:.2%}", f"{r['lowest']:.2%}", r["repeats"]) for r in rows
        ]
        _table("Fault|Rate|Accuracy|Lowest|Draws", shown)


@app.command(
    epilog="Example: neurodeploy estimate runs/digits-mlp --chip loihi2 --data runs/digits-mlp --deadline 10ms"
)
def estimate(
    file: NirFile,
    chip: ChipName,
    data: Annotated[str | None, typer.Option(help="Samples to run: an .npz file, a run's folder, or a recipe.")] = None,
    activity: Annotated[Path | None, typer.Option(help="Activity of an earlier run, instead of --data.")] = None,
    samples: NSamples = None,
    period: Annotated[str | None, typer.Option(help="Real time: length of a step, as in 1ms.")] = None,
    deadline: Annotated[str | None, typer.Option(help="Time allowed for a sample, as in 10ms.")] = None,
    rate: Annotated[str | None, typer.Option(help="Samples a second that must be done, as in 200Hz.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a network costs on a chip: memory, cores, energy, latency. Without data: memory and cores."""
    from neurodeploy import commands
    from neurodeploy.report import text_cost
    from neurodeploy.units import parse_hertz, parse_seconds

    cost = commands.estimate(
        file,
        chip=chip,
        data=data,
        activity=activity,
        n_samples=samples,
        step_period_s=parse_seconds(period, "--period") if period else None,
        deadline_s=parse_seconds(deadline, "--deadline") if deadline else None,
        rate_hz=parse_hertz(rate, "--rate") if rate else None,
    )
    if as_json:
        _print_json(cost.to_json())
    else:
        print(text_cost(cost))


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

    with _progress() as bar:
        result = commands.report(
            run,
            chips=chip or list(commands.DEMO_CHIPS),
            engines=[e.strip() for e in engines.split(",") if e.strip()],
            n_samples=samples,
            say=_say,
            progress=lambda n, of: bar("verify", n, of),
        )
    if as_json:
        _print_json(result["report"])
    else:
        print(Path(result["files"]["report_text"]).read_text(encoding="utf-8"))


@bench_app.command("simulate", epilog="Example: neurodeploy bench simulate --network 784-256-10 --json")
def bench_simulate(
    network: Annotated[list[str] | None, typer.Option(help="Only this network; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is timed.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the event-driven engine for batches.")] = 2,
    as_json: Json = False,
) -> None:
    """The event-driven engine beside Lava and a plain loop: medians, ratios, and whether the spikes are equal."""
    from neurodeploy import commands

    rows = commands.bench_simulate(
        rounds=rounds, threads=threads, networks=network or (), on_row=lambda r: _say(_bench_line(r))
    )
    _show_rows(rows, as_json)


@bench_app.command("methods", epilog="Example: neurodeploy bench methods --method esl-random --method static --json")
def bench_methods(
    out: Annotated[Path, typer.Option(help="Folder for rows and runs; finished rows are kept.")] = Path("runs/methods"),
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated.")] = None,
    densities: Annotated[str, typer.Option(help="Densities, as in 0.1,0.015.")] = "0.1,0.015",
    seeds: Annotated[str, typer.Option(help="Seeds, as in 0,1,2,3.")] = "0,1,2,3",
    as_json: Json = False,
) -> None:
    """Train every rewiring method on digits: accuracy of the exported integers, densities, seconds."""
    from neurodeploy import commands
    from neurodeploy.errors import UsageError

    try:
        numbers, whole = [float(d) for d in densities.split(",")], [int(s) for s in seeds.split(",")]
    except ValueError as error:
        raise UsageError(f"bench: {error}; give lists as in --densities 0.1,0.015 --seeds 0,1,2,3") from error
    rows = commands.bench_methods(
        out,
        methods=method or (),
        densities=numbers,
        seeds=whole,
        on_row=lambda r: _say(f"{r['method']} {r['density']} seed {r['seed']}: {r['accuracy']:.4f}"),
    )
    _show_rows(rows, as_json)


@chips_app.command("list", epilog="Example: neurodeploy chips list --json")
def chips_list(as_json: Json = False) -> None:
    """List the chips that networks can be mapped onto."""
    from neurodeploy.chip import chip_names, load_chip

    chips = [load_chip(name).chip for name in chip_names()]
    if as_json:
        _print_json([{"name": c.name, "title": c.title, "year": c.year} for c in chips])
    else:
        _table("Name|Chip|Year|Evidence", [(c.name, c.title, c.year, c.evidence) for c in chips])


@chips_app.command("show", epilog="Example: neurodeploy chips show loihi2")
def chips_show(
    name: Annotated[str, typer.Argument(help="Name of a chip, or a chip file.")], as_json: Json = False
) -> None:
    """Show every number of a chip with its unit, source and grade."""
    from neurodeploy import commands

    rows = commands.chip_rows(name)
    if as_json:
        _print_json(rows)
    else:
        _table("Key|Value|Unit|Grade|Source", [tuple(r.values()) for r in rows])


@chips_app.command("validate", epilog="Example: neurodeploy chips validate mine.toml")
def chips_validate(
    file: Annotated[Path, typer.Argument(help="A chip file.")],
    as_json: Json = False,
) -> None:
    """Check a chip file: every key, unit, source and grade."""
    from neurodeploy import commands

    rows = commands.chip_rows(str(file))
    if as_json:
        _print_json({"ok": True, "numbers": len(rows)})
    else:
        print(f"{file}: {len(rows)} numbers, each with unit, source and grade")


@chips_app.command("new", epilog="Example: neurodeploy chips new mine --base loihi2")
def chips_new(
    name: Annotated[str, typer.Argument(help="Name of the new chip.")],
    base: Annotated[str, typer.Option(help="Chip that it starts from.")] = "loihi2",
    out: Annotated[Path | None, typer.Option(help="File to write; by default NAME.toml.")] = None,
    force: Force = False,
) -> None:
    """Write a chip file to be filled in."""
    from neurodeploy import commands

    print(commands.new_chip(name, base=base, out=out, force=force))


DataRoot = Annotated[
    Path | None, typer.Option("--root", help="Folder of data sets; by default NEURODEPLOY_DATA or ./data.")
]


@data_app.command("list", epilog="Example: neurodeploy data list --root ~/data")
def data_list(root: DataRoot = None, as_json: Json = False) -> None:
    """List the data sets and which of them are there."""
    from neurodeploy.data.catalog import data_list as listed

    rows = listed(root)
    shown = ("name", "title", "kind", "classes", "train", "test", "present", "folder")
    _show_rows(rows if as_json else [{key: row[key] for key in shown} for row in rows], as_json)


@data_app.command("verify", epilog="Example: neurodeploy data verify MNIST --root ~/data")
def data_verify(
    name: Annotated[str, typer.Argument(help="Name of a data set.")], root: DataRoot = None, as_json: Json = False
) -> None:
    """Read a data set whole: counts, classes, and hashes where they are known."""
    from neurodeploy.data.catalog import data_verify as verified

    _show(verified(name, root), as_json)


@data_app.command("get", epilog="Example: neurodeploy data get MNIST --root ~/data")
def data_get(
    name: Annotated[str, typer.Argument(help="Name of a data set.")], root: DataRoot = None, as_json: Json = False
) -> None:
    """Fetch a data set through torchvision or tonic (extra data) into the folder of data sets."""
    from neurodeploy.data.catalog import data_get as fetched

    _show(fetched(name, root), as_json)


@app.command(epilog="Example: neurodeploy doctor")
def doctor(as_json: Json = False) -> None:
    """Say which Python, torch and Lava were found and what is broken."""
    from neurodeploy import commands

    result = commands.doctor()
    if as_json:
        _print_json(result)
    else:
        rows = [(c["state"], c["what"], c["found"] or "-", c["note"]) for c in result["checks"]]
        _table("State|What|Found|Note", rows)
    if not result["ok"]:
        raise typer.Exit(13)


def _explain(difference: dict[str, Any], diagnosis: dict[str, Any]) -> None:
    (a, b), (x, y) = difference["engines"], difference["values"]
    print(
        f"first difference: population '{difference['population']}', neuron {difference['neuron']}, step "
        f"{difference['step']} of sample {difference['sample']}: {a} has {x}, {b} has {y}"
    )
    print(f"cause: {diagnosis['cause']}: {diagnosis['departs']} departs from the definition: {diagnosis['why']}")
    print(
        f"in that step: summed input {diagnosis['summed_input']}, current {diagnosis['current']}, voltage "
        f"{diagnosis['voltage']}, threshold {diagnosis['threshold']}"
    )
    arriving = diagnosis["arriving"]
    _table("Arriving from|Neuron|Sent in step|Weight", [tuple(s.values())[1:] for s in arriving[:20]])
    if len(arriving) > 20:
        print(f"and {len(arriving) - 20} more")


def _print(line: str) -> None:
    print(line, flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def _show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(result)
        return
    for key, value in result.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        print(f"{key.replace('_', ' '):22} {shown}")


def _bench_line(row: dict[str, Any]) -> str:
    ratio = "different spikes" if row["ratio"] is None else f"{row['ratio']:.3g} times as fast"
    return (
        f"{row['network']} at {row['density']:.0%} density, {row['rate']:.0%} rate, batch {row['batch']}: "
        f"{row['ms']:.3g} ms a sample, {ratio} as {row['peer']}"
    )


def _show_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
    else:
        _table("|".join(rows[0]), [tuple(_short(v) for v in row.values()) for row in rows])


def _table(header: str, rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header.split("|"), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def _show_search(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(result)
        return
    found = result.get("smallest_chip", result)
    if found is None or found.get("share_of_weights", 1.0) is None:
        print("no known chip fits" if "smallest_chip" in result else "no density fits")
        return
    if "share_of_weights" in found:
        print(f"{found['share_of_weights']:.2%} of the weights fit (the smallest go first)")
    print(f"{found['chip']}: {found['cores']} cores, {_kib(found['synaptic_bytes'])}")


def _kib(n_bytes: int) -> str:
    return f"{n_bytes / 1024:.1f} KiB"


def _epoch_line(metrics: Any) -> str:
    return f"train: loss {metrics.loss:.3f}, validation {metrics.validation_accuracy:.1%}"


@contextmanager
def _progress() -> Iterator[Any]:
    """Give a function ``(text, done, of)`` that moves a progress bar on standard error; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def move(text: str, done: int, of: int) -> None:
            stage = text.split(":")[0]
            if stage not in tasks:
                tasks[stage] = progress.add_task(text, total=of)
            progress.update(tasks[stage], description=text, completed=done, total=of)

        yield move
