"""The page ``docs/bench_train.md``, written from the rows of ``bench train``."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from neurodeploy.files.writing import write_text

_HEAD = """# A training step over stored connections

Written by `neurodeploy bench train --rounds {rounds}` on {where}, {versions}.

A step is what `train` does with a batch: forward pass, backward pass, AdamW and masks, on random spikes at `rate`. `ms` and
`peer_ms` are medians of processor time, with all contestants taking turns; `ratio` is how many times ours the peer takes.
`mb` and `peer_mb` are the peak memory of steps over that of the imports, each in a process of its own. Before a time counts,
the spikes of every layer are compared bit for bit (`equal`); where the peer's neuron is another, or a layer is silent,
there is nothing to compare.
Cases of the command that are not below were not run.

- `slayer-masked`: lava-dl's blocks with their own neurons, dense weights and masks. (`training.backend = "slayer"` trains
  with our compiled neurons, whose steps are faster.)
- `dense-fused`: the native backend with dense weights and masks in products of torch.
- `snntorch`, `norse`, `spikingjelly`: masked weights of torch, in the Pythons that `NEURODEPLOY_TRAIN_PYTHONS` names.
"""
_COLUMNS = (
    "network",
    "density",
    "rate",
    "steps",
    "batch",
    "peer",
    "ms",
    "peer_ms",
    "ratio",
    "mb",
    "peer_mb",
    "memory_ratio",
    "equal",
)


def write_page(rows: Sequence[Mapping[str, Any]], path: Path, rounds: int) -> None:
    """Write the table of rows, with the instruction set, the class of machine and how it was measured."""
    isa, threads = (sorted({str(row[key]) for row in rows}) for key in ("isa", "threads"))
    where = f"{' and '.join(isa)}, {platform.machine()}, {' and '.join(threads)} thread"
    versions = f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}"
    head = _HEAD.format(rounds=rounds, where=where, versions=versions)
    lines = [head, "| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    lines += ["| " + " | ".join(_shown(row[key]) for key in _COLUMNS) + " |" for row in rows]
    write_text("\n".join([*lines, *_growths(rows)]) + "\n", path)


def exponents(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, float]]:
    """Return how our time grows: quantity, the case that is else the same, from where to where, and the exponent.

    Time goes with ``quantity ** exponent`` between the smallest and the largest value that were run.
    """
    cases = {tuple(row[key] for key in _CASE): row["ms"] for row in rows}
    found = []
    for place, quantity in enumerate(_CASE):
        groups: dict[tuple[Any, ...], dict[Any, float]] = {}
        for case, ms in cases.items():
            size = _size(case[place]) if quantity == "network" else case[place]
            if size is not None:
                groups.setdefault((*case[:place], *case[place + 1 :]), {})[size] = ms
        for rest, times in groups.items():
            low, high = min(times), max(times)
            if low == high:
                continue
            power = math.log(times[high] / times[low]) / math.log(high / low)
            named = ", ".join(f"{key} {value}" for key, value in zip((k for k in _CASE if k != quantity), rest))
            name = "possible synapses" if quantity == "network" else quantity
            found.append((name, named, f"{low:,} to {high:,}", power))
    return found


_CASE = ("network", "density", "rate", "steps", "batch")


def _size(network: str) -> int | None:
    """Return the synapses that a dense chain named by its sizes could have; None for another network."""
    if not network[0].isdigit():
        return None
    sizes = [int(n) for n in network.split("-")]
    return sum(a * b for a, b in zip(sizes, sizes[1:]))


def _growths(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = exponents(rows)
    if not found:
        return []
    head = "\nOur time grows with a power of each quantity, between the smallest and the largest value that were run:\n"
    lines = ["| quantity | else the same | from, to | exponent |", "|---|---|---|---|"]
    return [head, *lines, *(f"| {name} | {rest} | {span} | {power:.2f} |" for name, rest, span, power in found)]


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
