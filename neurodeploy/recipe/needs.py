"""What a recipe asks of the machine, compared with its memory and processors before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from neurodeploy.errors import RecipeError
from neurodeploy.files.budget import machine_bytes, processors
from neurodeploy.network import Shape
from neurodeploy.recipe.layers import AnyLayer, ConvLayer, DenseLayer, layer_shapes
from neurodeploy.recipe.record import Recipe

_BYTES = 16
"""Of a connection in training: its weight, its gradient and two moments of the optimiser, 4 bytes each."""
MOST_THREADS = 64
"""Threads that a training may ask for wherever it runs, since their number decides how sums are rounded."""


def check_threads(recipe: Recipe) -> None:
    """Refuse more threads than ``MOST_THREADS`` on a machine with fewer processors; raises ``RecipeError``."""
    threads, most = recipe.training.threads, max(MOST_THREADS, processors())
    if threads > most:
        raise RecipeError(
            f"recipe: {recipe.name}: training.threads is {threads:,}; on this machine with {processors()} processors at "
            f"most {most}"
        )


def check_memory(recipe: Recipe, input_shape: Shape) -> None:
    """Refuse a network of which not even the connections that are kept and one sample fit this machine.

    Raises:
        RecipeError: naming what is needed at least, and what there is.
    """
    n_weights = count_weights(recipe.network.layers, input_shape)
    n_neurons = sum(map(math.prod, layer_shapes(recipe.network.layers, input_shape)))
    kept = n_weights * (recipe.sparse.density or 1.0)
    needed = int(_BYTES * kept) + 4 * n_neurons * recipe.data.n_steps
    if needed > machine_bytes():
        raise RecipeError(
            f"recipe: {recipe.name}: network.layers: a training of {n_neurons:,} neurons and {n_weights:,} weights over "
            f"{recipe.data.n_steps} steps takes at least {needed / 2**30:,.1f} GiB, this machine has "
            f"{machine_bytes() / 2**30:,.1f}; make the layers smaller"
        )


def count_weights(layers: Sequence[AnyLayer], input_shape: Shape) -> int:
    """Return the number of possible connections of all layers, shared weights of convolutions once."""
    total, given = 0, input_shape
    for layer, shape in zip(layers, layer_shapes(layers, input_shape)):
        if isinstance(layer, DenseLayer):
            total += math.prod(given) * layer.neurons + (layer.neurons**2 if layer.recurrent else 0)
        elif isinstance(layer, ConvLayer):
            total += given[0] // layer.groups * layer.channels * math.prod(layer.kernel)
        given = shape
    return total
