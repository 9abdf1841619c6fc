"""``bench train``: one training step of the trainer itself, timed in turns with its peers, and its peak memory.

Peers in this process compute the same network; their spikes are compared first, bit by bit and layer by layer. Other
frameworks (``worker.py``) have other neurons, so that there is nothing to compare. Times are processor time, medians.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any, Literal, TypedDict

import torch

from neurodeploy.bench.training.cases import CASES, Case, Contestant, run_of, with_own_neurons
from neurodeploy.bench.training.others import OTHERS, Other, missing
from neurodeploy.errors import MissingPackageError, SimulationError
from neurodeploy.files.loops import instruction_set
from neurodeploy.training.run import Run

IN_PROCESS: tuple[Contestant, ...] = ("slayer-masked", "dense-fused")
PEERS = (*IN_PROCESS, *OTHERS)
_MEMORY = "neurodeploy.bench.training.memory"


class Row(TypedDict):
    """A case beside a peer. ``ms``, ``peer_ms``: of a step; ``mb``, ``peer_mb``: peak memory of steps over that of imports.

    ``ratio`` and ``memory_ratio``: how many times ours the peer takes; ``equal``: whether all spikes are equal, None where
    the peer's neuron differs or a layer never fires.
    """

    network: str
    density: float
    rate: float
    steps: int
    batch: int
    threads: int
    backend: str
    isa: str
    peer: str
    ms: float
    peer_ms: float
    ratio: float | None
    mb: float | None
    peer_mb: float | None
    memory_ratio: float | None
    equal: bool | None


def available_peers(wanted: Sequence[str] = (), say: Callable[[str], None] | None = None) -> list[str]:
    """Return the peers that can run here, of those wanted or of all."""
    found = []
    for peer in wanted or PEERS:
        reason = _lacks(peer)
        if reason is None:
            found.append(peer)
        elif say:
            say(f"bench: peer {peer} is left out: {reason}")
    return found


def bench_train(
    *,
    cases: Sequence[Case] = CASES,
    peers: Sequence[str] = IN_PROCESS,
    rounds: int = 5,
    threads: int = 1,
    memory: bool = True,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> list[Row]:
    """Return a row for each case and peer.

    Args:
        cases: networks, densities and rates.
        peers: of ``PEERS``.
        rounds: how often each is timed, in turns.
        threads: threads of every contestant.
        memory: whether peak memory is measured as well, in a process of its own for each.
        progress: called with each row.
    """
    rows = []
    for case in cases:
        together = [[peer] for peer in peers if peer in IN_PROCESS] if case.large else [peers]
        for row in (row for some in together for row in _rows(case, some, rounds, threads, memory)):
            rows.append(row)
            if progress:
                progress(dict(row))
    return rows


def _lacks(peer: str) -> str | None:
    if peer in OTHERS:
        return missing(peer)
    if peer == "slayer-masked":
        try:
            import neurodeploy.training.model.slayer  # noqa: F401
        except MissingPackageError:
            return "lava-dl is not installed (extra slayer, Python 3.10)"
    return None


def _rows(case: Case, peers: Sequence[str], rounds: int, threads: int, memory: bool) -> list[Row]:
    torch.set_num_threads(threads)
    ours = run_of(case, "native", threads)
    runs = {peer: run_of(case, peer, threads) for peer in IN_PROCESS if peer in peers}
    if "slayer-masked" in runs:
        with_own_neurons(runs["slayer-masked"])
    equal: dict[str, bool | None] = {peer: _same_spikes(ours, run) for peer, run in runs.items()}
    with ExitStack() as stack:
        others = {
            peer: stack.enter_context(Other(peer, case, threads)) for peer in peers if peer in OTHERS and case.sizes
        }
        steps = {"native": _step(ours)} | {peer: _step(run) for peer, run in runs.items()}
        seconds = _in_turns(steps | {peer: other.step for peer, other in others.items()}, rounds)
        megabytes = {peer: other.megabytes for peer, other in others.items()}
    if memory:
        megabytes |= {name: _megabytes(case, name, threads) for name in ("native", *runs)}
    return [_row(case, peer, threads, seconds, megabytes, equal.get(peer)) for peer in (*runs, *others)]


def _row(
    case: Case,
    peer: str,
    threads: int,
    seconds: Mapping[str, float],
    megabytes: Mapping[str, float],
    equal: bool | None,
) -> Row:
    mb, peer_mb = megabytes.get("native"), megabytes.get(peer)
    return Row(
        network=case.network,
        density=case.density,
        rate=case.rate,
        steps=case.n_steps,
        batch=case.batch,
        threads=threads,
        backend="native",
        isa=instruction_set(),
        peer=peer,
        ms=1e3 * seconds["native"],
        peer_ms=1e3 * seconds[peer],
        ratio=None if equal is False else seconds[peer] / seconds["native"],
        mb=mb,
        peer_mb=peer_mb,
        memory_ratio=peer_mb / mb if mb and peer_mb else None,
        equal=equal,
    )


def _same_spikes(ours: Run, other: Run) -> bool | None:
    """Return whether all layers fire alike in evaluation, None if one of them never fires in either."""
    fired = []
    for run in (ours, other):
        run.model.eval()
        with torch.no_grad():
            fired.append(run.model.layers(run.spikes[torch.arange(len(run.spikes))]))
    if not all(torch.equal(layer, fired[1][name]) for name, layer in fired[0].items()):
        return False
    return True if all(layer.any() for layer in fired[0].values()) else None


def _step(run: Run) -> Callable[[], float]:
    index = torch.arange(len(run.spikes))

    def step() -> float:
        run.model.train()
        begin = time.process_time()
        run.step(index)
        return time.process_time() - begin

    return step


def _in_turns(steps: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each, which take turns; the first two of each warm up."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 2):
        for name, step in steps.items():
            taken[name].append(step())
    return {name: median(times[2:]) for name, times in taken.items()}


def _megabytes(case: Case, contestant: str | Literal["native"], threads: int) -> float:
    """Return the peak memory of two steps over that of the imports, in megabytes, measured in other processes.

    The least of three, as huge pages of the system add some by chance.
    """
    return min(_megabytes_once(case, contestant, threads) for _ in range(3))


def _megabytes_once(case: Case, contestant: str | Literal["native"], threads: int) -> float:
    given = {slot: getattr(case, slot) for slot in Case.__slots__} | {"contestant": contestant, "threads": threads}
    command = [sys.executable, "-m", _MEMORY, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said: list[Any] = done.stderr.strip().splitlines() or ["nothing"]
        raise SimulationError(f"bench: the memory of {contestant} was not measured; its process said: {said[-1]}")
    return float(done.stdout)
