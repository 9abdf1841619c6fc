"""Counts against a slow recount: one spike, one core and one synapse at a time, from the weights alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from building import chain, connect, samples

from neurodeploy.chip import Chip, chip_from_dict, load_chip
from neurodeploy.costs.counts import count_events
from neurodeploy.engines.reference import run_reference
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import (
    Conv,
    Cuba,
    Dense,
    Network,
    Pool,
    Projection,
    Sparse,
)
from neurodeploy.network.activity import Activity

MODEL = Cuba(current_decay=2048, voltage_decay=256, threshold=30)


def small_cores(name: str, neurons: int, chips: int = 1) -> Chip:
    """A chip that is forced to use many cores, so that messages, hops and splits occur."""
    data = load_chip(name).model_dump(mode="json", exclude_none=True)
    data["cores"]["neurons"]["value"] = neurons
    data["system"]["chips"]["value"] = chips
    if chips > 1:
        data["cores"]["count"]["value"] = 5
    return chip_from_dict(data)


def matrix(rng: np.random.Generator, shape: tuple[int, int], density: float) -> np.ndarray:
    return ((rng.random(shape) < density) * rng.integers(-60, 61, shape) * 2).astype(np.int16)


def layered(seed: int, density: float, delay: int = 1) -> Network:
    """Two hidden layers with a recurrent connection and a skip connection, which can have a delay."""
    rng = np.random.default_rng(seed)
    sparse = matrix(rng, (30, 40), density)
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(sparse.T, axis=1))])
    target = np.nonzero(sparse.T)[1].astype(np.int32)
    layers = {
        "a": matrix(rng, (40, 25), density),
        "b": Sparse(n_target=30, start=start, target=target, weights=sparse.T[np.nonzero(sparse.T)]),
    }
    loop = connect("b", "b", matrix(rng, (30, 30), density / 2))
    skip = connect("in", "b", matrix(rng, (30, 25), 0.1), delay=delay)
    return chain(layers, MODEL, wire="{source}-{target}", extra=[loop, skip])


def convolutional(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    kernels = (rng.integers(-20, 21, (3, 2, 3, 3)) * 2).astype(np.int16)
    kernels[0, 0] = 0
    conv = Conv(weights=kernels, input_shape=(2, 8, 8), padding=(1, 1))
    pool = Pool(input_shape=(3, 8, 8), kernel=(2, 2), stride=(2, 2), weight=64)
    return chain({"conv": conv, "pool": pool}, MODEL)


def unrolled(projection: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Which synapses exist as places (zeros of kernels too) and which are not zero: bool ``(n_target, n_source)``.

    A convolution is unrolled by loops over its definition, not by the code under test.
    """
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        return synapses.weights != 0, synapses.weights != 0
    if isinstance(synapses, Sparse):
        full = np.zeros((synapses.n_target, synapses.start.size - 1), bool)
        for j in range(synapses.start.size - 1):
            full[synapses.target[synapses.start[j] : synapses.start[j + 1]], j] = True
        return full, full
    conv = synapses if isinstance(synapses, Conv) else synapses.as_conv()
    c_out, height, width = conv.output_shape
    _, in_h, in_w = conv.input_shape
    shape = (c_out * height * width, int(np.prod(conv.input_shape)))
    places, nonzero = np.zeros(shape, bool), np.zeros(shape, bool)
    for o, i, ky, kx in np.ndindex(*conv.weights.shape):
        channel = o // (c_out // conv.groups) * conv.weights.shape[1] + i
        for y, x in np.ndindex(height, width):
            at_y = y * conv.stride[0] + ky * conv.dilation[0] - conv.padding[0]
            at_x = x * conv.stride[1] + kx * conv.dilation[1] - conv.padding[1]
            if 0 <= at_y < in_h and 0 <= at_x < in_w:
                t, s = (o * height + y) * width + x, (channel * in_h + at_y) * in_w + at_x
                places[t, s] = True
                nonzero[t, s] = conv.weights[o, i, ky, kx] != 0
    return places, nonzero


def filled(here: np.ndarray, width: int) -> int:
    """Entries of a dense list with 8 header bits and more for a gap than for a zero: from first to last, 60 a piece."""
    local = np.flatnonzero(here)
    total = 0
    while local.size:
        span = local[local < local[0] + 60]
        total += int(span[-1] - span[0]) + 1
        local = local[span.size :]
    broken = local_runs(np.flatnonzero(here))
    return total if total_bits_filled(here, width) <= sum(16 + n * width for n in broken) else int(here.sum())


