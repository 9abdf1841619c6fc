"""Runs of engine ``lava`` with a fault from outside: nothing is left, and the next run is right."""

from __future__ import annotations

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("faults are made and looked for in /proc and /dev/shm", allow_module_level=True)

from fuzz.lava_faults import FAULTS, is_one_error, strike

from neurodeploy.engines.lava import find_lava_python
from neurodeploy.errors import LavaError


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("seed", [0, 3, 6])
def test_a_run_with_a_fault_leaves_nothing_and_the_next_is_right(seed):
    try:
        find_lava_python()
    except LavaError as error:
        pytest.skip(str(error))
    told: list[str] = []
    counts = strike(1, seed, told.append)
    assert counts["wrong"] == 0, told
    assert sum(counts[name] for name in FAULTS) == 1


@pytest.mark.parametrize(
    ("lines", "fine"),
    [
        (["neurodeploy: lava: the worker was ended by signal 9 without a result"], True),
        (["Traceback (most recent call last):", "neurodeploy: lava: the worker was ended by signal 9"], False),
        (["neurodeploy: lava: "], False),
        ([], False),
    ],
)
def test_an_end_with_a_traceback_or_without_words_counts_as_wrong(lines, fine):
    assert is_one_error(lines) is fine
