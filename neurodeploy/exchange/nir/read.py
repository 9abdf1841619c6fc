"""Import of a NIR file or graph as a ``Network``; values on the chip's grid become integers exactly, others are rounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NirError
from neurodeploy.exchange.nir.graph import Graph, Node
from neurodeploy.exchange.nir.lowering import Clock, Connection, Suffix, clock, connection, find_paths
from neurodeploy.exchange.nir.neurons import (
    NEURON_KINDS,
    SPIKING_KINDS,
    UNIT,
    Discretization,
    FloatNeuron,
    Floats,
    float_neuron,
    highest_voltages,
    node_shape,
)
from neurodeploy.exchange.nir.node_metadata import Reset, exact_inverse, input_of, is_rest
from neurodeploy.exchange.nir.own_metadata import NO_CHANGE, description_of, restore
from neurodeploy.exchange.nir.prepare import opened, prepared, read_neuron
from neurodeploy.exchange.nir.quantize import Grid, Integers, integers, largest_of
from neurodeploy.exchange.nir.readings import AnyReading
from neurodeploy.exchange.nir.repair import Repair
from neurodeploy.network import (
    DECAY_ONE,
    DELAY_MAX,
    STATE_SHIFT,
    WEIGHT_EXPONENT_MIN,
    WEIGHT_MAX,
    Approximation,
    Cuba,
    Input,
    Network,
    NeuronModel,
    Output,
    Population,
    Projection,
    Shape,
    Sparse,
)
from neurodeploy.network.relays import Delayed, relayed, with_relays

if TYPE_CHECKING:
    import nir

    from neurodeploy.exchange.nir.calibrate import Witness
    from neurodeploy.network.activity import Samples


NEVER_FIRES = "can never fire"
"""How the entry of a ledger begins for a read-out that is read by its voltage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The choices that NIR leaves open and the caller makes; see ``from_nir``."""

    dt: float
    discretization: Discretization = "euler"
    weight_bits: int = 8
    strict: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """A flat graph after lowering: shapes of its nodes, connections, their clock, and the ledger so far."""

    graph: Graph
    shapes: Mapping[str, Shape]
    inputs: Mapping[str, Input]
    connections: tuple[Connection, ...]
    clock: Clock
    witness: Witness | None = None
    ledger: list[Approximation] = field(default_factory=list)


def from_nir(
    source: Path | str | nir.NIRGraph | Graph,
    *,
    reading: AnyReading = None,
    dt: float | None = None,
    discretization: Discretization | None = None,
    reset: Reset | None = None,
    weight_bits: int = 8,
    strict: bool = True,
    data: Samples | None = None,
    payload_scale: float = 1.0,
    max_delay: int | None = None,
) -> Network:
    """Return the integer network of a NIR file or graph.

    A file made by ``to_nir`` gives exactly the same network back. Weights, thresholds and decays that lie on the chip's
    grid are imported exactly. Every rounding is in the ledger with its size.

    Args:
        source: path of a ``.nir`` file, or a graph.
        reading: what the framework that wrote the file means by it: a name of ``readings.READINGS``, with ``dt`` and
            ``reset`` as on the command line, for example "norse", "snntorch,reset=subtract". By default it is found out
            where names and parameters tell it safely, which the ledger says, and else the file is taken as NIR says
            ("euler").
        dt: length of a step in seconds; by default inferred from the file (``tau_mem/r``, ``tau_syn/w_in``).
        discretization: meaning of the file's time constants: ``euler`` (``a = dt/tau``) or ``exponential``; as the readings
            of these names.
        reset: what a spike does to the voltage: "zero" sets it to ``v_reset``, as NIR says, and "subtract" takes the
            threshold off; by default what ``to_nir`` recorded, or the only one that the framework has, else "zero".
        weight_bits: bits for weights that have to be rounded, 2 to 8.
        strict: refuse features whose import changes more than rounding does; if False, approximate them and list them in
            the ledger.
        data: samples on which the scale of each population with rounded weights is chosen (``calibrate.py``) and the size
            of each approximation is measured. At most 4 million neuron states are evaluated, from evenly chosen samples if
            there are more. Weights that lie on the grid are not changed. If the events of an input have payloads, the
            input becomes a graded one with the fewest bits that hold them.
        payload_scale: the value that a payload of 1 in ``data`` stands for, for example 1/255 for pixels of 0..255 and a
            graph that was trained on 0..1.
        max_delay: longest delay of a synapse in steps, 0..62; longer ones go through relay neurons (``network.relays``),
            which change no spike. By default a delay beyond 62 is refused.

    Raises:
        DataError: if the data do not fit the inputs of the graph, or their payloads what ``to_nir`` recorded of an input.
        FileError: if the file is missing or damaged.
        NirError: for features that cannot be imported; gives node, field, value and remedy.
        UsageError: for a reading that is not known.
    """
    graph = opened(source, reading=reading, dt=dt, discretization=discretization, reset=reset)
    flat = graph.flat
    choices = Choices(dt=graph.dt, discretization=graph.discretization, weight_bits=weight_bits, strict=strict)
    if data is None and payload_scale != 1:
        raise NirError(
            f"nir: payload_scale is {payload_scale:g}, but there is no data whose payloads it is for; give data"
        )
    if data is not None:
        from neurodeploy.exchange.nir.calibrate import with_payloads

        flat = with_payloads(flat, data, payload_scale)
    plain, delayed = _lowered(flat, choices, graph.repairs, data, graph.notes)
    described = description_of(graph.given)
    if "network" in described:
        restored = restore(plain, delayed, described)
        if isinstance(restored, Network):
            return restored if max_delay is None else with_relays(restored, max_delay)
        plain = replace(plain, ledger=(*plain.ledger, restored))
    return _held(plain, delayed, max_delay)


def network_of(
    graph: Graph,
    choices: Choices,
    repairs: tuple[Repair, ...] = (),
    data: Samples | None = None,
    notes: tuple[Approximation, ...] = (),
) -> Network:
    """Return the network that a flat graph describes, without using the metadata of the graph.

    Args:
        repairs, notes: what the ledger begins with.

    Raises:
        NirError: for features that cannot be imported.
    """
    return _held(*_lowered(graph, choices, repairs, data, notes), None)


def _held(plain: Network, delayed: Sequence[Delayed], max_delay: int | None) -> Network:
    """Return the network with its delays, and relays for those that are longer than ``max_delay``.

    Raises:
        NirError: for a delay beyond the longest of a synapse, where no ``max_delay`` allows relays.
    """
    for d in delayed if max_delay is None else ():
        if d.delay.max() > DELAY_MAX:
            p = d.projection
            raise NirError(
                f"nir: node '{p.name}': a delay of {int(d.delay.max())} steps from '{p.source}' to '{p.target}', the limit "
                f"is {DELAY_MAX}; shorten it, use a larger dt, or put relay neurons in: neurodeploy export FILE --max-delay "
                f"{DELAY_MAX} --out NEW (in Python max_delay={DELAY_MAX})"
            )
    return relayed(plain, delayed, DELAY_MAX if max_delay is None else max_delay)


def _lowered(
    graph: Graph,
    choices: Choices,
    repairs: tuple[Repair, ...],
    data: Samples | None,
    notes: tuple[Approximation, ...],
) -> tuple[Network, list[Delayed]]:
    """Return the network of a flat graph without delays, and its projections with them beside."""
    parts = _taken_apart(prepared(graph), choices)
    if data is not None:
        from neurodeploy.exchange.nir.calibrate import observe

        parts = replace(parts, witness=observe(graph, data, choices.dt, choices.discretization))
    parts.ledger.extend(notes)
    parts.ledger.extend(Approximation(where=r.node or "graph", what=r.what, size=NO_CHANGE) for r in repairs)
    parts.ledger.extend(_payloads(given) for given in parts.inputs.values() if given.graded)
    depth = parts.clock.depth
    neurons = sorted((n for n in parts.shapes if n not in parts.inputs and n in depth), key=lambda n: (depth[n], n))
    populations, delayed = [], list[Delayed]()
    for name in neurons:
        population, own = _population(parts, name, choices)
        populations.append(population)
        delayed += own
    projections = _unique_names([d.projection for d in delayed])
    network = Network(
        inputs=tuple(parts.inputs.values()),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=tuple(_outputs(parts.graph, populations)),
        dt=choices.dt,
        ledger=tuple(parts.ledger),
    )
    return network, [Delayed(projection=p, delay=d.delay) for p, d in zip(projections, delayed)]


def _taken_apart(graph: Graph, choices: Choices) -> _Parts:
    nodes = graph.nodes.values()
    inputs = [n.name for n in nodes if n.kind == "Input"]
    neurons = [n.name for n in nodes if n.kind in NEURON_KINDS]
    _check_ends(graph, inputs, neurons)
    shapes = {name: node_shape(graph.nodes[name]) for name in (*inputs, *neurons)}
    connections = tuple(c for name in neurons for c in connections_into(graph, name, choices))
    found = clock(connections, inputs, [n for n in neurons if _driven(graph.nodes[n], connections, choices)])
    for name in neurons:
        if name not in found.depth:
            raise NirError(
                f"nir: {graph.origin}: no path leads from an Input to node '{name}', and it has no bias; connect or "
                "remove it"
            )
    given = {name: input_of(graph.nodes[name], shapes[name][-3:]) for name in inputs}
    return _Parts(graph, shapes, given, connections, found)


def _driven(node: Node, connections: tuple[Connection, ...], choices: Choices) -> bool:
    """Return whether a neuron runs without input: it has a bias, and no connection from other nodes."""
    if any(c.target == node.name and c.source != node.name for c in connections):
        return False
    return bool(np.any(float_neuron(node, choices.dt, choices.discretization).bias != 0))


def connections_into(graph: Graph, target: str, choices: Choices) -> Iterator[Connection]:
    """Yield the connections into a neuron node; from an Input with payloads, the weights are those of a payload of 1.

    Raises:
        NirError: if something other than spikes arrives, or a node on the way cannot be imported.
    """
    size = int(np.prod(node_shape(graph.nodes[target])))
    seen: set[Suffix] = set()
    for path in find_paths(graph, target):
        source = graph.nodes[path.source]
        if source.kind != "Input" and source.kind not in SPIKING_KINDS:
            raise NirError(
                f"nir: node '{source.name}' ({source.kind}) gives a voltage to '{target}', but neurons on the chip exchange "
                "spikes; an LI, CubaLI or I can only be read by an Output, or be followed by a Threshold (LI)"
            )
        found = connection(path, node_shape(source), size, choices.dt, seen=seen)
        yield _of_payloads(found, source) if source.kind == "Input" else found


def _of_payloads(connection: Connection, source: Node) -> Connection:
    """Return the connection with the weights of a payload of 1 instead of a value of 1."""
    scale = input_of(source, node_shape(source)[-3:]).scale
    if scale == 1:
        return connection
    weights = connection.weights.astype(np.float64)
    inverse = exact_inverse(scale)
    return replace(connection, weights=weights * scale if inverse is None else weights / inverse)


def _payloads(given: Input) -> Approximation:
    low, high = given.payload_range
    value = "" if given.scale == 1 else f"; a payload of 1 is the value {given.scale:g}"
    what = f"graded input: payloads of {given.payload_bits} bits, {low}..{high}{value}"
    return Approximation(where=given.name, what=what, size=NO_CHANGE)


def _check_ends(graph: Graph, inputs: list[str], neurons: list[str]) -> None:
    if not inputs:
        raise NirError(f"nir: {graph.origin} has no Input node; add one")
    if not any(n.kind == "Output" for n in graph.nodes.values()):
        raise NirError(f"nir: {graph.origin} has no Output node; add one")
    if not neurons:
        raise NirError(f"nir: {graph.origin} has no neurons; supported: {', '.join(SPIKING_KINDS[:3])}, ...")


def _population(parts: _Parts, name: str, choices: Choices) -> tuple[Population, list[Delayed]]:
    """Return the integer population of a neuron node and the projections into it, with their delays beside them."""
    own = [(i, c) for i, c in enumerate(parts.connections) if c.target == name]
    node = parts.graph.nodes[name]
    plain = float_neuron(node, choices.dt, choices.discretization)
    neuron, currents = _with_currents(plain, own)
    if _is_voltage_read_out(parts, name, neuron):
        parts.ledger.append(_read_by_voltage(name, neuron, highest_voltages(neuron, _most(parts, name))))
        own = [(i, c) for i, c in own if c.source != name]
        plain, neuron = replace(plain, threshold=None, at=False), replace(neuron, threshold=None, at=False)
    elif neuron.threshold is not None and np.any(np.isinf(neuron.threshold)):
        raise NirError(
            f"nir: node '{name}' ({node.kind}): v_threshold holds inf, so that neurons can never fire; expected finite "
            "numbers, but for a node that only an Output reads"
        )
    delays = [_delay(parts, i, choices.strict) for i, _ in own]
    parts.ledger.extend(_readings(node, neuron))
    own = _with_rounded_resets(parts, own)
    whole = _in_integers(parts, name, choices, plain, neuron, own, delays, currents)
    model, unit_back, differs = _at_threshold(name, whole, plain.at)
    parts.ledger.extend(differs)
    projections = [_last_unit(name, parts.shapes[name])] if unit_back else []
    for (_, c), (weights, exponent), delay in zip(own, whole.weights, delays):
        if c.said:
            parts.ledger.append(Approximation(where=c.name, what=c.said, size=NO_CHANGE))
        bare = Projection(
            name=c.name, source=c.source, target=name, synapses=c.synapses(weights), weight_exponent=exponent
        )
        projections.append(Delayed(projection=bare, delay=delay))
    shape = parts.shapes[name]
    population = Population(name=name, shape=shape[-3:], model=model, first_step=parts.clock.start[name])
    return population, projections


def _is_voltage_read_out(parts: _Parts, name: str, neuron: FloatNeuron) -> bool:
    """Return whether a node can never fire, only an Output reads it, and the file is none of neurodeploy's own."""
    if neuron.threshold is None or "network" in description_of(parts.graph):
        return False
    if any(c.source == name and c.target != name for c in parts.connections):
        return False
    return bool(np.all(highest_voltages(neuron, _most(parts, name)) <= neuron.threshold))