def local_runs(local: np.ndarray) -> list[int]:
    return [
        len(piece[i : i + 60])
        for piece in np.split(local, np.flatnonzero(np.diff(local) > 1) + 1)
        for i in range(0, len(piece), 60)
        if len(piece)
    ]


def total_bits_filled(here: np.ndarray, width: int) -> int:
    local, bits = np.flatnonzero(here), 0
    while local.size:
        span = local[local < local[0] + 60]
        bits += 16 + (int(span[-1] - span[0]) + 1) * width
        local = local[span.size :]
    return bits


def recount(network: Network, mapping: Mapping, activity: Activity) -> dict[str, dict[tuple, int]]:
    """Walk over every spike, every core and every projection."""
    total: dict[str, dict[tuple, int]] = defaultdict(lambda: defaultdict(int))
    where = {
        (name, int(n)): i for i, load in enumerate(mapping.cores) for name, own in load.neurons.items() for n in own
    }
    synapses = {p.name: unrolled(p) for p in network.projections}
    shared = {f.name: f.stores_zeros for f in mapping.chip.synapse_format if f.connection == "shared"}
    for name, events in activity.spikes.items():
        for sample, step, neuron in zip(events.sample.tolist(), events.step.tolist(), events.neuron.tolist()):
            origin = where.get((name, neuron))
            if origin is not None:
                total["fired"][sample, step, origin] += 1
            for i, load in enumerate(mapping.cores):
                reached = False
                for p in network.projections:
                    if p.source != name or p.target not in load.neurons:
                        continue
                    places, nonzero = (table[load.neurons[p.target], neuron] for table in synapses[p.name])
                    total["effective"][()] += int(nonzero.sum())
                    fmt = load.formats[p.name]
                    here = places if shared.get(fmt) else nonzero
                    if here.any():
                        read = (
                            filled(here, load.weight_bits[p.name] + p.max_delay.bit_length())
                            if fmt == "dense"
                            else int(here.sum())
                        )
                        total[f"synop.{fmt}"][sample, step, i] += read
                        reached = True
                if reached:
                    total["messages_in"][sample, step, i] += 1
                    if origin is not None:
                        home = mapping.cores[origin]
                        total["messages_out"][sample, step, origin] += 1
                        if home.chip != load.chip:
                            total["crossings"][sample, step, origin] += 1
                        elif home.x is not None:
                            total["hops_ew"][sample, step, origin] += abs(home.x - load.x)
                            total["hops_ns"][sample, step, origin] += abs(home.y - load.y)
    return total


def as_sparse(array: np.ndarray) -> dict[tuple, int]:
    return {tuple(int(i) for i in at): int(array[tuple(at)]) for at in np.argwhere(array)}


def without_zeros(counts: dict[tuple, int]) -> dict[tuple, int]:
    return {at: n for at, n in counts.items() if n}


def run(network: Network, mapping: Mapping, seed: int, rate: float = 0.2) -> Activity:
    rng = np.random.default_rng(seed)
    raster = rng.random((3, 6, network.inputs[0].size)) < rate
    given = samples(raster)
    return run_reference(network, given, labels=mapping.core_labels())


def check(network: Network, mapping: Mapping, activity: Activity) -> None:
    (counts,) = count_events(network, mapping, activity)
    expected = recount(network, mapping, activity)
    for name in ("fired", "messages_in", "messages_out", "crossings"):
        assert as_sparse(getattr(counts, name)) == without_zeros(expected[name]), name
    for fmt, amount in counts.synops.items():
        assert as_sparse(amount) == without_zeros(expected[f"synop.{fmt}"]), fmt
    assert {f"synop.{f}" for f, a in counts.synops.items() if a.any()} == {
        n for n in expected if n.startswith("synop.")
    }
    if counts.hops_ew is not None:
        assert as_sparse(counts.hops_ew) == without_zeros(expected["hops_ew"])
        assert as_sparse(counts.hops_ns) == without_zeros(expected["hops_ns"])
    assert counts.effective == expected["effective"][()]
    assert sum(len(e) for e in activity.spikes.values()) > 200


@pytest.mark.parametrize("density", [0.05, 0.3, 0.95])
@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_counts_of_matrices_equal_the_recount(chip: str, density: float) -> None:
    network = layered(1, density, delay=1 if chip == "loihi1" else 0)
    mapping = map_network(network, small_cores(chip, 7))
    assert len(mapping.cores) >= 11
    check(network, mapping, run(network, mapping, 2))


