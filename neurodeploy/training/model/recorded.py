"""The spikes of a model's forward pass on the chip's clock, to be compared with simulators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from neurodeploy.data.encoded_part import INPUT_NAME
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.training.model.chain import ChainModel


def recorded_spikes(
    model: ChainModel,
    network: Network,
    samples: Samples,
    *,
    engine: str,
    respond: Callable[[str, torch.Tensor], torch.Tensor] | None = None,
    batch_size: int = 64,
) -> Activity:
    """Run a model without gradients and return its spikes.

    The layers of a model have no lag; column ``k`` of a layer is step ``k + first_step`` on the chip. The input is padded
    with silence, so that the run is as long as a simulator's by default.

    Args:
        model: the trained model, put into evaluation mode.
        network: the network exported from it: names, sizes and first steps.
        samples: input events for the one input.
        engine: name of the activity's engine.
        respond: see ``ChainModel.layers``.
        batch_size: samples per forward pass.
    """
    n_steps = samples.n_steps + network.depth
    given = samples.inputs[INPUT_NAME]
    raster = np.zeros((samples.n_samples, n_steps, given.size), np.float32)
    raster[:, : samples.n_steps] = given.to_dense()
    sent = {p.name: np.zeros((samples.n_samples, n_steps, p.size), bool) for p in network.populations}
    model.eval()
    with torch.no_grad():
        for start in range(0, samples.n_samples, batch_size):
            part = slice(start, start + batch_size)
            layers = model.layers(torch.from_numpy(raster[part].transpose(0, 2, 1).copy()), respond=respond)
            for population in network.populations:
                lag = population.first_step
                spikes = layers[population.name].flatten(1, -2).numpy().transpose(0, 2, 1) > 0
                sent[population.name][part, lag:] = spikes[:, : n_steps - lag]
    events = {name: Events.from_dense(array) for name, array in sent.items()}
    padded = Events(
        size=given.size,
        n_steps=n_steps,
        n_samples=given.n_samples,
        sample=given.sample,
        step=given.step,
        neuron=given.neuron,
        payload=given.payload,
    )
    return Activity(engine=engine, network=network.fingerprint, n_steps=n_steps, spikes={INPUT_NAME: padded, **events})
