"""``Segment``: layers in a row whose passes run over lanes, from the spikes that reach the first to those of the last.

The first may be one whose sums come from elsewhere. Between the layers spikes stay bits. Dropout between two of them is
taken along where its factor keeps all sums whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.errors import TrainingError
from neurodeploy.training.lanes.chain import Chain, Drive
from neurodeploy.training.lanes.growth import Pass
from neurodeploy.training.lanes.layer import Driven, Kept, Layer
from neurodeploy.training.model.stored import HeldSynapses, StoredSynapses


class Segment:
    """Layers in a row, by name.

    Args:
        layers: the layers; the first may be driven.
        held: the modules that hold their weights: into the layer, and of it to itself; none for a pool or a driven layer.
    """

    def __init__(self, layers: Mapping[str, Layer | Driven], held: Mapping[str, Sequence[HeldSynapses]]) -> None:
        self.names = tuple(layers)
        self.chain = Chain(list(layers.values()))
        self.driven = isinstance(self.chain.layers[0], Driven)
        self.held = [tuple(held.get(name, ())) for name in self.names]
        self.weights = [own.weight for one in self.held for own in one]

    def run(
        self, given: torch.Tensor | Spikes, n_steps: int, kept: Mapping[int, Kept], wanted: Sequence[str]
    ) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        """Return the spikes of the wanted layers, ``(batch, neurons, steps)``, and the largest state of every layer.

        Args:
            given: spikes of 0 and 1, ``(batch, channels, steps)``, or bits over lanes; for a driven layer sums in slayer's
                float units, ``(batch, neurons, steps)``, or with one step that stands for all.
            n_steps: number of steps.
            kept: dropout after some layers by number, the last one excluded.
            wanted: names of layers, the last one among them.
        """
        numbers = [self.names.index(name) for name in wanted]
        fired = _Passed.apply(self, given, n_steps, kept, numbers, *self.weights)
        peaks = {name: layer.peak for name, layer in zip(self.names, self.chain.layers)}
        return dict(zip(wanted, fired)), peaks

    def gradients(self) -> list[torch.Tensor]:
        """Return the gradients of ``weights`` after a reverse pass; passes that growth waits for are kept."""
        found = []
        for layer, held, own in zip(self.chain.layers, self.held, self.chain.gradients):
            if isinstance(layer, Driven):
                continue
            for number, (synapses, gradient) in enumerate(zip(held, (own.weights, own.recurrent))):
                assert gradient is not None, "a layer with weights learns"
                found.append(torch.from_numpy(gradient).reshape(synapses.weight.shape))
                if isinstance(synapses, StoredSynapses) and synapses.watched:
                    spikes = layer.given if number == 0 else layer.sent.delayed(1)
                    synapses.keep(Pass(spikes, layer.errors.copy(), layer.gain if number == 0 else 1.0))
        return found


class _Passed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        segment: Segment,
        given: torch.Tensor | Spikes,
        n_steps: int,
        kept: Mapping[int, Kept],
        numbers: Sequence[int],
        *weights: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        del weights  # they are the memory of the synapses, and given so that torch asks for their gradients
        chain = segment.chain
        for held in segment.held:
            for own in held:
                own.synapses.quantise()
        if isinstance(given, Spikes):
            chain.forward(given, kept)
        elif segment.driven:
            chain.forward(Drive(given.detach().numpy(), n_steps), kept)
        else:
            chain.forward(Spikes.of_raster(given.detach().numpy()), kept)
        ctx.segment, ctx.passes, ctx.numbers = segment, chain.passes, numbers
        ctx.set_materialize_grads(False)
        return tuple(torch.from_numpy(chain.layers[k].sent.to_raster()) for k in numbers)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        segment, chain = ctx.segment, ctx.segment.chain
        if ctx.passes != chain.passes:
            raise TrainingError("train: a segment holds one pass; call backward before the next forward pass")
        more = {k: g.numpy() for k, g in zip(ctx.numbers, gradients) if g is not None}
        last = more.pop(len(segment.names) - 1, None)
        chain.backward(np.float32(0) if last is None else last, more)
        before = None
        if ctx.needs_input_grad[1]:
            first = chain.layers[0]
            if isinstance(first, Driven):
                before = torch.from_numpy(first.drive_gradient())
            else:
                before = torch.from_numpy(np.ascontiguousarray(first.given.span.samples_of(first.spread())))
        return None, before, None, None, None, *segment.gradients()
