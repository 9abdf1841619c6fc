"""Workers end with what started them: by an error, by a signal, or by a kill that nobody can catch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neurodeploy.processes import worker_pool

SWEEP = """
import signal, sys, time
from neurodeploy.plugins import load_plugins
from neurodeploy.processes import worker_pool
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where the tests run in the background
    with worker_pool(2, load_plugins) as pool:
        busy = [pool.submit(time.sleep, 600) for _ in range(4)]
        print(*[pool.submit(abs, 1) and p for p in pool._processes], flush=True)
        busy[0].result()
"""


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not (state.exists() and state.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z")


def wait_until_gone(processes: list[int], seconds: float) -> list[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(map(lives, processes)):
        time.sleep(0.05)
    return [process for process in processes if lives(process)]


@pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_end_when_their_parent_ends_by_a_signal(number, tmp_path):
    script = tmp_path / "sweep.py"
    script.write_text(SWEEP, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        try:
            workers = [int(word) for word in parent.stdout.readline().split()]
            assert len(workers) == 2
            time.sleep(1.0)
            parent.send_signal(number)
            assert wait_until_gone([parent.pid], 20) == []
            assert wait_until_gone(workers, 20) == []
        finally:
            parent.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="has other signals")
def test_what_is_asked_to_end_says_nothing_of_what_its_library_cleans_up(tmp_path):
    script = tmp_path / "sweep.py"
    script.write_text(SWEEP, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        parent.stdout.readline()
        time.sleep(1.0)
        parent.terminate()
        _, told = parent.communicate(timeout=20)
    assert (parent.returncode, told) == (143, "")


def test_an_error_in_the_block_ends_workers_that_are_busy():
    workers: list[int] = []

    def fail():
        with worker_pool(1, os.getpid) as pool:
            pool.submit(time.sleep, 600)
            workers.extend(pool._processes)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert len(workers) == 1
    assert wait_until_gone(workers, 1) == []


def test_a_pool_that_is_done_returns_its_results():
    with worker_pool(1, os.getpid) as pool:
        assert pool.submit(abs, -3).result() == 3
