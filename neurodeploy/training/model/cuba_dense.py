"""A layer for torch models of your own, with the chip's integers in its forward pass."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.training.model.fused import cuba_settings, cuba_spikes
from neurodeploy.training.model.synapses import DenseSynapses
from neurodeploy.training.model.weight_grid import Grid


class CubaDense(torch.nn.Module):
    """CUBA neurons behind synapses from every input, as whole numbers: what it computes is what the chip computes.

    ``forward`` takes spikes, float ``(batch, n_source, steps)`` of 0 and 1, on the CPU, and returns the spikes of its
    neurons ``(batch, n_target, steps)``. Weights are floats while they are learned; the forward pass rounds them to even
    whole numbers in -256..254, in which a float weight of 1 is 64, and the gradient passes the rounding unchanged. The
    gradient of a spike is slayer's. Layers in a row make a ``Network`` with ``as_network(model)``.

    Args:
        n_source, n_target: numbers of inputs and of neurons.
        neuron: the integers of the neurons; decays in 4096ths, the threshold in weight units.
        weight_scale: factor on the initial weights.
        tau_grad: width of the surrogate gradient around the threshold, in units of the threshold.
        scale_grad: height of the surrogate gradient.

    Raises:
        NetworkError: for a number of inputs or neurons below 1.
    """

    def __init__(
        self,
        n_source: int,
        n_target: int,
        neuron: Cuba,
        *,
        weight_scale: float = 1.0,
        tau_grad: float = 1.0,
        scale_grad: float = 1.0,
    ) -> None:
        super().__init__()
        if n_source < 1 or n_target < 1:
            raise NetworkError(f"network: a layer from {n_source} to {n_target} neurons; it takes at least one of each")
        self.neuron = neuron
        self.synapse = DenseSynapses(n_source, n_target, weight_scale, Grid())
        self._settings = cuba_settings(neuron, tau_grad, scale_grad)

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the spikes of the neurons."""
        return cuba_spikes(self.synapse(spikes), self._settings)[0]

    def whole_weights(self) -> NDArray[np.int16]:
        """Return the weights of the forward pass in chip units, int16 ``(n_target, n_source)``."""
        with torch.no_grad():
            weight = self.synapse.grid(self.synapse.weight, descale=True)
        return cast("NDArray[np.int16]", np.rint(weight.flatten(1).numpy()).astype(np.int16))


def network_of_layers(layers: dict[str, CubaDense], dt: float) -> Network:
    """Return layers that follow each other as a network; connections whose float weight is not 0 count as kept.

    Raises:
        NetworkError: where a layer does not take what the one before it sends, and for weights that are not finite.
    """
    names = {name: name.replace(".", "_") if "." in name or not name.isdigit() else f"layer{name}" for name in layers}
    source, size = "input", next(iter(layers.values())).synapse.weight.shape[1]
    entry = Input(name=source, shape=(size,))
    populations, projections = [], []
    for depth, (name, layer) in enumerate(layers.items(), start=1):
        latent = layer.synapse.weight.detach().flatten(1)
        if latent.shape[1] != size:
            raise NetworkError(
                f"network: layer '{name}' takes {latent.shape[1]} inputs, but {source} sends {size}; the layers of a model "
                "follow each other in the order in which it registers them"
            )
        if not bool(torch.isfinite(latent).all()):
            raise NetworkError(f"network: layer '{name}' has weights that are not finite; train again")
        target, size = names[name], len(latent)
        populations.append(Population(name=target, shape=(size,), first_step=depth, model=layer.neuron))
        projections.append(
            Projection(
                name=f"{source}_to_{target}",
                source=source,
                target=target,
                synapses=Dense(weights=layer.whole_weights()),
                mask=(latent != 0).numpy(),
            )
        )
        source = target
    return Network(
        inputs=(entry,),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="class", population=source, decoding="count"),),
        dt=dt,
    )
