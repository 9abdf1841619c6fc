"""Simulators that ``bench_simulate`` compares with the event-driven engine; ``table.py`` lists them."""

from neurodeploy.bench.speed.peers.table import PEERS, Peer, Turns

__all__ = ["PEERS", "Peer", "Turns"]
