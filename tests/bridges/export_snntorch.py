"""Networks of snnTorch, written by its own ``export_to_nir``; run with snnTorch's Python: ``export_snntorch.py FOLDER``."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from recording import IMAGE, N_HIDDEN, N_IN, N_OUT, Layers, raster, recorder, spread, weights
from snntorch import utils
from snntorch.export_nir import export_to_nir


def linear(n_in: int, n_out: int, seed: int, scale: float, bias: bool = False) -> torch.nn.Linear:
    layer = torch.nn.Linear(n_in, n_out, bias=bias)
    layer.weight.data = torch.tensor(weights(n_out, n_in, seed=seed, scale=scale))
    if bias:
        layer.bias.data = torch.tensor(weights(n_out, seed=seed + 50, scale=0.1))
    return layer


def betas(n: int, seed: int) -> torch.Tensor:
    return torch.tensor(spread(n, 0.7, 0.97, seed))


def recorded(module: torch.nn.Module, x: Any, neurons: dict[str, torch.nn.Module], sample: Any, **options: Any) -> Any:
    """Export as users do, in float32; then run the same parameters in float64."""
    graph = export_to_nir(module, sample, **options)
    layers = Layers(neurons)
    module.double()
    for part in module.modules():  # its spikes are float32 always
        part.register_forward_pre_hook(lambda _part, given: tuple(g.double() for g in given))
    utils.reset(module)
    for neuron in neurons.values():
        neuron.reset_mem()
    layers.recording = True
    with torch.no_grad():
        for step in torch.tensor(x, dtype=torch.float64).unbind(1):
            module(step)
    return graph, x, layers.stacked()


class Net(torch.nn.Module):
    """Two layers with the names of the tutorials; each call is a step."""

    def __init__(self, first: torch.nn.Module, second: torch.nn.Module) -> None:
        super().__init__()
        self.fc1, self.lif1 = linear(N_IN, N_HIDDEN, 1, 0.5), first
        self.fc2, self.lif2 = linear(N_HIDDEN, N_OUT, 2, 1.0, bias=True), second

    def forward(self, x: torch.Tensor) -> Any:
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))


BATCHED = {"ignore_dims": [0]}


def mlp(make: Any, sample: Any = None, **options: Any) -> Any:
    net = Net(make(N_HIDDEN, 3), make(N_OUT, 4))
    if sample is None:
        sample, options = torch.zeros(1, N_IN), BATCHED
    return recorded(net, raster(N_IN), {"lif1": net.lif1, "lif2": net.lif2}, sample, **options)


def leaky(n: int, seed: int, **more: Any) -> snn.Leaky:
    return snn.Leaky(beta=betas(n, seed), threshold=torch.ones(n), init_hidden=True, **more)


def synaptic(n: int, seed: int, **more: Any) -> snn.Synaptic:
    alpha = torch.tensor(spread(n, 0.3, 0.7, seed + 20))
    return snn.Synaptic(alpha=alpha, beta=betas(n, seed), threshold=torch.ones(n), init_hidden=True, **more)


ZERO = {"reset_mechanism": "zero", "reset_delay": False}
SUBTRACT = {"reset_mechanism": "subtract", "reset_delay": False}

with recorder("snntorch", "snntorch", "torch", "nirtorch") as own:

    @own.network("snntorch_leaky_zero", "MLP, Leaky", dt=1e-4, reset="zero", reset_delay=False)
    def _() -> Any:
        return mlp(lambda n, s: leaky(n, s, **ZERO))

    @own.network("snntorch_leaky_zero_late", "MLP, Leaky", dt=1e-4, reset="zero", reset_delay=True)
    def _() -> Any:
        return mlp(lambda n, s: leaky(n, s, reset_mechanism="zero"))

    @own.network("snntorch_leaky_subtract", "MLP, Leaky", dt=1e-4, reset="subtract", reset_delay=False)
    def _() -> Any:
        return mlp(lambda n, s: leaky(n, s, **SUBTRACT))

    @own.network("snntorch_leaky_default", "MLP, Leaky as it comes", dt=1e-4, reset="subtract", reset_delay=True)
    def _() -> Any:
        return mlp(leaky)

    @own.network(
        "snntorch_leaky_clamped", "MLP, Leaky with beta beyond 0 and 1", dt=1e-4, reset="zero", reset_delay=False
    )
    def _() -> Any:
        def cell(n: int, seed: int) -> Any:
            own = leaky(n, seed, **ZERO)
            own.beta[:2] = torch.tensor([1.25, -0.25])
            return own

        return mlp(cell)

    @own.network("snntorch_leaky_batched", "MLP, Leaky, as in its docstring", dt=1e-4, reset="zero", reset_delay=False)
    def _() -> Any:
        return mlp(lambda n, s: leaky(n, s, **ZERO), torch.zeros(1, N_IN))

    @own.network("snntorch_leaky_scalar", "MLP, Leaky(beta=0.9)", dt=1e-4, reset="subtract", reset_delay=True)
    def _() -> Any:
        return mlp(lambda _n, _s: snn.Leaky(beta=0.9, init_hidden=True))

    @own.network(
        "snntorch_leaky_scalar_unbatched",
        "MLP, Leaky(beta=0.9), sample without batch",
        dt=1e-4,
        reset="subtract",
        reset_delay=True,
    )
    def _() -> Any:
        return mlp(lambda _n, _s: snn.Leaky(beta=0.9, init_hidden=True), torch.zeros(N_IN))

    @own.network(
        "snntorch_leaky_unbatched", "MLP, Leaky, sample without batch", dt=1e-4, reset="zero", reset_delay=False
    )
    def _() -> Any:
        return mlp(lambda n, s: leaky(n, s, **ZERO), torch.zeros(N_IN))

    @own.network("snntorch_synaptic_zero", "MLP, Synaptic", dt=1e-4, reset="zero", reset_delay=False)
    def _() -> Any:
        return mlp(lambda n, s: synaptic(n, s, **ZERO))

    @own.network("snntorch_synaptic_zero_late", "MLP, Synaptic", dt=1e-4, reset="zero", reset_delay=True)
    def _() -> Any:
        return mlp(lambda n, s: synaptic(n, s, reset_mechanism="zero"))

    @own.network("snntorch_synaptic_subtract", "MLP, Synaptic", dt=1e-4, reset="subtract", reset_delay=False)
    def _() -> Any:
        return mlp(lambda n, s: synaptic(n, s, **SUBTRACT))

    @own.network("snntorch_synaptic_default", "MLP, Synaptic as it comes", dt=1e-4, reset="subtract", reset_delay=True)
    def _() -> Any:
        return mlp(synaptic)

    def conv(**more: Any) -> Any:
        convolution = torch.nn.Conv2d(2, 3, 3)
        convolution.weight.data = torch.tensor(weights(3, 2, 3, 3, seed=5, scale=0.4))
        convolution.bias.data = torch.tensor(weights(3, seed=6, scale=0.1))
        lif1 = snn.Leaky(
            beta=betas(3 * 6 * 6, 7).reshape(3, 6, 6), threshold=torch.ones(3, 6, 6), init_hidden=True, **more
        )
        net = torch.nn.Sequential(
            convolution,
            lif1,
            torch.nn.AvgPool2d(2),
            torch.nn.Flatten(),
            linear(27, N_OUT, 8, 1.0),
            leaky(N_OUT, 9, **more),
        )
        return recorded(net, raster(*IMAGE, seed=1), {"1": net[1], "5": net[5]}, torch.zeros(1, *IMAGE), **BATCHED)

    @own.network("snntorch_conv", "conv, pool, Leaky", dt=1e-4, reset="zero", reset_delay=False)
    def _() -> Any:
        return conv(**ZERO)

    def recurrent(kind: str, one_to_one: bool = False, **more: Any) -> Any:
        ones = torch.ones(N_HIDDEN)
        wires: dict[str, Any] = {"all_to_all": True, "linear_features": N_HIDDEN}
        if one_to_one:
            wires = {"all_to_all": False, "V": torch.tensor(weights(N_HIDDEN, seed=12, scale=0.4))}
        if kind == "RLeaky":
            cell = snn.RLeaky(beta=betas(N_HIDDEN, 3), threshold=ones, init_hidden=True, **wires, **more)
        else:
            alpha = torch.tensor(spread(N_HIDDEN, 0.3, 0.7, 23))
            cell = snn.RSynaptic(
                alpha=alpha, beta=betas(N_HIDDEN, 3), threshold=ones, init_hidden=True, **wires, **more
            )
        if not one_to_one:
            cell.recurrent.weight.data = torch.tensor(weights(N_HIDDEN, N_HIDDEN, seed=12, scale=0.3, mean=-0.2))
            cell.recurrent.bias.data = torch.tensor(weights(N_HIDDEN, seed=13, scale=0.05))
        last = leaky(N_OUT, 4, **more)
        net = torch.nn.Sequential(linear(N_IN, N_HIDDEN, 1, 0.5), cell, linear(N_HIDDEN, N_OUT, 2, 1.0), last)
        return recorded(net, raster(N_IN), {"1.lif": cell, "3": last}, torch.zeros(1, N_IN), **BATCHED)

    @own.network("snntorch_rleaky_zero", "recurrent, RLeaky", dt=1e-4, reset="zero", reset_delay=False)
    def _() -> Any:
        return recurrent("RLeaky", **ZERO)

    @own.network("snntorch_rleaky_one_to_one", "recurrent one to one, RLeaky", dt=1e-4, reset="zero", reset_delay=False)
    def _() -> Any:
        return recurrent("RLeaky", one_to_one=True, **ZERO)

    @own.network("snntorch_rleaky_zero_late", "recurrent, RLeaky", dt=1e-4, reset="zero", reset_delay=True)
    def _() -> Any:
        return recurrent("RLeaky", reset_mechanism="zero")

    @own.network(
        "snntorch_rleaky_default", "recurrent, RLeaky as it comes", dt=1e-4, reset="subtract", reset_delay=True
    )
    def _() -> Any:
        return recurrent("RLeaky")

    @own.network("snntorch_rsynaptic_zero", "recurrent, RSynaptic", dt=1e-4, reset="zero", reset_delay=False)
    def _() -> Any:
        return recurrent("RSynaptic", **ZERO)

    @own.network("snntorch_rsynaptic_zero_late", "recurrent, RSynaptic", dt=1e-4, reset="zero", reset_delay=True)
    def _() -> Any:
        return recurrent("RSynaptic", reset_mechanism="zero")

    @own.network(
        "snntorch_rsynaptic_default", "recurrent, RSynaptic as it comes", dt=1e-4, reset="subtract", reset_delay=True
    )
    def _() -> Any:
        return recurrent("RSynaptic")
