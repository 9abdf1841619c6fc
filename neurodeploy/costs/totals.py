"""Sums of counts over samples, steps and cores, and the part of them that can have a price."""

from __future__ import annotations

from collections import Counter

import numpy as np

from neurodeploy.costs.counts import Counts
from neurodeploy.costs.energy import Events


def totals_of(counts: Counts) -> dict[str, int]:
    """Return the sums over samples, steps and cores, under the keys of ``Cost.counts``."""
    idle = counts.accessed - int(counts.updated.sum())
    sums = {
        **{f"synop.{fmt}": amount for fmt, amount in counts.synops.items()},
        "neuron_update": counts.updated,
        "neuron_update_low": counts.updated_low,
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
    }


def events_of(totals: Counter[str], n_samples: int) -> Events:
    """Return the events that can have a price, and the events without one, from sums with the keys of ``totals_of``."""
    synops = sorted(name for name in totals if name.startswith("synop."))
    simple = ("neuron_access", "neuron_update", "neuron_idle", "spike_out", "message_out", "hop_ew", "hop_ns")
    amounts = {name: totals[name] for name in (*synops, *simple) if name in totals}
    low = {**amounts, "neuron_update": totals["neuron_update_low"]}
    low["neuron_idle"] = totals["neuron_access"] - totals["neuron_update_low"]
    without = {name: totals[name] for name in ("host_input", "host_output", "chip_crossing")}
    if "hop_ew" not in totals:
        without["hops"] = totals["message_out"]
    return Events(
        amounts=amounts,
        low=low,
        without_price=without,
        effective_synops=totals["effective_synops"],
        graded_synops=totals.get("graded_synops", 0),
        n_samples=n_samples,
    )
