"""The ``Chip`` and the tables of its file, as checked, frozen records."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from neurodeploy.chip.microcontroller import Code, Microcontroller, Work
from neurodeploy.chip.numbers import (
    MESSAGE_KINDS,
    PLAIN_KINDS,
    Amount,
    Count,
    Counts,
    Joules,
    NeuronKind,
    NeuronKinds,
    Resets,
    Seconds,
    Table,
    Watts,
)
from neurodeploy.chip.rules import missing_number
from neurodeploy.chip.synapse_format import SynapseFormat
from neurodeploy.files.shown import Shown


class About(Table):
    """Names and origin of the chip."""

    name: str
    """Name, as `--chip` takes it."""
    title: str
    """Name for people, with the maker."""
    year: Annotated[int, Field(ge=1980)]
    """Year of publication."""
    process: str | None = None
    """Semiconductor process."""
    evidence: str
    """What the numbers of the file rest on, in a sentence."""
    simulated_by: str | None = None
    """Arithmetic of our simulators that is exact for this chip, if any."""
    excludes: str | None = None
    """Features that its neurons or formats lack, in words, for the fit report."""
    limits_only: bool = False
    """Whether its neurons cannot run a spiking network: it is mapped to for its limits where it is named, never offered."""


class System(Table):
    """Number of chips of the target, and the name of its board."""

    chips: Count
    """Number of chips."""
    board: str | None = None
    """Name of the board."""


class Cores(Table):
    """Structure of one chip, limits of one core, and what its neurons can do.

    Per-core limits carry the names that ``CoreLoad.used`` uses.
    """

    count: Count
    """Cores of one chip."""
    per_tile: Count | None = None
    """Cores that share a router."""
    mesh: Counts | None = None
    """Tiles in x and y direction."""
    word_bits: Count | None = None
    """Bits of one word of synaptic memory (``bits_per_word``)."""
    neurons: Count | None = None
    """Most neurons of a core."""
    input_axons: Count | None = None
    """Most input axons of a core."""
    output_axons: Count | None = None
    """Most output axons of a core."""
    axon_map: Count | None = None
    """Most entries of the axon map of a core."""
    neuron_groups: Count | None = None
    """Most groups of neurons with parameters of their own on a core."""
    synapse_words: Count | None = None
    """Most words of synaptic memory of a core."""
    pool_words: Count | None = None
    """Words of the memory that input axons, neurons, synapses, axon map and output axons share."""
    destinations: Count | None = None
    """Cores that one neuron can send to."""
    weight_values: Count | None = None
    """Different weight values, other than 0, among the synapses into one neuron."""
    neuron_kinds: NeuronKinds | None = None
    """Kinds of neurons; absent: ``PLAIN_KINDS``."""
    resets: Resets | None = None
    """Resets of a voltage; absent where they are not known, and then not checked."""
    graded_input_bits: Amount | None = None
    """Most bits of the payload of an input event, sign included; 0 for plain spikes only, absent where not known."""
    message_bits: Amount | None = None
    """Most bits of the payload of a neuron's message, sign included; 0 for plain spikes only."""

    @model_validator(mode="after")
    def _messages_have_bits(self) -> Cores:
        senders = [kind for kind in self.kinds if kind in MESSAGE_KINDS]
        if senders and not (self.message_bits and self.message_bits.value):
            raise ValueError(f"neuron_kinds has {senders[0]}, whose messages carry a payload: give message_bits")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Cores:
        if self.mesh is None or self.per_tile is None:
            return self
        if len(self.mesh.value) != 2:
            raise ValueError(f"mesh must be [width, height], got {list(self.mesh.value)}")
        places = self.mesh.value[0] * self.mesh.value[1] * self.per_tile.value
        if places < self.count.value:
            raise ValueError(f"count is {self.count.value}, but mesh and per_tile give places for {places} cores only")
        return self

    @property
    def bits_per_word(self) -> int:
        """Bits of a word of synaptic memory; 8 where the chip counts bytes."""
        return self.word_bits.value if self.word_bits else 8

    @property
    def kinds(self) -> tuple[NeuronKind, ...]:
        """Kinds of neurons that a core can compute."""
        return self.neuron_kinds.value if self.neuron_kinds else PLAIN_KINDS

    @property
    def limits(self) -> dict[str, int]:
        """Per-core limits that the file gives, by register."""
        given = {name: getattr(self, name) for name in PER_CORE}
        return {name: count.value for name, count in given.items() if count is not None}


PER_CORE = (
    "neurons",
    "input_axons",
    "output_axons",
    "axon_map",
    "neuron_groups",
    "synapse_words",
    "pool_words",
    "destinations",
    "weight_values",
)
"""Resources of a core ("registers") that a chip file may limit; keys of ``CoreLoad.used`` and ``Mapping.limits``."""


