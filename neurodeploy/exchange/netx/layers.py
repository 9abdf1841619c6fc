"""Layers of a lava-dl ``.net`` file, and their neurons as neuron models of a ``Network``.

Neuron types: CUBA (and LOIHI), RF_PHASE and RF_IZHIKEVICH, SDNN. Exponents are the same as in lava-dl's loader (netx):
the state of a resonator and of a sigma-delta neuron is shifted by 6, messages by ``spike_exponent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError
from neurodeploy.files.unreadable import UNREADABLE, plain_text, reason
from neurodeploy.network import (
    STATE_SHIFT,
    Cuba,
    Delta,
    LeakyIntegrator,
    NeuronModel,
    ResonateAndFire,
    Shape,
    Sigma,
    SigmaDelta,
)

BIAS_SHIFT = 6
"""Number of bits by which a bias mantissa is shifted left (netx sets ``bias_exp = 6``)."""
NEURON_TYPES = ("CUBA", "LOIHI", "RF_PHASE", "RF_IZHIKEVICH", "SDNN")
_NEUTRAL = (("gradedSpike", 0), ("wgtExp", 0), ("weight_exp", 0), ("refDelay", 1))
"""Fields that are supported only with this value, which has no effect on the neuron."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
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
        """Return an array of whole numbers of 32 bits."""
        return whole_numbers(self.fields[name], f"{_where(self)}: {name}")

    def one(self, name: str, default: int) -> int:
        """Return a field that is one whole number of 32 bits."""
        if name not in self.fields:
            return default
        found = self.whole(name).reshape(-1)
        if found.size != 1:
            raise NetworkError(f"{_where(self)}: {name} is {found.size} numbers, expected one")
        return int(found[0])

    def weights(self, name: str) -> NDArray[np.int16]:
        """Return an array of weights, whole numbers of 16 bits."""
        return _in_bits(self.whole(name), 16, f"{_where(self)}: {name}").astype(np.int16)

    def pair(self, name: str, default: int) -> tuple[int, int]:
        """Return a field as one number for each axis (vertical, horizontal)."""
        both = np.broadcast_to(self.whole(name) if name in self.fields else np.asarray(default), (2,))
        return int(both[0]), int(both[1])


@contextmanager
def telling(layer: Layer) -> Iterator[None]:
    """Context in which numbers that do not fit each other, as in a damaged file, become an error that names the layer."""
    try:
        yield
    except UNREADABLE as error:
        raise NetworkError(
            f"{_where(layer)}: a field is missing or of the wrong shape ({reason(error)}); export the file again"
        ) from error


def whole_numbers(given: NDArray[Any], where: str) -> NDArray[np.int64]:
    """Return whole numbers of 32 bits as int64; nothing is cut or wrapped.

    Raises:
        NetworkError: for text, fractions, NaN, infinities and larger numbers; ``where`` begins the message.
    """
    if given.dtype.kind not in "iuf" or not np.array_equal(given, np.rint(given)):
        raise NetworkError(f"{where} holds numbers that are not whole")
    return _in_bits(given, 32, where).astype(np.int64)


def _in_bits(given: NDArray[Any], bits: int, where: str) -> NDArray[Any]:
    numbers = given.astype(np.float64) if given.dtype.kind == "f" else given  # half precision does not hold the ends
    bad = given[~((numbers >= -(2 ** (bits - 1))) & (numbers < 2 ** (bits - 1)))]
    if bad.size:
        raise NetworkError(f"{where} holds {bad.flat[0]}, which does not fit {bits} bits")
    return given


def text_of(value: Any) -> str:
    """Return a string of the file, which may be stored as an array with one element."""
    (first,) = np.asarray(value).reshape(-1)[:1].tolist() or [""]
    return plain_text(first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first))


def neuron_type(layer: Layer) -> str:
    """Return the type of the layer's neurons, or ``""`` where it has none.

    Raises:
        NetworkError: for a type that a ``Network`` cannot hold.
    """
    kind = text_of(layer.neuron["type"]) if "type" in layer.neuron else ""
    if layer.neuron and kind not in NEURON_TYPES:
        raise NetworkError(f"{_where(layer)} has neurons of type '{kind}'; supported: {', '.join(NEURON_TYPES)}")
    return kind


