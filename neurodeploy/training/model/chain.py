"""The trainable model, a chain of CUBA layers, whichever backend computes its synapses. Imports no lava-dl.

While currents and voltages stay within 24 bits, its forward pass gives the spikes of the exported integers. Recurrent layers
start every pass from zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurodeploy.engines.lanes.neurons import exact_gain
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.team import Team
from neurodeploy.engines.lanes.wiring import Geometry
from neurodeploy.network import WEIGHT_EXPONENT_MAX, WEIGHT_EXPONENT_MIN, Cuba, Input, Shape
from neurodeploy.recipe.layers import (
    AnyLayer,
    DenseLayer,
    NeuronRecipe,
    PoolLayer,
    layer_names,
    layer_shapes,
    neuron_of,
)
from neurodeploy.recipe.record import Recipe
from neurodeploy.training.lanes.layer import Driven, Kept, Layer
from neurodeploy.training.lanes.synapses import Synapses
from neurodeploy.training.model.delay_dropout import AxonalDelay, NeuronDropout
from neurodeploy.training.model.fused import (
    WEIGHT_SCALE,
    CubaSettings,
    cuba_settings,
    cuba_spikes,
    recurrent_cuba_spikes,
    window_sums,
)
from neurodeploy.training.model.segments import Segment
from neurodeploy.training.model.stored import HeldSynapses, StoredSynapses, WholeSynapses
from neurodeploy.training.model.weight_grid import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """A layer of a recipe with all that its block is built from.

    Attributes:
        layer: kind and size of the layer.
        neuron: the recipe's parameters of its neurons.
        taken: shape of its input: ``(n,)`` for a dense layer, else ``(channels, height, width)``.
        weight_scale: factor on the initial weights.
        grid: the weights that the layer may have.
        largest: largest absolute number that arrives from a source in a step, 1 for spikes.
    """

    layer: AnyLayer
    neuron: NeuronRecipe
    taken: Shape
    weight_scale: float
    grid: Grid
    largest: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The way to compute the synapses of a chain.

    Attributes:
        name: as in ``training.backend`` of a recipe.
        new_block: returns a module for a layer, with weights drawn from torch's global generator. It has a module
            ``synapse``, or ``input_synapse`` and ``recurrent_synapse``, which return summed inputs for spikes and have a
            ``weight``; none for a pool.
        give_neuron: tells a block that its neurons are others now; ``tau_grad`` is the width of the surrogate gradient.
    """

    name: str
    new_block: Callable[[LayerPlan], torch.nn.Module]
    give_neuron: Callable[[torch.nn.Module, Cuba, float], None]


