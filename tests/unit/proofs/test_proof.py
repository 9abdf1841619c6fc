"""The proof of a comparison: its hashes hold when it is repeated, and break with the network, the samples or a spike."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from building import one_layer, spikes

from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import FileError
from neurodeploy.network import Cuba, LeakyIntegrator, Network
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.proofs.proof import broken, digest, load_proof, make_proof


def _network(threshold: int = 90) -> Network:
    weights = 2 * np.random.default_rng(0).integers(-60, 80, (5, 7))
    return one_layer(weights, Cuba(current_decay=2000, voltage_decay=300, threshold=threshold), target="a", wire="p")


def _samples(seed: int = 1) -> Samples:
    return spikes((3, 12, 7), 0.5, seed=seed)


def _proof(network: Network, samples: Samples, *runs: Activity) -> dict:
    runs = runs or (run_reference(network, samples), run_event(network, samples))
    return make_proof(network, samples, runs, compare_activities(runs))


def test_a_proof_survives_a_file_and_holds_when_repeated_with_another_engine(tmp_path):
    proof = _proof(_network(), _samples())
    assert (proof["equal"], proof["diagnosis"], proof["first_difference"]) == (True, None, None)
    assert proof["rasters"]["reference"] == proof["rasters"]["event"]
    (tmp_path / "proof.json").write_text(json.dumps(proof), encoding="utf-8")
    again = run_event(_network(), _samples())
    repeated = _proof(_network(), _samples(), again, Activity(**{**_fields(again), "engine": "third"}))
    assert broken(load_proof(tmp_path / "proof.json"), repeated) == []


def test_another_network_or_other_samples_break_a_proof():
    old = _proof(_network(), _samples())
    assert broken(old, _proof(_network(threshold=91), _samples())) == ["the network is another one"]
    assert broken(old, _proof(_network(), _samples(2))) == ["the samples are others"]


def test_one_changed_spike_breaks_a_proof_and_is_diagnosed():
    network, samples = _network(), _samples()
    lawful = run_reference(network, samples)
    raster = lawful.spikes["a"].to_dense()
    raster[1, 5, 2] ^= 1
    other = Activity(
        engine="other",
        network=lawful.network,
        n_steps=lawful.n_steps,
        spikes={"in": lawful.spikes["in"], "a": Events.from_dense(raster)},
    )
    changed = _proof(network, samples, lawful, other)
    assert broken(_proof(network, samples), changed) == ["engine 'other' gives other spikes in 'a'"]
    assert changed["diagnosis"]["departs"] == "other"
    assert json.loads(json.dumps(changed)) == json.loads(json.dumps(changed, default=list))


def test_a_changed_voltage_of_a_readout_breaks_a_proof_and_older_proofs_without_voltages_hold():
    net = _network()
    model = LeakyIntegrator(current_decay=2000, voltage_decay=300)
    net = replace(net, populations=(replace(net.populations[0], model=model),))
    run = run_reference(net, _samples(), probe=readouts(net))
    changed = run.states["a", "v"].copy()
    changed[2, 9, 1] += 1
    other = replace(run, engine="other", states={("a", "v"): changed})

    def proof(*runs):
        return make_proof(net, _samples(), runs, compare_activities(runs, readouts(net)))

    old = proof(run, replace(run, engine="other"))
    assert (old["equal"], old["voltages_compared"]) == (True, ["a"])
    found = proof(run, other)
    assert broken(old, found) == ["engine 'other' gives other voltages in 'a'"]
    assert broken({key: value for key, value in old.items() if key != "voltages"}, found) == []
    assert (found["first_difference"]["of"], found["diagnosis"]["departs"]) == ("v", "other")


def test_digest_depends_on_every_event_and_on_payloads():
    columns = {"size": 3, "n_steps": 4, "n_samples": 1, "sample": [0, 0], "step": [1, 2], "neuron": [0, 2]}
    plain = digest(Events(**columns))
    assert digest(Events(**columns, payload=[1, 1])) == plain
    assert digest(Events(**columns, payload=[1, 2])) != plain
    assert digest(Events(**{**columns, "step": [1, 3]})) != plain
    assert digest(Events(**{**columns, "n_steps": 5})) != plain


def test_files_that_are_no_proof_are_refused(tmp_path):
    with pytest.raises(FileError, match="cannot read"):
        load_proof(tmp_path / "none.json")
    (tmp_path / "x.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileError, match="is no JSON file"):
        load_proof(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FileError, match="is no neurodeploy-proof/1"):
        load_proof(tmp_path / "x.json")


def _fields(run: Activity) -> dict:
    return {name: getattr(run, name) for name in ("engine", "network", "n_steps", "spikes")}
