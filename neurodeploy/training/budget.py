"""Settings of the rewiring engine for a recipe's ``[budget]`` table: the chip's limits constrain the connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from neurodeploy.chip import load_chip
from neurodeploy.mapping.budget.limits import ChipBudget, chip_budget
from neurodeploy.recipe.record import Recipe


def budget_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the arguments of ``sparse.methods.RewiringSettings`` for a recipe's budget; empty if it has none.

    Raises:
        ChipError: for an unknown chip. Connections that the chip cannot hold are refused when training starts.
    """
    wanted = recipe.budget
    if wanted is None:
        return {}
    chip = load_chip(wanted.chip)

    def budget(masks: Mapping[str, torch.Tensor]) -> ChipBudget:
        names = list(masks)
        return chip_budget(
            chip,
            {name: mask.cpu().numpy() for name, mask in masks.items()},
            cores=wanted.cores,
            synapse_words=wanted.synapse_words,
            input_axons=wanted.input_axons,
            destinations=wanted.destinations,
            sources=dict(zip(names[1:], names)),
        )

    return {"budget": budget, "preference": wanted.preference, "whole_lists": wanted.whole_lists}
