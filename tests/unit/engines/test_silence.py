"""What a run leaves unsaid: ties, silence, layers that never fire, samples without events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import chain, connect, one_layer, samples, wired

from neurodeploy.commands.samples import as_samples
from neurodeploy.engines import decode, decoding_probes, simulate
from neurodeploy.engines.decoding import answers
from neurodeploy.engines.silence import find_silence
from neurodeploy.errors import SimulationError
from neurodeploy.network import Cuba, LeakyIntegrator, Network, Output, Sigma
from neurodeploy.network.activity import Activity, Samples, save_samples

FORGETS = Cuba(current_decay=4096, voltage_decay=4096, threshold=10)
READS = LeakyIntegrator(current_decay=4096, voltage_decay=0)
RASTER = np.zeros((4, 5, 2), bool)
RASTER[0, 1, 0] = RASTER[1, 0, :] = RASTER[2, 2, 0] = RASTER[2, 3, 0] = True
"""Sample 0: one spike of channel 0. 1: one of each in one step. 2: two of channel 0. 3: none."""


def run(network: Network, given: Samples) -> Activity:
    return simulate(network, given, engine="reference", probe=decoding_probes(network))


def undecided(network: Network, given: Samples) -> tuple[list[bool], list[bool]]:
    found = answers(network, run(network, given))
    return found.tied.tolist(), found.silent.tolist()


class TestAnswers:
    def test_equal_counts_are_a_tie_and_no_spike_is_silence_too(self):
        tied, silent = undecided(one_layer([[20, 0], [0, 20]], FORGETS), samples(RASTER))
        assert (tied, silent) == ([False, True, False, True], [False, False, False, True])

    def test_first_spikes_in_one_step_are_a_tie(self):
        network = one_layer([[20, 0], [0, 20]], FORGETS, decoding="first_spike")
        assert undecided(network, samples(RASTER)) == ([False, True, False, True], [False, False, False, True])

    def test_equal_voltages_are_a_tie_and_silence_is_that_nothing_was_heard(self):
        network = one_layer([[3, 0], [0, 3]], READS, decoding="last_voltage")
        assert undecided(network, samples(RASTER)) == ([False, True, False, True], [False, False, False, True])

    def test_a_voltage_from_the_bias_alone_is_no_answer(self):
        reads = LeakyIntegrator(current_decay=4096, voltage_decay=4096, bias=np.array([0, 500]))
        network = one_layer([[3, 0], [0, 3]], reads, decoding="last_voltage")
        tied, silent = undecided(network, samples(RASTER))
        assert (tied[3], silent[3], silent[0]) == (False, True, False)

    @pytest.mark.parametrize("decoding", ["sum", "last_message"])
    def test_messages_of_one_value_are_a_tie(self, decoding):
        network = one_layer([[3, 0], [0, 3]], Sigma(), decoding=decoding)
        assert undecided(network, samples(RASTER)) == ([False, True, False, True], [False, False, False, True])

    def test_one_neuron_is_never_tied(self):
        network = one_layer([[20, 20]], FORGETS)
        assert undecided(network, samples(RASTER)) == ([False] * 4, [False, False, False, True])

    def test_the_class_of_a_tie_stays_the_lowest_index(self):
        network = one_layer([[0, 20], [20, 0], [20, 0]], FORGETS)
        activity = run(network, samples(RASTER))
        assert decode(network, activity).tolist() == [1, 0, 1, 0]
        assert answers(network, activity).shares == {"tied": 1.0, "silent": 0.25}

    def test_voltages_have_to_be_recorded(self):
        network = one_layer([[3, 0]], READS, decoding="last_voltage")
        activity = simulate(network, samples(RASTER), engine="reference")
        with pytest.raises(SimulationError, match="reads voltages; run with probe"):
            answers(network, activity)
        assert find_silence(network, activity, samples(RASTER)).outputs == {}


DEAD = chain({"h": [[-1, -1], [-1, -2]], "o": [[20, 20], [20, 0]]}, FORGETS, output="class")


class TestWhatARunLeavesUnsaid:
    def test_a_dead_network_is_no_answer(self):
        found = find_silence(DEAD, run(DEAD, samples(RASTER)), samples(RASTER))
        assert found.outputs == {"class": {"tied": 1.0, "silent": 1.0}}
        assert found.never_fired == ("h", "o")
        assert found.warnings == (
            "output 'class' is silent on all 4 samples: what is decoded from it is no class",
            "no neuron fires on these samples in: h, o",
        )
        assert found.notes == (
            "1 of 4 samples have no input event",
            "2 neurons of 'h' can never fire, whatever the input: 0-1",
            "2 neurons of 'o' can never fire, whatever the input: 0-1",
        )
        plain = found.to_json()
        assert plain["never_fire"] == {"h": [0, 1], "o": [0, 1]}
        assert plain["warnings"] == list(found.warnings)

    def test_a_network_that_answers_has_nothing_to_say(self):
        network, own = one_layer([[20, 0], [0, 20]], FORGETS), samples(RASTER[:3])
        found = find_silence(network, run(network, own), own)
        assert (found.warnings, found.notes, found.empty_samples) == ((), (), 0)
        assert found.outputs == {"out": {"tied": 1 / 3, "silent": 0.0}}

    def test_ties_on_all_samples_are_a_warning(self):
        network, own = one_layer([[20, 20], [20, 20]], FORGETS), samples(RASTER[:3])
        found = find_silence(network, run(network, own), own)
        assert found.warnings == ("output 'out' is tied on all 3 samples: its classes are lowest indices",)

    def test_a_layer_can_be_silent_on_these_samples_alone(self):
        network = one_layer([[0, 20], [0, 30]], FORGETS)
        own = samples(RASTER[2:3])
        found = find_silence(network, run(network, own), own)
        assert (found.never_fired, found.never_fire) == (("out",), {})

    def test_read_outs_are_no_layers_that_never_fire(self):
        network = one_layer([[3, 0], [0, 3]], READS, decoding="last_voltage")
        assert find_silence(network, run(network, samples(RASTER)), samples(RASTER)).never_fired == ()

    def test_each_output_has_its_own_shares(self):
        network = wired(
            {"in": 2},
            {"a": (2, FORGETS), "b": (2, FORGETS)},
            [connect("in", "a", [[20, 0], [0, 20]]), connect("in", "b", [[-1, 0], [0, -1]])],
            [Output(name="one", population="a"), Output(name="two", population="b")],
        )
        found = find_silence(network, run(network, samples(RASTER)), samples(RASTER))
        assert found.outputs == {"one": {"tied": 0.5, "silent": 0.25}, "two": {"tied": 1.0, "silent": 1.0}}
        assert found.silent_outputs == ("two",)


class TestSamplesThatLoseEvents:
    def test_events_whose_only_way_is_longer_than_the_run(self):
        """The run has 5 + 1 steps: an event of step 2 with a delay of 3 arrives in step 6, behind the last."""
        network = one_layer([[20, 0], [0, 20]], FORGETS, delay=[3, 0])
        own = samples(RASTER)
        found = find_silence(network, run(network, own), own)
        assert found.cut_samples == 1
        assert found.notes == (
            "1 of 4 samples have no input event",
            "1 of 4 samples lose input events, which lie or arrive behind the last step",
        )

    def test_synaptic_delays_count_where_there_is_a_weight(self):
        own = samples(RASTER)
        for weights, delay, cut in (
            ([[20, 0], [20, 0]], [[3, 9], [0, 9]], 0),
            ([[20, 0], [0, 0]], [[3, 9], [0, 9]], 1),
            ([[0, 0], [0, 0]], [[9, 9], [9, 9]], 0),
        ):
            network = one_layer(weights, FORGETS, delay=delay)
            assert find_silence(network, run(network, own), own).cut_samples == cut

    def test_events_behind_a_shorter_run(self):
        network, own = one_layer([[20, 0], [0, 20]], FORGETS), samples(RASTER)
        activity = simulate(network, own, engine="reference", n_steps=3)
        assert find_silence(network, activity, own).cut_samples == 1

    def test_events_of_recordings_after_the_time_that_was_read(self, tmp_path):
        """Recordings of two samples, 3 ms of which are read: the first has one event later on."""
        network = one_layer([[20, 0], [0, 20]], FORGETS)
        table = {"times": [0, 4000, 1000, 2000], "units": [0, 1, 1, 0], "samples": [0, 0, 1, 1]}
        own = as_samples(table, network=network, time_unit="us", n_steps=3, dt_s=1e-3)
        assert own.outside is not None
        assert own.outside.tolist() == [1, 0]
        save_samples(own, tmp_path / "own.npz")
        kept = as_samples(tmp_path / "own.npz", network=network)
        assert find_silence(network, run(network, kept), kept).cut_samples == 1
        assert find_silence(network, run(network, kept.take(1, 2)), kept.take(1, 2)).cut_samples == 0

    def test_counts_of_such_events_must_fit_the_samples(self):
        own = samples(RASTER)
        with pytest.raises(SimulationError, match="one count of events for each of 4 samples"):
            replace(own, outside=np.array([1, 2]))
