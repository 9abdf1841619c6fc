"""Known ways in which an engine can deviate from the reference: a table per neuron kind, and deviations of the input.

Each departure has a class of cause and a description in words. ``candidates`` runs one population under all departures.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.dynamics import Ints
from neurodeploy.network import (
    DECAY_ONE,
    THRESHOLD_MAX,
    Conv,
    Cuba,
    Delta,
    Dense,
    LeakyIntegrator,
    Network,
    NeuronModel,
    Pool,
    Population,
    Projection,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from neurodeploy.network.activity import Activity
from neurodeploy.proofs.arrivals import Given, later, population_input, source_messages, summed, synaptic_input
from neurodeploy.proofs.replay import CubaRule, DeltaRule, ResonatorRule, Rule, SigmaRule, Values, replay_model

Cause = Literal["range", "rounding", "reset", "delay", "order of axes", "quantisation", "input", "unknown"]
"""The class of a cause; ``reset`` covers the condition for sending and the state that the neuron keeps afterwards."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A deviating way to compute a neuron: by another rule, or with other parameters (None where they do not apply)."""

    cause: Cause
    why: str
    rule: Rule | None = None
    parameters: Callable[[Any], NeuronModel | None] | None = None


_Shifted: TypeAlias = ResonateAndFire | Delta | SigmaDelta


def _moved(name: str, by: int) -> Callable[[Any], NeuronModel]:
    """Return a function that changes the parameter ``name`` (a decay or a threshold) of a model by ``by``."""
    high = THRESHOLD_MAX if name == "threshold" else DECAY_ONE
    return lambda model: replace(model, **{name: np.clip(np.asarray(getattr(model, name)) + by, 0, high)})


def _set(name: str, value: Any) -> Callable[[Any], NeuronModel | None]:
    """Return a function that sets the parameter ``name`` of a model; it gives None if the model has this value already."""
    return lambda model: None if np.array_equal(getattr(model, name), value) else replace(model, **{name: value})


def _exponent(model: _Shifted) -> int:
    return model.state_exponent + (model.spike_exponent if isinstance(model, Delta) else 0)


def _low(threshold: Values, original: Any) -> Values:
    """Return the threshold, raised to at least 1 where the original is not 0; resonators do not allow a threshold of 0."""
    return np.maximum(threshold, np.minimum(original, 1))


def _unshifted_threshold(model: _Shifted) -> NeuronModel:
    return replace(model, threshold=_low(np.asarray(model.threshold) >> _exponent(model), model.threshold))


def _whole_threshold(model: _Shifted) -> NeuronModel:
    e = _exponent(model)
    return replace(model, threshold=_low(np.asarray(model.threshold) >> e << e, model.threshold))


def _unshifted_bias(model: SigmaDelta) -> NeuronModel:
    return replace(model, bias=np.asarray(model.bias) >> _exponent(model))


LEAKY_INTEGRATOR = (
    Departure("range", "states beyond 24 bits are neither wrapped nor clipped", CubaRule(current="none", voltage="none")),
    Departure("range", "the current is not wrapped at 24 bits", CubaRule(current="none")),
    Departure("range", "the current is clipped at 24 bits instead of wrapped", CubaRule(current="clip")),
    Departure("range", "the voltage is not clipped at 24 bits", CubaRule(voltage="none")),
    Departure("range", "the voltage wraps at 24 bits instead of being clipped", CubaRule(voltage="wrap")),
    Departure("rounding", "decayed states are rounded down instead of towards zero", CubaRule(rounding="down")),
    Departure("rounding", "decayed states are rounded to nearest", CubaRule(rounding="nearest")),
    Departure("quantisation", "the decay of the current is one larger", parameters=_moved("current_decay", 1)),
    Departure("quantisation", "the decay of the current is one smaller", parameters=_moved("current_decay", -1)),
    Departure("quantisation", "the decay of the voltage is one larger", parameters=_moved("voltage_decay", 1)),
    Departure("quantisation", "the decay of the voltage is one smaller", parameters=_moved("voltage_decay", -1)),
    Departure("quantisation", "the bias is left out", parameters=_set("bias", 0)),
)  # fmt: skip

