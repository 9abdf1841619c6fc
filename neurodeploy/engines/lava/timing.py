"""Prediction of the time of a run on Lava: a model of Lava's runtime with constants measured on a 2-core machine.

Every step passes messages between all processes. In addition each synapse model computes, in parallel as far as there are
cores. The constants were fitted to single models (``lava-nc`` 0.10.0, one thread, numpy 1.26) at 5 % activity.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from neurodeploy.engines.lava.plan import forgets_by_itself
from neurodeploy.network import Conv, Dense, Network, Pool, Projection, n_nonzero, synapse_shape
from neurodeploy.network.activity import Samples

_START_S = 0.9
"""Time for starting the worker, importing Lava, compiling and stopping."""
_START_PER_PROCESS_S = 0.05
_STEP_PER_PROCESS_S = 1.3e-4
"""Time for passing messages, per Lava process and step."""
_PER_VALUE_S = 1.6e-5
"""Time for setting one element of a variable to 0 between samples."""
_NEURON_S = 3e-8
_DENSE_S = 1e-10
"""Time of a Dense process per matrix entry (5 % of the entries are read in a step) and step."""
_SPARSE_S = (9e-5, 1.5e-9)
"""Time of a Sparse process: per step, and per stored synapse and step."""
_DELAY_DENSE_S = 5e-9
"""Time of a DelayDense process per matrix entry and delay slot: Lava builds the delayed matrix anew in each step."""
_DELAY_SPARSE_S = (5e-4, 4e-8)
"""Time of a DelaySparse process: per delay slot, and per stored synapse."""
_CONV_S = (5e-6, 2.5e-9)
"""Time of a Conv process: per pair of channels, and per multiplication; Lava convolves all pixels, spiking or not."""


def predict_seconds(network: Network, samples: Samples, n_steps: int) -> float:
    """Return the predicted seconds of ``run_lava`` for the samples with ``n_steps`` steps each.

    Measured times were within a factor of 2 on a quiet machine; on a loaded machine they grow with its load.
    """
    n_processes = len(network.inputs) + len(network.projections) + 2 * len(network.populations)
    work = [_synapses_s(p) for p in network.projections] + [_NEURON_S * p.size for p in network.populations]
    per_step = n_processes * _STEP_PER_PROCESS_S + _in_parallel(work)
    per_sample = n_steps * per_step + (0.0 if forgets_by_itself(network, n_steps) else _reset_s(network))
    return _START_S + n_processes * _START_PER_PROCESS_S + samples.n_samples * per_sample


def _in_parallel(work: Iterable[float]) -> float:
    parts = list(work)
    return max(sum(parts) / (os.cpu_count() or 1), *parts)


def _reset_s(network: Network) -> float:
    states = sum(len(p.model.states) * p.size for p in network.populations)
    buffers = sum(synapse_shape(p.synapses)[0] * (1 + p.max_delay) for p in network.projections)
    return (states + buffers) * _PER_VALUE_S


def _synapses_s(projection: Projection) -> float:
    """Return the seconds of computation for the synapse model of a projection in one step."""
    synapses, slots = projection.synapses, 1 + projection.max_delay
    conv = synapses.as_conv() if isinstance(synapses, Pool) else synapses
    if isinstance(conv, Dense):
        return conv.weights.size * (_DELAY_DENSE_S * slots if slots > 1 else _DENSE_S)
    if isinstance(conv, Conv):
        if slots == 1 and projection.weight_exponent >= 0:
            pairs = conv.weights.shape[0] * conv.weights.shape[1]
            multiplications = float(np.prod(conv.input_shape[1:]) * np.prod(conv.weights.shape[2:]))
            return pairs * (_CONV_S[0] + _CONV_S[1] * multiplications)
        stored = float(np.count_nonzero(conv.weights) * np.prod(conv.output_shape[1:]))
    else:
        stored = float(n_nonzero(projection))
    per_step, per_synapse = _DELAY_SPARSE_S if slots > 1 else _SPARSE_S
    return per_step * slots + per_synapse * stored
