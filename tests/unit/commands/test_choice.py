"""Which chip: one table over all chips, and reports in which a chip is left out."""

import json
from pathlib import Path

import numpy as np
import pytest
from building import chain, samples

from neurodeploy.chip import chip_names
from neurodeploy.commands import choose_chip, report
from neurodeploy.costs.record import Band
from neurodeploy.errors import FileError, FitError, UsageError
from neurodeploy.exchange.formats import write_network
from neurodeploy.network.activity import Samples, save_samples
from neurodeploy.reports.choice import ChipRow, choice_markdown, choice_page, choice_text, table_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    weights = np.random.default_rng(0).integers(1, 60, (12, 40)), np.random.default_rng(1).integers(1, 60, (3, 12))
    write_network(chain([w * 2 for w in weights]), tmp_path / "net.nd5")
    return tmp_path / "net.nd5"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save_samples(spikes(), tmp_path / "data.npz")
    return tmp_path / "data.npz"


def spikes() -> Samples:
    return samples((np.random.default_rng(2).random((2, 10, 40)) < 0.3).astype(int), "in")


def energy(nominal: float) -> Band:
    return Band(low=nominal / 2, nominal=nominal, high=nominal * 2, grade="guess")


def row(chip: str, **known: object) -> ChipRow:
    return ChipRow.model_validate({"chip": chip, "title": chip.upper(), "fits": True, "synaptic_bytes": 1, **known})


def test_every_chip_is_a_row_and_those_without_figures_say_why(file: Path, data: Path) -> None:
    table = choose_chip(file, data=data, rate_hz=100.0, battery_j=3600.0)
    rows = {r.chip: r for r in table.rows}
    assert set(rows) == set(chip_names())
    assert rows["loihi1"].fits
    assert rows["loihi1"].meets
    assert rows["loihi1"].energy_j.nominal > rows["loihi1"].dynamic_j.nominal > 0
    assert (rows["loihi1"].boundary, rows["loihi1"].operation) == ("chip", "rate")
    assert rows["loihi1"].battery_h is not None
    assert "neither prices nor times" in rows["spinnaker2"].reason
    assert (rows["spinnaker2"].fits, rows["spinnaker2"].energy_j, rows["spinnaker2"].meets) == (True, None, None)
    assert "quantised ReLU" in rows["akida_akd1000"].reason
    assert not rows["akida_akd1000"].fits
    assert rows["xylo_a2"].fits is False
    assert "xylo_a2" in rows["xylo_a2"].reason


def test_a_missed_demand_says_what_it_needs_and_whether_the_host_decides(file: Path, data: Path) -> None:
    def reasons(deadline_s: float) -> dict[str, tuple[bool, str]]:
        return {r.chip: (r.meets, r.reason) for r in choose_chip(file, data=data, deadline_s=deadline_s).rows}

    n_events = len(spikes().inputs["in"]) / 2
    slow, hosted = reasons(1e-6), reasons(n_events * 3e-6)  # the host takes 3 us for an event
    assert slow["loihi1"][0] is False
    assert slow["loihi1"][1].startswith("deadline: needs ")
    assert not slow["loihi1"][1].endswith("host's input")
    assert hosted["loihi1"][0] is False
    assert hosted["loihi1"][1].endswith("with the host's input")
    assert reasons(1.0)["loihi1"] == (True, "")


def test_rows_are_sorted_by_fit_demands_completeness_and_energy() -> None:
    rows = [
        row("missed", meets=False, energy_j=energy(1)),
        row("unpriced", meets=True),
        row("part", meets=True, energy_j=energy(1), at_least=True),
        row("dear", meets=True, energy_j=energy(9)),
        row("cheap", meets=True, energy_j=energy(2)),
        ChipRow(chip="small", title="S", fits=False, reason="no room"),
    ]
    table = table_of("net", 4, rows, demands=["a sample within 1 ms"])
    assert [r.chip for r in table.rows] == ["cheap", "dear", "part", "unpriced", "missed", "small"]
    for text in (choice_text(table), choice_markdown(table), choice_page(table)):
        assert "cheap" in text
        assert "no room" in text
        assert "MISSED" in text


def test_each_cell_of_the_page_names_its_column_for_narrow_screens() -> None:
    page = choice_page(table_of("net", 4, [row("<one>", meets=True, energy_j=energy(1))]))
    assert '<td data-name="Chip">&lt;one&gt;</td>' in page
    assert page.count("<td ") == page.count("<th>")
    assert "@media (max-width" in page


def test_a_battery_sorts_by_hours_and_no_samples_by_memory() -> None:
    rows = [
        row("a", energy_j=energy(1), battery_h=energy(5), synaptic_bytes=9),
        row("b", energy_j=energy(2), battery_h=energy(50), synaptic_bytes=10),
    ]
    assert [r.chip for r in table_of("net", 4, rows, battery=True).rows] == ["b", "a"]
    assert [r.chip for r in table_of("net", 4, rows).rows] == ["a", "b"]
    table = table_of("net", 0, reversed(rows))
    assert (table.order, [r.chip for r in table.rows]) == ("memory", ["a", "b"])


def test_the_table_is_written_as_markdown_page_and_json(file: Path, data: Path, tmp_path: Path) -> None:
    for name in ("t.md", "t.html", "t.json"):
        table = choose_chip(file, data=data, chips=["loihi1", "loihi2"], out=tmp_path / name)
        assert "loihi2" in (tmp_path / name).read_text(encoding="utf-8")
    assert json.loads((tmp_path / "t.json").read_text(encoding="utf-8")) == table.model_dump(mode="json")
    with pytest.raises(FileError, match="exists"):
        choose_chip(file, data=data, chips=["loihi1"], out=tmp_path / "t.md")
    with pytest.raises(UsageError, match=r"ends in '\.pdf'"):
        choose_chip(file, data=data, chips=["loihi1"], out=tmp_path / "t.pdf")
    with pytest.raises(UsageError, match="need samples"):
        choose_chip(file, deadline_s=1e-3)


def test_a_report_leaves_out_a_chip_that_does_not_fit_and_says_why(file: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    engines = ["reference", "event"]
    made = report(file, data=data, out=tmp_path / "r", chips=["xylo_a2", "loihi1", "spinnaker2"], engines=engines)
    assert [target["chip"] for target in made["report"]["targets"]] == ["loihi1"]
    left = {chip["chip"]: chip["reason"] for chip in made["report"]["left_out"]}
    assert set(left) == {"xylo_a2", "spinnaker2"}
    assert "no prices" in left["spinnaker2"]
    for name in ("report.md", "report.txt", "report.html"):
        assert "(xylo_a2) is left out" in " ".join((tmp_path / "r" / name).read_text(encoding="utf-8").split())
    with pytest.raises(FitError, match="xylo_a2"):
        report(file, data=data, out=tmp_path / "none", chips=["xylo_a2"], engines=engines)
