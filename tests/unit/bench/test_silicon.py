"""The table of estimates against silicon: what counts as a hit, and that the page in docs/ is what the command writes."""

from __future__ import annotations

import pytest
from building import ROOT

from neurodeploy.bench import silicon
from neurodeploy.bench.silicon import SiliconRow, bench_silicon, markdown
from neurodeploy.errors import FileError

PAGE = ROOT / "docs" / "silicon.md"


def row(kind: str, measured: float) -> SiliconRow:
    return SiliconRow(
        **{"workload": "w", "chip": "c", "quantity": "q", "unit": "mJ", "measured": measured},
        **{"low": 2.0, "nominal": 3.0, "high": 4.0, "kind": kind, "spikes": "s", "source": "x", "note": "n"},
    )


@pytest.mark.parametrize(
    ("kind", "measured", "outcome"),
    [
        ("validation", 2.0, "inside the band"),
        ("validation", 4.0, "inside the band"),
        ("validation", 1.0, "MISS: measured 0.50 times the low end"),
        ("calibration", 6.0, "MISS: measured 1.50 times the high end"),
        ("upper bound", 4.0, "below, as it must be"),
        ("upper bound", 3.9, "MISS: not below"),
    ],
)
def test_a_measurement_outside_the_band_is_a_miss_whatever_the_nominal_figure(kind, measured, outcome) -> None:
    assert row(kind, measured).outcome == outcome


def test_the_page_counts_and_shows_misses() -> None:
    page = markdown([row("validation", 1.0), row("validation", 3.0)])
    assert "2 figures, 1 of them missed." in page
    assert "| w | c | q | 1 mJ | 3 mJ (2 to 4) | validation | MISS: measured 0.50 times the low end |" in page


def test_an_older_page_is_kept_without_force(tmp_path) -> None:
    (tmp_path / "page.md").write_text("kept")
    with pytest.raises(FileError, match=r"page\.md exists; choose another --out, or --force"):
        bench_silicon(out=tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == "kept"


def test_without_lava_dl_its_networks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silicon, "_wheel_file", lambda name: None)  # noqa: ARG005
    assert list(silicon._ntidigits()) == list(silicon._pilotnet()) == []


def test_the_shapes_are_those_that_were_measured() -> None:
    """33,802 parameters with biases (NxTF), and the cores that slayer2loihi printed."""
    (cnn,) = silicon._mnist_cnn()
    assert cnn.low < cnn.nominal < cnn.high
    assert sum(layer.weights.size + len(layer.weights) for layer in silicon._cnn_layers()) == 33_802
    auto, by_hand = silicon._nmnist()
    assert "(17)" in auto.note
    assert "(16)" in by_hand.note
    assert auto.outcome == by_hand.outcome == "below, as it must be"


@pytest.mark.slow
def test_the_page_in_docs_is_what_the_command_writes(tmp_path) -> None:
    if silicon._wheel_file("ntidigits/ntidigits.net") is None:
        pytest.skip("needs the wheel of lava-dl, which carries the networks and their spikes (extra train)")
    rows = bench_silicon(out=tmp_path / "silicon.md")
    assert (tmp_path / "silicon.md").read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
    assert {row["kind"] for row in rows if row["workload"].startswith("PilotNet")} == {"calibration"}
    assert any("169" in row["note"] for row in rows)
