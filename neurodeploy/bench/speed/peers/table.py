"""Table of the simulators that ``bench_simulate`` compares with the event-driven engine."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from neurodeploy.bench.speed.claims import CLAIMS
from neurodeploy.bench.speed.peers import local, remote
from neurodeploy.errors import LavaError
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity, Samples

Turns: TypeAlias = Generator[tuple[float, Activity], None, None]
"""Repeated timings: the seconds for one sample, without start-up, and the activity of the first sample.

It yields nothing if the peer cannot run the network.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another simulator, and how it is compared.

    Args:
        start: returns the timings for a network and samples.
        available: returns why the peer cannot run here, or None.
        neuron: ``CUBA`` as on the chip, or ``IF`` (no decays) if the peer computes in float or has no such neuron:
            integers are exact in both.
        batch: number of samples that it runs at once, compared only with our batch of that size; None if it runs one sample
            at a time, which is compared, per sample, with every batch size of ours.
        counts: whether it also counts what energy needs; our counts are then switched on.
        bar: the ratio to reach at the input rate ``bar_rate`` of ``claims.toml``; bars over Lava depend on the network
            (``Case``).
        most_rate: highest input rate at which it runs.
        most_turns: largest number of turns, for a peer that starts slowly.
    """

    start: Callable[[Network, Samples], Turns]
    available: Callable[[], str | None] = lambda: None
    neuron: str = "CUBA"
    batch: int | None = None
    counts: bool = False
    bar: float | None = None
    most_rate: float = 1.0
    most_turns: int = 1000


def _lava_missing() -> str | None:
    from neurodeploy.engines.lava import find_lava_python

    try:
        find_lava_python()
    except LavaError as error:
        return str(error)
    return None


def _remote(name: str) -> tuple[Callable[[Network, Samples], Turns], Callable[[], str | None]]:
    return partial(remote.run_peer, name), partial(remote.missing, name)


def _peer(name: str, *, neuron: str = "CUBA", batch: int | None = 64) -> Peer:
    start, available = _remote(name)
    bar = CLAIMS.peers[name]
    counts = batch is None
    most_rate = 0.02 if counts else 1.0
    return Peer(
        start=start, available=available, neuron=neuron, batch=batch, counts=counts, bar=bar, most_rate=most_rate
    )


PEERS: dict[str, Peer] = {
    "numba-scatter": Peer(start=local.numba_scatter),
    "c": Peer(start=local.c_code, available=local.c_missing),
    "lava": Peer(start=local.lava_runtime, available=_lava_missing, most_turns=3),
    "slayer": _peer("slayer"),
    "snntorch": _peer("snntorch", neuron="IF"),
    "spikingjelly": _peer("spikingjelly", neuron="IF"),
    "sanafe": _peer("sanafe", neuron="IF", batch=None),
    "nengo-loihi": _peer("nengo-loihi", batch=None),
}
"""All of them run on one thread."""
