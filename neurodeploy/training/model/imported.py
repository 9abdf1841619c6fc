"""Conversion of a ``Network`` from any source into a trainable model that starts with exactly the same integers.

Only the weights and axonal delays are learned; decays, thresholds and biases keep their imported values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.data.encoded_part import INPUT_NAME
from neurodeploy.errors import TrainingError
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    Input,
    Network,
    Pool,
    Population,
    Projection,
    Shape,
    Sparse,
    Synapses,
    difference,
    spiking_model,
)
from neurodeploy.network.unrolled import full_matrix, stored_matrix
from neurodeploy.recipe.layers import AnyLayer, ConvLayer, DenseLayer, LayerNeuron, PoolLayer, layer_names
from neurodeploy.recipe.record import NetworkRecipe, Recipe
from neurodeploy.training.model.chain import ChainModel
from neurodeploy.training.model.integers import to_network


def as_chain(network: Network, weight_bits: int = 8) -> Network:
    """Return the network in the form that training writes: ``input``, ``hidden1``, ..., ``output``, with masks.

    Connections are those of its masks; a projection without a mask keeps its stored (sparse) or non-zero weights. Weights of
    more than ``weight_bits`` (3 to 8, besides the sign) are rounded to that grid; with 8, odd weights stay as they are.

    Raises:
        NetworkError: for neurons that slayer's CUBA layers cannot compute: resonate-and-fire, sigma-delta.
        TrainingError: if it is not a chain of spiking CUBA populations from one input of spikes to a spike count, or has a
            delay that is not axonal.
    """
    for population in network.populations:
        spiking_model(population, "train")
    for i in network.inputs:
        if i.graded:
            raise _no_chain(
                f"the events of its input '{i.name}' carry payloads, but training feeds spikes; train where the network was "
                "made and import the result"
            )
    links = list(_links(network))
    names = layer_names(len(links))
    shapes = [_shape(projection, network) for projection in links]
    populations, projections, source = [], [], INPUT_NAME
    for depth, (name, link, shape) in enumerate(zip(names, links, shapes), start=1):
        model = _neuron(network.population(link.target), depth, shape)
        populations.append(Population(name=name, shape=shape, model=model, first_step=depth))
        projections.append(_projection(link, source, name, weight_bits))
        source = name
    first = links[0].synapses
    given = first.input_shape if isinstance(first, Conv | Pool) else (network.inputs[0].size,)
    chain = Network(
        inputs=(Input(name=INPUT_NAME, shape=given),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(replace(network.outputs[0], name="class", population=source),),
        dt=network.dt,
    )
    _check_delays(chain)
    return chain


def with_layers_of(recipe: Recipe, chain: Network) -> Recipe:
    """Return the recipe with its layers replaced by those of the imported chain (``as_chain`` with the same weight bits)."""
    bits = recipe.start.weight_bits if recipe.start else 8
    into, after = chain.projections, [*chain.projections[1:], None]
    layers = tuple(_layer(link, following, chain, bits) for link, following in zip(into, after))
    network = NetworkRecipe(
        dt=chain.dt,
        layers=layers,
        neuron=recipe.network.neuron,
        window=recipe.network.window or chain.outputs[0].window,
    )
    return recipe.model_copy(update={"network": network})


def check_fits(chain: Network, shape: Shape, data: str) -> None:
    """Refuse data whose shape the chain's input does not take; raises ``TrainingError``."""
    own = chain.inputs[0].shape
    if int(np.prod(own)) != int(np.prod(shape)) or (len(own) == len(shape) > 1 and own != tuple(shape)):
        raise TrainingError(
            f"train: the network to start from takes inputs of shape {own}, but '{data}' gives {tuple(shape)}; name the "
            "data that it was made for, with the same crop and pool"
        )


