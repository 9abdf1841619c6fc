"""A training step over stored connections against dense ones: ``python tests/benchmarks/bench_train_kernels.py``.

One thread; forward, backward and Adam. Peers: ``slayer-masked`` (lava-dl's layers with masks) and ``dense-fused`` (torch's
dense synapses with the compiled neurons of ``training/model/fused.py``). All take turns in one process; medians of processor
time are compared, and spikes must be equal before a time counts. Not run by the tests.

    bench_train_kernels.py [step] [neurons] [growth] [memory] [simulate] [--quick] [--network NAME] [--peer NAME]
    [--rounds N]

For AVX2 alone: ``NUMBA_CPU_NAME=x86-64-v3 NUMBA_CPU_FEATURES= python ...`` (torch and slayer keep what they have).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sparse_chains import NEURON, SCALE, TAU, Part, chain, part

from neurodeploy.engines.lanes.neurons import neurons_of, respond
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.engines.lanes.wiring import Geometry
from neurodeploy.files.loops import instruction_set
from neurodeploy.network.activity import Events
from neurodeploy.training.lanes.adam import AdamSettings
from neurodeploy.training.lanes.growth import Pass, draw_absent
from neurodeploy.training.lanes.reverse import leak_back, leaks_of, surrogate_of

RATES = (0.02, 0.1)
DENSITIES = (1.0, 0.5, 0.1, 0.02)
NETS = {
    "2312-512-512-11": (2312, 512, 512, 11),
    "784-512-10": (784, 512, 10),
    "4096-4096-4096-11": (4096, 4096, 4096, 11),
}
CONV = "conv-34x34x2"


def random_parts(name: str, density: float, rng: np.random.Generator) -> list[Part]:
    """Return layers with random weights; the output layer is stored whole if it is small."""
    if name == CONV:
        shapes: list[Any] = [
            Geometry(taken=(2, 34, 34), kernels=(16, 2, 3, 3), padding=(1, 1)),
            Geometry(taken=(16, 34, 34), kernels=(16, 1, 2, 2), stride=(2, 2), groups=16),
            Geometry(taken=(16, 17, 17), kernels=(32, 16, 3, 3), padding=(1, 1)),
            Geometry(taken=(32, 17, 17), kernels=(32, 1, 2, 2), stride=(2, 2), groups=32),
            (10, 2048),
        ]
    else:
        sizes = NETS[name]
        shapes = [(b, a) for a, b in zip(sizes, sizes[1:])]
    parts = []
    for shape in shapes:
        pool = isinstance(shape, Geometry) and shape.groups > 1
        own = 1.0 if pool or (not isinstance(shape, Geometry) and shape[0] < 16) else density
        fan_in = np.prod(shape.kernels[1:]) if isinstance(shape, Geometry) else shape[1]
        made = part(rng, shape, own, 1.5 / np.sqrt(max(own * float(fan_in), 1)), learns=not pool)
        parts.append(made if not pool else _pool(made))
    return parts


def _pool(made: Part) -> Part:
    from dataclasses import replace

    return replace(made, latent=np.ones_like(made.latent), mask=np.ones_like(made.mask))


def input_shape(parts: list[Part]) -> int:
    shape = parts[0].shape
    return int(np.prod(shape.taken)) if isinstance(shape, Geometry) else shape[1]


class Ours:
    """A step over lanes."""

    def __init__(self, parts: list[Part], events: Events, gradient: np.ndarray) -> None:
        self.chain = chain(parts, settings=AdamSettings(learning_rate=1e-6))
        self.events, self.gradient = events, gradient

    def step(self) -> None:
        self.chain.forward(Spikes.of_events(self.events))
        self.chain.backward(self.gradient)
        self.chain.step()

    def fired(self) -> list[np.ndarray]:
        self.chain.forward(Spikes.of_events(self.events))
        return [layer.sent.to_raster() for layer in self.chain.layers]


class Dense:
    """A step of dense masked layers of torch; ``fused`` takes the compiled neurons instead of slayer's layers."""

    def __init__(self, parts: list[Part], events: Events, gradient: np.ndarray, *, fused: bool) -> None:
        import torch

        self.parts, self.fused = parts, fused
        self.gradient = torch.from_numpy(gradient)
        self.spikes = torch.from_numpy(events.to_dense().transpose(0, 2, 1).astype(np.float32))
        self.weights, self.masks, self.blocks = [], [], []
        for own in parts:
            block = None if fused else _slayer_block(own)
            dense = torch.from_numpy(own.latent.copy())
            if block is not None and own.learns:
                block.synapse.weight.data = dense.reshape(block.synapse.weight.shape)
            weight = torch.nn.Parameter(dense) if block is None else block.synapse.weight
            self.blocks.append(block)
            if own.learns:
                self.weights.append(weight)
                self.masks.append(torch.from_numpy(own.mask).reshape(weight.shape))
            else:
                weight.requires_grad_(False)
            if fused:
                self.blocks[-1] = weight
        self.optimizer = torch.optim.Adam(self.weights, lr=1e-6)

    def forward(self) -> list[Any]:
        spikes, fired = self.spikes, []
        for own, block in zip(self.parts, self.blocks):
            spikes = (_fused if self.fused else _slayer)(own, block, spikes)
            fired.append(spikes)
        return fired

    def step(self) -> None:
        import torch

        last = self.forward()[-1]
        self.optimizer.zero_grad()
        last.backward(self.gradient)
        for weight, mask in zip(self.weights, self.masks):
            weight.grad.mul_(mask)
        self.optimizer.step()
        with torch.no_grad():
            for weight, mask in zip(self.weights, self.masks):
                weight.mul_(mask)

    def fired(self) -> list[np.ndarray]:
        import torch

        with torch.no_grad():
            return [layer.numpy() for layer in self.forward()]


