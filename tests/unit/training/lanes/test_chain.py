"""A chain that trains: moves between steps, and equal bits on every machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from sparse_chains import chain, descend, masked, part, recurrent

from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.engines.lanes.wiring import Geometry

WIDE = "import sys; sys.path.insert(0, sys.argv[1]); from test_chain import digest; print(digest())"


def trained(ways=(), threads=1, steps=3):
    """A small chain after some steps, and the spikes of its last pass."""
    rng = np.random.default_rng(0)
    parts = [part(rng, (50, 60), 0.3), recurrent(rng, (40, 50), 0.3), part(rng, (7, 40), 0.5)]
    own = chain(parts, ways=ways, threads=threads, delays=[0, 2, 0])
    for _ in range(steps):
        fired = own.forward(Spikes.of_raster(rng.random((20, 60, 17)) < 0.2))
        own.backward(rng.normal(size=(20, 7, 17)).astype(np.float32))
        descend(own)
    return own, fired


def digest(ways=(), threads=1):
    """A hash over weights, gradients and spikes of a small training."""
    own, fired = trained(ways, threads)
    found = hashlib.sha256(fired.bits.tobytes())
    for layer, gradients in zip(own.layers, own.gradients):
        found.update(layer.synapses.latent.tobytes() + gradients.weights.tobytes())
        if layer.recurrent is not None:
            found.update(layer.recurrent.latent.tobytes() + gradients.recurrent.tobytes())
    return found.hexdigest()


def test_training_is_the_same_whichever_ways_and_threads_compute_it():
    first = digest()
    for ways in (["masks", "gather", "tiles"], ["events", "blocks", "dense"], ["rows", "blocks"]):
        assert digest(ways) == digest(ways, threads=3) == first


@pytest.mark.parametrize(("batch", "n_steps"), [(64, 7), (130, 3), (128, 1), (40, 5)])
def test_layers_before_a_convolution_learn_the_same_by_rows_and_by_tiles(batch, n_steps):
    """With whole tiles of samples in a step, and with tiles of several steps."""
    rng = np.random.default_rng(0)
    geometry = Geometry(taken=(3, 6, 6), kernels=(5, 3, 3, 3), stride=(2, 2), padding=(1, 1))
    first, second = part(rng, (108, 30), 0.4), part(rng, geometry, 0.6)
    values, gradient = rng.random((batch, 30, n_steps)) < 0.2, rng.normal(size=(batch, 45, n_steps)).astype(np.float32)
    errors = []
    for ways in (["rows"], ["tiles"]):
        own = chain([first, second], ways=ways)
        own.forward(Spikes.of_raster(values))
        own.backward(gradient)
        errors.append([layer.errors.tobytes() for layer in own.layers] + [own.gradients[0].weights.tobytes()])
    assert errors[0] == errors[1]
    assert own.layers[0].errors.any()


@pytest.mark.parametrize("ways", [["blocks", "dense"], ["blocks", "tiles"], ["gather", "dense"]])
def test_a_convolution_before_a_matrix_learns_the_same_whichever_ways_compute_it(ways):
    """So many lanes that the dense way makes gradients in parts that are no whole channels."""
    rng = np.random.default_rng(0)
    geometry = Geometry(taken=(2, 7, 7), kernels=(20, 2, 3, 3))
    parts = [part(rng, geometry, 0.8), part(rng, (12, 500), 0.3)]
    values, gradient = rng.random((64, 98, 60)) < 0.2, rng.normal(size=(64, 12, 60)).astype(np.float32)
    found = []
    for own in (chain(parts, ways=["gather", "rows"]), chain(parts, ways=ways), chain(parts, ways=ways, threads=3)):
        own.forward(Spikes.of_raster(values))
        own.backward(gradient)
        found.append(own.gradients[0].weights.tobytes())
    assert own.layers[1].synapses.rows_at_once(own.layers[1].given.span) % 25
    assert found[0] == found[1] == found[2]


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="instruction sets of x86-64")
@pytest.mark.slow
def test_training_is_the_same_on_every_instruction_set():
    """Kernels are compiled for AVX2 in another process (about 20 s)."""
    from building import ROOT

    environment = {**os.environ, "NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", WIDE, os.path.dirname(__file__)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest()


@pytest.mark.train
def test_rewired_layers_compute_what_masked_dense_ones_do():
    torch = pytest.importorskip("torch", reason="needs torch (extra train)")
    from dataclasses import replace

    own, _ = trained()
    rng = np.random.default_rng(2)
    parts = []
    for layer, (targets, sources) in zip(own.layers, ((50, 60), (40, 50), (7, 40))):
        synapses = layer.synapses
        position = synapses.wiring.position
        synapses.move(position[::3], np.setdiff1d(np.arange(targets * sources), position)[::11])
        synapses.latent[:] += rng.normal(size=synapses.n_stored).astype(np.float32) * 0.3
        synapses.quantise()
        mask, dense = np.zeros(targets * sources, bool), np.zeros(targets * sources, np.float32)
        mask[synapses.wiring.position], dense[synapses.wiring.position] = True, synapses.latent
        parts.append(
            replace(
                part(rng, (targets, sources), 1.0), mask=mask.reshape(targets, -1), latent=dense.reshape(targets, -1)
            )
        )
    again = own.layers[1].recurrent
    dense = np.zeros(1600, np.float32)
    dense[again.wiring.position] = again.latent
    parts[1] = replace(parts[1], again=replace(part(rng, (40, 40), 1.0), latent=dense.reshape(40, 40)))
    values = rng.random((20, 60, 17)) < 0.2
    fired = own.forward(Spikes.of_raster(values))
    theirs, _, _ = masked(parts, torch.from_numpy(values.astype(np.float32)), [0, 2, 0])
    assert np.array_equal(fired.to_raster(), theirs[-1].detach().numpy())
    assert fired.n_spikes


def test_memory_of_a_pass_is_in_proportion_to_connections_and_lanes():
    """A dense float matrix of the layer alone would take 32 MB."""
    import tracemalloc

    rng = np.random.default_rng(6)
    from sparse_chains import NEURON

    from neurodeploy.training.lanes.chain import Chain
    from neurodeploy.training.lanes.growth import draw_absent
    from neurodeploy.training.lanes.layer import Layer
    from neurodeploy.training.lanes.synapses import Synapses

    tracemalloc.start()
    shapes = ((2000, 4000), (10, 2000))
    layers = []
    for shape in shapes:
        position = np.sort(draw_absent(shape[0] * shape[1], np.zeros(0, np.int64), 8000, rng))
        layers.append(Layer(Synapses(shape, position, rng.normal(size=8000).astype(np.float32)), NEURON))
    own = Chain(layers)
    for _ in range(2):
        own.forward(Spikes.of_raster(rng.random((16, 4000, 4)) < 0.05))
        own.backward(np.ones((16, 10, 4), np.float32))
        descend(own)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6
