"""Training loop, from a recipe to a folder with the best checkpoint, the metrics of every epoch and the test spikes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from neurodeploy.data.encoded_part import Encoded
from neurodeploy.data.parts import AnyPart, encode, encode_lazily, load_splits
from neurodeploy.errors import FileError, TrainingError, TrainingInterruptedError
from neurodeploy.files.json_text import parse_json, to_json
from neurodeploy.files.paths import as_path
from neurodeploy.files.plain import read_text
from neurodeploy.files.shown import Shown
from neurodeploy.files.unreadable import UNREADABLE, reason
from neurodeploy.files.writing import locked_folder, write_text
from neurodeploy.network import STATE_LIMIT, Network
from neurodeploy.network.activity import save_samples
from neurodeploy.recipe.needs import check_memory, check_threads
from neurodeploy.recipe.record import Recipe, on_backend
from neurodeploy.recipe.sparse import SparseRecipe
from neurodeploy.run_folder import (
    BOARD_FOLDER,
    CHECKPOINT_FILE,
    METRICS_FILE,
    NETWORK_FILE,
    RECIPE_FILE,
    START_FILE,
    STATE_FILE,
    TEACHER_FILE,
    TEST_FILE,
    written_backend,
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrainingResult(Shown):
    """Result of a training run: its files in ``folder``, and the best epoch, chosen on the validation part alone.

    If training started from a network, ``imported_accuracy`` is the accuracy of that network's integers on the validation
    part, and ``start_accuracy`` the accuracy after its connections were reduced to the recipe's density, before the first
    step. ``validation_tied`` and ``validation_silent`` are the shares of validation samples whose class is a tie, and that
    give no output spike, in the best epoch (None for runs of older versions). ``note`` is a line for the user if the method
    did not reach its target (``methods.above_floor``), else None. ``stored``: names of the weights of which the connections
    alone were held and computed (``model/choice.py``); the others were dense arrays with masks.
    """

    folder: Path
    checkpoint: Path
    test_samples: Path
    best_epoch: int
    epochs: int
    validation_accuracy: float
    seconds: float
    validation_tied: float | None = None
    validation_silent: float | None = None
    imported_accuracy: float | None = None
    start_accuracy: float | None = None
    note: str | None = None
    stored: tuple[str, ...] = ()


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    recipe_text: str,
    start: Network | None = None,
    force: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    backend: str | None = None,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> TrainingResult:
    """Train a recipe and keep the epoch with the best validation accuracy (ties: the lower loss).

    Epochs in which the number of connections is final and all states fit 24 bits come before all others. The whole state is
    saved at the start, after every epoch and on Ctrl-C; a resumed run ends with the same weights as an uninterrupted one.
    The test part of the data is encoded and written for later stages; training does not use it. Under ``torchrun`` every
    process calls this; one of them writes and calls ``on_epoch``.

    Args:
        recipe: what to train; its seed decides weights, masks, rewiring and the order of samples.
        folder: folder to write to; it is made if absent.
        recipe_text: the recipe's TOML text, kept in the checkpoint.
        start: the network in the file that ``recipe.start`` names.
        force: replace the results of an earlier run in ``folder``.
        resume: continue the run in ``folder``.
        tensorboard: write curves below ``folder/tensorboard`` as well.
        backend: what computes the passes; by default that of the run to resume, else the recipe's. A run that goes on with
            another backend than it began with ends with other last bits.
        on_epoch: called after each epoch.

    Raises:
        FileError: if ``folder`` already holds a run and neither ``force`` nor ``resume`` is set, or holds none to resume.
        TrainingError: if the loss is not finite, the saved state belongs to another recipe, states left 24 bits, or
            ``start`` is not a chain of layers that training supports.
        TrainingInterruptedError: after Ctrl-C, when the state is saved.
    """
    folder = as_path(folder)
    recipe = on_backend(recipe, backend or (written_backend(folder / STATE_FILE) if resume else None))
    chain = None
    if start is not None:
        chain = as_chain(start, recipe.start.weight_bits if recipe.start else 8)
        recipe = with_layers_of(recipe, chain)
    check_threads(recipe)
    torch.set_num_threads(recipe.training.threads)
    with joined() as world, _alone(folder, world), _enough_memory():
        _refuse_to_replace(folder, force, resume)
        train_part, validation_part, test_part = load_splits(recipe.data)
        samples, validation = (
            encode_lazily(train_part, recipe.data, "train"),
            encode_lazily(validation_part, recipe.data, "validation"),
        )
        check_memory(recipe, samples.data.shape if chain is None else chain.inputs[0].shape)
        world.wait()
        job = _Job(recipe=recipe, recipe_text=recipe_text, samples=samples, chain=chain, world=world, folder=folder)
        with stop_on_interrupt(world) as stop:
            training = _resumed(job) if resume else _begun(job, validation, test_part, stop)
            with _board(folder, tensorboard and world.leads) as board:
                training.run_epochs(validation, stop, on_epoch, board)
        return training.result()


@contextmanager
def _alone(folder: Path, world: World) -> Iterator[None]:
    """Keep other trainings out of the folder; of several processes the leading one does."""
    if not world.leads:
        yield
        return
    with locked_folder(folder, f"train: {folder}"):
        yield


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Say in our words where memory runs out, which torch tells as a ``RuntimeError``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate" not in str(error) and "bad_alloc" not in str(error):
            raise
        raise TrainingError(
            f"train: memory ran out ({reason(error)}); make the layers or training.batch_size smaller, or set training.parts"
        ) from error


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
    """Inputs of a training run: recipe, samples, network to start from, processes, and the folder to write to."""

    recipe: Recipe
    recipe_text: str
    samples: Encoded
    chain: Network | None
    world: World
    folder: Path

    def run(self, teacher_logits: torch.Tensor | None = None) -> Run:
        """Return a new run."""
        return Run(self.recipe, self.samples, teacher_logits, chain=self.chain, world=self.world)


class _Training:
    """A run with the folder it writes to, its best epoch, and the time it has taken."""

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
        """Train the remaining epochs; write metrics, checkpoint and state after each."""
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
        """Write the whole state, from which the run can be resumed however it ends."""
        path = self.folder / STATE_FILE
        save_state(path, self.run, recipe_text=self.recipe_text, best=self.best, seconds=self.seconds)

    def result(self) -> TrainingResult:
        """Return the result of the run; raises ``TrainingError`` if states left 24 bits in its best epoch."""
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
            **_undecided(self.folder, best.epoch),
            note=above_floor(self.run.recipe.sparse.method, self.run.settings, self.run.rewirer.masks),
            stored=tuple(self.run.model.stored),
            **_start_facts(self.folder),
        )

    @property
    def seconds(self) -> float:
        """Seconds of training, including those before the run was resumed."""
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
            log.write(to_json(asdict(metrics)) + "\n")
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


def _undecided(folder: Path, epoch: int) -> dict[str, float]:
    """Return the shares of validation samples that the output of an epoch did not decide, where its metrics tell."""
    for _, metrics in _logged(folder / METRICS_FILE):
        if metrics["epoch"] == epoch and "tied" in metrics:
            return {"validation_tied": metrics["tied"], "validation_silent": metrics["silent_samples"]}
    return {}


def _logged(log: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the lines of a log of epochs, each with its values.

    Raises:
        FileError: if it is damaged.
    """
    try:
        lines = [(line, dict(parse_json(line))) for line in read_text(log).splitlines()] if log.exists() else []
        if all("epoch" in values and ("tied" in values) <= ("silent_samples" in values) for _, values in lines):
            return lines
        why = "a line is none of an epoch"
    except UNREADABLE as error:
        why = reason(error)
    raise FileError(
        f"train: {log} is damaged ({why}); remove it to go on without what it tells, or train again: --force"
    )


