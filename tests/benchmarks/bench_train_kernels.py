"""Parts of a training step over stored connections against dense ones: ``python tests/benchmarks/bench_train_kernels.py``.

One thread. All contestants take turns in one process; medians of processor time are compared. A whole step, and its memory,
is what ``neurodeploy bench train`` measures. Not run by the tests.

    bench_train_kernels.py [neurons] [growth] [simulate] [--rounds N]

For AVX2 alone: ``NUMBA_CPU_NAME=x86-64-v3 NUMBA_CPU_FEATURES= python ...`` (torch and slayer keep what they have).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sparse_chains import NEURON, SCALE, TAU, part

from neurodeploy.engines.lanes.neurons import neurons_of, respond
from neurodeploy.engines.lanes.spikes import Span, Spikes
from neurodeploy.files.loops import instruction_set
from neurodeploy.network.activity import Events
from neurodeploy.training.lanes.growth import Pass
from neurodeploy.training.lanes.reverse import leak_back, leaks_of, surrogate_of

RATES = (0.02, 0.1)
CONV = "conv-34x34x2"


def slayer_neurons(n: int) -> Any:
    """Return slayer's neurons with the parameters of ``NEURON``."""
    from lava.lib.dl.slayer.block import cuba

    neuron = {
        "threshold": NEURON.threshold / 64,
        "current_decay": NEURON.current_decay / 4096,
        "voltage_decay": NEURON.voltage_decay / 4096,
        "tau_grad": TAU / (NEURON.threshold / 64) / 100,
        "scale_grad": SCALE / 0.1,
    }
    return cuba.Dense(neuron, n, n, weight_norm=False, delay_shift=False).neuron


def taken_in_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each, all of which take turns; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, work in contestants.items():
            begin = time.process_time()
            work()
            seconds[name].append(time.process_time() - begin)
    return {name: median(times[1:]) for name, times in seconds.items()}


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
    block = slayer_neurons(n)
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
    sections = {"neurons": bench_neurons, "growth": bench_growth, "simulate": bench_simulation}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*sections, []])
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    for section in given.sections or sections:
        sections[section](given.rounds)


if __name__ == "__main__":
    main()
