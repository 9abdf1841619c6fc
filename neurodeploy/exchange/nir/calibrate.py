"""Calibration on data: the choice of a population's weight grid, and the measured effect of each approximation.

The reference is the float interpreter (``interpreter.py``). Each population is tested alone: it gets the spikes that the
float network sends, and its spikes and voltages are compared with the float ones. So changes in earlier layers have no
influence, and populations can be tested in any order. The best grid is the one with the fewest differing spikes, then the
one with the closest voltages; for a read-out only the voltages count. The search goes through a fixed list of grids, so
it ends, and the same data give the same grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import DataError, NetworkError, NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.interpreter import interpret
from neurodeploy.exchange.nir.lowering import Connection
from neurodeploy.exchange.nir.neurons import (
    NEURON_KINDS,
    STATE_UNIT,
    UNIT,
    Discretization,
    FloatNeuron,
    Floats,
    after_reset,
    node_shape,
)
from neurodeploy.exchange.nir.node_metadata import KEY, Reset, input_entry, input_of
from neurodeploy.exchange.nir.ops import window_sum
from neurodeploy.exchange.nir.quantize import TOP, Grid, Weights, largest_scaled, level_limit, levels, on_chosen
from neurodeploy.network import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    WEIGHT_EXPONENT_MAX,
    WEIGHT_EXPONENT_MIN,
    Approximation,
    Input,
)
from neurodeploy.network.activity import Events, Samples

Run: TypeAlias = tuple[NDArray[np.bool_], Floats]
"""Spikes and voltages (before the reset), ``(samples, steps, size)``."""
MAX_STATES = 2**22
"""Largest number of states (neurons times steps times samples, inputs included); with more data, evenly chosen samples."""
_FINENESS = 2**0.25
"""Ratio between consecutive scales in the search."""
_CLIPPED = 4.0
"""Largest ratio of a weight to the end of the grid in the search; weights beyond the end are clipped to it."""
_COARSEST = 64
"""Steps of ``_FINENESS`` by which the search starts lower where states would come near 24 bits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Witness:
    """The float run on the data: spikes and voltages by node, inputs included, ``(samples, steps, size)``.

    Spikes are bool; of a graded input they are the payloads, int32.
    """

    name: str
    spikes: Mapping[str, NDArray[Any]]
    voltages: Mapping[str, Floats]


def observe(graph: Graph, data: Samples, dt: float, discretization: Discretization) -> Witness:
    """Return the run of a flat float graph on the data, or on evenly chosen samples if there are many.

    Raises:
        DataError: if the data do not fit the inputs of the graph.
    """
    rasters = _rasters(graph, data)
    values = {name: raster * input_at(graph.nodes[name]).scale for name, raster in rasters.items()}
    run = interpret(graph, values, dt=dt, discretization=discretization)
    n_samples, n_steps = next(iter(rasters.values())).shape[:2]
    part = "" if n_samples == data.n_samples else f" of {data.n_samples}"
    flat = {name: s.reshape(n_samples, n_steps, -1) for name, s in (*rasters.items(), *run.spikes.items())}
    return Witness(
        name=f"{data.name or 'the data'} ({n_samples}{part} samples of {n_steps} steps)",
        spikes=flat,
        voltages={name: v.reshape(n_samples, n_steps, -1) for name, v in run.voltages.items()},
    )


def input_at(node: Node) -> Input:
    """Return the input that an Input node stands for."""
    return input_of(node, node_shape(node)[-3:])


