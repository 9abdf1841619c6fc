"""``simulate`` without ``--out`` runs block by block: the same summary, in memory that does not grow with the spikes."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from building import chain, connect, wired
from typer.testing import CliRunner

from neurodeploy import commands
from neurodeploy.cli import app
from neurodeploy.errors import SimulationError
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, LeakyIntegrator, Output
from neurodeploy.network.activity import Events, Samples, load_activity, save_samples

SPIKING = Cuba(current_decay=900, voltage_decay=300, threshold=300)
DEAF = Cuba(current_decay=900, voltage_decay=300, threshold=2**16)
N_SAMPLES, N_STEPS = 23, 12
ENGINES = [
    "event",
    "reference",
    pytest.param("lava-in-process", marks=pytest.mark.skipif(find_spec("lava") is None, reason="no lava-nc here")),
    pytest.param("c", marks=pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")),
]


@pytest.fixture
def blocks(monkeypatch):
    """Return a function that sets how many samples run at once."""

    def use(size: int) -> None:
        module = import_module("neurodeploy.commands.simulate")
        monkeypatch.setattr(module, "_BLOCK", 1)
        monkeypatch.setattr(module, "_FEWEST", size)

    return use


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network with three outputs and a population that never fires; samples of which some are empty, late or cut."""
    folder, rng = tmp_path_factory.mktemp("blocks"), np.random.default_rng(3)
    read = {"count": SPIKING, "first_spike": SPIKING, "last_voltage": LeakyIntegrator(current_decay=9, voltage_decay=9)}
    network = wired(
        {"in": 8},
        {"hidden": (10, SPIKING), "deaf": (3, DEAF), **{name: (4, model, 2) for name, model in read.items()}},
        [
            connect("in", "hidden", 2 * rng.integers(-60, 80, (10, 8)), delay=2),
            connect("in", "deaf", np.ones((3, 8), np.int16)),
            *(connect("hidden", name, 2 * rng.integers(-90, 60, (4, 10))) for name in read),
        ],
        [Output(name=f"by {name}", population=name, decoding=name) for name in read],
    )
    to_nir(network, folder / "net.nir")
    raster = rng.random((N_SAMPLES, N_STEPS, 8)) < rng.random((N_SAMPLES, 1, 1)) / 2
    raster[[0, 7, 22]] = False
    given = Samples(
        inputs={"in": Events.from_dense(raster)},
        labels=rng.integers(0, 4, N_SAMPLES),
        outside=np.where(np.arange(N_SAMPLES) % 9 == 4, 5, 0),
    )
    save_samples(given, folder / "x.npz")
    return folder


def _without_time(facts: dict) -> str:
    return json.dumps({key: value for key, value in facts.items() if key != "seconds"})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [1, 5, 23, 24])
def test_the_summary_of_blocks_is_that_of_the_whole_run(folder, blocks, engine, size):
    activity, whole = commands.simulate(folder / "net.nir", folder / "x.npz", engine=engine, n_steps=N_STEPS)
    blocks(size)
    facts = commands.simulate_facts(folder / "net.nir", folder / "x.npz", engine=engine, n_steps=N_STEPS)
    assert _without_time(facts) == _without_time(whole)
    assert facts["spikes"] == {name: len(events) for name, events in activity.spikes.items()}
    silence = facts["silence"]
    assert silence["n_samples"] == N_SAMPLES
    assert silence["empty_samples"] >= 3
    assert silence["cut_samples"] > 3
    assert silence["never_fired"] == ["deaf"]
    assert 0 < facts["outputs"]["by count"]["silent"] < 1
    assert len(facts["outputs"]["by count"]["classes"]) == N_SAMPLES


def test_overflows_of_all_blocks_are_counted(tmp_path, blocks):
    network = chain([np.full((2, 3), 254, np.int16)], Cuba(current_decay=0, voltage_decay=0, threshold=2**17 - 1),
                    more={"p1": {"weight_exponent": 6}})  # fmt: skip
    to_nir(network, tmp_path / "net.nir")
    save_samples(Samples(inputs={"in": Events.from_dense(np.ones((7, 40, 3), bool))}), tmp_path / "x.npz")
    whole = commands.simulate(tmp_path / "net.nir", tmp_path / "x.npz")[1]
    blocks(2)
    facts = commands.simulate_facts(tmp_path / "net.nir", tmp_path / "x.npz")
    assert facts["overflow"] == whole["overflow"]
    assert facts["overflow"]["p1"] > 7


