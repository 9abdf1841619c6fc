"""Memory, energy and latency by hand: a network of 3 inputs, 4 hidden and 2 output neurons on three cores."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from building import chain

from neurodeploy.chip import Chip, chip_from_dict, load_chip
from neurodeploy.costs.counts import count_events
from neurodeploy.costs.energy import Events as EventTotals
from neurodeploy.costs.energy import price_energy
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Cost
from neurodeploy.errors import EstimateError
from neurodeploy.mapping.record import CoreLoad, Mapping
from neurodeploy.network import Cuba, LeakyIntegrator, Network
from neurodeploy.network.activity import Activity, Events

PJ, NS = 1e-12, 1e-9
W1 = np.array([[2, 0, 0], [4, 6, 0], [0, 8, 0], [0, 2, 4]], np.int16)
"""Input 0 feeds hidden 0, 1; input 1 feeds 1, 2, 3; input 2 feeds 3. Hidden 0, 1 lie on core 0; 2, 3 on core 1."""
W2 = np.array([[2, 2, 0, 2], [0, 0, 0, 4]], np.int16)
"""Hidden 0, 1 feed output 0; hidden 2 nothing; hidden 3 both outputs, which lie on core 2, 1 tile east and 2 south."""


def small_network(last: str = "cuba") -> Network:
    neuron = Cuba(current_decay=4096, voltage_decay=128, threshold=10)
    reader = LeakyIntegrator(current_decay=4096, voltage_decay=128) if last == "leaky" else neuron
    return chain({"hidden": W1, "out": W2}, {"hidden": neuron, "out": reader}, output="answer")


def core(number: int, xy: tuple[int, int], neurons: dict[str, list[int]], stored: dict[str, int], fmt: str) -> CoreLoad:
    return CoreLoad(
        chip=0,
        core=number,
        tile=xy[0] * 4 + xy[1],
        x=xy[0],
        y=xy[1],
        neurons={name: np.array(indices) for name, indices in neurons.items()},
        words=dict.fromkeys(stored, 3),
        formats=dict.fromkeys(stored, fmt),
        weight_bits=dict.fromkeys(stored, 8),
        stored=stored,
        used={"neurons": sum(len(i) for i in neurons.values()), "synapse_words": 3 * len(stored)},
    )


def small_mapping(network: Network, chip: Chip, fmt: str = "sparse") -> Mapping:
    meshed = chip.cores.mesh is not None
    cores = [
        core(0, (0, 0), {"hidden": [0, 1]}, {"w1": 3}, fmt),
        core(1, (0, 0), {"hidden": [2, 3]}, {"w1": 3}, fmt),
        core(24, (1, 2), {"out": [0, 1]}, {"w2": 4}, fmt),
    ]
    if not meshed:
        cores = [
            CoreLoad(
                **{name: getattr(c, name) for name in ("chip", "core", "neurons", "words", "formats", "weight_bits")},
                **{"tile": None, "x": None, "y": None, "stored": c.stored, "used": c.used},
            )
            for c in cores
        ]
    return Mapping(
        chip=chip,
        network=network.fingerprint,
        sizes={"hidden": 4, "out": 2},
        sources={"w1": "in", "w2": "hidden"},
        targets={"w1": "hidden", "w2": "out"},
        cores=tuple(cores),
        limits=chip.cores.limits,
        split="by hand",
    )


def small_activity(network: Network, *, counted: bool = True) -> Activity:
    """Two samples of 3 steps. Sample 0: inputs 0 and 1 at step 0, hidden 1 and 3 at step 1, output 0 at step 2."""
    rasters = {name: np.zeros((2, 3, size), int) for name, size in network.sizes.items()}
    rasters["in"][0, 0, [0, 1]] = 1
    rasters["hidden"][0, 1, [1, 3]] = 1
    rasters["out"][0, 2, 0] = 1
    rasters["in"][1, 2, 2] = 1
    updated = np.zeros((2, 3, 3), np.int64)
    updated[0, 1] = [2, 2, 0]
    updated[0, 2] = [1, 1, 2]
    return Activity(
        engine="reference",
        network=network.fingerprint,
        n_steps=3,
        spikes={name: Events.from_dense(raster) for name, raster in rasters.items()},
        updated=updated if counted else None,
    )


@pytest.fixture
def loihi1() -> tuple[Network, Mapping, Activity]:
    network = small_network()
    return network, small_mapping(network, load_chip("loihi1")), small_activity(network)


def changed(chip: Chip, table: str, **entries: object) -> Chip:
    data = chip.model_dump(mode="json", exclude_none=True)
    data[table] = {name: v for name, v in {**data.get(table, {}), **entries}.items() if v is not None}
    return chip_from_dict(data)


class TestCountsByHand:
    def test_a_spike_counts_on_the_cores_it_reaches_in_the_step_in_which_it_is_sent(self, loihi1) -> None:
        counts = next(count_events(*loihi1))
        # input 0 reads 2 synapses on core 0; input 1 one on core 0 and two on core 1; input 2 one on core 1
        assert counts.synops["sparse"][0].tolist() == [[3, 2, 0], [0, 0, 3], [0, 0, 0]]
        assert counts.synops["sparse"][1].tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]
        assert counts.messages_in[0].tolist() == [[2, 1, 0], [0, 0, 2], [0, 0, 0]]
        assert counts.messages_out[0].tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
        assert counts.fired[0].tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 1]]

    def test_hops_are_counted_by_direction_and_not_for_the_host(self, loihi1) -> None:
        counts = next(count_events(*loihi1))
        assert counts.hops_ew[0].tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
        assert counts.hops_ns[0].tolist() == [[0, 0, 0], [2, 2, 0], [0, 0, 0]]

    def test_a_neuron_without_synapses_sends_no_message(self, loihi1) -> None:
        network, mapping, _ = loihi1
        raster = np.zeros((1, 3, 4), int)
        raster[0, 1, 2] = 1
        spikes = {n: Events.from_dense(np.zeros((1, 3, s), int)) for n, s in network.sizes.items()}
        lone = Activity(
            engine="reference",
            network=network.fingerprint,
            n_steps=3,
            spikes={**spikes, "hidden": Events.from_dense(raster)},
        )
        counts = next(count_events(network, mapping, lone))
        assert (counts.fired.sum(), counts.messages_out.sum(), counts.messages_in.sum()) == (1, 0, 0)

    def test_every_mapped_neuron_is_accessed_in_every_step(self, loihi1) -> None:
        counts = next(count_events(*loihi1))
        assert counts.accessed == 6 * 3 * 2
        assert counts.neurons.tolist() == [2, 2, 2]

    def test_host_traffic_is_counted(self, loihi1) -> None:
        counts = next(count_events(*loihi1))
        assert (counts.host_in, counts.host_out) == (3, 1)


class TestEnergyByHand:
    def test_energy_of_each_component_is_count_times_price(self, loihi1) -> None:
        cost = estimate(*loihi1)
        lines = {line.component: line for line in cost.energy.lines}
        nominal = {
            "synop.sparse": 9 * 33.6,
            "neuron_access": 36 * 51.2,
            "neuron_update": 8 * 21.6,
            "spike_out": 3 * 69.3,
            "message_out": 2 * 111.0,
            "hop_ew": 2 * 3.0,
            "hop_ns": 4 * 4.2,
        }
        assert set(lines) == set(nominal)
        for name, picojoules in nominal.items():
            assert lines[name].energy_j.nominal == pytest.approx(picojoules * PJ / 2, rel=1e-12)
        assert cost.energy.total_j.nominal == pytest.approx(sum(nominal.values()) * PJ / 2, rel=1e-12)

    def test_low_and_high_are_sums_of_low_and_high_prices(self, loihi1) -> None:
        total = estimate(*loihi1).energy.total_j
        low = 9 * 25.2 + 36 * 38.4 + 8 * 16.2 + 3 * 51.975 + 2 * 83.25 + 2 * 2.25 + 4 * 3.15
        high = 9 * 53.76 + 36 * 81.92 + 8 * 34.56 + 3 * 110.88 + 2 * 177.6 + 2 * 4.8 + 4 * 6.72
        assert total.low == pytest.approx(low * PJ / 2, rel=1e-12)
        assert total.high == pytest.approx(high * PJ / 2, rel=1e-12)

    def test_a_total_has_the_grade_of_its_weakest_price(self, loihi1) -> None:
        energy_ = estimate(*loihi1).energy
        assert {line.component: line.price_j.grade for line in energy_.lines}["synop.sparse"] == "calibrated"
        assert energy_.total_j.grade == "pre-silicon"  # that of a hop

    def test_a_price_of_what_never_happened_does_not_weaken_the_grade(self, loihi1) -> None:
        network, mapping, activity = loihi1
        silent = {name: Events.from_dense(np.zeros((2, 3, size), int)) for name, size in network.sizes.items()}
        quiet = Activity(engine="x", network=network.fingerprint, n_steps=3, spikes=silent, updated=activity.updated)
        assert estimate(network, mapping, quiet).energy.total_j.grade == "calibrated"

    def test_the_published_products_of_the_gesture_network(self) -> None:
        """Counts and total of SANA-FE on DVS gesture (42 cores, 128 steps): 378.803 uJ with hops of 1.846 uJ."""
        counts = {
            "synop.dense": 5_462_418,
            "neuron_access": 18_678 * 128,
            "neuron_update": 1_352_421,
            "neuron_idle": 18_678 * 128 - 1_352_421,
            "spike_out": 38_250,
            "message_out": 259_191,
        }
        chip = load_chip("loihi1")
        events = EventTotals(amounts=counts, low=counts, without_price={}, effective_synops=0, n_samples=1)
        result = price_energy(events, chip.energy, "loihi1", "loihi1.toml")
        by_hand = 5462418 * 35.5 + (18678 * 128) * 51.2 + 1352421 * 21.6 + 38250 * 69.3 + 259191 * 111
        assert result.total_j.nominal == pytest.approx(by_hand * PJ, rel=1e-12)
        assert 378.803e-6 - result.total_j.nominal == pytest.approx(1.846e-6, abs=0.001e-6)

    def test_second_opinion_charges_active_and_idle_neurons(self, loihi1) -> None:
        davies = estimate(*loihi1).second_opinions[0]
        assert davies.prices == "davies2018"
        lines = {line.component: line.energy_j.nominal for line in davies.lines}
        assert lines["neuron_update"] == pytest.approx(8 * 81 * PJ / 2)
        assert lines["neuron_idle"] == pytest.approx((36 - 8) * 52 * PJ / 2)
        assert "neuron_access" not in [item.component for item in davies.unpriced]

    def test_arithmetic_only_row_counts_effective_synapses_and_says_what_it_is(self, loihi1) -> None:
        row = estimate(*loihi1).second_opinions[-1]
        assert row.total_j.nominal == pytest.approx(9 * 0.9 * PJ / 2)
        assert "arithmetic only" in row.prices

    def test_graded_spikes_are_multiplications_in_the_arithmetic_only_row(self, loihi1) -> None:
        network, mapping, activity = loihi1
        graded = replace(activity.spikes["in"], payload=np.array([3, -2, 5]))
        cost = estimate(network, mapping, replace(activity, spikes={**activity.spikes, "in": graded}))
        lines = {line.component: line.events for line in cost.second_opinions[-1].lines}
        assert lines == {"accumulate": 3, "multiply_accumulate": 6}  # 6 synapses of the inputs, 3 of the hidden neurons
        total = cost.second_opinions[-1].total_j.nominal
        assert total == pytest.approx((3 * 0.9 + 6 * 4.6) * PJ / 2)

    def test_a_dense_ann_of_equal_shape_stands_beside_it(self, loihi1) -> None:
        row = estimate(*loihi1).second_opinions[-2]
        assert row.total_j.nominal == pytest.approx((3 * 4 + 4 * 2) * 4.6 * PJ)
        assert "arithmetic only" in row.prices

    def test_what_has_no_price_is_named_with_its_count(self) -> None:
        network = small_network()
        cost = estimate(network, small_mapping(network, load_chip("loihi2"), "fc"), small_activity(network))
        missing = {item.component: item for item in cost.energy.unpriced}
        assert missing["spike_out"].events == 3
        assert "energy.spike_out is not in hardware/loihi2.toml" in missing["spike_out"].reason
        assert missing["message_out"].events == 2
        assert missing["host_input"].events == 3
        assert "mesh" in missing["hops"].reason
        assert "spike_out" not in [line.component for line in cost.energy.lines]

    def test_a_chip_without_prices_gives_no_total_instead_of_zero(self, loihi1) -> None:
        network, _, activity = loihi1
        chip = load_chip("loihi1")
        bare = chip_from_dict(
            {n: v for n, v in chip.model_dump(mode="json", exclude_none=True).items() if not n.startswith("energy")}
        )
        cost = estimate(network, small_mapping(network, bare), activity)
        assert cost.energy.total_j is None
        assert "synop.sparse" in [item.component for item in cost.energy.unpriced]

    def test_two_high_prices_of_one_measurement_are_never_summed(self) -> None:
        network = small_network()
        chip = changed(load_chip("loihi2"), "energy", one_high_at_a_time=["synop", "neuron_update"])
        cost = estimate(network, small_mapping(network, chip, "fc"), small_activity(network))
        synop, neuron = (next(x for x in cost.energy.lines if x.component == c) for c in ("synop.fc", "neuron_update"))
        either = max(
            synop.energy_j.high + neuron.energy_j.nominal,
            synop.energy_j.nominal + neuron.energy_j.high,
        )
        others = sum(line.energy_j.high for line in cost.energy.lines if line not in (synop, neuron))
        assert cost.energy.total_j.high == pytest.approx(either + others, rel=1e-12)
        assert cost.energy.total_j.high < synop.energy_j.high + neuron.energy_j.high + others

    def test_without_counted_updates_bounds_are_used_and_said(self) -> None:
        network = small_network()
        mapping = small_mapping(network, load_chip("loihi1"))
        cost = estimate(network, mapping, small_activity(network, counted=False))
        line = next(x for x in cost.energy.lines if x.component == "neuron_update")
        # 4 hidden neurons from step 1 and 2 outputs from step 2, in two samples; at least the 3 that fired
        assert (line.events_low, line.events) == (3, 2 * (4 * 2 + 2))
        assert any("not counted by the simulator" in note for note in cost.notes)


class TestLatencyByHand:
    def test_message_rule_takes_slowest_sender_or_receiver_plus_barrier(self, loihi1) -> None:
        latency = estimate(*loihi1).latency
        send = [2 * 6.0, 2 * 6.0 + 2 * 3.7 + 30.0 + 5.1, 2 * 6.0 + 2 * 3.7 + 30.0]
        receive = [2 * 16.0 + 3 * 4.7, 2 * 16.0 + 3 * 4.7, 0.0]
        barrier = 1000.0  # two tiles
        steps = [max(s, r) + barrier for s, r in zip(send, receive)]
        assert latency.trace.step_s == pytest.approx([t * NS for t in steps], rel=1e-12)
        assert latency.sample_s.worst.nominal == pytest.approx(sum(steps) * NS, rel=1e-12)
        assert latency.worst.resource == "neurons and sending"
        assert (latency.worst.sample, latency.worst.step) == (0, 1)

    @pytest.mark.parametrize(("tiles", "barrier"), [(1, 600), (2, 1000), (3, 1000), (4, 1400), (28, 1400), (29, 1800)])
    def test_barrier_takes_the_last_row_whose_tiles_are_in_use(self, tiles: int, barrier: float) -> None:
        network = small_network()
        chip = load_chip("loihi1")
        empty = [core(4 * t, (t // 4, t % 4), {}, {}, "sparse") for t in range(1, tiles)]
        first = core(0, (0, 0), {"hidden": [0, 1, 2, 3], "out": [0, 1]}, {"w1": 6, "w2": 4}, "sparse")
        mapping = small_mapping(network, chip)
        names = ("chip", "network", "sizes", "sources", "targets", "limits", "split")
        wide = Mapping(cores=(first, *empty), **{name: getattr(mapping, name) for name in names})
        silent = {name: Events.from_dense(np.zeros((1, 1, size), int)) for name, size in network.sizes.items()}
        nothing = Activity(
            engine="x", network=network.fingerprint, n_steps=1, spikes=silent, updated=np.zeros((1, 1, 1), int)
        )
        step = estimate(network, wide, nothing).latency.step_s.mean.nominal
        assert step == pytest.approx((6 * 6.0 + barrier) * NS)

    def test_binding_core_of_each_step_is_named(self, loihi1) -> None:
        latency = estimate(*loihi1).latency
        assert latency.trace.core == (0, 0, 2)
        assert sum(b.steps for b in latency.bindings) == 6

    def test_slowest_unit_rule_has_the_barrier_as_floor(self) -> None:
        network = small_network()
        latency = estimate(network, small_mapping(network, load_chip("loihi2"), "fc"), small_activity(network)).latency
        assert latency.step_s.worst.nominal == pytest.approx(10e-6)
        assert latency.step_s.worst.high == pytest.approx(152.84e-6)
        assert latency.bindings[0].resource == "barrier"
        assert latency.bindings[0].core is None

    def test_slowest_unit_rule_takes_the_slowest_synapse_or_neuron_time(self) -> None:
        network = small_network()
        free = [{"tiles": 1, "time": {"value": 0.0, "unit": "ns", "source": "test", "grade": "guess"}}]
        chip = changed(load_chip("loihi2"), "latency", barrier=free, step_observed=None)
        latency = estimate(network, small_mapping(network, chip, "fc"), small_activity(network)).latency
        assert latency.trace.step_s == pytest.approx([8 * NS] * 3)  # 2 neurons of 4 ns against 3 synapses of 0.66 ns
        assert latency.bindings[0].resource == "neurons"

    def test_a_missing_time_is_named(self, loihi1) -> None:
        network, _, activity = loihi1
        chip = changed(load_chip("loihi1"), "latency", spike_out=None)
        latency = estimate(network, small_mapping(network, chip), activity).latency
        assert [item.component for item in latency.unpriced] == ["spike_out"]
        assert "latency.spike_out is not in hardware/loihi1.toml" in latency.unpriced[0].reason

    @pytest.mark.parametrize("known", [True, False])
    def test_barrier_over_several_chips_is_a_time_of_its_own_or_named_as_missing(self, known: bool) -> None:
        network = small_network()
        chip = load_chip("loihi1") if known else changed(load_chip("loihi1"), "latency", barrier_multichip=None)
        mapping = small_mapping(network, chip)
        away = replace(mapping, cores=(*mapping.cores[:2], replace(mapping.cores[2], chip=1)))
        cost = estimate(network, away, small_activity(network))
        assert cost.counts["chip_crossing"] == 2
        assert "chip_crossing" in [item.component for item in cost.energy.unpriced]
        barrier = 12300.0 if known else 1000.0
        assert cost.latency.trace.step_s[1] == pytest.approx((54.5 + barrier) * NS)
        assert [item.component for item in cost.latency.unpriced] == ([] if known else ["barrier_multichip"])

    def test_messages_over_the_link_of_a_chip_bound_a_step_of_loihi_2(self) -> None:
        """Two messages of step 1 leave chip 0: at 1 ms each they take longer than anything else."""
        network = small_network()
        slow = {"low": 1.0, "nominal": 1.0, "high": 1.0, "unit": "ms", "source": "test", "grade": "guess"}
        for link, step, resource in ((slow, 2e-3, "link between chips"), (None, 10e-6, "barrier")):
            chip = changed(load_chip("kapoho_point"), "latency", chip_link=link)
            mapping = small_mapping(network, chip, "fc")
            away = replace(mapping, cores=(*mapping.cores[:2], replace(mapping.cores[2], chip=1)))
            latency = estimate(network, away, small_activity(network)).latency
            assert latency.trace.step_s == pytest.approx((10e-6, step, 10e-6))
            assert (latency.worst.resource, latency.worst.core) == (resource, 0 if link else None)
            assert ("chip_link" in [item.component for item in latency.unpriced]) == (link is None)

    def test_real_time_pads_each_step_to_the_period(self, loihi1) -> None:
        cost = estimate(*loihi1, step_period_s=1e-3)
        assert cost.latency.real_time_sample_s.mean.nominal == pytest.approx(3e-3)
        assert cost.latency.late_steps == 0

    def test_safe_event_factor_is_how_much_the_tightest_core_can_grow(self, loihi1) -> None:
        period = (1100 + 3440) * NS  # management takes 3.44 us of each step
        verdict = next(v for v in estimate(*loihi1, step_period_s=period).verdicts if v.demand == "step period")
        # room 100 ns beside the barrier; sending: fixed 12 ns, 42.5 ns that grow; receiving: 46.1 ns that grow
        assert verdict.safe_event_factor == pytest.approx(min((100 - 12) / 42.5, 100 / 46.1), rel=1e-9)
        assert verdict.met


class TestVerdicts:
    def test_deadline_is_met_or_missed_by_a_margin(self, loihi1) -> None:
        worst = estimate(*loihi1).latency.sample_s.worst.nominal + 3 * 3440 * NS
        met = estimate(*loihi1, deadline_s=worst * 2).verdicts[0]
        assert met.met
        assert met.margin == pytest.approx(0.5)
        assert not estimate(*loihi1, deadline_s=worst / 2).verdicts[0].met

    def test_a_deadline_says_how_many_more_events_would_fit(self, loihi1) -> None:
        fixed, events = 3 * (1000 + 3440), 46.1 + 54.5 + 49.4  # the busiest core of each step of sample 0
        verdict = estimate(*loihi1, deadline_s=(fixed + 7 * events) * NS).verdicts[0]
        assert verdict.safe_event_factor == pytest.approx(7.0, rel=1e-6)
        assert estimate(*loihi1, deadline_s=fixed * NS).verdicts[0].safe_event_factor is None

    def test_below_the_floor_of_a_step_more_events_cost_no_time(self) -> None:
        network = small_network()
        case = (network, small_mapping(network, load_chip("loihi2"), "fc"), small_activity(network))
        verdict = estimate(*case, deadline_s=30e-6 * (1 + 1e-9)).verdicts[0]
        # each step may take 10 us: 2 neurons of 4 ns could become 2500 of them before a step grows
        assert verdict.safe_event_factor == pytest.approx(10e-6 / 8e-9, rel=1e-3)
        assert verdict.met
        assert not verdict.met_at_high

    def test_rate_is_a_demand_on_the_mean_sample(self, loihi1) -> None:
        mean = estimate(*loihi1).latency.sample_s.mean.nominal + 3 * 3440 * NS
        verdict = estimate(*loihi1, rate_hz=1 / (1.25 * mean)).verdicts[0]
        assert verdict.met
        assert verdict.margin == pytest.approx(0.2)

    def test_with_a_step_period_the_chip_waits_and_the_safe_rate_is_that_of_the_period(self, loihi1) -> None:
        verdicts = {v.demand: v for v in estimate(*loihi1, step_period_s=1e-3, deadline_s=4e-3, rate_hz=250.0).verdicts}
        assert verdicts["deadline"].needed_s.nominal == pytest.approx(3e-3)
        assert (verdicts["deadline"].core, verdicts["deadline"].resource) == (None, "step period")
        factor = verdicts["step period"].safe_event_factor
        assert verdicts["deadline"].safe_event_factor == verdicts["rate"].safe_event_factor == factor
        # 3 input spikes in 2 samples of 3 steps
        assert verdicts["step period"].safe_input_hz == pytest.approx(factor * 1.5 / 3e-3)
        assert verdicts["deadline"].safe_input_hz == pytest.approx(factor * 1.5 / 4e-3)

    def test_a_missed_demand_has_no_safe_rate(self, loihi1) -> None:
        (verdict,) = estimate(*loihi1, deadline_s=1e-6).verdicts
        assert (verdict.met, verdict.safe_event_factor, verdict.safe_input_hz) == (False, None, None)

    def test_a_demand_on_a_chip_without_times_is_refused(self, loihi1) -> None:
        network, _, activity = loihi1
        data = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
        del data["latency"]
        with pytest.raises(EstimateError, match=r"rate_hz needs times, but .* has no table \[latency\]; add one"):
            estimate(network, small_mapping(network, chip_from_dict(data)), activity, rate_hz=1.0)

    @pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_demand_that_is_no_positive_number_is_refused(self, loihi1, value: float) -> None:
        with pytest.raises(EstimateError, match="deadline_s is .*must be a positive number"):
            estimate(*loihi1, deadline_s=value)

    def test_a_demand_without_an_activity_is_refused(self, loihi1) -> None:
        with pytest.raises(EstimateError, match="deadline_s needs an activity"):
            estimate(*loihi1[:2], deadline_s=1.0)


class TestStatic:
    def test_whole_chip_and_share_of_cores_are_charged_apart(self, loihi1) -> None:
        cost = estimate(*loihi1, step_period_s=1e-3)
        line = next(x for x in cost.static if (x.component, x.basis) == ("chip", "real-time"))
        assert line.whole_j.nominal == pytest.approx(0.104 * 3e-3)
        assert line.share_j.nominal == pytest.approx(0.104 * 3e-3 * 3 / 128)
        assert (line.whole_j.low, line.whole_j.high) == pytest.approx((0.0296 * 3e-3, 0.18 * 3e-3))

    def test_static_energy_is_not_part_of_the_dynamic_total(self, loihi1) -> None:
        cost = estimate(*loihi1)
        assert cost.energy.total_j.nominal == pytest.approx(sum(x.energy_j.nominal for x in cost.energy.lines))


class TestBelonging:
    def test_memory_is_known_without_an_activity_and_the_rest_is_not(self, loihi1) -> None:
        cost = estimate(*loihi1[:2])
        assert cost.memory.synaptic_bytes == 3 * 3 * 8
        assert [layer.synaptic_bytes for layer in cost.memory.layers] == [48, 24]
        assert (cost.energy, cost.latency, cost.static) == (None, None, ())
        assert any("not available without an activity" in note for note in cost.notes)

    def test_fill_names_the_register_that_is_fullest(self, loihi1) -> None:
        first = estimate(*loihi1[:2]).memory.cores[0]
        assert first.fullest == "neurons"
        assert first.fill == pytest.approx(2 / 1024)

    def test_an_activity_of_another_network_is_refused(self, loihi1) -> None:
        network, mapping, _ = loihi1
        with pytest.raises(EstimateError, match=r"the activity \('reference'\) is of network .* simulate this network"):
            estimate(network, mapping, small_activity(small_network("leaky")))

    def test_spikes_recorded_elsewhere_are_taken_with_a_note_and_checked_by_size(self, loihi1) -> None:
        network, mapping, activity = loihi1
        elsewhere = replace(activity, network="")
        cost = estimate(network, mapping, elsewhere)
        assert cost.energy == estimate(*loihi1).energy
        assert any("recorded elsewhere" in note for note in cost.notes)
        assert not any("recorded elsewhere" in note for note in estimate(*loihi1).notes)
        short = {**activity.spikes, "out": activity.spikes["hidden"]}
        with pytest.raises(EstimateError, match="'out' has 2 neurons, the activity holds 4; simulate again"):
            estimate(network, mapping, replace(elsewhere, spikes=short))

    def test_a_mapping_of_another_network_is_refused(self, loihi1) -> None:
        network, _, activity = loihi1
        other = small_mapping(small_network("leaky"), load_chip("loihi1"))
        with pytest.raises(EstimateError, match="the mapping is of network .* map this network again"):
            estimate(network, other, activity)

    def test_a_mapping_that_stores_other_synapses_is_refused(self, loihi1) -> None:
        network, mapping, activity = loihi1
        cores = (core(0, (0, 0), {"hidden": [0, 1]}, {"w1": 5}, "sparse"), *mapping.cores[1:])
        names = ("chip", "network", "sizes", "sources", "targets", "limits", "split")
        wrong = Mapping(cores=cores, **{name: getattr(mapping, name) for name in names})
        with pytest.raises(EstimateError, match="stores 8 synapses for projection 'w1'"):
            estimate(network, wrong, activity)

    def test_updated_counts_under_other_labels_are_refused(self, loihi1) -> None:
        network, mapping, activity = loihi1
        other = Activity(
            engine="x", network=network.fingerprint, n_steps=3, spikes=activity.spikes, updated=np.zeros((2, 3, 7), int)
        )
        with pytest.raises(EstimateError, match="under 7 labels, the mapping has 3 cores"):
            estimate(network, mapping, other)


class TestRecord:
    def test_json_gives_the_same_cost_back(self, loihi1) -> None:
        cost = estimate(*loihi1, step_period_s=1e-3, deadline_s=1.0)
        assert Cost.from_json(json.loads(json.dumps(cost.to_json()))) == cost

    def test_an_unknown_key_is_refused_with_its_place(self, loihi1) -> None:
        data = estimate(*loihi1).to_json()
        data["memory"]["colour"] = 1
        with pytest.raises(EstimateError, match=r"memory\.colour"):
            Cost.from_json(data)


class TestTotals:
    """Nominal powers by hand: 104 mW of the chip and 40 mW of its CPUs, over the time with 3.44 us of management a step."""

    def test_boundaries_lie_one_inside_the_other(self, loihi1) -> None:
        cost = estimate(*loihi1)
        latency = cost.latency
        time = latency.sample_s.mean.nominal + 3 * 3440 * NS
        cores, chip, board = (cost.total(boundary) for boundary in ("cores", "chip", "board"))
        assert [t.operation for t in cost.totals] == ["free-running"] * 3
        assert cores.energy_j == cost.energy.total_j
        assert chip.time_s.nominal == pytest.approx(time, rel=1e-12)
        by_hand = cores.energy_j.nominal + (0.104 + 0.040) * time
        assert chip.energy_j.nominal == pytest.approx(by_hand, rel=1e-12)
        assert board.energy_j.nominal == chip.energy_j.nominal
        assert [part.name for part in chip.parts] == ["dynamic", "static", "embedded CPUs"]
        assert board.left_out == ("host", "regulators, bridges and memory of the board")
        assert chip.power_w.nominal == pytest.approx(by_hand / time, rel=1e-12)

    def test_ranges_of_a_total_are_sums_of_those_of_its_parts(self, loihi1) -> None:
        chip = estimate(*loihi1).total("chip")
        for end, watts in (("low", 0.0296 + 0.010), ("high", 0.18 + 0.070)):
            parts = [getattr(part.energy_j, end) for part in chip.parts]
            assert getattr(chip.energy_j, end) == pytest.approx(sum(parts), rel=1e-12)
            assert sum(parts[1:]) == pytest.approx(watts * getattr(chip.time_s, end), rel=1e-12)

    def test_at_a_rate_the_chip_waits_and_its_cpus_may_sleep(self, loihi1) -> None:
        cost = estimate(*loihi1, rate_hz=50.0)
        chip = cost.total("chip")
        assert (chip.operation, chip.time_s.nominal) == ("rate", pytest.approx(0.02))
        busy = cost.latency.managed_sample_s.mean
        dynamic = cost.energy.total_j
        assert chip.energy_j.nominal == pytest.approx(dynamic.nominal + 0.144 * 0.02, rel=1e-12)
        assert chip.energy_j.low == pytest.approx(dynamic.low + 0.0296 * 0.02 + 0.010 * busy.low, rel=1e-12)
        assert chip.energy_j.high == pytest.approx(dynamic.high + 0.25 * 0.02, rel=1e-12)

    def test_a_rate_that_is_too_high_is_free_running(self, loihi1) -> None:
        cost = estimate(*loihi1, rate_hz=1e9)
        free, rate = (cost.total("chip", operation) for operation in ("free-running", "rate"))
        assert rate.energy_j.nominal == pytest.approx(free.energy_j.nominal, rel=1e-12)

    def test_at_a_period_each_step_takes_it(self, loihi1) -> None:
        cost = estimate(*loihi1, step_period_s=1e-3)
        chip = cost.total("chip")
        assert (chip.operation, chip.time_s.nominal) == ("period", pytest.approx(3e-3))
        assert chip.energy_j.nominal == pytest.approx(cost.energy.total_j.nominal + 0.144 * 3e-3, rel=1e-12)

    def test_a_battery_lasts_as_long_as_its_energy_over_the_average_power(self, loihi1) -> None:
        chip = estimate(*loihi1, rate_hz=50.0, battery_j=3600.0).total("chip")  # 1 Wh
        assert chip.battery_h.nominal == pytest.approx(1 / chip.power_w.nominal, rel=1e-12)
        assert chip.battery_h.low == pytest.approx(1 / chip.power_w.high, rel=1e-12)
        assert estimate(*loihi1).total("chip").battery_h is None

    def test_what_has_no_price_is_named_and_a_chip_without_times_has_no_total(self) -> None:
        network = small_network()
        cost = estimate(network, small_mapping(network, load_chip("loihi2"), "fc"), small_activity(network))
        assert "embedded CPUs" in cost.total("chip").left_out
        data = load_chip("loihi1").model_dump(mode="json", exclude_none=True)
        del data["latency"]
        cost = estimate(network, small_mapping(network, chip_from_dict(data)), small_activity(network))
        assert (cost.totals, "totals" in cost.to_json()) == ((), False)

    def test_a_cost_with_totals_is_read_back(self, loihi1) -> None:
        cost = estimate(*loihi1, rate_hz=50.0, battery_j=3600.0)
        assert Cost.from_json(json.loads(json.dumps(cost.to_json()))) == cost

    def test_records_of_older_versions_are_read(self, loihi1) -> None:
        data = estimate(*loihi1, deadline_s=1.0).to_json()
        for name in ("totals", "coverage"):
            del data[name]
        for name in ("managed_step_s", "managed_sample_s", "host_input"):
            del data["latency"][name]
        for name in ("needed_with_host_s", "met_with_host"):
            del data["verdicts"][0][name]
        assert Cost.from_json(data).totals == ()


class TestHostInput:
    """Sample 0 injects 2 spikes in step 0, sample 1 one spike in step 2; 3 us each."""

    def test_it_is_a_line_of_its_own(self, loihi1) -> None:
        latency = estimate(*loihi1).latency
        assert latency.host_input.spikes == 1.5
        assert latency.host_input.sample_s.mean.nominal == pytest.approx(4.5e-6)
        assert latency.host_input.sample_s.worst.nominal == pytest.approx(6e-6)
        assert latency.managed_sample_s.mean.nominal == pytest.approx(latency.sample_s.mean.nominal + 3 * 3.44e-6)

    def test_verdicts_say_both(self, loihi1) -> None:
        free = estimate(*loihi1, deadline_s=1.0).verdicts[0]
        assert free.needed_with_host_s.nominal == pytest.approx(free.needed_s.nominal + 6e-6, rel=1e-9)
        between = (free.needed_s.nominal + free.needed_with_host_s.nominal) / 2
        verdict = estimate(*loihi1, deadline_s=between).verdicts[0]
        assert (verdict.met, verdict.met_with_host, verdict.fails) == (True, False, True)

    def test_where_it_has_no_time_the_verdict_is_without_it(self, loihi1) -> None:
        network, _, activity = loihi1
        chip = changed(load_chip("loihi1"), "latency", host_input=None)
        cost = estimate(network, small_mapping(network, chip), activity, deadline_s=1.0)
        verdict = cost.verdicts[0]
        assert (verdict.needed_with_host_s, verdict.met_with_host, verdict.fails) == (None, None, False)
        assert cost.latency.host_input.sample_s is None

    def test_in_real_time_a_step_waits_for_the_host_as_well(self, loihi1) -> None:
        verdict = next(v for v in estimate(*loihi1, step_period_s=1e-3).verdicts if v.demand == "step period")
        first = estimate(*loihi1).latency.trace.step_s[0]
        assert verdict.needed_with_host_s.nominal == pytest.approx(first + 3.44e-6 + 6e-6, rel=1e-9)


class TestTies:
    @pytest.mark.parametrize("demand", ["deadline_s", "step_period_s"])
    def test_a_demand_of_just_what_is_needed_is_met_with_no_margin(self, loihi1, demand: str) -> None:
        name = {"deadline_s": "deadline", "step_period_s": "step period"}[demand]
        needed = next(v for v in estimate(*loihi1, **{demand: 1.0}).verdicts if v.demand == name).needed_s.nominal
        for rounded in (needed, needed * (1 - 1e-15), needed * (1 + 1e-15)):
            cost = estimate(*loihi1, **{demand: rounded})
            verdict = next(v for v in cost.verdicts if v.demand == name)
            assert (verdict.met, verdict.margin) == (True, 0.0)
        assert demand == "deadline_s" or cost.latency.late_steps == 0

    def test_a_part_in_a_million_more_is_missed(self, loihi1) -> None:
        needed = estimate(*loihi1, deadline_s=1.0).verdicts[0].needed_s.nominal
        verdict = estimate(*loihi1, deadline_s=needed * (1 - 1e-6)).verdicts[0]
        assert not verdict.met
        assert verdict.margin == pytest.approx(-1e-6, rel=1e-3)


class TestGrades:
    def test_a_grade_reads_no_better_than_the_coverage_of_its_kind(self, loihi1) -> None:
        network, _, activity = loihi1
        grades = {}
        for inside in (0, 3, 4, 5):
            chip = changed(load_chip("loihi1"), "coverage", static={"inside": inside, "of": 5, "source": "here"})
            line = estimate(network, small_mapping(network, chip), activity, step_period_s=1e-3).static[-1]
            grades[inside] = line.power_w.grade  # of the file: measured
        assert grades == {0: "guess", 3: "guess", 4: "measured", 5: "measured"}
        chip = changed(load_chip("loihi1"), "coverage", static={"inside": 2, "of": 2, "source": "here"})
        assert estimate(network, small_mapping(network, chip), activity).static[0].power_w.grade == "calibrated"
        chip = changed(load_chip("loihi1"), "coverage", static=None)
        assert estimate(network, small_mapping(network, chip), activity).static[0].power_w.grade == "published"

    def test_the_coverage_of_the_chip_is_part_of_the_cost(self, loihi1) -> None:
        assert estimate(*loihi1).coverage["static"].of == load_chip("loihi1").coverage["static"].of
