"""Pieces of SVG: text, colours, an array of numbers as PNG, and the layout of pieces. Needs no package."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INK, MUTED, LINE, EMPTY = "#1d2733", "#667085", "#e4e7ec", "#eef0f2"
RAMP = ("#dcebf3", "#6ea8c6", "#174a68")
"""Colours for a share of 0, 1/2 and 1: one hue that grows darker, so that it can be read without colour too."""
KINDS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#4d4d4d")
"""Colours for categories that colour-blind readers can tell apart (Okabe and Ito 2008)."""
STEPS = 64
"""Number of shades that ``ramp`` makes from ``RAMP``."""
FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


class Piece(NamedTuple):
    """Part of a picture: its size in pixels and its SVG elements."""

    width: float
    height: float
    body: str


def kind_colour(index: int) -> str:
    """Return the colour of category ``index``; colours repeat after eight."""
    return KINDS[index % len(KINDS)]


def ramp() -> list[str]:
    """Return ``STEPS`` colours for shares from 0 to 1, as ``#rrggbb``."""
    ends = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in RAMP], float)
    at = np.linspace(0, len(RAMP) - 1, STEPS)
    mixed = np.stack([np.interp(at, np.arange(len(RAMP)), channel) for channel in ends.T], axis=1)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.rint(mixed).astype(int).tolist()]


def shade(share: float) -> int:
    """Return the index in ``ramp`` for a share of 0..1."""
    return min(STEPS - 1, int(share * STEPS))


def text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start", more: str = "") -> str:
    """Return a line of text whose baseline is at ``y``; ``more`` holds further attributes."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, fill: str, inside: str = "", more: str = "") -> str:
    """Return a filled rectangle; ``inside`` holds elements such as a title, ``more`` further attributes."""
    opened = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}"{more}'
    return f"{opened}>{inside}</rect>" if inside else f"{opened}/>"


def title(words: str) -> str:
    """Return a title element, which a browser shows as a tooltip."""
    return f"<title>{escape(words)}</title>"


def shortened(words: str, longest: int) -> str:
    """Return the text, cut to ``longest`` characters with an ellipsis at the end if it is longer."""
    return words if len(words) <= longest else words[: longest - 1] + "…"


def beside(pieces: Sequence[Piece], width: float, gap: float = 24) -> Piece:
    """Return the pieces placed from left to right, in rows that are at most ``width`` wide."""
    body, x, y, row, widest = [], 0.0, 0.0, 0.0, 0.0
    for piece in pieces:
        if x and x + piece.width > width:
            x, y, row = 0.0, y + row + gap, 0.0
        body.append(f'<g transform="translate({x:g} {y:g})">{piece.body}</g>')
        widest, row = max(widest, x + piece.width), max(row, piece.height)
        x += piece.width + gap
    return Piece(widest, y + row, "\n".join(body))


def below(pieces: Sequence[Piece], gap: float = 24) -> Piece:
    """Return the pieces placed one below the other."""
    return beside(pieces, 0, gap)


def render_svg(piece: Piece, *, margin: float = 0, attributes: str = "", label: str = "") -> str:
    """Return a piece as a complete SVG element, with ``label`` for screen readers."""
    width, height = piece.width + 2 * margin, piece.height + 2 * margin
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-margin:g} {-margin:g} {width:g} {height:g}" role="img" '
        f'aria-label="{escape(label)}" font-family="{FONT}" fill="{INK}" {attributes}>\n{piece.body}\n</svg>'
    )


def png(shades: NDArray[np.uint8], colours: Sequence[str]) -> str:
    """Return a PNG as a ``data:`` address, one pixel for each number in ``(rows, columns)``, an index into ``colours``."""
    rows, columns = shades.shape
    lines = np.zeros((rows, columns + 1), np.uint8)
    lines[:, 1:] = shades
    palette = bytes.fromhex("".join(colour[1:] for colour in colours))
    parts = (
        (b"IHDR", struct.pack(">2I5B", columns, rows, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    data = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + data).decode()
