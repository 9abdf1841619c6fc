"""Training as a tool: resume bit for bit, Ctrl-C, range of states, methods from recipes, distillation, curves."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest


class PowerCutError(Exception):
    """Ends a training without a word, as the end of its process would."""


pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on

from neurodeploy.data.parts import encode, load_splits
from neurodeploy.errors import FileError, TrainingError, TrainingInterruptedError
from neurodeploy.network import STATE_LIMIT, n_masked, n_nonzero
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.training.checkpoint import load_checkpoint
from neurodeploy.training.loop import train
from neurodeploy.training.metrics import evaluate, measure, peak_states
from neurodeploy.training.model.integers import to_network
from neurodeploy.training.run import Run
from neurodeploy.training.state import load_state, save_state
from neurodeploy.training.teacher import train_teacher

HEAD = """
name = "tiny"
data = { name = "digits", n_steps = 6 }
network = { layers = [{ neurons = 24 }, { neurons = 10 }], neuron = { threshold = 64, current_decay = 2048, \
voltage_decay = 512, tau_grad = 0.01 } }
training = { epochs = EPOCHS, batch_size = 64, learning_rate = 1e-2, weight_scale = 0.7, logit_scale = 0.5, \
shift = 1 }
"""
METHODS = {
    "esl": 'sparse = { method = "esl", density = 0.2, growth = "random", every_steps = 4 }',
    "set": 'sparse = { method = "set", density = 0.2, every_steps = 4 }',
    "granet": 'sparse = { method = "granet", density = 0.5, floor = 0.1, every_steps = 4 }',
    "srigl": 'sparse = { method = "srigl", density = 0.2, every_steps = 4 }',
    "pq": 'sparse = { method = "pq", density = 0.5, iterations = 3, every_steps = 3 }',
    "chsnn": 'sparse = { method = "chsnn", density = 0.2, every_steps = 4 }',
    "sdsnn": 'sparse = { method = "sdsnn", spine_constant = 1, spine_rate = 2.0 }',
    "rkd": """sparse = { method = "rkd", density = 0.2, every_steps = 4 }
