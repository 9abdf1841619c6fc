"""Metrics of an epoch: accuracy and spikes on the validation part, densities, and the largest states."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from neurodeploy.data.encoded_part import Encoded
from neurodeploy.errors import TrainingError
from neurodeploy.network import STATE_LIMIT
from neurodeploy.network.activity import Samples
from neurodeploy.sparse.methods import AnyRewirer
from neurodeploy.sparse.sparsity_index import pq_index
from neurodeploy.training.batches import to_tensors
from neurodeploy.training.model.chain import ChainModel
from neurodeploy.training.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """One line of ``metrics.jsonl``. Dictionaries are by layer; densities and fractions are 0..1.

    Attributes:
        ratio: fraction of connections that the next rewiring would move.
        settled: whether the number of connections is final.
        explored: fraction of all possible connections that have existed at some time.
        rewired: fraction of connections that the last rewiring was asked to move.
        overlap: fraction of the connections grown at the last rewiring that it had just dropped.
        pq_index: PQ index of the existing connections.
        silent: fraction of neurons that no validation sample makes fire.
        tied, silent_samples: fractions of the validation samples whose class is a tie, and that give no output spike.
        peak_state: largest current or voltage on the validation part, in state units; it must stay below 2**23.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    ratio: float
    settled: bool
    density: dict[str, float]
    density_nonzero: dict[str, float]
    explored: dict[str, float]
    rewired: dict[str, float]
    overlap: dict[str, float]
    pq_index: dict[str, float]
    silent: dict[str, float]
    tied: float
    silent_samples: float
    spikes_per_sample: dict[str, float]
    peak_state: dict[str, float]
    seconds: float

    @property
    def in_range(self) -> bool:
        """Whether all states seen fit 24 bits; beyond that, simulators and chip would compute something else."""
        return max(self.peak_state.values()) < STATE_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Results of a model on samples: mean loss, accuracy, spikes of each neuron by layer, largest state by layer.

    ``tied`` and ``silent`` are the fractions of samples whose class is a tie, and that give no output spike. Where steps
    have labels, accuracy and these are fractions of the steps.
    """

    loss: float
    accuracy: float
    tied: float
    silent: float
    spikes: Mapping[str, torch.Tensor]
    peak_state: Mapping[str, float]
    n_samples: int


def evaluate(run: Run, samples: Samples | Encoded, batch_size: int = 256) -> Evaluation:
    """Return the results of a run's model on samples, without training it."""
    spikes, labels = to_tensors(samples)
    loss, n_right, n_tied, n_silent = 0.0, 0, 0, 0
    counts: dict[str, torch.Tensor] = {}
    run.model.eval()
    with torch.no_grad(), peak_states(run.model) as peaks:
        for part, truth in zip(spikes.split(batch_size), torch.split(labels, batch_size)):
            layers = run.model.layers(part)
            output = list(layers.values())[-1]
            logits = run.logits(output)
            loss += torch.nn.functional.cross_entropy(logits, truth, reduction="sum").item()
            n_right += int((logits.argmax(1) == truth).sum())
            n_tied += int(((logits == logits.amax(1, keepdim=True)).sum(1) > 1).sum())
            n_silent += int((logits.amax(1) == 0).sum())
            for name, layer in layers.items():
                counts[name] = counts.get(name, 0) + layer.flatten(1, -2).sum((0, -1))
    return Evaluation(
        loss=loss / labels.numel(),
        accuracy=n_right / labels.numel(),
        tied=n_tied / labels.numel(),
        silent=n_silent / labels.numel(),
        spikes=counts,
        peak_state=dict(peaks),
        n_samples=len(labels),
    )


@contextmanager
def peak_states(model: ChainModel) -> Iterator[dict[str, float]]:
    """Record the largest current and voltage of every layer, in state units, in all forward passes inside the block."""
    before, model.peak_state = model.peak_state, {}
    try:
        yield model.peak_state
    finally:
        model.peak_state = before


def measure(run: Run, validation: Samples | Encoded, loss: float, accuracy: float, seconds: float) -> EpochMetrics:
    """Return the metrics of the epoch that has just ended."""
    seen = evaluate(run, validation)
    if not math.isfinite(seen.loss):
        raise TrainingError(
            f"train: the validation loss became {seen.loss} in epoch {run.epochs_done}; the state of the last good epoch is "
            "kept. Lower training.learning_rate or training.logit_scale"
        )
    rewirer = run.rewirer
    return EpochMetrics(
        epoch=run.epochs_done,
        loss=loss,
        train_accuracy=accuracy,
        validation_loss=seen.loss,
        validation_accuracy=seen.accuracy,
        learning_rate=run.schedule.get_last_lr()[0],
        ratio=rewirer.ratio,
        settled=rewirer.settled,
        density=rewirer.density(),
        density_nonzero=nonzero_density(run.model, rewirer),
        explored=rewirer.explored(),
        rewired={name: event.ratio for name, event in rewirer.events.items()},
        overlap={name: event.overlap for name, event in rewirer.events.items()},
        pq_index={name: pq_index(weight) for name, weight in rewirer.existing_weights().items()},
        tied=seen.tied,
        silent_samples=seen.silent,
        silent={name: (count == 0).float().mean().item() for name, count in seen.spikes.items()},
        spikes_per_sample={name: count.sum().item() / seen.n_samples for name, count in seen.spikes.items()},
        peak_state=dict(seen.peak_state),
        seconds=seconds,
    )


def nonzero_density(model: ChainModel, rewirer: AnyRewirer) -> dict[str, float]:
    """Return, by layer, the fraction of weights that are exported and not zero after 8-bit quantisation."""
    masks = rewirer.export_masks()
    with torch.no_grad():
        return {
            name: (weight * masks[name]).ne(0).double().mean().item()
            for name, weight in model.quantised_weights().items()
        }
