"""Process that runs one peer: ``python worker.py PEER JOB.npz SPIKES.npz``, started by ``remote.py``.

It needs numpy and the peer, and nothing of neurodeploy. It writes the spikes of the first sample, an array ``(steps, size)``
for each layer, then prints ``ready``; it answers each line on standard input with the seconds of one pass over all samples.

A layer is a weight matrix with neurons; weights, thresholds and decays (in 1/4096) are integers. Peers that use torch have
no lag of one step from layer to layer, so their spikes are shifted by it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rasters = list[NDArray[np.bool_]]
Pass = Callable[[bool], "tuple[float, Rasters]"]
"""Runs all samples once; returns the seconds and, on request, the spikes of the first sample by layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A network and its input.

    ``raster``: input, bool ``(samples, steps, channels)``; ``weights``: integers ``(targets, sources)`` for each layer.
    """

    raster: NDArray[np.bool_]
    weights: list[NDArray[np.int32]]
    thresholds: list[int]
    current_decay: int
    voltage_decay: int

    @property
    def n_steps(self) -> int:
        return int(self.raster.shape[1])


def read_job(path: Path) -> Job:
    with np.load(path, allow_pickle=False) as file:
        raster = np.zeros(file["shape"], np.bool_)
        raster[tuple(file["events"])] = True
        thresholds = file["thresholds"].tolist()
        current_decay, voltage_decay = file["decays"].tolist()
        return Job(
            raster=raster,
            weights=[file[f"weights{i}"].astype(np.int32) for i in range(len(thresholds))],
            thresholds=thresholds,
            current_decay=current_decay,
            voltage_decay=voltage_decay,
        )


def _later(raster: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Return a raster with its spikes ``steps`` later; spikes moved past its end are lost."""
    moved = np.zeros_like(raster)
    moved[steps:] = raster[: len(raster) - steps]
    return moved


def slayer(job: Job) -> Pass:
    """Return a pass of lava-dl's CUBA blocks, which quantise as Loihi does; without gradients."""
    torch: Any = import_module("torch")
    blocks: Any = import_module("lava.lib.dl.slayer").block
    torch.set_num_threads(1)
    layers = []
    for weights, threshold in zip(job.weights, job.thresholds):
        neuron = {
            "threshold": threshold / 64,
            "current_decay": job.current_decay / 4096,
            "voltage_decay": job.voltage_decay / 4096,
        }
        layer = blocks.cuba.Dense(neuron, weights.shape[1], weights.shape[0], weight_norm=False, delay_shift=True)
        values = torch.as_tensor(weights.astype(np.float32) / 64)
        layer.synapse.weight.data[:] = values.reshape(layer.synapse.weight.shape)
        layers.append(layer.eval())
    x = torch.as_tensor(job.raster.transpose(0, 2, 1).astype(np.float32))

    def once(_keep: bool) -> tuple[float, Rasters]:
        with torch.no_grad():
            begin = time.perf_counter()
            spikes = [x]
            for layer in layers:
                spikes.append(layer(spikes[-1]))
            seconds = time.perf_counter() - begin
        return seconds, [s[0].numpy().T > 0 for s in spikes[1:]]

    return once


def snntorch(job: Job) -> Pass:
    """Return a pass of ``Linear`` and ``Synaptic``, step by step as in its tutorials; float sums of integers are exact."""
    torch: Any = import_module("torch")
    synaptic: Any = import_module("snntorch").Synaptic
    torch.set_num_threads(1)
    linear = [_linear(torch.nn.Linear, weights) for weights in job.weights]
    kept = {"alpha": 1 - job.current_decay / 4096, "beta": 1 - job.voltage_decay / 4096}
    neurons = [synaptic(**kept, threshold=float(t), reset_mechanism="zero", reset_delay=False) for t in job.thresholds]
    x = torch.as_tensor(job.raster.transpose(1, 0, 2).astype(np.float32))

    def once(_keep: bool) -> tuple[float, Rasters]:
        with torch.no_grad():
            begin = time.perf_counter()
            states = [neuron.reset_mem() for neuron in neurons]
            record: list[list[Any]] = [[] for _ in neurons]
            for t in range(job.n_steps):
                spikes = x[t]
                for i, (layer, neuron) in enumerate(zip(linear, neurons)):
                    spikes, *states[i] = neuron(layer(spikes), *states[i])
                    record[i].append(spikes)
            outputs = [torch.stack(steps) for steps in record]
            seconds = time.perf_counter() - begin
        return seconds, [_later(o[:, 0].numpy() > 0, i + 1) for i, o in enumerate(outputs)]

    return once