def _refuse_to_replace(folder: Path, force: bool, resume: bool) -> None:
    for name in (CHECKPOINT_FILE, STATE_FILE):
        if (folder / name).exists() and not (force or resume):
            raise FileError(
                f"train: {folder / name} exists; choose another --out, or --force to replace it, or --resume to go on"
            )


def _was_trained(folder: Path) -> bool:
    return any((folder / name).exists() for name in (CHECKPOINT_FILE, STATE_FILE))


def _begun(job: _Job, validation: Encoded, test: AnyPart, stop: Callable[[], bool]) -> _Training:
    """Return a new run, with a trained teacher if the recipe has one; an earlier run in the folder is removed."""
    taught = train_teacher(job.recipe, job.samples, validation, stop, job.world) if job.recipe.distillation else None
    run = job.run(taught[0] if taught else None)
    training = _Training(job, run, None, 0.0)
    if job.world.leads:
        folder = job.folder
        folder.mkdir(parents=True, exist_ok=True)
        exported = [NETWORK_FILE] if _was_trained(folder) else []
        for name in (CHECKPOINT_FILE, STATE_FILE, METRICS_FILE, TEACHER_FILE, START_FILE, *exported):
            (folder / name).unlink(missing_ok=True)
        save_samples(encode(test, job.recipe.data, "test"), folder / TEST_FILE)
        write_text(job.recipe_text, folder / RECIPE_FILE)
        if taught:
            write_text(to_json(asdict(taught[1])) + "\n", folder / TEACHER_FILE)
        if job.chain is not None:
            write_text(to_json(_start(job, run, validation)) + "\n", folder / START_FILE)
        training.save()
    return training


def _start(job: _Job, run: Run, validation: Encoded) -> dict[str, object]:
    """Return the contents of ``start.json``: the network to start from, and its accuracy before the first step."""
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
    """Return the run that a folder holds; metrics of epochs after its saved state are removed."""
    run = job.run()
    best, seconds = load_state(job.folder / STATE_FILE, run, recipe_text=job.recipe_text)
    job.world.wait()
    if job.world.leads:
        log = job.folder / METRICS_FILE
        write_text("".join(line + "\n" for line, _ in _logged(log)[: run.epochs_done]), log)
    return _Training(job, run, best, seconds)


def _start_facts(folder: Path) -> dict[str, float]:
    path = folder / START_FILE
    if not path.exists():
        return {}
    facts = parse_json(path.read_text(encoding="utf-8"))
    return {name: float(facts[name]) for name in ("imported_accuracy", "start_accuracy")}
