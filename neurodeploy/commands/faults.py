"""Accuracy of a network under faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurodeploy.commands.inputs import load_data, load_network, silent
from neurodeploy.commands.samples import AnySamples
from neurodeploy.engines.decoding import decoding_probes
from neurodeploy.engines.silence import find_silence
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
    warn: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the accuracy of a network under one kind of fault at several rates (``neurodeploy.engines.faults``).

    Each row has beside it the shares of samples that are ``tied`` and ``silent`` (``engines.decoding.Answers``).

    Args:
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        say: told which parts of the network the fault leaves whole, and which samples and neurons take no part.
        warn: told what the network leaves unsaid without a fault (``engines.silence.Silence.warnings``); else ``say`` is.
    """
    file = as_path(file)
    from neurodeploy.engines.faults import left_whole, measure_robustness

    def run(network: Network, samples: Samples) -> Activity:
        return simulate(network, samples, engine=engine, probe=decoding_probes(network))

    network = load_network(file, reading=reading)
    samples = load_data(data, n_samples=n_samples, network=network)
    if whole := left_whole(network, fault):
        (say or silent)(f"faults: pools have no stored weights and stay whole: {', '.join(whole)}")
    rows = list(measure_robustness(network, samples, fault=fault, rates=rates, run=run, repeats=repeats, seed=seed))
    faultless = simulate(network, samples, probe=decoding_probes(network))
    silence = find_silence(network, faultless, samples)
    for line in silence.warnings:
        (warn or say or silent)(f"faults: without a fault, {line}")
    for line in silence.notes:
        (say or silent)(f"faults: {line}")
    return [asdict(row) for row in rows]
