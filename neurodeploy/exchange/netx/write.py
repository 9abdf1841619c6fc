"""Writing of a ``Network`` that is a chain of layers as a lava-dl ``.net`` file, which Lava's loader (netx) reads.

Layout and meaning as in ``read.py``. A ``.net`` file has no names, no dt and no masks. Refused are networks that do not
form a chain, weight exponents that do not fit into the weights, delays of single synapses, resets by subtraction and
payloads, which the CUBA neurons of lava-dl do not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import FileError, MismatchError, NetworkError
from neurodeploy.exchange.netx.layers import BIAS_SHIFT
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.files.disk import new_hdf5
from neurodeploy.files.writing import replacing
from neurodeploy.network import (
    WEIGHT_MAX,
    WEIGHT_MIN,
    Conv,
    Cuba,
    Network,
    Pool,
    Population,
    Projection,
    spiking_model,
)
from neurodeploy.network.unrolled import full_matrix


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A population of the chain with the projection into it, its recurrent projection, and the delay of its spikes."""

    population: Population
    forward: Projection
    recurrent: Projection | None
    delay: NDArray[np.int64]


def to_netx(network: Network, path: Path | str, *, force: bool = False) -> None:
    """Write a network as a ``.net`` file; it is read back with ``from_netx`` and compared before it is moved into place.

    Raises:
        NetworkError: for features that a ``.net`` file or netx cannot hold; names the population or projection.
        FileError: if the file exists or cannot be written.
        MismatchError: if reading the file back gives other integers.
    """
    path = Path(path)
    if path.exists() and not force:
        raise FileError(f"netx: {path} exists; choose another name or pass force (--force)")
    _refuse_unknown(network)
    layers = [_input(network), *(layer for step in _chain(network) for layer in _layers(step, network))]
    try:
        with replacing(path) as partial:
            with new_hdf5(partial) as file:
                for i, layer in enumerate(layers):
                    _write(file.create_group(f"layer/{i}"), layer)
            _check_same(network, from_netx(partial, dt=network.dt))
    except (OSError, RuntimeError) as error:
        raise FileError(f"netx: {path} cannot be written ({error}); check the folder and the free space") from error


def _refuse_unknown(network: Network) -> None:
    """Refuse neurons that are not written, and what a CUBA layer of lava-dl does not compute.

    Raises:
        NetworkError: names the population or the input.
    """
    for population in network.populations:
        model = spiking_model(population, "netx")
        if isinstance(model, Cuba) and model.reset != "zero":
            raise NetworkError(
                f"netx: population '{population.name}' resets by subtraction, but lava-dl's CUBA neurons set the voltage to "
                "0; write a .nd5 or .nir file"
            )
    for i in network.inputs:
        if i.graded:
            raise NetworkError(
                f"netx: input '{i.name}' is graded; netx knows binary spikes only, the CUBA layers of a .net file read no "
                "payload. Write a .nd5 or .nir file"
            )


def _chain(network: Network) -> list[_Step]:
    """Return the populations in the order of the chain.

    Raises:
        NetworkError: if the network is not a chain.
    """
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise NetworkError("netx: a .net file has one input and one output, the network more")
    steps: list[_Step] = []
    source, left = network.inputs[0].name, list(network.projections)
    while left:
        forward = [p for p in left if p.source == source and p.target != source]
        own = [p for p in left if forward and p.source == p.target == forward[0].target]
        if len(forward) != 1 or len(own) > 1:
            raise NetworkError(f"netx: {len(forward)} projections leave '{source}'; a .net file is a chain of layers")
        population = network.population(forward[0].target)
        steps.append(_Step(population, forward[0], own[0] if own else None, np.zeros(0, np.int64)))
        left = [p for p in left if p not in (*forward, *own)]
        source = population.name
    return [_with_delay(step, steps[i + 1 :], i, network) for i, step in enumerate(steps)]


