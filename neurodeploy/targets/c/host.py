"""The C code of a network on this machine: compiled with the host's compiler, run, and its spikes read back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodeploy.engines.checks import check_run, input_events
from neurodeploy.errors import MissingPackageError, SimulationError, UsageError
from neurodeploy.files.temporary import temporary_folder
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.targets.c.code import library_texts
from neurodeploy.targets.c.cores import require_tools

DRIVER = Path(__file__).with_name("driver.c")
"""The program that feeds samples to the library, and writes what it does."""
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")
_TIMEOUT_S = 3600


def find_compiler() -> str:
    """Return the C compiler: what ``CC`` names, or the first of cc, gcc and clang.

    Raises:
        MissingPackageError: where there is none; names the package.
    """
    named = os.environ.get("CC")
    for name in [named] if named else ["cc", "gcc", "clang"]:
        if shutil.which(name):
            return name
    what = f"the C compiler '{named}', which CC names," if named else "a C compiler"
    raise MissingPackageError(f"c: {what} was not found; apt-get install gcc, or name one in the environment as CC")


def check_place(place: str) -> None:
    """Refuse a place where the code cannot run: a processor that cannot be emulated here, or, for "", this machine.

    Raises:
        UsageError: for an unknown processor; lists the known ones.
        MissingPackageError: without the compiler, or the emulator; names the packages.
    """
    if place:
        require_tools(place)
    else:
        find_compiler()


def run_c(
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Activity:
    """Write the network as C, compile it for this machine, run the samples, and return the activity.

    Args:
        probe: populations whose voltage ``v`` is recorded; the code keeps no undecayed current.

    Raises:
        MissingPackageError: without a C compiler.
        NetworkError: for neurons that the target lacks.
        UsageError: for a probe of another state.
    """
    texts = library_texts(network)
    with temporary_folder("c") as folder:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        program = build_driver(folder, folder)
        activity = run_built(program, network, samples, n_steps=n_steps, probe=probe)
    if progress is not None:
        progress(samples.n_samples, samples.n_samples)
    return activity


def build_driver(library: Path, folder: Path, *, trace: bool = True, options: Sequence[str] = ("-O2",)) -> Path:
    """Compile the library in a folder with the driver, and return the program.

    Args:
        trace: whether the program writes the spikes of all populations; without, it measures time.

    Raises:
        MissingPackageError: without a C compiler.
        SimulationError: where the compiler refuses; holds what it said.
    """
    compiler, program = find_compiler(), folder / "driver"
    defined = ["-DNETWORK_TRACE"] if trace else []
    command = [compiler, "-std=c99", *options, *WARNINGS, *defined, f"-I{library}", str(DRIVER)]
    done = _call([*command, str(library / "network.c"), "-o", str(program)])
    if done.returncode:
        raise SimulationError(f"c: {compiler} refuses the code of the network: {done.stderr.strip()[-2000:]}")
    return program


def compile_strictly(library: Path, folder: Path) -> list[str]:
    """Return the complaints of the compiler about the library as C99 and, where it can, as C++."""
    compiler = find_compiler()
    found = []
    for language, standard in (("c", "-std=c99"), ("c++", "-std=c++11")):
        out = str(folder / "network.o")
        options = ["-x", language, standard, "-O2", *WARNINGS]
        done = _call([compiler, *options, "-c", str(library / "network.c"), "-o", out])
        if done.returncode and not (language == "c++" and "cc1plus" in done.stderr):
            found.append(f"as {language}: {done.stderr.strip()[-2000:]}")
    return found


def run_built(
    program: Path,
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
) -> Activity:
    """Run a program that ``build_driver`` made with trace, and return the activity.

    Raises:
        UsageError: for a probe of a state other than ``v``.
        SimulationError: where the samples do not fit the network, or the program fails.
    """
    steps = check_run(network, samples, n_steps, probe)
    other = next((state for _, state in probe if state != "v"), None)
    if other is not None:
        raise UsageError(f"c: the code keeps '{other}' only as the next step needs it; record v, or use engine event")
    inputs = input_events(network, samples, steps)
    numbers = {p.name: i for i, p in enumerate(network.populations)}
    populations = list(dict.fromkeys(name for name, _ in probe))
    head = [samples.n_samples, steps, len(populations)]
    head += [n for name in populations for n in (numbers[name], network.sizes[name])]
    with temporary_folder("c") as folder:
        write_events(network, inputs, head, folder / "in.bin")
        done = _call([str(program.resolve()), "in.bin"], folder)
        if done.returncode:
            raise SimulationError(f"c: the program ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
        spikes = np.fromfile(folder / "spikes.bin", np.uint32).reshape(-1, 4)
        voltages = np.fromfile(folder / "voltages.bin", np.int32)
    sent = {p.name: spikes[spikes[:, 2] == numbers[p.name]] for p in network.populations}
    shape = (samples.n_samples, steps)
    return Activity(
        engine="c",
        network=network.fingerprint,
        n_steps=steps,
        spikes=inputs | {name: _events(rows, network.sizes[name], shape) for name, rows in sent.items()},
        states=_states(voltages, populations, network, shape),
    )


def time_built(program: Path, network: Network, samples: Samples, n_steps: int, rounds: int) -> float:
    """Return the seconds of a sample in a program that ``build_driver`` made without trace, the median of rounds."""
    inputs = input_events(network, samples, n_steps)
    with temporary_folder("c") as made:
        write_events(network, inputs, [samples.n_samples, n_steps, rounds], made / "in.bin")
        done = _call([str(program.resolve()), "in.bin"], made)
    if done.returncode:
        raise SimulationError(f"c: the program ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return float(np.median([float(line) for line in done.stdout.split()]))


def _call(command: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
    )


def step_events(
    network: Network, inputs: dict[str, Events]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
    """Return the events of all inputs by sample and step: how many in each step, their channels and their values."""
    first, columns = 0, []
    for given in network.inputs:
        events = inputs[given.name]
        values = np.ones(len(events), np.int32) if events.payload is None else events.payload
        when = events.sample.astype(np.int64) * events.n_steps + events.step
        columns.append((when, events.neuron.astype(np.int64) + first, values))
        first += given.size
    span = next(iter(inputs.values()))
    when, channel, values = (np.concatenate(column) for column in zip(*columns))
    order = np.lexsort((channel, when))
    counts = np.bincount(when, minlength=span.n_samples * span.n_steps)
    return counts.astype(np.uint32), channel[order].astype(np.uint32), values[order].astype(np.int32)


def write_events(network: Network, inputs: dict[str, Events], head: Sequence[int], path: Path) -> None:
    """Write what ``driver.c`` reads: the numbers of ``head``, then all events."""
    counts, channels, values = step_events(network, inputs)
    with path.open("wb") as file:
        for part in (np.asarray([*head, channels.size], np.uint32), counts, channels, values):
            file.write(part.tobytes())


def _events(rows: NDArray[np.uint32], size: int, shape: tuple[int, int]) -> Events:
    sample, step, neuron = (rows[:, k].astype(np.int32) for k in (0, 1, 3))
    return Events(size=size, n_steps=shape[1], n_samples=shape[0], sample=sample, step=step, neuron=neuron)


def _states(
    voltages: NDArray[np.int32], populations: Sequence[str], network: Network, shape: tuple[int, int]
) -> dict[tuple[str, str], NDArray[np.int32]]:
    rows = voltages.reshape(*shape, sum(network.sizes[name] for name in populations))
    found, first = {}, 0
    for name in populations:
        found[name, "v"] = rows[:, :, first : first + network.sizes[name]].copy()
        first += network.sizes[name]
    return found