CUBA = (
    *LEAKY_INTEGRATOR,
    Departure("rounding", "decayed states are not rounded", CubaRule(rounding="none")),
    Departure("reset", "a neuron fires when its voltage equals the threshold", CubaRule(at_threshold="spike")),
    Departure("reset", "a voltage equal to the threshold is reset without a spike", CubaRule(at_threshold="reset")),
    Departure("reset", "the threshold is subtracted instead of resetting to 0", parameters=_set("reset", "subtract")),
    Departure("reset", "the voltage is reset to 0 instead of subtracting the threshold", parameters=_set("reset", "zero")),
    Departure("reset", "the voltage is not reset", CubaRule(reset="none")),
    Departure("reset", "the current is reset with the voltage", CubaRule(reset="both")),
    Departure("reset", "the voltage is reset one step late, after the next input", CubaRule(reset="late")),
    Departure("reset", "the threshold is subtracted until the voltage is no longer above it", CubaRule(reset="repeated")),
    Departure("range", "the voltage is clipped after the threshold is subtracted", CubaRule(bound_after_reset=True)),
    Departure("quantisation", "the threshold is one larger", parameters=_moved("threshold", 1)),
    Departure("quantisation", "the threshold is one smaller", parameters=_moved("threshold", -1)),
)  # fmt: skip

RESONATOR = (
    Departure("range", "states beyond 24 bits are not clipped", ResonatorRule(bound="none")),
    Departure("range", "states wrap at 24 bits instead of being clipped", ResonatorRule(bound="wrap")),
    Departure("rounding", "products are rounded down instead of towards zero", ResonatorRule(rounding="down")),
    Departure("rounding", "products are rounded to nearest", ResonatorRule(rounding="nearest")),
    Departure("rounding", "states are not rounded", ResonatorRule(rounding="none")),
    Departure("rounding", "the sum of two products is rounded, not each of them", ResonatorRule(round_once=True)),
    Departure("rounding", "the threshold is rounded down to a multiple of 2**state_exponent", parameters=_whole_threshold),
    Departure("reset", "a neuron fires only above the threshold", ResonatorRule(above_threshold=True)),
    Departure("reset", "a neuron fires when its imaginary state rises from 0", ResonatorRule(phase="rises from 0")),
    Departure("reset", "a neuron fires at any phase of its state", ResonatorRule(phase="any")),
    Departure("reset", "the state is not reset", ResonatorRule(reset="none")),
    Departure("reset", "both states are reset to 0", ResonatorRule(reset="to zero")),
    Departure("reset", "the imaginary state is reset to the threshold", ResonatorRule(reset="to threshold")),
    Departure("reset", "it fires and is reset as RF_IZ instead of RF", parameters=_set("reset", True)),
    Departure("reset", "it fires without a reset, as RF instead of RF_IZ", parameters=_set("reset", False)),
    Departure("order of axes", "the state turns the other way", parameters=lambda m: replace(m, sin_decay=-m.sin_decay)),
    Departure("quantisation", "the input is not shifted by the state exponent", parameters=_set("state_exponent", 0)),
    Departure("quantisation", "the threshold is not shifted by the state exponent", parameters=_unshifted_threshold),
)  # fmt: skip

SIGMA = (
    Departure("range", "the sum wraps at 24 bits", SigmaRule(bound="wrap")),
    Departure("range", "the sum is clipped at 24 bits", SigmaRule(bound="clip")),
    Departure("reset", "the sum starts anew in every step", SigmaRule(forgets=True)),
    Departure("reset", "the sum is sent only in steps in which something arrives", SigmaRule(sends_changes_only=True)),
)  # fmt: skip

_ENCODER = (
    Departure("range", "the value encoded wraps at 24 bits", DeltaRule(bound="wrap")),
    Departure("range", "the value encoded is clipped at 24 bits", DeltaRule(bound="clip")),
    Departure("rounding", "the threshold is rounded down to a multiple of 2**exponent", parameters=_whole_threshold),
    Departure("reset", "a change is sent only above the threshold", DeltaRule(above_threshold=True)),
    Departure("reset", "the residue is not kept", DeltaRule(residue="never")),
    Departure("reset", "the residue is kept after a message", DeltaRule(residue="always")),
    Departure("reset", "the error is kept after a message", DeltaRule(clears_error=False)),
    Departure("reset", "errors add up until a message", parameters=_set("cumulative", True)),
    Departure("reset", "errors do not add up until a message", parameters=_set("cumulative", False)),
    Departure("quantisation", "messages are not shifted by the state exponent", DeltaRule(shift="none")),
    Departure("quantisation", "the threshold is not shifted by the exponent", parameters=_unshifted_threshold),
)  # fmt: skip