class Axons(Table):
    """Entries of a connection in the axon tables; the neurons of a *shared* connection (convolution) use the same lists."""

    discrete_out: Count | None = None
    """Output entries of a neuron for each destination core; absent where the chip is not known to need any."""
    shared_out: Count | None = None
    """The same for a shared (convolution) connection."""
    cross_chip_extra: Count | None = None
    """Additional output entries where the destination core lies on another chip."""
    shared_in: Count | None = None
    """Input entries of a shared connection on a destination core: for each set of lists, or for each run of channels where
    a core keeps whole kernels (see ``run_channels``)."""
    map_per_neuron: Count | None = None
    """Axon map entries of a neuron, however many cores it reaches."""
    run_channels: Count | None = None
    """The channels of a core are counted in runs: this many channels count as one, and the powers of two that add up to
    that number are the runs. Where it is given, neurons that only feed convolutions share the entries of the axon map: one
    for each position and run."""


def _rising(counts: Counts) -> Counts:
    if list(counts.value) != sorted(set(counts.value)) or counts.value[0] < 1:
        raise ValueError(f"must rise and start at 1 or more, got {list(counts.value)}")
    return counts


class Weights(Table):
    """Widths that a stored weight can have."""

    bits: Annotated[Counts, AfterValidator(_rising)]
    """Stored widths, sign included, in rising order; a width between two of them is stored as the larger one."""
    shared_sign: bool = False
    """Whether a list whose weights all have the same sign is stored without the sign bit."""
    drops_common_power: bool = False
    """Whether a power of two that divides all weights of a projection is moved to its exponent instead of being stored.

    Without, a factor that divides all weights of a neuron is taken out of them and its threshold.
    """
    delay_bits: Count | None = None
    """Bits of the longest delay; absent where the layout with delays is unknown."""
    delay_address_bits: Count | None = None
    """A core with delays of ``d`` bits addresses at most ``2 ** (delay_address_bits - d)`` neurons."""


class Energy(Table):
    """Energy prices of events. A price that is absent is unknown."""

    synop: dict[str, Joules] = Field(default_factory=dict)
    """One spike reads one stored synapse; by synapse format."""
    synop_graded: dict[str, Joules] = Field(default_factory=dict)
    """The same for a message or an input event with a payload, which multiplies the weight."""
    neuron_access: Joules | None = None
    """Each mapped neuron in every step."""
    neuron_update: Joules | None = None
    """A neuron whose state can change in this step (``Activity.updated``), in addition to the access: ``PLAIN_KINDS``."""
    neuron_update_of: dict[NeuronKind, Joules] = Field(default_factory=dict)
    """The same for neurons of other kinds, by kind."""
    neuron_idle: Joules | None = None
    """A mapped neuron that is not updated in this step."""
    spike_out: Joules | None = None
    """A neuron fires."""
    message_out: Joules | None = None
    """A spike is sent to one destination core."""
    hop_ew: Joules | None = None
    """A message crosses one router in east or west direction."""
    hop_ns: Joules | None = None
    """A message crosses one router in north or south direction."""
    learning_update: Joules | None = None
    """A synapse is updated by a learning rule on the chip."""
    noise: Joules | None = None
    """The noise generator draws once."""
    one_high_at_a_time: Annotated[tuple[str, ...], BeforeValidator(tuple)] = ()
    """Prices whose ``high`` values explain the same measurement: an estimate may use only one of them at a time."""


class BarrierTime(Table):
    """Time of the barrier at the end of a step when up to ``tiles`` tiles are used."""

    tiles: Annotated[int, Field(ge=1)]
    """Most tiles in use for which this time holds."""
    time: Seconds
    """Time of the barrier."""