def with_payloads(graph: Graph, data: Samples, scale: float = 1.0) -> Graph:
    """Return the flat graph with the payloads of the data in the metadata of its Inputs, in the fewest bits that hold them.

    An input whose payloads are all 1 keeps its plain spikes.

    Args:
        scale: the value that a payload of 1 stands for. What ``to_nir`` recorded of an Input stays as it is.

    Raises:
        DataError: for payloads that a recorded Input does not take, and for data that do not fit the inputs of the graph.
        NirError: for a ``scale`` that is no positive number, or for data without payloads.
    """
    nodes = dict(graph.nodes)
    graded = {name: events.payload for name, events in _given(graph, data).items() if events.payload is not None}
    if scale != 1 and not graded:
        raise NirError(f"nir: payload_scale is {scale:g}, but no event of the data has a payload; leave it out")
    for name, payload in graded.items():
        node, low, high = graph.nodes[name], int(payload.min(initial=0)), int(payload.max(initial=0))
        recorded = input_at(node)
        if recorded.graded:
            _check_recorded(recorded, low, high, scale)
            continue
        if scale == 1 and np.all(payload == 1):
            continue
        bits = max(high, -low - 1).bit_length() + (low < 0)
        try:
            own = replace(recorded, payload_bits=max(bits, 1 + (low < 0)), signed=low < 0, scale=scale)
        except NetworkError as error:
            raise NirError(f"nir: payload_scale: {error}") from error
        nodes[name] = replace(node, metadata={**node.metadata, KEY: input_entry(own)})
    return replace(graph, nodes=nodes)


def _check_recorded(recorded: Input, low: int, high: int, scale: float) -> None:
    least, most = recorded.payload_range
    if high > most or low < min(least, 0):
        raise DataError(
            f"nir: the data hold payloads from {low} to {high}, but the file says that input '{recorded.name}' takes "
            f"{least}..{most}; give data of the same coding"
        )
    if scale not in (1.0, recorded.scale):
        raise NirError(
            f"nir: payload_scale is {scale:g}, but the file says that a payload of 1 at input '{recorded.name}' stands for "
            f"{recorded.scale:g}; leave payload_scale out"
        )


def _given(graph: Graph, data: Samples) -> dict[str, Events]:
    """Return the events for each Input of the graph; a single input takes data under any name."""
    sizes = {n.name: int(np.prod(node_shape(n))) for n in graph.nodes.values() if n.kind == "Input"}
    given = dict(data.inputs)
    if len(sizes) == len(given) == 1:
        given = dict(zip(sizes, given.values()))
    wrong = [name for name in sizes if name not in given or given[name].size != sizes[name]]
    if wrong or len(sizes) != len(given):
        have = ", ".join(f"'{name}' of {events.size}" for name, events in data.inputs.items())
        want = ", ".join(f"'{name}' of {size}" for name, size in sizes.items())
        raise DataError(f"nir: the data hold the inputs {have}, but the graph has {want}; give data of the same inputs")
    if not data.n_samples or not data.n_steps:
        raise DataError(
            f"nir: the data hold {data.n_samples} samples of {data.n_steps} steps; give at least one of each"
        )
    return given


