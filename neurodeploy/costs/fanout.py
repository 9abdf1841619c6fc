"""Events that one spike of each neuron causes: synapses read on each core, messages, hops.

A spike reads every stored synapse of its list on a core, filled-in zeros included where the format stores them. It travels
as one message to each core that holds a list of its neuron.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip.rules import list_rule
from neurodeploy.errors import EstimateError
from neurodeploy.mapping.memory.parts import Cut, lists_on
from neurodeploy.mapping.memory.synapses import Matrix, delay_bits, matrix_of
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import Conv, Network, Pool, Projection


@dataclass(frozen=True, slots=True, eq=False)
class FanOut:
    """The events that one spike causes, for each of the ``n`` neurons of one population or input.

    Args:
        source: name of the population or input.
        core: core of each neuron, int32 ``(n,)``; None for an input whose spikes the host injects.
        cores: destination cores, rising, int64 ``(n_cores,)``.
        reads: synapse format -> synapses read on each destination core, int64 ``(n, n_cores)``.
        reached: whether a message goes to the core, bool ``(n, n_cores)``.
        effective: synapses with non-zero weight that are read, on all cores, int64 ``(n,)``.
        hops_ew, hops_ns: routers that the messages of a spike cross, summed over all destinations on the same chip,
            int64 ``(n,)``; None where the chip file gives no mesh or the host injects.
        crossings: messages to another chip, int64 ``(n,)``.
    """

    source: str
    core: NDArray[np.int32] | None
    cores: NDArray[np.int64]
    reads: dict[str, NDArray[np.int64]]
    reached: NDArray[np.bool_]
    effective: NDArray[np.int64]
    hops_ew: NDArray[np.int64] | None
    hops_ns: NDArray[np.int64] | None
    crossings: NDArray[np.int64]

    @property
    def messages(self) -> NDArray[np.int64]:
        """Number of messages of one spike, int64 ``(n,)``."""
        n: NDArray[np.int64] = np.sum(self.reached, axis=1, dtype=np.int64)
        return n


def fan_outs(network: Network, mapping: Mapping) -> list[FanOut]:
    """Return the fan-out of every population and input of the network.

    Raises:
        EstimateError: if the mapping does not hold the synapses of this network.
    """
    labels = mapping.core_labels()
    return [_fan_out(name, network, mapping, labels) for name in network.sizes]


def _fan_out(name: str, network: Network, mapping: Mapping, labels: dict[str, NDArray[np.int32]]) -> FanOut:
    outgoing = [p for p in network.projections if p.source == name]
    cores = np.unique(np.concatenate([labels[p.target] for p in outgoing] or [np.zeros(0, np.int32)])).astype(np.int64)
    n = network.sizes[name]
    reads: dict[str, NDArray[np.int64]] = {}
    reached, effective = np.zeros((n, cores.size), np.bool_), np.zeros(n, np.int64)
    for p in outgoing:
        # Unrolling a convolution takes most of the time here, so it is done once, zeros included.
        matrix = matrix_of(p, zeros=isinstance(p.synapses, Conv | Pool))
        stored = _reads(p, matrix, mapping, labels[p.target], cores)
        reached |= stored > 0
        effective += np.bincount(_nonzero(matrix).source, minlength=n)
        for at, core in enumerate(cores):
            fmt = mapping.cores[core].formats.get(p.name)
            if fmt is not None:
                reads.setdefault(fmt, np.zeros((n, cores.size), np.int64))[:, at] += stored[:, at]
    own = labels.get(name)
    ew, ns, crossings = _distances(mapping, own, cores, reached)
    return FanOut(name, own, cores, reads, reached, effective, ew, ns, crossings)


def stored_reads(
    projection: Projection, mapping: Mapping, labels: NDArray[np.int32], cores: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the synapses that a spike of each source neuron reads on each core, int64 ``(n_source, n_cores)``.

    Args:
        projection, mapping: the synapses and their places.
        labels: index into ``mapping.cores`` of each neuron of the projection's target.
        cores: the indices of the cores to count for, rising.
    """
    matrix = matrix_of(projection, zeros=isinstance(projection.synapses, Conv | Pool))
    return _reads(projection, matrix, mapping, labels, cores)


def _nonzero(matrix: Matrix) -> Matrix:
    kept = matrix.weight != 0
    return replace(matrix, source=matrix.source[kept], target=matrix.target[kept], weight=matrix.weight[kept])


