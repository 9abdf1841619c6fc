"""Budget of a network in training: how much of each core's memory its connections may take.

``chip_budget`` places the neurons of dense layers on cores, which then stay fixed, and returns the limits there as a
``ChipBudget``. Rewiring keeps it as a constraint (``sparse.selection.Constraint``); with its ``reach`` a growth rule can
prefer sources that already reach a core (``sparse.scores.prefer_reached``). This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodeploy.chip import Chip, SynapseFormat
from neurodeploy.chip.layouts import Ints
from neurodeploy.chip.rules import RULES, UNUSABLE, most_words
from neurodeploy.errors import ChipError, FitError, UsageError
from neurodeploy.mapping.budget.meters import ChipBudget, Meter, PlacedLayer
from neurodeploy.mapping.cuts.equal import block_sizes
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.program import FLASH, check_neurons, flash_for_synapses

__all__ = ["CAPPED", "ChipBudget", "chip_budget"]

CAPPED = ("synapse_words", "input_axons", "destinations")
"""Registers for which a budget may set tighter limits than the chip: two of each core, and one of each source neuron."""

Amounts: TypeAlias = int | Mapping[str, int]
"""One number for all layers, or one number for each layer by name."""


def chip_budget(
    chip: Chip,
    masks: Mapping[str, ArrayLike],
    *,
    cores: Amounts | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
    synapse_words: Amounts | None = None,
    input_axons: Amounts | None = None,
    destinations: Amounts | None = None,
    sources: Mapping[str, str] | None = None,
) -> ChipBudget:
    """Place dense layers on the cores of a chip and return the limits there: the chip's, or tighter ones that are given.

    Args:
        chip: the target.
        masks: connections by layer, bool arrays in the order of the trained weights: output neurons on the first axis,
            sources on the second, further axes of length 1. Used for shapes, numbers of connections and ``cores``.
        cores: contiguous parts of ``ceil(n / cores)`` neurons that a layer is cut into; by default the fewest on which the
            masks keep the chip's own limits.
        labels: core of each neuron by layer, whole numbers ``(n_neurons,)`` (``Mapping.core_labels``); instead of ``cores``.
        synapse_words: most words of synaptic memory of a core, 1 or more.
        input_axons: most sources that reach a core, 1 or more.
        destinations: most cores of a layer that one source reaches, 1 or more.
        sources: layer -> the layer whose neurons send to it, to count output axons on the cores of that layer; layers
            left out here get their spikes from the host.

    Raises:
        FitError: if the chip has too few cores, a core has room for too few neurons, or the limits are too tight for
            that many connections.
        UsageError: for an unknown layer, a number out of range, or weights that are not a matrix.
        ChipError: if the chip has no list format whose memory a budget could bound.
    """
    _formats(chip)
    shapes = {name: _matrix_shape(name, np.shape(mask)) for name, mask in masks.items()}
    caps = {"synapse_words": synapse_words, "input_axons": input_axons, "destinations": destinations}
    for register, amounts in {"cores": cores, **caps}.items():
        _check_amounts(register, amounts, shapes)
    given, follows = labels or {}, dict(sources or {})
    if unknown := sorted({*given, *follows, *follows.values()} - set(shapes)):
        raise UsageError(f"budget: there is no layer '{unknown[0]}'; there are: {', '.join(shapes)}")
    flat = {name: np.asarray(mask, np.bool_).ravel() for name, mask in masks.items()}
    cuts = {}
    for name, shape in shapes.items():
        n_parts = _amount(cores, name)
        if name in given:
            cuts[name] = _labelled(name, shape[0], np.asarray(given[name]))
        elif n_parts is not None:
            cuts[name] = _blocks(name, shape[0], n_parts)
        else:
            cuts[name] = _fewest(chip, name, shape, flat[name])
    _check_cores(chip, cuts)
    budget = _built(chip, cuts, shapes, {name: _limits(chip, name, caps) for name in shapes}, follows)
    for layer in budget.layers:
        _check_capacity(budget, layer, int(flat[layer.name].sum()))
    return budget


def _amount(amounts: Amounts | None, name: str) -> int | None:
    return amounts.get(name) if isinstance(amounts, Mapping) else amounts


def _check_amounts(register: str, amounts: Amounts | None, shapes: Mapping[str, tuple[int, int]]) -> None:
    if isinstance(amounts, Mapping) and (unknown := sorted(set(amounts) - set(shapes))):
        raise UsageError(
            f"budget: {register} for layer '{unknown[0]}', which is not there; there are: {', '.join(shapes)}"
        )
    for name in shapes:
        amount = _amount(amounts, name)
        if amount is not None and amount < 1:
            raise UsageError(f"budget: {register} of layer '{name}' is {amount}, must be 1 or more")


def _matrix_shape(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2 or any(size != 1 for size in shape[2:]):
        raise UsageError(
            f"budget: the weight of layer '{name}' has shape {shape}, but a budget is for dense layers, (neurons, sources); "
            "leave convolutions without one"
        )
    return shape[0], shape[1]


def _formats(chip: Chip) -> list[SynapseFormat]:
    """Return the formats in which a chip stores a matrix as lists.

    Raises:
        ChipError: if the chip has no list format, or the memory of a list depends on more than its own core.
    """
    usable = [f for f in chip.synapse_format if f.connection == "list" and f.split is None and RULES[f.rule].at_most]
    if chip.layer_core or chip.recurrent_core is not None or not usable:
        known = [name for name, rule in RULES.items() if rule.at_most]
        raise ChipError(
            f"budget: chip '{chip.name}' ({chip.source_file}) stores no lists of synapses by core, so that fewer "
            f"connections save nothing; chips with a format of rule {', '.join(known)} can have a budget"
        )
    if chip.cores.pool_words is not None and chip.axons is not None and chip.axons.discrete_out is not None:
        raise ChipError(
            f"budget: chip '{chip.name}' ({chip.source_file}) has output axons in a pool with its synapses "
            "(cores.pool_words with axons.discrete_out), which a budget cannot keep"
        )
    return usable


def _limits(chip: Chip, name: str, caps: Mapping[str, Amounts | None]) -> dict[str, int]:
    """Return the limits of each core of a layer: for each register the chip's limit or the tighter one of ``caps``."""
    limits = dict(chip.cores.limits)
    for register, amounts in caps.items():
        amount = _amount(amounts, name)
        if amount is not None:
            limits[register] = min(amount, limits.get(register, amount))
    return limits


