"""From a neuron model to the record of its Lava process: name, arguments, and variables to overwrite.

Lava computes some variables from floats (a period, a threshold times a power of two). They are overwritten with the exact
integers, one number or one for each neuron, before the process is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import LavaError
from neurodeploy.network import (
    THRESHOLD_MAX,
    Cuba,
    Delta,
    LeakyIntegrator,
    NeuronModel,
    Population,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    SpikingModel,
)

Record: TypeAlias = dict[str, Any]

_BIAS_MANTISSA_BITS = 15
_DECAY_BITS = 12


def process_record(population: Population) -> Record:
    """Return a dict with ``process``, ``arguments`` and ``variables`` of the Lava process for a population.

    Raises:
        LavaError: for a bias that Lava cannot hold, and for a reset by subtraction.
    """
    return PROCESSES[type(population.model)](population)


def _lif_process(population: Population) -> Record:
    model = population.model
    assert isinstance(model, Cuba | LeakyIntegrator)
    if isinstance(model, Cuba) and model.reset == "subtract":
        raise LavaError(
            f"lava: population '{population.name}' subtracts its threshold when it fires, and Lava has no process that "
            "does: its LIF resets to 0. Use engine reference or event"
        )
    return {"process": "LIF", "arguments": _lif(population, model), "variables": {}}


def _resonator(population: Population) -> Record:
    model = population.model
    assert isinstance(model, ResonateAndFire)
    arguments: Record = {"period": 8.0, "alpha": 0.0, "state_exp": model.state_exponent, "decay_bits": _DECAY_BITS}
    variables = {
        "sin_decay": flat(model.sin_decay), "cos_decay": flat(model.cos_decay), "vth": flat(model.threshold)
    }  # fmt: skip
    return {"process": "RF_IZ" if model.reset else "RF", "arguments": arguments, "variables": variables}


def _sigma(_: Population) -> Record:
    return {"process": "Sigma", "arguments": {}, "variables": {}}


def _delta(population: Population) -> Record:
    model = population.model
    assert isinstance(model, Delta)
    arguments = {**_encoding(model), "spike_exp": model.spike_exponent}
    return {"process": "Delta", "arguments": arguments, "variables": {"vth": flat(model.threshold)}}


def _sigma_delta(population: Population) -> Record:
    model = population.model
    assert isinstance(model, SigmaDelta)
    arguments = {**_encoding(model), "act_mode": "UNIT" if model.activation == "none" else "RELU"}
    variables = {"vth": flat(model.threshold), "bias": flat(model.bias)}
    return {"process": "SigmaDelta", "arguments": arguments, "variables": variables}


def _encoding(model: Delta | SigmaDelta) -> Record:
    return {"vth": 0, "cum_error": model.cumulative, "state_exp": model.state_exponent}


PROCESSES: Mapping[type[NeuronModel], Callable[[Population], Record]] = {
    Cuba: _lif_process,
    LeakyIntegrator: _lif_process,
    ResonateAndFire: _resonator,
    Sigma: _sigma,
    Delta: _delta,
    SigmaDelta: _sigma_delta,
}
"""The function that makes the Lava process record of each neuron kind."""


def flat(value: int | NDArray[np.int32]) -> Any:
    """Return a parameter in the form for Lava's processes with one axis."""
    return value if isinstance(value, int) else np.ravel(value)


def _lif(population: Population, model: SpikingModel) -> Record:
    mantissa, exponent = _bias(population, model)
    return {
        "du": flat(model.current_decay) - 1,
        "dv": flat(model.voltage_decay),
        # a voltage is below 2**23 = (THRESHOLD_MAX + 1) << 6, so this threshold is never passed
        "vth": flat(model.threshold) if isinstance(model, Cuba) else THRESHOLD_MAX + 1,
        "bias_mant": mantissa,
        "bias_exp": exponent,
    }


def _bias(population: Population, model: SpikingModel) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Split a bias in state units into a 16-bit mantissa and an exponent for each neuron."""
    bias = np.broadcast_to(np.ravel(model.bias), (population.size,)).astype(np.int32)
    magnitude = np.where(bias < 0, -bias - 1, bias)
    bits = np.where(magnitude > 0, np.floor(np.log2(np.maximum(magnitude, 1))) + 1, 0).astype(np.int32)
    exponent = np.maximum(bits - _BIAS_MANTISSA_BITS, 0).astype(np.int32)
    mantissa = bias >> exponent
    lost = np.flatnonzero(mantissa << exponent != bias)
    if lost.size:
        neuron = int(lost[0])
        raise LavaError(
            f"lava: population '{population.name}': bias {bias[neuron]} of neuron {neuron} needs more than 16 bits; Lava "
            f"takes a 16-bit mantissa and an exponent. Round it to a multiple of {1 << int(exponent[neuron])}"
        )
    return mantissa, exponent
