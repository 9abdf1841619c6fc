"""The networks and inputs of ``bench train``, as runs of the trainer itself on random spikes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurodeploy.data.dataset import Dataset
from neurodeploy.data.encoded_part import INPUT_NAME
from neurodeploy.data.parts import encode_lazily
from neurodeploy.network.activity import Events, Samples
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.recipe.record import Recipe
from neurodeploy.training.run import Run

Contestant = Literal["native", "dense-fused", "slayer-masked"]
"""Sparse layers stored; the native backend with dense arrays and masks; lava-dl's blocks with its own neurons."""
LAYERS: dict[str, tuple[tuple[int, ...], str]] = {
    "2312-512-512-11": ((2312,), "[{ neurons = 512 }, { neurons = 512 }, { neurons = 11 }]"),
    "784-512-10": ((784,), "[{ neurons = 512 }, { neurons = 10 }]"),
    "4096-4096-4096-11": ((4096,), "[{ neurons = 4096 }, { neurons = 4096 }, { neurons = 11 }]"),
    "8192-8192-8192-11": ((8192,), "[{ neurons = 8192 }, { neurons = 8192 }, { neurons = 11 }]"),
    "mnist-conv": (
        (1, 28, 28),
        "[{ kind = 'conv', channels = 16, kernel = 5, stride = 2, padding = 2 }, { kind = 'conv', channels = 32, "
        "kernel = 3, stride = 2, padding = 1 }, { neurons = 128, dropout = 0.2 }, { neurons = 10 }]",
    ),
    "mnist-conv-direct": (
        (1, 28, 28),
        "[{ kind = 'conv', channels = 16, kernel = 5, stride = 2, padding = 2 }, { kind = 'conv', channels = 32, "
        "kernel = 5, stride = 2, padding = 2 }, { neurons = 256, dropout = 0.2 }, { neurons = 10 }]",
    ),
    "conv-34x34x2": (
        (2, 34, 34),
        "[{ kind = 'conv', channels = 16, kernel = 3, padding = 1 }, { kind = 'pool', kernel = 2 }, { kind = 'conv', "
        "channels = 32, kernel = 3, padding = 1 }, { neurons = 10 }]",
    ),
}
"""Shape of the input and layers of each network, by name; one named ``direct`` takes the same grey levels in every step."""
SCALE = 2.6
"""Factor on initial weights with which neurons of these networks fire in 5 to 30 % of all steps."""
_TEXT = """
name = "bench"
data = {{ name = "digits", n_steps = {n_steps}, encoding = "{encoding}" }}
network = {{ layers = {layers}, neuron = {{ threshold = 80, current_decay = 1024, voltage_decay = 128, tau_grad = 0.008 }} }}
sparse = {{ method = "static", density = {density} }}
training = {{ epochs = 1, batch_size = {batch}, learning_rate = 1e-7, weight_scale = {scale}, backend = "{backend}", \
threads = {threads} }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network, by its name in ``LAYERS``, with its density and the share of channels that spike in a step or are lit.

    ``large``: its dense arrays are gigabytes; peers take turns with ours one after the other, other frameworks not at all.
    """

    network: str
    density: float
    rate: float
    n_steps: int
    batch: int
    large: bool = False

    @property
    def direct(self) -> bool:
        """Whether grey levels come in."""
        return self.network.endswith("direct")

    @property
    def sizes(self) -> list[int] | None:
        """Numbers of neurons from the input on, None for a convolutional network."""
        return [int(n) for n in self.network.split("-")] if self.network[0].isdigit() else None


CASES = (
    *(
        Case(network="2312-512-512-11", density=d, rate=r, n_steps=100, batch=32)
        for d in (0.1, 0.02, 0.5)
        for r in (0.02, 0.1)
    ),
    *(
        Case(network="784-512-10", density=d, rate=r, n_steps=16, batch=128)
        for d in (0.1, 0.02, 0.5)
        for r in (0.02, 0.1)
    ),
    *(Case(network="4096-4096-4096-11", density=d, rate=0.02, n_steps=16, batch=32) for d in (0.1, 0.02)),
    Case(network="8192-8192-8192-11", density=0.02, rate=0.02, n_steps=16, batch=16, large=True),
    *(Case(network="mnist-conv", density=d, rate=0.1, n_steps=8, batch=256) for d in (0.1, 0.02)),
    *(Case(network="mnist-conv-direct", density=d, rate=0.2, n_steps=6, batch=256) for d in (0.1, 0.02, 1.0)),
    *(Case(network="conv-34x34x2", density=d, rate=0.02, n_steps=100, batch=16) for d in (0.1, 0.05)),
    *(
        Case(network="2312-512-512-11", density=d, rate=0.02, n_steps=t, batch=b)
        for d, t, b in ((1.0, 100, 32), (0.1, 16, 32), (0.1, 100, 128))
    ),
    Case(network="784-512-10", density=0.1, rate=0.02, n_steps=100, batch=32),
)


def recipe_of(case: Case, contestant: Contestant, threads: int = 1) -> Recipe:
    """Return the recipe of a case."""
    backend = "slayer" if contestant == "slayer-masked" else "native"
    text = _TEXT.format(
        n_steps=case.n_steps,
        encoding="direct" if case.direct else "rate",
        layers=LAYERS[case.network][1],
        density=case.density,
        batch=case.batch,
        scale=SCALE,
        backend=backend,
        threads=threads,
    )
    return parse_recipe(text, "bench")


def raster_of(case: Case, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return one batch of random spikes, bool ``(samples, steps, channels)``."""
    rng = np.random.default_rng(seed)
    size = math.prod(LAYERS[case.network][0])
    fired: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (
        rng.random((case.batch, case.n_steps, size), np.float32) < case.rate
    )
    return fired


def grey_of(case: Case, seed: int = 0) -> NDArray[np.uint8]:
    """Return one batch of random pictures, uint8 ``(samples, pixels)``."""
    rng = np.random.default_rng(seed)
    size = case.batch, math.prod(LAYERS[case.network][0])
    shown: NDArray[np.uint8] = rng.integers(1, 256, size, np.uint8) * (rng.random(size, np.float32) < case.rate)
    return shown


def run_of(case: Case, contestant: Contestant, threads: int = 1) -> Run:
    """Return a run whose training samples are one batch; all contestants start with the same weights and masks."""
    shape = LAYERS[case.network][0]
    labels = (np.arange(case.batch) % 10).astype(np.int32)
    recipe = recipe_of(case, contestant, threads)
    if case.direct:
        grey = grey_of(case)
        shown = Dataset(name=case.network, shape=shape, values=grey, labels=labels, n_classes=10)
        return Run(recipe, encode_lazily(shown, recipe.data, "train"), lanes=contestant == "native")
    samples = Samples(
        inputs={INPUT_NAME: Events.from_dense(raster_of(case))},
        labels=labels,
        shapes={INPUT_NAME: shape} if len(shape) > 1 else {},
    )
    return Run(recipe, samples, lanes=contestant == "native")


def with_own_neurons(run: Run) -> None:
    """Have a run on the slayer backend train with slayer's own neurons, instead of the compiled ones of both backends."""
    from neurodeploy.training.model.slayer import own_neurons

    setattr(run.model, "_respond", own_neurons(run.model))  # noqa: B010
