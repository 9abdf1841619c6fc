"""Blocks of slayer for the layers of a recipe, and the integers that they compute with. Only this module imports lava-dl.

Blocks are built with ``delay_shift=False``, ``shared_param=True`` and without weight-norm, with slayer's own 8-bit
quantisation in the forward pass.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.errors import MissingPackageError, install_hint
from neurodeploy.network import DECAY_ONE, Conv, Cuba, Dense, Pool, Shape, Synapses
from neurodeploy.recipe.layers import AnyLayer, NeuronRecipe
from neurodeploy.training.model.fused import STATE_SCALE, WEIGHT_SCALE, CubaSettings, raised_threshold, window_sums

try:
    # lava-dl prints advice about optional packages when it is imported
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        from lava.lib.dl.slayer.block import cuba
        from lava.lib.dl.slayer.neuron import cuba as cuba_neuron
        from lava.lib.dl.slayer.synapse import layer as synapse_layer
except ImportError as error:
    raise MissingPackageError(
        f"train: lava-dl is not installed; it needs Python 3.10: {install_hint('train')}"
    ) from error

RecurrentBlock, PoolBlock = cuba.Recurrent, cuba.Pool


def new_block(layer: AnyLayer, neuron: NeuronRecipe, taken: Shape, weight_scale: float) -> torch.nn.Module:
    """Return a block with weights drawn from torch's global generator.

    Args:
        layer: the layer that the block computes.
        neuron: parameters of its neurons.
        taken: the shape of its input: ``(n,)`` for a dense layer, else ``(channels, height, width)``.
        weight_scale: factor on slayer's initial weights; pooling layers have a fixed weight instead.
    """
    return _BLOCKS[layer.kind](_neuron(neuron), taken, layer, weight_scale)


def give_neuron(block: torch.nn.Module, neuron: Cuba, tau_grad: float) -> None:
    """Replace the neuron parameters of a block; ``tau_grad`` is the width of the surrogate gradient in thresholds."""
    own = block.neuron
    own._threshold = float(np.mean(neuron.threshold)) / WEIGHT_SCALE
    own.threshold_eps = float(np.max(raised_threshold(neuron) - np.asarray(neuron.threshold) / WEIGHT_SCALE))
    own.tau_rho = tau_grad * own._threshold
    for decay in ("current_decay", "voltage_decay"):
        value = np.asarray(getattr(neuron, decay), np.float32)
        getattr(own, decay).data = torch.from_numpy(value.reshape(value.shape or (1,)))
    bias = torch.from_numpy(np.asarray(neuron.bias, np.float32)) / STATE_SCALE
    # slayer's place for a constant: between current and voltage
    own.norm = _Constant(bias[..., None] if bias.ndim else bias) if np.any(neuron.bias) else None


def cuba_settings(block: torch.nn.Module, neuron: Cuba) -> CubaSettings:
    """Return the settings of the fused loop for a block: the integers of its neurons and slayer's surrogate gradient."""
    own = block.neuron
    tau, scale = own.tau_rho * cuba_neuron.TAU_RHO_MULT, own.scale_rho * cuba_neuron.SCALE_RHO_MULT
    return CubaSettings(neuron=neuron, tau=tau, scale=scale)


def pooled_sums(block: torch.nn.Module, spikes: torch.Tensor) -> torch.Tensor:
    """Return the weighted sums over the windows of a pooling block (``fused.window_sums``)."""
    synapse = block.synapse
    weight = synapse.pre_hook_fx(synapse.weight).flatten()[0].item()
    return window_sums(spikes, synapse.kernel_size[:2], weight)


def synapses_of(synapse: torch.nn.Module, taken: Shape) -> Synapses:
    """Return the integer synapses of a slayer synapse; ``taken`` is the shape of its input."""
    weights = integers(synapse)
    if isinstance(synapse, synapse_layer.Pool):
        kernel, weight = synapse.kernel_size[:2], int(weights.flat[0])
        return Pool(input_shape=_image(taken), kernel=kernel, stride=synapse.stride[:2], weight=weight)
    if isinstance(synapse, synapse_layer.Conv):
        return Conv(
            weights=weights,
            input_shape=_image(taken),
            stride=synapse.stride[:2],
            padding=synapse.padding[:2],
            dilation=synapse.dilation[:2],
            groups=synapse.groups,
        )
    return Dense(weights=weights)


def integers(synapse: torch.nn.Module) -> NDArray[np.int16]:
    """Return a synapse's weights in chip units, int16: ``(out, in)``, or ``(out, in / groups, height, width)``."""
    with torch.no_grad():
        quantised = synapse.pre_hook_fx(synapse.weight, descale=True).cpu().numpy()
    weights: NDArray[np.int16] = np.rint(quantised).astype(np.int16)[..., 0]
    return weights[..., 0, 0] if isinstance(synapse, synapse_layer.Dense) else weights


def _image(shape: Shape) -> tuple[int, int, int]:
    """Return a shape as its three axes: channels, height and width."""
    channels, height, width = shape
    return channels, height, width


def _neuron(neuron: NeuronRecipe) -> dict[str, float]:
    """Return slayer's parameters of a neuron, in float units."""
    return {
        "threshold": neuron.threshold / WEIGHT_SCALE,
        "current_decay": neuron.current_decay / DECAY_ONE,
        "voltage_decay": neuron.voltage_decay / DECAY_ONE,
        "tau_grad": neuron.tau_grad,
        "scale_grad": neuron.scale_grad,
    }


class _Constant(torch.nn.Module):
    """Adds a constant to each current, in slayer's float units ``(*shape, 1)``."""

    value: torch.Tensor

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value, persistent=False)

    def forward(self, current: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return current + self.value


def _dense_block(neuron: dict[str, float], taken: Shape, layer: Any, weight_scale: float) -> torch.nn.Module:
    make = cuba.Recurrent if layer.recurrent else cuba.Dense
    block: torch.nn.Module = make(
        neuron, taken[0], layer.neurons, weight_scale=weight_scale, weight_norm=False, delay_shift=False
    )  # recurrent blocks set persistent_state themselves
    if layer.recurrent:
        # its shape follows the batch, so that a saved one would not fit the next run
        block.register_buffer("spike_state", torch.zeros(1), persistent=False)
    return block


def _conv_block(neuron: dict[str, float], taken: Shape, layer: Any, weight_scale: float) -> torch.nn.Module:
    block: torch.nn.Module = cuba.Conv(
        neuron,
        taken[0],
        layer.channels,
        layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        weight_scale=weight_scale,
        weight_norm=False,
        delay_shift=False,
    )
    return block


def _pool_block(neuron: dict[str, float], taken: Shape, layer: Any, weight_scale: float) -> torch.nn.Module:
    del taken, weight_scale
    scale = layer.weight / WEIGHT_SCALE
    block: torch.nn.Module = cuba.Pool(neuron, layer.kernel, weight_scale=scale, weight_norm=False, delay_shift=False)
    return block


_BLOCKS: Mapping[str, Callable[[dict[str, float], Shape, Any, float], torch.nn.Module]] = {
    "dense": _dense_block,
    "conv": _conv_block,
    "pool": _pool_block,
}
