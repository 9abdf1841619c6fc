"""Networks of SpikingJelly, written by its own ``export_to_nir``; run with its Python: ``export_spikingjelly.py FOLDER``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from recording import IMAGE, N_HIDDEN, N_IN, N_OUT, Layers, raster, recorder, weights
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir


def linear(n_in: int, n_out: int, seed: int, scale: float, bias: bool = False, of: Any = torch.nn) -> Any:
    own = of.Linear(n_in, n_out, bias=bias)
    own.weight.data = torch.tensor(weights(n_out, n_in, seed=seed, scale=scale))
    if bias:
        own.bias.data = torch.tensor(weights(n_out, seed=seed + 50, scale=0.1))
    return own


def recorded(net: Any, x: Any, neurons: dict[str, str], *, step_mode: str = "s", **options: Any) -> Any:
    """Export in float32, as users do; then run the same parameters in float64."""
    functional.set_step_mode(net, step_mode)
    sample = torch.zeros(*((2,) if step_mode == "m" else ()), 1, *x.shape[2:])
    graph = export_to_nir(net, sample, **options)
    functional.set_step_mode(net, "s")
    functional.reset_net(net)
    net.double()
    layers = Layers({name: net.get_submodule(module) for name, module in neurons.items()})
    layers.recording = True
    with torch.no_grad():
        for step in torch.tensor(x, dtype=torch.float64).unbind(1):
            net(step)
    return graph, x, layers.stacked()


def mlp(make: Callable[[], Any], scale: float = 1.0, *, of: Any = torch.nn, **options: Any) -> Any:
    net = torch.nn.Sequential(
        linear(N_IN, N_HIDDEN, 1, 0.5 * scale, of=of), make(), linear(N_HIDDEN, N_OUT, 2, 1.0 * scale, True, of), make()
    )
    return recorded(net, raster(N_IN), {"_1": "1", "_3": "3"}, **options)


with recorder("spikingjelly", "spikingjelly", "torch", "nirtorch") as own:

    @own.network("spikingjelly_if", "MLP, IFNode as it comes", dt=1e-4, reset="zero")
    def _() -> Any:
        return mlp(neuron.IFNode)

    @own.network("spikingjelly_if_dt", "MLP, IFNode, dt=1e-3", dt=1e-3, reset="zero")
    def _() -> Any:
        return mlp(neuron.IFNode, dt=1e-3)

    @own.network("spikingjelly_if_multi", "MLP, IFNode, step_mode='m'", dt=1e-4, reset="zero")
    def _() -> Any:
        return mlp(neuron.IFNode, of=layer, step_mode="m")

    @own.network("spikingjelly_if_v_reset", "MLP, IFNode, v_reset=-0.25", dt=1e-4, reset="zero", v_reset=-0.25)
    def _() -> Any:
        return mlp(lambda: neuron.IFNode(v_reset=-0.25))

    @own.network("spikingjelly_if_soft", "MLP, IFNode(v_reset=None)", dt=1e-4, reset="subtract")
    def _() -> Any:
        return mlp(lambda: neuron.IFNode(v_reset=None))

    @own.network("spikingjelly_lif_default", "MLP, LIFNode as it comes", dt=1e-4, reset="zero")
    def _() -> Any:
        return mlp(neuron.LIFNode, 2.0)

    @own.network("spikingjelly_lif_dt", "MLP, LIFNode, dt=1e-3", dt=1e-3, reset="zero")
    def _() -> Any:
        return mlp(lambda: neuron.LIFNode(tau=5.0), 4.0, dt=1e-3)

    @own.network("spikingjelly_lif_whole_input", "MLP, LIFNode, decay_input=False", dt=1e-4, reset="zero")
    def _() -> Any:
        return mlp(lambda: neuron.LIFNode(tau=8.0, decay_input=False))

    @own.network("spikingjelly_lif_v_reset", "MLP, LIFNode, v_reset=-0.25", dt=1e-4, reset="zero", v_reset=-0.25)
    def _() -> Any:
        return mlp(lambda: neuron.LIFNode(v_reset=-0.25), 2.0)

    @own.network("spikingjelly_plif", "MLP, ParametricLIFNode", dt=1e-4, reset="zero")
    def _() -> Any:
        return mlp(lambda: neuron.ParametricLIFNode(init_tau=3.0), 2.0)

    @own.network("spikingjelly_cuba", "MLP, CUBALIFNode", dt=1e-4, reset="zero")
    def _() -> Any:
        return mlp(lambda: neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_threshold=1.0, v_reset=0.0))

    @own.network("spikingjelly_named", "MLP in a class, IFNode", dt=1e-4, reset="zero")
    def _() -> Any:
        class Net(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.fc1, self.lif1 = linear(N_IN, N_HIDDEN, 1, 0.5), neuron.IFNode()
                self.fc2, self.lif2 = linear(N_HIDDEN, N_OUT, 2, 1.0), neuron.LIFNode(tau=4.0)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.lif2(self.fc2(self.lif1(self.fc1(x))))

        return recorded(Net(), raster(N_IN), {"lif1": "lif1", "lif2": "lif2"})

    def conv(make: Callable[[], Any], *, bias: bool = False) -> Any:
        convolution = torch.nn.Conv2d(2, 3, 3, bias=bias)
        convolution.weight.data = torch.tensor(weights(3, 2, 3, 3, seed=5, scale=0.4))
        if bias:
            convolution.bias.data = torch.tensor(weights(3, seed=6, scale=0.1))
        net = torch.nn.Sequential(
            convolution, make(), torch.nn.AvgPool2d(2), torch.nn.Flatten(), linear(27, N_OUT, 8, 1.5), make()
        )
        return recorded(net, raster(*IMAGE, seed=1), {"_1": "1", "_5": "5"})

    @own.network("spikingjelly_conv_if", "conv, IFNode, AvgPool2d, Linear", dt=1e-4, reset="zero")
    def _() -> Any:
        return conv(neuron.IFNode)

    @own.network("spikingjelly_conv_lif", "conv with bias, LIFNode, AvgPool2d, Linear", dt=1e-4, reset="zero")
    def _() -> Any:
        return conv(neuron.LIFNode, bias=True)

    @own.network("spikingjelly_recurrent", "recurrent, LinearRecurrentContainer", dt=1e-4, reset="zero")
    def _() -> Any:
        cell = layer.LinearRecurrentContainer(neuron.IFNode(), N_HIDDEN, N_HIDDEN, bias=False)
        net = torch.nn.Sequential(
            linear(N_IN, N_HIDDEN, 1, 0.5), cell, linear(N_HIDDEN, N_OUT, 2, 1.0), neuron.IFNode()
        )
        return recorded(net, raster(N_IN), {"_1": "1", "_3": "3"})
