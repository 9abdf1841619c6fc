"""The records of a whole recipe, which hold everything that decides a training run."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from neurodeploy.errors import UsageError
from neurodeploy.files.checked import Record
from neurodeploy.network import DECAY_ONE, WINDOW_MAX
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

DENSITY = 0.1
"""Density of a recipe that names none, where the method has one and training does not start from a network."""
Backend = Literal["native", "slayer"]
BACKENDS: tuple[str, ...] = get_args(Backend)
"""What can compute a training: torch alone on any Python, or lava-dl's slayer on Python 3.10 (``training/model``)."""


class NetworkRecipe(Record):
    """The layers from first hidden to output, and what their neurons have in common."""

    dt: Annotated[float, Field(gt=0)] = 1e-3
    """Length of a step, in seconds."""
    layers: Layers
    """Layers from first hidden to output (a list of tables), or a network of a paper by name: `"vggsnn"`, or `{ name =
    "vggsnn", width = 0.5, classes = 11, dropout = 0.2 }`. The last layer is dense: one neuron for each class."""
    neuron: NeuronRecipe = NeuronRecipe(threshold=64, current_decay=2048, voltage_decay=512, tau_grad=0.01)
    """Parameters of the neurons of all layers that do not set their own."""
    window: Annotated[int, Field(ge=1, le=WINDOW_MAX)] | None = None
    """For data with a label a step: steps that the class of a step looks back over, by the counts of the output's spikes. By
    default there is one class a sample."""


class StartRecipe(Record):
    """A network to start from: any feed-forward chain of CUBA neurons in a NIR file.

    Its layers, decays, thresholds, biases, weights and connections replace those in ``[network]``, of which only
    ``tau_grad`` and ``scale_grad`` are then used.
    """

    file: Annotated[str, Field(min_length=1)]
    """Network file to start from."""
    reading: Annotated[str, Field(min_length=1)] | None = None
    """What the framework that wrote the file means by it, as `--reading` takes it."""
    dt: Annotated[float, Field(gt=0)] | None = None
    """Length of a step in seconds, for files that do not give it."""
    weight_bits: Annotated[int, Field(ge=3, le=8)] = 8
    """Width of the weights from the first step on, in bits (8: the chip's grid for mixed signs)."""


class TeacherRecipe(Record):
    """A dense network that is trained first, with the same data and optimiser, and is then fixed."""

    layers: Layers
    """The teacher's layers, as `network.layers`."""
    epochs: Annotated[int, Field(ge=1)]
    """Passes over the training samples."""


class DistillationRecipe(Record):
    """Learning from a teacher's outputs: ``(1 - a) loss + a T**2 KL``, with ``a`` rising to ``weight`` over the warm-up."""

    direction: Literal["reverse", "normal"] = "reverse"
    """`reverse` has a teacher with fewer weights than the student (all possible weights counted), `normal` one with at least
    as many."""
    weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of the teacher in the loss after the warm-up; 0 is the control without distillation."""
    temperature: Annotated[float, Field(gt=0)] = 4.0
    """Temperature T that softens the outputs of both."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    """Epochs over which the share of the teacher rises from 0."""
    teacher: TeacherRecipe
    """The teacher, a dense network that is trained first, with the same data and optimiser, and is then fixed."""


class TrainingRecipe(Record):
    """Optimiser (AdamW, cosine learning rate) and loss (cross-entropy of output spike counts times ``logit_scale``)."""

    backend: Backend = "native"
    """What computes the passes: `native` with torch alone, `slayer` with lava-dl on Python 3.10; both give the same spikes.
    """
    epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the training samples."""
    batch_size: Annotated[int, Field(ge=1, le=2**24)] = 32
    """Samples of one step of the optimiser."""
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] = 1e-3
    """Learning rate at the start of each cosine cycle."""
    weight_decay: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """AdamW's decay of weights."""
    weight_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the random weights at the start."""
    logit_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the spike counts of the output before the softmax."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread over all classes."""
    loss: Literal["cross_entropy", "tet"] = "cross_entropy"
    """`cross_entropy` of the counts of all steps, or `tet`: the mean over steps of the cross-entropy of the counts so far.
    """
    tet_weight: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Strength with which `tet` pulls the counts so far towards `tet_target`."""
    tet_target: float = 1.0
    """Spikes of each output neuron that `tet` pulls towards."""
    operations_penalty: Annotated[float, Field(ge=0)] = 0.0
    """Added to the loss for each synaptic operation per connection and sample."""
    spikes_penalty: Annotated[float, Field(ge=0)] = 0.0
    """Added to the loss for each spike per hidden neuron and sample."""
    restarts: Annotated[int, Field(ge=1)] = 1
    """Cosine cycles of the learning rate."""
    shift: Annotated[int, Field(ge=0, le=2**12)] = 0
    """In every epoch each image is moved by up to so many pixels along both axes; the teacher sees the image that is not
    moved."""
    parts: Annotated[int, Field(ge=1)] = 1
    """A batch is computed in so many parts, whose gradients are added: less memory, and exactly the weights of a run with as
    many processes under `torchrun`."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of a process; fixed, so that sums are rounded in the same way on every machine."""

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
    """Name of the run and of its folder."""
    seed: Seed = 0
    """Seed of weights, masks, rewiring and the order of samples."""
    data: DataRecipe
    """The data set, its parts, and its encoding as events."""
    network: NetworkRecipe
    """The network to train."""
    sparse: SparseRecipe = SparseRecipe()
    """Rewiring: the method, the number of connections, and how they move."""
    training: TrainingRecipe = TrainingRecipe()
    """Optimiser and loss."""
    distillation: DistillationRecipe | None = None
    """Learning from a teacher; needed by the method `rkd`."""
    budget: BudgetRecipe | None = None
    """Limits of a chip that rewiring keeps during training."""
    start: StartRecipe | None = None
    """A network to start from instead of random weights."""
    mapping: Pins | None = None
    """Choices of the mapping onto a chip that are fixed by hand."""

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

    @model_validator(mode="before")
    @classmethod
    def _has_a_density(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("start"):
            return values
        sparse = values.get("sparse", {})
        if not isinstance(sparse, dict) or sparse.get("density") is not None:
            return values
        method = str(sparse.get("method", SparseRecipe.model_fields["method"].default))
        return {**values, "sparse": {**sparse, "density": DENSITY}} if takes_density(method) else values

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
    def _a_class_a_step_follows_labels(self) -> Recipe:
        if self.network.window is None:
            return self
        if self.distillation is not None:
            raise ValueError("a teacher answers once a sample; a class a step ('network.window') has no [distillation]")
        if self.training.loss == "tet":
            raise ValueError("the loss 'tet' is for one class a sample; 'network.window' takes 'cross_entropy'")
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
