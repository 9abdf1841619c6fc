"""Training: a recipe becomes a folder with the best checkpoint, the metrics of every epoch and the test spikes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from neurodeploy.activity import Samples, save_samples
from neurodeploy.data import INPUT_NAME, encode, load_splits
from neurodeploy.errors import FileError, TrainingError
from neurodeploy.recipe import Recipe
from neurodeploy.sparse.masks import initial_masks, scale_sparse_init
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.train.checkpoint import save_checkpoint
from neurodeploy.train.slayer import SlayerNetwork, build

CHECKPOINT_FILE = "checkpoint.safetensors"
METRICS_FILE = "metrics.jsonl"
TEST_FILE = "test.npz"
RECIPE_FILE = "recipe.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """One line of ``metrics.jsonl``. Dictionaries are by layer; densities and fractions are 0..1.

    ``silent`` is the fraction of neurons that no validation sample made fire; ``explored`` the fraction of all possible
    connections that have existed at some time; ``ratio`` the fraction of connections the next rewiring would move.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    ratio: float
    density: dict[str, float]
    density_nonzero: dict[str, float]
    explored: dict[str, float]
    silent: dict[str, float]
    spikes_per_sample: dict[str, float]
    seconds: float


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
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> TrainingResult:
    """Train a recipe from scratch and keep the epoch with the best validation accuracy (ties: the lower loss).

    The test part of the data is encoded and written for later stages; nothing here looks at it.

    Args:
        recipe: what to train; its seed decides weights, masks, rewiring and the order of samples.
        folder: where to write; made if absent.
        recipe_text: the recipe's TOML text, kept in the checkpoint.
        force: replace the results of an earlier run in ``folder``.
        on_epoch: called after each epoch.

    Raises:
        FileError: where ``folder`` already holds a checkpoint and ``force`` is not set.
        TrainingError: where the loss is not finite.
    """
    checkpoint = folder / CHECKPOINT_FILE
    if checkpoint.exists() and not force:
        raise FileError(f"train: {checkpoint} exists; choose another --out, or --force to replace it")
    torch.set_num_threads(recipe.training.threads)
    train_part, validation_part, test_part = load_splits(recipe.data)
    validation = encode(validation_part, recipe.data, "validation")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.unlink(missing_ok=True)
    (folder / RECIPE_FILE).write_text(recipe_text, encoding="utf-8")
    save_samples(encode(test_part, recipe.data, "test"), folder / TEST_FILE)
    run = _Run(recipe, encode(train_part, recipe.data, "train"))
    best, started = (-1.0, -math.inf, 0), time.perf_counter()
    with (folder / METRICS_FILE).open("w", encoding="utf-8") as log:
        for epoch in range(1, recipe.training.epochs + 1):
            loss, accuracy = run.epoch()
            metrics = _measure(run, epoch, loss, accuracy, validation, time.perf_counter() - started)
            log.write(json.dumps(asdict(metrics)) + "\n")
            log.flush()
            rank = (metrics.validation_accuracy, -metrics.validation_loss, epoch)
            if rank > best:
                best = rank
                save_checkpoint(
                    checkpoint,
                    run.model,
                    run.rewirer.masks,
                    recipe_text=recipe_text,
                    epoch=epoch,
                    validation_accuracy=metrics.validation_accuracy,
                )
            if on_epoch:
                on_epoch(metrics)
    return TrainingResult(
        folder=folder,
        checkpoint=checkpoint,
        test_samples=folder / TEST_FILE,
        best_epoch=best[2],
        epochs=recipe.training.epochs,
        validation_accuracy=best[0],
        seconds=time.perf_counter() - started,
    )


