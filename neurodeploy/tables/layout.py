"""The layout of a network as C: every table in flash and every state in RAM to the byte, and how each layer is computed.

``plan_tables`` is a pure function; ``targets/c`` writes code from its ``Layout``, and cost estimates read bytes and formats
from it. How a step runs, which fixes the states that are needed:

- A spike that takes no delay is added to the current of its target at once, which has decayed already (mode ``now``): a
  neuron needs current and voltage, 8 bytes, and no sum beside them.
- Delayed spikes wait in a ring of rows of sums, one ring a population (``ring``).
- A projection has sums of its own for a step (``sum``) where its sum as a whole is rounded (a negative exponent), wraps
  (a convolution that may leave 24 bits), or is added two neurons at a time (the format ``lanes``).
- Populations are updated from the deepest to the first, and send at once; those with a target that is updated later hold
  their spikes until the end of the step.
- Populations at convolutions are numbered channel-last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError, UsageError
from neurodeploy.network import (
    DECAY_ONE,
    STATE_SHIFT,
    Conv,
    LeakyIntegrator,
    Network,
    Pool,
    Population,
    Projection,
    SpikingModel,
    spiking_model,
    synapse_shape,
)
from neurodeploy.network.unrolled import OneDelay, by_delay, entries
from neurodeploy.tables.bounds import Range, StateBounds, state_bounds, sum_range, summed_ranges, wraps
from neurodeploy.tables.rows import (
    LANES_AT_MOST,
    OPTIMIZE,
    Format,
    Optimize,
    Packed,
    Rows,
    choose_format,
    common_shift,
    make_rows,
)

Image = tuple[int, int, int]
_LEAST_FOR_LANES = 16
"""Fewest targets for which sums in lanes are worth their way to the currents."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A constant array in flash: its name in C, what it holds in words, and its values."""

    name: str
    what: str
    values: NDArray[Any]

    @property
    def n_bytes(self) -> int:
        """Bytes in flash."""
        return int(self.values.nbytes)


@dataclass(frozen=True, slots=True)
class State:
    """A field of the state of an instance in RAM: name in C, what it holds, C type, number of elements, bytes of each."""

    name: str
    what: str
    type: str
    count: int
    width: int

    @property
    def n_bytes(self) -> int:
        """Bytes in RAM."""
        return self.count * self.width


@dataclass(frozen=True, slots=True)
class Decay:
    """How a state ``x`` decays: ``keep`` (not at all), ``forget`` (to 0), ``short``: ``x * factor / 2**shift`` in 32 bits,
    ``long``: the same in 64 bits; the factors of single neurons stand in a table where ``factor`` is None."""

    kind: Literal["keep", "forget", "short", "long"]
    factor: int | None = None
    shift: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class WirePlan:
    """Synapses of a projection that are sent in one way.

    Attributes:
        name: prefix of its tables and states in C.
        projection, source, target: names in the network.
        kind: ``matrix``, ``conv`` or ``pool``.
        format: of its rows; None for pooling, which needs no table.
        mode: where a weight is added: ``now``, ``ring`` or ``sum``, see the module.
        delay: of all synapses, None where each source has its own.
        delays: in mode ``sum``, the delays whose sums are kept apart.
        shift: bits that a stored weight is shifted left where it is added.
        flush: bits that a sum is shifted left (right, if negative) where it is handed on.
        wrap: whether a sum wraps to 24 bits before it is handed on.
        graded: whether events carry a number that multiplies the weights.
        held: whether spikes of the source wait until the end of the step.
        synapses: the projection's synapses, of all delays.
        image: shape of the source as the convolution sees it; ``channel_last`` tells how the source's numbers run.
        events: entries that an event of each source reads, by the number that the network gives to the source,
            int64 ``(n_source,)``: synapses, and stored zeros and fillers.
    """

    name: str
    projection: str
    source: str
    target: str
    kind: Literal["matrix", "conv", "pool"]
    format: Format | None
    weight: np.dtype[Any] | None
    mode: Literal["now", "ring", "sum"]
    delay: int | None
    delays: tuple[int, ...]
    shift: int
    flush: int
    wrap: bool
    sum_width: int
    graded: bool
    held: bool
    synapses: Any
    channel_last: bool
    tables: tuple[Table, ...]
    events: NDArray[np.int64]

    @property
    def n_bytes(self) -> int:
        """Bytes of its tables in flash."""
        return sum(table.n_bytes for table in self.tables)


