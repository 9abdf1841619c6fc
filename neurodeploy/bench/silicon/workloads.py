"""Workloads of a facts file as networks, mappings and costs.

Where the weights of a measured network are not public, its layers are made by shape with random weights of the given width,
and its spikes are random at assumed rates: a low, a nominal and a high one, each with the figures of that level.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodeploy.bench.silicon.facts import Layer, Workload
from neurodeploy.chip import Chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Cost
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FileError
from neurodeploy.exchange.formats import read_network
from neurodeploy.files.arrays import read_npy
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Cuba, Dense, Input, Network, Output, Pool, Population, Projection
from neurodeploy.network.activity import Activity, Events, Samples, load_samples

_MODEL = Cuba(current_decay=1024, voltage_decay=128, threshold=100)
_STEPS = 20
_WHEEL = "lava-dl:"


class MissingFileError(Exception):
    """A file of lava-dl's wheel that is not installed: its workload is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A workload that ran: its mapping, and its activity at each level (one for all where the spikes are recorded)."""

    network: Network
    mapping: Mapping
    activities: tuple[Activity, ...]

    def costs(self, chip: Chip) -> tuple[Cost, Cost, Cost]:
        """Return the costs at the low, nominal and high level, at the prices of ``chip``."""
        mapping = replace(self.mapping, chip=chip)
        found = [estimate(self.network, mapping, activity) for activity in self.activities]
        low, nominal, high = found if len(found) == 3 else found * 3
        return low, nominal, high


def run_workload(workload: Workload, chip: Chip, folder: Path) -> Run:
    """Return a workload on its chip.

    Args:
        workload: its description.
        chip: its chip.
        folder: that of the facts file.

    Raises:
        MissingFileError: for a file of lava-dl's wheel that is not installed.
        FileError: for another file that is missing, or recorded spikes that do not fit the network.
        NeurodeployError: where the network does not fit the chip, or a file is damaged.
    """
    network = _network(workload, folder)
    mapping = _mapping(workload, network, chip)
    if workload.data is not None:
        labels = mapping.core_labels()
        labels = {p.name: labels[p.name] for p in network.populations}
        samples = _samples(workload, network, folder)
        return Run(network, mapping, (simulate(network, samples, labels=labels, n_steps=workload.steps),))
    if not workload.rates:
        silent = {name: Events.from_dense(np.zeros((1, 1, size), bool)) for name, size in network.sizes.items()}
        return Run(network, mapping, (Activity(engine="no spikes", network="", n_steps=1, spikes=silent),))
    given = workload.input_per_step * (3 if len(workload.input_per_step) == 1 else 1)
    n_inputs = sum(i.size for i in network.inputs)
    steps = workload.steps or _STEPS
    return Run(
        network,
        mapping,
        tuple(_random(network, n / n_inputs, rate, steps) for n, rate in zip(given, workload.rates)),
    )


def find_file(name: str, folder: Path) -> Path:
    """Return the path of a file that a workload names.

    Raises:
        MissingFileError: for a file of lava-dl's wheel that is not installed.
        FileError: for another file that is missing.
    """
    if not name.startswith(_WHEEL):
        path = folder / name
        if not path.exists():
            raise FileError(f"bench: {path} does not exist; files of a workload are relative to the facts file")
        return path
    found = wheel_file(name.removeprefix(_WHEEL))
    if found is None:
        raise MissingFileError(name)
    return found


def wheel_file(name: str) -> Path | None:
    """Return the path of a file in lava-dl's wheel, found by the end of its path; None if it is not installed."""
    try:
        files = importlib.metadata.files("lava-dl") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(f.locate())) for f in files if str(f).endswith(name)]
    return found[0] if found and found[0].is_file() else None


def _network(workload: Workload, folder: Path) -> Network:
    if workload.network is None:
        return chain(workload.input, workload.layers, workload.weight_bits)
    path = find_file(workload.network, folder)
    if path.suffix != ".net":
        return read_network(path)
    from neurodeploy.exchange.netx.read import from_netx

    return from_netx(path, n_layers=workload.n_layers)


