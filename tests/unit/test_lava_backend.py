"""The Lava worker: equal to the reference, refusals before anything starts, and clean ends whatever happens."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from neurodeploy.engines.lava import find_lava_python, predict_seconds, run_lava, run_lava_in_process, supervise
from neurodeploy.engines.lava.plan import make_job
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import LavaError, LavaTimeoutError
from neurodeploy.network import Conv, Cuba, Dense, Input, LeakyIntegrator, Network, Output, Population, Projection
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
    model = {"current_decay": 1024, "voltage_decay": 200, "threshold": 100} | parameters
    names = ["in", *(f"layer{i}" for i in range(1, len(weights) + 1))]
    return Network(
        inputs=(Input(name="in", shape=(weights[0].shape[1],)),),
        populations=tuple(
            Population(name=name, shape=(len(w),), model=Cuba(**model), first_step=i + 1)
            for i, (name, w) in enumerate(zip(names[1:], weights))
        ),
        projections=tuple(
            Projection(name=f"into {target}", source=source, target=target, synapses=Dense(weights=w))
            for source, target, w in zip(names, names[1:], weights)
        ),
        outputs=(Output(name="out", population=names[-1]),),
    )


def side_by_side(models: list[Cuba], weights: list[np.ndarray]) -> tuple[Network, Samples, tuple[tuple[str, str], ...]]:
    """Populations that one input reaches, samples for them, and probes of all their states."""
    names = [f"case{i}" for i in range(len(models))]
    network = Network(
        inputs=(Input(name="in", shape=(weights[0].shape[1],)),),
        populations=tuple(Population(name=n, shape=(len(w),), model=m) for n, w, m in zip(names, weights, models)),
        projections=tuple(
            Projection(name=f"into {n}", source="in", target=n, synapses=Dense(weights=w))
            for n, w in zip(names, weights)
        ),
        outputs=(Output(name="out", population=names[0]),),
    )
    return network, samples(2, 20, weights[0].shape[1]), tuple((n, which) for n in names for which in "uv")


def even(shape: tuple[int, int], seed: int = 0, low: int = -40, high: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.integers(low, high, shape) * 2 * (rng.random(shape) < 0.5)).astype(np.int16)


def samples(n: int, steps: int, size: int, rate: float = 0.15, seed: int = 1) -> Samples:
    raster = np.random.default_rng(seed).random((n, steps, size)) < rate
    return Samples(inputs={"in": Events.from_dense(raster)})


def assert_equal_to_reference(network: Network, given: Samples, probe: tuple[tuple[str, str], ...] = ()) -> None:
    lava, reference = run_lava(network, given, probe=probe), run_reference(network, given, probe=probe)
    assert set(lava.spikes) == set(reference.spikes)
    for name, events in reference.spikes.items():
        np.testing.assert_array_equal(lava.spikes[name].to_dense(), events.to_dense(), err_msg=name)
    for key, state in reference.states.items():
        np.testing.assert_array_equal(lava.states[key], state, err_msg=str(key))


def processes_with(text: str) -> list[Path]:
    """Folders in /proc of the running processes whose command line holds the text."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in command.read_bytes():
                found.append(command.parent)
    return found


def shared_memory_of(processes: list[Path]) -> set[str]:
    lines = [line for process in processes for line in (process / "maps").read_text().splitlines()]
    return {line.split("/dev/shm/")[1].split()[0] for line in lines if "/dev/shm/" in line}


@pytest.fixture
def leaves_nothing(tmp_path, monkeypatch):
    """Check after the test that no process, shared memory or folder of its workers is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    prefix = f"ndtest{os.getpid()}_"
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(supervise, "_new_prefix", lambda: prefix)
    yield
    assert processes_with(str(folder)) == []
    assert [name for name in os.listdir("/dev/shm") if name.startswith(prefix)] == []
    assert list(folder.iterdir()) == []


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
            "run_job.main(sys.argv[1])\n"
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
    def test_two_layers_and_four_samples_equal_the_reference_in_spikes_and_states(self):
        network = layers(even((30, 20)), even((10, 30), seed=2))
        given = samples(4, 40, 20)
        assert_equal_to_reference(network, given, probe=(("layer1", "u"), ("layer2", "v")))

    def test_decays_at_the_ends_of_their_range(self):
        decays = [(0, 0), (4096, 4096), (4096, 0), (1, 4095)]
        models = [Cuba(current_decay=u, voltage_decay=v, threshold=100) for u, v in decays]
        assert_equal_to_reference(*side_by_side(models, [even((12, 8))] * 4))

    def test_parameters_that_differ_between_neurons(self):
        rng = np.random.default_rng(3)
        network = layers(
            even((12, 8)),
            current_decay=rng.integers(0, 4097, 12),
            voltage_decay=rng.integers(0, 4097, 12),
            threshold=rng.integers(0, 300, 12),
        )
        assert_equal_to_reference(network, samples(2, 20, 8))

    def test_matrices_of_one_value_keep_it(self):
        """Left to itself, Lava takes a matrix without positive weights as inhibitory and makes -256 to -255."""
        matrices = [np.full((6, 8), weight, np.int16) for weight in (-256, -255, 255, 0)]
        models = [Cuba(current_decay=1024, voltage_decay=200, threshold=100)] * 4
        assert_equal_to_reference(*side_by_side(models, matrices))

    @pytest.mark.parametrize("recurrent", [False, True], ids=["reset by LIFReset", "held down until the first step"])
    def test_biases_begin_at_the_first_step_of_each_layer(self, recurrent):
        network = layers(even((6, 8)), even((5, 6)), bias=9000)
        if recurrent:
            loop = Projection(name="loop", source="layer2", target="layer2", synapses=Dense(weights=even((5, 5))))
            network = replace(network, projections=(*network.projections, loop))
        given = samples(3, 15, 8)
        reset = ["reset_interval" in p for p in make_job(network, given, 17)["populations"]]
        assert reset == [not recurrent] * 2
        assert_equal_to_reference(network, given, probe=(("layer1", "v"), ("layer2", "v")))

    def test_what_arrives_before_the_first_step_is_forgotten(self):
        network = layers(np.abs(even((6, 8))), threshold=5)
        late = replace(network.populations[0], first_step=6)
        loop = Projection(name="loop", source="layer1", target="layer1", synapses=Dense(weights=even((6, 6))))
        network = replace(network, populations=(late,), projections=(*network.projections, loop))
        assert_equal_to_reference(network, samples(2, 15, 8, rate=0.5), probe=(("layer1", "v"),))

    def test_a_leaky_integrator_never_fires_at_the_upper_end_of_the_voltage(self):
        network = layers(np.full((3, 8), 254, np.int16))
        population = Population(
            name="layer1", shape=(3,), model=LeakyIntegrator(current_decay=0, voltage_decay=0, bias=2**22)
        )
        network = replace(network, populations=(population,))
        given = samples(1, 40, 8, rate=0.9)
        assert_equal_to_reference(network, given, probe=(("layer1", "v"),))
        assert run_reference(network, given, probe=(("layer1", "v"),)).states["layer1", "v"].max() == 2**23 - 1

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
        network = Network(
            inputs=(Input(name="in", shape=(32, 3, 3)),),
            populations=(
                Population(name="a", shape=(1, 1, 1), model=LeakyIntegrator(current_decay=0, voltage_decay=0)),
            ),
            projections=(Projection(name="p", source="in", target="a", synapses=conv, delay=1, weight_exponent=7),),
            outputs=(Output(name="out", population="a"),),
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
        monkeypatch.setattr("neurodeploy.engines.lava.runtime.find_spec", lambda _: None)
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
