"""The table ``[sparse]`` of a recipe, and the settings of each rewiring method. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from neurodeploy.files.checked import Record, one_of

Fraction = Annotated[float, Field(gt=0, le=1)]

_REWIRING = frozenset({"distribution", "ratio", "every_steps", "end_fraction"})
_PQ = frozenset({"scope", "shrink", "schedule", "iterations", "p", "q", "gamma", "eta", "floor"})

METHOD_SETTINGS: dict[str, frozenset[str]] = {
    "dense": frozenset(),
    "static": frozenset({"distribution"}),
    "set": _REWIRING,
    "rigl": _REWIRING,
    "granet": _REWIRING | {"floor"},
    "srigl": _REWIRING | {"ablation"},
    "esl": _REWIRING | {"growth"},
    "pq": _REWIRING | {"growth"} | _PQ,
    "sdsnn": frozenset({"spine_constant", "spine_rate"}),
    "rkd": _REWIRING | {"growth"},
}
"""Settings by method (the rows of ``sparse.methods.METHODS``), besides ``method`` and ``density``, which not all take."""

WITHOUT_DENSITY = {"dense", "sdsnn"}
"""Methods that start with every connection."""


class MethodSettings(Record):
    """Settings of rewiring methods with their defaults; which method has which stands in ``METHOD_SETTINGS``.

    Attributes:
        growth: rule of growth, a name of ``sparse.scores.GROWTH``; None: the method's own.
        every_steps: optimiser steps between two rewirings.
        ratio: fraction rewired at the start, 0..1 (1 excluded); None: the method's own.
        scope: ``layer`` or ``neuron`` (``pq``).
        shrink: whether ``pq`` loses connections at the end of each iteration.
        schedule: what decides how much ``pq`` moves and loses: ``pq``, or its controls ``fixed`` and ``cosine``.
        iterations: of ``pq``.
        p, q, gamma, eta: see ``sparse.pq.PqSettings``.
        floor: density that ``granet`` ends at and ``pq`` never falls below.
        ablation: see ``sparse.ablation.Ablation.threshold``.
        spine_constant, spine_rate: see ``sparse.spines.SpineSettings``.
    """

    growth: str | None = None
    every_steps: Annotated[int, Field(ge=1)] = 100
    ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    scope: Literal["layer", "neuron"] = "layer"
    shrink: bool = True
    schedule: Literal["pq", "fixed", "cosine"] = "pq"
    iterations: Annotated[int, Field(ge=1)] = 10
    p: Annotated[float, Field(gt=0)] = 0.5
    q: Annotated[float, Field(gt=0)] = 1.0
    gamma: Annotated[float, Field(ge=0)] = 1.0
    eta: Annotated[float, Field(ge=0)] = 0.001
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ablation: Annotated[float, Field(ge=0, le=1)] = 0.3
    spine_constant: Annotated[int, Field(ge=1)] = 18
    spine_rate: Annotated[float, Field(ge=0)] = 1.0


class SparseRecipe(MethodSettings):
    """Rewiring: the method, how many connections there are, how often and by what rule they move (``sparse.methods``).

    ``density`` is that of all weights at the start; ``dense`` and ``sdsnn`` take none. A run that starts from a network
    keeps its largest weights up to that density, or without one all its connections. ``end_fraction`` is the part of
    training in which connections move. Every other key belongs to some methods only (``METHOD_SETTINGS``).
    """

    method: Annotated[str, one_of(METHOD_SETTINGS)] = "esl"
    density: Fraction | None = None
    distribution: Literal["erk", "er", "uniform"] = "erk"
    growth: Literal["random", "gradient", "unseen", "momentum", "displacement"] | None = None
    end_fraction: Fraction = 0.75

    @model_validator(mode="after")
    def _belongs_to_method(self) -> SparseRecipe:
        known = METHOD_SETTINGS[self.method]
        if foreign := sorted(self.model_fields_set - known - {"method", "density"}):
            raise ValueError(
                f"'{foreign[0]}' is no setting of method '{self.method}', which has: {', '.join(sorted(known))}"
            )
        if self.density is not None and self.method in WITHOUT_DENSITY:
            raise ValueError(f"method '{self.method}' starts with every connection; leave 'density' out")
        return self