DELTA = (
    *_ENCODER,
    Departure("quantisation", "the input is not shifted by the spike exponent", parameters=_set("spike_exponent", 0)),
    Departure("quantisation", "the state exponent is left out", parameters=_set("state_exponent", 0)),
)

SIGMA_DELTA = (
    Departure("range", "the sum wraps at 24 bits", DeltaRule(sigma=SigmaRule(bound="wrap"))),
    Departure("range", "the sum is clipped at 24 bits", DeltaRule(sigma=SigmaRule(bound="clip"))),
    Departure("reset", "the sum starts anew in every step", DeltaRule(sigma=SigmaRule(forgets=True))),
    *_ENCODER,
    Departure("rounding", "messages are rounded towards zero instead of down", DeltaRule(shift="toward zero")),
    Departure("rounding", "messages are rounded to nearest instead of down", DeltaRule(shift="nearest")),
    Departure("rounding", "the bits that a message loses stay in the residue", DeltaRule(residue="with lost bits")),
    Departure("range", "negative values are cut to 0 (relu)", parameters=_set("activation", "relu")),
    Departure("range", "negative values are not cut to 0 (relu)", parameters=_set("activation", "none")),
    Departure("quantisation", "the bias is left out", parameters=_set("bias", 0)),
    Departure("quantisation", "the bias is not shifted by the state exponent", parameters=_unshifted_bias),
)

DEPARTURES: Mapping[type, tuple[Departure, ...]] = {
    Cuba: CUBA,
    LeakyIntegrator: LEAKY_INTEGRATOR,
    ResonateAndFire: RESONATOR,
    Sigma: SIGMA,
    Delta: DELTA,
    SigmaDelta: SIGMA_DELTA,
}
"""The departures of each neuron kind."""


