"""Reading of lava-dl network files (``.net``, written by slayer's ``export_hdf5``) as a ``Network``.

Layout: ``/layer/<i>/{type, shape, weight, bias, delay, stride, ..., neuron/{iDecay, vDecay, vThMant, ...}}``; shapes are
``(channels, height, width)``, kernels are laid out as in torch, weights are whole numbers in weight units; a bias ``b`` adds
``64 b`` to the voltage. The fields mean what they mean in slayer. Lava's loader differs in a few cases where it drops
something (``docs/notes/lava.md`` 5): here the delay of a layer acts on its outgoing spikes, also for convolutions, and
pooling works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import FileError, NetworkError
from neurodeploy.exchange.netx.layers import (
    BIAS_SHIFT,
    Layer,
    cuba_model,
    delta_model,
    neuron_model,
    neuron_shape,
    neuron_type,
    telling,
    text_of,
    whole_numbers,
)
from neurodeploy.files.hdf5 import open_hdf5
from neurodeploy.files.unreadable import UNREADABLE, reason
from neurodeploy.network import (
    DELAY_MAX,
    Approximation,
    Conv,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    NeuronModel,
    Output,
    Pool,
    Population,
    Projection,
    ResonateAndFire,
    Shape,
    Sigma,
    Sparse,
    Synapses,
)

if TYPE_CHECKING:
    import h5py

LAYER_KINDS = ("input", "dense", "dense_rec", "conv", "pool", "flatten", "average")
_OTHER_NAMES = {"recurrent": "dense_rec"}
_NOTHING = np.zeros(0)


def from_netx(
    path: Path | str,
    *,
    n_layers: int | None = None,
    input_shape: Shape | None = None,
    input_bias: NDArray[np.integer[Any]] | None = None,
    encode_input: bool = True,
    spike_exponent: int = 6,
    dt: float = 1e-3,
) -> Network:
    """Return the network of a lava-dl ``.net`` file.

    An input layer that has neurons turns values into spikes. Without ``input_bias`` the network starts with these spikes
    (its input has the layer's shape); with ``input_bias`` the layer is a population that the bias drives. Sigma-delta
    neurons of an input layer take graded values, each through one synapse of weight 1.

    Args:
        n_layers: read only this many layers from the start of the file, in the numbering of the file.
        input_shape: shape of the input, ``(channels, height, width)`` or ``(n,)``, for a file without an input layer whose
            first layer does not tell it: a convolution or a pool (as lava-dl's netx takes it).
        input_bias: bias mantissa of the input layer's neurons, whole numbers of its shape: ``weight * x + bias`` of the
            layer for values ``x``, rounded by the caller as the encoder does.
        encode_input: keep the sigma-delta neurons of an input layer; False starts the network at their messages.
        spike_exponent: for sigma-delta neurons: a message of ``2**spike_exponent`` stands for 1 (netx: ``spike_exp``).
        dt: length of a step in seconds, which the file does not give.

    Raises:
        FileError: if the file is missing, damaged or not a netx file.
        NetworkError: for a layer or neuron that a ``Network`` cannot hold, with its number.
    """
    layers = _read(Path(path))[:n_layers]
    if not layers:
        raise NetworkError(f"netx: {path}: n_layers is {n_layers}; read at least one layer")
    with telling(layers[0]):
        encoded = encode_input and layers[0].kind == "input" and neuron_type(layers[0]) == "SDNN"
        entry = _input_shape(layers[0], input_shape)
        given = _input(layers, entry) if input_bias is None else Input(name="unused", shape=(1,))
        populations, projections = _input_neurons(layers[0], input_bias, encoded, spike_exponent)
    sender = populations[-1].name if populations else given.name
    tip = _Tip(source=sender, shape=entry)
    for layer in layers[1:] if layers[0].kind == "input" else layers:
        if layer.kind == "flatten":
            tip = replace(tip, shape=(int(np.prod(tip.shape)),))
        if layer.kind in ("flatten", "average"):
            continue
        with telling(layer):
            depth, model = len(populations) + 1, neuron_model(layer, spike_exponent)
            population = Population(name=layer.name, shape=neuron_shape(layer), first_step=depth, model=model)
            populations.append(population)
            projections += _projections(layer, tip, population)
            tip = _Tip(source=population.name, shape=population.shape, delay=_delay(layer, population))
    if not populations:
        raise NetworkError(f"netx: {path} has no layer with neurons among those that are read; read more of its layers")
    return Network(
        inputs=(given,),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="output", population=tip.source, decoding=_decoding(populations[-1].model)),),
        dt=dt,
        ledger=(*_left_out(layers, input_bias, encoded), *_last_delay(tip)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tip:
    """End of the chain built so far: source of the next layer's spikes, their shape, and their additional delay in steps."""

    source: str
    shape: Shape
    delay: int | NDArray[np.int32] = 0


def _read(path: Path) -> list[Layer]:
    import h5py

    if not path.is_file():
        raise FileError(f"netx: there is no file {path}")
    try:
        with open_hdf5(path, ".net files") as file:
            layers = file.get("layer")
            if not isinstance(layers, h5py.Group) or not layers or not all(name.isdigit() for name in layers):
                raise FileError(f"netx: {path} holds no numbered layers; expected a .net file of slayer's export_hdf5")
            return [_layer(layers[name], int(name)) for name in sorted(layers, key=int)]
    except UNREADABLE as error:
        raise FileError(f"netx: {path} is damaged or no .net file ({reason(error)}); export it again") from error


def _layer(group: h5py.Group, index: int) -> Layer:
    import h5py

    fields = {name: np.asarray(item[()]) for name, item in group.items() if isinstance(item, h5py.Dataset)}
    kind = text_of(fields.pop("type", _NOTHING))
    kind = _OTHER_NAMES.get(kind, kind)
    if kind not in LAYER_KINDS:
        raise NetworkError(f"netx: layer {index} has type '{kind}'; supported: {', '.join(LAYER_KINDS)}")
    if isinstance(group.get("weight"), h5py.Group):
        fields |= {f"weight_{part}": np.asarray(group["weight"][part][()]) for part in ("real", "imag")}
    neuron = group.get("neuron")
    own = {n: item[()] for n, item in neuron.items()} if isinstance(neuron, h5py.Group) else {}
    shape = tuple(int(n) for n in whole_numbers(np.ravel(fields.pop("shape", _NOTHING)), f"netx: layer {index}: shape"))
    return Layer(index, kind, shape, fields, own)


def _input_shape(layer: Layer, said: Shape | None) -> Shape:
    """Return the shape of the input from the first layer, or what the caller says where that does not tell it."""
    told = layer.shape if layer.kind == "input" else ()
    if not told and "inFeatures" in layer.fields:
        told = (layer.one("inFeatures", 0),)
    if said is not None:
        own = tuple(int(n) for n in said)
        if told and int(np.prod(told)) != int(np.prod(own)):
            raise NetworkError(f"netx: input_shape is {own}, but layer {layer.index} ({layer.kind}) takes {told}")
        if not told:
            _check_first(layer, own)
        return told or own
    if not told:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}) comes first and does not tell the shape of its input; say it with "
            f"--input-shape (in Python input_shape=){_fitting(layer)}"
        )
    return told