@dataclass(frozen=True, slots=True, eq=False)
class PopulationPlan:
    """How a population is computed.

    Attributes:
        name: prefix in C; ``population`` is its name in the network, ``number`` its place there.
        image: its shape where it is numbered channel-last inside, else None.
        current, voltage: how its states decay.
        bounds: what its states can reach.
        check_first: whether the step is compared with ``first_step``, since something would happen before it.
        ring_rows, ring_width: rows of its ring of delayed sums, 0 without one, and bytes of a sum.
        listed: whether its spikes are listed; ``held``: in a list of its own, until the end of the step.
    """

    name: str
    population: str
    number: int
    size: int
    image: Image | None
    model: SpikingModel
    first_step: int
    current: Decay
    voltage: Decay
    bounds: StateBounds
    check_first: bool
    ring_rows: int
    ring_width: int
    listed: bool
    held: bool
    tables: tuple[Table, ...]

    def inner(self) -> NDArray[np.int64]:
        """Return the number inside of each neuron, by its number in the network."""
        return inner_numbers(self.image, self.size)


@dataclass(frozen=True, eq=False)
class Layout:
    """Everything that decides the C code of a network.

    Attributes:
        optimize: the rule by which formats were chosen.
        populations: in the order of their update, the deepest first.
        wires: in the order of the network's projections.
        states: fields of an instance, in the order of the struct.
    """

    network: Network
    optimize: Optimize
    populations: tuple[PopulationPlan, ...]
    wires: tuple[WirePlan, ...]
    states: tuple[State, ...]

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """All tables in the order of the struct: by the width of their elements, the widest first, so without gaps."""
        every = [t for p in self.populations for t in p.tables] + [t for w in self.wires for t in w.tables]
        return tuple(sorted(every, key=lambda table: -table.values.itemsize))

    @property
    def flash_bytes(self) -> int:
        """Bytes of all tables in flash; code comes on top."""
        return _padded((t.n_bytes, t.values.itemsize) for t in self.tables)

    @property
    def ram_bytes(self) -> int:
        """Bytes of an instance in RAM; the stack comes on top."""
        return _padded((s.n_bytes, 4 if s.type == "cell" else s.width) for s in self.states)

    def population(self, name: str) -> PopulationPlan:
        """Return the plan of the population called ``name``."""
        return next(p for p in self.populations if p.population == name)

    @cached_property
    def input_offsets(self) -> dict[str, int]:
        """Number of the first channel of each input among the events of a step."""
        return _offsets((i.name, i.size) for i in self.network.inputs)

    @cached_property
    def output_offsets(self) -> dict[str, int]:
        """Number of the first neuron of each population that is an output among the spikes that a step returns."""
        names = dict.fromkeys(o.population for o in self.network.outputs)
        return _offsets((name, self.network.sizes[name]) for name in names)

    @property
    def index_width(self) -> int:
        """Bytes of the number of a channel or a neuron in events and spikes: 2, or 4 above 65,536 of them."""
        n_in = sum(i.size for i in self.network.inputs)
        n_out = sum(self.network.sizes[name] for name in self.output_offsets)
        return 2 if max(n_in, n_out) <= 2**16 else 4


def plan_tables(network: Network, optimize: Optimize = "balance") -> Layout:
    """Return the layout of a network as C.

    Args:
        optimize: rule by which the formats of layers are chosen, see ``rows.OPTIMIZE``.

    Raises:
        NetworkError: for neurons other than CUBA and leaky integrators; names the population.
        UsageError: for an unknown rule.
    """
    if optimize not in OPTIMIZE:
        raise UsageError(f"export: optimize is '{optimize}'; known: {', '.join(OPTIMIZE)}")
    models = {p.name: spiking_model(p, "target c") for p in network.populations}
    raw = {q.name: sum_range(network, q) for q in network.projections}
    summed = summed_ranges(network, raw)
    order = _update_order(network)
    images = _images(network)
    wires = tuple(_wires(network, raw, order, images, optimize))
    populations = tuple(
        _population(network, network.population(name), models[name], summed[name], raw, wires, images.get(name))
        for name in order
    )
    return Layout(network, optimize, populations, wires, tuple(_states(network, populations, wires)))


