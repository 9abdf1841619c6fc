"""Bounds of the number of cores, known before a network is mapped, and what rests on them."""

import numpy as np
import pytest
from building import connect, neuron, wired
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.chip import load_chip
from neurodeploy.errors import FitError
from neurodeploy.mapping.fit.bounds import CoreBounds, core_bounds, least_cores
from neurodeploy.mapping.fit.change import pruned
from neurodeploy.mapping.fit.search import find_smallest_chip, fit
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Network


def two_layers(sizes: tuple[int, int, int], density: float, seed: int) -> Network:
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-128, 128, (m, n)) * (rng.random((m, n)) < density) for n, m in zip(sizes, sizes[1:])]
    for w in weights:
        w[0, 0] = 77
    populations = {"a": (sizes[1], neuron(), 1), "b": (sizes[2], neuron(), 2)}
    return wired({"in": sizes[0]}, populations, [connect("in", "a", weights[0]), connect("a", "b", weights[1])])


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300), st.integers(1, 50)),
    st.sampled_from([0.01, 0.2, 0.6, 1.0]),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["loihi1", "loihi2", "spinnaker2"]),
    st.integers(20, 2000),
)
def test_cores_of_a_mapping_lie_within_the_bounds(
    sizes: tuple[int, int, int], density: float, seed: int, name: str, words: int
) -> None:
    network, chip = two_layers(sizes, density, seed), load_chip(name)
    limits = chip.cores.synapse_words.model_copy(update={"value": words})
    chip = chip.model_copy(update={"cores": chip.cores.model_copy(update={"synapse_words": limits})})
    bounds = core_bounds(network, chip)
    assert least_cores(network, chip) == bounds.low
    try:
        cores = len(map_network(network, chip).cores)
    except FitError as error:
        if error.binding is None or error.binding["resource"] != "cores":
            return
        cores = int(error.binding["used"])
    assert bounds.low <= cores
    assert bounds.high is None or cores <= bounds.high


def test_bounds_of_a_dense_layer_by_hand() -> None:
    """1000 lists of 8-bit weights in 16,383 words: 16 words each, so 123 neurons (16 + 123 * 8 bits); 2000 take 17 cores.

    At least: 16 million bits of 64 * 16,383.
    """
    weights = np.full((2000, 1000), 127)
    weights[0] = -128
    network = wired({"in": 1000}, {"p": (2000, neuron())}, [connect("in", "p", weights)])
    assert core_bounds(network, load_chip("loihi1")) == CoreBounds(16, 17)
    assert len(map_network(network, load_chip("loihi1")).cores) == 17


@pytest.mark.parametrize("kept", [0.1, 0.37, 0.5, 1.0])
def test_pruning_keeps_the_first_of_equal_weights(kept: float) -> None:
    weights = np.random.default_rng(0).integers(-3, 4, (40, 50))
    network = wired({"in": 50}, {"p": (40, neuron())}, [connect("in", "p", weights)])
    size = np.abs(weights).ravel()
    order = np.argsort(-size, kind="stable")[: round(kept * np.count_nonzero(size))]
    left = pruned(network, kept, frozenset(["p"])).projections[0].synapses.weights
    assert np.flatnonzero(left).tolist() == sorted(order[size[order] > 0].tolist())


def test_a_chip_whose_neurons_cannot_run_the_network_is_never_offered() -> None:
    """Akida's file serves for limits: it may be named, but neither a search nor a remedy leads there."""
    network = two_layers((20, 10, 3), 1.0, 0)
    akida = load_chip("akida_akd1000")
    assert akida.chip.limits_only
    assert find_smallest_chip(network, ["akida_akd1000"]) is None
    small = load_chip("loihi1")
    count = small.cores.count.model_copy(update={"value": 1})
    small = small.model_copy(update={"cores": small.cores.model_copy(update={"count": count})})
    offered = [r.cost["chip"] for r in fit(network, small).remedies if r.kind == "chip"]
    assert "loihi2" in offered
    assert "akida_akd1000" not in offered
