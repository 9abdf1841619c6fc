"""Dynamic energy (counts times prices, component by component) and static energy.

``E = sum over components of events * price``; low, nominal and high are carried as intervals. A component without a price
in the chip file is named and never counted as zero.

A chip file prices neurons in one of two ways: an access of every neuron in every step plus the updates, or updated neurons
and idle neurons. So a missing price of idle neurons is not named, and if idle neurons have a price, that of accesses may be
missing.

Reads because of a message with a payload (``synop_graded.FORMAT``), and updates of neurons other than CUBA and leaky
integrators (``neuron_update_of.KIND``), are components of their own, with prices of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurodeploy.chip import Chip, Quantity
from neurodeploy.chip import Energy as Prices
from neurodeploy.costs.counts import SEVERAL
from neurodeploy.costs.record import Band, Coverage, Energy, EnergyLine, StaticLine, Unpriced
from neurodeploy.dicts import ReadOnlyDict

ADD_45NM_J, MAC_45NM_J = 0.9e-12, 4.6e-12
"""Energy of an FP32 addition, and of a multiplication with addition, in 45 nm: Horowitz, ISSCC 2014. Papers multiply the
first by the effective synaptic operations of binary spikes, the second by operations of payloads and dense ANNs."""

_OF_MESSAGES = ("spike_out", "message_out", "hop_ew", "hop_ns")
_TABLES = {"synop": "synop", "synop_graded": "synop", "neuron_update_of": "neuron_update"}
"""Components with a price for each format or kind, and the group in ``one_high_at_a_time`` that they belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Totals over all samples of the events that can have a price; ``low`` holds lower bounds where counts are not exact.

    ``amounts`` has the names of prices, with the format or kind behind a point where there is one for each;
    ``without_price`` counts events that no chip file can price; ``graded_synops`` is the part of ``effective_synops`` that
    messages with a payload cause, ``graded_messages`` the number of such messages that neurons send.
    """

    amounts: ReadOnlyDict[str, int]
    low: ReadOnlyDict[str, int]
    without_price: ReadOnlyDict[str, int]
    effective_synops: int
    n_samples: int
    graded_synops: int = 0
    graded_messages: int = 0


def price_energy(events: Events, prices: Prices, name: str, where: str) -> Energy:
    """Return the dynamic energy per sample under one set of prices.

    Args:
        events: totals of the events.
        prices: the prices; ``name`` is the name of this set of prices, ``where`` the file that gives it.
    """
    lines, unpriced = [], []
    for component, amount in events.amounts.items():
        price = _price(prices, component)
        if price is not None:
            lines.append(_line(component, amount, events.low[component], price, events.n_samples))
        elif amount and component != "neuron_idle" and not (component == "neuron_access" and prices.neuron_idle):
            reason = _MIXED if component == f"neuron_update_of.{SEVERAL}" else f"energy.{component} is not in {where}"
            unpriced.append(Unpriced(component=component, events=amount, reason=f"not available: {reason}"))
    unpriced += [Unpriced(component=c, events=n, reason=_WITHOUT[c]) for c, n in events.without_price.items() if n]
    # The price of an event that never happened does not weaken the grade of the total.
    total = Band.total(line.energy_j for line in [x for x in lines if x.events or x.events_low] or lines)
    group = _alternatives(prices, lines)
    notes: tuple[str, ...] = ()
    if events.graded_messages and any(getattr(prices, name) for name in _OF_MESSAGES):
        n = events.graded_messages / events.n_samples
        notes = (
            f"{n:,.1f} messages a sample carry a payload; firing, messages and hops are priced as for plain spikes.",
        )
    if total is not None and len(group) > 1:
        total = total.model_copy(update={"high": _high_one_at_a_time(lines, group)})
        notes = (
            *notes,
            f"The high prices of {' and '.join(group)} explain the same measurement; the high total takes the one that "
            "costs more and the nominal price of the other.",
        )
    return Energy(prices=name, lines=tuple(lines), total_j=total, unpriced=tuple(unpriced), notes=notes)


def arithmetic_only(events: Events) -> Energy:
    """Return the energy that papers quote: 45 nm additions (MACs for payloads), no memory, no communication; no chip's."""
    binary = events.effective_synops - events.graded_synops
    lines = [_line("accumulate", binary, binary, _arithmetic(ADD_45NM_J), events.n_samples)]
    if events.graded_synops:
        n = events.graded_synops
        lines.append(_line("multiply_accumulate", n, n, _arithmetic(MAC_45NM_J), events.n_samples))
    return Energy(
        prices=f"45 nm additions{' and MACs' if events.graded_synops else ''} (arithmetic only)",
        lines=tuple(lines),
        total_j=Band.total(line.energy_j for line in lines),
        unpriced=(),
        notes=("Arithmetic only, for comparison with papers: no memory, no communication, no neuron, no leakage.",),
    )