distillation = { warmup_epochs = 1, teacher = { layers = [{ neurons = 8 }, { neurons = 10 }], epochs = 1 } }""",
}


def _text(backend: str, method: str, epochs: int = 4) -> str:
    return on(backend, HEAD.replace("EPOCHS", str(epochs))) + METHODS[method]


def _parts(recipe):
    parts = load_splits(recipe.data)
    return [encode(part, recipe.data, name) for part, name in zip(parts, ("train", "validation", "test"))]


def _equal(a: Run, b: Run) -> bool:
    weights = all(torch.equal(w, b.model.weights()[n]) for n, w in a.model.weights().items())
    masks = all(torch.equal(m, b.rewirer.masks[n]) for n, m in a.rewirer.masks.items())
    return weights and masks and a.rewirer.explored() == b.rewirer.explored()


def _new(recipe, samples, validation) -> Run:
    return Run(recipe, samples, train_teacher(recipe, samples, validation)[0] if recipe.distillation else None)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_stopped_after_any_batch_ends_with_the_same_weights_as_an_unbroken_one(backend, method, tmp_path):
    """Stopped after every two to four batches: within epochs, right before and right after a rewiring (every 3 or 4)."""
    recipe = parse_recipe(_text(backend, method), "test")
    train_part, validation, _ = _parts(recipe)
    samples = train_part.take(0, 600)
    whole = _new(recipe, samples, validation)
    results = [whole.epoch() for _ in range(4)]

    broken, done, n_stops = _new(recipe, samples, validation), [], 0
    while broken.epochs_done < 4:
        left = iter([False] * (1 + n_stops % 3))

        def stop(left=left):
            return next(left, True)

        result = broken.epoch(stop)
        n_stops += result is None
        done += [result] if result else []
        save_state(tmp_path / "state", broken, recipe_text="x", best=None, seconds=1.5)
        broken = Run(recipe, samples)
        assert load_state(tmp_path / "state", broken, recipe_text="x") == (None, 1.5)
    assert n_stops > 8
    assert _equal(whole, broken)
    assert done == results
    assert whole.rewirer.n_rewirings == broken.rewirer.n_rewirings > 0


def test_state_of_another_recipe_and_damaged_state_are_refused(backend, tmp_path):
    recipe = parse_recipe(_text(backend, "esl"), "test")
    samples = _parts(recipe)[0].take(0, 64)
    run = Run(recipe, samples)
    run.epoch()
    path = tmp_path / "state.safetensors"
    save_state(path, run, recipe_text="one", best=None, seconds=0.0)
    with pytest.raises(TrainingError, match="belongs to another version of the recipe"):
        load_state(path, Run(recipe, samples), recipe_text="two")
    other = parse_recipe(_text(backend, "esl").replace("neurons = 24", "neurons = 25"), "test")
    with pytest.raises(TrainingError, match="the saved state does not fit this recipe .*; start anew"):
        load_state(path, Run(other, samples), recipe_text="one")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileError, match="is damaged or no safetensors file"):
        load_state(path, Run(recipe, samples), recipe_text="one")


class TestFolder:
    """``train`` as the command uses it: one folder, interrupted and resumed."""

    @pytest.fixture(scope="class")
    def unbroken(self, backend, tmp_path_factory):
        folder = tmp_path_factory.mktemp("unbroken")
        text = _text(backend, "esl", 3)
        return train(parse_recipe(text, "test"), folder, recipe_text=text, tensorboard=True)

    def _same(self, a, b) -> bool:
        one, two = load_checkpoint(a.checkpoint), load_checkpoint(b.checkpoint)
        return one.epoch == two.epoch and all(
            torch.equal(w, two.model.weights()[n]) and torch.equal(one.masks[n], two.masks[n])
            for n, w in one.model.weights().items()
        )

    def _lines(self, folder):
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]

    def test_ctrl_c_saves_says_how_to_go_on_and_resume_ends_the_same(self, backend, unbroken, tmp_path):
        text = _text(backend, "esl", 3)
        recipe = parse_recipe(text, "test")

        def press_ctrl_c(metrics):
            if metrics.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(
            TrainingInterruptedError, match=r"in epoch 3 of 3; .*the same command with --resume"
        ) as stop:
            train(recipe, tmp_path, recipe_text=text, on_epoch=press_ctrl_c)
        assert stop.value.exit_code == 130
        assert signal.getsignal(signal.SIGINT) is before
        with pytest.raises(FileError, match="or --resume to go on"):
            train(recipe, tmp_path, recipe_text=text)
        result = train(recipe, tmp_path, recipe_text=text, resume=True)
        assert self._same(unbroken, result)
        assert self._lines(tmp_path) == self._lines(unbroken.folder)

    def test_a_run_killed_between_its_writes_resumes_and_ends_the_same(self, backend, unbroken, tmp_path):
        """It dies after metrics and checkpoint of epoch 2 are written, before the state is: epoch 2 is done again."""
        text = _text(backend, "esl", 3)

        def die(metrics):
            if metrics.epoch == 2:
                raise PowerCutError

        with pytest.raises(PowerCutError):
            train(parse_recipe(text, "test"), tmp_path, recipe_text=text, on_epoch=die)
        assert len(self._lines(tmp_path)) == 2
        result = train(parse_recipe(text, "test"), tmp_path, recipe_text=text, resume=True)
        assert self._same(unbroken, result)
        assert self._lines(tmp_path) == self._lines(unbroken.folder)

    def test_resuming_a_finished_run_gives_its_result_again(self, backend, unbroken):
        text = _text(backend, "esl", 3)
        again = train(parse_recipe(text, "test"), unbroken.folder, recipe_text=text, resume=True)
        assert replace(again, seconds=0) == replace(unbroken, seconds=0)

    def test_nothing_to_resume_is_said(self, backend, tmp_path):
        text = _text(backend, "esl", 3)
        with pytest.raises(FileError, match="there is nothing to resume: .* train without --resume"):
            train(parse_recipe(text, "test"), tmp_path, recipe_text=text, resume=True)

    def test_curves_hold_the_metrics_of_every_epoch(self, unbroken):
        pytest.importorskip("tensorboard", reason="needs tensorboard (extra train)")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(unbroken.folder / "tensorboard"))
        events.Reload()
        lines = self._lines(unbroken.folder)
        for tag, of in (("density/hidden1", lambda m: m["density"]["hidden1"]), ("loss", lambda m: m["loss"])):
            assert [e.step for e in events.Scalars(tag)] == [1, 2, 3]
            assert [e.value for e in events.Scalars(tag)] == pytest.approx([of(m) for m in lines])


class TestRange:
    """States must fit 24 bits: the simulators and the chip have no others."""

    @pytest.mark.slayer
    def test_peaks_are_the_largest_states_and_measuring_changes_nothing(self):
        recipe = parse_recipe(_text("slayer", "esl"), "test")
        train_part, validation, _ = _parts(recipe)
        run = Run(recipe, train_part.take(0, 64))
        spikes = run.spikes[:8].float()
        plain = run.model(spikes)
        with peak_states(run.model) as peaks:
            assert torch.equal(run.model(spikes), plain)
        block = run.model.blocks["hidden1"]
        current, voltage = block.neuron.dynamics(block.synapse(spikes))
        assert peaks["hidden1"] == max(current.abs().max().item(), voltage.abs().max().item()) * 4096
        assert 0 < max(evaluate(run, validation).peak_state.values()) < STATE_LIMIT

    def test_an_epoch_that_leaves_24_bits_is_not_in_range(self, backend):
        text = (
            _text(backend, "esl")
            .replace("voltage_decay = 512", "voltage_decay = 0")
            .replace("n_steps = 6", "n_steps = 60")
        )
        recipe = parse_recipe(text, "test")
        train_part, validation, _ = _parts(recipe)
        run = Run(recipe, train_part.take(0, 64))
        assert measure(run, validation, 0.0, 0.0, 0.0).in_range
        with torch.no_grad():
            # every connection at the lower end of 8 bits: -256 * 64 * fan-in, summed over the steps without a leak
            run.model.blocks["hidden1"].synapse.weight.fill_(-4.0)
        metrics = measure(run, validation, 0.0, 0.0, 0.0)
        assert metrics.peak_state["hidden1"] > STATE_LIMIT
        assert not metrics.in_range

    def test_training_that_never_is_in_range_ends_in_an_error(self, backend, tmp_path):
        text = (
            _text(backend, "esl", 1)
            .replace("weight_scale = 0.7", "weight_scale = 100.0")
            .replace("n_steps = 6", "n_steps = 40")
        )
        text = text.replace("voltage_decay = 512", "voltage_decay = 0").replace(
            "current_decay = 2048", "current_decay = 1"
        )
        with pytest.raises(TrainingError, match=r"currents or voltages left 24 bits \(2\*\*23 = 8388608\)"):
            train(parse_recipe(text, "test"), tmp_path, recipe_text=text)


@pytest.mark.parametrize("method", ["granet", "pq", "sdsnn"])
def test_t50_reported_densities_are_those_of_the_exported_network_and_final(backend, method, tmp_path):
    """The best epoch is one after the density has settled; connections that leave pruned neurons are not exported."""
    text = _text(backend, method, 6)
    if method == "sdsnn":
        text = text.replace("epochs = 6", "epochs = 9")
    result = train(parse_recipe(text, "test"), tmp_path, recipe_text=text)
    checkpoint = load_checkpoint(result.checkpoint)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    metrics = lines[result.best_epoch - 1]
    assert metrics["settled"]
    network = to_network(checkpoint.model, checkpoint.masks, 1e-3)
    for projection in network.projections:
        size = projection.synapses.weights.size
        assert n_masked(projection) == round(metrics["density"][projection.target] * size)
        assert n_nonzero(projection) == round(metrics["density_nonzero"][projection.target] * size)
    first, last = lines[0]["density"], metrics["density"]
    assert sum(last.values()) < sum(first.values())


class TestTeacher:
    def _recipe(self, backend, **distillation):
        recipe = parse_recipe(_text(backend, "rkd"), "test")
        return recipe.model_copy(update={"distillation": recipe.distillation.model_copy(update=distillation)})

    def test_t40_weight_zero_trains_exactly_as_without_a_teacher(self, backend):
        recipe = self._recipe(backend, weight=0.0)
        train_part, _, _ = _parts(recipe)
        samples = train_part.take(0, 256)
        alone = Run(recipe.model_copy(update={"distillation": None}), samples)
        taught = Run(recipe, samples, torch.randn(256, 10, generator=torch.Generator().manual_seed(0)))
        assert [alone.epoch() for _ in range(2)] == [taught.epoch() for _ in range(2)]
        assert _equal(alone, taught)

    def test_the_teacher_steers_weights_and_structure(self, backend):
        """Growth follows the total loss: two teachers, two sets of connections."""
        recipe = self._recipe(backend, weight=0.9, warmup_epochs=0)
        train_part, _, _ = _parts(recipe)
        samples = train_part.take(0, 256)
        runs = []
        for seed in (0, 1):
            logits = 20 * torch.randn(256, 10, generator=torch.Generator().manual_seed(seed))
            runs.append(Run(recipe, samples, logits))
            runs[-1].epoch()
            runs[-1].epoch()
        assert not torch.equal(runs[0].rewirer.masks["hidden1"], runs[1].rewirer.masks["hidden1"])

    def test_t42_reverse_is_asserted_and_recorded(self, backend, tmp_path):
        text = _text(backend, "rkd", 5)
        result = train(parse_recipe(text, "test"), tmp_path, recipe_text=text)
        teacher = json.loads((tmp_path / "teacher.json").read_text(encoding="utf-8"))
        assert teacher["direction"] == "reverse"
        assert teacher["weights"] == 64 * 8 + 8 * 10 < teacher["student_weights"] == 64 * 24 + 24 * 10
        assert teacher["validation_accuracy"] < result.validation_accuracy

    def test_a_teacher_of_the_wrong_size_for_its_direction_is_refused(self, backend):
        recipe = self._recipe(backend, direction="normal")
        train_part, validation, _ = _parts(recipe)
        with pytest.raises(
            TrainingError, match="direction is 'normal', but the teacher has 592 weights, the student 1776"
        ):
            train_teacher(recipe, train_part, validation)

    def test_ctrl_c_while_the_teacher_is_trained_keeps_nothing(self, backend):
        recipe = self._recipe(backend)
        train_part, validation, _ = _parts(recipe)
        with pytest.raises(TrainingInterruptedError, match="while the teacher was trained"):
            train_teacher(recipe, train_part, validation, lambda: True)


def test_tet_trains_and_is_another_loss(backend):
    recipe = parse_recipe(_text(backend, "esl"), "test")
    samples = _parts(recipe)[0]
    losses = []
    for loss in ("cross_entropy", "tet"):
        run = Run(recipe.model_copy(update={"training": recipe.training.model_copy(update={"loss": loss})}), samples)
        losses.append([run.epoch()[0] for _ in range(3)])
        assert losses[-1][2] < losses[-1][0]
    assert losses[0] != losses[1]


def test_restarts_raise_the_learning_rate_again(backend):
    recipe = parse_recipe(_text(backend, "pq").replace("epochs = 4", "epochs = 4, restarts = 2"), "test")
    run = Run(recipe, _parts(recipe)[0].take(0, 256))
    rates = []
    for _ in range(4):
        run.epoch()
        rates.append(run.schedule.get_last_lr()[0])
    assert rates[0] < rates[1] == pytest.approx(1e-2)
    assert rates[2] < rates[1]


def test_a_price_on_operations_lowers_them(backend):
    recipe = parse_recipe(_text(backend, "esl"), "test")
    train_part, validation, _ = _parts(recipe)
    operations = []
    for price in (0.0, 1.0):
        training = recipe.training.model_copy(update={"operations_penalty": price})
        run = Run(recipe.model_copy(update={"training": training}), train_part)
        for _ in range(4):
            run.epoch()
        operations.append(evaluate(run, validation).spikes["hidden1"].sum().item())
    assert operations[1] < 0.8 * operations[0]


@pytest.mark.parametrize("method", ["esl", "pq"])
def test_t54_permuted_labels_teach_nothing(backend, method):
    recipe = parse_recipe(_text(backend, method), "test")
    train_part, validation, _ = _parts(recipe)
    run = Run(recipe, train_part)
    run.labels = run.labels[torch.randperm(len(run.labels), generator=torch.Generator().manual_seed(0))]
    for _ in range(4):
        run.epoch()
    assert evaluate(run, validation).accuracy < 0.2
