"""A network on samples: activity, decoded outputs, facts.

Where nobody asks for the activity, the samples run block by block, and only counts and classes outlive a block: memory grows
with the file of samples, not with the spikes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy import engines
from neurodeploy.commands.inputs import Progress, load_data, load_network, silent
from neurodeploy.commands.samples import AnySamples
from neurodeploy.engines.checks import check_run, lasting_steps
from neurodeploy.engines.decoding import check_labels, correct, decode, decoding_probes
from neurodeploy.engines.silence import SilenceCount
from neurodeploy.engines.table import ENGINES, Engine, check_offered
from neurodeploy.errors import UsageError
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import check_new_file
from neurodeploy.network import Network
from neurodeploy.network.activity import MOST_STEPS, Activity, Samples, save_activity
from neurodeploy.targets.table import is_runnable, run_target, runnable

_BLOCK = 2**22
"""Neurons times steps times samples that run at once: 50 MB if every neuron fires in every step."""
_FEWEST = 256
"""Samples that run at once at least, so that threads have work."""


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

    Voltages that an output is decoded from are recorded, on every engine. The spikes of all samples are in memory at once;
    ``simulate_facts`` returns the summary without that.

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
        ``decoding``, ``accuracy``, ``tied``, ``silent`` and ``classes`` (one for each sample, or a list of one for each
        step); spikes; ``silence``: what
        the run left unsaid (``engines.silence.Silence``); overflow (None on ``lava``, which does not see it);
        where the run is too short for delayed spikes, ``steps_needed``, after which the last of a sample has arrived.

    Raises:
        SimulationError: for samples that do not fit, or an output that cannot be decoded as it says.
    """
    file, out = as_path(file), as_path(out)
    if out is not None:
        check_new_file("simulate", out, force=force)
    asked = _Asked(engine, n_steps, timeout_s, on_overflow, say or silent, progress)
    asked.check()
    network = load_network(file, reading=reading)
    samples = load_data(data, n_samples=n_samples, network=network)
    started = time.perf_counter()
    asked.announce(network, samples)
    if out is not None and _block_size(network, asked.steps(network, samples)) < samples.n_samples:
        asked.say(
            f"simulate: --out keeps the spikes of all {samples.n_samples:,} samples in memory until the end, 12 bytes each "
            "(16 with a payload); without it they are counted block by block"
        )
    activity = asked.run(network, samples)
    count = _Count(network)
    count.add(activity, samples)
    facts = asked.facts(network, samples, count, started)
    if out is not None:
        save_activity(activity, out)
    return activity, facts


