"""The network as it lies on the cores computes what the network computes, and holds each synapse once."""

import numpy as np
from building import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodeploy.chip import Chip, load_chip
from neurodeploy.engines.table import simulate
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.memory.synapses import matrix_of
from neurodeploy.mapping.percore import per_core
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    Input,
    LeakyIntegrator,
    Network,
    Output,
    Population,
    Projection,
    depths,
)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A convolution or matrix, a recurrent matrix with delays of any kind, and a read-out, with values for each neuron."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        first = Conv(weights=rng.integers(-60, 120, (2, 1, 2, 2)), input_shape=(1, 4, 4))
        shape: tuple[int, ...] = first.output_shape
    else:
        shape = (draw(st.integers(2, 12)),)
        first = Dense(weights=rng.integers(-60, 120, (shape[0], 16)))
    n = int(np.prod(shape))
    delay = draw(st.sampled_from([0, 2, "source", "synapse"]))
    delays = {"source": rng.integers(0, 5, n), "synapse": rng.integers(0, 5, (n, n))}.get(delay, delay)
    model = Cuba(
        current_decay=rng.integers(0, 4097, shape), voltage_decay=300, threshold=rng.integers(20, 90, shape), bias=5
    )
    projections = (
        Projection(name="in", source="input", target="hidden", synapses=first),
        Projection(
            name="loop",
            source="hidden",
            target="hidden",
            synapses=Dense(weights=rng.integers(-30, 31, (n, n))),
            delay=delays,
            weight_exponent=draw(st.integers(0, 2)),
        ),
        Projection(name="out", source="hidden", target="read", synapses=Dense(weights=rng.integers(-60, 60, (3, n)))),
    )
    inputs = (Input(name="input", shape=(1, 4, 4)),)
    first_step = depths(inputs, projections)
    return Network(
        inputs=inputs,
        populations=(
            Population(name="hidden", shape=shape, model=model, first_step=first_step["hidden"]),
            Population(
                name="read",
                shape=(3,),
                model=LeakyIntegrator(current_decay=4096, voltage_decay=100),
                first_step=first_step["read"],
            ),
        ),
        projections=projections,
        outputs=(Output(name="class", population="read", decoding="last_voltage"),),
    )


def small_cores(neurons: int) -> Chip:
    chip = load_chip("loihi1")
    count = chip.cores.neurons
    assert count is not None
    cores = chip.cores.model_copy(update={"neurons": count.model_copy(update={"value": neurons})})
    return chip.model_copy(update={"cores": cores})


@settings(deadline=None, max_examples=30)
@given(networks(), st.integers(1, 6), st.sampled_from(["equal", "overlap"]), st.integers(0, 2**32 - 1))
def test_mapped_network_gives_the_spikes_of_the_network(network: Network, neurons: int, split: str, seed: int) -> None:
    mapping = map_network(network, small_cores(neurons), split=split)
    raster = np.random.default_rng(seed).random((2, 12, 16)) < 0.3
    shown = samples(raster, "input")
    whole = simulate(network, shown, engine="reference")
    parts = simulate(per_core(network, mapping), shown, engine="reference", n_steps=whole.n_steps)
    for core, load in enumerate(mapping.cores):
        for name, held in load.neurons.items():
            here = whole.spikes[name].to_dense()[:, :, held]
            assert np.array_equal(parts.spikes[f"{name}@{core}"].to_dense(), here)


@settings(deadline=None, max_examples=30)
@given(networks(), st.integers(1, 6), st.sampled_from(["equal", "overlap"]))
def test_synapses_of_all_cores_together_are_those_of_the_network(network: Network, neurons: int, split: str) -> None:
    mapping = map_network(network, small_cores(neurons), split=split)
    mapped = per_core(network, mapping)
    held = {f"{n}@{i}": load.neurons[n] for i, load in enumerate(mapping.cores) for n in load.neurons}
    held["input"] = np.arange(16)
    for projection in network.projections:
        matrix = matrix_of(projection)
        expected = np.zeros((matrix.n_target, matrix.n_source), int)
        expected[matrix.target, matrix.source] = matrix.weight
        found = np.zeros_like(expected)
        for block in mapped.projections:
            if block.name.startswith(f"{projection.name}: "):
                part = matrix_of(block)
                found[held[block.target][part.target], held[block.source][part.source]] += part.weight
        assert np.array_equal(found, expected)


@settings(deadline=None, max_examples=20)
@given(networks(), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_updates_counted_by_core_add_up_to_those_of_the_network(network: Network, neurons: int, seed: int) -> None:
    labels = map_network(network, small_cores(neurons)).core_labels()
    raster = np.random.default_rng(seed).random((1, 12, 16)) < 0.3
    shown = samples(raster, "input")
    one = {name: np.zeros_like(label) for name, label in labels.items()}
    by_core, in_all = (
        simulate(network, shown, engine="reference", labels=given_labels).updated for given_labels in (labels, one)
    )
    assert by_core is not None
    assert in_all is not None
    assert np.array_equal(by_core.sum(axis=2), in_all.sum(axis=2))