def _most(parts: _Parts, name: str) -> Floats:
    """Return the most that arrives in a step at each neuron of a node: where all that excite it fire at once."""
    shape = parts.shapes[name]
    total = np.zeros(int(np.prod(shape)))
    for c in parts.connections:
        if c.target == name and c.source != name:
            given = parts.inputs.get(c.source)
            low, high = (0, 1) if given is None else given.payload_range
            total += c.most(low, high)
    return total.reshape(shape)


def _read_by_voltage(name: str, neuron: FloatNeuron, highest: Floats) -> Approximation:
    threshold = np.asarray(neuron.threshold)
    why = "its threshold is infinite"
    if not np.all(np.isinf(threshold)):
        share = float(np.max(np.where(np.isinf(threshold), 0.0, highest / np.where(threshold > 0, threshold, 1.0))))
        why = f"its voltage stays below {share:.2g} of the threshold"
    what = f"{NEVER_FIRES} ({why}), so it is read by its voltage"
    return Approximation(where=name, what=what, size=NO_CHANGE)


def _is_rest(parts: _Parts, connection: Connection) -> bool:
    return connection.name in parts.graph.nodes and is_rest(parts.graph.nodes[connection.name])


def _with_rounded_resets(parts: _Parts, own: Sequence[tuple[int, Connection]]) -> list[tuple[int, Connection]]:
    """Return the connections with the rests of resets on grids of their own, which leave the other weights where they are.

    Their weights are a small share of the threshold, so they get 8 bits and an exponent of their own.
    """
    found = []
    for i, c in own:
        largest = float(np.max(np.abs(c.weights), initial=0.0))
        if largest > 0 and _is_rest(parts, c):
            unit = 2.0 ** max(np.ceil(np.log2(largest * UNIT / WEIGHT_MAX)), WEIGHT_EXPONENT_MIN) / UNIT
            rounded = np.rint(c.weights / unit) * unit
            change = float(np.max(np.abs(rounded - c.weights)))
            if change > 0:
                what = "connections for the rest of a reset rounded to 8 bits"
                size = f"at most {change:.3g} of a largest of {largest:.3g}"
                parts.ledger.append(Approximation(where=c.name, what=what, size=size))
            c = replace(c, weights=rounded)
        found.append((i, c))
    return found


