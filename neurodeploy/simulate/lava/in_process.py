"""``run_lava_in_process``: Lava's own process models, stepped in this process with stub ports and without its runtime.

Same arithmetic, line by line Lava's, about ten times faster than the runtime and without its hangs. What is not Lava's is
the order of the models within a step, the sum over the synapses of a population, and the reset between samples.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.activity import Activity, Events, Samples
from neurodeploy.errors import LavaError
from neurodeploy.network import Network
from neurodeploy.simulate.inputs import Progress, check_run, input_events
from neurodeploy.simulate.lava.plan import Record, make_job

_MODELS = {
    "LIF": ("lava.proc.lif.models", "PyLifModelBitAcc"),
    "Dense": ("lava.proc.dense.models", "PyDenseModelBitAcc"),
    "DelayDense": ("lava.proc.dense.models", "PyDelayDenseModelBitAcc"),
    "Sparse": ("lava.proc.sparse.models", "PySparseModelBitAcc"),
    "DelaySparse": ("lava.proc.sparse.models", "PyDelaySparseModelBitAcc"),
    "Conv": ("lava.proc.conv.models", "PyConvModelFixed"),
}


def run_lava_in_process(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Activity:
    """Return what the network does with the samples, as Lava's process models compute it; see ``run_lava``.

    Importing Lava, which the first call does, sets multiprocessing's start method of this process to fork.

    Raises:
        SimulationError: if the samples or probes do not fit the network.
        LavaError: if this Python has no Lava, or Lava cannot express the network.
    """
    steps = check_run(network, samples, n_steps, probe)
    models = _Models(make_job(network, samples, steps))
    inputs = input_events(network, samples, steps)
    spikes = {p.name: np.zeros((samples.n_samples, steps, p.size), np.bool_) for p in network.populations}
    states = {
        (name, which): np.zeros((samples.n_samples, steps, network.sizes[name]), np.int32) for name, which in probe
    }
    for sample in range(samples.n_samples):
        models.reset()
        sent = {name: events.take(sample, sample + 1).to_dense()[0] for name, events in inputs.items()}
        for step in range(steps):
            fired = models.step(step, {name: raster[step] for name, raster in sent.items()})
            for name, row in fired.items():
                spikes[name][sample, step] = row
            for name, which in probe:
                if step >= network.population(name).first_step:
                    states[name, which][sample, step] = getattr(models.neurons[name], which)
        if progress is not None:
            progress(sample + 1, samples.n_samples)
    return Activity(
        engine="lava-in-process",
        network=network.fingerprint,
        n_steps=steps,
        spikes={**inputs, **{name: Events.from_dense(raster) for name, raster in spikes.items()}},
        states=states,
    )


class _Port:
    """Stands for a port of Lava: holds what was sent, or what shall be received."""

    def __init__(self) -> None:
        self.value: NDArray[np.int32] = np.zeros(0, np.int32)

    def send(self, value: NDArray[Any]) -> None:
        self.value = np.asarray(value).astype(np.int32)

    def recv(self) -> NDArray[np.int32]:
        return self.value


class _Models:
    """The models of one network, connected by plain arrays."""

    def __init__(self, job: Record) -> None:
        build = _lava("neurodeploy.simulate.lava.worker.build")
        self.populations: list[Record] = job["populations"]
        self.projections: list[Record] = job["projections"]
        self.neurons = {p["name"]: _model(build.neurons(p), "LIF") for p in self.populations}
        self.synapses = [_model(build.synapses(p), p["process"]) for p in self.projections]
        for model in self.neurons.values():
            model.a_in, model.s_out = _Port(), _Port()
        for model in self.synapses:
            model.s_in, model.a_out = _Port(), _Port()

    def reset(self) -> None:
        """Set every state to 0."""
        for model in self.neurons.values():
            model.u[:], model.v[:] = 0, 0
        for record, model in zip(self.projections, self.synapses):
            buffer = _buffer_name(record)
            setattr(model, buffer, np.zeros_like(getattr(model, buffer)))

    def step(self, step: int, inputs: dict[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int32]]:
        """Run one step and return who fired, by population.

        A synapse model sends, within its step, the sum that it kept from the step before; the neurons need that sum
        before their spikes can reach the synapses, so it is read first.
        """
        arriving = [_kept(record, model) for record, model in zip(self.projections, self.synapses)]
        fired = {}
        for record in self.populations:
            if step >= record["first_step"]:
                parts = [a for p, a in zip(self.projections, arriving) if p["target"] == record["name"]]
                fired[record["name"]] = self._fire(record, parts)
        spikes = {p["name"]: np.zeros(p["size"], np.int32) for p in self.populations} | inputs | fired
        for record, model, kept in zip(self.projections, self.synapses, arriving):
            model.s_in.value = _turned(record, spikes[record["source"]])
            model.run_spk()
            assert np.array_equal(_turned_back(record, model.a_out.value), kept), "a synapse sent something else"
        return fired

    def _fire(self, record: Record, parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
        model = self.neurons[record["name"]]
        model.a_in.value = np.sum([np.zeros(record["size"], np.int32), *parts], axis=0, dtype=np.int32)
        model.run_spk()
        fired: NDArray[np.int32] = model.s_out.value
        return fired


def _lava(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise LavaError(
            f"lava: engine 'lava-in-process' needs Lava in this Python {version} ({error}); use engine 'lava' with "
            "NEURODEPLOY_LAVA_PYTHON, or a Python 3.10 with lava-nc"
        ) from error
    except RuntimeError as error:  # Lava chooses multiprocessing's start method as it is imported
        raise LavaError(
            f"lava: Lava cannot be imported once a start method of multiprocessing is chosen ({error}); use engine 'lava', "
            "which runs it in a process of its own"
        ) from error


def _model(process: Any, kind: str) -> Any:
    """Return Lava's model of a process with its variables, made by Lava's own builder."""
    builders, utils = _lava("lava.magma.compiler.builders.py_builder"), _lava("lava.magma.compiler.utils")
    module, name = _MODELS[kind]
    builder = builders.PyProcessBuilder(getattr(_lava(module), name), model_id=0, proc_params=process.proc_params)
    builder.set_variables([utils.VarInitializer(v.name, v.shape, v.init, v.id) for v in process.vars.members])
    return builder.build()


def _buffer_name(record: Record) -> str:
    return "a_buf" if record["process"] == "Conv" else "a_buff"


def _kept(record: Record, model: Any) -> NDArray[np.int32]:
    """Return the sum that a synapse model sends in this step."""
    kept = getattr(model, _buffer_name(record))
    return _turned_back(record, (kept[:, 0] if record["process"].startswith("Delay") else kept).astype(np.int32))


def _turned(record: Record, spikes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return spikes in the shape of the synapse process: a Conv counts its axes x, y, channel."""
    return spikes.reshape(record["source_shape"]).transpose(2, 1, 0) if record["process"] == "Conv" else spikes


def _turned_back(record: Record, sums: NDArray[np.int32]) -> NDArray[np.int32]:
    return sums.transpose(2, 1, 0).ravel() if record["process"] == "Conv" else sums
