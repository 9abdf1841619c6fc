"""Neurons that take no part: those that can never fire, whatever the input, and those that no output hears of.

Both are decided from the network alone, and only where it is certain: a neuron that is named here never sends anything on
any engine, or sends to nobody that an output depends on. Neurons that only some samples leave silent are not meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.network.neurons import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    Cuba,
    Delta,
    LeakyIntegrator,
    NeuronModel,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    model_of,
)
from neurodeploy.network.record import Network, Population, Projection
from neurodeploy.network.synapses import Conv, Dense, Pool, Sparse, Synapses, synapse_shape
from neurodeploy.network.unrolled import source_of_each

Flags: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Neurons: TypeAlias = Mapping[str, NDArray[np.int64]]
"""Numbers of neurons, rising, by population; only populations that have some."""

_ROUNDS = 64
"""Passes over the populations after which every neuron is taken for one that may fire."""
_STEPS = 4096
"""Steps in which a voltage under the strongest input has to settle; if it does not, the neuron may fire."""
_ANY = 2.0**40
"""Stands for the largest message of neurons that send whole numbers: beyond every range."""
_MOST_RANGES = 8
"""Ranges of neurons that a line names; records hold all of them."""
_BLOCK = 2**22
"""Weights of a matrix that become floats at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Idle:
    """Neurons that take no part in any output.

    Attributes:
        never_fire: those that can never send a spike or a message, with the highest input that can arrive in every step.
            Read-outs, which have no threshold, are not among them.
        reach_nothing: the others from which no path of synapses leads to an output through neurons that may fire.
    """

    never_fire: Neurons
    reach_nothing: Neurons

    @property
    def all(self) -> dict[str, NDArray[np.int64]]:
        """Both together by population."""
        names = dict.fromkeys([*self.never_fire, *self.reach_nothing])
        none = np.zeros(0, np.int64)
        return {n: np.union1d(self.never_fire.get(n, none), self.reach_nothing.get(n, none)) for n in names}

    def to_json(self) -> dict[str, dict[str, list[int]]]:
        """Return the numbers of the neurons as plain values."""
        return {f.name: {name: n.tolist() for name, n in getattr(self, f.name).items()} for f in fields(self)}


def find_idle(network: Network) -> Idle:
    """Return the neurons that can never fire, and those that reach nothing.

    The bound on a voltage is that of the chip's own integers under the largest input that can arrive, in every step: all
    sources that may fire send on their positive weights, payloads at the end of their range. Where a current could leave
    24 bits, and so change its sign, or a voltage has not settled after 4096 steps, the neuron counts as one that may fire.
    """
    fires = _may_fire(network)
    hears = _heard(network, fires)
    silent = {p.name: ~fires[p.name] for p in network.populations if not isinstance(p.model, LeakyIntegrator)}
    unheard = {name: ~own & ~silent[name] if name in silent else ~own for name, own in hears.items()}
    return Idle(never_fire=_numbers(silent), reach_nothing=_numbers(unheard))


def _numbers(flags: Mapping[str, Flags]) -> dict[str, NDArray[np.int64]]:
    return {name: np.flatnonzero(own) for name, own in flags.items() if own.any()}


class _Span(NamedTuple):
    """The smallest and largest value, 0 included, of each source in a step, or of the input of each target."""

    low: Floats
    high: Floats


