"""Verdicts on a network and differences between two, for files of integers, which hold no graph of nodes to check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from neurodeploy.exchange.doctor.check import CheckReport, NodeVerdict, Restriction
from neurodeploy.exchange.doctor.diff import NirDifference
from neurodeploy.network import Network
from neurodeploy.network.idle import find_idle

_SECTIONS = ("inputs", "populations", "projections", "outputs")


def check_network(
    network: Network, source: str, *, chip: str = "", restrictions: Iterable[Restriction] = ()
) -> CheckReport:
    """Return a verdict for each input, population, projection and output: what its ledger and the restrictions say.

    Args:
        source: the file, for the report.
        chip: name of the target whose ``restrictions`` these are.
    """
    types = {o.name: "Output" for o in network.outputs}
    types |= {q.name: type(q.synapses).__name__ for q in network.projections}
    types |= {p.name: type(p.model).__name__ for p in network.populations}
    types |= {i.name: "Input" for i in network.inputs}
    noted = [Restriction(where=e.where, verdict="approximate", reason=e.what, size=e.size) for e in network.ledger]
    noted += restrictions
    names = dict.fromkeys([record.name for section in _SECTIONS for record in getattr(network, section)])
    names |= dict.fromkeys(note.where for note in noted)
    nodes = [_verdict(name, types.get(name, "Network"), [n for n in noted if n.where == name]) for name in names]
    idle = find_idle(network).to_json()
    return CheckReport(
        source=source,
        nir_version="",
        dt=network.dt,
        nodes=tuple(nodes),
        chip=chip,
        never_fire=idle["never_fire"],
        reach_nothing=idle["reach_nothing"],
    )


def _verdict(name: str, kind: str, notes: list[Restriction]) -> NodeVerdict:
    worst = [n for n in notes if n.verdict == "unsupported"] or notes
    return NodeVerdict(
        name=name,
        type=kind,
        verdict=worst[0].verdict if worst else "faithful",
        reason="; ".join(n.reason for n in worst),
        size="; ".join(n.size for n in worst if n.size),
    )


def diff_networks(a: Network, b: Network, *, ledger: bool = True) -> tuple[NirDifference, ...]:
    """Return every difference from network ``a`` to network ``b``: records by name, their fields, and their order.

    Args:
        ledger: compare the ledgers too.
    """
    return tuple(_differences(a, b, ledger))


def _differences(a: Network, b: Network, ledger: bool) -> Iterator[NirDifference]:
    if a.dt != b.dt:
        yield NirDifference(where="dt", what=f"{a.dt:g} s -> {b.dt:g} s")
    for section in _SECTIONS:
        before = {record.name: record for record in getattr(a, section)}
        after = {record.name: record for record in getattr(b, section)}
        for name in dict.fromkeys([*before, *after]):
            where = f"{section[:-1]} '{name}'"
            if name in before and name in after:
                yield from _records(before[name], after[name], where)
            else:
                yield NirDifference(where=where, what=f"only in the {'first' if name in before else 'second'}")
        if before.keys() == after.keys() and list(before) != list(after):
            yield NirDifference(where=section, what=f"order {', '.join(before)} -> {', '.join(after)}")
    if ledger:
        for entry in [*(e for e in a.ledger if e not in b.ledger), *(e for e in b.ledger if e not in a.ledger)]:
            what = f"{entry.what} ({entry.size}) only in the {'first' if entry in a.ledger else 'second'}"
            yield NirDifference(where=f"ledger, {entry.where}", what=what)


def _records(a: Any, b: Any, where: str) -> Iterator[NirDifference]:
    if type(a) is not type(b):
        yield NirDifference(where=where, what=f"{type(a).__name__} -> {type(b).__name__}")
        return
    for name in (f.name for f in fields(a)):
        before, after = getattr(a, name), getattr(b, name)
        if name in ("model", "synapses"):
            yield from _records(before, after, where)
        elif not np.array_equal(before, after):
            yield NirDifference(where=f"{where} {name}", what=_change(before, after))


def _change(before: Any, after: Any) -> str:
    a, b = (np.asarray([] if value is None else value) for value in (before, after))
    if a.ndim and a.shape == b.shape and a.size > 4:
        changed = a != b
        most = np.max(np.abs(a[changed].astype(np.int64) - b[changed].astype(np.int64)))
        return f"{np.count_nonzero(changed)} of {a.size} numbers differ, at most by {most}"
    return f"{_brief(before)} -> {_brief(after)}"


def _brief(value: Any) -> str:
    if value is None:
        return "none"
    array = np.asarray(value)
    return str(array.tolist()) if array.size <= 4 else f"array {array.shape}"