def _at_threshold(name: str, whole: Integers, at: bool) -> tuple[NeuronModel, bool, list[Approximation]]:
    """Return neurons that fire at the threshold as well, if ``at``, and an entry for the ledger where they cannot.

    The chip's neurons fire above it. Where voltages are whole weight units (no leak, or none that lasts), a threshold one
    unit lower says the same. If they take it off and do not forget, a unit is left, which a synapse of each neuron onto
    itself takes off in the next step, before the voltage is looked at again; the second value says that it is needed.
    """
    model = whole.model
    if not at or not isinstance(model, Cuba):
        return model, False, []
    whole_units = (
        np.all(np.equal(model.current_decay, DECAY_ONE))
        and np.all(np.isin(model.voltage_decay, (0, DECAY_ONE)))
        and np.all(np.asarray(model.bias) % 2**STATE_SHIFT == 0)
        and all(exponent >= 0 for _, exponent in whole.weights)
    )
    lower = whole_units and bool(np.all(np.greater(model.threshold, 0)))
    if lower and (model.reset == "zero" or np.all(np.equal(model.voltage_decay, DECAY_ONE))):
        return replace(model, threshold=model.threshold - 1), False, []
    if lower and np.all(np.equal(model.voltage_decay, 0)):
        return replace(model, threshold=model.threshold - 1), True, []
    what = "fires above the threshold, where the framework fires at it as well"
    return model, False, [Approximation(where=name, what=what, size="where a voltage is exactly the threshold")]


