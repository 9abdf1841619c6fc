"""Loss terms: temporal efficient training, distillation and its weight, and penalties on spikes and operations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from neurodeploy.errors import TrainingError


def tet_loss(
    step_logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    weight: float = 0.0,
    target: float = 1.0,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Return ``(1 - lambda) 1/T sum_t CE(o_t, y) + lambda MSE(o, phi)``.

    Args:
        step_logits: read-out of every step ``o_t``, float ``(n_samples, n_classes, n_steps)``.
        labels: int64 ``(n_samples,)``.
        weight: ``lambda`` of the regularising term, 0..1.
        target: ``phi``, the value that the regularising term pulls every read-out to.
        label_smoothing: label smoothing of the cross-entropy, 0..1.

    Source: Deng et al. 2022 (temporal efficient training), ``functions.py``; the ESL-SNNs family trains with it.
    """
    n_steps = step_logits.shape[2]
    every_step = step_logits.transpose(1, 2).flatten(0, 1)
    repeated = labels.repeat_interleave(n_steps)
    cross_entropy = functional.cross_entropy(every_step, repeated, label_smoothing=label_smoothing)
    if weight == 0:
        return cross_entropy
    return (1 - weight) * cross_entropy + weight * (step_logits - target).square().mean()


def step_counts(output: torch.Tensor, window: int) -> torch.Tensor:
    """Return the spikes of each output neuron in the last ``window`` steps, in every step.

    Args:
        output: spikes, float ``(n_samples, n_classes, n_steps)``; the result has the same shape.
        window: steps, the present one included; fewer at the start.

    In the network's integers this is ``Output.window`` (``engines/decoding.py``).
    """
    sums = output.cumsum(-1)
    return sums - torch.nn.functional.pad(sums, (window, 0))[..., : sums.shape[-1]]


def distillation_term(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return ``T**2 KL(softmax(z_T / T) || softmax(z_S / T))``, summed over classes and averaged over samples.

    torch's default, which the Re-KD code uses, also averages over classes. Its term is smaller by a factor of the number of
    classes, so a weight taken from that code must be divided by that number.

    Args:
        student, teacher: logits, float ``(n_samples, n_classes)``; no gradient flows into ``teacher``.
        temperature: ``T``, above 0.

    Source: Hinton et al. 2015; reverse pairs (a weaker teacher) Yuan et al. 2020, for spiking networks Xu et al. 2023
    (arXiv 2304.09500).
    """
    wanted = functional.log_softmax(teacher.detach() / temperature, dim=1)
    given = functional.log_softmax(student / temperature, dim=1)
    return temperature**2 * functional.kl_div(given, wanted, reduction="batchmean", log_target=True)


def weighed(loss: torch.Tensor, term: torch.Tensor | None, weight: float) -> torch.Tensor:
    """Return ``(1 - a) loss + a term``; the loss itself if there is no term or its weight is 0."""
    if term is None or weight == 0:
        return loss
    return (1 - weight) * loss + weight * term


def distillation_weight(step: int, weight: float, warmup_steps: int, end_step: int) -> float:
    """Return ``a`` at a step: it rises linearly over the warm-up, then falls linearly to 0 at ``end_step``.

    It ends at 0 so that late training, when the structure is settled, follows the labels alone (our choice; the paper's
    constants are not known).
    """
    if step >= end_step:
        return 0.0
    if step < warmup_steps:
        return weight * (step + 1) / warmup_steps
    return weight * (end_step - step) / max(end_step - warmup_steps, 1)


def operations_per_connection(layers: Mapping[str, torch.Tensor], masks: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the synaptic operations that hidden spikes cause in a sample, divided by the connections they can use.

    A spike reads every connection that leaves its neuron; the result is the mean number of spikes per sample, each neuron
    weighted by its fan-out. The gradient flows through the spikes. Input spikes are data and are left out.

    Args:
        layers: spikes of each layer in order, ``(n_samples, n_channels, ..., n_steps)``.
        masks: connections into each layer by the same names, ``(out, in, ...)``.
    """
    names = list(layers)
    operations, connections = torch.zeros(()), 0
    for name, following in zip(names, names[1:]):
        spikes = layers[name].flatten(2).sum(2).mean(0)
        fan_out = masks[following].reshape(len(masks[following]), len(spikes), -1).sum((0, 2))
        # a dense layer after feature maps has its own connections for every position of a channel
        positions = masks[following].shape[1] // len(spikes)
        operations = operations + (spikes * fan_out).sum() / positions
        connections += int(fan_out.sum())
    return operations / max(connections, 1)


def spikes_per_neuron(layers: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the mean number of spikes that a hidden neuron sends in a sample; the gradient flows through the spikes.

    Args:
        layers: spikes of each layer in order, ``(n_samples, n_channels, ..., n_steps)``; the last layer is the output.
    """
    hidden = list(layers.values())[:-1]
    n_neurons = sum(layer[0, ..., 0].numel() for layer in hidden)
    total = sum((layer.sum() / len(layer) for layer in hidden), torch.zeros(()))
    return total / max(n_neurons, 1)


def check_labels(labels: torch.Tensor, n_classes: int, window: int | None) -> None:
    """Refuse labels without an output neuron or of the wrong kind, and a training part without samples.

    Args:
        labels: int64 ``(n_samples,)``, or ``(n_samples, n_steps)`` where a ``window`` tells a class in each step.
        n_classes: output neurons.

    Raises:
        TrainingError: if they do not fit.
    """
    if not len(labels):
        raise TrainingError("train: there is no sample to train on; is the data folder empty?")
    if labels.ndim == 2 and window is None:
        raise TrainingError(
            f"train: the samples have a label for each of {labels.shape[1]} steps; say over how many steps the output's "
            "spikes are counted for a class: network.window, for example 32"
        )
    if labels.ndim == 1 and window is not None:
        raise TrainingError(
            f"train: network.window is {window}, for a class in each step, but the samples have one label each; leave it out"
        )
    if int(labels.min()) < 0 or int(labels.max()) >= n_classes:
        bad = int(labels.min()) if int(labels.min()) < 0 else int(labels.max())
        raise TrainingError(
            f"train: label {bad} has no output neuron: the last layer has {n_classes} (labels 0..{n_classes - 1}); "
            "give it more neurons or mend the labels"
        )
