"""``neurodeploy recipe``: keys, new recipes and checks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from neurodeploy.cli.entry import app
from neurodeploy.commands.recipe import check_recipe, file_keys, new_recipe
from neurodeploy.errors import FileError, RecipeError, UsageError
from neurodeploy.recipe.files import load_recipe, recipe_names

run = CliRunner().invoke


@pytest.fixture
def own(tmp_path):
    rng = np.random.default_rng(0)
    spikes = rng.random((12, 5, 7)) < 0.3
    np.savez(tmp_path / "own.npz", spikes=spikes, labels=np.arange(12) % 4)
    return tmp_path / "own.npz"


@pytest.mark.parametrize("name", recipe_names())
def test_a_commented_recipe_is_the_one_it_came_from(name, tmp_path):
    path = new_recipe("mine", base=name, out=tmp_path / "mine.toml")
    assert load_recipe(path) == load_recipe(name).model_copy(update={"name": "mine"})
    assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 250


def test_a_new_recipe_explains_every_key_of_its_tables(tmp_path):
    text = new_recipe("mine", out=tmp_path / "mine.toml").read_text(encoding="utf-8")
    for key in ("data.n_steps", "training.learning_rate", "sparse.density", "training.threads"):
        assert f"{key.partition('.')[2]} = " in text
        assert file_keys(key)[0].meaning.split(";")[0].split(".")[0][:40] in text
    assert "spine_constant" not in text  # of another method
    assert "# [budget]" in text


def test_a_recipe_for_own_samples_takes_steps_and_classes_from_them(own, tmp_path):
    recipe = load_recipe(new_recipe("mine", data=own, out=tmp_path / "mine.toml"))
    assert (recipe.data.name, recipe.data.path, recipe.data.n_steps) == ("own", str(own), 5)
    assert [layer.neurons for layer in recipe.network.layers] == [128, 4]


def test_samples_without_labels_are_refused(tmp_path):
    np.savez(tmp_path / "own.npz", spikes=np.ones((2, 3, 4), bool))
    with pytest.raises(UsageError, match="has no labels"):
        new_recipe("mine", data=tmp_path / "own.npz", out=tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()


def test_a_recipe_is_not_overwritten_without_force(tmp_path):
    path = new_recipe("mine", out=tmp_path / "mine.toml")
    with pytest.raises(FileError, match="exists"):
        new_recipe("mine", out=path)
    new_recipe("other", out=path, force=True)
    assert load_recipe(path).name == "other"


def test_a_name_that_is_no_file_name_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="name = 'a b'"):
        new_recipe("a b", out=tmp_path / "mine.toml")
    assert not (tmp_path / "mine.toml").exists()


def test_an_unknown_key_is_answered_with_near_ones():
    with pytest.raises(UsageError, match="no key 'epoch'; near are: epochs"):
        file_keys("epoch")
    with pytest.raises(UsageError, match="those of: recipe, sweep, gate, pins, chip"):
        file_keys(of="house")


def test_a_key_is_found_by_its_last_word_and_a_table_with_what_is_in_it():
    assert [key.name for key in file_keys("temperature")] == ["distillation.temperature"]
    assert "budget.cores" in {key.name for key in file_keys("budget")}


def test_check_tells_what_a_recipe_trains():
    found = check_recipe("digits-mlp")
    assert found["ok"]
    assert (found["method"], found["density"]) == ("esl", 0.1)


def test_the_command_line_shows_and_checks(tmp_path):
    made = run(app, ["recipe", "new", "mine", "--out", str(tmp_path / "mine.toml")])
    assert made.exit_code == 0, made.output
    checked = run(app, ["recipe", "check", str(tmp_path / "mine.toml"), "--json"])
    assert json.loads(checked.output)["name"] == "mine"
    keys = json.loads(run(app, ["recipe", "keys", "budget", "--json"]).output)
    assert keys[1] == {
        "name": "budget.chip",
        "meaning": "Name of a chip, or a chip file.",
        "value": "text",
        "default": "required",
    }
    assert "Key" in run(app, ["recipe", "keys", "--of", "sweep"]).output
