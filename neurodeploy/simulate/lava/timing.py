"""How long a run on Lava takes, from what was measured on one core of a 2-core machine (times vary by half)."""

from __future__ import annotations

from neurodeploy.activity import Samples
from neurodeploy.network import Network, synapse_shape

_START_S = 0.9
"""Starting the worker, importing Lava, compiling and stopping."""
_START_PER_PROCESS_S = 0.03
_STEP_PER_PROCESS_S = 1e-4
"""Passing messages: per Lava process and step."""
_PER_VALUE_S = 1.6e-5
"""Setting one element of a variable to 0 between samples."""


def predict_seconds(network: Network, samples: Samples, n_steps: int) -> float:
    """Return the seconds that ``run_lava`` will take for the samples at ``n_steps`` steps each."""
    n_processes = len(network.inputs) + len(network.projections) + 2 * len(network.populations)
    states = 2 * sum(p.size for p in network.populations)
    buffers = sum(synapse_shape(p.synapses)[0] * (1 + p.max_delay) for p in network.projections)
    per_sample = n_steps * n_processes * _STEP_PER_PROCESS_S + (states + buffers) * _PER_VALUE_S
    return _START_S + n_processes * _START_PER_PROCESS_S + samples.n_samples * per_sample


def time_limit(predicted_s: float) -> float:
    """Return the default time limit in seconds for a run predicted to take ``predicted_s``: a loaded machine is slow."""
    return 60.0 + 20.0 * predicted_s
