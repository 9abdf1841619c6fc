"""How long ``estimate`` takes; run with ``pytest tests/benchmarks/bench_estimate.py``."""

from __future__ import annotations

import time

import numpy as np
import pytest

from neurodeploy.chip import chip_from_dict, load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Activity, Events

N_SPIKES = 10_000_000


def network() -> Network:
    rng = np.random.default_rng(0)
    model = Cuba(current_decay=1024, voltage_decay=128, threshold=100)
    sizes = {"in": 700, "hidden1": 1024, "hidden2": 1024, "out": 20}
    names = list(sizes)
    projections = []
    for source, target in zip(names, names[1:]):
        shape = (sizes[target], sizes[source])
        weights = (rng.random(shape) < 0.1) * rng.integers(1, 100, shape)
        projections.append(
            Projection(name=target, source=source, target=target, synapses=Dense(weights=weights.astype(np.int16)))
        )
    return Network(
        inputs=(Input(name="in", shape=(700,)),),
        populations=tuple(
            Population(name=n, shape=(sizes[n],), model=model, first_step=i) for i, n in enumerate(names) if i
        ),
        projections=tuple(projections),
        outputs=(Output(name="answer", population="out"),),
    )


def activity(net: Network, n_samples: int = 400, n_steps: int = 100) -> Activity:
    """Spikes at one rate everywhere, ten million in all."""
    rng = np.random.default_rng(1)
    total = sum(net.sizes.values())
    rate = N_SPIKES / (total * n_samples * n_steps)
    spikes = {
        name: Events.from_dense(rng.random((n_samples, n_steps, size), np.float32) < rate)
        for name, size in net.sizes.items()
    }
    return Activity(engine="synthetic", network=net.fingerprint, n_steps=n_steps, spikes=spikes)


@pytest.fixture(scope="module", params=[1024, 32], ids=["few-cores", "many-cores"])
def case(request: pytest.FixtureRequest) -> tuple[Network, Mapping, Activity]:
    net = network()
    data = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
    data["cores"]["neurons"]["value"] = request.param
    return net, map_network(net, chip_from_dict(data)), activity(net)


@pytest.mark.benchmark(timer=time.process_time)
def test_estimate_of_ten_million_spikes_takes_under_two_seconds(benchmark, case) -> None:
    assert sum(len(events) for events in case[2].spikes.values()) == pytest.approx(N_SPIKES, rel=0.01)
    cost = benchmark.pedantic(estimate, args=case, kwargs={"step_period_s": 1e-3}, rounds=3)
    assert cost.counts["spike_out"] > 0.7 * N_SPIKES
    assert benchmark.stats.stats.min < 2.0
