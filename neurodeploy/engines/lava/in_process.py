"""The engine ``lava-in-process``: Lava's process models, stepped in this process with stub ports and without its runtime.

The arithmetic is Lava's code; it runs about ten times faster than with the runtime, and without its hangs. Three things are
not Lava's: the order of the models within a step, the sum over the synapses of a population, and the reset between samples.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import Progress, check_overflow, check_run, input_events
from neurodeploy.engines.dynamics import Ints, Overflow, States, step
from neurodeploy.engines.lava.neurons import Record
from neurodeploy.engines.lava.plan import make_job
from neurodeploy.errors import LavaError
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events, Samples

_MODELS = {
    "LIF": ("lava.proc.lif.models", "PyLifModelBitAcc"),
    "RF": ("lava.proc.rf.models", "PyRFModelFixed"),
    "RF_IZ": ("lava.proc.rf_iz.models", "PyRF_IZModelFixed"),
    "Sigma": ("lava.proc.sdn.models", "PySigmaModelFixed"),
    "Delta": ("lava.proc.sdn.models", "PyDeltaModelFixed"),
    "SigmaDelta": ("lava.proc.sdn.models", "PySigmaDeltaModelFixed"),
    "Dense": ("lava.proc.dense.models", "PyDenseModelBitAcc"),
    "DelayDense": ("lava.proc.dense.models", "PyDelayDenseModelBitAcc"),
    "Sparse": ("lava.proc.sparse.models", "PySparseModelBitAcc"),
    "DelaySparse": ("lava.proc.sparse.models", "PyDelaySparseModelBitAcc"),
    "Conv": ("lava.proc.conv.models", "PyConvModelFixed"),
}


def run_lava_in_process(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    on_overflow: Overflow = "report",
    progress: Progress | None = None,
) -> Activity:
    """Run the network on samples with Lava's process models and return the activity; see ``run_lava``.

    Lava itself does not notice overflows: they are counted from Lava's states before each step and the sums that Lava's
    synapses sent.

    The first call imports Lava, which sets multiprocessing's start method of this process to fork.

    Raises:
        SimulationError: if the samples or probes do not fit the network.
        LavaError: if this Python has no Lava, or Lava cannot express the network or the choice for overflows.
    """
    steps = check_run(network, samples, n_steps, probe, on_overflow=on_overflow)
    if on_overflow in ("wrap", "clip"):
        raise LavaError(
            f"lava: on_overflow '{on_overflow}' is not what Lava computes: its current wraps once, its voltage is clipped; "
            "use engine reference or event"
        )
    models = _Models(make_job(network, samples, steps))
    inputs = input_events(network, samples, steps)
    log = _Log(network, (samples.n_samples, steps), probe)
    for sample in range(samples.n_samples):
        models.reset()
        rasters = {name: events.take(sample, sample + 1).to_dense()[0] for name, events in inputs.items()}
        for t in range(steps):
            log.step(models, (sample, t), {name: raster[t] for name, raster in rasters.items()})
        if progress is not None:
            progress(sample + 1, samples.n_samples)
    if on_overflow == "error":
        check_overflow("lava-in-process", log.overflow)
    sent = {p.name: Events.from_dense(log.sent[p.name], graded=p.model.graded) for p in network.populations}
    return Activity(
        engine="lava-in-process",
        network=network.fingerprint,
        n_steps=steps,
        spikes=inputs | sent,
        states=log.states,
        overflow=log.overflow,
    )


class _Log:
    """The record of a run: messages and probed states by sample and step, and the overflows of each population."""

    def __init__(self, network: Network, span: tuple[int, int], probe: Sequence[tuple[str, str]]) -> None:
        self.network = network
        self.sent = {p.name: np.zeros((*span, p.size), np.int32) for p in network.populations}
        self.states = {(name, which): np.zeros((*span, network.sizes[name]), np.int32) for name, which in probe}
        self.overflow = dict.fromkeys(self.sent, 0)

    def step(self, models: _Models, at: tuple[int, int], inputs: dict[str, Ints]) -> None:
        """Run one step, ``at`` (sample, step), and record its messages, states and overflows."""
        before = {name: models.states(name) for name in self.sent}
        messages, wrapped = models.step(at[1], inputs)
        for name, row in messages.items():
            self.sent[name][at] = row
            self.overflow[name] += self._overflows(models, name, before[name], wrapped[name])
        for (name, which), states in self.states.items():
            if at[1] >= self.network.population(name).first_step:
                states[at] = getattr(models.neurons[name], which)

    def _overflows(self, models: _Models, name: str, before: States, wrapped: NDArray[np.bool_]) -> int:
        """Return how many neurons left 24 bits in this step, from Lava's states before it and its synapses' sums."""
        real, imag = models.arriving(name)
        done = step(self.network.population(name).model, before, real, imag)
        return int(np.count_nonzero(done.overflow | wrapped))


class _Port:
    """A stub for a port of Lava: holds the value that was sent, or the value to receive."""

    def __init__(self) -> None:
        self.value: NDArray[np.int32] = np.zeros(0, np.int32)

    def send(self, value: NDArray[Any]) -> None:
        self.value = np.asarray(value).astype(np.int32)

    def recv(self) -> NDArray[np.int32]:
        return self.value


class _Models:
    """The models of one network, connected by plain arrays."""

    def __init__(self, job: Record) -> None:
        build = _lava("neurodeploy.engines.lava.worker.build")
        self.populations: list[Record] = job["populations"]
        self.projections: list[Record] = job["projections"]
        self.neurons = {p["name"]: _model(build.neurons(p), p["process"]) for p in self.populations}
        self.synapses = [_model(build.synapses(p), p["process"]) for p in self.projections]
        for record in self.populations:
            for port in (*_ports(record), "s_out"):
                setattr(self.neurons[record["name"]], port, _Port())
        for record, model in zip(self.projections, self.synapses):
            model.s_in, model.a_out = _Port(), _Port()
            if record["process"] == "Conv":
                _watch_wrapping(model)
            elif record["process"] == "DelayDense":
                _watch_sums(record["name"], model)

    def reset(self) -> None:
        """Set every state to 0."""
        for record in self.populations:
            for state in record["states"]:
                setattr(self.neurons[record["name"]], state, np.zeros(record["size"], np.int32))
        for record, model in zip(self.projections, self.synapses):
            buffer = _buffer_name(record)
            setattr(model, buffer, np.zeros_like(getattr(model, buffer)))
            model.wrapped = np.zeros(0, np.bool_)

    def states(self, name: str) -> States:
        """Return copies of the states of a population."""
        record = next(p for p in self.populations if p["name"] == name)
        return tuple(np.array(getattr(self.neurons[name], state), np.int32) for state in record["states"])

    def arriving(self, name: str) -> tuple[Ints, Ints]:
        """Return the real and the imaginary input of a population in the last step."""
        real, imag = (getattr(self.neurons[name], port, None) for port in ("a_real_in", "a_imag_in"))
        if real is None or imag is None:
            only: Ints = self.neurons[name].a_in.value
            return only, np.zeros_like(only)
        return real.value, imag.value

    def step(self, step: int, inputs: dict[str, Ints]) -> tuple[dict[str, Ints], dict[str, NDArray[np.bool_]]]:
        """Run one step; return by population the messages that were sent, and which sums of convolutions had wrapped.

        In its step a synapse model sends the sum that it stored in the step before. The neurons need that sum before their
        messages can reach the synapses, so it is read first.
        """
        arriving = [_kept(record, model) for record, model in zip(self.projections, self.synapses)]
        wrapped = self._wrapped()
        sent = {}
        for record in self.populations:
            if step >= record["first_step"]:
                sent[record["name"]] = self._run_neurons(record, arriving)
        messages = {p["name"]: np.zeros(p["size"], np.int32) for p in self.populations} | inputs | sent
        for record, model, kept in zip(self.projections, self.synapses, arriving):
            model.s_in.value = _turned(record, messages[record["source"]])
            _run_synapses(record, model)
            assert np.array_equal(_turned_back(record, model.a_out.value), kept), "a synapse sent something else"
        return sent, wrapped

    def _run_neurons(self, record: Record, arriving: list[Ints]) -> Ints:
        model = self.neurons[record["name"]]
        for port in _ports(record):
            own = [a for p, a in zip(self.projections, arriving) if (p["target"], p["port"]) == (record["name"], port)]
            getattr(model, port).value = np.sum([np.zeros(record["size"], np.int32), *own], axis=0, dtype=np.int32)
        model.run_spk()
        sent: Ints = model.s_out.value
        return sent

    def _wrapped(self) -> dict[str, NDArray[np.bool_]]:
        found = {p["name"]: np.zeros(p["size"], np.bool_) for p in self.populations}
        for record, model in zip(self.projections, self.synapses):
            if model.wrapped.size:
                found[record["target"]] |= _turned_back(record, model.wrapped) != 0
        return found


def _run_synapses(record: Record, model: Any) -> None:
    """Run a synapse model; refuses sums beyond 32 bits, which Lava's Conv, summing in floats, leaves undefined."""
    try:
        with np.errstate(invalid="raise"):
            model.run_spk()
    except FloatingPointError as error:
        raise LavaError(
            f"lava: the sums of convolution '{record['name']}' leave 32 bits, beyond which Lava's are undefined; lower the "
            "messages or the weights, or use engine reference or event"
        ) from error


