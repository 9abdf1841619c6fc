"""Networks of Spyx, written by its own ``to_nir``; run with Spyx' Python: ``export_spyx.py FOLDER``.

They run in float64 where JAX allows it. Spyx fires from the state before a step, so each of its layers sends its spikes
one step late; they are recorded as Spyx gives them.
"""

from __future__ import annotations

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_X64"] = "1"

from typing import Any

import jax.numpy as jnp
import numpy as np
import spyx.nn as snn
from flax import nnx
from recording import IMAGE, N_HIDDEN, N_IN, N_OUT, raster, recorder, spread, weights
from spyx.nir import to_nir

RNGS = nnx.Rngs(0)


def linear(n_in: int, n_out: int, seed: int, scale: float, bias: bool = False) -> Any:
    layer = nnx.Linear(n_in, n_out, use_bias=bias, rngs=RNGS)
    layer.kernel[...] = jnp.array(weights(n_out, n_in, seed=seed, scale=scale).T)
    if bias:
        layer.bias[...] = jnp.array(weights(n_out, seed=seed + 50, scale=0.1))
    return layer


def with_decays(layer: Any, seed: int) -> Any:
    """Give each neuron its own decays, as after training."""
    for name, low, high, shift in (("beta", 0.7, 0.97, 0), ("alpha", 0.3, 0.7, 20)):
        if hasattr(layer, name):
            values = getattr(layer, name)
            values[...] = jnp.array(spread(int(np.prod(values.shape)), low, high, seed + shift).reshape(values.shape))
    return layer


def cell(kind: str, shape: int | tuple[int, ...], seed: int) -> Any:
    shape = (shape,) if isinstance(shape, int) else shape
    layer = with_decays(getattr(snn, kind)(shape, rngs=RNGS), seed)
    if hasattr(layer, "recurrent_w"):
        layer.recurrent_w[...] = jnp.array(weights(N_HIDDEN, N_HIDDEN, seed=12, scale=0.3, mean=-0.2).T)
    return layer


def recorded(
    net: Any, x: Any, shape: tuple[int, ...], n_out: tuple[int, ...], names: dict[str, int], **options: Any
) -> Any:
    """Export the network and run it step by step; ``names`` are places in it by name of the node."""
    graph = to_nir(net, {"input": np.array(shape)}, {"output": np.array(n_out)}, **options)
    state = [s if s is None else s.astype(jnp.float64) for s in net.initial_state(len(x))]
    steps: dict[str, list[Any]] = {name: [] for name in names}
    for t in range(x.shape[1]):
        flow = jnp.array(x[:, t], jnp.float64)
        if flow.ndim == 4:
            flow = jnp.moveaxis(flow, 1, -1)  # Spyx has channels last
        for place, layer in enumerate(net.layers):
            flow, state[place] = (layer(flow), None) if state[place] is None else layer(flow, state[place])
            for name in (name for name, own in names.items() if own == place):
                first = jnp.moveaxis(flow, -1, 1) if flow.ndim == 4 else flow
                steps[name].append(np.asarray(first))
    return graph, x, {name: np.stack(values, axis=1) for name, values in steps.items()}


def mlp(kind: str, scale: float = 1.0, last: str | None = None, **options: Any) -> Any:
    net = snn.Sequential(
        linear(N_IN, N_HIDDEN, 1, 0.5 * scale),
        cell(kind, N_HIDDEN, 3),
        linear(N_HIDDEN, N_OUT, 2, 1.0 * scale, bias=True),
        cell(last or kind, N_OUT, 4),
    )
    names = (
        {"layer_1": 1} if last == "LI" else {"layer_1": 1, "layer_3_threshold" if kind == "PSU_LIF" else "layer_3": 3}
    )
    if kind == "PSU_LIF":
        names = {"layer_1_threshold": 1, "layer_3_threshold": 3}
    return recorded(net, raster(N_IN), (N_IN,), (N_OUT,), names, **options)


