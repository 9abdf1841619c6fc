"""Why two engines differ: the first difference explained, and its cause looked for by replaying one population.

Up to the first difference both engines agree, so the population in which it lies can be replayed alone: its input follows
from the spikes that an engine recorded for its sources. An engine that departs from the definition is replayed under other
rules, one at a time; a rule that gives exactly the engine's spikes in that sample names the cause.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.activity import Activity
from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    Conv,
    Cuba,
    Dense,
    LeakyIntegrator,
    Network,
    Pool,
    Population,
    Projection,
    Sparse,
    Synapses,
    spiking_model,
)
from neurodeploy.simulate.reference import synaptic_sum
from neurodeploy.simulate.verify import Difference

Cause = Literal["range", "rounding", "reset", "delay", "order of axes", "quantisation", "input", "unknown"]

_SHIFTS = (-1, 1, -2, 2, -3, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a neuron computes; the defaults are the definition (``reference.py``)."""

    rounding: Literal["toward zero", "down", "none"] = "toward zero"
    wrap_current: bool = True
    clip_voltage: bool = True
    fires_at_threshold: bool = False
    reset: Literal["zero", "subtract", "none"] = "zero"


DEFINITION = Rule()
RULES: tuple[tuple[Cause, str, Rule], ...] = (
    ("range", "states beyond 24 bits are neither wrapped nor clipped", Rule(wrap_current=False, clip_voltage=False)),
    ("range", "the current is not wrapped at 24 bits", Rule(wrap_current=False)),
    ("range", "the voltage is not clipped at 24 bits", Rule(clip_voltage=False)),
    ("rounding", "decayed states are rounded down instead of towards zero", Rule(rounding="down")),
    ("rounding", "decayed states are not rounded", Rule(rounding="none")),
    ("reset", "a neuron fires when its voltage equals the threshold", Rule(fires_at_threshold=True)),
    ("reset", "the threshold is subtracted instead of resetting to 0", Rule(reset="subtract")),
    ("reset", "the voltage is not reset", Rule(reset="none")),
)  # fmt: skip
"""Other ways to compute a neuron, with the class of cause and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """One synapse through which a spike reached the neuron in the step of the difference."""

    projection: str
    source: str
    neuron: int
    sent_in_step: int
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The first difference explained.

    ``departs`` names the engine that departs from the definition; ``arriving`` are the spikes that reached the neuron in
    that step; ``current``, ``voltage`` (before the reset) and ``threshold`` (state units) are those of the definition.
    """

    cause: Cause
    why: str
    departs: str
    arriving: tuple[Arriving, ...]
    summed_input: int
    current: int
    voltage: int
    threshold: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Replay:
    """Spikes, currents and voltages before the reset of one population in one sample, each ``(n_steps, size)``."""

    spikes: NDArray[np.bool_]
    current: NDArray[Any]
    voltage: NDArray[Any]


def diagnose(network: Network, first: Activity, other: Activity, difference: Difference) -> Diagnosis:
    """Explain the first difference between two runs of one network.

    Args:
        network: what both ran.
        first, other: the two runs that differ, in the order of ``difference.engines``.
        difference: what ``compare`` found.
    """
    name, sample = difference.population, difference.sample
    if name not in {p.name for p in network.populations}:
        return Diagnosis(
            cause="input",
            why=f"the engines were not given the same events for '{name}'",
            departs=other.engine,
            arriving=(),
            summed_input=0,
            current=0,
            voltage=0,
            threshold=None,
        )
    population = network.population(name)
    if not isinstance(population.model, Cuba | LeakyIntegrator) or any(
        p.source in network.graded for p in network.into(name)
    ):
        return _unexplained(population, other)
    rasters = {run.engine: _raster(run, name, sample) for run in (first, other)}
    lawful = {
        run.engine: np.array_equal(_defined(network, run, name, sample).spikes, rasters[run.engine])
        for run in (first, other)
    }
    departing = first if lawful[other.engine] and not lawful[first.engine] else other
    cause, why = _cause(network, departing, name, sample, rasters[departing.engine])
    defined = _defined(network, first, name, sample)
    at = (difference.step, difference.neuron)
    arriving = tuple(_arriving(network, first, name, sample, *at))
    model = population.model
    threshold = _one(model.threshold, difference.neuron) << STATE_SHIFT if isinstance(model, Cuba) else None
    return Diagnosis(
        cause=cause,
        why=why,
        departs=departing.engine,
        arriving=arriving,
        summed_input=int(_input(network.into(name), network, first, name, sample)[at]),
        current=int(defined.current[at]),
        voltage=int(defined.voltage[at]),
        threshold=threshold,
    )


def _unexplained(population: Population, other: Activity) -> Diagnosis:
    kind = population.model.kind.replace("_", "-")
    return Diagnosis(
        cause="unknown",
        why=f"no rules are known for {kind} neurons or graded input; probe {', '.join(population.model.states)} on both",
        departs=other.engine,
        arriving=(),
        summed_input=0,
        current=0,
        voltage=0,
        threshold=None,
    )


