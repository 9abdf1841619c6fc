"""What the neurons of a chip can do, against what a network needs: kinds of neurons, resets, payloads of inputs.

The chip's file says it: ``cores.neuron_kinds``, ``cores.resets``, ``cores.graded_input_bits`` and ``cores.message_bits``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from neurodeploy.chip import Chip
from neurodeploy.errors import FitError
from neurodeploy.network import Cuba, Input, LeakyIntegrator, Network, Population

ABILITIES = ("neuron_kinds", "resets", "graded_input_bits")
"""Keys of a chip's ``cores`` that may stand as ``resource`` of a ``FitError``; no split and no density helps there."""
LAVA = "lava-fixed-point"
"""Value of ``simulated_by`` for chips whose neurons compute as ``network.Cuba`` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something that a network needs and a chip has not: ``where`` is the population or input, ``resource`` the key."""

    where: str
    resource: str
    used: str | int
    limit: str | int
    reason: str

    def error(self) -> FitError:
        """Return the lack as an error of ``map``."""
        binding: dict[str, str | int] = {"layer": self.where, "core": 0, "resource": self.resource}
        return FitError(f"map: {self.reason}", {**binding, "used": self.used, "limit": self.limit})


def find_lacks(network: Network, chip: Chip) -> Iterator[Lack]:
    """Yield what the network needs and the chip has not: populations first, then inputs.

    A reset is held against chips alone whose steps a simulator of this package computes; on others only limits are checked,
    and ``ability_notes`` says so.
    """
    for population in network.populations:
        yield from _kind(population, chip)
        if chip.chip.simulated_by == LAVA:
            yield from _reset(population, chip)
    for given in network.inputs:
        yield from _payload(given, chip)


def check_abilities(network: Network, chip: Chip) -> None:
    """Refuse a network that needs what the chip has not.

    Raises:
        FitError: for the first lack; names population or input, chip, file and key, and what to do.
    """
    for lack in find_lacks(network, chip):
        raise lack.error()


def states_abilities(network: Network, chip: Chip) -> bool:
    """Return whether the chip's file says that it has all that the network needs, so that nothing was left unchecked."""
    needed, known = _needed_resets(network), chip.cores.resets
    return not any(find_lacks(network, chip)) and (not needed or (known is not None and needed <= set(known.value)))


def can_run(network: Network, chip: Chip) -> bool:
    """Return whether nothing in the chip's file says that its neurons cannot run the network, so that it may be offered."""
    return not chip.chip.limits_only and not any(find_lacks(network, chip))


def ability_notes(network: Network, chip: Chip) -> tuple[str, ...]:
    """Return notes for a mapping: resets that differ from those of the chip, and neurons whose state has no known size."""
    notes, known = [], chip.cores.resets
    for reset in sorted(_needed_resets(network) - set(known.value if known else ("zero", "subtract"))):
        assert known is not None
        names = [p.name for p in network.populations if isinstance(p.model, Cuba) and p.model.reset == reset]
        notes.append(
            f"resets differ: {_words(reset)} in the network ({', '.join(names)}), {_words(*known.value)} on chip "
            f"'{chip.name}' ({chip.source_file}: cores.resets); memory and limits only, the network's steps are not its own"
        )
    other = [p for p in network.populations if not isinstance(p.model, Cuba | LeakyIntegrator)]
    if other:
        kinds = ", ".join(dict.fromkeys(_kind_words(p.model.kind) for p in other))
        notes.append(
            f"how many words the state of a neuron takes is not public for {kinds} neurons: each counts as one, like a CUBA "
            f"neuron ({', '.join(p.name for p in other)})"
        )
    return tuple(notes)


def _needed_resets(network: Network) -> set[str]:
    return {p.model.reset for p in network.populations if isinstance(p.model, Cuba)}


def _kind(population: Population, chip: Chip) -> Iterator[Lack]:
    kind, known = population.model.kind, chip.cores.kinds
    if kind in known:
        return
    key = "cores.neuron_kinds" if chip.cores.neuron_kinds else "cores.neuron_kinds is not there"
    has = " and ".join(filter(None, (", ".join(map(_kind_words, known[:-1])), _kind_words(known[-1]))))
    yield Lack(
        where=population.name,
        resource="neuron_kinds",
        used=kind,
        limit=", ".join(known),
        reason=(
            f"layer '{population.name}' has {_kind_words(kind)} neurons, but chip '{chip.name}' has {has} neurons only "
            f"({chip.source_file}: {key}); map to a chip that has them, or train with a kind that this one has"
        ),
    )


def _reset(population: Population, chip: Chip) -> Iterator[Lack]:
    model, known = population.model, chip.cores.resets
    if known is None or not isinstance(model, Cuba) or model.reset in known.value:
        return
    other = " or ".join(f'"{reset}"' for reset in known.value)
    yield Lack(
        where=population.name,
        resource="resets",
        used=model.reset,
        limit=", ".join(known.value),
        reason=(
            f"layer '{population.name}' resets {_words(model.reset)}, but neurons of chip '{chip.name}' reset "
            f"{_words(*known.value)} only ({chip.source_file}: cores.resets); map to a chip that has this reset, or train "
            f"with reset = {other}"
        ),
    )


def _payload(given: Input, chip: Chip) -> Iterator[Lack]:
    known = chip.cores.graded_input_bits
    if not given.graded or (known is not None and given.payload_bits <= known.value):
        return
    has = f"the file of chip '{chip.name}' does not say that it takes any"
    if known is not None:
        has = f"chip '{chip.name}' takes {f'payloads of {known.value} bits' if known.value else 'plain spikes only'}"
    key = "cores.graded_input_bits" + (" is not there" if known is None else "")
    fewer = f", give the input at most {known.value} payload_bits," if known is not None and known.value else ""
    yield Lack(
        where=given.name,
        resource="graded_input_bits",
        used=given.payload_bits,
        limit=0 if known is None else known.value,
        reason=(
            f"input '{given.name}' carries payloads of {given.payload_bits} bits, but {has} ({chip.source_file}: {key}); "
            f"encode the values as spikes{fewer} or map to a chip that takes them"
        ),
    )


def _words(*resets: str) -> str:
    return " or ".join({"zero": "to zero", "subtract": "by subtracting the threshold"}[reset] for reset in resets)


def _kind_words(kind: str) -> str:
    return {"cuba": "CUBA"}.get(kind, kind.replace("_", "-"))