class Latency(Table):
    """Times of events. ``model`` says how they add up to the time of a step.

    ``messages``: the larger of the slowest core's sending times and the slowest core's receiving times, plus the barrier.
    ``slowest-unit``: largest of synapse time, neuron time and barrier over all cores.
    ``instructions``: those of a program, at a microcontroller's clock; no time of an event is needed.
    """

    model: Literal["messages", "slowest-unit", "instructions"]
    """How times add up to that of a step."""
    synop: dict[str, Seconds] = Field(default_factory=dict)
    """By synapse format."""
    synop_graded: dict[str, Seconds] = Field(default_factory=dict)
    """The same for a message or an input event with a payload."""
    neuron_access: Seconds | None = None
    """Each mapped neuron in every step."""
    neuron_update: Seconds | None = None
    """A neuron whose state can change in this step."""
    spike_out: Seconds | None = None
    """A neuron fires."""
    message_out: Seconds | None = None
    """A spike is sent to one destination core."""
    message_in: Seconds | None = None
    """A message is received."""
    hop_ew: Seconds | None = None
    """A message crosses one router in east or west direction."""
    hop_ns: Seconds | None = None
    """A message crosses one router in north or south direction."""
    barrier: Annotated[tuple[BarrierTime, ...], BeforeValidator(tuple)] = ()
    """Rising in ``tiles``; the last row whose ``tiles`` is not above the number of used tiles counts, as in SANA-FE."""
    barrier_multichip: Seconds | None = None
    """Barrier of a step over several chips."""
    management: Seconds | None = None
    """Time that an embedded processor adds to each step."""
    chip_link: Seconds | None = None
    """A message leaves a chip over its link (``slowest-unit`` only)."""
    chip_link_graded: Seconds | None = None
    """The same for a message with a payload."""
    host_input: Seconds | None = None
    """Time that the host takes to inject one spike, on top of all others."""
    step_observed: Seconds | None = None
    """A whole step as measured on hardware, input and output included."""
    updates_per_step: dict[str, Count] = Field(default_factory=dict)
    """Microcode passes of one neuron update: ``lif`` for ``PLAIN_KINDS``, ``sdn_relu`` and ``sdn_none`` for sigma-delta
    neurons by activation, other kinds by their name."""

    @model_validator(mode="after")
    def _barrier_rises(self) -> Latency:
        tiles = [row.tiles for row in self.barrier]
        if tiles != sorted(set(tiles)):
            raise ValueError(f"barrier must rise in tiles, got {tiles}")
        return self


class Static(Table):
    """Power that does not depend on activity."""

    chip: Watts | None = None
    """One chip without activity, its embedded processors asleep."""
    host: Watts | None = None
    """Embedded processors that serve one chip, while they are awake."""
    board: Watts | None = None
    """The rest of the board: regulators, bridges, memory, without the chips and without the host."""


Kind = Literal["energy", "time", "static", "cores"]
"""Kinds of figures, each with its own range."""


class Covered(Table):
    """Of ``of`` measured facts of a kind, ``inside`` lie in the range that the others give (``docs/silicon.md``)."""

    inside: Annotated[int, Field(ge=0)]
    """Facts inside the range."""
    of: Annotated[int, Field(ge=0)]
    """Facts in all."""
    source: str
    """What the facts are."""

    @model_validator(mode="after")
    def _part(self) -> Covered:
        if self.inside > self.of:
            raise ValueError(f"inside is {self.inside}, of {self.of} only")
        return self


class LayerCore(Table):
    """A core that holds one layer."""

    kernel_words: Count
    """Words of kernel memory."""
    neuron_words: Count
    """Words of neuron memory."""
    biases: Count
    """Most biases."""


class LayerLimits(Table):
    """Limits of a layer on a chip that holds each layer on a separate core."""

    input_size: Count
    """Height and width of a layer's input."""
    output_size: Count
    """Height and width of a layer's output."""
    channels: Count
    """Most channels of a layer."""
    kernel_size: Count
    """Largest height and width of a kernel."""
    strides: Counts
    """Strides that there are."""
    destinations: Count
    """Layers that one layer can send to."""
    pooling: Counts | None = None
    """Sizes of a sum pool (height and width) that a core can send through; absent where it sends each spike as it is."""


class RecurrentCore(Table):
    """A core with fixed numbers of inputs, hidden neurons and output neurons."""

    inputs: Count
    """Most inputs."""
    hidden: Count
    """Most hidden neurons."""
    outputs: Count
    """Most output neurons."""
    mean_fanout: Count
    """Recurrent synapses of a hidden neuron, on average over all hidden neurons of the chip."""
    spikes_per_step: Count
    """Spikes of one neuron in one step."""