def install(model: ChainModel, chain: Network) -> dict[str, torch.Tensor]:
    """Copy the integers of the chain into a model built from ``with_layers_of``; return its masks by layer name."""
    masks, weights = {}, model.weights()
    with torch.no_grad():
        for population, projection in zip(chain.populations, chain.projections):
            name = population.name
            assert isinstance(population.model, Cuba), "as_chain lets no other pass"
            model.set_neuron(name, population.model)
            if projection.source in model.delays:
                axon = model.delays[projection.source]
                steps = np.broadcast_to(projection.delay, (chain.sizes[projection.source],))
                steps = steps.reshape(len(axon.fraction), -1)[:, 0]
                # the middle of a step, so that rounding of the fraction cannot reach the next
                axon.fraction.copy_(torch.from_numpy(np.minimum((steps + 0.5) / axon.longest, 1.0)))
            if name in weights:
                assert projection.mask is not None
                assert isinstance(projection.synapses, Dense | Conv)
                whole = torch.from_numpy(projection.synapses.weights.astype(np.float32))
                weights[name].copy_(model.grids[name].latent(whole).reshape(weights[name].shape))
                masks[name] = torch.from_numpy(projection.mask.copy()).reshape(weights[name].shape)
    other = difference(chain, to_network(model, masks, chain.dt))
    assert other is None, f"the model differs from the network it was made of: {other}"
    return masks


