"""First weights that fit their neurons: the voltages that a batch causes are about as large as the threshold."""

from __future__ import annotations

import numpy as np
import torch

from neurodeploy.network import DECAY_ONE, Cuba
from neurodeploy.recipe.layers import PoolLayer
from neurodeploy.training.model.chain import ChainModel, is_recurrent
from neurodeploy.training.model.fused import WEIGHT_SCALE


@torch.no_grad()
def fit_to_thresholds(model: ChainModel, spikes: torch.Tensor) -> dict[str, float]:
    """Scale the weights into each layer so that the voltage, without resets, has the threshold as standard deviation.

    Layers are fitted in order, each to the spikes that reach it then. Layers that nothing reaches keep their weights.

    Args:
        model: its weights are changed in place.
        spikes: a batch of inputs, ``(batch, channels, steps)``.

    Returns:
        The factor by layer.

    Source: the aim of SSWI in CH-SNN (arXiv 2511.05581), whose formula assumes an input that acts for one step; with
    decaying currents and voltages the same weights give voltages several times as wide, so they are measured here.
    """
    factors = {}
    for name, layer in model.recipes.items():
        if isinstance(layer, PoolLayer):
            continue
        block = model.blocks[name]
        synapse = block.input_synapse if is_recurrent(layer) else block.synapse
        sums: list[torch.Tensor] = []
        hook = synapse.register_forward_hook(lambda _, __, given, kept=sums: kept.append(given))
        try:
            model.layers(spikes)
        finally:
            hook.remove()
        drive = model.grids[name].whole_sums(sums[0]).expand(*sums[0].shape[:-1], spikes.shape[-1])
        spread = float(_voltages(drive, model.neurons[name]).std())
        if spread > 0:
            factors[name] = float(np.mean(model.neurons[name].threshold)) / WEIGHT_SCALE / spread
            model.weights()[name].mul_(factors[name])
    return factors


def _voltages(drive: torch.Tensor, neuron: Cuba) -> torch.Tensor:
    """Return the voltages of neurons that never reset, in slayer's float units, for sums of weights ``(..., steps)``."""
    keep_u, keep_v = (1 - float(np.mean(decay)) / DECAY_ONE for decay in (neuron.current_decay, neuron.voltage_decay))
    current, voltage, seen = torch.zeros(()), torch.zeros(()), []
    for step in range(drive.shape[-1]):
        current = keep_u * current + drive[..., step]
        voltage = keep_v * voltage + current
        seen.append(voltage)
    return torch.stack(seen, -1)
