"""Which settings each rewiring method has. Without torch, so that recipes can be checked anywhere."""

from __future__ import annotations

from collections.abc import Mapping

_REWIRING = frozenset({"distribution", "ratio", "every_steps", "end_fraction"})
_PQ = frozenset({"scope", "shrink", "schedule", "iterations", "p", "q", "gamma", "eta", "floor"})

METHOD_SETTINGS: Mapping[str, frozenset[str]] = {
    "dense": frozenset(),
    "static": frozenset({"distribution"}),
    "set": _REWIRING,
    "rigl": _REWIRING,
    "granet": _REWIRING | {"floor"},
    "srigl": _REWIRING | {"ablation"},
    "esl": _REWIRING | {"growth"},
    "pq": _REWIRING | {"growth"} | _PQ,
    "sdsnn": frozenset({"spine_constant", "spine_rate"}),
    "rkd": _REWIRING | {"growth"},
}
"""Settings by method, besides ``method`` and ``density`` (which ``dense`` and ``sdsnn`` do not take)."""

WITHOUT_DENSITY = frozenset({"dense", "sdsnn"})
"""Methods that start with every connection."""
