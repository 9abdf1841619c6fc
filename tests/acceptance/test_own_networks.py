"""A network of one's own, made without a recipe, to a verified report: lava-dl's blocks, snnTorch, and a torch loop."""

from __future__ import annotations

import json
import os
import subprocess
from textwrap import dedent

import numpy as np
import pytest

import neurodeploy as nd
from neurodeploy.bench.training.others import VARIABLE, find_python
from neurodeploy.commands import export, report

CLASSES, CHANNELS, STEPS = 4, 30, 12


def rasters(n=200, seed=0):
    """Spikes ``(samples, steps, channels)`` of four classes, each with channels that fire more often, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    patterns = np.random.default_rng(1).random((CLASSES, CHANNELS)) < 0.3
    return rng.random((n, STEPS, CHANNELS)) < 0.05 + 0.3 * patterns[labels][:, None], labels


def hold_report(file, samples, folder, *, accuracy):
    """Report on a network, and hold what the report says of its proof and its answers."""
    report(file, chips=("loihi2",), data=samples, engines=("reference", "event"), out=folder / "report")
    said = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert said["verification"]["spikes_different"] == 0
    assert said["verification"]["spikes_compared"] > 1000
    assert said["verification"]["equal"]
    assert said["accuracy"]["test"] >= accuracy
    assert [target["chip"] for target in said["targets"]] == ["loihi2"]


@pytest.mark.train
def test_a_torch_loop_with_three_lines_of_rewiring(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    spikes, labels = rasters()
    inputs, classes = torch.tensor(spikes.transpose(0, 2, 1)).float(), torch.tensor(labels)
    neuron = nd.Cuba(current_decay=2048, voltage_decay=512, threshold=32)
    net = torch.nn.Sequential(nd.CubaDense(CHANNELS, 64, neuron), nd.CubaDense(64, CLASSES, neuron))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    settings = nd.RewiringSettings(density=0.2, every_steps=10, end_step=40)
    rewirer = nd.start_rewiring("rigl", nd.find_weights(net), optimizer, settings)
    for _ in range(10):
        for index in torch.randperm(150).split(30):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs[index]).sum(2) / 2, classes[index]).backward()
            rewirer.before_step()
            optimizer.step()
            rewirer.after_step()
    network, held = nd.as_network(net), nd.as_samples(spikes[150:], labels=labels[150:])
    sent = nd.simulate(network, held).spikes["layer1"].to_dense()
    own = net(inputs[150:]).detach().numpy().transpose(0, 2, 1) > 0
    assert own.any()
    assert np.array_equal(sent[:, 2:][:, :STEPS], own)
    kept = sum(int(p.mask.sum()) for p in network.projections)
    assert 0.15 * (CHANNELS + CLASSES) * 64 < kept <= 0.2 * (CHANNELS + CLASSES) * 64 + 1
    nd.to_nir(network, tmp_path / "mine.nir")
    assert nd.from_nir(tmp_path / "mine.nir").fingerprint == network.fingerprint
    hold_report(tmp_path / "mine.nir", held, tmp_path, accuracy=0.9)


@pytest.mark.slayer
def test_a_module_of_lava_dls_blocks(tmp_path):
    torch = pytest.importorskip("torch")
    slayer = pytest.importorskip("lava.lib.dl.slayer", reason="needs lava-dl")
    torch.manual_seed(0)
    spikes, labels = rasters()
    inputs, classes = torch.tensor(spikes.transpose(0, 2, 1)).float(), torch.tensor(labels)
    neuron = {"threshold": 0.5, "current_decay": 0.5, "voltage_decay": 0.125, "tau_grad": 0.1, "scale_grad": 1.0}
    net = torch.nn.Sequential(
        slayer.block.cuba.Dense(neuron, CHANNELS, 64, weight_scale=2),
        slayer.block.cuba.Dense(neuron, 64, CLASSES, weight_scale=2),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(10):
        for index in torch.randperm(150).split(30):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs[index]).sum(2) / 2, classes[index]).backward()
            optimizer.step()
    with torch.no_grad():
        own = net(inputs[150:]).numpy().transpose(0, 2, 1) > 0
    network, held = nd.as_network(net), nd.as_samples(spikes[150:], labels=labels[150:])
    sent = nd.simulate(network, held, n_steps=STEPS).spikes[network.outputs[0].population].to_dense()
    assert own.any()
    assert np.array_equal(sent, own)  # slayer delays each block's spikes by a step, as the chip does
    nd.to_nir(network, tmp_path / "mine.nir")
    hold_report(tmp_path / "mine.nir", held, tmp_path, accuracy=0.9)


SNNTORCH = """
    import nir, numpy as np, snntorch, torch
    from snntorch import surrogate, utils
    from snntorch.export_nir import export_to_nir

    given = np.load("rasters.npz")
    inputs, classes = torch.tensor(given["spikes"]).float(), torch.tensor(given["labels"])
    torch.manual_seed(0)

    def leaky(n):
        values = {"beta": torch.full((n,), 0.9), "threshold": torch.ones(n)}
        return snntorch.Leaky(**values, init_hidden=True, reset_mechanism="zero", spike_grad=surrogate.fast_sigmoid())

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.lif1 = torch.nn.Linear(30, 64, bias=False), leaky(64)
            self.fc2, self.lif2 = torch.nn.Linear(64, 4, bias=False), leaky(4)

        def forward(self, x):
            return self.lif2(self.fc2(self.lif1(self.fc1(x))))

    def counts(x):
        utils.reset(net)
        return sum(net(step) for step in x.unbind(1))

    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(10):
        for index in torch.randperm(150).split(30):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(counts(inputs[index]), classes[index]).backward()
            optimizer.step()
    with torch.no_grad():
        np.savez("counts.npz", counts=counts(inputs[150:]).numpy())
    utils.reset(net)
    nir.write("trained.nir", export_to_nir(net, torch.zeros(1, 30), ignore_dims=[0]))
"""


def test_a_module_of_snntorch(tmp_path):
    """Its floats become integers on the samples of its training; the answers stay, and simulators agree on every spike."""
    python = find_python("snntorch")
    if python is None:
        pytest.skip(f"no Python with snntorch here, nor one in {VARIABLE}")
    spikes, labels = rasters()
    np.savez(tmp_path / "rasters.npz", spikes=spikes, labels=labels)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-c", dedent(SNNTORCH)], cwd=tmp_path, env=environment, check=True, timeout=300)
    seen, held = nd.as_samples(spikes[:150], labels=labels[:150]), nd.as_samples(spikes[150:], labels=labels[150:])
    reading = "snntorch,dt=1e-4,reset=zero"
    export(tmp_path / "trained.nir", data=seen, reading=reading, out=tmp_path / "network.nir")
    network = nd.from_nir(tmp_path / "network.nir")
    counts = np.load(tmp_path / "counts.npz")["counts"]
    assert np.mean(counts.argmax(1) == labels[150:]) >= 0.9
    answers = nd.decode(network, nd.simulate(network, held))
    assert np.mean(answers == counts.argmax(1)) >= 0.95
    hold_report(tmp_path / "network.nir", held, tmp_path, accuracy=0.9)
