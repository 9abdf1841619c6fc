"""The C program of a network on an emulated processor: every spike, and the instructions, flash and RAM that it takes.

``-icount`` gives QEMU's board a time that advances by a fixed amount with each instruction, which a timer of the board
counts. So the counts are exact numbers of instructions, and no cycles: no wait for flash, cache or pipeline is in them.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import check_run, input_events
from neurodeploy.errors import MismatchError, SimulationError, UsageError
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.tables.rows import Optimize
from neurodeploy.targets.c.build import BOARDS, OPTIMISE, Size, build_program, run_program
from neurodeploy.targets.c.code import library_texts
from neurodeploy.targets.c.cores import find_core, require_tools
from neurodeploy.targets.c.host import step_events

LIBRARY = ("network.o", "memory.o", "libgcc.a")
"""Files of a linked program that hold the code and the tables of the network."""
INSTANCE = "instance.o"
_LOOP = 20_000
"""Instructions of the loop that the counter is calibrated with (``boards/record.c``)."""
_MOST = 0xFFFFFFFF
TIMEOUT_S = 600.0
Words = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Emulation:
    """A run on an emulated processor.

    Attributes:
        activity: all spikes and the voltages that were asked for.
        core: name of the processor.
        instructions: of each step, int64 ``(n_samples, n_steps)``.
        classes: what ``network_classify`` says after each sample, int64 ``(n_samples, n_outputs)``.
        size: bytes of the library in flash, and of an instance in RAM, from the linker's map.
        sources: SHA-256 of each file of the library.
        compiler: name and version.
    """

    activity: Activity
    core: str
    instructions: NDArray[np.int64]
    classes: NDArray[np.int64]
    size: Size
    sources: dict[str, str]
    compiler: str

    def to_json(self) -> dict[str, Any]:
        """Return all but the activity as plain values, as a proof holds it."""
        by_sample = self.instructions.sum(axis=1)
        return {
            "core": self.core,
            "instructions": {
                "step_mean": float(self.instructions.mean()),
                "step_worst": int(self.instructions.max()),
                "sample_mean": float(by_sample.mean()),
                "sample_worst": int(by_sample.max()),
            },
            "flash_bytes": self.size.flash,
            "ram_bytes": self.size.ram,
            "sources": self.sources,
            "compiler": self.compiler,
            "flags": " ".join((*find_core(self.core).flags, *OPTIMISE)),
        }


def emulate(
    network: Network,
    samples: Samples,
    core: str,
    *,
    optimize: Optimize = "balance",
    probe: Sequence[tuple[str, str]] = (),
    n_steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Emulation:
    """Return what the C library of a network does with samples on an emulated processor.

    Two programs are built and run: one that tells every spike and every voltage asked for, and the library as users build
    it, whose instructions are counted and whose output spikes have to be those of the first.

    Args:
        network: the network.
        samples: input events; every sample starts from state 0.
        core: a name in ``cores.CORES``.
        optimize: how tables are stored, see ``tables.rows.OPTIMIZE``.
        probe: voltages to record: pairs of a population and ``"v"``.
        n_steps: steps run for each sample; by default those of the samples plus the network's depth.
        progress: called with the numbers of finished and of all samples.
        timeout_s: seconds that a program may run.

    Raises:
        UsageError: for an unknown processor, or a probe that is no voltage.
        NetworkError: for neurons that the target lacks.
        MissingPackageError: where compiler or emulator are not installed; says what to install.
        FitError: where the program is larger than the board's memory.
        SimulationError: for samples that do not fit the network, or a program that fails.
        MismatchError: where the two programs differ, which is a fault of this package.
    """
    require_tools(core)
    steps = check_run(network, samples, n_steps, probe)
    if other := [state for _, state in probe if state != "v"]:
        raise UsageError(f"c: only voltages ('v') can be recorded on a processor, not '{other[0]}'")
    inputs, texts = input_events(network, samples, steps), library_texts(network, optimize)
    with temporary_folder("c") as folder:
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        _write_events(network, inputs, samples.n_samples, folder)
        told = _run(network, core, folder, [p for p, _ in probe], timeout_s, trace=True)
        plain = _run(network, core, folder, [], timeout_s, trace=False)
    shape = (samples.n_samples, steps)
    for name, words in (("spikes", told.sent), ("classes", told.classes)):
        if not np.array_equal(words, plain.sent if name == "spikes" else plain.classes):
            raise MismatchError(f"c: on '{core}' the library gives other {name} when it is traced; this is a bug")
    if progress is not None:
        progress(samples.n_samples, samples.n_samples)
    return Emulation(
        activity=Activity(
            engine=f"c:{core}",
            network=network.fingerprint,
            n_steps=steps,
            spikes=inputs | _spikes(network, shape, told),
            states=_voltages(network, probe, told, shape),
        ),
        core=core,
        instructions=_instructions(core, plain).reshape(shape),
        classes=plain.classes.astype(np.int64).reshape(samples.n_samples, -1),
        size=plain.size,
        sources={name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
        compiler=_version(find_core(core).tools[0]),
    )


def _version(compiler: str) -> str:
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """What a program wrote: ticks, number of output spikes and of all spikes of each step; words of the other files."""

    ticks: Words
    n_sent: Words
    n_traced: Words
    sent: Words
    trace: Words
    voltages: Words
    classes: Words
    calibration: Words
    size: Size


def _write_events(network: Network, inputs: dict[str, Events], n_samples: int, folder: Path) -> None:
    counts, channels, values = step_events(network, inputs)
    head = np.array([n_samples, counts.size // n_samples], "<u4")
    np.concatenate([head, counts]).astype("<u4").tofile(folder / "counts.bin")
    channels.astype("<u4").tofile(folder / "events.bin")
    values.astype("<i4").tofile(folder / "values.bin")


def _run(
    network: Network,
    core: str,
    folder: Path,
    probes: Sequence[str],
    timeout_s: float,
    *,
    trace: bool,
) -> _Told:
    numbers = {p.name: i for i, p in enumerate(network.populations)}
    calls = "".join(
        f"for (k = 0; k < {network.sizes[name]}u; k++) "
        f"put(VOLTAGES, (uint32_t)network_voltage(&record_net, {numbers[name]}u, k)); "
        for name in probes
    )
    options = ["-DNETWORK_TRACE", f"-DRECORD_PROBES={calls}"] if trace else []
    if network.graded:
        options.append("-DRECORD_VALUES")
    sources = [folder / "network.c", *(BOARDS / name for name in ("record.c", "instance.c", "memory.c"))]
    program = build_program(core, sources, folder, [folder], options)
    run_program(program, folder, timeout_s)
    words = {
        name: np.fromfile(folder / f"{name}.bin", "<u4")
        for name in ("steps", "spikes", "trace", "voltages", "classes", "calibration")
    }
    table = words["steps"].reshape(-1, 3)
    return _Told(
        ticks=table[:, 0],
        n_sent=table[:, 1],
        n_traced=table[:, 2],
        sent=words["spikes"],
        trace=words["trace"],
        voltages=words["voltages"],
        classes=words["classes"],
        calibration=words["calibration"],
        size=Size(flash=program.size(LIBRARY).flash, ram=program.size((*LIBRARY, INSTANCE)).ram),
    )


def _spikes(network: Network, shape: tuple[int, int], told: _Told) -> dict[str, Events]:
    """Return the events of every population."""
    found, pairs = {}, told.trace.reshape(-1, 2).astype(np.int64)
    place = np.repeat(np.arange(told.n_traced.size), told.n_traced)
    for number, population in enumerate(network.populations):
        own = pairs[:, 0] == number
        sample, step = np.divmod(place[own], shape[1])
        found[population.name] = Events(
            size=population.size,
            n_steps=shape[1],
            n_samples=shape[0],
            sample=sample,
            step=step,
            neuron=pairs[own, 1],
        )
    return found


def _voltages(
    network: Network, probe: Sequence[tuple[str, str]], told: _Told, shape: tuple[int, int]
) -> dict[tuple[str, str], NDArray[np.int32]]:
    sizes = [network.sizes[name] for name, _ in probe]
    rows = told.voltages.astype(np.uint32).view(np.int32).reshape(*shape, sum(sizes))
    parts = np.split(rows, np.cumsum(sizes)[:-1], axis=2) if probe else []
    return {place: np.ascontiguousarray(part) for place, part in zip(probe, parts)}


def _instructions(core: str, told: _Told) -> NDArray[np.int64]:
    """Return the instructions of each step from ticks: less those of counting, in units of the loop's.

    Raises:
        SimulationError: for a step that takes more ticks than the counter holds.
    """
    if np.any(told.ticks == _MOST):
        raise SimulationError(
            f"c: a step on '{core}' takes more instructions than the timer of the emulated board counts (10 million); "
            "the network is too large to be counted there"
        )
    nothing, loop = (int(n) for n in told.calibration)
    own = (told.ticks.astype(np.float64) - nothing) * _LOOP / (loop - nothing)
    found: NDArray[np.int64] = np.rint(own).astype(np.int64)
    return found
