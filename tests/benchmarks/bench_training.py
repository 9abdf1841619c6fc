"""One training step with the fused neuron and with slayer's own: ``python tests/benchmarks/bench_training.py``.

One thread, forward and backward and AdamW, best of some steps taken in turns; prints one line a network. Not run by the
tests. The two give the same bits (``tests/unit/training/test_fused.py``), so only time is compared.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from neurodeploy.network import Shape
from neurodeploy.recipe.files import find_recipe, parse_recipe
from neurodeploy.training.model.slayer import SlayerNetwork, build

TEXT = find_recipe("digits-mlp").read_text(encoding="utf-8")
LAYERS = "layers = [{ neurons = 256 }, { neurons = 256 }, { neurons = 10 }]"
CASES: dict[str, tuple[str, Shape, int, int]] = {
    "mlp 2312-512-512-11": ("[{ neurons = 512 }, { neurons = 512 }, { neurons = 11 }]", (2312,), 32, 100),
    "conv 34x34x2-24c5s2-24c3-11": (
        "[{ kind = 'conv', channels = 24, kernel = 5, stride = 2 }, { kind = 'conv', channels = 24, kernel = 3 }, "
        "{ neurons = 11 }]",
        (2, 34, 34),
        16,
        100,
    ),
    "mnist 28x28-16c5-p2-32c5-p2-10": (
        "[{ kind = 'conv', channels = 16, kernel = 5 }, { kind = 'pool', kernel = 2 }, "
        "{ kind = 'conv', channels = 32, kernel = 5 }, { kind = 'pool', kernel = 2 }, { neurons = 10 }]",
        (1, 28, 28),
        32,
        20,
    ),
    "recurrent 700-128r-20": ("[{ neurons = 128, recurrent = true }, { neurons = 20 }]", (700,), 32, 100),
}
RATE = 0.05


def step_seconds(
    model: SlayerNetwork, optimizer: torch.optim.Optimizer, spikes: torch.Tensor, *, fused: bool
) -> tuple[float, float]:
    """Return the seconds of the forward pass, and of backward pass and optimiser."""
    start = time.perf_counter()
    output = list(model.layers(spikes, fused=fused).values())[-1]
    middle = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(output.sum(-1), torch.zeros(len(spikes), dtype=torch.int64)).backward()
    optimizer.step()
    return middle - start, time.perf_counter() - middle


def main(repeats: int) -> None:
    """Time every case and print what a step took in milliseconds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("network,batch,steps,slayer_forward_ms,slayer_step_ms,fused_forward_ms,fused_step_ms,times_faster")
    for name, (layers, shape, batch, n_steps) in CASES.items():
        model = build(parse_recipe(TEXT.replace(LAYERS, f"layers = {layers}"), name), shape)
        optimizer = torch.optim.AdamW(model.parameters())
        spikes = (torch.rand(batch, int(np.prod(shape)), n_steps) < RATE).float()
        seconds: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(repeats + 1):
            for fused in seconds:
                seconds[fused].append(step_seconds(model, optimizer, spikes, fused=fused))
        # the first of each compiles or warms up
        best = {fused: 1e3 * np.array([(f, f + b) for f, b in taken[1:]]).min(0) for fused, taken in seconds.items()}
        times = [f"{value:.0f}" for fused in (False, True) for value in best[fused]]
        print(f"{name},{batch},{n_steps},{','.join(times)},{best[False][1] / best[True][1]:.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
