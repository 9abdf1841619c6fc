"""Mappings made by hand: the caller gives the core of each neuron, and the contents of the cores are counted.

For placements that come from elsewhere (another tool, a paper, a measured chip), so that the cost estimate can price
recorded spikes on them. Nothing is chosen and no limit is enforced here; a limit that is exceeded becomes a note of the
mapping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodeploy.chip import Chip, SynapseFormat
from neurodeploy.chip.layouts import Ints
from neurodeploy.dicts import ReadOnlyDict
from neurodeploy.errors import UsageError
from neurodeploy.mapping.abilities import ability_notes, check_abilities
from neurodeploy.mapping.memory.cut import Cut, lists_on
from neurodeploy.mapping.memory.kernels import shared_memory
from neurodeploy.mapping.memory.parts import list_memory
from neurodeploy.mapping.memory.synapses import conv_of, delay_bits, matrix_of
from neurodeploy.mapping.places.spots import spot
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import Network, Projection


def map_by_hand(
    network: Network,
    chip: Chip,
    cores: ReadOnlyDict[str, ArrayLike],
    *,
    formats: str | ReadOnlyDict[str, str],
    weight_bits: int = 8,
) -> Mapping:
    """Return the mapping in which each neuron lies on the given core.

    Args:
        network: the network to map. Only the positions of its non-zero weights matter here, not the values: use 1 where
            the real weights do not fit its integers.
        chip: the target; the cost estimate uses its prices.
        cores: population -> core of each neuron, whole numbers ``(size,)`` from 0, counted chip by chip; tiles and places
            follow from the number (``places.spots.spot``). If an input is named here, it gets relay neurons on these cores
            that pass on the spikes from the host; otherwise the host injects its spikes at their destinations. (To
            simulate with update counts of a mapping with relay neurons, use the labels of
            ``neurodeploy.costs.joint.joint_labels``, which leave inputs out.)
        formats: name of a synapse format of the chip file, for all projections or for each projection by name. It decides
            what a spike reads: with ``packed`` (rule ``slayer2loihi``) only the synapses that exist, at the prices of
            dense lists; with ``dense`` also the zeros that fill gaps.
        weight_bits: stored bits of a weight.

    Raises:
        UsageError: for an unknown population or format, a missing population, a wrong number of neurons, or a core that
            the target does not have.
        FitError: for a kind of neuron, a reset or payloads that the chip has not.
    """
    check_abilities(network, chip)
    labels = {name: _checked(network, chip, name, given) for name, given in cores.items()}
    absent = [p.name for p in network.populations if p.name not in labels]
    if absent:
        raise UsageError(f"map: no cores for population '{absent[0]}'; give the core of each of its neurons")
    chosen = {p.name: _format(chip, p, formats) for p in network.projections}
    numbers = np.unique(np.concatenate(list(labels.values())))
    uses = [_use(p, chosen[p.name], chip, labels[p.target], weight_bits) for p in network.projections]
    loads = tuple(_load(int(number), chip, labels, uses) for number in numbers)
    return Mapping(
        chip=chip,
        network=network.fingerprint,
        sizes={name: size for name, size in network.sizes.items() if name in labels},
        sources={p.name: p.source for p in network.projections},
        targets={p.name: p.target for p in network.projections},
        cores=loads,
        limits=chip.cores.limits,
        split="by hand",
        inputs="relay" if any(i.name in labels for i in network.inputs) else "host",
        notes=(*ability_notes(network, chip), *_over(loads, chip)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Use:
    """Memory of a projection on the cores ``numbers`` (rising) that hold its target; arrays ``(n_cores,)``."""

    projection: str
    fmt: str
    weight_bits: int
    numbers: NDArray[np.int64]
    words: Ints
    stored: Ints
    axons: Ints


def _checked(network: Network, chip: Chip, name: str, given: ArrayLike) -> NDArray[np.int64]:
    if name not in network.sizes:
        raise UsageError(
            f"map: cores for '{name}', which is neither population nor input; known: {', '.join(network.sizes)}"
        )
    labels = np.asarray(given)
    if labels.shape != (network.sizes[name],) or labels.dtype.kind not in "iu":
        raise UsageError(
            f"map: cores of '{name}' are {labels.dtype} of shape {labels.shape}; give {network.sizes[name]} whole numbers"
        )
    if labels.min() < 0 or labels.max() >= chip.n_cores:
        bad = int(labels.min() if labels.min() < 0 else labels.max())
        raise UsageError(f"map: '{name}' lies on core {bad}, but chip '{chip.name}' has cores 0 to {chip.n_cores - 1}")
    return labels.astype(np.int64)


def _format(chip: Chip, projection: Projection, formats: str | ReadOnlyDict[str, str]) -> SynapseFormat:
    name = formats if isinstance(formats, str) else formats.get(projection.name)
    shares = conv_of(projection) is not None
    found = [f for f in chip.synapse_format if f.name == name and (f.connection == "list" or shares)]
    if not found:
        known = [f.name for f in chip.synapse_format if f.connection == "list" or shares]
        raise UsageError(
            f"map: format '{name}' of projection '{projection.name}' is none of chip '{chip.name}' for it; known: "
            f"{', '.join(known)}"
        )
    return found[0]


def _use(projection: Projection, fmt: SynapseFormat, chip: Chip, labels: NDArray[np.int64], bits: int) -> _Use:
    numbers, part = np.unique(labels, return_inverse=True)
    cut, width = Cut(part.astype(np.int32), numbers.size), bits + delay_bits(projection, chip)
    word_bits = chip.cores.bits_per_word
    on, conv = lists_on(matrix_of(projection), cut), conv_of(projection)
    if fmt.connection == "shared":
        assert conv is not None
        taken, stored, axons = shared_memory(conv, on, cut, width, fmt, word_bits, chip.run_channels)
    else:
        taken, stored = list_memory(on, width, fmt, cut.n_parts, word_bits)
        axons = np.bincount(on.part, minlength=cut.n_parts)
    return _Use(projection.name, fmt.name, bits, numbers, taken, stored, axons)


def _load(number: int, chip: Chip, labels: ReadOnlyDict[str, NDArray[np.int64]], uses: list[_Use]) -> CoreLoad:
    place = spot(chip, number)
    neurons = {name: np.flatnonzero(at == number).astype(np.int32) for name, at in labels.items() if number in at}
    here = {u: int(np.searchsorted(u.numbers, number)) for u in uses if number in u.numbers}
    used = {
        "neurons": sum(own.size for own in neurons.values()),
        "input_axons": sum(int(u.axons[i]) for u, i in here.items()),
        "synapse_words": sum(int(u.words[i]) for u, i in here.items()),
    }
    return CoreLoad(
        **{name: getattr(place, name) for name in ("chip", "core", "tile", "x", "y")},
        neurons=neurons,
        words={u.projection: int(u.words[i]) for u, i in here.items()},
        formats={u.projection: u.fmt for u in here},
        weight_bits={u.projection: u.weight_bits for u in here},
        stored={u.projection: int(u.stored[i]) for u, i in here.items()},
        used={name: amount for name, amount in used.items() if name in chip.cores.limits},
    )


def _over(loads: tuple[CoreLoad, ...], chip: Chip) -> list[str]:
    """Return a sentence for each register whose limit the given placement exceeds."""
    notes = []
    for name, limit in chip.cores.limits.items():
        full = [load for load in loads if load.used.get(name, 0) > limit]
        if full:
            most = max(full, key=lambda load: load.used[name])
            notes.append(
                f"the mapping by hand passes a limit: {most.used[name]:,} {name.replace('_', ' ')} on core {most.core} of "
                f"chip {most.chip}, where {limit:,} fit (cores over it: {len(full)})"
            )
    return notes
