"""The two YAML texts for SANA-FE 2.2.9: ``architecture`` (chip, units, prices) and ``network_text`` (neurons, edges)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip, Quantity
from neurodeploy.costs.fanout import stored_reads
from neurodeploy.errors import EstimateError
from neurodeploy.mapping.memory.synapses import Matrix, matrix_of
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import DECAY_ONE, Cuba, Network, Population, Projection
from neurodeploy.network.activity import Activity, Events

Mode: TypeAlias = Literal["dynamics", "replay"]
HOST = "host"
_NEURON_EVENTS = (
    ("access_neuron", "neuron_access"),
    ("update_neuron", "neuron_update"),
    ("spike_out", "spike_out"),
)


def host_inputs(network: Network, mapping: Mapping) -> list[str]:
    """Return the inputs whose spikes the host injects; other inputs have relay neurons on cores."""
    return [i.name for i in network.inputs if i.name not in mapping.sizes]


def architecture(network: Network, mapping: Mapping, mode: Mode) -> Iterator[str]:
    """Yield the lines of the architecture: the chip's tiles, and one more column of tiles if the host injects spikes."""
    chip, hosted = mapping.chip, bool(host_inputs(network, mapping))
    latency, mesh, per_tile = chip.latency, chip.cores.mesh, chip.cores.per_tile
    assert latency is not None
    assert mesh is not None
    assert per_tile is not None
    width, height = mesh.value[0], mesh.value[1]
    # The host's tile counts as a tile in use, so the table of barriers is shifted by one.
    barrier = ", ".join(f"{row.tiles + hosted}: {row.time.si[1]!r}" for row in latency.barrier)
    yield "architecture:"
    yield f"  name: {chip.name}"
    yield f"  attributes: {{topology: mesh, width: {width + hosted}, height: {height}, link_buffer_size: 16,"
    yield f"    sync_model: table, latency_sync: {{{barrier}}}}}"
    yield "  tile:"
    tiles = [("tile", 0, width * height - 1), (HOST, width * height, (width + 1) * height - 1)]
    for name, first, last in tiles[: 1 + hosted]:
        yield f"    - name: {name}[{first}..{last}]"
        yield f"      attributes: {{{_hop_prices(chip)}}}"
        yield "      core:"
        yield f"        - name: {name}_core[0..{per_tile.value - 1}]"
        yield from _core(network, mapping, mode, priced=name != HOST)


def _hop_prices(chip: Chip) -> str:
    sides = [(side, key) for key, pair in (("hop_ew", "east west"), ("hop_ns", "north south")) for side in pair.split()]
    latency = chip.latency
    assert latency is not None
    return ", ".join(
        f"energy_{side}_hop: {_nominal(getattr(chip.energy, key), f'energy.{key}', chip)!r}, "
        f"latency_{side}_hop: {_nominal(getattr(latency, key), f'latency.{key}', chip)!r}"
        for side, key in sides
    )


def _nominal(quantity: Quantity | None, key: str, chip: Chip) -> float:
    if quantity is None:
        raise EstimateError(
            f"export: no export to SANA-FE: {key} is not in {chip.source_file}; add it, or choose another chip"
        )
    return quantity.si[1]


def _pair(chip: Chip, kind: str, key: str, *, priced: bool) -> str:
    """Return energy and latency of one kind of event in SANA-FE's form; 0 on the host's tile."""
    table, _, name = key.rpartition(".")
    assert chip.latency is not None
    energy, latency = (
        _nominal(records.synop.get(name) if table else getattr(records, name), f"{title}.{key}", chip)
        for title, records in (("energy", chip.energy), ("latency", chip.latency))
    )
    joules, seconds = (energy, latency) if priced else (0.0, 0.0)
    return f"energy_{kind}: {joules!r}, latency_{kind}: {seconds!r}"


