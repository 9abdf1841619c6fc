"""Intel's recorded ground truth for resonators and sigma-delta neurons, in lava-dl's wheel, on three engines.

Parameters are those of ``test_blocks.py`` and ``test_hdf5.py`` in ``tests/lava/lib/dl/netx`` of lava-dl 0.6.0. The blocks of
``tinynet_sdnn`` were recorded with ``num_message_bits = 0``: every message that is not 0 counts as one spike there.
"""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
from building import connect, samples, wired

from neurodeploy.engines.table import simulate
from neurodeploy.exchange.netx.read import from_netx
from neurodeploy.network import (
    Conv,
    Delta,
    Dense,
    Input,
    Network,
    NeuronModel,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    Sparse,
)
from neurodeploy.network.activity import Events, Samples

ENGINES = ["reference", "event", pytest.param("lava-in-process", marks=pytest.mark.lava)]


@pytest.fixture(scope="module")
def files() -> Path:
    try:
        found = Path(distribution("lava-dl").locate_file("tests/lava/lib/dl/netx/gts"))
    except PackageNotFoundError:
        pytest.skip("lava-dl is not installed")
    if not (found / "complex_dense" / "in.npy").is_file():
        pytest.skip(f"this lava-dl brings no recordings ({found})")
    return found


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    if request.param.startswith("lava"):
        pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    return request.param


def resonator(period: float, alpha: float, vth: float, *, reset: bool) -> ResonateAndFire:
    """Integers from Lava's arguments, cut towards zero as in ``proc/rf/process.py`` (state_exp 6, decay_bits 12)."""
    sine, cosine = ((1 - alpha) * f(np.pi * 2 / period) for f in (np.sin, np.cos))
    return ResonateAndFire(
        sin_decay=int(sine * 4096), cos_decay=int(cosine * 4096), threshold=int(vth * 64), reset=reset
    )


def layer(model: NeuronModel, shape: tuple[int, ...], source: Input, **components: object) -> Network:
    projections = [connect("in", "layer", synapses, name, component=name) for name, synapses in components.items()]
    graded = [source.name] if source.graded else []
    return wired({source.name: source.shape}, {"layer": (shape, model)}, projections, graded=graded)


def starting_at(first_step: int, network: Network) -> Network:
    """The network with all populations updated from one step on, as netx runs it."""
    return replace(network, populations=[replace(p, first_step=first_step) for p in network.populations])


def one_each(n: int) -> Sparse:
    """One synapse of weight 1 from each channel to its neuron."""
    return Sparse(n_target=n, start=np.arange(n + 1), target=np.arange(n), weights=np.ones(n, np.int64))


def messages(network: Network, raster: np.ndarray, engine: str, population: str = "layer", n_steps=None) -> np.ndarray:
    """What a population sends, ``(n_steps, size)``, for one input raster of that form."""
    graded = network.inputs[0].graded
    events = Events.from_dense(raster[None].astype(np.int64 if graded else bool), graded=graded)
    samples = Samples(inputs={network.inputs[0].name: events})
    return simulate(network, samples, engine=engine, n_steps=n_steps).spikes[population].to_dense()[0]


def steps_first(recording: np.ndarray) -> np.ndarray:
    """(x, y, channel, step) or (neuron, step) as (step, neuron) in C order of (channel, y, x)."""
    return recording.T.reshape(recording.shape[-1], -1).astype(np.int64)


def test_izhikevich_resonators_have_every_spike(files, engine):
    """200 neurons, each driven in both components by its own input, which arrives there one step earlier than here."""
    model = resonator(7, 0.05, 1.1, reset=True)
    network = layer(model, (200,), Input(name="in", shape=(200,)), real=one_each(200), imag=one_each(200))
    raster = steps_first(np.load(files / "complex_dense/in.npy"))
    recorded = steps_first(np.load(files / "complex_dense/current.npy"))
    ours = messages(network, raster, engine)
    np.testing.assert_array_equal(ours[1 : len(recorded)], recorded[:-1])
    assert recorded.sum() > 500


def test_resonators_with_complex_weights_have_every_spike(files, engine):
    model = resonator(11, 0.05, 25, reset=False)
    weights = {
        part: Dense(weights=np.load(files / f"complex_dense/weight_{file}.npy").astype(np.int64))
        for part, file in (("real", "r"), ("imag", "img"))
    }
    network = layer(model, (256,), Input(name="in", shape=(200,)), **weights)
    recorded = steps_first(np.load(files / "complex_dense/out.npy"))
    ours = messages(network, steps_first(np.load(files / "complex_dense/in.npy")), engine)
    np.testing.assert_array_equal(ours[: len(recorded)], recorded)
    assert recorded.sum() > 500


