"""A mapped network as an architecture and a network for SANA-FE 2.2.9, so that anybody can check our counts and prices.

SANA-FE (SLAM-Lab/SANA-FE) is an independent simulator; run it as a program of its own, with the timing model ``simple``::

    arch = sanafe.load_arch("arch.yaml")
    chip = sanafe.SpikingChip(arch)
    chip.load(sanafe.load_net("net.yaml", arch))
    chip.sim(timesteps=N, timing_model="simple")

Two ways to write neurons. ``dynamics``: SANA-FE computes the spikes itself, where its neuron computes the same integers
(no current state, and a voltage that decays not at all or at once). ``replay``: every neuron sends the recorded spikes; the
updates of neurons that do not fire are then missing in SANA-FE's energy, and weights are written as 0.

Inputs of the host lie on a tile of their own behind the last column of the mesh, with prices of 0. SANA-FE still charges the
hops of their messages (``host_hops``), which the host's messages do not have here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from neurodeploy.activity import Activity, Events
from neurodeploy.chip import Quantity
from neurodeploy.errors import EstimateError
from neurodeploy.estimate.counts import check_belongs
from neurodeploy.estimate.fanout import fan_outs
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.mapping.synapses import matrix_of
from neurodeploy.network import DECAY_ONE, Cuba, Network, Population, Projection

Mode = Literal["dynamics", "replay"]
HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class SanafeFiles:
    """The two YAML texts, how neurons were written, and the hops that SANA-FE charges for messages of the host.

    ``host_hops``: hops east-west and north-south of all the sample's messages from the host's tile.
    """

    arch: str
    net: str
    mode: Mode
    n_steps: int
    host_hops: tuple[int, int]


def sanafe_files(network: Network, mapping: Mapping, activity: Activity, *, sample: int = 0) -> SanafeFiles:
    """Return what SANA-FE needs to run one sample of an activity.

    Raises:
        EstimateError: where SANA-FE cannot describe the mapping: several chips, no mesh, delays, relay neurons, stored
            zeros, a core with projections into one population in different formats, or a missing price.
    """
    check_belongs(network, mapping, activity)
    _check(network, mapping)
    mode: Mode = "dynamics" if _exact(network) else "replay"
    return SanafeFiles(
        arch="\n".join(_arch(network, mapping, mode)) + "\n",
        net="\n".join(_net(network, mapping, activity, sample, mode)) + "\n",
        mode=mode,
        n_steps=activity.n_steps,
        host_hops=_host_hops(network, mapping, activity, sample),
    )


def write_sanafe(
    network: Network, mapping: Mapping, activity: Activity, folder: Path, *, sample: int = 0
) -> SanafeFiles:
    """Write ``arch.yaml`` and ``net.yaml`` into a folder; both are made before the first is written."""
    files = sanafe_files(network, mapping, activity, sample=sample)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("arch.yaml", files.arch), ("net.yaml", files.net)):
        partial = folder / f"{name}.part"
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, folder / name)
        finally:
            partial.unlink(missing_ok=True)
    return files


def _check(network: Network, mapping: Mapping) -> None:
    reason = None
    if mapping.n_chips > 1:
        reason = f"the mapping takes {mapping.n_chips} chips, SANA-FE describes one"
    elif mapping.n_tiles is None:
        reason = f"chip '{mapping.chip.name}' has no mesh (cores.mesh, cores.per_tile)"
    elif mapping.chip.latency is None or mapping.chip.latency.model != "messages":
        reason = f"chip '{mapping.chip.name}' has no times of the model 'messages'"
    elif any(name in mapping.sizes for name in (i.name for i in network.inputs)):
        reason = "the mapping has relay neurons for inputs, which this export does not write"
    elif any(mapping.chip.format(fmt).stores_zeros for fmt in _formats(mapping)):
        reason = "a core stores zeros (format dense or shared kernels), which SANA-FE would take for input"
    elif any(p.max_delay for p in network.projections):
        reason = "the network has delays, which this export does not write"
    if reason is not None:
        raise EstimateError(f"estimate: no export to SANA-FE: {reason}; choose another chip or network")


def _exact(network: Network) -> bool:
    """Whether SANA-FE's neurons compute the same integers: no current state, whole decays, no bias, no rounded sums."""
    models = [p.model for p in network.populations]
    return all(p.weight_exponent >= 0 for p in network.projections) and all(
        isinstance(m, Cuba)
        and all(isinstance(v, int) for v in (m.current_decay, m.voltage_decay, m.threshold, m.bias))
        and (m.current_decay, m.bias) == (DECAY_ONE, 0)
        and m.voltage_decay in (0, DECAY_ONE)
        for m in models
    )


