"""The only door to lava-dl: recipe -> slayer network -> ``Network`` and ``Activity`` (Python 3.10, extra ``train``).

Blocks are built with ``delay_shift=False`` and without weight-norm, with slayer's own 8-bit quantisation in the forward
pass; under these options slayer and Lava's fixed-point models give the same spikes (``lava.md``, section 3) as long as
currents and voltages stay within 24 bits and thresholds below 64 float units.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping

import numpy as np
import torch

from neurodeploy.activity import Activity, Events, Samples
from neurodeploy.data import INPUT_NAME
from neurodeploy.errors import MissingPackageError, TrainingError
from neurodeploy.network import DECAY_ONE, Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.recipe import Recipe

try:
    # lava-dl prints advice about optional packages when it is imported
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        from lava.lib.dl.slayer.block import cuba
except ImportError as error:
    raise MissingPackageError(
        "train: lava-dl is not installed; it needs Python 3.10: pip install 'neurodeploy[train]'"
    ) from error

WEIGHT_SCALE = 64
"""Weight units per float unit in slayer (its ``w_scale``)."""
OUTPUT_NAME = "output"


class SlayerNetwork(torch.nn.Module):
    """A chain of dense CUBA blocks. ``forward`` takes and gives spikes as float tensors ``(batch, neurons, steps)``."""

    def __init__(self, recipe: Recipe, n_inputs: int) -> None:
        super().__init__()
        self.input_size = n_inputs
        sizes = [n_inputs, *(layer.neurons for layer in recipe.network.layers)]
        self.blocks = torch.nn.ModuleDict(
            {
                name: _dense_block(recipe, sizes[i], sizes[i + 1])
                for i, name in enumerate(layer_names(len(recipe.network.layers)))
            }
        )

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the spikes of the last layer."""
        return list(self.layers(spikes).values())[-1]

    def layers(self, spikes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the spikes of every layer by name."""
        given = {}
        for name, block in self.blocks.items():
            spikes = given[name] = block(spikes)
        return given

    def weights(self) -> dict[str, torch.nn.Parameter]:
        """Return the weight of each layer, ``(out, in, 1, 1, 1)``, by name."""
        return {name: block.synapse.weight for name, block in self.blocks.items()}


def layer_names(n_layers: int) -> list[str]:
    """Return ``hidden1``, ``hidden2``, ... and ``output``."""
    return [*(f"hidden{i}" for i in range(1, n_layers)), OUTPUT_NAME]


def build(recipe: Recipe, n_inputs: int) -> SlayerNetwork:
    """Return a freshly initialised slayer network; draws weights from torch's global generator."""
    return SlayerNetwork(recipe, n_inputs)


def to_network(model: SlayerNetwork, masks: Mapping[str, torch.Tensor], dt: float) -> Network:
    """Return the integers that the model computes with in its forward pass.

    Args:
        model: its weights are read through the quantiser that the forward pass uses.
        masks: connections kept, by layer name; recorded in the projections.
        dt: length of a step in seconds.

    Raises:
        TrainingError: where a weight outside its mask is not zero (the model was changed behind the rewirer's back).
    """
    populations, projections, source = [], [], INPUT_NAME
    for depth, (name, block) in enumerate(model.blocks.items(), start=1):
        device = block.neuron.device_params
        populations.append(
            Population(
                name=name,
                shape=(block.synapse.out_channels,),
                first_step=depth,
                model=Cuba(
                    current_decay=device["iDecay"], voltage_decay=device["vDecay"], threshold=int(device["vThMant"])
                ),
            )
        )
        projections.append(_projection(name, source, block, masks[name]))
        source = name
    return Network(
        inputs=(Input(name=INPUT_NAME, shape=(model.input_size,)),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="class", population=source, decoding="count"),),
        dt=dt,
    )


def run_slayer(model: SlayerNetwork, network: Network, samples: Samples, *, batch_size: int = 64) -> Activity:
    """Run the slayer model itself and return its spikes on the chip's clock.

    slayer's layers have no lag (``delay_shift=False``); column ``k`` of a layer is step ``k + first_step`` on the chip.
    The input is padded with silence, so that the run is as long as a simulator's by default.

    Args:
        model: the trained model, evaluated without gradients.
        network: the network exported from it: names, sizes and first steps.
        samples: input events for the one input.
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
            layers = model.layers(torch.from_numpy(raster[part].transpose(0, 2, 1).copy()))
            for population in network.populations:
                lag = population.first_step
                spikes = layers[population.name].numpy().transpose(0, 2, 1) > 0
                sent[population.name][part, lag:] = spikes[:, : n_steps - lag]
    events = {name: Events.from_dense(array) for name, array in sent.items()}
    padded = Events(
        size=given.size,
        n_steps=n_steps,
        n_samples=given.n_samples,
        sample=given.sample,
        step=given.step,
        neuron=given.neuron,
    )
    return Activity(
        engine="slayer", network=network.fingerprint, n_steps=n_steps, spikes={INPUT_NAME: padded, **events}
    )


def _dense_block(recipe: Recipe, n_in: int, n_out: int) -> torch.nn.Module:
    neuron = recipe.network.neuron
    return cuba.Dense(
        {
            "threshold": neuron.threshold / WEIGHT_SCALE,
            "current_decay": neuron.current_decay / DECAY_ONE,
            "voltage_decay": neuron.voltage_decay / DECAY_ONE,
            "tau_grad": neuron.tau_grad,
            "scale_grad": neuron.scale_grad,
        },
        n_in,
        n_out,
        weight_scale=recipe.training.weight_scale,
        weight_norm=False,
        delay_shift=False,
    )


def _projection(name: str, source: str, block: torch.nn.Module, mask: torch.Tensor) -> Projection:
    with torch.no_grad():
        quantised = block.synapse.pre_hook_fx(block.synapse.weight, descale=True)
    weights = np.rint(quantised.cpu().numpy()).astype(np.int16).reshape(quantised.shape[:2])
    kept = mask.cpu().numpy().reshape(weights.shape)
    if np.any(weights[~kept]):
        raise TrainingError(f"export: layer '{name}' has a non-zero weight outside its mask; call Rewirer.after_step")
    return Projection(
        name=f"{source}_to_{name}", source=source, target=name, synapses=Dense(weights=weights), mask=kept
    )
