"""Instructions and bytes of generated C beside their predictions: ``neurodeploy bench microcontrollers``.

Random networks of several shapes, densities and rates run on an emulated core; each is a row with what was counted and
what ``costs`` and ``mapping`` predict. ``fit_work`` and ``fit_code`` find the constants of a core's file from the same runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip, Quantity, chip_names, load_chip
from neurodeploy.costs.instructions import Things, count_things, total_instructions
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FitError, UsageError, check_installed, needing
from neurodeploy.files.writing import check_new_file, write_text
from neurodeploy.mapping.program import FLASH, RAM, code_features, program_bytes
from neurodeploy.network import Conv, Cuba, Dense, Input, Network, Output, Population, Projection
from neurodeploy.network.activity import Events, Samples
from neurodeploy.tables import Layout, plan_tables
from neurodeploy.targets.c.cores import missing_tools
from neurodeploy.targets.c.emulation import Emulation, emulate

DENSITIES, RATES = (1.0, 0.1, 0.02), (0.02, 0.1)
_STEPS, _STEPS_OF_LARGE = 30, 12
_SMALL = 3000
"""Bytes of flash below which a program does not weigh more in the fit."""
_MODEL = Cuba(current_decay=1024, voltage_decay=300, threshold=900)
_DECAYS = {3: (1024, 300), 4: (2048, 512)}
"""Decays of current and voltage, by the number of layers with the input."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A network with samples: ``density`` of its connections, ``rate`` of input events a channel and step."""

    name: str
    density: float
    rate: float
    network: Network
    samples: Samples


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A case that ran on a core: its layout, what its program does in each step, and what was counted."""

    case: Case
    layout: Layout
    things: dict[str, NDArray[np.int64]]
    run: Emulation


def cases(*, small: bool = False) -> Iterator[Case]:
    """Yield the cases: rows of matrices with one to four layers, and convolutions; ``small``: one of each kind."""
    sizes: tuple[tuple[int, ...], ...] = ((784, 256, 10), (32, 40, 10), (64, 256, 256, 10), (2312, 512, 512, 11))
    more = ((48, 12), (40, 48, 32, 24, 10), (64, 32, 32, 32, 32, 8))
    for shape in sizes[:2] if small else (*more, *sizes):
        name = "-".join(map(str, shape))
        for density in DENSITIES:
            network = _layers(shape, density)
            rates = RATES[1:] if shape in more else RATES
            for rate in rates if density > 0.05 or shape in more else (0.002, *rates):
                yield Case(name=name, density=density, rate=rate, network=network, samples=_events(network, rate))
    for density in (1.0, 0.2):
        for rate in RATES[: 1 if small else None]:
            network = _image(density)
            samples = _events(network, rate)
            yield Case(name="conv 16x16x2", density=density, rate=rate, network=network, samples=samples)


def _layers(shape: Sequence[int], density: float) -> Network:
    rng = np.random.default_rng(len(shape))
    names = ["in", *(f"hidden{i}" for i in range(1, len(shape) - 1)), "out"]
    populations, projections = [], []
    for i in range(1, len(shape)):
        weights = 2 * rng.integers(-127, 128, (shape[i], shape[i - 1]))
        kept = np.where(rng.random(weights.shape) < density, weights, 0)
        # of weights without a mean the sums grow with the root of their number: so does the threshold, and layers stay busy
        threshold = int(30 * np.sqrt(max(1.0, density * shape[i - 1])))
        current, voltage = (700, 100) if shape[0] > 2000 else _DECAYS.get(len(shape), (800 + 200 * i, 300))
        model = Cuba(current_decay=current, voltage_decay=voltage, threshold=threshold)
        populations.append(Population(name=names[i], shape=(shape[i],), model=model, first_step=i))
        projections.append(Projection(name=f"w{i}", source=names[i - 1], target=names[i], synapses=Dense(weights=kept)))
    return Network(
        inputs=(Input(name="in", shape=(shape[0],)),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output(name="out", population="out"),),
    )


def _image(density: float) -> Network:
    rng = np.random.default_rng(7)
    first = np.where(rng.random((8, 2, 3, 3)) < density, 2 * rng.integers(-60, 120, (8, 2, 3, 3)), 0)
    second = np.where(rng.random((12, 8, 3, 3)) < density, 2 * rng.integers(-60, 120, (12, 8, 3, 3)), 0)
    last = np.where(rng.random((10, 192)) < density, 2 * rng.integers(-127, 128, (10, 192)), 0)
    conv1 = Conv(weights=first, input_shape=(2, 16, 16), stride=(2, 2), padding=(1, 1))
    conv2 = Conv(weights=second, input_shape=(8, 8, 8), stride=(2, 2), padding=(1, 1))
    wires: dict[str, tuple[str, Conv | Dense]] = {
        "conv1": ("in", conv1),
        "conv2": ("conv1", conv2),
        "out": ("conv2", Dense(weights=last)),
    }
    shapes = {"conv1": (8, 8, 8), "conv2": (12, 4, 4), "out": (10,)}
    return Network(
        inputs=(Input(name="in", shape=(2, 16, 16)),),
        populations=tuple(
            Population(name=name, shape=shape, model=_MODEL, first_step=i)
            for i, (name, shape) in enumerate(shapes.items(), start=1)
        ),
        projections=tuple(
            Projection(name=f"w-{name}", source=source, target=name, synapses=synapses)
            for name, (source, synapses) in wires.items()
        ),
        outputs=(Output(name="out", population="out"),),
    )


def _events(network: Network, rate: float) -> Samples:
    size = network.inputs[0].size
    steps = _STEPS if size < 2000 else _STEPS_OF_LARGE
    raster = np.random.default_rng(3).random((1, steps, size)) < rate
    return Samples(inputs={"in": Events.from_dense(raster)})


def measure(case: Case, core: str) -> Measured:
    """Run a case on a core and count what its program does."""
    network, samples = case.network, case.samples
    layout, labels = plan_tables(network), {p.name: np.zeros(p.size, np.int32) for p in network.populations}
    activity = simulate(network, samples, engine="event", labels=labels)
    run = emulate(network, samples, core)
    return Measured(case=case, layout=layout, things=dict(count_things(layout, activity).most), run=run)


def compare(measured: Measured, chip: Chip) -> dict[str, Any]:
    """Return a row: counted and predicted instructions of a mean step, flash and RAM, and their differences in percent."""
    assert chip.work is not None
    case, run = measured.case, measured.run
    counted = float(run.instructions.mean())
    expected = float(total_instructions(chip.work, Things(measured.things, measured.things), 1).mean())
    used = program_bytes(measured.layout, chip)
    return {
        "core": run.core,
        "network": case.name,
        "density": case.density,
        "rate": case.rate,
        "instructions": counted,
        "predicted_instructions": expected,
        "instructions_off": expected / counted - 1,
        "flash": run.size.flash,
        "predicted_flash": used[FLASH],
        "flash_off": used[FLASH] / run.size.flash - 1,
        "ram": run.size.ram,
        "predicted_ram": used[RAM],
        "table_bytes": measured.layout.flash_bytes,
    }


def fit_work(runs: Sequence[Measured]) -> dict[str, float]:
    """Return the constants of ``chip.Work``: never below 0, with the smallest relative errors over all steps of all runs."""
    names = sorted({name for m in runs for name in m.things})
    rows, counted = [], []
    for m in runs:
        own = np.stack([np.broadcast_to(m.things.get(name, 0), m.run.instructions.shape).ravel() for name in names], 1)
        taken = m.run.instructions.ravel()
        keep = np.linspace(0, taken.size - 1, min(taken.size, 40)).astype(int)
        rows.append(own[keep] / taken[keep, None])
        counted.append(np.ones(keep.size))
    return dict(zip(names, _fitted(np.concatenate(rows), np.concatenate(counted))))


def fit_code(runs: Sequence[Measured]) -> dict[str, float]:
    """Return the constants of ``chip.Code``: never below 0, with the smallest errors relative to all flash of a run."""
    rows = [(code_features(m.layout), m.run.size.flash, m.layout.flash_bytes) for m in runs]
    names = sorted({name for features, _, _ in rows for name in features})
    size = np.array([max(flash, _SMALL) for _, flash, _ in rows], float)
    table = np.array([[features.get(name, 0) for name in names] for features, _, _ in rows]) / size[:, None]
    return dict(zip(names, _fitted(table, np.array([flash - tables for _, flash, tables in rows]) / size)))


def _fitted(table: NDArray[np.float64], goal: NDArray[np.float64]) -> list[float]:
    with needing("bench", "dev"):
        from scipy.optimize import nnls
    found: list[float] = nnls(table, goal)[0].tolist()
    return found


def part_of(core: str) -> Chip | None:
    """Return a microcontroller with this core, None where no file has one."""
    chips = (load_chip(name) for name in chip_names())
    return next((c for c in chips if c.microcontroller is not None and c.microcontroller.core == core), None)


def cores_of_parts() -> list[str]:
    """Return the cores of all microcontrollers that chip files describe, sorted."""
    chips = (load_chip(name).microcontroller for name in chip_names())
    return sorted({part.core for part in chips if part is not None})


def bench_microcontrollers(
    cores: Sequence[str],
    *,
    small: bool = False,
    out: Path | None = None,
    force: bool = False,
    on_row: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Return one row for each case and core: counted beside predicted.

    Args:
        cores: names of cores whose tools are installed.
        small: fewer cases.
        out: Markdown file to write the table to; ``force`` replaces an older one.
        on_row: called with each row as soon as it is there.

    Networks that are larger than the emulated board's memory are left out.

    Raises:
        UsageError: for a core that no microcontroller has.
        MissingPackageError: where tools are missing, or scipy for ``out``.
        FileError: if ``out`` exists and ``force`` is not set.
    """
    if out is not None:
        check_new_file("bench", out, force=force)
        check_installed("bench", "dev", "scipy")  # fits constants, which the file lists
    rows, constants = [], []
    for core in cores:
        runs = []
        chip = part_of(core)
        if chip is None:
            known = ", ".join(cores_of_parts())
            raise UsageError(f"bench: no microcontroller has the core '{core}'; known: {known}")
        for case in cases(small=small):
            try:
                runs.append(measure(case, core))
            except FitError:
                continue
            rows.append(compare(runs[-1], chip))
            if on_row is not None:
                on_row(rows[-1])
        if out is not None and runs:
            constants += [{"core": core, **row} for row in fitted_constants(runs, chip)]
    if out is not None:
        write_text(markdown(rows, constants), out)
    return rows