class Chip(Shown, Table):
    """A target: structure, limits, synapse formats and prices, each with its source.

    ``source_file`` is the chip file, ``sha256`` the hash of its content together with the files that it extends.
    """

    chip: About
    """Names and origin of the chip."""
    system: System
    """Number of chips of the target, and its board."""
    cores: Cores
    """Structure of one chip, limits of one core, and what its neurons can do."""
    weights: Weights
    """Widths that a stored weight can have."""
    axons: Axons | None = None
    """Entries of a connection in the axon tables."""
    synapse_format: Annotated[tuple[SynapseFormat, ...], BeforeValidator(tuple)] = ()
    """Ways to lay out synapses in the memory of a core."""
    energy: Energy = Field(default_factory=Energy)
    """Energy prices of events; one that is absent is unknown."""
    energy_alternative: dict[str, Energy] = Field(default_factory=dict)
    """Other complete sets of prices, by name; an estimate shows them as second opinions on separate lines."""
    latency: Latency | None = None
    """Times of events."""
    static: Static = Field(default_factory=Static)
    """Power that does not depend on activity."""
    coverage: dict[Kind, Covered] = Field(default_factory=dict)
    """How well the ranges of this file hold; a kind that is absent was never compared with a measurement."""
    layer_core: Annotated[tuple[LayerCore, ...], BeforeValidator(tuple)] = ()
    """Cores that hold one layer each, where the chip has such."""
    layer_limits: LayerLimits | None = None
    """Limits of a layer on a chip that holds each layer on a core of its own."""
    recurrent_core: RecurrentCore | None = None
    """A core with fixed numbers of inputs, hidden and output neurons."""
    microcontroller: Microcontroller | None = None
    """Memories, clock and power of a microcontroller."""
    work: Work | None = None
    """Instructions that the generated C takes, by event."""
    code: Code | None = None
    """Bytes of code that the generated C takes."""
    source_file: str = ""
    sha256: str = ""

    @model_validator(mode="after")
    def _formats_are_complete(self) -> Chip:
        for place, fmt in enumerate(self.synapse_format):
            if wrong := missing_number(fmt):
                raise ValueError(f"synapse_format.{place}: {wrong}")
        return self

    @model_validator(mode="after")
    def _microcontroller_is_complete(self) -> Chip:
        missing = [name for name in ("work", "code") if getattr(self, name) is None]
        if self.microcontroller is not None and missing:
            raise ValueError(
                f"microcontroller: there is no table [{missing[0]}]; extend the file of its core, as "
                'extends = "cores/cortex-m4"'
            )
        return self

    @model_validator(mode="after")
    def _formats_belong_together(self) -> Chip:
        names = [f.name for f in self.synapse_format]
        twice = [name for name, n in Counter(names).items() if n > 1]
        if twice:
            raise ValueError(f"synapse_format: the name '{twice[0]}' is given twice")
        prices = {"energy": self.energy, **{f"energy_alternative.{k}": v for k, v in self.energy_alternative.items()}}
        priced = {f"{table}.synop": prices.synop for table, prices in prices.items()}
        priced |= {f"{table}.synop_graded": prices.synop_graded for table, prices in prices.items()}
        priced["latency.synop"] = self.latency.synop if self.latency else {}
        priced["latency.synop_graded"] = self.latency.synop_graded if self.latency else {}
        for key, table in priced.items():
            if foreign := sorted(set(table) - set(names)):
                known = ", ".join(names) or "none"
                raise ValueError(f"{key}: '{foreign[0]}' is no synapse_format of this chip; known: {known}")
        return self

    @model_validator(mode="after")
    def _every_neuron_has_an_address(self) -> Chip:
        neurons = self.cores.neurons.value if self.cores.neurons else 1
        for f in self.synapse_format:
            if f.index_bits is not None and neurons > 1 << f.index_bits.value[-1]:
                raise ValueError(
                    f"cores.neurons is {neurons}, but an index of synapse_format '{f.name}' reaches "
                    f"{1 << f.index_bits.value[-1]} only (index_bits)"
                )
        delay, address = self.weights.delay_bits, self.weights.delay_address_bits
        if delay is not None and address is not None and delay.value > address.value:
            raise ValueError(
                f"weights.delay_bits is {delay.value}, but weights.delay_address_bits {address.value} then reaches no neuron"
            )
        return self

    @property
    def name(self) -> str:
        """Name of the chip, as ``load_chip`` accepts it."""
        return self.chip.name

    @property
    def fixed(self) -> bool:
        """Whether the place of every neuron follows from the network, so that nothing can be cut, placed or pinned."""
        return self.recurrent_core is not None or bool(self.layer_core) or self.microcontroller is not None

    @property
    def n_chips(self) -> int:
        """Number of chips of the target."""
        return self.system.chips.value

    @property
    def n_cores(self) -> int:
        """Number of cores of the target, over all its chips."""
        return self.n_chips * self.cores.count.value

    @property
    def run_channels(self) -> int | None:
        """Channels that count as one in a run of channels (``Axons.run_channels``); None where the chip counts no runs."""
        return self.axons.run_channels.value if self.axons and self.axons.run_channels else None

    @property
    def source(self) -> str:
        """File and hash of the description, as ``path (sha256 0123456789ab)``."""
        return f"{self.source_file} (sha256 {self.sha256[:12]})"

    def format(self, name: str) -> SynapseFormat:
        """Return the synapse format called ``name``."""
        return next(f for f in self.synapse_format if f.name == name)
