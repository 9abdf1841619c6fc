"""The fastest way is measured once for a key and kept."""

from __future__ import annotations

import time

from neurodeploy.engines.lanes.choice import Choices, Trial, size_class


def trial_of(seconds, runs, share=1.0):
    def trial(name):
        def run():
            runs.append(name)
            time.sleep(seconds[name])

        return Trial(run, share if name == "part" else 1.0)

    return trial


def test_the_fastest_way_is_picked_and_remembered():
    runs, choices = [], Choices()
    seconds = {"slow": 0.01, "fast": 0.0}
    assert choices.pick("key", ("slow", "fast"), trial_of(seconds, runs)) == "fast"
    assert set(runs) == {"slow", "fast"}
    runs.clear()
    assert choices.pick("key", ("slow", "fast"), trial_of(seconds, runs)) == "fast"
    assert not runs
    assert choices.table == {"key": "fast"}


def test_the_time_of_a_part_counts_for_the_whole():
    seconds = {"part": 0.004, "whole": 0.01}
    assert Choices().pick("key", ("part", "whole"), trial_of(seconds, [], share=0.1)) == "whole"


def test_a_forced_way_is_taken_without_a_measurement():
    runs, choices = [], Choices(forced=frozenset(["slow"]))
    assert choices.pick("key", ("slow", "fast"), trial_of({}, runs)) == "slow"
    assert choices.pick("other", ("fast",), trial_of({}, runs)) == "fast"
    assert not runs


def test_counts_of_a_class_differ_by_less_than_a_factor_of_1_5():
    for n in range(1, 3000):
        same = [m for m in (int(n * 1.5), n * 2) if size_class(m) == size_class(n)]
        assert not [m for m in same if m >= 1.5 * n]
    assert size_class(0) == size_class(1) == 0
