"""Process that trains a masked network with another framework: ``python worker.py PEER JSON``.

It needs torch and the peer, and nothing of neurodeploy. It answers each line on standard input with the processor seconds of
a step and the peak memory over that of the imports in megabytes. Neurons are the peer's own leaky ones, with a current where
it has one, and its own surrogate gradient.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch

Layer = Callable[[Any, torch.Tensor], torch.Tensor]


def snntorch_network(weights: Any, sizes: list[int], n_steps: int) -> Callable[[torch.Tensor], torch.Tensor]:
    snntorch = import_module("snntorch")
    neurons = [snntorch.Synaptic(alpha=0.75, beta=0.97, threshold=1.0) for _ in sizes[1:]]

    def forward(spikes: torch.Tensor) -> torch.Tensor:
        states = [neuron.init_synaptic() for neuron in neurons]
        sent = []
        for t in range(n_steps):
            x = spikes[t]
            for k, (weight, neuron) in enumerate(zip(weights(), neurons)):
                x, *state = neuron(torch.nn.functional.linear(x, weight), *states[k])
                states[k] = tuple(state)
            sent.append(x)
        return torch.stack(sent)

    return forward


def norse_network(weights: Any, sizes: list[int], n_steps: int) -> Callable[[torch.Tensor], torch.Tensor]:
    norse = import_module("norse.torch")
    cells = [norse.LIFCell(dt=0.001) for _ in sizes[1:]]

    def forward(spikes: torch.Tensor) -> torch.Tensor:
        states: list[Any] = [None] * len(cells)
        sent = []
        for t in range(n_steps):
            x = spikes[t]
            for k, (weight, cell) in enumerate(zip(weights(), cells)):
                x, states[k] = cell(torch.nn.functional.linear(x, weight), states[k])
            sent.append(x)
        return torch.stack(sent)

    return forward


def spikingjelly_network(weights: Any, sizes: list[int], n_steps: int) -> Callable[[torch.Tensor], torch.Tensor]:
    del n_steps
    functional = import_module("spikingjelly.activation_based.functional")
    neuron = import_module("spikingjelly.activation_based.neuron")
    nodes = torch.nn.ModuleList(neuron.LIFNode(tau=2.0, step_mode="m") for _ in sizes[1:])

    def forward(spikes: torch.Tensor) -> torch.Tensor:
        functional.reset_net(nodes)
        x = spikes
        for weight, node in zip(weights(), nodes):
            x = node(torch.nn.functional.linear(x, weight))
        return x

    return forward


NETWORKS = {"snntorch": snntorch_network, "norse": norse_network, "spikingjelly": spikingjelly_network}


def kilobytes(what: str) -> int:
    """Return a line of this process's status (the largest size in ``resource`` would be that of its parent)."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what))


def main(peer: str, given: dict[str, Any]) -> None:
    torch.set_num_threads(given["threads"])
    torch.manual_seed(0)
    sizes, n_steps, batch = given["sizes"], given["n_steps"], given["batch"]
    NETWORKS[peer](lambda: [], sizes, n_steps)  # what is imported is no memory of the network
    before = kilobytes("VmRSS")
    layers, masks = [], []
    for a, b in zip(sizes, sizes[1:]):
        masks.append((torch.rand(b, a) < (1.0 if b < 16 else given["density"])).float())
        layers.append(torch.nn.Parameter(torch.randn(b, a) * masks[-1] * 4 / math.sqrt(a * given["density"])))
    optimizer = torch.optim.AdamW(layers, lr=1e-7)
    spikes = (torch.rand(n_steps, batch, sizes[0]) < given["rate"]).float()
    labels = torch.arange(batch) % 10
    network = NETWORKS[peer](lambda: [w * m for w, m in zip(layers, masks)], sizes, n_steps)
    for _ in sys.stdin:
        begin = time.process_time()
        optimizer.zero_grad()
        torch.autograd.backward(torch.nn.functional.cross_entropy(network(spikes).sum(0), labels))
        optimizer.step()
        seconds = time.process_time() - begin
        print(seconds, (kilobytes("VmHWM") - before) / 1024, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