def _last_unit(name: str, shape: Shape) -> Delayed:
    """Return the synapses that take off what a threshold one unit lower leaves of a reset by subtraction."""
    n = int(np.prod(shape))
    synapses = Sparse(
        n_target=n,
        start=np.arange(n + 1),
        target=np.arange(n, dtype=np.int32),
        weights=np.full(n, -1, np.int16),
    )
    own = Projection(name=f"{name}.reset", source=name, target=name, synapses=synapses)
    return Delayed(projection=own, delay=np.asarray(0, np.int64))


def _in_integers(
    parts: _Parts,
    name: str,
    choices: Choices,
    plain: FloatNeuron,
    neuron: FloatNeuron,
    own: Sequence[tuple[int, Connection]],
    delays: Sequence[NDArray[np.int64]],
    currents: list[Approximation],
) -> Integers:
    """Return a population in integers, with its scale chosen on the data if there are any; add entries to the ledger."""
    weights = [c.weights for _, c in own]
    lowest = _lowest_exponents(parts, own)
    if parts.witness is None:
        whole = integers(name, neuron, weights, choices.weight_bits, lowest=lowest)
        parts.ledger.extend((*currents, *whole.rounded))
        return whole
    from neurodeploy.exchange.nir.calibrate import choose, effect, trial_of

    start = parts.clock.start
    lags = [d + 1 + start[c.source] - start[name] for d, (_, c) in zip(delays, own)]
    trial = trial_of(parts.witness, name, [c for _, c in own], lags, plain, neuron, lowest)

    def chosen(gain: Floats, default: Grid) -> Grid:
        grid, entry = choose(trial, gain, default, choices.weight_bits)
        parts.ledger.append(entry)
        return grid

    measure = partial(effect, trial)
    whole = integers(name, neuron, weights, choices.weight_bits, lowest=lowest, choose=chosen, measure=measure)
    parts.ledger.extend(replace(e, size=e.size + effect(trial, "constant", None)) for e in currents)
    parts.ledger.extend(whole.rounded)
    return whole


