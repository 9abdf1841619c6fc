"""Training: a recipe becomes a folder with the best checkpoint, the metrics of every epoch and the test spikes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from neurodeploy.data.encoded_part import Encoded
from neurodeploy.data.parts import AnyPart, encode, encoded, load_splits
from neurodeploy.errors import FileError, TrainingError, TrainingInterruptedError
from neurodeploy.files.paths import as_path
from neurodeploy.files.writing import write_text
from neurodeploy.network import STATE_LIMIT, Network
from neurodeploy.network.activity import save_samples
from neurodeploy.recipe.record import Recipe
from neurodeploy.recipe.sparse import SparseRecipe
from neurodeploy.run_folder import (
    BOARD_FOLDER,
    CHECKPOINT_FILE,
    METRICS_FILE,
    RECIPE_FILE,
    START_FILE,
    STATE_FILE,
    TEACHER_FILE,
    TEST_FILE,
)
from neurodeploy.sparse.methods import above_floor
from neurodeploy.training.checkpoint import save_checkpoint
from neurodeploy.training.metrics import EpochMetrics, evaluate, measure
from neurodeploy.training.model.imported import as_chain, with_layers_of
from neurodeploy.training.parallel import World, joined
from neurodeploy.training.run import Run
from neurodeploy.training.state import Best, load_state, save_state, shared_best, stop_on_interrupt
from neurodeploy.training.teacher import train_teacher
from neurodeploy.training.tensorboard import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What training left in ``folder``; accuracies are those of the best epoch, chosen on the validation part alone.

    Where training went on from a network, ``imported_accuracy`` is that of its integers on the validation part, and
    ``start_accuracy`` that of what the recipe's density left of it, before the first step. ``note`` is a line on a
    method that ended short of what it was told (``methods.above_floor``), or None.
    """

    folder: Path
    checkpoint: Path
    test_samples: Path
    best_epoch: int
    epochs: int
    validation_accuracy: float
    seconds: float
    imported_accuracy: float | None = None
    start_accuracy: float | None = None
    note: str | None = None


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    recipe_text: str,
    start: Network | None = None,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> TrainingResult:
    """Train a recipe and keep the epoch with the best validation accuracy (ties: the lower loss).

    An epoch counts once the number of connections is final and while all states fit 24 bits. The whole state is saved
    at the start, after every epoch and on Ctrl-C; resumed, a run ends with the same weights as an unbroken one. The test
    part of the data is encoded and written for later stages; nothing here looks at it. Under ``torchrun`` every process
    calls this; one of them writes and calls ``on_epoch``.

    Args:
        recipe: what to train; its seed decides weights, masks, rewiring and the order of samples.
        folder: where to write; made if absent.
        recipe_text: the recipe's TOML text, kept in the checkpoint.
        start: the network in the file that ``recipe.start`` names.
        force: replace the results of an earlier run in ``folder``.
        resume: go on with the run in ``folder``.
        tensorboard: write curves below ``folder/tensorboard`` as well.
        on_epoch: called after each epoch.

    Raises:
        FileError: where ``folder`` already holds a run and neither ``force`` nor ``resume`` is set, or none to resume.
        TrainingError: where the loss is not finite, the saved state belongs to another recipe, states left 24 bits, or
            ``start`` is no chain of layers that can be trained on.
        TrainingInterruptedError: after Ctrl-C, when the state is saved.
    """
    folder = as_path(folder)
    chain = None
    if start is not None:
        chain = as_chain(start, recipe.start.weight_bits if recipe.start else 8)
        recipe = with_layers_of(recipe, chain)
    torch.set_num_threads(recipe.training.threads)
    with joined() as world:
        _refuse_to_replace(folder, force, resume)
        train_part, validation_part, test_part = load_splits(recipe.data)
        samples, validation = (
            encoded(train_part, recipe.data, "train"),
            encoded(validation_part, recipe.data, "validation"),
        )
        world.wait()
        job = _Job(recipe=recipe, recipe_text=recipe_text, samples=samples, chain=chain, world=world, folder=folder)
        with stop_on_interrupt(world) as stop:
            training = _resumed(job) if resume else _begun(job, validation, test_part, stop)
            with _board(folder, tensorboard and world.leads) as board:
                training.run_epochs(validation, stop, on_epoch, board)
        return training.result()


@contextmanager
def _board(folder: Path, wanted: bool) -> Iterator[Board | None]:
    board = Board(folder / BOARD_FOLDER) if wanted else None
    try:
        yield board
    finally:
        if board:
            board.close()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """What is to be trained, from what, by whom, and where it is written."""

    recipe: Recipe
    recipe_text: str
    samples: Encoded
    chain: Network | None
    world: World
    folder: Path

    def run(self, teacher_logits: torch.Tensor | None = None) -> Run:
        """Return the run at its beginning."""
        return Run(self.recipe, self.samples, teacher_logits, chain=self.chain, world=self.world)


