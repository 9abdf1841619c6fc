"""What knows only binary spikes of CUBA neurons refuses other kinds with one message; what simulates them takes them."""

import numpy as np
import pytest
from building import chain

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.decoding import decode
from neurodeploy.engines.faults import measure_robustness
from neurodeploy.engines.table import simulate
from neurodeploy.errors import NetworkError, SimulationError
from neurodeploy.exchange.netx.write import to_netx
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import (
    Cuba,
    Delta,
    Network,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    difference,
    is_spiking,
)
from neurodeploy.network.activity import Activity, Events, Samples, load_activity, save_activity
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.proofs.proof import make_proof

CUBA = Cuba(current_decay=4096, voltage_decay=4096, threshold=1)
RF = ResonateAndFire(sin_decay=4096, cos_decay=0, threshold=64)


def network(model, *, component="real", weights=((2, 4), (6, 8)), **settings) -> Network:
    driven = {"hidden": {"component": component}}
    return chain({"hidden": weights}, model, wire="w", more=driven, **settings)


def values(*raster, graded=True, labels=None) -> Samples:
    events = Events.from_dense(np.array(raster)[None], graded=graded)
    return Samples(inputs={"in": events}, labels=labels)


STAGES = {
    "export": lambda net, _: to_nir(net),
    "netx": lambda net, path: to_netx(net, path / "a.net"),
    "map": lambda net, _: map_network(net, load_chip("loihi2")),
    "estimate": lambda net, _: estimate(net, map_network(network(CUBA), load_chip("loihi2"))),
    "faults": lambda net, _: list(
        measure_robustness(net, values((0, 1), graded=False, labels=[0]), fault="drop", rates=[0.0], run=simulate)
    ),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (RF, "resonate-and-fire"),
        (Sigma(), "sigma"),
        (Delta(threshold=1), "delta"),
        (SigmaDelta(threshold=1), "sigma-delta"),
    ],
)
def test_other_neurons_are_refused_in_the_name_of_the_stage(stage, model, kind, tmp_path):
    with pytest.raises(NetworkError, match=f"^{stage}: population 'hidden' has {kind} neurons; {stage} knows CUBA"):
        STAGES[stage](network(model), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", STAGES)
def test_graded_input_is_refused_in_the_name_of_the_stage(stage, tmp_path):
    with pytest.raises(NetworkError, match=f"^{stage}: input 'in' is graded; {stage} knows binary spikes only"):
        STAGES[stage](network(CUBA, graded=True), tmp_path)


def test_a_spiking_network_is_told_from_the_others():
    assert is_spiking(network(CUBA))
    assert not is_spiking(network(CUBA, graded=True))
    assert not is_spiking(network(RF))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": CUBA, "component": "imag"}, "'w' drives the imaginary state of 'hidden', which has none"),
        ({"model": RF, "component": "phase"}, "component is 'phase'; known: real, imag"),
    ],
)
def test_components_that_do_not_exist(given, message):
    with pytest.raises(NetworkError, match=message):
        network(**given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResonateAndFire(sin_decay=4097, cos_decay=0, threshold=1), "sin_decay is 4097, outside -4096..4096"),
        (lambda: ResonateAndFire(sin_decay=0, cos_decay=0, threshold=0), "threshold is 0, outside 1.."),
        (lambda: SigmaDelta(threshold=1, activation="tanh"), "activation is 'tanh'; known: none, relu"),
        (lambda: SigmaDelta(threshold=1, bias=2**23), "bias is 8388608, outside"),
        (lambda: Delta(threshold=1, state_exponent=13), "state_exponent is 13, outside 0..12"),
        (lambda: Delta(threshold=1, spike_exponent=[1, 2]), "spike_exponent must be one whole number"),
    ],
)
def test_parameters_out_of_range(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def test_each_new_property_changes_the_fingerprint():
    base = network(RF, graded=True)
    others = [network(RF), network(RF, graded=True, component="imag"), network(CUBA, graded=True)]
    assert len({net.fingerprint for net in [base, *others]}) == 4
    assert difference(base, others[0]) == "input 'in' graded against input 'in'"
    assert difference(base, network(RF, graded=True)) is None


def test_graded_activity_survives_its_file(tmp_path):
    given = values((3, 0), (-7, 2**31 - 1))
    activity = simulate(network(Delta(threshold=1), graded=True), given)
    save_activity(activity, tmp_path / "a.npz")
    back = load_activity(tmp_path / "a.npz")
    assert isinstance(back, Activity)
    for name, events in activity.spikes.items():
        assert np.array_equal(back.spikes[name].to_dense(), events.to_dense())
    assert back.spikes["hidden"].to_dense()[0, 1].tolist() == [6, 18]


def test_class_is_read_from_messages():
    """Changes of 6 and 18, then of 12 and 24, add up to 18 and 42; a Sigma of -3 and 2 holds 2 and -2."""
    raster = (3, 0), (0, 3), (0, 0)
    assert decode(
        network(SigmaDelta(threshold=1), graded=True, decoding="sum"), _run(SigmaDelta(threshold=1), raster)
    ) == [1]
    falling = ((-3, 2),)
    assert decode(network(Sigma(), graded=True, decoding="last_message"), _run(Sigma(), falling)) == [0]


def _run(model, raster) -> Activity:
    return simulate(network(model, graded=True), values(*raster))


def test_verify_compares_payloads_and_says_that_it_knows_no_cause():
    net = network(SigmaDelta(threshold=1), graded=True)
    given = values((3, 0), (0, 1))
    ours = simulate(net, given, engine="reference")
    hidden = ours.spikes["hidden"]
    other = Activity(
        engine="other",
        network=ours.network,
        n_steps=ours.n_steps,
        spikes={**ours.spikes, "hidden": Events.from_dense(hidden.to_dense() + (hidden.to_dense() == 6), graded=True)},
    )
    proof = make_proof(net, given, [ours, other], compare_activities([ours, other]))
    assert proof["first_difference"]["values"] == (6, 7)
    assert proof["diagnosis"]["cause"] == "unknown"
    assert "sigma-delta" in proof["diagnosis"]["why"]


def test_numbers_are_no_spikes():
    with pytest.raises(SimulationError, match=r"a raster holds 0 and 1, this one 0..3; pass graded=True"):
        values((3, 0), graded=False)
