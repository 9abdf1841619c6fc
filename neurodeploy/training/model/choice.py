"""Which layers of a native training hold their connections alone and run over lanes, and which stay dense.

The rule follows from measured costs and not from the clock: it decides how gradients are rounded, so that a seed gives the
same weights again, a run resumes bit by bit, and all processes of one training agree. How a layer over lanes computes a pass
is chosen by time (``engines/lanes/choice.py``), since all ways there give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping

from neurodeploy.training.model.chain import ChainModel

MOST_DENSE = 0.5
"""Density of all weights above which a network stays dense: there a lane saves time at low rates alone."""
LEAST_BATCH = 8
"""Samples of a pass below which a network stays dense: lanes are filled up to 16 samples."""


def stored_layers(model: ChainModel, density: Mapping[str, float], batch: int) -> list[str]:
    """Return the names of the layers that are to be stored.

    Args:
        model: the model, still dense.
        density: density of each weight.
        batch: samples of a pass.
    """
    weights = model.weights()
    possible = sum(weight.numel() for weight in weights.values())
    kept = sum(density[name] * weight.numel() for name, weight in weights.items())
    if model.backend.name != "native" or batch < LEAST_BATCH or kept > MOST_DENSE * possible:
        return []
    return storable_layers(model)


def storable_layers(model: ChainModel) -> list[str]:
    """Return the names of the layers that lanes compute as dense synapses do: spikes reach them as bits."""
    found: list[str] = []
    before: str | None = None
    for name in model.recipes:
        if before is None:
            bits = not model.entry.graded
        else:
            bits = before not in model.dropouts or (before in found and model.stays_bits(before, name))
        if bits and name in model.weights():
            found.append(name)
        before = name
    return found