def _core(network: Network, mapping: Mapping, mode: Mode, *, priced: bool) -> Iterator[str]:
    """Yield the units of a core: one synapse unit for each format, the neurons, and axons; prices are 0 for the host."""
    chip = mapping.chip
    assert chip.latency is not None
    neuron = ", ".join(_pair(chip, kind, key, priced=priced) for kind, key in _NEURON_EVENTS)
    arrival = _nominal(chip.latency.message_in, "latency.message_in", chip) if priced else 0.0
    yield "          attributes: {buffer_position: soma, buffer_inside_unit: false, max_neurons_supported: 1048576}"
    yield "          axon_in:"
    yield "            - name: axons_in"
    yield f"              attributes: {{energy_message_in: 0.0, latency_message_in: {arrival!r}}}"
    yield "          synapse:"
    for fmt in _formats(mapping):
        yield f"            - name: {fmt}"
        prices = _pair(chip, "process_spike", f"synop.{fmt}", priced=priced)
        yield f"              attributes: {{model: current_based, {prices}}}"
    yield "          dendrite:"
    yield "            - name: sums"
    yield "              attributes: {model: accumulator, energy_update: 0.0, latency_update: 0.0}"
    yield "          soma:"
    yield "            - name: lif"
    yield f"              attributes: {{model: leaky_integrate_fire, {neuron}}}"
    replayed = _most_replayed(network, mapping, mode) if priced else _host_neurons(network, mapping)
    if replayed:
        yield f"            - name: replay[0..{replayed - 1}]"
        yield f"              attributes: {{model: input, {neuron}}}"
    yield "          axon_out:"
    yield "            - name: axons_out"
    yield f"              attributes: {{{_pair(chip, 'message_out', 'message_out', priced=priced)}}}"


def _formats(mapping: Mapping) -> list[str]:
    return sorted({fmt for load in mapping.cores for fmt in load.formats.values()})


def _host_neurons(network: Network, mapping: Mapping) -> int:
    return sum(network.sizes[name] for name in host_inputs(network, mapping))


def _most_replayed(network: Network, mapping: Mapping, mode: Mode) -> int:
    """Return the largest number of neurons on one core that send recorded spikes."""
    recorded = _recorded(network, mode)
    return max(sum(own.size for name, own in load.neurons.items() if name in recorded) for load in mapping.cores)


def _recorded(network: Network, mode: Mode) -> set[str]:
    """Return the names of the inputs and populations whose spikes are replayed; inputs always are."""
    return set(network.sizes) if mode == "replay" else {i.name for i in network.inputs}


def network_text(network: Network, mapping: Mapping, one: Activity, mode: Mode) -> Iterator[str]:
    """Yield the lines of the network for an activity of one sample: groups of neurons, edges, the core of each neuron."""
    names = {name: f"g{i}_{re.sub('[^A-Za-z0-9]', '_', name)}" for i, name in enumerate(network.sizes)}
    recorded = _recorded(network, mode)
    yield "network:"
    yield "  name: exported"
    yield "  groups:"
    for name, size in network.sizes.items():
        yield f"    - name: {names[name]}"
        yield "      attributes: []"
        yield "      neurons:"
        yield from _replayed(one.spikes[name]) if name in recorded else _computed(network.population(name), size)
    yield "  edges:"
    labels = mapping.core_labels()
    for p in network.projections:
        yield from _edges(p, mapping, labels[p.target], names, mode)
    yield "mappings:"
    yield from _places(network, mapping, names, recorded)


def _replayed(events: Events) -> Iterator[str]:
    raster = events.to_dense()[0]
    for neuron in range(events.size):
        train = ", ".join(map(str, (raster[:, neuron] != 0).astype(int)))
        yield f"        - {neuron}: [log_spikes: true, soma: {{spikes: [{train}]}}]"


