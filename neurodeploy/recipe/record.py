"""The records of a whole recipe, which hold everything that decides a training run."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from neurodeploy.errors import UsageError
from neurodeploy.files.checked import Record
from neurodeploy.network import DECAY_ONE
from neurodeploy.recipe.architectures import Layers
from neurodeploy.recipe.budget import BudgetRecipe
from neurodeploy.recipe.data import DataRecipe, Seed
from neurodeploy.recipe.layers import DenseLayer, NeuronRecipe, layer_names
from neurodeploy.recipe.pins import Pins
from neurodeploy.recipe.sparse import SparseRecipe, takes_density

_REPLACED = {
    "layers": [{"neurons": 1}],
    "neuron": {"threshold": 64, "current_decay": DECAY_ONE, "voltage_decay": DECAY_ONE, "tau_grad": 0.01},
}
"""Placeholder ``[network]`` of a recipe whose layers come from its ``start`` file."""

Backend = Literal["native", "slayer"]
BACKENDS: tuple[str, ...] = get_args(Backend)
"""What can compute a training: torch alone on any Python, or lava-dl's slayer on Python 3.10 (``training/model``)."""


class NetworkRecipe(Record):
    """Layers from first hidden to output (``layers.py``); ``dt`` is the length of a step in seconds.

    ``neuron`` holds the parameters of all layers that do not set their own.
    """

    dt: Annotated[float, Field(gt=0)] = 1e-3
    layers: Layers
    neuron: NeuronRecipe


class StartRecipe(Record):
    """A network to start from: any feed-forward chain of CUBA neurons in a NIR file.

    Its layers, decays, thresholds, biases, weights and connections replace those in ``[network]``, of which only
    ``tau_grad`` and ``scale_grad`` are then used. ``reading`` says what the framework that wrote the file means by it (as
    ``--reading`` does), ``dt`` is the length of a step in seconds, for files that do not give it; ``weight_bits`` is the
    width of the weights from the first step on (8: the chip's grid for mixed signs).
    """

    file: Annotated[str, Field(min_length=1)]
    reading: Annotated[str, Field(min_length=1)] | None = None
    dt: Annotated[float, Field(gt=0)] | None = None
    weight_bits: Annotated[int, Field(ge=3, le=8)] = 8


class TeacherRecipe(Record):
    """A dense network that is trained first, with the same data and optimiser, and is then fixed."""

    layers: Layers
    epochs: Annotated[int, Field(ge=1)]


class DistillationRecipe(Record):
    """Learning from a teacher's outputs: ``(1 - a) loss + a T**2 KL``, with ``a`` rising to ``weight`` over the warm-up.

    ``direction``: ``reverse`` has a teacher with fewer weights than the student (all possible weights counted), ``normal`` a
    teacher with at least as many. ``weight`` 0 is the control without distillation.
    """

    direction: Literal["reverse", "normal"] = "reverse"
    weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    temperature: Annotated[float, Field(gt=0)] = 4.0
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    teacher: TeacherRecipe


class TrainingRecipe(Record):
    """Optimiser (AdamW, cosine learning rate) and loss (cross-entropy of output spike counts times ``logit_scale``).

    ``backend`` computes the passes, ``native`` with torch alone, ``slayer`` with lava-dl; both give the same spikes.
    ``loss = "tet"`` averages the cross-entropy of the counts so far over all steps; in addition, ``tet_weight`` pulls these
    counts towards ``tet_target``. ``operations_penalty`` is added to the loss for each synaptic operation per connection and
    sample, ``spikes_penalty`` for each spike per hidden neuron and sample. ``restarts`` is the number of cosine cycles of
    the learning rate. In every epoch each image is moved by up to ``shift`` pixels along both axes
    (``training/augment.py``); the teacher sees the image that is not moved. A batch is computed in ``parts``, whose
    gradients are added: this takes less memory, and gives exactly the weights of a run with that many processes under
    ``torchrun``.
    """

    backend: Backend = "native"
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1, le=2**24)] = 32
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
    shift: Annotated[int, Field(ge=0, le=2**12)] = 0
    parts: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 1  # fixed, so that sums are rounded in the same way on every machine

    @model_validator(mode="after")
    def _parts_hold_samples(self) -> TrainingRecipe:
        if self.parts > self.batch_size:
            raise ValueError(
                f"parts is {self.parts}, more than the {self.batch_size} samples of a batch ('batch_size')"
            )
        return self


class Recipe(Record):
    """A training run: data, network (or a network to start from), rewiring, optimiser, seed."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Seed = 0
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
        if values.get("distillation") and "neuron" not in _table(values, "network"):
            raise ValueError("a teacher needs 'network.neuron' besides the file in 'start'")
        return {**values, "network": {**_REPLACED, **_table(values, "network")}}

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


def _table(values: dict[str, Any], name: str) -> dict[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name} = {table!r} is no table of keys")
    return table


def on_backend(recipe: Recipe, backend: str | None) -> Recipe:
    """Return the recipe with another backend, or as it is where ``backend`` is None.

    Raises:
        UsageError: for an unknown backend.
    """
    if backend is None or backend == recipe.training.backend:
        return recipe
    if backend not in BACKENDS:
        raise UsageError(f"train: unknown backend '{backend}'; known: {', '.join(BACKENDS)}")
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"backend": backend})})
