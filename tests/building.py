"""Small networks, samples and rows of engines for tests: layers in a row, any wiring, spikes on a grid or at random.

A name, a neuron or a shape is given where a test speaks of it and left out where it does not matter. ``ROOT`` is the
project's folder. Patterns of recurrent connections, to measure splits on, stand at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from neurodeploy.engines.table import ENGINES, Engine
from neurodeploy.network import (
    Conv,
    Cuba,
    Delta,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    NeuronModel,
    Output,
    Pool,
    Population,
    Projection,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    Sparse,
    Synapses,
)
from neurodeploy.network.activity import Events, Samples

ROOT = Path(__file__).resolve().parent.parent
"""Folder of the project: the package, ``examples/``, ``docs/`` and ``models/`` lie in it."""

Shape = tuple[int, ...]


def on(backend: str, text: str) -> str:
    """Return a recipe's text with this backend."""
    assert text.count("[training]\n") + text.count("training = {") == 1
    text = text.replace("[training]\n", f'[training]\nbackend = "{backend}"\n')
    return text.replace("training = {", f'training = {{ backend = "{backend}",')


_NEURONS: dict[str, tuple[type, dict[str, Any]]] = {
    "cuba": (Cuba, {"current_decay": 1024, "voltage_decay": 128, "threshold": 100}),
    "leaky_integrator": (LeakyIntegrator, {"current_decay": 1024, "voltage_decay": 128}),
    "resonate_and_fire": (ResonateAndFire, {"sin_decay": 900, "cos_decay": 3800, "threshold": 8}),
    "sigma": (Sigma, {}),
    "delta": (Delta, {"threshold": 9}),
    "sigma_delta": (SigmaDelta, {"threshold": 60}),
}


def neuron(kind: str = "cuba", **changes: Any) -> NeuronModel:
    """Return a neuron of a kind (as in ``Cuba.kind``) whose parameters are ordinary, but for those given."""
    model, ordinary = _NEURONS[kind]
    return model(**{**ordinary, **changes})


def chain(
    layers: Mapping[str, Synapses | ArrayLike] | Sequence[Synapses | ArrayLike],
    model: NeuronModel | Mapping[str, NeuronModel] | None = None,
    *,
    source: str = "in",
    shape: Shape | None = None,
    shapes: Mapping[str, Shape] | None = None,
    first_step: Mapping[str, int] | None = None,
    wire: str = "w{i}",
    more: Mapping[str, Mapping[str, Any]] | None = None,
    extra: Iterable[Projection] = (),
    graded: bool | int = False,
    output: str = "out",
    decoding: str = "count",
    **rest: Any,
) -> Network:
    """Return layers in a row, each updated from its depth on; the last is the output.

    Args:
        layers: synapses, or a matrix of weights, into each population by its name; without names they are p1, p2 and so on.
        model: neurons of all populations, or of each by its name; ``neuron()`` where left out.
        source: name of the input.
        shape: of the input; ``shapes``: of populations. Needed where a matrix ends at an image, or begins there.
        first_step: of populations for which it is not the depth.
        wire: names of the projections, made from ``{i}`` (1, 2, ...), ``{source}`` and ``{target}``.
        more: further settings of the projection into a population, by the name of that.
        extra: projections beside those of the row: loops and skip connections.
        graded: whether the input is, as in ``entry``.
        output, decoding: of the last population.
        rest: ``dt`` and ``ledger`` of the network.
    """
    named = dict(layers) if isinstance(layers, Mapping) else {f"p{i}": s for i, s in enumerate(layers, start=1)}
    names = [source, *named]
    populations, projections = [], []
    for i, (name, synapses) in enumerate(named.items(), start=1):
        before, settings = names[i - 1], (more or {}).get(name, {})
        label = wire.format(i=i, source=before, target=name)
        projections.append(connect(before, name, synapses, label, **settings))
        own = model.get(name) if isinstance(model, Mapping) else model
        where = (shapes or {}).get(name) or reached(projections[-1].synapses)
        first = (first_step or {}).get(name, i)
        populations.append(Population(name=name, shape=where, model=own or neuron(), first_step=first))
    return Network(
        inputs=(entry(source, shape or read(projections[0].synapses), graded),),
        populations=tuple(populations),
        projections=(*projections, *extra),
        outputs=(Output(name=output, population=names[-1], decoding=decoding),),
        **rest,
    )


def entry(name: str, shape: Shape, graded: bool | int = False) -> Input:
    """Return an input: for plain spikes, with True for any number of 32 bits, or for payloads of so many bits."""
    if graded is True:
        return Input(name=name, shape=shape, payload_bits=32, signed=True)
    return Input(name=name, shape=shape, payload_bits=int(graded))


