"""``neurodeploy data list|verify|get|convert``: data sets, and files of events and arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from neurodeploy.cli.program import Force, Json, data_app
from neurodeploy.cli.show import print_json, print_line, show_rows

DataRoot = Annotated[
    Path | None, typer.Option("--root", help="Folder of data sets; by default NEURODEPLOY_DATA or ./data.")
]


@data_app.command("list", epilog="Example: neurodeploy data list --root ~/data")
def data_list(root: DataRoot = None, as_json: Json = False) -> None:
    """List the data sets and which of them are there."""
    from neurodeploy.data.catalog import list_data_sets as listed

    rows = listed(root)
    shown = ("name", "title", "kind", "classes", "train", "test", "present", "folder")
    show_rows(rows if as_json else [{key: row[key] for key in shown} for row in rows], as_json)


@data_app.command("verify", epilog="Example: neurodeploy data verify MNIST --root ~/data")
def data_verify(
    name: Annotated[str, typer.Argument(help="Name of a data set, as MNIST or N-MNIST.")],
    root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Read a data set whole: counts, classes, events, and hashes where they are known.

    Exit code 0 for the whole set and for a subset of it, 14 for damaged files, files that are not as published, and samples
    without events.
    """
    from neurodeploy.data.catalog import verify_data_set as verified
    from neurodeploy.errors import DataError

    found = verified(name, root)
    _show_set(found, as_json)
    if found["verdict"] == "differs":
        raise typer.Exit(DataError.exit_code)


@data_app.command("get", epilog="Example: neurodeploy data get MNIST --root ~/data")
def data_get(
    name: Annotated[str, typer.Argument(help="Name of a data set.")], root: DataRoot = None, as_json: Json = False
) -> None:
    """Fetch a data set through torchvision or tonic (extra data) into the folder of data sets."""
    from neurodeploy.data.catalog import fetch_data_set as fetched

    _show_set(fetched(name, root), as_json)


