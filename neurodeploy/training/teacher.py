"""Teacher of a distillation: a dense network that is trained first and computes its logits of the training samples once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from neurodeploy.data.encoded_part import Encoded
from neurodeploy.errors import TrainingError, TrainingInterruptedError
from neurodeploy.network.activity import Samples
from neurodeploy.recipe.record import Recipe
from neurodeploy.recipe.sparse import SparseRecipe
from neurodeploy.training.metrics import evaluate
from neurodeploy.training.model.backends import build
from neurodeploy.training.model.chain import ChainModel
from neurodeploy.training.parallel import ALONE, World
from neurodeploy.training.run import Run, n_classes


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFacts:
    """Contents of ``teacher.json``; ``weights`` and ``student_weights`` count all possible weights, kept or not."""

    direction: str
    epochs: int
    weights: int
    student_weights: int
    validation_accuracy: float


def teacher_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe of the teacher: dense, with its own layers and epochs; the rest is the student's."""
    assert recipe.distillation is not None
    teacher = recipe.distillation.teacher
    return recipe.model_copy(
        update={
            "network": recipe.network.model_copy(update={"layers": teacher.layers}),
            "sparse": SparseRecipe(method="dense"),
            "training": recipe.training.model_copy(update={"epochs": teacher.epochs, "restarts": 1}),
            "distillation": None,
            "budget": None,
            "start": None,
        }
    )


def train_teacher(
    recipe: Recipe,
    samples: Samples | Encoded,
    validation: Samples | Encoded,
    stop: Callable[[], bool] = lambda: False,
    world: World = ALONE,
) -> tuple[torch.Tensor, TeacherFacts]:
    """Return a trained teacher's logits for all training samples, ``(n_samples, n_classes)``, and facts about it.

    The logits are computed in evaluation mode and without gradients; the teacher itself is not kept.

    Args:
        recipe: the student's, with a ``[distillation]`` table.
        samples, validation: the student's data.
        stop: asked after every batch; True gives up.
        world: the processes that train together.

    Raises:
        TrainingInterruptedError: if ``stop`` returned True.
        TrainingError: if the teacher's size contradicts the direction, or it has another number of classes.
    """
    assert recipe.distillation is not None
    run = Run(teacher_recipe(recipe), samples, world=world)
    with torch.random.fork_rng():
        student = _n_weights(build(recipe, run.entry))
    teacher, direction = _n_weights(run.model), recipe.distillation.direction
    if (teacher < student) != (direction == "reverse"):
        raise TrainingError(
            f"train: distillation.direction is '{direction}', but the teacher has {teacher} weights, the student {student}; "
            "a reverse teacher is smaller than its student, a normal one is not"
        )
    wanted = n_classes(recipe)
    if n_classes(run.recipe) != wanted:
        raise TrainingError(f"train: the teacher's last layer must have {wanted} neurons as the student's has")
    for _ in range(run.recipe.training.epochs):
        if run.epoch(stop) is None:
            raise TrainingInterruptedError("train: interrupted while the teacher was trained; nothing of it is kept")
    run.model.eval()
    with torch.no_grad():
        logits = torch.cat([run.logits(run.model(part)) for part in run.spikes.split(256)])
    return logits, TeacherFacts(
        direction=direction,
        epochs=run.recipe.training.epochs,
        weights=teacher,
        student_weights=student,
        validation_accuracy=evaluate(run, validation).accuracy,
    )


def _n_weights(model: ChainModel) -> int:
    return sum(weight.numel() for weight in model.weights().values())
