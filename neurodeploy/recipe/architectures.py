"""Networks of papers by name, and pooling layers, as values for ``layers`` in the table ``[network]`` of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from neurodeploy.network import DECAY_ONE
from neurodeploy.recipe.layers import AnyLayer, ConvLayer, DenseLayer, Layer, LayerNeuron, PoolLayer, check_last


def architecture(
    name: str, *, width: float = 1.0, classes: int | None = None, dropout: float = 0.0
) -> tuple[AnyLayer, ...]:
    """Return the layers of a network from a paper (``ARCHITECTURES``), as published or changed in size.

    Args:
        name: name of the network.
        width: factor on the channels and neurons of all hidden layers, above 0; sizes are rounded and stay at least 1.
        classes: neurons of the last layer; by default as published.
        dropout: dropout of every hidden layer except pools, 0..1 (1 excluded).

    Raises:
        ValueError: for an unknown name or a value out of range.
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            f"there is no network '{name}'; known: {', '.join(sorted(ARCHITECTURES))}; or give a list of layers"
        )
    if not (0 < width <= 16 and 0 <= dropout < 1 and (classes is None or classes >= 1)):
        raise ValueError(
            f"network '{name}' with width {width}, classes {classes} and dropout {dropout}: needs a width above 0 (at most "
            "16), at least one class, and a dropout of at least 0 and below 1"
        )
    *hidden, last = ARCHITECTURES[name]()
    changed = [_resized(layer, width, dropout) for layer in hidden]
    return (*changed, last if classes is None else last.model_copy(update={"neurons": classes}))


def _resized(layer: AnyLayer, width: float, dropout: float) -> AnyLayer:
    if isinstance(layer, PoolLayer):
        return layer
    size = "neurons" if isinstance(layer, DenseLayer) else "channels"
    return layer.model_copy(update={size: max(round(getattr(layer, size) * width), 1), "dropout": dropout})


def _named(value: object) -> object:
    """Return the layers for a network's name, alone or in a table with sizes; other values are returned as they are."""
    if isinstance(value, str):
        return architecture(value)
    if not isinstance(value, Mapping):
        return value
    given, sizes = dict(value), {"width": (int, float), "classes": (int,), "dropout": (int, float)}
    name = given.pop("name", None)
    if not isinstance(name, str) or not set(given) <= set(sizes):
        raise ValueError(f"a network by name has the keys name, {', '.join(sizes)}, not {', '.join(map(str, value))}")
    for key, kinds in sizes.items():
        if key in given and (isinstance(given[key], bool) or not isinstance(given[key], kinds)):
            raise ValueError(f"{key} = {given[key]!r}: needs a number")
    return architecture(name, **given)


Layers = Annotated[tuple[Layer, ...], Field(min_length=1), AfterValidator(check_last), BeforeValidator(_named)]


def six_conv_two_fc() -> tuple[AnyLayer, ...]:
    """6Conv2FC for CIFAR-10 (3 x 32 x 32): three convolutions of 256 channels and a pool, twice; 2048 and 10 neurons.

    36.5 million weights. Published networks of this name pool by maximum, as here, but normalise the convolutions and end in
    100 neurons that are averaged in groups of ten; here ten neurons are the output, and nothing is normalised.
    """
    block: list[AnyLayer] = [*[ConvLayer(channels=256, kernel=(3, 3), padding=(1, 1))] * 3, max_pool(2)]
    return (*block, *block, DenseLayer(neurons=2048), DenseLayer(neurons=10))


def vggsnn() -> tuple[AnyLayer, ...]:
    """VGGSNN for DVS-CIFAR10 (2 x 48 x 48): 64-128-pool-256-256-pool-512-512-pool-512-512-pool-10, kernels 3 x 3.

    9.26 million weights. Source of the list: the TET paper's code. There pools average, as a part of the next layer's
    synapses; here each pool is a layer of neurons that integrate a window and fire at its mean rate.
    """
    widths = ((64, 128), (256, 256), (512, 512), (512, 512))
    layers: list[AnyLayer] = []
    for pair in widths:
        layers += [*(ConvLayer(channels=n, kernel=(3, 3), padding=(1, 1)) for n in pair), mean_pool(2)]
    return (*layers, DenseLayer(neurons=10))


def sdsnn_cifar10() -> tuple[AnyLayer, ...]:
    """SD-SNN for CIFAR-10 (3 x 32 x 32): 128-128-pool-256-256-pool-512-512-512-10, kernels 3 x 3, maximum pools.

    21.36 million weights. Source: the released script, which has only this network, not the ones for MNIST and DVS-Gesture.
    Its neurons differ from ours (learned decays in convolutions), and its last layer does not spike.
    """
    return _sdsnn((128, 256, 512), pool_last=False, neurons=512, classes=10)


def sdsnn_mnist() -> tuple[AnyLayer, ...]:
    """SD-SNN's pattern for MNIST (1 x 28 x 28): 32-32-pool-64-64-pool-128-10, kernels 3 x 3, maximum pools.

    467 thousand weights. Our substitute: the released script has only the CIFAR-10 network, and the sizes that the paper
    used for MNIST were not found. It has the same structure, in widths that suit the smaller images.
    """
    return _sdsnn((32, 64), pool_last=True, neurons=128, classes=10)


def sdsnn_gesture() -> tuple[AnyLayer, ...]:
    """SD-SNN's pattern for DVS-Gesture (2 x 32 x 32, from 128 x 128 by ``data.pool = 4``): 64-64-pool-128-128-pool-256-11.

    2.36 million weights, kernels 3 x 3, maximum pools. Our substitute, like ``sdsnn_mnist``, for 11 gestures.
    """
    return _sdsnn((64, 128), pool_last=True, neurons=256, classes=11)


def _sdsnn(widths: Sequence[int], *, pool_last: bool, neurons: int, classes: int) -> tuple[AnyLayer, ...]:
    layers: list[AnyLayer] = []
    for width in widths:
        layers += [*[ConvLayer(channels=width, kernel=(3, 3), padding=(1, 1))] * 2, max_pool(2)]
    return (*(layers if pool_last else layers[:-1]), DenseLayer(neurons=neurons), DenseLayer(neurons=classes))


def max_pool(kernel: int) -> PoolLayer:
    """Return a maximum pool: its neuron fires exactly in the steps in which a neuron of its window fires."""
    neuron = LayerNeuron(threshold=32, current_decay=DECAY_ONE, voltage_decay=DECAY_ONE)
    return PoolLayer(kernel=(kernel, kernel), neuron=neuron)


def mean_pool(kernel: int) -> PoolLayer:
    """Return a mean pool: its neuron fires once for every n spikes, n the neurons of its window; resets may lose spikes."""
    # a neuron fires above the threshold, so the threshold is one even step of weight below the window's sum
    weight = 16
    neuron = LayerNeuron(threshold=weight * kernel**2 - 2, current_decay=DECAY_ONE, voltage_decay=0)
    return PoolLayer(kernel=(kernel, kernel), weight=weight, neuron=neuron)


ARCHITECTURES: Mapping[str, Callable[[], tuple[AnyLayer, ...]]] = {
    "6conv2fc": six_conv_two_fc,
    "sdsnn-cifar10": sdsnn_cifar10,
    "sdsnn-gesture": sdsnn_gesture,
    "sdsnn-mnist": sdsnn_mnist,
    "vggsnn": vggsnn,
}
"""Networks that a recipe may name instead of listing layers: ``layers = "vggsnn"``, or in another size
``layers = { name = "vggsnn", width = 0.5, classes = 11, dropout = 0.2 }``."""