def _lowest_exponents(parts: _Parts, own: Sequence[tuple[int, Connection]]) -> list[int]:
    """Return the lowest exponent of each connection for weights to be rounded.

    Rests of resets, which are small beside the weights, get exponents with which they use the whole grid as well.
    """
    lowest = [_lowest_exponent(parts.inputs.get(c.source)) for _, c in own]
    sizes = [largest_of([c.weights]) for _, c in own]
    rests = [_is_rest(parts, c) for _, c in own]
    others = max((s / 2.0**e for s, e, rest in zip(sizes, lowest, rests) if not rest), default=0.0)
    for k, rest in enumerate(rests):
        if rest and 0 < sizes[k] < others:
            lowest[k] = max(int(np.ceil(np.log2(sizes[k] / others))), WEIGHT_EXPONENT_MIN)
    return lowest


def _lowest_exponent(source: Input | None) -> int:
    """Return the lowest exponent for weights to be rounded: with it the largest payload counts as about one spike."""
    return 0 if source is None or not source.graded else max(1 - source.payload_bits, WEIGHT_EXPONENT_MIN)


def _readings(node: Node, neuron: FloatNeuron) -> Iterator[Approximation]:
    """Yield ledger entries for the choices that were made where NIR leaves the meaning open."""
    if neuron.reset == "subtract":
        what = "reset by subtraction: a spike takes the threshold off the voltage"
        yield Approximation(where=node.name, what=what, size=NO_CHANGE)
    if np.any(neuron.v_reset != 0):
        yield Approximation(
            where=node.name,
            what="the voltage starts at v_reset; NIR does not say where",
            size=f"up to {np.max(np.abs(neuron.v_reset)):g} in the first voltage of a sample",
        )
    if node.kind in ("IF", "I") and np.all(neuron.voltage_gain == 1) and np.all(np.asarray(node.fields["r"]) == 1):
        yield Approximation(
            where=node.name,
            what="r = 1 read as one unit of voltage for one unit of input in a step",
            size="read as dv/dt = r I, the input would be dt times as strong",
        )