@data_app.command(
    "convert",
    epilog="Example: neurodeploy data convert recording.aedat4 --out samples.npz --window 100ms --dt 1ms\n\n"
    "neurodeploy data convert folder-with-one-folder-a-class --out train.npz --steps 20 --duration 1.5s --pool 4",
)
def data_convert(
    source: Annotated[Path, typer.Argument(help="A file of events or arrays, or a folder with one folder a class.")],
    out: Annotated[Path, typer.Option(help="The .npz file of samples to write.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps of a sample.")] = None,
    dt: Annotated[str | None, typer.Option("--dt", help="Length of a step, as in 1ms.")] = None,
    duration: Annotated[str | None, typer.Option(help="Read the first part of each recording, as in 1.5s.")] = None,
    window: Annotated[str | None, typer.Option(help="Cut each recording into samples of this length.")] = None,
    crop: Annotated[str | None, typer.Option(help="Keep the middle of a camera's picture, HEIGHTxWIDTH.")] = None,
    pool: Annotated[int, typer.Option(min=1, help="Then merge squares of so many by so many pixels.")] = 1,
    polarity: Annotated[str, typer.Option(help="separate, merged, on or off.")] = "separate",
    labels: Annotated[str | None, typer.Option(help="none, a class for all samples, or a file of labels.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Unit of times in arrays: s, ms, us or ns.")] = None,
    sensor: Annotated[
        str | None, typer.Option(help="Where the file does not tell: 2x34x34, 700, or a camera's name as DVS128.")
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="Axes of arrays: NTC (samples, steps, channels), TNC or NCT.")
    ] = None,
    counts: Annotated[bool, typer.Option("--counts", help="Payloads that count events, not plain spikes.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write recordings or arrays as a file of samples: AEDAT, Prophesee RAW and DAT, .bin, HDF5, .mat, CSV, .npz, .npy."""
    from neurodeploy.commands.data import convert
    from neurodeploy.errors import UsageError
    from neurodeploy.units import parse_seconds

    if polarity not in ("separate", "merged", "on", "off"):
        raise UsageError(f"data: --polarity is '{polarity}'; known: separate, merged, on, off")
    made = convert(
        source,
        out,
        n_steps=steps,
        dt_s=parse_seconds(dt, "--dt") if dt else None,
        duration_s=parse_seconds(duration, "--duration") if duration else None,
        window_s=parse_seconds(window, "--window") if window else None,
        crop=_crop(crop),
        pool=pool,
        polarity=polarity,  # type: ignore[arg-type]
        labels=labels,
        time_unit=unit,
        sensor=_sensor(sensor),
        axes=axes,
        counts=counts,
        force=force,
    )
    if as_json:
        print_json(made)
        return
    for key, text in _converted(made):
        print_line(f"{key:12} {text}")


def _crop(text: str | None) -> tuple[int, int] | None:
    from neurodeploy.errors import UsageError

    if text is None:
        return None
    sizes = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if sizes is None:
        raise UsageError(f"data: --crop is '{text}'; give height and width, as in 32x32")
    return int(sizes[1]), int(sizes[2])


def _sensor(text: str | None) -> tuple[int, ...] | str | None:
    """Return the shape of a sensor, or the name of a camera."""
    if text is None or not re.fullmatch(r"\d{1,6}(x\d{1,6}){0,2}", text):
        return text
    sizes = tuple(map(int, text.split("x")))
    return (2, *sizes) if len(sizes) == 2 else sizes


def _show_set(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for key, text in _verified(found):
        print_line(f"{key:12} {text}")


def _verified(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines about a data set: what each is about, and what it says."""
    words = {
        "complete": "complete",
        "subset": "a subset, nothing wrong with it",
        "differs": "complete, but files differ from those published",
    }
    parts = [(part, found[part], found[f"expected_{part}"]) for part in ("train", "test") if found[part] is not None]
    samples = " and ".join(f"{n:,} {part}{f' of {of:,}' if of else ''}" for part, n, of in parts)
    lines = [
        (found["name"], f"{words[found['verdict']]}, in {found['root']}"),
        ("samples", samples),
        ("shape", f"{'x'.join(map(str, found['shape']))}"),
        ("classes", _spread(found["per_class"], f"{len(found['per_class'])} classes")),
    ]
    if found["events"]:
        lines += _event_lines(found["events"])
    lines += [("file", f"{file}: {state}") for file, state in found["hashes"].items()]
    return lines


def _event_lines(events: dict[str, Any]) -> list[tuple[str, str]]:
    each = (
        f"{events['fewest']:,}" if events["fewest"] == events["most"] else f"{events['fewest']:,} to {events['most']:,}"
    )
    lines = [("events", f"{events['all']:,}, {each} a sample, the last at {events['last_s']:.6g} s")]
    outside = f"{events['outside']:,} after the time that is read"
    lines.append(("left out", f"{outside}{_dropped(events['dropped'])}"))
    if events["empty"]:
        lines.append(("empty", f"{events['empty']:,} samples without an event"))
    return lines


def _dropped(dropped: dict[str, int]) -> str:
    return "".join(f"; {n:,} {kind}" for kind, n in dropped.items())


def _spread(per_class: list[int], what: str) -> str:
    low, high = min(per_class, default=0), max(per_class, default=0)
    return f"{what}, {low:,} samples each" if low == high else f"{what}, {low:,} to {high:,} samples each"


def _converted(made: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines about a file of samples that was made."""
    shape = "x".join(map(str, made["shape"]))
    payloads = "" if made["payloads"] is None else f", payloads {made['payloads'][0]} to {made['payloads'][1]}"
    lines = [
        ("samples", f"{made['samples']:,} of {made['steps']:,} steps and {shape} channels, in {made['path']}"),
        ("spikes", f"{made['spikes']:,}{payloads}"),
    ]
    lines += [("read as", camera) for camera in made["cameras"]]
    if made["events"] is not None:
        lines.append(
            ("events", f"{made['events']:,}, of which {made['outside']:,} lie outside the time or place that is read")
        )
    if made["dropped"]:
        lines.append(("left out", _dropped(made["dropped"]).removeprefix("; ")))
    if made["empty"]:
        lines.append(("empty", f"{made['empty']:,} samples without an event"))
    if made["per_class"] is None:
        lines.append(("labels", "none"))
    else:
        each = ", one in each step" if made["labelled"] == "steps" else ""
        lines.append(("labels", _spread(made["per_class"], f"{len(made['per_class'])} classes{each}")))
        lines += [(f"class {i}", f"{name}, {made['per_class'][i]:,} samples") for i, name in enumerate(made["classes"])
                  if i < len(made["per_class"])]  # fmt: skip
    return lines