def _ports(record: Record) -> tuple[str, ...]:
    return ("a_real_in", "a_imag_in") if record["process"].startswith("RF") else ("a_in",)


def _watch_wrapping(model: Any) -> None:
    """Make a Conv model record which sums it wraps to 24 bits (it sends these sums in the next step)."""
    wrap = model.clamp_precision

    def noted(sums: NDArray[Any]) -> NDArray[Any]:
        kept: NDArray[Any] = wrap(sums)
        model.wrapped = kept != sums
        return kept

    model.clamp_precision = noted


def _watch_sums(name: str, model: Any) -> None:
    """Make a model of dense delays refuse sums beyond 32 bits.

    It adds its products in 64 bits, every other model in 32: a negative exponent then shifts bits into the sum that the
    definition no longer has. They lie above 24 bits, so spikes and states stay the same, but not what counts as an overflow.
    """
    add = model.calc_act

    def checked(messages: NDArray[Any]) -> NDArray[Any]:
        sums: NDArray[Any] = add(messages)
        if not np.array_equal(sums, sums.astype(np.int32)):
            raise LavaError(
                f"lava: the sums of projection '{name}' leave 32 bits, where Lava's delayed synapses add in 64 and all "
                "others wrap; lower the messages or the weights, or use engine reference or event"
            )
        return sums

    model.calc_act = checked


