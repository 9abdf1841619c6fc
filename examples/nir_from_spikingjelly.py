"""A SpikingJelly network in a NIR file, from there onto the chip's integers.

The released SpikingJelly (0.0.0.0.14) writes no NIR, and the export of its development version passes arguments that nir
1.0.8 no longer takes. This route needs neither: ``nir_graph`` below turns a ``Sequential`` in single-step mode into NIR.
SpikingJelly fires at ``v >= v_threshold``, NIR and the chip above it; that differs only where both are exactly equal. A
network that resets by subtraction (``v_reset=None``) is refused, because a chip's core sets the voltage to a value.
"""

import nir
import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron

from neurodeploy import from_nir, interpret

DT = 1e-3


def neuron_node(module, shape, dt):
    """Return the NIR node of an IFNode or LIFNode; its ``tau`` counts steps."""
    if module.v_reset is None:
        raise ValueError("v_reset=None resets by subtraction, which a chip's core cannot do; train with v_reset=0.0")
    own = {"v_threshold": module.v_threshold, "v_reset": module.v_reset}
    if isinstance(module, neuron.LIFNode):
        own |= {"tau": module.tau * dt, "r": 1.0 if module.decay_input else module.tau, "v_leak": module.v_reset}
        return nir.LIF(**{name: np.full(shape, value) for name, value in own.items()})
    return nir.IF(r=np.full(shape, 1 / dt), **{name: np.full(shape, value) for name, value in own.items()})


def nir_node(module, before, after, dt):
    """Return the NIR node of one module that makes signals of shape ``after`` from those of shape ``before``."""
    if isinstance(module, (neuron.IFNode, neuron.LIFNode)):
        return neuron_node(module, after, dt)
    if isinstance(module, torch.nn.Flatten):
        return nir.Flatten({"input": np.array(before)}, start_dim=0)
    if isinstance(module, torch.nn.AvgPool2d):
        pair = [np.array([n, n]) if isinstance(n, int) else np.array(n) for n in (module.kernel_size, module.stride)]
        return nir.AvgPool2d(*pair, np.zeros(2, int) + module.padding)
    weight = module.weight.detach().numpy()
    bias = None if module.bias is None else module.bias.detach().numpy()
    if isinstance(module, torch.nn.Conv2d):
        form = (module.stride, module.padding, module.dilation, module.groups)
        return nir.Conv2d(before[1:], weight, *form, np.zeros(len(weight)) if bias is None else bias)
    return nir.Linear(weight) if bias is None else nir.Affine(weight, bias)


def nir_graph(network, shape, dt=DT):
    """Return a ``Sequential`` that takes signals of ``shape`` (without batch) as a NIR graph."""
    nodes, x = {"input": nir.Input(np.array(shape))}, torch.zeros(1, *shape)
    for name, module in network.named_children():
        before = tuple(x.shape[1:])
        x = module(x).detach()
        nodes[name] = nir_node(module, before, tuple(x.shape[1:]), dt)
    functional.reset_net(network)
    nodes["output"] = nir.Output(np.array(x.shape[1:]))
    names = list(nodes)
    return nir.NIRGraph(nodes, list(zip(names, names[1:])), type_check=False)


def main():
    """Show that the floats of the file give SpikingJelly's own spikes, and the size of the integers."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1),
        neuron.IFNode(v_threshold=0.5),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(64, 20),
        neuron.LIFNode(tau=4.0, decay_input=False, v_threshold=0.2),
        layer.Linear(20, 5, bias=False),
        neuron.LIFNode(tau=2.0, v_threshold=0.02),
    )
    raster = (torch.rand(50, 1, 1, 8, 8) < 0.3).float()
    graph = nir_graph(network, (1, 8, 8))
    theirs = np.stack([network(step)[0].detach().numpy() > 0 for step in raster])
    ours = interpret(graph, {"input": raster.numpy()[None, :, 0]}, dt=DT).spikes["7"][0]
    print(f"{np.count_nonzero(theirs != ours)} of {ours.size} neuron steps differ, {theirs.sum()} spikes")
    integers = from_nir(graph, dt=DT)
    print(f"{len(integers.populations)} layers in integers, {sum(p.size for p in integers.populations)} neurons")


if __name__ == "__main__":
    main()
