"""The Lava worker: refusals before anything starts, and clean ends whatever happens. Its spikes: ``test_engines.py``."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from building import chain, neuron, one_layer, spikes
from watching import processes_with, shared_memory_of

from neurodeploy.engines.lava import find_lava_python, predict_seconds, run_lava, run_lava_in_process, supervise
from neurodeploy.engines.lava.plan import make_job
from neurodeploy.errors import LavaError, LavaTimeoutError
from neurodeploy.network import Conv, LeakyIntegrator, Network
from neurodeploy.network.activity import Events, Samples

WORKER = supervise.WORKER.parent


def has_lava() -> bool:
    try:
        python = find_lava_python()
    except LavaError:
        return False
    return subprocess.run([python, "-c", "import lava.magma"], capture_output=True).returncode == 0


needs_lava = pytest.mark.skipif(not has_lava(), reason="no Python with lava-nc was found")

needs_lava_here = pytest.mark.skipif(find_spec("lava") is None, reason="this Python has no lava-nc")


def layers(*weights: np.ndarray, **parameters: object) -> Network:
    """A chain of dense layers of CUBA neurons."""
    named = {f"layer{i}": w for i, w in enumerate(weights, start=1)}
    return chain(named, neuron("cuba", **{"voltage_decay": 200} | parameters), wire="into {target}")


def even(shape: tuple[int, int], seed: int = 0, low: int = -40, high: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(low, high, shape) * 2 * (rng.random(shape) < 0.5)).astype(np.int16)


def samples(n: int, steps: int, size: int, rate: float = 0.15, seed: int = 1) -> Samples:
    return spikes((n, steps, size), rate, seed=seed)


@pytest.fixture
def worker_that(tmp_path, monkeypatch):
    """Return a function that puts code into the worker before it runs the job."""

    def use(code: str) -> None:
        script = tmp_path / "worker.py"
        script.write_text(
            "import os, signal, sys, time\n"
            f"sys.path[:0] = [{str(WORKER)!r}, {str(WORKER / 'processes')!r}]\n"
            "import run_job\n"
            f"{code}\n"
            "run_job.main(sys.argv[1], int(sys.argv[2]))\n"
        )
        monkeypatch.setattr(supervise, "WORKER", script)

    return use


IN_THE_MODEL = """
prepare = run_job.report_model_errors
def patched(folder):
    prepare(folder)
    from lava.proc.dense.models import PyDenseModelBitAcc
    run_spk = PyDenseModelBitAcc.run_spk
    def fails(self):
        if self.time_step == 3:
            {failure}
        run_spk(self)
    PyDenseModelBitAcc.run_spk = fails
