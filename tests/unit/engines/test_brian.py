"""The engine ``brian2-loihi``: what it cannot express is refused before anything starts; what it runs equals the reference.

Runs need a Python with brian2-loihi, which ``NEURODEPLOY_BRIAN_PYTHON`` names, and are skipped where there is none.
"""

from __future__ import annotations

import os
import stat
import sys

import numpy as np
import pytest
from building import chain, connect, neuron, nonzero, one_layer, spikes

from neurodeploy.commands.doctor import doctor
from neurodeploy.commands.verify import verify
from neurodeploy.engines.brian import find_brian_python, run_brian
from neurodeploy.engines.brian.plan import make_plan
from neurodeploy.engines.reference import run_reference
from neurodeploy.engines.table import simulate
from neurodeploy.errors import MissingPackageError, SimulationError, UsageError
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    Output,
    Pool,
    Population,
)
from neurodeploy.network.activity import Samples

LIF = Cuba(current_decay=4096, voltage_decay=512, threshold=100)
VARIABLE = "NEURODEPLOY_BRIAN_PYTHON"


@pytest.fixture
def brian() -> str:
    """A Python with brian2-loihi."""
    try:
        return find_brian_python()
    except MissingPackageError as error:
        pytest.skip(str(error))


def drawn(rng: np.random.Generator) -> tuple[Network, Samples]:
    """A network of all that brian2-loihi expresses: an image, a convolution, a pool, dense and sparse loops, all delays."""
    conv = Conv(weights=rng.integers(-99, 100, (3, 2, 2, 3)), input_shape=(2, 5, 6), padding=(1, 1), stride=(1, 2))
    pool = Pool(input_shape=conv.output_shape, kernel=(2, 2), stride=(2, 2), weight=int(rng.integers(20, 256)))
    n = {"dots": 7, "a": int(np.prod(conv.output_shape)), "b": int(np.prod(pool.output_shape)), "c": 6}

    def matrix(source: str, target: str, low: int = -256, high: int = 256) -> np.ndarray:
        shape = (n[target], n[source])
        return rng.integers(low, high, shape) * (rng.random(shape) < 0.5)

    def model() -> Cuba:
        decays = [int(rng.choice([0, 1, 4096, rng.integers(4097)])) for _ in range(2)]
        decays = [max(decays[0], 64), decays[1]]  # an input for ever would leave 24 bits
        return Cuba(current_decay=decays[0], voltage_decay=decays[1], threshold=int(rng.integers(0, 600)))

    shapes = {"a": conv.output_shape, "b": pool.output_shape, "c": (6,)}
    network = Network(
        inputs=(Input(name="image", shape=(2, 5, 6)), Input(name="dots", shape=(7,))),
        populations=tuple(
            Population(name=name, shape=shape, model=model(), first_step=i)
            for i, (name, shape) in enumerate(shapes.items())
        ),
        projections=(
            connect("image", "a", conv, "conv", delay=rng.integers(0, 3, 60)),
            connect("a", "b", pool, "pool"),
            connect("b", "c", Dense(weights=matrix("b", "c")), "bc", delay=rng.integers(0, 4, (6, n["b"]))),
            connect("dots", "b", nonzero(matrix("dots", "b")), "db", weight_exponent=1, delay=int(rng.integers(0, 5))),
            connect("c", "a", nonzero(matrix("c", "a")), "ca", delay=1),
            connect("c", "c", Dense(weights=4 * matrix("c", "c", -64, 64)), "cc", weight_exponent=-2),
        ),
        outputs=(Output(name="out", population="c"),),
    )
    inputs = {"image": (3, 12, 60), "dots": (3, 12, 7)}
    events = {k: spikes(s, 0.3, seed=int(rng.integers(2**31)), source=k).inputs[k] for k, s in inputs.items()}
    return network, Samples(inputs=events)


def assert_equals_the_reference(network: Network, samples: Samples) -> int:
    """Compare every spike and every state; return the number of spikes of neurons."""
    probe = [(p.name, state) for p in network.populations for state in ("u", "v")]
    ours, definition = (run(network, samples, probe=probe, n_steps=20) for run in (run_brian, run_reference))
    assert not any(definition.overflow.values())
    for name, events in definition.spikes.items():
        np.testing.assert_array_equal(ours.spikes[name].to_dense(), events.to_dense(), err_msg=name)
    for key, states in definition.states.items():
        np.testing.assert_array_equal(ours.states[key], states, err_msg=str(key))
    return sum(len(definition.spikes[p.name]) for p in network.populations)


@pytest.mark.usefixtures("brian")
def test_spikes_and_states_equal_the_reference():
    assert assert_equals_the_reference(*drawn(np.random.default_rng(0))) > 100


@pytest.mark.slow
@pytest.mark.usefixtures("brian")
@pytest.mark.parametrize("seed", range(1, 21))
def test_spikes_and_states_of_drawn_networks_equal_the_reference(seed):
    assert_equals_the_reference(*drawn(np.random.default_rng(seed)))


@pytest.mark.usefixtures("brian")
def test_verify_compares_it_with_the_reference():
    proof = verify(
        chain([[[60, 90], [120, -30]], [[100, 80]]], LIF), spikes((2, 9, 2), 0.6), engines=["reference", "brian2-loihi"]
    )
    assert (proof["equal"], proof["spikes_different"]) == (True, 0)
    assert proof["spikes_compared"] > proof["input_spikes_compared"] > 0