def _reads(
    projection: Projection, matrix: Matrix, mapping: Mapping, labels: NDArray[np.int32], cores: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the synapses that a spike of each source neuron reads on each core, int64 ``(n_source, n_cores)``."""
    here = np.unique(labels)
    cut = Cut(np.searchsorted(here, labels).astype(np.int32), here.size)
    loads = [mapping.cores[core] for core in here]
    by_part = _shared_reads(projection, matrix, mapping, cut, loads)
    if by_part is None:
        by_part = _list_reads(projection, matrix, mapping, cut, loads)
    reads = np.zeros((by_part.shape[0], cores.size), np.int64)
    reads[:, np.searchsorted(cores, here)] = by_part
    return reads


def _shared_reads(
    projection: Projection, matrix: Matrix, mapping: Mapping, cut: Cut, loads: list[CoreLoad]
) -> NDArray[np.int64] | None:
    """Return the reads of a connection with shared kernels, None if the connection is stored as lists.

    If kernels are stored with their zeros, a spike reads every tap that falls inside the image, else only non-zero taps.
    """
    shared = {f.name: f for f in mapping.chip.synapse_format if f.connection == "shared"}
    used = {load.formats.get(projection.name) for load in loads} & shared.keys()
    if not used:
        return None
    if not any(shared[name].stores_zeros for name in used if name):
        matrix = _nonzero(matrix)
    return _table(matrix.source, cut.labels[matrix.target], matrix.n_source, cut.n_parts)


def _list_reads(
    projection: Projection, matrix: Matrix, mapping: Mapping, cut: Cut, loads: list[CoreLoad]
) -> NDArray[np.int64]:
    """Return the reads of lists, checked against the number of synapses that each core stores according to the mapping.

    A mapping may store the zeros of a matrix (Lava's Dense process on Loihi 2), and then stores more than the non-zeros.
    """
    name = projection.name
    layouts = [(load.formats[name], load.weight_bits[name]) if name in load.formats else None for load in loads]
    expected = [load.stored.get(name, 0) for load in loads]
    delay = delay_bits(projection, mapping.chip)
    for zeros in (False, True):
        kept = matrix_of(projection, zeros=True) if zeros else _nonzero(matrix)
        on = lists_on(kept, cut)
        reads = np.zeros((kept.n_source, cut.n_parts), np.int64)
        for layout in sorted({f for f in layouts if f is not None}):
            fmt, width = mapping.chip.format(layout[0]), layout[1] + delay
            chosen = np.array([other == layout for other in layouts])[on.part]
            stored = list_rule(fmt)(on.lists, width, fmt).stored
            reads[on.source[chosen], on.part[chosen]] = stored[chosen]
        if reads.sum(axis=0).tolist() == expected:
            return reads
    raise EstimateError(
        f"estimate: the mapping stores {sum(expected)} synapses for projection '{projection.name}', the network has "
        f"{int(reads.sum())} there; map this network again"
    )


def _table(row: NDArray[np.int32], column: NDArray[np.int32], n_rows: int, n_columns: int) -> NDArray[np.int64]:
    flat = row.astype(np.int64) * n_columns + column
    return np.bincount(flat, minlength=n_rows * n_columns).reshape(n_rows, n_columns)


def _distances(
    mapping: Mapping, own: NDArray[np.int32] | None, cores: NDArray[np.int64], reached: NDArray[np.bool_]
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None, NDArray[np.int64]]:
    """Return hops east-west, hops north-south and chip crossings of one spike of each neuron; host inputs have no hops.

    Routes are the shortest; a message to another chip counts as a crossing, without hops.
    """
    none = np.zeros(len(reached), np.int64)
    if own is None:
        return None, None, none
    chip = np.array([load.chip for load in mapping.cores])
    same = chip[own][:, None] == chip[cores][None, :]
    crossings = (reached & ~same).sum(axis=1, dtype=np.int64)
    if any(load.x is None or load.y is None for load in mapping.cores):
        return None, None, crossings
    x = np.array([load.x for load in mapping.cores], np.int64)
    y = np.array([load.y for load in mapping.cores], np.int64)
    ew, ns = (np.abs(at[own][:, None] - at[cores][None, :]) for at in (x, y))
    return (ew * (reached & same)).sum(axis=1), (ns * (reached & same)).sum(axis=1), crossings
