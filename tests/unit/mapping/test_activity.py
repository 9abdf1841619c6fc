"""Spikes of a run decide which neurons come together and what the messages are; those of another network are refused."""

from pathlib import Path

import numpy as np
import pytest
from building import chain, samples

from neurodeploy import commands
from neurodeploy.engines.table import simulate
from neurodeploy.errors import EstimateError
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import save_activity

MODEL = Cuba(current_decay=4096, voltage_decay=4096, threshold=1)


def network(n_hidden: int = 4) -> Network:
    """Each hidden neuron has an input of its own and fires when that does; one output reads all."""
    layers = {"hidden": 2 * np.eye(n_hidden, 4, dtype=np.int16), "output": np.full((1, n_hidden), 2, np.int16)}
    return chain(layers, MODEL, source="input", wire="to_{target}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The network, and a run in which input 0 fires five times, input 1 twice, the others never."""
    raster = np.zeros((1, 8, 4), bool)
    raster[0, :5, 0] = raster[0, :2, 1] = True
    given = samples(raster, "input", labels=np.zeros(1, int), name="by hand")
    to_nir(network(), tmp_path / "model.nir")
    save_activity(simulate(network(), given, engine="reference"), tmp_path / "activity.npz")
    return tmp_path


def test_messages_are_those_of_the_spikes(folder: Path) -> None:
    """Hidden neurons fire seven times, the output five; without an activity all five neurons fire once, to one core."""
    once = commands.map(folder / "model.nir", chip="loihi1")[1]
    told = commands.map(folder / "model.nir", chip="loihi1", activity=folder / "activity.npz")[1]
    assert once["messages_per_spike"] == 4 / 5
    assert told["messages_per_spike"] == 7 / 12


def test_activity_of_another_network_is_refused(folder: Path) -> None:
    to_nir(network(3), folder / "other.nir")
    with pytest.raises(
        EstimateError, match=r"map: the activity \('reference'\) is of network .*; simulate this network"
    ):
        commands.map(folder / "other.nir", chip="loihi1", activity=folder / "activity.npz")


def test_search_refuses_what_it_would_not_use(folder: Path, run_cli) -> None:
    done = run_cli("map", folder / "model.nir", "--search", "--draw", folder / "m.svg")
    assert (done.returncode, done.stdout) == (2, "")
    assert "map: --search takes --chip and --split only" in done.stderr
