"""Facts for a report as plain values, made from the records of earlier stages."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.mapping.memory.synapses import joins_encoder
from neurodeploy.network import Cuba, Network, Population, Projection, n_masked, n_nonzero, n_parameters
from neurodeploy.network.activity import Activity, Events
from neurodeploy.version import __version__

_RASTER_NEURONS = 256
_RASTER_SPIKES = 4000


def network_facts(network: Network) -> dict[str, Any]:
    """Return layers, connections and both densities, counted from the network."""
    projections = [_projection_facts(p, joins_encoder(network, p)) for p in network.projections]
    payload_bits = {i.name: i.payload_bits for i in network.inputs if i.graded}
    total = {name: sum(p[name] for p in projections) for name in ("weights", "mask", "nonzero")}
    return {
        "fingerprint": network.fingerprint,
        "dt": network.dt,
        "inputs": {i.name: i.size for i in network.inputs},
        "neurons": sum(p.size for p in network.populations),
        **total,
        "density": total["mask"] / max(1, total["weights"]),
        "density_nonzero": total["nonzero"] / max(1, total["weights"]),
        "layers": [_layer_facts(p) for p in network.populations],
        "projections": projections,
        "ledger": [{"where": a.where, "what": a.what, "size": a.size} for a in network.ledger],
        **({"payload_bits": payload_bits} if payload_bits else {}),
    }


def _layer_facts(population: Population) -> dict[str, Any]:
    model = population.model
    facts = {"name": population.name, "model": model.kind, "neurons": population.size}
    reset = model.reset if isinstance(model, Cuba) and model.reset != "zero" else None
    return {**facts, "first_step": population.first_step, **({"reset": reset} if reset else {})}


def _projection_facts(projection: Projection, wires: bool) -> dict[str, Any]:
    """Return the connections of a projection; ``wires``: they only join an encoder with its values, and count as none."""
    weights, mask, nonzero = n_parameters(projection), n_masked(projection), n_nonzero(projection)
    if wires:
        weights = mask = nonzero = 0
    return {
        "name": projection.name,
        "source": projection.source,
        "target": projection.target,
        "kind": "wires" if wires else projection.synapses.kind,
        "weights": weights,
        "mask": mask,
        "nonzero": nonzero,
        "density": mask / max(1, weights),
        "density_nonzero": nonzero / max(1, weights),
    }


def raster_facts(network: Network, activity: Activity, sample: int = 0) -> dict[str, Any]:
    """Return the spikes of one sample for a raster plot, and the payloads of messages that carry one.

    Of a population with more than 256 neurons, evenly spaced neurons are shown, and even fewer if these fire more than 4000
    times.
    """
    layers = [_raster_layer(name, activity.spikes[name].take(sample, sample + 1)) for name in network.sizes]
    return {"sample": sample, "n_steps": activity.n_steps, "layers": layers}


def raster_of(activity: Activity, sample: int = 0) -> dict[str, Any]:
    """Return the spikes of one sample of all that an activity holds, as ``raster_facts`` does."""
    layers = [_raster_layer(name, events.take(sample, sample + 1)) for name, events in activity.spikes.items()]
    return {"sample": sample, "n_steps": activity.n_steps, "layers": layers}


def _raster_layer(name: str, events: Events) -> dict[str, Any]:
    shown = min(events.size, _RASTER_NEURONS)
    while True:
        neurons = np.unique(np.linspace(0, events.size - 1, shown).astype(np.int64))
        row = np.searchsorted(neurons, events.neuron)
        here = neurons[np.minimum(row, neurons.size - 1)] == events.neuron
        if np.count_nonzero(here) <= _RASTER_SPIKES or shown == 1:
            break
        shown = max(1, shown // 2)
    step, row = events.step[here], row[here]
    payload = {} if events.payload is None else {"payload": events.payload[here].tolist()}
    return {
        "name": name,
        "size": events.size,
        "neurons": neurons.tolist(),
        "step": step.tolist(),
        "row": row.tolist(),
        **payload,
    }


def file_hashes(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file under its name."""
    return {Path(path).name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}


def versions(packages: Iterable[str] = ("neurodeploy", "numpy", "numba", "nir")) -> dict[str, str]:
    """Return the versions of Python and of the installed ones among the packages."""
    found = {package: _version(package) for package in packages}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}


def _version(package: str) -> str | None:
    if package == "neurodeploy":
        return __version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