@contextmanager
def _fork_is_chosen() -> Iterator[None]:
    """Let Lava, which chooses fork as it is imported, choose it where it is the start method already.

    Python refuses any second choice, and many packages make the first without a word, by making a lock.
    """
    choose = multiprocessing.set_start_method

    def choose_once(method: str | None, force: bool = False) -> None:
        if method != multiprocessing.get_start_method(allow_none=True):
            choose(method, force)

    multiprocessing.set_start_method = choose_once
    try:
        yield
    finally:
        multiprocessing.set_start_method = choose


def _lava(module: str) -> Any:
    try:
        with _fork_is_chosen():
            return import_module(module)
    except ModuleNotFoundError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise LavaError(
            f"lava: engine 'lava-in-process' needs Lava in this Python {version} ({error}); use engine 'lava' with "
            "NEURODEPLOY_LAVA_PYTHON, or a Python 3.10 with lava-nc"
        ) from error
    except RuntimeError as error:  # Lava chooses multiprocessing's start method as it is imported
        raise LavaError(
            f"lava: Lava cannot be imported once a start method of multiprocessing is chosen ({error}); use engine 'lava', "
            "which runs it in a process of its own"
        ) from error


def _model(process: Any, kind: str) -> Any:
    """Return Lava's model of a process with its variables, made by Lava's builder."""
    builders, utils = _lava("lava.magma.compiler.builders.py_builder"), _lava("lava.magma.compiler.utils")
    module, name = _MODELS[kind]
    builder = builders.PyProcessBuilder(getattr(_lava(module), name), model_id=0, proc_params=process.proc_params)
    builder.set_variables([utils.VarInitializer(v.name, v.shape, v.init, v.id) for v in process.vars.members])
    return builder.build()


def _buffer_name(record: Record) -> str:
    return "a_buf" if record["process"] == "Conv" else "a_buff"


def _kept(record: Record, model: Any) -> NDArray[np.int32]:
    """Return the sum that a synapse model sends in this step."""
    kept = getattr(model, _buffer_name(record))
    return _turned_back(record, (kept[:, 0] if record["process"].startswith("Delay") else kept).astype(np.int32))


def _turned(record: Record, spikes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return spikes in the shape that the synapse process expects; a Conv has the axes x, y, channel."""
    return spikes.reshape(record["source_shape"]).transpose(2, 1, 0) if record["process"] == "Conv" else spikes


def _turned_back(record: Record, sums: NDArray[np.int32]) -> NDArray[np.int32]:
    return sums.transpose(2, 1, 0).ravel() if record["process"] == "Conv" else sums