with recorder("spyx", "spyx", "jax", "flax") as own:

    @own.network("spyx_if", "MLP, IF", dt=1, reset="subtract", lag=1)
    def _() -> Any:
        return mlp("IF", 0.7)

    @own.network("spyx_lif", "MLP, LIF", dt=1, reset="subtract", reset_delay=True, lag=1)
    def _() -> Any:
        return mlp("LIF")

    @own.network("spyx_lif_dt", "MLP, LIF, to_nir(dt=1e-3)", dt=1e-3, reset="subtract", reset_delay=True, lag=1)
    def _() -> Any:
        return mlp("LIF", dt=1e-3)

    @own.network("spyx_lif_scalar", "MLP, LIF(beta=0.9)", dt=1, reset="subtract", reset_delay=True, lag=1)
    def _() -> Any:
        net = snn.Sequential(
            linear(N_IN, N_HIDDEN, 1, 0.5),
            snn.LIF((N_HIDDEN,), beta=0.9, rngs=RNGS),
            linear(N_HIDDEN, N_OUT, 2, 1.0, bias=True),
            snn.LIF((N_OUT,), beta=0.9, rngs=RNGS),
        )
        return recorded(net, raster(N_IN), (N_IN,), (N_OUT,), {"layer_1": 1, "layer_3": 3})

    @own.network(
        "spyx_lif_clamped", "MLP, LIF with beta beyond 0 and 1", dt=1, reset="subtract", reset_delay=True, lag=1
    )
    def _() -> Any:
        net = snn.Sequential(linear(N_IN, N_HIDDEN, 1, 0.5), cell("LIF", N_HIDDEN, 3))
        net.layers[1].beta[...] = net.layers[1].beta[...].at[:3].set(jnp.array([1.25, -0.25, 1.0]))
        return recorded(net, raster(N_IN), (N_IN,), (N_HIDDEN,), {"layer_1": 1})

    @own.network("spyx_cuba", "MLP, CuBaLIF", dt=1, reset="subtract", lag=1)
    def _() -> Any:
        return mlp("CuBaLIF")

    @own.network("spyx_psu", "MLP, PSU_LIF", dt=1, reset="none", lag=0)
    def _() -> Any:
        return mlp("PSU_LIF")

    @own.network("spyx_readout", "MLP, LIF, read out by LI", dt=1, reset="subtract", reset_delay=True, lag=1)
    def _() -> Any:
        return mlp("LIF", last="LI")

    def recurrent(kind: str) -> Any:
        net = snn.Sequential(
            linear(N_IN, N_HIDDEN, 1, 0.5),
            cell(kind, N_HIDDEN, 3),
            linear(N_HIDDEN, N_OUT, 2, 1.0),
            cell("LIF", N_OUT, 4),
        )
        return recorded(net, raster(N_IN), (N_IN,), (N_OUT,), {"layer_1.layer_1.lif": 1, "layer_3": 3})

    @own.network("spyx_rif", "recurrent, RIF", dt=1, reset="subtract", reset_delay=True, lag=1)
    def _() -> Any:
        return recurrent("RIF")

    @own.network("spyx_rlif", "recurrent, RLIF", dt=1, reset="subtract", reset_delay=True, lag=1)
    def _() -> Any:
        return recurrent("RLIF")

    @own.network("spyx_rcuba", "recurrent, RCuBaLIF", dt=1, reset="subtract", lag=1)
    def _() -> Any:
        return recurrent("RCuBaLIF")

    def convolution(padding: str) -> Any:
        layer = nnx.Conv(2, 3, (3, 3), padding=padding, rngs=RNGS)
        layer.kernel[...] = jnp.array(weights(3, 2, 3, 3, seed=5, scale=0.4).transpose(2, 3, 1, 0))
        layer.bias[...] = jnp.array(weights(3, seed=6, scale=0.1))
        return layer

    @own.network("spyx_conv", "conv, LIF", dt=1, reset="subtract", reset_delay=True, lag=1)
    def _() -> Any:
        net = snn.Sequential(convolution("VALID"), cell("LIF", (6, 6, 3), 7))
        return recorded(net, raster(*IMAGE, seed=1), IMAGE, (3, 6, 6), {"layer_1": 1})

    @own.network(
        "spyx_conv_pool", "conv, LIF, SumPool, Flatten, Linear", dt=1, reset="subtract", reset_delay=True, lag=1
    )
    def _() -> Any:
        net = snn.Sequential(
            convolution("SAME"),
            cell("LIF", (8, 8, 3), 7),
            snn.SumPool((2, 2), (2, 2), "VALID"),
            snn.Flatten(),
            linear(48, N_OUT, 8, 0.3),
            cell("LIF", N_OUT, 9),
        )
        return recorded(net, raster(*IMAGE, seed=1), IMAGE, (N_OUT,), {"layer_1": 1, "layer_5": 5})

    @own.network("spyx_conv_cuba", "conv, CuBaLIF", dt=1, reset="subtract", lag=1)
    def _() -> Any:
        net = snn.Sequential(convolution("VALID"), cell("CuBaLIF", (6, 6, 3), 7))
        return recorded(net, raster(*IMAGE, seed=1), IMAGE, (3, 6, 6), {"layer_1": 1})