def _links(network: Network) -> Iterator[Projection]:
    """Yield the projections of a chain in order; refuse a network that is not a chain."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise _no_chain(
            f"it has {len(network.inputs)} inputs and {len(network.outputs)} outputs; one of each is trained"
        )
    output, source = network.outputs[0], network.inputs[0].name
    n_reached = 0
    while source != output.population:
        onward = [p for p in network.projections if p.source == source and p.target != source]
        if len(onward) != 1:
            raise _no_chain(f"'{source}' leads to {len(onward)} populations; only one layer after the other is trained")
        target = onward[0].target
        into = network.into(target)
        if any(p.source == target for p in into):
            raise _no_chain(
                f"population '{target}' is recurrent; only feed-forward networks are trained on{_late(into)}"
            )
        if len(into) != 1:
            others = ", ".join(f"'{p.source}'" for p in into)
            raise _no_chain(
                f"population '{target}' gets spikes from {others}; only one layer after the other is trained"
            )
        if n_reached > len(network.populations):
            raise _no_chain("its layers form a cycle; only feed-forward networks are trained on")
        yield onward[0]
        source, n_reached = target, n_reached + 1
    if n_reached != len(network.populations):
        raise _no_chain("some populations do not lie between its input and its output; remove them first")
    if output.decoding != "count":
        raise _no_chain(f"its class is read by '{output.decoding}'; training counts the spikes of the last layer")


def _late(into: Sequence[Projection]) -> str:
    """Return how else to read a network whose neurons are only connected to themselves for the rest of a reset."""
    loops = [p for p in into if p.source == p.target]
    if not all(p.name.startswith(f"{p.target}.reset") for p in loops):
        return ""
    return (
        ". It is so because its framework takes the threshold off after the leak; read it with --reading "
        "euler,reset=subtract, which does it before, or with reset=zero, and let training make up for the change"
    )


def _no_chain(reason: str) -> TrainingError:
    return TrainingError(f"train: this network cannot be trained on: {reason}")


def _shape(link: Projection, network: Network) -> Shape:
    if isinstance(link.synapses, Conv | Pool):
        return link.synapses.output_shape
    return (network.sizes[link.target],)


def _neuron(population: Population, depth: int, shape: Shape) -> Cuba:
    model = population.model
    if not isinstance(model, Cuba):
        raise _no_chain(f"population '{population.name}' is a {model.kind}, which sends no spikes; training needs them")
    if population.first_step != depth:
        raise _no_chain(
            f"population '{population.name}' starts in step {population.first_step}, must be its depth {depth}"
        )
    values = {f: getattr(model, f) for f in ("current_decay", "voltage_decay", "threshold", "bias")}
    shaped: dict[str, Any] = {k: v if isinstance(v, int) else v.reshape(shape) for k, v in values.items()}
    return Cuba(**shaped, reset=model.reset)


def _projection(link: Projection, source: str, name: str, weight_bits: int) -> Projection:
    synapses, mask = _dense(link.synapses), link.mask
    if isinstance(link.synapses, Sparse):
        mask = stored_matrix(link.synapses)
    if isinstance(synapses, Pool):
        _check_pool(link, synapses)
    else:
        step = _step(synapses.weights, weight_bits)
        mask = synapses.weights != 0 if mask is None else mask
        rounded = np.rint(synapses.weights / step) * step
        synapses = replace(synapses, weights=np.clip(rounded, -256, 256 - step).astype(np.int16))
    return replace(link, name=f"{source}_to_{name}", source=source, target=name, synapses=synapses, mask=mask)


def _step(weights: NDArray[np.int16], weight_bits: int) -> int:
    """Return the step of the grid that the weights lie on, or are rounded to."""
    return 1 if weight_bits == 8 and np.any(weights % 2) else 2 ** (9 - weight_bits)


def _dense(synapses: Synapses) -> Dense | Conv | Pool:
    return Dense(weights=full_matrix(synapses)) if isinstance(synapses, Sparse) else synapses


def _check_pool(link: Projection, pool: Pool) -> None:
    if pool.stride != pool.kernel or any(pool.padding) or link.weight_exponent:
        raise _no_chain(
            f"pooling '{link.name}' has kernel {pool.kernel}, stride {pool.stride}, padding {pool.padding} and exponent "
            f"{link.weight_exponent}; windows must lie side by side, without padding and exponent"
        )
    if pool.weight % 2 or not 2 <= pool.weight <= 254:
        raise _no_chain(f"pooling '{link.name}' has the weight {pool.weight}, must be even in 2..254")


def _check_delays(chain: Network) -> None:
    for projection in chain.projections:
        if not projection.max_delay:
            continue
        delay, source = np.asarray(projection.delay), projection.source
        if source == INPUT_NAME or delay.ndim == 2:
            where = "of its input" if source == INPUT_NAME else "of single synapses"
            raise _no_chain(f"it has delays {where}; only those of a layer's neurons are trained")
        into = next(p for p in chain.projections if p.target == source).synapses
        by_channel = delay.reshape(chain.shapes[source][0], -1) if delay.ndim else delay.reshape(1, 1)
        if isinstance(into, Pool) or (isinstance(into, Conv) and np.any(by_channel != by_channel[:, :1])):
            raise _no_chain(
                f"the neurons of '{source}' have delays of their own, which only dense layers have in training"
            )


def _layer(link: Projection, following: Projection | None, chain: Network, weight_bits: int) -> AnyLayer:
    synapses, model = link.synapses, chain.population(link.target).model
    assert isinstance(model, Cuba), "as_chain lets no other pass"
    neuron = None if model.reset == "zero" else LayerNeuron(reset=model.reset)
    if isinstance(synapses, Pool):
        return PoolLayer(kernel=synapses.kernel, weight=synapses.weight, neuron=neuron)
    assert isinstance(synapses, Dense | Conv)
    common: dict[str, Any] = {
        "delay": 0 if following is None else following.max_delay,
        "weight_step": _step(synapses.weights, weight_bits),
        "weight_exponent": link.weight_exponent,
        "neuron": neuron,
    }
    if isinstance(synapses, Dense):
        return DenseLayer(neurons=chain.sizes[link.target], **common)
    return ConvLayer(
        channels=len(synapses.weights),
        kernel=synapses.weights.shape[2:],
        stride=synapses.stride,
        padding=synapses.padding,
        dilation=synapses.dilation,
        groups=synapses.groups,
        **common,
    )
