"""What ``predict_seconds`` says before a run, against the clock."""

import time

import numpy as np
import pytest

from neurodeploy.engines.lava import find_lava_python, predict_seconds, run_lava
from neurodeploy.errors import LavaError
from neurodeploy.network import Conv, Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Events, Samples

pytestmark = [pytest.mark.lava, pytest.mark.slow]


def chain(shape: tuple[int, ...], *synapses: Dense | Conv) -> Network:
    names = ["in", *(f"layer{i + 1}" for i in range(len(synapses)))]
    shapes = [s.output_shape if isinstance(s, Conv) else (len(s.weights),) for s in synapses]
    model = Cuba(current_decay=1024, voltage_decay=128, threshold=80)
    return Network(
        inputs=(Input(name="in", shape=shape),),
        populations=tuple(
            Population(name=n, shape=s, model=model, first_step=i + 1)
            for i, (n, s) in enumerate(zip(names[1:], shapes))
        ),
        projections=tuple(
            Projection(name=f"into {b}", source=a, target=b, synapses=s) for a, b, s in zip(names, names[1:], synapses)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def weights(*shape: int) -> np.ndarray:
    return (2 * np.random.default_rng(0).integers(-20, 24, shape)).astype(np.int16)


CASES = {
    "dense layers": (chain((784,), Dense(weights=weights(256, 784)), Dense(weights=weights(10, 256))), 20),
    "eight small layers": (chain((4,), *[Dense(weights=weights(4, 4))] * 8), 5),
    "convolution": (chain((8, 24, 24), Conv(weights=weights(16, 8, 3, 3), input_shape=(8, 24, 24), padding=(1, 1))), 5),
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
    given = Samples(inputs={"in": Events.from_dense(raster)})
    predicted = predict_seconds(network, given, 100 + network.depth)
    start = time.monotonic()
    run_lava(network, given)
    taken = time.monotonic() - start
    assert predicted / 4 < taken < 8 * predicted, f"{name}: predicted {predicted:.1f} s, took {taken:.1f} s"