class ChainModel(torch.nn.Module):
    """A chain of CUBA layers. ``forward`` takes and gives spikes as float tensors ``(batch, neurons, steps)``.

    Args:
        recipe: its network and ``training.weight_scale`` are read; draws weights and delays from torch's global generator.
        entry: the input; where the first layer is dense it is taken flat.
        backend: what computes the synapses.

    Attributes:
        entry: the input: ``(n,)`` where the first layer is dense, else ``(channels, height, width)``.
        shapes: the shape of each layer's neurons by name.
        blocks: the backend's modules by name; ``dropouts`` and ``delays`` act on what some layers send to the next.
        neurons: the integers of each layer's neurons by name; ``set_neuron`` changes them.
        grids: the weights that each layer may have, by name.
        window: steps that the class of a step looks back over; None for one class a sample (``Output.window``).
        recipes: the layers of the recipe by name; ``taken`` has the shapes of their inputs.
        stored: the synapses of which only the stored ones have a weight, by weight name (``use_lanes``).
        peak_state: largest current or voltage by layer, in state units, in all passes since the caller cleared it.

    Raises:
        RecipeError: if a layer cannot take the output of the layer before it.
        TrainingError: for an input or neurons that the backend does not have.
    """

    def __init__(self, recipe: Recipe, entry: Input, backend: Backend) -> None:
        super().__init__()
        layers = recipe.network.layers
        names = layer_names(len(layers))
        self.window = recipe.network.window
        self.entry = replace(entry, shape=(entry.size,)) if isinstance(layers[0], DenseLayer) else entry
        self.backend = backend
        self.recipes = dict(zip(names, layers))
        self.shapes = dict(zip(names, layer_shapes(layers, self.entry.shape)))
        self.blocks, self.dropouts, self.delays = (torch.nn.ModuleDict() for _ in range(3))
        self.neurons: dict[str, Cuba] = {}
        self.grids: dict[str, Grid] = {}
        self.taken: dict[str, Shape] = {}
        self.peak_state: dict[str, float] = {}
        self.stored: dict[str, StoredSynapses] = {}
        self._held: dict[str, HeldSynapses] = {}
        self._segments: dict[str, Segment] = {}
        self._surrogate: dict[str, tuple[float, float]] = {}
        given, largest = self.entry.shape, max(map(abs, self.entry.payload_range))
        for name, layer in self.recipes.items():
            taken = (int(np.prod(given)),) if isinstance(layer, DenseLayer) else given
            plan = LayerPlan(
                layer=layer,
                neuron=neuron_of(layer, recipe.network.neuron),
                taken=taken,
                weight_scale=recipe.training.weight_scale,
                grid=_grid(layer, self.entry if name == names[0] else None),
                largest=largest,
            )
            self._add(name, plan)
            given, largest = self.shapes[name], 1

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the spikes of the last layer."""
        return list(self.layers(spikes, every=False).values())[-1]

    @property
    def takes_bits(self) -> bool:
        """Whether the first layer's synapses run over lanes, so that ``layers`` takes the input as ``Spikes`` as well."""
        return next(iter(self.taken)) in self._held

    def layers(
        self,
        spikes: torch.Tensor | Spikes,
        *,
        respond: Callable[[str, torch.Tensor], torch.Tensor] | None = None,
        every: bool = True,
    ) -> dict[str, torch.Tensor]:
        """Return the spikes of every layer by name, as its neurons fire: before dropout and delay.

        Args:
            spikes: ``(batch, channels, steps)``, channels in C order of the input's shape, of any type. Where all steps are
                one in memory (a stride of 0), sums of the first layer are computed once. ``Spikes`` where ``takes_bits``.
            respond: returns the spikes of a layer, by its name, for those that reach it ``(batch, *taken, steps)``. By
                default the backend's synapses and the compiled neurons (``fused.py``) do, and record ``peak_state``.
            every: whether layers inside a segment are wanted as well, whose spikes otherwise stay bits.

        Returns:
            Tensors ``(batch, *shape, steps)`` with the layer's shape.
        """
        given: dict[str, torch.Tensor] = {}
        names = list(self.taken)
        while names:
            name = names[0]
            if respond is None and name in self._segments:
                given |= self._run(self._segments[name], spikes, every)
                names = names[len(self._segments[name].names) - 1 :]
                name = names[0]
            else:
                assert isinstance(spikes, torch.Tensor), "bits go into a segment"
                arranged = spikes.reshape(len(spikes), *self.taken[name], spikes.shape[-1]).float()
                given[name] = (respond or self._respond)(name, arranged)
            spikes = given[name]
            for after in (self.dropouts, self.delays):
                spikes = after[name](spikes) if name in after else spikes
            names = names[1:]
        return given

    def weights(self) -> dict[str, torch.nn.Parameter]:
        """Return every weight that is learned and may be rewired, by layer name.

        Dense weights are ``(out, in, 1, 1, 1)``, weights of convolutions ``(out, in / groups, height, width, 1)``; the
        connection of a layer onto itself is called ``recurrent_name(layer)``. Pooling layers have only a constant weight.
        Weights of ``stored`` synapses have one axis.
        """
        return {w: module.weight for name in self.recipes for w, module in self._synapses(name).items()}

    def dense_weights(self) -> dict[str, torch.Tensor]:
        """Return the ``weights`` in their dense shapes, those of stored synapses made for the caller, without gradients."""
        return {
            name: self.stored[name].spread(weight.detach()) if name in self.stored else weight.detach()
            for name, weight in self.weights().items()
        }

    def quantised_weights(self) -> dict[str, torch.Tensor]:
        """Return the ``weights`` in chip units, before the exponent, as the forward pass uses them: whole, as floats.

        They have their dense shapes.
        """
        return {
            name: self.grids.get(name, RECURRENT_GRID)(weight, descale=True)
            for name, weight in self.dense_weights().items()
        }

    def use_lanes(self, layers: Collection[str], masks: Mapping[str, torch.Tensor] | None, threads: int = 1) -> None:
        """Run some layers over lanes from now on (native backend).

        Args:
            layers: names of layers; pools between them run over lanes with them.
            masks: connections by weight name, of which alone there are weights from now on; None keeps all weights.
            threads: threads that share the work of a pass.
        """
        team = Team(threads)
        for name in layers:
            for weight, module in self._synapses(name).items():
                where = geometry_of(self.recipes[name], self.taken[name], self.shapes[name])
                grid = self.grids.get(weight, RECURRENT_GRID)
                own: HeldSynapses
                if masks is None:
                    own = WholeSynapses(module.weight, where, grid, team)
                else:
                    own = self.stored[weight] = StoredSynapses(module.weight, masks[weight], where, grid, team)
                setattr(self.blocks[name], _ATTRIBUTE[len(self._synapses(name)) - 1][weight != name], own)
                self._held[weight] = own
        self._segments = {}
        for names in self._rows():
            held = {name: [self._held[w] for w in self._synapses(name) if w in self._held] for name in names}
            self._segments[names[0]] = Segment({name: self._lanes(name, held[name], team) for name in names}, held)

    def _rows(self) -> list[list[str]]:
        """Return the layers that run over lanes, in rows that spikes cross as bits."""
        rows: list[list[str]] = []
        before: str | None = None
        for name, layer in self.recipes.items():
            joined = before is not None and self.stays_bits(before, name)
            if name in self._held or self.is_driven(name) or (joined and isinstance(layer, PoolLayer)):
                if joined:
                    rows[-1].append(name)
                else:
                    rows.append([name])
                before = name
            else:
                before = None
        return [row for row in rows if any(name in self._held for name in row)]

    def is_driven(self, name: str) -> bool:
        """Return whether a layer's neurons run over lanes though payloads reach it, whose sums dense synapses make."""
        return self.entry.graded and name == next(iter(self.recipes)) and not is_recurrent(self.recipes[name])

    def stays_bits(self, before: str, name: str) -> bool:
        """Return whether spikes from one stored layer to the next may stay bits.

        They may not through a learned delay, nor through dropout whose factor makes sums that are no whole state units.
        """
        if before in self.delays:
            return False
        if before not in self.dropouts:
            return True
        grid, layer = self.grids[name], self.recipes[name]
        exponent = 0 if isinstance(layer, PoolLayer) else grid.exponent + int(np.log2(grid.step))
        return exact_gain(self.dropouts[before].gain, exponent) and not is_recurrent(layer)

    def _lanes(self, name: str, held: Sequence[HeldSynapses], team: Team) -> Layer | Driven:
        """Return a layer over lanes; of a pool, with constant weights."""
        settings, layer = self.neuron_settings(name), self.recipes[name]
        if self.is_driven(name):
            n = int(np.prod(self.shapes[name]))
            return Driven(n, settings.neuron, tau=settings.tau, scale=settings.scale, team=team)
        if isinstance(layer, PoolLayer):
            where = geometry_of(layer, self.taken[name], self.shapes[name])
            assert where is not None, "a pool is a convolution"
            n = int(np.prod(where.kernels))
            latent = np.full(n, layer.weight / WEIGHT_SCALE, np.float32)
            synapses, again = Synapses(where, np.arange(n), latent, step=1, team=team), None
        else:
            synapses, again = held[0].synapses, held[1].synapses if len(held) > 1 else None
        return Layer(
            synapses,
            settings.neuron,
            tau=settings.tau,
            scale=settings.scale,
            recurrent=again,
            learns=bool(held),
            team=team,
        )

    def _synapses(self, name: str) -> dict[str, torch.nn.Module]:
        """Return the modules with the weights of a layer by weight name."""
        layer, block = self.recipes[name], self.blocks[name]
        if isinstance(layer, PoolLayer):
            return {}
        if is_recurrent(layer):
            return {name: block.input_synapse, recurrent_name(name): block.recurrent_synapse}
        return {name: block.synapse}

    def delay_fractions(self) -> dict[str, torch.nn.Parameter]:
        """Return the learned axonal delays as fractions of the longest delay of the layer, by layer name."""
        return {name: axon.fraction for name, axon in self.delays.items()}

    def set_turn(self, turn: int) -> None:
        """Make every dropout draw anew in the next pass; ``turn`` is a whole number from 0 on, a new one for each pass."""
        for dropout in self.dropouts.values():
            dropout.turn = turn

    def set_neuron(self, name: str, neuron: Cuba) -> None:
        """Replace the neurons of a layer; a parameter is one number, or an array of the layer's shape.

        Raises:
            TrainingError: for neurons that the backend does not have.
        """
        self.backend.give_neuron(self.blocks[name], neuron, self._surrogate[name][0])
        self.neurons[name] = neuron

    def neuron_settings(self, name: str) -> CubaSettings:
        """Return the neurons of a layer with their surrogate gradient."""
        return cuba_settings(self.neurons[name], *self._surrogate[name])

    def _add(self, name: str, plan: LayerPlan) -> None:
        layer, own = plan.layer, plan.neuron
        self.blocks[name] = self.backend.new_block(plan)
        self.taken[name], self.grids[name] = plan.taken, plan.grid
        self._surrogate[name] = (own.tau_grad, own.scale_grad)
        self.neurons[name] = Cuba(
            current_decay=own.current_decay,
            voltage_decay=own.voltage_decay,
            threshold=own.threshold,
            reset=own.reset,
        )
        if isinstance(layer, PoolLayer):
            return
        if layer.dropout:
            self.dropouts[name] = NeuronDropout(layer.dropout)
        if layer.delay:
            self.delays[name] = AxonalDelay(self.shapes[name][0], layer.delay)

    def _run(self, segment: Segment, spikes: torch.Tensor | Spikes, every: bool) -> dict[str, torch.Tensor]:
        """Return the spikes of the layers of a segment that are wanted."""
        names = segment.names
        given: torch.Tensor | Spikes
        if isinstance(spikes, Spikes):
            given, n, n_steps = spikes, spikes.span.batch, spikes.span.n_steps
        else:
            n, n_steps = len(spikes), spikes.shape[-1]
            given = spikes.reshape(n, -1, n_steps)
            if segment.driven:
                arranged = spikes.reshape(n, *self.taken[names[0]], n_steps).float()
                drive = sums_of(self.blocks[names[0]].synapse, arranged, self.grids[names[0]])
                given = drive.reshape(n, -1, drive.shape[-1])
        kept = {}
        for number, name in enumerate(names[:-1]):
            if self.training and name in self.dropouts:
                drop = self.dropouts[name]
                stays = drop.stays(torch.Size((n, *self.shapes[name])))
                kept[number] = Kept(stays.flatten(1).t().numpy(), drop.gain)
        fired, peaks = segment.run(given, n_steps, kept, names if every else names[-1:])
        for name, peak in peaks.items():
            self.peak_state[name] = max(self.peak_state.get(name, 0.0), peak)
        return {name: sent.reshape(n, *self.shapes[name], n_steps) for name, sent in fired.items()}

    def _respond(self, name: str, spikes: torch.Tensor) -> torch.Tensor:
        """Return a layer's spikes through the compiled neurons."""
        layer, block, grid = self.recipes[name], self.blocks[name], self.grids[name]
        settings = self.neuron_settings(name)
        if is_recurrent(layer):
            recurrent = RECURRENT_GRID(block.recurrent_synapse.weight).flatten(1)
            drive = sums_of(block.input_synapse, spikes, grid)
            drive = drive.expand(*drive.shape[:-1], spikes.shape[-1])
            fired, peak = recurrent_cuba_spikes(drive, recurrent, settings)
        elif isinstance(layer, PoolLayer):
            fired, peak = cuba_spikes(window_sums(spikes, layer.kernel, layer.weight / WEIGHT_SCALE), settings)
        else:
            drive = sums_of(block.synapse, spikes, grid)
            fired, peak = cuba_spikes(drive.expand(*drive.shape[:-1], spikes.shape[-1]), settings)
        self.peak_state[name] = max(self.peak_state.get(name, 0.0), peak)
        return fired


