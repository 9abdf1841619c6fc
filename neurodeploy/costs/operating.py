"""Totals: the energy of a sample at an operating point, within boundaries that lie one inside the other.

- ``cores``: the events in the cores (dynamic energy);
- ``chip``: these, the static power of the chips, and their embedded CPUs, which manage each step, while they are awake;
- ``board``: the chips and what is known of the board around them. The host and what it does are never in it.

Operating points: ``free-running``, samples and steps one after the other; ``period``, steps of a given length; ``rate``,
samples at a given rate, with the chip waiting in between. Static power is paid all the time. Embedded CPUs are awake while a
sample runs; while the chip waits, the low figure lets them sleep, and nominal and high keep them awake, as silicon was
measured (abr/power_benchmarks: 96.3 mW after a run, 29.6 mW before it).
"""

from __future__ import annotations

from collections.abc import Iterator

from neurodeploy.chip import Chip
from neurodeploy.costs.record import Band, Boundary, Coverage, Energy, Latency, Operation, Part, Total, weakest


def price_totals(
    chip: Chip,
    n_chips: int,
    energy: Energy,
    latency: Latency | None,
    rate_hz: float | None = None,
    battery_j: float | None = None,
    coverage: Coverage | None = None,
) -> tuple[Total, ...]:
    """Return the totals of all boundaries at all operating points; none without prices or times.

    Args:
        chip: the chip, for its static powers.
        n_chips: chips in use.
        energy: the dynamic energy of a sample.
        latency: the times of a sample; with a step period they give the operating point ``period`` as well.
        rate_hz: samples a second; adds the operating point ``rate``.
        battery_j: energy of a battery.
        coverage: that of the chip's static powers, which limits their grade.
    """
    if latency is None or energy.total_j is None or latency.managed_sample_s is None:
        return ()
    totals: list[Total] = []
    for operation, busy, time in _points(latency, rate_hz):
        static = _static(chip, n_chips, busy, time, coverage)
        parts = [Part(name="dynamic", energy_j=energy.total_j)]
        left_out = _unpriced(energy)
        for boundary in _BOUNDARIES:
            parts += [part for name, part in static.items() if _INSIDE[name] == boundary]
            left_out = [*left_out, *_lacks(chip, boundary)]
            totals.append(_total(boundary, operation, time, parts, left_out, battery_j))
    return tuple(totals)


_BOUNDARIES: tuple[Boundary, ...] = ("cores", "chip", "board")
_INSIDE: dict[str, Boundary] = {"static": "chip", "embedded CPUs": "chip", "board": "board"}


def _points(latency: Latency, rate_hz: float | None) -> Iterator[tuple[Operation, Band, Band]]:
    """Yield operating points: name, time in which a sample runs, time from its start to that of the next."""
    assert latency.managed_sample_s is not None
    busy = latency.managed_sample_s.mean
    yield "free-running", busy, busy
    if latency.real_time_sample_s is not None:
        busy = latency.real_time_sample_s.mean
        yield "period", busy, busy
    if rate_hz is not None:
        yield "rate", busy, busy.at_least(1 / rate_hz)


def _static(chip: Chip, n_chips: int, busy: Band, time: Band, coverage: Coverage | None) -> dict[str, Part]:
    """Return the parts that do not depend on events, by name."""
    own, parts = chip.static, {}
    if own.chip is not None:
        parts["static"] = Band.of(own.chip).by(time).times(n_chips)
    if own.host is not None:
        power = Band.of(own.host).times(n_chips)
        awake = power.by(time)
        parts["embedded CPUs"] = awake.model_copy(update={"low": power.low * busy.low})
    if own.board is not None:
        parts["board"] = Band.of(own.board).by(time)
    return {name: Part(name=name, energy_j=joules.read_by(coverage)) for name, joules in parts.items()}


def _unpriced(energy: Energy) -> list[str]:
    return [item.component for item in energy.unpriced if not item.component.startswith("host_")]


def _lacks(chip: Chip, boundary: Boundary) -> list[str]:
    """Return what belongs to a boundary, but not to the one inside it, and has no price."""
    own = chip.static
    if boundary == "chip":
        lacks = [("static power", own.chip), ("embedded CPUs", own.host)]
        return [name for name, power in lacks if power is None]
    if boundary == "board":
        return ["host", *([] if own.board is not None else ["regulators, bridges and memory of the board"])]
    return []


def _total(
    boundary: Boundary,
    operation: Operation,
    time: Band,
    parts: list[Part],
    left_out: list[str],
    battery_j: float | None,
) -> Total:
    energy_j = Band.total(part.energy_j for part in parts)
    assert energy_j is not None
    power = _power(parts, time)
    hours = None
    if battery_j is not None and power.low > 0:
        low, nominal, high = (battery_j / 3600 / watts for watts in (power.high, power.nominal, power.low))
        hours = Band(low=low, nominal=nominal, high=high, grade=power.grade)
    return Total(
        boundary=boundary,
        operation=operation,
        time_s=time,
        energy_j=energy_j,
        power_w=power,
        battery_h=hours,
        parts=tuple(parts),
        left_out=tuple(left_out),
    )


def _power(parts: list[Part], time: Band) -> Band:
    """Return the average power: events in a time that has a range of its own, and powers that are paid all the time."""
    shares = []
    for part in parts:
        e = part.energy_j
        low, high = (time.high, time.low) if part.name == "dynamic" else (time.low, time.high)
        watts = (e.low / low, e.nominal / time.nominal, e.high / high)
        shares.append(Band(low=watts[0], nominal=watts[1], high=watts[2], grade=weakest((e.grade, time.grade))))
    total = Band.total(shares)
    assert total is not None
    return total
