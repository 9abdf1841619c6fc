"""The reset by subtraction and inputs with payloads, against numbers that anyone can recompute by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from building import ROOT, connect, engines, one_layer, samples, wired

from neurodeploy.engines.table import ENGINES, simulate
from neurodeploy.errors import LavaError, SimulationError
from neurodeploy.network import Conv, Cuba, Input, LeakyIntegrator, Network, Pool
from neurodeploy.network.activity import Samples

LIMIT = 2**23
HERE = engines(lambda engine: engine.seconds is None)
FREE = engines(lambda engine: "wrap" not in engine.refused)
COUNTING = engines(lambda engine: engine.counts_updates)
LAVAS = [name for name in ENGINES if name.startswith("lava")]
SUM = LeakyIntegrator(current_decay=4096, voltage_decay=0)
"""Its current is 64 times what arrived in the step, its voltage 64 times all that arrived."""


@pytest.fixture(autouse=True)
def _of_lava(request):
    engine = request.node.callspec.params.get("engine", "") if hasattr(request.node, "callspec") else ""
    if engine == "lava-in-process":
        pytest.importorskip("lava.magma", reason="this Python has no lava-nc")


def subtracting(threshold, **changes) -> Cuba:
    """Neurons without memory of the current that keep their voltage."""
    return Cuba(**{"current_decay": 4096, "voltage_decay": 0, "threshold": threshold, "reset": "subtract", **changes})


def run(engine: str, model: Cuba, given, weight: int = 1, n_steps: int | None = None):
    """Spikes and voltages of one neuron from step 1 on; ``given`` are the payloads of its only input."""
    network = one_layer([[weight]], model, graded=True)
    raster = np.array(given).reshape(1, -1, 1)
    activity = simulate(network, samples(raster, graded=True), engine=engine, n_steps=n_steps, probe=[("out", "v")])
    return activity.spikes["out"].to_dense()[0, 1:, 0].tolist(), activity.states["out", "v"][0, 1:, 0].tolist()


@pytest.mark.parametrize("engine", FREE)
class TestSubtraction:
    def test_what_exceeds_the_threshold_is_kept(self, engine):
        """Threshold 2 is 128; weight 3 brings 192 a step: 192 leaves 64, 256 leaves 128, which is not above 128."""
        assert run(engine, subtracting(2), [1, 1, 0], weight=3) == ([1, 1, 0], [64, 128, 128])

    def test_there_is_at_most_one_spike_a_step(self, engine):
        """640 is five thresholds: it is paid back step by step, and the last 128 is not above the threshold."""
        assert run(engine, subtracting(2), [10, 0, 0, 0, 0]) == ([1, 1, 1, 1, 0], [512, 384, 256, 128, 128])

    def test_a_threshold_of_zero_subtracts_nothing(self, engine):
        assert run(engine, subtracting(0), [0, 1, 0, -1, -1, 0]) == ([0, 1, 1, 0, 0, 0], [0, 64, 64, 0, -64, -64])

    def test_a_voltage_at_the_threshold_stays_and_one_above_it_leaves_one(self, engine):
        assert run(engine, subtracting(2), [2]) == ([0], [128])
        assert run(engine, subtracting(2, bias=1), [2]) == ([1], [1])

    def test_decay_acts_on_what_the_reset_left(self, engine):
        """640 - 128 = 512 halves to 256, 256 - 128 = 128 halves to 64."""
        assert run(engine, subtracting(2, voltage_decay=2048), [10, 0, 0]) == ([1, 1, 0], [512, 128, 64])

    def test_the_current_is_not_touched(self, engine):
        """The current stays 192: 192, 64 + 192, 128 + 192, each less 128."""
        assert run(engine, subtracting(2, current_decay=0), [3, 0, 0]) == ([1, 1, 1], [64, 128, 192])

    def test_the_voltage_is_clipped_before_the_threshold_is_subtracted(self, engine):
        """``2**23 - 1 + 64`` is clipped to ``2**23 - 1``; then 6400 is subtracted, not from the sum."""
        assert run(engine, subtracting(100, bias=LIMIT - 1), [1]) == ([1], [LIMIT - 1 - 6400])
        assert run(engine, subtracting(2**17 - 1, bias=LIMIT - 1), [1]) == ([1], [63])
        assert run(engine, subtracting(100, bias=1 - LIMIT), [-1]) == ([0], [1 - LIMIT])

    def test_each_neuron_subtracts_its_own_threshold(self, engine):
        network = one_layer([[5], [5], [5]], subtracting(np.array([1, 4, 5])), graded=True)
        activity = simulate(network, samples([[[1]]], graded=True), engine=engine, probe=[("out", "v")])
        assert activity.states["out", "v"][0, 1].tolist() == [256, 64, 320]
        assert activity.spikes["out"].to_dense()[0, 1].tolist() == [1, 1, 0]

    def test_populations_of_both_resets_run_side_by_side(self, engine):
        populations = {"zero": (1, subtracting(2, reset="zero")), "subtract": (1, subtracting(2))}
        projections = [connect("in", name, [[7]]) for name in populations]
        network = wired({"in": 1}, populations, projections)
        activity = simulate(
            network, samples([[[1], [0], [0]]]), engine=engine, probe=[("zero", "v"), ("subtract", "v")]
        )
        assert activity.states["zero", "v"][0, :, 0].tolist() == [0, 0, 0, 0]
        assert activity.states["subtract", "v"][0, :, 0].tolist() == [0, 320, 192, 64]

    def test_the_next_sample_starts_from_rest(self, engine):
        network = one_layer([[10]], subtracting(2))
        raster = np.array([[[1], [0]], [[0], [0]]])
        activity = simulate(network, samples(raster), engine=engine, probe=[("out", "v")])
        assert activity.states["out", "v"][:, :, 0].tolist() == [[0, 512, 384], [0, 0, 0]]


@pytest.mark.parametrize("engine", LAVAS)
def test_lava_says_that_it_does_not_subtract(engine):
    network = one_layer([[1]], subtracting(2), target="hidden")
    with pytest.raises(
        LavaError, match="'hidden' subtracts its threshold when it fires.*Use engine reference or event"
    ):
        simulate(network, samples([[[1]]]), engine=engine)


def currents(engine: str, network: Network, given: Samples) -> list[list[int]]:
    """What arrived in each step from 1 on, from the currents of neurons that forget them."""
    activity = simulate(network, given, engine=engine, probe=[("out", "u")])
    return (activity.states["out", "u"][0, 1:] // 64).tolist()


@pytest.mark.parametrize("engine", HERE)
class TestPayloads:
    def test_a_payload_multiplies_the_weights(self, engine):
        network = one_layer([[4, 6], [-2, 0]], SUM, graded=True)
        given = samples([[[4, -2], [0, 7], [1, 1]]], graded=True)
        assert currents(engine, network, given) == [[16 - 12, -8], [42, 0], [10, -2]]

    def test_a_payload_of_one_is_a_spike(self, engine):
        raster = np.random.default_rng(0).random((2, 20, 6)) < 0.4
        weights = 2 * np.random.default_rng(1).integers(-20, 30, (5, 6))
        model = Cuba(current_decay=900, voltage_decay=200, threshold=70)
        plain, graded = (one_layer(weights, model, graded=bits) for bits in (0, 1))
        one = simulate(plain, samples(raster), engine=engine)
        for given in (samples(raster), samples(raster.astype(int), graded=True)):
            other = simulate(graded, given, engine=engine)
            assert np.array_equal(other.spikes["out"].to_dense(), one.spikes["out"].to_dense())
            assert other.overflow == one.overflow
        assert 0 < len(one.spikes["out"]) < 200

    @pytest.mark.parametrize(("exponent", "arriving"), [(3, [-56, 40]), (0, [-7, 5]), (-1, [-4, 2]), (-2, [-2, 1])])
    def test_the_sum_of_a_step_is_shifted_and_rounded_down(self, engine, exponent, arriving):
        """-12 + 5 = -7 and 5 are the sums of both payloads; -7 / 2 becomes -4, -7 / 4 becomes -2."""
        network = one_layer([[1, 1], [1, 0]], SUM, graded=True, weight_exponent=exponent)
        assert currents(engine, network, samples([[[5, -12]]], graded=True)) == [arriving]

    def test_delays_of_sources_and_of_synapses_move_payloads(self, engine):
        raster = [[[7, -9], [0, 0], [0, 0], [1, 1]]]
        by_source = one_layer([[2, 2]], SUM, graded=True, delay=np.array([2, 0]))
        assert currents(engine, by_source, samples(raster, graded=True)) == [[-18], [0], [14], [2]]
        by_synapse = one_layer([[2, 2], [4, 4]], SUM, graded=True, delay=np.array([[0, 1], [1, 0]]))
        assert currents(engine, by_synapse, samples(raster, graded=True)) == [[14, -36], [-18, 28], [0, 0], [2, 4]]

    def test_convolution_and_pooling_sum_payloads(self, engine):
        """The kernel (1, 10) meets the pixels (2, 3), (3, 0), (0, 5); windows of two sum up to 5 and 5."""
        image = samples([[[2, 3, 0, 5]]], graded=True)
        conv = Conv(weights=[[[[1, 10]]]], input_shape=(1, 1, 4))
        assert currents(engine, one_layer(conv, SUM, graded=4), image) == [[32, 3, 50]]
        pool = Pool(input_shape=(1, 1, 4), kernel=(1, 2), stride=(1, 2), weight=-4)
        assert currents(engine, one_layer(pool, SUM, graded=4), image) == [[-20, -20]]

    def test_graded_and_plain_inputs_meet_in_one_population(self, engine):
        network = wired(
            {"pixels": 2, "counts": 1, "dots": 2},
            {"out": (1, SUM)},
            [
                connect("pixels", "out", [[1, 2]]),
                connect("counts", "out", [[8]], weight_exponent=-1),
                connect("dots", "out", [[100, 200]]),
            ],
            graded=["pixels", "counts"],
        )
        rasters = {"pixels": [[[3, 4], [0, 0]]], "counts": [[[-1], [5]]]}
        given = samples(rasters, graded=True).inputs | samples([[[1, 1], [0, 1]]], "dots").inputs
        assert currents(engine, network, Samples(inputs=given)) == [[11 - 4 + 300], [20 + 200]]

    def test_events_that_stay_the_same_arrive_in_every_step_anew(self, engine):
        network = one_layer([[2, 10], [0, -2]], SUM, graded=True)
        raster = np.repeat([[[3, 4]]], 4, axis=1)
        assert currents(engine, network, samples(raster, graded=True)) == [[46, -8]] * 4

    @pytest.mark.parametrize("at", [0, 1, 3])
    @pytest.mark.parametrize("changed", [5, 0, -4])
    def test_one_channel_that_changes_is_seen_in_its_step(self, engine, at, changed):
        network = one_layer([[1, 10]], SUM, graded=True)
        raster = np.repeat([[[3, 4]]], 4, axis=1)
        raster[0, at, 1] = changed
        expected = [[43] if t != at else [3 + 10 * changed] for t in range(4)]
        assert currents(engine, network, samples(raster, graded=True)) == expected

    def test_the_same_channels_with_other_payloads_are_other_events(self, engine):
        network = one_layer([[1, 10]], SUM, graded=True)
        raster = [[[3, 4], [4, 3], [4, 3], [3, 4]]]
        assert currents(engine, network, samples(raster, graded=True)) == [[43], [34], [34], [43]]

    def test_a_step_without_events_brings_nothing_and_what_follows_it_is_summed(self, engine):
        network = one_layer([[1, 10]], SUM, graded=True)
        raster = [[[3, 4], [0, 0], [3, 4], [3, 4], [0, 0]]]
        assert currents(engine, network, samples(raster, graded=True)) == [[43], [0], [43], [43], [0]]

    def test_the_next_sample_does_not_repeat_the_last_step_of_the_one_before(self, engine):
        network = one_layer([[1, 10]], SUM, graded=True)
        raster = np.array([[[3, 4], [3, 4]], [[3, 4], [0, 1]]])
        activity = simulate(network, samples(raster, graded=True), engine=engine, probe=[("out", "u")])
        assert (activity.states["out", "u"][:, :, 0] // 64).tolist() == [[0, 43, 43], [0, 43, 10]]

    def test_sums_wrap_at_32_bits_before_they_become_a_current(self, engine):
        """``4 * 2**30`` is 0, ``3 * 2**30`` is ``-2**30``, and 64 times ``2**26`` is 0 again in 32 bits."""
        network = one_layer([[4], [3], [2]], SUM, graded=True)
        activity = simulate(
            network, samples([[[2**30], [2**26 + 1]]], graded=True), engine=engine, probe=[("out", "u")]
        )
        assert activity.states["out", "u"][0, 1:].tolist() == [[0, 0, 0], [256, 192, 128]]

    def test_a_current_beyond_24_bits_is_folded_and_counted_once_a_neuron_and_step(self, engine):
        """``2**17 * 64`` is ``2**23``, legal and counted; one more is folded; half of it is neither."""
        network = one_layer([[1], [1]], SUM, graded=True)
        raster = [[[2**17], [2**17 + 1], [2**16]]]
        activity = simulate(network, samples(raster, graded=True), engine=engine, probe=[("out", "u")])
        assert activity.states["out", "u"][0, 1:, 0].tolist() == [LIMIT, 64 - LIMIT, LIMIT // 2]
        assert activity.overflow == {"out": 4}

    def test_a_wrapped_sum_of_a_convolution_counts_once_beside_the_current_that_it_leaves(self, engine):
        """256 times ``2**15 + 1`` is ``2**23 + 256``, which wraps to ``256 - 2**23``, too much for a current."""
        pool = Pool(input_shape=(1, 1, 2), kernel=(1, 1), stride=(1, 1), weight=-256)
        network = one_layer(pool, SUM, graded=True)
        given = samples([[[-(2**15) - 1, 1]] * 2 + [[-(2**16), -1]] * 2], graded=True)
        activity = simulate(network, given, engine=engine, probe=[("out", "u")])
        assert activity.states["out", "u"][0, 1:, 0].tolist() == [256 * 64 - 2**29 + 2 * LIMIT] * 2 + [0, 0]
        assert activity.overflow == {"out": 4}


@pytest.mark.parametrize("engine", COUNTING)
def test_payloads_that_cancel_update_no_neuron(engine):
    """A neuron is updated where the sum that arrives is not 0."""
    network = one_layer([[1, 1], [1, 0]], Cuba(current_decay=4096, voltage_decay=4096, threshold=9), graded=True)
    given = samples([[[3, -3], [3, -3], [3, -2]]], graded=True)
    activity = simulate(network, given, engine=engine, labels={"out": np.array([0, 1])})
    assert activity.updated[0].tolist() == [[0, 0], [0, 1], [0, 1], [1, 1]]


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize(
    ("given", "payloads", "message"),
    [
        (Input(name="in", shape=(3,), payload_bits=4), [15, 16, 99], r"input 'in' takes payloads of 4 bits, 1..15, but "
         r"channel 1 has 16 in step 0 of sample 0 \(2 such events\); scale the payloads down, or give the input more"),
        (Input(name="in", shape=(3,), payload_bits=4), [15, -3, 9], r"payloads of 4 bits, 1..15, but channel 1 has -3 in "
         r"step 0 of sample 0 \(1 such events\); give the input signed payloads \(signed=True, payload_bits=5\)"),
        (Input(name="in", shape=(3,), payload_bits=4, signed=True), [7, -8, 8], r"takes signed payloads of 4 bits, -8..7, "
         r"but channel 2 has 8 in step 0 of sample 0"),
        (Input(name="in", shape=(3,)), [1, 1, 2], r"events for input 'in' carry payloads, but it takes plain spikes; leave "
         r"the payloads out or give the input payload_bits: Input\(name='in', ..., payload_bits=8\)"),
    ],
    ids=["beyond the bits", "negative without a sign", "beyond the sign", "for plain spikes"],
)  # fmt: skip
def test_payloads_that_an_input_does_not_take_are_named_by_every_engine(engine, given, payloads, message):
    network = replace(one_layer([[2, 2, 2]]), inputs=(given,))
    events = samples([[payloads]], graded=True)
    with pytest.raises(SimulationError, match=message):
        simulate(network, events, engine=engine)


@pytest.mark.parametrize("engine", HERE)
def test_the_record_of_a_run_holds_the_payloads_within_its_steps(engine):
    network = one_layer([[2, 2]], graded=True)
    given = samples([[[5, 0], [-7, 1], [0, 3]]], graded=True)
    for n_steps, expected in ((None, [[5, 0], [-7, 1], [0, 3], [0, 0]]), (2, [[5, 0], [-7, 1]])):
        activity = simulate(network, given, engine=engine, n_steps=n_steps)
        assert activity.spikes["in"].to_dense()[0].tolist() == expected


@pytest.mark.lava
@pytest.mark.usefixtures("leaves_nothing")
def test_lava_says_where_a_population_that_it_holds_down_fires_too_early():
    """Before the first step a bias of ``-2**30`` holds a neuron down: a current of ``2**30``, but not 64 more."""
    model = Cuba(current_decay=4096, voltage_decay=4096, threshold=0)
    loop = connect("hidden", "hidden", [[10]])
    network = one_layer([[1]], model, target="hidden", graded=True, first_step=2, extra=[loop])
    most = (2**30 + 2**24) // 64  # Lava folds a current by 2**24 before it meets the bias
    given = samples([[[most], [0]]], graded=True)
    assert [len(simulate(network, given, engine=e).spikes["hidden"]) for e in ("lava", "reference")] == [0, 0]
    more = samples([[[0], [0]], [[most + 1], [0]]], graded=True)
    with pytest.raises(
        LavaError, match="'hidden': neuron 0 fired in step 1 of sample 1, before its first step 2: .* 30 bits"
    ):
        simulate(network, more, engine="lava")
    assert len(simulate(network, more, engine="reference").spikes["hidden"]) == 0


def test_the_example_of_the_page_prints_what_it_says(capsys):
    page = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
    section = page.split("## Resets and payloads\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(compile(code, "docs/simulation.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed == re.findall(r"print\(.*\)  # (\[.*?\]+):", code)
    assert printed == ["[[5 6]]", "[ 90 480]"]