class _Run:
    """The state of one training run: model, optimiser, rewirer, learning-rate schedule and data order."""

    def __init__(self, recipe: Recipe, samples: Samples) -> None:
        self.logit_scale = recipe.training.logit_scale
        self.batch_size = recipe.training.batch_size
        self.label_smoothing = recipe.training.label_smoothing
        self.spikes, self.labels = to_tensors(samples)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.model = build(recipe, self.spikes.shape[1])
        weights = self.model.weights()
        masks = initial_masks(
            weights, density=recipe.sparse.density, distribution=recipe.sparse.distribution, seed=recipe.seed
        )
        scale_sparse_init(weights, masks)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.training.learning_rate, weight_decay=recipe.training.weight_decay
        )
        n_steps = math.ceil(len(self.spikes) / self.batch_size) * recipe.training.epochs
        self.rewirer = Rewirer(
            weights,
            masks,
            self.optimizer,
            growth=recipe.sparse.growth,
            ratio=recipe.sparse.ratio,
            every_steps=recipe.sparse.every_steps,
            end_step=math.floor(recipe.sparse.end_fraction * n_steps),
            seed=recipe.seed,
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, n_steps)
        self.shuffle = torch.Generator().manual_seed(recipe.seed)

    def epoch(self) -> tuple[float, float]:
        """Train on every sample once; return mean loss and accuracy over the epoch."""
        self.model.train()
        loss_sum, n_right = 0.0, 0
        for index in torch.randperm(len(self.spikes), generator=self.shuffle).split(self.batch_size):
            logits = self.logits(self.spikes[index])
            loss = torch.nn.functional.cross_entropy(logits, self.labels[index], label_smoothing=self.label_smoothing)
            if not torch.isfinite(loss):
                raise TrainingError(f"train: the loss became {loss.item()}; lower training.learning_rate")
            self.optimizer.zero_grad()
            loss.backward()
            self.rewirer.before_step()
            self.optimizer.step()
            self.rewirer.after_step()
            self.schedule.step()
            loss_sum += loss.item() * len(index)
            n_right += int((logits.argmax(1) == self.labels[index]).sum())
        return loss_sum / len(self.spikes), n_right / len(self.spikes)

    def logits(self, spikes: torch.Tensor) -> torch.Tensor:
        """Return the output spike counts of a batch, times ``logit_scale``."""
        return self.model(spikes).sum(-1) * self.logit_scale


def to_tensors(samples: Samples) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the input spikes as float32 ``(n_samples, n_channels, n_steps)`` and the labels as int64."""
    raster = samples.inputs[INPUT_NAME].to_dense().astype(np.float32).transpose(0, 2, 1)
    return torch.from_numpy(raster.copy()), torch.from_numpy(np.array(samples.labels, np.int64))


def _measure(run: _Run, epoch: int, loss: float, accuracy: float, validation: Samples, seconds: float) -> EpochMetrics:
    spikes, labels = to_tensors(validation)
    validation_loss, n_right, counts = 0.0, 0, {}
    run.model.eval()
    with torch.no_grad():
        for part, truth in _batches(spikes, labels, size=256):
            layers = run.model.layers(part)
            logits = list(layers.values())[-1].sum(-1) * run.logit_scale
            validation_loss += torch.nn.functional.cross_entropy(logits, truth, reduction="sum").item()
            n_right += int((logits.argmax(1) == truth).sum())
            for name, layer in layers.items():
                counts[name] = counts.get(name, 0) + layer.sum((0, 2))
    return EpochMetrics(
        epoch=epoch,
        loss=loss,
        train_accuracy=accuracy,
        validation_loss=validation_loss / len(labels),
        validation_accuracy=n_right / len(labels),
        learning_rate=run.schedule.get_last_lr()[0],
        ratio=run.rewirer.ratio,
        density=run.rewirer.density(),
        density_nonzero=_nonzero(run.model),
        explored=run.rewirer.explored(),
        silent={name: (count == 0).float().mean().item() for name, count in counts.items()},
        spikes_per_sample={name: count.sum().item() / len(labels) for name, count in counts.items()},
        seconds=seconds,
    )


def _batches(spikes: torch.Tensor, labels: torch.Tensor, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    yield from zip(spikes.split(size), labels.split(size))


def _nonzero(model: SlayerNetwork) -> Mapping[str, float]:
    """Return the fraction of weights of each layer that the 8-bit quantiser leaves non-zero."""
    with torch.no_grad():
        return {
            name: block.synapse.pre_hook_fx(block.synapse.weight).ne(0).float().mean().item()
            for name, block in model.blocks.items()
        }