def _fitting_shapes(layer: Layer) -> tuple[Shape, Shape] | None:
    """Return the smallest and the largest input that give the output of a convolution or pool, None if not to be told."""
    size, channels = _kernel_size(layer), _in_channels(layer)
    if size is None or channels is None or len(layer.shape) != 3:
        return None
    stride, padding, dilation = (layer.pair(n, d) for n, d in (("stride", 1), ("padding", 0), ("dilation", 1)))
    smallest = [
        (layer.shape[1 + axis] - 1) * stride[axis] - 2 * padding[axis] + dilation[axis] * (size[axis] - 1) + 1
        for axis in (0, 1)
    ]
    return (channels, *smallest), (channels, *(n + step - 1 for n, step in zip(smallest, stride)))


def _fitting(layer: Layer) -> str:
    """Return in words the shapes that give the output of a convolution or pool, "" where the file does not tell them."""
    found = _fitting_shapes(layer)
    if found is None:
        return ""
    smallest, largest = (",".join(map(str, shape)) for shape in found)
    return f": {smallest} is the smallest that fits" + (f", {largest} the largest" if smallest != largest else "")


def _check_first(layer: Layer, shape: Shape) -> None:
    """Refuse a shape with which a first convolution or pool does not give the output that the file says."""
    found = _fitting_shapes(layer)
    if found is None:
        return
    smallest, largest = found
    if len(shape) != 3 or not all(low <= n <= high for low, n, high in zip(smallest, shape, largest)):
        raise NetworkError(
            f"netx: input_shape is {shape}, which does not give layer {layer.index} ({layer.kind}) its shape {layer.shape}"
            f"{_fitting(layer)}"
        )


