"""Runs of the Lava backend with injected exceptions, hangs, kills and interrupts: each ends in time with one clear error or
the right result, and none leaves a process, a shared-memory segment or a file. Seven runs, and 200 that are slow.

The faults live in a worker script of this test, which wraps the one of the package.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from building import one_layer, spikes
from watching import processes_with

from neurodeploy.engines.lava import find_lava_python, run_lava, supervise
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import LavaError, LavaTimeoutError
from neurodeploy.network import Cuba, Network
from neurodeploy.network.activity import Activity

pytestmark = pytest.mark.lava

N_RUNS = 200
SOON_S = 20.0
"""No run may take longer, whatever happens to it; the hanging ones have a limit of 3 s."""

WORKER = """
import os, signal, sys, time
sys.path[:0] = [{folder!r}, {processes!r}]
import run_job

fault = os.environ["LAVA_FAULT"]
prepare, run = run_job.report_model_errors, run_job.run

def strike(kind):
    if kind == "raise":
        raise ArithmeticError("injected")
    if kind == "hang":
        time.sleep(600)
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    if kind == "exit":
        os._exit(3)
    os.kill(os.getpid(), getattr(signal, kind))
    time.sleep(600)

def patched(folder):
    prepare(folder)
    from lava.proc.dense.models import PyDenseModelBitAcc as Model
    place, _, kind = fault.partition(" ")
    run_spk, init = Model.run_spk, Model.__init__
    def in_step(self):
        if self.time_step == 4 and place == "before":
            strike(kind)
        run_spk(self)
        if self.time_step == 4 and place == "after":
            strike(kind)
    def in_init(self, *arguments):
        if place == "init":
            strike(kind)
        init(self, *arguments)
    Model.run_spk, Model.__init__ = in_step, in_init

def in_worker(job, folder):
    if fault.startswith("worker "):
        strike(fault.removeprefix("worker "))
    run(job, folder)

run_job.report_model_errors, run_job.run = patched, in_worker
if fault.startswith("guard "):
    strike(fault.removeprefix("guard "))
run_job.main(sys.argv[1], int(sys.argv[2]))
"""

FAULTS = [
    *(f"{place} {kind}" for place in ("before", "after", "init") for kind in ("raise", "exit", "SIGKILL", "SIGSEGV")),
    *(f"worker {kind}" for kind in ("raise", "exit", "SIGKILL", "SIGABRT")),
    *(f"guard {kind}" for kind in ("raise", "exit", "SIGKILL")),
    *(f"{place} {kind}" for place in ("before", "after", "worker", "guard") for kind in ("hang", "deaf", "SIGSTOP")),
    *["interrupt"] * 12,
    *["kill any"] * 12,
    *["none"] * 2,
]
HANGS = ("hang", "deaf", "SIGSTOP")
ONE_OF_EACH = ["init raise", "after SIGSEGV", "worker exit", "guard SIGKILL", "before hang", "interrupt", "none"]
GIVEN = spikes((3, 20, 8), seed=1)


def network() -> Network:
    weights = (2 * np.random.default_rng(0).integers(-20, 40, (6, 8))).astype(np.int16)
    return one_layer(weights, Cuba(current_decay=1024, voltage_decay=200, threshold=90), target="a", wire="p")


def kill_one_of(text: str, delay_s: float, rng: random.Random) -> None:
    time.sleep(delay_s)
    found = processes_with(text)
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(rng.choice(found).name), rng.choice([signal.SIGKILL, signal.SIGTERM]))


def interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


def run_with(fault: str, rng: random.Random, folder: Path) -> tuple[str, Activity | BaseException]:
    """Run the network under a fault; return how it ended, in a word, with what it gave or raised."""
    limit = 3.0 if fault.endswith(HANGS) else 60.0
    os.environ["LAVA_FAULT"] = fault
    killer = threading.Thread(target=kill_one_of, args=(str(folder), rng.uniform(0.05, 1.5), rng))
    try:
        if fault == "interrupt":
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.02, 1.0))
        if fault == "kill any":
            killer.start()
        activity = run_lava(network(), GIVEN, timeout_s=limit)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except LavaTimeoutError as error:
        return "timeout", error
    except LavaError as error:
        return "error", error
    except KeyboardInterrupt as error:
        return "interrupt", error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if fault == "kill any":
            killer.join()
    return "result", activity


def expected(fault: str) -> set[str]:
    if fault.endswith(HANGS):
        return {"timeout"}
    if fault in ("interrupt", "none"):
        return {"result", fault}
    return {"error", "result"} if fault == "kill any" else {"error"}


@pytest.fixture
def faults_in_the_worker(tmp_path, monkeypatch):
    """Put the faults into the worker, and give the folder that its files lie in."""
    try:
        find_lava_python()
    except LavaError as error:
        pytest.skip(str(error))
    folder, worker = supervise.WORKER.parent, tmp_path / "worker.py"
    worker.write_text(WORKER.format(folder=str(folder), processes=str(folder / "processes")))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(supervise, "WORKER", worker)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(supervise, "_new_prefix", lambda: f"ndstress{os.getpid()}_")
    monkeypatch.setenv("LAVA_FAULT", "none")
    before = signal.signal(signal.SIGALRM, interrupt), signal.signal(signal.SIGINT, signal.default_int_handler)
    yield temporary
    signal.signal(signal.SIGALRM, before[0])
    signal.signal(signal.SIGINT, before[1])


def check_ending(fault: str, rng: random.Random, folder: Path, where: str = "") -> str:
    """Run under a fault; check that it ends soon, as it should and with nothing left, and return how, in a word."""
    start = time.monotonic()
    word, outcome = run_with(fault, rng, folder)
    where = f"{where}fault '{fault}' ended as {word}: {outcome}"
    assert time.monotonic() - start < SOON_S, where
    assert word in expected(fault), where
    if isinstance(outcome, Activity):
        reference = run_reference(network(), GIVEN)
        np.testing.assert_array_equal(outcome.spikes["a"].to_dense(), reference.spikes["a"].to_dense(), where)
    if isinstance(outcome, LavaError):
        assert str(outcome).startswith("lava: "), where
        assert "\n" not in str(outcome), where
    if "raise" in fault and "guard" not in fault:
        assert "ArithmeticError: injected" in str(outcome), where
    assert processes_with(str(folder)) == [], where
    assert [name for name in os.listdir("/dev/shm") if name.startswith(f"ndstress{os.getpid()}_")] == [], where
    assert list(folder.iterdir()) == [], where
    return word


@pytest.mark.parametrize("fault", ONE_OF_EACH)
def test_one_fault_of_each_kind_ends_clear_and_clean(faults_in_the_worker, fault):
    check_ending(fault, random.Random(0), faults_in_the_worker)


@pytest.mark.slow
def test_every_ending_is_clear_and_clean(faults_in_the_worker):
    rng, endings = random.Random(0), Counter()
    for i in range(N_RUNS):
        endings[check_ending(FAULTS[i % len(FAULTS)], rng, faults_in_the_worker, f"run {i}, ")] += 1
    assert endings["error"] > 80
    assert endings["timeout"] > 40
    assert endings["interrupt"] > 20
    assert endings["result"] > 0
