"""The C program of a network on emulated processors: the spikes of the reference, counted instructions, measured bytes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from building import chain, neuron, spikes
from building import samples as samples_of
from emulated import core, every_core, m4
from random_networks import random_network

from neurodeploy.engines.decoding import decode
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import FitError, NetworkError, SimulationError, UsageError
from neurodeploy.network import Conv, LeakyIntegrator, Network
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.tables import plan_tables
from neurodeploy.targets.c import emulation
from neurodeploy.targets.c.cores import missing_tools, needed_tools
from neurodeploy.targets.c.emulation import emulate


def matrix(seed: int, n_target: int, n_source: int, density: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-90, 128, (n_target, n_source)) * 2
    return np.where(rng.random(weights.shape) < density, weights, 0)


def small() -> Network:
    """Return a layer in lanes, a sparse one with delays, and a read-out of voltages."""
    return chain(
        {"hidden": matrix(1, 20, 12, 1.0), "late": matrix(2, 30, 20, 0.3), "out": matrix(3, 4, 30, 0.5)},
        {"out": LeakyIntegrator(current_decay=700, voltage_decay=300)},
        more={"late": {"delay": np.arange(20) % 4}},
        decoding="last_voltage",
    )


@every_core
def test_every_spike_voltage_and_class_is_that_of_the_reference(name: str) -> None:
    network, samples = small(), spikes((3, 25, 12))
    expected = run_reference(network, samples, probe=readouts(network))
    found = emulate(network, samples, name, probe=readouts(network))
    compared = compare_activities([expected, found.activity], readouts(network))
    assert compared.equal
    assert compared.spikes_compared > 1000
    assert found.classes[:, 0].tolist() == decode(network, expected).tolist()


@m4
def test_a_network_with_payloads_and_an_image_runs_as_the_reference(name: str) -> None:
    kernel = np.random.default_rng(4).integers(-60, 90, (3, 2, 3, 3))
    conv = Conv(weights=kernel, input_shape=(2, 6, 6), padding=(1, 1), stride=(2, 2))
    network = chain({"image": conv, "out": matrix(5, 5, 27, 0.4)}, neuron(threshold=400), graded=8, shape=(2, 6, 6))
    rng = np.random.default_rng(6)
    raster = rng.integers(1, 256, (2, 12, 72)) * (rng.random((2, 12, 72)) < 0.2)
    given = samples_of(raster, graded=True)
    compared = compare_activities([run_reference(network, given), emulate(network, given, name).activity], ())
    assert compared.equal
    assert compared.spikes_compared > 200


@m4
def test_bytes_are_those_of_the_layout_and_code_and_instructions_grow_with_the_events(name: str) -> None:
    network = small()
    layout = plan_tables(network)
    quiet, busy = (emulate(network, spikes((2, 10, 12), rate), name) for rate in (0.01, 0.6))
    assert quiet.size == busy.size
    assert busy.size.ram == layout.ram_bytes
    assert layout.flash_bytes + 200 < busy.size.flash < layout.flash_bytes + 4000
    assert 0 < quiet.instructions.min() < quiet.instructions.mean() < busy.instructions.mean() / 1.5
    told = busy.to_json()
    assert told["instructions"]["step_worst"] == busy.instructions.max()
    assert told["instructions"]["sample_mean"] == pytest.approx(busy.instructions.sum() / 2)
    assert set(told["sources"]) == {"network.c", "network.h", "network_tables.h"}
    assert (told["core"], told["flash_bytes"], told["ram_bytes"]) == ("cortex-m4", busy.size.flash, busy.size.ram)


@m4
def test_counts_are_exact_and_the_same_in_every_run(name: str) -> None:
    network, samples = small(), spikes((2, 10, 12))
    first, second = (emulate(network, samples, name).instructions for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_tools("cortex-m0")), reason=f"tools not found; {needed_tools('cortex-m0')}")
def test_a_network_beyond_the_boards_memory_is_refused() -> None:
    network = chain([matrix(1, 3000, 20, 0.1)])
    with pytest.raises(FitError, match=r"needs [0-9,]+ bytes of RAM, but the emulated board 'microbit' of 'cortex-m0'"):
        emulate(network, spikes((1, 3, 20)), "cortex-m0")


@m4
def test_a_step_beyond_the_counter_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, samples = small(), spikes((1, 4, 12))
    run = emulation._run

    def overrun(*args: object, **options: object) -> object:
        told = run(*args, **options)
        return dataclasses.replace(told, ticks=np.full_like(told.ticks, 0xFFFFFFFF))

    monkeypatch.setattr(emulation, "_run", overrun)
    with pytest.raises(SimulationError, match="a step on 'cortex-m4' takes more instructions than the timer"):
        emulate(network, samples, name)


@m4
def test_only_voltages_can_be_recorded(name: str) -> None:
    with pytest.raises(UsageError, match=r"only voltages \('v'\) can be recorded on a processor, not 'u'"):
        emulate(small(), spikes((1, 3, 12)), name, probe=[("hidden", "u")])


@m4
def test_neurons_that_the_target_lacks_are_refused(name: str) -> None:
    with pytest.raises(NetworkError, match="resonate-and-fire neurons"):
        emulate(chain([matrix(1, 3, 4, 1.0)], neuron("resonate_and_fire")), spikes((1, 3, 4)), name)


def test_an_unknown_processor_is_refused_with_the_known_ones() -> None:
    samples: Samples = spikes((1, 3, 12))
    with pytest.raises(UsageError, match="there is no processor 'z80'; known: cortex-m0, "):
        emulate(small(), samples, "z80")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [core(name) for name in ("cortex-m0", "cortex-m4", "cortex-m7", "cortex-m55", "rv32imc")]
)
def test_twenty_random_networks_are_the_reference_spike_by_spike(name: str) -> None:
    compared = 0
    for seed in range(20):
        network, samples = random_network(seed)
        probe = readouts(network)
        expected = run_reference(network, samples, probe=probe)
        found = emulate(network, samples, name, probe=probe)
        result = compare_activities([expected, found.activity], probe)
        assert result.equal, (seed, result.first_difference)
        assert found.size.ram == plan_tables(network).ram_bytes
        for i, output in enumerate(network.outputs):
            if not decoding_needs_probe(network, output.name, expected):
                assert found.classes[:, i].tolist() == decode(network, expected, output.name).tolist(), (
                    seed,
                    output.name,
                )
        compared += result.spikes_compared
    assert compared > 3000


def decoding_needs_probe(network: Network, output: str, activity: Activity) -> bool:
    """Return whether the class of an output is read from a voltage that the run did not record."""
    found = next(o for o in network.outputs if o.name == output)
    return found.decoding == "last_voltage" and (found.population, "v") not in activity.states
