"""Payloads of events travel: through files, parts, windows and joins, also where one input has them and another has not."""

from __future__ import annotations

import numpy as np
import pytest
from building import connect, samples, wired

from neurodeploy.engines.table import simulate
from neurodeploy.errors import SimulationError
from neurodeploy.network import Cuba, Input
from neurodeploy.network.activity import (
    Events,
    Samples,
    join_samples,
    load_activity,
    load_samples,
    save_activity,
    save_samples,
    window,
)
from neurodeploy.proofs.proof import broken, digest, make_proof

PIXELS = np.array([[[3, 0, -7], [0, 0, 0], [1, 2**31 - 1, 0]], [[0, 0, 0], [-(2**31), 0, 5], [0, -1, 1]]])
DOTS = np.array([[[1, 0], [0, 1], [0, 0]], [[1, 1], [0, 0], [1, 0]]])


def mixed(**rest) -> Samples:
    """A graded and a plain input."""
    inputs = {**samples(PIXELS, "pixels", graded=True).inputs, **samples(DOTS, "dots").inputs}
    return Samples(inputs=inputs, labels=[2, 0], name="mixed", shapes={"pixels": (1, 1, 3)}, **rest)


def assert_mixed(given: Samples, pixels: np.ndarray = PIXELS, dots: np.ndarray = DOTS) -> None:
    assert np.array_equal(given.inputs["pixels"].to_dense(), pixels)
    assert given.inputs["pixels"].payload.dtype == np.int32
    assert np.array_equal(given.inputs["dots"].to_dense(), dots)
    assert given.inputs["dots"].payload is None


def test_samples_of_graded_and_plain_inputs_survive_their_file(tmp_path):
    save_samples(mixed(), tmp_path / "s.npz")
    back = load_samples(tmp_path / "s.npz")
    assert_mixed(back)
    assert (back.labels.tolist(), back.name, dict(back.shapes)) == ([2, 0], "mixed", {"pixels": (1, 1, 3)})
    assert {name: digest(events) for name, events in back.inputs.items()} == {
        name: digest(events) for name, events in mixed().inputs.items()
    }


def test_parts_of_samples_keep_their_payloads():
    for i in range(2):
        part = mixed().take(i, i + 1)
        assert_mixed(part, PIXELS[i : i + 1], DOTS[i : i + 1])
        assert part.labels.tolist() == [[2], [0]][i]


def test_joined_parts_are_the_whole():
    for name, raster in (("pixels", PIXELS), ("dots", DOTS)):
        events = mixed().inputs[name]
        again = join_samples([events.take(1, 2), events.take(0, 1), events])
        assert np.array_equal(again.to_dense(), np.concatenate([raster[[1, 0]], raster]))


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_window_keeps_the_payloads_of_its_steps(first):
    part = window(mixed().inputs["pixels"], first, 2)
    assert np.array_equal(part.to_dense()[:, : 3 - first], PIXELS[:, first : first + 2])


def network():
    projections = [connect("pixels", "a", [[2, 4, 6]], weight_exponent=-1), connect("dots", "a", [[8, 8]])]
    inputs = (Input(name="pixels", shape=(1, 1, 3), payload_bits=32, signed=True), Input(name="dots", shape=(2,)))
    model = Cuba(current_decay=4096, voltage_decay=0, threshold=3, reset="subtract")
    return wired({"pixels": (1, 1, 3), "dots": 2}, {"a": (1, model)}, projections, graded=["pixels"]), inputs


def test_an_activity_of_graded_and_plain_inputs_survives_its_file(tmp_path):
    net, inputs = network()
    assert net.inputs[0].payload_range == inputs[0].payload_range
    activity = simulate(net, mixed(), probe=[("a", "v")], labels={"a": np.array([0])})
    save_activity(activity, tmp_path / "a.npz")
    back = load_activity(tmp_path / "a.npz")
    assert list(back.spikes) == ["pixels", "dots", "a"]
    for name, events in activity.spikes.items():
        assert digest(back.spikes[name]) == digest(events)
        assert (back.spikes[name].payload is None) == (events.payload is None) == (name != "pixels")
    assert np.array_equal(back.spikes["pixels"].to_dense()[:, :3], PIXELS)
    assert np.array_equal(back.states["a", "v"], activity.states["a", "v"])
    assert (dict(back.overflow), back.updated.tolist()) == (dict(activity.overflow), activity.updated.tolist())


def test_an_older_proof_does_not_hold_for_other_payloads():
    net, _ = network()
    from neurodeploy.proofs.compare import compare_activities

    def proof(given: Samples) -> dict:
        runs = [simulate(net, given, engine=engine) for engine in ("reference", "event")]
        return make_proof(net, given, runs, compare_activities(runs))

    old = proof(mixed())
    assert old["equal"]
    assert broken(old, proof(mixed())) == []
    other = PIXELS.copy()
    other[0, 0, 0] = 4
    changed = Samples(inputs={**mixed().inputs, **samples(other, "pixels", graded=True).inputs})
    assert broken(old, proof(changed)) == ["the samples are others"]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([1.5, 2.0], "event payloads must be whole numbers, they are float64; divide them by the scale of their input and "
         "round them"),
        ([2.0, 3.0], "event payloads must be whole numbers, they are float64"),
        ([True, False], "event payloads must be whole numbers, they are bool"),
        ([3, 0], "event 1 has the payload 0, which stands for no event; leave such events out"),
        ([3, 2**31], "an event has the payload 2147483648, which does not fit 32 bits"),
        ([-(2**31) - 1, 1], "an event has the payload -2147483649, which does not fit 32 bits"),
        (np.array([1, 2**63], np.uint64), "an event has the payload 9223372036854775808, which does not fit 32 bits"),
        ([3], "event payload differs in length from the events"),
    ],
)  # fmt: skip
def test_payloads_that_no_event_can_have(payload, message):
    with pytest.raises(SimulationError, match=f"^simulate: {message}"):
        Events(size=2, n_steps=1, n_samples=1, sample=[0, 0], step=[0, 0], neuron=[0, 1], payload=payload)


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        (np.array([[[0.5]]]), "a raster holds .* this one is float64"),
        (np.array([[[2**31]]]), "a raster holds 32-bit numbers, this one 2147483648..2147483648"),
        (np.array([[[-(2**40)]]]), "a raster holds 32-bit numbers, this one -1099511627776"),
    ],
)
def test_rasters_that_hold_no_payloads(raster, message):
    with pytest.raises(SimulationError, match=f"^simulate: {message}"):
        Events.from_dense(raster, graded=True)
