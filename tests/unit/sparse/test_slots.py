"""The slots of the rewiring engine: groups, density paths, scores, constraints, state (tests of the notes on algorithms)."""

from __future__ import annotations

import copy
import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.ablation import Ablation
from neurodeploy.sparse.masks import find_weights, grouping, initial_masks, scale_sparse_init
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.sparse.schedules import ConstantRatio, CubicPath, PqRatio, Shrink
from neurodeploy.sparse.scores import GROWTH, Growth
from neurodeploy.sparse.selection import Caps
from neurodeploy.sparse.sparsity_index import pq_ratio


def _model(seed: int = 0) -> torch.nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Linear(24, 32, bias=False), torch.nn.ReLU(), torch.nn.Linear(32, 6, bias=False)
        )


def _rewirer(model, density: float = 0.25, distribution: str = "erk", **options) -> Rewirer:
    weights = find_weights(model)
    scope = options.get("scope", "layer")
    masks = initial_masks(weights, density=density, distribution=distribution, scope=scope, seed=3)
    scale_sparse_init(weights, masks)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Rewirer(weights, masks, optimizer, **{"every_steps": 1, "end_step": 10_000, "seed": 7, **options})


def _run(model, rewirer, n: int, seed: int = 1):
    """Train on noise that a fixed random teacher labels; yield after every step."""
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(24, 6, generator=torch.Generator().manual_seed(99))
    for _ in range(n):
        x = torch.randn(16, 24, generator=generator)
        rewirer._masked.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), (x @ teacher).argmax(1)).backward()
        rewirer.before_step()
        rewirer._masked.optimizer.step()
        rewirer.after_step()
        yield


def _fan_in(mask):
    return mask.flatten(1).sum(1)


class TestGroups:
    """T09: constant fan-in, N:M blocks; connections that move between layers."""

    def test_t09_constant_fan_in_holds_in_every_neuron_after_every_rewiring(self):
        model = _model()
        rewirer = _rewirer(model, scope="neuron", growth="gradient")
        fan_in = {name: int(_fan_in(mask)[0]) for name, mask in rewirer.masks.items()}
        for _ in _run(model, rewirer, 25):
            for name, mask in rewirer.masks.items():
                assert _fan_in(mask).tolist() == [fan_in[name]] * len(mask)
        assert rewirer.explored()["0.weight"] > rewirer.density()["0.weight"]

    def test_t09_two_of_four_holds_in_every_block_after_every_rewiring(self):
        model = _model()
        rewirer = _rewirer(model, scope=(2, 4), growth="gradient")
        first = rewirer.masks["0.weight"].clone()
        for _ in _run(model, rewirer, 10):
            assert (rewirer.masks["0.weight"].reshape(32, 6, 4).sum(2) == 2).all()
        assert not torch.equal(first, rewirer.masks["0.weight"])

    def test_a_block_at_the_end_of_a_row_may_be_shorter_and_never_spans_two_rows(self):
        assert grouping((2, 5), (1, 2)).tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
        weight = torch.nn.Parameter(torch.ones(3, 5))
        mask = initial_masks({"w": weight}, density=0.5, scope=(1, 2))["w"]
        assert _fan_in(mask).tolist() == [3, 3, 3]

    def test_global_scope_keeps_the_total_and_moves_connections_between_layers(self):
        model = _model()
        rewirer = _rewirer(model, scope="global", growth="gradient", min_fan_in=1)
        before = {name: int(mask.sum()) for name, mask in rewirer.masks.items()}
        for _ in _run(model, rewirer, 20):
            assert sum(int(m.sum()) for m in rewirer.masks.values()) == sum(before.values())
        assert before != {name: int(mask.sum()) for name, mask in rewirer.masks.items()}

    def test_min_fan_in_is_kept_by_every_neuron_that_had_it(self):
        """Where most connections are dropped each time, only the guard keeps a neuron from losing its last ones."""
        lowest = []
        for guard in (0, 2):
            model = _model()
            rewirer = _rewirer(model, density=0.2, scope="layer", min_fan_in=guard, ratio=ConstantRatio(0.9))
            with torch.no_grad():
                rewirer.masks["0.weight"][:, :2] = True
                rewirer.weights["0.weight"][:16] *= 0.01
            list(_run(model, rewirer, 3))
            lowest.append(int(_fan_in(rewirer.masks["0.weight"]).min()))
        assert lowest[0] < 2 <= lowest[1]

    def test_unknown_scope_is_refused(self):
        with pytest.raises(TrainingError, match=r"unknown scope 'core'; known: layer, neuron, global, or \(n, m\)"):
            _rewirer(_model(), scope="core")