def _kernel_size(layer: Layer) -> tuple[int, int] | None:
    if "kernelSize" in layer.fields:
        return layer.pair("kernelSize", 1)
    weight = layer.fields.get("weight")
    return None if weight is None or weight.ndim < 4 else (int(weight.shape[2]), int(weight.shape[3]))


def _in_channels(layer: Layer) -> int | None:
    if layer.kind == "pool":
        return layer.shape[0] if layer.shape else None
    if "inChannels" in layer.fields:
        return layer.one("inChannels", 0)
    weight = layer.fields.get("weight")
    return None if weight is None or weight.ndim < 4 else int(weight.shape[1]) * layer.one("groups", 1)


def _input(layers: list[Layer], shape: Shape) -> Input:
    """Return the input of the network; it is graded if the neurons that read or encode it are sigma-delta neurons."""
    with_neurons = next((layer for layer in layers if layer.neuron), layers[0])
    values = neuron_type(with_neurons) == "SDNN"
    return Input(name="input", shape=shape, payload_bits=32 if values else 0, signed=values)


def _input_neurons(
    layer: Layer, drive: NDArray[np.integer[Any]] | None, encoded: bool, spike_exponent: int
) -> tuple[list[Population], list[Projection]]:
    """Return the neurons of the input layer, if the network includes them, and the projections into them."""
    if drive is not None:
        return [_driven(layer, drive)], []
    if not encoded:
        return [], []
    encoder, one_each = _encoder(layer, spike_exponent)
    return [encoder], [one_each]


def _encoder(layer: Layer, spike_exponent: int) -> tuple[Population, Projection]:
    """Return the sigma-delta neurons of the input layer, each with one synapse of weight 1 from its value."""
    population = Population(name=layer.name, shape=layer.shape, model=delta_model(layer, spike_exponent))
    n = population.size
    one_each = Sparse(
        n_target=n, start=np.arange(n + 1), target=np.arange(n, dtype=np.int32), weights=np.ones(n, np.int16)
    )
    return population, Projection(name=layer.name, source="input", target=layer.name, synapses=one_each)


def _driven(layer: Layer, drive: NDArray[np.integer[Any]]) -> Population:
    """Return the input layer as a population that a bias drives."""
    if layer.kind != "input" or neuron_type(layer) not in ("CUBA", "LOIHI") or np.shape(drive) != layer.shape:
        neurons = f"{neuron_type(layer)} neurons" if layer.neuron else "no neurons"
        raise NetworkError(
            f"netx: input_bias has the shape {np.shape(drive)}, the input layer {layer.shape} with {neurons}; it must have "
            "CUBA neurons and their shape"
        )
    bias = (np.asarray(drive, np.int64) << BIAS_SHIFT).astype(np.int32)
    return Population(name=layer.name, shape=layer.shape, first_step=1, model=cuba_model(layer, bias))


def _projections(layer: Layer, tip: _Tip, population: Population) -> Iterator[Projection]:
    """Yield the projections into a layer: from the end of the chain, and from the layer itself if it is recurrent."""
    ends: dict[str, Any] = {"source": tip.source, "target": population.name, "delay": tip.delay}
    if isinstance(population.model, ResonateAndFire):
        yield from _complex(layer, population.size, **ends)
    else:
        yield Projection(name=layer.name, synapses=_synapses(layer, tip.shape), **ends)
    if layer.kind == "dense_rec":
        own = Dense(weights=_matrix(layer, "weight_rec", population.size))
        yield Projection(name=f"{layer.name}_rec", source=population.name, target=population.name, synapses=own)


