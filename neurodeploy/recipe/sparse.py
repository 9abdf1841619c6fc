"""The table ``[sparse]`` of a recipe, and the settings of each rewiring method. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from neurodeploy.files.checked import Record, one_of

Fraction = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A rewiring method.

    Attributes:
        start: ``module:function``, imported when a training begins. The function takes the weights by name, the optimiser
            and ``sparse.methods.RewiringSettings``, makes the weights sparse at the start, and returns the rewirer.
        settings: keys of the table ``[sparse]`` that the method uses, besides ``method`` and ``density``.
        density: whether the method has a density; a method without a density starts with every connection.
        reads_inputs: whether the method begins from the inputs of some training samples: their correlations decide masks
            (``RewiringSettings.inputs``), and voltages the size of the first weights (``training/first_weights.py``).
    """

    start: str
    settings: frozenset[str] = frozenset()
    density: bool = True
    reads_inputs: bool = False


_REWIRING = frozenset({"distribution", "ratio", "every_steps", "end_fraction"})
_PQ = frozenset({"scope", "shrink", "schedule", "iterations", "p", "q", "gamma", "eta", "floor", "finish"})
_HERE = "neurodeploy.sparse.methods"

METHODS: dict[str, Method] = {
    "dense": Method(start=f"{_HERE}:dense", density=False),
    "static": Method(start=f"{_HERE}:static", settings=frozenset({"distribution"})),
    "set": Method(start=f"{_HERE}:set_", settings=_REWIRING),
    "rigl": Method(start=f"{_HERE}:rigl", settings=_REWIRING),
    "granet": Method(start=f"{_HERE}:granet", settings=_REWIRING | {"floor"}),
    "srigl": Method(start=f"{_HERE}:srigl", settings=_REWIRING | {"ablation"}),
    "esl": Method(start=f"{_HERE}:esl", settings=_REWIRING | {"growth"}),
    "pq": Method(start=f"{_HERE}:pq", settings=_REWIRING | {"growth"} | _PQ),
    "sdsnn": Method(start=f"{_HERE}:sdsnn", settings=frozenset({"spine_constant", "spine_rate"}), density=False),
    "chsnn": Method(
        start="neurodeploy.sparse.chsnn:chsnn",
        settings=_REWIRING,
        reads_inputs=True,
    ),
    "rkd": Method(start=f"{_HERE}:rkd", settings=_REWIRING | {"growth"}),
}
"""The rewiring methods by name; the key ``method`` of a recipe's ``[sparse]`` names one of them."""


def takes_density(method: str) -> bool:
    """Return whether a method has a density; a method without a density starts with every connection."""
    return method not in METHODS or METHODS[method].density


class MethodSettings(Record):
    """Settings of rewiring methods with their defaults; ``METHODS`` says which method uses which setting.

    Attributes:
        growth: rule of growth, a name in ``sparse.scores.GROWTH``; None: the rule of the method.
        every_steps: optimiser steps between two rewirings.
        ratio: fraction rewired at the start, 0..1 (1 excluded); None: the fraction of the method.
        scope: ``layer`` or ``neuron`` (``pq``).
        shrink: whether ``pq`` removes connections at the end of each iteration.
        schedule: rule for how many connections ``pq`` moves and removes: ``pq``, or its controls ``fixed`` and ``cosine``.
        iterations: number of iterations of ``pq``.
        p, q, gamma, eta: see ``sparse.sparsity_index.PqSettings``.
        floor: density that ``granet`` ends at and ``pq`` never falls below.
        finish: part of the steps with rewirings, 0..1, in which ``pq`` falls the rest of the way to ``floor`` along a cubic
            curve, so that its ratios end with equally many connections; 0: it ends where its ratio led.
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
    finish: Annotated[float, Field(ge=0, le=1)] = 0.0
    ablation: Annotated[float, Field(ge=0, le=1)] = 0.3
    spine_constant: Annotated[int, Field(ge=1)] = 18
    spine_rate: Annotated[float, Field(ge=0)] = 1.0


class SparseRecipe(MethodSettings):
    """Rewiring: the method, the number of connections, and how often and by what rule they move (``sparse.methods``).

    ``density`` is the density of all weights at the start; ``dense`` and ``sdsnn`` have none. A run that starts from a
    network keeps its largest weights up to this density, or all connections if no density is given. ``end_fraction`` is the
    part of training in which connections move. Every other key belongs to some methods only (``METHODS``).
    """

    method: Annotated[str, one_of(METHODS)] = "esl"
    density: Fraction | None = None
    distribution: Literal["erk", "er", "uniform"] = "erk"
    growth: Literal["random", "gradient", "unseen", "momentum", "displacement"] | None = None
    end_fraction: Fraction = 0.75

    @model_validator(mode="after")
    def _belongs_to_method(self) -> SparseRecipe:
        known = METHODS[self.method].settings
        if foreign := sorted(self.model_fields_set - known - {"method", "density"}):
            raise ValueError(
                f"'{foreign[0]}' is no setting of method '{self.method}', which has: {', '.join(sorted(known))}"
            )
        if self.density is not None and not takes_density(self.method):
            raise ValueError(f"method '{self.method}' starts with every connection; leave 'density' out")
        return self