@pytest.mark.usefixtures("brian")
def test_a_state_beyond_24_bits_is_refused():
    network = one_layer([[255]], Cuba(current_decay=0, voltage_decay=4096, threshold=2**17 - 1), weight_exponent=7)
    with pytest.raises(SimulationError, match="a state of population 'out' leaves 24 bits"):
        run_brian(network, spikes((1, 30, 1), 1.0))


LATE = one_layer([[2]], LIF, first_step=3)
REFUSED = {
    "graded messages": (one_layer([[2]], LIF, graded=True), "'in' sends graded messages"),
    "integrators": (one_layer([[2]], LeakyIntegrator(current_decay=1, voltage_decay=1)), "of kind leaky_integrator"),
    "subtraction": (one_layer([[2]], neuron(reset="subtract")), "subtracts its threshold"),
    "bias": (one_layer([[2]], neuron(bias=3)), "'out' has a bias"),
    "thresholds": (one_layer([[2], [2]], neuron(threshold=[5, 6])), "a threshold for each neuron"),
    "late start": (LATE, "starts in step 3, and spikes can arrive in step 1"),
    "rounded sum": (one_layer([[3]], LIF, weight_exponent=-1), r"weight exponent -1.*multiples of 2 give"),
    "clipped weight": (one_layer([[-256]], LIF, weight_exponent=7), "leaves 21 bits with its exponent 7"),
}


@pytest.mark.parametrize(("network", "why"), REFUSED.values(), ids=REFUSED)
def test_what_it_cannot_express_is_refused_before_anything_starts(network, why, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/nonexistent/python")
    samples = spikes((1, 4, network.sizes["in"]), 0.5)
    if network.graded:
        events = samples.inputs["in"].to_dense()
        samples = Samples(inputs={"in": type(samples.inputs["in"]).from_dense(events, graded=True)})
    with pytest.raises(SimulationError, match=rf"brian2-loihi: .*{why}.*use engine reference, event or lava"):
        simulate(network, samples, engine="brian2-loihi")


def test_a_start_before_spikes_can_arrive_changes_nothing():
    assert make_plan(chain([[[2]], [[2]]], LIF))["populations"]["p2"]["threshold"] == 100


def test_synapses_are_split_by_sign_and_delay():
    """Of both signs brian2-loihi would keep only even weights."""
    parts = make_plan(one_layer([[3, -5, 7]], LIF, delay=np.array([0, 0, 2])))["projections"]
    found = sorted((p["delay"], p["source"].tolist(), p["weights"].tolist()) for p in parts)
    assert found == [(0, [0], [3]), (0, [1], [-5]), (2, [2], [7])]


def test_overflow_choices_are_not_offered():
    with pytest.raises(UsageError, match="engine 'brian2-loihi' refuses every overflow"):
        simulate(one_layer([[2]], LIF), spikes((1, 4, 1)), engine="brian2-loihi", on_overflow="wrap")


class TestWorker:
    """A Python that is no such Python gives one message with what to type."""

    def test_without_one_the_message_says_how_to_make_it(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.setitem(sys.modules, "brian2_loihi", None)
        with pytest.raises(MissingPackageError, match=rf"pip install brian2-loihi .*set {VARIABLE} to its python"):
            run_brian(one_layer([[2]], LIF), spikes((1, 4, 1)))

    def test_a_program_that_is_none_is_named(self, monkeypatch):
        monkeypatch.setenv(VARIABLE, "/nonexistent/python")
        with pytest.raises(MissingPackageError, match="is '/nonexistent/python', which is no program"):
            run_brian(one_layer([[2]], LIF), spikes((1, 4, 1)))

    def test_a_python_without_the_package_is_named(self, monkeypatch):
        monkeypatch.setenv(VARIABLE, sys.executable)
        if "brian2_loihi" in sys.modules:
            pytest.skip("this Python has brian2-loihi")
        with pytest.raises(MissingPackageError, match="cannot run the worker: ModuleNotFoundError"):
            run_brian(one_layer([[2]], LIF), spikes((1, 4, 1)))

    def test_a_worker_that_dies_leaves_its_last_words(self, program, monkeypatch):
        monkeypatch.setenv(VARIABLE, program("echo out of luck; exit 3"))
        with pytest.raises(SimulationError, match="ended with 3 and no result; its last words: 'out of luck'"):
            run_brian(one_layer([[2]], LIF), spikes((1, 4, 1)))

    def test_a_worker_that_hangs_is_ended(self, program, monkeypatch):
        monkeypatch.setenv(VARIABLE, program("exec sleep 60"))
        with pytest.raises(SimulationError, match=r"past its time limit of 0.2 s .*Raise --timeout"):
            run_brian(one_layer([[2]], LIF), spikes((1, 4, 1)), timeout_s=0.2)

    def test_doctor_tells_a_broken_one(self, program, monkeypatch):
        monkeypatch.setenv(VARIABLE, program("exit 1"))
        found = next(c for c in doctor()["checks"] if c["what"] == "brian2-loihi worker")
        assert found["state"] == "broken"
        monkeypatch.delenv(VARIABLE)
        monkeypatch.setitem(sys.modules, "brian2_loihi", None)
        found = next(c for c in doctor()["checks"] if c["what"] == "brian2-loihi worker")
        assert (found["state"], "pip install brian2-loihi" in found["note"]) == ("missing", True)


@pytest.fixture
def program(tmp_path):
    """Make a shell script that stands in for a Python."""

    def make(text: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return os.fspath(path)

    return make
