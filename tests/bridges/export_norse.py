"""Networks of Norse, written by its own ``to_nir``; run with Norse's Python: ``export_norse.py FOLDER``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import norse.torch as norse
import torch
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.reset import reset_subtract
from recording import IMAGE, N_HIDDEN, N_IN, N_OUT, Layers, raster, recorder, spread, weights

DT = 1e-3


def linear(n_in: int, n_out: int, seed: int, scale: float, bias: bool = False) -> torch.nn.Linear:
    layer = torch.nn.Linear(n_in, n_out, bias=bias)
    layer.weight.data = torch.tensor(weights(n_out, n_in, seed=seed, scale=scale))
    if bias:
        layer.bias.data = torch.tensor(weights(n_out, seed=seed + 50, scale=0.1))
    return layer


def inverse(shape: Any, low: float, high: float, seed: int, dtype: torch.dtype) -> torch.Tensor:
    """Return inverse time constants in 1/s."""
    shape = (shape,) if isinstance(shape, int) else shape
    size = int(torch.tensor(shape).prod())
    return (1 / torch.tensor(spread(size, low, high, seed)).reshape(shape)).to(dtype)


def recorded(make: Callable[[torch.dtype], Any], x: Any, *neurons: str, **options: Any) -> Any:
    """Export the network in float32, as users do, and run the one with the same parameters in float64."""
    graph = norse.to_nir(make(torch.float32), torch.zeros(1, *x.shape[2:]), **options)
    module = make(torch.float64).double()
    layers = Layers({name: module.get_submodule(name) for name in neurons})
    layers.recording = True
    state = None
    with torch.no_grad():
        for step in torch.tensor(x, dtype=torch.float64).unbind(1):
            _, state = module(step, state)
    return graph, x, layers.stacked()


def box(shape: Any, seed: int, dtype: torch.dtype, **more: Any) -> Any:
    one = torch.ones(shape, dtype=dtype)
    options = {"v_leak": 0 * one, "v_th": 0.3 * one, "v_reset": 0 * one} | more
    return norse.LIFBoxCell(
        norse.LIFBoxParameters(tau_mem_inv=inverse(shape, 5e-3, 2e-2, seed, dtype), **options), dt=DT
    )


def lif(shape: Any, seed: int, dtype: torch.dtype) -> Any:
    one = torch.ones(shape, dtype=dtype)
    constants = {
        "tau_syn_inv": inverse(shape, 3e-3, 8e-3, seed + 20, dtype),
        "tau_mem_inv": inverse(shape, 5e-3, 2e-2, seed, dtype),
    }
    return norse.LIFCell(norse.LIFParameters(**constants, v_leak=0 * one, v_th=one, v_reset=0 * one), dt=DT)


def mlp(cell: Any, scale: float = 1.0, **options: Any) -> Any:
    def make(dtype: torch.dtype) -> Any:
        return norse.SequentialState(
            linear(N_IN, N_HIDDEN, 1, 1.0 * scale),
            cell(N_HIDDEN, 3, dtype),
            linear(N_HIDDEN, N_OUT, 2, 1.5 * scale, bias=True),
            cell(N_OUT, 4, dtype),
        )

    return recorded(make, raster(N_IN), "1", "3", **options)


with recorder("norse", "norse", "torch", "nirtorch") as own:

    @own.network("norse_lifbox_default", "MLP, LIFBoxCell() as it comes", dt=DT, reset="zero")
    def _() -> Any:
        return mlp(lambda _n, _s, _d: norse.LIFBoxCell(), 2.5)

    @own.network("norse_lifbox", "MLP, LIFBoxCell", dt=DT, reset="zero")
    def _() -> Any:
        return mlp(box)

    @own.network("norse_lifbox_subtract", "MLP, LIFBoxCell, reset_subtract", dt=DT, reset="subtract")
    def _() -> Any:
        return mlp(lambda n, s, d: box(n, s, d, reset_method=reset_subtract))

    @own.network("norse_lifbox_leak", "MLP, LIFBoxCell, v_leak 0.2, v_reset -0.1", dt=DT, reset="zero", v_reset=-0.1)
    def _() -> Any:
        def cell(n: int, seed: int, dtype: torch.dtype) -> Any:
            one = torch.ones(n, dtype=dtype)
            return box(n, seed, dtype, v_leak=0.2 * one, v_reset=-0.1 * one)

        return mlp(cell)

    @own.network("norse_lif_default", "MLP, LIFCell() as it comes", dt=DT, reset="zero")
    def _() -> Any:
        return mlp(lambda _n, _s, _d: norse.LIFCell(), 1.3)

    @own.network("norse_lif", "MLP, LIFCell", dt=DT, reset="zero")
    def _() -> Any:
        return mlp(lif)

    @own.network("norse_lif_export_dt", "MLP, LIFCell, to_nir(dt=1)", dt=DT, exported_dt=1, reset="zero")
    def _() -> Any:
        return mlp(lif, dt=1.0)

    @own.network("norse_iaf_default", "MLP, IAFCell() as it comes", dt=DT, reset="zero")
    def _() -> Any:
        return mlp(lambda _n, _s, _d: norse.IAFCell(), 0.5)

    @own.network("norse_iaf", "MLP, IAFCell", dt=DT, reset="zero")
    def _() -> Any:
        return mlp(lambda n, _s, d: norse.IAFCell(IAFParameters(v_th=torch.ones(n, dtype=d))), 0.5)

    def conv(*, bias: bool, dense: bool) -> Any:
        def make(dtype: torch.dtype) -> Any:
            convolution = torch.nn.Conv2d(2, 3, 3, bias=bias)
            convolution.weight.data = torch.tensor(weights(3, 2, 3, 3, seed=5, scale=0.4))
            if bias:
                convolution.bias.data = torch.tensor(weights(3, seed=6, scale=0.1))
            rest = (torch.nn.Flatten(), linear(108, N_OUT, 8, 0.4), box(N_OUT, 9, dtype)) if dense else ()
            return norse.SequentialState(convolution, box((3, 6, 6), 7, dtype), *rest)

        return recorded(make, raster(*IMAGE, seed=1), "1", *(("4",) if dense else ()))

    @own.network("norse_conv", "conv, LIFBoxCell", dt=DT, reset="zero")
    def _() -> Any:
        return conv(bias=True, dense=False)

    @own.network("norse_conv_flatten", "conv, LIFBoxCell, Flatten, Linear", dt=DT, reset="zero")
    def _() -> Any:
        return conv(bias=True, dense=True)

    @own.network("norse_conv_no_bias", "conv without bias, LIFBoxCell", dt=DT, reset="zero")
    def _() -> Any:
        return conv(bias=False, dense=False)

    @own.network("norse_recurrent", "recurrent, LIFRecurrentCell", dt=DT, reset="zero")
    def _() -> Any:
        def make(dtype: torch.dtype) -> Any:
            cell = norse.LIFRecurrentCell(N_IN, N_HIDDEN, dt=DT)
            cell.input_weights.data = torch.tensor(weights(N_HIDDEN, N_IN, seed=1))
            cell.recurrent_weights.data = torch.tensor(weights(N_HIDDEN, N_HIDDEN, seed=12, scale=0.3))
            return norse.SequentialState(cell, linear(N_HIDDEN, N_OUT, 2, 0.6), box(N_OUT, 4, dtype))

        return recorded(make, raster(N_IN), "0", "2")

    @own.network("norse_readout", "MLP, LIFBoxCell, read out by LIBoxCell", dt=DT, reset="zero")
    def _() -> Any:
        def make(dtype: torch.dtype) -> Any:
            one = torch.ones(N_OUT, dtype=dtype)
            own = norse.LIBoxParameters(tau_mem_inv=inverse(N_OUT, 5e-3, 2e-2, 4, dtype), v_leak=0 * one)
            last = norse.LIBoxCell(own, dt=DT)
            return norse.SequentialState(
                linear(N_IN, N_HIDDEN, 1, 0.5), box(N_HIDDEN, 3, dtype), linear(N_HIDDEN, N_OUT, 2, 0.6), last
            )

        return recorded(make, raster(N_IN), "1")

    @own.network("norse_time", "MLP, LIF over all steps in one call", dt=DT, reset="zero")
    def _() -> Any:
        def make(_dtype: torch.dtype) -> Any:
            return norse.SequentialState(linear(N_IN, N_HIDDEN, 1, 0.8), norse.LIF(dt=DT))

        return recorded(make, raster(N_IN), "1")
