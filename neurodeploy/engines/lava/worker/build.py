"""Lava processes made from the records of a job. Imports only numpy, scipy and Lava's core.

Jobs are made by ``neurodeploy.engines.lava.plan``, which has checked every value.
"""

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

NEURONS = {
    "LIF": LIF,
    "LIFReset": LIFReset,
    "RF": RF,
    "RF_IZ": RF_IZ,
    "Sigma": Sigma,
    "Delta": Delta,
    "SigmaDelta": SigmaDelta,
}
SYNAPSES = {"Dense": Dense, "Sparse": Sparse, "Conv": Conv, "DelayDense": DelayDense, "DelaySparse": DelaySparse}


def neurons(record):
    """Return the process of one population record, with the variables that Lava would compute from floats overwritten."""
    kind = NEURONS[record["process"]]
    named = {} if kind is Sigma or kind is Delta else {"name": record["name"]}
    arguments = {name: _argument(name, value) for name, value in record["arguments"].items()}
    process = kind(shape=(record["size"],), **named, **arguments)
    for name, value in record["variables"].items():
        variable = getattr(process, name)
        variable.init = np.asarray(value, np.int32)
        variable.shape = np.broadcast_shapes(variable.shape, variable.init.shape)
    return process


def runtime_neurons(record):
    """Return the process of a population for the runtime: with a reset, held silent until its first step, or plain."""
    if "reset_interval" in record:
        reset = {name: record[name] for name in ("reset_interval", "reset_offset")}
        return neurons(record | {"process": "LIFReset", "arguments": record["arguments"] | reset})
    held = record.get("held", {})
    changed = {key: _changed(record[key], held) for key in ("arguments", "variables")}
    return neurons(record | changed)


def _changed(values, held):
    return {name: np.full(np.shape(value), held[name]) if name in held else value for name, value in values.items()}


def synapses(record):
    """Return the process of one projection record."""
    arguments = {name: _argument(name, value) for name, value in record["arguments"].items()}
    return SYNAPSES[record["process"]](name=record["name"], **arguments)


def buffers(process):
    """Return the variables that hold the sums that a synapse process sends in the next step."""
    return process.a_buf if isinstance(process, Conv) else process.a_buff


def connect(record, spikes, process, target):
    """Connect a source's spike port, a synapse process, and the target neurons; a Conv has the axes x, y, channel."""
    if isinstance(process, Conv):
        channels = record["source_shape"]
        spikes.reshape(tuple(channels)).transpose((2, 1, 0)).connect(process.s_in)
        process.a_out.transpose((2, 1, 0)).reshape(target.shape).connect(target)
    else:
        spikes.connect(process.s_in)
        process.a_out.connect(target)


def _argument(name, value):
    if name == "sign_mode":
        return SignMode[value]
    if name == "act_mode":
        return ActivationMode[value]
    if isinstance(value, dict):
        parts = tuple(np.asarray(value[part]) for part in ("data", "indices", "indptr"))
        return csr_matrix(parts, shape=tuple(value["shape"]))
    return tuple(value) if isinstance(value, list) else value