def inner_numbers(image: Image | None, size: int) -> NDArray[np.int64]:
    """Return the number inside, channel-last, of each neuron of an image, by its number in C order."""
    if image is None:
        return np.arange(size)
    channels, height, width = image
    return np.arange(size).reshape(height, width, channels).transpose(2, 0, 1).ravel()


def _offsets(sizes: Iterable[tuple[str, int]]) -> dict[str, int]:
    found, at = {}, 0
    for name, size in sizes:
        found[name] = at
        at += size
    return found


def _padded(parts: Iterable[tuple[int, int]]) -> int:
    """Return the size of a struct of ``(bytes, alignment)``, as C lays it out."""
    at, widest = 0, 1
    for n_bytes, align in parts:
        at = -(-at // align) * align + n_bytes
        widest = max(widest, align)
    return -(-at // widest) * widest


def _update_order(network: Network) -> list[str]:
    """Return the populations so that targets come before their sources, as far as there is no way back."""
    targets = {p.name: set[str]() for p in network.populations}
    for q in network.projections:
        if q.source in targets and q.source != q.target:
            targets[q.source].add(q.target)
    waiting = [p.name for p in sorted(network.populations, key=lambda p: -p.first_step)]
    order: list[str] = []
    while waiting:
        order.append(min(waiting, key=lambda name: len(targets[name] - set(order))))
        waiting.remove(order[-1])
    return order


def _image_of(projection: Projection, at: Literal["source", "target"]) -> Image | None:
    """Return the shape of an end of a convolution or pooling, None for other synapses."""
    synapses = projection.synapses
    if not isinstance(synapses, Conv | Pool):
        return None
    return synapses.input_shape if at == "source" else synapses.output_shape


def _images(network: Network) -> dict[str, Image]:
    """Return the image of each population that a convolution or pooling begins or ends at."""
    names = {p.name for p in network.populations}
    found: dict[str, Image] = {}
    for q in network.projections:
        for name, image in ((q.target, _image_of(q, "target")), (q.source, _image_of(q, "source"))):
            if image is not None and name in names:
                found.setdefault(name, image)
    return found


def _wires(
    network: Network, raw: Mapping[str, Range], order: Sequence[str], images: Mapping[str, Image], optimize: Optimize
) -> Iterator[WirePlan]:
    number = 0
    silent = {p.name for p in network.populations if isinstance(p.model, LeakyIntegrator)}
    for q in network.projections:
        if q.source in silent:
            continue
        by_weight = not isinstance(q.delay, int) and q.delay.ndim == 2
        parts = by_delay(q) if by_weight else [OneDelay(q.synapses, None, 0)]
        for part in parts:
            own = part.delay if by_weight else q.delay if isinstance(q.delay, int) else None
            wire = _wire(f"w{number}", network, q, part.synapses, own, raw[q.name], order, images, optimize)
            if wire is not None:
                yield wire
                number += 1


def _wire(
    name: str,
    network: Network,
    q: Projection,
    synapses: Any,
    delay: int | None,
    raw: Range,
    order: Sequence[str],
    images: Mapping[str, Image],
    optimize: Optimize,
) -> WirePlan | None:
    """Return the plan of synapses that share a delay, or a delay for each source; None where all weights are 0."""
    is_image = isinstance(synapses, Conv | Pool) and all(
        images.get(end, image) == image
        for end, image in ((q.source, _image_of(q, "source")), (q.target, _image_of(q, "target")))
    )
    kind: Literal["matrix", "conv", "pool"] = "matrix"
    if is_image:
        kind = "pool" if isinstance(synapses, Pool) else "conv"
    if kind == "pool":
        weights = np.asarray([synapses.weight])
        rows = None
    else:
        rows = _kernel_rows(synapses) if kind == "conv" else _matrix_rows(q, synapses, images)
        weights = rows.weight
    if not np.any(weights):
        return None
    zeros = common_shift(weights)
    if q.weight_exponent < 0 and raw.size >= 2**31:  # the sum wraps at 32 bits before it is rounded: keep it whole
        zeros = 0
    net, wrap = q.weight_exponent + zeros, wraps(q, raw)
    private = net < 0 or wrap
    graded = q.source in network.graded
    lanes = kind == "matrix" and not private and not graded and delay is not None
    packed = None
    if rows is not None:
        small = rows._replace(weight=rows.weight >> zeros)
        packed = choose_format(small, optimize, lanes=lanes and small.n_columns >= _LEAST_FOR_LANES)
    summed = private or (packed is not None and packed.format == "lanes")
    late = delay is None or delay > 0
    mode: Literal["now", "ring", "sum"] = "sum" if summed else "ring" if late else "now"
    delays = () if delay is not None else tuple(int(d) for d in np.unique(q.delay))
    source_size = network.sizes[q.source]
    lanes_full = source_size > LANES_AT_MOST  # then sums may be handed on within the step
    inner = inner_numbers(images.get(q.source), source_size)
    tables = [] if packed is None else [_table(name, key, array, q.name) for key, array in packed.arrays.items()]
    if delay is None:
        own = np.empty(source_size, np.int64)
        own[inner] = np.searchsorted(delays, q.delay) if mode == "sum" else q.delay
        what = "which sum the spikes of a source are added to" if mode == "sum" else "delay of each source"
        tables.append(Table(f"{name}_delay", f"{q.name}: {what}", own.astype(np.uint8)))
    sum_width = 2 if raw.size / 2**zeros < 2**15 else 4
    after = order.index(q.target) > order.index(q.source) if q.source in order else False
    return WirePlan(
        name=name,
        projection=q.name,
        source=q.source,
        target=q.target,
        kind=kind,
        format=None if packed is None else packed.format,
        weight=None if packed is None or "weight" not in packed.arrays else packed.arrays["weight"].dtype,
        mode=mode,
        delay=delay,
        delays=delays if mode == "sum" else (),
        shift=0 if mode == "sum" else net + STATE_SHIFT * (mode == "now"),
        flush=net,
        wrap=wrap,
        sum_width=sum_width,
        graded=graded,
        held=after and (mode != "sum" or (lanes_full and packed is not None and packed.format == "lanes")),
        synapses=synapses,
        channel_last=q.source in images,
        tables=tuple(tables),
        events=_events(kind, synapses, packed, inner),
    )


def _table(wire: str, key: str, values: NDArray[Any], projection: str) -> Table:
    what = {
        "start": "first entry of each row",
        "weight": "weights",
        "column": "targets within a block or row",
        "gap": "steps from target to target",
        "word": "weights + 128, four to a word, or bits of the targets that are there",
    }[key]
    return Table(f"{wire}_{key}", f"{projection}: {what}", values)


def _matrix_rows(q: Projection, synapses: Any, images: Mapping[str, Image]) -> Rows:
    source, target, weight = entries(synapses)
    n_target, n_source = synapse_shape(synapses)
    row = inner_numbers(images.get(q.source), n_source)[source]
    column = inner_numbers(images.get(q.target), n_target)[target]
    return make_rows(row, column, weight, (n_source, n_target))


def _kernel_rows(conv: Conv) -> Rows:
    """Return kernels as rows: one for each input channel and tap, with a column for each output channel of the group."""
    c_out, per_group, height, width = conv.weights.shape
    own = c_out // conv.groups
    by_group = conv.weights.reshape(conv.groups, own, per_group, height, width)
    matrix = by_group.transpose(0, 2, 3, 4, 1).reshape(-1, own)
    row, column = np.nonzero(matrix)
    return make_rows(row, column, matrix[row, column], (len(matrix), own))


def _events(kind: str, synapses: Any, packed: Packed | None, inner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many entries an event of each source reads, by the source's number in the network."""
    if kind == "matrix":
        assert packed is not None
        return packed.entries[inner]
    conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
    channels, height, width = conv.input_shape
    taps = conv.weights.shape[2:]
    rows, columns = (
        _taps_inside(
            size, conv.output_shape[axis + 1], taps[axis], conv.stride[axis], conv.padding[axis], conv.dilation[axis]
        )
        for axis, size in enumerate((height, width))
    )
    entries_of = np.ones((channels, *taps)) if packed is None else packed.entries.reshape(channels, *taps)
    read = np.einsum("yk,xl,ckl->cyx", rows.astype(np.int64), columns.astype(np.int64), entries_of.astype(np.int64))
    found: NDArray[np.int64] = read.ravel()
    return found


def _taps_inside(n_in: int, n_out: int, taps: int, stride: int, padding: int, dilation: int) -> NDArray[np.bool_]:
    """Return which taps lead from each place along one axis of the input to a place of the output, ``(n_in, taps)``."""
    reached = np.arange(n_in)[:, None] + padding - np.arange(taps) * dilation
    inside: NDArray[np.bool_] = (reached >= 0) & (reached % stride == 0) & (reached // stride < n_out)
    return inside


def _population(
    network: Network,
    population: Population,
    model: SpikingModel,
    summed: Range,
    raw: Mapping[str, Range],
    wires: Sequence[WirePlan],
    image: Image | None,
) -> PopulationPlan:
    number = [p.name for p in network.populations].index(population.name)
    name = f"p{number}"
    bounds = state_bounds(model, summed)
    inner = inner_numbers(image, population.size)
    given = {
        "current": np.ravel(DECAY_ONE - np.asarray(model.current_decay)),
        "voltage": np.ravel(DECAY_ONE - np.asarray(model.voltage_decay)),
        "bias": np.ravel(model.bias),
    }
    if not isinstance(model, LeakyIntegrator):
        given["threshold"] = np.ravel(model.threshold)
    tables = [
        Table(f"{name}_{key}", f"{population.name}: {_PARAMETERS[key]}", _narrow(_inside(values, inner)))
        for key, values in given.items()
        if values.size > 1 and np.any(values != values[0])
    ]
    ring = [w for w in wires if w.target == population.name and _longest(w, network) > 0]
    into_ring = {w.projection for w in ring}
    reach = sum(raw[q.name].times(2.0**q.weight_exponent).size + 64 for q in network.projections if q.name in into_ring)
    wrapped = any(w.wrap for w in ring)
    sending = [w for w in wires if w.source == population.name]
    held = any(w.held for w in sending)
    return PopulationPlan(
        name=name,
        population=population.name,
        number=number,
        size=population.size,
        image=image,
        model=model,
        first_step=population.first_step,
        current=_decay(given["current"], bounds.current),
        voltage=_decay(given["voltage"], bounds.voltage),
        bounds=bounds,
        check_first=_acts_early(network, population, model),
        ring_rows=1 + max(_longest(w, network) for w in ring) if ring else 0,
        ring_width=2 if reach < 2**15 and not wrapped else 4,
        listed=not isinstance(model, LeakyIntegrator),
        held=held,
        tables=tuple(tables),
    )


_PARAMETERS = {
    "current": "share of the current that is kept, in 1/4096",
    "voltage": "share of the voltage that is kept, in 1/4096",
    "bias": "biases",
    "threshold": "thresholds in weight units",
}


def _inside(values: NDArray[Any], inner: NDArray[np.int64]) -> NDArray[Any]:
    own = np.empty_like(values)
    own[inner] = values
    return own


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in the narrowest of uint16, int16 and int32."""
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high < 2**16:
        return values.astype(np.uint16)
    return values.astype(np.int16) if low >= -(2**15) and high < 2**15 else values.astype(np.int32)


def _longest(wire: WirePlan, network: Network) -> int:
    """Return the longest delay of a wire."""
    if wire.delay is not None:
        return wire.delay
    return next(q.max_delay for q in network.projections if q.name == wire.projection)


def _decay(kept: NDArray[np.int64], reach: float) -> Decay:
    """Return how a state decays that reaches ``reach`` and of which ``kept`` in 1/4096 remains in a step."""
    shift = 12 - min(12, common_shift(kept))
    factors = kept >> (12 - shift)
    fits = reach * float(factors.max()) < 2**31 - 2**12
    if np.any(factors != factors[0]):
        fits = reach * float(kept.max()) < 2**31 - 2**12
        return Decay("short" if fits else "long", None, 12)
    if not kept[0]:
        return Decay("forget")
    if kept[0] == DECAY_ONE:
        return Decay("keep")
    return Decay("short", int(factors[0]), shift) if fits else Decay("long", int(kept[0]), 12)


def _acts_early(network: Network, population: Population, model: SpikingModel) -> bool:
    """Return whether anything could change a population before its first step, so that it has to be kept from it."""
    first = {i.name: 0 for i in network.inputs} | {p.name: p.first_step for p in network.populations}
    arrivals = [first[q.source] + 1 + int(np.min(q.delay)) for q in network.into(population.name)]
    biased = bool(np.any(np.asarray(model.bias) != 0))
    return population.first_step > 0 and (
        biased or min(arrivals, default=population.first_step) < population.first_step
    )


def _states(network: Network, populations: Sequence[PopulationPlan], wires: Sequence[WirePlan]) -> Iterator[State]:
    """Yield the fields of an instance, the widest first."""
    fields = [*_population_states(populations), *_wire_states(network, wires), *_output_states(network)]
    if any(p.check_first for p in populations) or any(o.decoding == "first_spike" for o in network.outputs):
        fields.append(State("step", "steps since the reset", "uint32_t", 1, 4))
    yield from sorted(fields, key=lambda state: -state.width)


def list_width(sizes: Iterable[int]) -> int:
    """Return the bytes of the number of a neuron in a list of spikes of populations of these sizes."""
    largest = max(sizes)
    return 1 if largest <= 2**8 else 2 if largest <= 2**16 else 4


def _unsigned(width: int) -> str:
    return f"uint{8 * width}_t"


def _population_states(populations: Sequence[PopulationPlan]) -> Iterator[State]:
    shared = [p.size for p in populations if p.listed and not p.held]
    for p in populations:
        yield State(f"{p.name}", f"{p.population}: current and voltage of each neuron", "cell", p.size, 8)
        if p.ring_rows:
            kind = "int16_t" if p.ring_width == 2 else "int32_t"
            what = f"{p.population}: sums that arrive in the next {p.ring_rows} steps"
            yield State(f"{p.name}_ring", what, kind, p.ring_rows * p.size, p.ring_width)
            yield State(f"{p.name}_row", f"{p.population}: row of the ring for this step", "uint8_t", 1, 1)
        if p.held:
            width = list_width([p.size])
            yield State(f"{p.name}_list", f"{p.population}: neurons that spiked", _unsigned(width), p.size, width)
            yield State(f"{p.name}_count", f"{p.population}: how many spiked", "uint32_t", 1, 4)
    if shared:
        width = list_width(shared)
        yield State(
            "list", "neurons that spiked, of one population after the other", _unsigned(width), max(shared), width
        )


def _wire_states(network: Network, wires: Sequence[WirePlan]) -> Iterator[State]:
    for w in wires:
        if w.mode != "sum":
            continue
        size, rows = network.sizes[w.target], max(1, len(w.delays))
        if w.format == "lanes":
            yield State(f"{w.name}_sum", f"{w.projection}: sums, two to a word", "uint32_t", 2 * -(-size // 4), 4)
        else:
            kind = "int16_t" if w.sum_width == 2 else "int32_t"
            yield State(f"{w.name}_sum", f"{w.projection}: sums of this step", kind, rows * size, w.sum_width)
        yield State(f"{w.name}_added", f"{w.projection}: events in the sums", "uint32_t", 1, 4)


def _output_states(network: Network) -> Iterator[State]:
    for i, output in enumerate(network.outputs):
        if output.decoding != "last_voltage":
            what = f"{output.name}: what the class is decoded from"
            size = network.sizes[output.population]
            yield State(f"o{i}", what, "uint32_t", size, 4)
            if output.window is not None:
                past = f"{output.name}: spikes of the last {output.window} steps"
                yield State(f"past{i}", past, "uint8_t", output.window * size, 1)
                yield State(f"past{i}_row", f"{output.name}: row of this step in them", "uint16_t", 1, 2)


__all__ = [
    "LANES_AT_MOST",
    "Decay",
    "Image",
    "Layout",
    "NetworkError",
    "PopulationPlan",
    "State",
    "Table",
    "WirePlan",
    "inner_numbers",
    "list_width",
    "plan_tables",
]