def _rasters(graph: Graph, data: Samples) -> dict[str, NDArray[Any]]:
    """Return the inputs as rasters ``(samples, steps, size)``: payloads (int32) of graded ones, bool of the others."""
    given = _given(graph, data)
    states = data.n_steps * sum(
        int(np.prod(node_shape(n))) for n in graph.nodes.values() if n.kind in ("Input", *NEURON_KINDS)
    )
    n = int(np.clip(MAX_STATES // max(states, 1), 1, data.n_samples))
    chosen = np.linspace(0, data.n_samples - 1, n).round().astype(int)
    dense = {
        name: np.concatenate([events.take(i, i + 1).to_dense() for i in chosen.tolist()])
        for name, events in given.items()
    }
    return {name: raster if input_at(graph.nodes[name]).graded else raster != 0 for name, raster in dense.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """A population under test: its input on the data, its float neuron before rounding, and the float run to compare with.

    Args:
        connections: the connections into the population; ``lags`` gives for each connection the steps from sending to
            arrival, int64 with the shape of ``Connection.delay``.
        neuron: the float neuron; its bias includes the constant currents.
        constant: the constant current itself, ``(size,)``; ``bias``: the neuron's bias without it.
        arriving: summed input without the constant, ``(samples, steps, size)``.
        lowest: the lowest exponent of each connection, as in ``integers``.
    """

    where: str
    witness: Witness
    connections: Sequence[Connection]
    lags: Sequence[NDArray[np.int64]]
    neuron: FloatNeuron
    bias: Floats
    constant: Floats
    arriving: Floats
    lowest: Sequence[int]

    def sums(self, i: int, weights: Weights) -> Floats:
        """Return the summed input through connection ``i`` with the given weights, ``(samples, steps, size)``."""
        return self._summed(i, weights, None)

    def whole_sums(self, i: int, weights: NDArray[np.int16], exponent: int) -> Floats:
        """Return the sums of integer weights, times ``2**exponent`` and rounded down as on the chip."""
        return self._summed(i, weights.astype(np.float64), exponent)

    def _summed(self, i: int, weights: Weights, exponent: int | None) -> Floats:
        c, lag = self.connections[i], self.lags[i]
        sent = self.witness.spikes[c.source]
        total = np.zeros((*sent.shape[:2], self.neuron.bias.size))
        for n in np.unique(lag):
            if lag.ndim == 2:
                own, part = sent, np.where(lag == n, weights, 0)
            else:
                own, part = (sent if np.all(lag == n) else sent * (lag == n)), weights
            if n < sent.shape[1]:
                arrived = _sum(c, part, own[:, : sent.shape[1] - n])
                total[:, n:] += arrived if exponent is None else np.floor(arrived * 2.0**exponent)
        return total

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Spikes of the population in the float run."""
        found: NDArray[np.bool_] = self.witness.spikes[self.where]
        return found


def trial_of(
    witness: Witness,
    where: str,
    connections: Sequence[Connection],
    lags: Sequence[NDArray[np.int64]],
    plain: FloatNeuron,
    neuron: FloatNeuron,
    lowest: Sequence[int] | None = None,
) -> Trial:
    """Return the trial of a population; ``plain`` has the node's bias, ``neuron`` a bias that includes constant currents."""
    constant = sum((c.bias for c in connections if c.bias is not None), np.zeros(plain.bias.size))
    empty = Trial(
        where=where,
        witness=witness,
        connections=connections,
        lags=lags,
        neuron=neuron,
        bias=plain.bias,
        constant=constant,
        arriving=np.zeros((1, 1, 1)),
        lowest=lowest or [0] * len(connections),
    )
    shape = witness.voltages[where].shape
    arriving = sum((empty.sums(i, c.weights) for i, c in enumerate(connections)), np.zeros(shape))
    return replace(empty, arriving=arriving)


def _sum(c: Connection, weights: Weights, sent: NDArray[Any]) -> Floats:
    """Return the summed input of spikes or payloads ``(samples, steps, n_source)``, ``(samples, steps, n_target)``."""
    span = sent.shape[:2]
    if c.form is None:
        from neurodeploy.exchange.nir.sparse_matrix import sums_of_rows  # loads numba, so on first use

        flat = np.array(sent.reshape(-1, sent.shape[2]), np.float64, order="C")
        return sums_of_rows(flat, np.array(weights.T, np.float64, order="C")).reshape(*span, -1)
    form = replace(c.form, kernel=np.broadcast_to(weights, c.form.kernel.shape).astype(np.float64))
    image = sent.reshape(-1, *form.input_shape).astype(np.float64)
    return window_sum(form, image).reshape(*span, -1)


def float_run(neuron: FloatNeuron, arriving: Floats) -> Run:
    """Return spikes and voltages (before the reset) of a float neuron, ``(samples, steps, size)``."""
    n_samples, n_steps, size = arriving.shape
    current, voltage = np.zeros((n_samples, size)), np.zeros((n_samples, size))
    spikes, voltages = np.zeros(arriving.shape, np.bool_), np.zeros(arriving.shape)
    flat = {name: np.ravel(getattr(neuron, name)) for name in _FACTORS}
    threshold = np.inf if neuron.threshold is None else np.ravel(neuron.threshold)
    for t in range(n_steps):
        current = (1 - flat["current_factor"]) * current + flat["current_gain"] * arriving[:, t]
        voltage = (1 - flat["voltage_factor"]) * voltage + flat["voltage_gain"] * current + flat["bias"]
        voltages[:, t] = voltage
        spikes[:, t] = voltage > threshold
        voltage = after_reset(neuron, voltage, spikes[:, t], np.asarray(threshold))
    return spikes, voltages


_FACTORS = ("current_factor", "voltage_factor", "current_gain", "voltage_gain", "bias")


def integer_run(
    values: Mapping[str, Floats], arriving: Floats, reset: Reset = "zero"
) -> tuple[NDArray[np.bool_], Floats, bool]:
    """Return spikes and voltages (before the reset) of an integer neuron, and whether a state came near 24 bits.

    Computes as ``network.Cuba``; all numbers stay below 2**53, so float64 holds them exactly.

    Args:
        values: ``levels`` of the neuron.
        arriving: summed integer weights, whole numbers, ``(samples, steps, size)``.
        reset: of the neuron.
    """
    kept_u, kept_v = (DECAY_ONE - np.ravel(values[name]) for name in ("current_decay", "voltage_decay"))
    threshold = np.ravel(values["threshold"]) * 2**STATE_SHIFT if "threshold" in values else np.inf
    bias = np.ravel(values["bias"])
    u, v = np.zeros(arriving[:, 0].shape), np.zeros(arriving[:, 0].shape)
    spikes, voltages = np.zeros(arriving.shape, np.bool_), np.zeros(arriving.shape)
    largest = 0.0
    for t in range(arriving.shape[1]):
        u = np.trunc(u * kept_u / DECAY_ONE) + arriving[:, t] * 2**STATE_SHIFT
        v = np.trunc(v * kept_v / DECAY_ONE) + u + bias
        largest = max(largest, float(np.abs(u).max(initial=0)), float(np.abs(v).max(initial=0)))
        voltages[:, t] = v
        spikes[:, t] = v > threshold
        v = np.where(spikes[:, t], v - threshold if reset == "subtract" else 0.0, v)
    return spikes, voltages, largest > STATE_LIMIT / 2


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """Distance of the integer run from the float run: number of differing spikes, then RMS difference of the voltages."""

    spikes: int
    voltage: float


def score(trial: Trial, gain: Floats, grid: Grid, weight_bits: int) -> Score | None:
    """Return the distance of a population on a grid from the float run, None if its states come near 24 bits."""
    values = levels(trial.neuron, gain, grid.units(trial.neuron.shape))
    threshold = trial.neuron.threshold
    if threshold is not None and np.any((threshold > 0) & (values["threshold"] < 1)):
        return None
    arriving = np.zeros(trial.arriving.shape)
    whole = on_chosen([c.weights for c in trial.connections], grid, weight_bits)
    for i, (weights, exponent) in enumerate(whole):
        arriving += trial.whole_sums(i, weights, exponent)
    spikes, voltages, near = integer_run(values, arriving, trial.neuron.reset)
    if near:
        return None
    ours = spikes, voltages * (np.ravel(gain) / (STATE_UNIT * grid.scale))
    theirs = trial.witness.voltages[trial.where]  # each in the unit of its neuron, so that small ones count alike
    return _compared((trial.scored, theirs if grid.rows is None else theirs * grid.rows), ours)


def _compared(theirs: Run, ours: Run) -> Score:
    off = float(np.sqrt(np.mean((ours[1] - theirs[1]) ** 2)))
    return Score(int(np.count_nonzero(ours[0] != theirs[0])), off)


def choose(trial: Trial, gain: Floats, default: Grid, weight_bits: int) -> tuple[Grid, Approximation]:
    """Return the grid with the best score, at least as good as ``default``, and an entry for the ledger."""
    best, lowest, tried = _start(trial, gain, default, weight_bits)
    first = lowest if best == default else None
    for grid in grids(trial, gain, best):
        found, tried = score(trial, gain, grid, weight_bits), tried + 1
        if found is not None and (lowest is None or found < lowest):
            best, lowest = grid, found
    what = (
        f"scale chosen on {trial.witness.name}: {best}, of {tried} that with "
        "the fewest spikes, then the least voltage beside the floats'"
    )
    return best, Approximation(where=trial.where, what=what, size=_size(trial, lowest, first))


def _start(trial: Trial, gain: Floats, default: Grid, weight_bits: int) -> tuple[Grid, Score | None, int]:
    """Return the default grid, or the first coarser one whose states stay away from 24 bits.

    With it come its score, None if there is no such grid, and the number of grids that were tried.
    """
    for k in range(_COARSEST):
        grid = replace(default, scale=default.scale / _FINENESS**k)
        found = score(trial, gain, grid, weight_bits)
        if found is not None:
            return grid, found, k + 1
    return default, None, _COARSEST


def _size(trial: Trial, lowest: Score | None, first: Score | None) -> str:
    if lowest is None:
        return "not measured: states come near 24 bits under every scale"
    unit = "" if trial.neuron.threshold is None else " of the threshold"
    share = lowest.voltage / (1.0 if trial.neuron.threshold is None else float(np.mean(trial.neuron.threshold)) or 1.0)
    voltage = f"the voltage by {share:.3g}{unit} (root mean square)"
    if trial.neuron.threshold is None:
        return f"fed with the floats' spikes, {voltage}"
    before = (
        ""
        if first is None or first.spikes == lowest.spikes
        else f" ({first.spikes} with the largest weight at the end)"
    )
    return f"fed with the floats' spikes, {_differing(lowest, trial)}{before}, {voltage}"


def grids(trial: Trial, gain: Floats, default: Grid) -> Iterator[Grid]:
    """Yield the grids to try: scales in geometric progression, for each the exponents that clip least and coarser variants.

    A variant lowers the exponent of one projection by 1, so that more of its weights are clipped. Projections with larger
    weights get larger exponents, so that all of them use the whole grid.
    """
    largest = np.array([largest_scaled(c.weights, default.rows) * UNIT for c in trial.connections])
    lowest = np.asarray(trial.lowest)
    used = largest[largest > 0]
    if not used.size:
        return
    low = default.scale / _FINENESS
    reached = float(np.min(used / 2.0 ** lowest[largest > 0]))
    high = min(_CLIPPED * TOP / reached, TOP * 2.0**WEIGHT_EXPONENT_MAX / float(used.max()))
    high = min(high, level_limit(trial.neuron, gain, default.rows))
    for k in range(int(np.floor(np.log(max(high / low, 1.0)) / np.log(_FINENESS))) + 1):
        scale = low * _FINENESS**k
        needed = (
            np.ceil(np.log2(np.maximum(scale * largest, 1e-300) / TOP)).clip(lowest, WEIGHT_EXPONENT_MAX).astype(int)
        )
        smallest = np.argmin(np.where(largest > 0, needed - lowest, WEIGHT_EXPONENT_MAX - WEIGHT_EXPONENT_MIN + 1))
        needed[smallest] = lowest[smallest]
        yield replace(default, scale=scale, exponents=tuple(needed.tolist()))
        for i in np.nonzero(needed > lowest)[0]:
            less = needed - (np.arange(needed.size) == i)
            yield replace(default, scale=scale, exponents=tuple(less.tolist()))


def effect(trial: Trial, what: str, value: Any) -> str:
    """Return in words the effect of one approximation alone on the data, to be appended to its size in the ledger.

    Args:
        what: ``weights`` (then ``value`` is ``(connection, whole weights, unit)``), ``constant``, or a level of the neuron
            (then ``value`` is its new value in NIR units, decays as a fraction).
    """
    arriving, neuron = trial.arriving + trial.constant, replace(trial.neuron, bias=trial.bias)
    theirs = trial.scored, trial.witness.voltages[trial.where]
    if what == "weights":
        i, whole, unit = value
        arriving = arriving + trial.sums(i, whole * unit - trial.connections[i].weights)
    elif what in ("constant", "bias"):
        arriving, neuron = trial.arriving, trial.neuron
        if what == "bias":  # compared with the unrounded bias, so that the constant current in it does not count
            theirs = float_run(neuron, arriving)
            neuron = replace(neuron, bias=np.asarray(value))
    else:
        name = {"current_decay": "current_factor", "voltage_decay": "voltage_factor"}.get(what, what)
        changed: dict[str, Any] = {name: np.asarray(value)}
        neuron = replace(neuron, **changed)
    return f"; on the data, by this alone, {_alone(_compared(theirs, float_run(neuron, arriving)), trial)}"


def _alone(found: Score, trial: Trial) -> str:
    if trial.neuron.threshold is None:
        return f"the voltage differs by {found.voltage:.3g} (root mean square)"
    return _differing(found, trial)


def _differing(found: Score, trial: Trial) -> str:
    return f"the spike differs in {found.spikes} of {trial.scored.size} neuron steps"