def one_layer(
    synapses: Synapses | ArrayLike,
    model: NeuronModel | None = None,
    *,
    target: str = "out",
    wire: str = "w",
    target_shape: Shape | None = None,
    first_step: int = 1,
    delay: Any = 0,
    mask: Any = None,
    weight_exponent: int = 0,
    **rest: Any,
) -> Network:
    """Return one population behind one input: a ``chain`` of one layer, with the settings of its projection beside it."""
    settings = {"delay": delay, "mask": mask, "weight_exponent": weight_exponent}
    return chain(
        {target: synapses},
        model,
        wire=wire,
        shapes={target: target_shape} if target_shape else None,
        first_step={target: first_step},
        more={target: settings},
        **rest,
    )


def connect(source: str, target: str, synapses: Synapses | ArrayLike, name: str = "", **settings: Any) -> Projection:
    """Return a projection; a matrix of weights becomes ``Dense``, and the name both ends where there is none."""
    if not isinstance(synapses, Synapses):
        synapses = Dense(weights=synapses)
    return Projection(name=name or f"{source}-{target}", source=source, target=target, synapses=synapses, **settings)


def wired(
    inputs: Mapping[str, int | Shape],
    populations: Mapping[str, tuple[int | Shape, NeuronModel] | tuple[int | Shape, NeuronModel, int]],
    projections: Iterable[Projection],
    outputs: Iterable[Output] | None = None,
    *,
    graded: Iterable[str] = (),
    **rest: Any,
) -> Network:
    """Return a network of any wiring.

    Args:
        inputs: shape by name.
        populations: shape, neurons and, where it is not 1, the first step, by name.
        projections: as ``connect`` makes them.
        outputs: one called "out" of the last population where left out.
        graded: names of the inputs that are.
        rest: ``dt`` and ``ledger`` of the network.
    """
    return Network(
        inputs=tuple(entry(name, _shape(shape), name in graded) for name, shape in inputs.items()),
        populations=tuple(
            Population(name=name, shape=_shape(shape), model=model, first_step=first[0] if first else 1)
            for name, (shape, model, *first) in populations.items()
        ),
        projections=tuple(projections),
        outputs=tuple(outputs) if outputs else (Output(name="out", population=list(populations)[-1]),),
        **rest,
    )


_EVERY_KIND = {
    "cuba": Cuba(current_decay=700, voltage_decay=300, threshold=90),
    "rf": ResonateAndFire(sin_decay=2600, cos_decay=2900, threshold=900),
    "rf_iz": ResonateAndFire(sin_decay=-1500, cos_decay=3500, threshold=[500, 800, 900, 300, 70], reset=True),
    "delta": Delta(threshold=70, spike_exponent=1, state_exponent=2),
    "sigma_delta": SigmaDelta(threshold=600, bias=[-700, 0, 10, 800, 9000], state_exponent=3),
    "cumulative": SigmaDelta(threshold=[900, 40, 1, 0, 70], activation="none", cumulative=True),
    "sigma": Sigma(),
}


def every_kind() -> tuple[Network, Samples, tuple[tuple[str, str], ...]]:
    """Return a population of each kind, all reached from both inputs, some before their first step, and in a chain.

    With it come two samples and all states as probes.
    """
    rng = np.random.default_rng(8)
    inputs = {"spikes": 4, "graded": 3}
    sizes = inputs | dict.fromkeys(_EVERY_KIND, 5)
    pairs = [(i, name) for i in inputs for name in _EVERY_KIND]
    pairs += list(zip(list(_EVERY_KIND), [*list(_EVERY_KIND)[1:], "cuba"]))
    projections = []
    for source, target in pairs:
        for component in ("real", "imag") if target.startswith("rf") else ("real",):
            weights, delay = 2 * rng.integers(-9, 12, (5, sizes[source])), rng.integers(0, 2, sizes[source])
            name = f"w{len(projections)}"
            projections.append(connect(source, target, weights, name, component=component, delay=delay))
    populations = {name: (5, model, 0 if name == "sigma" else 2) for name, model in _EVERY_KIND.items()}
    network = wired(inputs, populations, projections, graded=["graded"])
    active = rng.random((2, 15, 4)) < 0.3
    values = rng.integers(-20, 21, (2, 15, 3)) * (rng.random((2, 15, 3)) < 0.4)
    given = {"spikes": Events.from_dense(active), "graded": Events.from_dense(values, graded=True)}
    probe = tuple((name, state) for name, model in _EVERY_KIND.items() for state in model.states)
    return network, Samples(inputs=given), probe


