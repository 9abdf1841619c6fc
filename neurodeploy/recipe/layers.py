"""Layers of a recipe as checked records, and the shapes of their neurons.

A layer is one of ``dense``, ``conv`` and ``pool``; a signal with channels, height and width is flattened (C order) before a
dense layer. Every layer ends in CUBA neurons, including pooling layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from neurodeploy.errors import RecipeError
from neurodeploy.files.checked import Record
from neurodeploy.network import DECAY_ONE, DELAY_MAX, WEIGHT_EXPONENT_MAX, WEIGHT_EXPONENT_MIN, Shape

OUTPUT_NAME = "output"


def _pair(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


Decay = Annotated[int, Field(ge=0, le=DECAY_ONE)]
Threshold = Annotated[int, Field(ge=1, lt=64 * 64)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Pair = Annotated[tuple[Count, Count], BeforeValidator(_pair)]
PairFrom0 = Annotated[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]], BeforeValidator(_pair)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Delay = Annotated[int, Field(ge=0, le=DELAY_MAX)]
WeightStep = Literal[1, 2, 4, 8, 16, 32, 64]
WeightExponent = Annotated[int, Field(ge=WEIGHT_EXPONENT_MIN, le=WEIGHT_EXPONENT_MAX)]
Reset = Literal["zero", "subtract"]


class NeuronRecipe(Record):
    """CUBA neuron in chip units."""

    threshold: Threshold
    """Voltage above which a neuron fires, in weight units (64 is one float unit)."""
    current_decay: Decay
    """Decay of the current in a step, in 4096ths: 4096 forgets it at once."""
    voltage_decay: Decay
    """Decay of the voltage in a step, in 4096ths: 0 keeps it."""
    reset: Reset = "zero"
    """What a spike does to the voltage: sets it to 0, or takes the threshold away from it (backend `native` only)."""
    tau_grad: Positive = 1.0
    """Width of the surrogate gradient around the threshold, in units of the threshold."""
    scale_grad: Positive = 1.0
    """Height of the surrogate gradient."""


class LayerNeuron(Record):
    """Neuron parameters of a single layer; parameters that are left out are those of the table ``[network.neuron]``."""

    threshold: Threshold | None = None
    """As `network.neuron.threshold`, of this layer."""
    current_decay: Decay | None = None
    """As `network.neuron.current_decay`, of this layer."""
    voltage_decay: Decay | None = None
    """As `network.neuron.voltage_decay`, of this layer."""
    reset: Reset | None = None
    """As `network.neuron.reset`, of this layer."""
    tau_grad: Positive | None = None
    """As `network.neuron.tau_grad`, of this layer."""
    scale_grad: Positive | None = None
    """As `network.neuron.scale_grad`, of this layer."""


class DenseLayer(Record):
    """A fully connected layer."""

    kind: Literal["dense"] = "dense"
    """Kind of the layer."""
    neurons: Count
    """Number of neurons."""
    recurrent: bool = False
    """Adds a connection from every neuron to every neuron of the layer, which takes one step."""
    delay: Delay = 0
    """Above 0 each neuron learns an axonal delay of 0 to so many steps."""
    dropout: Dropout = 0.0
    """Probability that a neuron is silent for a whole sample in training; the spikes of the others are scaled up."""
    weight_step: WeightStep = 2
    """Weights are multiples of this in -256..255: 2 means 8 bits and fits the chip's grid for mixed signs, 32 means 4 bits.
    """
    weight_exponent: WeightExponent = 0
    """Weights are multiplied by 2 to this power."""
    neuron: LayerNeuron | None = None
    """The layer's own parameters of neurons."""

    @model_validator(mode="after")
    def _recurrent_ones_are_plain(self) -> DenseLayer:
        if self.recurrent and (self.weight_step, self.weight_exponent) != (2, 0):
            raise ValueError("'weight_step' and 'weight_exponent' are not for recurrent layers")
        return self


class ConvLayer(Record):
    """A convolution (torch's ``conv2d``); sizes are one number, or ``[vertical, horizontal]``."""

    kind: Literal["conv"] = "conv"
    """Kind of the layer."""
    channels: Count
    """Output channels."""
    kernel: Pair
    """Size of the kernel in pixels."""
    stride: Pair = (1, 1)
    """Pixels between two positions of the kernel."""
    padding: PairFrom0 = (0, 0)
    """Rows and columns of zeros around the image, on each side."""
    dilation: Pair = (1, 1)
    """Pixels between two taps of the kernel."""
    groups: Count = 1
    """Groups of channels that are convolved apart."""
    delay: Delay = 0
    """Above 0 each channel learns an axonal delay of 0 to so many steps."""
    dropout: Dropout = 0.0
    """Probability that a neuron is silent for a whole sample in training; the spikes of the others are scaled up."""
    weight_step: WeightStep = 2
    """Weights are multiples of this in -256..255: 2 means 8 bits and fits the chip's grid for mixed signs, 32 means 4 bits.
    """
    weight_exponent: WeightExponent = 0
    """Weights are multiplied by 2 to this power."""
    neuron: LayerNeuron | None = None
    """The layer's own parameters of neurons."""


