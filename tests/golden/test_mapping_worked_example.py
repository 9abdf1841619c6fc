"""Cores and memory of 2312-512-10 with 8-bit weights at five densities, on both Loihis."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from building import chain, neuron

from neurodeploy.chip import Chip, load_chip
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network

EXPECTED: dict[str, Any] = json.loads((Path(__file__).parent / "mapping_worked_example.json").read_text())
MODEL = neuron()


@pytest.fixture(scope="module")
def networks() -> dict[float, Network]:
    """The masks come from one stream of seed 0: for each density, first layer and then second layer."""
    rng = np.random.default_rng(0)
    masks = {}
    for density in (1.0, 0.5, 0.2, 0.1, 0.05):
        masks[density] = [rng.random((2312, 512)) < density, rng.random((512, 10)) < density]
    return {density: network_of(*pair) for density, pair in masks.items()}


def network_of(first: np.ndarray, second: np.ndarray) -> Network:
    return chain({"hidden": weights_of(first), "output": weights_of(second)}, MODEL, source="input", output="class")


def weights_of(mask: np.ndarray) -> np.ndarray:
    """8-bit weights of both signs, never 0 where the mask is set; shape (n_target, n_source)."""
    rng = np.random.default_rng(1)
    return (mask * rng.integers(1, 128, mask.shape) * rng.choice([-1, 1], mask.shape)).T.astype(np.int16)


def cores_and_kib(mapping: Mapping) -> tuple[int, int]:
    return len(mapping.layer_cores("hidden")), round(mapping.layer_bytes()["hidden"] / 1024)


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_equal_split_gives_the_cores_and_kib_of_the_worked_example(networks: dict[float, Network], chip: str) -> None:
    for density, nonzeros, cores, kib in EXPECTED[chip]:
        network = networks[density]
        assert np.count_nonzero(network.projections[0].synapses.weights) == nonzeros
        mapping = map_network(network, load_chip(chip), split="equal")
        assert (density, *cores_and_kib(mapping)) == (density, cores, kib)
        assert len(mapping.layer_cores("output")) == 1


@pytest.mark.parametrize("name", ["sparse", "runlength"])
def test_one_format_alone_gives_its_column_of_the_worked_example(networks: dict[float, Network], name: str) -> None:
    chip = load_chip("loihi1")
    only = chip.model_copy(update={"synapse_format": (chip.format(name),)})
    for density, cores, kib in EXPECTED[f"loihi1_{name}"]:
        assert (density, *cores_and_kib(map_network(networks[density], only, split="equal"))) == (density, cores, kib)


def with_words(chip: Chip, words: int) -> Chip:
    count = chip.cores.synapse_words
    assert count is not None
    cores = chip.cores.model_copy(update={"synapse_words": count.model_copy(update={"value": words})})
    return chip.model_copy(update={"cores": cores})


def test_older_loihi_2_compiler_needs_the_cores_of_the_worked_example(networks: dict[float, Network]) -> None:
    chip = with_words(load_chip("loihi2"), 12000)
    for density, cores in EXPECTED["loihi2_12000"]:
        assert (density, len(map_network(networks[density], chip, split="equal").layer_cores("hidden"))) == (
            density,
            cores,
        )


def test_a_dense_process_on_loihi_2_stores_its_zeros(networks: dict[float, Network]) -> None:
    for density in (0.2, 0.05):
        mapping = map_network(networks[density], load_chip("loihi2"), split="equal", store_zeros=True)
        assert cores_and_kib(mapping) == (29, 3089)


def test_full_loihi_2_core_uses_the_registers_worked_out_by_hand(networks: dict[float, Network]) -> None:
    used = map_network(networks[1.0], load_chip("loihi2"), split="equal").cores[0].used
    assert used["synapse_words"] == 6 * 2312 == 13872
    assert used["pool_words"] == 13872 + 2312 + 18 + 18


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_default_split_needs_no_more_cores_than_equal(networks: dict[float, Network], chip: str) -> None:
    for density, _, cores, _ in EXPECTED[chip]:
        assert len(map_network(networks[density], load_chip(chip)).layer_cores("hidden")) <= cores
