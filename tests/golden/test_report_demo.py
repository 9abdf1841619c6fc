"""A whole report of a fixed network, against the one that was read and kept. Regenerate and read the difference::

    python tests/golden/test_report_demo.py

Memory, cores and counts are exact; energies and times may move by one part in a million (other versions of numpy).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodeploy.chip import load_chip
from neurodeploy.costs.neurobench import neurobench_metrics
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.reference import run_reference
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Events, Samples
from neurodeploy.reports.facts import network_facts
from neurodeploy.reports.writing import make_report

GOLDEN = Path(__file__).with_name("test_report_demo.json")
MODEL = Cuba(current_decay=2048, voltage_decay=512, threshold=64)


def network() -> Network:
    """64-256-256-10 with 10 % of the connections, as in the demo; every number follows from a plain recurrence."""
    sizes = {"in": 64, "a": 256, "b": 256, "c": 10}
    names = list(sizes)
    projections = []
    for source, target in zip(names, names[1:]):
        index = np.arange(sizes[target] * sizes[source], dtype=np.int64)
        noise = index * 7919 % 10007
        weights = np.where(noise % 10 == 0, noise % 61 - 29, 0) * 2
        synapses = Dense(weights=weights.reshape(sizes[target], sizes[source]).astype(np.int16))
        projections.append(Projection(name=f"{source}-{target}", source=source, target=target, synapses=synapses))
    return Network(
        inputs=(Input(name="in", shape=(64,)),),
        populations=tuple(
            Population(name=n, shape=(sizes[n],), model=MODEL, first_step=i) for i, n in enumerate(names) if i
        ),
        projections=tuple(projections),
        outputs=(Output(name="class", population="c"),),
    )


def report() -> dict[str, Any]:
    net = network()
    index = np.arange(5 * 16 * 64, dtype=np.int64)
    samples = Samples(inputs={"in": Events.from_dense((index * 6151 % 10009 % 3 == 0).reshape(5, 16, 64))})
    costs, metrics = [], None
    for name in ("loihi1", "loihi2"):
        mapping = map_network(net, load_chip(name))
        activity = run_reference(
            net, samples, labels=mapping.core_labels(), probe=[(p.name, "v") for p in net.populations]
        )
        costs.append(estimate(net, mapping, activity, step_period_s=1e-3, rate_hz=50.0, with_baselines=True))
        metrics = neurobench_metrics(net, activity).to_json()
    made = make_report(title="golden", network=network_facts(net), costs=costs, neurobench=metrics)
    return without_words(made)


def without_words(value: Any) -> Any:
    """Leave out where a price was read: another wording in a chip file changes no figure."""
    if isinstance(value, dict):
        words = ("source", "chip_source", "evidence", "notes", "note", "reason")
        return {name: without_words(inner) for name, inner in value.items() if name not in words}
    return [without_words(inner) for inner in value] if isinstance(value, list) else value


def leaves(value: Any, key: str = "") -> dict[str, Any]:
    """Return every plain value by its path."""
    if isinstance(value, dict):
        return {path: v for name, inner in value.items() for path, v in leaves(inner, f"{key}.{name}").items()}
    if isinstance(value, list):
        return {path: v for i, inner in enumerate(value) for path, v in leaves(inner, f"{key}[{i}]").items()}
    return {key: value}


@pytest.fixture(scope="module")
def pair() -> tuple[dict[str, Any], dict[str, Any]]:
    return leaves(json.loads(json.dumps(report()))), leaves(json.loads(GOLDEN.read_text(encoding="utf-8")))


def test_report_has_the_fields_of_the_golden_one(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    made, golden = pair
    assert sorted(made) == sorted(golden)


def test_counts_memory_cores_and_words_are_exact(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    made, golden = pair
    assert {k: v for k, v in made.items() if not isinstance(v, float)} == {
        k: v for k, v in golden.items() if not isinstance(v, float)
    }


def test_energies_and_times_agree(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    made, golden = pair
    floats = [k for k, v in golden.items() if isinstance(v, float)]
    assert len(floats) > 300
    assert [made[k] for k in floats] == pytest.approx([golden[k] for k in floats], rel=1e-6, abs=0.0)


def test_golden_network_is_as_active_as_a_trained_one(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    _, golden = pair
    assert golden[".network.density_nonzero"] == pytest.approx(0.1, abs=0.01)
    assert 0.5 < golden[".neurobench.activation_sparsity"] < 0.99


class TestByHand:
    """Memory and energy of both chips from the weights, the spikes and the published rules, without the package's code."""

    @staticmethod
    def target(chip: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))["targets"][chip]
        return found

    def test_memory_of_loihi_1_is_the_words_of_its_cheapest_lists(self) -> None:
        layers = {layer["name"]: layer for layer in self.target(0)["memory"]["layers"]}
        for p in network().projections:
            bits = layers[p.target]["weight_bits"][0]
            lists = [np.flatnonzero(column).tolist() for column in p.synapses.weights.T if column.any()]
            sparse, run_length = (sum(nxtf_words(rule(own, bits)) for own in lists) for rule in (sparse_bits, run_bits))
            assert layers[p.target]["synaptic_bytes"] == 8 * min(sparse, run_length)

    def test_memory_of_loihi_2_is_the_words_of_lists_with_12_bits_of_index(self) -> None:
        layers = {layer["name"]: layer for layer in self.target(1)["memory"]["layers"]}
        for p in network().projections:
            bits = layers[p.target]["weight_bits"][0]
            counts = [int(n) for n in np.count_nonzero(p.synapses.weights, axis=0) if n]
            assert layers[p.target]["synaptic_bytes"] == 8 * sum(-(-(n * (bits + 12) + 8) // 64) for n in counts)

    def test_energy_of_loihi_1_is_counts_times_calibrated_prices(self) -> None:
        n = self.target(0)["counts"]
        picojoules = (n["synop.sparse"] + n["synop.runlength"]) * 33.6 + n["neuron_access"] * 51.2
        picojoules += n["neuron_update"] * 21.6 + n["spike_out"] * 69.3 + n["message_out"] * 111
        assert n["neuron_access"] == (256 + 256 + 10) * 19 * 5
        assert self.target(0)["energy"]["total_j"]["nominal"] == pytest.approx(picojoules * 1e-12 / 5, rel=1e-9)

    def test_energy_of_loihi_2_is_counts_times_carried_over_prices(self) -> None:
        n = self.target(1)["counts"]
        total = self.target(1)["energy"]["total_j"]
        assert total["nominal"] == pytest.approx(
            (n["synop.fc"] * 33.6 + n["neuron_update"] * 72.8) * 1e-12 / 5, rel=1e-9
        )
        assert total["low"] == pytest.approx(0.2 * total["nominal"], rel=1e-9)
        assert total["high"] == pytest.approx(4.5 * total["nominal"], rel=1e-9)

    def total(self, boundary: str, operation: str) -> dict[str, Any]:
        return next(t for t in self.target(0)["totals"] if (t["boundary"], t["operation"]) == (boundary, operation))

    def test_total_of_the_cores_is_their_events_at_every_operating_point(self) -> None:
        n = self.target(0)["counts"]
        picojoules = (n["synop.sparse"] + n["synop.runlength"]) * 33.6 + n["neuron_access"] * 51.2
        picojoules += n["neuron_update"] * 21.6 + n["spike_out"] * 69.3 + n["message_out"] * 111
        for operation in ("free-running", "period", "rate"):
            energy = self.total("cores", operation)["energy_j"]
            for end, factor in (("low", 0.75), ("nominal", 1.0), ("high", 1.6)):
                assert energy[end] == pytest.approx(factor * picojoules * 1e-12 / 5, rel=1e-9)

    def test_total_of_the_chip_adds_static_power_and_awake_cpus_for_the_time_of_a_sample(self) -> None:
        """19 steps of 1 ms; 20 ms at 50 samples a second; free-running the cores' time and 3.44 us of management a step."""
        free = np.mean(self.target(0)["latency"]["trace"]["mean_s"]) * 19 + 19 * 3.44e-6
        for operation, time in (("free-running", free), ("period", 19e-3), ("rate", 20e-3)):
            cores, chip = (self.total(boundary, operation)["energy_j"]["nominal"] for boundary in ("cores", "chip"))
            assert chip == pytest.approx(cores + (0.104 + 0.040) * time, rel=1e-9)
            assert self.total("chip", operation)["power_w"]["nominal"] == pytest.approx(chip / time, rel=1e-9)


def nxtf_words(bits: int) -> int:
    return -(-bits // 64) + (bits % 64 == 0 or bits % 64 >= 59)


def sparse_bits(local: list[int], width: int) -> int:
    """Entries of at most 60 synapses: 10 bits, and for each synapse its weight and an index of at least 6 bits."""
    entries = [local[i : i + 60] for i in range(0, len(local), 60)]
    return sum(10 + len(e) * (width + max(6, e[-1].bit_length())) for e in entries)


def run_bits(local: list[int], width: int) -> int:
    """Entries of at most 60 synapses without a step of 32 or more: 10 bits, first index, weights and steps."""
    entries: list[list[int]] = []
    for at in local:
        if entries and len(entries[-1]) < 60 and at - entries[-1][-1] < 32:
            entries[-1].append(at)
        else:
            entries.append([at])
    total = 0
    for e in entries:
        step = max([b - a for a, b in zip(e, e[1:])], default=0)
        total += 10 + max(6, e[0].bit_length()) + len(e) * (width + max(2, step.bit_length()))
    return total


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(report(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
