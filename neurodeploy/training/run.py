"""State of a training run: model, optimiser, rewirer, schedule and data order, which are saved and resumed together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurodeploy.data.encoded_part import Encoded
from neurodeploy.engines.lanes.spikes import Spikes
from neurodeploy.errors import TrainingError
from neurodeploy.network import Input, Network
from neurodeploy.network.activity import Samples
from neurodeploy.recipe.layers import DenseLayer
from neurodeploy.recipe.record import Recipe, TrainingRecipe
from neurodeploy.recipe.sparse import METHODS
from neurodeploy.sparse.methods import RewiringSettings, start_rewiring
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.training.augment import Shifts
from neurodeploy.training.batches import Inputs, check_payloads, input_shape, to_tensors
from neurodeploy.training.budget import budget_settings
from neurodeploy.training.first_weights import fit_to_thresholds
from neurodeploy.training.losses import (
    check_labels,
    distillation_term,
    distillation_weight,
    operations_per_connection,
    spikes_per_neuron,
    step_counts,
    tet_loss,
    weighed,
)
from neurodeploy.training.model.backends import build
from neurodeploy.training.model.chain import ChainModel
from neurodeploy.training.model.choice import layers_on_lanes
from neurodeploy.training.model.fused import WEIGHT_SCALE
from neurodeploy.training.model.imported import check_fits, install
from neurodeploy.training.model.stored import StoredSynapses
from neurodeploy.training.parallel import ALONE, World


class Run:
    """The state of one training run.

    Args:
        recipe: what to train; its seed decides weights, masks, rewiring and the order of samples.
        samples: the training part.
        teacher_logits: a teacher's logits for all of ``samples``, ``(n_samples, n_classes)``, if the recipe distils.
        chain: the network to start from (``imported.as_chain``); ``recipe`` must have its layers.
        entry: the input, where samples carry payloads; by default that of an ``Encoded`` part, else one for plain spikes in
            the shape of the samples.
        world: the processes that train together; each computes its parts of every batch.
        lanes: whether layers may run over lanes, where that is faster (native backend); sparse ones then hold their
            connections alone.

    Raises:
        TrainingError: if there are no samples, a label has no output neuron, the samples do not fit the chain, or a
            setting of the method is out of range. Also where samples carry payloads outside the range of ``entry``.
    """

    def __init__(
        self,
        recipe: Recipe,
        samples: Samples | Encoded,
        teacher_logits: torch.Tensor | None = None,
        *,
        chain: Network | None = None,
        entry: Input | None = None,
        world: World = ALONE,
        lanes: bool = True,
    ) -> None:
        self.recipe, self.world = recipe, world
        self.spikes, self.labels = to_tensors(samples)
        if entry is None and isinstance(samples, Encoded) and samples.entry.graded:
            entry = samples.entry
        self.input_shape = input_shape(samples) if entry is None else entry.shape
        check_payloads(samples, entry)
        check_labels(self.labels, n_classes(recipe), recipe.network.window)
        self.teacher_logits = teacher_logits
        self.n_parts = n_parts(recipe, world)
        if chain is not None:
            check_fits(chain, self.input_shape, recipe.data.name)
            self.input_shape = chain.inputs[0].shape
        self.shifts = Shifts(recipe.training.shift, self.input_shape, recipe.seed, len(self.spikes))
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.entry = self.input_shape if entry is None else entry
            self.model = build(recipe, self.entry)
        kept = None if chain is None else install(self.model, chain)
        self.start_fingerprint = "" if chain is None else chain.fingerprint
        training = recipe.training
        self.optimizer = torch.optim.AdamW(
            self.model.parameters() if chain is None else imported_groups(self.model, training),
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
        )
        self.steps_per_epoch = math.ceil(len(self.spikes) / training.batch_size)
        self.settings = sparse_settings(recipe, self.steps_per_epoch * training.epochs, kept, self._first_inputs())
        self.rewirer = start_rewiring(recipe.sparse.method, self.model.weights(), self.optimizer, self.settings)
        if METHODS[recipe.sparse.method].reads_inputs and chain is None:
            fit_to_thresholds(self.model, self.spikes[torch.arange(min(len(self.spikes), 256))])
        if lanes:
            self._use_lanes()
        self.schedule = _schedule(self.optimizer, self.steps_per_epoch * training.epochs, training.restarts)
        self.epochs_done = 0
        self._order = torch.Generator().manual_seed(recipe.seed)
        self._order_at_start = self._order.get_state()
        self._position, self._loss_sum, self._n_right = 0, 0.0, 0

    def _use_lanes(self) -> None:
        """Let layers run over lanes that train faster so (``choice.py``), and sparse ones hold their connections alone."""
        batch = math.ceil(self.recipe.training.batch_size / self.n_parts)
        layers, threads = layers_on_lanes(self.model, batch), self.recipe.training.threads
        if not layers:
            return
        few = any(density < 1 for density in self.rewirer.density().values())
        if not isinstance(self.rewirer, Rewirer) or not self.rewirer.storable or not few:
            self.model.use_lanes(layers, None, threads)
            return
        self.model.use_lanes(layers, self.rewirer.masks, threads)
        self.rewirer.store(self.model.stored)
        if self.world.size > 1:
            for own in self.model.stored.values():
                own.add_to_all = self.world.add

    def _first_inputs(self) -> NDArray[np.bool_] | None:
        """Return which inputs fire in each step of the first samples, ``(observations, inputs)``, where masks need it."""
        recipe = self.recipe
        if not METHODS[recipe.sparse.method].reads_inputs or not isinstance(recipe.network.layers[0], DenseLayer):
            return None
        spikes = self.spikes[torch.arange(min(len(self.spikes), _OBSERVED))]
        steps = spikes[..., :1] if spikes.stride(-1) == 0 else spikes
        active: NDArray[np.bool_] = (steps.transpose(1, 2).flatten(0, 1) != 0).numpy()
        return active

    def epoch(self, stop: Callable[[], bool] = lambda: False) -> tuple[float, float] | None:
        """Train on every sample once, or on the rest of an epoch that was interrupted.

        Args:
            stop: asked after every batch; True, in any process, ends the epoch there.

        Returns:
            Mean loss and accuracy over the epoch, or None if ``stop`` ended it.
        """
        self.model.train()
        stop = self.world.any(stop)
        self._order_at_start = self._order.get_state()
        order = torch.randperm(len(self.spikes), generator=self._order)
        batches = torch.split(order, self.recipe.training.batch_size)
        for index in batches[self._position :]:
            self.step(index)
            self._position += 1
            if self._position < len(batches) and stop():
                self._check_finite()
                return None
        self.rewirer.end_epoch()
        self._check_finite()
        result = self._loss_sum / len(self.spikes), self._n_right / self.labels.numel()
        self.epochs_done += 1
        self._order_at_start = self._order.get_state()
        self._position, self._loss_sum, self._n_right = 0, 0.0, 0
        return result

    def _check_finite(self) -> None:
        """Refuse to go on, and so to save, with weights that are no numbers any more; raises ``TrainingError``."""
        for name, weight in self.model.weights().items():
            if not bool(torch.isfinite(weight.detach()).all()):
                raise TrainingError(
                    f"train: weights of layer '{name}' are no longer finite in epoch {self.epochs_done + 1}; the state of "
                    "the last good epoch is kept. Lower training.learning_rate"
                )

    def logits(self, output: torch.Tensor) -> torch.Tensor:
        """Return the spike counts of the output layer, times ``logit_scale``: ``(n, n_classes)``.

        With a window, the counts of each step: ``(n, n_classes, n_steps)``.
        """
        window = self.recipe.network.window
        counts = output.sum(-1) if window is None else step_counts(output, window)
        return counts * self.recipe.training.logit_scale

    def loss(self, output: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Return the total loss of a batch.

        Args:
            output: spikes of the output layer, ``(n, n_classes, n_steps)``.
            index: positions of the batch among the training samples.
        """
        training, labels = self.recipe.training, self.labels[index]
        if training.loss == "tet":
            plain = tet_loss(
                output.cumsum(-1) * training.logit_scale,
                labels,
                weight=training.tet_weight,
                target=training.tet_target,
                label_smoothing=training.label_smoothing,
            )
        else:
            plain = torch.nn.functional.cross_entropy(
                self.logits(output), labels, label_smoothing=training.label_smoothing
            )
        share = self.distillation_weight()
        if share == 0:
            return plain
        assert self.recipe.distillation is not None
        assert self.teacher_logits is not None, "a recipe that distils is run with a teacher's answers"
        term = distillation_term(self.logits(output), self.teacher_logits[index], self.recipe.distillation.temperature)
        return weighed(plain, term, share)

    def distillation_weight(self) -> float:
        """Return the weight of the teacher's term at the next step."""
        distillation = self.recipe.distillation
        if distillation is None:
            return 0.0
        warmup = distillation.warmup_epochs * self.steps_per_epoch
        return distillation_weight(self.rewirer.step, distillation.weight, warmup, self.settings.end_step)

    def state_dict(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return everything that the rest of the training depends on: tensors by name, and plain values fit for JSON."""
        stored = self._stored_parameters()
        names = {name: stored[id(p)] for name, p in self.model.named_parameters() if id(p) in stored}
        tensors = {
            f"model/{name}": names[name].spread(value) if name in names else value
            for name, value in self.model.state_dict().items()
        }
        optimizer = self.optimizer.state_dict()
        numbered = self._optimized()
        for index, state in optimizer["state"].items():
            own = stored.get(id(numbered[index]))
            tensors.update(
                {
                    f"optimizer/{index}/{key}": own.spread(value) if own and value.ndim else value
                    for key, value in state.items()
                }
            )
        rewirer = self.rewirer.state_dict()
        numbers = {key: value for key, value in rewirer.items() if not isinstance(value, torch.Tensor)}
        tensors.update({f"rewirer/{key}": value for key, value in rewirer.items() if key not in numbers})
        tensors.update({"order": self._order_at_start, "torch_generator": torch.get_rng_state()})
        if self.teacher_logits is not None:
            tensors["teacher_logits"] = self.teacher_logits
        return tensors, {
            "rewirer": numbers,
            "parameter_groups": optimizer["param_groups"],
            "schedule": self.schedule.state_dict(),
            "epochs_done": self.epochs_done,
            "position": self._position,
            "loss_sum": self._loss_sum,
            "n_right": self._n_right,
        }

    def load_state_dict(
        self, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any], backend: str | None = None
    ) -> None:
        """Restore the state that ``state_dict`` returned; the run must have the same recipe and data.

        Args:
            tensors, values: the state.
            backend: the backend of the run that it is from; by default that of this run. From another one comes all that is
                learned, and this run goes on from it with its own rounding of gradients.

        Raises:
            TrainingError: if something is missing or has another shape.
        """
        try:
            saved = _under(tensors, "model/")
            foreign = backend not in (None, self.model.backend.name)
            # first of all, as the connections say where stored weights belong
            self.rewirer.load_state_dict({**_under(tensors, "rewirer/"), **values["rewirer"]})
            stored = self._stored_parameters()
            saved = self._own_with(saved) if foreign else saved
            for name, p in self.model.named_parameters():
                if id(p) in stored:
                    saved[name] = _picked(stored[id(p)], saved[name])
            self.model.load_state_dict(saved)
            optimizer: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in _under(tensors, "optimizer/").items():
                index, key = name.split("/", 1)
                optimizer.setdefault(int(index), {})[key] = value.clone()
            groups = values["parameter_groups"]
            if foreign:
                optimizer, groups = self._renumbered(optimizer), self._own_groups_with(groups)
            for number, p in enumerate(self._optimized()):
                if id(p) in stored and number in optimizer:
                    optimizer[number] = {
                        key: _picked(stored[id(p)], value) if value.ndim else value
                        for key, value in optimizer[number].items()
                    }
            self.optimizer.load_state_dict({"state": optimizer, "param_groups": groups})
            self.schedule.load_state_dict(dict(values["schedule"]))
            self._order.set_state(tensors["order"])
            self._order_at_start = self._order.get_state()
            torch.set_rng_state(tensors["torch_generator"])
            self.teacher_logits = tensors.get("teacher_logits")
            self.epochs_done, self._position = int(values["epochs_done"]), int(values["position"])
            self._loss_sum, self._n_right = float(values["loss_sum"]), int(values["n_right"])
        except (KeyError, RuntimeError, ValueError, TrainingError) as error:
            reason = " ".join(str(error).split())
            raise TrainingError(f"train: the saved state does not fit this recipe ({reason}); start anew") from error

    def _stored_parameters(self) -> dict[int, StoredSynapses]:
        """Return the modules of stored synapses by the ``id`` of their parameter."""
        return {id(own.weight): own for own in self.model.stored.values()}

    def _optimized(self) -> list[torch.nn.Parameter]:
        """Return the optimiser's parameters in the order of their numbers in its state."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _own_with(self, saved: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the state of this model with all that is learned or drawn from a model of another backend.

        The rest are constants of slayer's blocks (decays, weights of pools), which recipe and imported network decide.
        """
        own = self.model.state_dict()
        constant = {name for name, p in self.model.named_parameters() if not p.requires_grad}
        return {name: value if name in constant else saved[name] for name, value in own.items()}

    def _renumbered(self, saved: Mapping[int, dict[str, torch.Tensor]]) -> dict[int, dict[str, torch.Tensor]]:
        """Return an optimiser's state with the numbers of this one, which counts other constants in between.

        Only what is learned has a state, and its order is the same.
        """
        stored = self._stored_parameters()
        learned = [
            (number, stored[id(p)].shape if id(p) in stored else tuple(p.shape))
            for number, p in enumerate(self._optimized())
            if p.requires_grad
        ]
        found = [saved[number] for number in sorted(saved)]
        if found and [tuple(state["exp_avg"].shape) for state in found] != [shape for _, shape in learned]:
            raise ValueError("the optimizer's moments have other shapes")
        return {number: state for (number, _), state in zip(learned, found)}

    def _own_groups_with(self, saved: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the optimiser's groups with the settings of saved ones, as far as this version of torch has them."""
        own = self.optimizer.state_dict()["param_groups"]
        if len(own) != len(saved):
            raise ValueError(f"the optimizer has {len(own)} groups of parameters, not {len(saved)}")
        return [
            {key: value if key == "params" else theirs.get(key, value) for key, value in mine.items()}
            for mine, theirs in zip(own, saved)
        ]

    def step(self, index: torch.Tensor) -> None:
        """Take an optimiser step with the gradient of a batch, numbers of samples, summed over its parts."""
        self.optimizer.zero_grad()
        loss_sum, n_right = 0.0, 0
        for number, part in self.world.own(index.tensor_split(self.n_parts)):
            self.model.set_turn(self.rewirer.step * self.n_parts + number)
            loss, right = self._backward(part, len(part) / len(index))
            loss_sum, n_right = loss_sum + loss, n_right + right
        self.world.add_gradients(self.model.parameters())
        loss_total, right_total = self.world.total(loss_sum, n_right)
        if not math.isfinite(loss_total):
            raise TrainingError(f"train: the loss became {loss_total}; lower training.learning_rate")
        self.rewirer.before_step()
        self.optimizer.step()
        self.rewirer.after_step()
        self.schedule.step()
        self._loss_sum += loss_total
        self._n_right += int(right_total)

    def _backward(self, index: torch.Tensor, share: float) -> tuple[float, int]:
        """Add the gradient of ``share`` times the loss; return the summed loss and the number of correct answers."""
        layers = self.model.layers(self._given(index), every=self._penalised)
        output = list(layers.values())[-1]
        loss = self.loss(output, index) + self._penalties(layers)
        torch.autograd.backward(loss * share)
        n_right = int((self.logits(output.detach()).argmax(1) == self.labels[index]).sum())
        return loss.item() * len(index), n_right

    def _given(self, index: torch.Tensor) -> torch.Tensor | Spikes:
        """Return the input of a batch, as bits where no tensor of it is needed."""
        if self.model.takes_bits and isinstance(self.spikes, Inputs) and not self.recipe.training.shift:
            bits = self.spikes.bits(index)
            if bits is not None:
                return bits
        return self.shifts.moved(self.spikes[index], index, self.epochs_done)

    @property
    def _penalised(self) -> bool:
        """Whether the loss depends on the spikes of all layers."""
        return bool(self.recipe.training.operations_penalty or self.recipe.training.spikes_penalty)

    def _penalties(self, layers: Mapping[str, torch.Tensor]) -> torch.Tensor | float:
        training = self.recipe.training
        total: torch.Tensor | float = 0.0
        if price := training.operations_penalty:
            total = total + price * operations_per_connection(layers, self.rewirer.masks)
        if price := training.spikes_penalty:
            total = total + price * spikes_per_neuron(layers)
        return total


def imported_groups(model: ChainModel, training: TrainingRecipe) -> list[dict[str, Any]]:
    """Return the optimiser's parameter groups for imported layers, with learning rates relative to their thresholds.

    Multiplying weights and threshold of a layer by the same number does not change its spikes. If the learning rate is
    multiplied by it too (and Adam's epsilon divided), the number makes no difference in training either. A threshold of 64
    (one float unit) gets the recipe's learning rate.
    """
    weights = model.weights()
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if all(p is not w for w in weights.values())]}
    ]
    for name, weight in weights.items():
        unit = max(float(np.mean(model.neurons[name].threshold)), 1.0) / WEIGHT_SCALE
        rate, decay = training.learning_rate * unit, training.weight_decay / unit
        groups.append({"params": [weight], "lr": rate, "weight_decay": decay, "eps": 1e-8 / unit})
    return groups