class TestStart:
    def test_t08_er_ignores_the_kernel_where_erk_counts_it(self):
        weights = {
            "wide": torch.nn.Parameter(torch.ones(16, 16, 3, 3)),
            "narrow": torch.nn.Parameter(torch.ones(16, 16)),
        }
        counts = {
            d: {n: int(m.sum()) for n, m in initial_masks(weights, density=0.2, distribution=d).items()}
            for d in ("er", "erk")
        }
        assert sum(counts["er"].values()) == sum(counts["erk"].values()) == round(0.2 * 16 * 16 * 10)
        assert counts["er"]["wide"] / 2304 == pytest.approx(counts["er"]["narrow"] / 256, abs=0.01)
        assert counts["erk"]["narrow"] / 256 > 2 * counts["erk"]["wide"] / 2304

    def test_dense_keeps_everything_and_refuses_another_density(self):
        weights = find_weights(_model())
        assert all(m.all() for m in initial_masks(weights, density=1.0, distribution="dense").values())
        with pytest.raises(TrainingError, match="distribution 'dense' keeps everything, but density is 0.5"):
            initial_masks(weights, density=0.5, distribution="dense")

    def test_weights_are_found_by_pattern_in_linear_conv_and_recurrent_modules(self):
        module = torch.nn.ModuleDict(
            {"rnn": torch.nn.GRU(8, 4), "conv": torch.nn.Conv2d(3, 5, 3), "head": torch.nn.Linear(4, 2)}
        )
        assert set(find_weights(module)) == {
            "rnn.weight_ih_l0",
            "rnn.weight_hh_l0",
            "conv.weight",
            "head.weight",
        }
        assert set(find_weights(module, ("*", "!head*"))) == set(find_weights(module)) - {"head.weight"}
        with pytest.raises(TrainingError, match=r"no weight is named 'feature\*'; there are: rnn.weight_ih_l0"):
            find_weights(module, ("feature*",))

    def test_a_layer_with_one_neuron_is_found_and_one_with_one_input_is_not(self):
        module = torch.nn.Sequential(torch.nn.Linear(5, 1), torch.nn.Linear(1, 5))
        assert list(find_weights(module)) == ["0.weight"]

    @pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
    @pytest.mark.parametrize("norm", [torch.nn.utils.weight_norm, torch.nn.utils.parametrizations.weight_norm])
    def test_weight_norm_is_refused_by_name_and_may_be_left_out(self, norm):
        module = torch.nn.ModuleDict({"normed": norm(torch.nn.Linear(5, 4)), "plain": torch.nn.Linear(4, 3)})
        with pytest.raises(TrainingError, match="'normed.*' is a piece of a weight with weight-norm"):
            find_weights(module)
        assert list(find_weights(module, ("plain*",))) == ["plain.weight"]

    def test_a_weight_the_optimiser_does_not_know_is_refused(self):
        model = _model()
        weights = find_weights(model)
        masks = initial_masks(weights, density=0.5)
        with pytest.raises(TrainingError, match="layer '2.weight' is not among the optimiser's parameters"):
            Rewirer(weights, masks, torch.optim.SGD([model[0].weight], lr=0.1))