def _wrapped(messages: Values, bits: int) -> Values:
    """Return messages wrapped to whole numbers of ``bits`` bits with a sign."""
    wrapped: Values = (messages.astype(np.int64) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    return wrapped


MESSAGES: tuple[tuple[Cause, str, Callable[[Values], Values]], ...] = (
    ("quantisation", "count as 1 each", lambda m: (m != 0).astype(m.dtype)),
    ("range", "lose their sign", np.abs),
    ("range", "are lost where they are negative", lambda m: np.maximum(m, 0)),
    ("range", "are clipped to 8 bits with a sign", lambda m: np.clip(m, -128, 127)),
    ("range", "are clipped to 8 bits without a sign", lambda m: np.clip(m, 0, 255)),
    ("range", "wrap at 8 bits with a sign", lambda m: _wrapped(m, 8)),
    ("range", "wrap at 8 bits without a sign", lambda m: m.astype(np.int64) % 2**8),
    ("range", "are clipped to 16 bits with a sign", lambda m: np.clip(m, -(2**15), 2**15 - 1)),
    ("range", "are clipped to 16 bits without a sign", lambda m: np.clip(m, 0, 2**16 - 1)),
    ("range", "wrap at 16 bits with a sign", lambda m: _wrapped(m, 16)),
    ("range", "wrap at 16 bits without a sign", lambda m: m.astype(np.int64) % 2**16),
    ("range", "are clipped to 24 bits", lambda m: np.clip(m, -(2**23), 2**23 - 1)),
    ("range", "wrap at 24 bits", lambda m: _wrapped(m, 24)),
)
"""Departures of graded messages, on sending or on arrival."""

KERNELS: Mapping[str, Callable[[Values], Values]] = {
    "kernels are flipped (convolution instead of cross-correlation)": lambda w: w[..., ::-1, ::-1],
    "kernel axes are swapped": lambda w: np.swapaxes(w, -1, -2),
}
CUTS: Mapping[str, Callable[[Values], Values]] = {
    "odd weights are cut to even ones (mixed signs on 8 bits)": lambda w: w & ~1,
    "weights are cut to multiples of 4": lambda w: w & ~3,
    "weights are cut to multiples of 8": lambda w: w & ~7,
    "weights are cut to multiples of 16": lambda w: w & ~15,
    "weights are cut to multiples of 32": lambda w: w & ~31,
    "weights are halved": lambda w: w >> 1,
    "weights are clipped to 8 bits with a sign, -128..127": lambda w: np.clip(w, -128, 127),
    "weights are clipped to -255..255": lambda w: np.clip(w, -255, 255),
    "negative weights are dropped": lambda w: np.maximum(w, 0),
}
_SHIFTS = (-1, 1, -2, 2, -3, 3)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A departure with a function of ``n`` for the messages that it gives in ``n`` steps, int64 ``(n, size)``.

    For a read-out these are its voltages.
    """

    cause: Cause
    why: str
    sent: Callable[[int], Values]


def candidates(network: Network, run: Activity, name: str, sample: int) -> Iterator[Candidate]:
    """Yield every departure for a population and one sample of a run, computed from the recorded messages of its sources.

    The departures and their order are the same for all samples.
    """
    population, into = network.population(name), network.into(name)
    messages = source_messages(network, run, name, sample)
    parts = {p.name: synaptic_input(p, messages[p.source]) for p in into}
    shape = (run.n_steps, population.size)
    given = summed(into, parts, shape)
    yield from _neurons(population, given)
    carried = partial(_carried, network, run, name, sample)
    yield Candidate("reset", "states are carried over from the sample before", carried)
    lawful = replay_model(population, given).sent
    yield from _sent(population, lawful, name in network.graded)
    if isinstance(population.model, ResonateAndFire):
        exchanged = partial(_replayed, population, (given[1], given[0]), None)
        yield Candidate("order of axes", "real and imaginary input are exchanged", exchanged)

    def under(change: _Change, chosen: tuple[Projection, ...], n: int) -> Values:
        other = parts | {p.name: change(p, messages[p.source]) for p in chosen}
        return _replayed(population, summed(into, other, shape), None, n)

    for chosen in _scopes(into):
        through = "" if len(chosen) == len(into) else f" (projection '{chosen[0].name}')"
        for cause, why, change in _arrivals(network, chosen):
            yield Candidate(cause, why + through, partial(under, change, chosen))


def _replayed(population: Population, given: Given, rule: Rule | None, n: int) -> Values:
    return replay_model(population, given, rule, n_steps=n).sent


def _neurons(population: Population, given: Given) -> Iterator[Candidate]:
    """Yield the population under each departure of its kind, and with another first step."""
    for departure in DEPARTURES[type(population.model)]:
        model = population.model if departure.parameters is None else departure.parameters(population.model)
        if model is not None:
            sent = partial(_replayed, replace(population, model=model), given, departure.rule)
            yield Candidate(departure.cause, departure.why, sent)
    for by, when in ((-1, "early"), (1, "late")):
        first = population.first_step + by
        if first >= 0:
            sent = partial(_replayed, replace(population, first_step=first), given, None)
            yield Candidate("delay", f"it starts one step {when}", sent)


def _carried(network: Network, run: Activity, name: str, sample: int, n: int) -> Values:
    """Return the messages in ``sample`` if the states are not set to 0 between samples."""
    population, states = network.population(name), None
    for before in range(sample):
        states = replay_model(population, population_input(network, run, name, before), states=states).states
    return replay_model(population, population_input(network, run, name, sample), states=states, n_steps=n).sent


def _sent(population: Population, lawful: Values, graded: bool) -> Iterator[Candidate]:
    """Yield the messages of the definition sent at another time, by other neurons, or changed."""
    for shift in _SHIFTS:
        steps = "step" if abs(shift) == 1 else "steps"
        why = f"its {'messages' if graded else 'spikes'} come {abs(shift)} {steps} {'late' if shift > 0 else 'early'}"
        yield Candidate("delay", why, partial(_first, later(lawful, shift)))
    for axes in _orders(population.shape):
        why = f"its neurons are numbered with the axes in the order {axes}"
        yield Candidate("order of axes", why, partial(_first, lawful[:, _numbers(population.shape, axes)]))
    for cause, what, change in MESSAGES if graded else ():
        yield Candidate(cause, f"its messages {what}", partial(_first, change(lawful)))


def _first(sent: Values, n: int) -> Values:
    return sent[:n]


_Change: TypeAlias = Callable[[Projection, Values], Ints]


def _scopes(into: tuple[Projection, ...]) -> Iterator[tuple[Projection, ...]]:
    """Yield all projections together, then each projection alone."""
    yield into
    if len(into) > 1:
        yield from ((p,) for p in into)


def _arrivals(network: Network, into: tuple[Projection, ...]) -> Iterator[tuple[Cause, str, _Change]]:
    """Yield deviating ways in which a projection may carry messages to its target."""
    yield "delay", "what arrives comes one step late", lambda p, m: later(synaptic_input(p, m), 1)
    yield "delay", "what arrives comes one step early", lambda p, m: later(synaptic_input(p, m), -1)
    yield "delay", "delays are left out", _through(lambda p: replace(p, delay=0))
    yield "delay", "delays are one step shorter", _through(_shorter)
    for what, change in KERNELS.items() if any(isinstance(p.synapses, Conv) for p in into) else ():
        yield "order of axes", what, _through(partial(_with_kernels, change=change))
    for axes in sorted({axes for p in into for axes in _orders(network.shapes[p.source])}):
        renumbered = partial(_renumbered, network, axes)
        yield "order of axes", f"its sources are numbered with the axes in the order {axes}", renumbered
    yield "order of axes", "the matrix of weights is transposed", _through(_transposed)
    for what, change in CUTS.items():
        yield "quantisation", what, _through(partial(_with_weights, change=change))
    yield "quantisation", "the weight exponent is left out", _through(lambda p: replace(p, weight_exponent=0))
    yield "quantisation", "weights are doubled", lambda p, m: 2 * synaptic_input(p, m)
    yield "rounding", "shifted sums are rounded towards zero", partial(synaptic_input, round_down=False)
    yield "range", "sums of convolutions do not wrap at 24 bits", partial(synaptic_input, wrap_conv=False)
    for cause, what, change in MESSAGES if any(p.source in network.graded for p in into) else ():
        yield cause, f"arriving messages {what}", partial(_graded, change)


def _through(change: Callable[[Projection], Projection]) -> _Change:
    return lambda p, m: synaptic_input(change(p), m)


def _graded(change: Callable[[Values], Values], projection: Projection, messages: Values) -> Ints:
    given = messages if messages.dtype == np.bool_ else change(messages).astype(np.int32)
    return synaptic_input(projection, given)


def _shorter(projection: Projection) -> Projection:
    delay = np.maximum(np.asarray(projection.delay) - 1, 0)
    return replace(projection, delay=delay if delay.ndim else int(delay))


def _with_kernels(projection: Projection, change: Callable[[Values], Values]) -> Projection:
    synapses = projection.synapses
    if not isinstance(synapses, Conv) or synapses.weights.shape[-1] != synapses.weights.shape[-2]:
        return projection
    return replace(projection, synapses=replace(synapses, weights=change(synapses.weights)), mask=None)


def _with_weights(projection: Projection, change: Callable[[Values], Values]) -> Projection:
    synapses = projection.synapses
    if isinstance(synapses, Pool):
        weight = int(change(np.array(synapses.weight)))
        return replace(projection, synapses=replace(synapses, weight=weight))
    return replace(projection, synapses=replace(synapses, weights=change(synapses.weights)), mask=None)


def _transposed(projection: Projection) -> Projection:
    synapses = projection.synapses
    if not isinstance(synapses, Dense) or synapses.weights.shape[0] != synapses.weights.shape[1]:
        return projection
    return replace(projection, synapses=Dense(weights=synapses.weights.T), mask=None)


def _orders(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return every order of the axes except the original one."""
    return list(itertools.permutations(range(len(shape))))[1:]


def _numbers(shape: tuple[int, ...], axes: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the number of each neuron if neurons are counted with the axes in another order."""
    return np.arange(int(np.prod(shape))).reshape(shape).transpose(axes).ravel()


def _renumbered(network: Network, axes: tuple[int, ...], projection: Projection, messages: Values) -> Ints:
    """Return the input if source neurons are numbered with the axes in another order, so messages meet other weights."""
    shape, moved = network.shapes[projection.source], messages
    if len(shape) == len(axes):
        moved = np.empty_like(messages)
        moved[:, _numbers(shape, axes)] = messages
    return synaptic_input(projection, moved)