def _with_delay(step: _Step, after: list[_Step], i: int, network: Network) -> _Step:
    """Return the step with the delay of its spikes, which the projections that follow define."""
    name = step.population.name
    if step.population.first_step != i + 1:
        raise NetworkError(
            f"netx: population '{name}' starts in step {step.population.first_step}, a chain needs {i + 1}"
        )
    if i == 0 and np.any(step.forward.delay):
        raise NetworkError(f"netx: projection '{step.forward.name}' delays the input; shift the input itself")
    if step.recurrent is not None and np.any(step.recurrent.delay):
        raise NetworkError(
            f"netx: recurrent projection '{step.recurrent.name}' has a delay, a .net file has none there"
        )
    if not after and network.outputs[0].population != name:
        raise NetworkError(f"netx: the output reads '{network.outputs[0].population}', a .net file ends with '{name}'")
    delay = np.asarray(after[0].forward.delay if after else 0, np.int64)
    if delay.ndim == 2:
        raise NetworkError(
            f"netx: projection '{after[0].forward.name}' has a delay for each synapse, need one a neuron"
        )
    return _Step(step.population, step.forward, step.recurrent, np.broadcast_to(delay, (step.population.size,)))


def _input(network: Network) -> dict[str, Any]:
    return {"type": "input", "shape": network.inputs[0].shape}


def _layers(step: _Step, network: Network) -> list[dict[str, Any]]:
    """Return the layers of the file for one population, with a flatten layer first if the source is not flat."""
    synapses, shape = step.forward.synapses, step.population.shape
    neuron = _neuron(step.population)
    if isinstance(synapses, Conv | Pool):
        layer: dict[str, Any] = {"type": synapses.kind, "shape": synapses.output_shape, "neuron": neuron}
        layer |= {
            "stride": synapses.stride,
            "padding": synapses.padding,
            "dilation": getattr(synapses, "dilation", (1, 1)),
        }
        if isinstance(synapses, Conv):
            layer |= {"weight": _weights(step.forward, synapses.weights)[..., None], "groups": synapses.groups}
            layer |= {"inChannels": synapses.input_shape[0], "outChannels": len(synapses.weights)}
            layer["kernelSize"] = synapses.weights.shape[2:]
        else:
            layer |= {"weight": _weights(step.forward, np.full((1, 1, *synapses.kernel), synapses.weight, np.int16))}
            layer["kernelSize"] = synapses.kernel
        return [layer | _per_channel(step, synapses.output_shape)]
    weights = _weights(step.forward, full_matrix(synapses))
    layer = {"type": "dense", "shape": (step.population.size, 1, 1), "neuron": neuron, "weight": weights}
    layer |= {"outFeatures": weights.shape[0], "inFeatures": weights.shape[1]}
    if step.recurrent is not None:
        if isinstance(step.recurrent.synapses, Conv | Pool):
            raise NetworkError(f"netx: recurrent projection '{step.recurrent.name}' must be dense")
        layer |= {"type": "dense_rec", "weight_rec": _weights(step.recurrent, full_matrix(step.recurrent.synapses))}
    source = network.shapes[step.forward.source]
    flatten = [{"type": "flatten", "shape": (int(np.prod(source)), 1, 1)}] if len(source) > 1 else []
    return [*flatten, layer | _per_channel(step, (int(np.prod(shape)),))]


