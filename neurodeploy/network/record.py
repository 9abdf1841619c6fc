"""The integer ``Network`` of populations and projections, which every stage after training reads.

Units follow the chip and Lava's fixed-point models (lava-nc 0.10.0, ``proc/lif/models.py``):

- a weight ``w`` adds ``w * 64`` to the current of its target; one NIR weight unit is 64 weight units;
- current ``u`` and voltage ``v`` are 24-bit signed integers; a bias is in state units (those of ``v``);
- a decay ``d`` in 0..4096 multiplies a state by ``(4096 - d) / 4096`` in each step, rounded towards zero;
- a threshold is in weight units: a neuron fires when ``v > threshold * 64``.

Time is counted in steps from 0. A spike sent in step ``t`` arrives in step ``t + 1 + delay``. Input events of step ``t``
are sent in step ``t``. A population is updated from its ``first_step`` on, which for a layered network is its depth.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError
from neurodeploy.files.shown import Shown
from neurodeploy.network.neurons import (
    Cuba,
    LeakyIntegrator,
    NeuronModel,
    ResonateAndFire,
    SpikingModel,
    frozen,
    parameter,
)
from neurodeploy.network.synapses import Dense, Pool, Sparse, Synapses, synapse_shape

DELAY_MAX = 62
"""Largest delay of a synapse in steps (Loihi: 6 bits of delay)."""
WINDOW_MAX = 2**16 - 1
"""Most steps that ``Output.window`` looks back over."""
WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX = -8, 7
"""Range of ``Projection.weight_exponent``, which shifts the summed input of a projection."""
_BLOCK = 2**16
"""Numbers of an array that go into a fingerprint at once."""

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """Neurons that share a model. ``shape`` is ``(n,)`` or ``(channels, height, width)``; numbered in C order."""

    name: str
    shape: Shape
    model: NeuronModel
    first_step: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked_shape(self.shape, f"population '{self.name}'"))
        for name in _fields(self.model):
            value = getattr(self.model, name)
            if isinstance(value, np.ndarray) and value.shape != self.shape:
                raise NetworkError(
                    f"network: population '{self.name}': {name} has shape {value.shape}, the population {self.shape};"
                    " give one number, or one per neuron"
                )
        if self.first_step < 0:
            raise NetworkError(f"network: population '{self.name}': first_step is {self.first_step}, must be 0 or more")

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


def bits_for(lowest: int, highest: int) -> int:
    """Return the bits of the whole numbers from ``lowest`` to ``highest``, in two's complement if one is negative.

    >>> bits_for(1, 255), bits_for(-128, 127), bits_for(0, 0)
    (8, 8, 0)
    """
    return max(highest, -lowest - 1).bit_length() + (lowest < 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Input:
    """An input, where spikes enter: one channel for each element of ``shape``, numbered in C order.

    Events of an input with ``payload_bits`` carry a whole number, the payload, that multiplies the weights: a pixel, or a
    count of events. Other inputs carry plain spikes.

    Args:
        payload_bits: bits of a payload, its sign included; 0 for plain spikes. Without sign up to 31, with sign up to 32.
        signed: whether payloads may be negative.
        scale: the value that a payload of 1 stands for, for example 1/255 for pixels between 0 and 1. No integer depends
            on it; readers in floats need it.
    """

    name: str
    shape: Shape
    payload_bits: int = 0
    signed: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        where = f"input '{self.name}'"
        object.__setattr__(self, "shape", _checked_shape(self.shape, where))
        most = 32 if self.signed else 31
        bits = parameter(self.payload_bits, 0, most, f"{where}: payload_bits")
        if not isinstance(bits, int):
            raise NetworkError(f"network: {where}: payload_bits must be one whole number, it is an array")
        object.__setattr__(self, "payload_bits", bits)
        object.__setattr__(self, "scale", float(self.scale))
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise NetworkError(f"network: {where}: scale is {self.scale}, must be a positive number")
        if not bits and (self.signed or self.scale != 1.0):
            raise NetworkError(f"network: {where}: plain spikes have neither sign nor scale; give payload_bits")
        if bits == 1 and self.signed:
            raise NetworkError(f"network: {where}: payload_bits is 1, but signed payloads need at least 2")

    @property
    def graded(self) -> bool:
        """Whether events carry a payload."""
        return self.payload_bits > 0

    @property
    def payload_range(self) -> tuple[int, int]:
        """Smallest and largest payload; an event with a payload of 0 does not exist. ``(1, 1)`` for plain spikes."""
        if not self.payload_bits:
            return 1, 1
        half = 1 << (self.payload_bits - 1)
        return (-half, half - 1) if self.signed else (1, 2 * half - 1)

    @property
    def size(self) -> int:
        """Number of input channels."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Output:
    """An output: the population whose activity is the answer, and the rule that reads a class from it.

    ``decoding`` picks a neuron: ``count`` the one with the most spikes, ``first_spike`` the one that spikes first,
    ``last_voltage`` the one with the highest voltage in the last step; for graded messages ``sum`` the one with the highest
    sum of messages (the messages of a delta code add up to the value) and ``last_message`` the one with the highest message
    in the last step. Ties go to the lowest index.

    With a ``window`` there is a class in every step: ``count`` and ``sum`` look back over so many steps, the present one
    included (fewer at the start of a sample). The class of input step ``t`` is read when that step has reached the
    population, ``first_step`` steps later. Without one there is a class for the whole sample.
    """

    name: str
    population: str
    decoding: Literal["count", "first_spike", "last_voltage", "sum", "last_message"] = "count"
    window: int | None = None

    def __post_init__(self) -> None:
        if self.window is None:
            return
        where = f"output '{self.name}'"
        window = parameter(self.window, 1, WINDOW_MAX, f"{where}: window")
        if not isinstance(window, int):
            raise NetworkError(f"network: {where}: window must be one whole number, it is an array")
        object.__setattr__(self, "window", window)
        if self.decoding not in ("count", "sum"):
            raise NetworkError(
                f"network: {where}: a window of {window} steps needs the decoding count or sum, not '{self.decoding}'"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """Synapses from one population or input to one population.

    Args:
        name: unique among projections.
        source, target: names of populations (``source`` also of an input); if both are equal the projection is recurrent.
        synapses: the weights, in weight units before ``weight_exponent``.
        weight_exponent: the projection's sum is shifted left by this many bits (right, rounding down, when negative).
        delay: steps beyond the one that every spike takes: one number, or an array with one number per source neuron
            (axonal) or one per weight of a ``Dense`` (synaptic), 0..62.
        mask: connections that training keeps, bool, shape of the weights; None if these are the non-zero weights.
            The weight of a kept connection may be 0 after quantisation.
        component: the part of a resonator's complex state that the projection drives; complex weights are two
            projections, one for each part.
    """

    name: str
    source: str
    target: str
    synapses: Synapses
    weight_exponent: int = 0
    delay: int | NDArray[np.int32] = 0
    mask: NDArray[np.bool_] | None = None
    component: Literal["real", "imag"] = "real"

    def __post_init__(self) -> None:
        where = f"projection '{self.name}'"
        low, high = WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX
        object.__setattr__(
            self, "weight_exponent", parameter(self.weight_exponent, low, high, f"{where}: weight_exponent")
        )
        if not isinstance(self.weight_exponent, int):
            raise NetworkError(f"network: {where}: weight_exponent must be one whole number, it is an array")
        object.__setattr__(self, "delay", parameter(self.delay, 0, DELAY_MAX, f"{where}: delay"))
        if self.component not in ("real", "imag"):
            raise NetworkError(f"network: {where}: component is '{self.component}'; known: real, imag")
        if self.mask is None:
            return
        weights = getattr(self.synapses, "weights", None)
        if weights is None or np.shape(self.mask) != weights.shape:
            raise NetworkError(f"network: {where}: mask has shape {np.shape(self.mask)}, not that of the weights")
        object.__setattr__(self, "mask", frozen(self.mask, np.bool_, f"{where}: mask"))
        if np.any(weights[~self.mask]):
            raise NetworkError(f"network: {where}: a weight outside the mask is not zero")

    @property
    def max_delay(self) -> int:
        """The longest delay, in steps beyond the one that every spike takes."""
        return int(np.max(self.delay))


@dataclass(frozen=True, slots=True, kw_only=True)
class Approximation:
    """One entry of a network's ledger: a difference between the origin and this network, and its size."""

    where: str
    what: str
    size: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Network(Shown):
    """Populations, projections, inputs and outputs, with the step ``dt`` in seconds and a ledger of approximations.

    Raises:
        NetworkError: for a repeated or unknown name, sizes that do not match, or an integer out of range.
    """

    inputs: tuple[Input, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[Output, ...]
    dt: float = 1e-3
    ledger: tuple[Approximation, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("inputs", "populations", "projections", "outputs", "ledger"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_network(self)

    @property
    def _nodes(self) -> tuple[Input | Population, ...]:
        return (*self.inputs, *self.populations)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Number of neurons or channels by name, inputs first."""
        return {node.name: node.size for node in self._nodes}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shape by name, inputs first."""
        return {node.name: node.shape for node in self._nodes}

    @cached_property
    def graded(self) -> frozenset[str]:
        """Names of the inputs and populations whose events carry a whole number."""
        inputs = {i.name for i in self.inputs if i.graded}
        return frozenset(inputs | {p.name for p in self.populations if p.model.graded})

    @cached_property
    def _by_name(self) -> dict[str, Population]:
        return {p.name: p for p in self.populations}

    @cached_property
    def _by_end(self) -> tuple[dict[str, tuple[Projection, ...]], dict[str, tuple[Projection, ...]]]:
        """Projections by source and by target, so that a deep network costs each layer the same."""
        return _grouped(self.projections, "source"), _grouped(self.projections, "target")

    def population(self, name: str) -> Population:
        """Return the population called ``name``."""
        return self._by_name[name]

    def into(self, target: str) -> tuple[Projection, ...]:
        """Return the projections that end at ``target``."""
        return self._by_end[1].get(target, ())

    def out_of(self, source: str) -> tuple[Projection, ...]:
        """Return the projections that start at ``source``, a population or an input."""
        return self._by_end[0].get(source, ())

    @cached_property
    def depth(self) -> int:
        """Steps between an input event and the first step of the deepest population."""
        return max(p.first_step for p in self.populations)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over every name, number and array that decides what the network computes (not the ledger)."""
        digest = hashlib.sha256()
        for part in _content(self):
            digest.update(part)
        return digest.hexdigest()


def _grouped(projections: tuple[Projection, ...], end: str) -> dict[str, tuple[Projection, ...]]:
    groups: dict[str, list[Projection]] = {}
    for p in projections:
        groups.setdefault(getattr(p, end), []).append(p)
    return {name: tuple(group) for name, group in groups.items()}


def spiking_model(population: Population, stage: str) -> SpikingModel:
    """Return the model of a population of ``Cuba`` or ``LeakyIntegrator`` neurons.

    Raises:
        NetworkError: for any other model; the message names the ``stage`` that does not support it.
    """
    if isinstance(population.model, Cuba | LeakyIntegrator):
        return population.model
    raise NetworkError(
        f"{stage}: population '{population.name}' has {population.model.kind.replace('_', '-')} neurons; {stage} knows CUBA "
        "neurons and leaky integrators only"
    )


def sends_spikes_only(network: Network) -> bool:
    """Return whether all neurons are ``Cuba`` or ``LeakyIntegrator``; inputs may be graded."""
    return all(isinstance(p.model, Cuba | LeakyIntegrator) for p in network.populations)


def depths(inputs: tuple[Input, ...], projections: tuple[Projection, ...]) -> dict[str, int]:
    """Return the number of projections from the inputs to each population along its shortest path, self-loops left out.

    Delays are not counted. An imported NIR graph gives skip connections delays that make all paths into a population
    equally long (``docs/notes/nir.md`` 4.5).
    """
    depth = {i.name: 0 for i in inputs}
    leaving = _grouped(tuple(p for p in projections if p.source != p.target), "source")
    ready = list(depth)
    while ready:
        reached = dict.fromkeys(p.target for name in ready for p in leaving.get(name, ()) if p.target not in depth)
        depth |= dict.fromkeys(reached, depth[ready[0]] + 1)
        ready = list(reached)
    return depth


def n_parameters(projection: Projection) -> int:
    """Return the number of weights that could be stored: matrix or kernel entries, not unrolled positions."""
    synapses = projection.synapses
    if isinstance(synapses, Sparse):
        return synapses.n_target * (synapses.start.size - 1)
    return 1 if isinstance(synapses, Pool) else int(synapses.weights.size)


def n_masked(projection: Projection) -> int:
    """Return the number of connections in the mask, or of non-zero weights where there is no mask."""
    return int(projection.mask.sum()) if projection.mask is not None else n_nonzero(projection)


def n_nonzero(projection: Projection) -> int:
    """Return the number of weights that are not zero after quantisation."""
    synapses = projection.synapses
    return int(synapses.weight != 0) if isinstance(synapses, Pool) else int(np.count_nonzero(synapses.weights))


def difference(a: Network, b: Network) -> str | None:
    """Return the first difference between two networks in words, or None where all names and values are equal.

    The ledger is not compared.
    """
    pairs = zip(_described(a), _described(b))
    for (where_a, value_a), (where_b, value_b) in pairs:
        if where_a != where_b:
            return f"{where_a} against {where_b}"
        if not np.array_equal(value_a, value_b):
            return f"{where_a}: {_short(value_a)} against {_short(value_b)}"
    n_a, n_b = sum(1 for _ in _described(a)), sum(1 for _ in _described(b))
    return None if n_a == n_b else f"{n_a} entries against {n_b}"


def _short(value: object) -> str:
    array = np.asarray(value)
    return str(array) if array.size <= 4 else f"array {array.shape} of sum {array.sum()}"


def _fields(record: NeuronModel | Synapses) -> list[str]:
    return [f.name for f in fields(record)]


def _described(network: Network) -> Iterator[tuple[str, Any]]:
    """Yield every value of a network with a name for the value, in a fixed order."""
    yield "dt", network.dt
    for i in network.inputs:
        yield f"input '{i.name}'{' graded' * i.graded}", i.shape
        if i.graded:
            yield f"input '{i.name}' payload_bits{' and sign' * i.signed}", i.payload_bits
            yield f"input '{i.name}' scale", i.scale
    for p in network.populations:
        yield f"population '{p.name}'", p.shape
        yield f"population '{p.name}' model {p.model.kind}", p.first_step
        for name in _fields(p.model):
            value = getattr(p.model, name)
            if name == "reset" and value == "zero":
                continue  # so that fingerprints stay those from before there was a choice
            yield f"population '{p.name}' {name}", value
    for q in network.projections:
        where = f"projection '{q.name}' {q.source} -> {q.target} {q.synapses.kind}{' imag' * (q.component == 'imag')}"
        for name in _fields(q.synapses):
            yield f"{where} {name}", getattr(q.synapses, name)
        yield f"{where} weight_exponent", q.weight_exponent
        yield f"{where} delay", q.delay
        yield f"{where} mask", np.asarray([] if q.mask is None else q.mask)
    for o in network.outputs:
        yield f"output '{o.name}' of {o.population}", o.decoding
        if o.window is not None:  # fingerprints of networks without one stay what they were
            yield f"output '{o.name}' window", o.window


def _content(network: Network) -> Iterator[bytes]:
    for where, value in _described(network):
        array = np.asarray(value)
        whole = array.dtype.kind in "iub"
        yield f"{where}|{'i' if whole else array.dtype.kind}|{array.shape}|".encode()
        yield from _int64(array) if whole else (np.ascontiguousarray(array).tobytes(),)


def _int64(array: NDArray[np.integer[Any]]) -> Iterator[bytes]:
    """Yield an array as int64 in C order, block by block, so that a large one is never there in 64 bits as a whole."""
    blocks: Iterable[Any] = np.nditer(
        array,
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"]],
        op_dtypes=[np.int64],
        order="C",
        casting="same_kind",
        buffersize=_BLOCK,
    )
    for block in blocks:
        yield block.tobytes()


def _checked_shape(shape: Shape, where: str) -> Shape:
    own = tuple(int(n) for n in shape)
    if not own or min(own) < 1 or len(own) > 3:
        raise NetworkError(f"network: {where} has shape {shape}; needs one to three sizes of at least 1")
    return own


def _check_network(network: Network) -> None:
    _check_unique([node.name for node in network._nodes], "population or input")
    _check_unique([p.name for p in network.projections], "projection")
    _check_unique([o.name for o in network.outputs], "output")
    if not (network.inputs and network.populations and network.outputs):
        raise NetworkError("network: needs at least one input, one population and one output")
    if not (np.isfinite(network.dt) and network.dt > 0):
        raise NetworkError(f"network: dt is {network.dt}, must be a positive number of seconds")
    models = {p.name: p.model for p in network.populations}
    for projection in network.projections:
        _check_projection(projection, network.sizes, models)
    for output in network.outputs:
        if output.population not in models:
            raise NetworkError(f"network: output '{output.name}' reads '{output.population}', which is no population")


def _check_projection(projection: Projection, sizes: dict[str, int], models: dict[str, NeuronModel]) -> None:
    where = f"network: projection '{projection.name}'"
    if projection.source not in sizes:
        raise NetworkError(f"{where} comes from '{projection.source}', which is neither input nor population")
    if projection.target not in models:
        raise NetworkError(f"{where} goes to '{projection.target}', which is no population")
    if projection.component == "imag" and not isinstance(models[projection.target], ResonateAndFire):
        raise NetworkError(
            f"{where} drives the imaginary state of '{projection.target}', which has none: only resonate-and-fire has"
        )
    n_target, n_source = synapse_shape(projection.synapses)
    if (n_target, n_source) != (sizes[projection.target], sizes[projection.source]):
        raise NetworkError(
            f"{where} connects {n_source} to {n_target} neurons, but '{projection.source}' has "
            f"{sizes[projection.source]} and '{projection.target}' has {sizes[projection.target]}"
        )
    if not isinstance(projection.delay, int):
        weights = projection.synapses.weights.shape if isinstance(projection.synapses, Dense) else None
        if projection.delay.shape not in ((n_source,), weights):
            raise NetworkError(
                f"{where}: delay has shape {projection.delay.shape}; give one number, or one per source neuron "
                f"({n_source},), or for dense weights one per weight"
            )


def _check_unique(names: list[str], what: str) -> None:
    repeated = {name for name, count in Counter(names).items() if count > 1}
    if repeated:
        raise NetworkError(f"network: {what} name used twice: {', '.join(sorted(repeated))}")
