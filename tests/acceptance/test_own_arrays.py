"""From ``recipe new`` with arrays of one's own to a report: images, events with times, and signals."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch", reason="needs torch (extra train)")

from typer.testing import CliRunner

from neurodeploy import encode_changes
from neurodeploy.cli.entry import app

LABELS = np.arange(60) % 3


def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 200, (3, 28, 28)) * (rng.random((3, 28, 28)) < 0.2)
    return {"images": (patterns[LABELS] + rng.integers(0, 50, (60, 28, 28))).astype(np.uint8)}


def events() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    samples = np.repeat(np.arange(60), 80)
    units = (rng.integers(0, 8, samples.size) + 8 * LABELS[samples]) % 30
    return {"times_ms": rng.random(samples.size) * 400, "units": units, "samples": samples}


def signals() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    swings = 2 * np.pi * (2 + 3 * LABELS)[:, None, None] * np.arange(50)[:, None] / 50
    return {"spikes": encode_changes(np.sin(swings + 6 * rng.random((60, 1, 4))), 0.2)}


@pytest.mark.parametrize("make", [images, events, signals], ids=lambda make: make.__name__)
def test_own_arrays_come_to_a_report_in_five_commands_with_the_defaults(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", labels=LABELS, **make())
    told = []
    for words in (
        "recipe new own --data own.npz",
        "recipe check own.toml",
        "recipe keys data",
        "train own.toml",
        "report runs/own --engines native,reference,event",
    ):
        done = CliRunner().invoke(app, words.split())
        assert done.exit_code == 0, f"{words}: {done.output}"
        told.append(done.output)
    assert f"own.npz: 60 samples of {'1x28x28 values' if make is images else ''}" in told[0]
    report = json.loads((tmp_path / "runs" / "own" / "report.json").read_text(encoding="utf-8"))
    assert report["verification"]["spikes_different"] == 0
    assert report["accuracy"]["test"] > 0.5  # of three classes
