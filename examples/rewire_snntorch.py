"""Rewiring in snnTorch: the stock training loop with three lines more (needs ``pip install snntorch``)."""

import snntorch
import torch
from sklearn.datasets import load_digits
from snntorch import surrogate

from neurodeploy import RewiringSettings, find_weights, start_rewiring


class Net(torch.nn.Module):
    """64-100-10 leaky integrate-and-fire neurons, the input held for ten steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = torch.nn.Linear(64, 100), torch.nn.Linear(100, 10)
        self.lif1 = snntorch.Leaky(beta=0.9, spike_grad=surrogate.fast_sigmoid())
        self.lif2 = snntorch.Leaky(beta=0.9, spike_grad=surrogate.fast_sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the membranes of the output layer summed over the steps."""
        membrane1, membrane2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        total = torch.zeros(len(x), 10)
        for _ in range(10):
            spikes, membrane1 = self.lif1(self.fc1(x), membrane1)
            _, membrane2 = self.lif2(self.fc2(spikes), membrane2)
            total = total + membrane2
        return total


torch.manual_seed(0)
torch.set_num_threads(1)
images, labels = (torch.tensor(part) for part in load_digits(return_X_y=True))
images = images.float() / 16
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
rewirer = start_rewiring(
    "rigl", find_weights(net), optimizer, RewiringSettings(density=0.1, every_steps=10, end_step=150)
)

for _ in range(10):
    for index in torch.randperm(1500).split(75):
        loss = torch.nn.functional.cross_entropy(net(images[index]), labels[index])
        optimizer.zero_grad()
        loss.backward()
        rewirer.before_step()
        optimizer.step()
        rewirer.after_step()

accuracy = (net(images[1500:]).argmax(1) == labels[1500:]).float().mean()
n_connections = sum(int(weight.ne(0).sum()) for weight in rewirer.weights.values())
print(f"accuracy {accuracy:.1%} with {n_connections} of {sum(w.numel() for w in rewirer.weights.values())} connections")
