"""The simulators that ``bench_simulate`` runs beside the event-driven engine: ``table.py`` names them."""

from neurodeploy.bench.speed.peers.table import PEERS, Peer, Turns

__all__ = ["PEERS", "Peer", "Turns"]
