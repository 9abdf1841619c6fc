"""Networks of sinabs, written by its own ``to_nir``; run with sinabs' Python: ``export_sinabs.py FOLDER``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sinabs.layers as sl
import torch
from recording import IMAGE, N_HIDDEN, N_IN, N_OUT, N_SAMPLES, N_STEPS, Layers, raster, recorder, spread, weights
from sinabs.activation import MaxSpike, MembraneReset, SingleSpike
from sinabs.nir import to_nir


def linear(n_in: int, n_out: int, seed: int, scale: float, bias: bool = False) -> torch.nn.Linear:
    layer = torch.nn.Linear(n_in, n_out, bias=bias)
    layer.weight.data = torch.tensor(weights(n_out, n_in, seed=seed, scale=scale))
    if bias:
        layer.bias.data = torch.tensor(weights(n_out, seed=seed + 50, scale=0.1))
    return layer


def recorded(make: Callable[[], Any], x: Any, *neurons: str, steps_in_batch: bool = False, sample: Any = None) -> Any:
    """Export the network in float32, as users do, and run it in float64; all steps of all samples go in at once."""
    given = torch.tensor(x, dtype=torch.float32)
    if steps_in_batch:
        given = given.flatten(0, 1)
    graph = to_nir(make(), given[:1] if sample is None else sample)
    module = make().double()
    layers = Layers({name: module.get_submodule(name) for name in neurons})
    layers.recording = True
    for part in module.modules():  # its spikes are float32 always
        part.register_forward_pre_hook(lambda _part, given: tuple(g.double() for g in given))
    with torch.no_grad():
        module(given.double())
    called_once = {name: values[0] for name, values in layers.steps.items()}
    at = 1 if steps_in_batch else 2
    return graph, x, {name: v.reshape(N_SAMPLES, N_STEPS, *v.shape[at:]) for name, v in called_once.items()}


def sized(n: int, seed: int, **more: Any) -> Any:
    """Return an LIF with a time constant for each neuron; the threshold has to have the same shape to be exported."""
    return sl.LIF(tau_mem=torch.tensor(spread(n, 3.0, 15.0, seed)), spike_threshold=torch.ones(n), **more)


def mlp(cell: Callable[[int, int], Any], scale: float = 1.0, **options: Any) -> Any:
    def make() -> Any:
        return torch.nn.Sequential(
            linear(N_IN, N_HIDDEN, 1, 0.5 * scale),
            cell(N_HIDDEN, 3),
            linear(N_HIDDEN, N_OUT, 2, 1.2 * scale, bias=True),
            cell(N_OUT, 4),
        )

    return recorded(make, raster(N_IN), "1", "3", **options)


ONE = {"spike_fn": SingleSpike}
HARD = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}

with recorder("sinabs", "sinabs", "torch", "nirtorch") as own:

    @own.network("sinabs_lif_default", "MLP, LIF(tau_mem=5.0) as it comes", reset="subtract", spikes="many")
    def _() -> Any:
        return mlp(lambda _n, _s: sl.LIF(tau_mem=5.0), 4.0)

    @own.network("sinabs_lif_scalar", "MLP, LIF(tau_mem=10.0), SingleSpike, MembraneReset", reset="zero")
    def _() -> Any:
        return mlp(lambda _n, _s: sl.LIF(tau_mem=10.0, **HARD), 3.0)

    @own.network("sinabs_lif_subtract", "MLP, LIF, SingleSpike", reset="subtract")
    def _() -> Any:
        return mlp(lambda n, s: sized(n, s, **ONE), 3.0)

    @own.network("sinabs_lif_taus", "MLP, LIF with tau_mem a neuron, spike_threshold as it comes", reset="subtract")
    def _() -> Any:
        return mlp(lambda n, _s: sl.LIF(tau_mem=torch.full((n,), 10.0), **ONE), 3.0)

    @own.network("sinabs_lif_zero", "MLP, LIF, SingleSpike, MembraneReset", reset="zero")
    def _() -> Any:
        return mlp(lambda n, s: sized(n, s, **HARD), 3.0)

    @own.network("sinabs_lif_max1", "MLP, LIF, MaxSpike(1)", reset="subtract")
    def _() -> Any:
        return mlp(lambda n, s: sized(n, s, spike_fn=MaxSpike(1)), 3.0)

    @own.network("sinabs_lif_no_norm", "MLP, LIF, norm_input=False, SingleSpike", reset="subtract", norm_input=False)
    def _() -> Any:
        return mlp(lambda n, s: sized(n, s, norm_input=False, **ONE))

    @own.network("sinabs_lif_tau_syn", "MLP, LIF with tau_syn, SingleSpike", reset="subtract", tau_syn=4.0)
    def _() -> Any:
        return mlp(lambda n, s: sized(n, s, tau_syn=4.0, **ONE))

    @own.network("sinabs_lif_min", "MLP, LIF with min_v_mem=-0.1, SingleSpike", reset="subtract", min_v_mem=-0.1)
    def _() -> Any:
        return mlp(lambda n, s: sized(n, s, min_v_mem=-0.1, **ONE), 3.0)

    @own.network("sinabs_lif_alphas", "MLP, LIF, train_alphas=True", reset="subtract")
    def _() -> Any:
        return mlp(lambda n, s: sized(n, s, train_alphas=True, **ONE), 3.0)

    @own.network("sinabs_iaf_default", "MLP, IAF() as it comes", reset="subtract", spikes="many")
    def _() -> Any:
        return mlp(lambda _n, _s: sl.IAF(), 0.7)

    @own.network("sinabs_iaf", "MLP, IAF, SingleSpike", reset="subtract")
    def _() -> Any:
        return mlp(lambda _n, _s: sl.IAF(**ONE), 0.7)

    def conv(**more: Any) -> Any:
        def make() -> Any:
            convolution = torch.nn.Conv2d(2, 3, 3, bias=False)
            convolution.weight.data = torch.tensor(weights(3, 2, 3, 3, seed=5, scale=0.5, mean=-0.05))
            squeezed = {"batch_size": N_SAMPLES, **more}
            return torch.nn.Sequential(
                convolution,
                sl.IAFSqueeze(**squeezed),
                sl.SumPool2d(2),
                torch.nn.Flatten(),
                linear(27, N_OUT, 8, 0.8),
                sl.IAFSqueeze(**squeezed),
            )

        # with batch_size given, one step of each sample is the smallest input
        return recorded(
            make, raster(*IMAGE, seed=1), "1", "5", steps_in_batch=True, sample=torch.zeros(N_SAMPLES, *IMAGE)
        )

    @own.network(
        "sinabs_conv_default", "conv, IAFSqueeze, SumPool2d, Linear as it comes", reset="subtract", spikes="many"
    )
    def _() -> Any:
        return conv()

    @own.network("sinabs_conv", "conv, IAFSqueeze, SumPool2d, Linear, SingleSpike", reset="subtract")
    def _() -> Any:
        return conv(**ONE)

    @own.network("sinabs_recurrent", "recurrent, LIFRecurrent", reset="subtract")
    def _() -> Any:
        def make() -> Any:
            back = linear(N_HIDDEN, N_HIDDEN, 12, 0.3)
            cell = sl.LIFRecurrent(tau_mem=10.0, rec_connect=back, **ONE)
            return torch.nn.Sequential(linear(N_IN, N_HIDDEN, 1, 1.5), cell)

        return recorded(make, raster(N_IN), "1")

    @own.network("sinabs_readout", "MLP, LIF, read out by ExpLeak", reset="subtract")
    def _() -> Any:
        def make() -> Any:
            cell = sized(N_HIDDEN, 3, **ONE)
            return torch.nn.Sequential(
                linear(N_IN, N_HIDDEN, 1, 1.5),
                cell,
                linear(N_HIDDEN, N_OUT, 2, 0.6),
                sl.ExpLeak(tau_mem=torch.full((N_OUT,), 10.0)),
            )

        return recorded(make, raster(N_IN), "1")
