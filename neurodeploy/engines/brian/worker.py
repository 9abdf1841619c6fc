"""The worker of engine ``brian2-loihi``: builds the network of a plan and runs all samples; a program by itself.

``worker.py FOLDER`` reads ``job.npz`` and writes ``result.npz``, or ``error.json``. It ends when its standard input closes,
so that it does not outlive the process that started it. It imports nothing of neurodeploy: its Python may lack the packages.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

_LIMIT = 2**23


def main(folder: Path) -> None:
    """Run the job of a folder."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with np.load(folder / "job.npz") as stored:
            arrays = {name: stored[name] for name in stored.files}
        job = json.loads(str(arrays.pop("job")))
        np.savez(folder / "result.npz", **_run(job, arrays, folder / "progress"))
    except Exception as error:
        (folder / "error.json").write_text(json.dumps({"message": f"{type(error).__name__}: {error}"}))
        raise SystemExit(1) from error


def _end_with_parent() -> None:
    os.read(0, 1)  # a read of sys.stdin would hold its lock when this process ends
    os._exit(1)


def _run(job: dict[str, Any], arrays: dict[str, Any], progress: Path) -> dict[str, Any]:
    """Return events and states by name; ``overflow`` is the population whose state left 24 bits first, or empty.

    Spikes of an input are delivered in the step of their time and those of neurons in the next, so inputs fire a step later.
    """
    import brian2
    import brian2_loihi

    brian2.prefs.codegen.target = "numpy"
    inputs = {name: brian2_loihi.LoihiSpikeGeneratorGroup(size, [], []) for name, size in job["inputs"].items()}
    groups = {
        name: brian2_loihi.LoihiNeuronGroup(
            given["size"],
            refractory=1,
            threshold_v_mant=given["threshold"],
            decay_v=given["voltage_decay"],
            decay_I=given["current_decay"],
        )
        for name, given in job["populations"].items()
    }
    monitors = {name: brian2.SpikeMonitor(group) for name, group in groups.items()}
    ends = {**inputs, **groups}
    synapses = []
    for i, given in enumerate(job["projections"]):
        weights = arrays[f"weights{i}"]
        synapses.append(
            brian2_loihi.LoihiSynapses(
                ends[given["from"]],
                ends[given["to"]],
                delay=given["delay"],
                w_exp=given["exponent"],
                sign_mode=2 if weights[0] > 0 else 3,
            )
        )
        synapses[-1].connect(i=arrays[f"source{i}"], j=arrays[f"target{i}"])
        synapses[-1].w = weights
    watch = _Watch(groups, job["probe"], job["n_steps"])
    # I is the current once the spikes have arrived, before it decays
    watching = [
        brian2.NetworkOperation(watch.currents, when="after_synapses"),
        brian2.NetworkOperation(watch.voltages, when="end"),
    ]
    network = brian2_loihi.LoihiNetwork(*ends.values(), *monitors.values(), *synapses, *watching)
    network.store()
    found: dict[str, Any] = {}
    for sample in range(job["n_samples"]):
        network.restore()
        for name, group in inputs.items():
            own = arrays[f"sample {name}"] == sample
            times = (arrays[f"step {name}"][own] + 1) * brian2.ms
            group.set_spikes(arrays[f"neuron {name}"][own], times)
        watch.begin()
        network.run(job["n_steps"])
        for name, monitor in monitors.items():
            found[f"step {name} {sample}"] = np.rint(np.asarray(monitor.t / brian2.ms)).astype(np.int64)
            found[f"neuron {name} {sample}"] = np.asarray(monitor.i).astype(np.int64)
        for (name, state), values in watch.states.items():
            found[f"{state} {name} {sample}"] = values.copy()
        progress.write_text(str(sample + 1))
    return {**found, "overflow": np.array(watch.overflow)}


class _Watch:
    """The states of a run that were asked for, and the first population whose state left 24 bits."""

    def __init__(self, groups: dict[str, Any], probe: list[list[str]], n_steps: int) -> None:
        self.groups = groups
        self.states = {(name, state): np.zeros((n_steps, len(groups[name])), np.int32) for name, state in probe}
        self.overflow = ""
        self.step = 0

    def begin(self) -> None:
        self.step = 0

    def currents(self) -> None:
        self._note("u", "I")

    def voltages(self) -> None:
        self._note("v", "v")
        self.step += 1

    def _note(self, state: str, variable: str) -> None:
        for name, group in self.groups.items():
            values = np.asarray(getattr(group, variable + "_"))
            if not self.overflow and np.any(np.abs(values) >= _LIMIT):
                self.overflow = name
            if (name, state) in self.states:
                self.states[name, state][self.step] = values


if __name__ == "__main__":
    main(Path(sys.argv[1]))
