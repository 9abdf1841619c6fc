"""Losses: TET and distillation (T40, T41 of the notes on algorithms)."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.engines.decoding import trailing_sums
from neurodeploy.errors import TrainingError
from neurodeploy.training.losses import (
    check_labels,
    distillation_term,
    distillation_weight,
    operations_per_connection,
    step_counts,
    tet_loss,
    weighed,
)


def _logits(seed: int, *shape: int):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestTet:
    def test_it_is_the_mean_of_the_cross_entropies_of_all_steps(self):
        steps, labels = _logits(0, 4, 3, 5), torch.tensor([0, 2, 1, 1])
        by_hand = sum(torch.nn.functional.cross_entropy(steps[:, :, t], labels) for t in range(5)) / 5
        assert tet_loss(steps, labels).item() == pytest.approx(by_hand.item(), abs=1e-12)

    def test_the_regulariser_is_mixed_in_by_its_weight(self):
        steps, labels = _logits(0, 4, 3, 5), torch.tensor([0, 2, 1, 1])
        plain, pull = tet_loss(steps, labels), (steps - 0.5).square().mean()
        mixed = tet_loss(steps, labels, weight=0.05, target=0.5)
        assert mixed.item() == pytest.approx((0.95 * plain + 0.05 * pull).item(), abs=1e-12)

    def test_one_step_is_plain_cross_entropy(self):
        steps, labels = _logits(1, 6, 4, 1), torch.arange(6) % 4
        assert torch.equal(tet_loss(steps, labels), torch.nn.functional.cross_entropy(steps[:, :, 0], labels))


class TestDistillation:
    def test_t40_weight_zero_is_the_plain_loss_itself(self):
        loss = torch.tensor(0.123456789)
        assert weighed(loss, torch.tensor(9.0), 0.0) is loss
        assert weighed(loss, None, 0.3) is loss

    def test_t40_no_gradient_reaches_the_teacher(self):
        student, teacher = _logits(0, 5, 4).requires_grad_(), _logits(1, 5, 4).requires_grad_()
        distillation_term(student, teacher, 4.0).backward()
        assert teacher.grad is None
        assert student.grad.abs().sum() > 0

    def test_equal_logits_cost_nothing_and_others_do(self):
        student = _logits(0, 5, 4)
        assert distillation_term(student, student + 3.0, 4.0).item() == pytest.approx(0, abs=1e-12)
        assert distillation_term(student, -student, 4.0) > 0

    @pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
    def test_t41_gradient_matches_finite_differences(self, temperature):
        student, teacher = _logits(0, 3, 4).requires_grad_(), _logits(1, 3, 4)
        assert torch.autograd.gradcheck(lambda z: distillation_term(z, teacher, temperature), (student,))

    def test_t41_gradient_hardly_depends_on_a_large_temperature(self):
        norms = []
        for temperature in (20.0, 80.0):
            student = _logits(0, 8, 10).requires_grad_()
            distillation_term(student, _logits(1, 8, 10), temperature).backward()
            norms.append(student.grad.norm().item())
        assert norms[0] == pytest.approx(norms[1], rel=0.05)

    def test_the_term_is_summed_over_classes_and_averaged_over_samples(self):
        student, teacher = _logits(0, 6, 5), _logits(1, 6, 5)
        p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
        assert distillation_term(student, teacher, 2.0).item() == pytest.approx(
            (4 * (p * (p / q).log()).sum(1).mean()).item(), abs=1e-12
        )

    def test_its_weight_rises_over_the_warm_up_and_falls_to_zero_at_the_end(self):
        weights = [distillation_weight(step, 0.3, 10, 100) for step in range(120)]
        assert weights[9] == pytest.approx(0.3)
        assert max(weights) == pytest.approx(0.3)
        assert all(a < b for a, b in zip(weights[:9], weights[1:10]))
        assert all(a > b for a, b in zip(weights[10:99], weights[11:100]))
        assert weights[100:] == [0.0] * 20


class TestOperations:
    """T52: the count is that of a spike-by-spike loop."""

    def test_t52_it_counts_every_connection_of_every_hidden_spike(self):
        generator = torch.Generator().manual_seed(0)
        layers = {
            n: (torch.rand(3, k, 5, generator=generator) < 0.4).float() for n, k in (("a", 4), ("b", 6), ("c", 2))
        }
        masks = {
            n: torch.rand(*shape, generator=generator) < 0.5
            for n, shape in (("a", (4, 9)), ("b", (6, 4)), ("c", (2, 6)))
        }
        reads = 0
        for name, following in (("a", "b"), ("b", "c")):
            for _, neuron, _ in layers[name].nonzero().tolist():
                reads += int(masks[following][:, neuron].sum())
        connections = int(masks["b"].sum() + masks["c"].sum())
        assert operations_per_connection(layers, masks).item() == pytest.approx(reads / 3 / connections)

    def test_a_dense_layer_after_feature_maps_is_counted_by_position(self):
        """One channel of 2x2 positions, two spikes, 3 neurons fully connected: 2 * 3 reads of 12 connections."""
        spikes = torch.zeros(1, 1, 2, 2, 1)
        spikes[0, 0, 0, 0] = spikes[0, 0, 1, 1] = 1
        masks = {
            "maps": torch.ones(1, 1, 3, 3, 1, dtype=torch.bool),
            "out": torch.ones(3, 4, 1, 1, 1, dtype=torch.bool),
        }
        layers = {"maps": spikes, "out": torch.zeros(1, 3, 1)}
        assert operations_per_connection(layers, masks).item() == pytest.approx(6 / 12)

    def test_its_gradient_asks_the_neuron_with_the_larger_fan_out_to_fire_less(self):
        spikes = torch.ones(1, 2, 1, requires_grad=True)
        masks = {"a": torch.ones(2, 3), "b": torch.tensor([[True, False], [True, True]])}
        operations_per_connection({"a": spikes, "b": torch.zeros(1, 2, 1)}, masks).backward()
        assert spikes.grad.flatten().tolist() == pytest.approx([2 / 3, 1 / 3])


def test_labels_without_an_output_neuron_are_refused():
    check_labels(torch.tensor([0, 9]), 10, None)
    with pytest.raises(TrainingError, match=r"label 10 has no output neuron: the last layer has 10 \(labels 0..9\)"):
        check_labels(torch.tensor([0, 10]), 10, None)
    with pytest.raises(TrainingError, match="label -1 has no output neuron"):
        check_labels(torch.tensor([3, -1]), 10, None)


class TestClassesOfSteps:
    def test_counts_are_those_of_the_last_steps(self):
        spikes = torch.tensor([[[1.0, 1.0, 0.0, 1.0]]])
        assert step_counts(spikes, 2).tolist() == [[[1.0, 2.0, 1.0, 1.0]]]
        assert torch.equal(step_counts(spikes, 9), spikes.cumsum(-1))

    def test_counts_are_those_that_decoding_uses(self):
        spikes = (torch.rand(3, 5, 40, generator=torch.Generator().manual_seed(0)) < 0.5).float()
        by_step = trailing_sums(spikes.transpose(1, 2).numpy().astype(int), 7)
        assert torch.equal(step_counts(spikes, 7), torch.from_numpy(by_step).transpose(1, 2).float())

    def test_labels_of_steps_and_windows_belong_together(self):
        with pytest.raises(TrainingError, match="a label for each of 4 steps; .* network.window, for example 32"):
            check_labels(torch.zeros(2, 4, dtype=torch.int64), 3, None)
        with pytest.raises(
            TrainingError, match="network.window is 5, .* the samples have one label each; leave it out"
        ):
            check_labels(torch.zeros(2, dtype=torch.int64), 3, 5)
