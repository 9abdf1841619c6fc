"""``neurodeploy recipe``: keys, new recipes and checks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from event_files import dvs128, some_rows, write
from typer.testing import CliRunner

from neurodeploy.cli.entry import app
from neurodeploy.commands.recipe import check_recipe, file_keys, new_recipe
from neurodeploy.errors import DataError, FileError, RecipeError, UsageError
from neurodeploy.recipe.files import load_recipe, recipe_names

run = CliRunner().invoke


@pytest.fixture
def own(tmp_path):
    rng = np.random.default_rng(0)
    spikes = rng.random((40, 5, 7)) < 0.3
    np.savez(tmp_path / "own.npz", spikes=spikes, labels=np.arange(40) % 4)
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
    assert recipe.sparse.density == 1  # of seven channels ten have to be read


def test_a_name_of_a_known_recipe_starts_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    path = new_recipe("mnist-conv", say=told.append)
    assert load_recipe(path) == load_recipe("mnist-conv")
    assert told == ["mnist-conv.toml starts from the recipe mnist-conv"]
    assert load_recipe(new_recipe("mine", say=told.append)).network == load_recipe("digits-mlp").network
    assert told[1] == "mine.toml starts from the recipe digits-mlp"
    assert load_recipe(new_recipe("mnist-mlp", base="digits-mlp")).data == load_recipe("digits-mlp").data


IMAGES = np.random.default_rng(0).integers(0, 256, (40, 9, 8)).astype(np.uint8)


def test_images_become_spikes_by_their_rate_and_fit_the_layers_of_a_base(tmp_path):
    np.savez(tmp_path / "own.npz", images=IMAGES, labels=np.arange(40) % 3)
    told: list[str] = []
    plain = load_recipe(new_recipe("mine", data=tmp_path / "own.npz", out=tmp_path / "a.toml", say=told.append))
    assert (plain.data.encoding, plain.data.n_steps, plain.sparse.density) == ("rate", 16, 0.14)
    assert told[0].endswith("own.npz: 40 samples of 1x9x8 values, 3 classes; rates over 16 steps stand for the values")
    convolved = load_recipe(new_recipe("mnist-conv", data=tmp_path / "own.npz", out=tmp_path / "b.toml"))
    known = load_recipe("mnist-conv")
    assert convolved.network.layers[:-1] == known.network.layers[:-1]
    assert (convolved.network.layers[-1].neurons, convolved.sparse) == (3, known.sparse)


@pytest.mark.parametrize("camera", [False, True])
def test_recordings_are_read_to_their_end_and_the_sensor_to_its_last_event(tmp_path, camera):
    rng = np.random.default_rng(0)
    n = 4000
    place = {"x": rng.integers(0, 6, n), "y": rng.integers(0, 5, n)} if camera else {"units": rng.integers(0, 9, n)}
    times = np.concatenate([[487.2], rng.random(n - 1) * 480])
    file = tmp_path / "own.npz"
    np.savez(file, times_ms=times, samples=np.arange(n) % 40, labels=np.arange(40) % 3, **place)
    told: list[str] = []
    recipe = load_recipe(new_recipe("mine", data=file, out=tmp_path / "a.toml", say=told.append))
    assert (recipe.data.n_steps, recipe.data.duration_s, recipe.network.dt) == (20, 0.49, 0.0245)
    assert recipe.data.sensor == ((1, 5, 6) if camera else (9,))
    assert f"40 samples of 20 steps over 0.49 s, {'1x5x6' if camera else '9'} channels, 3 classes" in told[0]


def test_events_with_steps_keep_them(tmp_path):
    steps, units = np.tile(np.arange(6), 40), np.tile([0, 3, 1, 1, 2, 0], 40)
    np.savez(
        tmp_path / "own.npz", steps=steps, units=units, samples=np.repeat(np.arange(40), 6), labels=np.arange(40) % 2
    )
    recipe = load_recipe(new_recipe("mine", data=tmp_path / "own.npz", out=tmp_path / "a.toml"))
    assert (recipe.data.n_steps, recipe.data.duration_s, recipe.data.sensor) == (6, None, (4,))


def test_a_folder_of_recordings_is_a_class_for_each_folder(tmp_path):
    for i in range(24):
        write(tmp_path / "own" / f"class-{i % 2}" / f"{i}.aedat", dvs128(some_rows(20, seed=i)))
    recipe = load_recipe(new_recipe("mine", data=tmp_path / "own", out=tmp_path / "a.toml"))
    assert recipe.network.layers[-1].neurons == 2
    assert recipe.data.duration_s >= 1e-3
    assert recipe.data.sensor is None  # the files tell it


def test_whole_numbers_drive_the_network_as_counts_and_images_are_asked_for(tmp_path):
    np.savez(tmp_path / "own.npz", X=IMAGES, y=np.arange(40) % 3)
    told: list[str] = []
    recipe = load_recipe(new_recipe("mine", data=tmp_path / "own.npz", out=tmp_path / "a.toml", say=told.append))
    assert (recipe.data.frames, recipe.data.n_steps) == ("counts", 9)
    assert "images? call the array 'values'" in told[0]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"values": IMAGES - 3.0}, r"values lie between 0 and 1.*\(v - v.min\(\)\)"),
        ({"spikes": IMAGES / 7}, "signals over time by neurodeploy.encode_changes"),
        ({"x_train": IMAGES}, "of images, for training: values"),
        ({"times": np.zeros(40), "units": np.zeros(40, int), "samples": np.arange(40)}, "as in times_ms"),
    ],
)
def test_data_that_stay_open_are_asked_for_and_nothing_is_written(tmp_path, arrays, said):
    np.savez(tmp_path / "own.npz", labels=np.arange(40) % 2, **arrays)
    with pytest.raises(DataError, match=said):
        new_recipe("mine", data=tmp_path / "own.npz", out=tmp_path / "a.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["own.npz"]


def test_data_that_layers_of_the_base_do_not_fit_are_refused(own, tmp_path):
    with pytest.raises(RecipeError, match=r"layer 'hidden1' \(conv\) needs channels, height and width"):
        new_recipe("mine", base="mnist-conv", data=own, out=tmp_path / "mine.toml")


def test_samples_without_labels_are_refused(tmp_path):
    np.savez(tmp_path / "own.npz", spikes=np.ones((2, 3, 4), bool))
    with pytest.raises(DataError, match="has no labels"):
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
