"""Mappings and verdicts as plain values, for ``--json`` and tables."""

from __future__ import annotations

from typing import Any

from neurodeploy.mapping.fit.verdict import Fit
from neurodeploy.mapping.record import Mapping


def fit_summary(result: Fit) -> dict[str, Any]:
    """Return a verdict as plain values: ``fits``, ``cores``, ``layers``, ``loads``, ``binding``, ``error``, ``remedies``.

    ``binding`` has the keys layer, core, resource, used and limit, for the fullest resource or the broken limit. A remedy
    has its kind, description, cost, and the cores and bytes that the network then takes.
    """
    loads = [
        {
            "resource": load.resource,
            "used": load.used,
            "limit": load.limit,
            "headroom": load.headroom,
            "core": load.core,
            "layer": load.layer,
        }
        for load in result.loads
    ]
    remedies = [
        {"kind": r.kind, "what": r.what, "cost": r.cost, "cores": r.cores, "synaptic_bytes": r.synaptic_bytes}
        for r in result.remedies
    ]
    taken = {"cores": None, "layers": []} if result.mapping is None else mapping_summary(result.mapping)
    return {
        "fits": result.fits,
        **taken,
        "loads": loads,
        "binding": result.binding,
        "error": result.error,
        "remedies": remedies,
    }


def mapping_summary(mapping: Mapping) -> dict[str, Any]:
    """Return a mapping as plain values: chip, cores and bytes, one entry for each layer and one for each core."""
    return {
        "chip": mapping.chip.name,
        "chips": mapping.n_chips,
        "cores": len(mapping.cores),
        "synaptic_bytes": mapping.synaptic_bytes,
        "split": mapping.split,
        "layers": layer_summaries(mapping),
        "limits": dict(mapping.limits),
        "used": [{"chip": load.chip, "core": load.core, **load.used} for load in mapping.cores],
        "notes": list(mapping.notes),
    }


def layer_summaries(mapping: Mapping) -> list[dict[str, Any]]:
    """Return figures of each layer: neurons, cores, bytes, formats, bits of a weight, stored weights, bits for each."""
    taken = mapping.layer_bytes()
    return [_layer(mapping, name, mapping.into(name), taken[name]) for name in mapping.sizes]


def _layer(mapping: Mapping, name: str, into: list[str], layer_bytes: int) -> dict[str, Any]:
    cores = mapping.layer_cores(name)
    loads = [mapping.cores[i] for i in cores]
    stored = sum(load.stored.get(p, 0) for load in loads for p in into)
    formats = sorted({load.formats[p] for load in loads for p in into if p in load.formats})
    return {
        "name": name,
        "neurons": mapping.sizes[name],
        "cores": len(cores),
        "synaptic_bytes": layer_bytes,
        "format": ", ".join(formats),
        "formats": formats,
        "weight_bits": sorted({load.weight_bits[p] for load in loads for p in into if p in load.weight_bits}),
        "stored": stored,
        "bits_per_synapse": layer_bytes * 8 / stored if stored else None,
    }