def n_classes(recipe: Recipe) -> int:
    """Return the number of output neurons."""
    output = recipe.network.layers[-1]
    assert isinstance(output, DenseLayer), "a recipe's last layer is dense"
    return output.neurons


def n_parts(recipe: Recipe, world: World) -> int:
    """Return the number of parts of a batch: ``training.parts``, or one part for each process.

    Raises:
        TrainingError: if the recipe asks for several parts, but not as many as there are processes.
    """
    asked = recipe.training.parts
    if world.size > 1 and asked not in (1, world.size):
        raise TrainingError(
            f"train: training.parts is {asked}, but {world.size} processes train; start {asked} processes, or set it to 1"
        )
    return max(asked, world.size)


_OBSERVED = 1000
"""Training samples whose inputs decide first masks."""


def sparse_settings(
    recipe: Recipe,
    n_steps: int,
    kept: Mapping[str, torch.Tensor] | None = None,
    inputs: NDArray[np.bool_] | None = None,
) -> RewiringSettings:
    """Return the method's settings for a training of ``n_steps`` optimiser steps.

    Args:
        recipe: its ``[sparse]`` table, budget and seed are read.
        n_steps: optimiser steps.
        kept: masks to start from.
        inputs: see ``RewiringSettings``.
    """
    sparse = recipe.sparse
    given = {name: getattr(sparse, name) for name in METHODS[sparse.method].settings if name != "end_fraction"}
    end_step = math.floor(sparse.end_fraction * n_steps)
    given |= budget_settings(recipe)
    density = sparse.density or 1.0
    if kept is not None:
        given["start"] = dict(kept)
        if sparse.density is None and kept:
            density = sum(int(m.sum()) for m in kept.values()) / sum(m.numel() for m in kept.values())
            given["distribution"] = "start"
    return RewiringSettings(end_step=end_step, density=density, seed=recipe.seed, inputs=inputs, **given)


def _schedule(optimizer: torch.optim.Optimizer, n_steps: int, restarts: int) -> torch.optim.lr_scheduler.LRScheduler:
    if restarts == 1:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    return torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, math.ceil(n_steps / restarts))


def _picked(stored: StoredSynapses, dense: torch.Tensor) -> torch.Tensor:
    if tuple(dense.shape) != stored.shape:
        raise ValueError(f"a weight has the shape {tuple(dense.shape)}, not {stored.shape}")
    return stored.picked(dense)


def _under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
