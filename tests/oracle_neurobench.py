"""Run by ``unit/costs/test_neurobench.py`` in a Python that has neurobench: metrics of a network described in an .npz file.

The network is built a second time, as torch modules that compute the same integers in float64, and is counted by the
package's own hooks.
"""

import json
import sys

import numpy as np
import snntorch
import torch
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations
from neurobench.models import SNNTorchModel


class Neuron(snntorch.SpikingNeuron):
    """Current and voltage in integers, with Lava's rounding towards zero."""

    def __init__(self, current_decay, voltage_decay, threshold):
        torch.nn.Module.__init__(self)
        self.decays, self.limit, self.init_hidden, self.output = (current_decay, voltage_decay), threshold, False, True
        self.reset()

    def reset(self):
        self.current, self.mem = torch.zeros(()), torch.zeros(())

    def forward(self, arriving):
        if not self.mem.shape:
            self.current, self.mem = torch.zeros_like(arriving), torch.zeros_like(arriving)
        keep = [(4096 - d) / 4096 for d in self.decays]
        self.current = torch.trunc(self.current * keep[0]) + 64 * arriving
        mem = torch.trunc(self.mem * keep[1]) + self.current
        spikes = (mem > 64 * self.limit).to(arriving.dtype)
        self.mem = torch.where(spikes > 0, torch.zeros_like(mem), mem)
        return spikes, self.mem


class Net(torch.nn.Module):
    def __init__(self, file):
        super().__init__()
        self.forward_layers, self.recurrent, self.neurons = (
            torch.nn.ModuleList(),
            torch.nn.ModuleDict(),
            torch.nn.ModuleList(),
        )
        for i, kind in enumerate(file["kinds"]):
            weights = torch.tensor(file[f"w{i}"], dtype=torch.float64)
            if kind == "conv":
                layer = torch.nn.Conv2d(weights.shape[1], weights.shape[0], weights.shape[2:], padding=1, bias=False)
            else:
                layer = torch.nn.Linear(weights.shape[1], weights.shape[0], bias=False)
            layer.weight = torch.nn.Parameter(weights)
            self.forward_layers.append(layer)
            if f"r{i}" in file:
                back = torch.nn.Linear(weights.shape[0], weights.shape[0], bias=False)
                back.weight = torch.nn.Parameter(torch.tensor(file[f"r{i}"], dtype=torch.float64))
                self.recurrent[str(i)] = back
            self.neurons.append(Neuron(*(int(v) for v in file["model"])))
        self.last = {}

    def reset(self):
        self.last = {}
        for neuron in self.neurons:
            neuron.reset()

    def forward(self, spikes):
        mem = None
        for i, (layer, neuron) in enumerate(zip(self.forward_layers, self.neurons)):
            if isinstance(layer, torch.nn.Linear):
                spikes = spikes.flatten(1)
            arriving = layer(spikes)
            if str(i) in self.recurrent:
                arriving = arriving + self.recurrent[str(i)](self.last.get(i, torch.zeros_like(arriving)))
            spikes, mem = neuron(arriving)
            self.last[i] = spikes
        return spikes, mem


def main(path):
    file = dict(np.load(path))
    data = torch.tensor(file["raster"], dtype=torch.float64)
    model = SNNTorchModel(Net(file))
    model.register_hooks()
    with torch.no_grad():
        predictions = model(data)
        batch = (data, torch.zeros(len(data)))
        operations = SynapticOperations()(model, predictions, batch)
        print(
            json.dumps(
                {
                    "spikes_out": float(predictions.sum()),
                    "footprint": Footprint()(model),
                    "parameters": ParameterCount()(model),
                    "connection_sparsity": ConnectionSparsity()(model),
                    "activation_sparsity": ActivationSparsity()(model, predictions, batch),
                    "membrane_updates": MembraneUpdates()(model, predictions, batch),
                    **{name: float(value) for name, value in operations.items()},
                }
            )
        )


if __name__ == "__main__":
    main(sys.argv[1])