def _weights(projection: Projection, weights: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the weights times ``2**weight_exponent`` as whole numbers in float32, as netx stores them."""
    name = projection.name
    shifted = np.ldexp(weights.astype(np.float64), projection.weight_exponent)
    if not np.array_equal(shifted, np.rint(shifted)) or shifted.max() > WEIGHT_MAX or shifted.min() < WEIGHT_MIN:
        raise NetworkError(
            f"netx: projection '{name}' has weights up to {np.max(np.abs(shifted)):g} with its exponent "
            f"{projection.weight_exponent}; a .net file holds whole numbers in {WEIGHT_MIN}..{WEIGHT_MAX} and no exponent"
        )
    if not shifted.any():
        raise NetworkError(f"netx: projection '{name}' has only zeros, on which Lava's loader fails; leave it out")
    if shifted.min() < 0 < shifted.max() and np.any(shifted % 2):
        raise NetworkError(
            f"netx: projection '{name}' has odd weights of both signs, which Lava would cut to even ones"
        )
    return shifted.astype(np.float32)


def _neuron(population: Population) -> dict[str, Any]:
    model = population.model
    if not isinstance(model, Cuba):
        raise NetworkError(f"netx: population '{population.name}' has no threshold; netx always gives one")
    values = {"iDecay": model.current_decay, "vDecay": model.voltage_decay, "vThMant": model.threshold}
    kept = {
        name: value if isinstance(value, int) else _channels(value, population, name) for name, value in values.items()
    }
    return {"type": "CUBA", "refDelay": 1, "gradedSpike": False, **kept}


def _per_channel(step: _Step, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return bias and delay, one value for each channel."""
    fields: dict[str, Any] = {}
    bias = np.broadcast_to(
        np.asarray(spiking_model(step.population, "netx").bias, np.int64), step.population.shape
    ).reshape(shape)
    if np.any(bias % (1 << BIAS_SHIFT)):
        raise NetworkError(
            f"netx: population '{step.population.name}' has a bias that is no multiple of {1 << BIAS_SHIFT} state units"
        )
    if bias.any():
        fields["bias"] = (_channels(bias, step.population, "bias") >> BIAS_SHIFT).astype(np.float32)
    if step.delay.any():
        fields["delay"] = _channels(step.delay.reshape(shape), step.population, "delay").astype(np.float32)
    return fields


def _channels(values: NDArray[Any], population: Population, what: str) -> NDArray[Any]:
    """Return one value for each channel; all neurons of a channel must have the same value."""
    rows = values.reshape(len(values), -1)
    if np.any(rows != rows[:, :1]):
        raise NetworkError(
            f"netx: {what} of '{population.name}' differs within a channel; a .net file has one a channel"
        )
    return rows[:, 0]


def _write(group: Any, layer: dict[str, Any]) -> None:
    for name, value in layer.items():
        if name == "type":
            group.create_dataset("type", (1,), "S10", [value.encode()])
        elif name == "neuron":
            for key, number in value.items():
                group[f"neuron/{key}"] = number
        else:
            group[name] = np.asarray(value)


def _check_same(network: Network, back: Network) -> None:
    """Check that everything that decides the spikes was read back; a ``.net`` file holds no names, masks or dt."""
    for ours, theirs in zip(_chain(network), _chain(back)):
        for name, a, b in zip(_CONTENT, _content(ours), _content(theirs)):
            if not np.array_equal(a, b):
                raise MismatchError(
                    f"netx: the file does not give {name} of '{ours.population.name}' back; this is our error, report it"
                )


_CONTENT = ("current_decay", "voltage_decay", "threshold", "bias", "delay", "weights", "recurrent weights")


def _content(step: _Step) -> Iterator[NDArray[Any]]:
    """Yield the arrays that decide the spikes of one layer, in the order of ``_CONTENT``."""
    model, size = step.population.model, step.population.size
    for name in _CONTENT[:4]:
        value = np.asarray(getattr(model, name))
        yield np.broadcast_to(value.ravel(), (size,))
    yield step.delay
    yield _shifted(step.forward)
    yield np.zeros(0) if step.recurrent is None else _shifted(step.recurrent)


def _shifted(projection: Projection) -> NDArray[np.float64]:
    synapses = projection.synapses
    if isinstance(synapses, Pool):
        synapses = synapses.as_conv()
    weights = synapses.weights if isinstance(synapses, Conv) else full_matrix(synapses)
    return np.ldexp(weights.astype(np.float64), projection.weight_exponent)
