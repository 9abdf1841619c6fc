"""Laws of mapping, for any network and any limits."""

import numpy as np
from building import connect, neuron, wired
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import FitError
from neurodeploy.mapping.cuts.search import excess
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.memory.synapses import matrix_of, needed_bits
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Network, Projection

MODEL = neuron()
SPLIT_NAMES = st.sampled_from(["equal", "overlap", "compiler"])


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Up to three layers in a row, perhaps with a loop and a skip connection, weights of any density and delays."""
    sizes = draw(st.lists(st.integers(1, 24), min_size=2, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    names = ["input", *(f"p{i}" for i in range(1, len(sizes)))]

    def connection(name: str, source: int, target: int) -> Projection:
        shape = (sizes[target], sizes[source])
        weights = rng.integers(-64, 64, shape) * (rng.random(shape) < density)
        return connect(names[source], names[target], weights, name, delay=draw(st.sampled_from([0, 0, 1, 62])))

    projections = [connection(f"w{i}", i - 1, i) for i in range(1, len(sizes))]
    if draw(st.booleans()):
        projections.append(connection("loop", 1, 1))
    if draw(st.booleans()):
        projections.append(connection("skip", 0, len(sizes) - 1))
    populations = {name: (n, MODEL, i) for i, (name, n) in enumerate(zip(names[1:], sizes[1:]), start=1)}
    return wired({"input": sizes[0]}, populations, projections)


@st.composite
def images(draw: st.DrawFn) -> Network:
    """Up to three convolutions in a row, pointwise, depthwise or neither, then perhaps a matrix."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape: tuple[int, ...] = (draw(st.integers(1, 3)), draw(st.integers(2, 5)), draw(st.integers(2, 5)))
    sizes, populations, projections = {"input": shape}, {}, []
    for i in range(1, draw(st.integers(2, 4))):
        kernel, depthwise = draw(st.sampled_from([1, 3])), draw(st.booleans())
        channels, groups = (shape[0], shape[0]) if depthwise else (draw(st.integers(1, 6)), 1)
        weights = rng.integers(-64, 64, (channels, shape[0] // groups, kernel, kernel))
        conv = Conv(weights=weights | 1, input_shape=shape, padding=(kernel // 2,) * 2, groups=groups)
        shape = conv.output_shape
        populations[f"p{i}"] = (shape, MODEL, i)
        projections.append(connect(["input", *populations][i - 1], f"p{i}", conv, f"w{i}"))
    if draw(st.booleans()):
        last = list(populations)[-1]
        populations["end"] = (3, MODEL, len(populations) + 1)
        projections.append(connect(last, "end", rng.integers(1, 64, (3, int(np.prod(shape)))), "we"))
    return wired(sizes, populations, projections)


@settings(deadline=None, max_examples=60)
@given(images(), st.sampled_from(["loihi1", "loihi2"]), st.integers(4, 40), st.integers(8, 60), st.integers(4, 100))
def test_images_cut_by_channel_or_position_keep_every_limit_with_at_most_the_cores_of_equal(
    network: Network, name: str, neurons: int, words: int, axons: int
) -> None:
    target = (name, {"neurons": neurons, "synapse_words": words, "output_axons": axons, "input_axons": 100})
    default, equal = mapped(network, target, "overlap"), mapped(network, target, "equal")
    assert (default is None) <= (equal is None)
    if default is None:
        return
    for population in network.populations:
        held = np.concatenate([load.neurons.get(population.name, np.zeros(0, int)) for load in default.cores])
        assert np.sort(held).tolist() == list(range(population.size))
    for load in default.cores:
        assert all(load.used[register] <= limit for register, limit in default.limits.items())
    if equal is not None:
        assert len(default.cores) <= len(equal.cores)


Target = tuple[str, dict[str, int]]


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Name of a Loihi, or of a board that is then given small chips, and limits small enough to bind."""
    name = draw(st.sampled_from(["loihi1", "loihi2", "nahuku32"]))
    limits = {
        "neurons": draw(st.integers(1, 24)),
        "input_axons": draw(st.integers(8, 100)),
        "output_axons": draw(st.integers(8, 100)),
        "synapse_words": draw(st.integers(8, 60)),
    }
    if name == "nahuku32":
        limits["count"] = draw(st.integers(1, 5))
    if name == "loihi2":
        limits |= {"axon_map": draw(st.integers(1, 24)), "pool_words": draw(st.integers(20, 150))}
    return name, limits


def chip_of(target: Target) -> Chip:
    chip = load_chip(target[0])
    counts = {name: getattr(chip.cores, name).model_copy(update={"value": value}) for name, value in target[1].items()}
    return chip.model_copy(update={"cores": chip.cores.model_copy(update=counts)})


def mapped(network: Network, target: Target, split: str) -> Mapping | None:
    try:
        return map_network(network, chip_of(target), split=split)
    except FitError:
        return None


@settings(deadline=None, max_examples=60)
@given(networks(), targets(), SPLIT_NAMES)
def test_every_neuron_lies_on_one_core_and_no_core_is_used_twice(network: Network, target: Target, split: str) -> None:
    mapping = mapped(network, target, split)
    if mapping is None:
        return
    for population in network.populations:
        held = np.concatenate([load.neurons.get(population.name, np.zeros(0, int)) for load in mapping.cores])
        assert np.sort(held).tolist() == list(range(population.size))
    places = [(load.chip, load.core) for load in mapping.cores]
    assert len(set(places)) == len(places)
    chip = mapping.chip
    assert all(0 <= c < chip.n_chips and 0 <= k < chip.cores.count.value for c, k in places)


@settings(deadline=None, max_examples=60)
@given(networks(), targets(), SPLIT_NAMES)
def test_every_synapse_is_stored_on_the_core_of_its_target(network: Network, target: Target, split: str) -> None:
    """Stored weights are at least the synapses whose target lies there; formats that keep no zeros store just these."""
    mapping = mapped(network, target, split)
    if mapping is None:
        return
    labels = mapping.core_labels()
    for projection in network.projections:
        matrix = matrix_of(projection)
        here = np.bincount(labels[projection.target][matrix.target], minlength=len(mapping.cores))
        for load, synapses in zip(mapping.cores, here):
            if projection.name in load.formats:
                stored = load.stored[projection.name]
                zeros = mapping.chip.format(load.formats[projection.name]).stores_zeros
                assert stored >= synapses if zeros else stored == synapses


@settings(deadline=None, max_examples=60)
@given(networks(), targets(), SPLIT_NAMES)
def test_no_limit_is_exceeded(network: Network, target: Target, split: str) -> None:
    mapping = mapped(network, target, split)
    if mapping is None:
        return
    for load in mapping.cores:
        assert set(load.used) == set(mapping.limits)
        assert all(load.used[name] <= limit for name, limit in mapping.limits.items())
        assert load.used["synapse_words"] == sum(load.words.values())


@settings(deadline=None, max_examples=30)
@given(networks(), targets(), SPLIT_NAMES)
def test_same_input_gives_the_same_mapping(network: Network, target: Target, split: str) -> None:
    first, second = mapped(network, target, split), mapped(network, target, split)
    if first is None or second is None:
        assert first is second
        return
    assert [(a.chip, a.core, a.words, a.used) for a in first.cores] == [
        (b.chip, b.core, b.words, b.used) for b in second.cores
    ]
    for name, labels in first.core_labels().items():
        assert np.array_equal(labels, second.core_labels()[name])


@settings(deadline=None, max_examples=40)
@given(networks(), targets())
def test_default_takes_no_more_cores_than_equal(network: Network, target: Target) -> None:
    equal, default = mapped(network, target, "equal"), mapped(network, target, "overlap")
    if equal is not None and equal.chip.n_chips == 1:
        assert default is not None
        assert len(default.cores) <= len(equal.cores)


@settings(deadline=None, max_examples=40)
@given(networks(), targets())
def test_messages_of_a_mapping_are_its_input_axons(network: Network, target: Target) -> None:
    """A list on a core is one input axon there, and each source neuron with a list there sends it a message."""
    mapping = mapped(network, target, "overlap")
    if mapping is None:
        return
    labels = mapping.core_labels()
    for core, load in enumerate(mapping.cores):
        axons = sum(
            np.unique(m.source[labels[p.target][m.target] == core]).size
            for p in network.projections
            for m in [matrix_of(p)]
        )
        assert load.used["input_axons"] == axons


@settings(deadline=None, max_examples=40)
@given(networks(), targets(), SPLIT_NAMES)
def test_registers_are_those_of_a_recount_from_the_synapses(network: Network, target: Target, split: str) -> None:
    """Loihi 1: an output entry for each neuron and core that it reaches, one more where that lies on another chip.

    Loihi 2: no output entries, one axon map entry a neuron; the pool is the sum of axons, neurons, words and map. Inputs
    of the network take input axons where they arrive, and no output entry anywhere.
    """
    mapping = mapped(network, target, split)
    if mapping is None:
        return
    labels = mapping.core_labels()
    loihi2 = target[0] == "loihi2"
    sent = np.zeros(len(mapping.cores), int)
    for p in network.projections:
        if p.source in labels and not loihi2:
            m = matrix_of(p)
            pairs = np.unique(np.stack([m.source, labels[p.target][m.target]]), axis=1)
            for neuron, core in pairs.T:
                home = labels[p.source][neuron]
                sent[home] += 1 + (mapping.cores[home].chip != mapping.cores[core].chip)
    for core, load in enumerate(mapping.cores):
        used = load.used
        assert used["neurons"] == sum(held.size for held in load.neurons.values())
        assert used["output_axons"] == sent[core]
        if loihi2:
            assert used["axon_map"] == used["neurons"]
            parts = ("input_axons", "neurons", "synapse_words", "axon_map", "output_axons")
            assert used["pool_words"] == sum(used[name] for name in parts)


@settings(deadline=None, max_examples=40)
@given(networks(), targets())
def test_equal_takes_the_smallest_number_of_blocks_that_satisfies_every_limit(network: Network, target: Target) -> None:
    """Found here by trying every number of parts, for layers in a row, whose targets are cut before them."""
    mapping = mapped(network, target, "equal")
    if mapping is None or mapping.chip.n_chips > 1 or any(p.source == p.target for p in network.projections):
        return
    layers = Layers(network, mapping.chip)
    cuts: dict[str, Cut] = {}
    for p in reversed(network.populations):
        blocks = [Cut.blocks(p.size, -(-p.size // k)) for k in range(1, p.size + 1)]
        cuts[p.name] = next(cut for cut in blocks if not excess(layers, p.name, {**cuts, p.name: cut}))
        assert len(mapping.layer_cores(p.name)) == cuts[p.name].n_parts


@given(st.lists(st.integers(-256, 255), min_size=1, max_size=20))
def test_width_holds_every_weight_and_one_bit_less_does_not(values: list[int]) -> None:
    weights = np.array(values, np.int16)
    bits = needed_bits(weights, shared_sign=True, drops_common_power=True)
    assert holds(values, bits)
    assert bits == 1 or not holds(values, bits - 1)


def holds(values: list[int], bits: int) -> bool:
    """Whether some power of two times a whole number of ``bits`` bits gives every value, with the sign shared if it can."""
    one_sign = [range(2**bits), range(-(2**bits) + 1, 1)]
    both = [range(-(2 ** (bits - 1)), 2 ** (bits - 1))]
    for shift in range(9):
        if all(v % 2**shift == 0 for v in values):
            scaled = [v >> shift for v in values]
            if any(all(v in r for v in scaled) for r in one_sign + both):
                return True
    return False
