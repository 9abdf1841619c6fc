"""Instructions, times and energies on microcontrollers: by hand, against the part's file, and beside a dense ANN."""

from __future__ import annotations

import numpy as np
import pytest
from building import chain, neuron, samples, spikes

from neurodeploy.chip import Chip, chip_from_dict, load_chip
from neurodeploy.costs.instructions import count_things, total_instructions
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Cost
from neurodeploy.engines.table import simulate
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Conv, Network
from neurodeploy.network.activity import Activity
from neurodeploy.reports.facts import network_facts
from neurodeploy.reports.text import cost_sections, target_line, verdict_line
from neurodeploy.reports.writing import html_report, make_report
from neurodeploy.tables import plan_tables

PART = "stm32l4r5"


def small() -> Network:
    """Return 3 inputs to 2 neurons to 1, whose weights let every input fire its neuron at once."""
    weights = np.array([[200, 0, 200], [0, 200, 0]])
    model = neuron(current_decay=4096, voltage_decay=4096, threshold=100)
    return chain({"hidden": weights, "out": np.array([[200, 200]])}, model)


def ran(network: Network, raster: object) -> Activity:
    given = samples(raster)
    labels = {p.name: np.zeros(p.size, np.int32) for p in network.populations}
    return simulate(network, given, engine="reference", labels=labels)


def costed(network: Network, activity: Activity, chip: Chip | None = None, **demands: float) -> Cost:
    target = chip or load_chip(PART)
    return estimate(network, map_network(network, target), activity, **demands)


def changed(**tables: dict[str, float]) -> Chip:
    data = load_chip(PART).model_dump(mode="json", exclude_none=True)
    for table, values in tables.items():
        for name, value in values.items():
            data[table][name] |= dict.fromkeys(("low", "nominal", "high"), value)
    return chip_from_dict(data)


def test_things_of_each_step_are_those_that_can_be_counted_by_hand() -> None:
    """Input 0 fires in step 0 and input 1 in step 1: hidden 0 and 1 answer a step later, the output a step after each."""
    raster = np.zeros((1, 2, 3), int)
    raster[0, 0, 0] = raster[0, 1, 1] = 1
    network = small()
    activity = ran(network, raster)
    things = count_things(plan_tables(network), activity).most
    assert things["step"].tolist() == [[1, 1, 1, 1]]
    assert things["population"].tolist() == [[2, 2, 2, 2]]
    assert things["neuron"].tolist() == [[3, 3, 3, 3]]
    assert things["spike"].tolist() == [[0, 1, 2, 1]]
    assert things["event"].tolist() == [[1, 2, 1, 0]]
    rows = things["entry.rows"]  # rows of 2 targets from the inputs, of 1 from hidden
    assert rows.tolist() == [[2, 3, 1, 0]]
    assert things["updated"].tolist() == activity.updated.sum(axis=2).tolist()  # type: ignore[union-attr]


def test_without_counts_of_updates_the_bounds_are_the_neurons_that_fired_and_all() -> None:
    network = small()
    activity = simulate(network, spikes((1, 4, 3)), engine="reference")
    things = count_things(plan_tables(network), activity)
    assert things.low["updated"].tolist() == things.most["spike"].tolist()
    assert things.most["updated"].tolist() == [[0, 2, 3, 3, 3, 3]]


def test_taps_of_a_convolution_are_those_inside_the_image() -> None:
    """A spike in the corner of 4 x 4 reaches 4 of the 9 taps of a 3 x 3 kernel with padding, one inside all 9."""
    network = chain([Conv(weights=np.full((2, 1, 3, 3), 50), input_shape=(1, 4, 4), padding=(1, 1))], shape=(1, 4, 4))
    raster = np.zeros((2, 1, 16), int)
    raster[0, 0, 0] = raster[1, 0, 5] = 1
    things = count_things(plan_tables(network), ran(network, raster)).most
    assert things["tap"][:, 0].tolist() == [4, 9]
    assert things["entry.rows"][:, 0].tolist() == [8, 18]


def test_instructions_are_numbers_times_the_constants_of_the_core() -> None:
    network, chip = small(), load_chip(PART)
    assert chip.work is not None
    activity = ran(network, np.ones((1, 3, 3), int))
    things = count_things(plan_tables(network), activity)
    expected = sum(
        things.most[name].sum() * getattr(chip.work, name).nominal
        for name in ("step", "population", "neuron", "updated", "wide", "limited", "spike", "event", "tap", "summed")
    )
    expected += things.most["entry.rows"].sum() * chip.work.entry["rows"].nominal
    assert total_instructions(chip.work, things, 1).sum() == pytest.approx(expected)
    cost = costed(network, activity)
    assert cost.program is not None
    assert cost.program.sample_instructions.nominal == pytest.approx(expected)  # type: ignore[union-attr]
    assert cost.counts["neuron"] == 3 * activity.n_steps


def test_time_is_instructions_times_cycles_over_clock_and_energy_instructions_times_theirs() -> None:
    network = small()
    activity = ran(network, np.ones((2, 3, 3), int))
    chip = changed(microcontroller={"clock": 100.0, "cycles_per_instruction": 1.5, "instruction": 0.5})
    cost = costed(network, activity, chip)
    assert cost.latency is not None
    assert cost.energy is not None
    assert cost.program is not None
    own = cost.program.sample_instructions.nominal  # type: ignore[union-attr]
    assert cost.latency.sample_s.mean.nominal == pytest.approx(own * 1.5 / 100e6)
    assert cost.energy.total_j.nominal == pytest.approx(own * 0.5e-9)  # type: ignore[union-attr]
    assert cost.latency.step_s.worst.nominal == pytest.approx(
        cost.program.worst_step_instructions.nominal * 1.5 / 100e6  # type: ignore[union-attr]
    )
    assert cost.energy.total_j.grade == "guess"  # type: ignore[union-attr]


