"""Training: a recipe becomes a folder with the best checkpoint, the metrics of every epoch and the test spikes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from neurodeploy.activity import Samples, save_samples
from neurodeploy.data import encode, encoded, load_splits
from neurodeploy.data.encoded import Encoded
from neurodeploy.errors import FileError, TrainingError, TrainingInterruptedError
from neurodeploy.network import STATE_LIMIT
from neurodeploy.recipe import Recipe
from neurodeploy.train.board import Board
from neurodeploy.train.checkpoint import save_checkpoint
from neurodeploy.train.measure import EpochMetrics, measure
from neurodeploy.train.run import Run
from neurodeploy.train.state import Best, load_state, save_state, stop_on_interrupt
from neurodeploy.train.teacher import train_teacher

CHECKPOINT_FILE = "checkpoint.safetensors"
METRICS_FILE = "metrics.jsonl"
STATE_FILE = "state.safetensors"
TEACHER_FILE = "teacher.json"
TEST_FILE = "test.npz"
RECIPE_FILE = "recipe.toml"
BOARD_FOLDER = "tensorboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What training left in ``folder``; accuracies are those of the best epoch, chosen on the validation part alone."""

    folder: Path
    checkpoint: Path
    test_samples: Path
    best_epoch: int
    epochs: int
    validation_accuracy: float
    seconds: float


def train(
    recipe: Recipe,
    folder: Path,
    *,
    recipe_text: str,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> TrainingResult:
    """Train a recipe and keep the epoch with the best validation accuracy (ties: the lower loss).

    An epoch counts once the number of connections is final and while all states fit 24 bits. The whole state is saved
    after every epoch and on Ctrl-C; resumed, a run ends with the same weights as an unbroken one. The test part of the
    data is encoded and written for later stages; nothing here looks at it.

    Args:
        recipe: what to train; its seed decides weights, masks, rewiring and the order of samples.
        folder: where to write; made if absent.
        recipe_text: the recipe's TOML text, kept in the checkpoint.
        force: replace the results of an earlier run in ``folder``.
        resume: go on with the run in ``folder``.
        tensorboard: write curves below ``folder/tensorboard`` as well.
        on_epoch: called after each epoch.

    Raises:
        FileError: where ``folder`` already holds a run and neither ``force`` nor ``resume`` is set, or none to resume.
        TrainingError: where the loss is not finite, the saved state belongs to another recipe, or states left 24 bits.
        TrainingInterruptedError: after Ctrl-C, when the state is saved.
    """
    _refuse_to_replace(folder, force, resume)
    torch.set_num_threads(recipe.training.threads)
    train_part, validation_part, test_part = load_splits(recipe.data)
    samples, validation = encoded(train_part, recipe.data, "train"), encoded(validation_part, recipe.data, "validation")
    with stop_on_interrupt() as stop:
        if resume:
            training = _resumed(recipe, folder, recipe_text, samples)
        else:
            test = encode(test_part, recipe.data, "test")
            training = _begun(recipe, folder, recipe_text, samples, validation, test, stop)
        board = Board(folder / BOARD_FOLDER) if tensorboard else None
        try:
            training.run_epochs(validation, stop, on_epoch, board)
        finally:
            if board:
                board.close()
    return training.result()


class _Training:
    """A run in its folder: what it has written, its best epoch, the time it took."""

    def __init__(self, run: Run, folder: Path, recipe_text: str, best: Best | None, seconds: float) -> None:
        self.run, self.folder, self.recipe_text, self.best = run, folder, recipe_text, best
        self._started = time.perf_counter() - seconds

    def run_epochs(
        self,
        validation: Encoded,
        stop: Callable[[], bool],
        on_epoch: Callable[[EpochMetrics], None] | None,
        board: Board | None,
    ) -> None:
        """Train to the end, writing as it goes."""
        epochs = self.run.recipe.training.epochs
        while self.run.epochs_done < epochs:
            result = self.run.epoch(stop)
            if result is not None:
                metrics = measure(self.run, validation, *result, self.seconds)
                self._keep(metrics)
                if board:
                    board.write(metrics)
                if on_epoch:
                    on_epoch(metrics)
            save_state(
                self.folder / STATE_FILE, self.run, recipe_text=self.recipe_text, best=self.best, seconds=self.seconds
            )
            if stop() and self.run.epochs_done < epochs:
                raise TrainingInterruptedError(
                    f"train: interrupted in epoch {self.run.epochs_done + 1} of {epochs}; the state is saved in "
                    f"{self.folder / STATE_FILE}. To go on: the same command with --resume"
                )

    def result(self) -> TrainingResult:
        """Return what the run came to; raises ``TrainingError`` where its best epoch left the range of states."""
        best = self.best
        assert best is not None, "a recipe has at least one epoch"
        if not best.in_range:
            raise TrainingError(
                f"train: in every epoch currents or voltages left 24 bits (2**23 = {STATE_LIMIT}), where simulators and "
                "chip would compute something else; lower training.weight_scale or data.n_steps, or raise the decays"
            )
        return TrainingResult(
            folder=self.folder,
            checkpoint=self.folder / CHECKPOINT_FILE,
            test_samples=self.folder / TEST_FILE,
            best_epoch=best.epoch,
            epochs=self.run.recipe.training.epochs,
            validation_accuracy=best.validation_accuracy,
            seconds=self.seconds,
        )

    @property
    def seconds(self) -> float:
        """Seconds spent, those before a resumption included."""
        return time.perf_counter() - self._started

    def _keep(self, metrics: EpochMetrics) -> None:
        with (self.folder / METRICS_FILE).open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(metrics)) + "\n")
        rank = Best(
            settled=metrics.settled,
            in_range=metrics.in_range,
            validation_accuracy=metrics.validation_accuracy,
            minus_loss=-metrics.validation_loss,
            epoch=metrics.epoch,
        )
        if self.best is None or rank > self.best:
            self.best = rank
            save_checkpoint(
                self.folder / CHECKPOINT_FILE,
                self.run.model,
                self.run.rewirer.export_masks(),
                recipe_text=self.recipe_text,
                epoch=metrics.epoch,
                validation_accuracy=metrics.validation_accuracy,
            )


