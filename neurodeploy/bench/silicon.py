"""Estimates compared with published measurements of chips, misses included: ``neurodeploy bench silicon``.

Networks and recorded spikes come with the wheel of lava-dl (``tests/lava/lib/dl/netx/gts``). If the weights of a measured
network are not public, only its shape and the cores printed by its tool are used: the network is then fully connected,
inputs spike at the mean rate of real recordings, and the rate of all other neurons is assumed (low, nominal, high).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neurodeploy.chip import load_chip
from neurodeploy.costs.pricing import estimate
from neurodeploy.costs.record import Cost
from neurodeploy.engines.table import simulate
from neurodeploy.errors import FileError
from neurodeploy.files.arrays import read_npy
from neurodeploy.files.writing import write_text
from neurodeploy.mapping.manual import map_by_hand
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Conv, Cuba, Dense, Input, Network, Output, Pool, Population, Projection
from neurodeploy.network.activity import Activity, Events, Samples

MODELS = "intel-nrc-ecosystem/models"
_MODEL = Cuba(current_decay=1024, voltage_decay=128, threshold=100)
_STEPS = 20
Kind = Literal["validation", "calibration", "upper bound"]
Layer = Conv | Pool | Dense


@dataclass(frozen=True, slots=True, kw_only=True)
class SiliconRow:
    """One figure: the value measured on a chip and the band of the estimate, both in ``unit``.

    Args:
        kind: ``validation``: the band should contain the measurement; ``calibration``: a price was fitted to this
            measurement, so that agreement proves nothing; ``upper bound``: the measurement includes more than the
            estimate (the host's injection of spikes), so that the estimate has to stay below it.
        spikes: where the spikes come from.
        outcome: whether the estimate holds, and by how much it misses.
    """

    workload: str
    chip: str
    quantity: str
    unit: str
    measured: float
    low: float
    nominal: float
    high: float
    kind: Kind
    spikes: str
    source: str
    note: str

    @property
    def outcome(self) -> str:
        if self.kind == "upper bound":
            return "below, as it must be" if self.high <= self.measured else "MISS: not below"
        if self.low <= self.measured <= self.high:
            return "inside the band"
        end, bound = ("low", self.low) if self.measured < self.low else ("high", self.high)
        return f"MISS: measured {self.measured / bound:.2f} times the {end} end"


def bench_silicon(
    *, out: Path | None = None, force: bool = False, on_row: Callable[[dict[str, Any]], None] | None = None
) -> list[dict[str, Any]]:
    """Return estimate and measurement of every workload; cases whose files are not installed are left out.

    Args:
        out: Markdown file to write the table to; ``force`` replaces an older one.
        on_row: called with each row as soon as it is computed.

    Raises:
        FileError: if ``out`` exists and ``force`` is not set.
    """
    if out is not None and out.exists() and not force:
        raise FileError(f"bench: {out} exists; choose another --out, or --force to replace it")
    rows = []
    for case in (_ntidigits, _mnist_cnn, _nmnist, _gesture, _pilotnet):
        for row in case():
            rows.append(row)
            if on_row is not None:
                on_row(_plain(row))
    if out is not None:
        write_text(markdown(rows), out)
    return [_plain(row) for row in rows]


def _plain(row: SiliconRow) -> dict[str, Any]:
    return {**asdict(row), "outcome": row.outcome}


def markdown(rows: Sequence[SiliconRow]) -> str:
    """Return the page of ``docs/silicon.md``."""
    missed = sum(row.outcome.startswith("MISS") for row in rows)
    lines = [
        "# Estimates beside measurements of silicon",
        "",
        "Written by `neurodeploy bench silicon --out docs/silicon.md --force`; every figure is computed when it runs.",
        f"{len(rows)} figures, {missed} of them missed.",
        "",
        "- *Validation*: nothing was fitted to it, and the band should hold the measurement.",
        "- *Calibration*: a price was fitted to it, so it proves nothing. The two prices that each explain the energy of",
        "  PilotNet are alternatives and never summed.",
        "- *Upper bound*: the measurement is wall clock with spikes injected by the host, which no chip file prices, so the",
        "  estimate has to stay below; what is left is given for each injected spike.",
        "",
        "| workload | chip | quantity | measured | estimate (low to high) | kind | outcome |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        figures = f"{r.measured:.4g} {r.unit} | {r.nominal:.3g} {r.unit} ({r.low:.3g} to {r.high:.3g})"
        lines.append(f"| {r.workload} | {r.chip} | {r.quantity} | {figures} | {r.kind} | {r.outcome} |")
    lines += ["", "## Where each figure comes from", ""]
    lines += [f"- **{r.workload}, {r.quantity}**: measured in {r.source}. Spikes: {r.spikes}. {r.note}" for r in rows]
    return "\n".join(lines) + "\n"


def _wheel_file(name: str) -> Path | None:
    """Return the path of a file in lava-dl's wheel, found by the end of its path; None if it is not installed."""
    try:
        files = importlib.metadata.files("lava-dl") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(f.locate())) for f in files if str(f).endswith(name)]
    return found[0] if found and found[0].is_file() else None


