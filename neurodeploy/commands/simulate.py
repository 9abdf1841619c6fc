"""A network on samples: activity, decoded outputs, facts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy import engines
from neurodeploy.commands.inputs import Progress, load_data, load_network, silent
from neurodeploy.commands.samples import AnySamples
from neurodeploy.engines.checks import lasting_steps
from neurodeploy.engines.decoding import answers, decode, decoding_probes
from neurodeploy.engines.silence import find_silence
from neurodeploy.engines.table import ENGINES, check_offered, find_engine
from neurodeploy.errors import UsageError
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file
from neurodeploy.network import Network, Output
from neurodeploy.network.activity import Activity, Samples, save_activity
from neurodeploy.targets.table import is_runnable, run_target, runnable


def simulate(
    file: str | Path,
    data: AnySamples,
    *,
    engine: str = "event",
    reading: AnyReading = None,
    n_samples: int | None = None,
    n_steps: int | None = None,
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
        engine: one of ``engines.table.ENGINES``, or a target that runs: ``c``, ``c:cortex-m4``.
        reading: what the framework that wrote a NIR file means by it (``from_nir``).
        n_steps: steps run for each sample; by default those of the samples plus the depth of the network.
        timeout_s: time limit for engine ``lava``; by default far above the time that it is predicted to take.
        on_overflow: report, error, wrap or clip (``neurodeploy.simulate``).
        out: file to write; ``force`` replaces an older one.
        say: told how long ``lava`` will take before it starts, and of delayed spikes that arrive after the run.

    Returns:
        The activity, and a summary of it as plain values: accuracy where the samples carry labels and there is one
        output, and the shares of samples that are ``tied`` and ``silent`` (``engines.decoding.Answers``); by output its
        ``decoding``, ``accuracy``, ``tied``, ``silent`` and ``classes`` (one for each sample); spikes; ``silence``: what
        the run left unsaid (``engines.silence.Silence``); overflow (None on ``lava``, which does not see it);
        where the run is too short for delayed spikes, ``steps_needed``, after which the last of a sample has arrived.

    Raises:
        SimulationError: for samples that do not fit, or an output that cannot be decoded as it says.
    """
    file, out = as_path(file), as_path(out)
    if out is not None:
        check_new_file("simulate", out, force=force)
    on_target = engine not in ENGINES and is_runnable(engine)
    if on_target and (on_overflow != "report" or timeout_s is not None):
        raise UsageError(f"simulate: target '{engine}' takes neither --on-overflow nor --timeout; leave them out")
    if not on_target and engine not in ENGINES:
        raise UsageError(f"simulate: unknown engine '{engine}'; known: {', '.join([*ENGINES, *runnable()])}")
    check_offered(engine, on_overflow)
    network = load_network(file, reading=reading)
    samples = load_data(data, n_samples=n_samples, network=network)
    probe = decoding_probes(network)
    started = time.perf_counter()
    chosen = None if on_target else find_engine(engine)
    steps = samples.n_steps + network.depth if n_steps is None else n_steps
    needed = lasting_steps(network, samples.n_steps)
    if steps < needed and any(p.max_delay for p in network.projections):
        longest = max(p.max_delay for p in network.projections)
        (say or silent)(
            f"simulate: the run of {steps} steps ends before all delayed spikes arrive (delays of up to {longest} steps): "
            f"after the last step of a sample they need {needed} steps, --steps {needed} (in Python n_steps={needed})"
        )
    if chosen is None:
        activity, _ = run_target(engine, network, samples, n_steps=n_steps, probe=probe, progress=progress)
    else:
        if (seconds := chosen.predict_seconds(network, samples, steps)) is not None:
            (say or silent)(f"simulate: {engine} will take about {seconds:.0f} s")
        activity = engines.simulate(
            network,
            samples,
            engine=engine,
            n_steps=n_steps,
            probe=probe,
            on_overflow=on_overflow,
            timeout_s=timeout_s,
            progress=progress,
        )
    outputs = {o.name: _decoded(network, activity, samples, o) for o in network.outputs}
    only = next(iter(outputs.values())) if len(outputs) == 1 else dict.fromkeys(("accuracy", "tied", "silent"))
    facts = {
        "engine": engine,
        "samples": samples.n_samples,
        "steps": activity.n_steps,
        **({"steps_needed": needed} if steps < needed else {}),
        **{key: only[key] for key in ("accuracy", "tied", "silent")},
        "outputs": outputs,
        "spikes": {name: len(events) for name, events in activity.spikes.items()},
        "overflow": dict(activity.overflow) if chosen is not None and chosen.sees_overflow else None,
        "seconds": time.perf_counter() - started,
        "silence": find_silence(network, activity, samples).to_json(),
    }
    if out is not None:
        save_activity(activity, out)
    return activity, facts


def _decoded(network: Network, activity: Activity, samples: Samples, output: Output) -> dict[str, Any]:
    classes = decode(network, activity, output.name)
    right = None if samples.labels is None else float(np.mean(classes == samples.labels))
    undecided = answers(network, activity, output.name).shares
    return {"decoding": output.decoding, "accuracy": right, **undecided, "classes": classes.tolist()}