def spikingjelly(job: Job) -> Pass:
    """Return a pass of ``layer.Linear`` and ``IFNode`` over all steps at once; they fire at the threshold, ours above it."""
    torch: Any = import_module("torch")
    parts: Any = import_module("spikingjelly.activation_based")
    neuron, layer, functional = (import_module(f"{parts.__name__}.{n}") for n in ("neuron", "layer", "functional"))
    torch.set_num_threads(1)
    if (job.current_decay, job.voltage_decay) != (4096, 0):
        raise ValueError("IFNode has no decays")
    modules = []
    for weights, threshold in zip(job.weights, job.thresholds):
        modules.append(_linear(lambda *sizes, **kw: layer.Linear(*sizes, step_mode="m", **kw), weights))
        modules.append(neuron.IFNode(v_threshold=threshold + 0.5, v_reset=0.0, step_mode="m").eval())
    net = torch.nn.ModuleList(modules)
    x = torch.as_tensor(job.raster.transpose(1, 0, 2).astype(np.float32))

    def once(_keep: bool) -> tuple[float, Rasters]:
        functional.reset_net(net)
        with torch.no_grad():
            begin = time.perf_counter()
            values = [x]
            for module in modules:
                values.append(module(values[-1]))
            seconds = time.perf_counter() - begin
        return seconds, [_later(v[:, 0].numpy() > 0, i + 1) for i, v in enumerate(values[2::2])]

    return once


def _linear(make: Callable[..., Any], weights: NDArray[np.int32]) -> Any:
    torch: Any = import_module("torch")
    made = make(weights.shape[1], weights.shape[0], bias=False)
    made.weight.data[:] = torch.as_tensor(weights.astype(np.float32))
    return made


def nengo_loihi(job: Job) -> Pass:
    """Return a pass of the emulator on integer blocks as its builder makes them; it computes as Lava's CUBA neurons do."""
    inputs: Any = import_module("nengo_loihi.inputs")
    emulator: Any = import_module("nengo_loihi.emulator.interface").EmulatorInterface
    source = inputs.SpikeInput(job.raster.shape[2])
    for step in range(job.n_steps):
        source.add_spikes(step + 1, np.flatnonzero(job.raster[0, step]), permanent=True)
    blocks = _nengo_blocks(job, source)
    model = SimpleNamespace(blocks=blocks, inputs=[source], probes=[], dt=0.001)
    ends = np.cumsum([0, *(block.n_neurons for block in blocks)])

    def once(keep: bool) -> tuple[float, Rasters]:
        rows = []
        with emulator(model, seed=0) as emu:
            begin = time.perf_counter()
            if not keep:
                emu.run_steps(job.n_steps)
            seconds = time.perf_counter() - begin
            for _ in range(job.n_steps if keep else 0):
                emu.step()
                rows.append(emu.compartment.spiked.copy())
        whole = np.array(rows, np.bool_).reshape(len(rows), ends[-1])
        return seconds, [whole[:, a:b] for a, b in zip(ends, ends[1:])]

    return once