class TestDensityPaths:
    def test_cubic_path_hits_its_target_at_every_rewiring_and_ends_at_the_final_density(self):
        model = _model()
        path = CubicPath(initial=0.5, final=0.1, start_step=0, end_step=20)
        rewirer = _rewirer(model, density=0.5, path=path, growth="gradient", ratio=ConstantRatio(0.3))
        total = 24 * 32 + 32 * 6
        counts = []
        for step, _ in enumerate(_run(model, rewirer, 25), start=1):
            counts.append(sum(int(m.sum()) for m in rewirer.masks.values()))
            assert counts[-1] == round((0.1 + 0.4 * (1 - min(step / 20, 1)) ** 3) * total)
        assert counts[-1] == round(0.1 * total)
        assert counts == sorted(counts, reverse=True)

    def test_cubic_path_by_magnitude_shares_the_density_as_the_largest_weights_lie(self):
        model = _model()
        path = CubicPath(initial=0.5, final=0.1, start_step=0, end_step=1)
        rewirer = _rewirer(model, density=0.5, path=path, ratio=0.0)
        with torch.no_grad():
            model[2].weight.mul_(100)
        before = int(rewirer.masks["2.weight"].sum())
        next(_run(model, rewirer, 1))
        total = round(0.1 * (24 * 32 + 32 * 6))
        assert int(rewirer.masks["2.weight"].sum()) == min(before, total)

    def test_t25_shrink_takes_floor_c_k_at_the_end_of_each_iteration_and_nothing_between(self):
        shrink, weights_before = Shrink(iteration_steps=6), {}

        def path(groups):
            """The shrink itself; keeps each layer's weights as they were right before the rewiring."""
            weights_before.update({i: groups.sizes[groups.group == i].clone() for i in (0, 1)})
            return shrink(groups)

        model = _model()
        rewirer = _rewirer(model, density=0.5, path=path, ratio=0.0, every_steps=2, growth="momentum")
        counts = [int(m.sum()) for m in rewirer.masks.values()]
        for step, _ in enumerate(_run(model, rewirer, 24), start=1):
            if step % 6 == 0:
                counts = [k - math.floor(pq_ratio(weights_before[i]) * k + 1e-9) for i, k in enumerate(counts)]
            assert [int(m.sum()) for m in rewirer.masks.values()] == counts
        assert rewirer.density()["0.weight"] < 0.4

    def test_t25_shrink_stops_at_its_floor_exactly(self):
        model = _model()
        rewirer = _rewirer(model, density=0.5, path=Shrink(iteration_steps=1, floor=0.3), ratio=0.0)
        list(_run(model, rewirer, 30))
        assert sum(int(m.sum()) for m in rewirer.masks.values()) == round(0.3 * (24 * 32 + 32 * 6))

    def test_t26_the_ratio_differs_between_layers_in_a_real_run(self):
        model = _model()
        rewirer = _rewirer(model, density=0.5, ratio=PqRatio(), growth="momentum", every_steps=5)
        list(_run(model, rewirer, 30))
        ratios = [event.ratio for event in rewirer.events.values()]
        assert max(ratios) - min(ratios) > 0.005

    def test_t26_neuron_scope_with_one_neuron_equals_layer_scope(self):
        weight = torch.randn(1, 40, generator=torch.Generator().manual_seed(0))
        masks = []
        for scope in ("layer", "neuron"):
            layer = torch.nn.Linear(40, 1, bias=False)
            with torch.no_grad():
                layer.weight.copy_(weight)
            start = {"w": torch.arange(40).reshape(1, 40) < 20}
            optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
            rewirer = Rewirer({"w": layer.weight}, start, optimizer, scope=scope, ratio=PqRatio(), every_steps=1)
            layer(torch.ones(1, 40)).sum().backward()
            rewirer.before_step()
            optimizer.step()
            rewirer.after_step()
            masks.append(rewirer.masks["w"])
        assert torch.equal(*masks)