def _ntidigits() -> Iterator[SiliconRow]:
    file = _wheel_file("ntidigits/ntidigits.net")
    if file is None:
        return
    from neurodeploy.exchange.netx.read import from_netx

    network = from_netx(file, n_layers=5)
    raster = read_npy(file.with_name("input.npy")) != 0
    samples = Samples(inputs={network.inputs[0].name: Events.from_dense(raster.T[None])})
    chip = load_chip("loihi1")
    mapping = map_network(network, chip, split="equal")
    cost = estimate(network, mapping, simulate(network, samples, labels=mapping.core_labels()))
    assert cost.energy is not None
    assert cost.energy.total_j is not None
    assert cost.latency is not None
    assert chip.latency is not None
    assert chip.latency.barrier_multichip is not None
    common = {
        "workload": "NTIDIGITS 64-256-256-242",
        "chip": "Loihi",
        "kind": "validation",
        "spikes": "lava-dl's recording, the same bits as its output",
        "source": f"{MODELS}, slayer_rec/tutorials/ntidigits (20 copies of the network on each of 32 chips)",
    }
    step, total = 17.63e-6, cost.energy.total_j
    power = [1e3 * joules / (cost.n_steps * step) for joules in (total.low, total.nominal, total.high)]
    joules = f"{1e6 * total.nominal:.0f} µJ ({1e6 * total.low:.0f} to {1e6 * total.high:.0f})"
    note = f"A sample of {cost.n_steps} steps is estimated at {joules}; that over the measured time of these steps."
    yield _row(common, "dynamic power of a copy", "mW", 10.89, power, note)
    bare = cost.latency.step_s.mean
    note = "One copy alone needs no barrier between chips, 32 chips with 640 copies do: see the next row."
    yield _row(
        common, "time of a step, one copy", "µs", 17.63, [1e6 * t for t in (bare.low, bare.nominal, bare.high)], note
    )
    own = next(row.time.si[1] for row in reversed(chip.latency.barrier) if row.tiles <= (mapping.n_tiles or 1))
    whole = [1e6 * (bare.nominal - own + t) for t in chip.latency.barrier_multichip.si]
    note = "The barrier between chips in place of that between tiles; copies do not talk to each other."
    yield _row(common, "time of a step, with the barrier of several chips", "µs", 17.63, whole, note)


def _row(
    common: dict[str, Any], quantity: str, unit: str, measured: float, band: Sequence[float], note: str
) -> SiliconRow:
    low, nominal, high = band
    figures: dict[str, Any] = {"measured": measured, "low": low, "nominal": nominal, "high": high}
    return SiliconRow(**common, quantity=quantity, unit=unit, **figures, note=note)


def _chain(shape: tuple[int, ...], layers: Sequence[Layer]) -> Network:
    """Return a feed-forward network of these layers, one after the other."""
    names = ["in", *(f"layer{i}" for i in range(1, len(layers) + 1))]
    shapes = [(own.weights.shape[0],) if isinstance(own, Dense) else own.output_shape for own in layers]
    return Network(
        inputs=(Input(name="in", shape=shape),),
        populations=tuple(
            Population(name=name, shape=own, model=_MODEL, first_step=i)
            for i, (name, own) in enumerate(zip(names[1:], shapes), 1)
        ),
        projections=tuple(
            Projection(name=f"to_{target}", source=source, target=target, synapses=own)
            for source, target, own in zip(names, names[1:], layers)
        ),
        outputs=(Output(name="class", population=names[-1]),),
    )


