"""Drawings of NIR graphs as SVG, from the inputs on the left to the outputs on the right.

With a ``CheckReport`` each node has the colour of its verdict, and the reason as a tooltip.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurodeploy.exchange.nir.graph import Graph, Node, load_graph

if TYPE_CHECKING:
    import nir

    from neurodeploy.exchange.doctor.check import CheckReport

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 132, 46, 46, 22, 16
_COLOURS = {"faithful": "#d9ead3", "approximate": "#fff2cc", "unsupported": "#f4cccc", "": "#e8eef7"}
_LONGEST = 18


def draw_nir(source: Path | str | nir.NIRGraph | Graph, report: CheckReport | None = None) -> str:
    """Return the graph as SVG text: nodes with name, type and size, edges as arrows (dashed if they lead back).

    Raises:
        FileError: if the file is missing or damaged.
    """
    graph = load_graph(source)
    columns = _columns(graph)
    place = _places(columns)
    width = _MARGIN * 2 + max((x for x, _ in place.values()), default=0) + _WIDTH
    height = _MARGIN * 2 + max((y for _, y in place.values()), default=0) + _HEIGHT + _GAP_Y
    verdicts = {} if report is None else {node.name: (node.verdict, node.reason) for node in report.nodes}
    edges = [_edge(place[a], place[b], columns[a] >= columns[b]) for a, b in graph.edges if a in place and b in place]
    nodes = [_node(node, place[name], *verdicts.get(name, ("", ""))) for name, node in graph.nodes.items()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="sans-serif" font-size="12">',
            '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>',
            *edges,
            *nodes,
            "</svg>\n",
        ]
    )


def _columns(graph: Graph) -> dict[str, int]:
    """Return the column of each node: one more than its predecessors' largest; edges that close a cycle do not count."""
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.edges:
        if a in after and b in after:
            after[a].append(b)
    starts = [n for n, node in graph.nodes.items() if node.kind == "Input"]
    column = dict.fromkeys(starts, 0)
    front = list(starts)
    while front:
        front = list(dict.fromkeys(b for a in front for b in after[a] if b not in column))
        column.update(dict.fromkeys(front, max(column.values()) + 1))
    return {name: column.get(name, 0) for name in graph.nodes}


def _places(columns: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return the upper left corner of each node."""
    rows: dict[int, int] = {}
    place = {}
    for name, column in columns.items():
        row = rows.get(column, 0)
        rows[column] = row + 1
        place[name] = (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
    return place


def _node(node: Node, place: tuple[int, int], verdict: str, reason: str) -> str:
    x, y = place
    middle, kind = x + _WIDTH // 2, f"{node.kind} {_size(node)}".strip()
    label = node.name if len(node.name) <= _LONGEST else node.name[: _LONGEST - 1] + "…"
    return (
        f"<g><title>{escape(f'{node.name} ({node.kind}) {verdict} {reason}'.strip())}</title>"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{_COLOURS[verdict]}" stroke="#555"/>'
        f'<text x="{middle}" y="{y + 19}" text-anchor="middle" font-weight="bold">{escape(label)}</text>'
        f'<text x="{middle}" y="{y + 36}" text-anchor="middle">{escape(kind)}</text></g>'
    )


def _size(node: Node) -> str:
    """Return the shape of the node's largest field, or the shape of an Input or Output, as text."""
    if "shape" in node.fields:
        return "x".join(str(int(n)) for n in np.atleast_1d(node.fields["shape"]))
    arrays = [np.asarray(value) for value in node.fields.values() if not isinstance(value, str)]
    largest = max(arrays, key=lambda array: array.size, default=np.zeros(()))
    return "x".join(str(n) for n in largest.shape)


def _edge(start: tuple[int, int], end: tuple[int, int], back: bool) -> str:
    x1, y1, x2, y2 = start[0] + _WIDTH, start[1] + _HEIGHT // 2, end[0], end[1] + _HEIGHT // 2
    if back:
        low = max(start[1], end[1]) + _HEIGHT + _GAP_Y - 4
        x1, x2 = start[0] + _WIDTH // 2, end[0] + _WIDTH // 2
        path = f"M{x1},{start[1] + _HEIGHT} C{x1},{low} {x2},{low} {x2},{end[1] + _HEIGHT + 2}"
    else:
        half = (x2 - x1) // 2
        path = f"M{x1},{y1} C{x1 + half},{y1} {x2 - half},{y2} {x2 - 1},{y2}"
    dashes = ' stroke-dasharray="5 3"' if back else ""
    return f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"{dashes}/>'
