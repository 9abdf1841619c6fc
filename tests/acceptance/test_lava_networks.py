"""Networks drawn at random from everything that Lava has a process for: the reference, Lava's models stepped in this
process, and Lava's runtime must agree in every spike and every probed state.

The reference takes the first step of a population literally; the runtime reaches it by LIFReset, by a bias that holds
the population down, or by setting variables between samples. Each draw is one seed, so a failure names its case.
"""

from collections import Counter

import numpy as np
import pytest

from neurodeploy.engines.lava import run_lava, run_lava_in_process
from neurodeploy.engines.lava.plan import make_job
from neurodeploy.engines.reference import run_reference
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
    Projection,
    Sparse,
)
from neurodeploy.network.activity import Activity, Events, Samples

pytestmark = pytest.mark.lava


@pytest.fixture(scope="module", autouse=True)
def _lava():
    pytest.importorskip("lava.magma", reason="this Python has no lava-nc")


class Draw:
    """Draws one network; every choice comes from one generator."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high))

    def weights(self, *shape: int) -> np.ndarray:
        """Mixed even, all of one sign with odd ones, saturated, or all zero."""
        kind = self.rng.choice(["mixed", "mixed", "mixed", "up", "down", "saturated", "zero"])
        if kind == "zero":
            return np.zeros(shape, np.int16)
        if kind == "saturated":
            return self.rng.choice(np.array([-256, 0, 254], np.int16), shape)
        if kind == "mixed":
            drawn = 2 * self.rng.integers(-40, 60, shape)
        else:
            drawn = (1 if kind == "up" else -1) * self.rng.integers(0, 120, shape)
        return (drawn * (self.rng.random(shape) < 0.5)).astype(np.int16)

    def parameter(self, low: int, high: int, shape: tuple[int, ...]) -> int | np.ndarray:
        return self.rng.integers(low, high, shape) if self.chance(0.4) else self.whole(low, high)

    def decay(self, shape: tuple[int, ...]) -> int | np.ndarray:
        return int(self.rng.choice([0, 4096])) if self.chance(0.3) else self.parameter(0, 4097, shape)

    def model(self, shape: tuple[int, ...]) -> Cuba | LeakyIntegrator:
        own = {"current_decay": self.decay(shape), "voltage_decay": self.decay(shape)}
        if self.chance(0.4):
            own["bias"] = self.parameter(-3000, 9000, shape)
        return LeakyIntegrator(**own) if self.chance(0.15) else Cuba(threshold=self.parameter(0, 400, shape), **own)

    def delay(self, n: int, matrix: tuple[int, int] | None) -> int | np.ndarray:
        if self.chance(0.6):
            return 0
        if matrix is not None and self.chance(0.3):
            return self.rng.integers(0, 6, matrix)
        return self.rng.integers(0, 6, n) if self.chance(0.5) else self.whole(1, 6)

    def matrix(self, n_target: int, n_source: int) -> Dense | Sparse:
        drawn = self.weights(n_target, n_source)
        if self.chance(0.5):
            return Dense(weights=drawn)
        source, target = np.nonzero(drawn.T)
        start = np.concatenate([[0], np.cumsum(np.count_nonzero(drawn, axis=0))])
        return Sparse(n_target=n_target, start=start, target=target, weights=drawn[target, source])

    def field(self, shape: tuple[int, int, int]) -> Conv | Pool:
        stride, padding = (self.whole(1, 3), self.whole(1, 3)), (self.whole(0, 2), self.whole(0, 2))
        if self.chance(0.3):
            return Pool(input_shape=shape, kernel=(2, 2), stride=stride, padding=padding, weight=self.whole(-100, 200))
        groups = 2 if shape[0] % 2 == 0 and self.chance(0.5) else 1
        kernel = (self.whole(1, 4), self.whole(1, 4))
        dilation = (self.whole(1, 3), self.whole(1, 3))
        weights = self.weights(2 * self.whole(1, 3), shape[0] // groups, *kernel)
        return Conv(weights=weights, input_shape=shape, stride=stride, padding=(2, 2), dilation=dilation, groups=groups)

    def projection(self, name: str, source: str, target: str, synapses: object, n: int) -> Projection:
        matrix = synapses.weights.shape if isinstance(synapses, Dense) else None
        exponent = self.whole(-3, 5) if self.chance(0.3) else 0
        return Projection(
            name=name,
            source=source,
            target=target,
            synapses=synapses,
            delay=self.delay(n, matrix),
            weight_exponent=exponent,
        )

    def network(self) -> Network:
        """A chain of fields and matrices, with extra projections forwards, backwards and onto themselves."""
        shape = (self.whole(1, 4), self.whole(4, 7), self.whole(4, 7)) if self.chance(0.5) else (self.whole(3, 20),)
        shapes, populations, projections = {"x": shape}, [], []
        plain = self.chance(0.4)  # depths as first steps and no extra projection: samples part by LIFReset
        for i in range(self.whole(1, 4)):
            source, name = ("x" if i == 0 else f"p{i - 1}"), f"p{i}"
            n = int(np.prod(shapes[source]))
            if len(shapes[source]) == 3 and self.chance(0.7):
                synapses = self.field(shapes[source])
                shapes[name] = synapses.output_shape
            else:
                shapes[name] = (self.whole(1, 16),)
                synapses = self.matrix(shapes[name][0], n)
            projection = self.projection(f"to {name}", source, name, synapses, n)
            previous = populations[-1].first_step if populations else 0
            first_step = previous + 1 + projection.max_delay if plain else self.whole(0, 6)
            model = self.model(shapes[name])
            populations.append(Population(name=name, shape=shapes[name], model=model, first_step=first_step))
            projections.append(projection)
        if not plain:
            shapes["y"] = (self.whole(1, 6),)
            for i in range(self.whole(1, 4)):
                source, target = self.rng.choice(list(shapes)), populations[self.whole(0, len(populations))]
                n = int(np.prod(shapes[source]))
                synapses = self.matrix(target.size, n)
                projections.append(self.projection(f"extra {i}", str(source), target.name, synapses, n))
        return Network(
            inputs=tuple(Input(name=name, shape=shapes[name]) for name in shapes if name in "xy"),
            populations=tuple(populations),
            projections=tuple(projections),
            outputs=(Output(name="out", population=populations[-1].name),),
        )

    def samples(self, network: Network) -> Samples:
        n, steps, rate = self.whole(1, 4), self.whole(1, 20), self.rng.choice([0.0, 0.05, 0.3, 1.0])
        inputs = {i.name: Events.from_dense(self.rng.random((n, steps, i.size)) < rate) for i in network.inputs}
        return Samples(inputs=inputs)


def case(seed: int) -> tuple[Network, Samples, tuple[tuple[str, str], ...]]:
    draw = Draw(seed)
    network = draw.network()
    probe = tuple((p.name, which) for p in network.populations for which in "uv")
    return network, draw.samples(network), probe


def assert_same(ours: Activity, reference: Activity) -> None:
    assert set(ours.spikes) == set(reference.spikes)
    for name, events in reference.spikes.items():
        np.testing.assert_array_equal(ours.spikes[name].to_dense(), events.to_dense(), err_msg=name)
    for key, state in reference.states.items():
        np.testing.assert_array_equal(ours.states[key], state, err_msg=str(key))


@pytest.mark.parametrize("seed", range(60))
def test_process_models_equal_the_reference(seed):
    network, given, probe = case(seed)
    assert_same(run_lava_in_process(network, given, probe=probe), run_reference(network, given, probe=probe))


@pytest.mark.parametrize("seed", range(10))
def test_runtime_equals_the_reference(seed):
    network, given, probe = case(seed)
    assert_same(run_lava(network, given, probe=probe), run_reference(network, given, probe=probe))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 60))
def test_runtime_equals_the_reference_on_many_networks(seed):
    network, given, probe = case(seed)
    assert_same(run_lava(network, given, probe=probe), run_reference(network, given, probe=probe))


def test_the_draws_reach_every_process_and_every_way_to_part_samples():
    """A generator that stopped drawing one kind would make the tests above pass without testing it."""
    processes, ways, spikes = Counter(), Counter(), 0
    for seed in range(60):
        network, given, _ = case(seed)
        job = make_job(network, given, given.n_steps + network.depth)
        processes.update(record["process"] for record in job["projections"])
        for record in job["populations"]:
            ways["held" if "held" in record else "reset" if "reset_interval" in record else "set"] += 1
        activity = run_reference(network, given)
        spikes += sum(len(activity.spikes[p.name]) for p in network.populations)
    assert set(processes) == {"Dense", "Sparse", "Conv", "DelayDense", "DelaySparse"}
    assert min(processes.values()) >= 5
    assert min(ways[way] for way in ("held", "reset", "set")) >= 10
    assert spikes > 10_000
