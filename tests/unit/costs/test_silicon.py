"""NTIDIGITS on Loihi 1: network and recorded spikes come with lava-dl's wheel, measurements from Intel's notebook.

Measured (intel-nrc-ecosystem/models, ``slayer_rec/tutorials/ntidigits``, ntidigitsEnergy notebook): 17.63 us a step and
10.89 mW, with 20 copies of the network on each of 32 chips. A second figure of the notebook, its energy, is not used here.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
from building import samples

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Cost
from neurodeploy.engines.table import simulate
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity

pytestmark = pytest.mark.slow

MEASURED_STEP_S = 17.63e-6
MEASURED_POWER_W = 10.89e-3


def wheel_folder() -> Path:
    try:
        files = importlib.metadata.files("lava-dl") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(str(f.locate())) for f in files if f.name == "ntidigits.net"]
    if not found or not found[0].is_file():
        pytest.skip("needs the wheel of lava-dl, which carries ntidigits.net and its spikes (extra train)")
    return found[0].parent


@pytest.fixture(scope="module")
def case() -> tuple[Network, Activity, np.ndarray, Cost]:
    folder = wheel_folder()
    network = from_netx(folder / "ntidigits.net", n_layers=5)
    raster = np.load(folder / "input.npy") != 0  # (channel, step)
    given = samples(raster.T[None], network.inputs[0].name)
    mapping = map_network(network, load_chip("loihi1"), split="equal")
    activity = simulate(network, given, engine="event", labels=mapping.core_labels())
    return network, activity, np.load(folder / "output.npy"), estimate(network, mapping, activity)


def test_the_run_that_is_priced_is_the_recorded_one(case: tuple) -> None:
    """Spike for spike the output that lava-dl recorded, whose clock is one step behind that of the chip."""
    network, activity, recorded, _ = case
    raster = activity.spikes[network.outputs[0].population].to_dense()[0].T
    assert np.array_equal(raster[:, : recorded.shape[1] - 1], recorded[:, 1:] != 0)
    assert np.count_nonzero(recorded) == 22572


def test_dynamic_power_is_within_a_factor_of_two_of_the_measurement(case: tuple) -> None:
    *_, cost = case
    power = cost.energy.total_j.nominal / (cost.n_steps * MEASURED_STEP_S)
    assert 0.5 < power / MEASURED_POWER_W < 2


def test_measured_power_lies_in_the_interval_of_the_estimate(case: tuple) -> None:
    *_, cost = case
    low, high = (getattr(cost.energy.total_j, side) / (cost.n_steps * MEASURED_STEP_S) for side in ("low", "high"))
    assert low < MEASURED_POWER_W < high


def test_step_time_with_the_barrier_of_several_chips_is_near_the_measurement(case: tuple) -> None:
    """The bare network misses: 6.8 us a step, since one copy needs no barrier between chips. With it, 25 % at most.

    That is the error which SANA-FE's authors state for their times (24.3 %).
    """
    *_, cost = case
    latency = load_chip("loihi1").latency
    bare = cost.latency.step_s.mean.nominal
    assert bare < 0.5 * MEASURED_STEP_S
    own_barrier = 1.0e-6  # two tiles
    for barrier in latency.barrier_multichip.si:
        assert 0.75 < MEASURED_STEP_S / (bare - own_barrier + barrier) < 1.25
