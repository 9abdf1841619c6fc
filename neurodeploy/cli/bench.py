"""``neurodeploy bench methods|simulate|train|silicon|microcontrollers``: measurements on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import Force, Json, bench_app
from neurodeploy.cli.show import print_written, say, show, show_rows


@bench_app.command(
    "methods",
    epilog="Example: neurodeploy bench methods --recipe mnist-mlp --data-root data --method dense --method esl-random "
    "--densities 0.1 --seeds 0,1,2 --jobs 2 --json",
)
def bench_methods(
    out: Annotated[Path, typer.Option(help="Folder for rows and runs; finished rows are kept.")] = Path("runs/methods"),
    recipe: Annotated[
        str, typer.Option(help="A recipe file, or the name of a shipped recipe: data, network and optimiser.")
    ] = "digits-bench",
    data_root: Annotated[Path | None, typer.Option(help="Folder with the data sets.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only this method; may be repeated.")] = None,
    densities: Annotated[str, typer.Option(help="Densities, as in 0.1,0.015.")] = "0.1,0.015",
    seeds: Annotated[str, typer.Option(help="Seeds, as in 0,1,2,3.")] = "0,1,2,3",
    jobs: Annotated[int, typer.Option(min=1, help="Rows trained at the same time, one process each.")] = 1,
    table: Annotated[
        Path | None, typer.Option(help="Train nothing; write all rows in the folder as a page with pictures here.")
    ] = None,
    zoo: Annotated[
        Path | None,
        typer.Option(help="Train nothing; write the networks of finished rows here, NAME.nir and NAME.json."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train rewiring methods on one recipe: accuracy of the exported integers, densities, operations, cores, seconds."""
    from neurodeploy import commands
    from neurodeploy.commands.bench import methods_table, methods_zoo
    from neurodeploy.errors import UsageError

    if table is not None:
        page = methods_table(out, table)
        verdicts = page.pop("verdicts")
        show({**page, "verdicts": verdicts} if as_json else page, as_json)
        if not as_json:
            show_rows(verdicts, as_json)
        return
    try:
        numbers, whole = [float(d) for d in densities.split(",")], [int(s) for s in seeds.split(",")]
    except ValueError as error:
        raise UsageError(f"bench: {error}; give lists as in --densities 0.1,0.015 --seeds 0,1,2,3") from error
    if zoo is not None:
        written = methods_zoo(out, zoo, methods=method or (), densities=numbers, seeds=whole, force=force)
        shown = written if as_json else [{key: network[key] for key in _WRITTEN} for network in written]
        show_rows(shown, as_json)
        return
    rows = commands.bench_methods(
        out,
        methods=method or (),
        densities=numbers,
        seeds=whole,
        recipe=recipe,
        data_root=data_root,
        jobs=jobs,
        on_row=lambda row: say(_row_line(row)),
    )
    shown = rows if as_json else [{key: row[key] for key in _SHOWN} for row in rows]
    show_rows(shown, as_json)


_SHOWN = (
    "data",
    "method",
    "density",
    "seed",
    "accuracy",
    "parameter_density",
    "nonzero_density",
    "synaptic_operations_per_sample",
    "cores_loihi2",
    "kib_loihi2",
    "seconds",
)
"""Columns of a row that fit into the table on a terminal."""
_WRITTEN = ("file", "bytes", "accuracy", "mask_density", "seed")


def _row_line(row: dict[str, Any]) -> str:
    note = f" ({row['note']})" if row.get("note") else ""  # rows kept from earlier versions have none
    return f"{row['recipe']} {row['method']} {row['density']} seed {row['seed']}: {row['accuracy']:.4f}{note}"


@bench_app.command("simulate", epilog="Example: neurodeploy bench simulate --network 784-256-10 --json")
def bench_simulate(
    network: Annotated[list[str] | None, typer.Option(help="Only this network; may be repeated.")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this peer; may be repeated: numba-scatter, c, lava, slayer, snntorch, spikingjelly, sanafe, "
            "nengo-loihi."
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


@bench_app.command("train", epilog="Example: neurodeploy bench train --network 784-512-10 --density 0.1 --json")
def bench_train(
    network: Annotated[list[str] | None, typer.Option(help="Only this network; may be repeated.")] = None,
    density: Annotated[list[float] | None, typer.Option(help="Only this density; may be repeated.")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this peer; may be repeated: slayer-masked, dense-fused, snntorch, norse, spikingjelly."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant is timed.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each contestant.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write the table to.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A training step over stored connections beside dense masked ones: processor time, peak memory, equal spikes.

    Other frameworks are looked for in this Python and in those that NEURODEPLOY_TRAIN_PYTHONS names.
    """
    from neurodeploy import commands

    def told(row: dict[str, Any]) -> None:
        ratio = "different spikes" if row["ratio"] is None else f"{row['ratio']:.3g} times as fast"
        memory = "" if row["memory_ratio"] is None else f", {row['memory_ratio']:.3g} times less memory"
        say(
            f"{row['network']} at {row['density']:.0%} density, {row['rate']:.0%} rate: {row['ms']:.3g} ms a step, "
            f"{ratio} as {row['peer']}{memory}"
        )

    rows = commands.bench_train(
        rounds=rounds,
        threads=threads,
        networks=network or (),
        densities=density or (),
        peers=peer or (),
        out=out,
        force=force,
        on_row=told,
        say=say,
    )
    show_rows(rows, as_json)
    if not as_json:
        print_written(out)


@bench_app.command(
    "silicon",
    epilog="Example: neurodeploy bench silicon --out docs/silicon.md --force   or   "
    "neurodeploy bench silicon --facts mine.toml --json",
)
def bench_silicon(
    facts: Annotated[
        Path | None, typer.Option(help="Facts to compare with, by default those of the package (docs/facts.md).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write the table to.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Estimates beside measurements of chips, hits and misses alike, and how many lie inside; about a minute."""
    from neurodeploy.bench.silicon import bench_silicon

    rows = bench_silicon(facts=facts, out=out, force=force, say=say)
    named = ("workload", "quantity", "kind", "boundary", "role", "activity", "unit")
    columns = (*named, "measured", "low", "nominal", "high", "inside", "inside_left_out")
    show_rows(rows if as_json else [{name: row[name] for name in columns} for row in rows], as_json)
    if not as_json:
        print_written(out)


@bench_app.command(
    "microcontrollers", epilog="Example: neurodeploy bench microcontrollers --core cortex-m4 --small --json"
)
def bench_microcontrollers(
    core: Annotated[
        list[str] | None,
        typer.Option(help="Only this core; may be repeated. By default all whose tools are installed."),
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="Fewer networks.")] = False,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write the table to.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Instructions, flash and RAM of generated C, counted in emulation, beside what estimates and mappings predict."""
    from neurodeploy.targets.c.predictions import available, bench_microcontrollers, cores_of_parts

    def told(row: dict[str, Any]) -> None:
        say(
            f"{row['core']}, {row['network']} at {row['density']:.0%}, rate {row['rate']:.1%}: {row['instructions']:,.0f} "
            f"instructions a step, predicted {row['instructions_off']:+.1%}; flash {row['flash_off']:+.2%}"
        )

    cores = core or available(cores_of_parts())
    rows = bench_microcontrollers(cores, small=small, out=out, force=force, on_row=told)
    columns = ("core", "network", "density", "rate", "instructions", "instructions_off", "flash", "flash_off", "ram")
    show_rows(rows if as_json else [{name: row[name] for name in columns} for row in rows], as_json)
    if not as_json:
        print_written(out)
