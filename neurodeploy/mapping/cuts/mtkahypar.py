"""The split ``mtkahypar``: uses the hypergraph partitioner of that name (extra ``map``) to find parts with few messages."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import MissingPackageError, install_hint
from neurodeploy.mapping.cuts.hypergraph import Hypergraph
from neurodeploy.mapping.cuts.overlap import grouped_cut
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers

SEED = 0


def mtkahypar_cut(layers: Layers, population: str, cuts: dict[str, Cut], at_least: int = 1) -> Cut:
    """Return the cut of one population with few messages, or the equal cut if it is at least as good.

    Raises:
        FitError: if parts of one neuron break a limit of a core.
        MissingPackageError: without the package mtkahypar.
    """
    return grouped_cut(layers, population, cuts, at_least, partitioned)


def partitioned(graph: Hypergraph, parts: int) -> NDArray[np.int32]:
    """Return the part of each neuron, int32 ``(n,)``, with at most ``ceil(n / parts)`` neurons in a part.

    The partitioner runs in its deterministic mode and minimises "connectivity minus one".
    """
    package, library = _library()
    context = library.context_from_preset(package.PresetType.DETERMINISTIC)
    context.set_partitioning_parameters(parts, 0.0, package.Objective.KM1)
    context.logging = False
    package.set_seed(SEED)
    edges = [
        graph.pins[start:stop].tolist() for start, stop in zip(graph.edge_start[:-1], graph.edge_start[1:], strict=True)
    ]
    model = library.create_hypergraph(
        context, graph.n, len(edges), edges, [1] * graph.n, np.minimum(graph.weight, 2**31 - 1).tolist()
    )
    return np.array(model.partition(context).get_partition(), np.int32)


@cache
def _library() -> tuple[Any, Any]:
    try:
        import mtkahypar
    except ImportError as error:
        raise MissingPackageError(
            f"map: the split 'mtkahypar' needs the package mtkahypar: {install_hint('map')}, or use --split overlap"
        ) from error
    return mtkahypar, mtkahypar.initialize(1)
