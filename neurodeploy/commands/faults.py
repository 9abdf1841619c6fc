"""Accuracy of a network under faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import load_data, load_network, silent
from neurodeploy.commands.samples import AnySamples
from neurodeploy.engines.decoding import decoding_probes
from neurodeploy.engines.table import simulate
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples


def faults(
    file: str | Path,
    data: AnySamples,
    *,
    fault: str,
    rates: Sequence[float],
    engine: str = "event",
    reading: AnyReading = None,
    n_samples: int | None = None,
    repeats: int = 3,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the accuracy of a network under one kind of fault at several rates (``neurodeploy.engines.faults``).

    Args:
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        say: told which parts of the network the fault leaves whole.
    """
    file = as_path(file)
    from neurodeploy.engines.faults import left_whole, measure_robustness

    def run(network: Network, samples: Samples) -> Activity:
        return simulate(network, samples, engine=engine, probe=decoding_probes(network))

    network = load_network(file, reading=reading)
    samples = load_data(data, n_samples=n_samples, network=network)
    if whole := left_whole(network, fault):
        (say or silent)(f"faults: pools have no stored weights and stay whole: {', '.join(whole)}")
    rows = measure_robustness(network, samples, fault=fault, rates=rates, run=run, repeats=repeats, seed=seed)
    return [asdict(row) for row in rows]
