"""Parts of a run on several threads: results in order, and nothing begun that nobody asks for."""

from __future__ import annotations

import threading
import time

import pytest

from neurodeploy.engines.event.threads import in_order, shared_pool


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_results_come_in_the_order_of_the_parts(threads, n):
    def work(k):
        time.sleep(0.002 * (k % 3 == 0))
        return k * k

    assert list(in_order(work, range(n), threads)) == [k * k for k in range(n)]


def test_the_callers_thread_works_with_others_that_are_started_once():
    both = threading.Barrier(2, timeout=20)

    def work(_):
        both.wait()
        return threading.get_ident()

    first, second = (set(in_order(work, range(2), 2)) for _ in range(2))
    assert threading.get_ident() in first
    assert first == second
    assert len(first) == 2
    assert shared_pool(1) is shared_pool(1)


def test_parts_may_have_parts():
    inner = [[sum(in_order(abs, range(-k, 0), 3)) for k in in_order(abs, range(6), 3)] for _ in range(2)]
    assert inner[0] == inner[1] == [0, 1, 3, 6, 10, 15]

    def outer(k):
        return list(in_order(lambda j: j + k, range(4), 3))

    assert list(in_order(outer, range(8), 3)) == [[j + k for j in range(4)] for k in range(8)]


@pytest.mark.parametrize("bad", [0, 1, 40])
def test_an_error_is_raised_and_the_parts_after_it_are_left(bad):
    begun = []

    def work(k):
        begun.append(k)
        if k == bad:
            raise ValueError(f"part {k}")
        time.sleep(0.001)
        return k

    with pytest.raises(ValueError, match=f"part {bad}"):
        list(in_order(work, range(400), 2))
    assert len(begun) < 400


def test_a_caller_who_stops_asking_ends_the_work():
    begun = []

    def work(k):
        begun.append(k)
        time.sleep(0.001)
        return k

    results = in_order(work, range(400), 2)
    assert next(results) == 0
    results.close()
    n = len(begun)
    time.sleep(0.02)
    assert len(begun) == n < 400
