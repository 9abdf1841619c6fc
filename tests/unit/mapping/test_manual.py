"""A mapping made by hand: recorded spikes on given cores, priced without a mapper and without a simulator."""

from __future__ import annotations

import numpy as np
import pytest
from building import chain, one_layer

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.errors import UsageError
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import load_mapping, save_mapping
from neurodeploy.network import Conv, Cuba, Network
from neurodeploy.network.activity import Activity, Events

MODEL = Cuba(current_decay=2048, voltage_decay=256, threshold=30)
W1 = np.array([[1, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 1]], np.int16)
W2 = np.array([[1, 1, 0], [0, 1, 1]], np.int16)
CORES = {"in": [0, 0, 0, 0], "a": [0, 0, 16], "b": [16, 17]}
"""Core 0 is on tile 0; cores 16 and 17 on tile 4, one to the east of it."""


def network(w1: np.ndarray = W1) -> Network:
    return chain({"a": w1, "b": W2}, MODEL)


def recorded(net: Network, updated: np.ndarray | None = None) -> Activity:
    """Two steps: inputs 0 and 2 in the first, neurons a0 and a2 in the second."""
    rasters = {name: np.zeros((1, 2, size), int) for name, size in net.sizes.items()}
    rasters["in"][0, 0, [0, 2]] = 1
    rasters["a"][0, 1, [0, 2]] = 1
    spikes = {name: Events.from_dense(raster) for name, raster in rasters.items()}
    return Activity(engine="recorded", network=net.fingerprint, n_steps=2, spikes=spikes, updated=updated)


class TestCountsByHand:
    """Inputs lie on core 0 beside a0 and a1; a2 and b0 lie on core 16, b1 on core 17 of the same tile."""

    def test_reads_messages_and_hops_follow_from_the_given_cores(self) -> None:
        net = network()
        mapping = map_by_hand(net, load_chip("loihi1"), CORES, formats="packed")
        cost = estimate(net, mapping, recorded(net, np.zeros((1, 2, 3), np.int64)))
        # input 0 reads a0 (core 0) and a2 (core 16); input 2 reads a0 and a1; a0 reads b0; a2 reads b1
        assert cost.counts["synop.packed"] == 2 + 2 + 1 + 1
        assert cost.counts["message_out"] == 2 + 1 + 1 + 1
        assert cost.counts["hop_ew"] == 1 + 0 + 1 + 0
        assert cost.counts["spike_out"] == 2 + 2
        assert cost.counts["neuron_access"] == 9 * 2
        assert cost.counts["neuron_update"] == 2  # the relays, when they pass a spike on
        price = 6 * 35.5 + 5 * 111 + 2 * 3.0 + 4 * 69.3 + 18 * 51.2 + 2 * 21.6
        assert cost.energy.total_j.nominal == pytest.approx(price * 1e-12, rel=1e-12)
        assert cost.memory.n_cores == 3

    def test_the_dense_format_reads_the_zeros_that_fill_its_gaps(self) -> None:
        column = np.array([[1], [0], [1]], np.int16) @ np.ones((1, 4), np.int16)
        net = network(column)
        cores = {"a": [0, 0, 0], "b": [1, 1]}
        packed, dense = (
            map_by_hand(net, load_chip("loihi1"), cores, formats={"w1": fmt, "w2": "sparse"})
            for fmt in ("packed", "dense")
        )
        assert [m.cores[0].stored["w1"] for m in (packed, dense)] == [4 * 2, 4 * 3]
        reads = [estimate(net, m, recorded(net)).counts[f"synop.{m.cores[0].formats['w1']}"] for m in (packed, dense)]
        assert reads == [2 * 2, 2 * 3]

    def test_inputs_that_are_not_named_are_injected_by_the_host(self) -> None:
        net = network()
        mapping = map_by_hand(net, load_chip("loihi1"), {"a": [0, 0, 1], "b": [1, 1]}, formats="sparse")
        cost = estimate(net, mapping, recorded(net))
        assert mapping.inputs == "host"
        assert cost.counts["neuron_access"] == 5 * 2
        assert cost.counts["message_out"] == 1 + 1

    def test_kernels_can_be_shared(self) -> None:
        conv = Conv(weights=np.ones((2, 1, 3, 3), np.int16), input_shape=(1, 4, 4), padding=(1, 1))
        net = one_layer(conv, MODEL, target="a", wire="k")
        mapping = map_by_hand(net, load_chip("loihi1"), {"a": np.zeros(32, int)}, formats="shared", weight_bits=1)
        mapped = map_network(net, load_chip("loihi1"))
        assert (mapping.synaptic_bytes, mapping.cores[0].stored) == (mapped.synaptic_bytes, mapped.cores[0].stored)


