"""Recipes: what is accepted, and what the errors say."""

from __future__ import annotations

import pytest

from neurodeploy.errors import RecipeError
from neurodeploy.recipe.files import find_recipe, load_recipe, parse_recipe, recipe_names

TEXT = find_recipe("digits-mlp").read_text(encoding="utf-8")


def test_shipped_recipe_is_found_by_name_and_by_path():
    assert load_recipe("digits-mlp") == load_recipe(find_recipe("digits-mlp"))
    assert "digits-mlp" in recipe_names()


def test_demo_recipe_is_the_network_and_density_that_the_readme_names():
    recipe = load_recipe("digits-mlp")
    assert [layer.neurons for layer in recipe.network.layers] == [256, 256, 10]
    assert recipe.sparse.density == 0.1


def test_unknown_key_is_named_with_the_known_ones():
    with pytest.raises(
        RecipeError, match=r"unknown key 'sparse.densiti'; known keys there: ablation, density, distribution"
    ):
        parse_recipe(TEXT.replace("density =", "densiti ="), where="mine.toml")


def test_unknown_key_of_a_layer_is_named():
    known = "delay, dropout, kind, neuron, neurons"
    with pytest.raises(RecipeError, match=rf"unknown key 'network.layers.0.size'; known keys there: {known}"):
        parse_recipe(TEXT.replace("{ neurons = 256 }", "{ size = 256 }", 1), where="mine.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("density = 0.1", "density = 1.5", "sparse.density = 1.5"),
        ("density = 0.1", "density = 0", "sparse.density = 0"),
        ("seed = 0", 'seed = "x"', "seed = 'x'"),
        ("threshold = 64", "threshold = 4096", "network.neuron.threshold = 4096"),
        ("current_decay = 2048", "current_decay = 4097", "network.neuron.current_decay = 4097"),
        ('name = "digits"', 'name = "digitz"', "data.name = 'digitz'"),
        ("n_steps = 16", "", "'data.n_steps' is missing"),
    ],
)
def test_value_out_of_range_is_named_with_its_key(old, new, message):
    assert old in TEXT
    with pytest.raises(RecipeError) as caught:
        parse_recipe(TEXT.replace(old, new), where="mine.toml")
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "ratio = 0.3",
            "gamma = 2.0",
            "sparse: 'gamma' is no setting of method 'esl', which has: distribution, end_fraction",
        ),
        ('method = "esl"', 'method = "lottery"', "sparse.method = 'lottery': input should be 'dense', 'static', 'set'"),
        ('method = "esl"', 'method = "rkd"', "method 'rkd' needs a [distillation] table with a teacher"),
        (
            "[training]",
            "[distillation]\nteacher = { epochs = 2, layers = [{ neurons = 10 }], size = 3 }\n[training]",
            "unknown key 'distillation.teacher.size'; known keys there: epochs, layers",
        ),
    ],
)
def test_settings_that_do_not_belong_to_the_method_are_refused(old, new, message):
    assert old in TEXT
    with pytest.raises(RecipeError) as caught:
        parse_recipe(TEXT.replace(old, new), where="mine.toml")
    assert message in str(caught.value)


def test_text_that_is_no_toml_is_refused():
    with pytest.raises(RecipeError, match="mine.toml is not valid TOML"):
        parse_recipe("name = ", where="mine.toml")


def test_missing_recipe_lists_the_shipped_ones():
    with pytest.raises(
        RecipeError, match="there is no file nowhere.toml; recipes that come with neurodeploy: .*digits-mlp"
    ):
        load_recipe("nowhere.toml")


def test_everything_but_network_and_data_has_a_default(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[data]\nname = 'digits'\nn_steps = 8\n[network]\nlayers = [{ neurons = 10 }]\n", encoding="utf-8")
    recipe = load_recipe(path)
    assert (recipe.name, recipe.sparse.method, recipe.sparse.density, recipe.training.epochs) == (
        "mine",
        "esl",
        0.1,
        20,
    )
    assert recipe.network.neuron.threshold == 64


def test_a_method_that_starts_with_every_connection_gets_no_density():
    assert (
        parse_recipe(TEXT.replace('"esl"', '"dense"').split("density =")[0] + "[training]", where="x").sparse.density
        is None
    )


def test_all_wrong_keys_stand_in_one_message_each_with_the_nearest():
    text = TEXT.replace("density =", "densiti =").replace("epochs =", "epoch =").replace("n_steps =", "steps =")
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, where="mine.toml")
    for wrong, near in (("sparse.densiti", "density"), ("training.epoch", "epochs"), ("data.steps", "n_steps")):
        assert f"unknown key '{wrong}'" in str(caught.value)
        assert f"; '{near}' is the nearest" in str(caught.value)
    assert "key 'data.n_steps' is missing" in str(caught.value)