def _names(network: Network) -> dict[str, str]:
    """Return a name that SANA-FE can read for every population and input."""
    return {name: f"g{i}_{re.sub('[^A-Za-z0-9]', '_', name)}" for i, name in enumerate(network.sizes)}


def _nominal(quantity: Quantity | None, key: str, mapping: Mapping) -> float:
    if quantity is None:
        raise EstimateError(f"estimate: no export to SANA-FE: {key} is not in {mapping.chip.source_file}")
    return quantity.si[1]


def _formats(mapping: Mapping) -> list[str]:
    return sorted({fmt for load in mapping.cores for fmt in load.formats.values()})


def _arch(network: Network, mapping: Mapping, mode: Mode) -> Iterator[str]:
    """Give the lines of the architecture: the chip's tiles, and one column of tiles more for the host."""
    chip, latency = mapping.chip, mapping.chip.latency
    mesh, per_tile = chip.cores.mesh, chip.cores.per_tile
    assert latency is not None
    assert mesh is not None
    assert per_tile is not None
    width, height = mesh.value[0], mesh.value[1]
    # The host's tile counts as a tile in use, so the table of barriers is shifted by one.
    barrier = ", ".join(f"{row.tiles + 1}: {row.time.si[1]!r}" for row in latency.barrier)
    hops = {key: _nominal(getattr(chip.energy, key), f"energy.{key}", mapping) for key in ("hop_ew", "hop_ns")}
    times = {key: _nominal(getattr(latency, key), f"latency.{key}", mapping) for key in ("hop_ew", "hop_ns")}
    yield "architecture:"
    yield f"  name: {chip.name}"
    yield f"  attributes: {{topology: mesh, width: {width + 1}, height: {height}, link_buffer_size: 16,"
    yield f"    sync_model: table, latency_sync: {{{barrier}}}}}"
    yield "  tile:"
    for name, first, last in (("tile", 0, width * height - 1), (HOST, width * height, (width + 1) * height - 1)):
        yield f"    - name: {name}[{first}..{last}]"
        sides = [
            (side, key) for key, pair in (("hop_ew", "east west"), ("hop_ns", "north south")) for side in pair.split()
        ]
        prices = ", ".join(
            f"energy_{side}_hop: {hops[key]!r}, latency_{side}_hop: {times[key]!r}" for side, key in sides
        )
        yield f"      attributes: {{{prices}}}"
        yield "      core:"
        yield f"        - name: {name}_core[0..{per_tile.value - 1}]"
        yield from _core(network, mapping, mode, priced=name != HOST)


def _core(network: Network, mapping: Mapping, mode: Mode, *, priced: bool) -> Iterator[str]:
    """Give the units of a core: one synapse unit a format, the neurons, and axons; the host's have prices of 0."""
    energy, latency = mapping.chip.energy, mapping.chip.latency
    assert latency is not None

    def pair(kind: str, price: Quantity | None, time: Quantity | None, key: str) -> str:
        values = (_nominal(price, f"energy.{key}", mapping), _nominal(time, f"latency.{key}", mapping))
        joules, seconds = values if priced else (0.0, 0.0)
        return f"energy_{kind}: {joules!r}, latency_{kind}: {seconds!r}"

    neuron = ", ".join(
        pair(kind, getattr(energy, key), getattr(latency, key), key)
        for kind, key in (
            ("access_neuron", "neuron_access"),
            ("update_neuron", "neuron_update"),
            ("spike_out", "spike_out"),
        )
    )
    arrival = _nominal(latency.message_in, "latency.message_in", mapping) if priced else 0.0
    yield "          attributes: {buffer_position: soma, buffer_inside_unit: false, max_neurons_supported: 1048576}"
    yield "          axon_in:"
    yield "            - name: axons_in"
    yield f"              attributes: {{energy_message_in: 0.0, latency_message_in: {arrival!r}}}"
    yield "          synapse:"
    for fmt in _formats(mapping):
        yield f"            - name: {fmt}"
        prices = pair("process_spike", energy.synop.get(fmt), latency.synop.get(fmt), f"synop.{fmt}")
        yield f"              attributes: {{model: current_based, {prices}}}"
    yield "          dendrite:"
    yield "            - name: sums"
    yield "              attributes: {model: accumulator, energy_update: 0.0, latency_update: 0.0}"
    yield "          soma:"
    yield "            - name: lif"
    yield f"              attributes: {{model: leaky_integrate_fire, {neuron}}}"
    if not priced or mode == "replay":
        most = max(sum(i.size for i in load.neurons.values()) for load in mapping.cores)
        count = most if priced else sum(i.size for i in network.inputs)
        yield f"            - name: replay[0..{count - 1}]"
        yield f"              attributes: {{model: input, {neuron}}}"
    yield "          axon_out:"
    yield "            - name: axons_out"
    message = pair("message_out", energy.message_out, latency.message_out, "message_out")
    yield f"              attributes: {{{message}}}"