def _nengo_blocks(job: Job, source: Any) -> list[Any]:
    block_module: Any = import_module("nengo_loihi.block")
    sparse: Any = import_module("scipy.sparse")
    blocks: list[Any] = []
    for weights, threshold in zip(job.weights, job.thresholds):
        n_target, n_source = weights.shape
        block = block_module.LoihiBlock(n_target)
        part = block.compartment
        # Its current decays by one part of 4096 more than the register says, as on the chip.
        part.decay_u = np.full(n_target, job.current_decay - 1, np.int32)
        part.decay_v = np.full(n_target, job.voltage_decay, np.int32)
        part.vth = np.full(n_target, 64 * threshold, np.int32)
        part.bias, part.scale_u = np.zeros(n_target, np.int32), False
        part.refract_delay[:] = 1
        part.vmin, part.vmax = 1 - 2**23, 2**23 - 1
        synapse = block_module.Synapse(n_source)
        synapse.set_weights(sparse.csr_matrix(weights.T.astype(np.float32)))
        synapse.weights = [64 * w.astype(np.int32) for w in synapse.weights]
        block.add_synapse(synapse)
        axon = block_module.Axon(n_source)
        axon.target = synapse
        axon.set_compartment_axon_map(np.arange(n_source))
        (blocks[-1] if blocks else source).add_axon(axon)
        blocks.append(block)
    return blocks


def sanafe(job: Job) -> Pass:
    """Return a pass of SANA-FE's Loihi with timing model ``simple``: spikes, messages, energy and latency."""
    simulator: Any = import_module("sanafe")
    if (job.current_decay, job.voltage_decay) != (4096, 0):
        raise ValueError("SANA-FE's neuron has no current, and a decay of its own")
    arch = simulator.load_arch(Path(simulator.__file__).parent / "examples" / "loihi.yaml")
    network = simulator.Network()
    groups = _sanafe_groups(job, network, arch)
    sizes = [w.shape[0] for w in job.weights]
    names = {f"layer{i}": i for i in range(len(groups) - 1)}

    def once(keep: bool) -> tuple[float, Rasters]:
        chip = simulator.SpikingChip(arch)
        chip.load(network)
        begin = time.perf_counter()
        done = chip.sim(timesteps=job.n_steps, timing_model="simple", processing_threads=1, spike_trace=keep or None)
        seconds = time.perf_counter() - begin
        rasters = [np.zeros((job.n_steps, size), np.bool_) for size in sizes]
        for step, spikes in enumerate(done["spike_trace"] if keep else ()):
            for neuron in spikes:
                group, place = str(neuron).rsplit(".", 1)
                if group in names:
                    rasters[names[group]][step, int(place)] = True
        return seconds, rasters

    return once


def _sanafe_groups(job: Job, network: Any, arch: Any) -> list[Any]:
    """Return the neuron groups of input and layers; each starts on a new core, and a core takes 1024 neurons."""
    options = {"default_synapse_hw_name": "loihi_sparse_synapse", "default_dendrite_hw_name": "loihi_dendrites"}
    cores, groups = iter(arch.cores()), []
    for i, size in enumerate([job.raster.shape[2], *(w.shape[0] for w in job.weights)]):
        soma = {} if i == 0 else {"threshold": job.thresholds[i - 1], "leak_decay": 1.0, "reset_mode": "hard"}
        unit = "" if i == 0 else "loihi_lif"
        name = f"layer{i - 1}" if i else "in"
        group = network.create_neuron_group(
            name, size, model_attributes=soma, soma_hw_name=unit, log_spikes=True, **options
        )
        for j, neuron in enumerate(group.neurons):
            if j % 1024 == 0:
                core = next(cores)
            if i == 0:
                train = job.raster[0, :, j].astype(int).tolist()
                neuron.set_attributes(soma_hw_name=f"loihi_inputs[{j % 1024}]", model_attributes={"spikes": train})
            neuron.map_to_core(core)
        groups.append(group)
    for source, target, weights in zip(groups, groups[1:], job.weights):
        to, by = np.nonzero(weights)
        source.connect_neurons_sparse(target, {"weight": weights[to, by].tolist()}, list(zip(by.tolist(), to.tolist())))
    return groups


PEERS: dict[str, Callable[[Job], Pass]] = {
    "slayer": slayer,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
    "nengo-loihi": nengo_loihi,
    "sanafe": sanafe,
}


def main(peer: str, job_file: str, spikes_file: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # prints of the peer must not be taken for answers
    once = PEERS[peer](read_job(Path(job_file)))
    spikes = once(True)[1]
    np.savez(spikes_file, *spikes)
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        print(once(False)[0], file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
