"""Picture of the messages from core to core: one pixel for each pair of cores, in the order of their layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurodeploy.mapping.places.traffic import Traffic
from neurodeploy.mapping.record import Mapping
from neurodeploy.reports.pictures.svg import LINE, MUTED, STEPS, Piece, png, ramp, rect, shortened, text, title

PIXELS = 1024
"""Largest number of rows and columns of the picture; if there are more cores, neighbours share pixels."""
TOLD_APART = 48
"""Largest number of cores for which each pair of cores has a tooltip; with more cores, each pair of layers has one."""


def traffic_piece(mapping: Mapping, flow: Traffic, side: float = 300) -> Piece:
    """Return the picture of messages from each core (row) to each core (column), with a separate row for the host on top.

    Messages that stay on their core are left out. Shades follow the logarithm of the messages.
    """
    order, groups = by_layer(mapping)
    between = flow.matrix[np.ix_(order, order)].copy()
    np.fill_diagonal(between, 0)
    host = flow.host[order]
    most = int(max(between.max(initial=0), host.max(initial=0)))
    left, top = 90, 84
    strip = min(24.0, max(8.0, side / (len(order) + 1))) if host.any() else 0.0
    gap = 5.0 if host.any() else 0.0
    below = top + strip + gap
    body = [
        _image(left, top, side, strip, host[None, :], most) if host.any() else "",
        _image(left, below, side, side, between, most),
        _lines(left, below, side, groups, len(order)),
        text(left - 8, top + strip - 1, "host", size=11, anchor="end") if host.any() else "",
        _names(left, below, side, top, groups, len(order)),
        *(_told(left, below, side, between, groups, len(order))),
        _legend(left, below + side + 14, most),
    ]
    return Piece(left + side + 44, below + side + 32, "".join(body))


def by_layer(mapping: Mapping) -> tuple[NDArray[np.int64], list[tuple[str, int, int]]]:
    """Return the cores in the order of layers, chips and cores, and for each layer its name, first place and end.

    A core that holds several populations is placed with the first of them.
    """
    names = list(mapping.sizes)
    number = np.array([names.index(next(iter(load.neurons))) for load in mapping.cores])
    order = np.argsort(number, kind="stable")
    groups = []
    for i, name in enumerate(names):
        start, stop = np.searchsorted(number[order], [i, i + 1]).tolist()
        if stop > start:
            groups.append((name, start, stop))
    return order, groups


def _image(x: float, y: float, width: float, height: float, values: NDArray[np.int64], most: int) -> str:
    shades = np.zeros(values.shape, np.uint8)
    if most:
        scaled = np.log1p(values) / np.log1p(most)
        shades = np.where(values > 0, 1 + np.minimum(STEPS - 1, scaled * STEPS), 0).astype(np.uint8)
    shades = _coarser(_coarser(shades).T).T
    address = png(np.ascontiguousarray(shades), ["#ffffff", *ramp()])
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" preserveAspectRatio="none" '
        f'style="image-rendering: pixelated" href="{address}"/>'
        + rect(x, y, width, height, "none", more=f' stroke="{LINE}"')
    )


def _coarser(shades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return at most ``PIXELS`` rows; neighbouring rows are merged to the darkest of their shades."""
    rows = len(shades)
    if rows <= PIXELS:
        return shades
    coarse: NDArray[np.uint8] = np.maximum.reduceat(shades, np.arange(PIXELS) * rows // PIXELS, axis=0)
    return coarse


def _lines(x: float, y: float, side: float, groups: list[tuple[str, int, int]], n: int) -> str:
    """Return lines between layers, and thinner lines between cores if there are at most ``TOLD_APART`` cores."""
    cores = range(1, n) if n <= TOLD_APART else range(0)
    layers = [start for _, start, _ in groups[1:]]
    return _grid(x, y, side / n, n, cores, LINE) + _grid(x, y, side / n, n, layers, MUTED)


def _grid(x: float, y: float, cell: float, n: int, at: Sequence[int], colour: str) -> str:
    path = "".join(f"M{x:g} {y + i * cell:.5g}h{n * cell:.5g}M{x + i * cell:.5g} {y:g}v{n * cell:.5g}" for i in at)
    return f'<path d="{path}" stroke="{colour}" stroke-width=".6" fill="none"/>' if path else ""


def _names(x: float, y: float, side: float, top: float, groups: list[tuple[str, int, int]], n: int) -> str:
    """Return the names of the layers that are wide enough for a name."""
    words, last = [], -12.0
    for name, start, stop in groups:
        middle = (start + stop) / 2 / n * side
        if middle - last >= 12:
            last = middle
            shown = shortened(name, 14)
            words.append(text(x - 8, y + middle + 4, shown, size=11, anchor="end"))
            words.append(
                text(0, 0, shown, size=11, more=f'transform="translate({x + middle + 4:g} {top - 6}) rotate(-50)"')
            )
    muted = f'style="fill: {MUTED}"'
    return "".join(words) + text(0, 12, "row: from, column: to", size=11, more=muted)


def _told(
    x: float, y: float, side: float, between: NDArray[np.int64], groups: list[tuple[str, int, int]], n: int
) -> list[str]:
    """Return an invisible rectangle with a tooltip for each pair of cores, or of layers if there are many cores."""
    parts = groups
    if n <= TOLD_APART:
        parts = [(f"{name}, part {i - start}", i, i + 1) for name, start, stop in groups for i in range(start, stop)]
    boxes = []
    for source, a, b in parts:
        for target, c, d in parts:
            messages = int(between[a:b, c:d].sum())
            if messages:
                box = (x + c / n * side, y + a / n * side, (d - c) / n * side, (b - a) / n * side)
                x0, y0, width, height = (round(v, 2) for v in box)
                words = title(f"{source} to {target}: {messages:,} messages")
                boxes.append(rect(x0, y0, width, height, "#fff", words, ' fill-opacity="0"'))
    return boxes


def _legend(x: float, y: float, most: int) -> str:
    """Return the legend: the shades of 1, 10, 100 messages and so on, up to the largest number."""
    if not most:
        return text(x, y + 10, "no messages between cores", size=11)
    colours, body, at = ramp(), [text(x, y + 10, "messages", size=11)], x + 58
    decades = [10**i for i in range(len(str(most))) if 10**i < most]
    for value in [*decades[:: 1 + len(decades) // 5], most]:
        shown = f"{value:,}"
        fraction = np.log1p(value) / np.log1p(most)
        body.append(rect(at, y + 1, 10, 10, colours[min(STEPS - 1, int(fraction * STEPS))]))
        body.append(text(at + 13, y + 10, shown, size=11))
        at += 20 + 7 * len(shown)
    return "".join(body)
