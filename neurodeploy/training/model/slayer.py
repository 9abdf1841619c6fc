"""The trainable network of slayer: recipe -> slayer network -> ``Network`` and ``Activity`` (needs extra ``train``).

With blocks built as in ``blocks.py``, slayer and Lava's fixed-point models give the same spikes as long as currents and
voltages stay within 24 bits and thresholds below 64 float units. Recurrent blocks keep their state from one forward pass to
the next in slayer; here every pass starts from zero.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    Output,
    Population,
    Projection,
    Shape,
    Synapses,
)
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.recipe.layers import AnyLayer, DenseLayer, PoolLayer, layer_names, layer_shapes, neuron_of
from neurodeploy.recipe.record import Recipe
from neurodeploy.training.model.blocks import (
    PoolBlock,
    RecurrentBlock,
    cuba_settings,
    give_neuron,
    integers,
    new_block,
    pooled_sums,
    synapses_of,
)
from neurodeploy.training.model.delay_dropout import AxonalDelay, NeuronDropout
from neurodeploy.training.model.fused import cuba_spikes, recurrent_cuba_spikes
from neurodeploy.training.model.weight_grid import Grid


class SlayerNetwork(torch.nn.Module):
    """A chain of CUBA blocks. ``forward`` takes and gives spikes as float tensors ``(batch, neurons, steps)``.

    Attributes:
        input_shape: ``(n,)`` where the first layer is dense, else ``(channels, height, width)``.
        shapes: the shape of each layer's neurons by name.
        blocks: slayer's blocks by name; ``dropouts`` and ``delays`` act on what some of them send to the next.
        neurons: the integers of each layer's neurons by name; ``set_neuron`` changes them.
        grids: the weights that each layer may have, by name.
        peak_state: largest current or voltage by layer, in state units, in all passes since the caller cleared it.
    """

    def __init__(self, recipe: Recipe, input_shape: Shape) -> None:
        super().__init__()
        layers = recipe.network.layers
        names = layer_names(len(layers))
        flat = isinstance(layers[0], DenseLayer)
        self.input_shape: Shape = (int(np.prod(input_shape)),) if flat else tuple(input_shape)
        self.shapes = dict(zip(names, layer_shapes(layers, self.input_shape)))
        self.blocks, self.dropouts, self.delays = (torch.nn.ModuleDict() for _ in range(3))
        self.neurons: dict[str, Cuba] = {}
        self.grids: dict[str, Grid] = {}
        self.peak_state: dict[str, float] = {}
        self._taken: dict[str, Shape] = {}
        self._tau_grad: dict[str, float] = {}
        given = self.input_shape
        for name, layer in zip(names, layers):
            self._taken[name] = (int(np.prod(given)),) if isinstance(layer, DenseLayer) else given
            self._add(name, layer, recipe)
            given = self.shapes[name]

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the spikes of the last layer."""
        return list(self.layers(spikes).values())[-1]

    def layers(self, spikes: torch.Tensor, *, fused: bool = True) -> dict[str, torch.Tensor]:
        """Return the spikes of every layer by name, as its neurons fire: before dropout and delay.

        Args:
            spikes: ``(batch, channels, steps)``, channels in C order of the input's shape.
            fused: run the neurons in one compiled loop (``fused.py``, on the CPU) that gives the same bits, and record
                ``peak_state``; otherwise slayer's own.

        Returns:
            Tensors ``(batch, *shape, steps)`` with the layer's shape.
        """
        self._forget()
        given = {}
        for name in self.blocks:
            arranged = spikes.reshape(len(spikes), *self._taken[name], spikes.shape[-1])
            spikes = given[name] = self._respond(name, arranged) if fused else self._respond_unfused(name, arranged)
            for after in (self.dropouts, self.delays):
                spikes = after[name](spikes) if name in after else spikes
        return given

    def weights(self) -> dict[str, torch.nn.Parameter]:
        """Return every weight that is learned and may be rewired, by layer name.

        Dense weights are ``(out, in, 1, 1, 1)``, weights of convolutions ``(out, in / groups, height, width, 1)``; the
        connection of a layer onto itself is called ``recurrent_name(layer)``. Pooling layers have only a constant weight.
        """
        found = {}
        for name, block in self.blocks.items():
            if isinstance(block, RecurrentBlock):
                found[name] = block.input_synapse.weight
                found[recurrent_name(name)] = block.recurrent_synapse.weight
            elif not isinstance(block, PoolBlock):
                found[name] = block.synapse.weight
        return found

    def quantised_weights(self) -> dict[str, torch.Tensor]:
        """Return the ``weights`` in chip units, before the exponent, as the forward pass uses them: whole, as floats."""
        return {
            name: self.grids[name.removesuffix(recurrent_name(""))](weight, descale=True)
            for name, weight in self.weights().items()
        }

    def delay_fractions(self) -> dict[str, torch.nn.Parameter]:
        """Return the learned axonal delays as fractions of the longest delay of the layer, by layer name."""
        return {name: axon.fraction for name, axon in self.delays.items()}

    def set_turn(self, turn: int) -> None:
        """Make every dropout draw anew in the next pass; ``turn`` is a whole number from 0 on, a new one for each pass."""
        for dropout in self.dropouts.values():
            dropout.turn = turn

    def set_neuron(self, name: str, neuron: Cuba) -> None:
        """Replace the neurons of a layer; a parameter is one number, or an array of the layer's shape.

        slayer has one threshold for a whole layer: if thresholds differ, only the fused neurons can compute the layer.
        """
        self.neurons[name] = neuron
        give_neuron(self.blocks[name], neuron, self._tau_grad[name])

    def _add(self, name: str, layer: AnyLayer, recipe: Recipe) -> None:
        given = neuron_of(layer, recipe.network.neuron)
        block = new_block(layer, given, self._taken[name], recipe.training.weight_scale)
        self.blocks[name] = block
        self.grids[name] = Grid() if isinstance(layer, PoolLayer) else Grid(layer.weight_step, layer.weight_exponent)
        if self.grids[name] != Grid():
            block.synapse.pre_hook_fx = self.grids[name]
        self._tau_grad[name] = given.tau_grad
        self.neurons[name] = Cuba(
            current_decay=given.current_decay, voltage_decay=given.voltage_decay, threshold=given.threshold
        )
        if isinstance(layer, PoolLayer):
            return
        if layer.dropout:
            self.dropouts[name] = NeuronDropout(layer.dropout)
        if layer.delay:
            self.delays[name] = AxonalDelay(self.shapes[name][0], layer.delay)

    def _respond(self, name: str, spikes: torch.Tensor) -> torch.Tensor:
        """Return a layer's spikes through the fused neuron."""
        block = self.blocks[name]
        settings = cuba_settings(block, self.neurons[name])
        if isinstance(block, RecurrentBlock):
            recurrent = block.recurrent_synapse.pre_hook_fx(block.recurrent_synapse.weight).flatten(1)
            fired, peak = recurrent_cuba_spikes(block.input_synapse(spikes), recurrent, settings)
        elif isinstance(block, PoolBlock):
            fired, peak = cuba_spikes(pooled_sums(block, spikes), settings)
        else:
            fired, peak = cuba_spikes(self.grids[name].whole_sums(block.synapse(spikes)), settings)
        self.peak_state[name] = max(self.peak_state.get(name, 0.0), peak)
        return fired

    def _respond_unfused(self, name: str, spikes: torch.Tensor) -> torch.Tensor:
        """Return a layer's spikes through slayer's block."""
        block = self.blocks[name]
        if np.ptp(self.neurons[name].threshold):
            raise TrainingError(
                f"train: the neurons of layer '{name}' have different thresholds, which slayer cannot compute; compare "
                "the other engines: --engines reference,event"
            )
        if self.grids[name].exponent >= 0:
            fired: torch.Tensor = block(spikes)
        else:
            fired = block.neuron(self.grids[name].whole_sums(block.synapse(spikes)))
        return fired

    def _forget(self) -> None:
        """Zero the state that slayer's recurrent blocks keep from the last pass (``lava-dl`` 0.6.0 has no method for it)."""
        for block in self.blocks.values():
            if isinstance(block, RecurrentBlock):
                zero = block.spike_state.new_zeros(1)
                block.spike_state = block.neuron.current_state = block.neuron.voltage_state = zero


