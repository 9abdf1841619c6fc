"""Which stage takes which kind of neuron, reset and input: the table, with the reason where a stage refuses one.

A stage that learns to take something leaves its entry out of ``REFUSED``; a new stage is one more row of ``STAGES``. Beside
it: records of these kinds with wrong parameters, and what they do to fingerprints, files of activities, decoding and proofs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from building import chain, neuron, one_layer

from neurodeploy.chip import Chip, chip_from_dict, load_chip
from neurodeploy.costs.neurobench import neurobench_metrics
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.decoding import decode, decoding_probes
from neurodeploy.engines.faults import measure_robustness
from neurodeploy.engines.table import simulate
from neurodeploy.errors import EstimateError, FitError, LavaError, NetworkError, NeurodeployError, SimulationError
from neurodeploy.exchange.formats import write_network
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import (
    Cuba,
    Delta,
    Network,
    NeuronModel,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    difference,
    sends_spikes_only,
)
from neurodeploy.network.activity import Activity, Events, Samples, load_activity, save_activity
from neurodeploy.network.neurons import NEURON_KINDS, RESETS
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.proofs.proof import make_proof
from neurodeploy.reports.facts import network_facts, raster_facts
from neurodeploy.reports.writing import make_report, text_report
from neurodeploy.targets.sanafe.write import sanafe_files

CUBA = Cuba(current_decay=4096, voltage_decay=4096, threshold=1)
RF = ResonateAndFire(sin_decay=4096, cos_decay=0, threshold=64)


def network(model, *, component="real", weights=((2, 4), (6, 8)), **settings) -> Network:
    driven = {"hidden": {"component": component}}
    return chain({"hidden": weights}, model, wire="w", more=driven, **settings)


def values(*raster, graded=True, labels=None) -> Samples:
    events = Events.from_dense(np.array(raster)[None], graded=graded)
    return Samples(inputs={"in": events}, labels=labels)


def of(model: NeuronModel, *, graded: int = 0) -> Network:
    decoding = "last_voltage" if model.kind == "leaky_integrator" else "count"
    return one_layer([[60, 40], [20, 80]], model, target="hidden", graded=graded, decoding=decoding)


NETWORKS: dict[str, Network] = {
    "cuba": of(neuron()),
    "leaky integrator": of(neuron("leaky_integrator")),
    "resonate-and-fire": of(neuron("resonate_and_fire")),
    "resonate-and-fire with reset": of(neuron("resonate_and_fire", reset=True)),
    "sigma": of(neuron("sigma")),
    "delta": of(neuron("delta")),
    "sigma-delta": of(neuron("sigma_delta")),
    "reset by subtraction": of(neuron(reset="subtract")),
    "graded input": of(neuron(), graded=8),
}
"""Everything that a stage may or may not take, each in a network of one layer."""
SPIKING = ("cuba", "leaky integrator")
OTHER_KINDS = tuple(name for name in NETWORKS if name not in (*SPIKING, "reset by subtraction", "graded input"))


def given(net: Network) -> Samples:
    raster = np.array([[7, 0], [0, 3], [1, 1]])
    return values(*raster if net.graded & {"in"} else raster != 0, graded=bool(net.graded & {"in"}), labels=[0])


def run(engine: str) -> Callable[[Network, Path], object]:
    return lambda net, _: simulate(net, given(net), engine=engine)


def mapped(chip: str) -> Callable[[Network, Path], object]:
    return lambda net, _: map_network(net, load_chip(chip))


def costs(net: Network, _: Path) -> object:
    mapping = map_network(net, load_chip("loihi2"))
    cost = estimate(net, mapping, simulate(net, given(net), labels=mapping.core_labels()), with_baselines=True)
    assert cost.energy.total_j.nominal > 0
    assert cost.latency.sample_s.mean.nominal > 0
    return cost


def report(net: Network, _: Path) -> object:
    runs = [simulate(net, given(net), engine=engine) for engine in ("event", "reference")]
    made = make_report(
        title="a network",
        network=network_facts(net),
        costs=[costs(net, _)],
        verification=compare_activities(runs).to_json(),
        raster=raster_facts(net, runs[0]),
        neurobench=neurobench_metrics(net, runs[0]).to_json(),
    )
    return text_report(made)


def sanafe(net: Network, _: Path) -> object:
    """Written for a Loihi with a mesh and with neurons of every kind, so that the mapping refuses nothing."""
    mapping = map_network(net, able("loihi1"))
    return sanafe_files(net, mapping, simulate(net, given(net), labels=mapping.core_labels()))


def able(name: str) -> Chip:
    stated = load_chip("loihi2").cores.model_dump(mode="json")
    data = load_chip(name).model_dump(mode="json", exclude_none=True)
    keys = ("neuron_kinds", "resets", "graded_input_bits", "message_bits")
    return chip_from_dict({**data, "cores": {**data["cores"], **{key: stated[key] for key in keys}}})


def faults(net: Network, _: Path) -> object:
    def run_with_voltages(broken: Network, hit: Samples) -> Activity:
        return simulate(broken, hit, probe=decoding_probes(broken))

    return list(measure_robustness(net, given(net), fault="drop", rates=[0.0], run=run_with_voltages))


STAGES: dict[str, Callable[[Network, Path], object]] = {
    "simulate: reference": run("reference"),
    "simulate: event": run("event"),
    "simulate: lava-in-process": run("lava-in-process"),
    "faults": faults,
    "map: loihi1": mapped("loihi1"),
    "map: loihi2": mapped("loihi2"),
    "map: spinnaker2": mapped("spinnaker2"),
    "estimate": costs,
    "report": report,
    "SANA-FE": sanafe,
    "NIR": lambda net, folder: write_network(net, folder / "a.nir"),
    "netx": lambda net, folder: write_network(net, folder / "a.net"),
    "nd5": lambda net, folder: write_network(net, folder / "a.nd5"),
}


def refused_kinds(stage: str) -> dict[str, tuple[type[NeurodeployError], str]]:
    """Return the refusals of a stage that knows CUBA neurons and leaky integrators only."""
    words = {name: name.removesuffix(" with reset") for name in OTHER_KINDS}
    return {
        name: (NetworkError, f"^{stage}: population 'hidden' has {kind} neurons; {stage} knows CUBA")
        for name, kind in words.items()
    }


def lacking(chip: str) -> dict[str, tuple[type[NeurodeployError], str]]:
    """Return the refusals of a chip that has CUBA neurons and leaky integrators only."""
    words = {name: name.removesuffix(" with reset") for name in OTHER_KINDS}
    return {
        name: (FitError, f"^map: layer 'hidden' has {kind} neurons, but chip '{chip}' has CUBA and leaky-integrator")
        for name, kind in words.items()
    }


REFUSED: dict[str, dict[str, tuple[type[NeurodeployError], str]]] = {
    "simulate: lava-in-process": {
        "reset by subtraction": (
            LavaError,
            "^lava: population 'hidden' subtracts its threshold when it fires, and Lava has",
        ),
    },
    "map: loihi1": {
        **lacking("loihi1"),
        "reset by subtraction": (
            FitError,
            "^map: layer 'hidden' resets by subtracting the threshold, but .* to zero only",
        ),
        "graded input": (
            FitError,
            "^map: input 'in' carries payloads of 8 bits, but chip 'loihi1' takes plain spikes only",
        ),
    },
    "map: spinnaker2": {
        **lacking("spinnaker2"),
        "graded input": (
            FitError,
            "^map: input 'in' carries payloads of 8 bits, but the file of chip 'spinnaker2' does not",
        ),
    },
    "SANA-FE": {
        **{
            name: (
                EstimateError,
                f"population 'hidden' has {name.removesuffix(' with reset')} neurons, which SANA-FE does",
            )
            for name in OTHER_KINDS
        },
        "graded input": (EstimateError, "input 'in' carries payloads, and spikes of SANA-FE carry none"),
    },
    "NIR": refused_kinds("export"),
    "netx": {
        **refused_kinds("netx"),
        "leaky integrator": (NetworkError, "^netx: population 'hidden' has no threshold; netx always gives one"),
        "reset by subtraction": (NetworkError, "^netx: population 'hidden' resets by subtraction"),
        "graded input": (NetworkError, "^netx: input 'in' is graded; netx knows binary spikes only"),
    },
}
"""Stage -> what it refuses, with the error and its words. What is not here is taken."""


@pytest.mark.parametrize("what", NETWORKS)
@pytest.mark.parametrize("stage", [pytest.param(s, marks=pytest.mark.lava) if "lava" in s else s for s in STAGES])
def test_a_stage_takes_a_kind_or_says_why_not(stage: str, what: str, tmp_path: Path) -> None:
    if "lava" in stage:
        pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    error, words = REFUSED.get(stage, {}).get(what, (None, ""))
    if error is None:
        STAGES[stage](NETWORKS[what], tmp_path)
        return
    with pytest.raises(error, match=words):
        STAGES[stage](NETWORKS[what], tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_table_has_every_kind_and_every_reset() -> None:
    models = [net.populations[0].model for net in NETWORKS.values()]
    assert {model.kind for model in models} == set(NEURON_KINDS)
    assert {model.reset for model in models if isinstance(model, Cuba)} == set(RESETS)
    assert {model.reset for model in models if isinstance(model, ResonateAndFire)} == {False, True}
    assert {net.inputs[0].graded for net in NETWORKS.values()} == {False, True}
    assert set(REFUSED) <= set(STAGES)
    assert all(set(refused) <= set(NETWORKS) for refused in REFUSED.values())


def test_a_network_of_spiking_neurons_is_told_from_the_others() -> None:
    assert sends_spikes_only(network(CUBA))
    assert sends_spikes_only(network(CUBA, graded=True))
    assert not sends_spikes_only(network(RF))


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
