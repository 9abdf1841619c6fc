"""What ``predict_seconds`` says before a run, against the clock."""

import time

import numpy as np
import pytest
from building import chain, samples

from neurodeploy.engines.lava import find_lava_python, predict_seconds, run_lava
from neurodeploy.errors import LavaError
from neurodeploy.network import Conv, Cuba, Dense, Network

pytestmark = [pytest.mark.lava, pytest.mark.slow]


def layered(shape: tuple[int, ...], *synapses: Dense | Conv) -> Network:
    model = Cuba(current_decay=1024, voltage_decay=128, threshold=80)
    named = {f"layer{i}": s for i, s in enumerate(synapses, start=1)}
    return chain(named, model, shape=shape, wire="into {target}")


def weights(*shape: int) -> np.ndarray:
    return (2 * np.random.default_rng(0).integers(-20, 24, shape)).astype(np.int16)


CASES = {
    "dense layers": (layered((784,), Dense(weights=weights(256, 784)), Dense(weights=weights(10, 256))), 20),
    "eight small layers": (layered((4,), *[Dense(weights=weights(4, 4))] * 8), 5),
    "convolution": (
        layered((8, 24, 24), Conv(weights=weights(16, 8, 3, 3), input_shape=(8, 24, 24), padding=(1, 1))),
        5,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_prediction_is_of_the_right_size(name):
    """Wide bounds: a machine may be several times faster than the one of the constants, or be busy."""
    try:
        find_lava_python()
    except LavaError as error:
        pytest.skip(str(error))
    network, n_samples = CASES[name]
    raster = np.random.default_rng(1).random((n_samples, 100, network.inputs[0].size)) < 0.05
    given = samples(raster)
    predicted = predict_seconds(network, given, 100 + network.depth)
    start = time.monotonic()
    run_lava(network, given)
    taken = time.monotonic() - start
    assert predicted / 4 < taken < 8 * predicted, f"{name}: predicted {predicted:.1f} s, took {taken:.1f} s"