def _fused(own: Part, weight: Any, spikes: Any) -> Any:
    import torch

    from neurodeploy.training.model.fused import CubaSettings, cuba_spikes, window_sums
    from neurodeploy.training.model.weight_grid import Grid

    shape, settings = own.shape, CubaSettings(neuron=own.model, tau=TAU, scale=SCALE)
    if not isinstance(shape, Geometry):
        drive = torch.nn.functional.conv1d(spikes, Grid()(weight)[..., None])
    else:
        image = spikes.reshape(len(spikes), *shape.taken, spikes.shape[-1])
        if own.learns:
            drive = torch.nn.functional.conv3d(
                image, Grid()(weight)[..., None], None, (*shape.stride, 1), (*shape.padding, 0)
            )
        else:
            high, wide = (size // 2 * 2 for size in shape.taken[1:])
            drive = window_sums(image[:, :, :high, :wide], (2, 2), 1.0)
    return cuba_spikes(drive.contiguous(), settings)[0].flatten(1, -2)


def _slayer_block(own: Part) -> Any:
    from lava.lib.dl.slayer.block import cuba

    model = own.model
    neuron = {
        "threshold": model.threshold / 64,
        "current_decay": model.current_decay / 4096,
        "voltage_decay": model.voltage_decay / 4096,
        "tau_grad": TAU / (model.threshold / 64) / 100,
        "scale_grad": SCALE / 0.1,
    }
    shape, plain = own.shape, {"weight_norm": False, "delay_shift": False}
    if not isinstance(shape, Geometry):
        return cuba.Dense(neuron, shape[1], shape[0], **plain)
    if own.learns:
        kernels = shape.kernels
        return cuba.Conv(neuron, kernels[1], kernels[0], kernels[2:], padding=shape.padding, **plain)
    return cuba.Pool(neuron, 2, weight_scale=1.0, **plain)


def _slayer(own: Part, block: Any, spikes: Any) -> Any:
    shape = own.shape
    if not isinstance(shape, Geometry):
        return block(spikes)
    image = spikes.reshape(len(spikes), *shape.taken, spikes.shape[-1])
    if not own.learns:
        high, wide = (size // 2 * 2 for size in shape.taken[1:])
        image = image[:, :, :high, :wide]
    return block(image).flatten(1, -2)


def taken_in_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each, all of which take turns; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, work in contestants.items():
            begin = time.process_time()
            work()
            seconds[name].append(time.process_time() - begin)
    return {name: median(times[1:]) for name, times in seconds.items()}


def bench_steps(rounds: int, quick: bool, only: str | None, wanted: str | None) -> None:
    """Print the time of a step, ours and the peers'."""
    print("network,density,rate,steps,batch,threads,isa,peer,ours_ms,peer_ms,ratio,equal,fired")
    cases = [(name, 100, 32, d, r) for name in ("2312-512-512-11",) for r in RATES for d in DENSITIES]
    cases += [(CONV, 100, 16, d, 0.02) for d in (1.0, 0.1, 0.02)]
    if not quick:
        cases += [("784-512-10", 16, 128, d, r) for r in RATES for d in DENSITIES]
        cases += [("4096-4096-4096-11", 16, 32, d, 0.02) for d in (0.1, 0.02)]
    for name, n_steps, batch, density, rate in [case for case in cases if only in (None, case[0])]:
        rng = np.random.default_rng(0)
        parts = random_parts(name, density, rng)
        events = Events.from_dense(rng.random((batch, n_steps, input_shape(parts))) < rate)
        last = parts[-1].shape[0]  # type: ignore[index]
        gradient = rng.normal(size=(batch, last, n_steps)).astype(np.float32)
        ours = Ours(parts, events, gradient)
        peers = {
            peer: Dense(parts, events, gradient, fused=peer == "dense-fused")
            for peer in ("slayer-masked", "dense-fused")
            if wanted in (None, peer)
        }
        fired = ours.fired()
        equal = {peer: all(np.array_equal(a, b) for a, b in zip(fired, run.fired())) for peer, run in peers.items()}
        works = {"ours": ours.step} | {peer: run.step for peer, run in peers.items()}
        ours.step()
        seconds = taken_in_turns(works, rounds)
        rates = "/".join(f"{layer.mean():.2f}" for layer in fired)
        for peer in peers:
            times = [f"{1e3 * seconds[key]:.1f}" for key in ("ours", peer)]
            ratio = seconds[peer] / seconds["ours"]
            row = [name, density, rate, n_steps, batch, 1, instruction_set(), peer, *times, f"{ratio:.1f}"]
            print(",".join(map(str, [*row, equal[peer], rates])), flush=True)


def bench_neurons(rounds: int) -> None:
    """Print the time of the neurons alone, forward and reverse: ours, the compiled ones of torch's route, slayer's."""
    print("neurons,steps,batch,isa,peer,pass,ours_ms,peer_ms,ratio")
    for n_steps in (100, 300):
        seconds = taken_in_turns(neuron_passes(512, 32, n_steps), rounds)
        for peer in ("fused", "slayer"):
            for which in ("forward", "reverse"):
                ours, theirs = seconds[f"ours {which}"], seconds[f"{peer} {which}"]
                row = [512, n_steps, 32, instruction_set(), peer, which, f"{1e3 * ours:.2f}", f"{1e3 * theirs:.1f}"]
                print(",".join(map(str, [*row, f"{theirs / ours:.1f}"])), flush=True)


def neuron_passes(n: int, batch: int, n_steps: int) -> dict[str, Callable[[], object]]:
    """Return the passes of ``n`` neurons to time; a reverse pass follows its forward pass."""
    import torch

    from neurodeploy.training.model.fused import CubaSettings, cuba_spikes

    rng = np.random.default_rng(0)
    span, neurons = Span(n_steps, batch), neurons_of(NEURON, n)
    sums, voltage, back = span.rows(n, np.int32), span.rows(n, np.float32), span.rows(n, np.float32)
    span.samples_of(sums)[:] = rng.integers(-50, 60, (batch, n, n_steps))
    span.samples_of(back)[:] = rng.normal(size=(batch, n, n_steps))
    bits = np.zeros((n, span.width // 64), np.uint64)
    leaks, lanes = leaks_of(neurons, surrogate_of(neurons, TAU, SCALE)), (span.stride, span.padded, n_steps)
    settings = CubaSettings(neuron=NEURON, tau=TAU, scale=SCALE)
    drive = torch.from_numpy(span.samples_of(sums).astype(np.float32) / 64).contiguous().requires_grad_()
    gradient = torch.from_numpy(np.ascontiguousarray(span.samples_of(back)))
    block = _slayer_block(part(rng, (n, n), 1.0)).neuron
    held: dict[str, Any] = {}

    def fused() -> None:
        held["fused"] = cuba_spikes(drive, settings)[0]

    def slayer() -> None:
        held["slayer"] = block(drive)

    return {
        "ours forward": lambda: respond(sums, neurons, span, 0, 1, bits, voltage),
        "ours reverse": lambda: leak_back(voltage.reshape(-1), back.reshape(-1), leaks, lanes, 0, n, 0),
        "fused forward": fused,
        "fused reverse": lambda: held["fused"].backward(gradient),
        "slayer forward": slayer,
        "slayer reverse": lambda: held["slayer"].backward(gradient),
    }


def bench_growth(rounds: int) -> None:
    """Print the time to find the largest gradients of absent connections, against torch's dense gradient and topk."""
    import torch

    print("layer,rate,steps,batch,candidates,isa,ours_ms,dense_ms,ratio,same_set")
    cases = [((512, 2312), 100, 32, 0.1, r, 11837) for r in RATES]
    cases += [((4096, 4096), 50, 16, 0.02, r, 33554) for r in RATES]
    for shape, n_steps, batch, density, rate, count in cases:
        rng = np.random.default_rng(0)
        own = part(rng, shape, density)
        synapses = own.synapses()
        spikes = Spikes.of_events(Events.from_dense(rng.random((batch, n_steps, shape[1])) < rate))
        errors = spikes.span.rows(shape[0], np.float32)
        values = rng.normal(size=(batch, shape[0], n_steps)).astype(np.float32)
        spikes.span.samples_of(errors)[:] = values
        mask = torch.from_numpy(own.mask)
        to = torch.from_numpy(values.transpose(1, 0, 2).reshape(shape[0], -1).copy())
        origin = torch.from_numpy(spikes.to_raster().transpose(0, 2, 1).reshape(-1, shape[1]).copy())
        found: dict[str, Any] = {}

        def ours() -> None:
            found["ours"] = synapses.candidates([Pass(spikes, errors)], count, rng).position  # noqa: B023

        def dense() -> None:
            gradient = (to @ origin).abs_().masked_fill_(mask, -1)  # noqa: B023
            found["dense"] = gradient.flatten().topk(count).indices.numpy()  # noqa: B023

        seconds = taken_in_turns({"ours": ours, "dense": dense}, rounds)
        shared = np.isin(found["ours"][:count], found["dense"]).mean()
        name = f"{shape[1]}x{shape[0]}"
        times = [f"{1e3 * seconds[key]:.1f}" for key in ("ours", "dense")]
        row = [
            name,
            rate,
            n_steps,
            batch,
            count,
            instruction_set(),
            *times,
            f"{seconds['dense'] / seconds['ours']:.1f}",
        ]
        print(",".join(map(str, [*row, f"{shared:.5f}"])), flush=True)


MEMORY = {
    "2312-512-512-11": ((2312, 512, 512, 11), 100, 32, 0.1, 0.02),
    "8192-8192-8192-11": ((8192, 8192, 8192, 11), 50, 16, 0.02, 0.02),
}


def bench_memory() -> None:
    """Print the peak memory over that of an idle process after two steps, each in a process of its own."""
    print("network,density,steps,batch,backend,peak_mb")
    for name, (_, n_steps, batch, density, _) in MEMORY.items():
        for backend in ("ours", "dense-fused", "slayer-masked"):
            command = [sys.executable, __file__, "--one", name, backend]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            peak = done.stdout.strip() if done.returncode == 0 else f"failed ({done.returncode})"
            print(f"{name},{density},{n_steps},{batch},{backend},{peak}", flush=True)


def one_memory(name: str, backend: str) -> None:
    """Print the megabytes that two steps take beyond what the imports take."""
    sizes, n_steps, batch, density, rate = MEMORY[name]
    rng = np.random.default_rng(0)
    fired = rng.random((batch, n_steps, sizes[0])) < rate
    events = Events.from_dense(fired)
    gradient = rng.normal(size=(batch, sizes[-1], n_steps)).astype(np.float32)
    if backend == "ours":
        from neurodeploy.training.lanes.chain import Chain
        from neurodeploy.training.lanes.layer import Layer
        from neurodeploy.training.lanes.synapses import Synapses

        small = chain([part(rng, (9, 8), 0.5), part(rng, (3, 9), 0.5)])  # so that the kernels are compiled
        small.forward(Spikes.of_raster(rng.random((16, 8, 4)) < 0.5))
        small.backward(np.ones((16, 3, 4), np.float32))
        small.step()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            n = a * b if b < 16 else round(density * a * b)
            position = np.arange(a * b) if n == a * b else np.sort(draw_absent(a * b, np.zeros(0, np.int64), n, rng))
            latent = (rng.standard_normal(n, np.float32) * np.float32(1.5 / np.sqrt(n / b))).astype(np.float32)
            layers.append(Layer(Synapses((b, a), position, latent), NEURON, tau=TAU, scale=SCALE))
        own = Chain(layers)
        for _ in range(2):
            own.forward(Spikes.of_events(events))
            own.backward(gradient)
            own.step()
    else:
        import torch

        torch.set_num_threads(1)
        few, none = Events.from_dense(fired[:, :, :8]), np.zeros((batch, 9, n_steps), np.float32)
        run_small = Dense([part(rng, (9, 8), 0.5)], few, none, fused=backend == "dense-fused")
        run_small.step()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        parts = []
        for a, b in zip(sizes, sizes[1:]):
            mask = rng.random((b, a), np.float32) < (1.0 if b < 16 else density)
            latent = rng.standard_normal((b, a), np.float32) * mask * np.float32(1.5 / np.sqrt(a * density))
            parts.append(Part(shape=(b, a), latent=latent, mask=mask))
        run = Dense(parts, events, gradient, fused=backend == "dense-fused")
        for _ in range(2):
            run.step()
    print(f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f}")


def bench_simulation(rounds: int) -> None:
    """Print the time of 64 samples in lanes and spike by spike."""
    from neurodeploy.bench.speed.networks import make_network, random_samples
    from neurodeploy.engines.event.run import run_event
    from neurodeploy.engines.lanes.run import run_lanes

    print("network,density,rate,samples,isa,lanes_ms,event_ms,ratio,equal")
    for name in ("784-256-10", "2312-512-512-11", CONV):
        for density in (1.0,) if name == CONV else (1.0, 0.1, 0.02):
            for rate in RATES:
                rng = np.random.default_rng(0)
                network = make_network(name, density, rate, rng)
                samples = random_samples(network, 64, rate, rng)
                lanes, event = run_lanes(network, samples), run_event(network, samples, threads=1)
                equal = all(np.array_equal(lanes.spikes[k].places(), event.spikes[k].places()) for k in event.spikes)
                seconds = taken_in_turns(
                    {
                        "lanes": lambda: run_lanes(network, samples),  # noqa: B023
                        "event": lambda: run_event(network, samples, threads=1),  # noqa: B023
                    },
                    rounds,
                )
                times = [f"{1e3 * seconds[key]:.2f}" for key in ("lanes", "event")]
                row = [name, density, rate, 64, instruction_set(), *times, f"{seconds['event'] / seconds['lanes']:.2f}"]
                print(",".join(map(str, [*row, equal])), flush=True)


def main() -> None:
    """Run the sections named on the command line, by default all of them."""
    sections = ("step", "neurons", "growth", "memory", "simulate")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*sections, []])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="fewer networks")
    parser.add_argument("--peer", help="of the section step, only against this one")
    parser.add_argument("--network", help="of the section step, only this one")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one_memory(*given.one)
        return
    import torch

    torch.set_num_threads(1)
    wanted = given.sections or sections
    runs = {
        "step": lambda: bench_steps(given.rounds, given.quick, given.network, given.peer),
        "neurons": lambda: bench_neurons(given.rounds),
        "growth": lambda: bench_growth(given.rounds),
        "memory": bench_memory,
        "simulate": lambda: bench_simulation(given.rounds),
    }
    for section in wanted:
        runs[section]()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
