"""neurodeploy: train sparse spiking networks, prove them bit-exact, and size them for a neuromorphic chip.

The names below load on first use, so ``import neurodeploy`` imports neither torch nor Lava. Stages that are packages of
their own are imported from there (``from neurodeploy.engines import simulate``); ``neurodeploy.commands`` holds one
function for each command of the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Activity": "neurodeploy.network.activity",
    "Chip": "neurodeploy.chip",
    "Cost": "neurodeploy.costs.record",
    "Events": "neurodeploy.network.activity",
    "Mapping": "neurodeploy.mapping.record",
    "Network": "neurodeploy.network",
    "NeurodeployError": "neurodeploy.errors",
    "Samples": "neurodeploy.network.activity",
    "accuracy": "neurodeploy.engines.decoding",
    "check_nir": "neurodeploy.exchange.doctor.check",
    "chip_names": "neurodeploy.chip",
    "compare": "neurodeploy.proofs.compare",
    "decode": "neurodeploy.engines.decoding",
    "from_nir": "neurodeploy.exchange.nir.read",
    "load_activity": "neurodeploy.network.activity",
    "load_chip": "neurodeploy.chip",
    "load_mapping": "neurodeploy.mapping.record",
    "load_recipe": "neurodeploy.recipe",
    "load_samples": "neurodeploy.network.activity",
    "make_report": "neurodeploy.reports.writing",
    "map_network": "neurodeploy.mapping",
    "save_activity": "neurodeploy.network.activity",
    "save_mapping": "neurodeploy.mapping.record",
    "save_samples": "neurodeploy.network.activity",
    "to_nir": "neurodeploy.exchange.nir.write",
    "write_report": "neurodeploy.reports.writing",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'neurodeploy' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
