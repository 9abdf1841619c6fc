"""One training step on slayer, on slayer with the compiled neurons, and natively.

``python tests/benchmarks/bench_training.py [STEPS]``: one thread, forward and backward and AdamW, medians of steps taken in
turns; prints one line a network. Not run by the tests. All three give the same spikes (``tests/unit/training``), which is
checked before a time counts. Without lava-dl only the native times are printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch

from neurodeploy.network import Shape
from neurodeploy.recipe.files import find_recipe, parse_recipe
from neurodeploy.recipe.record import on_backend
from neurodeploy.training.model.backends import build
from neurodeploy.training.model.chain import ChainModel

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
    "mnist-mlp 784-512-10": ("[{ neurons = 512 }, { neurons = 10 }]", (784,), 256, 16),
    "digits-mlp 64-256-256-10": ("[{ neurons = 256 }, { neurons = 256 }, { neurons = 10 }]", (64,), 32, 16),
    "recurrent 700-128r-20": ("[{ neurons = 128, recurrent = true }, { neurons = 20 }]", (700,), 32, 100),
}
RATE = 0.05


Respond = Callable[[str, torch.Tensor], torch.Tensor]


def step_seconds(
    model: ChainModel, optimizer: torch.optim.Optimizer, spikes: torch.Tensor, respond: Respond | None
) -> tuple[float, float]:
    """Return the seconds of the forward pass, and of the whole step with backward pass and optimiser."""
    start = time.perf_counter()
    output = list(model.layers(spikes, respond=respond).values())[-1]
    middle = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(output.sum(-1), torch.zeros(len(spikes), dtype=torch.int64)).backward()
    optimizer.step()
    return middle - start, time.perf_counter() - start


def variants(layers: str, shape: Shape) -> dict[str, tuple[ChainModel, Respond | None]]:
    """Return models with the same weights by name, and what computes their layers where it is not the model itself."""
    recipe = parse_recipe(TEXT.replace(LAYERS, f"layers = {layers}"), "bench")
    made: dict[str, tuple[ChainModel, Respond | None]] = {}
    for name in ("slayer", "slayer, compiled neurons", "native"):
        backend = name.partition(",")[0]
        if backend == "slayer" and find_spec("lava") is None:
            continue
        torch.manual_seed(0)
        model, respond = build(on_backend(recipe, backend), shape), None
        if name == "slayer":
            from neurodeploy.training.model.slayer import own_neurons

            respond = own_neurons(model)
        made[name] = (model, respond)
    return made


def main(repeats: int) -> None:
    """Time every case and print what a step took in milliseconds, forward pass and whole, and the ratios to native."""
    torch.set_num_threads(1)
    for name, (layers, shape, batch, n_steps) in CASES.items():
        made = variants(layers, shape)
        spikes = (torch.rand(batch, int(np.prod(shape)), n_steps) < RATE).float()
        with torch.no_grad():
            sent = [list(model.layers(spikes, respond=respond).values()) for model, respond in made.values()]
        assert all(torch.equal(a, b) for other in sent[1:] for a, b in zip(sent[0], other)), f"{name}: other spikes"
        optimizers = {key: torch.optim.AdamW(model.parameters()) for key, (model, _) in made.items()}
        seconds: dict[str, list[tuple[float, float]]] = {key: [] for key in made}
        for _ in range(repeats + 1):
            for key, (model, respond) in made.items():
                seconds[key].append(step_seconds(model, optimizers[key], spikes, respond))
        # the first of each compiles or warms up
        taken = {key: 1e3 * np.median(np.array(own[1:]), axis=0) for key, own in seconds.items()}
        parts = [
            f"{key} {forward:.1f} / {step:.1f} ms ({step / taken['native'][1]:.2f}x)"
            for key, (forward, step) in taken.items()
        ]
        print(f"{name}, batch {batch}, {n_steps} steps: {'; '.join(parts)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