class _Training:
    """A run in its folder: what it has written, its best epoch, the time it took."""

    def __init__(self, job: _Job, run: Run, best: Best | None, seconds: float) -> None:
        self.run, self.folder, self.recipe_text, self.best = run, job.folder, job.recipe_text, best
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
            if self.run.world.leads:
                if result is not None:
                    self._write(measure(self.run, validation, *result, self.seconds), on_epoch, board)
                self.save()
            self.best = shared_best(self.best, self.run.world)
            if self.run.world.any(stop)() and self.run.epochs_done < epochs:
                raise TrainingInterruptedError(
                    f"train: interrupted in epoch {self.run.epochs_done + 1} of {epochs}; the state is saved in "
                    f"{self.folder / STATE_FILE}. To go on: the same command with --resume"
                )

    def save(self) -> None:
        """Write the whole state, from which a run goes on however it ended."""
        path = self.folder / STATE_FILE
        save_state(path, self.run, recipe_text=self.recipe_text, best=self.best, seconds=self.seconds)

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
            note=above_floor(self.run.recipe.sparse.method, self.run.settings, self.run.rewirer.masks),
            **_start_facts(self.folder),
        )

    @property
    def seconds(self) -> float:
        """Seconds spent, those before a resumption included."""
        return time.perf_counter() - self._started

    def _write(
        self, metrics: EpochMetrics, on_epoch: Callable[[EpochMetrics], None] | None, board: Board | None
    ) -> None:
        self._keep(metrics)
        if board:
            board.write(metrics)
        if on_epoch:
            on_epoch(metrics)

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
                network=self.run.recipe.network if self.run.recipe.start else None,
            )


def _refuse_to_replace(folder: Path, force: bool, resume: bool) -> None:
    for name in (CHECKPOINT_FILE, STATE_FILE):
        if (folder / name).exists() and not (force or resume):
            raise FileError(
                f"train: {folder / name} exists; choose another --out, or --force to replace it, or --resume to go on"
            )


def _begun(job: _Job, validation: Encoded, test: AnyPart, stop: Callable[[], bool]) -> _Training:
    """Clear the folder of an earlier run and begin a new one, with its teacher if it has one."""
    taught = train_teacher(job.recipe, job.samples, validation, stop, job.world) if job.recipe.distillation else None
    run = job.run(taught[0] if taught else None)
    training = _Training(job, run, None, 0.0)
    if job.world.leads:
        folder = job.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CHECKPOINT_FILE, STATE_FILE, METRICS_FILE, TEACHER_FILE, START_FILE):
            (folder / name).unlink(missing_ok=True)
        save_samples(encode(test, job.recipe.data, "test"), folder / TEST_FILE)
        write_text(job.recipe_text, folder / RECIPE_FILE)
        if taught:
            write_text(json.dumps(asdict(taught[1])) + "\n", folder / TEACHER_FILE)
        if job.chain is not None:
            write_text(json.dumps(_start(job, run, validation)) + "\n", folder / START_FILE)
        training.save()
    return training


def _start(job: _Job, run: Run, validation: Encoded) -> dict[str, object]:
    """Return what ``start.json`` holds: the network a run goes on from, and how good it is before the first step."""
    assert job.recipe.start is not None
    assert job.chain is not None
    whole = job.recipe.model_copy(update={"sparse": SparseRecipe(method="dense"), "distillation": None})
    return {
        "file": job.recipe.start.file,
        "fingerprint": job.chain.fingerprint,
        "imported_accuracy": evaluate(Run(whole, job.samples, chain=job.chain), validation).accuracy,
        "start_accuracy": evaluate(run, validation).accuracy,
    }


def _resumed(job: _Job) -> _Training:
    """Take up the run in a folder, forgetting metrics of an epoch that the saved state does not know."""
    run = job.run()
    best, seconds = load_state(job.folder / STATE_FILE, run, recipe_text=job.recipe_text)
    job.world.wait()
    if job.world.leads:
        log = job.folder / METRICS_FILE
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        write_text("".join(line + "\n" for line in lines[: run.epochs_done]), log)
    return _Training(job, run, best, seconds)


def _start_facts(folder: Path) -> dict[str, float]:
    path = folder / START_FILE
    if not path.exists():
        return {}
    facts = json.loads(path.read_text(encoding="utf-8"))
    return {name: float(facts[name]) for name in ("imported_accuracy", "start_accuracy")}