def _labelled(name: str, n: int, labels: NDArray[np.generic]) -> Cut:
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise UsageError(
            f"budget: the labels of layer '{name}' are {labels.dtype} {labels.shape}, must be whole numbers ({n},)"
        )
    found, inverse = np.unique(labels, return_inverse=True)
    return Cut(inverse.astype(np.int32), found.size)


def _blocks(name: str, n: int, n_parts: int) -> Cut:
    if n_parts > n:
        raise UsageError(f"budget: {n_parts} cores for layer '{name}' of {n} neurons; give 1 to that many")
    return Cut.blocks(n, -(-n // n_parts))


def _fewest(chip: Chip, name: str, shape: tuple[int, int], active: NDArray[np.bool_]) -> Cut:
    """Return the cut into the fewest contiguous parts on which the connections keep the chip's limits."""
    largest = chip.cores.limits.get("neurons", shape[0])
    refused: FitError | None = None
    for size in block_sizes(shape[0], -(-shape[0] // largest)):
        cut = Cut.blocks(shape[0], size)
        try:
            _built(chip, {name: cut}, {name: shape}, {name: chip.cores.limits}, {}).room(active)
        except FitError as error:
            refused = error
        else:
            return cut
    assert refused is not None
    raise refused


def _check_cores(chip: Chip, cuts: Mapping[str, Cut]) -> None:
    if chip.microcontroller is not None:
        check_neurons(chip, sum(cut.labels.size for cut in cuts.values()))
        return
    total = sum(cut.n_parts for cut in cuts.values())
    if total > chip.n_cores:
        raise FitError(
            f"budget: the layers lie on {total} cores, but chip '{chip.name}' has {chip.n_cores} ({chip.source_file}: "
            "cores.count and system.chips); give fewer cores, or a board with more chips"
        )
    most = chip.cores.limits.get("neurons")
    for name, cut in cuts.items():
        if most is not None and cut.sizes.max() > most:
            raise FitError(
                f"budget: layer '{name}' has {cut.sizes.max()} neurons on a core, but a core of chip '{chip.name}' allows "
                f"{most} ({chip.source_file}: cores.neurons); give at least {-(-cut.labels.size // most)} cores"
            )


def _built(
    chip: Chip,
    cuts: Mapping[str, Cut],
    shapes: Mapping[str, tuple[int, int]],
    limits: Mapping[str, Mapping[str, int]],
    sources: Mapping[str, str],
) -> ChipBudget:
    """Return the budget of layers that are already cut, with its tables of words and its meters."""
    layers = tuple(_placed(cuts, shapes, limits, sources))
    lists = [
        (layer.first_list + layer.cut.labels.astype(np.int32)[:, None] * layer.n_sources + np.arange(layer.n_sources))
        for layer in layers
    ]
    cores = [layer.first_core + np.repeat(np.arange(layer.cut.n_parts), layer.n_sources) for layer in layers]
    core = np.concatenate(cores).astype(np.int64)
    formats = _formats(chip)
    return ChipBudget(
        chip=chip,
        layers=layers,
        formats=tuple(f.name for f in formats),
        list_of=np.concatenate([part.ravel() for part in lists]).astype(np.int32),
        core=core,
        words=_tables(chip, formats, layers),
        meters=tuple(_meters(chip, layers, core)),
    )


def _placed(
    cuts: Mapping[str, Cut],
    shapes: Mapping[str, tuple[int, int]],
    limits: Mapping[str, Mapping[str, int]],
    sources: Mapping[str, str],
) -> Iterator[PlacedLayer]:
    """Yield the layers, with positions, lists, cores and sources numbered consecutively over all layers."""
    position = first_list = core = source = 0
    for name, (n, n_sources) in shapes.items():
        cut = cuts[name]
        if name in sources and shapes[sources[name]][0] != n_sources:
            raise UsageError(
                f"budget: layer '{name}' has {n_sources} sources, but '{sources[name]}' has "
                f"{shapes[sources[name]][0]} neurons"
            )
        yield PlacedLayer(
            name=name,
            cut=cut,
            n_sources=n_sources,
            source=sources.get(name),
            limits=limits[name],
            first_position=position,
            first_list=first_list,
            first_core=core,
            first_source=source,
        )
        position, first_list = position + n * n_sources, first_list + cut.n_parts * n_sources
        core, source = core + cut.n_parts, source + n_sources


def _tables(chip: Chip, formats: list[SynapseFormat], layers: Sequence[PlacedLayer]) -> Ints:
    """Return words by format, core and length of a list; ``UNUSABLE`` for lengths above the core's number of neurons."""
    sizes = np.concatenate([layer.cut.sizes for layer in layers])
    width, word_bits = max(chip.weights.bits.value), chip.cores.bits_per_word
    tables = np.full((len(formats), sizes.size, int(sizes.max()) + 1), UNUSABLE, np.int64)
    for size in np.unique(sizes).tolist():
        for table, fmt in zip(tables, formats):
            table[sizes == size, : size + 1] = most_words(size, width, fmt, word_bits)
    return tables


def _meters(chip: Chip, layers: Sequence[PlacedLayer], core: Ints) -> Iterable[Meter]:
    """Yield a meter for each register that has a limit and that lists use up."""
    sizes = np.concatenate([layer.cut.sizes for layer in layers])
    by_core = {
        name: np.concatenate([np.full(layer.cut.n_parts, layer.limits.get(name, UNUSABLE)) for layer in layers])
        for name in ("synapse_words", "input_axons", "output_axons", "pool_words")
    }
    entries = {
        name: getattr(getattr(chip.axons, name, None), "value", 0) for name in ("discrete_out", "map_per_neuron")
    }
    if chip.microcontroller is not None:  # all layers lie in the same flash
        left = flash_for_synapses(chip, [(layer.cut.labels.size, layer.n_sources) for layer in layers])
        yield Meter(FLASH, np.zeros_like(core), 1, 0, np.array([left]))
    yield Meter("synapse_words", core, 1, 0, by_core["synapse_words"])
    yield Meter("input_axons", core, 0, 1, by_core["input_axons"])
    if "pool_words" in chip.cores.limits:
        yield Meter("pool_words", core, 1, 1, by_core["pool_words"] - sizes * (1 + entries["map_per_neuron"]))
    reach = [np.full(layer.n_sources, layer.limits.get("destinations", UNUSABLE)) for layer in layers]
    source = [layer.first_source + np.tile(np.arange(layer.n_sources), layer.cut.n_parts) for layer in layers]
    yield Meter("destinations", np.concatenate(source).astype(np.int64), 0, 1, np.concatenate(reach))
    if "output_axons" in chip.cores.limits and entries["discrete_out"]:
        sender = np.concatenate([_senders(layer, layers) for layer in layers])
        yield Meter("output_axons", sender, 0, entries["discrete_out"], by_core["output_axons"])


def _senders(layer: PlacedLayer, layers: Sequence[PlacedLayer]) -> Ints:
    """Return the core of the source neuron of each list of a layer, -1 for the host."""
    if layer.source is None:
        return np.full(layer.cut.n_parts * layer.n_sources, -1, np.int64)
    home = next(other for other in layers if other.name == layer.source)
    return np.tile(home.first_core + home.cut.labels.astype(np.int64), layer.cut.n_parts)


def _check_capacity(budget: ChipBudget, layer: PlacedLayer, wanted: int) -> None:
    """Refuse more connections than fit the limits in any arrangement.

    Raises:
        FitError: the message gives the largest number that fits, and the limits.
    """
    cores = slice(layer.first_core, layer.first_core + layer.cut.n_parts)
    lengths, sizes = np.arange(1, budget.words.shape[2]), layer.cut.sizes
    limits = {name: layer.limits.get(name, UNUSABLE) for name in CAPPED}
    densest = (lengths / budget.words[:, cores, 1:]).max(axis=(0, 2))
    room = np.minimum(
        sizes * min(limits["input_axons"], layer.n_sources), np.floor(densest * limits["synapse_words"] + 1e-9)
    )
    largest = min(int(room.sum()), layer.n_sources * int(np.sort(sizes)[::-1][: limits["destinations"]].sum()))
    if wanted <= largest:
        return
    told = ", ".join(f"{limit} {name.replace('_', ' ')}" for name, limit in limits.items() if limit < UNUSABLE)
    raise FitError(
        f"budget: layer '{layer.name}' has {wanted} connections, but its {layer.cut.n_parts} cores of chip "
        f"'{budget.chip.name}' hold at most {largest} ({told}); lower its density to "
        f"{np.floor(1e4 * largest / layer.n_positions) / 1e4:.4f}, give it more cores, or raise the limits",
        {"layer": layer.name, "core": 0, "resource": "connections", "used": wanted, "limit": largest},
    )