def recurrent_name(layer: str) -> str:
    """Return the name of the weight that connects a layer onto itself."""
    return f"{layer}_recurrent"


def build(recipe: Recipe, input_shape: Shape | int) -> SlayerNetwork:
    """Return a freshly initialised slayer network; draws weights and delays from torch's global generator.

    Args:
        recipe: its network and ``training.weight_scale`` are read.
        input_shape: shape of the data: a number of channels, or ``(channels, height, width)``.

    Raises:
        RecipeError: if a layer cannot take the output of the layer before it.
    """
    return SlayerNetwork(recipe, (input_shape,) if isinstance(input_shape, int) else input_shape)


def to_network(model: SlayerNetwork, masks: Mapping[str, torch.Tensor], dt: float) -> Network:
    """Return the network of the integers that the model computes with in its forward pass.

    Axonal delays become delays of the projection that consumes the spikes, one for each source neuron; dropout is off.

    Args:
        model: the trained model; its weights are read through the quantiser of the forward pass.
        masks: connections kept, by the names of ``SlayerNetwork.weights``; recorded in the projections.
        dt: length of a step in seconds.

    Raises:
        TrainingError: if a weight outside its mask is not zero (the model was changed without its rewirer).
    """
    populations, projections, source = [], [], INPUT_NAME
    for depth, name in enumerate(model.blocks, start=1):
        populations.append(Population(name=name, shape=model.shapes[name], first_step=depth, model=model.neurons[name]))
        projections.extend(_projections(model, source, name, masks))
        source = name
    return Network(
        inputs=(Input(name=INPUT_NAME, shape=model.input_shape),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="class", population=source, decoding="count"),),
        dt=dt,
    )


def run_slayer(model: SlayerNetwork, network: Network, samples: Samples, *, batch_size: int = 64) -> Activity:
    """Run the slayer model itself, with slayer's own neurons, and return its spikes on the chip's clock.

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
            layers = model.layers(torch.from_numpy(raster[part].transpose(0, 2, 1).copy()), fused=False)
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
    )
    return Activity(
        engine="slayer", network=network.fingerprint, n_steps=n_steps, spikes={INPUT_NAME: padded, **events}
    )


def _projections(model: SlayerNetwork, source: str, name: str, masks: Mapping[str, torch.Tensor]) -> list[Projection]:
    """Return the projections into a layer: from the layer before it, and from itself if it is recurrent."""
    block, taken = model.blocks[name], model._taken[name]
    delay = _delay(model.delays[source], model.shapes[source]) if source in model.delays else 0
    if isinstance(block, RecurrentBlock):
        into = _projection(source, name, Dense(weights=integers(block.input_synapse)), masks[name], delay)
        recurrent = Dense(weights=integers(block.recurrent_synapse))
        return [into, _projection(name, name, recurrent, masks[recurrent_name(name)], 0)]
    exponent = model.grids[name].exponent
    return [_projection(source, name, synapses_of(block.synapse, taken), masks.get(name), delay, exponent)]


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