def _refuse_to_replace(folder: Path, force: bool, resume: bool) -> None:
    for name in (CHECKPOINT_FILE, STATE_FILE):
        if (folder / name).exists() and not (force or resume):
            raise FileError(
                f"train: {folder / name} exists; choose another --out, or --force to replace it, or --resume to go on"
            )


def _begun(
    recipe: Recipe,
    folder: Path,
    recipe_text: str,
    samples: Encoded,
    validation: Encoded,
    test: Samples,
    stop: Callable[[], bool],
) -> _Training:
    """Clear the folder of an earlier run and begin a new one, with its teacher if it has one."""
    teacher = train_teacher(recipe, samples, validation, stop) if recipe.distillation else None
    run = Run(recipe, samples, teacher[0] if teacher else None)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CHECKPOINT_FILE, STATE_FILE, METRICS_FILE, TEACHER_FILE):
        (folder / name).unlink(missing_ok=True)
    save_samples(test, folder / TEST_FILE)
    (folder / RECIPE_FILE).write_text(recipe_text, encoding="utf-8")
    if teacher:
        (folder / TEACHER_FILE).write_text(json.dumps(asdict(teacher[1])) + "\n", encoding="utf-8")
    return _Training(run, folder, recipe_text, None, 0.0)


def _resumed(recipe: Recipe, folder: Path, recipe_text: str, samples: Encoded) -> _Training:
    """Take up the run in a folder, forgetting metrics of an epoch that the saved state does not know."""
    run = Run(recipe, samples)
    best, seconds = load_state(folder / STATE_FILE, run, recipe_text=recipe_text)
    log = folder / METRICS_FILE
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    partial = log.with_name(log.name + ".part")
    partial.write_text("".join(line + "\n" for line in lines[: run.epochs_done]), encoding="utf-8")
    partial.replace(log)
    return _Training(run, folder, recipe_text, best, seconds)
