"""``LanesModule``: a ``Chain`` as a module of torch, so that losses and optimisers of torch train it.

The parameters are the stored weights of each layer, one-dimensional, in the memory of the chain itself. Only this module of
the room imports torch.
"""

from __future__ import annotations

from typing import Any

import torch

from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.errors import TrainingError
from neurodeploy.training.lanes.chain import Chain, Ints
from neurodeploy.training.lanes.synapses import Synapses


class LanesModule(torch.nn.Module):
    """The layers of a chain. ``weights`` are the latent weights into each layer, then those of recurrent connections."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain
        self.weights = torch.nn.ParameterList()
        self._bind()

    def forward(self, spikes: Spikes) -> torch.Tensor:
        """Return the spikes of the last layer, float32 ``(batch, neurons, steps)``, differentiable by the weights.

        A chain holds one pass: call ``backward`` before the next forward pass.
        """
        fired: torch.Tensor = _Passed.apply(self.chain, spikes, *self.weights)  # type: ignore[no-untyped-call]
        return fired

    def move(self, layer: int, drop: Ints, grow: Ints) -> torch.Tensor:
        """Remove and add connections into a layer, and make the parameters anew.

        Returns:
            For each connection afterwards its place before, or -1, so that the state of an optimiser can follow.
        """
        place = self.chain.layers[layer].synapses.move(drop, grow)
        self._bind()
        return torch.from_numpy(place)

    def _bind(self) -> None:
        """Make parameters of the memory of the latent weights."""
        self.weights = torch.nn.ParameterList(torch.from_numpy(s.latent) for s in _learned(self.chain))


class _Passed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, chain: Chain, spikes: Spikes, *weights: torch.Tensor) -> torch.Tensor:
        assert len(weights) == len(_learned(chain))
        for synapses in _learned(chain):
            synapses.quantise()
        fired = torch.from_numpy(chain.forward(spikes).to_raster())
        ctx.chain, ctx.passes = chain, chain.passes
        return fired

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        chain = ctx.chain
        if ctx.passes != chain.passes:
            raise TrainingError(
                "lanes: the chain has made another pass since; it holds one, so call backward before the next forward pass"
            )
        chain.backward(gradient.detach().numpy())
        into = [g.weights for layer, g in zip(chain.layers, chain.gradients) if layer.learns]
        again = [g.recurrent for g in chain.gradients if g.recurrent is not None]
        return None, None, *(torch.from_numpy(g) for g in [*into, *again])


def _learned(chain: Chain) -> list[Synapses]:
    into = [layer.synapses for layer in chain.layers if layer.learns]
    return into + [layer.recurrent for layer in chain.layers if layer.recurrent is not None]
