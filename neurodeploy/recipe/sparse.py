"""The table ``[sparse]`` of a recipe, and the settings of each rewiring method. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from neurodeploy.files.checked import OneOf, Record

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
        start="neurodeploy.sparse.hebb:chsnn",
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
    """Settings of rewiring methods with their defaults; ``METHODS`` says which method uses which setting."""

    growth: str | None = None
    """Rule of growth, a name in `sparse.scores.GROWTH`; by default that of the method."""
    every_steps: Annotated[int, Field(ge=1)] = 100
    """Steps of the optimiser between two rewirings."""
    ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the connections that is rewired at the start; by default that of the method."""
    scope: Literal["layer", "neuron"] = "layer"
    """Whether `pq` counts in a layer or in each neuron."""
    shrink: bool = True
    """Whether `pq` removes connections at the end of each iteration."""
    schedule: Literal["pq", "fixed", "cosine"] = "pq"
    """Rule for how many connections `pq` moves and removes: its own, or the controls `fixed` and `cosine`."""
    iterations: Annotated[int, Field(ge=1)] = 10
    """Iterations of `pq`."""
    p: Annotated[float, Field(gt=0)] = 0.5
    """Order of the first norm of the PQ index, above 0 and below `q`."""
    q: Annotated[float, Field(gt=0)] = 1.0
    """Order of the second norm of the PQ index."""
    gamma: Annotated[float, Field(ge=0)] = 1.0
    """Factor on the ratio of `pq`."""
    eta: Annotated[float, Field(ge=0)] = 0.001
    """Lowers the bound on the weights that `pq` keeps."""
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Density that `granet` ends at and `pq` never falls below."""
    finish: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Part of the steps with rewirings in which `pq` falls the rest of the way to `floor` along a cubic curve."""
    ablation: Annotated[float, Field(ge=0, le=1)] = 0.3
    """`srigl` removes a neuron with fewer salient connections than this share of its fan-in."""
    spine_constant: Annotated[int, Field(ge=1)] = 18
    """Epochs that a trend of a weight must last before its range in `sdsnn` moves."""
    spine_rate: Annotated[float, Field(ge=0)] = 1.0
    """Factor on the rates at which `sdsnn` prunes neurons."""


class SparseRecipe(MethodSettings):
    """Rewiring: the method, the number of connections, and how often and by what rule they move (``sparse.methods``).

    A key belongs to some methods only (``METHODS``).
    """

    method: Annotated[str, OneOf(METHODS)] = "esl"
    """Rewiring method."""
    density: Fraction | None = None
    """Share of all possible connections at the start, 0.1 by default; `dense` and `sdsnn` have none. A run that starts from
    a network keeps its largest weights up to this density, or all connections if no density is given."""
    distribution: Literal["erk", "er", "uniform"] = "erk"
    """How the density is shared among layers: `erk` by Erdos-Renyi with kernel sizes, `er` without them, `uniform` the same
    in all."""
    growth: Literal["random", "gradient", "unseen", "momentum", "displacement"] | None = None
    """Rule by which connections grow; by default that of the method."""
    end_fraction: Fraction = 0.75
    """Part of the training in which connections move."""

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