def _complex(layer: Layer, n_target: int, **ends: Any) -> Iterator[Projection]:
    """Yield the projections of a layer of resonators, one for each component of the complex weights."""
    if "weight_real" not in layer.fields:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}) has resonate-and-fire neurons but no complex weights"
        )
    for component in ("real", "imag"):
        synapses = Dense(weights=_matrix(layer, f"weight_{component}", n_target))
        yield Projection(name=f"{layer.name}_{component}", synapses=synapses, component=component, **ends)


def _left_out(layers: list[Layer], drive: object, encoded: bool) -> Iterator[Approximation]:
    if layers[0].kind == "input" and layers[0].neuron and drive is None and not encoded:
        what = "neurons of the input layer left out: the network starts at their spikes"
        yield Approximation(where="input", what=what, size="no spike differs")
    for layer in layers:
        if layer.kind == "average":
            what = f"average over groups of outputs left out, layer {layer.index}: take it over the spikes"
            yield Approximation(where=layer.name, what=what, size="no spike differs")


def _last_delay(tip: _Tip) -> Iterator[Approximation]:
    if np.any(tip.delay):
        what = "delay of the last layer's spikes left out: it lies behind the network"
        size = f"answers come up to {np.max(tip.delay)} steps earlier"
        yield Approximation(where=tip.source, what=what, size=size)


def _synapses(layer: Layer, shape: Shape) -> Synapses:
    if layer.kind.startswith("dense"):
        n_target = int(np.prod(layer.shape)) if layer.shape else len(layer.fields["weight"])
        return Dense(weights=_matrix(layer, "weight", n_target))
    if len(shape) != 3:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}) needs an input (channels, height, width), it is {shape}"
        )
    size = (shape[0], shape[1], shape[2])
    geometry = {name: layer.pair(name, d) for name, d in (("stride", 1), ("padding", 0), ("dilation", 1))}
    if layer.kind == "pool":
        return _pool(layer, size, geometry)
    weights = layer.weights("weight")
    groups = layer.one("groups", 1)
    return Conv(weights=weights.reshape(weights.shape[:4]), input_shape=size, groups=groups, **geometry)


def _pool(layer: Layer, size: tuple[int, int, int], geometry: dict[str, tuple[int, int]]) -> Pool:
    if geometry.pop("dilation") != (1, 1):
        raise NetworkError(f"netx: layer {layer.index} (pool) has a dilation, which is not supported")
    weights = np.unique(layer.whole("weight"))
    if weights.size != 1:
        raise NetworkError(
            f"netx: layer {layer.index} (pool) has {weights.size} different weights, only one is supported"
        )
    return Pool(input_shape=size, kernel=layer.pair("kernelSize", 1), weight=int(weights[0]), **geometry)


def _matrix(layer: Layer, name: str, n_target: int) -> NDArray[np.int16]:
    if name not in layer.fields:
        raise NetworkError(f"netx: layer {layer.index} ({layer.kind}) has no {name}")
    weights = layer.weights(name)
    if weights.size % n_target:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}): {name} {weights.shape} does not fit {n_target} neurons"
        )
    return weights.reshape(n_target, -1)


def _delay(layer: Layer, population: Population) -> int | NDArray[np.int32]:
    """Return the delay of the layer's outgoing spikes, one for each neuron if the file has one for each channel."""
    if "delay" not in layer.fields:
        return 0
    where = f"netx: layer {layer.index} ({layer.kind}): delay"
    delay = whole_numbers(np.floor(layer.fields["delay"]), where).astype(np.int32).reshape(-1)
    if delay.max() > DELAY_MAX:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}) has a delay of {int(delay.max())} steps, the limit is {DELAY_MAX}"
        )
    if delay.size == 1:
        return int(delay[0])
    per_channel = delay.reshape(-1, *(1,) * (len(population.shape) - 1))
    return np.broadcast_to(per_channel, population.shape).reshape(-1)


def _decoding(model: NeuronModel) -> Any:
    """Return the decoding of a neuron kind: messages of a delta code add up to the value, Sigma sends the value itself."""
    if isinstance(model, Sigma):
        return "last_message"
    if model.graded:
        return "sum"
    return "last_voltage" if isinstance(model, LeakyIntegrator) else "count"