def simulate_facts(
    file: str | Path,
    data: AnySamples,
    *,
    engine: str = "event",
    reading: AnyReading = None,
    n_samples: int | None = None,
    n_steps: int | None = None,
    timeout_s: float | None = None,
    on_overflow: str = "report",
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return the summary of ``simulate``, whose arguments these are, in memory that does not grow with the spikes.

    Engine ``lava`` starts one worker for all samples, so that its spikes are in memory at once even here.

    Raises:
        SimulationError: as ``simulate``.
    """
    asked = _Asked(engine, n_steps, timeout_s, on_overflow, say or silent, progress)
    asked.check()
    network = load_network(as_path(file), reading=reading)
    samples = load_data(data, n_samples=n_samples, network=network)
    started = time.perf_counter()
    asked.announce(network, samples)
    count = _Count(network)
    for block, first in asked.blocks(network, samples):
        count.add(asked.run(network, block, first, samples.n_samples), block)
    return asked.facts(network, samples, count, started)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a run was asked for."""

    engine: str
    n_steps: int | None
    timeout_s: float | None
    on_overflow: str
    say: Callable[[str], None]
    progress: Progress | None

    @property
    def chosen(self) -> Engine | None:
        """The engine; None for a target."""
        return ENGINES.get(self.engine)

    def check(self) -> None:
        """Refuse engines that are unknown, and what they do not offer, before anything is read."""
        on_target = self.engine not in ENGINES and is_runnable(self.engine)
        if on_target and (self.on_overflow != "report" or self.timeout_s is not None):
            raise UsageError(
                f"simulate: target '{self.engine}' takes neither --on-overflow nor --timeout; leave them out"
            )
        if not on_target and self.engine not in ENGINES:
            known = ", ".join([*ENGINES, *runnable()])
            raise UsageError(f"simulate: unknown engine '{self.engine}'; known: {known}")
        check_offered(self.engine, self.on_overflow)

    def steps(self, network: Network, samples: Samples) -> int:
        """Return the steps of a sample."""
        return samples.n_steps + network.depth if self.n_steps is None else self.n_steps

    def announce(self, network: Network, samples: Samples) -> None:
        """Refuse outputs that cannot be decoded; say what is lost after the last step, and how long a slow engine takes."""
        decoding_probes(network)
        for output in network.outputs:
            check_labels(samples, by_step=output.window is not None)
        steps, needed = self.steps(network, samples), lasting_steps(network, samples.n_steps)
        if steps < needed and any(p.max_delay for p in network.projections):
            longest = max(p.max_delay for p in network.projections)
            self.say(
                f"simulate: the run of {steps} steps ends before all delayed spikes arrive (delays of up to {longest} "
                f"steps): after the last step of a sample they need {needed} steps, --steps {needed} (in Python "
                f"n_steps={needed})"
            )
        chosen = self.chosen
        if chosen is not None and (seconds := chosen.predict_seconds(network, samples, steps)) is not None:
            self.say(f"simulate: {self.engine} will take about {seconds:.0f} s")

    def blocks(self, network: Network, samples: Samples) -> Iterator[tuple[Samples, int]]:
        """Yield blocks of samples, each with the number of its first one; what cannot run is refused before the first."""
        steps, n = self.steps(network, samples), samples.n_samples
        size = _block_size(network, steps)
        one_worker = self.chosen is not None and self.chosen.seconds is not None
        if n <= size or one_worker:
            yield samples, 0
            return
        check_run(network, samples, n_steps=1)  # the steps are those of a block
        for first in range(0, n, size):
            yield samples.take(first, min(first + size, n)), first

    def run(self, network: Network, samples: Samples, first: int = 0, n: int | None = None) -> Activity:
        """Run samples, of which ``first`` out of ``n`` came before, and return the activity with what decoding needs."""
        told, whole = self.progress, samples.n_samples if n is None else n
        tell = None if told is None else lambda done, _: told(first + done, whole)
        probe = decoding_probes(network)
        if self.chosen is None:
            return run_target(self.engine, network, samples, n_steps=self.n_steps, probe=probe, progress=tell)[0]
        return engines.simulate(
            network,
            samples,
            engine=self.engine,
            n_steps=self.n_steps,
            probe=probe,
            on_overflow=self.on_overflow,
            timeout_s=self.timeout_s,
            progress=tell,
        )

    def facts(self, network: Network, samples: Samples, count: _Count, started: float) -> dict[str, Any]:
        """Return the summary of a run on all samples."""
        steps, needed = self.steps(network, samples), lasting_steps(network, samples.n_steps)
        silence = count.silence.silence()
        outputs = {
            o.name: {
                "decoding": o.decoding,
                "accuracy": _accuracy(count.classes[o.name], samples),
                **silence.outputs[o.name],
                "classes": np.concatenate(count.classes[o.name]).tolist(),
            }
            for o in network.outputs
        }
        only = next(iter(outputs.values())) if len(outputs) == 1 else dict.fromkeys(("accuracy", "tied", "silent"))
        return {
            "engine": self.engine,
            "samples": samples.n_samples,
            "steps": steps,
            **({"steps_needed": needed} if steps < needed else {}),
            **{key: only[key] for key in ("accuracy", "tied", "silent")},
            "outputs": outputs,
            "spikes": dict(count.spikes),
            "overflow": dict(count.overflow) if self.chosen is not None and self.chosen.sees_overflow else None,
            "seconds": time.perf_counter() - started,
            "silence": silence.to_json(),
        }


class _Count:
    """What is kept of the runs on one block of samples after the other: counts, and a class for each sample."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.silence = SilenceCount(network)
        self.classes: dict[str, list[NDArray[np.int64]]] = {o.name: [] for o in network.outputs}
        self.spikes: Counter[str] = Counter()
        self.overflow: Counter[str] = Counter()

    def add(self, activity: Activity, samples: Samples) -> None:
        """Count the run on a block."""
        self.silence.add(activity, samples)
        for name, parts in self.classes.items():
            parts.append(decode(self._network, activity, name))
        self.spikes.update({name: len(events) for name, events in activity.spikes.items()})
        self.overflow.update(activity.overflow)


def _accuracy(classes: Sequence[NDArray[np.int64]], samples: Samples) -> float | None:
    return None if samples.labels is None else float(np.mean(correct(np.concatenate(classes), samples)))


def _block_size(network: Network, n_steps: int) -> int:
    """Return how many samples run at once."""
    neurons = sum(network.sizes.values())
    steps = max(n_steps, 1)
    return max(1, min(max(_FEWEST, _BLOCK // (neurons * steps)), MOST_STEPS // steps))