def idle_lines(never_fire: Mapping[str, Any], reach_nothing: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each population with neurons that take no part, which names them."""
    for name, numbers in never_fire.items():
        yield f"{_neurons(numbers)} of '{name}' can never fire, whatever the input: {ranges(numbers)}"
    for name, numbers in reach_nothing.items():
        yield f"{_neurons(numbers)} of '{name}' reach{'es' * (len(numbers) == 1)} no output: {ranges(numbers)}"


def _neurons(numbers: Any) -> str:
    return f"{len(numbers):,} neuron{'s' * (len(numbers) != 1)}"


def ranges(numbers: Any) -> str:
    """Return rising numbers in words, as in ``0-4, 7``."""
    own = np.asarray(numbers, np.int64)
    cuts = [0, *(np.flatnonzero(np.diff(own) > 1) + 1).tolist(), own.size]
    parts = [f"{own[a]}" if b - a == 1 else f"{own[a]}-{own[b - 1]}" for a, b in pairwise(cuts)]
    left = own.size - cuts[min(len(parts), _MOST_RANGES)]
    return ", ".join(parts[:_MOST_RANGES]) + (f" and {left} more" if left else "")


def _may_fire(network: Network) -> dict[str, Flags]:
    """Return for each population which neurons may send something: the least set that holds with what arrives from it.

    A neuron needs a bias, or a source that sent before it; so neurons that only excite each other are not in it.
    """
    spans = {i.name: _filled(i.size, *i.payload_range) for i in network.inputs}
    fires = {p.name: np.zeros(p.size, np.bool_) for p in network.populations}
    spans |= {p.name: _filled(p.size, 0, 0) for p in network.populations}
    waiting = set(fires)
    for _ in range(_ROUNDS):
        if not waiting:
            return fires
        for p in network.populations:
            if p.name not in waiting:
                continue
            waiting.discard(p.name)
            own = fires[p.name] | _fires_on(network, p, spans)
            if not np.array_equal(own, fires[p.name]):
                fires[p.name] = own
                low, high = (-_ANY, _ANY) if p.model.graded else (0.0, 1.0)
                spans[p.name] = _Span(np.where(own, low, 0.0), np.where(own, high, 0.0))
                waiting |= {q.target for q in network.projections if q.source == p.name}
    return {p.name: np.full(p.size, not isinstance(p.model, LeakyIntegrator)) for p in network.populations}


def _filled(size: int, low: float, high: float) -> _Span:
    return _Span(np.full(size, min(low, 0.0)), np.full(size, max(high, 0.0)))


def _fires_on(network: Network, population: Population, spans: Mapping[str, _Span]) -> Flags:
    """Return which neurons of a population may fire when the sources send what ``spans`` allows."""
    decide = _DECIDE.get(type(population.model))
    if decide is None:
        return np.ones(population.size, np.bool_)
    low, high = np.zeros(population.size), np.zeros(population.size)
    unsure = np.zeros(population.size, np.bool_)
    for q in network.into(population.name):
        own = _sums(q.synapses, spans[q.source])
        unsure |= (own.high >= STATE_LIMIT) | (own.low <= -STATE_LIMIT)  # sums of kernels wrap there, others later
        own = _shifted(own, q)
        low, high = low + own.low, high + own.high
    return unsure | decide(population.model, _Span(low, high))


def _shifted(span: _Span, projection: Projection) -> _Span:
    """Return the range of a sum times ``2**weight_exponent``; each delay's part of it is rounded down by itself."""
    factor = 2.0**projection.weight_exponent
    parts = np.unique(projection.delay).size
    low = np.floor(span.low * factor)
    if projection.weight_exponent < 0:
        low = np.where(span.low < 0, low - (parts - 1), 0.0)
    return _Span(low, np.floor(span.high * factor))


def _cuba_fires(model: Cuba, arriving: _Span) -> Flags:
    """Return which neurons' voltage can pass the threshold."""
    size = arriving.high.size
    d_u, d_v, bias, threshold = (
        np.broadcast_to(np.ravel(x), (size,)).astype(np.int64)
        for x in (model.current_decay, model.voltage_decay, model.bias, model.threshold)
    )
    top = threshold << STATE_SHIFT
    most, least = (_settled(2.0**STATE_SHIFT * a, d_u) for a in (arriving.high, arriving.low))
    fires = (most >= STATE_LIMIT) | (least <= -STATE_LIMIT)
    drive = most + bias
    at = np.flatnonzero(~fires & (np.where(drive > 0, _settled(drive, d_v), drive) > top))
    # what is left may fire by the bound without rounding; with rounding towards zero, step by step, perhaps not
    a = arriving.high[at].astype(np.int64) << STATE_SHIFT
    u, v = np.zeros(at.size, np.int64), np.zeros(at.size, np.int64)
    for _ in range(_STEPS):
        new_u = (u * (DECAY_ONE - d_u[at]) >> 12) + a
        new_v = np.sign(v) * (np.abs(v) * (DECAY_ONE - d_v[at]) >> 12) + new_u + bias[at]
        new_v = np.clip(new_v, 1 - STATE_LIMIT, STATE_LIMIT - 1)
        passed = new_v > top[at]
        fires[at[passed]] = True
        moving = ~passed & ((new_u != u) | (new_v != v))
        at, a, u, v = at[moving], a[moving], new_u[moving], new_v[moving]
        if not at.size:
            break
    fires[at] = True
    return fires


def _settled(drive: Floats, decay: NDArray[np.int64]) -> Floats:
    """Return the limit of a state that gets ``drive`` in each step, never below what rounding towards zero makes of it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(drive == 0, 0.0, drive * DECAY_ONE / decay)


def _anything_arrives(_: NeuronModel, arriving: _Span) -> Flags:
    """Return to which neurons something can arrive: without it resonators, Sigma and Delta neurons stay at 0."""
    return np.asarray((arriving.low != 0) | (arriving.high != 0), np.bool_)


def _sigma_delta_fires(model: SigmaDelta, arriving: _Span) -> Flags:
    bias = np.broadcast_to(np.ravel(model.bias), arriving.low.shape)
    return _anything_arrives(model, arriving) | (bias > 0 if model.activation == "relu" else bias != 0)


_DECIDE: Mapping[type[NeuronModel], Callable[[Any, _Span], Flags]] = {
    Cuba: _cuba_fires,
    LeakyIntegrator: lambda _, arriving: np.zeros(arriving.low.size, np.bool_),
    ResonateAndFire: _anything_arrives,
    Sigma: _anything_arrives,
    Delta: _anything_arrives,
    SigmaDelta: _sigma_delta_fires,
}
"""By kind, which neurons may fire; a kind that is not there may always."""


def _sums(synapses: Synapses, source: _Span) -> _Span:
    """Return the smallest and largest summed input of each target."""
    n_target, n_source = synapse_shape(synapses)
    if isinstance(synapses, Dense):
        low, high = np.zeros(n_target), np.zeros(n_target)
        rows = max(1, _BLOCK // max(n_source, 1))
        for first in range(0, n_target, rows):
            part = slice(first, first + rows)
            low[part], high[part] = _ends(synapses.weights[part].astype(np.float64), source)
        return _Span(low, high)
    if isinstance(synapses, Sparse):
        own, sent = synapses.weights.astype(np.float64), source_of_each(synapses)
        a, b = own * source.low[sent], own * source.high[sent]
        return _Span(_summed(synapses, np.minimum(a, b)), _summed(synapses, np.maximum(a, b)))
    taps = _Taps(synapses)
    images = _Span(taps.padded(source.low), taps.padded(source.high))
    low, high = np.zeros(taps.target_shape), np.zeros(taps.target_shape)
    for weights, window in taps:
        flat = _Span(*(image[window].reshape(*image.shape[:2], -1) for image in images))
        more = _ends(weights, flat)
        low, high = low + more[0], high + more[1]
    return _Span(low.ravel(), high.ravel())


def _summed(synapses: Sparse, values: Floats) -> Floats:
    """Return the sum over the synapses of each target."""
    return np.asarray(np.bincount(synapses.target, weights=values, minlength=synapses.n_target), np.float64)


def _ends(weights: Floats, source: _Span) -> tuple[Floats, Floats]:
    """Return the smallest and the largest product of weights and sources."""
    positive, negative = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
    return positive @ source.low + negative @ source.high, positive @ source.high + negative @ source.low


class _Taps:
    """A convolution tap by tap: weights ``(groups, out, in)``, and the window of the padded image that they multiply."""

    def __init__(self, synapses: Conv | Pool) -> None:
        self.conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
        conv = self.conv
        c_out, self.height, self.width = conv.output_shape
        self.weights = conv.weights.reshape(conv.groups, c_out // conv.groups, -1, *conv.weights.shape[2:])
        self.target_shape = (conv.groups, c_out // conv.groups, self.height * self.width)

    def padded(self, channels: NDArray[Any]) -> NDArray[Any]:
        """Return values of the sources as an image ``(groups, in, height, width)`` with zeros around it."""
        image = channels.reshape(self.conv.groups, -1, *self.conv.input_shape[1:])
        return np.pad(image, ((0, 0), (0, 0), *((pad, pad) for pad in self.conv.padding)))

    def inner(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the sources from a padded image."""
        (pad_y, pad_x), (_, height, width) = self.conv.padding, self.conv.input_shape
        return image[:, :, pad_y : pad_y + height, pad_x : pad_x + width].ravel()

    def __iter__(self) -> Iterator[tuple[Floats, tuple[Any, ...]]]:
        (step_y, step_x), (dil_y, dil_x) = self.conv.stride, self.conv.dilation
        for y, x in np.ndindex(self.weights.shape[3:]):
            rows = slice(y * dil_y, y * dil_y + step_y * (self.height - 1) + 1, step_y)
            columns = slice(x * dil_x, x * dil_x + step_x * (self.width - 1) + 1, step_x)
            yield self.weights[..., y, x].astype(np.float64), (..., rows, columns)


def _heard(network: Network, fires: Mapping[str, Flags]) -> dict[str, Flags]:
    """Return for each population which neurons an output reads, or a neuron hears that may fire and is heard itself."""
    read = {o.population for o in network.outputs}
    heard = {p.name: np.full(p.size, p.name in read) for p in network.populations}
    waiting = set(read)
    while waiting:
        name = waiting.pop()
        passing = np.full(heard[name].size, True) if name in read else heard[name] & fires[name]
        for q in network.into(name):
            if q.source not in heard:
                continue
            own = heard[q.source] | sources_of(q.synapses, passing)
            if not np.array_equal(own, heard[q.source]):
                heard[q.source] = own
                waiting.add(q.source)
    return heard


def sources_of(synapses: Synapses, targets: Flags) -> Flags:
    """Return which sources have a synapse with a weight other than 0 to any of the targets, bool ``(n_source,)``."""
    n_source = synapse_shape(synapses)[1]
    if isinstance(synapses, Dense):
        return np.asarray(synapses.weights[targets].any(axis=0), np.bool_)
    if isinstance(synapses, Sparse):
        used = (synapses.weights != 0) & targets[synapses.target]
        return np.bincount(source_of_each(synapses)[used], minlength=n_source) > 0
    taps = _Taps(synapses)
    image = taps.padded(np.zeros(n_source, np.bool_))
    wanted = targets.reshape(taps.target_shape).astype(np.float64)
    for weights, window in taps:
        hit = (weights != 0).astype(np.float64).swapaxes(1, 2) @ wanted > 0
        image[window] |= hit.reshape(image[window].shape)
    return np.asarray(taps.inner(image), np.bool_)


def removable(network: Network, idle: Idle) -> tuple[dict[str, NDArray[np.int64]], dict[str, str]]:
    """Return the idle neurons that can be taken out of a network without a trace, and by population why others stay.

    Neurons of an output stay, since their numbers are the classes; so do neurons that share a kernel with others, and the
    first neuron of a population that would be left without any.
    """
    gone: dict[str, NDArray[np.int64]] = {}
    stays: dict[str, str] = {}
    read = {o.population for o in network.outputs}
    for name, numbers in idle.all.items():
        touching = [q for q in network.projections if name in (q.source, q.target)]
        kernels = [q.name for q in touching if isinstance(q.synapses, Conv | Pool)]
        if name in read:
            stays[name] = "an output reads them, and their numbers are its classes"
            continue
        if kernels:
            stays[name] = f"they share the kernel of '{kernels[0]}' with other neurons"
            continue
        if numbers.size == network.sizes[name]:
            stays[name] = f"neuron {numbers[0]}, so that the layer and its step in time remain"
            numbers = numbers[1:]
        if numbers.size:
            gone[name] = numbers
    return gone, stays


def without_neurons(network: Network, neurons: Neurons) -> Network:
    """Return the network without the given neurons, whose populations become flat, and without all their synapses.

    What the others do changes only where they heard something from them; ``removable`` finds those of which they do not.

    Args:
        neurons: numbers of neurons by population; none of an output, and none that convolutions or pools reach or read.
    """
    kept = {name: np.setdiff1d(np.arange(network.sizes[name]), numbers) for name, numbers in neurons.items()}
    return replace(
        network,
        populations=tuple(_smaller(p, kept[p.name]) if p.name in kept else p for p in network.populations),
        projections=tuple(_cut(q, kept.get(q.source), kept.get(q.target)) for q in network.projections),
    )


def _smaller(population: Population, kept: NDArray[np.int64]) -> Population:
    return replace(population, shape=(kept.size,), model=model_of(population.model, kept))


def _cut(projection: Projection, source: NDArray[np.int64] | None, target: NDArray[np.int64] | None) -> Projection:
    if source is None and target is None:
        return projection
    n_target, n_source = synapse_shape(projection.synapses)
    source = np.arange(n_source) if source is None else source
    target = np.arange(n_target) if target is None else target
    both, delay, synapses = np.ix_(target, source), projection.delay, projection.synapses
    if isinstance(delay, np.ndarray):
        delay = delay[both] if delay.ndim == 2 else delay[source]
    mask = projection.mask
    smaller: Synapses
    if isinstance(synapses, Dense):
        smaller = Dense(weights=synapses.weights[both])
        mask = None if mask is None else mask[both]
    else:
        assert isinstance(synapses, Sparse), "convolutions and pools keep all their neurons"
        smaller, stays = _sparse_part(synapses, source, target)
        mask = None if mask is None else mask[stays]
    return replace(projection, synapses=smaller, delay=delay, mask=mask)


def _sparse_part(synapses: Sparse, source: NDArray[np.int64], target: NDArray[np.int64]) -> tuple[Sparse, Flags]:
    """Return the synapses between the neurons that are kept, and which of the stored ones these are."""
    n_target, n_source = synapse_shape(synapses)
    owner, place = source_of_each(synapses), np.full(n_target, -1)
    place[target] = np.arange(target.size)
    sources = np.zeros(n_source, np.bool_)
    sources[source] = True
    stays = sources[owner] & (place[synapses.target] >= 0)
    counts = np.bincount(owner[stays], minlength=n_source)[sources]
    part = Sparse(
        n_target=target.size,
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        target=place[synapses.target[stays]].astype(np.int32),
        weights=synapses.weights[stays],
    )
    return part, np.asarray(stays, np.bool_)
