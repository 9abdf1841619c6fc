"""States at the edge of 24 bits, by hand: what is counted, what wraps, what is clipped, on every engine that offers it."""

import numpy as np
import pytest
from building import engines, one_layer, samples

from neurodeploy.engines.dynamics import bounded, step
from neurodeploy.engines.table import simulate
from neurodeploy.errors import SimulationError, UsageError
from neurodeploy.network import (
    Conv,
    Cuba,
    Delta,
    LeakyIntegrator,
    Network,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)

EDGE = 2**23
SEEING = engines(lambda engine: engine.sees_overflow)
FREE = engines(lambda engine: "wrap" not in engine.refused)
"""Engines that are not bound to what Lava computes."""


def one(model, synapses=((1,),)) -> Network:
    """A graded input with weight 1 into one neuron, updated from step 1 on."""
    return one_layer(synapses, model, shape=(1,), target_shape=(1,), graded=True)


def run(network, values, engine="reference", state=None, **options):
    """States (or what was sent) of the one neuron after each step, and how often it left 24 bits."""
    if engine.startswith("lava"):
        pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    raster = np.array(values).reshape(1, -1, 1)
    given = samples(raster, graded=True)
    probe = [("out", state)] if state else []
    activity = simulate(network, given, engine=engine, probe=probe, **options)
    states = activity.states["out", state] if state else activity.spikes["out"].to_dense()
    return states[0, 1:, 0].tolist(), activity.overflow["out"]


