"""Why engines differ: an engine that departs from the definition in one way is recognised, and the difference explained.

The other engine is written here, neuron by neuron and step by step in Python's whole numbers, so that nothing is shared with
the replays under test. Each of its ways to depart is one argument of a neuron.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from building import connect, one_layer, samples, wired

from neurodeploy.engines.reference import run_reference
from neurodeploy.network import (
    Conv,
    Cuba,
    Delta,
    Input,
    LeakyIntegrator,
    Network,
    Pool,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.proofs.compare import compare_activities, readouts
from neurodeploy.proofs.departures import CUTS, DEPARTURES, KERNELS, MESSAGES
from neurodeploy.proofs.diagnosis import diagnose

LIMIT = 2**23


def trunc(x, bits=12):
    return (abs(x) >> bits) * (1 if x >= 0 else -1)


def floor(x, bits=12):
    return x >> bits


def nearest(x, bits=12):
    return (x + (1 << bits >> 1)) >> bits


def unrounded(x, bits=12):
    return x / 2**bits


def same(x):
    return x


def fold(x):
    return x - 2 * LIMIT if x > LIMIT else x + 2 * LIMIT if x <= -LIMIT else x


def clip(x):
    return min(max(x, 1 - LIMIT), LIMIT - 1)


def wrap(x, bits=24):
    return (x + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def cuba(
    m,
    *,
    div=trunc,
    current=fold,
    voltage=clip,
    fires=None,
    resets=None,
    after=None,
    next_step=None,
    finally_=same,
    **other,
):
    """Whatever the reset is: ``after`` gives current and voltage after a spike, ``next_step`` the voltage one step later."""
    m = replace(m, **other)
    u = v = fired = 0
    limit = 2**31 if isinstance(m, LeakyIntegrator) else m.threshold * 64
    fires = fires or (lambda v: v > limit)
    subtracts = getattr(m, "reset", "") == "subtract"
    after = after or ((lambda u, v, d: (u, v - d)) if subtracts else (lambda u, *_: (u, 0)))

    def step(a, _):
        nonlocal u, v, fired
        u = div(u * (4096 - m.current_decay)) + a * 64
        u = current(u if isinstance(u, float) else wrap(u, 32))
        v = div(v * (4096 - m.voltage_decay)) + u + m.bias
        v = voltage(next_step(v, limit) if next_step and fired else v)
        fired = fires(v) if resets is None else v > limit
        if fired if resets is None else resets(v):
            u, v = after(u, v, limit)
        v = finally_(v)
        return v if isinstance(m, LeakyIntegrator) else int(fired)

    return step


def resonator(m, *, div=trunc, once=False, bound=clip, fires=None, after=None, **other):
    m = replace(m, **other)
    x = y = 0
    limit = m.threshold
    if fires is None:
        fires = (lambda _x, y, _old: y >= limit) if m.reset else (lambda x, y, old: x >= limit and y >= 0 and old < 0)
    after = after or ((lambda *_: (0, limit - 1)) if m.reset else (lambda x, y: (x, y)))

    def step(a, b):
        nonlocal x, y
        c, s = m.cos_decay, m.sin_decay
        turned = (
            (div(c * x - s * y), div(s * x + c * y)) if once else (div(c * x) - div(s * y), div(s * x) + div(c * y))
        )
        old = y
        x, y = bound(turned[0] + (a << m.state_exponent)), bound(turned[1] + (b << m.state_exponent))
        sent = fires(x, y, old)
        if sent:
            x, y = after(x, y)
        return int(sent)

    return step


def sigma(_, *, total=lambda s, a: s + a, sends=lambda s, _: s):
    s = 0

    def step(a, _):
        nonlocal s
        s = total(s, a)
        return sends(s, a)

    return step


def encoder(m, *, total=lambda s, a: s + a, bound=same, above=False, shift=floor, left=None, clears=True, **other):
    """A delta or sigma-delta neuron; ``left`` gives the residue of a change ``d`` of which ``part`` is sent."""
    m = replace(m, **other)
    left = left or (lambda d, part, _: d - part)
    s = act = residue = error = 0

    def step(a, _):
        nonlocal s, act, residue, error
        if isinstance(m, Delta):
            new = bound(a << (m.spike_exponent + m.state_exponent))
        else:
            s = total(s, a)
            new = bound(max(s + m.bias, 0) if m.activation == "relu" else s + m.bias)
        d = new - act + residue
        act = new
        error += d
        size = abs(error if m.cumulative else d)
        part = d if size > m.threshold or (size == m.threshold and not above) else 0
        message = shift(part, m.state_exponent)
        if part and clears:
            error = 0
        residue = left(d, part, message)
        return message

    return step


NEURONS = {
    Cuba: cuba,
    LeakyIntegrator: cuba,
    ResonateAndFire: resonator,
    Sigma: sigma,
    Delta: encoder,
    SigmaDelta: encoder,
}


def network(model, weights, imag=None, *, graded=False, shape=None, first_step=1, **options) -> Network:
    """One population 'a' behind one input; ``imag`` are weights onto its imaginary state."""
    n_out, n_in = np.shape(weights)
    matrices = {"real": weights} if imag is None else {"real": weights, "imag": imag}
    projections = [connect("in", "a", np.array(w), f"p_{c}", component=c, **options) for c, w in matrices.items()]
    graded_inputs = ["in"] if graded else []
    return wired({"in": shape or (n_in,)}, {"a": (n_out, model, first_step)}, projections, graded=graded_inputs)


def spikes(n_in: int, rate: float = 0.4, n_steps: int = 40, n_samples: int = 3) -> Samples:
    raster = np.random.default_rng(3).random((n_samples, n_steps, n_in)) < rate
    return samples(raster)


def values(n_in: int, high: int = 20, n_steps: int = 40, n_samples: int = 3, rate: float = 0.3) -> Samples:
    rng = np.random.default_rng(3)
    shape = (n_samples, n_steps, n_in)
    raster = rng.integers(-high, high + 1, shape) * (rng.random(shape) < rate)
    return samples(raster, graded=True)


def another(lawful: Activity, sent: np.ndarray, *, graded: bool = False) -> Activity:
    """An activity that another engine might have recorded: the same inputs, other messages (or voltages) of 'a'."""
    other = replace(lawful, engine="other")
    if lawful.states:
        return replace(other, states={("a", "v"): sent})
    return replace(other, spikes={**lawful.spikes, "a": Events.from_dense(sent, graded=graded)})


def engine(net: Network, lawful: Activity, *, message=same, weights=same, late=0, start=0, keeps=False, **departure):
    """Run the other engine on what the first one was given; ``message`` changes what comes from the input 'in'."""
    population = net.population("a")
    given = {i.name: lawful.spikes[i.name].to_dense().astype(np.int64) for i in net.inputs}
    given["in"] = np.array([message(int(m)) for m in given["in"].ravel()], np.int64).reshape(given["in"].shape)
    n_samples, n_steps, _ = given["in"].shape
    sent = np.zeros((n_samples, n_steps, population.size), np.int64)
    sums = {p.component: 0 for p in net.projections}
    for p in net.projections:
        sums[p.component] += given[p.source] @ weights(p.synapses.weights.astype(np.int64)).T << p.weight_exponent
    sums = {component: values.tolist() for component, values in sums.items()}
    nothing = [0] * population.size
    make = lambda: [NEURONS[type(population.model)](population.model, **departure) for _ in range(population.size)]  # noqa: E731
    neurons = make()
    for sample in range(n_samples):
        neurons = neurons if keeps else make()
        for t in range(population.first_step + start, n_steps):
            at = t - 1 - late
            real, imag = (sums[c][sample][at] if c in sums and at >= 0 else nothing for c in ("real", "imag"))
            sent[sample, t] = [step(a, b) for step, a, b in zip(neurons, real, imag)]
    return another(lawful, sent, graded=population.model.graded)


def explained(net: Network, lawful: Activity, other: Activity):
    difference = compare_activities([lawful, other], readouts(net)).first_difference
    assert difference is not None, "the network does not tell the other engine from the definition"
    return difference, diagnose(net, lawful, other, difference)


WEIGHTS = np.random.default_rng(0).integers(-120, 121, (6, 8)) * 2
SMALL = np.random.default_rng(1).integers(-9, 13, (6, 8)) * 2
BALANCED = np.random.default_rng(0).integers(-20, 21, (24, 8))
BALANCED[:, -1] -= BALANCED.sum(axis=1)
TURNED = np.random.default_rng(2).integers(-60, 61, (6, 8)) * 2
LOUD = 2**21
"""Messages that drive states out of 24 bits."""

PLAIN = (network(Cuba(current_decay=1200, voltage_decay=300, threshold=260), WEIGHTS), spikes(8))
SATURATED = (
    network(Cuba(current_decay=900, voltage_decay=300, threshold=60000), WEIGHTS, graded=True),
    values(8, high=800),
)
# balanced weights and a long memory: neurons wander below zero and seldom fire, so that single units add up
WANDERING = (
    network(Cuba(current_decay=4096, voltage_decay=40, threshold=40), BALANCED),
    spikes(8, n_steps=250),
)
MEETING = (network(Cuba(current_decay=4096, voltage_decay=0, threshold=64), WEIGHTS // 16 * 16), spikes(8, n_steps=100))
BIASED = (network(Cuba(current_decay=900, voltage_decay=200, threshold=90, bias=777), SMALL), spikes(8, n_steps=100))
LONG = (network(Cuba(current_decay=100, voltage_decay=50, threshold=900), BALANCED), spikes(8, n_steps=150))


def subtracting(made):
    """The same network with neurons that subtract their threshold, and the same samples."""
    net, given = made
    (population,) = net.populations
    changed = replace(population, model=replace(population.model, reset="subtract"))
    return replace(net, populations=(changed,)), given


# drive above the threshold, so that several thresholds fit into a voltage
PILED = subtracting((network(Cuba(current_decay=2000, voltage_decay=100, threshold=50), SMALL), spikes(8)))
FULL = subtracting(
    (
        network(Cuba(current_decay=4096, voltage_decay=10, threshold=90000), WEIGHTS, graded=True),
        values(8, high=300),
    )
)
LONGER = (network(Cuba(current_decay=50, voltage_decay=20, threshold=900), BALANCED), spikes(8, n_steps=150))
READ = (network(LeakyIntegrator(current_decay=100, voltage_decay=50, bias=-77), SMALL), spikes(8))
READ_LOUD = (network(LeakyIntegrator(current_decay=900, voltage_decay=300), WEIGHTS, graded=True), values(8, high=800))
RF = (
    network(ResonateAndFire(sin_decay=2600, cos_decay=2900, threshold=6001), WEIGHTS, TURNED),
    spikes(8, n_steps=100),
)
RF_SLOW = (
    network(ResonateAndFire(sin_decay=400, cos_decay=4070, threshold=301, state_exponent=1), BALANCED, -BALANCED),
    spikes(8, n_steps=150),
)
RF_LOUD = (
    network(ResonateAndFire(sin_decay=2600, cos_decay=3000, threshold=8_000_000), WEIGHTS, TURNED, graded=True),
    values(8, high=3000),
)
RF_MEETING = (
    network(
        ResonateAndFire(sin_decay=4096, cos_decay=0, threshold=20, state_exponent=0), SMALL // 4 * 4, SMALL // 2 * 2
    ),
    spikes(8, n_steps=100),
)
RF_WHOLE = (
    network(
        ResonateAndFire(sin_decay=1500, cos_decay=3600, threshold=2047, state_exponent=10, reset=True), SMALL, -SMALL
    ),
    spikes(8),
)
RF_IZ_SMALL = (
    network(ResonateAndFire(sin_decay=300, cos_decay=4080, threshold=40, state_exponent=0, reset=True), SMALL, -SMALL),
    spikes(8, n_steps=100),
)
RF_IZ = (
    network(ResonateAndFire(sin_decay=1500, cos_decay=3600, threshold=9000, reset=True), WEIGHTS, TURNED),
    spikes(8, n_steps=100),
)
SUM = (network(Sigma(), SMALL, graded=True, first_step=0), values(8))
SUM_LOUD = (network(Sigma(), SMALL, graded=True), values(8, high=LOUD // 16))
SUM_QUIET = (network(Sigma(), SMALL, graded=True), values(8, rate=0.02))
DELTA = (
    network(Delta(threshold=601, spike_exponent=1, state_exponent=2), SMALL, graded=True),
    values(8),
)
DELTA_WHOLE = (network(Delta(threshold=321, state_exponent=4), SMALL, graded=True), values(8, n_steps=100))
DELTA_LOUD = (network(Delta(threshold=600, spike_exponent=4), SMALL, graded=True), values(8, high=LOUD // 16))
DELTA_SUMMING = (network(Delta(threshold=900, state_exponent=1, cumulative=True), SMALL, graded=True), values(8))
SIGMA_DELTA = (network(SigmaDelta(threshold=607, bias=-333, state_exponent=3), SMALL, graded=True), values(8))
SIGMA_DELTA_LINEAR = (
    network(SigmaDelta(threshold=150, bias=40, state_exponent=3, activation="none"), SMALL, graded=True),
    values(8),
)
SIGMA_DELTA_SUMMING = (
    network(SigmaDelta(threshold=900, activation="none", cumulative=True), SMALL, graded=True),
    values(8),
)
SIGMA_DELTA_MEETING = (
    network(SigmaDelta(threshold=40, activation="none"), SMALL // 4 * 4, graded=True),
    values(8),
)
SIGMA_DELTA_LOUD = (
    network(SigmaDelta(threshold=600, bias=2**22, activation="none"), SMALL, graded=True),
    values(8, high=LOUD // 16),
)
DELTA_MEETING = (network(Delta(threshold=40), SMALL // 4 * 4, graded=True), values(8))


def _phase(test):
    """An RF neuron whose phase is tested otherwise; the threshold is that of RF_MEETING."""
    return lambda x, y, old: x >= 20 and test(y, old)


def until_below(u, v, limit):
    while v > limit:
        v -= limit
    return u, v


CASES = {
    Cuba: [
        ("range", "states beyond 24 bits are neither wrapped nor clipped", SATURATED, {"current": same, "voltage": same}),
        ("range", "the current is not wrapped at 24 bits", SATURATED, {"current": same}),
        ("range", "the current is clipped at 24 bits instead of wrapped", SATURATED, {"current": clip}),
        ("range", "the voltage is not clipped at 24 bits", SATURATED, {"voltage": same}),
        ("range", "the voltage wraps at 24 bits instead of being clipped", SATURATED, {"voltage": wrap}),
        ("rounding", "decayed states are rounded down instead of towards zero", WANDERING, {"div": floor}),
        ("rounding", "decayed states are rounded to nearest", WANDERING, {"div": nearest}),
        ("rounding", "decayed states are not rounded", LONG, {"div": unrounded}),
        ("reset", "a neuron fires when its voltage equals the threshold", MEETING, {"fires": lambda v: v >= 64 * 64}),
        ("reset", "a voltage equal to the threshold is reset without a spike", MEETING, {"resets": lambda v: v >= 64 * 64}),
        ("reset", "the threshold is subtracted instead of resetting to 0", MEETING, {"after": lambda u, v, d: (u, v - d)}),
        ("reset", "the voltage is reset to 0 instead of subtracting the threshold", PILED, {"after": lambda u, *_: (u, 0)}),
        ("reset", "the voltage is not reset", MEETING, {"after": lambda u, v, _: (u, v)}),
        ("reset", "the current is reset with the voltage", BIASED, {"after": lambda *_: (0, 0)}),
        ("reset", "the voltage is reset one step late, after the next input", PLAIN,
         {"after": lambda u, v, _: (u, v), "next_step": lambda *_: 0}),
        ("reset", "the threshold is subtracted until the voltage is no longer above it", PILED, {"after": until_below}),
        ("range", "the voltage is clipped after the threshold is subtracted", FULL, {"voltage": same, "finally_": clip}),
        ("quantisation", "the decay of the current is one larger", LONG, {"current_decay": 101}),
        ("quantisation", "the decay of the current is one smaller", LONG, {"current_decay": 99}),
        ("quantisation", "the decay of the voltage is one larger", LONG, {"voltage_decay": 51}),
        ("quantisation", "the decay of the voltage is one smaller", LONG, {"voltage_decay": 49}),
        ("quantisation", "the threshold is one larger", LONG, {"threshold": 901}),
        ("quantisation", "the threshold is one smaller", LONG, {"threshold": 899}),
        ("quantisation", "the bias is left out", BIASED, {"bias": 0}),
    ],
    LeakyIntegrator: [
        ("range", "states beyond 24 bits are neither wrapped nor clipped", READ_LOUD, {"current": same, "voltage": same}),
        ("range", "the current is not wrapped at 24 bits", READ_LOUD, {"current": same}),
        ("range", "the current is clipped at 24 bits instead of wrapped", READ_LOUD, {"current": clip}),
        ("range", "the voltage is not clipped at 24 bits", READ_LOUD, {"voltage": same}),
        ("range", "the voltage wraps at 24 bits instead of being clipped", READ_LOUD, {"voltage": wrap}),
        ("rounding", "decayed states are rounded down instead of towards zero", READ, {"div": floor}),
        ("rounding", "decayed states are rounded to nearest", READ, {"div": nearest}),
        ("quantisation", "the decay of the current is one larger", READ, {"current_decay": 101}),
        ("quantisation", "the decay of the current is one smaller", READ, {"current_decay": 99}),
        ("quantisation", "the decay of the voltage is one larger", READ, {"voltage_decay": 51}),
        ("quantisation", "the decay of the voltage is one smaller", READ, {"voltage_decay": 49}),
        ("quantisation", "the bias is left out", READ, {"bias": 0}),
    ],
    ResonateAndFire: [
        ("range", "states beyond 24 bits are not clipped", RF_LOUD, {"bound": same}),
        ("range", "states wrap at 24 bits instead of being clipped", RF_LOUD, {"bound": wrap}),
        ("rounding", "products are rounded down instead of towards zero", RF_SLOW, {"div": floor}),
        ("rounding", "products are rounded to nearest", RF_SLOW, {"div": nearest}),
        ("rounding", "states are not rounded", RF_SLOW, {"div": unrounded}),
        ("rounding", "the sum of two products is rounded, not each of them", RF_SLOW, {"once": True}),
        ("rounding", "the threshold is rounded down to a multiple of 2**state_exponent", RF_WHOLE, {"threshold": 1024}),
        ("reset", "a neuron fires only above the threshold", RF_MEETING,
         {"fires": lambda x, y, old: x > 20 and y >= 0 and old < 0}),
        ("reset", "a neuron fires when its imaginary state rises from 0", RF_MEETING,
         {"fires": _phase(lambda y, old: y > 0 and old <= 0)}),
        ("reset", "a neuron fires at any phase of its state", RF_MEETING, {"fires": _phase(lambda *_: True)}),
        ("reset", "the state is not reset", RF_IZ, {"after": lambda x, y: (x, y)}),
        ("reset", "both states are reset to 0", RF_IZ, {"after": lambda *_: (0, 0)}),
        ("reset", "the imaginary state is reset to the threshold", RF_IZ_SMALL, {"after": lambda *_: (0, 40)}),
        ("reset", "it fires and is reset as RF_IZ instead of RF", RF, {"reset": True}),
        ("reset", "it fires without a reset, as RF instead of RF_IZ", RF_IZ, {"reset": False}),
        ("order of axes", "the state turns the other way", RF, {"sin_decay": -2600}),
        ("quantisation", "the input is not shifted by the state exponent", RF_SLOW, {"state_exponent": 0}),
        ("quantisation", "the threshold is not shifted by the state exponent", RF, {"threshold": 93}),
    ],
    Sigma: [
        ("range", "the sum wraps at 24 bits", SUM_LOUD, {"total": lambda s, a: wrap(s + a)}),
        ("range", "the sum is clipped at 24 bits", SUM_LOUD, {"total": lambda s, a: clip(s + a)}),
        ("reset", "the sum starts anew in every step", SUM, {"total": lambda _, a: a}),
        ("reset", "the sum is sent only in steps in which something arrives", SUM_QUIET,
         {"sends": lambda s, a: s if a else 0}),
    ],
    Delta: [
        ("range", "the value encoded wraps at 24 bits", DELTA_LOUD, {"bound": wrap}),
        ("range", "the value encoded is clipped at 24 bits", DELTA_LOUD, {"bound": clip}),
        ("rounding", "the threshold is rounded down to a multiple of 2**exponent", DELTA_WHOLE, {"threshold": 320}),
        ("reset", "a change is sent only above the threshold", DELTA_MEETING, {"above": True}),
        ("reset", "the residue is not kept", DELTA, {"left": lambda *_: 0}),
        ("reset", "the residue is kept after a message", DELTA, {"left": lambda d, *_: d}),
        ("reset", "the error is kept after a message", DELTA_SUMMING, {"clears": False}),
        ("reset", "errors add up until a message", DELTA, {"cumulative": True}),
        ("reset", "errors do not add up until a message", DELTA_SUMMING, {"cumulative": False}),
        ("quantisation", "messages are not shifted by the state exponent", DELTA, {"shift": lambda part, _: part}),
        ("quantisation", "the threshold is not shifted by the exponent", DELTA, {"threshold": 75}),
        ("quantisation", "the input is not shifted by the spike exponent", DELTA, {"spike_exponent": 0}),
        ("quantisation", "the state exponent is left out", DELTA, {"state_exponent": 0}),
    ],
    SigmaDelta: [
        ("range", "the sum wraps at 24 bits", SIGMA_DELTA_LOUD, {"total": lambda s, a: wrap(s + a)}),
        ("range", "the sum is clipped at 24 bits", SIGMA_DELTA_LOUD, {"total": lambda s, a: clip(s + a)}),
        ("range", "the value encoded wraps at 24 bits", SIGMA_DELTA_LOUD, {"bound": wrap}),
        ("range", "the value encoded is clipped at 24 bits", SIGMA_DELTA_LOUD, {"bound": clip}),
        ("reset", "the sum starts anew in every step", SIGMA_DELTA_LINEAR, {"total": lambda _, a: a}),
        ("rounding", "messages are rounded towards zero instead of down", SIGMA_DELTA_LINEAR, {"shift": trunc}),
        ("rounding", "messages are rounded to nearest instead of down", SIGMA_DELTA_LINEAR, {"shift": nearest}),
        ("rounding", "the bits that a message loses stay in the residue", SIGMA_DELTA_LINEAR,
         {"left": lambda d, _, message: d - 8 * message}),
        ("rounding", "the threshold is rounded down to a multiple of 2**exponent", SIGMA_DELTA, {"threshold": 600}),
        ("reset", "a change is sent only above the threshold", SIGMA_DELTA_MEETING, {"above": True}),
        ("reset", "the residue is not kept", SIGMA_DELTA, {"left": lambda *_: 0}),
        ("reset", "the residue is kept after a message", SIGMA_DELTA, {"left": lambda d, *_: d}),
        ("reset", "the error is kept after a message", SIGMA_DELTA_SUMMING, {"clears": False}),
        ("reset", "errors add up until a message", SIGMA_DELTA, {"cumulative": True}),
        ("reset", "errors do not add up until a message", SIGMA_DELTA_SUMMING, {"cumulative": False}),
        ("quantisation", "messages are not shifted by the state exponent", SIGMA_DELTA, {"shift": lambda part, _: part}),
        ("quantisation", "the threshold is not shifted by the exponent", SIGMA_DELTA, {"threshold": 75}),
        ("range", "negative values are cut to 0 (relu)", SIGMA_DELTA_LINEAR, {"activation": "relu"}),
        ("range", "negative values are not cut to 0 (relu)", SIGMA_DELTA, {"activation": "none"}),
        ("quantisation", "the bias is left out", SIGMA_DELTA, {"bias": 0}),
        ("quantisation", "the bias is not shifted by the state exponent", SIGMA_DELTA, {"bias": -42}),
    ],
}  # fmt: skip
ALL = [pytest.param(*case, id=f"{kind.kind}: {case[1]}") for kind, cases in CASES.items() for case in cases]
FROM_ZERO = {"the threshold is subtracted instead of resetting to 0"}
FROM_SUBTRACT = {
    "the voltage is reset to 0 instead of subtracting the threshold",
    "the threshold is subtracted until the voltage is no longer above it",
    "the voltage is clipped after the threshold is subtracted",
}
"""Rules of CUBA neurons that apply to one of the two resets alone."""
OTHERWISE = {
    "the current is reset with the voltage": {"after": lambda _, v, d: (0, v - d)},
    "the voltage is reset one step late, after the next input": {
        "after": lambda u, v, _: (u, v), "next_step": lambda v, d: v - d,
    },
}  # fmt: skip
"""What the other engine does where a rule of the reset meets neurons that subtract."""
ELSEWHERE = {"decayed states are not rounded": LONGER}
"""Networks for rules that the network of the other reset does not tell apart."""
SUBTRACTING = [
    pytest.param(cause, why, subtracting(ELSEWHERE.get(why, made)), OTHERWISE.get(why, departure), id=why)
    for cause, why, made, departure in CASES[Cuba]
    if why not in FROM_ZERO | FROM_SUBTRACT
]


@pytest.mark.parametrize(("cause", "why", "made", "departure"), ALL)
def test_an_engine_that_departs_by_one_rule_is_recognised(cause, why, made, departure):
    net, samples = made
    lawful = run_reference(net, samples, probe=readouts(net))
    difference, found = explained(net, lawful, engine(net, lawful, **departure))
    assert (found.cause, found.why, found.departs) == (cause, why, "other")
    assert difference.engines == ("reference", "other")


@pytest.mark.parametrize(("cause", "why", "made", "departure"), SUBTRACTING)
def test_every_rule_that_both_resets_know_is_recognised_on_neurons_that_subtract(cause, why, made, departure):
    net, samples = made
    lawful = run_reference(net, samples)
    _, found = explained(net, lawful, engine(net, lawful, **departure))
    assert (found.cause, found.why, found.departs) == (cause, why, "other")


def test_every_rule_of_every_kind_is_tested():
    assert {kind: {d.why for d in rules} for kind, rules in DEPARTURES.items()} == {
        kind: {why for _, why, _, _ in cases} for kind, cases in CASES.items()
    }


@pytest.mark.parametrize(
    "made",
    [PLAIN, SATURATED, WANDERING, PILED, FULL, READ_LOUD, RF, RF_LOUD, RF_IZ, SUM_LOUD, DELTA, SIGMA_DELTA_LOUD],
)
def test_the_other_engine_itself_departs_in_nothing(made):
    """Otherwise the tests above would prove little."""
    net, samples = made
    lawful = run_reference(net, samples, probe=readouts(net))
    assert compare_activities([lawful, engine(net, lawful)], readouts(net)).equal


def changed(net: Network, **change) -> Network:
    """The network with something else in its first projection."""
    return replace(net, projections=(replace(net.projections[0], **change), *net.projections[1:]))


PAYLOADS = {
    "count as 1 each": (9, lambda m: int(m != 0)),
    "lose their sign": (9, abs),
    "are lost where they are negative": (9, lambda m: max(m, 0)),
    "are clipped to 8 bits with a sign": (400, lambda m: min(max(m, -128), 127)),
    "are clipped to 8 bits without a sign": (400, lambda m: min(max(m, 0), 255)),
    "wrap at 8 bits with a sign": (400, lambda m: wrap(m, 8)),
    "wrap at 8 bits without a sign": (400, lambda m: m & 255),
    "are clipped to 16 bits with a sign": (99_999, lambda m: min(max(m, -32768), 32767)),
    "are clipped to 16 bits without a sign": (99_999, lambda m: min(max(m, 0), 65535)),
    "wrap at 16 bits with a sign": (99_999, lambda m: wrap(m, 16)),
    "wrap at 16 bits without a sign": (99_999, lambda m: m & 65535),
    "are clipped to 24 bits": (3 * LIMIT, lambda m: min(max(m, -LIMIT), LIMIT - 1)),
    "wrap at 24 bits": (3 * LIMIT, wrap),
}


@pytest.mark.parametrize(("cause", "what", "change"), MESSAGES, ids=[what for _, what, _ in MESSAGES])
@pytest.mark.parametrize("model", [Sigma(), Delta(threshold=0), SigmaDelta(threshold=0, activation="none")])
def test_messages_that_an_engine_changes_as_it_sends_them_are_recognised(model, cause, what, change):
    """The first difference shows both payloads."""
    net, samples = network(model, np.sign(SMALL), graded=True), values(8, high=PAYLOADS[what][0])
    lawful = run_reference(net, samples)
    sent = lawful.spikes["a"].to_dense().astype(np.int64)
    difference, found = explained(net, lawful, another(lawful, change(sent), graded=True))
    # the sum of a Sigma is its message, so that there is no telling which of them wraps
    why = "the sum wraps at 24 bits" if (model.kind, what) == ("sigma", "wrap at 24 bits") else f"its messages {what}"
    assert (found.cause, found.why, found.departs) == (cause, why, "other")
    at = (difference.sample, difference.step, difference.neuron)
    assert difference.values == (sent[at], change(sent)[at])
    assert difference.values[0] != difference.values[1]


@pytest.mark.parametrize("what", PAYLOADS)
@pytest.mark.parametrize("model", [Cuba(current_decay=3000, voltage_decay=500, threshold=90), SigmaDelta(threshold=9)])
def test_payloads_that_an_engine_reads_otherwise_are_recognised(model, what):
    high, message = PAYLOADS[what]
    weights = SMALL if high < 2**20 else np.sign(SMALL)
    net, samples = network(model, weights, graded=True), values(8, high=high)
    lawful = run_reference(net, samples)
    _, found = explained(net, lawful, engine(net, lawful, message=message))
    assert found.why == f"arriving messages {what}"
    assert found.cause == ("quantisation" if what == "count as 1 each" else "range")


def whole_range(bits, signed):
    """A graded input of all its payloads and a plain one into neurons that subtract, with samples for them."""
    inputs = (Input(name="in", shape=(8,), payload_bits=bits, signed=signed), Input(name="dots", shape=(8,)))
    model = Cuba(current_decay=3000, voltage_decay=300, threshold=min(40 << bits - 4, 60_000), reset="subtract")
    projections = [connect("in", "a", SMALL), connect("dots", "a", WEIGHTS, weight_exponent=min(bits - 6, 7))]
    net = replace(wired({"in": 8, "dots": 8}, {"a": (6, model)}, projections), inputs=inputs)
    low, high = inputs[0].payload_range
    rng = np.random.default_rng(6)
    raster = rng.integers(low, high + 1, (3, 60, 8)) * (rng.random((3, 60, 8)) < 0.3)
    return net, Samples(inputs={**samples(raster, graded=True).inputs, **samples(raster % 5 == 1, "dots").inputs})


@pytest.mark.parametrize(("bits", "signed"), [(8, False), (8, True), (12, False), (16, False), (16, True)])
@pytest.mark.parametrize("what", PAYLOADS)
def test_payloads_of_a_graded_input_beside_a_plain_one_that_an_engine_reads_otherwise(bits, signed, what):
    """Two changes that do the same to all payloads of a range share the name of the first."""
    net, given = whole_range(bits, signed)
    payloads = range(*(end + i for i, end in enumerate(net.inputs[0].payload_range)))
    seen = [PAYLOADS[what][1](m) for m in payloads]
    lawful = run_reference(net, given)
    other = engine(net, lawful, message=PAYLOADS[what][1])
    if seen == list(payloads):
        assert compare_activities([lawful, other]).equal
        return
    known = next(name for name, (_, change) in PAYLOADS.items() if [change(m) for m in payloads] == seen)
    difference, found = explained(net, lawful, other)
    assert (found.why, found.departs) == (f"arriving messages {known}", "other")
    at, exponents = (
        [(a.projection, a.message, a.weight) for a in found.arriving],
        {"in-a": 0, "dots-a": min(bits - 6, 7)},
    )
    assert sum(m * w << exponents[p] for p, m, w in at) == found.summed_input
    assert {m for p, m, _ in at if p == "dots-a"} <= {1}
    assert found.threshold == net.population("a").model.threshold * 64
    assert difference.of == "message"


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("named", ["first", "second"])
def test_the_one_of_two_graded_inputs_whose_payloads_are_read_otherwise_is_named(reset, named):
    model = Cuba(current_decay=3000, voltage_decay=300, threshold=300, reset=reset)
    net = wired(
        {"first": 8, "second": 8},
        {"a": (6, model)},
        [connect("first", "a", SMALL), connect("second", "a", SMALL[:, ::-1])],
        graded=["first", "second"],
    )
    rng = np.random.default_rng(7)
    rasters = {
        name: rng.integers(-99, 100, (3, 40, 8)) * (rng.random((3, 40, 8)) < 0.3) for name in net.sizes if name != "a"
    }
    lawful = run_reference(net, samples(rasters, graded=True))
    wrong = run_reference(net, samples(rasters | {named: np.abs(rasters[named])}, graded=True))
    _, found = explained(net, lawful, another(lawful, wrong.spikes["a"].to_dense()))
    assert (found.cause, found.why) == ("range", f"arriving messages lose their sign (projection '{named}-a')")


def test_every_change_of_messages_is_tested():
    assert [what for _, what, _ in MESSAGES] == list(PAYLOADS)


GRADED = subtracting(
    (network(Cuba(current_decay=3000, voltage_decay=400, threshold=600), SMALL, graded=True), values(8, high=99))
)
KINDS = [PLAIN, PILED, GRADED, RF, RF_IZ, DELTA, SIGMA_DELTA]
NAMES = ["cuba", "subtracting", "graded", "rf", "rf-iz", "delta", "sigma-delta"]


@pytest.mark.parametrize("made", KINDS, ids=NAMES)
@pytest.mark.parametrize("late", [1, 2, -1])
def test_messages_that_come_late_or_early_are_a_delay(made, late):
    net, samples = made
    lawful = run_reference(net, samples)
    sent = lawful.spikes["a"].to_dense()
    moved = np.zeros_like(sent)
    moved[:, max(late, 0) : sent.shape[1] + min(late, 0)] = sent[:, max(-late, 0) : sent.shape[1] - max(late, 0)]
    graded = net.population("a").model.graded
    _, found = explained(net, lawful, another(lawful, moved, graded=graded))
    assert found.cause == "delay"
    what, steps = "messages" if graded else "spikes", f"step{'s' * (abs(late) > 1)}"
    assert found.why == f"its {what} come {abs(late)} {steps} {'late' if late > 0 else 'early'}"


@pytest.mark.parametrize("made", KINDS, ids=NAMES)
def test_states_carried_over_from_sample_to_sample_are_a_missing_reset(made):
    net, samples = made
    lawful = run_reference(net, samples)
    difference, found = explained(net, lawful, engine(net, lawful, keeps=True))
    assert difference.sample > 0
    assert (found.cause, found.why) == ("reset", "states are carried over from the sample before")


def test_an_onset_one_step_early_or_late_is_a_delay():
    """A bias acts from the first step on, so a clock that starts otherwise shows."""
    for start, when in ((-1, "early"), (1, "late")):
        net, samples = BIASED
        lawful = run_reference(net, samples)
        _, found = explained(net, lawful, engine(net, lawful, start=start))
        assert (found.cause, found.why) == ("delay", f"it starts one step {when}")


def test_input_that_comes_late_or_early_beside_a_bias_is_a_delay():
    """The onset of the bias stays, so the spikes are not merely moved."""
    for late, when in ((1, "late"), (-1, "early")):
        net, samples = BIASED
        lawful = run_reference(net, samples)
        _, found = explained(net, lawful, engine(net, lawful, late=late))
        assert (found.cause, found.why) == ("delay", f"what arrives comes one step {when}")


@pytest.mark.parametrize("made", [PLAIN, GRADED, RF, SIGMA_DELTA], ids=["cuba", "graded", "rf", "sigma-delta"])
@pytest.mark.parametrize(
    ("why", "delay", "other"),
    [
        ("delays are left out", np.array([0, 3, 1, 0, 2, 5, 0, 4]), 0),
        ("delays are one step shorter", np.array([0, 3, 1, 0, 2, 5, 0, 4]), np.array([0, 2, 0, 0, 1, 4, 0, 3])),
    ],
)
def test_delays_that_an_engine_does_not_keep_are_recognised(made, why, delay, other):
    net, samples = made
    net, wrong = (replace(net, projections=tuple(replace(p, delay=d) for p in net.projections)) for d in (delay, other))
    assert _ways(net, wrong, samples) == ("delay", why)


def _ways(net: Network, wrong: Network, samples: Samples) -> tuple[str, str]:
    """Return the cause of the difference to an engine that runs the wrong network."""
    lawful = run_reference(net, samples)
    sent = run_reference(wrong, samples).spikes["a"].to_dense()
    _, found = explained(net, lawful, another(lawful, sent, graded=net.population("a").model.graded))
    assert found.departs == "other"
    return found.cause, found.why


ODD = WEIGHTS // 4 + 1
CUT = {
    "odd weights are cut to even ones (mixed signs on 8 bits)": lambda w: 2 * (w // 2),
    "weights are cut to multiples of 4": lambda w: 4 * (w // 4),
    "weights are cut to multiples of 8": lambda w: 8 * (w // 8),
    "weights are cut to multiples of 16": lambda w: 16 * (w // 16),
    "weights are cut to multiples of 32": lambda w: 32 * (w // 32),
    "weights are halved": lambda w: w // 2,
    "weights are clipped to 8 bits with a sign, -128..127": lambda w: np.clip(w, -128, 127),
    "weights are clipped to -255..255": lambda w: np.clip(w, -255, 255),
    "negative weights are dropped": lambda w: np.where(w < 0, 0, w),
}


@pytest.mark.parametrize("what", CUTS)
@pytest.mark.parametrize("made", [PLAIN, GRADED, SIGMA_DELTA_LINEAR], ids=["cuba", "graded", "sigma-delta"])
def test_quantised_weights_are_recognised(made, what):
    net, samples = made
    high = "clipped" in what
    weights = np.where(ODD < -25, -256, np.where(ODD > 20, 200, ODD)) if high else ODD
    model = net.population("a").model
    model = replace(model, threshold=20) if isinstance(model, SigmaDelta) else model
    model = replace(model, threshold=100, current_decay=4096) if made is GRADED else model
    net, wrong = (
        network(model, w, graded=samples.inputs["in"].payload is not None) for w in (weights, CUT[what](weights))
    )
    samples = replace(samples, inputs={"in": samples.inputs["in"].take(0, 2)})
    assert _ways(net, wrong, samples) == ("quantisation", what)


@pytest.mark.parametrize(
    ("cause", "why", "exponent", "departure"),
    [
        ("quantisation", "the weight exponent is left out", 2, {"weights": lambda w: w / 4}),
        ("quantisation", "weights are doubled", 0, {"weights": lambda w: 2 * w}),
        ("rounding", "shifted sums are rounded towards zero", -3, {}),
    ],
)
def test_exponents_and_scales_of_weights_are_recognised(cause, why, exponent, departure):
    samples = spikes(8)
    net = network(Cuba(current_decay=3000, voltage_decay=400, threshold=60), ODD, weight_exponent=exponent)
    lawful = run_reference(net, samples)
    sums = lawful.spikes["in"].to_dense() @ departure.get("weights", same)(ODD).T * 2.0**exponent
    sums = np.trunc(sums).astype(int)
    sent = np.zeros((3, lawful.n_steps, 6), int)
    for sample in range(3):
        for i, step in enumerate([cuba(net.population("a").model) for _ in range(6)]):
            sent[sample, 1:, i] = [step(int(a), 0) for a in sums[sample, :-1, i]]
    _, found = explained(net, lawful, another(lawful, sent))
    assert (found.cause, found.why) == (cause, why)


@pytest.mark.parametrize("source", ["spikes", "messages"])
def test_sources_numbered_in_another_order_of_axes_are_recognised(source):
    """The order (1, 2, 0) is not its own inverse."""
    weights = np.random.default_rng(4).integers(-60, 120, (5, 12)) * 2
    order = np.arange(12).reshape(2, 3, 2).transpose(1, 2, 0).ravel()
    model = Cuba(current_decay=1500, voltage_decay=200, threshold=200)
    if source == "messages":
        model = SigmaDelta(threshold=900)
    graded = source == "messages"
    net, wrong = (network(model, w, shape=(2, 3, 2), graded=graded) for w in (weights, weights[:, order]))
    why = "its sources are numbered with the axes in the order (1, 2, 0)"
    assert _ways(net, wrong, values(12) if graded else spikes(12)) == ("order of axes", why)


@pytest.mark.parametrize(
    "model", [Cuba(current_decay=1500, voltage_decay=200, threshold=200), Sigma()], ids=["cuba", "sigma"]
)
def test_neurons_numbered_in_another_order_of_axes_are_recognised(model):
    weights = np.random.default_rng(4).integers(-60, 120, (12, 8)) * 2
    net = network(model, weights, graded=model.graded)
    net = replace(net, populations=(replace(net.populations[0], shape=(2, 3, 2)),))
    lawful = run_reference(net, values(8) if model.graded else spikes(8))
    sent = lawful.spikes["a"].to_dense()
    sent = sent.reshape(*sent.shape[:2], 2, 3, 2).transpose(0, 1, 3, 4, 2).reshape(sent.shape)
    _, found = explained(net, lawful, another(lawful, sent, graded=model.graded))
    assert (found.cause, found.why) == (
        "order of axes",
        "its neurons are numbered with the axes in the order (1, 2, 0)",
    )


def test_a_transposed_matrix_is_an_order_of_axes():
    net, wrong = (network(PLAIN[0].population("a").model, w) for w in (WEIGHTS[:, :6], WEIGHTS[:, :6].T))
    assert _ways(net, wrong, spikes(6)) == ("order of axes", "the matrix of weights is transposed")


def test_exchanged_components_are_an_order_of_axes():
    net, samples = RF
    wrong = network(net.population("a").model, TURNED, WEIGHTS)
    assert _ways(net, wrong, samples) == ("order of axes", "real and imaginary input are exchanged")


def image_network(model, synapses, *, graded=False) -> Network:
    return one_layer(synapses, model, target="a", wire="p", graded=graded)


@pytest.mark.parametrize("what", KERNELS)
@pytest.mark.parametrize(
    ("model", "graded"),
    [
        (Cuba(current_decay=3000, voltage_decay=900, threshold=200), False),
        (Cuba(current_decay=3000, voltage_decay=900, threshold=900, reset="subtract"), True),
        (SigmaDelta(threshold=100), True),
    ],
    ids=["cuba", "graded", "sigma-delta"],
)
def test_kernels_stored_otherwise_are_an_order_of_axes(what, model, graded):
    kernel = np.random.default_rng(5).integers(-60, 100, (2, 1, 3, 3)) * 2
    wrong = np.rot90(kernel, 2, axes=(2, 3)) if "flipped" in what else kernel.transpose(0, 1, 3, 2)
    net, wrong = (
        image_network(model, Conv(weights=k, input_shape=(1, 6, 6), padding=(1, 1)), graded=graded)
        for k in (kernel, wrong)
    )
    assert _ways(net, wrong, values(36) if graded else spikes(36)) == ("order of axes", what)


def test_sums_of_convolutions_beyond_24_bits_are_a_range():
    """A pooling of one tap of weight 64 and of another engine that keeps all 32 bits of its sum."""
    net = image_network(Sigma(), Pool(input_shape=(1, 4, 4), kernel=(1, 1), stride=(1, 1), weight=64), graded=True)
    lawful = run_reference(net, values(16, high=2**18))
    given = lawful.spikes["in"].to_dense().astype(np.int64)
    sent = np.zeros_like(given)
    sent[:, 1:] = np.cumsum(64 * given[:, :-1], axis=1)
    _, found = explained(net, lawful, another(lawful, sent, graded=True))
    assert (found.cause, found.why) == ("range", "sums of convolutions do not wrap at 24 bits")


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_sums_of_convolutions_beyond_24_bits_into_spiking_neurons_are_a_range(reset):
    """The sum ``2**24`` is 0 once it wraps; the other engine shifts it to a current of ``2**30``, which is folded once."""
    model = Cuba(current_decay=4096, voltage_decay=4096, threshold=1, reset=reset)
    net = image_network(model, Pool(input_shape=(1, 1, 2), kernel=(1, 1), stride=(1, 1), weight=64), graded=True)
    given = samples(np.array([[[2**18, 2**18 + 1], [3, -2], [-(2**18), 2**18]]]), graded=True)
    lawful = run_reference(net, given)
    assert lawful.spikes["a"].to_dense()[0].tolist() == [[0, 0], [0, 1], [1, 0], [0, 0]]
    sent = np.array([[[0, 0], [1, 1], [1, 0], [0, 1]]])
    _, found = explained(net, lawful, another(lawful, sent))
    assert (found.cause, found.why) == ("range", "sums of convolutions do not wrap at 24 bits")


def test_one_of_two_projections_that_comes_late_is_named():
    net, samples = RF
    wrong = changed(net, delay=1)
    assert _ways(net, wrong, samples) == ("delay", "what arrives comes one step late (projection 'p_real')")


def test_both_payloads_and_the_arriving_messages_can_be_recomputed_by_hand():
    """Weights 3 and 5: messages 4 and -2 sent in step 0 add up to 2; with a bias of 10, a change of 12 is sent in step 1."""
    net = network(SigmaDelta(threshold=1, bias=10), [[3, 5]], graded=True)
    lawful = run_reference(net, samples(np.array([[[4, -2], [0, 0]]]), graded=True))
    sent = lawful.spikes["a"].to_dense()
    assert sent[0, :, 0].tolist() == [0, 12, 0]
    difference, found = explained(net, lawful, another(lawful, 2 * sent, graded=True))
    assert (difference.step, difference.values) == (1, (12, 24))
    assert "reference has 12, other has 24" in str(difference)
    assert (found.summed_input, found.summed_input_imag, found.threshold) == (2, None, 1)
    assert found.decided_by == {"sigma": 2, "act": 12, "delta": 12}
    assert [(a.neuron, a.sent_in_step, a.message, a.weight) for a in found.arriving] == [(0, 0, 4, 3), (1, 0, -2, 5)]


def test_complex_input_and_state_of_a_resonator_can_be_recomputed_by_hand():
    """No turn, exponent 1: a spike in step 0 brings 7 << 1 to the real and -5 << 1 to the imaginary state."""
    net = network(ResonateAndFire(sin_decay=0, cos_decay=4096, threshold=90, state_exponent=1), [[7]], [[-5]])
    lawful = run_reference(net, samples(np.array([[[1], [0]]])))
    fires = np.zeros((1, 3, 1), int)
    fires[0, 1] = 1
    difference, found = explained(net, lawful, another(lawful, fires))
    assert (difference.step, difference.values, found.cause) == (1, (0, 1), "unknown")
    assert (found.summed_input, found.summed_input_imag, found.threshold) == (7, -5, 90)
    assert found.decided_by == {"real": 14, "imag": -10}


def test_arriving_spikes_and_states_of_the_first_difference_can_be_recomputed_by_hand():
    """Weight 100 against threshold 150, no leak: the second spike takes the voltage to 12800 > 9600 in step 3."""
    model = Cuba(current_decay=4096, voltage_decay=0, threshold=150)
    net = network(model, [[100, 60]], delay=np.array([1, 0]))
    raster = np.zeros((1, 4, 2), int)
    raster[0, 0, 0] = raster[0, 1, 0] = 1
    lawful = run_reference(net, samples(raster))
    assert lawful.spikes["a"].step.tolist() == [3]
    silent = another(lawful, np.zeros((1, lawful.n_steps, 1), int))
    difference, found = explained(net, lawful, silent)
    assert (difference.step, found.departs, found.cause) == (3, "other", "unknown")
    assert (found.summed_input, found.threshold) == (100, 9600)
    assert found.decided_by == {"u": 6400, "v": 12800}
    assert [(a.source, a.neuron, a.sent_in_step, a.message, a.weight) for a in found.arriving] == [("in", 0, 1, 1, 100)]


@pytest.mark.parametrize("made", [PLAIN, PILED, GRADED, RF, RF_IZ, SUM, DELTA, SIGMA_DELTA])
def test_what_no_rule_explains_stays_unknown(made):
    net, samples = made
    lawful = run_reference(net, samples)
    model = net.population("a").model
    sent = lawful.spikes["a"].to_dense()
    sent[1, 20, 3] = 1 - sent[1, 20, 3] if not model.graded else sent[1, 20, 3] + 12345
    _, found = explained(net, lawful, another(lawful, sent, graded=model.graded))
    assert (found.cause, found.departs) == ("unknown", "other")
    assert f"for {model.kind.replace('_', '-')} neurons" in found.why


def test_the_engine_that_departs_is_named_even_if_it_comes_first():
    net, samples = SIGMA_DELTA
    lawful = run_reference(net, samples)
    other = engine(net, lawful, bias=0)
    difference = compare_activities([other, lawful]).first_difference
    found = diagnose(net, other, lawful, difference)
    assert (difference.engines, found.departs) == (("other", "reference"), "other")
    assert found.why == "the bias is left out"


def test_a_departure_that_one_sample_does_not_settle_is_settled_by_others():
    """In sample 0 nothing but -3 arrives, so that its sign may be lost before or after the sum; sample 1 tells."""
    net = network(Sigma(), [[1]], graded=True)
    given = np.array([[[-3], [0]], [[-3], [5]]])
    lawful = run_reference(net, samples(given, graded=True))
    for sent, why in (([[3, 3], [3, 2]], "its messages"), ([[3, 3], [3, 8]], "arriving messages")):
        other = another(lawful, np.array([[[0], *([m] for m in row)] for row in sent]), graded=True)
        difference, found = explained(net, lawful, other)
        assert (difference.sample, found.why) == (0, f"{why} lose their sign")


@pytest.mark.parametrize("quiet", [[True, False], [True, True], [False, True]])
def test_silence_is_explained_only_by_a_sample_in_which_the_engine_sends(quiet):
    """Payloads count as 1: a quiet sample of few events stays below the threshold, one of many events passes it."""
    net = network(Cuba(current_decay=4096, voltage_decay=0, threshold=9), [[4, 4]], graded=True)
    rasters = {True: [[9, 0], [0, 0], [0, 9], [0, 0]], False: [[9, 9], [9, 9], [0, 9], [9, 9]]}
    lawful = run_reference(net, samples(np.array([rasters[q] for q in quiet]), graded=True))
    assert all(lawful.spikes["a"].counts() > 0)
    difference, found = explained(net, lawful, engine(net, lawful, message=lambda m: int(m != 0)))
    assert difference.sample == 0
    nothing = "the population gives nothing at all in this sample"
    assert found.why == (nothing if all(quiet) else "arriving messages count as 1 each")
    assert found.cause == ("unknown" if all(quiet) else "quantisation")


def test_different_inputs_are_named_as_such():
    net = PLAIN[0]
    a = run_reference(net, spikes(8))
    b = replace(run_reference(net, spikes(8, rate=0.2)), engine="other")
    _, found = explained(net, a, b)
    assert (found.cause, found.why) == ("input", "the engines were not given the same events for 'in'")


def test_an_input_recorded_with_another_payload_is_named_with_both_payloads():
    net = network(Cuba(current_decay=4096, voltage_decay=0, threshold=9), [[4, 4]], graded=True)
    one, two = (samples(np.array([[[3, -7], [0, p]]]), graded=True) for p in (5, 6))
    a, b = run_reference(net, one), replace(run_reference(net, two), engine="other")
    difference, found = explained(net, a, b)
    assert (difference.population, difference.step, difference.neuron, difference.values) == ("in", 1, 1, (5, 6))
    assert (found.cause, found.departs) == ("input", "other")
