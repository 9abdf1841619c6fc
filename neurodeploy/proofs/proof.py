"""Proof of a comparison as plain values with hashes, so that anybody can repeat it later and see whether it still holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from neurodeploy.errors import FileError
from neurodeploy.files.json_text import parse_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.proofs.compare import Verification
from neurodeploy.proofs.diagnosis import diagnose

SCHEMA = "neurodeploy-proof/1"


def make_proof(
    network: Network, samples: Samples, runs: Sequence[Activity], verification: Verification
) -> dict[str, Any]:
    """Return the outcome of a comparison with hashes of the network, the samples and every engine's rasters and voltages.

    ``input_spikes_compared`` says how many of ``spikes_compared`` are those of the inputs, which every engine is given.
    If the engines differ, the key ``diagnosis`` explains the first difference (``neurodeploy.proofs.diagnosis``).
    """
    difference = verification.first_difference
    explained = None
    if difference is not None:
        other = next(run for run in runs if run.engine == difference.engines[1])
        explained = asdict(diagnose(network, runs[0], other, difference))
    return {
        "schema": SCHEMA,
        **verification.to_json(),
        "input_spikes_compared": verification.spikes_of(i.name for i in network.inputs),
        "voltages_compared": list(verification.voltages_compared),
        "diagnosis": explained,
        "network": network.fingerprint,
        "samples": {name: digest(events) for name, events in samples.inputs.items()},
        "rasters": {run.engine: {name: digest(e) for name, e in run.spikes.items()} for run in runs},
        "voltages": {
            run.engine: {name: _voltage_digest(run, name) for name in verification.voltages_compared} for run in runs
        },
    }


def _voltage_digest(run: Activity, name: str) -> str:
    voltage = np.ascontiguousarray(run.states[name, "v"], dtype="<i4")
    return hashlib.sha256(f"{voltage.shape};".encode() + voltage.tobytes()).hexdigest()


def digest(events: Events) -> str:
    """Return the SHA-256 of a table of events: its sizes, and sample, step, neuron and payload of every event."""
    found = hashlib.sha256(f"{events.size},{events.n_steps},{events.n_samples};".encode())
    payload = np.ones(len(events), np.int32) if events.payload is None else events.payload
    for column in (events.sample, events.step, events.neuron, payload):
        found.update(np.ascontiguousarray(column, dtype="<i4").tobytes())
    return found.hexdigest()


def load_proof(path: str | Path) -> dict[str, Any]:
    """Read a proof that was written as JSON.

    Raises:
        FileError: if the file is missing, damaged, or of another kind.
    """
    path = as_path(path)
    try:
        proof = parse_json(read_text(path))
    except OSError as error:
        raise FileError(f"verify: cannot read {path} ({error.strerror})") from error
    except ValueError as error:
        raise FileError(f"verify: {path} is no JSON file ({error})") from error
    if not isinstance(proof, dict) or proof.get("schema") != SCHEMA:
        raise FileError(f"verify: {path} is no {SCHEMA}; make one with neurodeploy verify ... --out")
    for key in ("samples", "rasters", *(["voltages"] if "voltages" in proof else [])):
        table = proof.get(key)
        if not isinstance(table, dict) or not (key == "samples" or _of_tables(table)):
            raise FileError(f"verify: {path}: '{key}' is no table of hashes; make the proof again")
    if not isinstance(proof.get("network"), str):
        raise FileError(f"verify: {path}: 'network' is no hash; make the proof again")
    return proof


def _of_tables(table: Mapping[str, Any]) -> bool:
    return bool(table) and all(isinstance(digests, dict) for digests in table.values())


def broken(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return in words what has changed since an old proof (network, samples, rasters or voltages); empty if it still holds.

    Rasters and voltages of each new engine are compared with the same engine in the old proof, or with the first engine of
    the old proof if that engine took no part in it. Proofs of older versions hold no voltages.
    """
    if old["network"] != new["network"]:
        return ["the network is another one"]
    if old["samples"] != new["samples"]:
        return ["the samples are others"]
    found = _other(old["rasters"], new["rasters"], "spikes")
    return found + (_other(old["voltages"], new["voltages"], "voltages") if "voltages" in old else [])


def _other(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> list[str]:
    first = next(iter(old.values()))
    return [
        f"engine '{engine}' gives other {what} in '{name}'"
        for engine, digests in new.items()
        for name, value in digests.items()
        if old.get(engine, first).get(name) != value
    ]
