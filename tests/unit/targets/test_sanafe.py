"""Export to SANA-FE, and our counts, energies and times against what that independent simulator says of the same run.

SANA-FE is asked where this Python has it, or where ``NEURODEPLOY_ORACLE_PYTHON`` names a Python that has it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from building import ROOT, chain, neuron, samples

from neurodeploy.chip import Chip, chip_from_dict, load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import EstimateError, FileError
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.synapses import matrix_of
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Cuba, Network, Projection
from neurodeploy.network.activity import Activity
from neurodeploy.targets.sanafe.write import FILE_NAMES, SanafeFiles, sanafe_files, write_sanafe

ORACLE = ROOT / "tests" / "oracle_sanafe.py"
WITHOUT_CURRENT = Cuba(current_decay=4096, voltage_decay=0, threshold=90)
WITH_CURRENT = Cuba(current_decay=1024, voltage_decay=300, threshold=90)
SUBTRACTING = Cuba(current_decay=4096, voltage_decay=0, threshold=60, reset="subtract")


def spread_out(neurons: int, formats: tuple[str, ...] = ("sparse", "runlength", "shared")) -> Chip:
    """Loihi with few neurons a core, so that tiles, hops and messages occur, and only formats without stored zeros."""
    data = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
    data["cores"]["neurons"]["value"] = neurons
    data["synapse_format"] = [f for f in data["synapse_format"] if f["name"] in formats]
    for table in (data["energy"], data["latency"], *data["energy_alternative"].values()):
        table["synop"] = {name: price for name, price in table["synop"].items() if name in formats}
    return chip_from_dict(data)


def able(chip: Chip) -> Chip:
    """Return a chip whose neurons can do everything that Loihi 2 can."""
    data, stated = chip.model_dump(mode="json", exclude_none=True), load_chip("loihi2").cores.model_dump(mode="json")
    keys = ("neuron_kinds", "resets", "graded_input_bits", "message_bits")
    return chip_from_dict({**data, "cores": {**data["cores"], **{key: stated[key] for key in keys}}})


def matrix(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> np.ndarray:
    return ((rng.random(shape) < density) * rng.integers(-30, 60, shape) * 2).astype(np.int16)


def mlp(model: Cuba, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    return chain({"a": matrix(rng, (60, 30), 0.2), "b": matrix(rng, (20, 60), 0.2)}, model, source="in put")


def convolutional(model: Cuba) -> Network:
    rng = np.random.default_rng(4)
    conv = Conv(weights=matrix(rng, (3, 2, 3, 3), 0.7), input_shape=(2, 6, 6), padding=(1, 1))
    return chain({"a": conv, "b": matrix(rng, (7, 108), 0.2)}, model, source="in put")


def run(network: Network, mapping: Mapping, n_steps: int = 9) -> Activity:
    """Simulate, and count updates by SANA-FE's rule: a voltage that is not zero, or a spike that arrives."""
    raster = np.random.default_rng(7).random((2, n_steps, network.inputs[0].size)) < 0.3
    given = samples(raster, "in put")
    activity = run_reference(network, given, probe=[(p.name, "v") for p in network.populations])
    updated = np.zeros((2, activity.n_steps, len(mapping.cores)), np.int64)
    for p, projection in zip(network.populations, network.projections):
        before = np.roll(activity.states[p.name, "v"], 1, axis=1)
        before[:, 0] = 0
        sent = np.roll(activity.spikes[projection.source].to_dense(), 1, axis=1)
        sent[:, 0] = 0
        changing = (before != 0) | (sent @ connected(projection).T > 0)
        for core, load in enumerate(mapping.cores):
            if p.name in load.neurons:
                updated[:, :, core] += changing[:, :, load.neurons[p.name]].sum(axis=2)
    return dataclasses.replace(activity, updated=updated)


def connected(projection: Projection) -> np.ndarray:
    """Which synapses are there: 0 or 1, shape (n_target, n_source)."""
    found = matrix_of(projection)
    table = np.zeros((found.n_target, found.n_source), int)
    table[found.target, found.source] = 1
    return table


