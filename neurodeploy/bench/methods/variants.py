"""The rows of the bench by name: each turns one recipe into another method, the rest staying as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodeploy.recipe.files import method_recipe

_PQ = {"gamma": 3.0, "iterations": 11}
"""How ``pq`` loses connections: with ten iterations its own ratio can end just above a density of 5 %."""

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
    "sdsnn": {"method": "sdsnn", "spine_rate": 1.6},
    "rkd": {"method": "rkd"},
    "rkd-none": {"method": "esl", "growth": "gradient"},
    "rkd-smoothing": {"method": "esl", "growth": "gradient"},
    "rkd-normal": {"method": "rkd"},
}
"""Rows of the table by name; those of ``rkd`` share a loss without label smoothing, except ``rkd-smoothing``."""

NOTES: Mapping[str, str] = {"pq": "it and its controls train without dropout"}
"""What ``variant_recipe`` changes besides the table ``sparse``, for the reader of results, by method."""

_SPINE_MEMORY = 18 / 600
"""Part of all epochs that a spine remembers in SD-SNN's released script."""


def variant_recipe(base: Mapping[str, Any], method: str, density: float | None, seed: int) -> dict[str, Any]:
    """Return the recipe of one row as plain values.

    Args:
        base: the recipe that gives data, network, optimiser, and how often connections move.
        method: a name of ``VARIANTS``.
        density: of all weights, above 0, at most 1; where ``pq`` and ``granet`` end. None for methods without one.
        seed: of weights, masks, rewiring and sample order.
    """
    wanted = dict(VARIANTS[method])
    recipe = method_recipe(base, wanted, density, seed)
    if wanted["method"] == "pq":
        # at a few percent of its weights a network does not even fit its training data with dropout
        layers = [
            {key: value for key, value in layer.items() if key != "dropout"} for layer in base["network"]["layers"]
        ]
        recipe["network"] = {**base["network"], "layers": layers}
    if wanted["method"] == "sdsnn":
        # pruning needs 2 C + 1 epochs before it starts
        recipe["sparse"]["spine_constant"] = max(round(base["training"]["epochs"] * _SPINE_MEMORY), 1)
    if method.startswith("rkd"):
        smoothing = 0.1 if method == "rkd-smoothing" else 0.0
        recipe["training"] = {**base["training"], "label_smoothing": smoothing}
    if wanted["method"] == "rkd":
        recipe["distillation"] = _teacher(base, method)
    return recipe


def _teacher(base: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Return a teacher with a quarter of the hidden neurons and half the epochs, or twice and all for ``rkd-normal``."""
    *hidden, output = base["network"]["layers"]
    stronger = method == "rkd-normal"
    epochs = base["training"]["epochs"]
    return {
        "direction": "normal" if stronger else "reverse",
        "warmup_epochs": max(epochs // 8, 1),
        "teacher": {
            "layers": [*(_resized(layer, 2 if stronger else 0.25) for layer in hidden), output],
            "epochs": epochs if stronger else max(epochs // 2, 1),
        },
    }


def _resized(layer: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return a layer with another number of neurons or channels; pools have none of their own."""
    sizes = {key: max(int(layer[key] * factor), 1) for key in ("neurons", "channels") if key in layer}
    return {**layer, **sizes}
