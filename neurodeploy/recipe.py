"""A recipe: one ``models/*.toml`` file as checked records. It holds everything that decides a training run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from neurodeploy.errors import RecipeError, UsageError
from neurodeploy.files.checked import Record, worst_problem
from neurodeploy.files.shipped import resource_dir
from neurodeploy.files.toml import TomlError, parse_toml
from neurodeploy.layers import DenseLayer, Layers, NeuronRecipe, layer_names
from neurodeploy.mapping.pins import Pins
from neurodeploy.network import DECAY_ONE
from neurodeploy.sparse.options import METHOD_SETTINGS, WITHOUT_DENSITY

START_DENSITY = 0.5
"""Density at which ``method_recipe`` lets methods begin that lose connections."""

Fraction = Annotated[float, Field(gt=0, le=1)]

ImageSet = Literal["digits", "mnist", "fashion-mnist", "cifar10", "cifar100"]
EventSet = Literal["nmnist", "dvs-gesture", "cifar10-dvs", "shd", "braille", "fsdd"]


class DataRecipe(Record):
    """Which data set, and how its values or events become spikes over ``n_steps`` steps.

    Images take the encoding ``rate``, ``latency`` or ``current`` (``data/encode.py``); recordings of events become binary
    ``frames`` of their first ``duration_s`` seconds (by default as long as the set's recordings), of camera pixels inside
    the middle ``crop`` (height, width), ``pool`` by ``pool`` of them as one. ``test_fraction`` counts for sets without a
    test part of their own.

    ``root`` is the folder with the data sets (otherwise NEURODEPLOY_DATA, or ``data``); ``test_samples`` is how many samples
    of the test part are used at most.
    """

    name: Literal[ImageSet, EventSet]
    encoding: Literal["rate", "latency", "current", "frames"] = "rate"
    n_steps: Annotated[int, Field(ge=1, le=1000)]
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25
    split_seed: int = 0
    root: str | None = None
    duration_s: Annotated[float, Field(ge=1e-3, le=100)] | None = None
    crop: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    pool: Annotated[int, Field(ge=1)] = 1
    test_samples: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _events_are_frames(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("name") in get_args(EventSet):
            return {"encoding": "frames", **values}
        return values

    @model_validator(mode="after")
    def _fits_kind_of_set(self) -> DataRecipe:
        events = self.name in get_args(EventSet)
        if events != (self.encoding == "frames"):
            takes = "'frames'" if events else "'rate', 'latency' or 'current'"
            raise ValueError(f"'{self.name}' takes the encoding {takes}, not '{self.encoding}'")
        if not events and (self.duration_s or self.crop or self.pool > 1):
            raise ValueError(f"'duration_s', 'crop' and 'pool' are for events; '{self.name}' holds images")
        if self.name in ("shd", "braille", "fsdd") and (self.crop or self.pool > 1):
            raise ValueError(f"'crop' and 'pool' are for cameras; '{self.name}' has channels in a row")
        return self


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


class SparseRecipe(Record):
    """Rewiring: the method, how many connections there are, how often and by what rule they move (``sparse.methods``).

    ``density`` is that of all weights at the start; ``dense`` and ``sdsnn`` take none. A run that starts from a network
    keeps its largest weights up to that density, or without one all its connections. ``end_fraction`` is the part of
    training in which connections move. Every other key belongs to some methods only (``sparse/options.py``).
    """

    method: Literal["dense", "static", "set", "rigl", "granet", "srigl", "esl", "pq", "sdsnn", "rkd"] = "esl"
    density: Fraction | None = None
    distribution: Literal["erk", "er", "uniform"] = "erk"
    growth: Literal["random", "gradient", "unseen", "momentum", "displacement"] | None = None
    every_steps: Annotated[int, Field(ge=1)] = 100
    ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    end_fraction: Fraction = 0.75
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


def _amounts(value: object) -> object:
    for amount in value.values() if isinstance(value, dict) else [value]:
        if value is not None and (type(amount) is not int or amount < 1):
            raise ValueError(
                f"{amount!r} is no whole number of 1 or more; give one for all layers, or a table by layer"
            )
    return value


Amounts = Annotated[int | dict[str, int] | None, BeforeValidator(_amounts)]


class BudgetRecipe(Record):
    """Limits of a chip that all connections keep from the first step on (``mapping.budget``).

    ``cores`` is the number of cores of each layer, the others tighten the chip's own limits: ``synapse_words`` and
    ``input_axons`` of a core, ``destinations``, the cores that one source reaches. Each is one number for all layers, or a
    table by layer (``hidden1``, ..., ``output``). ``preference`` is that of growth for sources that reach a core already;
    with ``whole_lists`` a rewiring drops all that a source has on a core together, so that another source may reach it.
    """

    chip: str
    cores: Amounts = None
    synapse_words: Amounts = None
    input_axons: Amounts = None
    destinations: Amounts = None
    preference: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    whole_lists: bool = False


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
        if self.sparse.density is None and self.start is None and method not in WITHOUT_DENSITY:
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
        if self.sparse.method in WITHOUT_DENSITY:
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


def recipe_names() -> list[str]:
    """Return the names of the recipes that came with neurodeploy."""
    return sorted(path.stem for path in resource_dir("models").glob("*.toml"))


def find_recipe(name_or_path: str | Path) -> Path:
    """Return the path of a recipe file, or of the shipped recipe of that name.

    Raises:
        RecipeError: where there is neither; lists the shipped recipes.
    """
    path = Path(name_or_path)
    shipped = resource_dir("models") / f"{name_or_path}.toml"
    if path.is_file():
        return path
    if shipped.is_file():
        return shipped
    known = ", ".join(recipe_names())
    raise RecipeError(f"recipe: there is no file {name_or_path}; recipes that come with neurodeploy: {known}")


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Return a recipe read from a TOML file or from the shipped recipe of that name.

    Raises:
        RecipeError: for a missing file, bad TOML, an unknown key (lists the known ones) or a value out of range.
    """
    path = find_recipe(name_or_path)
    try:
        return parse_recipe(path.read_text(encoding="utf-8"), where=str(name_or_path))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe: {path} cannot be read: {error}") from error


def starting_from(
    text: str, file: Path | None, *, weight_bits: int | None = None, dt: float | None = None, where: str
) -> str:
    """Return a recipe's text with a ``start`` table for ``file`` in its first line; without one, the text itself.

    Raises:
        UsageError: where only ``weight_bits`` or ``dt`` is given.
        RecipeError: where the recipe has such a table already, or is no TOML.
    """
    if file is None:
        if weight_bits is not None or dt is not None:
            raise UsageError("train: --weight-bits and --dt say how the network of --from is read; name that, too")
        return text
    if "start" in _toml(text, where):
        raise RecipeError(
            f"recipe: {where} names a network to start from itself; leave --from out, or take out 'start'"
        )
    table = {"file": str(file), "weight_bits": weight_bits, "dt": dt}
    # a JSON string or number is one of TOML as well
    line = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None)
    return f"start = {{ {line} }}\n{text}"


