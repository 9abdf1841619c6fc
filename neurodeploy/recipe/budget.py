"""The table ``[budget]`` of a recipe: limits of a chip that rewiring keeps during training."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from neurodeploy.files.checked import Record


def _amounts(value: object) -> object:
    for amount in value.values() if isinstance(value, dict) else [value]:
        if value is not None and (type(amount) is not int or amount < 1):
            raise ValueError(
                f"{amount!r} is no whole number of 1 or more; give one for all layers, or a table by layer"
            )
    return value


Amounts = Annotated[int | dict[str, int] | None, BeforeValidator(_amounts)]


class BudgetRecipe(Record):
    """Limits of a chip that all connections keep from the first step on (``mapping/budget/``).

    Each limit is one number for all layers, or a table by layer (``hidden1``, ..., ``output``).
    """

    chip: str
    """Name of a chip, or a chip file."""
    cores: Amounts = None
    """Cores of each layer."""
    synapse_words: Amounts = None
    """Words of synaptic memory of a core; tightens the chip's limit."""
    input_axons: Amounts = None
    """Input axons of a core; tightens the chip's limit."""
    destinations: Amounts = None
    """Cores that one source reaches; tightens the chip's limit."""
    preference: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Strength with which growth prefers sources that already reach a core."""
    whole_lists: bool = False
    """A rewiring drops all synapses of a source on a core together, so that another source can reach the core."""
