"""Pictures of a mapping: cores by load, messages between cores, and synaptic memory by format.

``svg_mapping`` returns an SVG, which needs no package; ``html_mapping`` returns a page on which the resource can be chosen
(jinja2, extra ``report``). Both are self-contained.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from neurodeploy.errors import MissingPackageError, UsageError, install_hint
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import write_text
from neurodeploy.mapping.places.traffic import Traffic
from neurodeploy.mapping.record import Mapping
from neurodeploy.reports.figures import kib
from neurodeploy.reports.pictures.cores import (
    LAYER,
    chip_piece,
    chips_in_use,
    cores_piece,
    fills,
    layers_piece,
    ramp_piece,
    share,
    view_name,
    views,
)
from neurodeploy.reports.pictures.svg import (
    MUTED,
    Piece,
    below,
    beside,
    kind_colour,
    rect,
    render_svg,
    shortened,
    text,
    title,
)
from neurodeploy.reports.pictures.traffic import traffic_piece

WIDTH = 1080
"""Width of the SVG in pixels."""


def draw_mapping(mapping: Mapping, flow: Traffic, path: str | Path) -> None:
    """Write the picture of a mapping; the suffix of ``path`` selects the kind: ``.svg`` or ``.html``.

    Raises:
        UsageError: for another suffix.
        MissingPackageError: for ``.html`` without jinja2 (extra ``report``).
    """
    path = as_path(path)
    check_picture(path)
    write_text((html_mapping if path.suffix == ".html" else svg_mapping)(mapping, flow), path)


def check_picture(path: str | Path) -> None:
    """Refuse a picture of an unknown kind.

    Raises:
        UsageError: for a suffix that is neither ``.svg`` nor ``.html``.
    """
    path = as_path(path)
    if path.suffix not in (".svg", ".html"):
        raise UsageError(f"map: cannot draw {path}: end it in .html (a page) or .svg (a picture)")


def memory_by_format(mapping: Mapping) -> dict[str, dict[str, int]]:
    """Return the synaptic memory in bytes by layer and format; the largest format of a layer first."""
    memory: dict[str, Counter[str]] = {name: Counter() for name in mapping.sizes}
    for load in mapping.cores:
        for projection, words in load.words.items():
            memory[mapping.targets[projection]][load.formats[projection]] += words * mapping.word_bits // 8
    return {layer: dict(formats.most_common()) for layer, formats in memory.items()}


def svg_mapping(mapping: Mapping, flow: Traffic) -> str:
    """Return an SVG with the cores by resource, the messages and the memory."""
    in_row = 3 if mapping.n_chips <= 4 else 2 if mapping.n_chips <= 12 else 1
    width = (WIDTH - (in_row - 1) * 36) / in_row
    maps = [cores_piece(mapping, view, width) for view in views(mapping)]
    cores = below([ramp_piece(), beside(maps, WIDTH, gap=36), layers_piece(mapping, WIDTH)], gap=18)
    messages = below([_heading("Messages between cores", _message_words(flow)), traffic_piece(mapping, flow)], gap=12)
    memory = below([_heading("Synaptic memory by layer and format", ""), memory_piece(mapping, 560)], gap=12)
    top = _heading(f"{mapping.chip.chip.title}: {_count(len(mapping.cores), 'core')}", _facts(mapping))
    whole = below([top, cores, beside([messages, memory], WIDTH, gap=48)], gap=30)
    size = f'width="{WIDTH + 48}" style="background: #fff; max-width: 100%; height: auto"'
    return render_svg(whole, margin=24, attributes=size, label=f"Mapping on {mapping.chip.chip.title}") + "\n"


def _heading(words: str, more: str) -> Piece:
    body = text(0, 18, words, size=18) + (text(0, 36, more, size=12, more=f'style="fill: {MUTED}"') if more else "")
    return Piece(7.0 * max(len(more), 1.5 * len(words)), 40 if more else 22, body)


def _facts(mapping: Mapping) -> str:
    notes = [
        f"{_count(mapping.n_chips, 'chip')} of {mapping.chip.n_chips}",
        f"{kib(mapping.synaptic_bytes)} of synapses",
        f"split '{mapping.split}'",
        f"network {mapping.network[:12]}",
    ]
    return ", ".join(notes)


def _message_words(flow: Traffic) -> str:
    hops = "" if flow.hops is None else f", {flow.hops:,} hops"
    return f"{flow.per_spike:.2f} a spike, {flow.messages:,} in all{hops}"


def _count(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def memory_piece(mapping: Mapping, width: float) -> Piece:
    """Return the picture of the memory: one bar for each layer, stacked by format, with a legend of the formats."""
    memory, numbers = memory_by_format(mapping), _format_numbers(mapping)
    most = max((sum(formats.values()) for formats in memory.values()), default=0) or 1
    left, right = 110.0, 130.0
    body, y = [], 0.0
    for layer, formats in memory.items():
        x = left
        body.append(text(left - 8, y + 13, shortened(layer, 16), anchor="end"))
        for name, n_bytes in formats.items():
            length = n_bytes / most * (width - left - right)
            words = title(f"{layer}, {name}: {kib(n_bytes)}")
            body.append(rect(round(x, 2), y, round(length, 2), 18, kind_colour(numbers[name]), words))
            x += length
        body.append(text(x + 8, y + 13, kib(sum(formats.values()))))
        y += 26
    legend = beside([_format_entry(name, i) for name, i in numbers.items()], width)
    return below([Piece(width, y, "".join(body)), legend], gap=8)


def _format_entry(name: str, index: int) -> Piece:
    return Piece(26 + 6.2 * len(name), 12, rect(0, 0, 10, 10, kind_colour(index)) + text(15, 10, name, size=11))


def _format_numbers(mapping: Mapping) -> dict[str, int]:
    """Return a number for each format in use, in the order of the chip's file."""
    used = {name for formats in memory_by_format(mapping).values() for name in formats}
    if mapping.chip.microcontroller is not None:  # formats of the generated C, of which its file lists one
        return {name: i for i, name in enumerate(sorted(used))}
    return {f.name: i for i, f in enumerate(mapping.chip.synapse_format) if f.name in used}


