"""Lava processes that read input events and write spikes and states, from inside the child process that holds them.

Lava's own sink keeps a raster that ``Var.get`` then moves element by element, at 16 microseconds each; writing files avoids
that. Lava executes every Python file next to a user's process class, so this folder holds no other file.
Steps are counted from 0 over all samples; Lava's own ``time_step`` counts from 1.
"""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class EventSource(AbstractProcess):
    """Process that sends ``payload[i]`` on channel ``neuron[i]`` in step ``time[i]``; ``time`` rises, below ``n_steps``."""

    def __init__(self, *, size, time, neuron, payload, n_steps):
        super().__init__(size=size, time=time, neuron=neuron, payload=payload, n_steps=n_steps)
        self.s_out = OutPort(shape=(size,))


@implements(proc=EventSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyEventSource(PyLoihiProcessModel):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.size, self.neuron, self.payload = (proc_params[name] for name in ("size", "neuron", "payload"))
        self.first = np.searchsorted(proc_params["time"], np.arange(proc_params["n_steps"] + 1))

    def run_spk(self):
        spikes = np.zeros(self.size, np.int32)
        now = slice(self.first[self.time_step - 1], self.first[self.time_step])
        spikes[self.neuron[now]] = self.payload[now]
        self.s_out.send(spikes)


class EventSink(AbstractProcess):
    """Process that appends three int64 (step, neuron, payload) to the file ``path`` for each message that is not 0."""

    def __init__(self, *, size, path, n_steps):
        super().__init__(size=size, path=path, n_steps=n_steps)
        self.a_in = InPort(shape=(size,))


@implements(proc=EventSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyEventSink(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.n_steps = proc_params["n_steps"]
        self.file = open(proc_params["path"], "wb")  # noqa: SIM115 (open as long as the process)

    def run_spk(self):
        messages = self.a_in.recv()
        neuron = np.flatnonzero(messages)
        if neuron.size:
            rows = np.empty((neuron.size, 3), np.int64)
            rows[:, 0], rows[:, 1], rows[:, 2] = self.time_step - 1, neuron, messages[neuron]
            self.file.write(rows.tobytes())
        if self.time_step == self.n_steps:
            self.file.flush()


class StateRecorder(AbstractProcess):
    """Process that appends a variable of another process, as int32, to the file ``path`` after each step."""

    def __init__(self, *, var, path, n_steps):
        super().__init__(path=path, n_steps=n_steps)
        self.state = RefPort(shape=var.shape)


@implements(proc=StateRecorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStateRecorder(PyLoihiProcessModel):
    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.n_steps = proc_params["n_steps"]
        self.file = open(proc_params["path"], "wb")  # noqa: SIM115 (open as long as the process)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.file.write(np.asarray(self.state.read()).astype(np.int32).tobytes())
        if self.time_step == self.n_steps:
            self.file.flush()
