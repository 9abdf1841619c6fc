"""A network trained in plain torch, in floats and with biases, loses accuracy on the chip's grid and regains it."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.train, pytest.mark.slow]
torch = pytest.importorskip("torch", reason="needs torch (extra train)")
import nir

from neurodeploy import commands
from neurodeploy.commands.train import training_recipe
from neurodeploy.data.parts import encode, load_splits
from neurodeploy.engines.decoding import accuracy

N_STEPS, DT, TAU = 12, 1e-3, 5e-3
RECIPE = f"""
name = "digits-tuned"
data = {{ name = "digits", n_steps = {N_STEPS} }}
sparse = {{ SPARSE }}
training = {{ epochs = EPOCHS, batch_size = 32, learning_rate = 5e-3, logit_scale = 0.5 }}
"""


class Spike(torch.autograd.Function):
    """A step with a triangular slope."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        (v,) = ctx.saved_tensors
        return gradient * (1 - v.abs()).clamp(min=0)


def spike_counts(layers, x):
    """Leaky neurons by forward Euler: ``v += dt/tau (x - v)``, a spike and 0 above 1; ``x`` is ``(n, 64, steps)``."""
    states, total = [0.0] * len(layers), 0.0
    for t in range(x.shape[-1]):
        signal = x[..., t]
        for i, layer in enumerate(layers):
            states[i] = states[i] + DT / TAU * (layer(signal) - states[i])
            signal = Spike.apply(states[i] - 1)
            states[i] = states[i] * (1 - signal)
        total = total + signal
    return total


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The file of a float network 64-96-10, and its accuracy on the test part in torch."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "recipe.toml").write_text(RECIPE.replace("SPARSE", 'method = "dense"').replace("EPOCHS", "1"))
    data = training_recipe(folder / "recipe.toml", start=folder / "float.nir")[1].data
    parts = []
    for part in (load_splits(data)[0], load_splits(data)[2]):
        samples = encode(part, data, "x")
        x = torch.from_numpy(samples.inputs["input"].to_dense().transpose(0, 2, 1).astype(np.float32))
        parts.append((x, torch.from_numpy(np.array(samples.labels, np.int64))))
    torch.manual_seed(0)
    layers = torch.nn.ModuleList([torch.nn.Linear(64, 96), torch.nn.Linear(96, 10)])
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(6)
    optimizer = torch.optim.Adam(layers.parameters(), lr=5e-3)
    x, y = parts[0]
    for _ in range(20):
        for index in torch.randperm(len(x)).split(64):
            loss = torch.nn.functional.cross_entropy(spike_counts(layers, x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    nodes, edges, last = {"input": nir.Input({"input": np.array([64])})}, [], "input"
    for i, layer in enumerate(layers):
        n = np.ones(layer.out_features)
        weight, bias = (p.detach().numpy().astype(float) for p in (layer.weight, layer.bias))
        nodes[f"w{i}"] = nir.Affine(weight=weight, bias=bias)
        nodes[f"lif{i}"] = nir.LIF(tau=TAU * n, r=n, v_leak=0 * n, v_threshold=n)
        edges += [(last, f"w{i}"), (f"w{i}", f"lif{i}")]
        last = f"lif{i}"
    nodes["output"] = nir.Output({"output": np.array([10])})
    nir.write(folder / "float.nir", nir.NIRGraph(nodes=nodes, edges=[*edges, (last, "output")]))
    with torch.no_grad():
        right = (spike_counts(layers, parts[1][0]).argmax(1) == parts[1][1]).float().mean().item()
    return folder / "float.nir", right


def tuned(file, folder, sparse, *, epochs, weight_bits=None):
    """What the command says, with the accuracy of the exported file on the test part, by the event engine."""
    (folder / "recipe.toml").write_text(RECIPE.replace("SPARSE", sparse).replace("EPOCHS", str(epochs)))
    run = folder / "run"
    result = commands.train(folder / "recipe.toml", start=file, dt=DT, weight_bits=weight_bits, out=run)
    commands.export(run)
    activity, _ = commands.simulate(run, run, engine="event")
    right = accuracy(commands.load_network(run), activity, commands.load_data(run))
    assert commands.verify(run, engines=("native", "reference", "event"), n_samples=32)["equal"]
    return {**result, "test_accuracy": right}


def test_a_float_network_is_as_good_in_eight_bits(trained, tmp_path):
    file, in_floats = trained
    found = tuned(file, tmp_path, 'method = "dense"', epochs=2)
    assert in_floats > 0.93
    assert found["start_accuracy"] == found["imported_accuracy"] > 0.93
    assert found["test_accuracy"] > in_floats - 0.02


CASES = {
    "a quarter of the weights": ('method = "static", density = 0.25', None),
    "three tenths of the weights in 3 bits": ('method = "static", density = 0.3', 3),
    "8 % of the weights, rewired": ('method = "rigl", density = 0.08, every_steps = 20', None),
}


@pytest.mark.parametrize("case", CASES)
def test_what_pruning_and_few_bits_cost_comes_back_in_twelve_epochs(case, trained, tmp_path):
    """At least three quarters of it on the validation part, where it was lost, and a half on the test part."""
    sparse, bits = CASES[case]
    file, in_floats = trained
    found = tuned(file, tmp_path, sparse, epochs=12, weight_bits=bits)
    lost = found["imported_accuracy"] - found["start_accuracy"]
    print(f"{case}: floats {in_floats:.4f}, {found}")
    assert lost > 0.08
    assert found["validation_accuracy"] > found["start_accuracy"] + 0.75 * lost
    assert found["test_accuracy"] > found["start_accuracy"] + 0.5 * lost