def test_counts_in_the_dense_format_include_filled_in_zeros() -> None:
    network = layered(1, 0.95)
    mapping = map_network(network, small_cores("loihi1", 20))
    assert "dense" in {fmt for load in mapping.cores for fmt in load.formats.values()}
    activity = run(network, mapping, 2)
    check(network, mapping, activity)
    (counts,) = count_events(network, mapping, activity)
    assert sum(int(a.sum()) for a in counts.synops.values()) > counts.effective


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_counts_of_convolutions_and_pools_equal_the_recount(chip: str) -> None:
    network = convolutional(3)
    mapping = map_network(network, small_cores(chip, 50))
    check(network, mapping, run(network, mapping, 4))


def test_messages_between_chips_are_crossings_without_hops() -> None:
    network = layered(1, 0.3)
    mapping = map_network(network, small_cores("loihi1", 7, chips=4))
    assert mapping.n_chips == 3
    activity = run(network, mapping, 2)
    check(network, mapping, activity)
    (counts,) = count_events(network, mapping, activity)
    assert counts.crossings.any()


def test_relay_neurons_send_on_what_the_host_hands_them() -> None:
    network = layered(1, 0.3, delay=0)
    mapping = map_network(network, small_cores("loihi1", 7))
    relay = CoreLoad(
        **{"chip": 0, "core": 127, "tile": 31, "x": 7, "y": 3, "neurons": {"in": np.arange(25)}},
        **{"words": {}, "formats": {}, "weight_bits": {}, "stored": {}, "used": {"neurons": 25}},
    )
    relayed = replace(mapping, cores=(*mapping.cores, relay), sizes={"in": 25, **mapping.sizes}, inputs="relay")
    activity = run(network, mapping, 2)
    check(network, relayed, activity)
    (with_host,), (counts,) = count_events(network, mapping, activity), count_events(network, relayed, activity)
    sent = len(activity.spikes["in"])
    last = len(mapping.cores)
    assert counts.fired[..., last].sum() == sent == counts.host_in == with_host.host_in
    assert counts.updated[..., last].sum() == sent
    assert np.array_equal(counts.updated[..., :last], with_host.updated)
    assert counts.messages_out[..., last].sum() > 0
    assert with_host.messages_out.sum() == counts.messages_out.sum() - counts.messages_out[..., last].sum()


def test_stored_zeros_of_a_dense_process_are_read_and_charged() -> None:
    network = layered(1, 0.3, delay=0)
    mapping = map_network(network, load_chip("loihi2"), store_zeros=True)
    activity = run(network, mapping, 2)
    (counts,) = count_events(network, mapping, activity)
    spikes = {name: len(events) for name, events in activity.spikes.items()}
    dense = spikes["in"] * (40 + 30) + spikes["b"] * 30
    a_b = sum(
        int(network.projections[1].synapses.start[n + 1] - network.projections[1].synapses.start[n])
        for n in activity.spikes["a"].neuron
    )
    assert int(counts.synops["fc"].sum()) == dense + a_b
    assert counts.effective < dense + a_b


def test_chunks_of_samples_give_the_counts_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = layered(1, 0.3)
    mapping = map_network(network, small_cores("loihi1", 7))
    activity = run(network, mapping, 2)
    (whole,) = count_events(network, mapping, activity)
    monkeypatch.setattr("neurodeploy.costs.counts._CHUNK_BYTES", 1)
    parts = list(count_events(network, mapping, activity))
    assert [part.first_sample for part in parts] == [0, 1, 2]
    for name in ("fired", "updated", "messages_in", "messages_out", "hops_ew", "hops_ns"):
        assert np.array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))
    assert sum(p.effective for p in parts) == whole.effective


def test_counted_updates_lie_between_the_bounds_that_are_used_without_them() -> None:
    network = layered(1, 0.3)
    mapping = map_network(network, small_cores("loihi1", 7))
    activity = run(network, mapping, 2)
    bare = Activity(engine="x", network=network.fingerprint, n_steps=activity.n_steps, spikes=activity.spikes)
    (counted,), (bounds,) = count_events(network, mapping, activity), count_events(network, mapping, bare)
    assert np.array_equal(counted.updated, counted.updated_low)
    assert np.all(bounds.updated_low <= counted.updated)
    assert np.all(counted.updated <= bounds.updated)
