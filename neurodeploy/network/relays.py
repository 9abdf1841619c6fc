"""Relay neurons: delays that no synapse can hold, as chains of neurons that pass spikes on, with the same spikes behind.

A relay has no memory and fires in the step in which its one spike arrives, so that a chain of ``k`` relays, each reached
over a delay of ``limit`` steps, holds a spike back for ``k (limit + 1)`` steps. A synapse with a delay ``d`` therefore
leaves from relay ``k = d // (limit + 1)`` of its source, with the delay ``d % (limit + 1)``. All projections from a source
share its chain, and a chain holds only the neurons that need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodeploy.errors import NetworkError
from neurodeploy.network.neurons import DECAY_ONE, Cuba
from neurodeploy.network.record import DELAY_MAX, Approximation, Network, Population, Projection, Shape
from neurodeploy.network.synapses import Conv, Dense, Sparse, Synapses, synapse_shape
from neurodeploy.network.unrolled import entries, full_matrix, source_of_each

WEIGHT, THRESHOLD = 2, 1
"""Weight of the synapse of a relay and its threshold: one spike is enough, for neurons that fire at the threshold too."""
_NEURON = (DECAY_ONE, DECAY_ONE, THRESHOLD)
MOST_RELAYS, MOST_POPULATIONS = 2**20, 2**10
"""Most relay neurons of a network, and most populations of one chain; more than any chip has, so a mistake in a delay."""
_NO_CHANGE = "no spike differs"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delayed:
    """A projection and its delay, int64, which may be longer than a projection holds; formed as ``Projection.delay``."""

    projection: Projection
    delay: NDArray[np.int64]


def with_relays(network: Network, max_delay: int) -> Network:
    """Return the network in which no synapse has a longer delay than ``max_delay``: longer ones go through relay neurons.

    Every spike and voltage of the neurons that were there stays as it is, in the same steps.

    Args:
        max_delay: longest delay of a synapse in steps beyond the one that every spike takes, 0..62; 0 where a chip knows no
            delays.

    Raises:
        NetworkError: for messages with a payload, which a relay cannot pass on, and delays that take too many relays.
    """
    delayed = [Delayed(projection=p, delay=np.asarray(p.delay, np.int64)) for p in network.projections]
    return relayed(network, delayed, max_delay)


def is_relay(population: Population) -> bool:
    """Return whether a population is one that ``with_relays`` put in, by its name and its neurons."""
    model = population.model
    if "_relay" not in population.name or not isinstance(model, Cuba):
        return False
    own = (model.current_decay, model.voltage_decay, model.threshold)
    return all(isinstance(value, int) for value in own) and own == _NEURON


def relayed(network: Network, projections: Sequence[Delayed], max_delay: int) -> Network:
    """Return the network with these projections in place of its own, and relays where ``max_delay`` is not enough.

    Raises:
        NetworkError: as ``with_relays``.
    """
    if not 0 <= max_delay <= DELAY_MAX:
        raise NetworkError(f"relays: max_delay is {max_delay}, must be 0..{DELAY_MAX} steps")
    hop = max_delay + 1
    long = [d for d in projections if int(d.delay.max()) > max_delay and int(_hops(d, hop).max()) > 0]
    sources = list(dict.fromkeys(d.projection.source for d in long))
    chains = {source: _chain(network, [d for d in long if d.projection.source == source], hop) for source in sources}
    taken = {*network.sizes, *(d.projection.name for d in projections)}
    populations, made, ledger = list(network.populations), list[Projection](), list(network.ledger)
    names: dict[tuple[str, int], str] = {}
    for source, chain in chains.items():
        for k in range(1, len(chain) + 1):
            names[source, k] = _unused(f"{source}_relay{k}", taken)
        own = [d for d in long if d.projection.source == source]
        latest = _latest(network, own)
        relays, wires = _relays(network, source, chain, names, max_delay, latest)
        at = next((i + 1 for i, p in enumerate(populations) if p.name == source), 0)
        populations[at:at], made = relays, made + wires
        ledger.append(_entry(source, own, chain, names[source, 1]))
    for d in projections:
        made += _parts(d, hop, chains.get(d.projection.source, []), names, taken, ledger)
    return replace(network, populations=tuple(populations), projections=tuple(made), ledger=tuple(ledger))


def _entry(source: str, own: Sequence[Delayed], chain: Sequence[NDArray[np.int64]], first: str) -> Approximation:
    n, longest = sum(map(len, chain)), max(int(d.delay.max()) for d in own)
    through = f"{n} relay neuron{'s' * (n > 1)} in {len(chain)} population{'s' * (len(chain) > 1)} ({first}, ...)"
    what = f"delays of up to {longest} steps through {through}"
    return Approximation(where=source, what=what, size=_NO_CHANGE)


def _latest(network: Network, own: Sequence[Delayed]) -> int:
    """Return the latest first step of the relays of a source that makes the network no deeper, and its paths no shorter."""
    first = {p.name: p.first_step for p in network.populations} | {i.name: 0 for i in network.inputs}
    return max(first[own[0].projection.source], *(first[d.projection.target] - 1 for d in own))


def _plain(delay: NDArray[np.int64]) -> int | NDArray[np.int32]:
    """Return a delay as a projection holds it."""
    return int(delay) if delay.ndim == 0 else delay.astype(np.int32)


def _unused(name: str, taken: set[str]) -> str:
    unique = next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if n not in taken)
    taken.add(unique)
    return unique


def _chain(network: Network, long: Sequence[Delayed], hop: int) -> list[NDArray[np.int64]]:
    """Return the numbers of the source neurons that each relay population of a chain holds, in rising order."""
    source = long[0].projection.source
    if source in network.graded:
        raise NetworkError(
            f"relays: '{source}' sends messages with a payload, which relay neurons cannot pass on, but projection "
            f"'{long[0].projection.name}' has delays of up to {int(long[0].delay.max())} steps; shorten them to at most "
            f"{hop - 1}, or make its events plain spikes"
        )
    needed = np.zeros(network.sizes[source], np.int64)
    for d in long:
        needed = np.maximum(needed, _hops(d, hop))
    n_relays, n_populations = int(needed.sum()), int(needed.max())
    if n_relays > MOST_RELAYS or n_populations > MOST_POPULATIONS:
        raise NetworkError(
            f"relays: delays of up to {max(int(d.delay.max()) for d in long)} steps from '{source}' would take {n_relays} "
            f"relay neurons in {n_populations} populations, the limits are {MOST_RELAYS} and {MOST_POPULATIONS}; is the "
            "length of a step right? Else shorten the delays, or allow longer ones of a synapse (max_delay)"
        )
    return [np.flatnonzero(needed >= k) for k in range(1, int(needed.max()) + 1)]


def _hops(delayed: Delayed, hop: int) -> NDArray[np.int64]:
    """Return how many relays each source neuron needs for a projection."""
    hops = delayed.delay // hop
    if hops.ndim == 2:
        weights = full_matrix(delayed.projection.synapses)
        hops = np.where((weights != 0) | _mask(delayed.projection, weights), hops, 0).max(axis=0, initial=0)
    return np.broadcast_to(hops, (synapse_shape(delayed.projection.synapses)[1],))


def _mask(projection: Projection, weights: NDArray[Any]) -> NDArray[np.bool_]:
    return weights != 0 if projection.mask is None else projection.mask


def _relays(
    network: Network,
    source: str,
    chain: Sequence[NDArray[np.int64]],
    names: dict[tuple[str, int], str],
    max_delay: int,
    latest: int,
) -> tuple[list[Population], list[Projection]]:
    """Return the populations of a chain and the projections along it; a relay starts when its first spike can arrive."""
    first = next((p.first_step for p in network.populations if p.name == source), 0)
    model = Cuba(current_decay=DECAY_ONE, voltage_decay=DECAY_ONE, threshold=THRESHOLD)
    shape, before, sender = network.shapes[source], np.arange(network.sizes[source]), source
    relays, wires = [], []
    for k, own in enumerate(chain, start=1):
        name = names[source, k]
        own_shape = network.shapes[source] if own.size == network.sizes[source] else (own.size,)
        start = min(first + k * (max_delay + 1), latest)
        relays.append(Population(name=name, shape=own_shape, model=model, first_step=start))
        synapses = _one_to_one(before, own, shape, own_shape)
        wires.append(Projection(name=f"{name}_in", source=sender, target=name, synapses=synapses, delay=max_delay))
        sender, shape, before = name, own_shape, own
    return relays, wires


def _one_to_one(sources: NDArray[Any], targets: NDArray[Any], shape: Shape, target_shape: Shape) -> Synapses:
    """Return the synapses that give the spikes of some neurons to relays: a kernel of one tap where images stay whole."""
    if len(shape) == 3 and shape == target_shape:
        channels, height, width = shape
        kernel = np.full((channels, 1, 1, 1), WEIGHT, np.int16)
        return Conv(weights=kernel, input_shape=(channels, height, width), groups=channels)
    kept = np.isin(sources, targets)
    start = np.concatenate([[0], np.cumsum(kept)])
    weights = np.full(targets.size, WEIGHT, np.int16)
    return Sparse(n_target=targets.size, start=start, target=np.arange(targets.size, dtype=np.int32), weights=weights)


def _parts(
    delayed: Delayed,
    hop: int,
    chain: Sequence[NDArray[np.int64]],
    names: dict[tuple[str, int], str],
    taken: set[str],
    ledger: list[Approximation],
) -> list[Projection]:
    """Return a projection in parts, one from each relay population that it needs, the undelayed part first."""
    plain, delay = delayed.projection, delayed.delay
    if int(delay.max()) < hop:
        return [replace(plain, delay=_plain(delay))]
    if np.all(delay // hop == delay.flat[0] // hop):
        k, rest = int(delay.flat[0]) // hop, delay % hop
        if k <= len(chain) and chain[k - 1].size == synapse_shape(plain.synapses)[1]:
            return [replace(plain, source=names[plain.source, k], delay=_plain(rest))]
    return list(_split(_listed(plain, ledger), delay, hop, chain, names, taken))


def _listed(plain: Projection, ledger: list[Approximation]) -> Projection:
    """Return a projection whose synapses are listed, so that they can be told apart by their delays."""
    if isinstance(plain.synapses, Dense | Sparse):
        return plain
    source, target, weights = entries(plain.synapses)
    n_target, n_source = synapse_shape(plain.synapses)
    order = np.lexsort((target, source))
    synapses = _sparse(n_target, n_source, source[order], target[order], weights[order])
    what = (
        f"{plain.synapses.kind} as a list of {weights.size} synapses, because its delays need unequal numbers of relays"
    )
    ledger.append(Approximation(where=plain.name, what=what, size=_NO_CHANGE))
    return replace(plain, synapses=synapses, mask=None)


def _split(
    plain: Projection,
    delay: NDArray[np.int64],
    hop: int,
    chain: Sequence[NDArray[np.int64]],
    names: dict[tuple[str, int], str],
    taken: set[str],
) -> Iterator[Projection]:
    """Yield the synapses of a matrix or list that leave from each relay population, with what is left of their delays."""
    everyone = np.arange(synapse_shape(plain.synapses)[1])
    parts = 0
    for k in range(len(chain) + 1):
        own = everyone if k == 0 else chain[k - 1]
        part = _of_hops(plain, delay, hop, k, own)
        if part is None:
            continue
        if k > 0:
            part = replace(part, name=_unused(f"{plain.name}_relay{k}", taken), source=names[plain.source, k])
        parts += 1
        yield part
    if not parts:  # delays of no synapse
        yield replace(plain, delay=0)


def _of_hops(
    plain: Projection, delay: NDArray[np.int64], hop: int, k: int, own: NDArray[np.int64]
) -> Projection | None:
    """Return the synapses behind ``k`` relays, from the neurons ``own`` of their chain, None if there are none."""
    synapses = plain.synapses
    if isinstance(synapses, Sparse):
        source = source_of_each(synapses)
        kept = np.broadcast_to(delay // hop == k, (synapse_shape(synapses)[1],))[source]
        place = np.searchsorted(own, source[kept])
        listed = _sparse(synapses.n_target, own.size, place, synapses.target[kept], synapses.weights[kept])
        mask = None if plain.mask is None else plain.mask[kept]
        rest = _rest(delay, hop, k, own)
        return replace(plain, synapses=listed, mask=mask, delay=rest) if kept.any() else None
    weights = full_matrix(synapses)
    here = np.broadcast_to(delay // hop == k, weights.shape) & _mask(plain, weights)
    if not here.any():
        return None
    mask = None if plain.mask is None else here[:, own]
    part = Dense(weights=np.where(here, weights, 0)[:, own])
    if delay.ndim < 2:
        return replace(plain, synapses=part, mask=mask, delay=_rest(delay, hop, k, own))
    return replace(plain, synapses=part, mask=mask, delay=_plain(np.where(here, delay % hop, 0)[:, own]))


def _rest(delay: NDArray[np.int64], hop: int, k: int, own: NDArray[np.int64]) -> int | NDArray[np.int32]:
    """Return what is left of the delays of some neurons behind ``k`` relays: one number where it is the same for all."""
    if delay.ndim == 0:
        return int(delay) % hop
    used = delay[own] // hop == k
    rest = np.where(used, delay[own] % hop, 0)
    values = np.unique(rest[used])
    return int(values[0]) if values.size == 1 else _plain(rest)


def _sparse(
    n_target: int, n_source: int, source: NDArray[Any], target: NDArray[Any], weights: NDArray[np.int16]
) -> Sparse:
    """Return synapses that are sorted by source and then target."""
    start = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n_source))])
    return Sparse(n_target=n_target, start=start, target=target.astype(np.int32), weights=weights)