def arithmetic_ann(macs: int) -> Energy:
    """Return the energy that papers compare it with: all MACs of a dense ANN of equal shape, in 45 nm."""
    line = _line("dense_mac", macs, macs, _arithmetic(MAC_45NM_J), 1)
    name = "45 nm MACs of a dense ANN of equal shape (arithmetic only)"
    return Energy(prices=name, lines=(line,), total_j=line.energy_j, unpriced=())


def _arithmetic(value: float) -> Quantity:
    return Quantity(low=value, nominal=value, high=value, unit="J", source="Horowitz 2014, 45 nm", grade="published")


def price_static(
    chip: Chip, n_chips: int, n_cores: int, times: ReadOnlyDict[str, Band], coverage: Coverage | None = None
) -> tuple[StaticLine, ...]:
    """Return the static energy per sample of chip and host, for each basis (``free-running``, ``real-time``).

    Grades are no better than what ``coverage``, that of the chip's static powers, allows.
    """
    share = n_cores / (n_chips * chip.cores.count.value)
    lines = []
    for component, power in (("chip", chip.static.chip), ("host", chip.static.host)):
        for basis, time_s in times.items() if power is not None else ():
            assert power is not None
            watts = Band.of(power).read_by(coverage)
            whole = watts.by(time_s).times(n_chips)
            lines.append(
                StaticLine.model_validate(
                    {
                        **{"component": component, "basis": basis, "n_chips": n_chips, "share": share},
                        **{"power_w": watts, "time_s": time_s, "source": power.source},
                        **{"whole_j": whole, "share_j": whole.times(share)},
                    }
                )
            )
    return tuple(lines)


_WITHOUT = {
    "host_input": "no chip file prices it: spikes that the host injects",
    "host_output": "no chip file prices it: spikes that the host reads",
    "chip_crossing": "no chip file prices it: messages that leave a chip (their hops are not counted either)",
    "hops": "not counted: the chip file gives no mesh, so that the way of a message is not known",
}


_MIXED = "neurons of several kinds lie on one core, where the simulator counts their updates together"


def _price(prices: Prices, component: str) -> Quantity | None:
    table, _, name = component.partition(".")
    found: dict[str, Quantity] | Quantity | None = getattr(prices, table)
    return found.get(name) if isinstance(found, dict) else found


def family(component: str) -> str:
    """Return the name of a component without format or kind: ``synop``, ``neuron_update`` or its own."""
    head = component.partition(".")[0]
    return _TABLES.get(head, head)


def _line(component: str, amount: int, low: int, price: Quantity, n_samples: int) -> EnergyLine:
    band = Band.of(price)
    energy_j = Band(
        low=low * band.low / n_samples,
        nominal=amount * band.nominal / n_samples,
        high=amount * band.high / n_samples,
        grade=band.grade,
    )
    return EnergyLine(
        component=component, events=amount, events_low=low, price_j=band, source=price.source, energy_j=energy_j
    )


def _alternatives(prices: Prices, lines: list[EnergyLine]) -> dict[str, list[EnergyLine]]:
    """Return groups of lines of which only one may have its high value at a time (``one_high_at_a_time``)."""
    groups = {g: [x for x in lines if family(x.component) == g] for g in prices.one_high_at_a_time}
    return {name: own for name, own in groups.items() if own}


def _high_one_at_a_time(lines: list[EnergyLine], groups: dict[str, list[EnergyLine]]) -> float:
    grouped = [line for own in groups.values() for line in own]
    always = sum(line.energy_j.high for line in lines if line not in grouped)
    nominal = sum(line.energy_j.nominal for line in grouped)
    extra = max(sum(line.energy_j.high - line.energy_j.nominal for line in own) for own in groups.values())
    return always + nominal + extra
