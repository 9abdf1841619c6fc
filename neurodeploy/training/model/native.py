"""The native backend: blocks of torch modules alone, which train on any Python (extra ``train``)."""

from __future__ import annotations

import torch

from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.recipe.layers import ConvLayer, DenseLayer
from neurodeploy.training.model.chain import Backend, ChainModel, LayerPlan
from neurodeploy.training.model.recorded import recorded_spikes
from neurodeploy.training.model.synapses import ConvSynapses, DenseSynapses, drawn_for_pool


def native_backend() -> Backend:
    """Return the backend."""
    return Backend(name="native", new_block=new_block, give_neuron=_keep_none)


def new_block(plan: LayerPlan) -> torch.nn.Module:
    """Return the synapses of a layer, under the names that slayer's blocks give them; those of a pool learn nothing."""
    block, layer = torch.nn.Module(), plan.layer
    if isinstance(layer, ConvLayer):
        block.synapse = ConvSynapses(plan.taken, layer, plan.weight_scale, plan.grid, plan.largest)
    elif isinstance(layer, DenseLayer):
        n_source = plan.taken[0]
        into = DenseSynapses(n_source, layer.neurons, plan.weight_scale, plan.grid, plan.largest)
        if not layer.recurrent:
            block.synapse = into
        else:
            block.input_synapse = into
            block.recurrent_synapse = DenseSynapses(layer.neurons, layer.neurons, plan.weight_scale, plan.grid)
    else:
        drawn_for_pool(layer.kernel)
    return block


def run_native(model: ChainModel, network: Network, samples: Samples, *, batch_size: int = 64) -> Activity:
    """Run the model's own forward pass, as it trains, and return its spikes on the chip's clock (``recorded_spikes``)."""
    return recorded_spikes(model, network, samples, engine="native", batch_size=batch_size)


def _keep_none(block: torch.nn.Module, neuron: Cuba, tau_grad: float) -> None:
    """Do nothing: the chain itself holds the neurons."""