def fitted_constants(runs: Sequence[Measured], chip: Chip) -> list[dict[str, Any]]:
    """Return the constants that fit these runs, beside those of the core's file: ``key, fitted, file``."""
    rows = []
    for table, prices, found in (("work", chip.work, fit_work(runs)), ("code", chip.code, fit_code(runs))):
        for name, value in found.items():
            key, _, kind = name.partition(".")
            held: Any = getattr(prices, key)
            held = held.get(kind) if isinstance(held, dict) else held
            rows.append({"key": f"{table}.{name}", "fitted": value, "file": None if held is None else _nominal(held)})
    return rows


def _nominal(held: Any) -> float:
    return float(held.nominal if isinstance(held, Quantity) else held.value)


def markdown(rows: Sequence[dict[str, Any]], constants: Sequence[dict[str, Any]] = ()) -> str:
    """Return the page of ``docs/c-predictions.md``."""
    lines = [
        "# Predicted and counted instructions and bytes of generated C",
        "",
        "Written by `neurodeploy bench microcontrollers --out docs/c-predictions.md --force`, where `--core` and `--small`",
        "choose the rows: random networks on emulated cores; instructions of a mean step, and the library's bytes of flash",
        "and RAM from the linker's map.",
        "",
        "| core | network | density | rate | instructions | predicted | flash | predicted | RAM | predicted |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['core']} | {r['network']} | {r['density']:.0%} | {r['rate']:.1%} | {r['instructions']:,.0f} | "
        f"{r['predicted_instructions']:,.0f} ({r['instructions_off']:+.1%}) | {r['flash']:,} | "
        f"{r['predicted_flash']:,} ({r['flash_off']:+.2%}) | {r['ram']:,} | {r['predicted_ram']:,} |"
        for r in rows
    ]
    lines += [
        "",
        "## Constants",
        "",
        "The constants that fit the rows above (non-negative least squares of relative errors), beside those of the core's",
        "file `hardware/cores/CORE.toml`, from which the predictions are made. `work` counts instructions, `code` bytes.",
        "",
        "| core | constant | fitted | in the file |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {c['core']} | {c['key']} | {c['fitted']:.4g} | {'' if c['file'] is None else format(c['file'], '.4g')} |"
        for c in constants
    ]
    return "\n".join(lines) + "\n"


def available(cores: Sequence[str]) -> list[str]:
    """Return the cores whose tools are installed."""
    return [core for core in cores if not missing_tools(core)]
