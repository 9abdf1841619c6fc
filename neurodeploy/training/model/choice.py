"""Which layers of a native training run over lanes, and which through torch's dense products.

The rule follows from measured costs and not from the clock: it decides how gradients are rounded, so that a seed gives the
same weights again, a run resumes bit by bit, and all processes of one training agree. Lanes take less time at every density,
since spikes are few even where connections are not (``docs/bench_train.md``). How a layer over lanes computes a pass is
chosen by time (``engines/lanes/choice.py``), since all ways there give the same bits.
"""

from __future__ import annotations

from neurodeploy.training.model.chain import ChainModel

LEAST_BATCH = 8
"""Samples of a pass below which a network stays dense: lanes are filled up to 16 samples."""


def layers_on_lanes(model: ChainModel, batch: int) -> list[str]:
    """Return the names of the layers that are to run over lanes.

    Args:
        model: the model, still dense.
        batch: samples of a pass.
    """
    return possible_layers(model) if model.backend.name == "native" and batch >= LEAST_BATCH else []


def possible_layers(model: ChainModel) -> list[str]:
    """Return the names of the layers that lanes compute as dense synapses do: spikes reach them as bits."""
    found: list[str] = []
    before: str | None = None
    for name in model.recipes:
        if before is None:
            bits = not model.entry.graded
        else:
            on_lanes = before in found or model.is_driven(before)
            bits = before not in model.dropouts or (on_lanes and model.stays_bits(before, name))
        if bits and name in model.weights():
            found.append(name)
        before = name
    return found
