"""A recipe: one ``models/*.toml`` file as checked records. It holds everything that decides a training run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from neurodeploy.files.checked import Record
from neurodeploy.network import DECAY_ONE
from neurodeploy.recipe.architectures import Layers
from neurodeploy.recipe.budget import BudgetRecipe
from neurodeploy.recipe.data import DataRecipe
from neurodeploy.recipe.layers import DenseLayer, NeuronRecipe, layer_names
from neurodeploy.recipe.pins import Pins
from neurodeploy.recipe.sparse import SparseRecipe, takes_density

_REPLACED = {
    "layers": [{"neurons": 1}],
    "neuron": {"threshold": 64, "current_decay": DECAY_ONE, "voltage_decay": DECAY_ONE, "tau_grad": 0.01},
}
"""Stands where a recipe leaves out what its ``start`` file says."""


class NetworkRecipe(Record):
    """Layers from first hidden to output (``layers.py``); ``dt`` is the length of a step in seconds.

    ``neuron`` is that of every layer which does not say otherwise.
    """

    dt: Annotated[float, Field(gt=0)] = 1e-3
    layers: Layers
    neuron: NeuronRecipe


class StartRecipe(Record):
    """A network to go on from: any feed-forward chain of CUBA neurons in a NIR file.

    Its layers, decays, thresholds, biases, weights and connections take the place of those in ``[network]``, of which
    only ``tau_grad`` and ``scale_grad`` count then. ``dt`` is the length of a step in seconds, for files that do not tell;
    ``weight_bits`` are those that weights have from the first step on (8: the chip's grid for mixed signs).
    """

    file: Annotated[str, Field(min_length=1)]
    dt: Annotated[float, Field(gt=0)] | None = None
    weight_bits: Annotated[int, Field(ge=3, le=8)] = 8


class TeacherRecipe(Record):
    """A dense network that is trained first, by the same data and optimiser, and then only answers."""

    layers: Layers
    epochs: Annotated[int, Field(ge=1)]


class DistillationRecipe(Record):
    """Learning from a teacher's answers: ``(1 - a) loss + a T**2 KL``, with ``a`` rising to ``weight`` over the warm-up.

    ``direction``: ``reverse`` has a teacher with fewer weights than the student (all possible ones counted), ``normal`` one
    with at least as many. ``weight`` 0 is the control without distillation.
    """

    direction: Literal["reverse", "normal"] = "reverse"
    weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    temperature: Annotated[float, Field(gt=0)] = 4.0
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    teacher: TeacherRecipe


class TrainingRecipe(Record):
    """Optimiser (AdamW, cosine learning rate) and loss (cross-entropy of output spike counts times ``logit_scale``).

    ``loss = "tet"`` averages the cross-entropy of the counts so far over all steps; ``tet_weight`` pulls these counts
    towards ``tet_target`` besides. ``operations_penalty`` is the price of one synaptic operation a connection and sample,
    ``spikes_penalty`` that of one spike a hidden neuron and sample. ``restarts`` is the number of cosines that the learning
    rate goes through. In every epoch each image is moved by up to ``shift`` pixels along both axes (``train/augment.py``); a
    teacher's answers stay those to the image in its place. A batch is computed in ``parts``, whose gradients are added: less
    memory, and the very weights that as many processes get under ``torchrun``.
    """

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    weight_scale: Annotated[float, Field(gt=0)] = 1.0
    logit_scale: Annotated[float, Field(gt=0)] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    loss: Literal["cross_entropy", "tet"] = "cross_entropy"
    tet_weight: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tet_target: float = 1.0
    operations_penalty: Annotated[float, Field(ge=0)] = 0.0
    spikes_penalty: Annotated[float, Field(ge=0)] = 0.0
    restarts: Annotated[int, Field(ge=1)] = 1
    shift: Annotated[int, Field(ge=0)] = 0
    parts: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 1  # fixed, so that sums are rounded alike on every machine


class Recipe(Record):
    """One training run: data, network (or one to start from), rewiring, optimiser, seed."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: int = 0
    data: DataRecipe
    network: NetworkRecipe
    sparse: SparseRecipe
    training: TrainingRecipe
    distillation: DistillationRecipe | None = None
    budget: BudgetRecipe | None = None
    start: StartRecipe | None = None
    mapping: Pins | None = None

    @model_validator(mode="before")
    @classmethod
    def _network_may_come_from_a_file(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("start"):
            return values
        if values.get("budget"):
            raise ValueError("a [budget] is for networks that begin sparse, not for one to start from")
        if values.get("distillation") and "neuron" not in values.get("network", {}):
            raise ValueError("a teacher needs 'network.neuron' besides the file in 'start'")
        return {**values, "network": {**_REPLACED, **values.get("network", {})}}

    @model_validator(mode="after")
    def _has_a_density(self) -> Recipe:
        method = self.sparse.method
        if self.sparse.density is None and self.start is None and takes_density(method):
            raise ValueError(f"sparse: method '{method}' needs a 'density'")
        return self

    @model_validator(mode="after")
    def _spines_follow_a_chain(self) -> Recipe:
        recurrent = any(isinstance(layer, DenseLayer) and layer.recurrent for layer in self.network.layers)
        if recurrent and self.sparse.method == "sdsnn":
            raise ValueError("method 'sdsnn' prunes neurons by what leads into them, which recurrent layers contradict")
        return self

    @model_validator(mode="after")
    def _budget_is_for_dense_layers(self) -> Recipe:
        if self.budget is None:
            return self
        if not takes_density(self.sparse.method):
            raise ValueError(f"method '{self.sparse.method}' starts with every connection, which no [budget] limits")
        names = layer_names(len(self.network.layers))
        for name, layer in zip(names, self.network.layers):
            if not isinstance(layer, DenseLayer) or layer.recurrent or layer.delay:
                dense = "recurrent" if getattr(layer, "recurrent", False) else "delayed"
                what = dense if isinstance(layer, DenseLayer) else layer.kind
                raise ValueError(f"a [budget] is for dense layers without delays, but layer '{name}' is {what}")
        for register in ("cores", "synapse_words", "input_axons", "destinations"):
            amounts = getattr(self.budget, register)
            if isinstance(amounts, dict) and (unknown := sorted(set(amounts) - set(names))):
                raise ValueError(f"budget.{register} names layer '{unknown[0]}'; there are: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _has_teacher(self) -> Recipe:
        if self.sparse.method == "rkd" and self.distillation is None:
            raise ValueError("method 'rkd' needs a [distillation] table with a teacher")
        return self
