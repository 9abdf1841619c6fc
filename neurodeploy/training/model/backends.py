"""The backends by name, and models built with them; a backend is imported when it is used."""

from __future__ import annotations

from neurodeploy.data.encoded_part import INPUT_NAME
from neurodeploy.files.lazy import named_function
from neurodeploy.network import Input, Network, Shape
from neurodeploy.network.activity import Activity, Samples
from neurodeploy.recipe.record import Recipe
from neurodeploy.training.model.chain import ChainModel

_HERE = "neurodeploy.training.model"
_MAKE = {"native": f"{_HERE}.native:native_backend", "slayer": f"{_HERE}.slayer:slayer_backend"}
"""Functions that return a ``Backend``, by the names that a recipe may give to ``training.backend``."""
_RUN = {"native": f"{_HERE}.native:run_native", "slayer": f"{_HERE}.slayer:run_slayer"}
"""Functions that record the spikes of a model of that backend."""


def build(recipe: Recipe, entry: Input | Shape | int) -> ChainModel:
    """Return a freshly initialised model on the recipe's backend; draws weights and delays from torch's global generator.

    Args:
        recipe: its network, ``training.backend`` and ``training.weight_scale`` are read.
        entry: the input, or the shape of one for plain spikes: a number of channels, or ``(channels, height, width)``.

    Raises:
        RecipeError: if a layer cannot take the output of the layer before it.
        MissingPackageError: if the backend is not installed.
        TrainingError: for an input or neurons that the backend does not have.
    """
    backend = named_function(_MAKE[recipe.training.backend])()
    if not isinstance(entry, Input):
        entry = Input(name=INPUT_NAME, shape=(entry,) if isinstance(entry, int) else entry)
    return ChainModel(recipe, entry, backend)


def run_trainer(model: ChainModel, network: Network, samples: Samples) -> Activity:
    """Return the spikes of a model's own forward pass, slayer's with its own neurons, on the chip's clock.

    Args:
        model: the trained model.
        network: the network exported from it.
        samples: input events for the one input.
    """
    ran: Activity = named_function(_RUN[model.backend.name])(model, network, samples)
    return ran