def test_progress_goes_on_from_block_to_block(folder, blocks):
    blocks(5)
    seen: list[tuple[int, int]] = []
    commands.simulate_facts(folder / "net.nir", folder / "x.npz", progress=lambda n, of: seen.append((n, of)))
    assert seen[-1] == (N_SAMPLES, N_SAMPLES)
    assert {of for _, of in seen} == {N_SAMPLES}
    assert [n for n, _ in seen] == sorted(n for n, _ in seen)


def test_a_payload_out_of_range_is_refused_by_its_own_sample_before_anything_runs(tmp_path, blocks):
    network = chain([np.ones((1, 8), np.int16)], SPIKING, graded=4)
    to_nir(network, tmp_path / "net.nir")
    values = np.zeros((N_SAMPLES, N_STEPS, 8), int)
    values[:, 0, 0], values[21, 3, 6] = 15, 16
    save_samples(Samples(inputs={"in": Events.from_dense(values, graded=True)}), tmp_path / "x.npz")
    blocks(5)
    seen: list[int] = []
    with pytest.raises(SimulationError, match="channel 6 has 16 in step 3 of sample 21 "):
        commands.simulate_facts(tmp_path / "net.nir", tmp_path / "x.npz", progress=lambda n, _: seen.append(n))
    assert seen == []


def _peak(*words: str) -> int:
    """Return the most memory that the command asked for at once."""
    tracemalloc.start()
    try:
        done = CliRunner().invoke(app, ["simulate", *words, "--json"])
        assert done.exit_code == 0, done.output
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_spikes_unless_they_are_written(tmp_path, blocks):
    """One spike of input makes each of 50 neurons fire in each step that is left: 600 spikes a sample, 12 bytes each."""
    network = chain([np.full((50, 1), 254, np.int16)], Cuba(current_decay=0, voltage_decay=0, threshold=1))
    to_nir(network, tmp_path / "net.nir")
    few, many = 300, 3000
    for n in (few, many):
        raster = np.zeros((n, 12, 1), bool)
        raster[:, 0] = True
        save_samples(Samples(inputs={"in": Events.from_dense(raster)}), tmp_path / f"{n}.npz")
    blocks(100)
    net, out = str(tmp_path / "net.nir"), tmp_path / "out.npz"
    _peak(net, str(tmp_path / f"{few}.npz"))  # compiles
    small, large = (_peak(net, str(tmp_path / f"{n}.npz")) for n in (few, many))
    kept = _peak(net, str(tmp_path / f"{many}.npz"), "--out", str(out))
    spikes = len(load_activity(out).spikes["p1"])
    assert spikes == many * 50 * 12
    assert kept - small > 12 * spikes * 0.9
    assert large - small < 12 * spikes / 10


def test_out_says_that_it_keeps_all_spikes_where_blocks_would_do(folder, tmp_path, blocks):
    told: list[str] = []
    arguments = (folder / "net.nir", folder / "x.npz")
    commands.simulate(*arguments, n_steps=20, out=tmp_path / "a.npz", say=told.append)
    assert told == []
    blocks(5)
    commands.simulate(*arguments, n_steps=20, out=tmp_path / "b.npz", say=told.append)
    assert len(told) == 1
    assert "--out keeps the spikes of all 23 samples in memory until the end, 12 bytes each" in told[0]
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_more_steps_than_memory_is_taken_for_are_refused_in_blocks_as_well(folder, blocks):
    blocks(5)
    with pytest.raises(SimulationError, match="1 samples of 1,000,000,000 steps"):
        commands.simulate_facts(folder / "net.nir", folder / "x.npz", n_steps=10**9)


@pytest.mark.slow
def test_100_000_samples_take_the_memory_of_their_file_and_of_a_block(tmp_path):
    """Kept, the spikes of 50 neurons in 12 steps would take 720 MB; the samples themselves take 1.2."""
    network = chain([np.full((50, 1), 254, np.int16)], Cuba(current_decay=0, voltage_decay=0, threshold=1))
    to_nir(network, tmp_path / "net.nir")
    n = 100_000
    first = np.zeros(n, int)
    given = Events(size=1, n_steps=12, n_samples=n, sample=np.arange(n), step=first, neuron=first)
    save_samples(Samples(inputs={"in": given}), tmp_path / "x.npz")
    words = str(tmp_path / "net.nir"), str(tmp_path / "x.npz")
    _peak(*words, "--samples", "1000")  # compiles
    assert _peak(*words) < 100e6