def sums_of(synapse: Callable[[torch.Tensor], torch.Tensor], spikes: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the sums of weights that reach the neurons, of a single step where all steps are one in memory."""
    held = spikes.shape[-1] > 1 and spikes.stride(-1) == 0
    return grid.whole_sums(synapse(spikes[..., :1] if held else spikes))


RECURRENT_GRID = Grid()
"""The weights of connections of a layer onto itself."""


def _grid(layer: AnyLayer, entry: Input | None) -> Grid:
    """Return the weights that a layer may have; ``entry`` is the input of the first layer.

    Where the recipe leaves ``weight_exponent`` out, it is such that the largest value of a payload counts about as a spike.
    """
    if isinstance(layer, PoolLayer):
        return Grid()
    if entry is None or not entry.graded:
        return Grid(layer.weight_step, layer.weight_exponent)
    exponent = layer.weight_exponent
    if "weight_exponent" not in layer.model_fields_set:
        exponent = min(max(round(math.log2(entry.scale)), WEIGHT_EXPONENT_MIN), WEIGHT_EXPONENT_MAX)
    return Grid(layer.weight_step, exponent, entry.scale)


_ATTRIBUTE = (("synapse",), ("input_synapse", "recurrent_synapse"))
"""Names of the modules with weights in a block, for a layer without and with connections to itself."""


def geometry_of(layer: AnyLayer, taken: Shape, shape: Shape) -> Geometry | None:
    """Return a layer's kernels as lanes take them, None for a dense layer."""
    if isinstance(layer, DenseLayer):
        return None
    channels, height, width = taken
    if isinstance(layer, PoolLayer):
        kernels = (channels, 1, *layer.kernel)
        return Geometry(taken=(channels, height, width), kernels=kernels, stride=layer.kernel, groups=channels)
    return Geometry(
        taken=(channels, height, width),
        kernels=(shape[0], channels // layer.groups, *layer.kernel),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )


def is_recurrent(layer: AnyLayer) -> bool:
    """Return whether a layer's spikes return to it."""
    return isinstance(layer, DenseLayer) and layer.recurrent


def recurrent_name(layer: str) -> str:
    """Return the name of the weight that connects a layer onto itself."""
    return f"{layer}_recurrent"
