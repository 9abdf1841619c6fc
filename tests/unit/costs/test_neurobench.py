"""NeuroBench metrics: by hand, and equal to the package ``neurobench`` on the same network and data.

The package is asked where this Python has it, or where ``NEURODEPLOY_ORACLE_PYTHON`` names a Python that has it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from building import ROOT, chain, connect, samples

from neurodeploy.costs.neurobench import neurobench_metrics
from neurodeploy.engines.reference import run_reference
from neurodeploy.engines.table import simulate
from neurodeploy.errors import EstimateError
from neurodeploy.network import Conv, Cuba, Delta, Dense, Network, Pool, Sigma, Sparse
from neurodeploy.network.activity import Activity

MODEL = Cuba(current_decay=1024, voltage_decay=512, threshold=60)
ORACLE = ROOT / "tests" / "oracle_neurobench.py"


def matrix(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> np.ndarray:
    return ((rng.random(shape) < density) * rng.integers(-40, 80, shape)).astype(np.int16)


def layered(
    synapses: list[Dense | Conv], shapes: list[tuple[int, ...]], back: dict[int, np.ndarray], graded: bool = False
) -> Network:
    loops = [connect(f"p{i + 1}", f"p{i + 1}", weights, f"r{i}") for i, weights in back.items()]
    return chain(synapses, MODEL, shape=shapes[0], extra=loops, graded=graded)


def mlp() -> Network:
    rng = np.random.default_rng(0)
    sizes = [(30,), (25,), (20,), (6,)]
    return layered([Dense(weights=matrix(rng, (b[0], a[0]), 0.3)) for a, b in zip(sizes, sizes[1:])], sizes, {})


def recurrent() -> Network:
    rng = np.random.default_rng(1)
    weights = [Dense(weights=matrix(rng, (24, 16), 0.4)), Dense(weights=matrix(rng, (5, 24), 0.5))]
    return layered(weights, [(16,), (24,), (5,)], {0: matrix(rng, (24, 24), 0.2)})


def convolutional() -> Network:
    rng = np.random.default_rng(2)
    conv = Conv(weights=matrix(rng, (4, 2, 3, 3), 0.6), input_shape=(2, 6, 6), padding=(1, 1))
    return layered([conv, Dense(weights=matrix(rng, (5, 144), 0.2))], [(2, 6, 6), (4, 6, 6), (5,)], {})


def graded() -> Network:
    """The same layers behind an input with payloads."""
    return replace(mlp(), inputs=layered([Dense(weights=np.ones((1, 30), int))], [(30,)], {}, graded=True).inputs)


def raster_of(network: Network, seed: int = 5, n_samples: int = 4, n_steps: int = 9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    raster = rng.random((n_samples, n_steps, network.inputs[0].size)) < 0.3
    return raster * rng.integers(-4, 5, raster.shape) if network.inputs[0].graded else raster


def run(network: Network, raster: np.ndarray) -> Activity:
    given = samples(raster, graded=network.inputs[0].graded)
    return run_reference(network, given, probe=[(p.name, "v") for p in network.populations])


def oracle_python() -> str:
    named = os.environ.get("NEURODEPLOY_ORACLE_PYTHON")
    if named:
        return named
    if all(importlib.util.find_spec(name) for name in ("neurobench", "snntorch", "torch")):
        return sys.executable
    pytest.skip("needs neurobench (extra oracle), here or in the Python that NEURODEPLOY_ORACLE_PYTHON names")


@pytest.mark.slow
@pytest.mark.parametrize("make", [mlp, recurrent, convolutional, graded])
def test_metrics_equal_those_of_the_neurobench_package(make, tmp_path: Path) -> None:
    python, network = oracle_python(), make()
    raster = raster_of(network)
    activity = run(network, raster)
    forward = [p for p in network.projections if p.source != p.target]
    arrays = {f"w{i}": p.synapses.weights for i, p in enumerate(forward)}
    arrays.update({p.name: p.synapses.weights for p in network.projections if p.source == p.target})
    np.savez(
        tmp_path / "net.npz",
        raster=raster.reshape(*raster.shape[:2], *network.inputs[0].shape),
        kinds=np.array([p.synapses.kind for p in forward]),
        model=[MODEL.current_decay, MODEL.voltage_decay, MODEL.threshold],
        **arrays,
    )
    done = subprocess.run(
        [python, ORACLE, tmp_path / "net.npz"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = neurobench_metrics(network, activity, bytes_per_weight=8)  # its torch model computes in float64
    last = network.populations[-1]
    inside = activity.spikes[last.name].step < last.first_step + raster.shape[1]
    assert theirs == {
        "spikes_out": int(np.count_nonzero(inside)),
        "footprint": ours.footprint_bytes,
        "parameters": ours.parameters,
        "connection_sparsity": ours.connection_sparsity,
        "activation_sparsity": ours.activation_sparsity,
        "membrane_updates": ours.membrane_updates,
        "Effective_MACs": ours.effective_macs,
        "Effective_ACs": ours.effective_acs,
        "Dense": ours.dense_ops,
    }
    assert 0 < ours.activation_sparsity < 0.99


def by_hand() -> tuple[Network, Activity]:
    """2 inputs, 2 neurons; input 0 at steps 0 and 1, input 1 at step 2. Neuron 0 gets 61 (fires), neuron 1 gets 1."""
    weights = Dense(weights=np.array([[61, 0], [1, 1]], np.int16))
    network = layered([weights], [(2,), (2,)], {})
    raster = np.array([[[1, 0], [1, 0], [0, 1]]])
    return network, run(network, raster)


class TestByHand:
    def test_static_metrics(self) -> None:
        metrics = neurobench_metrics(*by_hand())
        assert (metrics.parameters, metrics.footprint_bytes, metrics.connection_sparsity) == (4, 16, 0.25)

    def test_effective_operations_are_spikes_times_weights_that_are_not_zero(self) -> None:
        metrics = neurobench_metrics(*by_hand())
        assert (metrics.effective_acs, metrics.effective_macs, metrics.dense_ops) == (2 + 2 + 1, 0, 3 * 4)

    def test_reads_because_of_a_payload_are_multiply_accumulates(self) -> None:
        network = layered([Dense(weights=[[61, 0], [1, 1]]), Dense(weights=[[5, 0]])], [(2,), (2,)], {}, graded=True)
        activity = run(network, np.array([[[3, 0], [-2, 0], [0, 1]]]))
        assert [len(activity.spikes[name]) for name in ("in", "p1")] == [3, 1]
        metrics = neurobench_metrics(network, activity)
        # the payloads read 2, 2 and 1 weights; neuron 0 of p1 fires once, at 3 * 61, and reads one
        assert (metrics.effective_macs, metrics.effective_acs, metrics.dense_ops) == (5, 1, 3 * (4 + 2))

    def test_wires_to_an_encoder_are_no_layer_and_its_neurons_have_no_voltage(self) -> None:
        one_each = Sparse(n_target=2, start=[0, 1, 2], target=[0, 1], weights=[1, 1])
        models = {"encoder": Delta(threshold=1), "out": Sigma()}
        network = chain({"encoder": one_each, "out": [[2, 0]]}, models, graded=True)
        activity = simulate(network, samples([[[3, 5], [3, 5]]], graded=True))
        metrics = neurobench_metrics(network, activity)
        assert (metrics.parameters, metrics.footprint_bytes, metrics.connection_sparsity) == (2, 8, 0.5)
        assert (metrics.effective_acs, metrics.effective_macs, metrics.dense_ops) == (0, 1, 2 * 2)
        assert metrics.membrane_updates is None
        assert metrics.activation_sparsity == (6 - 4) / 6  # the encoder sends once, the sum is sent twice

    def test_activation_sparsity_leaves_out_the_lag_of_the_chip(self) -> None:
        network, activity = by_hand()
        metrics = neurobench_metrics(network, activity)
        assert metrics.n_steps == 3
        fired = int(np.count_nonzero(activity.spikes["p1"].step <= 3))
        assert metrics.activation_sparsity == (6 - fired) / 6

    def test_membrane_updates_need_the_voltage(self) -> None:
        network, activity = by_hand()
        bare = Activity(engine="x", network=network.fingerprint, n_steps=activity.n_steps, spikes=activity.spikes)
        assert neurobench_metrics(network, bare).membrane_updates is None

    def test_a_delayed_spike_counts_in_the_step_in_which_it_arrives(self) -> None:
        network, _ = by_hand()
        late = replace(network, projections=[replace(network.projections[0], delay=np.array([2, 0], np.int32))])
        raster = np.array([[[1, 0], [1, 0], [0, 1]]])
        # input 0 arrives two steps later: its spike of step 0 in the third step, that of step 1 after the end
        assert neurobench_metrics(late, run(late, raster)).effective_acs == 2 + 1

    def test_a_pool_has_no_weights_and_no_operations(self) -> None:
        pool = Pool(input_shape=(1, 2, 2), kernel=(2, 2), stride=(2, 2))
        network = layered([pool], [(1, 2, 2), (1, 1, 1)], {})
        metrics = neurobench_metrics(network, run(network, np.ones((1, 2, 4), bool)))
        assert (metrics.parameters, metrics.effective_acs, metrics.dense_ops) == (0, 0, 0)

    def test_a_run_that_is_too_short_is_refused(self) -> None:
        network, activity = by_hand()
        with pytest.raises(EstimateError, match="4 steps of a sample need a run of 5, this one has 4"):
            neurobench_metrics(network, activity, n_steps=4)

    def test_an_activity_of_another_network_is_refused(self) -> None:
        _, activity = by_hand()
        with pytest.raises(EstimateError, match="of another network"):
            neurobench_metrics(mlp(), activity)