def reached(synapses: Synapses) -> Shape:
    """Return the shape of the neurons that synapses end at."""
    if isinstance(synapses, Conv | Pool):
        return synapses.output_shape
    return (synapses.n_target,) if isinstance(synapses, Sparse) else (len(synapses.weights),)


def read(synapses: Synapses) -> Shape:
    """Return the shape of the channels that synapses begin at."""
    if isinstance(synapses, Conv | Pool):
        return synapses.input_shape
    return (len(synapses.start) - 1,) if isinstance(synapses, Sparse) else (synapses.weights.shape[1],)


def samples(
    raster: ArrayLike | Mapping[str, ArrayLike], source: str = "in", *, graded: bool = False, **rest: Any
) -> Samples:
    """Return samples of a raster ``(n_samples, n_steps, n)`` for one input, or of one raster an input by its name."""
    rasters = raster if isinstance(raster, Mapping) else {source: raster}
    return Samples(inputs={name: Events.from_dense(r, graded=graded) for name, r in rasters.items()}, **rest)


def spikes(shape: tuple[int, int, int], rate: float = 0.3, *, seed: int = 0, source: str = "in") -> Samples:
    """Return samples in which each channel spikes with probability ``rate`` in a step; ``shape`` as in ``samples``."""
    return samples(np.random.default_rng(seed).random(shape) < rate, source)


def _shape(shape: int | Shape) -> Shape:
    return (shape,) if isinstance(shape, int) else shape


def engines(where: Callable[[Engine], bool] = lambda _: True) -> list[Any]:
    """Return the rows of ``ENGINES`` that hold a condition, as parameters of a test; those of Lava are marked ``lava``.

    Engines that express only some networks are left out: they have tests of their own.
    """
    chosen = [name for name, engine in ENGINES.items() if where(engine) and not engine.partial]
    return [pytest.param(name, marks=pytest.mark.lava) if name.startswith("lava") else name for name in chosen]


def random_pattern(rng: np.random.Generator, n: int = 2048, fan_out: int = 32) -> Sparse:
    """Return recurrent connections from each of ``n`` neurons to ``fan_out`` drawn from all, repeats left out."""
    return _sparse(rng.integers(n, size=(n, fan_out)), n)


def community_pattern(
    rng: np.random.Generator, n: int = 2048, fan_out: int = 32, size: int = 64, inside: float = 0.85
) -> Sparse:
    """Return targets that lie in the neuron's own community of ``size`` neurons with probability ``inside``."""
    own = np.arange(n)[:, None] // size * size + rng.integers(size, size=(n, fan_out))
    targets = np.where(rng.random((n, fan_out)) < inside, own, rng.integers(n, size=(n, fan_out)))
    return _shuffled(rng, targets, n)


def local_pattern(rng: np.random.Generator, n: int = 2048, fan_out: int = 32, spread: float = 2.5) -> Sparse:
    """Return targets at normally distributed distances on a torus of ``n`` places, 64 in a row."""
    width = 64
    height = n // width
    row, column = np.divmod(np.arange(n), width)
    rows = (row[:, None] + np.rint(rng.normal(0, spread, (n, fan_out))).astype(int)) % height
    columns = (column[:, None] + np.rint(rng.normal(0, spread, (n, fan_out))).astype(int)) % width
    return _shuffled(rng, rows * width + columns, n)


PATTERNS = {"random": random_pattern, "communities": community_pattern, "local": local_pattern}
"""Recurrent connections by name; neurons are numbered at random."""


def _shuffled(rng: np.random.Generator, targets: NDArray[np.int64], n: int) -> Sparse:
    """Give every neuron a new number."""
    number = rng.permutation(n)
    renamed = np.empty_like(targets)
    renamed[number] = number[targets]
    return _sparse(renamed, n)


def nonzero(weights: NDArray[np.integer[Any]]) -> Sparse:
    """Return the weights ``(n_target, n_source)`` that are not 0 as sparse synapses."""
    source, target = np.nonzero(weights.T)
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=weights.shape[1]))])
    return Sparse(n_target=len(weights), start=start, target=target, weights=weights[target, source])


def _sparse(targets: NDArray[np.int64], n: int) -> Sparse:
    pairs = np.unique(np.arange(n)[:, None] * n + targets)
    start = np.concatenate([[0], np.cumsum(np.bincount(pairs // n, minlength=n))])
    return Sparse(n_target=n, start=start, target=pairs % n, weights=np.ones(pairs.size, np.int16))
