"""SD-SNN's rules on scripted weights and small chains (T30 to T34 of the notes on algorithms)."""

from __future__ import annotations

import copy
import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.spines import (
    PrunableLayer,
    SpineRewirer,
    Spines,
    SpineSettings,
    neurotrophic_rates,
)

C = 3
SETTINGS = SpineSettings(constant=C)


def _play(trace, limit: float = 1.0) -> Spines:
    """One synapse with range -limit..limit whose weight takes these values, one an epoch."""
    spines = Spines.around(torch.tensor([[limit]]))
    for value in trace:
        weight = torch.tensor([[value]])
        spines.update(weight, torch.ones(1, 1, dtype=torch.bool), SETTINGS)
        spines.previous.copy_(weight)
    return spines


class TestRangePlasticity:
    """T30: what moves a range, and what does not."""

    def test_t30_above_for_c_plus_1_epochs_raises_the_upper_limit_by_the_mean_overshoot(self):
        spines = _play([1.1, 1.2, 1.3, 1.7])
        assert spines.upper.item() == pytest.approx(1 + (0.2 + 0.3 + 0.7) / 3)
        assert spines.lower.item() == -1

    def test_t30_above_for_c_epochs_changes_nothing(self):
        assert _play([1.1, 1.2, 1.3]).upper.item() == 1

    def test_t30_a_gap_of_one_epoch_starts_over(self):
        assert _play([1.1, 1.2, 1.3, 0.9, 1.4, 1.5, 1.6]).upper.item() == 1
        assert _play([1.1, 1.2, 1.3, 0.9, 1.4, 1.5, 1.6, 1.7]).upper.item() == pytest.approx(1.6)

    def test_t30_the_lower_limit_mirrors_the_upper(self):
        spines = _play([-1.1, -1.2, -1.3, -1.7])
        assert spines.lower.item() == pytest.approx(-1.4)
        assert spines.upper.item() == 1

    def test_t30_falling_for_c_plus_1_epochs_shrinks_both_limits_to_three_quarters(self):
        assert _play([0.9, 0.8, 0.7]).upper.item() == 1
        shrunk = _play([0.9, 0.8, 0.7, 0.6])
        assert (shrunk.upper.item(), shrunk.lower.item()) == (0.75, -0.75)

    def test_t30_negative_weights_that_get_smaller_shrink_the_range_too(self):
        assert _play([-0.9, -0.8, -0.7, -0.6]).upper.item() == 0.75

    def test_importance_is_the_normalised_span_of_existing_synapses_summed_by_neuron(self):
        spines = Spines.around(torch.ones(3, 2))
        spines.upper = torch.tensor([[1.0, 2.0], [3.0, 3.0], [2.0, 1.0]])
        spines.lower = torch.full((3, 2), -1.0)
        mask = torch.tensor([[True, True], [True, False], [False, False]])
        assert spines.importance(mask).tolist() == [0.5, 1.0, 0.0]
        assert Spines.around(torch.ones(2, 2)).importance(torch.ones(2, 2, dtype=torch.bool)).tolist() == [1.0, 1.0]


class TestRates:
    """T32: the trajectories of the paper's CIFAR10 network, regeneration off."""

    def _simulate(self, epochs: int):
        """Prune ``floor(N rho / 100)`` neurons an epoch, then adapt the rates; yields rates and pruned dense neurons."""
        neurons = [128, 128, 256, 256, 512, 512, 512]
        rates, before = [0.5] * 6 + [2.0], [0] * 8
        for t in range(epochs):
            pruned = [int(n * rho / 100) for n, rho in zip(neurons, rates)] + [0]
            kinds = ["conv"] * 6 + ["dense"] * 2
            layers = [
                PrunableLayer(kind=k, neurons=n, pruned=p, pruned_before=b)
                for k, n, p, b in zip(kinds, [*neurons, 10], pruned, before)
            ]
            before = pruned
            rates = neurotrophic_rates(rates, layers, t)
            yield rates, pruned[6]

    def test_t32_rates_and_pruned_neurons_follow_the_published_schedule(self):
        trajectory = dict(enumerate(self._simulate(563), start=37))
        published = {
            37: (1.0, 1.5, 27.1, 10),
            40: (2.0, 4.0, 37.1, 185),
            60: (3.3, 7.7, 37.6, 192),
            599: (3.3, 7.7, 45.6, 233),
        }
        for epoch, (_, _, dense, n_pruned) in published.items():
            rates, pruned = trajectory[epoch]
            assert pruned == n_pruned
            assert rates[-1] == pytest.approx(dense, abs=0.06)
        for epoch in published:
            conv = trajectory[epoch][0][:6]
            assert (min(conv), max(conv)) == pytest.approx(published[epoch][:2], abs=0.06)

    def test_t32_more_pruned_neurons_slow_the_rate_down(self):
        def step(pruned):
            layer = PrunableLayer(kind="dense", neurons=100, pruned=pruned, pruned_before=pruned)
            return neurotrophic_rates([2.0], [layer, layer], 0)[0] - 2.0

        assert step(0) == pytest.approx(5.0)
        assert step(60) == pytest.approx(2.0)


