"""All engines agree for any network of every neuron kind, with graded messages.

``tests/drawing.py`` draws the networks.
"""

from __future__ import annotations

import numpy as np
import pytest
from building import every_kind
from drawing import MANY, Case, assert_same, cases
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from neurodeploy.engines import reference
from neurodeploy.engines.event import every_kind as messages
from neurodeploy.engines.event.run import run_event
from neurodeploy.engines.lava import run_lava, run_lava_in_process
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import LavaError


def drawn_labels(network, rng):
    return {p.name: rng.integers(0, 3, p.size) for p in network.populations if rng.random() < 0.7}


@MANY
@given(cases(), st.sampled_from(["report", "wrap", "clip"]), st.integers(0, 9))
def test_event_engine_equals_the_reference(case, on_overflow, number):
    """Also the same neurons are updated, whichever way overflow is handled."""
    labels = drawn_labels(case.network, np.random.default_rng(number))
    options = {"probe": case.probe, "on_overflow": on_overflow, "labels": labels}
    ours, definition = (run(case.network, case.samples, **options) for run in (run_event, run_reference))
    assert_same(ours, definition)
    np.testing.assert_array_equal(ours.updated, definition.updated)
    assert ours.overflow == definition.overflow


@settings(MANY, max_examples=10)
@given(cases(), st.integers(0, 9))
def test_chunks_of_samples_do_not_change_the_result(case, number):
    options = {"probe": case.probe, "labels": drawn_labels(case.network, np.random.default_rng(number))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "_CHUNK_BYTES", 1)
        patch.setattr(reference, "_CHUNK_BYTES", 1)
        ours, definition = (run(case.network, case.samples, **options) for run in (run_event, run_reference))
    assert_same(run_reference(case.network, case.samples, **options), definition)
    assert_same(ours, definition)


def on_lava(run, case):
    """Run the case on Lava; where Lava's own convolution is undefined or its LIF cannot be held, it is given up."""
    pytest.importorskip("lava.magma", reason="this Python has no lava-nc")
    try:
        return run(case.network, case.samples, probe=case.probe)
    except LavaError as error:
        known = ("leave 32 bits", "invalid value encountered in cast", "before its first step")
        if not any(why in str(error) for why in known):
            raise
        reject()


@pytest.mark.lava
@MANY
@given(cases(lava=True))
def test_process_models_of_lava_equal_the_reference(case):
    ours = on_lava(run_lava_in_process, case)
    definition = run_reference(case.network, case.samples, probe=case.probe)
    assert_same(ours, definition)
    assert ours.overflow == definition.overflow


@pytest.mark.lava
@pytest.mark.slow
@settings(MANY, max_examples=25)
@given(cases(lava=True))
def test_runtime_of_lava_equals_the_reference(case):
    assert_same(on_lava(run_lava, case), run_reference(case.network, case.samples, probe=case.probe))


@pytest.mark.lava
def test_runtime_of_lava_runs_every_kind():
    case = Case(*every_kind())
    definition = run_reference(case.network, case.samples, probe=case.probe)
    for name in case.network.sizes:
        assert len(definition.spikes[name]) >= 10, f"{name} sends too little to show anything"
    assert_same(on_lava(run_lava, case), definition)
