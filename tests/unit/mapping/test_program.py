"""Mapping onto microcontrollers: flash and RAM of the generated C, the limits of a part, and what would make it fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from building import chain, connect, neuron, wired

from neurodeploy.chip import Chip, chip_from_dict, chip_names, load_chip
from neurodeploy.errors import ChipError, FitError, RecipeError
from neurodeploy.mapping.budget.limits import chip_budget
from neurodeploy.mapping.fit.search import find_highest_density, find_smallest_chip, fit
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.places.traffic import count_traffic
from neurodeploy.mapping.program import code_bytes, code_features, flash_for_synapses
from neurodeploy.mapping.record import load_mapping, save_mapping
from neurodeploy.network import Network
from neurodeploy.recipe.pins import Pins
from neurodeploy.reports.pictures.mapping import draw_mapping
from neurodeploy.tables import plan_tables

PARTS = [name for name in chip_names() if load_chip(name).microcontroller is not None]


def part(base: str = "stm32l4r5", **sizes: int) -> Chip:
    """Return a microcontroller with other memories."""
    data = load_chip(base).model_dump(mode="json", exclude_none=True)
    for name, value in sizes.items():
        data["microcontroller"][name]["value"] = value
    return chip_from_dict(data)


def sparse(n_target: int, n_source: int, density: float = 0.1, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kept = rng.random((n_target, n_source)) < density
    return np.where(kept, 2 * rng.integers(1, 100, kept.shape), 0)


def network() -> Network:
    return chain({"hidden": sparse(60, 40), "out": sparse(10, 60, 1.0)})


def flash_of(given: Network) -> int:
    return map_network(given, load_chip("stm32l4r5")).cores[0].used["flash_bytes"]


def test_the_parts_of_every_family_are_shipped() -> None:
    assert {"stm32l4r5", "stm32h7a3", "stm32u575", "nrf52840", "rp2040", "rp2350", "esp32c3"} <= set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_network_lies_on_the_one_core_with_tables_and_states_to_the_byte(name: str) -> None:
    given, chip = network(), load_chip(name)
    mapping, layout = map_network(given, chip), plan_tables(given)
    (core,) = mapping.cores
    assert {population: indices.size for population, indices in core.neurons.items()} == {"hidden": 60, "out": 10}
    assert mapping.synaptic_bytes == sum(wire.n_bytes for wire in layout.wires)
    assert core.used["ram_bytes"] == layout.ram_bytes
    assert chip.code is not None
    assert core.used["flash_bytes"] == layout.flash_bytes + code_bytes(layout, chip.code)
    assert 200 < code_bytes(layout, chip.code) < 4000
    assert core.formats == {"w1": "idx8", "w2": "rows"}
    assert core.stored == {"w1": np.count_nonzero(sparse(60, 40)), "w2": 600}


def test_a_mapping_is_written_and_read_back(tmp_path: Path) -> None:
    mapping = map_network(network(), load_chip("nrf52840"))
    path = tmp_path / "mapping.json"
    save_mapping(mapping, path)
    again = load_mapping(path)
    assert (again.chip, again.limits, again.split) == (mapping.chip, mapping.limits, "balance")
    assert dict(again.cores[0].used) == dict(mapping.cores[0].used)


def test_too_little_flash_names_bytes_limit_layer_and_key() -> None:
    used = map_network(network(), load_chip("stm32l4r5")).cores[0].used["flash_bytes"]
    with pytest.raises(
        FitError, match=rf"the network needs {used:,} bytes of flash, but chip 'stm32l4r5' has 1,000"
    ) as e:
        map_network(network(), part(flash=1000))
    assert e.value.binding == {"layer": "out", "core": 0, "resource": "flash_bytes", "used": used, "limit": 1000}
    assert "microcontroller.flash); layer 'out' takes most of it: lower its density" in str(e.value)


def test_too_little_ram_names_the_layer_with_most_neurons() -> None:
    with pytest.raises(
        FitError, match=r"bytes of RAM, but chip 'stm32l4r5' has 500 .*microcontroller.ram\); layer 'hidden'"
    ):
        map_network(network(), part(ram=500))


def test_exactly_enough_memory_is_enough() -> None:
    used = map_network(network(), load_chip("stm32l4r5")).cores[0].used
    fits = map_network(network(), part(flash=used["flash_bytes"], ram=used["ram_bytes"]))
    assert dict(fits.cores[0].used) == dict(used)
    with pytest.raises(FitError):
        map_network(network(), part(ram=used["ram_bytes"] - 1))


def test_where_flash_is_short_the_smallest_formats_are_taken() -> None:
    dense = chain([sparse(64, 64, 0.5)])
    usual = map_network(dense, load_chip("stm32l4r5"))
    small = map_network(dense, part(flash=usual.cores[0].used["flash_bytes"] - 1))
    assert usual.cores[0].formats != small.cores[0].formats
    assert small.cores[0].formats == {"w1": "bitmap"}
    assert small.split == "flash"
    assert any("smallest" in note for note in small.notes)


def test_remedies_are_a_lower_density_and_larger_parts() -> None:
    verdict = fit(network(), part(flash=flash_of(network()) - 250))
    assert not verdict.fits
    kinds = {remedy.kind for remedy in verdict.remedies}
    assert {"density", "chip"} <= kinds
    chips = {remedy.cost["chip"] for remedy in verdict.remedies if remedy.kind == "chip"}
    assert chips == set(PARTS) - {"stm32l4r5"}


def test_a_neuromorphic_chip_that_is_too_small_is_not_answered_by_microcontrollers() -> None:
    data = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
    data["cores"]["count"]["value"], data["cores"]["neurons"]["value"] = 1, 8
    data["cores"].pop("mesh"), data["cores"].pop("per_tile")
    verdict = fit(network(), chip_from_dict(data))
    offered = {remedy.cost["chip"] for remedy in verdict.remedies if remedy.kind == "chip"}
    assert "loihi2" in offered
    assert not offered & set(PARTS)


def test_the_verdict_of_a_network_that_fits_names_the_fullest_memory() -> None:
    verdict = fit(network(), part(ram=700))
    assert verdict.fits
    assert verdict.binding is not None
    assert (verdict.binding["resource"], verdict.binding["limit"]) == ("ram_bytes", 700)


def test_the_highest_density_that_fits_is_found() -> None:
    flash = flash_of(network()) - 250
    found = find_highest_density(network(), part(flash=flash))
    assert found is not None
    share, mapping = found
    assert 0 < share < 1
    assert mapping.cores[0].used["flash_bytes"] <= flash


def test_a_microcontroller_is_the_smallest_chip_only_where_no_other_fits() -> None:
    assert find_smallest_chip(network(), ["loihi2", "stm32l4r5"]).chip.name == "loihi2"  # type: ignore[union-attr]
    assert find_smallest_chip(network(), ["stm32l4r5", "nrf52840"]).chip.name == "nrf52840"  # type: ignore[union-attr]


def test_pins_are_refused_where_nothing_can_be_placed() -> None:
    pins = Pins.model_validate({"layers": {"hidden": {"cores": 2}}})
    with pytest.raises(RecipeError, match="fixed place"):
        map_network(network(), load_chip("stm32l4r5"), pins=pins)


def test_layers_that_share_a_function_share_its_code() -> None:
    twins = wired(
        {"in": 30},
        {"a": (40, neuron()), "b": (40, neuron()), "c": (40, neuron(voltage_decay=999))},
        [connect("in", name, sparse(40, 30, seed=i)) for i, name in enumerate("abc")],
    )
    features = code_features(plan_tables(twins))
    assert (features["population"], features["update"]) == (3, 2)
    assert features["add.idx8"] == 1


def test_a_part_without_the_file_of_its_core_is_an_error() -> None:
    data = load_chip("stm32l4r5").model_dump(mode="json", exclude_none=True)
    del data["work"]
    with pytest.raises(ChipError, match=r"there is no table \[work\]; extend the file of its core"):
        chip_from_dict(data)


def masks(*shapes: tuple[int, int], density: float = 0.1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {f"layer{i}": rng.random(shape) < density for i, shape in enumerate(shapes)}


def test_a_budget_is_the_flash_that_pointers_and_code_leave_to_all_layers_together() -> None:
    shapes, chip = ((60, 40), (10, 60)), part(flash=6000)
    left = flash_for_synapses(chip, shapes)
    pointers = 2 * (41 + 61) + 40 + 60  # two bytes a row, one for a delay of each source
    assert chip.code is not None
    assert 6000 - left > pointers + chip.code.base.value + 2 * chip.code.population.value
    budget = chip_budget(chip, masks(*shapes))
    (flash,) = [meter for meter in budget.meters if meter.register == "flash_bytes"]
    assert flash.limit.tolist() == [left]
    room = budget.room(budget.join(masks(*shapes)))
    taken = 2 * sum(int(m.sum()) for m in masks(*shapes).values())
    assert room.left[0].tolist() == [left - taken]


def test_connections_are_admitted_until_the_flash_is_full_and_the_network_then_fits() -> None:
    shapes = ((60, 40), (10, 60))
    chip = part(flash=5000)
    budget = chip_budget(chip, masks(*shapes))
    active = budget.join(masks(*shapes))
    room = budget.room(active)
    free = np.flatnonzero(~active)
    added = room.admit(free)
    assert 0 < added.sum() < free.size
    assert room.left[0][0] in (0, 1)
    active[free[added]] = True
    first, second = active[: 60 * 40].reshape(60, 40), active[60 * 40 :].reshape(10, 60)
    full = chain(
        {"hidden": np.where(first, -100, 0) + 2 * np.eye(60, 40, dtype=int) * first, "out": np.where(second, 60, 0)}
    )
    assert map_network(full, chip).cores[0].used["flash_bytes"] <= 5000


def test_a_budget_refuses_connections_and_neurons_that_do_not_fit() -> None:
    spare = flash_for_synapses(part(flash=10_000), [(6, 40)])
    with pytest.raises(FitError, match="takes 480 flash bytes on its core 0, but the limit is 479") as e:
        chip_budget(part(flash=10_000 - spare + 479), {"a": np.ones((6, 40), bool)})
    assert chip_budget(part(flash=10_000 - spare + 480), {"a": np.ones((6, 40), bool)})
    assert e.value.binding is not None
    assert e.value.binding["resource"] == "flash_bytes"
    with pytest.raises(FitError, match=r"70 neurons take 560 bytes of RAM, but chip 'stm32l4r5' has 500"):
        chip_budget(part(ram=500), masks((60, 40), (10, 60)))


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_a_mapping_can_be_drawn(suffix: str, tmp_path: Path) -> None:
    if suffix == "html":
        pytest.importorskip("jinja2", reason="needs jinja2 (extra report)")
        pytest.importorskip("plotly", reason="needs plotly (extra report)")
    mapping = map_network(network(), load_chip("nrf52840"))
    draw_mapping(mapping, count_traffic(network(), mapping), tmp_path / f"map.{suffix}")
    text = (tmp_path / f"map.{suffix}").read_text()
    assert "idx8" in text
    assert "rows" in text