class _Chain(torch.nn.Module):
    def __init__(self, *layers) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
            if isinstance(layer, torch.nn.Conv2d) and isinstance(self.layers[-1], torch.nn.Linear):
                x = x.flatten(1) if layer is self.layers[-2] else x
        return self.layers[-1](x)


def _chain(kind: str):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "dense":
            return _Chain(torch.nn.Linear(12, 40, bias=False), torch.nn.Linear(40, 4, bias=False)), (12,)
        return _Chain(
            torch.nn.Conv2d(2, 24, 3, bias=False),
            torch.nn.Conv2d(24, 16, 3, bias=False),
            torch.nn.Linear(16 * 4, 4, bias=False),
        ), (2, 6, 6)


def _train(kind: str, epochs: int, settings: SpineSettings, lr: float = 0.02, resume_at: int | None = None):
    """Yield the rewirer and the model after every epoch of four steps."""
    model, shape = _chain(kind)
    weights = dict(model.named_parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
    rewirer = SpineRewirer(weights, optimizer, settings)
    generator = torch.Generator().manual_seed(3)
    for epoch in range(epochs):
        if epoch == resume_at:
            state = copy.deepcopy((model.state_dict(), optimizer.state_dict(), rewirer.state_dict()))
            model, _ = _chain(kind)
            optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
            rewirer = SpineRewirer(dict(model.named_parameters()), optimizer, settings)
            model.load_state_dict(state[0])
            optimizer.load_state_dict(state[1])
            rewirer.load_state_dict(state[2])
        for _ in range(4):
            x = torch.randn(16, *shape, generator=generator)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), (x.flatten(1)[:, :4]).argmax(1)).backward()
            rewirer.before_step()
            optimizer.step()
            rewirer.after_step()
            for name, mask in rewirer.masks.items():
                assert not rewirer.weights[name][~mask].any()
        rewirer.end_epoch()
        yield rewirer, model