def chain(shape: tuple[int, ...], layers: Sequence[Layer], weight_bits: int = 8) -> Network:
    """Return a feed-forward network of these layers, one after the other, with random weights of the given width."""
    rng, populations, projections = np.random.default_rng(0), [], []
    source, source_shape = "in", shape
    for i, layer in enumerate(layers, 1):
        bits = layer.weight_bits or weight_bits
        name, synapses = f"layer{i}", _synapses(rng, source_shape, layer, bits)
        own = (synapses.weights.shape[0],) if isinstance(synapses, Dense) else synapses.output_shape
        populations.append(Population(name=name, shape=own, model=_MODEL, first_step=i))
        projections.append(Projection(name=f"to_{name}", source=source, target=name, synapses=synapses))
        if layer.recurrent is not None:
            loop = Dense(weights=_weights(rng, (own[0], own[0]), bits, layer.recurrent))
            projections.append(Projection(name=f"within_{name}", source=name, target=name, synapses=loop))
        source, source_shape = name, own
    return Network(
        inputs=(Input(name="in", shape=shape),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="class", population=source),),
    )


def _synapses(rng: np.random.Generator, source: tuple[int, ...], layer: Layer, bits: int) -> Conv | Pool | Dense:
    if layer.dense is not None:
        return Dense(weights=_weights(rng, (layer.dense, int(np.prod(source))), bits, layer.density))
    if len(source) != 3:
        raise FileError(f"bench: a layer conv or pool needs an input [channels, height, width], got {list(source)}")
    if layer.pool is not None:
        return Pool(input_shape=source, kernel=(layer.pool, layer.pool), stride=(layer.pool, layer.pool))
    assert layer.conv is not None
    return Conv(
        weights=_weights(rng, (layer.conv, source[0], layer.kernel, layer.kernel), bits, layer.density),
        input_shape=source,
        stride=layer.stride,
        padding=layer.padding,
    )


def _weights(rng: np.random.Generator, shape: tuple[int, ...], bits: int, density: float) -> NDArray[np.int16]:
    """Return weights of both signs that need exactly ``bits`` bits, of which a share is not 0."""
    high = 2 ** (bits - 1)
    values = rng.integers(-high, high, shape)
    values[values == 0] = 1
    if density < 1:
        values[rng.random(shape) >= density] = 0
    values.flat[0] = -high
    return values.astype(np.int16)


def _mapping(workload: Workload, network: Network, chip: Chip) -> Mapping:
    if workload.neurons_per_core:
        if len(workload.neurons_per_core) not in (len(network.sizes), len(network.populations)):
            n = len(network.populations)
            raise FileError(
                f"bench: workload '{workload.name}': neurons_per_core has {len(workload.neurons_per_core)} numbers; "
                f"give one for each of {n} layers, and one for the input before them where it lies on cores"
            )
        cores = _blocks(network, workload.neurons_per_core)
        return map_by_hand(network, chip, cores, formats=workload.format, weight_bits=workload.weight_bits)
    return map_network(network, chip, store_zeros=workload.store_zeros, split=workload.split or "overlap")


def _blocks(network: Network, per_core: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    """Return the core of each neuron: every layer starts on a new core and fills each core with ``per_core`` neurons."""
    cores, first = {}, 0
    sizes = list(network.sizes.items())[-len(per_core) :]
    for (name, size), block in zip(sizes, per_core):
        cores[name] = first + np.arange(size) // block
        first = int(cores[name][-1]) + 1
    return cores


def _samples(workload: Workload, network: Network, folder: Path) -> Samples:
    assert workload.data is not None
    path = find_file(workload.data, folder)
    if path.suffix != ".npy":
        return load_samples(path)
    raster = read_npy(path) != 0
    try:
        raster = np.transpose(raster, workload.axes or None)
    except ValueError as error:
        raise FileError(
            f"bench: workload '{workload.name}': axes {list(workload.axes)} do not fit {raster.shape}"
        ) from error
    raster = raster[: workload.steps]
    size = sum(i.size for i in network.inputs)
    if len(network.inputs) != 1 or raster[0].size != size:
        raise FileError(
            f"bench: workload '{workload.name}': {path} has {raster[0].size} values a step, the input {size}"
        )
    return Samples(inputs={network.inputs[0].name: Events.from_dense(raster.reshape(1, len(raster), -1))})


def _random(network: Network, input_rate: float, rate: float, steps: int) -> Activity:
    """Return independent random spikes, at one rate for the inputs and another for all other neurons."""
    rng, inputs = np.random.default_rng(0), {i.name for i in network.inputs}
    spikes = {
        name: Events.from_dense(rng.random((1, steps, size)) < (input_rate if name in inputs else rate))
        for name, size in network.sizes.items()
    }
    return Activity(engine="assumed rates", network="", n_steps=steps, spikes=spikes)
