"""Bits of memory for each stored synapse by format and density, and the density at which two formats take the same."""

from __future__ import annotations

import numpy as np

from neurodeploy.chip import Chip, SynapseFormat
from neurodeploy.chip.layouts import Lists
from neurodeploy.chip.rules import list_rule, words
from neurodeploy.errors import UsageError
from neurodeploy.mapping.memory.cut import sum_by

N_LISTS = 2000


def bits_per_synapse(chip: Chip, name: str, neurons: int, density: float, width: int, *, seed: int = 0) -> float:
    """Return the mean bits of memory for each non-zero synapse, rounding to words included, over random lists.

    Args:
        chip, name: the chip and the name of one of its list formats.
        neurons: neurons of a core that a list can reach.
        density: share of the neurons that a list reaches, above 0 and up to 1.
        width: bits of a weight, with its delay.
        seed: of the 2000 random lists.

    Raises:
        UsageError: for a density out of range, or a name that is not a list format of the chip.
    """
    fmt = _list_format(chip, name)
    if not 0 < density <= 1 or neurons < 1:
        raise UsageError(f"map: density {density} and {neurons} neurons; need 0 < density <= 1 and a neuron")
    mask = np.random.default_rng(seed).random((N_LISTS, neurons)) < density
    owner, local = np.nonzero(mask)
    if not owner.size:
        raise UsageError(f"map: {N_LISTS} lists of {neurons} neurons hold no synapse at density {density}; raise it")
    layout = list_rule(fmt)(Lists(owner.astype(np.int64), local.astype(np.int64), N_LISTS), width, fmt)
    word_bits = chip.cores.bits_per_word
    total = sum_by(np.zeros(N_LISTS, np.int32), words(fmt, layout.bits, word_bits), 1)[0]
    return float(total * word_bits / owner.size)


def crossing_density(chip: Chip, sparse: str, dense: str, neurons: int, width: int) -> float | None:
    """Return the density below which the format ``sparse`` takes fewer bits than ``dense``; None where they do not cross.

    Found by bisection between 2/512 and 1, in steps of 1/512, on the same random lists throughout.
    """

    def better(step: int) -> bool:
        density = step / 512
        return bits_per_synapse(chip, sparse, neurons, density, width) < bits_per_synapse(
            chip, dense, neurons, density, width
        )

    low, high = 2, 512
    if not better(low) or better(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if better(middle) else (low, middle)
    return low / 512


def _list_format(chip: Chip, name: str) -> SynapseFormat:
    known = {f.name: f for f in chip.synapse_format if f.connection == "list" and f.split is None}
    if name not in known:
        raise UsageError(f"map: format '{name}' is no list format of chip '{chip.name}'; known: {', '.join(known)}")
    return known[name]
