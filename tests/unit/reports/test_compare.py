"""Two reports side by side, and the gate that decides whether one may take the place of the other."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import ReportError
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Cuba
from neurodeploy.reports.compare import Gate, compare_reports, load_gate
from neurodeploy.reports.facts import network_facts
from neurodeploy.reports.writing import make_report

STRICT = Gate(
    require_equal=True,
    min_accuracy=0.85,
    max_accuracy_drop=0.01,
    max_increase={"cores": 0.0, "synaptic_bytes": 0.0, "energy": 0.05, "latency": 0.05, "connections": 0.0},
)


@pytest.fixture(scope="module")
def base() -> dict:
    weights = (np.arange(12).reshape(3, 4) * 8).astype(np.int16)
    network = one_layer(weights, Cuba(current_decay=4096, voltage_decay=0, threshold=60), target="p")
    mapping = map_network(network, load_chip("loihi1"))
    given = samples(np.ones((2, 3, 4), bool))
    activity = run_reference(network, given, labels=mapping.core_labels())
    return make_report(
        title="net",
        network=network_facts(network),
        costs=[estimate(network, mapping, activity)],
        accuracy={"test": 0.9, "n_samples": 100},
        verification={
            **{"equal": True, "engines": ["reference", "lava"], "n_samples": 2, "n_steps": 4},
            **{"spikes_compared": 30, "spikes_different": 0},
        },
    )


def changed(report: dict, change: Callable[[dict], object]) -> dict:
    other = copy.deepcopy(report)
    change(other)
    return other


def scale_energy(report: dict, factor: float) -> None:
    total = report["targets"][0]["energy"]["total_j"]
    total.update({key: total[key] * factor for key in ("low", "nominal", "high")})


def test_a_report_passes_against_itself_under_the_strictest_gate(base: dict) -> None:
    result = compare_reports(base, base, STRICT)
    assert result.ok
    assert {row.change for row in result.rows} <= {None, 0.0}
    assert "The gate passes." in result.markdown()


def test_without_a_gate_everything_passes_and_changes_are_shown(base: dict) -> None:
    result = compare_reports(base, changed(base, lambda r: scale_energy(r, 2)))
    energy = next(row for row in result.rows if row.figure == "dynamic energy per sample")
    assert result.ok
    assert energy.change == pytest.approx(1.0)
    assert "+100.00 %" in result.markdown()


def test_without_a_gate_nothing_is_said_to_pass(base: dict) -> None:
    result = compare_reports(base, base)
    assert (result.ok, result.gated) == (True, False)
    assert "No gate was given, so nothing is judged" in result.markdown()
    assert "passes" not in result.markdown()


def test_a_difference_of_accuracies_is_in_points(base: dict) -> None:
    page = compare_reports(base, changed(base, lambda r: r["accuracy"].update(test=0.875))).markdown()
    assert "| test accuracy |  | 90 % | 87.5 % | -2.50 points |  |" in page


def test_energy_at_the_allowed_increase_passes_and_above_it_fails(base: dict) -> None:
    assert compare_reports(base, changed(base, lambda r: scale_energy(r, 1.05)), STRICT).ok
    result = compare_reports(base, changed(base, lambda r: scale_energy(r, 1.051)), STRICT)
    assert len(result.failures) == 1
    assert result.failures[0].startswith("dynamic energy per sample on loihi1 grows by 5.1 %")
    assert "**fails**" in result.markdown()
    assert "The gate fails." in result.markdown()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["verification"].update(spikes_different=3, equal=False), "3 spikes differ in B"),
        (lambda r: r.update(verification=None), "B compares no engines"),
        (lambda r: r["accuracy"].update(test=0.84), "Accuracy is 84 %, the gate requires 85 %"),
        (lambda r: r["accuracy"].update(test=0.88), "Accuracy falls by 2 points, the gate allows 1 point"),
        (lambda r: r.update(accuracy=None), "B has no accuracy"),
        (lambda r: r["targets"][0]["memory"].update(n_cores=2), "cores on loihi1 grows by 100 %"),
        (lambda r: r["network"].update(mask=13), "connections kept grows"),
        (lambda r: r["targets"][0].update(latency=None), "time per sample on loihi1: not in B"),
        (lambda r: r.update(targets=[]), "cores on loihi1: not in B"),
    ],
)
def test_each_figure_that_gets_worse_fails_with_its_reason(base: dict, change: Callable, message: str) -> None:
    failures = compare_reports(base, changed(base, change), STRICT).failures
    assert any(message in failure for failure in failures)


def test_an_accuracy_drop_of_exactly_the_limit_passes(base: dict) -> None:
    assert compare_reports(base, changed(base, lambda r: r["accuracy"].update(test=0.89)), STRICT).ok


def test_better_figures_pass(base: dict) -> None:
    def better(report: dict) -> None:
        scale_energy(report, 0.5)
        report["accuracy"]["test"] = 0.99
        report["targets"][0]["memory"]["synaptic_bytes"] = 8

    assert compare_reports(base, changed(base, better), STRICT).ok


def test_what_makes_reports_hard_to_compare_is_said(base: dict) -> None:
    def other(report: dict) -> None:
        report["network"]["fingerprint"] = "0" * 64
        report["targets"][0]["chip_source"] = "other.toml (sha256 0)"
        report["targets"][0]["n_samples"] = 7
        report["targets"][0]["energy"]["total_j"]["grade"] = "guess"

    notes = " ".join(compare_reports(base, changed(base, other)).notes)
    for words in (
        "different networks",
        "chip file changed",
        "2 samples in A, 7 in B",
        "grade calibrated in A and guess",
    ):
        assert words in notes


def test_reports_of_different_schema_are_refused(base: dict) -> None:
    with pytest.raises(ReportError, match="schema is 'neurodeploy-report/2'"):
        compare_reports(base, {**base, "schema": "neurodeploy-report/2"})


def test_comparison_is_plain_json(base: dict) -> None:
    data = json.loads(json.dumps(compare_reports(base, base, STRICT).to_json()))
    assert data["ok"] is True
    assert {"figure", "chip", "a", "b", "change", "failed"} <= set(data["rows"][0])


class TestGateFile:
    def test_a_gate_is_read_from_toml(self, tmp_path: Path) -> None:
        path = tmp_path / "gate.toml"
        path.write_text("require_equal = true\nmin_accuracy = 0.85\n[max_increase]\nenergy = 0.05\n")
        assert load_gate(path) == Gate(require_equal=True, min_accuracy=0.85, max_increase={"energy": 0.05})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("colour = 1", "colour: .*known keys: require_equal"),
            ("min_accuracy = 95", "min_accuracy: .*less than or equal to 1"),
            ("[max_increase]\nspeed = 1", "max_increase.speed"),
            ("= 1", "is no TOML file"),
        ],
    )
    def test_a_bad_gate_is_refused_with_its_key(self, text: str, message: str, tmp_path: Path) -> None:
        path = tmp_path / "gate.toml"
        path.write_text(text)
        with pytest.raises(ReportError, match=message):
            load_gate(path)

    def test_a_missing_gate_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ReportError, match="cannot read the gate"):
            load_gate(tmp_path / "none.toml")