def html_mapping(mapping: Mapping, flow: Traffic) -> str:
    """Return a page with the same pictures that needs no network connection; the resource of the core map can be chosen.

    Raises:
        MissingPackageError: without jinja2 (extra ``report``).
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"map: a page needs {error.name}, which is not installed; {install_hint('report')}, or draw an .svg"
        ) from error
    environment = Environment(
        loader=PackageLoader("neurodeploy.reports", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pictures = {
        "chips": [(chip, Markup(_chip_svg(mapping, chip))) for chip in chips_in_use(mapping)],
        "ramp": Markup(render_svg(ramp_piece(), attributes='width="290"', label="Colours of the load")),
        "layers": [(kind_colour(i), name, len(mapping.layer_cores(name))) for i, name in enumerate(mapping.sizes)],
        "traffic": Markup(
            render_svg(traffic_piece(mapping, flow, 220), attributes='width="100%"', label="Messages between cores")
        ),
        "formats": [(kind_colour(i), name) for name, i in _format_numbers(mapping).items()],
        "plotly": "",
    }
    return environment.get_template("map.html.j2").render(
        mapping=mapping, facts=_facts(mapping), messages=_message_words(flow), memory=_bars(mapping),
        loads=_loads(mapping), kib=kib, count=_count, **pictures,
    )  # fmt: skip


def _chip_svg(mapping: Mapping, chip: int) -> str:
    piece = chip_piece(mapping, chip, fills(mapping, views(mapping)[0]), 20, words=True)
    return render_svg(piece, attributes='width="100%"', label=f"Cores of chip {chip}")


def _loads(mapping: Mapping) -> dict[str, Any]:
    """Return the data for the page's script: views with their names, largest shares and colours."""
    chosen = views(mapping)
    most = {v: f"{max(share(load, v, mapping) for load in mapping.cores):.0%}" for v in chosen if v != LAYER}
    return {
        "views": [{"key": view, "name": view_name(view), "most": most.get(view, "")} for view in chosen],
        "fills": {view: fills(mapping, view) for view in chosen},
    }


def _bars(mapping: Mapping) -> list[dict[str, Any]]:
    """Return the bars of the page: for each layer its memory, and each format's share of the widest bar."""
    memory, numbers = memory_by_format(mapping), _format_numbers(mapping)
    most = max((sum(formats.values()) for formats in memory.values()), default=0) or 1
    return [
        {
            "layer": layer,
            "bytes": sum(formats.values()),
            "parts": [
                {"format": name, "bytes": n, "share": 100 * n / most, "colour": kind_colour(numbers[name])}
                for name, n in formats.items()
            ],
        }
        for layer, formats in memory.items()
    ]
