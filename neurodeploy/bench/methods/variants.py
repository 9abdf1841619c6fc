"""Variants of the methods bench: each changes the method of a recipe and keeps everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodeploy.recipe.files import method_recipe

_PQ = {"gamma": 3.0, "iterations": 11, "finish": 0.2}
"""Settings of all ``pq`` variants; in the last fifth they fall to the density asked for, so that all end with the same."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "dense": {"method": "dense"},
    "static": {"method": "static"},
    "set": {"method": "set"},
    "rigl": {"method": "rigl"},
    "granet": {"method": "granet"},
    "srigl": {"method": "srigl"},
    "esl-random": {"method": "esl", "growth": "random"},
    "esl-gradient": {"method": "esl", "growth": "gradient"},
    "esl-unseen": {"method": "esl", "growth": "unseen"},
    "esl-momentum": {"method": "esl", "growth": "momentum"},
    "pq": {"method": "pq", **_PQ},
    "pq-neuron": {"method": "pq", **_PQ, "scope": "neuron"},
    "pq-fixed": {"method": "pq", **_PQ, "schedule": "fixed"},
    "pq-cosine": {"method": "pq", **_PQ, "schedule": "cosine"},
    "chsnn": {"method": "chsnn"},
    "sdsnn": {"method": "sdsnn", "spine_rate": 1.6},
    "rkd": {"method": "rkd"},
    "rkd-none": {"method": "esl", "growth": "gradient"},
    "rkd-smoothing": {"method": "esl", "growth": "gradient"},
    "rkd-normal": {"method": "rkd"},
    "rkd-t1": {"method": "rkd"},
    "rkd-t16": {"method": "rkd"},
}
"""Settings of each variant by name; all ``rkd`` variants train without label smoothing, except ``rkd-smoothing``."""

NOTES: Mapping[str, str] = {"pq": "it and its controls train without dropout"}
"""Notes for the reader of the results on what ``variant_recipe`` changes besides the table ``sparse``, by method."""

WITHOUT_DROPOUT = frozenset({"mnist-conv", "fashion-conv", "touch-mlp"})
"""Recipes whose sparse rows train without dropout, like those of ``pq`` everywhere."""
_TEMPERATURES = {"rkd-t1": 1.0, "rkd-t16": 16.0}
"""Temperatures of the variants that have another than a recipe's own, 4."""
_SPINE_RATES = {"mnist-conv": 3.0, "fashion-conv": 3.0}
"""Rates of ``sdsnn`` by recipe: its rules prune a smaller share of a layer the fewer neurons it has, and these have 256."""
_SPINE_MEMORY = 18 / 600
"""Memory of a spine as a fraction of all epochs, in SD-SNN's released script."""


def variant_recipe(base: Mapping[str, Any], method: str, density: float | None, seed: int) -> dict[str, Any]:
    """Return the recipe of one row as plain values.

    Args:
        base: the recipe that gives data, network, optimiser, and how often connections move.
        method: a name of ``VARIANTS``.
        density: fraction of all weights, above 0, at most 1; ``pq`` and ``granet`` end there. None for methods without one.
        seed: seed of weights, masks, rewiring and sample order.
    """
    wanted = dict(VARIANTS[method])
    recipe = method_recipe(base, wanted, density, seed)
    if wanted["method"] == "pq" or (density is not None and base.get("name") in WITHOUT_DROPOUT):
        # at a few percent of its weights a network does not even fit its training data with dropout
        layers = [
            {key: value for key, value in layer.items() if key != "dropout"} for layer in base["network"]["layers"]
        ]
        recipe["network"] = {**base["network"], "layers": layers}
    if wanted["method"] == "sdsnn":
        # pruning needs 2 C + 1 epochs before it starts
        recipe["sparse"]["spine_rate"] = _SPINE_RATES.get(base.get("name", ""), recipe["sparse"]["spine_rate"])
        recipe["sparse"]["spine_constant"] = max(round(base["training"]["epochs"] * _SPINE_MEMORY), 1)
    if method.startswith("rkd"):
        smoothing = 0.1 if method == "rkd-smoothing" else 0.0
        recipe["training"] = {**base["training"], "label_smoothing": smoothing}
    if wanted["method"] == "rkd":
        recipe["distillation"] = _teacher(base, method)
    return recipe


def _teacher(base: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Return the ``[distillation]`` table: a teacher with a quarter of the hidden neurons and half the epochs.

    The teacher of ``rkd-normal`` has twice the hidden neurons and all epochs. ``rkd-t1`` and ``rkd-t16`` differ from ``rkd``
    in the temperature alone.
    """
    *hidden, output = base["network"]["layers"]
    stronger = method == "rkd-normal"
    epochs = base["training"]["epochs"]
    return {
        "direction": "normal" if stronger else "reverse",
        **({"temperature": _TEMPERATURES[method]} if method in _TEMPERATURES else {}),
        "warmup_epochs": max(epochs // 8, 1),
        "teacher": {
            "layers": [*(_resized(layer, 2 if stronger else 0.25) for layer in hidden), output],
            "epochs": epochs if stronger else max(epochs // 2, 1),
        },
    }


def _resized(layer: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a layer with its neurons or channels multiplied by ``factor``; a pooling layer stays as it is."""
    sizes = {key: max(int(layer[key] * factor), 1) for key in ("neurons", "channels") if key in layer}
    return {**layer, **sizes}