run_job.report_model_errors = patched
"""


@pytest.mark.lava
@needs_lava
@pytest.mark.usefixtures("leaves_nothing")
class TestRun:
    def test_progress_tells_every_end_of_the_run(self):
        seen = []
        run_lava(layers(even((6, 8))), samples(3, 10, 8), progress=lambda done, of: seen.append((done, of)))
        assert seen[-1] == (3, 3)
        assert seen == sorted(seen)

    def test_the_worker_loads_neither_torch_nor_this_package(self, worker_that):
        worker_that(
            "import watch\n"
            "stop = watch.ChildWatch.stop\n"
            "def checked(self):\n"
            "    found = [name for name in ('torch', 'neurodeploy', 'lava.lib') if name in sys.modules]\n"
            "    if found: raise ImportWarning(found)\n"
            "    stop(self)\n"
            "watch.ChildWatch.stop = checked"
        )
        assert len(run_lava(layers(even((6, 8))), samples(2, 10, 8)).spikes["layer1"]) > 0

    def test_silence_gives_no_spikes(self):
        given = samples(2, 10, 8, rate=0.0)
        assert len(run_lava(layers(even((6, 8))), given).spikes["layer1"]) == 0


@pytest.mark.lava
@needs_lava
@pytest.mark.usefixtures("leaves_nothing")
class TestEndings:
    """Every failure of Lava's runtime gives one error and leaves nothing behind."""

    network = layers(even((6, 8)))
    given = samples(2, 10, 8)

    def test_an_error_in_a_model_is_reported_with_its_message_and_place(self, worker_that):
        worker_that(IN_THE_MODEL.format(failure="raise ArithmeticError('injected fault')"))
        start = time.monotonic()
        with pytest.raises(LavaError, match="ArithmeticError: injected fault .*worker.py"):
            run_lava(self.network, self.given, timeout_s=60)
        assert time.monotonic() - start < 10

    def test_an_error_while_building_is_reported_in_one_line(self, worker_that):
        worker_that("def fails(*_): raise ValueError('no such\\n  process' + 1000 * '!')\nrun_job.run = fails")
        with pytest.raises(LavaError, match=r"ValueError: no such process!+ \.\.\. \(File .*worker.py") as raised:
            run_lava(self.network, self.given, timeout_s=60)
        assert len(str(raised.value)) < 1000

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_a_killed_lava_process_is_noticed_at_once(self, worker_that, number):
        worker_that(IN_THE_MODEL.format(failure=f"os.kill(os.getpid(), {int(number)})"))
        start = time.monotonic()
        with pytest.raises(LavaError, match=f"was ended by {number.name}"):
            run_lava(self.network, self.given, timeout_s=60)
        assert time.monotonic() - start < 10

    def test_a_lava_process_that_exits_early_is_noticed(self, worker_that):
        worker_that(IN_THE_MODEL.format(failure="os._exit(0)"))
        with pytest.raises(LavaError, match="ended early with exit code 0"):
            run_lava(self.network, self.given, timeout_s=60)

    def test_a_killed_worker_is_noticed(self, worker_that):
        worker_that("def dies(*_): os.kill(os.getpid(), signal.SIGKILL)\nrun_job.run = dies")
        with pytest.raises(LavaError, match="without a result"):
            run_lava(self.network, self.given, timeout_s=60)

    def test_a_killed_guard_is_noticed_and_its_group_ended(self, worker_that):
        worker_that(IN_THE_MODEL.format(failure="os.kill(os.getpgid(0), signal.SIGKILL); time.sleep(600)"))
        with pytest.raises(LavaError, match="was ended by signal 9 without a result"):
            run_lava(self.network, self.given, timeout_s=60)

    def test_a_hanging_model_ends_at_the_time_limit(self, worker_that):
        worker_that(IN_THE_MODEL.format(failure="time.sleep(600)"))
        start = time.monotonic()
        with pytest.raises(LavaTimeoutError, match="time limit of 3 s, with 0 of 2 samples done"):
            run_lava(self.network, self.given, timeout_s=3)
        assert time.monotonic() - start < 8

    def test_a_model_that_ignores_sigterm_is_ended(self, worker_that):
        failure = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        worker_that(IN_THE_MODEL.format(failure=failure))
        with pytest.raises(LavaTimeoutError):
            run_lava(self.network, self.given, timeout_s=3)

    @pytest.fixture
    def interruptible(self):
        """Python's own handler of interrupts, which a test runner may have taken away."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    @pytest.mark.usefixtures("interruptible")
    def test_an_interrupt_of_the_parent_ends_the_worker_and_goes_on(self, worker_that):
        worker_that(IN_THE_MODEL.format(failure="time.sleep(600)"))
        timer = threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            run_lava(self.network, self.given, timeout_s=60)

    def test_a_parent_that_died_before_the_guard_began_leaves_no_folder(self, tmp_path):
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        (tmp_path / "job").mkdir()
        command = [find_lava_python(), str(supervise.WORKER), str(tmp_path / "job"), str(gone.pid)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(30)
        assert not (tmp_path / "job").exists()

    def test_a_killed_parent_takes_the_worker_with_it(self, tmp_path):
        program = (
            "import numpy as np, sys\n"
            "from neurodeploy.network.activity import Events, Samples\n"
            "from neurodeploy.network import *\n"
            "from neurodeploy.engines.lava import run_lava\n"
            "network = Network(inputs=(Input(name='in', shape=(4,)),), projections=(Projection(name='p', source='in',"
            " target='a', synapses=Dense(weights=np.full((4, 4), 2))),), outputs=(Output(name='o', population='a'),),"
            " populations=(Population(name='a', shape=(4,), model=Cuba(current_decay=0, voltage_decay=0, threshold=9)),))\n"
            "given = Samples(inputs={'in': Events.from_dense(np.ones((500, 100, 4), bool))})\n"
            "run_lava(network, given, progress=lambda *_: print('running', flush=True))\n"
        )
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"running\n"
            before = shared_memory_of(processes_with(str(tmp_path)))
            assert before
            parent.kill()
        end = time.monotonic() + 10
        while processes_with(str(tmp_path)) and time.monotonic() < end:
            time.sleep(0.1)
        assert processes_with(str(tmp_path)) == []
        assert before & set(os.listdir("/dev/shm")) == set()
        assert [path.name for path in tmp_path.iterdir() if path.name != "temporary"] == []


def test_shared_memory_and_semaphores_of_a_worker_carry_its_prefix_and_are_removed_by_it():
    code = (
        f"import os, sys; sys.path.insert(0, {str(WORKER)!r})\n"
        "import multiprocessing, watch; from multiprocessing.shared_memory import SharedMemory\n"
        "watch.keep_together(sys.argv[1])\n"
        "kept = multiprocessing.get_context('spawn').Semaphore(), SharedMemory(create=True, size=8)\n"
        "os.kill(multiprocessing.resource_tracker._resource_tracker._pid, 9); os._exit(0)\n"
    )
    prefix = supervise._new_prefix()
    subprocess.run([sys.executable, "-c", code, prefix], check=True)
    left = sorted(name for name in os.listdir("/dev/shm") if prefix in name)
    assert [name.startswith(start) for name, start in zip(left, (prefix, f"sem.{prefix}"))] == [True, True]
    supervise._remove_shared_memory(prefix)
    assert [name for name in os.listdir("/dev/shm") if prefix in name] == []


class TestRefusals:
    """What Lava would compute differently is refused before anything starts."""

    def job(self, network: Network) -> None:
        given = Samples(inputs={i.name: Events.from_dense(np.zeros((1, 5, i.size), bool)) for i in network.inputs})
        make_job(network, given, 5)

    def test_odd_weights_of_both_signs(self):
        with pytest.raises(LavaError, match="projection 'into layer1' has weights -2..3 and the odd weight 3"):
            self.job(layers(np.array([[3, -2]], np.int16)))

    def test_odd_negative_weights_beside_minus_256(self):
        with pytest.raises(LavaError, match=r"weights -256..-3 and the odd weight -3.*even weights only"):
            self.job(layers(np.array([[-256, -3]], np.int16)))

    def test_a_bias_that_needs_more_than_16_bits(self):
        with pytest.raises(LavaError, match="population 'layer1': bias 65537 of neuron 0 .* multiple of 4"):
            self.job(layers(even((3, 2)), bias=65537))

    def test_a_delayed_convolution_whose_sum_could_leave_24_bits(self):
        conv = Conv(weights=np.full((1, 32, 3, 3), 254, np.int16), input_shape=(32, 3, 3))
        network = one_layer(
            conv, LeakyIntegrator(current_decay=0, voltage_decay=0), wire="p", delay=1, weight_exponent=7
        )
        with pytest.raises(LavaError, match="projection 'p' .* its sum can reach 9363456, beyond 24 bits"):
            self.job(network)
        self.job(replace(network, projections=(replace(network.projections[0], weight_exponent=6),)))

    @pytest.mark.parametrize("bias", [0, 1, -1, 32767, -32768, 65534, -65536, 2**22, -(2**22), 127 * 2**16])
    def test_a_bias_is_mantissa_times_power_of_two(self, bias):
        given = samples(1, 5, 2)
        record = make_job(layers(even((3, 2)), bias=bias), given, 5)["populations"][0]
        assert (record["arguments"]["bias_mant"] << record["arguments"]["bias_exp"] == bias).all()
        assert (np.abs(record["arguments"]["bias_mant"] + 0.5) < 2**15).all()


class TestPython:
    def test_the_variable_comes_first(self, monkeypatch):
        monkeypatch.setenv("NEURODEPLOY_LAVA_PYTHON", sys.executable)
        assert find_lava_python() == sys.executable

    def test_a_variable_that_names_no_program_is_an_error(self, monkeypatch, tmp_path):
        monkeypatch.setenv("NEURODEPLOY_LAVA_PYTHON", str(tmp_path / "python"))
        with pytest.raises(LavaError, match=r"NEURODEPLOY_LAVA_PYTHON is '.*python', which is no program"):
            find_lava_python()

    def test_without_lava_the_error_says_what_to_do(self, monkeypatch):
        monkeypatch.delenv("NEURODEPLOY_LAVA_PYTHON", raising=False)
        monkeypatch.setattr("neurodeploy.engines.workers.find_spec", lambda _: None)
        with pytest.raises(LavaError, match=r"Lava needs Python 3.10.*lava-nc==0.10.0.*set NEURODEPLOY_LAVA_PYTHON"):
            find_lava_python()

    def test_a_python_without_lava_is_one_clear_error(self, tmp_path):
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
        python.chmod(0o755)
        with pytest.raises(LavaError, match=r"ModuleNotFoundError: No module named .*Install lava-nc==0.10.0 there"):
            run_lava(layers(even((3, 2))), samples(1, 5, 2), python=str(python))


class TestWithoutLava:
    def test_the_in_process_engine_says_what_to_use(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "neurodeploy.engines.lava.worker.build", None)
        network, given = layers(even((3, 2))), samples(1, 5, 2)
        with pytest.raises(
            LavaError, match=r"needs Lava in this Python.*use engine 'lava' with NEURODEPLOY_LAVA_PYTHON"
        ):
            run_lava_in_process(network, given)

    @needs_lava_here
    def test_a_start_method_that_is_already_chosen_is_a_clear_error(self):
        code = (
            "import multiprocessing; multiprocessing.set_start_method('spawn')\n"
            "from neurodeploy.engines.lava.in_process import _lava\n"
            "from neurodeploy.errors import LavaError\n"
            "try: _lava('lava.proc.lif.models')\n"
            "except LavaError as error: print(error)"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        assert "use engine 'lava', which runs it in a process of its own" in said

    @needs_lava_here
    def test_a_start_method_that_is_lavas_own_may_be_chosen_before(self):
        code = (
            "import multiprocessing; multiprocessing.RLock()\n"
            "from neurodeploy.engines.lava.in_process import _lava\n"
            "print(_lava('lava.proc.lif.models').__name__, multiprocessing.get_start_method())"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert said.split() == ["lava.proc.lif.models", "fork"]

    def test_importing_the_package_loads_neither_lava_nor_torch(self):
        code = "import sys, neurodeploy.engines.lava; print([m for m in ('lava', 'torch') if m in sys.modules])"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_predicted_time_grows_with_samples_steps_and_processes():
    small, large = layers(even((6, 8))), layers(even((6, 8)), even((4, 6)))
    given = samples(4, 10, 8)
    base = predict_seconds(small, given, 100)
    assert predict_seconds(small, given, 1000) > base
    assert predict_seconds(large, given, 100) > base
    assert predict_seconds(small, samples(8, 10, 8), 100) > base
