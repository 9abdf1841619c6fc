"""A slayer network of all kinds of blocks, written by slayer itself, goes through from_netx and NIR with the same spikes."""

import warnings

import h5py
import numpy as np
import pytest
from building import samples

from neurodeploy.engines.reference import run_reference
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.exchange.nir.read import from_nir
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network import difference

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("default")]
STEPS = 40


def blocks(cuba, torch):
    """Convolution, pooling, dense with delays, recurrent, dense; delay_shift off, so that column k is step k + depth.

    Each block gets a dict of its own: Recurrent writes ``persistent_state`` into the one it is given.
    """
    neuron = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03, "tau_grad": 0.1, "scale_grad": 1}
    common = {"delay_shift": False, "weight_norm": False, "weight_scale": 4}
    made = [
        cuba.Conv(dict(neuron), 2, 4, (3, 2), stride=(1, 2), padding=(1, 0), **common),
        cuba.Pool(dict(neuron), 2, delay_shift=False),
        cuba.Flatten(),
        cuba.Dense(dict(neuron), 4 * 4 * 2, 24, delay=True, **common),
        cuba.Recurrent(dict(neuron), 24, 16, delay_shift=False, weight_scale=3),
        cuba.Dense(dict(neuron), 16, 5, **common),
    ]
    made[3].delay.max_delay = 62
    return torch.nn.ModuleList(made)


def test_slayer_s_own_file_gives_slayer_s_spikes_in_every_layer(tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slayer = pytest.importorskip("lava.lib.dl.slayer", reason="needs lava-dl")
    torch.manual_seed(3)
    model = blocks(slayer.block.cuba, torch)
    raster = (np.random.default_rng(1).random((1, STEPS, 2, 8, 8)) < 0.4).astype(np.float32)
    signal = torch.from_numpy(raster.transpose(0, 2, 3, 4, 1).copy())
    with torch.no_grad():
        _forward(model, signal)  # the first forward draws the delays
        model[3].delay.delay.data = torch.randint(0, 9, model[3].delay.delay.shape).float()
        model[4].neuron.current_state.zero_()
        model[4].neuron.voltage_state.zero_()
        spikes = _forward(model, signal)
        with h5py.File(tmp_path / "a.net", "w") as file:
            for i, block in enumerate(model):
                block.export_hdf5(file.create_group(f"layer/{i}"))
            file.move("layer", "blocks")
            file["layer/0/type"] = np.array([b"input"])
            file["layer/0/shape"] = [2, 8, 8]
            for i in range(len(model)):
                file.move(f"blocks/{i}", f"layer/{i + 1}")
    network = from_nir(to_nir(from_netx(tmp_path / "a.net")))
    assert difference(network, from_netx(tmp_path / "a.net")) is None
    shown = samples(raster.reshape(1, STEPS, -1).astype(bool), "input")
    activity = run_reference(network, shown)
    theirs = [spikes[i] for i in (0, 1, 3, 4, 5)]
    for population, given in zip(network.populations, theirs):
        ours = activity.spikes[population.name].to_dense()[0, population.first_step :][:STEPS]
        assert ours.sum() > 20, population.name
        # a block's output carries its axonal delay already, the population's own spikes do not
        if population.name != "layer4_dense":
            assert np.count_nonzero(ours != given) == 0, population.name


def _forward(model, signal):
    spikes = []
    for block in model:
        signal = block(signal)
        spikes.append((signal[0].reshape(-1, STEPS).T.numpy() > 0).astype(int))
    return spikes
