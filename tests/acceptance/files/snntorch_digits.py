"""Makes snntorch_digits.nir.gz and snntorch_digits.npz: scikit-learn's digits, trained and exported by snnTorch 1.0.0.

Its neurons are ``Leaky`` as it comes: reset by subtraction, one step late, which NIR cannot say. First, with neurodeploy::

    from neurodeploy.data.parts import encode, load_splits
    from neurodeploy.recipe.files import load_recipe
    recipe, parts = load_recipe("digits-mlp").data, {}
    for name, part in zip(("train", "validation", "test"), load_splits(recipe)):
        samples = encode(part, recipe, name)
        parts |= {name: samples.inputs["input"].to_dense(), f"{name}_labels": samples.labels}
    numpy.savez_compressed("digits.npz", **parts)

then, with snnTorch's Python: ``python snntorch_digits.py digits.npz``. The spikes in the ``.npz`` are snnTorch's own.
"""

import gzip
import sys
from pathlib import Path

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch import utils
from snntorch.export_nir import export_to_nir

HIDDEN = 24
HERE = Path(__file__).parent


class Net(torch.nn.Module):
    """Two layers of leaky neurons; each call is a step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = torch.nn.Linear(64, HIDDEN, bias=False), leaky(HIDDEN)
        self.fc2, self.lif2 = torch.nn.Linear(HIDDEN, 10, bias=False), leaky(10)
        self.fc1.weight.data *= 4
        self.fc2.weight.data *= 4

    def forward(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))

    def run(self, x):
        utils.reset(self)
        self.lif1.reset_mem()
        self.lif2.reset_mem()
        return torch.stack([self(step) for step in x.unbind(1)], 1)


def leaky(n):
    return snn.Leaky(beta=0.95 * torch.ones(n), threshold=torch.ones(n), init_hidden=True)


def main() -> None:
    data = np.load(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    parts = ("train", "validation", "test")
    x = {name: torch.tensor(data[name], dtype=torch.float32) for name in parts}
    y = {name: torch.tensor(data[f"{name}_labels"], dtype=torch.long) for name in parts}
    net = Net()
    optimiser = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=1e-4)
    for _ in range(30):
        order = torch.randperm(len(x["train"]))
        for first in range(0, len(order), 32):
            batch = order[first : first + 32]
            wanted = 2 + 9 * torch.nn.functional.one_hot(y["train"][batch], 10)
            loss = ((net.run(x["train"][batch]).sum(1) - wanted) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        spikes = net.run(x["test"])
    print("test accuracy", (spikes.sum(1).argmax(1) == y["test"]).float().mean().item())
    path = HERE / "snntorch_digits.nir"
    nir.write(path, export_to_nir(net, torch.zeros(1, 64), ignore_dims=[0]))
    (HERE / "snntorch_digits.nir.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    path.unlink()
    np.savez_compressed(HERE / "snntorch_digits.npz", spikes=spikes.numpy().astype(np.uint8))


if __name__ == "__main__":
    main()
