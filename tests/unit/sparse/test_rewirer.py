"""The rewiring engine on small torch models (test numbers are those of the notes on algorithms)."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.errors import TrainingError
from neurodeploy.sparse.masks import initial_masks, scale_sparse_init
from neurodeploy.sparse.rewirer import Rewirer

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


def _model(seed: int = 0) -> torch.nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Linear(20, 30, bias=False), torch.nn.ReLU(), torch.nn.Linear(30, 5, bias=False)
        )


def _rewirer(model, optimizer: str = "adam", density: float = 0.2, **options) -> Rewirer:
    weights = {"a": model[0].weight, "b": model[2].weight}
    masks = initial_masks(weights, density=density, seed=3)
    scale_sparse_init(weights, masks)
    settings = {"growth": "random", "ratio": 0.3, "every_steps": 5, "end_step": 1000, "seed": 7, **options}
    return Rewirer(weights, masks, OPTIMIZERS[optimizer](model.parameters()), **settings)


def _steps(model, rewirer: Rewirer, n: int, seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        x, y = torch.randn(16, 20, generator=generator), torch.randint(5, (16,), generator=generator)
        rewirer._masked.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        rewirer.before_step()
        rewirer._masked.optimizer.step()
        rewirer.after_step()
        yield


@pytest.mark.parametrize("growth", ["random", "gradient"])
def test_t01_counts_stay_exact_over_many_rewirings(growth):
    model = _model()
    rewirer = _rewirer(model, growth=growth, every_steps=1)
    budgets = {name: int(mask.sum()) for name, mask in rewirer.masks.items()}
    for _ in _steps(model, rewirer, 60):
        assert {name: int(mask.sum()) for name, mask in rewirer.masks.items()} == budgets
    assert rewirer.n_rewirings == 60
    assert sum(budgets.values()) == round(0.2 * (20 * 30 + 30 * 5))


def test_t02_the_asked_number_is_dropped_even_when_most_weights_are_zero():
    model = _model()
    rewirer = _rewirer(model, ratio=0.5, every_steps=1)
    with torch.no_grad():
        model[0].weight.zero_()
    before = rewirer.masks["a"].clone()
    next(_steps(model, rewirer, 1))
    moved = int((before & ~rewirer.masks["a"]).sum())
    assert moved == int(0.5 * (1 + torch.cos(torch.tensor(torch.pi / 1000)).item()) / 2 * int(before.sum()))


def test_t03_grown_connections_were_absent_and_are_not_those_just_dropped():
    model = _model()
    rewirer = _rewirer(model, every_steps=1)
    for _ in range(20):
        before = rewirer.masks["a"].clone()
        next(_steps(model, rewirer, 1))
        dropped, grown = before & ~rewirer.masks["a"], rewirer.masks["a"] & ~before
        assert int(dropped.sum()) == int(grown.sum()) > 0
        assert not (dropped & rewirer.masks["a"]).any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_t04_absent_weights_are_zero_after_every_step_of_every_optimizer(optimizer):
    model = _model()
    rewirer = _rewirer(model, optimizer)
    for _ in _steps(model, rewirer, 23):
        for name, weight in rewirer.weights.items():
            assert not weight[~rewirer.masks[name]].any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_t05_t06_new_weights_and_their_moments_start_at_zero(optimizer):
    model = _model()
    rewirer = _rewirer(model, optimizer, every_steps=7)
    for _ in _steps(model, rewirer, 6):
        before = rewirer.masks["a"].clone()
    next(_steps(model, rewirer, 1))
    moved = before ^ rewirer.masks["a"]
    assert moved.any()
    assert not model[0].weight[moved].any()
    moments = rewirer._masked.moments(rewirer._masked.layers["a"])
    assert moments
    assert all(not m[moved].any() for m in moments)


def test_t07_no_rewiring_with_ratio_zero_or_after_the_end():
    model = _model()
    frozen = _rewirer(model, ratio=0.0, every_steps=1)
    first = {n: m.clone() for n, m in frozen.masks.items()}
    list(_steps(model, frozen, 10))
    assert all(torch.equal(frozen.masks[n], first[n]) for n in first)
    model = _model()
    ended = _rewirer(model, every_steps=1, end_step=10)
    list(_steps(model, ended, 10))
    last = {n: m.clone() for n, m in ended.masks.items()}
    assert ended.n_rewirings == 9
    list(_steps(model, ended, 10))
    assert all(torch.equal(ended.masks[n], last[n]) for n in last)


def test_t07_the_same_seed_gives_the_same_masks_and_weights():
    results = []
    for _ in range(2):
        model = _model()
        rewirer = _rewirer(model, every_steps=2)
        list(_steps(model, rewirer, 20))
        results.append((rewirer.masks, [p.detach().clone() for p in model.parameters()]))
    (masks_a, weights_a), (masks_b, weights_b) = results
    assert all(torch.equal(masks_a[n], masks_b[n]) for n in masks_a)
    assert all(torch.equal(a, b) for a, b in zip(weights_a, weights_b))


def test_t10_gradient_growth_finds_the_one_useful_connection():
    """Only input 3 carries signal and only output 1 has an error: the weight (1, 3) alone has a gradient."""
    layer = torch.nn.Linear(8, 4, bias=False)
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[2, :4] = True
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    rewirer = Rewirer({"w": layer.weight}, {"w": mask}, optimizer, growth="gradient", ratio=0.3, every_steps=1)
    x = torch.zeros(1, 8)
    x[0, 3] = 1.0
    loss = (layer(x)[0, 1] - 1.0) ** 2
    loss.backward()
    rewirer.before_step()
    optimizer.step()
    rewirer.after_step()
    assert rewirer.masks["w"][1, 3]
    assert int(rewirer.masks["w"].sum()) == 4


def test_t13_random_and_gradient_growth_lead_to_different_masks():
    masks = []
    for growth in ("random", "gradient"):
        model = _model()
        rewirer = _rewirer(model, growth=growth, every_steps=2)
        list(_steps(model, rewirer, 40))
        masks.append(rewirer.masks["a"])
    either, both = (masks[0] | masks[1]).sum(), (masks[0] & masks[1]).sum()
    assert float(both / either) < 0.8


def test_t15_the_observed_gradient_is_dense():
    model = _model()
    rewirer = _rewirer(model, growth="gradient", every_steps=1)
    rewirer._masked.optimizer.zero_grad()
    model(torch.randn(4, 20)).sum().backward()
    rewirer.before_step()
    absent = ~rewirer.masks["b"]
    assert rewirer._masked.layers["b"].gradient[absent].any()
    assert not model[2].weight.grad[absent].any()


def test_drop_takes_the_smallest_weights():
    model = _model()
    rewirer = _rewirer(model, "sgd", every_steps=1)
    before, size = rewirer.masks["a"].clone(), None
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(16, 20, generator=generator), torch.randint(5, (16,), generator=generator)
    torch.nn.functional.cross_entropy(model(x), y).backward()
    rewirer.before_step()
    rewirer._masked.optimizer.step()
    size = model[0].weight.detach().abs().clone()
    rewirer.after_step()
    dropped = before & ~rewirer.masks["a"]
    kept = before & rewirer.masks["a"]
    assert size[dropped].max() <= size[kept].min()


def test_explored_fraction_grows_and_counts_every_connection_that_ever_was():
    model = _model()
    rewirer = _rewirer(model, every_steps=2)
    seen = rewirer.masks["a"].clone()
    for _ in _steps(model, rewirer, 30):
        seen |= rewirer.masks["a"]
    assert rewirer.explored()["a"] == pytest.approx(seen.float().mean().item())
    assert rewirer.explored()["a"] > 0.3


def test_works_on_a_convolution_and_keeps_its_output_equal_to_a_masked_one():
    conv = torch.nn.Conv2d(3, 8, 3, bias=False)
    masks = initial_masks({"c": conv.weight}, density=0.25, seed=0)
    dense = conv.weight.detach().clone()
    Rewirer({"c": conv.weight}, masks, torch.optim.SGD(conv.parameters(), lr=0.1))
    x = torch.randn(2, 3, 9, 9)
    assert torch.equal(conv(x), torch.nn.functional.conv2d(x, dense * masks["c"]))


def test_weight_norm_is_refused():
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 4, bias=False))
    masks = {"w": torch.ones(4, 4, dtype=torch.bool)}
    with pytest.raises(TrainingError, match=r"layer 'w' is computed from other parameters \(weight-norm\?\)"):
        Rewirer({"w": layer.weight}, masks, torch.optim.SGD(layer.parameters(), lr=0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"growth": "magic"}, "unknown growth rule 'magic'; known: random, gradient"),
        ({"ratio": 1.0}, "ratio is 1.0"),
        ({"every_steps": 0}, "every_steps is 0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(TrainingError, match=message):
        _rewirer(_model(), **options)


def test_before_step_without_a_gradient_says_so():
    rewirer = _rewirer(_model())
    with pytest.raises(TrainingError, match="layer 'a' has no gradient; call before_step after"):
        rewirer.before_step()


def test_masks_of_another_shape_are_refused():
    layer = torch.nn.Linear(4, 3, bias=False)
    with pytest.raises(TrainingError, match=r"must be bool \(3, 4\)"):
        Rewirer({"w": layer.weight}, {"w": torch.ones(3, 4)}, torch.optim.SGD(layer.parameters(), lr=0.1))