def recipe_values(name_or_path: str | Path, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tables of a recipe as plain values, with the keys of ``changes`` replaced, table by table."""
    values = _toml(find_recipe(name_or_path).read_text(encoding="utf-8"), str(name_or_path))
    return {**values, **{table: {**values.get(table, {}), **own} for table, own in changes.items()}}


def method_recipe(
    values: Mapping[str, Any], wanted: Mapping[str, Any], density: float | None, seed: int
) -> dict[str, Any]:
    """Return the recipe ``values`` with another rewiring method, density and seed, as plain values.

    Settings of ``values`` that the method has too stay, except those that choose its rule (growth, ratio). Methods that
    lose connections (``pq``, ``granet``) begin at ``START_DENSITY``, or at ``density`` where that is more, and end at
    ``density``. A table ``distillation`` is for ``rkd`` alone.

    Args:
        values: tables of a recipe.
        wanted: ``method`` and settings of its own.
        density: of all weights at the end, None for methods without one.
        seed: of weights, masks, rewiring and sample order.
    """
    settings = METHOD_SETTINGS[wanted["method"]]
    kept = {key: value for key, value in values.get("sparse", {}).items() if key in settings - {"growth", "ratio"}}
    sparse = {**kept, **wanted}
    if density is not None:
        falls = "floor" in settings
        sparse["density"] = max(START_DENSITY, density) if falls else density
        sparse.update({"floor": density} if falls else {})
    others = {key: value for key, value in values.items() if key != "distillation" or wanted["method"] == "rkd"}
    return {**others, "seed": seed, "sparse": sparse}


def parse_recipe(text: str, where: str) -> Recipe:
    """Return the recipe in ``text`` (TOML); ``where`` names its origin in errors."""
    try:
        return Recipe.model_validate(_toml(text, where))
    except ValidationError as error:
        raise RecipeError(f"recipe: {where}: {worst_problem(error, Recipe)}") from error


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except TomlError as error:
        raise RecipeError(f"recipe: {where} is not valid TOML: {error}") from error
