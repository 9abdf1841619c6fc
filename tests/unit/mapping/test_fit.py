"""Verdicts: what binds, and remedies that really work."""

import json
from dataclasses import replace

import numpy as np
import pytest
from building import chain, neuron

from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import FitError
from neurodeploy.mapping.fit.change import pruned, requantised
from neurodeploy.mapping.fit.search import find_highest_density, find_smallest_chip, fit
from neurodeploy.mapping.fit.verdict import with_chips
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.synapses import needed_bits
from neurodeploy.mapping.summary import fit_summary
from neurodeploy.network import Dense, Network, n_nonzero

MODEL = neuron()
LAYER = frozenset(["hidden"])


def network(n_target: int, n_source: int, seed: int = 0) -> Network:
    """One layer of 8-bit weights of both signs, none zero."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 128, (n_target, n_source)) * rng.choice([-1, 1], (n_target, n_source))
    return chain({"hidden": weights}, MODEL, source="input", wire="w")


@pytest.fixture(scope="module")
def four_cores() -> Chip:
    """A Loihi 2 of four small cores: 1000 words each."""
    chip = load_chip("loihi2")
    counts = {
        name: getattr(chip.cores, name).model_copy(update={"value": value})
        for name, value in {"count": 4, "synapse_words": 1000}.items()
    }
    return chip.model_copy(update={"cores": chip.cores.model_copy(update=counts)})


def test_fitting_network_lists_the_fullest_core_for_each_resource(four_cores: Chip) -> None:
    result = fit(network(20, 100), four_cores)
    assert result.fits
    loads = {load.resource: load for load in result.loads}
    assert set(loads) == {*four_cores.cores.limits, "cores"}
    assert (loads["synapse_words"].used, loads["synapse_words"].headroom) == (700, 300)
    assert (loads["input_axons"].used, loads["input_axons"].limit) == (100, 16000)
    assert result.binding == {"layer": "hidden", "core": 0, "resource": "synapse_words", "used": 700, "limit": 1000}
    assert result.remedies == ()


def test_network_that_does_not_fit_names_the_broken_limit(four_cores: Chip) -> None:
    result = fit(network(200, 200), four_cores, remedies=False)
    assert not result.fits
    assert result.binding == {"layer": "hidden", "core": 4, "resource": "cores", "used": 14, "limit": 4}
    assert "needs 14 cores" in result.error


def test_every_remedy_maps_when_it_is_applied(four_cores: Chip) -> None:
    wide = network(200, 200)
    remedies = {remedy.kind: remedy for remedy in fit(wide, four_cores).remedies if remedy.kind != "chip"}
    assert set(remedies) == {"density", "weight_bits", "chips"}
    density, chips, coarse = remedies["density"], remedies["chips"], remedies["weight_bits"]
    removed = density.cost["removed"]
    assert isinstance(removed, int)
    thin = pruned(wide, 1 - removed / (200 * 200), LAYER)
    assert n_nonzero(thin.projections[0]) == 200 * 200 - removed
    assert len(map_network(thin, four_cores).cores) == density.cores <= 4
    bits = coarse.cost["bits"]
    assert isinstance(bits, int)
    assert len(map_network(requantised(wide, bits, LAYER), four_cores).cores) == coarse.cores <= 4
    assert chips.cost == {"chips": 4}
    assert len(map_network(wide, with_chips(four_cores, 4)).cores) == chips.cores == 14


def test_density_remedy_cannot_be_one_step_higher(four_cores: Chip) -> None:
    wide = network(200, 200)
    found = find_highest_density(wide, four_cores)
    assert found is not None
    assert 0 < found[0] < 1
    with pytest.raises(FitError):
        map_network(pruned(wide, found[0] + 1 / 128, LAYER), four_cores)


def test_narrower_weights_are_offered_when_they_help() -> None:
    """64 neurons with 2312 sources fill a Loihi 1 core at 6 bits (7 words each), but not at 8 (9 words)."""
    wide = network(128, 2312)
    chip = load_chip("loihi1")
    small = chip.model_copy(
        update={"cores": chip.cores.model_copy(update={"count": chip.cores.count.model_copy(update={"value": 2})})}
    )
    remedy = next(r for r in fit(wide, small).remedies if r.kind == "weight_bits")
    assert remedy.cost["bits"] == 6
    assert len(map_network(requantised(wide, 6, LAYER), small).cores) == remedy.cores == 2


def test_other_chips_are_offered_only_where_the_network_fits(four_cores: Chip) -> None:
    wide = network(200, 200)
    offered = {str(r.cost["chip"]): r.cores for r in fit(wide, four_cores).remedies if r.kind == "chip"}
    assert {"loihi1", "nahuku32", "kapoho_point"} <= set(offered)
    assert offered["loihi1"] == len(map_network(wide, load_chip("loihi1")).cores)


def test_odd_weights_of_both_signs_are_refused_with_layer_and_value_and_fewer_bits_are_offered() -> None:
    """Loihi 1 holds even values up to -256..254 in 8 bits; -255 needs 9, and rounding moves weights by 1."""
    wide = network(20, 10)
    weights = wide.projections[0].synapses.weights.copy()
    weights[3, 4] = -255
    odd = replace(wide, projections=(replace(wide.projections[0], synapses=Dense(weights=weights)),))
    result = fit(odd, load_chip("loihi1"))
    assert "layer 'hidden': projection 'w' needs 9 bits a weight" in result.error
    assert "odd ones up to -255" in result.error
    assert result.binding == {"layer": "hidden", "core": 0, "resource": "weight_bits", "used": 9, "limit": 8}
    remedy = result.remedies[0]
    assert (remedy.kind, remedy.cost) == ("weight_bits", {"bits": 8, "largest_change": 1})
    assert len(map_network(requantised(odd, 8, LAYER), load_chip("loihi1")).cores) == remedy.cores == 1


def test_format_without_zeros_is_offered_where_it_fits(four_cores: Chip) -> None:
    thin = pruned(network(150, 100), 0.2, LAYER)
    result = fit(thin, four_cores, store_zeros=True)
    assert not result.fits
    assert (result.remedies[0].kind, result.remedies[0].what) == ("format", "store no zeros (leave out --store-zeros)")
    assert result.remedies[0].cores == len(map_network(thin, four_cores).cores)


def test_split_that_fits_is_offered_where_another_does_not(four_cores: Chip) -> None:
    """95 neurons take 30 words a source: three parts by the ratio, and twice as many as these overflow; four would do."""
    wide = network(95, 100)
    with pytest.raises(FitError, match="needs 6 cores"):
        map_network(wide, four_cores, split="compiler")
    remedy = fit(wide, four_cores, split="compiler").remedies[0]
    assert (remedy.kind, remedy.what) == ("split", "cut layers by --split overlap")
    assert len(map_network(wide, four_cores).cores) == remedy.cores == 4


def test_fitting_network_keeps_its_density(four_cores: Chip) -> None:
    found = find_highest_density(network(20, 100), four_cores)
    assert found is not None
    assert found[0] == 1.0


def test_smallest_chip_has_the_fewest_chips_and_cores() -> None:
    mapping = find_smallest_chip(network(200, 200), ["nahuku32", "loihi1", "loihi2"])
    assert mapping is not None
    assert mapping.chip.name == "loihi2"
    assert find_smallest_chip(network(5000, 1), []) is None


def test_pruning_keeps_the_largest_weights() -> None:
    before = network(30, 30)
    after = pruned(before, 0.25, LAYER)
    old, new = before.projections[0].synapses.weights, after.projections[0].synapses.weights
    assert np.count_nonzero(new) == 225
    assert np.abs(old[new != 0]).min() >= np.abs(old[new == 0]).max()
    assert np.array_equal(new[new != 0], old[new != 0])


@pytest.mark.parametrize("bits", range(1, 9))
def test_coarser_weights_need_the_asked_bits_and_move_by_at_most_one_step(bits: int) -> None:
    before = network(30, 30)
    old, new = (n.projections[0].synapses.weights.astype(int) for n in (before, requantised(before, bits, LAYER)))
    assert needed_bits(new.astype(np.int16), shared_sign=True, drops_common_power=True) <= bits
    assert np.abs(new - old).max() <= 2 ** (8 - bits)


def test_summary_of_a_fitting_network_can_be_written_as_json(four_cores: Chip) -> None:
    found = json.loads(json.dumps(fit_summary(fit(network(20, 100), four_cores))))
    assert (found["fits"], found["cores"], found["remedies"], found["error"]) == (True, 1, [], "")
    assert found["binding"]["resource"] == "synapse_words"
    layer = found["layers"][0]
    assert (layer["name"], layer["cores"], layer["format"], layer["weight_bits"]) == ("hidden", 1, "fc", [8])
    assert layer["synaptic_bytes"] == 700 * 8 == found["synaptic_bytes"]
    assert layer["bits_per_synapse"] == 700 * 64 / 2000


def test_summary_of_a_network_that_does_not_fit_holds_binding_and_remedies(four_cores: Chip) -> None:
    found = json.loads(json.dumps(fit_summary(fit(network(200, 200), four_cores))))
    assert (found["fits"], found["cores"], found["layers"]) == (False, None, [])
    assert found["binding"] == {"layer": "hidden", "core": 4, "resource": "cores", "used": 14, "limit": 4}
    assert {"density", "weight_bits", "chips", "chip"} == {r["kind"] for r in found["remedies"]}
