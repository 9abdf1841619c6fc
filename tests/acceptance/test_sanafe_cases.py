"""Cases recorded with SANA-FE 2.2.9 (``shared/cases/sanafe``): counts and energy to the digit, times of both of its modes.

SANA-FE makes an edge of every weight, zeros included, so all weights are 1 here: positions decide the counts.
None of its code runs here; only its numbers are compared.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Cost
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.network import Conv, Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Activity, Events

MODEL = Cuba(current_decay=4096, voltage_decay=128, threshold=100)
SIZES = {"image": 1024, "conv1": 3600, "conv2": 5408, "conv3": 7744, "conv4": 891, "dense": 11}
BLOCKS = (1, 4, 16, 16, 4, 1)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "cases" / "sanafe"


def ones(*shape: int) -> NDArray[np.int16]:
    return np.ones(shape, np.int16)


def layers() -> Network:
    """1x32x32 - 16c3s2 - 32c3 - 64c3 - 11c3 with one more stride - 11, sizes as recorded."""
    shapes = {"image": (1, 32, 32)}
    projections, source = [], "image"
    for name, channels, stride in (("conv1", 16, 2), ("conv2", 32, 1), ("conv3", 64, 1), ("conv4", 11, 1)):
        synapses = Conv(
            weights=ones(channels, shapes[source][0], 3, 3), input_shape=shapes[source], stride=(stride, stride)
        )
        shapes[name] = synapses.output_shape
        projections.append(Projection(name=f"to_{name}", source=source, target=name, synapses=synapses))
        source = name
    shapes["dense"] = (11,)
    dense = Dense(weights=ones(11, int(np.prod(shapes["conv4"]))))
    projections.append(Projection(name="to_dense", source="conv4", target="dense", synapses=dense))
    return Network(
        inputs=(Input(name="nothing", shape=(1,)),),
        populations=tuple(Population(name=n, shape=shape, model=MODEL, first_step=0) for n, shape in shapes.items()),
        projections=(
            *projections,
            Projection(name="unused", source="nothing", target="image", synapses=Dense(weights=ones(1024, 1) * 0)),
        ),
        outputs=(Output(name="class", population="dense"),),
    )


@pytest.fixture(scope="module")
def dvs(folder: Path) -> Cost:
    network = layers()
    assert {p.name: p.size for p in network.populations} == SIZES
    spikes = np.load(folder / "dvs_spikes_42core_128.npz")
    rasters = {"nothing": Events.from_dense(np.zeros((1, 128, 1), bool))}
    cores, first = {}, 0
    for i, ((name, size), blocks) in enumerate(zip(SIZES.items(), BLOCKS)):
        own, raster = spikes["layer"] == i, np.zeros((1, 128, size), bool)
        raster[0, spikes["timestep"][own] - 1, spikes["neuron"][own]] = True
        rasters[name] = Events.from_dense(raster)
        cores[name] = first + np.minimum(np.arange(size) // (size // blocks), blocks - 1)
        first += blocks
    mapping = map_by_hand(network, load_chip("loihi1"), cores, formats="packed")
    updated = np.load(folder / "dvs_updates_42core_128.npz")["updated"].astype(np.int64)[None]
    activity = Activity(engine="SANA-FE", network="", n_steps=128, spikes=rasters, updated=updated)
    return estimate(network, mapping, activity)


def test_dvs_gesture_has_the_counts_that_sanafe_printed(dvs: Cost) -> None:
    n = dvs.counts
    assert n["synop.packed"] == 5_462_418
    assert (n["spike_out"], n["neuron_update"], n["neuron_access"]) == (38_250, 1_352_421, 18_678 * 128)
    assert (n["message_out"], n["hop_ew"] + n["hop_ns"]) == (259_191, 494_318)


def test_dvs_gesture_has_the_energy_that_sanafe_printed_to_the_digit(dvs: Cost) -> None:
    of = {line.component: line.energy_j.nominal for line in dvs.energy.lines}
    assert f"{dvs.energy.total_j.nominal:.9e}" == "3.788029734e-04"
    assert f"{of['synop.packed']:.8e}" == "1.93915839e-04"
    neurons = sum(of[name] for name in ("neuron_access", "neuron_update", "spike_out"))
    assert f"{neurons:.9e}" == "1.542711594e-04"
    assert f"{of['message_out'] + of['hop_ew'] + of['hop_ns']:.7e}" == "3.0615975e-05"


def test_dvs_gesture_takes_the_time_of_the_simple_mode_and_nearly_that_of_the_detailed_one(dvs: Cost, folder) -> None:
    printed = json.loads((folder / "dvs_per_step_42core_128.json").read_text(encoding="utf-8"))
    sample = dvs.latency.sample_s.mean.nominal
    assert sample == pytest.approx(2.5320635e-3, rel=1e-8)
    assert dvs.latency.trace.step_s == pytest.approx(printed["simple"]["sim_time"], rel=1e-8)
    assert sample == pytest.approx(sum(printed["detailed_sim_time"]), rel=0.1)
    low, high = dvs.latency.sample_s.mean.low, dvs.latency.sample_s.mean.high
    assert low < sum(printed["detailed_sim_time"]) < high


@pytest.mark.parametrize(
    ("density", "synops", "messages", "hops", "microjoules"),
    [("d100", 525_569, 15_772, 24_532, 20.74177320), ("d5", 22_758, 1_831, 1_804, 1.72678950)],
)
def test_the_mlp_has_the_counts_and_the_energy_that_sanafe_printed(
    folder: Path, density: str, synops: int, messages: int, hops: int, microjoules: float
) -> None:
    case = np.load(folder / f"mlp_{density}.npz")
    printed = json.loads((folder / f"mlp_{density}_per_step.json").read_text(encoding="utf-8"))
    steps, n_inputs = (int(n) for n in case["X_shape"])
    inputs = np.unpackbits(case["X"].ravel())[: steps * n_inputs].reshape(steps, n_inputs).astype(bool)
    rasters, source = {"in": inputs}, inputs
    weights = {"hidden": case["W1"].astype(np.int64), "out": case["W2"].astype(np.int64)}
    updated = {}
    for name, w in weights.items():
        source, updated[name] = soft_lif(source, w, float(case["threshold"]), float(case["leak_decay"]))
        rasters[name] = source
    hidden = int(case["hidden_cores"])
    cores = {"in": np.arange(n_inputs) // 1024, "hidden": 4 + np.arange(512) // -(-512 // hidden)}
    cores["out"] = np.full(10, 4 + hidden)
    network = Network(
        inputs=(Input(name="in", shape=(n_inputs,)),),
        populations=tuple(
            Population(name=n, shape=(w.shape[1],), model=MODEL, first_step=i)
            for i, (n, w) in enumerate(weights.items())
        ),
        projections=tuple(
            Projection(name=f"to_{n}", source=s, target=n, synapses=Dense(weights=(w.T != 0).astype(np.int16)))
            for s, (n, w) in zip(("in", "hidden"), weights.items())
        ),
        outputs=(Output(name="class", population="out"),),
    )
    mapping = map_by_hand(network, load_chip("loihi1"), cores, formats="sparse")
    spikes = {name: Events.from_dense(raster[None]) for name, raster in rasters.items()}
    cost = estimate(network, mapping, Activity(engine="SANA-FE", network="", n_steps=steps, spikes=spikes))
    n = cost.counts
    assert n["synop.sparse"] == synops == sum(printed["spikes"])
    assert n["spike_out"] == sum(printed["fired"])
    assert (n["message_out"], n["hop_ew"] + n["hop_ns"]) == (messages, hops)
    of = {line.component: line.energy_j.nominal for line in cost.energy.lines}
    free = (inputs.sum() * 69.3 + n_inputs * steps * 51.2) * 1e-12  # its input units cost nothing
    neurons = of["neuron_access"] + of["spike_out"] - free + sum(updated.values()) * 21.6e-12
    total = of["synop.sparse"] + of["message_out"] + of["hop_ew"] + of["hop_ns"] + neurons
    assert sum(updated.values()) + inputs.sum() == sum(printed["updated"])
    assert f"{1e6 * total:.8f}" == f"{microjoules:.8f}"


def soft_lif(spikes: NDArray[np.bool_], weights: NDArray[np.int64], threshold: float, leak: float) -> tuple:
    """Return the spikes of a layer, and its updates: neurons with a voltage or an event, as SANA-FE counts them."""
    voltage, fired, updates = np.zeros(weights.shape[1]), [], 0
    before = np.zeros(weights.shape[0], bool)
    for now in spikes:
        reached = (weights[before] != 0).any(axis=0)
        updates += int(((voltage != 0) | reached).sum())
        voltage = np.trunc(64 * leak * voltage) / 64 + weights[before].sum(axis=0)
        out = voltage > threshold
        voltage[out] = 0
        fired.append(out)
        before = now
    return np.array(fired), updates
