"""The table of methods: every preset trains a small network and keeps its promise about densities."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from neurodeploy.errors import TrainingError
from neurodeploy.files.lazy import named_function
from neurodeploy.recipe.sparse import METHODS, SparseRecipe
from neurodeploy.sparse.masks import find_weights
from neurodeploy.sparse.methods import RewiringSettings, above_floor, start_rewiring

N_WEIGHTS = 24 * 64 + 64 * 6
EPOCHS, STEPS = 12, 10


def _train(method: str, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(24, 64, bias=False), torch.nn.ReLU(), torch.nn.Linear(64, 6, bias=False)
        )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    chosen = RewiringSettings(**{"end_step": 90, "density": 0.25, "every_steps": 5, "spine_constant": 3, **settings})
    rewirer = start_rewiring(method, find_weights(model), optimizer, chosen)
    generator = torch.Generator().manual_seed(1)
    teacher = torch.randn(24, 6, generator=torch.Generator().manual_seed(99))
    totals = [sum(int(m.sum()) for m in rewirer.masks.values())]
    for _ in range(EPOCHS):
        for _ in range(STEPS):
            x = torch.randn(32, 24, generator=generator)
            loss = torch.nn.functional.cross_entropy(model(x), (x @ teacher).argmax(1))
            optimizer.zero_grad()
            loss.backward()
            rewirer.before_step()
            optimizer.step()
            rewirer.after_step()
        rewirer.end_epoch()
        totals.append(sum(int(m.sum()) for m in rewirer.masks.values()))
    for name, weight in rewirer.weights.items():
        assert not weight[~rewirer.masks[name]].any()
    assert loss.item() < 1.6  # chance is 1.79
    return rewirer, totals


def test_recipes_and_the_engine_know_the_same_settings():
    wanted = {name for method in METHODS.values() for name in method.settings} - {"end_fraction"}
    assert wanted <= set(RewiringSettings.model_fields)
    assert wanted <= set(SparseRecipe.model_fields)


def test_every_method_says_its_source():
    for name, method in METHODS.items():
        assert name in ("dense", "static") or "Source" in (named_function(method.start).__doc__ or "")


@pytest.mark.parametrize("method", ["static", "set", "rigl", "esl", "rkd", "chsnn"])
def test_density_is_exact_and_constant(method):
    rewirer, totals = _train(method)
    assert set(totals) == {round(0.25 * N_WEIGHTS)}
    explored = rewirer.explored()["0.weight"]
    assert (explored > rewirer.density()["0.weight"]) == (method != "static")
    assert rewirer.settled


def test_dense_keeps_everything():
    rewirer, totals = _train("dense")
    assert set(totals) == {N_WEIGHTS}
    assert rewirer.n_rewirings == 0


def test_granet_falls_from_its_density_to_its_floor_exactly_and_is_settled_then():
    rewirer, totals = _train("granet", density=0.5, floor=0.1)
    assert (totals[0], totals[-1]) == (round(0.5 * N_WEIGHTS), round(0.1 * N_WEIGHTS))
    assert totals == sorted(totals, reverse=True)
    assert rewirer.settled


def test_granet_without_a_floor_is_refused():
    with pytest.raises(TrainingError, match="granet falls from density 0.25 to floor 0.0; set a floor"):
        _train("granet")


def test_srigl_keeps_an_equal_fan_in_for_living_neurons_and_spares_the_last_layer():
    rewirer, _ = _train("srigl")
    for name, alive in rewirer.alive().items():
        fan_in = rewirer.masks[name].sum(1)
        assert len(set(fan_in[alive].tolist())) == 1
        assert not fan_in[~alive].any()
    assert rewirer.alive()["2.weight"].all()


@pytest.mark.parametrize("schedule", ["pq", "fixed", "cosine"])
def test_t25_pq_shrinks_in_each_iteration_and_keeps_its_density_without_shrink(schedule):
    _, totals = _train("pq", density=0.5, iterations=4, schedule=schedule)
    assert totals[0] == round(0.5 * N_WEIGHTS)
    # the cosine ends at 0, so that its last iteration loses nothing
    assert len(set(totals)) == (4 if schedule == "cosine" else 5)
    assert totals == sorted(totals, reverse=True)
    _, totals = _train("pq", density=0.5, iterations=4, schedule=schedule, shrink=False)
    assert set(totals) == {round(0.5 * N_WEIGHTS)}


def test_pq_with_neuron_scope_shrinks_neurons_by_their_own_ratio():
    rewirer, totals = _train("pq", density=0.5, iterations=4, scope="neuron")
    assert totals[-1] < totals[0]
    assert len(set(rewirer.masks["0.weight"].sum(1).tolist())) > 1


def test_pq_never_falls_below_its_floor():
    rewirer, totals = _train("pq", density=0.5, iterations=8, gamma=3.0, floor=0.2)
    assert totals[-1] == round(0.2 * N_WEIGHTS)
    reached = RewiringSettings(end_step=90, floor=0.2)
    assert above_floor("pq", reached, rewirer.masks) is None


@pytest.mark.parametrize("schedule", ["pq", "fixed", "cosine"])
@pytest.mark.parametrize("floor", [0.05, 0.2])
def test_pq_and_its_controls_end_with_the_same_budget_after_a_finish(schedule, floor):
    rewirer, totals = _train("pq", density=0.5, iterations=3, schedule=schedule, floor=floor, finish=0.3)
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] == round(floor * N_WEIGHTS)
    assert rewirer.settled
    assert above_floor("pq", RewiringSettings(end_step=90, floor=floor), rewirer.masks) is None
    without, own = _train("pq", density=0.5, iterations=3, schedule=schedule, floor=floor)
    # before it begins nothing is changed: rewirings come every 5 steps, of which those up to 60 are before the finish
    assert totals[:6] == own[:6]
    assert without.settled


def test_a_finish_without_a_floor_is_refused():
    with pytest.raises(
        TrainingError, match=r"a final fall to the floor 0.0 between steps 59 and 85 is not possible; set"
    ):
        _train("pq", density=0.5, finish=0.3)


def test_pq_that_ends_above_its_floor_is_told_with_its_density():
    rewirer, totals = _train("pq", density=0.5, iterations=2, floor=0.05)
    note = above_floor("pq", RewiringSettings(end_step=90, floor=0.05), rewirer.masks)
    assert note == (
        f"density {totals[-1] / N_WEIGHTS:.4g} is above floor 0.05 ({totals[-1]} connections, 96 at the floor); "
        "more sparse.iterations or a larger sparse.gamma bring it lower"
    )


@pytest.mark.parametrize(
    ("method", "settings"), [("pq", {}), ("pq", {"floor": 0.1, "shrink": False}), ("granet", {"floor": 0.1})]
)
def test_nothing_is_told_of_a_floor_that_was_not_asked_for(method, settings):
    masks = {"layer": torch.ones(3, 4, dtype=torch.bool)}
    assert above_floor(method, RewiringSettings(end_step=90, **settings), masks) is None


def test_sdsnn_starts_dense_and_prunes_hidden_neurons():
    rewirer, totals = _train("sdsnn", spine_rate=3.0)
    assert totals[0] == N_WEIGHTS > totals[-1]
    alive = rewirer.alive()
    assert not alive["0.weight"].all()
    assert alive["2.weight"].all()


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("lottery", {}, "unknown method 'lottery'; known: dense, static, set"),
        ("pq", {"schedule": "linear"}, "schedule = 'linear': input should be 'pq', 'fixed' or 'cosine'"),
        ("esl", {"growth": "magic"}, "unknown growth rule 'magic'"),
        ("esl", {"growth": "masked_momentum"}, "is refused"),
        ("static", {"density": 1.5}, "density is 1.5"),
    ],
)
def test_unknown_methods_and_settings_are_refused(method, settings, message):
    with pytest.raises(TrainingError, match=message):
        _train(method, **settings)
