"""Payloads of messages: the bits that a run really used, against the bits that the chip has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from neurodeploy.chip import Chip
from neurodeploy.costs.counts import is_graded
from neurodeploy.costs.record import Payload
from neurodeploy.network import Network, bits_for
from neurodeploy.network.activity import Activity


def find_payloads(network: Network, activity: Activity, chip: Chip) -> tuple[Payload, ...]:
    """Return the payloads of each input and population whose messages carry one, in the order of the network."""
    inputs = {i.name for i in network.inputs}
    keys = {name: "graded_input_bits" if name in inputs else "message_bits" for name in network.sizes}
    return tuple(
        _payload(name, activity, chip, keys[name]) for name in network.sizes if is_graded(network, name, activity)
    )


def _payload(name: str, activity: Activity, chip: Chip, key: str) -> Payload:
    events, known = activity.spikes[name], getattr(chip.cores, key)
    sent = np.ones(len(events), np.int32) if events.payload is None else events.payload
    lowest, highest = (int(sent.min()), int(sent.max())) if sent.size else (0, 0)
    bits = bits_for(lowest, highest)
    return Payload(
        name=name,
        messages=len(events),
        lowest=lowest,
        highest=highest,
        bits=bits,
        chip_bits=None if known is None else known.value,
        fits=None if known is None else bits <= known.value,
    )


def payload_notes(payloads: Iterable[Payload], chip: Chip) -> Iterator[str]:
    """Yield a note for payloads that do not fit the chip's messages, or of which the chip's file says nothing."""
    for sent in payloads:
        if sent.fits is None:
            yield f"'{sent.name}' sends payloads of {sent.bits} bits; {chip.source_file} does not say how many there are."
        elif not sent.fits:
            yield (
                f"'{sent.name}' sends payloads of {sent.bits} bits ({sent.lowest} to {sent.highest}), but a message of chip "
                f"'{chip.name}' has {sent.chip_bits}: scale the values or the weights before it down."
            )