class PoolLayer(Record):
    """A pooling layer: sums over adjacent windows (stride = kernel), times one ``weight`` in chip units, into CUBA neurons.

    With both decays 4096 and a threshold below ``weight`` a neuron fires exactly when an input of its window fires, which
    is maximum pooling of spikes.
    """

    kind: Literal["pool"] = "pool"
    """Kind of the layer."""
    kernel: Pair
    """Size of a window, which is also the stride, in pixels."""
    weight: Annotated[int, Field(ge=2, le=254, multiple_of=2)] = 64
    """Weight of every synapse, in chip units."""
    neuron: LayerNeuron | None = None
    """The layer's own parameters of neurons."""


def _kind(layer: Any) -> str:
    if isinstance(layer, Mapping):
        return str(layer.get("kind", "dense"))
    return str(getattr(layer, "kind", "dense"))


AnyLayer = DenseLayer | ConvLayer | PoolLayer
Layer = Annotated[
    Annotated[DenseLayer, Tag("dense")] | Annotated[ConvLayer, Tag("conv")] | Annotated[PoolLayer, Tag("pool")],
    Discriminator(_kind),
]


def neuron_of(layer: AnyLayer, common: NeuronRecipe) -> NeuronRecipe:
    """Return the neuron parameters of a layer; parameters of the layer replace those of the network."""
    own = layer.neuron.model_dump(exclude_none=True) if layer.neuron else {}
    return common.model_copy(update=own)


def layer_names(n_layers: int) -> list[str]:
    """Return ``hidden1``, ``hidden2``, ... and ``output``."""
    return [*(f"hidden{i}" for i in range(1, n_layers)), OUTPUT_NAME]


def check_last(layers: tuple[AnyLayer, ...]) -> tuple[AnyLayer, ...]:
    """Return the layers; refuse a last layer from which no class can be read.

    Raises:
        ValueError: if the last layer is not dense, or has a delay or dropout, which would have no effect there.
    """
    last = layers[-1]
    if not isinstance(last, DenseLayer):
        raise ValueError(f"the last layer is '{last.kind}', must be dense: one neuron for each class")
    if last.delay or last.dropout:
        which = "delay" if last.delay else "dropout"
        raise ValueError(f"the last layer has a {which}; its spikes are counted where they arise, so leave it out")
    return layers


def layer_shapes(layers: Sequence[AnyLayer], input_shape: Shape) -> list[Shape]:
    """Return the shape of each layer's neurons, ``(n,)`` or ``(channels, height, width)``.

    Raises:
        RecipeError: if a layer does not fit the output shape of the previous layer.
    """
    shapes, given = [], input_shape
    for name, layer in zip(layer_names(len(layers)), layers):
        given = _SHAPE[layer.kind](f"recipe: layer '{name}' ({layer.kind})", layer, given)
        shapes.append(given)
    return shapes


def _dense_shape(where: str, layer: Any, given: Shape) -> Shape:
    del where, given
    return (layer.neurons,)


def _conv_shape(where: str, layer: Any, given: Shape) -> Shape:
    channels, *sizes = _image(where, given)
    for what, count in (("input", channels), ("output", layer.channels)):
        if count % layer.groups:
            raise RecipeError(f"{where} has {count} {what} channels, which {layer.groups} groups do not divide")
    made = [
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, pad, dilation, kernel, stride in zip(sizes, layer.padding, layer.dilation, layer.kernel, layer.stride)
    ]
    if min(made) < 1:
        raise RecipeError(
            f"{where} with kernel {layer.kernel}, dilation {layer.dilation} and padding {layer.padding} is larger than its "
            f"input of {sizes[0]} x {sizes[1]}; use a smaller kernel or more padding"
        )
    return (layer.channels, *made)


def _pool_shape(where: str, layer: Any, given: Shape) -> Shape:
    channels, *sizes = _image(where, given)
    for size, kernel in zip(sizes, layer.kernel):
        if size % kernel:
            raise RecipeError(
                f"{where} with kernel {layer.kernel} does not divide its input of {sizes[0]} x {sizes[1]}; choose another "
                "kernel, or the padding of the layer before it so that it does"
            )
    return (channels, *(size // kernel for size, kernel in zip(sizes, layer.kernel)))


def _image(where: str, given: Shape) -> Shape:
    if len(given) != 3:
        raise RecipeError(
            f"{where} needs channels, height and width, but gets the shape {given}; put conv and pool layers before the "
            "first dense one, and use them on images or frames of events only"
        )
    return given


_SHAPE: Mapping[str, Callable[[str, Any, Shape], Shape]] = {
    "dense": _dense_shape,
    "conv": _conv_shape,
    "pool": _pool_shape,
}
