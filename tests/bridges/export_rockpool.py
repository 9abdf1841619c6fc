"""Networks of rockpool, written by its own ``to_nir``; run with rockpool's Python: ``export_rockpool.py FOLDER``.

rockpool computes in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from recording import N_HIDDEN, N_IN, N_OUT, Layers, raster, recorder, spread, weights
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch, TorchModule
from rockpool.nn.modules.torch.nir import to_nir

DT = 1e-3
ONE = {"max_spikes_per_dt": torch.tensor(1.0)}


def linear(n_in: int, n_out: int, seed: int, scale: float, bias: bool = False) -> Any:
    given = {"weight": torch.tensor(weights(n_out, n_in, seed=seed, scale=scale).T.copy())}
    if bias:
        given["bias"] = torch.tensor(weights(n_out, seed=seed + 50, scale=0.1))
    return LinearTorch((n_in, n_out), has_bias=bias, **given)


def taus(n: int, low: float, high: float, seed: int) -> torch.Tensor:
    return torch.tensor(spread(n, low, high, seed))


def lif(n: int, seed: int, **more: Any) -> Any:
    own = {"tau_mem": taus(n, 4e-3, 2e-2, seed), "tau_syn": taus(n, 2e-3, 8e-3, seed + 20)[:, None]}
    return LIFTorch(n, **{"threshold": torch.ones(n), "dt": DT, **own, **more})


def recorded(net: Any, x: Any, neurons: dict[str, int], sample: Any = None) -> Any:
    """Export the network and run all steps of all samples in one call; ``neurons`` are places in it by name of the node."""
    graph = to_nir(net, sample)
    modules = list(net.modules().values())
    layers = Layers({name: modules[place] for name, place in neurons.items()})
    layers.recording = True
    net.reset_state()  # the export has run the network once
    with torch.no_grad():
        net(torch.tensor(x, dtype=torch.float32))
    return graph, x, {name: values[0] for name, values in layers.steps.items()}


def mlp(cell: Callable[[int, int], Any], scale: float = 1.0, *, kind: str = "LIFTorch", sample: Any = None) -> Any:
    net = Sequential(
        linear(N_IN, N_HIDDEN, 1, 0.3 * scale),
        cell(N_HIDDEN, 3),
        linear(N_HIDDEN, N_OUT, 2, 0.3 * scale, bias=True),
        cell(N_OUT, 4),
    )
    return recorded(net, raster(N_IN), {f"1_{kind}": 1, f"3_{kind}": 3}, sample)


with recorder("rockpool", "rockpool", "torch", "nirtorch") as own:

    @own.network("rockpool_default", "MLP, LIFTorch as it comes", dt=DT, reset="subtract", spikes="many")
    def _() -> Any:
        return mlp(lambda n, _s: LIFTorch(n), 0.3)

    @own.network("rockpool_sample", "MLP, LIFTorch, sample of (1, 40, N)", dt=DT, reset="subtract")
    def _() -> Any:
        return mlp(lambda n, s: lif(n, s, **ONE), sample=torch.zeros(1, 40, N_IN))

    @own.network("rockpool_one", "MLP, LIFTorch, max_spikes_per_dt=1", dt=DT, reset="subtract")
    def _() -> Any:
        return mlp(lambda n, s: lif(n, s, **ONE))

    @own.network("rockpool_one_dt", "MLP, LIFTorch, max_spikes_per_dt=1, dt=2e-3", dt=2e-3, reset="subtract")
    def _() -> Any:
        return mlp(lambda n, s: lif(n, s, dt=2e-3, **ONE))

    @own.network("rockpool_many", "MLP, LIFTorch", dt=DT, reset="subtract", spikes="many")
    def _() -> Any:
        return mlp(lif)

    @own.network("rockpool_named", "MLP in a class, LIFTorch, max_spikes_per_dt=1", dt=DT, reset="subtract")
    def _() -> Any:
        class Net(TorchModule):
            def __init__(self) -> None:
                super().__init__(shape=(N_IN, N_OUT))
                self.fc1, self.lif1 = linear(N_IN, N_HIDDEN, 1, 0.3), lif(N_HIDDEN, 3, **ONE)
                self.fc2, self.lif2 = linear(N_HIDDEN, N_OUT, 2, 0.3), lif(N_OUT, 4, **ONE)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                for part in (self.fc1, self.lif1, self.fc2, self.lif2):
                    x, _, _ = part(x)
                return x

        return recorded(Net(), raster(N_IN), {"lif1": 1, "lif2": 3})

    @own.network("rockpool_bias", "MLP, LIFTorch with bias", dt=DT, reset="subtract", bias=0.05)
    def _() -> Any:
        return mlp(lambda n, s: lif(n, s, bias=torch.full((n,), 0.05), **ONE))

    @own.network("rockpool_decays", "MLP, LIFTorch, leak_mode='decays'", dt=DT, reset="subtract")
    def _() -> Any:
        def cell(n: int, seed: int) -> Any:
            own = {"alpha": taus(n, 0.7, 0.95, seed), "beta": taus(n, 0.5, 0.8, seed)[:, None]}
            return LIFTorch(n, leak_mode="decays", threshold=torch.ones(n), dt=DT, **own, **ONE)

        return mlp(cell)

    @own.network("rockpool_recurrent", "recurrent, LIFTorch(has_rec=True)", dt=DT, reset="subtract")
    def _() -> Any:
        back = torch.tensor(weights(N_HIDDEN, N_HIDDEN, seed=12, scale=0.3, mean=-0.1))
        cell = lif(N_HIDDEN, 3, has_rec=True, w_rec=back, **ONE)
        net = Sequential(linear(N_IN, N_HIDDEN, 1, 0.3), cell, linear(N_HIDDEN, N_OUT, 2, 0.3), lif(N_OUT, 4, **ONE))
        return recorded(net, raster(N_IN), {"1_LIFTorch": 1, "3_LIFTorch": 3})

    @own.network("rockpool_neuron", "MLP, LIFNeuronTorch, max_spikes_per_dt=1", dt=DT, reset="subtract")
    def _() -> Any:
        def cell(n: int, seed: int) -> Any:
            return LIFNeuronTorch(n, tau_mem=taus(n, 4e-3, 2e-2, seed), threshold=torch.ones(n), dt=DT, **ONE)

        return mlp(cell, 2.0, kind="LIFNeuronTorch")

    @own.network("rockpool_readout", "MLP, LIFTorch, read out by ExpSynTorch", dt=DT, reset="subtract")
    def _() -> Any:
        last = ExpSynTorch(N_OUT, tau=taus(N_OUT, 4e-3, 2e-2, 4), dt=DT)
        net = Sequential(linear(N_IN, N_HIDDEN, 1, 0.3), lif(N_HIDDEN, 3, **ONE), linear(N_HIDDEN, N_OUT, 2, 0.3), last)
        return recorded(net, raster(N_IN), {"1_LIFTorch": 1})
