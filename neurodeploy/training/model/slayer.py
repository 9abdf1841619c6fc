"""The slayer backend: blocks of lava-dl, with their own neurons as a witness of the compiled ones (Python 3.10 alone).

With blocks built as in ``blocks.py``, slayer and Lava's fixed-point models give the same spikes as long as currents and
voltages stay within 24 bits and thresholds below 64 float units. Recurrent blocks keep their state from one forward pass to
the next in slayer; here every pass starts from zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from neurodeploy.errors import TrainingError
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.training.model.blocks import RecurrentBlock, give_neuron, new_block
from neurodeploy.training.model.chain import Backend, ChainModel
from neurodeploy.training.model.recorded import recorded_spikes


def slayer_backend() -> Backend:
    """Return the backend."""
    return Backend(name="slayer", new_block=new_block, give_neuron=give_neuron)


def run_slayer(model: ChainModel, network: Network, samples: Samples, *, batch_size: int = 64) -> Activity:
    """Run the slayer model itself, with slayer's own neurons, and return its spikes on the chip's clock.

    Blocks have no lag (``delay_shift=False``); the rest is as in ``recorded_spikes``.

    Raises:
        TrainingError: if the neurons of a layer have different thresholds.
    """
    return recorded_spikes(model, network, samples, engine="slayer", respond=own_neurons(model), batch_size=batch_size)


def own_neurons(model: ChainModel) -> Callable[[str, torch.Tensor], torch.Tensor]:
    """Return what ``ChainModel.layers`` takes as ``respond`` to run slayer's blocks whole, with slayer's neurons."""

    def respond(name: str, spikes: torch.Tensor) -> torch.Tensor:
        block, grid = model.blocks[name], model.grids[name]
        if np.ptp(model.neurons[name].threshold):
            raise TrainingError(
                f"train: the neurons of layer '{name}' have different thresholds, which slayer cannot compute; compare "
                "the other engines: --engines native,reference,event"
            )
        _forget(block)
        fired: torch.Tensor
        if isinstance(block, RecurrentBlock) and grid.exponent < 0:
            raise TrainingError(
                f"train: slayer's recurrent layer '{name}' cannot round its input sums to whole weights (weight_exponent "
                f'{grid.exponent}); set training.backend = "native", or compare --engines native,reference,event'
            )
        fired = block(spikes) if grid.exponent >= 0 else block.neuron(grid.whole_sums(block.synapse(spikes)))
        return fired

    return respond


def _forget(block: torch.nn.Module) -> None:
    """Zero the state that a recurrent block keeps from the last pass (``lava-dl`` 0.6.0 has no method for it)."""
    if isinstance(block, RecurrentBlock):
        zero = block.spike_state.new_zeros(1)
        block.spike_state = block.neuron.current_state = block.neuron.voltage_state = zero
