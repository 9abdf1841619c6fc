"""One simulation for several mappings: labels that separate the cores of all mappings, and the counts of each mapping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurodeploy.costs.row_sums import sums_of_rows
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network


def joint_labels(network: Network, mappings: Sequence[Mapping]) -> dict[str, NDArray[np.int32]]:
    """Return by population one label for each neuron, int32 ``(size,)``; neurons share a label if they share all cores.

    For ``simulate``; inputs that lie on cores are left out, because ``simulate`` counts no updates of inputs.

    Args:
        network: the network.
        mappings: at least one mapping of the network.
    """
    own = [mapping.core_labels() for mapping in mappings]
    names = [p.name for p in network.populations]
    rows = [np.stack([c.get(name, np.full(network.sizes[name], -1)) for c in own], axis=1) for name in names]
    _, joint = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    parts = np.split(joint.reshape(-1).astype(np.int32), np.cumsum([len(r) for r in rows])[:-1])
    return dict(zip(names, parts))


def updates_of(
    mapping: Mapping, labels: ReadOnlyDict[str, NDArray[np.int32]], updated: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the updated neurons of each core of one mapping, int64 ``(n_samples, n_steps, n_cores)``.

    Args:
        mapping: one of the mappings that ``joint_labels`` was called with.
        labels: the result of ``joint_labels``.
        updated: counts under these labels (``Activity.updated``), int64 ``(n_samples, n_steps, n_labels)``.
    """
    core = np.full(updated.shape[2], -1, np.int64)
    cores = mapping.core_labels()
    for name, label in labels.items():
        core[label] = cores.get(name, -1)
    by_core = np.argsort(core, kind="stable").astype(np.int32)
    start = np.searchsorted(core[by_core], np.arange(len(mapping.cores) + 1))
    sums = sums_of_rows(start, by_core, np.ascontiguousarray(updated.reshape(-1, updated.shape[2]).T)).T
    return sums.reshape(*updated.shape[:2], len(mapping.cores))
