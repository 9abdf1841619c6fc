"""Predicted instructions and bytes beside those counted on emulated cores."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from emulated import with_tools

from neurodeploy.chip import load_chip
from neurodeploy.costs.instructions import Things, count_things, total_instructions
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FileError, MissingPackageError, UsageError
from neurodeploy.mapping.program import FLASH, program_bytes
from neurodeploy.tables import plan_tables
from neurodeploy.targets.c.build import Size
from neurodeploy.targets.c.emulation import Emulation
from neurodeploy.targets.c.predictions import (
    Measured,
    bench_microcontrollers,
    cases,
    cores_of_parts,
    fit_code,
    fit_work,
    fitted_constants,
    markdown,
    measure,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", [with_tools(name) for name in cores_of_parts()])
def test_predictions_hold_over_densities_and_rates(name: str) -> None:
    """RAM to the byte, flash within 2 %, instructions within 10 %, at densities of 100, 10, 2 % and rates of 2 and 10 %."""
    rows = bench_microcontrollers([name], small=True)
    assert {(row["density"], row["rate"]) for row in rows} >= {(d, r) for d in (1.0, 0.1, 0.02) for r in (0.02, 0.1)}
    assert all(row["ram"] == row["predicted_ram"] for row in rows)
    off = {(row["network"], row["density"], row["rate"]): row["flash_off"] for row in rows}
    assert max(map(abs, off.values())) <= 0.02, off
    off = {(row["network"], row["density"], row["rate"]): row["instructions_off"] for row in rows}
    assert max(map(abs, off.values())) <= 0.1, off


@pytest.mark.parametrize("name", [with_tools("cortex-m4")])
def test_constants_fitted_to_runs_predict_these_runs(name: str) -> None:
    chosen = [case for case in cases(small=True) if case.name == "32-40-10"]
    runs = [measure(case, name) for case in chosen if case.rate > 0.01]
    work, code = fit_work(runs), fit_code(runs)
    assert min(work.values()) >= 0
    for run in runs:
        expected = sum(work[thing] * n.mean() for thing, n in run.things.items())
        assert expected == pytest.approx(run.run.instructions.mean(), rel=0.1)
    assert sum(code.values()) > 300
    assert all(run.run.size.ram == run.layout.ram_bytes for run in runs)


def test_cases_cover_the_densities_and_rates_that_are_promised() -> None:
    found = [(case.density, case.rate) for case in cases() if case.name == "784-256-10"]
    assert set(found) >= {(d, r) for d in (1.0, 0.1, 0.02) for r in (0.02, 0.1)}
    for case in cases(small=True):
        share = np.mean(
            [np.count_nonzero(q.synapses.weights) / q.synapses.weights.size for q in case.network.projections]
        )
        assert share == pytest.approx(case.density, abs=0.06)


def test_a_core_without_a_part_and_an_existing_page_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no microcontroller has the core 'cortex-m3'"):
        bench_microcontrollers(["cortex-m3"])
    (tmp_path / "page.md").write_text("kept")
    with pytest.raises(FileError, match="exists; choose another --out"):
        bench_microcontrollers([], out=tmp_path / "page.md")


def test_a_page_without_the_package_that_fits_its_constants_is_refused_before_the_work(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingPackageError, match=r"^bench: scipy is not installed; pip install .*\[dev\]"):
        bench_microcontrollers(["cortex-m4"], out=tmp_path / "page.md")


def test_the_page_has_a_row_for_each_case() -> None:
    row = {
        **{"core": "cortex-m4", "network": "a", "density": 0.1, "rate": 0.02, "instructions": 1000.0},
        **{"predicted_instructions": 1010.0, "instructions_off": 0.01, "flash": 5000, "predicted_flash": 4990},
        **{"flash_off": -0.002, "ram": 300, "predicted_ram": 300},
    }
    assert "| cortex-m4 | a | 10% | 2.0% | 1,000 | 1,010 (+1.0%) | 5,000 | 4,990 (-0.20%) | 300 | 300 |" in markdown(
        [row]
    )


def test_the_page_holds_the_constants_that_fit_the_runs_beside_those_of_the_file() -> None:
    """Runs that take exactly what the file says are fitted by the constants of the file."""
    chip = load_chip("stm32l4r5")
    assert chip.work is not None
    runs = []
    for case in [case for case in cases(small=True) if case.name == "32-40-10"][:4]:
        layout, activity = plan_tables(case.network), simulate(case.network, case.samples)
        things = dict(count_things(layout, activity).most)
        counted = total_instructions(chip.work, Things(things, things), 1)
        size = Size(flash=program_bytes(layout, chip)[FLASH], ram=layout.ram_bytes)
        run = Emulation(
            activity=activity,
            core="cortex-m4",
            instructions=counted,
            classes=np.zeros((1, 1), np.int64),
            size=size,
            sources={},
            compiler="",
        )
        runs.append(Measured(case=case, layout=layout, things=things, run=run))
    rows = {row["key"]: row for row in fitted_constants(runs, chip)}
    assert rows["work.updated"]["file"] == chip.work.updated.nominal
    for run in runs:
        expected = sum(rows[f"work.{thing}"]["fitted"] * n.mean() for thing, n in run.things.items())
        assert expected == pytest.approx(run.run.instructions.mean(), rel=1e-6)
    page = markdown([], [{"core": "cortex-m4", "key": "work.step", "fitted": 22.714, "file": 22.71}])
    assert "| cortex-m4 | work.step | 22.71 | 22.71 |" in page