def _ones(*shape: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.ones(shape, np.int16)


def _blocks(network: Network, per_core: Sequence[int]) -> dict[str, Any]:
    """Return the core of each neuron: every layer starts on a new core and fills each core with ``per_core`` neurons."""
    cores, first = {}, 0
    for (name, size), block in zip(network.sizes.items(), per_core):
        cores[name] = first + np.arange(size) // block
        first = int(cores[name][-1]) + 1
    return cores


def _at_rates(network: Network, mapping: Mapping, input_rate: float, rate: float) -> Cost:
    """Return the cost of independent random spikes, at one rate for the inputs and another for all other neurons."""
    rng, inputs = np.random.default_rng(0), {i.name for i in network.inputs}
    spikes = {
        name: Events.from_dense(rng.random((1, _STEPS, size)) < (input_rate if name in inputs else rate))
        for name, size in network.sizes.items()
    }
    return estimate(network, mapping, Activity(engine="assumed rates", network="", n_steps=_STEPS, spikes=spikes))


def _step_us(network: Network, mapping: Mapping, rates: Sequence[tuple[float, float]]) -> list[float]:
    """Return the low, nominal and high mean time of a step, in µs, each at its pair of rates (inputs, other neurons)."""
    times = []
    for level, (input_rate, rate) in zip(("low", "nominal", "high"), rates):
        latency = _at_rates(network, mapping, input_rate, rate).latency
        assert latency is not None
        times.append(1e6 * float(getattr(latency.step_s.mean, level)))
    return times


def _cnn_layers() -> list[Conv]:
    return [
        Conv(weights=_ones(16, 1, 5, 5), input_shape=(1, 28, 28), stride=(2, 2)),
        Conv(weights=_ones(32, 16, 3, 3), input_shape=(16, 12, 12)),
        Conv(weights=_ones(64, 32, 3, 3), input_shape=(32, 10, 10), stride=(2, 2)),
        Conv(weights=_ones(10, 64, 4, 4), input_shape=(64, 4, 4)),
    ]


def _mnist_cnn() -> Iterator[SiliconRow]:
    network = _chain((1, 28, 28), _cnn_layers())
    mapping = map_network(network, load_chip("loihi1"))
    common = {
        "workload": "MNIST CNN 28x28-16c5s2-32c3-64c3s2-10c4",
        "chip": "Loihi",
        "kind": "validation",
        "spikes": "assumed: every neuron in 1, 5 or 20 % of the steps",
        "source": f"{MODELS}, NxTF MNIST tutorial (57.36 µs spiking; 3.44 µs management come on top)",
    }
    note = (
        f"Weights are not public; our own mapping ({len(mapping.cores)} cores). The band is mostly that of the rates."
    )
    times = _step_us(network, mapping, [(r, r) for r in (0.01, 0.05, 0.2)])
    yield _row(common, "time of a step", "µs", 57.36, times, note)


def _nmnist() -> Iterator[SiliconRow]:
    """Yield the rows of N-MNIST, whose test recordings have 4,108 events on average, in 350 + 100 steps."""
    network, events = _chain((2312,), [Dense(weights=_ones(512, 2312)), Dense(weights=_ones(10, 512))]), 4108 / 450
    for measured, per_core, who in ((37.0, (341, 62, 10), "slayer2loihi"), (31.2, (350, 64, 10), "by hand")):
        mapping = map_by_hand(network, load_chip("loihi1"), _blocks(network, per_core), formats="packed", weight_bits=7)
        times = _step_us(network, mapping, [(events / 2312, rate) for rate in (0.005, 0.02, 0.1)])
        common = {
            "workload": "N-MNIST 2312-512-10",
            "chip": "Loihi",
            "kind": "upper bound",
            "spikes": f"inputs at the {events:.1f} a step of real recordings, others assumed in 0.5, 2 or 10 % of the steps",
            "source": f"{MODELS}, slayer_rec/tutorials/nmnist (4,501,000 steps of wall clock, injection included)",
        }
        left = (measured - times[1]) / events
        note = f"Cores as printed there ({len(mapping.cores)}). What is left is {left:.2f} µs an injected spike."
        yield _row(common, f"time of a step, mapped {who}", "µs", measured, times, note)


def _gesture() -> Iterator[SiliconRow]:
    """Yield the row of DVS gesture.

    Seven recordings have 123,944 events in 1.45 s on average. A step is 1 ms; 100 steps without events follow.
    """
    layers: list[Layer] = [
        Pool(input_shape=(2, 128, 128), kernel=(4, 4), stride=(4, 4)),
        Conv(weights=_ones(16, 2, 5, 5), input_shape=(2, 32, 32), padding=(2, 2)),
        Pool(input_shape=(16, 32, 32), kernel=(2, 2), stride=(2, 2)),
        Conv(weights=_ones(32, 16, 3, 3), input_shape=(16, 16, 16), padding=(1, 1)),
        Pool(input_shape=(32, 16, 16), kernel=(2, 2), stride=(2, 2)),
        Dense(weights=_ones(512, 2048)),
        Dense(weights=_ones(11, 512)),
    ]
    network, events = _chain((2, 128, 128), layers), 123_944 / 1.45 * 1.5 / 1600
    cores = _blocks(network, (1024, 256, 256, 341, 256, 340, 46, 500))
    mapping = map_by_hand(network, load_chip("nahuku32"), cores, formats="packed", weight_bits=6)
    times = _step_us(network, mapping, [(events / 32768, rate) for rate in (0.005, 0.02, 0.1)])
    common = {
        "workload": "DVS gesture 128x128x2-4a-16c5-2a-32c3-2a-512-11",
        "chip": "Loihi, 2 chips",
        "kind": "upper bound",
        "spikes": f"inputs at the {events:.0f} a step of real recordings, others assumed in 0.5, 2 or 10 % of the steps",
        "source": f"{MODELS}, slayer_rec/tutorials/gesture (423,400 steps of wall clock, injection included)",
    }
    left = (198.5 - times[1]) / events
    note = f"Cores as printed there ({len(mapping.cores)}), no delays. What is left is {left:.2f} µs an injected spike."
    yield _row(common, "time of a step", "µs", 198.5, times, note)


def _pilotnet() -> Iterator[SiliconRow]:
    file, n_steps = _wheel_file("pilotnet_lif/network.net"), 16
    if file is None:
        return
    from neurodeploy.exchange.netx.read import from_netx

    network = from_netx(file)
    raster = (read_npy(file.with_name("input.npy")) != 0).transpose(3, 2, 1, 0)[:n_steps]
    samples = Samples(inputs={network.inputs[0].name: Events.from_dense(raster.reshape(1, n_steps, -1))})
    mapping = map_network(network, load_chip("loihi2_2023"), split="compiler")
    activity = simulate(network, samples, labels=mapping.core_labels(), n_steps=n_steps)
    cost = estimate(network, mapping, activity)
    assert cost.energy is not None
    assert cost.energy.total_j is not None
    assert cost.latency is not None
    common = {
        "workload": "PilotNet LIF",
        "chip": "Loihi 2",
        "kind": "calibration",
        "spikes": "lava-dl's recorded input of one image, 16 steps",
        "source": "lava-dl, tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb (Oheo Gulch)",
    }
    total, step = cost.energy.total_j, cost.latency.step_s.mean
    note = (
        "The high prices of synapses and of neurons are two explanations of this measurement: one at a time is taken."
    )
    energy = [1e3 * joules for joules in (total.low, total.nominal, total.high)]
    yield _row(common, "dynamic energy of an image", "mJ", 1.094, energy, note)
    note = "The high figure is this measurement, management and input and output included; the cores alone are faster."
    yield _row(common, "time of a step", "µs", 152.84, [1e6 * t for t in (step.low, step.nominal, step.high)], note)
