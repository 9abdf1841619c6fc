"""The integers of a trained model as a ``Network``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError, TrainingError
from neurodeploy.network import Conv, Dense, Network, Output, Pool, Population, Projection, Shape, Synapses
from neurodeploy.recipe.layers import AnyLayer, ConvLayer, PoolLayer
from neurodeploy.training.model.chain import ChainModel, is_recurrent, recurrent_name
from neurodeploy.training.model.delay_dropout import AxonalDelay


def to_network(model: ChainModel, masks: Mapping[str, torch.Tensor], dt: float) -> Network:
    """Return the network of the integers that the model computes with in its forward pass.

    Axonal delays become delays of the projection that consumes the spikes, one for each source neuron; dropout is off.

    Args:
        model: the trained model; its weights are read through the quantiser of the forward pass.
        masks: connections kept, by the names of ``ChainModel.weights``; recorded in the projections.
        dt: length of a step in seconds.

    Raises:
        TrainingError: if a weight outside its mask is not zero (the model was changed without its rewirer).
    """
    populations, projections, source = [], [], model.entry.name
    for name, weight in model.weights().items():
        if not bool(torch.isfinite(weight.detach()).all()):
            bad = weight.detach()[~torch.isfinite(weight.detach())][0].item()
            raise NetworkError(
                f"export: layer '{name}' has the weight {bad}; only finite weights are exported, train again"
            )
    weights = {name: _whole(weight) for name, weight in model.quantised_weights().items()}
    for depth, name in enumerate(model.recipes, start=1):
        populations.append(Population(name=name, shape=model.shapes[name], first_step=depth, model=model.neurons[name]))
        projections.extend(_projections(model, weights, source, name, masks))
        source = name
    return Network(
        inputs=(model.entry,),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="class", population=source, decoding="count", window=model.window),),
        dt=dt,
    )


def _projections(
    model: ChainModel,
    weights: Mapping[str, NDArray[np.int16]],
    source: str,
    name: str,
    masks: Mapping[str, torch.Tensor],
) -> list[Projection]:
    """Return the projections into a layer: from the layer before it, and from itself if it is recurrent."""
    layer = model.recipes[name]
    delay = _delay(model.delays[source], model.shapes[source]) if source in model.delays else 0
    synapses = _synapses(layer, weights.get(name), model.taken[name])
    into = _projection(source, name, synapses, masks.get(name), delay, model.grids[name].exponent)
    if not is_recurrent(layer):
        return [into]
    own = recurrent_name(name)
    return [into, _projection(name, name, _synapses(layer, weights[own], model.shapes[name]), masks[own], 0)]


def _whole(weight: torch.Tensor) -> NDArray[np.int16]:
    """Return weights in chip units as int16, ``(out, in / groups, height, width)``."""
    whole: NDArray[np.int16] = np.rint(weight.detach().cpu().numpy()).astype(np.int16)[..., 0]
    return whole


def _synapses(layer: AnyLayer, whole: NDArray[np.int16] | None, taken: Shape) -> Synapses:
    """Return the synapses of a layer; a pool has no weights of its own."""
    if isinstance(layer, PoolLayer):
        return Pool(input_shape=_image(taken), kernel=layer.kernel, stride=layer.kernel, weight=layer.weight)
    assert whole is not None, "dense and convolutional layers have weights"
    if isinstance(layer, ConvLayer):
        return Conv(
            weights=whole,
            input_shape=_image(taken),
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
    return Dense(weights=whole[..., 0, 0])


def _image(shape: Shape) -> tuple[int, int, int]:
    """Return a shape as its three axes: channels, height and width."""
    channels, height, width = shape
    return channels, height, width


def _delay(axon: AxonalDelay, shape: Shape) -> int | NDArray[np.int32]:
    """Return the delay of each source neuron in steps, or one number if all are equal."""
    steps = axon.steps().cpu().numpy().astype(np.int32).repeat(int(np.prod(shape[1:])))
    return int(steps[0]) if np.all(steps == steps[0]) else steps


def _projection(
    source: str,
    name: str,
    synapses: Synapses,
    mask: torch.Tensor | None,
    delay: int | NDArray[np.int32],
    exponent: int = 0,
) -> Projection:
    kept = None
    if mask is not None:
        assert isinstance(synapses, Dense | Conv), "pooling has no mask"
        kept = mask.cpu().numpy().reshape(synapses.weights.shape)
        if np.any(synapses.weights[~kept]):
            raise TrainingError(
                f"export: layer '{name}' has a non-zero weight outside its mask; call Rewirer.after_step"
            )
    return Projection(
        name=f"{source}_to_{name}",
        source=source,
        target=name,
        synapses=synapses,
        weight_exponent=exponent,
        mask=kept,
        delay=delay,
    )