def neuron_model(layer: Layer, spike_exponent: int) -> NeuronModel:
    """Return the neuron model of a layer.

    A dense layer without neurons becomes integrators that never forget and are read by their voltage, as in netx.
    """
    kind = neuron_type(layer)
    for name, neutral in _NEUTRAL:
        if name in layer.neuron and np.any(np.asarray(layer.neuron[name]) != neutral):
            raise NetworkError(f"{_where(layer)}: {name} is {layer.neuron[name]}, only {neutral} is supported")
    if not kind:
        return LeakyIntegrator(current_decay=0, voltage_decay=4096, bias=_bias(layer, BIAS_SHIFT))
    if kind == "SDNN":
        return _sigma_delta(layer, spike_exponent)
    if kind.startswith("RF"):
        _refuse_bias(layer, kind)
        return ResonateAndFire(
            sin_decay=_parameter(layer, "sinDecay"),
            cos_decay=_parameter(layer, "cosDecay"),
            threshold=_parameter(layer, "vThMant", STATE_SHIFT),
            reset=kind == "RF_IZHIKEVICH",
        )
    return cuba_model(layer, _bias(layer, BIAS_SHIFT))


def cuba_model(layer: Layer, bias: int | NDArray[np.int32]) -> Cuba:
    """Return the CUBA neurons of a layer, with the given bias in state units."""
    return Cuba(
        current_decay=_parameter(layer, "iDecay"),
        voltage_decay=_parameter(layer, "vDecay"),
        threshold=_parameter(layer, "vThMant"),
        bias=bias,
    )


def delta_model(layer: Layer, spike_exponent: int) -> Delta:
    """Return the delta neurons of a sigma-delta input layer, which encode values as changes."""
    shift = spike_exponent + STATE_SHIFT
    return Delta(
        threshold=_parameter(layer, "vThMant", shift), spike_exponent=spike_exponent, state_exponent=STATE_SHIFT
    )


def _sigma_delta(layer: Layer, spike_exponent: int) -> Sigma | SigmaDelta:
    if "sigma_output" in layer.neuron:
        _refuse_bias(layer, "sigma output")
        return Sigma()
    activation = text_of(layer.neuron.get("activation", "relu"))
    if activation != "relu":
        raise NetworkError(f"{_where(layer)}: activation is '{activation}', only relu is supported")
    shift = spike_exponent + STATE_SHIFT
    return SigmaDelta(
        threshold=_parameter(layer, "vThMant", shift), bias=_bias(layer, shift), state_exponent=STATE_SHIFT
    )


def _where(layer: Layer) -> str:
    return f"netx: layer {layer.index} ({layer.kind})"


def _refuse_bias(layer: Layer, kind: str) -> None:
    if np.any(layer.fields.get("bias", 0)):
        raise NetworkError(f"{_where(layer)}: neurons of type {kind} have a bias, which Lava's process does not know")


def neuron_shape(layer: Layer) -> Shape:
    """Return the shape of the layer's neurons."""
    if layer.kind.startswith("dense"):
        return (int(np.prod(layer.shape)) if layer.shape else len(layer.fields["weight"]),)
    return layer.shape


def _bias(layer: Layer, shift: int) -> int | NDArray[np.int32]:
    """Return the bias in state units: one number, or one for each neuron if the file has one for each channel."""
    if "bias" not in layer.fields or not np.any(layer.fields["bias"]):
        return 0
    shape = neuron_shape(layer)
    bias = _in_bits(layer.whole("bias").reshape(-1) << shift, 32, f"{_where(layer)}: bias, times {1 << shift},")
    if bias.size == 1:
        return int(bias[0])
    if bias.size not in (shape[0], int(np.prod(shape))):
        raise NetworkError(f"{_where(layer)}: {bias.size} biases for neurons of shape {shape}")
    per_channel = bias.reshape(-1, *(1,) * (len(shape) - 1)) if bias.size == shape[0] else bias.reshape(shape)
    return np.broadcast_to(per_channel, shape).astype(np.int32)


def _parameter(layer: Layer, name: str, shift: int = 0) -> int | NDArray[np.int32]:
    """Return a neuron parameter: one number, or one for each neuron if the file has one for each channel."""
    if name not in layer.neuron:
        raise NetworkError(f"{_where(layer)}: the neurons have no {name}")
    given = whole_numbers(np.asarray(layer.neuron[name]).reshape(-1), f"{_where(layer)}: {name}")
    value = _in_bits(given << shift, 32, f"{_where(layer)}: {name}, times {1 << shift},")
    if value.size == 1:
        return int(value[0])
    shape = (value.size,) if layer.kind.startswith("dense") else layer.shape
    return np.broadcast_to(value.reshape(-1, *(1,) * (len(shape) - 1)), shape).astype(np.int32)