@pytest.mark.parametrize("kind", ["dense", "conv"])
class TestTraining:
    def test_t31_weights_lie_in_their_ranges_and_ranges_of_all_layers_move_within_3c_epochs(self, kind):
        start = {}
        for epoch, (rewirer, _) in enumerate(_train(kind, 3 * C, SpineSettings(constant=C, rate=0.2))):
            if epoch == 0:
                start = {name: spines.upper.clone() for name, spines in rewirer._spines.items()}
            if epoch > C:
                for name, spines in rewirer._spines.items():
                    weight = rewirer.weights[name].detach()
                    assert ((weight >= spines.lower) & (weight <= spines.upper))[rewirer.masks[name]].all()
        assert all(not torch.equal(start[name], rewirer._spines[name].upper) for name in start)

    def test_neurons_go_only_after_2c_epochs_and_stay_away_without_regeneration(self, kind):
        settings = SpineSettings(constant=C, rate=3.0, regenerate=False)
        gone = None
        for epoch, (rewirer, _) in enumerate(_train(kind, 5 * C, settings)):
            dead = {n: ~alive for n, alive in rewirer.alive().items()}
            if epoch <= 2 * C:
                assert not any(d.any() for d in dead.values())
            if gone is not None:
                assert all((dead[n] | ~gone[n]).all() for n in gone)
            gone = dead
        assert all(dead.any() for dead in list(gone.values())[:-1])
        assert not list(gone.values())[-1].any()
        for (name, dead), rate in zip(gone.items(), rewirer.rates):
            n_neurons = len(rewirer.masks[name])
            assert int(dead.sum()) <= min(math.floor(n_neurons * rate / 100), n_neurons - 1)

    def test_t34_export_drops_what_leaves_pruned_neurons_and_computes_the_same(self, kind):
        *_, (rewirer, model) = _train(kind, 4 * C, SpineSettings(constant=C, rate=3.0))
        x = torch.randn(8, *_chain(kind)[1], generator=torch.Generator().manual_seed(9))
        before = model(x)
        masks = rewirer.export_masks()
        with torch.no_grad():
            for name, weight in rewirer.weights.items():
                weight.mul_(masks[name])
        assert torch.equal(model(x), before)
        names = list(masks)
        for name, following in zip(names, names[1:]):
            dead = ~masks[name].flatten(1).any(1)
            assert dead.any()
            columns = masks[following].view(len(masks[following]), len(dead), -1)
            assert not columns[:, dead].any()
            assert columns[:, ~dead].any()
        assert sum(rewirer.density().values()) < sum(m.float().mean().item() for m in rewirer.masks.values())

    def test_state_taken_before_and_after_pruning_goes_on_bit_identically(self, kind):
        settings = SpineSettings(constant=2, rate=2.0)
        *_, (whole, _) = _train(kind, 10, settings)
        for resume_at in (3, 7):
            *_, (resumed, _) = _train(kind, 10, settings, resume_at=resume_at)
            assert resumed.rates == whole.rates
            for name in whole.masks:
                assert torch.equal(whole.masks[name], resumed.masks[name])
                assert torch.equal(whole.weights[name], resumed.weights[name])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_t33_a_synapse_regenerates_after_more_than_c_wanted_epochs_whatever_its_sign(sign):
    """One absent synapse has a gradient in every epoch; it comes back in epoch C + 1 of them, not before."""
    layer, head = torch.nn.Linear(60, 2, bias=False), torch.nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD([*layer.parameters(), *head.parameters()], lr=0.01)
    rewirer = SpineRewirer({"a": layer.weight, "b": head.weight}, optimizer, SpineSettings(constant=C, rate=0.0))
    rewirer.rates = [0.0]
    rewirer.epoch = 2 * C + 1
    with torch.no_grad():
        rewirer.masks["a"][0, 5] = False
        layer.weight.zero_()
        head.weight.fill_(1.0)
    wanted = []
    for _ in range(C + 2):
        optimizer.zero_grad()
        (-sign * layer.weight[0, 5]).backward()
        head.weight.grad = torch.zeros_like(head.weight)
        rewirer.before_step()
        optimizer.step()
        rewirer.after_step()
        rewirer.end_epoch()
        wanted.append(bool(rewirer.masks["a"][0, 5]))
    assert wanted == [False] * C + [True, True]


def test_a_chain_that_does_not_fit_is_refused():
    a, b = torch.nn.Linear(4, 5, bias=False), torch.nn.Linear(7, 2, bias=False)
    optimizer = torch.optim.SGD([*a.parameters(), *b.parameters()], lr=0.1)
    with pytest.raises(TrainingError, match="a chain of layers, but 'b' takes 7 inputs after the 5 neurons of 'a'"):
        SpineRewirer({"a": a.weight, "b": b.weight}, optimizer)


def test_spine_settings_out_of_range_are_refused():
    with pytest.raises(TrainingError, match="spine constant 0 must be 1 or more"):
        SpineSettings(constant=0)


def test_another_constant_prunes_about_as_many_neurons_in_the_same_share_of_training():
    """C = 6 with a third of the epochs: the dense rate ends within two points of the one with C = 18."""
    ends = []
    for constant in (18, 6):
        layer, head = torch.nn.Linear(600, 256, bias=False), torch.nn.Linear(256, 10, bias=False)
        optimizer = torch.optim.SGD([*layer.parameters(), *head.parameters()], lr=0.0)
        rewirer = SpineRewirer(
            {"a": layer.weight, "b": head.weight}, optimizer, SpineSettings(constant=constant, regenerate=False)
        )
        for _ in range(5 * constant):
            rewirer.end_epoch()
        ends.append(rewirer.rates[0])
        assert 15 < ends[-1] < 40
    assert abs(ends[0] - ends[1]) < 2
