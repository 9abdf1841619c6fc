"""Blocks of slayer for the layers of a recipe. Only this module imports lava-dl.

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

from neurodeploy.errors import MissingPackageError, TrainingError, install_hint
from neurodeploy.network import DECAY_ONE, Cuba, Shape
from neurodeploy.recipe.layers import NeuronRecipe, PoolLayer
from neurodeploy.training.model.chain import LayerPlan
from neurodeploy.training.model.fused import STATE_SCALE, WEIGHT_SCALE, raised_threshold
from neurodeploy.training.model.synapses import may_round
from neurodeploy.training.model.weight_grid import Grid

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
        f"train: the backend 'slayer' needs lava-dl, which is not installed: {install_hint('slayer')}; or train on the "
        "native backend, which gives the same spikes: --backend native"
    ) from error

RecurrentBlock = cuba.Recurrent


def new_block(plan: LayerPlan) -> torch.nn.Module:
    """Return a block with weights drawn from torch's global generator.

    Raises:
        TrainingError: for neurons that do not reset to 0.
    """
    _check_reset(plan.neuron.reset)
    block = _BLOCKS[plan.layer.kind](_neuron(plan.neuron), plan.taken, plan.layer, plan.weight_scale)
    into: Any = block.input_synapse if isinstance(block, RecurrentBlock) else getattr(block, "synapse", None)
    if plan.grid != Grid():
        into.pre_hook_fx = plan.grid
    if plan.largest > 1 and not isinstance(plan.layer, PoolLayer):
        into.register_forward_pre_hook(_refuse_to_round(plan))
    return block


def _refuse_to_round(plan: LayerPlan) -> Callable[[torch.nn.Module, object], None]:
    """Return a hook that refuses payloads whose sums slayer, which computes in float32, could not hold exactly."""

    def check(synapse: Any, _: object) -> None:
        if may_round(plan.grid(synapse.weight), plan.grid, plan.largest):
            raise TrainingError(
                f"train: sums of payloads of up to {plan.largest} times the weights of a layer may pass 2**24, beyond which "
                'slayer rounds; set training.backend = "native", which computes them exactly, or lower the weights'
            )

    return check


def give_neuron(block: torch.nn.Module, neuron: Cuba, tau_grad: float) -> None:
    """Replace the neuron parameters of a block; ``tau_grad`` is the width of the surrogate gradient in thresholds."""
    _check_reset(neuron.reset)
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


def _check_reset(reset: str) -> None:
    if reset != "zero":
        raise TrainingError(
            f"train: neuron.reset is '{reset}', but slayer's neurons can only reset to zero; set training.backend = "
            '"native", or give --backend native'
        )


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