def test_deadlines_are_met_or_missed_by_the_slowest_sample() -> None:
    network = small()
    activity = ran(network, np.ones((2, 3, 3), int))
    slowest = costed(network, activity).latency.sample_s.worst  # type: ignore[union-attr]
    easy, hard = (costed(network, activity, deadline_s=slowest.nominal * f).verdicts[0] for f in (1.5, 0.9))
    assert (easy.met, hard.met) == (True, False)
    assert easy.resource == "instructions"
    assert easy.safe_event_factor == pytest.approx(1.5)


def test_a_part_without_a_price_has_times_but_no_energy() -> None:
    data = load_chip(PART).model_dump(mode="json", exclude_none=True)
    del data["microcontroller"]["instruction"]
    cost = costed(small(), ran(small(), np.ones((1, 3, 3), int)), chip_from_dict(data))
    assert cost.latency is not None
    assert cost.energy is not None
    assert cost.energy.total_j is None
    assert all("microcontroller.instruction is not in" in item.reason for item in cost.energy.unpriced)


def test_without_an_activity_flash_and_ram_stand_beside_their_limits() -> None:
    network = small()
    cost = estimate(network, map_network(network, load_chip(PART)))
    assert cost.program is not None
    assert cost.program.flash_limit == 2 * 2**20
    assert 0 < cost.program.ram_bytes < 200
    assert cost.program.sample_instructions is None
    assert Cost.from_json(cost.to_json()) == cost


def test_the_dense_ann_takes_the_instructions_that_were_counted() -> None:
    """CMSIS-NN on a Cortex-M4, counted: 185,000 for 64-256-256-10, 395,000 for 784-256-10."""
    for sizes, counted in (((64, 256, 256, 10), 185e3), ((784, 256, 10), 395e3)):
        network = chain([np.full((n, m), 2) for m, n in zip(sizes, sizes[1:])])
        cost = estimate(network, map_network(network, load_chip(PART)))
        assert cost.program is not None
        assert cost.program.dense_instructions.nominal == pytest.approx(counted, rel=0.01)


def test_break_even_steps_are_those_whose_instructions_reach_the_ann() -> None:
    network = small()
    activity = ran(network, np.ones((1, 3, 3), int))
    chip = changed(microcontroller={"dense_mac": 1000.0, "dense_neuron": 0.0})
    program = costed(network, activity, chip).program
    assert program is not None
    assert program.dense_macs == 8
    assert program.break_even_steps == pytest.approx(8000 / program.step_instructions.nominal)  # type: ignore[union-attr]


def test_the_comparison_with_the_dense_ann_comes_first_and_says_who_wins() -> None:
    network = small()
    activity = ran(network, np.ones((1, 3, 3), int))
    loses = costed(network, activity)
    first = next(iter(cost_sections(loses)))
    assert first.title == "STMicroelectronics STM32L4R5 (cortex-m4): beside a dense ANN on the same core"
    assert "times the instructions of a dense int8 ANN" in target_line(loses)
    wins = costed(network, activity, changed(microcontroller={"dense_mac": 10000.0}))
    assert "times fewer instructions than a dense int8 ANN" in target_line(wins)
    assert "A decision of at most " in next(iter(cost_sections(wins))).notes[0]


def test_baselines_are_the_dense_ann_and_the_dense_network_on_the_same_part() -> None:
    rng = np.random.default_rng(0)
    network = chain([np.where(rng.random((40, 30)) < 0.1, 60, 0)])
    activity = ran(network, rng.random((1, 5, 30)) < 0.3)
    cost = estimate(network, map_network(network, load_chip(PART)), activity, with_baselines=True)
    ann, twin = cost.baselines
    assert ann.what.startswith("one inference of a dense int8 ANN of equal shape, 1,200 MACs, on stm32l4r5")
    assert cost.program is not None
    assert ann.energy_j is not None
    assert ann.energy_j.nominal == pytest.approx(cost.program.dense_instructions.nominal * 0.468e-9)
    assert twin.energy_j is not None
    assert twin.energy_j.nominal > cost.energy.total_j.nominal  # type: ignore[union-attr]


def test_a_deadline_speaks_of_no_host_and_totals_are_those_of_the_whole_chip() -> None:
    network = small()
    cost = costed(network, ran(network, np.ones((1, 3, 3), int)), deadline_s=1.0, rate_hz=10.0, battery_j=100.0)
    assert "host" not in verdict_line(cost.verdicts[0])
    assert cost.verdicts[0].met
    assert {(t.boundary, t.operation) for t in cost.totals} == {("chip", "free-running"), ("chip", "rate")}
    assert cost.total("chip", "free-running").energy_j.nominal == cost.energy.total_j.nominal  # type: ignore[union-attr]


@pytest.mark.parametrize("part", [PART, "loihi2"])
def test_a_page_shows_instructions_flash_and_ram_of_microcontrollers_alone(part: str) -> None:
    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    pytest.importorskip("jinja2", reason="needs jinja2 (extra report)")
    network = small()
    activity = ran(network, np.ones((1, 3, 3), int))
    cost = costed(network, activity, load_chip(part))
    shown = html_report(make_report(title="a", network=network_facts(network), costs=[cost]))
    assert ("<dt>Flash</dt>" in shown) == (part == PART)
    assert ("of a dense int8 ANN of equal shape" in shown) == (part == PART)
