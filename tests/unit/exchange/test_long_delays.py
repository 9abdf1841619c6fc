"""Delays of a NIR graph beyond what a synapse holds: relay neurons where the user allows them, a message that says how."""

import nir
import numpy as np
import pytest
from building import one_layer, samples

from neurodeploy import Cuba, commands, from_nir, load_chip, map_network, simulate, to_nir, with_relays
from neurodeploy.commands.inputs import load_network
from neurodeploy.errors import FitError, NirError
from neurodeploy.network import difference

N = 4
W = np.array([[2, 0, -1, 1], [1, 1, 1, 0], [0, 2, 1, 1]]) * 64 / 64
X = (np.random.default_rng(3).random((2, 40, N)) < 0.4).astype(np.uint8)


def graph(before, after=None):
    """A layer behind a Delay of so many steps of 1 ms; ``after``: one behind its weights, for each target."""
    nodes = {
        "input": nir.Input(np.array([N])),
        "delay": nir.Delay(np.broadcast_to(np.asarray(before) * 1e-3, (N,)).copy()),
        "w": nir.Linear(W),
        "if": nir.IF(r=np.full(3, 1e3), v_threshold=np.full(3, 1.5), v_reset=np.zeros(3)),
        "output": nir.Output(np.array([3])),
    }
    way = ["input", "delay", "w", "if", "output"]
    if after is not None:
        nodes["late"] = nir.Delay(np.asarray(after) * 1e-3)
        way.insert(3, "late")
    return nir.NIRGraph(nodes, list(zip(way, way[1:])))


def output(network, raster, n_steps=200):
    return simulate(network, samples({"input": raster}), n_steps=n_steps).spikes["if"].to_dense()


@pytest.mark.parametrize("max_delay", [0, 7, 62])
def test_a_constant_delay_moves_all_spikes_by_as_many_steps(max_delay):
    network = from_nir(graph(100), dt=1e-3, max_delay=max_delay)
    assert max(p.max_delay for p in network.projections) <= max_delay
    plain = output(from_nir(graph(0), dt=1e-3), X)
    assert plain.any()
    late = output(network, X)
    assert np.array_equal(late[:, 100:], plain[:, :100])
    assert not late[:, :100].any()


def test_delays_of_sources_and_targets_come_as_written():
    """The witness gets each input channel later by hand, and reads each output later by hand."""
    before, after = [0, 70, 130, 5], [0, 90, 3]
    network = from_nir(graph(before, after), dt=1e-3, max_delay=20)
    shifted = np.zeros((2, 400, N), np.uint8)
    for channel, steps in enumerate(before):
        shifted[:, steps : steps + 40, channel] = X[:, :, channel]
    plain = output(from_nir(graph(0), dt=1e-3), shifted, 400)
    late = output(network, X, 500)
    for neuron, steps in enumerate(after):
        assert np.array_equal(late[:, steps : steps + 400, neuron], plain[:, :, neuron])
        assert plain[:, :, neuron].any()


def test_the_message_names_the_option():
    with pytest.raises(NirError, match=r"a delay of 100 steps from 'input' to 'if', the limit is 62; .*"
                       r"neurodeploy export FILE --max-delay 62 --out NEW \(in Python max_delay=62\)"):  # fmt: skip
        from_nir(graph(100), dt=1e-3)


@pytest.mark.parametrize(("chip", "most"), [("speck2f", 0), ("loihi1", None)])
def test_a_chip_that_stores_no_such_delay_names_the_option_and_takes_the_file(chip, most, tmp_path):
    network = one_layer(np.full((2, 3), 10), Cuba(current_decay=4096, voltage_decay=100, threshold=5), delay=20)
    to_nir(network, tmp_path / "a.nir")
    if most is None:
        assert commands.map(tmp_path / "a.nir", chip=chip)[0].fits
        return
    with pytest.raises(FitError, match=f"neurodeploy export FILE --max-delay {most} --out NEW"):
        map_network(network, load_chip(chip))
    commands.export(tmp_path / "a.nir", out=tmp_path / "b.nir", max_delay=most)
    relayed = load_network(tmp_path / "b.nir")
    assert all(p.max_delay == 0 for p in relayed.projections)
    assert "delays of up to 20 steps" not in str(map_refusal(relayed, chip))


def map_refusal(network, chip):
    try:
        map_network(network, load_chip(chip))
    except FitError as error:
        return error
    return None


def test_a_file_with_relays_gives_the_same_network_back(tmp_path):
    network = from_nir(graph([0, 70, 130, 5], [0, 90, 3]), dt=1e-3, max_delay=20)
    to_nir(network, tmp_path / "a.nir")
    assert difference(network, from_nir(tmp_path / "a.nir")) is None
    again = from_nir(tmp_path / "a.nir", max_delay=3)
    assert difference(again, with_relays(network, 3)) is None


@pytest.mark.parametrize("suffix", [".nir", ".nd5"])
def test_export_puts_relays_in_and_says_so(suffix, tmp_path):
    nir.write(tmp_path / "long.nir", graph(100))
    result = commands.export(tmp_path / "long.nir", out=tmp_path / f"new{suffix}", dt=1e-3, max_delay=62)
    what = "delays of up to 100 steps through 4 relay neurons in 1 population (input_relay1, ...)"
    assert {"where": "input", "what": what, "size": "no spike differs"} in result["ledger"]
    expected = output(from_nir(graph(100), dt=1e-3, max_delay=62), X)
    assert np.array_equal(output(load_network(tmp_path / f"new{suffix}"), X), expected)


def test_floats_stand_beside_a_network_with_relays(tmp_path):
    from neurodeploy import save_samples

    nir.write(tmp_path / "long.nir", graph(100))
    save_samples(samples({"input": X}), tmp_path / "x.npz")
    result = commands.export(
        tmp_path / "long.nir", out=tmp_path / "new.nir", dt=1e-3, max_delay=62, data=tmp_path / "x.npz"
    )
    assert result["beside_floats"]["differing"] == {"if": 0}