def test_delta_encoder_has_every_message(files, engine):
    values = np.load(files / "tinynet_sdnn/input_bias.npy")[..., None]
    values = (np.repeat(values, 15, axis=3) * np.sin(2 * np.pi * np.arange(15) / 15)).astype(int)
    model = Delta(threshold=20 << 12, spike_exponent=6, state_exponent=6)
    source = Input(name="in", shape=(3, 16, 16), payload_bits=32, signed=True)
    network = layer(model, (3, 16, 16), source, real=one_each(768))
    recorded = steps_first(np.load(files / "tinynet_sdnn/input.npy"))
    ours = messages(network, steps_first(values), engine)
    np.testing.assert_array_equal(ours[1:], recorded)
    assert np.count_nonzero(recorded) > 1000


def test_sigma_delta_convolution_has_every_message(files, engine):
    kernel = np.load(files / "tinynet_sdnn/layer1_kernel.npy")  # channel out, x, y, channel in, as Lava convolves
    conv = Conv(weights=kernel.transpose(0, 3, 2, 1)[:, :, ::-1, ::-1], input_shape=(3, 16, 16), stride=(2, 2))
    bias = np.load(files / "tinynet_sdnn/layer1_bias.npy") << 12
    model = SigmaDelta(
        threshold=20 << 12, bias=np.broadcast_to(bias[:, None, None], conv.output_shape), state_exponent=6
    )
    network = layer(model, conv.output_shape, Input(name="in", shape=(3, 16, 16)), real=conv)
    network = starting_at(0, network)  # the bias acts before anything arrives
    recorded = steps_first(np.load(files / "tinynet_sdnn/layer1.npy"))
    ours = messages(network, steps_first(np.load(files / "tinynet_sdnn/input.npy")) != 0, engine, n_steps=16)
    np.testing.assert_array_equal(ours, recorded)
    assert np.count_nonzero(recorded) > 100


def test_sigma_output_has_every_message(files, engine):
    weights = np.load(files / "tinynet_sdnn/layer2_weight.npy")
    network = layer(Sigma(), (100,), Input(name="in", shape=(864,)), real=Dense(weights=weights))
    recorded = steps_first(np.load(files / "tinynet_sdnn/layer2.npy"))
    # the file has its neurons in the order x, y, channel here
    raster = np.load(files / "tinynet_sdnn/layer1.npy").reshape(864, 16).T
    ours = messages(network, raster != 0, engine)
    np.testing.assert_array_equal(ours[:16], recorded)
    assert np.count_nonzero(recorded) > 500


def test_sigma_delta_pilotnet_has_its_recorded_output(files, engine):
    """Nine layers, 100x33x3, the same values in every step. All layers begin at once; the encoder's values arrive a step
    later here than there."""
    network = starting_at(1, from_netx(files / "pilotnet_sdnn/network.net"))
    values = np.repeat(steps_first(np.load(files / "pilotnet_sdnn/input.npy")), 9, axis=0)
    recorded = np.load(files / "pilotnet_sdnn/output.npy")[0].astype(np.int64)
    ours = messages(network, values, engine, network.populations[-1].name, n_steps=10)
    np.testing.assert_array_equal(ours[1:, 0], recorded)
    assert np.count_nonzero(recorded) == 8


def test_sigma_delta_pilotnet_has_the_recorded_states_of_four_convolutions(files, engine):
    """The square network from its encoder's recorded messages on; upstream compares these states with a Loihi 2 chip."""
    network = starting_at(0, from_netx(files / "pilotnet_sdnn/square_network.net", n_layers=5, encode_input=False))
    values = steps_first(np.load(files / "pilotnet_sdnn/act0.npy")[:33, :33])[:5]
    given = samples(values[None], "input", graded=True)
    probe = [(p.name, "sigma") for p in network.populations]
    activity = simulate(network, given, engine=engine, n_steps=5, probe=probe)
    for i, population in enumerate(network.populations, start=1):
        recorded = steps_first(np.load(files / f"pilotnet_sdnn/sigma{i}_square.npy"))[:5]
        np.testing.assert_array_equal(activity.states[population.name, "sigma"][0], recorded, err_msg=population.name)
