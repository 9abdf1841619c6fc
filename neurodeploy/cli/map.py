"""``neurodeploy map``: a network on a chip."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurodeploy.cli.program import Dt, Force, InputShape, Json, NirFile, ReadingText, app, reading_of
from neurodeploy.cli.show import kib, print_json, print_line, print_written, progress, say, short, table
from neurodeploy.units import plural

if TYPE_CHECKING:
    from neurodeploy.mapping.fit.verdict import Load


_TRIALS = 20
"""Mappings that a verdict with remedies takes, about."""


@app.command("map", epilog="Example: neurodeploy map runs/digits-mlp/model.nir --chip loihi2")
def map_(
    file: NirFile,
    chip: Annotated[str | None, typer.Option("--chip", help="Name of a chip, or a chip file.")] = None,
    reading: ReadingText = None,
    dt: Dt = None,
    input_shape: InputShape = None,
    split: Annotated[
        str, typer.Option(help="overlap, equal, mtkahypar, compiler or slayer2loihi: how layers are cut.")
    ] = "overlap",
    store_zeros: Annotated[
        bool, typer.Option("--store-zeros", help="Store the zeros of matrices, as Lava's Dense does on Loihi 2.")
    ] = False,
    search: Annotated[
        bool, typer.Option("--search", help="Find the smallest chip that fits; with --chip, the highest density.")
    ] = False,
    pin: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of what is fixed by hand: cores, split, weight_bits, parts with neurons and core."
        ),
    ] = None,
    activity: Annotated[
        Path | None, typer.Option(help="Activity of a run: busy neurons come together, messages are counted by spikes.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="memory (the default), energy or latency: what the mapping is chosen for.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the mapping to.")] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Page (.html) or picture (.svg) of cores, messages and memory to draw.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Does a network fit a chip, where does it lie, and if not: which limit binds, and what would make it fit."""
    from neurodeploy import commands
    from neurodeploy.errors import FitError, UsageError

    if search:
        if store_zeros or any(given is not None for given in (pin, activity, objective, out, draw)):
            raise UsageError("map: --search takes --chip and --split only; map to the chip that it finds")
        _show_search(
            commands.search(file, chip=chip, reading=reading_of(reading, dt, input_shape), split=split), as_json
        )
        return
    if chip is None:
        raise UsageError("map: name a chip: --chip NAME (see neurodeploy chips list), or --search for the smallest one")
    with progress() as bar:
        trials = count(1)
        found, result = commands.map(
            file,
            chip=chip,
            reading=reading_of(reading, dt, input_shape),
            split=split,
            store_zeros=store_zeros,
            pin=pin,
            activity=activity,
            objective=objective,
            out=out,
            draw=draw,
            force=force,
            say=say,
            tried=lambda target: bar(f"map: {target.name}", next(trials), _TRIALS),
        )
    if as_json:
        print_json(result)
        if not found.fits:
            raise typer.Exit(FitError.exit_code)
        return
    if not found.fits:
        remedies = [f"\n  {r.what}: {r.cores} cores, {kib(r.synaptic_bytes)}" for r in found.remedies]
        raise FitError(found.error + ("\nremedies, each of them mapped:" + "".join(remedies) if remedies else ""))
    print_line(f"{file} fits {chip}: {plural(result['cores'], 'core')}, {kib(result['synaptic_bytes'])}")
    _show_mapping(result, found.loads)
    print_written(out, draw)


def _show_mapping(result: dict[str, Any], loads: Iterable[Load]) -> None:
    layers = [
        (la["name"], la["cores"], kib(la["synaptic_bytes"]), la["format"], la["bits_per_synapse"])
        for la in result["layers"]
    ]
    table("Layer|Cores|Synaptic memory|Format|Bits a synapse", [tuple(short(v) for v in row) for row in layers])
    rows = [(r.resource, r.used, r.limit, r.headroom, f"{r.share:.0%}", r.layer) for r in loads]
    table("Resource of the fullest core|Used|Limit|Headroom|Share|Layer", rows)
    print_line(f"{result['messages_per_spike']:.2f} messages between cores a spike")
    for note in result["notes"]:
        print_line(note)
    if result["objectives"]:
        print_line(_other_objectives(result))


def _other_objectives(result: dict[str, Any]) -> str:
    """Return in one line what a mapping for each objective gives."""
    from neurodeploy.reports.figures import si

    parts = []
    for name, found in result["objectives"].items():
        energy = "" if found["energy_j"] is None else f", {si(found['energy_j'], 'J', 2)} in the cores"
        time = "" if found["sample_s"] is None else f", {si(found['sample_s'], 's', 2)} a sample"
        here = " (this one)" if name == result["objective"] else ""
        parts.append(f"{name}{here} {found['cores']} cores, {kib(found['synaptic_bytes'])}{energy}{time}")
    assumed = next(iter(result["objectives"].values()))["spikes"] == "assumed"
    rate = "; 20 steps at an assumed rate of 5 %, --activity for recorded spikes" if assumed else ""
    return f"--objective: {'; '.join(parts)}{rate}"


def _show_search(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    found = result.get("smallest_chip", result)
    if found is None or found.get("share_of_weights", 1.0) is None:
        print_line("no known chip fits" if "smallest_chip" in result else "no density fits")
        return
    if "share_of_weights" in found:
        print_line(f"{found['share_of_weights']:.2%} of the weights fit (the smallest go first)")
    print_line(f"{found['chip']}: {plural(found['cores'], 'core')}, {kib(found['synaptic_bytes'])}")
