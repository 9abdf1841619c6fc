"""A network on samples: activity, decoded outputs, facts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy import engines
from neurodeploy.commands.inputs import Progress, load_data, load_network, silent
from neurodeploy.engines.decoding import decode, decoding_probes
from neurodeploy.engines.table import check_offered, find_engine
from neurodeploy.errors import FileError
from neurodeploy.files.paths import as_path
from neurodeploy.network import Network, Output
from neurodeploy.network.activity import Activity, Samples, save_activity


def simulate(
    file: str | Path,
    data: str | Path,
    *,
    engine: str = "event",
    n_samples: int | None = None,
    timeout_s: float | None = None,
    on_overflow: str = "report",
    out: str | Path | None = None,
    force: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> tuple[Activity, dict[str, Any]]:
    """Run the network of a NIR file on samples and decode its outputs; with ``out``, write the activity there as ``.npz``.

    Voltages that an output is decoded from are recorded, on every engine.

    Args:
        timeout_s: time limit for engine ``lava``; by default far above the time that it is predicted to take.
        on_overflow: report, error, wrap or clip (``neurodeploy.simulate``).
        out: file to write; ``force`` replaces an older one.
        say: told how long ``lava`` will take before it starts.

    Returns:
        The activity, and a summary of it as plain values: accuracy where the samples carry labels and there is one
        output; by output its ``decoding``, ``accuracy`` and ``classes`` (one for each sample); spikes; overflow (None on
        ``lava``, which does not see it).

    Raises:
        SimulationError: for samples that do not fit, or an output that cannot be decoded as it says.
    """
    file, out = as_path(file), as_path(out)
    if out is not None and out.exists() and not force:
        raise FileError(f"simulate: {out} exists; choose another --out, or --force to replace it")
    check_offered(engine, on_overflow)
    network, samples = load_network(file), load_data(data, n_samples=n_samples)
    probe = decoding_probes(network)
    started = time.perf_counter()
    chosen = find_engine(engine)
    if (seconds := chosen.predict_seconds(network, samples, samples.n_steps + network.depth)) is not None:
        (say or silent)(f"simulate: {engine} will take about {seconds:.0f} s")
    activity = engines.simulate(
        network,
        samples,
        engine=engine,
        probe=probe,
        on_overflow=on_overflow,
        timeout_s=timeout_s,
        progress=progress,
    )
    outputs = {o.name: _decoded(network, activity, samples, o) for o in network.outputs}
    facts = {
        "engine": engine,
        "samples": samples.n_samples,
        "steps": activity.n_steps,
        "accuracy": next(iter(outputs.values()))["accuracy"] if len(outputs) == 1 else None,
        "outputs": outputs,
        "spikes": {name: len(events) for name, events in activity.spikes.items()},
        "overflow": dict(activity.overflow) if chosen.sees_overflow else None,
        "seconds": time.perf_counter() - started,
    }
    if out is not None:
        save_activity(activity, out)
    return activity, facts


def _decoded(network: Network, activity: Activity, samples: Samples, output: Output) -> dict[str, Any]:
    classes = decode(network, activity, output.name)
    right = None if samples.labels is None else float(np.mean(classes == samples.labels))
    return {"decoding": output.decoding, "accuracy": right, "classes": classes.tolist()}