def _net(network: Network, mapping: Mapping, activity: Activity, sample: int, mode: Mode) -> Iterator[str]:
    """Give the lines of the network: groups of neurons, edges, and the core of each neuron."""
    names = _names(network)
    yield "network:"
    yield "  name: exported"
    yield "  groups:"
    for name, size in network.sizes.items():
        yield f"    - name: {names[name]}"
        yield "      attributes: []"
        yield "      neurons:"
        recorded = name not in {p.name for p in network.populations} or mode == "replay"
        if recorded:
            yield from _recorded(activity.spikes[name].take(sample, sample + 1))
        else:
            yield from _computed(network.population(name), size)
    yield "  edges:"
    for p in network.projections:
        yield from _edges(p, names, mode)
    yield "mappings:"
    yield from _places(network, mapping, names, mode)


def _recorded(events: Events) -> Iterator[str]:
    raster = events.to_dense()[0]
    for neuron in range(events.size):
        train = ", ".join(map(str, (raster[:, neuron] != 0).astype(int)))
        yield f"        - {neuron}: [log_spikes: true, soma: {{spikes: [{train}]}}]"


def _computed(population: Population, size: int) -> Iterator[str]:
    model = population.model
    assert isinstance(model, Cuba)
    assert isinstance(model.voltage_decay, int)
    leak = 1.0 - model.voltage_decay / DECAY_ONE
    neuron = f"[log_spikes: true, soma: {{threshold: {model.threshold}, leak_decay: {leak}, reset_mode: hard}}]"
    for i in range(size):
        yield f"        - {i}: {neuron}"


def _edges(projection: Projection, names: dict[str, str], mode: Mode) -> Iterator[str]:
    """Give one line a stored synapse."""
    matrix = matrix_of(projection)
    source, target = names[projection.source], names[projection.target]
    scale = 0 if mode == "replay" else 1 << projection.weight_exponent
    for j, i, w in zip(matrix.source.tolist(), matrix.target.tolist(), (matrix.weight.astype(int) * scale).tolist()):
        yield f"    - {source}.{j} -> {target}.{i}: [weight: {w}]"


def _places(network: Network, mapping: Mapping, names: dict[str, str], mode: Mode) -> Iterator[str]:
    assert mapping.chip.cores.per_tile is not None
    fallback = _formats(mapping)[0]
    for load in mapping.cores:
        at = f"{load.tile}.{load.core % mapping.chip.cores.per_tile.value}"
        seat = 0
        for name, neurons in load.neurons.items():
            formats = {load.formats[p.name] for p in network.into(name) if p.name in load.formats}
            if len(formats) > 1:
                raise EstimateError(
                    f"estimate: no export to SANA-FE: core {load.core} stores the synapses into '{name}' in the formats "
                    f"{', '.join(sorted(formats))}; SANA-FE has one for each neuron"
                )
            synapse = formats.pop() if formats else fallback
            for i in neurons.tolist():
                soma = f"'replay[{seat}]'" if mode == "replay" else "lif"
                yield f"  - {names[name]}.{i}: [core: {at}, soma: {soma}, synapse: {synapse}, dendrite: sums]"
                seat += 1
    seat, host = 0, _host_tile(mapping)
    for name in (i.name for i in network.inputs):
        for i in range(network.sizes[name]):
            yield f'  - {names[name]}.{i}: [core: {host}.0, soma: "replay[{seat}]", synapse: {fallback}, dendrite: sums]'
            seat += 1


def _host_tile(mapping: Mapping) -> int:
    mesh = mapping.chip.cores.mesh
    assert mesh is not None
    return mesh.value[0] * mesh.value[1]


def _host_hops(network: Network, mapping: Mapping, activity: Activity, sample: int) -> tuple[int, int]:
    mesh = mapping.chip.cores.mesh
    assert mesh is not None
    inputs = {i.name for i in network.inputs}
    total = np.zeros(2, np.int64)
    for fan in fan_outs(network, mapping):
        if fan.source in inputs:
            sent = np.bincount(activity.spikes[fan.source].take(sample, sample + 1).neuron, minlength=len(fan.reached))
            messages = sent @ fan.reached
            loads = [mapping.cores[c] for c in fan.cores]
            total += [
                int(messages @ np.array([_distance(load, mesh.value[0], axis) for load in loads])) for axis in (0, 1)
            ]
    return int(total[0]), int(total[1])


def _distance(load: CoreLoad, width: int, axis: int) -> int:
    """Return the hops east-west (axis 0) or north-south (axis 1) from the host's tile, at the top right of the mesh."""
    assert load.x is not None
    assert load.y is not None
    return width - load.x if axis == 0 else load.y