def _with_currents(
    neuron: FloatNeuron, own: Sequence[tuple[int, Connection]]
) -> tuple[FloatNeuron, list[Approximation]]:
    """Return the neuron with the constant currents of Affine and Conv nodes added to its bias, and entries for the ledger.

    A constant current ``c`` through the current filter is ``c/a (1 - (1 - a)**(t + 1))`` in step ``t``. If ``a`` is 1 it has
    its full size at once; else it grows, while the chip's bias is ``c/a`` from the first step (``docs/notes/nir.md`` 4.4).
    """
    changes = []
    for _, c in own:
        if c.bias is None:
            continue
        if np.any(neuron.current_factor == 0):
            raise NirError(
                f"nir: node '{c.name}': bias into '{c.target}', whose current never decays, grows without "
                "limit; give the current a decay, or move the bias to v_leak"
            )
        neuron = replace(neuron, bias=neuron.bias + c.bias.reshape(neuron.shape) * neuron.gain / neuron.current_factor)
        factor = float(neuron.current_factor.min())
        if factor < 1 - 1e-9:
            settled = int(np.ceil(np.log(0.01) / np.log1p(-factor)))
            changes.append(
                Approximation(
                    where=c.name,
                    what="constant current taken as a bias of the voltage",
                    size=f"differs during about the first {1 / factor:.0f} steps of a sample: {1 / factor:.3g} times too "
                    f"strong in the first one, less than 1 % after {settled}",
                )
            )
    return neuron, changes


def _delay(parts: _Parts, i: int, strict: bool) -> NDArray[np.int64]:
    """Return the delay on the chip's clock: NIR's delay minus the steps that the difference in depth already takes."""
    c, start = parts.connections[i], parts.clock.start
    recurrent = i in parts.clock.recurrent
    more = start[c.target] - start[c.source] - (0 if recurrent else 1)
    delay = c.delay + more
    if delay.min() < 0:
        if strict:
            raise NirError(
                f"nir: node '{c.name}': the cycle from '{c.source}' back to '{c.target}' needs a Delay of at least "
                f"{-int(delay.min())} more steps, because each population on the way costs one; add it (in Python, "
                "strict=False lets the feedback arrive late)"
            )
        late = f"up to {-int(delay.min())} steps later than in NIR"
        parts.ledger.append(Approximation(where=c.name, what="feedback arrives late", size=late))
        delay = np.maximum(delay, 0)
    if more > 0 and not recurrent and not c.delay.any():
        what = f"skip connection delayed by {more} steps, so that all paths are equally deep"
        parts.ledger.append(Approximation(where=c.name, what=what, size=NO_CHANGE))
    return np.asarray(delay.flat[0]) if np.all(delay == delay.flat[0]) else delay


def _unique_names(projections: list[Projection]) -> list[Projection]:
    """Return the projections with unique names: source and target are added where a node lies on several paths."""
    names = [p.name for p in projections]
    taken: set[str] = set()
    unique = []
    for p in projections:
        wanted = p.name if names.count(p.name) == 1 else f"{p.source}_{p.name}_{p.target}"
        name = next(n for n in (wanted, *(f"{wanted}_{i}" for i in range(2, len(names) + 2))) if n not in taken)
        taken.add(name)
        unique.append(replace(p, name=name))
    return unique


def _outputs(graph: Graph, populations: Sequence[Population]) -> Iterator[Output]:
    spiking = {p.name for p in populations if isinstance(p.model, Cuba)}
    for node in graph.nodes.values():
        if node.kind != "Output":
            continue
        read = read_neuron(graph, node)
        if read is None:
            raise NirError(f"nir: {graph.origin}: Output '{node.name}' reads no neuron; connect it to one")
        yield Output(name=node.name, population=read, decoding="count" if read in spiking else "last_voltage")