class TestScores:
    def test_set_drops_the_same_fraction_of_positive_and_negative_connections(self):
        """Negative weights are ten times larger; by size alone only positive ones would go."""
        model = _model()
        rewirer = _rewirer(model, drop="per_sign", ratio=ConstantRatio(0.4))
        with torch.no_grad():
            weight = model[0].weight
            weight.copy_(torch.where(weight < 0, weight * 10, weight))
        signs, before = model[0].weight.detach().sign(), rewirer.masks["0.weight"].clone()
        model(torch.zeros(1, 24)).sum().backward()
        rewirer.before_step()
        rewirer.after_step()
        gone = before & ~rewirer.masks["0.weight"]
        for sign in (-1, 1):
            n = int((before & (signs == sign)).sum())
            assert abs(int((gone & (signs == sign)).sum()) - 0.4 * n) <= 1
        assert int(gone.sum()) == math.floor(0.4 * int(before.sum()))

    def test_taylor_drops_the_weights_with_the_smallest_effect_on_the_loss(self):
        layer = torch.nn.Linear(4, 1, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[5.0, 1.0, 1.0, 1.0]]))
        mask = torch.tensor([[True, True, True, False]])
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
        rewirer = Rewirer(
            {"w": layer.weight}, {"w": mask}, optimizer, drop="taylor", ratio=ConstantRatio(0.4), every_steps=1
        )
        layer(torch.tensor([[0.01, 1.0, 2.0, 1.0]])).sum().backward()
        rewirer.before_step()
        rewirer.after_step()
        assert rewirer.masks["w"].tolist() == [[False, True, True, True]]

    @pytest.mark.parametrize("growth", ["gradient", "momentum", "displacement"])
    def test_t10_growth_finds_the_one_useful_connection_after_five_steps(self, growth):
        layer = torch.nn.Linear(8, 4, bias=False)
        mask = torch.zeros(4, 8, dtype=torch.bool)
        mask[2, :4] = True
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
        rewirer = Rewirer({"w": layer.weight}, {"w": mask}, optimizer, growth=growth, ratio=0.3, every_steps=5)
        x = torch.zeros(1, 8)
        x[0, 3] = 1.0
        for _ in range(5):
            assert not rewirer.masks["w"][1, 3]
            optimizer.zero_grad()
            ((layer(x)[0, 1] - 1.0) ** 2).backward()
            rewirer.before_step()
            optimizer.step()
            rewirer.after_step()
        assert rewirer.masks["w"][1, 3]

    def test_momentum_growth_reads_steps_before_the_last_and_gradient_growth_does_not(self):
        """The signal is on input 3 for nine steps and on input 5 in the last: the average still prefers 3."""
        grown = {}
        for growth in ("gradient", "momentum"):
            layer = torch.nn.Linear(8, 1, bias=False)
            mask = torch.tensor([[True, True] + [False] * 6])
            optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
            rewirer = Rewirer(
                {"w": layer.weight}, {"w": mask}, optimizer, growth=growth, ratio=ConstantRatio(0.5), every_steps=10
            )
            for step in range(10):
                x = torch.zeros(1, 8)
                x[0, 5 if step == 9 else 3] = 1.0
                optimizer.zero_grad()
                layer(x).sum().backward()
                rewirer.before_step()
                optimizer.step()
                rewirer.after_step()
            grown[growth] = [i for i in range(2, 8) if rewirer.masks["w"][0, i]]
        assert grown == {"gradient": [5], "momentum": [3]}

    def test_unseen_growth_explores_more_than_random_growth(self):
        explored = {}
        for growth in ("random", "unseen"):
            model = _model()
            rewirer = _rewirer(model, growth=growth, density=0.1)
            list(_run(model, rewirer, 12))
            explored[growth] = rewirer.explored()["0.weight"]
        assert explored["unseen"] > explored["random"] + 0.02

    def test_t11_growth_from_a_masked_buffer_regrows_what_was_dropped_and_dense_average_does_not(self):
        """The trap: an optimiser buffer that is masked at every step is zero everywhere but at the just dropped."""
        overlap = {}
        for kind in ("dense", "masked"):
            model = _model()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
            growth = "momentum"
            if kind == "masked":
                growth = Growth(score=lambda layer, _, o=optimizer: o.state[layer.weight]["momentum_buffer"].abs())
            weights = find_weights(model)
            masks = initial_masks(weights, density=0.1, seed=3)
            rewirer = Rewirer(weights, masks, optimizer, growth=growth, regrow=True, every_steps=5, end_step=500)
            steps = _run(model, rewirer, 200)
            seen = [rewirer.events["0.weight"].overlap for _ in steps if rewirer.step % 5 == 0]
            overlap[kind] = sum(seen) / len(seen)
            if kind == "masked":
                assert rewirer.explored()["0.weight"] < 1.2 * rewirer.density()["0.weight"]
            else:
                assert rewirer.explored()["0.weight"] > 2 * rewirer.density()["0.weight"]
        assert overlap["masked"] > 0.9
        assert overlap["dense"] < 0.6

    def test_t11_masked_momentum_is_refused_by_name(self):
        with pytest.raises(TrainingError, match="growth 'masked_momentum' is refused: .* use 'momentum'"):
            _rewirer(_model(), growth="masked_momentum")

    def test_t03_a_connection_that_regrows_keeps_its_weight(self):
        layer = torch.nn.Linear(4, 1, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[0.5, 2.0, 0.0, 0.0]]))
        mask = torch.tensor([[True, True, False, False]])
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
        rewirer = Rewirer(
            {"w": layer.weight},
            {"w": mask},
            optimizer,
            growth="gradient",
            regrow=True,
            ratio=ConstantRatio(0.5),
            every_steps=1,
        )
        layer(torch.tensor([[9.0, 1.0, 1.0, 1.0]])).sum().backward()
        rewirer.before_step()
        rewirer.after_step()
        assert rewirer.masks["w"].tolist() == mask.tolist()
        assert layer.weight.tolist() == [[0.5, 2.0, 0.0, 0.0]]
        assert rewirer.events["w"].overlap == 1.0

    def test_t13_shuffled_growth_scores_change_the_final_mask(self):
        def shuffled(layer, generator):
            scores = GROWTH["gradient"].score(layer, generator).flatten()
            return scores[torch.randperm(len(scores), generator=generator)].reshape(layer.mask.shape)

        masks = []
        for growth in ("gradient", Growth(score=shuffled)):
            model = _model()
            rewirer = _rewirer(model, growth=growth)
            list(_run(model, rewirer, 20))
            masks.append(rewirer.masks["0.weight"])
        assert float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()) < 0.8


