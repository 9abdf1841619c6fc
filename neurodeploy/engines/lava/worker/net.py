"""The network of Lava processes of a job, with recorders that write files, and the reset between samples."""

import os

import numpy as np
from build import buffers, connect, runtime_neurons, synapses
from recorders import EventSink, EventSource, StateRecorder


class Net:
    """The Lava processes of a job; ``any`` is one of them, and running it runs all."""

    def __init__(self, job):
        self.job = job
        self.records = {p["name"]: p for p in job["populations"]}
        self.neurons = {name: runtime_neurons(record) for name, record in self.records.items()}
        self.synapses = [synapses(record) for record in job["projections"]]
        self.any = next(iter(self.neurons.values()))
        self.forgets = all("reset_interval" in p for p in job["populations"])

    def run_sample(self, run_steps):
        """Run one sample from state 0 and leave all states at 0."""
        done = 0
        for step in [*self._held_until(), self.job["n_steps"]]:
            self.any.run(run_steps(num_steps=step - done))
            done = step
            for name in self._starting(step):
                self._start(name)
        if not self.forgets:
            self._reset()

    def _held_until(self):
        return sorted({p["first_step"] for p in self._held() if p["first_step"] < self.job["n_steps"]})

    def _held(self):
        return [p for p in self.records.values() if "held" in p]

    def _starting(self, step):
        return [p["name"] for p in self._held() if p["first_step"] == step < self.job["n_steps"]]

    def _start(self, name):
        """Release a population that was held silent, from state 0."""
        process, record = self.neurons[name], self.records[name]
        _clear(process, record)
        for variable in record["held"]:
            _fill(getattr(process, variable), (record["arguments"] | record["variables"])[variable])

    def _reset(self):
        for name, process in self.neurons.items():
            for variable, value in self.records[name].get("held", {}).items():
                _fill(getattr(process, variable), value)
            _clear(process, self.records[name])
        for process in self.synapses:
            _fill(buffers(process), 0)


def build_network(job, folder):
    """Return the connected network of a job, with sources and recorders that use files in ``folder``."""
    net = Net(job)
    n_steps = job["n_steps"] * job["n_samples"]
    spikes = {name: process.s_out for name, process in net.neurons.items()}
    for record in job["inputs"]:
        own = {name: record[name] for name in ("size", "time", "neuron", "payload")}
        source = EventSource(**own, n_steps=n_steps)
        spikes[record["name"]] = source.s_out
    for record, process in zip(job["projections"], net.synapses):
        connect(record, spikes[record["source"]], process, getattr(net.neurons[record["target"]], record["port"]))
    for i, (name, process) in enumerate(net.neurons.items()):
        path = os.path.join(folder, f"spikes{i}.bin")
        process.s_out.connect(EventSink(size=net.records[name]["size"], path=path, n_steps=n_steps).a_in)
    for i, (name, state) in enumerate(job["probe"]):
        variable = getattr(net.neurons[name], state)
        recorder = StateRecorder(var=variable, path=os.path.join(folder, f"state{i}.bin"), n_steps=n_steps)
        recorder.state.connect_var(variable)
    return net


def _clear(process, record):
    for state in record["states"]:
        _fill(getattr(process, state), 0)


def _fill(variable, value):
    variable.set(np.broadcast_to(np.asarray(value, np.int32), variable.shape).copy())
