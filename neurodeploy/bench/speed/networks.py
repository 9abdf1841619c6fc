"""Networks and inputs of the bench: random even weights, and thresholds at which every layer fires at about one rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.event.run import run_event
from neurodeploy.errors import UsageError
from neurodeploy.network import (
    THRESHOLD_MAX,
    Conv,
    Cuba,
    Dense,
    Input,
    Network,
    Output,
    Pool,
    Population,
    Projection,
    Synapses,
)
from neurodeploy.network.activity import Events, Samples

N_STEPS = 100
"""Steps of a sample."""
CONV_NET = "conv-34x34x2"
MODEL = Cuba(current_decay=1024, voltage_decay=128, threshold=1)


def make_network(
    name: str, density: float, rate: float, rng: np.random.Generator | None = None, *, model: Cuba = MODEL
) -> Network:
    """Return a network by name: sizes of layers (``784-256-10``), or ``conv-34x34x2``.

    Weights are even, as on the chip; ``density`` is the share of them that is not zero. Neurons have the decays of
    ``model``, and thresholds at which each layer fires at about ``rate``.

    Raises:
        UsageError: for any other name.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    shapes, synapses = _conv_net(rng) if name == CONV_NET else _perceptron(name, density, rng)
    thresholds: list[int] = []
    few = random_samples(_chain(shapes, synapses[:1], [1]), 2, rate, np.random.default_rng(1))
    for i in range(len(synapses)):
        thresholds.append(_threshold(shapes, synapses[: i + 1], thresholds, rate, few, model))
    return _chain(shapes, synapses, thresholds, model)


def random_samples(network: Network, n: int, rate: float, rng: np.random.Generator) -> Samples:
    """Return ``n`` samples of ``N_STEPS`` steps with independent spikes at a rate per channel and step."""
    inputs = {i.name: Events.from_dense(rng.random((n, N_STEPS, i.size)) < rate) for i in network.inputs}
    return Samples(inputs=inputs, name=f"random spikes, rate {rate}")


def _perceptron(name: str, density: float, rng: np.random.Generator) -> tuple[list[tuple[int, ...]], list[Synapses]]:
    try:
        sizes = [int(size) for size in name.split("-")]
    except ValueError:
        sizes = []
    if len(sizes) < 2 or min(sizes) < 1:
        raise UsageError(f"bench: there is no network '{name}'; give sizes such as 784-256-10, or conv-34x34x2")
    synapses: list[Synapses] = []
    for n_source, n_target in zip(sizes, sizes[1:]):
        kept = rng.random((n_target, n_source)) < density
        synapses.append(Dense(weights=2 * rng.integers(-64, 65, kept.shape, np.int16) * kept))
    return [(size,) for size in sizes], synapses


def _conv_net(rng: np.random.Generator) -> tuple[list[tuple[int, ...]], list[Synapses]]:
    """Return shapes and synapses of 34x34x2 - conv 3x3x16 - pool 2 - conv 3x3x32 - pool 2 - dense 10."""

    def kernels(c_out: int, c_in: int) -> NDArray[np.int16]:
        return 2 * rng.integers(-64, 65, (c_out, c_in, 3, 3), np.int16)

    synapses: list[Synapses] = [
        Conv(weights=kernels(16, 2), input_shape=(2, 34, 34), padding=(1, 1)),
        Pool(input_shape=(16, 34, 34), kernel=(2, 2), stride=(2, 2)),
        Conv(weights=kernels(32, 16), input_shape=(16, 17, 17), padding=(1, 1)),
        Pool(input_shape=(32, 17, 17), kernel=(2, 2), stride=(2, 2)),
        Dense(weights=2 * rng.integers(-64, 65, (10, 2048), np.int16)),
    ]
    return [(2, 34, 34), (16, 34, 34), (16, 17, 17), (32, 17, 17), (32, 8, 8), (10,)], synapses


def _chain(
    shapes: Sequence[tuple[int, ...]], synapses: Sequence[Synapses], thresholds: Sequence[int], model: Cuba = MODEL
) -> Network:
    names = ["in", *(f"layer{i + 1}" for i in range(len(synapses)))]
    return Network(
        inputs=(Input(name="in", shape=shapes[0]),),
        populations=tuple(
            Population(name=name, shape=shape, model=replace(model, threshold=threshold), first_step=i + 1)
            for i, (name, shape, threshold) in enumerate(zip(names[1:], shapes[1:], thresholds))
        ),
        projections=tuple(
            Projection(name=f"to_{target}", source=source, target=target, synapses=s)
            for source, target, s in zip(names, names[1:], synapses)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def _threshold(
    shapes: Sequence[tuple[int, ...]],
    synapses: Sequence[Synapses],
    before: list[int],
    rate: float,
    samples: Samples,
    model: Cuba,
) -> int:
    """Return the lowest threshold, to within 5 %, at which the last layer fires at most at ``rate``."""
    low, high = 0, THRESHOLD_MAX
    while high - low > max(1, low // 20):
        middle = (low + high) // 2 if high <= 2 * low else int(np.sqrt((low + 1.0) * high))
        network = _chain(shapes, synapses, [*before, middle], model)
        activity = run_event(network, samples)
        last = activity.spikes[network.populations[-1].name]
        above = len(last) > rate * last.size * last.n_steps * last.n_samples
        low, high = (middle, high) if above else (low, middle)
    return high
