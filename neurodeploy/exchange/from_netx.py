"""``from_netx``: a lava-dl network file (``.net``, written by slayer's ``export_hdf5``) becomes a ``Network``.

Layout: ``/layer/<i>/{type, shape, weight, bias, delay, stride, ..., neuron/{iDecay, vDecay, vThMant, ...}}``; shapes are
``(channels, height, width)``, kernels torch's, weights whole numbers in weight units; a bias ``b`` adds ``64 b`` to the
voltage. The meaning is slayer's, which Lava shares but for a few cases where its loader drops something (``lava.md``,
section 5): the delay of a layer acts on its outgoing spikes, also for convolutions, and pooling works.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import FileError, NetworkError
from neurodeploy.network import (
    DELAY_MAX,
    Approximation,
    Conv,
    Cuba,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    NeuronModel,
    Output,
    Pool,
    Population,
    Projection,
    Shape,
    Synapses,
)

if TYPE_CHECKING:
    import h5py

BIAS_SHIFT = 6
"""A bias mantissa is shifted left by this (netx sets ``bias_exp = 6``)."""
LAYER_KINDS = ("input", "dense", "dense_rec", "conv", "pool", "flatten", "average")
_NEURON_KINDS = ("CUBA", "LOIHI")
_NOTHING = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """One layer of the file: its number, type, shape, arrays and neuron parameters."""

    index: int
    kind: str
    shape: Shape
    fields: Mapping[str, NDArray[Any]]
    neuron: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"layer{self.index}_{self.kind}"

    def whole(self, name: str) -> NDArray[np.int64]:
        """Return an array of whole numbers."""
        given = self.fields[name]
        if given.dtype.kind not in "iuf" or not np.array_equal(given, np.rint(given)):
            raise NetworkError(f"netx: layer {self.index} ({self.kind}): {name} holds numbers that are not whole")
        return given.astype(np.int64)

    def pair(self, name: str, default: int) -> tuple[int, int]:
        """Return a number for each axis (vertical, horizontal)."""
        both = np.broadcast_to(self.whole(name) if name in self.fields else np.asarray(default), (2,))
        return int(both[0]), int(both[1])


def from_netx(
    path: Path | str,
    *,
    n_layers: int | None = None,
    input_bias: NDArray[np.integer[Any]] | None = None,
    dt: float = 1e-3,
) -> Network:
    """Return the network of a lava-dl ``.net`` file.

    An input layer with neurons of its own turns values into spikes. Without ``input_bias`` the network starts at those
    spikes (its input has the layer's shape); with it the layer is a population that the bias drives.

    Args:
        n_layers: read only the first layers of the file, counted as it counts them.
        input_bias: bias mantissa of the input layer's neurons, whole numbers of its shape: ``weight * x + bias`` of the
            layer for values ``x``, rounded by the caller as the encoder does.
        dt: length of a step in seconds; the file has none.

    Raises:
        FileError: if the file is missing, damaged or no netx file.
        NetworkError: for a layer or neuron that a ``Network`` cannot hold, with its number.
    """
    layers = _read(Path(path))[:n_layers]
    inputs, populations = _input(layers[0], input_bias)
    ledger = list(_left_out(layers, input_bias))
    source, shape = (populations or inputs)[-1].name, layers[0].shape or _fan_in(layers[0])
    projections: list[Projection] = []
    delay: int | NDArray[np.int32] = 0
    for layer in layers[0 if layers[0].kind != "input" else 1 :]:
        if layer.kind == "flatten":
            shape = (int(np.prod(shape)),)
        if layer.kind in ("flatten", "average"):
            continue
        synapses = _synapses(layer, shape)
        population = _population(layer, len(populations) + 1)
        populations.append(population)
        projections.append(
            Projection(name=layer.name, source=source, target=population.name, synapses=synapses, delay=delay)
        )
        if layer.kind == "dense_rec":
            own = Dense(weights=_matrix(layer, "weight_rec", population.size))
            projections.append(
                Projection(name=f"{layer.name}_rec", source=population.name, target=population.name, synapses=own)
            )
        source, shape, delay = population.name, population.shape, _delay(layer, population)
    if np.any(delay):
        what = "delay of the last layer's spikes left out: it lies behind the network"
        ledger.append(Approximation(where=source, what=what, size=f"answers come up to {np.max(delay)} steps earlier"))
    return Network(
        inputs=tuple(inputs),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="output", population=source, decoding=_decoding(populations[-1])),),
        dt=dt,
        ledger=tuple(ledger),
    )


def _read(path: Path) -> list[_Layer]:
    import h5py

    if not path.is_file():
        raise FileError(f"netx: there is no file {path}")
    try:
        with h5py.File(path, "r") as file:
            layers = file.get("layer")
            if not isinstance(layers, h5py.Group) or not layers or not all(name.isdigit() for name in layers):
                raise FileError(f"netx: {path} holds no numbered layers; expected a .net file of slayer's export_hdf5")
            return [_layer(layers[name], int(name)) for name in sorted(layers, key=int)]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise FileError(f"netx: {path} is damaged or no .net file ({error})") from error


def _layer(group: h5py.Group, index: int) -> _Layer:
    import h5py

    fields = {name: np.asarray(item[()]) for name, item in group.items() if isinstance(item, h5py.Dataset)}
    kind = _text(fields.pop("type", _NOTHING))
    if kind not in LAYER_KINDS:
        raise NetworkError(f"netx: layer {index} has type '{kind}'; supported: {', '.join(LAYER_KINDS)}")
    if isinstance(group.get("weight"), h5py.Group):
        raise NetworkError(f"netx: layer {index} ({kind}) has complex weights; only real ones are supported")
    neuron = group.get("neuron")
    own = {n: item[()] for n, item in neuron.items()} if isinstance(neuron, h5py.Group) else {}
    shape = tuple(int(n) for n in fields.pop("shape", _NOTHING))
    return _Layer(index, kind, shape, fields, own)


def _text(value: Any) -> str:
    first = np.asarray(value).reshape(-1)[:1].tolist()
    return "" if not first else first[0].decode() if isinstance(first[0], bytes) else str(first[0])


def _fan_in(layer: _Layer) -> Shape:
    if "inFeatures" not in layer.fields:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}) comes first and does not tell the shape of its input"
        )
    return (int(layer.fields["inFeatures"]),)


def _input(layer: _Layer, drive: NDArray[np.integer[Any]] | None) -> tuple[list[Input], list[Population]]:
    """Return the input and, where a bias drives the input layer, that layer as a population."""
    if drive is None or layer.kind != "input":
        shape = layer.shape if layer.kind == "input" else _fan_in(layer)
        return [Input(name="input", shape=shape)], []
    if not layer.neuron or np.shape(drive) != layer.shape:
        neurons = "neurons" if layer.neuron else "no neurons"
        raise NetworkError(
            f"netx: input_bias has the shape {np.shape(drive)}, the input layer {layer.shape} with {neurons}; it must have "
            "neurons and their shape"
        )
    bias = np.asarray(drive, np.int64) << BIAS_SHIFT
    population = Population(name=layer.name, shape=layer.shape, first_step=1, model=_model(layer, bias))
    return [Input(name="unused", shape=(1,))], [population]


def _left_out(layers: list[_Layer], drive: object) -> Iterator[Approximation]:
    if layers[0].kind == "input" and layers[0].neuron and drive is None:
        what = "neurons of the input layer left out: the network starts at their spikes"
        yield Approximation(where="input", what=what, size="no spike differs")
    for layer in layers:
        if layer.kind == "average":
            what = f"average over groups of outputs left out, layer {layer.index}: take it over the spikes"
            yield Approximation(where=layer.name, what=what, size="no spike differs")


def _population(layer: _Layer, depth: int) -> Population:
    shape = layer.shape
    if layer.kind.startswith("dense"):
        shape = (int(np.prod(shape)) if shape else len(layer.fields["weight"]),)
    return Population(name=layer.name, shape=shape, first_step=depth, model=_model(layer, _bias(layer, shape)))


def _bias(layer: _Layer, shape: Shape) -> int | NDArray[np.int64]:
    """Return the bias in state units: one number, or one a neuron where the file has one a channel."""
    if "bias" not in layer.fields or not np.any(layer.fields["bias"]):
        return 0
    bias = layer.whole("bias").reshape(-1) << BIAS_SHIFT
    if bias.size == 1:
        return int(bias[0])
    if bias.size not in (shape[0], int(np.prod(shape))):
        raise NetworkError(f"netx: layer {layer.index} ({layer.kind}): {bias.size} biases for neurons of shape {shape}")
    per_channel = bias.reshape(-1, *(1,) * (len(shape) - 1)) if bias.size == shape[0] else bias.reshape(shape)
    return np.broadcast_to(per_channel, shape)


def _model(layer: _Layer, bias: int | NDArray[np.int64]) -> NeuronModel:
    """Return the neurons; a dense layer without neurons sums up for ever and is read by its voltage, as in netx."""
    if not layer.neuron:
        return LeakyIntegrator(current_decay=0, voltage_decay=4096, bias=_int32(bias))
    kind = _text(layer.neuron.get("type", ""))
    where = f"netx: layer {layer.index} ({layer.kind})"
    if kind not in _NEURON_KINDS:
        raise NetworkError(f"{where} has neurons of type '{kind}'; supported: {', '.join(_NEURON_KINDS)}")
    for name, neutral in (("gradedSpike", 0), ("wgtExp", 0), ("weight_exp", 0), ("refDelay", 1)):
        if name in layer.neuron and np.any(np.asarray(layer.neuron[name]) != neutral):
            raise NetworkError(f"{where}: {name} is {layer.neuron[name]}, only {neutral} is supported")
    return Cuba(
        current_decay=_parameter(layer, "iDecay"),
        voltage_decay=_parameter(layer, "vDecay"),
        threshold=_parameter(layer, "vThMant"),
        bias=_int32(bias),
    )


def _parameter(layer: _Layer, name: str) -> int | NDArray[np.int32]:
    """Return a neuron parameter: one number, or one a neuron where the file has one a channel."""
    if name not in layer.neuron:
        raise NetworkError(f"netx: layer {layer.index} ({layer.kind}): the neurons have no {name}")
    value = np.asarray(layer.neuron[name]).reshape(-1)
    if value.size == 1:
        return int(value[0])
    shape = (value.size,) if layer.kind.startswith("dense") else layer.shape
    return _int32(np.broadcast_to(value.reshape(-1, *(1,) * (len(shape) - 1)), shape))


def _int32(value: int | NDArray[np.int64]) -> int | NDArray[np.int32]:
    return value if isinstance(value, int) else value.astype(np.int32)


def _synapses(layer: _Layer, shape: Shape) -> Synapses:
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
    weights = layer.whole("weight")
    groups = int(layer.fields.get("groups", 1))
    return Conv(
        weights=weights.reshape(weights.shape[:4]).astype(np.int16), input_shape=size, groups=groups, **geometry
    )


def _pool(layer: _Layer, size: tuple[int, int, int], geometry: dict[str, tuple[int, int]]) -> Pool:
    if geometry.pop("dilation") != (1, 1):
        raise NetworkError(f"netx: layer {layer.index} (pool) has a dilation, which is not supported")
    weights = np.unique(layer.whole("weight"))
    if weights.size != 1:
        raise NetworkError(
            f"netx: layer {layer.index} (pool) has {weights.size} different weights, only one is supported"
        )
    return Pool(input_shape=size, kernel=layer.pair("kernelSize", 1), weight=int(weights[0]), **geometry)


def _matrix(layer: _Layer, name: str, n_target: int) -> NDArray[np.int16]:
    if name not in layer.fields:
        raise NetworkError(f"netx: layer {layer.index} ({layer.kind}) has no {name}")
    weights = layer.whole(name)
    if weights.size % n_target:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}): {name} {weights.shape} does not fit {n_target} neurons"
        )
    return weights.reshape(n_target, -1).astype(np.int16)


def _delay(layer: _Layer, population: Population) -> int | NDArray[np.int32]:
    """Return the delay of the layer's outgoing spikes, one a neuron where the file has one a channel."""
    if "delay" not in layer.fields:
        return 0
    delay = np.floor(layer.fields["delay"]).astype(np.int32).reshape(-1)
    if delay.max() > DELAY_MAX:
        raise NetworkError(
            f"netx: layer {layer.index} ({layer.kind}) has a delay of {int(delay.max())} steps, the limit is {DELAY_MAX}"
        )
    if delay.size == 1:
        return int(delay[0])
    per_channel = delay.reshape(-1, *(1,) * (len(population.shape) - 1))
    return np.broadcast_to(per_channel, population.shape).reshape(-1)


def _decoding(population: Population) -> Any:
    return "count" if isinstance(population.model, Cuba) else "last_voltage"
