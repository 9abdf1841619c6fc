"""Accuracy of a network under faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import load_data, load_network
from neurodeploy.engines.decoding import decoding_probes
from neurodeploy.engines.table import simulate
from neurodeploy.files.paths import as_path
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples


def faults(
    file: str | Path,
    data: str | Path,
    *,
    fault: str,
    rates: Sequence[float],
    engine: str = "event",
    n_samples: int | None = None,
    repeats: int = 3,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the accuracy of a network under one kind of fault at several rates (``neurodeploy.engines.faults``)."""
    file = as_path(file)
    from neurodeploy.engines.faults import measure_robustness

    def run(network: Network, samples: Samples) -> Activity:
        return simulate(network, samples, engine=engine, probe=decoding_probes(network))

    network, samples = load_network(file), load_data(data, n_samples=n_samples)
    rows = measure_robustness(network, samples, fault=fault, rates=rates, run=run, repeats=repeats, seed=seed)
    return [asdict(row) for row in rows]
