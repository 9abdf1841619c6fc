"""Messages, cuts by overlap, and places on the mesh."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from building import PATTERNS, connect, neuron, one_layer

from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import MissingPackageError, UsageError
from neurodeploy.mapping.cuts.hypergraph import build_hypergraph, fewest_messages, messages
from neurodeploy.mapping.cuts.mtkahypar import _library
from neurodeploy.mapping.cuts.overlap import grown_cut, swap
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.cut import Cut
from neurodeploy.mapping.memory.parts import Layers
from neurodeploy.mapping.places.spots import by_traffic, spot
from neurodeploy.mapping.places.traffic import count_traffic
from neurodeploy.network import Dense, Network, Sparse, Synapses
from neurodeploy.network.activity import Activity, Events

MODEL = neuron()


def small_cores(neurons: int, name: str = "loihi1") -> Chip:
    chip = load_chip(name)
    count = chip.cores.neurons
    assert count is not None
    cores = chip.cores.model_copy(update={"neurons": count.model_copy(update={"value": neurons})})
    return chip.model_copy(update={"cores": cores})


def network(first: Synapses, loop: Synapses | None = None) -> Network:
    """One population with a connection from the input and perhaps one from itself."""
    extra = [] if loop is None else [connect("p", "p", loop, "loop")]
    return one_layer(first, MODEL, source="input", target="p", wire="in", extra=extra)


def pattern(name: str, seed: int = 0) -> Network:
    synapses = PATTERNS[name](np.random.default_rng(seed))
    silent = Sparse(n_target=2048, start=np.zeros(2, int), target=np.zeros(0, int), weights=np.zeros(0, int))
    return network(silent, synapses)


def test_messages_count_distinct_parts_without_the_sources_own() -> None:
    """Neurons 0, 1 on part 0 and 2, 3 on part 1; 0 reaches 1, 2 and 3, 2 reaches 3, 3 reaches 0 and 1."""
    loop = np.zeros((4, 4), np.int16)
    loop[[1, 2, 3], 0] = loop[3, 2] = loop[[0, 1], 3] = 1
    graph = build_hypergraph(
        Layers(network(Dense(weights=np.eye(4, dtype=int)), Dense(weights=loop)), load_chip("loihi1")), "p"
    )
    from_input, from_itself = 4, 1 + 0 + 1
    assert messages(graph, Cut(np.array([0, 0, 1, 1], np.int32), 2)) == from_input + from_itself


def test_spike_counts_weigh_messages() -> None:
    layers = Layers(network(Dense(weights=np.ones((4, 2), int))), load_chip("loihi1"))
    graph = build_hypergraph(layers, "p", {"input": np.array([10, 3]), "p": np.zeros(4, int)})
    assert messages(graph, Cut(np.array([0, 0, 1, 1], np.int32), 2)) == 2 * 13
    assert fewest_messages(graph, 2) == 2 * 13


def test_source_with_two_projections_sends_one_message() -> None:
    one = network(Dense(weights=np.ones((4, 2), int)))
    again = connect("input", "p", np.ones((4, 2), int), "again", delay=3)
    twice = replace(one, projections=(*one.projections, again))
    chip = small_cores(2)
    assert count_traffic(twice, map_network(twice, chip)).host.tolist() == [2, 2]


def test_exchange_saves_what_it_says() -> None:
    layers = Layers(pattern("local"), load_chip("loihi1"))
    graph = build_hypergraph(layers, "p")
    labels = grown_cut(graph, 32)
    before = messages(graph, Cut(labels.copy(), 32))
    saved = swap(graph, labels, 32)
    assert saved > 0
    assert messages(graph, Cut(labels, 32)) == before - saved
    assert np.bincount(labels).tolist() == [64] * 32


@pytest.mark.parametrize(("name", "least"), [("random", 0.15), ("communities", 0.65), ("local", 0.70)])
def test_default_split_saves_messages_against_the_sequential_one(name: str, least: float) -> None:
    chip = small_cores(64)
    saved = {}
    for split in ("equal", "overlap"):
        mapping = map_network(pattern(name), chip, split=split, placement="order")
        assert len(mapping.cores) == 32
        saved[split] = count_traffic(pattern(name), mapping).messages
    assert 1 - saved["overlap"] / saved["equal"] >= least


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("random", 0.15), ("communities", 0.65), ("local", 0.80)])
def test_mtkahypar_saves_messages_against_the_sequential_split(name: str, least: float) -> None:
    pytest.importorskip("mtkahypar", reason="needs the extra map")
    chip = small_cores(64)
    counts = [
        count_traffic(pattern(name), map_network(pattern(name), chip, split=s)).messages for s in ("equal", "mtkahypar")
    ]
    assert 1 - counts[1] / counts[0] >= least


def test_mtkahypar_gives_the_same_parts_twice() -> None:
    pytest.importorskip("mtkahypar", reason="needs the extra map")
    rng = np.random.default_rng(1)
    small = network(Dense(weights=(rng.random((60, 200)) < 0.05).astype(int)))
    labels = [map_network(small, small_cores(20), split="mtkahypar").core_labels()["p"].tolist() for _ in range(2)]
    assert labels[0] == labels[1]
    assert np.bincount(labels[0]).max() <= 20


def test_missing_mtkahypar_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mtkahypar", None)
    _library.cache_clear()
    weights = np.kron(np.eye(2, dtype=int), np.ones((10, 20), int))[np.random.default_rng(0).permutation(20)]
    with pytest.raises(MissingPackageError, match=r"needs the package mtkahypar: pip install 'neurodeploy-snn\[map\]'"):
        map_network(network(Dense(weights=weights)), small_cores(10), split="mtkahypar")
    _library.cache_clear()


def test_matrix_that_reaches_every_core_anyway_stays_contiguous() -> None:
    mapping = map_network(network(Dense(weights=np.ones((40, 30), int))), small_cores(10), placement="order")
    assert mapping.core_labels()["p"].tolist() == [i // 10 for i in range(40)]


def test_two_mixed_groups_are_taken_apart() -> None:
    """Even neurons share one set of sources, odd ones another: each core then needs one set only."""
    weights = np.zeros((20, 20), int)
    weights[::2, :10] = weights[1::2, 10:] = 1
    mapping = map_network(network(Dense(weights=weights)), small_cores(10), placement="order")
    assert {tuple(load.neurons["p"].tolist()) for load in mapping.cores} == {
        tuple(range(0, 20, 2)),
        tuple(range(1, 20, 2)),
    }
    assert [load.used["input_axons"] for load in mapping.cores] == [10, 10]


def test_traffic_of_an_activity_counts_its_spikes() -> None:
    net = network(Dense(weights=np.eye(4, dtype=int)), Dense(weights=np.roll(np.eye(4, dtype=int), 2, axis=0)))
    mapping = map_network(net, small_cores(2), placement="order", split="equal")
    spikes = {
        "input": Events(size=4, n_steps=9, n_samples=1, sample=[0, 0], step=[1, 2], neuron=[0, 3]),
        "p": Events(size=4, n_steps=9, n_samples=1, sample=[0, 0, 0], step=[1, 2, 3], neuron=[0, 0, 2]),
    }
    activity = Activity(engine="test", network=net.fingerprint, n_steps=9, spikes=spikes)
    found = count_traffic(net, mapping, activity)
    assert found.matrix.tolist() == [[0, 2], [1, 0]]
    assert found.host.tolist() == [1, 1]
    assert (found.messages, found.spikes, found.per_spike, found.hops, found.crossings) == (3, 3, 1.0, 0, 0)


def test_messages_to_another_chip_are_crossings_without_hops() -> None:
    board = load_chip("nahuku32")
    counts = {"count": board.cores.count.model_copy(update={"value": 1})}
    board = board.model_copy(update={"cores": small_cores(2).cores.model_copy(update=counts)})
    net = network(Dense(weights=np.eye(4, dtype=int)), Dense(weights=np.ones((4, 4), int)))
    found = count_traffic(net, map_network(net, board))
    assert (found.messages, found.crossings, found.hops) == (4, 4, 0)


def test_parts_that_talk_share_a_router() -> None:
    """Eight parts; part i talks to part i + 4 only, so that placing them in order makes every message hop."""
    matrix = np.zeros((8, 8), int)
    matrix[np.arange(4), np.arange(4, 8)] = 5
    chip = load_chip("loihi1")
    cores = by_traffic(chip, matrix)
    tiles = [spot(chip, core).tile for core in cores]
    assert sorted(set(cores)) == sorted(cores)
    assert all(tiles[i] == tiles[i + 4] for i in range(4))
    assert len(set(tiles)) == 2


def test_placement_never_lengthens_the_way_of_messages() -> None:
    net = pattern("local")
    chip = small_cores(64)
    hops = [count_traffic(net, map_network(net, chip, placement=p)).hops for p in ("order", "traffic")]
    assert hops[0] is not None
    assert hops[1] is not None
    assert hops[1] < hops[0]


def test_chip_without_a_mesh_is_filled_in_order() -> None:
    assert by_traffic(load_chip("loihi2"), np.ones((5, 5), int)) == [0, 1, 2, 3, 4]
    assert count_traffic(pattern("local"), map_network(pattern("local"), small_cores(64, "loihi2"))).hops is None


def test_unknown_placement_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="placement 'random' is not known; known placements: order, traffic"):
        map_network(network(Dense(weights=np.ones((1, 1), int))), load_chip("loihi1"), placement="random")
