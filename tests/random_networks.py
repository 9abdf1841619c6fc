"""Random spiking networks that hold everything a generator of code has to get right, each decided by its seed alone.

Synapses: matrices of all densities, sparse lists, convolutions (stride, padding, dilation, groups), pooling; forward,
skipping, recurrent and back; delays of none, all, each source or each weight; exponents on both sides of 0. Neurons: CUBA
and leaky integrators, one parameter for all or one each, biases, both resets, late first steps, currents that leave 24 bits.
Inputs: plain and graded, several of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from building import connect, nonzero, wired

from neurodeploy.network import Conv, Cuba, Dense, LeakyIntegrator, Network, Output, Pool, Projection, Sparse
from neurodeploy.network.activity import Events, Samples

_IMAGES = ((1, 5, 6), (2, 7, 5), (3, 6, 6), (4, 4, 4))
_DECODINGS = ("count", "first_spike", "last_message", "sum")


def random_network(seed: int, *, n_samples: int = 3, n_steps: int = 12) -> tuple[Network, Samples]:
    """Return a network and samples for it; the same for the same seed."""
    return _Maker(np.random.default_rng(seed)).made(n_samples, n_steps)


class _Maker:
    """Draws a network piece by piece."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.inputs: dict[str, tuple[int, ...]] = {}
        self.graded: dict[str, tuple[int, bool]] = {}
        self.populations: dict[str, tuple[Any, ...]] = {}
        self.projections: list[Projection] = []

    def made(self, n_samples: int, n_steps: int) -> tuple[Network, Samples]:
        rng = self.rng
        for i in range(1 + (rng.random() < 0.3)):
            image = rng.random() < 0.4
            self.inputs[f"in {i}"] = _IMAGES[rng.integers(len(_IMAGES))] if image else (int(rng.integers(1, 40)),)
        graded = [name for name in self.inputs if rng.random() < 0.25]
        for i in range(int(rng.integers(1, 5))):
            self.layer(f"p{i}", i + 1)
        names = list(self.populations)
        for _ in range(int(rng.integers(0, 4))):  # loops, ways back and skips
            source = str(rng.choice([*self.inputs, *names]))
            self.matrix(source, str(rng.choice(names)))
        network = wired(self.inputs, self.populations, self.projections, self.outputs(), graded=graded)
        return network, Samples(
            inputs={i.name: self.events(i.size, i.graded, n_samples, n_steps) for i in network.inputs}
        )

    def outputs(self) -> list[Output]:
        spiking = [name for name, (_, model, *_) in self.populations.items() if isinstance(model, Cuba)]
        found = []
        for i, name in enumerate(self.rng.permutation(list(self.populations))[: self.rng.integers(1, 3)]):
            decoding = (
                str(self.rng.choice(_DECODINGS)) if name in spiking and self.rng.random() < 0.8 else "last_voltage"
            )
            found.append(Output(name=f"out-{i}", population=str(name), decoding=decoding))
        return found

    def shape_of(self, name: str) -> tuple[int, ...]:
        return self.inputs[name] if name in self.inputs else self.populations[name][0]

    def layer(self, name: str, depth: int) -> None:
        """Add a population behind an input or an earlier population."""
        rng = self.rng
        before = [*self.inputs, *self.populations]
        source = before[-1] if rng.random() < 0.8 else str(rng.choice(before))
        shape = self.shape_of(source)
        synapses: Any = None
        if len(shape) == 3 and rng.random() < 0.8:
            synapses = self.pool(shape) if rng.random() < 0.3 and min(shape[1:]) > 1 else self.conv(shape)
        own = synapses.output_shape if synapses is not None else (int(rng.choice([1, 3, 10, 17, 40, 300])),)
        late = int(rng.integers(0, 3)) if rng.random() < 0.3 else 0
        self.populations[name] = (own, self.neuron(own), max(0, depth + late - (rng.random() < 0.2)))
        if synapses is None:
            self.matrix(source, name)
        else:
            self.projections.append(
                connect(source, name, synapses, f"w{len(self.projections)}", **self.settings(math.prod(shape), None))
            )

    def neuron(self, shape: tuple[int, ...]) -> Cuba | LeakyIntegrator:
        rng = self.rng

        def one(low: int, high: int, share: float = 0.2) -> Any:
            return rng.integers(low, high, shape) if rng.random() < share else int(rng.integers(low, high))

        decays = [0, 4096, 1024, 128, 2048, 3072]
        current, voltage = (int(rng.choice(decays)) if rng.random() < 0.6 else one(0, 4097, 0.5) for _ in range(2))
        bias = one(-3000, 3000) if rng.random() < 0.25 else 0
        if rng.random() < 0.15:
            return LeakyIntegrator(current_decay=current, voltage_decay=voltage, bias=bias)
        threshold = one(0, 400) if rng.random() < 0.9 else one(0, 2**17)
        reset = "subtract" if rng.random() < 0.3 else "zero"
        return Cuba(current_decay=current, voltage_decay=voltage, threshold=threshold, bias=bias, reset=reset)

    def weights(self, shape: tuple[int, ...], density: float) -> np.ndarray:
        rng = self.rng
        low, high, step = [(-256, 256, 2), (-40, 41, 1), (0, 256, 1), (-256, 256, 1), (-64, 65, 4)][rng.integers(5)]
        drawn = rng.integers(low // step, -(-high // step), shape) * step
        return np.where(rng.random(shape) < density, drawn, 0).astype(np.int16)

    def matrix(self, source: str, target: str) -> None:
        rng = self.rng
        n_source, n_target = math.prod(self.shape_of(source)), math.prod(self.shape_of(target))
        weights = self.weights((n_target, n_source), float(rng.choice([0.02, 0.1, 0.5, 1.0])))
        settings = self.settings(n_source, weights.shape)
        synapses: Dense | Sparse = Dense(weights=weights)
        if rng.random() < 0.3 and np.ndim(settings["delay"]) < 2:
            synapses = nonzero(weights)
        self.projections.append(connect(source, target, synapses, f"w{len(self.projections)}", **settings))

    def settings(self, n_source: int, weights: tuple[int, ...] | None) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choice(["none", "one", "source", "weight"], p=[0.6, 0.15, 0.15, 0.1])
        delay: Any = 0
        if kind == "one":
            delay = int(rng.integers(1, 63 if rng.random() < 0.1 else 6))
        elif kind == "source" or (kind == "weight" and weights is None):
            delay = rng.integers(0, 5, n_source)
        elif kind == "weight":
            delay = rng.integers(0, 3, weights)
        exponent = 0 if rng.random() < 0.6 else int(rng.integers(-3, 5) if rng.random() < 0.8 else rng.integers(-8, 8))
        return {"delay": delay, "weight_exponent": exponent}

    def conv(self, shape: tuple[int, ...]) -> Conv:
        rng = self.rng
        groups = shape[0] if rng.random() < 0.2 else 1
        out = groups * int(rng.integers(1, 4)) if groups > 1 else int(rng.choice([1, 2, 5, 8, 20]))
        kernel = tuple(min(int(k), size) for k, size in zip(rng.integers(1, 4, 2), shape[1:]))
        dilation = (2, 1) if rng.random() < 0.2 else (1, 1)
        return Conv(
            weights=self.weights((out, shape[0] // groups, *kernel), float(rng.choice([0.1, 0.5, 1.0]))),
            input_shape=shape,
            stride=tuple(int(s) for s in rng.integers(1, 4, 2)) if rng.random() < 0.5 else (1, 1),
            padding=tuple(int(p) for p in rng.integers(0, 3, 2)) if max(kernel) > 1 else (1, 2),
            dilation=dilation if shape[1] > 2 * kernel[0] - 2 else (1, 1),
            groups=groups,
        )

    def pool(self, shape: tuple[int, ...]) -> Pool:
        weight = int(self.rng.choice([64, 1, -3, 255]))
        return Pool(
            input_shape=shape, kernel=(2, 2), stride=(2, 2) if self.rng.random() < 0.7 else (1, 2), weight=weight
        )

    def events(self, size: int, graded: bool, n_samples: int, n_steps: int) -> Events:
        rng = self.rng
        active = rng.random((n_samples, n_steps, size)) < float(rng.choice([0.05, 0.3, 1.0], p=[0.3, 0.6, 0.1]))
        if not graded:
            return Events.from_dense(active)
        high = 2**31 - 1 if rng.random() < 0.2 else 100
        return Events.from_dense(rng.integers(-high, high, active.shape) * active, graded=True)
