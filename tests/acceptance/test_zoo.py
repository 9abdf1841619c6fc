"""The zoo: networks behind the claims as files, with the facts of their training, small, and of the accuracy they state."""

from __future__ import annotations

import json

import pytest
from building import ROOT

from neurodeploy import from_nir
from neurodeploy.commands.simulate import simulate_facts

FACTS = sorted((ROOT / "models" / "zoo").glob("*.json"))
KEYS = {"recipe", "accuracy", "mask_density", "seed", "fingerprint", "command", "data_licence"}


def test_every_network_has_its_facts_and_the_whole_is_small():
    files = sorted((ROOT / "models" / "zoo").glob("*.nir"))
    assert [f.stem for f in files] == [f.stem for f in FACTS] != []
    assert sum(f.stat().st_size for f in files) < 10e6


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_a_file_holds_the_network_that_its_facts_name(path):
    facts, network = json.loads(path.read_text()), from_nir(path.with_suffix(".nir"))
    assert set(facts) >= KEYS
    assert network.fingerprint == facts["fingerprint"]
    assert facts["data_licence"]
    assert facts["mask_density"] == 1 or path.with_suffix(".nir").stat().st_size < 1e6


@pytest.mark.slow
@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.stem)
def test_simulation_repeats_the_accuracy(path, shared, monkeypatch):
    monkeypatch.setenv("NEURODEPLOY_DATA", str(shared / "data"))
    facts = json.loads(path.read_text())
    assert simulate_facts(path.with_suffix(".nir"), facts["recipe"])["accuracy"] == facts["accuracy"]