def oracle_python() -> str:
    python = os.environ.get("NEURODEPLOY_ORACLE_PYTHON") or sys.executable
    probe = subprocess.run([python, "-c", "import sanafe"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("needs sanafe (extra oracle), here or in the Python that NEURODEPLOY_ORACLE_PYTHON names")
    return python


def ask_sanafe(*script: Path | str) -> dict:
    done = subprocess.run(
        [oracle_python(), *map(str, script)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.strip(), done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def one_sample(activity: Activity, sample: int) -> Activity:
    return dataclasses.replace(
        activity,
        spikes={name: events.take(sample, sample + 1) for name, events in activity.spikes.items()},
        updated=activity.updated[sample : sample + 1],
        states={},
    )


def check_equal(network: Network, mapping: Mapping, folder: Path, mode: str) -> None:
    """Run the folder's own script: all counts, the energy and the time of every step, and the time of ``detailed``."""
    activity = run(network, mapping)
    files = write_sanafe(network, mapping, activity, folder, sample=1)
    assert files.mode == mode
    answer = ask_sanafe(folder / "run.py", "--json")
    assert answer["equal"], {name: (answer["expected"][name], answer["found"][name]) for name in answer["different"]}
    expected, found = answer["expected"], answer["found"]
    assert found["step_s"] == pytest.approx(expected["step_s"], rel=1e-12)
    assert found["energy"] == pytest.approx(expected["energy"], rel=1e-12)
    ours = estimate(network, mapping, one_sample(activity, 1))
    counts = ours.counts
    assert found["spikes"] == sum(n for name, n in counts.items() if name.startswith("synop.")) > 0
    assert found["packets_sent"] == counts["message_in"]
    assert found["hops"] == counts["hop_ew"] + counts["hop_ns"] + sum(files.host_hops)
    if mode == "dynamics":
        of_host = files.host_hops[0] * 3.0e-12 + files.host_hops[1] * 4.2e-12
        assert found["energy"] == pytest.approx(ours.energy.total_j.nominal + of_host, rel=1e-12)
        assert found["step_s"] == pytest.approx(list(ours.latency.trace.step_s), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("neurons", [9, 5, 2])
def test_counts_energy_and_every_step_time_equal_sanafe(neurons: int, tmp_path: Path) -> None:
    """10, 16 and 40 cores on 3, 4 and 10 tiles: barriers of 1.0 and 1.4 us."""
    network = mlp(WITHOUT_CURRENT)
    check_equal(network, map_network(network, spread_out(neurons, ("sparse",))), tmp_path, "dynamics")


@pytest.mark.slow
def test_run_length_lists_equal_sanafe_at_their_own_price(tmp_path: Path) -> None:
    network = mlp(WITHOUT_CURRENT, seed=3)
    check_equal(network, map_network(network, spread_out(9, ("runlength",))), tmp_path, "dynamics")


@pytest.mark.slow
def test_shared_kernels_equal_sanafe(tmp_path: Path) -> None:
    network = convolutional(WITHOUT_CURRENT)
    check_equal(network, map_network(network, spread_out(12)), tmp_path, "dynamics")


@pytest.mark.slow
@pytest.mark.parametrize(("fmt", "delay"), [("sparse", 0), ("sparse", 2), ("dense", 0)])
def test_currents_delays_and_stored_zeros_are_replayed_and_equal(fmt: str, delay: int, tmp_path: Path) -> None:
    network = mlp(WITH_CURRENT)
    late = tuple(dataclasses.replace(p, delay=delay) for p in network.projections)
    network = dataclasses.replace(network, projections=late)
    check_equal(network, map_network(network, spread_out(9, (fmt,))), tmp_path, "replay")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decays", "mode"), [((4096, 0), "dynamics"), ((4096, 4096), "dynamics"), ((1024, 300), "replay")]
)
def test_neurons_that_reset_by_subtraction_equal_sanafe(decays: tuple[int, int], mode: str, tmp_path: Path) -> None:
    """What SANA-FE calls a soft reset; it needs a chip that has it, which Loihi 1 is not."""
    model = dataclasses.replace(SUBTRACTING, current_decay=decays[0], voltage_decay=decays[1])
    network = mlp(model)
    mapping = map_network(network, able(spread_out(5, ("sparse",))))
    often = run(network, mapping).spikes["a"]
    zero = mlp(dataclasses.replace(model, reset="zero"))
    assert len(often) != len(run(zero, map_network(zero, spread_out(5, ("sparse",)))).spikes["a"]) or decays[1] == 4096
    check_equal(network, mapping, tmp_path, mode)


@pytest.mark.slow
@pytest.mark.parametrize(("fmt", "mode"), [("packed", "dynamics"), ("dense", "replay")])
def test_a_mapping_by_hand_with_inputs_on_cores_equals_sanafe(fmt: str, mode: str, tmp_path: Path) -> None:
    """Neurons of three layers mixed on 40 cores, inputs among them, so that no tile of the host is needed."""
    network, rng = mlp(WITHOUT_CURRENT), np.random.default_rng(3)
    cores = {name: rng.integers(0, 40, size) for name, size in network.sizes.items()}
    check_equal(network, map_by_hand(network, load_chip("loihi1"), cores, formats=fmt), tmp_path, mode)


@pytest.mark.slow
def test_time_is_within_ten_per_cent_of_the_event_scheduler(tmp_path: Path) -> None:
    network, rng = mlp(WITH_CURRENT), np.random.default_rng(3)
    cores = {name: rng.integers(0, 40, size) for name, size in network.sizes.items()}
    mapping = map_by_hand(network, load_chip("loihi1"), cores, formats="packed")
    write_sanafe(network, mapping, run(network, mapping), tmp_path)
    answer = ask_sanafe(tmp_path / "run.py", "--json", "--timing-model", "detailed")
    assert answer["found"]["sim_time"] == pytest.approx(answer["expected"]["sim_time"], rel=0.1)
    assert answer["found"]["sim_time"] != answer["expected"]["sim_time"]


@pytest.mark.slow
@pytest.mark.parametrize("model", [WITHOUT_CURRENT, SUBTRACTING], ids=["zero", "subtract"])
def test_sanafe_computes_the_same_spikes_from_the_exported_neurons(model: Cuba, tmp_path: Path) -> None:
    network = mlp(model)
    mapping = map_network(network, able(spread_out(9, ("sparse",))))
    activity = run(network, mapping)
    files = write_sanafe(network, mapping, activity, tmp_path)
    names = {"in put": "g0_in_put", "a": "g1_a", "b": "g2_b"}
    ours = [set() for _ in range(files.n_steps)]
    for name, events in activity.spikes.items():
        first = events.take(0, 1)
        for step, index in zip(first.step.tolist(), first.neuron.tolist()):
            ours[step].add(f"{names[name]}.{index}")
    answer = ask_sanafe(ORACLE, tmp_path, str(files.n_steps))
    assert [set(step) for step in answer["spike_trace"]] == ours


class TestText:
    @pytest.fixture(scope="class")
    def files(self) -> tuple[Network, Mapping, SanafeFiles]:
        network = mlp(WITHOUT_CURRENT)
        mapping = map_network(network, spread_out(9, ("sparse",)))
        return network, mapping, sanafe_files(network, mapping, run(network, mapping))

    def test_every_synapse_is_one_edge(self, files: tuple) -> None:
        network, _, made = files
        edges = [line for line in made.net.splitlines() if "->" in line]
        assert len(edges) == len(set(edges)) == sum(np.count_nonzero(p.synapses.weights) for p in network.projections)
        w = network.projections[0].synapses.weights
        i, j = (int(x[0]) for x in np.nonzero(w))
        assert f"    - g0_in_put.{j} -> g1_a.{i}: [weight: {w[i, j]}]" in edges

    def test_a_reset_by_subtraction_is_a_soft_one(self) -> None:
        network = mlp(SUBTRACTING)
        mapping = map_network(network, able(spread_out(9, ("sparse",))))
        net = sanafe_files(network, mapping, run(network, mapping)).net
        assert (net.count("reset_mode: soft"), net.count("reset_mode: hard")) == (80, 0)

    def test_every_neuron_has_one_core(self, files: tuple) -> None:
        placed = Counter(
            line.split(":")[0].strip("- ") for line in files[2].net.split("mappings:")[1].splitlines() if line
        )
        assert set(placed.values()) == {1}
        assert len(placed) == 30 + 60 + 20

    def test_prices_are_those_of_the_chip_file(self, files: tuple) -> None:
        energy = files[1].chip.energy
        assert f"energy_access_neuron: {energy.neuron_access.si[1]!r}" in files[2].arch
        assert f"energy_process_spike: {energy.synop['sparse'].si[1]!r}" in files[2].arch

    def test_all_files_are_written_and_only_replaced_by_force(self, files: tuple, tmp_path: Path) -> None:
        network, mapping, _ = files
        made = write_sanafe(network, mapping, run(network, mapping), tmp_path / "out")
        assert (tmp_path / "out" / "arch.yaml").read_text() == made.arch
        assert (tmp_path / "out" / "net.yaml").read_text() == made.net
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(FILE_NAMES)
        with pytest.raises(FileError, match=r"arch\.yaml exists; choose another folder, or --force"):
            write_sanafe(network, mapping, run(network, mapping), tmp_path / "out")
        write_sanafe(network, mapping, run(network, mapping), tmp_path / "out", sample=1, force=True)
        assert json.loads((tmp_path / "out" / "expected.json").read_text())["sample"] == 1

    def test_nothing_is_left_where_writing_fails(self, files: tuple, tmp_path: Path) -> None:
        network, mapping, _ = files
        (tmp_path / "run.py").mkdir()
        with pytest.raises(OSError, match="directory"):
            write_sanafe(network, mapping, run(network, mapping), tmp_path, force=True)
        assert [p.name for p in tmp_path.iterdir()] == ["run.py"]

    def test_expected_counts_are_those_of_the_estimate(self, files: tuple) -> None:
        """Updates as SANA-FE counts them: recounted here from recorded voltages, there from weights and spikes."""
        network, mapping, made = files
        ours = estimate(network, mapping, one_sample(run(network, mapping), 0))
        sent = len(run(network, mapping).spikes["in put"].take(0, 1))
        assert made.expected["spikes"] == ours.counts["synop.sparse"]
        assert made.expected["neurons_updated"] == ours.counts["neuron_update"] + sent
        assert made.expected["neurons_fired"] == ours.counts["spike_out"] + sent
        assert made.expected["step_s"] == list(ours.latency.trace.step_s)

    def test_stored_zeros_are_as_many_edges_as_a_spike_reads(self) -> None:
        network = mlp(WITHOUT_CURRENT)
        mapping = map_network(network, spread_out(9, ("dense",)))
        made = sanafe_files(network, mapping, run(network, mapping))
        edges = [line.split(":")[0] for line in made.net.splitlines() if "->" in line]
        nonzero = sum(np.count_nonzero(p.synapses.weights) for p in network.projections)
        assert len(edges) == len(set(edges)) == sum(sum(c.stored.values()) for c in mapping.cores) > nonzero

    def test_inputs_that_lie_on_cores_need_no_tile_of_the_host(self) -> None:
        network = mlp(WITHOUT_CURRENT)
        cores = {name: np.arange(size) % 5 for name, size in network.sizes.items()}
        mapping = map_by_hand(network, load_chip("loihi1"), cores, formats="packed")
        made = sanafe_files(network, mapping, run(network, mapping))
        assert "host" not in made.arch
        assert made.host_hops == (0, 0)
        assert "width: 8, height: 4" in made.arch


class TestRefusals:
    def refused(self, network: Network, chip: Chip) -> str:
        mapping = map_network(network, chip)
        activity = dataclasses.replace(
            run_reference(network, samples(np.ones((1, 3, network.inputs[0].size), bool), "in put"))
        )
        with pytest.raises(EstimateError, match="no export to SANA-FE") as caught:
            sanafe_files(network, mapping, activity)
        return str(caught.value)

    def test_a_chip_without_a_mesh(self) -> None:
        assert "'loihi2' has no mesh" in self.refused(mlp(WITHOUT_CURRENT), load_chip("loihi2"))

    @pytest.mark.parametrize("kind", ["resonate_and_fire", "sigma", "delta", "sigma_delta"])
    def test_neurons_that_it_does_not_have(self, kind: str) -> None:
        reason = self.refused(mlp(neuron(kind)), able(spread_out(9, ("sparse",))))
        assert f"population 'a' has {kind.replace('_', '-')} neurons, which SANA-FE does not have" in reason

    def test_an_input_with_payloads(self) -> None:
        network = chain({"a": [[2, 4]]}, WITHOUT_CURRENT, source="in put", graded=8)
        reason = self.refused(network, able(spread_out(9, ("sparse",))))
        assert "input 'in put' carries payloads, and spikes of SANA-FE carry none; choose another target" in reason

    def test_several_chips(self) -> None:
        data = spread_out(9, ("sparse",)).model_dump(mode="json", exclude_none=True)
        data["system"]["chips"]["value"], data["cores"]["count"]["value"] = 2, 8
        assert "takes 2 chips" in self.refused(mlp(WITHOUT_CURRENT), chip_from_dict(data))

    def test_two_formats_into_one_neuron(self) -> None:
        network = mlp(WITHOUT_CURRENT)
        twice = dataclasses.replace(network.projections[1], name="w3")
        network = dataclasses.replace(network, projections=(*network.projections, twice))
        cores = {p.name: np.zeros(p.size, int) for p in network.populations}
        formats = {"w1": "sparse", "w2": "sparse", "w3": "runlength"}
        mapping = map_by_hand(network, load_chip("loihi1"), cores, formats=formats)
        with pytest.raises(
            EstimateError, match=r"core 0 stores the synapses into 'b' in the formats runlength, sparse"
        ):
            sanafe_files(network, mapping, run(network, mapping))

    def test_a_sample_that_is_not_there(self) -> None:
        network = mlp(WITHOUT_CURRENT)
        mapping = map_network(network, spread_out(9, ("sparse",)))
        with pytest.raises(EstimateError, match=r"sample 2 is not one of the 2 of the activity; choose one of them"):
            sanafe_files(network, mapping, run(network, mapping), sample=2)

    def test_a_missing_price(self) -> None:
        data = spread_out(9, ("sparse",)).model_dump(mode="json", exclude_none=True)
        del data["energy"]["spike_out"]
        assert "energy.spike_out is not in" in self.refused(mlp(WITHOUT_CURRENT), chip_from_dict(data))
