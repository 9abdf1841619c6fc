"""Restrictions of a chip for each node of a network, as ``neurodeploy check FILE --chip NAME`` reports them.

The mapper finds what does not fit: each layer is mapped alone, so that every layer with a problem is named and not only the
first, and then all layers together. The chip's file says where its neurons compute something else, and what they cannot do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neurodeploy.chip import Chip
from neurodeploy.errors import FitError
from neurodeploy.exchange.doctor.check import Restriction
from neurodeploy.mapping.abilities import LAVA, find_lacks
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import DECAY_ONE, Input, Network, Output, Population

_BIAS_MANTISSA = 2**15
"""A bias is a signed 16-bit mantissa times a power of two."""


def find_restrictions(network: Network, chip: Chip) -> Iterator[Restriction]:
    """Yield a restriction for each population and projection that a chip does not support, or only approximately.

    ``Restriction.where`` is the name of a population, an input or a projection, or ``graph`` for the network as a whole.
    """
    for population in network.populations:
        yield from _neurons(population, chip)
    lacks = list(find_lacks(network, chip))
    for lack in lacks:
        yield Restriction(where=lack.where, verdict="unsupported", reason=f"map: {lack.reason}")
    broken = list(_layers(network, chip, {lack.where for lack in lacks}))
    yield from broken
    if not broken and not lacks:
        yield from _whole(network, chip)


def _neurons(population: Population, chip: Chip) -> Iterator[Restriction]:
    name = population.name
    if chip.chip.simulated_by != LAVA:
        reason = chip.chip.excludes or "none of the simulators computes this chip's steps: only its limits are checked"
        yield Restriction(where=name, verdict="approximate", reason=f"{chip.name}: {reason}", size="not known")
        return
    model = population.model
    current, voltage = (np.asarray(getattr(model, key, 1)) for key in ("current_decay", "voltage_decay"))
    if np.any(current == 0):
        reason = f"{chip.name}: a current that never decays; the register holds decay - 1, so 1 is the smallest"
        yield Restriction(where=name, verdict="approximate", reason=reason, size=f"decay 0 -> 1 of {DECAY_ONE}")
    if np.any(voltage == DECAY_ONE):
        reason = f"{chip.name}: a voltage that is forgotten at once; {DECAY_ONE - 1} is the largest in 12 bits"
        size = f"1/{DECAY_ONE} of the voltage stays for a step"
        yield Restriction(where=name, verdict="approximate", reason=reason, size=size)
    bias = np.abs(np.asarray(getattr(model, "bias", 0), np.int64))
    lost = bias & (_unit(bias) - 1)
    if np.any(lost):
        reason = f"{chip.name}: a bias with more than 16 bits is rounded to a 16-bit mantissa and an exponent"
        size = f"at most {int(lost.max())} of {int(bias[lost > 0].max())} state units"
        yield Restriction(where=name, verdict="approximate", reason=reason, size=size)


def _unit(bias: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each bias (0 or more) the smallest power of two as unit in which its mantissa takes 16 bits."""
    unit: NDArray[np.int64] = 2 ** np.ceil(np.log2(bias // _BIAS_MANTISSA + 1)).astype(np.int64)
    return unit


def _layers(network: Network, chip: Chip, left_out: set[str]) -> Iterator[Restriction]:
    """Map each layer alone and yield what does not fit; nothing on chips with fixed cores, which need the whole network.

    Sources stand as inputs of plain spikes there: their own restrictions are found elsewhere, as those of ``left_out`` are.
    """
    if chip.fixed:
        return
    for population in network.populations:
        into = network.into(population.name)
        if not into or population.name in left_out:
            continue
        sources = dict.fromkeys(p.source for p in into if p.source != population.name)
        alone = replace(
            network,
            inputs=tuple(Input(name=s, shape=network.shapes[s]) for s in sources)
            or (Input(name=_free(network), shape=(1,)),),
            populations=(population,),
            projections=into,
            outputs=(Output(name="alone", population=population.name),),
        )
        yield from _mapped(alone, chip, population.name)


def _whole(network: Network, chip: Chip) -> Iterator[Restriction]:
    yield from _mapped(network, chip, "graph")


def _mapped(network: Network, chip: Chip, where: str) -> Iterator[Restriction]:
    try:
        map_network(network, chip)
    except FitError as error:
        text = str(error)
        named = [p.name for p in network.projections if f"projection '{p.name}'" in text]
        layers = [p.name for p in network.populations if f"layer '{p.name}'" in text]
        at = [*named, *layers, where][0]
        yield Restriction(where=at, verdict="unsupported", reason=text)


def _free(network: Network) -> str:
    names = {*network.sizes}
    return next(name for name in (f"none{'_' * n}" for n in range(len(names) + 1)) if name not in names)