def _computed(population: Population, size: int) -> Iterator[str]:
    model = population.model
    assert isinstance(model, Cuba)
    assert isinstance(model.voltage_decay, int)
    leak = 1.0 - model.voltage_decay / DECAY_ONE
    reset = {"zero": "hard", "subtract": "soft"}[model.reset]
    neuron = f"[log_spikes: true, soma: {{threshold: {model.threshold}, leak_decay: {leak}, reset_mode: {reset}}}]"
    for i in range(size):
        yield f"        - {i}: {neuron}"


def _edges(
    projection: Projection, mapping: Mapping, labels: NDArray[np.int32], names: dict[str, str], mode: Mode
) -> Iterator[str]:
    """Yield one line for each stored synapse; replayed neurons need no weights, and their stored zeros are edges too."""
    matrix = matrix_of(projection)
    source, target = names[projection.source], names[projection.target]
    scale = 0 if mode == "replay" else 1 << projection.weight_exponent
    for j, i, w in zip(matrix.source.tolist(), matrix.target.tolist(), (matrix.weight.astype(int) * scale).tolist()):
        yield f"    - {source}.{j} -> {target}.{i}: [weight: {w}]"
    if mode == "replay":
        for j, i in _stored_zeros(projection, matrix, mapping, labels):
            yield f"    - {source}.{j} -> {target}.{i}: [weight: 0]"


def _stored_zeros(
    projection: Projection, matrix: Matrix, mapping: Mapping, labels: NDArray[np.int32]
) -> Iterator[tuple[int, int]]:
    """Yield source and target of the zeros that a list stores: as many on each core as a spike reads there.

    The mapping does not record which neurons of the core they point to, and no figure depends on it; the first neurons
    without a synapse are used.
    """
    cores = np.unique(labels).astype(np.int64)
    reads = stored_reads(projection, mapping, labels, cores)
    at = np.searchsorted(cores, labels)
    own = np.bincount(matrix.source.astype(np.int64) * cores.size + at[matrix.target], minlength=reads.size)
    extra = reads - own.reshape(reads.shape)
    starts = np.searchsorted(matrix.source, np.arange(matrix.n_source + 1))
    members = [np.flatnonzero(at == c) for c in range(cores.size)]
    for j, c in zip(*(index.tolist() for index in np.nonzero(extra))):
        free = np.setdiff1d(members[c], matrix.target[starts[j] : starts[j + 1]], assume_unique=True)
        for i in free[: extra[j, c]].tolist():
            yield j, i


def _places(network: Network, mapping: Mapping, names: dict[str, str], recorded: set[str]) -> Iterator[str]:
    per_tile, mesh = mapping.chip.cores.per_tile, mapping.chip.cores.mesh
    assert per_tile is not None
    assert mesh is not None
    fallback = _formats(mapping)[0]
    for load in mapping.cores:
        at, seat = f"{load.tile}.{load.core % per_tile.value}", 0
        for name, neurons in load.neurons.items():
            synapse = _format_into(network, name, load) or fallback
            for i in neurons.tolist():
                soma = f'"replay[{seat}]"' if name in recorded else "lif"
                yield f"  - {names[name]}.{i}: [core: {at}, soma: {soma}, synapse: {synapse}, dendrite: sums]"
                seat += name in recorded
    seat, host = 0, mesh.value[0] * mesh.value[1]
    for name in host_inputs(network, mapping):
        for i in range(network.sizes[name]):
            yield f'  - {names[name]}.{i}: [core: {host}.0, soma: "replay[{seat}]", synapse: {fallback}, dendrite: sums]'
            seat += 1


def _format_into(network: Network, name: str, load: CoreLoad) -> str | None:
    """Return the format of the synapses that end at a population's neurons on a core, None if there are none."""
    found = {load.formats[p.name] for p in network.into(name) if p.name in load.formats}
    if len(found) > 1:
        raise EstimateError(
            f"export: no export to SANA-FE: core {load.core} stores the synapses into '{name}' in the formats "
            f"{', '.join(sorted(found))}; SANA-FE has one for each neuron; choose another chip or mapping"
        )
    return found.pop() if found else None