class TestConstraints:
    def test_forbidden_positions_never_hold_a_connection_and_the_count_stays(self):
        model = _model()
        allowed = {n: torch.ones_like(p, dtype=torch.bool) for n, p in find_weights(model).items()}
        allowed["0.weight"][:, ::2] = False
        rewirer = _rewirer(model, density=0.25, allowed=allowed)
        with torch.no_grad():
            rewirer.masks["0.weight"] &= allowed["0.weight"]
        before = int(rewirer.masks["0.weight"].sum())
        for _ in _run(model, rewirer, 20):
            assert not (rewirer.masks["0.weight"] & ~allowed["0.weight"]).any()
            assert int(rewirer.masks["0.weight"].sum()) == before

    def test_caps_hold_on_every_core_and_the_count_stays(self):
        """Two cores of 16 neurons in the first layer, one for the second; the first is full from the start."""
        model = _model()
        core = torch.cat([torch.arange(24 * 32) // (24 * 16), torch.full((32 * 6,), 2)])
        weights = find_weights(model)
        masks = initial_masks(weights, density=0.25, seed=3)
        start = torch.bincount(core[torch.cat([m.flatten() for m in masks.values()])])
        caps = Caps(group=core, limits=start + torch.tensor([0, 10, 0]))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        rewirer = Rewirer(weights, masks, optimizer, caps=caps, every_steps=1, growth="gradient", ratio=0.5)
        for _ in _run(model, rewirer, 20):
            now = torch.bincount(core[torch.cat([m.flatten() for m in rewirer.masks.values()])])
            assert (now <= caps.limits).all()
            assert int(now.sum()) == int(start.sum())
        assert rewirer.explored()["0.weight"] > rewirer.density()["0.weight"]

    def test_drops_are_undone_where_there_is_no_room_to_grow(self):
        """Seven of eight positions are taken: of three drops asked for, two are undone (the largest)."""
        layer = torch.nn.Linear(8, 1, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.arange(1.0, 9.0).reshape(1, 8))
        mask = torch.arange(8).reshape(1, 8) < 7
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
        rewirer = Rewirer({"w": layer.weight}, {"w": mask}, optimizer, ratio=ConstantRatio(0.45), every_steps=1)
        layer(torch.ones(1, 8)).sum().backward()
        rewirer.before_step()
        rewirer.after_step()
        assert rewirer.masks["w"].tolist() == [[False] + [True] * 7]


class TestAblation:
    """SRigL: constant fan-in among the neurons that stay, ablated neurons stay away."""

    def _ablating(self, model, **options):
        return _rewirer(
            model,
            scope="neuron",
            growth="gradient",
            ablation=Ablation(spare=("2.weight",), **options),
            pooled_drop=True,
        )

    def test_t09_alive_neurons_share_the_budget_in_equal_fan_ins(self):
        model = _model()
        rewirer = self._ablating(model)
        budget = int(rewirer.masks["0.weight"].sum())
        with torch.no_grad():
            rewirer.weights["0.weight"][:12] *= 1e-4
            model[2].weight[:, :12] = 0
        list(_run(model, rewirer, 10))
        alive = rewirer.alive()["0.weight"]
        fan_in = _fan_in(rewirer.masks["0.weight"])
        assert 1 <= int((~alive).sum()) <= 31
        assert not fan_in[~alive].any()
        assert fan_in[alive].tolist() == [min(budget // int(alive.sum()), 24)] * int(alive.sum())
        assert rewirer.alive()["2.weight"].all()

    def test_no_neuron_goes_at_threshold_zero_and_one_stays_at_threshold_one(self):
        model = _model()
        rewirer = self._ablating(model, threshold=0.0)
        list(_run(model, rewirer, 5))
        assert rewirer.alive()["0.weight"].all()
        model = _model()
        rewirer = self._ablating(model, threshold=1.0)
        list(_run(model, rewirer, 5))
        assert 1 <= int(rewirer.alive()["0.weight"].sum()) < 32

    def test_ablation_without_neuron_scope_is_refused(self):
        with pytest.raises(TrainingError, match="neuron ablation needs scope 'neuron', not 'layer'"):
            _rewirer(_model(), ablation=Ablation())


SETTINGS = {
    "random": {"growth": "random"},
    "momentum": {"growth": "momentum", "path": Shrink(iteration_steps=6), "ratio": PqRatio()},
    "displacement": {"growth": "displacement", "scope": "global"},
    "srigl": {"growth": "gradient", "scope": "neuron", "ablation": Ablation(spare=("2*",))},
}


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
def test_state_taken_between_rewirings_goes_on_bit_identically(options):
    model = _model()
    rewirer = _rewirer(model, density=0.5, every_steps=3, **options)
    list(_run(model, rewirer, 7))
    saved = copy.deepcopy((model.state_dict(), rewirer._masked.optimizer.state_dict(), rewirer.state_dict()))
    list(_run(model, rewirer, 12, seed=5))

    other = _model(seed=1)
    resumed = _rewirer(other, density=0.5, every_steps=3, **options)
    other.load_state_dict(saved[0])
    resumed._masked.optimizer.load_state_dict(saved[1])
    resumed.load_state_dict(saved[2])
    list(_run(other, resumed, 12, seed=5))
    assert resumed.step == rewirer.step == 19
    for name in rewirer.masks:
        assert torch.equal(rewirer.masks[name], resumed.masks[name])
        assert torch.equal(rewirer.weights[name], resumed.weights[name])
        assert rewirer.explored()[name] == resumed.explored()[name]


def test_state_of_another_model_is_refused():
    rewirer = _rewirer(_model())
    state = rewirer.state_dict()
    with pytest.raises(TrainingError, match="the saved state lacks 'alive/2.weight'"):
        rewirer.load_state_dict({k: v for k, v in state.items() if not k.endswith("2.weight")})
    state["mask/2.weight"] = torch.ones(3, 3)
    with pytest.raises(TrainingError, match=r"state 'mask/2.weight' should have shape \(6, 32\), found shape \(3, 3\)"):
        rewirer.load_state_dict(state)


@pytest.mark.parametrize("growth", ["random", "gradient", "momentum"])
def test_recurrent_weights_stay_sparse_and_rewire(growth):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rnn = torch.nn.GRU(6, 8, batch_first=True)
    weights = find_weights(rnn)
    masks = initial_masks(weights, density=0.3)
    optimizer = torch.optim.AdamW(rnn.parameters(), lr=0.01, weight_decay=0.1)
    rewirer = Rewirer(weights, masks, optimizer, growth=growth, every_steps=2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        optimizer.zero_grad()
        rnn(torch.randn(4, 5, 6, generator=generator))[0].square().mean().backward()
        rewirer.before_step()
        optimizer.step()
        rewirer.after_step()
        for name, weight in rewirer.weights.items():
            assert not weight[~rewirer.masks[name]].any()
            assert int(rewirer.masks[name].sum()) == int(masks[name].sum())
    assert rewirer.explored()["weight_hh_l0"] > rewirer.density()["weight_hh_l0"]


@pytest.mark.train
def test_slayers_conv3d_synapses_stay_sparse_and_rewire():
    slayer = pytest.importorskip("lava.lib.dl.slayer", reason="needs lava-dl (extra train, Python 3.10)")
    neuron = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = slayer.block.cuba.Conv(neuron, 2, 4, 3, weight_norm=False)
    weights = find_weights(block)
    assert [tuple(w.shape) for w in weights.values()] == [(4, 2, 3, 3, 1)]
    masks = initial_masks(weights, density=0.4)
    optimizer = torch.optim.Adam(block.parameters(), lr=0.01)
    rewirer = Rewirer(weights, masks, optimizer, growth="gradient", every_steps=1)
    x = (torch.rand(2, 2, 6, 6, 8, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    for _ in range(4):
        optimizer.zero_grad()
        block(x).sum().backward()
        rewirer.before_step()
        optimizer.step()
        rewirer.after_step()
    (name,) = weights
    assert int(rewirer.masks[name].sum()) == round(0.4 * 72)
    assert not weights[name][~rewirer.masks[name]].any()
    assert rewirer.n_rewirings == 4