class TestCurrent:
    """Lava folds once: above ``2**23`` by ``-2**24``, at ``-2**23`` and below by ``+2**24`` (``proc/lif/models.py``)."""

    @pytest.mark.parametrize("engine", SEEING)
    @pytest.mark.parametrize(
        ("given", "current", "overflows"),
        [
            (EDGE - 64, EDGE - 64, 0),
            (EDGE, EDGE, 1),
            (EDGE + 64, 64 - EDGE, 1),
            (64 - EDGE, 64 - EDGE, 0),
            (-EDGE, EDGE, 1),
            (-EDGE - 64, EDGE - 64, 1),
            (3 * EDGE, EDGE, 1),
            (3 * EDGE + 64, EDGE + 64, 1),
        ],
    )
    def test_it_folds_once_as_in_lava(self, engine, given, current, overflows):
        network = one(LeakyIntegrator(current_decay=4096, voltage_decay=4096))
        assert run(network, [given // 64], engine, "u") == ([current], overflows)

    @pytest.mark.parametrize("engine", FREE)
    @pytest.mark.parametrize(
        ("given", "wrapped", "clipped"),
        [
            (EDGE - 64, EDGE - 64, EDGE - 64),
            (EDGE, EDGE, EDGE - 1),
            (EDGE + 64, 64 - EDGE, EDGE - 1),
            (64 - EDGE, 64 - EDGE, 64 - EDGE),
            (-EDGE, EDGE, 1 - EDGE),
            (3 * EDGE + 64, 64 - EDGE, EDGE - 1),
            (-5 * EDGE, EDGE, 1 - EDGE),
        ],
    )
    def test_it_wraps_until_it_fits_or_is_clipped_on_request(self, engine, given, wrapped, clipped):
        network = one(LeakyIntegrator(current_decay=4096, voltage_decay=4096))
        left = int(abs(given) >= EDGE)
        assert run(network, [given // 64], engine, "u", on_overflow="wrap") == ([wrapped], left)
        assert run(network, [given // 64], engine, "u", on_overflow="clip") == ([clipped], left)

    def test_wrapping_is_lavas_fold_wherever_that_ends_in_24_bits(self):
        wide = np.concatenate([np.arange(k * EDGE - 3, k * EDGE + 4) for k in (-3, -2, -1, 0, 1, 2, 3)])
        folded, wrapped = bounded(wide, "report"), bounded(wide, "wrap")
        fits = (folded > -EDGE) & (folded <= EDGE)
        assert np.array_equal(folded[fits], wrapped[fits])
        assert fits.sum() == wide.size - 7  # at and beyond -3 * 2**23, and beyond 3 * 2**23
        assert np.all((wrapped > -EDGE) & (wrapped <= EDGE))

    @pytest.mark.parametrize("engine", SEEING)
    def test_error_names_population_and_engine(self, engine):
        network = one(Cuba(current_decay=4096, voltage_decay=4096, threshold=1))
        with pytest.raises(SimulationError, match=rf"left 24 bits .* in 'out' \(1 times\), engine '{engine}'"):
            run(network, [EDGE // 64], engine, on_overflow="error")
        assert run(network, [EDGE // 64 - 1], engine, on_overflow="error") == ([1], 0)


@pytest.mark.parametrize("engine", SEEING)
@pytest.mark.parametrize(
    ("given", "sent", "overflows"),
    [(EDGE - 1, EDGE - 1, 0), (EDGE, -EDGE, 1), (-EDGE, -EDGE, 1), (-EDGE - 1, EDGE - 1, 1)],
)
def test_sum_of_a_convolution_wraps_at_24_bits(engine, given, sent, overflows):
    """``-2**23`` is a legal sum, but the activation that it becomes lies at the edge."""
    conv = Conv(weights=[[[[1]]]], input_shape=(1, 1, 1))
    network = one(Delta(threshold=1), conv)
    assert run(network, [given], engine) == ([sent], overflows)


@pytest.mark.parametrize("engine", FREE)
def test_sum_of_a_convolution_is_clipped_on_request(engine):
    network = one(Delta(threshold=1), Conv(weights=[[[[1]]]], input_shape=(1, 1, 1)))
    assert run(network, [EDGE], engine, on_overflow="clip") == ([EDGE - 1], 1)


@pytest.mark.parametrize("engine", SEEING)
def test_complex_state_is_clipped(engine):
    """Lava clips real and imag to ``+-(2**23 - 1)``; the sum that came in is counted."""
    model = ResonateAndFire(sin_decay=0, cos_decay=4096, threshold=1, state_exponent=0)
    assert run(one(model), [EDGE - 1, -2 * EDGE, 1], engine, "real") == ([EDGE - 1, 1 - EDGE, 2 - EDGE], 1)


@pytest.mark.parametrize("engine", SEEING)
def test_sigma_keeps_32_bits_as_in_lava(engine):
    assert run(one(Sigma()), [EDGE - 1, 1, EDGE], engine) == ([EDGE - 1, EDGE, 2 * EDGE], 2)


@pytest.mark.parametrize("engine", FREE)
def test_sigma_wraps_or_is_clipped_on_request(engine):
    assert run(one(Sigma()), [EDGE - 1, 2, 1], engine, on_overflow="wrap") == ([EDGE - 1, 1 - EDGE, 2 - EDGE], 1)
    assert run(one(Sigma()), [EDGE - 1, 2, -1], engine, on_overflow="clip") == ([EDGE - 1, EDGE - 1, EDGE - 2], 1)


@pytest.mark.parametrize("engine", SEEING)
def test_bias_at_the_edge_counts_as_overflow_once_something_is_added(engine):
    model = SigmaDelta(threshold=1, bias=EDGE - 1, activation="relu")
    assert run(one(model), [0, 1, -1], engine) == ([EDGE - 1, 1, -1], 1)


@pytest.mark.parametrize(
    ("engine", "choice", "message"),
    [
        ("event", "saturate", "on_overflow is 'saturate'; known: report, error, wrap, clip"),
        ("lava", "error", "engine 'lava' does not see an overflow, so on_overflow 'error' is not possible"),
        ("lava", "clip", "engine 'lava' computes what Lava computes"),
        (
            "lava-in-process",
            "wrap",
            "engine 'lava-in-process' computes what Lava computes.*use engine reference or event",
        ),
    ],
)
def test_what_an_engine_does_not_offer_is_refused(engine, choice, message):
    with pytest.raises(UsageError, match=message):
        run(one(Sigma()), [1], engine, on_overflow=choice)


class TestNeuronsByHand:
    """A few numbers that anyone can recompute from the equations of ``neurons.py``."""

    def test_resonator_turns_a_quarter_in_a_step_and_fires_at_phase_zero(self):
        """sin 1, cos 0: (real, imag) -> (-imag, real); it starts at (10, 0) and comes by (0, 10), (-10, 0), (0, -10)."""
        model = ResonateAndFire(sin_decay=4096, cos_decay=0, threshold=10, state_exponent=0)
        network = one(model)
        assert run(network, [10, 0, 0, 0, 0, 0], state="imag")[0] == [0, 10, 0, -10, 0, 10]
        assert run(network, [10, 0, 0, 0, 0, 0])[0] == [0, 0, 0, 0, 1, 0]

    def test_resonator_products_round_towards_zero_each(self):
        zero = np.zeros(1, np.int32)
        model = ResonateAndFire(sin_decay=1, cos_decay=4095, threshold=1)
        done = step(model, (np.array([-5], np.int32), np.array([5], np.int32)), zero, zero)
        assert [int(state[0]) for state in done.states] == [-4, 4]

    def test_izhikevich_resets_just_below_its_threshold(self):
        model = ResonateAndFire(sin_decay=0, cos_decay=4096, threshold=5, state_exponent=0, reset=True)
        states = np.array([3], np.int32), np.array([4], np.int32)
        done = step(model, states, np.array([0], np.int32), np.array([1], np.int32))
        assert done.sent.tolist() == [True]
        assert [int(state[0]) for state in done.states] == [0, 4]

    def test_delta_keeps_what_it_does_not_send(self):
        """Threshold 5 on the values 3, 4, 9, 9: the changes 3, 1 add up to 4, then 5 more make 9."""
        assert run(one(Delta(threshold=5)), [3, 4, 9, 9])[0] == [0, 0, 9, 0]
        assert run(one(Delta(threshold=5)), [3, 4, 5, 0])[0] == [0, 0, 5, -5]

    def test_delta_scales_its_input_and_rounds_its_message_down(self):
        model = Delta(threshold=1, spike_exponent=1, state_exponent=2)
        assert run(one(model), [3, 0])[0] == [6, -6]

    def test_cumulative_error_also_counts_what_was_kept(self):
        """The residue 3 is part of each new change: 3, then 3 again, make an error of 6 that passes 5."""
        assert run(one(Delta(threshold=5, cumulative=True)), [3, 3, 3])[0] == [0, 3, 0]

    def test_sigma_delta_applies_bias_and_relu(self):
        model = SigmaDelta(threshold=1, bias=-4, activation="relu")
        assert run(one(model), [3, 3, -9, 20])[0] == [0, 2, -2, 13]

    def test_constant_input_of_a_sigma_delta_neuron_costs_nothing(self):
        network = one(SigmaDelta(threshold=1, bias=7))
        raster = np.zeros((1, 6, 1), int)
        raster[0, 1] = 5
        given = samples(raster, graded=True)
        for engine in ("reference", "event"):
            activity = simulate(network, given, engine=engine, labels={"out": np.zeros(1, np.int32)})
            assert activity.updated[0, :, 0].tolist() == [0, 1, 1, 0, 0, 0, 0]