def test_the_mapper_s_own_cores_and_formats_give_its_own_figures() -> None:
    rng = np.random.default_rng(0)
    weights = ((rng.random((300, 40)) < 0.3) * rng.integers(1, 100, (300, 40))).astype(np.int16)
    net = one_layer(weights, MODEL, target="a")
    mapped = map_network(net, load_chip("loihi1"), split="equal", cores={"a": 4})
    fmt, bits = mapped.cores[0].formats["w"], mapped.cores[0].weight_bits["w"]
    numbers = np.array([load.core for load in mapped.cores])[mapped.core_labels()["a"]]
    by_hand = map_by_hand(net, load_chip("loihi1"), {"a": numbers}, formats=fmt, weight_bits=bits)
    for ours, theirs in zip(by_hand.cores, mapped.cores):
        assert (ours.core, ours.tile, ours.x, ours.y) == (theirs.core, theirs.tile, theirs.x, theirs.y)
        assert (ours.words, ours.stored, ours.formats) == (theirs.words, theirs.stored, theirs.formats)
        assert all(theirs.used[name] == amount for name, amount in ours.used.items())


def test_it_survives_its_file(tmp_path) -> None:
    net = network()
    mapping = map_by_hand(net, load_chip("loihi1"), CORES, formats="packed")
    save_mapping(mapping, tmp_path / "m.json")
    assert estimate(net, load_mapping(tmp_path / "m.json"), recorded(net)) == estimate(net, mapping, recorded(net))


def test_a_limit_that_is_passed_is_a_note_of_the_cost() -> None:
    net = one_layer(np.ones((1100, 1), np.int16), MODEL, target="a")
    mapping = map_by_hand(net, load_chip("loihi1"), {"a": np.zeros(1100, int)}, formats="packed")
    (note,) = estimate(net, mapping).notes[:1]
    assert note.startswith("the mapping by hand passes a limit: 1,100 neurons on core 0 of chip 0, where 1,024 fit")


class TestRefusals:
    @pytest.mark.parametrize(
        ("cores", "formats", "message"),
        [
            ({"a": [0, 0, 0]}, "packed", "no cores for population 'b'; give the core of each of its neurons"),
            ({**CORES, "c": [0]}, "packed", "cores for 'c', which is neither population nor input; known: in, a, b"),
            ({**CORES, "a": [0, 0]}, "packed", r"cores of 'a' are int64 of shape \(2,\); give 3 whole numbers"),
            ({**CORES, "a": [0.0, 0.0, 0.0]}, "packed", "cores of 'a' are float64 .* give 3 whole numbers"),
            ({**CORES, "a": [0, 0, 128]}, "packed", "'a' lies on core 128, but chip 'loihi1' has cores 0 to 127"),
            ({**CORES, "a": [0, 0, -1]}, "packed", "'a' lies on core -1"),
            (
                CORES,
                "crossbar",
                "format 'crossbar' of projection 'w1' is none of chip 'loihi1' for it; known: sparse, ",
            ),
            (CORES, {"w1": "sparse"}, "format 'None' of projection 'w2'"),
            (CORES, "shared", "format 'shared' of projection 'w1' is none of chip"),
        ],
    )
    def test_one_message_says_what_to_give(self, cores: dict, formats: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            map_by_hand(network(), load_chip("loihi1"), cores, formats=formats)
