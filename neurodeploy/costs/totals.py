"""Sums of counts over samples, steps and cores, and the part of them that can have a price."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from neurodeploy.costs.counts import Counts
from neurodeploy.costs.energy import Events


def totals_of(counts: Counts) -> dict[str, int]:
    """Return the sums over samples, steps and cores, under the keys of ``Cost.counts``."""
    idle = counts.accessed - int(counts.updated.sum())
    sums = {
        **{f"synop.{fmt}": amount for fmt, amount in counts.synops.items()},
        **{f"synop_graded.{fmt}": amount for fmt, amount in counts.synops_graded.items()},
        **_updates(counts),
        "spike_out": counts.fired,
        "message_out": counts.messages_out,
        "message_in": counts.messages_in,
        "chip_crossing": counts.crossings,
        "hop_ew": counts.hops_ew,
        "hop_ns": counts.hops_ns,
    }
    return {
        **{name: int(np.sum(amount)) for name, amount in sums.items() if amount is not None},
        "neuron_access": counts.accessed,
        "neuron_idle": idle,
        "host_input": counts.host_in,
        "host_output": counts.host_out,
        "effective_synops": counts.effective,
        **({"graded_synops": counts.graded} if counts.graded else {}),
        **({"graded_messages": counts.messages_graded} if counts.messages_graded else {}),
    }


def _updates(counts: Counts) -> dict[str, NDArray[np.int64]]:
    """Return the updated neurons by kind, and their lower bounds: those of CUBA neurons without a name."""
    kinds, sums = np.array(counts.kinds), {}
    for kind in sorted(set(counts.kinds)):
        here = kinds == kind
        name = f"neuron_update_of.{kind}" if kind else "neuron_update"
        sums[name] = counts.updated[..., here]
        sums[_low(name)] = counts.updated_low[..., here]
    return sums


def _low(name: str) -> str:
    """Return the name of the lower bound of a count of updates."""
    head, dot, kind = name.partition(".")
    return f"{head}_low{dot}{kind}"


def events_of(totals: Counter[str], n_samples: int) -> Events:
    """Return the events that can have a price, and the events without one, from sums with the keys of ``totals_of``."""
    synops = sorted(name for name in totals if name.startswith("synop"))
    updates = sorted(name for name in totals if name.startswith("neuron_update_of."))
    simple = ("neuron_access", "neuron_update", *updates, "neuron_idle", "spike_out", "message_out", "hop_ew", "hop_ns")
    amounts = {name: totals[name] for name in (*synops, *simple) if name in totals}
    fewest = {name: totals[_low(name)] for name in ("neuron_update", *updates) if name in totals}
    low = {**amounts, **fewest, "neuron_idle": totals["neuron_access"] - sum(fewest.values())}
    without = {name: totals[name] for name in ("host_input", "host_output", "chip_crossing")}
    if "hop_ew" not in totals:
        without["hops"] = totals["message_out"]
    return Events(
        amounts=amounts,
        low=low,
        without_price=without,
        effective_synops=totals["effective_synops"],
        graded_synops=totals.get("graded_synops", 0),
        graded_messages=totals.get("graded_messages", 0),
        n_samples=n_samples,
    )