def _cause(network: Network, run: Activity, name: str, sample: int, raster: NDArray[np.bool_]) -> tuple[Cause, str]:
    """Return the first explanation under which the population gives exactly the raster of the run."""
    if not raster.any():
        return "unknown", "the population gives no spike at all in this sample"
    population = network.population(name)
    given = _input(network.into(name), network, run, name, sample)
    for cause, why, rule in RULES:
        if np.array_equal(_replay(population, given, rule).spikes, raster):
            return cause, why
    lawful = _replay(population, given, DEFINITION).spikes
    for shift in _SHIFTS:
        if np.array_equal(_shifted(lawful, shift), raster):
            steps = "step" if abs(shift) == 1 else "steps"
            return "delay", f"its spikes come {abs(shift)} {steps} {'late' if shift > 0 else 'early'}"
    for axes in _orders(population.shape):
        if np.array_equal(_permuted(lawful, population.shape, axes), raster):
            return "order of axes", f"its neurons are numbered with the axes in the order {axes}"
    for cause, why, into in _changed_projections(network, network.into(name)):
        changed = _input(into, network, run, name, sample)
        if np.array_equal(_replay(population, changed, DEFINITION).spikes, raster):
            return cause, why
    return "unknown", "no single known rule gives its spikes; probe the states of this population on both engines"


def _changed_projections(
    network: Network, into: tuple[Projection, ...]
) -> Iterator[tuple[Cause, str, tuple[Projection, ...]]]:
    """Give the projections with all delays moved, in another order of axes, and with weights cut as hardware does."""
    for shift in (1, -1):
        moved = [np.clip(np.asarray(p.delay) + shift, 0, None) for p in into]
        changed = tuple(replace(p, delay=d if d.ndim else int(d)) for p, d in zip(into, moved))
        yield "delay", f"spikes arrive {'one step late' if shift > 0 else 'one step early'}", changed
    for what, function in _KERNELS.items():
        if any(isinstance(p.synapses, Conv) for p in into):
            yield "order of axes", what, tuple(_with_kernels(p, function) for p in into)
    for axes in sorted({axes for p in into for axes in _orders(network.shapes[p.source])}):
        changed = tuple(_with_sources(p, network.shapes[p.source], axes) for p in into)
        yield "order of axes", f"its sources are numbered with the axes in the order {axes}", changed
    for what, cut in _CUTS.items():
        yield "quantisation", what, tuple(_with_weights(p, cut) for p in into)


_KERNELS = {
    "kernels are flipped (convolution instead of cross-correlation)": lambda w: w[..., ::-1, ::-1],
    "kernel axes are swapped": lambda w: np.swapaxes(w, -1, -2),
}
_CUTS = {
    "odd weights are cut to even ones (mixed signs on 8 bits)": lambda w: w & ~1,
    "weights are clipped to 8 bits with a sign, -128..127": lambda w: np.clip(w, -128, 127),
    "weights are clipped to -255..255": lambda w: np.clip(w, -255, 255),
    "negative weights are dropped": lambda w: np.maximum(w, 0),
}


def _with_kernels(projection: Projection, change: Any) -> Projection:
    synapses = projection.synapses
    if not isinstance(synapses, Conv) or synapses.weights.shape[-1] != synapses.weights.shape[-2]:
        return projection
    return replace(projection, synapses=replace(synapses, weights=change(synapses.weights)), mask=None)


