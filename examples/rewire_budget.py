"""Rewiring under a chip budget in a loop of your own: each of four Loihi 2 cores hears at most 16 of the 64 inputs."""

import torch
from lava.lib.dl import slayer
from sklearn.datasets import load_digits

from neurodeploy import (
    Rewirer,
    chip_budget,
    find_weights,
    fit_masks,
    initial_masks,
    load_chip,
    prefer_reached,
    scale_sparse_init,
)

torch.manual_seed(0)
torch.set_num_threads(1)
images, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
spikes = (torch.rand(len(images), 64, 10) < images[:, :, None] / 16).float()
neuron = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.125, "tau_grad": 0.01}
net = torch.nn.Sequential(
    slayer.block.cuba.Dense(neuron, 64, 128, weight_scale=0.7, weight_norm=False, delay_shift=False),
    slayer.block.cuba.Dense(neuron, 128, 10, weight_scale=0.7, weight_norm=False, delay_shift=False),
)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
weights = find_weights(net)
hidden, output = weights
masks = initial_masks(weights, density=0.1)

budget = chip_budget(load_chip("loihi2"), masks, cores={hidden: 4, output: 1}, input_axons={hidden: 16})
masks = fit_masks(masks, budget)
growth = prefer_reached("gradient", budget.reach, strength=1.0)
scale_sparse_init(weights, masks)
rewirer = Rewirer(weights, masks, optimizer, growth=growth, caps=budget, every_steps=10, end_step=150)

for _ in range(10):
    for index in torch.randperm(1500).split(75):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(spikes[index]).sum(2) / 2, labels[index]).backward()
        rewirer.before_step()
        optimizer.step()
        rewirer.after_step()

with torch.no_grad():
    accuracy = (net(spikes[1500:]).sum(2).argmax(1) == labels[1500:]).float().mean()
n_connections = sum(int(mask.sum()) for mask in rewirer.masks.values())
axons, words = (budget.usage(rewirer.masks)[hidden][name].tolist() for name in ("input_axons", "synapse_words"))
print(f"accuracy {accuracy:.1%} with {n_connections} of {sum(w.numel() for w in weights.values())} connections")
print(f"{hidden}: {axons} input axons and {words} synapse words on its cores")
