"""Costs where messages carry a payload, and of neurons other than CUBA: by hand, and the same on every engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import chain, connect, engines, every_kind, neuron, one_layer, samples, wired

from neurodeploy.chip import Chip, chip_from_dict, load_chip
from neurodeploy.costs.baselines import dense_macs, dense_twin
from neurodeploy.costs.counts import SEVERAL, core_kinds, count_events
from neurodeploy.costs.latency import passes_key
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Cost
from neurodeploy.engines.table import simulate
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Delta, Network, Sigma, SigmaDelta, Sparse, bits_for
from neurodeploy.network.activity import Activity, Events, Samples

PJ, NS = 1e-12, 1e-9
VALUES = np.array([[[3, 0, 5], [3, 0, 5], [0, -2, 5]]])
"""Steps of three values; the encoder sends changes: 3 and 5, then nothing, then -3 and -2, then the way back to 0."""


def sdnn() -> Network:
    """An encoder of three values, two sigma-delta neurons without a threshold, and a sum of both."""
    one_each = Sparse(n_target=3, start=np.arange(4), target=np.arange(3), weights=np.ones(3, int))
    models = {"encoder": Delta(threshold=1), "hidden": SigmaDelta(threshold=1, activation="none"), "out": Sigma()}
    layers = {"encoder": one_each, "hidden": [[2, 0, 4], [0, 6, 8]], "out": [[2, 2]]}
    return chain(layers, models, graded=True, decoding="last_message")


def on(network: Network, chip: Chip, raster: np.ndarray = VALUES, **demands: object) -> tuple[Mapping, Activity, Cost]:
    mapping = map_network(network, chip)
    activity = simulate(network, samples(raster, graded=network.inputs[0].graded), labels=mapping.core_labels())
    return mapping, activity, estimate(network, mapping, activity, **demands)


def changed(chip: Chip, table: str, **entries: object) -> Chip:
    """Return a chip with other entries in one of its tables; None takes an entry away."""
    data = chip.model_dump(mode="json", exclude_none=True)
    data[table] = {name: v for name, v in {**data[table], **entries}.items() if v is not None}
    return chip_from_dict(data)


def able(chip: str) -> Chip:
    """Return a chip whose cores can compute every kind."""
    stated = load_chip("loihi2").cores.model_dump(mode="json")
    keys = ("neuron_kinds", "resets", "graded_input_bits", "message_bits")
    return changed(load_chip(chip), "cores", **{key: stated[key] for key in keys})


class TestByHand:
    def test_messages_of_the_run(self) -> None:
        _, activity, _ = on(sdnn(), load_chip("loihi2"))
        assert activity.spikes["encoder"].to_dense()[0].tolist() == [
            [0, 0, 0], [3, 0, 5], [0, 0, 0], [-3, -2, 0], [0, 2, -5], [0, 0, 0]
        ]  # fmt: skip
        assert activity.spikes["hidden"].to_dense()[0].tolist() == [
            [0, 0], [0, 0], [26, 40], [0, 0], [-6, -12], [-20, -28]
        ]  # fmt: skip
        assert activity.spikes["out"].to_dense()[0].ravel().tolist() == [0, 0, 0, 132, 132, 96]

    def test_reads_and_updates_are_counted_by_kind(self) -> None:
        """Encoder: 3 values 5 + 1 times; hidden: lists of 1, 1 and 2 synapses, and its stored zeros never."""
        _, activity, cost = on(sdnn(), load_chip("loihi2"))
        wires, reads, sums = 6, (1 + 2) + (1 + 1) + (1 + 2), 6
        assert cost.counts["synop_graded.fc"] == cost.counts["effective_synops"] == wires + reads + sums
        assert cost.counts["graded_synops"] == cost.counts["effective_synops"]
        assert not any(name.startswith("synop.") for name in cost.counts)
        assert cost.counts["spike_out"] == 6 + 6 + 3
        assert cost.counts["graded_messages"] == 6 + 6
        assert "neuron_update" not in cost.counts
        kinds = {name: n for name, n in cost.counts.items() if name.startswith("neuron_update_of.")}
        assert set(kinds) == {f"neuron_update_of.{kind}" for kind in ("delta", "sigma", "sigma_delta")}
        assert sum(kinds.values()) == activity.updated.sum()

    def test_each_row_is_a_count_times_its_price(self) -> None:
        _, _, cost = on(sdnn(), load_chip("loihi2"))
        prices = {"synop_graded.fc": 33.6, "neuron_update_of.delta": 72.8}
        prices |= {"neuron_update_of.sigma": 72.8, "neuron_update_of.sigma_delta": 145.6}
        lines = {line.component: line for line in cost.energy.lines}
        assert set(lines) == set(prices)
        for component, price in prices.items():
            line = lines[component]
            assert line.events == cost.counts[component] > 0
            assert line.energy_j.nominal == pytest.approx(line.events * price * PJ, rel=1e-12)
            assert line.price_j.grade == "guess"
            assert line.price_j.low < line.price_j.nominal < line.price_j.high
        assert cost.energy.total_j.nominal == pytest.approx(sum(x.energy_j.nominal for x in lines.values()), rel=1e-12)

    def test_high_prices_of_reads_and_updates_still_exclude_each_other(self) -> None:
        """They explain one measurement, whichever kind of neuron or message it is."""
        data = load_chip("loihi2").model_dump(mode="json", exclude_none=True)
        data["energy"]["one_high_at_a_time"] = ["synop", "neuron_update"]
        _, _, cost = on(sdnn(), chip_from_dict(data))
        reads, *updates = sorted(cost.energy.lines, key=lambda line: not line.component.startswith("synop"))
        nominal = sum(x.energy_j.nominal for x in cost.energy.lines)
        extra = [sum(x.energy_j.high - x.energy_j.nominal for x in own) for own in ([reads], updates)]
        assert cost.energy.total_j.high == pytest.approx(nominal + max(extra), rel=1e-12)
        assert "The high prices of synop and neuron_update explain" in cost.energy.notes[-1]

    def test_papers_count_multiplications(self) -> None:
        row = on(sdnn(), load_chip("loihi2"))[2].second_opinions[-1]
        assert row.prices == "45 nm additions and MACs (arithmetic only)"
        assert {line.component: line.events for line in row.lines} == {"accumulate": 0, "multiply_accumulate": 20}

    def test_time_of_a_step_is_the_passes_of_the_slowest_core(self) -> None:
        """4000 sigma-delta neurons take two passes of 4 ns each, 4000 CUBA neurons one, and a barrier takes 10 us."""
        chip, wide = load_chip("loihi2"), np.full((4000, 1), 2)
        for model, passes in ((neuron("sigma_delta"), 2), (neuron("cuba"), 1), (neuron("leaky_integrator"), 1)):
            _, _, cost = on(one_layer(wide, model, graded=True), chip, np.ones((1, 2, 1), int))
            assert cost.latency.step_s.worst.nominal == pytest.approx(passes * 4000 * 4 * NS)
            assert not cost.latency.unpriced
            assert cost.latency.bindings[0].resource == "neurons"

    @pytest.mark.parametrize(
        ("model", "key"),
        [
            (neuron("resonate_and_fire"), "resonate_and_fire"),
            (neuron("sigma"), "sigma"),
            (neuron("delta"), "delta"),
            (neuron("sigma_delta", activation="none"), "sdn_none"),
        ],
    )
    def test_passes_that_the_file_lacks_are_named_and_count_as_one(self, model, key: str) -> None:
        chip, wide = load_chip("loihi2"), np.full((4000, 1), 2)
        _, _, cost = on(one_layer(wide, model, graded=True), chip, np.ones((1, 2, 1), int))
        assert passes_key(model) == key
        assert cost.latency.step_s.worst.nominal == pytest.approx(4000 * 4 * NS)
        (missing,) = cost.latency.unpriced
        assert (missing.component, missing.events) == (f"updates_per_step.{key}", 4000 * 3)
        assert "is not in hardware/loihi2.toml; the times are at least those given" in missing.reason

    def test_reads_with_a_payload_take_their_own_time(self) -> None:
        data = load_chip("loihi2").model_dump(mode="json", exclude_none=True)["latency"]["synop_graded"]
        slow = {"fc": {**data["fc"], **dict.fromkeys(("low", "nominal", "high"), 1e6)}, "conv": data["conv"]}
        network = one_layer(np.full((3, 1), 2), neuron("sigma"), graded=True)
        _, _, cost = on(network, changed(load_chip("loihi2"), "latency", synop_graded=slow), np.ones((1, 1, 1), int))
        assert cost.latency.worst.time_s == pytest.approx(3 * 1e6 * NS)
        plain = one_layer(np.full((3, 1), 2))
        _, _, cost = on(plain, changed(load_chip("loihi2"), "latency", synop_graded=slow), np.ones((1, 1, 1), int))
        assert cost.latency.worst.time_s == pytest.approx(10e-6)


class TestWithoutAPrice:
    def test_a_chip_that_prices_plain_spikes_alone_says_what_is_not_available(self) -> None:
        """Loihi 1 with neurons that it does not have: no row of it is priced in silence."""
        _, _, cost = on(sdnn(), able("loihi1"))
        missing = {item.component: item.reason for item in cost.energy.unpriced}
        for component in ("synop_graded.sparse", "neuron_update_of.delta", "neuron_update_of.sigma_delta"):
            assert missing[component] == f"not available: energy.{component} is not in hardware/loihi1.toml"
        assert not any(line.component.startswith(("synop", "neuron_update")) for line in cost.energy.lines)
        assert "12.0 messages a sample carry a payload; firing, messages and hops are priced" in cost.energy.notes[0]
        late = {item.component for item in cost.latency.unpriced}
        assert late == {
            "synop_graded.sparse",
            "updates_per_step.delta",
            "updates_per_step.sigma",
            "updates_per_step.sdn_none",
        }

    def test_passes_count_in_the_other_rule_of_latency_too(self) -> None:
        """Times of ``messages``: an update of a sigma-delta neuron takes as many passes as the file says."""
        passes = {"sdn_relu": {"value": 100, "unit": "passes", "source": "here", "grade": "guess"}}
        network = one_layer(np.full((4, 1), 2), neuron("sigma_delta"), graded=True)
        once, often = (
            on(network, changed(able("loihi1"), "latency", updates_per_step=given), np.ones((1, 1, 1), int))[2].latency
            for given in ({}, passes)
        )
        updates = 4  # all neurons, in the step in which the value arrives
        assert often.step_s.worst.nominal - once.step_s.worst.nominal == pytest.approx(99 * updates * 3.7 * NS)

    def test_updates_of_kinds_that_share_a_core_cannot_be_told_apart(self) -> None:
        network = sdnn()
        cores = {"encoder": [0, 0, 0], "hidden": [0, 1], "out": [2]}
        mapping = map_by_hand(network, load_chip("loihi2"), {k: np.array(v) for k, v in cores.items()}, formats="fc")
        assert core_kinds(network, mapping) == (SEVERAL, "sigma_delta", "sigma")
        activity = simulate(network, samples(VALUES, graded=True), labels=mapping.core_labels())
        cost = estimate(network, mapping, activity)
        (shared,) = [u for u in cost.energy.unpriced if u.component == f"neuron_update_of.{SEVERAL}"]
        assert shared.events == activity.updated[..., 0].sum()
        assert shared.reason.startswith("not available: neurons of several kinds lie on one core")

    def test_cuba_neurons_and_integrators_on_one_core_are_of_one_price(self) -> None:
        network = chain({"a": [[2]], "b": [[2]]}, {"a": neuron(), "b": neuron("leaky_integrator")})
        cores = {"a": np.array([0]), "b": np.array([0])}
        mapping = map_by_hand(network, load_chip("loihi2"), cores, formats="fc")
        assert core_kinds(network, mapping) == ("",)


class TestPayloads:
    def test_of_each_sender_the_range_really_sent_and_the_bits_that_hold_it(self) -> None:
        _, _, cost = on(sdnn(), load_chip("loihi2"))
        found = {
            p.name: (p.messages, p.lowest, p.highest, p.largest, p.bits, p.chip_bits, p.fits) for p in cost.payloads
        }
        assert found == {
            "in": (6, -2, 5, 5, 4, 32, True),
            "encoder": (6, -5, 5, 5, 4, 32, True),
            "hidden": (6, -28, 40, 40, 7, 32, True),
            "out": (3, 96, 132, 132, 8, 32, True),
        }

    def test_payloads_that_the_messages_of_the_chip_cannot_hold_are_named(self) -> None:
        less = {"value": 6, "unit": "bits", "source": "here", "grade": "guess"}
        _, _, cost = on(sdnn(), changed(load_chip("loihi2"), "cores", message_bits=less))
        assert [p.name for p in cost.payloads if not p.fits] == ["hidden", "out"]
        assert any(
            "'hidden' sends payloads of 7 bits (-28 to 40), but a message of chip 'loihi2' has 6" in n
            for n in cost.notes
        )

    def test_a_network_of_spikes_has_none_and_its_record_is_as_before(self) -> None:
        _, _, cost = on(one_layer([[90, 90]]), load_chip("loihi2"), np.ones((1, 3, 2), int))
        assert cost.payloads == ()
        assert "payloads" not in cost.to_json()
        assert Cost.from_json(cost.to_json()) == cost

    def test_the_record_with_payloads_is_read_back(self) -> None:
        cost = on(sdnn(), load_chip("loihi2"))[2]
        assert Cost.from_json(cost.to_json()) == cost

    @pytest.mark.parametrize(
        ("lowest", "highest", "bits"),
        [
            (0, 0, 0),
            (1, 1, 1),
            (1, 255, 8),
            (1, 256, 9),
            (-1, 1, 2),
            (-128, 127, 8),
            (-129, 0, 9),
            (-(2**31), 2**31 - 1, 32),
        ],
    )
    def test_bits_at_the_boundaries(self, lowest: int, highest: int, bits: int) -> None:
        assert bits_for(lowest, highest) == bits


class TestBaselines:
    def test_wires_of_an_encoder_are_no_matrix(self) -> None:
        network = sdnn()
        assert dense_macs(network) == 2 * 3 + 1 * 2
        twin = dense_twin(network)
        assert twin.projections[0] is network.projections[0]
        assert np.count_nonzero(twin.projections[1].synapses.weights) == 6

    def test_the_dense_network_reads_more_and_updates_as_many(self) -> None:
        network, chip = sdnn(), load_chip("loihi2")
        _, _, cost = on(network, chip, with_baselines=True)
        dense = cost.baselines[0]
        _, _, twin = on(dense_twin(network), chip)
        more = twin.counts["synop_graded.fc"] - cost.counts["synop_graded.fc"]
        assert more == 1 + 2 * 1 + 1  # zeros of the hidden matrix, for each message of the three values
        assert dense.energy_j.nominal == pytest.approx(cost.energy.total_j.nominal + more * 33.6 * PJ, rel=1e-12)

    def test_a_dense_ann_is_priced_by_its_multiplications(self) -> None:
        _, _, cost = on(sdnn(), load_chip("loihi2"), with_baselines=True)
        assert "one inference of a dense ANN of equal shape, 8 MACs" in cost.baselines[1].what
        assert cost.second_opinions[-2].total_j.nominal == pytest.approx(8 * 4.6 * PJ)
        assert cost.baselines[1].break_even_density is not None

    def test_complex_weights_are_two_matrices(self) -> None:
        network, _, _ = every_kind()
        both = sum(2 if q.target.startswith("rf") else 1 for q in network.projections if q.component == "real")
        assert both == len(network.projections)
        assert dense_macs(network) == sum(5 * network.sizes[q.source] for q in network.projections)


@pytest.fixture(scope="module")
def everything() -> tuple[Network, Mapping, Activity]:
    network, given, _ = every_kind()
    mapping = map_network(network, load_chip("loihi2"), cores={p.name: 2 for p in network.populations})
    return network, mapping, simulate(network, given, labels=mapping.core_labels())


def test_every_kind_has_a_row_with_its_own_updates(everything) -> None:
    network, mapping, activity = everything
    cost = estimate(network, mapping, activity)
    lines = {line.component: line.events for line in cost.energy.lines}
    for kind in ("resonate_and_fire", "sigma", "delta", "sigma_delta"):
        cores = [i for p in network.populations if p.model.kind == kind for i in mapping.layer_cores(p.name)]
        assert lines[f"neuron_update_of.{kind}"] == activity.updated[..., cores].sum() > 0
    assert lines["neuron_update"] == activity.updated[..., mapping.layer_cores("cuba")].sum() > 0
    assert lines["synop.fc"] > 0
    assert lines["synop_graded.fc"] > 0


def test_reads_follow_from_spikes_and_weights(everything) -> None:
    """Each message reads the weights of its neuron that are not 0, over all projections; those with a payload apart."""
    network, mapping, activity = everything
    (counts,) = count_events(network, mapping, activity)
    reads = {True: 0, False: 0}
    for p in network.projections:
        of = np.count_nonzero(p.synapses.weights, axis=0)
        reads[p.source in network.graded] += int(of[activity.spikes[p.source].neuron].sum())
    assert sum(int(a.sum()) for a in counts.synops.values()) == reads[False]
    assert sum(int(a.sum()) for a in counts.synops_graded.values()) == counts.graded == reads[True]
    assert counts.effective == sum(reads.values())


@pytest.mark.parametrize("engine", engines(lambda engine: engine.seconds is None))
def test_the_figures_do_not_depend_on_the_engine(everything, engine: str) -> None:
    network, mapping, activity = everything
    _, given, _ = every_kind()
    labels = {} if engine.startswith("lava") else {"labels": mapping.core_labels()}
    other = simulate(network, given, engine=engine, **labels)
    if not labels:
        other = replace(other, updated=activity.updated, overflow=activity.overflow)
    assert estimate(network, mapping, replace(other, engine="event")) == estimate(network, mapping, activity)


def test_without_counts_of_updates_the_range_spans_sent_and_all(everything) -> None:
    network, mapping, activity = everything
    cost = estimate(network, mapping, replace(activity, updated=None))
    for line in cost.energy.lines:
        if line.component.startswith("neuron_update_of."):
            kind = line.component.split(".")[1]
            own = [p for p in network.populations if p.model.kind == kind]
            assert line.events_low == sum(len(activity.spikes[p.name]) for p in own)
            assert line.events == sum(p.size * (activity.n_steps - p.first_step) for p in own) * activity.n_samples


def test_idle_neurons_are_those_that_no_kind_updates() -> None:
    """Prices of Davies et al. 2018 have idle neurons: accesses less updates, in the lower bound less those that sent."""
    network, chip = sdnn(), able("loihi1")
    mapping = map_network(network, chip)
    activity = simulate(network, samples(VALUES, graded=True), labels=mapping.core_labels())
    accesses = 6 * activity.n_steps
    for run, updated, sent in (
        (activity, activity.updated.sum(), activity.updated.sum()),
        (replace(activity, updated=None), None, 15),
    ):
        cost = estimate(network, mapping, run)
        (idle,) = [x for x in cost.second_opinions[0].lines if x.component == "neuron_idle"]
        assert idle.events_low == accesses - sent
        assert updated is None or idle.events == accesses - updated


def test_payloads_of_one_on_a_plain_input_are_spikes() -> None:
    """An engine may hand them on or leave them out: the figures are those of spikes either way."""
    network = one_layer([[90, 90]])
    mapping = map_network(network, load_chip("loihi2"))
    plain = simulate(network, samples(np.ones((1, 3, 2), int)), labels=mapping.core_labels())
    marked = replace(plain.spikes["in"], payload=np.ones(len(plain.spikes["in"]), int))
    assert estimate(network, mapping, replace(plain, spikes={**plain.spikes, "in": marked})) == estimate(
        network, mapping, plain
    )


def test_two_inputs_of_which_one_has_payloads() -> None:
    network = wired(
        {"plain": 2, "values": 2},
        {"out": (3, neuron())},
        [connect("plain", "out", np.full((3, 2), 2)), connect("values", "out", np.full((3, 2), 2))],
        graded=["values"],
    )
    mapping = map_network(network, load_chip("loihi2"))
    given = {"plain": np.ones((1, 2, 2), int), "values": np.full((1, 2, 2), 7)}
    run = Samples(inputs={name: Events.from_dense(r, graded=name == "values") for name, r in given.items()})
    cost = estimate(network, mapping, simulate(network, run, labels=mapping.core_labels()))
    assert (cost.counts["synop.fc"], cost.counts["synop_graded.fc"]) == (12, 12)
    assert [p.name for p in cost.payloads] == ["values"]