def _orders(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return every order of the axes but the own one."""
    return list(itertools.permutations(range(len(shape))))[1:]


def _with_sources(projection: Projection, shape: tuple[int, ...], axes: tuple[int, ...]) -> Projection:
    synapses = projection.synapses
    if not isinstance(synapses, Dense) or len(shape) != len(axes):
        return projection
    number = np.arange(synapses.weights.shape[1]).reshape(shape).transpose(axes).ravel()
    return replace(projection, synapses=Dense(weights=synapses.weights[:, number]), mask=None)


def _with_weights(projection: Projection, cut: Any) -> Projection:
    synapses = projection.synapses
    if isinstance(synapses, Pool):
        return projection
    return replace(projection, synapses=replace(synapses, weights=cut(synapses.weights)), mask=None)


def _defined(network: Network, run: Activity, name: str, sample: int) -> _Replay:
    population = network.population(name)
    given = _input(network.into(name), network, run, name, sample)
    return _replay(population, given, DEFINITION)


def _replay(population: Population, given: NDArray[np.int64], rule: Rule) -> _Replay:
    """Run one population from its summed input, ``(n_steps, size)``, under a rule."""
    model, exact = spiking_model(population, "verify"), rule.rounding != "none"
    u = v = np.zeros(given.shape[1], np.int64 if exact else np.float64)
    spikes = np.zeros(given.shape, np.bool_)
    current, voltage = np.zeros(given.shape, u.dtype), np.zeros(given.shape, u.dtype)
    bias = np.ravel(model.bias).astype(np.int64)
    limit = np.ravel(model.threshold).astype(np.int64) << STATE_SHIFT if isinstance(model, Cuba) else None
    for t in range(population.first_step, len(given)):
        u = _decayed(u, model.current_decay, rule) + (given[t] << STATE_SHIFT)
        if rule.wrap_current:
            u = np.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, np.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, u))
        v = _decayed(v, model.voltage_decay, rule) + u + bias
        if rule.clip_voltage:
            v = np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1)
        current[t], voltage[t] = u, v
        if limit is not None:
            spikes[t] = v >= limit if rule.fires_at_threshold else v > limit
            v = _reset(v, spikes[t], limit, rule)
    return _Replay(spikes, current, voltage)


def _reset(v: NDArray[Any], fired: NDArray[np.bool_], limit: NDArray[np.int64], rule: Rule) -> NDArray[Any]:
    if rule.reset == "none":
        return v
    after: NDArray[Any] = np.where(fired, v - limit if rule.reset == "subtract" else 0, v)
    return after


def _decayed(state: NDArray[Any], decay: int | NDArray[np.int32], rule: Rule) -> NDArray[Any]:
    product = state * (DECAY_ONE - np.ravel(decay).astype(np.int64))
    if rule.rounding == "none":
        result: NDArray[Any] = product / DECAY_ONE
    elif rule.rounding == "down":
        result = product >> 12
    else:
        result = np.sign(product) * (np.abs(product) >> 12)
    return result


def _input(into: tuple[Projection, ...], network: Network, run: Activity, name: str, sample: int) -> NDArray[np.int64]:
    """Return the summed weights that reach each neuron in each step, int64 ``(n_steps, size)``, from recorded spikes."""
    total = np.zeros((run.n_steps, network.sizes[name]), np.int64)
    for projection in into:
        sent = _raster(run, projection.source, sample)
        for synapses, sources, delay in _by_delay(projection):
            late = _shifted(sent if sources is None else sent & sources, 1 + delay)
            part = synaptic_sum(synapses, late).astype(np.int64)
            exponent = projection.weight_exponent
            total += part << exponent if exponent >= 0 else part >> -exponent
    return total


def _by_delay(projection: Projection) -> Iterator[tuple[Synapses, NDArray[np.bool_] | None, int]]:
    """Give the synapses that share a delay, and which sources they carry (None: all)."""
    delay, synapses = projection.delay, projection.synapses
    if isinstance(delay, int):
        yield synapses, None, delay
        return
    for d in np.unique(delay):
        if delay.ndim == 2 and isinstance(synapses, Dense):
            yield Dense(weights=np.where(delay == d, synapses.weights, 0)), None, int(d)
        else:
            yield synapses, delay == d, int(d)


def _arriving(network: Network, run: Activity, name: str, sample: int, step: int, neuron: int) -> Iterator[Arriving]:
    """Give the synapses whose spikes reach one neuron in one step."""
    for projection in network.into(name):
        sent = _raster(run, projection.source, sample)
        for synapses, sources, delay in _by_delay(projection):
            at = step - 1 - delay
            if at < 0:
                continue
            fired = sent[at] if sources is None else sent[at] & sources
            for source in np.flatnonzero(fired):
                weight = _weight(synapses, int(source), neuron)
                if weight:
                    yield Arriving(
                        projection=projection.name,
                        source=projection.source,
                        neuron=int(source),
                        sent_in_step=at,
                        weight=weight,
                    )


def _weight(synapses: Synapses, source: int, target: int) -> int:
    """Return the weight between two neurons, 0 where there is no synapse."""
    if isinstance(synapses, Dense):
        return int(synapses.weights[target, source])
    if isinstance(synapses, Sparse):
        own = slice(synapses.start[source], synapses.start[source + 1])
        return int(synapses.weights[own][synapses.target[own] == target].sum())
    one = np.zeros((1, int(np.prod(synapses.input_shape))), np.bool_)
    one[0, source] = True
    return int(synaptic_sum(synapses, one)[0, target])


def _raster(run: Activity, name: str, sample: int) -> NDArray[np.bool_]:
    dense: NDArray[np.bool_] = run.spikes[name].take(sample, sample + 1).to_dense()[0] != 0
    return dense


def _shifted(raster: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Return the raster ``steps`` later (earlier where negative), filled up with silence."""
    moved = np.zeros_like(raster)
    if steps >= 0:
        moved[steps:] = raster[: len(raster) - steps]
    else:
        moved[:steps] = raster[-steps:]
    return moved


def _permuted(raster: NDArray[np.bool_], shape: tuple[int, ...], axes: tuple[int, ...]) -> NDArray[np.bool_]:
    image = raster.reshape(len(raster), *shape)
    return image.transpose(0, *(1 + a for a in axes)).reshape(raster.shape)


def _one(parameter: int | NDArray[np.int32], neuron: int) -> int:
    return parameter if isinstance(parameter, int) else int(np.ravel(parameter)[neuron])
